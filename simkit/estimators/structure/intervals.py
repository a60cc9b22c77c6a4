"""What two populations' lists of correlations have in common, from samples and their resamples.

Two samples differ by their noise too, so a plain distance is too large and a plain correlation too
small. Each function removes that noise and returns an interval of the populations' value. Where
the value has an end (a distance of 0, a pattern of 1) percentiles of resamples cannot cover it;
the interval then is every value under which samples would come out as these did. Where no resample
differs from another (items that are copies of one column) nothing tells how far samples lie apart:
all is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy import optimize, special

from simkit.estimators.structure.correlations import mean_of
from simkit.estimators.structure.measures import rmsd
from simkit.result import REQUIRED
from simkit.types import FloatArray

__all__ = ["apart", "errors_of", "kept", "pattern", "perfect", "reliability", "undefined"]

CLEAR = 0.75  # share of the variance between pairs that must not be noise
STILL = 1e-10  # moves of resamples below it are rounding dust
LOST = 0.1  # share of the resampled correlations that may be undefined
Row = dict[str, float]
UNKNOWN: Row = dict.fromkeys(REQUIRED, np.nan)


def _row(estimate: float, error: float, low: float, high: float) -> Row:
    """A row whose interval includes its estimate."""
    ends = min(low, estimate), max(high, estimate)
    return dict(zip(REQUIRED, (estimate, error, *ends), strict=True))


def apart(human: FloatArray, simulated: FloatArray, worth: float, alpha: float) -> Row:
    """Root mean squared difference of the populations' correlations.

    human, simulated : (1 + B, pairs), row 0 of the samples, then resamples (of a pair of sides
    together, where they are paired). The estimate is root(rmsd^2 - noise), 0 if that is below 0;
    noise is the mean squared move of the difference over resamples. worth : see `_ends`.
    """
    h, s = _shared(human, simulated)
    if not h.size:
        return UNKNOWN
    error, gap, size = errors_of(h - s), h[0] - s[0], np.sqrt(h.shape[1])
    square = float(gap @ gap - (error**2).sum(axis=1).mean())
    low, high, _ = _ends(square, gap, error, worth, alpha)
    if np.isnan(low + high):
        return UNKNOWN
    deviation = float(np.std(rmsd(h[1:], s[1:]), ddof=1))
    return _row(np.sqrt(max(square, 0.0)) / size, deviation, low / size, high / size)


def pattern(
    human: FloatArray, simulated: FloatArray, worth: float, alpha: float, paired: bool
) -> Row:
    """Correlation of the populations' correlations: sizes do not count.

    Each side is centred and brought to the length 1 that it would have without noise; half the
    squared distance of the two is 1 minus the correlation, so the interval is that of a distance
    (or, below 0, of the distance to the mirror image). NaN unless on either side more than 3/4
    (`CLEAR`) of the variance between the pairs is no noise.
    """
    h, s = _shared(human, simulated)
    if h.shape[1] < 3 or min(reliability(h), reliability(s)) <= CLEAR:
        return UNKNOWN
    (x, e), (y, f) = _unit(h), _unit(s)
    r = float(x @ y) - (float((e * f).sum(axis=1).mean()) if paired else 0.0)
    side = -1.0 if r < 0 else 1.0
    low, high, deviation = _ends(2 - 2 * abs(r), x - side * y, e - side * f, worth, alpha)
    if np.isnan(low + high):
        return UNKNOWN
    ends = np.clip(np.sort([side * (1 - low**2 / 2), side * (1 - high**2 / 2)]), -1, 1)
    return _row(float(np.clip(r, -1, 1)), deviation / 2, *ends.tolist())


def kept(
    human: FloatArray, simulated: FloatArray, alpha: float, paired: bool, free: float = np.inf
) -> Row:
    """Slope of the simulated population's correlations on the humans', through 0.

    sum(h s) / sum(h^2), each without the noise in it; the interval is of t, its width from the
    resamples' moves of both sums. free : degrees of freedom of what is resampled, where it is few
    clusters. NaN unless more than 3/4 (`CLEAR`) of sum(h^2) is no noise.
    """
    h, s = _shared(human, simulated)
    if not h.size:
        return UNKNOWN
    e, f = errors_of(h), errors_of(s)
    square = float(h[0] @ h[0])
    clear = square - float((e**2).sum(axis=1).mean())
    if not clear > CLEAR * square:
        return UNKNOWN
    noise = float((e * f).sum(axis=1).mean()) if paired else 0.0
    slope = (float(h[0] @ s[0]) - noise) / clear
    h, s = h[0] + e, s[0] + f
    moves = ((h * s).sum(axis=1) - slope * (h * h).sum(axis=1)) / clear
    error = float(moves.std(ddof=1))
    if not error > STILL:
        return UNKNOWN
    df = 1 / (1 / max(free, 1e-9) + 1 / (len(moves) - 1))
    half = error * float(special.stdtrit(df, 1 - alpha / 2))
    return _row(slope, error, slope - half, slope + half)


def undefined(
    frame: pd.DataFrame,
    measures: Mapping[str, Callable[[FloatArray, FloatArray], FloatArray]],
    human: FloatArray,
    simulated: FloatArray,
) -> tuple[str, ...]:
    """Notes on the rows of a frame that have a value of the samples (raw) and no interval."""
    notes: tuple[str, ...] = ()
    for name, measure in measures.items():
        if np.isnan(frame.loc[name, "raw"]) or not np.isnan(frame.loc[name, "low"]):
            continue
        values = measure(human[1:], simulated[1:])
        values = values[~np.isnan(values)]
        if len(values) and np.ptp(values) < STILL:
            why = "undefined: it is the same in all resamples, which shows nothing of other samples"
        else:
            why = ("too much of the structure is noise, so the populations' value and its interval "
                   "are undefined")  # fmt: skip
        notes += (f"{name}: {why}",)
    return notes


def errors_of(values: FloatArray) -> FloatArray:
    """Moves (B, pairs) of resamples around their mean; 0 where one is undefined."""
    rest = values[1:]
    return np.asarray(np.nan_to_num(rest - mean_of(rest.T)))


def perfect(human: FloatArray, other: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lists (B, pairs) of two samples of one population, for what a perfect simulation scores.

    human : (1 + B, pairs). other : (B, pairs), resamples of the humans of the simulation's size.
    The sample's own correlations lie too far apart, by its noise: the population's are those,
    drawn to their mean so that they vary by the share that is no noise.
    """
    middle, share = mean_of(human[0]), np.clip(np.nan_to_num(reliability(human)), 0, 1)
    true = middle + np.sqrt(share) * (human[0] - middle)
    return true + errors_of(human), true + other - mean_of(other.T)


