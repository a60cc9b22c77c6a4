"""Headline numbers: what is written, what is returned, what is refused."""

import json
import math
import types

import numpy as np
import pytest

from simkit.reports import caption, record
from simkit.reports.records import Caption, finish, rounded

NUMBER = {"name": "elasticity", "value": -1.23456, "low": -1.4, "high": -1.1}


def test_nothing_is_written_outside_a_run(tmp_path, monkeypatch):
    monkeypatch.delenv("SIMKIT_REPORTS", raising=False)
    monkeypatch.chdir(tmp_path)
    frame = record("demand", [NUMBER])
    assert list(tmp_path.iterdir()) == []
    assert frame.loc["elasticity", "value"] == -1.23456
    assert list(frame.columns) == ["value", "low", "high", "unit", "claim", "verdict"]


def test_shown_rounded_and_whole(monkeypatch):
    monkeypatch.delenv("SIMKIT_REPORTS", raising=False)
    claim = "a claim that is longer than the fifty characters at which pandas cuts a text off"
    frame = record("demand", [{**NUMBER, "claim": claim}, {"name": "<b>", "value": None}])
    for text in (repr(frame), frame._repr_html_()):
        assert "-1.23" in text and "-1.2345" not in text
        assert claim in text and "NaN" not in text
    assert "<b>" not in frame._repr_html_()


def test_a_run_writes_the_record(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMKIT_REPORTS", str(tmp_path / "new"))
    model = types.SimpleNamespace(name="tiny", revision="abc123")
    record("demand", [{**NUMBER, "verdict": np.True_}], model=model, parameters={"draws": 50})
    content = json.loads((tmp_path / "new" / "demand.json").read_text())
    assert content["study"] == "demand"
    assert content["numbers"][0]["value"] == -1.23456  # in full: only the display is rounded
    assert content["numbers"][0]["verdict"] == "holds"
    provenance = content["provenance"]
    assert (provenance["model"], provenance["model_revision"]) == ("tiny", "abc123")
    assert provenance["parameters"] == {"draws": 50}
    assert str(tmp_path) not in json.dumps(content)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, np.nan])
def test_undefined_values_are_null_and_said_to_be(tmp_path, monkeypatch, value):
    monkeypatch.setenv("SIMKIT_REPORTS", str(tmp_path))
    frame = record("demand", [{"name": "ratio", "value": value, "high": value, "verdict": True}])
    (row,) = json.loads((tmp_path / "demand.json").read_text())["numbers"]
    assert row["value"] is row["high"] is None
    assert row["verdict"] == "undefined"
    assert math.isnan(frame.loc["ratio", "value"])


@pytest.mark.parametrize(
    ("given", "verdict"),
    [(True, "holds"), (False, "does not hold"), (None, "not judged"), ("holds", "holds")],
)
def test_verdicts(monkeypatch, given, verdict):
    monkeypatch.delenv("SIMKIT_REPORTS", raising=False)
    assert record("demand", [{**NUMBER, "verdict": given}])["verdict"].tolist() == [verdict]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([], "at least one"),
        ([NUMBER, NUMBER], "distinct names"),
        ([{"name": "x"}], "needs name and value"),
        ([{**NUMBER, "hihg": 1}], "may have low, high, unit, claim, verdict"),
        ([{**NUMBER, "low": 0.0}], "low 0.0 is above high -1.1"),
        ([{**NUMBER, "verdict": "maybe"}], "no verdict 'maybe'; legal are holds"),
    ],
)
def test_bad_numbers_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        record("demand", numbers)


def test_a_notebook_records_under_its_own_name(monkeypatch):
    monkeypatch.setenv("SIMKIT_STUDY", "belief")
    with pytest.raises(ValueError, match="in the notebook of 'belief'"):
        record("demand", [NUMBER])


def test_finish_adds_the_run_without_overruling_the_notebook(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMKIT_REPORTS", str(tmp_path))
    record("demand", [NUMBER], model="tiny", parameters={"draws": 50})
    knobs = {"draws": 10, "seed": 4, "model": "a/b"}
    finish(tmp_path, "demand", parameters=knobs, title="Demand", seconds=2.5)
    content = json.loads((tmp_path / "demand.json").read_text())
    assert content["provenance"]["parameters"] == {"draws": 50, "seed": 4, "model": "a/b"}
    assert (content["provenance"]["model"], content["provenance"]["seed"]) == ("tiny", 4)
    assert (content["title"], content["seconds"]) == ("Demand", 2.5)
    assert content["numbers"][0]["name"] == "elasticity"


def test_rounded():
    # 2 - floor(log10(0.00123456)) = 2 + 3 = 5 decimals
    assert rounded(0.00123456) == 0.00123
    assert rounded(-98765.4) == -98765.0
    assert rounded(0.0) == 0.0
    assert math.isnan(rounded(math.nan))


def test_a_caption_is_marked_so_that_the_report_finds_it():
    made = caption("Demand *falls*.")
    assert isinstance(made, Caption) and repr(made) == "Demand *falls*."
    data, metadata = made._repr_mimebundle_()
    assert data == {"text/plain": "Demand *falls*.", "text/markdown": "Demand *falls*."}
    assert metadata == {"simkit": {"caption": True}}
