"""What each data set is: where it comes from, under what licence, and what its columns hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CARDS", "Card", "File"]


@dataclass(frozen=True)
class File:
    """One file of a data set.

    Attributes
    ----------
    path : str
        Place below the folder that `SIMKIT_DATA` names, and below the cache.
    sha256 : str
        Of the content; for a `.gz` file of what is inside, which does not depend on how it was
        packed.
    url : str, optional
        Public address of the content, pinned to a revision; None where the content was converted
        from another format and has no address of its own.
    edition : str
        SHA-256 of what the address gives, packed or not, where that is another edition of the
        content which the reader takes as well; "" where it is the content itself.
    """

    path: str
    sha256: str
    url: str | None = None
    edition: str = ""


@dataclass(frozen=True)
class Card:
    """A data set's card.

    Attributes
    ----------
    name, title, source, licence, citation, revision, remark : str
        How it is called, where it comes from, and under what conditions.
    shape : tuple of int, optional
        Rows and columns of what `load` returns.
    code_book : mapping
        Column (or group of columns) -> what it holds.
    files : tuple of File
        What is read; none for data that come with statsmodels or from the user.
    """

    name: str
    title: str
    source: str
    licence: str
    citation: str
    shape: tuple[int, int] | None
    code_book: Mapping[str, str]
    revision: str = ""
    files: tuple[File, ...] = ()
    remark: str = ""


_TWIN = ("TianyiPeng/Twin-2K-500-Mega-Study", "1b84feea57320dd1abbbce2fe4a26f3f4e56fe44")
_FISH = ("skmur/onefish-twofish", "3cf55834400a589d1ce8ca950cc0912809e6b73b")
_MLOGIT = ("cran/mlogit", "9299242ef2590eb7955a43d784636c371936459d")
_PPI = ("aangelopoulos/ppi_py", "2b7fa2f0f02ef9de448a155fce1e42e00f18c347")
_WVS = ("tdw75/beyond-marginal-distributions", "5025a90c633dcb57b3642cc44933faeda4eb19b8")

_MEGA, _CALIBRATION = "post_metric_calculation", "post_processing_caliberation"

_SHA256 = {
    "mlogit/Car.csv.gz": "2e7e7124a6b6b62cf9d3070517e7c8bfbd890161e85e4f71a36eba5ea28ccdaf",
    "twin2k/combined_dv_human.csv.gz": (
        "b94ffc6887c8bb03184fa33e4a2fa6c6ee26490db67d277a61cb6608213295f0"
    ),
    "twin2k/combined_dv_llm.csv.gz": (
        "9996b240398e824db66b3e0b51cd401cc93a70e07e774051cb42f3d1dc1ef3ed"
    ),
    "twin2k/dv_variables_summary.csv": (
        "6ade8349b5f0780feb5024b9a90e88b3ccc431869119e229d1794154c6ab5313"
    ),
    "onefish/colorref.csv.gz": "a069a8e865a1499cf0310a17e901d07759a402e02163d9e542515d8883ec92df",
    "onefish/concept_choice_vectors.csv.gz": (
        "9d7ea1e9709784582a695a33b2bc058508676c309ee94a872c56dd3428a120aa"
    ),
    "onefish/concept_ChainResults.csv.gz": (
        "bf58b4d659e01e2c83de6c8847cc9a02135518c2ef6d666cd853aec7eb2203e0"
    ),
    "wvs/variables.csv": "78a096d4763af7d60459219536948938d32f89a20690c61cc0ffed44640c0286",
}


def _file(path: str, repository: tuple[str, str] | None = None, place: str = "") -> File:
    """A file, and its place in a repository on GitHub at its pinned revision."""
    address = "/".join(("https://raw.githubusercontent.com", *(repository or ()), place))
    return File(path, _SHA256[path], address if repository else None)


_LEFT_RIGHT = "1 extremely liberal … 4 moderate … 7 extremely conservative"
_FISH_CITATION = (
    "Murthy, Ullman & Hu (2025), One fish, two fish, but not the whole sea, NAACL, arXiv 2411.04427"
)

CARDS: dict[str, Card] = {
    card.name: card
    for card in (
        Card(
            "anes96",
            "American National Election Study of 1996, a subset",
            "statsmodels.datasets.anes96",
            "public domain",
            "American National Election Studies (1996); subset as in statsmodels",
            (944, 11),
            {
                "popul": "population of the place, in 1,000s",
                "TVnews": "days a week with TV news, 0–7",
                "selfLR": f"own place from left to right: {_LEFT_RIGHT}",
                "ClinLR": f"Bill Clinton's place: {_LEFT_RIGHT}",
                "DoleLR": f"Bob Dole's place: {_LEFT_RIGHT}",
                "PID": "party: 0 strong Democrat … 3 independent … 6 strong Republican",
                "age": "years",
                "educ": "1 grades 1–8 … 3 high school … 5 college degree … 7 PhD",
                "income": "household income in 24 brackets, 1 under $3,000 … 24 $105,000 and over",
                "vote": "expected vote: 0 Clinton, 1 Dole",
                "logpopul": "log(popul + 0.1)",
            },
        ),
        Card(
            "modechoice",
            "Travel mode choice between Sydney, Canberra and Melbourne, 1987",
            "statsmodels.datasets.modechoice",
            "public domain",
            "Greene, Econometric Analysis; data as in statsmodels",
            (840, 9),
            {
                "individual": "1–210",
                "mode": "1 air, 2 train, 3 bus, 4 car",
                "choice": "1 the mode taken, else 0",
                "ttme": "terminal waiting time, minutes (0 for car)",
                "invc": "in-vehicle cost, dollars",
                "invt": "travel time, minutes",
                "gc": "generalised cost, dollars",
                "hinc": "household income, $1,000s",
                "psize": "travellers in the group",
            },
        ),
        Card(
            "car",
            "Stated choices among six vehicles",
            f"github.com/{_MLOGIT[0]}: data/Car.rda",
            "GPL (>= 2)",
            "McFadden & Train (2000), J. Applied Econometrics 15; Brownstone & Train (1999), "
            "J. Econometrics 89; Croissant (2020), J. Statistical Software 95(11)",
            (4_654, 70),
            {
                "choice": "choice1 … choice6, the vehicle chosen",
                "college, hsg2, coml5": "1 if the respondent has a college education, a household "
                "of more than two, a commute under five miles",
                "type1 … type6": "body: regcar, sportuv, sportcar, stwagon, truck, van",
                "fuel1 … fuel6": "gasoline, methanol, cng or electric",
                "price1 … price6": "price divided by the log of income",
                "range*, acc*, speed*": "range, acceleration, top speed",
                "pollution*, size*, space*, cost*, station*": "other attributes of the vehicle",
            },
            _MLOGIT[1],
            (_file("mlogit/Car.csv.gz"),),
            "The source is an R file. In R: load('Car.rda'); "
            "write.csv(Car, gzfile('Car.csv.gz'), row.names=FALSE).",
        ),
        Card(
            "twin2k",
            "Twin-2K-500 mega-study: people and their language-model twins",
            f"github.com/{_TWIN[0]}: {_MEGA}/{_CALIBRATION}",
            "Apache-2.0",
            "Peng, Gui, Toubia et al. (2025), arXiv 2509.19088",
            (3_568, 165),
            {
                "population": "human or twin",
                "person": "TWIN_ID; the same number is one person and that person's twin",
                "(the others)": "163 outcomes of 19 studies, NaN where not asked; their studies "
                "and scales are in twin2k_scales",
            },
            _TWIN[1],
            tuple(
                _file(
                    f"twin2k/combined_dv_{who}.csv.gz",
                    _TWIN,
                    f"{_MEGA}/{_CALIBRATION}/combined_dv_{who}.csv",
                )
                for who in ("human", "llm")
            ),
        ),
        Card(
            "twin2k_scales",
            "Twin-2K-500 mega-study: study and scale of each outcome",
            f"github.com/{_TWIN[0]}: {_MEGA}/dv_variables_summary.csv",
            "Apache-2.0",
            "Peng, Gui, Toubia et al. (2025), arXiv 2509.19088",
            (164, 4),
            {
                "study": "one of 19 studies",
                "outcome": "column of twin2k",
                "low, high": "ends of its scale",
            },
            _TWIN[1],
            (_file("twin2k/dv_variables_summary.csv", _TWIN, f"{_MEGA}/dv_variables_summary.csv"),),
        ),
        Card(
            "moralmachine",
            "Moral Machine: decisions of 2,097 people and of three language models",
            f"github.com/{_PPI[0]}: examples/5_SurveySampleLLM_ppipy.csv.gz",
            "MIT",
            "Awad et al. (2018), The Moral Machine experiment, Nature 563; answers of the models: "
            "Broska, Howes & van Loon (2025), The Mixed Subjects Design",
            (20_427, 23),
            {
                "person": "from 1; a person decided up to 13 scenarios, a row each",
                "attribute": "what the two groups differ in: Species, Age, …",
                "level": "of the group in question: Hoomans, Young, More, Fit, High, Female",
                "saved": "whether the person saved this group and not the other, 0 or 1",
                "intervention": "1 where the car must swerve for it",
                "gender, age, education, income, political, religious": "of the person; the last "
                "two from 0 to 100 (progressive, religious)",
                "gpt4turbo, gpt4o, gpt35turbo0125": "`saved` as a model answers, told who the "
                "person is; _2 and _3 a second and third draw, for some; _blank told nothing of "
                "the person",
            },
            _PPI[1],
            (
                File(
                    "moralmachine/survey_llm.csv.gz",
                    "9943ca443c49d95d3e6ab4cb3b7ef3127285f4583fb6554952b2362ac86fbf54",
                    f"https://raw.githubusercontent.com/{_PPI[0]}/{_PPI[1]}/examples/"
                    "5_SurveySampleLLM_ppipy.csv.gz",
                    "0ae27b87594309ea1390837597b10878ea3c75eeaacc2ac2e29f98c44ff212f3",
                ),
            ),
        ),
        Card(
            "onefish_colors",
            "Word–colour associations of 475 people, two blocks",
            f"github.com/{_FISH[0]}: input-data/color-task/colorref.csv",
            "none stated",
            f"{_FISH_CITATION}; colours from Murthy, Hawkins & Griffiths (2022)",
            (38_000, 7),
            {
                "person": "one of 475",
                "word": "one of 199; each person answered 40",
                "block": "1 or 2: the same words twice",
                "chip": "Munsell code of the colour chosen among 88",
                "red, green, blue": "its sRGB, 0–255",
            },
            _FISH[1],
            (_file("onefish/colorref.csv.gz", _FISH, "input-data/color-task/colorref.csv"),),
        ),
        Card(
            "onefish_concepts",
            "Recorded answers of ten language models on concept similarity",
            f"github.com/{_FISH[0]}: concept-task/input-data/*-forCRP.csv",
            "none stated",
            f"{_FISH_CITATION}; concepts from Martí, Wu, Piantadosi & Kidd (2023), Open Mind",
            (107_650, 41),
            {
                "model": "one of ten",
                "prompt": "none, identity, random or nonsense context",
                "temperature": "default, 1.5 or 2.0",
                "concept": "the target: ten animals and ten politicians",
                "subject": "number of the simulated subject",
                "q01 … q36": "0 the first-named, 1 the second of a pair of the other nine concepts "
                "in list order (itertools.combinations), NaN missing or invalid",
            },
            _FISH[1],
            (_file("onefish/concept_choice_vectors.csv.gz"),),
            "The source has 60 files; this is one table of their answers.",
        ),
        Card(
            "onefish_chains",
            "Clustering chains of the human similarity judgements",
            f"github.com/{_FISH[0]}: input-data/concept-task/ChainResults.csv",
            "none stated",
            f"{_FISH_CITATION}; Martí, Wu, Piantadosi & Kidd (2023), Open Mind",
            (29_940, 11),
            {
                "Concept": "one of 20",
                "Chain, Iteration": "3 chains of 499 sweeps",
                "NumberOfPeople": "people clustered",
                "Tables": "clusters",
                "ProbabilityOfSameTable": "of two random people",
            },
            _FISH[1],
            (
                _file(
                    "onefish/concept_ChainResults.csv.gz",
                    _FISH,
                    "input-data/concept-task/ChainResults.csv",
                ),
            ),
        ),
        Card(
            "ces24",
            "Cooperative Election Study 2024 by cell, and a language model's beliefs",
            "the Python package popfidelity 0.1.2: examples.path('ces')",
            "CC0 (survey), Apache-2.0 (package)",
            "Cooperative Election Study 2024; da Silva et al. (2026), arXiv 2609.36253",
            (4_608, 11),
            {
                "population": "survey; ntp or fa: qwen3-vl-2b by next-token beliefs or by 25 "
                "free answers",
                "question": "ideo5, relig_church or economy_retro",
                "cell": "one of 96: gender, age, race and education together",
                "option, option_id": "the answer and its place on the scale",
                "share, n": "of the cell; respondents (weighted) or runs in it",
            },
            remark="Read from the installed package, nothing is fetched.",
        ),
        Card(
            "wvs7_items",
            "World Values Survey wave 7: texts, answer codes and topics of 240 items",
            f"github.com/{_WVS[0]}: data_files/variables/variables.csv",
            "none stated",
            "Haerpfer et al. (2022), World Values Survey: Round Seven; Williams, Weeber, Padó & "
            "Akbik (2026), arXiv 2601.15755",
            (240, 6),
            {
                "item": "Q1 …",
                "name, group, subtopic": "short name and topic",
                "stem": "the question's text",
                "answers": "dictionary of code -> text; codes below 0 are missing answers",
            },
            _WVS[1],
            (_file("wvs/variables.csv", _WVS, "data_files/variables/variables.csv"),),
        ),
        Card(
            "wvs7",
            "World Values Survey wave 7, individual answers",
            "www.worldvaluessurvey.org, after registering: WVS Cross-National Wave 7, CSV",
            "the survey's own conditions of use",
            "Haerpfer et al. (2022), World Values Survey: Round Seven, doi 10.14281/18241.20",
            None,
            {
                "B_COUNTRY_ALPHA": "country",
                "W_WEIGHT": "weight within the country",
                "Q1 …": "answers; codes below 0 become NaN",
                "Q240, Q260, Q262": "left–right place, sex, age",
            },
            remark="The user's own download: put the CSV into the folder wvs below SIMKIT_DATA, "
            "or pass its path: load('wvs7', path=…).",
        ),
    )
}
