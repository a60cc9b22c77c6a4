"""The study on a model without adapters: in words, shares asked for directly, in a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit.scoring import MockModel
from simkit.studies.population_finetuning import bounded, evaluation, surveys
from simkit.survey import Survey
from simkit.training import steps_within

pytest.importorskip("peft")


@pytest.fixture(scope="module")
def anes() -> Survey:
    return surveys.anes_survey(words=True)


@pytest.fixture(scope="module")
def small(anes: Survey) -> Survey:
    """Twelve who are learnt from, and one question."""
    sizes = {"train": 8, "validation": 4, "test": 4}
    people = pd.concat([anes.part(part).head(n) for part, n in sizes.items()])
    return replace(anes, people=people, questions={"vote": anes.questions["vote"]})


def test_voters_are_told_and_asked_in_words(anes: Survey) -> None:
    first = anes.part("test").index[0]
    person = anes.people.loc[first]
    prompt = anes.questions["vote"].prompts(anes.designs["vote"].loc[[first]])[0]
    assert prompt.startswith("Whom do you expect to vote for as president?\nA. Bill Clinton\nB. ")
    assert prompt.endswith(f"You are {person.age} years old.\nAnswer:")
    assert "strong Democrat" in " ".join(anes.designs["vote"]["context"])
    assert not any(str(label) in anes.questions["selfLR"].text for label in range(8))
    numbers = surveys.anes_survey()  # the same people and answers
    for question in anes.questions:
        pd.testing.assert_series_equal(anes.answers(question), numbers.answers(question))
        assert anes.questions[question].labels == tuple("ABCDEFGH")[: len(anes.scale(question))]
    assert (anes.people["part"] == numbers.people["part"]).all()


def test_shares_asked_for_directly_are_everybodys_belief(anes: Survey) -> None:
    # Of 100: 75 for one and 25 for the other, with 0.8 of the probability on the numbers.
    mock = MockModel(lambda prompt: {"75": 0.8} if "“Bill Clinton”" in prompt else {"25": 0.8})
    belief, mass = evaluation.direct(anes, mock, "vote", surveys.WHO)
    assert belief.index.equals(anes.part("test").index) and list(belief) == [0.0, 1.0]
    assert belief.to_numpy() == pytest.approx(np.tile([0.75, 0.25], (len(belief), 1)))
    assert mass == pytest.approx(0.8)


def test_options_in_two_orders_are_averaged(anes: Survey) -> None:
    """A model that always says A: in both orders it has half on each of the two."""
    mock = MockModel(lambda prompt: {"A": 0.9})
    given = evaluation.believe(anes, mock, "vote")
    both = evaluation.believe(anes, mock, "vote", orders=[(0, 1), (1, 0)])
    assert evaluation.wide(anes, given, "vote").iloc[0].tolist() == pytest.approx([1, 0])
    assert evaluation.wide(anes, both, "vote").iloc[0].tolist() == pytest.approx([0.5, 0.5])


def test_a_kl_is_worth_as_many_people(anes: Survey) -> None:
    """The mean KL of n people is about (K − 1) / 2n: of 7 answers and 100 people, 0.03.

    It is somewhat more, for rare answers are missing in a small sample.
    """
    many = evaluation.worth(anes, "selfLR", 0.03, seed=1)
    assert 100 < many < 125
    assert evaluation.worth(anes, "selfLR", 0.1, seed=1) < many
    assert evaluation.worth(anes, "selfLR", -0.01, seed=1) == float("inf")
    assert evaluation.worth(anes, "selfLR", 9.0, seed=1) == 0


def test_fewer_are_held_out_where_the_time_is_short(anes: Survey) -> None:
    asked = [(anes, q) for q in anes.questions]
    some, pairs = bounded.fewer(anes, 450, asked, seed=1)
    # 450 prompts, 3 questions, each asked twice, and 3 more of the first: 50 people
    assert len(some.part("test")) == 50 and [q for _, q in pairs] == list(anes.questions)
    assert all(s is some for s, _ in pairs)
    assert set(some.part("test").index) <= set(anes.part("test").index)
    assert some.part("train").equals(anes.part("train"))
    assert len(bounded.fewer(anes, 1, asked, seed=1)[0].part("test")) == bounded.LEAST
    assert len(bounded.fewer(anes, 10**6, asked, seed=1)[0].people) == 944


def test_an_adapter_is_trained_in_a_time_and_taken_again(small: Survey, tmp_path: Path) -> None:
    lm = sk.load("glassbox")
    made = bounded.finetuned_within(lm, small, 1e-6, folder=tmp_path, batch=4)
    assert made.record["steps"] == 1 and made.record["counts"]["respondents"] == 12
    assert made.folder == tmp_path / "anes96-lora"
    again = bounded.finetuned_within(lm, small, 1e-6, folder=tmp_path, batch=4, steps=5)
    assert made.record.items() <= again.record.items()  # it is there already
    few = bounded.finetuned_within(lm, small, 0, respondents=6, steps=2, folder=tmp_path)
    assert few.record["steps"] == 2 and few.folder.name == "anes96-lora-n6"
    bounded.finetuned_within(lm, small, 1e-6, folder=tmp_path, seed=2)
    said = bounded.told(2.0, made, few)
    assert "LoRA on 12 respondents: 1 steps of 4 answers, reduced from 200" in said
    assert "2.7 passes over their 6 answers" in said  # 2 steps of 8 answers: 16 / 6


def test_the_steps_that_a_time_affords(small: Survey) -> None:
    lm = sk.load("glassbox")
    table = evaluation.examples(small, model=lm)
    assert steps_within(lm, table, 0, batch=2) == 1
    many = steps_within(lm, table, 5, batch=2)
    assert many > 20 and many % 10 == 0
    with pytest.raises(ValueError, match="minutes"):
        steps_within(lm, table, -1)
    with pytest.raises(ValueError, match="batch"):
        steps_within(lm, table, 1, batch=0)


def test_cars_are_listed_by_letter_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from simkit import datasets

    rows = 60
    frame = pd.DataFrame({"choice": [f"choice{1 + i % 6}" for i in range(rows)]})
    for name in ("college", "hsg2", "coml5"):
        frame[name] = [float(i % 2) for i in range(rows)]
    for k in range(1, 7):
        frame[f"fuel{k}"], frame[f"type{k}"] = "electric", "van"
        frame[f"price{k}"], frame[f"range{k}"] = 2.0 + k / 2, 100.0 + k
    monkeypatch.setattr(datasets, "load", lambda name: frame)
    survey = surveys.car_survey(n=40, words=True)
    prompt = survey.questions["pick"].prompts(survey.designs["pick"].head(1))[0]
    assert (
        "Your education is" in prompt and "Which vehicle will you buy?\nA. electric van" in prompt
    )
