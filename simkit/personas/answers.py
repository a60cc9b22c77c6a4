"""Answers to one question: what a belief function returned, checked and taken down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from simkit.questions import Question
from simkit.types import FloatArray, framed

__all__ = ["KEPT", "Believe", "believed", "drawn", "kept", "stream_name"]

Believe = Callable[[Question, pd.DataFrame], pd.DataFrame]
NEEDED = ("prompt_id", "option", "option_id", "belief")
KEPT = ("option", "option_id", "value", "logprob", "belief", "valid_mass", "model")


def stream_name(who: Any) -> str | int:
    """How a person is called in a seed: 3 whether its column holds int or float, else the text."""
    if isinstance(who, float | np.floating) and float(who).is_integer():
        return int(who)
    return int(who) if isinstance(who, int | np.integer) else str(who)


def believed(believe: Believe, question: Question, name: str, design: pd.DataFrame) -> pd.DataFrame:
    """The table of `believe`, its rows by prompt and option."""
    table = framed(believe(question, design), f"{name}: what believe returned")
    missing = [c for c in NEEDED if c not in table]
    if missing:
        raise ValueError(f"{name}: believe returned no column {missing[0]!r}")
    table = table.sort_values(["prompt_id", "option_id"], kind="stable", ignore_index=True)
    n, k = len(design), len(question.options)
    wanted = np.stack([np.repeat(np.arange(n), k), np.tile(np.arange(k), n)], axis=1)
    if not np.array_equal(table[["prompt_id", "option_id"]].to_numpy(), wanted):
        raise ValueError(
            f"{name}: believe returned {len(table)} rows; legal are {n} prompts × {k} options, "
            "each once (average over orders)"
        )
    return table


def drawn(table: pd.DataFrame, u: FloatArray) -> tuple[dict[str, Any], FloatArray]:
    """The answer that each uniform (n,) draws from its prompt's belief; 1 or 0 per table row."""
    n = len(u)
    belief = table["belief"].to_numpy(dtype=float).reshape(n, -1)
    option = table["option"].to_numpy(dtype=object).reshape(n, -1)
    value, mass = (
        table[name].to_numpy(dtype=float).reshape(n, -1) if name in table else belief * np.nan
        for name in ("value", "valid_mass")
    )
    known = ~np.isnan(belief).any(1)
    below = belief.cumsum(1)
    picked = (below <= u[:, None] * below[:, -1:]).sum(1)
    at = np.where(known, np.minimum(picked, belief.shape[1] - 1), 0)
    choice = np.where(known[:, None], np.arange(belief.shape[1]) == at[:, None], np.nan)
    rows = np.arange(n)
    return {
        "option": [o if ok else None for o, ok in zip(option[rows, at], known, strict=True)],
        "value": np.where(known, value[rows, at], np.nan),
        "valid_mass": mass[:, 0],
    }, choice.ravel()


def kept(
    head: Mapping[str, Any], table: pd.DataFrame, choice: FloatArray, before: int
) -> pd.DataFrame:
    """The rows of the long table: who was asked what, then what `believe` says."""
    n = len(head["person"])
    k = len(table) // n
    who = {
        "person": np.repeat(head["person"], k),
        "item": head["item"],
        "turn": np.repeat(head["turn"], k),
        "prompt_id": before + np.repeat(np.arange(n), k),
    }
    return pd.DataFrame({**who, **{c: table[c] for c in KEPT if c in table}, "choice": choice})
