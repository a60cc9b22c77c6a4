"""From attributes to plain English, through a code book of sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import pandas as pd

from simkit.types import generator

__all__ = ["describe"]

CodeBook = Mapping[str, Sequence[str]]


def describe(design: pd.DataFrame, code_book: CodeBook, *, seed: int = 0) -> pd.Series:
    """Text of each design row: one sentence per attribute that the row has.

    Parameters
    ----------
    design : one row per prompt; a missing attribute (None, NaN) is left out, never invented.
        A column `wording` (integer), if present, picks the phrasing and the order of the
        sentences: wording 0 is the first phrasing in code-book order, every other number a fixed
        draw. Rows with the same wording differ in their attributes only, so wordings can serve
        as clusters for an interval.
    code_book : column -> phrasings with `{column}` fields. The first column stays in front.
    seed : seed of the wordings.

    Returns
    -------
    Series of strings on the design's index. Raises ValueError if the design has no column of the
    code book.
    """
    columns = [c for c in code_book if c in design.columns]
    if not columns:
        raise ValueError(f"the design has none of the code book's columns: {', '.join(code_book)}")
    wordings = design["wording"] if "wording" in design else pd.Series(0, index=design.index)
    phrasings = tuple(tuple(code_book[c]) for c in columns)
    plans = {w: _plan(tuple(columns), phrasings, int(w), seed) for w in wordings.unique()}
    records = design.to_dict("records")
    texts = [_sentences(r, *plans[w]) for r, w in zip(records, wordings, strict=True)]
    return pd.Series(texts, index=design.index, dtype=object)


@lru_cache(maxsize=10_000)
def _plan(
    columns: tuple[str, ...], phrasings: tuple[tuple[str, ...], ...], wording: int, seed: int
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Order of the columns and the phrasing of each, for one wording."""
    if wording == 0:
        return columns, {c: p[0] for c, p in zip(columns, phrasings, strict=True)}
    rng = generator(seed, "wording", wording)
    order = (columns[0], *(columns[1 + i] for i in rng.permutation(len(columns) - 1)))
    return order, {c: p[rng.integers(len(p))] for c, p in zip(columns, phrasings, strict=True)}


def _sentences(record: Mapping[str, Any], order: Sequence[str], phrasing: Mapping[str, str]) -> str:
    """The record's sentences in the given order; attributes without a value are skipped."""
    said = [c for c in order if not _missing(record.get(c))]
    return " ".join(phrasing[c].format_map(record) for c in said)


def _missing(value: Any) -> bool:
    return value is None or value != value
