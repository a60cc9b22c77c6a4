"""What a kind of prompt is: the piece of which every world makes its text and its calibration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from simkit.questions import Question
from simkit.types import FloatArray, IntArray

__all__ = ["WORDINGS", "Kind", "Kinds", "Prompts", "wordings"]

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
