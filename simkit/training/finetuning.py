"""LoRA and QLoRA training on answers: `finetune` and its result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from simkit.files import as_path
from simkit.scoring import LocalModel
from simkit.scoring.local import check_local
from simkit.training.adapters import STORED, load_adapter, read_record
from simkit.training.adapting import HISTORY, Adapting
from simkit.training.base import fingerprint
from simkit.training.data import check_examples, digest
from simkit.training.loop import check_same
from simkit.training.loss import NumericLoss
from simkit.training.quantise import is_quantised
from simkit.training.settings import Settings
from simkit.types import integer, listed, scalar

__all__ = ["Adapted", "finetune"]


@dataclass(frozen=True, repr=False, eq=False)
class Adapted:
    """A fine-tuned model and how it came about.

    Attributes
    ----------
    base : the model given.
    folder : where the adapter is.
    record : what its `training.json` says; of the run `steps` (taken in all), `best_step` (whose
        weights were kept), `validation_loss` (theirs, None without a validation set) and `stopped`
        ("patience" or "steps").
    """

    base: LocalModel
    folder: Path
    record: dict[str, Any]

    @cached_property
    def model(self) -> LocalModel:
        """Base and adapter, ready to score; loaded when this is first asked for."""
        return load_adapter(self.base, self.folder)

    @property
    def history(self) -> pd.DataFrame:
        """One row per validation, columns `HISTORY`.

        Losses of training are means over the steps since the row before, NaN at step 0; without a
        validation set or a numeric loss theirs are NaN.
        """
        rows = pd.DataFrame(self.record["history"], columns=list(HISTORY)).astype(float)
        return rows.astype({"step": int})

    def __repr__(self) -> str:
        run, loss = self.record, self.record["validation_loss"]
        return (
            f"Adapted({self.folder.name!r} on {self.base.name!r}: step {run['best_step']} of "
            f"{run['steps']} kept{'' if loss is None else f', loss {loss:.4f}'}, "
            f"stopped by {run['stopped']})"
        )


def finetune(
    model: LocalModel,
    examples: pd.DataFrame,
    out: Path | str,
    *,
    validation: pd.DataFrame | None = None,
    method: str = "lora",
    rank: int = 8,
    alpha: float = 16.0,
    dropout: float = 0.0,
    targets: str | Sequence[str] = "all-linear",
    learning_rate: float = 2e-3,
    schedule: str = "cosine",
    warmup: float = 0.05,
    epochs: float = 3.0,
    steps: int | None = None,
    batch: int = 32,
    micro: int | None = None,
    every: int | None = None,
    patience: int | None = 5,
    numeric: NumericLoss | None = None,
    seed: int = 0,
    data: str = "",
    progress: bool = False,
) -> Adapted:
    """Train an adapter on answers and save it; the same call resumes an interrupted run.

    Parameters
    ----------
    model : from `simkit.load`. It stays as it is, and decides the device.
    examples, validation : from :func:`examples`. Without validation all steps are taken and the
        last weights kept.
    out : folder of the adapter. The state of an unfinished run is in `out/training.pt`; a
        finished one is not trained again.
    method : "lora" on the weights as they are, or "qlora" on weights in 4 bits (`quantise`).
    rank, alpha, dropout : of the adapter; its product of rank `rank` is scaled by alpha / rank.
    targets : "all-linear" (all but the vocabulary head), or names of modules.
    learning_rate, schedule, warmup : peak of AdamW; after a linear warm-up over that share of the
        steps "constant", or "cosine" to zero. The default rate suits models of a few million
        parameters; for billions 1e-4 to 2e-4 is usual.
    epochs, steps : length of the training: passes over the examples, or steps if given.
    batch : examples per step.
    micro : examples per forward pass, for less memory at the same gradient (if dropout is 0); None
        for all of the batch.
    every : steps between validations; None for a twentieth of the steps, but at least 10.
    patience : validations without a new best before training stops; None for never.
    numeric : the penalty on numeric answers; None, or one with weight 0, for plain cross-entropy.
    seed : of the adapter's initial weights, the order and dropout.
    data : what the examples are, in words, for the card.
    progress : show a progress bar.

    Returns
    -------
    Adapted
        Its model is the adapter as it was saved and can be loaded by `load_adapter`. With
        `validation`, the weights kept are those of the smallest validation loss, which may be
        those before the first step.

    Raises
    ------
    ValueError
        For settings out of range, respondents who are in both sets, a folder that holds another
        call's adapter or state, and what cannot be tokenized.
    FloatingPointError
        If the loss is no number.
    ImportError
        Without peft, or for qlora without bitsandbytes.

    Notes
    -----
    On one device the result is a function of the arguments; no global random state is touched.

    References
    ----------
    Hu et al. 2021, LoRA, arXiv 2106.09685. Dettmers et al. 2023, QLoRA, arXiv 2305.14314.

    Examples
    --------
    >>> import tempfile
    >>> import simkit as sk
    >>> from simkit.training import examples
    >>> question = sk.Question("Is there coffee?", ["yes", "no"])
    >>> people = pd.DataFrame({"context": ["A nurse.", "A clerk."], "coffee": ["yes", "no"]})
    >>> table = examples(people, {"coffee": question})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fit = finetune(sk.load("glassbox"), table, f"{folder}/coffee", steps=1)
    >>> fit
    Adapted('coffee' on 'glassbox': step 1 of 1 kept, stopped by steps)
    """
    check_local(model)
    out = as_path(out, "out")
    check_examples(examples, "examples")
    if validation is not None:
        check_examples(validation, "validation examples")
        shared = set(examples["respondent"]) & set(validation["respondent"])
        if shared:
            raise ValueError(
                f"respondent {sorted(shared, key=str)[0]!r} is in examples and in validation; "
                "split people by split_respondents"
            )
    integer(batch, "batch", 1)
    if not scalar(epochs, "epochs", 0, 1e6) > 0:
        raise ValueError("epochs is 0; it must be above 0")
    total = steps if steps is not None else math.ceil(epochs * len(examples) / batch)
    integer(total, "steps", 1)
    settings = Settings(
        method=method, rank=rank, alpha=alpha, dropout=dropout,
        targets=targets if isinstance(targets, str) else tuple(listed(targets, "targets")),
        learning_rate=learning_rate, schedule=schedule, warmup=warmup, steps=total, batch=batch,
        micro=batch if micro is None else micro,
        every=max(10, total // 20) if every is None else every, patience=patience,
        numeric=numeric, seed=seed,
    )  # fmt: skip
    if is_quantised(model.network) and method != "qlora":
        raise ValueError(f"{model.name} is in 4 bits; method must be 'qlora'")
    call = {
        "base": fingerprint(model.network), "examples": digest(examples),
        "validation": digest(validation), "settings": settings.fields(),
    }  # fmt: skip
    record = read_record(out)
    if record is not None:
        check_same(call, record["call"], out)
    else:
        run = Adapting.of(model, examples, validation, settings, out, call)
        run.go(progress)
        held = examples.iloc[:0] if validation is None else validation
        record = run.save({
            "base": model.name,
            "fingerprint": call["base"],
            "method": method,
            "stored": STORED,
            "data": data,
            "questions": list(dict.fromkeys(examples["question"])),
            "counts": {
                "examples": len(examples), "respondents": int(examples["respondent"].nunique()),
                "validation": len(held), "validators": int(held["respondent"].nunique()),
            },
            "settings": {k: v for k, v in settings.fields().items() if k != "method"},
            "call": call,
        })  # fmt: skip
    return Adapted(model, out, record)
