"""The sampling plan: whom a design would ask, seen before anything is run."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simkit.personas.margins import Margin, difference, named, value_text, weights_of
from simkit.personas.population import draw
from simkit.personas.raking import Raking
from simkit.types import FloatArray, check_labels, listed

__all__ = ["Plan", "sampling_plan"]

MANY = 12  # an attribute with more values than this has no margin worth a table


@dataclass(frozen=True, repr=False, eq=False)
class Plan:
    """Respondents drawn, and their margins beside the population's.

    people : what `draw` gives. frame : one row per margin and value: `margin`, `value`, `target`
    (share in the population, or as cited), `achieved` (weighted share among the respondents),
    `deviation` (achieved - target), `by_chance` (standard deviation of that share if n people
    were drawn independently, sqrt(p (1 - p) / n)), `count` (respondents) and `source`.
    notes : what the table leaves out.
    """

    people: pd.DataFrame
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def largest(self) -> float:
        """The largest absolute deviation, in shares."""
        return float(self.frame["deviation"].abs().max())

    def _head(self) -> str:
        at = self.frame.loc[self.frame["deviation"].abs().idxmax()]
        distinct = self.people["source"].nunique()
        return (
            f"Sampling plan: {len(self.people)} respondents from {distinct} rows; largest "
            f"deviation {at['deviation']:+.4f} ({at['margin']}: {at['value']})"
        )

    def _sources(self) -> list[str]:
        given = self.frame.loc[self.frame["source"] != "", ["margin", "source"]].drop_duplicates()
        cited = [f"Source of {m}: {s}" for m, s in given.itertuples(index=False)]
        return [*(f"Note: {note}" for note in self.notes), *cited]

    def summary(self) -> str:
        """The table in fixed width, the largest deviation above it, notes and sources below."""
        table = self.frame.drop(columns="source").to_string(index=False, float_format="%.4f")
        return "\n".join([self._head(), table, *self._sources()])

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        shown = self.frame.drop(columns="source")
        table = shown.to_html(index=False, border=0, float_format=lambda x: f"{x:.4f}")
        foot = "<br>".join(html.escape(line) for line in self._sources())
        head = f"<p><b>{html.escape(self._head())}</b></p>"
        return f"<div>{head}{table}<p><small>{foot}</small></p></div>"


def sampling_plan(
    population: pd.DataFrame | Raking,
    n: int,
    *,
    margins: Sequence[str | Sequence[str] | Margin] | None = None,
    weight: str | None = "weight",
    **how: Any,
) -> Plan:
    """Draw n respondents and show how near they come to the population.

    Parameters
    ----------
    population, n, weight, how : as in `draw`, which is called with them.
    margins : what is compared: a column, several columns jointly, or a cited `Margin`. None: the
        margins that were raked; else every column of up to 12 values.

    Returns
    -------
    `Plan`: the respondents are `plan.people`, the table `plan.frame`. A missing value counts as a
    value of its own, "(missing)".

    Raises ValueError as `draw` does, for a column that is not there, and where there is nothing
    to compare.
    """
    people = draw(population, n, weight=weight, **how)
    frame = population.frame if isinstance(population, Raking) else population
    w = weights_of(frame, weight, "the population has")
    notes: tuple[str, ...] = ()
    if margins is None:
        if isinstance(population, Raking):
            margins = population.margins
        else:
            margins, notes = _shown(frame, weight)
    margins = [margins] if isinstance(margins, str | Margin) else listed(margins, "margins")
    if not margins:
        raise ValueError(f"no margin to compare; columns are: {', '.join(map(str, frame.columns))}")
    parts = [_compared(margin, frame, w, people, n) for margin in margins]
    return Plan(people, pd.concat(parts, ignore_index=True), notes)


def _shown(frame: pd.DataFrame, weight: str | None) -> tuple[list[list[Any]], tuple[str, ...]]:
    names = [c for c in frame if c not in (weight, "person")]
    few = [name for name in names if _values(frame[name]) <= MANY]
    many = [str(name) for name in names if name not in few]
    note = f"not shown, more than {MANY} values: {', '.join(many)}"
    return [[name] for name in few], (note,) if many else ()


def _values(column: pd.Series) -> float:
    try:
        return float(column.nunique(dropna=False))
    except TypeError:  # lists cannot be counted
        return np.inf


def _compared(
    margin: str | Sequence[str] | Margin,
    frame: pd.DataFrame,
    w: FloatArray,
    people: pd.DataFrame,
    n: int,
) -> pd.DataFrame:
    cited = margin if isinstance(margin, Margin) else None
    asked = list(cited.variables) if cited else margin
    names = named(frame, asked, "margins", "the population has")
    if not names:
        raise ValueError("margins: one has no column; at least one is needed")
    target = cited.shares if cited else _share(frame, names, w)
    achieved = _share(people, names, people["weight"].to_numpy())
    counts = _share(people, names, np.ones(n))
    keys = [*target, *(key for key in achieved if key not in target)]
    p, q = (np.array([share.get(k, 0.0) for k in keys]) for share in (target, achieved))
    return pd.DataFrame(
        {
            "margin": " × ".join(map(str, names)),
            "value": [value_text(key) for key in keys],
            "target": p,
            "achieved": q,
            "deviation": difference(q, p),
            "by_chance": np.sqrt(p * (1 - p) / n),
            "count": [round(n * counts.get(key, 0.0)) for key in keys],
            "source": cited.source if cited else "",
        }
    )


def _share(frame: pd.DataFrame, names: Sequence[str], w: FloatArray) -> Mapping[Any, float]:
    """(value, …) -> share, in the order of the values."""
    told = frame[list(names)].reset_index(drop=True)
    check_labels(told, "the population")
    for name in names:
        if told[name].isna().any():
            told[name] = told[name].astype(object).where(told[name].notna(), "(missing)")
    sort = all(told[name].dtype.kind in "biufM" or told[name].dtype == "category" for name in names)
    total = told.assign(_w=w).groupby(list(names), sort=sort, observed=True)["_w"].sum()
    keys = total.index if len(names) > 1 else [(key,) for key in total.index]
    return dict(zip(keys, (total / total.sum()).tolist(), strict=True))
