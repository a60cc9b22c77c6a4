"""From attributes to plain English, through a code book."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from string import Formatter
from typing import Any

import pandas as pd

from simkit.personas.codebook import VOICES, Attribute, CodeBook
from simkit.types import generator

__all__ = ["FORMS", "describe", "render"]

# form -> voice -> the line that each attribute becomes. In an interview the respondent always
# speaks in the first person; the voice says who that is to the reader.
FORMS: dict[str, dict[str, str]] = {
    "profile": dict.fromkeys(VOICES, "{say}"),
    "interview": {
        "third": "Interviewer: {ask}\nRespondent: {first}",
        "second": "Interviewer: {ask}\nYou: {first}",
        "first": "Interviewer: {ask}\nMe: {first}",
    },
}
_FIELDS = ("ask", "say", "first", "text")
_OPENING = "\0"  # no attribute is called that


def describe(
    design: pd.DataFrame, code_book: Mapping[str, Sequence[str]], *, seed: int = 0
) -> pd.Series:
    """Text of each design row: one sentence per attribute that the row has.

    Parameters
    ----------
    design : one row per prompt; a missing attribute (None, NaN) is left out, never invented.
        A column `wording` (integer), if present, picks the phrasing and the order of the
        sentences: wording 0 is the first phrasing in code-book order, every other number a fixed
        draw. Rows with the same wording differ in their attributes only, so wordings can serve
        as clusters for an interval.
    code_book : column -> phrasings with `{column}` fields. The first column stays in front.
    seed : seed of the wordings.

    Returns
    -------
    Series of strings on the design's index. Raises ValueError if the design has no column of the
    code book.
    """
    columns = [c for c in code_book if c in design.columns]
    if not columns:
        raise ValueError(f"the design has none of the code book's columns: {', '.join(code_book)}")
    phrasings = {c: tuple(code_book[c]) for c in columns}
    return _told(design, phrasings, lambda p, _, record: str(p.format_map(record)), " ", seed)


def render(
    people: pd.DataFrame,
    code_book: CodeBook,
    *,
    voice: str = "third",
    form: str = "profile",
    attributes: Sequence[str] | None = None,
    seed: int = 0,
) -> pd.Series:
    """Text of each person, every word of it from the code book.

    Parameters
    ----------
    people : one row per person. A missing attribute (None, NaN, NA) is left out, never invented;
        columns that the code book does not have are not told. A column `wording` picks phrasing
        and order as in `describe`.
    voice : "third" ("The respondent is …"), "second" ("You are …") or "first" ("I am …").
    form : "profile", sentences in a row; "interview", one question and answer per attribute; or
        a line of one's own for each attribute, with the fields {ask} (the code book's question),
        {say} (its sentence in this voice), {first} (its sentence in the first person) and {text}
        (the bare value): "Q: {ask}\\nA: {text}".
    attributes : which are told, and in which order; None for all of the code book that the people
        have, in its order.
    seed : seed of the wordings.

    Returns
    -------
    Series of strings on the index of `people`: the code book's opening, if it has one, then what
    is known. Someone of whom nothing is known is the opening alone, or "" without one.

    Raises ValueError for an unknown voice, form or attribute, for an attribute that the book
    cannot say so, and for a value that it does not have, naming attribute, row and legal values.
    """
    line = _line(form, voice)
    names = _attributes(people, code_book, attributes)
    phrasings: dict[str, tuple[Any, ...]] = {}
    texts = code_book.texts(people[names])
    if code_book.opening.get(voice):
        texts[_OPENING] = code_book.opening[voice]
        phrasings[_OPENING] = (("{text}", "{text}", "{text}"),)
    for name in names:
        phrasings[name] = _phrasings(name, code_book[name], voice, line)

    def say(phrasing: tuple[str, str, str], name: Hashable, record: Mapping[Any, Any]) -> str:
        ask, said, first = phrasing
        text = record[name]
        frame = "{say}" if name == _OPENING else line
        return frame.format(
            ask=ask, say=said.format(text=text), first=first.format(text=text), text=text
        )

    if "wording" in people:
        texts["wording"] = people["wording"]
    return _told(texts, phrasings, say, " " if form == "profile" else "\n", seed)


def _line(form: str, voice: str) -> str:
    """The line that each attribute becomes."""
    if voice not in VOICES:
        raise ValueError(f"no voice {voice!r}; legal are {', '.join(VOICES)}")
    if form in FORMS:
        return FORMS[form][voice]
    named = _fields(form)
    if not named or not named <= {*_FIELDS}:
        fields = ", ".join(f"{{{name}}}" for name in _FIELDS)
        raise ValueError(
            f"no form {form!r}; legal are {', '.join(FORMS)}, and a line with some of {fields}"
        )
    return form


def _fields(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def _attributes(
    people: pd.DataFrame, code_book: CodeBook, asked: Sequence[str] | None
) -> list[str]:
    if asked is None:
        found = [name for name in code_book if name in people]
        if not found:
            raise ValueError(
                f"the people have none of the code book's attributes: {', '.join(code_book)}"
            )
        return found
    for name in asked:
        if name not in code_book:
            raise ValueError(f"no attribute {name!r} in the code book: {', '.join(code_book)}")
        if name not in people:
            columns = ", ".join(map(str, people.columns))
            raise ValueError(f"the people have no column {name!r}; there are: {columns}")
    return list(dict.fromkeys(asked))


def _phrasings(
    name: str, attribute: Attribute, voice: str, line: str
) -> tuple[tuple[str, str, str], ...]:
    """What the line's fields stand for in each phrasing: question, sentence, first person."""
    needed = _fields(line)
    said, first = attribute.phrasings(voice), attribute.first
    for field, there in (("ask", attribute.ask), ("say", said), ("first", first)):
        if field in needed and not there:
            what = {"ask": "question", "say": f"sentence in the {voice} person"}
            raise ValueError(
                f"{name}: the code book has no {what.get(field, 'sentence in the first person')}"
            )
    said, first = said or ("",), first or ("",)
    many = max(len(said) if "say" in needed else 1, len(first) if "first" in needed else 1)
    return tuple((attribute.ask, said[i % len(said)], first[i % len(first)]) for i in range(many))


