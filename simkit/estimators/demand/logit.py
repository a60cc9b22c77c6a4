"""Logit demand from simulated purchases: price coefficients, elasticities, flatness, steps.

What the intervals cover, and the shared arguments price, buys, weights, cluster and alpha, are told
in `simkit.estimators.demand.curves`. The jackknife takes one Newton step from the fit of all rows
in place of a new fit without each cluster (CV3L: MacKinnon, Nielsen & Webb 2024, arXiv 2406.00650).
A cluster's share of a quantity, for the degrees of freedom, is its share of the information about
it: g' H_c g / g' H g with g = H^-1 (gradient), H the Hessian. Few clusters that differ much are
beyond it: see docs/coverage.md.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.shared.arguments import checked, number
from simkit.estimators.shared.clustering import few_note, spread
from simkit.estimators.shared.copies import believed, merge_copies
from simkit.estimators.shared.intervals import fieller
from simkit.estimators.shared.rows import optional_labels, split_rows
from simkit.result import Result, t_frame
from simkit.types import LARGEST, FloatArray, IntArray, column, several, usable_rows

__all__ = ["flatness_ratio", "own_price_elasticity", "price_coefficient", "step_test"]

GUI_TOUBIA = "Gui & Toubia, arXiv 2312.15524"
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

    Fitted by statsmodels' binomial GLM (fractional response, so beliefs need no drawing).
    Quantities: const, price (per dollar, on the logit scale), each covariate, each product but
    the first (dummies), and average_marginal = weighted mean of beta P (1 - P), the mean slope of
    P(buy) per dollar (delta method). A curve that is no logit (an inverted U) has the slope of
    the logit closest to it in likelihood; the covariance is robust to that.

    covariates : DataFrame (n, k) of numbers. products : (n,) labels.
    Undefined: NaN if prices separate the purchases perfectly or all buys are the same 0 or 1.
    Raises ValueError for one price only and for collinear columns, naming them.
    Shared arguments: see `simkit.estimators.demand.curves`.
    """
    fit = _logit(price, buys, weights, covariates, products, cluster)
    p, b, share = fit.prob, fit.beta[fit.at], fit.share
    slope = p * (1 - p)
    gradient = (share * b * slope * (1 - 2 * p)) @ fit.design
    gradient[fit.at] += share @ slope
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

    For one row d ln P / d ln p = beta p (1 - P(p)); a quantity "price=p" is its weighted mean
    over the rows, each with its own covariates and product but the price p; "mean" is the mean
    over the prices. Delta method. at : (m,) dollars; None takes the prices in the data.
    Otherwise as price_coefficient.
    """
    fit = _logit(price, buys, weights, covariates, products, cluster)
    prices = np.unique(column(price, "price")) if at is None else column(several(at), "at")
    if not len(prices):
        raise ValueError("at holds no price; it must hold one or more, or be None for all")
    b, share = fit.beta[fit.at], fit.share
    est, gradients = np.zeros(len(prices)), np.zeros((len(prices), len(fit.beta)))
    for row, p in enumerate(prices):
        design = fit.design.copy()
        design[:, fit.at] = p
        prob = special.expit(design @ fit.beta)
        est[row] = b * p * (share @ (1 - prob))
        gradients[row] = (-b * p * share * prob * (1 - prob)) @ design
        gradients[row, fit.at] += p * (share @ (1 - prob))
    est, gradients = np.append(est, est.mean()), np.vstack([gradients, gradients.mean(axis=0)])
    names = [*(f"price={p:g}" for p in prices), "mean"]
    found = fit.result("Own-price elasticity (logit)", names, est, gradients, alpha, PAPKE)
    frame = found.to_frame()
    frame.insert(0, "price", np.append(prices, np.nan))
    return replace(found, frame=frame)


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

    blind, truth : results of price_coefficient, or exact slopes as numbers (the world's truth).
    quantity : the slope compared: "price" (logit) or "average_marginal" (P(buy) per dollar).
    covariance : of the two estimates; 0 is right when they come from different prompts.
    The interval is Fieller's (1954): the values r for which blind - r truth is not significantly
    off zero, by t quantiles on Satterthwaite's degrees of freedom of that difference. std_error is
    the delta method's. Undefined: if the true slope is not significantly off zero the interval is
    the whole line, and a note says so; a true slope of exactly 0 raises ValueError.
    """
    (a, va, dfa, na), (b, vb, dfb, nb) = (
        _slope(s, quantity, name) for name, s in (("blind", blind), ("truth", truth))
    )
    if abs(b) < 1 / LARGEST:
        raise ValueError("truth: the slope is 0; legal are slopes other than 0")
    ratio = a / b
    parts = np.array([va, ratio**2 * vb])
    with np.errstate(invalid="ignore", divide="ignore"):
        free = float(parts.sum() ** 2 / (parts**2 / np.array([dfa, dfb])).sum())
    df = free if free >= 1 else min(dfa, dfb)  # NaN where neither slope has a standard error
    quantile = special.stdtrit(df, 1 - alpha / 2) if va + vb > 0 else 0.0
    low, high = fieller(a, b, va, vb, covariance, quantile)
    note = "the true slope is not significantly off zero" if np.isinf(low) else ""
    note = "a slope has no standard error" if np.isnan(low) else note
    error = np.sqrt(max(va - 2 * ratio * covariance + ratio**2 * vb, 0.0)) / abs(b)
    row = {"estimate": ratio, "std_error": error, "low": low, "high": high, "df": df}
    source = f"our formulation; after {GUI_TOUBIA}; interval: Fieller 1954"
    frame = pd.DataFrame([row], index=["flatness_ratio"])
    notes = (note,) if note else ()
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
    """Does demand jump where the price passes the competing price that the prompt states?

    logit P = const + sum_d b_d (price - at)^d + c at + jump [price > at] (+ covariates,
    products), d = 1..degree; the term in `at` is left out where it does not vary on its own.
    Quantities: jump = weighted mean change of P(buy) at price = at (delta method; negative:
    demand falls off a step), jump_logit = the coefficient. Focalism shows as a jump; smooth
    demand has none, whatever its slope. With degree 1 a curved logit can pass for a jump: see
    whether it survives degree 2 or 3. At price = at the row counts as not above.
    at : the competing price stated, dollars, (n,) or one number.
    Raises ValueError unless there are prices on both sides; otherwise as price_coefficient.
    """
    x = column(price, "price")
    at = several(at)
    at = at * len(x) if isinstance(at, list) and len(at) == 1 else at
    stated = column(at, "at", rows=len(x))
    above = x > stated
    if above.all() or not above.any():
        raise ValueError(
            f"at: prices run from {x.min():g} to {x.max():g}, at from {stated.min():g} to "
            f"{stated.max():g}; legal is prices on both sides"
        )
    if not 1 <= degree <= 9:
        raise ValueError(f"degree is {degree}; legal are 1 to 9")
    terms = {f"(price - at)^{d}": (x - stated) ** d for d in range(1, degree + 1)}
    extra = pd.DataFrame({"jump_logit": above.astype(float), **terms})
    others = [] if covariates is None else [covariates.reset_index(drop=True)]
    wide = pd.concat([extra, pd.DataFrame({"at": stated}), *others], axis=1)
    free = _rank(wide, products) > _rank(wide.drop(columns="at"), products)
    fit = _logit(None, buys, weights, wide if free else wide.drop(columns="at"), products, cluster)
    zero = fit.design.copy()
    zero[:, [fit.names.index(name) for name in terms]] = 0
    jump, sides = fit.names.index("jump_logit"), []
    for side in (1.0, 0.0):
        zero[:, jump] = side
        prob = special.expit(zero @ fit.beta)
        sides.append((fit.share @ prob, (fit.share * prob * (1 - prob)) @ zero))
    (p1, g1), (p0, g0) = sides
    est = np.array([p1 - p0, fit.beta[jump]])
    gradients = np.vstack([g1 - g0, np.eye(len(fit.beta))[jump]])
    source = f"our formulation; focalism: {GUI_TOUBIA}"
    names = ["jump", "jump_logit"]
    return fit.result("Step at the stated price", names, est, gradients, alpha, source)


