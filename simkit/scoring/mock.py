"""A model for tests and teaching that needs no transformer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simkit.scoring.types import Scores

__all__ = ["MockModel"]


@dataclass(frozen=True)
class MockModel:
    """Answers from a rule: `rule(prompt)` gives {option: probability} with a total up to 1.

    >>> MockModel(lambda prompt: {"yes": 0.6, "no": 0.3}).scores(["Buy?"], [[" yes", " no"]])
    ...     .valid_mass.round(2)                                              # doctest: +SKIP
    array([0.9])

    Options are looked up without surrounding blanks; one that the rule leaves out has
    probability 0 (log-probability -inf).
    """

    rule: Callable[[str], Mapping[str, float]]
    name: str = "mock"

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        """See `simkit.scoring.types.Model`."""
        rows = []
        for prompt, choices in zip(prompts, options, strict=True):
            p = self.rule(prompt)
            rows.append([p.get(choice.strip(), 0.0) for choice in choices])
        probability = np.array(rows, dtype=float)
        with np.errstate(divide="ignore"):
            return Scores(np.log(probability), np.zeros(probability.shape, dtype=bool))
