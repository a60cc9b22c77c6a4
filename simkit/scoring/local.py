"""Causal language models in this process, through transformers: load them and score options."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch

from simkit.scoring.bulk.cached import blocks, scores_through
from simkit.scoring.bulk.fingerprint import Fingerprint
from simkit.scoring.engine.choice import PATHS, Choice, choose, refuse_nan
from simkit.scoring.engine.padded import virtual_tokens
from simkit.scoring.engine.precision import SMALL, doubled
from simkit.scoring.engine.tally import Tally
from simkit.scoring.engine.tokens import WIDTH, Ids, Reader
from simkit.scoring.engine.tree import Limits
from simkit.scoring.source import bundled, name_of, read, resolve
from simkit.scoring.types import Scores
from simkit.store import Store
from simkit.types import one_of, shown

__all__ = ["LocalModel", "bundled", "load"]

BLOCK = 4_096  # prompts that are in work at a time
BLOCK_CHARACTERS = 2**21


@dataclass(frozen=True, eq=False)
class LocalModel:
    """A causal LM in memory, with its tokenizer.

    asked : "auto", "tree" or "padded"; `path` is what came of it.
    budget : tokens per forward pass on the tree path, None to choose by device and free memory.
    store : where scores and runs are looked up and kept, None for nowhere.
    """

    name: str
    network: Any
    tokenizer: Any
    revision: str = ""
    asked: str = "auto"
    budget: int | None = None
    store: Store | None = None

    def __post_init__(self) -> None:
        if self.asked not in PATHS:
            raise ValueError(f"no path {self.asked!r}; there are: {', '.join(PATHS)}")
        if self.budget is not None and self.budget < 1:
            raise ValueError(f"budget must be a positive number of tokens, not {self.budget}")

    def __repr__(self) -> str:
        weights = sum(p.numel() for p in self.network.parameters())
        dtype = str(self.network.dtype).removeprefix("torch.")
        return f"LocalModel({self.name!r}, {weights / 1e6:.2f}M parameters, {dtype}, {self.device})"

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.network.device
        return device

    @property
    def card(self) -> dict[str, Any]:
        """What a glass box says of itself: `worlds` and `documents`; empty for other models."""
        return dict(getattr(self.network.config, "simkit", None) or {})

    @property
    def context_length(self) -> int | None:
        """Longest text in tokens, None if the configuration does not say.

        A learnt prompt takes its part of it; rotation that grows with the text ("dynamic") is made
        to read texts longer than `max_position_embeddings` by its factor.
        """
        config = self.network.config
        longest = getattr(config, "max_position_embeddings", None)
        if longest is None or longest < 1:  # -1 stands for no limit
            return None
        settings = getattr(config, "rope_parameters", None) or {}
        if settings.get("rope_type") == "dynamic":
            longest = int(longest * settings.get("factor", 1))
        return int(longest) - virtual_tokens(self.network)

    @cached_property
    def choice(self) -> Choice:
        """The path, the difference that the self-check measured, and the reason.

        The self-check runs when this is first asked for, at the latest by the first scoring; it
        is kept for this object's life. Raises RuntimeError if path="tree" was asked for in vain.
        """
        with _evaluating(self.network):
            return choose(self.network, self.asked, self.name)

    @property
    def path(self) -> str:
        """How this model is scored: "tree" or "padded"."""
        return self.choice.path

    @property
    def identity(self) -> dict[str, Any]:
        """What the scores depend on beside prompt and options, as a store's key holds it.

        The hash of the weights is taken when this is first asked for, and again if they changed.
        """
        path = (
            self.path if self.choice.together == "any" else f"{self.path}, {self.choice.together}"
        )
        return {**self._fingerprint.fields(), "revision": self.revision, "path": path}

    @cached_property
    def tally(self) -> Tally:
        """What this model was asked for so far, and what that took."""
        return Tally()

    @cached_property
    def _fingerprint(self) -> Fingerprint:
        return Fingerprint(self.network, self.tokenizer)

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self.tokenizer, self.network)

    @cached_property
    def _limits(self) -> Limits:
        return Limits.of(self.network, self.budget)

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        """See `simkit.scoring.types.Model`. Prompts are worked on in blocks of similar ones."""
        prompts, choices = list(prompts), [tuple(row) for row in options]
        if self.store is None:
            return self._compute(range(len(prompts)), prompts, choices)
        found, stored = scores_through(
            self.store,
            self.identity,
            lambda rows: self._compute(
                rows, [prompts[i] for i in rows], [choices[i] for i in rows]
            ),
            prompts,
            choices,
        )
        self.tally.stored += stored
        return found

    def _compute(
        self, rows: Sequence[int], prompts: list[str], choices: list[tuple[str, ...]]
    ) -> Scores:
        """Scores of prompts that errors call by the numbers in `rows`."""
        first: dict[tuple[str, tuple[str, ...]], int] = {}
        same = [
            first.setdefault(key, i) for i, key in enumerate(zip(prompts, choices, strict=True))
        ]
        # Sorted, prompts that begin alike fall into one block, whatever the order they came in.
        order = sorted(first.values(), key=prompts.__getitem__)
        shape = len(prompts), len(choices[0]) if choices else 0
        logprob, nested = np.empty(shape), np.empty(shape, dtype=bool)
        with _evaluating(self.network):
            for block in blocks(order, prompts, BLOCK, BLOCK_CHARACTERS):
                logprob[block], nested[block] = self._score_block(
                    [rows[i] for i in block],
                    [prompts[i] for i in block],
                    [choices[i] for i in block],
                )
        return Scores(logprob[same], nested[same])

    def _score_block(
        self, rows: list[int], prompts: list[str], options: list[tuple[str, ...]]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        contexts, answers = self._reader.read(prompts, options, rows)
        self._check_lengths(rows, contexts, answers)
        self.tally.count(contexts, answers)
        logprob = self.choice.score(self.network, contexts, answers, self._limits, self.tally.work)
        refuse_nan(rows, logprob)
        nested = {a: _nested(a) for a in dict.fromkeys(answers)}
        return logprob, np.array([nested[a] for a in answers])

    def _check_lengths(
        self, rows: list[int], contexts: list[Ids], answers: list[tuple[Ids, ...]]
    ) -> None:
        limit = self.context_length
        if limit is None:
            return
        longest = {a: max(map(len, a)) for a in dict.fromkeys(answers)}
        for row, context, options in zip(rows, contexts, answers, strict=True):
            length = (len(context) + longest[options]) // WIDTH
            if length > limit:
                raise ValueError(
                    f"row {row}: prompt and option are {length} tokens long, "
                    f"more than the {limit} that {self.name} can read"
                )


def _nested(options: tuple[Ids, ...]) -> list[bool]:
    """For each option, whether an earlier one equals it or any one begins it (token by token).

    Two spellings are equal under a tokenizer that lowercases.
    """
    ids = set(options)
    return [
        o in options[:k] or any(o[:i] in ids for i in range(WIDTH, len(o), WIDTH))
        for k, o in enumerate(options)
    ]


def load(
    name_or_path: str | Path = "glassbox",
    *,
    device: str = "auto",
    dtype: str = "auto",
    revision: str | None = None,
    trust_remote_code: bool = False,
    path: str = "auto",
    budget: int | None = None,
    cache: str | Path | None = None,
) -> LocalModel:
    """Load a causal LM with its tokenizer, ready to score.

    Parameters
    ----------
    name_or_path : "glassbox" (the model that ships) or another bundled name (`bundled()`), a
        folder that `save_pretrained` wrote, or a hub id.
    device : "auto" (CUDA, else Apple's MPS, else CPU), or a torch device.
    dtype : "auto", or "float64", "float32", "bfloat16", …. "auto" takes the weights' own on a GPU.
        On a CPU it takes float32, and float64 for models of up to 8.4 million weights: their
        results then have the same digits on every processor.
    revision : a hub revision.
    trust_remote_code : run code that comes with the weights; never unless asked for.
    path : how prompts are scored. "tree" reads what prompts share once; "padded" is the plain
        way, for any architecture; "auto" tries both on a few tokens when first used and takes the
        tree where they agree. What came of it is `model.path`.
    budget : tokens per forward pass on the tree path; None chooses by device and free memory.
    cache : a file (SQLite, made if it is not there) where scores, and the runs of `sample_runs`,
        are kept as they are computed and looked up before they are; None for no such file. It may
        hold many models, whose rows never mix, and be shared by processes.

    Only safetensors weights are read. Raises ValueError, saying what to do, for an unknown name
    or path, a folder that holds no whole causal model (an adapter, GGUF or pickled weights, some
    weights missing, unexpected or of another shape), and a device or dtype that is none; OSError
    from transformers where a hub model cannot be fetched.
    """
    one_of(path, "path", PATHS)  # before anything is read
    store = None if cache is None else Store(cache)
    source = resolve(name_or_path)
    where = _best_device() if device == "auto" else _device(device)
    dtype = str(dtype).removeprefix("torch.")
    if dtype != "auto" and not getattr(getattr(torch, dtype, None), "is_floating_point", False):
        raise ValueError(f"dtype is {dtype!r}; it must be 'auto', 'float64', 'float32', 'bfloat16'")
    wanted = "float32" if dtype == "auto" and where == "cpu" else dtype
    extra = {"revision": revision} if revision else {}
    tokenizer, network = read(source, wanted, trust_remote_code=trust_remote_code, **extra)
    small = sum(p.numel() for p in network.parameters()) <= SMALL
    if dtype == "auto" and where == "cpu" and small:
        network = doubled(network)
    network = network.to(where).eval()
    commit = getattr(network.config, "_commit_hash", None) or revision or ""
    name = name_of(name_or_path)
    return LocalModel(name, network, tokenizer, commit, path, budget, store)


def check_local(model: Any) -> None:
    """ValueError for what is not a model of this machine, such as a mock or a name."""
    if not isinstance(model, LocalModel):
        raise ValueError(f"model is {shown(model)}; it must be from simkit.load")


def _device(name: str) -> str:
    """The name; ValueError for a device that is none or not there."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, TypeError) as error:  # as torch has it for each kind
        said = str(error).splitlines()[0]
        raise ValueError(f"device is {name!r}, which cannot be used: {said}") from error
    return str(name)


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


_TURNS: WeakKeyDictionary[Any, RLock] = WeakKeyDictionary()  # one per network
if hasattr(os, "register_at_fork"):  # a child has no thread that would give a turn back
    os.register_at_fork(after_in_child=_TURNS.clear)


@contextmanager
def _evaluating(network: Any) -> Iterator[None]:
    """No dropout meanwhile (a network may come straight from training), one thread at a time.

    Threads would meet in what a pass changes on the network: classes and hooks of its layers, and
    rotation that goes by the longest text so far.
    """
    with _TURNS.setdefault(network, RLock()):
        training = network.training
        if training:
            network.eval()
        try:
            yield
        finally:
            if training:
                network.train()
