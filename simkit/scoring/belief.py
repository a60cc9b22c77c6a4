"""The two calls that users make: `score` for arrays, `believe` for the tidy table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from simkit.questions import Question, check_options
from simkit.scoring.chat import Chat, laid_out, talk
from simkit.scoring.forms import Spelled, flat, refuse_same, respelled, separated, sum_forms
from simkit.scoring.inquiries import inquiries, sound_beliefs
from simkit.scoring.mass import LEAST_MASS, Place, warn_of_mass
from simkit.scoring.orders import average_orders, orders_for
from simkit.scoring.types import Model, Scores, check_model, renamed_rows
from simkit.types import FloatArray, IntArray, aligned, framed, listed, scalar, shown

__all__ = ["believe", "check_asked", "check_free", "option_rows", "score", "softmax"]

COLUMNS = ("prompt_id", "option", "option_id", "value", "logprob", "belief", "valid_mass", "model")
LISTED = ("order", "position", "orders", "order_range")  # of questions that list their options
ROUNDING = 1e-3  # by which a log-probability may exceed 0


def score(
    model: Model, prompts: Sequence[str], options: Sequence[str] | Sequence[Sequence[str]]
) -> FloatArray:
    """Log-probability of each option as the continuation of each prompt.

    Parameters
    ----------
    model : Model
        From `simkit.load`, or any object with `name` and `scores`.
    prompts : sequence of str
        N prompts. Prompts and lists of options that are both Series pair by label.
    options : sequence of str, or sequence of sequences of str
        K strings for all prompts, or N lists of K strings. They are appended to the prompt as
        they are, so they bring their own separator (" yes").

    Returns
    -------
    array of shape (N, K)
        Natural log-probability, summed over the option's tokens, with the softmax taken in
        float32 or float64; -inf for an option of probability 0.

    Raises
    ------
    ValueError
        For empty or repeated options, lists of unequal length, an empty prompt or one that
        exceeds the context length, two options that are the same tokens, and a model that gives
        NaN or a log-probability above 0; the row is named.
    BoundaryError
        Where the prompt's last token would merge with the option's first.

    Examples
    --------
    >>> import simkit as sk
    >>> model = sk.MockModel(lambda prompt: {"yes": 0.6, "no": 0.3})
    >>> sk.score(model, ["Buy it?"], [" yes", " no"]).round(3)
    array([[-0.511, -1.204]])
    """
    check_model(model)
    texts, choices = listed(prompts, "prompts"), listed(options, "options")
    per_row = bool(choices) and not isinstance(choices[0], str)
    if per_row:
        choices = listed(aligned({"prompts": prompts, "options": options})["options"], "options")
    if not texts:
        return np.empty((0, 0 if per_row else len(choices)))
    lists = _lists(choices, len(texts)) if per_row else [check_options(choices)] * len(texts)
    return _scores(model, texts, [tuple((option,) for option in row) for row in lists]).logprob


def _scores(model: Model, prompts: Sequence[str], spelled: Sequence[Spelled]) -> Scores:
    """Scores of all spellings of each prompt's options, end to end."""
    for row, prompt in enumerate(prompts):
        if not isinstance(prompt, str) or not prompt:
            raise ValueError(f"row {row}: prompt {shown(prompt)} is empty or not text")
    lists = [flat(row) for row in spelled]
    scores = _sound(model, model.scores(prompts, lists), lists)
    if scores.nested.any():
        refuse_same(model, prompts, spelled, scores)
    return scores


def _lists(options: list[Any], rows: int) -> list[list[str]]:
    """One list of options for each row, all of one length."""
    if len(options) != rows:
        raise ValueError(
            f"{len(options)} lists of options for {rows} prompts; give one list for each"
        )
    lists = [check_options(choices, f"row {row}: ") for row, choices in enumerate(options)]
    for row, choices in enumerate(lists):
        if len(choices) != len(lists[0]):
            k = len(lists[0])
            raise ValueError(
                f"row {row}: {len(choices)} options where row 0 has {k}; score it apart"
            )
    return lists


