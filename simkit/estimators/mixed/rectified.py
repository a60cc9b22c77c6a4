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

__all__ = ["ALTERNATIVES", "Rectified", "Sides", "interval", "rectify", "welch"]

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
        clusters, size = len(np.unique(code)), int(self.code.max()) + 1
        moves = w[:, None] * (x[rows] - mean)
        if clusters == len(rows):  # as sums_by does, but fast
            sums = np.zeros((size, x.shape[1]))
            sums[code] = moves
        else:
            sums = sums_by(moves, code, size)
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


def tuned(t: FloatArray, d: FloatArray) -> FloatArray:
    """λ (k,) of least variance, for influence sums t (G,) and d (G, k).

    One prediction has a λ from 0 to 1. Predictions that do not vary get 0.
    """
    if d.shape[1] > 1:
        return np.asarray(np.linalg.lstsq(d, t, rcond=1e-10)[0])
    square = float(np.sum(d * d))
    best = float(t @ d[:, 0]) / square if square > DUST * max(float(t @ t), 1e-300) else 0.0
    return np.array([min(max(best, 0.0), 1.0)])


def rectify(sides: Sides, y: FloatArray, f: FloatArray, lam: FloatArray | None) -> Rectified:
    """The mixed mean of y (m,), where asked, with predictions f (m, k).

    lam : (k,), or None for the best. Several best ones fit the sample too well, and move with it,
    like regression coefficients: each costs a degree of freedom, in the error and in the quantile,
    and the error has the factor for new people, 1 + k / n. Where the people alone are then as
    precise all are 0. One alone costs 1 / (2 n) of the error, and is not charged.
    """
    own, t = sides.side(y[:, None], True)
    seen, a = sides.side(f, True)
    others, b = sides.side(f, False)
    t, d, df = t[:, 0], a - b, sides.units(True) - 1
    best = tuned(t, d) if lam is None else lam
    alone = float(np.sqrt(np.sum(t * t)))
    spent = int(np.linalg.matrix_rank(d, rtol=1e-10)) if lam is None and len(best) > 1 else 0
    if spent and df - spent < 1:
        raise ValueError(
            f"there are {spent} predictions to weigh and {df + 1:.3g} people (or clusters) who "
            "were asked; give values= for one prediction, or lam="
        )
    inflation = df / (df - spent) * (1 + spent / (df + 1))
    if spent and np.sum((t - d @ best) ** 2) * inflation >= alone**2:
        best, inflation, spent = np.zeros_like(best), 1.0, 0
    moves = t - d @ best
    asked, rest = float(np.sum((t - a @ best) ** 2)), float(np.sum((b @ best) ** 2))
    return Rectified(
        estimate=float(own[0] - best @ (seen - others)),
        error=float(np.sqrt(np.sum(moves**2) * inflation)),
        df=min(welch([asked, rest], [df - spent, sides.units(False) - 1]), df - spent),
        alone=float(own[0]),
        alone_error=alone,
        alone_df=df,
        lam=best,
        moves=moves * np.sqrt(inflation),
        alone_moves=t,
    )


def welch(variances: list[float], df: list[float]) -> float:
    """Satterthwaite's degrees of freedom of a sum of variances."""
    noise = sum(v**2 / d for v, d in zip(variances, df, strict=True))
    return sum(variances) ** 2 / noise if noise > 0 else min(df)


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
