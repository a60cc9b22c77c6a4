"""Elicited covariates: what a model believes of what the prompt leaves unsaid, and its curve.

The mean and the standard deviation of the belief over a covariate's values, prompt by prompt, are
what the balance audit (`simkit.estimators.demand.balance`, which says what `cluster` does) starts
from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.shared.arguments import checked, name_of, names_in, text
from simkit.estimators.shared.clustering import few_note, mean_over
from simkit.estimators.shared.copies import DIGITS, merge_copies
from simkit.estimators.shared.rows import label_texts
from simkit.estimators.shared.table import check_columns
from simkit.result import Result, t_frame
from simkit.types import (
    FloatArray,
    IntArray,
    Rows,
    check_labels,
    column,
    counted,
    invalid,
    labels,
    usable_rows,
)

__all__ = ["DUST", "SOURCE", "Names", "codes_of", "elicited_curve", "exact_rows", "expected_value",
           "moments_of", "rows_of"]  # fmt: skip

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

    Parameters
    ----------
    table : DataFrame or mapping
        As `believe` returns it, a row per prompt and option: prompt_id, option_id, belief, and the
        numbers in column `value`. Or {covariate: such a table}, all over the same prompts.
    by : sequence of str
        The columns that distinguish the prompts (product, price, wording, ...); None and NaN are
        labels here.
    name : str
        The covariate's name in the result, for a single table.
    value : str
        The column of the covariate's values.

    Returns
    -------
    DataFrame
        A row per prompt: `by`, `name` = sum_k b_k v_k and its standard deviation ``name_sd``; of
        several tables the columns of each covariate.

    Raises
    ------
    ValueError
        For missing columns, a value that is no number, a belief outside [0, 1], beliefs of a
        prompt that do not sum to 1, several prompts with the same `by`, and tables whose prompts
        differ.

    Examples
    --------
    >>> rows = {"prompt_id": [0, 0, 1, 1], "option_id": [0, 1] * 2, "price": [1, 1, 2, 2]}
    >>> table = pd.DataFrame({**rows, "value": [10, 30] * 2, "belief": [0.5, 0.5, 0.1, 0.9]})
    >>> expected_value(table, by=["price"], name="heat").round(1)
       price  heat  heat_sd
    0      1  20.0     10.0
    1      2  28.0      6.0
    """
    by = list(by)
    if isinstance(table, Mapping):
        parts = [expected_value(t, by, name=n, value=value) for n, t in table.items()]
        both = reduce(lambda a, b: a.merge(b, on=by, how="outer", validate="1:1"), parts)
        if len({len(part) for part in [*parts, both]}) > 1:
            raise ValueError(f"the tables of {list(table)} are not over the same prompts ({by})")
        return both
    if not isinstance(table, pd.DataFrame):
        raise invalid("table", table, "a DataFrame, or a mapping of several")
    check_columns(table, [*by, "prompt_id", "option_id", "belief", value], "table")
    v = column(table[value], value)
    b = column(table["belief"], "belief", low=0, high=1 + 1e-6)
    code = codes_of(table, by)
    first = np.unique(code, return_index=True)[1]
    prompt, option = (labels(table[name], name, len(b))[0] for name in ("prompt_id", "option_id"))
    repeated = pd.DataFrame({"code": code, "option": option}).duplicated().to_numpy()
    for i in np.flatnonzero(repeated | (prompt != prompt[first][code]))[:1]:
        row = table.iloc[i][by].to_dict()
        raise ValueError(
            f"by={by}: several prompts have {row}; name columns that distinguish the prompts"
        )
    total = np.bincount(code, b)
    for i in np.flatnonzero(np.abs(total - 1) > 1e-4)[:1]:
        row = table.iloc[first[i]][by].to_dict()
        raise ValueError(f"belief: prompt {row} sums to {total[i]:.6g}; it must sum to 1")
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
    """Mean elicited covariate at each treatment level, E[C | prompt(t)], with a t interval.

    Parameters
    ----------
    frame, covariates, treatment, weights, cluster, alpha
        As in :func:`balance_audit`.
    by : str or sequence of str
        Further columns (strategy, product) that split the curve.

    Returns
    -------
    Result
        A row per covariate and cell; columns covariate, `by`, treatment, estimate (weighted mean,
        in units of the covariate), std_error, low, high. NaN, with a note, for intervals of cells
        with fewer than 2 clusters, and of cells whose clusters are all equal. Copies of a prompt
        count as one.

    Raises
    ------
    ValueError
        For missing columns and bad values, naming the row.

    Examples
    --------
    >>> rows = {"price": [1, 1, 2, 2], "wording": [0, 1] * 2}
    >>> frame = pd.DataFrame({**rows, "heat": [20.0, 21, 23, 25], "heat_sd": 4.0})
    >>> result = elicited_curve(frame, covariates=["heat"], cluster="wording")
    >>> result.to_frame()[["estimate", "std_error"]]
                   estimate  std_error
    heat, price=1      20.5        0.5
    heat, price=2      24.0        1.0
    """
    split = [*by, treatment]
    check_columns(frame, split, "frame")
    names, mean, sd = moments_of(frame, covariates)
    group, cell = codes_of(frame, list(by)), codes_of(frame, split)
    rows = rows_of(frame, weights, cluster)
    exact = exact_rows(mean, sd, codes_of(frame, [treatment]))
    merged = merge_copies(rows, exact, mean, sd, cell, within=group)
    kept = frame[split].reset_index(drop=True).iloc[merged.kept]
    cells = [(key, part.index) for key, part in kept.groupby(split, sort=True, dropna=False)]
    lines = []
    for name, m in zip(names, mean.T, strict=True):
        for key, i in cells:
            at = mean_over(m[i], merged.weight[i], merged.codes(i.to_numpy()))
            lines.append((name, *key, at.estimate, at.error, at.df, at.units, at.clusters))
    heads = ["covariate", *split, "estimate", "std_error", "df", "units", "clusters"]
    table = pd.DataFrame(lines, columns=heads)
    single, equal = table["clusters"] == 1, table["std_error"] <= DUST * table["estimate"].abs()
    table["std_error"] = table["std_error"].mask(equal)
    ends = t_frame(table.index, table["estimate"], table["std_error"], table["df"], alpha)
    table = table.assign(low=ends["low"], high=ends["high"])
    index = table["covariate"].astype(str)
    for name, labelled in label_texts(table[split]).items():
        index += f", {name}=" + labelled
    notes = merged.notes
    notes += counted(int(single.sum()), len(table), "cells have one cluster (no interval)")
    what = "cells have clusters that are all equal: no interval, for how others differ is unknown"
    notes += counted(int(equal.sum()), len(table), what)
    notes += few_note(table.pop("units").to_numpy(dtype=np.float64))
    table = table.set_index(pd.Index(index.to_list()))
    return Result("Elicited covariates", table, len(merged.kept), alpha, SOURCE, notes, rows.over)


