"""Pretraining of the glass box on the worlds' text, with early checkpoints."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from simkit.files import write_text
from simkit.training.documents import Documents, collate, pack, trees
from simkit.training.loop import STATE, Loop, learning_rate
from simkit.training.optimiser import Muon
from simkit.training.packing import additive
from simkit.training.tokenizer import build_tokenizer
from simkit.types import generator, one_of
from simkit.worlds.corpus import WORLDS, corpus

__all__ = ["SIZES", "Size", "pretrain"]


@dataclass(frozen=True)
class Size:
    """Shape of a glass box and length of its training."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    steps: int
    learning_rate: float  # of the weight matrices; embeddings and norms take half of it
    keep: tuple[float, ...] = ()  # fractions of the steps whose weights are kept


SIZES: dict[str, Size] = {
    "micro": Size(32, 2, 2, 64, 300, 1.2e-2),  # a minute: for tests
    "small": Size(128, 4, 4, 512, 20_000, 6e-3, keep=(0.005, 0.02, 0.1)),
    "large": Size(256, 5, 8, 704, 10_000, 4e-3),
}
ROWS = 13  # rows per step
ANSWERS = 256  # independent answers drawn per prompt


def batches(
    tokenizer: Any, seed: int, start: int = 0, taken: int = 0
) -> Iterator[tuple[int, int, Documents]]:
    """(chunk, steps so far from it, a step's rows), endlessly from `taken` in chunk `start`."""
    for chunk, documents in enumerate(corpus(seed, answers=ANSWERS, start=start), start):
        packed = pack(trees(tokenizer, documents))
        order = generator(seed, "rows", chunk).permutation(len(packed))
        steps = len(packed) // ROWS
        for number in range(taken if chunk == start else 0, steps):
            chosen = order[number * ROWS : (number + 1) * ROWS]
            yield chunk, number + 1, collate([packed[i] for i in chosen])


def loss_of(network: Any, batch: Documents, body: Any = None) -> torch.Tensor:
    """Weighted cross-entropy of one step (`body`: the network's body, perhaps compiled)."""
    hidden = (network.model if body is None else body)(
        input_ids=batch.tokens, position_ids=batch.positions,
        attention_mask=additive(batch.mask, torch.float32),
        use_cache=False,
    ).last_hidden_state  # fmt: skip
    with torch.autocast(hidden.device.type, enabled=False):  # probabilities need all their digits
        logits = network.lm_head(hidden[batch.keep].float())
    logp = torch.log_softmax(logits, -1)[batch.place, batch.token]
    return -(batch.weight * logp).sum() / batch.weight.sum()


def new_model(size: Size, tokenizer: Any, seed: int) -> LlamaForCausalLM:
    """Freshly initialised Llama of the given size; the caller's random state is left alone."""
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=size.hidden, num_hidden_layers=size.layers,
        num_attention_heads=size.heads, num_key_value_heads=size.heads,
        intermediate_size=size.intermediate, max_position_embeddings=256,
        tie_word_embeddings=True, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def pretrain(
    size: str = "small",
    out: Path | str = "glassbox",
    *,
    seed: int = 1,
    steps: int | None = None,
    init: Path | str | None = None,
    threads: int | None = None,
    device: str = "auto",
    progress: bool = True,
) -> Path:
    """Train a glass box from sampled text and save it as a folder that transformers can load.

    Parameters
    ----------
    size : a key of `SIZES`.
    out : folder for the model; early checkpoints go to `<out>-<documents>`, the state of an
        unfinished run to `<out>/training.pt`, from which the same call resumes.
    seed : of the text, the initial weights and the order.
    steps : optimiser steps; the size's own by default.
    init : folder of an earlier glass box of this size to start from instead of fresh weights; its
        tokenizer is kept, the peak learning rate is halved, and its record goes into the new
        one's `training.json`.
    threads : CPU threads; all by default.
    device : "auto" takes a GPU if there is one (with bf16 autocast there and on CPUs that have
        bf16 arithmetic; float32 otherwise).
    progress : show a progress bar with the loss.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ValueError
        For an unknown size, and for a folder with the state of another call.
    """
    one_of(size, "size", SIZES)
    shape = SIZES[size] if steps is None else replace(SIZES[size], steps=steps)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    if threads:
        torch.set_num_threads(threads)
    tokenizer: Any
    model: Any
    history = []  # records of the trainings that the initial weights went through, oldest first
    if init is None:
        tokenizer = build_tokenizer(seed)
        model = new_model(shape, tokenizer, seed)
    else:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(init)
        model = LlamaForCausalLM.from_pretrained(init, dtype=torch.float32)
        shape = replace(shape, learning_rate=shape.learning_rate / 2, keep=())
        record = json.loads((Path(init) / "training.json").read_text())
        history = [*record.pop("before", []), record]
    # On CPUs the fused attention is slow to differentiate under a mask: plain is 1.4 times faster.
    model.set_attn_implementation("eager")
    automatic = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.to(automatic if device == "auto" else device)
    call = {"settings": {"size": size, "steps": shape.steps, "seed": seed, "before": history}}
    run = Pretraining(
        network=model, optimisers=optimisers(model), steps=shape.steps, seed=seed, out=out,
        call=call, tokenizer=tokenizer, body=compiled(model.model), name=size, size=shape,
        history=history,
    )  # fmt: skip
    run.go(progress)
    run.save(out, torch.float32)
    (out / STATE).unlink(missing_ok=True)
    return out


