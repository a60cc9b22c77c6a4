"""Interviews with the survey world's exact probabilities in the model's place."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit.personas import (
    Battery,
    Item,
    describe,
    interview,
    likert,
    numeric,
    show,
)
from simkit.questions import Question
from simkit.worlds import survey

ASKED = {survey.question(name).text: name for name in survey.QUESTIONS}
READ = {
    "nothing": "The respondent read nothing more.",
    "running costs": "The respondent read about running costs.",
    "charging network": "The respondent read about the charging network.",
}


def table(question: Question, design: pd.DataFrame, p: np.ndarray) -> pd.DataFrame:
    """What `simkit.believe` returns, from probabilities (rows, options)."""
    n, k = p.shape
    return pd.DataFrame({
        "prompt_id": np.repeat(np.arange(n), k), "option": question.options * n,
        "option_id": np.tile(np.arange(k), n),
        "value": np.tile(question.values or [np.nan] * k, n),
        "belief": (p / p.sum(1, keepdims=True)).ravel(), "valid_mass": np.repeat(p.sum(1), k),
    })  # fmt: skip


def world(question: Question, design: pd.DataFrame) -> pd.DataFrame:
    """The truth in a model's place; it reads the design's columns as a model reads the prompt."""
    return table(question, design, survey.exact(design, ASKED[question.text]))


def ask(name: str, **how: Any) -> Item:
    titles = {"ev_before": "Electric car next, 0 to 100", "ev_after": "Electric car now, 0 to 100",
              "vehicle": "Next car", "news_days": "TV news, days a week"}  # fmt: skip
    title = titles[name] if name in titles else survey.ITEMS[name][0]
    own = "{value:g}" if survey.question(name).options[0].isdigit() else "{answer}"
    return Item(name, survey.question(name), tell=f"{title}: {own}", **how)


def respondents(n: int, seed: int = 1) -> pd.DataFrame:
    drawn = survey.respondents(n, seed)[[*survey.DEMOGRAPHICS, "information"]]
    return drawn.assign(
        person=np.arange(n),
        context=describe(drawn.assign(survey="said"), survey.SENTENCES),
        read=drawn["information"].map(READ),
    )


OPINIONS = ("climate", "fuel_tax", "gadgets")
PEOPLE = respondents(1_200)


@pytest.mark.parametrize("joint", [True, False])
def test_joint_interviews_recover_the_correlation_and_single_questions_do_not(joint: bool) -> None:
    people = PEOPLE.drop(columns="information")
    found = interview(world, Battery(map(ask, OPINIONS), "random"), people, joint=joint, seed=3)
    grade = {word: i for i, word in enumerate(survey.AGREEMENT)}
    scores = np.array([found.answers[name].map(grade) for name in OPINIONS], dtype=float)
    level = "individual" if joint else "demographic"
    truth = survey.item_correlation(level=level).loc[list(OPINIONS), list(OPINIONS)].to_numpy()
    other = survey.item_correlation(level="demographic" if joint else "individual")
    se = 1 / np.sqrt(len(people))
    np.testing.assert_allclose(np.corrcoef(scores), truth, atol=4 * se)
    assert abs(truth - other.loc[list(OPINIONS), list(OPINIONS)]).max(axis=None) > 8 * se
    for name in OPINIONS:
        share = found.answers[name].value_counts(normalize=True).reindex(survey.AGREEMENT)
        np.testing.assert_allclose(share, survey.marginal(name), atol=4 * 0.5 * se)


def test_prompts_are_the_worlds_own_to_the_letter() -> None:
    battery = Battery([*map(ask, (*OPINIONS, "news_days", "ev_before"))], "random")
    people = PEOPLE.head(60).drop(columns="information")
    found = interview(world, battery, people, seed=5)
    last = found.turns[found.turns["turn"] == 4].sort_values("person")
    told = found.answers.reset_index(drop=True)
    orders = [order[:-1] for order in told["asked"]]
    design = survey.design(told, answered=orders)
    assert last["context"].tolist() == design["context"].tolist()
    assert last["item"].tolist() == [order[-1] for order in told["asked"]]
    # What the model believed there is exact given all that was said.
    for name, part in last.groupby("item"):
        beliefs = found.beliefs[(found.beliefs["item"] == name) & (found.beliefs["turn"] == 4)]
        expected = survey.exact(design.iloc[part["person"]], str(name))
        np.testing.assert_allclose(beliefs["belief"].to_numpy().reshape(expected.shape), expected)


def test_the_electric_car_module_recovers_the_shift() -> None:
    battery = Battery([ask("ev_before"), show("information", "{read}"), ask("ev_after")])
    found = interview(world, battery, PEOPLE, seed=2)
    last = found.turns[found.turns["item"] == "ev_after"].reset_index(drop=True)
    first = found.answers["ev_before"].map("{:g}".format)
    expected = PEOPLE["context"] + "\nElectric car next, 0 to 100: " + first + "\n" + PEOPLE["read"]
    assert last["context"].tolist() == expected.tolist()
    shift = found.answers["ev_after"] - found.answers["ev_before"]
    for shown, part in shift.groupby(PEOPLE["information"]):
        row = pd.DataFrame({"information": [shown]})
        p, q = survey.exact(row, "ev_after")[0], survey.exact(row, "ev_before")[0]
        truth = (p - q) @ np.arange(0, 101, 10)
        assert part.mean() == pytest.approx(truth, abs=4 * part.std() / np.sqrt(len(part)))
    alone = interview(world, battery, PEOPLE.head(5), seed=2, joint=False)
    told = alone.turns[alone.turns["item"] == "ev_after"]["context"].reset_index(drop=True)
    assert told.tolist() == (PEOPLE["context"] + "\n" + PEOPLE["read"]).head(5).tolist()
    assert found.answers["ev_after"].dtype == alone.answers["ev_before"].dtype == float


def test_nobodys_answers_depend_on_who_else_is_asked() -> None:
    battery = Battery(map(ask, OPINIONS), "random")
    people = PEOPLE.head(40).drop(columns="information")
    all_ = interview(world, battery, people, seed=9).answers
    some = interview(world, battery, people.iloc[[31, 4, 17]], seed=9).answers
    pd.testing.assert_frame_equal(all_.iloc[[31, 4, 17]], some)
    other = interview(world, battery, people, seed=10).answers
    assert (all_[list(OPINIONS)] != other[list(OPINIONS)]).any(axis=None)
    assert (all_["asked"] != other["asked"]).any()


YES = Question("Do you drive?", ["yes", "no"])
KM = numeric("How far a day?", 0, 20, 10)
SMALL = pd.DataFrame({
    "person": ["u", "v", "w", "x"], "context": "A survey.", "drives": [1.0, 0.0, np.nan, 1.0],
}, index=[5, 6, 7, 8])  # fmt: skip


def small(question: Question, design: pd.DataFrame) -> pd.DataFrame:
    """Certain answers: drivers drive 10 km. Whose `drives` is missing says nothing valid."""
    drives = design["drives"].to_numpy()
    if question is YES:
        p = np.stack([drives, 1 - drives], axis=1) * 0.8
        out = table(question, design, p)
        return out.assign(valid_mass=out["valid_mass"].fillna(0))
    return table(question, design, np.tile([0.0, 0.5, 0.0], (len(design), 1)))


def test_skips_and_missing_answers_are_counted() -> None:
    battery = Battery([Item("yes", YES), Item("km", KM, ask_if={"yes": "yes"})])
    found = interview(small, battery, SMALL)
    assert found.answers["yes"].tolist() == ["yes", "no", None, "yes"]
    np.testing.assert_array_equal(found.answers["km"], [10, np.nan, np.nan, 10])
    assert list(found.answers.index) == [5, 6, 7, 8]
    assert found.answers["asked"].tolist() == [("yes", "km"), ("yes",), ("yes",), ("yes", "km")]
    report = found.report
    assert report.loc["yes"].tolist() == pytest.approx([4, 0, 3, 0.75, 0.6, 0.0])  # .8 × 3 / 4
    assert report.loc["km"].tolist() == pytest.approx([2, 2, 2, 1.0, 0.5, 0.5])
    # The choice is undefined where the belief is.
    choice = found.beliefs.set_index(["person", "item", "option"])["choice"]
    assert (
        choice[("u", "yes", "yes")] == choice[("v", "yes", "no")] == choice[("x", "km", "10")] == 1
    )
    assert choice[("u", "yes", "no")] == 0
    assert np.isnan(choice[("w", "yes", "yes")])
    assert found.beliefs.groupby("prompt_id")["person"].nunique().eq(1).all()
    assert found.beliefs["prompt_id"].nunique() == 6
    assert "4 people, earlier answers told, seed 0" in repr(found)
    nobody = interview(small, Battery([Item("km", KM, ask_if={"drives": 7})]), SMALL)
    assert nobody.report.loc["km", "skipped"] == 4
    assert np.isnan(nobody.report.loc["km", "success"])
    assert nobody.turns.empty and nobody.beliefs.empty


def test_a_missing_answer_is_not_told() -> None:
    battery = Battery([Item("yes", YES), Item("km", KM)])
    told = interview(small, battery, SMALL).turns.set_index(["person", "item"])["context"]
    assert told[("u", "km")] == "A survey.\nQuestion: Do you drive?\nAnswer: yes"
    assert told[("w", "km")] == "A survey."


def test_given_orders_and_piped_answers() -> None:
    battery = Battery(
        [Item("yes", YES), Item("km", numeric("You said {yes}. How far?", 0, 20, 10))]
    )
    seen: list[str] = []

    def believe(question: Question, design: pd.DataFrame) -> pd.DataFrame:
        seen.extend(question.prompts(design))
        return small(question, design)

    interview(believe, battery, SMALL.iloc[[0]])
    assert "Question: You said yes. How far?" in seen[1]
    plain = Battery([Item("yes", YES), Item("km", KM)])
    orders = [("km", "yes"), ("yes", "km"), ("yes", "km"), ("km", "yes")]
    assert interview(small, plain, SMALL, orders=orders).answers["asked"].tolist() == orders
    with pytest.raises(ValueError, match="2 orders for 4 people"):
        interview(small, plain, SMALL, orders=orders[:2])
    with pytest.raises(ValueError, match="once"):
        interview(small, plain, SMALL, orders=[("km",)] * 4)


@pytest.mark.parametrize(
    ("people", "message"),
    [
        (SMALL.iloc[:0], "no people"),
        (SMALL.drop(columns="context"), "no column 'context'"),
        (SMALL.drop(columns="person"), "no column 'person'"),
        (SMALL.assign(context=["a", None, "b", "c"]), "context: row 6 holds"),
        (SMALL.assign(person=["u", "v", "v", "w"]), "person 'v' is there twice"),
        (SMALL.assign(yes="yes"), "a column 'yes', where answers go"),
        (SMALL.assign(asked=1), "a column 'asked'"),
    ],
)
def test_bad_people_are_refused(people: pd.DataFrame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interview(small, Battery([Item("yes", YES)]), people)


def test_a_believe_that_answers_something_else_is_refused() -> None:
    battery = Battery([Item("yes", YES)])
    with pytest.raises(ValueError, match="yes: what believe returned: no column 'belief'"):
        interview(lambda q, d: small(q, d).drop(columns="belief"), battery, SMALL)
    with pytest.raises(ValueError, match="7 rows; it must return 4 prompts × 2 options"):
        interview(lambda q, d: small(q, d).iloc[:-1], battery, SMALL)
    shuffled = interview(lambda q, d: small(q, d).iloc[::-1], battery, SMALL)
    assert shuffled.answers["yes"].tolist() == ["yes", "no", None, "yes"]


def test_questions_that_list_their_options_are_told_with_them() -> None:
    listed = likert("How is it: {options}?", 2, ["bad", "good"], template="{context}\n{question}")
    battery = Battery([Item("a", listed), Item("yes", YES)])

    def believe(question: Question, design: pd.DataFrame) -> pd.DataFrame:
        return table(question, design, np.tile([0.0, 1.0], (len(design), 1)))

    told = interview(believe, battery, SMALL).turns["context"].iloc[-1]
    assert told == "A survey.\nQuestion: How is it: bad, good?\nAnswer: good"


def test_it_takes_believe_itself() -> None:
    model = sk.MockModel(lambda prompt: {"yes": 0.6, "no": 0.2, "A": 0.3, "B": 0.3})
    listed = Question("Which car?", ["petrol", "electric"], layout="letters")
    battery = Battery([Item("yes", YES), Item("car", listed)])
    found = interview(partial(sk.believe, model), battery, SMALL, seed=8)
    assert found.report["valid_mass"].tolist() == pytest.approx([0.8, 0.6])
    assert found.beliefs["belief"].tolist() == pytest.approx([0.75, 0.25] * 4 + [0.5] * 8)
    assert set(found.beliefs["model"]) == {"mock"}
    assert set(found.answers["car"]) <= {"petrol", "electric"}
    assert (
        found.turns["context"].iloc[-1].startswith("A survey.\nQuestion: Do you drive?\nAnswer: ")
    )
