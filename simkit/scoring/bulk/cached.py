"""Scores through a store: look up what is there, compute the rest block by block, keep it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from simkit.scoring.types import Scores
from simkit.store import Store, key

__all__ = ["blocks", "scores_through"]

FORMAT = 1  # of keys and values: another number never meets these rows
BLOCK = 1_024  # prompts that a killed process may lose
BLOCK_CHARACTERS = 2**19


def scores_through(
    store: Store,
    identity: Mapping[str, Any],
    compute: Callable[[Sequence[int]], Scores],
    prompts: Sequence[str],
    options: Sequence[tuple[str, ...]],
) -> tuple[Scores, int]:
    """Scores of all rows, and how many of them came out of the store.

    identity : what the scores depend on beside prompt and options; JSON must hold it, and it
        must name the model by its content.
    compute : the scores of some rows, given by their numbers.

    What is computed is committed block by block, each block in one transaction. A row that comes
    back is the row that was computed, bit for bit; one whose checksum fails is computed anew.
    Raises ValueError for an empty identity (the rows of different models would mix) and for a
    value that was not written here; OSError where the store cannot be used (its disk is full):
    what was committed before is found by the next call.
    """
    if not identity:
        raise ValueError("the model has no identity, so a store cannot tell its rows from others")
    model = key(**identity).hex()
    keys = [
        key(format=FORMAT, kind="scores", model=model, prompt=prompt, options=row)
        for prompt, row in zip(prompts, options, strict=True)
    ]
    values = store.get_many(keys)
    missing: dict[bytes, int] = {}
    for row, name in enumerate(keys):
        if name not in values:
            missing.setdefault(name, row)
    stored = sum(name not in missing for name in keys)
    # Sorted, prompts that begin alike fall into one block and are read together.
    order = sorted(missing.values(), key=prompts.__getitem__)
    for block in blocks(order, prompts, BLOCK, BLOCK_CHARACTERS):
        new = dict(zip((keys[i] for i in block), _packed(compute(block)), strict=True))
        store.put_many(new)
        values |= new
    return _unpacked([values[name] for name in keys], len(options[0]) if options else 0), stored


def blocks(
    order: Sequence[int], prompts: Sequence[str], most: int, most_characters: int
) -> Iterator[list[int]]:
    """The rows in order, in lists of at most `most` prompts or about so many characters."""
    block: list[int] = []
    characters = 0
    for i in order:
        block.append(i)
        characters += len(prompts[i])
        if len(block) == most or characters >= most_characters:
            yield block
            block, characters = [], 0
    if block:
        yield block


def _row(width: int) -> np.dtype[Any]:
    """A row of so many options as bytes: all log-probabilities, then all flags."""
    return np.dtype([("logprob", "<f8", (width,)), ("nested", "u1", (width,))])


def _packed(scores: Scores) -> list[bytes]:
    rows = np.empty(len(scores.logprob), dtype=_row(scores.logprob.shape[1]))
    rows["logprob"], rows["nested"] = scores.logprob, scores.nested
    size, data = rows.itemsize, rows.tobytes()
    return [data[at : at + size] for at in range(0, len(data), size)]


def _unpacked(values: list[bytes], width: int) -> Scores:
    row = _row(max(1, width))  # without any option there is no row either
    if any(len(value) != row.itemsize for value in values):
        raise ValueError("the store holds a row of another length; it is damaged, make a new one")
    rows: npt.NDArray[Any] = np.frombuffer(b"".join(values), dtype=row)
    found = Scores(rows["logprob"].astype(np.float64), rows["nested"].astype(bool))
    return Scores(found.logprob[:, :width], found.nested[:, :width])
