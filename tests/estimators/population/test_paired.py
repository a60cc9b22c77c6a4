"""The paired difference of two simulations: by hand, honest, and better than two intervals."""

import numpy as np
import pandas as pd
import pytest

from simkit import estimators as est

SCALE = [0, 1, 3]
HUMAN = [0, 3, 1, 3]
FIRST = np.array([[1, 0, 0], [0.5, 0, 0.5], [0, 1, 0], [0, 0.5, 0.5]])
SECOND = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0.5, 0.5]])


def test_by_hand():
    found = est.fit_difference(HUMAN, FIRST, SECOND, SCALE, metrics=["tv", "rmse", "mae"])
    frame = found.to_frame()
    # squared errors 0 4.5 0 2 and 0 0 0 2; absolute 0 1.5 0 1 and 0 0 0 1
    assert frame.loc["rmse", ["first", "second"]].tolist() == pytest.approx(
        [6.5**0.5 / 2, 0.5**0.5]
    )
    assert frame.loc["mae", ["estimate", "plain"]].tolist() == pytest.approx([0.25 - 2.5 / 4] * 2)
    # humans 1 1 2, first 1.5 1.5 1, second 1 1.5 1.5, of 4
    assert frame.loc["tv", "first"] == pytest.approx(0.25)
    assert frame.loc["tv", "estimate"] == pytest.approx(0.125 - 0.25)
    assert found.n == 4


def people(n, rng):
    """Answers of n people, the true belief and one that is too flat."""
    true = rng.dirichlet([2, 1, 1, 3, 0.7], size=n)
    y = (true.cumsum(1) < rng.random((n, 1))).sum(1)
    return y, true, 0.6 * true + 0.08


def test_each_distance_is_that_of_the_fits():
    y, a, b = people(150, np.random.default_rng(0))
    scale = list(range(5))
    frame = est.fit_difference(
        y, b, a, scale, metrics=["kl", "wasserstein", "log_loss"], smoothing=0.01
    ).to_frame()
    crowd = est.marginal_fit(y, a, scale, metrics=["kl", "wasserstein"], smoothing=0.01)
    assert frame.loc["kl", "second"] == pytest.approx(crowd["kl"]["estimate"])
    assert frame.loc["wasserstein", "second"] == pytest.approx(crowd["wasserstein"]["estimate"])
    own = est.individual_fit(y, b, scale)["log_loss"]
    assert frame.loc["log_loss", "first"] == pytest.approx(own["estimate"])
    assert (frame["low"] <= frame["estimate"]).all() and (frame["estimate"] <= frame["high"]).all()
    assert frame["plain"].tolist() == pytest.approx((frame["second"] - frame["first"]).tolist())


def test_the_pair_tells_what_two_intervals_cannot():
    y, a, b = people(400, np.random.default_rng(1))
    scale = list(range(5))
    gap = est.fit_difference(y, b, a, scale, metrics=["log_loss"])["log_loss"]
    alone = [est.individual_fit(y, x, scale)["log_loss"] for x in (b, a)]
    assert gap["high"] < 0 and gap["p"] < 0.05
    assert alone[1]["high"] > alone[0]["low"]  # the two intervals overlap
    # what two independent samples of these sizes would allow: the root of the sum of squares
    assert gap["std_error"] < 0.6 * np.hypot(*[a["std_error"] for a in alone])


def test_intervals_cover():
    rng, scale = np.random.default_rng(2), list(range(5))
    y, a, b = people(60_000, rng)
    truth = est.fit_difference(y, b, a, scale, metrics=["rmse"])["rmse"]["estimate"]
    hits = 0
    for seed in range(150):
        y, a, b = people(80, np.random.default_rng(100 + seed))
        row = est.fit_difference(y, b, a, scale, metrics=["rmse"])["rmse"]
        hits += row["low"] <= truth <= row["high"]
    assert 0.88 <= hits / 150 <= 0.99


BASE = {"metrics": ["kl", "rmse"], "smoothing": 0.01}


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": ["kl", "mae"]},
        {"smoothing": 0.1},
        {"statistic": "mean"},
        {"weights": np.arange(1.0, 91)},
        {"cluster": np.arange(90) // 3},
        {"alpha": 0.3},
    ],
)
def test_every_keyword_counts(change):
    y, a, b = people(90, np.random.default_rng(3))
    one = est.fit_difference(y, b, a, range(5), **BASE).to_frame()
    other = est.fit_difference(y, b, a, range(5), **{**BASE, **change}).to_frame()
    assert not one.equals(other)
    pd.testing.assert_frame_equal(one, est.fit_difference(y, b, a, range(5), **BASE).to_frame())


