"""Representativeness (study 05): populations, techniques and both errors of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from simkit import datasets
from simkit.estimators.structure.compare import compare_structure
from simkit.estimators.structure.margins import compare_marginals
from simkit.personas import (
    ANES96,
    Battery,
    Item,
    interview,
    likert,
    margin_of,
    question_of,
    render,
)
from simkit.personas.answers import Believe
from simkit.questions import Question
from simkit.resources import adapters
from simkit.result import Result
from simkit.scoring import LocalModel, believe
from simkit.studies.representativeness.techniques import (
    answer_numbers,
    independent_answers,
    mixture,
)
from simkit.training import load_adapter
from simkit.worlds import survey

__all__ = [
    "Setting",
    "adapted",
    "anes_setting",
    "errors",
    "simulate",
    "survey_setting",
    "world_people",
]

ANES_TOLD = ("educ", "income", "age")
ANES_ITEMS = ("PID", "selfLR", "vote", "TVnews")
HELD_OUT = "test"  # the part of the people of whom no adapter has seen an answer


@dataclass(frozen=True, repr=False, eq=False)
class Setting:
    """A population and what is asked of it.

    humans : (n, k) answers as numbers. people : one row per simulated respondent, with `person`,
    `context` and the demographics in it. microdata : demographics, from which a mixture takes its
    margins. scales : item -> its ends. told : the demographics' names.
    """

    name: str
    battery: Battery
    humans: pd.DataFrame
    people: pd.DataFrame
    microdata: pd.DataFrame
    scales: Mapping[str, tuple[float, float]]
    told: tuple[str, ...]

    def contexts(self, people: pd.DataFrame) -> pd.DataFrame:
        """People (demographics and `person`) with the text that every prompt begins with."""
        if self.name == "anes96":
            return people.assign(context=render(people, ANES96, attributes=self.told))
        made = survey.design(people.drop(columns="context", errors="ignore"))
        return made.drop(columns=["answered", "wording"]).assign(person=people["person"])

    def __repr__(self) -> str:
        items = ", ".join(self.humans)
        sizes = f"{len(self.humans)} humans, {len(self.people)} simulated"
        return f"Setting({self.name!r}: {sizes}; {items})"


def survey_battery() -> Battery:
    """The eight opinion items of the survey world, answers told as its interviews tell them.

    Each person is asked in a random order, so that what an order does to the answers is spread
    over the people, and in every interval over them.
    """
    items = [
        Item(n, survey.question(n), tell=f"{text}: {{answer}}")
        for n, (text, *_) in survey.ITEMS.items()
    ]
    return Battery(items, order="random")


def survey_setting(n: int, simulated: int, *, seed: int = 1) -> Setting:
    """n respondents of the survey world as humans, and the personas of other ones to simulate."""
    battery = survey_battery()
    humans, drawn = survey.respondents(n, seed), world_people(simulated, seed + 1)
    told = tuple(survey.DEMOGRAPHICS)
    answers = answer_numbers(humans, battery)
    scales = dict.fromkeys(battery.names, (1.0, 5.0))
    return Setting("survey world", battery, answers, drawn, humans[list(told)], scales, told)


def world_people(n: int, seed: int) -> pd.DataFrame:
    """Personas of n people of the survey world: demographics, `context`, `person`."""
    people = survey.design(survey.respondents(n, seed)).drop(columns=["answered", "wording"])
    return people.assign(person=np.arange(n))


def anes_setting(*, seed: int = 1, simulated: int | None = None) -> Setting:
    """Voters of 1996 (`anes96`): four items of the held-out people, told education, income, age.

    seed decides who is held out, as in the study on targeted populations: nobody here has taught
    an adapter. simulated : how many personas, at most; None for one per person.
    """
    from simkit.studies.population_finetuning.surveys import VOTE, anes_survey

    part = anes_survey(seed=seed).people["part"]
    frame = datasets.load("anes96").astype(dict.fromkeys(("age", "educ", "income", "PID"), int))
    frame = frame[(part == HELD_OUT).to_numpy()].reset_index(drop=True)
    party, place = (dict(ANES96[name].values) for name in ("PID", "selfLR"))  # type: ignore[arg-type]
    battery = Battery(
        [
            Item(
                "PID",
                likert(ANES96["PID"].ask, 7, {1: party[0], 7: party[6]}),
                tell="Party (1 Democrat, 7 Republican): {answer}",
            ),
            Item(
                "selfLR",
                likert(ANES96["selfLR"].ask, 7, {1: place[1], 7: place[7]}),
                tell="Politics (1 liberal, 7 conservative): {answer}",
            ),
            Item("vote", Question(VOTE, ("1", "2")), tell="Vote (1 Clinton, 2 Dole): {answer}"),
            Item("TVnews", question_of(ANES96, "TVnews")),
        ],
        order="random",  # anew for each person, as in the survey world
    )
    scales = {"PID": (1.0, 7.0), "selfLR": (1.0, 7.0), "vote": (0.0, 1.0), "TVnews": (0.0, 7.0)}
    people = (
        frame[list(ANES_TOLD)].assign(person=np.arange(len(frame))).head(simulated or len(frame))
    )
    people = people.assign(context=render(people, ANES96, attributes=ANES_TOLD))
    humans = frame[list(ANES_ITEMS)].astype(float).assign(PID=frame["PID"] + 1.0)  # 1 to 7
    told = frame[list(ANES_TOLD)]
    return Setting("anes96", battery, humans, people, told, scales, ANES_TOLD)


def simulate(
    model: LocalModel | Believe,
    setting: Setting,
    *,
    seed: int = 1,
    tuned: Mapping[str, Any] | None = None,
) -> dict[str, pd.DataFrame]:
    """The answers of each technique, as many respondents as `setting.people`.

    The mean valid mass of the questions asked is in `.attrs["valid_mass"]` of each frame (none
    where no model was asked) and is to be shown: no warning says that it is low.

    model : a model, or a belief function (an exact one, for a check of the techniques themselves).
    tuned : name -> model with an adapter; asked persona by persona and in joint interviews.
    """
    ask = model if callable(model) else partial(believe, model, least_mass=0.0)
    battery, people = setting.battery, setting.people
    told = list(setting.told)
    source = f"the {setting.name}'s own margins"
    margins = [margin_of(setting.microdata, name, weight=None, source=source) for name in told]
    mixed = setting.contexts(mixture(margins, len(people), seed=seed)[["person", *told]])
    found = {
        "independent margins": independent_answers(setting.humans, len(people), seed=seed),
        "personas": _interviewed(ask, battery, people, False, seed),
        "mixture": _interviewed(ask, battery, mixed, False, seed + 1),
        "joint interview": _interviewed(ask, battery, people, True, seed + 2),
    }
    for name, model_ in (tuned or {}).items():
        other = partial(believe, model_, least_mass=0.0)
        found[f"{name}, personas"] = _interviewed(other, battery, people, False, seed)
        found[f"{name}, joint interview"] = _interviewed(other, battery, people, True, seed + 2)
    return found


def _interviewed(
    ask: Believe, battery: Battery, people: pd.DataFrame, joint: bool, seed: int
) -> pd.DataFrame:
    """Answers as numbers, as `persona_answers` and `joint_answers` give them, and valid mass."""
    found = interview(ask, battery, people, joint=joint, seed=seed)
    answers = answer_numbers(found.answers, battery)
    answers.attrs["valid_mass"] = float(found.turns["valid_mass"].mean())
    return answers


def errors(
    setting: Setting,
    found: Mapping[str, pd.DataFrame],
    *,
    n_boot: int = 200,
    seed: int = 1,
) -> tuple[pd.DataFrame, dict[str, Result]]:
    """Both errors of each technique, one row each (for `plots.quadrant`), and the details.

    marginal : mean total variation over the items, sampling noise taken out; structural : RMSD of
    the item correlations, likewise; kept : share of the structure; pattern : the correlation of
    correlations; each of the populations, with the ends of its 95 % interval over respondents of
    both sides (a simulated one with an order of questions of its own). marginal_raw,
    structural_raw : of the samples as they are, with the floor of samples of this size;
    valid_mass : mean of the questions asked (see `simulate`), NaN where no model was asked.
    """
    rows, details = [], {}
    for name, answers in found.items():
        margin = compare_marginals(
            setting.humans, answers, scales=setting.scales, n_boot=n_boot, rng=seed
        )["tv"]
        structure = compare_structure(
            setting.humans, answers, n_boot=n_boot, splits=40, permutations=199, rng=seed
        )
        row: dict[str, Any] = {"technique": name}
        row["valid_mass"] = answers.attrs.get("valid_mass", float("nan"))
        distance, kept, pattern = (
            structure[m] for m in ("rmsd", "structure_kept", "correlation_of_correlations")
        )
        of = (("marginal", margin, "corrected"), ("structural", distance, "estimate"),
              ("kept", kept, "estimate"), ("pattern", pattern, "estimate"))  # fmt: skip
        for side, part, value in of:
            row |= {side: part[value], f"{side}_low": part["low"], f"{side}_high": part["high"]}
        row |= {"marginal_raw": margin["estimate"], "structural_raw": distance["raw"]}
        row |= {"marginal_raw_floor": margin["floor"], "structural_raw_floor": distance["floor"]}
        rows.append(row)
        details[name] = structure
    return pd.DataFrame(rows), details


def adapted(model: LocalModel, *prefixes: str) -> tuple[dict[str, LocalModel], str]:
    """The shipped adapters of study 03 that fit this model, and a sentence that says which.

    prefixes : of their folders' names ("anes96-lora"). An adapter trained on other weights is
    left out, not loaded.
    """
    found, refused = {}, 0
    for prefix in prefixes:
        for folder in sorted(adapters("population").glob(f"{prefix}/adapter_config.json")):
            try:
                found[folder.parent.name] = load_adapter(model, folder.parent)
            except ValueError:
                refused += 1
    if found:
        return found, f"Adapters of study 03: {', '.join(found)}."
    why = "those that ship were trained on other weights" if refused else "none ship"
    return {}, f"No adapters for this model ({why}): `simkit train-adapters population` makes them."
