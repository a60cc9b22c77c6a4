"""The wheel carries the library with its templates, data/ and notebooks/, and nothing stray."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from simkit import resources

pytest.importorskip("hatchling")
CHECKOUT = resources.checkout()


@pytest.mark.skipif(CHECKOUT is None, reason="needs the source checkout")
def test_wheel_contents(tmp_path):
    source = tmp_path / "source"
    skipped = shutil.ignore_patterns(".*", "reports", "tests", "*.egg-info", "build", "dist")
    source.mkdir()
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        if (CHECKOUT / name).is_file():  # README is read by the build, its words do not matter
            shutil.copy(CHECKOUT / name, source)
    (source / "README.md").touch()
    shutil.copytree(CHECKOUT / "simkit", source / "simkit", ignore=shutil.ignore_patterns("__pyc*"))
    for folder in ("data", "notebooks"):
        if (CHECKOUT / folder).is_dir():
            shutil.copytree(CHECKOUT / folder, source / folder, ignore=skipped)
        (source / folder / ".ipynb_checkpoints").mkdir(parents=True)
        (source / folder / ".ipynb_checkpoints" / "old.txt").touch()
        (source / folder / "planted.txt").touch()
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "-w", str(tmp_path), str(source)], check=True)
    (wheel,) = tmp_path.glob("simkit-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        f"simkit/{p.relative_to(source)}" for f in ("data", "notebooks") for p in files(source / f)
    }
    expected |= {str(p.relative_to(source)) for p in files(source / "simkit")}
    assert {n for n in names if ".dist-info/" not in n} == expected
    assert "simkit/reports/templates/notebook/index.html.j2" in names
    assert "simkit/py.typed" in names


def files(folder: Path) -> list[Path]:
    """What should travel: all but checkpoints."""
    return [p for p in folder.rglob("*") if p.is_file() and ".ipynb_checkpoints" not in p.parts]
