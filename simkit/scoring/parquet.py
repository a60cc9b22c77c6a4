"""Designs that do not fit in memory: `believe` on one batch of a parquet file after another."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from simkit import __version__
from simkit.files import as_path, replacing
from simkit.questions import Question, check_options
from simkit.scoring.belief import COLUMNS, LISTED, believe
from simkit.scoring.chat import Chat, talk
from simkit.scoring.mass import LEAST_MASS, check_least_mass
from simkit.scoring.orders import orders_for
from simkit.scoring.types import Model, check_model, identity_of
from simkit.templates import field_names
from simkit.types import FloatArray, listed, shown

__all__ = ["ParquetDesign", "Streamed", "score_parquet"]

ROWS = 8_192  # prompts per batch: more would share a little more and hold more
RESULT = {
    "prompt_id": pa.int64(), "option": pa.string(), "option_id": pa.int64(),
    "logprob": pa.float64(), "belief": pa.float64(), "valid_mass": pa.float64(),
    "model": pa.string(),
}  # fmt: skip
RESULT_LISTED = {"orders": pa.int64(), "order_range": pa.float64()}
# Columns of what is asked: of the prompts, and of a row's own options.
_PROMPT, _OPTION = "simkit prompt", "simkit option"


@dataclass(frozen=True)
class Streamed:
    """How far a stream has come.

    prompts : prompts scored, out of `of`. rows : rows written, one per prompt × option.
    stored : prompts whose scores came out of the model's cache. low : prompts whose valid mass is
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


