"""Ways to simulate a population's answers to a battery: techniques that a study can compare.

Each takes what `simkit.personas.interview` takes and gives a frame of numbers, one row per
respondent and one column per question, as the estimators want them. A fine-tuned model is one more
`believe`: functools.partial(simkit.believe, simkit.training.load_adapter(model, folder)).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from simkit.personas import Battery, Interviews, interview
from simkit.personas.answers import Believe
from simkit.survey import answer_values
from simkit.types import column, framed, generator, integer, typed

__all__ = ["answer_numbers", "independent_answers", "joint_answers", "persona_answers",
           "share_answers"]  # fmt: skip


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


def independent_answers(
    answers: pd.DataFrame, n: int, *, seed: int = 0, weights: pd.Series | None = None
) -> pd.DataFrame:
    """The control: every answer drawn from the humans' own share of it, alone (n, questions).

    No model is asked: margins are right but for sampling error, and there is no structure at all.
    answers : of humans, NaN where missing (left out). weights : theirs. Raises ValueError for n
    below 1, and a question that nobody answered.
    """
    framed(answers, "the answers")
    integer(n, "n", 1)
    out = {}
    for name in answers:
        given = answers[name].dropna().to_numpy()
        if not len(given):
            raise ValueError(f"nobody answered {name!r}")
        p = np.full(len(given), 1 / len(given))
        if weights is not None:
            w = column(weights, "weights", low=0, rows=len(answers))[answers[name].notna()]
            p = w / w.sum()
        rng = generator(seed, "independent", str(name))
        out[name] = rng.choice(given, size=n, p=p)
    return pd.DataFrame(out)


def share_answers(shares: pd.DataFrame, n: int, *, seed: int = 0) -> pd.DataFrame:
    """A population of stated shares: every answer drawn by itself (n, questions).

    shares : a row per `question` and option, with its `value`, `share` and `valid_mass`: as
    `populations.stated_shares` gives them. No two answers have anything to do with each other.
    The mean valid mass is in `.attrs["valid_mass"]`. Raises ValueError for n below 1, and shares
    of a question that are missing.
    """
    framed(shares, "the shares")
    integer(n, "n", 1)
    out = {}
    for name, rows in shares.groupby("question", sort=False):
        if rows["share"].isna().any():
            raise ValueError(f"{name}: the model states no shares")
        rng, values = generator(seed, "stated", str(name)), rows["value"].to_numpy(dtype=float)
        out[name] = rng.choice(values, size=n, p=rows["share"].to_numpy(dtype=float))
    answers = pd.DataFrame(out)
    answers.attrs["valid_mass"] = float(shares["valid_mass"].mean())
    return answers


def answer_numbers(answers: pd.DataFrame, battery: Battery) -> pd.DataFrame:
    """Answers to a battery's closed questions as numbers, see `simkit.survey.answer_values`.

    answers : with a column per question. Raises ValueError for a question without a column.
    """
    framed(answers, "the answers")
    typed(battery, "battery", Battery, "a Battery")
    out = {}
    for item in battery.items:
        if item.question is None:
            continue
        if item.name not in answers:
            raise ValueError(f"the answers have no column {item.name!r}, as the question is called")
        out[item.name] = answer_values(answers[item.name], item.question)
    return pd.DataFrame(out, index=answers.index)
