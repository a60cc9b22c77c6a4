"""The checks that every estimator makes of its arguments before it computes.

Arguments that describe the same rows are brought to one order by their labels (`types.aligned`),
frames must have columns that differ, and settings (`alpha`, `n_boot`, ...) must be numbers of the
right kind. What only one estimator can know, such as the range of a price, it checks by itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sized
from datetime import date
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd

from simkit.estimators.shared.table import columns_of
from simkit.types import (
    aligned,
    encodable,
    framed,
    generator,
    hashable,
    integer,
    invalid,
    listed,
    several,
)
from simkit.types import scalar as number

__all__ = [
    "checked",
    "groups_of",
    "name_of",
    "names_in",
    "number",
    "rows_of",
    "sizes_of",
    "text",
]

F = TypeVar("F", bound=Callable[..., Any])
MOST = 1_000_000  # of anything that is counted: resamples, repetitions, runs


def checked(
    *rows: str,
    frames: str = "",
    columns: str = "",
    apart: str = "",
    **kinds: Callable[[Any, str], Any],
) -> Callable[[F], F]:
    """Decorate a public estimator so that its arguments are checked and aligned first.

    rows : each a text of argument names that describe the same rows. Several texts are several
        samples (humans, simulated), which are one if the argument `paired` is True.
    frames : names of arguments that must be DataFrames. columns : names of arguments with the same
        options or items as columns, which come to one order too, where they are DataFrames.
    apart : arguments that are as long as one another, and about other things than rows.
    kinds : name=check for arguments whose name means something else here than in `KINDS`.

    A value that is the argument's default is not checked. A function with the argument `data` also
    takes names of columns of that frame for `rows`, read as `table.columns_of` says; an argument
    whose default is a name is required without `data`, and `condition` is "prompt_id" with it.
    """
    samples = [names.split() for names in rows]
    checks = {**KINDS, **dict.fromkeys(frames.split(), framed), **kinds}

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        defaults = {name: p.default for name, p in signature.parameters.items()}

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:  # Python's own message is the clearest
                return function(*args, **kwargs)
            values = bound.arguments
            if "data" in defaults:
                by_row = [name for names in samples for name in names]
                values.update(_from_data(values, defaults, by_row, columns.split()))
            for name, value in values.items():
                if isinstance(value, pd.DataFrame):
                    framed(value, name)
                if name in checks and value is not defaults[name]:
                    values[name] = checks[name](value, name)
            together = values.get("paired", defaults.get("paired", False))
            for names in [*([" ".join(rows)] if together else rows), apart]:
                group = {n: values[n] for n in names.split() if n in values}
                _check_lengths(group)
                values.update(aligned(group))
            same = {n: values[n] for n in columns.split() if n in values}
            values.update(aligned(same, what="column"))
            return function(*bound.args, **bound.kwargs)

        return cast(F, call)

    return decorate


def _from_data(
    values: dict[str, Any], defaults: dict[str, Any], rows: list[str], options: list[str]
) -> dict[str, Any]:
    """The arguments that describe rows, with columns of `data` in place of their names."""
    data = values.pop("data", None)
    out = {n: values.get(n, defaults[n]) for n in rows}
    if data is None:
        for name, value in out.items():
            if isinstance(value, str):
                raise ValueError(
                    f"{name} is {value!r}, the name of a column: give data=, the frame that has "
                    f"it, or {name}= as an array"
                )
        return {}
    if out.get("condition", "") is None and "prompt_id" in framed(data, "data"):
        out["condition"] = "prompt_id"
    return columns_of(data, out, rows, options)


def share(value: Any, name: str) -> float:
    """A number between 0 and 1, the ends left out."""
    fraction = number(value, name)
    if not 0 < fraction < 1 or 1 - fraction / 2 == 1:
        raise invalid(name, value, "a number between 0 and 1")
    return fraction


def whole(value: Any, name: str) -> int:
    """A whole number from 0 to a million; 200.0 is one."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return integer(value, name, high=MOST)


