"""The settings of a fine-tuning run, checked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from simkit.training.loop import learning_rate
from simkit.training.loss import NumericLoss
from simkit.types import integer, one_of, scalar, shown

__all__ = ["METHODS", "SCHEDULES", "Settings"]

METHODS = ("lora", "qlora")
SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that changes the weights, beside base and data. See `finetune`."""

    method: str
    rank: int
    alpha: float
    dropout: float
    targets: str | tuple[str, ...]
    learning_rate: float
    schedule: str
    warmup: float
    steps: int
    batch: int
    micro: int
    every: int
    patience: int | None
    numeric: NumericLoss | None
    seed: int

    def __post_init__(self) -> None:
        one_of(self.method, "method", METHODS)
        one_of(self.schedule, "schedule", SCHEDULES)
        plain: dict[str, Any] = {"seed": integer(self.seed, "seed", 0, 2**63)}  # as JSON keeps them
        for name in ("rank", "steps", "batch", "micro", "every", "patience"):
            if name != "patience" or self.patience is not None:
                plain[name] = integer(getattr(self, name), name, 1)
        for name in ("alpha", "learning_rate"):
            plain[name] = scalar(getattr(self, name), name, 0, 1e30)
            if plain[name] == 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be above 0")
        for name in ("dropout", "warmup"):
            plain[name] = scalar(getattr(self, name), name, 0, 1)
            if plain[name] == 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be a share below 1")
        if not isinstance(self.numeric, NumericLoss | None):
            raise ValueError(f"numeric is {shown(self.numeric)}; it must be a NumericLoss, or None")
        plain["numeric"] = self.numeric if self.penalty else None
        names = [self.targets] if isinstance(self.targets, str) else self.targets
        if not names or not all(isinstance(name, str) for name in names):
            raise ValueError(f"targets is {shown(self.targets)}; it must be names of modules")
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    @property
    def penalty(self) -> float:
        """λ, 0 without a numeric loss."""
        return self.numeric.weight if self.numeric else 0.0

    def learning_rate_at(self, step: int) -> float:
        """The rate of a step, from 0."""
        warm = round(self.warmup * self.steps)
        return learning_rate(step, self.steps, self.learning_rate, warm, self.schedule)

    def fields(self) -> dict[str, Any]:
        """As JSON keeps them."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain
