"""What the dialects that speak `/v1/completions` have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from simkit.scoring.remote.client import Garbled
from simkit.scoring.remote.ids import Dialect, number

__all__ = ["PATH", "choice_of", "listed", "next_tokens", "write"]

PATH = "/v1/completions"
# As the model has it, whatever the server's defaults are.
PLAIN = {"temperature": 1.0, "top_p": 1.0}


def choice_of(dialect: Dialect, answer: Any) -> dict[str, Any]:
    """The only choice of an answer by the model that is meant."""
    dialect.check_model(answer.get("model"))
    try:
        (choice,) = answer["choices"]
        return dict(choice)
    except (KeyError, ValueError, TypeError):
        raise Garbled("an answer with no choice, or with several") from None


def listed(choice: dict[str, Any]) -> dict[str, float]:
    """Log-probabilities of the first written token's place, by token."""
    top = ((choice.get("logprobs") or {}).get("top_logprobs") or [None])[0]
    if not isinstance(top, dict) or not top:
        raise Garbled("an answer without the likeliest tokens")
    return {str(token): number(value) for token, value in top.items()}


def next_tokens(dialect: Dialect, prompt: str | list[int]) -> list[tuple[str, float]]:
    """The five likeliest tokens after a prompt, with their probabilities."""
    body = {"model": dialect.model, "prompt": prompt, "max_tokens": 1, "logprobs": 5, **PLAIN}

    def read(answer: Any) -> list[tuple[str, float]]:
        best = sorted(listed(choice_of(dialect, answer)).items(), key=lambda pair: -pair[1])
        return [(token, math.exp(value)) for token, value in best[:5]]

    return dialect.client.post(PATH, body, read)


def write(
    dialect: Dialect, prompts: Sequence[str | list[int]], seeds: Sequence[int], max_tokens: int,
    stop: str, temperature: float,
) -> list[tuple[str, int, bool]]:  # fmt: skip
    """Texts, their numbers of tokens, and whether each came to `stop`."""
    bodies = [
        {"model": dialect.model, "prompt": prompt, "max_tokens": max_tokens, "stop": [stop],
         "seed": seed, **PLAIN, "temperature": temperature}
        for prompt, seed in zip(prompts, seeds, strict=True)
    ]  # fmt: skip

    def read(_: int, answer: Any) -> tuple[str, int, bool]:
        choice = choice_of(dialect, answer)
        if not isinstance(choice.get("text"), str):
            raise Garbled("an answer without text")
        tokens = int((answer.get("usage") or {}).get("completion_tokens") or 0)
        reached = choice.get("finish_reason") == "stop" and tokens < max_tokens
        if "stop_reason" in choice:  # vLLM says which: the string, or None at the text's end
            reached = choice["stop_reason"] == stop
        return choice["text"], tokens, reached

    return dialect.client.map(PATH, bodies, read)
