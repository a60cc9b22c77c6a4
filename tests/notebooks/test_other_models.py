"""The study runs on any causal LM: the truth lines vanish, the diagnostics stay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simkit import reports
from tests.scoring.conftest import make_network, make_tokenizer


def random_model(architecture: str, folder: Path) -> Path:
    tokenizer = make_tokenizer(bos=architecture == "llama")
    make_network(architecture, len(tokenizer), positions=1024).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_demand_endogeneity_on_a_random_model(architecture: str, tmp_path: Path) -> None:
    folder = random_model(architecture, tmp_path / f"random-{architecture}")
    small = {"products": 1, "wordings": 3, "profiles": 2, "compare": str(folder)}
    made = reports.run("demand_endogeneity", {**small, "model": str(folder)}, out=tmp_path)
    record = json.loads((tmp_path / "demand_endogeneity.json").read_text())
    assert record["provenance"]["model"] == folder.name
    names = {number["name"] for number in record["numbers"]}
    assert "Endogeneity index, blind, exact" in names
    assert not any("truth" in name for name in names)
    page = made.read_text(encoding="utf-8")
    assert "world is not known" in page  # and so no distances, no truth lines
    assert "Two models." in page  # the second model, here the same one, is drawn beside it
    assert "Capri Sun" in page  # the source's own products and grid


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_belief_efficiency_on_a_random_model(architecture: str, tmp_path: Path) -> None:
    folder = random_model(architecture, tmp_path / f"random-{architecture}")
    small = {"runs": 40, "truth_runs": 50, "repetitions": 20, "max_tokens": 6}
    made = reports.run("belief_efficiency", {**small, "model": str(folder)}, out=tmp_path)
    record = json.loads((tmp_path / "belief_efficiency.json").read_text())
    assert record["provenance"]["model"] == folder.name
    names = [number["name"] for number in record["numbers"]]
    assert names[0] == "Efficiency factor"
    page = made.read_text(encoding="utf-8")
    assert "<strong>Ground truth</strong>" in page  # rendered: the code is on the page too
    assert "<strong>Three truths" not in page
    # Random weights never write the marker: every run was made to answer, and that is said.
    assert "0.0% of the runs came to their answer by themselves" in page


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


@pytest.mark.slow  # six adapters are trained on prompts of 500 tokens
def test_population_finetuning_on_a_random_model(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    pytest.importorskip("bitsandbytes")
    folder = random_model("llama", tmp_path / "random-llama")
    small = {"n_boot": 10, "temperature_step": 1.0}
    made = reports.run("population_finetuning", {**small, "model": str(folder)}, out=tmp_path)
    record = json.loads((tmp_path / "population_finetuning.json").read_text())
    assert record["provenance"]["model"] == folder.name
    names = {number["name"] for number in record["numbers"]}
    assert {"KL, LoRA", "Log loss, LoRA − logit, vote"} <= names
    assert "trained in this run, a few steps each" in made.read_text(encoding="utf-8")
