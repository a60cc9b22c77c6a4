"""The balance audit: do elicited covariates move with the treatment?

A prompt names a treatment level (a price) and not the covariates. Ask the model for each of them:
its belief over the covariate's values has a mean E[C | prompt] and a standard deviation. If the
model reads the prompt as an experiment, the means do not move with the treatment. If it reads the
prompt as an observation, they do, and the simulated demand is confounded (Gui & Toubia, arXiv
2312.15524). The audit needs no truth and works with any model.

`cluster` states what the intervals cover. cluster="wording": other wordings, these products.
cluster="product": other products, these wordings. cluster=["product", "wording"], where every
wording is asked for every product: both, crossed. Variances and degrees of freedom:
`simkit.estimators.shared.clustering`; exact for normal, equally designed clusters of one factor,
from 3 clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from scipy import special

from simkit.estimators.demand.elicited import (
    DUST,
    SOURCE,
    Names,
    exact_rows,
    moments_of,
    rows_of,
)
from simkit.estimators.shared.arguments import checked, name_of, names_in
from simkit.estimators.shared.clustering import few_note, spread
from simkit.estimators.shared.copies import merge_copies
from simkit.estimators.shared.rows import optional_labels
from simkit.estimators.shared.table import check_columns
from simkit.result import Result, t_frame
from simkit.types import (
    FloatArray,
    IntArray,
    column,
)

__all__ = ["balance_audit"]


@checked(frames="frame", treatment=name_of, strata=names_in, weights=name_of, cluster=names_in)
def balance_audit(
    frame: pd.DataFrame,
    *,
    covariates: Names,
    treatment: str = "price",
    strata: str | Sequence[str] | None = None,
    weights: str | None = None,
    cluster: str | Sequence[str] | None = None,
    alpha: float = 0.05,
) -> Result:
    """Slopes of the elicited covariates on the treatment, a joint test, the endogeneity index.

    Parameters
    ----------
    frame : DataFrame
        A row per prompt, as :func:`expected_value` returns it.
    covariates : sequence of str or mapping
        Names, for columns `name` (means) and ``name_sd`` (standard deviations); or {name: (column
        of means, column of standard deviations)}.
    treatment : str
        The column that is varied (dollars).
    strata : str or sequence of str, optional
        Columns such as product. All quantities are then within strata (means taken out, halves and
        standard deviations per stratum), and averaged by the weight of the strata. Slopes of
        opposite sign cancel in that average: the columns stratum_min and stratum_max are the
        extremes of std_slope over strata. Where they differ much, audit each product.
    weights, cluster : str or sequence of str, optional
        Column names; two of `cluster` are crossed. Without `cluster` every prompt is its own.
        Clusters with the same beliefs are copies of a prompt and count as one. Where no belief has
        a spread (all standard deviations are 0), a value that occurs at several levels is taken
        for a drawn answer, and draws agree by chance: such clusters are not merged, so give copies
        of a prompt one label.
    alpha : float
        1 - confidence.

    Returns
    -------
    Result
        Rows slope[C], std_slope[C], smd[C] of each covariate C, joint_wald and endogeneity_index
        (see Notes); columns of a t table, covariate, quantity, low_all, high_all, p_all (of
        std_slope), stratum_min, stratum_max. A covariate that never varies (no spread in any
        belief, the same mean everywhere) is NaN, noted and left out of the tests.

    Raises
    ------
    ValueError
        For missing columns, bad values (naming the row), a stratum with one treatment level, and
        fewer than 3 clusters.

    Notes
    -----
    The quantities come from the mixture of each covariate's beliefs over the prompts.

    - slope[C]: least-squares slope of E[C | prompt] on the treatment (units of C per dollar).
    - std_slope[C]: SDs of C per SD of treatment, Var C = mean within-belief variance + variance
      of the means. It equals the correlation of C and the treatment in the mixture: -1 to 1. Its
      variance is the larger of two: with the standard deviations of C estimated again without each
      cluster, and held fixed, as in joint_wald. (The first alone is too small for few clusters
      with large slopes.)
    - smd[C]: (mean in the upper - in the lower half of the treatment levels) / root mean of the
      two halves' variances; a middle level is in neither half. 0.1 is the usual threshold (Austin
      2009). Infinite (without interval) where the halves differ and neither varies.
    - joint_wald: H0 all std_slopes are 0. estimate = chi2 = b' V^- b, df = rank r of V (on the
      correlation scale, so collinear covariates count once); statistic = Hotelling's
      F = chi2 (d - r + 1) / (r d) on (r, d - r + 1), which gives p (the chi2 limit rejects far too
      often with few clusters); d are the slopes' degrees of freedom, clusters - 1 where these are
      equal. NaN, with a note, if the clusters are too few for the rank.
    - endogeneity_index = max |std_slope|. A maximum of absolute values is never 0 and biased
      upwards, so a percentile interval never contains 0. Instead all K std_slopes have
      simultaneous intervals at Bonferroni's t quantile (low_all, high_all; valid for any
      dependence), from which the interval of the index follows: low = max_C of the smallest
      |slope| in C's interval, high = max_C of the largest. Coverage is at least 1 - alpha, and
      low is 0 exactly if no covariate is significant. p = the smallest Bonferroni p (p_all).

    Intervals of the other rows are pointwise.

    References
    ----------
    Gui & Toubia, arXiv 2312.15524; the index and its interval are our formulation.

    Examples
    --------
    >>> rows = {"price": [1, 2, 3] * 3, "wording": [0] * 3 + [1] * 3 + [2] * 3}
    >>> heat = [20.0, 21, 24, 19, 21, 23, 20, 22, 23]
    >>> frame = pd.DataFrame({**rows, "heat": heat, "heat_sd": 4.0})
    >>> result = balance_audit(frame, covariates=["heat"], cluster="wording")
    >>> result.to_frame().loc["std_slope[heat]", ["estimate", "low", "high"]].astype(float).round(2)
    estimate    0.35
    low         0.21
    high        0.48
    Name: std_slope[heat], dtype: float64
    """
    check_columns(frame, [treatment, *(strata or ())], "frame")
    names, mean, sd = moments_of(frame, covariates)
    t = column(frame[treatment], treatment)
    stratum = optional_labels(frame[list(strata)] if strata else None, "strata", len(t))[0]
    rows = rows_of(frame, weights, cluster)
    exact = exact_rows(mean, sd, np.unique(t, return_inverse=True)[1])
    merged = merge_copies(rows, exact, mean, sd, t, strata=stratum)
    k, weight = merged.kept, merged.weight[merged.kept]
    stratum = np.unique(stratum[k], return_inverse=True)[1]
    if (most := _most(rows.codes())) < 3:
        raise ValueError(
            f"cluster: {most} clusters; there must be 3 or more (wordings, field orders, products)"
        )
    few = _most(merged.codes()) < 3  # copies of one or two prompts
    factors = rows.codes() if few else merged.codes()

    jackknifed = partial(_jackknifed, t[k], mean[k], sd[k], weight, stratum)

    def shares(code: IntArray) -> FloatArray:  # of the treatment's variation
        x = _within(t[k], np.zeros(len(k)), weight, stratum)[0]
        return np.asarray(np.bincount(code, weight * x * x), dtype=np.float64)

    every, _, by_stratum = jackknifed(max(factors, key=np.max))
    over = spread(
        factors, every.ravel(), lambda c: jackknifed(c)[1].reshape(-1, every.size), shares
    )
    live = ~np.isnan(every[1])
    error, df = (x.reshape(every.shape) for x in (over.error, over.df))
    larger = error[3] > error[1]
    error[1], df[1] = np.where(larger, (error[3], df[3]), (error[1], df[1]))
    every, error, df = every[:3], error[:3], df[:3]
    if few:
        error = np.full_like(error, np.nan)  # how other prompts differ is unknown
    quantities = ("slope", "std_slope", "smd")
    index = [f"{quantity}[{c}]" for quantity in quantities for c in names]
    table = t_frame(index, every.ravel(), error.ravel(), df.ravel(), alpha)
    table["covariate"], table["quantity"] = names * 3, np.repeat(quantities, len(names))
    std, ends = table["quantity"] == "std_slope", ["low", "high"]
    table.loc[std, ends] = table.loc[std, ends].clip(-1, 1)
    extra, worst = _simultaneous(every[1], error[1], names, df[1], alpha)
    extra |= {"stratum_min": by_stratum.min(axis=0), "stratum_max": by_stratum.max(axis=0)}
    for name, values in extra.items():  # blank in the rows of the other quantities
        table.loc[std, name] = values
    slopes = np.flatnonzero(live) + 3 * len(names)
    n_g = 0 if few else min(int(code.max()) + 1 for code in factors if code.max() > 0)
    cov = over.covariance[np.ix_(slopes, slopes)]
    wald, note = _wald(every[1, live], cov, n_g, np.nan if few else float(np.nanmin(df)))
    last = pd.DataFrame([wald, worst], index=["joint_wald", "endogeneity_index"])
    table = pd.concat([table, last])
    constant = (f"{c} never varies: left out" for c in np.array(names)[~live])
    endless = np.array(names)[np.isinf(every[2])]
    infinite = (f"{c}: no spread within halves: its smd is undefined" for c in endless)
    notes = (*merged.notes, *constant, *infinite, note, *(() if few else few_note(over.units)))
    return Result("Balance audit", table, len(k), alpha, SOURCE, notes, rows.over)


def _most(factors: Sequence[IntArray]) -> int:
    """Clusters of the factor with most."""
    return max(int(code.max()) + 1 for code in factors)


def _jackknifed(
    t: FloatArray, mean: FloatArray, sd: FloatArray, w: FloatArray, strata: IntArray, code: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """slope, std_slope, smd: (4, K), without each cluster (G, 4, K); std_slope by stratum (S, K).

    The fourth is std_slope with the standard deviations of all rows. All are functions of weighted
    averages per stratum; deleting a cluster subtracts its sums.
    """
    shape = (int(code.max()) + 1, int(strata.max()) + 1)
    cell, one = np.ravel_multi_index((code, strata), shape), np.ones_like(t)
    side = _sides(t, strata)
    upper, lower = (side > 0).astype(float), (side < 0).astype(float)

    def sums(values: FloatArray) -> FloatArray:  # (1 + G, S): all, then without each cluster
        parts = np.bincount(cell, w * values, minlength=shape[0] * shape[1]).reshape(shape)
        return np.concatenate([parts.sum(axis=0)[None], parts.sum(axis=0) - parts])

    def average(values: FloatArray, among: FloatArray = one) -> FloatArray:
        return _over(sums(among * values), sums(among))

    x, _, x_unit = _within(t, np.zeros_like(t), w, strata)
    x_bar, size = average(x), sums(one)
    spread = average(x * x) - x_bar**2
    size *= spread > DUST  # a stratum where the treatment is constant does not count
    paired = size * (sums(upper) > DUST) * (sums(lower) > DUST)
    if not size.sum(axis=1).all():
        raise ValueError(
            "cluster: one cluster holds all the variation of the treatment; give clusters with "
            "several levels each"
        )
    out = np.full((shape[0] + 1, 4, mean.shape[1]), np.nan)
    by_stratum = np.full((shape[1], mean.shape[1]), np.nan)
    for c in range(mean.shape[1]):
        m, s, unit = _within(mean[:, c], sd[:, c], w, strata)
        if not unit.any():
            continue
        square, m_bar = m * m + s * s, average(m)
        both = average(x * m) - x_bar * m_bar
        deviation = np.sqrt(spread * (average(square) - m_bar**2).clip(0))
        r = _over(both, deviation)
        r[np.abs(r) < DUST] = 0
        by_stratum[:, c] = r[0]
        out[:, 1, c] = (size * r).sum(axis=1) / size.sum(axis=1)
        fixed = np.where(r != 0, _over(both, np.broadcast_to(deviation[0], both.shape)), 0)
        out[:, 3, c] = (size * fixed).sum(axis=1) / size.sum(axis=1)
        both *= r != 0
        out[:, 0, c] = (size * both * x_unit * unit).sum(1) / (size * spread * x_unit**2).sum(1)
        high, low = average(m, upper), average(m, lower)
        variance = (average(square, upper) - high**2 + average(square, lower) - low**2) / 2
        gap = high - low
        gap[np.abs(gap) < DUST] = 0
        inside = np.sqrt(variance.clip(0))
        endless = (gap != 0) & (inside <= DUST) & (paired > 0)  # halves that differ and do not vary
        gap = np.where(endless, np.copysign(np.inf, gap), _over(gap, inside))
        with np.errstate(invalid="ignore"):  # infinite both ways: NaN
            shift = (paired * np.where(paired > 0, gap, 0)).sum(axis=1)
        out[:, 2, c] = _over(shift, paired.sum(axis=1))
    return out[0], out[1:], by_stratum


def _within(
    x: FloatArray, inside: FloatArray, w: FloatArray, stratum: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """x and `inside` in units of the strata's mixture SD, x centred; and that SD, (S,)."""
    size, dust = np.bincount(stratum, w), 1e-12 * np.abs(x).max()
    x = x - (np.bincount(stratum, w * x) / size)[stratum]
    unit = np.sqrt(np.bincount(stratum, w * (x**2 + inside**2)) / size)
    unit[unit <= dust] = 0
    return _over(x, unit[stratum], 0), _over(inside, unit[stratum], 0), unit


