"""Efficiency factor and runs needed: closed forms, the brand market's exact factor, coverage."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from simkit.estimators import efficiency_factor, runs_needed
from simkit.types import generator
from simkit.worlds import brands
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
    result = efficiency_factor(*dirichlet(alpha, 30_000, np.random.default_rng(0)), n_boot=200)
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
    # beliefs 0 and 1 are the choices themselves: the factor is 1, in every resample
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
    need = runs_needed([1, 0, 0, 1, 0], [0.4] * 5, 0.01)
    assert need["belief, rmse=0.01"][["estimate", "low", "high", "runs"]].tolist() == [0, 0, 0, 1]


# --- intervals ------------------------------------------------------------------------------


def test_bootstrap_agrees_with_the_delta_method():
    # the log ratio's influence: (y - m)^2 / V_y - (b - m)^2 / V_b, summed over options
    y, b = dirichlet([2, 5, 1], 500, np.random.default_rng(2))
    result = efficiency_factor(y, b, n_boot=2000)
    squares = [((x - x.mean()) ** 2).sum(axis=1).to_numpy() for x in (y, b)]
    influence = squares[0] / squares[0].mean() - squares[1] / squares[1].mean()
    error = influence.std(ddof=1) / np.sqrt(500)
    row = result["measured"]
    assert row["std_error"] / row["estimate"] == pytest.approx(error, rel=0.08)


def test_factor_coverage():
    # 3 conditions of 40, 50, 60 runs, Dirichlet(4, 3, 1): factor 9; runs for an RMSE of 0.05:
    # mean p (1 - p) / 0.05^2 with p = 4/8, 3/8, 1/8: (16 + 15 + 7) / 64 / 3 / 0.0025 = 79.17
    alpha, rng, repetitions = np.array([4, 3, 1]), np.random.default_rng(3), 150
    code = np.repeat([0, 1, 2], [40, 50, 60])
    need = 79.1667
    truth = {"measured": 9, "theoretical": 9, "between_share": 1 / 9}
    hits = dict.fromkeys([*truth, "choice", "belief"], 0)
    for seed in range(repetitions):
        y, b = dirichlet(alpha, 150, rng)
        result = efficiency_factor(y, b, condition=code, n_boot=100, rng=seed)
        for name, value in truth.items():
            hits[name] += result[name]["low"] <= value <= result[name]["high"]
        runs = runs_needed(y, b, 0.05, condition=code, n_boot=100, rng=seed)
        for name, value in (("choice", need), ("belief", need / 9)):
            low, high = runs.interval(f"{name}, rmse=0.05")
            hits[name] += low <= value <= high
    low, high = binomial_bounds(0.945, repetitions)
    assert all(low < count / repetitions < high for count in hits.values()), hits


# --- runs needed, tokens --------------------------------------------------------------------


def test_runs_needed_known_values():
    # V = 1/3 and 0.14/3 (above): 1/3 / 0.01 = 33.33, 4.667; whole numbers 34 and 5
    result = runs_needed([1, 0, 0, 1], [0.8, 0.4, 0.3, 0.5], [0.1, 0.2], tokens=[10, 10, 14, 14])
    assert result.frame.index.tolist() == [
        "choice, rmse=0.1", "choice, rmse=0.2", "belief, rmse=0.1", "belief, rmse=0.2",
    ]  # fmt: skip
    assert result.frame["estimate"].tolist() == pytest.approx([100 / 3, 25 / 3, 14 / 3, 3.5 / 3])
    assert result.frame["runs"].tolist() == [34, 9, 5, 2]
    assert result.frame["tokens"].tolist() == [34 * 12, 9 * 12, 5 * 12, 2 * 12]


def test_tokens():
    y, b = dirichlet([3, 2], 60, np.random.default_rng(4))
    plain = efficiency_factor(y, b, tokens=np.full(60, 30))
    assert plain["per_token"]["estimate"] == pytest.approx(plain["measured"]["estimate"])
    # 30 tokens a run and 10 on top to read the belief: three quarters of the gain are left
    dear = efficiency_factor(y, b, tokens=np.full(60, 30), extra_tokens=np.full(60, 10))
    assert dear["per_token"]["estimate"] == pytest.approx(0.75 * plain["measured"]["estimate"])
    need = runs_needed(y, b, 0.1, tokens=np.full(60, 30), extra_tokens=np.full(60, 10))
    row = need["belief, rmse=0.1"]
    assert row["tokens"] == 40 * row["runs"]
    with pytest.raises(ValueError, match="extra_tokens are given without tokens"):
        efficiency_factor(y, b, extra_tokens=np.ones(60))


def test_keywords_and_errors():
    y, b = dirichlet([3, 2], 60, np.random.default_rng(5))
    plain = efficiency_factor(y, b)["measured"]
    pd.testing.assert_series_equal(plain, efficiency_factor(y, b, rng=generator(0))["measured"])
    assert efficiency_factor(y, b, rng=1)["measured"]["low"] != plain["low"]
    assert efficiency_factor(y, b, n_boot=50)["measured"]["low"] != plain["low"]
    assert efficiency_factor(y, b, alpha=0.5)["measured"]["low"] > plain["low"]
    with pytest.raises(ValueError, match="n_boot is 1"):
        efficiency_factor(y, b, n_boot=1)
    with pytest.raises(ValueError, match="condition '7' has 1 complete runs"):
        efficiency_factor(y, b, condition=[7, *[1] * 59])
    for target in (0, [0.1, -0.1]):
        with pytest.raises(ValueError, match="target"):
            runs_needed(y, b, target)
