"""Runs that a network in this process writes, and its belief where their answers begin."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from simkit.scoring.engine.choice import NOT_NUMBERS, refuse_nan
from simkit.scoring.engine.padded import score_padded
from simkit.scoring.engine.precision import SLACK, Exact, fine
from simkit.scoring.engine.tokens import WIDTH, Ids, nested
from simkit.scoring.engine.tree import Work
from simkit.scoring.engine.turns import evaluating
from simkit.scoring.forms import Spelled, add_forms, flat, refuse_same_tokens
from simkit.scoring.runs.asked import Ask, End, Runs, Writing, uniforms
from simkit.scoring.runs.generate import NotNumbers, Written, grow
from simkit.scoring.temperature import softmax_rows
from simkit.scoring.types import Scores, renamed_rows
from simkit.types import FloatArray, IntArray

if TYPE_CHECKING:
    from simkit.scoring.local import LocalModel

__all__ = ["grow_each", "near_borders", "write_runs"]

BLOCK = 2**23  # uniforms held at a time

_log = logging.getLogger(__name__)


def write_runs(
    model: LocalModel, asked: Sequence[Ask], row: IntArray, run: IntArray, how: Writing,
    block: int | None = None,
) -> Iterator[Runs]:  # fmt: skip
    """The runs `run` (n,) of the rows `row` (n,), in blocks of up to `block`.

    Whatever would fail at the answers fails before any is written. The answers are scored after
    the very tokens that a run wrote if these end with the marker; else the text is read anew.
    """
    contexts = _contexts(model, asked, how)
    most = max(1, BLOCK // how.max_tokens)
    work, exact, texts, naive = Work(), Exact(model.network), 0, 0
    for part in _parts(asked, row, run, most if block is None else min(block, most)):
        drawn = uniforms(asked, row[part], run[part], how.seed, how.max_tokens)
        with evaluating(model.network):
            texts_of = [contexts[i] for i in row[part]]
            with renamed_rows(row[part].tolist()):
                written = grow_each(
                    model, texts_of, drawn[:, 1:], how.marker, how.temperature, work
                )
            questions = [asked[i] for i in row[part]]
            number, ends, ids = _ends(written, questions, contexts, how)
            logprob, mass = _score(model, ends, ids, work)
            near = near_borders(logprob, number, drawn[:, 0], how.temperature)
            if len(near) and exact.network is not model.network and fine(model.network):
                again = [ends[i] for i in near], [ids[i] for i in near]
                logprob[near], mass[near] = _score(model, *again, work, exact.network)
        yield Runs(row[part], run[part], drawn[:, 0], number, ends, logprob, mass)
        texts += len(ends)
        length = np.array([len(contexts[end.ask.row]) // WIDTH + end.tokens - 1 for end in ends])
        naive += int(length[number].sum())
    _log.info(
        "%d runs wrote %d distinct texts: %d positions computed, one by one %d",
        len(row), texts, work.positions, naive,
    )  # fmt: skip


def _contexts(model: LocalModel, asked: Sequence[Ask], how: Writing) -> list[Ids]:
    """Ids of each row's prompt; what cannot be scored after prompt and marker is refused."""
    rows = range(len(asked))
    texts = [ask.text for ask in asked]
    marked, answers = model.reader.read(
        [text + how.marker + how.tail for text in texts], [flat(ask.spelled) for ask in asked], rows
    )
    contexts = model.reader.encode(texts)
    longest = marked if how.forced or how.tail else contexts
    for row, ask, ids in zip(rows, asked, answers, strict=True):
        length = (len(longest[row]) + max(map(len, ids))) // WIDTH + how.max_tokens
        if model.context_length is not None and length > model.context_length:
            raise ValueError(
                f"row {row}: a prompt of {len(contexts[row]) // WIDTH} tokens, max_tokens "
                f"{how.max_tokens} and an option are {length} tokens, more than the "
                f"{model.context_length} that {model.name} can read"
            )
        if len(set(ids)) < len(ids):
            words = model.tokens(ask.text + how.marker + how.tail, flat(ask.spelled))
            refuse_same_tokens(row, ask.spelled, words, model.name)
    return contexts


def _parts(asked: Sequence[Ask], row: IntArray, run: IntArray, most: int) -> Iterator[IntArray]:
    """Places of up to `most` runs at a time: by prompt, whatever order the rows are in."""
    order = sorted(range(len(asked)), key=lambda i: (asked[i].text, asked[i].again))
    rank = np.argsort(order)
    place = np.lexsort((run, rank[row]))
    for start in range(0, len(place), most):
        yield place[start : start + most]


