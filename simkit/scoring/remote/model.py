"""`RemoteModel`: a model behind a server, scored the best way that it was proved to have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simkit.scoring.chat import Chat
from simkit.scoring.forms import flat, sum_forms
from simkit.scoring.remote.client import Client, ServerError
from simkit.scoring.remote.echo import Echo
from simkit.scoring.remote.llamacpp import LlamaCpp
from simkit.scoring.runs.asked import Ask, End, Runs, Writing, uniforms
from simkit.scoring.types import Scores
from simkit.store import key
from simkit.types import IntArray

__all__ = ["RemoteModel", "load_remote"]

PROBE = "The capital of France is"
DIALECTS: list[Any] = [LlamaCpp, Echo]  # the first that a server speaks
TOLERANCE = 0.05  # of a log-probability, between two requests for the same


@dataclass(frozen=True, eq=False)
class RemoteModel:
    """A model behind a server; `simkit.load("http://...")` makes one.

    Attributes
    ----------
    name : as the server calls the model, a path by its last part.
    dialect : how the server is talked to.
    abilities : what was found out and proved when it was met, in words.
    chat : how prompts are laid out where a call does not say; None for plain text.
    """

    name: str
    dialect: Any
    abilities: dict[str, str]
    chat: Chat | None = None

    def __repr__(self) -> str:
        can = "; ".join(f"{what}: {how}" for what, how in self.abilities.items())
        return f"RemoteModel({self.name!r}, {can})"

    @property
    def tokenizer(self) -> Any:
        """The server's chat template, as `Chat` takes it; None if it has none."""
        return self.dialect.template

    @property
    def identity(self) -> dict[str, Any]:
        """What the scores depend on, as far as the server says."""
        return {"server": self.dialect.client.address, "model": self.dialect.model}

    @property
    def spent(self) -> Any:
        """Requests, failed tries and tokens so far."""
        return self.dialect.client.spent

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        """See `simkit.scoring.Model`."""
        rows = list(dict.fromkeys(zip(prompts, map(tuple, options), strict=True)))
        found = self.dialect.scores([p for p, _ in rows], [o for _, o in rows])
        place = {row: i for i, row in enumerate(rows)}
        same = [place[p, tuple(o)] for p, o in zip(prompts, options, strict=True)]
        logprob = np.array(found, dtype=float)[same]
        nested = {o: self.dialect.nested(o) for _, o in rows}
        within = np.array([nested[tuple(o)] for o in options], dtype=bool)
        return Scores(logprob, within)

    def next_tokens(self, prompt: str) -> list[tuple[str, float]]:
        """See `simkit.scoring.Model`."""
        return list(self.dialect.next_tokens(prompt))

    def write(
        self, prompts: Sequence[str], seeds: Sequence[int], max_tokens: int, stop: str,
        temperature: float,
    ) -> list[str]:  # fmt: skip
        """See `simkit.scoring.write`."""
        numbers = [_seed("write", seed) for seed in seeds]
        done = self.dialect.write(prompts, numbers, max_tokens, stop, temperature)
        return [text for text, _, _ in done]

    def runs(
        self, asked: Sequence[Ask], row: IntArray, run: IntArray, how: Writing
    ) -> Iterator[Runs]:
        """See `simkit.scoring.Model`: each run is written by a request with a seed of its own."""
        first = uniforms(asked, row, run, how.seed, 0)[:, 0]
        pairs = list(zip(row.tolist(), run.tolist(), strict=True))
        seeds = [_seed(how.seed, asked[i].text, asked[i].again, j) for i, j in pairs]
        prompts = [asked[i].text for i, _ in pairs]
        done = self.dialect.write(prompts, seeds, how.max_tokens, how.marker, how.temperature)
        ends: dict[tuple[int, str, bool], int] = {}
        made: list[End] = []
        number = np.empty(len(pairs), dtype=np.int64)
        for k, ((i, _), (text, tokens, reached)) in enumerate(zip(pairs, done, strict=True)):
            at = ends.setdefault((i, text, reached), len(made))
            if at == len(made):
                end = how.marker + how.tail
                before = asked[i].text + text + end if reached or how.forced else None
                made.append(End(asked[i], text, tokens, before, not reached and how.forced))
            number[k] = at
        k = len(asked[0].spelled)
        logprob, mass = np.full((len(made), k), np.nan), np.full(len(made), np.nan)
        read = [n for n, end in enumerate(made) if end.before is not None]
        if read:
            before = [str(made[n].before) for n in read]
            spelled = [made[n].ask.spelled for n in read]
            scores = self.scores(before, [flat(row) for row in spelled])
            logprob[read] = sum_forms(self, before, spelled, scores)
            mass[read] = scores.valid_mass
        yield Runs(row, run, first, number, made, logprob, mass)


def _seed(*parts: Any) -> int:
    """Of one request, in the 32 bits that servers take."""
    return int.from_bytes(key(parts=[str(part) for part in parts])[:4], "big") >> 1


def load_remote(address: str, *, model: str | None = None, **settings: Any) -> RemoteModel:
    """A model behind a server, met and proved.

    Parameters
    ----------
    address : str
        "http://127.0.0.1:8000/v1".
    model : str, optional
        Where the server has several.
    **settings
        Of the `Client`: `key_from`, `workers`, `seconds`, `tries`, `most_requests`.

    Returns
    -------
    RemoteModel

    Raises
    ------
    ServerError
        Where no server answers, where it is of no kind that simkit knows, and where what it
        answers to a known case is wrong.
    """
    client = Client(address, **settings)
    for dialect in DIALECTS:
        met = dialect.meet(client, model)
        if met is not None:
            abilities = _proved(met)
            name = met.model.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".gguf")
            return RemoteModel(name, met, abilities)
    raise ServerError(
        f"{client.address}: no server that simkit can score with answers there; start llama.cpp's "
        "server, or load the model itself"
    )


def _proved(dialect: Any) -> dict[str, str]:
    """What the server can do, each held against a known case; ServerError where it is wrong.

    A token that the server wrote has a log-probability: forced, it must have the same. And an
    option of two tokens must have the sum of the first and of the second after the first.
    """
    (word, p), *_ = dialect.next_tokens(PROBE)
    ((alone,),) = dialect.scores([PROBE], [(word,)])
    if abs(alone - np.log(p)) > TOLERANCE:
        raise ServerError(
            f"{dialect.client.address}: {word!r} after {PROBE!r} has log-probability "
            f"{np.log(p):.3f} when written and {alone:.3f} when scored"
        )
    ((both, again),) = dialect.scores([PROBE], [(word + " the", word)])
    ((rest,),) = dialect.scores([PROBE + word], [(" the",)])
    if abs(both - again - rest) > TOLERANCE:
        raise ServerError(
            f"{dialect.client.address}: {word + ' the'!r} has log-probability {both:.3f}; its "
            f"parts have {again:.3f} and {rest:.3f}"
        )
    spread = abs(again - alone)
    return {
        "scores": "exact, options of any number of tokens",
        "repeats": f"differ by {spread:.2g}",
        "runs": "written and scored",
    }
