"""Dose and response: what is left of a quantity at each dose, and at which dose half is gone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.shared.arguments import checked
from simkit.result import Result, jackknife, t_frame
from simkit.types import FloatArray, column, numbers

__all__ = ["dose_response", "half_dose"]

OURS = "our formulation"
UNDEFINED = "the baseline's mean is not above 0: what is left of it is undefined"
UNSURE = "the baseline's own interval reaches 0: what is left of it has no interval"


@checked()
def dose_response(
    values: npt.ArrayLike,
    doses: Sequence[float],
    *,
    baseline: npt.ArrayLike | None = None,
    alpha: float = 0.05,
) -> Result:
    """Mean of a quantity over items at each dose, what is left of it, and each step down.

    Parameters
    ----------
    values : (doses, items); the same items (words, questions) at every dose.
    doses : rising numbers from 0.
    baseline : (items,) what 1 is; None: the first dose.

    Returns
    -------
    Rows "mean, dose=d", "left, dose=d" (mean over the baseline's mean) and "step, dose=d" (mean
    minus that of the dose before; from the second dose on), with columns quantity and dose.
    Intervals are over items: t of the mean, of the paired difference, and of the ratio by the
    delete-one-item jackknife (a little narrow where items are very unequal: coverage 0.92 of 12
    that vary by as much as their mean). `left` is NaN if the baseline's mean is not above 0, and
    has no interval, with a note, if that is not sure to be above 0. Raises
    ValueError for shapes that do not fit, fewer than 2 items or doses, doses that do not rise from
    0 or more, values that are no finite numbers. Our formulation.
    """
    x, d = _table(values, doses)
    base = x[0] if baseline is None else column(baseline, "baseline", rows=x.shape[1])
    n = x.shape[1]
    mean, error = x.mean(1), x.std(axis=1, ddof=1) / np.sqrt(n)
    left, spread = _ratio(x, base)
    notes = (UNDEFINED,) if np.isnan(left).any() else ()
    if not notes and not _surely_positive(base, alpha):
        spread, notes = np.full(len(d), np.nan), (UNSURE,)
    step = np.diff(x, axis=0)
    names = [f"{kind}, dose={v:g}" for kind in ("mean", "left", "step") for v in d][: 2 * len(d)]
    names += [f"step, dose={v:g}" for v in d[1:]]
    estimate = np.concatenate([mean, left, step.mean(1)])
    errors = np.concatenate([error, spread, step.std(axis=1, ddof=1) / np.sqrt(n)])
    frame = t_frame(names, estimate, errors, n - 1, alpha)[["estimate", "std_error", "low", "high"]]
    kinds = ["mean"] * len(d) + ["left"] * len(d) + ["step"] * (len(d) - 1)
    frame = frame.assign(quantity=kinds, dose=[*d, *d, *d[1:]])
    return Result("Dose and response, means over items", frame, n, alpha, OURS, notes, "items")


@checked()
def half_dose(
    values: npt.ArrayLike,
    doses: Sequence[float],
    *,
    baseline: npt.ArrayLike | None = None,
    share: float = 0.5,
    alpha: float = 0.05,
) -> Result:
    """The dose at which `share` of a quantity is left, read off between the doses.

    Between the last dose with more and the first with less than that, `left` is taken as linear in
    log(1 + dose). The interval is over items (delete-one-item jackknife of log(1 + dose), t).
    Arguments as in `dose_response`. If even the largest dose leaves more, or the first one less,
    the row is NaN with a note; it has no interval where that is so without one of the items, or
    the baseline is not sure to be above 0. One row, "half_dose". Raises ValueError as there, and
    for a share outside (0, 1).
    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share!r}; legal are numbers between 0 and 1")
    x, d = _table(values, doses)
    base = x[0] if baseline is None else column(baseline, "baseline", rows=x.shape[1])
    n, at = x.shape[1], np.log1p(d)
    known = base.mean() > 0  # else nothing is left of nothing, and no dose halves it
    left = x.mean(1) / base.mean() if known else np.full(len(d), np.nan)
    all_items = _crossing(left, at, share)
    without = np.array([
        _crossing((x.sum(1) - x[:, i]) / rest, at, share) if known and rest > 0 else np.nan
        for i, rest in enumerate(base.sum() - base)
    ])  # fmt: skip
    notes, lost = [], int(np.isnan(without).sum())
    if np.isnan(all_items):
        early = "the first dose leaves less than that: where it was reached is not known"
        late = "no dose given takes that much away"
        notes = [UNDEFINED if not known else early if left[0] < share else late]
    elif not _surely_positive(base, alpha):
        without[:], notes = np.nan, [UNSURE]
    elif lost:
        notes = [f"undefined without {lost} of the items: no interval"]
    error = np.sqrt(jackknife(without[:, None], np.array([all_items]))[0, 0])
    frame = t_frame(["half_dose"], all_items, error, n - 1, alpha)
    ends = np.expm1(frame[["estimate", "low", "high"]].to_numpy()[0])
    low = np.nan if np.isnan(ends[1]) else max(ends[1], 0.0)
    row = {"estimate": ends[0], "std_error": error * (1 + ends[0]), "low": low, "high": ends[2]}
    table = pd.DataFrame([row], index=pd.Index(["half_dose"]), dtype=float)
    return Result(f"Dose that leaves {share:g}", table, n, alpha, OURS, tuple(notes), "items")


def _surely_positive(base: FloatArray, alpha: float) -> bool:
    error = base.std(ddof=1) / np.sqrt(len(base))
    return bool(t_frame(["x"], base.mean(), error, len(base) - 1, alpha)["low"].iloc[0] > 0)


def _table(values: npt.ArrayLike, doses: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    x = numbers(values, "values", "(doses, items)")
    d = column(doses, "doses", low=0)
    if len(x) != len(d) or x.shape[1] < 2 or len(d) < 2:
        raise ValueError(f"values have shape {x.shape} for {len(d)} doses; legal is "
                         "(doses, items), 2 or more of each")  # fmt: skip
    if not np.isfinite(x).all():
        at = np.argwhere(~np.isfinite(x))[0].tolist()
        raise ValueError(f"values{at} is {x[tuple(at)]}; legal are finite numbers")
    if (np.diff(d) <= 0).any():
        raise ValueError(f"doses are {d.tolist()}; legal are numbers that rise")
    return x, d


def _ratio(x: FloatArray, base: FloatArray) -> tuple[FloatArray, FloatArray]:
    """mean(x) / mean(base) (D,), and its jackknife error over items."""
    if not base.mean() > 0:
        return np.full(len(x), np.nan), np.full(len(x), np.nan)
    ratio = x.mean(1) / base.mean()
    rest = base.sum() - base
    top = x.sum(1)[:, None] - x
    without = np.divide(top, rest, out=np.full_like(top, np.nan), where=rest > 0).T
    return ratio, np.sqrt(np.diag(jackknife(without, ratio)))


def _crossing(left: FloatArray, at: FloatArray, share: float) -> float:
    low = np.flatnonzero(left <= share)
    if not len(low) or left[0] < share:
        return float("nan")
    i = int(low[0])
    if i == 0:
        return float(at[0])
    part = (left[i - 1] - share) / (left[i - 1] - left[i])
    return float(at[i - 1] + part * (at[i] - at[i - 1]))
