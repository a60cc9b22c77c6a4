"""Score intervals of a mean of probabilities, and Fieller's interval of a ratio."""

from __future__ import annotations

import numpy as np

from simkit.types import FloatArray

__all__ = ["fieller", "score_interval"]


def score_interval(
    mean: FloatArray,
    draws: FloatArray | float,
    quantile: FloatArray | float,
    slope: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """The means m for which (mean - m)^2 <= quantile^2 * (variance of the mean, were m true).

    draws : N, how many yes-or-no draws would be as precise: variance = mean (1 - mean) / N.
    Were m true, the variance would be m (1 - m) / N = variance + slope (m - mean) -
    (m - mean)^2 / N with slope = (1 - 2 mean) / N: Wilson's (1927) interval, the default. Another
    slope allows for another skewness (the slope of the variance in the mean is the skewness times
    the standard deviation: Johnson 1978). All arrays have one shape; the ends stay in [0, 1].
    N = inf gives width 0; N = 0 and NaN give NaN.
    """
    number = np.asarray(draws, dtype=np.float64)
    inverse = 1 / np.where(number == 0, np.nan, number)
    tilt = (1 - 2 * mean) * inverse if slope is None else slope
    square = np.asarray(quantile) ** 2
    a, b = 1 + square * inverse, square * tilt
    root = np.sqrt(b * b + 4 * a * square * mean * (1 - mean) * inverse)
    low, high = mean + (b - root) / (2 * a), mean + (b + root) / (2 * a)
    # Without error the ends equal the mean; rounding must not put them on the wrong side of it.
    return np.clip(low, 0.0, mean), np.clip(high, mean, 1.0)


def fieller(
    a: float, b: float, va: float, vb: float, covariance: float, quantile: float
) -> tuple[float, float]:
    """Fieller's (1954) interval of a / b: all r for which a - r b does not differ from zero.

    va, vb, covariance : variances of a and b, and their covariance. quantile : how many standard
    errors are significant. The whole line if b does not differ from zero; NaN if anything is NaN.
    """
    square = quantile**2 if va + vb > 0 else 0.0
    bend, middle, end = b**2 - square * vb, a * b - square * covariance, a**2 - square * va
    if np.isnan(bend + middle + end):
        return np.nan, np.nan
    if bend <= 0:
        return -np.inf, np.inf
    root = np.sqrt(max(middle**2 - bend * end, 0.0))
    return (middle - root) / bend, (middle + root) / bend
