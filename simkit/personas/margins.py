"""Cited margins: the distribution of a variable, or of several jointly, and where it is from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simkit.templates import is_missing, text_of
from simkit.types import FloatArray, check_labels, column, framed, listed, shown

__all__ = ["Key", "Margin", "difference", "margin_of", "named", "value_text", "weights_of"]

UNITS = {"share": 1.0, "percent": 100.0, "count": None}
ROUNDING = 0.005  # how far shares of a cited table may be from summing to 1
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Margin:
    """The cited distribution of one variable, or of several jointly.

    Parameters
    ----------
    variables : a column, or several.
    shares : value -> share; for several variables (value, value, …) -> share. Values that are not
        in it have share 0.
    source : where the numbers come from: a citation, which goes wherever the numbers go.
    unit : "share" (they sum to 1), "percent" (to 100) or "count". Shares and percentages may miss
        their sum by 0.5 % through rounding and are divided by it.

    Raises ValueError for a missing source, a share that is negative or no number, a key that is
    missing or of the wrong length, shares that are no mapping, and a sum that is not what the unit
    says, naming the margin.
    """

    variables: tuple[str, ...]
    shares: Mapping[Key, float]
    source: str
    total: float  # the sum of the numbers as they were given

    def __init__(
        self,
        variables: str | Sequence[str],
        shares: Mapping[Any, float] | pd.Series,
        *,
        source: str,
        unit: str = "share",
    ) -> None:
        one = isinstance(variables, str)
        names = (
            (variables,) if isinstance(variables, str) else tuple(listed(variables, "variables"))
        )
        if not names or len({*map(repr, names)}) < len(names):
            raise ValueError(f"variables are {list(names)}; legal are one or more that differ")
        if not isinstance(shares, Mapping | pd.Series):
            raise ValueError(f"shares are {shown(shares)}; they must be {{value: share}}")
        keyed = {
            (key,) if one or not isinstance(key, tuple) else key: v for key, v in shares.items()
        }
        object.__setattr__(self, "variables", names)
        object.__setattr__(self, "source", source)
        if not isinstance(source, str) or not source.strip():
            raise ValueError(f"margin {self.name}: source is {source!r}; legal is a citation")
        for key in keyed:
            if len(key) != len(names):
                raise ValueError(f"margin {self.name}: {key!r} has not one value per variable")
            if any(map(is_missing, key)):
                raise ValueError(f"margin {self.name}: {key!r} is missing; legal are values")
        numbers = column(pd.Series(list(keyed.values()), [*map(str, keyed)]), self.name, low=0)
        object.__setattr__(self, "total", float(numbers.sum()))
        self._check_total(unit)
        object.__setattr__(self, "shares", dict(zip(keyed, numbers / numbers.sum(), strict=True)))

    def _check_total(self, unit: str) -> None:
        if not isinstance(unit, str) or unit not in UNITS:
            raise ValueError(f"no unit {unit!r}; legal are {', '.join(UNITS)}")
        whole = UNITS[unit]
        if not self.total > 0 or (whole and abs(self.total / whole - 1) > ROUNDING):
            raise ValueError(
                f"margin {self.name}: the numbers sum to {self.total:g}; legal is "
                + (f"{whole:g} for unit {unit!r}" if whole else "more than 0")
            )

    @property
    def name(self) -> str:
        """ "age", or "age × gender"."""
        return " × ".join(map(str, self.variables))

    def collapsed(self, variables: Sequence[str]) -> dict[Key, float]:
        """The margin of some of its variables."""
        at = [self.variables.index(v) for v in variables]
        out: dict[Key, float] = {}
        for key, share in self.shares.items():
            part = tuple(key[i] for i in at)
            out[part] = out.get(part, 0.0) + share
        return out


def margin_of(
    people: pd.DataFrame,
    variables: str | Sequence[str],
    *,
    weight: str | None = "weight",
    source: str,
) -> Margin:
    """The margin that people have, weighted; rows where it is missing are left out.

    Raises ValueError for people who are no frame, have a column twice or lack one that is named,
    for a bad weight (naming the row), and if nobody is left.
    """
    names = named(framed(people, "the people"), variables, "variables", "the people have")
    w = weights_of(people, weight, "the people have")
    if not names or len({*names}) < len(names):
        raise ValueError(f"variables are {names}; legal are one or more that differ")
    check_labels(people[names], "the people")
    total = people[names].assign(_w=w).groupby(names, observed=True)["_w"].sum()
    return Margin(variables, total.to_dict(), source=source, unit="count")


def named(frame: pd.DataFrame, names: Any, what: str, whose: str) -> list[Any]:
    """Names of columns as a list; ValueError for one that is not there ("the people have no …")."""
    several: list[Any] = [names] if isinstance(names, str) else listed(names, what)
    for name in several:
        if not isinstance(name, str | int) or name not in frame:
            columns = ", ".join(map(str, frame.columns))
            raise ValueError(f"{whose} no column {name!r}; there are: {columns}")
    return several


def weights_of(frame: pd.DataFrame, weight: str | None, whose: str) -> FloatArray:
    """The column of weights, ones where there is none to be."""
    if weight is None:
        return np.ones(len(frame))
    if not isinstance(weight, str):
        raise ValueError(f"weight is {shown(weight)}; it must be a column's name, or None")
    if weight not in frame:
        raise ValueError(f"{whose} no column {weight!r}; weight=None for equal weights")
    return column(frame[weight], weight, low=0)


def difference(achieved: FloatArray, target: FloatArray) -> FloatArray:
    """achieved - target, rounding dust as 0."""
    return np.where(np.isclose(achieved, target, rtol=0, atol=1e-12), 0.0, achieved - target)


def value_text(key: Key) -> str:
    """ "a × 3" for ("a", 3.0)."""
    return " × ".join(map(_part, key))


def _part(value: Any) -> str:
    try:
        return text_of(value)
    except ValueError:  # an interval of ages has no text of its own, nor has what is missing
        return str(value)
