"""Causal language models in this process, through transformers: load them and score options.

This is the reference path: right answers for any architecture, padded batches, no tricks beyond
scoring a text once. Sequences are padded on the left, so that the tokens to be predicted stand at
the end of every row and the vocabulary head runs on those positions only.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from simkit.resources import root
from simkit.scoring.types import BoundaryError, Scores

__all__ = ["LocalModel", "bundled", "load"]

BUDGET = 8_192  # padded tokens per forward pass on the reference path


@dataclass(frozen=True, eq=False)
class LocalModel:
    """A causal LM in memory, with its tokenizer."""

    name: str
    network: Any
    tokenizer: Any
    revision: str = ""

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
        """Longest sequence in tokens, None if the configuration does not say."""
        config = self.network.config
        return getattr(config, "max_position_embeddings", None)

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        """See `simkit.scoring.types.Model`."""
        contexts, answers = self._tokenize(prompts, options)
        self._check_lengths(contexts, answers, prompts)
        logprob = _score_padded(self, contexts, answers)
        return Scores(logprob, np.array([_nested(row) for row in answers]))

    def _tokenize(
        self, prompts: Sequence[str], options: Sequence[Sequence[str]]
    ) -> tuple[list[list[int]], list[list[list[int]]]]:
        """Ids of each prompt, and of each option as it is written after that prompt."""
        contexts = self._encode(prompts)
        flat = [p + o for p, row in zip(prompts, options, strict=True) for o in row]
        whole = iter(self._encode(flat))
        answers = []
        for row, (prompt, choices, context) in enumerate(
            zip(prompts, options, contexts, strict=True)
        ):
            full = [next(whole) for _ in choices]
            for choice, ids in zip(choices, full, strict=True):
                if ids[: len(context)] != context or len(ids) == len(context):
                    raise BoundaryError(self._boundary(row, prompt, choice, context, ids))
            answers.append([ids[len(context) :] for ids in full])
        return contexts, answers

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids with the tokenizer's own leading special tokens, and exactly one BOS."""
        bos = self.tokenizer.bos_token
        own = [bool(bos) and t.startswith(bos) for t in texts]
        ids: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=True)["input_ids"]
        for i in np.flatnonzero(own):  # the text brings its BOS: do not add a second one
            ids[i] = self.tokenizer(texts[i], add_special_tokens=False)["input_ids"]
        return ids

    def _boundary(
        self, row: int, prompt: str, option: str, context: list[int], ids: list[int]
    ) -> str:
        words = self.tokenizer.convert_ids_to_tokens
        return (
            f"row {row}: the end of the prompt and the option are not tokenized apart, so the "
            f"option cannot be scored as written. Prompt …{prompt[-20:]!r} alone ends in tokens "
            f"{words(context[-3:])}; with option {option!r} the text is "
            f"{words(ids[max(0, len(context) - 3) :])}. Move blanks from the end of the prompt to "
            f"the start of the option."
        )

    def _check_lengths(
        self, contexts: list[list[int]], answers: list[list[list[int]]], prompts: Sequence[str]
    ) -> None:
        limit = self.context_length
        for row, (context, choices) in enumerate(zip(contexts, answers, strict=True)):
            longest = len(context) + max(map(len, choices))
            if not context:
                raise ValueError(f"row {row}: prompt {prompts[row]!r} has no tokens")
            if limit is not None and longest > limit:
                raise ValueError(
                    f"row {row}: prompt and option are {longest} tokens long, "
                    f"more than the {limit} that {self.name} can read"
                )


def _nested(options: list[list[int]]) -> list[bool]:
    """For each option, whether another one is a proper prefix of it (token by token)."""
    ids = {tuple(o) for o in options}
    return [any(tuple(o[:i]) in ids for i in range(1, len(o))) for o in options]


def _score_padded(
    model: LocalModel, contexts: list[list[int]], answers: list[list[list[int]]]
) -> np.ndarray:
    """Summed log-probabilities, shape (n_prompts, n_options)."""
    out = np.zeros((len(contexts), len(answers[0])))
    # What must be read for an option is the prompt and all but its last token, so one-token
    # options of a prompt share one sequence. sequence -> [(row, column, option ids)]
    wanted: dict[tuple[int, ...], list[tuple[int, int, list[int]]]] = {}
    for row, (context, choices) in enumerate(zip(contexts, answers, strict=True)):
        for column, choice in enumerate(choices):
            wanted.setdefault((*context, *choice[:-1]), []).append((row, column, choice))
    for batch in _batches(sorted(wanted, key=len)):
        keep = max(len(choice) for s in batch for _, _, choice in wanted[s])
        logp = _last_logprobs(model, batch, keep)
        for i, sequence in enumerate(batch):
            for row, column, choice in wanted[sequence]:
                steps = np.arange(keep - len(choice), keep)
                out[row, column] = logp[i, steps, choice].sum()
    return out


