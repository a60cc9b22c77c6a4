"""The forward in few passes: the same numbers, only for networks it fits, and never unchecked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

import simkit as sk
from simkit.scoring.engine import kernels, lean
from simkit.scoring.engine.choice import choose
from simkit.scoring.engine.lean import Lean, fits
from simkit.scoring.engine.tree import Limits, score_tree
from simkit.scoring.local import LocalModel
from tests.scoring.conftest import make_network, make_tokenizer
from tests.scoring.test_kernels import on_amd  # noqa: F401 (a fixture)
from tests.scoring.test_tree import OPTIONS, VOCABULARY, contexts_of_all_kinds, one_by_one

SHAPE = {
    "vocab_size": VOCABULARY, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
}  # fmt: skip
STRETCHED = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0,
             "high_freq_factor": 4.0, "original_max_position_embeddings": 16}  # fmt: skip


def llama(**other: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(6)
        network = LlamaForCausalLM(LlamaConfig(**{**SHAPE, **other})).eval()
        for parameter in network.parameters():  # scales and biases that do something
            if parameter.ndim == 1:
                nn.init.normal_(parameter, 1.0, 0.3)
    return network


def qwen() -> Any:
    network = make_network("qwen2", VOCABULARY).eval()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    return network


NETWORKS: dict[str, Callable[[], Any]] = {
    "shared heads": llama,
    "every head its own": lambda: llama(num_key_value_heads=4),
    "wide heads": lambda: llama(head_dim=20),
    "biases": lambda: llama(attention_bias=True, mlp_bias=True),
    "qwen2": qwen,
    "other rotation": lambda: llama(rope_parameters=STRETCHED),
    "one layer": lambda: llama(num_hidden_layers=1),
    "one table": lambda: llama(tie_word_embeddings=True, num_hidden_layers=3),
}


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS)
def network(request: pytest.FixtureRequest) -> Any:
    return request.param()


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Positions of every batch that goes through the lean forward."""
    seen: list[int] = []
    plain = Lean.logits

    def counted(self: Lean, nodes: Any, *more: Any) -> torch.Tensor:
        seen.append(nodes.size)
        return plain(self, nodes, *more)

    monkeypatch.setattr(Lean, "logits", counted)
    return seen


@pytest.mark.parametrize(
    "limits",
    [Limits(), Limits(budget=40, width=8), Limits(budget=1, width=1)],
    ids=["whole", "left-over", "least"],
)
def test_equals_one_by_one(network: Any, limits: Limits, taken: list[int]) -> None:
    contexts = contexts_of_all_kinds()
    answers = [OPTIONS] * len(contexts)
    found = score_tree(network, contexts, answers, limits, lean=True)
    assert taken
    expected = one_by_one(network, contexts, answers)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


def test_equals_one_by_one_on_onednn(
    network: Any,
    on_amd: list[int],  # noqa: F811
    taken: list[int],
) -> None:
    contexts = contexts_of_all_kinds()
    answers = [OPTIONS] * len(contexts)
    found = score_tree(network, contexts, answers, lean=True)
    assert taken and on_amd
    # The batch is filled up beforehand, so its products need not copy their rows to do so.
    assert kernels.filled(max(taken)) == max(on_amd) >= max(taken)
    np.testing.assert_allclose(found, one_by_one(network, contexts, answers), atol=1e-5, rtol=0)


def test_without_a_table_of_the_first_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lean, "TOKENS", 3)
    network, contexts = llama(), contexts_of_all_kinds()
    answers = [OPTIONS] * len(contexts)
    found = score_tree(network, contexts, answers, lean=True)
    np.testing.assert_allclose(found, one_by_one(network, contexts, answers), atol=1e-5, rtol=0)


def test_weights_may_change_between_calls(taken: list[int]) -> None:
    network, contexts = llama(), contexts_of_all_kinds()
    answers = [OPTIONS] * len(contexts)
    before = score_tree(network, contexts, answers, lean=True)
    with torch.no_grad():
        network.model.layers[0].input_layernorm.weight.mul_(1.5)
        network.model.layers[1].self_attn.k_proj.weight.mul_(1.5)
    after = score_tree(network, contexts, answers, lean=True)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, one_by_one(network, contexts, answers), atol=1e-5, rtol=0)


