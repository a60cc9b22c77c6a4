"""A dry run: a dialect whose requests are counted, and whose answers are made up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from simkit.files import write_text
from simkit.scoring.inquiries import Beliefs, Inquiry
from simkit.scoring.remote.client import NotSent
from simkit.scoring.remote.costs import Spent
from simkit.scoring.types import Scores
from simkit.types import FloatArray, generator

__all__ = ["Dry"]

T = TypeVar("T")


class Dry:
    """In the place of any dialect, so that a whole study can be counted before it is paid for.

    The dialect makes its requests, its client counts them, and what would have come back is drawn
    by the text that is asked about: the same for the same, and no two options alike, so that what
    is estimated from it is defined. What a dialect asks for after it has seen an answer is not
    counted; the count is then a lower bound.

    counts : a file that says what was counted so far, written anew with every call.
    """

    def __init__(self, dialect: Any, counts: Path | str | None = None) -> None:
        self.dialect, self.counts = dialect, counts
        client = dialect.client
        client.counted = Spent(price=client.price)

    def __getattr__(self, name: str) -> Any:
        if name == "runs":  # they need what was written
            raise AttributeError("runs of a dry run cannot be counted; take believe")
        return getattr(self.dialect, name)

    def scores(
        self, prompts: Sequence[str], options: Sequence[tuple[str, ...]], rows: Sequence[int]
    ) -> Scores:
        """Log-probabilities that are drawn."""

        def made_up() -> Scores:
            drawn = [_drawn(p, o) for p, o in zip(prompts, options, strict=True)]
            return Scores(np.log(drawn), np.zeros(np.shape(drawn), dtype=bool))

        return self._tried(lambda: self.dialect.scores(prompts, options, rows), made_up)

    def beliefs(self, asked: Sequence[Inquiry], again: int) -> Beliefs:
        """Beliefs that are drawn."""

        def made_up() -> Beliefs:
            belief = np.array([_drawn(one.prompt, one.options) for one in asked])
            mass = np.full(len(asked), np.nan)
            return Beliefs(belief, belief, belief, mass, ["dry run"] * len(asked))

        return self._tried(lambda: self.dialect.beliefs(asked, again), made_up)

    def next_tokens(self, prompt: str) -> list[tuple[str, float]]:
        """None."""
        return self._tried(lambda: self.dialect.next_tokens(prompt), list)

    def write(
        self, prompts: Sequence[str], seeds: Sequence[int], max_tokens: int, *how: Any
    ) -> list[tuple[str, int, bool]]:
        """Texts as long as they may be."""
        return self._tried(
            lambda: self.dialect.write(prompts, seeds, max_tokens, *how),
            lambda: [(" word" * max_tokens, max_tokens, True) for _ in prompts],
        )

    def _tried(self, call: Callable[[], Any], made_up: Callable[[], T]) -> T:
        try:
            found: T = call()
        except NotSent:
            found = made_up()
        if self.counts:
            write_text(Path(self.counts), str(self.dialect.client.counted))
        return found


def _drawn(prompt: str, options: Sequence[str]) -> FloatArray:
    return generator(0, "dry run", prompt, *options).dirichlet(np.ones(len(options)))
