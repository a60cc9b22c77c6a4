"""Do the mean of choices and the mean of beliefs have the same limit?

Not "no significant difference", which few runs always give, but equivalence: the difference is
shown to be smaller than a margin. Choice and belief of the same run share the run's thought, so
the differences d = choice - belief are taken run by run. If choices are drawn from the beliefs,
E[d | belief] = 0 and Var(d) = E[b (1 - b)], less than the two variances together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from simkit.estimators.shared.arguments import checked, sizes_of
from simkit.estimators.shared.means import SUN_ZHANG
from simkit.estimators.shared.rows import Runs, group_moments, paired_runs, run_sizes
from simkit.result import Result, jackknife, t_frame
from simkit.types import FloatArray, IntArray, SeedLike, generator

__all__ = ["difference_rate", "equivalence_test"]

TOST = "two one-sided tests: Schuirmann 1987; intersection-union: Berger 1982"
HALVINGS = 40  # of a shift from -1 to 1: to 2e-12


@checked("choice belief condition", columns="choice belief")
def equivalence_test(
    choice: Any = "choice",
    belief: Any = "belief",
    *,
    margin: float,
    condition: Any = None,
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """Test, by two one-sided tests, that mean choice and mean belief agree within a margin.

    Parameters
    ----------
    choice, belief : DataFrame or array_like
        (n, K) one-hot choices and beliefs of the same n runs over K options, or (n,) for one
        option. Runs with a missing value are skipped and counted.
    margin : float
        Largest difference that counts as agreement, a probability between 0 and 1.
    condition : array_like or DataFrame, optional
        (n,) labels of the prompts; None is one condition.
    alpha : float
        Level of each one-sided test, below 0.5; the intervals have level 1 - 2 alpha, and lie
        within the margin just when both tests reject.
    data : DataFrame, optional
        As in :func:`mean_belief`.

    Returns
    -------
    Result
        - A row per option: the difference, mean over conditions, equally weighted, of mean(choice -
          belief). `p` is the larger one-sided p: small means shown equivalent; `equivalent` is
          p < alpha. `p_zero`: two-sided, of no difference. std_error: the larger of the sample's
          and of that of choices drawn from the beliefs.
        - worst_cell: the condition and option (column `cell`) with the largest p. All cells are
          shown equivalent at once, at level alpha, if this p is below alpha.
        - centred: the sum over conditions of D' V^- D, with the differences D and the covariance
          V = sum_i (diag b_i - b_i b_i') / n^2 that choices drawn from the beliefs have. A model
          whose choice and belief part company (a wrong temperature, a wrong pivot) fails here
          first. NaN if all beliefs are 0 or 1.

    Raises
    ------
    ValueError
        For a margin outside (0, 1), an alpha of 0.5 or more, and a condition with one run.

    Notes
    -----
    Each one-sided p is the larger of two, for neither alone holds its size:

    - t, with the sample's variance by condition and degrees of freedom by Welch and Satterthwaite.
      The variance is zero where nobody chose the option, and says nothing then.
    - A score test: were the difference at the margin, each run's chance of choosing would be its
      belief moved by so much (all by the same, none beyond 0 and 1); this fixes the variance. Half
      a choice is taken off the gap, for a mean of choices moves in steps.

    So two runs in which nobody bought show no equivalence. By enumeration of all outcomes (beliefs
    0.005 to 0.95, margins 0.01 to 0.2, 5 to 1,000 runs) at most 0.051 of the samples at the margin
    are called equivalent at alpha = 0.05; with few runs far fewer are. `p_zero` of "centred" is the
    larger of a chi2's and of a scaled chi2's with the exact variance of that sum, so that rare
    options do not reject by themselves.

    References
    ----------
    Two one-sided tests: Schuirmann 1987; intersection-union: Berger 1982; centred: Spiegelhalter
    1986, for several options; choice and belief: Sun & Zhang, arXiv 2512.23184.

    Examples
    --------
    >>> import numpy as np
    >>> from simkit import estimators as est
    >>> belief = np.tile([0.2, 0.6], 1000)
    >>> choice = np.random.default_rng(0).binomial(1, belief)
    >>> result = est.equivalence_test(choice, belief, margin=0.05)
    >>> result["share"][["low", "high"]].astype(float).round(3).to_dict()
    {'low': -0.001, 'high': 0.033}
    >>> result["share"]["equivalent"]
    True
    """
    if not 0 < margin < 1:
        raise ValueError(f"margin is {margin!r}; it must be a number between 0 and 1")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha is {alpha!r}; it must be a number between 0 and 0.5")
    runs = paired_runs(choice, belief, condition)
    n_c, k = len(runs.conditions), len(runs.options)
    size, mean, spread = group_moments(runs.choice - runs.belief, runs.code, n_c)
    squared = spread / size[:, None]  # of the cells' means
    total, welch = squared.sum(axis=0), (squared**2 / (size - 1)[:, None]).sum(axis=0)
    free = np.divide(total**2, welch, out=np.full(k, np.inf), where=total > 0)
    every = _Score(runs.belief, runs.code, size, whole=True).table(
        mean.mean(axis=0), np.sqrt(total) / n_c, free, margin, alpha
    )
    each = _Score(runs.belief, runs.code, size, whole=False).table(
        mean.ravel(), np.sqrt(squared).ravel(), np.repeat(size - 1, k), margin, alpha
    )
    cells = [f"{c}, {o}" if n_c > 1 else o for c in runs.conditions for o in runs.options]
    worst = int(each["p"].argmax())
    frame = pd.concat([every, each.iloc[[worst]]]).assign(cell=[None] * k + [cells[worst]])
    frame.index = pd.Index([*runs.options, "worst_cell"])
    decided = [bool(x < alpha) for x in frame["p"]]
    frame.loc["centred", ["estimate", "df", "p_zero"]] = _centred(runs, mean, size)
    frame["equivalent"] = [*decided, None]
    method = f"Equivalence of mean choice and mean belief within {margin:g}"
    source, over = f"{SUN_ZHANG}; {TOST}", "runs of these conditions"
    return Result(method, frame, len(runs.code), 2 * alpha, source, runs.notes, over=over)


@checked("choice belief condition", columns="choice belief", sizes=sizes_of)
def difference_rate(
    choice: Any = "choice",
    belief: Any = "belief",
    *,
    sizes: Sequence[int] | None = None,
    condition: Any = None,
    alpha: float = 0.05,
    rng: SeedLike = 0,
    data: pd.DataFrame | None = None,
) -> Result:
    """Estimate how fast mean choice - mean belief shrinks with the number of runs n.

    The runs of each condition, in random order, are cut into blocks of n (no run twice). rms(n) is
    the root mean square of the difference of the two means over blocks, options and conditions.

    Parameters
    ----------
    choice, belief, condition
        As in :func:`equivalence_test`. If there is but one condition, give the number of a batch of
        runs as its condition: batches are conditions of equal kind.
    sizes : sequence of int, optional
        The n; None takes 1, 2, 5, 10, ... up to a quarter of the smallest condition's runs.
    alpha : float
        1 - confidence of the intervals.
    rng : int or Generator
        Of the random order.
    data : DataFrame, optional
        As in :func:`mean_belief`.

    Returns
    -------
    Result
        - slope: of log rms on log n, by least squares over the sizes: -0.5 if the two means have
          the same limit, towards 0 if they have not (rms then ends at the difference of the
          limits). `p`: of a slope of -0.5.
        - rms, n=...: at each size. Column `expected`: sqrt(mean of b (1 - b) / n), what draws from
          the beliefs would give; -0.5 for the slope.

        Fewer than 3 conditions have no interval.

    Raises
    ------
    ValueError
        For fewer than 2 sizes, one above the smallest condition's runs, and choices that equal the
        beliefs in every run.

    Notes
    -----
    Intervals: delete-one-condition jackknife, t on conditions - 1 (of log rms for the sizes).

    Examples
    --------
    >>> import numpy as np
    >>> from simkit import estimators as est
    >>> belief = np.full(1200, 0.3)
    >>> choice = np.random.default_rng(0).binomial(1, belief)
    >>> rate = est.difference_rate(choice, belief, condition=np.arange(1200) // 100)
    >>> rate["slope"][["estimate", "low", "high"]].astype(float).round(2).to_dict()
    {'estimate': -0.49, 'low': -0.55, 'high': -0.44}
    """
    runs = paired_runs(choice, belief, condition)
    members = runs.members()
    least = min(map(len, members))
    n = run_sizes(sizes, least // 4, least)
    if len(n) < 2:
        raise ValueError(f"sizes are {n.tolist()}; there must be two or more")
    stream = generator(rng)
    d = runs.choice - runs.belief
    square = np.stack([_blocks(d[stream.permutation(i)], n) for i in members])  # (C, sizes)
    within = np.mean([(runs.belief[i] * (1 - runs.belief[i])).mean() for i in members])
    count, total = len(members), square.sum(axis=0)
    if not total.all():
        raise ValueError("choice and belief are equal in every run: there is no rate to speak of")
    both = _rate(total / count, n)
    error, notes, over = np.full(len(both), np.nan), runs.notes, "conditions"
    if count > 2:
        with np.errstate(divide="ignore", invalid="ignore"):  # a size may live in one condition
            without = np.stack([_rate((total - s) / (count - 1), n) for s in square])
            error = np.sqrt(np.diag(jackknife(without, both)))
        error[~np.isfinite(error)] = np.nan
    else:
        notes, over = (*notes, f"{count} conditions: no interval"), ""
    names, ends = [f"rms, n={s}" for s in n], ["estimate", "low", "high"]
    slope = t_frame(["slope"], both[0] + 0.5, error[0], count - 1, alpha)
    slope[ends] -= 0.5  # tested against -0.5
    rms = t_frame(names, both[1:], error[1:], count - 1, alpha).assign(p=np.nan)
    rms[ends] = np.exp(rms[ends])
    rms["std_error"] *= rms["estimate"]
    frame = pd.concat([slope, rms]).drop(columns="statistic")
    frame["runs"] = [np.nan, *n]
    frame["expected"] = [-0.5, *np.sqrt(within / n)]
    method = f"Rate of mean choice - mean belief, {count} conditions"
    return Result(method, frame, len(runs.code), alpha, SUN_ZHANG, notes, over=over)


class _Score:
    """Differences with the variance they would have, were every belief moved by a shift.

    whole : one difference per option, over all conditions; else one per condition and option.
    """

    def __init__(
        self, belief: FloatArray, code: IntArray, size: FloatArray, *, whole: bool
    ) -> None:
        n_c, k = len(size), belief.shape[1]
        share = 1 / size / (n_c if whole else 1)  # of each run in the mean
        self.belief, self.share = belief, share[code][:, None]
        self.code, self.groups = (np.zeros_like(code), 1) if whole else (code, n_c)
        self.half_step = (np.full(k, share.min()) if whole else np.repeat(share, k)) / 2
        self.mean = self._sum(self.share * belief)

    def _sum(self, values: FloatArray) -> FloatArray:
        sums = [np.bincount(self.code, column, minlength=self.groups) for column in values.T]
        return np.asarray(np.stack(sums, axis=1).ravel(), dtype=np.float64)

    def shifted(self, shift: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The difference that a shift makes, and the standard error it implies."""
        chance = np.clip(self.belief + shift.reshape(self.groups, -1)[self.code], 0, 1)
        variance = self._sum(self.share**2 * chance * (1 - chance))
        return self._sum(self.share * chance) - self.mean, np.sqrt(variance)

    def table(
        self, mean: FloatArray, error: FloatArray, df: FloatArray, margin: float, alpha: float
    ) -> pd.DataFrame:
        """t and score test together: of both sides the larger p, and the wider interval."""
        out = t_frame(range(len(mean)), mean, error, df, 2 * alpha).drop(columns="statistic")
        drawn = self.shifted(np.zeros_like(mean))[1]  # of choices drawn from the beliefs
        out["std_error"] = np.maximum(error, drawn)
        out["p_zero"] = np.maximum(out["p"], 2 * self._p(np.abs(mean), drawn).clip(max=0.5))
        ends, p, z = [], np.zeros_like(mean), special.ndtri(1 - alpha)
        for sign in (-1, 1):
            gap = margin - sign * mean
            t = np.divide(gap, error, out=np.copysign(np.inf, gap), where=error > 0)

            def outside(shift: FloatArray, s: int = sign) -> FloatArray:
                return np.asarray(s * self.shifted(shift)[0] - margin)

            reached, implied = self.shifted(self._solve(outside, sign))
            # A difference that no shift can make is refuted by what is known of beliefs.
            able = sign * reached > margin - 1e-9
            score = np.where(able, self._p(gap, implied), 0.0)
            p = np.maximum(p, np.maximum(special.stdtr(df, -t), score))

            def beyond(shift: FloatArray, s: int = sign) -> FloatArray:
                moved, implied = self.shifted(shift)
                return np.asarray(s * (moved - mean) - self.half_step - z * implied)

            ends.append(self.shifted(self._solve(beyond, sign))[0])
        out["low"], out["high"] = np.minimum(out["low"], ends[0]), np.maximum(out["high"], ends[1])
        return out.assign(p=p)

    def _p(self, gap: FloatArray, error: FloatArray) -> FloatArray:
        gap = gap - self.half_step
        limit = np.where(gap > 0, np.inf, -np.inf)
        return np.asarray(special.ndtr(-np.divide(gap, error, out=limit, where=error > 0)))

    def _solve(self, beyond: Callable[[FloatArray], FloatArray], sign: int) -> FloatArray:
        """The shift, -1 to 1, at which `beyond` turns positive towards `sign`, by bisection."""
        inside, outside = np.full(len(self.mean), -1.0 * sign), np.full(len(self.mean), 1.0 * sign)
        for _ in range(HALVINGS):
            middle = (inside + outside) / 2
            out = beyond(middle) > 0
            inside, outside = np.where(out, inside, middle), np.where(out, middle, outside)
        return np.asarray((inside + outside) / 2)


def _centred(runs: Runs, mean: FloatArray, size: FloatArray) -> tuple[float, int, float]:
    """chi2 of the conditions' differences under the beliefs' covariance, its df and p.

    Its mean is df; its variance 2 df plus the choices' excess kurtosis, exactly. p is the larger of
    a chi2's and of that of a multiple of a chi2 with both, which rare options need.
    """
    chi2, df, variance = 0.0, 0, 0.0
    for c, i in enumerate(runs.members()):
        b = runs.belief[i]
        cov = (np.diag(b.sum(axis=0)) - b.T @ b) / size[c] ** 2
        root, turn = np.linalg.eigh(cov)
        real = root > 1e-9 / size[c]  # beliefs that sum to 1 leave one direction without variance
        if not real.any():
            continue
        scale = turn[:, real] / np.sqrt(root[real])
        chi2 += float(((mean[c] @ scale) ** 2).sum())
        df += int(real.sum())
        corners = np.vstack([np.eye(b.shape[1]), np.zeros(b.shape[1])]) @ scale  # the last: none
        chance = np.column_stack([b, np.maximum(1 - b.sum(axis=1), 0)])
        x = (corners - (b @ scale)[:, None]) / size[c]  # (runs, outcomes, directions)
        square = (x**2).sum(axis=2)
        covariance = np.einsum("io,iod,ioe->ide", chance, x, x)  # of each run
        fourth = (chance * square**2).sum() - (np.trace(covariance, axis1=1, axis2=2) ** 2).sum()
        variance += float(2 * real.sum() + fourth - 2 * (covariance**2).sum())
    if not df:
        return np.nan, 0, np.nan
    times = variance / (2 * df)
    plain, scaled = special.chdtrc(df, chi2), special.chdtrc(df / times, chi2 / times)
    return chi2, df, float(max(plain, scaled))


def _blocks(d: FloatArray, sizes: IntArray) -> FloatArray:
    """Mean square, over disjoint blocks of n rows and over columns, of the blocks' means."""
    means = (d[: len(d) // n * n].reshape(-1, n, d.shape[1]).mean(axis=1) for n in sizes)
    return np.array([(x**2).mean() for x in means])


def _rate(square: FloatArray, sizes: IntArray) -> FloatArray:
    """slope, then log rms at each size."""
    rms, x = np.log(square) / 2, np.log(sizes)
    x = x - x.mean()
    return np.concatenate([[x @ rms / (x @ x)], rms])
