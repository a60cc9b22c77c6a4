"""Are the intervals of shares honest? A study repeated many times on runs whose limit is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from simkit.estimators.efficiency.repetition import interval_coverage
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.intervals import score_interval
from simkit.estimators.shared.means import mean_belief, mean_choice
from simkit.estimators.shared.rows import optional_labels, run_matrix
from simkit.result import Result
from simkit.types import FloatArray, SeedLike, generator, integer

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
    the condition's mean belief, without error.

    Parameters
    ----------
    belief : DataFrame or array_like
        (n, K) beliefs of n runs over K options, or (n,) for one option. NaN rows are left out and
        counted.
    runs : int
        Runs per condition in each study, 2 or more.
    condition : array_like or DataFrame, optional
        (n,) labels; None is one condition.
    repetitions : int
        Studies per condition, 2 or more.
    alpha : float
        1 - confidence of the intervals, of :func:`mean_choice` and :func:`mean_belief` too.
    rng : int or Generator
        Of the draws.
    data : DataFrame, optional
        As in :func:`mean_belief`.

    Returns
    -------
    Result
        The rows "choice" and "belief" of :func:`interval_coverage`, pooled over conditions, options
        and repetitions; its column `repetitions` counts intervals. Those of one study are not
        independent, so low and high are Wilson's for the number of studies (repetitions x
        conditions).

    Raises
    ------
    ValueError
        For fewer than 2 runs or repetitions, and if no run has a whole belief.

    Examples
    --------
    >>> import numpy as np
    >>> from simkit import estimators as est
    >>> pool = np.random.default_rng(0).beta(2, 3, 500)
    >>> result = est.share_coverage(pool, runs=20, repetitions=200)
    >>> result.frame["estimate"].round(2).to_dict()
    {'choice': 0.97, 'belief': 0.96}
    """
    for name, number in (("runs", runs), ("repetitions", repetitions)):
        integer(number, name, low=2)
    matrix, options = run_matrix(belief, "belief")
    codes, _ = optional_labels(condition, "condition", len(matrix))
    whole = ~np.isnan(matrix).any(axis=1)
    if not whole.any():
        raise ValueError(f"no run to use: none of the {whole.size} has a whole belief")
    matrix, codes = matrix[whole], codes[whole]
    stream = generator(rng, "share coverage") if not isinstance(rng, np.random.Generator) else rng
    pools = [pd.DataFrame(matrix[codes == c], columns=options) for c in np.unique(codes)]
    ends = np.concatenate([_studies(pool, runs, repetitions, alpha, stream) for pool in pools])
    truth = np.concatenate([np.tile(pool.to_numpy().mean(0), repetitions) for pool in pools])
    low, high, estimate = np.moveaxis(ends, 2, 0)
    result = interval_coverage(
        low, high, truth[:, None], estimate=estimate, names=["choice", "belief"], alpha=alpha
    )
    share, quantile = result.frame["estimate"].to_numpy(float), float(special.ndtri(1 - alpha / 2))
    low, high = score_interval(share, repetitions * len(pools), quantile)
    notes, skipped = result.notes, int((~whole).sum())
    notes += (f"{skipped} of {whole.size} runs have no belief",) if skipped else ()
    method, frame = f"{result.method} of shares", result.frame.assign(low=low, high=high)
    n, source = int(whole.sum()), "our formulation"
    return replace(result, method=method, frame=frame, n=n, source=source, notes=notes)


def _studies(
    pool: pd.DataFrame, runs: int, repetitions: int, alpha: float, stream: np.random.Generator
) -> FloatArray:
    """low, high, estimate (repetitions x options, 2, 3) of choice and of belief, in a condition."""
    picked = pool.to_numpy()[stream.integers(len(pool), size=repetitions * runs)]
    total, k = picked.sum(1, keepdims=True), pool.shape[1]
    whole = total > 1 - 1e-4  # else the rest of the probability is none of the options
    draw = stream.random(len(picked))[:, None] * np.where(whole, total, 1.0)
    place = np.minimum((draw >= picked.cumsum(1)).sum(1), k - whole[:, 0])
    chosen = np.eye(k + 1)[place, :k]
    study = np.repeat(np.arange(repetitions), runs)
    frames = [
        estimator(pd.DataFrame(rows, columns=pool.columns), by=study, alpha=alpha).frame
        for estimator, rows in ((mean_choice, chosen), (mean_belief, picked))
    ]
    return np.stack([f[["low", "high", "estimate"]].to_numpy(float) for f in frames], axis=1)
