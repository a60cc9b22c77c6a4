"""The numbers of the survey world: respondents, their values, and how they answer.

Demographics move two latent values, concern for the environment and openness to the new; the
values move every answer. So demographics say something of a person's answers, the person's other
answers say much more, and answers are independent of one another and of the demographics once
the two values are known. The information shown before the second question on electric cars is
drawn at random. All numbers are this project's own, and none describes people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import softmax

from simkit.types import FloatArray, IntArray, generator, one_of, shown
from simkit.worlds.scm import SCM, Variable, bell

__all__ = ["AGREEMENT", "DAYS", "DEMOGRAPHICS", "INFORMATION", "ITEMS", "LATENTS", "POPULATIONS",
           "SCALE", "VEHICLES", "Population", "item_correlation", "latent_share",
           "respondents"]  # fmt: skip

DEMOGRAPHICS: dict[str, tuple[str, ...]] = {
    "age": ("18 to 34", "35 to 49", "50 to 64", "65 or older"),
    "gender": ("man", "woman"),
    "education": ("school", "college", "university"),
    "residence": ("city", "suburb", "countryside"),
    "income": ("low", "middle", "high"),
}
LATENTS = ("green", "tech")
LEVELS = (-2, -1, 0, 1, 2)  # of either latent value
AGREEMENT = ("strongly disagree", "disagree", "unsure", "agree", "strongly agree")
SCALE = tuple(range(0, 101, 10))
INFORMATION = ("nothing", "running costs", "charging network")
VEHICLES = ("petrol", "hybrid", "electric", "none")
DAYS = tuple(range(8))

# Statement; ease (in logits); logits per level of green and of tech; half-distance of the cuts.
ITEMS: dict[str, tuple[str, float, float, float, float]] = {
    "climate": ("Climate change worries me", 0.4, 1.7, 0.0, 1.1),
    "pay_more": ("I pay more for green goods", -0.5, 1.4, 0.3, 1.2),
    "fuel_tax": ("Fuel taxes are too high", 0.6, -1.1, -0.1, 1.1),
    "jobs_first": ("Jobs come before nature", -0.1, -1.0, 0.6, 1.2),
    "gadgets": ("I like to try new gadgets", 0.1, 0.0, 1.7, 1.2),
    "old_ways": ("The old ways are best", 0.0, 0.3, -1.4, 1.1),
    "robot_cars": ("I would trust robot cars", -0.8, 0.2, 1.0, 1.1),
    "fewer_cars": ("Cities need fewer cars", 0.0, 0.9, -0.7, 1.2),
}


@dataclass(frozen=True, eq=False)
class Population:
    """Respondents of one place: a causal model of demographics, values and answers.

    Its variables are the demographics, the latent values `green` and `tech`, and the answers,
    whose parents are the latent values (and, for `ev_after`, `ev_before` and `information`).
    The whole joint is never multiplied out: given the latent values the answers fall apart.
    """

    name: str
    scm: SCM

    @cached_property
    def core(self) -> SCM:
        """Demographics and latent values alone."""
        return SCM(self.scm.variables[: len(DEMOGRAPHICS) + len(LATENTS)])

    def values_given(self, said: Mapping[str, IntArray], rows: int) -> FloatArray:
        """P(green, tech | demographics said), shape (rows, 25); codes as `SCM.encode` gives."""
        unsaid = {n: np.full(rows, len(k)) for n, k in DEMOGRAPHICS.items()}
        index = tuple(said.get(n, unsaid[n]) for n in DEMOGRAPHICS)
        size = len(LEVELS)
        mass = self.core.cube()[index][:, :size, :size].reshape(rows, -1)
        return np.asarray(mass / mass.sum(1, keepdims=True))

    def answer(self, name: str) -> FloatArray:
        """P(answer | green, tech) of an answer other than the electric-car ones, shape (25, K)."""
        table = self.scm[name].table
        return table.reshape(-1, table.shape[-1])

    @cached_property
    def electric(self) -> FloatArray:
        """P(ev_before, information, ev_after | green, tech), shape (25, 12, 4, 12).

        The last index of each of the three axes is the total, "not said", as in `SCM.cube`.
        """
        before, shown = self.answer("ev_before"), self.scm["information"].table
        after = self.scm["ev_after"].table  # (ev_before, information, tech, ev_after)
        size = len(LEVELS)
        table = np.transpose(np.stack([after] * size), (0, 3, 1, 2, 4))
        table = table.reshape(size * size, *after.shape[:2], after.shape[-1])
        joint = before[:, :, None, None] * shown[None, None, :, None] * table
        for axis in (1, 2, 3):
            joint = np.concatenate([joint, joint.sum(axis, keepdims=True)], axis)
        return np.asarray(joint)


@dataclass(frozen=True)
class _Place:
    """What differs between two populations (demographics in the order of `DEMOGRAPHICS`)."""

    age: tuple[float, ...]
    education: tuple[float, ...]
    residence: tuple[float, ...]
    wealth: float  # moves income up
    green: tuple[tuple[float, ...], ...]  # by age, gender, education, residence, income
    tech: tuple[tuple[float, ...], ...]
    bond: float  # slope of tech on green within a demographic group
    ev: tuple[float, float, float]  # ev_before: centre, points per level of green and tech
    shown: tuple[tuple[float, float], ...]  # per information: points, points per level of tech
    ease: Mapping[str, float]  # added to the items' ease
    vehicle: tuple[float, ...]  # base utilities


_GENERAL = _Place(
    age=(0.28, 0.26, 0.25, 0.21),
    education=(0.38, 0.34, 0.28),
    residence=(0.36, 0.38, 0.26),
    wealth=0.0,
    green=(
        (-0.1, 0.1, 0.1, 0.0), (-0.35, 0.35), (-0.6, 0.0, 0.6), (0.5, 0.0, -0.6), (-0.2, 0.0, 0.2),
    ),
    tech=(
        (0.9, 0.4, -0.4, -0.9), (0.3, -0.3), (-0.3, 0.0, 0.3), (0.0, 0.1, -0.1), (-0.2, 0.0, 0.2),
    ),
    bond=0.35,
    ev=(42.0, 11.0, 9.0),
    shown=((0.0, 0.0), (8.0, 3.0), (4.0, 5.0)),
    ease={},
    vehicle=(0.6, 0.3, 0.1, -0.2),
)  # fmt: skip
# Another town's new-car buyers: older and richer, its young the less green, warier of electric
# cars at first and moved by other news.
_TARGET = _Place(
    age=(0.15, 0.25, 0.32, 0.28),
    education=(0.30, 0.35, 0.35),
    residence=(0.18, 0.42, 0.40),
    wealth=0.8,
    green=(
        (-1.2, -0.6, -0.1, 0.3), (-0.5, -0.2), (-0.2, 0.0, 0.2), (-0.4, 0.0, 0.3), (0.3, 0.0, -0.3),
    ),
    tech=(
        (0.1, 0.1, 0.0, -0.1), (0.1, -0.1), (-0.5, -0.1, 0.5), (-0.3, 0.0, 0.3), (-0.3, 0.0, 0.4),
    ),
    bond=-0.2,
    ev=(15.0, 4.0, 10.0),
    shown=((0.0, 0.0), (2.0, 1.0), (14.0, 3.0)),
    ease={"climate": -0.3, "fuel_tax": 0.6, "jobs_first": 0.4, "robot_cars": 0.5},
    vehicle=(1.0, 0.6, -0.4, -1.6),
)  # fmt: skip
_VALUE_SPREAD = 1.1  # of a latent value within a demographic group, in levels
_EV_SPREAD, _SHIFT_SPREAD = 20.0, 13.0  # points
# Logits per level of green and of tech: petrol, hybrid, electric, none.
_VEHICLE_TASTE = ((-0.6, -0.4), (0.1, 0.0), (0.6, 0.6), (0.2, -0.3))


def _graded(lean: FloatArray, half: float) -> FloatArray:
    """Five ordered answers by cumulative logits (Samejima 1969): (…,) -> (…, 5)."""
    cuts = half * np.array([-2.5, -0.8, 0.8, 2.5])
    above = 1 / (1 + np.exp(cuts - lean[..., None]))
    edge = np.ones((*lean.shape, 1))
    return -np.diff(np.concatenate([edge, above, 0 * edge], axis=-1), axis=-1)


def _people(place: _Place) -> list[Variable]:
    """Demographics and latent values."""
    age, education = (a.astype(float) for a in np.meshgrid(range(4), range(3), indexing="ij"))
    lean = 0.6 * (education - 1) + 0.35 * (1.5 - abs(age - 1.5)) - 0.35 + place.wealth
    earned = lean[..., None] * np.array([-1.0, 0.0, 1.0]) + np.array([0.0, 0.3, 0.0])
    legal, named = DEMOGRAPHICS, tuple(DEMOGRAPHICS)
    green, tech = (_sum_of_effects(e) for e in (place.green, place.tech))
    levels = np.array(LEVELS, dtype=float)
    pulled = tech[..., None] + place.bond * (levels - green[..., None])
    return [
        Variable("age", legal["age"], np.array(place.age)),
        Variable("gender", legal["gender"], np.array([0.5, 0.5])),
        Variable("education", legal["education"], np.array(place.education)),
        Variable("residence", legal["residence"], np.array(place.residence)),
        Variable("income", legal["income"], softmax(earned, axis=-1), ("age", "education")),
        Variable("green", LEVELS, bell(LEVELS, green, _VALUE_SPREAD), named),
        Variable("tech", LEVELS, bell(LEVELS, pulled, _VALUE_SPREAD), (*named, "green")),
    ]


def _sum_of_effects(effects: Sequence[Sequence[float]]) -> FloatArray:
    grids = np.meshgrid(*(np.array(e, dtype=float) for e in effects), indexing="ij")
    return np.asarray(sum(grids))


def _population(name: str, place: _Place) -> Population:
    green, tech = np.meshgrid(LEVELS, LEVELS, indexing="ij")
    level = np.array(LEVELS, dtype=float)
    items = []
    for item, (_, ease, g, t, half) in ITEMS.items():
        lean = ease + place.ease.get(item, 0.0) + g * green + t * tech
        items.append(Variable(item, AGREEMENT, _graded(lean, half), LATENTS))
    taste = np.array(_VEHICLE_TASTE)
    utility = place.vehicle + green[..., None] * taste[:, 0] + tech[..., None] * taste[:, 1]
    centre = place.ev[0] + place.ev[1] * green + place.ev[2] * tech
    points, per_level = np.array(place.shown).T
    shift = points[:, None] + per_level[:, None] * level  # (information, tech)
    after = np.array(SCALE, dtype=float)[:, None, None] + shift
    return Population(name, SCM((
        *_people(place), *items,
        Variable("vehicle", VEHICLES, softmax(utility, axis=-1), LATENTS),
        Variable("news_days", DAYS, bell(DAYS, 3.4 + 0.7 * green - 1.0 * tech, 2.0), LATENTS),
        Variable("ev_before", SCALE, bell(SCALE, centre, _EV_SPREAD), LATENTS),
        Variable("information", INFORMATION, np.full(3, 1 / 3)),
        Variable(
            "ev_after", SCALE, bell(SCALE, after, _SHIFT_SPREAD),
            ("ev_before", "information", "tech"),
        ),
    )))  # fmt: skip


POPULATIONS: dict[str, Population] = {
    "general": _population("general", _GENERAL),
    "target": _population("target", _TARGET),
}


def check_population(population: Any) -> None:
    """ValueError for what is no population: its name, say."""
    if not isinstance(population, Population):
        raise ValueError(
            f"population is {shown(population)}; it must be one of POPULATIONS, such as "
            "POPULATIONS['general']"
        )


def respondents(
    n: int,
    seed: int | np.random.Generator,
    population: Population = POPULATIONS["general"],
) -> pd.DataFrame:
    """n people drawn from the population: demographics and all answers, one row each.

    Answers are the options' own values (words for agreement, integers for numeric scales).
    """
    check_population(population)
    names = [n for n in population.scm.axis if n not in LATENTS]
    drawn = population.scm.sample(n, generator(seed))
    return population.scm.frame(drawn, names).infer_objects()


def item_correlation(
    population: Population = POPULATIONS["general"],
    level: Literal["individual", "demographic"] = "individual",
) -> pd.DataFrame:
    """Pearson correlations of the eight items (answers valued 1 to 5), by enumeration.

    Parameters
    ----------
    population : whose answers.
    level : "individual" is the correlation of one person's answers; "demographic" that of
        answers drawn one by one given all five demographics, as personas give them: the
        covariance of the items' means between demographic groups over the same variances.

    Returns
    -------
    DataFrame (8, 8), items by items, 1 on the diagonal. Raises ValueError for another level.
    """
    one_of(level, "level", ("individual", "demographic"))
    check_population(population)
    joint = population.core.joint().reshape(-1, len(LEVELS) ** 2)  # (groups, latent pairs)
    scale = np.arange(1.0, 6.0)
    tables = np.stack([population.answer(n) for n in ITEMS])  # (items, latent pairs, 5)
    mean = (tables @ scale).T
    weight = joint.sum(0)
    centre = weight @ mean
    variance = weight @ (tables @ scale**2).T - centre**2
    if level == "demographic":
        weight = joint.sum(1)
        mean = joint @ mean / weight[:, None]
    covariance = (mean - centre).T @ (weight[:, None] * (mean - centre))
    found = covariance / np.sqrt(np.outer(variance, variance))
    np.fill_diagonal(found, 1.0)
    return pd.DataFrame(found, index=list(ITEMS), columns=list(ITEMS))


def latent_share(population: Population = POPULATIONS["general"]) -> dict[str, float]:
    """Share of each latent value's variance that lies between demographic groups (0 to 1)."""
    check_population(population)
    joint = population.core.joint()
    level = np.array(LEVELS, dtype=float)
    shares: dict[str, float] = {}
    for name, other in (("green", "tech"), ("tech", "green")):
        table = joint.sum(population.core.axis[other]).reshape(-1, len(LEVELS))
        weight = table.sum(1)
        mean = table @ level / weight
        centre = float(weight @ mean)
        between = weight @ (mean - centre) ** 2
        shares[name] = float(between / (table.sum(0) @ (level - centre) ** 2))
    return shares
