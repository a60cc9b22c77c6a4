"""The two calls that users make: `score` for arrays, `believe` for the tidy table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import pandas as pd

from simkit.questions import Question, check_options
from simkit.scoring.types import Model, Scores
from simkit.types import FloatArray, generator

__all__ = ["believe", "sample_choices", "score"]

COLUMNS = ("prompt_id", "option", "option_id", "value", "logprob", "belief", "valid_mass", "model")


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


def believe(model: Model, question: Question, design: pd.DataFrame) -> pd.DataFrame:
    """The model's belief over the question's options for each design row.

    Parameters
    ----------
    model : from `simkit.load`, or any object with `name` and `scores`.
    question : text, options and template; its `{column}` fields are filled from the design.
    design : one row per prompt.

    Returns
    -------
    One row per design row × option: the design's columns, then `prompt_id` (position of the
    design row), `option` and `option_id`, `value` (where the question has values), `logprob`,
    `belief` (softmax over the prompt's options, sums to 1), `valid_mass` (probability, in 0–1,
    that the model goes on with one of the options at all) and `model`. A prompt whose options
    all have probability zero has belief NaN.

    Raises ValueError if the design is empty or already has one of these columns, and what
    `score` raises.
    """
    taken = [c for c in COLUMNS if c in design]
    if taken:
        raise ValueError(f"the design already has a column {taken[0]!r}; rename it first")
    if design.empty:
        raise ValueError("the design has no rows")
    options = question.options_for(design)
    spoken = [[question.separator + o for o in row] for row in options]
    scores = _scores(model, question.prompts(design), spoken)
    n, k = scores.logprob.shape
    table = design.iloc[np.repeat(np.arange(n), k)].reset_index(drop=True)
    table["prompt_id"] = np.repeat(np.arange(n), k)
    table["option"] = [o for row in options for o in row]
    table["option_id"] = np.tile(np.arange(k), n)
    if question.values is not None:
        table["value"] = np.tile(question.values, n)
    table["logprob"] = scores.logprob.ravel()
    table["belief"] = softmax(scores.logprob).ravel()
    table["valid_mass"] = np.repeat(scores.valid_mass, k)
    table["model"] = model.name
    return table


def sample_choices(table: pd.DataFrame, *, runs: int = 1, seed: int = 0) -> pd.DataFrame:
    """Model choices: one option per prompt and run, drawn from the belief.

    Parameters
    ----------
    table : from `believe`.
    runs : independent draws per prompt.
    seed : each prompt's draws come from a stream of their own (seed, prompt_id), so they do not
        depend on the other prompts or on the order of the rows.

    Returns
    -------
    One row per prompt × run: the rows of `table` that were drawn, with a column `run`. A prompt
    whose belief is undefined (NaN) is left out. Raises ValueError for fewer than one run.
    """
    if runs < 1:
        raise ValueError(f"runs is {runs}; at least one is needed")
    picked, numbers = [], []
    for prompt, rows in table.reset_index(drop=True).groupby("prompt_id", sort=False):
        belief = rows["belief"].to_numpy()
        if np.isnan(belief).any():
            continue
        u = generator(seed, "choice", int(cast(int, prompt))).random(runs)
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
