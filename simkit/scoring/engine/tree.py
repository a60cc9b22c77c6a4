"""Scoring on the prefix tree: every shared token once, whatever the prompts share.

All prompts and options of a block become one prefix tree (`simkit.scoring.engine.trie`). Its runs
of nodes are the rows of a batch; a node's position is its depth and it attends to its ancestors
only. Ancestors in earlier batches are read from the keys and values that were kept of them:

                      columns: kept path     the row itself
    row = run 4 5 6            0   1         4   5   6
                    4          x   x         x
                    5          x   x         x   x
                    6          x   x         x   .   x      5 and 6 are siblings

So the transformer's body computes each node once, and its vocabulary head only the nodes after
which an option's token is predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import DynamicCache, modeling_utils

from simkit.scoring.engine.kernels import fast_products, keep_freed_memory
from simkit.scoring.engine.precision import widened
from simkit.scoring.engine.targets import Targets, lay_out
from simkit.scoring.engine.tokens import WIDTH, Ids
from simkit.scoring.engine.trie import IntArray, Plan, Rows, Trie, ranges
from simkit.types import FloatArray

__all__ = ["Limits", "Work", "score_tree"]

# Older transformers keep the same positions of every row: there, rows go one at a time.
_KEEPS_BY_ROW = hasattr(modeling_utils, "slice_logits_to_keep")


@dataclass(frozen=True)
class Limits:
    """How much is held at once; none of it changes a result.

    budget : nodes per forward pass. width : nodes per row, None to fit the tree.
    logits : scalars of logits per pass. kept : scalars of keys and values kept of shared nodes.
    cells : sequences × longest, while the tree is built.
    """

    budget: int = 1_024
    width: int | None = None
    logits: int = 2**26
    kept: int = 2**26
    cells: int = 2**22

    @classmethod
    def of(cls, network: Any) -> Limits:
        """Limits for a network where it is."""
        free = _free_bytes(network.device)
        if free is None:
            # Enough to outweigh the calls of a pass, no more than the processor's caches hold.
            hidden = getattr(network.config, "hidden_size", 2**9)
            return cls(budget=min(4_096, max(1_024, 2**19 // hidden)))
        size = network.dtype.itemsize
        # Activations alive at once in a layer, in multiples of its hidden size, about.
        node = 32 * network.get_input_embeddings().weight.shape[1] * size
        return cls(
            budget=min(16_384, max(1_024, _power_below(free // 4 // node))),
            logits=_power_below(free // 8 // (size + 4)),
            kept=_power_below(free // 8 // size),
        )


@dataclass
class Work:
    """What was computed.

    nodes : distinct nodes of the trees. positions : what the body computed, padding included.
    heads : nodes at which the vocabulary head ran. passes : forward passes.
    """

    nodes: int = 0
    positions: int = 0
    heads: int = 0
    passes: int = 0


def score_tree(
    network: Any,
    contexts: Sequence[Ids],
    answers: Sequence[tuple[Ids, ...]],
    limits: Limits | None = None,
    work: Work | None = None,
) -> FloatArray:
    """Summed log-probability of each answer after its context, shape (n, options).

    Similar contexts should stand together: what would exceed `limits` is halved, and halves share
    nothing. `work`, if given, is added to.
    """
    limits = limits or Limits()
    halve = len(contexts) > 1 and _cells(contexts, answers) > limits.cells
    if not halve:
        trie, targets = lay_out(contexts, answers)
        plan = _plan(network, trie, targets, limits)
        halve = len(contexts) > 1 and len(plan.kept) * _kept_size(network) > limits.kept
    if halve:
        middle = len(contexts) // 2
        parts = [
            score_tree(network, contexts[part], answers[part], limits, work)
            for part in (slice(middle), slice(middle, None))
        ]
        return np.concatenate(parts)
    if work is not None:
        work.nodes += len(trie)
        work.positions += sum(len(rows.size) * rows.width for rows in plan.batches)
        work.heads += len(np.unique(targets.node))
        work.passes += len(plan.batches)
    logprob = _run(network, trie, targets, plan)
    shape = len(contexts), len(answers[0])
    total = np.bincount(targets.cell, logprob, shape[0] * shape[1])
    return np.asarray(total.reshape(shape), dtype=np.float64)


def _cells(contexts: Sequence[Ids], answers: Sequence[tuple[Ids, ...]]) -> int:
    """Size of the tables in which the tree is built, at most."""
    leads = {options: len({o[:-WIDTH] for o in options}) for options in set(answers)}
    return sum(leads[options] for options in answers) * max(map(len, contexts)) // WIDTH


def _plan(network: Any, trie: Trie, targets: Targets, limits: Limits) -> Plan:
    vocabulary = network.get_input_embeddings().weight.shape[0]
    # Rows about as long as the paths they read: shorter ones would copy more than they compute,
    # and attention grows with the square of a row.
    fit = int(np.clip(np.median(trie.depth), 64, 256))
    return Plan.of(
        trie,
        targets.count > 0,
        width=limits.width or fit,
        budget=limits.budget,
        most_heads=max(1, limits.logits // vocabulary),
        most_rows=None if _KEEPS_BY_ROW else 1,
    )


def _free_bytes(device: torch.device) -> int | None:
    """Free memory of an accelerator, what torch holds unused included; None for the CPU."""
    if device.type == "cuda":
        spare = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + spare
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return None


def _power_below(number: int) -> int:
    """The power of two at or below: small changes in free memory change nothing."""
    return 1 << max(0, number.bit_length() - 1)


def _kept_size(network: Any) -> int:
    """Scalars of keys and values per node, about."""
    config = network.config.get_text_config()
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    shared = getattr(config, "num_key_value_heads", None) or heads
    return int(2 * config.num_hidden_layers * shared * size)


class _Paths(DynamicCache):
    """The keys and values of the nodes that later batches look back to, kept per layer.

    It is the network's cache for one batch after another: `turn` says what the next batch reads
    and what is to be kept of it. Nothing else outlives the layer that computed it.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._kept: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def turn(self, read: torch.Tensor, cells: torch.Tensor, slots: torch.Tensor) -> None:
        """read : (rows or 1, path) slots. cells : (2, k) row and column to keep in `slots`."""
        self._read, self._cells, self._slots = read, cells, slots

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int,
        *args: Any, **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
        """Keep what is needed of a layer's new states, and put the path before them."""
        new = key_states, value_states  # (rows, heads, columns, size)
        if not self._size:
            return new
        if layer_idx not in self._kept:
            # Zeros, for padding reads slot 0 and a masked NaN would still spread.
            self._kept[layer_idx] = tuple(
                s.new_zeros(self._size, s.shape[1], s.shape[3]) for s in new
            )  # type: ignore[assignment]
        kept = self._kept[layer_idx]
        read, cells, slots = (
            t.to(key_states.device) for t in (self._read, self._cells, self._slots)
        )
        for store, states in zip(kept, new, strict=True):
            store[slots] = states[cells[0], :, cells[1]]
        if not read.shape[1]:
            return new
        keys, values = (
            torch.cat([store[read].transpose(1, 2).expand(len(states), -1, -1, -1), states], dim=2)
            for store, states in zip(kept, new, strict=True)
        )
        return keys, values

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Columns before the batch's own."""
        return self._read.shape[1]


