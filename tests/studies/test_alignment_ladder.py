"""Alignment: what the pairs say, a micro run of SFT and DPO, and what ships."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from simkit import resources
from simkit.scoring import load
from simkit.studies.alignment_diversity.ladder import (
    PROFILES,
    Profile,
    demonstrations,
    ladder,
    preferences,
    train_adapters,
)
from simkit.worlds import concepts

SHIPPED = resources.root("data") / "adapters" / "alignment"
MICRO = Profile(doses=(1, 3), batch=4, sft_steps=2, panel=60)


def test_pairs_prefer_what_the_panel_said_more_often():
    pairs = preferences(120, 3, panel=2_000)
    assert len(pairs) == 120 and (pairs["ask"] == "animal").sum() == 60
    assert (pairs["chosen"] != pairs["rejected"]).all()
    colour = pairs[pairs["ask"] == "colour"]
    people = concepts.individuals(4_000, 99)
    said = concepts.answers(people, "colour", 7, blocks=1)
    share = said.groupby("word")["colour"].value_counts(normalize=True)
    right = []
    for _, row in colour.iterrows():
        word = next(w for w in concepts.WORDS if f"for {w}?" in row["prompt"])
        a, b = (share.get((word, row[c].strip()), 0.0) for c in ("chosen", "rejected"))
        right.append(a > b)
    assert np.mean(right) > 0.9  # panels differ where two answers are nearly as common
    top = [concepts.consensus(w)[0] for w in concepts.WORDS]
    assert colour["chosen"].str.strip().isin(top).mean() > 0.5


def test_pairs_and_demonstrations_are_seeded_and_text_only():
    one, two = preferences(20, 1, panel=50), preferences(20, 1, panel=50)
    assert one.equals(two)
    assert not one.equals(preferences(20, 2, panel=50))
    assert not one.equals(preferences(20, 1, panel=51))
    told = demonstrations(21, 1)
    assert told["question"].value_counts().to_dict() == {"colour": 11, "animal": 10}
    assert all(row["option"] in [o.strip() for o in row["options"]] for _, row in told.iterrows())
    assert all(len(row["prompt"]) > 0 for _, row in told.iterrows())


def test_refuses():
    from tests.training.conftest import tiny_model

    with pytest.raises(ValueError, match="was not trained on the concepts world"):
        train_adapters("nowhere", model=tiny_model(), progress=False)
    with pytest.raises(ValueError, match="no profile 'slow'; there are: fast, full"):
        train_adapters("nowhere", profile="slow", progress=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    pytest.importorskip("trl")
    base = load("glassbox")
    out = tmp_path_factory.mktemp("ladder")
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    paths = train_adapters(out, model=base, seed=4, profile=MICRO, progress=False)
    after = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    same = torch.equal(before[0], after[0]) and (before[1] == after[1]).all()
    return base, out, paths, same and before[2] == after[2]


def test_micro_run_leaves_adapters_cards_and_no_trace(trained):
    base, out, paths, untouched = trained
    assert [p.name for p in paths] == ["sft", "dpo-0001", "dpo-0003"]
    assert untouched  # the trainer seeds the global generators; that is given back
    for path in paths:
        assert (path / "adapter_model.safetensors").stat().st_size < 100_000
        assert (path / "README.md").read_text().count("|") > 10
    said = json.loads((out / "ladder.json").read_text())
    assert [s["dose"] for s in said["steps"]] == [0, 1, 3]
    assert not any("peft" in name for name, _ in base.network.named_parameters())


def test_dpo_moves_towards_what_was_chosen(trained):
    base, out, _, _ = trained
    pairs = preferences(MICRO.pairs, 4, panel=MICRO.panel)
    rungs = ladder(base, out)
    assert {name: dose for name, (dose, _) in rungs.items()} == {
        "sft": 0, "dpo-0001": 1, "dpo-0003": 3,
    }  # fmt: skip
    margin = {}
    for name, (_, model) in rungs.items():
        scores = model.scores(
            pairs["prompt"].tolist(), pairs[["chosen", "rejected"]].to_numpy().tolist()
        )
        margin[name] = (scores.logprob[:, 0] - scores.logprob[:, 1]).mean()
    assert margin["sft"] < margin["dpo-0001"] < margin["dpo-0003"]


def test_a_missing_ladder_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="simkit train-adapters alignment"):
        ladder(load("glassbox"), tmp_path)


def test_shipped_ladder_is_small_and_whole():
    assert (SHIPPED / "ladder.json").exists()
    names = [s["name"] for s in json.loads((SHIPPED / "ladder.json").read_text())["steps"]]
    assert names[0] == "sft" and len(names) == 1 + len(PROFILES["fast"].doses)
    files = [p for p in SHIPPED.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) < 1_000_000
    weights = {p.parent.name for p in files if p.suffix == ".safetensors"}
    assert weights == set(names)


def test_shipped_ladder_fits_the_shipped_glass_box():
    rungs = ladder(load("glassbox"))
    assert [dose for dose, _ in rungs.values()] == [0, *PROFILES["fast"].doses]


def test_paths_of_no_machine_are_in_what_ships():
    for path in SHIPPED.rglob("*.json"):
        assert str(Path.home()) not in path.read_text()
