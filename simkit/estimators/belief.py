"""Shares from runs: the mean of choices and the mean of beliefs, and whether the two agree.

Every run gives a choice (drawn) and a belief (the probabilities it was drawn from). Both have the
same mean, the model's share of each option: E[choice] = E[E[choice | belief]] = E[belief]. By the
law of total variance Var(choice) = E[b (1 - b)] + Var(b), so belief is never the less precise (Sun
& Zhang, arXiv 2512.23184; the step from choice to belief is that of Rao and Blackwell).

Arguments shared by all: choice and belief are (n, K), n runs by K options, or (n,) for one option
(see `simkit.estimators.rows`); a run with a missing value is skipped and counted. by, condition,
cluster : (n,) labels, or a DataFrame of several. alpha : 1 - confidence. rng : a seed or Generator.
All raise ValueError naming the row, the value and what is legal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.arguments import checked
from simkit.estimators.intervals import score_interval
from simkit.estimators.rows import optional_labels, run_matrix, texts
from simkit.result import Result
from simkit.types import FloatArray, IntArray, counted, usable_rows

__all__ = ["SUN_ZHANG", "mean_belief", "mean_choice"]

SUN_ZHANG = "Sun & Zhang, arXiv 2512.23184"
SHRINK = 40  # clusters at which the sample's skewness counts as much as the assumed one


@checked("choice by weights cluster")
def mean_choice(
    choice: Any,
    *,
    by: Any = None,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    alpha: float = 0.05,
) -> Result:
    """Share of each option (in each group of `by`), from the choices of runs.

    Estimate sum(w y) / sum(w). The interval is Wilson's (1927). For independent runs of equal
    weight std_error = sqrt(p (1 - p) / n); with weights or clusters (prompts, personas) it is the
    delete-one-cluster jackknife's (CV3), and the interval Wilson's with the number of draws that
    have that standard error (at most the number of rows) and t quantiles on clusters - 1 (the
    way of Korn & Graubard 1998). If all choices are equal, each cluster counts as one draw.

    Shares are lattices: no interval that is a function of the choices has the same coverage at
    every share. At n = 20 the exact coverage of this one, over shares from 0.05 to 0.9, is 0.953
    on average, 0.925 at the worst, 0.978 at the most; Wald's at a share of 0.05 would be 0.64.
    Undefined: one cluster (interval NaN), a group whose runs are all skipped (all NaN).
    One row per group and option; shared arguments: see the module.
    """
    cells = _Cells(choice, "choice", by, weights, cluster)
    mean, draws = cells.mean, cells.clusters[:, None] * np.ones_like(cells.mean)
    error, quantile = cells.error, _quantile(cells.clusters, alpha)
    if weights is None and cluster is None:
        error = np.sqrt(mean * (1 - mean) / draws)
        quantile = np.full_like(quantile, special.ndtri(1 - alpha / 2))
    else:
        room, most = mean * (1 - mean), cells.rows[:, None]
        own = np.divide(room, error**2, out=np.full_like(mean, np.inf), where=error > 0)
        draws = np.where(room > 0, np.minimum(own, most), draws)
        draws[np.isnan(error)] = np.nan
    low, high = score_interval(mean, draws, quantile[:, None])
    return cells.result("Mean choice, Wilson", error, low, high, alpha)


@checked("belief by weights cluster")
def mean_belief(
    belief: Any,
    *,
    by: Any = None,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    alpha: float = 0.05,
) -> Result:
    """Share of each option (in each group of `by`), from the beliefs of runs.

    Estimate sum(w b) / sum(w); std_error is the delete-one-cluster jackknife's (CV3; for
    independent runs of equal weight s / sqrt(n)). The interval is a score interval with t quantiles
    on clusters - 1: it allows for the variance to move with the mean, as that of skewed beliefs
    does, half way (in G / (G + 40) of G clusters) between what the sample's skewness says and
    what m (1 - m) says (Johnson 1978; the mixture is our formulation). At n = 20 its coverage was
    0.95 to 0.97 over the brand market's prompts where the parent thinks aloud; the plain t
    interval's was 0.90 to 0.95.

    No interval knows of what no run has shown: where a rare thought settles the choice (beliefs
    near 0 or 1), n runs may all miss it, and the interval is then far too narrow. Expect that
    below some five such runs; the interval of mean_choice has no such gap.
    Undefined: fewer than 2 clusters (interval NaN, as of one run with thought); beliefs that are
    all equal have an interval of width 0, which is right where nothing is drawn before the answer.
    One row per group and option; shared arguments: see the module.
    """
    cells = _Cells(belief, "belief", by, weights, cluster)
    mean, error, n_g = cells.mean, cells.error, cells.clusters[:, None]
    room = mean * (1 - mean)
    draws = np.divide(room, error**2, out=np.full_like(mean, np.inf), where=error > 0)
    draws[np.isnan(error)] = np.nan
    own = n_g / (n_g + SHRINK)
    slope = own * cells.skew * error + (1 - own) * (1 - 2 * mean) / draws
    low, high = score_interval(mean, draws, _quantile(cells.clusters, alpha)[:, None], slope)
    return cells.result("Mean belief, score interval", error, low, high, alpha)


def _quantile(clusters: FloatArray, alpha: float) -> FloatArray:
    free = np.where(clusters > 1, clusters - 1, np.nan)
    return np.asarray(special.stdtrit(free, 1 - alpha / 2))


class _Cells:
    """Weighted moments of each group: mean, error, skew (of the mean) (C, K); clusters, rows (C,).

    A class because both means need all of it, and the table is put together the same way.
    """

    def __init__(self, values: Any, name: str, by: Any, weights: Any, cluster: Any) -> None:
        x, self.options = run_matrix(values, name, binary=name == "choice")
        group, self.keys = optional_labels(by, "by", len(x))
        self.named = by is not None
        used = usable_rows(x.sum(axis=1), weights, cluster)
        kept = used.kept
        self.notes, self.n, n_c = used.notes, len(kept), len(self.keys)
        self.rows = np.bincount(group[kept], minlength=n_c).astype(float)
        self._moments(x[kept], used.weight[kept], group[kept], used.cluster[kept], n_c)

    def _moments(
        self, x: FloatArray, w: FloatArray, group: IntArray, cluster: IntArray, n_c: int
    ) -> None:
        pair = group * (cluster.max() + 1) + cluster
        _, first, code = np.unique(pair, return_index=True, return_inverse=True)
        of = group[first]  # the group of each (group, cluster)
        part = np.bincount(code, w).astype(float)
        top = _sums(w[:, None] * x, code, len(part))
        total = np.bincount(of, part, minlength=n_c)[:, None]
        sums = _sums(top, of, n_c)
        self.clusters = np.bincount(of, minlength=n_c).astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):  # empty groups, single clusters: NaN
            self.mean = sums / total
            rest = (sums[of] - top) / (total[of] - part[:, None])
            rest[self.clusters[of] < 2] = np.nan
            moves = self.mean[of] - rest
            moves[np.abs(moves) < 1e-14] = 0  # rounding of equal values
            square = _sums(moves * moves, of, n_c)
            cube = _sums(moves * moves * moves, of, n_c)
            self.error = np.sqrt((1 - 1 / self.clusters[:, None]) * square)
        self.skew = np.divide(cube, square**1.5, out=np.zeros_like(cube), where=square > 0)

    def result(
        self, method: str, error: FloatArray, low: FloatArray, high: FloatArray, alpha: float
    ) -> Result:
        n_c, k = self.mean.shape
        table = self.keys.loc[np.repeat(np.arange(n_c), k)].reset_index(drop=True)
        table = table if self.named else table.iloc[:, :0]
        values = {"estimate": self.mean, "std_error": error, "low": low, "high": high}
        table = table.assign(
            option=self.options * n_c,
            **{name: value.ravel() for name, value in values.items()},
            n=np.repeat(self.rows, k).astype(int),
            clusters=np.repeat(self.clusters, k).astype(int),
        )
        heads = [f"{text}, " for text in texts(self.keys)] if self.named else [""]
        names = [head + option for head in heads for option in self.options]
        notes = self.notes + counted(int((self.clusters == 0).sum()), n_c, "groups are empty (NaN)")
        lost = np.isnan(low).all(axis=1) & (self.clusters > 0)
        notes += counted(int(lost.sum()), n_c, "groups have one cluster (no interval)")
        return Result(method, table.set_index(pd.Index(names)), self.n, alpha, SUN_ZHANG, notes)


def _sums(values: FloatArray, code: IntArray, n: int) -> FloatArray:
    return np.stack([np.bincount(code, column, minlength=n) for column in values.T], axis=1)
