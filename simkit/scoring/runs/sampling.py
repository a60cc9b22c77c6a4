"""Runs: reasoning first, then the belief over the options and the choice, for each run.

The belief is read off one run: it is the model's, *given what that run wrote*. Its mean over runs
and the mean of the choices have the same limit, and belief varies less (Sun & Zhang, arXiv
2512.23184).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pandas as pd

from simkit.questions import Question
from simkit.scoring.chat import Chat, open_turns, talk
from simkit.scoring.engine.choice import NOT_NUMBERS
from simkit.scoring.engine.precision import Exact, fine
from simkit.scoring.engine.tokens import WIDTH, Ids, Reader
from simkit.scoring.engine.tree import Limits, Work
from simkit.scoring.forms import refuse_same_ids
from simkit.scoring.local import LocalModel, _evaluating
from simkit.scoring.mass import LEAST_MASS, Place, check_least_mass, warn_of_mass
from simkit.scoring.runs.ends import Ask, End, ends_of, flat, score_ends
from simkit.scoring.runs.generate import NotNumbers, Sampling, Written, grow
from simkit.scoring.runs.kept import Kept
from simkit.scoring.runs.table import columns, frame, near_borders
from simkit.scoring.types import Model
from simkit.types import FloatArray, IntArray, framed, generator, shown

__all__ = ["MARKER", "sample_runs"]

MARKER = "\nAnswer:"
COLUMNS = (
    "prompt_id", "run", "option", "option_id", "value", "logprob", "belief", "valid_mass",
    "choice", "reasoning", "reached", "tokens", "belief_temperature", "seed", "model",
)  # fmt: skip
BLOCK = 2**23  # uniforms held at a time
MOST = 10_000_000  # runs of a prompt, and tokens of a run
KEPT = 2_048  # runs that a killed process may lose, with a store

_log = logging.getLogger(__name__)


def sample_runs(
    model: Model,
    question: Question,
    design: pd.DataFrame,
    *,
    runs: int,
    seed: int = 0,
    temperature: float = 1.0,
    max_tokens: int = 64,
    marker: str | None = None,
    forced: bool = False,
    top_k: int | None = None,
    top_p: float | None = None,
    chat: Chat | bool | None = False,
    least_mass: float = LEAST_MASS,
) -> pd.DataFrame:
    """Runs of reasoning, each with the belief at its answer and the choice drawn from it.

    Parameters
    ----------
    model : from `simkit.load`. If it has a store (`load(..., cache=...)`), each finished run is
        kept there and looked up before it is written again, so that a call that was stopped, or
        that asks for more runs, goes on; a killed process loses at most 2,048 runs.
    question : its prompts end where the reasoning begins; its options stand, behind its
        separator, after the marker.
    design : one row per prompt.
    runs : independent runs per design row.
    seed : each run draws from a stream of its own, (seed, prompt text, run). Further rows with
        the very same prompt count as its second, third, … occurrence and draw anew.
    temperature : of the reasoning, of the belief and so of the choice; 0 takes the likeliest.
    max_tokens : a run that has not written the marker after so many tokens ends without one.
    marker : the text that ends the reasoning, wherever token borders fall. None: "\\nAnswer:",
        or in a chat a new line and the chat's prefix.
    forced : a run that ended without the marker is given it, so that every run has a belief: how
        the model would answer if made to. Its `reached` stays False.
    top_k, top_p : cut the distribution of the reasoning's tokens, not of the answer.
    chat : False or None for plain text; True or a `Chat` to make each prompt the user's turn, laid
        out by the model's chat template (once for all runs), and the reasoning and answer the
        model's turn. The chat's `prefix` is how the answer begins, so it stands after the
        reasoning; if the prompt ends with it, it is taken off there.
    least_mass : valid mass, averaged over a prompt's runs, below which its beliefs are not to be
        trusted; one `LowMassWarning` then says so, as in `believe`. 0 for none.

    Returns
    -------
    One row per design row × run × option: the design's columns, then `prompt_id` (position of the
    design row), `run`, `option` and `option_id`, `value` (where the question has values),
    `logprob` (of the option's whole string after prompt, reasoning and marker), `belief` (softmax
    of logprob / temperature over the options, sums to 1), `valid_mass` (probability, in 0–1, that
    the model goes on with one of the options at all, at temperature 1), `choice` (1 for the option
    drawn, else 0), `reasoning` (verbatim, up to the marker), `reached`, `tokens` (that the run
    wrote, those of the marker included), `belief_temperature`, `seed` and `model`.

    A run that did not reach the marker (out of tokens, or the model ended its text) keeps its
    rows, with `reached` False and (unless `forced`) logprob, belief, valid_mass and choice NaN; the
    log counts them.

    The answer is scored after the very tokens that the run wrote. Only where the token that
    completes the marker goes on beyond it ("Answer:\\n" as one token), the surplus is dropped and
    the text up to the marker is tokenized afresh.

    The same call gives the same runs on every processor, whatever else is asked beside them: other
    prompts, rows in another order, more `runs`, other batches, more threads. Small models compute
    in float64 (see `simkit.load`). For others in float32 beliefs move by rounding (1e-6), and a
    token or choice that rounding could decide is drawn once more, in float64. In half precision
    rounding is so coarse that a run now and then differs between processors or batches.

    Raises TypeError for a model that cannot write; ValueError for numbers out of range, an empty
    design, one that has one of these columns, or no room in the model's context for a prompt,
    `max_tokens` and an option; and what `simkit.score` raises, and `believe` with a chat.
    """
    if not isinstance(model, LocalModel):
        raise TypeError(
            f"{getattr(model, 'name', model)!r} ({type(model).__name__}) writes no text; "
            f"runs need a model from simkit.load"
        )
    if not isinstance(question, Question):
        raise ValueError(f"question is {shown(question)}; it must be a Question")
    if not isinstance(forced, bool | np.bool_):
        raise ValueError(f"forced is {shown(forced)}; it must be True or False")
    sampling = Sampling(temperature, top_k, top_p)
    said = talk(chat)
    marker = _marker(said) if marker is None else marker
    _check(design, runs, max_tokens, marker)
    least_mass = check_least_mass(least_mass)
    question.warn_unsaid(design, None if said is None else said.system, stacklevel=3)
    reader, work = model._reader, Work()
    asked = _ask(model, reader, question, design, said, max_tokens, marker, forced)
    first = np.empty((len(asked), runs))  # the uniform that draws the choice
    of = np.full((len(asked), runs), -1)  # the end that each run came to
    ends: list[End] = []
    scores = []
    kept = None
    if model.store is not None:
        kept = Kept.of(model, asked, runs, seed, marker, forced, sampling, max_tokens)
        of, ends, found = kept.find()
        scores.append(found)
        row, run = np.nonzero(of >= 0)
        first[row, run] = _uniforms([asked[i] for i in row], run, seed, 0)[:, 0]
        model.tally.stored += len(row)
        _log.info("%d of %d runs came out of the store", len(row), of.size)
    exact, most = Exact(model.network), max(1, BLOCK // max_tokens)
    with _evaluating(model.network):
        for row, run in _blocks(asked, of, most if kept is None else min(KEPT, most)):
            here = [asked[i] for i in row]
            uniforms = _uniforms(here, run, seed, max_tokens)
            first[row, run] = uniforms[:, 0]
            written = _write(model, here, uniforms[:, 1:], marker, sampling, work)
            number, new = ends_of(written, here, marker, forced)
            of[row, run] = len(ends) + number
            ends += new
            scores.append(score_ends(model, reader, new, work))
            near = near_borders(scores[-1][0], number, uniforms[:, 0], temperature)
            if len(near) and exact.network is not model.network and fine(model.network):
                again = score_ends(model, reader, [new[i] for i in near], work, exact.network)
                for old, better in zip(scores[-1], again, strict=True):
                    old[near] = better
            if kept is not None:
                kept.keep(row, run, number, new, *scores[-1])
    _report(ends, of, work, f"{marker!r} within {max_tokens} tokens")
    logprob, mass = (np.concatenate(parts) for parts in zip(*scores, strict=True))
    before = question.separator if said is None or said.separator is None else said.separator
    _warn(model, mass[of], ends, of, marker, before, least_mass)
    table = frame(question, design, runs)
    table = table.assign(**columns(ends, of, first, logprob, mass, temperature))
    return table.assign(belief_temperature=float(temperature), seed=seed, model=model.name)


def _marker(chat: Chat | None) -> str:
    if chat is None:
        return MARKER
    if not chat.prefix:
        raise ValueError(
            "the chat's prefix is empty, so nothing says where the reasoning ends; legal are a "
            "prefix that opens the answer, and a marker"
        )
    return "\n" + chat.prefix


def _check(design: pd.DataFrame, runs: int, max_tokens: int, marker: str) -> None:
    for name, number in (("runs", runs), ("max_tokens", max_tokens)):
        if not isinstance(number, int | np.integer) or not 1 <= number <= MOST:
            raise ValueError(
                f"{name} is {shown(number)}; it must be a whole number from 1 to {MOST:,}"
            )
    if not isinstance(marker, str) or not marker:
        raise ValueError(f"marker is {marker!r}; legal is text of one character or more")
    taken = [c for c in COLUMNS if c in framed(design, "the design")]
    if taken:
        raise ValueError(f"the design already has a column {taken[0]!r}; rename it first")
    if design.empty:
        raise ValueError("the design has no rows")


def _ask(
    model: LocalModel, reader: Reader, question: Question, design: pd.DataFrame,
    chat: Chat | None, max_tokens: int, marker: str, forced: bool,
) -> list[Ask]:  # fmt: skip
    """What each row asks; whatever would fail at the answer fails here, before it is paid for."""
    texts = question.prompts(design, warn=False)
    for row, text in enumerate(texts):
        if not text:
            raise ValueError(f"row {row}: prompt {text!r} is empty")
    before = question.separator
    if chat is not None:
        texts = open_turns(model, texts, chat, design)
        before = before if chat.separator is None else chat.separator
    spelled = [
        tuple(tuple(before + form for form in forms) for forms in row)
        for row in question.answers_for(design)
    ]
    rows = range(len(texts))
    marked, answers = reader.read([t + marker for t in texts], [flat(s) for s in spelled], rows)
    contexts = reader.encode(texts)
    longest = marked if forced else contexts
    seen: Counter[str] = Counter()
    asked = []
    for row, text, context, own, ids in zip(rows, texts, contexts, spelled, answers, strict=True):
        length = (len(longest[row]) + max(map(len, ids))) // WIDTH + max_tokens
        if model.context_length is not None and length > model.context_length:
            raise ValueError(
                f"row {row}: a prompt of {len(context) // WIDTH} tokens, max_tokens {max_tokens} "
                f"and an option are {length} tokens, more than the {model.context_length} that "
                f"{model.name} can read"
            )
        refuse_same_ids(row, own, ids, model)
        asked.append(Ask(row, text, context, own, seen[text]))
        seen[text] += 1
    return asked


def _blocks(asked: list[Ask], of: IntArray, most: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Row and run of up to `most` open runs at a time: by prompt, whatever order the rows are in.

    of : (rows, runs), below 0 for a run that is open.
    """
    order = np.array(sorted(range(len(asked)), key=lambda i: (asked[i].text, asked[i].again)))
    place, run = np.nonzero(of[order] < 0)
    for start in range(0, len(place), most):
        part = slice(start, start + most)
        yield order[place[part]], run[part]


