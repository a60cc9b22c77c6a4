"""Cited margins: the distribution of a variable, or of several jointly, and where it is from."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.templates import is_missing, text_of
from simkit.types import FloatArray, check_labels, column, framed, invalid, listed, one_of, typed

__all__ = [
    "Compared", "Key", "Margin", "columns_of", "comparison", "margin_of", "value_text",
    "weights_of",
]  # fmt: skip

UNITS = {"share": 1.0, "percent": 100.0, "count": None}
ROUNDING = 0.005  # how far shares of a cited table may be from summing to 1
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Margin:
    """The cited distribution of one variable, or of several jointly.

    Parameters
    ----------
    variables : str or sequence of str
        A column, or several.
    shares : mapping or Series
        Value -> share; for several variables (value, value, …) -> share. Values that are not in it
        have share 0.
    source : str
        Where the numbers come from: a citation, which is shown with the numbers.
    unit : str
        "share" (they sum to 1), "percent" (to 100) or "count". Shares and percentages may miss
        their sum by 0.5 % through rounding and are divided by it.

    Attributes
    ----------
    variables : tuple of str
    shares : dict
        (value, …) -> share, with sum 1.
    source : str
    total : float
        The sum of the numbers as they were given.

    Raises
    ------
    ValueError
        For a missing source, a share that is negative or not a number, a key that is missing or of
        the wrong length, and a sum that the unit does not allow, naming the margin.

    Examples
    --------
    >>> age = Margin("age", {"18 to 39": 36, "40 to 64": 41, "65 or older": 23}, unit="percent",
    ...              source="Census Bureau 2020")
    >>> age.shares
    {('18 to 39',): 0.36, ('40 to 64',): 0.41, ('65 or older',): 0.23}
    """

    variables: tuple[str, ...]
    shares: Mapping[Key, float]
    source: str
    total: float

    def __init__(
        self,
        variables: str | Sequence[str],
        shares: Mapping[Any, float] | pd.Series,
        *,
        source: str,
        unit: str = "share",
    ) -> None:
        several = not isinstance(variables, str)
        names = tuple(listed(variables, "variables") if several else [variables])
        if not names or len({*map(repr, names)}) < len(names):
            raise ValueError(f"variables are {list(names)}; there must be one or more that differ")
        typed(shares, "shares", Mapping | pd.Series, "{value: share}")
        vars(self).update(variables=names, source=source)
        if not isinstance(source, str) or not source.strip():
            raise invalid(f"margin {self.name}: source", source, "a citation")
        shares = dict(shares.items())
        keys = [k if several and isinstance(k, tuple) else (k,) for k in shares]
        for key in keys:
            if len(key) != len(names) or any(map(is_missing, key)):
                what = "one value" if len(names) == 1 else f"{len(names)} values"
                raise invalid(f"margin {self.name}: a key", key, f"{what}, none of them missing")
        numbers = column(pd.Series([*shares.values()], [*map(str, keys)]), self.name, low=0)
        total, whole = float(numbers.sum()), UNITS[one_of(unit, "unit", UNITS)]
        if not total > 0 or (whole and abs(total / whole - 1) > ROUNDING):
            must = f"{whole:g} for unit {unit!r}" if whole else "more than 0"
            raise ValueError(f"margin {self.name}: the numbers sum to {total:g}; it must be {must}")
        vars(self).update(
            total=total, shares=dict(zip(keys, (numbers / total).tolist(), strict=True))
        )

    @property
    def name(self) -> str:
        """ "age", or "age × gender"."""
        return " × ".join(map(str, self.variables))

    def collapsed(self, variables: Sequence[str]) -> dict[Key, float]:
        """The margin of some of its variables."""
        places = [self.variables.index(v) for v in variables]
        out: dict[Key, float] = {}
        for key, share in self.shares.items():
            part = tuple(key[i] for i in places)
            out[part] = out.get(part, 0.0) + share
        return out


def margin_of(
    people: pd.DataFrame,
    variables: str | Sequence[str],
    *,
    weight: str | None = "weight",
    source: str,
) -> Margin:
    """The weighted margin of people; rows where it is missing are left out.

    Parameters
    ----------
    people : DataFrame
        One row per person, or per cell.
    variables : str or sequence of str
        A column, or several jointly.
    weight : str or None
        The column of weights; None where all rows weigh the same.
    source : str
        Where the people come from: the citation that goes with the margin.

    Returns
    -------
    Margin

    Raises
    ------
    ValueError
        For people who are not a frame, a column that stands twice or is not there, a bad weight
        (naming the row), and if no row is left.

    Examples
    --------
    >>> people = pd.DataFrame({"gender": ["woman", "man", "woman"], "weight": [1.0, 2.0, 1.0]})
    >>> margin_of(people, "gender", source="a survey").shares
    {('man',): 0.5, ('woman',): 0.5}
    """
    names = columns_of(framed(people, "the people"), variables, "variables", "the people")
    w = weights_of(people, weight, "the people")
    if not names or len({*names}) < len(names):
        raise ValueError(f"variables are {names}; there must be one or more that differ")
    check_labels(people[names], "the people")
    total = people[names].assign(_w=w).groupby(names, observed=True)["_w"].sum()
    return Margin(variables, total.to_dict(), source=source, unit="count")


def columns_of(frame: pd.DataFrame, names: Any, what: str, whose: str) -> list[Any]:
    """Names of columns as a list; ValueError for one that is not there ("the people: no …")."""
    several: list[Any] = [names] if isinstance(names, str) else listed(names, what)
    for name in several:
        if not isinstance(name, str | int) or name not in frame:
            columns = ", ".join(map(str, frame.columns))
            raise ValueError(f"{whose}: no column {name!r}; there are: {columns}")
    return several


def weights_of(frame: pd.DataFrame, weight: str | None, whose: str) -> FloatArray:
    """The column of weights, ones if `weight` is None."""
    if weight is None:
        return np.ones(len(frame))
    typed(weight, "weight", str, "a column's name, or None")
    if weight not in frame:
        raise ValueError(f"{whose}: no column {weight!r}; weight=None for equal weights")
    return column(frame[weight], weight, low=0)


def comparison(
    margin: str,
    keys: Iterable[Key],
    target: npt.ArrayLike,
    achieved: npt.ArrayLike,
    **more: Any,
) -> pd.DataFrame:
    """Target and achieved shares of a margin's values, a row each; rounding error counts as 0."""
    p, q = np.asarray(target, dtype=float), np.asarray(achieved, dtype=float)
    gap = np.where(np.isclose(q, p, rtol=0, atol=1e-12), 0.0, q - p)
    values = [*map(value_text, keys)]
    columns = {"margin": margin, "value": values, "target": p, "achieved": q, "deviation": gap}
    return pd.DataFrame({**columns, **more})


