"""A tiny random model, and a made-up survey whose answers depend on what the prompt says."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from simkit.questions import Question
from simkit.scoring import LocalModel
from simkit.training import examples

AGREE = Question("Agree?", ["no", "yes"])
DAYS = Question("Days?", ["0", "2", "10", "25"], values=[0, 2, 10, 25])
QUESTIONS = {"agree": AGREE, "days": DAYS}


def tiny_tokenizer(merge: tuple[str, str] | None = None) -> PreTrainedTokenizerFast:
    """One token per character (" " is one too), so words and numbers have several.

    merge : two characters that are one token where they stand side by side.
    """
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<s>", "</s>", *letters, *(["".join(merge)] if merge else [])]
    merges = [merge] if merge else []
    tokenizer = Tokenizer(models.BPE({name: i for i, name in enumerate(names)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )


def tiny_model(
    seed: int = 5, name: str = "tiny", dtype: torch.dtype = torch.float32, width: int = 32
) -> LocalModel:
    tokenizer = tiny_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=width, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, intermediate_size=2 * width, max_position_embeddings=96,
        initializer_range=0.3, tie_word_embeddings=True, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LocalModel(name, LlamaForCausalLM(config).eval().to(dtype), tokenizer)


@pytest.fixture(scope="session")
def model() -> LocalModel:
    return tiny_model()


def survey(people: int = 24) -> pd.DataFrame:
    """Half are old and say yes and 10, the others no and 2; person 3 did not answer `days`."""
    old = [i % 2 == 1 for i in range(people)]
    frame = pd.DataFrame({
        "context": [f"{'Old' if o else 'Young'}, no {i % 5}." for i, o in enumerate(old)],
        "agree": ["yes" if o else "no" for o in old],
        "days": [10.0 if o else 2.0 for o in old],
        "weight": [1.0 + i % 3 for i in range(people)],
    }, index=[f"p{i}" for i in range(people)])  # fmt: skip
    frame.loc[frame.index == "p3", "days"] = None
    return frame


@pytest.fixture(scope="session")
def data() -> pd.DataFrame:
    return examples(survey(), QUESTIONS)
