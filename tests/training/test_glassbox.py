"""The weights that ship keep their promises, and the card says what a run says."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit.resources import root
from simkit.training import calibrate
from simkit.training.calibration import LIMITS, UNUSED, joint_correlation

SHIPPED = [f.parent for f in sorted((root("data") / "models").glob("*/calibration.csv"))]


def test_something_ships_and_is_small() -> None:
    assert SHIPPED
    weights = list((root("data") / "models").glob("*/model.safetensors"))
    assert sum(w.stat().st_size for w in weights) < 25e6
    assert len([n for n in sk.bundled() if n.startswith("glassbox-small-")]) >= 3


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda f: f.name)
def test_calibration_is_within_the_limits(folder) -> None:  # type: ignore[no-untyped-def]
    stored = pd.read_csv(folder / "calibration.csv", index_col="kind")
    used = stored.drop(index=list(UNUSED))
    few = used[used["options"] <= 5]
    many = used[used["options"] > 5]
    assert (few["mean_error"] <= LIMITS["mean_error"]).all()
    assert few["within"].mean() >= LIMITS["within"]  # equal numbers of prompts per kind
    assert (many["total_variation"] <= LIMITS["total_variation"]).all()
    assert (stored["valid_mass"] > 0.97).all()


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda f: f.name)
def test_the_stored_table_is_what_the_weights_give(folder) -> None:  # type: ignore[no-untyped-def]
    stored = pd.read_csv(folder / "calibration.csv", index_col="kind")
    again = calibrate(sk.load(folder), n=int(stored["prompts"].iloc[0]))
    pd.testing.assert_frame_equal(again.round(3), stored.round(3), atol=2e-3, check_dtype=False)
    card = (folder / "README.md").read_text()
    for kind, row in stored.iterrows():
        assert f"| {kind} | {row['prompts']:.0f} |" in card
    assert "says nothing about real people" in card
    assert json.loads((folder / "training.json").read_text())["step"] > 0


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda f: f.name)
def test_joint_answers_correlate_as_the_worlds_do(folder) -> None:  # type: ignore[no-untyped-def]
    gap = joint_correlation(sk.load(folder)).to_numpy()
    rmsd = np.sqrt((gap[~np.eye(8, dtype=bool)] ** 2).mean())
    assert rmsd <= 0.05  # the world's own off-diagonal correlations have a root mean square of 0.26
    assert f"{rmsd:.3f} from the world's own" in (folder / "README.md").read_text()
