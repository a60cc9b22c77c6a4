"""What a model was asked for, and what that took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simkit.scoring.engine.tokens import WIDTH, Ids
from simkit.scoring.engine.tree import Work

__all__ = ["Tally"]


@dataclass
class Tally:
    """Counted over a model's life.

    stored : rows that came out of the store. plain : tokens that scoring each of the other
    (distinct) prompts with each of its options by itself would read. work : what was computed
    instead; it stays at 0 on the padded path, which does not count.
    """

    stored: int = 0
    plain: int = 0
    work: Work = field(default_factory=Work)

    def count(self, contexts: Sequence[Ids], answers: Sequence[tuple[Ids, ...]]) -> None:
        """Add what reading each context with each of its options takes, their last token unread."""
        own = {options: sum(map(len, options)) - WIDTH * len(options) for options in set(answers)}
        for context, options in zip(contexts, answers, strict=True):
            self.plain += (len(context) * len(options) + own[options]) // WIDTH
