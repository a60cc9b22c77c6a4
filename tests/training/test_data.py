"""Examples are what scoring asks, and nobody is in two parts of a split."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from simkit.questions import Question
from simkit.scoring import BoundaryError, LocalModel
from simkit.scoring.chat import Chat, chat_prompts
from simkit.training import examples, split_respondents
from simkit.training.data import subset
from simkit.training.packing import encode
from tests.training.conftest import AGREE, DAYS, QUESTIONS, survey, tiny_tokenizer


def test_one_row_per_answer_with_the_prompt_that_scoring_builds(data: pd.DataFrame) -> None:
    people = survey()
    assert len(data) == 2 * 24 - 1  # person 3 gave one answer
    assert data.attrs["unanswered"] == 1
    agree = data[data["question"] == "agree"]
    assert agree["prompt"].tolist() == AGREE.prompts(people)
    assert agree["options"].tolist() == [(" no", " yes")] * 24
    assert agree["option"].tolist() == people["agree"].tolist()
    assert agree["value"].isna().all()
    assert agree["values"].isna().all()
    days = data[data["question"] == "days"]
    assert days["respondent"].tolist() == [i for i in people.index if i != "p3"]
    assert set(days["option"]) == {"2", "10"}
    assert set(zip(days["option_id"], days["value"], strict=True)) == {(1, 2.0), (2, 10.0)}
    assert days["values"].tolist() == [(0.0, 2.0, 10.0, 25.0)] * 23


def test_who_answered_what_can_stand_elsewhere() -> None:
    people = survey(4).assign(who=[7, 7.0, "x", 9])
    said = people[["agree"]]
    asked = people.drop(columns=["agree", "days"])
    found = examples(asked, {"agree": AGREE}, said, respondent="who", weights="weight")
    assert found["respondent"].tolist() == [7, 7, "x", 9]
    assert found["weight"].tolist() == [1, 2, 3, 1]
    assert examples(asked, {"agree": AGREE}, said)["weight"].tolist() == [1] * 4


def test_answers_are_paired_by_label_or_refused() -> None:
    people = survey(4)
    asked, said = people[["context"]], people[["agree"]]
    whole = examples(asked, {"agree": AGREE}, said)
    other = examples(asked, {"agree": AGREE}, said.iloc[[2, 0, 3, 1]])
    pd.testing.assert_frame_equal(other, whole)
    assert whole["option"].tolist() == people["agree"].tolist()
    with pytest.raises(ValueError, match="design has a row 'p0' and answers has none"):
        examples(asked, {"agree": AGREE}, said.reset_index(drop=True))


def test_labels_follow_the_order_in_which_a_row_lists_them() -> None:
    fruit = Question("Best?", ["apple", "pear", "plum"], layout="letters")
    people = pd.DataFrame({"best": ["pear"] * 40})
    found = examples(people, {"best": fruit})
    assert set(found["option_id"]) == {1}
    for prompt, options, k in zip(
        found["prompt"], found["options"], found["option_id"], strict=True
    ):
        label = options[k].strip()
        assert f"\n{label}. pear\n" in prompt
    counts = found["prompt"].value_counts()
    assert len(counts) == 3  # the three cyclic shifts, each drawn some of the time
    again = examples(people.iloc[5:], {"best": fruit})
    assert again["prompt"].tolist() == found["prompt"].tolist()[5:]  # a row's draw is its own
    assert examples(people, {"best": fruit}, seed=1)["prompt"].tolist() != found["prompt"].tolist()
    assert examples(people, {"best": fruit}, orders=None)["prompt"].nunique() == 1


def test_chats_are_laid_out_as_in_scoring(model: LocalModel) -> None:
    tokenizer = copy.deepcopy(model.tokenizer)
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    talker, people = replace(model, tokenizer=tokenizer), survey(3)
    chat = Chat(system="You are one of {weight}.")
    found = examples(people, {"agree": AGREE}, model=talker, chat=chat)
    assert found["prompt"].tolist() == chat_prompts(talker, AGREE.prompts(people), chat, people)
    assert examples(people, {"agree": AGREE}, model=talker, chat=True)["prompt"][0].endswith(
        "assistant: Answer:"
    )
    with pytest.raises(ValueError, match="chat needs a model"):
        examples(people, {"agree": AGREE}, chat=True)


def test_what_is_no_answer_is_named() -> None:
    people = survey(4)
    people.loc["p2", "days"] = 11
    with pytest.raises(ValueError, match=r"days: .* 'p2' answered 11.0; must be one of 0, 2"):
        examples(people, QUESTIONS)
    people.loc["p1", "agree"] = "maybe"
    with pytest.raises(ValueError, match="'p1' answered 'maybe'; must be one of no, yes"):
        examples(people, {"agree": AGREE})
    with pytest.raises(ValueError, match="answers have no column 'colour'"):
        examples(people, {"colour": AGREE})
    with pytest.raises(ValueError, match="nobody answered any of the questions days"):
        examples(people.assign(days=None), {"days": DAYS})
    with pytest.raises(ValueError, match="weight: row 'p0' holds 0"):
        examples(people.assign(weight=0), {"agree": AGREE}, weights="weight")


def test_a_text_longer_than_the_model_reads_is_refused(model: LocalModel) -> None:
    frame = examples(survey(2), {"days": DAYS})
    too_long = frame.assign(prompt=frame["prompt"] + " x" * 50)
    with pytest.raises(ValueError, match="row 0: prompt and answer are"):
        encode(too_long, model.tokenizer, limit=model.context_length)


def test_the_reader_of_scoring_checks_the_boundary() -> None:
    split = Question("Best is a t", ["op", "ip"], template="{question}", separator="")
    frame = examples(pd.DataFrame({"q": ["op"]}), {"q": split})
    with pytest.raises(BoundaryError, match="row 0"):
        encode(frame, tiny_tokenizer(merge=("t", "o")))
    assert len(encode(frame, tiny_tokenizer())) == 1


def test_a_tokenizer_without_an_end_cannot_learn_it(model: LocalModel, data: pd.DataFrame) -> None:
    endless = copy.deepcopy(model.tokenizer)
    endless.eos_token = None
    with pytest.raises(ValueError, match="no end-of-text token"):
        encode(data, endless)


def test_the_split_is_by_person_and_stays_when_people_are_added() -> None:
    few, many = [f"p{i}" for i in range(500)], [f"p{i}" for i in range(2000)]
    small, large = split_respondents(few, seed=3), split_respondents(many, seed=3)
    assert small.tolist() == large.tolist()[:500]
    shares = large.value_counts(normalize=True)
    # standard error of a share of 0.7 among 2000 is 0.010
    assert shares["train"] == pytest.approx(0.7, abs=0.04)
    assert shares["test"] == pytest.approx(0.15, abs=0.03)
    other = split_respondents(many, seed=4)
    assert 0.3 < (other != large).mean() < 0.6  # agreement by chance: 0.49 + 2 * 0.0225 = 0.535


def test_rows_of_one_person_stay_together_whatever_type_the_id_has() -> None:
    rows = pd.Series([3, 1, 3, 2, 1], index=list("abcde"))
    half = {"left": 0.5, "right": 0.5}
    parts = split_respondents(rows, half, seed=1)
    assert parts.index.tolist() == list("abcde")
    assert parts["a"] == parts["c"]
    assert parts["b"] == parts["e"]
    assert split_respondents(rows.astype(float), half, seed=1).equals(parts)
    assert set(split_respondents(range(200), {"all": 1.0, "none": 0.0})) == {"all"}


@pytest.mark.parametrize("fractions", [{"train": 0.7, "test": 0.2}, {"a": 1.5, "b": -0.5}, {}])
def test_shares_that_do_not_sum_to_one_are_refused(fractions: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        split_respondents([1, 2], fractions)


def test_a_missing_id_is_named() -> None:
    with pytest.raises(ValueError, match="row 1: nan"):
        split_respondents([1.0, np.nan])


def test_samples_are_nested(data: pd.DataFrame) -> None:
    small, large = subset(data, 5, 2), subset(data, 9, 2)
    assert small["respondent"].nunique() == 5
    assert set(small["respondent"]) < set(large["respondent"])
    assert set(subset(data, 5, 3)["respondent"]) != set(small["respondent"])
    assert set(subset(data[::-1], 5, 2)["respondent"]) == set(small["respondent"])
    with pytest.raises(ValueError, match="from 1 to 24"):
        subset(data, 25, 0)
