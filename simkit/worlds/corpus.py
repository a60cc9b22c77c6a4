"""Text that the worlds write: the glass box learns from these documents and nothing else.

A document is a prompt and the answers that several independent draws gave to it. The prompt states
some attributes and leaves the rest out at random; each answer is a draw from the world's own
probability given what is stated. Answers to one prompt are kept together so that the model can be
trained on all of them for the cost of reading the prompt once; they are as many separate texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from simkit.questions import Question
from simkit.types import FloatArray, generator, one_of
from simkit.worlds import concepts, market, survey
from simkit.worlds.kinds import Kind, Kinds
from simkit.worlds.world import World

__all__ = ["HELD_OUT", "MIXTURE", "WORLDS", "Document", "corpus", "prompts"]

CHUNK = 20_000  # documents made at a time; chunk i is the same whatever came before

# All worlds: name -> (share of the documents, world). The glass box reads no text of a world whose
# share is 0, and is not calibrated on it.
WORLDS: dict[str, tuple[float, World]] = {
    "market": (0.34, market),
    "survey": (0.28, survey),
    "concepts": (0.38, concepts),
}
_KINDS: Kinds = {
    name: kind._replace(share=share * kind.share)
    for share, world in WORLDS.values()
    if share > 0
    for name, kind in world.KINDS.items()
}
# What the text is made of, with shares of all documents; and what the model is calibrated on.
MIXTURE: Kinds = {name: kind for name, kind in _KINDS.items() if kind.share > 0}
HELD_OUT: Kinds = {name: kind for name, kind in _KINDS.items() if kind.held_out}


@dataclass(frozen=True)
class Document:
    """A prompt and the answers drawn for it.

    Attributes
    ----------
    kind : name of the kind of prompt.
    prompt : its text.
    answers : each answer, with its leading separator, and how often it was drawn.
    ends : False where an answer is not the end of the text: a thought, which a choice follows.
    """

    kind: str
    prompt: str
    answers: dict[str, int]
    ends: bool = True


def prompts(kind: str, n: int, seed: int) -> tuple[pd.DataFrame, Question, FloatArray]:
    """n held-out prompts of one kind with their exact answer probabilities, shape (n, K)."""
    one_of(kind, "kind", HELD_OUT)
    return HELD_OUT[kind].build(n, generator(seed, "prompts", kind), True)


def corpus(seed: int, *, answers: int = 8, start: int = 0) -> Iterator[list[Document]]:
    """Endless chunks of documents, shuffled; chunk i depends on `seed` and i alone.

    Parameters
    ----------
    seed : seed of the corpus.
    answers : independent answers drawn per prompt.
    start : number of the first chunk, to resume a training run.
    """
    shares = np.array([kind.share for kind in MIXTURE.values()])
    while True:
        rng = generator(seed, "corpus", start)
        counts = rng.multinomial(CHUNK, shares / shares.sum())
        chunk: list[Document] = []
        for (name, kind), count in zip(MIXTURE.items(), counts, strict=True):
            # Small batches, because all prompts of one batch ask the same question.
            for size in np.diff(np.linspace(0, count, 6).astype(int)):
                if size:
                    chunk += _documents(name, kind, int(size), answers, rng)
        yield [chunk[i] for i in rng.permutation(len(chunk))]
        start += 1


def _documents(
    name: str, kind: Kind, n: int, answers: int, rng: np.random.Generator
) -> list[Document]:
    design, question, truth = kind.build(n, rng, False)
    drawn = rng.multinomial(answers, truth).tolist()  # counts (n, K) of independent draws
    rows = zip(question.prompts(design), question.answers_for(design), drawn, strict=True)
    documents = []
    for prompt, options, counts in rows:
        pairs = zip(options, counts, strict=True)
        counted = {question.separator + option[0]: count for option, count in pairs if count}
        documents.append(Document(name, prompt, counted, kind.ends))
    return documents