@dataclass(frozen=True)
class ParquetDesign:
    """A parquet file, what is asked of each of its rows, and where the answers go; all checked.

    The names are those of `score_parquet`, and so are the errors. count : its rows.
    """

    source: Path
    out: Path
    options: Sequence[str] | str
    template: str | None = None
    prompt: str = "prompt"
    separator: str = " "
    bare: bool = False
    chat: Chat | bool | None = False
    layout: str = "text"
    forms: Mapping[str, Sequence[str]] = field(default_factory=dict)
    orders: str | Sequence[Sequence[int]] | None = "auto"
    least_mass: float = LEAST_MASS
    rows: int = ROWS
    count: int = field(init=False)

    def __post_init__(self) -> None:
        for name in ("template", "prompt", "separator"):
            text = getattr(self, name)
            if not isinstance(text, str) and (name != "template" or text is not None):
                raise ValueError(f"{name} is {shown(text)}; it must be text")
        own = self.options
        checked: dict[str, Any] = {
            "options": own if isinstance(own, str) else tuple(listed(own, "options")),
            "chat": talk(self.chat),
            "least_mass": check_least_mass(self.least_mass),
        }
        for name in ("source", "out"):  # the home folder filled in
            checked[name] = Path(os.path.expanduser(as_path(getattr(self, name), name)))
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        self.question  # noqa: B018  (so that a bad option, layout, form or order is named first)
        object.__setattr__(self, "count", self._check_files())
        with pq.ParquetFile(self.source) as file:
            self.schema(file.schema_arrow)

    @cached_property
    def question(self) -> Question | None:
        """What is asked, where the options are the same for every row; None where they are not."""
        if isinstance(self.options, str):
            as_given = self.orders is None or (
                isinstance(self.orders, str) and self.orders == "auto"
            )
            if self.layout != "text" or self.forms or not as_given:
                raise ValueError(
                    f"layout, forms and orders need the same options for every row; with those of "
                    f"column {self.options!r} they must be 'text', none and 'auto'"
                )
            return None
        question = self._question(self.options, self.forms, self.layout)
        orders_for(question, self.orders)
        return question

    def _question(self, options: Sequence[str], *how: Any) -> Question:
        template = f"{{{_PROMPT}}}" if self.template is None else self.template
        # A column may be called "question", whose field stands for a question's text.
        text = "{question}" if "question" in field_names(template) else ""
        return Question(text, options, None, template, self.separator, *how)

    def _check_files(self) -> int:
        source, out = self.source, self.out
        if not isinstance(self.rows, int) or self.rows < 1:
            raise ValueError(f"rows is {shown(self.rows)}; a batch needs at least one")
        if not source.is_file():
            raise ValueError(f"no file {str(source)!r} with the design")
        if not out.absolute().parent.is_dir():
            raise ValueError(f"no folder {str(out.parent)!r} for {out.name}; make it first")
        if out.exists() and (not out.is_file() or out.samefile(source)):
            raise ValueError(
                f"cannot write to {str(out)!r}: it is no plain file or the design itself"
            )
        if not os.access(os.path.dirname(os.path.realpath(out)), os.W_OK):
            raise PermissionError(f"cannot write to the folder of {str(out)!r}; name another one")
        try:
            with pq.ParquetFile(source) as file:
                count = int(file.metadata.num_rows)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(
                f"{source} is not a parquet file ({error}); from a table that pandas can read, "
                "DataFrame.to_parquet makes one"
            ) from error
        if not count:
            raise ValueError(f"{source} has no rows")
        return count

    @cached_property
    def fields(self) -> set[str]:
        """The columns that question and system text name."""
        system = self.chat.system if isinstance(self.chat, Chat) else None
        asked = (self.question or self._question(["a", "b"])).fields - {_PROMPT}
        return asked | (set() if system is None else field_names(system))

    def columns(self, schema: pa.Schema) -> list[str]:
        """The columns that prompts and options are made of, all there and of the right type."""
        question = self.question
        needed = [self.prompt] if self.template is None else []
        needed += sorted(self.fields) + ([self.options] if isinstance(self.options, str) else [])
        if question is not None and question.lists_options and "options" in schema.names:
            raise ValueError(
                "the design has a column 'options', which is what {options} stands for; rename it"
            )
        for name in schema.names:
            if schema.names.count(name) > 1:
                raise ValueError(f"the design: column {name!r} stands twice; drop or rename one")
        for name in needed:
            if name not in schema.names:
                raise ValueError(
                    f"the design has no column {name!r}; its columns are: {', '.join(schema.names)}"
                )
        if self.template is None and not _is_text(schema.field(self.prompt).type):
            kind = schema.field(self.prompt).type
            raise ValueError(f"column {self.prompt!r} holds {kind}; prompts must be text")
        if isinstance(self.options, str):
            kind = schema.field(self.options).type
            if not (_is_list(kind) and _is_text(kind.value_type)):
                raise ValueError(
                    f"column {self.options!r} holds {kind}; options must be lists of text"
                )
        return list(dict.fromkeys(needed))

    def schema(self, source: pa.Schema) -> pa.Schema:
        """Of the output: the design's columns, then those of the result."""
        lists = self.question is not None and self.question.lists_options
        result = pa.schema({**RESULT, **(RESULT_LISTED if lists else {})})
        needed = self.columns(source)
        added = (*COLUMNS, *LISTED) if lists else COLUMNS
        taken = [name for name in added if name in needed]
        taken += [] if self.bare else [name for name in result.names if name in source.names]
        if taken:
            raise ValueError(
                f"the design already has a column {taken[0]!r}; rename it first"
                + ("" if taken[0] in needed else ", or write the results bare")
            )
        if self.bare:
            return result
        for name, kind in zip(source.names, source.types, strict=True):
            try:
                pa.nulls(0, kind).take(pa.array([], pa.int64()))
            except pa.ArrowNotImplementedError:
                raise ValueError(
                    f"column {name!r} holds {kind}, which pyarrow cannot repeat for each option; "
                    "cast it, or write the results bare"
                ) from None
        # pandas' own notes are left out: they tell of an index with the design's length.
        return pa.schema([*source, *result])

    def warn_unsaid(self, schema: pa.Schema) -> None:
        """Warn if a template says nothing of the design, or not its `context`; see `Question`."""
        if self.template is None:
            return
        shape = self.count, len(schema.names)
        design = pd.DataFrame(np.broadcast_to(np.int8(0), shape), columns=schema.names, copy=False)
        system = self.chat.system if isinstance(self.chat, Chat) else None
        question = self.question or self._question(["a", "b"])
        lists = self.options if isinstance(self.options, str) else ""
        question.warn_unsaid(design.drop(columns=lists, errors="ignore"), system, stacklevel=4)

    def believe(
        self, model: Model, batch: pa.RecordBatch, start: int, least: float
    ) -> pd.DataFrame:
        """The table of `simkit.believe` for the rows of a batch, the first of which is `start`."""
        # Errors and warnings call a row by its label.
        labels = pd.RangeIndex(start, start + len(batch))
        values = {name: _values(batch.column(name)) for name in sorted(self.fields)}
        if self.template is None:
            values[_PROMPT] = _values(batch.column(self.prompt))
            for label, text in zip(labels, values[_PROMPT], strict=True):
                if not text:
                    raise ValueError(f"row {label}: prompt {text!r} is empty or not text")
        design = pd.DataFrame(values, index=labels, dtype=object)
        how: dict[str, Any] = {"chat": self.chat, "orders": self.orders, "least_mass": least}
        if self.question is not None:
            table = believe(model, self.question, design, **how)
            return table.assign(prompt_id=table["prompt_id"] + start)
        lists = [tuple(some or ()) for some in _values(batch.column(self.options))]
        checked: set[tuple[str, ...]] = set()
        for some, label in zip(lists, labels, strict=True):
            if some not in checked:
                check_options(some, f"row {label}: ", self.separator)
                checked.add(some)
        width = np.array([len(some) for some in lists])
        tables = []
        for k in np.unique(width):  # a model scores lists of one length at a time
            rows = np.flatnonzero(width == k)
            names = [f"{_OPTION} {i}" for i in range(k)]
            own = pd.DataFrame([lists[i] for i in rows], labels[rows], names, dtype=object)
            question = self._question([f"{{{name}}}" for name in names])
            table = believe(model, question, pd.concat([design.iloc[rows], own], axis=1), **how)
            tables.append(table.assign(prompt_id=rows[table["prompt_id"]] + start))
        return pd.concat(tables).sort_values(["prompt_id", "option_id"], ignore_index=True)

    def provenance(self, model: Model) -> dict[str, Any]:
        """The model and what was asked, as JSON can hold it."""
        asked = {f.name: getattr(self, f.name) for f in fields(self)}
        asked = {k: v for k, v in asked.items() if k not in ("out", "bare", "rows", "count")}
        asked["forms"] = {key: list(some) for key, some in self.forms.items()}
        if not isinstance(self.orders, str | None) and self.question is not None:
            asked["orders"] = orders_for(self.question, self.orders)
        if isinstance(self.chat, Chat):
            named = {k: str(v) for k, v in self.chat.template_args.items()}
            asked["chat"] = {**vars(self.chat), "template_args": named}
        known = identity_of(model)
        return {
            "simkit": __version__,
            "model": model.name,
            "revision": known.get("revision", ""),
            "weights": known.get("weights"),
            "path": known.get("path", ""),
            **asked,
            "source": self.source.name,
        }


