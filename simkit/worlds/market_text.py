"""The kinds of prompts that the market world writes: the store, and the choice of a brand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simkit.personas.render import describe
from simkit.worlds import brands, market
from simkit.worlds.kinds import Kind, Kinds, Prompts, wordings
from simkit.worlds.store import store

__all__ = ["HELD_OUT", "KINDS", "UNFINISHED"]


def _store_kind(ask: str, covariates: str, experiment: str = "never") -> Kind:
    """Prompts of the store: which covariates are stated, and whether an experiment is."""

    def build(n: int, rng: np.random.Generator, held_out: bool = False) -> Prompts:
        frame = _store_rows(n, rng, held_out)
        announced = rng.random(n) < {"never": 0.0, "maybe": 0.5, "always": 1.0}[experiment]
        _announce(frame, announced, rng)
        asked = str(rng.choice(list(market.COVARIATES))) if ask == "covariate" else ask
        _leave_out(frame, covariates, rng)
        if asked in frame:
            frame[asked] = None
        # Training text draws phrasing and order for each number, so that it may repeat itself;
        # designs (`market.with_context`) count distinct ones.
        frame["context"] = describe(market.announce(frame), market.SENTENCES)
        return frame, market.question(asked), market.exact(frame, asked)

    return build


def _store_rows(n: int, rng: np.random.Generator, held_out: bool) -> pd.DataFrame:
    """Products and prices evenly; covariates half as they go with the price, half as they come.

    The spread of prompts is free to choose: the answers are drawn given the prompt, so rare
    prices can be as well covered as common ones without changing any conditional probability.
    """
    scm = store
    drawn = scm.sample(n, rng)
    price = rng.integers(len(market.PRICES), size=n)
    tied = rng.random(n) < 0.5
    order = ("product", *market.COVARIATES)
    joint = scm.joint()[..., 0] + scm.joint()[..., 1]
    for p in range(len(market.PRICES)):  # P(product, covariates | price)
        rows = np.flatnonzero(tied & (price == p))
        cells = joint[..., p].ravel() / joint[..., p].sum()
        picked = np.unravel_index(rng.choice(cells.size, len(rows), p=cells), joint.shape[:-1])
        for name, codes in zip(order, picked, strict=True):
            drawn[name][rows] = codes
    drawn["price"] = price
    columns = (*order, "price")
    frame = pd.DataFrame(
        {c: np.array(scm[c].values, dtype=object)[drawn[c]] for c in columns}, dtype=object
    )
    return frame.assign(wording=wordings(n, rng, held_out))


def _announce(frame: pd.DataFrame, announced: np.ndarray, rng: np.random.Generator) -> None:
    """Write an experiment into the announced rows, with the weather and the prices it implies."""
    names = np.array(list(market.EXPERIMENTS), dtype=object)
    weights = np.array([3.0 if name == "all days" else 1.0 for name in names])
    chosen = rng.choice(names, size=len(frame), p=weights / weights.sum())
    frame["experiment"] = pd.Series(chosen, dtype=object).where(announced, None)
    for name, plan in market.EXPERIMENTS.items():
        rows = frame.index[frame["experiment"] == name]
        prices = np.array(market.PRICES[plan["prices"]])
        frame.loc[rows, "price"] = rng.choice(prices, size=len(rows))
        if plan["days"] is not None:
            frame.loc[rows, "temperature"] = plan["days"]


def _leave_out(frame: pd.DataFrame, covariates: str, rng: np.random.Generator) -> None:
    """Drop covariates: "none" are stated, "all" are, or "some" (an even number of them)."""
    if covariates == "all":
        return
    names = list(market.COVARIATES)
    keep = rng.integers(len(names) + 1, size=(len(frame), 1)) if covariates == "some" else 0
    rank = rng.random((len(frame), len(names))).argsort(1)
    for column, name in enumerate(names):
        frame[name] = frame[name].where(rank[:, column] < np.ravel(keep), None)


def _brand_kind(ask: str) -> Kind:
    """Prompts of the brand choice: prices even, thoughts as the prices bring them."""

    def build(n: int, rng: np.random.Generator, held_out: bool = False) -> Prompts:
        scm = brands.shopper
        drawn = scm.sample(n, rng)
        names = ("cuddles_price", "snugly_price", "style", "thought")
        frame = pd.DataFrame(
            {c: np.array(scm[c].values, dtype=object)[drawn[c]] for c in names}, dtype=object
        )
        if ask == "letters":
            order = rng.random((n, len(brands.BRANDS))).argsort(1)
            frame[list(brands.LISTED)] = np.array(brands.BRANDS, dtype=object)[order]
        frame = brands.with_context(frame)
        return frame, brands.QUESTIONS[ask], brands.exact(frame, ask)

    return build


# What is stated, and whether an experiment is, where a covariate is asked for.
_COVARIATE_KINDS = {
    "blind": ("none", "never"),
    "some stated": ("some", "maybe"),
    "unblinded": ("none", "always"),
}

KINDS: Kinds = {
    "purchase, blind": (0.09, _store_kind("buys", "none")),
    "purchase, some stated": (0.16, _store_kind("buys", "some")),
    "purchase, all stated": (0.13, _store_kind("buys", "all")),
    "purchase, unblinded": (0.12, _store_kind("buys", "none", "always")),
    "purchase, unblinded and stated": (0.08, _store_kind("buys", "some", "always")),
    "covariate, blind": (0.09, _store_kind("covariate", *_COVARIATE_KINDS["blind"])),
    "covariate, some stated": (0.07, _store_kind("covariate", *_COVARIATE_KINDS["some stated"])),
    "covariate, unblinded": (0.06, _store_kind("covariate", *_COVARIATE_KINDS["unblinded"])),
    "ten customers": (0.05, _store_kind("buyers", "none", "maybe")),
    "brand share": (0.02, _brand_kind("share")),
    "brand thought": (0.03, _brand_kind("thought")),
    "brand choice": (0.05, _brand_kind("choice")),
    "brand letters": (0.05, _brand_kind("letters")),
}
UNFINISHED = ("brand thought",)  # kinds whose answer is not the end of the text


# kind -> how to build held-out prompts: the mixture's kinds, each covariate apart.
HELD_OUT: dict[str, Kind] = {
    **{k: build for k, (_, build) in KINDS.items() if not k.startswith("covariate, ")},
    **{
        f"{name}, {kind}": _store_kind(name, *how)
        for kind, how in _COVARIATE_KINDS.items()
        for name in market.COVARIATES
    },
}
