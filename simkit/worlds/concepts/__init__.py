"""The concepts world: colours that come to mind, animals that are alike, and to whom."""

from simkit.worlds.concepts.causal import (
    ANIMALS,
    ATTRIBUTES,
    COLOUR,
    FIRST,
    PALETTE,
    WORDS,
    answers,
    consensus,
    individuals,
    people,
)
from simkit.worlds.concepts.prompts import (
    KINDS,
    QUESTIONS,
    SENTENCES,
    design,
    exact,
    question,
    with_context,
)

__all__ = ["ANIMALS", "ATTRIBUTES", "COLOUR", "FIRST", "KINDS", "PALETTE", "QUESTIONS", "SENTENCES",
           "WORDS", "answers", "consensus", "design", "exact", "individuals", "people", "question",
           "with_context"]  # fmt: skip
