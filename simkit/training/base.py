"""The model that an adapter sits on: a copy that shares its weights, and its fingerprint."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import torch

__all__ = ["MARK", "fingerprint", "for_training", "shared_copy"]

# Attribute of a network made from another: the fingerprint of that one. Copies take it along.
MARK = "_simkit_base_fingerprint"


def shared_copy(network: Any) -> Any:
    """A copy of the modules on the same weights: adapters put into it leave the original alone.

    peft changes modules in place and freezes their parameters, so the copy has parameters of its
    own over the same memory. Raises ValueError for a network that has adapters already.
    """
    if hasattr(network, "peft_config"):
        raise ValueError("the model has an adapter already; merge it first, or give its base")
    shared: dict[int, Any] = {id(b): b for b in network.buffers()}
    for parameter in network.parameters():
        plain = type(parameter) is torch.nn.Parameter
        # 4-bit parameters carry state that a new one would lose; they are frozen as it is.
        shared[id(parameter)] = (
            torch.nn.Parameter(parameter.data, requires_grad=False) if plain else parameter
        )
    for module in network.modules():
        if getattr(module, "quant_state", None) is not None:
            shared[id(module.quant_state)] = module.quant_state
    return copy.deepcopy(network, shared)


def for_training(network: Any) -> Any:
    """The network, or a float32 copy of one in float64: a step in float64 takes thrice the time."""
    return shared_copy(network).float() if network.dtype is torch.float64 else network


def fingerprint(network: Any) -> str:
    """SHA-256 of the weights' names, shapes and values rounded to bfloat16.

    So a model has one fingerprint whether it is held in float32 or bfloat16, and a 4-bit model
    that of the weights it was made from.
    """
    if hasattr(network, MARK):
        return str(getattr(network, MARK))
    total = hashlib.sha256()
    for name, weight in sorted(network.named_parameters()):  # tied weights once
        total.update(f"{name} {tuple(weight.shape)} ".encode())
        rounded = weight.detach().to(torch.bfloat16).cpu().contiguous()
        total.update(rounded.reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()
