"""The survey world: respondents whose values move all their answers, and their interviews."""

from simkit.worlds.survey import causal, prompts
from simkit.worlds.survey.causal import *  # noqa: F403
from simkit.worlds.survey.prompts import *  # noqa: F403

__all__ = [*causal.__all__, *prompts.__all__]
