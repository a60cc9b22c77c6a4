"""What a network reads while texts grow: one token after each prefix that runs stand at."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from simkit.scoring.engine.padded import (
    Together,
    _batches,
    _last_logprobs,
    parameters_of,
    virtual_tokens,
)
from simkit.scoring.engine.tokens import WIDTH, Ids, unpack
from simkit.scoring.engine.tree import Limits, Work, _kept_size, _mask, _Paths
from simkit.scoring.engine.trie import Plan, build
from simkit.types import IntArray

__all__ = ["AgainReader", "KeptReader", "Node", "PlainReader", "plain_logits"]

FIRST = 2_048  # nodes for which there is room at first
SECOND = 8  # contexts kept for second looks, and texts of one length in a pass


@dataclass(eq=False)
class Node:
    """A prefix that runs stand at: its last token is yet to be read.

    path : where the keys and values of all tokens before the last are kept.
    """

    context: int
    ids: Ids
    runs: IntArray
    path: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))


class Pool(_Paths):
    """Keys and values of nodes, a slot for each, with room for more when there is need."""

    def grow(self, size: int) -> None:
        """Make room for `size` nodes; what is kept stays."""

        def wider(store: torch.Tensor) -> torch.Tensor:
            return torch.cat([store, store.new_zeros(size - self._size, *store.shape[1:])])

        self._kept = {layer: (wider(k), wider(v)) for layer, (k, v) in self._kept.items()}
        self._size = size

    def turn_to(
        self, paths: torch.Tensor, columns: int, cells: torch.Tensor, slots: torch.Tensor
    ) -> None:
        """paths : (rows, path + columns) slots of each row's path and of its own `columns` nodes.
        cells, slots : as in `turn`."""
        self.turn(paths[:, :0], cells, slots)
        self._paths, self._columns = paths, columns

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int,
        *args: Any, **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
        """Keep a layer's new states, and give these with their paths before them."""
        super().update(key_states, value_states, layer_idx)
        paths = self._paths.to(key_states.device)
        # One copy: what is new is read back from where it was put, next to its path.
        keys, values = (
            store.index_select(0, paths.flatten()).unflatten(0, paths.shape).transpose(1, 2)
            for store in self._kept[layer_idx]
        )
        return keys, values

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Columns before the batch's own."""
        return self._paths.shape[1] - self._columns


