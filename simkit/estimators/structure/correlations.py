"""Correlation matrices of survey items: Pearson, Spearman, polychoric; missing answers, weights.

Every pair of items uses the rows that have both (pairwise complete), so each entry is as good as
it can be and the whole matrix need not be positive semi-definite: `repaired` mends it. An item that
does not vary has no correlation: NaN, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.respondents import effective_clusters
from simkit.estimators.shared.strata import Strata, kish, strata_of
from simkit.estimators.structure.polychoric import polychoric_pairs
from simkit.types import (
    FloatArray,
    IntArray,
    column,
    counted,
    integer,
    numbers,
    one_of,
    usable_rows,
)

__all__ = [
    "METHODS",
    "Answers",
    "answer_matrix",
    "correlation_matrix",
    "matrices_of",
    "mean_of",
    "off_diagonal",
    "repaired",
    "two_sides",
]

METHODS = ("pearson", "spearman", "polychoric")
MOST_CATEGORIES = 25  # of an item whose correlation is to be polychoric
CHUNK = 4_000_000  # numbers held at once
FLAT = 1e-12  # a variance below this share of the squared scale is rounding dust


class Answers:
    """The answers of n respondents to k items, made ready for many weighted correlation matrices.

    x : (n, k) numbers, NaN where not answered. weight : (n,) of the respondents. least : rows that
    must have both items of a pair, else its correlation is undefined. cluster, strata : (n,) codes
    of what was drawn, and from where; without strata the respondents themselves. notes : who was
    left out, and strata that show nothing.
    """

    def __init__(
        self,
        x: FloatArray,
        weight: FloatArray,
        items: Sequence[str],
        least: int = 3,
        cluster: IntArray | None = None,
        strata: Strata | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.notes = notes
        self.items, self.weight, self.n = list(items), weight, len(x)
        self.cluster = np.arange(self.n) if cluster is None else cluster
        self.strata = strata
        self.mask = ~np.isnan(x)
        self.whole = bool(self.mask.all())
        both = self.mask[weight > 0].astype(float)
        self.thin = both.T @ both < least  # pairs that too few have answered
        # Centred columns: the sums of squares below would lose digits otherwise.
        self.x = np.where(self.mask, x - mean_of(x.T), 0.0)
        self.levels: list[FloatArray] = []
        self.codes = np.zeros(x.shape, dtype=np.int64)
        for j, answered in enumerate(self.mask.T):
            level, self.codes[answered, j] = np.unique(x[answered, j], return_inverse=True)
            self.levels.append(level)

    @property
    def constant(self) -> list[str]:
        """The items with fewer than two different answers."""
        return [i for i, level in zip(self.items, self.levels, strict=True) if len(level) < 2]

    @property
    def worth(self) -> float:
        """Respondents of equal weight that these are worth: 1 / sum of squared shares of weight."""
        return kish(self.weight)

    @property
    def free(self) -> float:
        """Degrees of freedom of the clusters; infinite without strata."""
        if self.strata is None:
            return np.inf
        return effective_clusters(self.cluster, self.weight, self.strata) - 1


@checked("frame weights", frames="frame")
def correlation_matrix(
    frame: pd.DataFrame, *, method: str = "pearson", weights: npt.ArrayLike | None = None
) -> pd.DataFrame:
    """Correlations of survey items, each pair on the rows that have both.

    Parameters
    ----------
    frame : DataFrame
        (n, k) answers, one column of numbers per item, None or NaN where not answered.
    method : {"pearson", "spearman", "polychoric"}
        Spearman is Pearson of mid-ranks, ranked anew for each pair where answers are missing.
        Polychoric is the correlation of the normal variables that ordered categories (25 at most)
        cut up, by two-step maximum likelihood.
    weights : array_like, optional
        (n,) survey weights from 0; 1 by default. Ranks and thresholds are weighted too.

    Returns
    -------
    DataFrame
        (k, k) correlations. NaN where an item does not vary on the rows of a pair, or fewer than 3
        rows have both. The diagonal is 1, and NaN for an item that never varies.

    Raises
    ------
    ValueError
        For text and infinite numbers (naming item and row), repeated items, an unknown method, and
        too many categories for a polychoric correlation.

    References
    ----------
    Olsson (1979), Psychometrika 44 (polychoric correlation).

    Examples
    --------
    >>> answers = pd.DataFrame({"trust": [1, 2, 3, 4], "vote": [1, 1, 2, 2], "age": [4, 3, 1, 2]})
    >>> correlation_matrix(answers).round(2)
           trust  vote   age
    trust   1.00  0.89 -0.80
    vote    0.89  1.00 -0.89
    age    -0.80 -0.89  1.00
    """
    answers = answer_matrix(frame, "frame", weights)
    matrix = matrices_of(answers, method, answers.weight[None])[0]
    return pd.DataFrame(matrix, index=answers.items, columns=answers.items, dtype=float)


def answer_matrix(
    frame: pd.DataFrame,
    name: str,
    weights: Any,
    cluster: Any = None,
    strata: Any = None,
    *,
    least: int = 3,
    there: npt.NDArray[np.bool_] | None = None,
) -> Answers:
    """The frame checked, as `Answers`; least : see there.

    Rows of weight 0 are left out, and those that are not `there` (n,).
    """
    integer(least, "least", 3)
    if frame.shape[1] < 2 or not len(frame):
        raise ValueError(f"{name} has {len(frame)} rows of the columns {list(frame)}; it must be "
                         "rows of two or more items")  # fmt: skip
    x = np.column_stack([column(frame[c], f"{name}[{c}]", missing=True) for c in frame])
    used = usable_rows(np.zeros(len(x)) if there is None else np.where(there, 0, np.nan),
                       weights, cluster)  # fmt: skip
    k, plan = used.kept, None
    if cluster is not None or strata is not None:
        plan = strata_of(np.zeros(len(x)) if strata is None else strata, cluster, used, len(x))
    notes = counted(len(x) - len(k), len(x), "rows weigh 0 and are left out")
    notes += () if plan is None else plan.notes
    items = [str(c) for c in frame]
    return Answers(x[k], used.weight[k], items, least, used.cluster[k], plan, notes)


def two_sides(
    humans: pd.DataFrame,
    simulated: pd.DataFrame,
    weights: Any,
    simulated_weights: Any,
    paired: bool,
    least: int = 3,
    cluster: Any = None,
    strata: Any = None,
) -> tuple[Answers, Answers]:
    """Both sides as `Answers` to the same items, in the order of the humans' columns.

    cluster, strata : of the humans, and if paired of both.
    """
    if set(humans.columns) != set(simulated.columns):
        odd = sorted(map(str, set(humans.columns) ^ set(simulated.columns)))
        raise ValueError(f"item {odd[0]!r} is on one side only; both must have it")
    n, m, there = len(humans), len(simulated), None
    if paired and n != m:
        raise ValueError(f"paired: {n} humans, {m} simulated; there must be as many of each")
    if paired:
        there = np.ones(n, dtype=bool)
        for name, given in (("weights", weights), ("simulated_weights", simulated_weights)):
            there &= True if given is None else column(given, name, low=0, rows=n) > 0
    h = answer_matrix(humans, "humans", weights, cluster, strata, least=least, there=there)
    plan = (cluster, strata) if paired else ()
    s = answer_matrix(simulated[list(humans.columns)], "simulated", simulated_weights, *plan,
                      least=least, there=there)  # fmt: skip
    return h, s


def matrices_of(answers: Answers, method: str, weights: FloatArray) -> FloatArray:
    """The matrices (B, k, k) under each of B lists of weights (B, n), such as resamples."""
    a = answers
    if one_of(method, "method", METHODS) == "pearson":
        step, mask = max(CHUNK // max(a.x.size, 1), 1), None if a.whole else a.mask
        parts = [weights[i : i + step] for i in range(0, len(weights), step)]
        matrices = np.concatenate([_pearson(a.x, w, mask) for w in parts])
    else:
        one = _spearman if method == "spearman" else _polychoric
        matrices = np.stack([one(a, w) for w in weights])
    return np.where(a.thin & ~np.eye(len(a.items), dtype=bool), np.nan, matrices)


def _pearson(x: FloatArray, w: FloatArray, mask: npt.NDArray[np.bool_] | None = None) -> FloatArray:
    """Pairwise correlations (B, k, k), weighted by w (B, n), of columns with 0 where missing.

    mask : (n, k) what is answered; None if everything is.
    """
    wx = w[:, None] * x.T
    cross = wx @ x
    rows: Any
    if mask is None:
        total = np.maximum(w.sum(axis=1), 1e-300)[:, None, None]
        mean = wx.sum(axis=2, keepdims=True) / total
        cov = cross / total - mean * mean.swapaxes(1, 2)
        var_i = np.diagonal(cov, axis1=1, axis2=2)[..., None]
        power = np.diagonal(cross / total, axis1=1, axis2=2)[..., None]
        rows = (w > 0).sum(axis=1)[:, None, None]
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


def _spearman(a: Answers, w: FloatArray) -> FloatArray:
    if a.whole:
        return _of_ranks(a.codes, w)
    pairs = []
    for i, j in zip(*np.triu_indices(len(a.items), 1), strict=True):
        both = a.mask[:, i] & a.mask[:, j]
        pairs.append(_of_ranks(a.codes[both][:, [i, j]], w[both])[0, 1])
    return _symmetric(a, np.array(pairs))


def _of_ranks(codes: IntArray, w: FloatArray) -> FloatArray:
    """Correlations of weighted mid-ranks: the weight below, and half the weight that is equal."""
    masses = [np.bincount(code, w) for code in codes.T]
    ranks = [(m.cumsum() - m / 2)[code] for m, code in zip(masses, codes.T, strict=True)]
    x = np.column_stack(ranks)
    return np.asarray(_pearson(x - w @ x / max(w.sum(), 1e-300), w[None])[0])


def _polychoric(a: Answers, w: FloatArray) -> FloatArray:
    sizes = [len(level) for level in a.levels]
    top = max(sizes)
    if top > MOST_CATEGORIES:
        item = a.items[int(np.argmax(sizes))]
        raise ValueError(f"{item} has {top} different answers; for polychoric it must have up to "
                         f"{MOST_CATEGORIES} ordered categories")  # fmt: skip
    tables = []
    for i, j in zip(*np.triu_indices(len(a.items), 1), strict=True):
        both = a.mask[:, i] & a.mask[:, j]
        cell = a.codes[both, i] * top + a.codes[both, j]
        tables.append(np.bincount(cell, w[both], top * top).reshape(top, top))
    return _symmetric(a, polychoric_pairs(np.array(tables)))


def _symmetric(a: Answers, pairs: FloatArray) -> FloatArray:
    """The matrix (k, k) of the correlations of its pairs, row by row."""
    i, j = np.triu_indices(len(a.items), 1)
    out = np.diag([1.0 if len(level) > 1 else np.nan for level in a.levels])
    out[i, j] = out[j, i] = pairs
    return out


def mean_of(values: FloatArray) -> FloatArray:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    missing = np.isnan(values)
    n = (~missing).sum(axis=-1)
    return np.asarray(np.where(missing, 0.0, values).sum(axis=-1) / np.where(n > 0, n, np.nan))


def off_diagonal(matrix: npt.ArrayLike) -> FloatArray:
    """The k (k - 1) / 2 entries above the diagonal of a matrix (k, k), row by row."""
    m = numbers(matrix, "matrix", "(k, k)")
    if m.shape[0] != m.shape[1]:
        raise ValueError(f"matrix has shape {m.shape}; it must be (k, k)")
    return np.asarray(m[np.triu_indices(len(m), 1)])


def repaired(matrix: npt.ArrayLike) -> tuple[FloatArray, int, IntArray]:
    """A proper correlation matrix from one that may not be: matrix, negative eigenvalues, items.

    matrix : (k, k), symmetric. Items without any correlation (all NaN off the diagonal) are left
    out, and the third value says which rows stay; single NaN entries are set to 0. Eigenvalues
    below 0 are set to 0 and the diagonal is brought back to 1 (the usual clipping; Higham 2002
    gives the nearest matrix, which differs little where the violation is small). The second value
    counts the eigenvalues that were below -1e-10.
    """
    m = np.array(matrix, dtype=np.float64)
    off_diagonal(m)
    np.fill_diagonal(m, np.nan)
    rows = np.flatnonzero(~np.isnan(m).all(axis=1))
    m = np.nan_to_num(m[np.ix_(rows, rows)], nan=0.0)
    np.fill_diagonal(m, 1.0)
    value, vector = np.linalg.eigh(m)
    negative = int((value < -1e-10).sum())
    if negative:
        m = (vector * np.clip(value, 0.0, None)) @ vector.T
        size = np.sqrt(np.clip(m.diagonal(), 1e-12, None))
        m = m / np.outer(size, size)
    return m, negative, rows
