"""Check all that apply: shares, numbers and pairs of options, of people and against a model."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import simkit.estimators as est
from tests.simulations.case import Case

OPTIONS = ["common", "some", "rare"]
LEVEL = np.array([0.2, -1.0, -3.2])  # log odds of a check
TILT = np.array([1.2, 0.8, 0.6])  # how they move with a person's trait
SHARED = 0.5  # share of the trait's variance between households
SETS = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
MOOD = 0.8  # asked jointly, a model's answers to one person share a mood, up or down
RARE = (
    "shares near 0: few people check the option, and no interval that is a function of the counts "
    "has the same coverage at every share"
)
ROWS = ("common", "rare", "number checked", "exactly 0 checked", "common & some",
        "phi, common & some")  # fmt: skip


def _chance(trait: np.ndarray, tilt: float = 1.0) -> np.ndarray:
    """P(checked) (..., 3)."""
    return np.asarray(1 / (1 + np.exp(-(LEVEL + tilt * trait[..., None] * TILT))))


def _model(trait: np.ndarray) -> np.ndarray:
    """A model's beliefs: it knows two thirds of what moves a person."""
    return _chance(trait, 0.67)


def _jointly(trait: np.ndarray) -> np.ndarray:
    """P(set) (n, 8): the model's beliefs in either mood, so that checks go together."""
    moods = [_model(trait + mood)[:, None] for mood in (MOOD, -MOOD)]
    return np.mean([np.where(SETS == 1, p, 1 - p).prod(axis=2) for p in moods], axis=0)


@cache
def _truth(who: str) -> dict[str, float]:
    """The population's numbers, from nodes of the normal trait and sums over all sets."""
    node, weight = np.polynomial.hermite_e.hermegauss(200)
    if who == "jointly":
        sets = _jointly(node)
    else:
        p = (_chance if who == "humans" else _model)(node)[:, None]
        sets = np.where(SETS == 1, p, 1 - p).prod(axis=2)
    chance = weight / weight.sum() @ sets
    a, b, rare = chance @ SETS
    both = float(chance @ SETS[:, :2].prod(axis=1))
    return {
        "common": a, "rare": rare, "number checked": float(chance @ SETS.sum(axis=1)),
        "exactly 0 checked": float(chance[0]), "common & some": both,
        "phi, common & some": (both - a * b) / np.sqrt(a * (1 - a) * b * (1 - b)),
    }  # fmt: skip


def _held(frame: pd.DataFrame, row: str, truth: float) -> bool | None:
    low, high = frame.loc[row, ["low", "high"]].astype(float)
    return None if np.isnan(low) else bool(low - 1e-9 <= truth <= high + 1e-9)


def _promise(row: str) -> dict[str, Any]:
    return {"promise": (0.93, 1.0), "why": RARE} if row == "rare" else {}


def _shares(row: str, n: int, household: int = 1) -> Case:
    """n households of so many people."""

    def repetition(rng: np.random.Generator) -> bool | None:
        home = np.repeat(np.arange(n), household)
        between, own = rng.normal(size=n)[home], rng.normal(size=len(home))
        trait = own if household == 1 else np.sqrt(SHARED) * between + np.sqrt(1 - SHARED) * own
        answers = (rng.random((len(home), 3)) < _chance(trait)).astype(float)
        frame = pd.DataFrame(answers, columns=OPTIONS)
        found = est.selection_shares(frame, cluster=None if household == 1 else home)
        return _held(found.frame, row, _truth("humans")[row])

    design = f"{n} people" if household == 1 else f"{n} households of {household}"
    return Case("selection_shares", row, design, repetition, repetitions=600, **_promise(row))


def _compare(row: str, n: int, asked: str, same: bool) -> Case:
    def repetition(rng: np.random.Generator) -> bool | None:
        trait = rng.normal(size=n)
        answers = (rng.random((n, 3)) < _chance(trait)).astype(float)
        humans = pd.DataFrame(answers, columns=OPTIONS)
        other = trait if same else rng.normal(size=n)
        if asked == "apart":
            sides = {"simulated": pd.DataFrame(_model(other), columns=OPTIONS)}
        else:
            sides = {
                "simulated": pd.DataFrame(np.tile(SETS, (n, 1)), columns=OPTIONS),
                "simulated_weights": _jointly(other).ravel(),
                "simulated_cluster": np.repeat(np.arange(n), len(SETS)),
            }  # fmt: skip
        found = est.compare_selections(humans, **sides, same_people=same)
        model = "model" if asked == "apart" else "jointly"
        return _held(found.frame, row, _truth(model)[row] - _truth("humans")[row])

    people = f"{n} people, the same simulated" if same else f"{n} people, {n} others simulated"
    return Case("compare_selections", row, f"{people}, options asked {asked}", repetition,
                repetitions=600, **_promise(row))  # fmt: skip


CASES = [
    *[_shares(row, n) for row in ROWS for n in (50, 200)],
    *[_shares(row, 40, 3) for row in ROWS],
    *[_compare(row, 50, "apart", True) for row in ROWS],
    *[_compare(row, 200, asked, same)
      for row in ROWS for asked, same in (("apart", False), ("jointly", True))],
]  # fmt: skip
