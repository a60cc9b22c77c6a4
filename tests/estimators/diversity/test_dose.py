"""Dose and response: by hand, coverage, every keyword, what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from simkit.estimators.diversity.dose import dose_response, half_dose

pytestmark = pytest.mark.filterwarnings("error")


def test_by_hand():
    found = dose_response([[10, 6, 8], [5, 4, 3], [2, 0, 1]], [0, 1, 7])
    # means 8, 4, 1; left 1, 1/2, 1/8; steps -4 and -3
    assert found["mean, dose=1"]["estimate"] == pytest.approx(4)
    assert found["left, dose=7"]["estimate"] == pytest.approx(1 / 8)
    assert found["left, dose=0"][["estimate", "std_error"]].tolist() == [1, 0]
    # steps of dose 1: -5, -2, -5: standard deviation sqrt(3), over sqrt(3)
    step = found["step, dose=1"]
    assert (step["estimate"], step["std_error"]) == (pytest.approx(-4), pytest.approx(1))
    # ratio at dose 1 without each item: 7/14, 8/18, 9/16; jackknife 2/3 sum (r - 1/2)^2
    moves = [0, 8 / 18 - 1 / 2, 9 / 16 - 1 / 2]
    expected = np.sqrt(2 / 3 * np.square(moves).sum())
    assert found["left, dose=1"]["std_error"] == pytest.approx(expected)
    other = dose_response([[10, 6, 8], [5, 4, 3]], [0, 1], baseline=[16, 16, 16])
    assert other["left, dose=0"]["estimate"] == pytest.approx(0.5)


def test_half_dose_by_hand():
    # left 1, 0.75, 0.25 at log2(1 + dose) = 0, 1, 3: half of the way from 1 to 3: dose 3
    found = half_dose([[4, 4, 4], [3, 3, 3], [1, 1, 1]], [0, 1, 7])["half_dose"]
    assert found["estimate"] == pytest.approx(3)
    assert (found["low"], found["high"]) == (pytest.approx(3), pytest.approx(3))  # items agree
    never = half_dose([[4, 4], [3, 3]], [0, 1])
    assert np.isnan(never["half_dose"]["estimate"])
    assert never.notes == ("more than half is left at the largest dose",)


def test_half_dose_interval_covers():
    doses, rng = np.array([0, 5, 10, 20, 40, 80]), np.random.default_rng(0)
    hits = []
    for _ in range(150):
        scale = rng.gamma(4, 1, 12)
        rate = np.exp(0.3 * rng.normal(size=12))
        # left = 1 - log(1 + dose) / log(81) on average, steeper or flatter by item
        fall = np.log1p(doses)[:, None] / np.log(81) * rate
        values = scale * (1 - fall * 0.9)
        row = half_dose(values, doses)["half_dose"]
        truth = np.expm1(np.log(81) * 0.5 / (0.9 * np.exp(0.045)))  # mean rate exp(0.09 / 2)
        hits.append(row["low"] <= truth <= row["high"])
    assert np.mean(hits) > 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / 150) - 0.02


def test_half_dose_that_was_passed_before_the_first_is_undefined():
    """Undefined is not zero: 0.25 is left at the first dose, so half was gone before it."""
    found = half_dose([[1, 1], [0.5, 0.5]], [2, 5], baseline=[4, 4])
    assert found["half_dose"].isna().all()
    assert found.notes == (
        "less than half is left at the first dose: the dose that halves it is not known",
    )
    # exactly half at the first dose is that dose
    assert half_dose([[2, 2], [1, 1]], [2, 5], baseline=[4, 4])["half_dose"]["estimate"] == (
        pytest.approx(2)
    )


def test_nothing_is_left_of_what_may_be_nothing():
    # base -1, 1, 3, -2, 2: mean 0.6, standard error 2.074/sqrt(5) = 0.927, t of 4 2.776: reaches 0
    base = np.array([-1.0, 1, 3, -2, 2])
    found = dose_response([base, base / 4], [0, 1])
    row = found["left, dose=1"]
    assert row["estimate"] == pytest.approx(0.25) and np.isnan([row["low"], row["high"]]).all()
    assert found.notes == (
        "the interval of the baseline's mean reaches 0: the share left has no interval",
    )
    assert np.isnan(half_dose([base, base / 4], [0, 1]).interval("half_dose")).all()
    none = dose_response([-base, base], [0, 1])
    assert np.isnan(none["left, dose=1"]["estimate"])
    assert none.notes == ("the baseline's mean is not above 0: the share left is undefined",)


def test_keywords_and_errors():
    x = np.random.default_rng(1).random((3, 5)) + np.array([[3.0], [2.0], [1.0]])
    first = dose_response(x, [0, 1, 2]).frame
    assert not dose_response(x, [0, 1, 2], alpha=0.5).frame["low"].equals(first["low"])
    changed = dose_response(x, [0, 1, 2], baseline=np.ones(5)).frame["estimate"]
    assert not changed.equals(first["estimate"])
    half = half_dose(x, [0, 1, 2]).frame
    assert not half_dose(x, [0, 1, 2], alpha=0.5).frame["low"].equals(half["low"])
    other = half_dose(x, [0, 1, 2], baseline=2 * x[0]).frame
    assert not other["estimate"].equals(half["estimate"])
    pd.testing.assert_frame_equal(half, half_dose(x, [0, 1, 2]).frame)
    with pytest.raises(ValueError, match=r"they must be \(doses, items"):
        dose_response(x, [0, 1])
    with pytest.raises(ValueError, match="they must rise"):
        dose_response(x, [0, 2, 1])
    x[2, 3] = np.nan
    with pytest.raises(ValueError, match=r"values\[2, 3\] is nan"):
        dose_response(x, [0, 1, 2])
    flat = dose_response(np.zeros((2, 3)), [0, 1])
    assert np.isnan(flat["left, dose=1"]["estimate"])
