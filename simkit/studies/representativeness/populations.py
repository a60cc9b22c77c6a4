"""Representativeness (study 05): populations, techniques and both errors of each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from simkit import estimators as est
from simkit.personas import ANES96, Battery, Item, draw, likert, margin_of, rake, render
from simkit.personas.answers import Believe
from simkit.result import Result
from simkit.scoring import LocalModel, believe, worlds_of
from simkit.studies.population_finetuning import surveys
from simkit.studies.representativeness.techniques import (
    independent_answers,
    joint_answers,
    persona_answers,
)
from simkit.survey import Survey
from simkit.worlds import survey as world

__all__ = ["against_truth", "anes_survey", "battery", "errors", "mixture",
           "other_measures", "simulate", "world_people", "world_survey"]  # fmt: skip

ANES_TOLD = ("educ", "income", "age")
ANES_TELLS = {  # how an answer is told to later questions
    "PID": "Party (1 Democrat, 7 Republican): {answer}",
    "selfLR": "Politics (1 liberal, 7 conservative): {answer}",
    "vote": "Vote (1 Clinton, 2 Dole): {answer}",
}


def world_survey(n: int, simulated: int, *, seed: int = 1) -> Survey:
    """The survey world's eight opinion items: n respondents, and personas of other people.

    Answers are told as the world's own interviews tell them.
    """
    people = world.respondents(n, seed)
    questions = {item: world.question(item) for item in world.ITEMS}
    return Survey(
        "survey world",
        people,
        questions,
        dict.fromkeys(questions, _in_words(people)),
        dict.fromkeys(questions, tuple(world.DEMOGRAPHICS)),
        tells={item: f"{text}: {{answer}}" for item, (text, *_) in world.ITEMS.items()},
        personas=world_people(simulated, seed + 1),
    )


def world_people(n: int, seed: int) -> pd.DataFrame:
    """Personas of n people of the survey world: demographics, `context`, `person`."""
    return _in_words(world.respondents(n, seed)).assign(person=np.arange(n))


def _in_words(people: pd.DataFrame) -> pd.DataFrame:
    """Demographics of people of the survey world, and the `context` that says them."""
    return world.design(people).drop(columns=["answered", "wording"])


def anes_survey(*, seed: int = 1, simulated: int | None = None) -> Survey:
    """Voters of 1996 (`anes96`): four items of the held-out people, told education, income, age.

    seed decides who is held out, as in the study on targeted populations: nobody here has taught
    an adapter. simulated : how many personas, at most; None for one per person.
    """
    voters = surveys.anes_survey(seed=seed)
    people = voters.part("test").drop(columns="part").reset_index(drop=True)
    people = people.assign(PID=people["PID"] + 1)  # asked from 1 to 7
    party = dict(ANES96["PID"].values)  # type: ignore[arg-type]
    questions = {"PID": likert(ANES96["PID"].ask, 7, {1: party[0], 7: party[6]})}
    questions |= {item: voters.questions[item] for item in ("selfLR", "vote", "TVnews")}
    personas = people[list(ANES_TOLD)].assign(person=np.arange(len(people)))
    personas = personas.assign(context=render(people, ANES96, attributes=ANES_TOLD))
    return Survey(
        "anes96",
        people,
        questions,
        dict.fromkeys(questions, personas),
        dict.fromkeys(questions, ANES_TOLD),
        tells=ANES_TELLS,
        personas=personas.head(simulated or len(personas)),
    )


def battery(survey: Survey) -> Battery:
    """The survey's questions as interviews ask them, each person's in a random order.

    So what an order does to the answers is spread over the people, and in every interval over
    them.
    """
    items = [
        Item(name, asked, tell=survey.tells.get(name)) for name, asked in survey.questions.items()
    ]
    return Battery(items, order="random")


def mixture(survey: Survey, *, seed: int = 1) -> pd.DataFrame:
    """As many personas, drawn from the people's margins: one attribute independent of the other."""
    assert survey.personas is not None
    told = list(next(iter(survey.told.values())))
    source = f"the {survey.name}'s own margins"
    margins = [margin_of(survey.people[told], name, weight=None, source=source) for name in told]
    people = draw(rake(margins), len(survey.personas), seed=seed)[["person", *told]]
    if survey.name == "anes96":
        return people.assign(context=render(people, ANES96, attributes=told))
    return _in_words(people).assign(person=people["person"])


