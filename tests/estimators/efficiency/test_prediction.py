"""Explaining and predicting true shares from few runs: closed forms, gains, coverage."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from simkit.estimators import share_prediction
from simkit.types import generator
from simkit.worlds.market import brands
from tests.estimators.runs import binomial_bounds, choices, draw, market

pytestmark = pytest.mark.filterwarnings("error")


def conditions(count, n, rng, precision=30.0):
    """Conditions whose shares vary, T ~ softmax(normal); beliefs Dirichlet(precision T)."""
    true = softmax(rng.normal(0, 0.5, (count, 3)), axis=1)
    belief = np.concatenate([rng.dirichlet(precision * t, n) for t in true])
    frame = pd.DataFrame(belief, columns=list("abc"))
    code = np.repeat(np.arange(count), n)
    return choices(frame, rng), frame, true[code], code


def test_r2_by_hand():
    # one option, pools used whole (n = N = 2): means x against T, R2 = squared correlation
    b = [0.1, 0.3, 0.4, 0.4, 0.8, 1.0, 0.5, 0.5]
    true, code = np.repeat([0.1, 0.5, 0.6, 0.4], 2), np.repeat(range(4), 2)
    y = [0, 1, 1, 1, 0, 1, 0, 0]
    result = share_prediction(y, b, true, condition=code, sizes=[2], folds=2, repetitions=3)
    expected = np.corrcoef([0.2, 0.4, 0.9, 0.5], [0.1, 0.5, 0.6, 0.4])[0, 1] ** 2
    assert result["r2_belief, n=2"]["estimate"] == pytest.approx(expected)
    chosen = np.corrcoef([0.5, 1, 0.5, 0], [0.1, 0.5, 0.6, 0.4])[0, 1] ** 2
    assert result["r2_choice, n=2"]["estimate"] == pytest.approx(chosen)
    assert result["r2_gain, n=2"]["estimate"] == pytest.approx(expected - chosen)
    # its jackknife: squared correlations of three conditions each
    x, t = np.array([0.2, 0.4, 0.9, 0.5]), np.array([0.1, 0.5, 0.6, 0.4])
    rest = [np.corrcoef(np.delete(x, i), np.delete(t, i))[0, 1] ** 2 for i in range(4)]
    error = np.sqrt(3 / 4 * np.sum((np.array(rest) - expected) ** 2))
    assert result["r2_belief, n=2"]["std_error"] == pytest.approx(error)


def test_r2_of_noisy_shares():
    # classical attenuation: R2 = Var(T) / (Var(T) + E[V] / n), V of one run given T
    rng = np.random.default_rng(0)
    y, b, true, code = conditions(400, 40, rng)
    first = true[::40]
    result = share_prediction(y, b, true, condition=code, sizes=[1, 5], repetitions=10)
    inside = (first * (1 - first)).mean()
    for n in (1, 5):
        for name, v in (("choice", inside), ("belief", inside / 31)):
            expected = first.var(axis=0).mean() / (first.var(axis=0).mean() + v / n)
            found = result[f"r2_{name}, n={n}"]["estimate"]
            assert found == pytest.approx(expected, abs=0.03), (n, name)


def test_log_loss_lies_between_the_entropy_and_the_mean_share():
    rng = np.random.default_rng(1)
    y, b, true, code = conditions(60, 30, rng)
    first = true[::30]
    entropy = -(first * np.log(first)).sum(axis=1).mean()
    ignorant = -(first * np.log(first.mean(axis=0))).sum(axis=1).mean()
    result = share_prediction(y, b, true, condition=code, sizes=[1, 15])
    losses = [result[f"logloss_{k}, n={n}"]["estimate"] for k, n in
              (("belief", 15), ("belief", 1), ("choice", 15), ("choice", 1))]  # fmt: skip
    assert entropy < losses[0] < entropy + 0.005
    assert losses == sorted(losses)
    assert losses[-1] < ignorant + 0.02  # noise is calibrated away: at worst the mean share


def test_log_loss_is_out_of_sample():
    # shares that have nothing to do with the runs: predictions are worse than the mean share
    rng = np.random.default_rng(2)
    y, b, true, code = conditions(12, 20, rng)
    shuffled = true.reshape(12, 20, 3)[rng.permutation(12)].reshape(-1, 3)
    result = share_prediction(y, b, shuffled, condition=code, sizes=[10], folds=4)
    first = shuffled[::20]
    ignorant = -(first * np.log(first.mean(axis=0))).sum(axis=1).mean()
    assert result["logloss_belief, n=10"]["estimate"] > ignorant


def test_belief_gains_on_the_brand_market_and_not_where_thoughts_settle_it():
    for style, gains in ((brands.STYLES[0], True), (brands.STYLES[1], False)):
        world = market(style, every=2)
        y, b, code = draw(world, 300, np.random.default_rng(3))
        result = share_prediction(y, b, world.share[code], condition=code, sizes=[1, 10, 100])
        for n in (1, 10, 100):
            for name in ("r2_gain", "logloss_gain"):
                if gains:
                    assert result[f"{name}, n={n}"]["low"] > 0
        assert (result["r2_gain, n=10"]["estimate"] > 0.3) == gains


def test_coverage():
    # 30 conditions, n = 4; the target is the mean over all samples: the expected R2 and loss of a
    # study of this size (a larger one would have more conditions to learn the calibration from)
    rng, repetitions, rows = np.random.default_rng(4), 100, []
    for seed in range(repetitions):
        y, b, true, code = conditions(30, 9, rng)
        result = share_prediction(y, b, true, condition=code, sizes=[4], repetitions=4, rng=seed)
        rows.append(result.frame[["estimate", "low", "high"]].to_numpy())
    found = np.stack(rows)
    truth = found[..., 0].mean(axis=0)
    cover = ((found[..., 1] <= truth) & (truth <= found[..., 2])).mean(axis=0)
    assert (cover > binomial_bounds(0.93, repetitions)[0]).all(), dict(
        zip(result.frame.index, cover, strict=True)
    )


def test_keywords_and_errors():
    y, b, true, code = conditions(8, 12, np.random.default_rng(5))
    plain = share_prediction(y, b, true, condition=code)
    assert plain.frame["runs"].unique().tolist() == [1, 2, 5]
    at, gain = "r2_belief, n=2", "logloss_gain, n=2"
    again = share_prediction(y, b, true, condition=code, rng=generator(0))
    pd.testing.assert_frame_equal(plain.frame, again.frame)
    for changed in ({"rng": 1}, {"repetitions": 9}):
        other = share_prediction(y, b, true, condition=code, **changed)
        assert other[at]["estimate"] != plain[at]["estimate"]
    folded = share_prediction(y, b, true, condition=code, folds=8)
    assert folded[gain]["estimate"] != plain[gain]["estimate"]
    wide = share_prediction(y, b, true, condition=code, alpha=0.01)
    assert wide[at]["low"] < plain[at]["low"]
    with pytest.raises(ValueError, match="folds is 9; it must be a whole number from 2 to 8"):
        share_prediction(y, b, true, condition=code, folds=9)
    with pytest.raises(ValueError, match="there are 1 conditions"):
        share_prediction(y, b, true[:1].repeat(96, axis=0), condition=np.zeros(96))
    with pytest.raises(ValueError, match="truth is the same in all conditions"):
        share_prediction(y, b, true[:1].repeat(96, axis=0), condition=code)
    with pytest.raises(ValueError, match="truth: row 1 of condition '0'"):
        share_prediction(y, b, b, condition=code)
    with pytest.raises(ValueError, match=r"truth has shape \(96,\)"):
        share_prediction(y, b, true[:, 0], condition=code)