def adapted(network: Any) -> Any:
    peft = pytest.importorskip("peft")
    return peft.get_peft_model(network, peft.LoraConfig(r=2, target_modules=["q_proj"]))


def injected(network: Any) -> Any:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=["v_proj"])
    return peft.inject_adapter_in_model(config, network)


def hooked(network: Any) -> Any:
    network.model.layers[1].register_forward_hook(lambda module, args, out: None)
    return network


def replaced(network: Any) -> Any:
    network.model.layers[0].mlp.forward = lambda x: x
    return network


def parametrized(network: Any) -> Any:
    part = network.model.layers[0].mlp.up_proj
    nn.utils.parametrizations.weight_norm(part)
    return network


class Other(LlamaForCausalLM):
    """May do anything."""


UNFIT: dict[str, Callable[[], Any]] = {
    "another architecture": lambda: make_network("gpt2", VOCABULARY).eval(),
    "a class of somebody's own": lambda: Other(LlamaConfig(**SHAPE)).eval(),
    "an adapter": lambda: adapted(llama()),
    "an adapter put inside": lambda: injected(llama()),
    "a hook": lambda: hooked(llama()),
    "a forward put in": lambda: replaced(llama()),
    "weights that are computed": lambda: parametrized(llama()),
    "half precision": lambda: llama().to(torch.bfloat16),
    "another activation": lambda: llama(hidden_act="gelu"),
    "a rotation that follows the length": lambda: llama(
        rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    ),
}


@pytest.mark.parametrize("make", UNFIT.values(), ids=UNFIT)
def test_others_run_by_their_own_forward(make: Callable[[], Any], taken: list[int]) -> None:
    network, contexts = make(), contexts_of_all_kinds()
    assert not fits(network)
    found = score_tree(network, contexts, [OPTIONS] * len(contexts), lean=True)
    assert not taken
    expected = score_tree(network, contexts, [OPTIONS] * len(contexts))
    np.testing.assert_array_equal(found, expected)


def test_large_networks_and_other_settings_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    network = llama()
    assert fits(network)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not fits(network)
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, out: None)
    assert not fits(network)
    handle.remove()
    monkeypatch.setattr(lean, "MOST", 1_000)
    assert not fits(network)


def test_hooks_on_the_embedding_run_here_too(taken: list[int]) -> None:
    network, contexts = llama(), contexts_of_all_kinds()
    seen: list[int] = []
    network.get_input_embeddings().register_forward_pre_hook(
        lambda module, args: seen.append(args[0].numel())
    )
    score_tree(network, contexts, [OPTIONS] * len(contexts), lean=True)
    assert taken and sum(seen) >= sum(taken)


def test_the_self_check_decides(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    network = llama()
    choice = choose(network, "auto")
    assert choice.lean and "few passes" in choice.reason
    assert not choose(network, "padded").lean
    plain = Lean.logits

    def wrong(self: Lean, *what: Any) -> torch.Tensor:
        out = plain(self, *what)
        return out + 1e-4 * torch.arange(out.shape[-1])

    def failing(self: Lean, *what: Any) -> torch.Tensor:
        raise RuntimeError("no such operator")

    for broken, said in ((wrong, "differs by"), (failing, "no such operator")):
        monkeypatch.setattr(Lean, "logits", broken)
        with caplog.at_level(logging.INFO, logger="simkit"):
            choice = choose(network, "tree")
        assert choice.path == "tree" and not choice.lean
        assert said in caplog.text
        tokenizer = make_tokenizer(bos=False)
        model = LocalModel("m", make_network("llama", len(tokenizer)).eval(), tokenizer)
        scores = sk.score(model, ["The price", "It is"], [" yes", " no"])
        other = LocalModel("m", model.network, tokenizer, asked="padded")
        expected = sk.score(other, ["The price", "It is"], [" yes", " no"])
        np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_the_glass_box_takes_it(taken: list[int]) -> None:
    model = sk.load("glassbox")
    found = sk.score(model, ["The price is $3.00.", "The price is $4.00."], [" yes", " no"])
    assert model.choice.lean and taken
    plain = sk.score(sk.load("glassbox", path="padded"),
                     ["The price is $3.00.", "The price is $4.00."], [" yes", " no"])  # fmt: skip
    np.testing.assert_allclose(found, plain, atol=1e-5)
