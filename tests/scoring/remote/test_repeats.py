"""Servers that give other numbers for the same request, and are asked several times."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit.scoring.remote.model import load_remote

ASK = sk.Question("buy it at ${price}?", ["yes", "no"])
DESIGN = pd.DataFrame({"price": [1, 2]})


@pytest.mark.parametrize("speaks", ["llama.cpp", "echo", "vllm"])
def test_repeats_of_exact_scores_are_averaged(served, speaks, monkeypatch):
    state, address = served
    state.speaks = speaks
    plain = sk.believe(load_remote(address), ASK, DESIGN, least_mass=0)
    assert "repeats_range" not in plain
    lm = load_remote(address, repeats=3)
    asked = []
    whole = type(lm).scores

    def shifting(self, prompts, options):
        """The first option's log-probability is 0, 0.3 and 0.6 lower, time after time."""
        scores = whole(self, prompts, options)
        scores.logprob[:, 0] -= 0.3 * len(asked)
        asked.append(self.dialect.client.again)
        return scores

    monkeypatch.setattr(type(lm), "scores", shifting)
    table = sk.believe(lm, ASK, DESIGN, least_mass=0)
    assert asked == [0, 1, 2] and lm.dialect.client.again == 0
    yes, no = plain["logprob"][:2]
    beliefs = [1 / (1 + math.exp(no - yes + 0.3 * k)) for k in range(3)]
    assert table["belief"][0] == pytest.approx(np.mean(beliefs))
    assert table["repeats_range"][0] == pytest.approx(beliefs[0] - beliefs[2])
    mean = math.log(sum(math.exp(yes - 0.3 * k) for k in range(3)) / 3)
    assert table["logprob"][0] == pytest.approx(mean)
    assert table["logprob"][1] == pytest.approx(no)


def test_each_repeat_is_kept_and_none_is_paid_twice(served, tmp_path):
    state, address = served
    cache = tmp_path / "scores.sqlite"
    sk.believe(sk.load(address, cache=cache), ASK, DESIGN, least_mass=0)
    three = sk.load(address, cache=cache, repeats=3)
    state.asked.clear()
    first = sk.believe(three, ASK, DESIGN, least_mass=0)
    sent = len(state.asked)
    again = sk.load(address, cache=cache, repeats=3)
    state.asked.clear()
    second = sk.believe(again, ASK, DESIGN, least_mass=0)
    # Of three times two prompts the first time is in the cache, and later all three are.
    assert sent == 4 and not state.asked
    pd.testing.assert_frame_equal(first, second)
    assert (first["repeats_range"] == 0).all()  # this server says the same each time


def test_a_parquet_file_has_the_spread_of_repeats(served, tmp_path):
    _, address = served
    source, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    DESIGN.to_parquet(source)
    lm = sk.load(address, repeats=2)
    how = {"template": "buy it at ${price}?\nAnswer:", "least_mass": 0.0}
    sk.score_parquet(lm, source, out, ["yes", "no"], **how)
    assert pd.read_parquet(out)["repeats_range"].tolist() == [0.0] * 4


def test_a_parquet_file_has_the_bounds_of_an_interface(served, tmp_path):
    state, address = served
    state.speaks, state.lists = "chat", 2  # of six tokens
    source, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    DESIGN.to_parquet(source)
    lm = sk.load(address, repeats=2)
    ask = sk.Question("buy it at ${price}?", ["yes", "no"], template="{question}")
    table = sk.believe(lm, ask, DESIGN, least_mass=0)
    how = {"template": "buy it at ${price}?", "least_mass": 0.0}
    sk.score_parquet(lm, source, out, ["yes", "no"], **how)
    written = pd.read_parquet(out)
    same = ["option", "belief", "low", "high", "basis", "repeats_range"]
    pd.testing.assert_frame_equal(written[same], table[same], check_dtype=False)
    assert (written["low"] < written["high"]).any()  # bounds, as tokens are not listed
