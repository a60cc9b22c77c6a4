"""Fine-tuning within a time: what the study does on a model for which no adapters ship."""

from __future__ import annotations

import shutil
import tempfile
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

__all__ = ["BATCH", "MOST", "finetuned_within", "learnt"]

BATCH, RATE, RANK = 16, 1e-3, 8
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
    how: dict[str, Any] = {"batch": BATCH, "rank": RANK, "seed": seed}
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
