"""The market's sentences, and which of them each wording of a prompt uses.

Two tables. `KNOWN` is for products of the market world: the sentences that the glass box was
trained on (`SENTENCES`), and three more about the price on which its answers are as near to the
truth (the test of the market's phrasings measures it). `OTHER` is for everything else, in the
English of real models: 20 pairs of sentences about product and price, 20 announcements of an
experiment, several sentences for each covariate.

Wording w takes sentence w of each column, counted round its table. So the wordings of a prompt are
distinct up to the least common multiple of the tables of product and price, and over all of them
each sentence is used equally often. What follows those two comes in an order of the wording's own.
"""

from __future__ import annotations

from functools import cache
from math import lcm
from typing import Any

import numpy as np
import pandas as pd

from simkit.personas.render import describe
from simkit.templates import is_missing
from simkit.types import column, framed, generator, labels, scalar
from simkit.worlds.market.causal import PRICES, PRODUCTS, USUAL_PRICE
from simkit.worlds.scm import codes

__all__ = ["EXPERIMENTS", "KNOWN", "MULTIPLES", "OTHER", "SENTENCES", "announce", "distinct",
           "tell"]  # fmt: skip

Sentences = dict[str, tuple[str, ...]]

# What an announced experiment says of itself: the days it ran on, and the prices it drew from
# (a part of the price grid, given as a range or as a list).
EXPERIMENTS: dict[str, dict[str, Any]] = {
    "all days": {"days": None, "prices": slice(None), "told": None},
    "hot days": {"days": "hot", "prices": slice(None), "told": None},
    "cold days": {"days": "cold", "prices": slice(None), "told": None},
    "low prices": {"days": None, "prices": slice(None, 5), "told": "range"},
    "high prices": {"days": None, "prices": slice(5, None), "told": "range"},
    "all prices": {"days": None, "prices": slice(None), "told": "range"},
    "prices listed": {"days": None, "prices": slice(None), "told": "list"},
}
# Of the regular price: the grid of Gui & Toubia (2023).
MULTIPLES = tuple((np.arange(11) / 5).tolist())

SENTENCES: Sentences = {  # what the glass box reads in training
    "product": ("A store sells {product}.", "A customer looks at {product}."),
    "price": ("The price is ${price:.2f}.", "It costs ${price:.2f} today."),
    "experiment": ("The price was drawn at random in an experiment{experiment}.",),
    "season": ("It is {season}.",),
    "temperature": ("The day is {temperature}.",),
    "rival_price": ("A rival store charges ${rival_price:.2f}.",),
    "regular_price": ("The regular price is ${regular_price:.2f}.",),
    "income": ("The customer has a {income} income.",),
}

KNOWN: Sentences = SENTENCES | {
    "price": (
        *SENTENCES["price"],
        "The price is ${price:.2f} today.",
        "It costs ${price:.2f}.",
        "The price today is ${price:.2f}.",
    ),
}

_SCENES = (
    ("A store sells {product}.", "The price is ${price:.2f}."),
    ("A customer looks at {product}.", "It costs ${price:.2f} today."),
    ("A shopper finds {product} on a shelf.", "The price tag says ${price:.2f}."),
    ("A customer is thinking of buying {product}.", "The store asks ${price:.2f} for it."),
    (
        "In the supermarket, a customer stops in front of {product}.",
        "The label on the shelf reads ${price:.2f}.",
    ),
    ("A local store offers {product}.", "It is priced at ${price:.2f}."),
    ("A customer picks up {product} in a store.", "The sticker shows a price of ${price:.2f}."),
    ("At this store one can buy {product}.", "One pays ${price:.2f} for it."),
    ("A customer on a shopping trip comes across {product}.", "It can be had for ${price:.2f}."),
    ("Among the goods of a grocery store is {product}.", "Its price today is ${price:.2f}."),
    ("A customer asks about {product}.", "The clerk says that it costs ${price:.2f}."),
    ("A store has {product} in stock.", "The store charges ${price:.2f} for it."),
    ("A customer considers {product}.", "The current price is ${price:.2f}."),
    ("There is {product} for sale.", "Whoever wants it pays ${price:.2f}."),
    (
        "A customer walks through a store and sees {product}.",
        "The sign next to it says ${price:.2f}.",
    ),
    ("The product is {product}.", "The store sells it for ${price:.2f}."),
    (
        "A customer opens the app of a grocery store and looks at {product}.",
        "The app shows a price of ${price:.2f}.",
    ),
    ("A customer has {product} in hand.", "At the checkout it would cost ${price:.2f}."),
    ("A grocery store carries {product}.", "Customers pay ${price:.2f} for it there."),
    (
        "A customer has come to a store that sells {product}.",
        "The amount to pay is ${price:.2f}.",
    ),
)

