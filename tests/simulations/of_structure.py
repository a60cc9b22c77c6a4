"""Correlation structure: `compare_structure` and its like, Mantel's test, cells, group means."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

import simkit.estimators as est
from simkit.types import FloatArray
from tests.simulations.case import Case

K = 6
PAIRS = np.triu_indices(K, 1)
END = "the truth is at the end of the scale, so the interval misses on one side only"
SLANT = "the direction in which correlations differ is itself uncertain"
FEW = "few respondents: the variance of a correlation is itself uncertain"


def _factor(loads: list[float]) -> FloatArray:
    m = np.outer(loads, loads)
    np.fill_diagonal(m, 1.0)
    return m


HUMAN = _factor([0.8, 0.7, 0.6, -0.5, 0.4, 0.3])
SIDES = {
    "the same": HUMAN,
    "other": _factor([0.3, 0.5, 0.6, 0.5, -0.2, 0.4]),
    "near": _factor([0.5, 0.6, 0.2, -0.2, 0.5, 0.4]),
    "nothing": np.eye(K),
}


def _people(m: FloatArray, n: int, rng: np.random.Generator, cut: bool = False) -> pd.DataFrame:
    """Normal answers of these correlations, or their signs and sizes cut to five categories."""
    x = rng.standard_normal((n, K)) @ np.linalg.cholesky(m + 1e-12 * np.eye(K)).T
    x = np.clip(np.round(x), -2, 2) if cut else x
    return pd.DataFrame(x, columns=[f"item {j}" for j in range(K)])


def _partial(m: FloatArray, shrink: float = 0.02) -> FloatArray:
    inverse = np.linalg.inv((1 - shrink) * m + shrink * np.eye(K))
    size = np.sqrt(inverse.diagonal())
    return np.asarray(-inverse / np.outer(size, size))


def _truth(row: str, human: FloatArray, other: FloatArray) -> float:
    if row.startswith("partial"):
        human, other = _partial(human), _partial(other)
    h, s = human[PAIRS], other[PAIRS]
    if row in ("rmsd", "partial_rmsd"):
        return float(np.sqrt(((h - s) ** 2).mean()))
    if row == "structure_kept":
        return float((h * s).sum() / (h * h).sum())
    return float(np.corrcoef(h, s)[0, 1])


def _held(frame: pd.DataFrame, row: str, truth: float) -> bool | None:
    low, high = frame.loc[row, ["low", "high"]].astype(float)
    return None if np.isnan(low) else bool(low - 1e-9 <= truth <= high + 1e-9)


def _structure(
    row: str, side: str, n: int, m: int, promise: tuple[float, float] | None = None, why: str = "",
    name: str = "compare_structure",
) -> Case:  # fmt: skip
    truth = _truth(row, HUMAN, SIDES[side])
    more = {"n_boot": 60, "splits": 2, "permutations": 1}
    more = more if name == "compare_structure" else {"n_boot": 30}

    def repetition(rng: np.random.Generator) -> bool | None:
        sides = _people(HUMAN, n, rng), _people(SIDES[side], m, rng)
        found = getattr(est, name)(*sides, rng=int(rng.integers(2**31)), **more)
        return _held(found.frame, row, truth)

    design = f"{n} humans, {m} simulated, {side} ({truth:.2f})"
    return Case(name, f"{row}, interval", design, repetition, "coverage", promise, why, 600)


def _paired(row: str, n: int, promise: tuple[float, float] | None = None, why: str = "") -> Case:
    """Each simulated answer is half the person's and half noise, so correlations are halved."""
    half = 0.5 * HUMAN + 0.5 * np.eye(K)
    truth = _truth(row, HUMAN, half)

    def repetition(rng: np.random.Generator) -> bool | None:
        x = _people(HUMAN, n, rng)
        y = np.sqrt(0.5) * (x + rng.standard_normal(x.shape))
        seed = int(rng.integers(2**31))
        found = est.compare_structure(
            x, y, paired=True, n_boot=60, splits=2, permutations=1, rng=seed
        )
        return _held(found.frame, row, truth)

    design = f"{n} people and their simulations, correlations halved ({truth:.2f})"
    return Case("compare_structure", f"{row}, interval", design, repetition, "coverage", promise,
                why, 600)  # fmt: skip


def _categories(row: str, method: Literal["pearson", "spearman"], n: int) -> Case:
    """Answers in five categories; the truth from samples of 300,000."""
    truth: list[float] = []

    def repetition(rng: np.random.Generator) -> bool | None:
        if not truth:
            far = np.random.default_rng(0)
            big = (_people(m, 300_000, far, cut=True) for m in (HUMAN, SIDES["near"]))
            truth.append(_truth(row, *(x.corr(method=method).to_numpy() for x in big)))
        sides = (_people(m, n, rng, cut=True) for m in (HUMAN, SIDES["near"]))
        found = est.compare_structure(
            *sides, method=method, n_boot=40, splits=2, permutations=1,
            rng=int(rng.integers(2**31)),
        )  # fmt: skip
        return _held(found.frame, row, truth[0])

    design = f"{n} humans, {n} simulated, near, five categories, {method}"
    return Case("compare_structure", f"{row}, interval", design, repetition, repetitions=600)


