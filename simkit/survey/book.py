"""Code books that a caller gives: what the file itself does not say of its items."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from simkit.files import as_path
from simkit.survey.files import FORMATS, plain_number
from simkit.survey.item import SurveyItem
from simkit.templates import is_missing
from simkit.types import framed, invalid, listed, one_of, typed

__all__ = ["book_of", "reasons", "with_book"]

_FIELDS = tuple(f.name for f in fields(SurveyItem))
_COLUMNS = ("item", "text", "scale", "tell", "code", "label", "missing")
DECLARED = "declared missing"


def book_of(book: Any) -> dict[str, dict[str, Any]]:
    """A code book as item -> fields of `SurveyItem`, of a mapping, a table or a file of either.

    A table has the columns `item` and some of text, scale, tell, code, label, missing: a row per
    code. missing holds the reason why a code is no answer. Raises ValueError for what is neither.
    """
    if book is None:
        return {}
    if isinstance(book, str | Path):
        path = as_path(book, "book")
        if path.suffix.lower() == ".json":
            book = json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix.lower() in (".csv", ".tsv"):
            book = FORMATS[".csv"](path, None, None).frame
        else:
            raise invalid("book", str(path), "a .json or .csv file, a DataFrame or a mapping")
    if isinstance(book, pd.DataFrame):
        return _of_table(framed(book, "the code book"))
    out = {}
    for name, entry in typed(book, "book", Mapping, "{item: {field: value}}").items():
        if isinstance(entry, SurveyItem):
            entry = {f: getattr(entry, f) for f in _FIELDS if getattr(entry, f) or f == "scale"}
        typed(entry, f"book: {name!r}", Mapping, "{field: value}, or a SurveyItem")
        for key in entry:
            one_of(key, f"field of {name!r} in the book", _FIELDS)
        out[str(name)] = dict(entry)
    return out


def _of_table(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    for name in table:
        one_of(name, "column of a code book", _COLUMNS)
    if "item" not in table:
        raise ValueError(f"the code book has no column 'item'; it has {', '.join(table)}")
    out: dict[str, dict[str, Any]] = {}
    for row in table.to_dict("records"):
        given = {k: v for k, v in row.items() if not is_missing(v) and v != ""}
        entry = out.setdefault(str(given.pop("item", "")), {})
        code = given.pop("code", None)
        for key, texts in (("label", "labels"), ("missing", "missing")):
            if key in given and code is None:
                raise ValueError(f"the code book gives a {key} without a code: {given[key]!r}")
            if key in given:
                entry.setdefault(texts, {})[_number(code)] = str(given.pop(key))
        entry.update(given)
    return out


def _number(code: Any) -> Any:
    """A code of a table: a number where it is written as one, and "007" is none."""
    return float(code) if isinstance(code, str) and plain_number(code) else code


def with_book(item: SurveyItem, entry: Mapping[str, Any]) -> SurveyItem:
    """The item with what the code book says; missing codes are added to those of the file."""
    given = dict(entry)
    if "missing" in given:
        given["missing"] = {**item.missing, **reasons(given["missing"], "missing")}
    return replace(item, **given)


def reasons(codes: Any, name: str) -> dict[Any, str]:
    """Missing codes with their reasons: a mapping as it is, a list without reasons."""
    if isinstance(codes, Mapping):
        return dict(codes)
    return dict.fromkeys(listed(codes, name), DECLARED)
