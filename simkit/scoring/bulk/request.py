"""What is asked of each row of a design that is streamed: its prompt and its options."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import pandas as pd
import pyarrow as pa

from simkit.questions import Question, check_options
from simkit.scoring.chat import Chat
from simkit.scoring.forms import Spelled
from simkit.scoring.mass import LEAST_MASS
from simkit.scoring.orders import orders_for
from simkit.templates import field_names, fill_rows

__all__ = ["Asked", "Request", "ask"]

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
LISTED = pa.schema([("orders", pa.int64()), ("order_range", pa.float64())])


@dataclass(frozen=True)
class Request:
    """What is asked of each row. The names are those of `score_stream`."""

    options: tuple[str, ...] | str
    template: str | None = None
    prompt: str = "prompt"
    separator: str = " "
    bare: bool = False
    chat: Chat | None = None
    layout: str = "text"
    forms: Mapping[str, Sequence[str]] = field(default_factory=dict)
    orders: str | Sequence[Sequence[int]] | None = "auto"
    least_mass: float = LEAST_MASS

    @cached_property
    def question(self) -> Question | None:
        """The options as a question; None where each row brings its own."""
        if isinstance(self.options, str):
            alike = self.orders is None or (isinstance(self.orders, str) and self.orders == "auto")
            if self.layout != "text" or self.forms or not alike:
                raise ValueError(
                    f"layout, forms and orders need the same options for every row; with those of "
                    f"column {self.options!r} legal are layout 'text', no forms and orders 'auto'"
                )
            return None
        template = self.template or ""  # prompts of a column list nothing
        return Question("", self.options, None, template, self.separator, self.forms, self.layout)

    @cached_property
    def listed(self) -> list[tuple[int, ...]] | None:
        """The orders in which the prompts list the options; None if they do not list them."""
        return None if self.question is None else orders_for(self.question, self.orders)

    def columns(self, schema: pa.Schema) -> list[str]:
        """The columns that prompts and options are made of, all there and of the right type."""
        text = [self.prompt] if self.template is None else sorted(field_names(self.template))
        text += sorted(field_names(self.chat.system)) if self.chat and self.chat.system else []
        lists = [self.options] if isinstance(self.options, str) else []
        written: list[str] = []
        if self.question is not None:
            written = [*self.options, *(form for some in self.forms.values() for form in some)]
        if self.listed is not None:
            if "options" in schema.names:
                raise ValueError(
                    "the design has a column 'options', which is what {options} stands for; "
                    "rename it"
                )
            text = [name for name in text if name != "options"]
        needed = [*text, *(f for some in written for f in sorted(field_names(some)))]
        for name in schema.names:
            if schema.names.count(name) > 1:
                raise ValueError(f"the design: column {name!r} stands twice; drop or rename one")
        for name in (*needed, *lists):
            if name not in schema.names:
                raise ValueError(
                    f"the design has no column {name!r}; its columns are: {', '.join(schema.names)}"
                )
        if self.template is None and not _is_text(schema.field(self.prompt).type):
            kind = schema.field(self.prompt).type
            raise ValueError(f"column {self.prompt!r} holds {kind}; prompts must be text")
        for name in lists:
            kind = schema.field(name).type
            if not (_is_list(kind) and _is_text(kind.value_type)):
                raise ValueError(f"column {name!r} holds {kind}; options must be lists of text")
        return list(dict.fromkeys([*needed, *lists]))

    def schema(self, source: pa.Schema) -> pa.Schema:
        """Of the output: the design's columns, then those of the result."""
        result = RESULT if self.listed is None else pa.schema([*RESULT, *LISTED])
        if self.bare:
            return result
        taken = [name for name in result.names if name in source.names]
        if taken:
            raise ValueError(
                f"the design already has a column {taken[0]!r}; rename it first, "
                "or write the results bare"
            )
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
        needed = self.columns(schema)
        if not needed:
            what = "no field names any column of the design, so all prompts are alike"
        elif "context" in schema.names and "context" not in needed:
            what = "the design has a column 'context', and no field names it"
        else:
            return
        warnings.warn(
            f"{what}; put the columns that are to be said into the template in braces: "
            f"{self.template!r}",
            stacklevel=3,
        )

    def provenance(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        told = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "bare"}
        told["forms"] = {key: list(some) for key, some in self.forms.items()}
        if not isinstance(self.orders, str | None):
            told["orders"] = self.listed
        told["chat"] = None if self.chat is None else {**vars(self.chat)}
        if self.chat is not None:
            told["chat"]["template_args"] = {k: str(v) for k, v in self.chat.template_args.items()}
        return told