@torch.inference_mode()
def _run(network: Any, trie: Trie, targets: Targets, plan: Plan) -> FloatArray:
    """Log-probability of each target."""
    keep_freed_memory()
    slot = np.full(len(trie), -1)
    slot[plan.kept] = np.arange(len(plan.kept))
    cache = _Paths(len(plan.kept))
    done, values = [], []
    with fast_products(network):
        for rows in plan.batches:
            logits, at = _forward(network, trie, targets, rows, slot, cache)
            which = ranges(targets.first[at], targets.count[at])
            place = np.repeat(np.arange(len(at)), targets.count[at])
            token = _tensor(targets.token[which], logits.device)
            values.append(_logprob(logits, _tensor(place, logits.device), token))
            done.append(which)
    out = np.empty(len(targets.node))
    out[np.concatenate(done)] = torch.cat(values).cpu().numpy()
    return out


def _forward(
    network: Any, trie: Trie, targets: Targets, rows: Rows, slot: IntArray, cache: _Paths
) -> tuple[torch.Tensor, IntArray]:
    """Logits after the nodes of a batch that have targets, and these nodes."""
    device = network.device
    nodes, real = rows.nodes
    path, known = trie.paths(rows.start)
    heads = real & (targets.count[nodes] > 0)
    cells = real & (slot[nodes] >= 0)
    alike = bool((path == path[:1]).all())
    cache.turn(
        _tensor(np.maximum(slot[path[:1] if alike else path], 0), device),
        _tensor(np.array(np.nonzero(cells)), device),
        _tensor(slot[nodes[cells]], device),
    )
    logits = network(
        input_ids=_tensor(trie.token[nodes], device),
        position_ids=_tensor(trie.depth[nodes], device),
        attention_mask=_mask(trie, rows, path, known, device, network.dtype),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=_tensor(heads if _KEEPS_BY_ROW else np.flatnonzero(heads), device),
    ).logits
    return logits.flatten(0, -2), nodes[heads]


def _tensor(array: npt.NDArray[Any], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(array).to(device)


def _mask(
    trie: Trie,
    rows: Rows,
    path: IntArray,
    known: npt.NDArray[np.bool_],
    device: torch.device,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Additive mask (rows, 1, width, path + width): 0 on ancestors and self, else very low.

    Column j is seen from i if j <= i < exit[j]. Columns of padding get exit 0: nobody sees them;
    their own rows repeat a real node, so that no row of the mask is empty.
    """
    nodes, real = rows.nodes
    enter = np.concatenate([path, nodes], axis=1)
    real = np.concatenate([known, real], axis=1)
    leave = np.where(real, trie.exit[enter], 0)
    i = _tensor(nodes, device)[:, None, :, None]
    j, end = (_tensor(a, device)[:, None, None, :] for a in (enter, leave))
    seen = (j <= i) & (i < end)
    low = torch.finfo(dtype).min
    return torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill_(~seen, low)


def _logprob(logits: torch.Tensor, row: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
    """log softmax(logits)[row, token], in slices: no second copy of all logits.

    NaN where a logit of the row is infinite: the others would be -inf, as a masked token's is.
    """
    step = max(1, 2**24 // logits.shape[-1])
    total = torch.cat([widened(part).logsumexp(-1) for part in torch.split(logits, step)])
    return widened(logits[row, token]) - total.masked_fill(total.isposinf(), torch.nan)[row]
