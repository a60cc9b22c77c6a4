"""What group means can tell of structure, and how often an interval is right: simulations."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from simkit.estimators.shared.intervals import score_interval
from simkit.estimators.structure.compare import compare_structure
from simkit.estimators.structure.correlations import off_diagonal
from simkit.estimators.structure.measures import compare_matrices, rmsd
from simkit.estimators.structure.samples import sampled
from simkit.studies.claims import mean_ends
from simkit.survey import answer_values
from simkit.types import FloatArray, generator
from simkit.worlds import survey

__all__ = ["interval_check", "known_populations", "subgroup_simulation", "ten_groups",
           "world_groups"]  # fmt: skip

POPULATIONS = ("second sample", "personas", "independent margins")
GROUPS = (5, 10, 20, 50, 100)
FAR = 1.5  # times a second sample's distance, from which a measure tells a population from it


def ten_groups(people: pd.DataFrame) -> pd.DataFrame:
    """Ten overlapping groups of the survey world, a column of bools each (Williams et al.: ten)."""
    return pd.DataFrame({
        "men": people["gender"] == "man",
        "women": people["gender"] == "woman",
        "18 to 34": people["age"] == "18 to 34",
        "over 34": people["age"] != "18 to 34",
        "65 or older": people["age"] == "65 or older",
        "school": people["education"] == "school",
        "university": people["education"] == "university",
        "city": people["residence"] == "city",
        "countryside": people["residence"] == "countryside",
        "high income": people["income"] == "high",
    })  # fmt: skip


def world_groups(people: pd.DataFrame) -> pd.DataFrame:
    """All groups that one or two demographic values define, as bools: the pool to draw from."""
    single = {
        f"{name}={value}": people[name] == value
        for name, values in survey.DEMOGRAPHICS.items()
        for value in values
    }
    pairs = {
        f"{a}, {b}": single[a] & single[b]
        for a, b in combinations(single, 2)
        if a.split("=")[0] != b.split("=")[0]
    }
    groups = pd.DataFrame({**single, **pairs})
    return groups.loc[:, groups.sum() >= 10]


def subgroup_simulation(
    n: int, *, repetitions: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The group measure on populations of known structure, for more and more overlapping groups.

    n respondents of the survey world stand for the humans, and three populations for simulations:
    a second sample (perfect), perfect personas (every answer drawn by itself given all
    demographics, so nobody's answers belong together) and independent margins. Groups are drawn
    from `world_groups`.

    Returns two frames. The first has a row per population and number of groups: estimate (mean
    RMSD of the correlations of group means over repetitions), low and high (their 2.5 and 97.5 %
    quantiles), excess with its ends (mean over repetitions of the RMSD less FAR times that of
    the second sample, and its 95 % t interval: above 0 the measure tells the population from a
    perfect one by that factor, below 0 it does not), and power with its ends (share of the
    repetitions whose RMSD lies above the 95 % quantile of the second sample's, which a test of
    size 0.05 of "as good as a second sample" rejects; Wilson's interval); where fewer groups have
    10 members, the row is missing. The second has the RMSD of the individual correlations:
    population, estimate, low, high, power and its ends.
    """
    rows = []
    for r in range(repetitions):
        stream = generator(seed, "subgroups", r)
        ours, theirs = (survey.respondents(n, stream) for _ in range(2))
        human, second = (
            pd.DataFrame({q: answer_values(people[q], survey.question(q)) for q in survey.ITEMS})
            for people in (ours, theirs)
        )
        personas = _drawn(theirs[list(survey.DEMOGRAPHICS)], stream)
        torn = second.apply(lambda c, s=stream: s.permutation(c.to_numpy()))
        simulated = dict(zip(POPULATIONS, (second, personas, torn), strict=True))
        pools = [world_groups(people) for people in (ours, theirs)]
        names = sorted(set(pools[0]) & set(pools[1]))
        true = _means(human, pools[0][names])
        means = {name: _means(answers, pools[1][names]) for name, answers in simulated.items()}
        for g in (g for g in GROUPS if g <= len(names)):  # few people fill few groups
            drawn = stream.choice(len(names), g, replace=False)
            rows += [
                (name, g, r, _distance(true[:, drawn], m[:, drawn])) for name, m in means.items()
            ]
        rows += [
            (name, 0, r, _distance(human.to_numpy().T, answers.to_numpy().T))
            for name, answers in simulated.items()
        ]
    every = pd.DataFrame(rows, columns=["population", "groups", "repetition", "value"])
    by, alone = every[every["groups"] > 0], every[every["groups"] == 0]
    grouped = _summary(by).join(_excess(by), on=["population", "groups"])
    return grouped, _summary(alone).drop(columns="groups")


