"""Four-bit weights: small, close to the originals, and still there to be trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, GPT2Config, GPT2LMHeadModel

import simkit as sk
from simkit.scoring import LocalModel
from simkit.training import examples, finetune, load_adapter, quantise
from simkit.training.adapting import with_adapter
from simkit.training.base import fingerprint
from simkit.training.extras import hushed
from simkit.training.loss import losses
from simkit.training.packing import encode, lay_out
from simkit.training.quantise import is_quantised, trainable
from simkit.training.settings import Settings
from tests.training.conftest import QUESTIONS, survey, tiny_model

pytest.importorskip("peft")
bnb = pytest.importorskip("bitsandbytes")
PROMPTS = ["Old, no 1.\nQuestion: Agree?\nAnswer:", "Young, no 2.\nQuestion: Agree?\nAnswer:"]
OPTIONS = [" yes", " no"]


@pytest.fixture(scope="module")
def small(model: LocalModel) -> LocalModel:
    return quantise(model)


def test_linear_layers_are_in_four_bits_and_scores_are_near(
    model: LocalModel, small: LocalModel
) -> None:
    kinds = {name: type(m).__name__ for name, m in small.network.named_modules()}
    assert sum(kind == "Linear4bit" for kind in kinds.values()) == 14  # 7 in each of 2 layers
    assert kinds["lm_head"] == "Linear"
    weight = small.network.model.layers[0].mlp.up_proj.weight
    assert (weight.dtype, weight.numel()) == (torch.uint8, 32 * 64 // 2)
    exact, near = (sk.score(m, PROMPTS, OPTIONS) for m in (model, small))
    assert near == pytest.approx(exact, rel=0.15)
    assert not np.array_equal(near, exact)
    assert not is_quantised(model.network)
    assert small.name == "tiny-4bit"
    assert fingerprint(small.network) == fingerprint(model.network)
    assert small.network.lm_head.weight.data_ptr() == model.network.lm_head.weight.data_ptr()


def test_it_is_what_transformers_makes_of_a_folder(
    model: LocalModel, small: LocalModel, tmp_path: Path
) -> None:
    model.network.save_pretrained(tmp_path)
    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )  # fmt: skip
    with hushed():
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path, quantization_config=config)
    theirs = LocalModel("theirs", trainable(theirs.eval()), model.tokenizer)
    found, expected = (sk.score(m, PROMPTS, OPTIONS) for m in (small, theirs))
    assert found == pytest.approx(expected, abs=1e-5)


def settings(**change: Any) -> Settings:
    given: dict[str, Any] = {
        "method": "qlora", "rank": 4, "alpha": 8.0, "dropout": 0.0, "targets": "all-linear",
        "learning_rate": 1e-2, "schedule": "constant", "warmup": 0.0,
        "steps": 1, "batch": 8, "micro": 8, "every": 1,
        "patience": None, "numeric": None, "seed": 0,
    }  # fmt: skip
    return Settings(**{**given, **change})


def gradients(network: Any, model: LocalModel) -> list[float]:
    """Norm of the gradient of each of the adapter's B matrices (those of A start at zero)."""
    some = encode(examples(survey(4), QUESTIONS), model.tokenizer)
    network.train()
    network.zero_grad()
    losses(network, lay_out(some)).cross_entropy.backward()
    return [float(p.grad.norm()) for n, p in network.named_parameters() if "lora_B" in n]


def test_gradients_are_there_after_an_evaluation() -> None:
    """The trap: the first forward pass in evaluation repacks 4-bit weights on some CPUs."""
    model = tiny_model(width=64)
    base = quantise(model)
    before = sk.score(base, PROMPTS, OPTIONS)  # scored before there is an adapter …
    network = with_adapter(base, settings())
    fresh = gradients(network, model)
    network.eval()
    with torch.no_grad():  # … and with one
        network(input_ids=torch.tensor([[0, 5, 6]]))
    after = gradients(network, model)
    assert min(after) > 0
    assert after == pytest.approx(fresh, rel=1e-5)
    assert np.array_equal(sk.score(base, PROMPTS, OPTIONS), before)


@pytest.mark.skipif(not bnb.functional.has_avx512bf16(), reason="this CPU does not repack")
def test_weights_that_were_repacked_are_put_back() -> None:
    """What the trap does when it is not avoided, and that `trainable` mends it."""
    model = tiny_model(width=64)  # the packing needs whole blocks of 64 in every row
    base = quantise(model)
    expected = sk.score(base, PROMPTS, OPTIONS)
    network = with_adapter(base, settings())
    fresh = gradients(network, model)
    layers = [m for m in network.modules() if hasattr(m, "support_avx512bf16_for_cpu")]
    assert len(layers) == 14
    for layer in layers:
        assert not layer.support_avx512bf16_for_cpu
        layer.support_avx512bf16_for_cpu = True
    network.eval()
    with torch.no_grad():
        network(input_ids=torch.tensor([[0, 5, 6]]))
    assert min(gradients(network, model)) == 0.0
    trainable(network)
    # packing rounded the blocks' scales to bfloat16, 8 bits: nearly, not exactly, what it was
    assert gradients(network, model) == pytest.approx(fresh, rel=0.3)
    assert sk.score(base, PROMPTS, OPTIONS) == pytest.approx(expected, rel=0.02)


def test_qlora_learns_and_comes_back(model: LocalModel, data: pd.DataFrame, tmp_path: Path) -> None:
    """Validation comes first, at step 0: what is learnt after it shows that gradients flow."""
    held = data[data["respondent"].isin(["p1", "p2", "p4", "p5"])]
    fit = finetune(
        model, data.drop(held.index), tmp_path / "q", method="qlora", validation=held, steps=12,
        batch=16, learning_rate=2e-2, every=6,
    )  # fmt: skip
    losses = fit.history["validation_loss"]
    assert losses.iloc[-1] < 0.5 * losses.iloc[0]
    loaded = load_adapter(model, fit.folder)
    assert loaded.name == "tiny-4bit + q"
    assert "4 bits (NF4)" in (fit.folder / "README.md").read_text()
    found = sk.score(loaded, PROMPTS, OPTIONS)
    assert np.array_equal(
        found, sk.score(load_adapter(quantise(model), fit.folder), PROMPTS, OPTIONS)
    )


def test_what_cannot_be_done_is_said(small: LocalModel, data: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tiny-4bit is in 4 bits already"):
        quantise(small)
    shape = GPT2Config(vocab_size=300, n_embd=64, n_layer=1, n_head=2)
    with pytest.raises(ValueError, match="other has no linear layers that can be quantised"):
        quantise(LocalModel("other", GPT2LMHeadModel(shape), small.tokenizer))
    with pytest.raises(ValueError, match="tiny-4bit is in 4 bits; method must be 'qlora'"):
        finetune(small, data, tmp_path / "a", steps=1)
    fit = finetune(small, data, tmp_path / "b", steps=1, method="qlora")
    assert fit.model.name == "tiny-4bit + b"
