"""What a kind of prompt is: the piece of which every world makes its text and its calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from simkit.questions import Question
from simkit.types import FloatArray, IntArray, integer, labels, listed

__all__ = ["WORDINGS", "Kind", "Kinds", "Prompts", "distinct_wordings", "once", "wordings"]

WORDINGS = 400  # phrasings × orders that training text uses; held-out prompts use others

# A kind builds n prompts, all with one question: the design with its `context`, the question, and
# the true answer probabilities (n, K).
Prompts = tuple[pd.DataFrame, Question, FloatArray]
Kind = Callable[[int, np.random.Generator, bool], Prompts]  # True: held-out phrasings
Kinds = dict[str, tuple[float, Kind]]  # name -> (share of its world's documents, kind)


def wordings(n: int, rng: np.random.Generator, held_out: bool) -> IntArray:
    """A wording per prompt: a quarter the plain one (0), the others of training or held out."""
    drawn = rng.integers(1, WORDINGS, size=n)
    drawn = np.where(rng.random(n) < 0.25, 0, drawn)
    return drawn + WORDINGS if held_out else drawn


def once(name: str, values: Sequence[Any]) -> None:
    """ValueError for a value that is there twice: a copy of a prompt is no new prompt.

    Also for what is no list, and for values that are missing or broken text, naming the place.
    """
    items = listed(values, name)
    labels(pd.Series(items, dtype=object), name, len(items))
    twice = [v for i, v in enumerate(items) if v in items[:i]]
    if twice:
        raise ValueError(f"{name}: {twice[0]!r} is there twice; a copy of a prompt is no new one")


def distinct_wordings(asked: int, texts: Sequence[str]) -> list[int]:
    """The first `asked` wordings whose texts differ; `texts` holds one prompt in wording 0, 1, ...

    Wordings are draws of phrasing and order, and may repeat each other. Raises ValueError for
    fewer than one, or for more than there are.
    """
    integer(asked, "wordings", -1000)
    first: dict[str, int] = {}
    for wording, text in enumerate(texts):
        first.setdefault(text, wording)
    if not 1 <= asked <= len(first):
        raise ValueError(
            f"wordings={asked}: a prompt that says this has {len(first)} distinct phrasings here; "
            f"wordings must be 1 to {len(first)}"
        )
    return list(first.values())[:asked]
