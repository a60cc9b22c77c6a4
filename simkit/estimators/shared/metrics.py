"""Distances between the distributions of two samples, and their intervals.

The distance of two samples is biased upwards: two samples of one population differ, so a plug-in
distance is never 0. The bias of KL is about (K - 1) / 2n; that of total variation and Wasserstein
falls as 1 / sqrt(n) where the two populations agree. Bootstrap percentiles are no interval of the
distance: each resample adds the bias once more (their coverage near zero was 0 to 0.4).

The interval here, of the distance between the two populations, is that of the delete-one-cluster
jackknife, t standard errors to both sides: down from the distance less its bias, up from the
distance with its bias (near 0 it would otherwise end below the distance itself, at 0).
Total variation and Wasserstein are sums of absolute differences and have a kink where a difference
is 0. There the jackknife is wrong, as is the bootstrap (Fang & Santos 2019). So signs are held
fixed, which makes the distance linear, and the low end is lowered by the average contribution of
differences below two and a half standard errors, were these 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simkit.estimators.shared.distances import jensen_shannon, kl_divergence, layers
from simkit.estimators.shared.respondents import Moved, left_out_of, scale_of
from simkit.estimators.shared.strata import Strata
from simkit.result import REQUIRED
from simkit.types import FloatArray, one_of

__all__ = ["MARGINAL_METRICS", "Metric", "chosen_metrics", "noise_floor", "spread"]

KINKED = ("tv", "wasserstein", "nemd")
DISTANCES = ("kl", "js", *KINKED)
ORDINAL = ("wasserstein", "nemd", "mean_difference", "variance_ratio")
MARGINAL_METRICS = (*DISTANCES, "mean_difference", "variance_ratio")
COLUMNS = (*REQUIRED, "corrected")
KINK = 2.5  # standard errors below which a difference may be none
MEAN_ABSOLUTE = np.sqrt(2 / np.pi)  # of a standard normal


@dataclass(frozen=True)
class Metric:
    """A comparison of distributions (..., K), with the scale (K,) and smoothing that it needs.

    `name` is one of MARGINAL_METRICS. Calling it with p and q gives the values (...,).
    """

    name: str
    scale: FloatArray | None
    smoothing: float | None

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
        return np.asarray(of_q / np.where(of_p > 0, of_p, np.nan))

    def moved(
        self, *samples: tuple[FloatArray, FloatArray], strata: Sequence[Strata | None] = ()
    ) -> Moved:
        """The value and its change when each cluster is left out.

        samples : rows p, q (1 + G, K) of each independent sample, of all and without each of its
        clusters; the first rows are the same in all. strata : of each, see `left_out_of`.
        """
        if self.name not in KINKED:
            return left_out_of(*[self(p, q) for p, q in samples], strata=strata)
        parts = [layers(self.name, p, q, self.scale) for p, q in samples]
        first = parts[0][0]
        pairs = zip(parts, strata or [None] * len(parts), strict=True)
        error = np.sqrt(sum(scale_of(x[1:], plan) @ (x[1:] - first) ** 2 for x, plan in pairs))
        flat = np.abs(first) <= KINK * error
        linear = left_out_of(*[x @ np.sign(first) for x in parts], strata=strata)
        return replace(linear, slack=float(MEAN_ABSOLUTE * (error * flat).sum()))


def chosen_metrics(
    names: Sequence[str] | None, scale: FloatArray | None, smoothing: float | None
) -> list[Metric]:
    """The metrics by name (None: kl, js, tv and, on a scale, wasserstein), or ValueError."""
    if names is None:
        names = ("kl", "js", "tv", "wasserstein")[: 3 if scale is None else 4]
    for name in names:
        one_of(name, "metric", MARGINAL_METRICS)
        if name in ORDINAL and scale is None:
            raise ValueError(f"metric {name!r} needs a scale: give `values`, a number per option")
    if "kl" in names and smoothing is None:
        raise ValueError("smoothing: metric 'kl' depends on it; give the mass added per category")
    return [Metric(name, scale, smoothing) for name in names]


def spread(
    metric: Metric, moved: Moved, effective: Sequence[float], alpha: float
) -> dict[str, float]:
    """estimate, std_error, low, high, corrected from `Metric.moved` (or a mean of several)."""
    ratio = metric.name == "variance_ratio"
    centre, error, low, high = moved.interval(effective, alpha, log=ratio)
    corrected = moved.at - moved.bias if np.isfinite(error) else np.nan
    if metric.name in DISTANCES and np.isfinite(error):
        most, bias = 1.0 if metric.name in ("js", "tv", "nemd") else np.inf, moved.at - centre
        low, high = max(low + min(bias, 0.0), 0.0), min(high + max(bias, 0.0), most)
        corrected = max(centre, 0.0)
    return dict(zip(COLUMNS, (moved.at, error, low, high, corrected), strict=True))


def noise_floor(metric: Metric, p: FloatArray, other: FloatArray | None = None) -> float:
    """Mean value of resamples p[1:] (B, K) against their population p[0], or against `other`.

    other : (B, K), independent samples of p[0]. mean_difference: mean absolute value;
    variance_ratio: NaN, since its best value is 1 whatever n is.
    """
    if metric.name == "variance_ratio":
        return np.nan
    values = np.abs(metric(p[1:], p[:1] if other is None else other))
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else np.nan
