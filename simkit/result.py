"""The frozen result that every estimator returns, and the table of t intervals it is made of."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

__all__ = ["Result", "estimate_text", "jackknife", "number_text", "rounded", "t_frame"]

Numbers = npt.NDArray[np.float64]
REQUIRED = ("estimate", "std_error", "low", "high")


@dataclass(frozen=True, repr=False, eq=False)
class Result:
    """Estimates with their intervals, and how they were made.

    Attributes
    ----------
    method : str
        The estimator, in words.
    frame : DataFrame
        One row per quantity (the index is its name), with at least the columns estimate,
        std_error, low, high (the ends of the 1 - alpha interval); NaN where undefined.
    n : int
        Rows used.
    alpha : float
        Significance level of the intervals, between 0 and 1.
    source : str
        The paper, or "our formulation".
    notes : tuple of str
        What was skipped and why.
    over : str
        What the intervals generalise to: "phrasings", "products and phrasings", "runs of these
        conditions". Empty where the result has no interval.

    Raises
    ------
    ValueError
        For a missing column, a repeated quantity, an interval whose low is above its high, or an
        alpha outside (0, 1).

    Examples
    --------
    >>> frame = t_frame(["yes"], 0.62, 0.05, df=39, alpha=0.05)
    >>> result = Result("Mean belief", frame, n=40, alpha=0.05, source="Student", over="products")
    >>> result.text("yes")
    '0.62 [0.519, 0.721]'
    >>> result.caption()
    '**Mean belief.** yes 0.62 [0.519, 0.721] (n = 40, 95 % interval over products).'
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
        if not isinstance(self.alpha, int | float | np.floating) or not 0 < self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha!r}; it must be a number between 0 and 1")
        try:
            ends = self.frame[["low", "high"]].astype(float)
        except (TypeError, ValueError, OverflowError):
            raise ValueError("low and high must be numbers, NaN where undefined") from None
        if isinstance(self.notes, str) or not isinstance(self.notes, Iterable):
            raise ValueError(f"notes are {self.notes!r}; they must be a list of texts")
        crossed = ends["low"] > ends["high"]
        if crossed.any():
            raise ValueError(f"the interval of {crossed.idxmax()!r} has low above high")
        object.__setattr__(self, "frame", self.frame.copy())
        object.__setattr__(self, "notes", tuple(self.notes))

    def __getitem__(self, name: str) -> pd.Series:
        """The row of one quantity; KeyError, naming those there are, for another name."""
        if name not in self.frame.index:
            raise KeyError(f"no quantity {name!r}; there are {list(self.frame.index)}")
        return self.frame.loc[name].copy()

    def interval(self, name: str) -> tuple[float, float]:
        """(low, high) of one quantity."""
        row = self[name]
        return float(row["low"]), float(row["high"])

    def text(self, name: str, form: str = "") -> str:
        """One quantity and its interval as text, see :func:`estimate_text`."""
        return estimate_text(self[name], form)

    def caption(self, *names: str, title: str = "", form: str = "") -> str:
        """A caption: what was estimated, its interval, n, and what the interval is over.

        Parameters
        ----------
        names : str
            The quantities to state; the first one if none is named.
        title : str
            Stands in bold in front; the method if it is empty.
        form : str
            Format of the numbers, such as ".2f" or ".0%"; three significant digits if empty.

        Returns
        -------
        str
            Markdown, for ``reports.caption``.

        Raises
        ------
        KeyError
            For a quantity that there is not, naming those there are.

        Examples
        --------
        >>> frame = t_frame(["yes", "no"], [0.62, 0.38], [0.05, 0.05], df=39, alpha=0.05)
        >>> result = Result("Mean belief", frame, 40, 0.05, "Student", over="products")
        >>> result.caption("yes", "no", title="Sales", form=".0%")
        '**Sales.** yes 62% [52%, 72%]; no 38% [28%, 48%] (n = 40, 95 % intervals over products).'
        """
        rows = pd.DataFrame([self[name] for name in names]) if names else self.frame[:1]
        count = int(rows[["low", "high"]].notna().all(axis=1).sum())
        intervals = f", {self._intervals(count)}" if count else ""
        body = f"{estimate_text(rows, form) or 'no quantity'} (n = {self.n:,}{intervals})."
        return f"**{_escaped(title or self.method)}.** {_escaped(body)}"

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
        return f"{self.method}: n = {self.n}, {self._intervals(2)}"

    def _intervals(self, count: int) -> str:
        over = f" over {self.over}" if self.over else ""
        return f"{100 * (1 - self.alpha):g} % interval{'s' if count > 1 else ''}{over}"

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        head = html.escape(self._head())
        foot = [f"Note: {note}" for note in self.notes] + [f"Source: {self.source}"]
        feet = "<br>".join(html.escape(line) for line in foot)
        table = self._shown().to_html(border=0)  # escapes names and cells
        return f"<div><p><b>{head}</b></p>{table}<p><small>{feet}</small></p></div>"


