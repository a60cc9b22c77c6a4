"""A server whose truth is known, and every fault between it and us."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit.scoring.remote import BudgetError, Client, ServerError, load_remote
from tests.scoring.remote.conftest import truth

PROMPTS = [f"The capital of France is Paris? buy it at ${i}\nAnswer:" for i in (1, 2, 3)]
OPTIONS = (" yes", " no", " maybe the", " yes it is", " a b c d")


def test_options_of_any_length_are_exact(served):
    _, address = served
    found = sk.score(load_remote(address), PROMPTS, OPTIONS)
    exact = [[truth(p, o) for o in OPTIONS] for p in PROMPTS]
    assert found == pytest.approx(np.array(exact), abs=1e-9)


def test_load_takes_an_address_and_believe_works_on_it(served):
    _, address = served
    ask = sk.Question("buy it at ${price}?", ["yes", "no"])
    table = sk.believe(sk.load(address), ask, pd.DataFrame({"price": [1, 2]}), least_mass=0)
    prompt = "Question: buy it at $1?\nAnswer:"
    yes, no = (math.exp(truth(prompt, o)) for o in (" yes", " no"))
    assert table["belief"][0] == pytest.approx(yes / (yes + no))
    assert table["valid_mass"][0] == pytest.approx(yes + no)


def test_one_request_scores_what_its_lists_hold(served):
    state, address = served
    lm = load_remote(address)
    state.asked.clear()
    sk.score(lm, PROMPTS, [" yes", " no", " maybe"])
    completions = [body for path, body in state.asked if path == "/completion"]
    assert len(completions) == len(PROMPTS)  # the three options are in one list


def test_no_key_is_ever_shown_or_kept(served, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789")
    state, address = served
    lm = load_remote(address, tries=2)
    assert state.headers[-1]["Authorization"] == "Bearer sk-planted-0123456789"
    shown = [repr(lm), repr(lm.dialect.client), repr(vars(lm.dialect.client)), str(lm.identity)]
    for status in (401, 500):
        said = b"no such key: sk-planted-0123456789"
        state.fault = lambda path, payload, s=status, t=said: (s, {}, t)
        with pytest.raises(ServerError) as error:
            sk.score(lm, PROMPTS, OPTIONS)
        shown.append(str(error.value))
        assert "***" in shown[-1]
    assert not any("planted" in text for text in shown)


def test_what_may_not_be_tried_again_is_not(served):
    state, address = served
    lm = load_remote(address)
    before = lm.spent.requests
    state.fault = lambda path, payload: (400, {}, b"no such model")
    with pytest.raises(ServerError, match="status 400: 'no such model'"):
        lm.next_tokens("is")
    assert lm.spent.requests == before + 1


def test_a_budget_is_kept(served):
    _, address = served
    lm = load_remote(address)
    lm.dialect.client.most_requests = lm.spent.requests + 4
    with pytest.raises(BudgetError, match="Nothing of it is kept"):
        sk.score(lm, PROMPTS, OPTIONS)
    assert lm.spent.requests == lm.dialect.client.most_requests


def test_a_wrong_server_is_found_out(served):
    state, address = served

    def shifted(path: str, payload: bytes) -> Any:
        answer = json.loads(payload)
        if path == "/completion" and len(state.body.get("grammar", "")):
            for place in answer["completion_probabilities"]:
                for entry in (place, *place["top_logprobs"]):
                    entry["logprob"] -= 0.5
            return 200, {}, json.dumps(answer).encode()
        return None

    state.fault = shifted
    with pytest.raises(ServerError, match="when written and"):
        load_remote(address)


def test_what_is_no_server_of_ours(served):
    state, address = served
    state.fault = lambda path, payload: (404, {}, b"")
    with pytest.raises(ServerError, match="no server that simkit can score with"):
        load_remote(address)
    with pytest.raises(ValueError, match="must begin with http"):
        Client("localhost:8000")


def test_completions_that_echo_are_exact_too(served):
    state, address = served
    state.speaks = "echo"
    lm = load_remote(address)
    assert lm.name == "tiny"
    exact = np.array([[truth(p, o) for o in OPTIONS] for p in PROMPTS])
    assert sk.score(lm, PROMPTS, OPTIONS) == pytest.approx(exact, abs=1e-9)


def test_an_echo_that_is_ignored_or_off_by_one_is_found_out(served):
    state, address = served
    state.speaks, state.off_by_one = "echo", True
    with pytest.raises(ServerError, match="when written and"):
        load_remote(address)
    state.off_by_one, state.ignores_echo = False, True
    with pytest.raises(ServerError, match="no server that simkit can score with"):
        load_remote(address)


def test_a_token_over_the_border_of_prompt_and_option_is_refused(served):
    state, address = served
    for state.speaks in ("llama.cpp", "echo"):
        lm = load_remote(address)
        with pytest.raises(sk.BoundaryError, match="row 0"):
            sk.score(lm, ["The capital "], ["of", "is"])  # " of" is one token
