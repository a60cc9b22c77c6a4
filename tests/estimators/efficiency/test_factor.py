"""Efficiency factor and runs needed: closed forms, the brand market's exact factor, coverage."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from simkit.estimators import efficiency_factor, runs_needed
from simkit.worlds.market import brands
from tests.estimators.runs import binomial_bounds, dirichlet, draw, market

pytestmark = pytest.mark.filterwarnings("error")


# --- closed forms ---------------------------------------------------------------------------


def test_known_values():
    # choices 1, 0, 0, 1: variance 1/3. Beliefs 0.8, 0.4, 0.3, 0.5: mean 0.5, variance
    # (0.09 + 0.01 + 0.04 + 0) / 3 = 0.14 / 3; E[b (1 - b)] = (0.16 + 0.24 + 0.21 + 0.25) / 4
    # = 0.215. measured = 1 / 0.14 = 7.142857; theoretical = 1 + 0.645 / 0.14 = 5.607143
    result = efficiency_factor([1, 0, 0, 1], [0.8, 0.4, 0.3, 0.5])
    assert result.frame["estimate"].tolist() == pytest.approx(
        [1 / 0.14, 1 + 0.645 / 0.14, 0.14 / 0.785, 1 / 3, 0.14 / 3]
    )


def test_pooling_is_the_ratio_of_summed_variances():
    # condition 1 as above (1/3 and 0.14/3). Condition 2: choices 1, 1, 0: 1/3; beliefs 0.9, 0.6,
    # 0.6: mean 0.7, (0.04 + 0.01 + 0.01) / 2 = 0.03. (2/3) / (0.14/3 + 0.03) = 2 / 0.23
    y, b = [1, 0, 0, 1, 1, 1, 0], [0.8, 0.4, 0.3, 0.5, 0.9, 0.6, 0.6]
    code = ["a"] * 4 + ["b"] * 3
    result = efficiency_factor(y, b, condition=code)
    assert result["measured"]["estimate"] == pytest.approx(2 / 0.23)
    both = efficiency_factor(np.column_stack([y, 1 - np.array(y)]),
                             np.column_stack([b, 1 - np.array(b)]), condition=code)  # fmt: skip
    assert both["measured"]["estimate"] == pytest.approx(2 / 0.23)  # the complement says the same
    assert both["variance_choice"]["estimate"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("alpha", [(2, 3), (1, 2, 3.5)])
def test_beta_binomial(alpha):
    # b ~ Beta(a, c): p (1 - p) = a c / (a + c)^2, Var(b) = that / (a + c + 1): the factor is
    # a + c + 1 = 6, the share between runs 1/6; of Dirichlet(1, 2, 3.5): 7.5 for every option
    factor = sum(alpha) + 1
    result = efficiency_factor(*dirichlet(alpha, 30_000, np.random.default_rng(0)))
    for name, truth in (
        ("measured", factor),
        ("theoretical", factor),
        ("between_share", 1 / factor),
    ):
        row = result[name]
        assert row["estimate"] == pytest.approx(truth, rel=0.05)
        assert row["low"] < truth < row["high"]


def test_the_brand_markets_exact_factor():
    for style, least, most in ((brands.STYLES[0], 20, 60), (brands.STYLES[1], 1, 1.2)):
        world = market(style, every=3)
        assert least < world.factor < most
        y, b, code = draw(world, 400, np.random.default_rng(1))
        result = efficiency_factor(y, b, condition=code)
        measured = result["measured"]
        assert measured["low"] < world.factor < measured["high"]
        assert measured["low"] < result["theoretical"]["estimate"] < measured["high"]


def test_bernoulli_beliefs():
    # beliefs 0 and 1 are the choices themselves: the factor is 1, whatever is left out
    y = (np.arange(12) % 3 == 0).astype(float)
    result = efficiency_factor(y, y)
    assert result["measured"].tolist() == pytest.approx([1, 0, 1, 1])
    assert result["between_share"]["estimate"] == 1


def test_constant_beliefs():
    # no thought: one run gives the whole share
    result = efficiency_factor([1, 0, 0, 1, 0], [0.4] * 5)
    assert result["measured"]["estimate"] == np.inf
    assert np.isnan(result["measured"]["low"])
    assert result["between_share"]["estimate"] == 0
    assert result.notes == ("beliefs do not vary between runs: one run gives the whole share",)
    rounding = efficiency_factor([1, 0, 0, 1, 0], 0.4 + 1e-8 * np.arange(5))
    assert rounding["measured"]["estimate"] == np.inf
    neither = efficiency_factor([1, 1, 1], [1.0, 1.0, 1.0])
    assert np.isnan(neither["measured"]["estimate"])
    assert neither.notes[-1].startswith("choices do not vary")
    need = runs_needed([1, 0, 0, 1, 0], [0.4] * 5, 0.01)
    assert need["belief, rmse=0.01"][["estimate", "low", "high", "runs"]].tolist() == [0, 0, 0, 1]


# --- intervals ------------------------------------------------------------------------------


def test_the_jackknife_is_that_of_deleted_runs():
    # by hand: each run left out in turn, within its condition
    y, b = dirichlet([2, 5, 1], 12, np.random.default_rng(2))
    code = np.repeat([0, 1], [5, 7])
    row = efficiency_factor(y, b, condition=code)["measured"]

    def factor(kept):
        v = [sum(x[kept][code[kept] == c].var(ddof=1).sum() for c in (0, 1)) for x in (y, b)]
        return np.log(v[0] / v[1])

    whole = factor(np.ones(12, dtype=bool))
    moves = np.array([factor(np.arange(12) != i) for i in range(12)]) - whole
    parts = np.array([4 / 5 * (moves[:5] ** 2).sum(), 6 / 7 * (moves[5:] ** 2).sum()])
    assert row["std_error"] == pytest.approx(row["estimate"] * np.sqrt(parts.sum()))
    df = parts.sum() ** 2 / (parts[0] ** 2 / 6 + parts[1] ** 2 / 8) - 2
    t = stats.t.ppf(0.975, df)
    assert np.log(row["high"] / row["estimate"]) == pytest.approx(t * np.sqrt(parts.sum()))


def test_over_conditions_leaves_out_conditions():
    y, b, code = draw(market(every=6), 40, np.random.default_rng(4))
    result = efficiency_factor(y, b, condition=code, over="conditions")
    assert result.over == "conditions"
    assert efficiency_factor(y, b, condition=code).over == "runs of these conditions"
    for name in ("measured", "between_share"):
        whole = np.log(result[name]["estimate"])
        others = [
            efficiency_factor(y[code != c], b[code != c], condition=code[code != c])[name][
                "estimate"
            ]
            for c in range(6)
        ]
        error = np.sqrt(5 / 6 * ((np.log(others) - whole) ** 2).sum())
        assert result[name]["std_error"] == pytest.approx(np.exp(whole) * error)
        # shares of the beliefs' variance are uneven: fewer than 5 degrees of freedom, 1 or more
        width = np.log(result[name]["high"] / result[name]["estimate"]) / error
        assert stats.t.ppf(0.975, 5) < width < stats.t.ppf(0.975, 1)
    pairs = efficiency_factor(y, b, condition=code, cluster=code // 2, over="conditions")
    others = [
        efficiency_factor(y[code // 2 != g], b[code // 2 != g], condition=code[code // 2 != g])
        for g in range(3)
    ]
    logs = np.log([r["measured"]["estimate"] for r in others])
    error = np.sqrt(2 / 3 * ((logs - np.log(result["measured"]["estimate"])) ** 2).sum())
    assert pairs["measured"]["std_error"] == pytest.approx(pairs["measured"]["estimate"] * error)
    assert pairs.over == "clusters (3) and their conditions"
    two = efficiency_factor(y, b, condition=code, cluster=code // 3, over="conditions")
    assert np.isnan(two["measured"]["low"]) and two.notes == ("2 clusters: no interval",)


def test_clusters_of_runs():
    # each run given twice, in a cluster of its own: the variances of one run shrink by
    # 2 (n - 1) / (2 n - 1) each, the factor stays, and so does its error
    y, b = dirichlet([2, 5, 1], 30, np.random.default_rng(5))
    twice = [pd.concat([x, x]) for x in (y, b)]
    once = efficiency_factor(y, b)["measured"]
    same = efficiency_factor(*twice, cluster=np.tile(np.arange(30), 2))
    assert same.over == "clusters (30) of these conditions"
    assert same["measured"]["estimate"] == pytest.approx(once["estimate"])
    assert same["measured"]["std_error"] == pytest.approx(once["std_error"], rel=0.05)
    assert efficiency_factor(*twice)["measured"]["std_error"] < 0.75 * once["std_error"]
    # personas asked in both conditions are left out of both at once
    code = np.tile([0, 1], 15)
    both = efficiency_factor(y, b, condition=code, cluster=np.arange(30) // 2)
    kept = np.arange(30) > 1
    move = np.log(
        efficiency_factor(y[kept], b[kept], condition=code[kept])["measured"]["estimate"]
        / both["measured"]["estimate"]
    )
    assert both["measured"]["std_error"] >= both["measured"]["estimate"] * abs(move) * 0.9


def test_undefined_is_no_zero():
    # nobody chose the option: the factor would be 0 / Var(b), and it is no 0
    result = efficiency_factor([0] * 6, [0.1, 0.2, 0.15, 0.1, 0.3, 0.2])
    assert np.isnan(result["measured"][["estimate", "low", "high"]].astype(float)).all()
    assert np.isnan(result.interval("variance_choice")).all()
    assert result["theoretical"]["low"] > 1
    assert result.notes == (
        "choices do not vary between runs: there are too few to say how much they do",
    )
    need = runs_needed([0] * 6, [0.1, 0.2, 0.15, 0.1, 0.3, 0.2], 0.1)
    assert np.isnan(need["choice, rmse=0.1"][["estimate", "runs"]].astype(float)).all()
    # two runs: both lie as far from their mean, so that nothing tells how variances vary
    two = efficiency_factor([0, 1], [0.2, 0.4])
    assert two["measured"]["estimate"] == pytest.approx(0.5 / 0.02)
    assert np.isnan(two.frame[["std_error", "low", "high"]]).all(axis=None)
    assert two.notes == ("1 of 1 conditions have 2 runs or fewer: no interval",)
    # one buyer: without that run there is no variance
    one = efficiency_factor([0, 0, 0, 1], [0.1, 0.2, 0.15, 0.1])
    assert np.isnan(one.interval("measured")).all()
    assert one.notes == ("without some unit a quantity is undefined: no interval",)


def test_evenly_split_choices_are_not_exact():
    # 10 of 20 chosen: p (1 - p) is flat there, so no run moves it, and the variance of V = 5/19 is
    # the second-order one, 2 p^2 q^2 / n^2. The lower end v is where (V - v)^2 is
    # z^2 (v (1 - 4v) / n + 2 v^2 / n^2): v = 0.156, for at p = 0.19 V has the error
    # sqrt(0.156 * 0.376 / 20 + 0.0001) = 0.055, and 5/19 is 0.107 off, 1.96 of them
    y, b = np.tile([0.0, 1.0], 10), np.random.default_rng(6).beta(3, 3, 20)
    row = efficiency_factor(y, b)["variance_choice"]
    assert row["estimate"] == pytest.approx(5 / 19)
    assert row["std_error"] == pytest.approx(np.sqrt(2) * (5 / 19) / 20, rel=0.1)
    assert row["low"] == pytest.approx(0.156, abs=0.005)
    assert row["low"] < 0.25 < row["estimate"] <= row["high"]
    need = runs_needed(y, b, 0.1)["choice, rmse=0.1"]
    assert need["low"] == pytest.approx(row["low"] / 0.01)
    # beliefs that are settled, half of them: as flat
    beliefs = np.where(y > 0, 0.99, 0.01)
    low, high = efficiency_factor(y, beliefs).interval("variance_belief")
    assert high - low > 0.03


def test_copies_of_a_condition_are_one():
    y, b = dirichlet([2, 3], 20, np.random.default_rng(8))
    y, b = y.iloc[:, 0], b.iloc[:, 0]
    thrice, code = [np.tile(x, 3) for x in (y, b)], pd.Series(np.repeat([1, 2, 3], 20))
    same = efficiency_factor(*thrice, condition=code, over="conditions")
    once = efficiency_factor(y, b)
    assert same.frame["estimate"].tolist() == pytest.approx(once.frame["estimate"].tolist())
    assert np.isnan(same.frame[["std_error", "low", "high"]]).all(axis=None)
    assert same.notes == (
        "conditions: 3 clusters, 1 of them distinct: the others repeat their rows and count as "
        "one with them",
        "1 conditions: no interval",
    )
    # four conditions, each given twice: as if the copies were one cluster
    y, b, code = draw(market(every=6), 40, np.random.default_rng(4))
    kept = code < 4
    y, b, code = y[kept], b[kept], code[kept]
    both = [pd.concat([x, x]) for x in (y, b)]
    twice = efficiency_factor(*both, condition=np.append(code, code + 4), over="conditions")
    ends = efficiency_factor(y, b, condition=code, over="conditions").frame
    assert twice.frame.to_numpy() == pytest.approx(ends.to_numpy())
    # choices that are their beliefs, split alike: nothing was seen to differ between conditions
    y = np.tile([0.0, 1.0, 1.0], 12)
    alike = efficiency_factor(y, y, condition=np.repeat(range(4), 9), over="conditions")
    assert np.isnan(alike.frame[["std_error", "low", "high"]]).all(axis=None)
    assert alike.notes == ("5 of 5 quantities do not differ between conditions: no interval",)


def test_the_population_is_named():
    y, b = dirichlet([2, 3], 60, np.random.default_rng(9))
    who = pd.Series(np.repeat(range(12), 5), name="persona")
    code = np.repeat(range(2), 30)
    named = efficiency_factor(y, b, condition=code, cluster=who)
    assert named.over == "persona (12) of these conditions"
    whole = efficiency_factor(
        y, b, condition=np.repeat(range(12), 5), over="conditions", cluster=who // 2
    )
    assert whole.over == "persona (6) and their conditions"


def test_factor_coverage():
    # 3 conditions of 40, 50, 60 runs, Dirichlet(4, 3, 1): factor 9; runs for an RMSE of 0.05:
    # mean p (1 - p) / 0.05^2 with p = 4/8, 3/8, 1/8: (16 + 15 + 7) / 64 / 3 / 0.0025 = 79.17
    alpha, rng, repetitions = np.array([4, 3, 1]), np.random.default_rng(3), 150
    code = np.repeat([0, 1, 2], [40, 50, 60])
    need = 79.1667
    truth = {"measured": 9, "theoretical": 9, "between_share": 1 / 9}
    hits = dict.fromkeys([*truth, "choice", "belief"], 0)
    for _ in range(repetitions):
        y, b = dirichlet(alpha, 150, rng)
        result = efficiency_factor(y, b, condition=code)
        for name, value in truth.items():
            hits[name] += result[name]["low"] <= value <= result[name]["high"]
        runs = runs_needed(y, b, 0.05, condition=code)
        for name, value in (("choice", need), ("belief", need / 9)):
            low, high = runs.interval(f"{name}, rmse=0.05")
            hits[name] += low <= value <= high
    low, high = binomial_bounds(0.95, repetitions)
    assert all(low < count / repetitions < high for count in hits.values()), hits


# --- runs needed, tokens --------------------------------------------------------------------


def test_runs_needed_known_values():
    # V = 1/3 and 0.14/3 (above): 1/3 / 0.01 = 33.33, 4.667; whole numbers 34 and 5
    result = runs_needed([1, 0, 0, 1], [0.8, 0.4, 0.3, 0.5], [0.1, 0.2])
    assert result.frame.index.tolist() == [
        "choice, rmse=0.1", "choice, rmse=0.2", "belief, rmse=0.1", "belief, rmse=0.2",
    ]  # fmt: skip
    assert result.frame["estimate"].tolist() == pytest.approx([100 / 3, 25 / 3, 14 / 3, 3.5 / 3])
    assert result.frame["runs"].tolist() == [34, 9, 5, 2]


def test_tokens():
    y, b = dirichlet([3, 2], 60, np.random.default_rng(4))
    plain = efficiency_factor(y, b, tokens=np.full(60, 30))
    assert plain["per_token"]["estimate"] == pytest.approx(plain["measured"]["estimate"])
    # 30 tokens a run and 10 on top to read the belief: three quarters of the gain are left
    dear = efficiency_factor(y, b, tokens=np.full(60, 30), extra_tokens=np.full(60, 10))
    assert dear["per_token"]["estimate"] == pytest.approx(0.75 * plain["measured"]["estimate"])
    with pytest.raises(ValueError, match="extra_tokens are given without tokens"):
        efficiency_factor(y, b, extra_tokens=np.ones(60))


def test_keywords_and_errors():
    y, b = dirichlet([3, 2], 60, np.random.default_rng(5))
    plain = efficiency_factor(y, b)["measured"]
    assert efficiency_factor(y, b, alpha=0.5)["measured"]["low"] > plain["low"]
    with pytest.raises(ValueError, match="over is 'people'; it must be 'runs' or 'conditions'"):
        efficiency_factor(y, b, over="people")
    with pytest.raises(ValueError, match="condition '1' lies in several clusters"):
        code = np.repeat([0, 1, 2], 20)
        efficiency_factor(y, b, condition=code, over="conditions", cluster=np.arange(60) // 25)
    with pytest.raises(ValueError, match="condition '7' has 1 complete runs"):
        efficiency_factor(y, b, condition=[7, *[1] * 59])
    for target in (0, [0.1, -0.1], [], [0.1, 0.1]):
        with pytest.raises(ValueError, match="target"):
            runs_needed(y, b, target)
