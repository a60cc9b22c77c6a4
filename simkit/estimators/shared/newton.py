"""Multinomial logits of shares, fitted by Newton steps (quasi-likelihood), many at once."""

from __future__ import annotations

import numpy as np
from scipy import special

from simkit.types import FloatArray

__all__ = ["information", "newton"]

STEPS, REACH = 60, 4.0  # Newton steps at most, and how far one may move a utility


def newton(design: FloatArray, mass: FloatArray, total: FloatArray) -> FloatArray:
    """Maximise sum_c sum_k total log softmax(design beta): (..., P); NaN where there is no maximum.

    design : (..., C, K, P). mass : (..., C), the weight of each row. total : (..., C, K), weighted
    shares, which sum to mass. Leading axes are independent fits.
    """
    beta = np.zeros((*total.shape[:-2], design.shape[-1]))
    done = np.zeros(beta.shape[:-1], dtype=bool)
    ridge = 1e-13 * np.eye(design.shape[-1])
    for _ in range(STEPS):
        utility = (design @ beta[..., None, :, None])[..., 0]
        p = special.softmax(utility, axis=-1)
        score = np.einsum("...ckp,...ck->...p", design, total - mass[..., None] * p)
        curve = information(design, mass, p)
        trace = np.trace(curve, axis1=-2, axis2=-1)[..., None, None]
        # A fit that diverges has no curvature left: it stays finite here and is NaN at the end.
        step = np.linalg.solve(curve + ridge * (trace + 1e-300), score[..., None])
        reach = np.abs(design @ step[..., None, :, :]).max(axis=(-3, -2, -1))
        step = step[..., 0] * np.minimum(1, REACH / np.maximum(reach, 1e-300))[..., None]
        beta = beta + np.where(done[..., None], 0, step)
        done |= reach < 1e-9
        if done.all():
            break
    return np.where(done[..., None], beta, np.nan)


def information(design: FloatArray, mass: FloatArray, p: FloatArray) -> FloatArray:
    """sum_c mass X' (diag p - p p') X, (..., P, P)."""
    mean = np.einsum("...ck,...ckp->...cp", p, design)
    root = np.sqrt(mass[..., None] * p)[..., None] * (design - mean[..., None, :])
    root = root.reshape(*root.shape[:-3], -1, root.shape[-1])
    return np.asarray(np.swapaxes(root, -1, -2) @ root)
