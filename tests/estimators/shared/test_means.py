"""Mean choice and mean belief: known values, undefined cases, coverage at every n from 20."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from simkit.estimators import mean_belief, mean_choice
from simkit.estimators.shared.clustering import mean_over
from simkit.estimators.shared.intervals import score_interval
from simkit.worlds.market import brands
from tests.estimators.runs import OPTIONS, binomial_bounds, draw, market

pytestmark = pytest.mark.filterwarnings("error")


# --- known values ---------------------------------------------------------------------------


@pytest.mark.parametrize(("hits", "n", "alpha"), [(0, 8, 0.05), (3, 10, 0.05), (20, 20, 0.1)])
def test_choice_is_wilsons_interval(hits, n, alpha):
    result = mean_choice(np.arange(n) < hits, alpha=alpha)
    expected = proportion_confint(hits, n, alpha, method="wilson")
    assert result.interval("choice") == pytest.approx(expected, abs=1e-12)
    assert result["choice"]["estimate"] == hits / n
    assert result["choice"]["std_error"] == pytest.approx(np.sqrt(hits / n * (1 - hits / n) / n))


def test_belief_known_values():
    # 0.2, 0.4, 0.9: mean 0.5; s^2 = (0.09 + 0.01 + 0.16) / 2 = 0.13; std_error = sqrt(0.13 / 3)
    # t(2) at 75 % = 0.8165, square 2/3; V = 0.13 / 3; V / (m (1 - m)) = 0.52 / 3; skewness of the
    # mean: moves d / 3 have cubes (-0.027 - 0.001 + 0.064) / 27 = 0.036 / 27, squares 0.26 / 9,
    # 0.001333 / 0.028889^1.5 = 0.27155; slope = 3 / 43 * 0.27155 * sqrt(V) = 0.0039437 (the other
    # part is 0 at m = 1/2); a = 1 + 2/3 * 0.52 / 3 = 1.115556, b = 2/3 * 0.0039437 = 0.0026292;
    # root = sqrt(b^2 + 4 a 2/3 V) = sqrt(0.0000069 + 0.1289087) = 0.3590474;
    # low = 0.5 + (0.0026292 - 0.3590474) / 2.231111 = 0.340250, high = 0.662106
    result = mean_belief([0.2, 0.4, 0.9], alpha=0.5)
    assert result["belief"][["estimate", "std_error"]].tolist() == pytest.approx(
        [0.5, np.sqrt(0.13 / 3)]
    )
    assert result.interval("belief") == pytest.approx((0.340250, 0.662106), abs=1e-6)
    assert result.over == "runs"


def test_a_design_of_conditions_has_its_variance_within_them():
    # cells 0.1, 0.3 and 0.7, 0.9: mean 0.5. Within each s^2 = 0.02, of its mean 0.01, weight 1/2:
    # variance 2 * 0.01 / 4 = 0.005. Without strata s^2 = 0.4 / 3, / 4 = 0.0333
    b, cell = [0.1, 0.3, 0.7, 0.9], ["low", "low", "high", "high"]
    result = mean_belief(b, strata=cell)
    assert result["belief"][["estimate", "std_error"]].tolist() == pytest.approx(
        [0.5, np.sqrt(0.005)]
    )
    assert mean_belief(b)["belief"]["std_error"] == pytest.approx(np.sqrt(0.4 / 12))
    assert result.over == "runs, within these strata"
    # Welch 1947 with one degree of freedom each: 0.005^2 / (2 * 0.0025^2 / 3) - 2 = 4, but at most
    # 4 clusters - 2 strata = 2; half the width is t(2) sqrt(V) at a mean of 1/2 without skewness,
    # but for the score's denominator
    t = stats.t.ppf(0.975, 2)
    draws = 0.25 / 0.005
    half = t * np.sqrt(0.005 / (1 + t**2 / draws))
    assert result.interval("belief") == pytest.approx((0.5 - half, 0.5 + half))
    # weights make another mean, of the same strata
    w = [1, 1, 3, 3]
    heavy = mean_belief(b, strata=cell, weights=w)["belief"]
    assert heavy["estimate"] == pytest.approx(0.65)
    assert heavy["std_error"] == pytest.approx(np.sqrt(0.01 / 16 + 0.01 * 9 / 16))


def test_strata_and_clusters():
    # clusters of two equal runs within strata: as one run each
    b, cell = np.array([0.1, 0.3, 0.7, 0.9]), np.array(["low", "low", "high", "high"])
    once = mean_belief(b, strata=cell)["belief"]
    twice = mean_belief(b.repeat(2), strata=cell.repeat(2), cluster=np.arange(4).repeat(2))
    assert twice["belief"]["std_error"] == pytest.approx(once["std_error"])
    assert twice.over == "clusters (4), within these strata"
    with pytest.raises(ValueError, match="cluster: one lies in several strata"):
        mean_belief(b, strata=cell, cluster=[1, 2, 2, 3])
    alone = mean_belief(b, strata=["a", "a", "b", "c"])
    assert np.isnan(alone.interval("belief")).all()
    assert alone.notes[-1] == "1 of 1 groups have one cluster, or a stratum with one (no interval)"
    # all choices equal within strata: no variance was seen, and each run counts as one draw
    settled = mean_choice([0, 0, 1, 1], strata=cell)["choice"]
    assert settled["low"] < 0.2 < 0.8 < settled["high"]


def test_unequal_clusters_have_fewer_degrees_of_freedom():
    # weights 1, 2, 12 of 15: 1 / (1 + 4 + 144) * 225 = 1.51 effective clusters, 1 degree of freedom
    rng = np.random.default_rng(7)
    b, cluster = rng.beta(3, 5, 15), np.repeat([0, 1, 2], [1, 2, 12])
    result = mean_belief(b, cluster=cluster, alpha=0.5)
    assert result.notes == ("1.5 effective clusters: below 5 no interval is to be trusted",)
    row = result["belief"]
    draws = row["estimate"] * (1 - row["estimate"]) / row["std_error"] ** 2
    width = [2 * stats.t.ppf(0.75, df) * row["std_error"] for df in (1, 2)]
    bend = 1 + stats.t.ppf(0.75, 1) ** 2 / draws
    # the score interval's width, or more where logits over so few clusters allow more
    assert row["high"] - row["low"] > 0.9 * width[0] / np.sqrt(bend) > width[1]
    assert not mean_belief(b, cluster=np.arange(15) % 5).notes


def test_belief_tends_to_the_t_interval():
    b = np.random.default_rng(0).beta(2, 6, 200_000)
    low, high = stats.ttest_1samp(b, 0).confidence_interval(0.95)
    assert mean_belief(b).interval("belief") == pytest.approx((low, high), rel=1e-5)


def test_clusters_and_weights_are_the_jackknifes():
    rng = np.random.default_rng(1)
    b, w, g = rng.random(17), rng.integers(1, 4, 17), rng.integers(0, 5, 17)
    for function, x in ((mean_belief, b), (mean_choice, (b > 0.5).astype(float))):
        row = function(x, weights=w, cluster=g).frame.iloc[0]
        mean = mean_over(x, w.astype(float), [g])
        assert row[["estimate", "std_error", "clusters"]].tolist() == pytest.approx(
            [mean.estimate, mean.error, mean.clusters]
        )
        again = function(np.repeat(x, w), cluster=np.repeat(g, w)).frame.iloc[0]
        same = ["estimate", "std_error"] + ["low", "high"] * (function is mean_belief)
        assert again[same].tolist() == pytest.approx(row[same].tolist())


def test_clustered_choice_is_wilsons_with_the_effective_number_of_draws():
    # 4 clusters of 5 with means 0.2, 0.4, 0.4, 0.6: mean 0.4, s^2 = 0.08 / 3, error^2 = 0.08 / 12;
    # draws = 0.24 / (0.08 / 12) = 36, more than the 20 rows, but t(3) is 1.62 times as large as the
    # normal quantile: 36 draws with it are less sure than 20 * 1.62^2 = 52.7
    y = np.concatenate([np.arange(5) < k for k in (1, 2, 2, 3)])
    result = mean_choice(y, cluster=np.repeat(list("abcd"), 5))
    ends = score_interval(np.array([0.4]), 36, stats.t.ppf(0.975, 3))
    assert result.interval("choice") == pytest.approx((ends[0][0], ends[1][0]))
    # means 0, 0, 1, 1: error^2 = (4 * 0.25 / 3) / 4 = 1/12, draws = 0.25 * 12 = 3
    y = np.repeat([0, 0, 1, 1], 5)
    result = mean_choice(y, cluster=np.repeat(list("abcd"), 5))
    ends = score_interval(np.array([0.5]), 3, stats.t.ppf(0.975, 3))
    assert result.interval("choice") == pytest.approx((ends[0][0], ends[1][0]))


def test_groups_and_options_have_their_names():
    frame = pd.DataFrame({"a": [0.2, 0.4, 0.5, 0.1, 0.3], "b": [0.8, 0.6, 0.5, 0.9, 0.7]})
    by = pd.DataFrame({"price": [24, 30, 24, 30, 30], "style": list("xyxyy")})
    result = mean_belief(frame, by=by)
    assert result.frame.index.tolist() == [
        "price=24, style=x, a", "price=24, style=x, b", "price=30, style=y, a",
        "price=30, style=y, b",
    ]  # fmt: skip
    assert result.frame.columns[:3].tolist() == ["price", "style", "option"]
    assert result.frame["n"].tolist() == [2, 2, 3, 3]
    assert result["price=30, style=y, a"]["estimate"] == pytest.approx(0.8 / 3)
    assert mean_belief(frame).frame.index.tolist() == ["a", "b"]


# --- undefined and refused ------------------------------------------------------------------


def test_undefined_is_nan_and_counted():
    result = mean_belief([0.2, 0.4, 0.7, None], by=["a", "a", "b", "c"])
    assert result["b, belief"]["estimate"] == 0.7
    assert np.isnan(result.interval("b, belief")).all()
    assert np.isnan(result["c, belief"]["estimate"])
    assert result.notes == (
        "1 of 4 rows skipped: no outcome",
        "1 of 3 groups are empty (NaN)",
        "1 of 3 groups have one cluster, or a stratum with one (no interval)",
    )


def test_equal_beliefs_are_exact_and_equal_choices_are_not():
    assert mean_belief([0.3] * 7).interval("belief") == (0.3, 0.3)
    assert mean_choice([0] * 7).interval("choice")[1] == pytest.approx(0.3543, abs=1e-4)
    # five clusters that agree count as five draws: q^2 / 5 / (1 + q^2 / 5), q = t(4) = 2.7764
    high = mean_choice([0] * 35, cluster=np.repeat(range(5), 7)).interval("choice")[1]
    assert high == pytest.approx(2.7764**2 / (5 + 2.7764**2), abs=1e-4)


def test_a_rare_settling_thought_that_no_run_shows():
    # the truth is 0.01 + 0.05 * 0.97 = 0.0585: one thought in twenty decides for the option. Twenty
    # runs miss it in 36 % of cases; belief then looks certain and is wrong, choice is wide.
    assert mean_belief([0.01] * 20).interval("belief")[1] < 0.0585
    assert mean_choice([0] * 20).interval("choice")[1] > 0.0585


def test_choices_must_be_choices():
    with pytest.raises(ValueError, match=r"row 1 holds \[0\.5\]; it must be a row of 0 and 1"):
        mean_choice([1, 0.5])
    with pytest.raises(ValueError, match="no row to use"):
        mean_belief([0.5, 0.5], weights=[0, 0])


def test_every_keyword_counts():
    b, plain = [0.1, 0.3, 0.8, 0.5], None
    for function, x in ((mean_belief, b), (mean_choice, [0, 0, 1, 1])):
        plain = function(x).frame.iloc[0]
        assert function(x, alpha=0.2).frame.iloc[0]["high"] < plain["high"]
        assert function(x, weights=[1, 1, 3, 1]).frame.iloc[0]["estimate"] > plain["estimate"]
        clustered = function(x, cluster=[1, 1, 2, 2]).frame.iloc[0]
        assert clustered["high"] != plain["high"]
        cells = function(x, strata=[1, 2, 1, 2]).frame.iloc[0]
        assert cells["high"] != plain["high"]
        assert len(function(x, by=[1, 1, 2, 2]).frame) == 2


# --- coverage -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [20, 30, 50, 100])
def test_choice_coverage_is_exact(n):
    # no simulation: the probability of each count, for every share from 0.05 to 0.9
    counts = np.arange(n + 1)
    y = (np.arange(n) < counts[:, None]).ravel()
    frame = mean_choice(y, by=np.repeat(counts, n)).frame
    shares = np.arange(0.05, 0.901, 0.01)
    inside = (frame["low"].to_numpy() <= shares[:, None]) & (
        shares[:, None] <= frame["high"].to_numpy()
    )
    cover = (stats.binom.pmf(counts, n, shares[:, None]) * inside).sum(axis=1)
    assert 0.945 < cover.mean() < 0.955
    assert cover.min() > 0.924
    assert cover.max() < 0.9785


@pytest.mark.parametrize("n", [20, 50, 100])
@pytest.mark.parametrize("function", [mean_belief, mean_choice])
def test_coverage_on_the_brand_market(function, n):
    # 500 samples of n runs in each of 8 price conditions, 3 options
    world, repetitions = market(every=5), 500
    y, b, code = draw(world, n * repetitions, np.random.default_rng(n))
    sample = code * repetitions + np.tile(np.repeat(np.arange(repetitions), n), len(world.share))
    frame = function(b if function is mean_belief else y, by=sample).frame
    ends = frame[["low", "high"]].to_numpy().reshape(len(world.share), repetitions, 3, 2)
    true = world.share[:, None]
    cover = ((ends[..., 0] <= true) & (true <= ends[..., 1])).mean(axis=1)
    assert 0.94 < cover.mean() < 0.965
    low = 0.93 if function is mean_belief else 0.92
    # 24 cells of 500: each within 3.5 standard errors of a coverage from `low` to 0.97
    assert cover.min() > binomial_bounds(low, repetitions)[0]
    assert cover.max() < binomial_bounds(0.978, repetitions)[1]


def test_belief_coverage_where_thoughts_settle_the_choice():
    world, repetitions, n = market(brands.STYLES[1], every=7), 400, 50
    _, b, code = draw(world, n * repetitions, np.random.default_rng(3))
    sample = code * repetitions + np.tile(np.repeat(np.arange(repetitions), n), len(world.share))
    frame = mean_belief(b, by=sample).frame
    true = np.tile(world.share[:, None], (1, repetitions, 1)).ravel()
    cover = ((frame["low"] <= true) & (true <= frame["high"])).mean()
    assert 0.94 < cover < 0.975


@pytest.mark.parametrize("function", [mean_belief, mean_choice])
def test_clustered_coverage(function):
    # 25 personas with shares Beta(3, 7), 4 runs each with beliefs Beta(20 q, 20 (1 - q)); mean 0.3
    rng, repetitions = np.random.default_rng(6), 1500
    q = rng.beta(3, 7, (repetitions, 25, 1))
    b = rng.beta(np.broadcast_to(20 * q, (repetitions, 25, 4)), 20 * (1 - q))
    x = b if function is mean_belief else (rng.random(b.shape) < b).astype(float)
    by = np.repeat(np.arange(repetitions), 100)
    persona = np.tile(np.repeat(np.arange(25), 4), repetitions)
    frame = function(x.ravel(), by=by, cluster=persona).frame
    cover = ((frame["low"] <= 0.3) & (frame["high"] >= 0.3)).mean()
    assert 0.93 < cover < 0.97
    plain = function(x.ravel(), by=by).frame
    wrong = ((plain["low"] <= 0.3) & (plain["high"] >= 0.3)).mean()
    assert wrong < 0.93  # leaving the personas out is what goes wrong


def test_options_of_the_market_are_named():
    _, b, _ = draw(market(every=18), 2, np.random.default_rng(0))
    assert mean_belief(b).frame["option"].tolist() == OPTIONS


def test_stratified_coverage():
    # 18 conditions with shares 0.05 to 0.88, 20 runs each, beliefs Beta(20 p, 20 (1 - p)): within
    # strata the standard error is right; without it is 3 times too large, and misses nothing
    rng, repetitions = np.random.default_rng(8), 800
    p = 1 / (1 + np.exp(-np.linspace(-3, 2, 18)))[:, None]
    b = rng.beta(20 * p, 20 * (1 - p), (repetitions, 18, 20))
    by = np.repeat(np.arange(repetitions), 360)
    cell = np.tile(np.repeat(np.arange(18), 20), repetitions)
    for x in (b, (rng.random(b.shape) < b).astype(float)):
        function = mean_belief if x is b else mean_choice
        # the design fixes the runs of each repetition too, so its strata name it
        frame = function(x.ravel(), by=by, strata=cell + 18 * by).frame
        cover = ((frame["low"] <= p.mean()) & (frame["high"] >= p.mean())).mean()
        assert 0.93 < cover < 0.97
        assert frame["std_error"].mean() / x.mean(axis=(1, 2)).std() == pytest.approx(1, abs=0.08)
    plain = mean_belief(b.ravel(), by=by).frame["std_error"].mean()
    assert plain / b.mean(axis=(1, 2)).std() > 2.5


@pytest.mark.parametrize("weight", [1e12, 1e17, 1e50])
def test_one_cluster_with_all_the_weight_has_no_interval(weight):
    cluster, weights = np.repeat(range(4), 2), [weight] * 2 + [1.0] * 6
    belief = [0.2, 0.3, 0.25, 0.6, 0.3, 0.2, 0.1, 0.5]
    found = mean_belief(belief, cluster=cluster, weights=weights)
    assert found.frame["estimate"].iloc[0] == pytest.approx(0.25)
    assert found.frame[["std_error", "low", "high"]].isna().all(axis=None)
    assert found.notes == ("one cluster has 99.5 % of the weight or more: no interval",)
