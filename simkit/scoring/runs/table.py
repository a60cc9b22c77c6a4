"""The numbers in the table of runs: one row per design row × run × option."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from simkit.scoring.runs.asked import End
from simkit.scoring.temperature import softmax_within
from simkit.types import FloatArray, IntArray

__all__ = ["columns"]


def columns(
    ends: list[End], of: IntArray, first: FloatArray, logprob: FloatArray, mass: FloatArray,
    temperature: float,
) -> dict[str, npt.NDArray[Any]]:  # fmt: skip
    """The numbers of the table: of each end, then for each run's options."""
    k = logprob.shape[1]
    answered = np.array([end.before is not None for end in ends])
    belief = np.full_like(logprob, np.nan)
    whose = np.repeat(np.arange(answered.sum()), k)
    t = np.full(len(whose), temperature)
    belief[answered] = softmax_within(logprob[answered].ravel(), whose, t).reshape(-1, k)
    every = of.ravel()
    per_run = {
        "valid_mass": mass,
        "reasoning": np.array([end.reasoning for end in ends], dtype=object),
        "reached": answered & ~np.array([end.forced for end in ends]),
        "tokens": np.array([end.tokens for end in ends]),
    }
    spread = {name: np.repeat(values[every], k) for name, values in per_run.items()}
    return {
        "logprob": logprob[every].ravel(),
        "belief": belief[every].ravel(),
        "valid_mass": spread.pop("valid_mass"),
        "choice": _choose(belief[every], first.ravel()).ravel(),
        **spread,
    }


def _choose(belief: FloatArray, u: FloatArray) -> FloatArray:
    """1 for the option that a uniform draws from each row of beliefs, else 0; NaN for no belief."""
    below = belief.cumsum(1)
    drawn = (below <= u[:, None] * below[:, -1:]).sum(1)
    chosen = np.arange(belief.shape[1]) == drawn[:, None]
    return np.where(np.isnan(belief), np.nan, chosen)
