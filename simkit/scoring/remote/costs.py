"""What requests cost: tokens that a server counted, or that are expected, and money."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from simkit.types import listed, scalar

__all__ = ["BudgetError", "Spent", "check_price", "expected", "usage"]

CHARACTERS = 4  # of a token, where nobody counted
INPUT = ("prompt", "input_ids", "messages", "input", "questions", "state", "text")
MOST = ("max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict", "max_new_tokens")
# Names of the tokens read and written: OpenAI's, its newer ones, llama.cpp's, Ollama's.
COUNTED = (
    ("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens"),
    ("tokens_evaluated", "tokens_predicted"), ("prompt_eval_count", "eval_count"),
)  # fmt: skip


class BudgetError(RuntimeError):
    """The next request might cost more than what is left; it was not sent."""


@dataclass
class Spent:
    """What requests cost so far, or would cost.

    Attributes
    ----------
    requests : that were sent, tries that failed included.
    failed : tries that failed.
    kept : answers that came from the cache and cost nothing.
    read, written : tokens, as the server counts them; where it does not, as `expected`.
    guessed : requests of which the tokens are not counted but characters / 4.
    price : dollars (or any money) a million tokens read and a million written.
    """

    requests: int = 0
    failed: int = 0
    kept: int = 0
    read: int = 0
    written: int = 0
    guessed: int = 0
    price: tuple[float, float] | None = None

    @property
    def tokens(self) -> int:
        """Read and written."""
        return self.read + self.written

    @property
    def cost(self) -> float:
        """Money by the price that was given; NaN without one."""
        if self.price is None:
            return math.nan
        return (self.read * self.price[0] + self.written * self.price[1]) / 1e6

    def add(self, read: int, written: int, guessed: bool = False) -> None:
        """Tokens of one request."""
        self.read, self.written = self.read + read, self.written + written
        self.guessed += guessed

    def plus(self, read: int, written: int) -> Spent:
        """With one request more."""
        return replace(
            self, requests=self.requests + 1, read=self.read + read, written=self.written + written
        )

    def __str__(self) -> str:
        parts = [f"{self.requests:,} requests"]
        parts += [f"{self.failed:,} of them failed"] if self.failed else []
        parts += [f"{self.read:,} tokens read and {self.written:,} written"]
        parts += [f"{self.cost:.4g} in money"] if self.price else []
        parts += [f"{self.kept:,} answers from the cache"] if self.kept else []
        if self.guessed:
            parts += [f"tokens of {self.guessed:,} requests guessed as characters / {CHARACTERS}"]
        return ", ".join(parts)


def check_price(price: Any) -> tuple[float, float] | None:
    """(read, written) for a million tokens; ValueError for what is no price."""
    if price is None:
        return None
    values = listed(price, "price")
    if len(values) != 2:
        raise ValueError(f"price is {price!r}; it must be (read, written) for a million tokens")
    read, written = (scalar(value, "price", 0) for value in values)
    return read, written


def expected(body: Mapping[str, Any]) -> tuple[int, int, bool]:
    """Tokens that a request reads, at most writes, and whether the first is a guess.

    Token ids are counted; text counts as one token for four characters.

    Examples
    --------
    >>> expected({"prompt": [5, 6, 7], "max_tokens": 2})
    (3, 2, False)
    >>> expected({"messages": [{"role": "user", "content": "Buy it now?"}], "max_tokens": 1})
    (4, 1, True)
    """
    ids = characters = 0
    waiting: list[Any] = [body[name] for name in INPUT if name in body]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            characters += len(part)
        elif isinstance(part, Mapping):
            waiting += part.values()
        elif isinstance(part, list | tuple):
            waiting += part
        else:
            ids += isinstance(part, int)
    places = [body, *(v for v in body.values() if isinstance(v, Mapping))]
    limits = [p[name] for p in places for name in MOST if isinstance(p.get(name), int)]
    copies = body.get("n") if isinstance(body.get("n"), int) else 1
    written = max(limits, default=0) * max(1, copies or 1)
    return ids + math.ceil(characters / CHARACTERS), max(0, written), characters > 0


def usage(answer: Any) -> tuple[int, int] | None:
    """Tokens read and written, as an answer says; None if it does not.

    Examples
    --------
    >>> usage({"usage": {"prompt_tokens": 9, "completion_tokens": 1}})
    (9, 1)
    """
    if isinstance(answer, list):
        parts = [usage(part) for part in answer]
        known = [part for part in parts if part is not None]
        if not known or len(known) < len(parts):
            return None
        return sum(read for read, _ in known), sum(written for _, written in known)
    if not isinstance(answer, Mapping):
        return None
    for place in (answer.get("usage"), answer.get("meta_info"), answer):
        if not isinstance(place, Mapping):
            continue
        for names in COUNTED:
            read, written = (place.get(name) for name in names)
            if type(read) is int and read >= 0:
                return read, written if type(written) is int and written > 0 else 0
    return None
