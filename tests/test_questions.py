"""Questions: fields, templates and bad options."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simkit as sk


def test_context_line_is_dropped_where_there_is_none() -> None:
    question = sk.Question("Buy {what}?", ["yes", "no"])
    bare = pd.DataFrame({"what": ["milk"]})
    assert question.prompts(bare) == ["Question: Buy milk?\nAnswer:"]
    assert question.prompts(bare.assign(context="It rains.")) == [
        "It rains.\nQuestion: Buy milk?\nAnswer:"
    ]


def test_options_may_hold_fields() -> None:
    question = sk.Question("How much?", ["${low:.2f}", "${high:.2f}"])
    design = pd.DataFrame({"low": [1.0, 2.0], "high": [3.0, 4.0]})
    assert question.options_for(design) == [["$1.00", "$3.00"], ["$2.00", "$4.00"]]
    with pytest.raises(ValueError, match=r"row 1: option '\$2.00' stands twice"):
        question.options_for(design.assign(high=[3.0, 2.0]))


@pytest.mark.parametrize(
    ("options", "message"),
    [(["yes"], "at least two"), (["a", "a"], "twice"), (["a", " "], "empty"), ("ab", "a list")],
)
def test_bad_options(options: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sk.Question("?", options)


def test_values_must_match_options() -> None:
    with pytest.raises(ValueError, match="3 values for 2 options"):
        sk.Question("?", ["a", "b"], values=[1, 2, 3])


@given(st.text(st.characters(codec="utf-8", exclude_characters="{}\x00"), max_size=40))
def test_design_text_is_taken_as_it_is(text: str) -> None:
    # Braces and all: what a design holds is filled in, never parsed as a template.
    question = sk.Question("Say {word}", ["a", "b"], template="{question}|{word}")
    design = pd.DataFrame({"word": [text + "{price}"]})
    assert question.prompts(design) == [f"Say {text}{{price}}|{text}{{price}}"]