Say = Callable[[Any, Hashable, Mapping[Any, Any]], str]


def _told(
    design: pd.DataFrame,
    phrasings: Mapping[str, tuple[Any, ...]],
    say: Say,
    joint: str,
    seed: int,
) -> pd.Series:
    """What each row says of the columns in `phrasings`, in the order of its wording.

    say : (phrasing, column, record) -> the text of one attribute. joint : put between attributes.
    """
    columns = tuple(phrasings)
    wordings = design["wording"] if "wording" in design else pd.Series(0, index=design.index)
    given = tuple(phrasings.values())
    plans = {w: _plan(columns, given, int(w), seed) for w in wordings.unique()}
    texts = []
    for record, wording in zip(design.to_dict("records"), wordings, strict=True):
        order, phrasing = plans[wording]
        said = [c for c in order if not _missing(record.get(c))]
        texts.append(joint.join(say(phrasing[c], c, record) for c in said))
    return pd.Series(texts, index=design.index, dtype=object)


@lru_cache(maxsize=10_000)
def _plan(
    columns: tuple[str, ...], phrasings: tuple[tuple[Any, ...], ...], wording: int, seed: int
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Order of the columns and the phrasing of each, for one wording."""
    if wording == 0:
        return columns, {c: p[0] for c, p in zip(columns, phrasings, strict=True)}
    rng = generator(seed, "wording", wording)
    order = (columns[0], *(columns[1 + i] for i in rng.permutation(len(columns) - 1)))
    return order, {c: p[rng.integers(len(p))] for c, p in zip(columns, phrasings, strict=True)}


def _missing(value: Any) -> bool:
    return value is None or value != value
