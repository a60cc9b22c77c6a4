"""Claims of a study: differences with their intervals, p values corrected together, verdicts."""

from __future__ import annotations

from typing import Any, TypeAlias

import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from simkit.result import t_frame

__all__ = ["difference", "ends", "holm", "judged", "mean_ends", "tally", "within_margin"]

Row: TypeAlias = Any  # a mapping or a row of a frame


def ends(row: Row, name: str) -> dict[str, float]:
    """One quantity of a row, with the interval that stands in `<name>_low` and `<name>_high`."""
    return {"estimate": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]}


def difference(after: Row, before: Row, share: float = 1.0) -> dict[str, float]:
    """`after` less a share of `before`, with all values that the two intervals allow.

    Such an interval is too wide where the two estimates are independent, and never too narrow.
    """
    return {
        "estimate": after["estimate"] - share * before["estimate"],
        "low": after["low"] - share * before["high"],
        "high": after["high"] - share * before["low"],
    }


def mean_ends(groups: Any) -> pd.DataFrame:
    """Mean of each group with its 95 % t interval and p against 0: estimate, low, high, p.

    groups : a column grouped by something. The interval of one value alone is NaN.
    """
    of = groups.agg(["mean", "sem", "size"])
    frame = t_frame(range(len(of)), of["mean"], of["sem"], of["size"] - 1, 0.05)
    return frame[["estimate", "low", "high", "p"]].set_axis(of.index)


def holm(p: pd.Series) -> pd.Series:
    """Holm's (1979) p values of one family; NaN stays and does not count."""
    known = p.dropna()
    if known.empty:
        return p
    return pd.Series(multipletests(known, method="holm")[1], index=known.index).reindex(p.index)


def judged(*comparisons: pd.DataFrame, least_mass: float = 0.5) -> pd.DataFrame:
    """Comparisons as one family of claims, each "the estimate is below the margin".

    comparisons : columns estimate, low, high, margin, p (of the estimate against the margin; NaN
    counts as 1) and mass, the valid mass of the beliefs compared. Adds p_holm, verdict (True or
    False where p_holm is below 0.05 and the mass is at least `least_mass`, else None) and shown,
    the estimate with its interval as text.
    """
    table = pd.concat(comparisons, ignore_index=True)
    table["p_holm"] = holm(table["p"].fillna(1))
    clear = (table["p_holm"] < 0.05) & (table["mass"] >= least_mass)
    table["verdict"] = (table["estimate"] < table["margin"]).astype(object).where(clear, None)
    line = "{estimate:+.3g} [{low:+.3g}, {high:+.3g}]"
    return table.assign(shown=[line.format(**row) for row in table.to_dict("records")])


def within_margin(table: pd.DataFrame, margin: float) -> list[bool | None]:
    """Verdicts on "the estimate is less than `margin` away from 0", a family of claims by Holm.

    table : columns estimate, std_error, df. None where p is above 0.05.
    """
    size = table["estimate"].abs()
    p = 2 * stats.t.sf(((size - margin) / table["std_error"]).abs(), table["df"])
    clear = holm(pd.Series(p)).to_numpy() <= 0.05
    return [bool(s < margin) if c else None for s, c in zip(size, clear, strict=True)]


def tally(table: pd.DataFrame, by: str = "claim") -> pd.DataFrame:
    """How many claims of each kind hold, do not hold, and cannot be told."""
    words = table["verdict"].map({True: "hold", False: "do not hold"}).fillna("cannot be told")
    counts = pd.crosstab(table[by], words)
    return counts.reindex(
        table[by].unique(), columns=["hold", "do not hold", "cannot be told"], fill_value=0
    )
