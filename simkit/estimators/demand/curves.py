"""Demand curves from simulated purchases, and their distance from a known curve.

What the intervals cover. A belief is exact: the same prompt gives the same number again. What
varies is the prompt, so the unit of analysis is the **cluster**: one wording, field order, persona
or covariate profile, with all rows (prices) that share it. Clusters of beliefs that are equal row
by row are copies of one prompt: they count as one cluster, and a note says how many are distinct.
(Give shares counted from draws as the draws, 0 and 1.) Intervals answer the question: how would the
number change with other prompts of the same kind? They do not cover the choice of model, nor of
prices. Profiles that enumerate a distribution exhaustively (with its probabilities as `weights`)
are no sample: give the wordings as `cluster`, not the profiles.

Where every wording is asked for every product, give both columns as `cluster`: they are crossed,
and the interval is over products and wordings. (A pair of one product and one wording is not an
independent unit: all pairs of a wording share its effect. Treated as independent, an interval
nominally of 95 % covered 40 %.) With one column it is over that one, for these products, or for
these wordings. The result says which (`over`), and the effective number of clusters if it is small.
Variances and degrees of freedom: `simkit.estimators.shared.clustering`. All this holds for
`simkit.estimators.demand.logit` too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.clustering import (
    ALONE,
    effective,
    few_note,
    mean_over,
    normal_logits,
    share_interval,
    spread,
)
from simkit.estimators.shared.copies import believed, merge_copies
from simkit.estimators.shared.rows import label_texts, number_texts, optional_labels, split_rows
from simkit.result import Result, t_frame
from simkit.types import FloatArray, IntArray, column, counted, labels, usable_rows

__all__ = ["GUI_TOUBIA", "curve_error", "demand_curve"]

ONE = "a cell has one cluster, or one with 99.5 % of its weight: no interval"
GUI_TOUBIA = "Gui & Toubia, arXiv 2312.15524"


@checked("price buys weights groups cluster")
def demand_curve(
    price: npt.ArrayLike = "price",
    buys: npt.ArrayLike = "belief",
    *,
    weights: npt.ArrayLike | None = None,
    groups: Any = None,
    cluster: Any = None,
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """Mean P(buy) at each price (of each group), with an interval per point.

    Parameters
    ----------
    price : array_like or str
        (n,) dollars. With `data`, the name of its column.
    buys : array_like or str
        (n,) P(buy) in [0, 1], or choices 0 and 1; missing rows are skipped and counted.
    weights : array_like or str, optional
        (n,) from 0, such as the probability of the row's covariate profile; None is equal weight.
        Rows of weight 0 are skipped and counted.
    groups : array_like, DataFrame or str, optional
        (n,) labels, or several columns (strategy, product); each group has its own curve. The
        columns are in the result under their own names.
    cluster : array_like, DataFrame or str, optional
        (n,) labels of prompts that share a wording, or two columns that are crossed; None makes
        every row its own cluster. See the module for what the interval covers.
    alpha : float
        1 - confidence.
    data : DataFrame, optional
        A row per prompt, as `believe` returns it for one of the options. The arguments about rows
        are then names of its columns.

    Returns
    -------
    Result
        A row per cell, a price (of a group), named "blind, price=2.5"; columns of the groups,
        price, estimate = sum(w y) / sum(w), std_error, low, high, n and clusters. NaN, counted in
        the notes: a cell whose rows are all skipped; and the interval of a cell with fewer than 2
        clusters, or one cluster with 99.5 % of the weight.

    Raises
    ------
    ValueError
        Naming the row, the value and the remedy, for bad values and columns of unequal length.

    Notes
    -----
    The interval is that of the cluster jackknife, formed on the logit scale, where shares are
    nearly normal. Near 0 and 1 that is still too short for few clusters; so it is widened, if need
    be, to that of a mean of shares whose logits are normal over clusters (of either factor;
    generalised pivots: Krishnamoorthy & Mathew 2003), which is cautious near 0 and 1: its coverage
    is 0.98 at shares of 0.015. Intervals are pointwise. A cell whose clusters are all equal (its
    rows are all 0, say) has the Clopper-Pearson interval of as many draws as it has (effective)
    clusters.

    Examples
    --------
    >>> price, wording = [1, 2] * 4, [0, 0, 1, 1, 2, 2, 3, 3]
    >>> buys = [0.8, 0.4, 0.7, 0.6, 0.9, 0.3, 0.6, 0.5]
    >>> result = demand_curve(price, buys, cluster=wording)
    >>> result.to_frame()[["estimate", "low", "high"]].round(2)
             estimate   low  high
    price=1      0.75  0.50  0.90
    price=2      0.45  0.26  0.65
    """
    x = column(price, "price")
    y = column(buys, "buys", low=0, high=1, missing=True, rows=len(x))
    group, keys = optional_labels(groups, "group", len(x))
    cells, code = np.unique(np.column_stack([group, x]), axis=0, return_inverse=True)
    rows = usable_rows(y, weights, cluster, crossed=True)
    merged = merge_copies(rows, believed(y), y, x, within=group)
    members = split_rows(code[merged.kept], merged.kept, len(cells))
    parts = [_cell(y[i], merged.weight[i], merged.codes(i), alpha) for i in members]
    heads = ["estimate", "std_error", "low", "high", "n", "clusters", "units"]
    table = pd.DataFrame(parts, columns=heads)
    units = table.pop("units").to_numpy(dtype=np.float64)
    table.insert(0, "price", cells[:, 1])
    names = pd.Series(number_texts(table["price"])).radd("price=")
    if groups is not None:
        for name in keys.columns.intersection(table.columns)[:1]:
            raise ValueError(f"groups has a column {name!r}, as the result has; rename it")
        of = keys.loc[cells[:, 0].astype(int)].reset_index(drop=True)
        names = label_texts(of).agg(", ".join, axis=1) + ", " + names
        table = pd.concat([of, table], axis=1)
    empty, single = (int((table["clusters"] == k).sum()) for k in (0, 1))
    notes = merged.notes + counted(empty, len(table), "cells are empty (NaN)")
    notes += counted(single, len(table), "cells have one cluster (no interval)")
    notes += few_note(units)
    frame = table.set_index(pd.Index(names.to_list()))
    method = "Demand curve, cluster jackknife"
    return Result(method, frame, len(merged.kept), alpha, GUI_TOUBIA, notes, rows.over)


@checked("price buys truth weights products cluster")
def curve_error(
    price: npt.ArrayLike = "price",
    buys: npt.ArrayLike = "belief",
    truth: npt.ArrayLike = "truth",
    *,
    weights: npt.ArrayLike | None = None,
    products: Any = None,
    cluster: Any = None,
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """Distance of a demand curve from a known one: mean absolute and mean signed difference.

    Parameters
    ----------
    price, buys, weights, cluster, alpha, data
        As in :func:`demand_curve`.
    truth : array_like or str
        (n,) the exact P(buy) at the row's price, the same in all rows of a cell.
    products : array_like or str, optional
        (n,) labels, so that each product has its own cells; None is one product.

    Returns
    -------
    Result
        Cells are prices (of products), d_c = mean of buys in cell c - truth in it. Rows
        mean_abs_error = mean |d_c| and mean_difference = mean d_c (positive: simulated demand is
        too high). The interval is NaN if any cell has fewer than 2 clusters, or one cluster with
        99.5 % of its weight.

    Raises
    ------
    ValueError
        As :func:`demand_curve`, and where the truth differs within a cell.

    Notes
    -----
    The interval of mean_difference is formed as in `demand_curve`: on the logit scale of the mean
    share, and widened where shares are near 0 or 1 (coverage 0.98 at shares of 0.015). Where all
    clusters are equal (all buys are 0, say) both intervals are the estimate plus or minus the
    largest share that is compatible with so many (effective) clusters.

    The jackknife deletes a cluster from all cells at once; where the clusters are the products,
    or groups of them, it deletes their cells. |d_c| of a noisy curve is biased upwards by about the
    noise. The upper end is therefore safe and the lower end is not: to show that a curve is
    *wrong*, use mean_difference or the points of `demand_curve`.

    Examples
    --------
    >>> price, wording = [1, 2] * 4, [0, 0, 1, 1, 2, 2, 3, 3]
    >>> buys = [0.8, 0.4, 0.7, 0.6, 0.9, 0.3, 0.6, 0.5]
    >>> result = curve_error(price, buys, truth=[0.7, 0.2] * 4, cluster=wording)
    >>> result.to_frame()[["estimate", "low", "high"]].round(2)
                     estimate   low  high
    mean_abs_error       0.15  0.09  0.21
    mean_difference      0.15  0.08  0.21
    """
    x = column(price, "price")
    y = column(buys, "buys", low=0, high=1, missing=True, rows=len(x))
    true = column(truth, "truth", low=0, high=1, rows=len(x))
    product = optional_labels(products, "product", len(x))[0]
    rows = usable_rows(y, weights, cluster, crossed=True)
    rows = merge_copies(rows, believed(y), y, x, true, strata=product)
    k, w, factors = rows.kept, rows.weight[rows.kept], rows.codes()
    cell, cells = labels(pd.DataFrame({"product": product[k], "price": x[k]}), "cell", len(k))
    exact = np.zeros(len(cells))
    exact[cell] = true[k]
    for i in np.flatnonzero(np.abs(exact[cell] - true[k]) > 1e-9)[:1]:
        raise ValueError(
            f"truth: row {k[i]} holds {true[k[i]]}, another row of price {x[k[i]]:g} holds "
            f"{exact[cell[i]]}; it must be one value per cell (price, of a product)"
        )
    excess = (y - true)[k]

    def sums(code: IntArray) -> FloatArray:  # by cluster and cell: of w, of w (y - truth)
        shape = (int(code.max()) + 1, len(cells))
        place = np.ravel_multi_index((code, cell), shape)
        both = [np.bincount(place, v, minlength=shape[0] * shape[1]) for v in (w, w * excess)]
        return np.reshape(both, (2, *shape))

    def without(code: IntArray) -> FloatArray:
        parts = sums(code)
        return _errors(*(parts.sum(axis=1, keepdims=True) - parts))

    def shares(code: IntArray) -> FloatArray:
        weight = sums(code)[0]
        return np.asarray((weight / weight.sum(axis=0)).mean(axis=1))

    def shared(code: IntArray) -> bool:  # may each cluster be deleted from every cell?
        return bool(effective(sums(code)[0]).min() >= ALONE)

    def whole(code: IntArray) -> bool:  # or with its cells?
        of_product = pd.Series(code).groupby(product[k]).nunique()
        return bool(code.max() > 0 and of_product.max() == 1)

    usable = [code for code in factors if shared(code) or whole(code)]
    centre = _errors(*sums(np.zeros(len(k), dtype=np.int64)))[0]
    over = spread(usable, centre, without, shares)
    names = ["mean_abs_error", "mean_difference"]
    frame = t_frame(names, centre, over.error, over.df, alpha).drop(columns=["statistic", "p"])
    low, high = frame["low"].to_numpy(copy=True), frame["high"].to_numpy(copy=True)
    part: FloatArray = np.asarray(w / np.bincount(cell, w)[cell] / len(cells))  # of the mean share
    level = np.bincount(cell, part * y[k]).astype(np.float64)[cell] * len(cells)
    mean, mean_truth = float(part @ y[k]), float(exact.mean())
    truths = [_per(code, part, true[k]) for code in usable if not shared(code)]
    drawn = any(np.ptp(of) > 1e-9 for of in truths)  # products, of which each has its own truth
    inside = 1e-12 < mean < 1 - 1e-12
    if over.error[1] > 1e-12 and inside:
        half = (high[1] - centre[1]) / (mean * (1 - mean))
        ends = special.expit(special.logit(mean) + np.array([-half, half])) - mean_truth
        ends = np.append(ends, [low[1], high[1]]) if drawn else ends
        for code in usable:  # shares, had each cluster been asked for all cells
            usual = special.logit(_per(code, part, level) if shared(code) else mean)
            with np.errstate(invalid="ignore"):  # a cell of zeros: NaN
                odds = special.logit(_per(code, part, y[k])) - usual
            adjusted = special.expit(special.logit(mean) + odds)
            share: FloatArray = np.bincount(code, part).astype(np.float64)
            ends = np.append(ends, normal_logits(adjusted, share, over.df[1], alpha) - mean_truth)
        low[1], high[1] = np.nanmin(ends), np.nanmax(ends)
    # (1 - p)^units = alpha / 2: the upper end of Clopper & Pearson's (1934) interval of 0
    largest = 1 - (alpha / 2) ** (1 / over.units[0])
    possible = np.where((over.error <= 1e-12) | (not inside), largest, 0.0)
    least, most = ([0.0, -1.0], 1.0) if drawn else ([0.0, -mean_truth], [1.0, 1 - mean_truth])
    frame["low"] = np.minimum(low, centre - possible).clip(least)
    frame["high"] = np.maximum(high, centre + possible).clip(max=most)
    notes = (*rows.notes, *(few_note(over.units) if usable else (ONE,)))
    method = "Error of a demand curve"
    return Result(method, frame, len(k), alpha, "our formulation", notes, rows.over)


def _per(code: IntArray, part: FloatArray, values: FloatArray) -> FloatArray:
    """Each cluster's mean of values (m,), weighted by part (m,)."""
    return np.asarray(np.bincount(code, part * values) / np.bincount(code, part))


def _cell(
    y: FloatArray, w: FloatArray, factors: list[IntArray], alpha: float
) -> tuple[float, float, float, float, int, int, float]:
    """estimate, std_error, low, high, n, clusters, units of a weighted mean in [0, 1]."""
    if len(y) == 0:
        return np.nan, np.nan, np.nan, np.nan, 0, 0, np.nan
    mean = mean_over(y, w, factors)
    ends = share_interval(y, w, factors, mean, alpha)
    return mean.estimate, mean.error, *ends, len(y), mean.clusters, mean.units


def _errors(weight: FloatArray, excess: FloatArray) -> FloatArray:
    """Means (G, 2) of |d| and of d over cells, from sums (G, C) of weights and of w (y - truth)."""
    used = weight > 0
    d = np.divide(excess, weight, out=np.zeros_like(excess), where=used)
    sums = np.column_stack([np.abs(d).sum(axis=1), d.sum(axis=1)])
    return np.asarray(sums / used.sum(axis=1, keepdims=True))
