"""Documents as token trees, several to a row, for the glass box to learn from.

A document is a prompt and many answers: a tree, the prompt first and then one branch per distinct
answer:

    tokens    A store … Answer:   yes   no        the prompt is read once
    depth     0  1    …   23      24    24        position in its own text
    predicts                yes ×21, no ×11       counts of the answers drawn
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from simkit.training.packing import Rows, fill
from simkit.worlds.corpus import Document

__all__ = ["ROW", "DocumentTree", "Documents", "collate", "pack", "plant", "trees"]

ROW = 208  # tokens per packed row; no document is longer
# Loss weight of a prompt token, in one document of PROMPT_EVERY (an answer's tokens weigh 1 per
# document). What a prompt says is drawn once where answers are drawn many times: it is noise to the
# answers, and most of the time of the vocabulary's head.
PROMPT_WEIGHT, PROMPT_EVERY = 0.03, 8


@dataclass(frozen=True)
class DocumentTree:
    """One document as nodes, depth first: the prompt, then one branch per distinct answer."""

    token: list[int]
    depth: list[int]
    exit: list[int]  # one past the node's last descendant
    source: list[int]  # position that predicts …
    target: list[int]  # … this token …
    weight: list[float]  # … with this weight in the loss


def plant(
    prompt: list[int],
    answers: dict[tuple[int, ...], int],
    eos: int | None,
    prompt_weight: float = PROMPT_WEIGHT,
) -> DocumentTree:
    """The tree of a prompt and its answers (token ids -> how often drawn).

    For prompt [1, 7] and answers {(8, 9): 3, (5,): 1}: token 1 7 8 9 5, depth 0 1 2 3 2,
    exit 5 5 4 4 5. Token 7 predicts 8 with weight 3/4 and 5 with weight 1/4.
    """
    n = len(prompt)
    nodes = n + sum(map(len, answers))
    tree = DocumentTree(list(prompt), list(range(n)), [nodes] * n, [], [], [])
    if prompt_weight:
        tree.source.extend(range(n - 1))
        tree.target.extend(prompt[1:])
        tree.weight.extend([prompt_weight] * (n - 1))
    total = sum(answers.values())
    for answer, count in answers.items():
        start, length = len(tree.token), len(answer)
        tree.token.extend(answer)
        tree.depth.extend(range(n, n + length))
        tree.exit.extend([start + length] * length)
        # The end is predicted, but nothing comes after it, so it is not read.
        targets = answer if eos is None else (*answer, eos)
        tree.source.extend([n - 1, *range(start, start + length)][: len(targets)])
        tree.target.extend(targets)
        tree.weight.extend([count / total] * len(targets))
    return tree


def trees(tokenizer: Any, documents: list[Document]) -> list[DocumentTree]:
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


def pack(forest: list[DocumentTree], row: int = ROW) -> list[list[DocumentTree]]:
    """First-fit-decreasing packing of trees into rows of at most `row` tokens."""
    rows: list[list[DocumentTree]] = []
    room: list[int] = []
    open_from: dict[int, int] = {}  # length -> first row worth trying: keeps the search short
    for tree in sorted(forest, key=lambda t: -len(t.token)):
        size = len(tree.token)
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


@dataclass(frozen=True)
class Documents(Rows):
    """Documents as rows; `weight` (m,) of each token to predict. `number` of documents."""

    weight: torch.Tensor
    number: int


def collate(rows: list[list[DocumentTree]]) -> Documents:
    """Rows of trees as one step."""
    cells, tokens, weights = [], [], []
    for number, packed in enumerate(rows):
        start = number * ROW
        for tree in packed:
            cells += [start + source for source in tree.source]
            tokens += tree.target
            weights += tree.weight
            start += len(tree.token)
    return Documents(
        **fill(rows, ROW, cells, tokens), weight=torch.tensor(weights), number=sum(map(len, rows))
    )