@dataclass(frozen=True)
class Asked:
    """What a batch of n rows asks, under each of its orders (one, if the options are not listed).

    prompts, spelled : n × orders, those of a row side by side; the options' spellings without
    separator. options : of each row, as they are written. columns : what was filled in.
    """

    prompts: list[str]
    spelled: list[Spelled]
    options: list[tuple[str, ...]]
    columns: dict[str, list[Any]]


def ask(request: Request, design: pa.RecordBatch, start: int) -> Asked:
    """Prompts and options of a batch, checked; `start` is the number of its first row."""
    columns = {name: _values(design.column(name)) for name in request.columns(design.schema)}
    n = len(design)
    if request.question is None:
        options = [tuple(some or ()) for some in columns[str(request.options)]]
        checked = _check(options, start, request.separator)
        spelled = {some: tuple((option,) for option in some) for some in checked}
        prompts = _prompts(request, columns, start, n)
        return Asked(prompts, [spelled[some] for some in options], options, columns)
    filled = [fill_rows(option, columns, range(start, start + n)) for option in request.options]
    options = list(zip(*filled, strict=True))
    _check(options, start, request.separator if request.layout == "text" else "")
    listed: list[tuple[int, ...] | None] = [*request.listed] if request.listed else [None]
    by_order = [
        (
            _prompts(request, columns, start, n, options, order),
            _spelled(request, columns, start, n, options, order),
        )
        for order in listed
    ]
    return Asked(
        [prompts[i] for i in range(n) for prompts, _ in by_order],
        [spelled[i] for i in range(n) for _, spelled in by_order],
        options,
        columns,
    )


def _prompts(
    request: Request, columns: dict[str, list[Any]], start: int, n: int,
    options: Sequence[tuple[str, ...]] = (), order: Sequence[int] | None = None,
) -> list[str]:  # fmt: skip
    if request.template is None:
        prompts = columns[request.prompt]
    elif order is None:
        prompts = fill_rows(request.template, columns, range(start, start + n))
    else:
        labels = request.question.labels if request.question else None
        marks = [f"{label}. " for label in labels] if labels else [""] * len(order)
        lists = [
            "\n".join(mark + some[k] for mark, k in zip(marks, order, strict=True))
            for some in options
        ]
        given = {**columns, "options": lists}
        prompts = fill_rows(request.template, given, range(start, start + n))
    for i, text in enumerate(prompts):
        if not text:
            raise ValueError(f"row {start + i}: prompt {text!r} is empty or not text")
    return prompts


def _spelled(
    request: Request, columns: dict[str, list[Any]], start: int, n: int,
    options: Sequence[tuple[str, ...]], order: Sequence[int] | None,
) -> list[Spelled]:  # fmt: skip
    """What is scored in each row: the spellings of its K options."""
    question = request.question
    assert question is not None
    if question.labels is not None:  # the same in every row
        return question.answers_for(pd.DataFrame(index=range(n)), order)
    if not question.forms:
        known = {some: tuple((option,) for option in some) for some in dict.fromkeys(options)}
        return [known[some] for some in options]
    forms = [
        [
            fill_rows(form, columns, range(start, start + n))
            for form in question.forms.get(option, ())
        ]
        for option in question.options
    ]
    every = [
        tuple(
            (option, *(form[i] for form in some)) for option, some in zip(row, forms, strict=True)
        )
        for i, row in enumerate(options)
    ]
    each = [tuple(form for some in row for form in some) for row in every]
    _check(each, start, request.separator)
    return every


def _check(options: Sequence[tuple[str, ...]], start: int, separator: str) -> set[tuple[str, ...]]:
    """The distinct lists of options, all of them fit to be asked."""
    checked: set[tuple[str, ...]] = set()
    for i, some in enumerate(options):
        if some not in checked:
            check_options(some, f"row {start + i}: ", separator)
            checked.add(some)
    return checked


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
