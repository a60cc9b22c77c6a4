"""Templates: the fields that a text has, and the one rule by which a value becomes text.

The rule holds wherever a field is filled: questions, options, forms and system texts, descriptions,
code books and interviews, in memory or streamed from a file.

- Text stands as it is; a bool is True or False.
- A number is the shortest decimal that is the same number at its own precision, without an
  exponent and without ".0": 34, 2.5, 0.1 (also where it is a float32), 1000000. So 34 reads 34 in
  a column of floats too, which is what a missing value beside it makes of a column.
- A date is 2026-03-01 and a moment 2026-03-01 14:30:00; midnight without a time zone is a date.
- Values of categorical, nullable and Arrow columns read as the same values in a plain column.
- A format, {price:.2f}, is Python's, and reads 2.00 whether the column holds int or float.
- What is missing (None, NaN, NA, NaT), an infinite number, and any other object (a list, bytes)
  has no text: ValueError names row, field and template.

A field is the name of a column and nothing else: no attribute, index or field within its format.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import repeat
from reprlib import repr as short
from string import Formatter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

__all__ = ["Field", "check_text", "field_names", "fill_one", "fill_rows", "is_missing",
           "records_of", "text_of", "values_of"]  # fmt: skip

REMEDY = (
    "drop the row, or describe the column with simkit.describe or personas.render, which leave out "
    "what is missing"
)
_DATES = (datetime.date, datetime.time, pd.Period)  # a datetime and a Timestamp are dates, too
# As what a value is formatted, the second where Python refuses the first: a width for a bool's
# word, but as a number 1; a precision for a whole number.
_WAYS: dict[type, tuple[Callable[[Any], Any], ...]] = {bool: (str, int), int: (int, float)}


class Field(NamedTuple):
    """One field of a template: "{name!conversion:spec}"."""

    name: str
    conversion: str | None
    spec: str


def field_names(template: str) -> set[str]:
    """Names of the fields. Raises ValueError for what is no template, naming template and field."""
    return {field.name for _, field in _parsed(template) if field is not None}


def fill_rows(
    template: str, columns: Mapping[str, Iterable[Any]], rows: Sequence[Any]
) -> list[str]:
    """The template filled once per row: `columns` hold the fields' values, `rows` their labels."""
    pieces = _parsed(template)
    streams: list[Iterable[str]] = [repeat("", len(rows))]
    for literal, field in pieces:
        streams.append(repeat(literal, len(rows)))
        if field is not None:
            pairs = zip(columns[field.name], rows, strict=True)
            streams.append([_filled(template, field, value, row) for value, row in pairs])
    return ["".join(parts) for parts in zip(*streams, strict=True)]


def fill_one(template: str, record: Mapping[Any, Any], row: Any) -> str:
    """The template filled from one record; `row` is what an error calls it."""
    return "".join(
        literal + ("" if field is None else _filled(template, field, record[field.name], row))
        for literal, field in _parsed(template)
    )


def text_of(value: Any, spec: str = "", conversion: str | None = None) -> str:
    """A value as text, by the rule above. ValueError for what has none, saying why."""
    if type(value) is str and not spec and conversion is None:
        return check_text(value)
    plain = _plain(value)
    if conversion in ("r", "a"):
        plain = ascii(plain) if conversion == "a" else repr(plain)
    elif conversion == "s" or not spec or (isinstance(plain, _DATES) and "%" not in spec):
        plain = _text(plain)
    check_text(plain if isinstance(plain, str) else "")
    for way in _WAYS.get(type(plain), (lambda same: same,)):
        try:
            return format(way(plain), spec)
        except (ValueError, TypeError, OverflowError) as error:
            why = str(error)
    raise ValueError(f"{short(value)} has no format {spec!r} ({why})")


