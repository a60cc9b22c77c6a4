"""One batch of a design that is streamed: what it asks, scored, as a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pyarrow as pa

from simkit.scoring.belief import _beliefs, softmax
from simkit.scoring.bulk.request import Asked, Request, ask
from simkit.scoring.chat import lay_out
from simkit.scoring.mass import Place, warn_of_mass
from simkit.scoring.types import BoundaryError, Model
from simkit.types import FloatArray, IntArray

__all__ = ["masses", "score_batch", "warn_low"]


def score_batch(model: Model, request: Request, design: pa.RecordBatch, start: int) -> pa.Table:
    """The table of one batch whose first row has the number `start`."""
    schema = request.schema(design.schema)
    o = len(request.listed or [0])
    asked, prompts, separator = _laid_out(model, request, design, start)
    count = np.array([len(some) for some in asked.options], dtype=np.int64)
    first = count.cumsum() - count
    numbers = np.empty((4, count.sum()))
    for width in np.unique(count):  # a model scores lists of one length at a time
        rows = np.flatnonzero(count == width)
        each = (rows[:, None] * o + np.arange(o)).ravel()
        with _rows_of_file(np.repeat(rows, o) + start):
            logprob, mass = _beliefs(
                model, [prompts[i] for i in each], [asked.spelled[i] for i in each], separator
            )
        at = first[rows][:, None] + np.arange(width)
        means = _over_orders(logprob.reshape(len(rows), o, width), mass.reshape(len(rows), o, 1))
        for column, values in zip(numbers, means, strict=True):
            column[at] = values
    row = np.repeat(np.arange(len(design)), count)
    result = [
        pa.array(row + start),
        pa.array([option for some in asked.options for option in some], pa.string()),
        pa.array(np.arange(len(row)) - first[row]),
        *map(pa.array, numbers[:3]),
        pa.array([model.name], pa.string()).take(pa.array(np.zeros_like(row))),
    ]
    if request.listed is not None:
        result += [pa.array(np.full(len(row), o)), pa.array(numbers[3])]
    own = [] if request.bare else design.take(pa.array(row)).columns
    return pa.Table.from_arrays([*own, *result], schema=schema)


def masses(table: pa.Table) -> FloatArray:
    """The valid mass of each prompt in a batch's table."""
    return np.asarray(table["valid_mass"].to_numpy()[table["option_id"].to_numpy() == 0])


def warn_low(
    model: Model, request: Request, design: pa.RecordBatch, start: int, table: pa.Table
) -> None:
    """Warn of a batch with low valid mass, and say what the model would rather write."""

    def place(i: int) -> Place:
        asked, prompts, separator = _laid_out(model, request, design.slice(i, 1), start + i)
        return f"row {start + i}", prompts[0], separator, asked.spelled[0]

    unit = f"prompts of the batch that begins at row {start}"
    warn_of_mass(model, masses(table), request.least_mass, place, unit)


def _laid_out(
    model: Model, request: Request, design: pa.RecordBatch, start: int
) -> tuple[Asked, list[str], str]:
    """What a batch asks, its prompts laid out as a chat if there is one, and the separator."""
    asked = ask(request, design, start)
    if request.chat is None:
        return asked, asked.prompts, request.separator
    each = np.repeat(np.arange(len(design)), len(request.listed or [0]))
    told = pd.DataFrame(asked.columns, index=range(len(design)), dtype=object)
    told = told.iloc[each].reset_index(drop=True)  # errors name the prompt by its place
    with _rows_of_file(each + start):
        chat = lay_out(model, asked.prompts, request.chat, told, separator=request.separator)
    return asked, *chat


def _over_orders(logprob: FloatArray, mass: FloatArray) -> tuple[FloatArray, ...]:
    """Log-probability, belief, mass and range of belief over the orders, (rows, K) each.

    logprob : (rows, orders, K). mass : (rows, orders, 1). As `average_orders` has it: means of
    belief and mass, the logarithm of the mean probability.
    """
    n, o, k = logprob.shape
    belief = softmax(logprob.reshape(n * o, k)).reshape(n, o, k)
    total = np.logaddexp.reduce(logprob, axis=1) - np.log(o)
    spread = belief.max(1) - belief.min(1)
    return total, belief.mean(1), np.broadcast_to(mass.mean(1), (n, k)), spread


@contextmanager
def _rows_of_file(number: IntArray) -> Iterator[None]:
    """Let errors about prompts by their place name the row of the file, `number[place]`."""
    try:
        yield
    except ValueError as error:
        # Every error about a row begins so, in this package: "row 3: ...".
        found = re.match(r"row (\d+): ", str(error))
        if not found or int(found[1]) >= len(number):
            raise
        kind = BoundaryError if isinstance(error, BoundaryError) else ValueError
        raise kind(f"row {number[int(found[1])]}: {str(error)[found.end() :]}") from error
