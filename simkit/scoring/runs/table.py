"""The table of runs: one row per design row × run × option."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.questions import Question
from simkit.scoring.engine.precision import SLACK
from simkit.scoring.runs.ends import End
from simkit.scoring.temperature import _tempered
from simkit.types import FloatArray, IntArray

__all__ = ["columns", "frame", "near_borders"]


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
    belief[answered] = _tempered(logprob[answered].ravel(), whose, t).reshape(-1, k)
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


def near_borders(
    logprob: FloatArray, number: IntArray, u: FloatArray, temperature: float
) -> IntArray:
    """Which ends (rows of logprob) have a run whose choice rounding in float32 could decide.

    number : (runs,) the end of each run. u : (runs,) what its choice is drawn by.
    """
    n, k = logprob.shape
    size = np.where(np.isfinite(logprob), np.abs(logprob), 0).max(1, initial=1)
    error = SLACK * np.finfo(np.float32).eps * size
    with np.errstate(invalid="ignore"):  # no answer, or one of no probability
        if temperature == 0:
            top = np.sort(logprob, axis=1)
            return np.flatnonzero(top[:, -1] - top[:, -2] < error)
        whose, t = np.repeat(np.arange(n), k), np.full(n * k, temperature)
        borders = _tempered(logprob.ravel(), whose, t).reshape(n, k).cumsum(1)
        gap = np.abs(borders[number, :-1] - u[:, None]).min(1)
        return np.unique(number[gap < error[number] / temperature])


def frame(question: Question, design: pd.DataFrame, runs: int) -> pd.DataFrame:
    """The table's rows without the numbers: design row × run × option."""
    n, k = len(design), len(question.options)
    rows = np.repeat(np.arange(n), runs * k)
    table = design.iloc[rows].reset_index(drop=True)
    table["prompt_id"] = rows
    table["run"] = np.tile(np.repeat(np.arange(runs), k), n)
    options = np.array(question.options_for(design), dtype=object)
    table["option"] = np.repeat(options, runs, axis=0).ravel()
    table["option_id"] = np.tile(np.arange(k), n * runs)
    if question.values is not None:
        table["value"] = np.tile(question.values, n * runs)
    return table
