"""What docs/house.py counts, on a house of a few lines; and on this one, and the one before."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from docs import house

FILES = {
    "simkit/__init__.py": "from simkit.estimators import mean\n__all__ = ['mean']\n",
    "simkit/files.py": '"""Of files."""\n\nimport os  # why\n\n# more\n'
    "__all__ = ['write']\n\n\ndef write(path, text, *, mode='w'):\n"
    "    return os.stat(path), text, mode\n",
    "simkit/lonely.py": "from simkit.files import write\n\nwrite('a', 'b')\n",
    "simkit/estimators/__init__.py": "from simkit.estimators.demand import mean\n"
    "from simkit.estimators.shared import spread\n\n__all__ = ['mean', 'spread']\n",
    "simkit/estimators/demand.py": "from simkit.estimators.shared import spread\n"
    "from simkit.files import write\n\n__all__ = ['mean']\n\n\ndef mean(table, by='x', seed=0):\n"
    "    return spread(table), by, seed, write\n",
    "simkit/estimators/shared.py": "__all__ = ['spread']\n\n\ndef spread(table, of=None):\n"
    "    return table, of\n",
    "docs/page.md": "```python\nmean(table, seed=1)\n```\n",
    "README.md": "```pycon\n>>> write('a', 'b')\n'b'\n```\n",
}
CELLS = {
    "00_a": ["import simkit as sk", "sk.mean(1)", f"x = {'1' * 120}"],
    "01_b": ["from simkit import lonely\nfrom simkit import estimators as est\nest.spread(1)"],
}


@pytest.fixture
def small(tmp_path: Path) -> house.House:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "notebooks").mkdir()
    for name, cells in CELLS.items():
        notebook = {"cells": [{"cell_type": "code", "source": [cell]} for cell in cells]}
        (tmp_path / "notebooks" / f"{name}.ipynb").write_text(json.dumps(notebook))
    return house.House(tmp_path)


def test_a_small_house_is_counted(small: house.House) -> None:
    lines = {name: text.count("\n") for name, text in FILES.items() if name.endswith(".py")}
    assert small.measures() == {
        "modules": 6,
        "lines of simkit/": sum(lines.values()),
        "lines of code in simkit/": 2 + 4 + 2 + 3 + 5 + 3,  # not what says why
        "rooms": 6,
        "imports between rooms": 3,  # lonely and demand to files, demand to shared
        "imports between rooms of simkit.estimators": 1,
        "modules in import cycles": 0,
        "exported names": 4,  # mean; write; mean, spread
        "distinct leading signatures of simkit.estimators": 2,
        # demand is reached by the first notebook alone, lonely by the second
        "lines of simkit/ that one notebook alone reaches": lines["simkit/estimators/demand.py"]
        + lines["simkit/lonely.py"],
        "code lines over 100 characters in notebooks": 1,
        "optional parameters of public functions": 4,
        "optional parameters that nobody passes": 3,  # all but seed
    }


def test_a_cycle_is_seen(small: house.House) -> None:
    small.imports["simkit.files"] = {"simkit.estimators.demand"}
    assert small.measures()["modules in import cycles"] == 2


@pytest.mark.skipif(not (house.HERE / ".git").exists(), reason="needs git")
def test_this_house_and_an_earlier_one_are_counted_alike() -> None:
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=house.HERE, capture_output=True, text=True, check=True
    )
    now, before = house.House(house.HERE).measures(), house.at(head.stdout.strip()).measures()
    assert now.keys() == before.keys()
    assert now["modules in import cycles"] == 0
