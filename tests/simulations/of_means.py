"""Shares over runs, clusters and strata: `mean_choice`, `mean_belief`; and places in a list."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from scipy.special import expit

import simkit.estimators as est
from tests.simulations.case import Case

FEW = "at n = 30 near 0 few choices are seen, and shares are lattices (Wilson's interval)"
NOTED = "fewer than 5 effective clusters: the result's note says not to trust the interval"
CAUTIOUS = "never narrower than of independent runs, and t quantiles of few clusters"
SETTLED = "n runs may all miss a rare thought that settles the choice, as the docstring says"
LARGEST = "simultaneous for all places: at least the nominal"
UNEQUAL = [1, 2, 12]


def _held(frame: pd.DataFrame, truth: float) -> bool | None:
    low, high = frame.iloc[0][["low", "high"]]
    return None if np.isnan(low) else bool(low <= truth <= high)


def _runs(
    name: str,
    runs: int,
    p: float,
    spread: float,
    promise: tuple[float, float] | None = None,
    why: str = "",
) -> Case:
    """Independent runs with beliefs Beta(spread p, spread (1 - p))."""

    def repetition(rng: np.random.Generator) -> bool | None:
        b = rng.beta(spread * p, spread * (1 - p), runs)
        if name == "mean_belief":
            return _held(est.mean_belief(b).frame, p)
        return _held(est.mean_choice((rng.random(runs) < b).astype(float)).frame, p)

    design = f"{runs} runs, P = {p:g}, beliefs Beta of precision {spread:g}"
    return Case(name, "share", design, repetition, promise=promise, why=why)


def _clusters(
    name: str,
    sizes: list[int],
    p: float,
    promise: tuple[float, float] | None = None,
    why: str = "",
) -> Case:
    """Personas with shares Beta(10 p, 10 (1 - p)); runs of precision 20 around them."""
    code = np.repeat(range(len(sizes)), sizes)

    def repetition(rng: np.random.Generator) -> bool | None:
        q = rng.beta(10 * p, 10 * (1 - p), len(sizes))[code].clip(1e-12, 1 - 1e-12)
        b = rng.beta(20 * q, 20 * (1 - q))
        if name == "mean_belief":
            return _held(est.mean_belief(b, cluster=code).frame, p)
        y = (rng.random(len(b)) < b).astype(float)
        return _held(est.mean_choice(y, cluster=code).frame, p)

    kind = "equal" if len(set(sizes)) == 1 else "1:2:12"
    design = f"{len(sizes)} clusters of {np.mean(sizes):g} runs, {kind}, P = {p:g}"
    return Case(name, "share, cluster=", design, repetition, promise=promise, why=why)


def _strata(name: str, cells: int, runs: int, low: float, high: float) -> Case:
    """A fixed design of conditions with logits from low to high, so many runs in each."""
    p = expit(np.linspace(low, high, cells))
    code = np.repeat(range(cells), runs)

    def repetition(rng: np.random.Generator) -> bool | None:
        b = rng.beta(20 * p[code], 20 * (1 - p[code]))
        if name == "mean_belief":
            return _held(est.mean_belief(b, strata=code).frame, p.mean())
        y = (rng.random(len(b)) < b).astype(float)
        return _held(est.mean_choice(y, strata=code).frame, p.mean())

    few = name == "mean_choice" and runs < 10
    design = f"{cells} conditions of {runs} runs, P from {p[0]:.2f} to {p[-1]:.2f}"
    return Case(
        name, "share, strata=", design, repetition, promise=(0.93, 0.985) if few else None,
        why="few runs in each condition: Welch's degrees of freedom err on the wide side"
        if few else "",
    )  # fmt: skip


def _settled() -> Case:
    """A thought of probability 0.02 settles the choice; otherwise the belief is 0.01."""

    def repetition(rng: np.random.Generator) -> bool | None:
        b = np.where(rng.random(50) < 0.02, 0.98, 0.01)
        return _held(est.mean_belief(b).frame, 0.02 * 0.98 + 0.98 * 0.01)

    design = "50 runs, one thought in 50 settles the choice"
    return Case("mean_belief", "share", design, repetition, promise=(0.3, 0.75), why=SETTLED)


def _listed(rng: np.random.Generator, sizes: list[int], pull: np.ndarray) -> pd.DataFrame:
    """Prompts in wordings, whose pulls towards places vary; all cyclic orders of 3 options."""
    wording, k = np.repeat(range(len(sizes)), sizes), 3
    order = (np.arange(k) + np.arange(k)[:, None]) % k
    content = 0.7 * rng.standard_normal((len(wording), 1, k))
    own = 0.4 * rng.standard_normal((len(sizes), 1, k))[wording]
    weight = np.exp(np.take_along_axis(content, order[None], axis=2) + pull + own)
    b = weight / weight.sum(axis=2, keepdims=True)
    prompt, o, place = (a.ravel() for a in np.indices(b.shape))
    return pd.DataFrame({
        "prompt_id": prompt, "order": o, "position": place, "option_id": order[o, place],
        "option": order[o, place].astype(str), "belief": b.ravel(), "wording": wording[prompt],
    })  # fmt: skip


PULL = np.array([0.7, 0.0, -0.2])


@cache
def _effects() -> np.ndarray:
    d = _listed(np.random.default_rng(0), [1] * 60_000, PULL)
    return np.asarray(d.groupby("position")["belief"].mean() - 1 / 3)


def _place(
    sizes: list[int], quantity: str, promise: tuple[float, float] | None = None, why: str = ""
) -> Case:
    """`quantity`: a position, the largest effect, or "size": its test where no place pulls."""

    def repetition(rng: np.random.Generator) -> bool | None:
        table = _listed(rng, sizes, PULL * (quantity != "size"))
        frame = est.positional_effect(table, cluster="wording").frame
        if quantity == "size":
            return bool(frame.loc["largest_effect", "p"] < 0.05)
        truth = _effects()[0] if quantity == "position[0]" else np.abs(_effects()).max()
        return _held(frame.loc[[quantity]], truth)

    kind = "equal" if len(set(sizes)) == 1 else "1:2:12"
    design = f"{len(sizes)} wordings, {kind}"
    size = quantity == "size"
    return Case(
        "positional_effect", "largest_effect, p" if size else quantity, design, repetition,
        kind="size" if size else "coverage", promise=promise, why=why,
    )  # fmt: skip


def _coverage(share: float) -> Case:
    """The Monte-Carlo interval of a coverage, from 300 intervals."""

    def repetition(rng: np.random.Generator) -> bool | None:
        low = np.where(rng.random(300) < share, 0.0, 2.0)
        return _held(est.interval_coverage(low, low + 1, 0.5).frame, share)

    return Case("interval_coverage", "share", f"300 intervals, coverage {share:g}", repetition)


def _studies(name: str) -> Case:
    """Studies of 30 runs from a pool; whether its interval holds the long run's coverage."""

    def repetition(rng: np.random.Generator) -> bool | None:
        found = est.share_coverage(_pool(), runs=30, repetitions=60, rng=rng).frame
        return _held(found.loc[[name]], _long_run(name))

    design = "60 studies of 30 runs from a pool of 500"
    return Case(
        "share_coverage", name, design, repetition, promise=(0.93, 1.0), repetitions=200,
        why="the options of a study count as one: cautious where they are not quite alike",
    )  # fmt: skip


