"""The interfaces whose responses are read: one module a family.

Each becomes `Draft` objects, one per run, in which the tokens fit the text. Another interface is a
module with `FAMILIES` (see `layout.Family`; `ollama.py` is a short one) and its name in `_MODULES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from simkit.scoring.pivot.payloads.draft import Draft
from simkit.types import shown

if TYPE_CHECKING:
    from simkit.scoring.pivot.payloads.layout import Family

# The first that knows a response reads it, so those come first whose marks are special.
_MODULES = ("vllm", "sglang", "tgi", "llamacpp", "gemini", "ollama", "openai")
_OTHERS = {
    "answers": "of a decision interface, which has beliefs and no text: no run is in it; the "
    "probabilities of its `answers` are the beliefs themselves",
    "stop_reason": "of Anthropic's interface, which gives no log-probabilities; sample answers "
    "instead, and count them",
}


@cache
def families() -> tuple[Family, ...]:
    """All interfaces. They are imported when the first response is read: pydantic takes a while."""
    modules = [import_module(f"{__name__}.{name}") for name in _MODULES]
    return tuple(family for module in modules for family in module.FAMILIES)


def drafts(body: Mapping[str, Any], first: int, place: str) -> list[tuple[str, Draft]]:
    """The runs of a response, each with what errors call it.

    first : the number of its first run. place : where the response stands, as " (line 3)".
    """
    family = _family(body, f"run {first}{place}")
    try:
        parts = family.runs(body)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"run {first}{place}: {error}") from error
    runs = []
    for number, part in enumerate(parts, first):
        run = f"run {number}{place}"
        try:
            runs.append((run, family.draft(part, run)))
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError) as error:
            raise ValueError(f"{run}: it is not laid out as {family.name}: {error}") from error
    return runs


def _family(body: Mapping[str, Any], run: str) -> Family:
    """The interface that a response comes from, by the fields that it has."""
    for family in families():
        if family.knows(body):
            return family
    fault = f"{run}: neither output nor choices with message or text in {shown(list(body))}"
    for mark, whose in _OTHERS.items():
        if mark in body:
            raise ValueError(f"{fault}: it is {whose}")
    known = ", ".join(dict.fromkeys(family.name for family in families()))
    raise ValueError(f"{fault}; interfaces that are read: {known}")
