"""Representativeness (study 05): populations, techniques and both errors of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simkit import datasets
from simkit import estimators as est
from simkit.audit import Works, affordable, direct_shares
from simkit.personas import (
    ANES96,
    Battery,
    Item,
    draw,
    likert,
    margin_of,
    rake,
    render,
    sampling_plan,
)
from simkit.personas.answers import Believe
from simkit.questions import Question
from simkit.result import Result
from simkit.scoring import LocalModel, believe, worlds_of
from simkit.studies.claims import ends
from simkit.studies.population_finetuning import surveys
from simkit.studies.representativeness.techniques import (
    independent_answers,
    joint_answers,
    persona_answers,
)
from simkit.survey import Survey, read_survey
from simkit.types import generator
from simkit.worlds import survey as world

__all__ = ["against_truth", "anes_survey", "battery", "errors", "file_survey", "fitted",
           "mixture", "other_measures", "people_of", "simulate", "stated_shares", "voters_in_words",
           "who", "world_people", "world_survey", "worth"]  # fmt: skip

ANES_TOLD = ("educ", "income", "age")
ANES_TELLS = {  # how an answer is told to later questions
    "PID": "Party (1 Democrat, 7 Republican): {answer}",
    "selfLR": "Politics (1 liberal, 7 conservative): {answer}",
    "vote": "Vote (1 Clinton, 2 Dole): {answer}",
}
FEWEST = 3  # questions, of which something like a structure can be told
MOST_REDUCED = 40  # simulated people: of fewer nothing is learnt about correlations
VOTERS = "Voters in the United States in 1996"
_PLACES = ("liberal", "moderate", "conservative")
_PARTIES = ("Democratic", "independent", "Republican")
_SPELLED = {"Democratic": ("Democrat",)}
# Question of the voters in words: what is asked of {who}, whose {own}; options; how it is told.
_IN_WORDS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "party": ("Which word describes {own} party: Democratic, independent or Republican?",
              _PARTIES, "The respondent's party: {answer}."),
    "politics": ("Which word describes {own} politics: liberal, moderate or conservative?",
                 _PLACES, "The respondent's politics are {answer}."),
    "vote": ("Whom {does} {who} vote for as president, Bill Clinton or Bob Dole?",
             ("Bill Clinton", "Bob Dole"), "The respondent votes for {answer}."),
    "Clinton": ("Which word describes the politics of Bill Clinton: liberal, moderate or "
                "conservative?", _PLACES, "To the respondent, Bill Clinton is {answer}."),
    "Dole": ("Which word describes the politics of Bob Dole: liberal, moderate or conservative?",
             _PLACES, "To the respondent, Bob Dole is {answer}."),
    "news": ("{Does} {who} watch TV news every day of the week?", ("yes", "no"),
             "The respondent watches TV news every day: {answer}."),
}  # fmt: skip
_OTHER = {"who": "the respondent", "own": "the respondent's", "does": "does", "Does": "Does"}
_YOU = {"who": "you", "own": "your", "does": "do", "Does": "Do"}


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
        simulated=world_people(simulated, seed + 1),
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
        simulated=personas.head(simulated or len(personas)),
    )


def voters_in_words(*, seed: int = 1, simulated: int | None = None) -> Survey:
    """Voters of 1996 (`anes96`): six items that are answered in a word, told as `anes_survey`.

    All 944 people: no adapter has learnt these questions. Answers on scales of seven are the words
    that a model is offered: three places (the middle one moderate, or independent), and news on TV
    on all seven days or not. simulated : how many personas, at most, of people drawn at random by
    seed; None for one per person.
    """
    frame = datasets.load("anes96").astype(dict.fromkeys(("age", "educ", "income"), int))
    people = frame[list(ANES_TOLD)].reset_index(drop=True)
    questions = {name: _in_a_word(name, _OTHER) for name in _IN_WORDS}
    codes = {
        "party": np.sign(frame["PID"] - 3) + 1,
        **{name: np.sign(frame[column] - 4) + 1 for name, column in
           (("politics", "selfLR"), ("Clinton", "ClinLR"), ("Dole", "DoleLR"))},
        "vote": frame["vote"],
        "news": frame["TVnews"] == 7,
    }  # fmt: skip
    for name, places in codes.items():
        words = dict(zip(questions[name].values or (), questions[name].options, strict=True))
        people[name] = [words[float(place)] for place in places]
    personas = people[list(ANES_TOLD)].assign(person=np.arange(len(people)))
    personas = personas.assign(context=render(people, ANES96, attributes=ANES_TOLD))
    some = generator(seed, "personas").permutation(len(personas))[: simulated or len(personas)]
    return Survey(
        "anes96",
        people,
        questions,
        dict.fromkeys(questions, personas),
        dict.fromkeys(questions, ANES_TOLD),
        tells={name: tell for name, (_, _, tell) in _IN_WORDS.items()},
        simulated=personas.iloc[some].reset_index(drop=True),
    )


def file_survey(
    path: Path | str,
    ask: Sequence[str],
    tell: Sequence[str],
    *,
    seed: int = 1,
    simulated: int | None = None,
) -> Survey:
    """A survey file as the study takes it: see `read_survey` and `Survey.asking`.

    Answers are listed with letters. Items of two answers are numbered 0 and 1; of the others each
    must lie on a scale, for correlations are of numbers: else ValueError. simulated : how many
    personas, at most, drawn by plan with chances proportional to the weights; None for one per
    person.
    """
    survey = read_survey(path).asking(ask, tell, layout="letters")
    questions = dict(survey.questions)
    for name, asked in questions.items():
        if asked.values is None and len(asked.options) > 2:
            raise ValueError(
                f"item {name!r} is nominal with {len(asked.options)} answers; what is asked here "
                "must be ordinal, numeric, or have two answers (a code book says what it is)"
            )
        if asked.values is None:
            questions[name] = replace(asked, values=(0.0, 1.0))
    design = survey.designs[ask[0]].drop(columns="person")
    weights = survey.sampling().get("weights", pd.Series(1.0, design.index))
    plan = sampling_plan(
        design.assign(weight=weights), min(simulated or len(design), len(design)), by=list(tell),
        margins=[name for name in tell if design[name].nunique() <= surveys.MANY] or tell[:1],
        replace=survey.weights is not None, seed=seed,
    )  # fmt: skip
    people = plan.people.drop(columns=["source", "weight"])
    name = Path(path).stem
    return replace(survey, name=name, questions=questions, plan=plan, simulated=people)


def _in_a_word(name: str, who: Mapping[str, str]) -> Question:
    text, options, _ = _IN_WORDS[name]
    forms = {option: _SPELLED[option] for option in options if option in _SPELLED}
    values = [1, 0] if options == ("yes", "no") else [*range(len(options))]
    return Question(text.format(**who), options, values, forms=forms)


def stated_shares(model: LocalModel, survey: Survey) -> pd.DataFrame:
    """The shares of the voters' answers that a model states, without a persona.

    survey : of `voters_in_words` or of a file, with those of its questions that are asked. A row
    per `question` and option, see `audit.direct_shares`; the questions are put to the people
    themselves.
    """
    asked = survey.questions if survey.items else {n: _in_a_word(n, _YOU) for n in survey.questions}
    found = {name: direct_shares(model, q, who(survey)) for name, q in asked.items()}
    return pd.concat(found, names=["question"]).droplevel(1).reset_index()


def who(survey: Survey) -> str:
    """The people of a survey in words, as the question for their shares names them."""
    return surveys.who(survey) if survey.items else VOTERS


def fitted(survey: Survey, works: Works, minutes: float) -> tuple[Survey, list[str]]:
    """The survey that a model can answer in a time, and what was left out, in sentences.

    Parameters
    ----------
    survey : of `voters_in_words` or of a file.
    works : of all its questions; those that fail are left out.
    minutes : for two techniques that ask each person each question. The speed is that of the
        longest prompts, at the end of a joint interview.

    Raises ValueError where fewer than three questions are left, as there is no structure then.
    """
    assert survey.simulated is not None
    kept = {name: q for name, q in survey.questions.items() if name not in works.failing}
    said = [
        f"Left out: {name}, as {works.mass[name]:.2f} of the probability is on its options."
        for name in works.failing
    ]
    if len(kept) < FEWEST:
        raise ValueError(
            f"only {len(kept)} questions work on {works.model.name}, of {FEWEST} that a structure "
            "needs; ask in another way (-p system, -p answer)"
        )
    told = [survey.tells[name].format(answer=q.options[0]) for name, q in kept.items()]
    end = "\n".join(["", *told[1:]])
    longest = survey.simulated.assign(context=survey.simulated["context"] + end)
    prompts = affordable(works.model, next(iter(kept.values())), longest, minutes)
    wanted, n = len(survey.simulated), max(MOST_REDUCED, prompts // (2 * len(kept)))
    if n < wanted:
        people = "people" if survey.items else "voters"
        said.append(
            f"{n} simulated {people} per technique, not {wanted}: what {minutes:.1f} minutes pay "
            "for. More with -p budget_minutes."
        )
    return replace(survey, questions=kept, simulated=survey.simulated.head(n)), said


def people_of(survey: Survey, n: int, *, seed: int = 1) -> tuple[Survey, pd.DataFrame]:
    """n of the survey's people as if they were a simulation, and the survey of the others.

    Their weights, where they have some, are in `.attrs["weights"]`.
    """
    drawn = generator(seed, "people").permutation(len(survey.people))
    n = min(n, len(drawn) // 2)
    some, rest = (survey.people.iloc[np.sort(drawn[part])] for part in (slice(n), slice(n, None)))
    designs = {name: design.loc[rest.index] for name, design in survey.designs.items()}
    others = replace(survey, people=rest, designs=designs)
    answers = survey.humans.loc[some.index].reset_index(drop=True)
    if survey.weights:
        answers.attrs["weights"] = some[survey.weights].tolist()
    return others, answers


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
    assert survey.simulated is not None
    told = list(next(iter(survey.told.values())))
    source = f"the {survey.name}'s own margins"
    margins = [margin_of(survey.people[told], name, weight=None, source=source) for name in told]
    people = draw(rake(margins), len(survey.simulated), seed=seed)[["person", *told]]
    if survey.name == "anes96":
        return people.assign(context=render(people, ANES96, attributes=told))
    return _in_words(people).assign(person=people["person"])


def simulate(
    model: LocalModel | Believe, survey: Survey, *, seed: int = 1
) -> dict[str, pd.DataFrame]:
    """The answers of the four techniques, as many respondents as the survey's personas.

    The mixture is left out for a file, whose people are told in its own words.

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
    assert survey.simulated is not None
    ask = model if callable(model) else partial(believe, model, least_mass=0.0)
    questions, personas, w = battery(survey), survey.simulated, survey.sampling().get("weights")
    margins = independent_answers(survey.humans, len(personas), seed=seed, weights=w)
    found = {
        "independent margins": margins,
        "personas": persona_answers(ask, questions, personas, seed=seed),
    }
    if not survey.items:
        mixed = mixture(survey, seed=seed)
        found["mixture"] = persona_answers(ask, questions, mixed, seed=seed + 1)
    return found | {"joint interview": joint_answers(ask, questions, personas, seed=seed + 2)}


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
    survey : with the humans' answers, and their weights.
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
    base: dict[str, Any] = {"n_boot": n_boot, "rng": seed}
    base["weights"] = survey.sampling().get("weights")
    for name, answers in simulated.items():
        how = {**base, "simulated_weights": answers.attrs.get("weights")}
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


