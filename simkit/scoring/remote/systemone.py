"""System One: the decision interface of llama.cpp, vLLM, transformers, Ollama and several hosts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from simkit.scoring.remote.client import Garbled
from simkit.scoring.remote.decisions import (
    Decisions,
    asked_for,
    in_order,
    of_type,
    pair_of,
    probability_of,
)
from simkit.scoring.remote.typed import Asked
from simkit.store import key

__all__ = ["SystemOne"]

NAMES = {"predicate": "noul", "choice": "choice", "score": "score"}


@dataclass(eq=False)
class SystemOne(Decisions):
    """Beliefs by `/v1/systemone`: a state, and questions by id; else as `Decisions`.

    A question of yes or no is called a "noul" there, the levels of a score are known by their
    number, and most hosts take up to 64 questions a request. vLLM tells the valid mass
    (`diagnostics.label_mass`) of its labels.
    """

    batch: int = 64

    path: ClassVar[str] = "/v1/systemone"

    def _body(self, part: Sequence[Asked]) -> dict[str, Any]:
        questions = {name: self._question(ask) for name, ask in zip(_ids(part), part, strict=True)}
        return {"model": self.model, "state": part[0].input, "questions": questions}

    def _question(self, ask: Asked) -> dict[str, Any]:
        form: dict[str, Any] = {"type": NAMES[ask.kind], "instructions": ask.instructions}
        if ask.kind == "choice":
            form["criteria"] = dict.fromkeys(ask.options)
        if ask.kind == "score":
            form["criteria"] = list(ask.options)
        return form

    def _raw(self, part: Sequence[Asked], content: Any) -> list[dict[str, Any]]:
        answers, names = dict(content["answers"]), _ids(part)
        odd = sorted(answers.keys() ^ set(names))
        if odd:
            n = len(part)
            raise Garbled(f"with {len(answers)} answers to {n} questions: {odd[0]!r} is off")
        return [answers[name] for name in names]

    def _values(self, ask: Asked, answer: Mapping[str, Any]) -> list[float]:
        of_type(answer, NAMES[ask.kind])
        if ask.kind == "predicate":
            return pair_of(answer["noul"])
        listed = [*answer["probabilities"].items()]
        if ask.kind == "score":
            return in_order(listed, [str(j) for j in range(len(ask.options))])
        if not asked_for(answer["choice"], ask.options):
            raise Garbled(f"that chose {answer['choice']!r}, which is none of {list(ask.options)}")
        return in_order(listed, ask.options)

    def _masses(self, part: Sequence[Asked], content: Any) -> list[float]:
        told = content.get("diagnostics") or {}
        masses = [(told.get(name) or {}).get("label_mass", math.nan) for name in _ids(part)]
        return [math.nan if math.isnan(m) else probability_of(m) for m in masses]


def _ids(part: Sequence[Asked]) -> list[str]:
    """A name for each question.

    With the options in it: they are the keys of an object, whose order a host or a store of
    answers need not heed, and options in another order are another question.
    """
    return [f"q{j}_{key(options=[*ask.options]).hex()[:8]}" for j, ask in enumerate(part)]
