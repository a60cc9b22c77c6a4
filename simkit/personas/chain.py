"""Correlations of the answers to two questions in a row, exact: no answer is drawn."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd

from simkit.personas.answers import Believe, belief_table, question_texts
from simkit.personas.battery import Battery, Item
from simkit.questions import Question
from simkit.templates import records_of
from simkit.types import FloatArray, framed, invalid_row, typed

__all__ = ["chained_correlation"]


def chained_correlation(believe: Believe, battery: Battery, people: pd.DataFrame) -> pd.DataFrame:
    """Correlations of the answers to two questions in a row, without any sampling.

    For each ordered pair of questions, P(a, b) = P(a) P(b | a), averaged over people. A model whose
    beliefs are of one joint distribution gives a symmetric matrix.

    Parameters
    ----------
    believe : (question, design) -> the table of `simkit.believe`, for instance
        functools.partial(simkit.believe, model).
    battery : the questions; texts that are only shown are left out.
    people : one row per person, with `context`. There are k (k - 1) K prompts per person, for k
        questions of K options: give few people, or one without attributes.

    Returns
    -------
    Correlations (k, k); entry (i, j) is of asking i first. NaN where an answer does not vary.

    Raises
    ------
    ValueError
        For people without a `context` that is text, something else than a battery, and a `believe`
        that returns something else than it was asked for.

    Examples
    --------
    >>> from simkit.personas import Battery, Item, chained_correlation
    >>> from simkit.questions import Question
    >>> def same_again(question, design):
    ...     told = [text.endswith("yes") if "Tea" in text else None for text in design["context"]]
    ...     yes = np.array([0.5 if t is None else 0.8 if t else 0.2 for t in told])
    ...     return pd.DataFrame({
    ...         "prompt_id": np.repeat(np.arange(len(yes)), 2), "option_id": [0, 1] * len(yes),
    ...         "option": ["no", "yes"] * len(yes), "belief": np.c_[1 - yes, yes].ravel(),
    ...     })
    >>> items = [Item(n, Question(f"{n}?", ["no", "yes"]), tell="Tea: {answer}") for n in "ab"]
    >>> people = pd.DataFrame({"context": ["An adult."]})
    >>> chained_correlation(same_again, Battery(items), people).round(2)
         a    b
    a  1.0  0.6
    b  0.6  1.0
    """
    framed(people, "the people")
    if people.empty or "context" not in people:
        raise ValueError("there are no people, or they have no column 'context'; see render")
    for row, text in zip(people.index, people["context"], strict=True):
        if not isinstance(text, str):
            raise invalid_row("context", row, text, "text")
    typed(battery, "battery", Battery, "a Battery")
    asked = {item.name: item.question for item in battery.items if item.question is not None}
    out = pd.DataFrame(np.eye(len(asked)), index=list(asked), columns=list(asked))
    alone = {name: _beliefs(believe, battery[name], people) for name in asked}
    for first, second in permutations(asked, 2):
        then = _beliefs(believe, battery[second], _told(battery[first], asked[first], people))
        joint = alone[first][:, :, None] * then.reshape(len(people), -1, then.shape[1])
        values = (np.array(_scale(asked[name])) for name in (first, second))
        out.loc[first, second] = _correlation(joint.mean(axis=0), *values)
    return out


def _scale(question: Question) -> list[float]:
    return list(map(float, question.values or range(len(question.options))))


def _beliefs(believe: Believe, item: Item, people: pd.DataFrame) -> FloatArray:
    """Beliefs (n, K) in the answers to one question."""
    assert item.question is not None
    table = belief_table(believe, item.question, item.name, people)
    return np.asarray(table["belief"].to_numpy(dtype=float).reshape(len(people), -1))


def _told(item: Item, question: Question, people: pd.DataFrame) -> pd.DataFrame:
    """Each respondent once per option, that option told as the answer given before."""
    scale = _scale(question)
    answers = [option for row in question.options_for(people) for option in row]
    texts, values = np.repeat(question_texts(question, people), len(scale)), scale * len(people)
    rows = people.iloc[np.repeat(np.arange(len(people)), len(scale))].reset_index(drop=True)
    facts = zip(records_of(rows), texts, answers, values, strict=True)
    return rows.assign(context=[
        f"{person['context']}\n{item.line(person, question=str(text), answer=answer, value=value)}"
        for person, text, answer, value in facts
    ])  # fmt: skip


def _correlation(joint: FloatArray, x: FloatArray, y: FloatArray) -> float:
    """Correlation of two answers valued x and y from their joint distribution (K, L)."""
    p, q = joint.sum(1), joint.sum(0)
    spread = (p @ x**2 - (p @ x) ** 2) * (q @ y**2 - (q @ y) ** 2)
    if not spread > 0:
        return float("nan")
    return float((x @ joint @ y - (p @ x) * (q @ y)) / np.sqrt(spread))
