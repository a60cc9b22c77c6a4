"""The errands of CONTRIBUTING.md, done in a copy: its code, in the files it names, by its commands.

The study has a test of its own, test_new_study.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from simkit import resources

HERE = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(resources.checkout() is None, reason="needs the source checkout")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", (HERE / "CONTRIBUTING.md").read_text(),
                           flags=re.MULTILINE | re.DOTALL))  # fmt: skip
PENGUINS = "species,body_mass_g\n" + "Adelie,3750\n" * 3


def new_files(section: str) -> dict[str, str]:
    """Path -> code of the files that a section says are new."""
    found = re.findall(r"`([\w/]+\.py)`, new[:;].*?```python\n(.*?)^   ```", section, re.S | re.M)
    return {path: textwrap.dedent(code) for path, code in found}


def line_for(section: str, path: str) -> str:
    """The first code that follows the name of an existing file."""
    return textwrap.dedent(
        re.search(rf"`{re.escape(path)}`[:;].*?```python\n(.*?)^   ```", section, re.S | re.M)[1]
    )


def insert(copy: Path, path: str, before: str, line: str, head: str = "") -> None:
    """Put a line into a table of a file, and an import at the end of its imports."""
    text = (copy / path).read_text(encoding="utf-8")
    assert text.count(before) == 1, (path, before)
    text = text.replace(before, line + before)
    if head:
        text = text.replace("\n__all__ = ", f"\n{head}\n\n__all__ = ", 1)
    (copy / path).write_text(text, encoding="utf-8")


def estimator(copy: Path, section: str) -> None:
    face = "simkit/estimators/efficiency/__init__.py"
    insert(copy, face, '    "conditional_logit",\n', '    "belief_entropy",\n',
           "from simkit.estimators.efficiency.entropy import belief_entropy")  # fmt: skip
    line = line_for(section, "tests/fuzz_calls.py")
    insert(copy, "tests/fuzz_calls.py", '        "balance_audit": ', line)


def world(copy: Path, section: str) -> None:
    path = "simkit/worlds/corpus.py"
    line = line_for(section, path)
    insert(copy, path, '    "market": (', line, "from simkit.worlds import tea")
    with (copy / "docs/api/worlds.md").open("a") as page:
        page.write("\n## Tea\n\n```{face} simkit.worlds.tea\n```\n")


def backend(copy: Path, section: str) -> None:
    path = "simkit/scoring/load.py"
    head = "from simkit.scoring.coin import is_coin, load_coin"
    insert(
        copy, path, '    Backend("a bundled name', line_for(section, path).rstrip() + ",\n", head
    )


def data_set(copy: Path, section: str) -> None:
    path = "simkit/datasets/cards.py"
    line = line_for(section, path)
    digest = hashlib.sha256(PENGUINS.encode()).hexdigest()
    for old, new in {
        '"the SHA-256", "its address, with the revision"': f'"{digest}"',
        '"a revision of the source"': '"1"',
        "),),\n)": '),), "made by hand"\n),',
        "(344, 8)": "(3, 2)",
    }.items():
        assert old in line
        line = line.replace(old, new)
    insert(copy, path, '        Card(\n            "anes96"', line)
    (copy / "mine" / "penguins").mkdir(parents=True)
    (copy / "mine" / "penguins" / "penguins.csv").write_text(PENGUINS)
    (copy / "tests/datasets/test_penguins.py").write_text(
        "from simkit import datasets\n\n\ndef test_it() -> None:\n"
        "    assert datasets.load('penguins', fetch=False).shape == (3, 2)\n"
    )


ERRANDS = {"An estimator": estimator, "A world": world, "A backend": backend,
           "A data set": data_set}  # fmt: skip
# Of the commands, what is quick: the errand's own tests and those that name it.
QUICK = {
    "A world": [
        "tests/worlds/test_world.py",
        "tests/worlds/test_tea.py",
        "tests/docs/test_pages.py",
        "-k",
        "tea or world or shares or questions or kind or every_public_name",
    ],
    "A data set": ["tests/datasets", "-k", "penguins or cards"],
}


def copied(folder: Path) -> Path:
    """The checkout, without what no errand needs."""
    left = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("simkit", "tests", "docs", "benchmarks"):
        shutil.copytree(HERE / name, folder / name, ignore=left)
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff"):
        shutil.copy(HERE / name, folder)
    for name in ("data", "notebooks", "reports"):
        (folder / name).symlink_to(HERE / name)
    return folder


@pytest.mark.parametrize("errand", ERRANDS)
def test_an_errand_works_as_it_is_written(errand: str, tmp_path: Path) -> None:
    copy, section = copied(tmp_path), SECTIONS[errand]
    for path, code in new_files(section).items():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_text(code, encoding="utf-8")
    ERRANDS[errand](copy, section)
    commands = [c.partition("  #")[0].split() for c in re.findall("(?m)^pytest (.*)", section)]
    for words in [QUICK[errand]] if errand in QUICK else commands:
        done = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    made = [*new_files(section)]
    if made:
        for check in (["check"], ["format", "--check"]):
            done = run(copy, "-m", "ruff", *check, *made)
            assert done.returncode == 0, done.stdout + done.stderr


def run(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(copy), "SIMKIT_DATA": str(copy / "mine")}
    call = [sys.executable, *words]
    return subprocess.run(call, cwd=copy, env=env, capture_output=True, text=True)
