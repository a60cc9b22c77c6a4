"""Headline numbers: what is written, what is returned, what is refused."""

import inspect
import json
import math
import re
import types

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit.reports import caption, number, record, within
from simkit.reports.numbers import LEAST_MASS
from simkit.reports.records import Caption, named, read, write
from simkit.reports.study import Study
from simkit.result import Result, t_frame
from tests import small_notebooks as small

NUMBER = {"name": "elasticity", "value": -1.23456, "low": -1.4, "high": -1.1}


def test_nothing_is_written_by_a_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = record("demand", [NUMBER])
    assert list(tmp_path.iterdir()) == []
    assert frame.loc["elasticity", "value"] == -1.23456
    assert list(frame.columns) == [
        "value", "low", "high", "over", "unit", "claim", "about", "verdict",
    ]  # fmt: skip


def test_shown_rounded_and_whole():
    claim = "a claim that is longer than the fifty characters at which pandas cuts a text off"
    frame = record("demand", [{**NUMBER, "claim": claim}, {"name": "<b>", "value": None}])
    for text in (repr(frame), frame._repr_html_()):
        assert "-1.23" in text and "-1.2345" not in text
        assert claim in text and "NaN" not in text
    assert "<b>" not in frame._repr_html_()


def test_shown_it_carries_the_whole_record():
    model = types.SimpleNamespace(name="tiny", revision="abc123")
    made = record("demand", [{**NUMBER, "verdict": np.True_}], model=model, parameters={"draws": 5})
    data, metadata = made._repr_mimebundle_()
    assert data == {"text/plain": repr(made), "text/html": made._repr_html_()}
    content = json.loads(json.dumps(metadata, allow_nan=False))["simkit"]["record"]
    assert content["study"] == "demand"
    assert content["numbers"][0]["value"] == -1.23456  # in full: only the display is rounded
    assert content["numbers"][0]["verdict"] == "holds"
    provenance = content["provenance"]
    assert (provenance["model"], provenance["model_revision"]) == ("tiny", "abc123")
    assert provenance["parameters"] == {"draws": 5}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, np.nan])
def test_undefined_values_are_null_and_said_to_be(value):
    frame = record("demand", [{"name": "ratio", "value": value, "high": value, "verdict": True}])
    (row,) = frame.attrs["record"]["numbers"]
    assert row["value"] is row["high"] is None
    assert row["verdict"] == "undefined"
    assert math.isnan(frame.loc["ratio", "value"])


@pytest.mark.parametrize(
    ("given", "verdict"),
    [(True, "holds"), (False, "does not hold"), (None, "not judged"), ("holds", "holds")],
)
def test_verdicts(given, verdict):
    assert record("demand", [{**NUMBER, "verdict": given}])["verdict"].tolist() == [verdict]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([], "at least one"),
        ([NUMBER, NUMBER], "distinct names"),
        ([{"name": "x"}], "needs name and value"),
        ([{**NUMBER, "hihg": 1}], "may have low, high, over, unit, claim, about"),
        ([{**NUMBER, "low": 0.0}], "low 0.0 is above high -1.1"),
        ([{**NUMBER, "verdict": "maybe"}], "verdict is 'maybe'; it must be True, False"),
        ([{**NUMBER, "verdict": math.nan}], "elasticity: verdict is nan; it must be True, False"),
        ([{**NUMBER, "verdict": pd.NA}], "elasticity: verdict is <NA>"),
        ([{**NUMBER, "value": "0.5"}], "elasticity: value is '0.5'; it must be a number"),
        ([{**NUMBER, "low": [1, 2]}], r"elasticity: low is \[1, 2\]; it must be a number"),
        ([{**NUMBER, "about": "people"}], "about is 'people'; it must be one of model, recorded"),
        ([{**NUMBER, "claim": "cr\udcc3me"}], "claim 'cr.udcc3me' holds half a character"),
        (
            [{**NUMBER, "valid_mass": 1.2}],
            "valid_mass: row 0 holds 1.2; it must be a finite number from 0 to 1",
        ),
        (NUMBER, "a number is 'name'; it must be a mapping with name and value"),
    ],
)
def test_bad_numbers_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        record("demand", numbers)


def verdicts(frame):
    return dict(zip(frame.index, frame["verdict"], strict=True))


