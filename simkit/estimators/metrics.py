"""Distances of resampled distributions, and the interval that they give.

The distance of two samples is biased upwards: two samples of one population differ, so a plug-in
distance is never 0. The bias of KL is about (K - 1) / 2n; that of total variation and Wasserstein
falls as 1 / sqrt(n) where the two populations agree. Percentiles of the bootstrap would be no
interval of the distance at all: each resample adds the bias once more (their coverage near zero
was 0 to 0.4).

The interval here, of the distance between the two populations, has the low end 2 d - q_high
(reflected, which takes the bias out) and the high end d + mean - q_low (which leaves it in), d the
distance, q and mean of its resamples. Total variation and Wasserstein are sums of absolute
differences and have a kink where a difference is 0, at which no bootstrap of the distance is
right (Fang & Santos 2019; derivative cut off as there): the low end takes every difference below
two standard errors for none, the high end takes none for that. So both ends are cautious near
zero: found by simulation (K = 7 and 21, n = 60 to 600, distances from 0 up, 800 repetitions), 95 %
intervals contain the distance in 0.92 to 1.00 of cases, and in most in more than 0.95.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simkit.estimators.distances import jensen_shannon, kl_divergence, layers
from simkit.estimators.respondents import percentiles
from simkit.types import FloatArray

__all__ = ["MARGINAL_METRICS", "Metric", "chosen_metrics", "noise_floor", "spread"]

KINKED = ("tv", "wasserstein", "nemd")
DISTANCES = ("kl", "js", *KINKED)
ORDINAL = ("wasserstein", "nemd", "mean_difference", "variance_ratio")
MARGINAL_METRICS = (*DISTANCES, "mean_difference", "variance_ratio")
KINK = 2.0  # standard errors below which a difference may be none


@dataclass(frozen=True)
class Metric:
    """A comparison of distributions (..., K), with the scale (K,) and smoothing that it needs."""

    name: str
    scale: FloatArray | None
    smoothing: float | None

    @property
    def is_distance(self) -> bool:
        return self.name in DISTANCES

    def __call__(self, p: FloatArray, q: FloatArray) -> FloatArray:
        if self.name == "kl":
            return kl_divergence(p, q, smoothing=self.smoothing or 0.0)
        if self.name == "js":
            return jensen_shannon(p, q)
        if self.name in KINKED:
            return np.asarray(np.abs(layers(self.name, p, q, self.scale)).sum(axis=-1))
        v = np.asarray(self.scale)
        if self.name == "mean_difference":
            return np.asarray((q - p) @ v)
        of_p, of_q = (((v - (x @ v)[..., None]) ** 2 * x).sum(axis=-1) for x in (p, q))
        blank = np.full(np.broadcast(of_p, of_q).shape, np.nan)
        ratio: FloatArray = np.divide(of_q, of_p, out=blank, where=of_p > 0)
        return ratio

    def draws(self, p: FloatArray, q: FloatArray) -> FloatArray:
        """(3, 1 + B): of all, and of B resamples, the value, and what stands for it at each end.

        p, q : (1 + B, K), row 0 from all respondents.
        """
        plain = self(p, q)
        if self.name not in KINKED:
            return np.stack([plain] * 3)
        parts = layers(self.name, p, q, self.scale)
        at, moves = parts[0], parts - parts[0]
        signed = np.sign(at) * moves
        there = moves[1:][~np.isnan(moves[1:]).any(axis=1)]
        flat = np.abs(at) <= KINK * there.std(axis=0) if len(there) else at == 0
        low = plain[0] + np.where(flat, np.abs(moves), signed).sum(axis=1)
        return np.stack([plain, low, plain[0] + signed.sum(axis=1)])


def chosen_metrics(
    names: Sequence[str] | None, scale: FloatArray | None, smoothing: float | None
) -> list[Metric]:
    """The metrics by name (None: kl, js, tv and, on a scale, wasserstein), or ValueError."""
    if names is None:
        names = ("kl", "js", "tv", "wasserstein")[: 3 if scale is None else 4]
    if isinstance(names, str):
        raise ValueError(f"metrics is {names!r}; legal is a list of names")
    for name in names:
        if name not in MARGINAL_METRICS:
            raise ValueError(f"metric {name!r} is unknown; legal are {list(MARGINAL_METRICS)}")
        if name in ORDINAL and scale is None:
            raise ValueError(
                f"metric {name!r} needs a scale: state `values`, one number per option"
            )
    if "kl" in names and smoothing is None:
        raise ValueError(
            "smoothing: metric 'kl' depends on it, so state it; legal are numbers from 0 (mass "
            "added to every category)"
        )
    return [Metric(name, scale, smoothing) for name in names]


def spread(metric: Metric, draws: FloatArray, alpha: float) -> dict[str, float]:
    """estimate, std_error, low, high, corrected from `Metric.draws` (or a mean of several)."""
    at, plain = float(draws[0, 0]), draws[0, 1:]
    error, low, high = percentiles(plain, alpha)
    corrected = 2 * at - float(np.nanmean(plain)) if np.isfinite(error) else np.nan
    if metric.is_distance and np.isfinite(error):
        _, _, up = percentiles(draws[1, 1:], alpha)
        _, down, _ = percentiles(draws[2, 1:], alpha)
        low = max(2 * at - up, 0.0)
        high = max(at + float(np.nanmean(draws[2, 1:])) - down, low)
        corrected = max(corrected, 0.0)
        if metric.name in ("js", "tv", "nemd"):
            high = min(high, 1.0)
    values = (at, error, low, high, corrected)
    return dict(zip(("estimate", "std_error", "low", "high", "corrected"), values, strict=True))


def noise_floor(metric: Metric, p: FloatArray, other: FloatArray | None = None) -> float:
    """Mean value of resamples p[1:] (B, K) against their population p[0], or against `other`.

    other : (B, K), independent samples of p[0]. mean_difference: mean absolute value;
    variance_ratio: NaN, for its best value is 1 whatever n is.
    """
    if metric.name == "variance_ratio":
        return np.nan
    found = np.abs(metric(p[1:], p[:1] if other is None else other))
    there = found[~np.isnan(found)]
    return float(there.mean()) if len(there) else np.nan
