"""Survey scales: Likert and numeric questions, and what is a valid answer to them.

Scales are plain `Question`s, so their belief is exact over all values of the scale, however many
tokens a value takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pandas as pd

from simkit.personas.codebook import CodeBook, Numbers
from simkit.questions import Question
from simkit.types import framed, integer, listed, one_of, shown

__all__ = ["is_numeric", "likert", "numeric", "question_of", "read_answers"]

MOST_VALUES = 10_000
_CURRENCY = "$€£¥"


def likert(
    text: str,
    points: int,
    labels: Sequence[str] | Mapping[int, str] | None = None,
    **how: Any,
) -> Question:
    """An ordinal question of K = `points` steps, valued 1 to K.

    Parameters
    ----------
    labels : K words, which are then the options; or {value: label} for some of the steps (the
        ends), which are explained after the text, the options being the numbers; None for the
        bare numbers.
    how : goes to `Question` (template, layout, forms, …).

    Raises ValueError for points that are no whole number from 2 to 10,000, another number of
    labels, or a label of a value that the scale does not have.
    """
    values = range(1, integer(points, "points", 2, MOST_VALUES) + 1)
    if isinstance(labels, Mapping):
        unknown = [value for value in labels if value not in values]
        if unknown:
            raise ValueError(f"labels: {unknown[0]!r} is not one of {list(values)}")
        legend = ", ".join(f"{value} = {labels[value]}" for value in sorted(labels))
        text, options = f"{text} ({legend})" if legend else text, [str(v) for v in values]
    elif labels is None:
        options = [str(v) for v in values]
    else:
        if isinstance(labels, str) or len(listed(labels, "labels")) != points:
            raise ValueError(f"labels are {labels!r}; legal are {points}, one per point")
        options = list(labels)
    return Question(text, options, list(values), **how)


def numeric(
    text: str,
    low: float,
    high: float,
    step: float = 1,
    unit: str = "",
    *,
    end: str = "",
    **how: Any,
) -> Question:
    """A question whose options are the numbers low, low + step, …, high.

    Parameters
    ----------
    unit : "$" (or another currency sign) is put before the number, "%" right after it, any other
        unit after a blank ("3 days").
    end : text that closes every option ("." or a line break), part of what is scored. Where one
        number's tokens begin another's ("1" and "10" in a tokenizer of single digits), the belief
        in "1" holds all of "10" too unless something closes it: with `end` the options are
        disjoint events and the belief is exact.
    how : goes to `Question`.

    Numbers are written with as many decimals as `low` and `step` have. Raises ValueError for a
    step that is not positive or does not lead from low to high, and for more than 10,000 values.
    """
    if not isinstance(unit, str) or not isinstance(end, str):
        raise ValueError(f"unit {shown(unit)}, end {shown(end)}; both must be text")
    try:
        first, last, stride = (Decimal(str(x)) for x in (low, high, step))
        fine = first.is_finite() and last.is_finite() and stride.is_finite() and stride > 0
    except InvalidOperation:  # text, lists
        fine = False
    if not fine:
        raise ValueError(f"low {low}, high {high}, step {step}; legal are numbers, step above 0")
    # Whether there are too many comes first: Decimal has no remainder of a huge number.
    if (last - first) / stride > MOST_VALUES - 1:
        raise ValueError(
            f"{(last - first) / stride + 1:.10g} values from {low} to {high}; legal are up to "
            f"{MOST_VALUES}"
        )
    if last <= first or (last - first) % stride:
        raise ValueError(f"steps of {step} do not lead from {low} to {high}")
    count = int((last - first) / stride) + 1
    places = max(0, *(-int(x.normalize().as_tuple().exponent) for x in (first, stride)))
    values = [first + i * stride for i in range(count)]
    options = [_written(value, places, unit) + end for value in values]
    return Question(text, options, [float(value) for value in values], **how)


def _written(value: Decimal, places: int, unit: str) -> str:
    number = f"{abs(value):.{places}f}"
    sign = "-" if value < 0 else ""
    if unit and unit in _CURRENCY:
        return f"{sign}{unit}{number}"
    return f"{sign}{number}{unit if unit == '%' else f' {unit}' if unit else ''}"


def question_of(code_book: CodeBook, name: str, **how: Any) -> Question:
    """The question that an attribute answers: the code book's text and options.

    Options are the texts of its values, in order, with the codes as values where the attribute is
    ordered; `Numbers` with a step become a numeric question. `how` goes to `Question`.
    Raises ValueError for an attribute that is not in the book, has no question, or no step, and
    for one that is ordered with codes that are no numbers.
    """
    if not isinstance(code_book, CodeBook):
        raise ValueError(f"code_book is {shown(code_book)}; it must be a CodeBook")
    attribute = code_book[one_of(name, "attribute", code_book)]
    if not attribute.ask:
        raise ValueError(f"{name}: the code book has no question; give the attribute one")
    scale = attribute.values
    if isinstance(scale, Numbers):
        if scale.step is None:
            raise ValueError(f"{name}: its numbers have no step, so they cannot be options")
        return numeric(attribute.ask, scale.low, scale.high, scale.step, **how)
    codes = list(scale) if attribute.ordered else None
    return Question(attribute.ask, list(scale.values()), codes, **how)


def read_answers(
    question: Question, texts: Sequence[Any], design: pd.DataFrame | None = None
) -> pd.DataFrame:
    """What sampled texts answer: one row per text.

    Parameters
    ----------
    question : a text is a valid answer to it if, blanks aside, it begins with an option (its label,
        or one of its forms; upper and lower case count, a full stop at its end does not) that
        neither a letter nor a digit carries on: "3" is in "3", "3." and "3 days", not in "30" or
        "3.5". The longest such option counts.
    texts : what a model wrote after the prompts; None counts as not valid.
    design : one row per text, where options have `{column}` fields.

    Returns
    -------
    Columns `text`, `answer` (the option's text), `option_id` and `value` (NaN where there is none),
    `valid`. The mean of `valid` is the success rate.
    """
    texts = listed(texts, "texts")
    rows = pd.DataFrame(index=range(len(texts))) if design is None else framed(design, "the design")
    if len(rows) != len(texts):
        raise ValueError(f"design has {len(rows)} rows for {len(texts)} texts")
    if not isinstance(question, Question):
        raise ValueError(f"question is {shown(question)}; it must be a Question")
    spelled, options = question.answers_for(rows), question.options_for(rows)
    numbers = [_begun(text, row) for text, row in zip(texts, spelled, strict=True)]
    values = question.values
    answers = [None if k is None else row[k] for k, row in zip(numbers, options, strict=True)]
    found = [np.nan if k is None or values is None else values[k] for k in numbers]
    return pd.DataFrame(
        {
            "text": pd.Series(texts, dtype=object),
            "answer": pd.Series(answers, dtype=object),
            "option_id": np.array([np.nan if k is None else k for k in numbers], dtype=float),
            "value": np.array(found, dtype=float),
            "valid": [k is not None for k in numbers],
        }
    )


def _begun(text: Any, spelled: Sequence[Sequence[str]]) -> int | None:
    """Number of the longest option that the text begins with."""
    if not isinstance(text, str):
        return None
    text = text.lstrip()
    best, found = 0, None
    for number, forms in enumerate(spelled):
        for form in (f.strip().rstrip(".") for f in forms):
            carried_on = re.match(r"\w|[.,]\d", text[len(form) :]) is not None
            if len(form) > best and text.startswith(form) and not carried_on:
                best, found = len(form), number
    return found


def is_numeric(question: Question) -> bool:
    """Whether every option is its own value in writing ("40", "$1,200", "3 days")."""
    if question.values is None:
        return False
    return all(_number(o) == v for o, v in zip(question.options, question.values, strict=True))


def _number(option: str) -> float | None:
    found = re.findall(r"-?[^\w\s.,-]?\d[\d,]*(?:\.\d+)?", option)
    return float(re.sub(r"[^\d.-]", "", found[0])) if len(found) == 1 else None
