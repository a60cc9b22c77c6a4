"""Questions as decision interfaces take them, and what their rounded probabilities let know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simkit.scoring.inquiries import Inquiry
from simkit.scoring.remote.client import Garbled
from simkit.types import FloatArray

__all__ = ["COARSEST", "FINEST", "MOST_CHOICES", "TRIAL", "Asked", "bounds", "decimals_of"]

PAIRS = (("yes", "no"), ("true", "false"))  # the second denies the first in so many words
NOTHING = "Answer the question."  # the input of a question that has no context
MOST_LEVELS, MOST_CHOICES = 10, 255
COARSEST, FINEST = 2, 7  # decimals: no host is known that gives fewer; with more it is unrounded
CLIPPED = 0.01  # some hosts give nothing below it, and nothing above 0.99
FLOAT = 1e-6  # error of an unrounded probability, in float32


@dataclass(frozen=True)
class Asked:
    """One question as an interface takes it.

    Attributes
    ----------
    input : what it is about: system text and context.
    kind : "predicate" (the first of two options is the case), "score" (ordered levels), "choice".
    instructions : what is asked.
    options : as they are sent, in the order sent.
    order : the options' numbers in the inquiry, in the order sent.
    """

    input: str
    kind: str
    instructions: str
    options: tuple[str, ...]
    order: tuple[int, ...]

    @classmethod
    def of(cls, inquiry: Inquiry) -> Asked:
        """The question of an inquiry.

        All of the prompt goes along: what stands before the question is the input, what follows it
        stays with the question. The options go by themselves, so a list of them in the prompt is
        left out, and so is "Answer:" at its end.
        """
        prompt = re.sub(r"\s*\bAnswer:\s*$", "", _without_list(inquiry))
        before, found, after = prompt.rpartition(inquiry.question) if inquiry.question else (
            "", "", prompt)  # fmt: skip
        if not found or not before.strip():  # a template that is all question
            before, _, after = prompt.rpartition("\nQuestion:")
            found = ""
        before = re.sub(r"(^|\n)[ \t]*Question:\s*$", "", before).strip()
        instructions = re.sub(r"^\s*Question:", "", found + after).strip()
        about = "\n\n".join(text for text in (inquiry.system.strip(), before) if text)
        kind, order = _kind(inquiry)
        options = tuple(inquiry.options[k] for k in order)
        return cls(about or NOTHING, kind, instructions, options, order)


def _without_list(inquiry: Inquiry) -> str:
    """The prompt without the lines that list the options."""
    lines = [inquiry.options[k] for k in inquiry.listed]
    labels = [f"{inquiry.spelled[k][0]}. " for k in inquiry.listed]
    for marks in (labels, [""] * len(lines)):
        block = "\n".join(mark + line for mark, line in zip(marks, lines, strict=True))
        before, found, after = inquiry.prompt.rpartition(block) if block else ("", "", "")
        if found:
            return before.rstrip("\n") + after
    return inquiry.prompt


def _kind(inquiry: Inquiry) -> tuple[str, tuple[int, ...]]:
    """The question's type, and the order in which its options are sent."""
    k = len(inquiry.options)
    if inquiry.listed:  # only a choice has an order that may be changed
        return "choice", inquiry.listed
    words = tuple(option.strip().casefold() for option in inquiry.options)
    for pair in PAIRS:
        if words in (pair, pair[::-1]):
            return "predicate", tuple(words.index(word) for word in pair)
    steps = np.diff(inquiry.values)
    if len(steps) == k - 1 and k <= MOST_LEVELS and (np.all(steps > 0) or np.all(steps < 0)):
        return "score", tuple(range(k)) if steps[0] > 0 else tuple(range(k))[::-1]
    return "choice", tuple(range(k))


def decimals_of(values: Sequence[float]) -> int:
    """The fewest decimals that write all values; `FINEST` where they are not rounded."""
    for digits in range(FINEST):
        near = min(1e-7, 10.0**-digits / 1000)  # a rounded number may have been a float32
        if all(abs(value - round(value, digits)) <= near for value in values):
            return digits
    return FINEST


def bounds(values: Sequence[float], decimals: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Belief, low and high of rounded probabilities.

    Parameters
    ----------
    values : (K,) as they were given.
    decimals : to which they were rounded; `FINEST` for not at all.

    Returns
    -------
    (K,), (K,), (K,)
        What was rounded lies within half a step; 0.01 and 0.99 are open to 0 and 1, since some
        hosts give nothing beyond them. The belief is as given where it sums to 1; else each value
        moves towards its bound by the same share, so that it does.

    Raises
    ------
    Garbled
        Where no probabilities within the bounds sum to 1.

    Examples
    --------
    >>> [side.round(4).tolist() for side in bounds([0.33, 0.33, 0.33], 2)]
    [[0.3333, 0.3333, 0.3333], [0.325, 0.325, 0.325], [0.335, 0.335, 0.335]]
    >>> [side.round(4).tolist() for side in bounds([0.99, 0.01], 2)]
    [[0.99, 0.01], [0.985, 0.0], [1.0, 0.015]]
    """
    given = np.array(values, dtype=float)
    half = max(0.5 * 10.0**-decimals, FLOAT)
    low, high = np.clip(given - half, 0, 1), np.clip(given + half, 0, 1)
    low[np.abs(given - CLIPPED) < FLOAT] = 0
    high[np.abs(given - 1 + CLIPPED) < FLOAT] = 1
    total, ends = given.sum(), (low.sum(), high.sum())
    if ends[0] > 1 + FLOAT or ends[1] < 1 - FLOAT:
        raise Garbled(f"whose probabilities {given.tolist()} sum to {total:.6g}")
    if abs(total - 1) < 1e-12:
        return given, low, high
    to, end = (high, ends[1]) if total < 1 else (low, ends[0])
    return given + (to - given) * min(1.0, (1 - total) / (end - total)), low, high


TRIAL = [
    Asked("A fair coin is tossed.", "predicate", "Does it show heads?", ("yes", "no"), (0, 1)),
    Asked("A fair die is thrown.", "choice", "Which number does it show?",
          ("one", "two", "three", "four", "five", "six"), tuple(range(6))),
    Asked("A fair die is thrown.", "score", "How large is the number?",
          ("small", "middling", "large"), (0, 1, 2)),
]  # fmt: skip
