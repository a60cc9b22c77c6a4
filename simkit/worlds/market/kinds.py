"""The kinds of prompts that the market world writes: the store, and the choice of a brand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simkit.personas.render import describe
from simkit.worlds.kinds import Build, Kind, Kinds, Prompts, leave_out, wordings
from simkit.worlds.market import brands
from simkit.worlds.market.causal import COVARIATES, PRICES, store
from simkit.worlds.market.phrasings import EXPERIMENTS, SENTENCES, announce
from simkit.worlds.market.prompts import exact, question

__all__ = ["KINDS"]


def _store_kind(ask: str, covariates: str, experiment: str = "never") -> Build:
    """Prompts of the store: which covariates are stated, and whether an experiment is."""

    def build(n: int, rng: np.random.Generator, held_out: bool = False) -> Prompts:
        frame = _store_rows(n, rng, held_out)
        announced = rng.random(n) < {"never": 0.0, "maybe": 0.5, "always": 1.0}[experiment]
        _announce(frame, announced, rng)
        asked = str(rng.choice(list(COVARIATES))) if ask == "covariate" else ask
        if covariates != "all":
            leave_out(frame, COVARIATES, rng, all_=covariates == "none")
        if asked in frame:
            frame[asked] = None
        # Training text draws phrasing and order for each number, so that it may repeat itself;
        # designs (`with_context`) count distinct ones.
        frame["context"] = describe(announce(frame), SENTENCES)
        return frame, question(asked), exact(frame, asked)

    return build


def _store_rows(n: int, rng: np.random.Generator, held_out: bool) -> pd.DataFrame:
    """Products and prices evenly; covariates half as they go with the price, half as they come.

    The spread of prompts is free to choose: the answers are drawn given the prompt, so rare
    prices can be as well covered as common ones without changing any conditional probability.
    """
    drawn = store.sample(n, rng)
    price = rng.integers(len(PRICES), size=n)
    tied = rng.random(n) < 0.5
    order = ("product", *COVARIATES)
    joint = store.joint()[..., 0] + store.joint()[..., 1]
    for p in range(len(PRICES)):  # P(product, covariates | price)
        rows = np.flatnonzero(tied & (price == p))
        cells = joint[..., p].ravel() / joint[..., p].sum()
        picked = np.unravel_index(rng.choice(cells.size, len(rows), p=cells), joint.shape[:-1])
        for name, codes in zip(order, picked, strict=True):
            drawn[name][rows] = codes
    drawn["price"] = price
    frame = store.frame(drawn, (*order, "price")).astype(object)
    return frame.assign(wording=wordings(n, rng, held_out))


def _announce(frame: pd.DataFrame, announced: np.ndarray, rng: np.random.Generator) -> None:
    """Write an experiment into the announced rows, with the weather and the prices it implies."""
    names = np.array(list(EXPERIMENTS), dtype=object)
    weights = np.where(names == "all days", 3.0, 1.0)
    chosen = rng.choice(names, size=len(frame), p=weights / weights.sum())
    frame["experiment"] = pd.Series(chosen, dtype=object).where(announced, None)
    for name, plan in EXPERIMENTS.items():
        rows = frame.index[frame["experiment"] == name]
        prices = np.array(PRICES[plan["prices"]])
        frame.loc[rows, "price"] = rng.choice(prices, size=len(rows))
        if plan["days"] is not None:
            frame.loc[rows, "temperature"] = plan["days"]


def _brand_kind(ask: str) -> Build:
    """Prompts of the brand choice: prices even, thoughts as the prices bring them."""

    def build(n: int, rng: np.random.Generator, held_out: bool = False) -> Prompts:
        names = ("cuddles_price", "snugly_price", "style", "thought")
        frame = brands.shopper.frame(brands.shopper.sample(n, rng), names).astype(object)
        if ask == "letters":
            order = rng.random((n, len(brands.BRANDS))).argsort(1)
            frame[list(brands.LISTED)] = np.array(brands.BRANDS, dtype=object)[order]
        frame = brands.with_context(frame)
        return frame, brands.QUESTIONS[ask], brands.exact(frame, ask)

    return build


# Where a covariate is asked for: share, what is stated, and whether an experiment is.
_COVARIATE_KINDS = {
    "blind": (0.09, "none", "never"),
    "some stated": (0.07, "some", "maybe"),
    "unblinded": (0.06, "none", "always"),
}

KINDS: Kinds = {
    "purchase, blind": Kind(_store_kind("buys", "none"), 0.09),
    "purchase, some stated": Kind(_store_kind("buys", "some"), 0.16),
    "purchase, all stated": Kind(_store_kind("buys", "all"), 0.13),
    "purchase, unblinded": Kind(_store_kind("buys", "none", "always"), 0.12),
    "purchase, unblinded and stated": Kind(_store_kind("buys", "some", "always"), 0.08),
    **{
        f"covariate, {kind}": Kind(_store_kind("covariate", *how), share, held_out=False)
        for kind, (share, *how) in _COVARIATE_KINDS.items()
    },
    "ten customers": Kind(_store_kind("buyers", "none", "maybe"), 0.05),
    "brand share": Kind(_brand_kind("share"), 0.02),
    "brand thought": Kind(_brand_kind("thought"), 0.03, ends=False),  # a choice follows
    "brand choice": Kind(_brand_kind("choice"), 0.05),
    "brand letters": Kind(_brand_kind("letters"), 0.05),
    **{  # held out, each covariate apart
        f"{name}, {kind}": Kind(_store_kind(name, *how))
        for kind, (_, *how) in _COVARIATE_KINDS.items()
        for name in COVARIATES
    },
}
