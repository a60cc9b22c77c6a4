"""What a fitted conditional logit says to a firm: elasticities, willingness to pay, best price.

All are smooth functions of the coefficients, so mean beliefs serve for them as for shares. Data,
shared arguments and intervals: see `simkit.estimators.efficiency.conditional`. Prices are in one
unit (cents or dollars), and so are willingness to pay, costs and the best price.
"""

from __future__ import annotations

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
from simkit.types import FloatArray, SeedLike, column, several, shown

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
    interval: str = "delta",
    n_boot: int = 500,
    alpha: float = 0.05,
    rng: SeedLike = 0,
    data: pd.DataFrame | None = None,
) -> Result:
    """Own- and cross-price elasticities of the shares at given prices.

    own[k] = d ln P_k / d ln p_k = beta p_k (1 - P_k); cross[k, l] = d ln P_k / d ln p_l =
    -beta p_l P_l, for every alternative k and priced l. at : (J,) prices; None is their means in
    the data, weighted. Otherwise as conditional_logit.
    """
    fit = fit_logit(shares, price, weights, condition, cluster, interval, n_boot, alpha, rng)
    where = _at(fit, at)
    pairs = [(k, j) for k in range(len(fit.alternatives)) for j in range(len(where))]
    pairs.sort(key=lambda pair: pair[0] != pair[1])
    of, to = np.transpose(pairs)
    names = [
        f"own[{fit.alternatives[k]}]" if k == j
        else f"cross[{fit.alternatives[k]}, {fit.alternatives[j]}]"
        for k, j in pairs
    ]  # fmt: skip

    def function(beta: FloatArray) -> FloatArray:
        p = _probabilities(beta, where)
        return np.asarray(beta[..., -1:] * where[to] * ((of == to) - p[..., to]))

    return summarise(fit, "Price elasticities", names, function)


