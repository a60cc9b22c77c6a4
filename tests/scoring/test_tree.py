"""The prefix tree against scoring one by one, what it computes, and when it steps aside."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

import simkit as sk
from simkit.scoring import local
from simkit.scoring.engine import tree
from simkit.scoring.engine.choice import choose
from simkit.scoring.engine.padded import score_padded
from simkit.scoring.engine.tokens import Ids, pack, unpack
from simkit.scoring.engine.tree import Limits, Work, score_tree
from tests.scoring.conftest import ARCHITECTURES, make_network, make_tokenizer

VOCABULARY = 300
OPTIONS = tuple(map(pack, ([1], [2], [1, 2], [1, 2, 3], [1, 2, 4], [7, 8, 9, 9])))


@pytest.fixture(scope="module", params=ARCHITECTURES)
def network(request: pytest.FixtureRequest) -> Any:
    return make_network(request.param, VOCABULARY).eval()


def one_by_one(network: Any, contexts: list[Ids], answers: list[tuple[Ids, ...]]) -> np.ndarray:
    """A forward pass per context and option, softmax in float64."""
    out = np.empty((len(contexts), len(answers[0])))
    for i, (context, options) in enumerate(zip(contexts, answers, strict=True)):
        for k, option in enumerate(options):
            ids = torch.tensor(unpack(context + option))
            with torch.inference_mode():
                logp = network(ids[None]).logits[0].double().log_softmax(-1)
            start = len(context) // 4
            out[i, k] = sum(logp[t - 1, ids[t]].item() for t in range(start, len(ids)))
    return out


def contexts_of_all_kinds() -> list[Ids]:
    """Ragged branches of one trunk, some that extend others, one apart, two the same."""
    rng = np.random.default_rng(0)
    trunk = rng.integers(0, VOCABULARY, 17).tolist()
    rows = [trunk + rng.integers(0, 3, size).tolist() for size in rng.integers(1, 12, 14)]
    rows += [[5, 6], [*trunk, 0, 1], [*trunk, 0, 1, 2, 2], [*trunk, 0, 1]]
    return [pack(row) for row in rows]


@pytest.mark.parametrize(
    "limits",
    [
        Limits(),
        Limits(budget=40, width=8),  # subtrees left over, several waves
        Limits(budget=1, width=1),
        Limits(budget=64, width=16, cells=500),  # halved before the tree is built
        Limits(budget=64, width=16, kept=2_000),  # halved for what would be kept
        Limits(logits=10 * VOCABULARY),
    ],
    ids=["whole", "left-over", "least", "halved", "forgetful", "few heads"],
)
def test_equals_one_by_one(network: Any, limits: Limits) -> None:
    contexts = contexts_of_all_kinds()
    answers = [OPTIONS] * len(contexts)
    expected = one_by_one(network, contexts, answers)
    np.testing.assert_allclose(
        score_tree(network, contexts, answers, limits), expected, atol=1e-5, rtol=0
    )


def test_rows_one_at_a_time(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with releases of transformers that keep the same positions of every row."""
    monkeypatch.setattr(tree, "_KEEPS_BY_ROW", False)
    contexts = contexts_of_all_kinds()
    answers = [OPTIONS] * len(contexts)
    found = score_tree(network, contexts, answers, Limits(width=16))
    expected = score_padded(network, contexts, answers)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


def test_the_order_of_prompts_changes_nothing(network: Any) -> None:
    contexts = contexts_of_all_kinds()
    answers = [OPTIONS] * len(contexts)
    limits = Limits(budget=40, width=8)
    order = np.random.default_rng(1).permutation(len(contexts))
    found = score_tree(network, [contexts[i] for i in order], answers, limits)
    whole = score_tree(network, contexts, answers, limits)
    np.testing.assert_allclose(found, whole[order], atol=1e-5, rtol=0)


def test_the_same_tokens_split_at_different_places(network: Any) -> None:
    # 1 2 3 4 as 1|2 3 4, 1 2|3 4 and 1 2 3|4: the parts add up along one path.
    contexts = [pack([1]), pack([1, 2]), pack([1, 2, 3])]
    answers = [
        (pack([2, 3, 4]), pack([2])),
        (pack([3, 4]), pack([3])),
        (pack([4]), pack([9])),
    ]
    work = Work()
    found = score_tree(network, contexts, answers, work=work)
    np.testing.assert_allclose(found, one_by_one(network, contexts, answers), atol=1e-5, rtol=0)
    assert found[0, 0] == pytest.approx(found[0, 1] + found[1, 1] + found[2, 0], abs=1e-6)
    assert work.nodes == 3 and work.heads == 3  # 1, 2 and 3 are read once


