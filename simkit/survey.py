"""A survey: a population, what its people are told, what they are asked, what they answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from simkit.questions import Question
from simkit.templates import is_missing
from simkit.types import FloatArray, hashable, invalid_row, one_of

__all__ = ["PARTS", "Survey", "answer_values", "scale_of"]

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, repr=False, eq=False)
class Survey:
    """A survey that was put to a population, as data: no model and no estimator is in it.

    Attributes
    ----------
    name : str
        What it is called.
    people : DataFrame
        One row per respondent: what the prompts tell, the answers under the questions' names, and
        `part` (train, validation, test) where some respondents are held out.
    questions : mapping
        Name -> `Question`.
    designs : mapping
        Question -> one row per respondent: `context` and what else the prompt names.
    told : mapping
        Question -> columns of `people` that its prompt tells.
    truth : mapping
        Question -> P(answer | what the prompt tells), an array (N, K), where a world knows it.
    plan : Plan, optional
        How the respondents were drawn (`simkit.personas.Plan`).
    tells : mapping
        Question -> how its answer is told to later questions of an interview.
    personas : DataFrame, optional
        Other respondents, to be simulated: `person`, `context` and what the prompts tell.
    """

    name: str
    people: pd.DataFrame
    questions: Mapping[str, Question]
    designs: Mapping[str, pd.DataFrame]
    told: Mapping[str, tuple[str, ...]]
    truth: Mapping[str, FloatArray] = field(default_factory=dict)
    plan: Any = None
    tells: Mapping[str, str] = field(default_factory=dict)
    personas: pd.DataFrame | None = None

    def __repr__(self) -> str:
        size = f"{len(self.people)} respondents"
        if "part" in self.people:
            counts = self.people["part"].value_counts()
            size += f" ({', '.join(f'{counts.get(part, 0)} {part}' for part in PARTS)})"
        if self.personas is not None:
            size += f", {len(self.personas)} personas"
        return f"Survey({self.name!r}: {size}; questions {', '.join(self.questions)})"

    def part(self, name: str) -> pd.DataFrame:
        """The respondents of one part; all of them where nobody is held out.

        Raises ValueError for a part that there is not.
        """
        one_of(name, "part", PARTS)
        return self.people[self.people["part"] == name] if "part" in self.people else self.people

    def scale(self, question: str) -> list[float]:
        """The K values of a question, see `scale_of`."""
        return scale_of(self.questions[question])

    @property
    def scales(self) -> dict[str, tuple[float, float]]:
        """Question -> the ends of its scale."""
        return {q: (min(self.scale(q)), max(self.scale(q))) for q in self.questions}

    def ordered(self, question: str) -> bool:
        """Whether the answers lie on a scale."""
        return self.questions[question].values is not None

    def answers(self, question: str, part: str = "test") -> pd.Series:
        """The respondents' answers as values of the scale, NaN where there is none."""
        answers = self.part(part)[question]
        design = self.designs[question].loc[answers.index]
        return answer_values(answers, self.questions[question], design)

    @property
    def humans(self) -> pd.DataFrame:
        """Answers (n, questions) of the people held out, of all where nobody is."""
        return pd.DataFrame({question: self.answers(question) for question in self.questions})

    def exact(self, question: str) -> pd.DataFrame | None:
        """The true belief (n, K) of the people held out, None where no world knows it."""
        if question not in self.truth:
            return None
        scale = self.scale(question)
        table = pd.DataFrame(self.truth[question], self.people.index, scale)
        return table.loc[self.part("test").index]

    def margins(self, *names: str) -> pd.DataFrame:
        """Shares among all respondents (`target`) beside those of the people held out."""
        tables, test = [], self.part("test")
        for name in names:
            target = self.people[name].value_counts(normalize=True).sort_index()
            achieved = test[name].value_counts(normalize=True).reindex(target.index, fill_value=0)
            table = pd.DataFrame({"target": target, "achieved": achieved}).rename_axis("value")
            tables.append(table.reset_index().assign(margin=name))
        out = pd.concat(tables, ignore_index=True)
        return out.assign(by_chance=np.sqrt(out["target"] * (1 - out["target"]) / len(test)))


def answer_values(
    answers: pd.Series, question: Question, design: pd.DataFrame | None = None
) -> pd.Series:
    """Answers to one question as numbers: the options' values, else 0 to K - 1; NaN if none.

    answers : the option's text, or already its number. design : fills the options' fields, a row
    per answer. Raises ValueError for an answer that is neither, naming the row: a code such as 99
    for "no answer" must be NaN.
    """
    scale = scale_of(question)
    rows = [question.options] * len(answers) if design is None else question.options_for(design)
    values = np.full(len(answers), np.nan)
    numbers: dict[tuple[str, ...], dict[Any, float]] = {}  # options -> the number of each answer
    for i, (answer, options) in enumerate(zip(answers.tolist(), map(tuple, rows), strict=True)):
        if options not in numbers:
            numbers[options] = dict(zip((*options, *scale), (*scale, *scale), strict=True))
        known = numbers[options]
        if hashable(answer) and answer in known:
            values[i] = known[answer]
        elif not is_missing(answer):
            allowed = f"one of {list(known)}, or None or NaN"
            raise invalid_row(str(answers.name), answers.index[i], answer, allowed)
    return pd.Series(values, index=answers.index, name=answers.name)


def scale_of(question: Question) -> list[float]:
    """The K values of a question; the options' numbers, 0 to K - 1, where they have none."""
    return list(map(float, question.values or range(len(question.options))))
