"""Structure compared: known values, the floor, intervals with coverage, popfidelity as oracle."""

import numpy as np
import pandas as pd
import pytest

from simkit.estimators.structure.compare import compare_structure
from simkit.estimators.structure.factors import (
    compare_factors,
    compare_networks,
    loadings,
    partial_correlations,
    spectrum,
    tucker_congruence,
)
from simkit.estimators.structure.measures import (
    compare_matrices,
    correlation_of_correlations,
    mantel_test,
    rmsd,
    sign_agreement,
    structure_kept,
)

ITEMS = list("abcdef")


def one_factor(weights):
    m = np.outer(weights, weights)
    np.fill_diagonal(m, 1)
    return m


HUMAN = one_factor(np.array([0.8, 0.7, 0.6, -0.5, 0.4, 0.3]))
OTHER = one_factor(np.array([0.3, 0.5, 0.6, 0.5, -0.2, 0.4]))


def draw(matrix, n, seed):
    rng = np.random.default_rng(seed)
    rows = rng.multivariate_normal(np.zeros(len(matrix)), matrix, n)
    return pd.DataFrame(rows, columns=ITEMS[: len(matrix)])


@pytest.fixture(scope="module")
def humans():
    return draw(HUMAN, 600, 1)


@pytest.fixture(scope="module")
def control(humans):
    rng = np.random.default_rng(2)
    return humans.apply(lambda c: rng.permutation(c.to_numpy()))


def compare(humans, simulated, **more):
    return compare_structure(
        humans, simulated, **{"n_boot": 60, "splits": 20, "permutations": 99, **more}
    )


def test_measures_known_values():
    a, b = np.array([0.5, -0.1, 0.3]), np.array([0.3, 0.1, np.nan])
    # Differences 0.2 and -0.2, the third is missing: root of 0.04.
    assert rmsd(a, b) == pytest.approx(0.2)
    assert sign_agreement(a, b) == pytest.approx(0.5)
    assert sign_agreement([0.2, 0.3], [0.0, 0.1]) == pytest.approx(0.75)  # zero counts half
    # (0.5 * 0.3 - 0.1 * 0.1) / (0.25 + 0.01) = 0.14 / 0.26
    assert structure_kept(a, b) == pytest.approx(0.14 / 0.26)
    assert np.isnan(correlation_of_correlations(a, b))  # two pairs are no correlation
    assert correlation_of_correlations(a, 0.3 * a) == pytest.approx(1)
    assert np.isnan(rmsd([np.nan], [0.1]))


def test_compare_matrices_of_a_weaker_copy():
    # Every correlation halved: pattern and signs are perfect, half of the structure is kept.
    found = compare_matrices(HUMAN, HUMAN / 2)
    off = HUMAN[np.triu_indices(6, 1)]
    assert found["rmsd"] == pytest.approx(np.sqrt((off**2).mean()) / 2)
    assert found["correlation_of_correlations"] == pytest.approx(1)
    assert found["sign_agreement"] == 1 and found["structure_kept"] == pytest.approx(0.5)
    with pytest.raises(ValueError, match="must be of one shape"):
        compare_matrices(HUMAN, np.eye(3))


def test_mantel():
    # Of four items, 24 orders; with many permutations p is near the exact share.
    r, p = mantel_test(HUMAN, OTHER, permutations=400, rng=1)
    assert r == pytest.approx(compare_matrices(HUMAN, OTHER)["correlation_of_correlations"])
    assert p > 0.1
    assert mantel_test(HUMAN, HUMAN, permutations=200)[1] <= 2 / 201 + 0.01
    assert all(np.isnan(mantel_test(HUMAN, np.eye(6))))
    with pytest.raises(ValueError, match="permutations is 0"):
        mantel_test(HUMAN, OTHER, permutations=0)


def test_mantel_keeps_its_level():
    rng, hits = np.random.default_rng(0), 0
    for i in range(60):
        a, b = (np.corrcoef(rng.standard_normal((12, 7)), rowvar=False) for _ in range(2))
        hits += mantel_test(a, b, permutations=59, rng=i)[1] <= 0.1
    assert hits <= 13  # binomial(60, 0.1): 6 expected, 13 or more with probability 0.007


