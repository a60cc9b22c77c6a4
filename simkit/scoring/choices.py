"""Choices drawn from beliefs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from simkit.scoring.orders import prompt_codes
from simkit.types import FloatArray, IntArray, column, generator, integer

__all__ = ["sample_choices"]

MOST = 10**9  # runs
SUM = 1e-6  # by which the sum of a prompt's beliefs may differ from 1


def sample_choices(table: pd.DataFrame, *, runs: int = 1, seed: int = 0) -> pd.DataFrame:
    """Model choices: one option per prompt and run, drawn from the belief.

    Parameters
    ----------
    table : pandas.DataFrame
        From `believe`, with all options of every prompt. Several models' tables may be laid end
        to end; a model's draws are the same alone.
    runs : int
        Independent draws per prompt, and per order where the table still has them.
    seed : int
        Each prompt's draws come from a stream of their own, (seed, prompt_id, order), so they do
        not depend on the other prompts or on the order of the rows.

    Returns
    -------
    pandas.DataFrame
        One row per prompt × run, by model, prompt_id, order and run: the rows of `table` that
        were drawn, with a column `run`.

    Raises
    ------
    ValueError
        For fewer than one run; a table without the columns of `believe` or with a column `run`;
        an option that stands twice in a prompt; and a prompt whose belief is NaN, negative or
        does not sum to 1, as where a row was filtered out.

    Examples
    --------
    >>> import simkit as sk
    >>> model = sk.MockModel(lambda prompt: {"yes": 0.6, "no": 0.2})
    >>> question = sk.Question("Do you buy it at ${price}?", ["yes", "no"])
    >>> table = sk.believe(model, question, pd.DataFrame({"price": [2]}))
    >>> sk.sample_choices(table, runs=4, seed=1)[["price", "run", "option"]]
       price  run option
    0      2    0    yes
    1      2    1    yes
    2      2    2    yes
    3      2    3    yes
    """
    integer(runs, "runs", 1, MOST)
    code = prompt_codes(table, needed=("belief",))
    if "run" in table:
        raise ValueError(
            "the table already has a column 'run'; that of `sample_runs` has a choice for each run "
            "already, and any other must be renamed"
        )
    keys = [name for name in ("model", "prompt_id", "order") if name in table]
    belief = column(table["belief"].to_numpy(), "belief", missing=True)
    _check_beliefs(table, belief, code)
    rows = table.reset_index(drop=True).sort_values([*keys, "option_id"]).index.to_numpy()
    starts = np.flatnonzero(np.diff(code[rows], prepend=-1))
    picked = [rows[:0]]
    for options in np.split(rows, starts)[1:]:
        first = table.iloc[options[0]]
        stream = [_stream_name(first[name], name) for name in keys if name != "model"]
        u = generator(seed, "choice", *stream).random(runs)
        below = belief[options].cumsum()
        picked.append(options[np.searchsorted(below / below[-1], u, side="right")])
    chosen = table.iloc[np.concatenate(picked)].reset_index(drop=True)
    return chosen.assign(run=np.tile(np.arange(runs), len(starts)))


def _check_beliefs(table: pd.DataFrame, belief: FloatArray, code: IntArray) -> None:
    """ValueError naming a prompt whose options' beliefs are none, or not those of all options."""
    total = np.bincount(code, belief)
    unfit = ~(np.abs(total - 1) <= SUM) | (np.bincount(code, belief < 0) > 0)
    if not unfit.any():
        return
    first = code == unfit.argmax()
    values, prompt = belief[first], table["prompt_id"].to_numpy()[first][0]
    if np.isnan(values).all():
        why = (
            "the options have no probability at all, so there is nothing to draw from; leave such "
            "prompts out, and count them, with table[table['belief'].notna()]"
        )
    elif np.isnan(values).any() or (values < 0).any():
        why = "beliefs must be probabilities; take the table as `believe` gave it"
    else:
        why = (
            "rows are missing or beliefs were changed; take all options of a prompt, or divide by "
            "the sum to draw among those that are left"
        )
    raise ValueError(
        f"prompt_id {prompt}: the beliefs of its {len(values)} options sum to "
        f"{values.sum():.6g}, the smallest is {values.min():.3g}; they must sum to 1, none below 0 "
        f"(unfit are {int(unfit.sum())} of {len(total)} prompts): {why}"
    )


def _stream_name(value: Any, name: str) -> str | int:
    """What seeds a stream: text, or a whole number however a column holds it."""
    if isinstance(value, str):
        return value
    try:
        if int(value) == value:
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"{name} holds {value}; it must be a whole number or text")
