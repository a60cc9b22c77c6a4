"""Servers that score exactly: the same numbers from each, and what is wrong with one found out."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit.scoring.remote import ServerError, load_remote
from tests.scoring.remote.conftest import BOS, WORDS, truth

PROMPTS = [f"The capital of France is Paris? buy it at ${i}\nAnswer:" for i in (1, 2, 3)]
OPTIONS = (" yes", " no", " maybe the", " yes it is", " a b c d")
EXACT = np.array([[truth(p, o) for o in OPTIONS] for p in PROMPTS])
SPEAK = ["llama.cpp", "vllm", "sglang", "echo"]
BY_IDS = SPEAK[:3]
PATHS = {"llama.cpp": "/completion", "sglang": "/generate"}


def scoring(state: Any, path: str, body: dict[str, Any]) -> bool:
    """Whether a request asks for scores."""
    return path == PATHS.get(state.speaks, "/v1/completions")


@pytest.mark.parametrize("speaks", SPEAK)
def test_options_of_any_length_are_exact(served, speaks):
    state, address = served
    state.speaks = speaks
    lm = load_remote(address)
    assert sk.score(lm, PROMPTS, OPTIONS) == pytest.approx(EXACT, abs=1e-9)
    assert lm.name == "tiny" and lm.abilities["scores"].startswith("exact")
    nested = lm.scores([PROMPTS[0]], [OPTIONS]).nested
    assert nested.tolist() == [[False, False, False, True, False]]  # " yes it is" begins " yes"


@pytest.mark.parametrize("speaks", SPEAK)
def test_runs_are_written_and_scored(served, speaks):
    state, address = served
    state.speaks = speaks
    runs = sk.sample_runs(load_remote(address), sk.Question("buy?", ["yes", "no"]),
                          pd.DataFrame({"i": [1]}), runs=3, max_tokens=4, seed=1,
                          forced=True, least_mass=0)  # fmt: skip
    assert runs.groupby("run")["belief"].sum().tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("lists", [True, False])
def test_vllm_reads_short_options_together_where_it_lists_them(served, lists):
    """3 options of one token, 2 longer: 1 + 2 requests a prompt; 5 where none are listed."""
    state, address = served
    state.speaks, state.takes_ids = "vllm", lists
    lm = load_remote(address)
    state.asked.clear()
    found = sk.score(lm, PROMPTS, [" yes", " no", " maybe", " yes it", " a b"])
    exact = [[truth(p, o) for o in (" yes", " no", " maybe", " yes it", " a b")] for p in PROMPTS]
    assert found == pytest.approx(np.array(exact), abs=1e-9)
    asked = [body for path, body in state.asked if path == "/v1/completions"]
    assert len(asked) == len(PROMPTS) * (3 if lists else 5)


def test_sglang_is_asked_from_the_boundary_on(served):
    state, address = served
    state.speaks = "sglang"
    lm = load_remote(address)
    state.asked.clear()
    sk.score(lm, PROMPTS[:1], [" yes it", " no"])
    (long,) = [body for _, body in state.asked if "logprob_start_len" in body]
    assert long["logprob_start_len"] == len(long["input_ids"]) - 3  # its two tokens and one before
    assert sum(path == "/generate" for path, _ in state.asked) == 2


@pytest.mark.parametrize("speaks", BY_IDS)
def test_a_missing_bos_is_found_out(served, speaks):
    state, address = served
    state.speaks, state.forgets_bos = speaks, True
    with pytest.raises(ServerError, match=r"5 tokens by /tokenize and 6 when.*BOS"):
        load_remote(address)


@pytest.mark.parametrize("speaks", BY_IDS)
def test_a_prompt_that_writes_its_bos_has_it_once(served, speaks, monkeypatch):
    state, address = served
    state.speaks = speaks
    read = state.read
    monkeypatch.setattr(state, "read", lambda text, special=True: read(
        text.removeprefix("<s>"), special) if not text.startswith("<s>") else [
        *([BOS] if special else []), BOS, *read(text.removeprefix("<s>"), False)])  # fmt: skip
    lm = load_remote(address)
    assert lm.dialect.contexts(["<s>The capital"]) == lm.dialect.contexts(["The capital"])
    assert lm.dialect.contexts(["The capital"])[0][:2] != (BOS, BOS)


def test_an_echo_may_count_a_bos_that_it_does_not_write(served):
    state, address = served
    state.speaks, state.counts_bos = "echo", True
    assert sk.score(load_remote(address), PROMPTS, OPTIONS) == pytest.approx(EXACT, abs=1e-9)


@pytest.mark.parametrize("speaks", ["vllm", "sglang", "echo"])
def test_off_by_one_is_found_out(served, speaks):
    state, address = served
    state.speaks, state.off_by_one, state.takes_ids = speaks, True, False
    with pytest.raises(ServerError, match=r"when written and|its parts have"):
        load_remote(address)


@pytest.mark.parametrize("speaks", SPEAK)
@pytest.mark.parametrize(
    "change, said",
    [
        (math.exp, "in the place of a log-probability"),
        (lambda value: value - 0.5, "when written and|parts have|differs from"),
        (lambda value: value if value > -2.5 else -9999.0, "parts have|probability 0"),
    ],
)
def test_what_is_no_log_probability_of_the_model_is_found_out(served, speaks, change, said):
    """A probability; another temperature; what a sampler's choice left."""
    state, address = served
    state.speaks, state.change = speaks, change
    with pytest.raises(ServerError, match=f"{said}|no server that simkit"):
        load_remote(address, tries=1)


