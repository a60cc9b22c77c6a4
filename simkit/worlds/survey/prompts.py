"""The survey world in words: interviews with respondents, their questions and exact answers.

A prompt says some demographics and some earlier answers of a respondent, and asks for one answer
more. The truth is P(answer | all that is said), by enumeration over the two latent values
(`exact`). The numbers are in `simkit.worlds.survey.causal`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from simkit.personas.render import describe
from simkit.questions import Question
from simkit.types import FloatArray, IntArray, framed, one_of
from simkit.worlds.kinds import Build, Kind, Kinds, Prompts, leave_out, wordings
from simkit.worlds.scm import codes
from simkit.worlds.scm import profiles as combinations
from simkit.worlds.survey.causal import (
    AGREEMENT,
    DAYS,
    DEMOGRAPHICS,
    ITEMS,
    POPULATIONS,
    SCALE,
    VEHICLES,
    Population,
    check_population,
    respondents,
)

__all__ = ["KINDS", "QUESTIONS", "SENTENCES", "design", "exact", "marginal", "profiles", "question",
           "with_context"]  # fmt: skip

GENERAL = POPULATIONS["general"]

SENTENCES: dict[str, tuple[str, ...]] = {
    "survey": ("A survey of adults.",),
    "age": ("The respondent is aged {age}.", "Age: {age}."),
    "gender": ("The respondent is a {gender}.", "Gender: {gender}."),
    "education": ("The highest education is {education}.", "Education: {education}."),
    "residence": ("The respondent lives in the {residence}.", "Residence: {residence}."),
    "income": ("The respondent has a {income} income.", "Income: {income}."),
}
_INFORMED = {
    "nothing": "The respondent read nothing more.",
    "running costs": "The respondent read about running costs.",
    "charging network": "The respondent read about the charging network.",
}

# Name -> what an earlier answer is introduced by, the question's text, options, their values.
_ASK: dict[str, tuple[str, str, tuple[Any, ...], tuple[float, ...] | None]] = {
    **{
        name: (text, f"How far does the respondent agree? {text}.", AGREEMENT, (1, 2, 3, 4, 5))
        for name, (text, *_) in ITEMS.items()
    },
    "vehicle": ("Next car", "Which car will the respondent buy next?", VEHICLES, None),
    "news_days": (
        "TV news, days a week", "On how many days a week does the respondent watch TV news?",
        DAYS, DAYS,
    ),
    "ev_before": (
        "Electric car next, 0 to 100", "How likely is an electric car next, 0 to 100?",
        SCALE, SCALE,
    ),
    "ev_after": (
        "Electric car now, 0 to 100", "How likely is an electric car now, 0 to 100?",
        SCALE, SCALE,
    ),
}  # fmt: skip
QUESTIONS = tuple(_ASK)
# What may stand after the demographics, in the order in which it is told unless a row says else.
TOLD = (*ITEMS, "vehicle", "news_days", "ev_before", "information", "ev_after")
_EV = ("ev_before", "information", "ev_after")


def question(name: str) -> Question:
    """One of the world's questions: an item's name, vehicle, news_days, ev_before or ev_after.

    Values are 1 to 5 for agreement, days a week, and points from 0 to 100; `vehicle` has none.
    """
    one_of(name, "question", QUESTIONS)
    _, text, options, values = _ASK[name]
    return Question(text, [str(o) for o in options], values)


def exact(design: pd.DataFrame, ask: str, population: Population = GENERAL) -> FloatArray:
    """True probabilities of the answers to `question(ask)`, by enumeration.

    Parameters
    ----------
    design : one row per prompt, with any of the demographics, the answers and `information` as
        columns; None and NaN are "not said" and averaged over. A column named as `ask` is
        ignored, and so are columns that the world does not have.
    ask : the question's name.
    population : whose answers.

    Returns
    -------
    Array of shape (n_rows, K): P(answer | all that the row says), options in the question's
    order. `information` is randomised, so saying it alone tells nothing of the other answers.
    Raises ValueError for a value that the world does not have, naming row, column and the legal
    values.
    """
    one_of(ask, "question", QUESTIONS)
    check_population(population)
    rows = framed(design, "the design").reset_index(drop=True)
    said = {
        name: population.scm.encode(name, rows[name].tolist())
        for name in (*DEMOGRAPHICS, *TOLD)
        if name in rows and name != ask
    }
    weight = population.values_given(said, len(rows))  # (rows, latent pairs)
    for name in (n for n in said if n not in (*DEMOGRAPHICS, *_EV)):
        table = population.answer(name)
        unsaid = np.ones((len(table), 1))
        weight = weight * np.concatenate([table, unsaid], axis=1)[:, said[name]].T
    if ask in ("ev_before", "ev_after"):
        mass = np.einsum("rl,lrk->rk", weight, _electric(said, len(rows), population, ask))
    else:
        if said.keys() & set(_EV):
            weight = weight * _electric(said, len(rows), population).T
        mass = weight @ population.answer(ask)
    return np.asarray(mass / mass.sum(1, keepdims=True))


def _electric(
    said: Mapping[str, IntArray], rows: int, population: Population, ask: str | None = None
) -> FloatArray:
    """P(what is said of the electric car | latent pair): (25, rows), or (25, rows, 11) of `ask`."""
    index: list[Any] = []
    for name in _EV:
        options = len(population.scm[name].values)
        codes = said.get(name, np.full(rows, options))  # `options` itself: not said
        if ask is None:
            index.append(codes)
        else:
            index.append(np.arange(options)[None, :] if name == ask else codes[:, None])
    return np.asarray(population.electric[(slice(None), *index)])


def marginal(ask: str, population: Population = GENERAL) -> FloatArray:
    """P(answer) in the whole population, shape (K,); information as randomised."""
    return np.asarray(exact(pd.DataFrame(index=[0]), ask, population)[0])


def profiles(
    names: Sequence[str] = tuple(DEMOGRAPHICS), population: Population = GENERAL
) -> pd.DataFrame:
    """All combinations of the named demographics with their probability (column `weight`)."""
    check_population(population)
    return combinations(population.core.joint(), DEMOGRAPHICS, names, "demographic")


def design(
    people: pd.DataFrame,
    *,
    demographics: Sequence[str] = tuple(DEMOGRAPHICS),
    answered: Iterable[str | Sequence[str]] = (),
    wording: int | Sequence[int] | IntArray = 0,
) -> pd.DataFrame:
    """Prompts that say the named demographics and earlier answers of each person.

    Parameters
    ----------
    people : one row per prompt, as `respondents` or `profiles` gives them.
    demographics : what is said of the person.
    answered : earlier answers (and `information`) in the order in which they were given: names
        for all rows alike, or one sequence of names per row.
    wording : phrasing and order of the demographics: one number, or one per row.

    Returns
    -------
    The said columns, `answered` (tuples), `wording` and `context`, on the index of `people`. What
    a row does not say is None.
    """
    orders = _orders(answered, len(framed(people, "the people")))
    named = {*demographics, *(name for order in orders for name in order)}
    unknown = sorted((named - {*DEMOGRAPHICS, *TOLD}) | (named - {*people.columns}))
    if unknown:
        raise ValueError(f"people have no column {unknown[0]!r}, or it is nothing to be said")
    frame = people[[n for n in DEMOGRAPHICS if n in demographics]].astype(object)
    for name in (n for n in TOLD if n in named):
        said = np.array([name in order for order in orders], dtype=bool)
        frame[name] = people[name].astype(object).where(said, None)
    order = pd.Series(orders, index=people.index, dtype=object)
    return with_context(frame.assign(answered=order, wording=wording))


def _orders(answered: Iterable[str | Sequence[str]], rows: int) -> list[tuple[str, ...]]:
    """The names in `answered`, one tuple per row."""
    given = list(answered)
    if all(isinstance(a, str) for a in given):
        return [tuple(str(a) for a in given)] * rows
    if len(given) != rows:
        raise ValueError(f"answered has {len(given)} rows; legal is {rows}, as the people have")
    return [tuple(a) for a in given]


def with_context(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with a column `context`: what the prompt says, in English.

    The demographics come first (a column `wording` sets their phrasing and order), then one line
    per earlier answer, in the order of the column `answered` (a tuple of names per row); answers
    that it does not name, and all where there is no such column, follow in the world's order.
    Missing values are not told. Raises ValueError for a value that the world does not have.
    """
    framed(frame, "the frame")
    told = {n: _told(n, frame[n].tolist()) for n in TOLD if n in frame}
    said = frame.assign(survey="said")
    for name in DEMOGRAPHICS.keys() & set(frame.columns):
        GENERAL.scm.encode(name, frame[name].tolist())  # raises where the value is not legal
    opening = describe(said, SENTENCES)
    orders = frame["answered"] if "answered" in frame else [()] * len(frame)
    given = [tuple(o) if isinstance(o, tuple | list) else () for o in orders]
    rows = np.repeat(np.arange(len(given)), [len(order) for order in given])
    codes("answered", [name for order in given for name in order], TOLD, rows=rows, missing=False)
    contexts = []
    for row, (start, order) in enumerate(zip(opening, given, strict=True)):
        names = [*order, *(n for n in told if n not in order)] if order else told
        lines = [told[n][row] for n in names if n in told]
        contexts.append("\n".join([start, *(line for line in lines if line is not None)]))
    return frame.assign(context=pd.Series(contexts, index=frame.index, dtype=object))


