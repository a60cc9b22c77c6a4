"""A short run on the glass box that ships, about a population it was not trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

import simkit as sk
from simkit.training import examples, finetune, split_respondents
from simkit.worlds import survey

pytest.importorskip("peft")


def test_the_glass_box_learns_of_another_population(tmp_path: Path) -> None:
    model = sk.load("glassbox")
    people = survey.respondents(100, 7, survey.POPULATIONS["target"])
    asked = {name: survey.question(name) for name in ("ev_before", "climate")}
    table = examples(survey.design(people), asked, people)
    part = split_respondents(table["respondent"], {"train": 0.8, "validation": 0.2}, seed=1)
    fit = finetune(
        model, table[part == "train"], tmp_path / "ev", validation=table[part == "validation"],
        steps=20, every=10,
    )  # fmt: skip
    losses = fit.history["validation_loss"]
    assert losses.iloc[-1] < losses.iloc[0] - 0.05
    assert (tmp_path / "ev" / "adapter_model.safetensors").stat().st_size < 300_000
    assert fit.model.path == "tree"
