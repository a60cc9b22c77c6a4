"""Clusters: the posterior by hand, all partitions enumerated, known clusters, every keyword."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special

from simkit.estimators.diversity.clusters import (
    _shuffled,
    chao1,
    crp_clusters,
    pairwise_agreement,
    split_rhat,
)

pytestmark = pytest.mark.filterwarnings("error")


# --- log posterior --------------------------------------------------------------------------


def log_posterior(answers, clusters, *, alpha=0.16, concentration=1.0):
    """Of a division of people into clusters, up to a constant: the formula of the module."""
    x, n = np.asarray(answers, dtype=float), len(answers)
    total = len(set(clusters)) * np.log(concentration)
    total += special.gammaln(concentration) - special.gammaln(n + concentration)
    for table in set(clusters):
        people = x[[c == table for c in clusters]]
        ones, zeros = np.nansum(people, 0), np.nansum(1 - people, 0)
        total += special.gammaln(len(people)) - x.shape[1] * special.betaln(alpha, alpha)
        total += special.betaln(ones + alpha, zeros + alpha).sum()
    return total


def test_log_posterior_by_hand():
    # Beta(1, 1): lnB(y + 1, n - y + 1) - lnB(1, 1) = ln(y! (n - y)! / (n + 1)!).
    # Three people, two questions: 11, 10, 00; the first two in one cluster, the third alone.
    # prior: -ln Γ(4) + ln Γ(2) + ln Γ(1) = -ln 6
    # cluster 1: question 1 has 2 of 2 ones, 2! 0! / 3! = 1/3; question 2 has 1 of 2, 1/6
    # cluster 2: 0 of 1 twice, 0! 1! / 2! = 1/2 each
    # total ln(1/6 * 1/3 * 1/6 * 1/2 * 1/2) = ln(1/432)
    x = [[1, 1], [1, 0], [0, 0]]
    found = log_posterior(x, ["a", "a", "b"], alpha=1.0)
    assert found == pytest.approx(-np.log(432))
    # concentration 2: ln 2 * 2 clusters + lnΓ(2) - lnΓ(5) = ln(4 / 24) in the place of -ln 6
    assert log_posterior(x, [0, 0, 1], alpha=1.0, concentration=2.0) == pytest.approx(-np.log(432))
    # with the third person's answers missing his cluster has likelihood 1
    x[2] = [np.nan, np.nan]
    assert log_posterior(x, [0, 0, 1], alpha=1.0) == pytest.approx(-np.log(108))


def test_log_posterior_at_the_sources_alpha():
    # One question, two people who say 1: together lnB(2.16, 0.16) - lnB(0.16, 0.16)
    # = ln[(0.16 * 1.16) / (0.32 * 1.32)] = ln(0.439394), prior -ln Γ(3) = -ln 2
    found = log_posterior([[1], [1]], [5, 5])
    assert found == pytest.approx(np.log(0.439394 / 2), abs=1e-6)
    # apart: (1/2)^2, prior the same: so a person more at the table is worth 0.44 / 0.25
    assert log_posterior([[1], [1]], [5, 6]) == pytest.approx(np.log(0.25 / 2))


def partitions(n):
    """All ways to divide n people: restricted growth strings."""
    if n == 0:
        yield []
        return
    for head in partitions(n - 1):
        for label in range(max(head, default=-1) + 2):
            yield [*head, label]


@pytest.mark.parametrize("start", ["in turn", "alone", "together"])
def test_sampler_against_all_partitions(start):
    # 6 people: 203 partitions, weighed by the log posterior that was checked by hand above.
    rng = np.random.default_rng(0)
    x = np.where(rng.random((6, 5)) < 0.2, np.nan, rng.integers(0, 2, (6, 5)))
    every = list(partitions(6))
    log = np.array([log_posterior(x, p, alpha=0.6, concentration=1.7) for p in every])
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    sizes = [np.bincount(p) for p in every]
    true = {
        "p_multiple": weight @ [1 - ((s / 6) ** 2).sum() for s in sizes],
        "clusters": weight @ [len(s) for s in sizes],
        # Dirichlet(sizes, c) draws: E sum w^2 = sum n (n + 1) / (M (M + 1)), M = 6 + c; the rest's
        # square c (c + 1) / (M (M + 1)), times 1 / (1 + c)
        "p_multiple_population": weight
        @ [1 - ((s * (s + 1)).sum() + 1.7) / (7.7 * 8.7) for s in sizes],
    }
    found = crp_clusters(
        x, prior=0.6, concentration=1.7, sweeps=170, chains=240, burn_in=20, start=start
    )
    for name, value in true.items():
        row = found[name]
        # autocorrelated draws: allow for a tenth of them
        assert row["estimate"] == pytest.approx(value, abs=4 * row["std_error"] / np.sqrt(3600))
        assert row["rhat"] < 1.02


def known(people=40, questions=36, clusters=3, seed=0):
    rng = np.random.default_rng(seed)
    p = np.clip(rng.beta(0.16, 0.16, (clusters, questions)), 0.02, 0.98)
    label = np.arange(people) % clusters
    return (rng.random((people, questions)) < p[label]).astype(float), label


@pytest.mark.parametrize("clusters", [1, 2, 4])
def test_known_clusters_are_found(clusters):
    x, label = known(clusters=clusters)
    x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
    found = crp_clusters(x, sweeps=150)
    true = 1 - ((np.bincount(label) / 40) ** 2).sum()
    assert found["p_multiple"]["estimate"] == pytest.approx(true, abs=0.04)
    assert found["clusters"]["estimate"] == pytest.approx(clusters, abs=1.0)
    low, high = found.interval("p_multiple_population")
    assert low <= 1 - 1 / clusters <= high or clusters == 1


def test_an_always_first_model_has_one_concept():
    found = crp_clusters(np.zeros((30, 36)), sweeps=60)
    assert found["p_multiple"]["estimate"] < 0.01
    assert pairwise_agreement(np.zeros((30, 36)))["agreement"]["estimate"] == 1


def test_groups_are_clustered_alone():
    a, b = known(people=24, clusters=1)[0], known(people=30, clusters=3, seed=4)[0]
    x, by = np.concatenate([a, b]), np.repeat(["one", "three"], [24, 30])
    mixed = np.random.default_rng(2).permutation(54)
    found = crp_clusters(x[mixed], by=by[mixed], sweeps=100)
    alone = crp_clusters(b, sweeps=100, rng=8)
    row = found["three, p_multiple"]
    assert row["estimate"] == pytest.approx(alone["p_multiple"]["estimate"], abs=0.02)
    assert (row["people"], row["group"], row["quantity"]) == (30, "three", "p_multiple")
    pair = [found[f"{g}, p_multiple"]["estimate"] for g in ("one", "three")]
    mean = found["mean of groups, p_multiple"]
    assert mean["estimate"] == pytest.approx(np.mean(pair))
    assert mean["rhat"] == max(found[f"{g}, p_multiple"]["rhat"] for g in ("one", "three"))


def test_population_interval_covers():
    # Clusters with shares 1/2, 1/3, 1/6: two of the population differ with 1 - 14/36 = 0.611.
    hits: list[bool] = []
    rng = np.random.default_rng(3)
    p = rng.choice([0.04, 0.96], (3, 30))
    for _ in range(4):
        label = rng.choice(3, 400, p=[1 / 2, 1 / 3, 1 / 6])
        x = (rng.random((400, 30)) < p[label]).astype(float)
        found = crp_clusters(x, by=np.repeat(np.arange(16), 25), sweeps=60, chains=2, rng=rng)
        rows = found.frame[found.frame["quantity"] == "p_multiple_population"].iloc[:-1]
        hits += ((rows["low"] <= 22 / 36) & (rows["high"] >= 22 / 36)).tolist()
    assert np.mean(hits) > 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / len(hits))


def test_rhat_sees_chains_that_do_not_mix():
    x = known(people=60, clusters=3)[0]
    stuck = crp_clusters(x, sweeps=60, chains=6, start="together")
    assert stuck["p_multiple"]["rhat"] > 1.2  # one at a time, two clusters seldom part
    assert stuck["p_multiple"][["std_error", "low", "high"]].isna().all()  # and no interval
    assert any("R-hat above 1.05: the chains do not agree" in note for note in stuck.notes)
    assert crp_clusters(x, sweeps=300, chains=6)["p_multiple"]["rhat"] < 1.1


# --- null, agreement and power -----------------------------------------------------------------


def test_coins_are_not_above_their_null():
    """Issue: answers of coins score 0.96 at alpha 0.16, and so do they permuted: 0 is above it."""
    coins = np.random.default_rng(0).integers(0, 2, (30, 36)).astype(float)
    row = crp_clusters(coins, sweeps=60, permutations=19)["p_multiple"]
    assert row["estimate"] > 0.9 and row["null"] > 0.9  # the number alone would be 29 concepts
    assert abs(row["above"]) < 0.02 and row["p"] > 0.05
    # two concepts, each with 0.95 or 0.05 to every question: 1/2 above a null of next to nothing
    p = np.random.default_rng(1).choice([0.05, 0.95], (2, 36))[np.arange(30) % 2]
    two = (np.random.default_rng(2).random((30, 36)) < p).astype(float)
    # the same person says the same twice with 0.95^2 + 0.05^2 = 0.905
    row = crp_clusters(two, sweeps=60, permutations=19, agreement=0.905)["p_multiple"]
    assert row["estimate"] == pytest.approx(0.5, abs=0.01) and row["null"] < 0.1
    assert row["p"] == pytest.approx(1 / 20) and row["power"] > 0.9


def test_alpha_follows_from_the_agreement_of_two_answers():
    # Beta(a, a): two answers agree with E[p^2 + (1 - p)^2] = (1 + a) / (1 + 2 a);
    # a = 0.16: 1.16 / 1.32 = 0.8788. From r = 0.8: a = 0.2 / 0.6 = 1/3; r = 0.6: 0.4 / 0.2 = 2.
    x = np.random.default_rng(0).integers(0, 2, (12, 4)).astype(float)
    how = {"sweeps": 20, "permutations": 19, "by": np.repeat(["a", "b"], 6)}
    found = crp_clusters(x, agreement={"a": 0.8, "b": 0.6}, **how)
    assert found["a, p_multiple"]["alpha"] == pytest.approx(1 / 3)
    assert found["b, p_multiple"]["alpha"] == pytest.approx(2)
    same = crp_clusters(x, agreement=1.16 / 1.32, sweeps=20).frame["estimate"]
    source = crp_clusters(x, sweeps=20).frame["estimate"]
    assert same.to_numpy() == pytest.approx(source.to_numpy(), rel=1e-6)  # the same draws
    with pytest.raises(ValueError, match="agreement has no 'b'"):
        crp_clusters(x, agreement={"a": 0.8}, **how)
    with pytest.raises(ValueError, match=r"agreement: row 0 holds 1[.]2; it must be"):
        crp_clusters(x, agreement=1.2)
    with pytest.raises(ValueError, match="permutations is 5; it must be 0, or 19 or more"):
        crp_clusters(x, permutations=5)


def test_answers_too_unreliable_say_nothing():
    """30 people who agree with themselves in 0.54 of the answers: two concepts are not found."""
    coins = np.random.default_rng(0).integers(0, 2, (30, 36)).astype(float)
    found = crp_clusters(coins, sweeps=40, permutations=19, agreement=0.54)
    assert found["p_multiple"]["power"] < 0.5
    assert any("too unreliable to say" in note for note in found.notes)
    steady = crp_clusters(coins, sweeps=40, permutations=19, agreement=0.9)
    assert not any("too unreliable" in note for note in steady.notes)


def test_shuffles_keep_each_question_and_who_answered():
    x = np.random.default_rng(0).integers(0, 2, (1, 20, 5)).astype(float)
    x[0, :4, 1] = np.nan
    mixed = _shuffled(x, np.random.default_rng(1))
    assert (np.isnan(mixed) == np.isnan(x)).all()
    assert np.nansum(mixed, axis=1) == pytest.approx(np.nansum(x, axis=1))
    assert not np.array_equal(mixed, x, equal_nan=True)


def test_every_keyword_changes_the_result():
    x = np.random.default_rng(6).integers(0, 2, (20, 5)).astype(float)  # nothing is certain here
    x[0, 0] = np.nan
    base = {"sweeps": 30, "chains": 3}

    def of(**kwargs):
        return crp_clusters(x, **(base | kwargs)).frame

    first = of()
    for change in (
        {"prior": 0.5}, {"concentration": 4.0}, {"sweeps": 31}, {"burn_in": 7}, {"chains": 2},
        {"start": "alone"}, {"rng": 1},
    ):  # fmt: skip
        assert not of(**change)["estimate"].equals(first["estimate"]), change
    rows = ["p_multiple_population", "clusters"]
    long = {"sweeps": 400, "chains": 2}  # R-hat below 1.05: there is an interval
    assert (of(**long, alpha=0.5)["low"][rows] > of(**long)["low"][rows]).all()
    assert not of(agreement=0.6)["estimate"].equals(first["estimate"])
    assert {"null", "above", "p", "power", "alpha"} <= set(of(permutations=19))
    assert len(of(by=np.arange(20) % 2)) == 15
    pd.testing.assert_frame_equal(first, of())
    assert crp_clusters(x, **base).notes[0] == "1 of 100 answers are missing (left out)"


def test_bad_input_is_refused():
    x = np.zeros((3, 2))
    x[1, 1] = 2
    with pytest.raises(ValueError, match="row 1, question 1 is 2; it must be 0, 1 or NaN"):
        crp_clusters(x)
    for value in ({"prior": 0.0}, {"concentration": -1.0}):
        with pytest.raises(ValueError, match="must be a finite number above 0"):
            crp_clusters(np.zeros((3, 2)), **value)
    for value in ({"sweeps": 1}, {"burn_in": 1000}, {"chains": 0}):
        with pytest.raises(ValueError, match="must be 2 or more sweeps after the burn-in"):
            crp_clusters(np.zeros((3, 2)), **value)
    with pytest.raises(ValueError, match="no start 'apart'"):
        crp_clusters(np.zeros((3, 2)), start="apart")
    with pytest.raises(ValueError, match="it must have shape \\(people, questions\\)"):
        pairwise_agreement(np.zeros(3))


# --- numbers of concepts, R-hat, agreement ---------------------------------------------------


def test_chao1_by_hand():
    # 4 kinds once, 2 twice, 1 three times, 1 four times, 1 seven times: n = 22, S = 9
    sizes = [1, 1, 1, 1, 2, 2, 3, 4, 7, 0]
    first, better = chao1(sizes)
    # 9 + 21/22 * 16/4 = 12.81818
    assert first == pytest.approx(12.81818, abs=1e-5)
    # + 19/88 * 1/1 * max(4 - 19/42 * 2 * 1, 0) = 0.2159091 * 3.0952381 = 0.6682900
    assert better == pytest.approx(13.48647, abs=1e-5)
    # without kinds seen twice f1 (f1 - 1) / 2 = 3: 4 + 5/6 * 3; no f4: no improvement
    assert chao1([1, 1, 1, 3]) == (pytest.approx(6.5), pytest.approx(6.5))
    assert np.isnan(chao1([0, 0])).all()  # a sample of nobody
    assert [x.shape for x in chao1(np.ones((2, 5, 4)))] == [(2, 5)] * 2


def test_split_rhat_by_hand():
    # halves 0 1, 2 3, 4 5, 6 7: variance within each 1/2; means 0.5, 2.5, 4.5, 6.5: variance 20/3
    # sqrt(1/2 + (20/3) / (1/2)) = sqrt(13.8333) = 3.719319
    assert split_rhat([[0, 1, 2, 3], [4, 5, 6, 7]]) == pytest.approx(3.719319, abs=1e-6)
    draws = np.random.default_rng(0).normal(size=(4, 2000))
    assert split_rhat(draws) == pytest.approx(1, abs=0.005)
    assert split_rhat(np.ones((3, 10))) == 1
    assert split_rhat([[1.0] * 6, [2.0] * 6]) == np.inf
    assert np.isnan(split_rhat([[1.0, 2.0, 3.0]]))


def test_agreement_by_hand():
    # Question 1: 1 1 0 -> 1 of 3 pairs; question 2: 0 0 and one missing -> 1 of 1; mean 2/3.
    x = [[1, 0], [1, 0], [0, np.nan]]
    found = pairwise_agreement(x)["agreement"]
    assert found["estimate"] == pytest.approx(2 / 3)
    # jackknife: without 1: q1 of (1, 0) 0, q2 nobody: 0; without 2 the same; without 3: 1 and 1
    # differences -2/3, -2/3, 1/3: 2/3 * (4/9 + 4/9 + 1/9) = 2/3
    assert found["std_error"] == pytest.approx(np.sqrt(2 / 3))
    by = pairwise_agreement(np.tile(x, (2, 1)), by=[*"aaabbb"])
    assert by["b, agreement"]["estimate"] == pytest.approx(2 / 3)
    coins = np.random.default_rng(0).integers(0, 2, (80, 40))
    low, high = pairwise_agreement(coins).interval("agreement")
    assert low < 0.5 < high
    with_one_mind = pairwise_agreement(np.ones((5, 3)))
    assert np.isnan(with_one_mind["agreement"]["low"])  # nobody differs: no interval of width 0
    assert with_one_mind.notes == ("1 of 1 populations of people who do not differ: no interval",)
    narrow = pairwise_agreement(coins, alpha=0.5).interval("agreement")
    assert low < narrow[0] < narrow[1] < high
