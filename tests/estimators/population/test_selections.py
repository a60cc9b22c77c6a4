"""Answers to check-all-that-apply questions: by hand, apart and jointly, with what contradicts."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from simkit import estimators as est

HUMANS = pd.DataFrame(
    {"car": [1, 1, 1, 0, 0, 1, 0, 0], "bike": [1, 0, 1, 0, 1, 1, 0, 0],
     "boat": [0, 0, 1, 0, 0, 0, 0, 0]}, dtype=float, index=list("abcdefgh"),
)  # fmt: skip
NONE = (HUMANS.sum(axis=1) == 0).astype(float)


def beliefs(n: int = 40, seed: int = 0, k: int = 3) -> pd.DataFrame:
    p = np.random.default_rng(seed).beta(2, 2, (n, k))
    return pd.DataFrame(p, columns=list("abcdefgh")[:k])


def as_sets(p: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The same beliefs as a row per person and set, with weights and persons."""
    sets = np.array(list(itertools.product([0.0, 1.0], repeat=p.shape[1])))
    chance = np.where(sets[None] == 1, p.to_numpy()[:, None], 1 - p.to_numpy()[:, None])
    weight = chance.prod(axis=2).ravel()
    rows = pd.DataFrame(np.tile(sets, (len(p), 1)), columns=p.columns)
    return rows, weight, np.repeat(np.arange(len(p)), len(sets))


def test_people_by_hand() -> None:
    found = est.selection_shares(HUMANS, none="nothing").frame
    at = found["estimate"]
    assert at[["car", "bike", "boat", "nothing"]].tolist() == [0.5, 0.5, 0.125, 0.375]
    # a and f check 2, c checks 3, b and e one, d, g, h nothing: (2 + 1 + 3 + 1 + 2) / 8
    assert at["number checked"] == 9 / 8
    assert at[[f"exactly {i} checked" for i in range(4)]].tolist() == [3 / 8, 2 / 8, 2 / 8, 1 / 8]
    assert at["car & bike"] == 3 / 8
    # (3/8 - 1/4) / (1/2 × 1/2), and numpy's correlation of each pair
    assert at["phi, car & bike"] == pytest.approx(0.5)
    corr = HUMANS.corr()
    for a, b in itertools.combinations(HUMANS, 2):
        assert at[f"phi, {a} & {b}"] == pytest.approx(corr.loc[a, b])
    # The jackknife of a mean: s / sqrt(n); its t interval on 7 degrees of freedom.
    row = found.loc["number checked"]
    error = HUMANS.sum(axis=1).std() / np.sqrt(8)
    assert row["std_error"] == pytest.approx(error)
    assert row["high"] == pytest.approx(9 / 8 + stats.t.isf(0.025, 7) * error)
    assert found.loc["boat", "low"] > 0  # of a share, on the scale of log odds
    with_column = est.selection_shares(HUMANS.assign(nothing=NONE), none="nothing").frame
    pd.testing.assert_frame_equal(with_column, found)


def test_beliefs_are_the_mean_of_draws() -> None:
    p = beliefs()
    exact = est.selection_shares(p, none="nothing").frame["estimate"]
    drawn = pd.concat([p] * 4_000, ignore_index=True)
    drawn = (np.random.default_rng(1).random(drawn.shape) < drawn).astype(float)
    sampled = est.selection_shares(drawn, none="nothing").frame["estimate"]
    np.testing.assert_allclose(exact, sampled, atol=0.01)  # 160,000 draws: 4 se are 0.005
    assert exact[[f"exactly {i} checked" for i in range(4)]].sum() == pytest.approx(1)


def test_sets_with_their_probabilities_are_the_same_beliefs() -> None:
    p = beliefs()
    rows, weight, person = as_sets(p)
    apart = est.selection_shares(p, none="nothing").frame
    jointly = est.selection_shares(rows, none="nothing", weights=weight, cluster=person).frame
    same = ["kind", "estimate", "std_error", "low", "high", "clusters"]
    pd.testing.assert_frame_equal(apart[same], jointly[same])
    for p_side in (
        est.compare_selections(p, rows, simulated_weights=weight, simulated_cluster=person),
        est.compare_selections(
            p, rows, simulated_weights=weight, simulated_cluster=person, same_people=True
        ),
    ):
        assert p_side.frame["estimate"].abs().max() < 1e-12


def test_who_was_not_asked_is_not_unchecked() -> None:
    gaps = HUMANS.copy()
    gaps.loc["a"] = np.nan
    gaps.loc["b", "boat"] = np.nan
    found = est.selection_shares(gaps)
    assert found["car"]["estimate"] == pytest.approx(3 / 7)  # of b to h
    assert found["boat"]["estimate"] == pytest.approx(1 / 6)  # of c to h
    assert found["number checked"]["estimate"] == pytest.approx(6 / 6)  # c 3, e 1, f 2
    assert found["car & bike"]["estimate"] == pytest.approx(2 / 7)
    assert found["car & boat"]["n"] == 6
    assert [note.split(" rows")[0] for note in found.notes] == ["1 of 8", "1 of 7"]


