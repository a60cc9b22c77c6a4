"""Runs as arrays, and rows in groups.

A **run** is one generation. Its choice is a one-hot row over the K options, its belief a row of
probabilities. Both are (n, K): a DataFrame with a column per option, an array, or one column (n,)
for one option. The runs of one prompt are a **condition**: independent draws of the same thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simkit.types import FloatArray, IntArray, column, counted, invalid, invalid_row, labels

__all__ = [
    "Runs",
    "distinct",
    "group_moments",
    "label_texts",
    "number_texts",
    "optional_labels",
    "paired_runs",
    "run_matrix",
    "run_sizes",
    "split_rows",
    "sums_by",
    "texts",
]

SLACK = 1e-6  # how far rounding may carry a probability, or a sum of them, above 1


@dataclass(frozen=True)
class Runs:
    """Choice and belief of the same runs.

    Attributes
    ----------
    choice, belief : (n, K).
    code : (n,) the run's condition. conditions : the names of the C conditions.
    kept : (n,) their row numbers among the `given` rows of the call.
    options : names of the K options. notes : how many runs were skipped.
    """

    choice: FloatArray
    belief: FloatArray
    code: IntArray
    kept: IntArray
    options: list[str]
    conditions: list[str]
    notes: tuple[str, ...]
    given: int

    def members(self) -> list[IntArray]:
        """The rows of each condition."""
        return split_rows(self.code, np.arange(len(self.code)), len(self.conditions))


def run_matrix(values: Any, name: str, *, binary: bool = False) -> tuple[FloatArray, list[str]]:
    """Probabilities, or one-hot choices, of n runs over K options: (n, K) and the options' names.

    None and NaN stand for a missing value. Raises ValueError, naming row and value, for numbers
    outside [0, 1] (with `binary`: other than 0 and 1) and for rows that sum to more than 1.
    """
    plain = isinstance(values, np.ndarray | pd.Series | pd.DataFrame)
    array = np.asarray(values, dtype=None if plain else object)  # lists may mix numbers and text
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; it must be (runs, options) or (runs,)")
    if isinstance(values, pd.DataFrame):
        frame = values
    else:
        index = values.index if isinstance(values, pd.Series) else None
        frame = pd.DataFrame(array.reshape(len(array), -1), index=index)
        frame.columns = [name] if array.ndim == 1 else frame.columns
    if not frame.columns.is_unique:
        raise ValueError(f"{name} has the columns {list(frame)}; they must differ")
    several = frame.shape[1] > 1
    columns = [
        column(series, f"{name}[{c}]" if several else name, low=0, high=1 + SLACK, missing=True)
        for c, series in frame.items()
    ]
    out = np.column_stack(columns)
    requirement, bad = "a row that sums to at most 1", out.sum(axis=1) > 1 + SLACK
    fraction = ~(np.isnan(out) | (out == 0) | (out == 1)).all(axis=1)
    if binary and fraction.any():
        requirement, bad = "a row of 0 and 1", fraction
    for row in np.flatnonzero(bad)[:1]:
        raise invalid_row(name, frame.index[row], out[row].tolist(), requirement)
    return np.minimum(out, 1.0), [str(c) for c in frame]


def paired_runs(choice: Any, belief: Any, condition: Any, *, least: int = 2) -> Runs:
    """Choice and belief of the same runs, checked; runs without either are skipped and counted.

    condition : (n,) labels, or a DataFrame of several; None is one condition. Raises ValueError
    for unequal shapes or options, and for a condition with fewer than `least` runs, naming it.
    """
    y, options = run_matrix(choice, "choice", binary=True)
    b, named = run_matrix(belief, "belief")
    both = isinstance(choice, pd.DataFrame) and isinstance(belief, pd.DataFrame)
    if y.shape != b.shape or (both and options != named):
        raise ValueError(
            f"choice has {len(y)} runs of the options {options}, belief {len(b)} of {named}; "
            "both must be the same"
        )
    options = named if isinstance(belief, pd.DataFrame) else options
    options = ["share"] if np.ndim(belief) == 1 else options
    code, keys = optional_labels(condition, "condition", len(y))
    kept = np.flatnonzero(~np.isnan(y + b).any(axis=1))
    sizes = np.bincount(code[kept], minlength=len(keys))
    if sizes.min() < least:
        short = int(np.argmin(sizes))
        raise ValueError(
            f"condition {texts(keys)[short]!r} has {sizes[short]} complete runs; it must have "
            f"{least} or more"
        )
    notes = counted(len(y) - len(kept), len(y), "runs skipped: no choice or no belief")
    return Runs(y[kept], b[kept], code[kept], kept, options, texts(keys), notes, len(y))


def group_moments(
    x: FloatArray, code: IntArray, n_groups: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sizes (C,), means (C, K) and sample variances (C, K; ddof 1) of the rows of each group."""
    size = np.bincount(code, minlength=n_groups).astype(float)
    mean = sums_by(x, code, n_groups) / size[:, None]
    squares = sums_by((x - mean[code]) ** 2, code, n_groups)
    return size, mean, squares / (size - 1)[:, None]


