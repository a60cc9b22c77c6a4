"""`import simkit` is quick and pulls in nothing heavy."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "papermill", "nbconvert", "matplotlib", "statsmodels")


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement", ["import simkit", "import simkit.reports", "import simkit.cli"]
)
def test_import_loads_nothing_heavy(statement):
    assert loaded_by(statement) & set(HEAVY) == set()


def test_the_check_sees_a_heavy_module():
    assert "matplotlib" in loaded_by("import matplotlib")
