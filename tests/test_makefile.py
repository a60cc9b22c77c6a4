"""The recipes of make: what a failure leaves behind, and what stays out of git."""

import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from simkit import reports, resources

CHECKOUT = resources.checkout()
pytestmark = pytest.mark.skipif(
    CHECKOUT is None or shutil.which("make") is None, reason="needs the source checkout and make"
)


@pytest.fixture
def project(tmp_path):
    """A project whose installation fails at once, without any network."""
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "nothing"\nversion = "0"\n')
    (tmp_path / "constraints.txt").write_text("this is no requirement\n")
    return tmp_path


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    call = ["make", "-C", str(folder), f"PYTHON={sys.executable}", *words]
    return subprocess.run(call, capture_output=True, text=True)


def test_a_failing_install_leaves_no_half_environment(project):
    before = {p.name for p in project.iterdir()}
    done = make(project, "VENV=env", "reports")
    assert done.returncode != 0
    assert "this is no requirement" in done.stderr  # what pip said is seen
    assert {p.name for p in project.iterdir()} == before


def test_a_folder_that_is_no_environment_is_left_alone(project):
    (project / "mine").mkdir()
    (project / "mine" / "thesis.txt").write_text("years of work")
    for venv in ("mine", "."):
        done = make(project, f"VENV={venv}", "reports")
        assert done.returncode != 0 and "is no environment and not empty" in done.stderr
    assert (project / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.skipif(not (CHECKOUT / ".git").exists(), reason="needs git")
def test_git_ignores_what_runs_write_and_keeps_what_is_published():
    text = (CHECKOUT / "Makefile").read_text()
    recipes = [
        text.partition(f"\n{name}: ")[2].partition("\n\n")[0]
        for name in ("reports", "full", "real")
    ]
    default = inspect.signature(reports.run).parameters["out"].default
    outs = [default, *(recipe.partition("--out ")[2].split()[0] for recipe in recipes)]
    assert outs == [default, default, f"{default}/full", f"{default}/smollm2"]

    def ignored(path: str) -> bool:
        call = ["git", "check-ignore", "--quiet", path]
        return subprocess.run(call, cwd=CHECKOUT).returncode == 0

    files = ("index.html", "01_x.html", "x.json", "01_x.ipynb", ".simkit-0.part")
    assert [f"{out}/{file}" for out in outs for file in files if not ignored(f"{out}/{file}")] == []
    for out in ("reports", "reports/smollm2"):  # pages and records; no executed notebooks
        assert [file for file in files if ignored(f"{out}/{file}")] == [
            "01_x.ipynb",
            ".simkit-0.part",
        ]
    published = text.partition("\npublish: ")[2].partition("\n\n")[0]
    outs = [part.split()[0] for part in published.split("--out ")[1:]]
    assert outs == ["reports/smollm2", "reports/full", "reports"]  # its index shows the first
