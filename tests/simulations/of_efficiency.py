"""Study 02: choices against beliefs; functions of shares that firms want."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, softmax

import simkit.estimators as est
from tests.simulations.case import Case

FEWER = "a test of equivalence at the margin: discrete, and at most the nominal with few runs"
WIDER = "the wider of two intervals, with half a choice for the steps of a mean of few"
FIXED = "intervals over runs of these conditions say nothing of other conditions: use 'conditions'"
RUNS = "each run stands in the sample for itself, though personas gave several: use cluster="
POOL = "the pool's own error is allowed for on the wide side"
FOLDS = "folds share their training data, and conditions are few"
EVEN = "options equally often chosen: the wider of two intervals"
STEPS = "evenly split choices of few runs: skewed, and in steps"
FEW = "few runs, skewed squares"
NEAR = "a price coefficient that is hardly off zero: Fieller's interval is wide"


def within(row: pd.Series, truth: float) -> bool | None:
    return None if np.isnan(row["low"]) else bool(row["low"] <= truth <= row["high"])


def drawn(belief: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Choices, 0 or 1 or one-hot, from beliefs."""
    if belief.ndim == 1:
        return (rng.random(len(belief)) < belief).astype(float)
    at = (rng.random((len(belief), 1)) > belief.cumsum(axis=1)).sum(axis=1)
    return np.eye(belief.shape[1])[np.minimum(at, belief.shape[1] - 1)]


def beta(p: np.ndarray, precision: Any, rng: np.random.Generator) -> np.ndarray:
    return rng.beta(np.maximum(p * precision, 1e-9), np.maximum((1 - p) * precision, 1e-9))


# --- how many choices a belief is worth -------------------------------------------------------


def _factor(
    sizes: list[int],
    alpha: list[float],
    name: str = "measured",
    promise: tuple[float, float] | None = None,
    why: str = "",
) -> Case:
    """Dirichlet beliefs: the factor is the sum of their parameters plus 1."""
    code, factor = np.repeat(range(len(sizes)), sizes), sum(alpha) + 1

    def repetition(rng: np.random.Generator) -> bool | None:
        b = rng.dirichlet(alpha, len(code))
        found = est.efficiency_factor(drawn(b, rng), b, condition=code)
        return within(found[name], 1 / factor if name == "between_share" else factor)

    runs = "/".join(map(str, sizes)) if len(sizes) < 5 else f"{len(sizes)} x {sizes[0]}"
    design = f"{runs} runs, factor {factor:g}"
    return Case("efficiency_factor", f"{name}, over runs", design, repetition, promise=promise,
                why=why)  # fmt: skip


def _variance(
    sizes: list[int], alphas: list[list[float]], name: str = "choice", promise: bool = True,
    why: str = "",
) -> Case:  # fmt: skip
    """Conditions whose options are equally often chosen, or nearly; two are one share."""
    code = np.repeat(range(len(sizes)), sizes)
    alpha = np.array([alphas[c % len(alphas)] for c in range(len(sizes))])
    total = alpha.sum(axis=1, keepdims=True)
    each = alpha / total * (1 - alpha / total) / (1 if name == "choice" else total + 1)
    two = alpha.shape[1] == 2
    truth = float(each[:, 0].mean() if two else each.sum(axis=1).mean())

    def repetition(rng: np.random.Generator) -> bool | None:
        g = rng.gamma(alpha[code])
        b = g / g.sum(axis=1, keepdims=True)
        b = b[:, 0] if two else b
        found = est.efficiency_factor(drawn(b, rng), b, condition=code)
        return within(found[f"variance_{name}"], truth)

    shares = " or ".join("/".join(f"{p:.2g}" for p in np.divide(a, sum(a))) for a in alphas)
    runs = f"{len(sizes)} x {sizes[0]}" if len(sizes) > 1 else f"{sizes[0]}"
    precise = f", precision {sum(alphas[0]):g}" if name == "belief" else ""
    return Case(
        "efficiency_factor", f"variance_{name}, over runs",
        f"{runs} runs, shares {shares}{precise}", repetition,
        promise=None if promise else (0.93, 1.0), why=why,
    )  # fmt: skip


