"""The frozen result and the intervals it is made of."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from simkit.result import Result, jackknife, t_frame


def make(**changes):
    frame = pd.DataFrame(
        {"estimate": [0.5, np.nan], "std_error": [0.1, np.nan], "low": [0.3, np.nan],
         "high": [0.7, np.nan], "kind": ["a<b", None]},
        index=["price", "odd"],
    )  # fmt: skip
    arguments = {"method": "Test <i>", "frame": frame, "n": 7, "alpha": 0.1, "source": "us"}
    return Result(**arguments | changes)


def test_reading_it():
    result = make(notes=("1 of 8 rows skipped",))
    assert result["price"]["estimate"] == 0.5
    assert result.interval("price") == (0.3, 0.7)
    assert np.isnan(result.interval("odd")[0])
    with pytest.raises(KeyError, match=r"no quantity 'income'; there are \['price', 'odd'\]"):
        result["income"]


def test_it_does_not_change():
    result = make()
    with pytest.raises(FrozenInstanceError):
        result.n = 8
    table, row = result.to_frame(), result["price"]
    table.loc["price", "estimate"] = row["estimate"] = 99
    assert result["price"]["estimate"] == 0.5
    frame = make().to_frame()
    kept = make(frame=frame)
    frame.loc["price", "estimate"] = 99
    assert kept["price"]["estimate"] == 0.5


def test_summary():
    assert make(notes=("1 of 8 rows skipped",)).summary().splitlines() == [
        "Test <i>: n = 7, 90 % intervals",
        "      estimate std_error     low    high kind",
        "price   0.5000    0.1000  0.3000  0.7000  a<b",
        "odd        nan       nan     nan     nan     ",
        "Note: 1 of 8 rows skipped",
        "Source: us",
    ]
    assert repr(make()) == make().summary()


def test_numbers_are_shown_so_that_reruns_agree():
    frame = make().to_frame().iloc[:1].assign(x=[3e-17], y=[2.5e-5], z=[1234567.8], w=[-0.0])
    last = make(frame=frame).summary().splitlines()[2].split()[-4:]
    assert last == ["0", "2.50e-05", "1.23e+06", "0"]


def test_html_is_escaped():
    html = make(notes=("<script>",))._repr_html_()
    assert "<i>" not in html
    assert "<script>" not in html
    assert "a&lt;b" in html


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame": make().frame.drop(columns="low")}, r"columns \['low'\] are missing"),
        ({"frame": make().frame.set_axis(["x", "x"])}, "quantity 'x' is there twice"),
        ({"frame": make().frame.assign(low=1.0)}, "the interval of 'price' has low above high"),
        ({"alpha": 5}, "alpha is 5; legal are numbers between 0 and 1"),
    ],
)
def test_errors(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_t_frame_known_values():
    # t with 4 degrees of freedom: 97.5 % quantile 2.7764; 0.6 / 0.2 = 3; p = 0.0399
    row = t_frame(["a"], 0.6, 0.2, 4, 0.05).loc["a"]
    assert row["low"] == pytest.approx(0.6 - 2.7764 * 0.2, abs=1e-4)
    assert row["high"] == pytest.approx(0.6 + 2.7764 * 0.2, abs=1e-4)
    assert row["statistic"] == pytest.approx(3)
    assert row["p"] == pytest.approx(2 * stats.t.sf(3, 4))
    assert t_frame(["a"], 1.96, 1, np.inf, 0.05).loc["a", "p"] == pytest.approx(0.05, abs=1e-4)


@pytest.mark.filterwarnings("error")
def test_t_frame_undefined_and_exact():
    table = t_frame(["nan", "exact", "zero", "few"], [np.nan, -2, 0, 1], [1, 0, 0, 1],
                    [5, 5, 5, 0], 0.05)  # fmt: skip
    assert table.loc["nan"].drop("df")[["estimate", "low", "p"]].isna().all()
    assert table.loc["exact", ["low", "high", "statistic", "p"]].tolist() == [-2, -2, -np.inf, 0]
    assert table.loc["zero", ["low", "high", "statistic", "p"]].tolist() == [0, 0, 0, 1]
    assert table.loc["few", ["std_error", "low", "high", "p"]].isna().all()


def test_jackknife_of_means_is_the_usual_covariance():
    x = np.random.default_rng(0).normal(size=(9, 3))
    without = (x.sum(axis=0) - x) / 8
    np.testing.assert_allclose(jackknife(without, x.mean(axis=0)), np.cov(x.T) / 9)
