"""Token sequences as one prefix tree, and the tree as rows for a transformer. NumPy only.

Nodes are numbered depth first, parents before children, so that the descendants of node j are the
nodes j+1 … exit[j]-1: j is i or an ancestor of i exactly when j <= i < exit[j].

A row holds whole subtrees that hang from one parent, so it needs one root path beside itself.
Rows are cut from the leaves up: every subtree that fits a row goes; what is left is a smaller
tree, which is cut in the same way and computed before. With rows of up to 5 nodes:

    the tree        0─1─┬─2─3           wave 0    [0 1]                  needs nothing
                        ├─4─┬─5         wave 1    [2 3 4 5 6]  [7 8]     need 0 1
                        │   └─6
                        └─7─8

Each turn takes every leaf, and what then is a leaf had two at least: so waves are at most
1 + log2(leaves), mostly two to four. The rows of a wave are independent of each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simkit.scoring.engine.tokens import WIDTH, Ids, unpack

__all__ = ["Plan", "Rows", "Trie", "build", "common_ids", "cut", "ranges"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Trie:
    """The prefix tree of sequences.

    token, depth, exit : (n,) of each node; `exit` is one past its last descendant.
    row : (n,) a sequence (in sorted order) that runs through the node.
    trunk : the first `trunk` nodes are a path that every sequence shares.
    grid : (sequences, longest - trunk) node at each depth ≥ trunk of each sequence.
    """

    token: IntArray
    depth: IntArray
    exit: IntArray
    row: IntArray
    trunk: int
    grid: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.token)

    def at(self, row: IntArray, depth: IntArray) -> IntArray:
        """Node at a depth of a sequence; the arguments broadcast."""
        below = self.grid[row, np.clip(depth - self.trunk, 0, self.grid.shape[1] - 1)]
        return np.where(depth < self.trunk, depth, below)

    def parents(self, nodes: IntArray) -> IntArray:
        """Parent of each node, -1 for a root."""
        above = self.at(self.row[nodes], np.maximum(self.depth[nodes] - 1, 0))
        return np.where(self.depth[nodes] > 0, above, -1)

    def paths(self, nodes: IntArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Proper ancestors of each node from the root down, (k, deepest), and which are real."""
        steps = np.arange(self.depth[nodes].max(initial=0))
        real = steps < self.depth[nodes][:, None]
        return self.at(self.row[nodes][:, None], np.where(real, steps, 0)), real


