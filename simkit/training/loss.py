"""What is minimised: cross-entropy of the answers, and the expected distance of numeric ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from simkit.training.packing import Batch
from simkit.types import FloatArray, listed, scalar

__all__ = ["Losses", "NumericLoss", "losses"]


@dataclass(frozen=True)
class NumericLoss:
    """The penalty λ Σ_v p(v) d(v, y) for a numeric answer y, d = slope · max(0, |v - y| - width).

    p(v) is the model's belief over all values v of the question's scale, exactly as `believe`
    gives it. So errors within ±width cost nothing and grow linearly outside, and no sampling is
    needed.

    Parameters
    ----------
    weight : λ >= 0, in nats per unit of d. 0 is the plain cross-entropy.
    slope : > 0. Only weight × slope matters to the training; d alone is what the history reports.
    width : >= 0, in the unit of the scale (points, days), or with `relative` as a share of its
        range.
    questions : names of the questions that it applies to; None for all that have values.
    relative : distances as shares of the scale's range, so that scales of different length weigh
        alike.

    Raises
    ------
    ValueError
        For a number out of range.

    References
    ----------
    The formulation is simkit's; Namikoshi et al. 2024, arXiv 2403.20252, vary slope and width of
    another penalty.

    Examples
    --------
    >>> NumericLoss(weight=1.0, width=4.0).distances([0, 2, 10, 25], answer=10).tolist()
    [6.0, 4.0, 0.0, 11.0]
    """

    weight: float
    slope: float = 1.0
    width: float = 0.0
    questions: tuple[str, ...] | None = None
    relative: bool = False

    def __post_init__(self) -> None:
        for name in ("weight", "slope", "width"):
            scalar(getattr(self, name), name, 0)
        if self.slope == 0:
            raise ValueError(f"slope is {self.slope}; it must be above 0")
        if isinstance(self.questions, str):
            raise ValueError(f"questions must be names in a tuple, not the text {self.questions!r}")
        if self.questions is not None:
            object.__setattr__(self, "questions", tuple(listed(self.questions, "questions")))

    def distances(self, values: npt.ArrayLike, answer: float) -> FloatArray:
        """d(v, answer) for each of the K values, shape (K,)."""
        scale = np.asarray(values, dtype=np.float64)
        distance = np.abs(scale - answer)
        if self.relative:
            if np.ptp(scale) == 0:
                raise ValueError(f"the values {list(scale)} have no range; relative must be False")
            distance = distance / np.ptp(scale)
        return np.asarray(self.slope * np.maximum(0.0, distance - self.width))

    def applies_to(self, question: str, values: tuple[float, ...] | None) -> bool:
        """Whether the penalty is on for a question."""
        return values is not None and (self.questions is None or question in self.questions)


@dataclass(frozen=True)
class Losses:
    """Sums over a batch, each example times its weight.

    cross_entropy : -log P(answer | prompt), in nats, over all tokens of the answer.
    penalty : Σ_v p(v) d(v, y), 0 for answers that are not penalised. Without λ.
    """

    cross_entropy: torch.Tensor
    penalty: torch.Tensor

    def numbers(self) -> FloatArray:
        """Both, as plain numbers."""
        return np.array([float(self.cross_entropy.detach()), float(self.penalty.detach())])

    def total(self, penalty_weight: float, weight: float) -> torch.Tensor:
        """What is minimised: the mean over examples whose weights sum to `weight`."""
        if not penalty_weight:
            return self.cross_entropy / weight
        return (self.cross_entropy + penalty_weight * self.penalty) / weight


def losses(network: Any, batch: Batch) -> Losses:
    """Both losses of one batch, differentiable; prompt tokens are in neither."""
    logp = batch.logprobs(network)
    penalty = logp.new_zeros(())
    if len(batch.penalised):
        # A shorter scale's missing options are -inf: their belief is 0.
        scales = torch.nn.functional.pad(logp, (0, 1), value=-torch.inf)[batch.scales]
        belief = torch.softmax(scales, dim=1)[batch.scale]
        expected = (belief * batch.distances).sum(1)
        penalty = (batch.weight[batch.penalised] * expected).sum()
    cross_entropy = -(batch.weight * logp[batch.answer]).sum()
    return Losses(cross_entropy, penalty)
