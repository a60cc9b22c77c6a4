"""Fine-tuning within a time: what the study does on a model for which no adapters ship."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from simkit.files import as_path
from simkit.scoring import LocalModel
from simkit.studies.population_finetuning.evaluation import examples
from simkit.survey import Survey
from simkit.training import Adapted, finetune, steps_within
from simkit.training.adapters import read_record
from simkit.training.base import fingerprint
from simkit.training.data import digest, subset

__all__ = ["BATCH", "FEW", "HOUSEHOLDS", "LEAST", "MORE", "MOST", "PROMPTS", "fewer",
           "finetuned_within", "learnt", "told"]  # fmt: skip

BATCH, RATE, RANK = 8, 2e-3, 8
FEW = 50  # respondents in the learning curve, beside none and all
LEAST, PROMPTS = 30, 2  # held-out people at least, and how often each question is put to each
MORE = 3  # prompts for the first question: learning curve, the options in two orders
HOUSEHOLDS = 300  # of the survey on vehicles
MOST = 200  # steps: more bring little on a few hundred respondents


def finetuned_within(
    model: LocalModel,
    survey: Survey,
    minutes: float,
    *,
    respondents: int | None = None,
    steps: int | None = None,
    folder: Path | str = "",
    seed: int = 1,
    batch: int = BATCH,
) -> Adapted:
    """An adapter by LoRA on a survey's respondents who are not held out, within a time.

    The number of steps is what the time affords by the model's measured speed, at most 200. Nobody
    validates: all steps are taken, on the training and the validation part alike.

    Parameters
    ----------
    model : asked, and taught, in its own `chat`.
    survey : its training and validation parts are learnt from.
    minutes : of the training.
    respondents : how many of them learn, drawn by `seed`; None for all.
    steps : of another training, so that the two can be compared; None for as many as the time
        affords.
    folder : an adapter of these respondents and weights that is there is taken, else the new one
        is kept there; "" for a temporary folder.
    seed : of who learns, the adapter's first weights and the order.
    batch : answers per step.

    Returns
    -------
    Adapted
    """
    table = learnt(survey, model, respondents, seed)
    place = as_path(folder, "folder").expanduser() if folder else Path(tempfile.mkdtemp())
    place /= f"{survey.name}-lora" + (f"-n{respondents}" if respondents else "")
    record = read_record(place)
    if record is not None:
        same = record["call"]["base"] == fingerprint(model.network)
        if same and record["call"]["examples"] == digest(table):
            return Adapted(model, place, record)
        shutil.rmtree(place)
    how: dict[str, Any] = {"batch": batch, "rank": RANK, "seed": seed}
    if steps is None:
        steps = min(MOST, steps_within(model, table, minutes, **how))
    return finetune(
        model, table, place, steps=steps, learning_rate=RATE, every=steps, patience=None,
        data=f"respondents of the survey {survey.name!r} of the population study", **how,
    )  # fmt: skip


def learnt(
    survey: Survey, model: LocalModel, respondents: int | None = None, seed: int = 1
) -> pd.DataFrame:
    """The examples of all who are not held out, in the model's chat; of so many, if given."""
    parts = [examples(survey, part, model=model) for part in ("train", "validation")]
    table = pd.concat(parts, ignore_index=True)
    return table if respondents is None else subset(table, respondents, seed)


def fewer(
    survey: Survey, prompts: int, asked: Sequence[tuple[Survey, str]], seed: int
) -> tuple[Survey, list[tuple[Survey, str]]]:
    """The survey with as many held-out people as prompts allow, and what is asked of it.

    Parameters
    ----------
    survey : its held-out people are thinned, at random by `seed`; nobody moves to another part.
    prompts : how many are affordable. Each person takes PROMPTS for every question, of the base
        and the tuned model, and MORE for the first.
    asked : pairs of survey and question, of which those of the survey are given back with it.

    Returns
    -------
    The survey, with at least 30 people held out if it had them, and the pairs.
    """
    questions = [question for one, question in asked if one is survey]
    most = max(LEAST, prompts // (PROMPTS * len(questions) + MORE))
    test = survey.part("test")
    out = test.sample(max(0, len(test) - most), random_state=seed).index
    fewer = replace(survey, people=survey.people.drop(index=out))
    return fewer, [(fewer, question) for question in questions]


def told(minutes: float, *trained: Adapted) -> str:
    """What was trained in a time, in a sentence each."""
    lines = [f"{minutes:g} minutes of training, shared out among the adapters of this page:"]
    for adapted in trained:
        counts, steps = adapted.record["counts"], adapted.record["steps"]
        batch = adapted.record["settings"]["batch"]
        passes = steps * batch / counts["examples"]
        reduced = "" if steps >= MOST else f", reduced from {MOST}"
        lines.append(
            f"- LoRA on {counts['respondents']} respondents: {steps} steps of {batch} answers"
            f"{reduced}; {passes:.1f} passes over their {counts['examples']} answers"
        )
    return "\n".join(lines)
