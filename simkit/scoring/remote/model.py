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

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simkit.files import as_path
from simkit.scoring.chat import Chat
from simkit.scoring.forms import flat, sum_forms
from simkit.scoring.inquiries import Beliefs, Inquiry
from simkit.scoring.remote.chat import ChatCompletions
from simkit.scoring.remote.client import Client, ServerError
from simkit.scoring.remote.costs import Spent
from simkit.scoring.remote.decisions import Decisions
from simkit.scoring.remote.dry import Dry
from simkit.scoring.remote.echo import Echo
from simkit.scoring.remote.llamacpp import LlamaCpp
from simkit.scoring.remote.proof import prove_exact
from simkit.scoring.remote.recorder import Recorder
from simkit.scoring.remote.repeats import over_repeats, seed_of, spread_of
from simkit.scoring.remote.sglang import SGLang
from simkit.scoring.remote.systemone import SystemOne
from simkit.scoring.remote.vllm import VLLM
from simkit.scoring.runs.asked import Ask, End, Runs, Writing, uniforms
from simkit.scoring.types import Scores
from simkit.store import Store
from simkit.types import IntArray, integer

__all__ = ["InterfaceModel", "RemoteModel", "load_openai", "load_remote"]

OPENAI = "https://api.openai.com/v1"
# The first that a server speaks.
DIALECTS: list[Any] = [LlamaCpp, SGLang, VLLM, Echo, Decisions, SystemOne, ChatCompletions]
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
    repeats : how often `believe` asks for each belief; the mean counts, and the table says how far
        the repeats lie apart.
    """

    name: str
    dialect: Any
    abilities: dict[str, str]
    chat: Chat | None = None
    repeats: int = 1

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
    def spent(self) -> Spent:
        """Requests, failed tries, tokens and money so far."""
        return self.dialect.client.spent  # type: ignore[no-any-return]

    @property
    def would_spend(self) -> Spent:
        """What a dry run counted instead of sending it."""
        counted = self.dialect.client.counted
        if counted is None:
            raise ValueError(f"{self.name} was not loaded with dry_run=True; see `spent`")
        return counted  # type: ignore[no-any-return]

    @property
    def stored(self) -> int:
        """Answers that came out of the cache so far."""
        return self.spent.kept


class RemoteModel(_Behind):
    """A model behind a server that scores any text; `simkit.load("http://...")` makes one.

    Its attributes are those of :class:`InterfaceModel`.
    """

    @contextmanager
    def repeated(self, number: int) -> Iterator[None]:
        """What is asked inside is asked anew, though the cache has it from before; by number."""
        client = self.dialect.client
        client.again = number
        try:
            yield
        finally:
            client.again = 0

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
        self, asked: Sequence[Ask], row: IntArray, run: IntArray, how: Writing,
        block: int | None = None,
    ) -> Iterator[Runs]:  # fmt: skip
        """See `simkit.scoring.Model`: each run is written by a request with a seed of its own."""
        if block is not None and len(row) > block:
            for start in range(0, len(row), block):
                part = slice(start, start + block)
                yield from self.runs(asked, row[part], run[part], how)
            return
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


def load_remote(
    address: str,
    *,
    model: str | None = None,
    answers: int | None = None,
    repeats: int = 1,
    batch: int | None = None,
    record: str | Path | None = None,
    cache: Store | None = None,
    dry_run: bool = False,
    **settings: Any,
) -> RemoteModel | InterfaceModel:
    """A model behind a server, met and proved.

    Parameters
    ----------
    address : str
        "http://127.0.0.1:8000/v1".
    model : str, optional
        Where the server has several.
    answers : int, optional
        How often each prompt is asked where an interface only gives answers; 24 if not given.
    repeats : int
        How often the server is asked for each belief: servers give other numbers for the same
        request. The mean counts, and the table has a column `repeats_range`.
    batch : int, optional
        Questions a request of a decision interface; None for as many as it takes.
    record : str or Path, optional
        A file (JSON Lines) to which the requests and answers of a decision interface are added;
        `simkit.load` reads it in the interface's place.
    cache : Store, optional
        Where answers are kept, request by request, as they arrive, and looked up before one is
        sent. The handshake is always made anew: it proves the server that is there now.
    dry_run : bool
        Nothing but the handshake is sent: requests and their tokens are counted in
        `model.would_spend`, and numbers are made up in their place. The environment variable
        SIMKIT_DRY_RUN, a folder, makes all models such, and the counts are written there.
    **settings
        Of the `Client`: `key_from`; `workers`, `seconds`, `tries`; the server's limits
        `requests_per_minute` and `tokens_per_minute`; and a budget, `most_requests`, `most_tokens`
        and `most_cost`, with `price=(read, written)` for a million tokens.

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
        For numbers below 1, `answers` of a server that lets know more, and `batch` and `record` of
        one that is no decision interface.
    """
    integer(repeats, "repeats", 1)
    integer(1 if answers is None else answers, "answers", 1)
    client = Client(address, **settings)
    for dialect in DIALECTS:
        met = dialect.meet(client, model)
        if met is None:
            continue
        if not isinstance(met, Decisions) and (batch is not None or record is not None):
            name = "batch" if batch is not None else "record"
            raise ValueError(f"{name} is of decision interfaces; {client.address} is none")
        if batch is not None:
            met.batch = integer(batch, "batch", 1)
        if hasattr(met, "answers") and answers is not None:
            met.answers = answers
        abilities = _proved(met)
        if answers is not None and "sampled" not in abilities["scores"]:
            raise ValueError(
                f"answers is {answers}, and {met.model} lets know more ({abilities['scores']}); "
                "leave it out"
            )
        name = met.model.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".gguf")
        if record is not None:
            met.client = Recorder(met.client, as_path(record, "record"))
        counts = os.environ.get("SIMKIT_DRY_RUN")
        asked: Any = Dry(met, counts and Path(counts, f"{name}.txt")) if dry_run or counts else met
        if hasattr(met, "beliefs"):
            made: RemoteModel | InterfaceModel = InterfaceModel(
                name, asked, abilities, repeats=repeats
            )
            break
        made = RemoteModel(name, asked, abilities, repeats=repeats)
        break
    else:
        raise ServerError(
            f"{client.address}: no server that simkit can score with answers there, and none with "
            "chat completions; start llama.cpp's server, or load the model itself"
        )
    client.store, client.identity = cache, made.identity  # proved: what is kept is this model's
    return made


def load_openai(source: str, **settings: Any) -> RemoteModel | InterfaceModel:
    """A model of OpenAI's interface.

    Parameters
    ----------
    source : str
        "openai:gpt-4.1-mini".
    **settings
        As in `load_remote`.

    Returns
    -------
    RemoteModel or InterfaceModel

    Raises
    ------
    ValueError
        Without a key in the environment, and as `load_remote`.
    ServerError
        As `load_remote`.

    Notes
    -----
    The address is that of the environment variable OPENAI_BASE_URL, if it is set.
    """
    address = os.environ.get("OPENAI_BASE_URL", "")
    name = settings.get("key_from", "OPENAI_API_KEY")
    if not address and not os.environ.get(name):
        raise ValueError(
            f"{source!r} needs a key: set the environment variable {name} before Python starts"
        )
    model = source.removeprefix("openai:") or None
    return load_remote(address or OPENAI, model=model, **settings)


def _proved(dialect: Any) -> dict[str, str]:
    """What the server can do, each held against a known case; ServerError where it is wrong.

    An interface (a dialect with `beliefs`) proves itself (`prove`); if it does not say how its
    answers differ, it is asked one thing twice.
    """
    if not hasattr(dialect, "beliefs"):
        return prove_exact(dialect)
    can: dict[str, str] = dialect.prove()
    if "repeats" in can:
        return can
    first, second = (dialect.beliefs([KNOWN], again) for again in (0, 1))
    return {**can, "repeats": spread_of(first, second)}
