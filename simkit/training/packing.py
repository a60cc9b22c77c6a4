"""Texts as token trees in rows: a step reads once what several texts share.

A row holds trees, nodes depth first: one tree that sorted prompts and answers share (`lay_out`), or
several small ones (`simkit.training.documents`). A token attends to its ancestors only, so the loss
and its gradient are those of one sequence per text, for a fraction of the positions and with next
to no padding:

    tokens     A survey … Question: … Answer:   yes   no
    depth      0 1      …                 39    40    40
    predicts                              yes, no     end   end
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from transformers import modeling_utils

from simkit.scoring.engine.padded import parameters_of
from simkit.scoring.engine.tokens import WIDTH, Ids, Reader, pack, unpack
from simkit.scoring.engine.trie import Trie, build, common_ids
from simkit.types import FloatArray, IntArray, generator

__all__ = ["ROW", "Batch", "Example", "Order", "Rows", "Tree", "additive", "batches", "encode",
           "fill", "lay_out"]  # fmt: skip

ROW = 384  # tokens per row; a longer text has a row of its own
TOGETHER = 8  # examples with like prompts that go into one step, whose shared text is read once
_KEEPS_BY_ROW = hasattr(modeling_utils, "slice_logits_to_keep")


@dataclass(frozen=True)
class Example:
    """One question put to one respondent, as token ids.

    Attributes
    ----------
    context : ids of the prompt.
    answer : ids of the answer, with the end of the text.
    options : ids of the K options, or none where no penalty is due.
    distances : (K,) d(v, answer) of the penalty.
    weight : of the respondent.
    """

    context: Ids
    answer: Ids
    options: tuple[Ids, ...]
    distances: FloatArray
    weight: float


def encode(
    frame: pd.DataFrame,
    tokenizer: Any,
    numeric: Any = None,
    *,
    limit: int | None = None,
    network: Any = None,
) -> list[Example]:
    """Token ids of examples, by the reader that scores prompts.

    numeric : a `NumericLoss`, or None. limit : the model's context length. network : whose weights
    the tokens must have. The end-of-text token is learnt after the answer.

    Raises `BoundaryError` where a prompt and an option are not tokenized apart, and ValueError for
    a text that is too long, a token without weights or a tokenizer without an end.
    """
    if tokenizer.eos_token_id is None:
        raise ValueError("the tokenizer has no end-of-text token to learn: set its eos_token")
    last = pack([tokenizer.eos_token_id])
    prompts, options = frame["prompt"].tolist(), frame["options"].tolist()
    contexts, answers = Reader(tokenizer, network).read(prompts, options, range(len(frame)))
    out = []
    for row, e in enumerate(frame.itertuples(index=False)):
        penalised = numeric is not None and numeric.applies_to(e.question, e.values)
        distances = numeric.distances(e.values, e.value) if penalised else np.zeros(0)
        answer = answers[row][e.option_id] + last
        length = (len(contexts[row]) + max(map(len, (answer, *answers[row])))) // WIDTH
        if limit is not None and length > limit:
            raise ValueError(
                f"row {row}: prompt and answer are {length} tokens long, more than the {limit} "
                "that the model can read"
            )
        scale = answers[row] if penalised else ()
        out.append(Example(contexts[row], answer, scale, distances, float(e.weight)))
    return out


class Tree(Protocol):
    """Nodes depth first, parents before children: `exit` is one past a node's last descendant."""

    @property
    def token(self) -> Any: ...
    @property
    def depth(self) -> Any: ...
    @property
    def exit(self) -> Any: ...


