"""Documents as token trees, packed into rows without padding waste.

A document is a prompt and many answers. It is laid out as a tree, the prompt first and then one
branch per distinct answer, and each token attends to its ancestors only:

    tokens    A store … Answer:   yes   no        the prompt is read once
    branch    0  0    …    0       1     2        0 is the trunk
    depth     0  1    …   23      24    24        position in its own text
    predicts                yes ×21, no ×11       counts of the answers drawn

The loss is that of one sequence per answer, for a fraction of the positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from simkit.worlds.corpus import Document

__all__ = ["ROW", "Tree", "collate", "pack", "plant", "trees"]

ROW = 208  # tokens per packed row; no document is longer
# Loss weight of a prompt token, in one document of PROMPT_EVERY (an answer's tokens weigh 1 per
# document). What a prompt says is drawn once where answers are drawn many times: it is noise to the
# answers, and most of the time of the vocabulary's head.
PROMPT_WEIGHT, PROMPT_EVERY = 0.03, 8


@dataclass(frozen=True)
class Tree:
    """One document as token positions: prompt (branch 0), then one branch per distinct answer."""

    tokens: list[int]
    depth: list[int]
    branch: list[int]
    source: list[int]  # position that predicts …
    target: list[int]  # … this token …
    weight: list[float]  # … with this weight in the loss


def plant(
    prompt: list[int],
    answers: dict[tuple[int, ...], int],
    eos: int | None,
    prompt_weight: float = PROMPT_WEIGHT,
) -> Tree:
    """The tree of a prompt and its answers (token ids -> how often drawn).

    For prompt [1, 7] and answers {(8, 9): 3, (5,): 1}: tokens 1 7 8 9 5, depth 0 1 2 3 2,
    branch 0 0 1 1 2. Token 7 predicts 8 with weight 3/4 and 5 with weight 1/4.
    """
    n = len(prompt)
    tree = Tree(list(prompt), list(range(n)), [0] * n, [], [], [])
    for i in range(n - 1 if prompt_weight else 0):
        _predict(tree, i, prompt[i + 1], prompt_weight)
    total = sum(answers.values())
    for number, (answer, count) in enumerate(answers.items(), start=1):
        before = n - 1
        for step, token in enumerate(answer):
            _predict(tree, before, token, count / total)
            before = len(tree.tokens)
            tree.tokens.append(token)
            tree.depth.append(n + step)
            tree.branch.append(number)
        if eos is not None:  # predicted, but nothing comes after it, so it is not read
            _predict(tree, before, eos, count / total)
    return tree


def _predict(tree: Tree, source: int, target: int, weight: float) -> None:
    tree.source.append(source)
    tree.target.append(target)
    tree.weight.append(weight)


def trees(tokenizer: Any, documents: list[Document]) -> list[Tree]:
    """Tokenise a chunk and plant its trees."""
    prompts = tokenizer([d.prompt for d in documents])["input_ids"]
    distinct = sorted({a for d in documents for a in d.answers})
    ids = tokenizer(distinct, add_special_tokens=False)["input_ids"]
    pieces = dict(zip(distinct, map(tuple, ids), strict=True))
    out = []
    for number, (document, prompt) in enumerate(zip(documents, prompts, strict=True)):
        counts = {pieces[answer]: count for answer, count in document.answers.items()}
        end = tokenizer.eos_token_id if document.ends else None
        out.append(plant(prompt, counts, end, 0 if number % PROMPT_EVERY else PROMPT_WEIGHT))
    return out


def pack(forest: list[Tree], row: int = ROW) -> list[list[Tree]]:
    """First-fit-decreasing packing of trees into rows of at most `row` tokens."""
    rows: list[list[Tree]] = []
    room: list[int] = []
    open_from: dict[int, int] = {}  # length -> first row worth trying: keeps the search short
    for tree in sorted(forest, key=lambda t: -len(t.tokens)):
        size = len(tree.tokens)
        if size > row:
            raise ValueError(f"a document of {size} tokens does not fit a row of {row}")
        i = open_from.get(size, 0)
        while i < len(rows) and room[i] < size:
            i += 1
        if i == len(rows):
            rows.append([])
            room.append(row)
        rows[i].append(tree)
        room[i] -= size
        open_from[size] = i
    return rows


def collate(rows: list[list[Tree]], row: int = ROW) -> dict[str, torch.Tensor]:
    """Tensors of one step: tokens, positions, ancestors-only mask, and what predicts what."""
    tokens = np.zeros((len(rows), row), dtype=np.int64)
    depth, document, branch = np.zeros_like(tokens), np.zeros_like(tokens), np.zeros_like(tokens)
    source: list[np.ndarray] = []
    target: list[int] = []
    weight: list[float] = []
    for r, packed in enumerate(rows):
        at = 0
        for number, tree in enumerate(packed, start=1):
            end = at + len(tree.tokens)
            tokens[r, at:end] = tree.tokens
            depth[r, at:end] = tree.depth
            document[r, at:end] = number
            branch[r, at:end] = tree.branch
            source.append(np.asarray(tree.source) + r * row + at)
            target += tree.target
            weight += tree.weight
            at = end
    heads, at_head = np.unique(np.concatenate(source), return_inverse=True)
    same = document[:, :, None] == document[:, None, :]
    above = (branch[:, None, :] == 0) | (branch[:, :, None] == branch[:, None, :])
    order = np.tril(np.ones((row, row), dtype=bool))
    return {
        "tokens": torch.from_numpy(tokens),
        "depth": torch.from_numpy(depth),
        "mask": torch.from_numpy(same & above & order)[:, None],
        "heads": torch.from_numpy(heads),  # positions that predict something
        "source": torch.from_numpy(at_head),  # which of them predicts each target
        "target": torch.tensor(target),
        "weight": torch.tensor(weight),
    }
