"""simkit: how far simulated people can be trusted.

    >>> import simkit as sk
    >>> lm = sk.load("glassbox")                                          # doctest: +SKIP
    >>> buys = sk.Question("Does the customer buy it?", ["yes", "no"])
    >>> sk.believe(lm, buys, design)                                      # doctest: +SKIP

Names load on first use, so that `import simkit` is quick and loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simkit.audit import pilot
    from simkit.personas import describe
    from simkit.questions import Question
    from simkit.result import Result
    from simkit.scoring import (
        BoundaryError,
        Cached,
        Chat,
        MockModel,
        at_temperature,
        average_orders,
        belief_at_pivot,
        belief_recorded,
        believe,
        bundled,
        chat_prompts,
        count_pivots,
        find_pivots,
        read_recorded,
        sample_choices,
        sample_runs,
        score,
        score_parquet,
        with_chat,
        worlds_of,
    )  # fmt: skip
    from simkit.scoring.export import export_gguf
    from simkit.scoring.load import load
    from simkit.survey import Survey, read_survey

__version__ = "0.1.0"
__all__ = [
    "BoundaryError", "Cached", "Chat", "MockModel", "Question", "Result", "Survey", "__version__",
    "at_temperature", "average_orders", "belief_at_pivot", "belief_recorded", "believe", "bundled",
    "chat_prompts", "count_pivots", "describe", "export_gguf", "find_pivots", "load", "pilot",
    "read_recorded", "read_survey", "sample_choices", "sample_runs", "score", "score_parquet",
    "with_chat", "worlds_of",
]  # fmt: skip

# Where the names are that are not in simkit.scoring.
_HOME = {
    "Question": "simkit.questions",
    "Result": "simkit.result",
    "Survey": "simkit.survey",
    "describe": "simkit.personas",
    "export_gguf": "simkit.scoring.export",
    "pilot": "simkit.audit",
    "read_survey": "simkit.survey",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'simkit' has no attribute {name!r}")
    return getattr(import_module(_HOME.get(name, "simkit.scoring")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
