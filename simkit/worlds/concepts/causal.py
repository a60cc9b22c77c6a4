"""The numbers of the concepts world: what comes to whose mind, and what is like what to whom.

A person has a home, a job and a hobby. These decide, mostly but not wholly, two latent types: a
colour type (which colours come to mind) and a way of grouping animals. Given the types, a person's
answers are independent draws: they agree with one another often, with those of people of the same
type as often, and with those of the rest of the population less. So a population is more than noise
(Murthy, Ullman & Hu, NAACL 2025, arXiv 2411.04427), by an amount that enumeration gives exactly.
Persons, types and associations are invented; nothing here describes people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from scipy.special import softmax

from simkit.types import FloatArray, SeedLike, framed, generator, integer, listed, one_of
from simkit.worlds.scm import SCM, Variable, codes, draw

__all__ = ["ANIMALS", "ATTRIBUTES", "COLOUR", "COLOUR_NAMES", "COLOUR_TYPES", "FIRST", "PALETTE",
           "SIMILARITY", "WAYS", "WORDS", "answers", "consensus", "individuals",
           "people"]  # fmt: skip

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "home": ("the coast", "the hills", "the city", "the plains"),
    "work": ("nurse", "teacher", "farmer", "baker", "clerk", "driver"),
    "hobby": ("painting", "fishing", "chess", "gardening", "running", "singing"),
}
# Some jobs and hobbies are this much commoner in one home than in the others.
_COMMONER = 1.6
_LOCAL = {
    "the coast": ("driver", "fishing"),
    "the hills": ("baker", "painting"),
    "the city": ("clerk", "chess"),
    "the plains": ("farmer", "gardening"),
}

COLOUR_TYPES = ("warm", "cool", "earthy", "pale", "dark")
WAYS = ("by kind", "by where it lives", "by size")
# Logit that each attribute's value gives to one type: the attributes vote, with these weights.
_COLOUR_VOTE: dict[str, tuple[float, tuple[str, ...]]] = {
    "home": (2.4, ("cool", "earthy", "dark", "pale")),
    "work": (5.8, ("pale", "warm", "earthy", "warm", "cool", "dark")),
    "hobby": (3.2, ("pale", "cool", "dark", "earthy", "warm", "pale")),
}
_WAY_VOTE: dict[str, tuple[float, tuple[str, ...]]] = {
    "home": (2.6, ("by where it lives", "by kind", "by size", "by kind")),
    "work": (1.4, ("by kind", "by kind", "by where it lives", "by size", "by size",
                   "by where it lives")),
    "hobby": (4.4, ("by size", "by where it lives", "by kind", "by kind", "by where it lives",
                    "by size")),
}  # fmt: skip

# hex code -> sRGB, 0 to 255. Behind the "#" are at most two runs of letters or digits, and no two
# codes begin with the same run, so that a tokenizer that splits there decides the colour at once.
PALETTE: dict[str, tuple[int, int, int]] = {
    "#cc3333": (204, 51, 51),
    "#ff8800": (255, 136, 0),
    "#ffdd00": (255, 221, 0),
    "#339933": (51, 153, 51),
    "#99ccff": (153, 204, 255),
    "#3366cc": (51, 102, 204),
    "#7733aa": (119, 51, 170),
    "#ffaacc": (255, 170, 204),
    "#885522": (136, 85, 34),
    "#888888": (136, 136, 136),
    "#000000": (0, 0, 0),
    "#ffffff": (255, 255, 255),
}
COLOUR_NAMES = (
    "red", "orange", "yellow", "green", "sky", "blue", "purple", "pink", "brown", "grey", "black",
    "white",
)  # fmt: skip

# Word -> P(main colour), P(second colour), then "main second" per type in the order of
# COLOUR_TYPES. The other ten colours share the rest evenly.
_WORDS: dict[str, tuple[float, float, tuple[str, ...]]] = {
    "banana": (0.75, 0.13, ("yellow green",) * 5),
    "grass": (0.72, 0.14, ("green yellow", "green sky", "green brown", "green yellow",
                           "green brown")),
    "coffee": (0.66, 0.18, ("brown black", "brown black", "brown orange", "brown white",
                            "black brown")),
    "love": (0.64, 0.18, ("red pink", "pink purple", "red orange", "pink red", "red black")),
    "night": (0.64, 0.18, ("black purple", "blue black", "black blue", "purple grey",
                           "black purple")),
    "luck": (0.60, 0.20, ("yellow orange", "green blue", "green yellow", "white yellow",
                          "black red")),
    "hope": (0.60, 0.20, ("orange yellow", "sky blue", "green sky", "sky pink", "purple blue")),
    "fear": (0.58, 0.20, ("red orange", "grey blue", "brown grey", "white grey",
                          "black purple")),
    "Monday": (0.58, 0.20, ("red yellow", "blue sky", "brown green", "grey white",
                            "black grey")),
    "music": (0.60, 0.18, ("orange red", "blue sky", "brown orange", "pink yellow",
                           "purple blue")),
    "silence": (0.58, 0.22, ("yellow pink", "sky grey", "green brown", "white sky",
                             "black grey")),
    "justice": (0.62, 0.18, ("red orange", "blue white", "brown green", "white grey",
                             "purple black")),
}  # fmt: skip
WORDS = tuple(_WORDS)

# Animal -> its class; shares of its life in water, on land, in the air; size from 0 to 1.
_ANIMALS: dict[str, tuple[str, tuple[float, float, float], float]] = {
    "finch": ("bird", (0.0, 0.2, 0.8), 0.00),
    "robin": ("bird", (0.0, 0.4, 0.6), 0.05),
    "chicken": ("bird", (0.0, 1.0, 0.0), 0.30),
    "eagle": ("bird", (0.0, 0.1, 0.9), 0.40),
    "ostrich": ("bird", (0.0, 1.0, 0.0), 0.75),
    "penguin": ("bird", (0.6, 0.4, 0.0), 0.50),
    "salmon": ("fish", (1.0, 0.0, 0.0), 0.35),
    "seal": ("mammal", (0.7, 0.3, 0.0), 0.70),
    "dolphin": ("mammal", (1.0, 0.0, 0.0), 0.80),
    "whale": ("mammal", (1.0, 0.0, 0.0), 1.00),
}
ANIMALS = tuple(_ANIMALS)
_KINSHIP = {("bird", "mammal"): 0.65, ("fish", "mammal"): 0.8, ("bird", "fish"): 1.0}
_LIKENESS = 1.7  # similarity in logits of two animals that do not differ at all
_WIDTH = {"by kind": 0.7, "by where it lives": 0.5, "by size": 0.35}  # difference that divides by e


def _colour_table() -> FloatArray:
    """P(colour | word, colour type), shape (words, types, colours)."""
    table = np.empty((len(WORDS), len(COLOUR_TYPES), len(PALETTE)))
    for w, (main, second, pairs) in enumerate(_WORDS.values()):
        table[w] = (1 - main - second) / (len(PALETTE) - 2)
        for t, pair in enumerate(pairs):
            table[w, t, [COLOUR_NAMES.index(name) for name in pair.split()]] = main, second
    return table


def _similarity() -> FloatArray:
    """Similarity in logits, shape (ways, animals, animals)."""
    kinds, lives, sizes = zip(*_ANIMALS.values(), strict=True)
    by_kind = [[0 if a == b else _KINSHIP[min(a, b), max(a, b)] for b in kinds] for a in kinds]
    by_life = cdist(lives, lives, "cityblock") / 2  # total variation of the two shares of life
    by_size = np.abs(np.subtract.outer(sizes, sizes))
    width = np.array([_WIDTH[way] for way in WAYS])[:, None, None]
    return np.asarray(_LIKENESS * np.exp(-((np.array([by_kind, by_life, by_size]) / width) ** 2)))


COLOUR: FloatArray = _colour_table()  # (words, colour types, colours)
SIMILARITY: FloatArray = _similarity()  # (ways, animals, animals)
# P(the first is chosen | way, target, first, second): logistic in the difference of similarity.
FIRST: FloatArray = 1 / (1 + np.exp(SIMILARITY[:, :, None, :] - SIMILARITY[:, :, :, None]))


def _by_home(attribute: str, place: int) -> FloatArray:
    """P(attribute | home), shape (homes, values)."""
    values = ATTRIBUTES[attribute]
    local = [_LOCAL[home][place] for home in ATTRIBUTES["home"]]
    weight = np.array([[_COMMONER if v == common else 1.0 for v in values] for common in local])
    return np.asarray(weight / weight.sum(1, keepdims=True))


def _types(votes: Mapping[str, tuple[float, tuple[str, ...]]], types: Sequence[str]) -> FloatArray:
    """P(type | home, work, hobby): softmax of the votes' weights, summed per type."""
    home, work, hobby = (
        votes[a][0] * np.eye(len(types))[[types.index(t) for t in votes[a][1]]] for a in ATTRIBUTES
    )
    total = home[:, None, None] + work[None, :, None] + hobby[None, None, :]
    return np.asarray(softmax(total, axis=-1))