def test_half_precision_keeps_float32_sums() -> None:
    contexts = contexts_of_all_kinds()
    answers = [OPTIONS] * len(contexts)
    low = make_network("gpt2", VOCABULARY).eval().to(torch.bfloat16)
    found = score_tree(low, contexts, answers, Limits(budget=64, width=16))
    expected = score_padded(low, contexts, answers)
    np.testing.assert_allclose(found, expected, atol=0.05, rtol=0)
    assert len(np.unique(found)) > 0.9 * len(set(contexts)) * len(OPTIONS)


class Counter:
    """Counts the positions that go into a network's body."""

    def __init__(self, network: Any) -> None:
        self.positions = 0
        network.base_model.register_forward_pre_hook(self._add, with_kwargs=True)

    def _add(self, module: Any, args: Any, inputs: dict[str, Any]) -> None:
        self.positions += inputs["input_ids"].numel()


@pytest.mark.parametrize("tokens", [1, 3])
def test_positions_are_within_a_tenth_of_the_tree(tokens: int) -> None:
    """The canonical workload at a tenth: prompts share 150 tokens and have 20 of their own."""
    config = LlamaConfig(
        vocab_size=500, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=256,
    )  # fmt: skip
    network = LlamaForCausalLM(config).eval()
    rng = np.random.default_rng(0)
    trunk = rng.integers(0, 500, 150).tolist()
    contexts = [pack(trunk + rng.integers(0, 500, 20).tolist()) for _ in range(100)]
    options = tuple(pack(range(50 * k, 50 * k + tokens)) for k in range(5))
    counter, work = Counter(network), Work()
    score_tree(network, contexts, [options] * 100, work=work)
    # 150 shared + 100 × (20 + 5 options × all their tokens but the last); few own tokens coincide
    assert work.nodes == pytest.approx(150 + 100 * (20 + 5 * (tokens - 1)), rel=0.02)
    assert work.heads == 100 * (1 + 5 * (tokens - 1))
    assert counter.positions == work.positions <= 1.10 * work.nodes


