"""Group means and cells: the source's measure step by step, what it cannot see, PFS."""

import numpy as np
import pandas as pd
import pytest

from simkit.estimators.shared import distances
from simkit.estimators.structure.fidelity import population_fidelity
from simkit.estimators.structure.groups import (
    by_groups,
    subgroup_structure,
)

SCALES = {"a": (1, 5), "b": (0, 10), "c": (1, 4), "d": (1, 5)}
GROUPS = ("men", "women", "old")


def people(seed, n=240):
    rng = np.random.default_rng(seed)
    man, old = rng.random(n) < 0.5, rng.random(n) < 0.4
    lean = rng.standard_normal(n) + man - 0.5 * old
    rows = {
        i: np.clip(np.round((lo + hi) / 2 + lean * s + rng.standard_normal(n)), lo, hi)
        for (i, (lo, hi)), s in zip(SCALES.items(), (1, 2, -0.5, 0.8), strict=True)
    }
    groups = pd.DataFrame({"men": man, "women": ~man, "old": old})
    return by_groups(pd.DataFrame(rows), groups, list(SCALES))


@pytest.fixture(scope="module")
def sides():
    return people(1), people(2)


def found(sides, **more):
    return subgroup_structure(*sides, SCALES, **{"n_boot": 40, "splits": 20, **more})


def test_as_published_step_by_step(sides):
    def matrix(groups):
        means = pd.DataFrame({g: f.mean().round(2) for g, f in groups.items()})
        ends = pd.DataFrame(SCALES, index=["low", "high"]).T
        scaled = means.sub(ends.low, axis=0).div(ends.high - ends.low, axis=0)
        return scaled.T.corr().round(3).to_numpy()[np.triu_indices(4, 1)]

    x, y = (matrix(groups) for groups in sides)
    result = found(sides, as_published=True)
    assert result["pearson_r"]["estimate"] == round(np.corrcoef(x, y)[0, 1], 3)
    assert result["rmse"]["estimate"] == round(np.sqrt(((x - y) ** 2).mean()), 3)
    assert "25 %" in result.notes[0] and "group x group" in result.notes[1]


def test_the_two_ways_differ_in_bounds_and_interval(sides):
    # Six items' worth of pairs on one matrix, three groups' worth on the other.
    published, right = (found(sides, as_published=p) for p in (True, False))
    for name in ("low", "lower_bound", "upper_bound"):
        assert published["rmse"][name] != pytest.approx(right["rmse"][name], abs=1e-3)
    assert right.over and not published.over
    # 240 people, 40 % of them old: means of fewer members than the interval needs.
    assert len(right.notes) == 1 and "below 200 trust no interval" in right.notes[0]
    held = right.frame.dropna()
    assert (held["low"] <= held["estimate"]).all() and (held["estimate"] <= held["high"]).all()


def test_keywords(sides):
    plain = found(sides)
    for more in ({"n_boot": 41}, {"splits": 21}, {"alpha": 0.2}, {"rng": 4}):
        assert not plain.frame.equals(found(sides, **more).frame)


def test_answers_of_a_person_may_be_torn_apart_unseen(sides):
    # Within each group every column in its own random order: nobody's answers belong together,
    # and no group mean has moved.
    rng = np.random.default_rng(0)
    torn = {g: f.apply(lambda c: rng.permutation(c.to_numpy())) for g, f in sides[0].items()}
    result = subgroup_structure(sides[0], torn, SCALES, n_boot=5, splits=3)
    assert result["pearson_r"]["raw"] == pytest.approx(1)
    assert result["rmse"]["raw"] == pytest.approx(0, abs=1e-12)
    kept = np.corrcoef(torn["men"].to_numpy(), rowvar=False)[0, 1]
    assert abs(kept) < 0.25 < np.corrcoef(sides[0]["men"].to_numpy(), rowvar=False)[0, 1]


def test_halves_are_of_respondents(sides):
    # Somebody in two groups is one person: the same half for both.
    from simkit.estimators.structure.groups import _Table

    table = _Table(sides[0], list(SCALES))
    first, second = table.halves(np.random.default_rng(0), apart=False)
    sizes = [len(a) + len(b) for a, b in zip(first, second, strict=True)]
    assert sizes == [len(f) for f in sides[0].values()]
    both = first[0].sum() + first[1].sum()  # men and women: everybody once
    assert both + second[0].sum() + second[1].sum() == pytest.approx(
        sides[0]["men"].to_numpy().sum() + sides[0]["women"].to_numpy().sum()
    )


