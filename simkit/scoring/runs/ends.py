"""What distinct runs come to: their text, and the log-probabilities of the options after it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from simkit.scoring.engine.choice import refuse_nan
from simkit.scoring.engine.padded import score_padded
from simkit.scoring.engine.tokens import WIDTH, Ids, Reader
from simkit.scoring.engine.tree import Limits, Work
from simkit.scoring.forms import Spelled
from simkit.scoring.local import LocalModel, _nested
from simkit.scoring.runs.generate import Written
from simkit.types import FloatArray, IntArray

__all__ = ["Ask", "End", "ends_of", "flat", "score_ends"]


@dataclass(frozen=True, eq=False)
class Ask:
    """What a design row asks: prompt, and the options' spellings with the separator before them.

    again : how many rows before it have the same prompt.
    """

    row: int
    text: str
    context: Ids
    spelled: Spelled
    again: int


@dataclass(frozen=True, eq=False)
class End:
    """Where some runs of equal prompts, options and texts came to.

    before : what stands before the answer, marker included; None if there is no marker.
    exact : the tokens of prompt and text if they end with the marker, else None.
    forced : the marker was not written but given.
    """

    ask: Ask
    reasoning: str
    tokens: int
    before: str | None
    exact: Ids | None
    forced: bool = False


def flat(spelled: Spelled) -> tuple[str, ...]:
    """All spellings of all options, end to end."""
    return tuple(form for forms in spelled for form in forms)


def ends_of(
    written: list[Written], here: list[Ask], marker: str, forced: bool = False
) -> tuple[IntArray, list[End]]:
    """The number of each run's end, and the ends: a text, and the options that await it.

    forced : texts that did not write the marker are given it.
    """
    codes: dict[Spelled, int] = {}
    asks = np.array([codes.setdefault(ask.spelled, len(codes)) for ask in here])
    number = np.empty(len(here), dtype=np.int64)
    ends: list[End] = []
    for some in written:
        for code in np.unique(asks[some.runs]):
            who = some.runs[asks[some.runs] == code]
            number[who] = len(ends)
            ends.append(_end(some, here[who[0]], marker, forced))
    return number, ends


def _end(written: Written, ask: Ask, marker: str, forced: bool) -> End:
    tokens = len(written.ids) // WIDTH
    if written.found < 0:
        given = ask.text + written.text + marker if forced else None
        return End(ask, written.text, tokens, given, None, forced)
    stop = written.found + len(marker)
    exact = ask.context + written.ids if stop == len(written.text) else None
    reasoning = written.text[: written.found]
    return End(ask, reasoning, tokens, ask.text + written.text[:stop], exact)


def score_ends(
    model: LocalModel, reader: Reader, ends: list[End], work: Work, exact: Any = None
) -> tuple[FloatArray, FloatArray]:
    """Log-probability (n, K) of the options at each end and valid mass (n,); NaN without marker.

    exact : a network that is asked in the model's place, on the padded path.
    """
    logprob = np.full((len(ends), len(ends[0].ask.spelled)), np.nan)
    mass = np.full(len(ends), np.nan)
    at = [i for i, end in enumerate(ends) if end.before is not None]
    if not at:
        return logprob, mass
    read, answers = reader.read(
        [str(ends[i].before) for i in at],
        [flat(ends[i].ask.spelled) for i in at],
        [ends[i].ask.row for i in at],
    )
    contexts = [ends[i].exact or ids for i, ids in zip(at, read, strict=True)]
    order = sorted(range(len(at)), key=contexts.__getitem__)  # alike side by side
    contexts, answers = [contexts[j] for j in order], [answers[j] for j in order]
    at = [at[j] for j in order]
    if exact is not None:
        by_form = score_padded(exact, contexts, answers, model.choice.together)
    else:
        limits = Limits.of(model.network, model.budget)
        by_form = model.choice.score(model.network, contexts, answers, limits, work)
    refuse_nan([ends[i].ask.row for i in at], by_form)
    logprob[at], mass[at] = _sum(by_form, answers, [ends[i].ask.spelled for i in at])
    return logprob, mass


def _sum(
    by_form: FloatArray, answers: list[tuple[Ids, ...]], spelled: list[Spelled]
) -> tuple[FloatArray, FloatArray]:
    """Log-probability of the options and valid mass, from that of every spelling (n, spellings).

    As `believe` has it: a spelling that begins with another of the same option adds nothing to
    it, one that begins with any other adds nothing to the valid mass.
    """
    start = np.cumsum([0, *map(len, spelled[0])])
    within, apart = {}, {}
    for ids in dict.fromkeys(answers):
        apart[ids] = _nested(ids)
        within[ids] = [x for a, b in pairwise(start) for x in _nested(ids[a:b])]
    own = np.where([within[ids] for ids in answers], -np.inf, by_form)
    mass = np.where([apart[ids] for ids in answers], 0.0, np.exp(by_form)).sum(1)
    return np.logaddexp.reduceat(own, start[:-1], axis=1), mass
