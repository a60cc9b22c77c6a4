"""What the scores of a network depend on, as named fields for a store's key.

The weights are hashed as they lie in memory, not as a name or a file says: so a model that was
trained further, quantised, edited or given an adapter never finds the rows of the one before,
and one that only moved to another folder finds its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

__all__ = ["Fingerprint"]

READING = 2  # of how texts become tokens and passes: rows of another number are never met
GLANCE = 64  # numbers of a tensor that are looked at to see whether it changed
# Settings that say where a model came from, not what it computes.
_ORIGIN = {
    "_name_or_path", "_commit_hash", "transformers_version",
    "base_model_name_or_path", "revision", "inference_mode", "peft_version",
}  # fmt: skip


class Fingerprint:
    """Of one network and its tokenizer; the hash of the weights is kept while they do not change.

    It does not see two things, with which a store must not be used: hooks on a network, which are
    functions; and a change of a few numbers through `tensor.data` after the first look, which
    torch does not count (a change of whole tensors is seen).
    """

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self.network, self.tokenizer = network, tokenizer
        self._seen: list[tuple[Any, ...]] = []
        self._weights = ""

    def fields(self) -> dict[str, Any]:
        """Weights, dtype, configuration, adapters and tokenizer; JSON can hold them.

        Raises ValueError for weights that cannot be read (moved out of memory).
        """
        network = self.network
        base = network.get_base_model() if hasattr(network, "get_base_model") else network
        return {
            "reading": READING,
            "weights": self._weights_digest(),
            "dtype": str(network.dtype),
            # For code that comes with the weights, the module's name holds the revision.
            "code": [f"{type(n).__module__}.{type(n).__qualname__}" for n in (network, base)],
            "config": _digest(_settings(network.config.to_dict())),
            "adapters": _digest(_adapters(network)),
            "tokenizer": self._tokenizer_digest,
        }

    def _weights_digest(self) -> str:
        # Parameters, buffers and what quantised layers keep beside them.
        tensors = sorted(self.network.state_dict().items())
        # Where parameters lie; what quantised layers keep beside them is packed anew each time.
        place = {n: p.data_ptr() for n, p in self.network.named_parameters(remove_duplicate=False)}
        seen = [(name, place.get(name), *_glance(tensor)) for name, tensor in tensors]
        if seen != self._seen:
            # hashlib and copies to the host release Python's lock.
            with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
                parts = list(pool.map(_hash, (tensor for _, tensor in tensors)))
            names = [name for name, _ in tensors]
            self._weights = _digest(list(zip(names, parts, strict=True)))
            self._seen = seen
        return self._weights

    @cached_property
    def _tokenizer_digest(self) -> str:
        tokenizer = self.tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is not None:
            state = json.loads(backend.to_str())
            for passing in ("truncation", "padding"):  # settings of the last call
                state.pop(passing, None)
            return _digest([state, tokenizer.bos_token])
        with tempfile.TemporaryDirectory() as folder:  # a tokenizer written in Python
            tokenizer.save_pretrained(folder)
            files = sorted(p for p in Path(folder).rglob("*") if p.is_file())
            contents = [[p.name, hashlib.sha256(p.read_bytes()).hexdigest()] for p in files]
        return _digest([type(tokenizer).__qualname__, contents, tokenizer.bos_token])


def _glance(tensor: Any) -> tuple[Any, ...]:
    """A cheap summary that almost certainly changes when the tensor does.

    Torch counts edits in place, but not those through `.data` or by fused optimisers: hence a few
    of the numbers as well.
    """
    if not isinstance(tensor, torch.Tensor) or tensor.device.type == "meta":
        return (repr(tensor),)
    try:
        edits = tensor._version
    except RuntimeError:  # made in inference mode: not counted
        edits = -1
    flat = tensor.detach().reshape(-1)
    sample = flat[:: max(1, len(flat) // GLANCE)]
    return str(tensor.dtype), tuple(tensor.shape), edits, _bytes(sample).tobytes()


def _hash(tensor: Any) -> str:
    if not isinstance(tensor, torch.Tensor):
        return hashlib.sha256(repr(tensor).encode()).hexdigest()
    if tensor.device.type == "meta":
        raise ValueError("some weights are not in memory (offloaded); score without a cache")
    head = f"{tensor.dtype} {tuple(tensor.shape)} ".encode()
    return hashlib.sha256(head + hashlib.sha256(_bytes(tensor)).digest()).hexdigest()


def _bytes(tensor: torch.Tensor) -> Any:
    """The tensor's bytes as a buffer, not copied where they are in host memory already."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in config.items() if k not in _ORIGIN}


def _adapters(network: Any) -> list[Any]:
    """Which PEFT adapters act, how strongly, merged or off: what their weights do not say.

    It is read from the layers, where switching, scaling and disabling leave their mark.
    """
    configs = getattr(network, "peft_config", None) or {}
    if not configs:
        return []
    layers = [
        [
            name,
            list(module.active_adapters),
            list(module.merged_adapters),
            bool(module.disable_adapters),
            {k: str(v) for k, v in getattr(module, "scaling", {}).items()},
        ]
        for name, module in network.named_modules()
        if hasattr(module, "merged_adapters") and hasattr(module, "active_adapters")
    ]
    # Prompts that were learnt act in the wrapper; it is switched off by replacing its forward.
    forward = str(getattr(network.forward, "__qualname__", ""))
    wrapper = [str(getattr(network, "active_adapter", "")), forward]
    settings = {name: _settings(config.to_dict()) for name, config in configs.items()}
    return [settings, layers, wrapper]


def _digest(value: Any) -> str:
    def plain(value: Any) -> Any:
        """Sets in a fixed order; types, enums and the like as text."""
        return sorted(map(str, value)) if isinstance(value, set | frozenset) else str(value)

    text = json.dumps(value, sort_keys=True, default=plain)
    return hashlib.sha256(text.encode()).hexdigest()