@pytest.mark.parametrize("speaks", BY_IDS)
def test_text_that_is_read_anew_is_found_out(served, speaks):
    """A router that decodes the ids and lets another tokenizer read the text."""
    state, address = served
    state.speaks = speaks
    context = state.context
    lm = load_remote(address, tries=2)
    state.context = lambda prompt: [*context(prompt)[:-1], 25, 26]
    with pytest.raises(ServerError, match=r"^row \d: .*(another prompt|other tokens)"):
        sk.score(lm, PROMPTS, OPTIONS)


@pytest.mark.parametrize("speaks", SPEAK)
def test_a_model_that_changes_in_between_is_an_error(served, speaks):
    state, address = served
    state.speaks = speaks
    lm = load_remote(address)
    state.model = "other.gguf"
    with pytest.raises(ServerError, match=r"^row \d: .*other.gguf answers where tiny.gguf did"):
        sk.score(lm, PROMPTS, OPTIONS)


@pytest.mark.parametrize("speaks", SPEAK)
def test_errors_name_the_row_of_the_caller(served, speaks):
    """Equal rows are asked for once; the number is still the caller's."""
    state, address = served
    state.speaks = speaks
    lm = load_remote(address, workers=1)

    def fault(path: str, payload: bytes) -> Any:
        body = state.body
        text = str(body.get("prompt", body.get("input_ids", "")))
        bad = "?" if speaks == "echo" else str(WORDS.index("?"))
        return (400, {}, b"no") if scoring(state, path, body) and bad in text else None

    state.fault = fault
    with pytest.raises(ServerError, match=r"^row 2: .*status 400: 'no'"):
        sk.score(lm, ["The", "The", "The?"], [" yes", " no"])
    ask = sk.Question("{word} capital", ["yes", "no"])
    design = pd.DataFrame({"word": ["The", "The ?"]}, index=["one", "two"])
    with pytest.raises(ServerError, match=r"^row 'two': .*status 400"):
        sk.believe(lm, ask, design, least_mass=0)


@pytest.mark.parametrize("speaks", SPEAK)
def test_a_token_over_the_border_of_prompt_and_option_is_refused(served, speaks):
    state, address = served
    state.speaks = speaks
    lm = load_remote(address)
    with pytest.raises(sk.BoundaryError, match="row 1"):
        sk.score(lm, ["The", "The capital "], [" of", "of"])  # " of" is one token


@pytest.mark.parametrize("speaks", ["llama.cpp", "vllm", "sglang"])
def test_a_prompt_that_is_too_long_is_refused_before_it_is_sent(served, speaks):
    state, address = served
    state.speaks = speaks
    lm = load_remote(address)
    with pytest.raises(ValueError, match=r"row 1: prompt and option are 5\d\d\d tokens long"):
        sk.score(lm, ["The", " a" * 5_000], [" yes", " no"])


def test_a_template_of_llama_cpp_own_is_not_taken_for_the_models(served):
    """Its marks are many tokens of a model that has no chat template."""
    state, address = served
    chatml = "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}"

    def props(path: str, payload: bytes) -> Any:
        if path != "/props":
            return None
        return 200, {}, json.dumps({**json.loads(payload), "chat_template": chatml}).encode()

    state.fault = props
    assert load_remote(address).tokenizer is None
