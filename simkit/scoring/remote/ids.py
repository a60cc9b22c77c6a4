"""Scoring by token ids: what the dialects of servers that take and tell them have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from simkit.scoring.engine.tokens import nested, pack
from simkit.scoring.remote.client import Client, Garbled, ServerError
from simkit.scoring.types import BoundaryError, Scores

__all__ = ["PROBE", "Asked", "ByIds", "Dialect", "Ids", "Places", "number", "total"]

PROBE = "The capital of France is"
TAIL = 24  # characters of a prompt within which its last token is looked for
LISTED = 100  # one-token options of a request; servers have a limit somewhat above
Ids = tuple[int, ...]
Places = dict[Ids, dict[int, float]]  # tokens of an option so far -> next token -> log-probability


class Asked(NamedTuple):
    """What one request asks: the prompt's text and ids, and options in ids."""

    prompt: str
    context: Ids
    options: tuple[Ids, ...]


@dataclass(eq=False)
class Dialect:
    """A way to talk to a server about one of its models."""

    client: Client
    model: str
    told: str | None = field(default=None, init=False)  # the model, as its answers call it

    def check_model(self, told: Any) -> None:
        """ServerError where the model that answers is not the one that answered first."""
        if told is None:
            return
        self.told = self.told or str(told)
        if self.told != str(told):
            raise ServerError(
                f"{self.client.address}: {told} answers where {self.told} did before: the server "
                "has changed its model. What was scored before and after does not belong together"
            )


