"""Array types, seeds, and the checks that every estimator makes of its arguments."""

from __future__ import annotations

import datetime
import hashlib
import json
import operator
from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = [
    "FloatArray",
    "IntArray",
    "Rows",
    "SeedLike",
    "aligned",
    "check_labels",
    "column",
    "counted",
    "encodable",
    "framed",
    "generator",
    "hashable",
    "integer",
    "invalid",
    "invalid_row",
    "labels",
    "listed",
    "numbers",
    "one_of",
    "scalar",
    "several",
    "shown",
    "typed",
    "usable_rows",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SeedLike = int | np.random.Generator

LARGEST = 1e50  # beyond it squares and their sums leave float64, and an estimate is inf or NaN


def invalid(name: str, value: Any, requirement: str) -> ValueError:
    """The error for a value that is not what it must be, to be raised by the caller."""
    return ValueError(f"{name} is {shown(value)}; it must be {requirement}")


def invalid_row(name: str, row: Any, value: Any, requirement: str) -> ValueError:
    """The error for one row of a column, to be raised by the caller. row : the row's label."""
    return ValueError(f"{name}: row {shown(row)} holds {shown(value)}; it must be {requirement}")


def typed(value: Any, name: str, kinds: Any, requirement: str) -> Any:
    """The value itself, an instance of `kinds`; ValueError, naming it, for all else."""
    if not isinstance(value, kinds):
        raise invalid(name, value, requirement)
    return value


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
    if isinstance(seed, bool) or not hasattr(seed, "__index__"):
        raise TypeError(f"seed is {shown(seed)}; it must be an integer or a numpy Generator")
    try:
        key = json.dumps([operator.index(seed), *names])
    except TypeError:
        raise TypeError(f"names are {shown(names)}; they must be text and numbers") from None
    digest = hashlib.sha256(key.encode()).digest()
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

    Values must be finite numbers in [low, high]; with `missing`, None and NaN are allowed and come
    back as NaN. Text is never read as a number ("3" is refused). Raises ValueError naming `name`,
    the first bad row (its label, if `values` is a Series), the value and what it must be; and for
    a wrong number of dimensions, or of rows if `rows` is given.
    """
    series = _series(values, name)
    if rows is not None:
        _same_length(series, name, rows)
    plain = series.dtype.kind in "biuf"  # else text, objects, categories, dates: one by one
    floats = series if plain else pd.Series([_number(v) for v in series], dtype=float)
    out: FloatArray = floats.to_numpy(dtype=np.float64, na_value=np.nan)
    absent = series.isna().to_numpy(dtype=bool)
    bad = ~(np.abs(out) <= LARGEST) | (out < low) | (out > high)
    bad &= ~absent if missing else True
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        requirement = "a finite number" + (f" from {low:g} to {high:g}" if low > -np.inf else "")
        requirement += f" up to {LARGEST:g} in size" if np.abs(out[row]) > LARGEST else ""
        requirement += " (None or NaN where missing)" if missing else ""
        raise invalid_row(name, series.index[row], series.iloc[row], requirement)
    return out


def _same_length(values: pd.Series | pd.DataFrame, name: str, rows: int) -> None:
    if len(values) != rows:
        raise ValueError(
            f"{name} has {len(values)} rows; it must have {rows}, as the other columns"
        )


def numbers(
    values: Any, name: str, shape: str, *, dims: Iterable[int] = (2,), infinite: bool = False
) -> FloatArray:
    """An array of numbers as floats, NaN and None where missing; `shape` says what is expected.

    Raises ValueError, naming `name` and the place, for text, dates and objects, for rows of
    unequal length, for another number of dimensions than `dims`, for no values at all, and for
    infinite or huge numbers (unless `infinite`).
    """
    plain = hasattr(values, "dtype") or isinstance(values, pd.DataFrame)
    items = values if plain else listed(values, name)
    try:
        raw = np.asarray(items, dtype=None if plain else object)
    except ValueError:
        raw = None  # rows of unequal length
    if raw is not None and raw.dtype == object and raw.ndim == 1:
        raw = None if any(isinstance(v, list | tuple | np.ndarray) for v in raw) else raw
    if raw is None or raw.ndim not in tuple(dims) or raw.size == 0:
        actual = "rows of unequal length" if raw is None else f"shape {raw.shape}"
        raise ValueError(f"{name} has {actual}; it must have shape {shape}")
    if raw.dtype.kind not in "biufO":
        raise ValueError(f"{name} holds {raw.dtype} values; it must hold numbers")
    if raw.dtype.kind == "O":
        out = np.array([_number(v) for v in raw.ravel()], dtype=np.float64).reshape(raw.shape)
    else:
        out = raw.astype(np.float64)
    bad = np.isnan(out) & ~np.asarray(pd.isna(raw), dtype=bool)
    if not infinite:
        bad |= np.abs(out) > LARGEST
    for place in np.argwhere(bad)[:1].tolist():
        requirement = f"a finite number up to {LARGEST:g} in size (NaN where missing)"
        raise invalid(f"{name}{place}", raw[tuple(place)], requirement)
    return out


def aligned(arguments: Mapping[str, Any], *, what: str = "row") -> dict[str, Any]:
    """The arguments of one call, those that carry an index in the order of the first of them.

    arguments : name -> values for the same rows; Series and DataFrames carry an index, lists,
        arrays and None do not: those pair by position. Those of unequal length are left to the
        caller, who knows which length is right.
    what : "row", or "column" for DataFrames whose columns are to be in one order.

    Two indices with the same labels in the same order pass, also where labels repeat. The same
    labels in another order are put in the order of the first, unless arrays are among the
    arguments, whose order is then unknown. Raises ValueError for that, and where the labels
    differ, or repeat in another order, naming both arguments, the label and the remedy.
    """
    out, kinds = dict(arguments), (pd.DataFrame, pd.Series)[: 2 if what == "row" else 1]
    labelled = {n: v for n, v in out.items() if isinstance(v, kinds)}
    axis = 0 if what == "row" else 1
    first = next(iter(labelled), "")
    for name, value in labelled.items():
        ours, theirs = labelled[first].axes[axis], value.axes[axis]
        if len(ours) != len(theirs) or ours is theirs or ours.equals(theirs):
            continue
        if ours.is_unique and theirs.is_unique:
            place = theirs.get_indexer(ours)
            if (place >= 0).all():
                if what == "row":
                    _refuse_arrays(out, first, name, len(ours))
                out[name] = value.take(place, axis=axis)
                continue
            row = int(np.flatnonzero(place < 0)[0])
            raise ValueError(
                f"{first} has a {what} {shown(ours[row])} and {name} has none: both must have the "
                f"same labels; pair {what}s by position with .to_numpy(), or by label with "
                ".reindex, which leaves NaN where there is none"
            )
        pairs = enumerate(zip(ours, theirs, strict=True))
        row = next((i for i, (a, b) in pairs if a is not b and a != b), 0)
        raise ValueError(
            f"{first} and {name} repeat labels, in different orders: {what} {row} is "
            f"{shown(ours[row])} in one, {shown(theirs[row])} in the other; pair {what}s by "
            "position with .to_numpy(), or make the labels unique with .reset_index(drop=True) on "
            "the frame that both come from"
        )
    return out


def _refuse_arrays(arguments: Mapping[str, Any], first: str, name: str, n: int) -> None:
    for other, value in arguments.items():
        if isinstance(value, list | tuple | np.ndarray) and np.ndim(value) and len(value) == n:
            raise ValueError(
                f"{first} and {name} have the same labels in different orders, and {other} has no "
                f"labels to say whose order is its own; give it as a Series with {first}'s index"
            )


def listed(values: Any, name: str) -> list[Any]:
    """The items of a list, array or Series; ValueError for text, mappings, sets, single values."""
    single = isinstance(values, str | bytes | Mapping | Set | pd.DataFrame)
    if single or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        raise invalid(name, values, "a list, an array or a Series")
    return list(values)


def integer(value: Any, name: str, low: int = 0, high: int = 10**8) -> int:
    """One whole number in [low, high]; ValueError, naming it, for all else (2.0 and True too)."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not low <= value <= high:
        raise invalid(name, value, f"a whole number from {low:,} to {high:,}")
    return int(value)


def one_of(value: Any, name: str, choices: Iterable[str]) -> str:
    """One of the names in `choices`; ValueError, naming them, for all else."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"no {name} {shown(value)}; there are: {', '.join(choices)}")
    return value


def several(values: Any) -> Any:
    """`values`, or a list of it where it is a single number."""
    return [values] if np.isscalar(values) or getattr(values, "ndim", 1) == 0 else values


def encodable(value: Any) -> bool:
    """False for text with half a surrogate pair, which no file and no index can hold."""
    return not isinstance(value, str) or not any("\ud800" <= c <= "\udfff" for c in value)


def shown(value: Any) -> str:
    """A value for an error message, cut to a line."""
    if isinstance(value, pd.DataFrame | pd.Series | np.ndarray) and np.ndim(value):
        return f"a {type(value).__name__} of shape {np.shape(value)}"
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**20:
        return f"an integer of {value.bit_length()} bits"
    try:
        text = repr(value)
    except Exception:  # somebody else's class
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."


def framed(value: Any, name: str) -> pd.DataFrame:
    """The value itself, if it is a DataFrame whose columns have different names.

    Raises ValueError for anything else, for a column that occurs twice (as after a merge) and for
    columns in levels (as after a pivot), naming the column and the remedy.
    """
    if not isinstance(value, pd.DataFrame):
        raise invalid(name, value, "a DataFrame: pd.DataFrame(...)")
    names = value.columns
    if isinstance(names, pd.MultiIndex):
        first = f", the first is {tuple(names[0])}" if len(names) else ""
        raise ValueError(
            f"{name}: the columns are in {names.nlevels} levels{first}; give each one name: "
            "frame.columns = frame.columns.map(lambda c: '_'.join(map(str, c)))"
        )
    if not names.is_unique:
        twice = names[names.duplicated()][0]
        raise ValueError(f"{name}: column {twice!r} stands twice; drop or rename one of them")
    return value


def labels(values: Any, name: str, rows: int) -> tuple[IntArray, pd.DataFrame]:
    """Codes (rows,) of the distinct values, and the values themselves in order of appearance.

    `values` is one column (array, list, Series) or a DataFrame whose rows, taken as a whole, are
    the labels. The second item has one row per code. Raises ValueError for a wrong number of rows
    and for a missing label, naming the row.
    """
    if isinstance(values, pd.DataFrame):
        frame = values
        if not frame.shape[1] or not frame.columns.is_unique:
            raise ValueError(
                f"{name} has the columns {list(frame)}; it must have one or more that differ"
            )
    else:
        series = _series(values, name)
        frame = series.to_frame(series.name if isinstance(series.name, str | int) else name)
    _same_length(frame, name, rows)
    check_labels(frame, name)
    absent = frame.isna().any(axis=1).to_numpy()
    if absent.any():
        row = frame.index[int(np.flatnonzero(absent)[0])]
        raise ValueError(f"{name}: row {row!r} has no label; it must not be None or NaN")
    frame = frame.reset_index(drop=True)
    keys = [frame.iloc[:, k] for k in range(frame.shape[1])]
    codes = frame.groupby(keys, sort=False, observed=True).ngroup().to_numpy(copy=True)
    first = np.unique(codes, return_index=True)[1]
    return codes.astype(np.int64), frame.iloc[first].reset_index(drop=True)


_LABELS = (str, bool, int, float, np.generic, Decimal, datetime.date, datetime.time,
           datetime.timedelta, pd.Interval, pd.Period, tuple)  # fmt: skip


def check_labels(frame: pd.DataFrame, name: str) -> None:
    """ValueError where a column of labels holds a value that cannot be one.

    Lists, objects of other classes, and text with half a surrogate pair; missing values pass.
    Names the column and the row.
    """
    for k in range(frame.shape[1]):
        column = frame.iloc[:, k]
        if column.dtype.kind != "O":
            continue
        with suppress(TypeError, UnicodeError):  # which is what the loop looks for
            column = column.drop_duplicates()
        for row, value in column.items():
            known = isinstance(value, (*_LABELS, type(None), type(pd.NA), type(pd.NaT)))
            if not (known and hashable(value) and encodable(value)):
                what = "broken text (half a surrogate pair)" if isinstance(value, str) else (
                    f"a {type(value).__name__}, which cannot be a label; it must be a number, text "
                    "or a date")  # fmt: skip
                where = name if str(column.name) == name else f"{name}, column {column.name!r}"
                raise ValueError(f"{where}: row {shown(row)} holds {what}, {shown(value)}")


def hashable(value: Any) -> bool:
    """Whether a value can be a key: no list, dictionary or array, nor a tuple that holds one."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def scalar(value: Any, name: str, low: float = -LARGEST, high: float = LARGEST) -> float:
    """One finite number in [low, high] as a float; ValueError, naming it, for all else."""
    number = np.nan if isinstance(value, bool | np.bool_ | np.ndarray) else _number(value)
    if not low <= number <= high:
        raise invalid(name, value, f"a number from {low:g} to {high:g}")
    return number


@dataclass(frozen=True)
class Rows:
    """The rows that are used.

    Attributes
    ----------
    kept : (m,) their numbers among the n rows of the call.
    weight : (n,) divided by the largest, so that no sum of them overflows.
    factors : codes (n,) of the clusters for each factor, one or two that are crossed; those of
        the rows in `kept` are numbered 0, 1, ...
    names : the factors' names.
    notes : how many rows were left out, and why.
    """

    kept: IntArray
    weight: FloatArray
    factors: tuple[IntArray, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def cluster(self) -> IntArray:
        """The codes (n,) of the one factor."""
        return self.factors[0]

    def codes(self, rows: IntArray | None = None) -> list[IntArray]:
        """Each factor's codes of some rows (default: `kept`), numbered 0, 1, ... again."""
        used = self.kept if rows is None else rows
        return [np.unique(code[used], return_inverse=True)[1] for code in self.factors]

    @property
    def over(self) -> str:
        """The factors with their numbers of clusters: "product (3) and wording (20)".

        A factor of one level is no sample: "product (3), one wording only".
        """
        sizes = [int(code.max()) + 1 for code in self.codes()]
        factors = list(zip(self.names, sizes, strict=True))
        varying = " and ".join(f"{name} ({k})" for name, k in factors if k > 1)
        single = [f"one {name} only" for name, k in factors if k == 1]
        return ", ".join([varying, *single] if varying else single)


def usable_rows(
    outcome: FloatArray, weights: npt.ArrayLike | None, cluster: Any, *, crossed: bool = False
) -> Rows:
    """Rows whose outcome (n,) is not NaN and whose weight is above 0.

    weights None: all 1. cluster None: every row is a cluster; with `crossed`, a DataFrame of two
    columns is two factors. Raises ValueError if no row is left, and for more columns.
    """
    n = len(outcome)
    weight = np.ones(n) if weights is None else column(weights, "weights", low=0, rows=n)
    names: tuple[str, ...] = ("rows",)
    factors = [np.arange(n)]
    if cluster is not None:
        several = isinstance(cluster, pd.DataFrame) and cluster.shape[1] > 1
        if several and cluster.shape[1] > 1 + crossed:
            most = "one column, or two that are crossed" if crossed else "one column here"
            raise ValueError(
                f"cluster has the columns {list(cluster)}; it must be {most}. Where every "
                "combination of them is an independent unit, join them to one label"
            )
        parts = [cluster[c] for c in cluster] if several else [cluster]
        coded = [labels(part, "cluster", n) for part in parts]
        factors = [code for code, _ in coded]
        heads = [str(keys.columns[0]) for _, keys in coded]
        names = tuple("clusters" if name == "cluster" else name for name in heads)
    kept = np.flatnonzero(~np.isnan(outcome) & (weight > 0))
    if len(kept) == 0:
        raise ValueError(f"no row to use: all {n} have no outcome or a weight of 0")
    for code in factors:
        code[kept] = np.unique(code[kept], return_inverse=True)[1]
    notes = counted(int(np.isnan(outcome).sum()), n, "rows skipped: no outcome")
    notes += counted(int((weight == 0).sum()), n, "rows weigh 0")
    return Rows(kept, weight / weight.max(), tuple(factors), names, notes)


def counted(k: int, n: int, what: str) -> tuple[str, ...]:
    """A note "k of n ...", or none if k is 0."""
    return (f"{k} of {n} {what}",) if k else ()


def _series(values: Any, name: str) -> pd.Series:
    if isinstance(values, pd.Series):
        return values
    if isinstance(values, np.ndarray):
        if values.ndim != 1:
            raise ValueError(f"{name} has {values.ndim} dimensions; it must have one (a column)")
        plain = values.dtype.kind in "biuf"
        return pd.Series(values) if plain else pd.Series(values, dtype=object)
    items = listed(values, name)
    if any(isinstance(v, list | np.ndarray | pd.Series) for v in items):
        raise ValueError(f"{name} has 2 dimensions or more; it must have one (a column)")
    return pd.Series(items, dtype=object)


def _number(value: Any) -> float:
    """A number as a float, inf where it is too large for one; NaN for all else."""
    if not isinstance(value, int | float | np.number | np.bool_) or np.iscomplexobj(value):
        return float("nan")
    try:
        return float(value)
    except OverflowError:
        return float("inf")
