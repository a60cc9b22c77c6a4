"""Surface forms of alternatives, and where a text mentions them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from simkit.questions import check_options
from simkit.types import listed, shown

__all__ = ["Alternatives", "Mention", "joined", "mentions_of", "surface_forms"]

Alternatives = Sequence[str] | Mapping[str, str | Sequence[str]]


class Mention(NamedTuple):
    """Characters [start, end) of a text that are a form of `alternative`."""

    start: int
    end: int
    alternative: str


def mentions_of(
    forms: Mapping[str, Sequence[str]], texts: Sequence[str], whole_words: bool
) -> list[list[Mention]]:
    """All mentions in each text, in order; `forms` as `surface_forms` gives them.

    Of those that begin at one place the longest counts; those that begin inside another are left
    out.
    """
    # A lookahead finds mentions that overlap, too: which of them count is decided below.
    patterns = [
        (re.compile(f"(?=({re.escape(form)}))"), name)
        for name, spellings in forms.items()
        for form in spellings
    ]
    return [_mentions(text, patterns, whole_words) for text in texts]


def _mentions(
    text: str, patterns: list[tuple[re.Pattern[str], str]], whole_words: bool
) -> list[Mention]:
    matches = [
        Mention(*match.span(1), name)
        for pattern, name in patterns
        for match in pattern.finditer(text)
        if not (whole_words and any(joined(text[i - 1 : i], text[i:]) for i in match.span(1)))
    ]
    mentions: list[Mention] = []
    for mention in sorted(matches, key=lambda m: (m.start, -m.end)):
        if not mentions or mention.start >= mentions[-1].end:
            mentions.append(mention)
    return mentions


def surface_forms(alternatives: Alternatives) -> dict[str, tuple[str, ...]]:
    """The strings that count as each alternative.

    Parameters
    ----------
    alternatives : list of str, or dict
        Names that are their own forms, or {name: form or forms}; a name is a form of itself only
        if it is listed. Case matters: list "PAMPERS" beside "Pampers" if both may occur.

    Returns
    -------
    dict
        {name: tuple of forms}, each form once.

    Raises
    ------
    ValueError
        For fewer than two alternatives, for an empty form or one with blanks around it, and for a
        form of two alternatives.

    Examples
    --------
    >>> import simkit as sk
    >>> sk.scoring.surface_forms({"Pampers": ["Pampers", "PAMPERS"], "none": "neither"})
    {'Pampers': ('Pampers', 'PAMPERS'), 'none': ('neither',)}
    """
    if isinstance(alternatives, str):
        raise ValueError(f"alternatives must be a list or a mapping, not {alternatives!r}")
    by_name = isinstance(alternatives, Mapping)
    names = check_options(listed(list(alternatives) if by_name else alternatives, "alternatives"))
    owner: dict[str, str] = {}
    forms: dict[str, tuple[str, ...]] = {}
    for name in names:
        value = alternatives[name] if isinstance(alternatives, Mapping) else name
        label = f"alternative {name!r}"
        spellings = listed([value] if isinstance(value, str) else value, f"{label}: forms")
        if not spellings:
            raise ValueError(f"{label} has no form")
        for form in spellings:
            if not isinstance(form, str) or not form or form != form.strip():
                raise ValueError(f"{label}: form {shown(form)} is empty, or has blanks around it")
            if owner.setdefault(form, name) != name:
                raise ValueError(f"form {form!r} stands for two alternatives")
        forms[name] = tuple(dict.fromkeys(spellings))
    return forms


def joined(left: str, right: str) -> bool:
    """Whether a word runs on from one string into the other: letters, digits, their marks."""
    edges = (left[-1:], right[:1])
    return all(c.isalnum() or (c and unicodedata.category(c)[0] == "M") for c in edges)
