"""Study 05 on any causal LM: measured first; voters of 1996 take the world's place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import simkit as sk
from simkit import reports
from tests.notebooks.test_other_models import random_model

SMALL = {"humans": 150, "simulated": 20, "voters": 25, "n_boot": 8, "repetitions": 2}


def names_of(record: dict) -> set[str]:
    return {number["name"] for number in record["numbers"]}


@pytest.mark.parametrize("architecture", ["gpt2", pytest.param("llama", marks=pytest.mark.slow)])
def test_representativeness_on_a_random_model(architecture: str, tmp_path: Path) -> None:
    # It answers with none of the options, so nothing is claimed of it.
    folder = random_model(architecture, tmp_path / f"random-{architecture}")
    made = reports.run("representativeness", {**SMALL, "model": str(folder)}, out=tmp_path)
    record = json.loads((tmp_path / "representativeness.json").read_text())
    assert record["provenance"]["model"] == folder.name and record["status"] == "stopped"
    assert "Valid mass, party" in names_of(record)
    assert not any("tructural error" in name for name in names_of(record))
    assert "This study ends here" in made.read_text(encoding="utf-8")


@pytest.mark.slow  # a real model, two minutes
def test_representativeness_on_a_real_model(tmp_path: Path) -> None:
    try:
        sk.load("smollm2")
    except (ImportError, OSError, ValueError):
        pytest.skip("simkit models add smollm2")
    small = {**SMALL, "model": "smollm2", "budget_minutes": 0.1}
    made = reports.run("representativeness", small, out=tmp_path)
    record = json.loads((tmp_path / "representativeness.json").read_text())
    names = names_of(record)
    assert "Structural error, joint interview" in names
    assert "Personas less direct shares, marginal error" in names
    assert "Survey as good in structure as joint interview" in names
    assert "Twins, structural error" in names  # recorded: no model needed
    assert not any("exact" in name for name in names)  # what the world knows is left out
    page = made.read_text(encoding="utf-8")
    assert "perfect personas</th>" not in page and "glass box" not in page.lower()
    assert "No adapter has learnt these questions" in page
