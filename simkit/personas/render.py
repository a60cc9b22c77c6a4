"""From attributes to plain English, through a code book."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pandas as pd

from simkit.personas.codebook import VOICES, Attribute, CodeBook
from simkit.personas.margins import columns_of
from simkit.templates import field_names, fill_one, is_missing, records_of
from simkit.types import column, framed, generator, invalid_row, listed, one_of, typed

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
    design : DataFrame
        One row per prompt; a missing attribute (None, NaN) is left out, never invented. A column
        `wording` (integer), if present, picks the phrasing and the order of the sentences: wording
        0 is the first phrasing in code-book order, every other number a fixed random draw. Rows
        with the same wording differ in their attributes only. Draws may repeat each other: count
        the distinct texts before wordings serve as clusters for an interval.
    code_book : mapping
        Column -> phrasings (one, or several) with `{column}` fields, filled by the rule of `fill`.
        The first column stays in front.

    Returns
    -------
    Series
        Strings on the design's index.

    Raises
    ------
    ValueError
        If the design has no column of the code book or one twice, for a column without phrasings,
        a field that is not a column, one that is missing where the attribute itself is not, and a
        wording that is not a whole number.

    Examples
    --------
    >>> design = pd.DataFrame({"product": ["tea", "tea"], "price": [2.5, None]})
    >>> book = {"product": "A shopper looks at {product}.", "price": "It costs ${price:.2f}."}
    >>> describe(design, book).tolist()
    ['A shopper looks at tea. It costs $2.50.', 'A shopper looks at tea.']
    """
    framed(design, "the design")
    typed(code_book, "code_book", Mapping, "{column: phrasings}")
    columns = [c for c in code_book if c in design.columns]
    if not columns:
        names = ", ".join(map(str, code_book))
        raise ValueError(f"the design has none of the code book's columns: {names}")
    phrasings = {c: _sentences(c, code_book[c], design) for c in columns}

    def say(phrasing: str, name: Hashable, record: Mapping[Any, Any], row: Any) -> str:
        return fill_one(phrasing, record, row)

    return _texts(design, phrasings, say, " ")


def _sentences(name: str, entry: str | Sequence[str], design: pd.DataFrame) -> tuple[str, ...]:
    phrasings = (entry,) if isinstance(entry, str) else tuple(listed(entry, f"{name}: phrasings"))
    if not phrasings:
        raise ValueError(f"{name}: there are no phrasings; at least one is needed")
    for phrasing in phrasings:
        columns_of(design, sorted(field_names(phrasing)), name, f"{name}, {phrasing!r}")
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
    people : DataFrame
        One row per person. A missing attribute (None, NaN, NA) is left out, never invented;
        columns that the code book does not have are not told. A column `wording` picks phrasing
        and order as in :func:`describe`.
    code_book : CodeBook
        The attributes: what their values are called, and the sentences that tell them.
    voice : str
        "third" ("The respondent is …"), "second" ("You are …") or "first" ("I am …").
    form : str
        "profile", sentences in a row; "interview", one question and answer per attribute; or a
        line for each attribute, with the fields {ask} (the code book's question), {say} (its
        sentence in this voice), {first} (its sentence in the first person) and {text} (the bare
        value): "Q: {ask}\\nA: {text}".
    attributes : sequence of str, optional
        Which are told, and in which order; None for all of the code book that the people have, in
        its order.

    Returns
    -------
    Series
        Strings on the index of `people`: the code book's opening, if it has one, then what is
        known. Someone of whom nothing is known is the opening alone, or "" without one.

    Raises
    ------
    ValueError
        For an unknown voice, form or attribute, for an attribute without a sentence in this voice,
        for a value that the book does not have, naming attribute, row and values, and for people
        who are not a frame or have a column twice.

    Examples
    --------
    >>> from simkit.personas import ANES96
    >>> people = pd.DataFrame({"age": [34, 71], "vote": [0, None]})
    >>> render(people, ANES96, voice="second")[0]
    'It is 1996, and you are an American adult. You are 34 years old. You expect to vote for Bill \
Clinton.'
    >>> print(render(people, ANES96, form="interview")[1])
    A survey of American adults in 1996.
    Interviewer: How old are you?
    Respondent: I am 71 years old.
    """
    framed(people, "the people")
    typed(code_book, "code_book", CodeBook, "a CodeBook (see describe for plain phrasings)")
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
        text = {"text": record[name]}
        third, first = (fill_one(sentence, text, row) for sentence in phrasing[1:])
        template = "{say}" if name == _OPENING else line
        return fill_one(template, {**text, "ask": phrasing[0], "say": third, "first": first}, row)

    if "wording" in people:
        texts["wording"] = people["wording"]
    return _texts(texts, phrasings, say, " " if form == "profile" else "\n")


def _line(form: str, voice: str) -> str:
    """The line that each attribute becomes."""
    one_of(voice, "voice", VOICES)
    if typed(form, "form", str, "text") in FORMS:
        return FORMS[form][voice]
    fields = field_names(form)
    if not fields or not fields <= {*_FIELDS}:
        known = ", ".join(f"{{{name}}}" for name in _FIELDS)
        forms = ", ".join(FORMS)
        raise ValueError(f"no form {form!r}; there are: {forms}, and a line with some of {known}")
    return form


def _attributes(
    people: pd.DataFrame, code_book: CodeBook, asked: Sequence[str] | None
) -> list[str]:
    if asked is not None:
        asked = [one_of(name, "attribute", code_book) for name in listed(asked, "attributes")]
        return list(dict.fromkeys(columns_of(people, asked, "attributes", "the people")))
    names = [name for name in code_book if name in people]
    if not names:
        known = ", ".join(code_book)
        raise ValueError(f"the people have none of the code book's attributes: {known}")
    return names


def _phrasings(
    name: str, attribute: Attribute, voice: str, line: str
) -> tuple[tuple[str, str, str], ...]:
    """Each phrasing of an attribute: question, sentence in this voice, sentence in the first."""
    sentences = {"say": attribute.phrasings(voice), "first": attribute.first}
    needed = field_names(line)
    if "ask" in needed and not attribute.ask:
        raise ValueError(f"{name}: the code book has no question")
    for field, person in (("say", voice), ("first", "first")):
        if field in needed and not sentences[field]:
            raise ValueError(f"{name}: the code book has no sentence in the {person} person")
    say, first = ((lines or ("",)) for lines in sentences.values())
    count = max(len(lines or ("",)) if f in needed else 1 for f, lines in sentences.items())
    return tuple((attribute.ask, say[i % len(say)], first[i % len(first)]) for i in range(count))


def _texts(
    design: pd.DataFrame,
    phrasings: Mapping[str, tuple[Any, ...]],
    say: Callable[[Any, Hashable, Mapping[Any, Any], Any], str],
    separator: str,
) -> pd.Series:
    """The text of each row, from the columns in `phrasings`, in the order of its wording.

    say : (phrasing, column, record, row) -> the text of one attribute.
    """
    wordings = [0] * len(design)
    if "wording" in design:
        wordings = column(design["wording"], "wording").tolist()
    for row, wording in zip(design.index, wordings, strict=True):
        if wording != int(wording):
            raise invalid_row("wording", row, wording, "a whole number")
    texts = []
    for record, wording, row in zip(records_of(design), wordings, design.index, strict=True):
        order, chosen = _plan(tuple(phrasings), tuple(phrasings.values()), int(wording))
        known = [name for name in order if not is_missing(record[name])]
        texts.append(separator.join(say(chosen[name], name, record, row) for name in known))
    return pd.Series(texts, index=design.index, dtype=object)


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
