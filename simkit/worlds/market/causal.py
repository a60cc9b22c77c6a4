"""The numbers of the market world: a store whose manager sets the price by looking at demand.

Causes run season -> temperature -> rival's price -> price -> purchase. Temperature, season, the
rival's price, the regular price and the customer's income move the purchase; all of them (the
season through the temperature) also move the manager's price. So price and purchase are
confounded wherever the text leaves them unsaid: the problem of Gui & Toubia (arXiv 2312.15524).
All numbers are this project's own, and none describes people.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simkit.types import IntArray
from simkit.worlds.scm import SCM, Variable, bell

__all__ = ["COVARIATES", "PRICES", "PRODUCTS", "USUAL_PRICE", "store"]

PRODUCTS = ("ice cream", "hot soup", "orange juice")
PRICES = tuple(np.arange(1.0, 6.0, 0.5).tolist())
USUAL_PRICE = 3.0  # dollars; every product of this store costs about that
COVARIATES: dict[str, tuple[Any, ...]] = {
    "season": ("winter", "summer"),
    "temperature": ("cold", "mild", "hot"),
    "rival_price": (2.0, 3.0, 4.0),
    "regular_price": (2.5, 3.0, 3.5),
    "income": ("low", "middle", "high"),
}

# Per product: intercept, then the logit weight of price ($), temperature (step), season (half a
# step each way), rival's price ($), regular price (half dollar), income (step).
_TASTE = {
    "ice cream": (0.2, -1.1, 1.3, 0.4, 0.9, 0.5, 0.6),
    "hot soup": (0.2, -1.0, 1.2, 0.5, 0.9, 0.6, 0.4),
    "orange juice": (0.0, -1.2, 0.7, 0.3, 1.2, 0.7, 0.8),
}
# Per product: how far the manager moves the price ($) for one step of temperature, one dollar of
# the rival's price, half a dollar of regular price, one step of income.
_POLICY = {
    "ice cream": (0.80, 0.50, 0.35, 0.35),
    "hot soup": (0.75, 0.50, 0.35, 0.30),
    "orange juice": (0.50, 0.70, 0.40, 0.45),
}
_WARMTH = {"ice cream": 1.0, "hot soup": -1.0, "orange juice": 1.0}  # soup sells in the cold
_MIDDLE_PRICE, _POLICY_SPREAD, _RIVAL_SPREAD = 3.25, 0.9, 0.8


def _grid(*sizes: int) -> list[IntArray]:
    return list(np.meshgrid(*(np.arange(s) for s in sizes), indexing="ij"))


def _store() -> SCM:
    warmth = np.array([_WARMTH[p] for p in PRODUCTS])
    taste = np.array([_TASTE[p] for p in PRODUCTS]).T
    policy = np.array([_POLICY[p] for p in PRODUCTS]).T
    item, season, temp, rival, regular, income = _grid(3, 2, 3, 3, 3, 3)
    demand = warmth[item] * (temp - 1.0)
    pull = [demand, rival - 1.0, regular - 1.0, income - 1.0]
    centre = _MIDDLE_PRICE + sum(w[item] * x for w, x in zip(policy, pull, strict=True))
    shift = [demand, warmth[item] * (season - 0.5), *pull[1:]]
    utility = taste[0][item] + sum(w[item] * x for w, x in zip(taste[2:], shift, strict=True))
    price_term = taste[1][item][..., None] * (np.array(PRICES) - _MIDDLE_PRICE)
    buys = 1 / (1 + np.exp(-(utility[..., None] + price_term)))
    items, temps = _grid(3, 3)
    rival_centre = 3.0 + 0.5 * warmth[items] * (temps - 1.0)
    before = ("product", "season", "temperature", "rival_price", "regular_price", "income")
    by_season = np.array([[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]])
    rival_table = bell(COVARIATES["rival_price"], rival_centre, _RIVAL_SPREAD)
    thirds = np.array([0.3, 0.4, 0.3])
    return SCM((
        Variable("product", PRODUCTS, np.full(3, 1 / 3)),
        Variable("season", COVARIATES["season"], np.array([0.5, 0.5])),
        Variable("temperature", COVARIATES["temperature"], by_season, ("season",)),
        Variable("rival_price", COVARIATES["rival_price"], rival_table, ("product", "temperature")),
        Variable("regular_price", COVARIATES["regular_price"], thirds),
        Variable("income", COVARIATES["income"], thirds),
        Variable("price", PRICES, bell(PRICES, centre, _POLICY_SPREAD), before),
        Variable("buys", ("yes", "no"), np.stack([buys, 1 - buys], axis=-1), (*before, "price")),
    ))  # fmt: skip


store: SCM = _store()
