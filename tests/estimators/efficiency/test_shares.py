"""Repeated studies of shares: coverage near the level, and what must change it."""

import numpy as np
import pandas as pd
import pytest

from simkit import estimators as est


def pool():
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.dirichlet([4, 3, 2], size=700), columns=["a", "b", "c"])


def test_coverage_of_both_means():
    codes = np.repeat([0, 1], [400, 300])
    result = est.share_coverage(pool(), runs=30, condition=codes, repetitions=400)
    frame = result.to_frame()
    assert list(frame.index) == ["choice", "belief"]
    assert frame["estimate"].between(0.93, 0.97).all()
    assert frame.loc["choice", "width"] > 2 * frame.loc["belief", "width"]
    assert frame["repetitions"].tolist() == [400 * 2 * 3] * 2
    # Wilson's interval for 800 studies: about 2 x 1.96 sqrt(0.95 x 0.05 / 800) = 0.030 wide
    assert (frame["high"] - frame["low"]).between(0.025, 0.035).all()


def test_a_rare_settling_thought_is_missed():
    # One run in 40 is sure of the other option: 20 runs miss it with 0.975^20 = 60 %.
    sure = pd.DataFrame({"a": [0.99] * 39 + [0.01], "b": [0.01] * 39 + [0.99]})
    frame = est.share_coverage(sure, runs=20, repetitions=400).to_frame()
    assert frame.loc["belief", "estimate"] < 0.7
    assert frame.loc["choice", "estimate"] > 0.9


def test_arguments_change_the_result():
    base = est.share_coverage(pool(), runs=10, repetitions=50).to_frame()
    same = est.share_coverage(pool(), runs=10, repetitions=50).to_frame()
    pd.testing.assert_frame_equal(base, same)
    for change in ({"runs": 20}, {"repetitions": 60}, {"alpha": 0.2}, {"rng": 1}):
        other = est.share_coverage(pool(), **{"runs": 10, "repetitions": 50, **change}).to_frame()
        assert not base.equals(other), change


def test_runs_without_belief_are_counted():
    some = pool()
    some.iloc[:5] = np.nan
    result = est.share_coverage(some, runs=10, repetitions=50)
    assert result.n == 695
    assert "5 of 700 runs have no belief" in result.notes


@pytest.mark.parametrize("name", ["runs", "repetitions"])
def test_too_few(name):
    with pytest.raises(ValueError, match=f"{name} is 1; it must be a whole number from 2"):
        est.share_coverage(pool(), **{"runs": 10, "repetitions": 50, name: 1})


def test_one_option_is_chosen_as_often_as_believed():
    # 500 beliefs around 0.4: choice was drawn as if the option were the only one, always chosen
    pool = np.random.default_rng(0).beta(20, 30, 500)
    found = est.share_coverage(pool, runs=30, repetitions=300, rng=1).frame
    assert found["estimate"].between(0.9, 0.99).all()
    assert (found["bias"].abs() < 4 * found["bias_error"]).all()