def test_the_exclusive_option_excludes() -> None:
    mixed = HUMANS.assign(nothing=NONE)
    mixed.loc["c", "nothing"] = 1.0
    with pytest.raises(ValueError, match=r"answers\[nothing\]: row 'c' holds 1.0; it must be 0,"):
        est.selection_shares(mixed, none="nothing")
    empty = HUMANS.assign(nothing=NONE)
    empty.loc["d", "nothing"] = 0.0
    with pytest.raises(ValueError, match="row 'd' has nothing checked, nor 'nothing'"):
        est.compare_selections(empty, HUMANS, none="nothing")
    # A model that was asked about "nothing" like any other option: 0.5, where 0.5^3 is left.
    asked = pd.DataFrame(0.5, index=range(4), columns=[*HUMANS, "nothing"])
    with pytest.raises(ValueError, match=r"simulated\[nothing\].*it must be 0.125"):
        est.compare_selections(HUMANS, asked, none="nothing")
    partly = mixed.assign(boat=np.nan)  # checked with others: known without the boat
    with pytest.raises(ValueError, match=r"row 'c' holds 1\.0; it must be 0,"):
        est.selection_shares(partly, none="nothing")


def test_differences_by_hand() -> None:
    p = pd.DataFrame({"boat": [0.2] * 6, "bike": [0.5, 0.7] * 3, "car": [0.4, 0.8] * 3})
    found = est.compare_selections(HUMANS, p)
    row = found["car"]
    assert row[["human", "simulated", "n_human", "n_simulated"]].tolist() == [
        0.5, pytest.approx(0.6), 8, 6,
    ]  # fmt: skip
    # Newcombe: the roots of the sums of squares of the distances to the ends of both intervals.
    h, s = est.selection_shares(HUMANS)["car"], est.selection_shares(p)["car"]
    low = 0.1 - np.hypot(0.6 - s["low"], h["high"] - 0.5)
    high = 0.1 + np.hypot(s["high"] - 0.6, 0.5 - h["low"])
    assert found.interval("car") == pytest.approx((low, high))
    assert row["std_error"] == pytest.approx(np.hypot(h["std_error"], s["std_error"]))
    # number: Welch's t of two samples, as scipy has it
    ours, theirs = HUMANS.sum(axis=1), p.sum(axis=1)
    welch = stats.ttest_ind(theirs, ours, equal_var=False).confidence_interval()
    assert found.interval("number checked") == pytest.approx((welch.low, welch.high))
    assert "simulated: numbers between 0 and 1" in " ".join(found.notes)


def test_the_same_people_are_compared_in_pairs() -> None:
    p = beliefs(8).set_axis(list(HUMANS), axis=1).set_index(HUMANS.index)
    p = 0.4 * p + 0.5 * HUMANS  # knows them well
    back = p.iloc[::-1]
    pairs = est.compare_selections(HUMANS, back, same_people=True)
    difference = (p - HUMANS).sum(axis=1)
    paired = stats.ttest_1samp(difference, 0).confidence_interval()
    assert pairs.interval("number checked") == pytest.approx((paired.low, paired.high))
    assert pairs["car"]["std_error"] == pytest.approx((p - HUMANS)["car"].std() / np.sqrt(8))
    apart = est.compare_selections(HUMANS, back)
    assert np.ptp(pairs.interval("car")) < np.ptp(apart.interval("car"))
    rows, weight, person = as_sets(p)
    again = est.compare_selections(
        HUMANS, rows, simulated_weights=weight, simulated_cluster=HUMANS.index[person],
        same_people=True,
    )  # fmt: skip
    assert again.interval("number checked") == pytest.approx(pairs.interval("number checked"))
    gaps = HUMANS.copy()
    gaps.loc["a"] = np.nan
    seven = est.compare_selections(gaps, p, same_people=True)
    assert seven["car"]["simulated"] == pytest.approx(p["car"][1:].mean())
    assert "1 of 8 left out: no answer on the other side" in " ".join(seven.notes)
    with pytest.raises(ValueError, match="same_people: 'a' is among the humans only"):
        est.compare_selections(HUMANS, p[1:], same_people=True)


def test_weights_and_households() -> None:
    weights = np.array([2.0, 1, 1, 1, 1, 1, 1, 0])
    found = est.selection_shares(HUMANS, weights=weights, cluster=list("ppqqrrss"))
    assert found["car"]["estimate"] == pytest.approx(5 / 8)
    assert found["car"]["clusters"] == 4
    assert any("effective clusters" in note for note in found.notes)
    one = est.selection_shares(HUMANS, cluster=["p"] * 8)
    assert np.isnan(one["car"]["low"]) and one["car"]["estimate"] == 0.5


def test_options_that_do_not_vary() -> None:
    sure = pd.DataFrame({"car": [1.0] * 20, "bike": [0.0, 1.0] * 10, "tea": [0.3] * 20})
    found = est.selection_shares(sure)
    assert found.interval("car")[0] == pytest.approx(0.025 ** (1 / 20))  # Clopper & Pearson
    assert found.interval("tea") == pytest.approx((0.3, 0.3))  # the same belief in everybody
    assert np.isnan(found["phi, car & bike"]["estimate"])
    assert np.isnan(found["phi, car & bike"]["low"])


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"answers\[car\]: row 'b' holds 2"):
        est.selection_shares(HUMANS.assign(car=[0, 2, *[1] * 6]))
    with pytest.raises(ValueError, match="two or more"):
        est.selection_shares(HUMANS[["car", "bike"]], none="bike")
    with pytest.raises(ValueError, match="'boat' is on one side only"):
        est.compare_selections(HUMANS, HUMANS[["car", "bike"]])
    with pytest.raises(ValueError, match="no row to use"):
        est.selection_shares(HUMANS * np.nan)