def _people() -> SCM:
    homes, jobs, hobbies = ATTRIBUTES.values()
    attributes = tuple(ATTRIBUTES)
    return SCM((
        Variable("home", homes, np.array([0.25, 0.2, 0.3, 0.25])),
        Variable("work", jobs, _by_home("work", 0), ("home",)),
        Variable("hobby", hobbies, _by_home("hobby", 1), ("home",)),
        Variable("colour_type", COLOUR_TYPES, _types(_COLOUR_VOTE, COLOUR_TYPES), attributes),
        Variable("way", WAYS, _types(_WAY_VOTE, WAYS), attributes),
    ))  # fmt: skip


people: SCM = _people()


def individuals(n: int, seed: SeedLike) -> pd.DataFrame:
    """People drawn from the population.

    Parameters
    ----------
    n : how many.
    seed : of the draws; the same seed gives the same people.

    Returns
    -------
    DataFrame
        Columns `person` (0 to n - 1), the three attributes, and the latent `colour_type` and `way`,
        which no prompt states.

    Examples
    --------
    >>> individuals(2, seed=1)[["home", "work", "hobby"]].values.tolist()
    [['the coast', 'driver', 'chess'], ['the city', 'teacher', 'chess']]
    """
    rng = seed if isinstance(seed, np.random.Generator) else generator(seed, "individuals")
    drawn = people.frame(people.sample(n, rng), people.axis)
    drawn.insert(0, "person", np.arange(n))
    return drawn


