"""Wing 1: from prompts and options to log-probabilities and beliefs."""

from simkit.scoring.belief import believe, score
from simkit.scoring.local import LocalModel, load
from simkit.scoring.mock import MockModel
from simkit.scoring.types import BoundaryError, Model, Scores

__all__ = [
    "BoundaryError",
    "LocalModel",
    "MockModel",
    "Model",
    "Scores",
    "believe",
    "load",
    "score",
]
