"""Samples as surveys draw them: strata, clusters and unequal weights, all at once.

A population in strata whose answers differ; from each stratum clusters are drawn (their people have
an effect in common), from each cluster some people, who answer more or less readily. Weights
restore the strata's sizes and vary within them too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
from scipy.special import ndtr

import simkit.estimators as est
from simkit.types import FloatArray, IntArray
from tests.simulations.case import Case

CLUSTER = 0.5  # deviation of what people of a cluster have in common; people themselves: 1
SEEN = 0.6  # deviation of the part of a person's own that the simulation is told
CUTS = np.array([-0.5, 0.7])  # between the answers 1, 2, 3
SHIFT = 0.4  # the simulation believes answers to be higher by this
SCALE = np.array([1.0, 2.0, 3.0])
KINK = "a kink where shares agree: the ends allow for the bias of differences that may be none"
FEW = "some 15 degrees of freedom: how far correlations vary is itself uncertain"
LOADS = np.array([0.8, 0.7, 0.6, -0.5, 0.4])
PAIRS = np.triu_indices(len(LOADS), 1)


@cache
def _strata(n: int) -> tuple[FloatArray, FloatArray]:
    """Where the answers of each stratum lie, and its share of the population."""
    share = np.linspace(1, 3, n)
    return np.linspace(-0.8, 0.8, n), share / share.sum()


def _plan(
    strata: int, clusters: int, people: int, rng: np.random.Generator
) -> dict[str, FloatArray | IntArray]:
    """Stratum, cluster and weight (n,) of the people of a sample; clusters vary in size."""
    sizes = rng.integers(people - 2, people + 3, strata * clusters)
    cluster = np.repeat(np.arange(strata * clusters), sizes)
    stratum = cluster // clusters
    ready = rng.uniform(0.5, 2.0, len(cluster))  # independent of the answers
    weight = (_strata(strata)[1] / np.bincount(stratum))[stratum] * ready
    return {"strata": stratum, "cluster": cluster, "weights": weight}


def _answers(plan: dict, strata: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """Answers 0, 1, 2 (n,) of people, and the beliefs (n, 3) of a simulation of them."""
    stratum, cluster = plan["strata"], plan["cluster"]
    seen = SEEN * rng.standard_normal(len(stratum))
    common = CLUSTER * rng.standard_normal(cluster.max() + 1)[cluster]
    place = _strata(strata)[0][stratum] + seen
    rest = np.sqrt(1 - SEEN**2)
    answer = np.searchsorted(CUTS, place + common + rest * rng.standard_normal(len(stratum)))
    below = ndtr((CUTS - place[:, None] - SHIFT) / rest)
    return answer, np.diff(below, axis=1, prepend=0.0, append=1.0)


def _margins(strata: int) -> tuple[FloatArray, FloatArray]:
    """The populations' shares (3,) of the answers, and of the simulation's beliefs."""
    place, share = _strata(strata)
    p = share @ ndtr((CUTS - place[:, None]) / np.sqrt(1 + CLUSTER**2))
    q = share @ ndtr(CUTS - place[:, None] - SHIFT)
    return (np.diff(p, prepend=0.0, append=1.0), np.diff(q, prepend=0.0, append=1.0))


@cache
def _far(strata: int) -> dict[str, float]:
    """Errors of the population, from 400,000 people of their own cluster."""
    rng, share = np.random.default_rng(0), _strata(strata)[1]
    stratum = rng.choice(strata, 400_000, p=share)
    y, b = _answers({"strata": stratum, "cluster": np.arange(400_000)}, strata, rng)
    square = (b * (SCALE - SCALE[y][:, None]) ** 2).sum(axis=1).mean()
    loss = -np.log(b[np.arange(len(y)), y]).mean()
    flat = np.log(3)
    return {"rmse": float(np.sqrt(square)), "log_loss": float(loss - flat)}


def _held(row: pd.Series, truth: float) -> bool | None:
    low, high = float(row["low"]), float(row["high"])
    return None if np.isnan(low) else bool(low - 1e-9 <= truth <= high + 1e-9)


Found = Callable[[IntArray, FloatArray, dict, np.random.Generator], pd.Series]


def _case(
    estimator: str,
    quantity: str,
    size: tuple[int, int, int],
    found: Found,
    truth: Callable[[int], float],
    promise: tuple[float, float] | None = None,
    why: str = "",
) -> Case:
    """size : strata, clusters of each, people of each. found : the row, from one sample."""

    def repetition(rng: np.random.Generator) -> bool | None:
        plan = _plan(*size, rng)
        y, b = _answers(plan, size[0], rng)
        return _held(found(y, b, plan, rng), truth(size[0]))

    design = f"{size[0]} strata of {size[1]} clusters of {size[2]} people, unequal weights"
    return Case(estimator, f"{quantity}, strata=", design, repetition, promise=promise, why=why)


def _share(y: IntArray, b: FloatArray, plan: dict, rng: np.random.Generator) -> pd.Series:
    return est.mean_choice((y == 2).astype(float), **plan).frame.iloc[0]


def _belief(y: IntArray, b: FloatArray, plan: dict, rng: np.random.Generator) -> pd.Series:
    return est.mean_belief(b[:, 2], **plan).frame.iloc[0]


def _subgroup(y: IntArray, b: FloatArray, plan: dict, rng: np.random.Generator) -> pd.Series:
    """A group with every fourth person, whoever that is."""
    by = np.where(rng.random(len(y)) < 0.25, "some", "others")
    return est.mean_choice((y == 2).astype(float), by=by, **plan)["some, choice"]


def _both(y: IntArray, b: FloatArray, plan: dict, rng: np.random.Generator) -> pd.Series:
    """The answer 3 as one option of a list, and a coin as another."""
    lucky = (rng.random(len(y)) < 0.5).astype(float)
    answers = pd.DataFrame({"high": (y == 2).astype(float), "lucky": lucky})
    return est.selection_shares(answers, **plan)["high & lucky"]


def _shift(y: IntArray, b: FloatArray, plan: dict, rng: np.random.Generator) -> pd.Series:
    zero = np.zeros(len(y))
    return est.shift_fit(zero, SCALE[y], zero, b @ SCALE, **plan)["difference"]


def _fit(metric: str) -> Found:
    def found(y: IntArray, b: FloatArray, plan: dict, rng: np.random.Generator) -> pd.Series:
        return est.marginal_fit(SCALE[y], b, SCALE, metrics=[metric], n_boot=2, **plan)[metric]

    return found


def _error(y: IntArray, b: FloatArray, plan: dict, rng: np.random.Generator) -> pd.Series:
    return est.individual_fit(SCALE[y], b, SCALE, **plan)["rmse"]


def _gap(y: IntArray, b: FloatArray, plan: dict, rng: np.random.Generator) -> pd.Series:
    flat = np.full_like(b, 1 / 3)
    return est.fit_difference(SCALE[y], flat, b, SCALE, metrics=["log_loss"], **plan)["log_loss"]


def _distance(metric: str) -> Callable[[int], float]:
    def truth(strata: int) -> float:
        p, q = _margins(strata)
        if metric == "tv":
            return float(np.abs(p - q).sum() / 2)
        if metric == "wasserstein":
            return float(np.abs(np.cumsum(p - q)).sum())
        middle = (p + q) / 2
        return float((p * np.log2(p / middle) + q * np.log2(q / middle)).sum() / 2)

    return truth


def _items(plan: dict, strata: int, kept: float, rng: np.random.Generator) -> pd.DataFrame:
    """Answers to five items: a factor of clusters and people, other places in each stratum."""
    n, k = len(plan["strata"]), len(LOADS)
    cluster = plan["cluster"]
    common = rng.standard_normal(cluster.max() + 1)[cluster]
    factor = CLUSTER * common + np.sqrt(1 - CLUSTER**2) * rng.standard_normal(n)
    loads = np.sqrt(kept) * LOADS
    own = rng.standard_normal((n, k)) * np.sqrt(1 - loads**2)
    place = _strata(strata)[0][plan["strata"]][:, None] * np.array([0.5, 0, 0, 0.5, 0])
    return pd.DataFrame(place + factor[:, None] * loads + own, columns=list("abcde"))


def _correlations(strata: int, kept: float) -> FloatArray:
    place, share = _strata(strata)
    place = place[:, None] * np.array([0.5, 0, 0, 0.5, 0])
    place = place - share @ place
    loads = np.sqrt(kept) * LOADS
    covariance = np.outer(loads, loads) + (share[:, None] * place).T @ place
    covariance[np.diag_indices(len(loads))] += 1 - loads**2
    size = np.sqrt(np.diag(covariance))
    return np.asarray((covariance / np.outer(size, size))[PAIRS])


def _structure(
    row: str, size: tuple[int, int, int], paired: bool,
    promise: tuple[float, float] | None = None, why: str = "",
) -> Case:  # fmt: skip
    """The simulation keeps 0.4 of the correlations of people within strata."""
    strata = size[0]
    h, s = _correlations(strata, 1.0), _correlations(strata, 0.4)
    truth = float(np.sqrt(((h - s) ** 2).mean())) if row == "rmsd" else float(h @ s / (h @ h))

    def repetition(rng: np.random.Generator) -> bool | None:
        plan = _plan(*size, rng)
        humans, seed = _items(plan, strata, 1.0, rng), int(rng.integers(2**31))
        if paired:
            model, more = _items(plan, strata, 0.4, rng), {"simulated_weights": plan["weights"]}
        else:  # as many people, drawn one by one
            stratum = rng.choice(strata, len(humans), p=_strata(strata)[1])
            alone = {"strata": stratum, "cluster": np.arange(len(stratum))}
            model, more = _items(alone, strata, 0.4, rng), {}
        found = est.compare_structure(humans, model, paired=paired, n_boot=80, splits=2,
                                      permutations=1, rng=seed, **plan, **more)  # fmt: skip
        return _held(found.frame.loc[row], truth)

    kind = "people and their simulations" if paired else "against as many independent simulated"
    design = f"{strata} strata of {size[1]} clusters of {size[2]}, unequal weights, {kind}"
    return Case("compare_structure", f"{row}, strata=", design, repetition, promise=promise,
                why=why, repetitions=500)  # fmt: skip


def _items_apart(
    size: tuple[int, int, int], promise: tuple[float, float] | None = None, why: str = ""
) -> Case:
    """Mean total variation of two items in three answers; the simulation is independent people."""
    strata = size[0]

    def answers(plan: dict, rng: np.random.Generator) -> IntArray:
        return _answers(plan, strata, rng)[0]

    def cut(place: FloatArray, spread: float) -> FloatArray:
        below = _strata(strata)[1] @ ndtr((CUTS - place[:, None]) / spread)
        return np.diff(below, prepend=0.0, append=1.0)

    at = _strata(strata)[0]
    human = cut(at, np.sqrt(1 + CLUSTER**2))
    truth = float(np.abs(human - np.array([0.2, 0.5, 0.3])).sum() / 2)

    def repetition(rng: np.random.Generator) -> bool | None:
        plan, seed = _plan(*size, rng), int(rng.integers(2**31))
        humans = pd.DataFrame({"a": answers(plan, rng), "b": answers(plan, rng)})
        drawn = rng.choice(3, (len(humans), 2), p=[0.2, 0.5, 0.3])
        model = pd.DataFrame(drawn, columns=["a", "b"])
        found = est.compare_marginals(humans, model, metrics=["tv"], n_boot=2, rng=seed, **plan)
        return _held(found["tv"], truth)

    design = f"{strata} strata of {size[1]} clusters of {size[2]} people, unequal weights"
    return Case("compare_marginals", "tv, strata=", design, repetition, promise=promise, why=why)


SMALL, MANY, PAIRS_OF = (5, 4, 8), (8, 8, 8), (12, 2, 10)
CASES = [
    *(_case("mean_choice", "share", size, _share, lambda n: _margins(n)[0][2])
      for size in (SMALL, MANY, PAIRS_OF)),
    *(_case("mean_choice", "share of a subgroup", size, _subgroup, lambda n: _margins(n)[0][2])
      for size in (SMALL, MANY, PAIRS_OF)),
    *(_case("selection_shares", "share of two options", size, _both,
            lambda n: _margins(n)[0][2] / 2) for size in (SMALL, MANY)),
    *(_case("mean_belief", "share", size, _belief, lambda n: _margins(n)[1][2])
      for size in (SMALL, MANY)),
    *(_case("shift_fit", "difference", size, _shift,
            lambda n: float((_margins(n)[1] - _margins(n)[0]) @ SCALE))
      for size in (SMALL, MANY, PAIRS_OF)),
    *(_case("marginal_fit", "tv", size, _fit("tv"), _distance("tv"), (0.93, 1.0), KINK)
      for size in (SMALL, MANY)),
    *(_case("marginal_fit", metric, size, _fit(metric), _distance(metric))
      for metric in ("wasserstein", "js") for size in (SMALL, MANY)),
    *(_case("individual_fit", "rmse", size, _error, lambda n: _far(n)["rmse"])
      for size in (SMALL, MANY)),
    *(_case("fit_difference", "log_loss", size, _gap, lambda n: _far(n)["log_loss"])
      for size in (SMALL, MANY)),
    *(_structure(row, SMALL, False, (0.93, 1.0), FEW) for row in ("rmsd", "structure_kept")),
    *(_structure(row, MANY, paired) for row in ("rmsd", "structure_kept")
      for paired in (False, True)),
    *(_items_apart(size, (0.93, 1.0), KINK) for size in (SMALL, MANY)),
]  # fmt: skip
