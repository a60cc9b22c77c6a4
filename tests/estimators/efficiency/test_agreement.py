"""Equivalence of the two means, and the rate at which their difference shrinks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from simkit.estimators import difference_rate, equivalence_test
from simkit.estimators.efficiency.agreement import _Score
from simkit.types import generator
from tests.estimators.runs import binomial_bounds, choices, dirichlet, draw, market

pytestmark = pytest.mark.filterwarnings("error")


# --- equivalence ----------------------------------------------------------------------------


def test_known_values():
    # d = 0.5, -0.5, 0.5, -0.5: mean 0, s^2 = 1/3, std_error = sqrt(1/12) = 0.288675;
    # t = 0.5 / 0.288675 = 1.7321 on 3: p = 0.0909; chi2 = (sum d)^2 / sum b (1 - b) = 0
    result = equivalence_test([1, 0, 1, 0], [0.5] * 4, margin=0.5)
    row = result["share"]
    assert row[["estimate", "std_error", "df"]].tolist() == pytest.approx([0, np.sqrt(1 / 12), 3])
    assert row["p"] == pytest.approx(stats.t.sf(np.sqrt(3), 3))
    assert row["p_zero"] == 1
    assert row["equivalent"] is False
    assert result["centred"]["estimate"] == 0
    # the 1 - 2 alpha interval: 90 %
    assert result.alpha == 0.1
    assert row["high"] == pytest.approx(stats.t.ppf(0.95, 3) * np.sqrt(1 / 12))


def test_with_many_runs_it_is_the_paired_test_of_statsmodels():
    # both are t tests then: half a step, 1 / 40,000, is 0.008 standard errors
    y, b = dirichlet([2, 1, 4], 20_000, np.random.default_rng(0))
    result = equivalence_test(y, b, margin=0.006)
    for option in b:
        p = ttost_paired(y[option].to_numpy(), b[option].to_numpy(), -0.006, 0.006)[0]
        assert result[option]["p"] == pytest.approx(p, abs=0.005)


def test_nothing_shows_no_equivalence():
    # two runs, belief 0.04, nobody bought: the sample's variance is 0. Were the difference at the
    # margin, 0.05, the chance would be 0.09, the standard error sqrt(0.09 * 0.91 / 2) = 0.20236;
    # the gap 0.05 - (-0.04) = 0.09, less half a choice, 1/4, is -0.16: z = -0.79067
    row = equivalence_test([0, 0], [0.04, 0.04], margin=0.05)["share"]
    assert row["p"] == pytest.approx(stats.norm.sf(-0.79067), abs=1e-5)
    assert row["equivalent"] is False
    # nor a difference: z = (0.04 - 0.25) / se, below 0
    assert row["p_zero"] == 1
    assert row["std_error"] == pytest.approx(np.sqrt(0.04 * 0.96 / 2))
    # the upper end solves (x - 0.04) + 0.04 - 0.25 = 1.645 sqrt(x (1 - x) / 2), x the chance
    x = row["high"] + 0.04
    assert x - 0.25 == pytest.approx(stats.norm.ppf(0.95) * np.sqrt(x * (1 - x) / 2))
    # a difference below -0.04 is impossible, and the lower end says so
    assert row["low"] == pytest.approx(-0.04)


@pytest.mark.parametrize("n", [5, 10, 20, 100, 400])
@pytest.mark.parametrize("belief", [0.005, 0.01, 0.06, 0.3, 0.5])
def test_size_at_the_margin_is_exact(n, belief):
    # all outcomes of n runs of one belief, each a condition: no simulation. At belief 0.01 and a
    # margin of 0.05, 0.94^10 = 0.54 of ten runs have no buyer.
    counts, y = np.arange(n + 1), (np.arange(n) < np.arange(n + 1)[:, None]).ravel().astype(float)
    for margin in (0.05, 0.2):
        table = _Score(np.full((len(y), 1), belief), np.repeat(counts, n), np.full(n + 1, n * 1.0),
                       whole=False)  # fmt: skip
        share = counts / n
        error = np.sqrt(share * (1 - share) / (n - 1))
        p = table.table(share - belief, error, np.full(n + 1, n - 1.0), margin, 0.05)["p"]
        for chance in {belief + margin, belief - margin}:
            if 0 <= chance <= 1:
                size = stats.binom.pmf(counts, n, chance)[p < 0.05].sum()
                assert size <= 0.0505, (margin, chance)


def test_size_with_unequal_runs():
    # 4, 6, 100, 200 runs, belief 0.01, choices 0.05 above: the t test alone called 0.46 of such
    # samples equivalent, and the smallest condition 0.19
    rng, code = np.random.default_rng(10), np.repeat(range(4), [4, 6, 100, 200])
    found = [
        equivalence_test(rng.random(310) < 0.06, np.full(310, 0.01), margin=0.05, condition=code)
        for _ in range(40)
    ]
    for name in ("share", "worst_cell"):
        assert np.mean([r[name]["equivalent"] for r in found]) <= 0.05


def test_conditions_count_equally():
    # condition 1: d = 0.2, -0.8, 0.6: mean 0, s^2 = 0.52, of the mean 0.52 / 3
    # condition 2: d = 0.4, 0.2: mean 0.3, s^2 = 0.02, of the mean 0.01; together 0.15
    # variance (0.52 / 3 + 0.01) / 4; df = (0.18333)^2 / ((0.17333)^2 / 2 + 0.01^2 / 1)
    y, b = [1, 0, 1, 1, 1], [0.8, 0.8, 0.4, 0.6, 0.8]
    row = equivalence_test(y, b, margin=0.5, condition=[1, 1, 1, 2, 2])["share"]
    assert row["estimate"] == pytest.approx(0.15)
    assert row["std_error"] == pytest.approx(np.sqrt((0.52 / 3 + 0.01) / 4))
    assert row["df"] == pytest.approx(0.1833333**2 / (0.1733333**2 / 2 + 0.0001), rel=1e-5)


def test_worst_cell_is_the_largest_p_of_all_conditions_and_options():
    y, b, code = draw(market(every=9), 60, np.random.default_rng(1))
    result = equivalence_test(y, b, margin=0.2, condition=code)
    p = {
        f"{c}, {option}": equivalence_test(y[code == c], b[code == c], margin=0.2)[option]["p"]
        for c in range(4)
        for option in b
    }
    worst = max(p, key=p.get)
    assert result["worst_cell"]["cell"] == worst
    assert result["worst_cell"]["p"] == pytest.approx(p[worst])


def test_centred_is_pearsons_chi2_when_beliefs_do_not_vary():
    # beliefs 0.5, 0.3, 0.2 in each of 50 runs, chosen 20, 18, 12 times; expected 25, 15, 10:
    # chi2 = 25/25 + 9/15 + 4/10 = 2, on 2 degrees of freedom
    y = np.repeat(np.eye(3), [20, 18, 12], axis=0)
    row = equivalence_test(y, np.tile([0.5, 0.3, 0.2], (50, 1)), margin=0.5)["centred"]
    assert row["estimate"] == pytest.approx(2)
    assert row["df"] == 2
    # its variance in 50 runs is 4 + (1/0.5 + 1/0.3 + 1/0.2 - 13) / 50 (Pearson 1900): of a chi2 on
    # 2 times 4 / that
    variance = 4 + (1 / 0.5 + 1 / 0.3 + 1 / 0.2 - 9 - 6 + 2) / 50
    assert row["p_zero"] == pytest.approx(stats.chi2.sf(2 * 4 / variance, 2 * 4 / variance))


def test_rare_options_alone_do_not_refute_the_beliefs():
    # belief 0.005, ten runs, one buyer: z = 0.095 / sqrt(0.005 * 0.995 / 10) = 4.26, and p would be
    # 2e-5 of a chi2; yet one buyer or more has a chance of 1 - 0.995^10 = 0.049
    y = np.arange(10) < 1
    row = equivalence_test(y, [0.005] * 10, margin=0.1)["centred"]
    assert row["estimate"] == pytest.approx(0.095**2 / (0.005 * 0.995 / 10))
    assert 0.01 < row["p_zero"] < 0.1


def test_centred_of_one_option_is_spiegelhalters_z():
    y, b = dirichlet([1, 2], 40, np.random.default_rng(2))
    one = equivalence_test(y["o0"], b["o0"], margin=0.5)["centred"]
    z = (y["o0"] - b["o0"]).sum() / np.sqrt((b["o0"] * (1 - b["o0"])).sum())
    assert one["estimate"] == pytest.approx(z**2)
    both = equivalence_test(y, b, margin=0.5)["centred"]
    assert both[["estimate", "df"]].tolist() == pytest.approx([z**2, 1])


def test_sizes_of_the_tests():
    # fair choices: centred rejects in 5 %. A shift of exactly the margin: equivalence is claimed
    # in 5 %. 200 samples of 2 conditions x 40 runs, 3 options.
    rng, fair, claimed = np.random.default_rng(3), 0, 0
    for _ in range(200):
        y, b = dirichlet([3, 3, 2], 80, rng)
        code = np.repeat([0, 1], 40)
        fair += equivalence_test(y, b, margin=0.1, condition=code)["centred"]["p_zero"] < 0.05
        off = b + np.array([0.1, -0.05, -0.05])
        off = off.clip(lower=0).div(off.clip(lower=0).sum(axis=1), axis=0)
        gap = float(3 / 8 - off["o0"].mean())
        claimed += equivalence_test(y, off, margin=abs(gap), condition=code)["o0"]["equivalent"]
    low, high = binomial_bounds(0.05, 200)
    assert low < fair / 200 < high
    assert claimed / 200 < high


def test_a_wrong_temperature_is_found():
    _, b, code = draw(market(every=9), 400, np.random.default_rng(4))
    hot = b**0.5
    hot = hot.div(hot.sum(axis=1), axis=0)
    y = choices(hot, np.random.default_rng(5))
    assert equivalence_test(y, b, margin=0.2, condition=code)["centred"]["p_zero"] < 1e-6
    assert equivalence_test(y, hot, margin=0.2, condition=code)["centred"]["p_zero"] > 0.01


def test_settled_beliefs():
    # beliefs 0 and 1 are the choices: no difference, no variance. Three runs do not show that none
    # is larger than 0.01: with a chance of 0.03 in the one run where it can be, 0.97 would show it
    y = [1, 0, 1]
    result = equivalence_test(y, np.array(y, dtype=float), margin=0.01)
    assert result["share"][["estimate", "std_error"]].tolist() == [0, 0]
    assert result["share"]["p"] > 0.9
    assert np.isnan(result["centred"]["estimate"])
    # 3,000 do: a chance of 0.015 to leave the option in 2,000 runs (the harder side; the other has
    # 0.03 in 1,000), standard error sqrt(29.55) / 3,000, z = (0.01 - 1/6000) / 0.001812 = 5.43
    many = equivalence_test(y * 1000, np.array(y * 1000, dtype=float), margin=0.01)["share"]
    assert many["p"] == pytest.approx(
        stats.norm.sf((0.01 - 1 / 6000) * 3000 / np.sqrt(2000 * 0.015 * 0.985)), rel=1e-4
    )


def test_keywords_and_errors():
    y, b = dirichlet([2, 1], 30, np.random.default_rng(6))
    plain = equivalence_test(y, b, margin=0.2)
    assert equivalence_test(y, b, margin=0.3)["o0"]["p"] < plain["o0"]["p"]
    assert equivalence_test(y, b, margin=0.2, alpha=0.01)["o0"]["high"] > plain["o0"]["high"]
    for margin in (0, 1.5):
        with pytest.raises(ValueError, match=f"margin is {margin}"):
            equivalence_test(y, b, margin=margin)
    with pytest.raises(ValueError, match=r"alpha is 0\.5; it must be a number between 0 and 0.5"):
        equivalence_test(y, b, margin=0.2, alpha=0.5)


# --- rate -----------------------------------------------------------------------------------


def test_rate_known_values():
    # all d are 0.5 or -0.5, by pairs of one kind: rms(1) = 0.5. Conditions of two runs with
    # d = (0.5, 0.5), (0.5, -0.5): blocks of 2 have means 0.5 and 0, rms(2) = sqrt(0.125)
    y, b = [1, 1, 1, 0], [0.5] * 4
    result = difference_rate(y, b, sizes=[1, 2], condition=[0, 0, 1, 1])
    assert result["rms, n=1"]["estimate"] == pytest.approx(0.5)
    assert result["rms, n=2"]["estimate"] == pytest.approx(np.sqrt(0.125))
    assert result["slope"]["estimate"] == pytest.approx(-0.5)  # log(sqrt(1/2)) / log(2)
    assert result.frame["expected"].tolist() == pytest.approx([-0.5, 0.5, 0.5 / np.sqrt(2)])
    assert np.isnan(result["slope"]["low"])
    assert result.notes == ("2 conditions: no interval",)


def test_rate_of_fair_choices_and_of_biased_ones():
    y, b, code = draw(market(every=2), 400, np.random.default_rng(7))
    fair = difference_rate(y, b, condition=code)
    assert fair["slope"]["low"] < -0.5 < fair["slope"]["high"]
    assert fair["slope"]["p"] > 0.05
    rms = fair.frame.iloc[1:]
    assert ((rms["low"] < rms["expected"]) & (rms["expected"] < rms["high"])).mean() >= 0.8
    off = b + np.array([0.1, -0.05, -0.05])
    off = off.clip(lower=0.01).div(off.clip(lower=0.01).sum(axis=1), axis=0)
    biased = difference_rate(y, off, condition=code)
    assert biased["slope"]["low"] > -0.45
    assert biased["slope"]["p"] < 0.001


def test_rate_coverage():
    # 200 samples of 15 conditions x 60 runs with beliefs of one kind
    rng, hits = np.random.default_rng(8), 0
    code = np.repeat(np.arange(15), 60)
    for _ in range(200):
        y, b = dirichlet([4, 2], 900, rng)
        low, high = difference_rate(y, b, condition=code, sizes=[1, 3, 10]).interval("slope")
        hits += low <= -0.5 <= high
    low, high = binomial_bounds(0.95, 200)
    assert low < hits / 200 < high


def test_rate_keywords_and_errors():
    y, b = dirichlet([2, 1], 48, np.random.default_rng(9))
    code = np.repeat(range(4), 12)
    plain = difference_rate(y, b, condition=code)
    assert plain.frame["runs"].dropna().tolist() == [1, 2]  # a quarter of 12: up to 3
    assert (
        difference_rate(y, b, condition=code, rng=1)["slope"]["estimate"]
        != plain["slope"]["estimate"]
    )
    again = difference_rate(y, b, condition=code, rng=generator(0))
    assert again["slope"]["estimate"] == plain["slope"]["estimate"]
    wide = difference_rate(y, b, condition=code, alpha=0.01)
    assert wide["slope"]["high"] > plain["slope"]["high"]
    with pytest.raises(ValueError, match=r"sizes are \[5\]; there must be two or more"):
        difference_rate(y, b, condition=code, sizes=[5])
    with pytest.raises(ValueError, match="whole numbers from 1 to 12"):
        difference_rate(y, b, condition=code, sizes=[1, 13])
    with pytest.raises(ValueError, match="equal in every run"):
        difference_rate(y, y, condition=code, sizes=[1, 2])
