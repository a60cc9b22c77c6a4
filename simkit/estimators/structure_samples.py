"""The correlation matrices, of all respondents and of resamples, that a comparison needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simkit.estimators.correlations import Answers, answer_matrix, matrix_of, off_diagonal, repaired
from simkit.types import FloatArray, SeedLike, counted, generator

__all__ = ["Sampled", "sampled"]


@dataclass(frozen=True)
class Sampled:
    """Correlation matrices (1 + B, k, k) of both sides, the first of all respondents.

    other : (B, k, k) of resamples of the humans as large as the simulated sample, independent of
    `human`. halves : (S, 2, k, k).
    """

    items: list[str]
    human: FloatArray
    simulated: FloatArray
    other: FloatArray
    halves: FloatArray
    paired: bool
    n: int
    notes: tuple[str, ...]

    @property
    def pairs(self) -> list[FloatArray]:
        """`human`, `simulated`, `other` and `halves`, off the diagonal only: (..., pairs)."""
        i, j = np.triu_indices(len(self.items), 1)
        return [m[..., i, j] for m in (self.human, self.simulated, self.other, self.halves)]


def sampled(
    humans: pd.DataFrame,
    simulated: pd.DataFrame,
    method: str,
    weights: Any,
    simulated_weights: Any,
    paired: bool,
    n_boot: int,
    splits: int,
    rng: SeedLike,
    least: int = 3,
    constant: str = "zero",
) -> Sampled:
    """All matrices that a comparison needs."""
    if n_boot < 2 or splits < 2:
        raise ValueError(f"n_boot is {n_boot}, splits {splits}; legal are 2 or more")
    if constant not in ("zero", "skip"):
        raise ValueError(f"constant is {constant!r}; legal are zero, skip")
    h = answer_matrix(humans, weights, "humans", least)
    if set(humans.columns) != set(simulated.columns):
        odd = sorted(map(str, set(humans.columns) ^ set(simulated.columns)))
        raise ValueError(f"item {odd[0]!r} is on one side only; legal are the same items on both")
    s = answer_matrix(simulated[list(humans.columns)], simulated_weights, "simulated", least)
    if paired and h.n != s.n:
        raise ValueError(f"paired: {h.n} humans, {s.n} simulated; legal is the same number")
    stream = generator(rng)
    first = (matrix_of(h, method), matrix_of(s, method))
    human, other_side = [first[0]], [first[1]]
    for _ in range(n_boot):
        count = _counts(h.n, h.n, stream)
        human.append(matrix_of(h, method, h.weight * count))
        count = count if paired else _counts(s.n, s.n, stream)
        other_side.append(matrix_of(s, method, s.weight * count))
    if h.n == s.n:  # neighbouring resamples of the humans are independent of each other
        other = np.roll(np.stack(human[1:]), 1, axis=0)
    else:
        draws = (_counts(h.n, s.n, stream) for _ in range(n_boot))
        other = np.stack([matrix_of(h, method, h.weight * c) for c in draws])
    halves = [_halves(h, method, stream) for _ in range(splits)]
    ours, theirs = np.stack(human), np.stack(other_side)
    notes = _notes(h, s, *first)
    if constant == "zero":
        _uncorrelated(theirs)
        if s.constant:
            notes += ("simulated items that do not vary count as correlated with nothing",)
    return Sampled(h.items, ours, theirs, other, np.stack(halves), paired, h.n, notes)


def _uncorrelated(matrices: FloatArray) -> None:
    """Correlations of 0 for the items of (1 + B, k, k) that do not vary at all, in place."""
    flat = np.isnan(np.diagonal(matrices, axis1=1, axis2=2))
    lost = (flat[:, :, None] | flat[:, None, :]) & np.isnan(matrices)
    matrices[lost] = 0.0
    k = matrices.shape[1]
    matrices[:, np.arange(k), np.arange(k)] = 1.0


def _counts(n: int, size: int, stream: np.random.Generator) -> FloatArray:
    """How often each of n respondents is drawn, `size` draws with replacement: (n,)."""
    return np.bincount(stream.integers(0, n, size), minlength=n).astype(np.float64)


def _halves(a: Answers, method: str, stream: np.random.Generator) -> FloatArray:
    first = np.zeros(a.n)
    first[stream.permutation(a.n)[: a.n // 2]] = 1.0
    return np.stack([matrix_of(a, method, a.weight * w) for w in (first, 1 - first)])


def _notes(h: Answers, s: Answers, human: FloatArray, simulated: FloatArray) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    for who, a, m in (("humans", h, human), ("simulated", s, simulated)):
        k = len(a.items)
        lost = int(np.isnan(off_diagonal(m)).sum())
        negative = repaired(m)[1]
        named = f" ({', '.join(a.constant[:3])}{', …' if len(a.constant) > 3 else ''})"
        notes += counted(len(a.constant), k, f"items do not vary among the {who}{named}")
        notes += counted(lost, k * (k - 1) // 2, f"pairs of items are undefined among the {who}")
        if negative:
            notes += (f"{who}: not positive semi-definite, {negative} of {k} eigenvalues below 0",)
    return notes
