"""Respondents drawn from microdata, from a raked table or from a joint table.

The draw is systematic: people stand in line, sorted by their attributes, each as long as their
weight, and every n-th part of the line gives one respondent (Madow 1949). So the margins of the
first attributes come out within one person of their targets, where independent draws would miss
them by sqrt(p (1 - p) n).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from simkit.personas.raking import Raking
from simkit.types import (
    FloatArray,
    IntArray,
    check_labels,
    column,
    framed,
    generator,
    listed,
    shown,
)

__all__ = ["draw"]

METHODS = ("systematic", "random")
MOST = 10**9  # respondents


def draw(
    population: pd.DataFrame | Raking,
    n: int,
    *,
    weight: str | None = "weight",
    replace: bool = True,
    strata: str | Sequence[str] | None = None,
    allocation: str | Mapping[Any, int] = "proportional",
    by: Sequence[str] | None = None,
    method: str = "systematic",
    seed: int = 0,
) -> pd.DataFrame:
    """n respondents with chances proportional to the weights.

    Parameters
    ----------
    population : microdata (one row per person, answers may stay in it), a joint table (one row
        per cell), or what `rake` gives.
    weight : its column of weights (any unit, from 0); None where all weigh the same.
    replace : whether a row may be drawn more than once. False: chances are n × share; rows for
        which that exceeds 1 are taken for certain, and weigh more in the sample.
    strata : column(s) within each combination of which draws are made apart.
    allocation : how n is split over the strata: "proportional" to their weight (whole numbers by
        largest remainder), "equal", or {stratum: number} (a tuple of values for several columns).
    by : columns in whose order the people stand in line, so that these margins come out closest,
        the first before the others; None for all columns as they stand (of a raking: those of its
        margins).
    method : "systematic", or "random" for independent draws (without replacement: systematic in
        random order, which keeps the chances exact).
    seed : of the draw.

    Returns
    -------
    Columns `person` (0 … n - 1), `source` (who it is in the population: its own column `person`,
    or else the row's label), the population's columns, and `weight`: design weights of mean 1,
    all equal where the sample is proportional. Rows are in random order.

    Raises ValueError for a column that is missing, stands twice or holds lists, a bad weight
    (naming the row), a column called `source`, n below 1 or above the rows to draw without
    replacement, and an allocation that does not fit.

    Source: Madow (1949), Annals of Mathematical Statistics 20.
    """
    frame = population.frame if isinstance(population, Raking) else population
    framed(frame, "the population")
    by = by if by is None else _names(by)
    if by is None and isinstance(population, Raking):
        by = population.variables
    _check(frame, n, weight, replace, method, strata, by)
    share = _shares(frame, weight)
    rng = generator(seed, "draw")
    line = [c for c in (frame.columns if by is None else by) if c not in (weight, "person")]
    rank = _ranks(frame[list(line)])
    picked, weights = [], []
    for rows, size in _strata(frame, share, n, strata, allocation):
        part = share[rows]
        at, w = _drawn(part, rank[rows], size, replace, method, rng)
        picked.append(rows[at])
        weights.append(w * part.sum())
    order = rng.permutation(n)
    number, heavy = np.concatenate(picked)[order], np.concatenate(weights)[order]
    return _respondents(frame, number, heavy * n / heavy.sum(), weight)


def _check(
    frame: pd.DataFrame,
    n: int,
    weight: str | None,
    replace: bool,
    method: str,
    strata: str | Sequence[str] | None,
    by: Sequence[str] | None,
) -> None:
    whole = isinstance(n, int | np.integer) and not isinstance(n, bool)
    if not whole or not 1 <= n <= MOST:
        raise ValueError(f"n is {shown(n)}; legal are whole numbers from 1 to {MOST}")
    if not isinstance(replace, bool):
        raise ValueError(f"replace is {shown(replace)}; it must be True or False")
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"no method {method!r}; legal are {', '.join(METHODS)}")
    if not isinstance(weight, str | None):
        raise ValueError(f"weight is {shown(weight)}; it must be a column's name, or None")
    for name in ("source", *(("weight",) if weight != "weight" else ())):
        if name in frame:
            raise ValueError(f"the population has a column {name!r}, which draw writes; rename it")
    for name in (*_names(strata), *(by or ())):
        if not isinstance(name, str | int) or name not in frame:
            columns = ", ".join(map(str, frame.columns))
            raise ValueError(f"the population has no column {name!r}; there are: {columns}")
    check_labels(frame[[*_names(strata), *(by or ())]], "the population")


def _names(names: str | Sequence[str] | None) -> list[str]:
    if names is None or isinstance(names, str):
        return [] if names is None else [names]
    return listed(names, "strata or by")


def _shares(frame: pd.DataFrame, weight: str | None) -> FloatArray:
    """Shares (rows,) of the people, sum 1."""
    if weight is not None and weight not in frame:
        raise ValueError(f"the population has no column {weight!r}; weight=None for equal weights")
    w = np.ones(len(frame)) if weight is None else column(frame[weight], weight, low=0)
    if not w.sum() > 0:
        raise ValueError(f"nobody to draw: {len(frame)} rows, all of weight 0")
    return np.asarray(w / w.sum())


def _ranks(frame: pd.DataFrame) -> IntArray:
    """Place (rows,) of each row in the line; equal rows have equal places.

    Every other group runs backwards, so that neighbours in the line differ in one step only:

        a1b1 a1b2 a1b3 | a2b3 a2b2 a2b1 | a3b1 …
    """
    place = np.zeros(len(frame), dtype=np.int64)
    for name in frame:
        code = _codes(frame[name])
        top = int(code.max(initial=0))
        code = np.where(place % 2, top - code, code)
        place = np.unique(place * (top + 1) + code, return_inverse=True)[1].astype(np.int64)
    return place


def _codes(values: pd.Series) -> IntArray:
    """Codes (rows,) of the values from 0: in order for numbers and categories, missing last."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        codes = values.cat.codes.to_numpy()
    else:
        try:
            codes = pd.factorize(values, sort=values.dtype.kind in "biufM")[0]
        except TypeError as error:
            raise ValueError(
                f"column {values.name!r} holds values without an order, such as lists ({error}); "
                "name the columns to stand in line by in `by`"
            ) from error
    codes = codes.astype(np.int64)
    out: IntArray = np.where(codes < 0, codes.max(initial=-1) + 1, codes)
    return out


def _strata(
    frame: pd.DataFrame,
    share: FloatArray,
    n: int,
    strata: str | Sequence[str] | None,
    allocation: str | Mapping[Any, int],
) -> list[tuple[IntArray, int]]:
    """Rows of positive share of each stratum, and how many are drawn from it."""
    alive = np.flatnonzero(share > 0)
    names = _names(strata)
    if not isinstance(allocation, str | Mapping):
        raise ValueError(f"allocation is {shown(allocation)}; it must be a word or a mapping")
    if not names:
        if allocation != "proportional":
            raise ValueError(f"allocation is {allocation!r} without strata")
        return [(alive, n)]
    code = frame.iloc[alive].groupby(names, sort=True, dropna=False, observed=True).ngroup()
    members = [alive[code == c] for c in range(int(code.max()) + 1)]
    keys = list(zip(*(frame[name].tolist() for name in names), strict=True))
    parts = {(k if len(names) > 1 else k[0]): at for at in members for k in [keys[at[0]]]}
    sizes = _allocated(parts, share, n, allocation)
    return [(rows, size) for rows, size in zip(parts.values(), sizes, strict=True) if size]


def _allocated(
    parts: Mapping[Any, IntArray], share: FloatArray, n: int, allocation: str | Mapping[Any, int]
) -> list[int]:
    if isinstance(allocation, Mapping):
        unknown = [key for key in allocation if key not in parts]
        if unknown:
            raise ValueError(f"allocation: no stratum {unknown[0]!r}; there are {list(parts)}")
        given = [allocation.get(key, 0) for key in parts]
        sizes = [int(x) for x in given if isinstance(x, int | np.integer)]
        if len(sizes) < len(given) or sum(sizes) != n or min(sizes) < 0:
            raise ValueError(f"allocation is {dict(allocation)}; legal are numbers that sum to {n}")
        return sizes
    if allocation not in ("proportional", "equal"):
        raise ValueError(
            f"allocation is {allocation!r}; legal are proportional, equal or {{stratum: number}}"
        )
    total = np.array([share[rows].sum() for rows in parts.values()])
    exact = n * (total if allocation == "proportional" else np.full(len(total), 1 / len(total)))
    sizes_ = np.floor(exact + 1e-9).astype(int)
    first = np.argsort(sizes_ - exact, kind="stable")[: n - sizes_.sum()]
    sizes_[first] += 1
    return [int(size) for size in sizes_]


def _drawn(
    share: FloatArray,
    rank: IntArray,
    n: int,
    replace: bool,
    method: str,
    rng: np.random.Generator,
) -> tuple[IntArray, FloatArray]:
    """Row numbers (n,) of one stratum, and their weights, which sum to 1."""
    p = share / share.sum()
    if replace and method == "random":
        return rng.choice(len(p), size=n, p=p), np.full(n, 1 / n)
    expected = n * p
    if not replace:
        if n > len(p):
            raise ValueError(f"{n} of {len(p)} rows without replacement; legal are up to {len(p)}")
        expected = _chances(p, n)
    tie = rng.random(len(p))
    order = np.argsort(tie) if method == "random" else np.lexsort((tie, rank))
    edges = expected[order].cumsum()
    points = (rng.random() + np.arange(n)) * (edges[-1] / n)  # rounding must not push one out
    at = order[np.minimum(np.searchsorted(edges, points, side="right"), len(p) - 1)]
    heavy = p[at] / expected[at]
    return at, heavy / heavy.sum()


def _chances(p: FloatArray, n: int) -> FloatArray:
    """Chances (rows,) up to 1, sum n, proportional to p where they are below 1."""
    sure = np.zeros(len(p), dtype=bool)
    while True:
        rest = p * ~sure
        chance = np.where(sure, 1.0, (n - sure.sum()) * rest / max(rest.sum(), 1e-300))
        over = (chance > 1) & ~sure
        if not over.any():
            return np.asarray(chance)
        sure |= over


def _respondents(
    frame: pd.DataFrame, number: IntArray, heavy: FloatArray, weight: str | None
) -> pd.DataFrame:
    drawn = frame.iloc[number]
    source = drawn["person"] if "person" in frame else pd.Series(drawn.index.to_flat_index())
    kept = [c for c in drawn if c not in (weight, "person")]
    out = drawn[kept].reset_index(drop=True)
    out.insert(0, "person", np.arange(len(out)))
    out.insert(1, "source", source.to_numpy())
    out.attrs = {}
    return out.assign(weight=heavy)
