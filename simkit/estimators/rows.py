"""What the estimators share: reading columns of runs, and grouping rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from simkit.types import IntArray, labels

__all__ = ["optional_labels", "split_rows"]


def split_rows(codes: IntArray, rows: IntArray, n: int) -> list[IntArray]:
    """The rows of each code 0..n-1."""
    order = np.argsort(codes, kind="stable")
    return np.split(rows[order], np.searchsorted(codes[order], np.arange(1, n)))


def optional_labels(values: Any, name: str, n: int) -> tuple[IntArray, pd.DataFrame]:
    return labels(np.zeros(n) if values is None else values, name, n)
