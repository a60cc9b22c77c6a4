"""The prefix tree and its cutting into rows: every node once, ancestors first."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.scoring.engine.tokens import pack
from simkit.scoring.engine.trie import Plan, Rows, Trie, build, cut, ranges

# Three ids, so that sequences share, repeat and extend one another.
SEQUENCES = st.lists(
    st.lists(st.sampled_from([0, 7, 300]), min_size=1, max_size=9), min_size=1, max_size=14
)


def computed(plan: Plan) -> int:
    """Positions of all batches, padding included."""
    return sum(len(rows.size) * rows.width for rows in plan.batches)


def parents(trie: Trie) -> list[int]:
    """Parent of each node by walking, -1 at roots."""
    found, path = [], []
    for node, depth in enumerate(trie.depth.tolist()):
        assert depth <= len(path)  # a child comes right below something already there
        found.append(path[depth - 1] if depth else -1)
        path = [*path[:depth], node]
    return found


@settings(max_examples=150, deadline=None)
@given(SEQUENCES)
def test_the_tree_has_every_prefix_once(sequences: list[list[int]]) -> None:
    trie, row = build([pack(s) for s in sequences])
    parent = parents(trie)
    spelled = []
    for node, token in enumerate(trie.token.tolist()):
        spelled.append((*(spelled[parent[node]] if parent[node] >= 0 else ()), token))
    assert sorted(spelled) == sorted(
        {tuple(s[:i]) for s in sequences for i in range(1, len(s) + 1)}
    )
    # Depth first: a node's descendants are the nodes up to its exit.
    for node, name in enumerate(spelled):
        below = [i for i, other in enumerate(spelled) if other[: len(name)] == name]
        assert below == list(range(node, trie.exit[node]))
    for sequence, r in zip(sequences, row, strict=True):
        nodes = trie.at(np.full(len(sequence), r), np.arange(len(sequence)))
        assert [spelled[n] for n in nodes] == [
            tuple(sequence[: i + 1]) for i in range(len(sequence))
        ]
    path, real = trie.paths(np.arange(len(trie)))
    for node, name in enumerate(spelled):
        assert [spelled[n] for n in path[node][real[node]]] == [
            name[:i] for i in range(1, len(name))
        ]


@settings(max_examples=150, deadline=None)
@given(SEQUENCES, st.integers(1, 12), st.integers(1, 30), st.sampled_from([1, 4, 1000]))
def test_the_plan_computes_every_node_once_and_ancestors_first(
    sequences: list[list[int]], width: int, budget: int, most_heads: int
) -> None:
    trie, _ = build([pack(s) for s in sequences])
    parent = parents(trie)
    assert trie.parents(np.arange(len(trie))).tolist() == parent
    heads = trie.exit == np.arange(len(trie)) + 1
    plan = Plan.of(trie, heads, width=width, budget=budget, most_heads=most_heads)
    done: set[int] = set()
    for rows in plan.batches:
        assert len(rows.size) == 1 or len(rows.size) * rows.width <= budget
        nodes, real = rows.nodes
        assert len(rows.size) == 1 or heads[nodes[real]].sum() <= most_heads
        for row, counts, start in zip(nodes, real, rows.start, strict=True):
            inside = row[counts].tolist()
            assert inside == sorted(inside) and inside[0] == start
            above = {parent[n] for n in inside} - set(inside)
            # What hangs from outside hangs from one node, kept from an earlier batch.
            assert above == {parent[start]}
            assert parent[start] < 0 or (parent[start] in done and parent[start] in plan.kept)
        assert not done & set(nodes[real].tolist())
        done |= set(nodes[real].tolist())
    assert sorted(done) == list(range(len(trie)))
    assert computed(plan) >= len(trie)


@settings(max_examples=150, deadline=None)
@given(SEQUENCES, st.integers(1, 12))
def test_waves_are_few_and_rows_fit(sequences: list[list[int]], width: int) -> None:
    trie, _ = build([pack(s) for s in sequences])
    leaves = int((trie.exit == np.arange(len(trie)) + 1).sum())
    nodes, size, wave = cut(trie, width)
    assert wave.max() <= np.log2(leaves)  # counted from 0
    for end, length in zip(size.cumsum(), size, strict=True):
        row = nodes[end - length : end]
        # Longer than asked for is only what has no branch in it.
        assert length <= width or (trie.parents(row[1:]) == row[:-1]).all()


def test_cuts_fall_between_branches() -> None:
    # Trunk of 4, then three branches of 3: 0 1 2 3 | 4 5 6 | 7 8 9 | 10 11 12
    trie, _ = build([pack([1, 2, 3, 4, b, 0, 0]) for b in (5, 6, 7)])

    def sizes(width: int) -> list[int]:
        nodes, size, _ = cut(trie, width)
        assert nodes.tolist() == list(range(13))
        return size.tolist()

    assert sizes(6) == [4, 6, 3]  # two of the branches fit one row
    assert sizes(3) == [4, 3, 3, 3]
    assert sizes(1) == [4, 3, 3, 3]  # no stretch is cut
    assert sizes(13) == [13]


def test_rows_of_one_wave_do_not_wait_for_each_other() -> None:
    # A full grid of 4 × 4 × 4 attribute values, two tokens each, and a question of 5 tokens: each
    # level of the grid is one wave at most, however many rows it has.
    grid = [(a, a, b, b, c, c) for a in range(4) for b in range(4) for c in range(4)]
    trie, _ = build([pack([9, 9, *row, 5, 6, 7, 8, 9]) for row in grid])
    nodes, size, wave = cut(trie, 14)
    # 64 ends of 2 + 5 nodes, two to a row; without them each first value has 2 + 4 × 2 nodes.
    assert np.bincount(wave).tolist() == [1, 4, 32]
    assert size.tolist() == [2] + [10] * 4 + [14] * 32
    assert nodes[:6].tolist() == [0, 1, 2, 3, 4, 5]


def test_padding_repeats_a_real_node() -> None:
    nodes, real = Rows(np.array([3, 1]), np.array([4, 5, 6, 9])).nodes
    assert nodes.tolist() == [[4, 5, 6], [9, 9, 9]]
    assert real.tolist() == [[True, True, True], [True, False, False]]


def test_runs_of_one_width_waste_nothing() -> None:
    # 40 prompts of 5 own tokens on a trunk of 30: rows of 10 nodes, no padding but the first's.
    own = np.arange(100, 300).reshape(40, 5)
    trie, _ = build([pack([*range(30), *row]) for row in own.tolist()])
    plan = Plan.of(trie, np.ones(len(trie), bool), width=10, budget=100, most_heads=1000)
    assert len(trie) == 30 + 40 * 5
    assert computed(plan) <= len(trie) + 5
    assert plan.kept.tolist() == list(range(30))


def test_ranges_end_to_end() -> None:
    assert ranges(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]
    assert ranges(np.array([], int), np.array([], int)).tolist() == []
