"""What a model is: what it must have, what it may have, and what an absence means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.types import FloatArray, framed, shown

__all__ = [
    "BoundaryError",
    "Model",
    "Scores",
    "ability",
    "check_columns",
    "check_model",
    "identity_of",
    "renamed_rows",
    "worlds_of",
]


class BoundaryError(ValueError):
    """The last token of the prompt merges with the option, so other text would be scored."""


@dataclass(frozen=True)
class Scores:
    """Log-probabilities of options.

    Attributes
    ----------
    logprob : (n_prompts, n_options), natural log, summed over the option's tokens.
    nested : (n_prompts, n_options), True where the option's tokens begin with another option of
        the same prompt ("yes, please" beside "yes"): its mass is part of that option's mass.
    """

    logprob: FloatArray
    nested: npt.NDArray[np.bool_]

    @property
    def valid_mass(self) -> FloatArray:
        """(n_prompts,) probability that the text goes on with one of the options, in 0–1."""
        return np.asarray(np.where(self.nested, 0.0, np.exp(self.logprob)).sum(1))


class Model(Protocol):
    """Anything that scores options after prompts: an object with `name` and `scores`.

    All else is optional. A model that can do more has the member of that name. What follows if
    it is missing is said with each.

    Attributes
    ----------
    name : text.
    scores : method, see below.
    card : mapping that says what the model has read, as {"worlds": [...]}. Without it `worlds_of`
        is empty, and no study draws a truth beside its numbers.
    identity : mapping that JSON can hold, of all that the scores depend on besides prompt and
        options. Without it scores cannot be kept (`Cached`), and a record has no hash of the model.
    run_identity : the same of the runs, where they depend on more; `identity` holds for both.
    chat : a `Chat`, in which prompts are laid out where a call does not say how, see `with_chat`.
        Without it they are plain text.
    tokenizer : of transformers. Without it no chat can be laid out (`Chat`), and at a pivot the
        options are separated from the text at blanks.
    tokens : (prompt, options) -> the tokens of each option, as text. Without it options that are
        the same tokens to the model are not refused.
    next_tokens : (prompt) -> pairs of the likeliest tokens and their probabilities. Without it a
        `LowMassWarning` does not say what the model would rather write.
    write : see `simkit.scoring.write`. Without it that raises TypeError, as do open questions of
        interviews.
    runs : (asked, row, run, how) -> blocks of runs, see `simkit.scoring.runs`. Without it
        `sample_runs` raises TypeError.
    beliefs : (inquiries) -> `Beliefs`, of an interface that scores no text but says what it
        believes, or lists a few tokens. With it `believe` asks so; `scores` then raises TypeError.
    recorded : (prompt, text, top) -> a response. Without it `as_recorded` raises TypeError.
    tally : a `Tally` of tokens. Without it `score_parquet` does not say how many were saved.
    revision : text. Without it records and files name none.
    """

    @property
    def name(self) -> str: ...

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        """Scores of `options[i]` (all of one length, separators included) after `prompts[i]`."""


def check_model(model: Any) -> None:
    """ValueError for a name or path in place of a model, and for what has no `scores`."""
    if isinstance(model, str | PathLike):
        raise ValueError(f"model is {str(model)!r}; load it first: simkit.load({str(model)!r})")
    if isinstance(model, type) or not callable(getattr(model, "scores", None)):
        kinds = "from simkit.load, or an object with `name` and `scores`"
        raise ValueError(f"model is {shown(model)}; it must be {kinds}")


def check_columns(table: Any, columns: Sequence[str], name: str, hint: str) -> pd.DataFrame:
    """The table; ValueError for what is no frame and, with the hint, for a missing column."""
    missing = [column for column in columns if column not in framed(table, name)]
    if missing:
        raise ValueError(f"{name} has no column {missing[0]!r}; {hint}")
    return table


def ability(model: Any, member: str, caller: str) -> Any:
    """An optional member of a model; TypeError, naming model, member and caller, without it."""
    check_model(model)
    if getattr(model, member, None) is None:
        raise TypeError(
            f"{model.name} ({type(model).__name__}) has no `{member}`, which {caller} needs; "
            "language models from simkit.load have it, see simkit.scoring.Model"
        )
    return getattr(model, member)


def worlds_of(model: Any) -> tuple[str, ...]:
    """The worlds that a model has read, whose truth is known.

    Parameters
    ----------
    model : Model
        Its `card` names them.

    Returns
    -------
    tuple of str
        () for a model without a card.

    Examples
    --------
    >>> import simkit as sk
    >>> sk.worlds_of(sk.load("glassbox"))
    ('market', 'survey', 'concepts')
    >>> sk.worlds_of(sk.MockModel(lambda prompt: {"yes": 1.0}))
    ()
    """
    return tuple((getattr(model, "card", None) or {}).get("worlds", ()))


def identity_of(model: Any) -> dict[str, Any]:
    """What the scores of a model depend on; {} for one that does not say or cannot be read."""
    try:
        return dict(getattr(model, "identity", None) or {})
    except ValueError:  # weights that are not in memory
        return {}


@contextmanager
def renamed_rows(names: Sequence[Any], word: str = "row") -> Iterator[None]:
    """Let errors that begin with "row 3: " name the row `names[3]` instead."""
    try:
        yield
    except (ValueError, RuntimeError) as error:  # of servers too
        # Every error about a row begins so, in this package.
        place = re.match(r"row (\d+): ", str(error))
        if not place or int(place[1]) >= len(names):
            raise
        kind = type(error) if isinstance(error, BoundaryError | RuntimeError) else ValueError
        text = f"{word} {names[int(place[1])]!r}: {str(error)[place.end() :]}"
        raise kind(text) from error
