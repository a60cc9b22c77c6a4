"""Kinds of prompts: every world makes its text and its calibration of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from simkit.questions import Question
from simkit.types import FloatArray, IntArray, integer, labels, listed

__all__ = ["WORDINGS", "Build", "Kind", "Kinds", "Prompts", "check_wordings", "leave_out", "once",
           "wordings"]  # fmt: skip

WORDINGS = 400  # phrasings × orders that training text uses; held-out prompts use others

# n prompts, all with one question: the design with its `context`, the question, and the true
# answer probabilities (n, K).
Prompts = tuple[pd.DataFrame, Question, FloatArray]
Build = Callable[[int, np.random.Generator, bool], Prompts]


class Kind(NamedTuple):
    """One kind of prompt.

    Attributes
    ----------
    build : (n, rng, held_out) -> n prompts; held_out asks for phrasings that no training text has.
    share : share of its world's documents; 0 for a kind that is only held out.
    held_out : whether the model is calibrated on it.
    ends : whether an answer ends the text.
    """

    build: Build
    share: float = 0.0
    held_out: bool = True
    ends: bool = True


Kinds = dict[str, Kind]


def wordings(n: int, rng: np.random.Generator, held_out: bool) -> IntArray:
    """A wording per prompt: a quarter the plain one (0), the others of training or held out."""
    numbers = rng.integers(1, WORDINGS, size=n)
    numbers = np.where(rng.random(n) < 0.25, 0, numbers)
    return numbers + WORDINGS * held_out


def leave_out(
    frame: pd.DataFrame, names: Iterable[str], rng: np.random.Generator, *, all_: bool = False
) -> None:
    """Drop attributes (or all of them): how many are stated is even from 0 to all."""
    names = list(names)
    number = 0 if all_ else rng.integers(len(names) + 1, size=(len(frame), 1))
    rank = rng.random((len(frame), len(names))).argsort(1)
    frame[names] = frame[names].where(rank < number, None)


def once(name: str, values: Sequence[Any]) -> None:
    """ValueError for a value that stands twice: a copy of a prompt is no new prompt.

    Also for what is no list, and for values that are missing or broken text, naming the place.
    """
    items = listed(values, name)
    labels(pd.Series(items, dtype=object), name, len(items))
    twice = [v for i, v in enumerate(items) if v in items[:i]]
    if twice:
        raise ValueError(f"{name}: {twice[0]!r} is there twice; a copy of a prompt is no new one")


def check_wordings(wordings: int, largest: int) -> None:
    """ValueError for fewer wordings than one, or more than there are distinct texts."""
    integer(wordings, "wordings", -1000)
    if not 1 <= wordings <= largest:
        raise ValueError(
            f"wordings={wordings}: a prompt has {largest} distinct phrasings here; wordings must "
            f"be 1 to {largest}"
        )
