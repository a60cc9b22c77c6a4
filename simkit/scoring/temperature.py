"""Belief at any temperature, from one scoring pass."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simkit.scoring.orders import column_of, logprob_of, prompt_codes
from simkit.types import FloatArray, IntArray, scalar

__all__ = ["HOTTEST", "at_temperature", "softmax_rows"]

HOTTEST = 1e30  # beyond it every belief is uniform long since


def at_temperature(table: pd.DataFrame, temperature: float) -> pd.DataFrame:
    """The belief at another temperature, from log-probabilities that are there already.

    Parameters
    ----------
    table : pandas.DataFrame
        From `believe`, not averaged over several orders and not calibrated.
    temperature : float
        T >= 0. belief = softmax(logprob / T) over a prompt's options: 1 gives the belief as it
        was, 0 all of it to the likeliest option (shared where several tie).

    Returns
    -------
    pandas.DataFrame
        A copy with `belief` at T and a column `belief_temperature` = T. `logprob` and
        `valid_mass` stay those of T = 1, so the function may be applied again.

    Raises
    ------
    ValueError
        For a temperature below 0 or above 1e30, a `logprob` that is NaN or +inf, a prompt that
        has an option twice, a belief averaged over several orders (take average=False, set the
        temperature, then `average_orders`), and one that is not the softmax of `logprob`.

    Notes
    -----
    T acts on the log-probabilities of whole options. A model that samples at temperature T
    chooses among the options like this only if each is one token in one spelling; longer options
    have every token's distribution reshaped, over the whole vocabulary, which cannot be computed
    from the table.

    Examples
    --------
    >>> import simkit as sk
    >>> model = sk.MockModel(lambda prompt: {"yes": 0.6, "no": 0.2})
    >>> question = sk.Question("Do you buy it at ${price}?", ["yes", "no"])
    >>> table = sk.believe(model, question, pd.DataFrame({"price": [2]}))
    >>> sk.scoring.at_temperature(table, 0.5)["belief"].round(2).tolist()
    [0.9, 0.1]
    """
    temperature = scalar(temperature, "temperature", 0, HOTTEST)
    code = prompt_codes(table, needed=("logprob", "belief"))
    if "orders" in table and (column_of(table, "orders") > 1).any():
        raise ValueError(
            "the belief is averaged over orders, each of which has its own; take the table of "
            "believe(..., average=False), set the temperature there, then average_orders"
        )
    logprob, belief = logprob_of(table), column_of(table, "belief")
    now = column_of(table, "belief_temperature") if "belief_temperature" in table else 1.0
    expected = softmax_within(logprob, code, now)
    different = ~np.isclose(belief, expected, atol=1e-6, rtol=0, equal_nan=True)
    if different.any():
        raise ValueError(
            f"belief: row {table.index[different][0]!r} is not the softmax of logprob, so it was "
            "calibrated or averaged; set the temperature before that"
        )
    belief = softmax_within(logprob, code, temperature)
    return table.assign(belief=belief, belief_temperature=np.full(len(table), temperature))


def softmax_within(
    logprob: FloatArray, code: IntArray, temperature: FloatArray | float
) -> FloatArray:
    """softmax(logprob / temperature) within each code; all are (rows,) or one temperature."""
    top = np.full(code.max(initial=-1) + 1, -np.inf)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        np.maximum.at(top, code, logprob)
        gap = logprob - top[code]  # 0 at the top; NaN where nothing has any probability
        gap = np.where(gap == 0, 0.0, gap / temperature)
        weight = np.exp(gap)
        return np.asarray(weight / np.bincount(code, weight)[code])


def softmax_rows(logprob: FloatArray, temperature: float) -> FloatArray:
    """softmax(logprob / temperature) within each row of (n, K); NaN for a row of NaN or -inf."""
    n, k = logprob.shape
    return softmax_within(logprob.ravel(), np.repeat(np.arange(n), k), temperature).reshape(n, k)
