"""A slow model that writes down what it computes, with a cache: for tests that kill its process.

As a script: slow_model.py SOURCE OUT STORE LOG scores SOURCE until it is killed or done.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from simkit.scoring import Cached, score_parquet
from simkit.scoring.cache import cached
from simkit.scoring.types import Scores

BLOCK = 20  # prompts that a killed process may lose
ROWS = 50  # prompts per batch
OPTIONS = ["yes", "no", "maybe"]


def answers(prompt: str) -> list[float]:
    """Log-probabilities that tell prompts apart."""
    number = int(prompt.split()[1])
    return [-1 - number / 7, -2 - number / 11, -3.0]


@dataclass(frozen=True)
class SlowModel:
    """Takes `seconds` per call; `log` gets a line per prompt."""

    log: Path
    seconds: float = 0.0
    name: str = "slow"
    identity: Mapping[str, str] = field(default_factory=lambda: {"model": "slow"})

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        time.sleep(self.seconds)
        file = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, "".join(f"{prompt}\n" for prompt in prompts).encode())
        os.close(file)
        logprob = np.array([answers(prompt) for prompt in prompts])
        return Scores(logprob, np.zeros(logprob.shape, dtype=bool))


if __name__ == "__main__":
    source, out, store, log = map(Path, sys.argv[1:])
    cached.BLOCK = BLOCK
    score_parquet(Cached(SlowModel(log, 0.1), store), source, out, OPTIONS, rows=ROWS)
