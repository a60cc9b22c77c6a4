"""The forward pass of small Llama networks on a CPU, in few passes over memory.

With a tiny network the matrix products are half of the time; the rest goes into all that stands
between them. Here the network's own weights are read by the same arithmetic, except that

- q, k and v are one product, the scales of the norms are in the weights, the sum of squares is one
  pass, the rotation is one complex product in place (pairs laid side by side by reordering rows of
  the weights), and sums and the gate are taken in place;
- q, k and v of the first layer, which depend on nothing but the token, are computed once per
  distinct token; of the last layer only keys and values are computed everywhere, the rest only at
  the nodes after which an option's token is predicted.

The prepared weights live as long as one tree is scored, so a network may change between calls.
`fits` says for which networks this may be tried; whether it is used is decided by a comparison
with the network's own forward (`simkit.scoring.engine.choice`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules import module as hooks
from transformers import LlamaForCausalLM, Qwen2ForCausalLM

from simkit.scoring.engine import kernels
from simkit.scoring.engine.kernels import affine, filled
from simkit.scoring.engine.trie import IntArray, Trie

__all__ = ["Lean", "fits"]

Affine = tuple[torch.Tensor, torch.Tensor | None]  # weight, bias

KINDS = (LlamaForCausalLM, Qwen2ForCausalLM)
MOST = 2**23  # weights in the layers: beyond, products are what takes the time
TOKENS = 2**12  # distinct tokens up to which the first layer's table is made
ROTATIONS = ("default", "linear", "llama3")  # those that do not change with a text's length


def fits(network: Any) -> bool:
    """Whether this is a plain, small network in float32 or float64, as its class wrote it.

    Adapters, quantised layers, hooks, replaced forwards and autocast are all reasons to leave the
    work to the network itself. (Hooks on its embedding run here too.)
    """
    if not kernels.ON or type(network) not in KINDS or network.device.type != "cpu":
        return False
    layers = network.model.layers
    if sum(p.numel() for p in layers.parameters()) > MOST or torch.is_autocast_enabled("cpu"):
        return False
    if hooks._global_forward_hooks or hooks._global_forward_pre_hooks:
        return False
    table = network.get_input_embeddings()
    modules = [m for m in network.modules() if m is not table]
    linear = [m for m in modules if isinstance(m, nn.Linear)]
    return (
        network.config.hidden_act == "silu"
        and network.model.rotary_emb.rope_type in ROTATIONS
        and len(linear) == 7 * len(layers) + 1  # nothing is there beside what is read below
        and all(type(m) is nn.Linear for m in linear)
        and {p.dtype for p in network.parameters()} in ({torch.float32}, {torch.float64})
        and not any(m._forward_hooks or m._forward_pre_hooks for m in modules)
        and not any("forward" in vars(m) for m in modules)
    )


@dataclass(frozen=True)
class _Layer:
    """The products of a layer; the norms before `qkv`, `gate` and `up` are in their weights."""

    qkv: Affine
    out: Affine
    gate: Affine
    up: Affine
    down: Affine


class Lean:
    """One network's forward for the batches of one tree; keys and values are kept in `size` slots.

    Use it under inference mode.
    """

    def __init__(self, network: Any, trie: Trie, size: int) -> None:
        config, body = network.config, network.model
        first = body.layers[0].self_attn
        self.size, self.scale = first.head_dim, first.scaling
        self.heads, self.shared = config.num_attention_heads, config.num_key_value_heads
        self.eps, self.trie = config.rms_norm_eps, trie
        self.table, self.vocabulary = network.get_input_embeddings(), network.lm_head
        self.layers = [_prepare(layer, self.size) for layer in body.layers]
        self.norm = body.norm.weight
        steps = torch.arange(int(trie.depth.max()) + 1)[None]
        cos, sin = (t[0, :, : self.size // 2] for t in body.rotary_emb(self.norm, steps))
        self.turns = torch.complex(cos.contiguous(), sin.contiguous())
        self.kept = [self.norm.new_zeros(size, 2 * self.shared * self.size) for _ in self.layers]
        distinct, self.which = np.unique(trie.token, return_inverse=True)
        self.first: torch.Tensor | None = None
        if len(distinct) <= TOKENS and len(self.layers) > 1:
            x = self.table.weight[torch.from_numpy(distinct)]
            self.first = affine(self._normal(x), *self.layers[0].qkv)

    def logits(
        self, nodes: IntArray, mask: torch.Tensor, read: torch.Tensor, cells: torch.Tensor,
        slots: torch.Tensor, heads: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """Logits (k, vocabulary) at the cells `heads` (2, k) of a batch.

        nodes : (rows, columns). mask : (rows, 1, columns, path + columns), additive. read : (rows
        or 1, path) slots of each row's path. cells : (2, n) what is to be kept in `slots` (n,).
        """
        # Rows beyond the batch's own fill it up to a size that products are prepared for.
        spare = filled(nodes.size) - nodes.size
        ids = np.append(self.trie.token[nodes], np.zeros(spare, dtype=np.int64))
        x = self.table(torch.from_numpy(ids))
        batch = _Batch(
            self.turns[torch.from_numpy(self.trie.depth[nodes])][:, :, None],
            mask, read, cells, slots,
        )  # fmt: skip
        for number, layer in enumerate(self.layers[:-1]):
            if number == 0 and self.first is not None:
                qkv = self.first[torch.from_numpy(self.which[nodes.ravel()])]
            else:
                qkv = affine(self._normal(x), *layer.qkv)[: nodes.size]
            qkv = qkv.view(*nodes.shape, -1, self.size)
            _turn(qkv[:, :, : self.heads + self.shared], batch.turns)
            keys, values = self._known(number, qkv[:, :, self.heads :], batch)
            found = self._attend(qkv[:, :, : self.heads], keys, values, mask)
            x = self._rest(layer, x, functional.pad(found.flatten(0, 1), (0, 0, 0, spare)))
        return self._last(x, nodes.shape, batch, heads)

    def _last(
        self, x: torch.Tensor, shape: tuple[int, ...], batch: _Batch, heads: torch.Tensor
    ) -> torch.Tensor:
        """The last layer: keys and values of all nodes, what follows from them at the heads."""
        layer, own = self.layers[-1], self.heads * self.size
        weight, bias = layer.qkv
        normal = self._normal(x)
        kv = affine(normal, weight[own:], None if bias is None else bias[own:])
        kv = kv[: shape[0] * shape[1]].view(*shape, -1, self.size)
        _turn(kv[:, :, : self.shared], batch.turns)
        keys, values = self._known(len(self.layers) - 1, kv, batch)
        row, column = heads
        if not len(row):
            return x.new_empty(0, self.vocabulary.weight.shape[0])
        # The heads of each row side by side; a row with fewer than most repeats its first cell.
        rows, count = torch.unique_consecutive(row, return_counts=True)
        place = torch.arange(len(row)) - torch.repeat_interleave(count.cumsum(0) - count, count)
        at = row.new_zeros(len(rows), int(count.max()))
        line = torch.repeat_interleave(torch.arange(len(rows)), count)
        at[line, place] = column
        cell = rows[:, None] * shape[1] + at
        q = affine(normal[cell.flatten()], weight[:own], None if bias is None else bias[:own])
        q = q.view(*cell.shape, self.heads, self.size)
        _turn(q, batch.turns[rows[:, None], at])
        if len(rows) < shape[0]:
            keys, values = keys[rows], values[rows]
        mask = batch.mask[rows[:, None], 0, at][:, None]
        found = self._attend(q, keys, values, mask)[line, place]
        x = self._rest(layer, x[row * shape[1] + column], found)
        logits: torch.Tensor = affine(
            self._normal(x).mul_(self.norm), self.vocabulary.weight, self.vocabulary.bias
        )
        return logits

    def _known(
        self, number: int, new: torch.Tensor, batch: _Batch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values (rows, heads, path + columns, size) of a layer; the new ones are kept.

        new : (rows, columns, 2 × heads, size), keys then values.
        """
        kept, flat = self.kept[number], new.flatten(2)
        if batch.slots.numel():
            kept[batch.slots] = flat[batch.cells[0], batch.cells[1]]
        if batch.read.shape[1]:
            path = kept[batch.read].expand(len(flat), -1, -1)
            new = torch.cat([path, flat], dim=1).unflatten(2, new.shape[2:])
        both = new.transpose(1, 2)
        if self.heads > self.shared:  # each head of keys serves several of queries
            both = both.repeat_interleave(self.heads // self.shared, dim=1)
        keys, values = both.chunk(2, dim=1)
        return keys, values

    def _attend(
        self, q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """What each query (rows, columns, heads, size) finds: (rows, columns, heads × size)."""
        found = functional.scaled_dot_product_attention(
            q.transpose(1, 2), keys, values, mask, scale=self.scale
        )
        return found.transpose(1, 2).flatten(2)

    def _rest(self, layer: _Layer, x: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
        """What follows attention in a layer, for rows (n, hidden)."""
        x = affine(found, *layer.out).add_(x)
        normal = self._normal(x)
        gate = affine(normal, *layer.gate, swish=True)
        return affine(gate.mul_(affine(normal, *layer.up)), *layer.down).add_(x)

    def _normal(self, x: torch.Tensor) -> torch.Tensor:
        """Rows (n, hidden) over the root of their mean square."""
        size: torch.Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return x * size.square_().mul_(1 / x.shape[-1]).add_(self.eps).rsqrt_()


@dataclass(frozen=True)
class _Batch:
    """What the layers of one pass share; see `Lean.logits`."""

    turns: torch.Tensor  # (rows, columns, 1, size / 2), complex
    mask: torch.Tensor
    read: torch.Tensor
    cells: torch.Tensor
    slots: torch.Tensor


def _prepare(layer: Any, size: int) -> _Layer:
    attention, mlp = layer.self_attn, layer.mlp
    before, between = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
    parts = [
        _paired(attention.q_proj, size),
        _paired(attention.k_proj, size),
        (attention.v_proj.weight, attention.v_proj.bias),
    ]
    biases = [bias for _, bias in parts if bias is not None]
    weight = torch.cat([weight for weight, _ in parts]) * before
    return _Layer(
        (weight, torch.cat(biases) if len(biases) == 3 else None),
        (attention.o_proj.weight, attention.o_proj.bias),
        (mlp.gate_proj.weight * between, mlp.gate_proj.bias),
        (mlp.up_proj.weight * between, mlp.up_proj.bias),
        (mlp.down_proj.weight, mlp.down_proj.bias),
    )


def _paired(projection: nn.Linear, size: int) -> Affine:
    """Weights whose rows j and j + size/2 of each head, which are rotated together, are adjacent.

    Queries and keys are reordered alike, so their products stay what they are.
    """
    rows = torch.arange(projection.out_features).view(-1, 2, size // 2).transpose(1, 2).flatten()
    bias = projection.bias
    return projection.weight[rows], None if bias is None else bias[rows]


def _turn(states: torch.Tensor, turns: torch.Tensor) -> None:
    """Rotate states (rows, columns, heads, size) in place."""
    torch.view_as_complex(states.unflatten(-1, (-1, 2))).mul_(turns)
