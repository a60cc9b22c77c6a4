"""As good as a survey of how many people: known sizes, the caps, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from simkit import estimators as est


def error(*values):
    return pd.DataFrame([values], columns=["estimate", "low", "high"], index=["model"])


def test_a_share_is_missed_by_the_mean_absolute_error_of_a_binomial():
    # E|p - 1/2| of n answers is root(2 / pi) * 0.5 / root(n) = 0.3989 / root(n):
    # 0.0399 at n = 100, 0.0199 at 400, 0.0798 at 25. A larger error is fewer people.
    humans = pd.DataFrame({"vote": [0, 1] * 1_000, "party": [0, 1] * 1_000})
    found = est.as_good_as(humans, error(0.0399, 0.0199, 0.0798), n_boot=2_000)["model"]
    assert found["estimate"] == pytest.approx(100, rel=0.08)
    assert found["low"] == pytest.approx(25, rel=0.1)
    assert found["high"] == pytest.approx(400, rel=0.08)
    # An item that half of the people answered is missed by root(2) as much at each size, so the
    # mean of the two is 0.0399 at n = 100 (1 + root(2))^2 / 4 = 146.
    two = humans.assign(party=np.r_[[0, 1] * 500, [np.nan] * 1_000])
    again = est.as_good_as(two, error(0.0399, 0.0199, 0.0798), n_boot=2_000)["model"]
    assert again["estimate"] == pytest.approx(146, rel=0.08)


def test_correlations_of_unrelated_items_are_missed_by_one_over_root_n():
    # The standard deviation of r at a correlation of 0 is 1 / root(n - 1): 0.1 at n = 101.
    humans = pd.DataFrame(np.random.default_rng(1).normal(size=(3_000, 6)))
    found = est.as_good_as(humans, error(0.1, 0.05, 0.2), distance="rmsd", n_boot=300)["model"]
    assert found["estimate"] == pytest.approx(101, rel=0.1)
    assert found["low"] == pytest.approx(26, rel=0.2)
    assert found["high"] == pytest.approx(401, rel=0.1)


def test_sizes_end_at_two_and_at_all_people():
    humans = pd.DataFrame({"vote": [0, 1] * 100, "party": [0, 1] * 100})
    found = est.as_good_as(humans, error(0.001, 0, 0.9))
    assert found["model"]["estimate"] == found["model"]["high"] == pytest.approx(200)
    assert found["model"]["low"] == pytest.approx(2)
    assert found.notes == ("model: 200 people or more",)
    assert est.as_good_as(humans, error(0.9, 0.5, 1)).notes == ("model: 2 people or fewer",)
    assert np.isnan(est.as_good_as(humans, error(np.nan, 0.1, 0.2))["model"]["estimate"])


def test_what_is_refused():
    humans = pd.DataFrame({"vote": [0, 1] * 100, "party": [0, 1] * 100})
    with pytest.raises(ValueError, match="no column 'high'"):
        est.as_good_as(humans, error(0.1, 0, 1).drop(columns="high"))
    with pytest.raises(ValueError, match=r"an error is -0.1"):
        est.as_good_as(humans, error(-0.1, -0.2, 1))
    with pytest.raises(ValueError, match="distance"):
        est.as_good_as(humans, error(0.1, 0, 1), distance="kl")
    with pytest.raises(ValueError, match="all answer alike"):
        est.as_good_as(pd.DataFrame({"vote": [1] * 20, "party": [1] * 20}), error(0.1, 0, 1))
