"""Temperature curves: the fits one by one, sampling, the best temperature, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from simkit.estimators import (
    belief_at_temperature,
    individual_fit,
    kl_divergence,
    marginal_fit,
    temperature_curve,
)

pytestmark = pytest.mark.filterwarnings("error")
SCALE = np.array([0, 10, 30, 40, 70])
BOTH = ["estimate", "std_error", "low", "high", "corrected", "floor", "ceiling"]


def population(n, rng, sharper=1.0):
    """Answers drawn from the respondents' own beliefs, and those beliefs at another temperature."""
    own = rng.dirichlet(1.5 * np.ones(5), n)
    drawn = (rng.random((n, 1)) > own.cumsum(axis=1)).sum(axis=1)
    return SCALE[np.minimum(drawn, 4)], belief_at_temperature(own, sharper)


def test_each_point_is_the_fit_at_that_temperature():
    y, b = population(33, np.random.default_rng(0))
    w = np.arange(1, 34)
    curve = temperature_curve(
        y, b, SCALE, [0, 0.5, 1.3], metrics=["kl", "nemd", "rmse", "mae", "log_loss"],
        smoothing=0.01, weights=w, n_boot=3,
    )  # fmt: skip
    for t in (0, 0.5, 1.3):
        own = belief_at_temperature(b, t)
        many = marginal_fit(
            y, own, SCALE, metrics=["kl", "nemd"], smoothing=0.01, weights=w, n_boot=3
        )
        single = individual_fit(y, b, SCALE, temperature=t, weights=w)
        for fit in (many, single):
            for name, row in fit.frame.iterrows():
                found = curve[f"{name}, T={t:g}"]
                assert found["estimate"] == pytest.approx(row["estimate"])
                assert found["ceiling"] == pytest.approx(row["ceiling"])
                assert found["temperature"] == t
    assert curve["log_loss, T=0"]["estimate"] == np.inf
    assert np.isnan(curve["log_loss, T=0"]["low"])


def test_intervals_are_those_of_the_fit():
    y, b = population(50, np.random.default_rng(1))
    curve = temperature_curve(y, b, SCALE, [1], metrics=["tv", "rmse"], n_boot=3000)
    many = marginal_fit(y, b, SCALE, metrics=["tv"], n_boot=3000)["tv"]
    single = individual_fit(y, b, SCALE)["rmse"]
    for name, row in (("tv, T=1", many), ("rmse, T=1", single)):
        for end in ("std_error", "high", "floor"):  # other resamples: Monte-Carlo error
            assert curve[name][end] == pytest.approx(row[end], rel=0.06, nan_ok=True)


def test_sampled_curves_agree_within_monte_carlo_error():
    rng = np.random.default_rng(2)
    n, draws = 40, 4000
    y, b = population(n, rng)
    curve = temperature_curve(y, b, SCALE, [0, 0.4, 2], smoothing=0.001, n_boot=2)
    human = (y[:, None] == SCALE).mean(axis=0)
    for t in (0, 0.4, 2):
        own = belief_at_temperature(b, t).cumsum(axis=1)
        at = (rng.random((draws, n, 1)) > own).sum(axis=2).clip(max=4)
        shares = np.bincount(at.ravel(), minlength=5) / at.size
        kl = float(kl_divergence(human, shares, smoothing=0.001))
        # slope of KL in a share q is -p / q: standard error by the delta method
        slope = -human / np.maximum(shares, 0.001)
        error = np.sqrt((slope**2 * shares).sum() / at.size)
        assert curve[f"kl, T={t:g}"]["estimate"] == pytest.approx(kl, abs=4 * error + 1e-9)
        squares = ((SCALE[at] - y) ** 2).mean(axis=1)
        found = curve[f"rmse, T={t:g}"]["estimate"] ** 2
        assert found == pytest.approx(squares.mean(), abs=4 * squares.std() / np.sqrt(draws) + 1e-9)


def test_the_best_temperature_is_found():
    # beliefs that were sharpened to T = 1/2 are put right at T = 2; errors of draws want T = 0
    y, b = population(600, np.random.default_rng(3), sharper=0.5)
    grid = [0, 0.5, 1, 1.5, 2, 2.5, 3]
    curve = temperature_curve(y, b, SCALE, grid, metrics=["log_loss", "rmse"], n_boot=60)
    best = curve["best temperature, log_loss"]
    assert best["estimate"] == 2
    assert 1.5 <= best["low"] <= 2 <= best["high"] <= 2.5
    assert curve["best temperature, rmse"]["estimate"] == 0
    assert best["metric"] == "best_log_loss"


def test_a_perfect_belief_has_its_least_log_loss_at_one():
    y, b = population(2500, np.random.default_rng(4))
    curve = temperature_curve(y, b, SCALE, [0.7, 1, 1.4], metrics=["log_loss"], n_boot=2)
    assert curve["best temperature, log_loss"]["estimate"] == 1


@pytest.mark.parametrize(
    "kwargs",
    [
        {"smoothing": 0.1},
        {"weights": np.arange(1, 25)},
        {"cluster": np.arange(24) // 3},
        {"n_boot": 21},
        {"alpha": 0.5},
        {"rng": 1},
        {"temperatures": [0.5, 1.1]},
    ],
)
def test_every_keyword_counts(kwargs):
    y, b = population(24, np.random.default_rng(6))
    base = {"temperatures": [0.5, 1], "smoothing": 0.01, "n_boot": 20}
    one = temperature_curve(y, b, SCALE, **base).frame[BOTH]
    two = temperature_curve(y, b, SCALE, **(base | kwargs)).frame[BOTH]
    assert not np.array_equal(one.to_numpy(float), two.to_numpy(float), equal_nan=True)


def test_defaults_and_undefined():
    y, b = population(8, np.random.default_rng(7))
    curve = temperature_curve([None, *y[1:]], b, SCALE, smoothing=0.01, n_boot=2, cluster=[0] * 8)
    assert curve.n == 7
    part = curve.frame[curve.frame["metric"] == "kl"]
    assert part["temperature"].tolist() == pytest.approx(np.linspace(0, 2, 21).tolist())
    assert curve.frame[["low", "high"]].isna().all(axis=None)
    assert "1 of 8 rows skipped: no outcome" in curve.notes


def test_bad_input_is_named():
    y, b = population(4, np.random.default_rng(8))
    cases = [
        ({"temperatures": [1, 1]}, r"temperatures are \[1.0, 1.0\]"),
        ({"temperatures": []}, r"temperatures are \[\]"),
        ({"temperatures": [-1]}, "temperatures: row 0 holds -1"),
        ({"metrics": ["accuracy"]}, r"metrics are \['accuracy'\]; they must be a list of some of"),
        ({"metrics": "kl"}, "metrics (are|is) 'kl'"),
        ({"metrics": ["kl"]}, "smoothing: metric 'kl' depends on it"),
        ({"human": [5, 10, 10, 10]}, "human: row 0 holds 5"),
    ]
    for change, message in cases:
        kwargs = {"human": y, "belief": b, "values": SCALE, "metrics": ["rmse"]} | change
        with pytest.raises(ValueError, match=message):
            temperature_curve(**kwargs)
