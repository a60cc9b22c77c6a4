"""Mixed quantiles: order statistics by hand, ppi_py's estimate, beliefs against draws."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from simkit import estimators as est

RNG = np.random.default_rng(0)
Z = RNG.normal(size=500)
Y = np.where(np.arange(500) < 100, Z + RNG.normal(size=500) / 4, np.nan)


def test_the_people_alone_have_order_statistics():
    # F steps by 1/20. t(19) = 2.093, h = 2.093 sqrt(.25 / 19) = 0.24: from the first share of at
    # least 0.26 (6/20) to the value after the last of at most 0.74 (14/20), the 15th
    y = [*range(1, 21), *[np.nan] * 5]
    row = est.mixed_quantile(y, [3.5] * 25)["people"]
    assert row[["estimate", "low", "high"]].tolist() == [10, 6, 15]
    # at 0.9: h = 2.093 sqrt(.09 / 19) = 0.144, the 16th; even a share of 1 is within: no end
    row = est.mixed_quantile(y, [3.5] * 25, 0.9)["people"]
    assert row[["estimate", "low", "high"]].tolist() == [18, 16, np.inf]
    row = est.mixed_quantile(y, [3.5] * 25, 0.1)["people"]
    assert row[["estimate", "low"]].tolist() == [2, -np.inf]


def test_estimate_against_ppi_py():
    ppi = pytest.importorskip("ppi_py.ppi")
    y, f, g = Y[:100], Z[:100], Z[100:]
    grid = np.unique(np.r_[y, f, g])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        curve = ppi._rectified_cdf(y, f, g, grid)
    for q in (0.2, 0.5, 0.8):
        # it takes the t whose F(t) is nearest to q, we the first that reaches it
        ours = est.mixed_quantile(Y, Z, q, lam=1)["mixed"]["estimate"]
        assert ours == grid[np.flatnonzero(curve >= q - 1e-12)[0]]


def test_one_sided_and_tuned():
    found = est.mixed_quantile(Y, Z)
    assert 0.5 < found["mixed"]["lam"] < 1
    assert found["mixed"]["relative_width"] < 0.95
    assert found["mixed"]["n_effective"] > 130
    both = est.mixed_quantile(Y, Z, alpha=0.1)["mixed"]
    low = est.mixed_quantile(Y, Z, alternative="larger")["mixed"]
    assert (low["low"], low["high"]) == (both["low"], np.inf)
    useless = est.mixed_quantile(Y, RNG.normal(size=500))["mixed"]
    assert useless["relative_width"] <= 1


def test_a_long_grid_is_searched_in_steps(monkeypatch):
    found = est.mixed_quantile(Y, Z, 0.3).frame
    monkeypatch.setattr("simkit.estimators.mixed.quantiles.AT_ONCE", 1)  # 100 of 600 places
    other = est.mixed_quantile(Y, Z, 0.3).frame
    # F does not rise everywhere, so that a neighbour may be found
    assert other.loc["mixed", "low"] == pytest.approx(found.loc["mixed", "low"], abs=0.05)
    assert other.loc["mixed", "high"] == pytest.approx(found.loc["mixed", "high"], abs=0.05)
    assert other.loc["people"].equals(found.loc["people"])


def test_a_belief_gives_its_distribution():
    rng = np.random.default_rng(4)
    belief = rng.dirichlet([0.5, 0.5, 0.5, 0.5], 4_000)
    y = (rng.random((4_000, 1)) > belief.cumsum(axis=1)).sum(axis=1) + 1.0
    y[800:] = np.nan
    whole = est.mixed_quantile(y, belief, 0.4, values=[1, 2, 3, 4])["mixed"]
    mean = est.mixed_quantile(y, belief @ [1, 2, 3, 4], 0.4)["mixed"]
    assert whole["estimate"] in (1, 2, 3, 4)
    assert whole["n_effective"] > 1.2 * mean["n_effective"]
    ends = est.mixed_quantile(y, belief, 0.999, values=[1, 2, 3, 4])["mixed"]
    assert ends["high"] == 4


def test_what_is_refused():
    with pytest.raises(ValueError, match="q is 1"):
        est.mixed_quantile(Y, Z, 1)
    with pytest.raises(ValueError, match="2 predictions"):
        est.mixed_quantile(Y, np.column_stack([Z, Z**2]))
    holes = np.where(np.arange(500) % 7 == 0, np.nan, Z)
    with pytest.raises(ValueError, match="15 of 100 people asked"):
        est.mixed_quantile(Y, holes)
    with pytest.raises(ValueError, match="missing='constant'"):
        est.mixed_quantile(Y, holes, missing="indicator")
    assert "15 of 100" in est.mixed_quantile(Y, holes, missing="constant").notes[0]
