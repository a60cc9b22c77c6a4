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


def test_every_module_is_imported_without_a_word():
    """Any text on stderr fails a saved notebook: bitsandbytes writes there when it is imported."""
    code = (
        "import importlib, pkgutil, sys, simkit\n"
        "for found in pkgutil.walk_packages(simkit.__path__, 'simkit.'):\n"
        "    importlib.import_module(found.name)\n"
        "print(*sorted({'bitsandbytes', 'peft', 'trl'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.split() == []