class KeptReader:
    """Reads a token per node and pass; what was read before is kept, once however many share it.

    Bounded memory: nodes for which there is no room are put off, and are read afresh later.
    """

    def __init__(
        self, network: Any, limits: Limits, longest: int, work: Work | None = None
    ) -> None:
        size = _kept_size(network)
        self.network, self.work = network, work or Work()
        self.most = max(longest + 1, limits.kept // size)  # slots, at last
        self.slots = min(self.most, FIRST)
        vocabulary = network.get_input_embeddings().weight.shape[0]
        self.rows = max(1, min(limits.budget, limits.logits // vocabulary))
        # Keys and values of a batch's paths are gathered layer by layer.
        layers = network.config.get_text_config().num_hidden_layers
        self.cells = max(1, limits.kept // 4 // (size // layers))
        self.budget = limits.budget
        self.cache = Pool(self.slots)
        self.free = np.arange(self.slots)

    def admit(self, live: list[Node], waiting: list[Node]) -> list[Node]:
        """The nodes to read next: as many of the live ones, then of the waiting, as have room."""
        self._find_free(live)
        while len(live) > self.most - self.used:
            half = len(live) // 2
            waiting += [Node(n.context, n.ids, n.runs) for n in reversed(live[half:])]
            live = live[:half]
            self._find_free(live)
        # Not before half of the room is free: what comes in must not push out what came before.
        new: list[Node] = []
        if not live or (2 * len(live) <= self.rows and 2 * self.used <= self.most):
            room = 3 * self.most // 4 - self.used - len(live)
            while waiting and len(live) + len(new) < self.rows:
                room -= len(waiting[-1].ids) // WIDTH
                if room < 0 and (live or new):
                    break
                new.append(waiting.pop())
        self._make_room(len(live) + sum(len(node.ids) for node in new) // WIDTH)
        self._fill(new)
        return live + new

    def _find_free(self, live: list[Node]) -> None:
        used = np.zeros(self.slots, dtype=bool)
        for node in live:
            used[node.path] = True
        self.free = np.flatnonzero(~used)
        self.used = self.slots - len(self.free)

    def _make_room(self, count: int) -> None:
        need = self.used + count
        if need > self.slots:
            size = min(self.most, max(need, 2 * self.slots))
            self.free = np.append(self.free, np.arange(self.slots, size))
            self.cache.grow(size)
            self.slots = size

    def _fill(self, nodes: list[Node]) -> None:
        """Read the prefixes of nodes, all but their last tokens, as one prefix tree."""
        nodes = [node for node in nodes if len(node.ids) > WIDTH]
        if not nodes:
            return
        trie, row = build([node.ids[:-WIDTH] for node in nodes])
        slots, self.free = self.free[: len(trie)], self.free[len(trie) :]
        width, no_heads = int(np.clip(np.median(trie.depth), 64, 256)), np.zeros(len(trie), bool)
        plan = Plan.of(trie, no_heads, width=width, budget=self.budget, most_heads=1)
        for rows in plan.batches:
            cells, real = rows.nodes
            path, known = trie.paths(rows.start)
            mask = _mask(trie, rows, path, known, self.network.device, self.network.dtype)
            read = slots[np.concatenate([path, cells], axis=1)]
            token, depth = trie.token[cells], trie.depth[cells]
            self._forward(token, depth, mask, read, real, slots[cells[real]])
        self.work.nodes += len(trie)
        for node, r in zip(nodes, row, strict=True):
            node.path = slots[trie.at(r, np.arange(len(node.ids) // WIDTH - 1))]

    def read(self, live: list[Node]) -> Iterator[tuple[list[Node], torch.Tensor]]:
        """Logits after each node, in batches."""
        for nodes in self._batches(sorted(live, key=lambda node: len(node.ids))):
            slots, self.free = self.free[: len(nodes)], self.free[len(nodes) :]
            paths = [node.path for node in nodes]
            depth = np.array([len(path) for path in paths])
            known = np.arange(depth.max() + 1) < depth[:, None]
            read = np.zeros(known.shape, dtype=np.int64)
            read[known] = np.concatenate(paths)
            known[:, -1], read[:, -1] = True, slots  # itself
            token = unpack(b"".join(node.ids[-WIDTH:] for node in nodes))
            cells = np.ones((len(nodes), 1), dtype=bool)
            mask = torch.from_numpy(np.where(known, 0.0, torch.finfo(self.network.dtype).min))
            mask = mask[:, None, None].to(self.network.dtype).to(self.network.device)
            logits = self._forward(token[:, None], depth[:, None], mask, read, cells, slots)
            for node, path, slot in zip(nodes, paths, slots, strict=True):
                node.path = np.append(path, slot)
            self.work.nodes += len(nodes)
            self.work.heads += len(nodes)
            yield nodes, logits[:, -1]

    def _batches(self, nodes: list[Node]) -> Iterator[list[Node]]:
        """Nodes, sorted by length, in batches within the limits."""
        batch: list[Node] = []
        for node in nodes:
            cells = (len(batch) + 1) * len(node.ids) // WIDTH
            if batch and (len(batch) == self.rows or cells > self.cells):
                yield batch
                batch = []
            batch.append(node)
        if batch:
            yield batch

    @torch.inference_mode()
    def _forward(
        self, token: IntArray, depth: IntArray, mask: torch.Tensor, read: IntArray,
        real: Any, slots: IntArray,
    ) -> Any:  # fmt: skip
        """Logits at the last column of each row; the `real` cells are kept in `slots`."""
        ids, positions, rows, cells, into = (
            torch.from_numpy(np.ascontiguousarray(a)).to(self.network.device)
            for a in (token, depth, read, np.array(np.nonzero(real)), slots)
        )
        self.cache.turn_to(rows, token.shape[1], cells, into)
        self.work.positions += token.size
        self.work.passes += 1
        return self.network(
            input_ids=ids,
            position_ids=positions,
            attention_mask=mask,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits


class PlainReader:
    """Reads each text in full: right for any architecture."""

    def __init__(self, network: Any, work: Work | None, together: Together = "any") -> None:
        self.network, self.work, self.together = network, work or Work(), together
        self.accepted = parameters_of(network)

    def admit(self, live: list[Node], waiting: list[Node]) -> list[Node]:
        """Everything: nothing is held between passes."""
        nodes = live + waiting
        waiting.clear()
        return nodes

    def read(self, live: list[Node]) -> Iterator[tuple[list[Node], torch.Tensor]]:
        """Log-probabilities after each node, in batches."""
        by_ids = {node.ids: node for node in live}
        for batch in _batches(self.network, self.accepted, by_ids, self.together):
            self.work.nodes += len(batch)
            self.work.heads += len(batch)
            self.work.passes += 1
            self.work.positions += len(batch) * len(batch[-1]) // WIDTH
            yield [by_ids[ids] for ids in batch], plain_logits(self.network, self.accepted, batch)


def plain_logits(network: Any, accepted: set[str], sequences: list[Ids]) -> torch.Tensor:
    logp = _last_logprobs(network, accepted, [unpack(s) for s in sequences], 1)
    return torch.from_numpy(logp[:, -1])


class AgainReader:
    """Reads a few texts once more; of what they have in common, their contexts, once.

    network : the exact one. kept : whether it takes back what it read before.
    """

    def __init__(
        self, network: Any, contexts: Sequence[Ids], work: Work, *, kept: bool = True
    ) -> None:
        self.network, self.contexts, self.work = network, contexts, work
        self.kept = kept and not virtual_tokens(network)
        self.accepted = parameters_of(network)
        self._past = lru_cache(maxsize=SECOND)(self._read)

    def logits(self, context: int, texts: list[Ids]) -> torch.Tensor:
        """Logits after texts (n,) of one length that begin with a context, (n, vocabulary)."""
        known = len(self.contexts[context]) - WIDTH
        rows = [texts[i : i + SECOND] for i in range(0, len(texts), SECOND)]
        if not self.kept or not known:
            self._count(len(texts), len(texts) * len(texts[0]))
            return torch.cat([plain_logits(self.network, self.accepted, [t]) for t in texts])
        return torch.cat([self._on(context, [text[known:] for text in some]) for some in rows])

    @torch.inference_mode()
    def _on(self, context: int, texts: list[Ids]) -> torch.Tensor:
        past = copy.deepcopy(self._past(context))
        past.batch_repeat_interleave(len(texts))
        self._count(1, sum(map(len, texts)))
        ids = torch.from_numpy(np.stack([unpack(text) for text in texts]))
        given = {"input_ids": ids.to(self.network.device), "past_key_values": past}
        logits: torch.Tensor = self.network(**given, use_cache=True, logits_to_keep=1).logits
        return logits[:, -1].cpu()

    @torch.inference_mode()
    def _read(self, context: int) -> Any:
        """What is kept of a context, all but its last token."""
        start = self.contexts[context][:-WIDTH]
        self._count(1, len(start))
        ids = torch.from_numpy(unpack(start)[None].copy()).to(self.network.device)
        return self.network(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values

    def _count(self, passes: int, size: int) -> None:
        self.work.passes += passes
        self.work.positions += size // WIDTH
