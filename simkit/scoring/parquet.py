"""Designs that do not fit in memory: `believe` on one batch of a parquet file after another."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
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
from simkit.scoring.chat import Chat, channel_of, talk
from simkit.scoring.mass import LEAST_MASS
from simkit.scoring.orders import orders_for
from simkit.scoring.types import Model, check_model, identity_of
from simkit.templates import field_names
from simkit.types import FloatArray, listed, scalar, shown

__all__ = ["ParquetDesign", "Streamed", "score_parquet"]

LISTS = pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list
ROWS = 8_192  # prompts per batch: more would share a little more and hold more
RESULT = {
    "prompt_id": pa.int64(), "option": pa.string(), "option_id": pa.int64(),
    "logprob": pa.float64(), "belief": pa.float64(), "valid_mass": pa.float64(),
    "model": pa.string(),
}  # fmt: skip
RESULT_LISTED = {"orders": pa.int64(), "order_range": pa.float64()}
RESULT_CHANNEL = {"channel": pa.string()}
# Columns of the design that `believe` gets: the prompt, and a row's own options.
_PROMPT, _OPTION = "simkit prompt", "simkit option"


@dataclass(frozen=True)
class Streamed:
    """Progress of `score_parquet`.

    Attributes
    ----------
    of, prompts : prompts in all, and prompts scored so far.
    rows : rows written, one per prompt × option.
    stored : prompts whose scores came out of the model's cache.
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