def test_bad_input(sides):
    with pytest.raises(ValueError, match="three or more"):
        subgroup_structure({"men": sides[0]["men"]}, {"men": sides[1]["men"]}, SCALES)
    with pytest.raises(ValueError, match="two numbers that rise"):
        subgroup_structure(*sides, {"a": (5, 5)})
    with pytest.raises(ValueError, match="group 'men' has no item 'z'"):
        subgroup_structure(*sides, {"z": (1, 5)})
    frame = pd.DataFrame({"a": [1.0, 2]})
    with pytest.raises(ValueError, match="group 'g' has no members"):
        by_groups(frame, pd.DataFrame({"g": [False, False]}), ["a"])
    with pytest.raises(ValueError, match="same index"):
        by_groups(frame, pd.DataFrame({"g": [True]}), ["a"])


CELLS = np.array([[0.2, 0.8], [0.4, 0.6], [0.6, 0.4], [0.8, 0.2]])


def test_population_fidelity_known_values():
    # All distances halved: mean error (0.15 + 0.05 + 0.05 + 0.15) / 4 = 0.1, median distance
    # half as large, the same order: (0.9 * 0.5 * 1)^(1/3) = 0.7663.
    row = population_fidelity(CELLS, 0.5 + 0.5 * (CELLS - 0.5), n_boot=20).frame["estimate"]
    assert row.tolist() == pytest.approx([0.9, 0.5, 1, 0.45 ** (1 / 3)])
    flat = population_fidelity(CELLS, np.full((4, 2), 0.5), n_boot=20).frame["estimate"]
    assert flat.tolist() == pytest.approx([0.8, 0, 0, 0])
    assert np.isnan(population_fidelity(np.full((4, 2), 0.5), CELLS, n_boot=5)["pfs"]["estimate"])
    # A part of exactly 0 or 1 shows no spread: no interval of it.
    ends = population_fidelity(CELLS, np.full((4, 2), 0.5), n_boot=20).frame[["low", "high"]]
    assert ends.loc[["adaptability", "structure", "pfs"]].isna().all(axis=None)
    assert "4 cells; below 5 trust no interval" in population_fidelity(CELLS, CELLS).notes
    # Every cell 0.1 too high: accuracy 0.9 in all resamples, which says nothing of other cells.
    shifted = population_fidelity(CELLS, CELLS + np.array([-0.1, 0.1]), n_boot=20)
    assert shifted["accuracy"]["estimate"] == pytest.approx(0.9)
    assert shifted["accuracy"][["low", "high"]].isna().all()
    assert "4 of 4 parts without an interval" in shifted.notes[0]
    holes = CELLS.copy()
    holes[0] = np.nan
    assert "1 of 4 cells skipped" in population_fidelity(holes, CELLS, n_boot=5).notes[0]
    with pytest.raises(ValueError, match="they must be 3 or more"):
        population_fidelity(CELLS[:2], CELLS[:2])
    with pytest.raises(ValueError, match="must be the same"):
        population_fidelity(CELLS, CELLS[:3])


def test_popfidelity_agrees():
    oracle = pytest.importorskip("popfidelity")
    rng = np.random.default_rng(5)
    p, q = (rng.dirichlet(np.ones(4), 13) for _ in range(2))
    names, options = tuple(f"c{i:02d}" for i in range(13)), tuple("wxyz")
    theirs = oracle.score(oracle.Cells(names, options, p), oracle.Cells(names, options, q))
    ours = population_fidelity(p, q, n_boot=5).frame["estimate"]
    parts = ("score_accuracy", "score_adaptability", "score_structure", "pfs")
    assert ours.tolist() == pytest.approx([theirs[name] for name in parts], abs=1e-9)
    values = np.array([0.0, 1, 3, 7])
    pairs = {
        "total_variation": distances.total_variation(p, q),
        "nemd": distances.normalised_emd(p, q, np.arange(4)),
        "wasserstein": distances.wasserstein(p, q, values),
        "js_divergence": distances.jensen_shannon(p, q),
        "kl": distances.kl_divergence(p, q, smoothing=1e-6),
    }
    how = {"wasserstein": {"positions": values}, "js_divergence": {"base": 2.0},
           "kl": {"epsilon": 1e-6, "base": np.e}}  # fmt: skip
    for metric, mine in pairs.items():
        other = oracle.metrics.distance(p, q, metric, **how.get(metric, {}))
        assert mine == pytest.approx(np.asarray(other), abs=1e-5), metric
