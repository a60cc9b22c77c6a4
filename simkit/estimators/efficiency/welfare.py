"""What a fitted conditional logit says to a firm: elasticities, willingness to pay, best price.

All are smooth functions of the coefficients, so mean beliefs serve for them as for shares. Prices
are in one unit (cents or dollars), and so are willingness to pay, costs and the best price.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.efficiency.conditional import LogitFit, fit_logit, sloped, summarise
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.intervals import fieller
from simkit.result import Result
from simkit.types import FloatArray, column, several, shown

__all__ = ["optimal_price", "price_elasticities", "willingness_to_pay"]


@checked("shares price weights condition cluster", columns="shares")
def price_elasticities(
    shares: Any = "belief",
    price: npt.ArrayLike | pd.DataFrame = "price",
    *,
    at: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    condition: Any = None,
    cluster: Any = None,
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """Own- and cross-price elasticities of the shares at given prices.

    own[k] = d ln P_k / d ln p_k = beta p_k (1 - P_k), and cross[k, l] = d ln P_k / d ln p_l =
    -beta p_l P_l, for every alternative k and every priced alternative l.

    Parameters
    ----------
    shares, price
        As in :func:`conditional_logit`.
    at : array_like, optional
        (J,) the prices at which to take them; None takes their weighted means in the data.
    weights, condition, cluster, alpha, data
        As in :func:`conditional_logit`.

    Returns
    -------
    Result
        Rows own[alternative], then cross[of, to]. Undefined as in :func:`conditional_logit`.

    Raises
    ------
    ValueError
        As in :func:`conditional_logit`, and for a wrong number of prices `at`.

    Examples
    --------
    >>> from simkit import estimators as est
    >>> result = est.price_elasticities([0.7, 0.5, 0.3, 0.2], [2, 2, 4, 4], at=3)
    >>> result.frame["estimate"].round(3).to_dict()
    {'own[buy]': -1.322, 'cross[none, buy]': 0.935}
    """
    fit = fit_logit(shares, price, weights, condition, cluster, alpha)
    prices = _at(fit, at)
    pairs = [(k, j) for k in range(len(fit.alternatives)) for j in range(len(prices))]
    pairs.sort(key=lambda pair: pair[0] != pair[1])
    of, to = np.transpose(pairs)
    names = [
        f"own[{fit.alternatives[k]}]" if k == j
        else f"cross[{fit.alternatives[k]}, {fit.alternatives[j]}]"
        for k, j in pairs
    ]  # fmt: skip

    def function(beta: FloatArray) -> FloatArray:
        p = special.softmax(_utilities(beta, prices), axis=-1)
        return np.asarray(beta[..., -1:] * prices[to] * ((of == to) - p[..., to]))

    return summarise(fit, "Price elasticities", names, function)


@checked("shares price weights condition cluster", columns="shares")
def willingness_to_pay(
    shares: Any = "belief",
    price: npt.ArrayLike | pd.DataFrame = "price",
    *,
    weights: npt.ArrayLike | None = None,
    condition: Any = None,
    cluster: Any = None,
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """What one alternative is worth above another, in money: (a_k - a_l) / -beta.

    Parameters
    ----------
    shares, price, weights, condition, cluster, alpha, data
        As in :func:`conditional_logit`.

    Returns
    -------
    Result
        A row "k over l" per pair of alternatives, in their order. NaN if the price coefficient
        is 0.

    Raises
    ------
    ValueError
        As in :func:`conditional_logit`.

    Notes
    -----
    The interval is Fieller's (1954), which is right also where the price coefficient is imprecise,
    and the whole line, with a note, where that is not significantly off zero. It is wider than it
    need be (coverage 0.98) where it is hardly so. std_error is the delta method's.

    Examples
    --------
    >>> from simkit import estimators as est
    >>> result = est.willingness_to_pay([0.7, 0.5, 0.3, 0.2], [2, 2, 4, 4])
    >>> result.frame["estimate"].round(3).to_dict()
    {'buy over none': 2.539}
    """
    fit = sloped(fit_logit(shares, price, weights, condition, cluster, alpha))
    size = len(fit.alternatives)
    pairs = list(combinations(range(size), 2))
    constants = np.vstack([np.eye(size)[:-1], np.zeros(size)])  # a of each alternative, from beta
    pick = np.array([constants[k] - constants[j] for k, j in pairs])
    names = [f"{fit.alternatives[k]} over {fit.alternatives[j]}" for k, j in pairs]
    result = summarise(
        fit, "Willingness to pay", names, lambda beta: (beta @ pick.T) / -beta[..., -1:]
    )
    frame, minus = result.frame.drop(columns=["statistic", "p"]), -np.eye(size)[-1]
    quantile = special.stdtrit(fit.df, 1 - alpha / 2)
    for name, row in zip(names, pick, strict=True):
        both = np.stack([row, minus])
        (va, between), (_, vb) = both @ fit.cov @ both.T
        top, bottom = both @ fit.beta
        frame.loc[name, ["low", "high"]] = fieller(top, bottom, va, vb, between, quantile)
    notes = fit.notes
    if np.isinf(frame["low"]).any():
        notes += ("the price coefficient is not significantly off zero",)
    method, source = "Willingness to pay (Fieller)", f"{result.source}; interval: Fieller 1954"
    return replace(result, method=method, frame=frame, source=source, notes=notes)


@checked("shares price weights condition cluster", columns="shares")
def optimal_price(
    shares: Any = "belief",
    price: npt.ArrayLike | pd.DataFrame = "price",
    *,
    cost: float,
    brand: str | int = 0,
    at: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    condition: Any = None,
    cluster: Any = None,
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """The price of one brand that maximises (p - cost) P_brand(p), the others' prices given.

    Parameters
    ----------
    shares, price
        As in :func:`conditional_logit`.
    cost : float
        Cost per unit, in the unit of the prices.
    brand : str or int
        Name or position of a priced alternative.
    at : array_like, optional
        (J,) prices of all priced alternatives (the brand's own is not used); None takes their
        weighted means in the data.
    weights, condition, cluster, alpha, data
        As in :func:`conditional_logit`.

    Returns
    -------
    Result
        Rows price, share (P at that price) and profit ((price - cost) P, per customer). All NaN,
        with a note, if the price coefficient is not negative. A note says so where the price lies
        outside those of the data.

    Raises
    ------
    ValueError
        As in :func:`conditional_logit`, for a brand without a price and a wrong number of `at`.

    Notes
    -----
    The first-order condition p - cost = -P / (dP / dp) = 1 / (b (1 - P)), b = -beta, has one
    solution: p = cost + (1 + W(exp(v - 1))) / b, with Lambert's W and v = a - b cost - log of the
    sum of exp utilities of the other alternatives. The delta method on it is the implicit function
    theorem on the condition. 1 / b is skewed while b is imprecise: the intervals are made on the
    scales of 1 / (price - cost), the logit of the share and the log of the profit, which are nearer
    to normal. The upper end of the price is inf where the price coefficient may be 0.

    Examples
    --------
    >>> from simkit import estimators as est
    >>> best = est.optimal_price([0.7, 0.5, 0.3, 0.2], [2, 2, 4, 4], cost=1)
    >>> best.frame["estimate"].round(3).to_dict()
    {'price': 3.162, 'share': 0.385, 'profit': 0.832}
    """
    fit = sloped(fit_logit(shares, price, weights, condition, cluster, alpha))
    brand = brand.item() if isinstance(brand, np.integer) else brand
    k = fit.priced.index(brand) if isinstance(brand, str) and brand in fit.priced else brand
    if not isinstance(k, int) or isinstance(k, bool) or not 0 <= k < len(fit.priced):
        raise ValueError(f"brand is {shown(brand)}; it must be one of {fit.priced}, or its number")
    prices = _at(fit, at)
    cost = float(column([cost], "cost")[0])

    def function(beta: FloatArray) -> FloatArray:
        slope = np.where(beta[..., -1] < 0, -beta[..., -1], np.nan)
        utility = _utilities(beta, prices)
        others = special.logsumexp(np.delete(utility, k, axis=-1), axis=-1)
        v = utility[..., k] + slope * (prices[k] - cost) - others
        margin = 1 + special.wrightomega(v - 1)  # in units of 1 / slope; W(exp(x)) is omega(x)
        share = 1 - 1 / margin  # the condition: margin (1 - P) = 1
        return np.stack([cost + margin / slope, share, margin / slope * share], axis=-1)

    def to(x: FloatArray) -> FloatArray:
        price, share, profit = np.moveaxis(x, -1, 0)
        with np.errstate(divide="ignore"):  # a share that is 0 to rounding has no logarithm
            scaled = np.stack([-1 / (price - cost), special.logit(share), np.log(profit)], axis=-1)
        return np.where(np.isfinite(scaled), scaled, np.nan)

    def back(x: FloatArray) -> FloatArray:
        price, share, profit = np.moveaxis(x, -1, 0)
        margin = np.divide(-1, price, out=np.full_like(price, np.inf), where=price < 0)
        margin[np.isnan(price)] = np.nan
        return np.stack([cost + margin, special.expit(share), np.exp(profit)], axis=-1)

    names = ["price", "share", "profit"]
    result = summarise(fit, "Profit-maximising price", names, function, (to, back))
    best, seen, notes = result["price"]["estimate"], fit.prices[:, k], fit.notes
    if fit.beta[-1] >= 0:
        notes += ("the price coefficient is not negative: no best price",)
    elif best < seen.min() or best > seen.max():
        notes += (f"outside the prices of the data, {seen.min():g} to {seen.max():g}",)
    return replace(result, notes=notes)


def _at(fit: LogitFit, at: npt.ArrayLike | None) -> FloatArray:
    if at is None:
        return np.asarray(fit.share @ fit.prices)
    return column(several(at), "at", rows=len(fit.priced))


def _utilities(beta: FloatArray, price: FloatArray) -> FloatArray:
    """(..., K) at prices (J,), from coefficients (..., K)."""
    utility = np.concatenate([beta[..., :-1], np.zeros_like(beta[..., :1])], axis=-1)
    utility[..., : len(price)] += beta[..., -1:] * price
    return utility
