"""Demand curves, logit coefficients, elasticities, flatness, steps: known values and recovery."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logit

from simkit.estimators import (
    curve_error,
    demand_curve,
    flatness_ratio,
    own_price_elasticity,
    price_coefficient,
    step_test,
)
from simkit.estimators.shared.clustering import normal_logits

pytestmark = pytest.mark.filterwarnings("error")


def beliefs(seed=0, clusters=8, prices=5, products=("tea", "jam", "oil"), slope=-0.7, spread=0.4):
    """Exact beliefs of a logit with a random intercept per wording: unequal axis lengths."""
    rng = np.random.default_rng(seed)
    grid = pd.MultiIndex.from_product(
        [range(clusters), products, np.linspace(1, 4, prices)],
        names=["wording", "product", "price"],
    ).to_frame(index=False)
    shift = dict(zip(products, (0.5, -0.2, 0.1), strict=False))
    eta = 1 + slope * grid["price"] + grid["product"].map(shift)
    eta += rng.normal(0, spread, clusters)[grid["wording"]]
    return grid.assign(buys=expit(eta), eta=eta)


# --- demand_curve ---------------------------------------------------------------------------


def test_curve_known_values():
    # price 2, clusters a (0.2, 0.4), b (0.9): mean = 1.5 / 3 = 0.5; without a 0.9, without b 0.3;
    # variance = 1/2 (0.4^2 + 0.2^2) = 0.1
    result = demand_curve(
        [2, 2, 2, 3, 3], [0.2, 0.4, 0.9, 0.5, 0.7], cluster=["a", "a", "b", "a", "b"], alpha=0.5
    )
    assert result.frame.index.tolist() == ["price=2", "price=3"]
    assert result["price=2"][["estimate", "std_error", "n", "clusters"]].tolist() == pytest.approx(
        [0.5, np.sqrt(0.1), 3, 2]
    )


def test_curve_interval_on_the_logit_scale():
    # draws: cluster a 0 and 1, b 1 and 1: mean 3/4, se = (1 - 1/2) / 2 = 1/4; the 75 % quantile of
    # t(1) is 1, logit(3/4) = log 3, its error (1/4) / (3/16) = 4/3: expit(log 3 -+ 4/3)
    drawn = demand_curve([2] * 4, [0, 1, 1, 1], cluster=["a", "a", "b", "b"], alpha=0.5)
    assert drawn.interval("price=2") == pytest.approx(expit(np.log(3) + np.array([-4, 4]) / 3))
    # in the middle of the scale it is the t interval of independent rows
    y = np.random.default_rng(1).uniform(0.45, 0.55, 13)
    low, high = stats.ttest_1samp(y, 0).confidence_interval(0.9)
    found = demand_curve(np.ones(13), y, alpha=0.1).interval("price=1")
    assert found == pytest.approx((low, high), abs=2e-4)


def test_weights_are_repetition_of_rows_inside_clusters():
    d = beliefs(prices=3)
    w = np.random.default_rng(2).integers(1, 4, len(d))
    twice = d.loc[d.index.repeat(w)]
    a = demand_curve(d["price"], d["buys"], weights=w * 0.01, cluster=d["wording"])
    b = demand_curve(twice["price"], twice["buys"], cluster=twice["wording"])
    pd.testing.assert_frame_equal(a.frame.drop(columns="n"), b.frame.drop(columns="n"))


def test_groups_keep_their_own_prices_and_names():
    d = beliefs(clusters=4, prices=2)
    d["price"] += 10.0 * (d["product"] == "oil")
    one = demand_curve(d["price"], d["buys"], groups=d["product"])
    assert one.frame.index.tolist() == [
        "tea, price=1", "tea, price=4", "jam, price=1", "jam, price=4", "oil, price=11",
        "oil, price=14",
    ]  # fmt: skip
    two = demand_curve(d["price"], d["buys"], groups=d[["wording", "product"]])
    assert two.frame.columns.tolist()[:3] == ["wording", "product", "price"]
    assert two.frame.index[0] == "0, tea, price=1"


def test_undefined_cells_are_nan_and_counted():
    result = demand_curve([1, 1, 2, 3, 3], [0.2, 0.4, None, 0.3, 0.5], weights=[1, 1, 1, 1, 0])
    assert result["price=2"][["estimate", "low"]].isna().all()
    assert result["price=3"]["estimate"] == 0.3
    assert np.isnan(result["price=3"]["low"])
    assert result.n == 3
    assert result.notes == (
        "1 of 5 rows skipped: no outcome",
        "1 of 5 rows weigh 0",
        "1 of 3 cells are empty (NaN)",
        "1 of 3 cells have one cluster (no interval)",
        "2.0 effective clusters: below 5 no interval is to be trusted",
    )


def test_choices_that_all_agree_still_have_an_interval():
    # Clopper-Pearson for 0 of 10: 1 - 0.025^(1/10) = 0.3085
    result = demand_curve(np.ones(10), np.zeros(10))
    assert result.interval("price=1") == pytest.approx((0, 0.3085), abs=1e-4)
    assert demand_curve(np.ones(10), np.ones(10)).interval("price=1")[1] == 1


def test_clusters_that_agree_at_a_half_are_no_certainty():
    # two clusters of one purchase and one refusal each: Clopper-Pearson of 1 of 2 is
    # 1 - sqrt(1 - 0.025) = 0.0126 and its mirror
    result = demand_curve([1] * 4, [0, 1, 0, 1], cluster=[0, 0, 1, 1])
    assert result.interval("price=1") == pytest.approx((0.0126, 0.9874), abs=1e-4)


@pytest.mark.parametrize("weight", [1e12, 1e17, 1e40, 1e50])
def test_one_cluster_with_all_the_weight_has_no_interval(weight):
    price, buys = [1, 2] * 4, [0.2, 0.3, 0.25, 0.6, 0.3, 0.2, 0.1, 0.5]
    weights, cluster = [weight] * 2 + [1] * 6, np.repeat(range(4), 2)
    note = "one cluster has 99.5 % of the weight or more: no interval"
    for found in (
        demand_curve(price, buys, weights=weights, cluster=cluster),
        price_coefficient(price, buys, weights=weights, cluster=cluster),
    ):
        assert found.frame[["std_error", "low", "high"]].isna().all(axis=None)
        assert note in found.notes
    assert found["price"]["estimate"] == pytest.approx(logit(0.3) - logit(0.2))
    error = curve_error(price, buys, [0.3] * 8, weights=weights, cluster=cluster)
    assert error.frame[["std_error", "low", "high"]].isna().all(axis=None)
    assert "99.5 %" in error.notes[0]
    assert error["mean_difference"]["estimate"] == pytest.approx(-0.05)


def test_where_one_cluster_begins_to_be_all():
    # 99 : 1 are 1 / (0.99^2 + 0.01^2) = 1.02 clusters, 999 : 1 are 1.002
    some = demand_curve([1, 1], [0.2, 0.3], weights=[99, 1])
    assert not np.isnan(some["price=1"]["low"])
    assert np.isnan(demand_curve([1, 1], [0.2, 0.3], weights=[999, 1])["price=1"]["low"])


def test_rows_that_weights_reduce_to_one_have_no_slope():
    # one row of 1e40 leaves a single price: the slope came out as 0.03 where it is -0.60
    d = beliefs()
    weights = np.where(d.index == 0, 1e40, 1.0)
    with pytest.raises(ValueError, match="weights: the rows of large weight leave the columns"):
        price_coefficient(d["price"], d["buys"], weights=weights)


def test_groups_of_the_same_text_are_told_apart():
    found = demand_curve([1, 1], [0.2, 0.3], groups=[1, "1"])
    assert found.frame.index.tolist() == ["1, price=1", "'1', price=1"]


def test_curve_coverage():
    # 300 curves of 25 wordings, beliefs expit(0.4 + normal(0, 0.8)): the mean by quadrature
    nodes, w = np.polynomial.hermite_e.hermegauss(60)
    truth = (w / w.sum()) @ expit(0.4 + 0.8 * nodes)
    rng, hits = np.random.default_rng(5), 0
    y = expit(0.4 + rng.normal(0, 0.8, (25, 300)))
    curve = demand_curve(np.tile(np.arange(300), 25), y.ravel())
    hits = ((curve.frame["low"] <= truth) & (truth <= curve.frame["high"])).sum()
    # binomial(300, 0.95): mean 285, sd 3.8
    assert 285 - 4 * 3.8 <= hits <= 285 + 4 * 3.8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"buys": pd.Series([0.1, 1.2], index=["u", "v"])},
            "buys: row 'v' holds 1.2.* from 0 to 1",
        ),
        ({"buys": ["yes", 1]}, "buys: row 0 holds 'yes'"),
        ({"price": [1, np.nan]}, "price: row 1 holds nan"),
        ({"weights": [1, -2]}, "weights: row 1 holds -2"),
        ({"cluster": [1, None]}, "cluster: row 1 has no label"),
        ({"groups": [1, 2, 3]}, "group has 3 rows; it must have 2"),
        ({"alpha": 2}, "alpha is 2"),
    ],
)
def test_curve_errors(change, message):
    arguments = {"price": [1, 2], "buys": [0.1, 0.2]} | change
    with pytest.raises(ValueError, match=message):
        demand_curve(**arguments)


# --- the logit ------------------------------------------------------------------------------


def test_exact_logit_is_found_exactly():
    d = beliefs(spread=1e-9)  # wordings that differ, by nothing that counts
    result = price_coefficient(d["price"], d["buys"], products=d["product"], cluster=d["wording"])
    names = ["const", "price", "product=jam", "product=oil", "average_marginal"]
    assert result.frame.index.tolist() == names
    # tea is the base: const = 1 + 0.5; jam - tea = -0.7; oil - tea = -0.4
    marginal = np.mean(-0.7 * d["buys"] * (1 - d["buys"]))
    assert result.frame["estimate"].tolist() == pytest.approx([1.5, -0.7, -0.7, -0.4, marginal])
    assert result.frame["std_error"].max() < 1e-6


def test_covariates_and_weights():
    d = beliefs(spread=0).assign(heat=lambda x: np.random.default_rng(0).normal(size=len(x)))
    d["buys"] = expit(d["eta"] + 0.3 * d["heat"])
    result = price_coefficient(d["price"], d["buys"], products=d["product"], covariates=d[["heat"]])
    assert result["heat"]["estimate"] == pytest.approx(0.3)
    flat = d.assign(buys=0.5)  # mixed with a weight of 0, it must not count
    both = pd.concat([d, flat], ignore_index=True)
    same = price_coefficient(
        both["price"], both["buys"], products=both["product"], covariates=both[["heat"]],
        weights=[1] * len(d) + [0] * len(d),
    )  # fmt: skip
    pd.testing.assert_frame_equal(result.frame, same.frame)


def test_covariance_is_statsmodels_with_many_clusters():
    import statsmodels.api as sm

    d = beliefs(clusters=150, prices=3)
    ours = price_coefficient(d["price"], d["buys"], cluster=d["wording"])
    design = sm.add_constant(d[["price"]])
    glm = sm.GLM(d["buys"], design, family=sm.families.Binomial())
    theirs = glm.fit(cov_type="cluster", cov_kwds={"groups": d["wording"]})
    assert ours["price"]["estimate"] == pytest.approx(theirs.params["price"])
    assert ours["price"]["std_error"] == pytest.approx(theirs.bse["price"], rel=0.02)
    singles = price_coefficient(d["price"], d["buys"])
    robust = glm.fit(cov_type="HC1")
    assert singles["price"]["std_error"] == pytest.approx(robust.bse["price"], rel=0.02)


def test_row_clusters_shortcut_equals_the_general_formula():
    d = beliefs(clusters=3, prices=4).sample(frac=1, random_state=0)
    short = price_coefficient(d["price"], d["buys"], products=d["product"])
    pairs = pd.concat([d, d])  # two equal rows per cluster: the general path, the same numbers
    long = price_coefficient(
        pairs["price"], pairs["buys"], products=pairs["product"], cluster=list(range(len(d))) * 2
    )
    pd.testing.assert_frame_equal(short.frame, long.frame, rtol=1e-7)


def test_slope_coverage_with_few_uneven_clusters():
    # 9 wordings of 3 to 19 rows with their own slopes and intercepts; the estimand is the slope
    # of the average wording, found from 3,600 clusters. Measured over 600 samples: 0.947.
    def data(rng, sizes):
        g = np.repeat(np.arange(len(sizes)), sizes)
        price = rng.choice([1.0, 2, 3, 4], len(g))
        slope, start = rng.normal(-0.8, 0.08, len(sizes)), rng.normal(1.5, 0.2, len(sizes))
        return price, expit(start[g] + slope[g] * price), g

    rng, sizes = np.random.default_rng(11), 3 + 2 * np.arange(9)
    price, buys, _ = data(rng, np.tile(sizes, 400))
    truth, hits = price_coefficient(price, buys)["price"]["estimate"], 0
    for _ in range(120):
        price, buys, g = data(rng, sizes)
        low, high = price_coefficient(price, buys, cluster=g).interval("price")
        hits += low <= truth <= high
    # binomial(120, 0.95): mean 114, sd 2.4
    assert hits >= 114 - 3.5 * 2.4


def test_undefined_logits_are_nan_with_a_note():
    for buys in ([1, 1, 0, 0], [0, 0, 0, 0]):
        result = price_coefficient([1, 2, 3, 4], buys)
        assert result.frame["estimate"].isna().all()
        assert "no logit: the buys are separated" in result.notes
    one = price_coefficient([1, 2, 3], [0.7, 0.5, 0.4], cluster=["a"] * 3)
    assert one["price"]["estimate"] < 0
    assert np.isnan(one["price"]["low"])
    assert "one cluster: no interval" in one.notes


def test_collinear_columns_raise():
    with pytest.raises(ValueError, match=r"\['const', 'price'\] are collinear"):
        price_coefficient([2, 2, 2], [0.1, 0.2, 0.3])
    d = beliefs()
    with pytest.raises(ValueError, match="collinear"):
        price_coefficient(d["price"], d["buys"], covariates=d[["price"]].rename(columns=str.upper))
    with pytest.raises(ValueError, match="heat: row 0 holds 'hot'"):
        price_coefficient([1, 2], [0.1, 0.2], covariates=pd.DataFrame({"heat": ["hot", 1]}))


def test_elasticity_known_values():
    # beta p (1 - P(p)) with logit P = 1 - 0.5 p: at p = 2, P = 0.5: -0.5 * 2 * 0.5 = -0.5;
    # at p = 4, P = expit(-1) = 0.26894: -0.5 * 4 * 0.73106 = -1.46212; mean -0.98106
    price = np.array([1.0, 2, 3, 4, 5])
    result = own_price_elasticity(price, expit(1 - 0.5 * price), at=[2, 4])
    assert result.frame.index.tolist() == ["price=2", "price=4", "mean"]
    assert result.frame["estimate"].tolist() == pytest.approx([-0.5, -1.46212, -0.98106], abs=1e-5)
    everywhere = own_price_elasticity(price, expit(1 - 0.5 * price))
    assert everywhere.frame["price"].tolist()[:-1] == price.tolist()


def test_delta_methods_against_refitting_without_each_cluster():
    # The exact jackknife: refit without each wording. The delta method on CV3L is close to it.
    d = beliefs(clusters=7, spread=0.3)
    shared = {"products": d["product"], "cluster": d["wording"]}
    ours = own_price_elasticity(d["price"], d["buys"], at=[1.5, 3], **shared).frame
    marginal = price_coefficient(d["price"], d["buys"], **shared)["average_marginal"]
    refits = []
    for g in range(7):
        e = d[d["wording"] != g]
        a = own_price_elasticity(e["price"], e["buys"], at=[1.5, 3], products=e["product"])
        b = price_coefficient(e["price"], e["buys"], products=e["product"])
        refits.append([*a.frame["estimate"], b["average_marginal"]["estimate"]])
    exact = np.sqrt(6 / 7 * ((np.array(refits) - np.mean(refits, axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose([*ours["std_error"], marginal["std_error"]], exact, rtol=0.08)


# --- flatness -------------------------------------------------------------------------------


def test_flatness_of_exact_slopes_and_against_an_exact_truth():
    assert flatness_ratio(-0.2, -0.8)["flatness_ratio"]["estimate"] == pytest.approx(0.25)
    assert flatness_ratio(-0.2, -0.8).interval("flatness_ratio") == pytest.approx((0.25, 0.25))
    d = beliefs()
    blind = price_coefficient(d["price"], d["buys"], cluster=d["wording"])
    result = flatness_ratio(blind, -1.4)
    # dividing by an exact -1.4 maps the interval's ends onto each other
    low, high = blind.interval("price")
    assert result.interval("flatness_ratio") == pytest.approx((high / -1.4, low / -1.4))
    with pytest.raises(ValueError, match="truth: the slope is 0"):
        flatness_ratio(-0.2, 0.0)


def slope_result(estimate, error, df=np.inf):
    from simkit.result import Result, t_frame

    frame = t_frame(["price", "average_marginal"], [estimate, 2 * estimate], error, df, 0.05)
    return Result("made up", frame, 10, 0.05, "test")


def test_fieller_known_values():
    # a = 1 (se 0.2), b = 2 (se 0.5), normal: t2 = 3.8415; bend = 4 - 0.9604 = 3.0396;
    # end = 1 - 0.15366 = 0.84634; middle = 2; root = sqrt(4 - 3.0396 * 0.84634) = 1.19486
    result = flatness_ratio(slope_result(1, 0.2), slope_result(2, 0.5))
    assert result.interval("flatness_ratio") == pytest.approx((0.26488, 1.05107), abs=1e-4)
    # delta: sqrt(0.04 + 0.25 * 0.25) / 2
    assert result["flatness_ratio"]["std_error"] == pytest.approx(np.sqrt(0.1025) / 2)


def test_fieller_without_a_true_slope_is_the_whole_line():
    result = flatness_ratio(slope_result(1, 0.2), slope_result(0.5, 0.5))
    assert result.interval("flatness_ratio") == (-np.inf, np.inf)
    assert result.notes == ("the true slope is not significantly off zero",)
    result = flatness_ratio(slope_result(1, np.nan), -0.5)
    assert np.isnan(result.interval("flatness_ratio")[0])


def test_fieller_coverage():
    rng, hits = np.random.default_rng(4), 0
    a, b = rng.normal(-0.3, 0.1, 250), rng.normal(-0.9, 0.25, 250)
    for x, y in zip(a, b, strict=True):
        low, high = flatness_ratio(slope_result(x, 0.1), slope_result(y, 0.25)).interval(
            "flatness_ratio"
        )
        hits += low <= 1 / 3 <= high
    # binomial(250, 0.95): mean 237.5, sd 3.4
    assert abs(hits - 237.5) <= 3.5 * 3.4


# --- the error of a curve -------------------------------------------------------------------


def test_curve_error_known_values():
    # price 1: 0.5 - 0.4 = 0.1, price 2: mean(0.2, 0.4) - 0.4 = -0.1 -> absolute 0.1, signed 0
    # clusters a, b: without a (0.5 - 0.4 = 0.1, 0.4 - 0.4 = 0), without b (0.1, -0.2):
    # absolute 0.05 and 0.15, signed 0.05 and -0.05: both variances 1/2 (0.05^2 + 0.05^2)
    result = curve_error(
        [1, 1, 2, 2], [0.5, 0.5, 0.2, 0.4], [0.4] * 4, cluster=["a", "b", "a", "b"], alpha=0.5
    )
    assert result.frame["estimate"].tolist() == pytest.approx([0.1, 0])
    assert result.frame["std_error"].tolist() == pytest.approx([0.05, 0.05])
    # t(1), 50 %: 1. The mean share is 0.4; 0.05 is 0.05 / (0.4 * 0.6) = 0.2083 in its logit
    assert result.interval("mean_difference")[0] == pytest.approx(expit(logit(0.4) - 0.2083) - 0.4,
                                                                  abs=1e-4)  # fmt: skip
    # widened: clusters' shares are (0.5 + 0.2) / 2 = 0.35 and 0.45
    wide = normal_logits(np.array([0.35, 0.45]), np.array([0.5, 0.5]), 1.0, 0.5)
    assert result.interval("mean_difference")[1] == pytest.approx(wide[1] - 0.4)
    wide = curve_error([1, 1], [0.5, 0.6], [0.5, 0.5])
    assert wide.interval("mean_abs_error")[0] == 0


def test_curve_error_undefined_interval():
    result = curve_error([1, 2, 2], [0.5, 0.3, 0.4], [0.4, 0.3, 0.3])
    # (0.1 + 0.05) / 2
    assert result["mean_abs_error"]["estimate"] == pytest.approx(0.075)
    assert np.isnan(result["mean_abs_error"]["high"])
    assert result.notes == (
        "a cell has one cluster, or one with 99.5 % of its weight: no interval",
    )


def test_curve_error_of_buys_that_all_agree_has_a_width():
    # 4 clusters, nobody buys, truth 0.3 and 0.2: -0.25, 0.25. As likely as 0.025 under a share of
    # 1 - 0.025^(1/4) = 0.6024: up to 0.6024 - 0.25 too many, and never more than 0.25 too few
    price, cluster = [1, 2] * 4, np.repeat(range(4), 2)
    none = curve_error(price, np.zeros(8), [0.3, 0.2] * 4, cluster=cluster)
    assert none.interval("mean_difference") == pytest.approx((-0.25, 0.3524), abs=1e-4)
    assert none.interval("mean_abs_error") == pytest.approx((0, 0.8524), abs=1e-4)
    every = curve_error(price, np.ones(8), [0.7, 0.8] * 4, cluster=cluster)
    assert every.interval("mean_difference") == pytest.approx((-0.3524, 0.25), abs=1e-4)
    # all at price 1, none at 2: no cluster differs from another, and yet others might
    some = curve_error(price, [1, 0] * 4, [0.5, 0.5] * 4, cluster=cluster)
    assert some.interval("mean_difference") == pytest.approx((-0.5, 0.5))


def test_curve_error_of_rare_purchases_reaches_further_up_than_down():
    # two crossed wordings by three, shares 0.01 to 0.05: no truth below 0 is possible
    buys = [0.01, 0.02, 0.03, 0.02, 0.05, 0.04]
    cluster = pd.DataFrame({"w": [0, 0, 0, 1, 1, 1], "p": [0, 1, 2] * 2})
    row = curve_error([1] * 6, buys, [0.03] * 6, cluster=cluster)["mean_difference"]
    assert -0.03 < row["low"] < 0 < row["high"]
    assert row["high"] - row["estimate"] > 2 * (row["estimate"] - row["low"])


def test_curve_error_over_products():
    # Products as clusters: mean |d| is 0.1, 0.2 and 0.6 in them; t over three numbers, 2 df.
    price, products = [1, 2] * 3, np.repeat(["tea", "jam", "oil"], 2)
    buys = [0.6, 0.4, 0.5, 0.1, 0.0, 1.0]
    truth = [0.5, 0.5, 0.5, 0.5, 0.6, 0.4]
    result = curve_error(price, buys, truth, products=products, cluster=products)
    error = np.std([0.1, 0.2, 0.6], ddof=1) / np.sqrt(3)
    assert result["mean_abs_error"]["estimate"] == pytest.approx(0.3)
    assert result["mean_abs_error"]["std_error"] == pytest.approx(error)
    assert result.interval("mean_abs_error") == pytest.approx((0, 0.3 + 4.302653 * error))
    one = curve_error(price[:2], buys[:2], truth[:2], products=["tea"] * 2, cluster=["tea"] * 2)
    assert np.isnan(one["mean_abs_error"]["high"])


def test_curve_error_needs_one_truth_per_cell():
    with pytest.raises(
        ValueError, match=r"truth: row 0 holds 0.2, another row of price 1 holds 0.3"
    ):
        curve_error([1, 1], [0.5, 0.5], [0.2, 0.3])
    curve_error([1, 1], [0.5, 0.5], [0.2, 0.3], products=["x", "y"])


def test_curve_error_coverage():
    # a curve that is 0.1 too high at 3 prices, 0.2 too low at 2: absolute 0.14, signed -0.02
    rng, hits = np.random.default_rng(8), np.zeros(2)
    off, truth = np.array([0.1, 0.1, 0.1, -0.2, -0.2]), np.full(5, 0.5)
    for _ in range(120):
        noise = rng.normal(0, 0.05, (12, 1)) + rng.normal(0, 0.03, (12, 5))
        y = (truth + off + noise).clip(0, 1)
        result = curve_error(np.tile(np.arange(5), 12), y.ravel(), np.tile(truth, 12),
                             cluster=np.repeat(np.arange(12), 5))  # fmt: skip
        hits += (result.frame["low"] <= [0.14, -0.02]) & (result.frame["high"] >= [0.14, -0.02])
    # binomial(120, 0.95): mean 114, sd 2.4
    assert (np.abs(hits - 114) <= 3.5 * 2.4).all()


# --- the step -------------------------------------------------------------------------------


def stepped(jump, at, seed=0):
    d = beliefs(clusters=9, prices=6, seed=seed)
    d["at"] = np.resize(at, len(d))
    d["buys"] = expit(d["eta"] + 0.5 * d["at"] + jump * (d["price"] > d["at"]))
    return d


def test_step_is_found_exactly():
    d = stepped(-1.2, [2.5]).assign(wording=0)
    d["buys"] = expit(1 - 0.7 * d["price"] - 1.2 * (d["price"] > 2.5))
    result = step_test(d["price"], d["buys"], 2.5, cluster=d.index % 5)
    # at the step: expit(1 - 1.75 - 1.2) - expit(1 - 1.75)
    assert result["jump"]["estimate"] == pytest.approx(expit(-1.95) - expit(-0.75))
    assert result["jump_logit"]["estimate"] == pytest.approx(-1.2)
    assert result["jump_logit"]["p"] < 1e-6


def test_step_with_competing_prices_that_vary():
    d = stepped(-1.2, [2.1, 2.9, 3.3, 2.5])
    arguments = {"products": d["product"], "cluster": d["wording"]}
    result = step_test(d["price"], d["buys"], d["at"], **arguments)
    assert result["jump_logit"]["estimate"] == pytest.approx(-1.2, abs=0.06)
    assert result["jump_logit"]["p"] < 1e-4
    smooth = stepped(0, [2.1, 2.9, 3.3, 2.5])
    none = step_test(smooth["price"], smooth["buys"], smooth["at"], **arguments)
    assert abs(none["jump"]["estimate"]) < 0.01


def test_step_at_one_price_per_product_does_not_collide_with_the_dummies():
    d = beliefs()
    at = d["product"].map({"tea": 2, "jam": 3, "oil": 2.4})
    result = step_test(d["price"], d["buys"], at, products=d["product"], cluster=d["wording"])
    assert np.isfinite(result["jump"]["high"])


def test_curvature_passes_for_a_step_until_the_degree_rises():
    price = np.tile(np.linspace(1, 4, 12), 4)
    curved = expit(-0.8 * (price - 1) ** 2 / 2 + 1.5)
    d1 = step_test(price, curved, 2.2)["jump_logit"]["estimate"]
    d2 = step_test(price, curved, 2.2, degree=2)["jump_logit"]["estimate"]
    assert abs(d1) > 0.05
    assert abs(d2) < 1e-6


def test_step_size_under_no_step():
    # 100 smooth demands with a random slope and intercept per wording: 5 % rejections
    rejected = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        price = np.tile(np.linspace(1, 4, 6), 10)
        g = np.repeat(np.arange(10), 6)
        eta = rng.normal(1, 0.3, 10)[g] + rng.normal(-0.7, 0.1, 10)[g] * price
        y = expit(eta + rng.normal(0, 0.2, 60))
        rejected += step_test(price, y, 2.5, cluster=g)["jump_logit"]["p"] < 0.05
    # binomial(100, 0.05): mean 5, sd 2.2
    assert rejected <= 5 + 3.5 * 2.2


def test_step_errors():
    with pytest.raises(ValueError, match=r"at: prices run from 1 to 3, at from 5 to 5; there"):
        step_test([1, 2, 3], [0.1, 0.2, 0.3], 5)
    with pytest.raises(ValueError, match="degree is 0; it must be a whole number from 1"):
        step_test([1, 2, 3], [0.1, 0.2, 0.3], 2, degree=0)
    with pytest.raises(ValueError, match="at is 'two', the name of a column"):
        step_test([1, 2, 3], [0.1, 0.2, 0.3], "two")


# --- keywords -------------------------------------------------------------------------------

DATA = beliefs(clusters=6, prices=4)
RNG = np.random.default_rng(99)
SHARED = {
    "weights": RNG.random(len(DATA)),
    "cluster": DATA["wording"],
    "alpha": 0.2,
}
LOGIT = SHARED | {
    "products": DATA["product"],
    "covariates": pd.DataFrame({"heat": RNG.normal(size=len(DATA))}),
}
TRUE = DATA.groupby(["product", "price"])["buys"].transform("mean") * 0.9
CASES = {
    "demand_curve": (demand_curve, {}, SHARED | {"groups": DATA["product"]}),
    "price_coefficient": (price_coefficient, {}, LOGIT),
    "elasticity": (own_price_elasticity, {}, LOGIT | {"at": [2.0]}),
    "step": (step_test, {"at": 2.2}, LOGIT | {"degree": 2}),
    "error": (
        curve_error, {"truth": TRUE, "products": DATA["product"], "cluster": DATA["wording"]},
        {"weights": SHARED["weights"], "alpha": 0.2, "cluster": DATA["wording"] % 3},
    ),
    "error_products": (
        curve_error, {"truth": np.full(len(DATA), 0.4)}, {"products": DATA["product"]}
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("case", "keyword"), [(case, word) for case, (_, _, words) in CASES.items() for word in words]
)
def test_every_keyword_changes_the_output(case, keyword):
    function, base, words = CASES[case]
    plain = function(DATA["price"], DATA["buys"], **base)
    other = function(DATA["price"], DATA["buys"], **base | {keyword: words[keyword]})
    columns = ["estimate", "std_error", "low", "high"]
    assert plain.frame[columns].round(10).to_numpy().tolist() != (
        other.frame[columns].round(10).to_numpy().tolist()
    )


@pytest.mark.parametrize(
    "change", [{"quantity": "average_marginal"}, {"covariance": 0.01}, {"alpha": 0.3}]
)
def test_every_keyword_of_flatness_changes_the_output(change):
    a, b = slope_result(1, 0.2), slope_result(2, 0.5)
    assert not flatness_ratio(a, b).frame.equals(flatness_ratio(a, b, **change).frame)


def test_logit_of_the_known_intercept_is_the_constant():
    # one product, exact beliefs: const = logit P(0)
    d = beliefs(products=("tea",), spread=0)
    assert price_coefficient(d["price"], d["buys"])["const"]["estimate"] == pytest.approx(
        logit(expit(1.5))
    )