@dataclass(frozen=True)
class Rows:
    """What one forward pass reads and predicts.

    tokens, positions : (rows, width). mask : (rows, 1, width, width) what each position sees, or
    (rows, width) what is no padding, where every row is one text.
    keep : (rows, width) positions whose prediction is wanted.
    place, token : (m,) each token to predict, and after which kept position.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    keep: torch.Tensor
    place: torch.Tensor
    token: torch.Tensor

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(
            self, **{k: v.to(device) for k, v in values.items() if isinstance(v, torch.Tensor)}
        )


@dataclass(frozen=True)
class Batch(Rows):
    """Examples as rows.

    text : (m,) which text each token to predict is of. texts : number of distinct texts (answers
        and options after their prompts).
    answer, weight : (examples,) text of the answer, weight of the example.
    scales : (scales, K) texts of a scale's options; `texts` where a shorter scale has none.
    penalised, scale : (p,) examples with a penalty, and their scale. distances : (p, K).
    """

    text: torch.Tensor
    texts: int
    answer: torch.Tensor
    weight: torch.Tensor
    scales: torch.Tensor
    penalised: torch.Tensor
    scale: torch.Tensor
    distances: torch.Tensor

    def logprobs(self, network: Any) -> torch.Tensor:
        """Log-probability (texts,) of each text after its prompt, in float32, differentiable."""
        tree = self.mask.dim() == 4
        by_row = tree and _KEEPS_BY_ROW
        columns = self.keep.any(0)
        inputs = {
            "input_ids": self.tokens,
            "position_ids": self.positions,
            "attention_mask": additive(self.mask, network.dtype) if tree else self.mask,
            "logits_to_keep": self.keep if by_row else columns.nonzero().flatten(),
            "use_cache": False,
        }
        accepted = parameters_of(network)
        logits = network(**{k: v for k, v in inputs.items() if k in accepted}).logits
        if "logits_to_keep" not in accepted:
            logits = logits[self.keep]
        elif not by_row:
            logits = logits[self.keep[:, columns]]
        logits = logits.flatten(0, -2)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        logp = torch.log_softmax(logits, -1)[self.place, self.token]
        return logp.new_zeros(self.texts).index_add(0, self.text, logp)


def additive(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """0 where seen, else very low: what every implementation of attention takes."""
    mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    return mask.masked_fill_(~seen, torch.finfo(dtype).min)


def lay_out(examples: Sequence[Example], *, tree: bool = True) -> Batch:
    """The batch of some examples.

    tree : share what texts have in common; False gives every text a row of its own, for
    architectures that do not take a mask of ancestors.
    """
    texts: dict[tuple[Ids, Ids], int] = {}  # (prompt, what follows) -> number
    scales: dict[tuple[int, ...], int] = {}

    def number(context: Ids, following: Ids) -> int:
        return texts.setdefault((context, following), len(texts))

    answer = [number(e.context, e.answer) for e in examples]
    penalised = [i for i, e in enumerate(examples) if e.options]
    keys = [tuple(number(examples[i].context, o) for o in examples[i].options) for i in penalised]
    scale = [scales.setdefault(key, len(scales)) for key in keys]
    longest = max(map(len, keys), default=0)
    table = np.full((len(scales), longest), len(texts))
    for key, row in scales.items():
        table[row, : len(key)] = key
    distances = np.zeros((len(penalised), longest), dtype=np.float32)
    for row, i in enumerate(penalised):
        distances[row, : len(examples[i].distances)] = examples[i].distances
    return Batch(
        **_rows(list(texts), tree),
        texts=len(texts),
        answer=torch.tensor(answer),
        weight=torch.tensor([e.weight for e in examples], dtype=torch.float32),
        scales=torch.from_numpy(table),
        penalised=torch.tensor(penalised, dtype=torch.long),
        scale=torch.tensor(scale, dtype=torch.long),
        distances=torch.from_numpy(distances),
    )


def _rows(texts: list[tuple[Ids, Ids]], tree: bool) -> dict[str, torch.Tensor]:
    """What is read, and where each token of each text is predicted."""
    # A text's last token is predicted but never read.
    reads = [context + following[:-WIDTH] for context, following in texts]
    distinct = sorted(set(reads))
    row = ROW
    if tree:  # rows of about one length; each repeats what its first text shares
        shared = sum(common_ids(a, b) for a, b in pairwise(distinct))
        total = sum(map(len, distinct)) // WIDTH - shared
        if total > row:
            longest = max(map(len, distinct)) // WIDTH
            row = min(row, total // -(-total // row) + longest)
    tries: list[Trie] = []
    home: dict[Ids, tuple[int, int]] = {}  # what is read -> its row, and its place there
    for group in _groups(distinct, tree, row):
        trie, places = build(group)
        home |= {read: (len(tries), int(i)) for read, i in zip(group, places, strict=True)}
        tries.append(trie)
    width = max(map(len, tries))
    cells, tokens = [], []
    for (context, following), read in zip(texts, reads, strict=True):
        number, place = home[read]
        token = unpack(following)
        depth = len(context) // WIDTH - 1 + np.arange(len(token))
        cells.append(number * width + tries[number].at(np.full(len(token), place), depth))
        tokens.append(token)
    text = np.repeat(np.arange(len(texts)), [len(token) for token in tokens])
    rows = [[trie] for trie in tries]
    filled = fill(rows, width, np.concatenate(cells), np.concatenate(tokens), tree=tree)
    return {**filled, "text": torch.from_numpy(text)}


def fill(
    rows: Sequence[Sequence[Tree]],
    width: int,
    cells: npt.ArrayLike,
    token: npt.ArrayLike,
    *,
    tree: bool = True,
) -> dict[str, torch.Tensor]:
    """The tensors of `Rows`: trees side by side in rows of `width`, each its own texts.

    cells, token : (m,) where each token to predict is predicted (row · width + column), and it.
    tree : as in `lay_out`.
    Columns past a row's end repeat its last token, seen by none.
    """
    shape = len(rows), width
    tokens, positions, leave = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    for number, trees in enumerate(rows):
        start = 0
        for each in trees:
            end = start + len(each.token)
            tokens[number, start:end], positions[number, start:end] = each.token, each.depth
            leave[number, start:end] = start + np.asarray(each.exit)
            start = end
        tokens[number, start:] = tokens[number, start - 1]
        positions[number, start:] = positions[number, start - 1]
    column = np.arange(width)
    i = column[:, None]
    mask = ((column <= i) & (i < leave[:, None, :]))[:, None] if tree else (leave > 0).astype(int)
    wanted, place = np.unique(np.asarray(cells), return_inverse=True)
    keep = np.zeros(shape, dtype=bool)
    keep.reshape(-1)[wanted] = True
    arrays = {"tokens": tokens, "positions": positions, "mask": mask, "keep": keep,
              "place": place, "token": np.asarray(token)}  # fmt: skip
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _groups(reads: list[Ids], tree: bool, row: int) -> Iterator[list[Ids]]:
    """Sorted texts in rows of at most `row` distinct tokens; without trees, one text and what
    begins it per row."""
    group: list[Ids] = []
    used = 0
    for read in reads:
        new = len(read) // WIDTH - (common_ids(group[-1], read) if group else 0)
        fits = used + new <= row if tree else group and read.startswith(group[-1])
        if group and not fits:
            yield group
            group, used, new = [], 0, len(read) // WIDTH
        group.append(read)
        used += new
    yield group


def batches(examples: Sequence[Example], size: int, *, tree: bool = True) -> Iterator[Batch]:
    """All examples once, at most `size` to a batch, those with like prompts together."""
    order = sorted(examples, key=lambda e: e.context)
    for start in range(0, len(order), size):
        yield lay_out(order[start : start + size], tree=tree)


class Order:
    """Which examples make up each step: a fixed function of the seed and the step's number.

    Every epoch is a fresh shuffle of small groups of examples whose prompts are alike; a step
    takes the next `batch` of them, over the end of an epoch if need be.
    """

    def __init__(self, examples: Sequence[Example], batch: int, seed: int) -> None:
        rank = {c: i for i, c in enumerate(sorted({e.context for e in examples}))}
        self._rank = np.array([rank[e.context] for e in examples])
        self._batch, self._seed = batch, seed
        self._epoch = lru_cache(maxsize=2)(self._shuffled)

    def __call__(self, step: int) -> IntArray:
        """Numbers of the examples of a step (from 0), in the order of their prompts."""
        places = range(step * self._batch, (step + 1) * self._batch)
        pairs = (divmod(place, len(self._rank)) for place in places)
        picked = np.array([self._epoch(epoch)[i] for epoch, i in pairs])
        return picked[np.argsort(self._rank[picked], kind="stable")]

    def _shuffled(self, epoch: int) -> IntArray:
        rng = generator(self._seed, "epoch", epoch)
        order = rng.permutation(len(self._rank))
        order = order[np.argsort(self._rank[order], kind="stable")]  # alike ones side by side
        order = np.roll(order, int(rng.integers(TOGETHER)))  # and cut elsewhere each time
        groups = [order[i : i + TOGETHER] for i in range(0, len(order), TOGETHER)]
        return np.concatenate([groups[i] for i in rng.permutation(len(groups))])
