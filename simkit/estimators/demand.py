"""Demand curves from simulated purchases, and their distance from a known curve.

What the intervals cover. A belief is exact: asking the same prompt again gives the same number.
What varies is the prompt, so the unit of analysis is the **cluster**: one wording, field order,
persona or covariate profile, with all rows (prices) that share it. Clusters of beliefs that repeat
each other row by row are copies of one prompt: they count as one cluster, and a note says how many
are distinct. (Shares counted from draws belong in as the draws, 0 and 1.) Intervals answer: how
would the number move, had other prompts of the same kind been asked? They do not cover the choice
of model, nor of prices. Profiles that enumerate a distribution exhaustively (with its probabilities
as `weights`) are no sample: give the wordings as `cluster`, not the profiles.

One covariance serves throughout: the delete-one-cluster jackknife (CV3), with t quantiles on
(clusters - 1) degrees of freedom; with equal clusters it is the plain t interval over clusters
(MacKinnon, Nielsen & Webb 2023, arXiv 2301.04527). All this holds for `simkit.estimators.logit`.

Shared arguments
----------------
price : (n,) dollars. buys : (n,) P(buy) in [0, 1], or choices 0/1; missing rows are skipped and
    counted. weights : (n,) non-negative, e.g. the probability of the row's covariate profile;
    None is equal weight; rows of weight 0 are skipped and counted. cluster : (n,) labels, or a
    DataFrame of several; None makes every row its own cluster. alpha : 1 - confidence.
All raise ValueError naming the row, the value and what is legal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.arguments import checked
from simkit.estimators.copies import believed, merge_copies
from simkit.estimators.rows import optional_labels, split_rows
from simkit.result import Result, clustered_mean, jackknife, t_frame
from simkit.types import (
    FloatArray,
    IntArray,
    SeedLike,
    column,
    counted,
    generator,
    labels,
    usable_rows,
)

__all__ = ["curve_error", "demand_curve"]

GUI_TOUBIA = "Gui & Toubia, arXiv 2312.15524"
Stream = np.random.Generator


@checked("price buys weights groups cluster")
def demand_curve(
    price: npt.ArrayLike,
    buys: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    groups: Any = None,
    cluster: Any = None,
    alpha: float = 0.05,
    n_boot: int = 0,
    rng: SeedLike = 0,
) -> Result:
    """Mean P(buy) at each price (of each group), with an interval per point.

    For cell c (a price, of a group): sum(w y) / sum(w). With `n_boot` = 0 the interval is the
    cluster jackknife's t interval; else the percentile interval of `n_boot` resamples of the
    cell's clusters, drawn from `rng` (too narrow below some 20 clusters). Both are cut to [0, 1],
    and are pointwise. A cell whose rows are all 0, or all 1, has the Clopper-Pearson interval of
    as many draws as it has clusters.

    groups : (n,) labels, or a DataFrame of several columns (strategy, product); the table has
        them under their own names. The index reads "blind, price=2.5".
    Undefined: a cell whose rows are all skipped, or (interval) that has fewer than 2 clusters:
    NaN, counted in the notes. Shared arguments: see the module.
    """
    if n_boot == 1:
        raise ValueError("n_boot is 1; legal are 0 for the jackknife, or 2 and more resamples")
    x = column(price, "price")
    y = column(buys, "buys", low=0, high=1, missing=True, rows=len(x))
    group, keys = optional_labels(groups, "group", len(x))
    cells, code = np.unique(np.column_stack([group, x]), axis=0, return_inverse=True)
    stream, rows = generator(rng), usable_rows(y, weights, cluster)
    rows = merge_copies(rows, believed(y), y, x, within=group)
    members = split_rows(code[rows.kept], rows.kept, len(cells))
    parts = [_cell(y[i], rows.weight[i], rows.cluster[i], alpha, n_boot, stream) for i in members]
    table = pd.DataFrame(parts, columns=["estimate", "std_error", "low", "high", "n", "clusters"])
    table = table.astype({"n": int, "clusters": int})
    table.insert(0, "price", cells[:, 1])
    names = table["price"].map("price={:g}".format)
    if groups is not None:
        heads = keys.loc[cells[:, 0].astype(int)].reset_index(drop=True)
        names = heads.astype(str).agg(", ".join, axis=1) + ", " + names
        table = pd.concat([heads, table], axis=1)
    empty, single = (int((table["clusters"] == k).sum()) for k in (0, 1))
    notes = rows.notes + counted(empty, len(table), "cells are empty (NaN)")
    notes += counted(single, len(table), "cells have one cluster (no interval)")
    how = f"{n_boot} bootstrap resamples of clusters" if n_boot else "t over clusters (jackknife)"
    frame = table.set_index(pd.Index(names.to_list()))
    return Result(f"Demand curve, {how}", frame, len(rows.kept), alpha, GUI_TOUBIA, notes)


@checked("price buys truth weights products cluster")
def curve_error(
    price: npt.ArrayLike,
    buys: npt.ArrayLike,
    truth: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    products: Any = None,
    cluster: Any = None,
    alpha: float = 0.05,
) -> Result:
    """How far a demand curve lies from a known one: mean absolute and mean signed difference.

    Cells are prices (of products); d_c = mean of buys in cell c - truth in it; quantities:
    mean_abs_error = mean |d_c|, mean_difference = mean d_c (positive: simulated demand too high).
    truth : (n,) the exact P(buy) at the row's price, the same in all rows of a cell.
    products : (n,) labels, so that each product has its own cells; None is one product.
    The jackknife deletes a cluster from all cells at once; where the clusters are the products,
    or groups of them, it deletes their cells, and the interval is over products. |d_c| of a noisy
    curve is biased upwards by about the noise, which makes the upper end safe and the lower end
    not: to show that a curve is *off*, use mean_difference or the points of demand_curve.
    Undefined: otherwise, NaN interval if any cell has fewer than 2 clusters. Shared arguments: see
    the module.
    """
    x = column(price, "price")
    y = column(buys, "buys", low=0, high=1, missing=True, rows=len(x))
    true = column(truth, "truth", low=0, high=1, rows=len(x))
    product = optional_labels(products, "product", len(x))[0]
    rows = merge_copies(usable_rows(y, weights, cluster), believed(y), y, x, true, product)
    k, w, g = rows.kept, rows.weight, rows.cluster
    cell, cells = labels(pd.DataFrame({"product": product[k], "price": x[k]}), "cell", len(k))
    exact = np.zeros(len(cells))
    exact[cell] = true[k]
    for i in np.flatnonzero(np.abs(exact[cell] - true[k]) > 1e-9)[:1]:
        raise ValueError(
            f"truth: row {k[i]} holds {true[k[i]]}, another row of price {x[k[i]]:g} holds "
            f"{exact[cell[i]]}; legal is one value per cell (price, of a product)"
        )
    n_g = g[k].max() + 1
    sums = np.zeros((2, n_g, len(cells)))  # per cluster and cell: sum of w, sum of w (y - truth)
    np.add.at(sums[0], (g[k], cell), w[k])
    np.add.at(sums[1], (g[k], cell), w[k] * (y - true)[k])
    per_cell = (sums[0] > 0).sum(axis=0)
    by_product = pd.Series(g[k]).groupby(product[k]).nunique()  # clusters of each product
    whole = n_g > 1 and by_product.max() == 1
    both = whole or per_cell.min() >= 2
    replicates = sums.sum(axis=1, keepdims=True) - sums if both else sums[:, :0]
    stats = [_errors(*s) for s in (sums.sum(axis=1, keepdims=True), replicates)]
    variance = np.diag(jackknife(stats[1], stats[0][0])) if both else np.full(2, np.nan)
    frame = t_frame(
        ["mean_abs_error", "mean_difference"], stats[0][0], np.sqrt(variance), n_g - 1, alpha
    )
    frame["low"], frame["high"] = frame["low"].clip([0.0, -1.0]), frame["high"].clip(upper=1.0)
    notes = rows.notes + (() if both else ("a cell has one cluster: no interval",))
    frame = frame.drop(columns=["statistic", "p"])
    return Result("Error of a demand curve", frame, len(k), alpha, "our formulation", notes)


def _cell(
    y: FloatArray, w: FloatArray, cluster: IntArray, alpha: float, n_boot: int, stream: Stream
) -> tuple[float, float, float, float, int, int]:
    """estimate, std_error, low, high, n, clusters of one weighted mean of numbers in [0, 1]."""
    if len(y) == 0:
        return np.nan, np.nan, np.nan, np.nan, 0, 0
    mean, error, n_g = clustered_mean(y, w, cluster)
    if n_g == 1:
        return mean, np.nan, np.nan, np.nan, len(y), 1
    low, high = mean + np.array([-1, 1]) * error * special.stdtrit(n_g - 1, 1 - alpha / 2)
    if n_boot:
        code = np.unique(cluster, return_inverse=True)[1]
        top, bottom = np.bincount(code, w * y), np.bincount(code, w)
        counts = stream.multinomial(n_g, np.full(n_g, 1 / n_g), size=n_boot)
        means = (counts @ top) / (counts @ bottom)
        error, (low, high) = means.std(ddof=1), np.quantile(means, [alpha / 2, 1 - alpha / 2])
    if np.isin(y, [0, 1]).all() and mean in (0, 1):  # nothing varies, yet draws could have
        reach = 1 - (alpha / 2) ** (1 / n_g)
        low, high = (0.0, reach) if mean == 0 else (1 - reach, 1.0)
    return mean, error, max(low, 0.0), min(high, 1.0), len(y), n_g


def _errors(weight: FloatArray, excess: FloatArray) -> FloatArray:
    there = weight > 0
    d = np.divide(excess, weight, out=np.zeros_like(excess), where=there)
    sums = np.column_stack([np.abs(d).sum(axis=1), d.sum(axis=1)])
    return np.asarray(sums / there.sum(axis=1, keepdims=True))
