"""Dose and response: what is left of a quantity at each dose, and at which dose half is gone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.arguments import checked
from simkit.result import Result, jackknife, t_frame
from simkit.types import FloatArray, column, numbers

__all__ = ["dose_response", "half_dose"]


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
    delete-one-item jackknife. `left` is NaN if the baseline's mean is not above 0. Raises
    ValueError for shapes that do not fit, fewer than 2 items or doses, doses that do not rise from
    0 or more, values that are no finite numbers. Our formulation.
    """
    x, d = _table(values, doses)
    base = x[0] if baseline is None else column(baseline, "baseline", rows=x.shape[1])
    n = x.shape[1]
    mean, error = x.mean(1), x.std(axis=1, ddof=1) / np.sqrt(n)
    left, spread = _ratio(x, base)
    step = np.diff(x, axis=0)
    names = [f"{kind}, dose={v:g}" for kind in ("mean", "left", "step") for v in d][: 2 * len(d)]
    names += [f"step, dose={v:g}" for v in d[1:]]
    estimate = np.concatenate([mean, left, step.mean(1)])
    errors = np.concatenate([error, spread, step.std(axis=1, ddof=1) / np.sqrt(n)])
    frame = t_frame(names, estimate, errors, n - 1, alpha)[["estimate", "std_error", "low", "high"]]
    kinds = ["mean"] * len(d) + ["left"] * len(d) + ["step"] * (len(d) - 1)
    frame = frame.assign(quantity=kinds, dose=[*d, *d, *d[1:]])
    return Result("Dose and response, means over items", frame, n, alpha, "our formulation")


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
    Arguments as in `dose_response`. If even the largest dose leaves more, the row is NaN with a
    note. One row, "half_dose". Raises ValueError as there, and for a share outside (0, 1).
    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share!r}; legal are numbers between 0 and 1")
    x, d = _table(values, doses)
    base = x[0] if baseline is None else column(baseline, "baseline", rows=x.shape[1])
    n, at = x.shape[1], np.log1p(d)
    known = base.mean() > 0  # else nothing is left of nothing, and no dose halves it
    all_items = _crossing(x.mean(1) / base.mean(), at, share) if known else np.nan
    without = np.array([
        _crossing((x.sum(1) - x[:, i]) / rest, at, share) if known and rest > 0 else np.nan
        for i, rest in enumerate(base.sum() - base)
    ])  # fmt: skip
    error = np.sqrt(jackknife(without[:, None], np.array([all_items]))[0, 0])
    frame = t_frame(["half_dose"], all_items, error, n - 1, alpha)
    ends = np.expm1(frame[["estimate", "low", "high"]].to_numpy()[0])
    row = {"estimate": ends[0], "std_error": error * (1 + ends[0]), "low": max(ends[1], 0.0),
           "high": ends[2]}  # fmt: skip
    missed = "no dose given takes that much away" if np.isnan(all_items) else ""
    missed = missed if known else "the baseline's mean is not above 0: undefined"
    lost = int(np.isnan(without).sum())
    notes = [missed] if missed else [f"undefined without {lost} of the items"] if lost else []
    table = pd.DataFrame([row], index=pd.Index(["half_dose"]), dtype=float)
    return Result(f"Dose that leaves {share:g}", table, n, alpha, "our formulation", tuple(notes))


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
    if not len(low):
        return float("nan")
    i = int(low[0])
    if i == 0:
        return float(at[0])
    part = (left[i - 1] - share) / (left[i - 1] - left[i])
    return float(at[i - 1] + part * (at[i] - at[i - 1]))