def test_claims_that_rest_on_little_valid_mass_are_not_judged():
    people = {"name": "people", "value": 1.0, "verdict": True, "about": "recorded people"}
    numbers = [
        people,
        {**NUMBER, "verdict": True},
        {**NUMBER, "name": "own beliefs", "verdict": False, "valid_mass": 0.9},
        {"name": "no claim", "value": 2.0},
        {"name": "nothing", "value": None, "verdict": True},
    ]
    frame = record("demand", numbers, valid_mass=pd.Series([0.2, 0.6, np.nan]))
    assert verdicts(frame) == {
        "elasticity": "not judged",  # (0.2 + 0.6) / 2 = 0.4
        "own beliefs": "does not hold",
        "no claim": "not judged",
        "nothing": "undefined",
        "Valid mass": "does not hold",
        "Valid mass, smallest": "not judged",
        "people": "holds",
    }
    assert frame.loc["Valid mass", "value"] == pytest.approx(0.4)
    assert frame.loc["Valid mass, smallest", "value"] == 0.2
    assert "2 rows, 1 not read" in frame.loc["Valid mass", "claim"]
    rows = {n["name"]: n for n in frame.attrs["record"]["numbers"]}
    assert rows["elasticity"]["valid_mass"] == pytest.approx(0.4)  # which is why
    assert rows["people"]["about"] == "recorded people" and rows["people"]["valid_mass"] is None
    judged = record("demand", numbers, valid_mass=0.6)
    assert verdicts(judged)["elasticity"] == verdicts(judged)["Valid mass"] == "holds"
    assert verdicts(record("demand", [{**NUMBER, "verdict": True, "valid_mass": 0.4}])) == {
        "elasticity": "not judged"
    }


@pytest.mark.parametrize("mass", [1.5, -0.1, "much", np.ones((2, 2)), [0.5, 7]])
def test_what_is_no_valid_mass_is_refused(mass):
    with pytest.raises(ValueError, match="valid_mass"):
        record("demand", [NUMBER], valid_mass=mass)


def test_the_threshold_is_that_of_believe():
    assert inspect.signature(sk.believe).parameters["least_mass"].default == LEAST_MASS


def test_whom_a_number_is_about_is_shown_where_it_is_not_the_model():
    assert "model" not in repr(record("demand", [NUMBER]))
    people = {**NUMBER, "name": "people", "about": "recorded people"}
    assert "recorded people" in repr(record("demand", [NUMBER, people]))
    assert record("demand", [people, NUMBER]).index.tolist() == ["elasticity", "people"]


def test_the_model_is_named_by_its_content():
    first = sk.load("glassbox")
    again = types.SimpleNamespace(
        name="copy", identity={**first.identity, "path": "padded", "revision": "elsewhere"}
    )
    other = types.SimpleNamespace(name="other", identity={**first.identity, "weights": "0"})

    def unreadable(_):
        raise ValueError("some weights are not in memory")

    offloaded = type("Offloaded", (), {"name": "big", "identity": property(unreadable)})()
    hashes = []
    for model in (first, again, other, offloaded, "a name"):
        provenance = record("demand", [NUMBER], model=model).attrs["record"]["provenance"]
        hashes.append(provenance["model_hash"])
    assert len(hashes[0]) == 12 and int(hashes[0], 16) >= 0
    assert hashes[1] == hashes[0] != hashes[2]  # by what it computes, not where it lies
    assert hashes[3] is hashes[4] is None
    with pytest.raises(ValueError, match="model is 7; it must be a name, or a model with a name"):
        record("demand", [NUMBER], model=7)


