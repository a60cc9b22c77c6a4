"""Whole matrices compared: eigenvalues, factors, networks of partial correlations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.shared.arguments import checked, share
from simkit.estimators.shared.respondents import percentiles
from simkit.estimators.shared.strata import WITHIN
from simkit.estimators.structure.compare import FLOOR, OVER
from simkit.estimators.structure.correlations import mean_of, off_diagonal, repaired
from simkit.estimators.structure.intervals import apart, pattern, perfect, undefined
from simkit.estimators.structure.measures import correlation_of_correlations, rmsd
from simkit.estimators.structure.samples import sampled
from simkit.result import REQUIRED, Result
from simkit.types import FloatArray, IntArray, SeedLike, integer, scalar

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
    whole, rows = _repaired(matrix)
    integer(factors, "factors", 1, len(whole))
    value, vector = np.linalg.eigh(whole)
    order = np.argsort(value)[::-1][:factors]
    out = np.full((len(np.asarray(matrix)), factors), np.nan)
    out[rows] = vector[:, order] * np.sqrt(np.clip(value[order], 0, None))
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
    both = ~np.isnan(x + y).any(axis=1)
    x, y = x[both], y[both]
    u, _, v = np.linalg.svd(y.T @ x)
    y = y @ u @ v
    size = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    return np.asarray((x * y).sum(axis=0) / np.where(size > 1e-12, size, np.nan))


def partial_correlations(matrix: npt.ArrayLike, *, shrink: float = 0.02) -> FloatArray:
    """Correlations (k, k) of each pair of items with all other items held fixed.

    -inverse_ij / root(inverse_ii inverse_jj) of (1 - shrink) R + shrink I. shrink : 0 to 1, pulls
    the correlations to 0 so that an almost singular matrix can be inverted; 0 takes R as it is.
    NaN for items without correlations. Raises ValueError for a shrink outside 0 to 1, and for 0
    where the matrix is singular.
    """
    scalar(shrink, "shrink", 0, 1)
    whole, rows = _repaired(matrix)
    whole = (1 - shrink) * whole + shrink * np.eye(len(whole))
    if np.linalg.eigvalsh(whole)[0] < 1e-10:
        raise ValueError("the matrix is singular, with shrink 0; it must be above 0")
    inverse = np.linalg.inv(whole)
    size = np.sqrt(inverse.diagonal())
    part = -inverse / np.outer(size, size)
    np.fill_diagonal(part, 1.0)
    out = np.full(np.shape(matrix), np.nan)
    out[np.ix_(rows, rows)] = part
    return out


def _repaired(matrix: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
    whole, _, rows = repaired(matrix)
    if len(whole) < 2:
        raise ValueError("fewer than 2 items have correlations; 2 or more must vary")
    return whole, rows


@checked("humans weights cluster strata", "simulated simulated_weights", frames="humans simulated")
def compare_factors(
    humans: pd.DataFrame,
    simulated: pd.DataFrame,
    *,
    factors: int | None = None,
    method: str = "pearson",
    weights: npt.ArrayLike | None = None,
    simulated_weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    strata: Any = None,
    paired: bool = False,
    n_boot: int = 200,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """Eigenvalues and factors of simulated respondents against those of humans.

    Parameters
    ----------
    humans, simulated : DataFrame
        As in :func:`compare_structure`.
    factors : int, optional
        How many factors; by default as many as eigenvalues of the humans are above 1.
    method, weights, simulated_weights, cluster, strata, paired, n_boot, alpha, rng
        As in :func:`compare_structure`.

    Returns
    -------
    Result
        Rows spectrum_rmsd (root mean squared difference of the eigenvalues in order), first_share
        (the simulated largest eigenvalue's share of all variance) and its human_first_share,
        tucker_phi[1] ... and tucker_phi (their mean). estimate is of the samples as they are,
        std_error the deviation over resamples. floor, floor_low and floor_high are mean and
        1 - alpha range between two resamples of the humans with the sizes of the two samples: what
        a perfect simulation would score. low and high are NaN.

    Raises
    ------
    ValueError
        For factors outside 1 to the number of items, and as :func:`compare_structure`.

    Notes
    -----
    There is no interval: where simulation and humans are alike these values lie at an end of their
    range, and no resample covers it. By simulation (one factor, 300 and 200 people) a perfect
    simulation lay in the range of the floor in 0.82 to 0.95 of cases, not in 0.95.

    References
    ----------
    Tucker (1951); Schönemann (1966); Lorenzo-Seva & ten Berge (2006).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> trait = rng.normal(size=(2, 300, 1))
    >>> humans = pd.DataFrame(rng.normal(size=(300, 4)) + trait[0], columns=list("abcd"))
    >>> model = pd.DataFrame(rng.normal(size=(300, 4)) + 0.6 * trait[1], columns=list("abcd"))
    >>> result = compare_factors(humans, model, n_boot=20)
    >>> result.frame[["estimate", "floor", "floor_high"]].round(2)
                       estimate  floor  floor_high
    spectrum_rmsd          0.52   0.05        0.09
    first_share            0.42   0.64        0.68
    human_first_share      0.65   0.64        0.68
    tucker_phi[1]          1.00   1.00        1.00
    tucker_phi             1.00   1.00        1.00
    """
    draws = sampled(humans, simulated, method, weights, simulated_weights, paired, n_boot, 2, rng,
                    cluster=cluster, strata=strata)  # fmt: skip
    m = int((spectrum(draws.human[0]) > 1).sum()) if factors is None else factors

    def measures(a: FloatArray, b: FloatArray) -> list[float]:
        one, two = spectrum(a), spectrum(b)
        size = min(len(one), len(two))
        phi = tucker_congruence(loadings(a, m), loadings(b, m))
        distance = float(rmsd(one[:size], two[:size]))
        return [distance, two[0] / len(two), one[0] / len(one), *phi, float(phi.mean())]

    names = ["spectrum_rmsd", "first_share", "human_first_share"]
    names += [*(f"tucker_phi[{i + 1}]" for i in range(m)), "tucker_phi"]
    again = (draws.human[1:], draws.other)
    frame = _table(draws.human, draws.simulated, again, measures, names, alpha)
    frame = frame.rename(columns={"raw": "estimate"}).assign(low=np.nan, high=np.nan)
    notes = (
        *draws.notes,
        "no intervals: compare with the range of the floor (a perfect simulation leaves it in 5 to "
        "17 % of cases)",
    )
    what = f"{m} factors of {len(draws.items)} items, {method}, {n_boot} resamples"
    return Result(what, frame[[*REQUIRED, *FLOOR]], draws.n, alpha, SOURCE, notes)


@checked(
    "humans weights cluster strata",
    "simulated simulated_weights",
    frames="humans simulated",
    edge=share,
)
def compare_networks(
    humans: pd.DataFrame,
    simulated: pd.DataFrame,
    *,
    edge: float = 0.1,
    shrink: float = 0.02,
    method: str = "pearson",
    weights: npt.ArrayLike | None = None,
    simulated_weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    strata: Any = None,
    paired: bool = False,
    n_boot: int = 200,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """Networks of partial correlations of simulated respondents against those of humans.

    Parameters
    ----------
    humans, simulated : DataFrame
        As in :func:`compare_structure`.
    edge : float
        A partial correlation of at least this size, of either sign, is an edge.
    shrink : float
        0 to 1, pulls the correlations to 0 so that an almost singular matrix can be inverted.
    method, weights, simulated_weights, cluster, strata, paired, n_boot, alpha, rng
        As in :func:`compare_structure`.

    Returns
    -------
    Result
        Rows partial_rmsd, partial_correlation (of the partial correlations), edges_kept (share of
        the humans' edges that the simulation has with the same sign; NaN if they have none) and
        edges_invented (share of the simulation's edges that the humans lack; NaN if none).
        estimate, low and high are of the populations, as in :func:`compare_structure`, for the
        first two rows. They are NaN for the edges: a partial correlation near the line of an edge
        is on either side of it by chance. raw is of the samples as they are; floor as in
        :func:`compare_structure`.

    Raises
    ------
    ValueError
        For an edge or shrink outside 0 to 1, a singular matrix with shrink 0, and as
        :func:`compare_structure`.

    Notes
    -----
    By simulation (one factor, 300 a side) 95 % intervals cover in 0.90 to 0.98 of cases, at the
    end of a scale (partial_rmsd of 0, a correlation of 1) in 0.95 to 1.00.

    References
    ----------
    Dempster (1972); Epskamp & Fried (2018).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> trait = rng.normal(size=(2, 300, 1))
    >>> humans = pd.DataFrame(rng.normal(size=(300, 4)) + trait[0], columns=list("abcd"))
    >>> model = pd.DataFrame(rng.normal(size=(300, 4)) + 0.6 * trait[1], columns=list("abcd"))
    >>> compare_networks(humans, model, n_boot=20).frame[["estimate", "raw", "floor"]].round(2)
                         estimate   raw  floor
    partial_rmsd             0.09  0.11   0.06
    partial_correlation       NaN  0.44   0.23
    edges_kept                NaN  0.83   1.00
    edges_invented            NaN  0.00   0.00
    """
    draws = sampled(humans, simulated, method, weights, simulated_weights, paired, n_boot, 2, rng,
                    cluster=cluster, strata=strata)  # fmt: skip

    def measures(x: FloatArray, y: FloatArray) -> list[float]:
        first, second = (np.where(np.abs(v) >= edge, np.sign(v), 0) for v in (x, y))
        same = ((first == second) & (first != 0)).sum()
        n, m = np.count_nonzero(first), np.count_nonzero(second)
        shares = [same / n if n else np.nan, 1 - same / m if m else np.nan]
        return [float(rmsd(x, y)), float(correlation_of_correlations(x, y)), *shares]

    names = ["partial_rmsd", "partial_correlation", "edges_kept", "edges_invented"]
    h, s, other = (
        np.stack([off_diagonal(partial_correlations(m, shrink=shrink)) for m in matrices])
        for matrices in (draws.human, draws.simulated, draws.other)
    )
    frame = _table(h, s, perfect(h, other), measures, names, alpha).drop(columns="std_error")
    ends = [apart(h, s, draws.worth, alpha), pattern(h, s, draws.worth, alpha, paired)]
    frame = pd.DataFrame(ends, index=pd.Index(names[:2])).reindex(names).join(frame)
    populations = {names[0]: rmsd, names[1]: correlation_of_correlations}
    notes = draws.notes + undefined(frame, populations, h, s)
    notes += ("edges: raw is of samples of this size; they have no interval",)
    what = f"Network of {len(draws.items)} items, edges from {edge:g}, {method}, {n_boot} resamples"
    return Result(
        what, frame, draws.n, alpha, NETWORK, notes, OVER if strata is None else OVER + WITHIN
    )


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
    (raw, *resampled), floors = (
        [measures(a, b) for a, b in zip(*sides, strict=True)]
        for sides in ((human, simulated), again)
    )
    rows = [
        (
            value,
            percentiles(values, alpha)[0],
            float(mean_of(floor)),
            *percentiles(floor, alpha)[1:],
        )
        for value, values, floor in zip(raw, np.array(resampled).T, np.array(floors).T, strict=True)
    ]
    columns = ["raw", "std_error", *FLOOR]
    return pd.DataFrame(rows, columns=columns, index=pd.Index(names)).astype(float)
