"""One field of a good sample spoilt: an error that names run and field, or the same belief."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scoring.payload_samples import PARTS, RUN, SAMPLES
from tests.scoring.test_families import beliefs

BUILDERS = {**SAMPLES, **PARTS}
CLEAN = np.array([[2 / 3, 0.6, 0.7], [1 / 3, 0.3, 0.4]])
WRONG: dict[type, tuple[Any, ...]] = {
    str: (None, 5, [], {}, math.nan),
    float: (None, "x", [], {}, True, math.nan, math.inf),
    int: (None, "x", [], {}, math.nan),
    bool: (None, "x", [], {}, math.nan),
    list: (None, "x", 5, {}, math.nan),
    dict: (None, "x", 5, [], math.nan),
    type(None): ("x", 5, {"a": 1}, math.nan),
}
SHORTENED = (
    "top_logprobs",
    "candidates",
    "output_top_logprobs",
    "top_tokens",
    "probs",
    "prompt_logprobs",
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all fields and items."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*path, key)
            yield from places(value[key], (*path, key))


def spoil(payload: Any, path: tuple[Any, ...], how: str, which: int) -> bool:
    """Change the payload at the path; False if that cannot be done so there."""
    at = payload
    for step in path[:-1]:
        at = at[step]
    value = at[path[-1]]
    if how == "drop":
        if not isinstance(at, dict):
            return False
        del at[path[-1]]
    elif how == "shorten":
        if not isinstance(value, str | list) or not value:
            return False
        at[path[-1]] = value[:-1]
    else:
        wrong = WRONG[type(value)]
        at[path[-1]] = wrong[which % len(wrong)]
    return True


def takes_a_listed_token(path: tuple[Any, ...], how: str, value: Any) -> bool:
    """Whether nothing is gone but a token that was listed: what is left is a shorter list."""
    names = [step for step in path if isinstance(step, str)]
    within = any(name in SHORTENED for name in names)
    null = how == "retype" and value is None and isinstance(path[-1], int | str)
    return within and (how in ("drop", "shorten") or null)


def outcome(name: str, path: tuple[Any, ...], how: str, which: int) -> str:
    payload = json.loads(json.dumps(BUILDERS[name](RUN)))
    if not spoil(payload, path, how, which):
        return "not possible"
    at = payload
    for step in path[:-1]:
        at = at[step]
    value = at.get(path[-1]) if isinstance(at, dict) else at[path[-1]]
    fields = {str(step) for place in places(BUILDERS[name](RUN)) for step in place}
    try:
        found = beliefs(payload)
    except ValueError as error:
        said = str(error)
        assert re.match(r"run \d|\d of \d responses failed", said), said
        plain = {field.replace("_", "").lower() for field in fields if not field.isdigit()}
        words = set(re.findall(r"\w+", said.replace("_", "").lower()))
        no_part = len(path) == 1 and ("is no response" in said or "its JSON is broken" in said)
        assert plain & words or no_part, said
        return "error"
    if (name, path[:1], path[-1]) == ("completions_parts", (0,), "finish_reason"):
        assert len(found) == 4  # the first part looks like a whole answer, and is a run of its own
        return "two"
    assert found.shape == CLEAN.shape, f"{name} {path} {how} {which}: {len(found) / 2} runs"
    if np.isnan(found).all():  # no choice is found in what the text says now
        return "none"
    if np.allclose(found, CLEAN):
        return "same"
    assert takes_a_listed_token(path, how, value), f"{name} {path} {how} {which}: {found}"
    low, high = found[:, 1], found[:, 2]
    assert (low <= CLEAN[:, 0] + 1e-9).all() and (CLEAN[:, 0] <= high + 1e-9).all()
    return "bounds"


@given(st.sampled_from(sorted(BUILDERS)), st.data())
@settings(max_examples=300, deadline=None)
def test_one_spoilt_field_is_named_or_changes_nothing(name: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(list(places(BUILDERS[name](RUN)))))
    outcome(name, path, data.draw(st.sampled_from(["drop", "retype", "shorten"])),
            data.draw(st.integers(0, 6)))  # fmt: skip
