"""Wing 1: from prompts and options to log-probabilities and beliefs."""

import warnings

from tqdm import TqdmWarning

with warnings.catch_warnings():
    # transformers' progress bars complain on stderr where ipywidgets is missing; none is shown.
    warnings.simplefilter("ignore", TqdmWarning)
    from simkit.scoring.local import LocalModel
from simkit.scoring.belief import believe, score
from simkit.scoring.cache.cached import Cached
from simkit.scoring.chat import Chat, chat_prompts, with_chat
from simkit.scoring.choices import sample_choices
from simkit.scoring.load import load
from simkit.scoring.mass import LowMassWarning
from simkit.scoring.mock import MockModel
from simkit.scoring.orders import average_orders
from simkit.scoring.parquet.score import score_parquet
from simkit.scoring.pivot.censored import belief_recorded
from simkit.scoring.pivot.find import count_pivots, find_pivots
from simkit.scoring.pivot.mentions import surface_forms
from simkit.scoring.pivot.read import belief_at_pivot
from simkit.scoring.pivot.recorded import Recorded, as_recorded, read_recorded
from simkit.scoring.runs.sampling import sample_runs
from simkit.scoring.runs.write import write
from simkit.scoring.source import bundled
from simkit.scoring.temperature import at_temperature
from simkit.scoring.types import BoundaryError, Model, Scores, worlds_of

__all__ = [
    "BoundaryError",
    "Cached",
    "Chat",
    "LocalModel",
    "LowMassWarning",
    "MockModel",
    "Model",
    "Recorded",
    "Scores",
    "as_recorded",
    "at_temperature",
    "average_orders",
    "belief_at_pivot",
    "belief_recorded",
    "believe",
    "bundled",
    "chat_prompts",
    "count_pivots",
    "find_pivots",
    "load",
    "read_recorded",
    "sample_choices",
    "sample_runs",
    "score",
    "score_parquet",
    "surface_forms",
    "with_chat",
    "worlds_of",
    "write",
]
