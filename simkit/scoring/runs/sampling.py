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
from simkit.scoring.belief import check_asked, check_free, option_rows
from simkit.scoring.chat import Chat, laid_out, talk
from simkit.scoring.forms import respelled, separated
from simkit.scoring.mass import LEAST_MASS, Place, warn_of_mass
from simkit.scoring.runs.asked import Ask, End, Writing
from simkit.scoring.temperature import HOTTEST, softmax_rows
from simkit.scoring.thoughts import CUT, SAMPLED, Thought
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
    chat: Chat | bool | None = None,
    least_mass: float = LEAST_MASS,
) -> pd.DataFrame:
    """Runs of reasoning, each with the belief at its answer and the choice drawn from it.

    Parameters
    ----------
    model : Model
        A language model from `simkit.load`. With a cache (`load(..., cache=...)`) each finished
        run is kept there and looked up before it is written again, so that a call that was
        stopped, or that asks for more runs, goes on; a killed process loses at most 2,048.
    question : Question
        Its prompts end where the reasoning begins; its options follow the marker, behind the
        question's separator.
    design : pandas.DataFrame
        One row per prompt.
    runs : int
        Independent runs per design row.
    seed : int
        Each run draws from a stream of its own, (seed, prompt text, run). Further rows with the
        very same prompt count as its second, third, … occurrence and draw anew.
    temperature : float
        Of the reasoning, of the belief and so of the choice; 0 takes the likeliest.
    max_tokens : int
        A run that has not written the marker after so many tokens ends without one.
    marker : str, optional
        The text that ends the reasoning, wherever token borders fall. None: "\\nAnswer:", or in a
        chat a new line and the chat's prefix. In a chat with thinking="sample" the reasoning
        is the thought, which ends with its own mark, and none may be given.
    forced : bool
        True gives the marker to a run that ended without it, so that every run has a belief: how
        the model would answer if made to. Its `reached` stays False.
    chat : Chat, bool or None
        As in `believe`: in a chat each prompt is the user's turn, laid out by the model's chat
        template (once for all runs), and the reasoning and answer the model's turn. The chat's
        `prefix` is how the answer begins, so it comes after the reasoning; if the prompt ends with
        it, it is taken off there.
    least_mass : float
        Valid mass, averaged over a prompt's runs, below which its beliefs should not be trusted;
        one `LowMassWarning` then says so, as in `believe`. 0 for no warning.

    Returns
    -------
    pandas.DataFrame
        One row per design row × run × option: the design's columns, then `prompt_id` (position of
        the design row), `run`, `option` and `option_id`, `value` (where the question has values),
        `logprob` (natural, of the option's whole string after prompt, reasoning and marker),
        `belief` (softmax of logprob / temperature over the options, sums to 1), `valid_mass`
        (probability, in 0–1, that the model goes on with one of the options at all, at
        temperature 1), `choice` (1 for the option drawn, else 0), `reasoning` (verbatim, up to
        the marker), `reached`, `tokens` (that the run wrote, those of the marker included),
        `belief_temperature`, `seed` and `model`.

        A run that did not reach the marker (out of tokens, or the model ended its text) keeps its
        rows, with `reached` False and (unless `forced`) logprob, belief, valid_mass and choice
        NaN; the log counts them. Of an interface that writes the answer too (see `Beliefs`), the
        choice is the option that was written, NaN for none, and there are columns `low` and
        `high`, between which the belief lies. In a chat whose template knows thoughts, also
        `channel`, as in `believe`, None where nothing was scored.

    Raises
    ------
    TypeError
        For a model that cannot write.
    ValueError
        For numbers out of range, an empty design, one that has one of these columns, or no room
        in the model's context for a prompt, `max_tokens` and an option; and what `simkit.score`
        raises, and `believe` with a chat.

    Notes
    -----
    The answer is scored after the very tokens that the run wrote. Only where the token that
    completes the marker goes on beyond it ("Answer:\\n" as one token), the surplus is dropped and
    the text up to the marker is tokenized afresh.

    The same call gives the same runs on every processor, whatever else is asked with them: other
    prompts, rows in another order, more `runs`, other batches, more threads. Small models compute
    in float64 (see `simkit.load`). For others in float32 beliefs move by rounding (1e-6), and a
    token or choice that rounding could decide is drawn once more, in float64. In half precision
    rounding is so coarse that a run now and then differs between processors or batches.

    References
    ----------
    Sun & Zhang, arXiv 2512.23184: belief read in a run instead of the choice drawn.

    Examples
    --------
    >>> import simkit as sk
    >>> model = sk.load("glassbox")
    >>> question = sk.Question("At $3.00, do you buy milk?", ["yes", "no"])
    >>> design = pd.DataFrame({"person": ["Ann"]})
    >>> table = sk.sample_runs(model, question, design, runs=2, seed=1, forced=True)
    >>> table[["run", "reasoning", "option", "belief", "choice"]].round(1)
       run reasoning option  belief  choice
    0    0        no    yes     0.4     0.0
    1    0        no     no     0.6     1.0
    2    1       yes    yes     0.4     0.0
    3    1       yes     no     0.6     1.0
    """
    write_runs = ability(model, "runs", "sample_runs")
    if not isinstance(forced, bool | np.bool_):
        raise ValueError(f"forced is {shown(forced)}; it must be True or False")
    temperature = scalar(temperature, "temperature", 0, HOTTEST)
    layout = talk(chat, model)
    integer(runs, "runs", 1, MOST)
    integer(max_tokens, "max_tokens", 1, MOST)
    if marker is not None and (not isinstance(marker, str) or not marker):
        raise ValueError(f"marker is {shown(marker)}; it must be text of one character or more")
    check_asked(question, design, COLUMNS)
    least_mass = scalar(least_mass, "least_mass", 0, 1)
    question.warn_unsaid(design, None if layout is None else layout.system, stacklevel=3)
    names = design.index.tolist()
    asked, separator, thought = _ask(model, question, design, layout)
    check_free(design, () if thought.channel is None else ("channel",))
    marker, tail = _end(layout, thought, marker)
    how = Writing(seed, marker, bool(forced), max_tokens, temperature, tail)
    first = np.empty((len(design), runs))  # the uniform that draws the choice
    number = np.empty((len(design), runs), dtype=np.int64)  # the end that each run came to
    ends: list[End] = []
    scores, told = [], []
    row, run = np.divmod(np.arange(number.size), runs)
    with renamed_rows(names):
        for block in write_runs(asked, row, run, how):
            first[block.row, block.run] = block.first
            number[block.row, block.run] = len(ends) + block.number
            ends += block.ends
            scores.append((block.logprob, block.mass))
            told.append((block.written, block.low, block.high))
    what = f"{number.size} runs did not reach {marker!r} within {max_tokens} tokens"
    if made := int(np.array([end.forced for end in ends])[number].sum()):  # as was asked for
        _log.info("%d of %s: made to answer", made, what)
    if missed := int(np.array([end.before is None for end in ends])[number].sum()):
        _log.warning("%d of %s: no belief there", missed, what)
    logprob, mass = (np.concatenate(parts) for parts in zip(*scores, strict=True))
    _warn(model, mass[number], ends, number, marker + tail, separator, names, least_mass)
    k, of_run = logprob.shape[1], number.ravel()
    of_cell = np.repeat(of_run, k)  # run × option
    belief = softmax_rows(logprob, temperature)[of_run]
    choice = _choose(belief, first.ravel())
    bounds: dict[str, FloatArray] = {}
    if told[0][0] is not None:  # by an interface, which writes the answers too
        written, low, high = (np.concatenate(parts) for parts in zip(*told, strict=True))
        choice = (np.arange(k) == written[of_run, None]).astype(float)
        choice[written[of_run] < 0] = np.nan
        check_free(design, ("low", "high"))
        bounds = {"low": low[of_run].ravel(), "high": high[of_run].ravel()}
    reached = [end.before is not None and not end.forced for end in ends]
    table = option_rows(question, design, runs, {"run": np.repeat(np.arange(runs), k)})
    table = table.assign(
        logprob=logprob[of_run].ravel(),
        belief=belief.ravel(),
        valid_mass=mass[of_cell],
        choice=choice.ravel(),
        reasoning=np.array([end.reasoning for end in ends], dtype=object)[of_cell],
        reached=np.array(reached)[of_cell],
        tokens=np.array([end.tokens for end in ends])[of_cell],
        belief_temperature=temperature,
        seed=seed,
        model=model.name,
        **bounds,
    )
    if thought.channel is not None:
        table["channel"] = np.array([_channel(end, thought) for end in ends], object)[of_cell]
    return table


