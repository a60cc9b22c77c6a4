"""A study over a grid: a report a combination, one table, one page."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from simkit import reports
from simkit.cli import app
from simkit.reports import execute, grid
from tests import small_notebooks as small

CELLS = (
    small.markdown("# Tea"),
    small.PARAMETERS,
    small.code("if seed == 3:\n    raise ValueError('no <b>leaves</b>')"),
    small.code(
        "import simkit.reports as reports\n"
        "cups = dict(name='cups', value=seed * share, low=share, high=seed, verdict=True)\n"
        "reports.record('tea', [cups, dict(name='none', value=float('nan'))], model=model)"
    ),
)


@pytest.fixture
def tea(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return small.write(tmp_path / "notebooks" / "01_tea.ipynb", *CELLS)


def test_a_grid_from_the_shell_and_again(tea: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["run", str(tea), "--grid", "seed=2,3", "--grid", "share=0.25,0.5", "--out", "out"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1, result.output
    assert result.stderr.count(": failed") == 2 and result.stderr.count(": complete") == 2
    assert "failed: 01_tea (seed=3-share=0.25-" in result.stderr
    table = pd.read_csv("out/01_tea-grid/table.csv")
    assert table[["seed", "share", "status", "number"]].values.tolist()[:4] == [
        [2, 0.25, "complete", "cups"], [2, 0.25, "complete", "none"],
        [2, 0.5, "complete", "cups"], [2, 0.5, "complete", "none"],
    ]  # fmt: skip
    # 2 × 0.25 and 2 × 0.5; the other two failed and have a row each
    cups = table[table["number"] == "cups"]
    assert cups["value"].tolist() == [0.5, 1.0] and cups["low"].tolist() == [0.25, 0.5]
    failed = table[table["status"] == "failed"]
    assert failed["error"].tolist() == ["ValueError: no <b>leaves</b>"] * 2
    assert failed["seed"].tolist() == [3, 3] and failed["value"].isna().all()
    page = Path("out/index.html").read_text()
    assert "4 combinations" in page and 'href="01_tea-grid/table.csv"' in page
    assert "no &lt;b&gt;leaves" in page and "<b>leaves" not in page
    for name in table["page"].unique():
        assert Path("out/01_tea-grid", name).is_file()
        assert f'href="01_tea-grid/{name.replace("=", "%3D")}"' in page

    begun: list[dict[str, object]] = []
    monkeypatch.setattr(grid, "run", lambda study, values, out: begun.append(values))
    again = reports.sweep(tea, {"seed": [2, 3], "share": [0.25, 0.5]}, out="out")
    # Those that are done are not run again; failed ones are.
    assert [(one["seed"], one["share"]) for one in begun] == [(3, 0.25), (3, 0.5)]
    assert again["page"].tolist() == table["page"].tolist()
    begun.clear()
    small.write(tea, *CELLS, small.code("'another line'"))
    reports.sweep(tea, {"seed": [2]}, {"share": 0.25}, out="out")
    assert len(begun) == 1  # an edited notebook is another study


def test_what_stops_on_its_way_keeps_what_is_done(
    tea: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(study: str, values: dict[str, object], out: Path) -> None:
        if values["seed"] == 2:
            raise KeyboardInterrupt
        execute.run(study, values, out=out)

    monkeypatch.setattr(grid, "run", stopping)
    with pytest.raises(KeyboardInterrupt):
        reports.sweep(tea, {"seed": [1, 2]}, out="out")
    table = pd.read_csv("out/01_tea-grid/table.csv")
    assert table.drop_duplicates("seed")["status"].tolist() == ["complete", "not run"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--grid", "sede=1"], "no parameter 'sede'"),
        (["--grid", "seed=1,x"], "'seed' takes int, not 'x'"),
        (["--grid", "seed"], "--grid takes NAME=VALUE,VALUE..., got 'seed'"),
        (["--grid", "seed="], "--grid takes NAME=VALUE,VALUE..., got 'seed='"),
        (["--grid", "seed=1", "--grid", "seed=2"], "--grid names 'seed' twice"),
        (["--grid", "seed=1", "-p", "seed", "2"], "'seed' is in the grid and set otherwise"),
        (["--cluster", "local"], "share out the combinations of a --grid"),
    ],
)
def test_bad_words_are_named_before_anything_runs(tea: Path, words: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["run", str(tea), *words, "--out", "out"])
    assert result.exit_code == 2 and said in " ".join(result.stderr.split())
    assert not Path("out").exists()


def test_a_grid_is_a_table_of_different_values(tea: Path) -> None:
    for values, said in [
        ([], "grid of 'seed' has no values"),
        ("12", "grid of 'seed' is"),
        ([1, "1"], "the grid holds {'seed': 1} twice"),
    ]:
        with pytest.raises(ValueError, match=said):
            reports.sweep(tea, {"seed": values})
    with pytest.raises(ValueError, match="'seed' is in the grid and among the parameters"):
        reports.sweep(tea, {"seed": [1]}, {"seed": 2})
    assert os.listdir() == ["notebooks"]


def test_lists_are_values_too(tea: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[object] = []
    monkeypatch.setattr(grid, "run", lambda study, values, out: begun.append(values["grid"]))
    CliRunner().invoke(app, ["run", str(tea), "--grid", "grid=[1, 2],[3],None", "--out", "out"])
    assert begun == [[1, 2], [3], None]


@pytest.mark.slow
def test_a_grid_on_a_cluster(tea: Path) -> None:
    pytest.importorskip("ray")
    found = reports.sweep(tea, {"seed": [2, 3]}, out="out", cluster="local", workers=2)
    assert found["status"].tolist() == ["complete", "complete", "failed"]
    assert found["value"][0] == 1.0  # 2 × 0.5
    assert found["error"][2] == "ValueError: no <b>leaves</b>"
