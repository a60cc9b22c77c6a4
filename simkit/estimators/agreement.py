"""Do the mean of choices and the mean of beliefs have the same limit?

Not "no significant difference", which few runs always give, but equivalence: the difference is
shown to be smaller than a margin. Choice and belief of the same run share the run's thought, so
the differences d = choice - belief are taken run by run; E[d | belief] = 0 if choices are drawn
from the beliefs, and Var(d) = E[b (1 - b)], less than the two variances together.
Shared arguments: see `simkit.estimators.belief`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from simkit.estimators.arguments import checked, sizes_of
from simkit.estimators.belief import SUN_ZHANG
from simkit.estimators.rows import Runs, group_moments, paired_runs, run_sizes
from simkit.result import Result, jackknife, t_frame
from simkit.types import FloatArray, IntArray, SeedLike, generator

__all__ = ["difference_rate", "equivalence_test"]

TOST = "two one-sided tests: Schuirmann 1987; intersection-union: Berger 1982"


@checked("choice belief condition", columns="choice belief")
def equivalence_test(
    choice: Any, belief: Any, *, margin: float, condition: Any = None, alpha: float = 0.05
) -> Result:
    """Two one-sided tests that mean choice and mean belief agree within `margin` (a probability).

    Quantities, with 1 - 2 alpha intervals (the interval lies within the margin just when both
    one-sided tests reject at alpha):
    - each option: difference = mean over conditions, equally weighted, of mean(choice - belief);
      t tests, variances by condition, degrees of freedom by Welch and Satterthwaite. p is the
      larger one-sided p: small means shown equivalent. p_zero: two-sided, of no difference.
    - worst_cell: the condition and option (column `cell`) with the largest p. Every cell is shown
      equivalent, all at once and at level alpha, if this p is below alpha.
    - centred: over all conditions and options, chi2 = sum_c D_c' V_c^- D_c with the differences
      D_c and the covariance V_c = sum_i (diag b_i - b_i b_i') / n_c^2 that choices drawn from the
      beliefs have (Spiegelhalter 1986, for several options). estimate = chi2; p_zero. A model for
      which choice and belief part company (a wrong temperature, a wrong pivot) fails here first.
    Column equivalent: p < alpha. Undefined: chi2 is NaN if all beliefs are 0 or 1.
    Raises ValueError for a margin outside (0, 1), an alpha of 0.5 or more, a condition with one
    run. Shared arguments: see the module.
    """
    if not 0 < margin < 1:
        raise ValueError(f"margin is {margin!r}; legal are numbers between 0 and 1")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha is {alpha!r}; legal are numbers between 0 and 0.5")
    runs = paired_runs(choice, belief, condition)
    n_c, k = len(runs.conditions), len(runs.options)
    size, mean, spread = group_moments(runs.choice - runs.belief, runs.code, n_c)
    squared = spread / size[:, None]  # of the cells' means
    total = squared.sum(axis=0)
    free = np.divide(
        total**2, (squared**2 / (size - 1)[:, None]).sum(axis=0), out=np.full(k, np.inf),
        where=total > 0,
    )  # fmt: skip
    cells = [f"{c}, {o}" if n_c > 1 else o for c in runs.conditions for o in runs.options]
    stats = t_frame(
        [*runs.options, *cells],
        np.append(mean.mean(axis=0), mean),
        np.sqrt(np.append(total / n_c**2, squared)),
        np.append(free, np.repeat(size - 1, k)),
        2 * alpha,
    )
    p = _tost(stats, margin)
    worst = k + int(np.argmax(p[k:]))
    rows = [*range(k), worst]
    frame = stats.iloc[rows].drop(columns=["statistic", "p"])
    frame = frame.assign(
        p=p[rows], p_zero=stats["p"].iloc[rows], cell=[None] * k + [cells[worst - k]]
    )
    frame.index = pd.Index([*runs.options, "worst_cell"])
    frame.loc["centred", ["estimate", "df", "p_zero"]] = _centred(runs, mean, size)
    frame["equivalent"] = [*(bool(x < alpha) for x in p[rows]), None]
    method = f"Equivalence of mean choice and mean belief within {margin:g}"
    return Result(method, frame, len(runs.code), 2 * alpha, f"{SUN_ZHANG}; {TOST}", runs.notes)


@checked("choice belief condition", columns="choice belief", sizes=sizes_of)
def difference_rate(
    choice: Any,
    belief: Any,
    *,
    sizes: Sequence[int] | None = None,
    condition: Any = None,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """How fast mean choice - mean belief shrinks with the number of runs n: the log-log slope.

    The runs of each condition, in random order, are cut into blocks of n (no run twice); rms(n) is
    the root mean square of the difference of the two means over blocks, options and conditions.
    slope : of log rms on log n, least squares over the sizes; -0.5 if the two means have the same
    limit, towards 0 if they have not (rms then ends at the difference of the limits). p : of a
    slope of -0.5. Intervals: delete-one-condition jackknife, t on conditions - 1 (of log rms for
    the sizes). Column expected: -0.5, and sqrt(mean of b (1 - b) / n), what draws would give.

    sizes : None takes 1, 2, 5, 10, ... up to a quarter of the smallest condition's runs.
    Undefined: fewer than 3 conditions have no interval. If there is but one, give the number of a
    batch of runs as its condition: batches are conditions of equal kind.
    Raises ValueError for fewer than 2 sizes, or one above the smallest condition's runs.
    Shared arguments: see the module.
    """
    runs = paired_runs(choice, belief, condition)
    members = runs.members()
    least = min(map(len, members))
    n = run_sizes(sizes, least // 4, least)
    if len(n) < 2:
        raise ValueError(f"sizes are {n.tolist()}; legal are two or more")
    stream = generator(rng)
    d = runs.choice - runs.belief
    square = np.stack([_blocks(d[stream.permutation(i)], n) for i in members])  # (C, sizes)
    within = np.mean(
        [(runs.belief[i] * (1 - runs.belief[i])).mean() for i in members]
    )  # of one run, one option
    count, total = len(members), square.sum(axis=0)
    if not total.all():
        raise ValueError("choice and belief are equal in every run: there is no rate to speak of")
    every = _rate(total / count, n)
    error = np.full(len(every), np.nan)
    if count > 2:
        with np.errstate(divide="ignore", invalid="ignore"):  # a size may live in one condition
            without = np.stack([_rate((total - s) / (count - 1), n) for s in square])
            error = np.sqrt(np.diag(jackknife(without, every)))
    names = ["slope", *(f"rms, n={s}" for s in n)]
    error = np.where(np.isfinite(error), error, np.nan)
    frame = t_frame(names, every + 0.5, error, count - 1, alpha).drop(columns="statistic")
    for name in ("estimate", "low", "high"):  # the slope is tested against -0.5; rms is a log here
        frame[name] = np.append(frame[name].iloc[0] - 0.5, np.exp(frame[name].iloc[1:] - 0.5))
    frame["std_error"] *= np.append(1, frame["estimate"].iloc[1:])
    frame["p"] = [frame["p"].iloc[0], *[np.nan] * len(n)]
    frame["runs"] = [np.nan, *n]
    frame["expected"] = [-0.5, *np.sqrt(within / n)]
    notes = () if count > 2 else (f"{count} conditions: no interval",)
    method = f"Rate of mean choice - mean belief, {count} conditions"
    return Result(method, frame, len(runs.code), alpha, SUN_ZHANG, runs.notes + notes)


def _tost(stats: pd.DataFrame, margin: float) -> FloatArray:
    """The larger of the two one-sided p, of differences with t statistics."""
    gap = margin - np.abs(stats["estimate"].to_numpy())  # to the nearer end: the harder test
    error, known = stats["std_error"].to_numpy(), np.where(gap > 0, np.inf, -np.inf)
    t = np.divide(gap, error, out=known, where=error > 0)
    return np.asarray(special.stdtr(stats["df"].to_numpy(), -t))


def _centred(runs: Runs, mean: FloatArray, size: FloatArray) -> tuple[float, int, float]:
    """chi2 of the conditions' differences under the beliefs' covariance, its df and p."""
    chi2, df = 0.0, 0
    for c, i in enumerate(runs.members()):
        b = runs.belief[i]
        cov = (np.diag(b.sum(axis=0)) - b.T @ b) / size[c] ** 2
        root, turn = np.linalg.eigh(cov)
        real = root > 1e-9 / size[c]  # beliefs that sum to 1 leave one direction without variance
        chi2 += float(((mean[c] @ turn[:, real]) ** 2 / root[real]).sum())
        df += int(real.sum())
    return (chi2, df, float(special.chdtrc(df, chi2))) if df else (np.nan, 0, np.nan)


def _blocks(d: FloatArray, sizes: IntArray) -> FloatArray:
    """Mean square, over disjoint blocks of n rows and over columns, of the blocks' means."""
    out = []
    for n in sizes:
        whole = d[: len(d) // n * n].reshape(-1, n, d.shape[1])
        out.append((whole.mean(axis=1) ** 2).mean())
    return np.array(out)


def _rate(square: FloatArray, sizes: IntArray) -> FloatArray:
    """slope, then log rms at each size."""
    rms, x = np.log(square) / 2, np.log(sizes)
    x = x - x.mean()
    return np.concatenate([[x @ rms / (x @ x)], rms])
