"""Answers to one question: the table that a belief function returns, checked, and draws from it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from simkit.personas.margins import columns_of
from simkit.questions import Question, fill
from simkit.templates import field_names
from simkit.types import FloatArray, framed

__all__ = ["Believe", "belief_table", "draw_answers", "question_texts"]

Believe = Callable[[Question, pd.DataFrame], pd.DataFrame]
NEEDED = ("prompt_id", "option", "option_id", "belief")


def belief_table(
    believe: Believe, question: Question, name: str, design: pd.DataFrame
) -> pd.DataFrame:
    """The table of `believe`, its rows by prompt and option."""
    table = framed(believe(question, design), f"{name}: what believe returned")
    columns_of(table, NEEDED, "columns", f"{name}: what believe returned")
    table = table.sort_values(["prompt_id", "option_id"], kind="stable", ignore_index=True)
    n, k = len(design), len(question.options)
    expected = np.stack([np.repeat(np.arange(n), k), np.tile(np.arange(k), n)], axis=1)
    if not np.array_equal(table[["prompt_id", "option_id"]].to_numpy(), expected):
        raise ValueError(
            f"{name}: believe returned {len(table)} rows; it must return {n} prompts × {k} "
            "options, each once (average over orders)"
        )
    return table


def draw_answers(table: pd.DataFrame, u: FloatArray) -> tuple[pd.DataFrame, FloatArray]:
    """The answer that each uniform number (n,) draws from its prompt's belief.

    Returns option, value and valid mass of each prompt (None and NaN where its belief is
    undefined), and 1 or 0 per row of the table.
    """
    n, rows = len(u), np.arange(len(u))
    belief = table["belief"].to_numpy(dtype=float).reshape(n, -1)
    k = belief.shape[1]
    defined = ~np.isnan(belief).any(1)
    below = belief.cumsum(1)
    picked = (below <= u[:, None] * below[:, -1:]).sum(1)
    place = np.where(defined, np.minimum(picked, k - 1), 0)
    choice = np.where(defined[:, None], np.arange(k) == place[:, None], np.nan)
    drawn = table.reindex(columns=["option", "value", "valid_mass"]).iloc[rows * k + place]
    drawn = drawn.reset_index(drop=True).astype({"value": float, "valid_mass": float})
    options = [o if ok else None for o, ok in zip(drawn["option"], defined, strict=True)]
    drawn = drawn.assign(
        option=pd.Series(options, dtype=object), value=drawn["value"].where(defined)
    )
    return drawn, choice.ravel()


def question_texts(question: Question, design: pd.DataFrame) -> list[str]:
    """The question's text for each row, as the line that tells the answer may repeat it."""
    lists = {}
    if "options" in field_names(question.text):
        lists["options"] = [", ".join(row) for row in question.options_for(design)]
    return fill(question.text, design, lists)
