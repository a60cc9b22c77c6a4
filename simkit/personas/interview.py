"""Interviews: a battery put to people whose answers a model gives.

Neither a model nor a scorer is imported: beliefs come from a function with the signature of
`simkit.believe` (its model filled in).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simkit.personas.answers import KEPT, Believe, believed, drawn, kept, stream_name
from simkit.personas.battery import Battery, Item, transcript
from simkit.personas.scales import is_numeric
from simkit.questions import Question, fill
from simkit.templates import check_text, field_names, is_missing, records_of
from simkit.types import framed, generator, listed, shown

__all__ = ["Interviews", "interview"]

TURNS = ("person", "item", "turn", "context")


@dataclass(frozen=True, repr=False, eq=False)
class Interviews:
    """What came of putting a battery to people.

    answers : the people's columns and one column per question: a number where the options are
        numbers, else the option's text; None or NaN where it was not asked or has no answer.
        `asked` holds the names in the order asked, a tuple.
    turns : one row per person × question asked: `person`, `item`, `turn` (from 0), `context`
        (what the prompt said before the question), `answer`, `valid_mass`.
    beliefs : one row per person × question × option: `person`, `item`, `turn`, `prompt_id`
        (own to each person and question), the columns of `believe`, and `choice` (1 for the
        answer, else 0; NaN where the belief is undefined).
    report : one row per question: `asked`, `skipped`, `answered` (people), `success` (answered /
        asked), `valid_mass` (mean over those asked) and `lowest_mass`.
    """

    answers: pd.DataFrame
    turns: pd.DataFrame
    beliefs: pd.DataFrame
    report: pd.DataFrame
    joint: bool
    seed: int

    def summary(self) -> str:
        """The report in fixed width."""
        how = "earlier answers told" if self.joint else "each question by itself"
        head = f"Interviews: {len(self.answers)} people, {how}, seed {self.seed}"
        return f"{head}\n{self.report.to_string(float_format='%.4f')}"

    def __repr__(self) -> str:
        return self.summary()


def interview(
    believe: Believe,
    battery: Battery,
    people: pd.DataFrame,
    *,
    joint: bool = True,
    seed: int = 0,
    orders: Sequence[Sequence[str]] | None = None,
) -> Interviews:
    """Put a battery to people, question by question, for all of them at once.

    Parameters
    ----------
    believe : (question, design) -> the table of `simkit.believe`, for instance
        functools.partial(simkit.believe, model).
    battery : the questions.
    people : one row per person, with `context` (what every prompt says first; see `render`) and
        `person` (an integer or a name, no two alike).
    joint : True tells each question the answers that the same person gave before, in the prompt
        and as columns of the design; False asks each question by itself, so that answers of a
        person are independent given what `people` says (shown texts are told either way).
    seed : an answer is drawn from the belief by a stream of its own, (seed, item, person), so it
        does not depend on who else is interviewed.
    orders : each person's order of the items; None as the battery says.

    Returns
    -------
    `Interviews`. An answer is drawn among the valid ones: what probability the model gives to
    anything else is `valid_mass` short of 1. Where the belief is undefined (no option has any
    probability) there is no answer, and the report counts it.

    Raises ValueError for people who are no frame, have a column twice, no `context` or `person`, or
    a column that the answers are to have, an order that breaks the battery's rules, and for a
    `believe` that returns something else than it was asked for.
    """
    if not isinstance(joint, bool):
        raise ValueError(f"joint is {shown(joint)}; it must be True or False")
    if not callable(believe):
        raise ValueError(f"believe is {shown(believe)}; it must be a function")
    state = _State(battery, _checked(battery, people), joint, seed)
    orders = battery.orders(state.who, seed) if orders is None else listed(orders, "orders")
    if len(orders) != len(people):
        raise ValueError(f"{len(orders)} orders for {len(people)} people")
    for order in dict.fromkeys(tuple(listed(order, "orders")) for order in orders):
        battery.check_order(order)
    while True:
        who = zip(orders, state.answers, state.people, strict=True)
        names = [battery.following(*one) for one in who]
        groups: dict[str, list[int]] = {}
        for row, name in enumerate(names):
            if name is not None:
                groups.setdefault(name, []).append(row)
        if not groups:
            return state.result(people.index)
        for name, rows in groups.items():
            state.ask(battery[name], rows, [orders[row] for row in rows], believe)


def _checked(battery: Battery, people: pd.DataFrame) -> pd.DataFrame:
    if not isinstance(battery, Battery):
        raise ValueError(f"battery is {shown(battery)}; it must be a Battery")
    framed(people, "the people")
    if people.empty:
        raise ValueError("there are no people")
    for name in ("context", "person"):
        if name not in people:
            raise ValueError(f"the people have no column {name!r}; see render and draw")
    for row, text, who in zip(people.index, people["context"], people["person"], strict=True):
        if not isinstance(text, str):
            raise ValueError(f"context: row {row!r} holds {shown(text)}; legal is text")
        if is_missing(who) or not isinstance(who, Hashable):
            raise ValueError(f"person: row {row!r} holds {shown(who)}; legal are numbers and names")
        check_text(str(who))
    if not people["person"].is_unique:
        who = people["person"][people["person"].duplicated()].iloc[0]
        raise ValueError(f"person {who!r} is there twice; legal is one row per person")
    written = ["asked", *(item.name for item in battery.items if item.question is not None)]
    for name in written:
        if name in people:
            raise ValueError(f"the people have a column {name!r}, where answers go; rename it")
    return people.reset_index(drop=True)


class _State:
    """What is known of everybody so far; one method puts one question to some of them."""

    def __init__(self, battery: Battery, frame: pd.DataFrame, joint: bool, seed: int) -> None:
        self.battery, self.frame, self.joint, self.seed = battery, frame, joint, seed
        self.people = records_of(frame)
        self.who = [stream_name(x) for x in frame["person"]]
        self.answers: list[dict[str, Any]] = [{} for _ in self.people]
        self.lines: list[dict[str, str | None]] = [{} for _ in self.people]
        self.turns: list[pd.DataFrame] = []
        self.beliefs: list[pd.DataFrame] = []
        self.prompts = 0

    def ask(
        self, item: Item, rows: list[int], orders: list[Sequence[str]], believe: Believe
    ) -> None:
        """Put a question to the people of these rows, and take down their answers."""
        design = self._design(item, rows, orders)
        turn = [len(self.answers[row]) for row in rows]
        head = {"person": design["person"].to_numpy(), "item": item.name, "turn": turn}
        assert item.question is not None  # what is shown is not asked
        table = believed(believe, item.question, item.name, design)
        u = [generator(self.seed, "answer", item.name, self.who[r]).random() for r in rows]
        found, choice = drawn(table, np.array(u))
        self.beliefs.append(kept(head, table, choice, self.prompts))
        self.prompts += len(rows)
        answers = [item.keep(o, v) for o, v in zip(found["option"], found["value"], strict=True)]
        turns = {**head, "context": design["context"], "answer": pd.Series(answers, dtype=object)}
        self.turns.append(pd.DataFrame({**turns, "valid_mass": found["valid_mass"]}))
        texts = _texts(item.question, design)
        for row, text, option, value, answer in zip(
            rows, texts, found["option"], found["value"], answers, strict=True
        ):
            known = {**self.people[row], **self.answers[row]}
            own = {"question": text, "answer": option, "value": value}
            told = self.joint and option is not None
            self.lines[row][item.name] = item.line(known, **own) if told else None
            self.answers[row][item.name] = answer

    def _design(self, item: Item, rows: list[int], orders: list[Sequence[str]]) -> pd.DataFrame:
        """The people of these rows with their context and, in a joint interview, their answers."""
        design = self.frame.iloc[rows].reset_index(drop=True)
        design["context"] = [
            transcript(
                self.battery, item.name, self.people[row], self.answers[row], self.lines[row],
                order, joint=self.joint,
            )
            for row, order in zip(rows, orders, strict=True)
        ]  # fmt: skip
        given = {name for row in rows for name in self.answers[row]} if self.joint else set()
        said = {
            name: pd.Series([self.answers[row].get(name) for row in rows], dtype=object)
            for name in self.battery.names
            if name in given
        }
        return design.assign(**said)

    def result(self, index: pd.Index) -> Interviews:
        """Everything in frames; the answers on the people's own index."""
        asked = [item for item in self.battery.items if item.question is not None]
        answers = self.frame.copy()
        for item in asked:
            given = [answer.get(item.name) for answer in self.answers]
            numbers = item.question is not None and is_numeric(item.question)
            answers[item.name] = pd.Series(given, dtype=float if numbers else object)
        answers["asked"] = pd.Series([tuple(a) for a in self.answers], dtype=object)
        turns = _together(self.turns, [*TURNS, "answer", "valid_mass"])
        beliefs = _together(self.beliefs, [*TURNS[:3], "prompt_id", *KEPT, "choice"])
        report = _report(asked, turns, len(answers))
        return Interviews(answers.set_axis(index), turns, beliefs, report, self.joint, self.seed)


def _together(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _texts(question: Question, design: pd.DataFrame) -> list[str]:
    """The question's text for each row, as the line that tells the answer may repeat it."""
    given = {}
    if "options" in field_names(question.text):
        given["options"] = [", ".join(row) for row in question.options_for(design)]
    return fill(question.text, design, given)


def _report(items: Sequence[Item], turns: pd.DataFrame, n: int) -> pd.DataFrame:
    rows = []
    for item in items:
        part = turns[turns["item"] == item.name]
        asked, answered = len(part), int(part["answer"].notna().sum())
        mass = part["valid_mass"].astype(float)
        rows.append(
            {
                "asked": asked,
                "skipped": n - asked,
                "answered": answered,
                "success": answered / asked if asked else np.nan,
                "valid_mass": mass.mean(),
                "lowest_mass": mass.min(),
            }
        )
    return pd.DataFrame(rows, index=pd.Index([item.name for item in items], name="item"))
