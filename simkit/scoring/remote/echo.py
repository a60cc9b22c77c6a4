"""Completions that give back the prompt with its log-probabilities; token ids are not known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simkit.scoring.remote import completions
from simkit.scoring.remote.client import Client, Garbled, ServerError
from simkit.scoring.remote.ids import Dialect, number
from simkit.scoring.remote.names import served
from simkit.scoring.types import BoundaryError, Scores

__all__ = ["Echo"]

BLANKS = str.maketrans({"Ġ": " ", "▁": " ", "Ċ": "\n"})  # as some servers write them


@dataclass(eq=False)
class Echo(Dialect):
    """Scoring by `/v1/completions` with `echo`: one request per prompt and option.

    The server reads prompt and option as one text and lists its tokens with their log-probabilities
    and where each begins. Those that begin at the option's start or after it are summed.
    """

    template = None

    @classmethod
    def meet(cls, client: Client, model: str | None) -> Echo | None:
        """The server's face, or None if it does not echo."""
        entry = served(client, model)
        if entry is None:
            return None
        met = cls(client, str(entry["id"]))
        try:
            met.scores(["One two"], [(" three",)], [0])
        except (ServerError, BoundaryError):
            return None
        return met

    def scores(
        self, prompts: Sequence[str], options: Sequence[tuple[str, ...]], rows: Sequence[int]
    ) -> Scores:
        """Of options[i] after prompts[i]; `rows` are the numbers by which errors name them.

        An option counts as nested where its text begins with another's, for ids are not known.
        """
        pairs = [(i, p, o) for i, p, row in zip(rows, prompts, options, strict=True) for o in row]
        bodies = [
            {"model": self.model, "prompt": p + o, "echo": True, "max_tokens": 1, "logprobs": 1,
             **completions.PLAIN}
            for _, p, o in pairs
        ]  # fmt: skip

        def read(j: int, answer: Any) -> float:
            return self._summed(answer, *pairs[j])

        found = self.client.map(completions.PATH, bodies, read, [i for i, _, _ in pairs])
        within = [
            [any(a != b and b.startswith(a) for a in row) or b in row[:k]
             for k, b in enumerate(row)]
            for row in options
        ]  # fmt: skip
        return Scores(np.reshape(found, (len(prompts), -1)), np.array(within, dtype=bool))

    def _summed(self, answer: Any, row: int, prompt: str, option: str) -> float:
        choice = completions.choice_of(self, answer)
        tokens, logprobs, starts = (
            (choice.get("logprobs") or {}).get(name)
            for name in ("tokens", "token_logprobs", "text_offset")
        )
        if not isinstance(tokens, list) or not isinstance(logprobs, list):
            raise Garbled("an answer without tokens and their log-probabilities")
        if not isinstance(starts, list) or len({len(tokens), len(logprobs), len(starts)}) != 1:
            raise Garbled("lists of tokens, log-probabilities and offsets of unequal length")
        text = prompt + option
        if not str(choice.get("text", "")).startswith(text):
            raise Garbled("an answer that does not begin with the prompt: `echo` is ignored")
        if len(starts) > 1 and not text.startswith(str(tokens[0]).translate(BLANKS).strip()):
            # vLLM counts the letters of a BOS that it does not write
            starts = [start - starts[1] for start in starts]
        inside = [j for j, start in enumerate(starts) if len(prompt) <= start < len(text)]
        if not inside or starts[inside[0]] != len(prompt):
            raise BoundaryError(
                f"row {row}: no token begins where the option {option!r} does, behind "
                f"{prompt[-24:]!r}; move the blank between them"
            )
        end = starts[inside[-1] + 1] if inside[-1] + 1 < len(starts) else len(text)
        if end != len(text):
            raise Garbled("the option's last token runs on into what was written after it")
        written = "".join(str(tokens[j]) for j in inside)
        if option.isascii() and written.translate(BLANKS) != option:
            raise Garbled(f"the tokens of {written!r} in the place of {option!r}")
        return float(sum(number(logprobs[j]) for j in inside))

    def next_tokens(self, prompt: str) -> list[tuple[str, float]]:
        """The five likeliest tokens after a prompt, with their probabilities."""
        return completions.next_tokens(self, prompt)

    def write(
        self, prompts: Sequence[str], seeds: Sequence[int], max_tokens: int, stop: str,
        temperature: float,
    ) -> list[tuple[str, int, bool]]:  # fmt: skip
        """Texts, their numbers of tokens, and whether each came to `stop`."""
        return completions.write(self, list(prompts), seeds, max_tokens, stop, temperature)