def worth(survey: Survey, table: pd.DataFrame, *, seed: int = 1) -> pd.DataFrame:
    """The errors of `errors` as sizes of surveys of the people that err as much.

    Returns
    -------
    A row per technique: margins, margins_low, margins_high, structure, …: people, to two digits;
    see `estimators.as_good_as`.
    """
    columns, sides = {}, (("marginal", "margins", "tv"), ("structural", "structure", "rmsd"))
    humans = survey.humans
    if survey.weights:  # as many people, drawn with chances proportional to their weights
        weighed = humans.assign(weight=survey.sampling()["weights"])
        humans = draw(weighed, len(humans), by=list(survey.questions), seed=seed)[list(humans)]
    for side, name, distance in sides:
        error = pd.DataFrame([ends(row, side) for _, row in table.iterrows()], table["technique"])
        people = est.as_good_as(humans, error, distance=distance, rng=seed).frame
        for end in ("estimate", "low", "high"):
            columns[name if end == "estimate" else f"{name}_{end}"] = people[end]
    return pd.DataFrame(columns).map(lambda people: float(f"{people:.2g}"))


def other_measures(
    humans: pd.DataFrame,
    simulated: Mapping[str, pd.DataFrame],
    *,
    seed: int = 1,
    weights: pd.Series | None = None,
) -> pd.DataFrame:
    """The structure by other measures, of the samples as they are: a column per technique.

    Parameters
    ----------
    humans : answers (n, questions).
    simulated : technique -> numbers (n, questions); two techniques or more.
    seed : of the resamples.
    weights : (n,) of the humans.

    Returns
    -------
    Rows: the RMSD of rank and polychoric correlations beside Pearson's, what `compare_factors` and
    `compare_networks` give. `floor` is what samples of one population of this size would score (of
    the second technique, for all).
    """
    few: dict[str, Any] = {"n_boot": 20, "rng": seed, "weights": weights}
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