def _needed(name: str) -> Case:
    alpha = np.array([4.0, 3, 1])
    share = alpha / alpha.sum()
    need = float((share * (1 - share)).mean()) / 0.05**2 / (9 if name == "belief" else 1)

    def repetition(rng: np.random.Generator) -> bool | None:
        b, code = rng.dirichlet(alpha, 150), np.repeat([0, 1, 2], 50)
        found = est.runs_needed(drawn(b, rng), b, 0.05, condition=code)
        return within(found[f"{name}, rmse=0.05"], need)

    return Case("runs_needed", name, "3 conditions of 50 runs", repetition)


def _population(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Conditions of a population: shares, and precisions of their beliefs."""
    return rng.beta(2, 4, n), np.exp(rng.normal(np.log(20), 0.6, n))


@cache
def _whole() -> float:
    p, k = _population(2_000_000, np.random.default_rng(0))
    return float((p * (1 - p)).mean() / (p * (1 - p) / (k + 1)).mean())


def _conditions(count: int, runs: int, over: str = "conditions", name: str = "measured") -> Case:
    code = np.repeat(range(count), runs)

    def repetition(rng: np.random.Generator) -> bool | None:
        p, k = _population(count, rng)
        b = beta(p[code], k[code], rng)
        found = est.efficiency_factor(drawn(b, rng), b, condition=code, over=over)
        return within(found[name], 1 / _whole() if name == "between_share" else _whole())

    wrong = over == "runs"
    design = f"{count} conditions of a population, {runs} runs"
    return Case(
        "efficiency_factor", f"{name}, over {over}", design, repetition,
        promise=(0.2, 0.85) if wrong else None, why=FIXED if wrong else "",
    )  # fmt: skip


def _personas(count: int) -> Case:
    """Conditions are personas at four prices each."""
    code = np.repeat(range(4 * count), 15)

    def shares(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        level = rng.normal(0, 0.8, (n, 1)) + np.linspace(1, -1, 4) - 0.5
        return expit(level).ravel(), np.exp(rng.normal(np.log(20), 0.5, n)).repeat(4)

    p, k = shares(400_000, np.random.default_rng(0))
    truth = float((p * (1 - p)).mean() / (p * (1 - p) / (k + 1)).mean())

    def repetition(rng: np.random.Generator) -> bool | None:
        p, k = shares(count, rng)
        b = beta(p[code], k[code], rng)
        found = est.efficiency_factor(
            drawn(b, rng), b, condition=code, over="conditions", cluster=code // 4
        )
        return within(found["measured"], truth)

    design = f"{count} personas at 4 prices each, 15 runs"
    few = count < 12
    return Case(
        "efficiency_factor", "measured, over conditions, cluster=", design, repetition,
        promise=(0.89, 0.97) if few else None,
        why="6 personas whose factors differ by a half" if few else "",
    )  # fmt: skip


def _within(count: int, runs: int, clustered: bool) -> Case:
    """Personas within a condition, who gave several runs each."""
    code, persona = np.repeat(range(3), count * runs), np.repeat(range(3 * count), runs)
    p = 1 / 3  # of Beta(3, 6): variance p (1 - p) / 10; within a persona 1/21 of the rest
    between = p * (1 - p) / 10
    truth = p * (1 - p) / (between + (p * (1 - p) - between) / 21)

    def repetition(rng: np.random.Generator) -> bool | None:
        b = beta(rng.beta(3, 6, 3 * count)[persona], 20, rng)
        cluster = persona if clustered else None
        found = est.efficiency_factor(drawn(b, rng), b, condition=code, cluster=cluster)
        return within(found["measured"], truth)

    what = "measured, over runs" + (", cluster=" if clustered else "")
    design = f"3 conditions of {count} personas, {runs} runs each"
    return Case(
        "efficiency_factor", what, design, repetition,
        promise=None if clustered else (0.6, 0.9), why="" if clustered else RUNS,
    )  # fmt: skip


# --- the same limit ---------------------------------------------------------------------------


def _margin(sizes: list[int], belief: float, margin: float, sign: int, row: str) -> Case:
    """Choices exactly the margin away from beliefs that hardly vary."""
    code = np.repeat(range(len(sizes)), sizes)

    def repetition(rng: np.random.Generator) -> bool | None:
        b = beta(np.full(len(code), belief), 200, rng).clip(max=1 - margin)
        y = drawn(np.clip(b + sign * margin, 0, 1), rng)
        found = est.equivalence_test(y, b, margin=margin, condition=code)
        return bool(found[row]["equivalent"])

    runs = "/".join(map(str, sizes))
    design = f"{runs} runs, belief {belief:g}, margin {sign * margin:+g}"
    return Case("equivalence_test", f"{row}, p", design, repetition, "size", (0.0, 0.055), FEWER)


def _difference(sizes: list[int], alpha: list[float]) -> Case:
    code = np.repeat(range(len(sizes)), sizes)

    def repetition(rng: np.random.Generator) -> bool | None:
        b = rng.dirichlet(alpha, len(code))
        y = drawn(b, rng)
        found = est.equivalence_test(y, b, margin=0.1, condition=code, alpha=0.025)
        return within(found["0"], 0.0)

    few = min(sizes) < 100
    design = f"{len(sizes)} x {sizes[0]} runs, first belief {alpha[0] / sum(alpha):.2g}"
    return Case(
        "equivalence_test", "an option", design, repetition, promise=(0.93, 1.0) if few else None,
        why=WIDER if few else "",
    )  # fmt: skip


def _centred(sizes: list[int], alpha: list[float], promise: tuple[float, float] | None) -> Case:
    code = np.repeat(range(len(sizes)), sizes)

    def repetition(rng: np.random.Generator) -> bool | None:
        b = rng.dirichlet(alpha, len(code))
        found = est.equivalence_test(drawn(b, rng), b, margin=0.1, condition=code)
        return bool(found["centred"]["p_zero"] < 0.05)

    design = f"{len(sizes)} x {sizes[0]} runs, least belief {min(alpha) / sum(alpha):.2g}"
    why = "few choices of a rare option: chi2 is in steps" if promise else ""
    return Case("equivalence_test", "centred, p_zero", design, repetition, "size", promise, why)


def _rate(count: int) -> Case:
    code = np.repeat(range(count), 60)

    def repetition(rng: np.random.Generator) -> bool | None:
        b = beta(rng.beta(2, 3, count)[code], 20, rng)
        found = est.difference_rate(drawn(b, rng), b, condition=code, sizes=[1, 3, 10], rng=rng)
        return within(found["slope"], -0.5)

    return Case("difference_rate", "slope", f"{count} conditions of 60 runs", repetition)


# --- errors and predictions -------------------------------------------------------------------


def _rmse(count: int, pool: int, runs: int, kind: str) -> Case:
    alpha = np.array([4.0, 3, 1])
    share, code = alpha / alpha.sum(), np.repeat(range(count), pool)
    variance = float((share * (1 - share)).mean()) / (9 if kind == "belief" else 1)

    def repetition(rng: np.random.Generator) -> bool | None:
        b = rng.dirichlet(alpha, len(code))
        truth = np.tile(share, (len(code), 1))
        found = est.rmse_curve(
            drawn(b, rng), b, truth, condition=code, sizes=[runs], repetitions=50, rng=rng
        )
        return within(found[f"{kind}, n={runs}"], np.sqrt(variance / runs))

    design = f"{count} conditions, pools of {pool}, n = {runs}"
    return Case("rmse_curve", kind, design, repetition, promise=(0.92, 0.995), why=POOL)


def _study(count: int, runs: int, rng: np.random.Generator, repetitions: int) -> pd.DataFrame:
    p, code = expit(rng.standard_normal(count) - 0.5), np.repeat(range(count), 4 * runs)
    b = beta(p[code], 20, rng)
    return est.share_prediction(
        drawn(b, rng), b, p[code], condition=code, sizes=[runs], repetitions=repetitions,
        folds=6, rng=rng,
    ).frame  # fmt: skip


@cache
def _predicted(count: int, runs: int) -> pd.Series:
    """R2 in a large population of conditions; log loss as trained on so many conditions."""
    rng = np.random.default_rng(0)
    many = _study(4_000, runs, rng, 3)["estimate"]
    few = pd.concat([_study(count, runs, rng, 1)["estimate"] for _ in range(300)], axis=1)
    return many.where(many.index.str.startswith("r2"), few.mean(axis=1))


def _prediction(count: int, quantity: str) -> Case:
    def repetition(rng: np.random.Generator) -> bool | None:
        row = _study(count, 5, rng, 5).loc[f"{quantity}, n=5"]
        return within(row, float(_predicted(count, 5)[f"{quantity}, n=5"]))

    few = count < 30 or quantity.startswith("logloss")
    design = f"{count} conditions, 5 of 20 runs"
    return Case(
        "share_prediction", quantity, design, repetition, promise=(0.87, 0.99) if few else None,
        why=FOLDS if few else "",
    )  # fmt: skip


# --- what a firm wants ------------------------------------------------------------------------

CONST, SLOPE = np.array([2.0, 1.4, 0.0]), -0.08
GRID = np.array([[20.0, 25], [30, 25], [20, 35], [27, 31], [34, 22], [24, 28]])


def _shares(price: np.ndarray) -> np.ndarray:
    price = np.atleast_2d(price)
    paid = np.column_stack([price, np.zeros(len(price))])
    return np.asarray(softmax(CONST + SLOPE * paid, axis=1))


def _best() -> float:
    """The price at which the profit's derivative is 0, cost 15, the other at 28."""

    def slope(p: float) -> float:
        share = float(_shares(np.array([p, 28.0]))[0, 0])
        return 1 + (p - 15) * SLOPE * (1 - share)

    return float(brentq(slope, 15.1, 200))


OWN = SLOPE * 25 * (1 - float(_shares(np.array([25.0, 28]))[0, 0]))
FUNCTIONS: dict[str, tuple[str, Callable[..., Any], float]] = {
    "conditional_logit": ("price", lambda s, p, **k: est.conditional_logit(s, p, **k), SLOPE),
    "price_elasticities": (
        "own[option 0]", lambda s, p, **k: est.price_elasticities(s, p, at=[25, 28], **k), OWN,
    ),
    "willingness_to_pay": (
        "option 0 over option 1", lambda s, p, **k: est.willingness_to_pay(s, p, **k),
        float((CONST[0] - CONST[1]) / -SLOPE),
    ),
    "optimal_price": (
        "price", lambda s, p, **k: est.optimal_price(s, p, cost=15, at=[25, 28], **k), _best(),
    ),
}  # fmt: skip


def _firm(name: str, kind: str, runs: int) -> Case:
    """Runs of six price conditions, as choices or beliefs."""
    row, function, truth = FUNCTIONS[name]
    code = np.repeat(range(len(GRID)), runs)
    share = _shares(GRID)

    def repetition(rng: np.random.Generator) -> bool | None:
        b = np.concatenate([rng.dirichlet(20 * q, runs) for q in share])
        s = b if kind == "beliefs" else drawn(b, rng)
        return within(function(s, GRID[code], condition=code)[row], truth)

    design = f"{kind} of {runs} runs in 6 price conditions"
    cautious = name == "willingness_to_pay" and kind == "choices"
    return Case(name, row, design, repetition, promise=(0.93, 0.99) if cautious else None,
                why=NEAR if cautious else "")  # fmt: skip


def _people(sizes: list[int]) -> Case:
    """Beliefs of people who answered at several prices, with levels of their own."""
    code = np.repeat(range(len(sizes)), sizes)

    def beliefs(own: np.ndarray, price: np.ndarray) -> np.ndarray:
        return np.asarray(expit(2 - 0.08 * price + own))

    big = np.random.default_rng(0).normal(0, 0.5, 40_000)
    prices = np.array([15.0, 20, 25, 30, 35])
    mean = np.array([beliefs(big, p).mean() for p in prices])
    truth = float(est.conditional_logit(mean, prices)["price"]["estimate"])

    def repetition(rng: np.random.Generator) -> bool | None:
        price = rng.choice(prices, len(code))
        b = beliefs(rng.normal(0, 0.5, len(sizes))[code], price)
        return within(est.conditional_logit(b, price, cluster=code)["price"], truth)

    kind = "equal" if len(set(sizes)) == 1 else "1:2:12"
    few = len(sizes) < 6 or kind != "equal"
    return Case(
        "conditional_logit", "price, cluster=", f"{len(sizes)} people, {kind}", repetition,
        promise=(0.9, 1.0) if few else None,
        why="few effective clusters: the jackknife is cautious" if few else "",
    )  # fmt: skip


CASES = [
    _factor([40, 50, 60], [4, 3, 1]),
    _factor([40, 50, 60], [4, 3, 1], "theoretical"),
    _factor([40, 50, 60], [4, 3, 1], "between_share"),
    _factor([100], [20, 9, 1]),
    _factor([20], [4, 3, 1], promise=(0.92, 0.98), why=FEW),
    _factor([5] * 18, [2, 3], promise=(0.93, 0.99), why=FEW),
    _factor([200], [0.1, 0.1]),
    _variance([200], [[3, 3]]),
    _variance([40], [[3, 3]]),
    _variance([10], [[3, 3]], promise=False, why=STEPS),
    _variance([100], [[4.5, 5.5]]),
    _variance([40] * 6, [[3, 3]]),
    _variance([10] * 30, [[3, 3]], promise=False, why=STEPS),
    _variance([40] * 30, [[3, 3]]),
    _variance([100] * 3, [[5, 5], [4.5, 5.5], [3, 7]]),
    _variance([50], [[1, 9]]),
    _variance([100], [[2, 2, 2]], promise=False, why=EVEN),
    _variance([30] * 12, [[2, 2, 2]], promise=False, why=EVEN),
    _variance([100], [[5, 4.5, 0.5]]),
    _variance([30] * 12, [[4, 3, 1]]),
    _variance([200], [[0.02, 0.02]], "belief", promise=False, why=EVEN),
    _variance([200], [[3, 3]], "belief"),
    _needed("choice"),
    _needed("belief"),
    *(_conditions(c, n) for c, n in ((3, 100), (6, 100), (12, 50), (36, 30))),
    _conditions(12, 50, name="between_share"),
    _conditions(12, 50, over="runs"),
    _personas(6),
    _personas(12),
    _personas(30),
    _within(12, 8, True),
    _within(30, 5, True),
    _within(30, 5, False),
    *(_margin([n], b, 0.05, 1, "share") for b in (0.005, 0.5) for n in (5, 100, 1000)),
    *(_margin([n], 0.01, 0.05, 1, "share") for n in (10, 20, 100)),
    *(_margin([n], 0.06, 0.05, -1, "share") for n in (10, 200)),
    _margin([4, 6, 100, 200], 0.01, 0.05, 1, "share"),
    _margin([4, 6, 100, 200], 0.01, 0.2, 1, "share"),
    _margin([4, 6, 100, 200], 0.01, 0.2, 1, "worst_cell"),
    _margin([200, 200], 0.3, 0.1, 1, "worst_cell"),
    _difference([20] * 3, [4, 3, 1]),
    _difference([200] * 6, [4, 3, 1]),
    _difference([20] * 3, [0.1, 3, 1]),
    _centred([40] * 4, [4, 3, 1], None),
    _centred([10] * 4, [0.05, 5, 5], (0.0, 0.09)),
    *(_rate(c) for c in (3, 6, 12, 36)),
    *(_rmse(6, 100, n, kind) for n in (5, 40) for kind in ("choice", "belief")),
    *(_prediction(c, q) for c in (12, 36) for q in ("r2_choice", "r2_belief", "r2_gain",
                                                    "logloss_belief", "logloss_gain")),
    *(_firm(name, kind, 20) for name in FUNCTIONS for kind in ("choices", "beliefs")),
    _firm("optimal_price", "choices", 100),
    _people([5] * 3),
    _people([5] * 6),
    _people([5] * 12),
    _people([5] * 30),
    _people([1, 2, 12] * 4),
]  # fmt: skip
