"""Batteries: ordered questions with skip rules, and the text of an interview so far."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simkit.personas.scales import is_numeric
from simkit.questions import Question
from simkit.templates import field_names, fill_one, is_missing
from simkit.types import generator, invalid, listed, one_of, typed

__all__ = ["Battery", "Item", "show", "transcript"]

TELL = "Question: {question}\nAnswer: {answer}"  # as the plain template of a Question asks


@dataclass(frozen=True)
class Item:
    """One question of a battery, or a text that is shown.

    Attributes
    ----------
    name : str
        The answers' column.
    question : Question or None
        None for a text that is shown (see :func:`show`).
    tell : str or None
        The line that tells the answer to later questions, with the fields {question} (its text),
        {answer} (the option's text), {value} (its number) and any column of the people, filled by
        the rule of `fill`. None: question and answer, as a prompt asks it.
    ask_if : mapping or callable
        Skip rule, {column: what it must be}: an earlier item or a column of the people, and one
        value, a collection of values, or a function of the value that returns True. All must
        hold; a missing value (not asked, no answer) never does. Or a function of all that is known
        (a mapping of the people's columns and the answers so far), which returns whether to ask;
        it puts no item before another.
    after : tuple of str
        Further items that must come before this one, whatever the order.

    Raises
    ------
    ValueError
        For an empty name, a question that is not a `Question`, a shown text without words, a field
        of `tell` that is not a plain name, and an `ask_if` that is neither mapping nor function.
    """

    name: str
    question: Question | None
    tell: str | None = None
    ask_if: Mapping[str, Any] | Callable[[Mapping[str, Any]], bool] = field(
        default_factory=dict, hash=False
    )
    after: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise invalid("name", self.name, "text")
        typed(self.question, f"{self.name}: question", Question | None, "a Question or None")
        typed(self.tell, f"{self.name}: tell", str | None, "text")
        typed(self.ask_if, f"{self.name}: ask_if", Mapping | Callable, "a mapping or a function")
        if self.question is None and not self.tell:
            raise ValueError(f"{self.name}: there is no question, so `tell` must hold the text")
        field_names(TELL if self.tell is None else self.tell)  # names a bad field here
        object.__setattr__(self, "after", tuple(listed(self.after, f"{self.name}: after")))

    def asks(self, known: Mapping[str, Any]) -> bool:
        """Whether the skip rule lets the question be asked, given what is known."""
        if not isinstance(self.ask_if, Mapping):
            return bool(self.ask_if(known))
        return all(_holds(rule, known.get(name)) for name, rule in self.ask_if.items())

    def keep(self, option: Any, value: Any) -> Any:
        """The answer as the answers' column has it: a number where the options are numbers."""
        return value if self.question and is_numeric(self.question) else option

    def line(self, person: Mapping[str, Any], **answer: Any) -> str | None:
        """The line that tells the answer, None if a field of it is missing."""
        template = self.tell or TELL
        record = {**typed(person, f"{self.name}: person", Mapping, "a mapping"), **answer}
        fields = sorted(field_names(template))
        unknown = [name for name in fields if name not in record]
        if unknown:
            raise ValueError(f"{self.name}: nothing fills {{{unknown[0]}}} in {template!r}")
        if any(is_missing(record[name]) for name in fields):
            return None
        return fill_one(template, record, record.get("person", self.name))


def _holds(rule: Any, value: Any) -> bool:
    if is_missing(value):
        return False
    if callable(rule):
        return bool(rule(value))
    several = isinstance(rule, Collection) and not isinstance(rule, str)
    return bool(value in rule if several else value == rule)


def show(
    name: str,
    text: str,
    *,
    ask_if: Mapping[str, Any] | None = None,
    after: Sequence[str] = (),
) -> Item:
    """A text between the questions: information, a treatment.

    Every later question is asked after it, also where answers are not told. A person for whom a
    field is missing is not shown it.

    Parameters
    ----------
    name : str
        Of the item.
    text : str
        With `{column}` fields of the people.
    ask_if, after : optional
        As in :class:`Item`.

    Returns
    -------
    Item

    Examples
    --------
    >>> show("news", "Fuel now costs {price} a litre.").line({"price": "2 dollars"})
    'Fuel now costs 2 dollars a litre.'
    """
    return Item(name, None, text, {} if ask_if is None else ask_if, tuple(listed(after, "after")))


@dataclass(frozen=True)
class Battery:
    """An ordered list of questions.

    Attributes
    ----------
    items : tuple of Item
        The questions and shown texts.
    order : str
        "fixed" (as listed) or "random" (a random order for each person, by seed, in which each
        item comes after those that its rule looks at and those in its `after`; every order that
        the rules allow is possible).

    Raises
    ------
    ValueError
        For names that stand twice, rules or `after` that name a later item (or, in a random order,
        each other), an `after` that is not an item, and another order.
    """

    items: tuple[Item, ...]
    order: str = "fixed"

    def __init__(self, items: Iterable[Item], order: str = "fixed") -> None:
        one_of(order, "order", ("fixed", "random"))
        vars(self).update(items=tuple(listed(items, "items")), order=order)
        for item in self.items:
            typed(item, "an item", Item, "Item(name, question)")
        twice = [name for name in self.names if self.names.count(name) > 1]
        if twice or not self.items:
            raise ValueError(f"item {twice[0]!r} stands twice" if twice else "there are no items")
        for item in self.items:
            for name in item.after:
                one_of(name, f"item to put {item.name!r} after:", self.names)
        if not self.questions:
            raise ValueError("the items are all shown texts; at least one must be a question")
        if self.order == "random":
            self._random(generator(0))  # raises where the rules form a circle
        else:
            self.check_order(self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """The items' names, as listed."""
        return tuple(item.name for item in self.items)

    @property
    def questions(self) -> dict[str, Question]:
        """The questions by item, without the shown texts."""
        return {item.name: item.question for item in self.items if item.question is not None}

    def __getitem__(self, name: str) -> Item:
        if name not in self.names:
            raise KeyError(f"no item {name!r}; there are: {', '.join(self.names)}")
        return self.items[self.names.index(name)]

    def needs(self, item: Item) -> set[str]:
        """The items that must come before this one."""
        looked_at = item.ask_if if isinstance(item.ask_if, Mapping) else ()
        return {*item.after, *(name for name in looked_at if name in self.names)} - {item.name}

    def check_order(self, order: Sequence[str]) -> None:
        """Raise ValueError unless the order has each item once, after those that it needs."""
        order = listed(order, "order")
        if len(order) != len(self.items) or {*map(str, order)} != {*self.names}:
            raise invalid("order", order, f"each of {list(self.names)} once")
        for place, name in enumerate(order):
            late = [n for n in order[place + 1 :] if n in self.needs(self[name])]
            if late:
                raise ValueError(f"order asks {name!r} before {late[0]!r}, on which it depends")

    def orders(self, people: Sequence[str | int], seed: int = 0) -> list[tuple[str, ...]]:
        """The order of the items for each person: an own stream for each name or number."""
        people = listed(people, "people")
        if self.order == "fixed":
            return [self.names] * len(people)
        for person in people:
            typed(person, "a person", str | int, "a name or a whole number")
        return [self._random(generator(seed, "order", person)) for person in people]

    def following(
        self, order: Sequence[str], answers: Mapping[str, Any], person: Mapping[str, Any]
    ) -> str | None:
        """The question that someone is asked next, None where the interview is over.

        answers : to all questions asked so far, None or NaN where there was no valid one. person :
        the columns that rules may look at. Questions whose rule does not hold, and texts that are
        shown, are passed over.
        """
        known = {**person, **answers}
        open_ = (name for name in order if name not in answers and name in self.questions)
        return next((name for name in open_ if self[name].asks(known)), None)

    def _random(self, rng: Any) -> tuple[str, ...]:
        """The first item in random order whose needs are met, then the next, and so on."""
        waiting = [self.items[i] for i in rng.permutation(len(self.items))]
        order: list[str] = []
        while waiting:
            ready = [item for item in waiting if self.needs(item) <= {*order}]
            if not ready:
                names = ", ".join(item.name for item in waiting)
                raise ValueError(f"no order is possible: the rules of {names} wait for each other")
            order.append(ready[0].name)
            waiting.remove(ready[0])
        return tuple(order)


def transcript(
    battery: Battery,
    question: str,
    person: Mapping[str, Any],
    answers: Mapping[str, Any],
    lines: Mapping[str, str | None],
    order: Sequence[str],
    *,
    joint: bool = True,
) -> str:
    """The text of a prompt before a question: the person's `context`, then one line each.

    lines : item -> the line that tells its answer. Texts are shown where the order has them;
    answers are told only if `joint`.
    """
    parts = [person["context"]]
    known = {**person, **answers}
    for name in order[: list(order).index(question)]:
        item = battery[name]
        if item.question is None:
            parts.append(item.line(person) if item.asks(known) else None)
        elif joint:
            parts.append(lines.get(name))
    return "\n".join(part for part in parts if part)
