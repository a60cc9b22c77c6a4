"""Whole matrices compared: eigenvalues, factors, networks of partial correlations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.respondents import percentiles
from simkit.estimators.structure.compare import OVER
from simkit.estimators.structure.correlations import off_diagonal, repaired
from simkit.estimators.structure.intervals import apart, pattern, perfect, undefined
from simkit.estimators.structure.measures import correlation_of_correlations, mean_of, rmsd
from simkit.estimators.structure.samples import sampled
from simkit.result import Result
from simkit.types import FloatArray, SeedLike

__all__ = [
    "compare_factors",
    "compare_networks",
    "loadings",
    "partial_correlations",
    "spectrum",
    "tucker_congruence",
]

SOURCE = "Tucker 1951; Schönemann 1966; Lorenzo-Seva & ten Berge 2006; floor, intervals: ours"
NETWORK = "partial correlations: Dempster 1972, Epskamp & Fried 2018; floor, intervals: ours"


def spectrum(matrix: npt.ArrayLike) -> FloatArray:
    """Eigenvalues (k,) of a correlation matrix (k, k), largest first; they sum to k.

    Items without correlations are left out (k is then smaller) and negative eigenvalues mended:
    see `repaired`.
    """
    return np.asarray(np.linalg.eigvalsh(repaired(matrix)[0])[::-1])


def loadings(matrix: npt.ArrayLike, factors: int) -> FloatArray:
    """Loadings (k, factors) of the leading principal components, eigenvector x root of eigenvalue.

    NaN rows for items without correlations. Raises ValueError for factors outside 1 to k.
    """
    whole, _, kept = _repaired(matrix)
    if not 1 <= factors <= len(whole):
        raise ValueError(f"factors is {factors}; it must be 1 to {len(whole)}, the items there are")
    value, vector = np.linalg.eigh(whole)
    order = np.argsort(value)[::-1][:factors]
    out = np.full((len(np.asarray(matrix)), factors), np.nan)
    out[kept.astype(int)] = vector[:, order] * np.sqrt(np.clip(value[order], 0, None))
    return out


def tucker_congruence(human: npt.ArrayLike, simulated: npt.ArrayLike) -> FloatArray:
    """Tucker's phi (factors,) of two loading matrices (k, factors), the second turned to the first.

    The turn is the orthogonal one with the least squared distance (Procrustes; Schönemann 1966):
    factors have no direction of their own. phi = sum x y / root(sum x^2 sum y^2) per factor; from
    0.95 factors count as equal, 0.85 to 0.94 as fairly similar (Lorenzo-Seva & ten Berge 2006).
    Items with NaN on either side are left out. The turn makes the most of chance too: compare
    with the floor of `compare_factors`. Raises ValueError for different shapes.
    """
    x, y = np.asarray(human, dtype=float), np.asarray(simulated, dtype=float)
    if x.shape != y.shape or x.ndim != 2:
        raise ValueError(
            f"loadings are {x.shape} and {y.shape}; they must be the same (k, factors)"
        )
    there = ~np.isnan(x + y).any(axis=1)
    x, y = x[there], y[there]
    u, _, v = np.linalg.svd(y.T @ x)
    y = y @ u @ v
    below = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    top = (x * y).sum(axis=0)
    return np.asarray(np.divide(top, below, out=np.full(top.shape, np.nan), where=below > 1e-12))


def partial_correlations(matrix: npt.ArrayLike, *, shrink: float = 0.02) -> FloatArray:
    """Correlations (k, k) of each pair of items with all other items held fixed.

    -inverse_ij / root(inverse_ii inverse_jj) of (1 - shrink) R + shrink I. shrink : 0 to 1, pulls
    the correlations to 0 so that an almost singular matrix can be inverted; 0 takes R as it is.
    NaN for items without correlations. Raises ValueError for a shrink outside 0 to 1, and for 0
    where the matrix is singular.
    """
    if not 0 <= shrink <= 1:
        raise ValueError(f"shrink is {shrink!r}; it must lie between 0 and 1")
    whole, _, kept = _repaired(matrix)
    whole = (1 - shrink) * whole + shrink * np.eye(len(whole))
    if np.linalg.eigvalsh(whole)[0] < 1e-10:
        raise ValueError("the matrix is singular, with shrink 0; it must be above 0")
    inverse = np.linalg.inv(whole)
    size = np.sqrt(inverse.diagonal())
    part = -inverse / np.outer(size, size)
    np.fill_diagonal(part, 1.0)
    k, at = len(np.asarray(matrix)), kept.astype(int)
    out = np.full((k, k), np.nan)
    out[np.ix_(at, at)] = part
    return out


def _repaired(matrix: npt.ArrayLike) -> tuple[FloatArray, int, FloatArray]:
    found = repaired(matrix)
    if len(found[0]) < 2:
        raise ValueError("fewer than 2 items have correlations; 2 or more must vary")
    return found


@checked("humans weights", "simulated simulated_weights", frames="humans simulated")
def compare_factors(
    humans: pd.DataFrame,
    simulated: pd.DataFrame,
    *,
    factors: int | None = None,
    method: str = "pearson",
    weights: npt.ArrayLike | None = None,
    simulated_weights: npt.ArrayLike | None = None,
    paired: bool = False,
    n_boot: int = 200,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """Eigenvalues and factors of simulated respondents against those of humans.

    Frames and keywords as in `compare_structure`. factors : how many; None for the humans'
    eigenvalues above 1.

    Rows: spectrum_rmsd (root mean squared difference of the eigenvalues in order), first_share
    (the simulated largest eigenvalue's share of all variance) and its human_first_share,
    tucker_phi[1] ... and tucker_phi (their mean). estimate : of the samples as they are; there is
    no interval, for where simulation and humans are alike these values lie at an end of their
    range and no resample covers it (low, high are NaN). std_error : deviation over resamples.
    floor, floor_low, floor_high : mean and 1 - alpha range between two resamples of the humans
    with the sizes of the two samples: what a perfect simulation would score. Simulated (one factor,
    300 and 200 people) it lay in that range in 0.82 to 0.95 of cases, not in 0.95. Raises as
    `compare_structure`.
    Source: see `tucker_congruence`.
    """
    draws = sampled(humans, simulated, method, weights, simulated_weights, paired, n_boot, 2, rng)
    m = int((spectrum(draws.human[0]) > 1).sum()) if factors is None else factors

    def measures(a: FloatArray, b: FloatArray) -> list[float]:
        one, two = spectrum(a), spectrum(b)
        size = min(len(one), len(two))
        phi = tucker_congruence(loadings(a, m), loadings(b, m))
        gap = float(rmsd(one[:size], two[:size]))
        return [gap, two[0] / len(two), one[0] / len(one), *phi, float(phi.mean())]

    names = ["spectrum_rmsd", "first_share", "human_first_share"]
    names += [*(f"tucker_phi[{i + 1}]" for i in range(m)), "tucker_phi"]
    what = f"{m} factors of {len(draws.items)} items, {method}, {n_boot} resamples"
    again = (draws.human[1:], draws.other)
    frame = _table(draws.human, draws.simulated, again, measures, names, alpha)
    frame = frame.rename(columns={"raw": "estimate"}).assign(low=np.nan, high=np.nan)
    frame = frame[["estimate", "std_error", "low", "high", "floor", "floor_low", "floor_high"]]
    notes = (
        *draws.notes,
        "no intervals: compare with the range of the floor (a perfect simulation leaves it in 5 to "
        "17 % of cases)",
    )
    return Result(what, frame, draws.n, alpha, SOURCE, notes)


@checked("humans weights", "simulated simulated_weights", frames="humans simulated")
def compare_networks(
    humans: pd.DataFrame,
    simulated: pd.DataFrame,
    *,
    edge: float = 0.1,
    shrink: float = 0.02,
    method: str = "pearson",
    weights: npt.ArrayLike | None = None,
    simulated_weights: npt.ArrayLike | None = None,
    paired: bool = False,
    n_boot: int = 200,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """Networks of partial correlations of simulated respondents against those of humans.

    Frames and keywords as in `compare_structure`, shrink as in `partial_correlations`.
    edge : a partial correlation of at least this size, either sign, is an edge.

    Rows: partial_rmsd, partial_correlation (of the partial correlations), edges_kept (share of
    the humans' edges that the simulation has with the same sign; NaN if they have none) and
    edges_invented (share of the simulation's edges that the humans lack; NaN if none). estimate,
    low, high : of the populations, as in `compare_structure`, for the first two; NaN for the edges,
    for a partial correlation near the line of an edge is on either side of it by chance; NaN where
    `compare_structure` has none. raw : of the samples as they are; floor as in `compare_structure`.
    Simulated (one factor, 300 a side) 95 % intervals cover in 0.90 to 0.98 of cases, at the end of
    a scale (partial_rmsd of 0, a correlation of 1) in 0.95 to 1.00. Raises as those two.
    """
    if not 0 < edge < 1:
        raise ValueError(f"edge is {edge!r}; it must lie between 0 and 1")
    draws = sampled(humans, simulated, method, weights, simulated_weights, paired, n_boot, 2, rng)

    def parts(matrices: FloatArray) -> FloatArray:
        return np.stack([off_diagonal(partial_correlations(m, shrink=shrink)) for m in matrices])

    def measures(x: FloatArray, y: FloatArray) -> list[float]:
        mine, theirs = (np.where(np.abs(v) >= edge, np.sign(v), 0) for v in (x, y))
        same = (mine == theirs) & (mine != 0)
        sizes = [(v != 0).sum() for v in (mine, theirs)]
        kept, known = (same.sum() / n if n else np.nan for n in sizes)
        return [float(rmsd(x, y)), float(correlation_of_correlations(x, y)), kept, 1 - known]

    names = ["partial_rmsd", "partial_correlation", "edges_kept", "edges_invented"]
    human, simulated_, other = (parts(m) for m in (draws.human, draws.simulated, draws.other))
    frame = _table(human, simulated_, perfect(human, other), measures, names, alpha)
    sides = (human, simulated_, draws.worth, alpha)
    ends = [apart(*sides), pattern(*sides, paired)]
    known = pd.DataFrame(ends, index=pd.Index(names[:2])).reindex(names)
    frame = pd.concat([known, frame.drop(columns="std_error")], axis=1)
    what = f"Network of {len(draws.items)} items, edges from {edge:g}, {method}, {n_boot} resamples"
    lost = known["low"].isna() & frame["raw"].notna()
    measured = zip(names, (rmsd, correlation_of_correlations), strict=False)
    still = [undefined(name, f(human[1:], simulated_[1:])) for name, f in measured if lost[name]]
    notes = (*draws.notes, *still, "edges: raw is of samples of this size; they have no interval")
    return Result(what, frame, draws.n, alpha, NETWORK, notes, OVER)


def _table(
    human: FloatArray,
    simulated: FloatArray,
    again: tuple[FloatArray, FloatArray],
    measures: Callable[[FloatArray, FloatArray], list[float]],
    names: list[str],
    alpha: float,
) -> pd.DataFrame:
    """Measures of both sides as they are, their deviation over resamples, and their floor.

    human, simulated : (1 + B, ...), of the samples, then of resamples. again : (B, ...) of two
    samples of one population.
    """
    found = np.array([measures(a, b) for a, b in zip(human, simulated, strict=True)])
    floor = np.array([measures(a, b) for a, b in zip(*again, strict=True)])
    rows = []
    for at, column, best in zip(found[0], found[1:].T, floor.T, strict=True):
        _, low, high = percentiles(best, alpha)
        rows.append((at, percentiles(column, alpha)[0], float(mean_of(best)), low, high))
    columns = ["raw", "std_error", "floor", "floor_low", "floor_high"]
    return pd.DataFrame(rows, columns=columns, index=pd.Index(names)).astype(float)
