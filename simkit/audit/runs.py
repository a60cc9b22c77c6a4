"""Runs with reasoning, tried before a study is built on them: do they end in an option?"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd

from simkit.audit.pilots import REFUSAL, SHOWN, bare, outside, wilson
from simkit.estimators.shared.means import mean_belief
from simkit.questions import Question
from simkit.result import REQUIRED, Result
from simkit.scoring import Model, sample_runs
from simkit.scoring.chat import open_turns, talk
from simkit.scoring.forms import respelled
from simkit.scoring.runs.sampling import MARKER
from simkit.types import integer, scalar

__all__ = ["affordable_runs", "pilot_runs"]

SOURCE = "our formulation"
TIMED = 12  # runs of each of two prompts, by which the speed is measured


def pilot_runs(
    model: Model,
    question: Question,
    design: pd.DataFrame,
    *,
    runs: int = 2,
    max_tokens: int = 24,
    seed: int = 0,
    marker: str | None = None,
    alpha: float = 0.05,
) -> Result:
    """Whether runs with reasoning end in an option: valid mass there, and who gets there alone.

    Parameters
    ----------
    model, question, design, max_tokens, seed, marker :
        As in :func:`simkit.sample_runs`; the model is asked in its own `chat`, and a run that does
        not come to its answer is made to give one.
    runs : int
        Of each design row.
    alpha : float
        Level of the intervals.

    Returns
    -------
    Result
        The rows of :func:`simkit.pilot`, so that it can stand beside pilots in a
        :class:`simkit.audit.Works`: ``valid mass`` (over prompts, of the mean of their runs) and
        ``smallest valid mass`` (of a prompt) at the answer after the reasoning; ``no option
        written``, the share of runs that did not come to the answer by themselves; ``refused``,
        the share whose reasoning declines. ``order range`` and ``written as believed`` are NaN:
        the choice is drawn from the belief that is read.

    Raises
    ------
    ValueError
        As :func:`simkit.sample_runs`.

    Examples
    --------
    >>> import pandas as pd, simkit as sk
    >>> from simkit.worlds.market import brands
    >>> found = pilot_runs(sk.load("glassbox"), brands.QUESTIONS["run"], brands.design([24], [30]))
    >>> found.to_frame()["estimate"].round(2).dropna().to_dict()
    {'valid mass': 1.0, 'smallest valid mass': 1.0, 'no option written': 0.0, 'refused': 0.0}
    """
    table = sample_runs(model, question, design, runs=runs, seed=seed, max_tokens=max_tokens,
                        marker=marker, forced=True, least_mass=0)  # fmt: skip
    first = table[table["option_id"] == 0]
    mass = first.groupby("prompt_id")["valid_mass"].mean()
    mean = mean_belief(pd.DataFrame({"valid mass": mass}), alpha=alpha)["valid mass"]
    refused = [bool(REFUSAL.search(text)) for text in first["reasoning"]]
    frame: dict[str, Any] = {
        "valid mass": mean[[*REQUIRED]].to_dict(),
        "smallest valid mass": bare(mass.min()),
        "order range": bare(np.nan),
        "written as believed": bare(np.nan),
        "no option written": wilson((~first["reached"]).tolist(), alpha),
        "refused": wilson(refused, alpha),
    }
    notes = outside(model, *_pivots(model, question, design, first, marker))
    method = f"Pilot of {len(first)} runs on {model.name}"
    columns = pd.DataFrame(frame).T
    return Result(method, columns, len(mass), alpha, SOURCE, notes, "prompts")


def _pivots(
    model: Model, question: Question, design: pd.DataFrame, first: pd.DataFrame,
    marker: str | None,
) -> tuple[list[str], set[str]]:  # fmt: skip
    """Up to SHOWN texts up to where the answer begins, and all that counts as an answer."""
    way, rows = talk(None, model), design.reset_index(drop=True)
    texts, answers = question.prompts(rows, warn=False), question.answers_for(rows)
    end = MARKER if way is None else "\n" + way.prefix
    if way is not None:
        texts = open_turns(model, texts, way, rows, answers)
        answers = respelled(answers) if way.spellings else answers
    some = first.iloc[:: max(1, len(first) // SHOWN)].head(SHOWN)
    said = zip(some["prompt_id"], some["reasoning"], strict=True)
    forms = {form.strip() for row in answers for forms in row for form in forms}
    end = end if marker is None else marker
    return [texts[i] + thought + end for i, thought in said], forms


def affordable_runs(
    model: Model,
    question: Question,
    design: pd.DataFrame,
    minutes: float,
    *,
    max_tokens: int,
    marker: str | None = None,
) -> int:
    """How many runs of each design row a model writes in a time, from its measured speed.

    Parameters
    ----------
    model, question, design, max_tokens, marker :
        As in :func:`simkit.sample_runs`; the speed is that of 12 runs of each of two rows.
    minutes : float
        The time, for all rows together.

    Returns
    -------
    int
        At least 1. Many runs of a prompt take less than in proportion, so it errs on the low side.

    Raises
    ------
    ValueError
        As :func:`simkit.sample_runs`.

    Examples
    --------
    >>> import simkit as sk
    >>> from simkit.worlds.market import brands
    >>> lm, rows = sk.load("glassbox"), brands.design([24], [30])
    >>> affordable_runs(lm, brands.QUESTIONS["run"], rows, 0.1, max_tokens=4) > 1
    True
    """
    minutes = scalar(minutes, "minutes", 0)
    integer(max_tokens, "max_tokens", 1)
    some = design.iloc[[0, -1]] if len(design) > 1 else design
    how: dict[str, Any] = {
        "max_tokens": max_tokens, "marker": marker, "forced": True, "least_mass": 0,
    }  # fmt: skip
    sample_runs(model, question, some.head(1), runs=1, **how)  # checks and copies, once
    began = time.perf_counter()
    sample_runs(model, question, some, runs=TIMED, seed=1, **how)
    each = (time.perf_counter() - began) / (TIMED * len(some))
    return max(1, int(60 * minutes / each / len(design)))
