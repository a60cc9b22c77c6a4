"""Diversity of beliefs, exactly: the expected distance of two answers needs no sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.diversity.colour import delta_e
from simkit.estimators.diversity.items import ByItem, Cell, by_item, item_names, signed
from simkit.estimators.shared.arguments import checked
from simkit.types import FloatArray, column, counted, numbers

__all__ = ["expected_delta_e", "expected_distance"]


@checked("belief weights")
def expected_delta_e(
    belief: npt.ArrayLike,
    lab: npt.ArrayLike,
    *,
    words: Sequence[str] | None = None,
    weights: npt.ArrayLike | None = None,
    distinct: bool = True,
    alpha: float = 0.05,
) -> ByItem:
    """`expected_distance` in ΔE: the exact counterpart of `line_of_unity` for beliefs.

    Parameters
    ----------
    belief : array_like
        (individuals, words, K) probabilities of the K colours; NaN rows where there is no belief.
    lab : array_like
        (K, 3) CIELAB colours of the options.
    words : sequence of str, optional
        Names of the words; 0, 1, ... by default.
    weights, distinct, alpha
        As in :func:`expected_distance`.

    Returns
    -------
    ByItem
        As :func:`expected_distance`, in ΔE.

    Raises
    ------
    ValueError
        For colours of another shape or not finite, and as :func:`expected_distance`.

    References
    ----------
    Murthy, Ullman & Hu (2025), arXiv 2411.04427; the exact form is our formulation.

    Examples
    --------
    Two people who are sure of one colour each, black or white; the second word divides nobody.

    >>> belief = [[[1, 0], [1, 0]], [[0, 1], [1, 0]], [[1, 0], [1, 0]]]
    >>> result = expected_delta_e(belief, [[0, 0, 0], [100, 0, 0]], words=["night", "coal"])
    >>> result.frame[["internal", "population", "signed"]].round(1)
           internal  population  signed
    night       0.0        66.7    47.1
    coal        0.0         0.0     0.0
    """
    colours = numbers(lab, "lab", "(K, 3)")
    if colours.shape[1] != 3 or np.isnan(colours).any():
        raise ValueError(f"lab has shape {colours.shape}; it must be (K, 3) finite numbers")
    distance = delta_e(colours[:, None], colours[None])
    return expected_distance(
        belief, distance, items=words, weights=weights, distinct=distinct, alpha=alpha
    )


@checked("belief weights")
def expected_distance(
    belief: npt.ArrayLike,
    distance: npt.ArrayLike,
    *,
    items: Sequence[Any] | None = None,
    weights: npt.ArrayLike | None = None,
    distinct: bool = True,
    alpha: float = 0.05,
) -> ByItem:
    """Expected distance of two answers, of one individual and of two, from their beliefs.

    Parameters
    ----------
    belief : array_like
        (individuals, items, K) probabilities; NaN rows where there is no belief.
    distance : array_like
        (K, K) symmetric, 0 on the diagonal: ΔE of colours, or 1 off the diagonal, which makes the
        distance the probability of different answers.
    items : sequence, optional
        Names of the items (words, questions); 0, 1, ... by default.
    weights : array_like, optional
        (individuals,) shares in the population, in any unit. By default all are equal.
    distinct : bool
        True counts pairs of different individuals only, i != j: right where the rows are a sample
        of people (with all pairs the distance between people is too low by 1/N). False is right
        where the rows are kinds of people, of each of which the population has many, as with the
        `weights` of a whole population.
    alpha : float
        Significance level of the intervals.

    Returns
    -------
    ByItem
        A row per item: internal, population, signed (also as estimate), absolute and people. Given
        the beliefs these are exact, so std_error is 0. `overall` has the means over items with t
        intervals over items, its rows as those of :func:`line_of_unity`; with distinct individuals
        and no weights, low_people and high_people are over individuals (jackknife, t). An item
        without a belief, or with one belief only if distinct, is NaN.

    Raises
    ------
    ValueError
        For other shapes, a distance that is not symmetric or not 0 on the diagonal, a wrong number
        of names, no belief at all, and beliefs that do not sum to 1 (naming individual and item).

    Notes
    -----
    internal = sum_i s_i b_i' D b_i, of two answers of individual i; population = b' D b with
    b = sum_i s_i b_i, of the answers of two individuals; s are the individuals' shares.
    signed = (population - internal) / sqrt(2) is exactly 0 for individuals who do not differ, so
    no null is needed.

    References
    ----------
    Murthy, Ullman & Hu (2025), arXiv 2411.04427; the exact form is our formulation.

    Examples
    --------
    >>> belief = [[[0.9, 0.1]], [[0.5, 0.5]]]
    >>> result = expected_distance(belief, 1 - np.eye(2), distinct=False)
    >>> result.frame[["internal", "population", "signed"]].round(3)
       internal  population  signed
    0      0.34        0.42   0.057
    """
    b = numbers(belief, "belief", "(individuals, items, K)", dims=(3,), infinite=True)
    d = numbers(distance, "distance", "(K, K)")
    k = d.shape[-1]
    if d.shape != (k, k) or not np.allclose(d, d.T) or (d.diagonal() != 0).any():
        raise ValueError(f"distance has shape {d.shape}; it must be (K, K), symmetric, and 0 on "
                         "the diagonal")  # fmt: skip
    if b.shape[2] != k:
        raise ValueError(f"belief has shape {b.shape}; it must be (individuals, items, {k})")
    wrong = np.argwhere((b < 0).any(-1) | (np.abs(b.sum(-1) - 1) > 1e-4))
    if len(wrong):
        i, w = wrong[0].tolist()
        raise ValueError(f"belief: individual {i}, item {w} sums to {b[i, w].sum():.6g}; it must "
                         "be numbers from 0 that sum to 1")  # fmt: skip
    missing = np.isnan(b).any(-1)
    if missing.all():
        raise ValueError("belief: every row is NaN; there must be one belief or more")
    share = np.ones(len(b)) if weights is None else column(weights, "weights", low=0, rows=len(b))
    names = item_names(items, b.shape[1], "items")
    cells = [_expected(b[:, w], d, share, distinct) for w in range(b.shape[1])]
    distances = np.stack([cell.all for cell in cells])
    frame = pd.DataFrame(distances, columns=["internal", "population"], index=pd.Index(names))
    estimate = signed(distances)
    frame = frame.assign(people=[cell.people for cell in cells], signed=estimate,
                         absolute=np.abs(estimate), estimate=estimate, std_error=0.0,
                         low=estimate, high=estimate)  # fmt: skip
    notes = counted(int(missing.sum()), missing.size, "beliefs skipped: none there")
    undefined = int(np.isnan(estimate).sum())
    notes += counted(undefined, len(frame), "items undefined: too few individuals with a belief")
    return by_item(
        "Expected distance", frame, cells, alpha, notes, what="items", who="individuals",
        sample=distinct and weights is None,
    )  # fmt: skip


def _expected(b: FloatArray, d: FloatArray, share: FloatArray, distinct: bool) -> Cell:
    """One item: the distances, and (for equal shares) the same without each individual."""
    seen = ~np.isnan(b).any(1) & (share > 0)
    n = int(seen.sum())
    if n < (2 if distinct else 1):
        undefined = np.full((len(b), 2), np.nan)
        return Cell(seen, undefined[0], undefined)
    b, s = b[seen], share[seen] / share[seen].sum()
    within, mean = np.einsum("ik,kl,il->i", b, d, b), s @ b
    means = np.array([s @ within, mean @ d @ mean])
    if distinct:
        means[1] = (means[1] - s**2 @ within) / (1 - s @ s)
    without = np.tile(means, (len(seen), 1))
    with np.errstate(invalid="ignore", divide="ignore"):  # of 2 individuals no pair is left
        rest = means[1] * n * (n - 1) - 2 * (n * b @ d @ mean - within)
        internal = (within.sum() - within) / (n - 1)
        without[seen] = np.stack([internal, rest / ((n - 1) * (n - 2))], axis=1)
    return Cell(seen, means, without)