@dataclass
class ParquetDesign:
    """A parquet file, what is asked of each of its rows, and the file for the answers.

    Everything is checked when the object is made. Parameters and errors are those of
    `score_parquet`.

    Attributes
    ----------
    question : what is asked; its options are placeholders where each row has its own.
    count : number of rows.
    columns : the columns that prompts and options are made of.
    input, schema : columns and types of the design and of the output.
    """

    source: Path
    out: Path
    options: Sequence[str] | str
    template: str | None = None
    prompt: str = "prompt"
    separator: str = " "
    bare: bool = False
    chat: Chat | bool | None = None
    layout: str = "text"
    forms: Mapping[str, Sequence[str]] = field(default_factory=dict)
    orders: str | Sequence[Sequence[int]] | None = "auto"
    least_mass: float = LEAST_MASS
    rows: int = ROWS
    channel: str | None = None

    def __post_init__(self) -> None:
        for name in ("template", "prompt", "separator"):
            text = getattr(self, name)
            if not isinstance(text, str) and (name != "template" or text is not None):
                raise ValueError(f"{name} is {shown(text)}; it must be text")
        talk(self.chat)  # raises for what is none
        self.least_mass = scalar(self.least_mass, "least_mass", 0, 1)
        self.source, self.out = (
            Path(os.path.expanduser(as_path(getattr(self, name), name)))
            for name in ("source", "out")
        )
        self.own_options = isinstance(self.options, str)
        if not isinstance(self.options, str):
            self.options = tuple(listed(self.options, "options"))
            self.question = self._question(self.options, self.forms, self.layout)
            orders_for(self.question, self.orders)
        else:
            if self.layout != "text" or self.forms or str(self.orders) not in ("None", "auto"):
                raise ValueError(
                    f"layout, forms and orders need the same options for every row; with those of "
                    f"column {self.options!r} they must be 'text', none and 'auto'"
                )
            self.question = self._question(["a", "b"])
        system = self.chat.system if isinstance(self.chat, Chat) else None
        self.fields = self.question.fields - {_PROMPT} | field_names(system or "")
        self._check_files()
        try:
            with pq.ParquetFile(self.source) as file:
                self.count, self.input = int(file.metadata.num_rows), file.schema_arrow
        except (pa.ArrowException, OSError) as error:
            raise ValueError(
                f"{self.source} is not a parquet file ({error}); DataFrame.to_parquet makes one"
            ) from error
        if not self.count:
            raise ValueError(f"{self.source} has no rows")
        self.columns = self._columns(self.input)
        self.schema = self._schema(self.input)

    def _question(self, options: Sequence[str], *how: Any) -> Question:
        template = f"{{{_PROMPT}}}" if self.template is None else self.template
        # A column may be called "question", whose field stands for a question's text.
        text = "{question}" if "question" in field_names(template) else ""
        return Question(text, options, None, template, self.separator, *how)

    def _check_files(self) -> None:
        source, out = self.source, self.out
        if not isinstance(self.rows, int) or self.rows < 1:
            raise ValueError(f"rows is {shown(self.rows)}; a batch needs at least one")
        if not source.is_file():
            raise ValueError(f"no file {str(source)!r} with the design")
        if not out.absolute().parent.is_dir():
            raise ValueError(f"no folder {str(out.parent)!r} for {out.name}; make it first")
        if out.exists() and (not out.is_file() or out.samefile(source)):
            raise ValueError(f"cannot write to {str(out)!r}: no plain file, or the design itself")
        if not os.access(os.path.dirname(os.path.realpath(out)), os.W_OK):
            raise PermissionError(f"cannot write to the folder of {str(out)!r}; name another one")

    def _columns(self, schema: pa.Schema) -> list[str]:
        """The columns that prompts and options are made of, all there and of the right type."""
        if not self.own_options and self.question.lists_options and "options" in schema.names:
            raise ValueError(
                "the design has a column 'options', which is what {options} stands for"
            )
        for name in schema.names:
            if schema.names.count(name) > 1:
                raise ValueError(f"the design: column {name!r} stands twice; drop or rename one")
        needed = [self.prompt] if self.template is None else []
        needed += sorted(self.fields) + ([self.options] if isinstance(self.options, str) else [])
        for name in needed:
            if name not in schema.names:
                there = ", ".join(schema.names)
                raise ValueError(f"the design has no column {name!r}; its columns are: {there}")
        if self.template is None and not _is_text(schema.field(self.prompt).type):
            kind = schema.field(self.prompt).type
            raise ValueError(f"column {self.prompt!r} holds {kind}; prompts must be text")
        if isinstance(self.options, str):
            name, kind = self.options, schema.field(self.options).type
            if not (any(f(kind) for f in LISTS) and _is_text(kind.value_type)):
                raise ValueError(f"column {name!r} holds {kind}; options must be lists of text")
        return list(dict.fromkeys(needed))

    def _schema(self, source: pa.Schema) -> pa.Schema:
        """Of the output: the design's columns, then those of the result."""
        lists = self.question.lists_options and not self.own_options
        channel = RESULT_CHANNEL if self.channel is not None else {}
        result = pa.schema({**RESULT, **(RESULT_LISTED if lists else {}), **channel})
        added = (*COLUMNS, *(LISTED if lists else ()), *channel)
        clash = [name for name in added if name in self.columns]
        clash += [] if self.bare else [name for name in result.names if name in source.names]
        if clash:
            remedy = "rename it first"
            remedy += "" if clash[0] in self.columns else ", or write the results bare"
            raise ValueError(f"the design already has a column {clash[0]!r}; {remedy}")
        if self.bare:
            return result
        for name, kind in zip(source.names, source.types, strict=True):
            try:
                pa.nulls(0, kind).take(pa.array([], pa.int64()))
            except pa.ArrowNotImplementedError:
                raise ValueError(
                    f"column {name!r} holds {kind}, which pyarrow cannot repeat; cast it, or "
                    "write the results bare"
                ) from None
        # pandas' metadata is left out: it describes an index of the design's length.
        return pa.schema([*source, *result])

    def warn_unsaid(self) -> None:
        """Warn if a template names no column of the design, or not `context`; see `Question`."""
        if self.template is None:
            return
        names = [name for name in self.input.names if name != self.options]
        empty = np.broadcast_to(np.int8(0), (self.count, len(names)))
        design = pd.DataFrame(empty, columns=names, copy=False)
        system = self.chat.system if isinstance(self.chat, Chat) else None
        self.question.warn_unsaid(design, system, stacklevel=4)

    def believe(
        self, model: Model, batch: pa.RecordBatch, start: int, least: float
    ) -> pd.DataFrame:
        """The table of `simkit.believe` for the rows of a batch, the first of which is `start`."""
        fields = batch.select(sorted(self.fields))
        design = fields.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
        # Errors and warnings call a row by its label.
        labels = design.index = pd.RangeIndex(start, start + len(batch))
        if self.template is None:
            design[_PROMPT] = texts = batch.column(self.prompt).to_pylist()
            for label, text in zip(labels, texts, strict=True):
                if not text:
                    raise ValueError(f"row {label}: prompt {text!r} is empty or not text")
        how: dict[str, Any] = {"chat": self.chat, "orders": self.orders, "least_mass": least}
        if not isinstance(self.options, str):
            table = believe(model, self.question, design, **how)
            return table.assign(prompt_id=table["prompt_id"] + start)
        lists = [tuple(row or ()) for row in batch.column(self.options).to_pylist()]
        for options, label in zip(lists, labels, strict=True):
            check_options(options, f"row {label}: ", self.separator)
        width = np.array([len(options) for options in lists])
        tables = []
        for k in np.unique(width):  # a model scores lists of one length at a time
            rows = np.flatnonzero(width == k)
            names = [f"{_OPTION} {i}" for i in range(k)]
            texts = pd.DataFrame([lists[i] for i in rows], labels[rows], names, dtype=object)
            question = self._question([f"{{{name}}}" for name in names])
            table = believe(model, question, pd.concat([design.iloc[rows], texts], axis=1), **how)
            tables.append(table.assign(prompt_id=rows[table["prompt_id"]] + start))
        return pd.concat(tables).sort_values(["prompt_id", "option_id"], ignore_index=True)

    def provenance(self, model: Model) -> dict[str, Any]:
        """The model and what was asked."""
        known = identity_of(model)
        names = [f.name for f in fields(self) if f.name not in ("out", "bare", "rows")]
        return {
            "simkit": __version__,
            "model": model.name,
            "revision": known.get("revision", ""),
            "weights": known.get("weights"),
            "path": known.get("path", ""),
            **{name: getattr(self, name) for name in names},
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
    model : Model
        From `simkit.load`, or any object with `name` and `scores`.
    source, out : str or path
        Parquet files; `out` gets a row group per batch, and under "simkit" in its metadata the
        model's name and path, the hash of its weights and the options. It is written beside
        itself under another name and moved into place at the end, over a file that may be there:
        so it is whole or not there.
    options : sequence of str, or str
        K strings for every row, in which `{column}` fields are filled from the design; or the
        name of a column that holds a list of strings for each row, of any length from 2.
    progress : callable, optional
        Is called with a `Streamed` after each batch.
    **asked
        What is asked, and how:

        - template : the prompt with `{column}` fields; None to take the prompts from a column.
        - prompt : that column, "prompt".
        - separator : put between prompt and option, " ".
        - bare : only the columns of the result, without the design's own.
        - chat : as in `believe`; a `Chat`'s system text is filled from the design.
        - layout, forms : as in `Question`: labels to score instead of the options' words
          ("letters", "numbers"; the template lists the options where it has {options}), and
          further spellings.
        - orders : as in `believe`: in which orders options are listed. Beliefs are averaged over
          them.
        - least_mass : as in `believe`. The first batch in which a valid mass is lower is warned
          of.
        - rows : prompts per batch, 8,192. They share what they can within it.

    Returns
    -------
    Streamed
        The numbers of prompts, rows and tokens. The file has one row per design row × option: the
        design's columns, `prompt_id`, `option` and `option_id`, `logprob`, `belief`, `valid_mass`
        and `model`, where the options are listed `orders` and `order_range`, and where the chat's
        template knows thoughts `channel`; all as `believe` has them.

    Raises
    ------
    ValueError
        For a missing column or one of the wrong type; for an empty prompt, option or field,
        repeated options and a prompt that is too long, naming the row; for a source that is no
        parquet file, has no rows or is damaged further on; for an `out` that is the source or no
        plain file; and for fewer than one row per batch.
    BoundaryError
        Where prompt and option cannot be tokenized separately, naming the row.
    OSError
        Where `out` cannot be written.

    Notes
    -----
    A run that was stopped starts again from the first row; with a model that has a cache
    (`load(..., cache=...)`) scores that are there are looked up, not computed. A process that is
    killed leaves a hidden file beside `out`, named ".simkit-" and on to ".part".

    Examples
    --------
    >>> import tempfile, simkit as sk
    >>> model = sk.MockModel(lambda prompt: {"yes": 0.6, "no": 0.2})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source, out = f"{folder}/design.parquet", f"{folder}/beliefs.parquet"
    ...     pd.DataFrame({"price": [2, 3]}).to_parquet(source)
    ...     done = sk.score_parquet(model, source, out, ["yes", "no"], template="${price}: buy it?")
    ...     table = pd.read_parquet(out)
    >>> done.prompts, done.rows
    (2, 4)
    >>> table[["price", "option", "belief", "valid_mass"]].round(2)
       price option  belief  valid_mass
    0      2    yes    0.75         0.8
    1      2     no    0.25         0.8
    2      3    yes    0.75         0.8
    3      3     no    0.25         0.8
    """
    check_model(model)
    way = talk(asked.get("chat"), model)
    asked["chat"] = way or False
    if way is not None and way.thinking == "sample":
        raise ValueError(
            "thinking='sample' writes a thought per prompt, which score_parquet does not; take "
            "thinking='close', or sample_runs on a design in memory"
        )
    channel = channel_of(model, way)
    design = ParquetDesign(source, out, options, channel=channel, **asked)  # type: ignore[arg-type]
    began, before, done = time.monotonic(), _counts(model), Streamed(design.count)
    notes = {"simkit": json.dumps(design.provenance(model), default=_plain)}
    schema = design.schema.with_metadata(notes)
    design.warn_unsaid()
    with pq.ParquetFile(design.source, page_checksum_verification=True) as file:
        batches = file.iter_batches(
            batch_size=min(design.rows, done.of), use_threads=False,
            columns=design.columns if design.bare else None,
        )  # fmt: skip
        with _writing(design.out, schema) as write:
            for batch in _readable(design.source, batches):
                start, least = done.prompts, 0.0 if done.low else design.least_mass
                table = design.believe(model, batch, start, least)
                write(_joined(table, None if design.bare else batch, start, schema))
                mass = table["valid_mass"].to_numpy()[table["option_id"] == 0]
                stored, plain, positions = (_counts(model) - before).tolist()
                done = Streamed(
                    of=done.of,
                    prompts=start + len(batch),
                    rows=done.rows + len(table),
                    stored=int(stored),
                    low=done.low + int((~(mass >= design.least_mass)).sum()),
                    plain=plain,
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


def _plain(value: Any) -> Any:
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


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _readable(source: Path, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches of a file; ValueError, naming the row, where it is damaged."""
    row = 0
    try:
        for batch in batches:
            yield batch
            row += len(batch)
    except (pa.ArrowException, OSError) as error:
        fault = f"{source} cannot be read from row {row} on ({error})"
        raise ValueError(f"{fault}; it is damaged: write it anew") from error


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
