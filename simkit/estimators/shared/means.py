"""Shares from runs: the mean of choices and the mean of beliefs, and whether the two agree.

Every run gives a choice (drawn) and a belief (the probabilities it was drawn from). Both have the
same mean, the model's share of each option: E[choice] = E[E[choice | belief]] = E[belief]. By the
law of total variance Var(choice) = E[b (1 - b)] + Var(b), so belief is never the less precise (Sun
& Zhang, arXiv 2512.23184; the step from choice to belief is that of Rao and Blackwell).

Arguments shared by all: choice and belief are (n, K), n runs by K options, or (n,) for one option
(see `simkit.estimators.shared.rows`); a run with a missing value is skipped and counted. by,
condition, cluster, strata : (n,) labels, or a DataFrame of several. alpha : 1 - confidence. rng : a
seed or Generator. data : the table that `believe` or `sample_runs` returns; the arguments about
its rows are then names of its columns, and `condition` is its `prompt_id`.
data : the table that `believe` or `sample_runs` returns. The arguments about rows are then names of
its columns, read a row per prompt and run, and `condition` is its `prompt_id` (see
`simkit.estimators.shared.table`). All raise ValueError naming the row, the value and the remedy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.clustering import ALONE, FEW, few_note, normal_logits
from simkit.estimators.shared.copies import believed, merge_copies
from simkit.estimators.shared.intervals import score_interval
from simkit.estimators.shared.rows import optional_labels, run_matrix, texts
from simkit.result import Result
from simkit.types import FloatArray, IntArray, counted, usable_rows

__all__ = ["SUN_ZHANG", "mean_belief", "mean_choice"]

SUN_ZHANG = "Sun & Zhang, arXiv 2512.23184"
SHRINK = 40  # clusters at which the sample's skewness counts as much as the assumed one


@checked("choice by weights cluster strata", columns="choice")
def mean_choice(
    choice: Any = "choice",
    *,
    by: Any = None,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    strata: Any = None,
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """Share of each option (in each group of `by`), from the choices of runs.

    Estimate sum(w y) / sum(w). The interval is Wilson's (1927). For independent runs of equal
    weight std_error = sqrt(p (1 - p) / n); with weights, clusters (prompts, personas) or strata it
    is the delete-one-cluster jackknife's (CV3), and the interval Wilson's with the number of draws
    that have that standard error (without strata at most the number of rows) and t quantiles (the
    way of Korn & Graubard 1998). If all choices are equal, each cluster counts as one draw.
    strata, degrees of freedom: as in `mean_belief`. With 3 to 12 clusters it errs on the wide side
    (0.95 to 0.99), never narrower than for independent runs.

    Shares are lattices: no interval that is a function of the choices has the same coverage at
    every share. At n = 20 the exact coverage of this one, over shares from 0.05 to 0.9, is 0.953
    on average, 0.925 at the worst, 0.978 at the most; Wald's at a share of 0.05 would be 0.64.
    Undefined: one cluster (interval NaN), a group whose runs are all skipped (all NaN).
    One row per group and option; shared arguments: see the module.
    """
    cells = _Cells(choice, "choice", by, weights, cluster, strata)
    mean, draws = cells.mean, cells.clusters[:, None] * np.ones_like(cells.mean)
    error, quantile = cells.error, special.stdtrit(cells.df, 1 - alpha / 2)
    if weights is None and cluster is None and strata is None:
        error = np.sqrt(mean * (1 - mean) / draws)
        quantile = np.full_like(quantile, special.ndtri(1 - alpha / 2))
    else:
        room, most = mean * (1 - mean), np.inf
        if strata is None:  # never narrower than of independent runs
            most = cells.rows[:, None] * (quantile / special.ndtri(1 - alpha / 2)) ** 2
        own = np.divide(room, error**2, out=draws.copy(), where=error > 0)
        draws = np.where(room > 0, np.minimum(own, most), draws)
        draws[np.isnan(error)] = np.nan
    low, high = score_interval(mean, draws, quantile)
    return cells.result("Mean choice, Wilson", error, low, high, alpha)


@checked("belief by weights cluster strata", columns="belief")
def mean_belief(
    belief: Any = "belief",
    *,
    by: Any = None,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    strata: Any = None,
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """Share of each option (in each group of `by`), from the beliefs of runs.

    Estimate sum(w b) / sum(w); std_error is the delete-one-cluster jackknife's (CV3; for
    independent runs of equal weight s / sqrt(n)). The interval is a score interval with t quantiles
    on the effective number of clusters - 1 (1 / sum of their squared shares of the weight; all of
    them where they are equal). It allows for the variance to move with the mean, as that of skewed
    beliefs does, half way (in G / (G + 40) of G clusters) between what the sample's skewness says
    and what m (1 - m) says (Johnson 1978; the mixture is our formulation). At n = 20 its coverage
    was 0.95 to 0.97 over the brand market's prompts where the parent thinks aloud; the plain t
    interval's was 0.90 to 0.95. With clusters (and no strata) it is widened, if need be, to that of
    a mean of shares whose logits are normal over clusters, as in `demand_curve`: near 0 and 1 few
    clusters do not tell how skewed they are.

    strata : (n,) labels of what the design fixes: so many runs of each condition (price cell,
    wording) and no sample of conditions. Variances are then taken within strata, for what differs
    between them is no error of the mean; without, the standard error is too large (1.8 times in
    the brand market's price cells). Clusters must lie within strata, and each needs 2 of them;
    degrees of freedom are then Welch's (1947). Only for a mean over these strata: do not give it
    where conditions are a sample, and other conditions are meant too.

    No interval knows of what no run has shown: where a rare thought settles the choice (beliefs
    near 0 or 1), n runs may all miss it, and the interval is then far too narrow. Expect that
    below some five such runs; the interval of mean_choice has no such gap.
    Undefined: fewer than 2 clusters (interval NaN, as of one run with thought); beliefs that are
    all equal have an interval of width 0, which is right where nothing is drawn before the answer.
    One row per group and option; shared arguments: see the module.
    """
    cells = _Cells(belief, "belief", by, weights, cluster, strata)
    mean, error, n_g = cells.mean, cells.error, cells.clusters[:, None]
    room = mean * (1 - mean)
    draws = np.divide(room, error**2, out=np.full_like(mean, np.inf), where=error > 0)
    draws[np.isnan(error)] = np.nan
    own = n_g / (n_g + SHRINK)
    slope = own * cells.skew * error + (1 - own) * (1 - 2 * mean) * 2 / (draws + n_g)
    low, high = score_interval(mean, draws, special.stdtrit(cells.df, 1 - alpha / 2), slope)
    if cluster is not None and strata is None:
        ends = cells.normal_logits(alpha)
        low, high = np.fmin(low, ends[..., 0]), np.fmax(high, ends[..., 1])
    return cells.result("Mean belief, score interval", error, low, high, alpha)


class _Cells:
    """Weighted moments of each group: mean, error, skew (of the mean), df (C, K).

    And the numbers of clusters and of rows (C,). A class because both means need all of it, and
    the table is put together the same way.
    """

    def __init__(
        self, values: Any, name: str, by: Any, weights: Any, cluster: Any, strata: Any
    ) -> None:
        x, self.options = run_matrix(values, name, binary=name == "choice")
        group, self.keys = optional_labels(by, "by", len(x))
        self.named, self.clustered = by is not None, cluster is not None
        stratum = optional_labels(strata, "strata", len(x))[0]
        used = usable_rows(x.sum(axis=1), weights, cluster)
        kept = used.kept
        self.notes, self.n, n_c = used.notes, len(kept), len(self.keys)
        self.over = "runs" if cluster is None else used.over
        if strata is not None:
            self.over += ", within these strata"
            pairs = np.unique(np.column_stack([used.cluster, stratum])[kept], axis=0)
            if len(pairs) > int(used.cluster[kept].max()) + 1:
                raise ValueError("cluster: one lies in several strata; it must lie in one")
        if cluster is not None:  # copies of one prompt are one; runs that agree are not copies
            used = merge_copies(used, np.asarray(believed(x).any(axis=1)), x, stratum, within=group)
            self.notes = used.notes
        self.rows = np.bincount(group[kept], minlength=n_c).astype(float)
        code = [group[kept], stratum[kept], used.cluster[kept]]
        self._moments(x[kept], used.weight[kept], np.column_stack(code), n_c)

    def normal_logits(self, alpha: float) -> FloatArray:
        """(C, K, 2): intervals of shares whose logits are normal over the clusters."""
        out = np.full((*self.mean.shape, 2), np.nan)
        for group in np.flatnonzero(self.clusters > 1):
            mine = self.home == group
            share = self.part[mine] / self.part[mine].sum()
            for k, own in enumerate(self.own[mine].T):
                if np.ptp(own) > 1e-12:
                    out[group, k] = normal_logits(own, share, self.df[group, k], alpha)
        return out

    def _moments(self, x: FloatArray, w: FloatArray, code: IntArray, n_c: int) -> None:
        """code : (n, 3) of the group, the stratum and the cluster."""
        units, unit = _distinct(code)
        strata, within = _distinct(units[:, :2])  # of each unit the group's stratum
        of = strata[:, 0]  # the group of each stratum
        part = np.bincount(unit, w).astype(float)
        top = _sums(w[:, None] * x, unit, len(part))
        size = np.bincount(within).astype(float)
        self.own, self.part, self.home = top / part[:, None], part, units[:, 0]
        weight, sums = np.bincount(within, part), _sums(top, within, len(strata))
        total = np.bincount(of, weight, minlength=n_c)[:, None]
        self.clusters = np.bincount(units[:, 0], minlength=n_c).astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):  # empty groups, single clusters: NaN
            self.mean = _sums(sums, of, n_c) / total
            rest = (sums[within] - top) / (weight[within] - part)[:, None]
            rest[size[within] < 2] = np.nan
            moves = (sums / weight[:, None])[within] - rest
            moves[np.abs(moves) < 1e-14] = 0  # rounding of equal values
            moves *= (weight / total[of, 0])[within, None]
            square = (1 - 1 / size[:, None]) * _sums(moves * moves, within, len(strata))
            variance = _sums(square, of, n_c)
            self.error = np.sqrt(variance)
            cube = _sums(moves * moves * moves, units[:, 0], n_c)
            spread = _sums(moves * moves, units[:, 0], n_c)
            self.skew = np.divide(cube, spread**1.5, out=np.zeros_like(cube), where=spread > 0)
            share = np.bincount(within, (part / weight[within]) ** 2)  # 1 / effective clusters
            free = np.maximum(1 / share - 1, 1)[:, None]
            alone = np.bincount(of, minlength=n_c)[:, None] == 1
            own = np.stack([np.bincount(of, f, minlength=n_c) for f in free.T], axis=1)
            welch = variance**2 / _sums(square**2 / (free + 2), of, n_c) - 2
            every = np.where(variance > 0, np.maximum(welch, 1), np.inf)
            self.df = np.where(alone, own, every)
            self.effective = np.where(alone[:, 0], 1 / np.bincount(of, share, n_c), np.inf)
            self.error[self.effective < ALONE] = np.nan
            self.df[np.isnan(self.error)] = np.nan

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
        what = "groups have one cluster, or a stratum with one (no interval)"
        heavy = (self.effective < ALONE) & (self.clusters > 1)
        notes += counted(int((lost & ~heavy).sum()), n_c, what) + few_note(self.effective[heavy])
        if self.clustered and (self.effective[~lost] < FEW - 1e-6).any():
            few = self.effective[~lost].min()
            notes += (f"{few:.1f} effective clusters: below {FEW} no interval is to be trusted",)
        frame = table.set_index(pd.Index(names))
        return Result(method, frame, self.n, alpha, SUN_ZHANG, notes, over=self.over)


def _distinct(code: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct rows of codes (n, m), sorted, and which of them each row is."""
    size = code.max(axis=0) + 1
    flat = np.ravel_multi_index(tuple(code.T), tuple(size))
    _, first, which = np.unique(flat, return_index=True, return_inverse=True)
    return code[first], which


def _sums(values: FloatArray, code: IntArray, n: int) -> FloatArray:
    return np.stack([np.bincount(code, column, minlength=n) for column in values.T], axis=1)
