"""The market world in words: prompts about the store, their questions and their exact answers.

A document that announces an experiment has a price drawn at random; any other has the price that
the manager set. Hence P(answer | do(price)) for the one and P(answer | price) for the other,
both by enumeration (`exact`). `groceries` gives designs for models that know nothing of this
world, in other sentences (`simkit.worlds.market.phrasings`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product as cartesian
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom

from simkit.questions import Question
from simkit.resources import root
from simkit.types import (
    FloatArray,
    check_labels,
    column,
    framed,
    generator,
    integer,
    one_of,  # fmt: skip
    scalar,
    shown,
)
from simkit.worlds.kinds import check_wordings, once
from simkit.worlds.market.causal import COVARIATES, PRICES, PRODUCTS, USUAL_PRICE, store
from simkit.worlds.market.phrasings import EXPERIMENTS, MULTIPLES, announce, distinct, tell
from simkit.worlds.scm import codes
from simkit.worlds.scm import profiles as combinations

__all__ = ["QUESTIONS", "covariate_profiles", "design", "exact", "groceries", "question", "shelf",
           "stated", "with_context"]  # fmt: skip

# Question text, and the values that put the options on a scale; a covariate's options are its own.
_ASK: dict[str, tuple[str, tuple[float, ...]]] = {
    "buys": ("Does the customer buy it?", (1, 0)),
    "season": ("Which season is it?", (0, 1)),
    "temperature": ("How is the weather?", (-1, 0, 1)),
    "rival_price": ("What does a rival store charge?", COVARIATES["rival_price"]),
    "regular_price": ("What is the regular price?", COVARIATES["regular_price"]),
    "income": ("What is the customer's income?", (-1, 0, 1)),
    "buyers": ("Of ten such customers, how many buy it?", tuple(range(11))),
}
QUESTIONS = tuple(_ASK)
_DOLLARS = ("rival_price", "regular_price")


# What a model that has not read this world is asked: yes or no, or to fill in a number of dollars.
_YES_NO = {
    "season": "Is it summer?",
    "temperature": "Is the weather hot?",
    "income": "Does the customer have a high income?",
}
_BLANK = {
    "rival_price": "What does a rival store charge for it?",
    "regular_price": "What does it cost on most days?",
}
_ASKED = "{context}\nQuestion: {question} Yes or no?\nAnswer:"
_FILLED = "{context}\nQuestion: {question}\nAnswer: $"


def question(name: str, usual_price: float = USUAL_PRICE, *, known: bool = True) -> Question:
    """One of the market's questions.

    Parameters
    ----------
    name : "buys", "buyers" (of ten customers) or a covariate's name.
    usual_price : in dollars; the options of the two questions about prices are multiples of it.
    known : False for a model that has not read this world's texts. Whether it is summer, hot,
        and the income high is then asked with yes or no, and prices are a blank to fill in
        ("Answer: $"), in dollars from 0 to 70; their value is the middle of a dollar.

    Returns
    -------
    Question
        With values: dollars, or steps of an ordered scale.

    Raises
    ------
    ValueError
        For another name, or a price that is no number from 0.

    Examples
    --------
    >>> question("rival_price", usual_price=9.0).options
    ('$6.00', '$9.00', '$12.00')
    """
    one_of(name, "question", QUESTIONS)
    usual_price = scalar(usual_price, "usual_price", 0)
    text, values = _ASK[name]
    if name in _DOLLARS and not known:
        dollars, middle = range(70), [d + 0.5 for d in range(70)]
        whole = [f"{d}." for d in dollars]
        return Question(_BLANK[name], whole, middle, template=_FILLED, separator="")
    if name in _DOLLARS:
        values = tuple(round(v * usual_price / USUAL_PRICE, 2) for v in values)
        return Question(text, [f"${v:.2f}" for v in values], values)
    options = range(11) if name == "buyers" else store[name].values
    if name in COVARIATES and not known:
        return Question(_YES_NO[name], ["yes", "no"], (1, 0), template=_ASKED)
    return Question(text, [str(o) for o in options], values)


def exact(design: pd.DataFrame, ask: str = "buys") -> FloatArray:
    """True probabilities of the answers to `question(ask)`, by enumeration.

    Parameters
    ----------
    design : one row per prompt, with a column `price` and any of `product`, `experiment` and the
        covariates; missing values are averaged over as the world would have them. A row that
        names an experiment (a key of `EXPERIMENTS`) is P(answer | do(price), days of the
        experiment, what is stated); any other is P(answer | price, what is stated).
    ask : the question's name. "buyers" is Binomial(10, P(buys)): ten customers of ten
        independent days that fit the prompt.

    Returns
    -------
    ndarray
        Shape (n_rows, n_options), options in the question's order. Rows that cannot happen (a cold
        day in an experiment on hot days) are NaN.

    Raises
    ------
    ValueError
        For a value that the world does not have, naming row, column and the values there are.

    References
    ----------
    Pearl 2009, *Causality*, section 3.3 (conditional and interventional probability); the problem
    is that of Gui & Toubia 2023, arXiv 2312.15524.

    Examples
    --------
    A high price goes with hot days, when more ice cream is bought:

    >>> exact(design(["ice cream"], [4.0]))[0].round(3).tolist()
    [0.556, 0.444]
    >>> exact(design(["ice cream"], [4.0], experiment="all days"))[0].round(3).tolist()
    [0.404, 0.596]
    """
    one_of(ask, "question", QUESTIONS)
    if ask == "buyers":
        return np.asarray(binom.pmf(np.arange(11)[None, :], 10, exact(design)[:, :1]))
    rows = framed(design, "the design").reset_index(drop=True)
    given = store.stated(rows, but=(ask,))
    experiments = rows.get("experiment", pd.Series([None] * len(rows), dtype=object))
    codes("experiment", experiments.tolist(), tuple(EXPERIMENTS))  # raises for an unknown one
    days = {name: plan["days"] for name, plan in EXPERIMENTS.items()}
    weather = store.encode("temperature", [days.get(e) for e in experiments])
    unstated = len(store["temperature"].values)
    announced = weather != unstated
    possible = np.ones(len(rows), dtype=bool)
    if ask != "temperature":
        stated = given.get("temperature", np.full(len(rows), unstated))
        given["temperature"] = np.where(announced, weather, stated)
        possible = ~announced | (stated == unstated) | (stated == weather)
    p = np.full((len(rows), len(store[ask].values)), np.nan)
    for mask, do in ((experiments.isna(), ()), (experiments.notna(), ("price",))):
        if mask.any():
            p[mask] = store.conditional(ask, {k: v[mask] for k, v in given.items()}, do)
    if ask == "temperature":  # where the weather was announced, it is the answer
        p[announced] = np.eye(unstated)[weather[announced]]
    p[~possible] = np.nan
    return p


def design(
    products: Sequence[str] = PRODUCTS,
    prices: Sequence[float] = PRICES,
    *,
    wordings: int | None = 1,
    **stated: Any,
) -> pd.DataFrame:
    """Products × prices × wordings, and their text.

    Parameters
    ----------
    products : of `PRODUCTS`.
    prices : in dollars, of `PRICES`.
    wordings : how many phrasings of each prompt, no two of them the same text; None for all that
        there are.
    **stated
        Covariates, or `experiment` (a key of `EXPERIMENTS`), the same in every row.

    Returns
    -------
    DataFrame
        One row per prompt: `product`, `price`, `wording`, `usual_price`, what is stated, and the
        column `context`.

    Raises
    ------
    ValueError
        For more wordings than there are, saying how many there are; for a product or price that
        stands twice; for an unknown experiment.

    Examples
    --------
    >>> design(["ice cream"], [3.0]).context.item()
    'A store sells ice cream. The price is $3.00.'
    """
    for name, values in (("products", products), ("prices", prices)):
        once(name, values)
    rows = list(cartesian(products, prices, _wordings(wordings, known=True)))
    frame = pd.DataFrame(rows, columns=["product", "price", "wording"])
    return with_context(frame.assign(usual_price=USUAL_PRICE, **stated))


def _wordings(number: int | None, known: bool) -> range:
    number = distinct(known) if number is None else number
    check_wordings(number, distinct(known))
    return range(number)


def groceries(
    multiples: Sequence[float] = MULTIPLES,
    *,
    first: int = 40,
    wordings: int | None = 1,
    **stated: Any,
) -> pd.DataFrame:
    """The 40 groceries and the price grid of Gui & Toubia (2023).

    Parameters
    ----------
    multiples : prices as multiples of each product's regular price; by default 0 to 2 in steps of
        0.2, as in the article.
    first : how many products of the list, from the first.
    wordings, **stated
        As in :func:`design`.

    Returns
    -------
    DataFrame
        As :func:`design` gives it; prices in dollars.

    Raises
    ------
    ValueError
        As in :func:`design`, and for `first` out of 1 to 40.

    References
    ----------
    Gui & Toubia 2023, arXiv 2312.15524, Table A.1.

    Examples
    --------
    >>> groceries([0.5, 1.0], first=1).price.tolist()
    [4.71, 9.43]
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
    return with_context(frame.assign(**stated))


