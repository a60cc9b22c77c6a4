"""What the fits of simulated to human answers share: answers as rows, resampled respondents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from simkit.estimators.rows import run_matrix, split_rows, texts
from simkit.types import FloatArray, IntArray, column, labels

__all__ = [
    "answer_codes",
    "answer_rows",
    "belief_rows",
    "grouped",
    "numeric_scale",
    "percentiles",
    "resampled",
]

CHUNK = 4_000_000  # numbers held at once in a bootstrap


def numeric_scale(options: Sequence[Any], values: Any) -> FloatArray | None:
    """Where the K options lie on a scale: `values`, or the options themselves if they are numbers.

    None if they are not. Raises ValueError for options that repeat, and values that do not fit.
    """
    if len(options) == 0 or len(set(options)) < len(options):
        raise ValueError(f"options are {list(options)}; legal are one or more that differ")
    if values is not None:
        return column(values, "values", rows=len(options))
    plain = all(isinstance(o, int | float | np.number) and not isinstance(o, bool) for o in options)
    return column(list(options), "options") if plain else None


def answer_codes(answers: Any, options: Sequence[Any], name: str) -> IntArray:
    """Which option each answer (n,) is: 0..K-1, and -1 where it is missing (None, NaN).

    Raises ValueError, naming the row, for an answer that is no option; text is no number.
    """
    series = answers if isinstance(answers, pd.Series) else pd.Series(list(answers), dtype=object)
    place = {option: k for k, option in enumerate(options)}
    absent = series.isna().to_numpy()
    items = series.tolist()
    codes = np.array([-1 if a else place.get(v, -2) for v, a in zip(items, absent, strict=True)])
    if (codes == -2).any():
        row = int(np.flatnonzero(codes == -2)[0])
        raise ValueError(
            f"{name}: row {series.index[row]!r} holds {items[row]!r}; legal are {list(options)} "
            "(None or NaN where missing)"
        )
    return codes.astype(np.int64)


def answer_rows(answers: Any, options: Sequence[Any], name: str) -> FloatArray:
    """Answers (n,) as one-hot rows (n, K), or beliefs (n, K) as they are; missing rows are NaN."""
    if np.ndim(answers) == 2:
        return belief_rows(answers, options, name)
    codes = answer_codes(answers, options, name)
    rows = np.eye(len(options))[codes]
    rows[codes < 0] = np.nan
    return np.asarray(rows, dtype=np.float64)


def belief_rows(belief: Any, options: Sequence[Any], name: str) -> FloatArray:
    """Beliefs (n, K), checked; a row with a missing number is NaN throughout.

    Raises ValueError for another number of columns, for a DataFrame whose columns are neither the
    options nor 0..K-1 in this order, and (naming the row) for rows that do not sum to 1.
    """
    k = len(options)
    if np.ndim(belief) != 2 or np.shape(belief)[1] != k:
        raise ValueError(f"{name} has shape {np.shape(belief)}; legal is (n, {k}), one per option")
    if isinstance(belief, pd.DataFrame):
        named = [str(c) for c in belief]
        legal = ([str(o) for o in options], [str(i) for i in range(k)])
        if list(belief) != list(options) and named not in legal:
            raise ValueError(f"{name} has the columns {named}; legal are {list(options)}, in order")
    rows = run_matrix(belief, name)[0]
    total = rows.sum(axis=1)
    bad = np.flatnonzero(np.abs(total - 1) > 1e-4)
    if len(bad):
        label = belief.index[bad[0]] if isinstance(belief, pd.DataFrame) else int(bad[0])
        raise ValueError(
            f"{name}: row {label!r} sums to {total[bad[0]]:.6g}; legal is 1 (valid mass is apart)"
        )
    return np.asarray(rows / total[:, None])


def grouped(by: Any, n: int) -> tuple[IntArray, list[str]]:
    """Codes (n,) of the groups and their names; by None is one group with an empty name."""
    if by is None:
        return np.zeros(n, dtype=np.int64), [""]
    code, keys = labels(by, "by", n)
    return code, texts(keys)


def resampled(
    cluster: IntArray,
    group: IntArray,
    rows: FloatArray,
    n_groups: int,
    n_boot: int,
    stream: np.random.Generator,
) -> list[FloatArray]:
    """Sums of each group's rows (m, M) over resamples of the clusters: (1 + n_boot, M) per group.

    Sum 0 is the data's. In the others as many clusters are drawn as there are, with replacement,
    and all groups share the draw, so that what spans groups (a respondent's items) stays
    together. Raises ValueError for fewer than 2 resamples.
    """
    if n_boot < 2:
        raise ValueError(f"n_boot is {n_boot}; legal are 2 or more")
    members = split_rows(group, np.arange(len(group)), n_groups)
    n = int(cluster.max()) + 1
    out: list[list[FloatArray]] = [[rows[i].sum(axis=0)[None]] for i in members]
    step = max(CHUNK // n, 1)
    for start in range(0, n_boot, step):
        size = min(step, n_boot - start)
        drawn = stream.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(float)
        for sums, i in zip(out, members, strict=True):
            sums.append(counts[:, cluster[i]] @ rows[i])
    return [np.concatenate(sums) for sums in out]


def percentiles(values: FloatArray, alpha: float) -> tuple[float, float, float]:
    """Standard deviation and percentile interval of resampled values (B,); NaN if not usable.

    Resamples that are NaN (a group that was not drawn) are left out; an infinite one makes all
    three NaN, for then no finite number of resamples tells where the interval ends.
    """
    there = values[~np.isnan(values)]
    if len(there) < 2 or np.isinf(there).any():
        return np.nan, np.nan, np.nan
    low, high = np.quantile(there, [alpha / 2, 1 - alpha / 2])
    return float(there.std(ddof=1)), float(low), float(high)
