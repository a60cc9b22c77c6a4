"""The market world: a store whose price and sales have common causes, and a choice of brands."""

# ruff: noqa: F403, F405
from simkit.worlds.market import brands
from simkit.worlds.market.causal import *
from simkit.worlds.market.kinds import KINDS
from simkit.worlds.market.phrasings import *
from simkit.worlds.market.prompts import *

__all__ = ["COVARIATES", "EXPERIMENTS", "KINDS", "KNOWN", "MULTIPLES", "OTHER", "PRICES",
           "PRODUCTS", "QUESTIONS", "SENTENCES", "announce", "brands", "covariate_profiles",
           "design", "distinct", "exact", "groceries", "question", "shelf", "stated", "store",
           "with_context"]  # fmt: skip
