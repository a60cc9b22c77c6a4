"""Text that the worlds write: the glass box learns from these documents and nothing else.

A document is a prompt and the answers that several independent draws gave to it. The prompt says
some attributes and leaves the rest out at random; each answer is a draw from the world's own
probability given what was said. Answers to one prompt are kept together so that the model can be
trained on all of them for the cost of reading the prompt once; they are as many separate texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from simkit.questions import Question
from simkit.types import FloatArray, generator
from simkit.worlds import concepts, market_text, survey
from simkit.worlds.kinds import Kind, Kinds, Prompts

__all__ = ["HELD_OUT", "MIXTURE", "WORLDS", "Document", "corpus", "prompts"]

CHUNK = 20_000  # documents made at a time; chunk i is the same whatever came before

# World -> (share of the documents, its kinds, the kinds as they are held out).
_WORLDS: dict[str, tuple[float, Kinds, dict[str, Kind]]] = {
    "market": (0.34, market_text.KINDS, market_text.HELD_OUT),
    "survey": (0.28, survey.KINDS, survey.HELD_OUT),
    "concepts": (0.38, concepts.KINDS, concepts.HELD_OUT),
}
WORLDS = tuple(_WORLDS)

# kind -> (share of the documents, how to build them).
MIXTURE: Kinds = {
    kind: (share * part, build)
    for share, kinds, _ in _WORLDS.values()
    for kind, (part, build) in kinds.items()
}
# kind -> how to build held-out prompts.
HELD_OUT: dict[str, Kind] = {
    kind: build for _, _, held_out in _WORLDS.values() for kind, build in held_out.items()
}


@dataclass(frozen=True)
class Document:
    """A prompt and the answers drawn for it: each (with its leading separator) and how often.

    `ends` is False where an answer is not the end of the text: a thought, which a choice follows.
    """

    kind: str
    prompt: str
    answers: dict[str, int]
    ends: bool = True


def prompts(kind: str, n: int, seed: int) -> tuple[pd.DataFrame, Question, FloatArray]:
    """n held-out prompts of one kind with their exact answer probabilities, shape (n, K)."""
    if kind not in HELD_OUT:
        raise ValueError(f"no kind {kind!r}; there are: {', '.join(HELD_OUT)}")
    return HELD_OUT[kind](n, generator(seed, "prompts", kind), True)


def corpus(seed: int, *, answers: int = 8, start: int = 0) -> Iterator[list[Document]]:
    """Endless chunks of documents, shuffled; chunk i depends on `seed` and i alone.

    Parameters
    ----------
    seed : the corpus's seed.
    answers : independent answers drawn per prompt.
    start : number of the first chunk, to resume a training run.
    """
    shares = np.array([share for share, _ in MIXTURE.values()])
    while True:
        rng = generator(seed, "corpus", start)
        counts = rng.multinomial(CHUNK, shares / shares.sum())
        chunk: list[Document] = []
        for (kind, (_, build)), count in zip(MIXTURE.items(), counts, strict=True):
            # Small batches, because all prompts of one batch ask the same question.
            for size in np.diff(np.linspace(0, count, 6).astype(int)):
                if size:
                    chunk += _documents(kind, build(int(size), rng, False), answers, rng)
        yield [chunk[i] for i in rng.permutation(len(chunk))]
        start += 1


def _documents(kind: str, built: Prompts, answers: int, rng: np.random.Generator) -> list[Document]:
    design, question, truth = built
    drawn = rng.multinomial(answers, truth)  # counts (n, K) of `answers` independent draws
    ends = kind not in market_text.UNFINISHED
    return [
        Document(
            kind,
            prompt,
            {question.separator + o[0]: c for o, c in zip(options, counts, strict=True) if c},
            ends,
        )
        for prompt, options, counts in zip(
            question.prompts(design), question.answers_for(design), drawn.tolist(), strict=True
        )
    ]
