"""Finished runs in a store: found again only for the same model, prompt, draw and settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simkit import __version__
from simkit.scoring.runs.asked import Ask, End, Runs, Writing, uniforms
from simkit.store import Store, key
from simkit.types import IntArray

__all__ = ["find_runs", "keep_runs", "run_keys"]

FORMAT = 1  # of keys and values: another number never meets these rows


def run_keys(
    identity: Mapping[str, Any], how: Writing, asked: Sequence[Ask], row: IntArray, run: IntArray
) -> list[bytes]:
    """The key of each run; what it depends on is in it, what it stands beside is not."""
    call = key(
        format=FORMAT, kind="runs", version=__version__, model=key(**identity).hex(),
        seed=int(how.seed), marker=how.marker, forced=bool(how.forced),
        max_tokens=int(how.max_tokens), temperature=float(how.temperature),
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
    """The runs that the values of a store tell."""
    number: dict[tuple[int, bytes], int] = {}
    of = [number.setdefault(end, len(number)) for end in zip(row.tolist(), values, strict=True)]
    k = len(asked[0].spelled)
    ends, logprob, mass = [], np.empty((len(number), k)), np.empty(len(number))
    for place, (i, value) in enumerate(number):
        end, logprob[place], mass[place] = _read(value, asked[i], k)
        ends.append(end)
    first = uniforms(asked, row, run, how.seed, 0)[:, 0]
    return Runs(row, run, first, np.array(of), ends, logprob, mass)


def keep_runs(store: Store, names: Mapping[tuple[int, int], bytes], runs: Runs) -> None:
    """Put finished runs into the store, in one transaction; `names` are the keys of row and run."""
    ends = zip(runs.ends, runs.logprob.tolist(), runs.mass.tolist(), strict=True)
    # Python writes floats so that they come back bit for bit, NaN and infinity included.
    values = [
        json.dumps([e.reasoning, e.tokens, e.before is not None, e.forced, *numbers]).encode()
        for e, *numbers in ends
    ]
    places = zip(runs.row.tolist(), runs.run.tolist(), runs.number.tolist(), strict=True)
    store.put_many({names[i, r]: values[n] for i, r, n in places})


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
