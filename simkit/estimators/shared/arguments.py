"""What every estimator asks of its arguments before it computes: one gate for all of them.

Arguments that describe the same rows are brought to one order by their labels (`types.aligned`),
frames must have columns that differ, and numbers that steer (`alpha`, `n_boot`, ...) must be such
numbers. What only one estimator can know, such as the range of a price, it checks by itself.
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
    LARGEST,
    aligned,
    encodable,
    framed,
    generator,
    hashable,
    listed,
    several,
    shown,
)

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
        sides (humans, simulated), which are one if the argument `paired` is True.
    frames : names of arguments that must be DataFrames. columns : of those whose columns are the
        same options or items, which come to one order too, where they are DataFrames.
    apart : arguments that are as long as one another, and about other things than rows.
    kinds : name=check for arguments whose name means something else here than in `KINDS`.

    A value that is the argument's default is not checked. A function with the argument `data` also
    takes names of columns of that frame for `rows`, read as `table.columns_of` says; an argument
    whose default is a name is required without `data`, and `condition` is "prompt_id" with it.
    """
    sides = [names.split() for names in rows]
    checks = {**KINDS, **dict.fromkeys(frames.split(), framed), **kinds}

    def decorate(function: F) -> F:
        known = inspect.signature(function)
        paired = known.parameters["paired"].default if "paired" in known.parameters else False

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                bound = known.bind(*args, **kwargs)
            except TypeError:  # Python's own words for it are the clearest
                return function(*args, **kwargs)
            given = bound.arguments
            if "data" in known.parameters:
                given.update(_taken(given, known, sides, columns.split()))
            for name, value in given.items():
                if isinstance(value, pd.DataFrame):
                    framed(value, name)
            one = given.get("paired", paired)
            one = isinstance(one, bool | np.bool_) and bool(one)
            every = [[n for names in sides for n in names]] if one else sides
            for side in [*every, apart.split()]:
                there = {n: given[n] for n in side if n in given}
                _some(there)
                given.update(aligned(there))
            same = {n: given[n] for n in columns.split() if n in given}
            given.update(aligned(same, what="column"))
            for name, value in given.items():
                check = checks.get(name)
                if check is not None and value is not known.parameters[name].default:
                    given[name] = check(value, name)
            return function(*bound.args, **bound.kwargs)

        return cast(F, call)

    return decorate


def _taken(
    given: dict[str, Any], known: inspect.Signature, sides: list[list[str]], options: list[str]
) -> dict[str, Any]:
    """The arguments that describe rows, columns of `data` in place of names."""
    data = given.pop("data", None)
    rows = [name for names in sides for name in names]
    out = {n: given.get(n, known.parameters[n].default) for n in rows}
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


def number(value: Any, name: str) -> float:
    """A finite number, no larger than the floats can square."""
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        raise ValueError(f"{name} is {shown(value)}; it must be a number")
    found = float(value) if not isinstance(value, int) or abs(value) < 10**60 else np.inf
    if not abs(found) <= LARGEST:
        raise ValueError(f"{name} is {shown(value)}; legal are finite numbers, up to {LARGEST:g}")
    return found


def share(value: Any, name: str) -> float:
    """A number between 0 and 1, the ends left out."""
    found = number(value, name)
    if not 0 < found < 1 or 1 - found / 2 == 1:
        raise ValueError(f"{name} is {value!r}; legal are numbers between 0 and 1")
    return found


def whole(value: Any, name: str) -> int:
    """A whole number from 0 to a million; 200.0 is one."""
    known = isinstance(value, int | float | np.integer | np.floating) and not isinstance(
        value, bool | np.bool_
    )
    if not known or not 0 <= number(value, name) <= MOST or int(value) != value:
        raise ValueError(f"{name} is {shown(value)}; legal are whole numbers from 0 to {MOST:,}")
    return int(value)


def flag(value: Any, name: str) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} is {shown(value)}; legal are True and False")
    return bool(value)


