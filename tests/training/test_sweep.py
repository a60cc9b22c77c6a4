"""Sweeps and learning curves: one tidy table, and nothing is done twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit.result import Result
from simkit.scoring import LocalModel
from simkit.training import NumericLoss, learning_curve, sweep
from tests.training.conftest import AGREE, survey

pytest.importorskip("peft")
FIXED: dict[str, Any] = {"steps": 2, "batch": 8, "learning_rate": 1e-2}


class Counted:
    """The metrics of a study, which note how often they were asked for."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, model: LocalModel) -> dict[str, float]:
        self.calls += 1
        table = sk.believe(model, AGREE, survey(2))
        return {"yes": float(table["belief"].iloc[1]), "nothing": np.nan}


def test_a_grid_gives_a_tidy_table_once(
    model: LocalModel, data: pd.DataFrame, tmp_path: Path
) -> None:
    grid = {"penalty": [0.0, 0.2], "width": [0.0, 5.0, 9.0]}
    metrics = Counted()
    table = sweep(model, data, tmp_path, grid, metrics, **FIXED)
    assert table.columns.tolist() == [
        "penalty", "width", "steps", "best_step", "validation_loss", "quantity", "estimate",
    ]  # fmt: skip
    assert len(table) == 2 * 3 * 2
    assert metrics.calls == 6
    yes = table[table["quantity"] == "yes"].set_index(["penalty", "width"])["estimate"]
    assert yes[0.0].nunique() == 1  # without a penalty its width does nothing
    assert yes[0.2].nunique() == 3
    assert table.loc[table["quantity"] == "nothing", "estimate"].isna().all()
    again = sweep(model, data, tmp_path, grid, metrics, **FIXED)
    assert metrics.calls == 6
    pd.testing.assert_frame_equal(again, table)
    wider = sweep(model, data, tmp_path, {**grid, "penalty": [0.2, 0.4]}, metrics, **FIXED)
    assert metrics.calls == 9  # three cells more
    assert wider[wider["penalty"] == 0.2]["estimate"].tolist() == (
        pytest.approx(table[table["penalty"] == 0.2]["estimate"].tolist(), nan_ok=True)
    )
    with pytest.raises(ValueError, match="steps 3, there 2"):
        sweep(model, data, tmp_path, grid, metrics, **{**FIXED, "steps": 3})


def test_a_broken_sweep_goes_on(model: LocalModel, data: pd.DataFrame, tmp_path: Path) -> None:
    plain = Counted()

    def breaks(fitted: LocalModel) -> dict[str, float]:
        if plain.calls == 1:
            raise KeyboardInterrupt
        return plain(fitted)

    with pytest.raises(KeyboardInterrupt):
        sweep(model, data, tmp_path, {"rank": [2, 4, 8]}, breaks, **FIXED)
    adapters = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*/*.safetensors")}
    assert len(adapters) == 2  # the second was trained, and broke off while it was measured
    table = sweep(model, data, tmp_path, {"rank": [2, 4, 8]}, plain, **FIXED)
    assert plain.calls == 3
    assert table["rank"].tolist() == [2, 2, 4, 4, 8, 8]
    assert {p: p.stat().st_mtime_ns for p in adapters} == adapters


def test_results_keep_their_intervals(
    model: LocalModel, data: pd.DataFrame, tmp_path: Path
) -> None:
    def metrics(fitted: LocalModel) -> Result:
        numbers = {"estimate": [1.5], "std_error": [0.5], "low": [np.nan], "high": [2.5]}
        return Result("made up", pd.DataFrame(numbers, index=["x"]), 3, 0.05, "our formulation")

    table = sweep(model, data, tmp_path, {"method": ["lora"]}, metrics, **FIXED)
    row = table.iloc[0]
    assert (row["method"], row["quantity"], row["estimate"], row["high"]) == ("lora", "x", 1.5, 2.5)
    assert np.isnan(row["low"])


def test_what_the_grid_does_not_name_comes_from_numeric(
    model: LocalModel, data: pd.DataFrame, tmp_path: Path
) -> None:
    given = {"numeric": NumericLoss(0.2, width=3.0), **FIXED}
    one = sweep(model, data, tmp_path / "a", {"slope": [2.0]}, Counted(), **given)
    two = sweep(
        model, data, tmp_path / "b", {"penalty": [0.2], "slope": [2.0], "width": [3.0]}, Counted(),
        **FIXED,
    )  # fmt: skip
    assert one["estimate"][0] == two["estimate"][0]
    with pytest.raises(ValueError, match="no penalty"):
        sweep(model, data, tmp_path / "c", {"slope": [2.0]}, Counted(), **FIXED)


def test_a_learning_curve_grows_its_samples(
    model: LocalModel, data: pd.DataFrame, tmp_path: Path
) -> None:
    metrics = Counted()
    table = learning_curve(model, data, tmp_path, [4, 12], metrics, seeds=(0, 1), **FIXED)
    assert metrics.calls == 4
    rows = table[table["quantity"] == "yes"]
    assert rows["respondents"].tolist() == [4, 12, 4, 12]
    assert rows["seed"].tolist() == [0, 0, 1, 1]
    assert rows["examples"].between(7, 24).all()  # two answers each, but for one person
    assert rows["estimate"].nunique() == 4
    with pytest.raises(ValueError, match="25 respondents asked for; legal are 1 to 24"):
        learning_curve(model, data, tmp_path, [25], metrics, **FIXED)
    with pytest.raises(ValueError, match="seeds="):
        learning_curve(model, data, tmp_path, [4], metrics, seed=3, **FIXED)


def test_grids_without_cells_are_refused(
    model: LocalModel, data: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="no cells"):
        sweep(model, data, tmp_path, {"rank": []}, Counted())
    with pytest.raises(ValueError, match="steps is both in the grid and fixed"):
        sweep(model, data, tmp_path, {"steps": [1]}, Counted(), **FIXED)
    with pytest.raises(ValueError, match="gave no numbers"):
        sweep(model, data, tmp_path, {"rank": [2]}, lambda fitted: {}, **FIXED)
