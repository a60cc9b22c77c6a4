"""A slow model with a store that writes down what it computes: for tests that kill its process.

As a script: slow_model.py SOURCE OUT STORE LOG scores SOURCE until it is killed or done.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simkit.scoring.bulk import cached, stream
from simkit.scoring.types import Scores
from simkit.store import Store

BLOCK = 20  # prompts that a killed process may lose
ROWS = 50  # prompts per batch
OPTIONS = ["yes", "no", "maybe"]


def answers(prompt: str) -> list[float]:
    """Log-probabilities that tell prompts apart."""
    number = int(prompt.split()[1])
    return [-1 - number / 7, -2 - number / 11, -3.0]


@dataclass(frozen=True)
class SlowModel:
    """Takes `seconds` per block; `log` gets a line per prompt before its block is kept."""

    store: Store
    log: Path
    seconds: float = 0.0
    name: str = "slow"

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        rows = [tuple(row) for row in options]

        def compute(some: Sequence[int]) -> Scores:
            time.sleep(self.seconds)
            file = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(file, "".join(f"{prompts[i]}\n" for i in some).encode())
            os.close(file)
            logprob = np.array([answers(prompts[i]) for i in some])
            return Scores(logprob, np.zeros(logprob.shape, dtype=bool))

        return cached.scores_through(self.store, {"model": "slow"}, compute, prompts, rows)[0]


if __name__ == "__main__":
    source, out, store, log = map(Path, sys.argv[1:])
    cached.BLOCK = BLOCK
    stream.score_parquet(SlowModel(Store(store), log, 0.1), source, out, OPTIONS, rows=ROWS)
