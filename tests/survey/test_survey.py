"""What a survey that was read gives: code book, personas, questions, a survey to ask; a file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simkit as sk
from simkit import estimators as est
from simkit import personas
from simkit.survey import SCALES, Survey, SurveyItem

PEOPLE = pd.DataFrame(
    {
        "sex": [1, 2, 2, 1],
        "age": [34.0, np.nan, 71, 20],
        "party": [1.0, 3, 2, np.nan],
        "trust": [1, 4, 2, 2],
        "w": [0.5, 1.5, 1, 1],
        "psu": [1, 1, 2, 2],
        "part": [1, 2, 3, 4],
    }
)
ITEMS = {
    "sex": SurveyItem("Sex", {1: "male", 2: "female"}),
    "age": SurveyItem("Age", scale="numeric", tell="Aged {text}."),
    "party": SurveyItem("Party {of} choice?", {1: "left", 2: "right", 3: "{none}"}),
    "trust": SurveyItem("Trust?", {1: "no", 2: "some", 4: "full"}, "ordinal"),
    "w": SurveyItem("w", scale="numeric"),
    "part": SurveyItem("Part", scale="numeric"),
}


@pytest.fixture
def survey() -> sk.Survey:
    return sk.Survey("small", PEOPLE, items=ITEMS, weights="w", clusters="psu", notes=("a <note>",))


def test_a_survey_shows_its_size_and_notes(survey: sk.Survey) -> None:
    assert repr(survey) == "Survey('small': 4 respondents; 6 items)\n  a <note>"
    book = survey.codebook()
    assert book.loc["age", ["answered", "missing", "low", "high"]].tolist() == [3, 1, 20, 71]
    assert book.loc["sex", "labels"] == "1 male; 2 female"


def test_personas_are_told_in_words(survey: sk.Survey) -> None:
    people = survey.personas(["age", "sex", "party", "trust"])
    assert people["context"].tolist() == [
        "Aged 34. Sex: male. Party {of} choice? left. Trust? no.",
        "Sex: female. Party {of} choice? {none}. Trust? full.",  # no age is known
        "Aged 71. Sex: female. Party {of} choice? right. Trust? some.",
        "Aged 20. Sex: male. Trust? some.",
    ]
    # nominal in words, so that no baseline takes codes for numbers; steps and numbers stay
    assert people["party"].tolist()[:3] == ["left", "{none}", "right"]
    assert people["trust"].tolist() == [1, 4, 2, 2]
    assert survey.personas(["sex"], form="{ask}: {text}")["context"][0] == "Sex: male"
    some = survey.personas(["sex"], PEOPLE.iloc[[2]])
    assert some["context"].tolist() == ["Sex: female."] and some["person"].tolist() == [0]
    with pytest.raises(ValueError, match="no item 'vote'; there are: sex, age"):
        survey.personas(["vote"])


def test_questions(survey: sk.Survey) -> None:
    assert survey.question("party").values is None
    trust = survey.question("trust", layout="letters")
    # the step without a label is its number: so all are numbers, and the labels a legend
    assert trust.text == "Trust? (1 = no, 2 = some, 4 = full)"
    assert trust.options == ("1", "2", "3", "4") and trust.values == (1, 2, 3, 4)
    age = survey.question("age", layout="letters")
    assert age.values == tuple(range(20, 72)) and age.layout == "text"
    with pytest.raises(ValueError, match="item 'w': its numbers are not whole"):
        survey.question("w")


def test_a_survey_to_ask(survey: sk.Survey) -> None:
    asked = survey.asking(["party", "trust"], ["age", "sex"])
    assert list(asked.questions) == ["party", "trust"] and asked.told["trust"] == ("age", "sex")
    assert asked.people["party"].tolist() == ["left", "{none}", "right", None]
    # options are numbered from 0; code 3 is the third
    assert asked.answers("party").tolist()[:3] == [0, 2, 1]
    assert asked.answers("trust").tolist() == [1, 4, 2, 2]
    assert asked.designs["party"]["context"][0] == "Aged 34. Sex: male."
    assert asked.tells["trust"] == "Trust? {answer}."
    sampling = asked.sampling()
    assert sampling["weights"].tolist() == [0.5, 1.5, 1, 1]
    assert sampling["cluster"].tolist() == [1, 1, 2, 2]
    prompt = asked.questions["party"].prompts(asked.designs["party"])[1]
    assert prompt == "Sex: female.\nQuestion: Party {of} choice?\nAnswer:"
    for ask, tell, message in (
        ([], ["sex"], "ask is empty; name items: sex, age"),
        (["sex"], [], "tell is empty"),
        (["sex"], ["sex"], "'sex' is asked and told"),
        (["sex"], ["part"], "'part' has the name of a design's column"),
    ):
        with pytest.raises(ValueError, match=message):
            survey.asking(ask, tell)


def test_weights_and_margins_rake_the_survey(survey: sk.Survey) -> None:
    margin = personas.Margin("sex", {1: 0.6, 2: 0.4}, source="a census")
    raked = personas.rake([margin], survey.people, weight=survey.weights)
    # men 0.5 : 1 of 0.6, women 1.5 : 1 of 0.4
    assert raked.frame["weight"].round(3).tolist() == [0.2, 0.24, 0.16, 0.4]
    told = survey.personas(["sex"], personas.draw(raked, 10, seed=1))
    assert (told["context"] == "Sex: male.").sum() == 6


def codes() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.integers(-5, 20),
        st.floats(0.25, 9.75).map(lambda x: round(x, 2)),
        st.text("abc", min_size=1),
    )


texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs")), min_size=1
)


@settings(max_examples=40, deadline=None)
@given(
    items=st.dictionaries(
        st.text("abcdefg", min_size=1, max_size=4),
        st.builds(
            SurveyItem,
            texts,
            st.dictionaries(codes(), texts, max_size=4),
            st.sampled_from([s for s in SCALES if s != "multi-select"]),
            st.dictionaries(codes(), texts, max_size=3),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_code_book_comes_back_from_parquet(
    tmp_path_factory: pytest.TempPathFactory, items: dict[str, SurveyItem]
) -> None:
    people = pd.DataFrame({name: [1.5, None] for name in items})
    rows = [(n, 1, c, why) for n, item in items.items() for c, why in item.missing.items()]
    missing = pd.DataFrame(rows, columns=["column", "row", "code", "reason"])
    survey = sk.Survey("any", people, items=items, missing=missing, notes=("ä", "b"))
    path = tmp_path_factory.getbasetemp() / "any.parquet"
    survey.to_parquet(path)
    again = sk.read_survey(path)
    assert again.items == items and again.notes == survey.notes and again.people.equals(people)
    assert again.missing.values.tolist() == missing.values.tolist()
    assert again.codebook().astype(str).equals(survey.codebook().astype(str))


@settings(max_examples=40, deadline=None)
@given(
    labels=st.dictionaries(st.integers(0, 20), texts, min_size=2, max_size=5).filter(
        lambda d: len({" ".join(t.split()) for t in d.values()}) == len(d)
    ),
    draws=st.lists(st.integers(0, 4), min_size=1, max_size=20),
)
def test_a_sav_file_and_a_code_book_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, labels: dict[int, str], draws: list[int]
) -> None:
    """Labels written by pyreadstat are those of the book; every answer finds its text."""
    pyreadstat = pytest.importorskip("pyreadstat")
    keys = list(labels)
    values = [keys[i % len(keys)] for i in draws]
    folder = tmp_path_factory.getbasetemp()
    frame = pd.DataFrame({"x": pd.Series(values, dtype=float)})
    pyreadstat.write_sav(
        frame, str(folder / "x.sav"), variable_value_labels={"x": labels},
        variable_measure={"x": "nominal"},
    )  # fmt: skip
    frame.to_csv(folder / "x.csv", index=False)
    book = {"x": {"labels": labels, "scale": "nominal"}}
    kept = {"keep": ["x"]}  # a label may happen to say "NA"
    one = sk.read_survey(folder / "x.sav", **kept)
    two = sk.read_survey(folder / "x.csv", book=book, **kept)
    assert one.items == two.items and one.people.equals(two.people)
    told = one.personas(["x"])["x"].tolist()
    assert told == [" ".join(labels[v].split()) for v in values]
    one.to_parquet(folder / "x.parquet")
    assert sk.read_survey(folder / "x.parquet").people.equals(one.people)


def test_a_stored_survey_is_whole(tmp_path: Path, survey: sk.Survey) -> None:
    path = tmp_path / "survey.parquet"
    survey.to_parquet(path)
    again = sk.read_survey(path)
    assert again.items == ITEMS and (again.weights, again.clusters) == ("w", "psu")
    assert again.people.equals(PEOPLE) and again.name == "small"
    with pytest.raises(ValueError, match="was read before; give its path alone"):
        sk.read_survey(path, weights="w")


def test_a_check_all_item_is_asked_and_its_people_compared() -> None:
    people = pd.DataFrame({"owns: a car": [1, 0, None], "owns: a {bike}": [1, 1, None]})
    item = SurveyItem("What do you own?", {1: "a car", 2: "a {bike}"}, "multi-select")
    survey = Survey(
        "small", people, items={"owns": item, "age": SurveyItem("Age", scale="numeric")}
    )
    battery = survey.check_all("owns", wording="Do you own {option}?")
    assert list(battery.questions) == list(people)
    lm = sk.load(lambda prompt: {"yes": 0.75 if "car" in prompt else 0.25, "no": 0.25})
    who = pd.DataFrame({"person": [0], "context": ["A survey."]})
    found = personas.selections(partial(sk.believe, lm, least_mass=0), battery, who, ask="apart")
    # 0.75 / (0.75 + 0.25) of a car, 0.25 / (0.25 + 0.25) of a bike.
    assert found.beliefs["belief"].tolist() == pytest.approx([0.75, 0.5])
    shares = est.selection_shares(survey.people).frame["estimate"]
    assert shares["owns: a car"] == 0.5 and shares["owns: a {bike}"] == 1
    with pytest.raises(ValueError, match=r"age.*one answer"):
        survey.check_all("age")
    with pytest.raises(ValueError, match="check_all"):
        survey.question("owns")


@pytest.mark.parametrize(
    ("labels", "seen", "options"),
    [
        ({10: "low", 20: "mid", 30: "high"}, [10, 30], ["low", "mid", "high"]),
        ({1: "a", 2: "b", 3: "c", 5: "other"}, [1, 5], ["a", "b", "c", "other"]),
        ({1: "bad", 5: "good"}, [1, 5], ["1", "2", "3", "4", "5"]),
        ({0: "bad", 1: "so", 2: "good", 4: "best"}, [3, 0], ["0", "1", "2", "3", "4"]),
        ({1: "bad", 1000: "good"}, [1, 1000], ["bad", "good"]),
    ],
)
def test_no_step_is_made_up(labels: dict[int, str], seen: list[int], options: list[str]) -> None:
    asked = SurveyItem("Q?", labels, "ordinal").question(pd.Series(seen))
    assert list(asked.options) == options


def test_columns_of_a_design_are_not_told() -> None:
    frame = pd.DataFrame({"person": [1, 2], "context": [1, 2]})
    items = {name: SurveyItem(name, scale="numeric") for name in frame}
    for name in frame:
        with pytest.raises(ValueError, match=f"'{name}' has the name of a design's column"):
            sk.Survey("small", frame, items=items).personas([name])


def test_who_skipped_an_option_did_not_tick_none() -> None:
    frame = pd.DataFrame({"own: car": [0, 0, 1.0], "own: bike": [0, np.nan, np.nan]})
    items = {"own": SurveyItem("Own?", {"c": "car", "b": "bike"}, "multi-select")}
    told = sk.Survey("small", frame, items=items).personas(["own"])
    assert told["context"].tolist() == ["Own? none of these.", "", "Own? car."]