@cache
def _pool() -> np.ndarray:
    return np.asarray(np.random.default_rng(1).dirichlet([4, 3, 2], 500))


@cache
def _long_run(name: str) -> float:
    found = est.share_coverage(_pool(), runs=30, repetitions=20_000, rng=2).frame
    return float(found.loc[name, "estimate"])


CASES = [
    _runs("mean_choice", 30, 0.4, 20),
    _runs("mean_choice", 300, 0.05, 20),
    _runs("mean_choice", 30, 0.05, 20, (0.92, 0.99), FEW),
    _runs("mean_belief", 20, 0.4, 20),
    _runs("mean_belief", 20, 0.95, 20),
    _runs("mean_belief", 50, 0.3, 0.5),
    _runs("mean_belief", 200, 0.05, 5),
    _settled(),
    _clusters("mean_choice", [4] * 3, 0.3, (0.93, 1.0), NOTED),
    _clusters("mean_choice", [4] * 6, 0.3, (0.93, 0.99), CAUTIOUS),
    _clusters("mean_choice", [4] * 12, 0.3, (0.93, 0.985), CAUTIOUS),
    _clusters("mean_choice", [4] * 30, 0.3),
    _clusters("mean_choice", UNEQUAL * 4, 0.3, (0.93, 0.985), CAUTIOUS),
    _clusters("mean_belief", [4] * 3, 0.3),
    _clusters("mean_belief", [4] * 6, 0.3),
    _clusters("mean_belief", [4] * 12, 0.3),
    _clusters("mean_belief", [4] * 30, 0.3),
    _clusters("mean_belief", UNEQUAL, 0.3, (0.93, 1.0), NOTED),
    _clusters("mean_belief", UNEQUAL * 4, 0.3),
    _clusters("mean_belief", [4] * 12, 0.05),
    *(_strata(name, *design) for name in ("mean_choice", "mean_belief")
      for design in ((18, 20, -3, 2), (36, 5, -4, 3), (6, 10, -2, 2))),
    _place([3] * 3, "position[0]"),
    _place([3] * 6, "position[0]"),
    _place([3] * 30, "position[0]"),
    _place(UNEQUAL, "position[0]", (0.93, 1.0), NOTED),
    _place(UNEQUAL * 4, "position[0]"),
    _place([3] * 12, "largest_effect", (0.93, 1.0), LARGEST),
    _place([3] * 3, "size", (0.0, 0.09), NOTED),
    _place([3] * 6, "size"),
    _place([3] * 12, "size"),
    _place(UNEQUAL * 2, "size", (0.0, 0.07), NOTED),
    _place(UNEQUAL * 4, "size"),
    _coverage(0.5),
    _coverage(0.95),
    _studies("choice"),
    _studies("belief"),
]  # fmt: skip
