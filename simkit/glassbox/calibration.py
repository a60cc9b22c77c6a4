"""How far the glass box's beliefs are from the world's exact probabilities."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simkit.scoring import Model
from simkit.types import FloatArray
from simkit.worlds import market_text
from simkit.worlds.corpus import HELD_OUT, prompts
from simkit.worlds.scm import softmax

__all__ = ["LIMITS", "UNUSED", "calibrate", "held_out"]

# What the glass box must keep: mean absolute error, of each kind of prompt that a study asks; share
# of prompts within 0.05, over all of these kinds; for scales of more than five values, the mean
# total variation distance.
LIMITS = {"mean_error": 0.02, "within": 0.95, "total_variation": 0.06}
WITHIN = 0.05
# Kinds of prompt that no study asks, or none yet: trained on and shown in the card, but not held to
# the limits. A study that comes to ask them must take them off this list.
UNUSED = tuple(
    kind
    for kind in HELD_OUT
    if kind not in market_text.HELD_OUT
    or (kind.endswith(", some stated") and not kind.startswith("purchase"))
)


def held_out(
    model: Model, kind: str, n: int, seed: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Belief (n, K), truth (n, K) and valid mass (n,) on held-out prompts of one kind."""
    design, question, truth = prompts(kind, n, seed)
    # The answers as they stand in the text, letters included: no orders are averaged here.
    spoken = [
        [question.separator + answer[0] for answer in row] for row in question.answers_for(design)
    ]
    scores = model.scores(question.prompts(design), spoken)
    return softmax(scores.logprob), truth, scores.valid_mass


def calibrate(model: Model, *, n: int = 400, seed: int = 2) -> pd.DataFrame:
    """Calibration table: one row per kind of prompt.

    Parameters
    ----------
    model : the model to check.
    n : held-out prompts per kind: phrasings and orders that no training text had (the brand
        prompts have one phrasing, so there it is draws of prices and thoughts).
    seed : of the draw of prompts.

    Returns
    -------
    Frame with one row per kind: `prompts`, `options`; `mean_error`, the mean over prompts and
    options of |belief - truth|; `within`, the share of prompts whose largest error over the
    options is at most 0.05; `total_variation`, the mean over prompts of half the summed absolute
    error; `valid_mass`, the mean probability on the options.
    """
    rows = []
    for kind in HELD_OUT:
        belief, truth, mass = held_out(model, kind, n, seed)
        error = np.abs(belief - truth)
        rows.append(
            {
                "kind": kind,
                "prompts": len(error),
                "options": error.shape[1],
                "mean_error": error.mean(),
                "within": (error.max(1) <= WITHIN).mean(),
                "total_variation": error.sum(1).mean() / 2,
                "valid_mass": mass.mean(),
            }
        )
    return pd.DataFrame(rows).set_index("kind")