def _end(chat: Chat | None, thought: Thought, marker: str | None) -> tuple[str, str]:
    """The marker that ends the reasoning, and what stands between it and the options."""
    if thought.end:
        if marker is not None:
            raise ValueError(
                f"marker is {shown(marker)}, but with thinking='sample' the reasoning is the "
                f"thought and ends with {thought.end!r}; leave marker out"
            )
        tail = thought.after + ("" if chat is None else chat.prefix)
        return thought.end, tail if chat is None or chat.prefix else tail.rstrip(" ")
    if marker is not None:
        return marker, ""
    if chat is not None and not chat.prefix:
        raise ValueError("the chat's prefix is empty, so nothing ends the reasoning; set marker")
    return (MARKER if chat is None else "\n" + chat.prefix), ""


def _channel(end: End, thought: Thought) -> str | None:
    """What was scored at an end; None where nothing was."""
    if end.before is None:
        return None
    if thought.end or thought.by_prefix:  # the reasoning is the thought
        return CUT if end.forced else SAMPLED
    return thought.channel


def _choose(belief: FloatArray, u: FloatArray) -> FloatArray:
    """1 for the option that a uniform draws from each row of beliefs, else 0; NaN for no belief."""
    below = belief.cumsum(1)
    drawn = (below <= u[:, None] * below[:, -1:]).sum(1)
    chosen = np.arange(belief.shape[1]) == drawn[:, None]
    return np.where(np.isnan(belief), np.nan, chosen)