def test_a_second_sample_is_at_the_floor_and_the_control_is_not(humans, control):
    same = compare(humans, draw(HUMAN, 450, 5))
    row = same["rmsd"]
    assert row["floor_low"] < row["raw"] < row["floor_high"]
    assert row["low"] == 0
    assert same.over == "respondents of both sides"
    assert same["correlation_of_correlations"]["p"] < 0.05
    none = compare(humans, control)
    truth = compare_matrices(HUMAN, np.eye(6))
    assert none.interval("rmsd")[0] < truth["rmsd"] < none.interval("rmsd")[1]
    assert none["rmsd"]["raw"] > 3 * none["rmsd"]["floor_high"]
    assert none.interval("structure_kept")[1] < 0.3
    # Nothing but noise on one side: no correlation of the populations can be told.
    assert np.isnan(none["correlation_of_correlations"]["estimate"])
    assert "correlation_of_correlations: too much of the structure is noise" in none.notes[0]


def test_floor_is_what_theory_says(humans):
    # Fisher: the variance of r is about (1 - r^2)^2 / (n - 1), so two samples of n differ by
    # root(2 mean (1 - r^2)^2 / n); halves, of n / 2 each, by root 2 times that.
    row = compare(humans, draw(HUMAN, 600, 9), n_boot=200, splits=100)["rmsd"]
    off = HUMAN[np.triu_indices(6, 1)]
    expected = np.sqrt(2 * ((1 - off**2) ** 2).mean() / 600)
    assert row["floor"] == pytest.approx(expected, rel=0.15)
    assert row["split_half"] == pytest.approx(np.sqrt(2) * expected, rel=0.15)


def test_attenuation_is_what_theory_says():
    # Weak structure, few people: two samples of 60 correlate by T / (T + V), T the variance of
    # the true correlations, V the noise.
    weak = one_factor(np.array([0.6, 0.5, 0.4, -0.3, 0.2, 0.1]))
    off = weak[np.triu_indices(6, 1)]
    noise = ((1 - off**2) ** 2).mean() / 60
    rows = [
        compare(draw(weak, 60, s), draw(weak, 60, 99 + s), splits=2)["correlation_of_correlations"]
        for s in range(8)
    ]
    floor = np.nanmean([row["floor"] for row in rows])  # NaN where half of one is noise
    assert floor == pytest.approx(off.var() / (off.var() + noise), abs=0.12)


def test_paired_simulations_share_their_noise(humans):
    near = humans + 0.3 * draw(np.eye(6), 600, 3)
    apart, together = (compare(humans, near, paired=p, n_boot=100) for p in (False, True))
    assert together["rmsd"]["std_error"] < 0.6 * apart["rmsd"]["std_error"]
    assert together["rmsd"]["estimate"] > apart["rmsd"]["estimate"]
    with pytest.raises(ValueError, match="paired: 600 humans, 5 simulated"):
        compare(humans, near.head(5), paired=True)


@pytest.mark.parametrize(
    "more",
    [
        {"method": "spearman"},
        {"weights": np.linspace(0, 1, 600)},
        {"simulated_weights": np.linspace(0, 1, 600)},
        {"n_boot": 61},
        {"splits": 21},
        {"permutations": 50},
        {"alpha": 0.2},
        {"rng": 3},
        {"paired": True},
    ],
    ids=lambda m: next(iter(m)),
)
def test_every_keyword_changes_the_output(humans, more):
    simulated = draw(OTHER, 600, 4)
    plain, other = compare(humans, simulated), compare(humans, simulated, **more)
    assert not plain.frame.equals(other.frame)


def test_columns_in_another_order_and_the_same_seed(humans):
    simulated = draw(OTHER, 500, 4)
    first = compare(humans, simulated).frame
    pd.testing.assert_frame_equal(first, compare(humans, simulated[ITEMS[::-1]]).frame)


def test_constant_items_missing_answers_and_bad_matrices_are_counted(humans):
    holes = humans.head(40).mask(np.random.default_rng(1).random((40, 6)) < 0.75)
    found = compare(holes.assign(f=1.0), draw(OTHER, 90, 4))
    text = "\n".join(found.notes)
    assert "1 of 6 items do not vary among the humans (f)" in text
    assert "of 15 pairs of items are undefined among the humans" in text
    assert "humans: not positive semi-definite" in text
    assert np.isfinite(found["rmsd"]["raw"])


def test_least_leaves_pairs_out_that_few_have_answered(humans):
    holes = humans.copy()
    holes.loc[50:, "a"] = np.nan
    plain, strict = (compare(holes, draw(OTHER, 90, 4), least=n) for n in (3, 60))
    assert not any("undefined among" in note for note in plain.notes)
    assert "5 of 15 pairs of items are undefined among the humans" in strict.notes[0]
    assert plain["rmsd"]["floor"] > strict["rmsd"]["floor"]  # the thin pairs were the noisy ones
    with pytest.raises(ValueError, match="least is 2"):
        compare(holes, humans, least=2)


