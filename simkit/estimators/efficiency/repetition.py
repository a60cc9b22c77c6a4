"""Coverage: how often an interval contains the truth, by simulation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.intervals import score_interval
from simkit.result import Result
from simkit.types import FloatArray, counted, generator, integer, numbers, several

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

    For many data sets at once, let the estimator's `by` do them in one call and give its columns to
    :func:`interval_coverage`: far quicker.

    Parameters
    ----------
    simulate : callable
        Draws one data set with the Generator that it is given. Repetition r has the stream (seed,
        "coverage", r), so that any one can be repeated by itself.
    estimate : callable
        Gives a Result, or (low, high), or (estimate, low, high) of a data set. An estimate that
        raises ValueError or a numerical error (ArithmeticError, LinAlgError) is a failure, as is an
        interval that is NaN.
    truth : float or mapping
        A number, for a Result of one row; or {quantity: number} for several rows.
    repetitions : int
        2 or more.
    alpha : float
        1 - confidence of the interval of the coverage.
    seed : int
        Of the data sets.

    Returns
    -------
    Result
        The table of :func:`interval_coverage`, a row per quantity.

    Raises
    ------
    ValueError
        For fewer than 2 repetitions, where every estimate raised, and for a quantity that the
        Result lacks.

    Examples
    --------
    The normal interval of a mean of 10 numbers:

    >>> from simkit import estimators as est
    >>> def interval(x):
    ...     half = 1.96 * x.std(ddof=1) / len(x) ** 0.5
    ...     return x.mean() - half, x.mean() + half
    >>> result = est.coverage(lambda rng: rng.normal(size=10), interval, 0, repetitions=300)
    >>> float(result["coverage"]["estimate"].round(2))
    0.93
    """
    integer(repetitions, "repetitions", low=2)
    names = list(truth) if isinstance(truth, Mapping) else None
    ends = np.full((repetitions, 1 if names is None else len(names), 3), np.nan)
    raised: Counter[str] = Counter()
    for r in range(repetitions):
        data = simulate(generator(seed, "coverage", r))
        try:
            answer = estimate(data)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
            raised[type(error).__name__] += 1
            if raised.total() == repetitions:
                raise ValueError(f"estimate raised in all {repetitions} repetitions, at last "
                                 f"{type(error).__name__}: {error}") from error  # fmt: skip
            continue
        ends[r] = _ends(answer, names)
    exact = list(truth.values()) if isinstance(truth, Mapping) else [truth]
    middle, low, high = np.moveaxis(ends, 2, 0)
    result = interval_coverage(low, high, exact, estimate=middle, names=names, alpha=alpha)
    notes = tuple(f"{k} of {repetitions} raised {name}" for name, k in raised.items())
    return replace(result, notes=result.notes + notes)


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

    Parameters
    ----------
    low, high : array_like
        (R, Q) ends of the intervals of Q quantities in R repetitions, or (R,) for one quantity.
    truth : float or array_like
        A number, or (Q,), or (R, Q) where it differs (other conditions, which are then pooled).
    estimate : array_like, optional
        As `low`; gives the bias.
    names : list of str, optional
        Of the quantities.
    alpha : float
        1 - confidence of the interval of the coverage.

    Returns
    -------
    Result
        A row per quantity:

        - estimate: the share of the intervals there are that contain the truth. low, high: Wilson's
          interval for the Monte-Carlo error of R draws; pooled rows must be independent for it.
          std_error: sqrt(c (1 - c) / R).
        - repetitions: intervals there are. failures: those that are NaN, not in the share.
        - above, below: share of intervals that lie wholly above, below the truth (each alpha / 2 if
          the interval is also balanced). width: mean width of the finite ones. unbounded: how many
          are not. bias: mean(estimate - truth), with its standard error bias_error.

        A quantity without any interval is NaN.

    Raises
    ------
    ValueError
        For shapes that do not fit, a truth that is not finite, and names that repeat.

    References
    ----------
    Wilson 1927.

    Examples
    --------
    >>> from simkit import estimators as est
    >>> result = est.interval_coverage([0, 1, 2, -1], [2, 3, 4, 1], 1.5)
    >>> result["coverage"][["estimate", "above", "below", "width"]].to_dict()
    {'estimate': 0.5, 'above': 0.25, 'below': 0.25, 'width': 2.0}
    """
    lows, highs = _table(low, "low"), _table(high, "high")
    middle = lows if estimate is None else _table(estimate, "estimate")
    if lows.shape != highs.shape or lows.shape != middle.shape:
        raise ValueError(
            f"low has shape {lows.shape}, high {highs.shape}, estimate {middle.shape}; they must "
            "have the same"
        )
    q = lows.shape[1]
    true = numbers(several(truth), "truth", "(Q,) or (R, Q)", dims=(1, 2), infinite=True)
    true = true[:, None] if true.ndim == 1 and q == 1 else true
    if true.size > 1 and true.shape not in (lows.shape, (q,), (len(lows), 1)):
        raise ValueError(
            f"truth has shape {true.shape}; it must be a number, ({q},) or {lows.shape}"
        )
    if not np.isfinite(true).all():
        raise ValueError(f"truth holds {true[~np.isfinite(true)][0]}; it must be finite")
    if names is not None and len(set(names)) != q:
        raise ValueError(f"names are {names}; there must be {q} that differ")
    there = ~np.isnan(lows + highs)
    with np.errstate(invalid="ignore", divide="ignore"):
        under, over = (highs < true) & there, (lows > true) & there
        count = there.sum(axis=0).astype(float)
        draws = np.where(count > 0, count, np.nan)
        share = 1 - (under | over).sum(axis=0) / draws
        low_end, high_end = score_interval(share, draws, special.ndtri(1 - alpha / 2))
        finite = there & np.isfinite(highs - lows)
        columns = {
            "estimate": share,
            "std_error": np.sqrt(share * (1 - share) / count),
            "low": low_end,
            "high": high_end,
            "repetitions": count.astype(int),
            "failures": (~there).sum(axis=0),
            "above": over.sum(axis=0) / count,
            "below": under.sum(axis=0) / count,
            "width": np.where(finite, highs - lows, 0).sum(axis=0) / finite.sum(axis=0),
            "unbounded": (there & ~finite).sum(axis=0),
        }
    if estimate is not None:
        columns |= _bias(middle - true)
    index = names or (["coverage"] if q == 1 else [str(i) for i in range(q)])
    frame = pd.DataFrame(columns, index=pd.Index(index))
    notes = counted(int((~there).sum()), there.size, "intervals are missing (not in the share)")
    method, n = "Coverage, by simulation", len(lows)
    return Result(method, frame, n, alpha, "Wilson 1927", notes, over="repetitions")


def _ends(answer: Any, names: list[str] | None) -> FloatArray:
    """(Q, 3): estimate, low, high."""
    if isinstance(answer, Result):
        rows = list(answer.frame.index) if names is None else names
        if (names is None and len(rows) != 1) or not set(rows) <= set(answer.frame.index):
            raise ValueError(
                f"truth: the result has the quantities {list(answer.frame.index)}; it must be a "
                "mapping of some of them to numbers"
            )
        return np.asarray(answer.frame.loc[rows, ["estimate", "low", "high"]], dtype=np.float64)
    shape = "(low, high), or with the estimate first"
    ends = np.atleast_2d(numbers(answer, "estimate", shape, dims=(1, 2), infinite=True))
    if ends.shape[1] not in (2, 3):
        raise ValueError(f"estimate gave shape {ends.shape}; it must be {shape}, or a Result")
    return np.pad(ends, ((0, 0), (3 - ends.shape[1], 0)), constant_values=np.nan)


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
