"""One training run: seeded, stopped early, resumable, on whatever device the model is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from simkit.scoring import LocalModel
from simkit.training.adapters import save_adapter
from simkit.training.base import for_training, shared_copy
from simkit.training.extras import hushed, need
from simkit.training.loss import losses
from simkit.training.packing import Example, Order, batches, encode
from simkit.training.quantise import is_quantised, quantise, trainable
from simkit.training.settings import Settings, check_same
from simkit.types import generator

__all__ = ["HISTORY", "Run"]

STATE = "training.pt"
AT_ONCE = 8  # times as many examples per forward pass when validating, which keeps no gradients
HISTORY = (
    "step", "epoch", "learning_rate", "loss", "cross_entropy", "penalty",
    "validation_loss", "validation_cross_entropy", "validation_penalty",
)  # fmt: skip


@dataclass
class Run:
    """One training run and what it needs to go on after a break."""

    network: Any
    train: list[Example]
    held: list[Example]
    settings: Settings
    out: Path
    call: dict[str, Any]
    keep_every: int
    tree: bool
    order: Order
    optimiser: torch.optim.Optimizer
    step: int = 0
    bad: int = 0  # validations since the best
    sums: list[float] = field(default_factory=lambda: [0.0] * 4)  # loss, both parts, steps
    history: list[list[float]] = field(default_factory=list)
    best_step: int = 0
    best_loss: float = math.inf
    best: dict[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def begin(
        cls,
        model: LocalModel,
        examples: pd.DataFrame,
        validation: pd.DataFrame | None,
        settings: Settings,
        out: Path,
        call: dict[str, Any],
        keep_every: int,
    ) -> Run:
        """The run as it stands: fresh, or where an earlier call was broken off."""
        train, held = (
            encode(frame, model.tokenizer, settings.numeric, end=settings.end,
                   limit=model.context_length, network=model.network)
            for frame in (examples, examples.iloc[:0] if validation is None else validation)
        )  # fmt: skip
        model = replace(model, network=for_training(model.network))
        if settings.method == "qlora" and not is_quantised(model.network):
            model = quantise(model)
        tree = model.path == "tree"
        network = _with_adapter(model, settings)
        weights = [p for p in network.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(
            weights, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        order = Order(train, settings.batch, settings.together, settings.seed)
        run = cls(
            network, train, held, settings, out, call, keep_every, tree, order, optimiser
        )  # fmt: skip
        run.resume()
        return run

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.network.device
        return device

    def resume(self) -> None:
        """Take up the state that `keep` left, if any."""
        path = self.out / STATE
        if not path.exists():
            return
        state = torch.load(path, weights_only=True, map_location="cpu")
        check_same(self.call, state["call"], self.out)
        self._put(state["weights"])
        self.optimiser.load_state_dict(state["optimiser"])
        for name in ("step", "bad", "sums", "history", "best_step", "best_loss", "best"):
            setattr(self, name, state[name])

    def keep(self) -> None:
        """Write the state so that a kill in mid-write leaves the old one whole."""
        state = {
            "call": self.call, "weights": self._weights(), "optimiser": self.optimiser.state_dict(),
            "step": self.step, "bad": self.bad, "sums": self.sums, "history": self.history,
            "best_step": self.best_step, "best_loss": self.best_loss, "best": self.best,
        }  # fmt: skip
        self.out.mkdir(parents=True, exist_ok=True)
        partial = self.out / (STATE + ".part")
        torch.save(state, partial)
        partial.replace(self.out / STATE)

    def go(self, progress: bool) -> None:
        """Train to the last step, or until patience is out; the caller's random state is kept."""
        devices = [self.device] if self.device.type == "cuda" else []
        total = self.settings.steps
        with (
            torch.random.fork_rng(devices),
            tqdm(total=total, initial=self.step, disable=not progress, mininterval=2) as bar,
        ):
            while True:
                if self.step % self.settings.every == 0 or self.step == total:
                    self._look()
                if self.step == total or self.stopped == "patience":
                    return
                self._one()
                self.step += 1
                if self.step % self.keep_every == 0:
                    self.keep()
                bar.update()

    @property
    def stopped(self) -> str:
        """What ended the run, or will."""
        patience = self.settings.patience
        early = patience is not None and self.bad >= patience and self.step < self.settings.steps
        return "patience" if early else "steps"

    def _one(self) -> None:
        """One step of the optimiser."""
        torch.manual_seed(_seed(self.settings.seed, "step", self.step))  # of dropout
        rate = self.settings.learning_rate_at(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        some = [self.train[i] for i in self.order(self.step)]
        weight = sum(e.weight for e in some)
        parts = np.zeros(2)
        for batch in batches(some, self.settings.micro, tree=self.tree):
            found = losses(self.network, batch.to(self.device))
            found.total(self.settings.penalty, weight).backward()
            parts += [float(found.cross_entropy.detach()), float(found.penalty.detach())]
        weights = [p for group in self.optimiser.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(weights, self.settings.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._note(*(parts / weight).tolist())

    def _note(self, cross_entropy: float, penalty: float) -> None:
        loss = cross_entropy + self.settings.penalty * penalty
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} at step {self.step}; try a smaller learning_rate"
            )
        more = loss, cross_entropy, penalty, 1.0
        self.sums = [a + b for a, b in zip(self.sums, more, strict=True)]

    def _look(self) -> None:
        """Validate, unless that was done at this step before a break, and remember the best."""
        if self.history and self.history[-1][0] == self.step:
            return
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
            self.bad, self.best_step, self.best = 0, self.step, self._weights()
            self.best_loss = held[0] if self.held else math.inf
        if self.step:
            self.keep()

    def _validate(self) -> list[float]:
        """Loss, cross-entropy and penalty on the validation examples; NaN if there are none."""
        if not self.held:
            return [math.nan] * 3
        self.network.eval()
        parts = np.zeros(2)
        with torch.no_grad():
            for batch in batches(self.held, AT_ONCE * self.settings.micro, tree=self.tree):
                found = losses(self.network, batch.to(self.device))
                parts += [float(found.cross_entropy), float(found.penalty)]
        cross_entropy, penalty = (parts / sum(e.weight for e in self.held)).tolist()
        return [cross_entropy + self.settings.penalty * penalty, cross_entropy, penalty]

    def _weights(self) -> dict[str, torch.Tensor]:
        """A copy of the adapter's weights, as peft names them."""
        # Left to itself, peft asks disk or hub for the base's configuration, to guess whether its
        # embeddings were trained too.
        state = need("peft").get_peft_model_state_dict(self.network, save_embedding_layers=False)
        return {name: weight.detach().cpu().clone() for name, weight in state.items()}

    def _put(self, weights: dict[str, torch.Tensor]) -> None:
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


def _seed(seed: int, *names: str | int) -> int:
    return int(generator(seed, *names).integers(2**62))


def _with_adapter(model: LocalModel, settings: Settings) -> Any:
    """A copy of the network, its weights shared and frozen, with a fresh adapter."""
    peft = need("peft")
    targets = settings.targets
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )
    network = trainable(shared_copy(model.network))
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices), hushed():
        torch.manual_seed(_seed(settings.seed, "adapter"))
        return peft.get_peft_model(network, config)
