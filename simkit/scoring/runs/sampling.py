"""Runs: reasoning first, then the belief over the options and the choice, for each run.

The belief is read off one run: it is the model's, *given what that run wrote*. Its mean over runs
and the mean of the choices have the same limit, and belief varies less (Sun & Zhang, arXiv
2512.23184).
"""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from simkit.questions import Question
from simkit.scoring.belief import check_asked, option_rows
from simkit.scoring.chat import Chat, open_turns, talk
from simkit.scoring.mass import LEAST_MASS, Place, check_least_mass, warn_of_mass
from simkit.scoring.runs.asked import Ask, End, Writing
from simkit.scoring.runs.table import columns
from simkit.scoring.temperature import HOTTEST
from simkit.scoring.types import Model, ability, renamed_rows
from simkit.types import FloatArray, IntArray, integer, scalar, shown

__all__ = ["MARKER", "sample_runs"]

MARKER = "\nAnswer:"
COLUMNS = (
    "prompt_id", "run", "option", "option_id", "value", "logprob", "belief", "valid_mass",
    "choice", "reasoning", "reached", "tokens", "belief_temperature", "seed", "model",
)  # fmt: skip
MOST = 10_000_000  # runs of a prompt, and tokens of a run

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
    chat: Chat | bool | None = False,
    least_mass: float = LEAST_MASS,
) -> pd.DataFrame:
    """Runs of reasoning, each with the belief at its answer and the choice drawn from it.

    Parameters
    ----------
    model : a language model from `simkit.load`. With a cache (`load(..., cache=...)`) each
        finished run is kept there and looked up before it is written again, so that a call that
        was stopped, or that asks for more runs, goes on; a killed process loses at most 2,048.
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
    write_runs = ability(model, "runs", "sample_runs")
    if not isinstance(forced, bool | np.bool_):
        raise ValueError(f"forced is {shown(forced)}; it must be True or False")
    temperature = scalar(temperature, "temperature", 0, HOTTEST)
    said = talk(chat)
    marker = _marker(said) if marker is None else marker
    integer(runs, "runs", 1, MOST)
    integer(max_tokens, "max_tokens", 1, MOST)
    if not isinstance(marker, str) or not marker:
        raise ValueError(f"marker is {shown(marker)}; it must be text of one character or more")
    check_asked(question, design, COLUMNS)
    least_mass = check_least_mass(least_mass)
    question.warn_unsaid(design, None if said is None else said.system, stacklevel=3)
    how = Writing(seed, marker, bool(forced), max_tokens, temperature)
    first = np.empty((len(design), runs))  # the uniform that draws the choice
    of = np.empty((len(design), runs), dtype=np.int64)  # the end that each run came to
    ends: list[End] = []
    scores = []
    names = design.index.tolist()
    asked, separator = _ask(model, question, design, said)
    row, run = np.divmod(np.arange(of.size), runs)
    with renamed_rows(names):
        for some in write_runs(asked, row, run, how):
            first[some.row, some.run] = some.first
            of[some.row, some.run] = len(ends) + some.number
            ends += some.ends
            scores.append((some.logprob, some.mass))
    _report(ends, of, f"{marker!r} within {max_tokens} tokens")
    logprob, mass = (np.concatenate(parts) for parts in zip(*scores, strict=True))
    _warn(model, mass[of], ends, of, marker, separator, names, least_mass)
    numbered = {"run": np.repeat(np.arange(runs), len(question.options))}
    table = option_rows(question, design, runs, numbered)
    table = table.assign(**columns(ends, of, first, logprob, mass, temperature))
    return table.assign(belief_temperature=temperature, seed=seed, model=model.name)


def _marker(chat: Chat | None) -> str:
    if chat is None:
        return MARKER
    if not chat.prefix:
        raise ValueError(
            "the chat's prefix is empty, so nothing says where the reasoning ends; give a "
            "prefix that opens the answer, or a marker"
        )
    return "\n" + chat.prefix


def _ask(
    model: Model, question: Question, design: pd.DataFrame, chat: Chat | None
) -> tuple[list[Ask], str]:
    """What each row asks, and the separator before its options."""
    texts = question.prompts(design, warn=False)
    before = question.separator
    for row, text in zip(design.index.tolist(), texts, strict=True):
        if not text:
            raise ValueError(f"row {row!r}: prompt {text!r} is empty")
    if chat is not None:
        with renamed_rows(design.index.tolist()):
            texts = open_turns(model, texts, chat, design.reset_index(drop=True))
        before = before if chat.separator is None else chat.separator
    spelled = [
        tuple(tuple(before + form for form in forms) for forms in row)
        for row in question.answers_for(design)
    ]
    again: dict[str, int] = {}
    asked = []
    for row, (text, own) in enumerate(zip(texts, spelled, strict=True)):
        asked.append(Ask(row, text, own, again.get(text, 0)))
        again[text] = again.get(text, 0) + 1
    return asked, before


def _warn(
    model: Model, mass: FloatArray, ends: list[End], of: IntArray, marker: str, before: str,
    names: list[object], least: float,
) -> None:  # fmt: skip
    """Warn of prompts whose mean valid mass is low; mass and `of` are (prompts, runs)."""
    rows = np.flatnonzero(~np.isnan(mass).all(1))

    def place(i: int) -> Place:
        end = ends[of[rows[i], np.nanargmin(mass[rows[i]])]]
        own = tuple(tuple(f.removeprefix(before) for f in some) for some in end.ask.spelled)
        return f"row {names[rows[i]]!r}", end.ask.text + end.reasoning + marker, before, own

    warn_of_mass(model, np.nanmean(mass[rows], axis=1), least, place)


def _report(ends: list[End], of: IntArray, what: str) -> None:
    """Count the runs without an answer, and those that were made to give one."""
    given = int(np.array([end.forced for end in ends])[of].sum())
    missed = int(np.array([end.before is None for end in ends])[of].sum())
    if given:  # as was asked for
        _log.info("%d of %d runs did not reach %s: made to answer", given, of.size, what)
    if missed:
        _log.warning("%d of %d runs did not reach %s: no belief there", missed, of.size, what)
