"""A model behind a server, asked the best way that it was proved to have.

`RemoteModel` is one whose server scores any text; `InterfaceModel` one that is only asked, and
says as much of its belief as the interface lets know.

A dialect is a class with `meet(client, model)`, which gives itself or None, and `client`, `model`
and `template` (or None). One that scores has `scores`, `next_tokens` and `write`. An
interface has `beliefs(inquiries, again)`, where `again` numbers the repeats of a request, `prove`,
which gives its abilities, `identity`, what else its numbers depend on, and `unscored`, the end of
the sentence "gpt ... " that says what it lacks and the remedy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simkit.scoring.chat import Chat
from simkit.scoring.forms import flat, sum_forms
from simkit.scoring.inquiries import Beliefs, Inquiry
from simkit.scoring.remote.client import Client, ServerError
from simkit.scoring.remote.echo import Echo
from simkit.scoring.remote.llamacpp import LlamaCpp
from simkit.scoring.remote.proof import prove_exact
from simkit.scoring.remote.repeats import over_repeats, spread_of
from simkit.scoring.remote.sglang import SGLang
from simkit.scoring.remote.vllm import VLLM
from simkit.scoring.runs.asked import Ask, End, Runs, Writing, uniforms
from simkit.scoring.types import Scores
from simkit.store import key
from simkit.types import IntArray, integer

__all__ = ["InterfaceModel", "RemoteModel", "load_remote"]

DIALECTS: list[Any] = [LlamaCpp, SGLang, VLLM, Echo]  # the first that a server speaks
KNOWN = Inquiry(
    "Is Paris the capital of France? Answer with one word: yes or no.", "", "",
    "Is Paris the capital of France?", ("yes", "no"), (("yes", "Yes", "YES"), ("no", "No", "NO")),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Behind:
    """A model behind a server.

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
        return f"{type(self).__name__}({self.name!r}, {can})"

    @property
    def tokenizer(self) -> Any:
        """The chat template, as `Chat` takes it; None if there is none."""
        return getattr(self.dialect, "template", None)

    @property
    def identity(self) -> dict[str, Any]:
        """What the numbers depend on, as far as the server says."""
        return {"server": self.dialect.client.address, "model": self.dialect.model}

    @property
    def spent(self) -> Any:
        """Requests, failed tries and tokens so far."""
        return self.dialect.client.spent


class RemoteModel(_Behind):
    """A model behind a server that scores any text; `simkit.load("http://...")` makes one.

    Its attributes are those of :class:`InterfaceModel`, without `repeats`.
    """

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        """See `simkit.scoring.Model`."""
        pairs = list(zip(prompts, map(tuple, options), strict=True))
        first: dict[tuple[str, tuple[str, ...]], int] = {}
        for row, pair in enumerate(pairs):
            first.setdefault(pair, row)
        found = self.dialect.scores(*zip(*first, strict=True), list(first.values()))
        place = {pair: i for i, pair in enumerate(first)}
        same = [place[pair] for pair in pairs]
        return Scores(found.logprob[same], found.nested[same])

    def next_tokens(self, prompt: str) -> list[tuple[str, float]]:
        """See `simkit.scoring.Model`."""
        return list(self.dialect.next_tokens(prompt))

    def write(
        self, prompts: Sequence[str], seeds: Sequence[int], max_tokens: int, stop: str,
        temperature: float,
    ) -> list[str]:  # fmt: skip
        """See `simkit.scoring.write`."""
        numbers = [seed_of("write", seed) for seed in seeds]
        done = self.dialect.write(prompts, numbers, max_tokens, stop, temperature)
        return [text for text, _, _ in done]

    def runs(
        self, asked: Sequence[Ask], row: IntArray, run: IntArray, how: Writing
    ) -> Iterator[Runs]:
        """See `simkit.scoring.Model`: each run is written by a request with a seed of its own."""
        first = uniforms(asked, row, run, how.seed, 0)[:, 0]
        pairs = list(zip(row.tolist(), run.tolist(), strict=True))
        seeds = [seed_of(how.seed, asked[i].text, asked[i].again, j) for i, j in pairs]
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


@dataclass(frozen=True, eq=False, repr=False)
class InterfaceModel(_Behind):
    """A model behind an interface that scores no text; `simkit.load` makes one.

    Attributes
    ----------
    name : as the server calls the model, a path by its last part.
    dialect : how the server is talked to. Its `next_tokens`, `write` and `runs`, where it has
        them, are the model's.
    abilities : what was found out and proved when it was met, in words.
    chat : how prompts are laid out where a call does not say; None for plain text.
    repeats : how often each belief is asked for; see `Beliefs`.
    """

    repeats: int = 1

    def __getattr__(self, name: str) -> Any:
        if name in ("next_tokens", "runs", "write"):  # those that the interface has
            return getattr(self.dialect, name)
        raise AttributeError(name)

    @property
    def identity(self) -> dict[str, Any]:
        """What the numbers depend on, as far as the server says."""
        return {**super().identity, "repeats": self.repeats, **self.dialect.identity}

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        """TypeError: it scores no text."""
        raise TypeError(f"{self.name} {self.dialect.unscored}")

    def beliefs(self, asked: Sequence[Inquiry]) -> Beliefs:
        """See `simkit.scoring.Model`."""
        found = [self.dialect.beliefs(asked, again) for again in range(self.repeats)]
        return over_repeats(found)


def seed_of(*parts: Any) -> int:
    """Of one request, in the 32 bits that servers take."""
    return int.from_bytes(key(parts=[str(part) for part in parts])[:4], "big") >> 1


def load_remote(
    address: str, *, model: str | None = None, repeats: int = 1, **settings: Any
) -> RemoteModel | InterfaceModel:
    """A model behind a server, met and proved.

    Parameters
    ----------
    address : str
        "http://127.0.0.1:8000/v1".
    model : str, optional
        Where the server has several.
    repeats : int
        How often an interface is asked for each belief: servers give other numbers for the same
        request. The mean counts, and the table has a column `repeats_range`.
    **settings
        Of the `Client`: `key_from`, `workers`, `seconds`, `tries`, `most_requests`.

    Returns
    -------
    RemoteModel or InterfaceModel
        The first where the server scores any text exactly.

    Raises
    ------
    ServerError
        Where no server answers, where it is of no kind that simkit knows, and where what it
        answers to a known case is wrong.
    ValueError
        For `repeats` below 1, or above 1 of a server that scores exactly.
    """
    integer(repeats, "repeats", 1)
    client = Client(address, **settings)
    for dialect in DIALECTS:
        met = dialect.meet(client, model)
        if met is None:
            continue
        abilities = _proved(met)
        name = met.model.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".gguf")
        if hasattr(met, "beliefs"):
            return InterfaceModel(name, met, abilities, repeats=repeats)
        if repeats > 1:
            raise ValueError(
                f"repeats is {repeats}, and {name} scores exactly ({abilities['repeats']} between "
                "two requests); leave it out"
            )
        return RemoteModel(name, met, abilities)
    raise ServerError(
        f"{client.address}: no server that simkit can score with answers there; start llama.cpp's "
        "server, or load the model itself"
    )


def _proved(dialect: Any) -> dict[str, str]:
    """What the server can do, each held against a known case; ServerError where it is wrong.

    An interface (a dialect with `beliefs`) proves itself (`prove`), and is asked one thing twice.
    """
    if not hasattr(dialect, "beliefs"):
        return prove_exact(dialect)
    can = dialect.prove()
    first, second = (dialect.beliefs([KNOWN], again) for again in (0, 1))
    return {**can, "repeats": spread_of(first, second)}
