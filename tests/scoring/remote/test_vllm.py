"""A real vLLM server, as it was recorded: the beliefs that transformers has of the same weights.

How to record it anew: `vllm_tape.py`. An exchange that was not recorded fails with its body.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import simkit as sk
from simkit.scoring.catalogue import gguf_of
from simkit.scoring.remote import load_remote
from tests.scoring.remote import vllm_tape as tape

CLOSE = {"abs": 1e-3}  # of a belief; both compute in 32 bits, and 5e-6 was seen


@pytest.fixture(scope="module")
def box() -> tape.Found:
    with tape.replayed("glassbox") as address:
        return tape.glassbox(address)


@pytest.fixture(scope="module")
def own() -> Any:
    """The same weights, here."""
    return sk.load("glassbox", dtype="float32")


def test_beliefs_are_those_of_transformers(box, own):
    """One token an option, and several (log-probabilities near -60: of those 1e-3)."""
    exact = tape.scored(own)
    assert np.std(box["believed"]["belief"]) > 0.1  # they say something
    assert box["believed"]["belief"] == pytest.approx(exact["believed"]["belief"], **CLOSE)
    assert box["believed"]["valid_mass"] == pytest.approx(exact["believed"]["valid_mass"], **CLOSE)
    assert all(len(ids) > 1 for ids in own.tokens(tape.TEXT, tape.LONG))
    np.testing.assert_allclose(box["long"], exact["long"], rtol=1e-5)


def test_older_servers_and_echo_are_as_exact(box, own):
    """The echo's offsets count the letters of "<s>", which the echoed text does not have."""
    agree, no, no_one = sk.score(own, [tape.TEXT], [" agree", " no", " no one"])[0]
    np.testing.assert_allclose(box["older"], [[agree, no]], rtol=1e-5)
    np.testing.assert_allclose(box["echo"], [[no_one, agree]], rtol=1e-5)


def test_what_it_can_do_was_proved(box, own):
    assert box["abilities"]["scores"] == "exact, options of any number of tokens"
    assert box["abilities"]["runs"] == "written and scored"
    assert [word for word, _ in box["next"]] == [
        w for w, _ in own.next_tokens("The price is $3.00.")
    ]
    assert np.reshape(box["runs"], (-1, 2)).sum(1) == pytest.approx(1)


@pytest.fixture(scope="module")
def talked() -> tape.Found:
    with tape.replayed("smollm2") as address:
        return tape.smollm2(address)


@pytest.fixture(scope="module")
def exact() -> tape.Found:
    """Of transformers, when it was recorded."""
    return tape.tape()["transformers"]


@pytest.mark.parametrize("name", ["short", "long"])
def test_beliefs_in_a_chat_are_those_of_transformers(talked, exact, name):
    """By a server that does not tell its template and lays out each conversation itself."""
    assert talked["prompt"] == [
        "<|im_start|>system\nYou are a cook.<|im_end|>\n<|im_start|>user\nBuy?<|im_end|>\n"
        "<|im_start|>assistant\nAnswer:"
    ]
    assert exact["short"]["valid_mass"][0] > 0.7
    for column in ("belief", "valid_mass"):
        assert talked[name][column] == pytest.approx(exact[name][column], **CLOSE)


def test_a_template_that_is_told_lays_out_the_same(exact):
    with tape.replayed("told") as address:
        found = tape.told(address)
    assert "add_generation_prompt" in found["template"]
    assert found["short"]["belief"] == pytest.approx(exact["short"]["belief"][:2], **CLOSE)


def test_chat_completions_bound_the_belief(talked):
    assert talked["lists"] == "bounds from the 20 likeliest tokens"
    low, high, belief = (np.array(talked["bounds"][name]) for name in ("low", "high", "belief"))
    assert (low <= belief).all() and (belief <= high).all() and (high - low < 0.3).all()


@pytest.mark.slow
def test_the_model_here_says_what_was_recorded_of_it(talked, exact):
    """And lies within the bounds of chat completions."""
    if not gguf_of("smollm2").is_file():
        pytest.skip("no smollm2: run `simkit models add smollm2`")
    now = tape.by_transformers()
    for name, columns in exact.items():
        assert now[name]["belief"] == pytest.approx(columns["belief"], **CLOSE)
    truth = np.array(now["open"]["belief"])
    low, high, belief = (np.array(talked["bounds"][name]) for name in ("low", "high", "belief"))
    assert (low <= truth).all() and (truth <= high).all()
    np.testing.assert_allclose(belief, truth, atol=0.02)


def test_what_was_not_recorded_is_shown():
    with tape.replayed("glassbox") as address, pytest.raises(AssertionError) as error:
        load_remote(address).next_tokens("Another price")
    assert str(error.value).startswith(
        'not recorded: POST /tokenize {"model": "glassbox", "prompt"'
    )
    assert "Another price" in str(error.value)


def test_nothing_of_the_machine_is_recorded():
    text = str(tape.tape())
    assert "/root" not in text and "/tmp" not in text and "/home" not in text
    assert len(text) > 100_000  # it was read