OTHER: Sentences = {
    "product": tuple(product for product, _ in _SCENES),
    "price": tuple(price for _, price in _SCENES),
    "experiment": (
        "The price was drawn at random in an experiment{experiment}.",
        "The store runs an experiment and sets the price at random{experiment}.",
        "As part of a pricing experiment, this price was picked at random{experiment}.",
        "In a randomised experiment, the price was chosen by lot{experiment}.",
        "The price comes from an experiment in which it is drawn at random{experiment}.",
        "To test prices, the store draws them at random{experiment}.",
        "In an experiment of the store, a computer drew the price at random{experiment}.",
        "An experiment of the store draws the price at random{experiment}.",
        "Researchers assigned the price at random{experiment}.",
        "The store is testing prices; this one was assigned at random{experiment}.",
        "For a study of prices, the price was randomised{experiment}.",
        "For an experiment, the price was randomly selected{experiment}.",
        "An experiment is under way: the store lets chance pick the price{experiment}.",
        "Because the store runs an experiment, chance alone decided on this price{experiment}.",
        "The manager did not choose the price; an experiment drew it at random{experiment}.",
        "The price is part of a randomised trial: it was drawn by chance{experiment}.",
        "Every price in this experiment, this one too, is drawn at random{experiment}.",
        "To learn about demand, the store has its prices drawn at random{experiment}.",
        "By the rules of a price experiment, the price was set at random{experiment}.",
        "As in any randomised experiment, the price was left to chance{experiment}.",
    ),
    "season": (
        "It is {season}.",
        "The season is {season}.",
        "This happens in {season}.",
        "The time of year is {season}.",
    ),
    "temperature": (
        "The day is {temperature}.",
        "The weather is {temperature}.",
        "It is a {temperature} day.",
        "Outside it is {temperature}.",
        "Today the weather is {temperature}.",
    ),
    "rival_price": (
        "A rival store charges ${rival_price:.2f}.",
        "Another store sells the same product for ${rival_price:.2f}.",
        "A competitor asks ${rival_price:.2f} for it.",
        "At a competing store it costs ${rival_price:.2f}.",
    ),
    "regular_price": (
        "The regular price is ${regular_price:.2f}.",
        "The usual price is ${regular_price:.2f}.",
        "The product normally costs ${regular_price:.2f}.",
        "On most days it sells for ${regular_price:.2f}.",
        "The ordinary price is ${regular_price:.2f}.",
    ),
    "income": (
        "The customer has a {income} income.",
        "The customer earns a {income} income.",
        "The customer lives on a {income} income.",
        "The customer belongs to the {income} income group.",
    ),
}


def distinct(known: bool) -> int:
    """How many distinct wordings a prompt of product and price has.

    Parameters
    ----------
    known : whether the product is one of the market world's, with the sentences of `KNOWN`.

    Returns
    -------
    int
        The least common multiple of the numbers of sentences about product and price.

    Examples
    --------
    >>> distinct(known=True), distinct(known=False)
    (10, 20)
    """
    table = KNOWN if known else OTHER
    return lcm(len(table["product"]), len(table["price"]))


