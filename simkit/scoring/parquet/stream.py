"""A parquet file's rows, scored batch after batch into another file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from simkit.files import replacing
from simkit.scoring.chat import Chat
from simkit.scoring.parquet.design import ParquetDesign
from simkit.scoring.types import Model
from simkit.types import FloatArray

__all__ = ["Streamed", "Stretch", "plain", "stream"]


class Stretch(NamedTuple):
    """Rows `start` to `stop` of a file, before which stand `before` rows of other files."""

    before: int
    start: int
    stop: int


@dataclass(frozen=True)
class Streamed:
    """Progress of `score_parquet`.

    Attributes
    ----------
    of, prompts : prompts in all, and prompts scored so far.
    rows : rows written, one per prompt × option.
    stored : prompts whose scores came out of the model's cache, or from parts that an earlier run
        on a cluster had written.
    low : prompts whose valid mass is below `least_mass`: their beliefs should not be trusted.
    plain : tokens that scoring each prompt with each option separately would read; prompts from
        the cache are not counted. NaN for a model that counts no tokens.
    positions : tokens that were computed instead. NaN or 0 for a model that does not count them.
    seconds : time since the start.
    """

    of: int
    prompts: int = 0
    rows: int = 0
    stored: int = 0
    low: int = 0
    plain: float = np.nan
    positions: float = np.nan
    seconds: float = 0.0

    @property
    def saved(self) -> float:
        """Share of the plain tokens that was not computed, at most 1; NaN if not counted."""
        return 1 - self.positions / self.plain if self.positions else np.nan


def stream(
    model: Model,
    design: ParquetDesign,
    stretch: Stretch | None = None,
    progress: Callable[[Streamed], None] | None = None,
) -> Streamed:
    """Score a design's rows, or a stretch of them, into its file."""
    stretch = stretch or Stretch(0, 0, design.count)
    of, first = stretch.stop - stretch.start, stretch.before + stretch.start
    began, before, done = time.monotonic(), _counts(model), Streamed(of)
    notes = {"simkit": json.dumps(design.provenance(model), default=plain)}
    schema = design.schema.with_metadata(notes)
    with _writing(design.out, schema) as write:
        for batch in _batches(design, stretch):
            start, least = first + done.prompts, 0.0 if done.low else design.least_mass
            table = design.believe(model, batch, start, least)
            write(_joined(table, None if design.bare else batch, start, schema))
            mass = table["valid_mass"].to_numpy()[table["option_id"] == 0]
            low = mass < design.least_mass if design.told else ~(mass >= design.least_mass)
            stored, plain_tokens, positions = (_counts(model) - before).tolist()
            done = Streamed(
                of=of,
                prompts=done.prompts + len(batch),
                rows=done.rows + len(table),
                stored=int(stored),
                low=done.low + int(low.sum()),
                plain=plain_tokens,
                positions=positions,
                seconds=time.monotonic() - began,
            )
            if progress is not None:
                progress(done)
    return done


def _counts(model: Model) -> FloatArray:
    """Prompts from the cache, plain tokens and positions so far; NaN for what is not counted."""
    tally = getattr(model, "tally", None)
    tokens = [np.nan] * 2 if tally is None else [tally.plain, tally.work.positions]
    return np.array([getattr(model, "stored", 0), *tokens], float)


def plain(value: Any) -> Any:
    """What JSON cannot hold, as what it can."""
    if isinstance(value, Chat | Mapping):
        return dict(vars(value) if isinstance(value, Chat) else value)
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _joined(
    table: pd.DataFrame, batch: pa.RecordBatch | None, start: int, schema: pa.Schema
) -> pa.Table:
    """A batch's results, behind its own columns, each in its own type."""
    prompt = pa.array(table["prompt_id"].to_numpy() - start)
    columns = [] if batch is None else batch.take(prompt).columns
    names = schema.names[len(columns) :]
    result = [pa.array(table[name], schema.field(name).type) for name in names]
    return pa.Table.from_arrays([*columns, *result], schema=schema)


def _batches(design: ParquetDesign, stretch: Stretch) -> Iterator[pa.RecordBatch]:
    """Batches of a stretch of a file; ValueError, naming the row, where it is damaged."""
    row = stretch.before + stretch.start
    try:
        with pq.ParquetFile(design.source, page_checksum_verification=True) as file:
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            ends = np.cumsum(sizes)
            groups = np.flatnonzero((ends > stretch.start) & (ends - sizes < stretch.stop)).tolist()
            at = int(ends[groups[0]]) - sizes[groups[0]]
            batches = file.iter_batches(
                batch_size=min(design.rows, design.count), use_threads=False, row_groups=groups,
                columns=design.columns if design.bare else None,
            )  # fmt: skip
            for batch in _cut(batches, stretch.start - at, stretch.stop - at):
                yield batch
                row += len(batch)
    except (pa.ArrowException, OSError) as error:
        fault = f"{design.source} cannot be read from row {row} on ({error})"
        raise ValueError(f"{fault}; it is damaged: write it anew") from error


def _cut(batches: Iterator[pa.RecordBatch], start: int, stop: int) -> Iterator[pa.RecordBatch]:
    """Rows `start` to `stop` of batches: as they come, but as one where they begin in the midst."""
    kept, at = [], 0
    for batch in batches:
        low, high = (min(max(0, row - at), len(batch)) for row in (start, stop))
        at += len(batch)
        part = batch.slice(low, high - low)
        if not start and len(part):
            yield part
        elif len(part):
            kept.append(part)
        if at >= stop:
            break
    if kept:
        yield from pa.Table.from_batches(kept).combine_chunks().to_batches()


@contextmanager
def _writing(out: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """Writes tables to a file that takes the place of `out` at the end, see `replacing`."""

    def named(call: Callable[..., Any], *args: Any, **settings: Any) -> Any:
        try:
            return call(*args, **settings)
        except OSError as error:
            raise OSError(
                f"{out} cannot be written: {error}; make room, or change `out`"
            ) from error

    with replacing(out) as part:
        writer = named(pq.ParquetWriter, part, schema, write_page_checksum=True)
        try:
            yield lambda table: named(writer.write_table, table)
            named(writer.close)
        finally:
            with suppress(OSError):  # after an error it is thrown away
                writer.close()
