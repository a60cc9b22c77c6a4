"""Conditional logit of fractions: closed forms, statsmodels, covariance, coverage."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit, softmax
from statsmodels.discrete.discrete_model import MNLogit
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from simkit.estimators import conditional_logit, price_coefficient
from simkit.estimators.shared.newton import newton
from tests.estimators.runs import OPTIONS, binomial_bounds, dirichlet, draw, market

pytestmark = pytest.mark.filterwarnings("error")


def shoppers(n=40, seed=0):
    """Beliefs of 4 alternatives (3 priced) around a conditional logit, n runs per price row."""
    rng = np.random.default_rng(seed)
    price = rng.integers(1, 9, (5, 3)).astype(float)
    utility = np.column_stack([np.array([1.0, 0.5, 0.2]) - 0.3 * price, np.zeros(5)])
    p = softmax(utility, axis=1)
    belief = np.concatenate([rng.dirichlet(12 * q, n) for q in p])
    return belief, np.repeat(price, n, axis=0), np.repeat(np.arange(5), n), p


# --- estimates ------------------------------------------------------------------------------


def test_two_price_rows_are_solved_exactly():
    # two alternatives, one priced: logit P = a + beta p; P(2) = 0.6, P(4) = 0.25:
    # beta = (logit 0.25 - logit 0.6) / 2 = (-1.0986 - 0.4055) / 2, a = logit 0.6 - 2 beta
    beta = (logit(0.25) - logit(0.6)) / 2
    for shares in ([0.7, 0.5, 0.25], np.array([[0.7, 0.3], [0.5, 0.5], [0.25, 0.75]])):
        result = conditional_logit(shares, [2, 2, 4])
        assert result.frame["estimate"].tolist() == pytest.approx([logit(0.6) - 2 * beta, beta])


def test_exact_shares_give_back_the_coefficients():
    _, price, code, p = shoppers()
    first = np.unique(code, return_index=True)[1]
    result = conditional_logit(p, price[first])
    assert result.frame["estimate"].tolist() == pytest.approx([1, 0.5, 0.2, -0.3], abs=1e-9)
    assert result.frame["std_error"].max() < 1e-9


def test_all_alternatives_priced():
    # only price differences tell: const is relative to the last alternative's
    price = np.array([[1.0, 2.0], [2.0, 1.5], [3.0, 1.0], [1.0, 4.0]])
    p = softmax(np.array([0.7, 0.0]) - 0.4 * price, axis=1)
    result = conditional_logit(p, price)
    assert result.frame["estimate"].tolist() == pytest.approx([0.7, -0.4])


def test_choices_agree_with_statsmodels():
    # an alternative without a price of its own, prices that are one column: MNLogit fits a slope
    # per alternative; with prices (x, 0, 0) the conditional logit is MNLogit with two slopes tied
    # at 0, so compare likelihood scores instead: at the fit, sum x (y - p) = 0 and sum (y - p) = 0
    y, _ = dirichlet([2, 3, 1], 90, np.random.default_rng(1))
    x = np.random.default_rng(2).integers(1, 5, 90).astype(float)
    price = np.column_stack([x, np.full(90, 2.0)])
    beta = conditional_logit(y, price).frame["estimate"].to_numpy()
    utility = np.column_stack([beta[0] + beta[2] * x, np.full(90, beta[1] + beta[2] * 2), 0 * x])
    off = y.to_numpy() - softmax(utility, axis=1)
    assert off.sum(axis=0) == pytest.approx(0, abs=1e-8)
    assert (off[:, :2] * price).sum() == pytest.approx(0, abs=1e-8)
    # and without restriction, through the same Newton steps
    full = MNLogit(y.to_numpy().argmax(axis=1), np.column_stack([np.ones(90), x])).fit(disp=0)
    design = np.zeros((90, 3, 4))
    for k in (1, 2):
        design[:, k, 2 * k - 2], design[:, k, 2 * k - 1] = 1, x
    ours = newton(design, np.ones(90), y.to_numpy())
    assert ours == pytest.approx(full.params.T.ravel(), abs=1e-5)


def test_fractions_are_weighted_choices():
    # a belief of (0.2, 0.3, 0.5) says what ten runs with 2, 3 and 5 choices say
    rng = np.random.default_rng(3)
    counts = rng.multinomial(10, [0.2, 0.3, 0.5], 30)
    price = rng.integers(1, 6, (30, 2)).astype(float)
    runs = np.concatenate([np.repeat(np.eye(3), c, axis=0) for c in counts])
    belief = conditional_logit(counts / 10, price)
    choice = conditional_logit(runs, np.repeat(price, 10, axis=0), cluster=np.repeat(range(30), 10))
    pd.testing.assert_frame_equal(belief.frame, choice.frame)


def test_two_alternatives_are_the_fractional_logit():
    d = np.random.default_rng(4)
    price, cluster = d.integers(1, 6, 60).astype(float), np.repeat(range(12), 5)
    buys = expit(1 - 0.4 * price + d.normal(0, 0.5, 12)[cluster])
    w = d.random(60)
    ours = conditional_logit(buys, price, weights=w, cluster=cluster)
    other = price_coefficient(price, buys, weights=w, cluster=cluster)
    assert ours.frame[["estimate", "std_error"]].to_numpy() == pytest.approx(
        other.frame.loc[["const", "price"], ["estimate", "std_error"]].to_numpy()
    )


def test_degrees_of_freedom_are_the_effective_clusters():
    # 12 clusters that weigh 1, 2, 12 in turn: (4 * 15)^2 / (4 * 149) = 6.04 effective ones
    rng = np.random.default_rng(11)
    price, cluster = rng.integers(1, 6, 60).astype(float), np.repeat(range(12), 5)
    buys, w = rng.beta(3, 3, 60), np.tile([1.0, 2, 12], 4)[cluster]
    result = conditional_logit(buys, price, weights=w, cluster=cluster)
    assert result.frame["df"].tolist() == pytest.approx([3600 / 596 - 1] * 2)
    assert result.over == "clusters (12)" and not result.notes
    equal = conditional_logit(buys, price, cluster=cluster, condition=cluster // 4)
    assert equal.frame["df"].tolist() == pytest.approx([9, 9])
    assert equal.over == "clusters (12) of these conditions"
    named = conditional_logit(buys, price, cluster=pd.Series(cluster, name="persona"))
    assert named.over == "persona (12)"
    three = np.repeat(range(3), 20)
    few = conditional_logit(buys, price, weights=np.repeat([1.0, 2, 12], 20), cluster=three)
    assert few.notes == ("1.5 effective clusters: below 5 no interval is to be trusted",)


def test_covariance_tends_to_statsmodels_robust_one():
    rng = np.random.default_rng(5)
    price = rng.integers(1, 6, 3000).astype(float)
    b = rng.beta(20 * expit(1 - 0.4 * price), 20 * expit(-1 + 0.4 * price))
    ours = conditional_logit(b, price).frame["std_error"].to_numpy()
    fit = GLM(b, np.column_stack([np.ones(3000), price]), family=Binomial()).fit(cov_type="HC1")
    assert ours == pytest.approx(fit.bse, rel=0.01)


def test_conditions_are_no_sample():
    # shares that no logit fits, known almost without error: misfit is no variance
    price = np.repeat([1.0, 2.0, 3.0], 30)
    b = np.repeat([0.8, 0.2, 0.6], 30) + np.random.default_rng(6).normal(0, 0.001, 90)
    loose = conditional_logit(b, price)["price"]["std_error"]
    tight = conditional_logit(b, price, condition=price)["price"]["std_error"]
    assert tight < 0.02 * loose
    # 60 more runs of a condition, at the same prices, under another name: the same fit
    again = conditional_logit(b, price, condition=np.arange(90) // 15)["price"]
    assert again["std_error"] == pytest.approx(tight, rel=0.2)
    assert again["df"] == 84


# --- undefined and refused ------------------------------------------------------------------


def test_separated_shares_have_no_fit():
    never = np.array([[1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 0, 1]])
    result = conditional_logit(never, [[1, 2], [2, 1], [3, 1], [1, 3]])
    assert result.frame[["estimate", "low"]].isna().all(axis=None)
    assert result.notes == (
        "no logit: an alternative is never or always chosen, or prices separate",
    )
    split = conditional_logit([1, 1, 0, 0], [1, 2, 3, 4])
    assert split.frame["estimate"].isna().all()


def test_single_clusters_and_missing_rows():
    result = conditional_logit([0.6, 0.5, 0.3, None], [1, 2, 3, 4], condition=["a", "a", "b", "b"])
    assert np.isfinite(result["price"]["estimate"])
    assert np.isnan(result["price"]["low"])
    assert result.notes == (
        "1 of 4 rows skipped: no outcome",
        "a condition has one cluster: no interval",
    )


def test_keywords():
    b, price, code, _ = shoppers(10)
    plain = conditional_logit(b, price)["price"]
    changed = {
        "alpha": 0.5, "weights": np.linspace(1, 2, 50), "condition": code,
        "cluster": np.arange(50) // 2,
    }  # fmt: skip
    for name, value in changed.items():
        assert conditional_logit(b, price, **{name: value})["price"]["low"] != plain["low"], name
    names = conditional_logit(pd.DataFrame(b, columns=list("pqrs")), price).frame.index.tolist()
    assert names == ["const[p]", "const[q]", "const[r]", "price"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shares": [[0.5, 0.4]] * 3}, "row 0 holds .* which sum to 0.9; they must sum to 1"),
        ({"price": [[1, 2, 3]] * 3}, "3 columns for 2 alternatives; it must have 2, or 1"),
        ({"price": [2, 2, 2]}, "1 distinct price rows do not tell the price from the constants"),
        ({"price": [[1, 2], [2, 3], [4, 5]]}, "not all by the same amount"),
        ({"price": [1, 2]}, r"price\[0\] has 2 rows; it must have 3"),
        ({"condition": [1, 2, 2], "cluster": [1, 1, 2]}, "number 0 lies in several conditions"),
    ],
)  # fmt: skip
def test_errors(arguments, message):
    plain = {"shares": [[0.6, 0.4], [0.5, 0.5], [0.3, 0.7]], "price": [1, 2, 3]}
    arguments = plain | arguments
    with pytest.raises(ValueError, match=message):
        conditional_logit(arguments.pop("shares"), arguments.pop("price"), **arguments)


# --- coverage -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["choice", "belief"])
def test_coverage_on_the_brand_market(kind):
    # 20 runs in each of 6 price conditions; truth: the logit nearest to the exact shares
    world, rng, repetitions, hits = market(every=7), np.random.default_rng(7), 120, np.zeros(3)
    truth = conditional_logit(world.share, world.prices).frame["estimate"]
    for _ in range(repetitions):
        y, b, code = draw(world, 20, rng)
        shares = y if kind == "choice" else b
        prices = world.prices.loc[code].reset_index(drop=True)
        result = conditional_logit(shares, prices, condition=code)
        hits += (result.frame["low"] <= truth.to_numpy()) & (
            truth.to_numpy() <= result.frame["high"]
        )
    low, high = binomial_bounds(0.945, repetitions)
    assert (hits / repetitions > low).all(), hits
    assert (hits / repetitions <= high).all(), hits
    assert result.frame.index[0] == f"const[{OPTIONS[0]}]"
