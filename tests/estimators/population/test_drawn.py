"""Drawn answers: exact where nothing is random, and spread as theory says where it is."""

import numpy as np
import pytest

from simkit import estimators as est


def test_certain_beliefs_by_hand():
    belief = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1]])
    found = est.drawn_fit([0, 3, 1, 0], belief, [0, 1, 3], metrics=["tv", "rmse", "mae"])
    frame = found.to_frame()
    # drawn 0 3 1 3 against 0 3 1 0: off 0 0 0 3; shares 1 1 2 against 2 1 1, of 4
    assert frame.loc["rmse", ["estimate", "low", "high", "exact"]].tolist() == [1.5] * 4
    assert frame.loc["mae", "estimate"] == 0.75
    assert frame.loc["tv", "estimate"] == 0.25
    assert (frame["std_error"] == 0).all()


def some(n=300, seed=0):
    rng = np.random.default_rng(seed)
    belief = rng.dirichlet([1, 2, 3, 1, 1], size=n)
    return (belief.cumsum(1) < rng.random((n, 1))).sum(1), belief


def test_the_mean_square_is_the_exact_one():
    y, belief = some()
    row = est.drawn_fit(y, belief, range(5), metrics=["rmse"], repetitions=2_000)["rmse"]
    # E[rmse^2] = rmse^2 + var, and the mean of 2000 has an error of sd / sqrt(2000)
    root = np.sqrt(row["estimate"] ** 2 + row["std_error"] ** 2)
    assert abs(root - row["exact"]) < 4 * row["std_error"] / np.sqrt(2_000)
    own = est.individual_fit(y, belief, range(5))["rmse"]
    assert row["exact"] == pytest.approx(own["estimate"])


def test_distances_of_samples_lie_above():
    y, belief = some()
    row = est.drawn_fit(y, belief, range(5), metrics=["kl"], smoothing=0.001)["kl"]
    assert row["exact"] == pytest.approx(
        est.marginal_fit(y, belief, range(5), metrics=["kl"], smoothing=0.001)["kl"]["estimate"]
    )
    # about (K - 1) / 2n = 4 / 600 more
    assert 0.5 < (row["estimate"] - row["exact"]) / (4 / 600) < 1.5


def test_an_answer_of_its_own_falls_within():
    y, belief = some(120)
    hits = 0
    for seed in range(200):
        u = np.random.default_rng(1_000 + seed).random((120, 1))
        drawn = (belief.cumsum(1) < u).sum(1)
        own = np.sqrt(((drawn - y) ** 2).mean())
        how = {"metrics": ["rmse"], "repetitions": 150, "rng": seed}
        row = est.drawn_fit(y, belief, range(5), **how)["rmse"]
        hits += row["low"] <= own <= row["high"]
    assert 0.90 <= hits / 200 <= 0.99


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.5},
        {"metrics": ["mae"]},
        {"smoothing": 0.1},
        {"repetitions": 60},
        {"alpha": 0.3},
        {"rng": 3},
    ],
)
def test_every_keyword_counts(change):
    y, belief = some(60)
    how = {"smoothing": 0.01, "repetitions": 50}
    one = est.drawn_fit(y, belief, range(5), **how).to_frame()
    assert one.equals(est.drawn_fit(y, belief, range(5), **how).to_frame())
    assert not one.equals(est.drawn_fit(y, belief, range(5), **{**how, **change}).to_frame())


@pytest.mark.parametrize(
    ("how", "said"),
    [({"metrics": ["log_loss"]}, "metrics are"), ({"repetitions": 1}, "repetitions is 1"),
     ({"metrics": ["kl"]}, "smoothing")],
)  # fmt: skip
def test_bad_input_is_named(how, said):
    with pytest.raises(ValueError, match=said):
        est.drawn_fit([0, 1], np.eye(2), [0, 1], **how)
    skipped = est.drawn_fit([0, None], np.eye(2), [0, 1], metrics=["rmse"])
    assert skipped.n == 1 and "1 of 2 rows skipped" in skipped.notes[0]