def reliability(values: FloatArray) -> float:
    """Share of the variance between the pairs of row 0 that is no noise; may lie below 0.

    Noise that all pairs have in common is none: it moves their mean and no pair against another.
    """
    values = values[:, ~np.isnan(values[0])]
    whole = float(values[0].var()) if values.shape[1] else 0.0
    return 1 - float(errors_of(values).var(axis=1).mean()) / whole if whole > 1e-24 else np.nan


def _shared(human: FloatArray, simulated: FloatArray) -> list[FloatArray]:
    """Both sides, of the pairs that both have; of none if too many resamples lack them."""
    both = ~np.isnan(human[0] + simulated[0])
    if both.any() and np.isnan(human[1:, both] + simulated[1:, both]).mean() > LOST:
        both[:] = False
    return [human[:, both], simulated[:, both]]


def _unit(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The pairs of row 0, centred, at their length without noise; the resamples' moves likewise.

    A move along the list itself changes its length alone, so it is removed.
    """
    centred, error = values[0] - values[0].mean(), errors_of(values)
    error = error - error.mean(axis=1, keepdims=True)
    square = centred @ centred - (error**2).sum(axis=1).mean()
    if not square > 0:  # pairs that are all alike have no pattern
        return np.full_like(centred, np.nan), np.full_like(error, np.nan)
    along = centred / np.sqrt(centred @ centred)
    return centred / np.sqrt(square), (error - np.outer(error @ along, along)) / np.sqrt(square)


def _ends(
    square: float, gap: FloatArray, error: FloatArray, worth: float, alpha: float
) -> tuple[float, float, float]:
    """Interval of the length c of a vector that was seen as `gap`, and the deviation of c^2.

    square : the estimate of c^2. Of populations c apart, in the direction of gap, the samples'
    squared distance is |c u + error|^2, a quadratic form. Its quantiles are taken as those of a
    multiple of chi-squared with the same mean and variance (Patnaik 1949, Biometrika 36). The
    interval has every c under which `square` is between the quantiles alpha/2 and 1 - alpha/2;
    where it is below 0 the upper end is that of 0, so that luck gives no interval of width 0.

    worth : respondents of the smaller side, n. A correlation is a mean of products, and those of
    two normal variables have a kurtosis of 9. So the estimated variance of one correlation varies
    by 8 / n of its square, as a variance on n / 4 degrees of freedom does; that of sums of many
    correlations by about twice as much (n / 8, which covers in simulations); that of B resamples as
    one on B - 1. Errors are therefore wider by t over normal quantile, on
    1 / (8 / n + 1 / (B - 1)) degrees of freedom.
    """
    size = float(np.linalg.norm(gap))
    moves = error @ gap / size if size > 0 else np.zeros(len(error))
    lengths = (error**2).sum(axis=1)
    noise, length = float(lengths.mean()), float(np.sqrt(max(square, 0.0)))
    if not noise > STILL**2:
        return np.nan, np.nan, np.nan
    (a, ab), (_, b) = np.cov(moves, lengths).tolist()
    free = 1 / (8 / max(worth, 8.0) + 1 / max(len(error) - 1, 1))
    wider = float(special.stdtrit(free, 1 - alpha / 2) / special.ndtri(1 - alpha / 2))

    def variance(c: float) -> float:
        return float(max(4 * c * c * a + 4 * c * ab + b, 1e-12 * noise**2))

    def quantile(c: float, share: float) -> float:
        mean = c * c + noise
        shape = mean**2 / (wider**2 * variance(c))  # half the degrees of freedom
        return mean / shape * float(special.gammaincinv(shape, share))

    def where(share: float, value: float) -> float:
        """The length at which the quantile is `value`; 0 where it is larger at all lengths."""
        least = quantile(0.0, share)
        if not least < value:
            return least if np.isnan(least) else 0.0
        top = length + np.sqrt(noise)
        while quantile(top, share) < value:
            top *= 2
        return float(optimize.brentq(lambda c: quantile(c, share) - value, 0.0, top))

    total = square + noise
    low, high = where(1 - alpha / 2, total), where(alpha / 2, max(total, noise))
    return low, high, float(np.sqrt(variance(length)))
