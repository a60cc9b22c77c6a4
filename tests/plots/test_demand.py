"""What the figures draw; how they look is seen, not tested."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_hex

from simkit import plots
from simkit.plots import look

pytestmark = pytest.mark.filterwarnings("error")
PRICES = np.array([3.0, 1, 2, 4])  # not in order: the plots sort


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def curves(*strategies, **more):
    parts = [
        pd.DataFrame({"strategy": s, "price": PRICES, "estimate": 0.1 * PRICES,
                      "low": 0.1 * PRICES - 0.05, "high": 0.1 * PRICES + 0.05, **more})
        for s in strategies
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def line(ax, label):
    return next(x for x in ax.get_lines() if x.get_label() == label)


def test_demand_curves():
    _, ax = plt.subplots()
    frame = curves("blind", "unblinded", "truth causal", "human")
    assert plots.demand_curves(frame, ax) is ax
    for label, name in (("Blind", "blind"), ("Truth (causal)", "truth causal"), ("Human", "human")):
        drawn = line(ax, label)
        assert to_hex(drawn.get_color()).upper() == plots.PALETTE[name]
        assert drawn.get_xdata().tolist() == [1, 2, 3, 4]
        assert drawn.get_ydata() == pytest.approx([0.1, 0.2, 0.3, 0.4])
        assert (drawn.get_linestyle() == ":") == name.startswith("truth")
    assert plots.PALETTE["human"] == "#000000"
    assert len(ax.collections) == 3  # bands; the truth has none
    assert ax.get_xlabel() == "Price (dollars)"
    assert ax.get_ylabel() == "Probability of purchase"
    assert plots.demand_curves(frame, ax, unit="euros").get_xlabel() == "Price (euros)"


def test_no_intervals_and_no_axes_are_fine():
    ax = plots.demand_curves(curves("blind").drop(columns=["low", "high"]))
    assert len(ax.collections) == 0
    assert ax.get_legend() is None  # one line needs none


def test_unknown_methods_take_spare_colours_in_order():
    ax = plots.demand_curves(curves("blind", "gpt2", "llama"))
    colours = [to_hex(x.get_color()).upper() for x in ax.get_lines()]
    assert colours == [plots.PALETTE["blind"], *look.SPARE[:2]]


def test_palette_has_one_colour_per_method():
    colours = [*plots.PALETTE.values(), *look.SPARE]
    assert len(set(colours)) == len(colours)


def test_elicited_covariates():
    frame = pd.concat([curves("blind", covariate="heat"), curves("blind", covariate="rival_price")])
    _, axes = plt.subplots(1, 3)
    out = plots.elicited_covariates(frame, axes, unit="euros")
    assert out.tolist() == axes.tolist()
    assert [ax.get_title() or ax.get_title("left") for ax in axes] == ["Heat", "Rival price", ""]
    assert axes[1].get_xlabel() == "Price (euros)"
    assert not axes[2].axison
    with pytest.raises(ValueError, match=r"1 axes for 2 covariates: \['heat', 'rival_price'\]"):
        plots.elicited_covariates(frame, axes[:1])


def test_balance_plot_draws_the_standardised_slopes_only():
    frame = pd.DataFrame({
        "covariate": ["heat", "income", "heat"], "quantity": ["std_slope", "std_slope", "slope"],
        "estimate": [0.4, 0.1, 9], "low": [0.3, 0.0, 8], "high": [0.5, 0.2, 10],
    })  # fmt: skip
    both = pd.concat([frame.assign(strategy=s) for s in ("blind", "unblinded")])
    ax = plots.balance_plot(both)
    assert line(ax, "Blind").get_xdata().tolist() == [0.4, 0.1]
    blind, unblinded = (line(ax, s).get_ydata() for s in ("Blind", "Unblinded"))
    assert (blind < unblinded).all()  # side by side
    assert [t.get_text() for t in ax.get_yticklabels()] == ["Heat", "Income"]
    assert "SD" in ax.get_xlabel()
    assert any(list(x.get_xdata()) == [0, 0] for x in ax.get_lines())  # the zero line


def test_ablation():
    frame = pd.DataFrame({"k": [0, 1, 1, 2], "error": [0.3, 0.2, 0.1, 0.05]})
    ax = plots.ablation(frame)
    assert line(ax, "Mean").get_ydata() == pytest.approx([0.3, 0.15, 0.05])
    points = line(ax, "One subset")
    assert points.get_ydata().tolist() == [0.3, 0.2, 0.1, 0.05]
    assert np.abs(points.get_xdata() - frame["k"]).max() < 0.2
    again = line(plots.ablation(frame), "One subset")
    assert (again.get_xdata() == points.get_xdata()).all()  # nothing is sampled
    with_products = plots.ablation(pd.concat([frame.assign(product=p) for p in ("tea", "jam")]))
    assert len(with_products.get_lines()) == 4


def test_scaling():
    frame = pd.DataFrame({
        "documents": [1000, 100, 1000, 100], "error": [0.1, 0.2, 0.15, 0.2], "strategy": "blind",
        "target": ["truth observational"] * 2 + ["truth causal"] * 2,
    })  # fmt: skip
    ax = plots.scaling(frame)
    assert ax.get_xscale() == "log"
    assert ax.get_ylim()[0] == 0
    own, other = ax.get_lines()
    assert own.get_xdata().tolist() == [100, 1000]
    assert (own.get_linestyle(), other.get_linestyle()) == ("-", "--")
    assert own.get_label() == "Blind, against the observational truth"


@pytest.mark.parametrize(
    ("draw", "column"),
    [(plots.demand_curves, "strategy"), (plots.balance_plot, "covariate"), (plots.ablation, "k"),
     (plots.scaling, "strategy")],
)  # fmt: skip
def test_a_missing_column_is_named(draw, column):
    with pytest.raises(ValueError, match=rf"no column '{column}'; the frame has \['x'\]"):
        draw(pd.DataFrame({"x": [1]}))


def test_style_can_be_taken_back():
    before = {name: mpl.rcParams[name] for name in look.RC}
    with plots.style():
        assert mpl.rcParams["axes.spines.top"] is False
    assert {name: mpl.rcParams[name] for name in look.RC} == before
    kept = plots.style()
    assert mpl.rcParams["legend.frameon"] is False
    kept.__exit__(None, None, None)


def test_importing_changes_nothing():
    code = (
        "import matplotlib as m; b = dict(m.rcParams); import simkit.plots; "
        "assert dict(m.rcParams) == b"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def runs_frame():
    return pd.DataFrame({"method": ["belief", "belief", "choice", "choice"], "runs": [10, 1, 1, 10],
                         "estimate": [0.01, 0.03, 0.3, 0.1], "low": 0.01, "high": 0.4,
                         "expected": [0.011, 0.031, 0.29, 0.11]})  # fmt: skip


def test_error_curves_are_log_log_with_theory_dotted():
    ax = plots.error_curves(runs_frame())
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    belief = line(ax, "Belief")
    assert belief.get_xdata().tolist() == [1, 10] and belief.get_ydata().tolist() == [0.03, 0.01]
    assert to_hex(belief.get_color()).upper() == plots.PALETTE["belief"]
    assert line(ax, "Choice, theory").get_ydata().tolist() == [0.29, 0.11]
    assert line(ax, "Choice, theory").get_linestyle() == ":"
    bare = plots.error_curves(runs_frame().drop(columns="expected"), ylabel="Bias")
    assert "Bias" in bare.get_ylabel()


def test_factors_have_one_row_per_design_and_a_line_at_one():
    frame = pd.DataFrame({"design": ["thinks aloud", "decides first"] * 2,
                          "method": ["measured"] * 2 + ["exact"] * 2,
                          "estimate": [40.0, 1.1, 39.8, 1.07], "low": [30.0, 1.0, np.nan, np.nan],
                          "high": [50.0, 1.2, np.nan, np.nan]})  # fmt: skip
    ax = plots.factors(frame)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["Thinks aloud", "Decides first"]
    assert ax.get_xscale() == "log"
    assert any(list(x.get_xdata()) == [1, 1] for x in ax.get_lines())
    assert line(ax, "Exact").get_xdata().tolist() == [39.8, 1.07]


def test_factors_name_a_missing_column():
    with pytest.raises(ValueError, match="no column 'design'"):
        plots.factors(pd.DataFrame({"method": ["a"], "estimate": [1.0]}))


def test_margins_put_achieved_beside_target():
    frame = pd.DataFrame({"margin": ["age", "age", "sex"], "value": ["young", "old", "man"],
                          "target": [0.3, 0.7, 0.5], "achieved": [0.25, 0.75, 0.5],
                          "by_chance": [0.05, 0.05, 0.06]})  # fmt: skip
    ax = plots.margins(frame)
    assert [x.get_text() for x in ax.get_yticklabels()] == ["Age: young", "Age: old", "Sex: man"]
    assert line(ax, "Achieved").get_xdata().tolist() == [0.25, 0.75, 0.5]
    assert line(ax, "Target").get_xdata().tolist() == [0.3, 0.7, 0.5]
    with pytest.raises(ValueError, match="no column 'achieved'"):
        plots.margins(frame.drop(columns="achieved"))


def test_names_of_a_categorical_column_are_drawn():
    frame = pd.DataFrame({"design": ["b", "a"], "method": ["m", "m"], "estimate": [1.0, 2.0]})
    ax = plots.factors(frame.astype({"design": "category", "method": "category"}))
    assert [t.get_text() for t in ax.get_yticklabels()] == ["B", "A"]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"strategy": ["x", None], "price": [1, 2], "estimate": [0.1, 0.2]}, "row 1 has no label"),
        ({"strategy": ["x", "x"], "price": [1, "2"], "estimate": [0.1, 0.2]}, "price: row 1 holds"),
        ({"strategy": ["x", "x"], "price": [1, 2], "estimate": [None, None]}, "holds no number"),
        ({"strategy": [], "price": [], "estimate": []}, "the frame has no rows"),
    ],
)
def test_what_cannot_be_drawn_is_named_before_a_figure_is_made(frame, message):
    before = plt.get_fignums()
    with pytest.raises(ValueError, match=message):
        plots.demand_curves(pd.DataFrame(frame))
    with pytest.raises(ValueError, match="ax is 'here'; it must be Axes"):
        plots.demand_curves(
            pd.DataFrame({"strategy": ["x"], "price": [1], "estimate": [0.5]}), "here"
        )
    assert plt.get_fignums() == before
