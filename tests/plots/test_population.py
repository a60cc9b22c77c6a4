"""What the figures of the population study draw."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_hex

from simkit import plots
from simkit.plots.population import GREY, METHODS

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def line(ax, label):
    return next(x for x in ax.get_lines() if x.get_label() == label)


def test_methods_have_colours_of_their_own():
    assert len(set(METHODS.values())) == len(METHODS)


def test_answer_shares_are_bars_of_people_and_lines_of_models():
    methods = ["respondents"] * 2 + ["LoRA"] * 2 + ["truth"] * 2
    shares = [0.7, 0.3, 0.6, 0.4, 0.65, 0.35]
    frame = pd.DataFrame({"method": methods, "value": [10, 0] * 3, "share": shares})
    ax = plots.answer_shares(frame)
    assert [p.get_height() for p in ax.patches] == [0.3, 0.7]
    assert line(ax, "LoRA").get_ydata().tolist() == [0.4, 0.6]
    assert line(ax, "Truth").get_linestyle() == ":"
    assert ax.get_xlabel() == "Answer (points)"
    assert plots.answer_shares(frame, unit="days").get_xlabel() == "Answer (days)"


def test_fit_dots_have_a_row_per_method_with_floor_and_ceiling():
    frame = pd.DataFrame({"method": ["LoRA", "uniform"], "estimate": [0.1, 0.5]})
    frame = frame.assign(low=[0.05, 0.4], high=[0.2, 0.6], floor=0.02, ceiling=0.5)
    ax = plots.fit_dots(frame, xlabel="KL (nats)")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["LoRA", "Uniform"]
    dots = [x for x in ax.get_lines() if len(x.get_xdata()) == 1]
    assert [x.get_xdata()[0] for x in dots] == [0.1, 0.5]
    assert to_hex(dots[0].get_color()).upper() == METHODS["LoRA"]
    assert to_hex(dots[1].get_color()).upper() == GREY
    assert {t.get_text() for t in ax.texts} == {"Floor", "Ceiling"}
    assert ax.get_xlabel() == "KL (nats)"
    assert len(plots.fit_dots(frame.assign(floor=np.nan)).texts) == 1


def test_temperatures_ring_the_lowest_point():
    frame = pd.DataFrame({"temperature": [2.0, 0.0, 1.0], "estimate": [0.5, 0.4, 0.1]})
    frame = frame.assign(method="LoRA", sampled=[np.nan, 0.41, 0.12])
    ax = plots.temperatures(frame, ylabel="KL")
    assert line(ax, "LoRA").get_xdata().tolist() == [0, 1, 2]
    ring = next(x for x in ax.get_lines() if x.get_markersize() == 9)
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (1.0, 0.1)
    assert any(x.get_marker() == "x" for x in ax.get_lines())
    assert ax.get_ylabel() == "KL"
    two = pd.concat([frame, frame.assign(method="base")])
    assert plots.temperatures(two).get_legend() is not None
    assert plots.temperatures(two, names=False).get_legend() is None


def test_learning_starts_at_the_base():
    frame = pd.DataFrame({"respondents": [200, 0, 50], "estimate": [0.1, 0.5, 0.2]})
    ax = plots.learning(frame, levels={"ordered logit": 0.09})
    assert line(ax, "LoRA").get_ydata().tolist() == [0.5, 0.2, 0.1]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["none\n(base)", "50", "200"]
    assert line(ax, "Ordered logit").get_ydata()[0] == 0.09


def test_penalty_map_writes_its_numbers():
    frame = pd.DataFrame({"slope": [1, 1, 2, 2], "width": [0, 0.1, 0, 0.1],
                          "estimate": [22.41, 22.0, 21.5, np.nan]})  # fmt: skip
    ax = plots.penalty_map(frame)
    assert [t.get_text() for t in ax.texts] == ["22.4", "22", "21.5", "–"]
    assert plots.penalty_map(frame, label="KL").get_title() == "KL"


def test_shifts_put_methods_side_by_side():
    frame = pd.DataFrame({"information": ["nothing", "costs"] * 2,
                          "method": ["respondents"] * 2 + ["truth"] * 2,
                          "estimate": [0.1, 3, 0, 2.5], "low": 0.0, "high": 4.0})  # fmt: skip
    ax = plots.shifts(frame)
    assert line(ax, "Respondents").get_xdata().tolist() == [0.1, 3]
    assert (line(ax, "Respondents").get_ydata() < line(ax, "Truth").get_ydata()).all()
    assert [t.get_text() for t in ax.get_yticklabels()] == ["Nothing", "Costs"]
    assert "(points)" in ax.get_xlabel()


@pytest.mark.parametrize(
    ("draw", "column"),
    [(plots.answer_shares, "method"), (plots.fit_dots, "method"), (plots.temperatures, "method"),
     (plots.learning, "respondents"), (plots.penalty_map, "slope"), (plots.shifts, "information")],
)  # fmt: skip
def test_a_missing_column_is_named(draw, column):
    with pytest.raises(ValueError, match=f"no column '{column}'"):
        draw(pd.DataFrame({"x": [1]}))
