"""Answers and beliefs of the same respondents, their errors; beliefs at any temperature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.metrics import Metric, chosen_metrics
from simkit.estimators.shared.respondents import (
    answer_codes,
    belief_rows,
    cluster_notes,
    effective_clusters,
    left_out,
    numeric_scale,
)
from simkit.estimators.shared.strata import WITHIN, Strata, strata_of
from simkit.types import FloatArray, IntArray, column, numbers, scalar, usable_rows

__all__ = [
    "ERRORS", "STATISTICS", "Respondents", "belief_at_temperature", "group_notes",
    "individual_errors", "mean_errors", "metrics_of", "respondents",
]  # fmt: skip

ERRORS = ("rmse", "mae", "log_loss")
STATISTICS = ("draw", "mean", "median", "mode")


@checked()
def belief_at_temperature(
    belief: npt.ArrayLike, temperature: float, *, logprob: bool = False
) -> FloatArray:
    """The belief at temperature T: proportional to belief ** (1 / T), exactly.

    T = 1 gives the belief, 0 its mode (shared equally where several answers tie exactly), large T
    nearly uniform answers; an answer of probability 0 keeps 0.

    Parameters
    ----------
    belief : array_like
        (..., K) probabilities of K answers.
    temperature : float
        T, from 0.
    logprob : bool
        Whether `belief` holds log-probabilities instead, which need not be normalised; better where
        beliefs underflow.

    Returns
    -------
    ndarray
        (..., K). A row with a NaN, or without any probability, is NaN.

    Raises
    ------
    ValueError
        For T below 0 or not finite, and a belief outside 0 to 1 (logprob: +inf).

    Notes
    -----
    Sampling a model at T gives this only where each answer is one token (see
    `simkit.scoring.at_temperature`).

    Examples
    --------
    >>> from simkit import estimators as est
    >>> est.belief_at_temperature([0.5, 0.25, 0.25], 0.5).round(3)
    array([0.667, 0.167, 0.167])
    """
    temperature = scalar(temperature, "temperature", 0)
    x = numbers(belief, "belief", "(..., K)", dims=range(1, 9), infinite=True)
    bad = (x == np.inf) if logprob else (x < 0) | (x > 1 + 1e-6)
    if bad.any():
        range_of = "below inf" if logprob else "from 0 to 1"
        raise ValueError(f"belief holds {x[bad][0]:g}; it must hold numbers {range_of}")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        log = x if logprob else np.log(x)
        gap = log - log.max(axis=-1, keepdims=True)  # 0 at the top; NaN without probability
        weight = np.exp(np.where(gap == 0, 0.0, gap / temperature))
        return np.asarray(weight / weight.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Respondents:
    """The m respondents who have an answer and all beliefs, of the rows given.

    Attributes
    ----------
    rows : ndarray
        (m,) their row numbers.
    place : ndarray
        (m,) their answers' places on `scale` (K,).
    beliefs : list of ndarray
        (m, K) each.
    cluster, weight : ndarray
        (m,) codes of the clusters, and weights.
    strata : Strata or None
        Of the clusters.
    notes, over
        As in `simkit.result.Result`.
    """

    rows: IntArray
    place: IntArray
    scale: FloatArray
    beliefs: list[FloatArray]
    cluster: IntArray
    weight: FloatArray
    strata: Strata | None
    notes: tuple[str, ...]
    over: str

    @property
    def effective(self) -> float:
        """Effective number of clusters."""
        return effective_clusters(self.cluster, self.weight, self.strata)

    @property
    def cluster_notes(self) -> tuple[str, ...]:
        """How many clusters, where it matters."""
        return cluster_notes(self.cluster, self.weight, strata=self.strata)


def respondents(
    human: Any,
    beliefs: dict[str, Any],
    values: npt.ArrayLike,
    weights: Any,
    cluster: Any,
    strata: Any = None,
) -> Respondents:
    """The answers (n,) and beliefs (n, K), by name, checked; rows that miss any are skipped."""
    scale = column(values, "values")
    options = [float(v) for v in scale]
    numeric_scale(options, None)
    place = answer_codes(human, options, "human")
    there = np.where(place < 0, np.nan, 0.0)
    tables = []
    for name, belief in beliefs.items():
        tables.append(belief_rows(belief, options, name))
        if len(tables[-1]) != len(place):
            raise ValueError(
                f"{name} has {len(tables[-1])} rows; it must have {len(place)}, as the humans"
            )
        there += tables[-1].sum(axis=1)
    used = usable_rows(there, weights, cluster)
    i, over = used.kept, "respondents" if cluster is None else used.over
    plan = strata_of(strata, cluster, used, len(place))
    return Respondents(
        i,
        place[i],
        scale,
        [x[i] for x in tables],
        used.cluster[i],
        used.weight[i],
        plan,
        used.notes + (() if plan is None else plan.notes),
        over + ("" if plan is None else WITHIN),
    )


def group_notes(
    cluster: IntArray,
    weight: FloatArray,
    group: IntArray,
    names: list[str],
    strata: Strata | None = None,
) -> tuple[str, ...]:
    """The notes on the clusters of each group (m,), with its name."""
    rows = [np.flatnonzero(group == g) for g in range(len(names))]
    parts = [cluster_notes(cluster[i], weight[i], f"{name}: " if name else "", strata)
             for i, name in zip(rows, names, strict=True)]  # fmt: skip
    return tuple(note for part in parts for note in part)


def metrics_of(
    metrics: Sequence[str],
    distances: Sequence[str],
    errors: Sequence[str],
    scale: FloatArray,
    smoothing: float | None,
) -> list[Metric]:
    """The metrics of distributions among the names; ValueError unless all are known."""
    if not set(metrics) <= {*distances, *errors}:
        names = [*distances, *errors]
        raise ValueError(f"metrics are {metrics!r}; they must be a list of some of {names}")
    return chosen_metrics([m for m in metrics if m not in errors], scale, smoothing)


def individual_errors(
    place: IntArray, belief: FloatArray, values: FloatArray, statistic: str
) -> FloatArray:
    """Squared error, absolute error, log loss (n, 3) of beliefs (n, K) of answers values[place].

    statistic : as in `individual_fit`. The log loss is the belief's, whatever the statistic.
    """
    if statistic not in STATISTICS:
        raise ValueError(f"statistic is {statistic!r}; it must be one of {list(STATISTICS)}")
    with np.errstate(divide="ignore"):
        loss = -np.log(np.take_along_axis(belief, place[:, None], axis=1)[:, 0])
    weight = belief_at_temperature(belief, 0) if statistic == "mode" else belief
    if statistic in ("draw", "mode"):
        off = values[None, :] - values[place][:, None]
        return np.column_stack([(weight * off**2).sum(1), (weight * np.abs(off)).sum(1), loss])
    point = belief @ values if statistic == "mean" else _median(belief, values)
    off = point - values[place]
    return np.column_stack([off**2, np.abs(off), loss])


def mean_errors(
    parts: Sequence[FloatArray],
    cluster: IntArray,
    weight: FloatArray,
    group: IntArray,
    n_groups: int,
    sums_of: Callable[..., list[FloatArray]] = left_out,
) -> list[FloatArray]:
    """rmse, mae, log loss (3, P, 1 + R) of each group, from P parts (m, 3) of `individual_errors`.

    The first of the last axis is the data's, the others' rows are weighed as `sums_of` says
    (`left_out`, or `resampled`). inf where the log loss is.
    """
    table = np.column_stack([*parts, np.ones(len(cluster))])
    endless = np.isinf(table)
    table[endless] = 0.0  # 0 * inf is NaN; put back below
    out = []
    for g, sums in enumerate(sums_of(cluster, group, weight[:, None] * table, n_groups)):
        top, total = sums[:, :-1], sums[:, -1:]
        mean = np.divide(top, total, out=np.full_like(top, np.nan), where=total > 0)
        mean[:, endless[group == g, :-1].any(axis=0)] = np.inf
        errors = mean.reshape(-1, len(parts), 3).transpose(2, 1, 0)
        errors[0] = np.sqrt(errors[0])
        out.append(errors)
    return out


def _median(belief: FloatArray, values: FloatArray) -> FloatArray:
    """The median (n,); the midpoint of the two middle values where exactly half lies below."""
    order = np.argsort(values)
    below = np.cumsum(belief[:, order], axis=1)
    left = np.argmax(below >= 0.5 - 1e-12, axis=1)
    right = np.argmax(below > 0.5 + 1e-12, axis=1)
    return np.asarray((values[order][left] + values[order][right]) / 2)
