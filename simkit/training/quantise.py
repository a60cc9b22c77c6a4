"""Four-bit weights (NF4 by bitsandbytes), on CPU and GPU, in a state that can be trained on."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from simkit.scoring import LocalModel
from simkit.training.base import MARK, fingerprint, shared_copy
from simkit.training.extras import hushed, need

__all__ = ["is_quantised", "quantise", "trainable"]


def quantise(model: LocalModel) -> LocalModel:
    """The model with its linear layers in 4 bits (NF4), ready to score or train.

    Blocks are of 64 weights, and their scales are quantised too. The vocabulary head, the
    embeddings and the norms keep their precision.

    Parameters
    ----------
    model : from `simkit.load`. It is left as it is; what is not quantised is shared with it.

    Returns
    -------
    LocalModel
        Named "<model>-4bit".

    Raises
    ------
    ValueError
        For a model that is in 4 bits already or has no linear layers to quantise (GPT-2's are of
        another type).
    ImportError
        Without bitsandbytes.

    References
    ----------
    Dettmers et al. 2023, QLoRA, arXiv 2305.14314.

    Examples
    --------
    >>> import simkit as sk
    >>> quantise(sk.load("glassbox")).name
    'glassbox-4bit'
    """
    if is_quantised(model.network):
        raise ValueError(f"{model.name} is in 4 bits already")
    bnb = need("bitsandbytes")
    network = shared_copy(model.network)
    head, dtype = network.get_output_embeddings(), network.dtype
    layers = {
        name: module
        for name, module in network.named_modules()
        if type(module) is torch.nn.Linear and module is not head
    }
    if not layers:
        raise ValueError(f"{model.name} has no linear layers that can be quantised")
    with hushed():
        for name, layer in layers.items():
            network.set_submodule(name, _four_bit(bnb, layer, dtype))
    network.is_loaded_in_4bit = True  # peft looks for it
    network.config.quantization_config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    setattr(network, MARK, fingerprint(model.network))
    return replace(model, network=trainable(network), name=f"{model.name}-4bit")


def _four_bit(bnb: Any, old: torch.nn.Linear, dtype: torch.dtype) -> Any:
    # bitsandbytes takes no float64: there the weights are read back, and the product is torch's.
    wide = dtype is torch.float64
    form = {"compress_statistics": True, "quant_type": "nf4"}
    new = (_wide(bnb) if wide else bnb.nn.Linear4bit)(
        old.in_features, old.out_features, bias=False,
        compute_dtype=torch.float32 if wide else dtype, device="meta", **form,
    )  # fmt: skip
    data = old.weight.data.float() if wide else old.weight.data
    weight = bnb.nn.Params4bit(data, requires_grad=False, module=new, **form)
    new.weight = weight.to(old.weight.device)  # the move is what quantises
    new.bias = old.bias
    return new.train(old.training)


@cache
def _wide(bnb: Any) -> type:
    """A 4-bit layer whose product is in float64."""

    class Linear4bit(bnb.nn.Linear4bit):  # type: ignore[misc]  # bitsandbytes carries no types
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            weight = bnb.functional.dequantize_4bit(self.weight.data, self.weight.quant_state)
            return torch.nn.functional.linear(x, weight.to(x.dtype), self.bias)

    return Linear4bit


def is_quantised(network: Any) -> bool:
    """Whether the network has 4-bit layers."""
    return any(type(m).__name__ == "Linear4bit" for m in network.modules())


def trainable(network: Any) -> Any:
    """The network, its 4-bit layers kept from repacking their weights.

    On CPUs with AVX512-BF16, bitsandbytes repacks 4-bit weights at the first forward pass in
    evaluation mode, and gradients through repacked weights are silently zero (or an error).
    """
    layers = [m for m in network.modules() if hasattr(m, "support_avx512bf16_for_cpu")]
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False
    states = [getattr(layer.weight, "quant_state", None) for layer in layers]
    if any(getattr(state, "packing_format_for_cpu", False) for state in states):
        network.state_dict()  # bitsandbytes undoes the packing when weights are to be saved
    return network
