"""Two thousand bad calls of all public functions: none may die of something that says nothing."""

from __future__ import annotations

import pandas as pd
import pytest

import simkit as sk
from simkit import estimators, personas
from tests import fuzz, fuzz_calls


def test_every_public_function_is_in_the_table():
    there = {name.removeprefix("est.") for name in fuzz.calls_once()}
    for module in (sk, estimators, personas):
        left_out = fuzz_calls.LEFT_OUT.get(module.__name__, set())
        assert set(module.__all__) - left_out - there == set(), module.__name__


@pytest.mark.parametrize("name", fuzz.calls_once())
def test_the_calls_are_valid(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, given = fuzz.calls_once()[name]()
    if name == "chat_prompts":  # no bundled model has a chat template: that is what it says
        with pytest.raises(ValueError, match="chat template"):
            call(**given)
        return
    assert fuzz.judged(name, call, given) == ""
    call(**given)


def test_two_thousand_bad_calls():
    failed = fuzz.run(2_000, seed=0)
    assert not failed, "\n" + fuzz.report(failed)


def bare(x):
    return {}[x]


def foreign(x):
    return pd.Series([1]).reindex([1, 1]).reindex([x, x])


def loud(x):
    return pd.Series([1.0]).to_numpy() / 0 * x


def leaky(x):
    return [f"The price is {x}."]


@pytest.mark.parametrize(
    ("call", "wrong"),
    [(bare, "KeyError"), (foreign, "of another library"), (loud, "Warning"), (leaky, "prompt")],
)
def test_what_should_fail_does(call, wrong):
    assert wrong in fuzz.judged("planted", call, {"x": float("nan")})
    assert fuzz.judged("fine", lambda x: None, {"x": 1}) == ""
