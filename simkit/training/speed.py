"""How many steps of fine-tuning a time affords, by what they take on this machine."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import torch

from simkit.scoring import LocalModel
from simkit.scoring.local import check_local
from simkit.training.adapting import Adapting
from simkit.training.data import check_examples
from simkit.training.settings import Settings
from simkit.types import integer, scalar

__all__ = ["steps_within"]

TIMED = 2  # steps, after one that is not timed


def steps_within(
    model: LocalModel,
    examples: pd.DataFrame,
    minutes: float,
    *,
    batch: int = 32,
    rank: int = 8,
    seed: int = 0,
) -> int:
    """How many steps of :func:`finetune` with LoRA a time affords, from the measured speed.

    Parameters
    ----------
    model : from `simkit.load`. It stays as it is.
    examples : from :func:`examples`.
    minutes : the time, without the three steps that are tried.
    batch, rank, seed : as in :func:`finetune`.

    Returns
    -------
    int
        At least 1; above 20 a multiple of 10, so that runs on like machines are alike.

    Raises
    ------
    ValueError
        For numbers out of range, and as :func:`finetune`.

    Examples
    --------
    >>> import simkit as sk
    >>> from simkit.training import examples
    >>> question = sk.Question("Is there coffee?", ["yes", "no"])
    >>> people = pd.DataFrame({"context": ["A nurse.", "A clerk."], "coffee": ["yes", "no"]})
    >>> table = examples(people, {"coffee": question})
    >>> steps_within(sk.load("glassbox"), table, 0.1, batch=2) >= 1
    True
    """
    check_local(model)
    check_examples(examples, "examples")
    minutes = scalar(minutes, "minutes", 0)
    settings = Settings(
        method="lora", rank=rank, alpha=2.0 * rank, dropout=0.0, targets="all-linear",
        learning_rate=1e-5, schedule="constant", warmup=0.0, steps=TIMED + 1,
        batch=integer(batch, "batch", 1), micro=batch, every=TIMED + 1, patience=None,
        numeric=None, seed=seed,
    )  # fmt: skip
    run = Adapting.of(model, examples, None, settings, Path("tried, never saved"), {})
    with torch.random.fork_rng([run.device] if run.device.type == "cuda" else []):
        run.try_step()
        began = time.perf_counter()
        for _ in range(TIMED):
            run.try_step()
    steps = int(60 * minutes * TIMED / (time.perf_counter() - began))
    return max(1, steps if steps < 20 else steps // 10 * 10)