def _sound(model: Model, scores: Scores, options: Sequence[tuple[str, ...]]) -> Scores:
    """The scores; ValueError naming the row where they are no log-probabilities."""
    shape = len(options), len(options[0])
    if scores.logprob.shape != shape or scores.nested.shape != shape:
        raise ValueError(
            f"{model.name} gave scores of shape {scores.logprob.shape} for {shape[0]} prompts and "
            f"{shape[1]} options; its `scores` must give one row per prompt, one column per option"
        )
    bad = np.argwhere(~(scores.logprob <= ROUNDING))
    if len(bad):
        row, k = bad[0]
        raise ValueError(
            f"row {row}: {model.name} gave option {options[row][k]!r} the log-probability "
            f"{scores.logprob[row, k]}; it must be a number up to 0, or -inf. {len(bad)} of "
            f"{scores.logprob.size} are wrong, so the model is: check its weights"
        )
    return scores


def believe(
    model: Model,
    question: Question,
    design: pd.DataFrame,
    *,
    chat: Chat | bool | None = None,
    orders: str | Sequence[Sequence[int]] | None = "auto",
    average: bool = True,
    least_mass: float = LEAST_MASS,
) -> pd.DataFrame:
    """The model's belief over the question's options for each design row.

    Parameters
    ----------
    model : Model
        From `simkit.load`, or any object with `name` and `scores`.
    question : Question
        Text, options and template; its `{column}` fields are filled from the design.
    design : pandas.DataFrame
        One row per prompt.
    chat : Chat, bool or None
        True, or a `Chat` with system text and so on, to lay the prompt out by the model's own chat
        template, the answer beginning with "Answer:"; False for plain text; None for the model's
        own way: its `chat` (see `with_chat`), plain text where it has none.
    orders : str, list of permutations, or None
        For a question that lists its options in the prompt, in which orders. "auto" takes all K
        cyclic shifts if they have letters or numbers, else the order given; None the order given;
        "cyclic" the shifts; a list of permutations (entry j is the option at place j) just those.
    average : bool
        True averages over the orders. A model's answer leans to certain places and letters, so
        one order's belief is not the belief in the content; and estimators, which take one row
        per prompt × option, would count K orders of a prompt as K prompts. False returns every
        order, for `positional_effect`; `average_orders` makes the averaged table of it.
    least_mass : float
        Valid mass below which a belief should not be trusted. One `LowMassWarning` then says for
        how many prompts, and for a model from `simkit.load` what it would rather write and which
        `forms` of the question would count. 0 for no warning.

    Returns
    -------
    pandas.DataFrame
        One row per design row × option: the design's columns, then `prompt_id` (position of the
        design row), `option` and `option_id`, `value` (where the question has values), `logprob`
        (natural, of all spellings of the option together), `belief` (softmax over the prompt's
        options, sums to 1), `valid_mass` (probability, in 0–1, that the model goes on with one of
        the options at all) and `model`. A prompt whose options all have probability zero has
        belief NaN.

        Where the options are listed, also `orders` and `order_range`, see `average_orders`; or
        with average=False one row per design row × order × option, with `order` (number of the
        order) and `position` (place at which the option was listed, from 0). `option` is always
        the content.

        Of a server that is asked several times (`repeats`), also `repeats_range`, by how much the
        beliefs of one request differ.

        Of an interface that gives bounds (see `Beliefs`), also `low` and `high`, between which the
        belief lies, and `basis`, what it rests on. `logprob` and `valid_mass` are NaN where the
        interface hides the mass, and a refused question has belief NaN.

        In a chat whose template knows thoughts (see `Chat`), also `channel`: what was scored,
        "answer", "answer after a closed thought", "answer after a sampled thought" (or "after a
        thought cut short"), or "final".

    Raises
    ------
    ValueError
        For a design that is no frame, is empty, has a column twice or already one of these
        columns; for orders that are none or change nothing; for a `least_mass` outside 0 to 1;
        for a model without a fitting chat template (see `Chat`); and what `score` raises.
    BoundaryError
        Where the prompt's last token would merge with the option's first.

    See Also
    --------
    sample_runs : the belief after reasoning.
    sample_choices : choices drawn from the belief.

    Examples
    --------
    >>> import simkit as sk
    >>> model = sk.MockModel(lambda prompt: {"yes": 0.6 if "$2" in prompt else 0.3, "no": 0.2})
    >>> question = sk.Question("It costs ${price}. Do you buy it?", ["yes", "no"])
    >>> table = sk.believe(model, question, pd.DataFrame({"price": [2, 3]}))
    >>> table[["price", "prompt_id", "option", "belief", "valid_mass"]].round(2)
       price  prompt_id option  belief  valid_mass
    0      2          0    yes    0.75         0.8
    1      2          0     no    0.25         0.8
    2      3          1    yes    0.60         0.5
    3      3          1     no    0.40         0.5
    """
    check_model(model)
    check_asked(question, design, COLUMNS, LISTED)
    least_mass = scalar(least_mass, "least_mass", 0, 1)
    layout = talk(chat, model)
    if not isinstance(average, bool | np.bool_):
        raise ValueError(f"average is {shown(average)}; it must be True or False")
    permutations = orders_for(question, orders)
    question.warn_unsaid(design, None if layout is None else layout.system, stacklevel=3)
    ways: list[tuple[int, ...] | None] = [*permutations] if permutations else [None]
    names = design.index.repeat(len(ways)).tolist()  # design row × order
    answer = _scored if getattr(model, "beliefs", None) is None else _told
    with renamed_rows(names):
        found = answer(model, question, design, layout, ways, names, average, least_mass)
    check_free(design, [*found])
    k = len(question.options)
    order_columns = {} if permutations is None else {
        "order": np.repeat(np.arange(len(ways)), k),
        "position": np.argsort(permutations, axis=1).ravel(),
    }  # fmt: skip
    table = option_rows(question, design, len(ways), order_columns)
    for name, values in found.items():  # one for each option, or one for all of a prompt
        table[name] = values.ravel() if values.ndim == 2 else np.repeat(values, k)
    table.insert(len(table.columns) - ("channel" in found), "model", model.name)
    return average_orders(table) if permutations is not None and average else table


