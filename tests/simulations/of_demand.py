"""Study 01: demand curves, logit slopes and the balance audit, over wordings and products."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit

import simkit.estimators as est
from tests.simulations.case import Case

PRICES = np.array([1.0, 2.0, 3.0, 4.0])
BIG = np.random.default_rng(0).standard_normal((2, 200_000))
NOTHING = "nothing shared: a variance of two factors is never taken to be below the cells' own"
RARE = "rare purchases: shares are skewed, and the interval is widened to what normal logits allow"


def crossed(rng: np.random.Generator, w: int, p: int, share: float) -> pd.DataFrame:
    """One row per wording, product and price; `z` (2 columns) are standard normal cell effects,
    of whose variance `share` is the wording's own, the same for all products."""
    own = rng.standard_normal((2, w, 1)) * np.sqrt(share)
    cell = rng.standard_normal((2, w, p)) * np.sqrt(1 - share)
    level, slope = (own + cell).reshape(2, -1)
    of = np.repeat(np.arange(w * p), len(PRICES))
    return pd.DataFrame({
        "wording": of // p, "product": of % p, "price": np.tile(PRICES, w * p),
        "level": level[of], "slope": slope[of],
    })  # fmt: skip


def unequal(rng: np.random.Generator, sizes: list[int]) -> pd.DataFrame:
    """Wordings of which each is asked for as many products; all effects are the wording's."""
    frame = crossed(rng, len(sizes), max(sizes), 1.0)
    return frame[frame["product"] < np.array(sizes)[frame["wording"]]]


def buys(frame: pd.DataFrame, at: float, spread: float) -> np.ndarray:
    eta = at - 0.5 * (frame["price"] - 2.5) + spread * frame["level"]
    return expit(eta + spread / 4 * frame["slope"] * (frame["price"] - 2.5)).to_numpy()


@cache
def mean_curve(at: float, spread: float) -> np.ndarray:
    """The population's mean P(buy) at each price."""
    level, slope = BIG
    x = PRICES[:, None] - 2.5
    return np.asarray(expit(at - 0.5 * x + spread * level + spread / 4 * slope * x).mean(axis=1))


@cache
def limit(at: float, spread: float) -> np.ndarray:
    """Constant and slope of the logit nearest to the mean curve, in likelihood."""
    y = mean_curve(at, spread)

    def loss(b: np.ndarray) -> float:
        eta = b[0] + b[1] * PRICES
        return float((np.logaddexp(0, eta) - y * eta).sum())

    return np.asarray(minimize(loss, [0.0, -0.5], method="BFGS", options={"gtol": 1e-9}).x)


Design = Callable[[np.random.Generator], pd.DataFrame]
DESIGNS: dict[str, tuple[Design, list[str]]] = {
    **{
        f"6 wordings x 10 products, {int(100 * s)} % of the effects shared": (
            lambda rng, s=s: crossed(rng, 6, 10, s),
            ["product", "wording"],
        )
        for s in (0.0, 0.25, 0.5, 1.0)
    },
    **{
        f"{n} wordings, 2 products": (lambda rng, n=n: crossed(rng, n, 2, 0.5), ["wording"])
        for n in (3, 6, 12, 30)
    },
    "12 wordings of sizes 1 : 2 : 12": (lambda rng: unequal(rng, [1, 2, 12] * 4), ["wording"]),
    "12 wordings, long tail": (
        lambda rng: unequal(rng, [12, 6, 4, 3, 3, 2, 2, 2, 1, 1, 1, 1]), ["wording"],
    ),
}  # fmt: skip
ZERO = "6 wordings x 10 products, 0 % of the effects shared"


def within(row: pd.Series, truth: float) -> bool | None:
    return None if np.isnan(row["low"]) else bool(row["low"] <= truth <= row["high"])


def _curve(name: str, at: float, spread: float) -> Case:
    make, unit = DESIGNS[name]

    def repetition(rng: np.random.Generator) -> bool | None:
        d = make(rng)
        d = d[d["price"] == 2]
        found = est.demand_curve(d["price"], buys(d, at, spread), cluster=d[unit])
        return within(found["price=2"], mean_curve(at, spread)[1])

    promise, why = ((0.93, 0.99), NOTHING) if name == ZERO else (None, "")
    where = f"{name}; mean P = {mean_curve(at, spread)[1]:.2f}"
    return Case("demand_curve", "a price", where, repetition, promise=promise, why=why)


def _saturated(n: int) -> Case:
    def repetition(rng: np.random.Generator) -> bool | None:
        y = expit(3 + 1.5 * rng.standard_normal(n))
        found = est.demand_curve(np.ones(n), y)
        return within(found["price=1"], truth)

    truth = float(expit(3 + 1.5 * BIG[0]).mean())
    return Case("demand_curve", "a price", f"{n} wordings, saturated: P = 0.90, skewed", repetition)


def _slope(name: str) -> Case:
    make, unit = DESIGNS[name]

    def repetition(rng: np.random.Generator) -> bool | None:
        d = make(rng)
        found = est.price_coefficient(d["price"], buys(d, 0.4, 0.8), cluster=d[unit])
        return within(found["price"], limit(0.4, 0.8)[1])

    promise, why = ((0.93, 0.99), NOTHING) if name == ZERO else (None, "")
    return Case("price_coefficient", "price", name, repetition, promise=promise, why=why)


