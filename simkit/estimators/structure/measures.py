"""Measures of two lists of correlations, and of two matrices, as they are: no sampling error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simkit.estimators.shared.arguments import checked
from simkit.estimators.structure.correlations import off_diagonal
from simkit.types import FloatArray, SeedLike, generator, numbers

__all__ = [
    "MEASURES",
    "compare_matrices",
    "correlation_of_correlations",
    "mantel_test",
    "mean_of",
    "rmsd",
    "sign_agreement",
    "structure_kept",
    "variance_of",
]

MEASURES = ("rmsd", "correlation_of_correlations", "sign_agreement", "structure_kept")


def rmsd(a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
    """Root mean squared difference of two lists of correlations (..., pairs), 0 to 2.

    Pairs that are NaN on either side are left out; NaN where none is left.
    """
    square = (np.asarray(a, dtype=float) - np.asarray(b, dtype=float)) ** 2
    return np.asarray(np.sqrt(mean_of(square)))


def correlation_of_correlations(a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
    """Pearson correlation, over the pairs, of two lists of correlations (..., pairs).

    Pairs that are NaN on either side are left out; NaN where fewer than 3 are left, or one side
    does not vary.
    """
    x, y = np.broadcast_arrays(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
    there = ~np.isnan(x + y)
    x, y = (np.where(there, v, np.nan) for v in (x, y))
    x, y = (v - mean_of(v)[..., None] for v in (x, y))
    top, below = mean_of(x * y), mean_of(x * x) * mean_of(y * y)
    fine = (below > 1e-24) & (there.sum(axis=-1) >= 3)
    out: FloatArray = np.divide(top, np.sqrt(below), out=np.full(top.shape, np.nan), where=fine)
    return np.asarray(np.clip(out, -1, 1))


def sign_agreement(a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
    """Share of the pairs (..., pairs) whose correlations have the same sign; a zero counts half."""
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return mean_of((1 + np.sign(x) * np.sign(y)) / 2)


def structure_kept(a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
    """How much of the correlations a (..., pairs) of the humans is left in b: sum a b / sum a^2.

    1 where they are the same, 0 where nothing is left, 0.3 where all are there at 0.3 of their
    size: which the correlation of correlations, blind to size, would call perfect.
    """
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    below = mean_of(np.where(np.isnan(y), np.nan, x * x))
    top = mean_of(x * y)
    fine = below > 0
    return np.asarray(np.divide(top, below, out=np.full(top.shape, np.nan), where=fine))


@checked("first second", columns="first second")
def compare_matrices(first: npt.ArrayLike, second: npt.ArrayLike) -> dict[str, float]:
    """The four measures of `compare_structure` for two matrices (k, k), as they are.

    For matrices without sampling error (a world's exact ones), the humans' first. Raises
    ValueError for other shapes.
    """
    a, b = _same_shape(first, second)
    found = (f(a, b) for f in (rmsd, correlation_of_correlations, sign_agreement, structure_kept))
    return {name: float(v) for name, v in zip(MEASURES, found, strict=True)}


@checked("first second", columns="first second")
def mantel_test(
    first: npt.ArrayLike, second: npt.ArrayLike, *, permutations: int = 999, rng: SeedLike = 0
) -> tuple[float, float]:
    """Correlation of the off-diagonals of two matrices (k, k), and its permutation p-value.

    The items of the second are put in random order: entries of a matrix are not independent, so
    the p-value of a plain correlation would be far too small. p is one-sided: the share of orders
    (the one at hand counted in) whose correlation is as large or larger. NaN where undefined.
    Raises ValueError for other shapes and fewer than 1 permutation. Source: Mantel 1967.
    """
    a, b = _same_shape(first, second)
    if permutations < 1:
        raise ValueError(f"permutations is {permutations}; it must be a whole number from 1")
    at = float(correlation_of_correlations(a, b))
    if np.isnan(at):
        return np.nan, np.nan
    stream, m = generator(rng), numbers(second, "second", "(k, k)")
    orders = (stream.permutation(len(m)) for _ in range(permutations))
    shuffled = np.stack([off_diagonal(m[np.ix_(o, o)]) for o in orders])
    found = correlation_of_correlations(a, shuffled)
    return at, float((1 + (found >= at - 1e-12).sum()) / (1 + permutations))


def variance_of(values: FloatArray) -> FloatArray:
    """Variance over resamples (B, pairs) -> (pairs,); NaN where fewer than 2 are defined."""
    there = ~np.isnan(values)
    n = there.sum(axis=0)
    safe = np.where(n > 1, n, np.nan)
    mean = np.where(there, values, 0).sum(axis=0) / safe
    square = np.where(there, values - mean, 0) ** 2
    return np.asarray(square.sum(axis=0) / (safe - 1))


def mean_of(values: FloatArray) -> FloatArray:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    there = ~np.isnan(values)
    n = there.sum(axis=-1)
    total = np.where(there, values, 0.0).sum(axis=-1)
    return np.asarray(np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0))


def _same_shape(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    a, b = off_diagonal(first), off_diagonal(second)
    if len(a) != len(b):
        raise ValueError(
            f"the matrices are {np.shape(first)} and {np.shape(second)}; they must be of one shape"
        )
    return a, b
