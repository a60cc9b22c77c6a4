"""The code book: what each attribute's values are called, asked for and said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["VOICES", "Attribute", "CodeBook", "Numbers"]

VOICES = ("third", "second", "first")


@dataclass(frozen=True)
class Numbers:
    """The values of an attribute that is a number.

    low, high : the legal range, both ends included.
    text : how a number is written: a format ("{:.0f}") or a function of it.
    step : distance of two neighbouring values where they are counted (1 for years), else None.
    """

    low: float
    high: float
    text: str | Callable[[float], str] = "{:g}"
    step: float | None = None

    def say(self, value: Any) -> str | None:
        """The number's text, None if it is no legal number."""
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
            return None
        if not self.low <= value <= self.high:
            return None
        number = float(value)
        return self.text.format(number) if isinstance(self.text, str) else self.text(number)

    @property
    def legal(self) -> str:
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

    Raises ValueError for no values, a text that is empty or stands for two values, a phrasing
    without {text} or with any other field (which could be missing).
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
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "ask", ask)
        object.__setattr__(self, "ordered", ordered)
        for voice, some in (("third", third), ("second", second), ("first", first)):
            phrasings = (some,) if isinstance(some, str) else tuple(some)
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

    opening : voice -> a sentence that stands in front ("This is a survey of adults."), or one
        sentence for all voices.
    source : where the codes and their meanings come from.
    """

    attributes: Mapping[str, Attribute]
    opening: Mapping[str, str] = field(default_factory=dict)
    source: str = ""

    def __init__(
        self,
        attributes: Mapping[str, Attribute],
        opening: Mapping[str, str] | str = "",
        source: str = "",
    ) -> None:
        if isinstance(opening, str):
            opening = dict.fromkeys(VOICES, opening)
        unknown = [voice for voice in opening if voice not in VOICES]
        if unknown:
            raise ValueError(f"opening: no voice {unknown[0]!r}; legal are {', '.join(VOICES)}")
        object.__setattr__(self, "attributes", dict(attributes))
        object.__setattr__(self, "opening", dict(opening))
        object.__setattr__(self, "source", source)

    def __getitem__(self, name: str) -> Attribute:
        return self.attributes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.attributes)

    def __len__(self) -> int:
        return len(self.attributes)

    def texts(self, people: pd.DataFrame) -> pd.DataFrame:
        """The frame with texts in place of values, None where a value is missing.

        Columns that are not in the book stay as they are. Raises ValueError for a value that an
        attribute does not have, naming attribute, row and the legal values.
        """
        told = {
            name: pd.Series(_texts(name, self[name], people[name]), people.index, dtype=object)
            for name in people
            if name in self.attributes
        }
        return people.assign(**told)


def _texts(name: str, attribute: Attribute, values: pd.Series) -> list[str | None]:
    missing = values.isna().to_numpy()
    texts = [None if m else attribute.say(v) for m, v in zip(missing, values, strict=True)]
    for row, (text, absent) in enumerate(zip(texts, missing, strict=True)):
        if text is None and not absent:
            value, label = (
                x.item() if isinstance(x, np.generic) else x
                for x in (values.iloc[row], values.index[row])
            )
            raise ValueError(f"{name}: row {label!r} holds {value!r}; legal are {attribute.legal}")
    return texts


def _checked_texts(values: Mapping[Any, str]) -> dict[Any, str]:
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
    fields = [name for _, name, _, _ in Formatter().parse(phrasing) if name is not None]
    if not fields or any(name != "text" for name in fields):
        raise ValueError(f"phrasing {phrasing!r}: legal is a sentence with the one field {{text}}")
