"""The same arithmetic for less time, where the plain way is known to be wasteful.

`fast_products`: torch hands float32 matrix products on x86 to MKL, which on AMD processors takes
about twice the time of oneDNN, which torch has on board too.

`HeadsOnly`: of the last layer's output only the positions are read at which an option's token is
predicted. Its keys and values are needed everywhere, its MLP is not.

`keep_freed_memory`: the C library gives freed memory back to the system, and to get it again for
the next activations costs a page fault for every 4 kB: a fifth of all time with a tiny model.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import get_ident
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

__all__ = ["HeadsOnly", "affine", "fast_products", "filled", "keep_freed_memory"]

# The one switch of this module and of `lean`: without them a network's own forward runs, on torch's
# own products.
ON = True
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


def _use() -> bool:
    """Whether products go to oneDNN."""
    return ON and _amd() and _works()


def _product(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, then: str = "none"
) -> torch.Tensor:
    """x @ weight.T + bias by oneDNN, `then` through a function: "none" or "swish".

    For every new shape oneDNN writes itself a program, and keeps it: half a megabyte and a
    millisecond. So rows are filled up to one of a few sizes.
    """
    rows = x.numel() // x.shape[-1]
    flat = x.reshape(rows, -1)
    if _filled(rows) > rows:
        flat = x.new_zeros(_filled(rows), x.shape[-1])
        flat[:rows] = x.reshape(rows, -1)
    out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(flat, weight, bias, then, [], "")
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
            found = [_product(x, weight, bias), _product(x, weight.T.contiguous().T, None)]
            found.append(_product(x, weight, None, "swish"))
    except (AttributeError, RuntimeError):  # a private operator may go or change
        return False
    plain = nn.functional.linear(x, weight)
    known = plain + bias, plain, nn.functional.silu(plain)
    return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, known, strict=True))


def _fits(x: torch.Tensor, weight: torch.Tensor) -> bool:
    rows = x.numel() // x.shape[-1]
    return (
        torch.is_inference_mode_enabled()
        and x.dtype is weight.dtype is torch.float32
        and x.device.type == "cpu"
        and rows >= ROWS
        and rows * weight.numel() >= LEAST
    )


def filled(rows: int) -> int:
    """Rows to which a product of so many is filled up: the same number where nothing is gained."""
    return _filled(rows) if rows >= ROWS and _use() else rows


def affine(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, swish: bool = False
) -> torch.Tensor:
    """x @ weight.T + bias for x (n, in), on the faster of the two; then swish, if asked for."""
    if _use() and _fits(x, weight):
        return _product(x, weight, bias, "swish" if swish else "none")
    out = nn.functional.linear(x, weight, bias)
    return nn.functional.silu(out, inplace=True) if swish else out


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
    if network.device.type == "cpu" and _use():
        plain = [m for m in network.modules() if type(m) in _FASTER]
    was = [type(m) for m in plain]
    for module in plain:
        module.__class__ = _FASTER[type(module)]
    try:
        yield
    finally:
        for module, kind in zip(plain, was, strict=True):
            module.__class__ = kind


class HeadsOnly:
    """Inside this context, the last layer's MLP computes only the positions in `cells`.

    cells : (2, k) rows and columns, set before each forward pass. At the other positions the MLP
    adds 0: what the network puts out there means nothing. Networks whose last layer has no block
    named `mlp` that is an MLP by its class run as they are. Other threads that run the network
    meanwhile are not touched.
    """

    def __init__(self, network: Any) -> None:
        self.cells: torch.Tensor = torch.empty(2, 0, dtype=torch.long)
        self._shape = torch.Size()
        self._mlp = _last_mlp(network) if ON else None
        self._hooks: list[Any] = []
        self._thread = get_ident()

    def __enter__(self) -> HeadsOnly:
        if self._mlp is not None:
            self._hooks = [
                self._mlp.register_forward_pre_hook(self._gather),
                self._mlp.register_forward_hook(self._scatter),
            ]
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _gather(self, module: nn.Module, args: tuple[Any, ...]) -> Any:
        if get_ident() != self._thread:
            return None
        (states,) = args
        self._shape = states.shape
        rows, columns = self.cells
        # A batch may have no heads at all; kernels need not like an empty input.
        few = states[rows, columns] if len(rows) else states[0, :1]
        return (few[None],)

    def _scatter(self, module: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
        if get_ident() != self._thread:
            return None
        full = out.new_zeros(self._shape)
        rows, columns = self.cells
        if len(rows):
            full[rows, columns] = out[0]
        return full


def _last_mlp(network: Any) -> nn.Module | None:
    layers = network.config.get_text_config().num_hidden_layers
    stacks = [m for m in network.modules() if isinstance(m, nn.ModuleList) and len(m) == layers]
    mlp = getattr(stacks[0][-1], "mlp", None) if len(stacks) == 1 else None
    known = mlp is not None and type(mlp).__name__.endswith("MLP")
    return mlp if known else None