def test_a_folder_is_shown_by_its_last_part(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    for given in (tmp_path / "mine", "mine", "./mine", "/nowhere/mine", "/nowhere/mine/"):
        assert named(str(given)) == "mine"
    monkeypatch.chdir(tmp_path / "mine")
    assert named(".") == "mine"
    assert [named(v) for v in ("Qwen/Qwen2.5-0.5B", "glassbox", "", 7, None)] == [
        "Qwen/Qwen2.5-0.5B", "glassbox", "", 7, None,
    ]  # fmt: skip


def test_settings_of_numpy_stay_numbers():
    settings = {"runs": np.int64(5), "grid": np.array([0.5, 1])}
    made = record("demand", [NUMBER], parameters=settings)
    assert made.attrs["record"]["provenance"]["parameters"] == {"runs": 5, "grid": [0.5, 1.0]}


def finished(folder, *shown, values=None, declares=""):
    """The record file of a notebook that was run, which showed these results of `record`."""
    cell = small.code("x")
    for made in shown:
        data, metadata = made._repr_mimebundle_()
        cell.outputs.append(
            small.nbformat.v4.new_output("display_data", data=data, metadata=metadata)
        )
    cells = (small.markdown("# Demand"), small.code(declares, "parameters"), cell)
    study = Study.read(small.write(folder / "01_demand.ipynb", *cells))
    study.notebook.metadata["papermill"] = {"duration": 2.5}
    write(folder / "01_demand.html", study, values or {}, study, "")
    return json.loads((folder / "demand.json").read_text())


def test_records_are_read_back_whole(tmp_path):
    whole = finished(tmp_path, record("demand", [NUMBER]))
    assert whole["numbers"][0]["value"] == -1.23456 and str(tmp_path) not in json.dumps(whole)
    assert read(tmp_path / "demand.json") == whole
    before = {
        k: v for k, v in whole["numbers"][0].items() if k not in ("about", "valid_mass", "over")
    }
    (tmp_path / "demand.json").write_text(json.dumps({**whole, "numbers": [before]}))
    assert read(tmp_path / "demand.json") == whole  # as records were written before
    (tmp_path / "foreign.json").write_text('{"name": "of something else"}')
    assert read(tmp_path / "foreign.json") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"numbers": None}, "its numbers is 'None'"),
        ({"numbers": ["x"]}, "a number is 'x'; it must be a mapping"),
        ({"numbers": [{"name": "a", "value": "1"}]}, "a: value is '1'; it must be a number"),
        ({"numbers": [{"name": "a", "value": 1, "verdict": "good"}]}, "verdict is 'good'"),
        ({"title": 7}, "its title is '7'"),
        ({"seconds": "12"}, "its seconds is '12'"),
        ({"provenance": {"parameters": {}}}, "its provenance has no versions"),
        ({"page": "../01.html"}, "its page is '../01.html', which is no name of a file"),
        ({"page": ...}, "it has no page: the run did not end"),
    ],
)
def test_what_is_wrong_with_a_record_is_said(tmp_path, change, message):
    whole = {k: v for k, v in {**finished(tmp_path), **change}.items() if v is not ...}
    (tmp_path / "demand.json").write_text(json.dumps(whole))
    with pytest.raises(ValueError, match=re.escape(message)):
        read(tmp_path / "demand.json")


def test_the_run_is_added_without_overruling_the_notebook(tmp_path):
    made = record("demand", [NUMBER], model="tiny", parameters={"draws": 50})
    declares = 'draws: int = 10\nseed: int = 1\nmodel: str = "a/b"'
    content = finished(tmp_path, made, values={"seed": 4}, declares=declares)
    assert content["provenance"]["parameters"] == {"draws": 50, "seed": 4, "model": "a/b"}
    assert (content["provenance"]["model"], content["provenance"]["seed"]) == ("tiny", 4)
    assert (content["title"], content["seconds"]) == ("Demand", 2.5)
    assert content["numbers"][0]["name"] == "elasticity"


def test_a_result_is_its_own_caption():
    frame = t_frame(["yes"], 0.62, 0.05, df=39, alpha=0.05)
    result = Result("Mean belief", frame, 40, 0.05, "Student", over="products")
    assert caption(result).text == result.caption()
    assert caption(result, "Dotted: truth.").text == f"{result.caption()} Dotted: truth."


def test_a_caption_is_marked_so_that_the_report_finds_it():
    made = caption("Demand *falls*.")
    assert isinstance(made, Caption) and repr(made) == "Demand *falls*."
    data, metadata = made._repr_mimebundle_()
    assert data == {"text/plain": "Demand *falls*.", "text/markdown": "Demand *falls*."}
    assert metadata == {"simkit": {"caption": True}}


def test_a_number_is_made_from_a_row_of_a_result():
    row = pd.Series({"estimate": 0.5, "std_error": 0.1, "low": 0.3, "high": 0.7})
    made = number("share", row, "half", True, "points", "products", about="recorded people")
    assert record("tea", [made]).loc["share"].to_dict() == {
        "value": 0.5, "low": 0.3, "high": 0.7, "over": "products", "unit": "points",
        "claim": "half", "about": "recorded people", "verdict": "holds",
    }  # fmt: skip
    for alone in (0.5, {"estimate": 0.5}):
        made = number("share", alone, over="products")
        assert (made["value"], made["low"], made["over"]) == (0.5, None, "")


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(0.2, 0.8, True), (0.3, 0.7, True), (0.4, 0.8, None), (0.8, 0.9, False), (0.0, 0.2, False)],
)
def test_a_verdict_asks_for_the_whole_interval(low, high, shown):
    row = {"estimate": 0.5, "low": 0.3, "high": 0.7}
    assert within(row, low, high) is shown
    with pytest.raises(ValueError, match=r"a row needs 'low', got \{'estimate'"):
        within({"estimate": 0.5, "high": 0.7}, low, high)


def test_an_undefined_interval_shows_nothing():
    assert within({"low": math.nan, "high": math.nan}, 0, 1) is None
