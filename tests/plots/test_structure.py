"""What the figures of study 05 draw."""

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


def test_quadrant():
    frame = pd.DataFrame({
        "technique": ["personas", "joint interview"],
        "marginal": [0.05, 0.06], "structural": [0.2, 0.1],
        "structural_low": [0.15, 0.05], "structural_high": [0.25, 0.15],
        "marginal_floor": 0.03, "structural_floor": 0.04,
    })  # fmt: skip
    ax = plots.quadrant(frame)
    marks = {x.get_label(): (x.get_xdata()[0], x.get_ydata()[0]) for x in ax.get_lines()}
    assert marks["Personas"] == (0.05, 0.2) and marks["Joint interview"] == (0.06, 0.1)
    corner = ax.patches[0]
    assert (corner.get_width(), corner.get_height()) == (0.03, 0.04)
    assert len(ax.collections) == 2  # one vertical interval each, no horizontal ones
    more = frame.assign(technique=["tuned, personas", "tuned, joint"])
    both = plots.quadrant(pd.concat([frame, more], ignore_index=True))
    colours = [x.get_color() for x in both.get_lines() if x.get_marker() == "o"]
    assert len(set(colours)) == 4
    plain = plots.quadrant(frame[["technique", "marginal", "structural"]])
    assert not plain.patches and not plain.collections
    with pytest.raises(ValueError, match="no column 'structural'"):
        plots.quadrant(frame[["technique", "marginal"]])


def test_correlogram_pair():
    names = list("abc")
    below = pd.DataFrame(np.full((3, 3), 0.5), names, names)
    above = pd.DataFrame(np.full((3, 3), -0.25), names, names)
    above.loc["a", "c"] = np.nan
    ax = plots.correlogram_pair(below, above)
    drawn = np.ma.filled(ax.images[0].get_array(), np.nan)
    assert drawn[1, 0] == drawn[2, 1] == 0.5 and drawn[0, 1] == drawn[1, 2] == -0.25
    assert np.isnan(drawn[0, 2]) and np.isnan(drawn.diagonal()).all()
    assert sorted(t.get_text() for t in ax.texts) == ["-.25", "-.25", ".50", ".50", ".50"]
    assert not plots.correlogram_pair(below, above, numbers=False).texts
    with pytest.raises(ValueError, match="they must be the same"):
        plots.correlogram_pair(below, above.iloc[:2, :2])


def test_bars_and_lines():
    bars = pd.DataFrame({"name": ["x", "y"], "estimate": [0.2, 0.3], "low": 0.1, "high": 0.4,
                         "floor": [0.04, 0.05]})  # fmt: skip
    ax = plots.structure_bars(bars)
    floor = next(x for x in ax.get_lines() if "floor" in str(x.get_label()))
    assert floor.get_xdata().tolist() == [0.04, 0.05]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["x", "y"]
    lines = pd.DataFrame({"population": ["personas"] * 2, "groups": [20, 5], "estimate": [0.1, 0.3],
                          "low": 0.0, "high": 0.5})  # fmt: skip
    ax = plots.subgroup_lines(lines)
    drawn = next(x for x in ax.get_lines() if x.get_label() == "Personas")
    assert drawn.get_xdata().tolist() == [5, 20] and drawn.get_ydata().tolist() == [0.3, 0.1]
    assert len(ax.collections) == 1
