"""Interviews: a battery put to people whose answers a model gives.

Neither a model nor a scorer is imported: beliefs come from a function with the signature of
`simkit.believe` (its model filled in).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simkit.personas.answers import Believe, belief_table, draw_answers, question_texts
from simkit.personas.battery import Battery, Item, transcript
from simkit.personas.margins import columns_of
from simkit.personas.scales import is_numeric
from simkit.templates import check_text, is_missing, records_of
from simkit.types import framed, generator, invalid_row, listed, typed

__all__ = ["Interviews", "checked_people", "interview", "stream_name"]

TURNS = ("person", "item", "turn")
BELIEFS = ("option", "option_id", "value", "logprob", "belief", "valid_mass", "model")


@dataclass(frozen=True, repr=False, eq=False)
class Interviews:
    """What a battery put to people gave.

    Attributes
    ----------
    answers : DataFrame
        The people's columns and one column per question: a number where the options are numbers,
        else the option's text; None or NaN where it was not asked or has no answer. `asked` holds
        the names in the order asked, a tuple.
    turns : DataFrame
        One row per person × question asked: `person`, `item`, `turn` (from 0), `context` (what the
        prompt said before the question), `answer`, `valid_mass`.
    beliefs : DataFrame
        One row per person × question × option: `person`, `item`, `turn`, `prompt_id` (of each
        person and question), the columns of `believe`, and `choice` (1 for the answer, else 0; NaN
        where the belief is undefined).
    report : DataFrame
        One row per question: `asked`, `skipped`, `answered` (people), `success` (answered /
        asked), `valid_mass` (mean over those asked) and `lowest_mass`.
    joint : bool
        Whether earlier answers were told.
    seed : int
        Of the draws.
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
    believe : callable
        (question, design) -> the table of `simkit.believe`, for instance
        ``functools.partial(simkit.believe, model)``.
    battery : Battery
        The questions.
    people : DataFrame
        One row per person, with `context` (what every prompt says first; see :func:`render`) and
        `person` (an integer or a name, no two alike).
    joint : bool
        True tells each question the answers that the same person gave before, in the prompt and as
        columns of the design. False asks each question by itself, so that the answers of a person
        are independent given what `people` says (shown texts are told either way).
    seed : int
        An answer is drawn from the belief by its own stream (seed, item, person), so it does not
        depend on who else is interviewed.
    orders : sequence, optional
        Each person's order of the items; None as the battery says.

    Returns
    -------
    Interviews
        An answer is drawn among the valid ones: the probability that the model gives to anything
        else is 1 - `valid_mass`. Where the belief is undefined (no option has any probability)
        there is no answer, and the report counts it.

    Raises
    ------
    ValueError
        For people who are not a frame, have a column twice, no `context` or `person`, or a column
        of a question's name, for an order that breaks the battery's rules, and for a `believe`
        that does not return its table.

    Examples
    --------
    >>> from functools import partial
    >>> import pandas as pd
    >>> import simkit as sk
    >>> from simkit import personas
    >>> drives = personas.Item("drives", sk.Question("Do you drive?", ["yes", "no"]))
    >>> km = personas.Item(
    ...     "km", personas.numeric("How many km a day?", 0, 40, 20), ask_if={"drives": "yes"}
    ... )
    >>> people = pd.DataFrame({"person": [1, 2], "context": ["You are a farmer.", "You are 90."]})
    >>> model = sk.MockModel(lambda prompt: {"yes": 0.5, "no": 0.5, "20": 1.0})
    >>> answered = personas.interview(
    ...     partial(sk.believe, model), personas.Battery([drives, km]), people, seed=1
    ... )
    >>> answered.report["asked"].to_dict()
    {'drives': 2, 'km': 1}
    """
    battery = typed(battery, "battery", Battery, "a Battery")
    typed(joint, "joint", bool, "True or False")
    typed(believe, "believe", Callable, "a function")
    state = _State(battery, checked_people(people, battery.questions), joint, seed)
    orders = battery.orders(state.names, seed) if orders is None else listed(orders, "orders")
    if len(orders) != len(people):
        raise ValueError(f"{len(orders)} orders for {len(people)} people")
    for order in dict.fromkeys(tuple(listed(order, "orders")) for order in orders):
        battery.check_order(order)
    while True:
        groups: dict[str, list[int]] = {}
        for row, (order, answers, person) in enumerate(
            zip(orders, state.answers, state.people, strict=True)
        ):
            question = battery.following(order, answers, person)
            if question is not None:
                groups.setdefault(question, []).append(row)
        if not groups:
            return state.result(people.index)
        for name, rows in groups.items():
            state.ask(battery[name], rows, [orders[row] for row in rows], believe)


def stream_name(person: Any) -> str | int:
    """A person's name in a seed: 3 whether its column holds int or float, else the text."""
    if isinstance(person, float | np.floating) and float(person).is_integer():
        return int(person)
    return int(person) if isinstance(person, int | np.integer) else str(person)


