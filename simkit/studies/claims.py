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
    """One quantity of a row, with the interval that stands in `<name>_low` and `<name>_high`.

    Parameters
    ----------
    row : mapping or Series
    name : the quantity.

    Returns
    -------
    estimate, low and high, as `reports.number` takes them.

    Examples
    --------
    >>> ends({"kept": 0.24, "kept_low": 0.18, "kept_high": 0.3}, "kept")
    {'estimate': 0.24, 'low': 0.18, 'high': 0.3}
    """
    return {"estimate": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]}


def difference(after: Row, before: Row, share: float = 1.0) -> dict[str, float]:
    """`after` less a share of `before`, with all values that the two intervals allow.

    Such an interval is too wide where the two estimates are independent, and never too narrow.

    Parameters
    ----------
    after, before : each with estimate, low, high.
    share : of `before`; 0.5 asks whether `after` is at most half of it.

    Returns
    -------
    estimate, low and high of the difference.

    Examples
    --------
    >>> base = {"estimate": 4.0, "low": 3.0, "high": 6.0}
    >>> difference({"estimate": 1.0, "low": 0.5, "high": 2.0}, base)
    {'estimate': -3.0, 'low': -5.5, 'high': -1.0}
    """
    return {
        "estimate": after["estimate"] - share * before["estimate"],
        "low": after["low"] - share * before["high"],
        "high": after["high"] - share * before["low"],
    }


def mean_ends(groups: Any) -> pd.DataFrame:
    """Mean of each group with its 95 % t interval and p against 0: estimate, low, high, p.

    Parameters
    ----------
    groups : a column grouped by something.

    Returns
    -------
    A row per group. The interval and p of one value alone are NaN.

    Examples
    --------
    >>> values = pd.Series([1.0, 3.0], index=["a", "a"])
    >>> mean_ends(values.groupby(level=0)).round(2)
       estimate    low   high    p
    a       2.0 -10.71  14.71  0.3
    """
    of = groups.agg(["mean", "sem", "size"])
    frame = t_frame(range(len(of)), of["mean"], of["sem"], of["size"] - 1, 0.05)
    return frame[["estimate", "low", "high", "p"]].set_axis(of.index)


def holm(p: pd.Series) -> pd.Series:
    """Holm's (1979) p values of one family; NaN stays and does not count.

    Parameters
    ----------
    p : the p values of all tests of the family.

    Returns
    -------
    The corrected p values, on the same index.

    Examples
    --------
    >>> holm(pd.Series([0.04, 0.01, 0.02])).tolist()
    [0.04, 0.03, 0.04]
    """
    known = p.dropna()
    if known.empty:
        return p
    return pd.Series(multipletests(known, method="holm")[1], index=known.index).reindex(p.index)


def judged(*comparisons: pd.DataFrame, least_mass: float = 0.5) -> pd.DataFrame:
    """Comparisons as one family of claims, each "the estimate is below the margin".

    Parameters
    ----------
    comparisons : columns estimate, low, high, margin, p (of the estimate against the margin; NaN
        counts as 1) and mass, the valid mass of the beliefs compared.
    least_mass : below it a claim cannot be told.

    Returns
    -------
    The rows of all, with p_holm, verdict (True or False where p_holm is below 0.05 and the mass is
    large enough, else None) and shown, the estimate with its interval as text.
    """
    table = pd.concat(comparisons, ignore_index=True)
    table["p_holm"] = holm(table["p"].fillna(1))
    clear = (table["p_holm"] < 0.05) & (table["mass"] >= least_mass)
    table["verdict"] = (table["estimate"] < table["margin"]).astype(object).where(clear, None)
    line = "{estimate:+.3g} [{low:+.3g}, {high:+.3g}]"
    return table.assign(shown=[line.format(**row) for row in table.to_dict("records")])


def within_margin(table: pd.DataFrame, margin: float) -> list[bool | None]:
    """Verdicts on "the estimate is less than `margin` away from 0", a family of claims by Holm.

    Parameters
    ----------
    table : columns estimate, std_error, df.
    margin : a positive number.

    Returns
    -------
    One verdict per row, None where p is above 0.05.

    Examples
    --------
    >>> table = pd.DataFrame({"estimate": [0.0, 3.1, -9.0], "std_error": 1.0, "df": 50})
    >>> within_margin(table, 3)
    [True, None, False]
    """
    size = table["estimate"].abs()
    p = 2 * stats.t.sf(((size - margin) / table["std_error"]).abs(), table["df"])
    clear = holm(pd.Series(p)).to_numpy() <= 0.05
    return [bool(s < margin) if c else None for s, c in zip(size, clear, strict=True)]


def tally(table: pd.DataFrame) -> pd.DataFrame:
    """How many claims on each measure hold, do not hold, and cannot be told.

    Parameters
    ----------
    table : as `judged` returns it, with a column measure.

    Returns
    -------
    A row per measure, with the three counts.
    """
    words = {True: "hold", False: "do not hold", None: "cannot be told"}
    verdicts = table["verdict"].map(words).fillna(words[None])
    counts = pd.crosstab(table["measure"], verdicts)
    return counts.reindex(table["measure"].unique(), columns=list(words.values()), fill_value=0)
