"""Distances within and between people, item by item (word, question), and their means over items.

Both ways to measure diversity, from answers (`line_of_unity`) and from beliefs
(`expected_distance`), make one `Cell` per item; what follows from the cells is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from simkit.estimators.shared.means import mean_choice
from simkit.result import REQUIRED, Result, t_frame
from simkit.types import FloatArray

__all__ = ["ByItem", "Cell", "by_item", "item_names", "people_interval", "signed"]

MURTHY = "Murthy, Ullman & Hu, arXiv 2411.04427"


@dataclass(frozen=True, repr=False, eq=False)
class ByItem(Result):
    """A result with a row per item (word, outcome).

    Attributes
    ----------
    overall : Result
        The means over all items, with their own intervals. The summary shows these; the items are
        in `frame`.
    """

    overall: Result | None = None

    def summary(self) -> str:
        """The means over all items; the items are in `to_frame()`."""
        return super().summary() if self.overall is None else self.overall.summary()

    def _repr_html_(self) -> str:
        return super()._repr_html_() if self.overall is None else self.overall._repr_html_()


@dataclass(frozen=True)
class Cell:
    """One item: distances within people (internal) and between people (population).

    seen : (people,) who has numbers for the item. all : (2,) internal, population. without :
    (people, 2), the same without each person (as `all` for those who have no numbers).
    """

    seen: npt.NDArray[np.bool_]
    all: FloatArray
    without: FloatArray

    @property
    def people(self) -> int:
        return int(self.seen.sum())


def item_names(names: Iterable[Any] | None, items: int, what: str) -> list[Any]:
    """The names as a list, 0, 1, ... if there are none; ValueError unless there is one for each."""
    names = list(range(items) if names is None else names)
    if len(names) != items:
        raise ValueError(f"{len(names)} names for {items} {what}; each must have one")
    return names


def signed(distances: FloatArray) -> FloatArray:
    """Signed distance (...) from the line of unity of (internal, population) in (..., 2)."""
    return np.asarray((distances[..., 1] - distances[..., 0]) / np.sqrt(2))


def people_interval(
    value: float, without: FloatArray, people: int, alpha: float
) -> tuple[float, float, float]:
    """Jackknife standard error and t interval over people; without : (people,) values."""
    if np.isnan(without).any() or people < 3:
        return np.nan, np.nan, np.nan
    error = np.sqrt((people - 1) / people * ((without - value) ** 2).sum())
    row = t_frame(["x"], value, error, people - 1, alpha).iloc[0]
    return float(error), float(row["low"]), float(row["high"])


def by_item(
    method: str,
    frame: pd.DataFrame,
    cells: Sequence[Cell],
    alpha: float,
    notes: tuple[str, ...],
    *,
    what: str,
    who: str,
    sample: bool = True,
    null: Sequence[float] | None = None,
) -> ByItem:
    """The result of a frame with a row per item, with the means over items.

    what, who : the words for items and people. sample : whether the people are a sample, and the
    means have intervals over people too. null : the row null_absolute of the means.
    """
    table, over = _means(frame, alpha), what
    if null is not None:
        table.loc["null_absolute"] = null
    if sample:
        table = table.join(_over_people(cells, alpha))
        over = f"{what} (low, high), {who} (low_people, high_people)"
    n = len(cells[0].seen)
    overall = Result(f"{method}: means over {what}", table, n, alpha, MURTHY, notes, over)
    over = who if (frame["std_error"] != 0).any() else ""  # exact values have no interval
    return ByItem(method, frame, n, alpha, MURTHY, notes, over, overall)


def _means(frame: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """Means over the items of their frame, with intervals over items."""
    items = frame[frame["estimate"].notna()]
    names, n = ["absolute", "signed", "internal", "population"], len(items)
    error = items[names].std().to_numpy() / np.sqrt(n)
    table = t_frame(names, items[names].mean(), error, n - 1, alpha)[list(REQUIRED)]
    table.loc["correlation"] = _correlation(items["internal"], items["population"], alpha)
    negative = mean_choice((items["signed"] < 0).to_numpy(dtype=float), alpha=alpha)
    table.loc["share_negative"] = negative.frame[list(REQUIRED)].iloc[0]
    return table


def _over_people(cells: Sequence[Cell], alpha: float) -> pd.DataFrame:
    """Columns low_people and high_people of the means over items."""
    cells = [cell for cell in cells if cell.people > 1]
    mean = np.stack([cell.all for cell in cells]).mean(0)
    without = np.stack([cell.without for cell in cells])  # (items, people, 2)
    defined = ~np.isnan(without)  # an item of 2 people is undefined without one of them
    without = np.where(defined, without, 0).sum(0) / np.maximum(defined.sum(0), 1)
    people = int(np.any([cell.seen for cell in cells], axis=0).sum())
    rows = {
        name: people_interval(float(value), moved, people, alpha)[1:]
        for name, value, moved in (
            ("internal", mean[0], without[:, 0]),
            ("population", mean[1], without[:, 1]),
            ("signed", signed(mean), signed(without)),
        )
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["low_people", "high_people"])


def _correlation(x: pd.Series, y: pd.Series, alpha: float) -> list[float]:
    """Pearson's r with Fisher's (1915) interval; NaN where one does not vary."""
    if len(x) < 4 or x.std() == 0 or y.std() == 0:
        return [np.nan] * 4
    r = stats.pearsonr(x, y)
    error = (1 - r.statistic**2) / np.sqrt(len(x) - 3)
    return [r.statistic, error, *r.confidence_interval(1 - alpha)]