def score_parquet(
    model: Model,
    source: str | Path,
    out: str | Path,
    options: Sequence[str] | str,
    *,
    progress: Callable[[Streamed], None] | None = None,
    **asked: Any,
) -> Streamed:
    """Score a parquet file into another one, in memory that does not grow with its length.

    Parameters
    ----------
    model : from `simkit.load`, or any object with `name` and `scores`.
    source, out : parquet files; `out` gets a row group per batch, and under "simkit" in its
        metadata the model's name and path, the hash of its weights and the options. It is written
        beside itself under another name and moved into place at the end, over a file that may be
        there: so it is whole or not there.
    options : K strings for every row, in which `{column}` fields are filled from the design; or
        the name of a column that holds a list of strings for each row, of any length from 2.
    progress : is called after each batch with how far it came.
    template : the prompt with `{column}` fields; None to take the prompts from a column.
    prompt : that column, "prompt".
    separator : put between prompt and option, " ".
    bare : only the columns of the result, without the design's own.
    chat : as in `believe`: a `Chat`, or True for one as it comes, to lay the prompts out by the
        model's chat template; its system text is filled from the design.
    layout, forms : as in `Question`: labels to score instead of the options' words ("letters",
        "numbers"; the template lists the options where it has {options}), and further spellings.
    orders : as in `believe`: in which orders options are listed. Beliefs are averaged over them.
    least_mass : as in `believe`. The first batch in which a valid mass is lower is warned of.
    rows : prompts per batch, 8,192. They share what they can within it.

    The file has one row per design row × option: the design's columns, `prompt_id`, `option` and
    `option_id`, `logprob`, `belief`, `valid_mass` and `model`, and where the options are listed
    `orders` and `order_range`; all as `believe` has them.

    A run that was stopped starts again from the first row; with a model that has a cache
    (`load(..., cache=...)`) what it had scored is looked up, not computed. A process that is
    killed leaves a hidden file beside `out`, named ".simkit-" and on to ".part".

    Raises ValueError for a missing column or one of the wrong type, an empty prompt, option or
    field, repeated options, and a prompt too long, and `BoundaryError` where prompt and option are
    not tokenized apart, all of which name the row; ValueError for a source that is no parquet
    file, has no rows or is damaged further on, an `out` that is the source or no plain file, and
    fewer than one row per batch; OSError where `out` cannot be written.
    """
    check_model(model)
    design = ParquetDesign(source, out, options, **asked)  # type: ignore[arg-type]
    began, count, done = time.monotonic(), _Counter(model), Streamed(design.count)
    with pq.ParquetFile(design.source, page_checksum_verification=True) as file:
        given = file.schema_arrow
        notes = {"simkit": json.dumps(design.provenance(model))}
        schema = design.schema(given).with_metadata(notes)
        design.warn_unsaid(given)
        batches = file.iter_batches(
            batch_size=min(design.rows, done.of), use_threads=False,
            columns=design.columns(given) if design.bare else None,
        )  # fmt: skip
        with _writing(design.out, schema) as write:
            for batch in _readable(design.source, batches):
                start, least = done.prompts, 0.0 if done.low else design.least_mass
                table = design.believe(model, batch, start, least)
                write(_joined(table, None if design.bare else batch, start, schema))
                mass = table["valid_mass"].to_numpy()[table["option_id"] == 0]
                done = replace(
                    done,
                    prompts=start + len(batch),
                    rows=done.rows + len(table),
                    low=done.low + int((~(mass >= design.least_mass)).sum()),
                    seconds=time.monotonic() - began,
                    **count(),
                )
                if progress is not None:
                    progress(done)
    return done


