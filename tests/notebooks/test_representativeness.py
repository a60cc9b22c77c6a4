"""Study 05 on any causal LM: the exact lines vanish, voters of 1996 take the world's place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simkit import reports
from tests.notebooks.test_other_models import random_model

SMALL = {"humans": 150, "simulated": 20, "voters": 25, "n_boot": 8, "repetitions": 2}


@pytest.mark.parametrize("architecture", ["gpt2", pytest.param("llama", marks=pytest.mark.slow)])
def test_representativeness_on_a_random_model(architecture: str, tmp_path: Path) -> None:
    folder = random_model(architecture, tmp_path / f"random-{architecture}")
    made = reports.run("representativeness", {**SMALL, "model": str(folder)}, out=tmp_path)
    record = json.loads((tmp_path / "representativeness.json").read_text())
    assert record["provenance"]["model"] == folder.name
    names = {number["name"] for number in record["numbers"]}
    assert "Structural error, joint interview" in names
    assert "Twins, structural error" in names  # recorded: no model needed
    assert not any("exact" in name for name in names)  # what the world knows is left out
    page = made.read_text(encoding="utf-8")
    assert "perfect personas</th>" not in page
    assert "No adapters for this model" in page
