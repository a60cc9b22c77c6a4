"""The numbers of the survey world: respondents, their values, and how they answer.

Demographics move two latent values, concern for the environment and openness to the new; the
values move every answer. So demographics say something of a person's answers, the person's other
answers say much more, and answers are independent of one another and of the demographics once
the two values are known. The information shown before the second question on electric cars is
drawn at random. All numbers are this project's own, and none describes people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import expit, softmax

from simkit.types import FloatArray, generator, one_of, shown
from simkit.worlds.scm import SCM, Variable, bell

__all__ = ["AGREEMENT", "DAYS", "DEMOGRAPHICS", "INFORMATION", "ITEMS", "LATENTS", "LEVELS",
           "POPULATIONS", "SCALE", "VEHICLES", "Population", "item_correlation", "latent_share",
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
ELECTRIC = ("ev_before", "information", "ev_after")  # the questions on electric cars, as they come

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
    The whole joint is never multiplied out: the answers are independent given the latent values.

    Attributes
    ----------
    name : "general" or "target".
    scm : the causal model.
    """

    name: str
    scm: SCM

    @cached_property
    def core(self) -> SCM:
        """Demographics and latent values alone."""
        return SCM(self.scm.variables[: len(DEMOGRAPHICS) + len(LATENTS)])

    def answer(self, name: str) -> FloatArray:
        """P(answer | green, tech) of an answer other than `ev_after`, shape (25, K)."""
        table = self.scm[name].table
        return table.reshape(-1, table.shape[-1])

    @cached_property
    def electric(self) -> FloatArray:
        """P(ev_before, information, ev_after, green, tech), both values even: (25, 12, 4, 12).

        The last index of each of the last three axes is the total, "not stated", as in `SCM.cube`.
        """
        even = [Variable(n, LEVELS, np.full(len(LEVELS), 1 / len(LEVELS))) for n in LATENTS]
        cube = SCM((*even, *(self.scm[n] for n in ELECTRIC))).cube()
        return cube[: len(LEVELS), : len(LEVELS)].reshape(-1, *cube.shape[2:])


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
    above = expit(lean[..., None] - half * np.array([-2.5, -0.8, 0.8, 2.5]))
    return np.asarray(-np.diff(above, axis=-1, prepend=1.0, append=0.0))


def _people(place: _Place) -> list[Variable]:
    """Demographics and latent values."""
    age, education = (a.astype(float) for a in np.meshgrid(range(4), range(3), indexing="ij"))
    lean = 0.6 * (education - 1) + 0.35 * (1.5 - abs(age - 1.5)) - 0.35 + place.wealth
    earned = lean[..., None] * np.array([-1.0, 0.0, 1.0]) + np.array([0.0, 0.3, 0.0])
    tables = {
        "age": np.array(place.age), "gender": np.array([0.5, 0.5]),
        "education": np.array(place.education), "residence": np.array(place.residence),
        "income": softmax(earned, axis=-1),
    }  # fmt: skip
    green, tech = (
        np.sum(np.meshgrid(*effects, indexing="ij"), axis=0)
        for effects in (place.green, place.tech)
    )
    tech = tech[..., None] + place.bond * (np.array(LEVELS, dtype=float) - green[..., None])
    return [
        *(Variable(n, DEMOGRAPHICS[n], t, ("age", "education") if n == "income" else ())
          for n, t in tables.items()),
        Variable("green", LEVELS, bell(LEVELS, green, _VALUE_SPREAD), tuple(DEMOGRAPHICS)),
        Variable("tech", LEVELS, bell(LEVELS, tech, _VALUE_SPREAD), (*DEMOGRAPHICS, "green")),
    ]  # fmt: skip


