"""Figures of the diversity study, by the data they draw."""

import matplotlib as mpl
import pandas as pd
import pytest

mpl.use("Agg")

from simkit import plots


def line(ax, label):
    return next(x for x in ax.get_lines() if x.get_label() == label)


def test_unity_has_its_line_and_a_point_per_word():
    frame = pd.DataFrame({"internal": [10.0, 20, 11, 21], "population": [30.0, 40, 31, 41],
                          "source": ["belief"] * 2 + ["truth, exact"] * 2})  # fmt: skip
    ax = plots.unity(frame)
    unity = ax.get_lines()[0]
    assert unity.get_xdata()[1] == unity.get_ydata()[1] > 41
    assert line(ax, "Belief").get_ydata().tolist() == [30, 40]
    assert line(ax, "Truth, exact").get_markerfacecolor() == "none"
    assert "ΔE" in ax.get_xlabel()
    with pytest.raises(ValueError, match="no column 'internal'"):
        plots.unity(frame.drop(columns="internal"))


def test_dose_curve_marks_the_half():
    frame = pd.DataFrame({"dose": [10, 0, 5], "estimate": [2.0, 9, 5], "low": 1.0, "high": 10.0})
    ax = plots.dose_curve(frame, ylabel="ΔE", half=6.0)
    assert line(ax, "Belief").get_ydata().tolist() == [9, 5, 2]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "5", "10"]
    assert any(list(x.get_xdata()) == [6.0, 6.0] for x in ax.get_lines())
    assert len(plots.dose_curve(frame, ylabel="ΔE", half=float("nan")).get_lines()) == 1


def test_pairs_stand_one_per_row():
    frame = pd.DataFrame({"pair": ["a → b", "a → b", "c → d"],
                          "way": ["source", "better", "better"],
                          "estimate": [-0.2, -0.1, 0.1], "low": -0.3, "high": 0.2})  # fmt: skip
    ax = plots.model_pairs(frame, xlabel="difference")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a → b", "c → d"]
    assert line(ax, "Better").get_xdata().tolist() == [-0.1, 0.1]
    assert any(list(x.get_xdata()) == [0, 0] for x in ax.get_lines())


def test_trade_off_labels_its_points():
    frame = pd.DataFrame({"remedy": ["base", "mixing", "mixing"], "signed": [9.0, 2, 4],
                          "consensus": [0.5, 0.9, 0.8], "label": ["", "0%", "50%"]})  # fmt: skip
    ax = plots.trade_off(frame)
    assert line(ax, "Mixing").get_xdata().tolist() == [2, 4]
    assert [t.get_text() for t in ax.texts] == ["0%", "50%"]
    assert line(ax, "Base").get_marker() == "s"