def check_text(text: str) -> str:
    """The text itself. ValueError if it holds a lone surrogate, which no encoding can write."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{short(text)} holds {text[error.start]!r}, half of a surrogate pair, not a "
                "character: read the file anew as UTF-8"
            ) from None
    return text


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NA or NaT."""
    if value is None or type(value) is str:
        return value is None
    if isinstance(value, Decimal):  # of a signalling NaN pandas cannot say it
        return value.is_nan()
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def values_of(column: pd.Series) -> list[Any]:
    """The values of a column, each at its own precision: no float32 becomes a float64."""
    dtype: Any = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        kinds = values_of(pd.Series(dtype.categories))
        return [kinds[code] if code >= 0 else None for code in column.cat.codes.tolist()]
    if isinstance(dtype, pd.ArrowDtype):
        within = getattr(dtype.pyarrow_dtype, "value_type", None)
        if within is not None and hasattr(dtype.pyarrow_dtype, "index_type"):  # a dictionary
            return values_of(column.astype(pd.ArrowDtype(within)))
        if dtype.kind == "f":
            return list(column.to_numpy(dtype=dtype.numpy_dtype, na_value=np.nan))
    if dtype.kind == "f" and str(dtype).lower() != "float64":
        return list(column.array)  # a Series' own items would be wider floats
    return list(column.astype(object))


def records_of(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    """One {column: value} per row, the values as `values_of` gives them."""
    columns = [values_of(frame[name]) for name in frame]
    return [{name: values[i] for name, values in zip(frame, columns, strict=True)}
            for i in range(len(frame))]  # fmt: skip


def _parsed(template: str) -> tuple[tuple[str, Field | None], ...]:
    """Pairs of literal text and the field after it (None after the last)."""
    if not isinstance(template, str):
        raise ValueError(f"the template is {short(template)}; it must be text")
    return _pieces(template)


@lru_cache(maxsize=4_096)
def _pieces(template: str) -> tuple[tuple[str, Field | None], ...]:
    try:
        parts = list(Formatter().parse(check_text(template)))
    except ValueError as error:
        raise ValueError(
            f"{template!r} cannot be read as a template: {error}; write {{{{ and }}}} for braces"
        ) from error
    pieces: list[tuple[str, Field | None]] = []
    for literal, name, spec, conversion in parts:
        if name is None:
            pieces.append((literal, None))
            continue
        field = Field(name, conversion, spec or "")
        checks = (
            (not name, "it has no name"),
            (re.search(r"[.\[\]{}]", name), "a field is the name of a column, without . [ ] { }"),
            (re.search(r"[{}]", field.spec), "its format must not hold a field"),
            (re.search(r"\d{4}", field.spec), "its format asks for 1,000 places or more"),
            (conversion not in (None, "r", "s", "a"), f"there is no conversion !{conversion}"),
        )
        for why in (why for wrong, why in checks if wrong):
            raise ValueError(f"field {{{name}}} in {template!r}: {why}")
        pieces.append((literal, field))
    return tuple(pieces)


def _filled(template: str, field: Field, value: Any, row: Any) -> str:
    try:
        if type(value) is not str and is_missing(value):
            why = f"{field.name!r} is {value}, and {template!r} needs it; {REMEDY}"
        else:
            return text_of(value, field.spec, field.conversion)
    except ValueError as error:
        why = f"{template!r} cannot be filled: {field.name!r}: {error}"
    label = row.item() if isinstance(row, np.generic) else row
    raise ValueError(f"row {label!r}: {why}")


def _plain(value: Any) -> Any:
    """The value as a plain one: whole numbers as int, others as float (or Decimal)."""
    if isinstance(value, np.floating):
        value = float(str(value))  # the shortest digits of its own width
    elif isinstance(value, np.generic):
        stamps = {"M": pd.Timestamp, "m": pd.Timedelta}  # .item() of them may be a number
        value = stamps.get(value.dtype.kind, lambda v: v.item())(value)
    if isinstance(value, (bool, *_DATES)):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float | Decimal):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number, so it has no text")
        if isinstance(value, float):
            return int(Decimal(repr(value))) if value.is_integer() else float(value)
        whole = value == value.to_integral_value()
        return int(value) if whole else Decimal(f"{value:f}".rstrip("0"))
    raise ValueError(
        f"{short(value)} is a {type(value).__name__}; fields take text, numbers, bools and dates"
    )


def _text(value: Any) -> str:
    if isinstance(value, float):
        text = repr(value)
        return np.format_float_positional(value, trim="-") if "e" in text else text
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime):
        return str(value).removesuffix(" 00:00:00")
    return str(value)
