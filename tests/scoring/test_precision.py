"""The tree path on weights of fewer bits: the same network scored one by one is the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from simkit.scoring.engine.choice import choose
from simkit.scoring.engine.tree import Limits, score_tree
from tests.scoring.conftest import make_network
from tests.scoring.test_tree import OPTIONS, VOCABULARY, contexts_of_all_kinds, one_by_one

CUT = Limits(budget=40, width=8)  # several waves


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    # Log-probabilities near -6 whose logits are rounded to 8 and 11 bits, and up to four of them
    # are summed: the paths round at different places.
    [(torch.bfloat16, 0.03), (torch.float16, 0.004)],
    ids=["bfloat16", "float16"],
)
def test_half_precision(architecture: str, dtype: torch.dtype, tolerance: float) -> None:
    network = make_network(architecture, VOCABULARY).eval().to(dtype)
    contexts = contexts_of_all_kinds()
    answers = [OPTIONS] * len(contexts)
    found = score_tree(network, contexts, answers, CUT)
    expected = one_by_one(network, contexts, answers)
    np.testing.assert_allclose(found, expected, atol=tolerance, rtol=0)
    # Other contexts move a score far more than the rounding does.
    assert expected.std(0).min() > 3 * np.abs(found - expected).std()
    assert choose(network, "auto").path == "tree"


def wide(architecture: str) -> Any:
    """A network whose layers are multiples of 64, as the packed format needs."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        if architecture == "gpt2":
            return GPT2LMHeadModel(
                GPT2Config(vocab_size=VOCABULARY, n_positions=128, n_embd=64, n_layer=2, n_head=4)
            )
        config = LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, intermediate_size=128, max_position_embeddings=128,
        )  # fmt: skip
        return LlamaForCausalLM(config)


def four_bit(architecture: str, folder: Path) -> tuple[Any, list[Any]]:
    """A network with its linear layers in NF4 and arithmetic in float32, and these layers."""
    bnb = pytest.importorskip("bitsandbytes")
    from transformers import BitsAndBytesConfig

    wide(architecture).save_pretrained(folder)
    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32
    )
    network = AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=config, dtype=torch.float32, device_map="cpu"
    ).eval()
    layers = [m for m in network.modules() if isinstance(m, bnb.nn.Linear4bit)]
    assert len(layers) >= 8
    return network, layers


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_four_bits(architecture: str, tmp_path: Path) -> None:
    network, layers = four_bit(architecture, tmp_path)
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False  # else see the next test
    contexts = contexts_of_all_kinds()
    answers = [OPTIONS] * len(contexts)
    expected = one_by_one(network, contexts, answers)
    found = score_tree(network, contexts, answers, CUT)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    # It is the quantised network: its scores are not those of the weights it was made from.
    whole = score_tree(wide(architecture).eval(), contexts, answers)
    assert np.abs(found - whole).max() > 1e-3
    assert choose(network, "auto").path == "tree"


def test_four_bits_as_they_are_loaded(tmp_path: Path) -> None:
    # On a CPU with AVX512-BF16 the first forward pass may repack the weights and compute in
    # bf16 from then on, whatever dtype was asked for.
    network, _ = four_bit("llama", tmp_path)
    contexts = contexts_of_all_kinds()
    answers = [OPTIONS] * len(contexts)
    expected = one_by_one(network, contexts, answers)
    found = score_tree(network, contexts, answers, CUT)
    np.testing.assert_allclose(found, expected, atol=0.03, rtol=0)
    assert choose(network, "auto").path == "tree"
