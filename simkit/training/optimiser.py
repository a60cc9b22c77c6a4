"""Muon for the weight matrices: learns rare associations in fewer steps than Adam does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch

__all__ = ["Muon"]

# Odd polynomial whose iterates drive all singular values of a matrix towards 1.
_CUBIC, _QUINTIC, _LINEAR = -4.7750, 2.0315, 3.4445
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Momentum whose matrix is made (nearly) orthogonal before it is applied.

    Jordan et al. (2024), scaled to the size of Adam's updates (Liu et al., arXiv 2502.16982).
    `torch.optim.Muon` computes in bfloat16, one matrix at a time: on a processor without
    bfloat16 that takes twenty times as long as this, which is in float32, equal shapes together.

    Parameters
    ----------
    params : weight matrices; raises ValueError for a parameter that is not one.
    lr : learning rate, as for Adam.
    momentum, weight_decay : as usual; the decay is decoupled.
    """

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(list(params), {"lr": lr, "mu": momentum, "decay": weight_decay})
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(f"a parameter of shape {tuple(p.shape)} is not a matrix")

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of all matrices that have a gradient."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[torch.Tensor]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    alike[p.shape].append(p)
            for shape, matrices in alike.items():
                ahead = torch.stack([self._ahead(p, p.grad, group["mu"]) for p in matrices])
                size = group["lr"] * 0.2 * max(shape) ** 0.5
                for p, direction in zip(matrices, orthogonal(ahead), strict=True):
                    p.mul_(1 - group["lr"] * group["decay"]).add_(direction, alpha=-size)

    def _ahead(self, p: torch.Tensor, gradient: Any, mu: float) -> torch.Tensor:
        """Nesterov's look ahead from the running mean of the gradients."""
        mean = self.state[p].setdefault("mean", torch.zeros_like(p))
        mean.lerp_(gradient, 1 - mu)
        ahead: torch.Tensor = gradient.lerp(mean, mu)
        return ahead


def orthogonal(x: torch.Tensor) -> torch.Tensor:
    """U V' of each matrix U S V' in a stack (n, rows, columns), with S only nearly replaced by 1.

    Five Newton-Schulz steps bring singular values into about 0.7 to 1.2, which is enough.
    """
    tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if tall else x
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        square = x @ x.transpose(1, 2)
        weight = torch.baddbmm(square, square, square, beta=_CUBIC, alpha=_QUINTIC)
        x = torch.baddbmm(x, weight, x, beta=_LINEAR)
    return x.transpose(1, 2) if tall else x
