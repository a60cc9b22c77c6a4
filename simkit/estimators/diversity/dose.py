"""Dose and response: what is left of a quantity at each dose, and at which dose half is gone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.rows import number_texts
from simkit.result import REQUIRED, Result, jackknife, t_frame
from simkit.types import FloatArray, column, numbers

__all__ = ["dose_response", "half_dose"]

SOURCE = "our formulation"
UNDEFINED = "the baseline's mean is not above 0: the share left is undefined"
UNSURE = "the interval of the baseline's mean reaches 0: the share left has no interval"
EARLY = "less than half is left at the first dose: the dose that halves it is not known"
LATE = "more than half is left at the largest dose"


@checked()
def dose_response(
    values: npt.ArrayLike,
    doses: Sequence[float],
    *,
    baseline: npt.ArrayLike | None = None,
    alpha: float = 0.05,
) -> Result:
    """Mean of a quantity over items at each dose, the share left, and each step.

    Parameters
    ----------
    values : array_like
        (doses, items); the same items (words, questions) at every dose.
    doses : sequence of float
        Rising numbers from 0.
    baseline : array_like, optional
        (items,) values whose mean counts as 1. By default those of the first dose.
    alpha : float
        Significance level of the intervals.

    Returns
    -------
    Result
        Rows "mean, dose=d", "left, dose=d" (mean over the baseline's mean) and "step, dose=d"
        (mean minus that of the dose before; from the second dose on), with the columns quantity
        and dose. Intervals are over items.

    Raises
    ------
    ValueError
        For shapes that do not fit, fewer than 2 items or doses, doses that do not rise or lie
        below 0, and values that are not finite.

    Notes
    -----
    The intervals are t intervals of the mean and of the paired difference. That of `left` comes
    from the delete-one-item jackknife of the ratio; it is a little narrow where items are very
    unequal (coverage 0.92 with 12 items that vary by as much as their mean). `left` is NaN if the
    baseline's mean is not above 0, and has no interval if the interval of that mean reaches 0; a
    note says so. Our formulation.

    Examples
    --------
    >>> result = dose_response([[10, 6, 8], [5, 4, 3]], doses=[0, 1])
    >>> result.frame[["estimate", "low", "high"]].round(2)
                  estimate   low   high
    mean, dose=0       8.0  3.03  12.97
    mean, dose=1       4.0  1.52   6.48
    left, dose=0       1.0  1.00   1.00
    left, dose=1       0.5  0.21   0.79
    step, dose=1      -4.0 -8.30   0.30
    """
    x, d, base = _table(values, doses, baseline)
    left, without = _left(x, base)
    error = np.sqrt(np.diag(jackknife(without, left)))
    notes = (UNDEFINED,) if np.isnan(left).any() else ()
    if not notes and not _surely_positive(base, alpha):
        error, notes = np.full(len(d), np.nan), (UNSURE,)
    step = np.diff(x, axis=0)
    kinds = {"mean": (d, x.mean(1), _error(x)), "left": (d, left, error)}
    kinds["step"] = (d[1:], step.mean(1), _error(step))
    parts = [
        t_frame([f"{kind}, dose={v}" for v in number_texts(steps)], mean, std_error,
                x.shape[1] - 1, alpha)
        .assign(quantity=kind, dose=steps)
        for kind, (steps, mean, std_error) in kinds.items()
    ]  # fmt: skip
    frame = pd.concat(parts)[[*REQUIRED, "quantity", "dose"]]
    method = "Dose and response, means over items"
    return Result(method, frame, x.shape[1], alpha, SOURCE, notes, "items")


@checked()
def half_dose(
    values: npt.ArrayLike,
    doses: Sequence[float],
    *,
    baseline: npt.ArrayLike | None = None,
    alpha: float = 0.05,
) -> Result:
    """The dose at which half of a quantity is left, interpolated between the doses.

    Parameters
    ----------
    values, doses, baseline, alpha
        As in :func:`dose_response`.

    Returns
    -------
    Result
        One row, "half_dose". The interval is over items.

    Raises
    ------
    ValueError
        As in :func:`dose_response`.

    Notes
    -----
    From the first dose that leaves half or less and the dose before it, the share left is taken
    as linear in log(1 + dose). The interval is a t interval of log(1 + dose), by the
    delete-one-item jackknife. The estimate is NaN, with a note, if more than half is left at the
    largest dose or less than half at the first. There is no interval where that happens without
    one of the items, or where the interval of the baseline's mean reaches 0. Our formulation.

    Examples
    --------
    >>> half_dose([[10, 6, 8], [5, 4, 3], [2, 0, 1]], doses=[0, 1, 7]).frame.round(2)
               estimate  std_error  low  high
    half_dose       1.0       0.34  0.0  3.18
    """
    x, d, base = _table(values, doses, baseline)
    (left, without), place = _left(x, base), np.log1p(d)
    estimate = _half(left, place)
    replicates = np.array([[_half(shares, place)] for shares in without])
    notes, undefined = [], int(np.isnan(replicates).sum())
    if np.isnan(estimate):
        notes = [UNDEFINED if np.isnan(left).any() else EARLY if left[0] < 0.5 else LATE]
    elif not _surely_positive(base, alpha):
        replicates[:], notes = np.nan, [UNSURE]
    elif undefined:
        notes = [f"undefined without {undefined} of the items: no interval"]
    error = np.sqrt(jackknife(replicates, np.array([estimate]))[0, 0])
    frame = t_frame(["half_dose"], estimate, error, x.shape[1] - 1, alpha)[list(REQUIRED)]
    frame = np.expm1(frame).assign(std_error=error * np.exp(estimate))
    frame["low"] = frame["low"].clip(lower=0)
    return Result("Dose that leaves half", frame, x.shape[1], alpha, SOURCE, tuple(notes), "items")


def _error(x: FloatArray) -> FloatArray:
    """Standard errors of the means (...) over the last axis."""
    return np.asarray(x.std(axis=-1, ddof=1) / np.sqrt(x.shape[-1]))


def _surely_positive(base: FloatArray, alpha: float) -> bool:
    interval = t_frame(["x"], base.mean(), _error(base), len(base) - 1, alpha)
    return bool(interval["low"].iloc[0] > 0)


def _table(
    values: npt.ArrayLike, doses: Sequence[float], baseline: npt.ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    x = numbers(values, "values", "(doses, items)")
    d = column(doses, "doses", low=0)
    if len(x) != len(d) or x.shape[1] < 2 or len(d) < 2:
        raise ValueError(f"values have shape {x.shape} for {len(d)} doses; they must be "
                         "(doses, items), 2 or more of each")  # fmt: skip
    if np.isnan(x).any():
        raise ValueError(f"values{np.argwhere(np.isnan(x))[0].tolist()} is nan; it must be finite")
    if (np.diff(d) <= 0).any():
        raise ValueError(f"doses are {d.tolist()}; they must rise")
    return x, d, x[0] if baseline is None else column(baseline, "baseline", rows=x.shape[1])


def _left(x: FloatArray, base: FloatArray) -> tuple[FloatArray, FloatArray]:
    """mean(x) / mean(base) (D,), and the same without each item (items, D); NaN if undefined."""
    mean, rest = base.mean(), base.sum() - base
    top = x.sum(1)[:, None] - x
    without = top / np.where((rest > 0) & (mean > 0), rest, np.nan)
    return x.mean(1) / (mean if mean > 0 else np.nan), without.T


def _half(left: FloatArray, place: FloatArray) -> float:
    """Where (on the scale of `place`) the share left falls to a half."""
    low = np.flatnonzero(left <= 0.5)
    if not len(low) or left[0] < 0.5:
        return float("nan")
    i = max(int(low[0]), 1)
    part = (left[i - 1] - 0.5) / (left[i - 1] - left[i]) if low[0] else 0.0
    return float(place[i - 1] + part * (place[i] - place[i - 1]))