def _batches(sequences: list[tuple[int, ...]]) -> Iterator[list[tuple[int, ...]]]:
    """Groups of similar length (the list is sorted) within the token budget."""
    start = 0
    while start < len(sequences):
        end = start + 1
        while end < len(sequences) and (end + 1 - start) * len(sequences[end]) <= BUDGET:
            end += 1
        yield sequences[start:end]
        start = end


@torch.inference_mode()
def _last_logprobs(
    model: LocalModel, sequences: list[tuple[int, ...]], keep: int
) -> np.ndarray:
    """Log-softmax in float32 after the last `keep` tokens of each sequence: (n, keep, vocab)."""
    width = max(keep, max(map(len, sequences)))
    ids = torch.zeros(len(sequences), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, sequence in enumerate(sequences):
        ids[i, width - len(sequence) :] = torch.tensor(sequence)
        mask[i, width - len(sequence) :] = 1
    inputs = {
        "input_ids": ids.to(model.device),
        # From the lengths, not from a pad id: pad may equal eos, which may stand in the text.
        "attention_mask": mask.to(model.device),
        "position_ids": (mask.cumsum(1) - 1).clamp(min=0).to(model.device),
    }
    accepted = inspect.signature(model.network.forward).parameters
    if "logits_to_keep" in accepted:
        inputs["logits_to_keep"] = keep
    inputs = {k: v for k, v in inputs.items() if k in accepted}
    logits = model.network(**inputs, use_cache=False).logits[:, -keep:]
    return np.asarray(torch.log_softmax(logits.float(), -1).cpu().numpy(), dtype=np.float64)


def load(
    name_or_path: str | Path = "glassbox",
    *,
    device: str = "auto",
    dtype: str = "auto",
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> LocalModel:
    """Load a causal LM with its tokenizer, ready to score.

    Parameters
    ----------
    name_or_path : "glassbox" (the model that ships) or another bundled name (`bundled()`), a
        folder that `save_pretrained` wrote, or a hub id.
    device : "auto" (CUDA, else Apple's MPS, else CPU), or a torch device.
    dtype : "auto" (float32 on CPU, the weights' own elsewhere), or "float32", "bfloat16", ….
    revision : a hub revision.
    trust_remote_code : run code that comes with the weights; never unless asked for.

    Only safetensors weights are read. Raises ValueError naming the legal choices for an unknown
    bundled name, and OSError from transformers where a hub model cannot be fetched.
    """
    source = _resolve(name_or_path)
    where = _best_device() if device == "auto" else device
    wanted = "float32" if dtype == "auto" and where == "cpu" else dtype
    extra = {"revision": revision} if revision else {}
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(
            source, trust_remote_code=trust_remote_code, **extra
        )
        network = AutoModelForCausalLM.from_pretrained(
            source,
            dtype=wanted,
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            **extra,
        )
    network = network.to(where).eval()
    commit = getattr(network.config, "_commit_hash", None) or revision or ""
    return LocalModel(_display_name(name_or_path), network, tokenizer, commit)


def bundled() -> dict[str, Path]:
    """The models that ship: name -> folder. "glassbox" is the small one."""
    folders = sorted(p.parent for p in (root("data") / "models").glob("*/config.json"))
    names = {f.name: f for f in folders}
    if "glassbox-small" in names:
        names = {"glassbox": names["glassbox-small"], **names}
    return names


def _resolve(name_or_path: str | Path) -> str:
    models = bundled()
    if str(name_or_path) in models:
        return str(models[str(name_or_path)])
    path = Path(name_or_path)
    if path.is_dir():
        if not (path / "config.json").exists():
            raise ValueError(f"{path} is a folder without config.json: no model was saved there")
        return str(path)
    if path.is_absolute() or str(name_or_path).startswith((".", "glassbox")):
        legal = ", ".join(models) or "none"
        raise ValueError(
            f"no model folder {str(name_or_path)!r}, and no bundled model of that name "
            f"(bundled: {legal})"
        )
    return str(name_or_path)


def _display_name(name_or_path: str | Path) -> str:
    """Hub ids as they are; folders by their last part, so that no machine's path is reported."""
    path = Path(name_or_path)
    return path.name if path.is_dir() else str(name_or_path)


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars and notices out of notebooks, then restore them."""
    level, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bar:
            transformers_logging.enable_progress_bar()
