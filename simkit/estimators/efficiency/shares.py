"""Are the intervals of shares honest? A study repeated many times on runs whose limit is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from simkit.estimators.efficiency.repetition import interval_coverage
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.intervals import score_interval
from simkit.estimators.shared.means import mean_belief, mean_choice
from simkit.estimators.shared.rows import optional_labels, run_matrix
from simkit.result import Result
from simkit.types import FloatArray, IntArray, SeedLike, generator

__all__ = ["share_coverage"]


@checked("belief condition", columns="belief")
def share_coverage(
    belief: Any = "belief",
    *,
    runs: int,
    condition: Any = None,
    repetitions: int = 500,
    alpha: float = 0.05,
    rng: SeedLike = 0,
    data: pd.DataFrame | None = None,
) -> Result:
    """How often the intervals of mean choice and of mean belief from n runs contain the limit.

    The beliefs given are taken as the whole population of runs: in each repetition `runs` of each
    condition's are drawn with replacement, and a choice from each. The limit of both means is then
    the condition's mean belief, without error. Intervals: `mean_choice`, `mean_belief`.

    belief : (n, K) beliefs of n runs. condition : (n,) labels; None is one condition.
    Returns the rows "choice" and "belief" of `interval_coverage`, pooled over conditions, options
    and repetitions; `repetitions` counts intervals. Those of one study are not independent, so
    low and high, Wilson's for that many draws, are widened to the number of studies (repetitions
    x conditions). NaN beliefs are left out and counted.
    Raises ValueError for fewer than 2 runs or repetitions. Source: our formulation.
    """
    for name, number in (("runs", runs), ("repetitions", repetitions)):
        if number < 2:
            raise ValueError(f"{name} is {number}; legal are whole numbers from 2")
    matrix, options = run_matrix(belief, "belief")
    codes, _ = optional_labels(condition, "condition", len(matrix))
    kept = ~np.isnan(matrix).any(axis=1)
    if not kept.any():
        raise ValueError(f"no run to use: none of the {kept.size} has a whole belief")
    matrix, codes = matrix[kept], codes[kept]
    stream = generator(rng, "share coverage") if not isinstance(rng, np.random.Generator) else rng
    parts = [
        _studies(matrix[codes == c], options, runs, repetitions, alpha, stream)
        for c in np.unique(codes)
    ]
    return _pooled(parts, len(options), alpha, int(kept.sum()), int((~kept).sum()))


def _studies(
    pool: FloatArray, options: list[str], runs: int, repetitions: int, alpha: float,
    stream: np.random.Generator,
) -> dict[str, FloatArray]:  # fmt: skip
    """low, high, estimate and truth (repetitions x options) of both methods, in one condition."""
    picked = pool[stream.integers(len(pool), size=repetitions * runs)]
    below = stream.random(len(picked))[:, None] * picked.sum(1, keepdims=True) >= picked.cumsum(1)
    chosen = np.eye(pool.shape[1])[np.minimum(below.sum(1), pool.shape[1] - 1)]
    study: IntArray = np.repeat(np.arange(repetitions), runs)
    out = {"truth": np.tile(pool.mean(0), repetitions)}
    for name, data, estimator in (
        ("choice", chosen, mean_choice), ("belief", picked, mean_belief),
    ):  # fmt: skip
        frame = estimator(pd.DataFrame(data, columns=options), by=study, alpha=alpha).to_frame()
        for column in ("low", "high", "estimate"):
            out[f"{name} {column}"] = frame[column].to_numpy()
    return out


def _pooled(
    parts: list[dict[str, FloatArray]], options: int, alpha: float, n: int, skipped: int
) -> Result:
    names = ["choice", "belief"]
    whole = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    stacked = {
        column: np.column_stack([whole[f"{name} {column}"] for name in names])
        for column in ("low", "high", "estimate")
    }
    truth = np.column_stack([whole["truth"]] * 2)
    result = interval_coverage(**stacked, truth=truth, names=names, alpha=alpha)
    frame = result.to_frame()
    studies = sum(len(part["truth"]) // options for part in parts)
    quantile = float(norm.ppf(1 - alpha / 2))
    low, high = score_interval(frame["estimate"].to_numpy(dtype=np.float64), studies, quantile)
    notes = (f"{skipped} of {n + skipped} runs have no belief",) if skipped else ()
    return Result(
        f"{result.method} of shares", frame.assign(low=low, high=high), n, alpha,
        "our formulation", (*result.notes, *notes), over="repetitions",
    )  # fmt: skip
