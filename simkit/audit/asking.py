"""How a study asks a model, and whether that works: measured before anything is claimed.

A study begins with three steps: :func:`asked` lays its prompts out in the model's chat,
:func:`measure` tries each question on a few prompts, and :func:`simkit.reports.go_on` ends the
study there if the first question does not work, saying what would.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from simkit.audit.pilots import SOURCE, bare, pilot
from simkit.questions import Question
from simkit.result import Result
from simkit.scoring import BoundaryError, Chat, Model, believe, with_chat
from simkit.scoring.chat import channel_of, open_turns
from simkit.scoring.mass import LEAST_MASS
from simkit.scoring.thoughts import THINKING
from simkit.types import one_of, scalar

__all__ = ["Works", "affordable", "asked", "measure"]

CHATS = ("auto", "yes", "no")
ROWS = ["valid mass", "smallest valid mass", "order range", "written as believed",
        "no option written", "refused"]  # fmt: skip
WRITTEN = 12  # tokens of what the model writes
FEW, SLOW = 8, 10.0  # prompts of each question after one that took so many seconds
TIMED = (2, 8, 48)  # prompts by which the speed is measured, the fewer for a slow model
ENOUGH = 1.0  # seconds after which no more are timed
Asked = Mapping[str, tuple[Question, pd.DataFrame]]


def asked(
    model: Model, *, chat: str = "auto", system: str = "", answer: str = "auto",
    thinking: str = "refuse",
) -> Model:  # fmt: skip
    """The model, asked as a study's parameters say.

    Parameters
    ----------
    model : Model
    chat : str
        "auto" for the model's chat template if it has one, "yes" for that or an error, "no" for
        plain text.
    system, answer : str
        As in :class:`simkit.Chat`. Without a chat `system` must be empty, and "auto" says nothing.
    thinking : str
        "refuse", "close" or "sample": what is done where the template would let the model think
        before it answers, as in :class:`simkit.Chat`.

    Returns
    -------
    Model
        With its `chat` set. A template that takes no system turn gets the text in the user's. An
        interface that is asked (see `simkit.scoring.Model`) lays out the chat itself, and "auto"
        is a chat there, too.

    Raises
    ------
    ValueError
        For "yes" and no template, for texts without a chat, and as a chat's layout does.

    Examples
    --------
    >>> import simkit as sk
    >>> asked(sk.load(lambda prompt: {"yes": 1.0})).chat is None
    True
    """
    one_of(chat, "chat", CHATS)
    one_of(thinking, "thinking", THINKING)
    template = getattr(getattr(model, "tokenizer", None), "chat_template", None)
    interface = getattr(model, "beliefs", None) is not None
    if chat == "no" or (chat == "auto" and template is None and not interface):
        if system or answer not in ("", "auto"):
            said = f"system={system!r}" if system else f"answer={answer!r}"
            raise ValueError(
                f"{said} needs a chat, and {model.name} is asked in plain text; give a model whose "
                'tokenizer has a chat template and chat="auto"'
            )
        plain: Model = with_chat(model, None)
        return plain
    way = Chat(system=system or None, answer=answer, spellings=True, thinking=thinking)
    if (system or answer) and not interface:
        try:
            trial = replace(way, system="a" if system else None)
            open_turns(model, ["a"], trial, None, [(("b",), ("c",))])
        except ValueError as error:
            if "fold_system" not in str(error):
                raise
            way = replace(way, fold_system=True)
    chatting: Model = with_chat(model, way)
    return chatting


@dataclass(frozen=True)
class Works:
    """Whether each question of a study works on a model; :func:`measure` makes it.

    Attributes
    ----------
    pilots : of each question, the most important one first; see :func:`simkit.pilot`.
    model, asked : what was measured.
    """

    pilots: Mapping[str, Result]
    model: Any
    asked: Asked

    @property
    def mass(self) -> pd.Series:
        """Mean valid mass of each question."""
        return pd.Series({name: found["valid mass"]["estimate"] for name, found in
                          self.pilots.items()}, dtype=float)  # fmt: skip

    @property
    def failing(self) -> list[str]:
        """The questions of which nothing should be claimed.

        Those whose mean valid mass is below 0.5, and those that were declined more often than not.
        Where an interface hides the mass, it is not judged.
        """
        hidden, mass = self.hidden, self.mass
        low = [str(name) for name in mass.index[~(mass >= LEAST_MASS)] if name not in hidden]
        declined = [n for n in hidden if self.pilots[n]["refused"]["estimate"] > 1 - LEAST_MASS]
        return [name for name in map(str, mass.index) if name in low or name in declined]

    @property
    def hidden(self) -> list[str]:
        """The questions whose valid mass the interface does not let know."""
        mass, interface = self.mass, getattr(self.model, "beliefs", None) is not None
        return [str(name) for name in mass.index[mass.isna()]] if interface else []

    @property
    def unjudged(self) -> str:
        """What cannot be judged here, in a sentence (Markdown); "" where everything can."""
        if not self.hidden:
            return ""
        which = "" if len(self.hidden) == len(self.pilots) else f" of {', '.join(self.hidden)}"
        return (
            f"**The valid mass{which} is not judged**: {self.model.name} is asked by an interface "
            "that gives the options' probabilities of each other and hides how much the model "
            "would rather say something else."
        )

    @cached_property
    def end(self) -> str:
        """Why a study that rests on the first question ends here (Markdown); "" if it goes on."""
        main = next(iter(self.pilots))
        if main not in self.failing:
            return ""
        found = self.pilots[main]
        if main in self.hidden:
            share = found["refused"]["estimate"]
            return (
                f"**This study ends here.** {self.model.name} declined the question “{main}” in "
                f"{share:.0%} of {found.n} prompts; ask in other words, or another model."
            )
        low = found["valid mass"]
        return (
            f"**This study ends here.** On {self.model.name} the options of the question “{main}” "
            f"hold {low['estimate']:.2f} of the probability [{low['low']:.2f}, {low['high']:.2f}], "
            f"over {found.n} prompts. Below {LEAST_MASS:g} a belief is a ratio of small numbers, "
            f"and no claim is made on it. {_sentences(found.notes)} "
            f"{_remedy(self)}"
        )

    def to_frame(self) -> pd.DataFrame:
        """A row per question, a column per measure."""
        rows = {name: found.to_frame()["estimate"][ROWS] for name, found in self.pilots.items()}
        return pd.DataFrame(rows).T.astype(float)

    def notes(self) -> pd.Series:
        """What the model would rather say, for each failing question."""
        said = {name: " ".join(self.pilots[name].notes) for name in self.failing}
        return pd.Series(said, dtype=object, name="instead")

    def _repr_html_(self) -> str:
        return str(self.to_frame().round(3).dropna(axis=1, how="all").to_html())

    def __repr__(self) -> str:
        return str(self.to_frame().round(3).dropna(axis=1, how="all").to_string())


def measure(model: Model, asked: Asked, *, prompts: int = 24, written: bool = True) -> Works:
    """Try each question on a few prompts: valid mass, order, and what the model writes.

    Parameters
    ----------
    model : Model
        Asked in its own `chat`.
    asked : mapping
        Name -> (question, design), the study's main question first.
    prompts : int
        Distinct prompts of each; at most 8 after a question that took longer than ten seconds.
    written : bool
        False leaves out what the model writes, which takes most of the time.

    Returns
    -------
    Works
        A later question whose options the model's tokens cannot part from the prompt is failing:
        its row is NaN, and `notes()` says why.

    Raises
    ------
    BoundaryError
        Where that is so of the main question.
    """
    longest, pilots = WRITTEN if written else 0, {}
    for name, (question, design) in asked.items():
        began = time.perf_counter()
        try:
            pilots[name] = pilot(model, question, design, prompts=prompts, max_tokens=longest)
            if time.perf_counter() - began > SLOW:
                prompts = min(prompts, FEW)
        except BoundaryError as error:
            if not pilots:
                raise
            nothing = pd.DataFrame(np.nan, index=ROWS, columns=list(bare(np.nan)))
            method = f"Pilot on {model.name}: not askable"
            pilots[name] = Result(method, nothing, 0, 0.05, SOURCE, (str(error),), "prompts")
    return Works(pilots, model, asked)


def _sentences(notes: Sequence[str]) -> str:
    return " ".join(f"{note[0].upper()}{note[1:]}." for note in notes)


def _remedy(works: Works) -> str:
    """Of some other ways to ask the main question, the one with most valid mass."""
    question, design = next(iter(works.asked.values()))
    some = design.iloc[:: max(1, len(design) // 12)]
    found: dict[str, float] = {}
    own = getattr(works.model, "chat", None)
    for text, how in _ways(works.model).items():
        try:
            way = getattr(asked(works.model, **how), "chat", None)
            if way == own:
                continue
            table = believe(works.model, question, some, chat=way or False, least_mass=0)
        except ValueError:  # a template that does not take this
            continue
        found[text] = float(table["valid_mass"].mean())
    if not found:
        return "Ask so that the model begins its answer with an option."
    best = max(found, key=lambda text: found[text])
    if found[best] < LEAST_MASS:
        return f"Of other ways to ask, the best ({best}) reaches {found[best]:.2f}: it is no more."
    return f"It would be {found[best]:.2f} with {best}."


def _ways(model: Any) -> dict[str, dict[str, str]]:
    """Ways to ask, by the parameters that choose them -> what :func:`asked` is given."""
    ways = {"-p chat no": {"chat": "no"}}
    if getattr(getattr(model, "tokenizer", None), "chat_template", None) is None:
        return ways
    own = getattr(model, "chat", None) or Chat()
    kept = {"chat": "yes", "system": own.system or "", "thinking": own.thinking}
    more = ""
    with suppress(ValueError):  # a template that takes no chat of this kind
        if own.thinking == "refuse" and channel_of(model, Chat(thinking="close")):
            kept["thinking"], more = "close", " -p thinking close"
    ways[f"-p chat yes -p answer auto{more}"] = {**kept, "answer": "auto"}
    ways[f"-p chat yes -p answer ''{more}"] = {**kept, "answer": ""}
    return ways


def affordable(model: Model, question: Question, design: pd.DataFrame, minutes: float) -> int:
    """How many prompts of a design the model scores in a time, from its measured speed.

    Parameters
    ----------
    model : Model
        Asked in its own `chat`.
    question, design :
        As in :func:`simkit.believe`; the speed is that of up to 48 rows in a block, of fewer where
        these take long.
    minutes : float
        The time.

    Returns
    -------
    int
        At least 1.
    """
    minutes = scalar(minutes, "minutes", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        believe(model, question, design.head(2), least_mass=0)  # checks and compiles, once
        for count in TIMED:
            some = design.iloc[len(design) // 2 :].head(count)
            began = time.perf_counter()
            believe(model, question, some, least_mass=0)
            seconds = time.perf_counter() - began
            if seconds > ENOUGH:
                break
    return max(1, int(60 * minutes * len(some) / max(seconds, 1e-6)))