def test_missing_rows_and_what_is_undefined():
    y, a, b = people(30, np.random.default_rng(4))
    answers = [None, *y[1:].tolist()]
    found = est.fit_difference(answers, b, a, range(5), metrics=["rmse"])
    assert found.n == 29 and "1 of 30 rows skipped" in found.notes[0]
    single = est.fit_difference(y, b, a, range(5), metrics=["rmse"], cluster=[1] * 30)["rmse"]
    assert np.isfinite(single["estimate"]) and np.isnan(single["low"])
    sure = np.eye(5)[(y + 1) % 5]
    endless = est.fit_difference(y, a, sure, range(5), metrics=["log_loss", "rmse"])
    assert np.isinf(endless["log_loss"]["estimate"]) and np.isnan(endless["log_loss"]["low"])
    assert np.isfinite(endless["rmse"]["low"])


def test_undefined_is_not_one():
    # one cluster, and a metric that is infinite: p was min(1, nan) = 1
    y, a, b = people(30, np.random.default_rng(5))
    single = est.fit_difference(y, b, a, range(5), metrics=["rmse"], cluster=[1] * 30)["rmse"]
    assert np.isnan(single["p"])
    sure = np.eye(5)[(y + 1) % 5]
    endless = est.fit_difference(y, a, sure, range(5), metrics=["log_loss"])["log_loss"]
    assert np.isnan(endless["p"])
    # all answer 0, and each belief is the same for all: ln 0.25 - ln 0.5 each time, no spread
    flat = est.fit_difference(
        [0] * 6, [[0.25, 0.75]] * 6, [[0.5, 0.5]] * 6, [0, 1], metrics=["log_loss"]
    )["log_loss"]
    assert flat["estimate"] == pytest.approx(-np.log(2))
    assert flat[["std_error", "low", "high", "p"]].isna().all()
    # the same simulation twice: 0 of whatever sample
    same = est.fit_difference(y, a, a, range(5), metrics=["rmse", "tv"]).frame
    assert (same[["estimate", "std_error"]] == 0).all(axis=None) and (same["p"] == 1).all()


def test_huge_weights_are_refused():
    # 1e308 gave 0 [0, 0]
    with pytest.raises(ValueError, match=r"weights: row 0 holds 1e\+308"):
        est.fit_difference(HUMAN, FIRST, SECOND, SCALE, metrics=["rmse"], weights=[1e308] * 4)
    plain = est.fit_difference(HUMAN, FIRST, SECOND, SCALE, metrics=["rmse"]).frame
    small = [1e-300] * 4
    weighed = est.fit_difference(HUMAN, FIRST, SECOND, SCALE, metrics=["rmse"], weights=small).frame
    pd.testing.assert_frame_equal(plain, weighed)


@pytest.mark.parametrize(("n", "biased", "left"), [(30, 0.060, 0.014), (100, 0.015, 0.002)])
def test_the_bias_of_answers_against_an_exact_belief(n, biased, left):
    """Answers drawn from the belief that they are compared with: in the population both have KL 0.

    A sample of n answers lies (K - 1) / 2n = 4 / 60 = 0.067 nats from its own distribution, here
    less for the smoothing: 0.060 at n = 30. The jackknife takes it to about a quarter, and at n =
    100, where no answer is missing, to nothing.
    """
    plain, corrected = [], []
    for seed in range(300):
        rng = np.random.default_rng([n, seed])
        true = rng.dirichlet(np.full(5, 1.2), n)
        y, drawn = ((true.cumsum(1) < rng.random((n, 1))).sum(1).clip(max=4) for _ in range(2))
        how = {"metrics": ["kl"], "smoothing": 0.01}
        row = est.fit_difference(y, true, np.eye(5)[drawn], range(5), **how)["kl"]
        plain.append(row["plain"])
        corrected.append(row["estimate"])
    assert np.mean(plain) == pytest.approx(biased, abs=4 * np.std(plain) / 300**0.5)
    assert np.mean(plain) > 3 * np.std(plain) / 300**0.5  # the bias is there
    assert abs(np.mean(corrected)) < left + 3 * np.std(corrected) / 300**0.5
    assert abs(np.mean(corrected)) < 0.5 * np.mean(plain)


def test_an_answer_that_was_never_given_is_told():
    y, a, b = people(60, np.random.default_rng(6))
    b = np.column_stack([b[:, :4] / b[:, :4].sum(1, keepdims=True), np.zeros(60)])
    found = est.fit_difference(y, a, b, range(5), metrics=["kl"], smoothing=0.01)
    assert any(note.startswith("1 of 5 answers were never given") for note in found.notes)
    whole = est.fit_difference(y, a, 0.5 * a + 0.1, range(5), metrics=["kl"], smoothing=0.01)
    assert not any("never given" in note for note in whole.notes)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"metrics": ["rms"]}, "metrics are"),
        ({"metrics": []}, "metrics is"),
        ({"metrics": ["kl"]}, "smoothing"),
        ({"metrics": ["rmse"], "statistic": "max"}, "statistic is 'max'"),  # was the median
    ],
)
def test_bad_input_is_named(how, said):
    with pytest.raises(ValueError, match=said):
        est.fit_difference(HUMAN, FIRST, SECOND, SCALE, **how)
