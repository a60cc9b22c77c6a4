"""`make new-study` gives a notebook that runs, records a number, and is as the others are."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from docs import new_study
from simkit import reports
from tests.notebooks.test_saved_outputs import complaints


def test_a_new_study_runs_and_records_a_number(tmp_path: Path) -> None:
    (tmp_path / "07_older.ipynb").touch()
    path = new_study.create("price_memory", tmp_path)
    assert path.name == "08_price_memory.ipynb"
    study = reports.find(path)
    assert study.title == "Price memory: the question in one line"
    assert all(knob.type and knob.help for knob in study.parameters.values())
    reports.run(path, {"products": 2, "wordings": 2}, out=tmp_path / "out")
    record = json.loads((tmp_path / "out" / "price_memory.json").read_text())
    assert record["numbers"][0]["name"] == "P(buy) at the highest price"
    made = nbformat.read(tmp_path / "out" / path.name, as_version=4)
    made.cells = [c for c in made.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    assert [c for c in complaints(made) if "was run as number" not in c] == []


@pytest.mark.parametrize("name", ["", "My Study", "../x", "1_x", "x__y"])
def test_what_is_no_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it must be lower-case words"):
        new_study.create(name, tmp_path)


def test_a_name_is_given_once(tmp_path: Path) -> None:
    new_study.create("tea", tmp_path)
    with pytest.raises(ValueError, match="there is a study tea already"):
        new_study.create("tea", tmp_path)
