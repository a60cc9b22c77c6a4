"""RMSE curves: the resampling against its closed form, biases, estimated truths, coverage."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from simkit.estimators import mean_choice, rmse_curve, runs_needed
from tests.estimators.runs import binomial_bounds, dirichlet, draw, market

pytestmark = pytest.mark.filterwarnings("error")


def known(n=60, seed=0):
    """Two conditions of n and n + 11 runs, 3 options, with their true shares per row."""
    rng = np.random.default_rng(seed)
    parts = [dirichlet(a, size, rng) for a, size in (((4, 3, 1), n), ((1, 5, 2), n + 11))]
    y, b = (pd.concat(x, ignore_index=True) for x in zip(*parts, strict=True))
    truth = np.repeat([[4 / 8, 3 / 8, 1 / 8], [1 / 8, 5 / 8, 2 / 8]], [n, n + 11], axis=0)
    return y, b, truth, np.repeat(["x", "y"], [n, n + 11])


def test_whole_pool_has_no_luck_in_it():
    # n = N: the error is the pool's mean's own, in every repetition
    y, b = [1, 0, 0, 1, 1], [0.7, 0.2, 0.3, 0.5, 0.8]
    result = rmse_curve(y, b, [0.4] * 5, sizes=[5], repetitions=3)
    assert result["choice, n=5"]["estimate"] == pytest.approx(0.6 - 0.4)
    assert result["belief, n=5"]["estimate"] == pytest.approx(0.5 - 0.4)
    # expected = sqrt(V / n): V = 0.3 and (0.04 + 0.09 + 0.04 + 0 + 0.09) / 4 = 0.065
    assert result.frame["expected"].tolist() == pytest.approx([np.sqrt(0.06), np.sqrt(0.013)])


def test_resampling_agrees_with_all_subsets():
    # mean over all subsets of n of N of |mean - truth|^2: |m - truth|^2 + tr S (1/n - 1/N)
    y, b, truth, code = known(25)
    result = rmse_curve(y, b, truth, condition=code, sizes=[3, 12], repetitions=4000)
    for name, x in (("choice", y), ("belief", b)):
        for n in (3, 12):
            squares = []
            for c in "xy":
                own, true = x[code == c], truth[code == c][0]
                bias = ((own.mean() - true) ** 2).sum()
                squares.append(bias + own.var().sum() * (1 / n - 1 / len(own)))
            exact = np.sqrt(np.mean(squares) / 3)
            assert result[f"{name}, n={n}"]["estimate"] == pytest.approx(exact, rel=0.02)


def test_it_meets_runs_needed():
    world = market(every=6)
    y, b, code = draw(world, 500, np.random.default_rng(1))
    curve = rmse_curve(y, b, world.share[code], condition=code, sizes=[4, 40])
    for name in ("choice", "belief"):
        row = curve[f"{name}, n=40"]
        need = runs_needed(y, b, row["expected"], condition=code).frame
        assert need.set_index("method").loc[name, "estimate"] == pytest.approx(40)
        assert row["estimate"] == pytest.approx(row["expected"], rel=0.1)
        exact = world.share * (1 - world.share) if name == "choice" else world.variance
        assert (
            curve.interval(f"{name}, n=4")[0]
            < np.sqrt(exact.mean() / 4)
            < curve.interval(f"{name}, n=4")[1]
        )


def test_a_bias_is_found():
    y, b, truth, code = known(800)
    fair = rmse_curve(y, b, truth, condition=code, sizes=[100])
    assert fair["belief, n=100"]["bias"] < 0.015
    off = truth + np.array([0.1, -0.1, 0])  # root mean square over options: sqrt(0.02 / 3)
    biased = rmse_curve(y, b, off, condition=code, sizes=[100])
    for name in ("choice", "belief"):
        assert biased[f"{name}, n=100"]["bias"] == pytest.approx(np.sqrt(0.02 / 3), abs=0.015)
    assert biased["belief, n=100"]["low"] > biased["belief, n=100"]["expected"]


def test_a_truth_from_runs_is_a_floor_unless_its_error_is_taken_off():
    world = market(every=5)
    y, b, code = draw(world, 1000, np.random.default_rng(2))
    held, _, place = draw(world, 2000, np.random.default_rng(3))
    shares = mean_choice(held, by=place).frame
    table = [shares[name].to_numpy().reshape(-1, 3)[code] for name in ("estimate", "std_error")]
    exact = rmse_curve(y, b, world.share[code], condition=code, sizes=[100])
    naive = rmse_curve(y, b, table[0], condition=code, sizes=[100])
    right = rmse_curve(y, b, table[0], truth_error=table[1], condition=code, sizes=[100])
    true = exact["belief, n=100"]["expected"]
    assert naive["belief, n=100"]["low"] > 1.2 * true  # its own variance doubles about
    assert right["belief, n=100"]["estimate"] < naive["belief, n=100"]["low"]
    assert right["belief, n=100"]["low"] < true < right["belief, n=100"]["high"]
    assert right["choice, n=100"]["estimate"] == pytest.approx(
        exact["choice, n=100"]["estimate"], rel=0.15
    )


def test_undefined_and_exact():
    # a truth whose stated error is larger than all there is to see: NaN, counted
    y, b, truth, code = known()
    odd = rmse_curve(y, b, truth, truth_error=np.full(truth.shape, 0.5), condition=code, sizes=[9])
    assert odd.frame["estimate"].isna().all()
    assert (odd.frame["low"] == 0).all()
    assert odd.notes == ("2 of 2 mean squares are below the truth's own (NaN)",)
    same = rmse_curve([1, 0, 1, 0], [0.5] * 4, [0.5] * 4, sizes=[2])
    assert same["belief, n=2"][["estimate", "low", "high"]].tolist() == [0, 0, 0]
    # four runs that all chose it: 0.5 off, and nothing says how others would have chosen
    agree = rmse_curve([1, 1, 1, 1], [0.5] * 4, [0.5] * 4, sizes=[2])
    assert agree["choice, n=2"]["estimate"] == 0.5
    assert agree["choice, n=2"][["std_error", "low", "high"]].isna().all()
    assert agree.notes == ("1 of 1 sizes: choices that never vary, so no interval of them",)


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_coverage(noise):
    # pools of 60 and 71 runs, 40 repetitions; the truth exact, or known with errors of 0.02 that
    # sum to 0 over the options. V: mean p (1 - p) of 4, 3, 1 and 1, 5, 2 eighths; belief's / 9
    rng, repetitions, hits = np.random.default_rng(4), 120, np.zeros(4)
    variance = (16 + 15 + 7 + 7 + 15 + 12) / 6 / 64
    true = np.sqrt(variance / np.array([4, 40, 9 * 4, 9 * 40]))
    for seed in range(repetitions):
        y, b, truth, code = known(seed=seed)
        shift = rng.normal(0, noise * np.sqrt(1.5), (2, 3))
        shift = np.repeat(shift - shift.mean(axis=1, keepdims=True), [60, 71], axis=0)
        error = np.full(truth.shape, noise) if noise else None
        result = rmse_curve(
            y, b, truth + shift, truth_error=error, condition=code, sizes=[4, 40],
            repetitions=40, rng=seed,
        )  # fmt: skip
        low, high = result.frame["low"].to_numpy(), result.frame["high"].to_numpy()
        hits += (low <= true) & (true <= high)
    low, high = binomial_bounds(0.95, repetitions)
    assert (hits / repetitions > low).all(), hits / repetitions
    assert (hits / repetitions <= min(high, 1)).all(), hits / repetitions


def test_keywords_and_errors():
    y, b, truth, code = known()
    plain = rmse_curve(y, b, truth, condition=code)
    assert plain.frame["runs"].tolist() == [1, 2, 5, 10, 20] * 2
    at = "belief, n=5"
    assert rmse_curve(y, b, truth, condition=code, rng=1)[at]["estimate"] != plain[at]["estimate"]
    assert rmse_curve(y, b, truth, condition=code, alpha=0.01)[at]["high"] > plain[at]["high"]
    few = rmse_curve(y, b, truth, condition=code, repetitions=10)
    assert few[at]["std_error"] > plain[at]["std_error"]
    pooled = rmse_curve(y[code == "x"], b[code == "x"], truth[code == "x"])
    assert pooled[at]["estimate"] != plain[at]["estimate"]
    wrong = truth.copy()
    wrong[3] = [0.2, 0.3, 0.5]
    with pytest.raises(ValueError, match="truth: row 3 of condition 'x' holds"):
        rmse_curve(y, b, wrong, condition=code)
    with pytest.raises(ValueError, match=r"truth has shape \(131,\); it must be \(131, 3\)"):
        rmse_curve(y, b, truth[:, 0], condition=code)
    with pytest.raises(ValueError, match="whole numbers from 1 to 60"):
        rmse_curve(y, b, truth, condition=code, sizes=[1, 61])
    with pytest.raises(ValueError, match="repetitions is 1"):
        rmse_curve(y, b, truth, condition=code, repetitions=1)
