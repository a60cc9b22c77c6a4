"""Decisions: interfaces that are asked typed questions and answer with probabilities.

`/v1/decisions` is OpenAI's; vLLM, SGLang and several hosts serve it too. The probabilities are of
the options against each other: how much the model would rather say something else is hidden.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from simkit.scoring.inquiries import Beliefs, Inquiry
from simkit.scoring.remote.client import Client, Garbled, ServerError
from simkit.scoring.remote.names import served
from simkit.scoring.remote.typed import (
    COARSEST,
    FINEST,
    MOST_CHOICES,
    TRIAL,
    Asked,
    bounds,
    decimals_of,
)
from simkit.types import shown

__all__ = ["Decisions", "RefusedWarning"]

ABSENT = (400, 404, 405, 422, 501)  # of a server, or a model, that does not speak so


class RefusedWarning(UserWarning):
    """Questions that the interface declined to answer; their beliefs are NaN."""


@dataclass(eq=False)
class Decisions:
    """Beliefs by `/v1/decisions`, up to `batch` questions about the same input in a request.

    Hosts say that the questions of a request are answered independently of each other; of a model
    for which that is not so (Clef reads them all together), ask with ``batch=1``.
    """

    client: Client
    model: str
    batch: int = 400
    decimals: dict[str, int] = field(default_factory=dict)  # of each type, seen in the trial

    path: ClassVar[str] = "/v1/decisions"
    unscored: ClassVar[str] = (
        "is asked by a decision interface, which scores no text and hides the valid mass; "
        "believe works on it, and for the rest load the model itself or a server that scores"
    )
    template = None

    @classmethod
    def meet(cls, client: Client, model: str | None) -> Decisions | None:
        """The server's face, or None if it takes no such questions."""
        name = (served(client, model) or {}).get("id", model)
        if name is None:
            return None
        met = cls(client, name)
        try:
            found = client.post(cls.path, met._body(TRIAL[:1]), lambda answer: answer)
        except ServerError as error:
            if error.status not in ABSENT:
                raise
            return None
        return met if isinstance(found, Mapping) else None  # a server that answers anything

    @property
    def identity(self) -> dict[str, Any]:
        """What the numbers depend on beside server and model."""
        return {"interface": self.path, "batch": self.batch}

    def prove(self) -> dict[str, str]:
        """What the interface can do, from a question of each type.

        Its answers are in shape, and add up. Whether they are right cannot be told from outside.
        """
        found = self._answers(TRIAL)
        self.decimals = {a.kind: digits for a, (_, digits, _) in zip(TRIAL, found, strict=True)}
        worst = min(self.decimals.values())
        rounded = f"rounded to {worst} decimals" if worst < FINEST else "unrounded"
        told = "hidden" if any(math.isnan(mass) for _, _, mass in found) else "told"
        return {
            "scores": f"by {self.path}, of the options against each other, {rounded}",
            "valid mass": f"{told} by the interface",
        }

    def beliefs(self, asked: Sequence[Inquiry], again: int = 0) -> Beliefs:
        """See `simkit.scoring.Model`."""
        questions = [Asked.of(inquiry) for inquiry in asked]
        for i, ask in enumerate(questions):
            if len(ask.options) > MOST_CHOICES:
                raise ValueError(
                    f"row {i}: {len(ask.options)} options; a decision interface takes up to "
                    f"{MOST_CHOICES}, so ask in parts"
                )
        found = self._answers(questions)
        shape = len(asked), len(asked[0].options)
        belief, low, high = (np.full(shape, np.nan) for _ in range(3))
        mass, basis = np.full(shape[0], np.nan), ["refused"] * shape[0]
        for i, (ask, (values, decimals, held)) in enumerate(zip(questions, found, strict=True)):
            if values is None:
                continue
            sides = bounds(values, decimals)
            for table, side in zip((belief, low, high), sides, strict=True):
                table[i, list(ask.order)] = side
            mass[i], basis[i] = held, "decision"
        refused = [i for i, what in enumerate(basis) if what == "refused"]
        if refused:
            first = questions[refused[0]]
            warnings.warn(
                f"{self.model} refused {len(refused)} of {len(asked)} questions, whose beliefs are "
                f"NaN; the first is {shown(first.instructions)} about {shown(first.input)}",
                RefusedWarning, stacklevel=2,
            )  # fmt: skip
        return Beliefs(belief, low, high, mass, basis)

    def _answers(self, asks: Sequence[Asked]) -> list[tuple[list[float] | None, int, float]]:
        """Of each question: its options' probabilities in the order sent (None if it was refused),
        to how many decimals they were rounded, and the valid mass where the host tells it."""
        rows: dict[Asked, list[int]] = {}
        for i, ask in enumerate(asks):
            rows.setdefault(ask, []).append(i)
        parts = [*_parts(rows, self.batch)]
        bodies = [self._body(part) for part in parts]

        def read(j: int, content: Any) -> list[tuple[list[float] | None, int, float]]:
            part, found = parts[j], []
            with _named([rows[ask] for ask in part]):
                raw, masses = self._raw(part, content), self._masses(part, content)
            for ask, one in zip(part, raw, strict=True):
                with _named([rows[ask]], ask):
                    refused = one.get("type") == "refusal"
                    found.append(None if refused else self._values(ask, one))
            seen: dict[str, list[float]] = {ask.kind: [] for ask in part}
            for ask, values in zip(part, found, strict=True):
                seen[ask.kind] += values or []
            least = {kind: max(self.decimals.get(kind, COARSEST), decimals_of(values))
                     for kind, values in seen.items()}  # fmt: skip
            digits = [least[ask.kind] for ask in part]
            for ask, values in zip(part, found, strict=True):
                with _named([rows[ask]], ask):
                    _ = values is None or bounds(values, least[ask.kind])
            return [*zip(found, digits, masses, strict=True)]

        found = self.client.map(self.path, bodies, read) if bodies else []
        each = dict(zip((ask for part in parts for ask in part), (a for r in found for a in r),
                        strict=True))  # fmt: skip
        return [each[ask] for ask in asks]

    def _body(self, part: Sequence[Asked]) -> dict[str, Any]:
        questions = [{"name": f"q{j}", **self._question(ask)} for j, ask in enumerate(part)]
        return {"model": self.model, "input": part[0].input, "questions": questions}

    def _question(self, ask: Asked) -> dict[str, Any]:
        form: dict[str, Any] = {"type": ask.kind, "instructions": ask.instructions}
        if ask.kind == "choice":
            form["choices"] = [{"value": option} for option in ask.options]
        if ask.kind == "score":
            form["levels"] = [{"label": option} for option in ask.options]
        return form

    def _raw(self, part: Sequence[Asked], content: Any) -> list[dict[str, Any]]:
        """The answers as they came, one for each question, in their order."""
        answers = list(content["answers"])
        if len(answers) != len(part):
            raise Garbled(f"with {len(answers)} answers to {len(part)} questions")
        names = [answer.get("name") for answer in answers]
        expected = [f"q{j}" for j in range(len(part))]
        if any(n not in (None, e) for n, e in zip(names, expected, strict=True)):
            raise Garbled(f"to {names} where {expected} were asked")
        return answers

    def _values(self, ask: Asked, answer: Mapping[str, Any]) -> list[float]:
        """The options' probabilities, in the order sent."""
        of_type(answer, ask.kind)
        if ask.kind == "predicate":
            return pair_of(answer["probability"])
        by = "value" if ask.kind == "choice" else "label"
        listed = [(entry[by], entry["probability"]) for entry in answer["probabilities"]]
        if ask.kind == "choice" and not asked_for(answer["choice"], ask.options):
            raise Garbled(f"that chose {answer['choice']!r}, which is none of {list(ask.options)}")
        return in_order(listed, ask.options)

    def _masses(self, part: Sequence[Asked], content: Any) -> list[float]:
        return [math.nan] * len(part)


