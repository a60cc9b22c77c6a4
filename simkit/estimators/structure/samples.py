"""The correlation matrices, of all respondents and of resamples, that a comparison needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.shared.respondents import cluster_notes
from simkit.estimators.structure.correlations import (
    CHUNK,
    Answers,
    matrices_of,
    off_diagonal,
    repaired,
    two_sides,
)
from simkit.types import FloatArray, SeedLike, counted, generator, integer, one_of

__all__ = ["Sampled", "resampled_counts", "sampled", "uncorrelated"]

FEW = 30  # respondents, below which intervals cover too seldom


@dataclass(frozen=True)
class Sampled:
    """Correlation matrices (1 + B, k, k) of both sides, the first of all respondents.

    other : (B, k, k) of resamples of the humans as large as the simulated sample, independent of
    `human`. halves : (S, 2, k, k). worth : equal respondents that the smaller side is worth, as
    far as their noise is to be known. free : degrees of freedom of its clusters, if it has any.
    """

    items: list[str]
    human: FloatArray
    simulated: FloatArray
    other: FloatArray
    halves: FloatArray
    n: int
    worth: float
    free: float
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
    cluster: Any = None,
    strata: Any = None,
) -> Sampled:
    """All matrices that a comparison needs."""
    integer(n_boot, "n_boot", 2), integer(splits, "splits", 2)
    one_of(constant, "constant", ("zero", "skip"))
    h, s = two_sides(humans, simulated, weights, simulated_weights, paired, least, cluster, strata)
    stream = generator(rng)
    if paired:
        human, twins = _resamples([h, s], method, h.n, n_boot, stream)
    else:
        human, twins = (_resamples([a], method, a.n, n_boot, stream)[0] for a in (h, s))
    first, second = (matrices_of(a, method, a.weight[None]) for a in (h, s))
    if h.n == s.n and (
        h.strata is None or paired
    ):  # neighbouring resamples of the humans are independent of each other
        other = np.roll(human, 1, axis=0)
    else:
        other = _resamples([h], method, s.n, n_boot, stream, independent=True)[0]
    halves = np.stack([_halves(h, method, stream) for _ in range(splits)])
    notes = _notes("humans", h, first[0]) + _notes("simulated", s, second[0])
    human, twins = np.concatenate([first, human]), np.concatenate([second, twins])
    if constant == "zero":
        uncorrelated(twins)
        if s.constant:
            notes += ("simulated items that do not vary count as correlated with nothing",)
    if h.strata is not None:
        notes += cluster_notes(h.cluster, h.weight, "humans: ", h.strata)[-1:]
    worth, free = min(_sure(h), _sure(s)), min(h.free, s.free)
    return Sampled(h.items, human, twins, other, halves, h.n, worth, free, notes)


def _sure(a: Answers) -> float:
    """Independent respondents whose noise would be known as well.

    The variance of a mean of products of normal answers is known to 8 / n of its square (their
    kurtosis is 9). In sums over the n / G members of a cluster the excess is less by as much: with
    F degrees of freedom of the clusters it is 2 / F + 6 / n.
    """
    return a.worth if a.strata is None else 8 / (2 / max(a.free, 1e-9) + 6 / a.worth)


def uncorrelated(matrices: FloatArray) -> None:
    """Correlations of 0 for the items of (1 + B, k, k) that do not vary at all, in place."""
    i = np.arange(matrices.shape[1])
    flat = np.isnan(matrices[:, i, i])
    matrices[(flat[:, :, None] | flat[:, None, :]) & np.isnan(matrices)] = 0.0
    matrices[:, i, i] = 1.0


def resampled_counts(
    n: int,
    size: int,
    n_boot: int,
    stream: np.random.Generator,
    by_design: Answers | None = None,
    chance: FloatArray | None = None,
) -> Iterator[npt.NDArray[Any]]:
    """How often each of n respondents is in each resample of `size`, in parts.

    Together n_boot rows, in arrays (b, n). by_design : answers whose clusters are resampled within
    their strata, if they have any (`size` is then theirs). chance : (n,) in proportion to which
    respondents are drawn; None is equal.
    """
    step = max(CHUNK // max(n, size), 1)
    plan = None if by_design is None else by_design.strata
    for start in range(0, n_boot, step):
        b = min(step, n_boot - start)
        if by_design is not None and plan is not None:
            yield plan.resamples(b, stream)[:, by_design.cluster]
            continue
        if chance is None or np.ptp(chance) == 0:
            drawn = stream.integers(0, n, (b, size))
        else:
            drawn = stream.choice(n, (b, size), p=chance / chance.sum())
        drawn += n * np.arange(b)[:, None]
        yield np.bincount(drawn.ravel(), minlength=b * n).reshape(b, n)


def _resamples(
    sides: list[Answers],
    method: str,
    size: int,
    n_boot: int,
    stream: np.random.Generator,
    *,
    independent: bool = False,
) -> list[FloatArray]:
    """Matrices (B, k, k) of resamples of `size` respondents, the same draws on all sides.

    independent : respondents are drawn one by one, whatever clusters they are from.
    """
    plan = None if independent else sides[0]
    parts = [
        [matrices_of(a, method, a.weight * count) for a in sides]
        for count in resampled_counts(sides[0].n, size, n_boot, stream, plan)
    ]
    return [np.concatenate(side) for side in zip(*parts, strict=True)]


def _halves(a: Answers, method: str, stream: np.random.Generator) -> FloatArray:
    n = int(a.cluster.max()) + 1  # a half of the clusters, each whole
    half = np.zeros(n)
    half[stream.permutation(n)[: n // 2]] = 1.0
    first = half[a.cluster]
    return matrices_of(a, method, a.weight * np.stack([first, 1 - first]))


def _notes(who: str, a: Answers, matrix: FloatArray) -> tuple[str, ...]:
    k, n, negative = len(a.items), a.worth, repaired(matrix)[1]
    named = f" ({', '.join(a.constant[:3])}{', …' if len(a.constant) > 3 else ''})"
    notes = tuple(f"{who}: {note}" for note in a.notes)
    notes += counted(len(a.constant), k, f"items do not vary among the {who}{named}")
    undefined = int(np.isnan(off_diagonal(matrix)).sum())
    notes += counted(undefined, k * (k - 1) // 2, f"pairs of items are undefined among the {who}")
    weighted = n < a.n * (1 - 1e-9)
    size = f"as good as {n:.3g} equal respondents" if weighted else f"{a.n} respondents"
    if n < FEW:
        notes += (f"{who}: {size}; below {FEW} trust no interval",)
    elif weighted:
        notes += (f"{who}: {size}",)
    if negative:
        notes += (f"{who}: not positive semi-definite, {negative} of {k} eigenvalues below 0",)
    return notes