def _drawn(people: pd.DataFrame, stream: np.random.Generator) -> pd.DataFrame:
    """Each answer drawn by itself, from what the world believes of these demographics."""
    out = {}
    for name in survey.ITEMS:
        below = survey.exact(people, name).cumsum(axis=1)[:, :-1]
        out[name] = 1.0 + (below <= stream.random((len(people), 1))).sum(axis=1)
    return pd.DataFrame(out, index=people.index)


def _means(answers: pd.DataFrame, groups: pd.DataFrame) -> FloatArray:
    """Means (items, groups) of the members' answers, none of which is missing."""
    member = groups.to_numpy(dtype=float)
    return np.asarray(answers.to_numpy(dtype=float).T @ member / member.sum(axis=0))


def _distance(human: FloatArray, simulated: FloatArray) -> float:
    """RMSD of the correlations of items (items, groups or people)."""
    return float(rmsd(*(off_diagonal(np.corrcoef(values)) for values in (human, simulated))))


def _excess(by: pd.DataFrame) -> pd.DataFrame:
    """Mean of value less FAR times the second sample's, with the t interval over repetitions."""
    wide = by.pivot(index=["groups", "repetition"], columns="population", values="value")
    over = wide.sub(FAR * wide[POPULATIONS[0]], axis=0).stack()
    means = mean_ends(over.groupby(level=["population", "groups"]))[["estimate", "low", "high"]]
    return means.set_axis(["excess", "excess_low", "excess_high"], axis=1)


def _summary(by: pd.DataFrame) -> pd.DataFrame:
    """Per population and number of groups: mean, quantiles, and power against a second sample."""
    keys = ["population", "groups"]
    values = by.groupby(keys, sort=False)["value"]
    ends = values.quantile([0.025, 0.975]).unstack().set_axis(["low", "high"], axis=1)
    line = by[by["population"] == POPULATIONS[0]].groupby("groups")["value"].quantile(0.95)
    above = by.assign(value=by["value"] > by["groups"].map(line)).groupby(keys, sort=False)["value"]
    power = above.mean().to_frame("power")
    power["power_low"], power["power_high"] = score_interval(
        power["power"].to_numpy(), above.size().to_numpy(dtype=float), 1.96
    )
    return values.mean().to_frame("estimate").join([ends, power]).reset_index()


def known_populations() -> tuple[FloatArray, FloatArray]:
    """Two correlation matrices (6, 6) of one factor each, chosen to differ: humans, simulation."""
    made = []
    for load in ((0.8, 0.7, 0.6, -0.5, 0.4, 0.3), (0.5, 0.6, 0.2, -0.2, 0.5, 0.4)):
        m = np.outer(load, load)
        np.fill_diagonal(m, 1.0)
        made.append(m)
    return made[0], made[1]


def interval_check(*, repetitions: int, n_boot: int, seed: int) -> pd.DataFrame:
    """How often intervals of the RMSD contain it, where both populations are known exactly.

    In each repetition 200 humans and 200 simulated respondents are drawn from `known_populations`.
    Returns one row per way of making the interval: coverage, low, high (Wilson's, over
    repetitions), width (mean): "25 to 97.5 %" are the quantiles of plain resamples that the
    published code takes for a 95 % interval, "2.5 to 97.5 %" the ones that the name says (each
    resample adds sampling error once more, which counts as distance) and "noise taken out" those of
    `compare_structure`.
    """
    human, other = known_populations()
    truth, ends = compare_matrices(human, other)["rmsd"], []
    items = [f"item {i + 1}" for i in range(len(human))]
    for r in range(repetitions):
        stream = generator(seed, "interval", r)
        h, s = (
            pd.DataFrame(stream.multivariate_normal(np.zeros(len(m)), m, 200), columns=items)
            for m in (human, other)
        )
        draws = sampled(h, s, "pearson", None, None, False, n_boot, 2, r)
        plain = rmsd(draws.pairs[0], draws.pairs[1])[1:]
        mine = compare_structure(h, s, n_boot=n_boot, splits=2, permutations=1, rng=r)
        pairs = [np.quantile(plain, q) for q in ((0.25, 0.975), (0.025, 0.975))]
        ends.append([*pairs, mine.interval("rmsd")])
    held = np.array(ends)  # (repetitions, ways, 2)
    hit = ((held[..., 0] <= truth) & (truth <= held[..., 1])).mean(axis=0)
    low, high = score_interval(hit, float(repetitions), 1.96)
    width = (held[..., 1] - held[..., 0]).mean(axis=0)
    return pd.DataFrame(
        {"coverage": hit, "low": low, "high": high, "width": width},
        index=pd.Index(
            ["25 to 97.5 %, as published", "2.5 to 97.5 %", "2.5 to 97.5 %, noise taken out"]
        ),
    )
