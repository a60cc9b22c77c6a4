"""What the estimators share: reading columns of runs, and grouping rows.

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

from simkit.estimators.shared.arguments import checked
from simkit.types import FloatArray, IntArray, column, counted, labels

__all__ = [
    "Runs",
    "group_moments",
    "one_hot",
    "optional_labels",
    "paired_runs",
    "run_matrix",
    "run_sizes",
    "split_rows",
    "texts",
]

SLACK = 1e-6  # how far rounding may carry a probability, or a sum of them, above 1


@dataclass(frozen=True)
class Runs:
    """Choice and belief of the same runs, (n, K) each; `code` (n,) is the run's condition.

    kept : (n,) their row numbers in what was given, which had `given` rows. conditions : the C
    conditions' names.
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


@checked("choice")
def one_hot(choice: Any, options: Sequence[str]) -> pd.DataFrame:
    """Choices (n,), named, as a frame (n, K) of 0 and 1 with a column per option.

    A missing choice (None, NaN) becomes a row of NaN, which the estimators skip and count.
    Raises ValueError, naming the row, for a choice that is none of the options.
    """
    series = choice if isinstance(choice, pd.Series) else pd.Series(list(choice), dtype=object)
    absent = series.isna()
    wrong = ~(series.isin(list(options)) | absent)
    if wrong.any():
        row = series.index[int(np.flatnonzero(wrong)[0])]
        raise ValueError(
            f"choice: row {row!r} holds {series[wrong].iloc[0]!r}; legal are {list(options)} "
            "(None or NaN where missing)"
        )
    hits = {option: (series == option).astype(float).mask(absent) for option in options}
    return pd.DataFrame(hits, index=series.index)


def run_matrix(values: Any, name: str, *, binary: bool = False) -> tuple[FloatArray, list[str]]:
    """Probabilities, or one-hot choices, of n runs over K options: (n, K) and the options' names.

    None and NaN stand for a missing value. Raises ValueError, naming row and value, for numbers
    outside [0, 1] (with `binary`: other than 0 and 1) and for rows that sum to more than 1.
    """
    plain = isinstance(values, np.ndarray | pd.Series | pd.DataFrame)
    array = np.asarray(values, dtype=None if plain else object)  # lists may mix numbers and text
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; legal are (runs, options) and (runs,)")
    if isinstance(values, pd.DataFrame):
        frame = values
    else:
        index = values.index if isinstance(values, pd.Series) else None
        names = range(array.shape[1]) if array.ndim == 2 else [name]
        frame = pd.DataFrame(array.reshape(len(array), -1), columns=list(names), index=index)
    if not frame.columns.is_unique:
        raise ValueError(f"{name} has the columns {list(frame)}; legal are columns that differ")
    columns = [frame.iloc[:, k] for k in range(frame.shape[1])]
    labelled = [f"{name}[{c}]" if frame.shape[1] > 1 else name for c in frame]
    out = np.column_stack(
        [
            column(series, label, low=0, high=1 + SLACK, missing=True)
            for series, label in zip(columns, labelled, strict=True)
        ]
    )
    legal = "rows that sum to at most 1"
    bad = out.sum(axis=1) > 1 + SLACK
    if binary:
        broken = ~(np.isnan(out) | (out == 0) | (out == 1)).all(axis=1)
        legal, bad = ("0 and 1", broken) if broken.any() else (legal, bad)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"{name}: row {frame.index[row]!r} holds {out[row].tolist()}; legal are {legal}"
        )
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
            "legal is the same"
        )
    options = named if isinstance(belief, pd.DataFrame) else options
    options = ["share"] if np.ndim(belief) == 1 else options
    code, keys = optional_labels(condition, "condition", len(y))
    kept = np.flatnonzero(~np.isnan(y + b).any(axis=1))
    sizes = np.bincount(code[kept], minlength=len(keys))
    if sizes.min() < least:
        short = int(np.argmin(sizes))
        raise ValueError(
            f"condition {texts(keys)[short]!r} has {sizes[short]} complete runs; legal are "
            f"{least} or more"
        )
    notes = counted(len(y) - len(kept), len(y), "runs skipped: no choice or no belief")
    return Runs(y[kept], b[kept], code[kept], kept, options, texts(keys), notes, len(y))


def group_moments(
    x: FloatArray, code: IntArray, n_groups: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sizes (C,), means (C, K) and sample variances (C, K; ddof 1) of the rows of each group."""
    size = np.bincount(code, minlength=n_groups).astype(float)
    sums = [np.bincount(code, column, minlength=n_groups) for column in x.T]
    mean = np.stack(sums, axis=1) / size[:, None]
    off = (x - mean[code]) ** 2
    sums = [np.bincount(code, column, minlength=n_groups) for column in off.T]
    return size, mean, np.stack(sums, axis=1) / (size - 1)[:, None]


def run_sizes(sizes: Sequence[int] | None, default: int, most: int) -> IntArray:
    """Numbers of runs, checked, rising: `sizes`, or 1, 2, 5, 10, 20, 50, ... up to `default`.

    Raises ValueError for none, for one below 1 or repeated, or above `most`, the runs there are.
    """
    if sizes is None:
        steps = (m * 10**e for e in range(len(str(max(default, 1)))) for m in (1, 2, 5))
        sizes = [s for s in steps if s <= max(default, 1)]
    n = np.sort(column(list(sizes), "sizes", low=1)).astype(np.int64)
    if len(n) == 0 or len(np.unique(n)) < len(n) or n[-1] > most:
        raise ValueError(
            f"sizes are {list(sizes)}; legal are different whole numbers from 1 to {most}, the "
            "runs of the smallest condition"
        )
    return n


def texts(keys: pd.DataFrame) -> list[str]:
    """Each row of labels as text: "24", or "cuddles_price=24, snugly_price=30"."""
    if keys.shape[1] == 1:
        return [str(value) for value in keys.iloc[:, 0]]
    rows = keys.astype(object).to_numpy()
    return [", ".join(f"{c}={v}" for c, v in zip(keys, row, strict=True)) for row in rows]


def split_rows(codes: IntArray, rows: IntArray, n: int) -> list[IntArray]:
    """The rows of each code 0..n-1."""
    order = np.argsort(codes, kind="stable")
    return np.split(rows[order], np.searchsorted(codes[order], np.arange(1, n)))


def optional_labels(values: Any, name: str, n: int) -> tuple[IntArray, pd.DataFrame]:
    """`labels`, with None for "all the same"."""
    return labels(np.zeros(n) if values is None else values, name, n)
