"""Polychoric correlations of many pairs of ordered items at once.

Two ordered answers are taken as a bivariate normal variable that was cut at thresholds. Two steps
(Olsson 1979, Psychometrika 44): thresholds from each item's own shares, then the correlation that
makes the table likeliest, by Fisher scoring in atanh(rho).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from simkit.types import FloatArray

__all__ = ["bivariate_normal", "polychoric_pairs"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
FAR = 8.0  # a threshold that nothing lies beyond
LARGEST = 0.999  # |rho| beyond it cannot be told from 1 in a table
STEPS = 60


def bivariate_normal(h: npt.ArrayLike, k: npt.ArrayLike, rho: npt.ArrayLike) -> FloatArray:
    """P(X <= h, Y <= k) of standard normals with correlation rho; arrays broadcast.

    Phi(h) Phi(k) + (1 / 2 pi) times the integral of exp(-(h^2 + k^2 - 2 h k sin t) / 2 cos^2 t)
    over t from 0 to asin(rho) (Plackett 1954), by Gauss-Legendre; within 1e-8 up to |rho| = 0.95.
    """
    h, k, rho = (np.asarray(a, dtype=np.float64)[..., None] for a in (h, k, rho))
    half = np.arcsin(rho) / 2
    sine = np.sin(half * (_NODES + 1))
    power = (h**2 + k**2 - 2 * h * k * sine) / (2 * (1 - sine**2))
    area = (half * _WEIGHTS * np.exp(-power)).sum(axis=-1) / (2 * np.pi)
    return np.asarray((special.ndtr(h) * special.ndtr(k))[..., 0] + area)


def polychoric_pairs(tables: FloatArray) -> FloatArray:
    """Polychoric correlations (P,) of P two-way tables (P, R, C) of counts or weights.

    Rows and columns of zeros (categories that a pair does not use) change nothing. NaN where a
    table has one row or one column only, or nothing at all. +-0.999 where it is as good as
    perfect.
    """
    total = tables.sum(axis=(1, 2))
    usable = ((tables.sum(2) > 0).sum(1) > 1) & ((tables.sum(1) > 0).sum(1) > 1)
    out = np.full(len(tables), np.nan)
    if not usable.any():
        return out
    share = tables[usable] / total[usable, None, None]
    a, b = _thresholds(share.sum(2)), _thresholds(share.sum(1))
    z, place, step = np.zeros((3, len(share)))
    best = np.full(len(share), -np.inf)
    for _ in range(STEPS):
        value, score, information = _likelihood(share, a, b, np.tanh(z))
        worse = value < best - 1e-14
        step = np.where(worse, step / 2, score / information)  # halve a step that overshot
        step = np.clip(step, -0.7, 0.7)
        place, best = np.where(worse, place, z), np.where(worse, best, value)
        limit = np.arctanh(LARGEST)
        z = np.clip(place + step, -limit, limit)
        if np.abs(z - place).max() < 1e-9:
            break
    out[usable] = np.tanh(place)
    return out


def _thresholds(margin: FloatArray) -> FloatArray:
    """Cuts (P, R + 1) of a margin (P, R), the outer ones where nothing is beyond."""
    inner = special.ndtri(np.clip(margin.cumsum(axis=1)[:, :-1], 0.0, 1.0))
    edge = np.full((len(margin), 1), FAR)
    return np.concatenate([-edge, np.clip(inner, -FAR, FAR), edge], axis=1)


def _likelihood(
    share: FloatArray, a: FloatArray, b: FloatArray, rho: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Per pair the mean log-likelihood, its slope in atanh(rho) and the expected information."""
    h, k, r = a[:, :, None], b[:, None, :], rho[:, None, None]
    spread = 1 - r**2
    cdf = bivariate_normal(h, k, r)
    density = np.exp(-(h**2 + k**2 - 2 * r * h * k) / (2 * spread)) / (2 * np.pi * np.sqrt(spread))
    edge = (np.abs(h) >= FAR) | (np.abs(k) >= FAR)
    cell = np.diff(np.diff(cdf, axis=1), axis=2).clip(1e-12)
    slope = np.diff(np.diff(np.where(edge, 0.0, density), axis=1), axis=2) * spread
    value = (share * np.log(cell)).sum(axis=(1, 2))
    score = (share * slope / cell).sum(axis=(1, 2))
    return value, score, (slope**2 / cell).sum(axis=(1, 2)).clip(1e-9)
