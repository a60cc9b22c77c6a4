"""The market world in words: prompts about the store, their questions and their exact answers.

A document that announces an experiment has a price drawn at random; any other has the price that
the manager set. Hence P(answer | do(price)) for the one and P(answer | price) for the other,
both by enumeration (`exact`). `groceries` gives the designs for models that know nothing of this
world, in sentences of their own (`simkit.worlds.market.phrasings`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product as cartesian
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binom

from simkit.questions import Question
from simkit.resources import root
from simkit.types import (
    FloatArray,
    IntArray,
    check_labels,
    column,
    framed,
    generator,
    integer,
    one_of,
    scalar,
    shown,
)
from simkit.worlds.kinds import check_wordings, once
from simkit.worlds.market.causal import COVARIATES, PRICES, PRODUCTS, USUAL_PRICE, store
from simkit.worlds.market.phrasings import EXPERIMENTS, MULTIPLES, announce, distinct, tell
from simkit.worlds.scm import codes
from simkit.worlds.scm import profiles as combinations

__all__ = ["QUESTIONS", "covariate_profiles", "design", "exact", "groceries", "question", "stated",
           "with_context"]  # fmt: skip

# Question text, and the options' values: numbers that put the options on a scale.
_ASK: dict[str, tuple[str, tuple[Any, ...], tuple[float, ...]]] = {
    "buys": ("Does the customer buy it?", ("yes", "no"), (1, 0)),
    "season": ("Which season is it?", COVARIATES["season"], (0, 1)),
    "temperature": ("How is the weather?", COVARIATES["temperature"], (-1, 0, 1)),
    "rival_price": (
        "What does a rival store charge?", COVARIATES["rival_price"], COVARIATES["rival_price"],
    ),
    "regular_price": (
        "What is the regular price?", COVARIATES["regular_price"], COVARIATES["regular_price"],
    ),
    "income": ("What is the customer's income?", COVARIATES["income"], (-1, 0, 1)),
    "buyers": (
        "Of ten such customers, how many buy it?", tuple(range(11)), tuple(range(11)),
    ),
}  # fmt: skip
QUESTIONS = tuple(_ASK)
_DOLLARS = ("rival_price", "regular_price")


def question(name: str, usual_price: float = USUAL_PRICE) -> Question:
    """One of the world's questions: buys, buyers, or a covariate's name.

    The options of the two dollar questions are multiples of the product's usual price.
    """
    one_of(name, "question", QUESTIONS)
    usual_price = scalar(usual_price, "usual_price", 0)
    text, options, values = _ASK[name]
    if name in _DOLLARS:
        values = tuple(round(v * usual_price / USUAL_PRICE, 2) for v in values)
        return Question(text, [f"${v:.2f}" for v in values], values)
    return Question(text, [str(o) for o in options], values)


def exact(design: pd.DataFrame, ask: str = "buys") -> FloatArray:
    """True probabilities of the answers to `question(ask)`, by enumeration.

    Parameters
    ----------
    design : one row per prompt, with a column `price` and any of `product`, `experiment` and the
        covariates; missing values are averaged over as the world would have them. A row that
        names an experiment (a key of `EXPERIMENTS`) is P(answer | do(price), days of the
        experiment, what is said); a row that names none is P(answer | price, what is said).
    ask : the question's name. "buyers" is Binomial(10, P(buys)): ten customers of ten
        independent days that fit the prompt.

    Returns
    -------
    Array of shape (n_rows, n_options), options in the question's order. Rows that cannot happen
    (a cold day in an experiment on hot days) are NaN. Raises ValueError for a value that the
    world does not have, naming row, column and the legal values.
    """
    one_of(ask, "question", QUESTIONS)
    if ask == "buyers":
        return np.asarray(binom.pmf(np.arange(11)[None, :], 10, exact(design)[:, :1]))
    rows = framed(design, "the design").reset_index(drop=True)
    given = {
        v.name: store.encode(v.name, rows[v.name].tolist())
        for v in store.variables
        if v.name in rows and v.name != ask
    }
    experiments = rows.get("experiment", pd.Series([None] * len(rows), dtype=object))
    announced = _announced_weather(experiments)
    p = np.full((len(rows), len(store[ask].values)), np.nan)
    if ask != "temperature":
        possible = _state_weather(given, announced)
    for mask, do in ((experiments.isna(), ()), (experiments.notna(), ("price",))):
        if mask.any():
            p[mask] = store.conditional(ask, {k: v[mask] for k, v in given.items()}, do)
    if ask == "temperature":  # asked for the weather that was announced
        told = announced < p.shape[1]
        p[told] = np.eye(p.shape[1])[announced[told]]
    else:
        p[~possible] = np.nan
    return p


def _announced_weather(experiments: pd.Series) -> IntArray:
    """Code of the temperature that each row's experiment was run in, or the code for "not said"."""
    codes("experiment", experiments.tolist(), tuple(EXPERIMENTS))  # raises for an unknown one
    days = {name: plan["days"] for name, plan in EXPERIMENTS.items()}
    return store.encode("temperature", [days.get(e) for e in experiments])


def _state_weather(given: dict[str, IntArray], announced: IntArray) -> npt.NDArray[np.bool_]:
    """Write the announced weather into `given`; False where the row says another."""
    unsaid = len(store["temperature"].values)
    said = given.get("temperature", np.full(len(announced), unsaid))
    given["temperature"] = np.where(announced == unsaid, said, announced)
    return np.asarray((announced == unsaid) | (said == unsaid) | (said == announced))


