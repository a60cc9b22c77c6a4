"""Logit demand from simulated purchases: price coefficients, elasticities, flatness, steps.

What the intervals cover: see `simkit.estimators.demand.curves`. The jackknife takes one Newton step
from the fit of all rows instead of a new fit without each cluster (CV3L: MacKinnon, Nielsen & Webb
2024, arXiv 2406.00650). A cluster's share of a quantity, for the degrees of freedom, is its share
of the information about it: g' H_c g / g' H g with g = H^-1 (gradient), H the Hessian. It is not
reliable for few clusters that differ much: see docs/coverage.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.demand.curves import GUI_TOUBIA
from simkit.estimators.shared.arguments import checked, number
from simkit.estimators.shared.clustering import few_note, spread
from simkit.estimators.shared.copies import believed, merge_copies
from simkit.estimators.shared.intervals import fieller
from simkit.estimators.shared.rows import number_texts, optional_labels, split_rows, sums_by
from simkit.result import Result, t_frame
from simkit.types import LARGEST, FloatArray, IntArray, column, invalid, several, usable_rows

__all__ = ["flatness_ratio", "own_price_elasticity", "price_coefficient", "step_test"]

Columns = Sequence[tuple[Any, Any]]  # names and values of a design's columns
PRICE = 1  # the price's place in a design, after the constant
PAPKE = "fractional logit: Papke & Wooldridge 1996; covariance CV3L: arXiv 2406.00650"


@checked("price buys weights covariates products cluster", frames="covariates")
def price_coefficient(
    price: npt.ArrayLike = "price",
    buys: npt.ArrayLike = "belief",
    *,
    weights: npt.ArrayLike | None = None,
    covariates: pd.DataFrame | None = None,
    products: Any = None,
    cluster: Any = None,
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """Logit slope of buying on price: logit P = const + price * beta + covariates + products.

    Parameters
    ----------
    price, buys, weights, cluster, alpha, data
        As in :func:`demand_curve`.
    covariates : DataFrame, optional
        (n, k) numbers.
    products : array_like or str, optional
        (n,) labels; each product but the first has a dummy.

    Returns
    -------
    Result
        Rows const, price (per dollar, on the logit scale), each covariate, each dummy, and
        average_marginal = weighted mean of beta P (1 - P), the mean slope of P(buy) per dollar
        (delta method). NaN, with a note, if prices separate the purchases perfectly or all buys
        are the same 0 or 1.

    Raises
    ------
    ValueError
        As :func:`demand_curve`, and for collinear columns (such as a single price), naming them.

    Notes
    -----
    Fitted by statsmodels' binomial GLM (fractional response, so beliefs need not be drawn). A curve
    that is not a logit (an inverted U) has the slope of the logit closest to it in likelihood; the
    covariance is robust to that.

    References
    ----------
    Papke & Wooldridge 1996, Journal of Applied Econometrics 11; covariance: arXiv 2406.00650.

    Examples
    --------
    >>> price, wording = [1, 2, 3] * 4, [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    >>> buys = [0.8, 0.5, 0.2, 0.7, 0.6, 0.3, 0.9, 0.4, 0.2, 0.6, 0.5, 0.1]
    >>> result = price_coefficient(price, buys, cluster=wording)
    >>> result.to_frame()[["estimate", "low", "high"]].round(2)
                      estimate   low  high
    const                 2.39  1.16  3.63
    price                -1.24 -1.83 -0.65
    average_marginal     -0.25 -0.32 -0.18
    """
    fit = _logit(buys, _with_price(price, covariates), weights, products, cluster)
    p, b, share = fit.prob, fit.beta[PRICE], fit.share
    slope = p * (1 - p)
    gradient = (share * b * slope * (1 - 2 * p)) @ fit.design
    gradient[PRICE] += share @ slope
    est = np.append(fit.beta, b * (share @ slope))
    names = [*fit.names, "average_marginal"]
    gradients = np.vstack([np.eye(len(fit.beta)), gradient])
    return fit.result("Price coefficient (logit)", names, est, gradients, alpha, PAPKE)


@checked("price buys weights covariates products cluster", frames="covariates")
def own_price_elasticity(
    price: npt.ArrayLike = "price",
    buys: npt.ArrayLike = "belief",
    *,
    at: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    covariates: pd.DataFrame | None = None,
    products: Any = None,
    cluster: Any = None,
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """Own-price elasticity of P(buy) at given prices, from the fitted logit.

    Parameters
    ----------
    price, buys, weights, covariates, products, cluster, alpha, data
        As in :func:`price_coefficient`.
    at : array_like, optional
        (m,) prices, dollars; None takes the prices in the data.

    Returns
    -------
    Result
        For one row d ln P / d ln p = beta p (1 - P(p)). Row "price=p" is its weighted mean over
        the rows of the data, each with its own covariates and product but the price p; "mean" is
        the mean over the prices. Delta method; NaN as in :func:`price_coefficient`.

    Raises
    ------
    ValueError
        As :func:`price_coefficient`, and for no price in `at`.

    Examples
    --------
    >>> price, wording = [1, 2, 3] * 4, [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    >>> buys = [0.8, 0.5, 0.2, 0.7, 0.6, 0.3, 0.9, 0.4, 0.2, 0.6, 0.5, 0.1]
    >>> result = own_price_elasticity(price, buys, at=[1, 2], cluster=wording)
    >>> result.to_frame()[["estimate", "low", "high"]].round(2)
             estimate   low  high
    price=1     -0.30 -0.40 -0.19
    price=2     -1.29 -1.99 -0.59
    mean        -0.79 -1.17 -0.41
    """
    fit = _logit(buys, _with_price(price, covariates), weights, products, cluster)
    prices = np.unique(column(price, "price")) if at is None else column(several(at), "at")
    if not len(prices):
        raise ValueError("at holds no price; it must hold one or more, or be None for all")
    b, share = fit.beta[PRICE], fit.share
    est, gradients = np.zeros(len(prices)), np.zeros((len(prices), len(fit.beta)))
    for row, p in enumerate(prices):
        design = fit.design.copy()
        design[:, PRICE] = p
        prob = special.expit(design @ fit.beta)
        est[row] = b * p * (share @ (1 - prob))
        gradients[row] = (-b * p * share * prob * (1 - prob)) @ design
        gradients[row, PRICE] += p * (share @ (1 - prob))
    est, gradients = np.append(est, est.mean()), np.vstack([gradients, gradients.mean(axis=0)])
    names = [*(f"price={p}" for p in number_texts(prices)), "mean"]
    result = fit.result("Own-price elasticity (logit)", names, est, gradients, alpha, PAPKE)
    frame = result.to_frame()
    frame.insert(0, "price", np.append(prices, np.nan))
    return replace(result, frame=frame)


@checked()
def flatness_ratio(
    blind: Result | float,
    truth: Result | float,
    *,
    quantity: str = "price",
    covariance: float = 0.0,
    alpha: float = 0.05,
) -> Result:
    """Blind slope / true slope: 1 is right, 0 is a flat demand curve, below 0 the wrong sign.

    Parameters
    ----------
    blind, truth : Result or float
        Results of :func:`price_coefficient`, or exact slopes as numbers (the world's truth).
    quantity : str
        The slope compared: "price" (logit) or "average_marginal" (P(buy) per dollar).
    covariance : float
        Of the two estimates; 0 is right when they come from different prompts.
    alpha : float
        1 - confidence.

    Returns
    -------
    Result
        One row, flatness_ratio. If the true slope does not differ significantly from zero the
        interval is the whole line, and a note says so.

    Raises
    ------
    ValueError
        For a true slope of exactly 0, and a result without this quantity.

    Notes
    -----
    The interval is Fieller's (1954): the values r for which blind - r truth does not differ
    significantly from zero, by t quantiles on Satterthwaite's degrees of freedom of that
    difference. std_error is the delta method's.

    References
    ----------
    Our formulation; after Gui & Toubia, arXiv 2312.15524.

    Examples
    --------
    >>> flatness_ratio(-0.5, -2.0).to_frame()[["estimate", "low", "high"]]
                    estimate   low  high
    flatness_ratio      0.25  0.25  0.25
    """
    (a, va, dfa, na), (b, vb, dfb, nb) = (
        _slope(s, quantity, name) for name, s in (("blind", blind), ("truth", truth))
    )
    if abs(b) < 1 / LARGEST:
        raise ValueError("truth: the slope is 0; it must not be 0")
    ratio = a / b
    parts = np.array([va, ratio**2 * vb])
    with np.errstate(invalid="ignore", divide="ignore"):
        free = float(parts.sum() ** 2 / (parts**2 / np.array([dfa, dfb])).sum())
    df = free if free >= 1 else min(dfa, dfb)  # NaN where neither slope has a standard error
    quantile = special.stdtrit(df, 1 - alpha / 2) if va + vb > 0 else 0.0
    low, high = fieller(a, b, va, vb, covariance, quantile)
    notes = ("the true slope is not significantly off zero",) if np.isinf(low) else ()
    notes = ("a slope has no standard error",) if np.isnan(low) else notes
    error = np.sqrt(max(va - 2 * ratio * covariance + ratio**2 * vb, 0.0)) / abs(b)
    row = {"estimate": ratio, "std_error": error, "low": low, "high": high, "df": df}
    source = f"our formulation; after {GUI_TOUBIA}; interval: Fieller 1954"
    frame = pd.DataFrame([row], index=["flatness_ratio"])
    return Result(f"Flatness ratio ({quantity})", frame, na + nb, alpha, source, notes)


@checked("price buys at weights covariates products cluster", frames="covariates")
def step_test(
    price: npt.ArrayLike = "price",
    buys: npt.ArrayLike = "belief",
    at: npt.ArrayLike | float = "rival_price",
    *,
    degree: int = 1,
    weights: npt.ArrayLike | None = None,
    covariates: pd.DataFrame | None = None,
    products: Any = None,
    cluster: Any = None,
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """Jump of demand where the price exceeds the competing price that the prompt states.

    Parameters
    ----------
    price, buys, weights, covariates, products, cluster, alpha, data
        As in :func:`price_coefficient`.
    at : array_like, float or str
        The competing price stated, dollars, (n,) or one number. At price = at the row counts as
        not above.
    degree : int
        1 to 9, of the polynomial in price - at.

    Returns
    -------
    Result
        Rows jump = weighted mean change of P(buy) at price = at (delta method; negative: demand
        falls), and jump_logit = its coefficient. NaN as in :func:`price_coefficient`.

    Raises
    ------
    ValueError
        As :func:`price_coefficient`, and unless there are prices on both sides.

    Notes
    -----
    logit P = const + sum_d b_d (price - at)^d + c at + jump [price > at] (+ covariates,
    products), d = 1..degree; the term in `at` is left out where it is collinear with the others.
    Focalism shows as a jump; smooth demand has none, whatever its slope. With degree 1 a curved
    logit can look like a jump: check that it remains with degree 2 or 3.

    References
    ----------
    Our formulation; focalism: Gui & Toubia, arXiv 2312.15524.

    Examples
    --------
    >>> price, wording = [1, 2, 3, 4] * 3, [0] * 4 + [1] * 4 + [2] * 4
    >>> buys = [0.8, 0.7, 0.3, 0.2, 0.9, 0.7, 0.2, 0.1, 0.7, 0.6, 0.2, 0.2]
    >>> result = step_test(price, buys, at=2.5, cluster=wording)
    >>> result.to_frame()[["estimate", "low", "high"]].round(2)
                estimate   low  high
    jump           -0.31 -0.41 -0.21
    jump_logit     -1.30 -1.80 -0.80
    """
    x = column(price, "price")
    at = several(at)
    at = at * len(x) if isinstance(at, list) and len(at) == 1 else at
    stated = column(at, "at", rows=len(x))
    above = x > stated
    if above.all() or not above.any():
        raise ValueError(
            f"at: prices run from {x.min():g} to {x.max():g}, at from {stated.min():g} to "
            f"{stated.max():g}; there must be prices on both sides"
        )
    if not 1 <= degree <= 9:
        raise invalid("degree", degree, "a whole number from 1 to 9")
    terms = [(f"(price - at)^{d}", (x - stated) ** d) for d in range(1, degree + 1)]
    columns: Columns = [("jump_logit", above.astype(float)), *terms]
    others: Columns = [] if covariates is None else list(covariates.items())
    with_at, columns = [*columns, ("at", stated), *others], [*columns, *others]
    wide, narrow = (_rank(_design(c, products, len(x))[0]) for c in (with_at, columns))
    fit = _logit(buys, with_at if wide > narrow else columns, weights, products, cluster)
    at_step = fit.design.copy()
    at_step[:, [fit.names.index(name) for name, _ in terms]] = 0
    jump, sides = fit.names.index("jump_logit"), []
    for side in (1.0, 0.0):
        at_step[:, jump] = side
        prob = special.expit(at_step @ fit.beta)
        sides.append((fit.share @ prob, (fit.share * prob * (1 - prob)) @ at_step))
    (p1, g1), (p0, g0) = sides
    est = np.array([p1 - p0, fit.beta[jump]])
    gradients = np.vstack([g1 - g0, np.eye(len(fit.beta))[jump]])
    source = f"our formulation; focalism: {GUI_TOUBIA}"
    method, names = "Step at the stated price", ["jump", "jump_logit"]
    return fit.result(method, names, est, gradients, alpha, source)


@dataclass(frozen=True)
class _Fit:
    names: list[str]
    beta: FloatArray
    design: FloatArray
    prob: FloatArray
    share: FloatArray  # weights that sum to 1
    error: FloatArray  # share * (y - prob)
    factors: list[IntArray]
    notes: tuple[str, ...]
    over: str

    def result(
        self, method: str, names: list[str], estimate: FloatArray, gradients: FloatArray,
        alpha: float, source: str,
    ) -> Result:  # fmt: skip
        """t intervals of quantities (q,) whose gradients in beta are (q, k)."""
        scale = np.abs(self.design).max(axis=0).clip(1e-300)
        slopes, design = gradients / scale, self.design / scale
        curve = (self.share * self.prob * (1 - self.prob))[:, None] * design
        inverse = np.linalg.pinv(design.T @ curve, hermitian=True)

        def without(code: IntArray) -> FloatArray:
            return np.asarray(estimate + self._moves(design, curve, inverse, code) @ slopes.T)

        def shares(code: IntArray) -> FloatArray:
            each = (curve @ inverse @ slopes.T) * (design @ inverse @ slopes.T)
            return sums_by(each.clip(0), code, int(code.max()) + 1)

        if np.isfinite(estimate).all():
            over = spread(self.factors, estimate, without, shares)
            error, df, units = over.error, over.df, over.units
        else:
            estimate = error = df = units = np.full(len(estimate), np.nan)
        frame = t_frame(names, estimate, error, df, alpha)
        one = all(code.max() == 0 for code in self.factors)
        notes = (*self.notes, *(("one cluster: no interval",) if one else few_note(units)))
        return Result(method, frame, len(self.prob), alpha, source, notes, self.over)

    def _moves(
        self, design: FloatArray, curve: FloatArray, inverse: FloatArray, code: IntArray
    ) -> FloatArray:
        """(G, k): one Newton step from the fit to that without each cluster (scaled columns)."""
        score, n_g = self.error[:, None] * design, int(code.max()) + 1
        if n_g == len(code):  # every row a cluster: the step in closed form (HC3)
            leverage = np.einsum("ij,jk,ik->i", curve, inverse, design)
            moves = -(score @ inverse) / np.maximum(1 - leverage, 1e-9)[:, None]
            return np.asarray(moves[np.argsort(code)])
        hessian = design.T @ curve
        total = sums_by(score, code, n_g)
        # A product seen in one cluster only leaves a singular matrix: pseudo-inverse.
        rest = [
            np.linalg.pinv(hessian - design[i].T @ curve[i], rcond=1e-9, hermitian=True)
            for i in split_rows(code, np.arange(len(code)), n_g)
        ]
        return np.asarray(-np.einsum("gij,gj->gi", np.array(rest), total))


def _slope(slope: Result | float, quantity: str, name: str) -> tuple[float, float, float, int]:
    """estimate, variance, degrees of freedom, n; a number is exact."""
    if not isinstance(slope, Result):
        return number(slope, name), 0.0, np.inf, 0
    if quantity not in slope.frame.index or "df" not in slope.frame:
        raise ValueError(
            f"{name} has no slope {quantity!r}; it has {list(slope.frame.index)}. It must be a "
            "result of price_coefficient, or a number"
        )
    row = slope[quantity]
    return float(row["estimate"]), float(row["std_error"]) ** 2, float(row["df"]), slope.n


def _with_price(price: Any, covariates: pd.DataFrame | None) -> Columns:
    return [("price", price), *([] if covariates is None else covariates.items())]


def _design(columns: Columns, products: Any, n: int) -> tuple[FloatArray, list[str]]:
    """const, the columns, and a dummy per product but the first: (n, k) and the k names."""
    code, keys = optional_labels(products, "product", n)
    dummies = code[:, None] == np.arange(1, len(keys))
    values = [column(values, str(name), rows=n) for name, values in columns]
    products = [f"product={', '.join(map(str, key))}" for key in keys.to_numpy()[1:]]
    names = ["const", *(str(name) for name, _ in columns), *products]
    return np.column_stack([np.ones(n), *values, dummies]), names


def _rank(design: FloatArray) -> int:
    return int(np.linalg.matrix_rank(design / np.abs(design).max(axis=0).clip(1e-300)))


def _logit(buys: Any, columns: Columns, weights: Any, products: Any, cluster: Any) -> _Fit:
    from statsmodels.genmod.families import Binomial  # 2 s to import: not before it is needed
    from statsmodels.genmod.generalized_linear_model import GLM

    y = column(buys, "buys", low=0, high=1, missing=True)
    full, names = _design(columns, products, len(y))
    rows = usable_rows(y, weights, cluster, crossed=True)
    product = optional_labels(products, "product", len(y))[0]
    seen = full[:, 1 : 1 + len(columns)]  # without the products, whose name makes no other prompt
    rows = merge_copies(rows, believed(y), y, seen, strata=product)
    k, weight = rows.kept, rows.weight[rows.kept]
    design, y, share = full[k], y[k], weight / weight.sum()
    scale = np.abs(design).max(axis=0).clip(1e-300)
    if _rank(design) < design.shape[1]:
        raise ValueError(
            f"the columns {names} are collinear; each must vary on its own (such as a price that "
            "varies within products)"
        )
    if np.linalg.matrix_rank(np.sqrt(share)[:, None] * design / scale) < design.shape[1]:
        raise ValueError(
            f"weights: the rows of large weight leave the columns {names} collinear; no few "
            "weights may exceed all others by 1e30"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # perfect separation is found below, and noted
        fit = GLM(y, design / scale, family=Binomial(), var_weights=share * len(y)).fit()
    beta, prob = np.asarray(fit.params) / scale, np.asarray(fit.fittedvalues)
    notes = rows.notes
    if not fit.converged or share @ (prob * (1 - prob)) < 1e-8:
        beta, notes = np.full_like(beta, np.nan), (*notes, "no logit: the buys are separated")
    error = share * (y - prob)
    return _Fit(names, beta, design, prob, share, error, rows.codes(), notes, rows.over)
