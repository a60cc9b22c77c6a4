"""Scores do not depend on who else is in the call: against one plain forward pass per text."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import (
    BertConfig,
    BertLMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    RobertaConfig,
    RobertaForCausalLM,
)
from transformers.modeling_outputs import CausalLMOutput

import simkit as sk
from simkit.scoring.engine.choice import choose
from simkit.scoring.engine.padded import score_padded
from simkit.scoring.engine.tokens import pack
from simkit.scoring.engine.tree import _logprob
from simkit.scoring.local import LocalModel
from simkit.scoring.runs.sampling import sample_runs
from tests.scoring.conftest import make_network, make_tokenizer

SHORT = ["It is hot.", "The price is $3.50."]
LONG = "The store sells ice cream today and the price is $12.00. " * 3 + "Does the customer buy it?"
PROMPTS = [SHORT[0], LONG, SHORT[1]]
OPTIONS = [" yes", " definitely not"]


def plain(network: Any, tokenizer: Any, prompt: str, option: str) -> float:
    """One text, nothing but its ids, softmax in float64."""
    start = len(tokenizer(prompt)["input_ids"])
    ids = torch.tensor([tokenizer(prompt + option)["input_ids"]])
    with torch.inference_mode():
        logits = network(input_ids=ids).logits[0, -ids.shape[1] :].double()
    logp = logits.log_softmax(-1)
    return sum(logp[i - 1, ids[0, i]].item() for i in range(start, ids.shape[1]))


def expected(model: LocalModel, prompts: list[str]) -> np.ndarray:
    return np.array(
        [[plain(model.network, model.tokenizer, p, o) for o in OPTIONS] for p in prompts]
    )


def spread(network: Any, factor: float) -> Any:
    """Larger weights, so that other contexts move the scores far."""
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() > 1:
                weight.mul_(factor)
    return network.eval()


def learnt_prompt(kind: str) -> Any:
    peft = pytest.importorskip("peft")
    network = spread(make_network("llama", 379), 3)
    configs = {
        "prompt": peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5),
        "prefix": peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5),
    }
    with torch.random.fork_rng():
        torch.manual_seed(3)
        tuned = peft.get_peft_model(network, configs[kind]).eval()
        with torch.no_grad():
            for weight in tuned.parameters():
                if weight.requires_grad:
                    weight.normal_(0, 0.5)
    return tuned


def rotating(kind: str) -> Any:
    """Llama-like, rotated in another way beyond 32 tokens."""
    shape = {
        "vocab_size": 379, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0,
    }  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(2)
        if kind == "dynamic":
            rope = {"rope_type": "dynamic", "rope_theta": 100.0, "factor": 8.0}
            config = LlamaConfig(**shape, max_position_embeddings=32, rope_parameters=rope)
            return spread(LlamaForCausalLM(config), 3)
        rope = {
            "rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 8,
            "long_factor": [1 + 0.9 * i for i in range(8)], "original_max_position_embeddings": 32,
        }  # fmt: skip
        config = Phi3Config(
            **shape, max_position_embeddings=256, original_max_position_embeddings=32,
            sliding_window=None, eos_token_id=1, bos_token_id=1, rope_parameters=rope,
        )  # fmt: skip
        return spread(Phi3ForCausalLM(config), 3)


class SeesPadding(LlamaForCausalLM):
    """Takes a mask of rows and looks past it, as code does that forgets to hand it on."""

    def forward(  # type: ignore[override]
        self, input_ids: Any = None, attention_mask: Any = None, position_ids: Any = None,
        logits_to_keep: Any = 0, **more: Any,
    ) -> Any:  # fmt: skip
        return super().forward(input_ids, logits_to_keep=logits_to_keep, **more)


class SeesNeighbours(LlamaForCausalLM):
    """Adds what stands in the other rows, as a layer does that forgets it is not in training."""

    def forward(self, input_ids: Any = None, **more: Any) -> Any:  # type: ignore[override]
        logits = super().forward(input_ids, **more).logits
        return CausalLMOutput(logits=logits - logits.mean(0, keepdim=True) + logits / len(logits))


def small(kind: type, config: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return spread(kind(config), 4)


def llama_of(kind: type) -> Any:
    config = LlamaConfig(
        vocab_size=379, hidden_size=48, intermediate_size=80, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=128,
    )  # fmt: skip
    return small(kind, config)


def bert_like(kind: type, config: type, **more: Any) -> Any:
    """Learnt positions; RoBERTa's begin behind its pad id and are counted from the ids."""
    shape = {
        "vocab_size": 379, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 64, "max_position_embeddings": 128, "pad_token_id": 2,
    }  # fmt: skip
    return small(kind, config(**shape, **more))


