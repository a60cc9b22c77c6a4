"""The code book: what each attribute's values are called, asked for and said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from simkit.templates import field_names, fill_one, is_missing, text_of, values_of
from simkit.types import framed, listed, one_of, shown

__all__ = ["VOICES", "Attribute", "CodeBook", "Numbers"]

VOICES = ("third", "second", "first")


@dataclass(frozen=True)
class Numbers:
    """The values of an attribute that is a number.

    low, high : the legal range, both ends included.
    text : how a number is written, a function of it ("{:.0f}".format); None as `fill` writes it.
    step : distance of two neighbouring values where they are counted (1 for years), else None.

    Raises ValueError for a range without numbers, a step that is not positive, and another text.
    """

    low: float
    high: float
    text: Callable[[float], str] | None = None
    step: float | None = None

    def __post_init__(self) -> None:
        step = 1 if self.step is None else self.step
        for name, number in (("low", self.low), ("high", self.high), ("step", step)):
            if isinstance(number, bool) or not isinstance(number, int | float | np.number):
                raise ValueError(f"{name} is {shown(number)}; it must be a number")
        if not self.low <= self.high or not step > 0:
            raise ValueError(
                f"low {self.low}, high {self.high}, step {self.step}; the range must hold a "
                "number, and the step be above 0"
            )
        if self.text is not None and not callable(self.text):
            raise ValueError(f"text is {shown(self.text)}; it must be a function")

    def say(self, value: Any) -> str | None:
        """The number's text, None if it is no legal number."""
        number = isinstance(value, int | float | np.integer | np.floating)
        if not number or isinstance(value, bool):
            return None
        if not self.low <= value <= self.high:
            return None
        written = text_of(value)
        return written if self.text is None else self.text(float(written))

    @property
    def legal(self) -> str:
        """The legal numbers, for messages."""
        return f"numbers from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Attribute:
    """One attribute of people.

    Parameters
    ----------
    values : value (or code) -> its text, or `Numbers`.
    ask : the question that it answers, as put to the respondent ("How old are you?").
    third, second, first : its sentence in each voice ("The respondent is {text}.", "You are
        {text}.", "I am {text}."), with the one field {text}; several phrasings where wordings are
        to differ. A voice may be left out; then it cannot be told in that voice.
    ordered : whether the values, in their order, lie on a scale.

    Raises ValueError for values that are no mapping or none, a text that is empty or stands for two
    values, a phrasing without {text} or with any other field (which could be missing).
    """

    values: Mapping[Any, str] | Numbers
    ask: str
    third: tuple[str, ...] = ()
    second: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    ordered: bool = False

    def __init__(
        self,
        values: Mapping[Any, str] | Numbers,
        ask: str = "",
        third: str | Sequence[str] = (),
        second: str | Sequence[str] = (),
        first: str | Sequence[str] = (),
        ordered: bool = False,
    ) -> None:
        if not isinstance(values, Numbers):
            values = _checked_texts(values)
        if not isinstance(ask, str):
            raise ValueError(f"ask is {shown(ask)}; it must be text")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "ask", ask)
        object.__setattr__(self, "ordered", ordered)
        for voice, some in (("third", third), ("second", second), ("first", first)):
            phrasings = (some,) if isinstance(some, str) else tuple(listed(some, voice))
            for phrasing in phrasings:
                _check_phrasing(phrasing)
            object.__setattr__(self, voice, phrasings)

    def phrasings(self, voice: str) -> tuple[str, ...]:
        """The sentences of one voice."""
        some: tuple[str, ...] = getattr(self, voice)
        return some

    def say(self, value: Any) -> str | None:
        """The value's text, None if the attribute has no such value."""
        if isinstance(self.values, Numbers):
            return self.values.say(value)
        try:
            if isinstance(value, bool | np.bool_) and not any(
                isinstance(known, bool | np.bool_) for known in self.values
            ):
                return None  # True is equal to 1, and is no code
            return self.values.get(value)
        except TypeError:  # a list has no hash, and is no value
            return None

    @property
    def legal(self) -> str:
        """The legal values, for messages."""
        if isinstance(self.values, Numbers):
            return self.values.legal
        return ", ".join(map(repr, self.values))


@dataclass(frozen=True)
class CodeBook(Mapping[str, Attribute]):
    """Attributes by name, in the order in which they are told.

    opening : voice -> a sentence that stands in front ("This is a survey of adults.").
    source : where the codes and their meanings come from.

    Raises ValueError for attributes that are no mapping to `Attribute`s, an opening that is no
    text, and an unknown voice.
    """

    attributes: Mapping[str, Attribute]
    opening: Mapping[str, str] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        for name, given in {"attributes": self.attributes, "opening": self.opening}.items():
            if not isinstance(given, Mapping):
                raise ValueError(f"{name} are {shown(given)}; they must be a mapping")
        for name, attribute in self.attributes.items():
            if not isinstance(attribute, Attribute):
                raise ValueError(f"{name}: {shown(attribute)} is no Attribute")
        for voice, text in self.opening.items():
            if not isinstance(text, str):
                raise ValueError(f"opening: the text of {voice!r} is {shown(text)}")
            one_of(voice, "voice", VOICES)

    def __getitem__(self, name: str) -> Attribute:
        return self.attributes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.attributes)

    def __len__(self) -> int:
        return len(self.attributes)

    def texts(self, people: pd.DataFrame) -> pd.DataFrame:
        """The frame with texts in place of values, None where a value is missing.

        Columns that are not in the book stay as they are. Raises ValueError for a value that an
        attribute does not have, naming attribute, row and the legal values, and for people who
        are no frame or have a column twice.
        """
        framed(people, "the people")
        told = {
            name: pd.Series(_texts(name, self[name], people[name]), people.index, dtype=object)
            for name in people
            if name in self.attributes
        }
        return people.assign(**told)


def _texts(name: str, attribute: Attribute, column: pd.Series) -> list[str | None]:
    texts: list[str | None] = []
    for value, label in zip(values_of(column), column.index.tolist(), strict=True):
        try:
            text = None if is_missing(value) else attribute.say(value)
        except ValueError as error:
            raise ValueError(f"{name}: row {label!r}: {error}") from error
        if text is None and not is_missing(value):
            plain = value.item() if isinstance(value, np.generic) else value
            raise ValueError(
                f"{name}: row {label!r} holds {shown(plain)}; legal are {attribute.legal}"
            )
        texts.append(text)
    return texts


def _checked_texts(values: Mapping[Any, str]) -> dict[Any, str]:
    if not isinstance(values, Mapping):
        raise ValueError(f"values are {shown(values)}; they must be {{value: text}}, or Numbers")
    if not values:
        raise ValueError("values: there are none; legal is one text per value, or Numbers")
    seen: dict[str, Any] = {}
    for value, text in values.items():
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"values: the text of {value!r} is {text!r}; legal is text")
        if text in seen:
            raise ValueError(f"values: {seen[text]!r} and {value!r} are both called {text!r}")
        seen[text] = value
    return dict(values)


def _check_phrasing(phrasing: str) -> None:
    if field_names(phrasing) != {"text"}:
        raise ValueError(f"phrasing {phrasing!r}: legal is a sentence with the one field {{text}}")
    fill_one(phrasing, {"text": "a text"}, "of the code book")  # raises for a format of numbers
