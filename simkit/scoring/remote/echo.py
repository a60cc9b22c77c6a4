"""Completions that give back the prompt with its log-probabilities: vLLM, and others like it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simkit.scoring.remote.client import Client, Garbled, ServerError
from simkit.scoring.remote.names import served_name
from simkit.scoring.types import BoundaryError

__all__ = ["Echo"]


@dataclass(eq=False)
class Echo:
    """Scoring by `/v1/completions` with `echo`: one request per prompt and option.

    The server reads prompt and option as one text and lists its tokens with their log-probabilities
    and where each begins. Those that begin at the option's start or after it are summed.
    """

    client: Client
    model: str

    template = None

    @classmethod
    def meet(cls, client: Client, model: str | None) -> Echo | None:
        """The server's face, or None if it does not echo."""
        name = served_name(client, model)
        if name is None:
            return None
        met = cls(client, name)
        try:
            met.scores(["One two"], [(" three",)])
        except ServerError:
            return None
        return met

    def scores(
        self, prompts: Sequence[str], options: Sequence[tuple[str, ...]]
    ) -> list[list[float]]:
        """Log-probabilities of options[i] after prompts[i]; each row a list of K."""
        pairs = [(i, p, o) for i, (p, row) in enumerate(zip(prompts, options, strict=True))
                 for o in row]  # fmt: skip
        bodies = [
            {"model": self.model, "prompt": p + o, "echo": True, "max_tokens": 1, "logprobs": 1,
             "temperature": 0}
            for _, p, o in pairs
        ]  # fmt: skip

        def read(j: int, answer: Any) -> float:
            return self._summed(answer, *pairs[j])

        found = iter(self.client.map("/v1/completions", bodies, read, [i for i, *_ in pairs]))
        return [[next(found) for _ in row] for row in options]

    def _summed(self, answer: Any, row: int, prompt: str, option: str) -> float:
        choice = _choice(answer)
        tokens, logprobs, starts = (
            choice["logprobs"].get(name) for name in ("tokens", "token_logprobs", "text_offset")
        )
        if not isinstance(tokens, list) or not isinstance(logprobs, list):
            raise Garbled("an answer without tokens and their log-probabilities")
        if not isinstance(starts, list) or len({len(tokens), len(logprobs), len(starts)}) != 1:
            raise Garbled("lists of tokens, log-probabilities and offsets of unequal length")
        text = prompt + option
        if not str(choice.get("text", "")).startswith(text):
            raise ServerError(f"{self.model} does not give back the prompt: `echo` was ignored")
        inside = [j for j, start in enumerate(starts) if len(prompt) <= start < len(text)]
        if not inside or starts[inside[0]] != len(prompt):
            raise BoundaryError(
                f"row {row}: no token begins where the option {option!r} does, behind "
                f"{prompt[-24:]!r}; move the blank between them"
            )
        end = starts[inside[-1] + 1] if inside[-1] + 1 < len(starts) else len(text)
        if end != len(text):
            raise Garbled("the option's last token runs on into what was written after it")
        values = [logprobs[j] for j in inside]
        if not all(isinstance(v, int | float) and v <= 1e-6 for v in values):
            raise Garbled(f"{values!r} in the place of log-probabilities")
        return float(sum(-math.inf if v < -1e30 else min(v, 0.0) for v in values))

    def next_tokens(self, prompt: str) -> list[tuple[str, float]]:
        """The five likeliest tokens after a prompt, with their probabilities."""
        body = {"model": self.model, "prompt": prompt, "max_tokens": 1, "logprobs": 5,
                "temperature": 0}  # fmt: skip

        def read(answer: Any) -> list[tuple[str, float]]:
            top = (_choice(answer)["logprobs"].get("top_logprobs") or [None])[0]
            if not isinstance(top, dict) or not top:
                raise Garbled("an answer without the likeliest tokens")
            best = sorted(top.items(), key=lambda pair: -pair[1])
            return [(str(token), math.exp(value)) for token, value in best]

        return self.client.post("/v1/completions", body, read)

    def nested(self, options: tuple[str, ...]) -> list[bool]:
        """Whether each option's text begins with another's, as far as can be told without ids."""
        return [any(a != b and b.startswith(a) for a in options) for b in options]

    def write(
        self, prompts: Sequence[str], seeds: Sequence[int], max_tokens: int, stop: str,
        temperature: float,
    ) -> list[tuple[str, int, bool]]:  # fmt: skip
        """Texts, their numbers of tokens, and whether each came to `stop`."""
        bodies = [
            {"model": self.model, "prompt": prompt, "max_tokens": max_tokens, "stop": [stop],
             "seed": seed, "temperature": temperature}
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]  # fmt: skip

        def read(_: int, answer: Any) -> tuple[str, int, bool]:
            choice = _choice(answer, listed=False)
            if not isinstance(choice.get("text"), str):
                raise Garbled("an answer without text")
            used = answer.get("usage") or {}
            tokens = int(used.get("completion_tokens") or 0)
            reached = choice.get("finish_reason") == "stop" and tokens < max_tokens
            return choice["text"], tokens, reached

        return self.client.map("/v1/completions", bodies, read)


def _choice(answer: Any, listed: bool = True) -> dict[str, Any]:
    try:
        choice = answer["choices"][0]
        if listed and not isinstance(choice["logprobs"], dict):
            raise TypeError
    except (KeyError, IndexError, TypeError):
        raise Garbled("an answer without a choice, or without log-probabilities") from None
    return dict(choice)
