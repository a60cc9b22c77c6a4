"""One run of DPO by trl, its adapter kept at several steps, and no global state changed."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from simkit.scoring import LocalModel
from simkit.training.adapters import (
    STORED,
    adapter_weights,
    read_record,
    save_adapter,
    with_stored,
)
from simkit.training.base import fingerprint
from simkit.training.extras import hushed, need

__all__ = ["train_dpo"]


def train_dpo(
    base: LocalModel,
    start: Path,
    pairs: pd.DataFrame,
    keep: Mapping[int, Path],
    *,
    batch: int,
    beta: float,
    rate: float,
    seed: int,
    progress: bool,
    card: Mapping[str, Any],
) -> dict[int, Path]:
    """Go on from the adapter `start` by DPO; save the adapter after each of the steps in `keep`.

    pairs : columns prompt, chosen, rejected. card : what the cards say beside the record. The
    reference is the model as it starts. The rate is
    constant, so that a smaller dose is what a shorter run would have given. Returns `keep`.
    Raises ImportError, saying what to install, without trl or peft.
    """
    trl, datasets, transformers = need("trl"), need("datasets"), need("transformers")
    with _undisturbed(datasets):  # new adapter weights are drawn before they are replaced
        network = with_stored(base, start, trained=True)
    saved: dict[int, dict[str, torch.Tensor]] = {}

    with hushed():  # it imports peft, and that bitsandbytes, which writes to stderr
        callback = transformers.TrainerCallback

    class Save(callback):  # type: ignore[misc, valid-type]
        """Copies the adapter after the steps that are kept."""

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step in keep:
                saved[state.global_step] = adapter_weights(network)

    with _undisturbed(datasets), hushed(), tempfile.TemporaryDirectory() as work:
        settings = trl.DPOConfig(
            output_dir=work, use_cpu=base.device.type == "cpu", report_to="none", seed=seed,
            max_steps=max(keep), per_device_train_batch_size=batch, beta=beta, learning_rate=rate,
            lr_scheduler_type="constant", warmup_steps=0, save_strategy="no", bf16=False,
            logging_strategy="no", disable_tqdm=not progress, gradient_checkpointing=False,
            max_length=None,
        )  # fmt: skip
        data = datasets.Dataset.from_pandas(pairs[["prompt", "chosen", "rejected"]])
        trainer = trl.DPOTrainer(
            model=network, args=settings, train_dataset=data, processing_class=base.tokenizer,
            callbacks=[Save()],
        )  # fmt: skip
        trainer.remove_callback(transformers.PrinterCallback)  # which would print a summary
        trainer.train()
    control = (read_record(start) or {})["settings"]
    for step, folder in keep.items():
        record = {
            "base": base.name, "fingerprint": fingerprint(base.network), "method": "dpo",
            "stored": STORED, "data": "preferences for the majority's answers",
            "questions": sorted(pairs["ask"].unique()) if "ask" in pairs else [],
            "counts": {"examples": step * batch, "respondents": step * batch, "validation": 0,
                       "validators": 0},
            "settings": {
                **{name: control[name] for name in ("rank", "alpha", "targets")},
                "beta": beta, "learning_rate": rate, "schedule": "constant", "batch": batch,
                "seed": seed, "numeric": None,
            },
            "steps": step, "best_step": step, "stopped": "steps", "validation_loss": None,
            "untrained_loss": None, "history": [],
        }  # fmt: skip
        save_adapter(folder, network, saved[step], record, "dpo.md.j2", **card)
    return dict(keep)


@contextmanager
def _undisturbed(datasets: Any) -> Iterator[None]:
    """Give back the random states of Python, NumPy and torch, which the trainer seeds, and show
    no bars for the mapping of a small table."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    bars = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        with torch.random.fork_rng(list(range(torch.cuda.device_count()))):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if bars:
            datasets.enable_progress_bars()
