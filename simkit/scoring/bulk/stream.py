"""Scoring of designs that do not fit in memory: parquet in, parquet out, batch by batch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simkit import __version__
from simkit.scoring.bulk.batch import masses, score_batch, warn_low
from simkit.scoring.bulk.files import checked, path_of, readable, writing
from simkit.scoring.bulk.request import Request
from simkit.scoring.chat import Chat, talk
from simkit.scoring.mass import LEAST_MASS, check_least_mass
from simkit.scoring.types import Model, check_model
from simkit.types import FloatArray, listed, shown

__all__ = ["Streamed", "check_parquet", "score_parquet", "score_stream"]

ROWS = 8_192  # prompts per batch: more would share a little more and hold more


@dataclass(frozen=True)
class Streamed:
    """How far a stream has come.

    prompts : prompts scored, out of `of`. rows : rows written, one per prompt × option.
    stored : prompts whose scores came out of the model's store. low : prompts whose valid mass is
        below `least_mass`, so that their beliefs are not to be trusted.
    plain : tokens that scoring each of the other prompts with each of its options by itself would
        read. positions : tokens computed instead. Both NaN for a model that does not count them.
    seconds : since the start.
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
        return 1 - self.positions / self.plain if self.plain > 0 else np.nan


def score_stream(
    model: Model,
    designs: Iterable[pa.RecordBatch],
    options: Sequence[str] | str,
    *,
    template: str | None = None,
    prompt: str = "prompt",
    separator: str = " ",
    bare: bool = False,
    chat: Chat | bool | None = False,
    layout: str = "text",
    forms: Mapping[str, Sequence[str]] | None = None,
    orders: str | Sequence[Sequence[int]] | None = "auto",
    least_mass: float = LEAST_MASS,
) -> Iterator[pa.Table]:
    """Scores of one batch of design rows after another, one table for each; nothing is kept.

    Parameters
    ----------
    model : from `simkit.load`, or any object with `name` and `scores`.
    designs : record batches with the columns of the design. Rows are counted from 0 on, through
        all batches; errors and `prompt_id` use that number. Prompts share tokens within a batch.
    options : K strings for every row, in which `{column}` fields are filled from the design; or
        the name of a column that holds a list of strings for each row, of any length from 2.
    template : the prompt with `{column}` fields; None to take the prompts from a column.
    prompt : that column.
    separator : put between prompt and option.
    bare : only the columns of the result, without the design's own.
    chat : as in `believe`: a `Chat`, or True for one as it comes, to lay the prompts out by the
        model's chat template; its system text is filled from the design.
    layout, forms : as in `Question`: labels to score instead of the options' words ("letters",
        "numbers"; the template lists the options where it has {options}), and further spellings.
    orders : as in `believe`: in which orders options are listed. Beliefs are averaged over them.
    least_mass : as in `believe`. The first batch in which a valid mass is lower is warned of.

    Yields
    ------
    One row per design row × option: the design's columns, `prompt_id`, `option` and `option_id`,
    `logprob` (natural, summed over the option's tokens, all its spellings together), `belief`
    (sums to 1 over the prompt's options; NaN if they all have probability zero), `valid_mass` (0
    to 1) and `model`. Where the options are listed, also `orders` and `order_range`; see
    `average_orders`.

    Raises ValueError for a missing column or one of the wrong type, an empty prompt, option or
    field, repeated options, and a prompt too long; `BoundaryError` where prompt and option are
    not tokenized apart. All of these name the row.
    """
    request = _request(
        options, template, prompt, separator, bare, chat, layout, forms, orders, least_mass
    )
    check_model(model)
    if isinstance(designs, str | pa.RecordBatch | pa.Table) or not isinstance(designs, Iterable):
        raise ValueError(
            f"designs are {shown(designs)}; they must be record batches: table.to_batches()"
        )
    return _scored(model, request, designs)


def _scored(
    model: Model, request: Request, designs: Iterable[pa.RecordBatch], warn: bool = True
) -> Iterator[pa.Table]:
    """The table of each batch; the first batch with low valid mass is warned of."""
    start, warned = 0, False
    for design in designs:
        if not isinstance(design, pa.RecordBatch):
            raise ValueError(
                f"designs hold {shown(design)}; they must be record batches: table.to_batches()"
            )
        if not start and warn:
            request.warn_unsaid(design.schema)
        table = score_batch(model, request, design, start)
        if not warned and not (masses(table) >= request.least_mass).all():
            warn_low(model, request, design, start, table)
            warned = True
        yield table
        start += len(design)


