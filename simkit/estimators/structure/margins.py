"""Marginal error over many items at once: the other axis of representativeness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.metrics import Metric, chosen_metrics, noise_floor, spread
from simkit.estimators.shared.respondents import (
    cluster_notes,
    effective_clusters,
    left_out,
    mean_moved,
    normalised,
)
from simkit.estimators.shared.strata import WITHIN
from simkit.estimators.structure.correlations import Answers, two_sides
from simkit.estimators.structure.samples import resampled_counts
from simkit.result import Result
from simkit.types import FloatArray, SeedLike, counted, generator, integer

__all__ = ["compare_marginals"]

SOURCE = "Williams et al., arXiv 2601.15755 (TV, Wasserstein-1, variance); floor, intervals: ours"
Scales = Mapping[str, tuple[float, float]]


@checked("humans weights cluster strata", "simulated simulated_weights", frames="humans simulated")
def compare_marginals(
    humans: pd.DataFrame,
    simulated: pd.DataFrame,
    *,
    scales: Scales | None = None,
    metrics: Sequence[str] = ("tv", "nemd", "js", "variance_ratio"),
    smoothing: float | None = None,
    per_item: bool = False,
    weights: npt.ArrayLike | None = None,
    simulated_weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    strata: Any = None,
    paired: bool = False,
    n_boot: int = 200,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """Distances between the answer distributions of items, averaged over the items.

    Parameters
    ----------
    humans, simulated : DataFrame
        (n, k) and (m, k) numbers, one column per item, NaN where not answered. The categories of
        an item are the values that occur.
    scales : mapping, optional
        item: (lowest, highest) answer; "nemd" (Wasserstein-1 over the range) divides by the range.
        By default the lowest and highest that occur on either side.
    metrics, smoothing
        As in :func:`marginal_fit`.
    per_item : bool
        Whether each item has rows too, beside the means.
    weights, simulated_weights, cluster, strata, paired
        As in :func:`compare_structure`; respondents are resampled with all their answers.
    n_boot : int
        Resamples for the noise floor.
    alpha : float
        Significance level of the intervals.
    rng : int or Generator
        Seed of the resamples.

    Returns
    -------
    Result
        A row per metric, the mean over the items (and "item, metric"). estimate is of the samples
        as they are and contains their noise: compare it with floor, the mean over resamples of the
        humans, of both sizes (NaN for the variance ratio, whose best value is 1). low and high are
        of the populations; corrected is the estimate freed of its bias.

    Raises
    ------
    ValueError
        For different items, an answer outside its scale, no item that both sides answered, and as
        :func:`marginal_fit` for metrics.

    Notes
    -----
    Distances are biased upwards, so the interval contains both estimate and corrected; it covers
    in 0.93 to 1.00 of cases, that of the variance ratio in 0.93 to 0.97. Items that nobody
    answered on one side are left out and counted.

    References
    ----------
    Williams, Weeber, Padó & Akbik (2026), arXiv 2601.15755; floor and intervals are ours.

    Examples
    --------
    >>> human = pd.DataFrame({"trust": [1, 2, 3, 4, 5] * 20, "vote": [0, 1] * 50})
    >>> model = pd.DataFrame({"trust": [2, 3, 3, 3, 4] * 20, "vote": [0, 1] * 50})
    >>> compare_marginals(human, model, metrics=["tv"]).frame[["estimate", "low", "high"]].round(2)
        estimate  low  high
    tv       0.2  0.1  0.24
    """
    integer(n_boot, "n_boot", 2)
    h, s = two_sides(humans, simulated, weights, simulated_weights, paired, 3, cluster, strata)
    plans = [h.strata] if paired else [h.strata, None]
    stream = generator(rng)
    draws = [_draws(h, size, n_boot, stream, design)
             for size, design in ((h.n, h), (s.n, h if paired else None))]  # fmt: skip
    items, parts = [], []
    for j, item in enumerate(h.items):
        if not len(h.levels[j]) or not len(s.levels[j]):
            continue
        values, low, width = _scale(item, h.levels[j], s.levels[j], scales or {})
        chosen = chosen_metrics(metrics, (values - low) / width, smoothing)
        hits = [_hits(a, j, values) for a in (h, s)]
        p, q = (normalised(_without(a, x)) for a, x in zip((h, s), hits, strict=True))
        samples = [(p, q)] if paired else [(p, q[:1]), (p[:1], q)]
        again, other = (normalised(weight @ hits[0]) for weight in draws)
        on_scale = [_on_scale(m, width) for m in chosen]
        items.append(item)
        parts.append(
            [(m.moved(*samples, strata=plans), noise_floor(m, again, other[1:])) for m in on_scale]
        )
    if not parts:
        raise ValueError("no item was answered on both sides")
    rows, names = [], []
    worth = [effective_clusters(a.cluster, a.weight, a.strata)
             for a in ((h,) if paired else (h, s))]  # fmt: skip
    for m, metric in enumerate(chosen):
        moved, floors = zip(*[part[m] for part in parts], strict=True)
        names += [metric.name, *(f"{item}, {metric.name}" for item in items if per_item)]
        each = [part[m] for part in parts if per_item]
        for value, floor in [(mean_moved(moved), float(np.mean(floors))), *each]:
            rows.append({**spread(metric, value, worth, alpha), "floor": floor})
    lost = len(h.items) - len(parts)
    notes = counted(lost, len(h.items), "items left out: nobody answered on one side")
    for who, side in (("humans: ", h), ("simulated: ", s)):
        notes += side.notes
        notes += cluster_notes(side.cluster, side.weight, who, side.strata)
    method = f"Margins of {len(parts)} items, floor from {n_boot} resamples"
    frame = pd.DataFrame(rows, index=pd.Index(names)).astype(float)
    over = f"respondents{'' if strata is None else WITHIN}, for these items"
    return Result(method, frame, h.n, alpha, SOURCE, notes, over)


def _on_scale(metric: Metric, width: float) -> Metric:
    """The metric for a scale of 0 to 1: nemd is then Wasserstein over the range of the scale."""
    if metric.name == "nemd":
        return replace(metric, name="wasserstein")
    if metric.name in ("wasserstein", "mean_difference") and metric.scale is not None:
        return replace(metric, scale=metric.scale * width)
    return metric


def _draws(
    a: Answers, size: int, n_boot: int, stream: np.random.Generator, design: Answers | None
) -> FloatArray:
    """Weights (1 + n_boot, n) of the respondents: as they are, then resampled."""
    counts = resampled_counts(a.n, size, n_boot, stream, design)
    return np.concatenate([a.weight[None], *(a.weight * count for count in counts)])


def _scale(
    item: str, first: FloatArray, second: FloatArray, scales: Scales
) -> tuple[FloatArray, float, float]:
    """The values that occur, the lowest of the scale, and its width (1 for a single value)."""
    values = np.union1d(first, second)
    low, high = scales.get(item, (values[0], values[-1]))
    if values[0] < low or values[-1] > high:
        answer = values[0] if values[0] < low else values[-1]
        raise ValueError(f"{item}: an answer is {answer:g}; it must be from {low:g} to {high:g}")
    return values, float(low), float(high - low) or 1.0


def _hits(a: Answers, j: int, values: FloatArray) -> FloatArray:
    """Which value of an item each respondent gave (n, K); rows of 0 where none."""
    rows = np.flatnonzero(a.mask[:, j])
    hits = np.zeros((a.n, len(values)))
    place = np.searchsorted(values, a.levels[j])
    hits[rows, place[a.codes[rows, j]]] = 1.0
    return hits


def _without(a: Answers, hits: FloatArray) -> FloatArray:
    """Weight of each value (1 + n, K): of all, then without each respondent."""
    one = np.zeros(a.n, dtype=np.int64)
    return left_out(a.cluster, one, a.weight[:, None] * hits, 1, a.strata)[0]
