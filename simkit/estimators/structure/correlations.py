"""Correlation matrices of survey items: Pearson, Spearman, polychoric; missing answers, weights.

Every pair of items uses the rows that have both (pairwise complete), so each entry is as good as
it can be and the whole matrix need not be positive semi-definite: `repaired` says whether it is
and mends it. An item that does not vary has no correlation: NaN, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.shared.arguments import checked
from simkit.estimators.structure.polychoric import polychoric_pairs
from simkit.types import FloatArray, IntArray, column, numbers

__all__ = [
    "METHODS",
    "Answers",
    "answer_matrix",
    "correlation_matrix",
    "matrices_of",
    "matrix_of",
    "off_diagonal",
    "repaired",
]

METHODS = ("pearson", "spearman", "polychoric")
MOST_CATEGORIES = 25  # of an item whose correlation is to be polychoric
CHUNK = 4_000_000  # numbers held at once
FLAT = 1e-12  # a variance below this share of the squared scale is rounding dust


class Answers:
    """The answers of n respondents to k items, made ready for many weighted correlation matrices.

    frame : (n, k) numbers, NaN where not answered. `weight` (n,) of the respondents. `least` rows
    must have both items of a pair, else it is undefined.
    """

    def __init__(
        self, x: FloatArray, weight: FloatArray, items: Sequence[str], least: int = 3
    ) -> None:
        self.items, self.weight, self.n = list(items), weight, len(x)
        self.mask = ~np.isnan(x)
        self.whole = bool(self.mask.all())
        both = self.mask[weight > 0].astype(float)
        self.thin = both.T @ both < least  # pairs that too few have answered
        # Centred columns: the sums of squares below would lose digits otherwise.
        with np.errstate(invalid="ignore"):
            middle = np.array(
                [c[m].mean() if m.any() else 0.0 for c, m in zip(x.T, self.mask.T, strict=True)]
            )
        self.x = np.where(self.mask, x - middle, 0.0)
        self.levels: list[FloatArray] = []
        self.codes = np.zeros(x.shape, dtype=np.int64)
        for j in range(x.shape[1]):
            level, code = np.unique(x[self.mask[:, j], j], return_inverse=True)
            self.levels.append(level)
            self.codes[self.mask[:, j], j] = code

    @property
    def constant(self) -> list[str]:
        """The items with fewer than two different answers."""
        return [i for i, level in zip(self.items, self.levels, strict=True) if len(level) < 2]

    @property
    def worth(self) -> float:
        """Respondents of equal weight that these are worth: 1 / sum of squared shares of weight."""
        share = self.weight / max(self.weight.sum(), 1e-300)
        return float(1 / max((share**2).sum(), 1e-300))


@checked("frame weights", frames="frame")
def correlation_matrix(
    frame: pd.DataFrame, *, method: str = "pearson", weights: npt.ArrayLike | None = None
) -> pd.DataFrame:
    """Correlations (k, k) of the k items of n respondents, each pair on the rows that have both.

    frame : (n, k), one column of numbers per item, None or NaN where not answered.
    method : "pearson"; "spearman" (Pearson of mid-ranks, ranked anew for each pair where answers
        are missing); "polychoric" (of the normal variables that ordered categories cut up, by
        two-step maximum likelihood: Olsson 1979), for items of up to 25 categories.
    weights : (n,) survey weights from 0, None for 1. Ranks and thresholds are weighted too.

    NaN where an item does not vary on the rows of a pair, or fewer than 3 rows have both. The
    diagonal is 1, and NaN for an item that never varies. Raises ValueError for text, infinite
    numbers (naming item and row), repeated items, an unknown method, and for more categories than
    a polychoric correlation can have.
    """
    answers = answer_matrix(frame, weights, "frame")
    return pd.DataFrame(
        matrix_of(answers, method), index=answers.items, columns=answers.items, dtype=float
    )


def answer_matrix(
    frame: pd.DataFrame, weights: npt.ArrayLike | None, name: str, least: int = 3
) -> Answers:
    """The frame checked, as `Answers`; least : see there."""
    if least < 3:
        raise ValueError(f"least is {least}; it must be a whole number from 3")
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(f"{name} is a {type(frame).__name__}; it must be a DataFrame of items")
    if not frame.columns.is_unique or frame.shape[1] < 2 or not len(frame):
        raise ValueError(
            f"{name} has {len(frame)} rows of the columns {list(frame)}; it must be rows of two "
            "or more items that differ"
        )
    parts = [column(frame[c], f"{name}[{c}]", missing=True) for c in frame]
    weight = np.ones(len(frame))
    if weights is not None:
        weight = column(weights, "weights", low=0, rows=len(frame))
    return Answers(np.column_stack(parts), weight, [str(c) for c in frame], least)


def matrix_of(answers: Answers, method: str) -> FloatArray:
    """The matrix (k, k) of `correlation_matrix`."""
    return np.asarray(matrices_of(answers, method, answers.weight[None])[0])


def matrices_of(answers: Answers, method: str, weights: FloatArray) -> FloatArray:
    """The matrices (B, k, k) under each of B lists of weights (B, n), such as resamples."""
    a = answers
    if method == "pearson":
        step = max(CHUNK // max(a.x.size, 1), 1)
        parts = [weights[i : i + step] for i in range(0, len(weights), step)]
        found = np.concatenate([_pearson(a.x, a.mask, w, a.whole) for w in parts])
    elif method in METHODS:
        one = _spearman if method == "spearman" else _polychoric
        found = np.stack([one(a, w) for w in weights])
    else:
        raise ValueError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
    k = len(a.items)
    return np.asarray(np.where(a.thin & ~np.eye(k, dtype=bool), np.nan, found))


def _pearson(x: FloatArray, mask: npt.NDArray[np.bool_], w: FloatArray, whole: bool) -> FloatArray:
    """Pairwise correlations (B, k, k), weighted by w (B, n), of columns with 0 where missing."""
    wx = w[:, None] * x.T
    cross = wx @ x
    if whole:
        total = np.maximum(w.sum(axis=1), 1e-300)[:, None, None]
        mean = wx.sum(axis=2, keepdims=True) / total
        cov = cross / total - mean * mean.swapaxes(1, 2)
        var_i = np.diagonal(cov, axis1=1, axis2=2)[..., None]
        power = np.diagonal(cross / total, axis1=1, axis2=2)[..., None]
        rows: Any = (w > 0).sum(axis=1)[:, None, None]
    else:
        m = mask.astype(float)
        total = (w[:, None] * m.T) @ m
        safe = np.where(total > 0, total, np.nan)
        mean = (wx @ m) / safe  # of item i, on the rows that have j too
        power = ((wx * x.T) @ m) / safe
        cov = cross / safe - mean * mean.swapaxes(1, 2)
        var_i = power - mean**2
        used = m.T * (w > 0)[:, None]
        rows = used @ used.swapaxes(1, 2)
    spread = np.where(var_i <= FLAT * np.maximum(power, FLAT), np.nan, var_i)
    r = cov / np.sqrt(spread * spread.swapaxes(1, 2))
    r = np.clip(np.where(rows >= 3, r, np.nan), -1.0, 1.0)
    i = np.arange(x.shape[1])
    r[:, i, i] = np.where(np.isnan(r[:, i, i]), np.nan, 1.0)
    return np.asarray(r)


def _ranks(code: IntArray, levels: int, w: FloatArray) -> FloatArray:
    """Weighted mid-ranks (n,): the weight below, and half the weight that is equal."""
    mass = np.bincount(code, w, levels)
    return np.asarray((mass.cumsum() - mass / 2)[code])


def _spearman(a: Answers, w: FloatArray) -> FloatArray:
    k = len(a.items)
    if a.whole:
        ranks = np.column_stack([_ranks(a.codes[:, j], len(a.levels[j]), w) for j in range(k)])
        centred = ranks - np.average(ranks, axis=0, weights=w) if w.sum() else ranks
        return np.asarray(_pearson(centred, a.mask, w[None], True)[0])
    out = np.full((k, k), np.nan)
    for i in range(k):
        for j in range(i + 1, k):
            both = np.flatnonzero(a.mask[:, i] & a.mask[:, j])
            two = np.column_stack(
                [_ranks(a.codes[both, c], len(a.levels[c]), w[both]) for c in (i, j)]
            )
            centred = two - (two * w[both, None]).sum(axis=0) / max(w[both].sum(), 1e-300)
            pair = _pearson(centred, a.mask[both][:, [i, j]], w[None, both], True)
            out[i, j] = out[j, i] = pair[0, 0, 1]
    np.fill_diagonal(out, np.where([len(level) > 1 for level in a.levels], 1.0, np.nan))
    return out


def _polychoric(a: Answers, w: FloatArray) -> FloatArray:
    k, sizes = len(a.items), [len(level) for level in a.levels]
    if max(sizes) > MOST_CATEGORIES:
        item = a.items[int(np.argmax(sizes))]
        raise ValueError(
            f"{item} has {max(sizes)} different answers; for polychoric it must have up to "
            f"{MOST_CATEGORIES} ordered categories"
        )
    top = max(max(sizes), 2)
    first, second = np.triu_indices(k, 1)
    tables = np.zeros((len(first), top, top))
    for p, (i, j) in enumerate(zip(first, second, strict=True)):
        both = a.mask[:, i] & a.mask[:, j]
        cell = a.codes[both, i] * top + a.codes[both, j]
        tables[p] = np.bincount(cell, w[both], top * top).reshape(top, top)
    out = np.full((k, k), np.nan)
    out[first, second] = polychoric_pairs(tables)
    out[second, first] = out[first, second]
    np.fill_diagonal(out, np.where(np.array(sizes) > 1, 1.0, np.nan))
    return out


def off_diagonal(matrix: npt.ArrayLike) -> FloatArray:
    """The k (k - 1) / 2 entries above the diagonal of a matrix (k, k), row by row."""
    m = numbers(matrix, "matrix", "(k, k)")
    if m.shape[0] != m.shape[1]:
        raise ValueError(f"matrix has shape {m.shape}; it must be (k, k)")
    return np.asarray(m[np.triu_indices(len(m), 1)])


def repaired(matrix: npt.ArrayLike) -> tuple[FloatArray, int, FloatArray]:
    """A proper correlation matrix from one that may not be: matrix, negative eigenvalues, items.

    matrix : (k, k), symmetric. Items without any correlation (all NaN off the diagonal) are left
    out, and the third value says which rows stay; single NaN entries are set to 0, the least that
    can be said. If an eigenvalue is below 0 it is set to 0 and the diagonal brought back to 1
    (the usual clipping; Higham 2002 gives the nearest matrix, which differs little where the
    violation is small). The second value counts the eigenvalues that were below -1e-10.
    """
    m = np.asarray(matrix, dtype=np.float64)
    off_diagonal(m)
    off = m.copy()
    np.fill_diagonal(off, np.nan)
    kept = np.flatnonzero(~np.isnan(off).all(axis=1))
    m = np.nan_to_num(m[np.ix_(kept, kept)], nan=0.0)
    np.fill_diagonal(m, 1.0)
    value, vector = np.linalg.eigh(m)
    negative = int((value < -1e-10).sum())
    if negative:
        m = (vector * np.clip(value, 0.0, None)) @ vector.T
        size = np.sqrt(np.clip(m.diagonal(), 1e-12, None))
        m = m / np.outer(size, size)
    return m, negative, kept.astype(np.float64)