def checked_people(people: pd.DataFrame, questions: Iterable[str]) -> pd.DataFrame:
    """The people, numbered from 0. ValueError for those whom no interview can take."""
    framed(people, "the people")
    if people.empty:
        raise ValueError("there are no people")
    columns_of(people, ["context", "person"], "columns", "the people")
    for row, text, person in zip(people.index, people["context"], people["person"], strict=True):
        if not isinstance(text, str):
            raise invalid_row("context", row, text, "text")
        if is_missing(person) or not isinstance(person, Hashable):
            raise invalid_row("person", row, person, "a number or a name")
        check_text(str(person))
    if not people["person"].is_unique:
        person = people["person"][people["person"].duplicated()].iloc[0]
        raise ValueError(f"person {person!r} is there twice; there must be one row per person")
    for name in ("asked", *questions):
        if name in people:
            raise ValueError(f"the people have a column {name!r}, where answers go; rename it")
    return people.reset_index(drop=True)


class _State:
    """What is known of everybody so far; one method puts one question to some of them."""

    def __init__(self, battery: Battery, frame: pd.DataFrame, joint: bool, seed: int) -> None:
        self.battery, self.frame, self.joint, self.seed = battery, frame, joint, seed
        self.people = records_of(frame)
        self.names = [stream_name(person) for person in frame["person"]]
        self.answers: list[dict[str, Any]] = [{} for _ in self.people]
        self.lines: list[dict[str, str | None]] = [{} for _ in self.people]
        self.turns: list[pd.DataFrame] = []
        self.beliefs: list[pd.DataFrame] = []
        self.prompts = 0

    def ask(
        self, item: Item, rows: list[int], orders: list[Sequence[str]], believe: Believe
    ) -> None:
        """Put a question to the people of these rows, and record their answers."""
        assert item.question is not None  # what is shown is not asked
        design = self._design(item, rows, orders)
        table = belief_table(believe, item.question, item.name, design)
        u = [generator(self.seed, "answer", item.name, self.names[r]).random() for r in rows]
        drawn, choice = draw_answers(table, np.array(u))
        answers = [item.keep(o, v) for o, v in zip(drawn["option"], drawn["value"], strict=True)]
        turns = design[["person"]].assign(
            item=item.name,
            turn=[len(self.answers[row]) for row in rows],
            context=design["context"],
            answer=pd.Series(answers, dtype=object),
            valid_mass=drawn["valid_mass"],
        )
        self.turns.append(turns)
        prompt = np.arange(len(rows)).repeat(len(item.question.options))
        long = turns[list(TURNS)].iloc[prompt].reset_index(drop=True)
        beliefs = {name: table[name] for name in BELIEFS if name in table}
        long = long.assign(prompt_id=self.prompts + prompt, **beliefs, choice=choice)
        self.beliefs.append(long)
        self.prompts += len(rows)
        texts = question_texts(item.question, design)
        for row, text, option, value, answer in zip(
            rows, texts, drawn["option"], drawn["value"], answers, strict=True
        ):
            if self.joint and option is not None:
                known = {**self.people[row], **self.answers[row]}
                line = item.line(known, question=text, answer=option, value=value)
                self.lines[row][item.name] = line
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
        if self.joint:
            for name in self.battery.names:
                if any(name in self.answers[row] for row in rows):
                    answers = [self.answers[row].get(name) for row in rows]
                    design[name] = pd.Series(answers, dtype=object)
        return design

    def result(self, index: pd.Index) -> Interviews:
        """Everything in frames; the answers on the people's own index."""
        answers = self.frame.copy()
        for name, question in self.battery.questions.items():
            values = [answer.get(name) for answer in self.answers]
            answers[name] = pd.Series(values, dtype=float if is_numeric(question) else object)
        answers["asked"] = pd.Series([tuple(a) for a in self.answers], dtype=object)
        turns = _together(self.turns, [*TURNS, "context", "answer", "valid_mass"])
        beliefs = _together(self.beliefs, [*TURNS, "prompt_id", *BELIEFS, "choice"])
        report = _report(list(self.battery.questions), turns, len(answers))
        return Interviews(answers.set_axis(index), turns, beliefs, report, self.joint, self.seed)


def _together(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _report(names: list[str], turns: pd.DataFrame, n: int) -> pd.DataFrame:
    turns = turns.astype({"valid_mass": float})
    groups = turns.groupby("item")
    report = groups.agg(
        asked=("turn", "size"),
        answered=("answer", "count"),
        valid_mass=("valid_mass", "mean"),
        lowest_mass=("valid_mass", "min"),
    ).reindex(pd.Index(names, name="item"))
    counts = report[["asked", "answered"]].fillna(0).astype(int)
    report = report.assign(**counts, skipped=n - counts["asked"])
    report["success"] = report["answered"] / report["asked"]
    return report[["asked", "skipped", "answered", "success", "valid_mass", "lowest_mass"]]
