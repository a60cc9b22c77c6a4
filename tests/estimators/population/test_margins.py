"""Fit of a population's answers: by hand, floor, coverage, every keyword, what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from simkit.estimators import coverage, kl_divergence, marginal_fit, total_variation, wasserstein
from simkit.estimators.shared.metrics import MARGINAL_METRICS
from simkit.types import generator

pytestmark = pytest.mark.filterwarnings("error")
P = np.array([0.05, 0.1, 0.2, 0.3, 0.2, 0.1, 0.05])
Q = np.array([0.3, 0.25, 0.15, 0.1, 0.1, 0.05, 0.05])
SCALE = list(range(1, 8))
ENDS = ["estimate", "std_error", "low", "high", "corrected", "floor", "ceiling"]


def people(n, rng, share=P):
    """Respondents' own distributions and the answers drawn from them."""
    own = rng.dirichlet(8 * np.asarray(share), n)
    drawn = (rng.random((n, 1)) > own.cumsum(axis=1)).sum(axis=1)
    return np.minimum(drawn, len(share) - 1) + 1, own


def column(result, name):
    return result.frame[name].to_numpy(dtype=float)


# --- known values ---------------------------------------------------------------------------


def test_by_hand():
    # P = (1/2, 1/4, 1/4) of the answers 1, 1, 2, 3; Q = mean of the beliefs = (1/4, 1/4, 1/2)
    belief = [[0.4, 0.2, 0.4], [0.1, 0.3, 0.6], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]]
    found = marginal_fit([1, 1, 2, 3], belief, [1, 2, 3], metrics=MARGINAL_METRICS, smoothing=0)
    estimate = found.frame["estimate"]
    assert estimate["kl"] == pytest.approx(0.25 * np.log(2))  # 1/2 ln 2 + 0 + 1/4 ln(1/2)
    # middle (3/8, 1/4, 3/8): 1/2 log2(4/3) + 1/4 log2(2/3), the same for Q
    assert estimate["js"] == pytest.approx(0.5 * np.log2(4 / 3) + 0.25 * np.log2(2 / 3))
    assert estimate["tv"] == pytest.approx(0.25)
    assert estimate["wasserstein"] == pytest.approx(0.5)  # a quarter moves by 2
    assert estimate["nemd"] == pytest.approx(0.25)  # range 2
    assert estimate["mean_difference"] == pytest.approx(0.5)  # 2.25 - 1.75
    assert estimate["variance_ratio"] == pytest.approx(1)  # mirror images
    # uniform answers: |1/2 - 1/3| + 2 |1/4 - 1/3| = 1/3, halved; mean 2 - 1.75
    assert found["tv"]["ceiling"] == pytest.approx(1 / 6)
    assert found["mean_difference"]["ceiling"] == pytest.approx(0.25)
    assert found["variance_ratio"]["ceiling"] == pytest.approx((2 / 3) / 0.6875)
    assert np.isnan(found["variance_ratio"]["floor"])
    assert found.n == 4


def test_the_interval_is_made_as_said():
    y, own = people(40, np.random.default_rng(0))
    other = own[::-1]
    found = marginal_fit(y, other, SCALE, metrics=["kl"], smoothing=0.01, n_boot=400, rng=3)["kl"]
    one_hot = np.eye(7)[y - 1]
    at = float(kl_divergence(one_hot.mean(0), other.mean(0), smoothing=0.01))
    keep = ~np.eye(40, dtype=bool)
    without = np.array(
        [kl_divergence(one_hot[k].mean(0), other[k].mean(0), smoothing=0.01) for k in keep]
    )
    error = np.sqrt(39 / 40 * ((without - at) ** 2).sum())
    centre = 40 * at - 39 * without.mean()
    half = stats.t.ppf(0.975, 39) * error
    assert found["std_error"] == pytest.approx(error)
    assert found["corrected"] == pytest.approx(max(centre, 0))
    assert found["low"] == pytest.approx(max(centre - half, 0))
    assert found["high"] == pytest.approx(at + half)  # the bias is left in
    drawn = generator(3).integers(0, 40, (400, 40))
    noise = kl_divergence(one_hot[drawn].mean(1), one_hot.mean(0), smoothing=0.01)
    assert found["floor"] == pytest.approx(noise.mean())