def test_nothing_shared_costs_no_more_than_padding() -> None:
    network = make_network("llama", VOCABULARY).eval()
    rng = np.random.default_rng(0)
    contexts = [
        pack([i, *rng.integers(0, VOCABULARY, size).tolist()])
        for i, size in enumerate(rng.integers(20, 60, 50))
    ]
    answers = [(pack([1]), pack([2]))] * 50
    padded, work = Counter(network), Work()
    score_padded(network, contexts, answers)
    score_tree(network, contexts, answers, work=work)
    assert work.positions <= 1.1 * padded.positions
    assert work.nodes == sum(len(c) // 4 for c in contexts)


def test_blocks_and_repeats_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = sk.load(folder)
    prompts = [f"The price is ${p}.50. Does {who} buy it?" for p in (3, 12) for who in ("Al", "Bo")]
    lists = [[" yes", " no, never"], [" maybe", " no"]] * 2
    whole = sk.score(model, prompts, lists)
    monkeypatch.setattr(local, "BLOCK", 2)
    order = [3, 1, 1, 0, 2, 3]
    parts = sk.score(model, [prompts[i] for i in order], [lists[i] for i in order])
    np.testing.assert_allclose(parts, whole[order], atol=1e-5, rtol=0)
    # Errors name the caller's row, whatever the order of the work.
    with pytest.raises(sk.BoundaryError, match="row 3"):
        sk.score(model, [*prompts[:2], prompts[0], "A pri"], [[" yes", " no"]] * 3 + [["ce", "x"]])


def test_an_adapter_is_scored_with() -> None:
    peft = pytest.importorskip("peft")
    network = make_network("llama", VOCABULARY).eval()
    contexts = contexts_of_all_kinds()
    answers = [OPTIONS] * len(contexts)
    bare = score_tree(network, contexts, answers)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = peft.LoraConfig(
            target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False,
            task_type="CAUSAL_LM",
        )  # fmt: skip
        adapted = peft.get_peft_model(network, config).eval()
    assert choose(adapted, "auto").path == "tree"
    found = score_tree(adapted, contexts, answers, Limits(budget=40, width=8))
    expected = one_by_one(adapted, contexts, answers)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    assert np.abs(found - bare).max() > 0.01


class IgnoresTheMask(LlamaForCausalLM):
    """Reads what stands before in the row, whatever a 4-D mask says."""

    def forward(  # type: ignore[override]
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        position_ids: Any = None,
        past_key_values: Any = None,
        logits_to_keep: Any = 0,
        **more: Any,
    ) -> Any:
        if attention_mask is not None and attention_mask.ndim == 4:
            before = attention_mask.shape[-1] - attention_mask.shape[-2]
            causal = torch.ones_like(attention_mask, dtype=torch.bool).tril(before)
            attention_mask = torch.where(causal, 0.0, torch.finfo(torch.float32).min)
        return super().forward(
            input_ids, attention_mask, position_ids, past_key_values,
            logits_to_keep=logits_to_keep, **more,
        )  # fmt: skip


def small(kind: type, config: type, **more: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(
            config(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, **more)
        ).eval()


def broken(name: str) -> Any:
    llama = {"num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 64}
    if name == "ignores the mask":
        return small(IgnoresTheMask, LlamaConfig, **llama)
    if name == "sliding window":
        return small(
            MistralForCausalLM, MistralConfig, sliding_window=16, num_key_value_heads=2, **llama
        )
    return small(MambaForCausalLM, MambaConfig, state_size=4)


@pytest.mark.parametrize("name", ["ignores the mask", "sliding window", "state space"])
def test_falls_back_and_says_so(name: str, caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = make_tokenizer(bos=False, merges=41)  # 300 ids
    network = broken(name)
    model = local.LocalModel(name, network, tokenizer)
    with caplog.at_level(logging.WARNING, logger="simkit"):
        found = sk.score(model, ["It is hot.", "The price is $3.50."], [" yes", " no"])
    assert model.path == "padded"
    assert f"{name} is scored on the padded path" in caplog.text
    contexts, answers = model.reader.read(["It is hot."], [(" yes", " no")], [0])
    np.testing.assert_allclose(found[:1], one_by_one(network, contexts, answers), atol=1e-5)
    with pytest.raises(RuntimeError, match="cannot be scored on the tree path"):
        local.LocalModel(name, network, tokenizer, asked="tree").path  # noqa: B018


def test_the_choice_is_kept_and_tells_the_difference(folder: Path) -> None:
    model = sk.load(folder)
    assert model.path == "tree"
    assert model.choice is model.choice
    assert 0 <= model.choice.difference < 1e-5
    assert sk.load(folder, path="padded").path == "padded"


def test_unknown_path_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"no path 'branch'.*auto, tree, padded"):
        sk.load(folder, path="branch")


def test_limits_follow_free_memory_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network("llama", VOCABULARY)
    seen = []
    for free in (0, 10**8, 10**8 + 10**5, 10**11):
        monkeypatch.setattr(tree, "_free_bytes", lambda device, free=free: free)
        seen.append(Limits.of(network))
    assert seen[0].budget == 1_024 and seen[0].logits == 1
    assert seen[1] == seen[2]  # a little more changes nothing
    assert seen[3].budget == 16_384 and seen[3].kept > seen[1].kept > seen[0].kept


def test_on_a_cpu_small_networks_take_more_nodes_at_once() -> None:
    small, wide = make_network("llama", VOCABULARY), make_network("llama", VOCABULARY)
    wide.config.hidden_size = 2_048
    assert [Limits.of(n).budget for n in (small, wide)] == [4_096, 1_024]


def test_a_network_in_training_is_scored_without_dropout() -> None:
    tokenizer = make_tokenizer(bos=False)
    network = make_network("gpt2", len(tokenizer))
    model = local.LocalModel("m", network.train(), tokenizer)
    first, again = (sk.score(model, ["It is hot."], [" yes", " no"]) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert model.path == "tree" and network.training


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


SHAPES: dict[str, Callable[[], Any]] = {
    "shared heads": llama,
    "every head its own": lambda: llama(num_key_value_heads=4),
    "wide heads": lambda: llama(head_dim=20),
    "biases": lambda: llama(attention_bias=True, mlp_bias=True),
    "qwen2": qwen,
    "other rotation": lambda: llama(rope_parameters=STRETCHED),
    "one layer": lambda: llama(num_hidden_layers=1),
    "one table": lambda: llama(tie_word_embeddings=True, num_hidden_layers=3),
}


@pytest.mark.parametrize("make", SHAPES.values(), ids=SHAPES)
def test_every_shape_of_llama_equals_one_by_one(make: Callable[[], Any]) -> None:
    network, contexts = make(), contexts_of_all_kinds()
    answers = [OPTIONS] * len(contexts)
    expected = one_by_one(network, contexts, answers)
    for limits in (Limits(), Limits(budget=40, width=8), Limits(budget=1, width=1)):
        found = score_tree(network, contexts, answers, limits)
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