def _difference(name: str) -> Case:
    make, unit = DESIGNS[name]
    truth = dict(zip(PRICES, mean_curve(0.4, 0.8), strict=True))

    def repetition(rng: np.random.Generator) -> bool | None:
        d = make(rng)
        found = est.curve_error(
            d["price"], buys(d, 0.4, 0.8), d["price"].map(truth), cluster=d[unit]
        )
        return within(found["mean_difference"], 0.0)

    promise, why = ((0.93, 0.99), NOTHING) if name == ZERO else (None, "")
    return Case("curve_error", "mean_difference", name, repetition, promise=promise, why=why)


def _rare(estimator: str, share: float, at: float) -> Case:
    """8 wordings x 8 products whose shares of purchases are near 0, or near 1."""
    truth = dict(zip(PRICES, mean_curve(at, 1.0), strict=True))
    mean = float(np.mean(list(truth.values())))

    def repetition(rng: np.random.Generator) -> bool | None:
        d = crossed(rng, 8, 8, share)
        y, unit = buys(d, at, 1.0), d[["product", "wording"]]
        if estimator == "demand_curve":
            found = est.demand_curve(d["price"], y, cluster=unit)["price=2"]
            return within(found, truth[2])
        found = est.curve_error(d["price"], y, d["price"].map(truth), cluster=unit)
        return within(found["mean_difference"], 0.0)

    quantity = "a price" if estimator == "demand_curve" else "mean_difference"
    design = f"8 wordings x 8 products, {int(100 * share)} % shared; mean P = {mean:.3f}"
    return Case(estimator, quantity, design, repetition, promise=(0.93, 0.995), why=RARE)


def _audit(name: str, quantity: str) -> Case:
    make, unit = DESIGNS[name]

    def repetition(rng: np.random.Generator) -> bool | None:
        d = make(rng)
        x = d["price"] - 2.5
        other = rng.standard_normal(12)[d["wording"] % 12]  # a level that no slope depends on
        frame = d.assign(a=d["slope"] * x, a_sd=1.0, b=d["level"] * x + other, b_sd=1.0)
        found = est.balance_audit(frame, covariates=["a", "b"], strata="product", cluster=unit)
        if quantity == "slope[a]":
            return within(found[quantity], 0.0)
        p = float(found[quantity]["p"])
        return None if np.isnan(p) else p < 0.05

    kind = "coverage" if quantity == "slope[a]" else "size"
    promise, why = None, ""
    if kind == "size":
        promise, why = (0.0, 0.07), "at most the nominal size (Bonferroni; few degrees of freedom)"
    elif name == ZERO:
        promise, why = (0.93, 0.99), NOTHING
    return Case("balance_audit", quantity, name, repetition, kind, promise, why)


def _elasticity(name: str) -> Case:
    make, unit = DESIGNS[name]

    def repetition(rng: np.random.Generator) -> bool | None:
        d = make(rng)
        found = est.own_price_elasticity(d["price"], buys(d, 0.4, 0.8), cluster=d[unit])
        return within(found["mean"], truth)

    b = limit(0.4, 0.8)
    truth = float((b[1] * PRICES * (1 - expit(b[0] + b[1] * PRICES))).mean())
    return Case("own_price_elasticity", "mean over prices", name, repetition)


def _flatness(name: str) -> Case:
    """Blind and unblinded purchases of different prompts, slopes -0.2 and -0.5."""
    make, unit = DESIGNS[name]

    def repetition(rng: np.random.Generator) -> bool | None:
        fits = []
        for slope in (-0.2, -0.5):
            d = make(rng)
            x = d["price"] - 2.5
            y = expit((slope + 0.1 * d["slope"]) * x + 0.3 * d["level"])
            fits.append(est.price_coefficient(d["price"], y, cluster=d[unit]))
        return within(est.flatness_ratio(*fits)["flatness_ratio"], 0.4)

    return Case("flatness_ratio", "ratio", name, repetition)


def _step(name: str) -> Case:
    """A smooth logit: no step."""
    make, unit = DESIGNS[name]

    def repetition(rng: np.random.Generator) -> bool | None:
        d = make(rng)
        bump = np.where(d["price"] > 2.5, 0.3, -0.3) * d["slope"]
        y = expit(-0.5 * d["price"] + 0.2 * d["level"] + bump)
        return within(est.step_test(d["price"], y, 2.5, cluster=d[unit])["jump"], 0.0)

    return Case("step_test", "jump", name, repetition)


def _elicited(name: str) -> Case:
    make, unit = DESIGNS[name]

    def repetition(rng: np.random.Generator) -> bool | None:
        d = make(rng)
        frame = d.assign(heat=10 + d["level"] * d["price"], heat_sd=2.0)
        found = est.elicited_curve(frame, covariates=["heat"], cluster=unit)
        return within(found["heat, price=2"], 10.0)

    return Case("elicited_curve", "a price", name, repetition)


SOME = ["6 wordings x 10 products, 50 % of the effects shared", "12 wordings, 2 products"]
CASES = [
    *(case(name) for case in (_elasticity, _flatness, _step, _elicited) for name in SOME),
    *(_curve(name, 0.4, 0.8) for name in DESIGNS),
    *(_saturated(n) for n in (4, 6, 8, 12, 20)),
    *(_slope(name) for name in DESIGNS),
    *(_difference(name) for name in DESIGNS),
    *(
        _rare(estimator, share, at)
        for estimator in ("curve_error", "demand_curve")
        for at, shares in ((-4.9, (0.25, 0.5, 1.0)), (4.9, (0.5,)))
        for share in shares
    ),
    *(
        _audit(name, quantity)
        for name in DESIGNS
        for quantity in ("slope[a]", "endogeneity_index", "joint_wald")
    ),
]
