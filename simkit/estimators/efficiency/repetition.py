"""Coverage: how often an interval contains the truth, by simulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.intervals import score_interval
from simkit.result import Result
from simkit.types import FloatArray, counted, generator, numbers, several

__all__ = ["coverage", "interval_coverage"]

Truth = float | Mapping[str, float]


@checked()
def coverage(
    simulate: Callable[[np.random.Generator], Any],
    estimate: Callable[[Any], Any],
    truth: Truth,
    *,
    repetitions: int = 500,
    alpha: float = 0.05,
    seed: int = 0,
) -> Result:
    """How often the intervals of `estimate(simulate(rng))` contain the truth.

    simulate : draws one data set. estimate : gives a Result, or (low, high), or (estimate, low,
    high). truth : a number, or {quantity: number} for several rows of a Result (a number will do
    for a Result of one row). Repetition r has the stream (seed, "coverage", r), so that any one
    can be repeated by itself. An estimate that raises ValueError or a numerical error
    (ArithmeticError, LinAlgError) is a failure, as is an interval that is NaN.
    The table is that of `interval_coverage`. For many data sets at once, let the estimator's `by`
    do them in one call and give its columns to `interval_coverage`: far quicker.
    Raises ValueError for fewer than 2 repetitions, where every estimate raised, and for a quantity
    that the Result lacks.
    """
    if repetitions < 2:
        raise ValueError(f"repetitions is {repetitions}; legal are 2 or more")
    names = list(truth) if isinstance(truth, Mapping) else None
    found = np.full((repetitions, 1 if names is None else len(names), 3), np.nan)
    errors: dict[str, int] = {}
    for r in range(repetitions):
        data = simulate(generator(seed, "coverage", r))
        try:
            answer = estimate(data)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
            errors[type(error).__name__] = errors.get(type(error).__name__, 0) + 1
            if r == repetitions - 1 and sum(errors.values()) == repetitions:
                raise ValueError(f"estimate raised in all {repetitions} repetitions, at last "
                                 f"{type(error).__name__}: {error}") from error  # fmt: skip
            continue
        found[r] = _ends(answer, names)
    exact = list(truth.values()) if isinstance(truth, Mapping) else [truth]
    result = interval_coverage(
        found[..., 1], found[..., 2], exact, estimate=found[..., 0], names=names, alpha=alpha
    )
    raised = tuple(f"{k} of {repetitions} raised {name}" for name, k in errors.items())
    notes = (*result.notes, *raised)
    return Result(
        result.method, result.frame, repetitions, alpha, result.source, notes, over=result.over
    )


@checked("low high estimate")
def interval_coverage(
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    truth: npt.ArrayLike,
    *,
    estimate: npt.ArrayLike | None = None,
    names: list[str] | None = None,
    alpha: float = 0.05,
) -> Result:
    """How often intervals contain the truth: low <= truth <= high.

    low, high, estimate : (R, Q) or (R,), R repetitions of Q quantities; truth : (Q,) or a number,
    or (R, Q) where it differs (other conditions, which are then pooled). One row per quantity:
    - estimate: the share of the intervals there are that contain the truth. low, high: Wilson's
      interval for the Monte-Carlo error of R draws. std_error: sqrt(c (1 - c) / R).
    - repetitions: intervals there are; failures: those that are NaN, which are not in the share.
    - above, below: share of intervals that lie wholly above, below the truth (each alpha / 2 if
      the interval is also balanced). width: mean width of the finite ones; unbounded: how many
      are not. bias: mean(estimate - truth), with its standard error bias_error (if given).
    Undefined: a quantity without any interval is NaN. Pooled rows must be independent for `low`
    and `high` to hold.
    """
    lows, highs = _table(low, "low"), _table(high, "high")
    middle = lows if estimate is None else _table(estimate, "estimate")
    if lows.shape != highs.shape or lows.shape != middle.shape:
        raise ValueError(
            f"low has shape {lows.shape}, high {highs.shape}, estimate {middle.shape}; legal is "
            "the same"
        )
    shape = "(Q,) or (R, Q)"
    true = numbers(several(truth), "truth", shape, dims=(1, 2), infinite=True)
    true = true.ravel()[0] if true.size == 1 else true
    true = true[:, None] if true.ndim == 1 and lows.shape[1] == 1 < true.size else true
    if true.ndim and true.shape not in (lows.shape, lows.shape[1:], (len(lows), 1)):
        raise ValueError(
            f"truth has shape {true.shape}; it must be a number, ({lows.shape[1]},) or {lows.shape}"
        )
    true = np.broadcast_to(true, lows.shape)
    if not np.isfinite(true).all():
        raise ValueError(f"truth holds {true[~np.isfinite(true)][0]}; legal are finite numbers")
    there = ~np.isnan(lows + highs)
    with np.errstate(invalid="ignore", divide="ignore"):
        under, over = (highs < true) & there, (lows > true) & there
        count = there.sum(axis=0).astype(float)
        share = 1 - (under | over).sum(axis=0) / np.where(count > 0, count, np.nan)
        low_end, high_end = score_interval(
            share, np.where(count > 0, count, np.nan), special.ndtri(1 - alpha / 2)
        )
        finite = there & np.isfinite(highs - lows)
        width = np.where(finite, highs - lows, 0).sum(axis=0) / finite.sum(axis=0)
        columns = {
            "estimate": share,
            "std_error": np.sqrt(share * (1 - share) / count),
            "low": low_end,
            "high": high_end,
            "repetitions": count.astype(int),
            "failures": (~there).sum(axis=0),
            "above": over.sum(axis=0) / count,
            "below": under.sum(axis=0) / count,
            "width": width,
            "unbounded": (there & ~finite).sum(axis=0),
        }
    if estimate is not None:
        columns |= _bias(middle - true)
    if names is not None and len(set(names)) != lows.shape[1]:
        raise ValueError(f"names are {names}; legal are {lows.shape[1]} that differ")
    index = names or (["coverage"] if lows.shape[1] == 1 else [str(q) for q in range(len(share))])
    frame = pd.DataFrame(columns, index=pd.Index(index))
    notes = counted(int((~there).sum()), there.size, "intervals are missing (not in the share)")
    method, n = "Coverage, by simulation", len(lows)
    return Result(method, frame, n, alpha, "Wilson 1927", notes, over="repetitions")


def _ends(answer: Any, names: list[str] | None) -> FloatArray:
    """(Q, 3): estimate, low, high."""
    if isinstance(answer, Result):
        rows = list(answer.frame.index) if names is None else names
        lost = [name for name in rows if name not in answer.frame.index]
        if lost or (names is None and len(rows) != 1):
            raise ValueError(
                f"truth: the result has the quantities {list(answer.frame.index)}; legal is a "
                "mapping of some of them to numbers"
            )
        return np.asarray(answer.frame.loc[rows, ["estimate", "low", "high"]], dtype=np.float64)
    ends = numbers(
        answer, "estimate", "(low, high), or with the estimate first", dims=(1, 2), infinite=True
    )
    if ends.ndim == 1:
        ends = ends[None]
    if ends.ndim != 2 or ends.shape[1] not in (2, 3):
        raise ValueError(f"estimate gave shape {ends.shape}; legal are (low, high), or with the "
                        "estimate first, or a Result")  # fmt: skip
    blank = np.full((len(ends), 3 - ends.shape[1]), np.nan)
    return np.concatenate([blank, ends], axis=1)


def _bias(off: FloatArray) -> dict[str, FloatArray]:
    usable = np.isfinite(off)
    n = usable.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean = np.where(usable, off, 0).sum(axis=0) / n
        spread = np.where(usable, (off - mean) ** 2, 0).sum(axis=0) / (n - 1)
        return {"bias": mean, "bias_error": np.sqrt(spread / n)}


def _table(values: npt.ArrayLike, name: str) -> FloatArray:
    array = numbers(values, name, "(R,) or (R, Q)", dims=(1, 2), infinite=True)
    return array.reshape(len(array), -1)
