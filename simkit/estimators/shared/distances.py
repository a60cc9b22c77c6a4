"""Distances between distributions over the same K answers: pure functions of arrays (..., K).

p and q hold probabilities along the last axis and broadcast over the others, so one call compares
many rows, or many rows with one. Every function gives an array of the shape of the leading axes.
A row with a NaN is undefined: its distance is NaN. Rows may miss a sum of 1 by rounding (1e-4)
and are brought to it. All raise ValueError, naming the array and the row, for numbers below 0 or
infinite, rows that sum to something else, and shapes that do not fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.shared.arguments import checked
from simkit.types import FloatArray, aligned, column, numbers

__all__ = [
    "jensen_shannon",
    "kl_divergence",
    "normalised_emd",
    "total_variation",
    "wasserstein",
]

SLACK = 1e-4  # how far a row may miss a sum of 1: single-precision softmax over many answers


@checked("p q", columns="p q")
def kl_divergence(p: npt.ArrayLike, q: npt.ArrayLike, *, smoothing: float) -> FloatArray:
    """Kullback-Leibler divergence of q from p, sum_k p_k ln(p_k / q_k), in nats.

    p is what is true (the humans), q what stands for it (the simulation): the order matters.
    smoothing : mass e >= 0 that is added to every category of both, (p + e) / (1 + K e); p = q
        keeps 0. There is no default, because where q misses an answer that p has the result
        depends on e without limit. With 0 the divergence is inf there.
    Shapes, NaN and errors: see the module; ValueError also for a smoothing below 0.
    Source: Kullback & Leibler 1951.
    """
    if not 0 <= smoothing < np.inf:
        raise ValueError(f"smoothing is {smoothing!r}; legal are finite numbers from 0")
    p, q = _pair(p, q)
    scale = 1 + p.shape[-1] * smoothing
    return _sum(special.rel_entr((p + smoothing) / scale, (q + smoothing) / scale))


@checked("p q", columns="p q")
def jensen_shannon(p: npt.ArrayLike, q: npt.ArrayLike, *, base: float = 2.0) -> FloatArray:
    """Jensen-Shannon divergence: the mean KL of p and of q from their mean, 0 to log_base(2).

    base : of the logarithm; 2 gives bits and the range 0 to 1. This is the divergence; its square
    root is the Jensen-Shannon distance (a metric, what scipy's `jensenshannon` returns).
    Needs no smoothing. Shapes, NaN and errors: see the module; ValueError also for a base that is
    not above 1. Source: Lin 1991.
    """
    if not 1 < base < np.inf:
        raise ValueError(f"base is {base!r}; legal are finite numbers above 1")
    p, q = _pair(p, q)
    middle = (p + q) / 2
    parts = special.rel_entr(p, middle) + special.rel_entr(q, middle)
    return _sum(parts / (2 * np.log(base)))


@checked("p q", columns="p q")
def total_variation(p: npt.ArrayLike, q: npt.ArrayLike) -> FloatArray:
    """Total variation, sum_k |p_k - q_k| / 2, 0 to 1: the share of answers that would have to move.

    Shapes, NaN and errors: see the module.
    """
    return _sum(np.abs(layers("tv", p, q)))


@checked("p q", columns="p q")
def wasserstein(p: npt.ArrayLike, q: npt.ArrayLike, values: npt.ArrayLike) -> FloatArray:
    """Wasserstein-1 (earth mover's) distance on a line, in units of `values`.

    values : (K,) where each answer lies on its scale, in any order; equal ones may occur. The
    distance is the integral of the absolute difference of the two cumulative distributions: how
    far the answers have to move, on average. Shapes, NaN and errors: see the module; ValueError
    also for values that are no finite numbers or not K. Source: Vallender 1974.
    """
    return _sum(np.abs(layers("wasserstein", p, q, _on_scale(p, values))))


@checked("p q", columns="p q")
def normalised_emd(p: npt.ArrayLike, q: npt.ArrayLike, values: npt.ArrayLike) -> FloatArray:
    """Wasserstein-1 divided by the range of `values` (largest - smallest): 0 to 1.

    As `wasserstein`; ValueError also where all values are equal (the scale has no range).
    """
    return _sum(np.abs(layers("nemd", p, q, _on_scale(p, values))))


def _on_scale(p: Any, values: Any) -> Any:
    """The values in the order of p's categories, where both say by label which is which."""
    if isinstance(p, pd.DataFrame) and isinstance(values, pd.Series):
        there = values.index.is_unique and set(values.index) == set(p.columns)
        return values.loc[list(p.columns)] if there else values
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
            raise ValueError(f"values are all {v[0]:g}; legal is a scale of two or more values")
        width = width / width.sum()
    return np.asarray(np.cumsum((p - q)[..., order], axis=-1)[..., :-1] * width)


def _pair(p: npt.ArrayLike, q: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    first, second = _shares(p, "p"), _shares(q, "q")
    if first.shape[-1] != second.shape[-1]:
        raise ValueError(
            f"p has {first.shape[-1]} categories, q {second.shape[-1]}; legal is the same number"
        )
    return first, second


def _shares(values: Any, name: str) -> FloatArray:
    x = numbers(values, name, "(..., K), K categories last", dims=range(1, 9), infinite=True)
    total = x.sum(axis=-1)
    with np.errstate(invalid="ignore"):
        bad = ((x < 0) | np.isinf(x)).any(axis=-1) | (np.abs(total - 1) > SLACK)
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name}: row {at if len(at) != 1 else at[0]} holds {x[at].tolist()}, which sums to "
            f"{total[at]:.6g}; legal are numbers from 0 that sum to 1"
        )
    return np.asarray(x / total[..., None])


def _sum(parts: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(parts.sum(axis=-1), 0.0))  # rounding must not go below 0
