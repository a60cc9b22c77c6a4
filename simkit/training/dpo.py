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
from simkit.training.adapters import STORED, read_record, save_adapter
from simkit.training.base import fingerprint, for_training, shared_copy
from simkit.training.extras import hushed, need
from simkit.training.quantise import trainable

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
    told: Mapping[str, Any],
) -> dict[int, Path]:
    """Go on from the adapter `start` by DPO; save the adapter after each of the steps in `keep`.

    pairs : columns prompt, chosen, rejected. The reference is the model as it starts. The rate is
    constant, so that a smaller dose is what a shorter run would have given. Returns `keep`.
    Raises ImportError, saying what to install, without trl or peft.
    """
    from transformers import PrinterCallback

    trl, peft, datasets = need("trl"), need("peft"), need("datasets")
    with _own_state():  # new adapter weights are drawn before they are replaced
        network = _policy(base, start)
    saved: dict[int, dict[str, torch.Tensor]] = {}

    def look(step: int) -> None:
        if step in keep:
            state = peft.get_peft_model_state_dict(network, save_embedding_layers=False)
            saved[step] = {k: v.detach().cpu().clone() for k, v in state.items()}

    with _own_state(), hushed(), _quiet_bars(datasets), tempfile.TemporaryDirectory() as work:
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
            callbacks=[_watch(look)],
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)  # which would print a summary
        trainer.train()
    record = read_record(start) or {}
    for dose, folder in keep.items():
        said = _record(base, record, pairs, dose, batch, beta, rate, seed)
        save_adapter(folder, network, saved[dose], said, "dpo.md.j2", **told)
    return dict(keep)


def _policy(base: LocalModel, start: Path) -> Any:
    """The base with a trainable copy of the adapter; its weights are shared with the base."""
    peft = need("peft")
    with hushed():
        return peft.PeftModel.from_pretrained(
            trainable(shared_copy(for_training(base.network))), start, is_trainable=True,
            torch_device=str(base.device),
        )  # fmt: skip


def _watch(look: Any) -> Any:
    from transformers import TrainerCallback

    class Keep(TrainerCallback):
        """Looks at the adapter after each step."""

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            look(state.global_step)

    return Keep()


@contextmanager
def _own_state() -> Iterator[None]:
    """Give back the random states of Python, NumPy and torch, which the trainer seeds."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    devices = list(range(torch.cuda.device_count()))
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


@contextmanager
def _quiet_bars(datasets: Any) -> Iterator[None]:
    """No bars for the mapping of a small table."""
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def _record(
    base: LocalModel, start: Mapping[str, Any], pairs: pd.DataFrame, dose: int, batch: int,
    beta: float, rate: float, seed: int,
) -> dict[str, Any]:  # fmt: skip
    settings = {
        "rank": start["settings"]["rank"], "alpha": start["settings"]["alpha"],
        "targets": start["settings"]["targets"], "beta": beta, "learning_rate": rate,
        "schedule": "constant", "batch": batch, "seed": seed, "numeric": None,
    }  # fmt: skip
    return {
        "base": base.name, "fingerprint": fingerprint(base.network), "method": "dpo",
        "stored": STORED, "data": "preferences for the majority's answers",
        "questions": sorted(pairs["ask"].unique()) if "ask" in pairs else [],
        "counts": {"examples": dose * batch, "respondents": dose * batch, "validation": 0,
                   "validators": 0},
        "settings": settings, "steps": dose, "best_step": dose, "stopped": "steps",
        "validation_loss": None, "untrained_loss": None, "history": [],
    }  # fmt: skip
