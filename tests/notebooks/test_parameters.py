"""A set of parameters that no cell could work with is refused in the cell after them."""

from __future__ import annotations

import ast
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import pytest

from simkit.reports import find

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("00", {"product": " "}, "product is ' '"),
    ("00", {"product": 5}, "product is 5; it must be str"),
    ("00", {"product": ["soap"]}, "product is"),
    ("00", {"model": 7}, "model is 7; it must be str"),
    ("00", {"model": "./no-such-model"}, "no-such-model"),
    ("02", {"runs": 19}, "runs is 19; it must be a whole number from 20"),
    ("02", {"truth_runs": 100.0}, "truth_runs is 100.0"),
    ("02", {"repetitions": True}, "repetitions is True"),
    ("02", {"max_tokens": 1_000}, "max_tokens 1000"),  # allowed, but no room for it in the model
    ("02", {"budget_minutes": 0.0}, "budget_minutes is 0.0; it must be a number from 0.1"),
    ("02", {"chat": "maybe"}, "no chat 'maybe'"),
    ("02", {"system": "You are a parent."}, "asked in plain text"),
    ("02", {"profile": "slow"}, "profile is 'slow'"),
    ("03", {"sizes": ["huge"]}, r"sizes is \['huge'\]"),
    ("03", {"temperature_step": 0.0}, "temperature_step is 0.0; it must be a number from 0.01"),
    ("03", {"n_boot": 2}, "n_boot is 2"),
    ("03", {"adapters": __file__}, "which is a file; it must be a folder"),
    ("04", {"people": 1}, "people is 1"),
    ("04", {"people": 157}, "people is 157; it must be a whole number from 4 to 156"),
    ("04", {"targets": ["dragon"]}, r"targets is \['dragon'\]"),
    ("04", {"temperatures": [-1.0]}, r"temperatures is \[-1.0\]"),
    ("04", {"contexts": ["mood"]}, r"contexts is \['mood'\]"),
    ("04", {"sweeps": 2}, "sweeps is 2"),
    ("04", {"compare": "./no-such-model"}, "no-such-model"),
    ("05", {"humans": 50}, "humans is 50"),
    ("05", {"simulated": 2}, "simulated is 2"),
    ("05", {"voters": 0}, "voters is 0"),
    ("05", {"n_boot": 1}, "n_boot is 1"),
    ("05", {"repetitions": 0}, "repetitions is 0"),
    ("05", {"seed": -1}, "seed is -1; it must be a whole number from 0"),
]


def first_cells(number: str) -> list[str]:
    """Imports, parameters, and the code cell after them, of which a last expression is shown."""
    notebook = nbformat.read(find(number).path, as_version=4)
    return [c.source for c in notebook.cells if c.cell_type == "code"][:3]


@pytest.mark.parametrize(("number", "values", "said"), WRONG, ids=lambda v: str(v)[:30])
def test_wrong_parameters_are_refused_at_once(
    number: str, values: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    imports, parameters, checking = first_cells(number)
    space: dict[str, Any] = {"__name__": "__main__"}
    with plt.rc_context():
        exec(imports, space)
        exec(parameters, space)
        assert set(values) <= set(space["__annotations__"])
        space |= values
        with pytest.raises(ValueError, match=said):
            exec(checking, space)


@pytest.mark.parametrize("number", ["00", "02", "03", "04", "05"])
def test_the_check_comes_before_anything_else(number: str) -> None:
    """So that a wrong value is named before a model is loaded, which may take minutes."""
    calls = [n for n in ast.walk(ast.parse(first_cells(number)[2])) if isinstance(n, ast.Call)]
    named = sorted((c.lineno, ast.unparse(c.func)) for c in calls)
    names = [name for _, name in named]
    assert names.index("reports.check") < names.index("sk.load")