def score_parquet(
    model: Model,
    source: str | Path,
    out: str | Path,
    options: Sequence[str] | str,
    *,
    template: str | None = None,
    prompt: str = "prompt",
    separator: str = " ",
    bare: bool = False,
    chat: Chat | bool | None = False,
    layout: str = "text",
    forms: Mapping[str, Sequence[str]] | None = None,
    orders: str | Sequence[Sequence[int]] | None = "auto",
    least_mass: float = LEAST_MASS,
    rows: int = ROWS,
    progress: Callable[[Streamed], None] | None = None,
) -> Streamed:
    """Score a parquet file into another one, in memory that does not grow with its length.

    Parameters
    ----------
    source, out : parquet files; `out` gets a row group per batch, and under "simkit" in its
        metadata the model's name and path, the hash of its weights and the options. It is written
        beside itself under another name and moved into place at the end, over a file that may be
        there: so it is whole or not there.
    rows : prompts per batch. They share what they can within it.
    progress : is called after each batch with how far it came.
    options, template, prompt, separator, bare, chat, layout, forms, orders, least_mass : as in
        `score_stream`.

    A run that was stopped starts again from the first row; with a model that has a store
    (`load(..., cache=...)`) what it had scored is looked up, not computed. A process that is
    killed leaves a hidden file beside `out`, named after it and ending in ".part".

    Raises what `score_stream` does; ValueError for a source that is no parquet file, has no rows
    or is damaged further on, an `out` that is the source or no plain file, and fewer than one row
    per batch; OSError where `out` cannot be written.
    """
    request = _request(
        options, template, prompt, separator, bare, chat, layout, forms, orders, least_mass
    )
    check_model(model)
    source, out = path_of(source), path_of(out)
    of = checked(request, source, out, rows)
    began, count = time.monotonic(), _Counter(model)
    done = Streamed(of)
    with pq.ParquetFile(source, page_checksum_verification=True) as file:
        schema = request.schema(file.schema_arrow).with_metadata(
            {"simkit": json.dumps(_provenance(model, request, source))}
        )
        request.warn_unsaid(file.schema_arrow)
        needed = request.columns(file.schema_arrow) if bare else None
        batches = file.iter_batches(batch_size=min(rows, of), columns=needed, use_threads=False)
        with writing(out, schema) as write:
            for table in _scored(model, request, readable(source, batches), warn=False):
                write(table)
                mass = masses(table)
                done = replace(
                    done,
                    prompts=done.prompts + len(mass),
                    rows=done.rows + len(table),
                    low=done.low + int((~(mass >= request.least_mass)).sum()),
                    seconds=time.monotonic() - began,
                    **count(),
                )
                if progress is not None:
                    progress(done)
    return done


def check_parquet(
    source: str | Path,
    out: str | Path,
    options: Sequence[str] | str,
    *,
    template: str | None = None,
    prompt: str = "prompt",
    separator: str = " ",
    bare: bool = False,
    chat: Chat | bool | None = False,
    layout: str = "text",
    forms: Mapping[str, Sequence[str]] | None = None,
    orders: str | Sequence[Sequence[int]] | None = "auto",
    least_mass: float = LEAST_MASS,
    rows: int = ROWS,
) -> int:
    """The number of prompts in `source`; raises what `score_parquet` raises before it scores."""
    request = _request(
        options, template, prompt, separator, bare, chat, layout, forms, orders, least_mass
    )
    return checked(request, path_of(source), path_of(out), rows)


def _request(
    options: Sequence[str] | str, template: str | None, prompt: str, separator: str, bare: bool,
    chat: Chat | bool | None, layout: str, forms: Mapping[str, Sequence[str]] | None,
    orders: str | Sequence[Sequence[int]] | None, least_mass: float,
) -> Request:  # fmt: skip
    for name, text in {"template": template, "prompt": prompt, "separator": separator}.items():
        if not isinstance(text, str) and (name != "template" or text is not None):
            raise ValueError(f"{name} is {shown(text)}; it must be text")
    request = Request(
        options if isinstance(options, str) else tuple(listed(options, "options")),
        template, prompt, separator, bare, talk(chat), layout, forms or {},
        orders, check_least_mass(least_mass),
    )  # fmt: skip
    request.listed  # noqa: B018  (reads options, layout, forms and orders, so that a bad one is named)
    return request


class _Counter:
    """What a model counted since this was made; nothing for one that does not count."""

    def __init__(self, model: Model) -> None:
        self.tally = getattr(model, "tally", None)
        self.before = self._now()

    def _now(self) -> FloatArray:
        if self.tally is None:
            return np.full(3, np.nan)
        return np.array([self.tally.stored, self.tally.plain, self.tally.work.positions], float)

    def __call__(self) -> dict[str, Any]:
        if self.tally is None:
            return {}
        stored, plain, positions = (self._now() - self.before).tolist()
        # Whatever was computed took positions, so none counted means a path that does not count.
        if plain and not positions:
            plain = positions = np.nan
        return {"stored": int(stored), "plain": plain, "positions": positions}


def _provenance(model: Model, request: Request, source: Path) -> dict[str, Any]:
    choice = getattr(model, "choice", None)
    return {
        "simkit": __version__,
        "model": model.name,
        "revision": getattr(model, "revision", ""),
        "weights": _weights(model),
        "path": getattr(choice, "path", ""),
        "reason": getattr(choice, "reason", ""),
        "source": source.name,
        **request.provenance(),
    }


def _weights(model: Model) -> str | None:
    """The hash of the weights, which says what a name or a folder does not; None if unknown."""
    try:
        return (getattr(model, "identity", None) or {}).get("weights")
    except ValueError:  # not in memory
        return None