def optimisers(model: Any) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices and AdamW for the rest; the rates are set before each step."""
    body = [p for p in model.model.layers.parameters() if p.ndim == 2]
    inside = {id(p) for p in body}
    rest = [p for p in model.parameters() if id(p) not in inside]
    return [
        Muon(body, lr=0.0),
        torch.optim.AdamW(rest, lr=0.0, betas=(0.9, 0.98), weight_decay=0.01, fused=True),
    ]


@dataclass(kw_only=True)
class Pretraining(Loop):
    """Training a glass box; its text is drawn chunk by chunk."""

    KEPT: ClassVar[tuple[str, ...]] = ("step", "documents", "chunk", "taken", "loss")

    tokenizer: Any
    body: Any
    name: str
    size: Size
    history: list[dict[str, Any]]
    documents: int = 0
    chunk: int = 0
    taken: int = 0  # steps from the chunk so far
    loss: float = math.nan

    def __post_init__(self) -> None:
        self.resume()
        self.batches = batches(self.tokenizer, self.seed, self.chunk, self.taken)

    def rates(self) -> list[float]:
        """Of the matrices, and half of it for the rest."""
        rate = learning_rate(self.step, self.steps, self.size.learning_rate, self.steps // 50)
        return [rate, rate * 0.5]

    def losses(self) -> Iterator[torch.Tensor]:
        """The loss of the next rows."""
        self.chunk, self.taken, batch = next(self.batches)
        where = self.device.type
        with torch.autocast(where, torch.bfloat16, enabled=has_bf16(where)):
            loss = loss_of(self.network, batch.to(self.device), self.body)
        yield loss
        value = float(loss.detach())
        self.loss = value if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * value
        self.documents += batch.number * ANSWERS

    def end(self, bar: Any) -> None:
        """Save early checkpoints, and show the loss."""
        if self.step in {int(f * self.steps) for f in self.size.keep}:
            self.save(Path(f"{self.out}-{self.documents // 1000}k"), torch.bfloat16)
        if self.step % 50 == 0:
            bar.set_postfix(loss=f"{self.loss:.4f}", documents=self.documents)

    def save(self, folder: Path, dtype: torch.dtype) -> None:
        """Weights, tokenizer and what the card needs to say of the run."""
        folder.mkdir(parents=True, exist_ok=True)
        # The card that travels in config.json tells a study which truth it may draw.
        read = self.documents + sum(run["documents"] for run in self.history)
        self.network.config.simkit = {
            "worlds": [name for name, (share, _) in WORLDS.items() if share > 0],
            "documents": read,
        }
        state = {k: v.detach().to(dtype).cpu() for k, v in self.network.state_dict().items()}
        self.network.save_pretrained(folder, state_dict=state)
        self.tokenizer.save_pretrained(folder)
        report = {
            "name": self.name, **asdict(self.size), "seed": self.seed, "step": self.step,
            "documents": self.documents, "answers": ANSWERS, "optimiser": "Muon and AdamW",
            "loss": round(self.loss, 4),
            "parameters": self.network.num_parameters(), "before": self.history,
        }  # fmt: skip
        write_text(folder / "training.json", json.dumps(report, indent=1) + "\n")


def compiled(body: Any) -> Any:
    """The body compiled where a C++ compiler is at hand (about 1.4 times faster), else as it is."""
    return torch.compile(body) if shutil.which("g++") or shutil.which("clang++") else body


def has_bf16(device: str) -> bool:
    """Whether bf16 arithmetic is native (on a CPU without it, autocast is many times slower)."""
    cuda = device == "cuda"
    return bool((torch.cuda.is_bf16_supported if cuda else torch.cpu._is_avx512_bf16_supported)())