def flag(value: Any, name: str) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise invalid(name, value, "True or False")
    return bool(value)


def text(value: Any, name: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise invalid(name, value, "a text")
    return value


def names_of(value: Any, name: str) -> list[str]:
    """A list of texts, one or more."""
    items = [] if isinstance(value, str) else listed(value, name)
    if not items or not all(isinstance(v, str) for v in items):
        raise invalid(name, value, "a list of names, one or more")
    return items


def items_of(value: Any, name: str) -> list[Any]:
    """A list of labels (options, items, words), none of them missing."""
    items = listed(value, name)
    for v in items:
        known = isinstance(v, str | int | float | tuple | np.number | np.bool_ | date)
        if not known or v != v or not encodable(v) or not hashable(v):
            raise invalid(f"an item of {name}", v, "a number, a text or a date")
    return [v.item() if isinstance(v, np.generic) else v for v in items]


def name_of(value: Any, name: str) -> Any:
    """The name of one column: any value that can be one."""
    if value is None or value is pd.NA or value is pd.NaT or not hashable(value):
        raise invalid(name, value, "the name of a column")
    return value


def names_in(value: Any, name: str) -> list[Any]:
    """The names of columns: one, a list of several, or None for none."""
    names = [value] if isinstance(value, str) else listed(() if value is None else value, name)
    if len({name_of(v, name) for v in names}) < len(names):
        raise invalid(name, value, "a list of names that differ")
    return names


def sizes_of(value: Any, name: str) -> list[int]:
    """A list of whole numbers."""
    return [whole(v, name) for v in listed(value, name)]


def rows_of(value: Any, name: str) -> Any:
    """A number of rows, or a DataFrame with a row each."""
    return value if isinstance(value, pd.DataFrame) else whole(value, name)


def groups_of(value: Any, name: str) -> Mapping[str, pd.DataFrame]:
    """A mapping of groups to DataFrames, such as `by_groups` makes."""
    groups = _mapping(value, name, "group: DataFrame")
    items_of(list(groups), name)
    for group, frame in groups.items():
        framed(frame, f"{name}[{group!r}]")
    return groups


def _mapping(value: Any, name: str, items: str) -> Mapping[Any, Any]:
    """A mapping that is not empty."""
    if not isinstance(value, Mapping) or not value:
        raise invalid(name, value, f"a mapping, {items}")
    return value


def stream(value: Any, name: str) -> Any:
    """A seed or a Generator."""
    generator(value)
    return value


def ends_of(value: Any, name: str) -> Mapping[Any, tuple[float, float]]:
    """A mapping of items to the two ends of their scale, both numbers."""
    scales = {}
    for item, ends in _mapping(value, name, "item: (lowest, highest)").items():
        where = f"{name}[{item!r}]"
        pair = [number(end, where) for end in listed(ends, where)]
        if len(pair) != 2 or not pair[0] < pair[1]:
            raise invalid(where, ends, "two numbers that rise, (lowest, highest)")
        scales[item] = (pair[0], pair[1])
    return scales


def _check_lengths(arguments: Mapping[str, Any]) -> None:
    for name, value in arguments.items():
        if isinstance(value, list | tuple):
            try:
                np.shape(value)
            except ValueError:
                message = f"{name} has rows of unequal length; they must be equally long"
                raise ValueError(message) from None
        if isinstance(value, Sized) and not len(several(value)):
            raise ValueError(f"{name} has no rows; it must have one or more")


_CHECKS: dict[Callable[[Any, str], Any], str] = {
    whole: "n_boot repetitions permutations splits sweeps chains folds runs neighbours degree "
    "least burn_in digits factors",
    flag: "paired ordered logprob distinct per_item as_published",
    number: "temperature margin base covariance concentration cost pseudo edge shrink smoothing",
    text: "method kind statistic interval pairs start constant quantity",
    share: "alpha level share",
    items_of: "options words items names",
    names_of: "metrics",
    stream: "rng seed",
    ends_of: "scales",
}
KINDS = {name: check for check, names in _CHECKS.items() for name in names.split()}
