"""The balance audit: known values, recovery, size and coverage of the endogeneity index."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.estimators import balance_audit, elicited_curve, expected_value

pytestmark = pytest.mark.filterwarnings("error")


def tidy(beliefs, values, **design):
    """A belief table as `believe` gives it, from one row of beliefs per prompt."""
    rows = [
        {"prompt_id": f"p{i}", "option_id": k, "value": v, "belief": b}
        | {name: column[i] for name, column in design.items()}
        for i, row in enumerate(beliefs)
        for k, (v, b) in enumerate(zip(values, row, strict=True))
    ]
    return pd.DataFrame(rows)


def prompts(rng, slopes, *, clusters=8, prices=6, strata=2, noise=0.1, common=0.0):
    """One row per prompt; the mean of covariate c moves by slopes[c] of its (unit) within-belief
    SD per SD of price, and by cluster-specific normal deviations; all axis lengths differ."""
    levels = np.linspace(1, 3, prices)
    deviations = noise * (
        np.sqrt(1 - common) * rng.normal(size=(clusters, len(slopes)))
        + np.sqrt(common) * rng.normal(size=(clusters, 1))
    )
    g = np.repeat(np.arange(clusters), prices)
    z = np.tile((levels - 2) / levels.std(), clusters)
    frame = pd.DataFrame({"wording": g, "product": g % strata})
    frame["price"] = np.tile(levels, clusters) * (1 + frame["product"])
    for c in range(len(slopes)):
        frame[f"c{c}"] = 10.0 * frame["product"] + (slopes[c] + deviations[g, c]) * z
        frame[f"c{c}_sd"] = 1.0
    return frame


def audit(frame, k, **arguments):
    shared = {
        "covariates": [f"c{c}" for c in range(k)], "strata": "product", "cluster": "wording"
    }  # fmt: skip
    return balance_audit(frame, **shared | arguments)


def apart(frame):
    """The same beliefs with clusters that differ, by nothing that counts: no copies."""
    return frame.assign(c0=frame["c0"] + 1e-10 * frame["wording"])


# --- from beliefs to means ------------------------------------------------------------------


def test_expected_value_known_values():
    # 0.25 * 10 + 0.75 * 30 = 25; variance 0.25 * 15^2 + 0.75 * 5^2 = 75. A sure belief: sd 0
    table = tidy([[0.25, 0.75], [1, 0]], [10, 30], price=[2.0, 2.0], wording=["x", None])
    out = expected_value(table.sample(frac=1, random_state=0), ["price", "wording"], name="heat")
    out = out.sort_values("heat")
    assert out.columns.tolist() == ["price", "wording", "heat", "heat_sd"]
    assert out["heat"].tolist() == pytest.approx([10, 25])
    assert out["heat_sd"].tolist() == pytest.approx([0, np.sqrt(75)])


def test_expected_value_of_several_covariates():
    heat = tidy([[0.5, 0.5], [0.1, 0.9]], [0, 10], price=[1, 2])
    cold = tidy([[0.2, 0.8], [0.3, 0.7], [0.5, 0.5]][:2], [0, 1], price=[1, 2])
    out = expected_value({"heat": heat, "cold": cold.iloc[::-1]}, ["price"])
    assert out.columns.tolist() == ["price", "heat", "heat_sd", "cold", "cold_sd"]
    assert out["cold"].tolist() == pytest.approx([0.8, 0.7])
    with pytest.raises(ValueError, match="not over the same prompts"):
        expected_value({"heat": heat, "cold": cold[cold["price"] == 1]}, ["price"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), min_size=1, max_size=5))
def test_expected_value_is_numpys_weighted_average(rows):
    beliefs = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    values = np.array([-1.0, 0.5, 4])
    out = expected_value(tidy(beliefs, values, row=list(range(len(rows)))), ["row"])
    np.testing.assert_allclose(out["mean"], beliefs @ values)
    np.testing.assert_allclose(
        out["mean_sd"] ** 2, beliefs @ values**2 - (beliefs @ values) ** 2, atol=1e-12
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(value=[1, None, 1, 2]), "value: row 1 holds nan"),
        (lambda t: t.assign(belief=[0.5, -0.5, 0.5, 0.5]), "belief: row 1 holds -0.5"),
        (lambda t: t.assign(belief=[0.5, 0.5, 0.3, 0.5]), r"\{'price': 2\} sums to 0.8; it must"),
        (lambda t: t.assign(price=1), r"several prompts have \{'price': 1\}; name columns"),
        (lambda t: t.assign(prompt_id="p", price=1), r"several prompts have \{'price': 1\}"),
        (lambda t: t.drop(columns="belief"), "no column 'belief'; it has prompt_id"),
    ],
)  # fmt: skip
def test_expected_value_errors(change, message):
    with pytest.raises(ValueError, match=message):
        expected_value(change(tidy([[0.5, 0.5], [0.5, 0.5]], [1, 2], price=[1, 2])), ["price"])


# --- slopes ---------------------------------------------------------------------------------


def test_known_values():
    # price 1, 2, 3 (variance 2/3), means 4, 5, 9 (variance 14/3), sd 2 everywhere (variance 4):
    # slope = covariance / variance = (5/3) / (2/3) = 2.5; mixture variance = 14/3 + 4 = 26/3;
    # std_slope = (5/3) / sqrt(2/3 * 26/3) = 0.69338; halves 1 and 3: (9 - 4) / sqrt(4) = 2.5
    frame = pd.DataFrame(
        {"price": [1, 2, 3] * 3, "w": np.repeat([0, 1, 2], 3), "c0": [4.0, 5, 9] * 3, "c0_sd": 2.0}
    )
    result = balance_audit(frame, covariates=["c0"], cluster="w")
    assert result["slope[c0]"]["estimate"] == pytest.approx(2.5)
    assert result["std_slope[c0]"]["estimate"] == pytest.approx(5 / 3 / np.sqrt(2 / 3 * 26 / 3))
    assert result["smd[c0]"]["estimate"] == pytest.approx(2.5)
    assert result["endogeneity_index"]["estimate"] == pytest.approx(0.69338, abs=1e-5)


def test_cluster_slopes_give_the_ordinary_t_test():
    # Whole clusters: the slope is the mean of the clusters' slopes and its t test is theirs.
    from scipy import stats

    frame = prompts(np.random.default_rng(0), [0.3], strata=1)
    own = [np.polyfit(d["price"], d["c0"], 1)[0] for _, d in frame.groupby("wording")]
    test = stats.ttest_1samp(own, 0)
    row = audit(frame, 1)["slope[c0]"]
    assert row["estimate"] == pytest.approx(np.mean(own))
    assert row["p"] == pytest.approx(test.pvalue)
    low, high = test.confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx((low, high))


def test_std_slope_is_the_correlation_in_the_mixture():
    rng = np.random.default_rng(1)
    frame = prompts(rng, [0.8], strata=1, clusters=3).assign(w=rng.random(18))
    frame["c0_sd"] = rng.random(18)
    # draw from the mixture: each prompt by its weight, C = mean -+ sd
    t = np.tile(frame["price"], 2)
    c = np.concatenate([frame["c0"] - frame["c0_sd"], frame["c0"] + frame["c0_sd"]])
    cov = np.cov(t, c, aweights=np.tile(frame["w"], 2))
    estimate = audit(frame, 1, weights="w")["std_slope[c0]"]["estimate"]
    assert estimate == pytest.approx(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]))


def test_strata_take_out_the_products():
    frame = prompts(np.random.default_rng(2), [0.0, 0.6], noise=0, strata=2)
    within = audit(frame, 2)  # products differ by 10 in both mean and price level
    assert within["std_slope[c0]"]["estimate"] == 0
    assert within["std_slope[c1]"]["estimate"] == pytest.approx(0.6 / np.sqrt(1.36))
    assert audit(frame, 2, strata=None)["std_slope[c0]"]["estimate"] > 0.5
    scaled = frame.assign(price=frame["price"] * 100, c1=frame["c1"] * 7, c1_sd=7.0)
    other = audit(scaled, 2)
    assert other["std_slope[c1]"]["estimate"] == pytest.approx(within["std_slope[c1]"]["estimate"])
    assert other["slope[c1]"]["estimate"] == pytest.approx(0.07 * within["slope[c1]"]["estimate"])


def test_the_jackknife_is_the_audit_without_each_cluster():
    frame = prompts(np.random.default_rng(3), [0.4, -0.1, 0.2], clusters=7, strata=2)
    frame = frame.drop(index=[3, 11, 12, 30]).reset_index(drop=True)  # unbalanced
    rows = ["slope[c1]", "std_slope[c1]", "smd[c1]"]
    all_of_it = audit(frame, 3).frame.loc[rows]
    without = np.array(
        [audit(frame[frame["wording"] != g], 3).frame.loc[rows, "estimate"] for g in range(7)]
    )
    moves = without - all_of_it["estimate"].to_numpy()
    error = np.sqrt(6 / 7 * (moves**2).sum(axis=0))
    np.testing.assert_allclose(all_of_it["std_error"].iloc[[0, 2]], error[[0, 2]])
    # the standardised slope's is this, or that with the standard deviations held fixed
    assert all_of_it["std_error"].iloc[1] > error[1] + 1e-6


# --- tests ----------------------------------------------------------------------------------


def test_joint_wald_is_hotellings_test():
    frame = prompts(np.random.default_rng(4), [0.1, 0, 0.05], clusters=11, strata=1)
    x = np.array([[np.polyfit(d["price"], d[f"c{c}"], 1)[0] for c in range(3)]
                  for _, d in frame.groupby("wording")])  # fmt: skip
    chi2 = x.mean(0) @ np.linalg.solve(np.cov(x.T) / 11, x.mean(0))
    row = audit(frame, 3)["joint_wald"]
    # with the standard deviations held fixed, std_slopes are slopes in another unit
    assert row["estimate"] == pytest.approx(chi2)
    assert row["statistic"] == pytest.approx(row["estimate"] * 8 / (3 * 10))
    assert row["df"] == 3


def test_rank_is_counted_once_and_too_few_clusters_are_told():
    frame = prompts(np.random.default_rng(5), [0.3, 0.1], clusters=9, strata=1)
    frame = frame.assign(c2=-2 * frame["c0"], c2_sd=2.0)  # the same covariate, turned round
    one, both = audit(frame, 2)["joint_wald"], audit(frame, 3)["joint_wald"]
    assert both[["estimate", "df", "p"]].tolist() == pytest.approx(
        one[["estimate", "df", "p"]].tolist()
    )
    few = audit(prompts(np.random.default_rng(5), [0.3] * 4, clusters=4, strata=1), 4)
    assert np.isnan(few["joint_wald"]["p"])
    assert any("joint_wald undefined: 4 clusters for 4 covariates" in n for n in few.notes)
    assert np.isfinite(few["endogeneity_index"]["p"])


def test_a_combination_that_moves_alike_in_all_clusters_is_certain():
    frame = prompts(np.random.default_rng(5), [0.3, 0.1], clusters=9, strata=1, common=1.0)
    row = audit(frame, 2)["joint_wald"]  # both deviate alike: their difference hardly varies
    assert row["p"] < 1e-12
    exact = prompts(np.random.default_rng(5), [0.3, 0.1], clusters=9, strata=1, noise=0)
    exact = apart(exact)
    row = audit(exact, 2)["joint_wald"]
    assert (row["estimate"], row["p"]) == (np.inf, 0)


def test_opposite_slopes_in_two_products_cancel_and_are_shown():
    frame = prompts(np.random.default_rng(2), [0.5], noise=0.01)
    frame.loc[frame["product"] == 1, "c0"] = 20 - frame["c0"]
    row = audit(frame, 1, cluster="wording")["std_slope[c0]"]
    assert abs(row["estimate"]) < 0.05
    assert (row["stratum_min"], row["stratum_max"]) == pytest.approx((-0.45, 0.45), abs=0.02)


def test_exact_beliefs_without_any_movement():
    rng = np.random.default_rng(6)
    frame = prompts(rng, [0.0, 0.0], noise=0)
    frame[["c0", "c1"]] += 1e-15 * rng.normal(size=(len(frame), 2))  # rounding, not endogeneity
    result = audit(apart(frame), 2)
    assert result.interval("endogeneity_index") == (0, 0)
    assert result["endogeneity_index"]["p"] == 1
    assert result["joint_wald"]["p"] == 1


def test_exact_beliefs_that_move_alike_in_all_clusters():
    result = audit(apart(prompts(np.random.default_rng(6), [0.5, 0.0], noise=0)), 2)
    assert result.interval("endogeneity_index") == pytest.approx((0.5 / np.sqrt(1.25),) * 2)
    assert result["endogeneity_index"]["p"] < 1e-50
    assert result["joint_wald"]["p"] < 1e-50


def test_the_index_is_zero_exactly_if_nothing_is_significant():
    seen = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        result = audit(prompts(rng, [rng.choice([0, 0.12]), 0.05, -0.05]), 3)
        index, slopes = result["endogeneity_index"], result.frame.filter(like="std_", axis=0)
        significant = (slopes["p_all"] < 0.05).any()
        assert (index["low"] > 0) == significant
        assert index["p"] == slopes["p_all"].min()
        assert index["low"] <= index["estimate"] <= index["high"]
        seen.add(bool(significant))
    assert seen == {True, False}


def simulated(seed, n, slopes, **design):
    rng, k = np.random.default_rng(seed), len(slopes)
    return [audit(prompts(rng, slopes, strata=1, **design), k) for _ in range(n)]


def size_and_coverage(n, **design):
    """Counts of false alarms (index, joint Wald) and of intervals that hold the true index."""
    null = simulated(7, n, [0, 0, 0, 0], **design)
    some = simulated(8, n, [0.3, -0.28, 0, 0], **design)
    truth = 0.3 / np.sqrt(1 + 0.3**2 + 0.1**2)  # var C = within 1 + slope^2 + deviations^2
    ends = np.array([r.interval("endogeneity_index") for r in some])
    return (
        sum(r["endogeneity_index"]["low"] > 0 for r in null),
        sum(r["joint_wald"]["p"] < 0.05 for r in null),
        ((ends[:, 0] <= truth) & (truth <= ends[:, 1])).sum(),
    )


@pytest.mark.parametrize(("clusters", "common"), [(3, 0.0), (9, 0.8)])
def test_size_of_the_index_and_coverage(clusters, common):
    wrong, joint, hits = size_and_coverage(60, clusters=clusters, common=common)
    # binomial(60, 0.05): mean 3, sd 1.7; the intervals are simultaneous, so they cover more
    assert wrong <= 3 + 3.5 * 1.7
    assert joint <= 3 + 3.5 * 1.7
    assert hits >= 60 - 3 - 3.5 * 1.7


@pytest.mark.slow
@pytest.mark.parametrize(("clusters", "common"), [(3, 0.0), (5, 0.8), (9, 0.0), (30, 0.8)])
def test_size_and_coverage_at_length(clusters, common):
    wrong, joint, hits = size_and_coverage(1000, clusters=clusters, common=common)
    # binomial(1000, 0.05): mean 50, sd 6.9
    assert max(wrong, joint) <= 50 + 3 * 6.9
    assert hits >= 950 - 3 * 6.9


def test_blind_is_found_and_unblinded_is_not():
    rng = np.random.default_rng(8)
    blind = audit(prompts(rng, [0.6, 0.2, 0.0], strata=4, clusters=12), 3)["endogeneity_index"]
    none = audit(prompts(rng, [0.0, 0.0, 0.0], strata=4, clusters=12), 3)["endogeneity_index"]
    assert blind["low"] > 0.3
    assert blind["covariate"] == "c0"
    assert none["low"] == 0
    assert none["high"] < 0.2


# --- undefined and illegal ------------------------------------------------------------------


def test_a_covariate_that_never_varies_is_left_out_and_told():
    frame = prompts(np.random.default_rng(9), [0.5, 0.1]).assign(c1=3.0, c1_sd=0.0)
    result = audit(frame, 2)
    assert np.isnan(result["std_slope[c1]"]["estimate"])
    assert "c1 never varies: left out" in result.notes
    alone = audit(frame, 1)
    for name in ("endogeneity_index", "joint_wald"):
        assert result[name]["p"] == alone[name]["p"]
    nothing = balance_audit(frame, covariates=["c1"], strata="product", cluster="wording")
    assert nothing.frame.loc[["joint_wald", "endogeneity_index"], "p"].isna().all()


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"wording": 1}, {}, "cluster: 1 clusters; there must be 3 or more"),
        ({"price": 2}, {}, "treatment: a stratum has the one level 2; every stratum must"),
        ({"c0": np.inf}, {}, "c0: row 0 holds inf"),
        ({"c0_sd": -1.0}, {}, "c0_sd: row 0 holds -1.0"),
        ({"product": None}, {}, "strata: row 0 has no label"),
        ({}, {"cluster": "order"}, "no column 'order'; it has wording"),
        ({}, {"covariates": []}, "covariates is empty"),
        ({}, {"covariates": {"heat": ("c0", "sd")}}, "no column 'sd'"),
    ],
)  # fmt: skip
def test_errors(change, arguments, message):
    frame = prompts(np.random.default_rng(0), [0.1]).assign(**change)
    with pytest.raises(ValueError, match=message):
        audit(frame, 1, **arguments)


def test_one_cluster_with_all_the_variation():
    frame = pd.DataFrame({"price": [1, 2, 1, 1], "w": [0, 0, 1, 2], "c0": [1.0, 2, 1, 3]})
    with pytest.raises(ValueError, match="one cluster holds all the variation of the treatment"):
        balance_audit(frame.assign(c0_sd=1.0), covariates=["c0"], cluster="w")


# --- curves and keywords --------------------------------------------------------------------


def test_elicited_curve_known_values():
    # price 1: 2 and 6 with weights 1 and 3: 5; without each 6 and 2: variance = 1/2 (1 + 9)
    frame = pd.DataFrame(
        {"price": [1, 1, 2], "w": [1, 3, 1], "g": [0, 1, 0], "c0": [2.0, 6, 4], "c0_sd": 0.0}
    )
    result = elicited_curve(frame, covariates={"heat": ("c0", "c0_sd")}, weights="w", cluster="g")
    assert result.frame.index.tolist() == ["heat, price=1", "heat, price=2"]
    assert result["heat, price=1"][["estimate", "std_error"]].tolist() == pytest.approx(
        [5, np.sqrt(5)]
    )
    assert np.isnan(result["heat, price=2"]["low"])
    assert "1 of 2 cells have one cluster (no interval)" in result.notes


def test_elicited_curve_of_clusters_that_all_say_the_same_has_no_interval():
    # five wordings say 20 at price 1, and 20 to 24 at price 2: nothing varies at the first
    frame = pd.DataFrame({"price": [1] * 5 + [2] * 5, "g": [*range(5)] * 2, "c0_sd": 0.0})
    frame["c0"] = [20.0] * 5 + [20.0, 21, 22, 23, 24]
    result = elicited_curve(frame, covariates={"heat": ("c0", "c0_sd")}, cluster="g")
    assert result["heat, price=1"][["std_error", "low", "high"]].isna().all()
    assert result["heat, price=2"]["std_error"] == pytest.approx(np.sqrt(2.5 / 5))
    assert result.notes[0].startswith("1 of 2 cells have clusters that are all equal")


def test_elicited_curve_tells_labels_of_the_same_text_apart():
    frame = pd.DataFrame({"price": [1, 1], "s": [1, "1"], "c0": [2.0, 6], "c0_sd": 1.0})
    found = elicited_curve(frame, covariates={"heat": ("c0", "c0_sd")}, by="s")
    assert sorted(found.frame.index) == ["heat, s='1', price=1", "heat, s=1, price=1"]


FRAME = prompts(np.random.default_rng(10), [0.5, 0.1], strata=3, clusters=9)
FRAME["share"] = np.random.default_rng(11).random(len(FRAME))
FRAME["level"] = FRAME["price"] ** 2
WORDS = {
    "covariates": ["c1"],
    "treatment": "level",
    "weights": "share",
    "cluster": "product",
    "alpha": 0.2,
}


@pytest.mark.parametrize(
    ("function", "keyword", "value"),
    [(balance_audit, k, v) for k, v in (WORDS | {"strata": "product"}).items()]
    + [(elicited_curve, k, v) for k, v in (WORDS | {"by": "product"}).items()],
)
def test_every_keyword_changes_the_output(function, keyword, value):
    base = {"covariates": ["c0", "c1"], "cluster": "wording"}
    plain = function(FRAME, **base).frame
    other = function(FRAME, **base | {keyword: value}).frame
    assert not plain.equals(other)
    if keyword != "treatment" or function is balance_audit:  # there it only changes the levels
        columns = ["estimate", "std_error", "low", "high"]
        assert not np.array_equal(plain[columns], other[columns], equal_nan=True)


def test_keywords_of_expected_value():
    table = tidy([[0.25, 0.75]], [10, 30], price=[2]).assign(other=[1, 2])
    assert expected_value(table, ["price"], value="other")["mean"].tolist() == [1.75]
