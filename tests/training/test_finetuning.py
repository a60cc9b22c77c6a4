"""Training learns, stops, resumes where it was killed, and leaves everything else alone."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import simkit as sk
from simkit.scoring import LocalModel
from simkit.training import NumericLoss, examples, finetune, loop, split_respondents
from simkit.training.adapting import Adapting
from tests.training.conftest import AGREE, QUESTIONS, survey

pytest.importorskip("peft")

QUICK: dict[str, Any] = {"steps": 4, "batch": 8, "learning_rate": 1e-2}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_the_model_learns_from_some_people_about_others(
    model: LocalModel, data: pd.DataFrame, tmp_path: Path
) -> None:
    part = split_respondents(data["respondent"], seed=2)
    fit = finetune(
        model, data[part == "train"], tmp_path / "a", validation=data[part == "validation"],
        steps=40, batch=16, learning_rate=2e-2, every=10, numeric=NumericLoss(0.05),
    )  # fmt: skip
    losses = fit.history["validation_loss"]
    assert fit.history["step"].tolist() == [0, 10, 20, 30, 40]
    assert losses.iloc[-1] < 0.1 * losses.iloc[0]
    assert fit.record["validation_loss"] == pytest.approx(losses.min(), abs=1e-6)
    assert fit.record["best_step"] == fit.history["step"][losses.idxmin()]
    # the whole is the sum of its parts, and training losses are means since the row before
    whole = fit.history["cross_entropy"] + 0.05 * fit.history["penalty"]
    assert whole[1:].to_numpy() == pytest.approx(fit.history["loss"][1:].to_numpy(), abs=1e-5)
    assert np.isnan(fit.history.loc[0, "loss"])
    people = pd.DataFrame({"context": ["Old, no 9.", "Young, no 9."], "who": ["old", "young"]})
    says = sk.believe(fit.model, AGREE, people).set_index(["who", "option"])["belief"]
    assert says["old", "yes"] > 0.9
    assert says["young", "no"] > 0.9
    assert "step 40 of 40" in repr(fit) or fit.record["best_step"] < 40
    assert str(tmp_path) not in repr(fit)


def test_nothing_else_changes(model: LocalModel, data: pd.DataFrame, tmp_path: Path) -> None:
    before = sk.score(model, data["prompt"][:3].tolist(), [" yes", " no"])
    flags = [p.requires_grad for p in model.network.parameters()]
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    first = finetune(model, data, tmp_path / "a", dropout=0.2, **QUICK)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]
    assert random.getstate() == states[2]
    torch.manual_seed(4)  # the caller's state has no say either
    second = finetune(model, data, tmp_path / "b", dropout=0.2, **QUICK)
    assert same(first.folder, second.folder)
    assert [p.requires_grad for p in model.network.parameters()] == flags
    assert not hasattr(model.network, "peft_config")
    assert np.array_equal(sk.score(model, data["prompt"][:3].tolist(), [" yes", " no"]), before)


@pytest.fixture(scope="module")
def plain(model: LocalModel, data: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "adapter"
    finetune(model, data, folder, **QUICK)
    return folder


@pytest.mark.parametrize(
    "change",
    [
        {"rank": 4}, {"alpha": 8.0}, {"dropout": 0.3}, {"targets": ("q_proj", "v_proj")},
        {"learning_rate": 5e-3}, {"schedule": "constant"}, {"warmup": 0.5},
        {"steps": 3}, {"batch": 6}, {"seed": 1},
        {"numeric": NumericLoss(0.1)}, {"numeric": NumericLoss(0.1, slope=2.0)},
        {"numeric": NumericLoss(0.1, width=9.0)}, {"numeric": NumericLoss(0.1, relative=True)},
        {"numeric": NumericLoss(0.3)},
        {"steps": None, "epochs": 0.3},
    ],
    ids=str,
)  # fmt: skip
def test_every_setting_changes_the_adapter(
    change: dict[str, Any], model: LocalModel, data: pd.DataFrame, plain: Path, tmp_path: Path,
    seen: list[dict[str, torch.Tensor]],
) -> None:  # fmt: skip
    fit = finetune(model, data, tmp_path / "a", **{**QUICK, **change})
    found = weights(fit.folder)
    for other in [weights(plain), *seen]:  # and no two settings give the same
        assert any(k not in other or not torch.equal(v, other[k]) for k, v in found.items())
    seen.append(found)


@pytest.fixture(scope="module")
def seen() -> list[dict[str, torch.Tensor]]:
    return []


def test_what_does_not_change_the_adapter(
    model: LocalModel, data: pd.DataFrame, plain: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    # λ = 0 is the plain cross-entropy, to the last bit; so is a penalty on a question not asked
    zero = finetune(model, data, tmp_path / "zero", numeric=NumericLoss(0.0, slope=3.0), **QUICK)
    other = NumericLoss(0.5, questions=("income",))
    off = finetune(model, data, tmp_path / "off", numeric=other, **QUICK)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "KEEP_EVERY", 1)
        often = finetune(model, data, tmp_path / "often", data="Words.", **QUICK)
    assert same(zero.folder, plain)
    assert same(off.folder, plain)
    assert same(often.folder, plain)
    # a path without trees reads the same texts one by one
    alone = finetune(replace(model, asked="padded"), data, tmp_path / "alone", **QUICK)
    near(alone.folder, plain)
    # parts of a batch add up to its gradient, but for rounding
    micro = finetune(model, data, tmp_path / "micro", micro=3, **QUICK)
    near(micro.folder, plain)


def near(one: Path, other: Path) -> None:
    expected = weights(other)
    for name, weight in weights(one).items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-2, atol=1e-4)


def test_weights_count(model: LocalModel, plain: Path, tmp_path: Path) -> None:
    heavy = examples(survey(), QUESTIONS, weights="weight")
    assert not same(finetune(model, heavy, tmp_path / "a", **QUICK).folder, plain)


def test_early_stopping_keeps_the_best(
    model: LocalModel, data: pd.DataFrame, tmp_path: Path
) -> None:
    """Old people say yes to learn from, and no to validate: the longer, the worse."""
    agree = data[data["question"] == "agree"]
    train, held = agree[agree["option"] == "yes"], agree[agree["option"] == "no"]
    fit = finetune(
        model, train, tmp_path / "a", validation=held, steps=60, batch=8, every=4, patience=2,
        learning_rate=2e-2, schedule="constant",
    )  # fmt: skip
    losses = fit.history["validation_loss"].to_numpy()
    best = int(losses.argmin())
    assert fit.record["stopped"] == "patience"
    assert fit.record["steps"] < 60
    assert len(losses) == best + 1 + 2  # two looks after the best, then no more
    assert fit.record["best_step"] == 4 * best
    score = sk.score(fit.model, held["prompt"].tolist(), [" no</s>", " yes"])
    kept = -score[:, 0].mean()
    assert kept == pytest.approx(losses.min(), abs=2e-3)  # adapters are stored in half precision
    endless = finetune(
        model, train, tmp_path / "b", validation=held, steps=fit.record["steps"] + 4,
        batch=8, every=4, patience=None, learning_rate=2e-2, schedule="constant",
    )  # fmt: skip
    assert endless.record["steps"] == fit.record["steps"] + 4
    assert endless.record["stopped"] == "steps"


def test_a_broken_run_goes_on_bit_for_bit(
    model: LocalModel, data: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = split_respondents(data["respondent"], seed=2)
    call: dict[str, Any] = {
        "validation": data[part == "validation"], "steps": 14, "batch": 8, "every": 4,
        "dropout": 0.1, "numeric": NumericLoss(0.1),
    }  # fmt: skip
    train = data[part == "train"]
    monkeypatch.setattr(loop, "KEEP_EVERY", 3)
    whole = finetune(model, train, tmp_path / "whole", **call)
    step, calls = loop.Loop._one, []

    def breaks(self: loop.Loop) -> None:
        calls.append(self.step)
        if len(calls) == 11:
            raise KeyboardInterrupt
        step(self)

    monkeypatch.setattr(loop.Loop, "_one", breaks)
    with pytest.raises(KeyboardInterrupt):
        finetune(model, train, tmp_path / "broken", **call)
    with pytest.raises(ValueError, match=r"another call \(rank 4, there 8\)"):
        finetune(model, train, tmp_path / "broken", rank=4, **call)
    again = finetune(model, train, tmp_path / "broken", **call)
    assert calls[11:] == [9, 10, 11, 12, 13]  # 3 | 4 | 6 | 8 | 9 were kept; step 10 broke off
    assert same(whole.folder, again.folder)
    pd.testing.assert_frame_equal(whole.history, again.history)
    assert (again.record["steps"], again.record["best_step"]) == (
        whole.record["steps"],
        whole.record["best_step"],
    )
    assert not (again.folder / "training.pt").exists()


KILLED = """
import sys, time
from simkit.training import examples, finetune, loop
from tests.training.conftest import QUESTIONS, survey, tiny_model
step = loop.Loop._one