def rounded(value: float) -> float:
    """`value` to three significant digits, but never coarser than a whole number."""
    if not math.isfinite(value) or value == 0:
        return value
    return round(value, max(0, 2 - math.floor(math.log10(abs(value)))))


def number_text(value: float | None, form: str = "") -> str:
    """A number as captions and pages show it, "undefined" for None, NaN and infinity.

    Parameters
    ----------
    value : float or None
        The number.
    form : str
        A format such as ".2f" or ".0%"; three significant digits if it is empty.

    Returns
    -------
    str
        The number with a true minus sign.

    Examples
    --------
    >>> number_text(-0.123456), number_text(1234.5), number_text(0.5, ".0%")
    ('−0.123', '1234', '50%')
    """
    try:
        number = math.nan if value is None else float(value)
        text = format(number, form) if form else f"{rounded(number):.12g}"
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{value!r:.80} cannot be written in format {form!r:.80}: {error}"
        ) from None
    return text.replace("-", "\N{MINUS SIGN}") if math.isfinite(number) else "undefined"


def estimate_text(row: Mapping[str, Any] | pd.Series | pd.DataFrame, form: str = "") -> str:
    """An estimate and its interval as captions show them: "0.62 [0.519, 0.721]".

    Parameters
    ----------
    row : mapping, Series or DataFrame
        With `estimate`, and `low` and `high` where there is an interval. Of a frame all rows are
        stated, each after its name.
    form : str
        As in :func:`number_text`.

    Returns
    -------
    str
        The estimate alone where an end of the interval is missing.

    Raises
    ------
    ValueError
        For a row without an estimate, what is not a number, and a format that is none of numbers.

    Examples
    --------
    >>> row = {"estimate": 8.34, "low": 7.02, "high": 9.91}
    >>> estimate_text(row, ".1f")
    '8.3 [7.0, 9.9]'
    >>> estimate_text(pd.DataFrame([row, row], index=["cold days", "hot days"]), ".0f")
    'cold days 8 [7, 10]; hot days 8 [7, 10]'
    """
    if isinstance(row, pd.DataFrame):
        return "; ".join(f"{name} {estimate_text(one, form)}" for name, one in row.iterrows())
    if not isinstance(row, Mapping | pd.Series) or "estimate" not in row:
        raise ValueError(f"row is {row!r:.80}; it must have an estimate")
    low, high = (number_text(row.get(end), form) for end in ("low", "high"))
    text = number_text(row["estimate"], form)
    return text if "undefined" in (low, high) else f"{text} [{low}, {high}]"


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


def _escaped(text: str) -> str:
    """Text with Markdown's marks as plain signs."""
    return re.sub(r"([\\`*$])", r"\\\1", text)


def _text(value: Any) -> str:
    """Four decimals; more only where they would hide a small number; rounding error is 0."""
    if not isinstance(value, float | np.floating):
        return str(value)
    value = float(value)
    if abs(value) < 1e-12:
        return "0"
    if not np.isfinite(value) or (abs(value) < 1e6 and value.is_integer()):
        return f"{value:g}"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e6 else f"{value:.2e}"
