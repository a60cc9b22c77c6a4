"""Variances over clusters of one factor, and of two that are crossed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import simkit.estimators as est
from simkit.estimators.shared.clustering import effective, mean_over
from simkit.types import usable_rows


def grid(table):
    """Values, weights and the codes of both factors of a table (A, B), one row per cell."""
    a, b = np.indices(np.shape(table))
    return np.ravel(table).astype(float), np.ones(np.size(table)), [a.ravel(), b.ravel()]


def test_one_factor_known_values():
    # clusters a: 1, 3 and b: 6 (weight 2): mean = (1 + 3 + 12) / 4 = 4; without a 6, without b 2;
    # variance = 1/2 ((6 - 4)^2 + (2 - 4)^2) = 4
    found = mean_over(np.array([1.0, 3, 6]), np.array([1.0, 1, 2]), [np.array([0, 0, 1])])
    assert (found.estimate, found.error, found.clusters) == pytest.approx((4, 2, 2))
    assert np.isnan(mean_over(np.ones(2), np.ones(2), [np.array([0, 0])]).error)


def test_two_factors_are_added_less_their_interaction():
    # rows 1 2 6, 3 4 5: row means 3, 4 (variance 1/2, /2 = 1/4); column means 2, 3, 5.5 (variance
    # 3.25, /3 = 1.0833). Residuals off both effects: -0.5 -0.5 1, 0.5 0.5 -1: squares 3, on
    # (2-1)(3-1) = 2 degrees of freedom 1.5, / 6 cells = 1/4. Sum: 1/4 + 13/12 - 1/4 = 13/12.
    found = mean_over(*grid([[1, 2, 6], [3, 4, 5]]))
    assert found.estimate == 3.5
    assert found.error**2 == pytest.approx(13 / 12)
    # Satterthwaite: (13/12)^2 / ((1/4)^2 / 1 + (13/12)^2 / 2 + (1/4)^2 / 2)
    below = 1 / 16 + (13 / 12) ** 2 / 2 + 1 / 32
    assert found.df == pytest.approx((13 / 12) ** 2 / below)
    assert found.clusters == 2


def test_what_one_factor_shares_counts_once():
    # every column alike: the three rows' means 1, 2, 6 are all there is: variance 7, / 3
    found = mean_over(*grid([[1] * 5, [2] * 5, [6] * 5]))
    assert found.error**2 == pytest.approx(7 / 3)
    assert found.df == pytest.approx(2)


def test_two_factors_never_have_less_than_their_cells():
    # rows and columns all have the mean 0: V_A = V_B = 0; residuals are the values: 4 / 1 / 4 = 1
    found = mean_over(*grid([[1, -1], [-1, 1]]))
    assert found.error == pytest.approx(1)


def test_a_nested_factor_adds_nothing():
    y = np.array([1.0, 2, 4, 5, 7, 9])
    people, towns = np.arange(6), np.array([0, 0, 1, 1, 2, 2])
    both, one = (mean_over(y, np.ones(6), f) for f in ([people, towns], [towns]))
    assert both == one
    # a factor of one level says nothing either
    assert mean_over(y, np.ones(6), [towns, np.zeros(6, dtype=int)]) == one


def test_effective_clusters_are_the_degrees_of_freedom():
    # 12 and five of 1: (17)^2 / (144 + 5) = 1.94 clusters; equal ones count in full
    assert effective(np.array([12, 1, 1, 1, 1, 1])) == pytest.approx(17**2 / 149)
    code = np.repeat(np.arange(6), [12, 1, 1, 1, 1, 1])
    found = mean_over(np.random.default_rng(0).random(17), np.ones(17), [code])
    assert (found.units, found.df) == (pytest.approx(17**2 / 149), 1)
    assert mean_over(np.arange(6.0), np.ones(6), [np.arange(6)]).df == pytest.approx(5)


def frame(wordings=6, products=4, seed=0):
    rng = np.random.default_rng(seed)
    d = pd.MultiIndex.from_product(
        [range(wordings), range(products), [1.0, 2, 3]], names=["wording", "product", "price"]
    ).to_frame(index=False)
    own = rng.normal(size=wordings)[d["wording"]] + rng.normal(size=products)[d["product"]]
    return d.assign(buys=1 / (1 + np.exp(d["price"] - 2 - own / 2)), heat=own, heat_sd=1.0)


CALLS = {
    "demand_curve": lambda d, c: est.demand_curve(d["price"], d["buys"], cluster=c),
    "price_coefficient": lambda d, c: est.price_coefficient(d["price"], d["buys"], cluster=c),
    "curve_error": lambda d, c: est.curve_error(d["price"], d["buys"], [0.5] * len(d), cluster=c),
    "balance_audit": lambda d, c: est.balance_audit(
        d.assign(heat=d["heat"] * d["price"]), covariates=["heat"], cluster=list(c)
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_result_says_what_it_is_over(name):
    d = frame()
    both = CALLS[name](d, d[["product", "wording"]])
    assert both.over == "product (4) and wording (6)"
    assert "95 % intervals over product (4) and wording (6)" in both.summary()
    assert CALLS[name](d, d[["wording"]]).over == "wording (6)"
    # which is first does not matter
    again = CALLS[name](d, d[["wording", "product"]]).frame
    pd.testing.assert_frame_equal(both.frame, again, rtol=1e-9)
    # 4 products are few, and 6 wordings are not
    assert any("4.0 effective clusters" in note for note in both.notes)
    assert not any("effective" in note for note in CALLS[name](d, d[["wording"]]).notes)


def test_more_than_two_factors_are_refused():
    d = frame().assign(who=0)
    with pytest.raises(ValueError, match="it must be one column, or two that are crossed"):
        est.demand_curve(d["price"], d["buys"], cluster=d[["wording", "product", "who"]])
    with pytest.raises(ValueError, match="it must be one column here"):
        usable_rows(d["buys"].to_numpy(), None, d[["wording", "product"]])


def test_perfect_confounding_is_infinite_not_zero():
    # the halves' means are 1 and 3 and nothing varies in either: (3 - 1) / 0
    d = frame().query("price != 2").assign(heat=lambda f: f["price"], heat_sd=0.0)
    d["heat"] += 0.0 * d["wording"]
    d["other"], d["other_sd"] = -d["heat"], 0.0
    found = est.balance_audit(d, covariates=["heat", "other"], cluster=["product", "wording"])
    assert found["smd[heat]"]["estimate"] == np.inf
    assert found["smd[other]"]["estimate"] == -np.inf
    assert found.frame.loc[["smd[heat]", "smd[other]"], ["low", "high", "p"]].isna().all(axis=None)
    assert any("heat: no spread within halves" in note for note in found.notes)


@pytest.mark.parametrize("name", ["demand_curve", "price_coefficient", "curve_error"])
def test_weights_of_any_size_are_relative(name):
    d = frame()
    calls = {
        "demand_curve": lambda w: est.demand_curve(d["price"], d["buys"], weights=w),
        "price_coefficient": lambda w: est.price_coefficient(d["price"], d["buys"], weights=w),
        "curve_error": lambda w: est.curve_error(
            d["price"], d["buys"], [0.5] * len(d), weights=w, cluster=d["wording"]
        ),
    }
    small, large = (calls[name]([w] * len(d)).frame for w in (1.0, 1e50))
    pd.testing.assert_frame_equal(small, large)


def test_copies_count_once_wherever_clusters_are_prompts():
    # three wordings of four prices; 20 copies of each say nothing more
    rng = np.random.default_rng(2)
    z = rng.standard_normal(3)
    wording, price = np.repeat(np.arange(3), 4), np.tile([1.0, 2, 3, 4], 3)
    y = 1 / (1 + np.exp((0.5 + 0.2 * z[wording]) * price - 1 - z[wording]))
    label = np.concatenate([wording + 3 * i for i in range(20)])
    x, b = np.tile(price, 20), np.tile(y, 20)
    for call in (
        lambda x, y, c: est.conditional_logit(y, x, cluster=c),
        lambda x, y, c: est.mean_belief(y, by=x, cluster=c),
        lambda x, y, c: est.price_coefficient(x, y, cluster=c),
    ):
        once, often = call(price, y, wording), call(x, b, label)
        columns = ["estimate", "std_error", "low", "high"]
        pd.testing.assert_frame_equal(once.frame[columns], often.frame[columns], atol=1e-9)
        assert any("of them distinct" in note for note in often.notes)


def test_a_factor_of_one_level_is_no_sample():
    d = frame().assign(wording=0)
    found = est.demand_curve(d["price"], d["buys"], cluster=d[["product", "wording"]])
    assert found.over == "product (4), one wording only"


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_purchases_that_all_agree_have_no_logit(share):
    price = np.tile([1.0, 2, 3, 4], 6)
    found = est.conditional_logit(np.full(24, share), price)
    assert found.frame["estimate"].isna().all()
    assert any("no logit" in note for note in found.notes)


def test_a_price_that_moves_nothing_has_no_best_price():
    price = np.tile([1.0, 2, 3, 4], 6)
    y = 0.3 + 1e-10 * np.repeat(np.arange(6), 4)
    for found in (
        est.willingness_to_pay(y, price),
        est.optimal_price(y, price, cost=1.0, at=[2.0]),
    ):
        assert found.frame["estimate"].isna().all()
        assert any("the price moves nothing" in note for note in found.notes)


def test_groups_may_not_be_called_as_the_result_is():
    with pytest.raises(ValueError, match="groups has a column 'price', as the result has; rename"):
        est.demand_curve([1, 2], [0.5, 0.4], groups=pd.DataFrame({"price": ["a", "b"]}))


def test_a_group_without_choices_is_nan_without_a_warning():
    found = est.mean_choice([0, 1, np.nan, np.nan], by=[0, 0, 1, 1])
    assert found.frame["estimate"].isna().sum() == 1
