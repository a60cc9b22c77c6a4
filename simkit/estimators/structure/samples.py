"""The correlation matrices, of all respondents and of resamples, that a comparison needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simkit.estimators.structure.correlations import (
    CHUNK,
    Answers,
    answer_matrix,
    matrices_of,
    off_diagonal,
    repaired,
)
from simkit.types import FloatArray, SeedLike, counted, generator

__all__ = ["Sampled", "sampled"]

FEW = 30  # respondents, below which intervals cover too seldom


@dataclass(frozen=True)
class Sampled:
    """Correlation matrices (1 + B, k, k) of both sides, the first of all respondents.

    other : (B, k, k) of resamples of the humans as large as the simulated sample, independent of
    `human`. halves : (S, 2, k, k). worth : equal respondents that the smaller side is worth.
    """

    items: list[str]
    human: FloatArray
    simulated: FloatArray
    other: FloatArray
    halves: FloatArray
    paired: bool
    n: int
    worth: float
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
        raise ValueError(f"n_boot is {n_boot}, splits {splits}; they must be 2 or more")
    if constant not in ("zero", "skip"):
        raise ValueError(f"constant is {constant!r}; it must be zero or skip")
    h = answer_matrix(humans, weights, "humans", least)
    if set(humans.columns) != set(simulated.columns):
        odd = sorted(map(str, set(humans.columns) ^ set(simulated.columns)))
        raise ValueError(f"item {odd[0]!r} is on one side only; both must have it")
    s = answer_matrix(simulated[list(humans.columns)], simulated_weights, "simulated", least)
    if paired and h.n != s.n:
        raise ValueError(f"paired: {h.n} humans, {s.n} simulated; it must be the same number")
    stream = generator(rng)
    if paired:
        human, other_side = _resamples([h, s], method, h.n, n_boot, stream)
    else:
        human, other_side = (_resamples([a], method, a.n, n_boot, stream)[0] for a in (h, s))
    first = matrices_of(h, method, h.weight[None]), matrices_of(s, method, s.weight[None])
    if h.n == s.n:  # neighbouring resamples of the humans are independent of each other
        other = np.roll(human, 1, axis=0)
    else:
        other = _resamples([h], method, s.n, n_boot, stream)[0]
    halves = np.stack([_halves(h, method, stream) for _ in range(splits)])
    ours, theirs = np.concatenate([first[0], human]), np.concatenate([first[1], other_side])
    notes = _notes(h, s, first[0][0], first[1][0])
    if constant == "zero":
        _uncorrelated(theirs)
        if s.constant:
            notes += ("simulated items that do not vary count as correlated with nothing",)
    return Sampled(h.items, ours, theirs, other, halves, paired, h.n, min(h.worth, s.worth), notes)


def _uncorrelated(matrices: FloatArray) -> None:
    """Correlations of 0 for the items of (1 + B, k, k) that do not vary at all, in place."""
    flat = np.isnan(np.diagonal(matrices, axis1=1, axis2=2))
    lost = (flat[:, :, None] | flat[:, None, :]) & np.isnan(matrices)
    matrices[lost] = 0.0
    k = matrices.shape[1]
    matrices[:, np.arange(k), np.arange(k)] = 1.0


def _resamples(
    sides: Sequence[Answers], method: str, size: int, n_boot: int, stream: np.random.Generator
) -> list[FloatArray]:
    """Matrices (B, k, k) of resamples of `size` respondents, the same draws on all sides."""
    n, step = sides[0].n, max(CHUNK // max(sides[0].n, size), 1)
    found: list[list[FloatArray]] = [[] for _ in sides]
    for start in range(0, n_boot, step):
        b = min(step, n_boot - start)
        drawn = stream.integers(0, n, (b, size)) + n * np.arange(b)[:, None]
        count = np.bincount(drawn.ravel(), minlength=b * n).reshape(b, n)
        for out, a in zip(found, sides, strict=True):
            out.append(matrices_of(a, method, a.weight * count))
    return [np.concatenate(out) for out in found]


def _halves(a: Answers, method: str, stream: np.random.Generator) -> FloatArray:
    first = np.zeros(a.n)
    first[stream.permutation(a.n)[: a.n // 2]] = 1.0
    return matrices_of(a, method, a.weight * np.stack([first, 1 - first]))


def _notes(h: Answers, s: Answers, human: FloatArray, simulated: FloatArray) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    for who, a, m in (("humans", h, human), ("simulated", s, simulated)):
        k = len(a.items)
        lost = int(np.isnan(off_diagonal(m)).sum())
        negative = repaired(m)[1]
        named = f" ({', '.join(a.constant[:3])}{', …' if len(a.constant) > 3 else ''})"
        notes += counted(len(a.constant), k, f"items do not vary among the {who}{named}")
        notes += counted(lost, k * (k - 1) // 2, f"pairs of items are undefined among the {who}")
        notes += _few(a, who)
        if negative:
            notes += (f"{who}: not positive semi-definite, {negative} of {k} eigenvalues below 0",)
    return notes


def _few(a: Answers, who: str) -> tuple[str, ...]:
    """A note where the respondents, as many as their weights leave, are too few."""
    n = a.worth
    said = f"{who}: as good as {n:.3g} equal respondents" if n < a.n * (1 - 1e-9) else ""
    if n < FEW:
        return (f"{said or f'{who}: {a.n} respondents'}; below {FEW} trust no interval",)
    return (said,) if said else ()
