"""Small models with random weights, made here: no weights are fetched or stored."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

TEXT = [
    "The price is $3.50. Does the customer buy it? yes",
    "The price is $12.00. Does the customer buy it? no",
    "It is hot today and the store sells ice cream. maybe later, definitely not",
]
ARCHITECTURES = ("gpt2", "llama", "qwen2")


def make_tokenizer(
    *, bos: bool, pad_is_eos: bool = True, merges: int = 120
) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=259 + merges,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>" if bos else None,
        eos_token="</s>",
        pad_token="</s>" if pad_is_eos else "<pad>",
    )


def make_network(architecture: str, vocabulary: int, positions: int = 128) -> torch.nn.Module:
    shape = {"vocab_size": vocabulary, "max_position_embeddings": positions}
    llama = {
        "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 80,
    }  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(5)
        if architecture == "gpt2":
            return GPT2LMHeadModel(
                GPT2Config(
                    vocab_size=vocabulary, n_positions=positions, n_embd=48, n_layer=2, n_head=4
                )
            )
        if architecture == "llama":
            return LlamaForCausalLM(LlamaConfig(**shape, **llama))
        return Qwen2ForCausalLM(Qwen2Config(**shape, **llama))


@pytest.fixture(scope="session", params=ARCHITECTURES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model folder of each architecture; Llama's tokenizer adds a BOS, the others none."""
    path = tmp_path_factory.mktemp(request.param)
    tokenizer = make_tokenizer(bos=request.param == "llama")
    make_network(request.param, len(tokenizer)).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path
