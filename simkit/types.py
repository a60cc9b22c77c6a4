"""Array aliases, seeds, and the check that every estimator makes of a column it is given."""

from __future__ import annotations

import hashlib
import json
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = [
    "FloatArray",
    "IntArray",
    "Rows",
    "SeedLike",
    "column",
    "counted",
    "generator",
    "labels",
    "usable_rows",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SeedLike = int | np.random.Generator


def generator(seed: SeedLike, *names: str | int) -> np.random.Generator:
    """An independent stream per (seed, names), the same on every machine.

    A Generator is returned as it is when no names are given. The stream is seeded by SHA-256 of
    the JSON of (seed, names), so neighbouring seeds share nothing and no global state is touched.
    Raises TypeError for a seed that is no integer, and for names after a Generator.
    """
    if isinstance(seed, np.random.Generator):
        if names:
            raise TypeError("names need an integer seed: a Generator has no reproducible children")
        return seed
    if isinstance(seed, bool):
        raise TypeError(f"seed is {seed!r}; legal are an integer or a numpy Generator")
    digest = hashlib.sha256(json.dumps([operator.index(seed), *names]).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype="<u4").tolist())


def column(
    values: npt.ArrayLike,
    name: str,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    missing: bool = False,
    rows: int | None = None,
) -> FloatArray:
    """One column of numbers as floats, shape (n,), checked value by value.

    Values must be finite numbers in [low, high]; with `missing`, None and NaN may stand for
    "nothing there" and come back as NaN. Text is never read as a number ("3" is refused).
    Raises ValueError naming `name`, the first bad row (its label, if `values` is a Series), the
    value and what is legal; and for a wrong number of dimensions, or of rows if `rows` is given.
    """
    series = values if isinstance(values, pd.Series) else _series(values, name)
    if rows is not None and len(series) != rows:
        raise ValueError(f"{name} has {len(series)} rows; legal is {rows}, as the other columns")
    numbers = pd.to_numeric(series, errors="coerce") if series.dtype.kind in "biuf" else None
    if numbers is None:  # text, objects, categories, dates: look at each value by itself
        kept = [v if isinstance(v, int | float | np.number | np.bool_) else None for v in series]
        numbers = pd.Series(kept, dtype=float)
    out: FloatArray = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    absent = series.isna().to_numpy()
    bad = ~np.isfinite(out) | (out < low) | (out > high)
    bad &= ~absent if missing else True
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        legal = "finite numbers" + (f" from {low:g} to {high:g}" if low > -np.inf else "")
        legal += " (None or NaN where missing)" if missing else ""
        label, value = (
            x.item() if isinstance(x, np.generic) else x
            for x in (series.index[row], series.iloc[row])
        )
        raise ValueError(f"{name}: row {label!r} holds {value!r}; legal are {legal}")
    return out


def labels(values: Any, name: str, rows: int) -> tuple[IntArray, pd.DataFrame]:
    """Codes (rows,) of the distinct values, and the values themselves in order of appearance.

    `values` is one column (array, list, Series) or a DataFrame whose rows, taken as a whole, are
    the labels. The second item has one row per code. Raises ValueError for a wrong number of rows
    and for a missing label, naming the row.
    """
    if isinstance(values, pd.DataFrame):
        frame = values
    else:
        series = values if isinstance(values, pd.Series) else _series(values, name)
        frame = series.to_frame(name if series.name is None else series.name)
    if len(frame) != rows:
        raise ValueError(f"{name} has {len(frame)} rows; legal is {rows}, as the other columns")
    absent = frame.isna().any(axis=1).to_numpy()
    if absent.any():
        row = frame.index[int(np.flatnonzero(absent)[0])]
        raise ValueError(f"{name}: row {row!r} has no label; legal is any value but None or NaN")
    if frame.shape[1] == 1:
        codes, _ = pd.factorize(frame.iloc[:, 0])
    else:
        groups = frame.reset_index(drop=True).groupby(list(frame.columns), sort=False)
        codes = groups.ngroup().to_numpy(copy=True)
    first = np.unique(codes, return_index=True)[1]
    return codes.astype(np.int64), frame.iloc[first].reset_index(drop=True)


@dataclass(frozen=True)
class Rows:
    """The rows that count: `kept` (m,) row numbers, `weight` (n,), `cluster` (n,) codes.

    The clusters of the kept rows are numbered 0, 1, ...; `notes` count what was left out.
    """

    kept: IntArray
    weight: FloatArray
    cluster: IntArray
    notes: tuple[str, ...]


def usable_rows(outcome: FloatArray, weights: npt.ArrayLike | None, cluster: Any) -> Rows:
    """Rows whose outcome (n,) is not NaN and whose weight is above 0.

    weights None: all 1. cluster None: every row its own. Raises ValueError if none is left.
    """
    n = len(outcome)
    weight = np.ones(n) if weights is None else column(weights, "weights", low=0, rows=n)
    codes = np.arange(n) if cluster is None else labels(cluster, "cluster", n)[0]
    kept = np.flatnonzero(~np.isnan(outcome) & (weight > 0))
    if len(kept) == 0:
        raise ValueError(f"no row to use: all {n} have no outcome or a weight of 0")
    codes[kept] = np.unique(codes[kept], return_inverse=True)[1]
    notes = counted(int(np.isnan(outcome).sum()), n, "rows skipped: no outcome")
    return Rows(kept, weight, codes, notes + counted(int((weight == 0).sum()), n, "rows weigh 0"))


def counted(k: int, n: int, what: str) -> tuple[str, ...]:
    """A note "k of n ...", or none if k is 0."""
    return (f"{k} of {n} {what}",) if k else ()


def _series(values: npt.ArrayLike, name: str) -> pd.Series:
    items: Any = values if isinstance(values, np.ndarray) else list(values)  # type: ignore
    if np.ndim(items) != 1:
        raise ValueError(f"{name} has {np.ndim(items)} dimensions; legal is one (a column)")
    plain = isinstance(values, np.ndarray) and values.dtype.kind in "biuf"
    return pd.Series(items) if plain else pd.Series(items, dtype=object)
