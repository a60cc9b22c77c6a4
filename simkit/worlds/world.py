"""What a world must have, and its truth in the place of a model."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pandas as pd

from simkit.questions import Question
from simkit.types import FloatArray
from simkit.worlds.kinds import Kinds

__all__ = ["World", "exact_beliefs"]


class World(Protocol):
    """A known world; a folder of this package is one, and its module the object.

    A new world is such a folder and a line in `simkit.worlds.corpus.WORLDS`.

    Attributes
    ----------
    QUESTIONS : the names of what can be asked.
    KINDS : the kinds of prompts of which its text is made.
    """

    QUESTIONS: tuple[str, ...]
    KINDS: Kinds

    def question(self, name: str, /) -> Question:
        """The question of this name. Raises ValueError, naming those there are, for another."""

    def design(self, *args: Any, **stated: Any) -> pd.DataFrame:
        """Prompts: one row each, what is stated in columns, and the column `context`."""

    def exact(self, design: pd.DataFrame, ask: str, /) -> FloatArray:
        """True probabilities (n, K) of the answers to `question(ask)`, given what a row states."""


def exact_beliefs(world: World, question: Question, design: pd.DataFrame) -> pd.DataFrame:
    """What the world itself believes, in the shape of `simkit.believe`: a perfect model.

    `functools.partial(exact_beliefs, world)` goes wherever a belief function goes.

    Parameters
    ----------
    world : a module such as `simkit.worlds.survey`.
    question : one of the world's own, as `world.question(name)` gives it.
    design : N rows, as `world.exact` takes them.

    Returns
    -------
    DataFrame
        N × K rows, as :func:`simkit.believe` gives them, with model "exact" and a valid mass of 1.

    Raises
    ------
    ValueError
        For a question that is none of the world's, and as `world.exact` does.

    Examples
    --------
    >>> from simkit.worlds import market
    >>> design = market.design(["ice cream"], [3.0])
    >>> table = exact_beliefs(market, market.question("buys"), design)
    >>> table[["option", "belief"]].round(2).values.tolist()
    [['yes', 0.53], ['no', 0.47]]
    """
    name = next((n for n in world.QUESTIONS if world.question(n) == question), None)
    if name is None:
        raise ValueError(
            f"{question.text!r} is no question of this world, as world.question(name) gives them; "
            f"there are: {', '.join(world.QUESTIONS)}"
        )
    belief = world.exact(design, name)
    n, k = belief.shape
    with np.errstate(divide="ignore"):
        logprob = np.log(belief)
    return pd.DataFrame({
        "prompt_id": np.repeat(np.arange(n), k),
        "option": [text for row in question.options_for(design) for text in row],
        "option_id": np.tile(np.arange(k), n),
        "value": np.tile([np.nan] * k if question.values is None else question.values, n),
        "logprob": logprob.ravel(),
        "belief": belief.ravel(),
        "valid_mass": 1.0,
        "model": "exact",
    })  # fmt: skip
