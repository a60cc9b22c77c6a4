"""Two thousand bad calls of all public functions: none may die of something that says nothing."""

from __future__ import annotations

import inspect

import pandas as pd
import pytest

import simkit as sk
from simkit import (
    datasets,
    estimators,
    personas,
    plots,
    reports,
    scoring,
    training,
)  # fmt: skip
from tests import fuzz, fuzz_calls
from tests.fuzz_more import REFUSED

MODULES = (sk, estimators, personas, scoring, plots, reports, datasets, training)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_function_is_in_the_table(module):
    there = {name.split(",")[0].rpartition(".")[2] for name in fuzz.calls_once()}
    left_out = " ".join(fuzz_calls.LEFT_OUT.get(module.__name__, {}).values()).split()
    assert set(left_out) <= set(module.__all__)
    folders = {n for n in module.__all__ if inspect.ismodule(getattr(module, n))}
    assert set(module.__all__) - folders - there <= set(left_out)


# No bundled model has a chat template; the other two would take seconds where they are right.
REFUSED = {**REFUSED, "chat_prompts": "chat template"}


@pytest.mark.parametrize("name", fuzz.calls_once())
def test_the_calls_are_valid(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, given = fuzz.calls_once()[name]()
    if name in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[name]):
            call(**given)
        return
    returned = []

    def noted(**given):
        returned.append(call(**given))
        return returned[0]

    assert fuzz.judged(name, noted, given) == ""
    assert returned


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