def _weighted(row: str, n: int) -> Case:
    """Weights of 1, 2 and 12 that have nothing to do with the answers."""
    truth = _truth(row, HUMAN, SIDES["near"])

    def repetition(rng: np.random.Generator) -> bool | None:
        sides = _people(HUMAN, n, rng), _people(SIDES["near"], n, rng)
        weights = rng.choice([1.0, 2.0, 12.0], n)
        seed = int(rng.integers(2**31))
        found = est.compare_structure(
            *sides, weights=weights, n_boot=60, splits=2, permutations=1, rng=seed
        )
        return _held(found.frame, row, truth)

    design = f"{n} humans with weights 1:2:12, {n} simulated, near ({truth:.2f})"
    return Case("compare_structure", f"{row}, interval", design, repetition, "coverage",
                (0.9, 0.98), SLANT, 600)  # fmt: skip


def _floor(
    name: str, row: str, n: int, m: int, promise: tuple[float, float] | None = None, why: str = ""
) -> Case:
    """How often a perfect simulation scores within the range of the floor."""
    more = {"n_boot": 60, "splits": 2, "permutations": 1}
    more = more if name == "compare_structure" else {"n_boot": 60, "factors": 1}

    def repetition(rng: np.random.Generator) -> bool | None:
        sides = _people(HUMAN, n, rng, cut=True), _people(HUMAN, m, rng, cut=True)
        found = getattr(est, name)(*sides, rng=int(rng.integers(2**31)), **more)
        at = found[row]
        if np.isnan(at["floor_low"]):
            return None
        score = at["raw" if name == "compare_structure" else "estimate"]
        return bool(at["floor_low"] <= score <= at["floor_high"])

    design = f"{n} humans, {m} simulated, the same, five categories"
    return Case(name, f"{row}, floor_low to floor_high", design, repetition, "coverage", promise,
                why, 600)  # fmt: skip


def _mantel(items: int, n: int) -> Case:
    def repetition(rng: np.random.Generator) -> bool:
        two = (np.corrcoef(rng.standard_normal((n, items)), rowvar=False) for _ in range(2))
        p = est.mantel_test(*two, permutations=59, rng=int(rng.integers(2**31)))[1]
        return bool(p <= 0.05)

    design = f"{items} items, {n} people, nothing in common"
    return Case("mantel_test", "p", design, repetition, "size")


def _cells(rng: np.random.Generator, cells: int) -> tuple[FloatArray, FloatArray]:
    """Cells that differ along one line; the simulation exaggerates less, with noise of its own."""
    line = rng.standard_normal((cells, 1)) * np.linspace(-1, 1, 4)
    first = 0.7 * line + 0.3 * rng.standard_normal((cells, 4))
    second = 0.6 * first + 0.3 * rng.standard_normal((cells, 4)) + 0.2 * np.linspace(-1, 1, 4)
    both = (np.exp(u) / np.exp(u).sum(axis=1, keepdims=True) for u in (first, second))
    one, two = both
    return one, two


def _fidelity(row: str, cells: int, promise: tuple[float, float] | None, why: str) -> Case:
    truth: dict[str, float] = {}

    def repetition(rng: np.random.Generator) -> bool | None:
        if not truth:  # the mean over large populations of cells
            far = np.random.default_rng(0)
            big = [est.population_fidelity(*_cells(far, 500), n_boot=2).frame for _ in range(8)]
            truth.update(sum(f["estimate"] for f in big) / len(big))
        found = est.population_fidelity(
            *_cells(rng, cells), n_boot=40, rng=int(rng.integers(2**31))
        )
        return _held(found.frame, row, truth[row])

    return Case("population_fidelity", f"{row}, interval", f"{cells} cells", repetition,
                "coverage", promise, why, 300)  # fmt: skip


LOADS = np.array([[0.8, 0.1], [0.6, -0.3], [0.5, 0.5], [-0.5, 0.4], [0.2, 0.7], [0.1, -0.6]])
MOVED = np.array([[0, 0.5], [0.2, 0.6], [-0.3, 0], [0, -0.5], [0.6, -0.4], [0.4, 0.5]])
TEN = {f"group {g}": g for g in range(10)}