def text(value: Any, name: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise ValueError(f"{name} is {shown(value)}; it must be a text")
    return value


def names_of(value: Any, name: str) -> list[str]:
    """A list of texts, one or more."""
    items = [] if isinstance(value, str) else listed(value, name)
    if not items or not all(isinstance(v, str) for v in items):
        raise ValueError(f"{name} are {shown(value)}; legal is a list of some names")
    return items


def items_of(value: Any, name: str) -> list[Any]:
    """A list of things that can be told apart (options, items, words), none of them missing."""
    items = listed(value, name)
    for v in items:
        kept = isinstance(v, str | int | float | tuple | np.number | np.bool_ | date)
        if not kept or v != v or not encodable(v) or not hashable(v):
            raise ValueError(f"{name} holds {shown(v)}; legal are numbers, text and dates")
    return [v.item() if isinstance(v, np.generic) else v for v in items]


def name_of(value: Any, name: str) -> Any:
    """The name of one column, whatever columns are named by."""
    if value is None or value is pd.NA or value is pd.NaT or not hashable(value):
        raise ValueError(f"{name} is {shown(value)}; it must be the name of a column")
    return value


def names_in(value: Any, name: str) -> list[Any]:
    """The names of columns: one, a list of several, or None for none."""
    if value is None or isinstance(value, str):
        return [] if value is None else [value]
    names = [name_of(v, name) for v in listed(value, name)]
    if len(set(names)) < len(names):
        raise ValueError(f"{name} is {shown(value)}; legal are names that differ")
    return names


def sizes_of(value: Any, name: str) -> list[int]:
    """A list of whole numbers."""
    return [whole(v, name) for v in listed(value, name)]


def rows_of(value: Any, name: str) -> Any:
    """A number of rows, or a DataFrame with a row each."""
    return value if isinstance(value, pd.DataFrame) else whole(value, name)


def groups_of(value: Any, name: str) -> Mapping[str, pd.DataFrame]:
    """A mapping of groups to DataFrames, such as `by_groups` makes."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"{name} is {shown(value)}; it must be a mapping, group: DataFrame")
    items_of(list(value), name)
    for group, frame in value.items():
        framed(frame, f"{name}[{group!r}]")
    return value


def stream(value: Any, name: str) -> Any:
    """A seed or a Generator."""
    generator(value)
    return value


def ends_of(value: Any, name: str) -> Mapping[Any, tuple[float, float]]:
    """A mapping of items to the two ends of their scale, both numbers."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"{name} is {shown(value)}; it must be a mapping, item: (lowest, highest)")
    out = {}
    for item, ends in value.items():
        pair = listed(ends, f"{name}[{item!r}]")
        if len(pair) != 2:
            raise ValueError(f"{name}[{item!r}] is {shown(ends)}; legal is (lowest, highest)")
        low, high = (number(end, f"{name}[{item!r}]") for end in pair)
        if not low < high:
            raise ValueError(f"{item}: the scale is {low:g} to {high:g}; legal is low below high")
        out[item] = (low, high)
    return out


def _some(arguments: Mapping[str, Any]) -> None:
    for name, value in arguments.items():
        if isinstance(value, list | tuple):
            try:
                np.shape(value)
            except ValueError:
                raise ValueError(
                    f"{name} has rows of unequal length; legal are equal ones"
                ) from None
        if isinstance(value, Sized) and not len(several(value)):
            raise ValueError(f"{name} has no rows; legal are one or more")


_COUNTS = (
    "n_boot repetitions permutations splits sweeps chains folds runs neighbours degree least "
    "burn_in digits factors"
)  # fmt: skip
_FLAGS = "paired ordered logprob distinct per_item as_published"
_NUMBERS = "temperature margin base covariance concentration cost pseudo edge shrink"
_TEXTS = "method kind statistic interval pairs start constant quantity"
KINDS: dict[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(_COUNTS.split(), whole),
    **dict.fromkeys(_FLAGS.split(), flag),
    **dict.fromkeys(_NUMBERS.split(), number),
    **dict.fromkeys(_TEXTS.split(), text),
    **dict.fromkeys(("alpha", "level", "share"), share),
    **dict.fromkeys(("options", "words", "items"), items_of),
    "smoothing": number,
    "metrics": names_of,
    "rng": stream,
    "seed": stream,
    "names": items_of,
    "scales": ends_of,
}
