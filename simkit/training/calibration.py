"""How far the glass box's beliefs are from the world's exact probabilities."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from scipy.special import softmax

from simkit.personas import Battery, Item, chained_correlation
from simkit.questions import Question
from simkit.scoring import Model, believe
from simkit.types import FloatArray
from simkit.worlds import survey
from simkit.worlds.corpus import HELD_OUT, prompts

__all__ = ["LIMITS", "UNUSED", "calibrate", "joint_correlation"]

# What the glass box must keep: mean absolute error, of each kind of prompt that a study asks; share
# of prompts within 0.05, over all of these kinds; for scales of more than five values, the mean
# total variation distance.
LIMITS = {"mean_error": 0.02, "within": 0.95, "total_variation": 0.06}
WITHIN = 0.05
# Kinds of prompt that no study asks: trained on and shown in the card, but not held to the limits.
# A study that comes to ask them must take them off this list.
UNUSED = (
    *(k for k in HELD_OUT if k.endswith(", some stated") and not k.startswith("purchase")),
    "animal, interview",
)


def _beliefs(
    model: Model, design: pd.DataFrame, question: Question
) -> tuple[FloatArray, FloatArray]:
    """Belief (n, K) and valid mass (n,) on prompts."""
    # The answers as they stand in the text, letters included: no orders are averaged here.
    answers = [[question.separator + answer[0] for answer in row]
               for row in question.answers_for(design)]  # fmt: skip
    scores = model.scores(question.prompts(design), answers)
    return softmax(scores.logprob, axis=1), scores.valid_mass


def calibrate(model: Model, *, n: int = 400, seed: int = 2) -> pd.DataFrame:
    """How far a model's beliefs are from the worlds' exact probabilities, by kind of prompt.

    Parameters
    ----------
    model : the model to check.
    n : held-out prompts per kind: phrasings and orders that no training text had (the brand
        prompts have one phrasing, so there it is draws of prices and thoughts).
    seed : of the draw of prompts.

    Returns
    -------
    DataFrame
        One row per kind: `prompts`, `options`; `mean_error`, the mean over prompts and options of
        |belief - truth|; `within`, the share of prompts whose largest error over the options is at
        most 0.05; `total_variation`, the mean over prompts of half the summed absolute error;
        `valid_mass`, the mean probability on the options.
    """
    rows = {}
    for kind in HELD_OUT:
        design, question, truth = prompts(kind, n, seed)
        belief, mass = _beliefs(model, design, question)
        error = np.abs(belief - truth)
        rows[kind] = {
            "prompts": len(error),
            "options": error.shape[1],
            "mean_error": error.mean(),
            "within": (error.max(1) <= WITHIN).mean(),
            "total_variation": error.sum(1).mean() / 2,
            "valid_mass": mass.mean(),
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("kind")
    return table.astype({"prompts": int, "options": int})


def joint_correlation(model: Model) -> pd.DataFrame:
    """Correlations of two opinions asked in a row, minus the world's own: (8, 8), 0 if perfect.

    P(a, b) = P(a) P(b | a) from the model's beliefs, nothing said of the respondent; entry (i, j)
    is of asking i first (`chained_correlation`). The world's: `survey.item_correlation`.
    """
    asked = [
        Item(name, survey.question(name), tell=f"{text}: {{answer}}")
        for name, (text, *_) in survey.ITEMS.items()
    ]
    blank = survey.design(pd.DataFrame(index=[0]), demographics=())
    ask = partial(believe, model, orders=None, least_mass=0.0)
    return chained_correlation(ask, Battery(asked), blank) - survey.item_correlation()
