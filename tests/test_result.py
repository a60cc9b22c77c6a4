"""The frozen result and the intervals it is made of."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from simkit.result import Result, estimate_text, jackknife, number_text, rounded, t_frame


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


def test_a_caption_says_what_was_estimated_from_how_much_and_over_what():
    made = make(method="Mean belief", n=1_200, over="products (8)")
    assert made.caption() == (
        "**Mean belief.** price 0.5 [0.3, 0.7] (n = 1,200, 90 % interval over products (8))."
    )
    # what is undefined has no interval, and where nothing has one, none is spoken of
    assert made.caption("odd") == "**Mean belief.** odd undefined (n = 1,200)."
    assert made.caption("odd", "price", title="Both", form=".0%") == (
        "**Both.** odd undefined; price 50% [30%, 70%] "
        "(n = 1,200, 90 % interval over products (8))."
    )
    with pytest.raises(KeyError, match="no quantity 'income'"):
        made.caption("income")
    frame = made.to_frame().assign(low=[0.3, -0.5], estimate=[0.5, -0.4], high=[0.7, -0.04])
    assert make(frame=frame).caption("price", "odd", title="Two") == (
        "**Two.** price 0.5 [0.3, 0.7]; odd −0.4 [−0.5, −0.04] (n = 7, 90 % intervals)."
    )
    assert make(frame=frame[:0]).caption() == "**Test <i>.** no quantity (n = 7)."


def test_a_caption_is_plain_where_names_hold_marks_of_markdown():
    frame = make().to_frame().rename(index={"price": "$3, *net*"})
    text = make(frame=frame, method="Demand at $2").caption()
    assert text.startswith(r"**Demand at \$2.** \$3, \*net\* 0.5 [")


def test_rounded():
    # 2 - floor(log10(0.00123456)) = 2 + 3 = 5 decimals
    assert rounded(0.00123456) == 0.00123
    assert rounded(-98765.4) == -98765.0
    assert rounded(0.0) == 0.0
    assert math.isnan(rounded(math.nan))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-1.23456, "−1.23"),  # three significant digits, a true minus sign
        (0.0123456, "0.0123"),
        (12345.6, "12346"),  # never coarser than a whole number
        (0.0, "0"),
        (None, "undefined"),
        (math.inf, "undefined"),
    ],
)
def test_numbers_as_text(value, text):
    assert number_text(value) == text


def test_an_estimate_as_text():
    row = {"estimate": -8.34, "low": -9.91, "high": 7.02}
    assert estimate_text(pd.Series(row), ".1f") == "−8.3 [−9.9, 7.0]"
    assert estimate_text(row | {"low": math.nan}) == "−8.34"
    assert estimate_text({"estimate": 0.5}) == "0.5"
    frame = pd.DataFrame([row, {"estimate": 0.5}], index=["a", "b"])
    assert estimate_text(frame, ".1f") == "a −8.3 [−9.9, 7.0]; b 0.5"


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
        ({"alpha": 5}, "alpha is 5; it must be a number between 0 and 1"),
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
