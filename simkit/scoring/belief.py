"""The two calls that users make: `score` for arrays, `believe` for the tidy table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from simkit.questions import Question, check_options
from simkit.scoring.chat import Chat, lay_out, talk
from simkit.scoring.forms import Spelled, refuse_same, sum_forms
from simkit.scoring.mass import LEAST_MASS, Place, check_least_mass, warn_of_mass
from simkit.scoring.orders import average_orders, orders_for
from simkit.scoring.types import Model, Scores, check_model, renamed_rows
from simkit.types import FloatArray, IntArray, aligned, framed, listed, shown

__all__ = ["believe", "check_asked", "option_rows", "score", "softmax"]

COLUMNS = ("prompt_id", "option", "option_id", "value", "logprob", "belief", "valid_mass", "model")
LISTED = ("order", "position", "orders", "order_range")  # of questions that list their options
ROUNDING = 1e-3  # by which a log-probability may exceed 0


def score(
    model: Model, prompts: Sequence[str], options: Sequence[str] | Sequence[Sequence[str]]
) -> FloatArray:
    """Log-probability of each option as the continuation of each prompt.

    Parameters
    ----------
    model : from `simkit.load`, or any object with `name` and `scores`.
    prompts : N prompts.
    options : K strings for all prompts, or N lists of K strings. They are appended to the prompt
        as they stand, so they bring their own separator (" yes").

    Returns
    -------
    Array of shape (N, K): natural log-probability, summed over the option's tokens, with the
    softmax taken in float32 or float64.

    Raises
    ------
    ValueError for empty or repeated options, lists of unequal length, an empty prompt or one
    that exceeds the context length, and a model that gives NaN or a log-probability above 0
    (naming the row); `BoundaryError` where the prompt's last token would merge with the option's
    first. Prompts and lists of options that are both Series pair by label.
    """
    return _scores(model, prompts, options).logprob


def _scores(
    model: Model,
    prompts: Sequence[str],
    options: Sequence[str] | Sequence[Sequence[str]],
    spelled: Sequence[Spelled] | None = None,
) -> Scores:
    """`spelled`: which of the options are spellings of one; None where each is its own."""
    check_model(model)
    texts, choices = listed(prompts, "prompts"), listed(options, "options")
    per_row = bool(choices) and not isinstance(choices[0], str)
    if per_row:
        choices = listed(aligned({"prompts": prompts, "options": options})["options"], "options")
    if not texts:
        width = 0 if per_row else len(choices)
        return Scores(np.empty((0, width)), np.empty((0, width), dtype=bool))
    lists = _lists(choices, len(texts)) if per_row else [tuple(check_options(choices))] * len(texts)
    for row, prompt in enumerate(texts):
        if not isinstance(prompt, str) or not prompt:
            raise ValueError(f"row {row}: prompt {shown(prompt)} is empty or not text")
    scores = _sound(model, model.scores(texts, lists), lists)
    if scores.nested.any():
        own = spelled or [tuple((option,) for option in row) for row in lists]
        refuse_same(model, texts, own, scores)
    return scores


def _lists(options: list[Any], rows: int) -> list[tuple[str, ...]]:
    if len(options) != rows:
        raise ValueError(
            f"{len(options)} lists of options for {rows} prompts; give one list for each prompt, "
            "or one list of strings for all of them"
        )
    known: dict[tuple[str, ...], tuple[str, ...]] = {}  # equal lists as one object, checked once
    lists = []
    for row, some in enumerate(options):
        given = tuple(listed(some, f"row {row}: options"))
        if not all(isinstance(option, str) for option in given) or given not in known:
            check_options(given, f"row {row}: ")
            known[given] = given
        lists.append(known[given])
        if len(given) != len(lists[0]):
            raise ValueError(
                f"row {row}: {len(given)} options where row 0 has {len(lists[0])}; score rows of "
                "unequal length apart"
            )
    return lists


def _sound(model: Model, scores: Scores, options: Sequence[tuple[str, ...]]) -> Scores:
    """The scores; ValueError naming the row where they are no log-probabilities."""
    shape = len(options), len(options[0])
    if scores.logprob.shape != shape or scores.nested.shape != shape:
        raise ValueError(
            f"{model.name} gave scores of shape {scores.logprob.shape} for {shape[0]} prompts and "
            f"{shape[1]} options; its `scores` must give one row per prompt, one column per option"
        )
    bad = np.argwhere(~(scores.logprob <= ROUNDING))
    if len(bad):
        row, k = bad[0]
        raise ValueError(
            f"row {row}: {model.name} gave option {options[row][k]!r} the log-probability "
            f"{scores.logprob[row, k]}; it must be a number up to 0, or -inf. {len(bad)} of "
            f"{scores.logprob.size} are wrong, so the model is: check its weights"
        )
    return scores


def believe(
    model: Model,
    question: Question,
    design: pd.DataFrame,
    *,
    chat: Chat | bool | None = False,
    orders: str | Sequence[Sequence[int]] | None = "auto",
    average: bool = True,
    least_mass: float = LEAST_MASS,
) -> pd.DataFrame:
    """The model's belief over the question's options for each design row.

    Parameters
    ----------
    model : from `simkit.load`, or any object with `name` and `scores`.
    question : text, options and template; its `{column}` fields are filled from the design.
    design : one row per prompt.
    chat : False or None for plain text; True, or a `Chat` with system text and so on, to lay the
        prompt out by the model's own chat template, the answer beginning with "Answer:".
    orders : for a question that lists its options in the prompt, in which orders. "auto" takes
        all K cyclic shifts if they have letters or numbers, else the order given; None the order
        given; "cyclic" the shifts; a list of permutations (entry j is the option at place j)
        just those.
    average : average over the orders. A model's answer leans to certain places and letters, so
        one order's belief is not the belief in the content; and estimators, which take one row
        per prompt × option, would count K orders of a prompt as K prompts. What was averaged out
        stays in sight as `order_range`; average=False returns every order, for
        `positional_effect`, and `average_orders` makes the one of the other.
    least_mass : valid mass below which a belief is not to be trusted. One `LowMassWarning` then
        says for how many, and for a model from `simkit.load` what it would rather write and
        which `forms` of the question would count; 0 for none.

    Returns
    -------
    One row per design row × option: the design's columns, then `prompt_id` (position of the
    design row), `option` and `option_id`, `value` (where the question has values), `logprob` (all
    spellings of the option together), `belief` (softmax over the prompt's options, sums to 1),
    `valid_mass` (probability, in 0–1, that the model goes on with one of the options at all) and
    `model`. A prompt whose options all have probability zero has belief NaN.

    Where the options are listed, also `orders` and `order_range`, see `average_orders`; or with
    average=False one row per design row × order × option, with `order` (number of the order) and
    `position` (place at which the option was listed, from 0). `option` is always the content.

    Raises ValueError for a design that is no frame, is empty, has a column twice or already one of
    these columns, for orders that are none or change nothing, a `least_mass` outside 0 to 1, a
    model without a fitting chat template (see `Chat`), and what `score` raises.
    """
    check_model(model)
    check_asked(question, design, COLUMNS, LISTED)
    least_mass = check_least_mass(least_mass)
    said = talk(chat)
    if not isinstance(average, bool | np.bool_):
        raise ValueError(f"average is {shown(average)}; it must be True or False")
    asked = orders_for(question, orders)
    question.warn_unsaid(design, None if said is None else said.system, stacklevel=3)
    prompts, answers = _asked(question, design, asked)
    separator = question.separator
    repeat = len(asked or [0])
    names = design.index.tolist()
    with renamed_rows([name for name in names for _ in range(repeat)]):
        if said is not None:
            told = design.iloc[np.repeat(np.arange(len(design)), repeat)]
            told = told.reset_index(drop=True)  # errors name the prompt by its place
            prompts, separator = lay_out(model, prompts, said, told, separator=separator)
        logprob, mass = _beliefs(model, prompts, answers, separator)
    each = mass.reshape(-1, repeat)  # design row × order
    of_rows = each.mean(1) if average else mass

    def place(i: int) -> Place:
        at = i if not average else i * repeat + int(each[i].argmin())
        order = "" if average else f", order {at % repeat}"
        return f"row {names[at // repeat]!r}{order}", prompts[at], separator, answers[at]

    warn_of_mass(model, of_rows, least_mass, place)
    k = logprob.shape[1]
    listed_at = {} if asked is None else {
        "order": np.repeat(np.arange(repeat), k), "position": np.argsort(asked, axis=1).ravel(),
    }  # fmt: skip
    table = option_rows(question, design, repeat, listed_at)
    table["logprob"] = logprob.ravel()
    table["belief"] = softmax(logprob).ravel()
    table["valid_mass"] = np.repeat(mass, k)
    table["model"] = model.name
    return average_orders(table) if asked is not None and average else table


def _asked(
    question: Question, design: pd.DataFrame, orders: list[tuple[int, ...]] | None
) -> tuple[list[str], list[Spelled]]:
    """Prompts and answers of each design row, and within a row of each order."""
    ways: list[tuple[int, ...] | None] = [None] if orders is None else [*orders]
    by_order = [
        (question.prompts(design, order, warn=False), question.answers_for(design, order))
        for order in ways
    ]
    rows = range(len(design))
    return (
        [prompts[i] for i in rows for prompts, _ in by_order],
        [answers[i] for i in rows for _, answers in by_order],
    )


def _beliefs(
    model: Model, prompts: list[str], answers: list[Spelled], separator: str
) -> tuple[FloatArray, FloatArray]:
    """Log-probability (n, K) of the options and the valid mass (n,)."""
    said = {
        row: tuple(tuple(separator + form for form in some) for some in row)
        for row in dict.fromkeys(answers)
    }
    flat = {row: tuple(form for some in spelled for form in some) for row, spelled in said.items()}
    spelled = [said[row] for row in answers]
    scores = _scores(model, prompts, [flat[row] for row in answers], spelled)
    return sum_forms(model, prompts, spelled, scores), scores.valid_mass


def check_asked(
    question: Question, design: pd.DataFrame, added: Sequence[str], listed: Sequence[str] = ()
) -> None:
    """ValueError for what is no question or no design, and for a design without rows.

    Also for one that has a column which is to be `added`, or of a question that lists its options
    one of `listed`.
    """
    if not isinstance(question, Question):
        raise ValueError(f"question is {shown(question)}; it must be a Question(text, options)")
    every = (*added, *listed) if question.lists_options else added
    taken = [name for name in every if name in framed(design, "the design")]
    if taken:
        raise ValueError(f"the design already has a column {taken[0]!r}; rename it first")
    if not len(design):
        raise ValueError("the design has no rows")


def option_rows(
    question: Question, design: pd.DataFrame, times: int, added: Mapping[str, IntArray]
) -> pd.DataFrame:
    """The table's rows without the numbers: design row × `times` orders or runs × option.

    added : columns of one design row, (times × options,), that say which order or run it is.
    """
    n, k = len(design), len(question.options)
    rows = np.repeat(np.arange(n), times * k)
    table = design.iloc[rows].reset_index(drop=True)
    table["prompt_id"] = rows
    for name, values in added.items():
        table[name] = np.tile(values, n)
    table["option"] = [text for row in question.options_for(design) for text in row * times]
    table["option_id"] = np.tile(np.arange(k), n * times)
    if question.values is not None:
        table["value"] = np.tile(question.values, n * times)
    return table


def softmax(logprob: FloatArray) -> FloatArray:
    """Belief (N, K) from log-probabilities (N, K); a row of -inf becomes NaN."""
    with np.errstate(invalid="ignore"):
        return np.asarray(special.softmax(logprob, axis=1))
