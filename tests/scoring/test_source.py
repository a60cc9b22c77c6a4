"""What people give to `load`: whole models are read, anything else is refused with the reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
)

import simkit as sk
from simkit.training import load_adapter
from simkit.training.base import shared_copy
from tests.scoring.conftest import make_network, make_tokenizer

PROMPTS, OPTIONS = ["It is hot.", "The price is $3.50."], [" yes", " no"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def saved(folder: Path, network: Any = None) -> Path:
    tokenizer = make_tokenizer(bos=True)
    network = network or make_network("llama", len(tokenizer))
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def weights(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})
    return folder


def by_hand(network: Any, prompt: str, option: str) -> float:
    tokenizer = make_tokenizer(bos=True)
    start, ids = tokenizer(prompt)["input_ids"], tokenizer(prompt + option)["input_ids"]
    with torch.inference_mode():
        logp = network.eval()(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return sum(logp[i - 1, ids[i]].item() for i in range(len(start), len(ids)))


SHAPE = {
    "vocab_size": 379, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 80, "max_position_embeddings": 128,
}  # fmt: skip
TIED = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=379, n_embd=48, n_layer=2, n_head=4)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, tie_word_embeddings=True)),
    "untied": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, tie_word_embeddings=False)),
}


@pytest.mark.parametrize("kind", TIED)
def test_whole_models_load_tied_or_not(kind: str, tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = TIED[kind]()
    folder = saved(tmp_path / kind, network)
    tied = not any("lm_head" in name for name in load_file(folder / "model.safetensors"))
    assert tied == (kind != "untied")
    want = [[by_hand(network, p, o) for o in OPTIONS] for p in PROMPTS]
    np.testing.assert_allclose(sk.score(sk.load(folder), PROMPTS, OPTIONS), want, atol=1e-5)


@pytest.mark.parametrize(
    "buffer",
    ["model.layers.0.self_attn.rotary_emb.inv_freq", "h.0.attn.masked_bias", "h.0.attn.bias"],
)
def test_buffers_of_older_files_are_no_weights(buffer: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / "old")
    want = sk.score(sk.load(folder), PROMPTS, OPTIONS)
    weights(folder, lambda found: {**found, buffer: torch.ones(3)})
    np.testing.assert_array_equal(sk.score(sk.load(folder), PROMPTS, OPTIONS), want)


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda found: {k: v for k, v in found.items() if name not in k}


NORM = "model.norm.weight"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("model.norm"), r"1 weights are missing \(model\.norm\.weight\)"),
        (without("layers.1"), r"9 weights are missing \(model\.layers\.1\..*, …\)"),
        (lambda w: {f"x.{k}": v for k, v in w.items()}, r"are missing .*are not the model's \(x\."),
        (lambda w: {**w, "score.weight": torch.ones(2, 48)}, r"not the model's \(score\.weight\)"),
        (lambda w: {**w, NORM: torch.ones(47)}, r"shape \(model\.norm.* \(47,\), not \(48,\)"),
    ],
    ids=["one", "a layer", "renamed", "one more", "shape"],
)  # fmt: skip
def test_weights_that_do_not_fit_are_named(
    change: Callable[[dict[str, Any]], dict[str, Any]], said: str, tmp_path: Path
) -> None:
    folder = weights(saved(tmp_path / "broken"), change)
    with pytest.raises(ValueError, match=said):
        sk.load(folder)


def test_a_classifier_has_no_head_for_words(tmp_path: Path) -> None:
    folder = saved(
        tmp_path / "classes", LlamaForSequenceClassification(LlamaConfig(**SHAPE, pad_token_id=0))
    )
    with pytest.raises(ValueError, match=r"missing \(lm_head\.weight\).*\(score\.weight\)"):
        sk.load(folder)


def test_an_encoder_decoder_is_no_causal_model(tmp_path: Path) -> None:
    config = T5Config(vocab_size=379, d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    folder = saved(tmp_path / "t5", T5ForConditionalGeneration(config))
    with pytest.raises(ValueError, match="no causal language model"):
        sk.load(folder)


def test_home_folders(home: Path) -> None:
    saved(home / "mine")
    assert sk.load("~/mine").name == "mine"
    assert sk.load(Path("~/mine")).name == "mine"
    with pytest.raises(ValueError, match="no model folder '~/yours'"):
        sk.load("~/yours")
    with pytest.raises(ValueError, match="no model folder '~nobody-of-this-name/m'"):
        sk.load("~nobody-of-this-name/m")


def test_an_adapter_is_loaded_with_its_base(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    base = sk.load(saved(tmp_path / "base"))
    config = peft.LoraConfig(
        task_type="CAUSAL_LM", target_modules=["q_proj"], init_lora_weights=False
    )
    folder = tmp_path / "adapter"
    adapted = peft.get_peft_model(base.network, config)
    adapted.save_pretrained(folder)
    found = sk.load(folder)
    assert found.name == "base + adapter"
    expected = sk.score(replace(base, network=adapted), ["The price"], [" yes", " no"])
    np.testing.assert_allclose(sk.score(found, ["The price"], [" yes", " no"]), expected, atol=1e-6)
    plain = sk.score(sk.load(tmp_path / "base"), ["The price"], [" yes", " no"])
    assert np.abs(plain - expected).max() > 1e-3
    # Beside a whole model: transformers would load the adapter's base in its place.
    both = saved(tmp_path / "both")
    shutil.copy(folder / "adapter_config.json", both)
    with pytest.raises(ValueError, match="load_adapter"):
        sk.load(both)


def test_an_adapter_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    base = sk.load(saved(tmp_path / "base"), dtype="float32")
    config = peft.LoraConfig(
        task_type="CAUSAL_LM", target_modules=["q_proj"], init_lora_weights=False
    )
    folder = tmp_path / "adapter"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        peft.get_peft_model(shared_copy(base.network), config).save_pretrained(folder)
    assert load_adapter(base, folder, check=False).name == "base + adapter"
    file = folder / "adapter_model.safetensors"
    whole = load_file(file)
    first = min(whole)
    for broken, said in (
        ({k: v for k, v in whole.items() if k != first}, "adapter lacks 1 weights"),
        (
            {**whole, first.replace("q_proj", "v_proj"): whole[first].clone()},
            "does not use 1 weights",
        ),
        ({**whole, first: whole[first] * torch.nan}, "is not finite in 1 weights"),
        ({**whole, first: whole[first][:, :5].contiguous()}, "adapter does not fit base"),
    ):
        save_file(broken, file, metadata={"format": "pt"})
        with pytest.raises(ValueError, match=said):
            load_adapter(base, folder, check=False)
    file.unlink()
    with pytest.raises(ValueError):
        load_adapter(base, folder, check=False)


@pytest.mark.parametrize(
    ("files", "given", "said"),
    [
        ({}, ".", r"an empty folder, without config\.json"),
        ({"notes.txt": "x"}, ".", r"a folder without config\.json"),
        ({"m.gguf": "GGUF"}, "m.gguf", "cannot be read as a GGUF model"),
        ({"m.gguf": "GGUF", "config.json": "{}"}, ".", r"GGUF format; give the file.*m\.gguf"),
        ({"model.safetensors": "x"}, "model.safetensors", "is a file; give the folder"),
        ({"config.json": "{}", "tokenizer.json": "{}"}, ".", "holds no weights"),
        ({"config.json": "{}", "pytorch_model.bin": "x"}, ".", "no safetensors weights"),
        ({"config.json": "{", "model.safetensors": "x"}, ".", r"config\.json cannot be read"),
        ({"config.json": "[]", "model.safetensors": "x"}, ".", r"config\.json cannot be read"),
        ({"config.json": "{}", "model.safetensors": "x"}, ".", "cannot be loaded"),
    ],
)
def test_folders_that_hold_no_whole_model(
    files: dict[str, str], given: str, said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "some"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(ValueError, match=said):
        sk.load(folder / given)


def test_files_that_were_cut_or_lost(tmp_path: Path) -> None:
    folder = saved(tmp_path / "cut")
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="cut cannot be loaded"):
        sk.load(folder)
    parts = tmp_path / "parts"
    network = make_network("llama", 379)
    network.save_pretrained(parts, max_shard_size="60KB")
    make_tokenizer(bos=True).save_pretrained(parts)
    want = sk.score(sk.load(parts), PROMPTS, OPTIONS)
    expected = [[by_hand(network, p, o) for o in OPTIONS] for p in PROMPTS]
    np.testing.assert_allclose(want, expected, atol=1e-5)
    lost = sorted(parts.glob("*.safetensors"))[1]
    lost.unlink()
    with pytest.raises(ValueError, match=f"lacks weights that its index names: {lost.name}"):
        sk.load(parts)


def test_a_model_without_its_tokenizer(tmp_path: Path) -> None:
    make_network("llama", 379).save_pretrained(tmp_path / "mute")
    with pytest.raises(ValueError, match="mute cannot be loaded"):
        sk.load(tmp_path / "mute")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"source": ""}, "'' is no model"),
        ({"source": None}, "None is no model"),
        ({"source": "a/b/c"}, "no model folder 'a/b/c'"),
        ({"dtype": "float33"}, "dtype is 'float33'"),
        ({"dtype": "int8"}, "dtype is 'int8'"),
        ({"device": "gpu"}, "device is 'gpu', which cannot be used"),
    ],
)
def test_arguments_that_are_none(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sk.load(**given)


def test_a_name_that_neither_simkit_nor_the_hub_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        OSError, match=r"glasbox is neither a bundled model \(glassbox, .*nor a fol"
    ):
        sk.load("glasbox")


def test_configs_with_unknown_kinds(tmp_path: Path) -> None:
    folder = saved(tmp_path / "new")
    config = json.loads((folder / "config.json").read_text()) | {"model_type": "of-tomorrow"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"new cannot be loaded: .*of-tomorrow"):
        sk.load(folder)
