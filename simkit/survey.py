"""A survey: a population, what its people are told, what they are asked, what they answered."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from simkit.questions import Question
from simkit.types import FloatArray, shown

__all__ = ["PARTS", "Survey", "answer_values", "scale_of"]

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, repr=False, eq=False)
class Survey:
    """A survey that was put to a population, as data: no model and no estimator is in it.

    Parameters
    ----------
    name : what it is called.
    people : one row per respondent: what is told, the answers under the questions' names, and
        `part` (train, validation, test) where some are held out.
    questions : by name.
    designs : question -> one row per respondent: `context` and what else the prompt names.
    told : question -> columns of `people` that its prompt tells.
    truth : question -> P(answer | what the prompt tells) (N, K), where a world knows it.
    plan : how the respondents were drawn (`simkit.personas.Plan`), or None.
    tells : question -> how its answer is told to later questions of an interview.
    personas : other respondents, to be simulated: `person`, `context` and what is told; or None.
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
        if name not in PARTS:
            raise ValueError(f"no part {name!r}; it must be one of {', '.join(PARTS)}")
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
        given = self.part(part)[question]
        design = self.designs[question].loc[given.index]
        return answer_values(given, self.questions[question], design)

    @property
    def humans(self) -> pd.DataFrame:
        """Answers (n, questions) of the people held out, of all where nobody is."""
        return pd.DataFrame({question: self.answers(question) for question in self.questions})

    def exact(self, question: str) -> pd.DataFrame | None:
        """The true belief (n, K) of the people held out, None where no world knows it."""
        if question not in self.truth:
            return None
        table = pd.DataFrame(
            self.truth[question], index=self.people.index, columns=self.scale(question)
        )
        return table.loc[self.part("test").index]

    def margins(self, *names: str) -> pd.DataFrame:
        """Shares among all respondents (`target`) beside those of the people held out."""
        tables, few = [], self.part("test")
        for name in names:
            every, some = (
                frame[name].value_counts(normalize=True).sort_index()
                for frame in (self.people, few)
            )
            table = pd.DataFrame({"target": every, "achieved": some.reindex(every.index).fillna(0)})
            tables.append(table.rename_axis("value").reset_index().assign(margin=name))
        out = pd.concat(tables, ignore_index=True)
        return out.assign(by_chance=np.sqrt(out["target"] * (1 - out["target"]) / len(few)))


def answer_values(
    given: pd.Series, question: Question, design: pd.DataFrame | None = None
) -> pd.Series:
    """Answers to one question as numbers: the options' values, else 0 to K - 1; NaN if none.

    given : the option's text, or already its number. design : fills the options' fields, a row
    per answer. Raises ValueError for an answer that is neither, naming the row: a code such as 99
    for "no answer" must be NaN.
    """
    scale = scale_of(question)
    rows = [question.options] * len(given) if design is None else question.options_for(design)
    values = np.full(len(given), np.nan)
    numbers: dict[tuple[str, ...], dict[Any, float]] = {}  # options -> what each answer counts
    answers = zip(given.tolist(), given.isna(), map(tuple, rows), strict=True)
    for row, (answer, missing, options) in enumerate(answers):
        if missing:
            continue
        if options not in numbers:
            numbers[options] = dict(zip((*options, *scale), (*scale, *scale), strict=True))
        if not isinstance(answer, Hashable) or answer not in numbers[options]:
            raise ValueError(
                f"{given.name}: row {given.index[row]!r} holds {shown(answer)}; it must be one "
                f"of {list(numbers[options])}, or None or NaN"
            )
        values[row] = numbers[options][answer]
    return pd.Series(values, index=given.index, name=given.name)


def scale_of(question: Question) -> list[float]:
    """The K values of a question; the options' numbers, 0 to K - 1, where they have none."""
    return list(map(float, question.values or range(len(question.options))))