def _told(name: str, values: Sequence[Any]) -> list[str | None]:
    """The line that tells each value of one answer, None where it is missing.

    Written from the variable's own values, so that 40.0 (a column with gaps) reads 40.
    """
    codes = GENERAL.scm.encode(name, values)
    options = GENERAL.scm[name].values
    if name == "information":
        lines = [_INFORMED[v] for v in options]
    else:
        lines = [f"{_ASK[name][0]}: {v}" for v in options]
    return [*np.array([*lines, None], dtype=object)[codes]]


_OPINIONS = tuple(ITEMS)
_FIRST = (*ITEMS, "vehicle", "news_days", "ev_before")  # all that comes before the information


def _kind(
    asked: Sequence[str], low: int = 0, high: int = 0, opinions: float = 1.0, informed: bool = False
) -> Build:
    """Prompts that ask one of `asked` after `low` to `high` earlier answers of the same person.

    The earlier answers are opinion items alone in a share `opinions` of the calls, and any
    answers in the others; where there may be none, there are none in half of the prompts. With
    `informed`, the first answer on the electric car (in 9 prompts of 10) and the information
    shown (in 9 of 10) come last.
    """

    def build(n: int, rng: np.random.Generator, held_out: bool = False) -> Prompts:
        ask = str(rng.choice(list(asked)))
        pool = [x for x in (_OPINIONS if rng.random() < opinions else _FIRST) if x != ask]
        pool = [x for x in pool if not (informed and x == "ev_before")]
        people = respondents(n, rng)
        if high == 0:  # answers do not depend on who the prompts are about: cover all groups
            for name, values in DEMOGRAPHICS.items():
                uniform = rng.choice(np.array(values, dtype=object), size=n)
                people[name] = people[name].where(rng.random(n) < 0.5, uniform)
        count = rng.integers(low, min(high, len(pool)) + 1, size=n)
        if low == 0:
            count = np.where(rng.random(n) < 0.5, 0, count)
        orders = [tuple(pool[i] for i in rng.permutation(len(pool))[:k]) for k in count]
        if informed:
            first, shown = rng.random(n) < 0.9, rng.random(n) < 0.9
            orders = [
                (*o, *("ev_before",) * int(b), *("information",) * int(i))
                for o, b, i in zip(orders, first, shown, strict=True)
            ]
        leave_out(people, DEMOGRAPHICS, rng)
        frame = design(people, answered=orders, wording=wordings(n, rng, held_out))
        return frame, question(ask), exact(frame, ask)

    return build


KINDS: Kinds = {
    "likert, demographics": Kind(_kind(_OPINIONS), 0.07),
    "likert, interview": Kind(_kind(_OPINIONS, 1, 7, opinions=0.75), 0.62, held_out=False),
    "ev before": Kind(_kind(("ev_before",), 0, 4, opinions=0.75), 0.07),
    "ev after": Kind(_kind(("ev_after",), 0, 3, informed=True), 0.08),
    "vehicle": Kind(_kind(("vehicle",), 0, 4, opinions=0.75), 0.10),
    "news days": Kind(_kind(("news_days",), 0, 4, opinions=0.75), 0.06),
    "likert, interview, short": Kind(_kind(_OPINIONS, 1, 3)),
    "likert, interview, long": Kind(_kind(_OPINIONS, 4, 7)),
}
