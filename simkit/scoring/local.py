"""Causal language models in this process, through transformers: loaded, scored and written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from simkit.scoring.cache.fingerprint import Fingerprint
from simkit.scoring.chat import Chat
from simkit.scoring.engine.choice import PATHS, Choice, choose, refuse_nan
from simkit.scoring.engine.padded import virtual_tokens
from simkit.scoring.engine.precision import SMALL, doubled
from simkit.scoring.engine.tally import Tally, blocks
from simkit.scoring.engine.tokens import WIDTH, Ids, Reader, nested, unpack
from simkit.scoring.engine.tree import Limits
from simkit.scoring.engine.turns import evaluating
from simkit.scoring.runs.asked import Ask, Runs, Writing
from simkit.scoring.runs.generate import end_ids
from simkit.scoring.runs.local import grow_each, write_runs
from simkit.scoring.source import name_of, read, resolve
from simkit.scoring.types import Scores
from simkit.types import IntArray, generator, one_of, shown

__all__ = ["LocalModel", "check_local", "load_local"]

BLOCK = 4_096  # prompts that are in work at a time
BLOCK_CHARACTERS = 2**21
SHOWN, SEEN = 5, 1e-3  # next tokens that are named, and their least probability


@dataclass(frozen=True, eq=False)
class LocalModel:
    """A causal language model in memory, with its tokenizer; `simkit.load` makes one.

    Attributes
    ----------
    name : the hub id, the bundled name or the folder's last part.
    network, tokenizer : as transformers has them.
    revision : of the hub, "" for none.
    asked : how prompts are to be scored: "auto", "tree" or "padded". `path` is the way taken.
    chat : how they are laid out where a call does not say; None for plain text.
    """

    name: str
    network: Any
    tokenizer: Any
    revision: str = ""
    asked: str = "auto"
    chat: Chat | None = None

    def __post_init__(self) -> None:
        one_of(self.asked, "path", PATHS)

    def __repr__(self) -> str:
        weights = sum(p.numel() for p in self.network.parameters())
        dtype = str(self.network.dtype).removeprefix("torch.")
        return f"LocalModel({self.name!r}, {weights / 1e6:.2f}M parameters, {dtype}, {self.device})"

    @property
    def device(self) -> Any:
        """Where the weights are."""
        return self.network.device

    @property
    def card(self) -> dict[str, Any]:
        """`worlds` and `documents` that a glass box was trained on; empty for other models."""
        return dict(getattr(self.network.config, "simkit", None) or {})

    @property
    def context_length(self) -> int | None:
        """Longest text in tokens, None if the configuration does not say.

        The tokens of a learnt prompt are subtracted. Rotation that grows with the text ("dynamic")
        reads texts longer than `max_position_embeddings` by its factor.
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

        The self-check runs on first use, at the latest by the first scoring, and its result is
        kept. Raises RuntimeError if path="tree" was asked for and the network cannot take it.
        """
        with evaluating(self.network):
            return choose(self.network, self.asked, self.name)

    @property
    def path(self) -> str:
        """How this model is scored: "tree" or "padded"."""
        return self.choice.path

    @property
    def identity(self) -> dict[str, Any]:
        """What the scores depend on besides prompt and options, as a store's key holds it.

        The weights are hashed on first use, and again if they changed.
        """
        together = self.choice.together
        path = self.path if together == "any" else f"{self.path}, {together}"
        return {**self._fingerprint.fields(), "revision": self.revision, "path": path}

    @property
    def run_identity(self) -> dict[str, Any]:
        """What runs depend on: also the configuration for generation, no part of `identity`."""
        ends = end_ids(self.network, self.tokenizer)
        return {**self.identity, "ends": sorted(token.hex() for token in ends)}

    @cached_property
    def tally(self) -> Tally:
        """Tokens asked for so far, and tokens computed."""
        return Tally()

    @cached_property
    def _fingerprint(self) -> Fingerprint:
        return Fingerprint(self.network, self.tokenizer)

    @cached_property
    def reader(self) -> Reader:
        """Turns texts into token ids."""
        return Reader(self.tokenizer, self.network)

    @cached_property
    def limits(self) -> Limits:
        """How much is held in memory at once."""
        return Limits.of(self.network)

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        """See `simkit.scoring.Model`. Prompts are worked on in blocks of similar ones."""
        prompts, choices = list(prompts), [tuple(row) for row in options]
        first: dict[tuple[str, tuple[str, ...]], int] = {}
        same = [
            first.setdefault(key, i) for i, key in enumerate(zip(prompts, choices, strict=True))
        ]
        # Sorted, prompts that begin alike fall into one block, whatever the order they came in.
        order = sorted(first.values(), key=prompts.__getitem__)
        shape = len(prompts), len(choices[0]) if choices else 0
        logprob, within = np.empty(shape), np.empty(shape, dtype=bool)
        with evaluating(self.network):
            for block in blocks(order, prompts, BLOCK, BLOCK_CHARACTERS):
                logprob[block], within[block] = self._score_block(
                    block, [prompts[i] for i in block], [choices[i] for i in block]
                )
        return Scores(logprob[same], within[same])

    def _score_block(
        self, rows: list[int], prompts: list[str], options: list[tuple[str, ...]]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        contexts, answers = self.reader.read(prompts, options, rows)
        self._check_lengths(rows, contexts, answers)
        self.tally.count(contexts, answers)
        logprob = self.choice.score(self.network, contexts, answers, self.limits, self.tally.work)
        refuse_nan(rows, logprob)
        within = {a: nested(a) for a in dict.fromkeys(answers)}
        return logprob, np.array([within[a] for a in answers])

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
                fault = f"row {row}: prompt and option are {length} tokens long"
                raise ValueError(f"{fault}, more than the {limit} that {self.name} can read")

    def tokens(self, prompt: str, options: Sequence[str]) -> list[list[str]]:
        """See `simkit.scoring.Model`."""
        (ids,) = self.reader.read([prompt], [tuple(options)], [0])[1]
        return [self.tokenizer.convert_ids_to_tokens(unpack(option).tolist()) for option in ids]

    @torch.inference_mode()
    def next_tokens(self, prompt: str) -> list[tuple[str, float]]:
        """See `simkit.scoring.Model`; as they would be written."""
        ids = unpack(self.reader.encode([prompt])[0]).tolist()
        with evaluating(self.network):
            logits = self.network(torch.tensor([ids], device=self.device)).logits[0, -1]
        best = logits.float().softmax(-1).topk(SHOWN)
        tail = ids[-8:]  # a tokenizer may drop the blank that opens a text: decode behind another
        before = self._decoded(tail)
        likely = []
        for token, p in zip(best.indices.tolist(), best.values.tolist(), strict=True):
            text = self._decoded([*tail, token])
            word = text.removeprefix(before) if text.startswith(before) else self._decoded([token])
            likely.append((word, p))
        return [(word, p) for word, p in likely if p >= SEEN] or likely[:1]

    def _decoded(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, clean_up_tokenization_spaces=False))

    def write(
        self, prompts: Sequence[str], seeds: Sequence[int], max_tokens: int, stop: str,
        temperature: float,
    ) -> list[str]:  # fmt: skip
        """See `simkit.scoring.write`."""
        contexts = self.reader.encode(prompts)
        uniforms = np.stack([generator(int(seed), "write").random(max_tokens) for seed in seeds])
        with evaluating(self.network):
            written = grow_each(self, contexts, uniforms, stop, temperature)
        texts = [""] * len(prompts)
        for end in written:
            for run in end.runs.tolist():
                texts[run] = end.text if end.found < 0 else end.text[: end.found]
        return texts

    def runs(
        self, asked: Sequence[Ask], row: IntArray, run: IntArray, how: Writing,
        block: int | None = None,
    ) -> Iterator[Runs]:  # fmt: skip
        """See `simkit.scoring.Model`."""
        return write_runs(self, asked, row, run, how, block)

    @torch.inference_mode()
    def recorded(self, prompt: str, text: str, top: int) -> dict[str, Any]:
        """See `simkit.scoring.as_recorded`."""
        (context,), ((answer,),) = self.reader.read([prompt], [(text,)], [0])
        written = unpack(answer).tolist()
        ids = torch.tensor([[*unpack(context).tolist(), *written]], device=self.device)
        with evaluating(self.network):
            logits = self.network(ids).logits[0]
        logprob = logits[-len(written) - 1 : -1].float().log_softmax(-1).cpu()
        content = []
        for row, token in zip(logprob, written, strict=True):
            best = torch.topk(row, min(top, len(row))).indices.tolist()
            listed = [self._entry(i, row[i].item()) for i in best]
            content.append({**self._entry(token, row[token].item()), "top_logprobs": listed})
        choice = {
            "message": {"role": "assistant", "content": text},
            "logprobs": {"content": content},
            "finish_reason": "stop",
        }
        return {"model": self.name, "choices": [choice]}

    def _entry(self, token: int, logprob: float) -> dict[str, Any]:
        text = self._decoded([token])
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


def load_local(
    source: str | Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    revision: str | None = None,
    trust_remote_code: bool = False,
    path: str = "auto",
) -> LocalModel:
    """Load a causal LM with its tokenizer, ready to score.

    Parameters
    ----------
    source : str or path
        A bundled name (`bundled()`), a folder that `save_pretrained` wrote, or a hub id. Only
        safetensors weights are read.
    device : str
        "auto" (CUDA, else Apple's MPS, else CPU), or a torch device.
    dtype : str
        "auto", or "float64", "float32", "bfloat16", …. "auto" takes the weights' own on a GPU. On
        a CPU it takes float32, and float64 for models of up to 8.4 million weights: their results
        then have the same digits on every processor.
    revision : str, optional
        A hub revision.
    trust_remote_code : bool
        Run code that comes with the weights; never unless asked for.
    path : str
        How prompts are scored. "tree" reads what prompts share once; "padded" is the plain way,
        for any architecture; "auto" tries both on a few tokens when first used and takes the tree
        where they agree. The path taken is `model.path`.

    Returns
    -------
    LocalModel

    Raises
    ------
    ValueError
        Saying what to do, for an unknown name or path, a folder that holds no whole causal model
        (an adapter, GGUF or pickled weights, some weights missing, unexpected or of another
        shape), and a device or dtype that is none.
    OSError
        From transformers, where a hub model cannot be fetched.
    """
    one_of(path, "path", PATHS)  # before anything is read
    place = resolve(source)
    if device == "auto":
        accelerator = torch.accelerator.current_accelerator()
        device = accelerator.type if accelerator and torch.accelerator.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:  # as torch has it for each kind
        reason = str(error).splitlines()[0]
        raise ValueError(f"device is {device!r}, which cannot be used: {reason}") from error
    dtype = str(dtype).removeprefix("torch.")
    if dtype != "auto" and not getattr(getattr(torch, dtype, None), "is_floating_point", False):
        raise ValueError(f"dtype is {dtype!r}; it must be 'auto', 'float64', 'float32', 'bfloat16'")
    precision = "float32" if dtype == "auto" and str(device) == "cpu" else dtype
    extra = {"revision": revision} if revision else {}
    tokenizer, network = read(place, precision, trust_remote_code=trust_remote_code, **extra)
    small = sum(p.numel() for p in network.parameters()) <= SMALL
    if dtype == "auto" and str(device) == "cpu" and small:
        network = doubled(network)
    network = network.to(device).eval()
    commit = getattr(network.config, "_commit_hash", None) or revision or ""
    return LocalModel(name_of(source), network, tokenizer, commit, path)


def check_local(model: Any) -> None:
    """ValueError for what is not a model of this machine, such as a mock or a name."""
    if isinstance(model, LocalModel):
        return
    inner = getattr(model, "model", None)
    hint = "; it has a cache: take its `model`" if isinstance(inner, LocalModel) else ""
    raise ValueError(f"model is {shown(model)}; it must be from simkit.load{hint}")
