"""Demand curves from simulated purchases, and their distance from a known curve.

What the intervals cover. A belief is exact: asking the same prompt again gives the same number.
What varies is the prompt, so the unit of analysis is the **cluster**: one wording, field order,
persona or covariate profile, with all rows (prices) that share it. Clusters of beliefs that repeat
each other row by row are copies of one prompt: they count as one cluster, and a note says how many
are distinct. (Shares counted from draws belong in as the draws, 0 and 1.) Intervals answer: how
would the number move, had other prompts of the same kind been asked? They do not cover the choice
of model, nor of prices. Profiles that enumerate a distribution exhaustively (with its probabilities
as `weights`) are no sample: give the wordings as `cluster`, not the profiles.

Where every wording is asked for every product, `cluster` is a DataFrame of both columns: they are
crossed, and the interval is over products and wordings. (A pair of one product and one wording is
no unit of its own: all pairs of a wording share its effect. Treated as independent, an interval
nominally of 95 % covered 40 %.) With one column it is over that one, for these products, or for
these wordings. The result says which (`over`), and the effective number of clusters if it is small.
How variances and degrees of freedom come about: `simkit.estimators.shared.clustering`. All this
holds for `simkit.estimators.demand.logit` too.

Shared arguments
----------------
price : (n,) dollars. buys : (n,) P(buy) in [0, 1], or choices 0/1; missing rows are skipped and
    counted. weights : (n,) non-negative, e.g. the probability of the row's covariate profile;
    None is equal weight; rows of weight 0 are skipped and counted. cluster : (n,) labels, or a
    DataFrame of two columns that are crossed; None makes every row its own cluster. alpha : 1 -
    confidence. data : a frame, such as `believe` returns; the arguments above are then names of its
    columns (cluster=["product", "wording"]), by default "price" and "belief".
data : a frame with a row per prompt, such as `believe` returns for one of the options. The
    arguments above are then names of its columns: price "price" and buys "belief" if not given.
All raise ValueError naming the row, the value and the remedy.
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
from simkit.estimators.shared.rows import optional_labels, split_rows
from simkit.result import Result, t_frame
from simkit.types import FloatArray, IntArray, column, counted, labels, usable_rows

__all__ = ["curve_error", "demand_curve"]

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

    For cell c (a price, of a group): sum(w y) / sum(w). The interval is that of the cluster
    jackknife, formed on the logit scale, where shares are nearly normal. Near 0 and 1 that is
    still too short for few clusters; so it is widened, if need be, to that of a mean of shares
    whose logits are normal over clusters (of either factor; generalised pivots: Krishnamoorthy &
    Mathew 2003): cautious near 0 and 1, 0.98 at shares of 0.015. Intervals are pointwise. A cell
    whose clusters all agree (its rows are all 0, say) has the Clopper-Pearson interval of as many
    draws as it has (effective) clusters.

    groups : (n,) labels, or a DataFrame of several columns (strategy, product); the table has
        them under their own names. The index reads "blind, price=2.5".
    Undefined: a cell whose rows are all skipped, or (interval) that has fewer than 2 clusters:
    NaN, counted in the notes; likewise where one cluster has 99.5 % of the weight. Shared
    arguments: see the module.
    """
    x = column(price, "price")
    y = column(buys, "buys", low=0, high=1, missing=True, rows=len(x))
    group, keys = optional_labels(groups, "group", len(x))
    cells, code = np.unique(np.column_stack([group, x]), axis=0, return_inverse=True)
    given = usable_rows(y, weights, cluster, crossed=True)
    rows = merge_copies(given, believed(y), y, x, within=group)
    members = split_rows(code[rows.kept], rows.kept, len(cells))
    parts = [_cell(y[i], rows.weight[i], rows.codes(i), alpha) for i in members]
    heads = ["estimate", "std_error", "low", "high", "n", "clusters", "units"]
    table = pd.DataFrame(parts, columns=heads)
    units = table.pop("units").to_numpy(dtype=np.float64)
    table = table.astype({"n": int, "clusters": int})
    table.insert(0, "price", cells[:, 1])
    names = table["price"].map("price={:g}".format)
    if groups is not None:
        taken = [name for name in keys if name in table]
        if taken:
            raise ValueError(f"groups has a column {taken[0]!r}, as the result has; rename it")
        of = keys.loc[cells[:, 0].astype(int)].reset_index(drop=True)
        of_text = of.astype(object).map(str)
        if len(of_text.drop_duplicates()) < len(of.drop_duplicates()):  # 1 and "1"
            of_text = of.astype(object).map(repr)
        names = of_text.agg(", ".join, axis=1) + ", " + names
        table = pd.concat([of, table], axis=1)
    empty, single = (int((table["clusters"] == k).sum()) for k in (0, 1))
    notes = rows.notes + counted(empty, len(table), "cells are empty (NaN)")
    notes += counted(single, len(table), "cells have one cluster (no interval)")
    notes += few_note(units)
    frame = table.set_index(pd.Index(names.to_list()))
    method = "Demand curve, cluster jackknife"
    return Result(method, frame, len(rows.kept), alpha, GUI_TOUBIA, notes, given.over)


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
    """How far a demand curve lies from a known one: mean absolute and mean signed difference.

    Cells are prices (of products); d_c = mean of buys in cell c - truth in it; quantities:
    mean_abs_error = mean |d_c|, mean_difference = mean d_c (positive: simulated demand too high).
    The interval of mean_difference is formed as in `demand_curve`: on the logit scale of the mean
    share, and widened where shares are near 0 or 1 (cautious there: 0.98 at shares of 0.015).
    Where no cluster differs from another (all buys are 0, say) both intervals are the estimate
    give or take what so many (effective) clusters leave possible.
    truth : (n,) the exact P(buy) at the row's price, the same in all rows of a cell.
    products : (n,) labels, so that each product has its own cells; None is one product.
    The jackknife deletes a cluster from all cells at once; where the clusters are the products,
    or groups of them, it deletes their cells. |d_c| of a noisy
    curve is biased upwards by about the noise, which makes the upper end safe and the lower end
    not: to show that a curve is *off*, use mean_difference or the points of demand_curve.
    Undefined: otherwise, NaN interval if any cell has fewer than 2 clusters, or one that has 99.5 %
    of its weight. Shared arguments: see the module.
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
            f"{exact[cell[i]]}; legal is one value per cell (price, of a product)"
        )
    excess = (y - true)[k]

    def sums(code: IntArray) -> FloatArray:  # by cluster and cell: of w, of w (y - truth)
        found = np.zeros((2, int(code.max()) + 1, len(cells)))
        np.add.at(found[0], (code, cell), w)
        np.add.at(found[1], (code, cell), w * excess)
        return found

    def without(code: IntArray) -> FloatArray:
        found = sums(code)
        return _errors(*(found.sum(axis=1, keepdims=True) - found))

    def shares(code: IntArray) -> FloatArray:
        found = sums(code)[0]
        return np.asarray((found / found.sum(axis=0)).mean(axis=1))

    def shared(code: IntArray) -> bool:  # may each cluster be deleted from every cell?
        return bool(effective(sums(code)[0]).min() >= ALONE)

    def whole(code: IntArray) -> bool:  # or with its cells?
        of_product = pd.Series(code).groupby(product[k]).nunique()
        return bool(code.max() > 0 and of_product.max() == 1)

    there = [code for code in factors if shared(code) or whole(code)]
    centre = _errors(*sums(np.zeros(len(k), dtype=np.int64)))[0]
    found = spread(there, centre, without, shares)
    names = ["mean_abs_error", "mean_difference"]
    frame = t_frame(names, centre, found.error, found.df, alpha)
    low, high = frame["low"].to_numpy(copy=True), frame["high"].to_numpy(copy=True)
    part: FloatArray = np.asarray(w / np.bincount(cell, w)[cell] / len(cells))  # of the mean share
    level = np.bincount(cell, part * y[k]).astype(np.float64)[cell] * len(cells)
    mean, known = float(part @ y[k]), float(exact.mean())
    truths = [_per(code, part, true[k]) for code in there if not shared(code)]
    drawn = any(np.ptp(of) > 1e-9 for of in truths)  # products, of which each has its own truth
    if found.error[1] > 1e-12 and 1e-12 < mean < 1 - 1e-12:
        half = (high[1] - centre[1]) / (mean * (1 - mean))
        ends = special.expit(special.logit(mean) + np.array([-half, half])) - known
        ends = np.append(ends, [low[1], high[1]]) if drawn else ends
        for code in there:
            usual = _per(code, part, level) if shared(code) else mean
            own = _as_if(_per(code, part, y[k]), usual, mean)
            share: FloatArray = np.bincount(code, part).astype(np.float64)
            ends = np.append(ends, normal_logits(own, share, float(found.df[1]), alpha) - known)
        low[1], high[1] = np.nanmin(ends), np.nanmax(ends)
    still = (found.error <= 1e-12) | (mean <= 1e-12) | (mean >= 1 - 1e-12)
    # (1 - p)^units = alpha / 2: the upper end of Clopper & Pearson's (1934) interval of 0
    possible = np.where(still, 1 - (alpha / 2) ** (1 / found.units[0]), 0.0)
    least, most = ([0.0, -1.0], 1.0) if drawn else ([0.0, -known], [1.0, 1 - known])
    frame["low"] = np.minimum(low, centre - possible).clip(least)
    frame["high"] = np.maximum(high, centre + possible).clip(max=most)
    notes = rows.notes + (() if there else (ONE,))
    notes += few_note(found.units) if there else ()
    frame = frame.drop(columns=["statistic", "p"])
    method = "Error of a demand curve"
    return Result(method, frame, len(k), alpha, "our formulation", notes, rows.over)


def _per(code: IntArray, part: FloatArray, values: FloatArray) -> FloatArray:
    """Each cluster's mean of values (m,), weighted by part (m,)."""
    return np.asarray(np.bincount(code, part * values) / np.bincount(code, part))


def _as_if(own: FloatArray, usual: FloatArray | float, mean: float) -> FloatArray:
    """Clusters' shares, had each been asked for all cells: odds to those usual in its cells."""
    with np.errstate(invalid="ignore"):  # a cell of zeros: NaN
        moved = special.logit(own) - special.logit(usual)
    return np.asarray(special.expit(special.logit(mean) + moved))


def _cell(
    y: FloatArray, w: FloatArray, factors: list[IntArray], alpha: float
) -> tuple[float, float, float, float, int, int, float]:
    """estimate, std_error, low, high, n, clusters, units of a weighted mean in [0, 1]."""
    if len(y) == 0:
        return np.nan, np.nan, np.nan, np.nan, 0, 0, np.nan
    found = mean_over(y, w, factors)
    ends = share_interval(y, w, factors, found, alpha)
    return found.estimate, found.error, *ends, len(y), found.clusters, found.units


def _errors(weight: FloatArray, excess: FloatArray) -> FloatArray:
    there = weight > 0
    d = np.divide(excess, weight, out=np.zeros_like(excess), where=there)
    sums = np.column_stack([np.abs(d).sum(axis=1), d.sum(axis=1)])
    return np.asarray(sums / there.sum(axis=1, keepdims=True))
