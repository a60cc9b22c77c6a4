"""Arithmetic whose result does not depend on the processor.

Vector units of other widths, other libraries and other batches sum in another order. In float32 a
probability then moves by 1e-6: enough to change the third digit of a table now and then, and one
sampled run in about 5,000. In float64 it moves by 1e-14 (between the tree and the padded path by
2e-7, for some norms round to float32), and no digit that is shown.

So small models compute in float64 (`SMALL`). Larger ones compute in their own precision, and a draw
that falls so near a border that rounding decides is made once more from a float64 copy.
"""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any

import torch

__all__ = ["MOST", "SLACK", "SMALL", "Exact", "doubled", "fine", "widened"]

SMALL = 2**23  # weights up to which a model on the CPU is loaded in float64
MOST = 2**30  # weights up to which a float64 copy is made of a model
# A draw is made again in float64 if it falls this close to a border between two outcomes, in units
# of float32's rounding of the largest logit. Batches of other shapes moved borders by up to 4 such
# units, processors by as much.
SLACK = 16


def fine(network: Any) -> bool:
    """Whether a network rounds so finely that a second look at few draws makes them all stable."""
    return bool(torch.finfo(network.dtype).eps <= torch.finfo(torch.float32).eps)


def doubled(network: Any) -> Any:
    """The network in float64, its experts one by one: grouped products have no float64."""
    if getattr(network.config, "_experts_implementation", None) not in (None, "eager"):
        network.set_experts_implementation("eager")
    return network.double()


def widened(x: torch.Tensor) -> torch.Tensor:
    """The numbers in float32, or in float64 if they are so already."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class Exact:
    """A network in float64, copied when it is first needed."""

    def __init__(self, network: Any) -> None:
        self._own = network

    @cached_property
    def network(self) -> Any:
        """The copy; the network itself where it is in float64, or where no copy can be made.

        None can be made beyond `MOST` weights, and on Apple's MPS, which has no float64.
        """
        own = self._own
        if own.dtype is torch.float64 or own.device.type == "mps":
            return own
        if sum(p.numel() for p in own.parameters()) > MOST:
            return own
        return doubled(copy.deepcopy(own))
