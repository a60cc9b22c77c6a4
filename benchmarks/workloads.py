"""What is scored: prompts, options, and the models that score them. No downloads, no files."""

from __future__ import annotations

import string
from dataclasses import dataclass
from itertools import islice, product, takewhile
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from simkit.scoring import load
from simkit.worlds import market

__all__ = ["MODELS", "Workload", "build", "unique_nodes", "workloads"]

VOCABULARY = 32_000
SPECIAL = ("<unk>", "</s>", "<pad>")
SHARED, OWN, PROMPTS = 150, 20, 1_000  # the canonical workload, in tokens and prompts
APART = 100  # prompts of the workload in which nothing is shared
MODELS = ("llama", "gpt2", "glassbox")


@dataclass(frozen=True)
class Workload:
    """Prompts and, for each, its options, to be appended as they stand.

    sampled : the slow methods score only some of the prompts, and their time is scaled up; False
    to give every method the same prompts.
    """

    name: str
    says: str
    prompts: list[str]
    options: list[tuple[str, ...]]
    sampled: bool = True

    def head(self, count: int | None) -> Workload:
        """The first `count` prompts."""
        prompts, options = self.prompts[:count], self.options[:count]
        return Workload(self.name, self.says, prompts, options, self.sampled)


def words() -> list[str]:
    """Made-up words, one token each when they follow a blank."""
    letters = product(string.ascii_lowercase, repeat=4)
    return ["".join(some) for some in islice(letters, VOCABULARY - len(SPECIAL))]


def word_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer for which every blank with the word after it is one token: lengths are exact."""
    vocabulary = {name: i for i, name in enumerate((*SPECIAL, *("Ġ" + word for word in words())))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>", pad_token="<pad>"
    )


def build(model: str, dtype: torch.dtype = torch.float32) -> tuple[Any, Any]:
    """Network and tokenizer; random weights are the same in every process."""
    if model == "glassbox":
        glassbox = load("glassbox")
        return glassbox.network.to(dtype), glassbox.tokenizer
    torch.manual_seed(0)
    return _network(model).to(dtype).eval(), word_tokenizer()


def _network(model: str) -> Any:
    """About 58 million random weights."""
    if model == "llama":
        config = LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=512, num_hidden_layers=8, num_attention_heads=8,
            num_key_value_heads=8, intermediate_size=1_376, max_position_embeddings=512,
            pad_token_id=SPECIAL.index("<pad>"), eos_token_id=SPECIAL.index("</s>"),
            bos_token_id=None,
        )  # fmt: skip
        return LlamaForCausalLM(config)
    if model == "gpt2":
        end = SPECIAL.index("</s>")
        shape = GPT2Config(
            vocab_size=VOCABULARY, n_positions=512, n_embd=512, n_layer=13, n_head=8,
            bos_token_id=end, eos_token_id=end,
        )  # fmt: skip
        return GPT2LMHeadModel(shape)
    raise ValueError(f"no model {model!r}; there are: {', '.join(MODELS)}")


def workloads(model: str) -> list[Workload]:
    """The workloads that a model scores."""
    if model == "glassbox":
        return [grid("buys"), grid("buyers")]
    canonical_ones = [canonical(1), canonical(3)]
    return [*canonical_ones, apart()] if model == "llama" else canonical_ones


def _text(ids: npt.NDArray[np.int64], known: list[str]) -> str:
    return "".join(" " + known[i] for i in ids)


def canonical(tokens: int) -> Workload:
    """Prompts that share 150 tokens and have 20 of their own, five options of `tokens` tokens."""
    rng, known = np.random.default_rng(0), words()
    trunk = _text(rng.integers(0, len(known), SHARED), known)
    own = rng.integers(0, len(known), (PROMPTS, OWN))
    picked = rng.choice(len(known), (5, tokens), replace=False)
    options = tuple(_text(ids, known) for ids in picked)
    plural = "token" if tokens == 1 else "tokens"
    return Workload(
        f"canonical, {tokens}-token options",
        f"{PROMPTS:,} prompts that share {SHARED} tokens and have {OWN} of their own, "
        f"5 options of {tokens} {plural}",
        [trunk + _text(ids, known) for ids in own],
        [options] * PROMPTS,
    )


def apart() -> Workload:
    """Prompts of random tokens with one option each: no method can share anything."""
    rng, known = np.random.default_rng(1), words()
    ids = rng.integers(0, len(known), (APART, SHARED + OWN))
    ids[:, 0] = rng.choice(len(known), APART, replace=False)
    answers = rng.integers(0, len(known), (APART, 3))
    return Workload(
        "nothing shared",
        f"{APART} prompts of {SHARED + OWN} random tokens, 1 option of 3 tokens each",
        [_text(row, known) for row in ids],
        [(_text(row, known),) for row in answers],
        sampled=False,
    )


def grid(ask: str) -> Workload:
    """Every product × price × stated profile × wording of the market world.

    The profiles are all combinations of season, weather, rival's price, regular price and the
    customer's income. The rows are shuffled: their order is none of the scorer's business.
    """
    question = market.question(ask)
    rows = market.design(wordings=4).drop(columns="context")
    profiles = market.covariate_profiles().drop(columns="weight")
    frame = market.with_context(rows.merge(profiles, how="cross"))
    prompts = question.prompts(frame)
    order = np.random.default_rng(2).permutation(len(prompts))
    options = tuple(question.separator + option for option in question.options)
    return Workload(
        f"market grid, {ask!r}",
        f"{len(prompts):,} prompts: product × price × profile × wording of the market world, "
        f"{len(options)} options of 1 token",
        [prompts[i] for i in order],
        [options] * len(prompts),
    )


def unique_nodes(tokenizer: Any, workload: Workload) -> int:
    """Distinct prefixes of all that must be read: prompts, and options but for their last token.

    Counted from the tokenizer's own ids and without the library: the floor for any method.
    """
    lists: dict[tuple[str, ...], list[list[int]]] = {}
    sequences: set[tuple[int, ...]] = set()
    prompts = tokenizer(workload.prompts)["input_ids"]
    for ids, options in zip(prompts, workload.options, strict=True):
        if options not in lists:
            lists[options] = tokenizer(list(options), add_special_tokens=False)["input_ids"]
        sequences.update((*ids, *option[:-1]) for option in lists[options])
    nodes = 0
    before: tuple[int, ...] = ()
    for sequence in sorted(sequences):
        # In sorted order what is new is what comes after the part shared with the one before.
        shared = takewhile(lambda pair: pair[0] == pair[1], zip(sequence, before, strict=False))
        nodes += len(sequence) - sum(1 for _ in shared)
        before = sequence
    return nodes
