"""Beliefs corrected for what the model answers anyway, whatever it is asked.

A model leans to some words and letters before it has read a question. Both functions here take a
second table, of the same options after prompts that say nothing, and divide that lean out: of the
belief (contextual calibration), or of the probability (pointwise mutual information). With one
null prompt and one order of the options they give the same belief. With several of either they
average different things, probabilities or their logarithms, and differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from simkit.estimators.arguments import checked, names_in
from simkit.types import FloatArray, IntArray, column, counted, labels, numbers

__all__ = ["contextual_calibration", "pointwise_mutual_information"]


@checked(frames="table null_table", by=names_in)
def contextual_calibration(
    table: pd.DataFrame, null_table: pd.DataFrame, *, by: str | Sequence[str] = ()
) -> pd.DataFrame:
    """Belief divided by the belief after content-free prompts, and renormalised.

    Parameters
    ----------
    table : from `believe`, one row per prompt × option (K options).
    null_table : from `believe` on prompts without content ("N/A", "", "[MASK]" in place of what
        is asked about), over the same options. The beliefs of several null prompts are averaged;
        those of NaN are left out, and counted.
    by : columns of both tables, such as wording or order, within which prompts have null prompts
        of their own; () takes all null prompts for every prompt.

    Returns
    -------
    A copy of `table` with new `belief`, b_k / c_k over its sum (W = diag(c)^-1; the paper takes
    the argmax of W b, or its softmax), the old one as `belief_before`, and `null_belief` = c_k. A
    null belief equal in all options changes nothing. Where an option has null belief 0 or none,
    the prompt's beliefs are NaN; `attrs["notes"]` counts the prompts.

    Raises ValueError for a missing column, an option that only one of the tables has, values of
    `by` without a null prompt, a repeated option in one prompt, and a table that was treated so
    already.

    Source: Zhao et al. 2021, arXiv 2102.09690.
    """
    _check(table, null_table, by, "belief", "null_belief")
    with np.errstate(divide="ignore"):
        own, other = (
            np.log(column(t["belief"], "belief", low=0, missing=True)) for t in (table, null_table)
        )
    null, notes = _null_of(table, null_table, by, other)
    code = _prompt_codes(table)
    _, belief = _beyond(own, null, code)
    new = {"belief": belief, "belief_before": table["belief"], "null_belief": np.exp(null)}
    return _noted(table, new, code, notes)


@checked(frames="table null_table", by=names_in)
def pointwise_mutual_information(
    table: pd.DataFrame, null_table: pd.DataFrame, *, by: str | Sequence[str] = ()
) -> pd.DataFrame:
    """How much more likely the prompt makes each option than a null prompt does, in nats.

    Parameters
    ----------
    table, by : as in `contextual_calibration`.
    null_table : from `believe` on null prompts. With prompts that only end as the others do
        ("Answer:") it is the domain-conditional PMI of the paper. The probabilities of several
        null prompts are averaged.

    Returns
    -------
    A copy of `table` with `pmi` = logprob - null_logprob (log P(option | prompt) / P(option |
    null)), `null_logprob`, `belief` = softmax of pmi over the prompt's options, and the old
    belief as `belief_before`. The paper takes the option with the largest PMI; the belief is our
    extension with the same argmax. Where an option has null probability 0, its pmi and the
    prompt's beliefs are NaN, as the beliefs are where no option has any probability;
    `attrs["notes"]` counts the prompts.

    Raises ValueError as `contextual_calibration`.

    Source: Holtzman et al. 2021, arXiv 2104.08315.
    """
    _check(table, null_table, by, "logprob", "null_logprob")
    own, other = (
        numbers(t["logprob"], "logprob", "(rows,)", dims=(1,), infinite=True)
        for t in (table, null_table)
    )
    null, notes = _null_of(table, null_table, by, other)
    code = _prompt_codes(table)
    pmi, belief = _beyond(own, null, code)
    new = {"belief": belief, "belief_before": table["belief"], "null_logprob": null, "pmi": pmi}
    return _noted(table, new, code, notes)


def _names(by: str | Sequence[str]) -> list[str]:
    return [by] if isinstance(by, str) else list(by)


def _check(
    table: pd.DataFrame, null_table: pd.DataFrame, by: str | Sequence[str], value: str, new: str
) -> None:
    for what, frame in (("table", table), ("null_table", null_table)):
        for name in ("prompt_id", "option", "belief", value, *_names(by)):
            if name not in frame:
                raise ValueError(f"{what} has no column {name!r}; it has {list(frame.columns)}")
        if frame.empty:
            raise ValueError(f"{what} has no rows")
    there = [name for name in ("belief_before", new) if name in table]
    if there:
        raise ValueError(f"table has a column {there[0]!r} already: its prior was taken out before")
    options, known = (dict.fromkeys(t["option"]) for t in (table, null_table))
    for option in [*options, *known]:
        if option not in known or option not in options:
            lost = "null_table" if option not in known else "table"
            raise ValueError(f"option {option!r} is not in {lost}; legal are the same options")


def _prompt_codes(table: pd.DataFrame) -> IntArray:
    """A number (rows,) for each scoring of one prompt's options."""
    keys = [name for name in ("model", "run", "prompt_id", "order") if name in table]
    code, _ = labels(table[keys], "prompt_id", len(table))
    twice = pd.DataFrame({"code": code, "option": table["option"].to_numpy()}).duplicated()
    if twice.any():
        row = table.iloc[int(np.flatnonzero(twice)[0])]
        raise ValueError(
            f"option {row['option']!r} stands twice in prompt {row[keys].to_dict()}; legal is once"
        )
    return code


def _null_of(
    table: pd.DataFrame, null_table: pd.DataFrame, by: str | Sequence[str], values: FloatArray
) -> tuple[FloatArray, tuple[str, ...]]:
    """Logarithm of the mean of exp(values) over the null rows of each row's option, (rows,)."""
    keys = [*_names(by), "option"]
    both = pd.concat([table[keys], null_table[keys]], ignore_index=True)
    code, distinct = labels(both, "by", len(both))
    own, other = code[: len(table)], code[len(table) :]
    without = np.setdiff1d(own, other)
    if len(without):
        row = distinct.iloc[without[0]].to_dict()
        raise ValueError(f"by={_names(by)}: no null prompt has {row}")
    used = ~np.isnan(values)
    total = np.full(len(distinct), -np.inf)
    np.logaddexp.at(total, other[used], values[used])
    count = np.bincount(other[used], minlength=len(distinct))
    with np.errstate(divide="ignore", invalid="ignore"):  # no row left: NaN
        mean = total - np.log(count)
    return mean[own], counted(int((~used).sum()), len(used), "null rows skipped: no belief")


def _beyond(own: FloatArray, null: FloatArray, code: IntArray) -> tuple[FloatArray, FloatArray]:
    """own - null, NaN where null is -inf; and its softmax within each code."""
    with np.errstate(invalid="ignore"):
        gain = np.where(null > -np.inf, own - null, np.nan)
        top = np.full(int(code.max()) + 1, -np.inf)
        np.maximum.at(top, code, gain)  # NaN spreads to the whole prompt
        weight = np.exp(gain - top[code])
        return gain, np.asarray(weight / np.bincount(code, weight)[code])


def _noted(
    table: pd.DataFrame, new: dict[str, object], code: IntArray, notes: tuple[str, ...]
) -> pd.DataFrame:
    out = table.assign(**new)
    undefined = out["belief"].isna().groupby(code).any()
    notes += counted(int(undefined.sum()), len(undefined), "prompts have no belief")
    out.attrs = {**table.attrs, "notes": list(notes)}
    return out
