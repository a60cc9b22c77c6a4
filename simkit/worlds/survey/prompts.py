"""The survey world in words: interviews with respondents, their questions and exact answers.

A prompt states some demographics and some earlier answers of a respondent, and asks for one answer
more. The truth is P(answer | all that is stated), by enumeration over the two latent values
(`exact`). The numbers are in `simkit.worlds.survey.causal`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    DAYS,
    DEMOGRAPHICS,
    ELECTRIC,
    ITEMS,
    POPULATIONS,
    SCALE,
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

# Name -> what an earlier answer is introduced by, the question's text, the options' values.
_ASK: dict[str, tuple[str, str, tuple[float, ...] | None]] = {
    **{
        name: (text, f"How far does the respondent agree? {text}.", (1, 2, 3, 4, 5))
        for name, (text, *_) in ITEMS.items()
    },
    "vehicle": ("Next car", "Which car will the respondent buy next?", None),
    "news_days": (
        "TV news, days a week", "On how many days a week does the respondent watch TV news?", DAYS,
    ),
    "ev_before": (
        "Electric car next, 0 to 100", "How likely is an electric car next, 0 to 100?", SCALE,
    ),
    "ev_after": (
        "Electric car now, 0 to 100", "How likely is an electric car now, 0 to 100?", SCALE,
    ),
}  # fmt: skip
QUESTIONS = tuple(_ASK)
# What may stand after the demographics, in the order in which it is told unless a row says else.
TOLD = (*ITEMS, "vehicle", "news_days", *ELECTRIC)


def question(name: str) -> Question:
    """One of the survey's questions.

    Parameters
    ----------
    name : an item's name, "vehicle", "news_days", "ev_before" or "ev_after".

    Returns
    -------
    Question
        Values are 1 to 5 for agreement, days a week, and points from 0 to 100; "vehicle" has none.

    Raises
    ------
    ValueError
        For another name.

    Examples
    --------
    >>> question("climate").text
    'How far does the respondent agree? Climate change worries me.'
    """
    one_of(name, "question", QUESTIONS)
    _, text, values = _ASK[name]
    return Question(text, [str(option) for option in GENERAL.scm[name].values], values)


def exact(design: pd.DataFrame, ask: str, population: Population = GENERAL) -> FloatArray:
    """True probabilities of the answers to `question(ask)`, by enumeration.

    Parameters
    ----------
    design : one row per prompt, with any of the demographics, the answers and `information` as
        columns; None and NaN are "not stated" and averaged over. A column named as `ask` is
        ignored, and so are columns that the world does not have.
    ask : the question's name.
    population : whose answers.

    Returns
    -------
    ndarray
        Shape (n_rows, K): P(answer | all that the row states), options in the question's order.
        `information` is randomised, so stating it alone tells nothing of the other answers.

    Raises
    ------
    ValueError
        For a value that the world does not have, naming row, column and the values there are.

    Examples
    --------
    >>> exact(pd.DataFrame({"climate": ["strongly agree"]}), "fewer_cars").round(2).tolist()
    [[0.03, 0.14, 0.34, 0.34, 0.15]]
    """
    one_of(ask, "question", QUESTIONS)
    check_population(population)
    rows = framed(design, "the design").reset_index(drop=True)
    stated = population.scm.stated(rows, (*DEMOGRAPHICS, *TOLD), but=(ask,))
    groups = [stated.get(n, np.full(len(rows), len(k))) for n, k in DEMOGRAPHICS.items()]
    # P(what is stated, latent pair), up to a constant factor of the row: (rows, latent pairs).
    weight = population.core.cube()[tuple(groups)][:, :-1, :-1].reshape(len(rows), -1)
    for name in (n for n in stated if n not in (*DEMOGRAPHICS, *ELECTRIC)):
        table = population.answer(name)
        weight = weight * np.pad(table, ((0, 0), (0, 1)), constant_values=1.0)[:, stated[name]].T
    # P(what is stated of the electric car | latent pair), up to a constant factor, shape
    # (latent pairs, rows, 1), or (latent pairs, rows, K) for the K options of what is asked.
    lengths = {name: len(population.scm[name].values) for name in ELECTRIC}
    index = {n: stated.get(n, np.full(len(rows), k))[:, None] for n, k in lengths.items()}
    if ask in index:
        index[ask] = np.arange(lengths[ask])[None, :]
    electric = np.stack([cells[*index.values()] for cells in population.electric])
    if ask in index:
        mass = np.einsum("rl,lrk->rk", weight, electric)
    else:
        mass = (weight * electric[..., 0].T) @ population.answer(ask)
    return np.asarray(mass / mass.sum(1, keepdims=True))


def marginal(ask: str, population: Population = GENERAL) -> FloatArray:
    """P(answer) in the whole population; information as randomised.

    Parameters
    ----------
    ask : the question's name.
    population : whose answers.

    Returns
    -------
    ndarray
        Shape (K,), options in the question's order.

    Examples
    --------
    >>> marginal("vehicle").round(2).tolist()
    [0.38, 0.21, 0.27, 0.14]
    """
    return np.asarray(exact(pd.DataFrame(index=[0]), ask, population)[0])


def profiles(
    names: Sequence[str] = tuple(DEMOGRAPHICS), population: Population = GENERAL
) -> pd.DataFrame:
    """All combinations of the named demographics with their probability.

    Parameters
    ----------
    names : of the demographics.
    population : whose.

    Returns
    -------
    DataFrame
        One row per combination; the probability is in the column `weight`.

    Examples
    --------
    >>> profiles(["residence"]).weight.round(2).tolist()
    [0.36, 0.38, 0.26]
    """
    check_population(population)
    return combinations(population.core.joint(), DEMOGRAPHICS, names, "demographic")


def design(
    people: pd.DataFrame,
    *,
    demographics: Sequence[str] = tuple(DEMOGRAPHICS),
    answered: Iterable[str | Sequence[str]] = (),
    wording: int | Sequence[int] | IntArray = 0,
) -> pd.DataFrame:
    """Prompts that state the named demographics and earlier answers of each person.

    Parameters
    ----------
    people : one row per prompt, as `respondents` or `profiles` gives them.
    demographics : what is stated of the person.
    answered : earlier answers (and `information`) in the order in which they were given: names
        for all rows alike, or one sequence of names per row.
    wording : phrasing and order of the demographics: one number, or one per row.

    Returns
    -------
    DataFrame
        The stated columns, `answered` (tuples), `wording` and `context`, on the index of `people`.
        What a row does not state is None.

    Raises
    ------
    ValueError
        For a name that the people have no column for, or that cannot be stated.

    Examples
    --------
    >>> people = pd.DataFrame({"age": ["18 to 34"], "climate": ["agree"]})
    >>> print(design(people, demographics=["age"], answered=["climate"]).context.item())
    A survey of adults. The respondent is aged 18 to 34.
    Climate change worries me: agree
    """
    orders = _orders(answered, len(framed(people, "the people")))
    named = {*demographics, *(name for order in orders for name in order)}
    unknown = sorted(named - ({*DEMOGRAPHICS, *TOLD} & {*people.columns}))
    if unknown:
        raise ValueError(f"people have no column {unknown[0]!r}, or prompts cannot state it")
    frame = people[[n for n in DEMOGRAPHICS if n in demographics]].astype(object)
    for name in (n for n in TOLD if n in named):
        stated = np.array([name in order for order in orders], dtype=bool)
        frame[name] = people[name].astype(object).where(stated, None)
    order = pd.Series(orders, index=people.index, dtype=object)
    return with_context(frame.assign(answered=order, wording=wording))


def _orders(answered: Iterable[str | Sequence[str]], rows: int) -> list[tuple[str, ...]]:
    """The names in `answered`, one tuple per row."""
    names = list(answered)
    if all(isinstance(a, str) for a in names):
        return [tuple(str(a) for a in names)] * rows
    if len(names) != rows:
        raise ValueError(f"answered has {len(names)} rows; it must be {rows}, as the people have")
    return [tuple(a) for a in names]


def with_context(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with a column `context`: what the prompt says, in English.

    The demographics come first (a column `wording` sets their phrasing and order), then one line
    per earlier answer, in the order of the column `answered` (a tuple of names per row); answers
    that it does not name, and all where there is no such column, follow in the world's order.

    Parameters
    ----------
    frame : one row per prompt; missing values are not told.

    Returns
    -------
    DataFrame
        A copy, with the column `context`.

    Raises
    ------
    ValueError
        For a value that the world does not have.

    Examples
    --------
    >>> with_context(pd.DataFrame({"gender": ["woman"]})).context.item()
    'A survey of adults. The respondent is a woman.'
    """
    framed(frame, "the frame")
    lines = {n: _lines(n, frame[n].tolist()) for n in TOLD if n in frame}
    GENERAL.scm.stated(frame, DEMOGRAPHICS)  # raises for a value that the world does not have
    openings = describe(frame.assign(survey="here"), SENTENCES)
    answered = frame["answered"] if "answered" in frame else [()] * len(frame)
    orders = [tuple(o) if isinstance(o, tuple | list) else () for o in answered]
    rows = np.repeat(np.arange(len(orders)), [len(order) for order in orders])
    codes("answered", [name for order in orders for name in order], TOLD, rows=rows, missing=False)
    contexts = []
    for row, (opening, order) in enumerate(zip(openings, orders, strict=True)):
        names = [*order, *(n for n in lines if n not in order)]
        known = (lines[n][row] for n in names if n in lines)
        contexts.append("\n".join([opening, *filter(None, known)]))
    return frame.assign(context=pd.Series(contexts, index=frame.index, dtype=object))


def _lines(name: str, values: Sequence[Any]) -> list[str | None]:
    """The line that tells each value of one answer, None where it is missing.

    Written from the variable's own values, so that 40.0 (a column with gaps) reads 40.
    """
    options = GENERAL.scm[name].values
    informed = name == "information"
    lines = [_INFORMED[v] if informed else f"{_ASK[name][0]}: {v}" for v in options]
    return [*np.array([*lines, None], dtype=object)[GENERAL.scm.encode(name, values)]]


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
