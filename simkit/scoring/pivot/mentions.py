"""Surface forms of alternatives, and where a text mentions them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simkit.questions import check_options
from simkit.types import listed, shown

__all__ = ["Alternatives", "Mention", "Wanted", "joined", "surface_forms", "wanted"]

Alternatives = Sequence[str] | Mapping[str, str | Sequence[str]]


@dataclass(frozen=True)
class Mention:
    """Characters [start, end) of a text that are a form of `alternative` (None: an outsider's)."""

    start: int
    end: int
    alternative: str | None


@dataclass(frozen=True)
class Wanted:
    """Forms to look for, compiled once for many texts."""

    names: tuple[str, ...]
    forms: tuple[tuple[re.Pattern[str], str | None], ...]
    whole_words: bool

    def mentions(self, text: str) -> list[Mention]:
        """All mentions in order, without those that begin inside another.

        Of those that begin at one place the longest counts.
        """
        found = [
            Mention(*match.span(1), alternative)
            for form, alternative in self.forms
            for match in form.finditer(text)
            if not self.whole_words or _whole(text, *match.span(1))
        ]
        kept: list[Mention] = []
        for mention in sorted(found, key=lambda m: (m.start, -m.end)):
            if not kept or mention.start >= kept[-1].end:
                kept.append(mention)
        return kept

    def at(self, text: str, offset: int) -> Mention | None:
        """The longest mention that begins at `offset`, whatever stands before it."""
        here = [
            Mention(*match.span(1), alternative)
            for form, alternative in self.forms
            if (match := form.match(text, offset))
            and not (self.whole_words and joined(match[1], text[match.end(1) :]))
        ]
        return max(here, key=lambda m: m.end, default=None)


def wanted(
    alternatives: Alternatives, outside: Sequence[str], ignore_case: bool, whole_words: bool
) -> Wanted:
    """What to look for: the forms of the alternatives, and `outside` forms of no alternative."""
    forms = surface_forms(alternatives, ignore_case=ignore_case)
    if isinstance(outside, str):
        raise ValueError(f"outside must be a list of forms, not the string {outside!r}")
    outside = listed(outside, "outside")
    owner: dict[str, str | None] = {form: name for name, some in forms.items() for form in some}
    for form in outside:
        if not isinstance(form, str) or not form.strip():
            raise ValueError(f"outside form {shown(form)} is empty or not text")
        if owner.setdefault(form, None) is not None:
            raise ValueError(f"outside form {form!r} is a form of {owner[form]!r}")
    flags = re.IGNORECASE if ignore_case else re.NOFLAG
    # A lookahead finds mentions that overlap, too: `mentions` decides which of them count.
    sought = tuple((re.compile(f"(?=({re.escape(f)}))", flags), k) for f, k in owner.items())
    return Wanted(tuple(forms), sought, whole_words)


def surface_forms(
    alternatives: Alternatives, *, ignore_case: bool = False
) -> dict[str, tuple[str, ...]]:
    """The surface forms of each alternative: {name: forms}.

    alternatives : names that are their own forms, or {name: form or forms}; a name is a form of
    itself only if it is listed. ignore_case : adds each form in lower case, in upper case and
    with a capital first letter.

    Raises ValueError for fewer than two alternatives, for an empty form or one with blanks around
    it, and for a form of two alternatives (whatever its case, if `ignore_case`).
    """
    if isinstance(alternatives, str):
        raise ValueError(f"alternatives must be a list or a mapping, not {alternatives!r}")
    if not isinstance(ignore_case, bool | np.bool_):
        raise ValueError(f"ignore_case is {shown(ignore_case)}; it must be True or False")
    names = listed(list(alternatives) if isinstance(alternatives, Mapping) else alternatives,
                   "alternatives")  # fmt: skip
    check_options(names)
    owner: dict[str, str] = {}
    forms: dict[str, tuple[str, ...]] = {}
    cases = (str, str.lower, str.upper, _capital) if ignore_case else (str,)
    for name in names:
        given = alternatives[name] if isinstance(alternatives, Mapping) else name
        own = [given] if isinstance(given, str) else listed(given, f"alternative {name!r}: forms")
        if not own:
            raise ValueError(f"alternative {name!r} has no form")
        for form in own:
            if not isinstance(form, str) or not form or form != form.strip():
                raise ValueError(
                    f"alternative {name!r}: form {shown(form)} is empty, or has blanks around it"
                )
            if owner.setdefault(form.casefold() if ignore_case else form, name) != name:
                raise ValueError(f"form {form!r} stands for two alternatives")
        forms[name] = tuple(dict.fromkeys(case(form) for form in own for case in cases))
    return forms


def _capital(form: str) -> str:
    return form[:1].upper() + form[1:]


def joined(left: str, right: str) -> bool:
    """Whether a word runs on from one string into the other: letters, digits, their marks."""
    edges = (left[-1:], right[:1])
    return all(c.isalnum() or (c and unicodedata.category(c)[0] == "M") for c in edges)


def _whole(text: str, start: int, end: int) -> bool:
    return not any(joined(text[max(at - 1, 0) : at], text[at : at + 1]) for at in (start, end))
