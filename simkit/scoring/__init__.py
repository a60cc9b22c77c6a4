"""Wing 1: from prompts and options to log-probabilities and beliefs."""

import warnings

from tqdm import TqdmWarning

with warnings.catch_warnings():
    # transformers' progress bars complain on stderr where ipywidgets is missing; none is shown.
    warnings.simplefilter("ignore", TqdmWarning)
    from simkit.scoring.local import LocalModel, bundled, load
from simkit.scoring.at_pivot import belief_at_pivot
from simkit.scoring.belief import believe, sample_choices, score
from simkit.scoring.censored import belief_recorded
from simkit.scoring.chat import Chat, chat_prompts
from simkit.scoring.interface import as_recorded
from simkit.scoring.mentions import surface_forms
from simkit.scoring.mock import MockModel
from simkit.scoring.orders import average_orders
from simkit.scoring.pivot import Pivot, count_pivots, find_pivot, find_pivots
from simkit.scoring.recorded import Recorded, read_recorded
from simkit.scoring.runs import sample_runs
from simkit.scoring.stream import score_parquet
from simkit.scoring.temperature import at_temperature
from simkit.scoring.types import BoundaryError, Model, Scores
from simkit.scoring.write import write

__all__ = [
    "BoundaryError",
    "Chat",
    "LocalModel",
    "MockModel",
    "Model",
    "Pivot",
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
    "find_pivot",
    "find_pivots",
    "load",
    "read_recorded",
    "sample_choices",
    "sample_runs",
    "score",
    "score_parquet",
    "surface_forms",
    "write",
]