def test_no_distance_lies_outside_its_own_interval():
    # shares 0.25 against a known 0.25: KL less its bias of 1 / 80 is below 0, its end was 0 as well
    for k in (9, 10, 11, 14):
        y = [1] * k + [0] * (40 - k)
        row = marginal_fit(y, [[0.75, 0.25]], [0, 1], metrics=["kl"], smoothing=0, paired=False)
        assert row["kl"]["low"] <= row["kl"]["estimate"] < row["kl"]["high"]


def test_two_samples_have_the_degrees_of_freedom_of_both():
    # 12 and 4 answers of the same spread: variances 2/11 and 2/3 times sums of squares 12 and 4,
    # over n - 1 and n: of the means s^2 / n each, s^2 = 12/11 and 4/3
    y, s = [1, 3] * 6, [1, 3] * 2
    found = marginal_fit(y, s, [1, 3], metrics=["mean_difference"], paired=False)["mean_difference"]
    v = np.array([12 / 11 / 12, 4 / 3 / 4])
    free = v.sum() ** 2 / (v[0] ** 2 / 11 + v[1] ** 2 / 3)
    assert found["std_error"] == pytest.approx(np.sqrt(v.sum()))
    assert found["high"] == pytest.approx(stats.t.ppf(0.975, free) * np.sqrt(v.sum()))
    # answers are one sample however few; a distribution (1, K) is known
    alone = marginal_fit(y, [1], [1, 3], metrics=["tv"], paired=False)["tv"]
    assert alone["estimate"] == 0.5 and np.isnan(alone["low"])
    known = marginal_fit(y, [[1.0, 0.0]], [1, 3], metrics=["tv"], paired=False)["tv"]
    assert known["estimate"] == 0.5 and known["low"] < 0.5 < known["high"]


