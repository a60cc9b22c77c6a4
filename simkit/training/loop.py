"""The loop of both trainings: seeded, resumable, on whatever device the network is.

transformers' Trainer and trl's SFTTrainer give every sequence a row of its own, where a row here
is a tree of texts under a mask of ancestors, with a loss over answers and whole scales. And a run
that was broken off must equal an unbroken one to the last bit and leave the caller's random state
alone, which theirs do not promise; DPO, which needs neither, is trl's (`simkit.training.dpo`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from tqdm import tqdm

from simkit.files import replacing
from simkit.types import generator

__all__ = ["KEEP_EVERY", "STATE", "Loop", "OtherCallError", "check_same", "learning_rate",
           "torch_seed"]  # fmt: skip

STATE = "training.pt"
KEEP_EVERY = 50  # steps between saves of the state
CLIP = 1.0  # largest norm of the gradient


class OtherCallError(ValueError):
    """A folder holds what another call made, or was making."""


@dataclass(kw_only=True)
class Loop(ABC):
    """A training run that can be resumed.

    Attributes
    ----------
    KEPT : names of the attributes that the saved state holds.
    network, optimisers : what is trained, and how.
    steps, step : length of the run, and steps done.
    seed : of every random draw of the run.
    out : folder of the state.
    call : what the weights depend on, in JSON's types, its numbers and names in `settings`: a
        state of another call is refused.
    """

    KEPT: ClassVar[tuple[str, ...]] = ("step",)

    network: Any
    optimisers: list[torch.optim.Optimizer]
    steps: int
    seed: int
    out: Path
    call: dict[str, Any]
    step: int = 0

    @abstractmethod
    def rates(self) -> list[float]:
        """The learning rate of each optimiser at this step."""

    @abstractmethod
    def losses(self) -> Iterator[torch.Tensor]:
        """The parts of this step's loss, one after the other; their gradients are added."""

    def begin(self) -> None:  # noqa: B027
        """Called before each step, and after the last one."""

    def end(self, bar: Any) -> None:  # noqa: B027
        """Called after each step."""

    @property
    def stopped(self) -> str:
        """What ends the run: "steps", or "patience" where training may stop early."""
        return "steps"

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.network.device
        return device

    def weights(self) -> dict[str, torch.Tensor]:
        """A copy of the weights that are trained."""
        return {k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()}

    def put(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Set the weights that are trained."""
        self.network.load_state_dict(weights)

    def resume(self) -> None:
        """Load the state that `keep` saved, if there is one."""
        path = self.out / STATE
        if not path.exists():
            return
        state = torch.load(path, weights_only=True, map_location="cpu")
        check_same(self.call, state["call"], self.out)
        self.put(state["weights"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        for name in self.KEPT:
            setattr(self, name, state[name])

    def keep(self) -> None:
        """Save the state; an interrupted write leaves the old one whole."""
        state = {
            "call": self.call,
            "weights": self.weights(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            **{name: getattr(self, name) for name in self.KEPT},
        }
        self.out.mkdir(parents=True, exist_ok=True)
        with replacing(self.out / STATE) as part:
            torch.save(state, part)

    def go(self, progress: bool) -> None:
        """Train until the run is stopped; the caller's random state is kept."""
        devices = [self.device] if self.device.type == "cuda" else []
        with (
            torch.random.fork_rng(devices),
            tqdm(total=self.steps, initial=self.step, disable=not progress, mininterval=2) as bar,
        ):
            while True:
                self.begin()
                if self.step >= self.steps or self.stopped != "steps":
                    return
                self._one()
                self.step += 1
                self.end(bar)
                if self.step % KEEP_EVERY == 0:
                    self.keep()
                bar.update()

    def try_step(self) -> None:
        """One step that nothing remembers but the weights, to see what it takes."""
        self._one()
        self.step += 1

    def _one(self) -> None:
        """One step of the optimisers."""
        torch.manual_seed(torch_seed(self.seed, "step", self.step))  # of dropout
        for optimiser, rate in zip(self.optimisers, self.rates(), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate
        self.network.train()
        for loss in self.losses():
            value = float(loss.detach())
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"the loss is {value} at step {self.step}; try a smaller learning_rate"
                )
            loss.backward()
        weights = [p for p in self.network.parameters() if p.requires_grad]
        torch.nn.utils.clip_grad_norm_(weights, CLIP)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)


def learning_rate(step: int, steps: int, peak: float, warm: int, schedule: str = "cosine") -> float:
    """Linear warm-up over `warm` steps, then constant or one cosine to zero."""
    warm = max(1, warm)
    if step < warm:
        return peak * (step + 1) / warm
    if schedule == "constant":
        return peak
    return peak * 0.5 * (1 + math.cos(math.pi * ((step - warm) / max(1, steps - warm))))


def torch_seed(seed: int, *names: str | int) -> int:
    """A seed for torch's generator that depends on the seed and the names."""
    return int(generator(seed, *names).integers(2**62))


def check_same(call: Mapping[str, Any], other: Mapping[str, Any], out: Path) -> None:
    """Raise `OtherCallError`, saying what differs, unless two calls ask for the same weights."""
    differ = [k for k, value in call.items() if k != "settings" and value != other.get(k)]
    theirs = other.get("settings", {})
    for name, value in call["settings"].items():
        if value != theirs.get(name):
            differ.append(f"{name} {value}, there {theirs.get(name)}")
    if differ:
        raise OtherCallError(
            f"{out.name} holds the training of another call ({'; '.join(differ)}); name another "
            "folder, or delete that one"
        )