def test_a_simulated_item_that_collapsed_counts_as_a_failure(humans):
    twin = draw(HUMAN, 500, 8).assign(a=1.0, b=0.0)
    zero, skip = (compare(humans, twin, constant=c) for c in ("zero", "skip"))
    assert skip["rmsd"]["raw"] < 0.1 < zero["rmsd"]["estimate"]
    # The pairs of the two strongest items are gone: what is kept is their complement.
    off = HUMAN[np.triu_indices(6, 1)] ** 2
    left = (HUMAN[2:, 2:][np.triu_indices(4, 1)] ** 2).sum() / off.sum()
    assert zero["structure_kept"]["estimate"] == pytest.approx(left, abs=0.08)
    assert "2 of 6 items do not vary among the simulated (a, b)" in zero.notes[0]
    with pytest.raises(ValueError, match="no constant 'drop'; there are: zero, skip"):
        compare(humans, twin, constant="drop")


def test_bad_input(humans):
    with pytest.raises(ValueError, match="item 'f' is on one side only"):
        compare(humans, humans.drop(columns="f"))
    with pytest.raises(ValueError, match="n_boot is 1"):
        compare(humans, humans, n_boot=1)


@pytest.mark.parametrize("seed", range(12))
def test_every_estimate_lies_in_its_own_interval(seed):
    # Before, the samples' own value stood there: rmsd of two samples of one population is about
    # root(2 / n) = 0.08 at n = 300, which lies above the populations' interval again and again.
    other = (HUMAN, OTHER, 0.5 * HUMAN + 0.5 * np.eye(6))[seed % 3]
    sides = draw(HUMAN, 300, 2 * seed), draw(other, 300, 2 * seed + 1)
    for found in (compare(*sides), compare_networks(*sides, n_boot=20)):
        there = found.frame.dropna(subset=["low"])
        assert len(there) >= 1
        assert (there["low"] <= there["estimate"]).all()
        assert (there["estimate"] <= there["high"]).all()


def test_signs_have_no_interval():
    # 15 pairs, all true correlations 0.05, both sides alike: every sign agrees in truth. In samples
    # of 50 a correlation is below 0 with probability P(z < -0.05 root 50 = -0.35) = 0.36, so two
    # agree in 0.64^2 + 0.36^2 = 0.54: raw is of samples, and resamples of them do not reach 1.
    weak = np.full((6, 6), 0.05)
    np.fill_diagonal(weak, 1)
    rows = [compare(draw(weak, 50, s), draw(weak, 50, 90 + s))["sign_agreement"] for s in range(20)]
    assert np.mean([row["raw"] for row in rows]) == pytest.approx(0.54, abs=0.1)
    assert all(np.isnan(row[["estimate", "low", "high"]].astype(float)).all() for row in rows)
    assert "samples of this size" in compare(draw(weak, 50, 1), draw(weak, 50, 2)).notes[-1]


def test_noise_that_all_pairs_share_is_none():
    # Six positive items: the errors of their correlations go together. What moves all pairs alike
    # moves no pair against another, so it is no noise in a correlation over the pairs. With it
    # counted the floor of two samples of 100 was 0.38 where perfect simulations score 0.54.
    positive = one_factor(np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]))
    score, floor = [], []
    for s in range(25):
        row = compare(draw(positive, 150, s), draw(positive, 150, 500 + s))
        score.append(row["correlation_of_correlations"]["raw"])
        floor.append(row["correlation_of_correlations"]["floor"])
    # The score's standard error over 25 pairs of samples is about 0.02.
    assert np.mean(floor) == pytest.approx(np.mean(score), abs=0.05)


def test_where_half_of_the_structure_is_noise_there_is_no_floor_of_patterns():
    weak = one_factor(np.full(6, 0.3))  # all correlations 0.09: nothing varies between pairs
    row = compare(draw(weak, 40, 1), draw(weak, 40, 2))["correlation_of_correlations"]
    assert np.isnan(row[["floor", "floor_low", "floor_high"]].astype(float)).all()


def test_few_or_unequal_respondents_are_in_the_notes(humans):
    few = "\n".join(compare(humans.head(20), humans).notes)
    assert "humans: 20 respondents; below 30 trust no interval" in few
    # Weights of 1 for 10 and of 0.01 for 590: 15.9^2 / (10 + 0.059) = 25.1.
    weights = np.r_[np.ones(10), np.full(590, 0.01)]
    some = "\n".join(compare(humans, humans, weights=weights).notes)
    assert "humans: as good as 25.1 equal respondents; below 30" in some


