"""RMSE and bias of mean choice and mean belief against the number of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from simkit.estimators.shared.arguments import checked, sizes_of
from simkit.estimators.shared.means import SUN_ZHANG
from simkit.estimators.shared.rows import Runs, paired_runs, run_matrix, run_sizes
from simkit.result import Result
from simkit.types import FloatArray, IntArray, SeedLike, column, counted, generator, numbers

__all__ = ["constant_rows", "rmse_curve", "subset_means"]


@checked(
    "choice belief truth truth_error condition",
    columns="choice belief truth truth_error",
    sizes=sizes_of,
)
def rmse_curve(
    choice: Any = "choice",
    belief: Any = "belief",
    truth: Any = "truth",
    *,
    truth_error: Any = None,
    sizes: Sequence[int] | None = None,
    condition: Any = None,
    repetitions: int = 200,
    alpha: float = 0.05,
    rng: SeedLike = 0,
    data: pd.DataFrame | None = None,
) -> Result:
    """Root mean squared error of the shares estimated from n runs, for both estimators.

    From each condition's pool of runs n are drawn without replacement, `repetitions` times, the
    same for choice and belief; the squared error of the mean is averaged over options, conditions
    (equally weighted) and repetitions. Rows "choice, n=20", "belief, n=20"; columns:
    - bias: root mean square, over options and conditions, of (mean over repetitions - truth), the
      square less what noise would give; 0 where that is negative.
    - expected: sqrt(V / n), V the pool's variance of one run, averaged likewise: theory.

    truth : (n, K) as belief, the true shares of the run's condition, the same in all its rows.
    truth_error : (n, K) standard errors of `truth`, if it is itself estimated, from runs that are
    not in the pool: their squares are subtracted. Without, the error of a truth from N runs of
    choice is a floor of the curve, which belief reaches early: the efficiency factor would look
    smaller and smaller. Truth from the pool's own runs is never right.
    sizes : None takes 1, 2, 5, 10, ... up to half of the smallest pool.

    Interval: the mean square's, as a scaled chi2 (Satterthwaite) with the variance that the
    repetitions have, plus that of the pool being one sample: so it is honest where the pool,
    not the number of repetitions, is the limit. It errs on the wide side: simulated 95 % intervals
    cover 0.93 to 0.99, most where n is near half of the pool. Pool sizes may differ.
    Undefined: a mean square that subtraction makes negative is NaN, counted in the notes; its
    interval starts at 0. Such a truth has too few runs to tell the error of the estimator. No
    interval, with a note, for choices that are all the same: other runs may choose otherwise.
    Source: Sun & Zhang; interval and subtraction are our formulation.
    """
    runs = paired_runs(choice, belief, condition, least=4)
    true, noise = _truth(runs, truth, truth_error, np.shape(belief))
    members, stream, k = runs.members(), generator(rng), len(runs.options)
    least = min(map(len, members))
    n = run_sizes(sizes, least // 2, least)
    if repetitions < 2:
        raise ValueError(f"repetitions is {repetitions}; legal are 2 or more")
    square = np.zeros((2, repetitions, len(n)))
    pool, theory, bias, drift = (np.zeros((2, len(n))) for _ in range(4))
    for c, i in enumerate(members):
        both = np.concatenate([runs.choice[i], runs.belief[i]], axis=1)
        means = subset_means(both, n, repetitions, stream)
        for e, x in enumerate((runs.choice[i], runs.belief[i])):
            off = means[:, :, e * k : (e + 1) * k] - true[c]
            square[e] += (off**2).sum(axis=2)
            spread = np.cov(x.T, ddof=1).reshape(k, k)
            theory[e] += np.trace(spread) / n
            parts = np.array([_pool_variance(x, spread, true[c], noise[c], s) for s in n]).T
            pool[e], drift[e] = pool[e] + parts[0], drift[e] + parts[1]
            extra = np.trace(spread) * ((1 / n - 1 / len(i)) / repetitions + 1 / len(i))
            bias[e] += (off.mean(axis=0) ** 2).sum(axis=1) - extra - (noise[c] ** 2).sum()
    cells = len(members) * k
    mean, floor = square.mean(axis=1) / cells, float((noise**2).mean())
    pool += np.maximum(drift, 0)
    variance = square.var(axis=1, ddof=1) / repetitions / cells**2 + pool / cells**2
    frame = _table(mean, variance, floor, n, alpha)
    frame["bias"] = np.sqrt(np.maximum(bias / cells, 0)).ravel()
    frame["expected"] = np.sqrt(theory / cells).ravel()
    below = int(frame["estimate"].isna().sum())
    notes = counted(below, mean.size, "mean squares are below the truth's own (NaN)")
    method = f"RMSE against runs, {len(members)} conditions, {repetitions} repetitions"
    still = int(frame.loc[frame["method"] == "choice", "low"].isna().sum())
    notes += counted(still, len(n), "sizes: choices that never vary, so no interval of them")
    notes = runs.notes + notes
    over = "runs of these conditions"
    return Result(method, frame, len(runs.code), alpha, SUN_ZHANG, notes, over=over)


def subset_means(
    values: FloatArray, sizes: IntArray, repetitions: int, stream: np.random.Generator
) -> FloatArray:
    """Means (R, S, m) of the first n rows, for each n of `sizes`, of R random orders of (N, m)."""
    order = np.tile(np.arange(len(values)), (repetitions, 1))
    order = stream.permuted(order, axis=1)[:, : sizes.max()]
    sums = np.stack([column[order].cumsum(axis=1)[:, sizes - 1] for column in values.T], axis=2)
    return np.asarray(sums / sizes[:, None])


def constant_rows(runs: Runs, values: FloatArray, name: str) -> FloatArray:
    """(C, K) from rows (n, K) that are the same within each condition; ValueError if they are not.

    values : of the kept runs.
    """
    first = np.array([i[0] for i in runs.members()])
    off = np.abs(values - values[first][runs.code]).max(axis=1)
    if not (off <= 1e-9).all():  # NaN is no truth either
        bad = int(np.flatnonzero(~(off <= 1e-9))[0])
        raise ValueError(
            f"{name}: row {runs.kept[bad]} of condition {runs.conditions[runs.code[bad]]!r} holds "
            f"{values[bad].tolist()}, its first row {values[first][runs.code[bad]].tolist()}; "
            "legal are the same numbers in all rows of a condition"
        )
    return np.asarray(values[first])


def _truth(
    runs: Runs, truth: Any, truth_error: Any, shape: tuple[int, ...]
) -> tuple[FloatArray, FloatArray]:
    """True shares and their standard errors, (C, K) each."""
    for name, values in (("truth", truth), ("truth_error", truth_error)):
        if values is not None and np.shape(values) != shape:
            raise ValueError(f"{name} has shape {np.shape(values)}; legal is {shape}, as belief")
    true = constant_rows(runs, run_matrix(truth, "truth")[0][runs.kept], "truth")
    if truth_error is None:
        return true, np.zeros_like(true)
    table = numbers(truth_error, "truth_error", "(n, K)", dims=(1, 2)).reshape(len(truth_error), -1)
    error = np.column_stack([column(x, "truth_error", low=0) for x in table.T])
    return true, constant_rows(runs, error[runs.kept], "truth_error")


def _pool_variance(
    x: FloatArray, spread: FloatArray, true: FloatArray, noise: FloatArray, n: int
) -> tuple[float, float]:
    """Variance, over pools, of |mean - truth|^2 + g tr S, the mean over all subsets of n rows.

    mean and S (`spread`) are the pool's, g = 1/n - 1/N. With M the covariance of mean - truth:
    2 tr M^2 for the noise of the first term and g^2 Var(sum of squares) / N for the second; their
    covariance is left out. And 4 d' M d for a bias d, less the noise of d itself: apart, for it is
    to be summed over conditions before a negative one is taken for 0.
    """
    off, g = x.mean(axis=0) - true, 1 / n - 1 / len(x)
    m = spread / len(x) + np.diag(noise**2)
    turn = float((m * m).sum())
    squares = ((x - x.mean(axis=0)) ** 2).sum(axis=1)
    return (
        2 * turn + float(g**2 * squares.var(ddof=1) / len(x)),
        4 * float(off @ m @ off) - 4 * turn,
    )


def _table(
    square: FloatArray, variance: FloatArray, floor: float, n: IntArray, alpha: float
) -> pd.DataFrame:
    """Roots of mean squares (2, S) less the truth's own; their chi2 interval, less the same."""
    exact = variance == 0  # beliefs that do not vary: no width
    # One squared normal has the fewest degrees of freedom there are.
    free = np.maximum(2 * square**2 / np.where(exact, 1.0, variance), 1.0)
    ends = [np.where(exact, 1, free / special.chdtri(free, p)) for p in (alpha / 2, 1 - alpha / 2)]
    low, high = (np.sqrt(np.clip(end * square - floor, 0, 1)) for end in ends)
    low[0, exact[0]] = high[0, exact[0]] = np.nan  # draws that agree
    mean = np.sqrt(np.where(square >= floor, square - floor, np.nan))
    error = np.divide(np.sqrt(variance), 2 * mean, out=np.zeros_like(mean), where=~exact)
    error[0, exact[0]] = np.nan
    names = [f"{e}, n={s}" for e in ("choice", "belief") for s in n]
    columns = {
        "method": np.repeat(["choice", "belief"], len(n)),
        "runs": np.tile(n, 2),
        "estimate": mean.ravel(),
        "std_error": error.ravel(),
        "low": low.ravel(),
        "high": high.ravel(),
    }
    return pd.DataFrame(columns, index=pd.Index(names))
