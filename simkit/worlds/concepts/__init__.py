"""The concepts world: colours that come to mind, animals that are alike, and to whom."""

# ruff: noqa: F403, F405
from simkit.worlds.concepts.causal import *
from simkit.worlds.concepts.prompts import *

__all__ = ["ANIMALS", "ATTRIBUTES", "COLOUR", "FIRST", "KINDS", "PALETTE", "QUESTIONS", "SENTENCES",
           "WORDS", "answers", "consensus", "design", "exact", "individuals", "people", "question",
           "with_context"]  # fmt: skip
