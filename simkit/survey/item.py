"""One item of a survey: what was asked, and what its codes mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pandas as pd

from simkit.personas import Attribute, Numbers, numeric
from simkit.questions import Question
from simkit.templates import field_names, text_of
from simkit.types import hashable, invalid, one_of, typed

__all__ = ["MISSING", "SCALES", "SurveyItem", "code_of", "literal", "values_shown"]

SCALES = ("nominal", "ordinal", "numeric", "multi-select", "other")
MISSING = ("column", "row", "code", "reason")  # columns of the table of reasons
MOST = 101  # numbers that an item may be asked for: more are cut into classes first


@dataclass(frozen=True)
class SurveyItem:
    """What one column of a survey holds, or the columns of a check-all-that-apply question.

    Attributes
    ----------
    text : str
        What was asked; "" where the file does not say.
    labels : mapping
        Code -> text of an answer. Of a multi-select item: the column of the file -> its option,
        whose answers, 0 or 1, are in the column "item: option" of the people.
    scale : str
        "nominal", "ordinal", "numeric", "multi-select", or "other" for what no model is asked
        (dates, free text).
    missing : mapping
        Code that stands for no answer -> the reason. In the people it is NaN.
    tell : str
        The sentence that tells the answer of a person, with the field {text} ("You are {text} years
        old."); "" for the item's text and the answer.

    Raises
    ------
    ValueError
        For labels and missing codes that are not mappings to text, an unknown scale, and a sentence
        without the one field {text}.

    Examples
    --------
    >>> trust = SurveyItem("Do you trust people?", {1: "no", 2: "yes"}, missing={9: "refused"})
    >>> trust.scale, trust.sentence
    ('nominal', 'Do you trust people? {text}.')
    """

    text: str = ""
    labels: Mapping[Any, str] = field(default_factory=dict)
    scale: str = "nominal"
    missing: Mapping[Any, str] = field(default_factory=dict)
    tell: str = ""

    def __post_init__(self) -> None:
        one_of(self.scale, "scale", SCALES)
        for name in ("text", "tell"):
            typed(getattr(self, name), name, str, "text")
        for name in ("labels", "missing"):
            given = typed(getattr(self, name), name, Mapping, "{code: text}")
            for code, text in given.items():
                typed(text, f"{name}: the text of {code!r}", str, "text")
            plain = {code_of(code): " ".join(text.split()) for code, text in given.items()}
            object.__setattr__(self, name, plain)
        if self.tell and field_names(self.tell) != {"text"}:
            raise invalid("tell", self.tell, "a sentence with the one field {text}")

    @property
    def sentence(self) -> str:
        """How an answer is told: `tell`, or the item's text and the answer."""
        if self.tell:
            return self.tell
        text = literal(self.text).rstrip(" :.")
        return f"{text}{' ' if text.endswith('?') else ': '}{{text}}."

    def codes(self, answers: pd.Series) -> dict[Any, str]:
        """Code -> text of all answers that the item has, in order; ValueError if they are endless.

        Steps of a scale without a label are their numbers: those between two or three labels, and
        where an answer has none. Labels 10, 20 and 30, or 1, 2, 3 and 5, are all that there is.
        """
        labels = {c: t for c, t in self.labels.items() if c not in self.missing}
        if self.scale != "ordinal" or not all(isinstance(c, int | float) for c in labels):
            return labels
        every = sorted(labels.keys() | {code_of(c) for c in answers.dropna().unique()})
        even = len(labels) == 3 and len({b - a for a, b in pairwise(sorted(labels))}) == 1
        partly = len(every) > len(labels) or (2 <= len(labels) <= 3 and not even)
        if labels and partly and all(isinstance(c, int) for c in every):
            whole = range(every[0], every[-1] + 1)
            every = list(whole) if len(whole) <= MOST else every
        return {c: labels.get(c, text_of(c)) for c in every} if labels else {}

    def attribute(self, answers: pd.Series) -> Attribute:
        """The entry of a code book, to tell people's answers by.

        answers : the people's column, which says how far numbers go. Raises ValueError for an item
        without answers.
        """
        values: Any = self.codes(answers) if self.scale in ("nominal", "ordinal") else {}
        if not values and self.scale == "numeric" and answers.notna().any():
            values = Numbers(float(answers.min()), float(answers.max()))
        elif not values:
            values = {v: text_of(v) for v in answers.dropna().unique()}
        told = self.sentence
        return Attribute(values, self.text, told, told, told, self.scale == "ordinal")

    def question(self, answers: pd.Series, **options: Any) -> Question:
        """The item as it is put to a model.

        answers : the people's column, for the range of numbers. options : of `Question`. Raises
        ValueError for an item that cannot be asked with a closed list of answers.
        """
        if self.scale == "numeric":
            low, high = answers.min(), answers.max()
            if not answers.notna().any() or (answers.dropna() % 1 != 0).any() or high - low >= MOST:
                raise ValueError(
                    f"its numbers are not whole, or more than {MOST}: cut them into classes"
                )
            plain = {k: v for k, v in options.items() if k not in ("layout", "template")}
            return numeric(literal(self.text), int(low), int(high), **plain)
        if self.scale not in ("nominal", "ordinal"):
            remedy = "; see `check_all`" if self.scale == "multi-select" else ""
            raise ValueError(f"its scale is {self.scale!r}: it has no one of few answers{remedy}")
        codes = self.codes(answers)
        ordered = self.scale == "ordinal"
        if ordered and not all(isinstance(code, int | float) for code in codes):
            raise ValueError(f"its scale is ordinal and its codes are no numbers: {list(codes)}")
        text, texts = self.text, list(codes.values())
        if ordered and sum(str(c) != t for c, t in codes.items()) < len(codes):
            legend = ", ".join(f"{c} = {t}" for c, t in codes.items() if str(c) != t)
            text, texts = f"{text} ({legend})", list(map(str, codes))
        words = [literal(text) for text in texts]
        return Question(literal(text), words, list(codes) if ordered else None, **options)


def literal(text: str) -> str:
    """Text whose braces are no fields of a template."""
    return text.replace("{", "{{").replace("}", "}}")


def code_of(value: Any) -> Any:
    """A code as it is written in labels: whole numbers as int, others as they are."""
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, float) and plain.is_integer():
        return int(plain)
    return plain if hashable(plain) else str(plain)


def values_shown(texts: Mapping[Any, str], most: int = 12) -> str:
    """ "1 male; 2 female; …"."""
    shown = [f"{code} {text}" if str(code) != text else text for code, text in texts.items()]
    return "; ".join(shown[:most]) + ("; …" if len(shown) > most else "")
