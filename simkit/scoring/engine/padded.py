"""The reference path: padded batches, right for any architecture.

No tricks beyond reading a text once: options of one token share the reading of their prompt.
Sequences are padded on the left, so that the tokens to be predicted stand at the end of every row
and the vocabulary head runs on those positions only.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from simkit.scoring.engine.kernels import fast_products, keep_freed_memory
from simkit.scoring.engine.tokens import WIDTH, Ids, unpack
from simkit.types import FloatArray

__all__ = ["parameters_of", "score_padded"]

BUDGET = 8_192  # padded tokens per forward pass


def score_padded(
    network: Any, contexts: Sequence[Ids], answers: Sequence[tuple[Ids, ...]]
) -> FloatArray:
    """Summed log-probability of each answer after its context, shape (n, options)."""
    out = np.zeros((len(contexts), len(answers[0])))
    # What must be read for an option is the prompt and all but its last token.
    # sequence -> [(row, column, option)]
    wanted: dict[Ids, list[tuple[int, int, Ids]]] = {}
    for row, (context, options) in enumerate(zip(contexts, answers, strict=True)):
        for column, option in enumerate(options):
            wanted.setdefault(context + option[:-WIDTH], []).append((row, column, option))
    accepted = parameters_of(network)
    # Without positions to give, padding could shift them: then only equal lengths go together.
    ragged = "position_ids" in accepted
    keep_freed_memory()
    with fast_products(network):
        for batch in _batches(sorted(wanted, key=len), ragged):
            keep = max(len(option) for s in batch for _, _, option in wanted[s]) // WIDTH
            logp = _last_logprobs(network, accepted, [unpack(s) for s in batch], keep)
            for i, sequence in enumerate(batch):
                for row, column, option in wanted[sequence]:
                    ids = unpack(option)
                    out[row, column] = logp[i, np.arange(keep - len(ids), keep), ids].sum()
    return out


def parameters_of(network: Any) -> set[str]:
    """Names of what the network's forward takes, looking through an adapter's wrapper."""
    base = network.get_base_model() if hasattr(network, "get_base_model") else network
    return set(inspect.signature(base.forward).parameters)


def _batches(sequences: list[Ids], ragged: bool) -> Iterator[list[Ids]]:
    """Groups of similar length (the list is sorted) within the token budget."""
    start = 0
    while start < len(sequences):
        end = start + 1
        while end < len(sequences) and (ragged or len(sequences[end]) == len(sequences[start])):
            if (end + 1 - start) * (len(sequences[end]) // WIDTH) > BUDGET:
                break
            end += 1
        yield sequences[start:end]
        start = end


@torch.inference_mode()
def _last_logprobs(
    network: Any, accepted: set[str], sequences: list[np.ndarray], keep: int
) -> np.ndarray:
    """Log-softmax in float32 after the last `keep` tokens of each sequence: (n, keep, vocab)."""
    width = max(keep, max(map(len, sequences)))
    ids = torch.zeros(len(sequences), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, sequence in enumerate(sequences):
        ids[i, width - len(sequence) :] = torch.from_numpy(sequence)
        mask[i, width - len(sequence) :] = 1
    device = network.device
    inputs = {
        "input_ids": ids.to(device),
        # From the lengths, not from a pad id: pad may equal eos, which may stand in the text.
        "attention_mask": mask.to(device),
        "position_ids": (mask.cumsum(1) - 1).clamp(min=0).to(device),
        "logits_to_keep": keep,
        "use_cache": False,
    }
    logits = network(**{k: v for k, v in inputs.items() if k in accepted}).logits[:, -keep:]
    return np.asarray(torch.log_softmax(logits.float(), -1).cpu().numpy(), dtype=np.float64)
