"""The surveys of the fine-tuning study: what is told, what is asked, what was answered, who is
held out.

Two populations and a third by loader: buyers of a town that the glass box has not read about
(`ev_survey`, truth known), voters of 1996 (`anes_survey`) and households that chose a vehicle
(`car_survey`). Each is split by respondent; whatever is measured is measured on respondents of
whom no adapter has seen an answer.
"""

from __future__ import annotations

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
from simkit.survey import Survey
from simkit.training import split_respondents
from simkit.worlds import survey as world

__all__ = ["PARTY", "SPLIT", "VOTE", "anes_survey", "car_survey", "ev_survey"]

SPLIT = {"train": 0.6, "validation": 0.1, "test": 0.3}
ATTITUDES = ("climate", "gadgets")  # told to the EV survey beside the demographics
# Voters of 1996: how their party is told, and how their vote is asked.
PARTY = "Party, from 0 (strong Democrat) to 6 (strong Republican): {}."
VOTE = f"{ANES96['vote'].ask} (1 = Bill Clinton, 2 = Bob Dole)"
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


def anes_survey(*, seed: int = 1) -> Survey:
    """Voters of 1996 (`anes96`): politics, vote and television news from what is known of them.

    The prompt tells education, income, age and, as a number, party identification; the vote is a
    number too. So what a model makes of a party does not hang on the names in its vocabulary.
    """
    frame = datasets.load("anes96").astype(dict.fromkeys(("age", "educ", "income", "PID"), int))
    told = ("educ", "PID", "income", "age")
    people = frame[[*told, "selfLR", "TVnews"]].assign(vote=frame["vote"].map({0: "1", 1: "2"}))
    people["part"] = split_respondents(people.index, SPLIT, seed).to_numpy()
    places = dict(ANES96["selfLR"].values)  # type: ignore[arg-type]
    questions = {
        "selfLR": likert(ANES96["selfLR"].ask, 7, {1: places[1], 7: places[7]}),
        "TVnews": question_of(ANES96, "TVnews"),
        "vote": Question(VOTE, ("1", "2")),
    }
    person = render(people, ANES96, attributes=[name for name in told if name != "PID"])
    party = people["PID"].map(PARTY.format)
    design = pd.DataFrame({"context": person + " " + party})
    return Survey(
        "anes96",
        people,
        questions,
        dict.fromkeys(questions, design),
        dict.fromkeys(questions, told),
    )


def car_survey(*, n: int = 600, seed: int = 1) -> Survey:
    """Households that chose one of six vehicles (`car`), n of the 4,654 drawn by plan.

    The prompt tells education, household and way to work, and lists the vehicles. Raises
    `datasets.DataError` where the data are not here, saying how to get them.
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
    design = vehicles.assign(context=render(people, CAR))
    asked, told = {"pick": car_choice()}, {"pick": tuple(CAR)}
    return Survey("car", people, asked, {"pick": design}, told, {}, plan)