def _parts(asks: Mapping[Asked, Any], batch: int) -> Iterator[list[Asked]]:
    """The questions by their input, up to `batch` at a time."""
    by_input: dict[str, list[Asked]] = {}
    for ask in asks:
        by_input.setdefault(ask.input, []).append(ask)
    for some in by_input.values():
        for start in range(0, len(some), batch):
            yield some[start : start + batch]


@contextmanager
def _named(rows: Sequence[Sequence[int]], ask: Asked | None = None) -> Iterator[None]:
    """Let what is wrong with an answer name the rows that asked for it."""
    try:
        yield
    except (Garbled, AttributeError, IndexError, KeyError, TypeError) as error:
        said = str(error) if isinstance(error, Garbled) else f"of another shape ({error!r})"
        flat = sorted(i for some in rows for i in some)
        where = f"row{'s' * (len(flat) > 1)} {', '.join(map(str, flat[:5]))}"
        where += f" and {len(flat) - 5} more" if len(flat) > 5 else ""
        where += f" ({shown(ask.instructions)})" if ask else ""
        raise Garbled(f"{where}: an answer {said}") from None


def of_type(answer: Mapping[str, Any], kind: str) -> None:
    if answer.get("type") != kind:
        raise Garbled(f"of type {answer.get('type')!r} to a question of type {kind!r}")


def asked_for(value: Any, options: Sequence[str]) -> bool:
    """Whether it is one of the options as it was sent: `true` is not "true"."""
    return isinstance(value, str) and value in options


def pair_of(p: Any) -> list[float]:
    return [probability_of(p), 1 - p]


def in_order(listed: Sequence[tuple[Any, Any]], options: Sequence[str]) -> list[float]:
    """Probabilities in the options' order; Garbled for any that is missing, doubled or foreign."""
    foreign = [value for value, _ in listed if not asked_for(value, options)]
    if foreign:
        raise Garbled(f"with a value {foreign[0]!r} that is none of {list(options)}")
    found = dict(listed)
    if len(found) < len(listed):
        raise Garbled("with a value that stands there twice")
    missing = [option for option in options if option not in found]
    if missing:
        raise Garbled(f"without a probability of {missing[0]!r}")
    return [probability_of(found[option]) for option in options]


def probability_of(p: Any) -> float:
    if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
        raise Garbled(f"with {p!r} in the place of a probability")
    return float(p)
