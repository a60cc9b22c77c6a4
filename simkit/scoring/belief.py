"""The two calls that users make: `score` for arrays, `believe` for the tidy table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import pandas as pd

from simkit.questions import Question, check_options
from simkit.scoring.chat import Chat, lay_out, talk
from simkit.scoring.forms import Spelled, sum_forms
from simkit.scoring.orders import average_orders, design_rows, orders_for
from simkit.scoring.types import Model, Scores
from simkit.types import FloatArray, generator

__all__ = ["believe", "sample_choices", "score"]

COLUMNS = ("prompt_id", "option", "option_id", "value", "logprob", "belief", "valid_mass", "model")
LISTED = ("order", "position", "orders", "order_range")  # of questions that list their options


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
    softmax taken in float32.

    Raises
    ------
    ValueError for empty or repeated options, lists of unequal length, an empty prompt or one
    that exceeds the context length (naming the row); `BoundaryError` where the prompt's last
    token would merge with the option's first.
    """
    return _scores(model, prompts, options).logprob


def _scores(
    model: Model, prompts: Sequence[str], options: Sequence[str] | Sequence[Sequence[str]]
) -> Scores:
    if isinstance(prompts, str):
        raise ValueError("prompts must be a list of strings, not one string")
    if not isinstance(options, str):
        options = cast("Sequence[str] | Sequence[Sequence[str]]", list(options))  # a column, too
    if not len(prompts):
        width = len(options) if options and isinstance(options[0], str) else 0
        return Scores(np.empty((0, width)), np.empty((0, width), dtype=bool))
    lists = _lists(options, len(prompts))
    for row, prompt in enumerate(prompts):
        if not isinstance(prompt, str) or not prompt:
            raise ValueError(f"row {row}: prompt {prompt!r} is empty or not text")
    return model.scores(list(prompts), lists)


def _lists(options: Sequence[str] | Sequence[Sequence[str]], rows: int) -> list[tuple[str, ...]]:
    if isinstance(options, str) or not len(options) or isinstance(options[0], str):
        check_options(cast(Sequence[str], options))
        return [tuple(cast(Sequence[str], options))] * rows
    if len(options) != rows:
        raise ValueError(f"{len(options)} lists of options for {rows} prompts")
    lists = [tuple(o) for o in options]
    for choices in dict.fromkeys(lists):
        check_options(choices, f"row {lists.index(choices)}: ")
        if len(choices) != len(lists[0]):
            raise ValueError(
                f"row {lists.index(choices)}: {len(choices)} options where row 0 has "
                f"{len(lists[0])}; score rows of unequal length apart"
            )
    return lists


def believe(
    model: Model,
    question: Question,
    design: pd.DataFrame,
    *,
    chat: Chat | bool | None = False,
    orders: str | Sequence[Sequence[int]] | None = "auto",
    average: bool = True,
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

    Raises ValueError if the design is empty or already has one of these columns, for orders that
    are none or change nothing, for a model without a fitting chat template (see `Chat`), and what
    `score` raises.
    """
    asked = orders_for(question, orders)
    added = COLUMNS if asked is None else (*COLUMNS, *LISTED)
    taken = [c for c in added if c in design]
    if taken:
        raise ValueError(f"the design already has a column {taken[0]!r}; rename it first")
    if design.empty:
        raise ValueError("the design has no rows")
    prompts, answers = _asked(question, design, asked)
    separator = question.separator
    with design_rows(len(asked or [0])) as repeat:
        if chat:
            told = design.iloc[np.repeat(np.arange(len(design)), repeat)]
            prompts, separator = lay_out(model, prompts, talk(chat), told, separator=separator)
        logprob, mass = _beliefs(model, prompts, answers, separator)
    table = _frame(question, design, asked)
    k = logprob.shape[1]
    table["logprob"] = logprob.ravel()
    table["belief"] = softmax(logprob).ravel()
    table["valid_mass"] = np.repeat(mass, k)
    table["model"] = model.name
    return average_orders(table) if asked is not None and average else table


def _asked(
    question: Question, design: pd.DataFrame, orders: list[tuple[int, ...]] | None
) -> tuple[list[str], list[Spelled]]:
    """Prompts and answers of each design row, and within a row of each order."""
    listed: list[tuple[int, ...] | None] = [None] if orders is None else [*orders]
    by_order = [
        (question.prompts(design, order), question.answers_for(design, order)) for order in listed
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
    scores = _scores(model, prompts, [flat[row] for row in answers])
    spelled = [said[row] for row in answers]
    return sum_forms(model, prompts, spelled, scores), scores.valid_mass


def _frame(
    question: Question, design: pd.DataFrame, orders: list[tuple[int, ...]] | None
) -> pd.DataFrame:
    """The table's rows without the numbers: design row × order × option."""
    n, o, k = len(design), len(orders or [0]), len(question.options)
    table = design.iloc[np.repeat(np.arange(n), o * k)].reset_index(drop=True)
    table["prompt_id"] = np.repeat(np.arange(n), o * k)
    if orders is not None:
        table["order"] = np.tile(np.repeat(np.arange(o), k), n)
        table["position"] = np.tile(np.argsort(orders, axis=1).ravel(), n)
    table["option"] = [text for row in question.options_for(design) for text in row * o]
    table["option_id"] = np.tile(np.arange(k), n * o)
    if question.values is not None:
        table["value"] = np.tile(question.values, n * o)
    return table


def sample_choices(table: pd.DataFrame, *, runs: int = 1, seed: int = 0) -> pd.DataFrame:
    """Model choices: one option per prompt and run, drawn from the belief.

    Parameters
    ----------
    table : from `believe`.
    runs : independent draws per prompt, and per order where the table still has them.
    seed : each prompt's draws come from a stream of their own (seed, prompt_id), so they do not
        depend on the other prompts or on the order of the rows.

    Returns
    -------
    One row per prompt × run: the rows of `table` that were drawn, with a column `run`. A prompt
    whose belief is undefined (NaN) is left out. Raises ValueError for fewer than one run.
    """
    if runs < 1:
        raise ValueError(f"runs is {runs}; at least one is needed")
    keys = [name for name in ("prompt_id", "order") if name in table]
    picked, numbers = [], []
    for names, rows in table.reset_index(drop=True).groupby(keys, sort=False):
        belief = rows["belief"].to_numpy()
        if np.isnan(belief).any():
            continue
        u = generator(seed, "choice", *(int(cast(int, name)) for name in names)).random(runs)
        at = np.minimum(np.searchsorted(belief.cumsum(), u), len(belief) - 1)
        picked.append(rows.index.to_numpy()[at])
        numbers.append(np.arange(runs))
    if not picked:
        return table.iloc[:0].assign(run=np.empty(0, dtype=int))
    chosen = table.iloc[np.concatenate(picked)].reset_index(drop=True)
    return chosen.assign(run=np.concatenate(numbers))


def softmax(logprob: FloatArray) -> FloatArray:
    """Belief (N, K) from log-probabilities (N, K); a row of -inf becomes NaN."""
    top = logprob.max(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        weight = np.exp(logprob - top)
    return np.asarray(weight / weight.sum(1, keepdims=True))
