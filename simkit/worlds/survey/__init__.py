"""The survey world: respondents whose values move all their answers, and their interviews."""

# ruff: noqa: F403, F405
from simkit.worlds.survey.causal import *
from simkit.worlds.survey.prompts import *

__all__ = ["AGREEMENT", "DEMOGRAPHICS", "INFORMATION", "ITEMS", "KINDS", "LATENTS", "LEVELS",
           "POPULATIONS", "QUESTIONS", "SENTENCES", "Population", "design", "exact",
           "item_correlation", "latent_share", "marginal", "profiles", "question", "respondents",
           "with_context"]  # fmt: skip