NETWORKS = {
    "prompt tuning": (lambda: learnt_prompt("prompt"), "lengths"),
    "prefix tuning": (lambda: learnt_prompt("prefix"), None),
    "longrope": (lambda: rotating("longrope"), "any"),
    "dynamic": (lambda: rotating("dynamic"), "any"),
    "sees padding": (lambda: llama_of(SeesPadding), "lengths"),
    "sees neighbours": (lambda: llama_of(SeesNeighbours), "alone"),
    "positions by ids": (
        lambda: bert_like(RobertaForCausalLM, RobertaConfig, is_decoder=True), "lengths",
    ),
    "gpt2": (lambda: spread(make_network("gpt2", 379), 4), "any"),
}  # fmt: skip


@pytest.mark.parametrize("path", ["auto", "padded"])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.filterwarnings("ignore:Position ids are not supported")
def test_together_and_alone_are_the_plain_forward(name: str, path: str) -> None:
    make, together = NETWORKS[name]
    model = LocalModel(name, make(), make_tokenizer(bos=True), asked=path)
    want = expected(model, PROMPTS)
    np.testing.assert_allclose(sk.score(model, PROMPTS, OPTIONS), want, atol=2e-5, rtol=0)
    order = [1, 0, 2]
    turned = sk.score(model, [PROMPTS[i] for i in order], OPTIONS)
    np.testing.assert_allclose(turned, want[order], atol=2e-5, rtol=0)
    for i, prompt in enumerate(PROMPTS):
        alone = sk.score(model, [prompt], OPTIONS)
        np.testing.assert_allclose(alone, want[i : i + 1], atol=2e-5, rtol=0)
    if together is not None:
        assert model.choice.together == together
    assert abs(want[0] - want[2]).max() > 0.05  # the texts differ


@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
@pytest.mark.parametrize("path", ["tree", "padded"])
def test_every_length_around_the_border(kind: str, path: str) -> None:
    network, tokenizer = rotating(kind), make_tokenizer(bos=True)
    model = LocalModel(kind, network, tokenizer, asked=path)
    assert model.path == path and model.choice.border == 32
    assert "32 tokens" in model.choice.reason
    words = " it is hot" * 30
    prompts = [
        tokenizer.decode(tokenizer("Hm." + words)["input_ids"][1:n]) for n in (*range(27, 37), 60)
    ]
    lengths = [len(tokenizer(p)["input_ids"]) for p in prompts]
    assert {31, 32, 33} <= set(lengths)
    found = sk.score(model, prompts, OPTIONS)
    np.testing.assert_allclose(found, expected(model, prompts), atol=2e-5, rtol=0)
    # What was read before leaves no trace either.
    again = sk.score(model, prompts[::-1], OPTIONS)[::-1]
    np.testing.assert_allclose(again, found, atol=2e-5, rtol=0)


def test_what_grows_with_a_text_may_be_longer_than_its_first_length() -> None:
    model = LocalModel("dynamic", rotating("dynamic"), make_tokenizer(bos=True))
    assert model.context_length == 8 * 32
    with pytest.raises(ValueError, match=r"row 0: .* more than the 256"):
        sk.score(model, [LONG * 8], OPTIONS)


def test_a_learnt_prompt_takes_its_part_of_the_context() -> None:
    model = LocalModel("tuned", learnt_prompt("prompt"), make_tokenizer(bos=True))
    assert model.context_length == 128 - 5


def test_runs_over_the_border_are_drawn_from_the_plain_forward() -> None:
    tokenizer = make_tokenizer(bos=True)
    question = sk.Question("Buy?", ["yes", "no"], template="{context}")
    beside = pd.DataFrame({"context": ["It is hot. " * 5 + "So", LONG]})  # crosses, and is over
    runs = []
    for path in ("auto", "padded"):
        model = LocalModel("long", rotating("longrope"), tokenizer, asked=path)
        for design in (beside, beside[:1]):
            table = sample_runs(model, question, design, runs=3, max_tokens=14, temperature=0)
            runs.append(table[table["prompt_id"] == 0]["reasoning"].tolist())
    assert runs[0] == runs[1] == runs[2] == runs[3]
    ids = tokenizer(beside["context"][0])["input_ids"]
    start, network = len(ids), rotating("longrope")
    assert start <= 32 < start + 14
    for _ in range(14):
        with torch.inference_mode():
            logits = network(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
        ids.append(int(logits.argmax()))
        if ids[-1] == tokenizer.eos_token_id:
            break
    written = tokenizer.decode(ids)[len(tokenizer.decode(ids[:start])) :]
    assert runs[0][0] == written.removesuffix(tokenizer.eos_token)


def test_padding_that_is_seen_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="simkit"):
        choice = choose(llama_of(SeesPadding), "padded", "blind")
    assert choice.reason.startswith("asked for; padding changes its scores by ")
    assert choice.reason in caplog.text


