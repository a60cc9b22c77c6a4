"""Diversity of beliefs, exactly: the expected distance of two answers needs no sampling at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.diversity.colour import delta_e
from simkit.estimators.diversity.items import ByItem
from simkit.estimators.diversity.line_of_unity import MURTHY, Cell, means_over_items, over_people
from simkit.estimators.shared.arguments import checked
from simkit.result import Result
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

    lab : (K, 3) CIELAB of the options. The other arguments, result and errors as there.
    """
    colours = numbers(lab, "lab", "(K, 3)")
    if colours.shape[1] != 3 or not np.isfinite(colours).all():
        raise ValueError(f"lab has shape {colours.shape}; legal is (K, 3) finite numbers")
    apart = delta_e(colours[:, None], colours[None])
    return expected_distance(
        belief, apart, items=words, weights=weights, distinct=distinct, alpha=alpha
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

    internal = sum_i s_i b_i' D b_i, of two answers of individual i; population = b' D b with
    b = sum_i s_i b_i, of the answers of two individuals drawn from the population; s are the
    individuals' shares. signed = (population - internal) / sqrt(2), as in `line_of_unity`. It is
    0, exactly, for individuals who do not differ, so no null is needed.

    Parameters
    ----------
    belief : (individuals, items, K) probabilities; NaN rows where there is no belief.
    distance : (K, K) symmetric, 0 on the diagonal: ΔE of colours, or 1 off the diagonal, which
        makes "distance" the probability of different answers.
    items : names (words, questions); numbers by default.
    weights : (individuals,) shares in the population, in any unit; None: all equal.
    distinct : count pairs of different individuals only, i != j: right where the rows are a
        sample of people (with all pairs the population's distance is too low by 1/N of what lies
        between). False is right where the rows are kinds of people, of each of which the
        population has many, as with `weights` of a whole population.

    Returns
    -------
    `ByItem`: a row per item (estimate is the signed distance, exact given the beliefs, so its
    std_error is 0), and `overall`, the means over items with t intervals over items, for these
    individuals, its rows as those of `line_of_unity`; of distinct individuals without weights
    low_people and high_people are over individuals, for these items (jackknife, t). Undefined: an
    item without beliefs, or with those of one individual if distinct (NaN). Raises ValueError for
    other shapes, a distance that is none, and beliefs that do not sum to 1, naming individual and
    item.
    Source: arXiv 2411.04427; the exact form is our formulation.
    """
    b = numbers(belief, "belief", "(individuals, items, K)", dims=(3,), infinite=True)
    d = numbers(distance, "distance", "(K, K)")
    k = d.shape[-1]
    if d.shape != (k, k) or not np.allclose(d, d.T) or (d.diagonal() != 0).any():
        raise ValueError(f"distance has shape {d.shape}; legal is (K, K), symmetric, 0 to itself")
    if b.shape[2] != k:
        raise ValueError(f"belief has shape {b.shape}; legal is (individuals, items, {k})")
    bad = np.argwhere((b < 0).any(-1) | (np.abs(b.sum(-1) - 1) > 1e-4))
    if len(bad):
        i, w = (int(x) for x in bad[0])
        raise ValueError(f"belief: individual {i}, item {w} sums to {b[i, w].sum():.6g}; "
                         "legal are numbers from 0 that sum to 1")  # fmt: skip
    if np.isnan(b).any(-1).all():
        raise ValueError("belief: every row is NaN; legal is one belief or more")
    share = np.ones(len(b)) if weights is None else column(weights, "weights", low=0, rows=len(b))
    names = list(range(b.shape[1])) if items is None else list(items)
    if len(names) != b.shape[1]:
        raise ValueError(f"{len(names)} names for {b.shape[1]} items; legal is one each")
    cells = [_expected(b[:, w], d, share, distinct) for w in range(b.shape[1])]
    rows = [[*cell.all, cell.people] for cell in cells]
    frame = pd.DataFrame(rows, columns=["internal", "population", "people"], index=pd.Index(names))
    signed = (frame["population"] - frame["internal"]) / np.sqrt(2)
    frame = frame.assign(signed=signed, absolute=signed.abs(), estimate=signed, std_error=0.0,
                         low=signed, high=signed)  # fmt: skip
    notes = counted(int(np.isnan(b).any(-1).sum()), b[..., 0].size, "beliefs skipped: none there")
    undefined = int(frame["estimate"].isna().sum())
    notes += counted(undefined, len(frame), "items undefined: too few individuals with a belief")
    table, over = means_over_items(frame, alpha), "items"
    if distinct and weights is None:
        table = table.join(over_people(cells, alpha))
        over = "items (low, high), individuals (low_people, high_people)"
    method = "Expected distance"
    overall = Result(f"{method}: means over items", table, len(b), alpha, MURTHY, notes, over=over)
    method += " from beliefs"
    return ByItem(method, frame, len(b), alpha, MURTHY, notes, overall=overall)


def _expected(b: FloatArray, d: FloatArray, share: FloatArray, distinct: bool) -> Cell:
    """One item: the distances, and (for equal shares) the same without each individual."""
    there = ~np.isnan(b).any(1) & (share > 0)
    who = frozenset(np.flatnonzero(there).tolist())
    n, none = len(who), np.full((len(b), 2), np.nan)
    if n < (2 if distinct else 1):
        return Cell(who, none[0], none, none[0])
    b, s = b[there], share[there] / share[there].sum()
    own = np.einsum("ik,kl,il->i", b, d, b)
    mean = s @ b
    every = np.array([s @ own, mean @ d @ mean])
    if distinct:
        every[1] = (every[1] - s**2 @ own) / (1 - s @ s)
    without = np.tile(every, (len(there), 1))
    with np.errstate(invalid="ignore", divide="ignore"):  # of 2 individuals no pair is left
        far = every[1] * n * (n - 1) - 2 * (n * b @ d @ mean - own)
        without[there] = np.stack([(own.sum() - own) / (n - 1), far / ((n - 1) * (n - 2))], axis=1)
    return Cell(who, every, without, none[0])
