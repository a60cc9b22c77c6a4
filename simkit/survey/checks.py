"""What is wrong, or may be, in a survey file: codes nobody declared, values outside their labels.

A code is asked about where its label says that there is no answer, where it is the end of a
computer's integers, and where it is one of the customary codes (−1 to −9, 8, 9, 77, 88, 99, 999 …)
and stands apart from the other answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simkit.survey.files import row_list
from simkit.survey.item import SurveyItem, code_of
from simkit.templates import is_missing

__all__ = ["Doubt", "doubts", "label_notes", "mixed_rows", "says_missing", "twice_named"]

_NO_ANSWER = re.compile(
    r"n[./ ]?a\.?|n\.d\.?|nan|null|\.|-|\?|dk|d\.k\.?|rf|nr|no (answer|response|data|reply)\b.*|"
    r"(i )?(do not|don.?t|does not|can.?t|cannot) (know|say|choose|tell|remember)\b.*|dk/.*|"
    r"refus(ed|al|es|e)?( to answer| \(.*)?|not (asked|applicable|answered|stated|available|"
    r"ascertained|reported|given)\b.*|inap(p|plicable|plic)?\b.*|(system[- ])?missing.*|"
    r"prefer not.*|rather not.*|declined.*|unknown|skip(ped)?|k\.?a\.?|keine angabe.*|"
    r"wei(ß|ss) nicht.*|trifft nicht zu.*|ne sait pas.*|sans r[ée]ponse|no sabe.*|no contesta.*|"
    r"ns/nc",
    re.IGNORECASE,
)
_EXTREME = {-(2**31), 2**31 - 1, -(2**15), -(2**63)}
_NEGATIVE = {*range(-9, 0), -66, -77, -88, *range(-99, -95), *range(-999, -995), -666, -777, -888,
             -9999, *range(-9999, -9995)}  # fmt: skip
_HIGH = {77, 88, *range(97, 100), 777, 888, *range(997, 1000), 7777, 8888, *range(9997, 10_000),
         99_999, 999_999}  # fmt: skip
_LAST = {8, 9, 98, 99}  # after a short scale
ROWS_SHOWN = 60


@dataclass(frozen=True)
class Doubt:
    """A code that must be settled: in which column, what it is called, who has it, what it is."""

    column: str
    code: Any
    label: str
    rows: tuple[int, ...]
    why: str

    def __str__(self) -> str:
        called = f" {self.label!r}" if self.label else ""
        people = "nobody has it" if not self.rows else f"{len(self.rows)} people, " + row_list(
            self.rows
        )  # fmt: skip
        return f"{self.column}: {self.code!r}{called} ({people}): {self.why}"


def says_missing(text: str) -> bool:
    """Whether a label says that there is no answer."""
    return _NO_ANSWER.fullmatch(" ".join(text.split()).strip(" .:!*[]()<>") or ".") is not None


def doubts(name: str, item: SurveyItem, answers: pd.Series, kept: Any) -> Iterator[Doubt]:
    """Codes of a column that are not declared missing, and should be, or are no answer of it.

    kept : codes that the caller takes as answers; True for all.
    """
    if kept is True:
        return
    rows = {code_of(v): tuple(at) for v, at in _places(answers).items()}
    numbers = [c for c in rows if isinstance(c, int | float)]
    labels = {c: t for c, t in item.labels.items() if c not in kept}
    found: dict[Any, str] = {}
    for code, label in labels.items():
        if says_missing(label):
            found[code] = "its label says that there is no answer"
    for code in rows:
        if isinstance(code, str) and code not in item.labels and says_missing(code):
            found[code] = "it says that there is no answer"
        elif code in _EXTREME or (isinstance(code, float) and abs(code) > 1e300):
            found[code] = "it is the end of a computer's numbers"
    open_codes = [c for c in numbers if c not in found and c not in kept]
    for code in _apart([c for c in open_codes if c not in item.labels], open_codes):
        found[code] = "a customary code of no answer, apart from the other answers"
    for code in found.keys() - set(kept):
        yield Doubt(name, code, item.labels.get(code, ""), rows.get(code, ()), found[code])
    known = {c: t for c, t in item.labels.items() if c not in found}
    left = [c for c in rows if c not in found and c not in kept and c not in known]
    for code in _strange(left, known, rows, item.scale):
        texts = list(known.values())
        why = f"outside its labels ({', '.join(texts[:3])}{', …' if len(texts) > 3 else ''})"
        yield Doubt(name, code, "", rows[code], why)


def _places(answers: pd.Series) -> dict[Any, list[int]]:
    given = answers.dropna()
    return {v: list(at) for v, at in given.groupby(given, sort=False).groups.items()}


def _apart(unlabelled: list[Any], codes: list[Any]) -> set[Any]:
    """Customary codes that stand apart from the other codes of the column."""
    out = set()
    negative = [c for c in codes if c < 0]
    if negative and all(c in _NEGATIVE for c in negative):
        out |= {c for c in negative if c in unlabelled}
    body = sorted(c for c in codes if c not in out)
    for customary, most in ((_HIGH, np.inf), (_LAST, 7)):
        rest = [c for c in body if c not in customary]
        top = max(rest, default=-np.inf)
        if top > most or (most < np.inf and not rest):
            continue
        for code in (c for c in body if c in customary and c > top):
            if code - top < 2:  # the next number: part of the scale
                top = code
            elif code in unlabelled:
                out.add(code)
    return out


def _strange(
    left: list[Any], known: Mapping[Any, str], rows: Mapping[Any, Any], scale: str
) -> list[Any]:
    """Codes without a label, where the labels are meant to be of all codes."""
    if len(known) < 2:  # none, or a single one that explains an end
        return []
    if any(isinstance(c, str) for c in known):
        return left
    low, high = min(known), max(known)
    outside = [c for c in left if isinstance(c, str) or not low <= c <= high]
    inside = [c for c in left if c not in outside]
    ends_only = len(known) <= 3 and len(inside) >= len(known) - 1 and scale != "nominal"
    part = [c for c in inside if c % 1] if scale != "numeric" else []
    return outside + (part if ends_only else inside)


def label_notes(items: Mapping[str, SurveyItem]) -> list[str]:
    """Notes on labels: two codes that are called alike, sets of labels with other codes."""
    notes: list[str] = []
    seen: dict[tuple[str, ...], str] = {}
    for name, item in items.items():
        if item.scale == "multi-select":
            continue
        texts = list(item.labels.values())
        folded = [t.casefold() for t in texts]
        alike = [c for c, t in item.labels.items() if folded.count(t.casefold()) > 1]
        if alike:
            notes.append(
                f"{name}: the codes {', '.join(map(repr, alike))} are called alike, "
                f"{item.labels[alike[0]]!r}; book= gives it other texts"
            )
        key = tuple(texts)
        if len(key) < 3:
            continue
        other = seen.setdefault(key, name)
        if list(items[other].labels) != list(item.labels):
            codes = [", ".join(map(repr, list(items[n].labels)[:3])) for n in (other, name)]
            notes.append(
                f"{other} and {name} have the same labels for other codes ({codes[0]}, … and "
                f"{codes[1]}, …): one of them may be shifted"
            )
        backwards = seen.get(key[::-1])
        if backwards and list(items[backwards].labels) == list(item.labels):
            notes.append(f"{backwards} and {name} have the same labels in opposite orders")
    return notes


def twice_named(names: list[str]) -> tuple[str, str] | None:
    """Two columns whose names are the same but for case, blanks and signs."""
    seen: dict[str, str] = {}
    for name in names:
        key = re.sub(r"[\W_]+", "_", name.strip()).casefold()
        if key in seen:
            return seen[key], name
        seen[key] = name
    return None


def mixed_rows(values: pd.Series) -> tuple[list[Any], list[Any]]:
    """Rows of a column that hold text, and rows that hold numbers."""
    given = [(row, v) for row, v in values.items() if not is_missing(v)]
    texts = [row for row, v in given if isinstance(v, str)]
    return texts, [row for row, v in given if not isinstance(v, str)]
