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
    from simkit.personas import describe
    from simkit.questions import Question
    from simkit.result import Result
    from simkit.scoring import (
        BoundaryError,
        MockModel,
        believe,
        bundled,
        load,
        sample_choices,
        score,
    )

__version__ = "0.1.0"
__all__ = [
    "BoundaryError",
    "MockModel",
    "Question",
    "Result",
    "__version__",
    "believe",
    "bundled",
    "describe",
    "load",
    "sample_choices",
    "score",
]

_HOME = {
    "BoundaryError": "simkit.scoring",
    "MockModel": "simkit.scoring",
    "Question": "simkit.questions",
    "Result": "simkit.result",
    "believe": "simkit.scoring",
    "bundled": "simkit.scoring",
    "describe": "simkit.personas",
    "load": "simkit.scoring",
    "sample_choices": "simkit.scoring",
    "score": "simkit.scoring",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'simkit' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
