"""Scales: their options and values, and what counts as a valid answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simkit as sk
from simkit.personas import likert, numeric, read_answers
from simkit.personas.scales import is_numeric
from simkit.questions import Question


def test_likert() -> None:
    words = likert("Agree?", 3, ["no", "so-so", "yes"])
    assert (words.options, words.values) == (("no", "so-so", "yes"), (1, 2, 3))
    bare = likert("Agree?", 7)
    assert (bare.options[-1], bare.values[-1], bare.text) == ("7", 7, "Agree?")
    ends = likert("Agree?", 5, {5: "fully", 1: "not at all"})
    assert ends.text == "Agree? (1 = not at all, 5 = fully)"
    assert ends.options == ("1", "2", "3", "4", "5")
    assert likert("Agree?", 2, separator="").separator == ""
    for points, labels, message in (
        (1, None, "points is 1"),
        (3, ["a", "b"], "labels is .*; it must be 3 texts, one per point"),
        (3, {4: "x"}, r"the value of a label is 4; it must be one of \[1, 2, 3\]"),
    ):
        with pytest.raises(ValueError, match=message):
            likert("Agree?", points, labels)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "options"),
    [
        ({"low": 0, "high": 3}, ("0", "1", "2", "3")),
        ({"low": 0, "high": 100, "step": 50, "unit": "%"}, ("0%", "50%", "100%")),
        ({"low": 0, "high": 2000, "step": 1000, "unit": "$"}, ("$0", "$1000", "$2000")),
        ({"low": -1, "high": 1, "step": 1, "unit": "$"}, ("-$1", "$0", "$1")),
        ({"low": 0.1, "high": 0.4, "step": 0.1}, ("0.1", "0.2", "0.3", "0.4")),
        ({"low": 0, "high": 1, "step": 0.25, "unit": "cups"},
         ("0.00 cups", "0.25 cups", "0.50 cups", "0.75 cups", "1.00 cups")),
        ({"low": 1, "high": 2, "end": "."}, ("1.", "2.")),
    ],
)  # fmt: skip
def test_numeric(how: dict[str, Any], options: tuple[str, ...]) -> None:
    question = numeric("How many?", **how)
    assert question.options == options
    step = how.get("step", 1)
    assert question.values == tuple(round(how["low"] + i * step, 9) for i in range(len(options)))
    assert is_numeric(question)


def test_words_are_not_numbers() -> None:
    assert not is_numeric(likert("Agree?", 3, ["no", "so-so", "yes"]))
    assert not is_numeric(Question("Which?", ["1", "2"]))
    assert not is_numeric(likert("Age?", 2, ["18 to 34", "35 to 49"]))


@pytest.mark.parametrize(
    ("low", "high", "step", "message"),
    [
        (0, 10, 3, "steps of 3 do not lead from 0 to 10"),
        (5, 5, 1, "do not lead"),
        (0, 1, 0, "step above 0"),
        (0, float("nan"), 1, "they must be numbers"),
        (0, 100_000, 1, "100001 values"),
    ],
)
def test_bad_numeric_scales(low: float, high: float, step: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        numeric("How many?", low, high, step)


def test_an_end_makes_the_belief_in_multi_token_numbers_exact() -> None:
    # A model that writes digit by digit and then stops: P("1") over all that begins so is
    # .1 + .3 + .2, and what is meant by "1" is .1.
    p = {"1": 0.1, "10": 0.3, "11": 0.2, "2": 0.4}
    begun = {str(v): sum(q for k, q in p.items() if k.startswith(str(v))) for v in range(12)}
    model = sk.MockModel(lambda _: {**begun, **{f"{k}.": q for k, q in p.items()}})
    people = pd.DataFrame({"x": [0]})
    closed = sk.believe(model, numeric("How many?", 0, 11, end="."), people)
    assert closed.set_index("value")["belief"][[1.0, 10.0, 11.0, 2.0]].tolist() == pytest.approx(
        [0.1, 0.3, 0.2, 0.4]
    )
    assert closed["valid_mass"].iloc[0] == pytest.approx(1)
    # Left open: 1 has .6, of a total of .6 + .3 + .2 + .4 = 1.5.
    loose = sk.believe(model, numeric("How many?", 0, 11), people).set_index("value")["belief"]
    assert loose[1.0] == pytest.approx(0.6 / 1.5)


CASES = [
    ("3", 3), (" 3.", 3), ("3 days", 3), ("3, or so", 3), ("30", None), ("3.5", None),
    ("3,000", None), ("three", None), ("", None), (None, None), ("10!", 10), ("-3", None),
    ("3rd", None),
]  # fmt: skip


@pytest.mark.parametrize("end", ["", ".", "\n"])
def test_what_a_text_answers(end: str) -> None:
    table = read_answers(numeric("Days?", 0, 10, end=end), [text for text, _ in CASES])
    expected = [np.nan if value is None else float(value) for _, value in CASES]
    np.testing.assert_array_equal(table["value"], expected)
    assert table["valid"].tolist() == [value is not None for _, value in CASES]
    assert table["valid"].mean() == pytest.approx(5 / 13)


def test_words_labels_and_forms_are_read() -> None:
    words = likert("Agree?", 3, ["agree", "agree fully", "unsure"], forms={"unsure": ["?"]})
    found = read_answers(words, ["agree fully.", "agree", "agreed", "Agree", "? no idea"])
    assert found["option_id"].tolist()[:2] == [1, 0]
    assert found["valid"].tolist() == [True, True, False, False, True]
    assert found["answer"].tolist() == ["agree fully", "agree", None, None, "unsure"]
    letters = Question("Which?", ["bus", "car"], layout="letters")
    found = read_answers(letters, ["B. car", "B", "bus", "A)"])
    assert found["answer"].tolist() == ["car", "car", None, "bus"]
    filled = Question("Which?", ["{a}", "none"])
    rows = pd.DataFrame({"a": ["tea", "milk"]})
    assert read_answers(filled, ["tea", "tea"], rows)["answer"].tolist() == ["tea", None]
    with pytest.raises(ValueError, match="2 rows for 1 texts"):
        read_answers(filled, ["tea"], rows)


@given(st.integers(0, 100), st.sampled_from(["", " ", "\n", ".", ", I think", " days"]))
def test_every_value_of_a_scale_reads_as_itself(value: int, after: str) -> None:
    found = read_answers(numeric("How many?", 0, 100), [f" {value}{after}"])
    assert found["value"].tolist() == [value]
