"""The columns of a survey file, one by one: missing codes out, one type, a scale, labels."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from simkit.survey.book import DECLARED, reasons, with_book
from simkit.survey.checks import ROWS_SHOWN, doubts, mixed_rows, says_missing
from simkit.survey.files import RawSet, RawSurvey, plain_number, row_list
from simkit.survey.item import MISSING, SurveyItem, code_of
from simkit.survey.sets import as_ticks
from simkit.types import listed, one_of, shown, typed

__all__ = ["Reading", "described"]

MANY = 30  # texts: with more an open question, with fewer answers of a list
_DATES = (datetime.date, datetime.time, datetime.timedelta, pd.Period)


def described(
    raw: RawSurvey, book: Mapping[str, Mapping[str, Any]], missing: Any, keep: Any
) -> tuple[pd.DataFrame, dict[str, SurveyItem]]:
    """Columns of plain values, and their items, with what the code book says."""
    names = list(raw.frame)
    typed({} if missing is None else missing, "missing", Mapping, "{column: codes}")
    if keep is not None and not isinstance(keep, Mapping):
        listed(keep, "keep")
    for what, given in (("book", book), ("missing", missing or {}), ("keep", keep or {})):
        for name in given:
            one_of(name, f"column of {what}=", names if what == "book" else [*names, "*"])
    plain = {name: _plain(name, raw.frame[name]) for name in names}
    items = {}
    for name, values in plain.items():
        item = raw.items.get(name, SurveyItem(name))
        if raw.frame[name].dtype == bool or str(raw.frame[name].dtype) == "boolean":
            item = replace(item, labels=item.labels or {0: "no", 1: "yes"})
        entry = dict(book.get(name, {}))
        for what in entry.keys() & {"labels", "missing"}:
            given = entry[what]
            if what == "missing":
                given = reasons(given, "missing")
            if isinstance(given, Mapping):
                entry[what] = {code_in(c, values): text for c, text in given.items()}
        items[name] = with_book(item, entry)
        plain[name] = values
    return pd.DataFrame(plain, index=pd.RangeIndex(len(raw.frame))), items


def code_in(code: Any, answers: pd.Series) -> Any:
    """A code as its column writes it: 1 for "1" where that holds numbers, and the other way round.

    A .json file knows its codes as text only.
    """
    code = code_of(code)
    texts = answers.dtype == object and answers.map(lambda v: isinstance(v, str))
    if isinstance(code, str) and plain_number(code):
        number = code_of(float(code))
        if not np.all(texts) and not np.any(texts & (answers == code)):
            return number
    written = isinstance(code, int | float) and np.any(texts) and np.all(texts | answers.isna())
    return str(code) if written and (answers == str(code)).any() else code


def _plain(name: str, values: pd.Series) -> pd.Series:
    """Numbers as floats, texts as str, None where there is nothing; dates as they are."""
    values = values.reset_index(drop=True)
    kind = values.dtype.kind
    if kind in "biuf" and not isinstance(values.dtype, pd.CategoricalDtype):
        if kind in "iu" and not values.isna().any():
            return values.astype(values.dtype.name.lower())
        return pd.Series(values.to_numpy(dtype=float, na_value=np.nan), name=name)
    if kind in "Mm":
        return values
    out = values.astype(object).where(values.notna(), None)
    for row, value in out.items():
        if not (value is None or isinstance(value, (str, int, float, np.number, *_DATES))):
            raise ValueError(
                f"column {name!r}: row {row} holds a {type(value).__name__}, {shown(value)}; it "
                "must hold numbers, text or dates"
            )
    texts = [(v.strip() or None) if isinstance(v, str) else v for v in out]
    return pd.Series(texts, dtype=object, name=name)


class Reading:
    """One file on its way to a survey: what it does to each column, and what it noticed."""

    def __init__(
        self, file: str, frame: pd.DataFrame, items: dict[str, SurveyItem], raw: RawSurvey,
        missing: Any, keep: Any, said: Set[str],
    ) -> None:  # fmt: skip
        self.file, self.frame, self.items, self.raw = file, frame, items, raw
        self.missing, self.keep = missing or {}, keep or {}
        self.said = said  # whose scale the code book says
        self.notes: list[str] = []
        self.special: Sequence[str | None] = ()

    def read(
        self, sets: Mapping[str, RawSet], special: Sequence[str | None]
    ) -> tuple[pd.DataFrame, dict[str, SurveyItem], pd.DataFrame]:
        """People, items and the table of reasons."""
        self.special = special
        for name in filter(None, special):
            one_of(name, "column", list(self.frame))
        people, gone, open_codes = {}, [], []
        members = {m for found in sets.values() for m in found.columns if found.ticked is not None}
        for name in self.frame:
            answers, absent = self._without_missing(name)
            gone += absent
            answers = self._one_type(name, answers)
            if answers.dtype.kind in "Mm":
                self.items[name] = replace(self.items[name], scale="other")
            if ids := name in special[1:]:
                self.items[name] = replace(self.items[name], scale="other")
            if name not in members and answers.dtype.kind not in "Mm" and not ids:
                self.items[name] = self._scaled(name, answers)
                open_codes += list(doubts(name, self.items[name], answers, self._kept(name)))
            people[name] = self._numbered(answers)
            if answers.isna().all():
                self.notes.append(f"{name}: all {len(answers)} answers are missing")
        self._settled(open_codes)
        table = pd.DataFrame(people, index=self.frame.index)
        items = {}
        for name, item in self.items.items():
            seen = [code_of(v) for v in table[name].dropna().unique()] if name in table else []
            kept = set(seen) if self._kept(name) is True else set(self._kept_codes(name))
            extra = sorted((c for c in seen if c in kept), key=str)
            labels = {c: str(c) for c in extra if c not in item.labels}
            nominal = item.scale == "nominal" and item.labels
            items[name] = replace(item, labels={**item.labels, **labels}) if nominal else item
        for name, found in sets.items():
            item, ticks, notes = as_ticks(name, found, table, items)
            self.notes += notes
            table = pd.concat([table.drop(columns=list(found.columns)), ticks], axis=1)
            items = {n: i for n, i in items.items() if n not in found.columns} | {name: item}
        undeclared = [
            n for n, i in items.items()
            if i.scale == "nominal" and len(i.labels) > 2 and n not in self.raw.scaled
            and n not in self.said and self._numbered_labels(i.labels)
        ]  # fmt: skip
        if undeclared:
            self.notes.append(
                f"nominal, for no scale is declared: {', '.join(undeclared)}; where the labels are "
                f'steps, say so: book={{{undeclared[0]!r}: {{"scale": "ordinal"}}}}'
            )
        return table, items, self._reasons(gone)

    @staticmethod
    def _reasons(gone: Sequence[tuple[str, pd.Index, Any, str]]) -> pd.DataFrame:
        """The table of `Survey.missing` from the rows of each code."""
        parts = [
            pd.DataFrame({"column": name, "row": at, "code": pd.Series(code, at, dtype=object),
                          "reason": why}, at)
            for name, at, code, why in gone if len(at)
        ]  # fmt: skip
        if not parts:
            return pd.DataFrame(columns=list(MISSING))
        return pd.concat(parts, ignore_index=True)

    @staticmethod
    def _numbered_labels(labels: Mapping[Any, str]) -> bool:
        return all(isinstance(code, int | float) for code in labels)

    def _kept(self, name: str) -> Any:
        """Codes that are answers after all; True for all of them."""
        if not isinstance(self.keep, Mapping):
            return name in listed(self.keep, "keep") or ()
        return self._kept_codes(name)

    def _kept_codes(self, name: str) -> tuple[Any, ...]:
        if not isinstance(self.keep, Mapping):
            return ()
        codes = [c for key in (name, "*") for c in listed(self.keep.get(key, ()), "keep")]
        return tuple(code_in(c, self.frame[name]) for c in codes)

    def _without_missing(self, name: str) -> tuple[pd.Series, list[tuple[Any, ...]]]:
        """The column with NaN in place of missing codes, and a row of `missing` for each."""
        answers, item = self.frame[name], self.items[name]
        kept = self._kept_codes(name)
        own, every = (
            {
                code_in(c, answers): why
                for c, why in reasons(self.missing.get(key, ()), "missing").items()
            }
            for key in (name, "*")
        )
        if name in self.special or self._kept(name) is True:
            every = {}
        given = {c: why for c, why in every.items() if c not in kept} | own
        if both := [c for c in own if c in kept]:
            raise ValueError(f"{name}: {both[0]!r} is in missing= and in keep=; it must be in one")
        spans = self.raw.ranges.get(name, ())
        codes = {code_of(v) for v in answers.dropna().unique()} | set(item.labels)
        ranged = {c: DECLARED for c in sorted(codes, key=str) if any(_within(c, s) for s in spans)}
        declared = {c: why for c, why in {**ranged, **item.missing}.items() if c not in kept}
        declared |= {c: why for c, why in given.items() if c in codes}
        why = {c: item.labels.get(c, w) if w == DECLARED else w for c, w in declared.items()}
        labels = {c: t for c, t in item.labels.items() if c not in why}
        self.items[name] = replace(item, labels=labels, missing=why)
        rows: list[Any] = []
        gone = []
        for code, reason in why.items():
            at = answers.index[answers == code]
            rows += list(at)
            gone.append((name, at, code, reason))
        out = answers.astype(float) if rows and answers.dtype.kind in "iu" else answers.copy()
        out[rows] = None if out.dtype == object else np.nan
        return out, gone

    def _one_type(self, name: str, answers: pd.Series) -> pd.Series:
        """A column of one type; ValueError, naming the rows, for one of numbers and text."""
        if answers.dtype != object:
            return answers
        given = answers.dropna()
        if len(given) and all(isinstance(v, _DATES) for v in given):
            return answers
        texts, numbers = mixed_rows(answers)
        if not texts and len(given):
            return pd.to_numeric(answers)
        left = [row for row in texts if not says_missing(answers[row])]
        if numbers and (left or self._kept(name)):
            few = left or texts
            raise ValueError(
                f"{self.file}: column {name!r} holds numbers and text: {row_list(few)} hold "
                f"{shown(answers[few[0]])}; make them codes, or missing={{{name!r}: "
                f"[{shown(answers[few[0]])}]}}"
            )
        return answers

    def _scaled(self, name: str, answers: pd.Series) -> SurveyItem:
        """The item with its scale: the one declared, or what its codes and labels show."""
        item, given = self.items[name], answers.dropna()
        known = {c: t for c, t in item.labels.items() if not says_missing(t)}
        codes = sorted({code_of(v) for v in given.unique()}, key=str)
        text = any(isinstance(code, str) for code in codes)
        if item.scale == "other" or (len(given) and isinstance(given.iloc[0], _DATES)):
            return replace(item, scale="other")
        if text and item.scale == "numeric" and name in self.said:
            raise ValueError(f"{self.file}: column {name!r} is declared numeric and holds text")
        if text and not known:
            few = len(codes) <= min(MANY, max(len(given) / 2, 2))
            return replace(item, labels={c: c for c in codes}, scale=item.scale if name in self.said
                           else "nominal") if few else replace(item, scale="other")  # fmt: skip
        unlabelled = [c for c in codes if c not in item.labels]
        fixed = name in self.said or name in self.raw.scaled
        if len(known) < 2:
            if not fixed or item.scale == "numeric" or len(unlabelled) > MANY:
                return replace(item, scale="numeric")
            return replace(item, labels={**{c: str(c) for c in unlabelled}, **item.labels})
        if name in self.said or not self._numbered_labels(known):
            return item
        between = [c for c in unlabelled if not isinstance(c, str) and min(known) < c < max(known)]
        if len(between) > MANY:
            return replace(item, scale="numeric")
        steps = not fixed and len(known) <= 3 and len(between) >= len(known) - 1
        return replace(item, scale="ordinal") if item.scale == "numeric" or steps else item

    def _numbered(self, answers: pd.Series) -> pd.Series:
        if answers.dtype.kind == "f" and not answers.isna().any() and (answers % 1 == 0).all():
            return answers.astype(np.int64) if answers.abs().max() < 2**53 else answers
        return answers

    def _settled(self, found: list[Any]) -> None:
        """ValueError that lists every open code, and how to settle it."""
        if not found:
            return
        lines = [f"  {doubt}" for doubt in found[:ROWS_SHOWN]]
        if len(found) > ROWS_SHOWN:
            lines.append(f"  and {len(found) - ROWS_SHOWN} more")
        one = found[0]
        key, it = f"{{{one.column!r}: [{one.code!r}]}}", "it" if len(found) == 1 else "one"
        raise ValueError(
            f"{self.file}: {len(found)} code{'s' * (len(found) > 1)} must be settled:\n"
            + "\n".join(lines)
            + f"\nmissing={key}, or with a reason {{{one.code!r}: 'refused'}}, makes {it} missing "
            f"('*' for every column); keep={key} takes {it} as an answer; book= gives labels"
        )


def _within(code: Any, span: tuple[Any, Any]) -> bool:
    low, high = span
    same = isinstance(code, str) == isinstance(low, str)
    return same and bool(low <= code <= high)
