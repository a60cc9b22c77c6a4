"""Answers that came in parts: server-sent events, and lists of parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simkit.scoring.pivot.payloads import families
from simkit.scoring.pivot.payloads.layout import Body, Family

__all__ = ["Streamed", "events", "is_events", "together"]

_FIELDS = ("data:", "event:", "id:", "retry:", ":")


@dataclass(frozen=True)
class Streamed:
    """The parts of one answer. family : the interface they come from."""

    family: Family
    parts: Sequence[Body]

    def whole(self, run: str) -> Body:
        """The response that they are together; ValueError if its end is missing."""
        return self.family.join(self.parts, run)


def together(payloads: Iterable[tuple[Any, str]]) -> Iterator[tuple[Any, str]]:
    """Payloads, those that are parts of one stream as one `Streamed`, at the place of the first."""
    family: Family | None = None
    parts: list[Body] = []
    begun = ""
    for given, place in payloads:
        body = _body(given)
        if family and _follows(family, body, parts):
            parts.append(body)
            continue
        if family:
            yield Streamed(family, parts), begun
        family = next((each for each in families() if _follows(each, body, [])), None)
        parts, begun = [body], place
        if family is None:
            yield given, place
    if family:
        yield Streamed(family, parts), begun


def _body(payload: Any) -> Body:
    """The fields of a payload; none of what is no mapping."""
    try:
        payload = payload.model_dump() if hasattr(payload, "model_dump") else payload
    except (AttributeError, TypeError):
        return {}  # its reader says what is wrong
    return payload if isinstance(payload, Mapping) else {}


def _follows(family: Family, body: Body, parts: Sequence[Body]) -> bool:
    try:
        return family.follows(body, parts)
    except (TypeError, ValueError):  # values that cannot be compared
        return False


def is_events(text: str) -> bool:
    """Whether a text is of server-sent events."""
    return text.lstrip().startswith(_FIELDS)


def events(text: str) -> Iterator[tuple[str, int]]:
    """The data of each event, with the number of its first line; "[DONE]" is none.

    An event ends at a blank line; the lines of its data belong together.
    """
    data: list[str] = []
    first = 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.startswith("data:"):
            first = first if data else number
            data.append(line[5:].removeprefix(" "))
        elif not line.strip() and data:
            whole = "\n".join(data)
            if whole.strip() not in ("", "[DONE]"):
                yield whole, first
            data = []
