"""Spread of simulated over real people: by hand, coverage, every keyword, what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import stdtrit

from simkit.estimators.diversity.spread import spread_ratio

pytestmark = pytest.mark.filterwarnings("error")


def test_by_hand():
    # sd of 1 2 3 is 1, of 2 2 5 (mean 3: 1 1 4, over 2 = 3) sqrt(3); of 0 6 is sqrt(18)
    human = pd.DataFrame({"a": [1.0, 2, 3], "b": [0, 6, np.nan], "c": [4.0, 4, 4]})
    twin = pd.DataFrame({"a": [2.0, 2, 5], "b": [1.0, 2, 3], "c": [1.0, 2, 3]})
    found = spread_ratio(human, twin, by=["x", "x", "y"])
    frame = found.to_frame()
    assert frame["estimate"].tolist()[:2] == pytest.approx([np.sqrt(3), 1 / np.sqrt(18)])
    assert np.isnan(frame.loc["c", "estimate"]) and "1 of 3 outcomes undefined (NaN)" in found.notes
    assert frame["study"].tolist() == ["x", "x", "y"]
    overall = found.overall.to_frame()["estimate"]
    assert overall["mean"] == pytest.approx((3 / 18) ** 0.25)
    assert overall["share_below"] == pytest.approx(0.5)
    variance = spread_ratio(human, twin, kind="variance").to_frame()["estimate"]
    assert variance["a"] == pytest.approx(3)
    # entropy: 1 2 3 ln 3; 2 2 5: 2/3 ln(3/2) + 1/3 ln 3 = 0.636514
    entropy = spread_ratio(human, twin, kind="entropy").to_frame()["estimate"]
    assert entropy["a"] == pytest.approx(0.636514 / np.log(3), abs=1e-6)


def test_studies_count_once_in_their_mean():
    # ratios 1/2, 1/2, 1/2 in one study and 2 in the other: geometric 2^(-3 + 1)/4 = 2^-0.5; 2^0
    rng = np.random.default_rng(0)
    human = rng.normal(size=(50, 4))
    found = spread_ratio(human, human * [0.5, 0.5, 0.5, 2.0], by=[*"aaab"]).overall
    assert found["mean"]["estimate"] == pytest.approx(2**-0.5)
    assert found["mean_of_studies"]["estimate"] == pytest.approx(1)
    assert found["share_clearly_below"]["estimate"] == 0.75
    alone = spread_ratio(human, human * [0.5, 0.5, 0.5, 2.0]).overall
    assert alone["mean"]["std_error"] < found["mean"]["std_error"]


def test_intervals_over_people_cover():
    hits: list[bool] = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        human = rng.normal(size=(90, 40))
        twin = 0.7 * (0.6 * human + 0.8 * rng.normal(size=human.shape))
        frame = spread_ratio(human, twin).to_frame()
        hits += ((frame["low"] <= 0.7) & (frame["high"] >= 0.7)).tolist()
    assert 0.95 - 4 * np.sqrt(0.0475 / 200) <= np.mean(hits) <= 0.99


def test_jackknife_is_that_of_leaving_people_out():
    rng = np.random.default_rng(0)
    human, twin = rng.integers(1, 6, (12, 2)).astype(float), rng.integers(2, 5, (12, 2)) + 0.0
    human[3, 1] = np.nan
    for kind in ("sd", "variance", "entropy"):

        def spread(x, kind=kind):
            x = x[~np.isnan(x)]
            share = np.unique(x, return_counts=True)[1] / len(x)
            return {"sd": x.std(ddof=1), "variance": x.var(ddof=1),
                    "entropy": -(share * np.log(share)).sum()}[kind]  # fmt: skip

        for paired in (True, False):
            row = spread_ratio(human, twin, kind=kind, paired=paired).to_frame().iloc[1]
            logs = [
                np.log([spread(np.delete(x[:, 1], i)) / spread(x[:, 1]) for i in range(12)])
                for x in (twin, human)
            ]
            parts = [11 / 12 * (logs[0] ** 2).sum(), 10 / 11 * (logs[1] ** 2).sum()]
            variance = 11 / 12 * ((logs[0] - logs[1]) ** 2).sum() if paired else sum(parts)
            assert row["estimate"] == pytest.approx(spread(twin[:, 1]) / spread(human[:, 1]))
            assert row["std_error"] / row["estimate"] == pytest.approx(np.sqrt(variance))
            free = 11 if paired else variance**2 / (parts[0] ** 2 / 11 + parts[1] ** 2 / 10)
            half = stdtrit(free, 0.975) * np.sqrt(variance)
            assert np.log(row["high"] / row["estimate"]) == pytest.approx(half)


def test_a_spread_of_one_person_has_no_interval():
    # human: all 4 but one person's 5; without him the spread is 0, and its ratio undefined
    human, twin = np.full((9, 1), 4.0), np.arange(9.0)[:, None]
    human[2] = 5
    found = spread_ratio(human, twin)
    assert found.to_frame()["estimate"].notna().all() and found.to_frame()["low"].isna().all()
    assert any("1 of 1 outcomes without an interval" in note for note in found.notes)
    # all twins say the same: a ratio of 0, and no interval [0, 0]
    assert spread_ratio(twin, np.full((9, 1), 3.0)).to_frame()["low"].isna().all()


def test_every_keyword_changes_the_result():
    rng = np.random.default_rng(1)
    human, twin = rng.integers(1, 8, (30, 5)).astype(float), rng.integers(2, 6, (30, 5))

    def of(**kwargs):
        found = spread_ratio(human, twin, **kwargs)
        return pd.concat([found.to_frame().round(9), found.overall.to_frame().round(9)])

    first = of()
    for change in ({"kind": "variance"}, {"kind": "entropy"}, {"by": [*"aabbb"]},
                   {"paired": False}, {"alpha": 0.5}):  # fmt: skip
        assert not of(**change).equals(first), change
    assert of().equals(first)


def test_bad_input_is_refused():
    x = np.zeros((4, 3))
    with pytest.raises(ValueError, match="with the same outcomes"):
        spread_ratio(x, x[:, :2])
    with pytest.raises(ValueError, match="4 and 3 people cannot be paired"):
        spread_ratio(x, x[:3])
    with pytest.raises(ValueError, match="no kind 'range'"):
        spread_ratio(x, x, kind="range")
    with pytest.raises(ValueError, match=r"\[0, 1\] is inf; it must be a finite number"):
        spread_ratio(x, np.array([[0, np.inf, 0]] * 4))
    one, two = pd.DataFrame({"a": [1.0], "b": [2.0]}), pd.DataFrame({"b": [1.0], "c": [2.0]})
    with pytest.raises(ValueError, match="human has a column 'a' and simulated has none"):
        spread_ratio(one, two)


def test_outcomes_pair_by_the_names_of_their_columns():
    human = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 2)), columns=["a", "b"])
    twins = human * [0.5, 2.0]
    found = spread_ratio(human, twins[["b", "a"]]).to_frame()["estimate"]
    assert found.to_dict() == pytest.approx({"a": 0.5, "b": 2.0})


def test_four_outcomes_below_are_no_certainty():
    # four ratios below 1: Clopper-Pearson of 4 of 4, 0.025^(1/4) = 0.3976 to 1
    rng = np.random.default_rng(0)
    human = rng.normal(size=(60, 4))
    found = spread_ratio(human, 0.5 * human + 0.02 * rng.normal(size=(60, 4))).overall
    for name in ("share_below", "share_clearly_below"):
        assert found[name]["estimate"] == 1
        assert found.interval(name) == pytest.approx((0.3976, 1), abs=1e-4)
    none = spread_ratio(0.5 * human, human).overall
    assert none.interval("share_below") == pytest.approx((0, 0.6024), abs=1e-4)
