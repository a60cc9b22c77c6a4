"""The same arithmetic for less time, where the plain way is known to be wasteful.

`fast_products`: torch hands float32 matrix products on x86 to MKL, which on AMD processors takes
about twice the time of oneDNN, which torch has on board too.

`keep_freed_memory`: the C library gives freed memory back to the system, and to get it again for
the next activations costs a page fault for every 4 kB: a fifth of all time with a tiny model.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

__all__ = ["fast_products", "keep_freed_memory"]

ON = True  # the one switch of this module: without it torch makes its own products
# Rows and multiplications from which preparing oneDNN for a product's shape pays.
ROWS, LEAST = 64, 2**22


@cache
def keep_freed_memory() -> None:
    """Let the process keep up to 64 MB that it freed, instead of asking for it again.

    glibc raises its own threshold to the largest block that was freed so far, up to 32 MB, and
    keeps twice that; the block here is never written to, so it takes no memory. Elsewhere this
    does nothing.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


@cache
def _amd() -> bool:
    """True on AMD processors, False where the vendor is unknown."""
    told = Path("/proc/cpuinfo")
    text = told.read_text() if told.exists() else platform.processor()
    return "AuthenticAMD" in text


def _product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """x @ weight.T + bias by oneDNN.

    For every new shape oneDNN writes itself a program, and keeps it: half a megabyte and a
    millisecond. So rows are filled up to one of a few sizes.
    """
    rows = x.numel() // x.shape[-1]
    flat = x.reshape(rows, -1)
    if _filled(rows) > rows:
        flat = x.new_zeros(_filled(rows), x.shape[-1])
        flat[:rows] = x.reshape(rows, -1)
    out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(flat, weight, bias, "none", [], "")
    return out[:rows].view(*x.shape[:-1], -1)


def _filled(rows: int) -> int:
    """The next of eight sizes per power of two: at most an eighth more."""
    return rows + -rows % (1 << max(0, rows.bit_length() - 4))


@cache
def _works() -> bool:
    """Whether this torch has the operator, and it computes what it should."""
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled):
        return False
    x = torch.linspace(-1, 1, 2 * 20 * 8).view(2, 20, 8)
    weight, bias = torch.linspace(1, -2, 24).view(3, 8), torch.tensor([1.0, 2.0, 3.0])
    try:
        with torch.inference_mode():
            found = _product(x, weight, bias), _product(x, weight.T.contiguous().T, None)
    except (AttributeError, RuntimeError):  # a private operator may go or change
        return False
    plain = nn.functional.linear(x, weight)
    pairs = zip(found, (plain + bias, plain), strict=True)
    return all(torch.allclose(one, other, atol=1e-5) for one, other in pairs)


def _fits(x: torch.Tensor, weight: torch.Tensor) -> bool:
    rows = x.numel() // x.shape[-1]
    return (
        torch.is_inference_mode_enabled()
        and x.dtype is weight.dtype is torch.float32
        and x.device.type == "cpu"
        and rows >= ROWS
        and rows * weight.numel() >= LEAST
    )


class _Linear(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if _fits(x, self.weight):
            return _product(x, self.weight, self.bias)
        return super().forward(x)


class _Conv1D(Conv1D):
    """GPT-2's linear layer, whose weight lies the other way."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if _fits(x, self.weight):
            return _product(x, self.weight.T, self.bias)
        out: torch.Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return out


_FASTER: dict[type, type] = {nn.Linear: _Linear, Conv1D: _Conv1D}


@contextmanager
def fast_products(network: Any) -> Iterator[None]:
    """Inside, under inference mode, plain float32 layers of the network run on oneDNN.

    Only on AMD processors, and only if the operator works; elsewhere nothing happens. Results
    agree to rounding. The modules change class meanwhile and change back: adapters, quantised
    layers and anything else of another class are left alone.
    """
    plain: list[nn.Module] = []
    if network.device.type == "cpu" and ON and _amd() and _works():
        plain = [m for m in network.modules() if type(m) in _FASTER]
    was = [type(m) for m in plain]
    for module in plain:
        module.__class__ = _FASTER[type(module)]
    try:
        yield
    finally:
        for module, kind in zip(plain, was, strict=True):
            module.__class__ = kind