class Compared:
    """A result with a table of margins: how it is shown, with what is cited below it."""

    notes: tuple[str, ...] = ()

    def _parts(self) -> tuple[str, pd.DataFrame, list[str]]:
        """Head, table and foot."""
        head, table = self._shown()
        cited = table.loc[table["source"] != "", ["margin", "source"]].drop_duplicates()
        sources = [f"Source of {m}: {s}" for m, s in cited.itertuples(index=False)]
        foot = [*(f"Note: {note}" for note in self.notes), *sources]
        return head, table.drop(columns="source"), foot

    def _shown(self) -> tuple[str, pd.DataFrame]:
        raise NotImplementedError

    def summary(self) -> str:
        """The table in fixed width, its summary above it, notes and sources below."""
        head, table, foot = self._parts()
        return "\n".join([head, table.to_string(index=False, float_format="%.4f"), *foot])

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        head, table, foot = self._parts()
        rows = table.to_html(index=False, border=0, float_format="{:.4f}".format)
        feet = "<br>".join(map(html.escape, foot))
        return f"<div><p><b>{html.escape(head)}</b></p>{rows}<p><small>{feet}</small></p></div>"


def value_text(key: Key) -> str:
    """ "a × 3" for ("a", 3.0)."""
    return " × ".join(map(_part, key))


def _part(value: Any) -> str:
    try:
        return text_of(value)
    except ValueError:  # an interval of ages has no text of its own, nor has what is missing
        return str(value)