def _over(a: FloatArray, b: FloatArray, above: float = DUST) -> FloatArray:
    return np.divide(a, b, out=np.zeros_like(a), where=b > above)


def _sides(t: FloatArray, stratum: IntArray) -> IntArray:
    """1 in the upper half of the stratum's treatment levels, -1 in the lower, 0 in the middle."""
    levels = pd.Series(t).groupby(stratum)
    count = levels.transform("nunique").to_numpy()
    for level in t[count == 1][:1]:
        raise ValueError(
            f"treatment: a stratum has the one level {level:g}; every stratum must have two or more"
        )
    return np.asarray(np.sign(2 * levels.rank("dense") - count - 1), dtype=np.int64)


def _wald(b: FloatArray, cov: FloatArray, n_g: int, df: float) -> tuple[dict[str, object], str]:
    """Hotelling's test that all b (K,) are 0. n_g : number of clusters, 0 for no test."""
    empty: dict[str, object] = {"quantity": "joint_wald"}
    if not n_g:
        return empty, "fewer than 3 distinct clusters: no interval and no test"
    err = np.sqrt(np.diag(cov))
    free = err > DUST
    root, turn = np.linalg.eigh(cov[np.ix_(free, free)] / np.outer(err[free], err[free]))
    real = root > 1e-8
    r, k = int(real.sum()), int(free.sum())
    z = turn.T @ (b[free] / err[free])
    chi2 = float((z[real] ** 2 / root[real]).sum())
    if b[~free].any() or (z[~real] ** 2).sum() > 1e-6 * (z**2).sum():
        chi2 = np.inf  # a covariate, or a combination, moves by the same in every cluster
    if len(b) == 0 or (r > 0 and df - r + 1 < 1) or (r == n_g - 1 and r < k):
        return empty, f"joint_wald undefined: {n_g} clusters for {k} covariates; read the index's p"
    f = chi2 * (df - r + 1) / (r * df) if r else (np.inf if chi2 else 0.0)
    p = float(special.fdtrc(r, df - r + 1, f)) if r and f < np.inf else float(f == 0)
    note = (
        f"joint_wald: p from F({r}, {df - r + 1:.3g}), Hotelling" if r else "all slopes are exact"
    )
    return empty | {"estimate": chi2, "statistic": f, "df": r, "p": p}, note


