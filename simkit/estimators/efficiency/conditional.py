"""Conditional logit of choices or beliefs over priced alternatives, fitted as fractions.

Utility of alternative k at prices p: u_k = a_k + beta p_k; the last alternative has a = 0, and
u = 0 if it has no price (the outside option). Shares are softmax(u) (McFadden 1974). Choices are
one-hot rows, beliefs rows of probabilities: both are fitted by the multinomial quasi-likelihood
sum_i w_i sum_k y_ik log P_ik, whose estimates need the means to be right only (Papke & Wooldridge
1996 for two alternatives, Mullahy 2015 for several). statsmodels' MNLogit takes neither fractions
nor one price coefficient for all alternatives, hence the steps of
`simkit.estimators.shared.newton`.

Shared arguments
----------------
shares : (n, K) choice (one-hot) or belief of n runs, a DataFrame with the alternatives as columns
    or an array; or (n,) P(buy), which stands for the alternatives ("buy", "none"). Incomplete rows
    are skipped and counted.
price : (n, J) prices of the first J alternatives, in any one currency unit; J = K, or K - 1 if the
    last is the outside option. (n,) if J = 1.
weights : (n,) non-negative. cluster : (n,) labels; None makes every run its own cluster.
condition : (n,) labels: the runs are draws within these conditions (the price cells of a design),
    which are not a sample themselves. Variances are then taken within conditions; without, a
    model that does not fit the conditions exactly adds its misfit to the variance. Clusters must
    lie within conditions.
interval : "delta" (t on the effective number of clusters, 1 / sum of squared shares of the
    weight, less 1 in each condition; covariance CV3L, the linearised delete-one-cluster jackknife
    of arXiv 2406.00650, or with conditions the sandwich with the score's variance within them) or
    "bootstrap" (the same t with the deviation over `n_boot` resamples of n - 1 of n clusters,
    within conditions, drawn from `rng`: Rao & Wu 1988; no percentiles: they covered 0.91 to 0.92).
Undefined: where the shares separate (an alternative never chosen) there is no fit: all NaN.
Raises ValueError for bad values, naming the row, and for prices that do not identify the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.clustering import FEW
from simkit.estimators.shared.copies import believed, merge_copies
from simkit.estimators.shared.means import SUN_ZHANG
from simkit.estimators.shared.newton import information, newton
from simkit.estimators.shared.rows import optional_labels, run_matrix, split_rows
from simkit.result import Result, jackknife, t_frame
from simkit.types import (
    FloatArray,
    IntArray,
    SeedLike,
    column,
    counted,
    generator,
    numbers,
    usable_rows,
)

__all__ = ["LogitFit", "conditional_logit", "fit_logit", "summarise"]

MCFADDEN = "conditional logit: McFadden 1974; fractions: Papke & Wooldridge 1996, Mullahy 2015"
CHUNK = 4_000_000
DUST = 1e-8  # of utility: a price that moves it by less over its range moves nothing


@dataclass(frozen=True)
class LogitFit:
    """beta : (P,) constants of all but the last alternative, then the price. cov : (P, P).

    replicates : (n_boot, P) bootstrap estimates, none if intervals are by the delta method.
    prices : (C, J) distinct price rows; share : (C,) weights of those, summing to 1.
    """

    alternatives: list[str]
    beta: FloatArray
    cov: FloatArray
    df: float
    replicates: FloatArray
    prices: FloatArray
    share: FloatArray
    n: int
    alpha: float
    notes: tuple[str, ...]
    over: str

    @property
    def priced(self) -> list[str]:
        """The alternatives that have a price."""
        return self.alternatives[: self.prices.shape[1]]


@checked("shares price weights condition cluster", columns="shares")
def conditional_logit(
    shares: Any = "belief",
    price: npt.ArrayLike | pd.DataFrame = "price",
    *,
    weights: npt.ArrayLike | None = None,
    condition: Any = None,
    cluster: Any = None,
    interval: str = "delta",
    n_boot: int = 500,
    alpha: float = 0.05,
    rng: SeedLike = 0,
    data: pd.DataFrame | None = None,
) -> Result:
    """Coefficients of the conditional logit: a constant per alternative but the last, and price.

    Quantities: const[alternative], price (utility per unit of price; negative for demand that
    falls). With two alternatives, one of them outside, it is the fractional logit that
    price_coefficient fits. Arguments, intervals and what is undefined: see the module.
    """
    fit = fit_logit(shares, price, weights, condition, cluster, interval, n_boot, alpha, rng)
    names = [*(f"const[{a}]" for a in fit.alternatives[:-1]), "price"]
    return summarise(fit, "Conditional logit", names, lambda beta: beta)


def fit_logit(
    shares: Any,
    price: Any,
    weights: Any,
    condition: Any,
    cluster: Any,
    interval: str,
    n_boot: int,
    alpha: float,
    rng: SeedLike,
) -> LogitFit:
    """The fit that every function of the conditional logit starts from."""
    if interval not in ("delta", "bootstrap"):
        raise ValueError(f"interval is {interval!r}; legal are 'delta' and 'bootstrap'")
    y, alternatives = _shares(shares)
    p = _prices(price, len(y), alternatives)
    used = usable_rows(y.sum(axis=1), weights, cluster)
    given = optional_labels(condition, "condition", len(y))[0]
    if cluster is not None:  # runs that agree are draws of their own; clusters of prompts are not
        used = merge_copies(used, np.asarray(believed(y).any(axis=1)), y, p, given)
    k, w, code = used.kept, used.weight[used.kept], used.cluster[used.kept]
    stratum = np.unique(given[k], return_inverse=True)[1]
    clusters, nested = _nested(code, stratum)
    cells, cell = np.unique(p[k], axis=0, return_inverse=True)
    design = _design(cells, len(alternatives))
    mass = np.bincount(cell, w).astype(float)
    total = np.zeros((len(cells), len(alternatives)))
    np.add.at(total, cell, w[:, None] * y[k])
    beta = newton(design, mass, total)
    notes = used.notes
    fitted = special.softmax(design @ beta, axis=-1)
    if not mass @ (fitted * (1 - fitted)).sum(axis=1) > 1e-8 * mass.sum():
        beta = np.full_like(beta, np.nan)
    if np.isnan(beta).any():
        notes += ("no logit: an alternative is never or always chosen, or prices separate",)
    weight, home = np.bincount(code, w), np.zeros(clusters, dtype=np.int64)
    home[code] = stratum
    total_w = np.bincount(home, weight)
    units = total_w**2 / np.bincount(home, weight**2)  # effective number, by stratum
    free = max(float((units - 1).sum()), 1.0)
    if cluster is not None and condition is None and units[0] < FEW - 1e-6:
        notes += (f"{units[0]:.1f} effective clusters: below {FEW} no interval is to be trusted",)
    over = "runs" if cluster is None else used.over
    over += "" if condition is None else " of these conditions"
    notes += ("a condition has one cluster: no interval",) if nested.min() < 2 else ()
    cov, replicates = np.full((beta.size, beta.size), np.nan), np.zeros((0, beta.size))
    if nested.min() > 1 and not np.isnan(beta).any():
        cov = _covariance(design, mass, beta, w, y[k], cell, code, stratum)
        if interval == "bootstrap":
            rows = (w, y[k], cell, code, stratum)
            replicates = _bootstrap(design, rows, n_boot, generator(rng))
            lost = int(np.isnan(replicates).any(axis=1).sum())
            notes += counted(lost, n_boot, "resamples have no fit")
    share = mass / mass.sum()
    return LogitFit(
        alternatives, beta, cov, free, replicates, cells, share, len(k), alpha, notes, over
    )  # fmt: skip


def sloped(fit: LogitFit) -> LogitFit:
    """The fit; all NaN where the price moves nothing, for then no ratio to its effect exists."""
    if not abs(fit.beta[-1]) * np.ptp(fit.prices) <= DUST:
        return fit
    note = "the price moves nothing: what would be divided by its effect is undefined"
    nothing = [np.full_like(x, np.nan) for x in (fit.beta, fit.cov, fit.replicates)]
    return replace(
        fit, beta=nothing[0], cov=nothing[1], replicates=nothing[2], notes=(*fit.notes, note)
    )


def summarise(
    fit: LogitFit,
    method: str,
    names: list[str],
    function: Callable[[FloatArray], FloatArray],
    scale: tuple[Callable[[FloatArray], FloatArray], Callable[[FloatArray], FloatArray]]
    | None = None,
) -> Result:
    """A smooth function of the coefficients, (..., P) to (..., Q), with its intervals.

    The delta method's gradient is by central differences (errors near 1e-9 of the value).
    scale : a function to a scale on which the quantities are nearer to normal, and its inverse;
    the intervals are then made there.
    """

    def frame_of(f: Callable[[FloatArray], FloatArray]) -> pd.DataFrame:
        gradient = _gradient(f, fit.beta)
        error = np.sqrt(np.einsum("qi,ij,qj->q", gradient, fit.cov, gradient))
        return t_frame(names, f(fit.beta), error, fit.df, fit.alpha)

    frame = frame_of(function)
    if scale is not None:
        there = frame_of(lambda beta: scale[0](function(beta)))
        frame[["low", "high"]] = scale[1](there[["low", "high"]].to_numpy().T).T
        frame = frame.drop(columns=["statistic", "p"])
    how = "delta method"
    if len(fit.replicates):
        draws = function(fit.replicates)
        draws = draws[np.isfinite(draws).all(axis=1)]
        to, back = scale or (np.asarray, np.asarray)
        half = special.stdtrit(fit.df, 1 - fit.alpha / 2) * to(draws).std(axis=0, ddof=1)
        centre = to(function(fit.beta))
        frame["low"], frame["high"] = back(centre - half), back(centre + half)
        frame["std_error"] = draws.std(axis=0, ddof=1)
        frame = frame.drop(columns=["statistic", "p"], errors="ignore")
        how = f"{len(draws)} resamples"
    source = f"{MCFADDEN}; on beliefs: {SUN_ZHANG}"
    return Result(f"{method} ({how})", frame, fit.n, fit.alpha, source, fit.notes, over=fit.over)


def _shares(shares: Any) -> tuple[FloatArray, list[str]]:
    y, names = run_matrix(shares, "shares")
    if y.shape[1] == 1:
        return np.column_stack([y, 1 - y]), ["buy", "none"]
    if isinstance(shares, np.ndarray):
        names = [f"option {name}" for name in names]
    short = np.abs(y.sum(axis=1) - 1) > 1e-4
    if short.any():
        row = int(np.flatnonzero(short)[0])
        raise ValueError(
            f"shares: row {row} holds {y[row].tolist()}, which sum to {y[row].sum():.6g}; legal "
            "is 1 (give all alternatives)"
        )
    return y / y.sum(axis=1, keepdims=True), names


def _prices(price: Any, rows: int, names: list[str]) -> FloatArray:
    table, k = price, len(names)
    if not isinstance(price, pd.DataFrame):
        flat = isinstance(price, pd.Series) or np.ndim(price) == 1
        table = numbers(price, "price", "(runs, priced alternatives)", dims=(1, 2))
        table = pd.DataFrame(table[:, None] if flat else table)
    if table.shape[1] not in (k, k - 1):
        raise ValueError(
            f"price has {table.shape[1]} columns for {k} alternatives; legal are {k}, or {k - 1} "
            "if the last alternative has no price"
        )
    if set(table) <= set(names) and list(table) != names[: table.shape[1]]:
        if set(table) != set(names[: table.shape[1]]):
            raise ValueError(
                f"price has the columns {list(table)}; legal are the first alternatives, "
                f"{names[: table.shape[1]]}, for the last is the one without a price"
            )
        table = table[names[: table.shape[1]]]
    return np.column_stack([column(table[c], f"price[{c}]", rows=rows) for c in table])


def _design(cells: FloatArray, k: int) -> FloatArray:
    """(C, K, K): constants of all but the last alternative, then the price."""
    design = np.zeros((len(cells), k, k))
    design[:, np.arange(k - 1), np.arange(k - 1)] = 1
    design[:, : cells.shape[1], -1] = cells
    off = (design - design[:, -1:]).reshape(-1, k)
    if np.linalg.matrix_rank(off / np.abs(off).max(axis=0).clip(1e-300)) < k:
        raise ValueError(
            f"price: {len(cells)} distinct price rows do not tell the price from the constants; "
            "legal are prices that vary between conditions (and, if all alternatives are priced, "
            "not all by the same amount)"
        )
    return design


def _nested(code: IntArray, stratum: IntArray) -> tuple[int, IntArray]:
    """The number of clusters, and of clusters in each stratum."""
    clusters = int(code.max()) + 1
    pairs = np.unique(np.column_stack([stratum, code]), axis=0)
    if len(pairs) > clusters:
        both = pairs[np.flatnonzero(np.bincount(pairs[:, 1])[pairs[:, 1]] > 1)[0], 1]
        raise ValueError(
            f"cluster: number {both} lies in several conditions; legal are clusters within one "
            "condition (or no condition)"
        )
    return clusters, np.bincount(pairs[:, 0])


def _covariance(
    design: FloatArray,
    mass: FloatArray,
    beta: FloatArray,
    w: FloatArray,
    y: FloatArray,
    cell: IntArray,
    code: IntArray,
    stratum: IntArray,
) -> FloatArray:
    """Without strata CV3L: the jackknife of Newton steps without each cluster. Within strata the
    variance of the score, n_s / (n_s - 1) of its spread in each, between inverse Hessians."""
    p = special.softmax(design @ beta, axis=-1)
    curves = np.stack(
        [information(x[None], np.ones(1), q[None]) for x, q in zip(design, p, strict=True)]
    )
    hessian = np.einsum("c,cpq->pq", mass, curves)
    n_g, size = int(code.max()) + 1, len(beta)
    score, where = np.zeros((n_g, size)), np.zeros(n_g, dtype=np.int64)
    np.add.at(score, code, w[:, None] * np.einsum("ikp,ik->ip", design[cell], y - p[cell]))
    where[code] = stratum
    strata = split_rows(where, np.arange(n_g), int(stratum.max()) + 1)
    if len(strata) == 1:
        own = np.zeros((n_g, size, size))
        np.add.at(own, code, w[:, None, None] * curves[cell])
        inverse = np.linalg.pinv(hessian - own, rcond=1e-10, hermitian=True)
        return jackknife((inverse @ score[..., None])[..., 0], np.zeros(size))
    inverse, spread = np.linalg.pinv(hessian, hermitian=True), np.zeros((size, size))
    for i in strata:
        off = score[i] - score[i].mean(axis=0)
        spread += len(i) / (len(i) - 1) * off.T @ off
    return np.asarray(inverse @ spread @ inverse)


def _bootstrap(
    design: FloatArray,
    rows: tuple[FloatArray, FloatArray, IntArray, IntArray, IntArray],
    n_boot: int,
    stream: np.random.Generator,
) -> FloatArray:
    """(n_boot, P): fits to resamples of clusters within strata, from the cells' weighted sums."""
    if n_boot < 2:
        raise ValueError(f"n_boot is {n_boot}; legal are 2 or more")
    w, y, cell, code, stratum = rows
    n_cells, k = design.shape[:2]
    sums = np.zeros((n_boot, n_cells, k))
    for i in split_rows(stratum, np.arange(len(stratum)), int(stratum.max()) + 1):
        own, member = np.unique(code[i], return_inverse=True)
        here, at = np.unique(cell[i], return_inverse=True)
        step = max(CHUNK // len(i), 1)
        for start in range(0, n_boot, step):
            b = min(step, n_boot - start)
            # One fewer than there are, scaled up: n draws of n would vary too little by 1 / n.
            drawn = (
                stream.integers(0, len(own), (b, len(own) - 1)) + len(own) * np.arange(b)[:, None]
            )
            counts = np.bincount(drawn.ravel(), minlength=b * len(own)).reshape(b, -1)[:, member]
            weight = counts * (len(own) / (len(own) - 1))
            for c, spot in enumerate(here):
                mine = at == c
                part = (w[i][mine, None] * y[i][mine]).astype(float)
                sums[start : start + b, spot] += weight[:, mine] @ part
    return newton(design, sums.sum(axis=2), sums)


def _gradient(function: Callable[[FloatArray], FloatArray], beta: FloatArray) -> FloatArray:
    """(Q, P) by central differences, all in one call."""
    h = 1e-5 * np.maximum(np.abs(beta), 1e-3)
    steps = np.diag(h)
    up, down = function(beta + steps), function(beta - steps)
    return np.asarray(((up - down) / (2 * h[:, None])).T)
