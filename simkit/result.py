"""The frozen result that every estimator returns, and the table of t intervals it is made of."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

__all__ = ["Result", "jackknife", "t_frame"]

Numbers = npt.NDArray[np.float64]
REQUIRED = ("estimate", "std_error", "low", "high")


@dataclass(frozen=True, repr=False, eq=False)
class Result:
    """Numbers with their uncertainty, and how they came about.

    frame : one row per quantity (the index is its name), with at least the columns estimate,
        std_error, low, high (the ends of the 1 - alpha interval); NaN where undefined.
    n : rows used. source : the paper, or "our formulation". notes : what was skipped and why.
    over : what the intervals generalise to, in words: "phrasings", "products and phrasings",
        "runs of these conditions". Empty where the result has no interval.
    Raises ValueError for a missing column, a repeated quantity, an interval the wrong way round,
    or an alpha outside (0, 1).
    """

    method: str
    frame: pd.DataFrame
    n: int
    alpha: float
    source: str
    notes: tuple[str, ...] = ()
    over: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.frame, pd.DataFrame) or not self.frame.columns.is_unique:
            kind = type(self.frame).__name__
            raise ValueError(f"frame is a {kind}; it must be a DataFrame with columns that differ")
        missing = [name for name in REQUIRED if name not in self.frame]
        if missing:
            raise ValueError(f"columns {missing} are missing; a result needs {list(REQUIRED)}")
        if not self.frame.index.is_unique:
            twice = self.frame.index[self.frame.index.duplicated()][0]
            raise ValueError(f"quantity {twice!r} is there twice; names must differ")
        known = isinstance(self.alpha, int | float | np.floating)
        if not known or not 0 < self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha!r}; legal are numbers between 0 and 1")
        try:
            ends = self.frame[["low", "high"]].astype(float)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(
                "low and high must be columns of numbers, NaN where undefined"
            ) from None
        if isinstance(self.notes, str) or not isinstance(self.notes, Iterable):
            raise ValueError(f"notes are {self.notes!r}; it must be a list of texts")
        crossed = ends["low"] > ends["high"]
        if crossed.any():
            raise ValueError(f"the interval of {crossed.idxmax()!r} has low above high")
        object.__setattr__(self, "frame", self.frame.copy())
        object.__setattr__(self, "notes", tuple(self.notes))

    def __getitem__(self, name: str) -> pd.Series:
        """The row of one quantity; KeyError names the quantities there are."""
        if name not in self.frame.index:
            raise KeyError(f"no quantity {name!r}; there are {list(self.frame.index)}")
        return self.frame.loc[name].copy()

    def interval(self, name: str) -> tuple[float, float]:
        """(low, high) of one quantity."""
        row = self[name]
        return float(row["low"]), float(row["high"])

    def to_frame(self) -> pd.DataFrame:
        """A copy of the table."""
        return self.frame.copy()

    def _shown(self) -> pd.DataFrame:
        """Every cell as text; what does not apply to a row is blank, what is undefined "nan"."""
        text = self.frame.map(_text)
        extra = [name for name in text if name not in REQUIRED]
        text[extra] = text[extra].where(self.frame[extra].notna(), "")
        return text

    def summary(self) -> str:
        """The table in fixed width, with the method above and the notes below it."""
        table = self._shown().to_string()
        lines = [self._head(), table]
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join([*lines, f"Source: {self.source}"])

    def _head(self) -> str:
        over = f" over {self.over}" if self.over else ""
        return f"{self.method}: n = {self.n}, {100 * (1 - self.alpha):g} % intervals{over}"

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        head = html.escape(self._head())
        foot = [f"Note: {note}" for note in self.notes] + [f"Source: {self.source}"]
        feet = "<br>".join(html.escape(line) for line in foot)
        table = self._shown().to_html(border=0)  # escapes names and cells
        return f"<div><p><b>{head}</b></p>{table}<p><small>{feet}</small></p></div>"


def t_frame(
    names: Sequence[str] | pd.Index,
    estimate: npt.ArrayLike,
    std_error: npt.ArrayLike,
    df: npt.ArrayLike,
    alpha: float,
) -> pd.DataFrame:
    """Columns estimate, std_error, low, high, statistic, df, p of t tests against zero.

    All arrays are (k,) or scalar; df is the degrees of freedom (inf for a normal). An exact value
    (std_error 0) has an interval of width zero and p = 0, or p = 1 if it is zero itself.
    NaN, or df below 1, gives NaN.
    """
    est = np.atleast_1d(np.asarray(estimate, dtype=np.float64))
    err = np.broadcast_to(np.asarray(std_error, dtype=np.float64), est.shape)
    free = np.broadcast_to(np.asarray(df, dtype=np.float64), est.shape)
    err = np.where(free >= 1, err, np.nan)
    limit = np.where(est == 0, 0.0, np.copysign(np.inf, est))  # statistic of an exact value
    stat = np.divide(est, err, out=np.where(err == 0, limit, np.nan), where=err > 0)
    half = err * special.stdtrit(free, 1 - alpha / 2)
    p = 2 * special.stdtr(free, -np.abs(stat))
    columns = (est, err, est - half, est + half, stat, free, p)
    return pd.DataFrame(
        dict(zip((*REQUIRED, "statistic", "df", "p"), columns, strict=True)), index=pd.Index(names)
    )


def jackknife(replicates: Numbers, centre: Numbers) -> Numbers:
    """Delete-one-cluster covariance (k, k) of k statistics, CV3.

    replicates : (G, k), row g without cluster g. centre : (k,), from all clusters.
    (G - 1) / G times the sum of outer products of the differences; of means of equal clusters it
    is the usual S / G. Source: MacKinnon, Nielsen & Webb 2023, arXiv 2301.04527.
    """
    moves = replicates - centre
    return (1 - 1 / len(moves)) * moves.T @ moves


def _text(value: Any) -> str:
    """Four decimals; more only where they would hide a small number; rounding dust is 0."""
    if isinstance(value, bool | np.bool_ | int | np.integer | str):
        return str(value)
    if not isinstance(value, float | np.floating):
        return str(value)
    value = float(value)
    if abs(value) < 1e-12:
        return "0"
    if not np.isfinite(value) or (abs(value) < 1e6 and value.is_integer()):
        return f"{value:g}"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e6 else f"{value:.2e}"