def _scored(
    model: Model, question: Question, design: pd.DataFrame, layout: Chat | None,
    ways: Sequence[tuple[int, ...] | None], names: list[Any], average: bool, least_mass: float,
) -> dict[str, Any]:  # fmt: skip
    """The columns of a model that scores the options as text."""
    by_order = [question.prompts(design, order, warn=False) for order in ways]
    answers_by_order = [question.answers_for(design, order) for order in ways]
    prompts = [*chain(*zip(*by_order, strict=True))]  # within a row, order after order
    answers = [*chain(*zip(*answers_by_order, strict=True))]
    separator, channel = question.separator, None
    if layout is not None:
        rows = np.repeat(np.arange(len(design)), len(ways))
        people = design.iloc[rows].reset_index(drop=True)  # errors name the prompt's place
        laid = laid_out(model, prompts, layout, people, separator=separator, answers=answers)
        prompts, separator, channel = laid.texts, laid.separator, laid.channel
        answers = respelled(answers) if layout.spellings else answers
    spelled = separated(separator, answers)
    scores = _scores(model, prompts, spelled)
    logprob, mass = sum_forms(model, prompts, spelled, scores), scores.valid_mass
    belief = softmax(logprob)
    spread: dict[str, FloatArray] = {}
    if (repeats := getattr(model, "repeats", 1)) > 1:
        logprob, mass, belief, spread = _repeated(
            model, repeats, prompts, spelled, (logprob, mass, belief)
        )
    by_row = mass.reshape(-1, len(ways))

    def place(i: int) -> Place:
        first = i * len(ways) + int(by_row[i].argmin()) if average else i
        order = "" if average else f", order {first % len(ways)}"
        return f"row {names[first]!r}{order}", prompts[first], separator, answers[first]

    warn_of_mass(model, by_row.mean(1) if average else mass, least_mass, place)
    columns = {"logprob": logprob, "belief": belief, "valid_mass": mass, **spread}
    return columns if channel is None else columns | {"channel": np.array(channel, dtype=object)}


