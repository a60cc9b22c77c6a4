"""What is asked of each row of a parquet file, checked before a model reads any of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from simkit import __version__
from simkit.files import as_path
from simkit.questions import Question, check_options
from simkit.scoring.belief import COLUMNS, LISTED, believe
from simkit.scoring.chat import Chat, channel_of, talk
from simkit.scoring.mass import LEAST_MASS
from simkit.scoring.orders import orders_for
from simkit.scoring.types import Model, check_model, identity_of
from simkit.templates import field_names
from simkit.types import listed, scalar, shown

__all__ = ["ParquetDesign", "designed"]

LISTS = pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list
ROWS = 8_192  # prompts per batch: more would share a little more and hold more
RESULT = {
    "prompt_id": pa.int64(), "option": pa.string(), "option_id": pa.int64(),
    "logprob": pa.float64(), "belief": pa.float64(), "valid_mass": pa.float64(),
    "model": pa.string(),
}  # fmt: skip
RESULT_LISTED = {"orders": pa.int64(), "order_range": pa.float64()}
RESULT_CHANNEL = {"channel": pa.string()}
RESULT_REPEATED = {"repeats_range": pa.float64()}
RESULT_TOLD = {"low": pa.float64(), "high": pa.float64(), "basis": pa.string()}
# Columns of the design that `believe` gets: the prompt, and a row's own options.
_PROMPT, _OPTION = "simkit prompt", "simkit option"


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
    told: bool = False  # by an interface that gives bounds
    repeated: bool = False  # each belief is asked for several times

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
        more = RESULT_CHANNEL if self.channel is not None else {}
        more = more | RESULT_TOLD if self.told else more
        more = more | RESULT_REPEATED if self.repeated else more
        result = pa.schema({**RESULT, **(RESULT_LISTED if lists else {}), **more})
        added = (*COLUMNS, *(LISTED if lists else ()), *more)
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
        own = {"out", "bare", "rows", "told", "repeated"}
        names = [f.name for f in fields(self) if f.name not in own]
        return {
            "simkit": __version__,
            "model": model.name,
            "revision": known.get("revision", ""),
            "weights": known.get("weights"),
            "path": known.get("path", ""),
            **{name: getattr(self, name) for name in names},
            "source": self.source.name,
        }


def designed(
    model: Model, source: str | Path, out: str | Path, options: Sequence[str] | str, **asked: Any
) -> ParquetDesign:
    """What is asked of a file's rows, as this model is asked it."""
    check_model(model)
    way = talk(asked.get("chat"), model)
    asked["chat"] = way or False
    if way is not None and way.thinking == "sample":
        raise ValueError(
            "thinking='sample' writes a thought per prompt, which score_parquet does not; take "
            "thinking='close', or sample_runs on a design in memory"
        )
    told = getattr(model, "beliefs", None) is not None
    channel = None if told else channel_of(model, way)
    asked |= {"channel": channel, "told": told, "repeated": getattr(model, "repeats", 1) > 1}
    return ParquetDesign(source, out, options, **asked)  # type: ignore[arg-type]


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