def tell(frame: pd.DataFrame) -> pd.Series:
    """What each row says in its wording (column `wording`; 0 if there is none), on its index.

    Rows about a product of the market world take their sentences from `KNOWN`, others from
    `OTHER`. Raises ValueError for a wording below 0, and where two wordings are one text: copies
    of a prompt tell nothing new, and must not count as further phrasings.
    """
    rows = framed(frame, "the frame").reset_index(drop=True)
    number, known = pd.Series(0, index=rows.index), pd.Series(True, index=rows.index)
    if "wording" in rows:
        column(rows["wording"], "wording", high=1e6)
        number = rows["wording"]
    if "product" in rows:
        labels(rows["product"], "product", len(rows))
        known = rows["product"].isin(PRODUCTS)
    parts = [
        describe(part.drop(columns="wording", errors="ignore"), _sentences(int(w), ours))
        for (w, ours), part in rows.groupby([number, known], sort=False)
    ]
    text = pd.concat(parts).sort_index() if parts else pd.Series(dtype=object)
    _check_distinct(text, number, known)
    return text.set_axis(frame.index)


def _sentences(wording: int, known: bool) -> Sentences:
    """One sentence per column, in the order of the wording."""
    if wording < 0:
        raise ValueError(f"wording={wording}; wordings are counted from 0")
    table = KNOWN if known else OTHER
    # In the training text the price may stand anywhere after the product; in plain English
    # "it costs" must follow what costs.
    lead, rest = list(table)[: 2 - known], list(table)[2 - known :]
    if wording:
        order = generator(0, "wording", wording).permutation(len(rest))
        rest = [rest[i] for i in order]
    return {c: (table[c][wording % len(table[c])],) for c in (*lead, *rest)}


def _check_distinct(text: pd.Series, number: pd.Series, known: pd.Series) -> None:
    """ValueError where two wordings are one text."""
    texts = pd.DataFrame({"text": text, "wording": number}).drop_duplicates()
    copies = texts[texts.duplicated("text", keep=False)]
    if len(copies):
        first = copies.index[0]
        same = copies.loc[copies["text"] == text[first], "wording"].tolist()
        raise ValueError(
            f"row {first}: wordings {same[0]} and {same[1]} are one text, "
            f"{text[first]!r}; a prompt of product and price has {distinct(known[first])} "
            "distinct wordings, counted from 0"
        )


def announce(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with each experiment's name replaced by the end of the sentence that tells it.

    Parameters
    ----------
    frame : with the columns `experiment` (a key of `EXPERIMENTS`, or None) and `product`, and for
        products that this world does not sell `usual_price`, in dollars.

    Returns
    -------
    DataFrame
        A copy; the frame itself where it has no column `experiment`.

    Raises
    ------
    ValueError
        For an unknown experiment, and for a product or usual price that is missing.

    Examples
    --------
    >>> frame = pd.DataFrame({"product": ["hot soup"], "experiment": ["low prices"]})
    >>> announce(frame).experiment.item()
    ' from $1.00 to $3.00'
    """
    if "experiment" not in framed(frame, "the frame"):
        return frame
    if "product" not in frame:
        raise ValueError("the frame has no column 'product', whose prices experiments name")
    labels(frame["product"], "product", len(frame))  # raises for what is missing or no label
    usual = frame["usual_price"] if "usual_price" in frame else [USUAL_PRICE] * len(frame)
    numbers = codes("experiment", frame["experiment"].tolist(), tuple(EXPERIMENTS))
    endings: list[str | None] = []
    for row, (code, product, price) in enumerate(
        zip(numbers, frame["product"], usual, strict=True)
    ):
        if code == len(EXPERIMENTS):  # none is announced
            endings.append(None)
            continue
        if product not in PRODUCTS:
            if is_missing(price):
                raise ValueError(f"row {row}: usual_price is {price}; experiments name its prices")
            price = scalar(price, f"row {row}: usual_price")
        endings.append(_ending([*EXPERIMENTS][code], product, price))
    return frame.assign(experiment=pd.Series(endings, index=frame.index, dtype=object))


@cache
def _ending(experiment: str, product: str, usual_price: float) -> str:
    """The end of the sentence that announces an experiment."""
    plan = EXPERIMENTS[experiment]
    if plan["days"] is not None:
        return f" on {plan['days']} days"
    grid = PRICES if product in PRODUCTS else [m * usual_price for m in MULTIPLES]
    prices = [f"${p:.2f}" for p in grid[plan["prices"]]]
    if plan["told"] == "list":
        return f" from these: {', '.join(prices)}"
    return f" from {prices[0]} to {prices[-1]}" if plan["told"] == "range" else ""
