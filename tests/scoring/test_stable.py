"""Results that no processor changes: float64 for small models, a second look for others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, MixtralConfig, MixtralForCausalLM

import simkit as sk
from simkit.scoring.engine import precision
from simkit.scoring.engine.precision import Exact
from simkit.scoring.engine.tokens import pack
from simkit.scoring.engine.tree import Work
from simkit.scoring.local import LocalModel
from simkit.scoring.runs.frontier import SECOND, AgainReader
from simkit.scoring.runs.local import near_borders

QUESTION = sk.Question("Does the customer buy it?", ["yes", "no"])
DESIGN = pd.DataFrame(
    {"context": [f"A store sells ice cream. The price is ${p:.2f}." for p in (1, 2.5, 4)]}
)


def test_small_models_compute_in_float64_unless_told_otherwise() -> None:
    assert sk.load("glassbox").network.dtype is torch.float64
    assert sk.load("glassbox", dtype="float32").network.dtype is torch.float32


def test_the_limit_is_in_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simkit.scoring.local.SMALL", 1_000_000)  # the glass box has 1.18 million
    assert sk.load("glassbox").network.dtype is torch.float32


def test_both_precisions_agree_and_only_one_is_exact() -> None:
    wide, narrow = sk.load("glassbox"), sk.load("glassbox", dtype="float32")
    belief = [sk.believe(m, QUESTION, DESIGN)["belief"].to_numpy() for m in (wide, narrow)]
    assert np.abs(belief[0] - belief[1]).max() < 1e-5
    # More prompts beside them change batches, so float32's last digits; float64's far less.
    more = pd.concat([DESIGN, DESIGN.assign(context=DESIGN["context"] + " It is summer.")])
    again = sk.believe(wide, QUESTION, more.reset_index(drop=True))["belief"].to_numpy()[:6]
    assert np.abs(again - belief[0]).max() < 1e-8


def runs_of(shift: float) -> pd.DataFrame:
    """Runs of a model whose float32 logits are off by rounding, as on another processor."""

    def tremble(network: Any, inputs: Any, out: Any) -> Any:
        if network.dtype is torch.float32:
            out.logits = out.logits + shift * (torch.arange(out.logits.shape[-1]) % 7 - 3)
        return out

    model = sk.load("glassbox", dtype="float32")
    model.network.register_forward_hook(tremble)
    return sk.sample_runs(
        model, QUESTION, DESIGN, runs=2_000, max_tokens=6, forced=True, least_mass=0
    )


@pytest.mark.parametrize(("slack", "equal"), [(0, False), (1_000, True)])
def test_runs_do_not_follow_rounding(
    slack: int, equal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logits off by up to 3e-4, a hundred times what float32 rounds, and a second look as wide.

    A second look within 1,000 x 1.2e-7 x 20 = 2.4e-3 of a border covers that; with none, of some
    40,000 draws about 40,000 x 1e-4 = 4 fall otherwise.
    """
    monkeypatch.setattr("simkit.scoring.runs.generate.SLACK", slack)
    monkeypatch.setattr("simkit.scoring.runs.local.SLACK", slack)
    here, there = runs_of(0.0), runs_of(1e-4)
    same = (here["reasoning"] == there["reasoning"]) & (here["choice"] == there["choice"])
    assert same.all() == equal


def test_which_choices_are_looked_at_again() -> None:
    """Beliefs (0.25, 0.75): the border is 0.25, and 16 x 1.2e-7 x 1.39 = 2.6e-6 beside it near."""
    logprob = np.log([[0.25, 0.75], [0.25, 0.75], [np.nan, np.nan]])
    u = np.array([0.25 + 2e-6, 0.25 + 4e-6, 0.25, 0.9])
    assert near_borders(logprob, np.array([0, 1, 2, 0]), u, 1.0).tolist() == [0]
    assert near_borders(logprob, np.array([1, 0, 2, 0]), u, 0.5).tolist() == []  # border 0.1
    tie = np.log([[0.5, 0.5 - 1e-7], [0.25, 0.75]])
    assert near_borders(tie, np.array([0, 1]), np.array([0.9, 0.9]), 0.0).tolist() == [0]