def _joined(
    table: pd.DataFrame, batch: pa.RecordBatch | None, start: int, schema: pa.Schema
) -> pa.Table:
    """A batch's results, behind its own columns, each in its own type."""
    prompt = pa.array(table["prompt_id"].to_numpy() - start)
    own = [] if batch is None else batch.take(prompt).columns
    result = [pa.array(table[name], schema.field(name).type) for name in schema.names[len(own) :]]
    return pa.Table.from_arrays([*own, *result], schema=schema)


class _Counter:
    """What a model counted since this was made; nothing for one that does not count."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.before = self._now()

    def _now(self) -> FloatArray:
        tally = getattr(self.model, "tally", None)
        counted = [np.nan] * 2 if tally is None else [tally.plain, tally.work.positions]
        return np.array([getattr(self.model, "stored", 0), *counted], float)

    def __call__(self) -> dict[str, Any]:
        stored, plain, positions = (self._now() - self.before).tolist()
        # Whatever was computed took positions, so none counted means a path that does not count.
        if plain and not positions:
            plain = positions = np.nan
        return {"stored": int(stored), "plain": plain, "positions": positions}


def _values(column: pa.Array) -> list[Any]:
    """The values of a column as Python has them, but a float32 as it is: 0.1 stays 0.1."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        return list(column.to_numpy(zero_copy_only=False))
    return list(column.to_pylist())


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return any(f(kind) for f in (types.is_list, types.is_large_list, types.is_fixed_size_list))


def _readable(source: Path, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches of a file; damage in it is named."""
    row = 0
    try:
        for batch in batches:
            yield batch
            row += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{source} cannot be read from row {row} on ({error}); it is damaged: write it anew"
        ) from error


@contextmanager
def _writing(out: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """Writes tables to a file that takes the place of `out` at the end, see `replacing`."""

    def write(table: pa.Table) -> None:
        with _named(out):
            writer.write_table(table)

    with replacing(out) as part:
        with _named(out):
            writer = pq.ParquetWriter(part, schema, write_page_checksum=True)
        try:
            yield write
            with _named(out):
                writer.close()
        finally:
            with suppress(OSError):  # after an error it is thrown away
                writer.close()


@contextmanager
def _named(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(
            f"{out} cannot be written: {error}; make room or name another place (what a model "
            "with a cache has scored is kept there)"
        ) from error
