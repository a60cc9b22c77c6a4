"""Conditional logit of choices or beliefs over priced alternatives, fitted as fractions.

Utility of alternative k at prices p is u_k = a_k + beta p_k. The last alternative has a = 0, and
u = 0 if it has no price (the outside option). Shares are softmax(u) (McFadden 1974). Choices are
one-hot rows, beliefs rows of probabilities. Both maximise the multinomial quasi-likelihood
sum_i w_i sum_k y_ik log P_ik, whose estimates need only the means to be right (Papke & Wooldridge
1996 for two alternatives, Mullahy 2015 for several). statsmodels' MNLogit takes neither fractions
nor one price coefficient for all alternatives, hence `simkit.estimators.shared.newton`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from simkit.types import FloatArray, IntArray, column, numbers, usable_rows

__all__ = ["LogitFit", "conditional_logit", "fit_logit", "sloped", "summarise"]

MCFADDEN = "conditional logit: McFadden 1974; fractions: Papke & Wooldridge 1996, Mullahy 2015"
DUST = 1e-8  # of utility: a price that moves it by less over its range moves nothing


@dataclass(frozen=True)
class LogitFit:
    """A fitted conditional logit.

    Attributes
    ----------
    alternatives : list of str
        The K alternatives.
    beta : ndarray
        (K,) constants of all but the last alternative, then the price coefficient.
    cov : ndarray
        (K, K) covariance of `beta`.
    df : float
        Degrees of freedom of t intervals.
    prices, share : ndarray
        The distinct price rows (C, J), and their weights (C,), which sum to 1.
    n, alpha, notes, over
        As in `simkit.result.Result`.
    """

    alternatives: list[str]
    beta: FloatArray
    cov: FloatArray
    df: float
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
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """Fit the conditional logit: a constant per alternative but the last, and a price coefficient.

    With two alternatives, one of them without a price, it is the fractional logit of
    :func:`price_coefficient`.

    Parameters
    ----------
    shares : DataFrame or array_like
        (n, K) choices (one-hot) or beliefs of n runs, a column per alternative; or (n,)
        probabilities of buying, which stand for the alternatives "buy" and "none". Runs with a
        missing value are skipped and counted.
    price : DataFrame or array_like
        (n, J) prices of the first J alternatives in any one unit; J = K, or K - 1 if the last is
        the outside option. (n,) if J = 1.
    weights : array_like, optional
        (n,) non-negative weights; None weighs all runs alike.
    condition : array_like or DataFrame, optional
        (n,) labels. Runs are draws within these conditions (the price cells of a design), and the
        conditions are no sample themselves: variances are taken within them. Without, a model that
        does not fit the conditions exactly adds its misfit to the variance.
    cluster : array_like, optional
        (n,) labels of what was drawn as a whole, within conditions; None: every run by itself.
    alpha : float
        1 - confidence of the intervals.
    data : DataFrame, optional
        The table that `believe` or `sample_runs` returns; arguments about its rows are then names
        of its columns, and `condition` is its `prompt_id`.

    Returns
    -------
    Result
        Rows const[alternative], and price (utility per unit of price; below 0 where demand falls).
        All NaN where the shares separate (an alternative is never chosen).

    Raises
    ------
    ValueError
        For bad values (naming the row), prices that do not identify the model, and clusters that
        lie in several conditions.

    Notes
    -----
    Intervals are t on the effective number of clusters (1 / sum of squared shares of the weight)
    less 1 in each condition. The covariance is CV3L, the linearised delete-one-cluster jackknife
    (MacKinnon, Nielsen & Webb, arXiv 2406.00650); with conditions the sandwich, with the variance
    of the score within them.

    References
    ----------
    McFadden 1974; Papke & Wooldridge 1996; Mullahy 2015; on beliefs: Sun & Zhang, arXiv 2512.23184.

    Examples
    --------
    >>> from simkit import estimators as est
    >>> fit = est.conditional_logit([0.7, 0.5, 0.3, 0.2], [2, 2, 4, 4])
    >>> fit.frame["estimate"].round(3).to_dict()
    {'const[buy]': 1.91, 'price': -0.752}
    """
    fit = fit_logit(shares, price, weights, condition, cluster, alpha)
    names = [*(f"const[{a}]" for a in fit.alternatives[:-1]), "price"]
    return summarise(fit, "Conditional logit", names, lambda beta: beta)


def fit_logit(
    shares: Any, price: Any, weights: Any, condition: Any, cluster: Any, alpha: float
) -> LogitFit:
    """The fit that every function of the conditional logit starts from."""
    y, alternatives = _shares(shares)
    p = _prices(price, len(y), alternatives)
    used = usable_rows(y.sum(axis=1), weights, cluster)
    cells_of = optional_labels(condition, "condition", len(y))[0]
    if cluster is not None:  # runs that agree are draws of their own; clusters of prompts are not
        used = merge_copies(used, np.asarray(believed(y).any(axis=1)), y, p, cells_of)
    k, w, code = used.kept, used.weight[used.kept], used.cluster[used.kept]
    stratum = np.unique(cells_of[k], return_inverse=True)[1]
    home, sizes = _nested(code, stratum)
    prices, cell = np.unique(p[k], axis=0, return_inverse=True)
    design = _design(prices, len(alternatives))
    mass = np.bincount(cell, w).astype(float)
    total = np.zeros((len(prices), len(alternatives)))
    np.add.at(total, cell, w[:, None] * y[k])
    beta = newton(design, mass, total)
    fitted = special.softmax(design @ beta, axis=-1)
    if not mass @ (fitted * (1 - fitted)).sum(axis=1) > 1e-8 * mass.sum():
        beta = np.full_like(beta, np.nan)
    notes = used.notes
    if np.isnan(beta).any():
        notes += ("no logit: an alternative is never or always chosen, or prices separate",)
    weight = np.bincount(code, w)
    units = np.bincount(home, weight) ** 2 / np.bincount(home, weight**2)  # effective, by stratum
    if cluster is not None and condition is None and units[0] < FEW - 1e-6:
        notes += (f"{units[0]:.1f} effective clusters: below {FEW} no interval is to be trusted",)
    over = "runs" if cluster is None else used.over
    over += "" if condition is None else " of these conditions"
    cov = np.full((beta.size, beta.size), np.nan)
    if sizes.min() < 2:
        notes += ("a condition has one cluster: no interval",)
    elif not np.isnan(beta).any():
        cov = _covariance(design, mass, fitted, w, y[k], cell, code, home)
    df, share = max(float((units - 1).sum()), 1.0), mass / mass.sum()
    return LogitFit(alternatives, beta, cov, df, prices, share, len(k), alpha, notes, over)


def sloped(fit: LogitFit) -> LogitFit:
    """The fit; all NaN where the price moves nothing, for then no ratio to its effect exists."""
    if not abs(fit.beta[-1]) * np.ptp(fit.prices) <= DUST:
        return fit
    note = "the price moves nothing: what would be divided by its effect is undefined"
    beta, cov = np.full_like(fit.beta, np.nan), np.full_like(fit.cov, np.nan)
    return replace(fit, beta=beta, cov=cov, notes=(*fit.notes, note))


def summarise(
    fit: LogitFit,
    method: str,
    names: list[str],
    function: Callable[[FloatArray], FloatArray],
    scale: Sequence[Callable[[FloatArray], FloatArray]] | None = None,
) -> Result:
    """A smooth function of the coefficients, (..., K) to (..., Q), by the delta method.

    The gradient is by central differences (errors near 1e-9 of the value). scale : a function to
    a scale on which the quantities are nearer to normal, and its inverse; the intervals are made
    there.
    """

    def table(f: Callable[[FloatArray], FloatArray]) -> pd.DataFrame:
        h = 1e-5 * np.maximum(np.abs(fit.beta), 1e-3)
        steps = np.diag(h)
        gradient = (f(fit.beta + steps) - f(fit.beta - steps)) / (2 * h[:, None])
        error = np.sqrt(np.einsum("iq,ij,jq->q", gradient, fit.cov, gradient))
        return t_frame(names, f(fit.beta), error, fit.df, fit.alpha)

    frame = table(function)
    if scale is not None:
        to, back = scale
        ends = table(lambda beta: to(function(beta)))[["low", "high"]]
        frame[["low", "high"]] = back(ends.to_numpy().T).T
        frame = frame.drop(columns=["statistic", "p"])
    source = f"{MCFADDEN}; on beliefs: {SUN_ZHANG}"
    method = f"{method} (delta method)"
    return Result(method, frame, fit.n, fit.alpha, source, fit.notes, over=fit.over)


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
            f"shares: row {row} holds {y[row].tolist()}, which sum to {y[row].sum():.6g}; they "
            "must sum to 1 (give all alternatives)"
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
            f"price has {table.shape[1]} columns for {k} alternatives; it must have {k}, or "
            f"{k - 1} if the last alternative has no price"
        )
    if set(table) <= set(names) and list(table) != names[: table.shape[1]]:
        if set(table) != set(names[: table.shape[1]]):
            raise ValueError(
                f"price has the columns {list(table)}; they must be the first alternatives, "
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
            "prices must vary between conditions (and, if all alternatives are priced, not all "
            "by the same amount)"
        )
    return design


def _nested(code: IntArray, stratum: IntArray) -> tuple[IntArray, IntArray]:
    """The stratum of each cluster, and the number of clusters in each stratum."""
    pairs = np.unique(np.column_stack([code, stratum]), axis=0)
    if len(pairs) > code.max() + 1:
        both = pairs[np.flatnonzero(np.diff(pairs[:, 0]) == 0)[0], 0]
        raise ValueError(
            f"cluster: number {both} lies in several conditions; clusters must lie within one "
            "condition (or give no condition)"
        )
    return pairs[:, 1], np.bincount(pairs[:, 1])


def _covariance(
    design: FloatArray,
    mass: FloatArray,
    fitted: FloatArray,
    w: FloatArray,
    y: FloatArray,
    cell: IntArray,
    code: IntArray,
    home: IntArray,
) -> FloatArray:
    """Without strata CV3L: the jackknife of Newton steps without each cluster. Within strata the
    variance of the score, n_s / (n_s - 1) of its spread in each, between inverse Hessians."""
    curves = np.stack(
        [information(x[None], np.ones(1), q[None]) for x, q in zip(design, fitted, strict=True)]
    )
    hessian = np.einsum("c,cpq->pq", mass, curves)
    n_g, size = len(home), design.shape[-1]
    score = np.zeros((n_g, size))
    np.add.at(score, code, w[:, None] * np.einsum("ikp,ik->ip", design[cell], y - fitted[cell]))
    strata = split_rows(home, np.arange(n_g), int(home.max()) + 1)
    if len(strata) == 1:
        curve = np.zeros((n_g, size, size))  # of each cluster
        np.add.at(curve, code, w[:, None, None] * curves[cell])
        inverse = np.linalg.pinv(hessian - curve, rcond=1e-10, hermitian=True)
        return jackknife((inverse @ score[..., None])[..., 0], np.zeros(size))
    inverse = np.linalg.pinv(hessian, hermitian=True)
    spread = sum(len(i) * np.cov(score[i].T, ddof=1).reshape(size, size) for i in strata)
    return np.asarray(inverse @ spread @ inverse)
