"""The survey world: respondents whose values move all their answers, and their interviews."""

from simkit.worlds.survey.causal import (
    AGREEMENT,
    DEMOGRAPHICS,
    INFORMATION,
    ITEMS,
    LATENTS,
    LEVELS,
    POPULATIONS,
    Population,
    item_correlation,
    latent_share,
    respondents,
)
from simkit.worlds.survey.prompts import (
    KINDS,
    QUESTIONS,
    SENTENCES,
    design,
    exact,
    marginal,
    profiles,
    question,
    with_context,
)

__all__ = ["AGREEMENT", "DEMOGRAPHICS", "INFORMATION", "ITEMS", "KINDS", "LATENTS", "LEVELS",
           "POPULATIONS", "QUESTIONS", "SENTENCES", "Population", "design", "exact",
           "item_correlation", "latent_share", "marginal", "profiles", "question", "respondents",
           "with_context"]  # fmt: skip