def test_spectrum_and_loadings():
    # All correlations r: eigenvalues 1 + (k - 1) r once and 1 - r for the rest.
    m = np.full((4, 4), 0.4)
    np.fill_diagonal(m, 1)
    assert spectrum(m) == pytest.approx([2.2, 0.6, 0.6, 0.6])
    # The first component loads root(2.2 / 4) on each item.
    assert np.abs(loadings(m, 1)[:, 0]) == pytest.approx(np.sqrt(2.2 / 4))
    with pytest.raises(ValueError, match="factors is 5"):
        loadings(m, 5)


def test_tucker_ignores_how_factors_are_turned():
    two = loadings(HUMAN, 2)
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert tucker_congruence(two, 0.4 * two @ turn) == pytest.approx([1, 1])
    # One factor: phi of (1, 0) and (1, 1) is 1 / root 2.
    assert tucker_congruence([[1.0], [0]], [[1.0], [1]]) == pytest.approx([np.sqrt(0.5)])
    with pytest.raises(ValueError, match="loadings are"):
        tucker_congruence(two, two[:, :1])


def test_partial_correlations():
    # A chain a -> b -> c with r = 0.5: r_ac = 0.25 is all by way of b.
    chain = np.array([[1, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 1]])
    part = partial_correlations(chain, shrink=0)
    assert part[0, 2] == pytest.approx(0, abs=1e-12)
    # (0.5 - 0.25 * 0.5) / root((1 - 0.0625)(1 - 0.25)) = 0.4472
    assert part[0, 1] == pytest.approx(0.4472, abs=1e-4)
    assert abs(partial_correlations(chain, shrink=0.5)[0, 1]) < part[0, 1]
    with pytest.raises(ValueError, match="singular"):
        partial_correlations(np.ones((3, 3)), shrink=0)
    with pytest.raises(ValueError, match="shrink is 2"):
        partial_correlations(chain, shrink=2)


def test_compare_factors_and_networks(humans, control):
    twin = draw(HUMAN, 500, 8)
    near, far = (compare_factors(humans, s, n_boot=20) for s in (twin, control))
    assert near["tucker_phi"]["estimate"] > 0.95 > far["tucker_phi"]["estimate"]
    assert near["spectrum_rmsd"]["estimate"] < 0.2 < far["spectrum_rmsd"]["estimate"]
    assert compare_factors(humans, twin, n_boot=5, factors=3)["tucker_phi[3]"] is not None
    kept, lost = (compare_networks(humans, s, n_boot=20) for s in (twin, control))
    assert kept["edges_kept"]["raw"] > 0.7 > lost["edges_kept"]["raw"]
    assert kept["partial_rmsd"]["high"] < lost["partial_rmsd"]["low"]
    coarse = compare_networks(humans, twin, n_boot=5, edge=0.4)
    assert coarse["edges_kept"]["raw"] != kept["edges_kept"]["raw"]
    # At the end of a range no resample covers the populations' value: no interval there.
    assert near.frame[["low", "high"]].isna().all(axis=None) and "no intervals" in near.notes[-1]
    assert kept.frame.loc[["edges_kept", "edges_invented"], ["low", "high"]].isna().all(axis=None)
    with pytest.raises(ValueError, match="edge is 0"):
        compare_networks(humans, twin, edge=0)


def test_popfidelity_agrees():
    oracle = pytest.importorskip("popfidelity")
    a, b = (m[np.triu_indices(6, 1)] for m in (HUMAN, OTHER))
    theirs = oracle.structure.mantel(a, b, method="pearson", permutations=999)
    ours = mantel_test(HUMAN, OTHER, permutations=999)
    assert ours[0] == pytest.approx(next(iter(theirs.values())), abs=1e-12)


def test_copies_of_one_column_show_no_spread():
    # All items are +-1 times one column: every correlation is +-1 in every resample. Before, rmsd
    # was 0 [0, 0] and structure_kept 1 [1, 1], as if the populations were known exactly.
    rng = np.random.default_rng(0)
    sign = np.array([1, -1, 1, 1, -1, 1])
    sides = [pd.DataFrame(rng.standard_normal((50, 1)) * sign, columns=ITEMS) for _ in range(2)]
    found = compare(*sides)
    assert found.frame[["estimate", "low", "high"]].isna().all(axis=None)
    for name in ("rmsd", "correlation_of_correlations", "structure_kept"):
        assert any(note.startswith(f"{name}: undefined: it is the same") for note in found.notes)
    network = compare_networks(*sides, n_boot=20)
    assert network.frame[["low", "high"]].isna().all(axis=None)
    assert sum("undefined: it is the same" in note for note in network.notes) == 2