def test_few_clusters_are_told_and_two_unequal_ones_have_no_interval():
    # shares 1/9, 1/9, 2/9, 5/9: 81 / (1 + 1 + 4 + 25) = 2.61 equal ones; 1:8 gives 81 / 65 = 1.25
    y, own = people(90, np.random.default_rng(11))
    four = np.repeat([0, 1, 2, 3], [10, 10, 20, 50])
    found = marginal_fit(y, own, SCALE, metrics=["mean_difference"], cluster=four)
    said = "4 clusters, worth 2.6 equal ones: below 5 no interval is to be trusted"
    assert said in found.notes and found.over == "clusters (4)"
    assert np.isfinite(found["mean_difference"]["low"])
    two = np.repeat([0, 1], [10, 80])
    found = marginal_fit(y, own, SCALE, metrics=["mean_difference"], cluster=two)
    assert np.isnan(found["mean_difference"]["low"])
    many = marginal_fit(y, own, SCALE, metrics=["mean_difference"], cluster=np.arange(90) // 3)
    assert many.notes == ("30 clusters, worth 30.0 equal ones",)
    assert marginal_fit(y, own, SCALE, metrics=["mean_difference"]).over == "respondents"


def test_answers_and_one_hot_rows_are_the_same():
    rng = np.random.default_rng(1)
    y, s = rng.integers(1, 8, 23), rng.integers(1, 8, 23)
    drop = ["floor"]  # of sampled answers, the simulation's own noise is part of the floor
    first = marginal_fit(y, s, SCALE, smoothing=0.1).frame.drop(columns=drop)
    second = marginal_fit(np.eye(7)[y - 1], np.eye(7)[s - 1], SCALE, smoothing=0.1)
    pd.testing.assert_frame_equal(first, second.frame.drop(columns=drop))


def test_words_with_and_without_a_scale():
    answers = ["no", "yes", "yes", None, "maybe"]
    words = ["no", "maybe", "yes"]
    found = marginal_fit(answers, np.full((5, 3), 1 / 3), words, smoothing=0.01)
    assert list(found.frame.index) == ["kl", "js", "tv"]
    assert found["tv"]["estimate"] == pytest.approx(1 / 6)  # (1/4, 1/4, 1/2) against thirds
    assert "1 of 5 rows skipped: no outcome" in found.notes
    placed = marginal_fit(answers, np.full((5, 3), 1 / 3), words, values=[0, 5, 6], smoothing=0.01)
    # cumulative -1/12 over a gap of 5, -1/6 over 1
    assert placed["wasserstein"]["estimate"] == pytest.approx(5 / 12 + 1 / 6)


# --- floor ----------------------------------------------------------------------------------


def test_floor_is_the_distance_of_a_sample_from_its_population():
    rng, n = np.random.default_rng(2), 160
    samples = rng.multinomial(n, P, 20_000) / n
    true = {
        "kl": kl_divergence(samples, P, smoothing=0).mean(),
        "tv": total_variation(samples, P).mean(),
        "wasserstein": wasserstein(samples, P, SCALE).mean(),
    }
    assert true["kl"] == pytest.approx(6 / (2 * n), rel=0.05)  # (K - 1) / 2n
    y = np.repeat(SCALE, (n * P).round().astype(int))  # a sample just like its population
    exact = marginal_fit(y, [P], SCALE, metrics=list(true), smoothing=0, paired=False, n_boot=2000)
    for name, value in true.items():
        assert exact[name]["floor"] == pytest.approx(value, rel=0.05), name
        assert exact[name]["estimate"] == pytest.approx(0, abs=0.01)
    # of a mean: the mean absolute value of a normal with its standard error
    shift = marginal_fit(y, [P], SCALE, metrics=["mean_difference"], paired=False, n_boot=2000)
    normal = y.std() / np.sqrt(n) * np.sqrt(2 / np.pi)
    assert shift["mean_difference"]["floor"] == pytest.approx(normal, rel=0.05)
    # with as many simulated answers, noise of variance 1/n + 1/n: sqrt(2) times as far
    other = marginal_fit(y, y, SCALE, metrics=["tv"], paired=False, n_boot=2000)
    assert other["tv"]["floor"] == pytest.approx(np.sqrt(2) * true["tv"], rel=0.05)
    # weights 1 and 3, half and half: effective number n * 2^2 / 5 = 0.8 n; 1 + 1 / 0.8 = 2.25
    w = np.where(np.arange(n) % 2, 1, 3)
    weighed = marginal_fit(
        y, y, SCALE, metrics=["tv"], paired=False, simulated_weights=w, n_boot=2000
    )
    assert weighed["tv"]["floor"] == pytest.approx(1.5 * true["tv"], rel=0.05)


# --- weights, clusters, groups --------------------------------------------------------------


def test_a_weight_is_a_repetition_and_zero_is_absence():
    rng = np.random.default_rng(3)
    y, own = people(31, rng)
    w = rng.integers(0, 4, 31)
    cut = w > 0
    kwargs = {"smoothing": 0.01, "n_boot": 50}
    weighed = marginal_fit(y, own, SCALE, weights=w, **kwargs)
    without = marginal_fit(y[cut], own[cut], SCALE, weights=w[cut], **kwargs)
    i = np.repeat(np.arange(31), w)
    again = marginal_fit(y[i], own[i], SCALE, cluster=i, **kwargs)
    pd.testing.assert_frame_equal(weighed.frame, without.frame)
    pd.testing.assert_frame_equal(weighed.frame, again.frame)
    assert "rows weigh 0" in weighed.notes[0]


def test_repeated_rows_of_a_respondent_add_nothing():
    y, own = people(80, np.random.default_rng(4))
    i = np.repeat(np.arange(80), 4)
    once = marginal_fit(y, own, SCALE, metrics=["mean_difference"])
    told = marginal_fit(y[i], own[i], SCALE, metrics=["mean_difference"], cluster=i)
    untold = marginal_fit(y[i], own[i], SCALE, metrics=["mean_difference"])
    assert column(told, "std_error") == pytest.approx(column(once, "std_error"))
    assert column(untold, "std_error") == pytest.approx(column(once, "std_error") / 2, rel=0.15)


def test_pairing_takes_out_what_both_share():
    rng = np.random.default_rng(5)
    y, _ = people(200, rng)
    belief = 0.9 * np.eye(7)[y - 1] + 0.1 / 7  # knows every answer, nearly
    paired = marginal_fit(y, belief, SCALE, metrics=["mean_difference"])
    apart = marginal_fit(y, belief, SCALE, metrics=["mean_difference"], paired=False)
    # difference of means: 0.1 (4 - mean): 0.1 of the standard deviation of y, against root 1.81
    s = y.std() / np.sqrt(200)
    assert column(paired, "std_error") == pytest.approx([0.1 * s], rel=0.15)
    assert column(apart, "std_error") == pytest.approx([np.sqrt(1.81) * s], rel=0.15)


def test_groups_one_by_one_and_their_mean():
    rng = np.random.default_rng(6)
    y = people(60, rng)[0]
    by = np.array(["a", "b", "c"])[np.arange(60) % 3]
    m = 41  # other simulated people, in another order of groups
    s, their = rng.integers(1, 8, m), np.array(["c", "a", "b"])[np.arange(m) % 3]
    found = marginal_fit(
        y, s, SCALE, paired=False, by=by, simulated_by=their, smoothing=0.01, n_boot=40
    )
    alone = marginal_fit(
        y[by == "b"], s[their == "b"], SCALE, paired=False, smoothing=0.01, n_boot=40
    )
    assert found.frame.index[4:8].tolist() == ["b, kl", "b, js", "b, tv", "b, wasserstein"]
    block = found.frame.loc[found.frame["group"] == "b", ["estimate", "ceiling"]].to_numpy()
    assert block == pytest.approx(alone.frame[["estimate", "ceiling"]].to_numpy())
    parts = [found[f"{g}, tv"] for g in "abc"]
    mean = found["mean of groups, tv"]
    for name in ("estimate", "floor", "ceiling"):
        assert mean[name] == pytest.approx(np.mean([part[name] for part in parts]))
    # groups are different people: variances of the mean add up
    total = np.sqrt(sum(part["std_error"] ** 2 for part in parts)) / 3
    assert mean["std_error"] == pytest.approx(total, rel=0.4)


def test_respondents_stay_together_across_items():
    # the same error in both items of a respondent: the mean of items is no surer than one item
    y, own = people(60, np.random.default_rng(7))
    both, belief = np.tile(y, 2), np.tile(own, (2, 1))
    item, who = np.repeat(["x", "y"], 60), np.tile(np.arange(60), 2)
    found = marginal_fit(both, belief, SCALE, metrics=["mean_difference"], by=item, cluster=who)
    error = column(found, "std_error")
    assert error[2] == pytest.approx(error[0])
    loose = marginal_fit(both, belief, SCALE, metrics=["mean_difference"], by=item)
    assert column(loose, "std_error")[2] < 0.85 * error[2]


# --- coverage -------------------------------------------------------------------------------


def fit_of(rng, share, n):
    y = rng.choice(SCALE, n, p=share)
    return marginal_fit(
        y, [Q], SCALE, metrics=["kl", "tv", "wasserstein"], smoothing=0, paired=False, n_boot=150,
        rng=rng,
    )  # fmt: skip


def test_intervals_contain_a_distance_well_above_zero():
    true = {
        "kl": float(kl_divergence(P, Q, smoothing=0)),
        "tv": float(total_variation(P, Q)),
        "wasserstein": float(wasserstein(P, Q, SCALE)),
    }
    found = coverage(lambda rng: rng, lambda rng: fit_of(rng, P, 120), true, repetitions=150)
    share = column(found, "estimate")
    assert (share > 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / 150)).all(), found