def _simultaneous(
    slope: FloatArray, error: FloatArray, names: list[str], df: FloatArray, alpha: float
) -> tuple[dict[str, FloatArray], dict[str, object]]:
    """Bonferroni's intervals of the std_slopes, and the row of the index, max |slope|."""
    live = ~np.isnan(slope)
    k = max(int(live.sum()), 1)
    half = error * special.stdtrit(df, 1 - alpha / (2 * k))
    low, high = (slope - half).clip(-1, 1), (slope + half).clip(-1, 1)
    t = np.divide(np.abs(slope), error, out=np.where(slope == 0, 0, np.inf), where=error > 0)
    t[~live | np.isnan(error)] = np.nan
    p = (2 * k * special.stdtr(df, -t)).clip(max=1)
    row: dict[str, object] = {"quantity": "endogeneity_index"}
    if live.any():
        largest = int(np.nanargmax(np.abs(slope)))
        row |= {"estimate": np.abs(slope[largest]), "covariate": names[largest]}
    if (live & ~np.isnan(error)).any():
        row |= {
            "low": max(np.nanmax(low), np.nanmax(-high), 0.0),
            "high": max(np.nanmax(-low), np.nanmax(high)),
            "statistic": np.nanmax(t),
            "df": df[int(np.nanargmax(t))],
            "p": np.nanmin(p),
        }
    return {"low_all": low, "high_all": high, "p_all": p}, row
