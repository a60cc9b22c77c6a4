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
from simkit.result import REQUIRED, Result
from simkit.types import (
    FloatArray,
    IntArray,
    SeedLike,
    column,
    counted,
    generator,
    integer,
    numbers,
)

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
    """Root mean squared error of the shares estimated from n runs, by choice and by belief.

    From each condition's pool of runs n are drawn without replacement, `repetitions` times, the
    same for choice and belief; the squared error of the mean is averaged over options, conditions
    (equally weighted) and repetitions.

    Parameters
    ----------
    choice, belief : DataFrame or array_like
        (n, K) one-hot choices and beliefs of the same n runs over K options, or (n,) for one
        option. Runs with a missing value are skipped and counted.
    truth : DataFrame or array_like
        As belief, the true shares of the run's condition, the same in all its rows; never from the
        pool's own runs.
    truth_error : DataFrame or array_like, optional
        As belief, standard errors of `truth`, if it is itself estimated, from runs that are not in
        the pool: their squares are subtracted. Without, the error of a truth from N runs of choice
        is a floor of the curve, which belief reaches early, and the efficiency factor would look
        smaller and smaller.
    sizes : sequence of int, optional
        The n; None takes 1, 2, 5, 10, ... up to half of the smallest pool.
    condition : array_like or DataFrame, optional
        (n,) labels of the prompts; None is one condition. Pools may differ in size.
    repetitions : int
        2 or more.
    alpha : float
        1 - confidence of the intervals.
    rng : int or Generator
        Of the draws.
    data : DataFrame, optional
        As in :func:`mean_belief`.

    Returns
    -------
    Result
        Rows "choice, n=20", "belief, n=20" and so on. Columns beside the usual:

        - bias: root mean square, over options and conditions, of (mean over repetitions - truth),
          the square less what noise would give; 0 where that is negative.
        - expected: sqrt(V / n), V the pool's variance of one run, averaged likewise: theory.

        A mean square that subtraction makes negative is NaN, counted in the notes, with an interval
        from 0: such a truth has too few runs to tell the error of the estimator. Choices that are
        all the same have no interval, with a note, for other runs may choose otherwise.

    Raises
    ------
    ValueError
        For a truth that differs within a condition or has another shape than belief, a condition
        with fewer than 4 runs, and sizes that a pool does not have.

    Notes
    -----
    The interval is the mean square's, as a scaled chi2 (Satterthwaite) with the variance that the
    repetitions have, plus that of the pool being one sample: so it is honest where the pool, not
    the number of repetitions, is the limit. It errs on the wide side: simulated 95 % intervals
    cover 0.93 to 0.99, most where n is near half of the pool.

    References
    ----------
    Sun & Zhang, arXiv 2512.23184; interval and subtraction are our formulation.

    Examples
    --------
    >>> import numpy as np
    >>> from simkit import estimators as est
    >>> rng = np.random.default_rng(0)
    >>> belief = rng.beta(6, 4, 400)
    >>> curve = est.rmse_curve(rng.binomial(1, belief), belief, np.full(400, 0.6), sizes=[10])
    >>> curve.frame[["estimate", "expected"]].round(2)
                  estimate  expected
    choice, n=10      0.16      0.15
    belief, n=10      0.05      0.05
    """
    runs = paired_runs(choice, belief, condition, least=4)
    true, noise = _truth(runs, truth, truth_error, np.shape(belief))
    members, stream, k = runs.members(), generator(rng), len(runs.options)
    least = min(map(len, members))
    n = run_sizes(sizes, least // 2, least)
    integer(repetitions, "repetitions", low=2)
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
    still = int(frame.loc[frame["method"] == "choice", "low"].isna().sum())
    notes = runs.notes + counted(below, mean.size, "mean squares are below the truth's own (NaN)")
    notes += counted(still, len(n), "sizes: choices that never vary, so no interval of them")
    method = f"RMSE against runs, {len(members)} conditions, {repetitions} repetitions"
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
    """(C, K) from rows (n, K) of the runs, the same within each condition; else ValueError."""
    first = values[[i[0] for i in runs.members()]]
    off = np.abs(values - first[runs.code]).max(axis=1)
    if not (off <= 1e-9).all():  # NaN is no truth either
        bad = int(np.flatnonzero(~(off <= 1e-9))[0])
        raise ValueError(
            f"{name}: row {runs.kept[bad]} of condition {runs.conditions[runs.code[bad]]!r} holds "
            f"{values[bad].tolist()}, its first row {first[runs.code[bad]].tolist()}; all rows of "
            "a condition must hold the same numbers"
        )
    return first


def _truth(
    runs: Runs, truth: Any, truth_error: Any, shape: tuple[int, ...]
) -> tuple[FloatArray, FloatArray]:
    """True shares and their standard errors, (C, K) each."""
    for name, values in (("truth", truth), ("truth_error", truth_error)):
        if values is not None and np.shape(values) != shape:
            raise ValueError(f"{name} has shape {np.shape(values)}; it must be {shape}, as belief")
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
    methods = ("choice", "belief")
    columns = {"method": np.repeat(methods, len(n)), "runs": np.tile(n, 2)}
    values = (x.ravel() for x in (mean, error, low, high))
    columns |= dict(zip(REQUIRED, values, strict=True))
    return pd.DataFrame(columns, index=pd.Index([f"{m}, n={s}" for m in methods for s in n]))