def shelf(products: int, wordings: int = 0) -> pd.DataFrame:
    """Some of the 40 groceries, taken evenly from the list, at all 11 prices.

    Parameters
    ----------
    products : how many.
    wordings : 0 for a phrasing of its own for each product (after 20 the first comes again), so
        that products are independent in what is asked and in how; else all products in the same
        so many phrasings.

    Returns
    -------
    DataFrame
        As :func:`groceries` gives it.

    Raises
    ------
    ValueError
        For `products` out of 1 to 40, and as :func:`groceries`.

    Examples
    --------
    >>> shelf(3).groupby("product", sort=False)["wording"].first().tolist()
    [0, 1, 2]
    """
    integer(products, "products", 1, 40)
    rows = groceries(wordings=wordings or None)
    names = rows["product"].unique()
    chosen = names[np.linspace(0, len(names) - 1, products).round().astype(int)].tolist()
    rows = rows[rows["product"].isin(chosen)]
    if not wordings:
        own = {name: i % distinct(known=False) for i, name in enumerate(chosen)}
        rows = rows[rows["wording"] == rows["product"].map(own)]
    return rows.reset_index(drop=True)


def with_context(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with a column `context`: what the prompt says, in English.

    Parameters
    ----------
    frame : one row per prompt, with the columns that :func:`design` gives.

    Returns
    -------
    DataFrame
        A copy, with the column `context`.

    Raises
    ------
    ValueError
        For an unknown experiment, and where two numbers in the column `wording` give the same text.

    Examples
    --------
    >>> frame = design(["hot soup"], [2.5]).assign(season="winter")
    >>> with_context(frame).context.item()
    'A store sells hot soup. The price is $2.50. It is winter.'
    """
    framed(frame, "the frame")
    return frame.assign(context=tell(announce(frame)))


def covariate_profiles(
    names: Sequence[str] = tuple(COVARIATES),
    product: str = PRODUCTS[0],
    usual_price: float = USUAL_PRICE,
) -> pd.DataFrame:
    """All combinations of the named covariates with their probability.

    The weights are the joint distribution of the covariates, whatever the price, so averaging
    P(buy | price, covariates) with them is the back-door adjustment.

    Parameters
    ----------
    names : of the covariates.
    product : whose weather and prices; for a product that this world does not sell, the first
        product's distribution stands in.
    usual_price : in dollars; the covariates that are prices are multiples of it.

    Returns
    -------
    DataFrame
        One row per combination; the probability is in the column `weight`.

    Raises
    ------
    ValueError
        For an unknown covariate, a product that is no text, a price that is no number from 0.

    References
    ----------
    Pearl 2009, *Causality*, section 3.3.

    Examples
    --------
    >>> covariate_profiles(["income"]).weight.round(2).tolist()
    [0.3, 0.4, 0.3]
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
    """Each prompt with draws of the named covariates stated, and its text.

    Parameters
    ----------
    frame : as :func:`design` or :func:`groceries` gives it.
    names : of the covariates that are stated.
    profiles : draws per prompt.
    seed : of the draws.

    Returns
    -------
    DataFrame
        `profiles` rows per row of the frame.

    Raises
    ------
    ValueError
        For profiles below 1, and where product, wording or usual price is missing.

    Notes
    -----
    The draws are a systematic sample from the joint distribution of the covariates (equal shares
    of the cumulative probability, one random start), a fresh one per product and wording and the
    same for all prices, so that the mean over the rows of a wording is the adjusted demand.

    Examples
    --------
    >>> stated(design(["hot soup"], [2.5]), ["season"], profiles=2).season.tolist()
    ['winter', 'summer']
    """
    integer(profiles, "profiles", 1, 100_000)
    for name in ("product", "wording", "usual_price"):
        if name not in framed(frame, "the frame") or frame[name].isna().any():
            raise ValueError(f"the frame has no column {name!r}, or a row without it; see `design`")
    if frame.empty:
        raise ValueError("the frame has no rows; see `design`")
    check_labels(frame[["product"]], "the frame")
    if (column(frame["wording"], "wording", low=0) % 1 != 0).any():
        raise ValueError("wording holds numbers that are not whole; see `design`")
    parts = []
    for (product, wording), rows in frame.groupby(["product", "wording"], sort=False):
        table = covariate_profiles(names, str(product), float(rows["usual_price"].iloc[0]))
        start = generator(seed, "stated", str(product), int(wording)).random()
        share = (np.arange(profiles) + start) / profiles
        draws = np.searchsorted(table["weight"].cumsum() / table["weight"].sum(), share)
        parts.append(rows.merge(table.iloc[draws].drop(columns="weight"), how="cross"))
    return with_context(pd.concat(parts, ignore_index=True))
