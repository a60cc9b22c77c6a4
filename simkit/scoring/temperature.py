"""Belief at any temperature, from one scoring pass."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simkit.scoring.orders import column_of, logprob_of, prompt_codes
from simkit.types import FloatArray, IntArray, scalar

__all__ = ["HOTTEST", "at_temperature", "softmax_within"]

HOTTEST = 1e30  # beyond it every belief is uniform long since


def at_temperature(table: pd.DataFrame, temperature: float) -> pd.DataFrame:
    """The belief at another temperature, from the log-probabilities that are there already.

    Parameters
    ----------
    table : from `believe`, not averaged over several orders and not calibrated.
    temperature : T >= 0. belief = softmax(logprob / T) over a prompt's options: 1 gives the
        belief as it was, 0 all of it to the likeliest option (shared where several tie).

    Returns
    -------
    A copy with `belief` at T and a column `belief_temperature` = T. `logprob` and `valid_mass`
    stay those of T = 1, so the function may be applied again.

    T acts on the log-probabilities of whole options. A model that samples at temperature T chooses
    among the options like this only if each is one token in one spelling; longer options have
    every token's distribution reshaped, over the whole vocabulary, which cannot be had from here.

    Raises ValueError for a temperature below 0 or above 1e30, a `logprob` that is NaN or +inf, a
    prompt that has an option twice, a belief averaged over several orders (take average=False,
    set the temperature, then `average_orders`), and one that is not the softmax of `logprob`.
    """
    temperature = scalar(temperature, "temperature", 0, HOTTEST)
    code = prompt_codes(table, needed=("logprob", "belief"))
    if "orders" in table and (column_of(table, "orders") > 1).any():
        raise ValueError(
            "the belief is averaged over orders, each of which has its own; take the table of "
            "believe(..., average=False), set the temperature there, then average_orders"
        )
    logprob, belief = logprob_of(table), column_of(table, "belief")
    usual = np.ones(len(table))
    if "belief_temperature" in table:
        usual = column_of(table, "belief_temperature")
    apart = ~np.isclose(
        belief, softmax_within(logprob, code, usual), atol=1e-6, rtol=0, equal_nan=True
    )
    if apart.any():
        raise ValueError(
            f"belief: row {table.index[apart][0]!r} is not the softmax of logprob, so it was "
            "calibrated or averaged; set the temperature before that"
        )
    t = np.full(len(table), temperature)
    return table.assign(belief=softmax_within(logprob, code, t), belief_temperature=t)


def softmax_within(logprob: FloatArray, code: IntArray, temperature: FloatArray) -> FloatArray:
    """softmax(logprob / temperature) within each code; all three are (rows,)."""
    top = np.full(code.max(initial=-1) + 1, -np.inf)
    np.maximum.at(top, code, logprob)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        gap = logprob - top[code]  # 0 at the top; NaN where nothing has any probability
        gap = np.where(gap == 0, 0.0, gap / temperature)
        weight = np.exp(gap)
        return np.asarray(weight / np.bincount(code, weight)[code])
