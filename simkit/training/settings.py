"""What a fine-tuning run is asked to do, checked, and how it differs from another."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from simkit.training.adapters import STORED
from simkit.training.data import COLUMNS
from simkit.training.loss import NumericLoss
from simkit.types import integer, one_of, scalar, shown

__all__ = [
    "METHODS",
    "SCHEDULES",
    "OtherCallError",
    "Settings",
    "check_same",
    "check_stored",
    "digest",
]

METHODS = ("lora", "qlora")
SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
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
    weight_decay: float
    clip: float
    steps: int
    batch: int
    micro: int
    together: int
    every: int
    patience: int | None
    numeric: NumericLoss | None
    end: bool
    seed: int

    def __post_init__(self) -> None:
        one_of(self.method, "method", METHODS)
        one_of(self.schedule, "schedule", SCHEDULES)
        plain: dict[str, Any] = {}  # numbers as JSON keeps them
        for name in ("rank", "steps", "batch", "micro", "together", "every"):
            plain[name] = integer(getattr(self, name), name, 1)
        for name in ("alpha", "learning_rate", "clip"):
            plain[name] = scalar(getattr(self, name), name, 0, 1e30)
            if plain[name] == 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be above 0")
        for name in ("dropout", "warmup"):
            plain[name] = scalar(getattr(self, name), name, 0, 1)
            if plain[name] == 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be a share below 1")
        plain["weight_decay"] = scalar(self.weight_decay, "weight_decay", 0, 1e30)
        if self.patience is not None:
            plain["patience"] = integer(self.patience, "patience", 1)
        plain["seed"] = integer(self.seed, "seed", 0, 2**63)
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        if not isinstance(self.numeric, NumericLoss | None):
            raise ValueError(f"numeric is {shown(self.numeric)}; it must be a NumericLoss, or None")
        if not isinstance(self.end, bool):
            raise ValueError(f"end is {shown(self.end)}; it must be True or False")
        names = [self.targets] if isinstance(self.targets, str) else self.targets
        if not names or not all(isinstance(name, str) for name in names):
            raise ValueError(f"targets is {shown(self.targets)}; it must be names of modules")

    @property
    def penalty(self) -> float:
        """λ, 0 without a numeric loss."""
        return self.numeric.weight if self.numeric else 0.0

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up, then constant or one cosine to zero."""
        warm = max(1, round(self.warmup * self.steps))
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        if self.schedule == "constant":
            return self.learning_rate
        done = (step - warm) / max(1, self.steps - warm)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))

    def fields(self) -> dict[str, Any]:
        """As JSON keeps them."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


def check_stored(stored: str) -> None:
    """Raise ValueError for a type that adapters are not stored in."""
    one_of(stored, "stored type", STORED)


def digest(frame: pd.DataFrame | None) -> str:
    """SHA-256 of examples: their prompts, options, answers and weights, in order."""
    if frame is None:
        return ""
    total = hashlib.sha256()
    for row in zip(*(frame[name].tolist() for name in COLUMNS), strict=True):
        total.update(json.dumps(row, default=str).encode())
    return total.hexdigest()


class OtherCallError(ValueError):
    """A folder holds what another call made, or was making."""


def check_same(call: Mapping[str, Any], other: Mapping[str, Any], out: Path) -> None:
    """Raise `OtherCallError`, saying what differs, unless two calls ask for the same weights."""
    apart = _differences(call, other)
    if apart:
        raise OtherCallError(
            f"{out.name} holds the training of another call ({'; '.join(apart)}); name another "
            "folder, or delete that one"
        )


def _differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """What differs between two calls, in words: "rank 4, there 8"."""
    out = []
    for name in ("base", "examples", "validation", "stored"):
        if ours[name] != theirs.get(name):
            plain = name == "stored"
            out.append(f"{name} {ours[name]}, there {theirs.get(name)}" if plain else name)
    mine, other = ours["settings"], theirs.get("settings", {})
    out += [
        f"{name} {mine[name]}, there {other.get(name)}"
        for name in mine
        if mine[name] != other.get(name)
    ]
    return out
