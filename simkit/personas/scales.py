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
from simkit.types import framed, integer, invalid, listed, one_of, typed

__all__ = ["is_numeric", "likert", "numeric", "option_begun", "question_of", "read_answers"]

MOST_VALUES = 10_000
_CURRENCY = "$€£¥"


def likert(
    text: str,
    points: int,
    labels: Sequence[str] | Mapping[int, str] | None = None,
    **options: Any,
) -> Question:
    """An ordinal question of K = `points` steps, valued 1 to K.

    Parameters
    ----------
    text : str
        The question.
    points : int
        K, from 2 to 10,000.
    labels : sequence or mapping, optional
        K words, which are then the options; or {value: label} for some of the steps (the ends),
        which are explained after the text, the options being the numbers; None for the bare
        numbers.
    **options
        Further arguments of :class:`simkit.Question` (template, layout, forms, …).

    Returns
    -------
    Question

    Raises
    ------
    ValueError
        For points that are not a whole number in the range, another number of labels, and a label
        of a value that the scale does not have.

    Examples
    --------
    >>> likert("Taxes should be lower.", 5, {1: "disagree", 5: "agree"}).text
    'Taxes should be lower. (1 = disagree, 5 = agree)'
    """
    values = range(1, integer(points, "points", 2, MOST_VALUES) + 1)
    if isinstance(labels, Mapping):
        unknown = [value for value in labels if value not in values]
        if unknown:
            raise invalid("the value of a label", unknown[0], f"one of {list(values)}")
        legend = ", ".join(f"{value} = {labels[value]}" for value in sorted(labels))
        text, words = f"{text} ({legend})" if legend else text, [str(v) for v in values]
    elif labels is None:
        words = [str(v) for v in values]
    elif isinstance(labels, str) or len(listed(labels, "labels")) != points:
        raise invalid("labels", labels, f"{points} texts, one per point")
    else:
        words = list(labels)
    return Question(text, words, list(values), **options)


def numeric(
    text: str,
    low: float,
    high: float,
    step: float = 1,
    unit: str = "",
    *,
    end: str = "",
    **options: Any,
) -> Question:
    """A question whose options are the numbers low, low + step, …, high.

    Parameters
    ----------
    text : str
        The question.
    low, high, step : float
        Numbers are written with as many decimals as `low` and `step` have.
    unit : str
        "$" (or another currency sign) is put before the number, "%" right after it, any other unit
        after a blank ("3 days").
    end : str
        Text that closes every option ("." or a line break), part of what is scored. Where the
        tokens of one number begin those of another ("1" and "10" in a tokenizer of single digits),
        the belief in "1" contains that in "10" unless something closes it: with `end` the options
        are disjoint events and the belief is exact.
    **options
        Further arguments of :class:`simkit.Question`.

    Returns
    -------
    Question

    Raises
    ------
    ValueError
        For a step that is not positive or does not lead from low to high, and for more than 10,000
        values.

    Examples
    --------
    >>> numeric("What would you pay?", 0, 1, 0.5, "$").options
    ('$0.0', '$0.5', '$1.0')
    """
    for name, word in (("unit", unit), ("end", end)):
        typed(word, name, str, "text")
    try:
        first, last, stride = (Decimal(str(x)) for x in (low, high, step))
        fine = first.is_finite() and last.is_finite() and stride.is_finite() and stride > 0
    except InvalidOperation:  # text, lists
        fine = False
    if not fine:
        raise ValueError(f"low {low}, high {high}, step {step}; they must be numbers, step above 0")
    # Whether there are too many comes first: Decimal has no remainder of a huge number.
    if (k := (last - first) / stride + 1) > MOST_VALUES:
        raise ValueError(f"{k:.10g} values from {low} to {high}; there may be up to {MOST_VALUES}")
    if last <= first or (last - first) % stride:
        raise ValueError(f"steps of {step} do not lead from {low} to {high}")
    count = int((last - first) / stride) + 1
    places = max(0, *(-int(x.normalize().as_tuple().exponent) for x in (first, stride)))
    values = [first + i * stride for i in range(count)]
    front = unit if unit and unit in _CURRENCY else ""
    back = unit if unit in ("", "%") else f" {unit}"
    texts = [f"{value:.{places}f}{end if front else back + end}" for value in values]
    texts = [re.sub("^-?", lambda sign: sign[0] + front, text) for text in texts]
    return Question(text, texts, [float(value) for value in values], **options)


