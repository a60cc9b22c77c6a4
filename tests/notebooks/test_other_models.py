"""The study runs on any causal LM: the truth lines vanish, the diagnostics stay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import simkit as sk
from simkit import reports
from tests.scoring.conftest import make_network, make_tokenizer


def random_model(architecture: str, folder: Path) -> Path:
    tokenizer = make_tokenizer(bos=architecture == "llama")
    make_network(architecture, len(tokenizer), positions=1024).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_demand_endogeneity_ends_on_a_random_model(architecture: str, tmp_path: Path) -> None:
    folder = random_model(architecture, tmp_path / f"random-{architecture}")
    made = reports.run("demand_endogeneity", {"model": str(folder)}, out=tmp_path)
    record = json.loads((tmp_path / "demand_endogeneity.json").read_text())
    assert record["provenance"]["model"] == folder.name
    names = {number["name"] for number in record["numbers"]}
    # Random weights spread their probability over all tokens: nothing may be claimed of them.
    assert "Valid mass, buys" in names and not any("index" in name for name in names)
    page = made.read_text(encoding="utf-8")
    assert "This study ends here." in page and "Demand by way of asking" not in page


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_belief_efficiency_ends_on_a_random_model(architecture: str, tmp_path: Path) -> None:
    """Random weights put next to nothing on the options: that is said, and no factor is given."""
    folder = random_model(architecture, tmp_path / f"random-{architecture}")
    small = {"repetitions": 20, "max_tokens": 6, "model": str(folder)}
    made = reports.run("belief_efficiency", small, out=tmp_path)
    record = json.loads((tmp_path / "belief_efficiency.json").read_text())
    assert record["provenance"]["model"] == folder.name
    names = [number["name"] for number in record["numbers"]]
    assert names == ["Valid mass, choice after a thought", "Valid mass, choice at once"]
    page = made.read_text(encoding="utf-8")
    assert "<strong>This study ends here.</strong>" in page
    assert "Three truths" not in page and "Ground truth</strong>" not in page


@pytest.mark.slow  # a minute or two of reasoning
def test_belief_efficiency_on_a_real_model(tmp_path: Path) -> None:
    try:
        sk.load("smollm2")
    except ValueError as error:
        pytest.skip(str(error))
    small = {"budget_minutes": 0.3, "repetitions": 20, "model": "smollm2"}
    made = reports.run("belief_efficiency", small, out=tmp_path)
    record = json.loads((tmp_path / "belief_efficiency.json").read_text())
    numbers = {number["name"]: number for number in record["numbers"]}
    assert record["numbers"][0]["name"] == "Efficiency factor"
    assert numbers["Valid mass"]["value"] > 0.7
    assert {f"Efficiency factor, {c}" for c in ("diapers", "cola", "cereal")} <= set(numbers)
    page = made.read_text(encoding="utf-8")
    assert "<strong>Ground truth</strong>" in page and "<strong>Three truths" not in page
    assert "for the estimators" in page  # what the time allowed is said


def test_alignment_diversity_ends_on_a_random_model(tmp_path: Path) -> None:
    """No option is likely: the page says so at its head, and claims nothing."""
    folder = random_model("gpt2", tmp_path / "random-gpt2")
    small = {"people": 4, "sweeps": 20, "compare": str(folder), "temperatures": [1.0]}
    made = reports.run("alignment_diversity", {**small, "model": str(folder)}, out=tmp_path)
    record = json.loads((tmp_path / "alignment_diversity.json").read_text())
    assert record["provenance"]["model"] == folder.name
    names = {number["name"] for number in record["numbers"]}
    assert {"Valid mass, colours", "Valid mass, animals"} <= names
    assert not any("signed distance" in name for name in names)
    assert "This study ends here." in made.read_text(encoding="utf-8")


def test_population_finetuning_ends_where_a_model_does_not_answer(tmp_path: Path) -> None:
    folder = random_model("llama", tmp_path / "random-llama")
    made = reports.run("population_finetuning", {"model": str(folder)}, out=tmp_path)
    record = json.loads((tmp_path / "population_finetuning.json").read_text())
    assert record["provenance"]["model"] == folder.name
    assert {"Valid mass, selfLR", "Valid mass, vote"} <= {n["name"] for n in record["numbers"]}
    page = made.read_text(encoding="utf-8")
    assert "This study ends here." in page and "The adapters" not in page


@pytest.mark.slow  # a real model is asked and trained: minutes
def test_population_finetuning_on_a_real_model(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    small = {"n_boot": 10, "temperature_step": 1.0, "budget_minutes": 0.05}
    few = {**small, "training_minutes": 0.05, "model": "smollm2"}
    made = reports.run("population_finetuning", few, out=tmp_path)
    record = json.loads((tmp_path / "population_finetuning.json").read_text())
    numbers = {number["name"]: number for number in record["numbers"]}
    assert {"KL, LoRA", "Log loss, LoRA − logit, vote"} <= set(numbers)
    assert {"KL, direct shares", "KL, training marginal", "KL, ordered logit"} <= set(numbers)
    assert numbers["Valid mass, base, selfLR"]["value"] > 0.8
    page = made.read_text(encoding="utf-8")
    assert "minutes of training, shared out" in page and "glass box" not in page.lower()