@dataclass(eq=False)
class ByIds(Dialect):
    """A dialect in which prompts and options are token ids, so that no text is read otherwise.

    A subclass says how to ask (`asking`) and what an answer says (`places`).

    Attributes
    ----------
    context_length : tokens that the model can read, None where the server does not say.
    lists : whether one request tells the log-probabilities of any tokens that may come next.
    """

    context_length: int | None = None
    lists: bool = True
    path: ClassVar[str]
    _ids: dict[tuple[str, bool], Ids] = field(default_factory=dict, init=False, repr=False)

    def tokenizing(self, text: str, special: bool) -> dict[str, Any]:
        """What to ask /tokenize; `special` with what the model puts around every text."""
        return {"model": self.model, "prompt": text, "add_special_tokens": special}

    def batches(self, options: Sequence[Ids]) -> list[tuple[Ids, ...]]:
        """The options that one request asks for together: all of one token, each longer one."""
        short = [o for o in options if len(o) == 1] if self.lists else []
        together = [tuple(short[k : k + LISTED]) for k in range(0, len(short), LISTED)]
        return together + [(o,) for o in options if o not in short]

    def next_asked(self, missing: Asked, known: Places) -> list[tuple[Ids, Asked]]:
        """What to ask next for options not known yet, each with the tokens it goes on behind."""
        return [((), missing._replace(options=some)) for some in self.batches(missing.options)]

    def asking(self, asked: Asked) -> dict[str, Any]:
        """The body of a request."""
        raise NotImplementedError

    def places(self, answer: Any, asked: Asked) -> Places:
        """What its answer says, of the options asked for at least; `Garbled` if it is another's."""
        raise NotImplementedError

    def counted(self, prompt: str) -> int:
        """Tokens that the server itself reads a text as."""
        raise NotImplementedError

    def scores(
        self, prompts: Sequence[str], options: Sequence[tuple[str, ...]], rows: Sequence[int]
    ) -> Scores:
        """Of options[i] after prompts[i]; `rows` are the numbers by which errors name them."""
        contexts = self.contexts(prompts, rows)
        answers = self._option_ids(prompts, contexts, options, rows)
        self._check_lengths(contexts, answers, rows)
        known: list[Places] = [{} for _ in prompts]
        waiting = list(range(len(prompts)))
        while waiting:
            asked = [
                (i, begun, one) for i in waiting
                for begun, one in self.next_asked(
                    Asked(prompts[i], contexts[i],
                          tuple(o for o in answers[i] if total(known[i], o) is None)),
                    known[i],
                )
            ]  # fmt: skip

            def read(j: int, answer: Any, asked: Any = asked) -> Places:
                return self._sound(answer, asked[j][2])

            bodies = [self.asking(one) for _, _, one in asked]
            found = self.client.map(self.path, bodies, read, [rows[i] for i, _, _ in asked])
            for (i, begun, _), places in zip(asked, found, strict=True):
                for place, tokens in places.items():
                    known[i].setdefault(begun + place, {}).update(tokens)
            waiting = [i for i in waiting if any(total(known[i], o) is None for o in answers[i])]
        logprob = [[total(known[i], o) for o in row] for i, row in enumerate(answers)]
        within = [nested(tuple(map(pack, row))) for row in answers]
        return Scores(np.array(logprob, dtype=float), np.array(within, dtype=bool))

    def _sound(self, answer: Any, asked: Asked) -> Places:
        if not isinstance(answer, dict):
            raise Garbled("an answer that is no mapping")
        try:
            places = self.places(answer, asked)
        except Garbled:
            raise
        except ValueError as error:  # of numbers and lists that are none
            raise Garbled(f"an answer of another shape ({error})") from None
        if any(total(places, option) is None for option in asked.options):
            raise Garbled("an answer without the tokens that were asked for")
        for tokens in places.values():
            if sum(map(math.exp, tokens.values())) > 1.01:
                raise Garbled("log-probabilities of one place that sum to more than 1")
        return places

    def contexts(self, prompts: Sequence[str], rows: Sequence[int] | None = None) -> list[Ids]:
        """Ids of prompts, with what the model puts before every text (BOS) there once."""
        full, bare = self.ids([PROBE], special=True)[0], self.ids([PROBE])[0]
        at = next((k for k in range(len(full)) if full[k : k + len(bare)] == bare), None)
        if at is None:
            raise ServerError(
                f"{self.client.address}: /tokenize gives {full} with special tokens and {bare} "
                f"without for {PROBE!r}; simkit cannot tell which belong before a prompt"
            )
        front, out = full[:at], []
        for ids in self.ids(prompts, rows=rows):
            written = 0
            while written < len(front) and ids[written : written + 1] == front[written:][:1]:
                written += 1
            out.append(front + ids[written:])
        return out

    def ids(
        self, texts: Sequence[str], *, special: bool = False, rows: Sequence[int] | None = None
    ) -> list[Ids]:
        """Token ids of texts, each asked for once; `rows` are those that errors name."""
        first = dict(zip(reversed(texts), reversed(rows or []), strict=False))
        new = [t for t in dict.fromkeys(texts) if (t, special) not in self._ids]
        about = [first[t] for t in new] if rows is not None else None

        def read(_: int, answer: Any) -> Ids:
            ids = answer.get("tokens") if isinstance(answer, dict) else None
            if not isinstance(ids, list) or not all(type(t) is int for t in ids):
                raise Garbled("an answer of /tokenize without token ids")
            return tuple(ids)

        bodies = [self.tokenizing(text, special) for text in new]
        for text, found in zip(new, self.client.map("/tokenize", bodies, read, about), strict=True):
            self._ids[text, special] = found
        return [self._ids[text, special] for text in texts]

    def _option_ids(
        self, prompts: Sequence[str], contexts: Sequence[Ids],
        options: Sequence[tuple[str, ...]], rows: Sequence[int],
    ) -> list[list[Ids]]:  # fmt: skip
        """Ids of the options as they follow; BoundaryError where a prompt's end would change."""
        short = [prompt[-TAIL:] for prompt in prompts]
        ends = zip(prompts, short, self.ids(short, rows=rows), contexts, strict=True)
        tails = [tail if ids[-1:] == c[-1:] else prompt for prompt, tail, ids, c in ends]
        alone = dict(zip(tails, self.ids(tails, rows=rows), strict=True))
        every = [
            (row, tail, option) for row, tail, some in zip(rows, tails, options, strict=True)
            for option in some
        ]  # fmt: skip
        joined = self.ids([tail + o for _, tail, o in every], rows=[row for row, _, _ in every])
        both = {(tail, o): ids for (_, tail, o), ids in zip(every, joined, strict=True)}
        out = []
        for row, tail, some in zip(rows, tails, options, strict=True):
            n = len(alone[tail])
            for option in some:
                if both[tail, option][:n] != alone[tail]:
                    raise BoundaryError(
                        f"row {row}: the prompt's end {tail[-TAIL:]!r} and the option {option!r} "
                        "are other tokens together than apart; move the blank between them"
                    )
                if len(both[tail, option]) == n:
                    raise ValueError(f"row {row}: the option {option!r} has no token")
            out.append([both[tail, option][n:] for option in some])
        return out

    def _check_lengths(
        self, contexts: Sequence[Ids], answers: Sequence[Sequence[Ids]], rows: Sequence[int]
    ) -> None:
        limit = self.context_length
        for row, context, some in zip(rows, contexts, answers, strict=True):
            length = len(context) + max(map(len, some))
            if limit is not None and length > limit:
                raise ValueError(
                    f"row {row}: prompt and option are {length} tokens long, more than the {limit} "
                    f"that {self.model} can read there; start the server with a larger context"
                )


def number(value: Any) -> float:
    """A log-probability as a server gives it: -9999 and less stand for -inf.

    null is refused: some servers write it for -inf, others for what is no number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not value <= 1e-6:
        raise Garbled(f"{value!r} in the place of a log-probability")
    return -math.inf if value <= -9999 else min(float(value), 0.0)


def total(known: Places, option: Ids) -> float | None:
    """Of an option's tokens, None where one is not known."""
    values = [known.get(option[:j], {}).get(token) for j, token in enumerate(option)]
    return None if None in values else float(sum(v for v in values if v is not None))
