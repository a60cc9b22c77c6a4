"""Margins of many items: known values, the floor, keywords; `marginal_fit` as oracle."""

import numpy as np
import pandas as pd
import pytest

from simkit.estimators.population.margins import marginal_fit
from simkit.estimators.structure.margins import compare_marginals

SCALES = {"a": (1, 5), "b": (0, 2)}


def sample(seed, n, shift=0.0):
    rng = np.random.default_rng(seed)
    a = np.clip(np.round(3 + shift + rng.standard_normal(n)), 1, 5)
    return pd.DataFrame({"a": a, "b": rng.binomial(2, 0.4, n).astype(float)})


def test_known_values():
    h = pd.DataFrame({"a": [1.0, 1, 5, 5], "b": [0.0, 1, 2, np.nan]})
    s = pd.DataFrame({"b": [0.0, 1, 2], "a": [1.0, 1, 1]})
    found = compare_marginals(h, s, scales=SCALES, metrics=["tv", "nemd"], n_boot=5, per_item=True)
    # a: half of the answers move from 5 to 1, the whole scale; b: nothing.
    assert found["a, tv"]["estimate"] == found["a, nemd"]["estimate"] == 0.5
    assert found["b, tv"]["estimate"] == 0
    assert found["tv"]["estimate"] == found["nemd"]["estimate"] == 0.25
    wide = {**SCALES, "a": (1, 9)}
    found = compare_marginals(h, s, scales=wide, metrics=["nemd", "wasserstein"], n_boot=5)
    assert found["nemd"]["estimate"] == 0.125  # 4 of 8 points for half, one item of two
    assert found["wasserstein"]["estimate"] == 1  # points: half move by 4, one item of two


def test_one_item_agrees_with_marginal_fit():
    h, s = sample(1, 300), sample(2, 200, 0.4)
    ours = compare_marginals(h, s, metrics=["tv", "js", "variance_ratio"], per_item=True)
    theirs = marginal_fit(
        h["a"], s["a"], [1, 2, 3, 4, 5], metrics=["tv", "js", "variance_ratio"], paired=False
    )
    for name in ("tv", "js", "variance_ratio"):
        mine, other = ours[f"a, {name}"], theirs[name]
        assert mine["estimate"] == pytest.approx(other["estimate"])
        assert mine["low"] == pytest.approx(other["low"], abs=0.03)
        assert mine["high"] == pytest.approx(other["high"], abs=0.05 + 0.1 * (name[0] == "v"))
    assert ours["a, tv"]["floor"] == pytest.approx(theirs["tv"]["floor"], rel=0.15)


def test_second_sample_at_the_floor():
    row = compare_marginals(sample(1, 800), sample(5, 800))["tv"]
    assert row["low"] == 0 and 0.4 < row["estimate"] / row["floor"] < 1.8
    assert compare_marginals(sample(1, 800), sample(5, 800, 0.5))["tv"]["low"] > row["floor"]


@pytest.mark.parametrize(
    "more",
    [
        {"scales": {"a": (0, 9)}},
        {"metrics": ["kl"], "smoothing": 1e-3},
        {"per_item": True},
        {"weights": np.linspace(0, 1, 90)},
        {"simulated_weights": np.linspace(0, 1, 90)},
        {"paired": True},
        {"n_boot": 31},
        {"alpha": 0.3},
        {"rng": 2},
    ],
    ids=lambda m: next(iter(m)),
)
def test_every_keyword_changes_the_output(more):
    h, s = sample(1, 90), sample(2, 90, 0.4)
    plain = compare_marginals(h, s, n_boot=30)
    assert not plain.frame.equals(compare_marginals(h, s, **{"n_boot": 30, **more}).frame)


def test_bad_input():
    h, s = sample(1, 20), sample(2, 20)
    with pytest.raises(ValueError, match="a: an answer is 5; it must be from 1 to 4"):
        compare_marginals(h, s.assign(a=5.0), scales={"a": (1, 4)})
    with pytest.raises(ValueError, match="item 'b' is on one side only"):
        compare_marginals(h, s.rename(columns={"b": "c"}))
    with pytest.raises(ValueError, match="paired: 20 humans, 5 simulated"):
        compare_marginals(h, s.head(5), paired=True)
    found = compare_marginals(h.assign(b=np.nan), s, n_boot=5)
    assert "1 of 2 items left out" in found.notes[0]


@pytest.mark.parametrize("shift", [0.0, 0.4])
@pytest.mark.parametrize("paired", [False, True])
def test_both_the_raw_and_the_corrected_distance_lie_in_the_interval(shift, paired):
    # low = corrected - half (or estimate - half where the bias is below 0), high = estimate + half
    # (or corrected + half): whichever is the larger, both lie between the ends.
    for seed in range(10):
        sides = sample(2 * seed, 60), sample(2 * seed + 1, 60, shift)
        frame = compare_marginals(*sides, n_boot=2, paired=paired, per_item=True).frame
        there = frame.dropna(subset=["low"])
        for name in ("estimate", "corrected"):
            held = (
                there[name] if name == "estimate" else there[name][~there.index.str.contains("v")]
            )
            assert len(held) and (there["low"][held.index] <= held + 1e-12).all()
            assert (held <= there["high"][held.index] + 1e-12).all()