def _ask(
    model: Model, question: Question, design: pd.DataFrame, chat: Chat | None
) -> tuple[list[Ask], str, Thought]:
    """What each row asks, the separator before its options, and what is done about thoughts."""
    texts = question.prompts(design, warn=False)
    separator, answers = question.separator, question.answers_for(design)
    thought = Thought()
    for row, text in zip(design.index.tolist(), texts, strict=True):
        if not text:
            raise ValueError(f"row {row!r}: prompt {text!r} is empty")
    if chat is not None:
        with renamed_rows(design.index.tolist()):
            people = design.reset_index(drop=True)
            laid = laid_out(
                model, texts, chat, people, separator=separator, answers=answers, opening=True
            )
        texts, thought = laid.texts, laid.thought
        answers = respelled(answers) if chat.spellings else answers
        if thought.end and not chat.prefix:  # the answer stands right behind the thought
            separator = thought.after[len(thought.after.rstrip(" ")) :]
        separator = separator if chat.separator is None else chat.separator
    spelled = separated(separator, answers)
    again: dict[str, int] = {}
    asked = []
    for row, (text, forms) in enumerate(zip(texts, spelled, strict=True)):
        asked.append(Ask(row, text, forms, again.get(text, 0)))
        again[text] = again.get(text, 0) + 1
    return asked, separator, thought


def _warn(
    model: Model, mass: FloatArray, ends: list[End], number: IntArray, marker: str, separator: str,
    names: list[object], least: float,
) -> None:  # fmt: skip
    """Warn of prompts whose mean valid mass is low; mass and `number` are (prompts, runs)."""
    rows = np.flatnonzero(~np.isnan(mass).all(1))

    def place(i: int) -> Place:
        end = ends[number[rows[i], np.nanargmin(mass[rows[i]])]]
        bare = tuple(tuple(f.removeprefix(separator) for f in forms) for forms in end.ask.spelled)
        return f"row {names[rows[i]]!r}", end.ask.text + end.reasoning + marker, separator, bare

    warn_of_mass(model, np.nanmean(mass[rows], axis=1), least, place)