def grow_each(
    model: LocalModel, contexts: Sequence[Ids], uniforms: FloatArray, marker: str,
    temperature: float, work: Work | None = None,
) -> list[Written]:  # fmt: skip
    """The distinct texts that runs write, each from its own context and row of `uniforms`."""
    number: dict[Ids, int] = {}
    which = np.array([number.setdefault(context, len(number)) for context in contexts])
    order = np.argsort(which, kind="stable")
    try:
        return grow(
            model.network,
            model.tokenizer,
            list(number),
            np.split(order, np.bincount(which).cumsum()[:-1]),
            uniforms,
            marker=marker,
            kept=model.path == "tree",
            together=model.choice.together,
            temperature=temperature,
            limits=model.limits,
            work=work,
        )
    except NotNumbers as error:
        run = int(np.flatnonzero(which == error.place)[0])
        raise ValueError(f"row {run}: {NOT_NUMBERS}") from error


def _ends(
    written: list[Written], questions: list[Ask], contexts: list[Ids], how: Writing
) -> tuple[IntArray, list[End], list[Ids | None]]:
    """The number of each run's end; the ends, a text and the options that await it; and the tokens
    of prompt and text where they end with the marker."""
    codes: dict[Spelled, int] = {}
    asks = np.array([codes.setdefault(ask.spelled, len(codes)) for ask in questions])
    number = np.empty(len(questions), dtype=np.int64)
    ends: list[End] = []
    exact: list[Ids | None] = []
    for item in written:
        for code in np.unique(asks[item.runs]):
            runs = item.runs[asks[item.runs] == code]
            ask, stop = questions[runs[0]], item.found + len(how.marker)
            tokens, before, reasoning = len(item.ids) // WIDTH, None, item.text
            if item.found >= 0:
                before, reasoning = ask.text + item.text[:stop], item.text[: item.found]
            elif how.forced:
                before = ask.text + item.text + how.marker
            before = before and before + how.tail
            number[runs] = len(ends)
            ends.append(End(ask, reasoning, tokens, before, how.forced and item.found < 0))
            whole = item.found >= 0 and stop == len(item.text) and not how.tail
            exact.append(contexts[ask.row] + item.ids if whole else None)
    return number, ends, exact


def _score(
    model: LocalModel, ends: list[End], exact: list[Ids | None], work: Work, network: Any = None
) -> tuple[FloatArray, FloatArray]:
    """Log-probability (n, K) of the options at each end and valid mass (n,); NaN without marker.

    network : one that is asked in the place of the model's own, on the padded path.
    """
    logprob = np.full((len(ends), len(ends[0].ask.spelled)), np.nan)
    mass = np.full(len(ends), np.nan)
    rows = [i for i, end in enumerate(ends) if end.before is not None]
    if not rows:
        return logprob, mass
    read, answers = model.reader.read(
        [str(ends[i].before) for i in rows],
        [flat(ends[i].ask.spelled) for i in rows],
        [ends[i].ask.row for i in rows],
    )
    contexts = [exact[i] or ids for i, ids in zip(rows, read, strict=True)]
    order = sorted(range(len(rows)), key=contexts.__getitem__)  # alike side by side
    contexts, answers = [contexts[j] for j in order], [answers[j] for j in order]
    rows = [rows[j] for j in order]
    if network is not None:
        by_form = score_padded(network, contexts, answers, model.choice.together)
    else:
        by_form = model.choice.score(model.network, contexts, answers, model.limits, work)
    refuse_nan([ends[i].ask.row for i in rows], by_form)
    # As `believe` has it: a spelling that begins with another of the same option adds nothing to
    # it, one that begins with any other adds nothing to the valid mass.
    spelled = ends[rows[0]].ask.spelled
    start = np.cumsum([0, *map(len, spelled)]).tolist()
    within = {
        ids: [x for a, b in pairwise(start) for x in nested(ids[a:b])] for ids in set(answers)
    }
    anywhere = {ids: nested(ids) for ids in within}
    inside = np.array([within[ids] for ids in answers])
    logprob[rows] = add_forms(by_form, inside, spelled)
    mass[rows] = Scores(by_form, np.array([anywhere[ids] for ids in answers])).valid_mass
    return logprob, mass


def near_borders(
    logprob: FloatArray, number: IntArray, u: FloatArray, temperature: float
) -> IntArray:
    """Which ends (rows of logprob) have a run whose choice rounding in float32 could decide.

    number : (runs,) the end of each run. u : (runs,) what its choice is drawn by.
    """
    size = np.where(np.isfinite(logprob), np.abs(logprob), 0).max(1, initial=1)
    error = SLACK * np.finfo(np.float32).eps * size
    with np.errstate(invalid="ignore"):  # no answer, or one of no probability
        if temperature == 0:
            top = np.sort(logprob, axis=1)
            return np.flatnonzero(top[:, -1] - top[:, -2] < error)
        borders = softmax_rows(logprob, temperature).cumsum(1)
        gap = np.abs(borders[number, :-1] - u[:, None]).min(1)
        return np.unique(number[gap < error[number] / temperature])
