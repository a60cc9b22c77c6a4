"""Variances over clusters, in one factor or in two that are crossed.

One factor: the delete-one-cluster jackknife (CV3) with a t quantile. Its degrees of freedom are
the effective number of clusters less one: 1 / sum(s^2) - 1, s a cluster's share of what the
quantity is made from (weight for a mean, variation of the regressor for a slope). With equal
clusters that is the usual clusters - 1; where one cluster dominates there are far fewer.

Two crossed factors (each wording asked for each product) give a quantity three sources of
variance: wordings, products, and the interaction of both. The variance is V_A + V_B - V_I: the
jackknife of either factor, less the interaction, which both count. V_I comes from the residuals of
the cells' contributions after both factors' effects, so that the sum is unbiased where the design
is balanced. The sum is never below V_I. Degrees of freedom are Satterthwaite's. If every level of
a factor lies in one level of the other (nested), the coarser factor is the unit.

Sources: MacKinnon, Nielsen & Webb 2023, arXiv 2301.04527 (CV3); Cameron, Gelbach & Miller 2011
(two-way clusters); Satterthwaite 1946. Degrees of freedom from shares: after Carter, Schnepel &
Steigerwald 2017. Coverage by simulation: docs/coverage.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special
from scipy.stats import qmc

from simkit.estimators.shared.rows import distinct, sums_by
from simkit.estimators.shared.strata import Strata
from simkit.result import jackknife
from simkit.types import FloatArray, IntArray

__all__ = [
    "ALONE", "FEW", "UNTRUSTED", "Mean", "Spread", "effective", "few_note", "mean_over",
    "normal_logits", "share_interval", "spread",
]  # fmt: skip

FEW = 5  # effective clusters below which an interval rests on normality
UNTRUSTED = f"below {FEW} no interval is to be trusted"
ALONE = 1.01  # below it one cluster has 99.5 % of the weight: how others would differ is unknown
# Deterministic draws of a normal and of the uniform behind a chi2, and a quadrature.
_DRAWS = qmc.Sobol(2, scramble=False).random(512)[1:]
_NODES, _MASS = np.polynomial.hermite_e.hermegauss(15)

Replicates = Callable[[IntArray], FloatArray]


@dataclass(frozen=True)
class Spread:
    """Variances of k quantities over clusters; NaN where there is one cluster, or nearly (`ALONE`).

    Attributes
    ----------
    variance, df : (k,) variances and their degrees of freedom. covariance : (k, k).
    units : (k,) effective number of clusters, of the factor with fewest.
    """

    variance: FloatArray
    df: FloatArray
    covariance: FloatArray
    units: FloatArray

    @property
    def error(self) -> FloatArray:
        return np.sqrt(self.variance)


def effective(shares: FloatArray) -> FloatArray:
    """The effective number of clusters, 1 / sum of squared shares, by column of (G,) or (G, k)."""
    total = shares.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total**2 / (shares**2).sum(axis=0))


def few_note(units: FloatArray) -> tuple[str, ...]:
    """A note where the effective number of clusters is below 5, and one where it is 1."""
    defined = units[np.isfinite(units)]
    notes: tuple[str, ...] = ()
    if (defined < ALONE).any():
        notes = ("one cluster has 99.5 % of the weight or more: no interval",)
    least = defined[defined >= ALONE].min(initial=FEW)
    if least < FEW - 1e-6:
        shown = f"{least:.1f}" if least < FEW - 0.05 else f"{least:.2f}"
        notes += (f"{shown} effective clusters: {UNTRUSTED}",)
    return notes


@dataclass(frozen=True)
class Mean:
    """A weighted mean, its standard error and degrees of freedom.

    Attributes
    ----------
    estimate, error, df : error and df are NaN for one cluster, or one with nearly all the weight.
    units : effective number of clusters; NaN for one.
    clusters : number of clusters, of the factor with fewest.
    """

    estimate: float
    error: float
    df: float
    units: float
    clusters: int


def mean_over(
    y: FloatArray, w: FloatArray, factors: Sequence[IntArray], strata: Strata | None = None
) -> Mean:
    """sum(w y) / sum(w) of values (m,) with its standard error over the clusters.

    strata : of the clusters of the one factor.
    """
    w = w / w.max()
    centre = np.array([w @ y / w.sum()])
    if strata is not None:
        rows = np.column_stack([w * (y - centre), w])
        sums = strata.without(sums_by(rows, factors[0], len(strata.of)))
        moves = (sums[:, 0] / sums[:, 1])[1:]
        moves[np.abs(moves) < 1e-14 * np.abs(y).max()] = 0.0
        units = strata.effective(sums_by(w[:, None], factors[0], len(strata.of))[:, 0])
        error = float(np.sqrt(strata.scale @ moves**2))
        return Mean(float(centre[0]), error, units - 1, units, len(np.unique(factors[0])))

    def without(code: IntArray) -> FloatArray:
        top, bottom = np.bincount(code, w * y), np.bincount(code, w)
        with np.errstate(invalid="ignore", divide="ignore"):  # of weights out of all proportion
            return np.asarray((top.sum() - top) / (bottom.sum() - bottom))[:, None]

    over = spread(factors, centre, without, lambda code: np.bincount(code, w).astype(np.float64))
    n_g = min((int(code.max()) + 1 for code in factors if code.max() > 0), default=1)
    units = float(over.units[0]) if n_g > 1 else np.nan
    return Mean(float(centre[0]), float(over.error[0]), float(over.df[0]), units, n_g)


def spread(
    factors: Sequence[IntArray], centre: FloatArray, without: Replicates, shares: Replicates
) -> Spread:
    """The variance of k quantities over the clusters of one factor, or of two that are crossed.

    factors : codes 0, 1, ... of the rows (m,), of one factor or two. centre : (k,) the quantities.
    without(codes) : (G, k), row g without cluster g. shares(codes) : (G,) or (G, k), each
    cluster's share of what a quantity is made from; they need not sum to 1.
    """
    k = len(centre)

    def size(code: IntArray) -> FloatArray:
        s = shares(code)
        return np.broadcast_to(s[:, None] if s.ndim == 1 else s, (len(s), k))

    def one(code: IntArray) -> Spread:
        with np.errstate(invalid="ignore"):  # what is infinite has no variance
            covariance = jackknife(without(code), centre)
        units = effective(size(code))
        covariance[(units < ALONE) | (units < ALONE)[:, None]] = np.nan
        df = np.where(units < ALONE, np.nan, np.maximum(units - 1, 1.0))
        return Spread(np.diag(covariance).copy(), df, covariance, units)

    factors = [code for code in factors if code.max() > 0]
    if not factors:
        nothing = np.full(k, np.nan)
        return Spread(nothing, nothing, np.full((k, k), np.nan), np.ones(k))
    if len(factors) == 1:
        return one(factors[0])
    pairs, cell = distinct(*factors)
    for finer, coarser in ((0, 1), (1, 0)):
        if len(pairs) == int(factors[finer].max()) + 1:
            return one(factors[coarser])
    with np.errstate(invalid="ignore"):
        part = size(cell) / size(cell).sum(axis=0)
        moved = (centre - without(cell)) * (1 - part)
    off = np.divide(moved, part, out=np.zeros_like(moved), where=part > 1e-12)
    return _crossed(one(factors[0]), one(factors[1]), pairs, part, off)


def _crossed(a: Spread, b: Spread, pairs: IntArray, part: FloatArray, off: FloatArray) -> Spread:
    """pairs : (C, 2) codes of the cells. part, off : (C, k) their shares, and how far each lies
    from the whole, in the quantity's unit.
    """
    dummies = np.concatenate(
        [pairs[:, [f]] == np.arange(pairs[:, f].max() + 1) for f in (0, 1)], axis=1
    ).astype(float)
    used = (part > 1e-12).any(axis=1)
    basis, root, _ = np.linalg.svd(dummies[used], full_matrices=False)
    basis = basis[:, root > 1e-9 * root.max()]
    off[~np.isfinite(off)] = np.nan
    rest = off[used] - basis @ (basis.T @ off[used])
    df = float(used.sum() - basis.shape[1])
    scale = np.sqrt((part**2).sum(axis=0))
    inside = (rest.T @ rest) / max(df, 1.0) * np.outer(scale, scale)
    inner = np.diag(inside)
    variance = a.variance + b.variance - inner
    low = variance < inner
    with np.errstate(invalid="ignore", divide="ignore"):
        noise = a.variance**2 / a.df + b.variance**2 / b.df + inner**2 / max(df, 1.0)
        free = np.where(noise > 0, variance**2 / noise, np.minimum(a.df, b.df))
    variance, free = np.where(low, inner, variance), np.where(low, max(df, 1.0), free)
    units = np.minimum(a.units, b.units)
    covariance = _covariance(a.covariance + b.covariance, inside)
    return Spread(variance, np.maximum(free, 1.0), covariance, units)


def _covariance(both: FloatArray, inside: FloatArray) -> FloatArray:
    """V_A + V_B - V_I, in no direction below V_I; NaN rows and columns stay."""
    out = np.full_like(both, np.nan)
    defined = np.flatnonzero(np.isfinite(np.diag(both + inside)))
    both, inside = both[np.ix_(defined, defined)], inside[np.ix_(defined, defined)]
    unit = np.sqrt(np.diag(both + inside)).clip(1e-150)
    extra = (both - 2 * inside) / np.outer(unit, unit)
    values, vectors = np.linalg.eigh((extra + extra.T) / 2)
    positive = (vectors * values.clip(0)) @ vectors.T
    out[np.ix_(defined, defined)] = inside + positive * np.outer(unit, unit)
    return out


def share_interval(
    y: FloatArray, w: FloatArray, factors: Sequence[IntArray], of: Mean, alpha: float
) -> tuple[float, float]:
    """Interval of a mean share `of` = mean_over(y, w, factors), y (m,) in [0, 1].

    The t interval of its logit, widened, if need be, to that of a mean of shares whose logits are
    normal over the clusters. Where all clusters are equal (all are 0, say): Clopper & Pearson's
    interval, of as many draws as there are effective clusters. NaN without a standard error.
    """
    mean, error, units = of.estimate, of.error, of.units
    if np.isnan(error):
        return np.nan, np.nan
    if error <= 1e-12 or not 0 < mean < 1:
        k, rest = mean * units, (1 - mean) * units
        low = special.betaincinv(k, rest + 1, alpha / 2) if k > 1e-9 else 0.0
        high = special.betaincinv(k + 1, rest, 1 - alpha / 2) if rest > 1e-9 else 1.0
        return float(min(low, mean)), float(max(high, mean))
    half = special.stdtrit(of.df, 1 - alpha / 2) * error / (mean * (1 - mean))
    ends = special.expit(special.logit(mean) + np.array([-half, half]))
    for code in (code for code in factors if code.max() > 0):
        s = np.bincount(code, w)
        shares = np.bincount(code, w * y) / s
        ends = np.append(ends, normal_logits(shares, s / s.sum(), of.df, alpha))
    return float(np.nanmin(ends)), float(np.nanmax(ends))


def normal_logits(p: FloatArray, share: FloatArray, df: float, alpha: float) -> FloatArray:
    """Interval (2,) of the mean of shares p (G,) whose logits are normal over clusters.

    share : (G,) the clusters' weights. NaN where a p is 0 or 1, or one cluster has nearly all the
    weight. Mean and variance of the logits are drawn by generalised pivots; the mean share follows
    from both by quadrature.
    """
    square = (share**2).sum()
    if not ((p > 0) & (p < 1)).all() or square * ALONE > 1:
        return np.full(2, np.nan)
    logit = special.logit(p)
    middle = share @ logit
    variance = (share @ (logit - middle) ** 2) / (1 - square)
    z, chi2 = special.ndtri(_DRAWS[:, 0]), special.chdtri(df, _DRAWS[:, 1])
    deviation = np.sqrt(variance * df / chi2)
    means = middle - z * deviation * np.sqrt(square)
    drawn = special.expit(means[:, None] + deviation[:, None] * _NODES) @ (_MASS / _MASS.sum())
    return np.asarray(np.quantile(drawn, [alpha / 2, 1 - alpha / 2]))
