"""Options that may be spelled in several ways: their probabilities added up, nothing twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simkit.scoring.types import Model, Scores
from simkit.types import FloatArray

__all__ = ["Spelled", "sum_forms"]

Spelled = tuple[tuple[str, ...], ...]  # the K options of a prompt, each with its spellings


def sum_forms(
    model: Model, prompts: Sequence[str], spelled: Sequence[Spelled], scores: Scores
) -> FloatArray:
    """Log-probability (N, K) of each option as a sum over its spellings.

    Parameters
    ----------
    prompts, spelled : N prompts and, for each, the K options' spellings, separators included; the
        numbers of spellings are the same for all prompts.
    scores : of all spellings laid end to end, (N, spellings).

    A spelling whose tokens begin with another spelling of the same option ("Yes." beside "Yes")
    is part of that one and adds nothing. One that begins with a spelling of another option does
    count for its own option; it is only the valid mass that leaves it out.
    """
    ends = np.cumsum([len(some) for some in spelled[0]]).tolist() if spelled else []
    if not ends or ends[-1] == len(ends):
        return scores.logprob
    totals = []
    for k, end in enumerate(ends):
        part = slice(end - len(spelled[0][k]), end)
        inside = scores.nested[:, part].copy()
        # Nested, but in what? Asked with its own spellings alone, the model tells.
        ask = np.flatnonzero(inside.any(1))
        if inside.shape[1] == 1:
            inside[:] = False
        elif len(ask):
            own = model.scores([prompts[int(i)] for i in ask], [spelled[int(i)][k] for i in ask])
            inside[ask] = own.nested
        parts = np.where(inside, -np.inf, scores.logprob[:, part])
        totals.append(np.logaddexp.reduce(parts, axis=1))
    return np.stack(totals, axis=1)