def test_intervals_contain_zero():
    zero = {"kl": 0.0, "tv": 0.0, "wasserstein": 0.0}
    found = coverage(lambda rng: rng, lambda rng: fit_of(rng, Q, 120), zero, repetitions=100)
    share = column(found, "estimate")
    assert (share > 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / 100)).all(), found
    assert (column(found, "bias") > 0).all()  # a plug-in distance is never 0
    assert np.isfinite(column(found, "width")).all()


def test_correction_takes_out_most_of_the_bias():
    rng = np.random.default_rng(8)
    fits = [fit_of(rng, 0.5 * P + 0.5 * Q, 120) for _ in range(40)]
    true = float(kl_divergence(0.5 * P + 0.5 * Q, Q, smoothing=0))
    plain, better = (np.mean([f["kl"][c] for f in fits]) - true for c in ("estimate", "corrected"))
    assert plain == pytest.approx(6 / 240, rel=0.5)  # (K - 1) / 2n
    assert abs(better) < 0.4 * plain


# --- every keyword --------------------------------------------------------------------------


def changed(**kwargs):
    rng = np.random.default_rng(9)
    y, own = people(36, rng)
    base = {"smoothing": 0.01, "n_boot": 30}
    first = marginal_fit(y, own, SCALE, **base).frame[ENDS]
    second = marginal_fit(y, own, SCALE, **(base | kwargs)).frame[ENDS]
    return {c for c in ENDS if not np.array_equal(first[c], second[c], equal_nan=True)}


