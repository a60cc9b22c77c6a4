"""Wing 1: from prompts and options to log-probabilities and beliefs."""

import warnings

from tqdm import TqdmWarning

with warnings.catch_warnings():
    # transformers' progress bars complain on stderr where ipywidgets is missing; none is shown.
    warnings.simplefilter("ignore", TqdmWarning)
    from simkit.scoring.local import LocalModel, bundled, load
from simkit.scoring.belief import believe, sample_choices, score
from simkit.scoring.mock import MockModel
from simkit.scoring.types import BoundaryError, Model, Scores

__all__ = [
    "BoundaryError",
    "LocalModel",
    "MockModel",
    "Model",
    "Scores",
    "believe",
    "bundled",
    "load",
    "sample_choices",
    "score",
]
