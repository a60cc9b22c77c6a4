"""Surface forms of alternatives, and where a text mentions them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simkit.questions import check_options
from simkit.types import listed, shown

__all__ = ["Alternatives", "Mention", "Wanted", "joined", "surface_forms"]

Alternatives = Sequence[str] | Mapping[str, str | Sequence[str]]


@dataclass(frozen=True)
class Mention:
    """Characters [start, end) of a text that are a form of `alternative`."""

    start: int
    end: int
    alternative: str


@dataclass(frozen=True)
class Wanted:
    """Forms to look for, compiled once for many texts."""

    forms: tuple[tuple[re.Pattern[str], str], ...]
    whole_words: bool

    @classmethod
    def of(cls, alternatives: Alternatives, whole_words: bool) -> Wanted:
        """The forms of the alternatives."""
        pairs = [(f, name) for name, some in surface_forms(alternatives).items() for f in some]
        # A lookahead finds mentions that overlap, too: `mentions` decides which of them count.
        sought = tuple((re.compile(f"(?=({re.escape(form)}))"), name) for form, name in pairs)
        return cls(sought, whole_words)

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


def surface_forms(alternatives: Alternatives) -> dict[str, tuple[str, ...]]:
    """The surface forms of each alternative: {name: forms}.

    alternatives : names that are their own forms, or {name: form or forms}; a name is a form of
    itself only if it is listed. Case counts: list "PAMPERS" beside "Pampers" if both may stand.

    Raises ValueError for fewer than two alternatives, for an empty form or one with blanks around
    it, and for a form of two alternatives.
    """
    if isinstance(alternatives, str):
        raise ValueError(f"alternatives must be a list or a mapping, not {alternatives!r}")
    names = listed(list(alternatives) if isinstance(alternatives, Mapping) else alternatives,
                   "alternatives")  # fmt: skip
    check_options(names)
    owner: dict[str, str] = {}
    forms: dict[str, tuple[str, ...]] = {}
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
            if owner.setdefault(form, name) != name:
                raise ValueError(f"form {form!r} stands for two alternatives")
        forms[name] = tuple(dict.fromkeys(own))
    return forms


def joined(left: str, right: str) -> bool:
    """Whether a word runs on from one string into the other: letters, digits, their marks."""
    edges = (left[-1:], right[:1])
    return all(c.isalnum() or (c and unicodedata.category(c)[0] == "M") for c in edges)


def _whole(text: str, start: int, end: int) -> bool:
    return not any(joined(text[max(at - 1, 0) : at], text[at : at + 1]) for at in (start, end))
