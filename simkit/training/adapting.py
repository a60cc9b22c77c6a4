"""The run of `finetune`: an adapter on a frozen base, validated, stopped early."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch

from simkit.scoring import LocalModel
from simkit.training.adapters import adapter_weights, save_adapter
from simkit.training.base import for_training, shared_copy
from simkit.training.extras import hushed, need
from simkit.training.loop import STATE, Loop, torch_seed
from simkit.training.loss import Losses, losses
from simkit.training.packing import Example, Order, batches, encode
from simkit.training.quantise import is_quantised, quantise, trainable
from simkit.training.settings import Settings
from simkit.types import FloatArray

__all__ = ["HISTORY", "Adapting"]

AT_ONCE = 8  # times as many examples per forward pass when validating, which keeps no gradients
HISTORY = (
    "step", "epoch", "learning_rate", "loss", "cross_entropy", "penalty",
    "validation_loss", "validation_cross_entropy", "validation_penalty",
)  # fmt: skip


@dataclass(kw_only=True)
class Adapting(Loop):
    """Training an adapter on examples."""

    KEPT: ClassVar[tuple[str, ...]] = (
        "step", "bad", "sums", "history", "best_step", "best_loss", "best",
    )  # fmt: skip

    train: list[Example]
    held: list[Example]
    settings: Settings
    tree: bool
    order: Order
    bad: int = 0  # validations since the best
    sums: list[float] = field(default_factory=lambda: [0.0] * 4)  # loss, both parts, steps
    history: list[list[float]] = field(default_factory=list)
    best_step: int = 0
    best_loss: float = math.inf
    best: dict[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: LocalModel,
        examples: pd.DataFrame,
        validation: pd.DataFrame | None,
        settings: Settings,
        out: Path,
        call: dict[str, Any],
    ) -> Adapting:
        """A new run, or an interrupted one where it stopped."""
        train, held = (
            encode(frame, model.tokenizer, settings.numeric, limit=model.context_length,
                   network=model.network)
            for frame in (examples, examples.iloc[:0] if validation is None else validation)
        )  # fmt: skip
        model = replace(model, network=for_training(model.network))
        if settings.method == "qlora" and not is_quantised(model.network):
            model = quantise(model)
        network = with_adapter(model, settings)
        weights = [p for p in network.parameters() if p.requires_grad]
        run = cls(
            network=network,
            optimisers=[torch.optim.AdamW(weights, lr=0.0, weight_decay=0.0)],
            steps=settings.steps, seed=settings.seed, out=out, call=call, train=train, held=held,
            settings=settings, tree=model.path == "tree",
            order=Order(train, settings.batch, settings.seed),
        )  # fmt: skip
        run.resume()
        return run

    @property
    def stopped(self) -> str:
        """What ends the run: "steps", or "patience" where validation stopped it early."""
        patience = self.settings.patience
        early = patience is not None and self.bad >= patience and self.step < self.steps
        return "patience" if early else "steps"

    def rates(self) -> list[float]:
        """The learning rate at this step."""
        return [self.settings.learning_rate_at(self.step)]

    def losses(self) -> Iterator[torch.Tensor]:
        """The loss of each part of the step's examples."""
        examples = [self.train[i] for i in self.order(self.step)]
        weight = sum(e.weight for e in examples)
        parts = np.zeros(2)
        for both in self._passes(examples, self.settings.micro):
            parts += both.numbers()
            yield both.total(self.settings.penalty, weight)
        more = [*self._means(parts, weight), 1.0]
        self.sums = [a + b for a, b in zip(self.sums, more, strict=True)]

    def _passes(self, examples: list[Example], size: int) -> Iterator[Losses]:
        for batch in batches(examples, size, tree=self.tree):
            yield losses(self.network, batch.to(self.device))

    def _means(self, parts: FloatArray, weight: float) -> list[float]:
        """Loss, cross-entropy and penalty per example."""
        cross_entropy, penalty = (parts / weight).tolist()
        return [cross_entropy + self.settings.penalty * penalty, cross_entropy, penalty]

    def begin(self) -> None:
        """Validate every so many steps and at the last, and remember the best."""
        due = self.step % self.settings.every == 0 or self.step == self.steps
        if not due or (self.history and self.history[-1][0] == self.step):
            return  # not due, or done at this step before an interruption
        *sums, steps = self.sums
        trained = [s / steps if steps else math.nan for s in sums]
        held = self._validate()
        rate = self.settings.learning_rate_at(max(0, self.step - 1))
        epoch = self.step * self.settings.batch / len(self.train)
        row = [self.step, epoch, rate, *trained, *held]
        if self.settings.numeric is None:
            row[HISTORY.index("penalty")] = row[HISTORY.index("validation_penalty")] = math.nan
        self.history.append(row)
        self.sums = [0.0] * 4
        if self.held and not held[0] < self.best_loss:
            self.bad += 1
        else:
            self.bad, self.best_step, self.best = 0, self.step, self.weights()
            self.best_loss = held[0] if self.held else math.inf
        if self.step:
            self.keep()

    def _validate(self) -> list[float]:
        """Loss, cross-entropy and penalty on the validation examples; NaN if there are none."""
        if not self.held:
            return [math.nan] * 3
        self.network.eval()
        with torch.no_grad():
            passes = self._passes(self.held, AT_ONCE * self.settings.micro)
            parts = sum((both.numbers() for both in passes), np.zeros(2))
        return self._means(parts, sum(e.weight for e in self.held))

    def weights(self) -> dict[str, torch.Tensor]:
        """A copy of the adapter's weights, as peft names them."""
        return adapter_weights(self.network)

    def put(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Set the adapter's weights."""
        need("peft").set_peft_model_state_dict(self.network, weights)

    def save(self, described: dict[str, Any]) -> dict[str, Any]:
        """Write the adapter and its record, which is given back, and drop the state."""
        record = {
            **described,
            "steps": self.step,
            "best_step": self.best_step,
            "stopped": self.stopped,
            "validation_loss": self.best_loss if self.held else None,
            "untrained_loss": self.history[0][6] if self.held else None,
            "history": [[_plain(x) for x in row] for row in self.history],
        }
        save_adapter(self.out, self.network, self.best, record)
        (self.out / STATE).unlink(missing_ok=True)
        return record


def _plain(value: float) -> float | None:
    """Rounded so that a record is short to read; JSON has no NaN."""
    return None if math.isnan(value) else round(float(value), 6)


def with_adapter(model: LocalModel, settings: Settings) -> Any:
    """A copy of the network, its weights shared and frozen, with a fresh adapter."""
    peft = need("peft")
    targets = settings.targets
    config = peft.LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )  # fmt: skip
    network = trainable(shared_copy(model.network))
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices), hushed():
        torch.manual_seed(torch_seed(settings.seed, "adapter"))
        return peft.get_peft_model(network, config)