@checked("shares price weights condition cluster", columns="shares")
def willingness_to_pay(
    shares: Any = "belief",
    price: npt.ArrayLike | pd.DataFrame = "price",
    *,
    weights: npt.ArrayLike | None = None,
    condition: Any = None,
    cluster: Any = None,
    interval: str = "fieller",
    n_boot: int = 500,
    alpha: float = 0.05,
    rng: SeedLike = 0,
    data: pd.DataFrame | None = None,
) -> Result:
    """What one alternative is worth above another, in money: (a_k - a_l) / -beta.

    One row "k over l" per pair, in the order of the alternatives. interval : "fieller" (1954; right
    also where the price coefficient is imprecise, and the whole line, with a note, where it is not
    significantly off zero; wider than it need be, 0.98, where it is hardly so), "delta" or
    "bootstrap". std_error is the delta method's (or the resamples'). Undefined: a price coefficient
    of 0. Otherwise as conditional_logit.
    """
    how = "delta" if interval == "fieller" else interval
    fit = fit_logit(shares, price, weights, condition, cluster, how, n_boot, alpha, rng)
    size = len(fit.alternatives)
    pairs = list(combinations(range(size), 2))
    pick = np.zeros((len(pairs), size))  # each pair's difference of constants
    for row, (k, j) in enumerate(pairs):
        pick[row, k] = 1
        if j < size - 1:
            pick[row, j] = -1
    names = [f"{fit.alternatives[k]} over {fit.alternatives[j]}" for k, j in pairs]
    fit = sloped(fit)
    result = summarise(
        fit, "Willingness to pay", names, lambda beta: (beta @ pick.T) / -beta[..., -1:]
    )
    if interval != "fieller":
        return result
    frame, minus = result.to_frame().drop(columns=["statistic", "p"]), np.eye(size)[-1] * -1
    quantile = special.stdtrit(fit.df, 1 - alpha / 2)
    for name, own in zip(names, pick, strict=True):
        turn = np.stack([own, minus])
        (va, between), (_, vb) = turn @ fit.cov @ turn.T
        top, bottom = turn @ fit.beta
        frame.loc[name, ["low", "high"]] = fieller(top, bottom, va, vb, between, quantile)
    wide = np.isinf(frame["low"]).any()
    notes = (*fit.notes, *(["the price coefficient is not significantly off zero"] * int(wide)))
    source = f"{result.source}; interval: Fieller 1954"
    method = "Willingness to pay (Fieller)"
    return Result(method, frame, fit.n, alpha, source, notes, over=fit.over)


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
    interval: str = "delta",
    n_boot: int = 500,
    alpha: float = 0.05,
    rng: SeedLike = 0,
    data: pd.DataFrame | None = None,
) -> Result:
    """The price of one brand that maximises (p - cost) P_brand(p), the others' prices given.

    The first-order condition p - cost = -P / (dP / dp) = 1 / (b (1 - P)), b = -beta, has one
    solution: p = cost + (1 + W(exp(v - 1))) / b, with Lambert's W and v = a - b cost - log of the
    sum of exp utilities of the other alternatives. The delta method on it is the implicit function
    theorem on the condition. Quantities: price; share = P at it; profit = (p - cost) P, per
    customer. It extrapolates the logit where it lies outside the prices of the data, and a note
    says so. 1 / b is skewed while b is imprecise: the intervals are made on the scales of
    1 / (price - cost), the logit of the share and the log of the profit, which are nearer to
    normal; the upper end of the price is inf where the price coefficient may be 0.
    cost : per unit. brand : name or position of a priced alternative. at : (J,) prices of all
    priced alternatives (the brand's own is not used); None is their means in the data.
    Undefined: a price coefficient that is not negative has no best price (NaN, with a note).
    """
    fit = fit_logit(shares, price, weights, condition, cluster, interval, n_boot, alpha, rng)
    brand = brand.item() if isinstance(brand, np.integer) else brand
    k = fit.priced.index(brand) if isinstance(brand, str) and brand in fit.priced else brand
    if not isinstance(k, int) or isinstance(k, bool) or not 0 <= k < len(fit.priced):
        raise ValueError(f"brand is {shown(brand)}; legal are {fit.priced}, or their numbers")
    fit = sloped(fit)
    where = _at(fit, at)
    cost = float(column([cost], "cost")[0])

    def function(beta: FloatArray) -> FloatArray:
        slope = np.where(beta[..., -1] < 0, -beta[..., -1], np.nan)
        utility = _utilities(beta, where)
        others = special.logsumexp(np.delete(utility, k, axis=-1), axis=-1)
        v = utility[..., k] + slope * (where[k] - cost) - others
        margin = 1 + special.wrightomega(v - 1)  # in units of 1 / slope; W(exp(x)) is omega(x)
        share = 1 - 1 / margin  # the condition: margin (1 - P) = 1
        return np.stack([cost + margin / slope, share, margin / slope * share], axis=-1)

    def there(x: FloatArray) -> FloatArray:
        price, share, profit = np.moveaxis(x, -1, 0)
        with np.errstate(divide="ignore"):  # a share that is 0 to rounding has no logarithm
            found = np.stack([-1 / (price - cost), special.logit(share), np.log(profit)], axis=-1)
        return np.where(np.isfinite(found), found, np.nan)

    def back(x: FloatArray) -> FloatArray:
        price, share, profit = np.moveaxis(x, -1, 0)
        margin = np.divide(-1, price, out=np.full_like(price, np.inf), where=price < 0)
        margin[np.isnan(price)] = np.nan
        return np.stack([cost + margin, special.expit(share), np.exp(profit)], axis=-1)

    names = ["price", "share", "profit"]
    result = summarise(fit, "Profit-maximising price", names, function, (there, back))
    best, seen = result["price"]["estimate"], fit.prices[:, k]
    notes: tuple[str, ...] = ()
    if fit.beta[-1] >= 0:
        notes = ("the price coefficient is not negative: no best price",)
    elif best < seen.min() or best > seen.max():
        notes = (f"outside the prices of the data, {seen.min():g} to {seen.max():g}",)
    frame = result.to_frame().drop(columns=["statistic", "p"], errors="ignore")
    return Result(
        result.method, frame, fit.n, alpha, result.source, (*fit.notes, *notes), over=fit.over
    )


def _at(fit: LogitFit, at: npt.ArrayLike | None) -> FloatArray:
    if at is None:
        return np.asarray(fit.share @ fit.prices)
    return column(several(at), "at", rows=len(fit.priced))


def _utilities(beta: FloatArray, price: FloatArray) -> FloatArray:
    """(..., K) at prices (J,), from coefficients (..., K)."""
    utility = np.concatenate([beta[..., :-1], np.zeros_like(beta[..., :1])], axis=-1)
    utility[..., : len(price)] += beta[..., -1:] * price
    return utility


def _probabilities(beta: FloatArray, price: FloatArray) -> FloatArray:
    return np.asarray(special.softmax(_utilities(beta, price), axis=-1))
