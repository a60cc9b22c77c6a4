"""What the README shows is what the code and the committed record give."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from simkit.resources import root

HERE = Path(__file__).parent.parent
TEXT = (HERE / "README.md").read_text(encoding="utf-8")


def test_the_session_in_the_readme_gives_what_it_shows() -> None:
    session = re.search(r"```pycon\n(.*?)```", TEXT, flags=re.DOTALL)
    assert session
    example = doctest.DocTestParser().get_doctest(session[1], {}, "README", "README.md", 0)
    assert len(example.examples) >= 7
    assert doctest.DocTestRunner().run(example).failed == 0


STUDIES = (
    "demand_endogeneity",
    "belief_efficiency",
    "population_finetuning",
    "alignment_diversity",
    "representativeness",
)


def rows_of(start: str) -> list[list[str]]:
    """Cells of the table that follows `start`, without its head."""
    table = TEXT[TEXT.index(start) :].split("\n\n")[1]
    return [[c.strip() for c in re.split(r"(?<!\\)\|", x)[1:-1]] for x in table.split("\n")[2:]]


@pytest.mark.parametrize("study", STUDIES)
def test_the_numbers_in_the_readme_are_those_of_the_record(study: str) -> None:
    record = json.loads((HERE / "reports" / f"{study}.json").read_text())
    numbers = {n["name"]: n for n in record["numbers"]}
    shown = rows_of(f"`reports/{study}.json`")
    assert len(shown) >= 9
    for name, value, interval, _, verdict in shown:
        number = numbers[name]
        assert value == f"{number['value']:.3f}"
        assert verdict == number["verdict"]
        if number["low"] is not None:
            assert interval == f"{number['low']:.3f} to {number['high']:.3f}"
    page = (HERE / "reports" / "index.html").read_text(encoding="utf-8")
    headline = record["numbers"][0]
    assert headline["name"] in page and f"{headline['value']:.3g}" in page


def test_the_lines_that_do_not_hold_are_shown() -> None:
    for study in STUDIES:
        record = json.loads((HERE / "reports" / f"{study}.json").read_text())
        missed = [n["name"] for n in record["numbers"] if n["verdict"] == "does not hold"]
        shown = [row[0] for row in rows_of(f"`reports/{study}.json`")]
        assert set(missed) <= set(shown)


def test_the_benchmark_quoted_is_the_one_recorded() -> None:
    rows = json.loads((HERE / "benchmarks" / "results.json").read_text())["rows"]
    ours = {(r["model"], r["name"]): r for r in rows if r["method"] == "simkit"}
    shown = rows_of("[all rows, methods and what limits them]")
    assert len(shown) == len(ours)
    for model, name, waste, seconds, *_ in shown:
        row = ours[model, name]
        assert waste == f"{row['positions'] / row['nodes']:.2f}"
        assert seconds == f"{row['seconds']:.1f}"


def test_the_calibration_quoted_is_the_cards() -> None:
    table = pd.read_csv(root("data") / "models" / "glassbox-small" / "calibration.csv")
    low, high = table["mean_error"].min(), table["mean_error"].max()
    assert f"between {low:.4f} and {high:.4f}" in " ".join(TEXT.split())