def _repeated(
    model: Any, repeats: int, prompts: Sequence[str], spelled: Sequence[Spelled],
    first: tuple[FloatArray, FloatArray, FloatArray],
) -> tuple[FloatArray, FloatArray, FloatArray, dict[str, FloatArray]]:  # fmt: skip
    """Means of the first scores and of those asked for again, and how far the beliefs differ."""
    found = [first]
    for number in range(1, repeats):
        with model.repeated(number):
            scores = _scores(model, prompts, spelled)
            logprob = sum_forms(model, prompts, spelled, scores)
        found.append((logprob, scores.valid_mass, softmax(logprob)))
    logprobs, masses, beliefs = (np.stack(several) for several in zip(*found, strict=True))
    mean = special.logsumexp(logprobs, axis=0) - np.log(repeats)
    spread = {"repeats_range": np.asarray(np.ptp(beliefs, axis=0))}
    return np.asarray(mean), masses.mean(axis=0), beliefs.mean(axis=0), spread


def _told(
    model: Any, question: Question, design: pd.DataFrame, layout: Chat | None,
    ways: Sequence[tuple[int, ...] | None], names: list[Any], average: bool, least_mass: float,
) -> dict[str, Any]:  # fmt: skip
    """The columns of an interface that is asked and scores no text."""
    asked = inquiries(question, design, layout, ways)
    found = sound_beliefs(model, model.beliefs(asked), len(asked), len(question.options))
    mass = found.valid_mass

    def place(i: int) -> Place:
        return f"row {names[seen[i]]!r}", asked[seen[i]].prompt, "", asked[seen[i]].spelled

    seen = np.flatnonzero(~np.isnan(mass))
    warn_of_mass(model, mass[seen], least_mass, place)
    basis = np.array(found.basis, dtype=object)
    spread = {} if found.repeats_range is None else {"repeats_range": found.repeats_range}
    return {
        "logprob": found.logprob, "belief": found.belief, "low": found.low, "high": found.high,
        "valid_mass": mass, "basis": basis, **spread,
    }  # fmt: skip


def check_asked(
    question: Question, design: pd.DataFrame, added: Sequence[str], listed: Sequence[str] = ()
) -> None:
    """ValueError for what is no question or no design, and for a design without rows.

    Also for one that has a column which is to be `added`, or of a question that lists its options
    one of `listed`.
    """
    if not isinstance(question, Question):
        raise ValueError(f"question is {shown(question)}; it must be a Question(text, options)")
    check_free(design, (*added, *listed) if question.lists_options else added)
    if not len(design):
        raise ValueError("the design has no rows")


def check_free(design: pd.DataFrame, names: Sequence[str]) -> None:
    """ValueError for a design that has one of these columns, which are to be added."""
    clash = [name for name in names if name in framed(design, "the design")]
    if clash:
        raise ValueError(f"the design already has a column {clash[0]!r}; rename it first")


def option_rows(
    question: Question, design: pd.DataFrame, times: int, added: Mapping[str, IntArray]
) -> pd.DataFrame:
    """The table's rows without the numbers: design row × `times` orders or runs × option.

    added : columns of one design row, (times × options,), that say which order or run it is.
    """
    n, k = len(design), len(question.options)
    rows = np.repeat(np.arange(n), times * k)
    table = design.iloc[rows].reset_index(drop=True)
    table["prompt_id"] = rows
    for name, values in added.items():
        table[name] = np.tile(values, n)
    table["option"] = [text for row in question.options_for(design) for text in row * times]
    table["option_id"] = np.tile(np.arange(k), n * times)
    if question.values is not None:
        table["value"] = np.tile(question.values, n * times)
    return table


def softmax(logprob: FloatArray) -> FloatArray:
    """Belief (N, K) from log-probabilities (N, K); a row of -inf becomes NaN."""
    with np.errstate(invalid="ignore"):
        return np.asarray(special.softmax(logprob, axis=1))
