"""Adapters come back as they went, on the base they were made for, in small folders."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import simkit as sk
from simkit.scoring import LocalModel
from simkit.training import Adapted, NumericLoss, extras, finetune, load_adapter
from simkit.training.base import fingerprint, shared_copy
from tests.training.conftest import AGREE, survey, tiny_model

peft = pytest.importorskip("peft")


@pytest.fixture(scope="module")
def fit(model: LocalModel, data: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Adapted:
    held = data[data["respondent"].isin(["p1", "p2"])]
    return finetune(
        model, data.drop(held.index), tmp_path_factory.mktemp("adapters") / "old and young",
        validation=held, steps=6, batch=8, learning_rate=1e-2,
        numeric=NumericLoss(0.05, width=1.0), data="A made-up survey.",
    )  # fmt: skip


def test_scores_survive_the_round_trip(fit: Adapted, model: LocalModel) -> None:
    prompts = AGREE.prompts(survey(5))
    before = sk.score(model, prompts, [" yes", " no"])
    loaded = load_adapter(model, fit.folder)
    found = sk.score(loaded, prompts, [" yes", " no"])
    assert np.array_equal(found, sk.score(fit.model, prompts, [" yes", " no"]))
    assert np.abs(found - before).max() > 0.1
    assert np.array_equal(sk.score(model, prompts, [" yes", " no"]), before)
    assert loaded.name == "tiny + old and young"
    assert loaded.path == "tree"
    with extras.hushed():
        theirs = peft.PeftModel.from_pretrained(shared_copy(model.network), fit.folder)
    plain = replace(model, network=theirs.eval())
    assert np.array_equal(sk.score(plain, prompts, [" yes", " no"]), found)


def test_the_folder_is_small_and_names_no_machine(fit: Adapted, data: pd.DataFrame) -> None:
    files = sorted(fit.folder.iterdir())
    assert [f.name for f in files] == [
        "README.md", "adapter_config.json", "adapter_model.safetensors", "training.json",
    ]  # fmt: skip
    record = json.loads((fit.folder / "training.json").read_text())
    size = (fit.folder / "adapter_model.safetensors").stat().st_size
    assert size < 2 * record["parameters"] + 5_000  # two bytes each, and the names
    for file in files:
        for path in (str(fit.folder.parent), "/tmp/", "/home/"):
            assert path.encode() not in file.read_bytes()
    config = json.loads((fit.folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny"


def test_only_the_adapter_is_saved(
    model: LocalModel, data: pd.DataFrame, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """Even where the base's folder has another model by now, of another vocabulary."""
    model.network.save_pretrained(tmp_path / "base")
    model.tokenizer.save_pretrained(tmp_path / "base")
    base = sk.load(tmp_path / "base")
    path = tmp_path / "base" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "vocab_size": 999}))
    fit = finetune(base, data, tmp_path / "a", steps=1)
    names = load_file(fit.folder / "adapter_model.safetensors").keys()
    assert len(names) == 2 * 14
    assert all(".lora_" in name for name in names)
    assert "embedding" not in "".join(str(w.message) for w in recwarn)


def test_the_card_says_what_it_is(fit: Adapted, model: LocalModel) -> None:
    card = (fit.folder / "README.md").read_text()
    for said in (
        "base_model: tiny", "A made-up survey.", "| rank | 8 |", "| seed | 0 |", "| steps done | 6",
        f"weights {fingerprint(model.network)}", "Questions: agree, days", "43 answers of 22",
        "4 of 2 others to validate", "weight 0.05, slope 1, width 1 in the scale's unit",
        f"| validation loss | {fit.record['validation_loss']:.4f}, before", "stored in float16",
        "load_adapter(",
    ):  # fmt: skip
        assert said in card, said


def test_another_base_is_refused(fit: Adapted) -> None:
    other = tiny_model(seed=6, name="stranger")
    ours, theirs = fit.base.network, other.network
    with pytest.raises(ValueError) as error:
        load_adapter(other, fit.folder)
    for said in ("tiny", "stranger", fingerprint(ours)[:12], fingerprint(theirs)[:12]):
        assert said in str(error.value)
    assert load_adapter(other, fit.folder, check=False).name == "stranger + old and young"


def test_a_base_is_known_in_half_precision_and_on_shared_weights(model: LocalModel) -> None:
    half = tiny_model(dtype=torch.bfloat16)
    assert fingerprint(half.network) == fingerprint(model.network)
    copied = shared_copy(model.network)
    assert fingerprint(copied) == fingerprint(model.network)
    assert copied.lm_head.weight.data_ptr() == model.network.lm_head.weight.data_ptr()
    assert copied.lm_head.weight is copied.model.embed_tokens.weight  # still tied
    assert fingerprint(tiny_model(seed=6).network) != fingerprint(model.network)


def test_adapters_from_elsewhere(fit: Adapted, model: LocalModel, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing holds no adapter"):
        load_adapter(model, tmp_path / "nothing")
    shutil.copytree(fit.folder, tmp_path / "theirs")
    (tmp_path / "theirs" / "training.json").unlink()
    with pytest.raises(ValueError, match="so its base cannot be checked"):
        load_adapter(model, tmp_path / "theirs")
    assert load_adapter(model, tmp_path / "theirs", check=False).name == "tiny + theirs"


def test_an_adapter_on_an_adapter_is_refused(
    fit: Adapted, data: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="has an adapter already"):
        finetune(fit.model, data, tmp_path / "twice", steps=1)


def test_a_missing_package_says_what_to_install(
    model: LocalModel, data: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(ImportError, match=r'peft.*pip install "simkit\[training\]"'):
        finetune(model, data, tmp_path / "a", steps=1)
    with pytest.raises(ImportError, match=r"bitsandbytes.*simkit\[training\]"):
        finetune(model, data, tmp_path / "a", steps=1, method="qlora")
