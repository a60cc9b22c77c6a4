"""From attributes to plain English, through a code book."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pandas as pd

from simkit.personas.codebook import VOICES, Attribute, CodeBook
from simkit.personas.margins import named
from simkit.templates import field_names, fill_one, is_missing, records_of
from simkit.types import column, framed, generator, listed, one_of, shown

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


def describe(design: pd.DataFrame, code_book: Mapping[str, Sequence[str]]) -> pd.Series:
    """Text of each design row: one sentence per attribute that the row has.

    Parameters
    ----------
    design : one row per prompt; a missing attribute (None, NaN) is left out, never invented.
        A column `wording` (integer), if present, picks the phrasing and the order of the
        sentences: wording 0 is the first phrasing in code-book order, every other number a fixed
        draw. Rows with the same wording differ in their attributes only. Draws may repeat each
        other: count the distinct texts before wordings serve as clusters for an interval.
    code_book : column -> phrasings (one, or several) with `{column}` fields, filled by the rule of
        `fill`. The first column stays in front.

    Returns
    -------
    Series of strings on the design's index. Raises ValueError if the design has no column of the
    code book or one twice, for a column without phrasings, a field that is no column, one that is
    missing where the attribute itself is not, and a wording that is no whole number.
    """
    framed(design, "the design")
    if not isinstance(code_book, Mapping):
        raise ValueError(f"code_book is {shown(code_book)}; it must be {{column: phrasings}}")
    columns = [c for c in code_book if c in design.columns]
    if not columns:
        names = ", ".join(map(str, code_book))
        raise ValueError(f"the design has none of the code book's columns: {names}")
    phrasings = {c: _sentences(c, code_book[c], design) for c in columns}

    def say(phrasing: str, name: Hashable, record: Mapping[Any, Any], row: Any) -> str:
        return fill_one(phrasing, record, row)

    return _told(design, phrasings, say, " ")


def _sentences(name: str, given: str | Sequence[str], design: pd.DataFrame) -> tuple[str, ...]:
    phrasings = (given,) if isinstance(given, str) else tuple(listed(given, f"{name}: phrasings"))
    if not phrasings:
        raise ValueError(f"{name}: there are no phrasings; at least one is needed")
    for phrasing in phrasings:
        for field in sorted(field_names(phrasing)):
            if field not in design:
                raise ValueError(
                    f"{name}: the design has no column for {{{field}}} in {phrasing!r}; "
                    f"its columns are: {', '.join(map(str, design.columns))}"
                )
    return phrasings


def render(
    people: pd.DataFrame,
    code_book: CodeBook,
    *,
    voice: str = "third",
    form: str = "profile",
    attributes: Sequence[str] | None = None,
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

    Returns
    -------
    Series of strings on the index of `people`: the code book's opening, if it has one, then what
    is known. Someone of whom nothing is known is the opening alone, or "" without one.

    Raises ValueError for an unknown voice, form or attribute, for an attribute that the book
    cannot say so, for a value that it does not have, naming attribute, row and legal values, and
    for people who are no frame or have a column twice.
    """
    framed(people, "the people")
    if not isinstance(code_book, CodeBook):
        raise ValueError(f"code_book is {shown(code_book)}; it must be a CodeBook (see describe)")
    line = _line(form, voice)
    names = _attributes(people, code_book, attributes)
    phrasings: dict[str, tuple[Any, ...]] = {}
    texts = code_book.texts(people[names])
    if code_book.opening.get(voice):
        texts[_OPENING] = code_book.opening[voice]
        phrasings[_OPENING] = (("{text}", "{text}", "{text}"),)
    for name in names:
        phrasings[name] = _phrasings(name, code_book[name], voice, line)

    def say(
        phrasing: tuple[str, str, str], name: Hashable, record: Mapping[Any, Any], row: Any
    ) -> str:
        told = {"text": record[name]}
        ask, said, first = phrasing[0], *(fill_one(p, told, row) for p in phrasing[1:])
        frame = "{say}" if name == _OPENING else line
        return fill_one(frame, {**told, "ask": ask, "say": said, "first": first}, row)

    if "wording" in people:
        texts["wording"] = people["wording"]
    return _told(texts, phrasings, say, " " if form == "profile" else "\n")


def _line(form: str, voice: str) -> str:
    """The line that each attribute becomes."""
    one_of(voice, "voice", VOICES)
    if not isinstance(form, str):
        raise ValueError(f"form is {shown(form)}; it must be text")
    if form in FORMS:
        return FORMS[form][voice]
    named = field_names(form)
    if not named or not named <= {*_FIELDS}:
        fields = ", ".join(f"{{{name}}}" for name in _FIELDS)
        raise ValueError(
            f"no form {form!r}; legal are {', '.join(FORMS)}, and a line with some of {fields}"
        )
    return form


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
    asked = [one_of(name, "attribute", code_book) for name in listed(asked, "attributes")]
    return list(dict.fromkeys(named(people, asked, "attributes", "the people have")))


def _phrasings(
    name: str, attribute: Attribute, voice: str, line: str
) -> tuple[tuple[str, str, str], ...]:
    """What the line's fields stand for in each phrasing: question, sentence, first person."""
    needed = field_names(line)
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


Say = Callable[[Any, Hashable, Mapping[Any, Any], Any], str]


def _told(
    design: pd.DataFrame,
    phrasings: Mapping[str, tuple[Any, ...]],
    say: Say,
    joint: str,
) -> pd.Series:
    """What each row says of the columns in `phrasings`, in the order of its wording.

    say : (phrasing, column, record, row) -> the text of one attribute. joint : put between.
    """
    columns, given = tuple(phrasings), tuple(phrasings.values())
    wordings = _wordings(design)
    plans = {w: _plan(columns, given, w) for w in dict.fromkeys(wordings)}
    texts = []
    for record, wording, row in zip(records_of(design), wordings, design.index, strict=True):
        order, phrasing = plans[wording]
        said = [c for c in order if not is_missing(record[c])]
        texts.append(joint.join(say(phrasing[c], c, record, row) for c in said))
    return pd.Series(texts, index=design.index, dtype=object)


def _wordings(design: pd.DataFrame) -> list[int]:
    if "wording" not in design:
        return [0] * len(design)
    numbers: list[float] = column(design["wording"], "wording").tolist()
    for number, row in zip(numbers, design.index.tolist(), strict=True):
        if not number.is_integer():
            raise ValueError(f"wording: row {row!r} holds {number}; wordings are whole numbers")
    return [int(number) for number in numbers]


@lru_cache(maxsize=10_000)
def _plan(
    columns: tuple[str, ...], phrasings: tuple[tuple[Any, ...], ...], wording: int
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Order of the columns and the phrasing of each, for one wording."""
    if wording == 0:
        return columns, {c: p[0] for c, p in zip(columns, phrasings, strict=True)}
    rng = generator(0, "wording", wording)
    order = (columns[0], *(columns[1 + i] for i in rng.permutation(len(columns) - 1)))
    return order, {c: p[rng.integers(len(p))] for c, p in zip(columns, phrasings, strict=True)}