def _population(name: str, place: _Place) -> Population:
    green, tech = np.meshgrid(LEVELS, LEVELS, indexing="ij")
    items = []
    for item, (_, ease, g, t, half) in ITEMS.items():
        lean = ease + place.ease.get(item, 0.0) + g * green + t * tech
        items.append(Variable(item, AGREEMENT, _graded(lean, half), LATENTS))
    taste = np.array(_VEHICLE_TASTE)
    utility = place.vehicle + green[..., None] * taste[:, 0] + tech[..., None] * taste[:, 1]
    centre = place.ev[0] + place.ev[1] * green + place.ev[2] * tech
    points, per_level = np.array(place.shown).T
    shift = points[:, None] + per_level[:, None] * np.array(LEVELS)  # (information, tech)
    after = np.array(SCALE)[:, None, None] + shift
    return Population(name, SCM((
        *_people(place), *items,
        Variable("vehicle", VEHICLES, softmax(utility, axis=-1), LATENTS),
        Variable("news_days", DAYS, bell(DAYS, 3.4 + 0.7 * green - 1.0 * tech, 2.0), LATENTS),
        Variable("ev_before", SCALE, bell(SCALE, centre, _EV_SPREAD), LATENTS),
        Variable("information", INFORMATION, np.full(3, 1 / 3)),
        Variable("ev_after", SCALE, bell(SCALE, after, _SHIFT_SPREAD),
                 ("ev_before", "information", "tech")),
    )))  # fmt: skip


POPULATIONS: dict[str, Population] = {
    name: _population(name, place)
    for name, place in {"general": _GENERAL, "target": _TARGET}.items()
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
    """People drawn from a population: demographics and all answers.

    Parameters
    ----------
    n : how many.
    seed : of the draws; the same seed gives the same people.
    population : of `POPULATIONS`.

    Returns
    -------
    DataFrame
        One row per person. Answers are the values of the options (words for agreement, integers
        for numeric scales).

    Examples
    --------
    >>> respondents(2, seed=1)[["age", "climate", "ev_before"]].values.tolist()
    [['50 to 64', 'strongly disagree', 20], ['18 to 34', 'unsure', 60]]
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
    DataFrame
        Shape (8, 8), items by items, 1 on the diagonal.

    Raises
    ------
    ValueError
        For another level.

    Examples
    --------
    >>> item_correlation().loc["climate", ["pay_more", "jobs_first"]].round(2).tolist()
    [0.49, -0.33]
    """
    one_of(level, "level", ("individual", "demographic"))
    check_population(population)
    joint = population.core.joint().reshape(-1, len(LEVELS) ** 2)  # (groups, latent pairs)
    scale = np.arange(1.0, 6.0)
    tables = np.stack([population.answer(n) for n in ITEMS])  # (items, latent pairs, 5)
    mean, square = tables @ scale, tables @ scale**2
    weight = joint.sum(0)
    variance = square @ weight - (mean @ weight) ** 2
    if level == "demographic":
        weight = joint.sum(1)
        mean = mean @ joint.T / weight
    table = np.cov(mean, aweights=weight, ddof=0) / np.sqrt(np.outer(variance, variance))
    np.fill_diagonal(table, 1.0)
    return pd.DataFrame(table, index=list(ITEMS), columns=list(ITEMS))


def latent_share(population: Population = POPULATIONS["general"]) -> dict[str, float]:
    """Share of each latent value's variance that lies between demographic groups.

    Parameters
    ----------
    population : whose values.

    Returns
    -------
    dict
        Latent value -> share, from 0 to 1, by enumeration.

    Examples
    --------
    >>> {name: round(share, 2) for name, share in latent_share().items()}
    {'green': 0.3, 'tech': 0.3}
    """
    check_population(population)
    joint = population.core.joint().reshape(-1, len(LEVELS), len(LEVELS))
    shares: dict[str, float] = {}
    for name, other in (("green", 2), ("tech", 1)):
        table = joint.sum(other)  # (groups, levels)
        mean = table @ np.array(LEVELS) / table.sum(1)
        between = np.cov(mean, aweights=table.sum(1), ddof=0)
        shares[name] = float(between / np.cov(LEVELS, aweights=table.sum(0), ddof=0))
    return shares
