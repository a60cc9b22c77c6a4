"""Ways to simulate a population's answers to a battery: techniques that a study can compare.

Each takes what `simkit.personas.interview` takes and gives a frame of numbers, one row per
respondent and one column per question, as the estimators want them. A fine-tuned model is one more
`believe`: functools.partial(simkit.believe, simkit.training.load_adapter(model, folder)).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd

from simkit.personas import Battery, Item, interview
from simkit.personas.answers import Believe, belief_table, question_texts
from simkit.personas.interview import Interviews
from simkit.questions import Question
from simkit.survey import answer_values, scale_of
from simkit.templates import records_of
from simkit.types import FloatArray, framed, generator, integer, shown

__all__ = [
    "answer_numbers",
    "chained_correlation",
    "independent_answers",
    "joint_answers",
    "persona_answers",
]


def persona_answers(
    believe: Believe, battery: Battery, people: pd.DataFrame, *, seed: int = 0
) -> pd.DataFrame:
    """Persona prompting: every question by itself, told what `people` say of the respondent.

    people : `context` and `person`, see `interview`. Answers are drawn from the belief, seeded per
    person and question. Given the persona they are independent, so only the correlation that the
    personas carry can come out. Returns numbers (n, questions), see `answer_numbers`, and in
    `.attrs["valid_mass"]` the mean valid mass of the questions asked.
    """
    return _numbers(interview(believe, battery, people, joint=False, seed=seed), battery)


def joint_answers(
    believe: Believe,
    battery: Battery,
    people: pd.DataFrame,
    *,
    seed: int = 0,
    orders: Sequence[Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Joint interview: each answer is drawn given all earlier answers of the same respondent.

    By the chain rule the answers are a draw from the model's own joint distribution, in the order
    asked. As `persona_answers`; orders as in `interview`: the first question of an order is
    answered as a persona would.
    """
    made = interview(believe, battery, people, joint=True, seed=seed, orders=orders)
    return _numbers(made, battery)


def _numbers(made: Interviews, battery: Battery) -> pd.DataFrame:
    answers = answer_numbers(made.answers, battery)
    answers.attrs["valid_mass"] = float(made.turns["valid_mass"].mean())
    return answers


def independent_answers(answers: pd.DataFrame, n: int, *, seed: int = 0) -> pd.DataFrame:
    """The control: every answer drawn from the humans' own share of it, alone (n, questions).

    No model is asked: margins are right but for sampling error, and there is no structure at all.
    answers : of humans, NaN where missing (left out). Raises ValueError for n below 1, and a
    question that nobody answered.
    """
    framed(answers, "the answers")
    integer(n, "n", 1)
    out = {}
    for name in answers:
        given = answers[name].dropna().to_numpy()
        if not len(given):
            raise ValueError(f"nobody answered {name!r}")
        p = np.full(len(given), 1 / len(given))
        rng = generator(seed, "independent", str(name))
        out[name] = rng.choice(given, size=n, p=p)
    return pd.DataFrame(out)


def chained_correlation(believe: Believe, battery: Battery, people: pd.DataFrame) -> pd.DataFrame:
    """Correlations (k, k) of the model's answers to two questions in a row, without any sampling.

    For each ordered pair, P(a, b) = P(a) P(b | a), averaged over people: entry (i, j) is the
    correlation when i is asked first. A model whose beliefs are
    of one joint distribution gives a symmetric matrix. k (k - 1) K prompts per person: give few
    people, or one without attributes. NaN where an answer does not vary. Raises ValueError for
    people without a `context` that is text.
    """
    framed(people, "the people")
    if people.empty or "context" not in people:
        raise ValueError("there are no people, or they have no column 'context'; see render")
    for row, text in zip(people.index, people["context"], strict=True):
        if not isinstance(text, str):
            raise ValueError(f"context: row {row!r} holds {shown(text)}; it must be text")
    _check_battery(battery)
    items = {item.name: item for item in battery.items if item.question is not None}
    scales = [np.array(scale_of(item.question)) for item in items.values() if item.question]
    alone = {name: _beliefs(believe, item, people) for name, item in items.items()}
    out = np.eye(len(items))
    for (i, a), (j, b) in permutations(enumerate(items), 2):
        asked = _told(items[a], people)
        after = _beliefs(believe, items[b], asked)
        joint = alone[a][:, :, None] * after.reshape(len(people), -1, after.shape[1])
        out[i, j] = _correlation(joint.mean(axis=0), scales[i], scales[j])
    return pd.DataFrame(out, index=list(items), columns=list(items))


def answer_numbers(answers: pd.DataFrame, battery: Battery) -> pd.DataFrame:
    """Answers to a battery's closed questions as numbers, see `simkit.survey.answer_values`.

    answers : with a column per question. Raises ValueError for a question without a column.
    """
    framed(answers, "the answers")
    _check_battery(battery)
    out = {}
    for item in battery.items:
        if item.question is None:
            continue
        if item.name not in answers:
            raise ValueError(f"the answers have no column {item.name!r}, as the question is called")
        out[item.name] = answer_values(answers[item.name], item.question)
    return pd.DataFrame(out, index=answers.index)


def _check_battery(battery: Any) -> None:
    if not isinstance(battery, Battery):
        raise ValueError(f"battery is {shown(battery)}; it must be a Battery")


def _beliefs(believe: Believe, item: Item, people: pd.DataFrame) -> FloatArray:
    """Beliefs (n, K) in the answers to one question."""
    assert isinstance(item.question, Question)
    table = belief_table(believe, item.question, item.name, people)
    return np.asarray(table["belief"].to_numpy(dtype=float).reshape(len(people), -1))


def _told(item: Item, people: pd.DataFrame) -> pd.DataFrame:
    """Each respondent once per option, that option told as the answer given before."""
    assert isinstance(item.question, Question)
    scale, asked = scale_of(item.question), question_texts(item.question, people)
    told = [option for row in item.question.options_for(people) for option in row]
    rows = people.iloc[np.repeat(np.arange(len(people)), len(scale))].reset_index(drop=True)
    lines = []
    for number, record in enumerate(records_of(rows)):
        person, k = divmod(number, len(scale))
        own = {"question": asked[person], "answer": told[number], "value": scale[k]}
        lines.append(f"{record['context']}\n{item.line(record, **own)}")
    return rows.assign(context=lines)


def _correlation(joint: FloatArray, x: FloatArray, y: FloatArray) -> float:
    """Correlation of two answers valued x and y from their joint distribution (K, L)."""
    p, q = joint.sum(1), joint.sum(0)
    spread = (p @ x**2 - (p @ x) ** 2) * (q @ y**2 - (q @ y) ** 2)
    if not spread > 0:
        return float("nan")
    return float((x @ joint @ y - (p @ x) * (q @ y)) / np.sqrt(spread))
