"""Distances of distributions: by hand, against scipy and popfidelity, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from simkit.estimators import (
    jensen_shannon,
    kl_divergence,
    normalised_emd,
    total_variation,
    wasserstein,
)

pytestmark = pytest.mark.filterwarnings("error")
P, Q = np.array([0.5, 0.5, 0.0]), np.array([0.2, 0.3, 0.5])
SCALE = [0.0, 1.0, 10.0]
ALL = {
    "kl": lambda p, q: kl_divergence(p, q, smoothing=0.01),
    "js": jensen_shannon,
    "tv": total_variation,
    "w1": lambda p, q: wasserstein(p, q, SCALE),
    "nemd": lambda p, q: normalised_emd(p, q, SCALE),
}


# --- known values ---------------------------------------------------------------------------


def test_kl_by_hand():
    # 0.5 ln(0.5 / 0.2) + 0.5 ln(0.5 / 0.3) + 0 = 0.458145 + 0.255413 = 0.713558 nats
    assert kl_divergence(P, Q, smoothing=0) == pytest.approx(0.713558, abs=1e-6)
    # the other way round Q has an answer that P lacks: inf, and with 0.01 added to each
    # (0.21 ln(0.21 / 0.51) + 0.31 ln(0.31 / 0.51) + 0.51 ln(0.51 / 0.01)) / 1.03
    # = (-0.186334 - 0.154330 + 2.005231) / 1.03 = 1.616085
    assert kl_divergence(Q, P, smoothing=0) == np.inf
    assert kl_divergence(Q, P, smoothing=0.01) == pytest.approx(1.616085, abs=1e-6)


def test_jensen_shannon_by_hand():
    # middle (0.35, 0.4, 0.25); KL(P) = 0.5 ln(0.5 / 0.35) + 0.5 ln(0.5 / 0.4) = 0.289909
    # KL(Q) = 0.2 ln(0.2 / 0.35) + 0.3 ln(0.3 / 0.4) + 0.5 ln 2 = 0.148346; mean 0.219127 nats
    assert jensen_shannon(P, Q) == pytest.approx(0.219127 / np.log(2), abs=1e-6)
    assert jensen_shannon([1, 0], [0, 1]) == pytest.approx(1)  # nothing in common: 1 bit


def test_total_variation_and_wasserstein_by_hand():
    assert total_variation(P, Q) == pytest.approx(0.5)  # (0.3 + 0.2 + 0.5) / 2
    # on 0, 1, 10: cumulative differences 0.3 over a gap of 1 and 0.5 over 9: 0.3 + 4.5
    assert wasserstein(P, Q, SCALE) == pytest.approx(4.8)
    assert normalised_emd(P, Q, SCALE) == pytest.approx(0.48)
    # the same answers listed in another order
    assert wasserstein(P[[2, 0, 1]], Q[[2, 0, 1]], [10, 0, 1]) == pytest.approx(4.8)
    # two answers at one place are one answer: only 0.5 has to move, by 10
    assert wasserstein(P, Q, [0, 0, 10]) == pytest.approx(5)


def test_axes_broadcast():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(3), (5, 1, 2)), rng.dirichlet(np.ones(3), (4, 2))
    for function in ALL.values():
        whole = function(p, q)
        assert whole.shape == (5, 4, 2)
        assert whole[3, 2, 1] == pytest.approx(float(function(p[3, 0, 1], q[2, 1])), abs=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_nan_rows_stay_nan(name):
    rows = np.array([[0.2, 0.3, 0.5], [np.nan, 0.5, 0.5], [0.5, 0.5, 0]])
    found = ALL[name](rows, Q)
    assert np.isnan(found).tolist() == [False, True, False]
    assert np.isnan(ALL[name](Q, rows)).tolist() == [False, True, False]
    assert found[0] == 0


# --- oracles --------------------------------------------------------------------------------


def shares(k, n):
    rng = np.random.default_rng(k)
    return rng.dirichlet(np.full(k, 0.7), n), rng.dirichlet(np.full(k, 0.7), n)


@pytest.mark.parametrize("k", [2, 7])
def test_scipy_agrees(k):
    p, q = shares(k, 5)
    v = np.random.default_rng(9).normal(size=k)
    assert kl_divergence(p, q, smoothing=0) == pytest.approx(stats.entropy(p, q, axis=1))
    e = 0.03
    smooth = stats.entropy(p + e, q + e, axis=1)  # normalises by itself
    assert kl_divergence(p, q, smoothing=e) == pytest.approx(smooth)
    root = distance.jensenshannon(p, q, base=2, axis=1)
    assert jensen_shannon(p, q) == pytest.approx(root**2)
    moved = [stats.wasserstein_distance(v, v, a, b) for a, b in zip(p, q, strict=True)]
    assert wasserstein(p, q, v) == pytest.approx(moved)


def test_popfidelity_agrees():
    peer = pytest.importorskip("popfidelity.metrics")
    p, q = shares(5, 6)
    p[0], q[1] = np.eye(5)[3], np.eye(5)[0]
    v = [1.0, 2.0, 3.0, 7.0, 30.0]
    found = {
        "total_variation": total_variation(p, q),
        "js_divergence": jensen_shannon(p, q),
        "js_distance": np.sqrt(jensen_shannon(p, q)),
        "kl": kl_divergence(p, q, smoothing=0.002) / np.log(2),
        "nemd": normalised_emd(p, q, range(5)),
        "wasserstein": wasserstein(p, q, v),
        "normalised_wasserstein": normalised_emd(p, q, v),
    }
    for name, ours in found.items():
        extra = {"epsilon": 0.002, "base": 2.0} if name == "kl" else {}
        extra |= {"base": 2.0} if name.startswith("js") else {}
        extra |= {"positions": v} if name.endswith("wasserstein") else {}
        assert ours == pytest.approx(peer.distance(p, q, name, **extra), abs=1e-9), name


# --- properties -----------------------------------------------------------------------------

weights = st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any)


@settings(max_examples=40, deadline=None)
@given(weights, weights)
def test_zero_only_for_equal_and_within_range(a, b):
    p, q = (np.array(x) / sum(x) for x in (a, b))
    same = np.allclose(p, q)
    for name, function in ALL.items():
        value = float(function(p, q))
        assert (value < 1e-12) == same
        assert value >= 0
        if name != "kl":
            assert value == pytest.approx(float(function(q, p)), abs=1e-12)
        if name in ("js", "tv", "nemd"):
            assert value <= 1 + 1e-12


# --- what is refused ------------------------------------------------------------------------


def test_bad_rows_are_named():
    with pytest.raises(ValueError, match=r"q: row 1 holds \[0.5, 0.6\]; .* sum to 1, not 1.1"):
        total_variation([[0.5, 0.5]], [[0.5, 0.5], [0.5, 0.6]])
    with pytest.raises(ValueError, match=r"p: row \(0, 1\) holds \[-0.5, 1.5\]"):
        jensen_shannon([[[0.5, 0.5], [-0.5, 1.5]]], [0.5, 0.5])
    with pytest.raises(ValueError, match="p has 2 categories, q 3"):
        kl_divergence([0.5, 0.5], Q, smoothing=0)
    with pytest.raises(ValueError, match=r"'0\.5'; it must be a finite number"):
        total_variation(["0.5", "0.5"], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"p is 1.0; it must be a list"):
        total_variation(1.0, [1.0])


def test_bad_arguments_are_named():
    for smoothing in (-0.1, np.inf, np.nan):
        with pytest.raises(ValueError, match=f"smoothing is {smoothing}"):
            kl_divergence(P, Q, smoothing=smoothing)
    with pytest.raises(ValueError, match="values has 2 rows; it must have 3"):
        wasserstein(P, Q, [0, 1])
    with pytest.raises(ValueError, match="values: row 1 holds nan"):
        wasserstein(P, Q, [0, np.nan, 1])
    with pytest.raises(ValueError, match="values are all 2"):
        normalised_emd(P, Q, [2, 2, 2])
    assert wasserstein(P, Q, [2, 2, 2]) == 0
