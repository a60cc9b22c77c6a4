"""Marginal error over many items at once: the other axis of representativeness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.metrics import Metric, chosen_metrics, noise_floor, spread
from simkit.estimators.shared.respondents import (
    Moved,
    cluster_notes,
    effective_clusters,
    left_out,
    mean_moved,
    normalised,
)
from simkit.estimators.structure.correlations import Answers, answer_matrix
from simkit.result import Result
from simkit.types import FloatArray, SeedLike, counted, generator

__all__ = ["compare_marginals"]

SOURCE = "Williams et al., arXiv 2601.15755 (TV, Wasserstein-1, variance); floor, intervals: ours"


@checked("humans weights", "simulated simulated_weights", frames="humans simulated")
def compare_marginals(
    humans: pd.DataFrame,
    simulated: pd.DataFrame,
    *,
    scales: Mapping[str, tuple[float, float]] | None = None,
    metrics: Sequence[str] = ("tv", "nemd", "js", "variance_ratio"),
    smoothing: float | None = None,
    per_item: bool = False,
    weights: npt.ArrayLike | None = None,
    simulated_weights: npt.ArrayLike | None = None,
    paired: bool = False,
    n_boot: int = 200,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """Distances between the answer distributions of items, averaged over the items.

    humans : (n, k) numbers, one column per item, NaN where not answered. simulated : (m, k).
    scales : item -> ends of its scale, which "nemd" (Wasserstein-1 over the range) divides by;
        None takes the ends that occur on either side. The categories are the values that occur.
    metrics, smoothing : as in `marginal_fit`. per_item : a row per item and metric as well.
    weights, simulated_weights, paired : as in `compare_structure`; respondents are resampled with
        all their answers.

    Rows: the metrics (means over the items). Columns as in `marginal_fit`: estimate (of the samples
    as they are, their noise counted in: compare it with floor), std_error, low, high (of the
    populations; distances are biased, so the interval holds both estimate and corrected, and covers
    in 0.93 to 1.00 of cases; the variance ratio in 0.93 to 0.97), corrected (freed of that bias),
    and floor (mean over n_boot resamples of the humans, of both sizes; NaN for the variance ratio,
    whose best value is 1). Items that nobody answered on one side are
    left out and counted. Raises ValueError for different items, an answer outside its scale, and
    what `marginal_fit` raises for metrics.
    Source: Williams et al., arXiv 2601.15755.
    """
    h = answer_matrix(humans, weights, "humans")
    if set(humans.columns) != set(simulated.columns):
        odd = sorted(map(str, set(humans.columns) ^ set(simulated.columns)))
        raise ValueError(f"item {odd[0]!r} is on one side only; legal are the same items on both")
    s = answer_matrix(simulated[list(humans.columns)], simulated_weights, "simulated")
    if paired and h.n != s.n:
        raise ValueError(f"paired: {h.n} humans, {s.n} simulated; legal is the same number")
    stream = generator(rng)
    first, third = _draws(h, n_boot, stream), _draws(h, n_boot, stream, s.n)
    used, found, floors = [], [], []
    for j, item in enumerate(h.items):
        if not len(h.levels[j]) or not len(s.levels[j]):
            continue
        values, low, high = _scale(item, h.levels[j], s.levels[j], scales)
        chosen = chosen_metrics(metrics, (values - low) / (high - low), smoothing)
        hits = [_hits(a, j, values) for a in (h, s)]
        p, q = (normalised(_without(a, x)) for a, x in zip((h, s), hits, strict=True))
        samples = [(p, q)] if paired else [(p, q[:1]), (p[:1], q)]
        again = [normalised(draws @ hits[0]) for draws in (first, third)]
        used.append(item)
        named = [_named(m, high - low) for m in chosen]
        found.append([m.moved(*samples) for m in named])
        floors.append([noise_floor(m, again[0], again[1][1:]) for m in named])
    if not used:
        raise ValueError("no item was answered on both sides")
    sides = [h] if paired else [h, s]
    worth = [
        effective_clusters(np.flatnonzero(x.weight > 0), x.weight[x.weight > 0]) for x in sides
    ]
    frame = _frame(chosen, found, np.array(floors), used if per_item else [], worth, alpha)
    lost = len(h.items) - len(used)
    notes = counted(lost, len(h.items), "items left out: nobody answered on one side")
    for who, side in (("humans: ", h), ("simulated: ", s)):
        notes += cluster_notes(np.arange(side.n), side.weight, who)
    method = f"Margins of {len(used)} items, floor from {n_boot} resamples"
    return Result(method, frame, h.n, alpha, SOURCE, notes, "respondents, for these items")


def _named(metric: Any, width: float) -> Any:
    """The metric on the scale 0 to 1: nemd is then Wasserstein over the range of the scale."""
    if metric.name == "nemd":
        return type(metric)("wasserstein", metric.scale, metric.smoothing)
    if metric.name in ("wasserstein", "mean_difference"):
        return type(metric)(metric.name, metric.scale * width, metric.smoothing)
    return metric


def _draws(
    a: Answers, n_boot: int, stream: np.random.Generator, size: int | None = None
) -> FloatArray:
    """Weights (1 + n_boot, n) of the respondents: as they are, then resampled."""
    if n_boot < 2:
        raise ValueError(f"n_boot is {n_boot}; legal are 2 or more")
    drawn = stream.integers(0, a.n, (n_boot, size or a.n)) + a.n * np.arange(n_boot)[:, None]
    count = np.bincount(drawn.ravel(), minlength=n_boot * a.n).reshape(n_boot, a.n)
    return np.concatenate([a.weight[None], a.weight * count])


def _scale(
    item: str, first: FloatArray, second: FloatArray, scales: Any
) -> tuple[FloatArray, float, float]:
    """The values that occur, and the ends of the scale."""
    values = np.union1d(first, second)
    low, high = values[0], values[-1]
    if scales is not None and item in scales:
        low, high = scales[item]
        if values[0] < low or values[-1] > high:
            bad = values[0] if values[0] < low else values[-1]
            raise ValueError(f"{item}: an answer is {bad:g}; legal are {low:g} to {high:g}")
    return values, float(low), float(high) if high > low else float(low) + 1


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
    return left_out(np.arange(a.n), one, a.weight[:, None] * hits, 1)[0]


def _frame(
    chosen: list[Metric],
    found: list[list[Moved]],
    floor: FloatArray,
    items: list[str],
    worth: list[float],
    alpha: float,
) -> pd.DataFrame:
    rows, index = [], []
    for m, metric in enumerate(chosen):
        each = [row[m] for row in found]
        parts = [(metric.name, mean_moved(each), float(floor[:, m].mean()))]
        for i, item in enumerate(items):
            parts.append((f"{item}, {metric.name}", each[i], float(floor[i, m])))
        for name, moved, f in parts:
            rows.append({**spread(metric, moved, worth, alpha), "floor": f})
            index.append(name)
    return pd.DataFrame(rows, index=pd.Index(index)).astype(float)
