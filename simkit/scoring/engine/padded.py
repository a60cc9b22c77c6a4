"""The reference path: plain batches, right for any architecture.

No tricks beyond reading a text once: options of one token share the reading of their prompt.
Sequences are padded on the left, so that the tokens to be predicted stand at the end of every row
and the vocabulary head runs on those positions only. Where nothing is padded a network is given
the ids and nothing else, so it takes its own mask and positions. Networks whose scores padding
changes are read without it (see `Together`), and so are texts whose length changes the rotation
of all their tokens (see `border_of`).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch

from simkit.scoring.engine.kernels import fast_products, keep_freed_memory
from simkit.scoring.engine.precision import widened
from simkit.scoring.engine.tokens import WIDTH, Ids, unpack
from simkit.types import FloatArray

__all__ = ["PADDING", "Together", "border_of", "parameters_of", "score_padded", "virtual_tokens"]

BUDGET = 8_192  # padded tokens per forward pass
PADDING = {"attention_mask", "position_ids"}  # what a network must take to be given padded rows
# Which texts share a forward pass: any, those of equal length (nothing is padded), or none.
Together = Literal["any", "lengths", "alone"]


def score_padded(
    network: Any,
    contexts: Sequence[Ids],
    answers: Sequence[tuple[Ids, ...]],
    together: Together = "any",
) -> FloatArray:
    """Summed log-probability of each answer after its context, shape (n, options)."""
    out = np.zeros((len(contexts), len(answers[0])))
    border = WIDTH * (border_of(network) or 2**40)
    # What must be read for an option is the prompt and all but its last token; where the length
    # of the text decides, the whole text.
    # sequence -> [(row, column, option)]
    wanted: dict[Ids, list[tuple[int, int, Ids]]] = {}
    for row, (context, options) in enumerate(zip(contexts, answers, strict=True)):
        for column, option in enumerate(options):
            whole = context + option
            read = whole if len(whole) > border else whole[:-WIDTH]
            wanted.setdefault(read, []).append((row, column, option))
    accepted = parameters_of(network)
    keep_freed_memory()
    with fast_products(network):
        for batch in _batches(network, accepted, wanted, together):
            last = int(len(batch[0]) > border)  # the text's last token predicts nothing
            keep = max(len(option) for s in batch for _, _, option in wanted[s]) // WIDTH
            logp = _last_logprobs(network, accepted, [unpack(s) for s in batch], keep + last)
            for i, sequence in enumerate(batch):
                for row, column, option in wanted[sequence]:
                    ids = unpack(option)
                    out[row, column] = logp[i, np.arange(keep - len(ids), keep), ids].sum()
    return out


def border_of(network: Any) -> int | None:
    """Length in tokens beyond which it changes how every token is rotated; None if it never does.

    "longrope" takes other factors for texts beyond the border, "dynamic" others for each length.
    So a longer text is read with its equals in length only: a forward pass is scaled by the
    longest text in it.
    """
    config = network.config
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    settings = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    settings = settings or {}
    longest = getattr(config, "max_position_embeddings", None)
    borders = []
    # One for all layers, or one for each kind of layer.
    for one in [s for s in settings.values() if isinstance(s, dict)] or [settings]:
        kind = one.get("rope_type") or one.get("type") or "default"
        if kind in ("longrope", "su"):
            own = getattr(config, "original_max_position_embeddings", None)
            borders.append(one.get("original_max_position_embeddings") or own or longest)
        elif "dynamic" in kind:
            borders.append(longest)
    found = [int(b) - virtual_tokens(network) for b in borders if b]
    return max(1, min(found)) if found else None


def virtual_tokens(network: Any) -> int:
    """Tokens that a learnt prompt (PEFT) puts before every text."""
    config = getattr(network, "peft_config", None) and network.active_peft_config
    if not config or not config.is_prompt_learning:
        return 0
    return int(config.num_virtual_tokens)


def parameters_of(network: Any) -> set[str]:
    """Names of what the network's forward takes, looking through an adapter's wrapper."""
    base = network.get_base_model() if hasattr(network, "get_base_model") else network
    return set(inspect.signature(base.forward).parameters)


def _batches(
    network: Any, accepted: set[str], sequences: Iterable[Ids], together: Together
) -> Iterator[list[Ids]]:
    """Distinct sequences, by length, in groups that may share a pass, within the token budget."""
    rows = sorted(sequences, key=len)
    border = WIDTH * (border_of(network) or 2**40)
    # Without mask and positions to give, padding is read as text, or shifts it.
    ragged = together == "any" and accepted >= PADDING
    start = 0
    while start < len(rows):
        end = start + 1
        while end < len(rows) and together != "alone":
            alike = len(rows[end]) == len(rows[start]) or (ragged and len(rows[end]) <= border)
            if not alike or (end + 1 - start) * (len(rows[end]) // WIDTH) > BUDGET:
                break
            end += 1
        yield rows[start:end]
        start = end


def _unscaled(network: Any) -> None:
    """Bring a rotation that grew with a long text back to what short ones take."""
    network(input_ids=torch.zeros(1, 1, dtype=torch.long, device=network.device), use_cache=False)


@torch.inference_mode()
def _last_logprobs(
    network: Any, accepted: set[str], sequences: list[np.ndarray], keep: int
) -> np.ndarray:
    """Log-softmax after the last `keep` tokens of each sequence: (n, keep, vocab)."""
    lengths = {len(sequence) for sequence in sequences}
    width = max(keep, *lengths)
    border = border_of(network)
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
    given = accepted if lengths != {width} else accepted - PADDING
    scaled = border is not None and width > border
    if scaled:
        _unscaled(network)
    logits = network(**{k: v for k, v in inputs.items() if k in given}).logits[:, -keep:]
    if scaled:
        _unscaled(network)
    # An infinite logit would leave the others -inf, which is a masked token's: NaN for all.
    logits = torch.where(logits.isposinf().any(-1, keepdim=True), torch.nan, logits)
    return np.asarray(torch.log_softmax(widened(logits), -1).cpu().numpy(), dtype=np.float64)
