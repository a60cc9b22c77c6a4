"""A small dose of alignment for any model: control, then DPO on its own majority's answers.

Where no adapters travel with a model, they are trained in the run, as many steps as the time
affords: first a control on answers that the model itself gives as other people (SFT, which changes
nothing but by learning from a sample), then DPO on pairs of its answers of which more of its own
simulated people gave the preferred one. So the majority is the model's, and nothing from outside
goes in: what the doses change is the weight of the majority.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simkit.scoring import LocalModel, believe
from simkit.studies.alignment_diversity.asking import Tasks
from simkit.studies.alignment_diversity.ladder import comparisons
from simkit.studies.alignment_diversity.task import cube, personas
from simkit.training.adapters import load_adapter
from simkit.training.data import examples
from simkit.training.dpo import train_dpo
from simkit.training.extras import need
from simkit.training.finetuning import finetune
from simkit.types import FloatArray, IntArray, generator

__all__ = ["align", "demonstrations", "own_preferences", "rungs", "steps_for"]

DOSES = (2, 6)  # DPO steps at which the model is measured, where the time affords them
BATCH = 8  # demonstrations per step
PAIRS = 4  # per step
SFT_STEPS = 3
RANK, BETA, RATE = 8, 0.1, 5e-4
KINDS = 144  # people who differ in what the prompt says of them
PAIR = 9.0  # a pair costs as much time as so many demonstrations: whole texts, two models


def rungs(
    base: Any, other: Any, tasks: Tasks, belief: FloatArray, *, minutes: float, seed: int
) -> tuple[dict[str, tuple[int, Any]], str]:
    """The aligned models beside a model, and a sentence that says what they are.

    Those that travel with it, else `other` alone, else those that are trained now (`align`); none,
    and why, where that cannot be.
    """
    made, said = comparisons(base, other)
    if made or not isinstance(base, LocalModel):
        return made, said
    try:
        return align(base, tasks, belief, minutes=minutes, seed=seed)
    except ImportError as error:
        return {}, f"No aligned model to compare: {error}."


def align(
    base: LocalModel, tasks: Tasks, belief: FloatArray, *, minutes: float, seed: int
) -> tuple[dict[str, tuple[int, LocalModel]], str]:
    """Control and two DPO doses of a model: name -> (dose in steps, model); and what was done.

    Parameters
    ----------
    base : asked in its own `chat`.
    tasks : the colour question is what is trained on.
    belief : (people, words, options) of the simulated people, whose majority is preferred.
    minutes : for the training; fewer steps are taken where it does not afford all.
    seed : of people, answers, adapter weights and order.

    Returns
    -------
    The models, in rising dose, and a sentence. Nothing is kept on disk.

    Raises ImportError, saying what to install, without peft or trl.
    """
    need("trl")  # loaded before the clock starts
    rows, own = demonstrations(base, tasks, SFT_STEPS * BATCH, len(belief), seed)
    with tempfile.TemporaryDirectory() as work:
        control = Path(work) / "sft"
        began = time.perf_counter()
        finetune(
            base, rows, control, rank=RANK, alpha=2.0 * RANK, learning_rate=RATE / 10,
            schedule="constant", steps=SFT_STEPS, batch=BATCH, seed=seed,
            data="Answers that the model gave as simulated people: the control.",
        )  # fmt: skip
        spent = time.perf_counter() - began
        doses = steps_for(60 * minutes - spent, PAIR * PAIRS * spent / (SFT_STEPS * BATCH))
        pairs = own_preferences(rows, own, belief, doses[-1] * PAIRS, seed)
        rungs = {0: control} | train_dpo(
            base, control, pairs, {dose: Path(work) / f"dpo-{dose:04d}" for dose in doses},
            batch=PAIRS, beta=BETA, rate=RATE, seed=seed, progress=False,
            card={"panel": len(belief)},
        )  # fmt: skip
        made = {path.name: (dose, load_adapter(base, path)) for dose, path in rungs.items()}
    fewer = "" if doses == DOSES else f" (of {DOSES[-1]}, by the time)"
    said = (
        f"Trained in this run, on the answers of {len(rows)} simulated people: {SFT_STEPS} steps "
        f"of SFT, then {doses[-1]} steps of DPO{fewer} of {PAIRS} pairs each, LoRA of rank {RANK}; "
        f"measured after {', '.join(map(str, (0, *doses)))} steps."
    )
    return made, said


def steps_for(seconds: float, each: float) -> tuple[int, int]:
    """The two doses that a time affords, at so many seconds a step; at least 1 and 2 steps.

    Examples
    --------
    >>> steps_for(60, each=2.0), steps_for(9, each=2.0), steps_for(-1, each=2.0)
    ((2, 6), (1, 4), (1, 2))
    """
    most = max(2, min(DOSES[-1], int(seconds / each)))
    return max(1, most * DOSES[0] // DOSES[-1]), most


def demonstrations(
    base: Any, tasks: Tasks, n: int, measured: int, seed: int
) -> tuple[pd.DataFrame, FloatArray]:
    """n answers that the model gives as people, for `finetune`.

    They are not of the first `measured` people, where so many others differ from these. Also
    returns the beliefs that they are drawn from, (n, options).
    """
    rng = generator(seed, "own answers")
    everyone = personas(KINDS, seed, distinct=True)
    others = everyone.iloc[measured : measured + n]
    design = tasks.colours(others if len(others) == n else everyone.head(n))
    word = rng.integers(design["word"].nunique(), size=n)
    rows = design.iloc[np.arange(n) * design["word"].nunique() + word].reset_index(drop=True)
    belief = cube(believe(base, tasks.colour, rows, least_mass=0.0))[:, 0]
    names = np.array(tasks.colour.options, dtype=object)
    said = rows.assign(colour=names[_drawn(belief, rng)])
    table = examples(said, {"colour": tasks.colour}, respondent="person", model=base)
    return table.assign(word=word), belief


def own_preferences(
    rows: pd.DataFrame, own: FloatArray, belief: FloatArray, n: int, seed: int
) -> pd.DataFrame:
    """n pairs of answers to the prompts of `rows`, of which more of the panel gave `chosen`.

    Parameters
    ----------
    rows, own : as `demonstrations` returns them (`word` is its place); the prompts are taken in
        turn.
    belief : (panel, words, options); each of the panel answers each word once.

    Returns
    -------
    Columns prompt, chosen, rejected, ask. One answer of a pair is drawn from the belief of whom
    the prompt describes, the other from somebody's of the panel; pairs that the panel is even on
    are drawn anew, and where none is found its commonest and rarest answer are taken.
    """
    rng = generator(seed, "own preferences")
    votes = np.apply_along_axis(
        np.bincount, 0, _drawn(belief, rng), minlength=belief.shape[-1]
    ).T  # (words, options)
    words = rows["word"].tolist()
    found = []
    for i in range(n):
        row = i % len(rows)
        counts = votes[words[row]]
        two = np.array([counts.argmax(), counts.argmin()])
        for _ in range(50):
            other = belief[rng.integers(len(belief)), words[row]]
            drawn = _drawn(np.stack([own[row], other]), rng)
            if counts[drawn[0]] != counts[drawn[1]]:
                two = drawn[np.argsort(-counts[drawn])]
                break
        found.append((row, *two))
    options = rows["options"].tolist()
    return pd.DataFrame({
        "prompt": [rows["prompt"].iloc[row] for row, _, _ in found],
        "chosen": [options[row][best] for row, best, _ in found],
        "rejected": [options[row][worst] for row, _, worst in found],
        "ask": "colour",
    })  # fmt: skip


def _drawn(belief: FloatArray, rng: np.random.Generator) -> IntArray:
    """One answer from each belief (..., options)."""
    u = rng.random((*belief.shape[:-1], 1))
    drawn: IntArray = np.minimum((u >= belief.cumsum(-1)).sum(-1), belief.shape[-1] - 1)
    return drawn
