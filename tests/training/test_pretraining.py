"""Training learns, resumes after a break, and leaves global state alone. A micro model, seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import simkit as sk
from simkit.training import calibrate, loop, pretrain, pretraining
from simkit.worlds import corpus


@pytest.fixture(autouse=True)
def small_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "CHUNK", 600)
    monkeypatch.setattr(
        pretraining, "compiled", lambda body: body
    )  # compiling takes longer than this


def test_a_micro_model_learns_and_says_what_it_is(tmp_path: Path) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    folder = pretrain("micro", tmp_path / "m", steps=150, progress=False)
    assert torch.equal(torch.get_rng_state(), before)
    assert not (folder / "training.pt").exists()
    lm = sk.load(folder)
    assert lm.card["worlds"] == ["market", "survey", "concepts"]
    record = json.loads((folder / "training.json").read_text())
    assert record["step"] == 150
    assert record["documents"] == lm.card["documents"]
    table = calibrate(lm, n=20)
    blind = table.loc["purchase, blind"]
    assert blind["mean_error"] < 0.25  # it has seen a minute of text: knows the format, little else
    assert blind["valid_mass"] > 0.5


def test_a_broken_run_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "KEEP_EVERY", 10)
    whole = pretrain("micro", tmp_path / "whole", steps=30, progress=False)
    calls, plain = 0, loop.Loop._one

    def breaks(run: loop.Loop) -> None:
        nonlocal calls
        calls += 1
        if calls == 25:
            raise KeyboardInterrupt
        plain(run)

    monkeypatch.setattr(loop.Loop, "_one", breaks)
    broken = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        pretrain("micro", broken, steps=30, progress=False)
    state = torch.load(broken / "training.pt", weights_only=True)
    assert state["step"] == 20 and state["taken"] > 0
    with pytest.raises(ValueError, match="another call \\(steps 31, there 30\\)"):
        pretrain("micro", broken, steps=31, progress=False)
    pretrain("micro", broken, steps=30, progress=False)
    assert calls == 25 + 10
    for name in ("model.safetensors", "training.json", "config.json"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()


def test_training_goes_on_from_a_model(tmp_path: Path) -> None:
    first = pretrain("micro", tmp_path / "a", steps=3, progress=False)
    second = pretrain("micro", tmp_path / "b", steps=3, init=first, progress=False)
    record = json.loads((second / "training.json").read_text())
    assert [r["step"] for r in record["before"]] == [3]
    text = ["The price is $3.50."]
    scores = [sk.score(sk.load(f), text, [" yes", " no"]) for f in (first, second)]
    assert not np.allclose(*scores)


def test_unknown_size_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="micro, small, large"):
        pretrain("huge", tmp_path)
