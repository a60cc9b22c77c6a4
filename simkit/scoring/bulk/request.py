"""What is asked of each row of a design that is streamed: its prompt and its options."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Formatter
from typing import Any

import pyarrow as pa

from simkit.questions import check_options

__all__ = ["RESULT", "Request", "texts"]

RESULT = pa.schema(
    [
        ("prompt_id", pa.int64()),
        ("option", pa.string()),
        ("option_id", pa.int64()),
        ("logprob", pa.float64()),
        ("belief", pa.float64()),
        ("valid_mass", pa.float64()),
        ("model", pa.string()),
    ]
)


@dataclass(frozen=True)
class Request:
    """What is asked of each row."""

    options: tuple[str, ...] | str
    template: str | None
    prompt: str
    separator: str
    bare: bool

    def columns(self, schema: pa.Schema) -> list[str]:
        """The columns that prompts and options are made of, all there and of the right type."""
        text = [self.prompt] if self.template is None else sorted(_fields(self.template))
        listed = [self.options] if isinstance(self.options, str) else []
        if not listed:
            check_options(self.options)
        needed = [*text, *(f for o in self.options if not listed for f in sorted(_fields(o)))]
        for name in (*needed, *listed):
            if schema.names.count(name) != 1:
                raise ValueError(
                    f"the design has no column {name!r}, or several; "
                    f"its columns are: {', '.join(schema.names)}"
                )
        if self.template is None and not _is_text(schema.field(self.prompt).type):
            kind = schema.field(self.prompt).type
            raise ValueError(f"column {self.prompt!r} holds {kind}; prompts must be text")
        for name in listed:
            kind = schema.field(name).type
            if not (_is_list(kind) and _is_text(kind.value_type)):
                raise ValueError(f"column {name!r} holds {kind}; options must be lists of text")
        return list(dict.fromkeys([*needed, *listed]))

    def schema(self, source: pa.Schema) -> pa.Schema:
        """Of the output: the design's columns, then those of the result."""
        if self.bare:
            return RESULT
        taken = [name for name in RESULT.names if name in source.names]
        if taken:
            raise ValueError(
                f"the design already has a column {taken[0]!r}; rename it first, "
                "or write the results bare"
            )
        # pandas' own notes are left out: they tell of an index with the design's length.
        return pa.schema([*source, *RESULT])


def texts(
    request: Request, design: pa.RecordBatch, start: int
) -> tuple[list[str], list[tuple[str, ...]]]:
    """Prompts and lists of options of a batch, checked; `start` is the number of its first row."""
    columns = {name: design.column(name).to_pylist() for name in request.columns(design.schema)}
    n = len(design)
    if request.template is None:
        prompts = columns[request.prompt]
    else:
        prompts = _fill(request.template, columns, start, n)
    for i, text in enumerate(prompts):
        if not text:
            raise ValueError(f"row {start + i}: prompt {text!r} is empty or not text")
    if isinstance(request.options, str):
        options = [tuple(some or ()) for some in columns[request.options]]
    else:
        filled = [_fill(option, columns, start, n) for option in request.options]
        options = list(zip(*filled, strict=True))
    checked = set()
    for i, some in enumerate(options):
        if some not in checked:
            check_options(some, f"row {start + i}: ")
            checked.add(some)
    return prompts, options


def _fill(template: str, columns: dict[str, list[Any]], start: int, n: int) -> list[str]:
    """The template for each row, with the columns' values as they are: 3 stays "3"."""
    names = sorted(_fields(template))
    if not names:
        return [template.format()] * n
    filled = []
    for i, row in enumerate(zip(*(columns[name] for name in names), strict=True)):
        given = dict(zip(names, row, strict=True))
        for name, value in given.items():
            if value is None or value != value:  # null or NaN: nobody is asked about "nan"
                raise ValueError(f"row {start + i}: {name!r} is {value}, and {template!r} needs it")
        try:
            filled.append(template.format_map(given))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise ValueError(f"row {start + i}: {template!r} cannot be filled: {error}") from error
    return filled


def _fields(template: str) -> set[str]:
    """Names of the columns that a template takes: "{price:.2f} {who[0]}" -> price, who."""
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise ValueError(
            f"{template!r} cannot be read as a template: {error}; write {{{{ and }}}} for braces"
        ) from error
    return {re.split(r"[.[]", name)[0] for name in names}


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return any(f(kind) for f in (types.is_list, types.is_large_list, types.is_fixed_size_list))
