"""What people hand to the functions of pivots by mistake: an error that names it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit.scoring import MockModel, surface_forms

TEXTS = ["I take a.", "b it is"]
NAMES = ["a", "b"]
MODEL = MockModel(lambda prompt: {"a": 0.5, "b": 0.3})
FOUND = sk.find_pivots(TEXTS, NAMES)


def find(**more: Any) -> Any:
    return sk.find_pivots(**{"texts": TEXTS, "alternatives": NAMES, **more})


def at_pivot(**more: Any) -> Any:
    call = {"model": MODEL, "prompts": "Which?", "texts": TEXTS, "pivots": FOUND}
    return sk.belief_at_pivot(**{**call, "alternatives": NAMES, **more})


def recorded(**more: Any) -> Any:
    return sk.belief_recorded(**{"recorded": [], "pivots": [], "alternatives": NAMES, **more})


CALLS: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (find, {"texts": 3}, "texts is 3; it must be a list"),
    (find, {"texts": ["a", None]}, "run 1: text is None"),
    (find, {"alternatives": None}, "alternatives is None; it must be a list"),
    (find, {"alternatives": {"a", "b"}}, "alternatives is {.*it must be a list"),
    (find, {"alternatives": {"a": None, "b": "b"}}, "alternative 'a': forms is None"),
    (find, {"alternatives": ["a", 2]}, "option 2 is empty or not text"),
    (find, {"anchors": 3}, "anchors is 3; it must be a list"),
    (find, {"anchors": [3]}, r"an anchor of \[3\] is empty, or neither text"),
    (find, {"anchors": re.compile(b"x")}, "neither text nor a compiled pattern of text"),
    (find, {"rule": ["first"]}, r"no rule \['first'\]"),
    (find, {"rule": ""}, "no rule ''"),
    (at_pivot, {"model": "glassbox"}, "load it first"),
    (at_pivot, {"prompts": 3}, "prompts is 3; it must be a list"),
    (at_pivot, {"prompts": ["x", 3]}, "texts and prompts must be strings"),
    (at_pivot, {"pivots": [1, 2]}, r"pivots is \[1, 2\]; it must be a DataFrame"),
    (at_pivot, {"pivots": pd.concat([FOUND, FOUND["start"]], axis=1)}, "'start' stands twice"),
    (at_pivot, {"pivots": FOUND.assign(start="x")}, "run 0: its pivot is at 'x'"),
    (at_pivot, {"pivots": FOUND.assign(start=0.5)}, "run 0: its pivot is at 0.5"),
    (at_pivot, {"read": 3}, "read is 3; it must be a list"),
    (at_pivot, {"read": ["all"]}, r"read is \['all'\]; it must be a list of"),
    (recorded, {"recorded": [{"choices": []}]}, "run 0: {'choices': .* is no Recorded; see"),
    (recorded, {"recorded": 3}, "recorded is 3; it must be a list"),
    (sk.count_pivots, {"table": [1]}, r"the table is \[1\]; it must be a DataFrame"),
    (surface_forms, {"alternatives": 3}, "alternatives is 3; it must be a list"),
]


@pytest.mark.parametrize(("call", "given", "message"), CALLS)
def test_bad_arguments_are_named(
    call: Callable[..., Any], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        call(**given)


def test_prompts_pair_with_texts_by_label() -> None:
    said = MockModel(lambda prompt: {"a": 0.5, "b": 0.3} if "Tea" in prompt else {"a": 0.1})
    texts = pd.Series(TEXTS, index=[7, 3])
    prompts = pd.Series(["Milk? ", "Tea? "], index=[3, 7])
    table = sk.belief_at_pivot(said, prompts, texts, sk.find_pivots(texts, NAMES), NAMES)
    assert np.exp(table["logprob"]).tolist() == pytest.approx([0.5, 0.3, 0.1, 0.0])
    with pytest.raises(ValueError, match="texts has a row 7 and prompts has none"):
        sk.belief_at_pivot(said, prompts.set_axis([0, 1]), texts, FOUND, NAMES)


def test_one_pivot_for_one_text() -> None:
    assert at_pivot(texts=TEXTS[0], pivots=FOUND[:1])["choice"].tolist() == [1, 0]
