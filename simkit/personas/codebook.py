"""The code book: what each attribute's values are called, and how they are asked for and said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from simkit.templates import field_names, fill_one, is_missing, text_of, values_of
from simkit.types import framed, hashable, invalid, invalid_row, listed, one_of, typed

__all__ = ["VOICES", "Attribute", "CodeBook", "Numbers"]

VOICES = ("third", "second", "first")


@dataclass(frozen=True)
class Numbers:
    """The values of an attribute that is a number.

    Attributes
    ----------
    low, high : float
        The range, both ends included.
    text : callable, optional
        How a number is written, a function of it (``"{:.0f}".format``); None as `fill` writes it.
    step : float, optional
        Distance of two neighbouring values where they are counted (1 for years), else None.

    Raises
    ------
    ValueError
        For a range without numbers, a step that is not positive, and a text that is not a function.

    Examples
    --------
    >>> Numbers(18, 99, "{:.0f} years".format).say(40)
    '40 years'
    """

    low: float
    high: float
    text: Callable[[float], str] | None = None
    step: float | None = None

    def __post_init__(self) -> None:
        step = 1 if self.step is None else self.step
        for name, number in (("low", self.low), ("high", self.high), ("step", step)):
            if not _is_number(number):
                raise invalid(name, number, "a number")
        if not self.low <= self.high or not step > 0:
            raise ValueError(
                f"low {self.low}, high {self.high}, step {self.step}; the range must hold a "
                "number, and the step be above 0"
            )
        typed(self.text, "text", Callable | None, "a function")

    def say(self, value: Any) -> str | None:
        """The number's text, None for a value out of the range or of another type."""
        if not _is_number(value) or not self.low <= value <= self.high:
            return None
        written = text_of(value)
        return written if self.text is None else self.text(float(written))


@dataclass(frozen=True)
class Attribute:
    """One attribute of people.

    Parameters
    ----------
    values : mapping or Numbers
        Value (or code) -> its text, or `Numbers`.
    ask : str
        The question that it answers, as put to the respondent ("How old are you?").
    third, second, first : str or sequence of str
        Its sentence in each voice ("The respondent is {text}.", "You are {text}.", "I am {text}."),
        with the one field {text}; several phrasings where wordings are to differ. Without a
        sentence it cannot be told in that voice.
    ordered : bool
        Whether the values, in their order, lie on a scale.

    Raises
    ------
    ValueError
        For values that are not a mapping or are empty, a text that is empty or stands for two
        values, and a phrasing without {text} or with another field (which could be missing).

    Examples
    --------
    >>> car = Attribute({0: "no car", 1: "a car"}, "Do you own a car?", second="You own {text}.")
    >>> car.say(1)
    'a car'
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
        vars(self).update(values=values, ask=typed(ask, "ask", str, "text"), ordered=ordered)
        for voice, sentences in (("third", third), ("second", second), ("first", first)):
            phrasings = (
                (sentences,) if isinstance(sentences, str) else tuple(listed(sentences, voice))
            )
            for phrasing in phrasings:
                if field_names(phrasing) != {"text"}:
                    raise invalid("a phrasing", phrasing, "a sentence with the one field {text}")
                fill_one(phrasing, {"text": "a text"}, "of the code book")  # no format of numbers
            vars(self)[voice] = phrasings

    def phrasings(self, voice: str) -> tuple[str, ...]:
        """The sentences of one voice."""
        return {"third": self.third, "second": self.second, "first": self.first}[voice]

    def say(self, value: Any) -> str | None:
        """The value's text, None if the attribute has no such value."""
        if isinstance(self.values, Numbers):
            return self.values.say(value)
        if not hashable(value):  # a list is no value
            return None
        truth = isinstance(value, bool | np.bool_)  # True is equal to 1, and is no code
        if truth and not any(isinstance(code, bool | np.bool_) for code in self.values):
            return None
        return self.values.get(value)

    @property
    def allowed(self) -> str:
        """The values, for messages."""
        if isinstance(self.values, Numbers):
            return f"a number from {self.values.low:g} to {self.values.high:g}"
        return f"one of {', '.join(map(repr, self.values))}"


@dataclass(frozen=True)
class CodeBook(Mapping[str, Attribute]):
    """Attributes by name, in the order in which they are told.

    Attributes
    ----------
    attributes : mapping
        Name -> `Attribute`.
    opening : mapping
        Voice -> a sentence that stands in front ("This is a survey of adults.").
    source : str
        Where the codes and their meanings come from.

    Raises
    ------
    ValueError
        For attributes that are not a mapping to `Attribute`, an opening that is not text, and an
        unknown voice.

    Examples
    --------
    >>> book = CodeBook(
    ...     {"car": Attribute({0: "no car", 1: "a car"}, second="You own {text}.")},
    ...     opening={"second": "You live in Oslo."},
    ... )
    >>> book.texts(pd.DataFrame({"car": [1, 0]}))["car"].tolist()
    ['a car', 'no car']
    """

    attributes: Mapping[str, Attribute]
    opening: Mapping[str, str] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        typed(self.attributes, "attributes", Mapping, "a mapping")
        typed(self.opening, "opening", Mapping, "a mapping")
        for name, attribute in self.attributes.items():
            typed(attribute, str(name), Attribute, "an Attribute")
        for voice, text in self.opening.items():
            typed(text, f"opening: the text of {voice!r}", str, "text")
            one_of(voice, "voice", VOICES)

    def __getitem__(self, name: str) -> Attribute:
        return self.attributes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.attributes)

    def __len__(self) -> int:
        return len(self.attributes)

    def texts(self, people: pd.DataFrame) -> pd.DataFrame:
        """The frame with texts in place of values, None where a value is missing.

        Parameters
        ----------
        people : DataFrame
            One row per person. Columns that are not in the book stay as they are.

        Returns
        -------
        DataFrame

        Raises
        ------
        ValueError
            For a value that an attribute does not have, naming attribute, row and values, and for
            people who are not a frame or have a column twice.
        """
        framed(people, "the people")
        names = [name for name in people if name in self.attributes]
        texts = {name: _texts(name, self[name], people[name]) for name in names}
        return people.assign(
            **{name: pd.Series(column, people.index, object) for name, column in texts.items()}
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and type(value) is not bool


def _texts(name: str, attribute: Attribute, column: pd.Series) -> list[str | None]:
    texts: list[str | None] = []
    for value, row in zip(values_of(column), column.index.tolist(), strict=True):
        try:
            text = None if is_missing(value) else attribute.say(value)
        except ValueError as error:
            raise ValueError(f"{name}: row {row!r}: {error}") from error
        if text is None and not is_missing(value):
            plain = value.item() if isinstance(value, np.generic) else value
            raise invalid_row(name, row, plain, attribute.allowed)
        texts.append(text)
    return texts


def _checked_texts(values: Mapping[Any, str]) -> dict[Any, str]:
    typed(values, "values", Mapping, "{value: text}, or Numbers")
    if not values:
        raise invalid("values", values, "{value: text} with one value or more, or Numbers")
    seen: dict[str, Any] = {}
    for value, text in values.items():
        if not isinstance(text, str) or not text.strip():
            raise invalid(f"values: the text of {value!r}", text, "text that is not empty")
        if text in seen:
            raise ValueError(f"values: {seen[text]!r} and {value!r} are both called {text!r}")
        seen[text] = value
    return dict(values)
