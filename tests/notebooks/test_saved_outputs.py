"""What nbval does not see: missing outputs, long code, words that will not last."""

import copy
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_notebook, new_output

from simkit import resources
from simkit.reports import find
from tests import small_notebooks as small

LONGEST = 15
KNOBS = 20  # a line each, in the cell of the parameters
FLEETING = {
    "a path of one machine": r"(?<![\w.])/(?:home|Users|root|tmp|work|usr|opt)/\w|[A-Z]:\\\\?Users",
    "a time stamp": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d",
    "a memory address": r"\b0x[0-9a-f]{6,}\b",
    "a progress bar": r"\d+%\|",
}


def saved() -> list[Path]:
    try:
        return sorted(resources.root("notebooks").glob("*.ipynb"))
    except FileNotFoundError:
        return []


def code_cells(notebook):
    return [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]


def shown(cell) -> str:
    """All text in a cell's outputs."""
    parts = []
    for output in cell.outputs:
        parts += [output.get("text", "")]
        parts += [v for k, v in output.get("data", {}).items() if k.startswith("text/")]
    return "\n".join(map(str, parts))


def complaints(notebook) -> list[str]:
    cells = code_cells(notebook)
    found = []
    for number, cell in enumerate(cells, start=1):
        if cell.execution_count is None:
            found.append(f"code cell {number} was saved without being run")
        elif cell.execution_count != number:
            found.append(f"code cell {number} was run as number {cell.execution_count}")
        if any(o.output_type == "error" for o in cell.outputs):
            found.append(f"code cell {number} was saved with an error")
        if any(o.output_type == "stream" and o.name == "stderr" for o in cell.outputs):
            found.append(f"code cell {number} wrote to stderr")
        longest = KNOBS if "parameters" in cell.metadata.get("tags", []) else LONGEST
        if len(cell.source.splitlines()) > longest:
            found.append(f"code cell {number} has more than {longest} lines")
        text = shown(cell)
        found += [
            f"code cell {number} shows {w}" for w, p in FLEETING.items() if re.search(p, text)
        ]
    tagged = [n for n, c in enumerate(cells, 1) if "parameters" in c.metadata.get("tags", [])]
    if tagged != [2]:
        found.append(f"the parameters cell is code cell {tagged}, not the second")
    if not any(c.outputs for c in cells):
        found.append("no cell shows anything")
    return found


@pytest.fixture
def healthy():
    parameters = small.code("seed: int = 1  # of everything", "parameters")
    cells = [small.code("import simkit"), parameters, small.code("seed + 1")]
    for number, cell in enumerate(cells, start=1):
        cell.execution_count = number
    cells[2].outputs = [new_output("execute_result", data={"text/plain": "2"}, execution_count=3)]
    return new_notebook(cells=[small.markdown("# Healthy"), *cells])


@pytest.mark.parametrize("path", saved(), ids=lambda p: p.stem)
def test_saved_notebooks(path):
    assert complaints(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize("path", saved(), ids=lambda p: p.stem)
def test_every_knob_is_typed_and_commented(path):
    knobs = find(path).parameters.values()
    assert [k.name for k in knobs if not (k.type and k.help)] == []
    assert "# " in nbformat.read(path, as_version=4).cells[0].source  # the title


def test_the_checks_pass_a_healthy_notebook(healthy):
    assert complaints(healthy) == []


@pytest.mark.parametrize("path", saved(), ids=lambda p: p.stem)
def test_a_cleared_copy_fails(path):
    cleared = nbformat.read(path, as_version=4)
    for cell in code_cells(cleared):
        cell.execution_count, cell.outputs = None, []
    assert len(complaints(cleared)) > len(code_cells(cleared))


def break_count(nb):
    code_cells(nb)[2].execution_count = None


def break_order(nb):
    code_cells(nb)[2].execution_count = 9


def break_length(nb):
    code_cells(nb)[2].source = "x = 1\n" * (LONGEST + 1)


def break_tag(nb):
    code_cells(nb)[1].metadata.tags = []


def break_place(nb):
    nb.cells.insert(0, copy.deepcopy(code_cells(nb)[0]))


def break_text(text):
    def change(nb):
        code_cells(nb)[2].outputs[0].data["text/plain"] = text

    return change


@pytest.mark.parametrize(
    "damage",
    [
        break_count,
        break_order,
        break_length,
        break_tag,
        break_place,
        break_text("/Users/ann/model"),
        break_text("2026-01-31 12:30:00"),
        break_text("<object at 0x7f12ab34cd56>"),
        break_text("Loading:  40%|####      |"),
    ],
)
def test_each_damage_is_seen(healthy, damage):
    damage(healthy)
    assert complaints(healthy) != []
