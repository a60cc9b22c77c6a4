"""Tables as `believe` and `sample_runs` return them, as arguments of an estimator.

Such a frame has a row per prompt and option (and run): columns `prompt_id`, `option`, `belief`,
..., and those of the design. An estimator with the argument `data` takes its columns by name.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from simkit.types import check_labels, framed, hashable, labels, shown
from simkit.types import column as column_of

__all__ = ["check_columns", "columns_of", "wide"]

KEYS = ("prompt_id", "run")


def wide(table: pd.DataFrame, column: str = "belief") -> pd.DataFrame:
    """One row per prompt (and run), one column per option.

    Parameters
    ----------
    table : DataFrame
        As `believe`, `sample_runs` and `sample_choices` return it: `prompt_id`, `option` or
        `option_id`, and perhaps `run`.
    column : str
        The values, such as "belief", "choice" or "logprob".

    Returns
    -------
    DataFrame
        (n, K), rows in the table's order, labelled by `prompt_id` (and `run`). The columns are
        the options in their order, named by their text; by `option_id` if the text of an option
        differs between prompts.

    Raises
    ------
    ValueError
        For a table without these columns, and one with two rows for a prompt, run and option.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = {"prompt_id": [0, 0, 1, 1], "option": ["yes", "no"] * 2}
    >>> table = pd.DataFrame({**rows, "belief": [0.25, 0.75, 0.5, 0.5]})
    >>> wide(table)  # doctest: +NORMALIZE_WHITESPACE
    option      yes    no
    prompt_id
    0          0.25  0.75
    1          0.50  0.50
    """
    framed(table, "table")
    keys = [key for key in KEYS if key in table]
    check_columns(table, [column], "table")
    if not keys or not {"option", "option_id"} & set(table):
        raise ValueError(
            f"table has the columns {list(table)}; it must have prompt_id, and option or option_id"
        )
    label = "option" if "option" in table else "option_id"
    ranks = column_of(table["option_id"], "option_id") if "option_id" in table else None
    labels(table[[*keys, label]], "table", len(table))
    if {"option", "option_id"} <= set(table):
        texts = table.groupby("option_id")["option"].nunique()
        label = "option" if (texts == 1).all() and table["option"].notna().all() else "option_id"
    twice = table.duplicated([*keys, label])
    if twice.any():
        row = table.loc[twice.to_numpy(), [*keys, label]].iloc[0].to_dict()
        raise ValueError(
            f"table has two rows for {row}; it must have one for each prompt, run and option"
        )
    order = table[label] if ranks is None else table[label].iloc[np.argsort(ranks, kind="stable")]
    out = table.set_index([*keys, label])[column].unstack(label)
    rows = table[keys].drop_duplicates()
    where = rows[keys[0]] if len(keys) == 1 else pd.MultiIndex.from_frame(rows)
    return out.reindex(index=where, columns=pd.unique(order))


def columns_of(
    data: pd.DataFrame, arguments: dict[str, Any], rows: Collection[str], options: Collection[str]
) -> dict[str, Any]:
    """The arguments with columns of `data` in place of their names.

    rows : names of the arguments that have a value per row. options : those of them that have a
    column per option, as `wide` returns them. In a table with several options a prompt the others
    are read once per prompt (and run).
    """
    framed(data, "data")
    keys = [key for key in KEYS if key in data]
    long = False
    if keys and "option" in data:
        check_labels(data[[*keys, "option"]], "data")
        long = bool((data.groupby(keys, sort=False)["option"].nunique() > 1).any())
    named = {n for n in rows if _is_name(arguments.get(n))}
    for name in named:
        check_columns(data, _listed(arguments[name]), "data")
    if long and named and not (named & set(options)):
        first = data.groupby(keys, sort=False)["option"].unique().iloc[0].tolist()
        raise ValueError(
            f"data has several options a prompt, {first}; keep the rows of one, as by "
            f'data.query("option == {first[0]!r}")'
        )
    read = {n: _read(data, arguments[n], keys if long else [], n in options) for n in named}
    return {**arguments, **read}


def _read(data: pd.DataFrame, name: str | list[str], keys: list[str], by_option: bool) -> Any:
    """keys : the columns that tell prompts apart, none where each row is a prompt."""
    columns = name if isinstance(name, str) else list(name)
    if not keys:
        return data[columns]
    check_labels(data[_listed(name)], "data")
    prompts = data.groupby(keys, sort=False)
    varies = [c for c in _listed(name) if (prompts[c].nunique(False) > 1).any()]
    if isinstance(columns, str) and (by_option or varies):
        return wide(data, columns)
    if varies:
        raise ValueError(
            f"data: {varies[0]!r} differs between the options of a prompt; give one such column "
            "by its name, not in a list"
        )
    return data.drop_duplicates(keys).set_index(keys, drop=False)[columns]


def _is_name(value: Any) -> bool:
    several = isinstance(value, list | tuple) and len(value) > 0
    return isinstance(value, str) or (several and all(isinstance(v, str) for v in value))


def _listed(name: str | list[str]) -> list[str]:
    return [name] if isinstance(name, str) else list(name)


def check_columns(frame: pd.DataFrame, columns: Sequence[Any], name: str) -> None:
    """ValueError for a column that the frame does not have, naming it and those that it has."""
    for column in columns:
        if not hashable(column) or column not in frame:
            raise ValueError(
                f"{name} has no column {shown(column)}; it has {', '.join(map(str, frame))}"
            )