def build(sequences: Sequence[Ids]) -> tuple[Trie, IntArray]:
    """The tree of one or more non-empty sequences, and each one's row in it."""
    distinct = sorted(set(sequences))
    place = {sequence: i for i, sequence in enumerate(distinct)}
    trunk = common_ids(distinct[0], distinct[-1])
    tails = [sequence[trunk * WIDTH :] for sequence in distinct]
    length = np.array([len(tail) // WIDTH for tail in tails])

    column = np.arange(max(1, length.max()))
    inside = column < length[:, None]
    ids = np.full(inside.shape, -1, dtype=np.int64)  # -1 differs from every id
    ids[inside] = unpack(b"".join(tails))
    # How much of a sequence the one before it has, in sorted order: the rest is new nodes.
    common = np.append(0, (ids[1:] != ids[:-1]).argmax(1))
    new = inside & (column >= common[:, None])
    count = new.sum(1)
    after = trunk + count.cumsum()  # nodes made up to and with each sequence

    grid = np.zeros(ids.shape, dtype=np.int32)
    grid[new] = np.arange(trunk, after[-1])
    np.maximum.accumulate(grid, axis=0, out=grid)
    row, tail_depth = np.nonzero(new)
    trie = Trie(
        token=np.append(unpack(distinct[0])[:trunk], ids[new]),
        depth=np.append(np.arange(trunk), tail_depth + trunk),
        exit=np.append(np.full(trunk, after[-1]), _exits(common, after, column)[new]),
        row=np.append(np.zeros(trunk, dtype=np.int64), row),
        trunk=trunk,
        grid=grid,
    )
    return trie, np.array([place[sequence] for sequence in sequences])


def common_ids(one: Ids, other: Ids) -> int:
    """Number of ids that both begin with."""
    shortest = min(len(one), len(other))
    differ = np.flatnonzero(unpack(one[:shortest]) != unpack(other[:shortest]))
    return int(differ[0]) if len(differ) else shortest // WIDTH


def _exits(common: IntArray, after: IntArray, column: IntArray) -> npt.NDArray[np.int32]:
    """One past the last descendant of the node at each (sequence, column).

    It is what stood when the next sequence left that column: the nearest later sequence with
    common <= column. Counts only grow, so the nearest is the smallest.
    """
    leaves = np.append(common[1:], 0)[:, None] <= column
    end = np.where(leaves, after[:, None], after[-1]).astype(np.int32)
    return np.minimum.accumulate(end[::-1], axis=0)[::-1]


def cut(trie: Trie, width: int) -> tuple[IntArray, IntArray, IntArray]:
    """Rows of up to `width` nodes: the nodes row after row, size (rows,) and wave (rows,) of each.

    Cuts fall where a branch begins, never inside an unbranched stretch (that would only make a
    later row wait): a stretch that leads to nothing else is a row, however long.
    """
    turns = []
    left = np.arange(len(trie))
    while len(left):
        size = np.searchsorted(left, trie.exit[left]) - np.arange(len(left))
        light = _light(trie.depth[left], size, width)
        # The largest light subtrees: those that begin after all earlier ones have ended.
        head = np.flatnonzero(light)
        ended = np.maximum.accumulate(head + size[head])
        top = head[head >= np.append(0, ended[:-1])]
        parent = trie.parents(left[top])
        top = top[np.argsort(parent, kind="stable")]  # siblings together
        turns.append((left[ranges(top, size[top])], _pack(np.sort(parent), size[top], width)))
        left = left[~light]
    turns.reverse()
    waves = [np.full(len(sizes), wave) for wave, (_, sizes) in enumerate(turns)]
    nodes, sizes = (np.concatenate(parts) for parts in zip(*turns, strict=True))
    return nodes, sizes, np.concatenate(waves)


def _light(depth: IntArray, size: IntArray, width: int) -> npt.NDArray[np.bool_]:
    """Nodes of a tree (depth first) in subtrees of up to `width` nodes or in unbranched leaves.

    Decided for a stretch as a whole, from the node after a branch to the next branch.
    """
    only = (depth[1:] == depth[:-1] + 1) & (size[:-1] - 1 == size[1:])  # children without siblings
    opens = np.append(True, ~only)
    head = np.flatnonzero(opens)
    length = np.diff(np.append(head, len(depth)))
    light = (size[head] <= width) | (size[head] == length)
    return np.asarray(light[opens.cumsum() - 1])


def _pack(parent: IntArray, size: IntArray, width: int) -> IntArray:
    """Sizes of the rows into which subtrees go in order, siblings together up to `width`."""
    rows: list[int] = []
    above = -2  # nobody's parent
    for p, s in zip(parent.tolist(), size.tolist(), strict=True):
        if p == above and rows[-1] + s <= width:
            rows[-1] += s
        else:
            rows.append(s)
        above = p
    return np.array(rows)


@dataclass(frozen=True)
class Rows:
    """Rows that go through the transformer together: size of each, and their nodes end to end."""

    size: IntArray
    flat: IntArray

    @property
    def width(self) -> int:
        """Columns of the batch: the longest row."""
        return int(self.size.max())

    @property
    def start(self) -> IntArray:
        """First node of each row: its ancestors are the row's path."""
        return self.flat[self.size.cumsum() - self.size]

    @property
    def nodes(self) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Node in each cell (rows, width), and whether it counts; padding repeats the last node."""
        column = np.arange(self.width)
        first = self.size.cumsum() - self.size
        at = first[:, None] + np.minimum(column, self.size[:, None] - 1)
        return self.flat[at], column < self.size[:, None]


@dataclass(frozen=True)
class Plan:
    """The batches in the order in which they run, and the nodes that later ones look back to."""

    batches: list[Rows]
    kept: IntArray

    @classmethod
    def of(cls, trie: Trie, heads: npt.NDArray[np.bool_], *, width: int, budget: int,
           most_heads: int, most_rows: int | None = None) -> Plan:  # fmt: skip
        """Cut the tree into rows and group them.

        heads : (n,) nodes that need the vocabulary head.
        width, budget : nodes per row and per batch (a longer unbranched stretch exceeds them).
        most_heads, most_rows : further bounds on a batch.
        """
        nodes, size, wave = cut(trie, width)
        first = size.cumsum() - size
        path, real = trie.paths(nodes[first])
        order = np.lexsort((first, -size, wave))  # in a wave the widest first
        needs = np.add.reduceat(heads[nodes].astype(np.int64), first)
        groups = _group(order, wave, size, needs, budget, most_heads, most_rows)
        batches = [Rows(size[g], nodes[ranges(first[g], size[g])]) for g in groups]
        return cls(batches, np.unique(path[real]))


def _group(order: IntArray, waves: IntArray, widths: IntArray, heads: IntArray, budget: int,
           most_heads: int, most_rows: int | None) -> Iterator[list[int]]:  # fmt: skip
    """Rows in order, as many per batch as fit a rectangle; a batch stays within a wave."""
    group: list[int] = []
    total = 0  # heads in the group
    for row in order.tolist():
        size = len(group) + 1
        fits = not group or (
            waves[row] == waves[group[0]]
            and size * widths[group[0]] <= budget
            and total + heads[row] <= most_heads
            and (most_rows is None or size <= most_rows)
        )
        if not fits:
            yield group
            group, total = [], 0
        group.append(row)
        total += heads[row]
    if group:
        yield group


def ranges(start: IntArray, count: IntArray) -> IntArray:
    """start[0], …, start[0]+count[0]-1, start[1], …: the ranges laid end to end."""
    ends = count.cumsum()
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(start - ends + count, count) + np.arange(total)
