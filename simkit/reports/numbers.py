"""Headline numbers: what one may be, which verdicts stand, and how they are shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.result import rounded
from simkit.types import FloatArray, column, invalid, several, typed

__all__ = ["LEAST_MASS", "Numbers", "judged", "number", "row", "within"]

VERDICTS = ("holds", "does not hold", "not judged", "undefined")
LEAST_MASS = 0.5  # as believe has it, from a module that loads torch
ABOUT = ("model", "recorded people", "recorded models")
FIELDS = (
    "name", "value", "low", "high", "over", "unit", "claim", "about", "valid_mass", "verdict",
)  # fmt: skip


def number(
    name: str,
    row: Mapping[str, Any] | pd.Series | float | None,
    claim: str = "",
    verdict: bool | str | None = None,
    unit: str = "",
    over: str = "",
    **more: Any,
) -> dict[str, Any]:
    """A headline number for :func:`record`, from a row of a result.

    Parameters
    ----------
    name : str
        Of the number, in words.
    row : mapping, Series or float
        With `estimate` and, if there is an interval, `low` and `high`; or a number alone.
    claim : str
        What the reference says, in words.
    verdict : bool or str, optional
        As in :func:`record`; see :func:`within`.
    unit : str
        Of the number.
    over : str
        What the interval generalises to; left out where there is no interval.
    **more
        What else `record` takes of a number: `about`, `valid_mass`.

    Returns
    -------
    dict

    Examples
    --------
    >>> elasticity = {"estimate": -1.3, "low": -1.5, "high": -1.1}
    >>> number("elasticity", elasticity, "elastic", within(elasticity, high=-1))["verdict"]
    True
    """
    row = row if isinstance(row, Mapping | pd.Series) else {"estimate": row}
    low, high = row.get("low"), row.get("high")
    return {
        "name": name, "value": _part(row, "estimate"), "low": low, "high": high,
        "over": "" if low is None else over, "unit": unit, "claim": claim, "verdict": verdict,
        **more,
    }  # fmt: skip


def within(
    row: Mapping[str, Any] | pd.Series, low: float = -math.inf, high: float = math.inf
) -> bool | None:
    """The verdict on "it is from low to high": whether the interval of `row` shows it.

    Parameters
    ----------
    row : mapping or Series
        With the ends `low` and `high` of an interval.
    low, high : float
        The range that is claimed.

    Returns
    -------
    bool or None
        True if the whole interval is from `low` to `high`, False if none of it is, else None.

    Raises
    ------
    ValueError
        For a row without an interval, and ends that are not numbers.

    Examples
    --------
    >>> within({"low": 0.2, "high": 0.4}, low=0), within({"low": -0.1, "high": 0.4}, low=0)
    (True, None)
    """
    asked = {"row": (_part(row, "low"), _part(row, "high")), "line": (low, high)}
    try:
        (bottom, top), (low, high) = (map(float, ends) for ends in asked.values())
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"low and high must be numbers; got {asked}") from None
    if low <= bottom and top <= high:
        return True
    return False if top < low or bottom > high else None


def _part(row: Mapping[str, Any] | pd.Series, name: str) -> Any:
    if not isinstance(row, Mapping | pd.Series) or name not in row:
        raise ValueError(f"a row needs {name!r}, got {row!r:.200}")
    return row[name]


def row(number: Any) -> dict[str, Any]:
    """A number of :func:`record`, checked, with all of its fields in order."""
    typed(number, "a number", Mapping, "a mapping with name and value")
    unknown = [name for name in number if name not in FIELDS]
    if unknown or "name" not in number or "value" not in number:
        raise ValueError(
            f"a number needs name and value, and may have {', '.join(FIELDS[2:])}; "
            f"got {', '.join(map(repr, number))}"
        )
    words = {field: _words(number, field) for field in ("name", "over", "unit", "claim", "about")}
    name, about = words["name"], words["about"] or ABOUT[0]
    ends = {field: _finite(name, field, number.get(field)) for field in ("value", "low", "high")}
    low, high = ends["low"], ends["high"]
    if low is not None and high is not None and low > high:
        raise ValueError(f"{name}: low {low} is above high {high}")
    if about not in ABOUT:
        raise invalid(f"{name}: about", about, f"one of {', '.join(ABOUT)}")
    mass = _finite(name, "valid_mass", number.get("valid_mass"))
    if mass is not None:
        _probabilities(mass)
    verdict = "undefined" if ends["value"] is None else _verdict(name, number.get("verdict"))
    fields = {**words, **ends, "about": about, "valid_mass": mass, "verdict": verdict}
    return {field: fields[field] for field in FIELDS}


def judged(
    rows: Sequence[dict[str, Any]], valid_mass: npt.ArrayLike | None
) -> list[dict[str, Any]]:
    """The model's numbers first, then valid mass, then what is recorded; names once each.

    Where the valid mass that a number rests on (its own, else the mean) is below LEAST_MASS, its
    verdict is "not judged". Raises ValueError for no rows and a name that is there twice.
    """
    masses = [] if valid_mass is None else _masses(_probabilities(valid_mass))
    mean = masses[0]["value"] if masses else None
    own = [row for row in rows if row["about"] == ABOUT[0]]
    for number in own:
        basis = mean if number["valid_mass"] is None else number["valid_mass"]
        judged_yet = number["verdict"] in ("holds", "does not hold")
        if judged_yet and basis is not None and basis < LEAST_MASS:
            number |= {"valid_mass": basis, "verdict": "not judged"}
    ordered = own + masses + [row for row in rows if row["about"] != ABOUT[0]]
    names = [row["name"] for row in ordered]
    if not rows or len(set(names)) < len(names):
        raise ValueError(f"numbers need at least one row and distinct names, got {names}")
    return ordered


def _masses(mass: FloatArray) -> list[dict[str, Any]]:
    """Mean and smallest valid mass, as headline numbers."""
    read = mass[~np.isnan(mass)]
    lost = len(mass) - len(read)
    of = f"of {len(read):,} rows" + (f", {lost:,} not read" if lost else "")
    mean, smallest = (read.mean(), read.min()) if len(read) else (None, None)
    claim = f"at least {LEAST_MASS:g} of the probability is on the options, mean {of}"
    verdict = None if mean is None else bool(mean >= LEAST_MASS)
    first = {"name": "Valid mass", "value": mean, "claim": claim, "verdict": verdict}
    other = {"name": "Valid mass, smallest", "value": smallest, "claim": of}
    return [row({**number, "unit": "probability"}) for number in (first, other)]


def _probabilities(valid_mass: npt.ArrayLike) -> FloatArray:
    """Probabilities, or NaN, in one column."""
    return column(several(valid_mass), "valid_mass", low=0, high=1 + 1e-6, missing=True)


def _words(number: Mapping[str, Any], field: str) -> str:
    text = str(number.get(field, ""))
    if not text.isprintable() and any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError(f"{field} {text!r} holds half a character (a surrogate): not a text")
    return text


def _finite(name: str, field: str, value: Any) -> float | None:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    try:
        if isinstance(value, str | bytes):
            raise TypeError("text")
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise invalid(f"{name}: {field}", value, "a number, or None") from None
    return number if math.isfinite(number) else None


def _verdict(name: str, verdict: Any) -> str:
    if verdict is None:
        return "not judged"
    if isinstance(verdict, bool | np.bool_):
        return "holds" if verdict else "does not hold"
    if isinstance(verdict, str) and verdict in VERDICTS:
        return verdict
    raise invalid(
        f"{name}: verdict", verdict, f"True, False, None, or one of {', '.join(VERDICTS)}"
    )


class Numbers(pd.DataFrame):  # type: ignore[misc]  # pandas carries no types
    """The frame that `record` returns: shown with each number rounded and the claims whole.

    The record is in `attrs["record"]`, and in the metadata of the output where it is shown.
    """

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> Numbers:
        """From rows as `row` makes them; the valid mass stays in the record."""
        frame = cls(rows, columns=[f for f in FIELDS if f != "valid_mass"]).set_index("name")
        numbers = cls(frame.astype({"value": float, "low": float, "high": float}))
        numbers.attrs["record"] = record
        return numbers

    def __repr__(self) -> str:
        return str(self._informative().to_string(**_SHOWN))

    def _repr_html_(self) -> str:
        with pd.option_context("display.max_colwidth", None):
            return str(self._informative().to_html(**_SHOWN))

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        data = {"text/plain": repr(self), "text/html": self._repr_html_()}
        return data, {"simkit": {"record": self.attrs["record"]}}

    def _informative(self) -> pd.DataFrame:
        """Without the columns `about` and `over` where they say nothing of any number."""
        usual = {"about": ABOUT[0], "over": ""}
        same = [name for name, word in usual.items() if name in self and (self[name] == word).all()]
        return pd.DataFrame(self.drop(columns=same))


def _short(value: float) -> str:
    return f"{rounded(value):.12g}"


_SHOWN: dict[str, Any] = {"float_format": _short, "na_rep": "-", "index_names": False}
