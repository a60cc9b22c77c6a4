"""Token sequences as one prefix tree, and the tree as rows for a transformer. NumPy only.

Nodes are numbered depth first, parents before children, so that

- the descendants of node j are the nodes j+1 … exit[j]-1: j is i or an ancestor of i exactly
  when j <= i < exit[j];
- for any run of nodes s … e-1, the ancestors that lie outside the run are all ancestors of s.

So the tree can be cut anywhere into runs, each of which needs one root path beside itself:

    the tree            0─1─┬─2─3         runs    [0 1 2 3]      needs nothing
                            ├─4─┬─5               [4 5 6]        needs 0 1
                            │   └─6               [7 8]          needs 0 1
                            └─7─8

A run whose path lies in an earlier run is one *wave* later; runs of one wave are independent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simkit.scoring.tokens import WIDTH, Ids, unpack

__all__ = ["Plan", "Rows", "Trie", "build", "cut", "ranges"]

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

    def paths(self, nodes: IntArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Proper ancestors of each node from the root down, (k, deepest), and which are real."""
        steps = np.arange(self.depth[nodes].max(initial=0))
        real = steps < self.depth[nodes][:, None]
        return self.at(self.row[nodes][:, None], np.where(real, steps, 0)), real


def build(sequences: Sequence[Ids]) -> tuple[Trie, IntArray]:
    """The tree of one or more non-empty sequences, and each one's row in it."""
    distinct = sorted(set(sequences))
    place = {sequence: i for i, sequence in enumerate(distinct)}
    trunk = _common(distinct[0], distinct[-1])
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


def _common(one: Ids, other: Ids) -> int:
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


def cut(trie: Trie, width: int) -> IntArray:
    """Bounds of runs of about `width` nodes, (runs + 1,).

    Cuts fall where a branch begins, never inside an unbranched stretch (that would only make a
    later run wait); of the branches within reach the shallowest is taken, the last of these.
    """
    depth = np.append(trie.depth, -1)
    branches = np.flatnonzero(depth[1:] <= depth[:-1]) + 1
    bounds = [0]
    while bounds[-1] < len(trie):
        near, half, far = np.searchsorted(
            branches, bounds[-1] + np.array([0, width // 2, width]), side="right"
        )
        if near == far:  # a stretch longer than a row: take all of it
            choice = branches[far : far + 1]
        else:
            choice = branches[half if half < far else near : far]
        last_shallowest = len(choice) - 1 - int(depth[choice][::-1].argmin())
        bounds.append(int(choice[last_shallowest]))
    return np.array(bounds)


@dataclass(frozen=True)
class Rows:
    """Runs that go through the transformer together, one per row, (rows,) each."""

    start: IntArray
    stop: IntArray

    @property
    def width(self) -> int:
        """Columns of the batch: the longest run."""
        return int((self.stop - self.start).max())

    @property
    def nodes(self) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Node in each cell (rows, width); cells past a run's end repeat its last node."""
        grid = self.start[:, None] + np.arange(self.width)
        return np.minimum(grid, self.stop[:, None] - 1), grid < self.stop[:, None]


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
        bounds = cut(trie, width)
        start, stop = bounds[:-1], bounds[1:]
        path, real = trie.paths(start)
        waves = _waves(trie, start)
        order = np.lexsort((start, start - stop, waves))  # in a wave the widest first
        needs = np.add.reduceat(heads.astype(np.int64), start)
        groups = _group(order, waves, stop - start, needs, budget, most_heads, most_rows)
        batches = [Rows(start[g], stop[g]) for g in groups]
        return cls(batches, np.unique(path[real]))

    @property
    def positions(self) -> int:
        """Positions that the transformer computes, padding included."""
        return sum(len(b.start) * b.width for b in self.batches)


def _waves(trie: Trie, start: IntArray) -> IntArray:
    """The wave of each run: 0 with no path, else one after the run that holds its parent."""
    depth = trie.depth[start]
    parent = trie.at(trie.row[start], np.maximum(depth - 1, 0))
    holder = np.searchsorted(start, parent, side="right") - 1
    waves = np.zeros(len(start), dtype=np.int64)
    for run in np.flatnonzero(depth):
        waves[run] = waves[holder[run]] + 1
    return waves


def _group(order: IntArray, waves: IntArray, widths: IntArray, heads: IntArray, budget: int,
           most_heads: int, most_rows: int | None) -> Iterator[list[int]]:  # fmt: skip
    """Runs in order, as many per batch as fit a rectangle; a batch stays within a wave."""
    group: list[int] = []
    total = 0  # heads in the group
    for run in order.tolist():
        size = len(group) + 1
        fits = not group or (
            waves[run] == waves[group[0]]
            and size * widths[group[0]] <= budget
            and total + heads[run] <= most_heads
            and (most_rows is None or size <= most_rows)
        )
        if not fits:
            yield group
            group, total = [], 0
        group.append(run)
        total += heads[run]
    if group:
        yield group


def ranges(start: IntArray, count: IntArray) -> IntArray:
    """start[0], …, start[0]+count[0]-1, start[1], …: the ranges laid end to end."""
    ends = count.cumsum()
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(start - ends + count, count) + np.arange(total)
