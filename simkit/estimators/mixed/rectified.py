"""The core of all mixed estimates: sums of influence values over clusters, λ, and the error.

An estimate is own - λ (seen - others): the people's own, corrected by how the predictions of the
people who were asked differ from those of the others. Each of the three is a weighted mean, so its
error is a sum of influence values, weight x (value - mean), over independent clusters. A cluster
with people on both sides enters jointly. λ minimises the estimated variance sum((t - λ d)^2), with
t the clusters' sums for the people's own and d those for the predictions.

Sources: Angelopoulos et al. 2023, Science 382; Angelopoulos, Duchi & Zrnic, arXiv 2311.01453;
linearised variances: Binder 1983.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from simkit.estimators.shared.clustering import effective
from simkit.estimators.shared.rows import sums_by
from simkit.result import REQUIRED
from simkit.types import FloatArray, IntArray, one_of

__all__ = ["ALTERNATIVES", "Rectified", "Sides", "interval", "rectify", "tuned"]

ALTERNATIVES = ("two-sided", "larger", "smaller")
DUST = 1e-20  # a variance below it, in units of the squared values, is rounding


@dataclass(frozen=True)
class Sides:
    """The people who were asked, and the others.

    Attributes
    ----------
    asked : (m,) which people were. weight : (m,) sums to 1 on each side. code : (m,) clusters.
    """

    asked: npt.NDArray[np.bool_]
    weight: FloatArray
    code: IntArray

    def side(self, x: FloatArray, asked: bool) -> tuple[FloatArray, FloatArray]:
        """The weighted mean (k,) of x (m, k) on one side, and its influence sums (G, k)."""
        rows = np.flatnonzero(self.asked == asked)
        w, code = self.weight[rows], self.code[rows]
        mean = w @ x[rows]
        clusters = len(np.unique(code))
        sums = sums_by(w[:, None] * (x[rows] - mean), code, int(self.code.max()) + 1)
        return mean, np.sqrt(clusters / (clusters - 1)) * sums

    def units(self, asked: bool) -> float:
        """The effective number of clusters on one side."""
        rows = self.asked == asked
        return float(effective(np.bincount(self.code[rows], self.weight[rows]).astype(np.float64)))


@dataclass(frozen=True)
class Rectified:
    """An estimate with its parts.

    Attributes
    ----------
    estimate, error, df : of the mixed estimate. alone, alone_error, alone_df : of the people's.
    lam : (k,) a λ for each prediction. moves : (G,) influence sums of the mixed estimate.
    alone_moves : (G,) of the people's.
    """

    estimate: float
    error: float
    df: float
    alone: float
    alone_error: float
    alone_df: float
    lam: FloatArray
    moves: FloatArray
    alone_moves: FloatArray


def tuned(t: FloatArray, d: FloatArray, lam: FloatArray | None) -> FloatArray:
    """λ (k,) for influence sums t (G,) and d (G, k): the given one, or that of least variance.

    One prediction has a λ from 0 to 1. Predictions that do not vary get 0.
    """
    if lam is not None:
        return lam
    if d.shape[1] > 1:
        return np.asarray(np.linalg.lstsq(d, t, rcond=1e-10)[0])
    square = float(np.sum(d * d))
    best = float(t @ d[:, 0]) / square if square > DUST * max(float(t @ t), 1e-300) else 0.0
    return np.array([min(max(best, 0.0), 1.0)])


def rectify(sides: Sides, y: FloatArray, f: FloatArray, lam: FloatArray | None) -> Rectified:
    """The mixed mean of y (m,), where asked, with predictions f (m, k)."""
    own, t = sides.side(y[:, None], True)
    seen, a = sides.side(f, True)
    others, b = sides.side(f, False)
    best = tuned(t[:, 0], a - b, lam)
    moves = t[:, 0] - (a - b) @ best
    df = sides.units(True) - 1
    asked, rest = np.sum((t[:, 0] - a @ best) ** 2), np.sum((b @ best) ** 2)
    return Rectified(
        estimate=float(own[0] - best @ (seen - others)),
        error=float(np.sqrt(np.sum(moves**2))),
        df=welch([asked, rest], [df, sides.units(False) - 1]),
        alone=float(own[0]),
        alone_error=float(np.sqrt(np.sum(t * t))),
        alone_df=df,
        lam=best,
        moves=moves,
        alone_moves=t[:, 0],
    )


def welch(variances: list[float], df: list[float]) -> float:
    """Satterthwaite's degrees of freedom, at most those of the first part."""
    noise = sum(v**2 / max(d, 1e-9) for v, d in zip(variances, df, strict=True))
    return min(sum(variances) ** 2 / noise, df[0]) if noise > 0 else df[0]


def interval(
    estimate: float, error: float, df: float, alpha: float, alternative: str
) -> dict[str, float]:
    """estimate, std_error, low, high, statistic, df, p of a t test against 0."""
    one_of(alternative, "alternative", ALTERNATIVES)
    both = alternative == "two-sided"
    half = float(special.stdtrit(df, 1 - alpha / (2 if both else 1))) * error
    low = -np.inf if alternative == "smaller" else estimate - half
    high = np.inf if alternative == "larger" else estimate + half
    limit = 0.0 if estimate == 0 else float(np.copysign(np.inf, estimate))
    statistic = estimate / error if error > 0 else limit
    tail = {"two-sided": -abs(statistic), "larger": -statistic, "smaller": statistic}[alternative]
    p = float(special.stdtr(df, tail)) * (2 if both else 1)
    values = dict(zip(REQUIRED, (estimate, error, low, high), strict=True))
    return values | {"statistic": statistic, "df": df, "p": min(p, 1.0)}