def _uniforms(here: list[Ask], run: IntArray, seed: int, steps: int) -> FloatArray:
    """What each run draws with, (runs, 1 + steps): first its choice, then token after token."""
    out = np.empty((len(here), 1 + steps))
    for ask, number, row in zip(here, run.tolist(), out, strict=True):
        generator(seed, "run", ask.text, ask.again, number).random(out=row)
    return out


def _write(
    model: LocalModel, here: list[Ask], uniforms: FloatArray, marker: str, sampling: Sampling,
    work: Work,
) -> list[Written]:  # fmt: skip
    """The distinct texts that runs write, one run per item of `here` and row of `uniforms`."""
    number: dict[Ids, int] = {}
    which = np.array([number.setdefault(ask.context, len(number)) for ask in here])
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
            sampling=sampling,
            limits=Limits.of(model.network, model.budget),
            work=work,
        )
    except NotNumbers as error:
        row = next(ask.row for ask in here if number[ask.context] == error.place)
        raise ValueError(f"row {row}: {NOT_NUMBERS}") from error


def _warn(
    model: LocalModel, mass: FloatArray, ends: list[End], of: IntArray, marker: str, before: str,
    least: float,
) -> None:  # fmt: skip
    """Warn of prompts whose mean valid mass is low; mass and `of` are (prompts, runs)."""
    rows = np.flatnonzero(~np.isnan(mass).all(1))

    def place(i: int) -> Place:
        end = ends[of[rows[i], np.nanargmin(mass[rows[i]])]]
        own = tuple(tuple(f.removeprefix(before) for f in some) for some in end.ask.spelled)
        return f"row {rows[i]}", end.ask.text + end.reasoning + marker, before, own

    warn_of_mass(model, np.nanmean(mass[rows], axis=1), least, place)


def _report(ends: list[End], of: IntArray, work: Work, what: str) -> None:
    """Say what it took, and count the runs without an answer."""
    tokens = np.array([len(end.ask.context) // WIDTH + end.tokens - 1 for end in ends])
    _log.info(
        "%d runs wrote %d distinct texts: %d positions computed, one by one %d",
        of.size, len(ends), work.positions, tokens[of].sum(),
    )  # fmt: skip
    given = int(np.array([end.forced for end in ends])[of].sum())
    missed = int(np.array([end.before is None for end in ends])[of].sum())
    if given:  # as was asked for
        _log.info("%d of %d runs did not reach %s: made to answer", given, of.size, what)
    if missed:
        _log.warning("%d of %d runs did not reach %s: no belief there", missed, of.size, what)