def simulate(
    model: LocalModel | Believe, survey: Survey, *, seed: int = 1
) -> dict[str, pd.DataFrame]:
    """The answers of the four techniques, as many respondents as the survey's personas.

    Parameters
    ----------
    model : a model, or a belief function (an exact one, for a check of the techniques themselves).
    survey : whose personas are asked its questions.
    seed : of all draws.

    Returns
    -------
    Technique -> numbers (n, questions). The mean valid mass of the questions asked is in
    `.attrs["valid_mass"]` of each frame (none where no model was asked) and is to be shown: no
    warning says that it is low.
    """
    assert survey.personas is not None
    ask = model if callable(model) else partial(believe, model, least_mass=0.0)
    questions, personas, mixed = battery(survey), survey.personas, mixture(survey, seed=seed)
    return {
        "independent margins": independent_answers(survey.humans, len(personas), seed=seed),
        "personas": persona_answers(ask, questions, personas, seed=seed),
        "mixture": persona_answers(ask, questions, mixed, seed=seed + 1),
        "joint interview": joint_answers(ask, questions, personas, seed=seed + 2),
    }


def errors(
    survey: Survey,
    simulated: Mapping[str, pd.DataFrame],
    *,
    n_boot: int = 200,
    seed: int = 1,
) -> tuple[pd.DataFrame, dict[str, Result]]:
    """Both errors of each technique, one row each (for `plots.quadrant`), and the details.

    Parameters
    ----------
    survey : with the humans' answers.
    simulated : technique -> numbers (n, questions), as `simulate` gives them.
    n_boot, seed : resamples of respondents, and of all draws.

    Returns
    -------
    A frame, and technique -> what `compare_structure` gives. Columns of the frame: technique;
    marginal, mean total variation over the items, sampling noise taken out; structural, RMSD of
    the item correlations, likewise; kept, share of the structure; pattern, the correlation of
    correlations; each of the populations, with the ends of its 95 % interval over respondents of
    both sides (a simulated one with an order of questions of its own). marginal_raw and
    structural_raw are of the samples as they are, with the floor of samples of this size;
    valid_mass is the mean of the questions asked, NaN where no model was asked.
    """
    rows, details = [], {}
    humans, scales = survey.humans, survey.scales
    how: dict[str, Any] = {"n_boot": n_boot, "rng": seed}
    for name, answers in simulated.items():
        margin = est.compare_marginals(humans, answers, scales=scales, **how)["tv"]
        structure = est.compare_structure(humans, answers, splits=40, permutations=199, **how)
        distance, kept, pattern = (
            structure[m] for m in ("rmsd", "structure_kept", "correlation_of_correlations")
        )
        row = {"technique": name, "valid_mass": answers.attrs.get("valid_mass", float("nan"))}
        for side, part, value in (
            ("marginal", margin, "corrected"), ("structural", distance, "estimate"),
            ("kept", kept, "estimate"), ("pattern", pattern, "estimate"),
        ):  # fmt: skip
            row |= {side: part[value], f"{side}_low": part["low"], f"{side}_high": part["high"]}
        row |= {"marginal_raw": margin["estimate"], "structural_raw": distance["raw"]}
        row |= {"marginal_raw_floor": margin["floor"], "structural_raw_floor": distance["floor"]}
        rows.append(row)
        details[name] = structure
    return pd.DataFrame(rows), details


def other_measures(
    humans: pd.DataFrame, simulated: Mapping[str, pd.DataFrame], *, seed: int = 1
) -> pd.DataFrame:
    """The structure by other measures, of the samples as they are: a column per technique.

    Parameters
    ----------
    humans : answers (n, questions).
    simulated : technique -> numbers (n, questions); two techniques or more.
    seed : of the resamples.

    Returns
    -------
    Rows: the RMSD of rank and polychoric correlations beside Pearson's, what `compare_factors` and
    `compare_networks` give. `floor` is what samples of one population of this size would score (of
    the second technique, for all).
    """
    few: dict[str, Any] = {"n_boot": 20, "rng": seed}
    columns, floors = {}, []
    for name, answers in simulated.items():
        rows = {
            f"rmsd, {method}": est.compare_structure(
                humans, answers, method=method, splits=5, permutations=9, **few
            )["rmsd"]
            for method in ("pearson", "spearman", "polychoric")
        }
        frames = [pd.DataFrame(rows).T, est.compare_networks(humans, answers, **few).frame]
        factors = est.compare_factors(humans, answers, **few).frame
        table = pd.concat([frames[0], factors.assign(raw=factors["estimate"]), frames[1]])
        columns[name] = table["raw"]
        floors.append(table["floor"])
    return pd.DataFrame(columns).assign(floor=floors[1])


def against_truth(model: Any, matrices: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Correlation matrices against those of the survey world's persons: `compare_matrices` of each.

    Parameters
    ----------
    model : whose answers they are.
    matrices : name -> correlations (8, 8) of the world's items.

    Returns
    -------
    A row per matrix; the first is of perfect personas, made by the world itself. There are no rows
    for a model that has not read that world: its truth is not known.
    """
    if "survey" not in worlds_of(model):
        return pd.DataFrame(columns=["rmsd"], index=pd.Index([], dtype=str))
    persons, personas = (
        world.item_correlation(level=level) for level in ("individual", "demographic")
    )
    rows = {"perfect personas": personas, **matrices}
    return pd.DataFrame({n: est.compare_matrices(persons, m) for n, m in rows.items()}).T
