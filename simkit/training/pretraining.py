"""Training: seeded, checkpointed, resumable, on whatever device there is."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from simkit.files import write_text
from simkit.training.documents import collate, pack, trees
from simkit.training.optimiser import Muon
from simkit.training.tokenizer import build_tokenizer
from simkit.types import generator
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


def batches(tokenizer: Any, seed: int, rows: int, start: int = 0) -> Iterator[tuple[int, int, Any]]:
    """(chunk, documents so far in it, step tensors), endlessly from chunk `start`."""
    chunk = start
    for documents in corpus(seed, answers=ANSWERS, start=start):
        packed = pack(trees(tokenizer, documents))
        order = generator(seed, "rows", chunk).permutation(len(packed))
        for at in range(0, len(packed) - rows + 1, rows):
            group = [packed[i] for i in order[at : at + rows]]
            yield chunk, sum(map(len, group)), collate(group)
        chunk += 1


def loss_of(model: Any, batch: dict[str, torch.Tensor], body: Any = None) -> torch.Tensor:
    """Weighted cross-entropy of one packed step (`body`: the model's body, perhaps compiled)."""
    hidden = (model.model if body is None else body)(
        input_ids=batch["tokens"], position_ids=batch["depth"],
        attention_mask=additive(batch["mask"]),
        use_cache=False,
    ).last_hidden_state  # fmt: skip
    with torch.autocast(hidden.device.type, enabled=False):  # probabilities need all their digits
        logits = model.lm_head(hidden.flatten(0, 1)[batch["heads"]].float())
    logp = torch.log_softmax(logits, -1)[batch["source"], batch["target"]]
    return -(batch["weight"] * logp).sum() / batch["weight"].sum()


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


def additive(mask: torch.Tensor) -> torch.Tensor:
    """What is added to attention scores: 0 where the mask is True, else very low."""
    return torch.zeros(mask.shape, device=mask.device).masked_fill_(
        ~mask, torch.finfo(torch.float32).min
    )


def learning_rate(step: int, size: Size) -> float:
    """Two per cent of warm-up, then one cosine to zero."""
    warm = max(1, size.steps // 50)
    if step < warm:
        return size.learning_rate * (step + 1) / warm
    return size.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / (size.steps - warm)))


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

    Raises ValueError for an unknown size.
    """
    if size not in SIZES:
        raise ValueError(f"no size {size!r}; there are: {', '.join(SIZES)}")
    shape = SIZES[size] if steps is None else replace(SIZES[size], steps=steps)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    if threads:
        torch.set_num_threads(threads)
    where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    tokenizer: Any
    model: Any
    if init is None:
        tokenizer = build_tokenizer(seed)
        model = new_model(shape, tokenizer, seed)
    else:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(init)
        model = LlamaForCausalLM.from_pretrained(init, dtype=torch.float32)
        shape = replace(shape, learning_rate=shape.learning_rate / 2, keep=())
    # On CPUs the fused attention is slow to differentiate under a mask: plain is 1.4 times faster.
    model.set_attn_implementation("eager")
    model = model.to(where)
    run = Run(
        tokenizer, model, compiled(model.model), optimisers(model), size, shape, out, seed, where,
        history=_history(init),
    )  # fmt: skip
    run.resume()
    run.go(progress)
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


@dataclass
class Run:
    """A training run and what it needs to go on after a break."""

    tokenizer: Any
    model: Any
    body: Any
    optimisers: list[torch.optim.Optimizer]
    name: str
    size: Size
    out: Path
    seed: int
    device: str
    history: list[dict[str, Any]]
    step: int = 0
    documents: int = 0
    chunk: int = 0
    loss: float = math.nan

    def resume(self) -> None:
        """Take up the state that `save_state` left, if any."""
        path = self.out / "training.pt"
        if path.exists():
            state = torch.load(path, weights_only=True, map_location=self.device)
            self.model.load_state_dict(state["model"])
            for optimiser, was in zip(self.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(was)
            self.step, self.documents = state["step"], state["documents"]
            self.chunk = state["chunk"] + 1  # a broken chunk's rest is passed over

    def save_state(self) -> None:
        """Write the state so that a kill in mid-write leaves the old one whole."""
        state = {
            "model": self.model.state_dict(),
            "optimisers": [o.state_dict() for o in self.optimisers],
            "step": self.step, "documents": self.documents, "chunk": self.chunk,
        }  # fmt: skip
        partial = self.out / "training.pt.part"
        torch.save(state, partial)
        partial.replace(self.out / "training.pt")

    def go(self, progress: bool) -> None:
        """Train to the last step and save."""
        kept = {int(f * self.size.steps) for f in self.size.keep}
        bar = tqdm(total=self.size.steps, initial=self.step, disable=not progress, mininterval=5)
        for chunk, count, batch in batches(self.tokenizer, self.seed, ROWS, self.chunk):
            if self.step >= self.size.steps:
                break
            if chunk != self.chunk:
                self.chunk = chunk - 1
                self.save_state()
            self.chunk = chunk
            self._one(batch)
            self.step += 1
            self.documents += count * ANSWERS
            if self.step in kept:
                self.save(Path(f"{self.out}-{self.documents // 1000}k"), torch.bfloat16)
            bar.update()
            if self.step % 50 == 0:
                bar.set_postfix(loss=f"{self.loss:.4f}", documents=self.documents)
        bar.close()
        self.save(self.out, torch.float32)
        (self.out / "training.pt").unlink(missing_ok=True)

    def _one(self, batch: dict[str, torch.Tensor]) -> None:
        rate = learning_rate(self.step, self.size)
        for optimiser, part in zip(self.optimisers, (1.0, 0.5), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * part
        batch = {k: v.to(self.device) for k, v in batch.items()}
        with torch.autocast(self.device, torch.bfloat16, enabled=has_bf16(self.device)):
            loss = loss_of(self.model, batch, self.body)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        value = float(loss.detach())
        self.loss = value if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * value

    def save(self, folder: Path, dtype: torch.dtype) -> None:
        """Weights, tokenizer and what the card needs to say of the run."""
        folder.mkdir(parents=True, exist_ok=True)
        # The card that travels in config.json tells a study which truth it may draw.
        read = self.documents + sum(run["documents"] for run in self.history)
        self.model.config.simkit = {"worlds": list(WORLDS), "documents": read}
        state = {k: v.detach().to(dtype).cpu() for k, v in self.model.state_dict().items()}
        self.model.save_pretrained(folder, state_dict=state)
        self.tokenizer.save_pretrained(folder)
        report = {
            "name": self.name, **asdict(self.size), "seed": self.seed, "step": self.step,
            "documents": self.documents, "answers": ANSWERS, "optimiser": "Muon and AdamW",
            "loss": round(self.loss, 4),
            "parameters": self.model.num_parameters(), "before": self.history,
        }  # fmt: skip
        write_text(folder / "training.json", json.dumps(report, indent=1) + "\n")


def _history(init: Path | str | None) -> list[dict[str, Any]]:
    """Records of the trainings that the initial weights went through, oldest first."""
    if init is None:
        return []
    record = json.loads((Path(init) / "training.json").read_text())
    return [*record.pop("before", []), record]


def compiled(body: Any) -> Any:
    """The body compiled where a C++ compiler is at hand (about 1.4 times faster), else as it is."""
    return torch.compile(body) if shutil.which("g++") or shutil.which("clang++") else body


def has_bf16(device: str) -> bool:
    """Whether bf16 arithmetic is native (on a CPU without it, autocast is many times slower)."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return bool(supported())
