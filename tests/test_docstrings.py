"""Public functions document every parameter and what they return; the most used show an example."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from pathlib import Path

import pytest

validate = pytest.importorskip("numpydoc.validate").validate
HERE = Path(__file__).parent.parent
FACES = ["simkit", "simkit.estimators", "simkit.personas", "simkit.plots", "simkit.scoring"]
FACES += ["simkit.datasets", "simkit.training", "simkit.worlds", "simkit.studies"]
FACES += ["simkit.worlds.market", "simkit.worlds.survey", "simkit.worlds.concepts"]
# A docstring, its summary, each parameter (no more and no fewer), what is returned.
CHECKS = {"GL08", "SS01", "PR01", "PR02", "RT01"}


def _public() -> dict[str, object]:
    """Functions that a face lists, by the name of their home."""
    found = {}
    for face in map(importlib.import_module, FACES):
        for name in getattr(face, "__all__", []):
            value = getattr(face, name)
            if inspect.isfunction(value):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return found


PUBLIC = _public()


def _code() -> str:
    cells = [c for p in HERE.glob("notebooks/*.ipynb") for c in json.loads(p.read_text())["cells"]]
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    return "\n".join([*code, (HERE / "README.md").read_text()])


def _called() -> list[str]:
    """Those that a notebook or the README calls, but figures, which an example cannot show."""
    code = _code()
    return [
        path
        for path in sorted(PUBLIC)
        if re.search(rf"\b{path.split('.')[-1]}\(", code) and ".plots." not in path
    ]


@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_every_parameter_is_documented(path: str) -> None:
    wrong = [text for code, text in validate(path)["errors"] if code in CHECKS]
    assert not wrong, wrong


@pytest.mark.parametrize("path", _called())
def test_what_a_notebook_calls_shows_an_example(path: str) -> None:
    assert ">>> " in inspect.getdoc(PUBLIC[path])


def test_as_many_as_are_promised() -> None:
    assert len(_called()) >= 40
