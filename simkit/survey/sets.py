"""Check-all-that-apply questions: several columns of a file become one item of 0/1 columns."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from simkit.survey.files import RawSet, row_list
from simkit.survey.item import SurveyItem, code_of
from simkit.templates import is_missing

__all__ = ["as_ticks"]

_NOT = {0, 2}  # codes of an option that was not ticked, where 1 is a tick
_DENIAL = re.compile(
    r"no|nein|non|false|0|(not |un)(check|tick|select|mark|quot)ed|not (chosen|mentioned)",
    re.IGNORECASE,
)


def as_ticks(
    name: str, found: RawSet, frame: pd.DataFrame, items: Mapping[str, SurveyItem]
) -> tuple[SurveyItem, pd.DataFrame, list[str]]:
    """The item, its columns "name: option" (1 ticked, 0 not, NaN not asked), and notes.

    frame : codes, NaN where they are missing. Where a tick is all that columns hold, who ticked
    nothing cannot be told from who was not asked: NaN, with a note. Raises ValueError for codes
    that are neither a tick nor its absence, naming column and rows.
    """
    members = list(found.columns)
    if found.ticked is None:
        return _by_codes(name, found, frame, items)
    ticks = pd.concat([_ticked(c, frame[c], items[c], found.ticked) for c in members], axis=1)
    notes = []
    if not (ticks == 0).any(axis=None):
        asked = ticks.notna().any(axis=1)
        ticks = ticks.fillna(0.0).where(asked)
        if not asked.all():
            notes = [
                f"{name}: {(~asked).sum()} people ticked nothing, or were not asked: their columns "
                "hold ticks only, so they count as not asked"
            ]
    text, options = _named(name, found, members, items)
    item = SurveyItem(text, dict(zip(members, options, strict=True)), "multi-select")
    return item, ticks.set_axis([f"{name}: {o}" for o in options], axis=1), notes


def _by_codes(
    name: str, found: RawSet, frame: pd.DataFrame, items: Mapping[str, SurveyItem]
) -> tuple[SurveyItem, pd.DataFrame, list[str]]:
    """Columns that hold the codes of the options ticked: first mention, second mention, …"""
    members = list(found.columns)
    labels = {
        c: t for m in members for c, t in items[m].labels.items() if c not in items[m].missing
    }
    if len(set(labels.values())) < len(labels):
        texts = list(labels.values())
        alike = [c for c, t in labels.items() if texts.count(t) > 1]
        raise ValueError(
            f"the check-all-that-apply question {name!r}: the codes {', '.join(map(repr, alike))} "
            f"are called alike, {labels[alike[0]]!r}; book= gives them other texts"
        )
    for member in members:
        odd = frame[member][frame[member].notna() & ~frame[member].isin(list(labels))]
        if len(odd):
            raise ValueError(
                f"column {member!r} of a check-all-that-apply question: {row_list(odd.index)} hold "
                f"{code_of(odd.iloc[0])!r}, which no label explains; book= gives it one, missing= "
                "makes it missing"
            )
    asked = frame[members].notna().any(axis=1)
    ticks = {
        f"{name}: {text}": (frame[members] == code).any(axis=1).astype(float).where(asked)
        for code, text in labels.items()
    }
    item = SurveyItem(found.text or name, labels, "multi-select")
    return item, pd.DataFrame(ticks, frame.index), []


def _ticked(name: str, column: pd.Series, item: SurveyItem, ticked: object) -> pd.Series:
    codes = {code_of(v) for v in column.dropna()}
    said = {**{c: c for c in codes if isinstance(c, str)}, **item.labels}
    denied = {c for c, text in said.items() if _DENIAL.fullmatch(text)}
    if ticked == 1 and 1 not in codes - denied:
        ticks = said.keys() - denied
        if len(ticks) == 1:  # 1 no, 2 yes; or the option's own text where it was ticked
            ticked = next(iter(ticks))
        elif codes and codes <= denied:  # nobody ticked it
            return pd.Series(np.where(column.isna(), np.nan, 0.0), column.index, name=name)
    rest = codes - {ticked}
    if len(rest) > 1 or not rest <= (_NOT if ticked == 1 else rest):
        bad = next(iter(sorted(rest - _NOT, key=str)), max(rest, key=str))
        rows = [row for row, v in column.items() if not is_missing(v) and code_of(v) == bad]
        raise ValueError(
            f"column {name!r} of a check-all-that-apply question: {row_list(rows)} hold {bad!r}; "
            f"it must be {ticked!r} where the option was ticked, else one other code or nothing"
        )
    values = np.where(column.isna(), np.nan, [float(code_of(v) == ticked) for v in column])
    return pd.Series(values, column.index, name=name)


def _named(
    name: str, found: RawSet, members: list[str], items: Mapping[str, SurveyItem]
) -> tuple[str, list[str]]:
    """The question, and the options' texts: what all columns' labels share is the question."""
    texts = [items[m].text for m in members]
    alike = [len(set(column)) == 1 for column in zip(*texts, strict=False)]
    shared = texts[0][: ([*alike, False]).index(False)]
    cut = max(shared.rfind(m) + len(m) if m in shared else 0 for m in ("? ", ": ", "- "))
    options = [t[cut:].strip() for t in texts]
    if len(set(options)) < len(options) or "" in options:
        options = members
    return found.text or shared[:cut].rstrip(" :-") or name, options
