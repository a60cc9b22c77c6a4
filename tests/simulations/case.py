"""One line of the coverage page: an estimator, a design, and a repetition of it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# One repetition: does the interval contain the truth (coverage), or does the test reject (size)?
# None where no interval or test is given.
Repetition = Callable[[np.random.Generator], bool | None]

ORDINARY = {"coverage": (0.93, 0.97), "size": (0.03, 0.07)}  # at a nominal 0.95 and 0.05


@dataclass(frozen=True)
class Case:
    """What is simulated, and within which ends its coverage (or size) must lie.

    estimator : its public name ("demand_curve"). quantity : the row and what is read of it
    ("price=2, interval"). design : units and truth in words ("6 wordings x 10 products, all of a
    wording's effect shared"). promise : ends of the coverage or size; None takes those of ordinary
    designs. why : for any other promise, the reason, which the page prints and the estimator's
    docstring or note must say too. repetitions : of the long form.
    """

    estimator: str
    quantity: str
    design: str
    repetition: Repetition
    kind: str = "coverage"
    promise: tuple[float, float] | None = None
    why: str = ""
    repetitions: int = 500

    def __post_init__(self) -> None:
        if self.kind not in ORDINARY or (self.promise is not None and not self.why):
            raise ValueError(f"{self.name}: kind is {self.kind}, promise {self.promise}, no reason")

    @property
    def name(self) -> str:
        return f"{self.estimator}: {self.quantity}; {self.design}"

    @property
    def ends(self) -> tuple[float, float]:
        return ORDINARY[self.kind] if self.promise is None else self.promise


@dataclass(frozen=True)
class Found:
    """`share` of the `n` repetitions with an answer; `none` had no interval."""

    share: float
    n: int
    none: int

    @property
    def error(self) -> float:
        """Standard error of the share (of one more success and failure, so that it is never 0)."""
        p = (self.share * self.n + 1) / (self.n + 2)
        return float(np.sqrt(p * (1 - p) / max(self.n, 1)))

    def fits(self, case: Case, errors: float) -> bool:
        """Whether the share lies within the promise, give or take some standard errors."""
        low, high = case.ends
        slack = errors * self.error
        return self.n > 0 and low - slack <= self.share <= high + slack


def simulate(case: Case, repetitions: int) -> Found:
    """Repetitions with a stream of their own each, so that any one can be repeated alone."""
    seed = zlib.crc32(case.name.encode())
    answers = [case.repetition(np.random.default_rng([seed, r])) for r in range(repetitions)]
    given = [bool(answer) for answer in answers if answer is not None]
    share = float(np.mean(given)) if given else float("nan")
    return Found(share, len(given), repetitions - len(given))