SPREAD = {"std_error", "low", "high", "corrected"}


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({"values": [0, 2, 3, 4, 5, 6, 9]}, set(ENDS)),
        ({"smoothing": 0.1}, set(ENDS)),
        ({"paired": False}, SPREAD),
        ({"weights": np.arange(36) + 1}, set(ENDS)),
        ({"cluster": np.arange(36) // 3}, {*SPREAD, "floor"}),
        ({"n_boot": 31}, {"floor"}),
        ({"rng": 1}, {"floor"}),
        ({"alpha": 0.5}, {"low", "high"}),
        ({"paired": False, "simulated_weights": np.arange(36) + 1}, {*SPREAD, "estimate"}),
        ({"paired": False, "simulated_cluster": np.arange(36) // 3}, SPREAD),
    ],
)
def test_every_keyword_counts(kwargs, expected):
    found = changed(**kwargs)
    # both ends may stay at 0 and so may `corrected`, but not the columns that must move
    assert expected - {"low", "corrected"} <= found <= expected


def test_seeds_repeat_and_leave_the_global_state_alone():
    before = np.random.get_state()[1].copy()
    y, own = people(20, np.random.default_rng(10))
    a, b = (marginal_fit(y, own, SCALE, smoothing=0.1, n_boot=9, rng=7).frame for _ in range(2))
    pd.testing.assert_frame_equal(a, b)
    assert (np.random.get_state()[1] == before).all()


# --- undefined and refused ------------------------------------------------------------------


def test_infinite_and_single_cluster_have_no_interval():
    y = [1, 1, 2, 3, 3]
    found = marginal_fit(y, [1, 1, 2, 2, 2], [1, 2, 3], metrics=["kl"], smoothing=0)
    assert found["kl"]["estimate"] == np.inf
    assert found.frame[["std_error", "low", "high", "corrected"]].isna().all(axis=None)
    assert "1 of 1 distances are infinite: an answer was never simulated" in found.notes
    assert "kl: nats, smoothing 0 per category" in found.notes
    alone = marginal_fit(y, np.full((5, 3), 1 / 3), [1, 2, 3], metrics=["tv"], cluster=[0] * 5)
    assert alone["tv"]["estimate"] == pytest.approx((2 / 15 + 1 / 15) * 0.5 + 1 / 30)
    assert alone.frame[["std_error", "low", "high", "floor"]].isna().all(axis=None)
    assert any("below 2 effective clusters" in note for note in alone.notes)


def test_an_empty_group_is_nan():
    found = marginal_fit([1, 2, None], [1, 2, 2], [1, 2], metrics=["tv"], by=["a", "a", "b"])
    assert np.isnan(found["b, tv"]["estimate"])
    assert found["a, tv"]["estimate"] == 0
    other = marginal_fit(
        [1, 2, None], [1, 2, 2, 1], [1, 2], metrics=["tv"], paired=False, by=list("aab"),
        simulated_by=list("abab"),
    )  # fmt: skip
    assert other.frame.loc["b, tv", ENDS].isna().all()
    flat = marginal_fit([2, 2, 2], np.full((3, 2), 0.5), [1, 2], metrics=["variance_ratio"])
    assert np.isnan(flat["variance_ratio"]["estimate"])


def test_no_interval_ends_above_the_largest_distance():
    # 7 of 8 answered 1, all simulations 3: 7/8, and 2 * 7/8 less the 2.5 % resample is above 1
    found = marginal_fit([1] * 7 + [3], [3] * 8, [1, 2, 3], metrics=["tv", "nemd", "wasserstein"])
    assert found.frame["high"].tolist()[:2] == [1, 1]
    assert found["wasserstein"]["high"] > 2
    assert found["tv"]["low"] > 0.5


def test_bad_input_is_named():
    y, b = [1, 2], [[0.5, 0.5], [0.2, 0.8]]
    cases = [
        ({"human": [1, 3]}, r"human: row 1 holds 3; it must be one of \[1, 2\]"),
        ({"human": ["1", 2]}, "human: row 0 holds '1'"),
        ({"simulated": [[0.5, 0.5], [0.2, 0.7]]}, "simulated: row 1 sums to 0.9"),
        (
            {"simulated": [[0.5, 0.5, 0.0]] * 2},
            r"simulated has shape \(2, 3\); it must be \(n, 2\)",
        ),
        ({"simulated": b[:1]}, "paired: human has 2 rows, simulated 1"),
        ({"simulated_by": [0, 0]}, "paired: human has 2 rows, simulated 2"),
        ({"options": [1, 1]}, "options is"),
        ({"metrics": ["emd"]}, "no metric 'emd'; there are: kl"),
        ({"metrics": "tv"}, "metrics is 'tv'"),
        ({"metrics": ["kl"]}, "smoothing: metric 'kl' depends on it"),
        ({"values": [1, 2, 3]}, "values has 3 rows; it must have 2"),
        ({"n_boot": 1}, "n_boot is 1"),
        (
            {"paired": False, "by": ["a", "b"], "simulated_by": ["a", "c"]},
            "simulated_by has the groups",
        ),
        ({"paired": False, "simulated_by": ["a", "c"]}, "simulated_by has the groups"),
        ({"human": [None, None]}, "no row to use"),
    ]
    for change, message in cases:
        kwargs = {"human": y, "simulated": b, "options": [1, 2], "metrics": ["tv"]} | change
        with pytest.raises(ValueError, match=message):
            marginal_fit(**kwargs)
    with pytest.raises(ValueError, match="metric 'nemd' needs a scale"):
        marginal_fit(["a", "b"], b, ["a", "b"], metrics=["nemd"])


def test_columns_in_another_order_are_refused():
    frame = pd.DataFrame([[0.5, 0.5], [0.2, 0.8]], columns=["yes", "no"])
    with pytest.raises(ValueError, match=r"simulated has the columns \['yes', 'no'\]"):
        marginal_fit(["no", "yes"], frame, ["no", "yes"], metrics=["tv"])
    named = marginal_fit(["no", "yes"], frame, ["yes", "no"], metrics=["tv"])
    numbered = frame.set_axis([0, 1], axis=1)
    plain = marginal_fit(["no", "yes"], numbered, ["yes", "no"], metrics=["tv"])
    pd.testing.assert_frame_equal(named.frame, plain.frame)