def stalls(self):
    step(self)
    if self.step == 6:
        print("in the middle", flush=True)
        time.sleep(600)

loop.Loop._one = stalls
loop.KEEP_EVERY = 3
finetune(tiny_model(), examples(survey(), QUESTIONS), sys.argv[1], steps=12, batch=8)
"""


def test_a_killed_process_loses_little(
    model: LocalModel, data: pd.DataFrame, tmp_path: Path
) -> None:
    """SIGKILL in the middle; the same call then ends as if nothing had happened, in silence."""
    broken = tmp_path / "broken"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(broken)],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdout is not None
    said = process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    noise = process.communicate()[1]
    assert said == b"in the middle\n", noise.decode()
    assert noise == b""  # nothing on stderr, which would fail a saved notebook
    assert process.returncode == -signal.SIGKILL
    assert torch.load(broken / "training.pt", weights_only=True)["step"] == 6
    again = finetune(model, data, broken, steps=12, batch=8)
    whole = finetune(model, data, tmp_path / "whole", steps=12, batch=8)
    assert same(again.folder, whole.folder)


def test_a_finished_call_is_not_repeated(
    model: LocalModel, data: pd.DataFrame, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Adapting, "of")
    fit = finetune(model, data, plain, **QUICK)
    assert fit.record["steps"] == 4
    assert fit.history["step"].tolist() == [0, 4]
    assert fit.record["validation_loss"] is None
    with pytest.raises(ValueError, match=r"holds the training of another call \(examples\)"):
        finetune(model, data.iloc[1:], plain, **QUICK)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"method": "full"}, "no method 'full'; there are: lora, qlora"),
        ({"schedule": "step"}, "there are: cosine, constant"),
        ({"batch": 0}, "batch is 0"), ({"epochs": 0.0}, "epochs is 0"),
        ({"micro": 0}, "micro is 0"),
        ({"rank": 0}, "rank is 0"), ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"dropout": 1.0}, "dropout is 1.0"), ({"patience": 0}, "patience is 0"),
        ({"targets": ("nowhere",)}, "nowhere"),
    ],
    ids=str,
)  # fmt: skip
def test_bad_settings_are_named(
    wrong: dict[str, Any], said: str, model: LocalModel, data: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        finetune(model, data, tmp_path / "a", **{**QUICK, **wrong})
    assert not (tmp_path / "a").exists()


def test_bad_data_is_named(model: LocalModel, data: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="examples have no column 'prompt'"):
        finetune(model, data.drop(columns="prompt"), tmp_path)
    with pytest.raises(ValueError, match="examples have no rows"):
        finetune(model, data.iloc[:0], tmp_path)
    with pytest.raises(ValueError, match="respondent 'p0' is in examples and in validation"):
        finetune(model, data, tmp_path, validation=data.iloc[:1])


def test_a_loss_that_is_no_number_stops_the_run(
    model: LocalModel, data: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(FloatingPointError, match="smaller learning_rate"):
        finetune(model, data, tmp_path, **{**QUICK, "learning_rate": 1e30, "schedule": "constant"})