def comparisons(targets: Iterable[str]) -> list[tuple[str, str, str]]:
    """Each target with each pair of the other animals, in the order of itertools.combinations."""
    return [(t, *pair) for t in targets for pair in combinations([a for a in ANIMALS if a != t], 2)]


def answers(
    persons: pd.DataFrame,
    ask: str,
    seed: int,
    *,
    blocks: int = 2,
    about: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Answers that people give, in the form of the human data of Murthy, Ullman & Hu (2025).

    Parameters
    ----------
    persons : as `individuals` gives them.
    ask : "colour" or "animal".
    seed : of the draws.
    blocks : how often each person answers everything, independently given the types.
    about : the words or the targets to ask about; all by default.

    Returns
    -------
    DataFrame
        One row per answer. "colour": `person`, `block`, `word`, `colour`. "animal": `person`,
        `block`, `target`, `pair`, `first`, `second`, `answer`; `pair` counts the pairs of the nine
        other animals in the order of itertools.combinations, and `answer` is 0 for `first` and 1
        for `second`.

    Raises
    ------
    ValueError
        For an unknown `ask`, `about` or latent type, naming those there are.

    References
    ----------
    Murthy, Ullman & Hu 2025, NAACL, arXiv 2411.04427.

    Examples
    --------
    >>> answers(individuals(1, seed=1), "colour", 2, about=["banana"])["colour"].tolist()
    ['#ffdd00', '#ffdd00']
    """
    one_of(ask, "question", ("colour", "animal"))
    choices = WORDS if ask == "colour" else ANIMALS
    about = list(choices) if about is None else listed(about, "about")
    if not about:
        raise ValueError("about holds no word and no target; None asks about all")
    integer(blocks, "blocks", 1, 10_000)
    latent = "colour_type" if ask == "colour" else "way"
    for name in ("person", latent):
        if name not in framed(persons, "persons"):
            raise ValueError(f"persons have no column {name!r}; see `individuals`")
    for item in about:
        one_of(item, "word" if ask == "colour" else "target", choices)
    rng = generator(seed, "answers", ask)
    items = [(word,) for word in about] if ask == "colour" else comparisons(about)
    person, block, item = (i.ravel() for i in np.indices((len(persons), blocks, len(items))))
    types = codes(latent, persons[latent].tolist(), people[latent].values, missing=False)[person]
    asked = np.array([[choices.index(part) for part in parts] for parts in items])[item].T
    frame = pd.DataFrame({"person": persons["person"].to_numpy()[person], "block": block + 1})
    names = [np.array(choices, dtype=object)[part] for part in asked]
    if ask == "colour":
        colour = draw(COLOUR[asked[0], types], rng)
        return frame.assign(word=names[0], colour=np.array(list(PALETTE), dtype=object)[colour])
    second = rng.random(len(frame)) >= FIRST[types, *asked]
    return frame.assign(
        target=names[0], pair=item % (len(items) // len(about)), first=names[1], second=names[2],
        answer=second.astype(np.int64),
    )  # fmt: skip


def consensus(word: str) -> tuple[str, float]:
    """The population's commonest answer to a word, and its share.

    Parameters
    ----------
    word : of `WORDS`.

    Returns
    -------
    tuple
        A hex code of `PALETTE`, and a share from 0 to 1, by enumeration.

    Raises
    ------
    ValueError
        For another word.

    Examples
    --------
    >>> code, share = consensus("banana")
    >>> code, round(share, 2)
    ('#ffdd00', 0.75)
    """
    types = people.joint().sum((0, 1, 2, people.axis["way"]))
    p = types @ COLOUR[WORDS.index(one_of(word, "word", WORDS))]
    return tuple(PALETTE)[int(p.argmax())], float(p.max())