def design(
    products: Sequence[str] = PRODUCTS,
    prices: Sequence[float] = PRICES,
    *,
    wordings: int | None = 1,
    **said: Any,
) -> pd.DataFrame:
    """Products × prices × wordings, with `said` the same in every row, and their text.

    wordings : how many phrasings of each prompt, no two of them the same text; None for all that
        there are. Raises ValueError for more than that, saying how many there are, and for a
        product or price that is there twice.

    >>> design(["ice cream"], [3.0]).context.item()
    'A store sells ice cream. The price is $3.00.'
    """
    for name, values in (("products", products), ("prices", prices)):
        once(name, values)
    rows = list(cartesian(products, prices, _wordings(wordings, known=True)))
    frame = pd.DataFrame(rows, columns=["product", "price", "wording"])
    return with_context(frame.assign(usual_price=USUAL_PRICE, **said))


def _wordings(asked: int | None, known: bool) -> range:
    asked = distinct(known) if asked is None else asked
    check_wordings(asked, distinct(known))
    return range(asked)


def groceries(
    multiples: Sequence[float] = MULTIPLES,
    *,
    first: int = 40,
    wordings: int | None = 1,
    **said: Any,
) -> pd.DataFrame:
    """The 40 groceries and the price grid of Gui & Toubia (arXiv 2312.15524, Table A.1).

    Prices are `multiples` of each product's regular price in dollars (0 to 2 in steps of 0.2 in
    the source); `first` keeps the first products of the list. Columns, wordings and errors as in
    `design`.
    """
    shelf = pd.read_csv(root("data") / "groceries.csv")
    shelf = shelf.head(integer(first, "first", 1, len(shelf)))
    once("multiples", multiples)
    multiples = column(multiples, "multiples", low=0).tolist()
    rows = [
        (product, round(price * m, 2), wording, price)
        for (product, price), m, wording in cartesian(
            shelf[["product", "regular_price_usd"]].itertuples(index=False, name=None),
            multiples,
            _wordings(wordings, known=False),
        )
    ]
    frame = pd.DataFrame(rows, columns=["product", "price", "wording", "usual_price"])
    return with_context(frame.assign(**said))


def with_context(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with a column `context`: what the prompt says, in English.

    Raises ValueError for an unknown experiment, and where two numbers in the column `wording` give
    the same text.
    """
    framed(frame, "the frame")
    return frame.assign(context=tell(announce(frame)))


def covariate_profiles(
    names: Sequence[str] = tuple(COVARIATES),
    product: str = PRODUCTS[0],
    usual_price: float = USUAL_PRICE,
) -> pd.DataFrame:
    """All combinations of the named covariates with their probability (column `weight`).

    The weights are the covariates' own joint distribution, whatever the price, so averaging
    P(buy | price, covariates) with them is the back-door adjustment (Pearl 2009, section 3.3).
    For a product that this world does not sell, the first product's distribution stands in.
    """
    if not isinstance(product, str):
        raise ValueError(f"product is {shown(product)}; it must be text")
    usual_price = scalar(usual_price, "usual_price", 0)
    joint = store.joint().sum(axis=(store.axis["price"], store.axis["buys"]))
    joint = joint[PRODUCTS.index(product) if product in PRODUCTS else 0]
    profiles = combinations(joint / joint.sum(), COVARIATES, names, "covariate")
    dollars = [c for c in profiles if c in _DOLLARS]
    profiles[dollars] = (profiles[dollars] * usual_price / USUAL_PRICE).round(2)
    return profiles


def stated(
    frame: pd.DataFrame,
    names: Sequence[str] = tuple(COVARIATES),
    *,
    profiles: int = 12,
    seed: int = 0,
) -> pd.DataFrame:
    """Each prompt with `profiles` draws of the named covariates stated, and its text.

    The draws are a systematic sample from the covariates' joint distribution (equal shares of
    the cumulative probability, one random start), a fresh one per product and wording and the
    same for all prices, so that the mean over the rows of a wording is the adjusted demand.
    Raises ValueError for profiles below 1, and where product, wording or usual price is missing.
    """
    integer(profiles, "profiles", 1, 100_000)
    for name in ("product", "wording", "usual_price"):
        if name not in framed(frame, "the frame") or frame[name].isna().any():
            raise ValueError(f"the frame has no column {name!r}, or a row without it; see `design`")
    if frame.empty:
        raise ValueError("the frame has no rows; see `design`")
    check_labels(frame[["product"]], "the frame")
    numbered = column(frame["wording"], "wording", low=0)
    if (numbered % 1 != 0).any():
        raise ValueError("wording holds numbers that are not whole; see `design`")
    parts = []
    for (product, wording), rows in frame.groupby(["product", "wording"], sort=False):
        usual = float(rows["usual_price"].iloc[0])
        table = covariate_profiles(names, str(product), usual)
        start = generator(seed, "stated", str(product), int(wording)).random()
        at = (np.arange(profiles) + start) / profiles
        picked = np.searchsorted(table["weight"].cumsum() / table["weight"].sum(), at)
        parts.append(rows.merge(table.iloc[picked].drop(columns="weight"), how="cross"))
    return with_context(pd.concat(parts, ignore_index=True))
