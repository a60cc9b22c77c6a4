"""Distances between distributions over the same K answers.

p and q hold probabilities along the last axis and broadcast over the other axes, so one call
compares many rows, or many rows with one. A row with a NaN is undefined: its distance is NaN. Rows
may differ from a sum of 1 by rounding (1e-4) and are rescaled to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.shared.arguments import checked
from simkit.types import FloatArray, aligned, column, invalid, invalid_row, numbers

__all__ = [
    "jensen_shannon",
    "kl_divergence",
    "normalised_emd",
    "total_variation",
    "wasserstein",
]

SLACK = 1e-4  # how far a sum may differ from 1: single-precision softmax over many answers


@checked("p q", columns="p q")
def kl_divergence(p: npt.ArrayLike, q: npt.ArrayLike, *, smoothing: float) -> FloatArray:
    """Kullback-Leibler divergence of q from p, sum_k p_k ln(p_k / q_k), in nats.

    Parameters
    ----------
    p, q : array_like
        (..., K) probabilities that sum to 1. p is the reference (the humans), q its
        approximation (the simulation): the order matters.
    smoothing : float
        Mass e >= 0 that is added to every category of both, (p + e) / (1 + K e). There is no
        default: where q misses an answer that p has, the result depends on e without limit.

    Returns
    -------
    ndarray
        (...,) from 0; inf where smoothing is 0 and q misses an answer that p has. NaN for a row
        with a NaN.

    Raises
    ------
    ValueError
        For numbers below 0 or infinite, rows that do not sum to 1, shapes that do not fit, and a
        smoothing below 0.

    References
    ----------
    Kullback & Leibler 1951, Annals of Mathematical Statistics 22.

    Examples
    --------
    >>> float(kl_divergence([0.5, 0.5], [0.9, 0.1], smoothing=0).round(3))
    0.511
    """
    if not 0 <= smoothing < np.inf:
        raise invalid("smoothing", smoothing, "a finite number from 0")
    p, q = _pair(p, q)
    scale = 1 + p.shape[-1] * smoothing
    return _sum(special.rel_entr((p + smoothing) / scale, (q + smoothing) / scale))


@checked("p q", columns="p q")
def jensen_shannon(p: npt.ArrayLike, q: npt.ArrayLike) -> FloatArray:
    """Jensen-Shannon divergence in bits: the mean KL divergence of p and of q from their mean.

    Parameters
    ----------
    p, q : array_like
        (..., K) probabilities that sum to 1.

    Returns
    -------
    ndarray
        (...,) from 0 to 1. This is the divergence; its square root is the
        Jensen-Shannon distance (a metric, as scipy's `jensenshannon` returns). NaN for a row with
        a NaN.

    Raises
    ------
    ValueError
        As in `kl_divergence`.

    References
    ----------
    Lin 1991, IEEE Transactions on Information Theory 37.

    Examples
    --------
    >>> jensen_shannon([[1, 0], [0.5, 0.5]], [0.5, 0.5]).round(3)
    array([0.311, 0.   ])
    """
    p, q = _pair(p, q)
    middle = (p + q) / 2
    parts = special.rel_entr(p, middle) + special.rel_entr(q, middle)
    return _sum(parts / (2 * np.log(2)))


@checked("p q", columns="p q")
def total_variation(p: npt.ArrayLike, q: npt.ArrayLike) -> FloatArray:
    """Total variation, sum_k |p_k - q_k| / 2: the share of answers that would have to change.

    Parameters
    ----------
    p, q : array_like
        (..., K) probabilities that sum to 1.

    Returns
    -------
    ndarray
        (...,) from 0 to 1. NaN for a row with a NaN.

    Raises
    ------
    ValueError
        As in `kl_divergence`.

    Examples
    --------
    >>> total_variation([[1, 0], [0.5, 0.5]], [0.5, 0.5])
    array([0.5, 0. ])
    """
    return _sum(np.abs(layers("tv", p, q)))


@checked("p q", columns="p q")
def wasserstein(p: npt.ArrayLike, q: npt.ArrayLike, values: npt.ArrayLike) -> FloatArray:
    """Wasserstein-1 (earth mover's) distance of distributions on a line.

    The integral of the absolute difference of the two cumulative distributions: how far the
    answers have to move, on average.

    Parameters
    ----------
    p, q : array_like
        (..., K) probabilities that sum to 1.
    values : array_like
        (K,) the place of each answer on its scale, in any order; they may repeat.

    Returns
    -------
    ndarray
        (...,) in units of `values`. NaN for a row with a NaN.

    Raises
    ------
    ValueError
        As in `kl_divergence`, and for values that are not K finite numbers.

    References
    ----------
    Vallender 1974, Theory of Probability and its Applications 18.

    Examples
    --------
    >>> float(wasserstein([1, 0, 0], [0.5, 0, 0.5], [1, 2, 5]))
    2.0
    """
    return _sum(np.abs(layers("wasserstein", p, q, _on_scale(p, values))))


@checked("p q", columns="p q")
def normalised_emd(p: npt.ArrayLike, q: npt.ArrayLike, values: npt.ArrayLike) -> FloatArray:
    """Wasserstein-1 distance divided by the range of the scale.

    Parameters
    ----------
    p, q, values : array_like
        As in `wasserstein`.

    Returns
    -------
    ndarray
        (...,) from 0 to 1. NaN for a row with a NaN.

    Raises
    ------
    ValueError
        As in `wasserstein`, and where all values are equal: the scale has no range.

    Examples
    --------
    >>> float(normalised_emd([1, 0, 0], [0.5, 0, 0.5], [1, 2, 5]))
    0.5
    """
    return _sum(np.abs(layers("nemd", p, q, _on_scale(p, values))))


def _on_scale(p: Any, values: Any) -> Any:
    """The values in the order of p's categories, where both have labels."""
    if isinstance(p, pd.DataFrame) and isinstance(values, pd.Series):
        same = values.index.is_unique and set(values.index) == set(p.columns)
        return values.loc[list(p.columns)] if same else values
    return aligned({"p": p, "values": values})["values"]


def layers(
    metric: str, p: npt.ArrayLike, q: npt.ArrayLike, values: npt.ArrayLike | None = None
) -> FloatArray:
    """The signed parts (..., L) whose absolute values sum to "tv", "wasserstein" or "nemd".

    Total variation has a part per answer, Wasserstein one per gap between neighbouring values.
    """
    p, q = _pair(p, q)
    if metric == "tv":
        return np.asarray((p - q) / 2)
    v = column([] if values is None else values, "values", rows=p.shape[-1])
    order = np.argsort(v, kind="stable")
    width = np.diff(v[order])
    if metric == "nemd":
        if not width.sum() > 0:
            raise ValueError(f"values are all {v[0]:g}; a scale must have two or more values")
        width = width / width.sum()
    return np.asarray(np.cumsum((p - q)[..., order], axis=-1)[..., :-1] * width)


def _pair(p: npt.ArrayLike, q: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    first, second = _shares(p, "p"), _shares(q, "q")
    if first.shape[-1] != second.shape[-1]:
        raise ValueError(
            f"p has {first.shape[-1]} categories, q {second.shape[-1]}; they must be the same"
        )
    return first, second


def _shares(values: Any, name: str) -> FloatArray:
    x = numbers(values, name, "(..., K), K categories last", dims=range(1, 9), infinite=True)
    total = x.sum(axis=-1)
    with np.errstate(invalid="ignore"):
        bad = ((x < 0) | np.isinf(x)).any(axis=-1) | (np.abs(total - 1) > SLACK)
    for place in map(tuple, np.argwhere(bad)[:1].tolist()):
        row = place[0] if len(place) == 1 else place
        requirement = f"numbers from 0 that sum to 1, not {total[place]:.6g}"
        raise invalid_row(name, row, x[place].tolist(), requirement)
    return np.asarray(x / total[..., None])


def _sum(parts: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(parts.sum(axis=-1), 0.0))  # rounding must not go below 0
