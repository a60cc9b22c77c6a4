"""A model for tests and teaching that needs no transformer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simkit.scoring.types import Scores
from simkit.types import column, shown

__all__ = ["MockModel"]

ROUNDING = 1e-6  # by which a rule's probabilities may exceed 1 in total


@dataclass(frozen=True)
class MockModel:
    """Answers from a rule.

    Parameters
    ----------
    rule : callable
        rule(prompt) gives {option: probability} with a total up to 1. Options are looked up
        without surrounding blanks; one that the rule leaves out has probability 0
        (log-probability -inf).
    name : str
    card, identity : dict
        As in `simkit.scoring.Model`. A rule has no content that could be hashed: to keep its
        scores, name it in `identity`.

    Raises
    ------
    ValueError
        When it scores, naming the row of the prompt: for a rule that gives no mapping, what is no
        probability, or more than 1 in total to the options of a prompt (those that begin with
        another one, as "10" does with "1", are within it).

    Examples
    --------
    >>> import simkit as sk
    >>> model = sk.MockModel(lambda prompt: {"yes": 0.6, "no": 0.3})
    >>> model.scores(["Buy?"], [[" yes", " no"]]).valid_mass.round(2)
    array([0.9])
    """

    rule: Callable[[str], Mapping[str, float]]
    name: str = "mock"
    card: Mapping[str, Any] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        """See `simkit.scoring.Model`."""
        probability = np.empty((len(prompts), len(options[0]) if len(options) else 0))
        for row, (prompt, choices) in enumerate(zip(prompts, options, strict=True)):
            rule = self.rule(prompt)
            if not isinstance(rule, Mapping):
                raise ValueError(
                    f"row {row}: the rule gave {shown(rule)}; it must give {{option: probability}}"
                )
            values = column([*rule.values()], f"row {row}: the rule's probabilities", low=0, high=1)
            p = dict(zip(map(str, rule), values.tolist(), strict=True))
            probability[row] = [p.get(choice.strip(), 0.0) for choice in choices]
            # Options that do not begin with another one exclude each other.
            apart = [not any(c[:end] in choices for end in range(1, len(c))) for c in choices]
            total = probability[row][apart].sum()
            if total > 1 + ROUNDING:
                raise ValueError(f"row {row}: the rule's probabilities sum to {total:.6g}, over 1")
        with np.errstate(divide="ignore"):
            return Scores(np.log(probability), np.zeros(probability.shape, dtype=bool))
