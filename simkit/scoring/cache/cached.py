"""`Cached`: a model whose scores and runs are looked up in a store first, and kept there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simkit import __version__
from simkit.scoring.engine.tally import blocks
from simkit.scoring.runs.asked import Ask, End, Runs, Writing, uniforms
from simkit.scoring.types import Scores, ability, check_model, renamed_rows
from simkit.store import Store, key
from simkit.types import IntArray

__all__ = ["Cached"]

FORMAT = 1  # of keys and values: another number never meets these rows
BLOCK = 1_024  # prompts that a killed process may lose
BLOCK_CHARACTERS = 2**19
RUNS = 2_048  # runs that a killed process may lose


class Cached:
    """A model with a cache: it scores as the model does, and computes nothing twice.

    Parameters
    ----------
    model : Model
        Any with an `identity`, which names what its scores depend on.
    store : Store, str or path
        A `Store`, or the path of its file (SQLite, made if it is not there). It may hold many
        models, whose rows never mix, and be shared by processes.

    Attributes
    ----------
    stored : prompts and runs that came out of the store so far. Members of the model are members
        of this, too.

    Raises
    ------
    ValueError
        When it scores, for a model without an identity and for a value that was not written here.
    OSError
        Where the store cannot be used (its disk is full): what was committed before is found by
        the next call.

    Notes
    -----
    What is computed is committed block by block, each block in one transaction. A row that comes
    back is the row that was computed, bit for bit; one whose checksum fails is computed anew.

    Examples
    --------
    >>> import tempfile, simkit as sk
    >>> model = sk.MockModel(lambda prompt: {"yes": 0.6, "no": 0.3}, identity={"rule": "v1"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cached = sk.Cached(model, f"{folder}/scores.sqlite")
    ...     twice = [sk.score(cached, ["Buy?"], [" yes", " no"]) for _ in range(2)]
    >>> twice[1].round(3), cached.stored
    (array([[-0.511, -1.204]]), 1)
    """

    def __init__(self, model: Any, store: Store | str | Path) -> None:
        check_model(model)
        self.model = model
        self.store = store if isinstance(store, Store) else Store(store)
        self.stored = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "model":  # while it is copied or unpickled
            raise AttributeError(name)
        return getattr(self.model, name)

    def __repr__(self) -> str:
        return f"Cached({self.model!r}, {str(self.store.path)!r})"

    @property
    def name(self) -> str:
        """The model's own name."""
        return str(self.model.name)

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        """See `simkit.scoring.Model`."""
        rows = [tuple(row) for row in options]
        model = key(**self._identity()).hex()
        keys = [
            key(format=FORMAT, kind="scores", model=model, prompt=prompt, options=row)
            for prompt, row in zip(prompts, rows, strict=True)
        ]
        values = self.store.get_many(keys)
        stored = sum(name in values for name in keys)
        # The first row of each key: those that come later are looked up.
        missing = {keys[i]: i for i in reversed(range(len(keys))) if keys[i] not in values}
        # Sorted, prompts that begin alike fall into one block and are read together.
        order = sorted(missing.values(), key=prompts.__getitem__)
        for block in blocks(order, prompts, BLOCK, BLOCK_CHARACTERS):
            with renamed_rows(block):
                new = self.model.scores([prompts[i] for i in block], [rows[i] for i in block])
            packed = dict(zip((keys[i] for i in block), _packed(new), strict=True))
            self.store.put_many(packed)
            values |= packed
        self.stored += stored
        return _unpacked([values[name] for name in keys], len(rows[0]) if rows else 0)

    def runs(self, asked: Sequence[Ask], row: IntArray, run: IntArray, how: Writing,
             block: int | None = None) -> Iterator[Runs]:  # fmt: skip
        """See `simkit.scoring.Model`; the model's own `runs` writes those that are not there."""
        writes = ability(self.model, "runs", "sample_runs")
        if getattr(self.model, "beliefs", None) is not None:  # its runs say more than is kept here
            raise TypeError(
                f"runs of {self.name}, an interface, are kept by its requests; take "
                "load(address, cache=...) in the place of Cached"
            )
        identity = dict(getattr(self.model, "run_identity", None) or self._identity())
        names = run_keys(identity, how, asked, row, run)
        known = self.store.get_many(names)
        in_store = np.array([name in known for name in names], dtype=bool)
        self.stored += int(in_store.sum())
        if in_store.any():
            values = [known[name] for name in names if name in known]
            yield find_runs(asked, row[in_store], run[in_store], how, values)
        if not in_store.all():
            places = {(i, r): n for i, r, n in zip(row.tolist(), run.tolist(), names, strict=True)}
            for new in writes(asked, row[~in_store], run[~in_store], how, block or RUNS):
                cells = zip(new.row.tolist(), new.run.tolist(), new.number.tolist(), strict=True)
                values = _ends_as_bytes(new)
                self.store.put_many({places[i, r]: values[n] for i, r, n in cells})
                yield new

    def _identity(self) -> dict[str, Any]:
        identity = dict(getattr(self.model, "identity", None) or {})
        if not identity:
            raise ValueError(
                f"{self.name} ({type(self.model).__name__}) has no identity, so a store cannot "
                "find its rows; give it an `identity` of all that its scores depend on"
            )
        return identity


def _row(width: int) -> np.dtype[Any]:
    """A row of so many options as bytes: all log-probabilities, then all flags."""
    return np.dtype([("logprob", "<f8", (width,)), ("nested", "u1", (width,))])


def _packed(scores: Scores) -> list[bytes]:
    rows = np.empty(len(scores.logprob), dtype=_row(scores.logprob.shape[1]))
    rows["logprob"], rows["nested"] = scores.logprob, scores.nested
    size, data = rows.itemsize, rows.tobytes()
    return [data[start : start + size] for start in range(0, len(data), size)]


def _unpacked(values: list[bytes], width: int) -> Scores:
    row = _row(max(1, width))  # without any option there is no row either
    if any(len(value) != row.itemsize for value in values):
        raise ValueError("the store holds a row of another length; it is damaged, make a new one")
    rows = np.frombuffer(b"".join(values), dtype=row)
    logprob, nested = rows["logprob"].astype(np.float64), rows["nested"].astype(bool)
    return Scores(logprob[:, :width], nested[:, :width])


def run_keys(
    identity: Mapping[str, Any], how: Writing, asked: Sequence[Ask], row: IntArray, run: IntArray
) -> list[bytes]:
    """The key of each run: it names what the run depends on, and nothing of other runs."""
    call = key(
        format=FORMAT, kind="runs", version=__version__, model=key(**identity).hex(),
        seed=int(how.seed), marker=how.marker, forced=bool(how.forced),
        max_tokens=int(how.max_tokens), temperature=float(how.temperature),
        **({"tail": how.tail} if how.tail else {}),
    ).hex()  # fmt: skip
    prompts = {
        i: key(call=call, prompt=ask.text, again=ask.again, options=ask.spelled).hex()
        for i, ask in enumerate(asked)
    }
    return [
        key(kind="run", prompt=prompts[i], run=r)
        for i, r in zip(row.tolist(), run.tolist(), strict=True)
    ]


def find_runs(
    asked: Sequence[Ask], row: IntArray, run: IntArray, how: Writing, values: Sequence[bytes]
) -> Runs:
    """The runs that the values of a store describe."""
    number: dict[tuple[int, bytes], int] = {}
    end_of = [number.setdefault(end, len(number)) for end in zip(row.tolist(), values, strict=True)]
    k = len(asked[0].spelled)
    ends, logprob, mass = [], np.empty((len(number), k)), np.empty(len(number))
    for place, (i, value) in enumerate(number):
        end, logprob[place], mass[place] = _read(value, asked[i], k)
        ends.append(end)
    first = uniforms(asked, row, run, how.seed, 0)[:, 0]
    return Runs(row, run, first, np.array(end_of), ends, logprob, mass)


def _ends_as_bytes(runs: Runs) -> list[bytes]:
    # Python writes floats so that they come back bit for bit, NaN and infinity included.
    ends = zip(runs.ends, runs.logprob.tolist(), runs.mass.tolist(), strict=True)
    return [
        json.dumps([e.reasoning, e.tokens, e.before is not None, e.forced, *numbers]).encode()
        for e, *numbers in ends
    ]


def _read(value: bytes, ask: Ask, k: int) -> tuple[End, list[float], float]:
    try:
        reasoning, tokens, answered, forced, logprob, mass = json.loads(value)
        if len(logprob) != k:
            raise ValueError(f"{len(logprob)} options instead of {k}")
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"the store holds a run that cannot be read ({error}); it is damaged, make a new one"
        ) from error
    return End(ask, reasoning, tokens, "" if answered else None, forced), logprob, mass
