"""What the figures of study 06 draw."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt

from simkit import plots

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def test_repeated_intervals_mark_those_that_miss():
    frame = pd.DataFrame({
        "method": ["people alone"] * 3 + ["mixed"] * 2, "estimate": [1.0, 2, 3, 2, 2],
        "low": [0.0, 1, 2.5, 1, 1], "high": [1.5, 3, 4, 3, 3],
    })  # fmt: skip
    ax = plots.repeated_intervals(frame, 2.0)
    crosses = [mark.get_ydata().tolist() for mark in ax.get_lines() if mark.get_marker() == "x"]
    assert crosses == [[1.0, 3.0], []]  # [0, 1.5] and [2.5, 4] do not hold 2
    labels = [t.get_text() for t in ax.get_xticklabels()]
    assert labels == ["People alone\n2 of 3 miss", "Mixed\n0 of 2 miss"]
    with pytest.raises(ValueError, match="truth"):
        plots.repeated_intervals(frame, np.nan)


def test_gains_are_sorted_and_the_largest_named():
    frame = pd.DataFrame({
        "estimate": [1.5, 1.0, 1.49, 1.2], "low": 0.9, "high": 1.6,
        "name": ["first", "last", "hidden", "third"], "kind": ["much", "none", "much", "some"],
    })  # fmt: skip
    ax = plots.gains(frame)
    marks = {m.get_label(): m.get_ydata().tolist() for m in ax.get_lines() if m.get_marker() == "o"}
    assert marks == {"None (1)": [1.0], "Some (1)": [1.2], "Much (2)": [1.49, 1.5]}
    # 1.49 lies less than 0.06 * 0.5 below 1.5: its name would cover the other.
    assert [t.get_text() for t in ax.texts] == ["first", "third", "last"]
    assert not plots.gains(frame[["estimate", "low", "high"]]).texts


def test_power_draws_both_lines_and_the_band():
    frame = pd.DataFrame({"budget": [1.0, 2], "power": [0.2, 0.6], "power_people": [0.2, 0.5]})
    ax = plots.power(frame)
    assert [line.get_label() for line in ax.get_lines()] == ["Mixed", "People alone"]
    assert not ax.collections
    assert plots.power(frame.assign(power_low=0.1, power_high=0.7)).collections
