"""Cited margins: the distribution of a variable, or of several jointly, and where it is from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simkit.types import FloatArray, column

__all__ = ["Key", "Margin", "difference", "margin_of", "value_text"]

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

    Raises ValueError for a missing source, a share that is negative or no number, a key of the
    wrong length, and a sum that is not what the unit says, naming the margin.
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
        names = (variables,) if isinstance(variables, str) else tuple(variables)
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
        numbers = column(pd.Series(list(keyed.values()), [*map(str, keyed)]), self.name, low=0)
        object.__setattr__(self, "total", float(numbers.sum()))
        self._check_total(unit)
        object.__setattr__(self, "shares", dict(zip(keyed, numbers / numbers.sum(), strict=True)))

    def _check_total(self, unit: str) -> None:
        if unit not in UNITS:
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
        return " × ".join(self.variables)

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
    """The margin that people have, weighted; rows where it is missing are left out."""
    names = [variables] if isinstance(variables, str) else list(variables)
    w = 1.0 if weight is None else column(people[weight], weight, low=0)
    total = people[names].assign(_w=w).groupby(names, observed=True)["_w"].sum()
    return Margin(variables, total.to_dict(), source=source, unit="count")


def difference(achieved: FloatArray, target: FloatArray) -> FloatArray:
    """achieved - target, rounding dust as 0."""
    return np.where(np.isclose(achieved, target, rtol=0, atol=1e-12), 0.0, achieved - target)


def value_text(key: Key) -> str:
    """ "a × 3" for ("a", 3.0)."""
    return " × ".join(f"{part:g}" if isinstance(part, float) else str(part) for part in key)
