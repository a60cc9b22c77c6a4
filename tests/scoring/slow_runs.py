"""Runs of a tiny model with a store, slowly: for a test that kills their process.

As a script: slow_runs.py STORE LOG writes runs until it is killed or done. LOG gets a line with the
number of runs before each block of them is kept.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

import simkit as sk
from simkit.scoring.cache import cached
from simkit.scoring.local import LocalModel
from simkit.scoring.runs import local
from tests.scoring.test_generate import characters, toy

BLOCK, RUNS = 10, 40
DESIGN = pd.DataFrame({"who": ["a", "ba", "a"]})
QUESTION = sk.Question("a", ["x", "y"], template="{who}{question}b ", separator="")


def sample(store: Path | None, log: Path | None = None, seconds: float = 0.0, **how: Any) -> Any:
    """The runs; `log` gets a line per block."""
    plain = local._score

    def slow(*given: Any) -> Any:
        time.sleep(seconds)
        if log is not None:
            file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(file, b"block\n")
            os.close(file)
        return plain(*given)

    model: Any = LocalModel("toy", toy("llama"), characters())
    model = model if store is None else sk.Cached(model, store)
    block, cached.RUNS, local._score = cached.RUNS, BLOCK, slow
    try:
        how = {"runs": RUNS, "max_tokens": 10, "marker": "=>", **how}
        return sk.sample_runs(model, QUESTION, DESIGN, **how)
    finally:
        cached.RUNS, local._score = block, plain


if __name__ == "__main__":
    sample(*map(Path, sys.argv[1:]), seconds=0.3)
