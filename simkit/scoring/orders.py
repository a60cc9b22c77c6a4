"""In which orders options are listed, and the belief averaged over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from simkit.questions import Question
from simkit.scoring.types import check_columns
from simkit.types import FloatArray, IntArray, labels, listed, numbers

__all__ = [
    "average_orders",
    "column_of",
    "cyclic_orders",
    "logprob_of",
    "orders_for",
    "prompt_codes",
]

# What tells one prompt from another, where a table has it.
_KEYS = ("model", "run", "prompt_id")
_HINT = "it must be a table from `believe` (for orders, one with average=False)"


def cyclic_orders(k: int) -> list[tuple[int, ...]]:
    """The K cyclic shifts of 0 … K-1: over all of them each option is once at each place."""
    return [tuple((place + shift) % k for place in range(k)) for shift in range(k)]


def orders_for(
    question: Question, orders: str | Sequence[Sequence[int]] | None
) -> list[tuple[int, ...]] | None:
    """The orders in which a question's options are to be listed; None if they are not listed.

    orders : "auto" (cyclic shifts for labelled options, else as given), None (as given), "cyclic",
        or a list of permutations of 0 … K-1, whose j-th entry is the option at place j.
    Raises ValueError for anything else, for orders where the prompt lists no options, and for an
    order that is not a permutation or stands twice.
    """
    k = len(question.options)
    if not question.lists_options:
        if orders is None or (isinstance(orders, str) and orders == "auto"):
            return None
        raise ValueError("orders are given, but the prompt lists no options: add {options} to it")
    if orders is None:
        return [tuple(range(k))]
    if isinstance(orders, str):
        if orders not in ("auto", "cyclic"):
            raise ValueError(f"orders is {orders!r}; it must be 'auto', 'cyclic', None or a list")
        as_given = orders == "auto" and question.labels is None
        return [tuple(range(k))] if as_given else cyclic_orders(k)
    permutations = [tuple(listed(order, "an order")) for order in listed(orders, "orders")]
    if not permutations:
        raise ValueError("orders is empty; at least one is needed")
    for i, order in enumerate(permutations):
        if len(order) != k or any(place not in order for place in range(k)):
            raise ValueError(f"orders[{i}] is {list(order)}; it must hold 0 to {k - 1} once each")
        if order in permutations[:i]:
            raise ValueError(f"orders[{i}], {list(order)}, is there twice")
    return [tuple(map(int, order)) for order in permutations]


def prompt_codes(table: pd.DataFrame, needed: Sequence[str] = ()) -> IntArray:
    """A number (rows,) for each scoring of one prompt's options, in order of appearance.

    Rows belong together if they agree in `prompt_id` and in those of model, run and order that
    there are. Raises ValueError if an option stands twice in one of them, as in two tables laid
    end to end, or if `prompt_id`, `option_id` or a column of `needed` is missing.
    """
    check_columns(table, ["prompt_id", "option_id", *needed], "the table", _HINT)
    present = [name for name in (*_KEYS, "order") if name in table]
    codes = _codes(table, present)
    twice = pd.Series(_codes(table, [*present, "option_id"])).duplicated()
    if twice.any():
        row = table.iloc[int(np.flatnonzero(twice)[0])]
        which = ", ".join(f"{name} {row[name]}" for name in present)
        raise ValueError(
            f"option_id {row['option_id']} stands twice in one prompt ({which}); rows must differ "
            f"in one of {', '.join((*_KEYS, 'order'))}"
        )
    return codes


def average_orders(table: pd.DataFrame) -> pd.DataFrame:
    """Belief averaged over the orders in which the options were listed.

    Parameters
    ----------
    table : pandas.DataFrame
        From `believe(..., average=False)`: one row per prompt × order × option.

    Returns
    -------
    pandas.DataFrame
        One row per prompt × option, without `order` and `position`. `belief` and `valid_mass` are
        means over the orders, `logprob` the logarithm of the mean probability; `orders` is their
        number and `order_range` the largest minus the smallest belief that the option had in
        them. A prompt whose belief is undefined in one order has belief and range NaN: leaving
        that order out would unbalance the rest.

    Raises
    ------
    ValueError
        If a column is missing or holds no numbers, a `logprob` is NaN or +inf, an option stands
        twice in one order, or the options of a prompt were not all listed in the same orders.

    Notes
    -----
    Every option stands equally often at each place if the orders are balanced (all cyclic shifts
    are), and then position as such does not favour any.

    Examples
    --------
    >>> import simkit as sk
    >>> model = sk.MockModel(lambda prompt: {"A": 0.6, "B": 0.2})  # prefers the first place
    >>> question = sk.Question("Which one?", ["tea", "coffee"], layout="letters")
    >>> design = pd.DataFrame({"person": ["Ann"]})
    >>> by_order = sk.believe(model, question, design, average=False)
    >>> by_order[["order", "position", "option", "belief"]].round(2)
       order  position  option  belief
    0      0         0     tea    0.75
    1      0         1  coffee    0.25
    2      1         1     tea    0.25
    3      1         0  coffee    0.75
    >>> sk.scoring.average_orders(by_order)[["option", "belief", "order_range"]].round(2)
       option  belief  order_range
    0     tea     0.5          0.5
    1  coffee     0.5          0.5
    """
    prompt_codes(table, needed=("order", "logprob", "belief", "valid_mass"))
    told = "basis" in table  # by an interface, which may hide the mass and refuse
    logprob = column_of(table, "logprob") if told else logprob_of(table)
    belief, mass = (column_of(table, name) for name in ("belief", "valid_mass"))
    keys = [name for name in _KEYS if name in table]
    prompt, code = _codes(table, keys), _codes(table, [*keys, "option_id"])
    count = np.bincount(code)
    orders = table["order"].groupby(prompt).nunique().to_numpy()
    first = np.unique(code, return_index=True)[1]
    uneven = count != orders[prompt[first]]
    if uneven.any():
        row = table.iloc[first[uneven][0]]
        raise ValueError(
            f"prompt_id {row['prompt_id']}: option_id {row['option_id']} was scored in "
            f"{count[uneven][0]} of its {orders[prompt[first]][uneven][0]} orders, not in all"
        )
    mean, by_option = np.bincount(code, belief) / count, pd.Series(belief).groupby(code)
    span = np.where(np.isnan(mean), np.nan, by_option.max() - by_option.min())
    total = np.full(len(count), -np.inf)
    with np.errstate(invalid="ignore"):  # hidden masses are NaN
        np.logaddexp.at(total, code, logprob)
    out = table.iloc[first].drop(columns=["order", "position"], errors="ignore")
    for name in (c for c in ("channel", "basis") if c in table):  # may differ in one order alone
        said = table[name].astype(str).groupby(code)
        if (said.nunique() > 1).any():
            out[name] = said.agg(lambda every: "; ".join(dict.fromkeys(every))).to_numpy()
    for name in (c for c in ("low", "high", "repeats_range") if told and c in table):
        out[name] = np.bincount(code, column_of(table, name)) / count
    return out.reset_index(drop=True).assign(
        logprob=total - np.log(count),
        belief=mean,
        valid_mass=np.bincount(code, mass) / count,
        orders=count,
        order_range=span,
    )


def column_of(table: pd.DataFrame, name: str) -> FloatArray:
    """A column of numbers, which may be NaN or infinite; ValueError for anything else."""
    values = table[name].to_numpy()
    if not len(values):
        return np.empty(0)
    return numbers(values, name, "a column of numbers", dims=(1,), infinite=True)


def logprob_of(table: pd.DataFrame) -> FloatArray:
    """The column `logprob`; ValueError naming the row where it is NaN or +inf."""
    logprob = column_of(table, "logprob")
    bad = np.isnan(logprob) | (logprob == np.inf)
    if bad.any():
        row, value = table.index[bad][0], logprob[bad][0]
        raise ValueError(f"logprob: row {row!r} holds {value}; it must be up to 0, or -inf")
    return logprob


def _codes(table: pd.DataFrame, columns: Sequence[str]) -> IntArray:
    """A number for each row's values in the columns, in order of appearance."""
    return labels(table[list(columns)], "the table", len(table))[0]
