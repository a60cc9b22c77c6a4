"""What a model computed, and the blocks in which it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from simkit.scoring.engine.tokens import WIDTH, Ids
from simkit.scoring.engine.tree import Work

__all__ = ["Tally", "blocks"]


@dataclass
class Tally:
    """Counted over a model's life.

    plain : tokens that scoring each (distinct) prompt with each of its options by itself would
    read. work : what was computed instead; it stays at 0 on the padded path, which does not count.
    """

    plain: int = 0
    work: Work = field(default_factory=Work)

    def count(self, contexts: Sequence[Ids], answers: Sequence[tuple[Ids, ...]]) -> None:
        """Add what reading each context with each of its options takes, their last token unread."""
        own = {options: sum(map(len, options)) - WIDTH * len(options) for options in set(answers)}
        for context, options in zip(contexts, answers, strict=True):
            self.plain += (len(context) * len(options) + own[options]) // WIDTH


def blocks(
    order: Sequence[int], prompts: Sequence[str], most: int, most_characters: int
) -> Iterator[list[int]]:
    """The rows in order, in lists of at most `most` prompts or about so many characters."""
    block: list[int] = []
    characters = 0
    for i in order:
        block.append(i)
        characters += len(prompts[i])
        if len(block) == most or characters >= most_characters:
            yield block
            block, characters = [], 0
    if block:
        yield block
