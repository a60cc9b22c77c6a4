"""A model for tests and teaching that needs no transformer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simkit.scoring.types import Scores
from simkit.types import FloatArray, column, shown

__all__ = ["MockModel"]

ROUNDING = 1e-6  # by which a rule's probabilities may exceed 1 in total


@dataclass(frozen=True)
class MockModel:
    """Answers from a rule: `rule(prompt)` gives {option: probability} with a total up to 1.

    >>> MockModel(lambda prompt: {"yes": 0.6, "no": 0.3}).scores(["Buy?"], [[" yes", " no"]])
    ...     .valid_mass.round(2)                                              # doctest: +SKIP
    array([0.9])

    card, identity : as in `simkit.scoring.Model`. A rule has no content that could be hashed: to
    keep its scores, name it in `identity`.

    Options are looked up without surrounding blanks; one that the rule leaves out has
    probability 0 (log-probability -inf). Raises ValueError, naming the row of the prompt, for a
    rule that gives no mapping, what is no probability, or more than 1 in total to the options of
    a prompt (those that begin with another one, as "10" does with "1", are within it).
    """

    rule: Callable[[str], Mapping[str, float]]
    name: str = "mock"
    card: Mapping[str, Any] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        """See `simkit.scoring.Model`."""
        probability = np.empty((len(prompts), len(options[0]) if len(options) else 0))
        for row, (prompt, choices) in enumerate(zip(prompts, options, strict=True)):
            p = _checked(self.rule(prompt), row)
            probability[row] = [p.get(choice.strip(), 0.0) for choice in choices]
            _check_total(probability[row], choices, row)
        with np.errstate(divide="ignore"):
            return Scores(np.log(probability), np.zeros(probability.shape, dtype=bool))


def _checked(given: Any, row: int) -> dict[str, float]:
    """The probabilities that a rule gave for a prompt; ValueError where they are none."""
    if not isinstance(given, Mapping):
        raise ValueError(
            f"row {row}: the rule gave {shown(given)}; it must give {{option: probability}}"
        )
    names = [str(name) for name in given]
    p = column(list(given.values()), f"row {row}: the rule's probabilities", low=0, high=1)
    return dict(zip(names, p.tolist(), strict=True))


def _check_total(p: FloatArray, choices: Sequence[str], row: int) -> None:
    """Options that do not begin with another one exclude each other."""
    known = {*choices}
    apart = [not any(c[:end] in known for end in range(1, len(c))) for c in choices]
    if p[apart].sum() > 1 + ROUNDING:
        raise ValueError(
            f"row {row}: the rule's probabilities sum to {p[apart].sum():.6g}; they must sum to 1 "
            "at most"
        )
