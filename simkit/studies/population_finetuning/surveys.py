"""The surveys of the fine-tuning study: what is told, asked and answered, and who is held out.

Two populations and a third by loader: buyers of a town that the glass box has not read about
(`ev_survey`, truth known), voters of 1996 (`anes_survey`) and households that chose a vehicle
(`car_survey`); or a file of the user's (`file_survey`). Each is split by respondent; whatever is
measured is measured on respondents of whom no adapter has seen an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from simkit import datasets
from simkit.personas import (
    ANES96,
    CAR,
    car_choice,
    car_vehicles,
    likert,
    question_of,
    render,
    sampling_plan,
)
from simkit.questions import Question
from simkit.survey import Survey, read_survey
from simkit.training import split_respondents
from simkit.worlds import survey as world

__all__ = ["LISTED", "PARTY", "SPLIT", "VOTE", "WHO", "anes_survey", "car_survey", "ev_survey",
           "file_survey", "margins", "who"]  # fmt: skip

SPLIT = {"train": 0.6, "validation": 0.1, "test": 0.3}
ATTITUDES = ("climate", "gadgets")  # told to the EV survey beside the demographics
# Voters of 1996: how their party is told, and how their vote is asked.
PARTY = "Party, from 0 (strong Democrat) to 6 (strong Republican): {}."
VOTE = f"{ANES96['vote'].ask} (1 = Bill Clinton, 2 = Bob Dole)"
# In words: what is asked and its answers first, which all prompts share, then who is asked.
LISTED = "{question}\n{options}\n\n{context}\nAnswer:"
WHO = "Adults in the United States in 1996"
MANY = 12  # values of an attribute whose margin is no longer shown
REGISTER = 10_000  # people of the town from which the EV survey is drawn


def ev_survey(*, n: int = 1_000, seed: int = 1) -> Survey:
    """New-car buyers of the glass box's other town, on electric cars: truth known.

    n people of a register of 10,000 are drawn by plan. The prompt tells their demographics and two
    attitudes; asked are the preference for an electric car before they read anything (0 to 100)
    and, told that and what they read, the preference afterwards.
    """
    town = world.POPULATIONS["target"]
    register = world.respondents(REGISTER, seed, town).assign(weight=1.0)
    plan = sampling_plan(
        register, n, margins=list(world.DEMOGRAPHICS), by=list(world.DEMOGRAPHICS),
        replace=False, seed=seed,
    )  # fmt: skip
    people = plan.people.drop(columns="weight")
    people["part"] = split_respondents(people["person"], SPLIT, seed)
    told = {
        "ev_before": ATTITUDES,
        "ev_after": (*ATTITUDES, "ev_before", "information"),
    }
    designs = {q: world.design(people, answered=names) for q, names in told.items()}
    demographics = tuple(world.DEMOGRAPHICS)
    return Survey(
        "ev",
        people,
        {name: world.question(name) for name in told},
        designs,
        {name: (*demographics, *names) for name, names in told.items()},
        {name: world.exact(designs[name], name, town) for name in told},
        plan,
    )


def anes_survey(*, words: bool = False, seed: int = 1) -> Survey:
    """Voters of 1996 (`anes96`): politics, vote and television news from what is known of them.

    The prompt tells education, income, age and party identification. Without `words` the party and
    all answers are numbers: so what a model makes of a party does not hang on the names in its
    vocabulary. With `words` they are said as people say them, to "you", and the answers are listed
    with letters: for a model that has read about politics.
    """
    frame = datasets.load("anes96").astype(dict.fromkeys(("age", "educ", "income", "PID"), int))
    told = ("educ", "PID", "income", "age")
    people = frame[[*told, "selfLR", "TVnews"]].assign(vote=frame["vote"].map({0: "1", 1: "2"}))
    people["part"] = split_respondents(people.index, SPLIT, seed).to_numpy()
    places = dict(ANES96["selfLR"].values)  # type: ignore[arg-type]
    if words:
        people["vote"] = frame["vote"].map(ANES96["vote"].say)
        questions = {
            "selfLR": _listed("selfLR", range(1, 8)),
            "TVnews": _listed("TVnews", range(8)),
            "vote": _listed("vote", range(2), scale=False),
        }
        order = ("PID", "educ", "income", "age")  # from few values to many: prompts share more
        context = render(people, ANES96, voice="second", attributes=order)
    else:
        questions = {
            "selfLR": likert(ANES96["selfLR"].ask, 7, {1: places[1], 7: places[7]}),
            "TVnews": question_of(ANES96, "TVnews"),
            "vote": Question(VOTE, ("1", "2")),
        }
        person = render(people, ANES96, attributes=[name for name in told if name != "PID"])
        context = person + " " + people["PID"].map(PARTY.format)
    design = pd.DataFrame({"context": context})
    return Survey(
        "anes96",
        people,
        questions,
        dict.fromkeys(questions, design),
        dict.fromkeys(questions, told),
    )


def _listed(name: str, codes: range, *, scale: bool = True) -> Question:
    """A question of the code book, its answers in words, listed with letters."""
    entry = ANES96[name]
    said = [str(entry.say(code)) for code in codes]
    return Question(entry.ask, said, codes if scale else None, template=LISTED, layout="letters")


def car_survey(*, n: int = 600, words: bool = False, seed: int = 1) -> Survey:
    """Households that chose one of six vehicles (`car`), n of the 4,654 drawn by plan.

    The prompt tells education, household and way to work, and lists the vehicles: by number, or
    with `words` by letter and to "you". Raises `datasets.DataError` where the data are not here,
    saying how to get them.
    """
    frame = datasets.load("car").astype(dict.fromkeys(CAR, int))
    plan = sampling_plan(
        frame.assign(weight=1.0), n, margins=list(CAR), by=list(CAR), replace=False, seed=seed
    )
    people = plan.people
    people["part"] = split_respondents(people["person"], SPLIT, seed)
    vehicles = car_vehicles(people)
    numbers = people["choice"].str.removeprefix("choice").astype(int) - 1
    people["pick"] = vehicles.to_numpy()[np.arange(len(people)), numbers]
    design = vehicles.assign(context=render(people, CAR, voice="second" if words else "third"))
    asked, told = {"pick": car_choice()}, {"pick": tuple(CAR)}
    if words:
        listed = Question("Which vehicle will you buy?", asked["pick"].options, layout="letters")
        asked = {"pick": listed}
    return Survey("car", people, asked, {"pick": design}, told, {}, plan)


def file_survey(
    path: Path | str, ask: Sequence[str], tell: Sequence[str], *, seed: int = 1
) -> Survey:
    """A survey file as the study takes it: see `read_survey` and `Survey.asking`.

    Answers are listed with letters. The split is by respondent, or by cluster where the survey
    declares them. Who is told a value that nobody else of those who teach has joins them: no
    baseline could know it. Raises ValueError as those do, and where the first item of `ask`, by
    which the figures are drawn, lies on no scale.
    """
    whole = read_survey(path)
    survey = whole.asking(ask, tell, template=LISTED, layout="letters")
    if not survey.ordered(ask[0]):
        raise ValueError(
            f"the first item of ask is {ask[0]!r}, which is nominal; it must be ordinal or numeric "
            '(a code book says so: book={"item": {"scale": "ordinal"}})'
        )
    people = survey.people
    if survey.weights:
        people = people[people[survey.weights] > 0]
    units = people[survey.clusters] if survey.clusters else pd.Series(people.index, people.index)
    part = split_respondents(units, SPLIT, seed)
    for name in tell:
        if people[name].dtype == object:
            values = people[name].fillna("(missing)")
            strange = ~values.isin(values[part != "test"])
            part[units.isin(units[strange])] = "train"
    for name in ("train", "validation", "test"):
        if not (part == name).any():
            raise ValueError(f"{len(people)} respondents are too few: none is left for {name}")
    return replace(survey, name=Path(path).stem, people=people.assign(part=part))


def margins(survey: Survey) -> pd.DataFrame:
    """What the study shows of who is asked: `Survey.margins` in words, of attributes told."""
    told = list(next(iter(survey.told.values())))
    if not survey.items:
        table = survey.margins("educ", "PID")
        rows = zip(table["margin"], table["value"], strict=True)
        table["value"] = [ANES96[m].say(v) for m, v in rows]
        table["margin"] = table["margin"].map({"educ": "education", "PID": "party"})
        return table
    few = [name for name in told if survey.people[name].nunique() <= MANY] or told[:1]
    table = survey.margins(*few)
    labels = {n: survey.items[n].labels if survey.items[n].scale == "ordinal" else {} for n in few}
    rows = zip(table["margin"], table["value"], strict=True)
    return table.assign(value=[str(labels[m].get(v, v)) for m, v in rows])


def who(survey: Survey) -> str:
    """The people of a survey in words, as the question for their shares names them."""
    return f"People who answered the survey {survey.name}" if survey.items else WHO
