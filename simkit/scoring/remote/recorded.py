"""Answers of a decision interface that were recorded: the same beliefs, without the interface."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from simkit.files import as_path
from simkit.scoring.remote.costs import Spent
from simkit.scoring.remote.decisions import Decisions
from simkit.scoring.remote.model import InterfaceModel
from simkit.scoring.remote.systemone import NAMES, SystemOne
from simkit.scoring.remote.typed import COARSEST, decimals_of
from simkit.types import shown

__all__ = ["load_recorded"]

T = TypeVar("T")


@dataclass(eq=False)
class _Shelf:
    """Stands in for the client: answers come from the file, question by question."""

    address: str
    answers: Mapping[str, Any]
    told: Mapping[str, Any]
    spent: Spent = field(default_factory=Spent)

    def map(
        self, path: str, bodies: Sequence[Mapping[str, Any]], read: Callable[[int, Any], T],
        **more: Any,
    ) -> list[T]:  # fmt: skip
        return [read(j, self._answer(body)) for j, body in enumerate(bodies)]

    def _answer(self, body: Mapping[str, Any]) -> dict[str, Any]:
        asked = _questions(body["questions"])
        for question in asked.values():
            if _key(body, question) not in self.answers:
                raise ValueError(
                    f"{self.address} has no answer to {shown(question['instructions'])} about "
                    f"{shown(_input(body))} with {shown(_options(question))}; record it with "
                    "load(address, record=...), with the same prompts and options"
                )
        keys = {name: _key(body, question) for name, question in asked.items()}
        found = {name: self.answers[one] for name, one in keys.items()}
        told = {name: self.told[one] for name, one in keys.items() if one in self.told}
        named = isinstance(body["questions"], Mapping)
        return {"answers": found if named else [*found.values()], "diagnostics": told}


def load_recorded(source: str | Path, *, model: str | None = None) -> InterfaceModel:
    """A model that answers from recorded requests and responses of a decision interface.

    Parameters
    ----------
    source : str or Path
        JSON Lines, packed (.gz) or not: in each line {"request": ..., "response": ...}, the bodies
        that were sent to `/v1/decisions` or `/v1/systemone` and came back, as
        ``load(address, record=...)`` writes them. Of a question that was asked several times the
        first answer counts.
    model : str, optional
        Where the file has the answers of several, as the requests name them.

    Returns
    -------
    InterfaceModel
        Its beliefs are as the interface's; a question that was not recorded is a ValueError that
        names it.

    Raises
    ------
    ValueError
        For lines that are no such pairs (named), for a file with several models or interfaces, and
        for one without answers.
    OSError
        Where the file cannot be read.
    """
    file = as_path(source, "the file")
    with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(
            encoding="utf-8") as lines:  # fmt: skip
        text = lines.read()
    pairs = _pairs(file, text)
    names = dict.fromkeys(str(pair["request"].get("model")) for pair in pairs)
    if model is None and len(names) > 1:
        raise ValueError(f"{file} has answers of {', '.join(names)}; say whose: model=...")
    own = [pair for pair in pairs if model in (None, pair["request"].get("model"))]
    if not own:
        raise ValueError(f"{file} has no answers of {model!r}; it has {', '.join(names) or 'none'}")
    kinds = {isinstance(pair["request"]["questions"], Mapping) for pair in own}
    if len(kinds) > 1:
        raise ValueError(f"{file} has answers of both interfaces; make a file of each")
    answers: dict[str, Any] = {}
    told: dict[str, Any] = {}
    for pair in own:
        body, response = pair["request"], pair["response"]
        asked, found = _questions(body["questions"]), _questions(response["answers"])
        more = response.get("diagnostics") or {}
        for name, question in asked.items():
            one = _key(body, question)
            if one not in answers:
                answers[one] = {k: v for k, v in found[name].items() if k != "name"}
                if name in more:
                    told[one] = more[name]
    dialect = SystemOne if kinds.pop() else Decisions
    seen = {kind: [n for a in answers.values() if a.get("type") in (kind, NAMES[kind])
                   for n in _numbers(a)] for kind in NAMES}  # fmt: skip
    digits = {kind: max(COARSEST, decimals_of(numbers)) for kind, numbers in seen.items()}
    digest = hashlib.sha256(text.encode()).hexdigest()
    shelf: Any = _Shelf(f"{file.name} (SHA-256 {digest[:12]})", answers, told)
    spoken = dialect(shelf, model or next(iter(names)), decimals=digits)
    can = {"scores": f"{len(answers):,} recorded answers of {dialect.path}"}
    return InterfaceModel(spoken.model, spoken, can)


def _pairs(file: Path, text: str) -> list[dict[str, Any]]:
    """The lines that hold something."""
    pairs = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            pair = json.loads(line)
            asked, found = pair["request"]["questions"], pair["response"]["answers"]
            keys = [_key(pair["request"], one) for one in _questions(asked).values()]
            sound = bool(keys) and type(asked) is type(found) and len(asked) == len(found)
            if isinstance(asked, list):
                names = [(q.get("name"), a.get("name")) for q, a in zip(asked, found, strict=True)]
                sound &= all(answer in (None, question) for question, answer in names)
        except (ValueError, KeyError, TypeError, AttributeError):
            sound = False
        if not sound:
            raise ValueError(
                f"{file}, line {number}: {shown(line)} is no recorded decision; each line must be "
                '{"request": {..., "questions": ...}, "response": {"answers": ...}}, with an '
                "answer to each question, in their order or by id"
            )
        pairs.append(pair)
    return pairs


def _questions(some: Any) -> dict[Any, Any]:
    """Questions or answers by id, or by place."""
    return dict(some) if isinstance(some, Mapping) else dict(enumerate(some))


def _input(body: Mapping[str, Any]) -> Any:
    return body["input"] if "input" in body else body["state"]


def _options(question: Mapping[str, Any]) -> list[Any]:
    """What can be answered, in the order sent, with what is said of each."""
    if "choices" in question:
        return [[c["value"], c.get("description")] for c in question["choices"]]
    if "levels" in question:
        return [[c["label"], c.get("description")] for c in question["levels"]]
    criteria = question.get("criteria") or []
    return [[*pair] for pair in criteria.items()] if isinstance(criteria, Mapping) else criteria


def _key(body: Mapping[str, Any], question: Mapping[str, Any]) -> str:
    """What was asked, whatever its name and whatever else was asked with it."""
    parts = [_input(body), question["type"], question["instructions"], _options(question)]
    return json.dumps(parts, ensure_ascii=False)


def _numbers(answer: Mapping[str, Any]) -> list[float]:
    """All probabilities of an answer, as far as they are numbers."""
    some = answer.get("probabilities") or []
    listed = some.values() if isinstance(some, Mapping) else (p["probability"] for p in some)
    found = [answer.get("probability"), answer.get("noul"), *listed]
    return [p for p in found if isinstance(p, int | float)]
