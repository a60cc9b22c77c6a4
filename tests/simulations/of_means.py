"""Shares over runs and clusters: `mean_choice`, `mean_belief`."""

from __future__ import annotations

import numpy as np
import pandas as pd

import simkit.estimators as est
from tests.simulations.case import Case


def _mean_choice(runs: int, p: float) -> Case:
    def repetition(rng: np.random.Generator) -> bool:
        y = (rng.random(runs) < p).astype(float)
        low, high = est.mean_choice(pd.Series(y, name="yes")).frame.iloc[0][["low", "high"]]
        return bool(low <= p <= high)

    return Case("mean_choice", "share", f"{runs} runs, P = {p:g}", repetition)


CASES = [_mean_choice(30, 0.4)]
