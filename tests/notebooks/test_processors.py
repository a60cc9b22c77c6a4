"""The comparison across processors sees a cell that shows another text, and names it."""

from pathlib import Path

import pytest
from nbformat.v4 import new_output

from tests import small_notebooks as small
from tests.notebooks.processors import SETTINGS, compare, differing


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """Its second code cell shows a setting, and was saved with AVX2."""
    cells = [small.code("import os"), small.code("os.environ['ATEN_CPU_CAPABILITY']")]
    for number, cell in enumerate(cells, start=1):
        cell.execution_count = number
    cells[1].outputs = [
        new_output("execute_result", data={"text/plain": "'avx2'"}, execution_count=2)
    ]
    path: Path = small.write(tmp_path / "07_units.ipynb", *cells)
    return path


def test_cells_that_differ_are_counted_and_named(notebook: Path) -> None:
    names = ("torch AVX2", "torch without vectors")
    table = compare([notebook], {name: SETTINGS[name] for name in names}, jobs=2)
    assert table["07_units"].to_dict() == {"torch AVX2": "0", "torch without vectors": "1: 1"}


def test_a_notebook_that_cannot_be_run_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "bad.ipynb").write_text("{")
    assert differing(tmp_path / "bad.ipynb", {}).startswith("error: ")
