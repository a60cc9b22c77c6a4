"""The market world: a store whose price and sales have common causes, and a choice of brands."""

from simkit.worlds.market import brands, causal, phrasings, prompts
from simkit.worlds.market.causal import *  # noqa: F403
from simkit.worlds.market.kinds import KINDS
from simkit.worlds.market.phrasings import *  # noqa: F403
from simkit.worlds.market.prompts import *  # noqa: F403

__all__ = ["KINDS", "brands", *causal.__all__, *phrasings.__all__, *prompts.__all__]