def test_a_store_keeps_ways_of_reading_apart() -> None:
    tokenizer = make_tokenizer(bos=True)
    models = [
        LocalModel("m", llama_of(kind), tokenizer, asked="padded")
        for kind in (LlamaForCausalLM, SeesPadding)
    ]
    assert [m.identity["path"] for m in models] == ["padded", "padded, lengths"]


def test_a_network_that_reads_ahead_is_refused() -> None:
    network = bert_like(BertLMHeadModel, BertConfig)
    model = LocalModel("encoder", network, make_tokenizer(bos=True))
    with pytest.raises(ValueError, match="no causal language model"):
        sk.score(model, SHORT, OPTIONS)
    decoder = bert_like(BertLMHeadModel, BertConfig, is_decoder=True)
    model = LocalModel("decoder", decoder, make_tokenizer(bos=True))
    np.testing.assert_allclose(
        sk.score(model, PROMPTS, OPTIONS), expected(model, PROMPTS), atol=2e-5, rtol=0
    )


# --- logits that are no numbers -----------------------------------------------------------------


@pytest.mark.parametrize("path", ["tree", "padded"])
def test_logits_that_are_no_numbers_are_named_by_row(path: str) -> None:
    tokenizer = make_tokenizer(bos=True)
    model = LocalModel("broken", llama_of(LlamaForCausalLM), tokenizer, asked=path)
    prompts = [*SHORT, "It is maybe"]
    bad = tokenizer(prompts[2])["input_ids"][-1]
    assert model.path == path and all(bad not in tokenizer(p)["input_ids"] for p in SHORT)
    with torch.no_grad():
        model.network.get_input_embeddings().weight[bad] = torch.nan
    assert np.isfinite(sk.score(model, SHORT, OPTIONS)).all()
    with pytest.raises(ValueError, match=r"row 2: .*not numbers.*dtype"):
        sk.score(model, prompts, OPTIONS)
    question = sk.Question("", ["yes", "no"], template="{context}")
    design = pd.DataFrame({"context": prompts})
    with pytest.raises(ValueError, match=r"row 2: .*not numbers.*dtype"):
        sk.believe(model, question, design)
    with pytest.raises(ValueError, match=r"row 2: .*not numbers.*dtype"):
        sample_runs(model, question, design, runs=2, max_tokens=3)


def test_an_infinite_logit_leaves_no_number_to_the_others() -> None:
    logits = torch.tensor([[0.0, np.inf, 1.0], [0.0, -np.inf, 1.0]])
    at = torch.tensor([0, 1, 1]), torch.tensor([2, 2, 1])
    found = _logprob(logits, *at).tolist()
    assert np.isnan(found[0]) and found[2] == -np.inf
    assert found[1] == pytest.approx(-np.log1p(np.exp(-1)), abs=1e-6)

    class Infinite(torch.nn.Module):
        device, config = torch.device("cpu"), LlamaConfig()

        def forward(self, input_ids: torch.Tensor) -> Any:
            return CausalLMOutput(logits=logits[input_ids])

    options = (pack([2]), pack([1]))
    scores = score_padded(Infinite(), [pack([0]), pack([1])], [options] * 2)
    assert np.isnan(scores[0]).all()
    np.testing.assert_allclose(scores[1], [found[1], -np.inf], rtol=1e-6)


@pytest.mark.parametrize("path", ["tree", "padded"])
def test_a_token_that_is_masked_has_no_probability(path: str) -> None:
    tokenizer = make_tokenizer(bos=True)
    model = LocalModel("masked", llama_of(LlamaForCausalLM), tokenizer, asked=path)
    yes = tokenizer("It is hot. yes")["input_ids"][-1]
    bias = torch.zeros(379)
    bias[yes] = -torch.inf
    model.network.lm_head.bias = torch.nn.Parameter(bias)
    found = sk.score(model, SHORT, OPTIONS)
    assert np.isneginf(found[:, 0]).all() and np.isfinite(found[:, 1]).all()
    assert model.path == path


@pytest.mark.parametrize("path", ["auto", "padded"])
def test_float16_that_overflows_is_an_error_with_its_row(path: str) -> None:
    network = llama_of(LlamaForCausalLM).half()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(1e3)
    model = LocalModel("half", network, make_tokenizer(bos=True), asked=path)
    with pytest.raises(ValueError, match=r"row 0: .*try dtype='float32'"):
        sk.score(model, SHORT, OPTIONS)