def _members(n: int, rng: np.random.Generator, loads: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Answers (n, 6), and who is in which of ten groups that overlap (n, 10)."""
    trait = rng.random((n, 5)) < [0.5, 0.4, 0.3, 0.5, 0.25]
    weights = [[0.8, 0], [-0.6, -0.5], [0.5, 0], [0, 0.7], [0, 0.8]]
    x = trait @ np.array(weights) @ loads.T + rng.standard_normal((n, K))
    return x, np.concatenate([trait, ~trait], axis=1)


def _between(x: FloatArray, member: FloatArray) -> FloatArray:
    means = np.array([x[member[:, g]].mean(axis=0) for g in range(10)])
    return np.asarray(np.corrcoef(means, rowvar=False)[PAIRS])


def _groups(row: str, n: int, moved: bool, promise: tuple[float, float], why: str) -> Case:
    other = LOADS + MOVED * moved
    truth: list[float] = []

    def sides(rng: np.random.Generator, loads: FloatArray) -> dict[str, pd.DataFrame]:
        x, member = _members(n, rng, loads)
        frame = pd.DataFrame(x, columns=[f"item {j}" for j in range(K)])
        return {g: frame[member[:, k]] for g, k in TEN.items()}

    def repetition(rng: np.random.Generator) -> bool | None:
        if not truth:
            far = np.random.default_rng(0)
            h, s = (_between(*_members(200_000, far, load)) for load in (LOADS, other))
            gap = float(np.sqrt(((h - s) ** 2).mean())) if moved else 0.0
            truth.append(gap if row == "rmse" else float(np.corrcoef(h, s)[0, 1]))
        scales = {f"item {j}": (-5.0, 5.0) for j in range(K)}
        found = est.subgroup_structure(
            sides(rng, LOADS), sides(rng, other), scales, n_boot=40, splits=1,
            rng=int(rng.integers(2**31)),
        )  # fmt: skip
        return _held(found.frame, row, truth[0])

    design = f"{n} people, ten groups, {'other' if moved else 'the same'} structure"
    return Case("subgroup_structure", f"{row}, interval", design, repetition, "coverage", promise,
                why, 300)  # fmt: skip


SMALL = "means of few members are noisy, which draws their correlations to 0"
PARTS = "a part near the end of its scale"
CASES = [
    *(
        _structure("rmsd", side, n, m, promise, why)
        for n, m, side, promise, why in (
            (1000, 1000, "the same", (0.95, 1.0), END), (1000, 1000, "near", None, ""),
            (1000, 1000, "nothing", None, ""), (200, 300, "near", None, ""),
            (200, 300, "other", None, ""), (50, 50, "nothing", (0.92, 0.98), FEW),
        )
    ),
    *(
        _structure("correlation_of_correlations", side, n, m, promise, why)
        for n, m, side, promise, why in (
            (1000, 1000, "the same", (0.95, 1.0), END), (1000, 1000, "near", None, ""),
            (1000, 1000, "other", None, ""), (200, 300, "other", (0.93, 0.99), FEW),
        )
    ),
    *(
        _structure("structure_kept", side, n, m, promise, why)
        for n, m, side, promise, why in (
            (1000, 1000, "the same", None, ""), (1000, 1000, "nothing", None, ""),
            (200, 300, "near", None, ""), (200, 300, "nothing", (0.93, 0.98), FEW),
            (50, 50, "the same", (0.92, 0.98), FEW), (50, 50, "nothing", (0.93, 0.99), FEW),
        )
    ),
    _paired("rmsd", 600, (0.9, 0.97), SLANT),
    _paired("structure_kept", 100),
    _paired("structure_kept", 600),
    _categories("rmsd", "pearson", 500),
    _categories("rmsd", "spearman", 500),
    _categories("structure_kept", "spearman", 500),
    _weighted("rmsd", 600),
    _weighted("structure_kept", 600),
    _floor("compare_structure", "rmsd", 300, 200),
    _floor("compare_structure", "correlation_of_correlations", 300, 200),
    _floor("compare_structure", "structure_kept", 300, 200, (0.85, 0.95),
           "the humans' own sampling error is in their size"),
    _floor("compare_factors", "spectrum_rmsd", 300, 200, (0.88, 0.97), "resamples of a sample"),
    _floor("compare_factors", "first_share", 300, 200, (0.75, 0.95), "resamples of a sample"),
    *(
        _structure(row, side, 300, 300, promise, why, "compare_networks")
        for row, side, promise, why in (
            ("partial_rmsd", "the same", (0.95, 1.0), END),
            ("partial_rmsd", "nothing", (0.9, 0.98), FEW),
            ("partial_correlation", "the same", (0.93, 1.0), END),
        )
    ),
    _mantel(6, 60),
    _mantel(10, 60),
    *(
        _fidelity(row, cells, promise, why)
        for row, cells, promise, why in (
            ("accuracy", 6, (0.86, 0.97), "few cells"), ("accuracy", 30, None, ""),
            ("adaptability", 13, (0.93, 1.0), PARTS), ("structure", 13, (0.91, 0.99), PARTS),
            ("pfs", 13, (0.93, 0.99), PARTS), ("pfs", 30, (0.93, 0.99), PARTS),
        )
    ),
    _groups("rmse", 1000, True, (0.84, 0.97), SMALL),
    _groups("rmse", 300, True, (0.75, 0.97), SMALL),
    _groups("rmse", 1000, False, (0.93, 1.0), END),
    _groups("pearson_r", 1000, True, (0.9, 0.98), SMALL),
]  # fmt: skip