def exact_rows(mean: FloatArray, sd: FloatArray, level: IntArray) -> npt.NDArray[np.bool_]:
    """(n,) which rows hold beliefs, and no drawn answers; level : (n,) codes of the treatment.

    All do if any has a spread. If none has: those with a number that occurs at one level only.
    (Draws take few values, which occur at every level.)
    """
    if (sd > 0).any() or level.max() == 0:
        return np.full(len(mean), (sd > 0).any())
    pairs = [pd.DataFrame({"value": m.round(DIGITS), "level": level}) for m in mean.T]
    levels = [p.groupby("value")["level"].transform("nunique") for p in pairs]
    return np.asarray((np.column_stack(levels) == 1).any(axis=1))


def codes_of(frame: pd.DataFrame, names: Sequence[str]) -> IntArray:
    """Numbers (n,) of the distinct labels in these columns; None and NaN are labels here."""
    if not names:
        return np.zeros(len(frame), dtype=np.int64)
    check_labels(frame[list(names)], "the frame")
    groups = frame.groupby(list(names), sort=False, dropna=False, observed=True)
    return np.asarray(groups.ngroup(), dtype=np.int64)


def moments_of(frame: pd.DataFrame, covariates: Names) -> tuple[list[str], FloatArray, FloatArray]:
    """Names, means (n, K) and standard deviations (n, K) of the covariates."""
    if not isinstance(covariates, Mapping):
        covariates = {c: (c, f"{c}_sd") for c in covariates}
    if not covariates:
        raise ValueError("covariates is empty; name at least one")
    check_columns(frame, [name for pair in covariates.values() for name in pair], "frame")
    mean = [column(frame[m], m) for m, _ in covariates.values()]
    sd = [column(frame[s], s, low=0) for _, s in covariates.values()]
    return list(covariates), np.column_stack(mean), np.column_stack(sd)


def rows_of(frame: pd.DataFrame, weights: str | None, cluster: str | Sequence[str] | None) -> Rows:
    """The rows with their weights and clusters, by the names of the columns."""
    check_columns(frame, [*(cluster or ()), *([weights] if weights else [])], "frame")
    groups = frame[list(cluster)] if cluster else None
    weight = frame[weights] if weights else None
    return usable_rows(np.zeros(len(frame)), weight, groups, crossed=True)
