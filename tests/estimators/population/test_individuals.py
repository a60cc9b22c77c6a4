"""Fit of single answers, success rate and shift: by hand, recovery, coverage, what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from simkit.estimators import (
    belief_at_temperature,
    coverage,
    individual_fit,
    mean_belief,
    shift_fit,
    success_rate,
)
from simkit.estimators.population.errors import STATISTICS

pytestmark = pytest.mark.filterwarnings("error")
SCALE = [0.0, 10.0, 50.0]
# two respondents: beliefs and answers
BELIEF, ANSWER = [[0.5, 0.25, 0.25], [0.2, 0.6, 0.2]], [10, 0]


def population(n, rng):
    """Beliefs (n, 4) and answers that are drawn from them, on the scale 1, 2, 4, 9."""
    belief = rng.dirichlet(np.ones(4), n)
    drawn = (rng.random((n, 1)) > belief.cumsum(axis=1)).sum(axis=1)
    return np.array([1, 2, 4, 9])[np.minimum(drawn, 3)], belief


# --- belief at a temperature ----------------------------------------------------------------


def test_temperature_by_hand():
    b = np.array([0.5, 0.25, 0.25])
    assert belief_at_temperature(b, 1) == pytest.approx(b)
    # powers 1/T: T = 1/2 squares them: 4 : 1 : 1; T = 2 takes roots: sqrt 2 : 1 : 1
    assert belief_at_temperature(b, 0.5) == pytest.approx([4 / 6, 1 / 6, 1 / 6])
    assert belief_at_temperature(b, 2)[0] == pytest.approx(np.sqrt(2) / (np.sqrt(2) + 2))
    assert belief_at_temperature(b, 0).tolist() == [1, 0, 0]
    assert belief_at_temperature([0.4, 0.2, 0.4], 0).tolist() == [0.5, 0, 0.5]  # ties share
    assert belief_at_temperature([0.0, 0.4, 0.6], 1e6) == pytest.approx([0, 0.5, 0.5], abs=1e-5)
    assert belief_at_temperature(b, 1e-300).tolist() == [1, 0, 0]


def test_temperature_of_logprobs_and_axes():
    rng = np.random.default_rng(0)
    log = rng.normal(size=(3, 2, 5)) * 300  # beliefs of 1e-200 and less
    found = belief_at_temperature(log, 0.7, logprob=True)
    assert found.sum(axis=-1) == pytest.approx(np.ones((3, 2)))
    assert found == pytest.approx(belief_at_temperature(log - 900, 0.7, logprob=True))
    low = rng.normal(size=(4, 5))
    direct = np.exp(low) / np.exp(low).sum(axis=1, keepdims=True)
    assert belief_at_temperature(low, 0.7, logprob=True) == pytest.approx(
        belief_at_temperature(direct, 0.7)
    )
    lost = belief_at_temperature([[np.nan, 0.5], [0.0, 0.0], [0.5, 0.5]], 0.7)
    assert np.isnan(lost).all(axis=1).tolist() == [True, True, False]
    for t in (-1, np.inf, np.nan):
        with pytest.raises(ValueError, match=f"temperature is {t}"):
            belief_at_temperature([0.5, 0.5], t)
    with pytest.raises(ValueError, match=r"belief holds -0\.1; it must hold"):
        belief_at_temperature([0.7, -0.1, 0.4], 1)


# --- known values ---------------------------------------------------------------------------


def test_by_hand():
    found = {s: individual_fit(ANSWER, BELIEF, SCALE, statistic=s).frame for s in STATISTICS}
    estimate = {s: frame["estimate"].to_dict() for s, frame in found.items()}
    # draw: (0.5 * 100 + 0 + 0.25 * 1600, 0 + 0.6 * 100 + 0.2 * 2500) = 450, 560
    assert estimate["draw"]["rmse"] == pytest.approx(np.sqrt(505))
    assert estimate["draw"]["mae"] == pytest.approx((5 + 10 + 6 + 10) / 2)
    # means 15 and 16: off by 5 and 16
    assert estimate["mean"]["rmse"] == pytest.approx(np.sqrt((25 + 256) / 2))
    assert estimate["mean"]["mae"] == pytest.approx(10.5)
    # half of the first belief lies on 0, half above: midpoint of 0 and 10; the second's is 10
    assert estimate["median"]["rmse"] == pytest.approx(np.sqrt((25 + 100) / 2))
    assert estimate["median"]["mae"] == pytest.approx(7.5)
    # modes 0 and 10: off by 10 twice
    assert estimate["mode"]["rmse"] == pytest.approx(10)
    for values in estimate.values():  # of the belief, whatever the statistic
        assert values["log_loss"] == pytest.approx(-np.log(0.25 * 0.2) / 2)
    # uniform: draw (100 + 0 + 1600 + 0 + 100 + 2500) / 3 / 2; mean 20, off by 10 and 20
    assert found["draw"]["ceiling"]["rmse"] == pytest.approx(np.sqrt(4300 / 6))
    assert found["mean"]["ceiling"]["mae"] == pytest.approx(15)
    assert found["median"]["ceiling"]["mae"] == pytest.approx((0 + 10) / 2)
    assert found["draw"]["ceiling"]["log_loss"] == pytest.approx(np.log(3))
    assert found["draw"]["floor"].isna().all()


def test_ties_of_the_mode_are_shared():
    # half 0, half 50 against the answer 10: (100 + 1600) / 2 and (10 + 40) / 2
    found = individual_fit([10, 10], [[0.4, 0.2, 0.4]] * 2, SCALE, statistic="mode")
    assert found["rmse"]["estimate"] == pytest.approx(np.sqrt(850))
    assert found["mae"]["estimate"] == pytest.approx(25)


def test_mode_is_the_draw_at_temperature_zero():
    y, b = population(25, np.random.default_rng(1))
    mode = individual_fit(y, b, [1, 2, 4, 9], statistic="mode").frame
    cold = individual_fit(y, b, [1, 2, 4, 9], temperature=0).frame
    pd.testing.assert_frame_equal(mode.iloc[:2], cold.iloc[:2])
    assert cold["estimate"]["log_loss"] == np.inf


def test_draws_agree_with_the_exact_expectation():
    rng = np.random.default_rng(2)
    y, b = population(30, rng)
    v, t, m = np.array([1, 2, 4, 9]), 0.6, 20_000
    own = belief_at_temperature(b, t).cumsum(axis=1)
    drawn = v[(rng.random((m, 30, 1)) > own).sum(axis=2).clip(max=3)]
    squares = ((drawn - y) ** 2).mean(axis=1)
    found = individual_fit(y, b, v, temperature=t)["rmse"]["estimate"]
    assert found**2 == pytest.approx(squares.mean(), abs=4 * squares.std() / np.sqrt(m))


def test_the_order_of_the_scale_does_not_matter():
    y, b = population(20, np.random.default_rng(3))
    turn = [2, 0, 3, 1]
    for s in STATISTICS:
        one = individual_fit(y, b, [1, 2, 4, 9], statistic=s).frame
        two = individual_fit(y, b[:, turn], np.array([1, 2, 4, 9])[turn], statistic=s)
        pd.testing.assert_frame_equal(one, two.frame)


def test_truth_is_the_floor_of_its_own_score():
    rng = np.random.default_rng(4)
    y, b = population(3000, rng)
    off = 0.5 * b + 0.5 * rng.dirichlet(np.ones(4), 3000)
    for statistic, error in (("draw", "log_loss"), ("mean", "rmse"), ("median", "mae")):
        row = individual_fit(y, off, [1, 2, 4, 9], statistic=statistic, truth=b)[error]
        assert row["floor"] < row["low"]
        own = individual_fit(y, b, [1, 2, 4, 9], statistic=statistic, truth=b)[error]
        assert own["floor"] == own["estimate"]


# --- weights, clusters, groups, missing -----------------------------------------------------


def test_a_weight_is_a_repetition_and_zero_is_absence():
    rng = np.random.default_rng(5)
    y, b = population(17, rng)
    w = rng.integers(0, 4, 17)
    weighed = individual_fit(y, b, [1, 2, 4, 9], weights=w, truth=b)
    i = np.repeat(np.arange(17), w)
    again = individual_fit(y[i], b[i], [1, 2, 4, 9], cluster=i, truth=b[i])
    pd.testing.assert_frame_equal(weighed.frame, again.frame)


def test_missing_rows_are_counted_and_groups_kept_apart():
    belief = np.array([*BELIEF, [np.nan] * 3, [1.0, 0, 0], [0, 0, 1.0]])
    found = individual_fit([*ANSWER, 10, None, 10], belief, SCALE, by=list("aaaab"))
    assert found.n == 3
    assert "2 of 5 rows skipped: no outcome" in found.notes
    alone = individual_fit(ANSWER, BELIEF, SCALE).frame
    part = found.frame.loc[["a, rmse", "a, mae", "a, log_loss"]]
    assert part["estimate"].to_numpy() == pytest.approx(alone["estimate"].to_numpy())
    # the one respondent of b: off by 40, the answer held for impossible; no interval from one
    assert found["b, rmse"]["estimate"] == pytest.approx(40)
    assert np.isnan(found["b, rmse"]["low"])
    assert found["b, log_loss"]["estimate"] == np.inf
    assert "1 of 3 answers had belief 0: their log loss is infinite" in found.notes
    assert np.isfinite(found["a, log_loss"]["estimate"])


SPREAD = {"low", "high", "std_error"}


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({"statistic": "mean"}, {*SPREAD, "estimate", "floor", "ceiling"}),
        ({"temperature": 0.5}, {*SPREAD, "estimate"}),
        ({"truth": None}, {"floor"}),
        ({"weights": np.arange(1, 22)}, {*SPREAD, "estimate", "floor", "ceiling"}),
        ({"cluster": np.arange(21) // 3}, SPREAD),
        ({"alpha": 0.5}, {"low", "high"}),
    ],
)
def test_every_keyword_counts(kwargs, expected):
    y, b = population(21, np.random.default_rng(6))
    base = {"truth": b[:, ::-1]}
    one = individual_fit(y, b, [1, 2, 4, 9], **base).frame.drop(columns="metric")
    two = individual_fit(y, b, [1, 2, 4, 9], **(base | kwargs)).frame.drop(columns="metric")
    assert {c for c in one if not one[c].equals(two[c])} == expected


def test_intervals_cover():
    v = np.array([1, 2, 4, 9])
    rng = np.random.default_rng(7)
    _, b = population(200_000, rng)
    # answers come from the belief, so the errors' expectations need no draw of answers
    off = np.abs(v[:, None] - v)
    true = {
        "rmse": np.sqrt(np.einsum("nj,nk,jk->n", b, b, off**2.0, optimize=True).mean()),
        "mae": np.einsum("nj,nk,jk->n", b, b, off * 1.0, optimize=True).mean(),
        "log_loss": -(b * np.log(np.maximum(b, 1e-300))).sum(axis=1).mean(),
    }
    found = coverage(
        lambda rng: population(100, rng),
        lambda data: individual_fit(*data, v),
        true,
        repetitions=150,
    )
    # percentiles at n = 100 cover about 0.94
    assert (found.frame["estimate"] > 0.94 - 3.5 * np.sqrt(0.94 * 0.06 / 150)).all(), found
    assert (found.frame["estimate"] < 1).all()


def test_bad_input_is_named():
    cases = [
        ({"human": [10, 5]}, r"human: row 1 holds 5; it must be one of \[0.0, 10.0, 50.0\]"),
        ({"statistic": "max"}, "statistic is 'max'; it must be one of"),
        ({"belief": BELIEF[:1]}, "belief has 1 rows; it must have 2"),
        ({"belief": [[0.5, 0.5, 0.5]] * 2}, "belief: row 0 holds"),
        ({"truth": BELIEF[:1]}, "truth has 1 rows"),
        ({"values": [0, 10]}, "belief has shape"),
        ({"values": [0, 10, 10]}, "options is"),
        ({"temperature": -1}, "temperature is -1"),
    ]
    for change, message in cases:
        kwargs = {"human": ANSWER, "belief": BELIEF, "values": SCALE} | change
        with pytest.raises(ValueError, match=message):
            individual_fit(**kwargs)


# --- success rate ---------------------------------------------------------------------------


def test_success_rate_of_mass_is_its_mean():
    mass = [0.9, 1.0, np.nan, 0.5]
    found = success_rate(mass, by=[1, 1, 2, 2])
    assert found.frame.index.tolist() == ["1, success_rate", "2, success_rate"]
    assert found.frame["estimate"].tolist() == pytest.approx([0.95, 0.5])
    whole = success_rate(mass, alpha=0.2)
    assert whole.interval("success_rate") == mean_belief(mass, alpha=0.2).interval("belief")
    heavy = success_rate([0.9, 0.5], weights=[3, 1], cluster=["a", "b"])
    assert heavy["success_rate"]["estimate"] == pytest.approx(0.8)


def test_success_rate_of_answers_counts_what_is_missing_as_failure():
    found = success_rate(answers=["yes", "no", "Yes!", None, np.nan], options=["yes", "no"])
    assert found["success_rate"]["estimate"] == pytest.approx(0.4)
    expected = stats.binomtest(2, 5).proportion_ci(method="wilson")
    assert found.interval("success_rate") == pytest.approx((expected.low, expected.high))
    for wrong in ({}, {"valid_mass": [1], "answers": [1], "options": [1]}, {"answers": [1]}):
        with pytest.raises(ValueError, match="give valid_mass alone, or answers together"):
            success_rate(**wrong)
    with pytest.raises(ValueError, match=r"valid_mass has shape \(1, 2\)"):
        success_rate([[0.5, 0.5]])


# --- shift ----------------------------------------------------------------------------------


def test_shift_by_hand():
    before, after = [10, 50, 0, None], [50, 50, 10, 0]  # shifts 40, 0, 10
    first = np.array([[0.5, 0.5, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0]])  # means 5, 10, 0
    second = np.array([[0, 0.5, 0.5], [0, 0.5, 0.5], [0.9, 0.1, 0], [1, 0, 0]])  # 30, 30, 1
    found = shift_fit(before, after, first, second, values=SCALE)
    assert found.frame["estimate"].tolist() == pytest.approx([50 / 3, 46 / 3, -4 / 3])
    # differences -15, 20, -9: the interval is that of the paired t test
    expected = stats.ttest_rel([25, 20, 1], [40, 0, 10])
    ends = expected.confidence_interval(0.95)
    assert found.interval("difference") == pytest.approx((ends.low, ends.high))
    assert found["difference"]["p"] == pytest.approx(expected.pvalue)
    assert found.n == 3
    numbers = shift_fit(before, after, first @ SCALE, second @ SCALE)
    pd.testing.assert_frame_equal(found.frame, numbers.frame)


def test_shift_keywords():
    rng = np.random.default_rng(8)
    y = [rng.normal(size=12) for _ in range(4)]
    base = shift_fit(*y).frame
    for kwargs in ({"alpha": 0.5}, {"cluster": np.arange(12) // 2}):
        other = shift_fit(*y, **kwargs).frame
        assert not np.allclose(base["low"], other["low"])
        assert np.allclose(base["estimate"], other["estimate"])
    w = rng.integers(0, 3, 12)
    i = np.repeat(np.arange(12), w)
    again = shift_fit(*(x[i] for x in y), cluster=i).frame.drop(columns="n")
    pd.testing.assert_frame_equal(shift_fit(*y, weights=w).frame.drop(columns="n"), again)
    found = shift_fit(*y, by=np.arange(12) % 3)
    assert found.frame.index[4] == "1, predicted_shift"
    part = shift_fit(*(x[1::3] for x in y)).frame
    assert found.frame["low"].iloc[3:6].tolist() == pytest.approx(part["low"].tolist())


def test_shift_refuses():
    y = [[1.0, 2.0]] * 4
    with pytest.raises(ValueError, match="values: give one number per column"):
        shift_fit(*y, values=[1, 2])
    with pytest.raises(ValueError, match="values: give one number per column"):
        shift_fit([1], [2], [[0.5, 0.5]], [[0.5, 0.5]])
    with pytest.raises(ValueError, match="rows; they must have the same"):
        shift_fit([1.0], *y[1:])
    with pytest.raises(ValueError, match="after: row 1 holds 'x'"):
        shift_fit(y[0], [1, "x"], *y[2:])


def test_a_sample_without_spread_has_no_interval():
    # all shifted by 2 and by 5: no row differs, and five people do not prove that nobody would
    found = shift_fit([1.0] * 5, [3.0] * 5, [0.0] * 5, [5.0] * 5)
    assert found.frame["estimate"].tolist() == [2, 5, 3]
    assert found.frame[["low", "high", "p"]].isna().all(axis=None)
    # five right predictions: error 0, not "0 for everybody"; log loss -ln(1) likewise
    sure = individual_fit([10] * 5, [[0, 1.0, 0]] * 5, SCALE)
    assert (sure.frame["estimate"] == 0).all() and sure.frame["low"].isna().all()
    # but uniform beliefs have ln 3 whatever is answered
    flat = individual_fit([10] * 5, np.full((5, 3), 1 / 3), SCALE)
    assert flat.interval("log_loss") == pytest.approx([np.log(3)] * 2)
    assert np.isnan(flat["mae"]["low"])


def test_few_clusters_by_hand():
    # mean absolute errors of two equal clusters, 0 and 10 with mode beliefs: mean 5; left out 10
    # and 0; CV3 variance (2 - 1) / 2 * (25 + 25) = 25; t on 1 degree of freedom, log scale
    belief = [[1.0, 0, 0]] * 4
    found = individual_fit([0, 0, 10, 10], belief, SCALE, cluster=[1, 1, 2, 2])
    row = found["mae"]
    factor = np.exp(stats.t.ppf(0.975, 1) * 5 / 5)
    assert [row["estimate"], row["std_error"]] == pytest.approx([5, 5])
    assert [row["low"], row["high"]] == pytest.approx([5 / factor, 5 * factor])
    assert any("2 clusters, worth 2.0" in note for note in found.notes)
    assert found.over == "clusters (2)" and "over clusters" in found.summary()
    moved = shift_fit([0.0] * 4, [1, 1, 3, 3], [0.0] * 4, [1, 1, 2, 2], cluster=list("aabb"))
    assert moved["true_shift"]["df"] == 1 and moved["true_shift"]["std_error"] == 1


def test_huge_weights_are_refused_and_small_ones_scale():
    y, b = population(20, np.random.default_rng(9))
    with pytest.raises(ValueError, match=r"weights: row 0 holds 1e\+308"):
        individual_fit(y, b, [1, 2, 4, 9], weights=np.full(20, 1e308))
    plain = individual_fit(y, b, [1, 2, 4, 9]).frame
    for size in (1e-200, 1e50):
        other = individual_fit(y, b, [1, 2, 4, 9], weights=np.full(20, size)).frame
        pd.testing.assert_frame_equal(plain, other)
