"""The balance audit: does the model change what was left unsaid when the treatment changes?

A prompt names a treatment level (a price) and not the covariates. Ask the model for each of them:
its belief over the covariate's values has a mean E[C | prompt] and a standard deviation. Under a
prompt that is read as an experiment the means do not move with the treatment; a prompt that is
read as an observation moves them, and the simulated demand is confounded (Gui & Toubia, arXiv
2312.15524). The audit needs no truth and runs on any model.

What the intervals cover is what `cluster` says. cluster="wording": other wordings, these products.
cluster="product": other products, these wordings. cluster=["product", "wording"], where every
wording is asked for every product: both, crossed. Variances and degrees of freedom:
`simkit.estimators.shared.clustering`; exact for normal, equally designed clusters of one factor,
even as few as 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.shared.arguments import checked, name_of, names_in, text
from simkit.estimators.shared.clustering import few_note, mean_over, spread
from simkit.estimators.shared.copies import DIGITS, merge_copies
from simkit.result import Result, t_frame
from simkit.types import (
    FloatArray,
    IntArray,
    Rows,
    check_labels,
    column,
    counted,
    labels,
    shown,
    usable_rows,
)

__all__ = ["balance_audit", "elicited_curve", "expected_value"]

Names = Mapping[str, tuple[str, str]] | Sequence[str]
SOURCE = "Gui & Toubia, arXiv 2312.15524; the index and its interval are our formulation"
DUST = 1e-9  # a standardised slope below this is rounding error of exact beliefs: zero


@checked(name=text, value=name_of, by=names_in)
def expected_value(
    table: pd.DataFrame | Mapping[str, pd.DataFrame],
    by: Sequence[str],
    *,
    name: str = "mean",
    value: str = "value",
) -> pd.DataFrame:
    """Mean and standard deviation of each prompt's belief over a covariate's values.

    table : the tidy table of `believe` (prompt_id, option_id, belief, and the numbers in column
        `value`), one row per prompt x option; or {covariate: such a table}, all over the same
        prompts, which gives one frame with the columns of all of them.
    by : the columns that tell the prompts apart (product, price, wording, ...); None and NaN are
        legal labels. Returns one row per prompt: `by`, `name` = sum_k b_k v_k, `name`_sd.
    Raises ValueError for missing columns, a value that is no number, a belief outside [0, 1],
    beliefs of a prompt that do not sum to 1, several prompts with the same `by`, and tables
    whose prompts differ.
    """
    by = list(by)
    if isinstance(table, Mapping):
        parts = [expected_value(t, by, name=n, value=value) for n, t in table.items()]
        both = reduce(lambda a, b: a.merge(b, on=by, how="outer", validate="1:1"), parts)
        if len({len(part) for part in [*parts, both]}) > 1:
            raise ValueError(f"the tables of {list(table)} are not over the same prompts ({by})")
        return both
    if not isinstance(table, pd.DataFrame):
        raise ValueError(
            f"table is {shown(table)}; it must be a DataFrame, or a mapping of several"
        )
    _require(table, [*by, "prompt_id", "option_id", "belief", value])
    v = column(table[value], value)
    b = column(table["belief"], "belief", low=0, high=1 + 1e-6)
    code = _codes(table, by)
    first = np.unique(code, return_index=True)[1]
    prompt = labels(table["prompt_id"], "prompt_id", len(b))[0]
    several = prompt != prompt[first][code]
    options = pd.DataFrame(
        {"code": code, "option": labels(table["option_id"], "option_id", len(b))[0]}
    )
    several |= options.duplicated().to_numpy()
    if several.any():
        row = table.iloc[int(np.flatnonzero(several)[0])][by].to_dict()
        raise ValueError(
            f"by={by}: several prompts have {row}; legal are columns that tell the prompts apart"
        )
    total = np.bincount(code, b)
    if (np.abs(total - 1) > 1e-4).any():
        worst = int(np.argmax(np.abs(total - 1)))
        row = table.iloc[first[worst]][by].to_dict()
        raise ValueError(f"belief: prompt {row} sums to {total[worst]:.6g}; legal is 1")
    mean = np.bincount(code, b * v) / total
    variance = np.bincount(code, b * (v - mean[code]) ** 2) / total
    out = table[by].iloc[first].reset_index(drop=True)
    return out.assign(**{name: mean, f"{name}_sd": np.sqrt(variance)})


@checked(frames="frame", treatment=name_of, by=names_in, weights=name_of, cluster=names_in)
def elicited_curve(
    frame: pd.DataFrame,
    *,
    covariates: Names,
    treatment: str = "price",
    by: str | Sequence[str] = (),
    weights: str | None = None,
    cluster: str | Sequence[str] | None = None,
    alpha: float = 0.05,
) -> Result:
    """E[C | prompt(t)] against the treatment: weighted mean per level, with a t interval.

    Arguments as in balance_audit; by : further columns (strategy, product) that split the curve.
    The table has the columns covariate, `by`, treatment, estimate, std_error, low, high (in the
    covariate's units). Copies of a prompt count as one, as in balance_audit. NaN, with a note:
    intervals of cells with fewer than 2 clusters, and of those whose clusters all say the same.
    """
    split = [*_names(by), treatment]
    _require(frame, split)
    pairs = _pairs(frame, covariates).values()
    mean = np.column_stack([column(frame[m], m) for m, _ in pairs])
    sd = np.column_stack([column(frame[s], s, low=0) for _, s in pairs])
    group, cell = (_codes(frame, names) for names in (_names(by), split))
    exact = _exact(mean, sd, _codes(frame, [treatment]))
    given = _rows(frame, weights, cluster)
    used = merge_copies(given, exact, mean, sd, cell, within=group)
    keys = [frame[c].reset_index(drop=True) for c in split]
    places = pd.Series(used.kept, index=used.kept)
    rows, index = [], []
    for name, m in zip(_pairs(frame, covariates), mean.T, strict=True):
        for key, part in places.groupby(keys, sort=True, dropna=False):
            i = part.to_numpy()
            m_c = mean_over(m[i], used.weight[i], used.codes(i))
            rows.append((name, *key, m_c.estimate, m_c.error, m_c.df, m_c.units, m_c.clusters))
            index.append((name, *key))
    names = ["covariate", *split, "estimate", "std_error", "df", "units", "clusters"]
    table = pd.DataFrame(rows, columns=names)
    single, still = table["clusters"] == 1, table["std_error"] <= DUST * table["estimate"].abs()
    table["std_error"] = table["std_error"].mask(still)
    ends = t_frame(table.index, table["estimate"], table["std_error"], table["df"], alpha)
    table = table.assign(low=ends["low"], high=ends["high"])
    table = table.set_index(pd.Index(_cell_names(index, split)))
    notes = used.notes + counted(int(single.sum()), len(table), "cells have one cluster (no "
                                 "interval)")  # fmt: skip
    notes += counted(int(still.sum()), len(table), "cells whose clusters all say the same have no "
                     "interval: nothing says how others would differ")  # fmt: skip
    notes += few_note(table.pop("units").to_numpy(dtype=np.float64))
    return Result("Elicited covariates", table, len(used.kept), alpha, SOURCE, notes, given.over)


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

    frame : one row per prompt (see expected_value). treatment : the column varied (dollars).
    covariates : {name: (column of means, column of standard deviations)}, or names, for columns
        `name` and `name`_sd. strata : column(s), e.g. product; everything is within strata (means
        taken out, halves and standard deviations per stratum, averaged by the strata's weight).
        Slopes of opposite sign in different strata cancel in that average: the columns
        stratum_min and stratum_max are the extremes of std_slope over strata; where they differ
        much, audit the products one by one.
    weights, cluster : column names (two of `cluster` are crossed); cluster None makes every prompt
        its own cluster. Clusters that repeat each other's beliefs are copies of a prompt and count
        as one. Where no belief has a spread (all standard deviations are 0), a value that comes up
        at several levels is taken for a drawn answer, and draws agree by chance: such clusters
        are left apart, so give copies of one prompt one label.

    Quantities for each covariate C, from the mixture of its beliefs over the prompts:
    - slope[C]: least-squares slope of E[C | prompt] on the treatment (units of C per dollar).
    - std_slope[C]: SDs of C per SD of treatment, Var C = mean within-belief variance + variance
      of the means. It equals the correlation of C and the treatment in the mixture: -1 to 1.
    - smd[C]: (mean in the upper - in the lower half of the treatment levels) / root mean of the
      two halves' variances; a middle level is in neither half. 0.1 is the usual line (Austin
      2009).
      Infinite (without interval) where the halves differ and neither varies.
    - joint_wald: H0 all std_slopes are 0. estimate = chi2 = b' V^- b, df = rank r of V (on the
      correlation scale, so collinear covariates count once); statistic = Hotelling's
      F = chi2 (d - r + 1) / (r d) on (r, d - r + 1), which gives p (the chi2 limit rejects far too
      often with few clusters); d are the slopes' degrees of freedom, clusters - 1 where these are
      equal. NaN, with a note, if the clusters are too few to tell rank.
    - endogeneity_index = max |std_slope|. A maximum of absolute values is never 0 and biased
      upwards, so no percentile interval of it can say "zero": instead all K std_slopes get
      simultaneous intervals at Bonferroni's t quantile (columns low_all, high_all; valid for any
      dependence), and the index's interval is what those allow: low = max_C of the smallest
      |slope| in C's interval, high = max_C of the largest. Coverage is at least 1 - alpha, and
      low is 0 exactly if no covariate is significant. p = the smallest Bonferroni p (p_all).
    Intervals of the other rows are pointwise. The variance of std_slope is the larger of two: with
    the standard deviations of C re-estimated without each cluster, and held fixed, as in
    joint_wald. (Of few clusters with large slopes of their own the first alone is too small.)

    Undefined: a covariate that never varies (no spread in any belief, same mean everywhere) is
    NaN, noted and left out of the tests. Raises ValueError for missing columns, bad values
    (naming the row), a stratum with one treatment level, fewer than 3 clusters.
    """
    pairs = _pairs(frame, covariates)
    _require(frame, [treatment, *_names(strata)])
    t = column(frame[treatment], treatment)
    mean = np.column_stack([column(frame[m], m) for m, _ in pairs.values()])
    sd = np.column_stack([column(frame[s], s, low=0) for _, s in pairs.values()])
    stratum = labels(frame[_names(strata)], "strata", len(t))[0] if strata else np.zeros(len(t))
    given = _rows(frame, weights, cluster)
    exact = _exact(mean, sd, np.unique(t, return_inverse=True)[1])
    rows = merge_copies(given, exact, mean, sd, t, strata=np.asarray(stratum, dtype=np.int64))
    k, weight = rows.kept, rows.weight[rows.kept]
    stratum = np.unique(stratum[k], return_inverse=True)[1]
    most = max(int(code.max()) + 1 for code in given.codes())
    if most < 3:
        raise ValueError(
            f"cluster: {most} clusters; legal are 3 or more (wordings, field orders, products)"
        )
    factors = rows.codes()
    few = max(int(code.max()) + 1 for code in factors) < 3  # copies of one or two prompts
    factors = given.codes() if few else factors

    def jackknifed(code: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        return _jackknifed(t[k], mean[k], sd[k], weight, stratum, code)

    def shares(code: IntArray) -> FloatArray:  # of the treatment's variation
        x = _within(t[k], np.zeros(len(k)), weight, stratum)[0]
        return np.asarray(np.bincount(code, weight * x * x), dtype=np.float64)

    every, _, own = jackknifed(max(factors, key=np.max))
    found = spread(
        factors, every.ravel(), lambda c: jackknifed(c)[1].reshape(-1, every.size), shares
    )
    names, live = list(pairs), ~np.isnan(every[1])
    error, df = (x.reshape(every.shape) for x in (found.error, found.df))
    larger = error[3] > error[1]
    error[1], df[1] = np.where(larger, (error[3], df[3]), (error[1], df[1]))
    every, error, df = every[:3], error[:3], df[:3]
    error = np.full_like(error, np.nan) if few else error  # nothing says how others would move
    whats = ("slope", "std_slope", "smd")
    index = [f"{what}[{c}]" for what in whats for c in names]
    table = t_frame(index, every.ravel(), error.ravel(), df.ravel(), alpha)
    table["covariate"], table["quantity"] = names * 3, np.repeat(whats, len(names))
    ends, worst = _simultaneous(every[1], error[1], names, df[1], alpha)
    ends |= {"stratum_min": own.min(axis=0), "stratum_max": own.max(axis=0)}
    for name, values in ends.items():  # blank in the rows of the other quantities
        kept = table[name].to_numpy(copy=True) if name in table else np.full(len(table), np.nan)
        kept[len(names) : 2 * len(names)] = values
        table[name] = kept
    slopes = np.flatnonzero(live) + 3 * len(names)
    n_g = min(int(code.max()) + 1 for code in factors if code.max() > 0) if not few else 0
    cov = found.covariance[np.ix_(slopes, slopes)]
    wald, note = _wald(every[1, live], cov, n_g, float(np.nanmin(df)) if not few else np.nan)
    last = pd.DataFrame([wald, worst], index=["joint_wald", "endogeneity_index"])
    table = pd.concat([table, last])
    never = (f"{c} never varies: left out" for c in np.array(names)[~live])
    wide = (f"{c}: no spread within halves: its smd is undefined" for c in _endless(every, names))
    notes = (*rows.notes, *never, *wide, note, *(() if few else few_note(found.units)))
    return Result("Balance audit", table, len(k), alpha, SOURCE, notes, given.over)


def _cell_names(keys: list[tuple[object, ...]], split: list[str]) -> list[str]:
    """ "heat, price=2"; labels are told apart (1 and "1") where their texts are the same."""

    def names(say: Callable[[object], str]) -> list[str]:
        return [
            ", ".join(
                [str(key[0]), *(f"{c}={say(v)}" for c, v in zip(split, key[1:], strict=True))]
            )
            for key in keys
        ]

    short = names(lambda v: f"{v:g}" if isinstance(v, float) else str(v))
    if len(set(short)) == len(short):
        return short
    return names(lambda v: repr(v.item() if isinstance(v, np.generic) else v))


def _exact(mean: FloatArray, sd: FloatArray, level: IntArray) -> npt.NDArray[np.bool_]:
    """(n,) which rows hold beliefs, and no drawn answers; level : (n,) codes of the treatment.

    All do if any has a spread. If none has: those with a number that no other level has. (Draws
    are of a few values, which come up at every level.)
    """
    if (sd > 0).any():
        return np.ones(len(mean), dtype=bool)
    own = np.zeros(len(mean), dtype=bool)
    if len(np.unique(level)) > 1:
        for m in mean.T:
            pairs = pd.DataFrame({"value": m.round(DIGITS), "level": level})
            own |= (pairs.groupby("value")["level"].transform("nunique") == 1).to_numpy()
    return own


def _endless(every: FloatArray, names: list[str]) -> list[str]:
    return [name for name, smd in zip(names, every[2], strict=True) if np.isinf(smd)]


def _jackknifed(
    t: FloatArray,
    mean: FloatArray,
    sd: FloatArray,
    w: FloatArray,
    stratum: IntArray,
    code: IntArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """slope, std_slope, smd: (4, K), without each cluster (G, 4, K); std_slope by stratum (S, K).

    The fourth is std_slope with the standard deviations of all rows. All are functions of weighted
    averages per stratum; deleting a cluster subtracts its sums.
    """
    shape = (int(code.max()) + 1, int(stratum.max()) + 1)
    side, one = _sides(t, stratum), np.ones_like(t)
    upper, lower = (side > 0).astype(float), (side < 0).astype(float)

    def sums(values: FloatArray) -> FloatArray:  # (1 + G, S): all, then without each cluster
        parts = np.zeros(shape)
        np.add.at(parts, (code, stratum), w * values)
        return np.concatenate([parts.sum(axis=0)[None], parts.sum(axis=0) - parts])

    def average(values: FloatArray, among: FloatArray = one) -> FloatArray:
        return _over(sums(among * values), sums(among))

    x, _, x_unit = _within(t, np.zeros_like(t), w, stratum)
    x_bar, size = average(x), sums(one)
    spread = average(x * x) - x_bar**2
    size *= spread > DUST  # a stratum where the treatment no longer varies says nothing
    paired = size * (sums(upper) > DUST) * (sums(lower) > DUST)
    if not size.sum(axis=1).all():
        raise ValueError(
            "cluster: one cluster holds all the variation of the treatment; legal "
            "are clusters with several levels each"
        )
    out = np.full((shape[0] + 1, 4, mean.shape[1]), np.nan)
    own = np.full((shape[1], mean.shape[1]), np.nan)
    for c in range(mean.shape[1]):
        m, s, unit = _within(mean[:, c], sd[:, c], w, stratum)
        if not unit.any():
            continue
        square, m_bar = m * m + s * s, average(m)
        both = average(x * m) - x_bar * m_bar
        deviation = np.sqrt(spread * (average(square) - m_bar**2).clip(0))
        r = _over(both, deviation)
        r[np.abs(r) < DUST] = 0
        own[:, c] = r[0]
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
            shift = np.where(paired > 0, paired * np.where(paired > 0, gap, 0), 0).sum(axis=1)
        out[:, 2, c] = _over(shift, paired.sum(axis=1))
    return out[0], out[1:], own


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
    side = np.zeros(len(t), dtype=np.int64)
    for s in range(int(stratum.max()) + 1):
        levels, rank = np.unique(t[stratum == s], return_inverse=True)
        if len(levels) == 1:
            raise ValueError(
                f"treatment: a stratum has the one level {levels[0]:g}; legal are "
                "two or more in every stratum"
            )
        side[stratum == s] = np.sign(2 * rank - len(levels) + 1)
    return side


def _wald(b: FloatArray, cov: FloatArray, n_g: int, df: float) -> tuple[dict[str, object], str]:
    """Hotelling's test that all b (K,) are 0. n_g : clusters, of which 0 allow no test."""
    empty: dict[str, object] = dict.fromkeys(("estimate", "statistic", "df", "p"), np.nan)
    empty["quantity"] = "joint_wald"
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
        note = f"joint_wald undefined: {n_g} clusters for {k} covariates; read the index's p"
        return empty, note
    f = chi2 * (df - r + 1) / (r * df) if r else (np.inf if chi2 else 0.0)
    p = float(special.fdtrc(r, df - r + 1, f)) if r and f < np.inf else float(f == 0)
    note = (
        f"joint_wald: p from F({r}, {df - r + 1:.3g}), Hotelling" if r else "all slopes are exact"
    )
    row = {"estimate": chi2, "statistic": f, "df": r, "p": p, "quantity": "joint_wald"}
    return row, note


def _simultaneous(
    slope: FloatArray, error: FloatArray, names: list[str], df: FloatArray, alpha: float
) -> tuple[dict[str, FloatArray], dict[str, object]]:
    """Intervals of the std_slopes (pointwise, Bonferroni's), and the row of the index.

    The index's interval is what Bonferroni's intervals allow for max |slope|.
    """
    live = ~np.isnan(slope)
    k = max(int(live.sum()), 1)
    half = error * special.stdtrit(df, 1 - alpha / 2)
    wide = error * special.stdtrit(df, 1 - alpha / (2 * k))
    low, high = (slope - wide).clip(-1, 1), (slope + wide).clip(-1, 1)
    t = np.divide(np.abs(slope), error, out=np.where(slope == 0, 0, np.inf), where=error > 0)
    t[~live | np.isnan(error)] = np.nan
    p = (2 * k * special.stdtr(df, -t)).clip(max=1)
    ends = {"low": (slope - half).clip(-1, 1), "high": (slope + half).clip(-1, 1)}
    ends |= {"low_all": low, "high_all": high, "p_all": p}
    row: dict[str, object] = dict.fromkeys(("estimate", "std_error", "low", "high", "p"), np.nan)
    row["quantity"] = "endogeneity_index"
    if live.any():
        row |= {
            "estimate": np.nanmax(np.abs(slope)),
            "covariate": names[int(np.nanargmax(np.abs(slope)))],
        }
    if (live & ~np.isnan(error)).any():
        row |= {
            "low": max(np.nanmax(low), np.nanmax(-high), 0.0),
            "high": max(np.nanmax(-low), np.nanmax(high)),
            "statistic": np.nanmax(t),
            "df": df[int(np.nanargmax(t))],
            "p": np.nanmin(p),
        }
    return ends, row


def _codes(frame: pd.DataFrame, names: Sequence[str]) -> IntArray:
    """Numbers (n,) of the distinct labels in these columns; None and NaN are labels here."""
    if not names:
        return np.zeros(len(frame), dtype=np.int64)
    check_labels(frame[list(names)], "the frame")
    groups = frame.groupby(list(names), sort=False, dropna=False, observed=True)
    return np.asarray(groups.ngroup(), dtype=np.int64)


def _names(columns: str | Sequence[str] | None) -> list[str]:
    return [columns] if isinstance(columns, str) else list(columns or ())


def _require(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    lost = [name for name in columns if name not in frame]
    if lost:
        raise ValueError(f"no column {lost[0]!r}; the frame has {list(frame.columns)}")


def _pairs(frame: pd.DataFrame, covariates: Names) -> dict[str, tuple[str, str]]:
    if not isinstance(covariates, Mapping):
        covariates = {c: (c, f"{c}_sd") for c in covariates}
    pairs = dict(covariates)
    if not pairs:
        raise ValueError("covariates is empty; name at least one")
    _require(frame, [name for pair in pairs.values() for name in pair])
    return pairs


def _rows(frame: pd.DataFrame, weights: str | None, cluster: str | Sequence[str] | None) -> Rows:
    _require(frame, [*_names(cluster), *_names(weights)])
    groups = frame[_names(cluster)] if cluster else None
    return usable_rows(
        np.zeros(len(frame)), frame[weights] if weights else None, groups, crossed=True
    )
