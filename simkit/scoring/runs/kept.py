"""Finished runs in a store: found again only for the same model, prompt, draw and settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from simkit import __version__
from simkit.scoring.local import LocalModel
from simkit.scoring.runs.ends import Ask, End
from simkit.scoring.runs.generate import Sampling, end_ids
from simkit.store import Store, key
from simkit.types import FloatArray, IntArray

__all__ = ["Kept"]

FORMAT = 1  # of keys and values: another number never meets these rows


@dataclass(frozen=True, eq=False)
class Kept:
    """The runs of one call in a store.

    asked : the design's rows. names : for each, the keys of its runs.
    """

    store: Store
    asked: list[Ask]
    names: list[list[bytes]]

    @classmethod
    def of(
        cls, model: LocalModel, asked: list[Ask], runs: int, seed: int, marker: str, forced: bool,
        sampling: Sampling, max_tokens: int,
    ) -> Kept:  # fmt: skip
        """Keys of all runs; what a run depends on is in them, what it stands beside is not."""
        assert model.store is not None
        call = key(
            format=FORMAT,
            kind="runs",
            version=__version__,
            model=key(**model.identity).hex(),
            # The configuration for generation is no part of a model's identity.
            ends=sorted(i.hex() for i in end_ids(model.network, model.tokenizer)),
            seed=int(seed),
            marker=marker,
            forced=bool(forced),
            max_tokens=int(max_tokens),
            **{name: _plain(value) for name, value in asdict(sampling).items()},
        ).hex()
        names = []
        for ask in asked:
            prompt = key(call=call, prompt=ask.text, again=ask.again, options=ask.spelled).hex()
            names.append([key(kind="run", prompt=prompt, run=run) for run in range(runs)])
        return cls(model.store, asked, names)

    def find(self) -> tuple[IntArray, list[End], tuple[FloatArray, FloatArray]]:
        """The end (rows, runs) of each run, -1 if it is not there; the ends and their scores."""
        known = self.store.get_many(name for row in self.names for name in row)
        of = np.full((len(self.names), len(self.names[0])), -1)
        ends: dict[tuple[int, bytes], int] = {}
        for i, row in enumerate(self.names):
            for run, name in enumerate(row):
                if name in known:
                    of[i, run] = ends.setdefault((i, known[name]), len(ends))
        k = len(self.asked[0].spelled)
        logprob, mass = np.empty((len(ends), k)), np.empty(len(ends))
        found = []
        for place, (row_number, value) in enumerate(ends):
            end, logprob[place], mass[place] = _read(value, self.asked[row_number], k)
            found.append(end)
        return of, found, (logprob, mass)

    def keep(
        self, row: IntArray, run: IntArray, number: IntArray, ends: Sequence[End],
        logprob: FloatArray, mass: FloatArray,
    ) -> None:  # fmt: skip
        """Put finished runs into the store, in one transaction: run i came to `ends[number[i]]`."""
        values = [
            _value(end, some.tolist(), float(m))
            for end, some, m in zip(ends, logprob, mass, strict=True)
        ]
        self.store.put_many(
            {
                self.names[i][r]: values[n]
                for i, r, n in zip(row.tolist(), run.tolist(), number.tolist(), strict=True)
            }
        )


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's own, whole ones too: 1 and 1.0 are the same temperature."""
    return None if value is None else float(value)


def _value(end: End, logprob: list[float], mass: float) -> bytes:
    # Python writes floats so that they come back bit for bit, NaN and infinity included.
    answered = end.before is not None
    return json.dumps([end.reasoning, end.tokens, answered, end.forced, logprob, mass]).encode()


def _read(value: bytes, ask: Ask, k: int) -> tuple[End, list[float], float]:
    try:
        reasoning, tokens, answered, forced, logprob, mass = json.loads(value)
        if len(logprob) != k:
            raise ValueError(f"{len(logprob)} options instead of {k}")
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"the store holds a run that cannot be read ({error}); it is damaged, make a new one"
        ) from error
    return End(ask, reasoning, tokens, "" if answered else None, None, forced), logprob, mass
