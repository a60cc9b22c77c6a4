"""The command line: what it runs, what it says, how it exits."""

import json
import sys
import types
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simkit.cli import app
from tests import small_notebooks as small

LAST = ["--out", "out"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two studies, one of which fails, in a working folder of their own."""
    light = (small.markdown("# Tea"), small.code("1 + 1"), small.PARAMETERS, small.code("seed"))
    small.write(tmp_path / "notebooks" / "01_tea.ipynb", *light)
    small.write(tmp_path / "notebooks" / "02_spilt.ipynb", *small.BAD)
    monkeypatch.setattr("simkit.resources.root", lambda name: tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words):
    return CliRunner().invoke(app, [*words])


def test_list_names_studies_and_parameters(folder):
    result = call("list")
    assert result.exit_code == 0
    assert "01_tea  Tea" in result.output
    assert "02_spilt  Spilt" in result.output
    assert "model: str = 'glassbox'  a name = a model" in result.output


def test_run_one_study_with_parameters(folder):
    words = ["-p", "seed", "5", "-p", "share", "-0.5", "-p", "grid=[1, 2]", "--model", "7"]
    result = call("run", "tea", *words, *LAST)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(Path("out") / "index.html")
    record = json.loads((folder / "out" / "tea.json").read_text())
    expected = {"model": "7", "seed": 5, "share": -0.5, "grid": [1, 2]}
    assert record["provenance"]["parameters"] == expected


def test_run_all_goes_on_after_a_failure_and_exits_1(folder):
    result = call("run", *LAST)
    assert result.exit_code == 1
    assert "NameError: name 'spilt_milk' is not defined" in result.stderr
    assert "failed: 02_spilt" in result.stderr
    assert result.stdout.splitlines()[-1] == str(Path("out") / "index.html")
    assert (folder / "out" / "01_tea.html").is_file()
    assert "This run failed" in (folder / "out" / "02_spilt.html").read_text()
    assert "This run failed" in (folder / "out" / "index.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["taste"], "no study 'taste'; there are 01_tea, 02_spilt"),
        (["tea", "-p", "sede", "1"], "no parameter 'sede'; legal are model, seed, share, grid"),
        (["tea", "--profile", "full"], "no parameter 'profile'"),
        (["tea", "--profile", "huge"], "huge"),
        (["tea", "-p", "seed", "one"], "'seed' takes int, not 'one'"),
        (["tea", "-p", "seed"], "-p takes NAME VALUE, got 'seed'"),
    ],
)
def test_bad_words_exit_2_and_name_the_legal_ones(folder, words, said):
    result = call("run", *words, *LAST)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert not (folder / "out").exists()


def test_train_world_hands_its_options_to_the_trainer(folder, monkeypatch):
    asked = []

    carded = []

    def train(size, out, **options):
        if size == "huge":
            raise ValueError("no size 'huge'; legal are small")
        asked.append((size, out, options))
        return out

    monkeypatch.setitem(
        sys.modules, "simkit.glassbox", types.SimpleNamespace(train=train, write_card=carded.append)
    )
    monkeypatch.setattr("simkit.glassbox", sys.modules["simkit.glassbox"], raising=False)
    result = call("train-world", "--seed", "3", "--steps", "20", "--device", "cpu")
    assert result.exit_code == 0, result.output
    options = {"seed": 3, "steps": 20, "init": None, "threads": None, "device": "cpu"}
    assert asked == [("small", Path("glassbox-small"), options)]
    assert result.stdout.strip() == "glassbox-small"
    assert carded == [Path("glassbox-small")]
    refused = call("train-world", "--size", "huge")
    assert refused.exit_code == 2 and "legal are small" in refused.stderr