@dataclass(frozen=True)
class _Fit:
    names: list[str]
    at: int  # which coefficient is the price's
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
            return np.column_stack([np.bincount(code, e.clip(0)) for e in each.T])

        if not np.isfinite(estimate).all():
            blank = np.full(len(estimate), np.nan)
            frame, units = t_frame(names, blank, blank, blank, alpha), blank
        else:
            found = spread(self.factors, estimate, without, shares)
            frame, units = t_frame(names, estimate, found.error, found.df, alpha), found.units
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
        total = np.zeros((n_g, design.shape[1]))
        np.add.at(total, code, score)
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
            f"{name} has no slope {quantity!r}; it has {list(slope.frame.index)}. Legal are "
            "results of price_coefficient, and numbers"
        )
    row = slope[quantity]
    return float(row["estimate"]), float(row["std_error"]) ** 2, float(row["df"]), slope.n


def _design(columns: pd.DataFrame, products: Any) -> tuple[FloatArray, list[str]]:
    """const, the columns, and a dummy per product but the first: (n, k) and the k names."""
    code, keys = optional_labels(products, "product", len(columns))
    dummies = code[:, None] == np.arange(1, len(keys))
    names = [f"product={', '.join(map(str, key))}" for key in keys.to_numpy()[1:]]
    values = [column(columns[name], str(name)) for name in columns]
    design = np.column_stack([np.ones(len(columns)), *values, dummies])
    return design, ["const", *map(str, columns), *names]