@pytest.mark.parametrize("context", [[5], [5, 9, 40, 7]])
def test_a_second_look_reads_the_context_once(context: list[int]) -> None:
    """As read in full; of 9 texts of 3 tokens on a context of 4, 3 + 9 x (1 + 3) tokens."""
    network, work = sk.load("glassbox").network, Work()
    texts = [[*context, 3, i, 2 * i] for i in range(SECOND + 1)]
    again = AgainReader(network, [pack(context)], work)
    found = again.logits(0, [pack(text) for text in texts]).log_softmax(-1)
    with torch.inference_mode():
        whole = network(input_ids=torch.tensor(texts)).logits[:, -1].log_softmax(-1)
    assert float((found - whole).abs().max()) < 1e-6  # some norms round to float32
    shared = len(context) - 1
    assert work.positions == shared + len(texts) * (len(texts[0]) - shared)
    apart = AgainReader(network, [pack(context)], Work(), kept=False)
    assert float((apart.logits(0, [pack(texts[2])]).log_softmax(-1) - whole[2]).abs().max()) < 1e-6


def test_a_copy_is_made_once_and_only_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    wide, narrow = sk.load("glassbox").network, sk.load("glassbox", dtype="float32").network
    assert Exact(wide).network is wide
    exact = Exact(narrow)
    assert exact.network is exact.network and exact.network is not narrow
    assert exact.network.dtype is torch.float64 and narrow.dtype is torch.float32
    monkeypatch.setattr(precision, "MOST", 1_000)
    assert Exact(narrow).network is narrow


@pytest.mark.parametrize("wrong", [1, 7, 15])
def test_a_machine_that_gives_two_results_is_refused(wrong: int) -> None:
    """One forward pass of the self-check is off by 0.03, and the same pass again is not."""
    passes = []

    def tremble(network: Any, inputs: Any, out: Any) -> Any:
        passes.append(1)
        if len(passes) == wrong:
            out.logits = out.logits + 0.01 * (torch.arange(out.logits.shape[-1]) % 7 - 3)
        return out

    model = sk.load("glassbox", dtype="float32")
    model.network.register_forward_hook(tremble)
    with pytest.raises(RuntimeError, match="this machine's arithmetic is not to be trusted"):
        assert model.path


def test_threads_that_share_a_model_get_what_each_gets_alone() -> None:
    """The network comes from training, so dropout is switched off for each call and on again."""
    torch.manual_seed(0)
    size = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}
    network = GPT2LMHeadModel(GPT2Config(vocab_size=984, **size))
    tokenizer = sk.load("glassbox").tokenizer
    prompts = [f"The price is ${i}.00. The day is cold." for i in range(1, 9)]
    want = sk.score(LocalModel("quiet", network.eval(), tokenizer), prompts, [" yes", " no"])
    shared = LocalModel("shared", network.train(), tokenizer)
    with ThreadPoolExecutor(6) as threads:
        calls = [threads.submit(sk.score, shared, prompts, [" yes", " no"]) for _ in range(36)]
        apart = [np.abs(call.result() - want).max() for call in calls]
    assert max(apart) < 1e-5
    assert network.training


def test_experts_are_scored_in_float64() -> None:
    """Grouped products of experts have no float64: they are taken one by one."""
    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=984, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, num_local_experts=4,
    )  # fmt: skip
    network = MixtralForCausalLM(config).eval()
    model = LocalModel("experts", Exact(network).network, sk.load("glassbox").tokenizer)
    ids = model.tokenizer("It is cold.", return_tensors="pt")["input_ids"]
    token = model.tokenizer(" yes", add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logp = network(input_ids=ids).logits[0, -1].log_softmax(-1)
    found = sk.score(model, ["It is cold."], [" yes", " no"])
    assert len(token) == 1 and found[0, 0] == pytest.approx(float(logp[token[0]]), abs=1e-5)
