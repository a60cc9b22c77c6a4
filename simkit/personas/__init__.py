"""Wing 2: respondents and their text."""

from simkit.personas.render import describe

__all__ = ["describe"]
