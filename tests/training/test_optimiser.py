"""Muon: what its direction is, and that it takes matrices alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from simkit.training.optimiser import Muon, orthogonal


def test_the_direction_is_nearly_orthogonal() -> None:
    x = torch.randn(3, 12, 40, generator=torch.Generator().manual_seed(1))
    for stack in (x, x.transpose(1, 2)):
        found = orthogonal(stack)
        assert found.shape == stack.shape
        u, s, v = torch.linalg.svd(found, full_matrices=False)
        assert 0.6 < float(s.min()) <= float(s.max()) < 1.3
        # The singular vectors are those of the input: U V' is what an SVD gives, S aside.
        plain, _, right = torch.linalg.svd(stack, full_matrices=False)
        torch.testing.assert_close(u @ v, plain @ right, atol=1e-4, rtol=0)


def test_a_step_by_hand() -> None:
    p = torch.nn.Parameter(torch.zeros(2, 2))
    p.grad = torch.tensor([[5.0, 0.0], [0.0, 5.0]])
    Muon([p], lr=0.1, weight_decay=0.0).step()
    # Both singular values are 5, 1/sqrt(2) after normalising; five times
    # s -> 3.4445 s - 4.7750 s^3 + 2.0315 s^5. The step is 0.1 x 0.2 x sqrt(2).
    s = 2**-0.5
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    np.testing.assert_allclose(p.detach(), -0.02 * 2**0.5 * s * np.eye(2), atol=1e-5)


@pytest.mark.parametrize(("keyword", "value"), [("momentum", 0.5), ("weight_decay", 0.5)])
def test_every_keyword_changes_the_step(keyword: str, value: float) -> None:
    ends = []
    for change in ({}, {keyword: value}):
        p = torch.nn.Parameter(torch.eye(3, 4))
        optimiser = Muon([p], lr=0.1, **change)
        for step in range(3):
            p.grad = torch.full((3, 4), 1.0) + step * torch.eye(3, 4)
            optimiser.step()
        ends.append(p.detach().clone())
    assert not torch.allclose(*ends)


def test_a_vector_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(7,\) is not a matrix"):
        Muon([torch.nn.Parameter(torch.ones(7))], lr=0.1)
