"""Study 06: a few people's answers and a model's predictions of everybody's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr, ndtri

import simkit.estimators as est
from tests.simulations.case import Case

SHARES = np.array([0.1, 0.2, 0.4, 0.3])  # of four answers, where the latent is standard normal
CUTS = ndtri(SHARES.cumsum()[:-1])
VALUES = [1.0, 2.0, 3.0, 4.0]
SHIFT = 0.8  # of the second stratum's latent


def normal(code: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Standard normal, half of the variance being the cluster's."""
    own = rng.normal(size=len(code))
    if len(np.unique(code)) == len(code):
        return own
    return np.sqrt(0.5) * (rng.normal(size=code.max() + 1)[code] + own)


def population(n: int, rho: float, kind: str, rng: np.random.Generator) -> dict[str, Any]:
    """n people asked and 4 n others.

    z : latent answers, x : a covariate, signal : what the model knows, with correlation rho with
    z. kind : "" or with "weighted" (two strata of half the population each, of which the first is
    drawn 7 times of 10, and whose latents differ) and "clustered" (households of two).
    """
    m = 5 * n
    code = rng.permutation(m) // 2 if "clustered" in kind else np.arange(m)
    stratum = (rng.random(m) > 0.7) * ("weighted" in kind)
    weight = np.where(stratum, 1 / 0.3, 1 / 0.7) if "weighted" in kind else np.ones(m)
    z = normal(code, rng)
    signal = rho * z + np.sqrt(1 - rho**2) * normal(code, rng)
    x = normal(code, rng) + stratum
    asked = np.arange(m) < n
    # A model that thinks it knows more than it does, and errs to one side.
    guess = np.diff(ndtr((np.r_[-np.inf, CUTS, np.inf] - 0.6 * signal[:, None] - 0.3) / 0.8))
    z = z + SHIFT * stratum
    return {
        "x": x, "z": z, "signal": signal + 0.5, "belief": guess, "asked": asked,
        "scale": np.digitize(z, CUTS) + 1.0,
        "more": {"weights": weight, "cluster": code if "clustered" in kind else None},
    }  # fmt: skip


def shares(kind: str) -> np.ndarray:
    if "weighted" not in kind:
        return SHARES
    ends = np.r_[-np.inf, CUTS, np.inf]
    return np.asarray((np.diff(ndtr(ends)) + np.diff(ndtr(ends - SHIFT))) / 2)


def mean(d: dict[str, Any], kind: str) -> tuple[Any, float]:
    y = np.where(d["asked"], d["scale"], np.nan)
    found = est.mixed_mean(y, d["belief"], values=VALUES, **d["more"])
    return found, float(shares(kind) @ VALUES)


def combination(d: dict[str, Any], kind: str) -> tuple[Any, float]:
    y = np.where(d["asked"], d["scale"], np.nan)
    return est.mixed_mean(y, d["belief"], **d["more"]), float(shares(kind) @ VALUES)


def share(d: dict[str, Any], kind: str) -> tuple[Any, float]:
    y = pd.Series(d["scale"]).where(d["asked"])
    found = est.mixed_shares(y, d["belief"], options=VALUES, **d["more"])
    return found, float(shares(kind)[2])


def rare(d: dict[str, Any], kind: str) -> tuple[Any, float]:
    y = pd.Series(d["scale"]).where(d["asked"])
    found = est.mixed_shares(y, d["belief"], options=VALUES, **d["more"])
    return found, float(shares(kind)[0])


def difference(d: dict[str, Any], kind: str) -> tuple[Any, float]:
    """Of two treatments of the same people where they are in clusters, else of two groups."""
    y = np.where(d["asked"], d["z"], np.nan)
    by = np.arange(len(y)) % 2
    return est.mixed_difference(y + 0.3 * by, d["signal"], by, **d["more"]), 0.3


def quantile(d: dict[str, Any], kind: str) -> tuple[Any, float]:
    y = np.where(d["asked"], d["z"], np.nan)
    return est.mixed_quantile(y, d["signal"], 0.5, **d["more"]), SHIFT / 2 * ("weighted" in kind)


def linear(d: dict[str, Any], kind: str) -> tuple[Any, float]:
    y = np.where(d["asked"], d["z"] + 0.5 * d["x"], np.nan)
    found = est.mixed_regression(y, d["signal"] + 0.3 * d["x"], d["x"], **d["more"])
    pull = 0.25 / 1.25 * SHIFT if "weighted" in kind else 0.0  # the stratum's, through x
    return found, 0.5 + pull


def logit(d: dict[str, Any], kind: str) -> tuple[Any, float]:
    """The latent noise is logistic; its strata are left out, so that the model holds."""
    noise = d["z"] - SHIFT * (d["more"]["weights"] > 2)
    threshold = np.log(ndtr(noise) / ndtr(-noise))
    y = np.where(d["asked"], threshold < 0.8 * d["x"] - 0.2, np.nan)
    belief = expit(0.5 * d["x"] - 1.5 * d["signal"])
    return est.mixed_regression(y, belief, d["x"], family="logit", **d["more"]), 0.8


QUANTITIES = {
    "mixed_mean": ("mean, expected value", mean, "mixed"),
    "mixed_mean, combination": ("mean, best combination", combination, "mixed"),
    "mixed_shares": ("share of 0.4", share, "3.0, mixed"),
    "mixed_shares, rare": ("share of 0.1", rare, "1.0, mixed"),
    "mixed_difference": ("difference", difference, "1 - 0, mixed"),
    "mixed_quantile": ("median", quantile, "mixed"),
    "mixed_regression": ("slope, linear", linear, "x, mixed"),
    "mixed_regression, logit": ("slope, logit", logit, "x, mixed"),
}


def _case(name: str, n: int, rho: float, kind: str = "") -> Case:
    quantity, make, row = QUANTITIES[name]

    def repetition(rng: np.random.Generator) -> bool:
        found, truth = make(population(n, rho, kind, rng), kind)
        low, high = found.interval(row)
        return bool(low <= truth <= high)

    design = f"{n} people asked, {4 * n} others, correlation {rho:g}{kind and ', '}{kind}"
    return Case(name.split(",")[0], quantity, design, repetition)


def _silent(n: int) -> Case:
    """The model does not answer for people of low answers: complete cases would be biased."""

    def repetition(rng: np.random.Generator) -> bool:
        z = rng.normal(size=5 * n)
        f = np.where(rng.random(5 * n) < expit(-2 * z), np.nan, z + rng.normal(size=5 * n))
        y = np.where(np.arange(5 * n) < n, z, np.nan)
        low, high = est.mixed_mean(y, f, missing="constant").interval("mixed")
        return bool(low <= 0 <= high)

    design = f"{n} people asked, {4 * n} others, half without a prediction, those of low answers"
    return Case("mixed_mean", "mean, missing='constant'", design, repetition)


CASES = [
    _silent(100),
    *(_case(name, n, rho) for name in QUANTITIES for n in (50, 100, 400) for rho in (0, 0.3, 0.8)),
    *(
        _case(name, 100, 0.8, kind)
        for name in QUANTITIES
        for kind in ("weighted", "clustered", "weighted and clustered")
    ),
]
