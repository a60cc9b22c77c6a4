"""What is asked of a model that writes runs, and what it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simkit.scoring.forms import Spelled
from simkit.types import FloatArray, IntArray, generator

__all__ = ["Ask", "End", "Runs", "Writing", "uniforms"]


@dataclass(frozen=True)
class Writing:
    """How runs are written. The names are those of `sample_runs`.

    tail : put between the marker and the options: what stands between a thought and its answer.
    """

    seed: int
    marker: str
    forced: bool
    max_tokens: int
    temperature: float
    tail: str = ""


@dataclass(frozen=True, eq=False)
class Ask:
    """What a design row asks.

    row, text : its number and its prompt. spelled : the options' spellings with the separator
    before them. again : how many rows before it have the same prompt.
    """

    row: int
    text: str
    spelled: Spelled
    again: int


@dataclass(frozen=True, eq=False)
class End:
    """How some runs of a design row ended.

    reasoning : the text before the marker. tokens : their number, as written. before : the text
    before the answer, marker and tail included; None if there is no marker. forced : whether the
    marker was added because it was not written.
    """

    ask: Ask
    reasoning: str
    tokens: int
    before: str | None
    forced: bool = False


@dataclass(frozen=True, eq=False)
class Runs:
    """Finished runs.

    row, run : (runs,) numbers of design row and run. first : (runs,) the uniforms that draw their
    choices. number : (runs,) the number of each run's end. ends : the distinct ends.
    logprob, mass : (ends, K) and (ends,), of the options there; NaN without a marker.
    written : (ends,) the option that was written there, -1 for none: it is the choice, where an
    interface writes the answer too. None: choices are drawn from the beliefs.
    low, high : (ends, K) between which an interface's belief lies; None for exact ones.
    """

    row: IntArray
    run: IntArray
    first: FloatArray
    number: IntArray
    ends: Sequence[End]
    logprob: FloatArray
    mass: FloatArray
    written: IntArray | None = None
    low: FloatArray | None = None
    high: FloatArray | None = None


def uniforms(
    asked: Sequence[Ask], row: IntArray, run: IntArray, seed: int, steps: int
) -> FloatArray:
    """What each run draws with, (runs, 1 + steps): first its choice, then token after token."""
    out = np.empty((len(row), 1 + steps))
    for i, number, line in zip(row.tolist(), run.tolist(), out, strict=True):
        generator(seed, "run", asked[i].text, asked[i].again, number).random(out=line)
    return out
