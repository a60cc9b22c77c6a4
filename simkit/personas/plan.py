"""The sampling plan: whom a design would ask, seen before anything is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simkit.personas.margins import Compared, Margin, columns_of, comparison, weights_of
from simkit.personas.population import draw
from simkit.personas.raking import Raking
from simkit.types import FloatArray, check_labels, listed

__all__ = ["Plan", "sampling_plan"]

MANY = 12  # an attribute with more values than this has no margin worth a table


@dataclass(frozen=True, repr=False, eq=False)
class Plan(Compared):
    """Respondents drawn, and their margins beside the population's.

    Attributes
    ----------
    people : DataFrame
        What :func:`draw` returns.
    frame : DataFrame
        One row per margin and value: `margin`, `value`, `target` (share in the population, or as
        cited), `achieved` (weighted share among the respondents), `deviation` (achieved - target),
        `by_chance` (standard deviation of that share if n people were drawn independently,
        sqrt(p (1 - p) / n)), `count` (respondents) and `source`.
    notes : tuple of str
        What the table leaves out.
    """

    people: pd.DataFrame
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def largest(self) -> float:
        """The largest absolute deviation, in shares."""
        return float(self.frame["deviation"].abs().max())

    def _shown(self) -> tuple[str, pd.DataFrame]:
        worst = self.frame.loc[self.frame["deviation"].abs().idxmax()]
        rows = self.people["source"].nunique()
        head = (
            f"Sampling plan: {len(self.people)} respondents from {rows} rows; largest "
            f"deviation {worst['deviation']:+.4f} ({worst['margin']}: {worst['value']})"
        )
        return head, self.frame


def sampling_plan(
    population: pd.DataFrame | Raking,
    n: int,
    *,
    margins: Sequence[str | Sequence[str] | Margin] | None = None,
    weight: str | None = "weight",
    **options: Any,
) -> Plan:
    """Draw n respondents and compare their margins with the population's.

    Parameters
    ----------
    population, n, weight :
        As in :func:`draw`.
    margins : sequence, optional
        What is compared: a column, several columns jointly, or a cited `Margin`. None: the margins
        that were raked; else every column of up to 12 values.
    **options
        Further arguments of :func:`draw`: `replace`, `by`, `seed`.

    Returns
    -------
    Plan
        The respondents are `plan.people`, the table `plan.frame`. A missing value counts as a
        value of its own, "(missing)".

    Raises
    ------
    ValueError
        As `draw` does, for a column that is not there, and where there is nothing to compare.

    Examples
    --------
    >>> voters = pd.DataFrame({"gender": ["woman", "man"], "weight": [0.52, 0.48]})
    >>> plan = sampling_plan(voters, 10, seed=1)
    >>> plan.frame[["value", "target", "achieved", "count"]].to_dict("records")[0]
    {'value': 'woman', 'target': 0.52, 'achieved': 0.5, 'count': 5}
    """
    people = draw(population, n, weight=weight, **options)
    frame = population.frame if isinstance(population, Raking) else population
    w = weights_of(frame, weight, "the population")
    notes: tuple[str, ...] = ()
    if margins is None and isinstance(population, Raking):
        margins = population.margins
    elif margins is None:
        names = [c for c in frame if c not in (weight, "person")]
        margins = [[name] for name in names if _count_values(frame[name]) <= MANY]
        long = [str(name) for name in names if [name] not in margins]
        notes = (f"not shown, more than {MANY} values: {', '.join(long)}",) if long else ()
    margins = [margins] if isinstance(margins, str | Margin) else listed(margins, "margins")
    if not margins:
        raise ValueError(f"no margin to compare; columns are: {', '.join(map(str, frame.columns))}")
    parts = [_compared(margin, frame, w, people) for margin in margins]
    return Plan(people, pd.concat(parts, ignore_index=True), notes)


def _count_values(column: pd.Series) -> float:
    try:
        return float(column.nunique(dropna=False))
    except TypeError:  # lists cannot be counted
        return np.inf


def _compared(
    margin: str | Sequence[str] | Margin, frame: pd.DataFrame, w: FloatArray, people: pd.DataFrame
) -> pd.DataFrame:
    cited = margin if isinstance(margin, Margin) else None
    asked = list(cited.variables) if cited else margin
    names = columns_of(frame, asked, "margins", "the population")
    if not names:
        raise ValueError("margins: one has no column; at least one is needed")
    target = cited.shares if cited else _share(frame, names, w)[0]
    achieved, counts = _share(people, names, people["weight"].to_numpy())
    keys = [*target, *(key for key in achieved if key not in target)]
    p = np.array([target.get(key, 0.0) for key in keys])
    return comparison(
        " × ".join(map(str, names)),
        keys,
        p,
        [achieved.get(key, 0.0) for key in keys],
        by_chance=np.sqrt(p * (1 - p) / len(people)),
        count=[counts.get(key, 0) for key in keys],
        source=cited.source if cited else "",
    )


def _share(
    frame: pd.DataFrame, names: Sequence[str], w: FloatArray
) -> tuple[Mapping[Any, float], Mapping[Any, int]]:
    """(value, …) -> weighted share and number of rows, in the order of the values."""
    table = frame[list(names)].reset_index(drop=True)
    check_labels(table, "the population")
    for name in names:
        if table[name].isna().any():
            table[name] = table[name].astype(object).where(table[name].notna(), "(missing)")
    kinds = [table[name].dtype for name in names]
    sort = all(kind.kind in "biufM" or kind == "category" for kind in kinds)
    groups = table.assign(_w=w).groupby(list(names), sort=sort, observed=True)["_w"]
    total, sizes = groups.sum(), groups.size().tolist()
    keys = total.index if len(names) > 1 else [(key,) for key in total.index]
    shares = (total / total.sum()).tolist()
    return dict(zip(keys, shares, strict=True)), dict(zip(keys, sizes, strict=True))
