"""The market world: a store whose price and sales have common causes, and a choice of brands."""

from simkit.worlds.market import brands
from simkit.worlds.market.causal import COVARIATES, PRICES, PRODUCTS, store
from simkit.worlds.market.kinds import KINDS
from simkit.worlds.market.phrasings import (
    EXPERIMENTS,
    KNOWN,
    MULTIPLES,
    OTHER,
    SENTENCES,
    announce,
    distinct,
)
from simkit.worlds.market.prompts import (
    QUESTIONS,
    covariate_profiles,
    design,
    exact,
    groceries,
    question,
    stated,
    with_context,
)

__all__ = ["COVARIATES", "EXPERIMENTS", "KINDS", "KNOWN", "MULTIPLES", "OTHER", "PRICES",
           "PRODUCTS", "QUESTIONS", "SENTENCES", "announce", "brands", "covariate_profiles",
           "design", "distinct", "exact", "groceries", "question", "stated", "store",
           "with_context"]  # fmt: skip
