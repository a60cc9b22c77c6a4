"""What every scoring backend takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from simkit.types import FloatArray, shown

__all__ = ["BoundaryError", "Model", "Scores", "check_model"]


class BoundaryError(ValueError):
    """The last token of the prompt merges with the option, so other text would be scored."""


@dataclass(frozen=True)
class Scores:
    """Log-probabilities of options.

    logprob : (n_prompts, n_options), natural log, summed over the option's tokens.
    nested : (n_prompts, n_options), True where the option's tokens begin with another option of
        the same prompt ("yes, please" beside "yes"): its mass is part of that option's mass.
    """

    logprob: FloatArray
    nested: npt.NDArray[np.bool_]

    @property
    def valid_mass(self) -> FloatArray:
        """(n_prompts,) probability that the text goes on with one of the options, in 0–1."""
        return np.asarray(np.where(self.nested, 0.0, np.exp(self.logprob)).sum(1))


class Model(Protocol):
    """Anything that scores options after prompts."""

    @property
    def name(self) -> str: ...

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        """Scores of `options[i]` (all of one length, separators included) after `prompts[i]`."""


def check_model(model: Any) -> None:
    """ValueError for a name or path in a model's place, and for what scores nothing."""
    if isinstance(model, str | PathLike):
        raise ValueError(f"model is {str(model)!r}; load it first: simkit.load({str(model)!r})")
    if isinstance(model, type) or not callable(getattr(model, "scores", None)):
        raise ValueError(
            f"model is {shown(model)}; it must be from simkit.load, or an object with `name` and "
            "`scores`"
        )
