"""What the README shows is what the code and the committed record give."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from simkit.resources import root

HERE = Path(__file__).parent.parent
TEXT = (HERE / "README.md").read_text(encoding="utf-8")
FINDINGS = (HERE / "docs" / "findings.md").read_text(encoding="utf-8")


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


def rows_of(start: str, text: str = TEXT, skip: int = 1) -> list[list[str]]:
    """Cells of the table `skip` paragraphs after the one with `start`, without its head."""
    table = text[text.index(start) :].split("\n\n")[skip]
    return [[c.strip() for c in re.split(r"(?<!\\)\|", x)[1:-1]] for x in table.split("\n")[2:]]


def numbers_of(study: str, folder: str = "reports") -> dict[str, dict[str, Any]]:
    record = json.loads((HERE / folder / f"{study}.json").read_text())
    return {n["name"]: n for n in record["numbers"]}


def agree(number: dict[str, Any], value: str, interval: str, claim: str, verdict: str) -> None:
    assert value == f"{number['value']:.3f}"
    assert verdict == number["verdict"]
    low, high = number["low"], number["high"]
    assert interval == ("" if low is None else f"{low:.3f} to {high:.3f}")
    assert claim.replace(r"\|", "|") == (number["claim"] or "")


@pytest.mark.parametrize("study", STUDIES)
def test_the_numbers_shown_are_those_of_the_record(study: str) -> None:
    numbers = numbers_of(study)
    shown = rows_of(f"`reports/{study}.json`", FINDINGS)
    assert len(shown) >= 9
    for name, *told in shown:
        agree(numbers[name], *told)
    page = (HERE / "reports" / "index.html").read_text(encoding="utf-8")
    headline = next(iter(numbers.values()))
    assert headline["name"] in page and f"{headline['value']:.3g}" in page


def test_the_readme_picks_numbers_of_every_study() -> None:
    shown = rows_of("[all headline numbers, every")
    assert {row[0].strip("`") for row in shown} == set(STUDIES)
    for study, name, *told in shown:
        agree(numbers_of(study.strip("`"))[name], *told)


@pytest.mark.parametrize("study", STUDIES)
def test_every_claim_that_does_not_hold_is_shown(study: str) -> None:
    missed = {n for n, number in numbers_of(study).items() if number["verdict"] == "does not hold"}
    assert missed <= {row[0] for row in rows_of(f"`reports/{study}.json`", FINDINGS)}


def in_short(number: dict[str, Any]) -> str:
    low, high = number["low"], number["high"]
    span = "" if low is None else f" [{low:.3f}, {high:.3f}]"
    return f"{number['value']:.3f}{span}, {number['verdict']}"


def test_every_verdict_that_the_full_profile_changes_is_shown() -> None:
    changed = []
    for study in STUDIES:
        fast, full = numbers_of(study), numbers_of(study, "reports/full")
        assert set(fast) <= set(full)
        changed += [
            [f"`{study}`", name, in_short(fast[name]), in_short(number)]
            for name, number in full.items()
            if name in fast and fast[name]["verdict"] != number["verdict"]
        ]
    assert rows_of("## With the full profile", FINDINGS, 2) == changed


def test_the_benchmark_quoted_is_the_one_recorded() -> None:
    rows = json.loads((HERE / "benchmarks" / "results.json").read_text())["rows"]
    ours = {(r["model"], r["name"]): r for r in rows if r["method"] == "simkit"}
    shown = rows_of("[all rows, methods and what limits them]")
    assert len(shown) == len(ours)
    for model, name, waste, seconds, *_ in shown:
        row = ours[model, name]
        assert waste == f"{row['positions'] / row['nodes']:.2f}"
        assert seconds == f"{row['seconds']:.1f}"


def test_the_comparison_with_vllm_is_the_one_recorded() -> None:
    rows = json.loads((HERE / "benchmarks" / "vllm" / "results.json").read_text())["rows"]
    one, three = (r["times"] for r in rows if r["method"] == "vllm" and "canonical" in r["name"])
    assert f"{one:.1f} × the time with options of one token, {three:.1f} × with three" in TEXT


def test_the_calibration_quoted_is_the_cards() -> None:
    table = pd.read_csv(root("data") / "models" / "glassbox-small" / "calibration.csv")
    low, high = table["mean_error"].min(), table["mean_error"].max()
    assert f"between {low:.4f} and {high:.4f}" in " ".join(TEXT.split())
