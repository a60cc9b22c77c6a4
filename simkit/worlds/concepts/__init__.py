"""The concepts world: colours that come to mind, animals that are alike, and to whom."""

from simkit.worlds.concepts import causal, prompts
from simkit.worlds.concepts.causal import *  # noqa: F403
from simkit.worlds.concepts.prompts import *  # noqa: F403

__all__ = [*causal.__all__, *prompts.__all__]