def _rank(columns: pd.DataFrame, products: Any) -> int:
    design, _ = _design(columns, products)
    return int(np.linalg.matrix_rank(design / np.abs(design).max(axis=0).clip(1e-300)))


def _logit(
    price: npt.ArrayLike | None,
    buys: npt.ArrayLike,
    weights: npt.ArrayLike | None,
    covariates: pd.DataFrame | None,
    products: Any,
    cluster: Any,
) -> _Fit:
    from statsmodels.genmod.families import Binomial  # 2 s to import: not before it is needed
    from statsmodels.genmod.generalized_linear_model import GLM

    y = column(buys, "buys", low=0, high=1, missing=True)
    table = pd.DataFrame(index=range(len(y)))
    if price is not None:
        table["price"] = column(price, "price", rows=len(y))
    for name in [] if covariates is None else covariates:
        table[name] = column(covariates[name], str(name), rows=len(y))  # type: ignore[index]
    full, names = _design(table, products)
    rows = usable_rows(y, weights, cluster, crossed=True)
    product = optional_labels(products, "product", len(y))[0]
    rows = merge_copies(rows, believed(y), y, table.to_numpy(dtype=np.float64), strata=product)
    k, weight = rows.kept, rows.weight[rows.kept]
    design, y, share = full[k], y[k], weight / weight.sum()
    scale = np.abs(design).max(axis=0).clip(1e-300)
    if np.linalg.matrix_rank(design / scale) < design.shape[1]:
        raise ValueError(
            f"the columns {names} are collinear; legal are columns that each vary on their own "
            "(a price that varies within products)"
        )
    if np.linalg.matrix_rank(np.sqrt(share)[:, None] * design / scale) < design.shape[1]:
        raise ValueError(
            f"weights: the rows of large weight leave the columns {names} collinear; legal are "
            "weights of which no few exceed all others by 1e30"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # perfect separation is looked for, and told, below
        fit = GLM(y, design / scale, family=Binomial(), var_weights=share * len(y)).fit()
    beta, prob = np.asarray(fit.params) / scale, np.asarray(fit.fittedvalues)
    notes = rows.notes
    if not fit.converged or share @ (prob * (1 - prob)) < 1e-8:
        beta, notes = np.full_like(beta, np.nan), (*notes, "no logit: the buys are separated")
    at = names.index("price") if price is not None else -1
    error = share * (y - prob)
    return _Fit(names, at, beta, design, prob, share, error, rows.codes(), notes, rows.over)
