"""Errors of beliefs about single respondents, and their means; beliefs at any temperature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.respondents import answer_codes, belief_rows, left_out, numeric_scale
from simkit.types import FloatArray, IntArray, Rows, column, numbers

__all__ = ["ERRORS", "belief_at_temperature", "individual_errors", "mean_errors", "placed"]

ERRORS = ("rmse", "mae", "log_loss")


@checked()
def belief_at_temperature(
    belief: npt.ArrayLike, temperature: float, *, logprob: bool = False
) -> FloatArray:
    """The belief (..., K) at temperature T: proportional to belief ** (1 / T), exactly.

    T = 1 gives the belief, 0 its mode (shared equally where several answers tie exactly), large T
    nearly uniform answers; an answer of probability 0 keeps 0. logprob : `belief` holds
    log-probabilities instead, which need not be normalised; better where beliefs underflow.
    What sampling at T would give only where each answer is one token (see
    `simkit.scoring.at_temperature`). A row with a NaN, or without any probability, is NaN.
    Raises ValueError for T below 0 or not finite, and a belief outside 0 to 1 (logprob: +inf).
    """
    if not 0 <= temperature < np.inf:
        raise ValueError(f"temperature is {temperature!r}; legal are finite numbers from 0")
    x = numbers(belief, "belief", "(..., K)", dims=range(1, 9), infinite=True)
    bad = (x == np.inf) if logprob else (x < 0) | (x > 1 + 1e-6)
    if bad.any():
        legal = "numbers below inf" if logprob else "numbers from 0 to 1"
        raise ValueError(f"belief holds {x[bad][0]:g}; legal are {legal}")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        log = x if logprob else np.log(x)
        gap = log - log.max(axis=-1, keepdims=True)  # 0 at the top; NaN without probability
        weight = np.exp(np.where(gap == 0, 0.0, gap / temperature))
        return np.asarray(weight / weight.sum(axis=-1, keepdims=True))


def individual_errors(
    place: IntArray, belief: FloatArray, values: FloatArray, statistic: str
) -> FloatArray:
    """Squared error, absolute error, log loss (n, 3) of beliefs (n, K) of answers values[place].

    statistic : as in `individual_fit`. The log loss is the belief's, whatever the statistic.
    """
    with np.errstate(divide="ignore"):
        loss = -np.log(np.take_along_axis(belief, place[:, None], axis=1)[:, 0])
    weight = belief_at_temperature(belief, 0) if statistic == "mode" else belief
    if statistic in ("draw", "mode"):
        off = values[None, :] - values[place][:, None]
        return np.column_stack([(weight * off**2).sum(1), (weight * np.abs(off)).sum(1), loss])
    point = belief @ values if statistic == "mean" else _median(belief, values)
    off = point - values[place]
    return np.column_stack([off**2, np.abs(off), loss])


def placed(
    human: Any, belief: Any, values: npt.ArrayLike
) -> tuple[IntArray, FloatArray, FloatArray]:
    """The answers' places on the scale (n,), -1 where missing, beliefs (n, K), the scale (K,)."""
    scale = column(values, "values")
    options = [float(v) for v in scale]
    numeric_scale(options, None)
    place, rows = answer_codes(human, options, "human"), belief_rows(belief, options, "belief")
    if len(place) != len(rows):
        raise ValueError(f"belief has {len(rows)} rows; legal is {len(place)}, as the humans")
    return place, rows, scale


def mean_errors(
    parts: Sequence[FloatArray],
    used: Rows,
    group: IntArray,
    n_groups: int,
    sums_of: Callable[..., list[FloatArray]] = left_out,
) -> list[FloatArray]:
    """rmse, mae, log loss (3, P, 1 + R) of each group, from P parts (n, 3) of `individual_errors`.

    The first of the last axis is the data's, the others' rows are weighed as `sums_of` says
    (`left_out`, or `resampled`). inf where the log loss is.
    """
    i, n_p = used.kept, len(parts)
    table = np.column_stack([*parts, np.ones(len(i))])
    endless = np.isinf(table)
    table[endless] = 0.0  # 0 * inf is NaN; put back below
    group, out = group[i], []
    rows = used.weight[i, None] * table
    for g, sums in enumerate(sums_of(used.cluster[i], group, rows, n_groups)):
        top, total = sums[:, :-1], sums[:, -1:]
        mean = np.divide(top, total, out=np.full_like(top, np.nan), where=total > 0)
        mean[:, endless[group == g, :-1].any(axis=0)] = np.inf
        found = mean.reshape(-1, n_p, 3).transpose(2, 1, 0)
        found[0] = np.sqrt(found[0])
        out.append(found)
    return out


def _median(belief: FloatArray, values: FloatArray) -> FloatArray:
    """The median (n,); the midpoint of the two middle values where exactly half lies below."""
    order = np.argsort(values)
    below = np.cumsum(belief[:, order], axis=1)
    left = np.argmax(below >= 0.5 - 1e-12, axis=1)
    right = np.argmax(below > 0.5 + 1e-12, axis=1)
    return np.asarray((values[order][left] + values[order][right]) / 2)