def question_of(code_book: CodeBook, name: str, **options: Any) -> Question:
    """The question that an attribute answers: the code book's text and options.

    Parameters
    ----------
    code_book : CodeBook
        The attributes.
    name : str
        Of one attribute. Its values' texts are the options, in order, with the codes as values
        where the attribute is ordered; `Numbers` with a step become a numeric question.
    **options
        Further arguments of :class:`simkit.Question`.

    Returns
    -------
    Question

    Raises
    ------
    ValueError
        For an attribute that is not in the book, has no question, or no step, and for one that is
        ordered with codes that are not numbers.

    Examples
    --------
    >>> from simkit.personas import ANES96
    >>> question_of(ANES96, "vote").options
    ('Bill Clinton', 'Bob Dole')
    """
    typed(code_book, "code_book", CodeBook, "a CodeBook")
    attribute = code_book[one_of(name, "attribute", code_book)]
    if not attribute.ask:
        raise ValueError(f"{name}: the code book has no question; give the attribute one")
    scale = attribute.values
    if isinstance(scale, Numbers):
        if scale.step is None:
            raise ValueError(f"{name}: its numbers have no step, so they cannot be options")
        return numeric(attribute.ask, scale.low, scale.high, scale.step, **options)
    codes = list(scale) if attribute.ordered else None
    return Question(attribute.ask, list(scale.values()), codes, **options)


def read_answers(
    question: Question, texts: Sequence[Any], design: pd.DataFrame | None = None
) -> pd.DataFrame:
    """What sampled texts answer: one row per text.

    Parameters
    ----------
    question : Question
        A text is a valid answer to it if, blanks aside, it begins with an option (its label, or
        one of its forms; upper and lower case count, a full stop at its end does not) that neither
        a letter nor a digit carries on: "3" is in "3", "3." and "3 days", not in "30" or "3.5".
        The longest such option counts.
    texts : sequence
        What a model wrote after the prompts; None counts as not valid.
    design : DataFrame, optional
        One row per text, where options have `{column}` fields.

    Returns
    -------
    DataFrame
        Columns `text`, `answer` (the option's text), `option_id` and `value` (NaN where there is
        none), `valid`. The mean of `valid` is the success rate.

    Raises
    ------
    ValueError
        For a design of another length, and a question that is not a `Question`.

    Examples
    --------
    >>> read_answers(numeric("How many?", 0, 5), ["3 of them", "many"])["answer"].tolist()
    ['3', None]
    """
    texts = listed(texts, "texts")
    rows = pd.DataFrame(index=range(len(texts))) if design is None else framed(design, "the design")
    if len(rows) != len(texts):
        raise ValueError(f"design has {len(rows)} rows for {len(texts)} texts")
    typed(question, "question", Question, "a Question")
    spelled, options = question.answers_for(rows), question.options_for(rows)
    places = [option_begun(text, row) for text, row in zip(texts, spelled, strict=True)]
    valid = np.array([place is not None for place in places], dtype=bool)
    answers = [None if k is None else row[k] for k, row in zip(places, options, strict=True)]
    values = question.values or [np.nan] * len(question.options)
    return pd.DataFrame(
        {
            "text": pd.Series(texts, dtype=object),
            "answer": pd.Series(answers, dtype=object),
            "option_id": np.array([np.nan if k is None else k for k in places], dtype=float),
            "value": np.array([np.nan if k is None else values[k] for k in places], dtype=float),
            "valid": valid,
        }
    )


def option_begun(text: Any, spelled: Sequence[Sequence[str]]) -> int | None:
    """Number of the longest option that the text begins with."""
    if not isinstance(text, str):
        return None
    text = text.lstrip()
    length, best = 0, None
    for number, forms in enumerate(spelled):
        for form in (f.strip().rstrip(".") for f in forms):
            carried_on = re.match(r"\w|[.,]\d", text[len(form) :]) is not None
            if len(form) > length and text.startswith(form) and not carried_on:
                length, best = len(form), number
    return best


def is_numeric(question: Question) -> bool:
    """Whether every option is its own value in writing ("40", "$1,200", "3 days")."""
    if question.values is None:
        return False
    return all(_number(o) == v for o, v in zip(question.options, question.values, strict=True))


def _number(option: str) -> float | None:
    numbers = re.findall(r"-?[^\w\s.,-]?\d[\d,]*(?:\.\d+)?", option)
    return float(re.sub(r"[^\d.-]", "", numbers[0])) if len(numbers) == 1 else None