def sums_by(values: FloatArray, code: IntArray, n: int) -> FloatArray:
    """Sums (n, K) of the rows (m, K) of each code 0..n-1."""
    sums = [np.bincount(code, x, minlength=n) for x in values.T]
    return np.stack(sums, axis=1).astype(np.float64)


def distinct(*codes: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct rows (D, m) of m columns of codes (n,), sorted, and which of them each is."""
    table = np.column_stack(codes)
    flat = np.ravel_multi_index(tuple(table.T), tuple(table.max(axis=0) + 1))
    _, first, which = np.unique(flat, return_index=True, return_inverse=True)
    return table[first], which


def run_sizes(sizes: Sequence[int] | None, default: int, most: int) -> IntArray:
    """Numbers of runs, checked, rising: `sizes`, or 1, 2, 5, 10, 20, 50, ... up to `default`.

    Raises ValueError for none, for one below 1 or repeated, or above `most`, the number of runs.
    """
    if sizes is None:
        steps = (m * 10**e for e in range(len(str(max(default, 1)))) for m in (1, 2, 5))
        sizes = [s for s in steps if s <= max(default, 1)]
    n = np.sort(column(list(sizes), "sizes", low=1)).astype(np.int64)
    if len(n) == 0 or len(np.unique(n)) < len(n) or n[-1] > most:
        requirement = (
            f"different whole numbers from 1 to {most}, the runs of the smallest condition"
        )
        raise invalid("sizes", list(sizes), requirement)
    return n


def texts(keys: pd.DataFrame) -> list[str]:
    """Each row of labels as text: "24", or "cuddles_price=24, snugly_price=30"."""
    if keys.shape[1] == 1:
        return [str(value) for value in keys.iloc[:, 0]]
    rows = keys.astype(object).to_numpy()
    return [", ".join(f"{c}={v}" for c, v in zip(keys, row, strict=True)) for row in rows]


def label_texts(keys: pd.DataFrame) -> pd.DataFrame:
    """Labels as text, in quotes where two rows would read the same (1 and "1")."""
    plain = keys.astype(object)
    short = plain.map(lambda v: f"{v:g}" if isinstance(v, float) else str(v))
    ambiguous = len(short.drop_duplicates()) < len(plain.drop_duplicates())
    return plain.map(repr) if ambiguous else short


def number_texts(values: Any) -> list[str]:
    """Numbers as text of six digits, or of as many as tell all that differ apart."""
    numbers = [float(value) for value in values]
    for digits in range(6, 18):  # 17 tell any two floats apart
        short = [f"{value:.{digits}g}" for value in numbers]
        if len(set(short)) == len(set(numbers)):
            break
    return short if numbers else []


def split_rows(codes: IntArray, rows: IntArray, n: int) -> list[IntArray]:
    """The rows of each code 0..n-1."""
    order = np.argsort(codes, kind="stable")
    return np.split(rows[order], np.searchsorted(codes[order], np.arange(1, n)))


def optional_labels(values: Any, name: str, n: int) -> tuple[IntArray, pd.DataFrame]:
    """`labels`, with None for "all the same"."""
    return labels(np.zeros(n) if values is None else values, name, n)
