"""Study 03: distances of populations, errors of beliefs, shifts; over people or their clusters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import simkit.estimators as est
from tests.simulations.case import Case

SCALE = np.array([0.0, 10.0, 20.0, 50.0, 100.0])
LEVEL = np.array([0.3, 0.8, 0.5, 0.0, -0.6])  # log odds of the answers
TILT = np.array([-1.0, -0.5, 0.0, 0.6, 1.2])  # how they move with a person's trait
SHARED = 0.5  # share of the trait's variance between clusters
SMOOTHING = 0.01
FEW = "below 5 effective clusters no interval is to be trusted, as the notes say"
NEAR_ZERO = (
    "a distance near 0 has no normal limit, so its interval is cautious there, and cautious where "
    "shares nearly agree (tv, wasserstein)"
)
KINKS = "where shares nearly agree, total variation has a kink and the ends are moved outwards"
GRID = "the ends are temperatures of the grid"
METRICS = ("kl", "js", "tv", "wasserstein", "mean_difference", "variance_ratio")
ITEMS = ("tv", "nemd", "js", "variance_ratio")
BEST = ("300 people", "6 clusters of 30", "12 clusters of 20")


@dataclass(frozen=True)
class Data:
    """People: answers, beliefs about them before and after tuning, the cluster of each."""

    y: np.ndarray
    first: np.ndarray
    second: np.ndarray
    cluster: np.ndarray | None


def softmax(x: np.ndarray) -> np.ndarray:
    weight = np.exp(x - x.max(axis=-1, keepdims=True))
    return weight / weight.sum(axis=-1, keepdims=True)


def answers(belief: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    place = (belief.cumsum(axis=1) < rng.random((len(belief), 1))).sum(axis=1)
    return np.minimum(place, belief.shape[1] - 1)


def people(
    rng: np.random.Generator, sizes: Sequence[int], near: bool, *, alone: bool = False
) -> Data:
    """sizes : people per cluster (alone: each is independent). near : the second belief is true."""
    n, many = int(np.sum(sizes)), len(sizes)
    code = np.repeat(np.arange(many), sizes)
    between = rng.normal(size=many)[code] if not alone else rng.normal(size=n)
    trait = np.sqrt(SHARED) * between + np.sqrt(1 - SHARED) * rng.normal(size=n)
    true = softmax(LEVEL + np.outer(trait, TILT))
    first = softmax(np.outer(0.5 * trait, TILT))
    second = true if near else softmax(LEVEL + 0.4 * TILT + np.outer(0.7 * trait, TILT))
    return Data(answers(true, rng), first, second, None if alone else code)


@cache
def population(near: bool) -> dict[str, Any]:
    """The expected values, from nodes of the normal trait."""
    node, weight = np.polynomial.hermite_e.hermegauss(200)
    weight = weight / weight.sum()
    true = softmax(LEVEL + np.outer(node, TILT))
    first = softmax(np.outer(0.5 * node, TILT))
    second = true if near else softmax(LEVEL + 0.4 * TILT + np.outer(0.7 * node, TILT))
    p, a, b = (weight @ x for x in (true, first, second))
    out: dict[str, Any] = {
        f"{m}{i}": distance(m, p, q) for m in METRICS for i, q in enumerate((a, b), 1)
    }
    off = np.abs(SCALE[:, None] - SCALE)
    for i, q in enumerate((first, second), 1):
        square = np.einsum("n,nj,nk,jk", weight, true, q, off**2, optimize=True)
        out[f"rmse{i}"] = np.sqrt(square)
        out[f"mae{i}"] = np.einsum("n,nj,nk,jk", weight, true, q, off, optimize=True)
        out[f"log_loss{i}"] = -np.einsum("n,nk,nk", weight, true, np.log(q), optimize=True)
    return out


def distance(metric: str, p: np.ndarray, q: np.ndarray) -> float:
    if metric == "kl":
        x, y = ((v + SMOOTHING) / (1 + len(p) * SMOOTHING) for v in (p, q))
        return float((x * np.log(x / y)).sum())
    if metric == "js":
        m = (p + q) / 2
        return float((p * np.log2(p / m) + q * np.log2(q / m)).sum() / 2)
    if metric == "tv":
        return float(np.abs(p - q).sum() / 2)
    if metric == "wasserstein":
        return float((np.abs(np.cumsum(p - q)[:-1]) * np.diff(SCALE)).sum())
    if metric == "mean_difference":
        return float((q - p) @ SCALE)
    spread = [x @ SCALE**2 - (x @ SCALE) ** 2 for x in (p, q)]
    return float(spread[1] / spread[0])


@dataclass(frozen=True)
class Design:
    words: str
    sizes: tuple[int, ...]
    alone: bool = False

    @property
    def effective(self) -> float:
        s = np.array(self.sizes) / sum(self.sizes)
        return float(1 / (s**2).sum())


DESIGNS = [
    Design("40 people", (1,) * 40, True),
    Design("300 people", (1,) * 300, True),
    Design("3 clusters of 30", (30,) * 3),
    Design("6 clusters of 30", (30,) * 6),
    Design("12 clusters of 20", (20,) * 12),
    Design("30 clusters of 10", (10,) * 30),
    Design("12 clusters, 1:2:12", (4, 8, 48) * 4),
    Design("30 clusters, 1:2:12", (2, 4, 24) * 10),
]


def promised(design: Design, cautious: str = "") -> dict[str, Any]:
    if cautious:
        return {"promise": (0.93, 1.0), "why": cautious}
    if design.effective < 5:
        return {"promise": (0.80, 1.0), "why": FEW}
    return {}


def covers(frame: pd.DataFrame, row: str, truth: float) -> bool | None:
    low, high = frame.loc[row, "low"], frame.loc[row, "high"]
    return None if np.isnan(low) else bool(low - 1e-12 <= truth <= high + 1e-12)


def _case(
    name: str,
    quantity: str,
    design: Design,
    call: Callable[[Data], est.Result | Any],
    row: str,
    truth: str,
    near: bool,
    cautious: str = "",
) -> Case:
    def repetition(rng: np.random.Generator) -> bool | None:
        data = people(rng, design.sizes, near, alone=design.alone)
        return covers(call(data).frame, row, population(near)[truth])

    where = "the true beliefs" if near else "other beliefs"
    words = f"{design.words}, {where}"
    return Case(name, quantity, words, repetition, **promised(design, cautious))


def _marginal(metric: str, design: Design, near: bool) -> Case:
    def call(d: Data) -> Any:
        return est.marginal_fit(
            SCALE[d.y], d.second, SCALE.tolist(), metrics=[metric], smoothing=SMOOTHING,
            cluster=d.cluster, n_boot=200,
        )  # fmt: skip

    cautious = NEAR_ZERO if metric in METRICS[:4] else ""
    return _case("marginal_fit", metric, design, call, metric, f"{metric}2", near, cautious)


def _individual(error: str, design: Design) -> Case:
    def call(d: Data) -> Any:
        return est.individual_fit(SCALE[d.y], d.second, SCALE, cluster=d.cluster)

    return _case("individual_fit", error, design, call, error, f"{error}2", False)


def _gap(metric: str, design: Design, near: bool) -> Case:
    def repetition(rng: np.random.Generator) -> bool | None:
        d = people(rng, design.sizes, near, alone=design.alone)
        found = est.fit_difference(
            SCALE[d.y], d.first, d.second, SCALE, metrics=[metric], smoothing=SMOOTHING,
            cluster=d.cluster,
        )  # fmt: skip
        truth = population(near)
        return covers(found.frame, metric, truth[f"{metric}2"] - truth[f"{metric}1"])

    words = f"{design.words}, second {'true' if near else 'untrue'}"
    return Case("fit_difference", metric, words, repetition,
                **promised(design, KINKS if metric == "tv" else ""))  # fmt: skip


def _gap_size(design: Design) -> Case:
    def repetition(rng: np.random.Generator) -> bool | None:
        """Two beliefs that are wrong by as much: each is the truth of half of the people."""
        d = people(rng, design.sizes, True, alone=design.alone)
        flip = rng.random(len(d.y)) < 0.5
        a, b = (np.where((flip == x)[:, None], d.first, d.second) for x in (True, False))
        found = est.fit_difference(SCALE[d.y], a, b, SCALE, metrics=["log_loss"], cluster=d.cluster)
        return bool(found["log_loss"]["p"] < 0.05)

    few = {"promise": (0.0, 0.12), "why": FEW} if design.effective < 5 else {}
    return Case("fit_difference", "log_loss, p", design.words, repetition, "size", **few)


def _shift(design: Design) -> Case:
    """People move by 3 on average, their clusters differ; simulations move by 1."""

    def repetition(rng: np.random.Generator) -> bool | None:
        code = np.repeat(np.arange(len(design.sizes)), design.sizes)
        n = len(code)
        many = np.zeros(n) if design.alone else rng.normal(size=len(design.sizes))[code]
        before = rng.normal(size=n)
        after = before + 3 + many + rng.gamma(1.0, size=n) - 1
        found = est.shift_fit(
            before, after, before, before + 1 + 0.5 * rng.normal(size=n),
            cluster=None if design.alone else code,
        )  # fmt: skip
        return covers(found.frame, "difference", -2.0)

    return Case("shift_fit", "difference", design.words, repetition, **promised(design))


def _success(runs: int, drawn: bool, share: float) -> Case:
    def repetition(rng: np.random.Generator) -> bool | None:
        mass = rng.beta(4 * share, 4 * (1 - share), runs)
        if not drawn:
            return covers(est.success_rate(mass).frame, "success_rate", share)
        said = np.where(rng.random(runs) < mass, "yes", "Sure!")
        return covers(est.success_rate(answers=said, options=["yes"]).frame, "success_rate", share)

    kind = "answers" if drawn else "valid mass"
    more: dict[str, Any] = {}
    if runs < 100 and share > 0.8:
        more = {"promise": (0.95, 0.99), "why": "counts are a lattice (mean_choice)"}
        if not drawn:
            more = {"promise": (0.91, 0.95), "why": "masses near 1 are skewed (mean_belief)"}
    return Case("success_rate", kind, f"{runs} prompts, mean {share:g}", repetition, **more)


def _drawn(metric: str, n: int) -> Case:
    """A new draw of one answer each lies within the range that is given for it."""

    def repetition(rng: np.random.Generator) -> bool | None:
        d = people(rng, (1,) * n, False, alone=True)
        own = answers(d.second, rng)
        found = est.drawn_fit(
            SCALE[d.y], d.second, SCALE, metrics=[metric], smoothing=SMOOTHING, repetitions=400,
            rng=rng,
        )  # fmt: skip
        p, q = (np.bincount(a, minlength=len(SCALE)) / n for a in (d.y, own))
        value = distance(metric, p, q) if metric == "kl" else np.sqrt(
            ((SCALE[own] - SCALE[d.y]) ** 2).mean()
        )  # fmt: skip
        return covers(found.frame, metric, float(value))

    return Case("drawn_fit", f"{metric}, a new draw", f"{n} people", repetition)


def _temperature(quantity: str, design: Design) -> Case:
    """Beliefs that are the truth sharpened to T = 1/2: log loss is least at T = 2."""
    grid = np.round(np.arange(1.0, 3.6, 0.1), 1) if quantity == "best" else np.array([1.0])

    def repetition(rng: np.random.Generator) -> bool | None:
        d = people(rng, design.sizes, True, alone=design.alone)
        belief = d.second**2 / (d.second**2).sum(axis=1, keepdims=True)
        if quantity == "best":
            found = est.temperature_curve(
                SCALE[d.y], belief, SCALE, grid, metrics=["log_loss"], cluster=d.cluster, n_boot=200
            )
            return covers(found.frame, "best temperature, log_loss", 2.0)
        found = est.temperature_curve(
            SCALE[d.y], d.first, SCALE, grid, metrics=["rmse"], cluster=d.cluster, n_boot=2
        )
        return covers(found.frame, "rmse, T=1", population(True)["rmse1"])

    words = "best temperature" if quantity == "best" else "rmse, T = 1"
    why = GRID if quantity == "best" else ""
    return Case("temperature_curve", words, design.words, repetition, **promised(design, why))


def _items(metric: str, n: int, paired: bool) -> Case:
    """Three items that depend on one trait; simulated people are another sample or the same."""
    levels = np.arange(1.0, 6.0)
    tilt = np.outer([1.0, 0.6, -0.8], levels - 3)  # items by answers
    level = np.array([[0, 1, 1, 0, -1], [0, 0, 0, 0, 0], [1, 1, 0, -1, -2]], float)
    other = np.array([0.0, 0.2, 0.4, 0.2, 0.0])

    def shares(trait: np.ndarray, extra: np.ndarray) -> np.ndarray:
        return softmax(level + extra + trait[:, None, None] * tilt)  # (n, items, answers)

    node, weight = np.polynomial.hermite_e.hermegauss(100)
    weight = weight / weight.sum()
    p, q = (np.einsum("n,nij->ij", weight, shares(node, x)) for x in (0 * other, other))
    truth = {
        "tv": np.abs(p - q).sum(1).mean() / 2,
        "nemd": np.abs(np.cumsum(p - q, axis=1)[:, :-1]).sum(1).mean() / 4,
        "js": np.mean([distance("js", a, b) for a, b in zip(p, q, strict=True)]),
        "variance_ratio": np.mean(
            [(b @ levels**2 - (b @ levels) ** 2) / (a @ levels**2 - (a @ levels) ** 2)
             for a, b in zip(p, q, strict=True)]
        ),
    }  # fmt: skip
    scales = dict.fromkeys("abc", (1.0, 5.0))

    def table(trait: np.ndarray, extra: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
        u = rng.random((len(trait), 3, 1))
        code = np.minimum((shares(trait, extra).cumsum(axis=2) < u).sum(axis=2), 4)
        return pd.DataFrame(levels[code], columns=list("abc"))

    def repetition(rng: np.random.Generator) -> bool | None:
        trait = rng.normal(size=n)
        again = trait if paired else rng.normal(size=n)
        found = est.compare_marginals(
            table(trait, 0 * other, rng), table(again, other, rng), scales=scales,
            metrics=[metric], paired=paired, n_boot=2,
        )  # fmt: skip
        return covers(found.frame, metric, float(truth[metric]))

    words = f"{n} people, 3 items, " + ("twins" if paired else "two samples")
    more = {} if metric == "variance_ratio" else {"promise": (0.93, 1.0), "why": NEAR_ZERO}
    return Case("compare_marginals", metric, words, repetition, **more)


SOME = [d for d in DESIGNS if d.words in ("40 people", "6 clusters of 30", "30 clusters, 1:2:12")]
FULL, PART = ("kl", "mean_difference"), ("js", "tv", "wasserstein", "variance_ratio")
CASES = [
    *[_marginal(m, d, False) for m in FULL for d in DESIGNS],
    *[_marginal(m, d, False) for m in PART for d in SOME],
    *[_marginal(m, d, True) for m in METRICS for d in SOME],
    *[_individual("rmse", d) for d in DESIGNS],
    *[_individual(e, d) for e in ("mae", "log_loss") for d in SOME],
    *[_gap(m, d, False) for m in ("kl", "log_loss") for d in DESIGNS],
    *[_gap(m, d, False) for m in ("tv", "rmse") for d in [DESIGNS[1], *SOME]],
    *[_gap("kl", d, True) for d in SOME],
    *[_gap_size(d) for d in DESIGNS],
    *[_shift(d) for d in DESIGNS],
    *[_success(n, drawn, share) for n in (30, 300) for drawn in (0, 1) for share in (0.3, 0.9)],
    *[_drawn(m, n) for m in ("kl", "rmse") for n in (40, 300)],
    *[_temperature("rmse", d) for d in SOME],
    *[_temperature("best", d) for d in DESIGNS if d.words in BEST],
    *[_items(m, 60, False) for m in ITEMS],
    *[_items(m, 400, t) for m in ("js", "variance_ratio") for t in (False, True)],
]
