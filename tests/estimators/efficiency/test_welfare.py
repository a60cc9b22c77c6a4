"""Elasticities, willingness to pay, best price: closed forms, the delta method, coverage."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from simkit.estimators import (
    conditional_logit,
    flatness_ratio,
    optimal_price,
    own_price_elasticity,
    price_elasticities,
    willingness_to_pay,
)
from simkit.estimators.efficiency.conditional import fit_logit
from tests.estimators.runs import binomial_bounds, draw, market

pytestmark = pytest.mark.filterwarnings("error")

CONST, SLOPE = np.array([2.0, 1.4, 0.0]), -0.1
GRID = np.array([[20.0, 25.0], [30.0, 25.0], [20.0, 35.0], [27.0, 31.0]])


def shares_at(price):
    price = np.atleast_2d(price)
    return softmax(CONST + SLOPE * np.column_stack([price, np.zeros(len(price))]), axis=1)


def exact():
    return pd.DataFrame(shares_at(GRID), columns=["a", "b", "none"]), pd.DataFrame(GRID)


def noisy(n=40, seed=0):
    rng = np.random.default_rng(seed)
    belief = np.concatenate([rng.dirichlet(20 * p, n) for p in shares_at(GRID)])
    return belief, np.repeat(GRID, n, axis=0), np.repeat(np.arange(4), n)


# --- elasticities ---------------------------------------------------------------------------


def test_elasticities_known_values():
    # at prices (20, 25): own = beta p_k (1 - P_k), cross = -beta p_l P_l
    p = shares_at([20, 25])[0]
    result = price_elasticities(*exact(), at=[20, 25])
    assert result.frame.index.tolist() == [
        "own[a]", "own[b]", "cross[a, b]", "cross[b, a]", "cross[none, a]", "cross[none, b]",
    ]  # fmt: skip
    assert result.frame["estimate"].tolist() == pytest.approx([
        -0.1 * 20 * (1 - p[0]), -0.1 * 25 * (1 - p[1]), 0.1 * 25 * p[1], 0.1 * 20 * p[0],
        0.1 * 20 * p[0], 0.1 * 25 * p[1],
    ])  # fmt: skip


def test_elasticities_are_log_derivatives():
    up, down = (np.log(shares_at([20 + h, 25])[0]) for h in (1e-4, -1e-4))
    derivative = (up - down) / (np.log(20 + 1e-4) - np.log(20 - 1e-4))
    rows = price_elasticities(*exact(), at=[20, 25])
    names = ["own[a]", "cross[b, a]", "cross[none, a]"]
    assert [rows[n]["estimate"] for n in names] == pytest.approx(derivative.tolist(), rel=1e-6)


def test_one_brand_is_the_logit_elasticity():
    b, price, _ = noisy()
    one = price_elasticities(b[:, 0], price[:, 0], at=27)["own[buy]"]
    other = own_price_elasticity(price[:, 0], b[:, 0], at=27)["price=27"]
    same = ["estimate", "std_error"]
    assert one[same].tolist() == pytest.approx(other[same].tolist(), rel=1e-6)


def test_mean_prices_are_the_default():
    b, price, _ = noisy()
    w = np.linspace(1, 3, len(b))
    mean = np.average(price, axis=0, weights=w)
    a, c = price_elasticities(b, price, weights=w), price_elasticities(b, price, weights=w, at=mean)
    pd.testing.assert_frame_equal(a.frame, c.frame)
    assert price_elasticities(b, price)["own[option 0]"]["estimate"] != a.frame["estimate"].iloc[0]


# --- willingness to pay ---------------------------------------------------------------------


def test_willingness_known_values():
    # (2 - 1.4) / 0.1 = 6 cents, 2 / 0.1 = 20, 1.4 / 0.1 = 14
    result = willingness_to_pay(*exact())
    assert result.frame.index.tolist() == ["a over b", "a over none", "b over none"]
    assert result.frame["estimate"].tolist() == pytest.approx([6, 20, 14])
    assert result.interval("a over b") == pytest.approx((6, 6), abs=1e-6)


def test_willingness_error_and_fieller():
    b, price, code = noisy()
    fit = fit_logit(b, price, None, code, None, 0.05)
    a, beta = fit.beta[0], fit.beta[-1]
    v = fit.cov
    # var(a / -beta) = (v_aa + (a / beta)^2 v_bb - 2 (a / beta) v_ab) / beta^2
    error = np.sqrt((v[0, 0] + (a / beta) ** 2 * v[2, 2] - 2 * a / beta * v[0, 2]) / beta**2)
    row = willingness_to_pay(b, price, condition=code)["option 0 over option 2"]
    assert row["estimate"] == pytest.approx(-a / beta)
    assert row["std_error"] == pytest.approx(error)
    # Fieller's interval as flatness_ratio has it, from the coefficients' rows
    table = conditional_logit(b, price, condition=code)
    rows = [table.to_frame().loc[[n]].set_axis(["price"]) for n in ("const[option 0]", "price")]
    results = [type(table)("x", r, 1, 0.05, "") for r in rows]
    other = flatness_ratio(*results, covariance=v[0, 2])
    assert (-other["flatness_ratio"][["high", "low"]]).tolist() == pytest.approx(
        row[["low", "high"]].tolist(),
        rel=1e-3,  # its degrees of freedom are of other shares
    )


def test_willingness_without_a_price_effect():
    rng = np.random.default_rng(1)
    b = rng.dirichlet([3, 2, 2], 40)
    price = np.tile(GRID, (10, 1))
    result = willingness_to_pay(b, price)
    assert np.isinf(result.frame["low"]).all()
    assert result.notes == ("the price coefficient is not significantly off zero",)


# --- best price -----------------------------------------------------------------------------


@pytest.mark.parametrize(("brand", "cost"), [(0, 15), ("b", 4), ("a", 60)])
def test_best_price_maximises_profit(brand, cost):
    k = {"a": 0, "b": 1}.get(brand, brand)
    at = np.array([22.0, 29.0])

    def loss(price):
        prices = at.copy()
        prices[k] = price
        return -(price - cost) * shares_at(prices)[0, k]

    best = minimize_scalar(
        loss, bounds=(cost, cost + 100), method="bounded", options={"xatol": 1e-9}
    )
    result = optimal_price(*exact(), cost=cost, brand=brand, at=at)
    assert result["price"]["estimate"] == pytest.approx(best.x, rel=1e-5)
    assert result["profit"]["estimate"] == pytest.approx(-best.fun)
    # the first-order condition: p - cost = 1 / (0.1 (1 - P))
    share = result["share"]["estimate"]
    assert result["price"]["estimate"] - cost == pytest.approx(1 / (0.1 * (1 - share)))


def test_best_price_of_a_monopolist_by_hand():
    # one brand, no other: margin m = 1 + W(exp(a - b c - 1)); with a - b c = 1 + 1 = 2 it is
    # 1 + W(e) = 2: p = c + 2 / b. b = 0.1, c = 10, a = 3: p = 30
    price = np.array([20.0, 30.0, 40.0])
    buys = 1 / (1 + np.exp(-(3 - 0.1 * price)))
    row = optimal_price(buys, price, cost=10)
    assert row["price"]["estimate"] == pytest.approx(30)
    assert row["share"]["estimate"] == pytest.approx(0.5)
    assert row["profit"]["estimate"] == pytest.approx(10)


def test_best_price_delta_is_the_implicit_function_theorem():
    # F(p, theta) = (p - c) b (1 - P(p)) - 1 = 0: dp/dtheta = -F_theta / F_p. With g = (p - c) b:
    # dP/da_k = P (1 - P), dP/da_l = -P P_l, dP/db = -P (p - sum_l P_l p_l), dP/dp = -b P (1 - P)
    b, price, code = noisy()
    at, cost = np.array([25.0, 28.0]), 12.0
    fit = fit_logit(b, price, None, code, None, 0.05)
    result = optimal_price(b, price, cost=cost, at=at, condition=code)
    p = result["price"]["estimate"]
    prices, slope = np.array([p, at[1], 0.0]), -fit.beta[2]
    share = softmax([*fit.beta[:2], 0.0] - slope * prices)
    g, own = (p - cost) * slope, share[0]
    by_p = slope * (1 - own) + g * slope * own * (1 - own)
    by_beta = -((p - cost) * (1 - own) + g * own * (p - share @ prices))  # beta = -b
    gradient = -np.array([-g * own * (1 - own), g * own * share[1], by_beta]) / by_p
    assert result["price"]["std_error"] == pytest.approx(np.sqrt(gradient @ fit.cov @ gradient))


def test_best_price_undefined_and_outside():
    rising = optimal_price([0.2, 0.4, 0.7, 0.8], [1, 2, 3, 4], cost=1)
    assert rising.frame["estimate"].isna().all()
    assert rising.notes == ("the price coefficient is not negative: no best price",)
    outside = optimal_price(*exact(), cost=60)
    assert outside.notes == ("outside the prices of the data, 20 to 30",)
    with pytest.raises(ValueError, match=r"brand is 'none'; it must be one of \['a', 'b'\]"):
        optimal_price(*exact(), cost=1, brand="none")
    with pytest.raises(ValueError, match="brand is 2; it must be"):
        optimal_price(*exact(), cost=1, brand=2)
    with pytest.raises(ValueError, match="at has 3 rows; it must have 2"):
        optimal_price(*exact(), cost=1, at=[1, 2, 3])


# --- all of them ----------------------------------------------------------------------------


@pytest.mark.parametrize("function", [price_elasticities, willingness_to_pay, optimal_price])
def test_keywords(function):
    b, price, code = noisy(12)
    extra = {"cost": 5.0} if function is optimal_price else {}
    plain = function(b, price, **extra).frame.iloc[0]
    changed = {
        "alpha": 0.5, "weights": np.linspace(1, 2, 48), "condition": code,
        "cluster": np.arange(48) // 2,
    }  # fmt: skip
    for name, value in changed.items():
        assert function(b, price, **extra, **{name: value}).frame.iloc[0]["low"] != plain["low"]
    if function is optimal_price:
        for name, value in {"cost": 6.0, "brand": 1, "at": [20, 40]}.items():
            other = function(b, price, **extra | {name: value}).frame.iloc[0]
            assert other["estimate"] != plain["estimate"], name


@pytest.mark.parametrize("kind", ["choice", "belief"])
def test_coverage_on_the_brand_market(kind):
    # 20 runs in each of 18 price conditions; truth: from the logit nearest to the exact shares
    world, rng, repetitions = market(every=2), np.random.default_rng(2), 60
    functions = [
        (willingness_to_pay, {}),
        (price_elasticities, {}),
        (optimal_price, {"cost": 15.0}),
    ]
    truths = [f(world.share, world.prices, **e).frame["estimate"].to_numpy() for f, e in functions]
    hits = [np.zeros(len(truth)) for truth in truths]
    for _ in range(repetitions):
        y, b, code = draw(world, 20, rng)
        for at, (function, extra) in enumerate(functions):
            shares = y if kind == "choice" else b
            frame = function(
                shares, world.prices.loc[code].reset_index(drop=True), condition=code, **extra
            ).frame
            inside = (frame["low"] <= truths[at]) & (truths[at] <= frame["high"])
            hits[at] += inside.to_numpy()
    share = np.concatenate(hits) / repetitions
    assert (share > binomial_bounds(0.94, repetitions)[0]).all(), share
    assert 0.91 < share.mean() < 0.99


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["choice", "belief"])
def test_coverage_in_the_main_design(kind):
    # 20 runs in each of the 36 price conditions
    world, rng, repetitions = market(every=1), np.random.default_rng(8), 500
    functions = [(conditional_logit, {}), (price_elasticities, {}), (willingness_to_pay, {}),
                 (optimal_price, {"cost": 15.0})]  # fmt: skip
    truths = [f(world.share, world.prices, **e).frame["estimate"].to_numpy() for f, e in functions]
    hits = [np.zeros(len(truth)) for truth in truths]
    for _ in range(repetitions):
        y, b, code = draw(world, 20, rng)
        for at, (function, extra) in enumerate(functions):
            shares = y if kind == "choice" else b
            frame = function(
                shares, world.prices.loc[code].reset_index(drop=True), condition=code, **extra
            ).frame
            inside = (frame["low"] <= truths[at]) & (truths[at] <= frame["high"])
            hits[at] += inside.to_numpy()
    share = np.concatenate(hits) / repetitions
    assert share.min() >= 0.93, share
    assert share.max() <= 0.97, share


def test_the_best_prices_interval_is_symmetric_in_one_over_the_margin():
    # delta method: the error of 1 / (price - cost) is std_error / (price - cost)^2
    row = optimal_price(*noisy()[:2], cost=5)["price"]
    margin = row["estimate"] - 5
    t = stats.t.ppf(0.975, row["df"])
    half = t * row["std_error"] / margin**2
    assert 1 / (row["low"] - 5) == pytest.approx(1 / margin + half)
    assert 1 / (row["high"] - 5) == pytest.approx(1 / margin - half)
