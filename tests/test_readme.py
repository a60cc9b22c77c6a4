"""What the README shows is what the code and the committed record give."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from docs import tables
from simkit.reports.numbers import row
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


FAST, FULL, REAL = (
    tables.records(HERE / folder) for folder in ("reports", "reports/full", "reports/smollm2")
)
STUDIES = [study for study in FAST if study != "quickstart"]
FIRST = ("demand_endogeneity", "belief_efficiency", "population_finetuning",
         "alignment_diversity", "representativeness")  # fmt: skip


def part_of(text: str, name: str) -> str:
    return text.partition(f"<!-- records: {name} -->")[2].partition("<!-- records: end -->")[0]


def numbers_of(study: str, folder: str = "reports") -> dict[str, dict[str, Any]]:
    record = json.loads((HERE / folder / f"{study}.json").read_text())
    return {n["name"]: n for n in record["numbers"]}


def agree(number: dict[str, Any], name: str, value: str, interval: str, *said: str) -> None:
    about = number.get("about", "model")
    assert name == number["name"] + ("" if about == "model" else f" ({about})")
    low, high = number["low"], number["high"]
    ends = interval.partition(", over ")[0].split(" to ") if interval else []
    shown = [value, *ends]
    stored = [x for x in (number["value"], low, high) if x is not None]
    assert len(shown) == max(len(stored), 1)
    for text, exact in zip(shown, stored, strict=False):  # three digits, and of a small number too
        assert float(text) == pytest.approx(exact, rel=5e-3)
    assert interval.partition(", over ")[2] == number.get("over", "")
    assert [said[0].replace(r"\|", "|"), *said[1:]] == [number["claim"], number["verdict"]][
        : len(said)
    ]


@pytest.mark.parametrize("name", tables.FILES)
def test_the_tables_are_what_the_records_give(name: str) -> None:
    text = (HERE / name).read_text(encoding="utf-8")
    assert tables.regenerated(text, FAST, FULL, REAL) == text


@pytest.mark.parametrize("name", tables.FILES)
def test_every_table_of_numbers_is_made_and_not_typed(name: str) -> None:
    text = (HERE / name).read_text(encoding="utf-8")
    made = tables.MARK.sub("", text)
    assert made != text
    assert not re.findall(r"^\|[-:|]*-:[-:|]*$", made, flags=re.MULTILINE)  # a column of numbers


@pytest.mark.parametrize("study", STUDIES)
def test_all_numbers_of_every_study_are_shown(study: str) -> None:
    numbers = numbers_of(study)
    shown = tables.rows(part_of(FINDINGS, study))
    # The five studies that there were first have many; a new one may have one and its valid mass.
    assert len(shown) == len(numbers) >= (9 if study in FIRST else 1)
    for number, told in zip(numbers.values(), shown, strict=True):
        agree(number, *told)
    page = (HERE / "reports" / "index.html").read_text(encoding="utf-8")
    headline = next(iter(numbers.values()))
    assert headline["name"] in page and f"{headline['value']:.3g}" in page


def test_the_readme_picks_numbers_of_every_study() -> None:
    shown = tables.rows(part_of(TEXT, "picked"))
    assert {row[0].strip("`") for row in shown} == set(STUDIES)
    for study, *told in shown:
        agree(numbers_of(study.strip("`"))[told[0].partition(" (recorded")[0]], *told)


def test_every_claim_that_does_not_hold_is_shown() -> None:
    shown = tables.rows(part_of(FINDINGS, "missed"))
    missed = [
        (f"`{study}`", number)
        for study in FAST
        for number in numbers_of(study).values()
        if number["verdict"] == "does not hold"
    ]
    assert len(shown) == len(missed) > 0
    for (study, number), told in zip(missed, shown, strict=True):
        assert told[0] == study
        agree(number, *told[1:])


def in_short(number: dict[str, Any]) -> str:
    """As the page writes it; `agree` looks at the digits by themselves."""
    return tables._short(number)


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
    assert tables.rows(part_of(FINDINGS, "full")) == changed


def small_record(study: str, *numbers: dict[str, Any]) -> dict[str, Any]:
    provenance = {"model": "tiny", "model_hash": "0123456789ab"}
    rows = [row(number) for number in numbers]
    return {
        "study": study,
        "page": "1.html",
        "numbers": rows,
        "seconds": 90,
        "status": "complete",
        "provenance": provenance,
    }


def test_tables_are_made_from_records_alone() -> None:
    number = {"name": "a|b", "value": 1.23456, "low": 1, "high": 2, "claim": "P(Y | p)"}
    people = {"name": "people", "value": None, "about": "recorded people", "verdict": True}
    fast = {"tea": small_record("tea", {**number, "verdict": True}, people)}
    full = {
        "tea": small_record(
            "tea", {**number, "value": 2, "verdict": False}, {"name": "new", "value": 1}
        )
    }
    marked = "".join(
        f"<!-- records: {n} -->\nstale\n<!-- records: end -->\n" for n in ("tea", "missed", "full")
    )
    text = tables.regenerated(marked, fast, full)
    assert tables.regenerated(text, fast, full) == text and "stale" not in text
    assert "Model `tiny`, content hash `0123456789ab`" in text
    tea = [r"a\|b", "1.235", "1.000 to 2.000", r"P(Y \| p)", "holds"]
    gone = ["people (recorded people)", "undefined", "", "", "undefined"]
    assert tables.rows(part_of(text, "tea")) == [tea, gone]
    assert tables.rows(part_of(text, "missed")) == []
    change = [
        "`tea`",
        r"a\|b",
        "1.235 [1.000, 2.000], holds",
        "2.000 [1.000, 2.000], does not hold",
    ]
    assert tables.rows(part_of(text, "full")) == [change]
    assert "took 2 minutes; of 1 verdicts 1 differ" in text
    missed = tables.regenerated("<!-- records: missed -->\n<!-- records: end -->", full, full)
    assert tables.rows(missed) == [["`tea`", r"a\|b", "2.000", "1.000 to 2.000", r"P(Y \| p)"]]


def test_every_study_of_the_real_model_is_beside_the_glass_box() -> None:
    for text in (TEXT, FINDINGS):
        shown = tables.rows(part_of(text, "models"))
        assert {row[0].strip("`") for row in shown} == set(FAST) & set(REAL)
    for study, record in REAL.items():
        assert record["provenance"]["model"] == "smollm2"
        for number in record["numbers"]:
            assert tables._cell(number["name"]) in part_of(FINDINGS, "real"), study


def test_a_real_model_stands_beside_the_glass_box() -> None:
    """Its own headline first; that of the glass box in a row of its own where it is another."""
    share = {"name": "share", "value": 0.5, "low": 0.4, "high": 0.6, "verdict": True}
    mass = {"name": "Valid mass", "value": 0.875}
    fast = {"tea": small_record("tea", share), "ale": small_record("ale", {**share, "name": "b"})}
    real = {
        "tea": small_record("tea", {**share, "value": 0.25, "low": 0.2, "verdict": None}, mass),
        "ale": small_record("ale", {"name": "c", "value": 2.0}, mass),
    }
    for record in real.values():
        record["provenance"] = {"model": "real", "model_hash": None}
    marked = "".join(f"<!-- records: {n} -->\n<!-- records: end -->\n" for n in tables.REAL)
    text = tables.regenerated(marked, fast, {}, real)
    assert "| study | headline number | tiny | real | valid mass, real |" in text
    half, quarter = "0.500 [0.400, 0.600], holds", "0.250 [0.200, 0.600], not judged"
    assert tables.rows(part_of(text, "models")) == [
        ["`tea`", "share", half, quarter, "0.875"],
        ["`ale`", "c", "–", "2.000, not judged", "0.875"],
        ["`ale`", "b", half, "–", "0.875"],
    ]
    assert "`ale`, model `real`." in part_of(text, "real")
    assert tables.regenerated(text, fast, {}, real) == text

    asked = {"name": "Valid mass, buys", "value": 0.05, "verdict": False}
    ended = {"tea": {**small_record("tea", asked), "status": "stopped"}}
    text = tables.regenerated(marked, fast, {}, ended)
    assert tables.rows(part_of(text, "models")) == [["`tea`", "share", half, tables.ENDED, "0.05"]]
    assert tables.regenerated(marked, fast, {}).count(tables.NO_REAL) == 2


@pytest.mark.parametrize(
    ("marked", "said"),
    [
        ("<!-- records: tee -->\n<!-- records: end -->", "names 'tee'; there are records of tea"),
        (
            "<!-- records: picked -->\n| a | b |\n|---|---|\n| `tea` | b |\n<!-- records: end -->",
            "shows 'b' of 'tea', which no record has; there are a",
        ),
    ],
)
def test_what_a_page_asks_for_and_no_record_has_is_named(marked: str, said: str) -> None:
    fast = {"tea": small_record("tea", {"name": "a", "value": 1})}
    with pytest.raises(ValueError, match=said):
        tables.regenerated(marked, fast, {})


def test_the_benchmark_quoted_is_the_one_recorded() -> None:
    rows = json.loads((HERE / "benchmarks" / "results.json").read_text())["rows"]
    ours = {(r["model"], r["name"]): r for r in rows if r["method"] == "simkit"}
    shown = tables.rows(part_of(TEXT, "benchmark"))
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


def test_every_test_that_reliability_names_is_there() -> None:
    """Rows are | kind | where | what happens | tests |; "::name" goes on in the file before it."""
    rows = re.findall(r"\| ([^|]*\.py[^|]*) \|$", (HERE / "docs/reliability.md").read_text(), re.M)
    assert len(rows) > 60
    for said in rows:
        file = ""
        for path, _, name in (part.partition("::") for part in re.findall("`([^`]+)`", said)):
            if path.endswith(".py"):
                file = (HERE / "tests" / path).read_text(encoding="utf-8")
            assert not name or f"def {name}(" in file, f"{path}::{name}"
