"""Measures of two lists of correlations, and of two matrices, as they are: no sampling error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from simkit.estimators.shared.arguments import checked
from simkit.estimators.structure.correlations import mean_of, off_diagonal
from simkit.types import FloatArray, SeedLike, generator, integer, numbers

__all__ = [
    "MEASURES",
    "compare_matrices",
    "correlation_of_correlations",
    "mantel_test",
    "rmsd",
    "sign_agreement",
    "structure_kept",
]


def rmsd(a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
    """Root mean squared difference of two lists of correlations (..., pairs), 0 to 2.

    Pairs that are NaN on either side are left out; NaN where none is left.
    """
    return np.sqrt(mean_of((np.asarray(a, dtype=float) - np.asarray(b, dtype=float)) ** 2))


def correlation_of_correlations(a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
    """Pearson correlation, over the pairs, of two lists of correlations (..., pairs).

    Pairs that are NaN on either side are left out; NaN where fewer than 3 are left, or one side
    does not vary.
    """
    x, y = np.broadcast_arrays(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
    both = ~np.isnan(x + y)
    x, y = (np.where(both, v, np.nan) for v in (x, y))
    x, y = (v - mean_of(v)[..., None] for v in (x, y))
    square = mean_of(x * x) * mean_of(y * y)
    defined = (square > 1e-24) & (both.sum(axis=-1) >= 3)
    return np.clip(mean_of(x * y) / np.sqrt(np.where(defined, square, np.nan)), -1, 1)


def sign_agreement(a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
    """Share of the pairs (..., pairs) whose correlations have the same sign; a zero counts half."""
    return mean_of((1 + np.sign(a) * np.sign(b)) / 2)


def structure_kept(a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
    """How much of the correlations a (..., pairs) of the humans is left in b: sum a b / sum a^2.

    1 where they are the same, 0 where nothing is left, 0.3 where all are there at 0.3 of their
    size: which the correlation of correlations, blind to size, would call perfect.
    """
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    square = mean_of(np.where(np.isnan(y), np.nan, x * x))
    return mean_of(x * y) / np.where(square > 0, square, np.nan)


MEASURES: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    f.__name__: f for f in (rmsd, correlation_of_correlations, sign_agreement, structure_kept)
}


@checked("first second", columns="first second")
def compare_matrices(first: npt.ArrayLike, second: npt.ArrayLike) -> dict[str, float]:
    """The four measures of `compare_structure` for two correlation matrices, as they are.

    Parameters
    ----------
    first, second : array_like
        (k, k) matrices without sampling error (a world's exact ones), the humans' first.

    Returns
    -------
    dict
        rmsd, correlation_of_correlations, sign_agreement and structure_kept, of the entries off
        the diagonal; see :func:`compare_structure`.

    Raises
    ------
    ValueError
        For matrices that are not square, or not of one shape.

    Examples
    --------
    Every correlation is halved: the pattern is perfect, half of the structure is kept.

    >>> human = np.array([[1, 0.6, -0.4], [0.6, 1, 0.2], [-0.4, 0.2, 1]])
    >>> result = compare_matrices(human, human / 2)
    >>> print(*(f"{name} {value:.2f}" for name, value in result.items()), sep=", ")
    rmsd 0.22, correlation_of_correlations 1.00, sign_agreement 1.00, structure_kept 0.50
    """
    a, b = _off_diagonals(first, second)
    return {name: float(measure(a, b)) for name, measure in MEASURES.items()}


@checked("first second", columns="first second")
def mantel_test(
    first: npt.ArrayLike, second: npt.ArrayLike, *, permutations: int = 999, rng: SeedLike = 0
) -> tuple[float, float]:
    """Correlation of the off-diagonals of two matrices, and its permutation p-value.

    Parameters
    ----------
    first, second : array_like
        (k, k) correlations of the same items.
    permutations : int
        Random orders of the second's items, 1 or more.
    rng : int or Generator
        Seed of the orders.

    Returns
    -------
    tuple of float
        Correlation, and one-sided p: the share of orders (the given one counted in) with a
        correlation as large or larger. NaN where undefined.

    Raises
    ------
    ValueError
        For matrices that are not square, or not of one shape, and fewer than 1 permutation.

    Notes
    -----
    The entries of a matrix are not independent, so the p-value of a plain correlation would be far
    too small.

    References
    ----------
    Mantel (1967), Cancer Research 27.

    Examples
    --------
    >>> weights = np.array([0.9, 0.7, 0.5, -0.4, 0.3])
    >>> human = np.outer(weights, weights)
    >>> r, p = mantel_test(human, human / 2)
    >>> round(r, 2), round(p, 2)
    (1.0, 0.01)
    """
    a, b = _off_diagonals(first, second)
    integer(permutations, "permutations", 1)
    r = float(correlation_of_correlations(a, b))
    if np.isnan(r):
        return np.nan, np.nan
    stream, m = generator(rng), numbers(second, "second", "(k, k)")
    orders = (stream.permutation(len(m)) for _ in range(permutations))
    shuffled = correlation_of_correlations(
        a, np.stack([off_diagonal(m[np.ix_(order, order)]) for order in orders])
    )
    return r, float((1 + (shuffled >= r - 1e-12).sum()) / (1 + permutations))


def _off_diagonals(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    a, b = off_diagonal(first), off_diagonal(second)
    if len(a) != len(b):
        raise ValueError(
            f"the matrices are {np.shape(first)} and {np.shape(second)}; they must be of one shape"
        )
    return a, b
