"""Diversity: line of unity, expected distance, spread, dose and response, clusters, agreement."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

import simkit.estimators as est
from tests.simulations.case import Case

LENGTH = np.sqrt(16 / np.pi)  # mean distance of two 3-D normal points of standard deviation 1


def _inside(row, truth: float, ends: Sequence[str] = ("low", "high")) -> bool | None:
    low, high = float(row[ends[0]]), float(row[ends[1]])
    return None if np.isnan(low) else bool(low <= truth <= high)


# --- line of unity: everybody has a colour of his own for a word, and says it twice with noise ---


def _blocks(rng: np.random.Generator, people: int, spread: np.ndarray, noise: np.ndarray):
    """Two blocks (people, words, 3); spread and noise are (words,)."""
    own = spread[:, None] * rng.normal(size=(people, len(spread), 3))
    return [own + noise[:, None] * rng.normal(size=own.shape) for _ in range(2)]


def _unity_people(people: int, spread: float, seen: float = 1.0) -> list[Case]:
    words, noise = 3, 6.0
    truth = LENGTH * (np.hypot(spread, noise) - noise) / np.sqrt(2)

    def found(rng):
        one, two = _blocks(rng, people, np.full(words, spread), np.full(words, noise))
        one[rng.random((people, words)) > seen] = np.nan
        return est.line_of_unity(one, two, permutations=2)

    design = f"{people} people, {seen:.0%} of the words each, spread {spread:g}, noise {noise:g}"
    return [
        Case("line_of_unity", "signed of a word, over people", design,
             lambda rng: _inside(found(rng).frame.iloc[0], truth)),
        Case("line_of_unity", "mean signed, over people", design,
             lambda rng: _inside(found(rng).overall["signed"], truth,
                                 ("low_people", "high_people"))),
    ]  # fmt: skip


def _unity_words(words: int) -> list[Case]:
    """Words are drawn: their spread and noise are gamma and uniform; people's noise is small."""
    people = 100

    def overall(rng):
        spread, noise = rng.gamma(9, 2, words), rng.uniform(4, 10, words)
        return est.line_of_unity(*_blocks(rng, people, spread, noise), permutations=2).overall

    many = np.random.default_rng(0)
    spread, noise = many.gamma(9, 2, 10**6), many.uniform(4, 10, 10**6)
    both = LENGTH * np.stack([noise, np.hypot(spread, noise)])
    signed = float((both[1] - both[0]).mean() / np.sqrt(2))
    r = float(np.corrcoef(both)[0, 1])
    design = f"{words} words drawn, {people} people"
    return [
        Case("line_of_unity", "mean signed, over words", design,
             lambda rng: _inside(overall(rng)["signed"], signed), repetitions=400),
        Case("line_of_unity", "correlation, over words", design,
             lambda rng: _inside(overall(rng)["correlation"], r), repetitions=400),
    ]  # fmt: skip


def _unity_null(people: int) -> Case:
    def repetition(rng: np.random.Generator) -> bool:
        blocks = _blocks(rng, people, np.zeros(2), np.full(2, 10.0))
        return bool(est.line_of_unity(*blocks, permutations=39).frame["p"].iloc[0] <= 0.05)

    return Case("line_of_unity", "p of a word", f"{people} people, no individuals", repetition,
                "size")  # fmt: skip


# --- expected distance: items are drawn, the people's beliefs are known ---------------------------


def _expected(items: int) -> Case:
    """Belief in the first of two answers is 1/2 + g or 1/2 - g, by halves; g uniform on items."""
    # 20 people: internal 2 p (1 - p) = 1/2 - 2 g^2; of two different people, 9/19 of them alike,
    # 1/2 - 2 g^2 (9 - 10) / 19; signed = (2 g^2)(20 / 19) / sqrt(2); E g^2 = 0.16 / 3
    truth = 2 * (0.16 / 3) * (20 / 19) / np.sqrt(2)

    def repetition(rng: np.random.Generator) -> bool | None:
        p = 0.5 + np.where(np.arange(20) % 2, 1, -1)[:, None] * rng.uniform(0, 0.4, items)
        found = est.expected_distance(np.stack([p, 1 - p], axis=-1), 1 - np.eye(2))
        return _inside(found.overall["signed"], truth)

    return Case("expected_distance", "mean signed, over items", f"{items} items drawn", repetition)


# --- spread of simulated over real people ---------------------------------------------------------


def _spread(people: int, kind: str, likert: bool, paired: bool = True) -> Case:
    ends = np.array([-np.inf, -1.2, -0.4, 0.4, 1.2, np.inf])

    def answers(rng, n):
        human = rng.normal(size=n)
        twin = 0.7 * (0.6 * human + 0.8 * rng.normal(size=n))
        if not paired:
            human = rng.normal(size=n)
        return [np.digitize(x, ends[1:-1]) + 1.0 if likert else x for x in (human, twin)]

    def spread(x):
        share = np.unique(x, return_counts=True)[1] / len(x)
        return -(share * np.log(share)).sum() if kind == "entropy" else x.std()

    human, twin = answers(np.random.default_rng(0), 10**6)
    truth = float(spread(twin) / spread(human)) ** (2 if kind == "variance" else 1)

    def repetition(rng: np.random.Generator) -> bool | None:
        one, two = answers(rng, people)
        found = est.spread_ratio(one[:, None], two[:, None], kind=kind, paired=paired)
        return _inside(found.frame.iloc[0], truth)

    what = "5 answers" if likert else "normal answers"
    design = f"{people} {'pairs' if paired else 'people each'}, {what}"
    return Case("spread_ratio", f"{kind} of an outcome, over people", design, repetition)


def _studies(sizes: Sequence[int], quantity: str, what: str, promise=None, why="") -> Case:
    """Studies differ in their mean log ratio (0.2), outcomes within them too (0.1)."""

    def repetition(rng: np.random.Generator) -> bool | None:
        study = np.repeat(np.arange(len(sizes)), sizes)
        log = np.log(0.7) + 0.2 * rng.normal(size=len(sizes))[study]
        log += 0.1 * rng.normal(size=len(study))
        human = np.tile(rng.normal(size=(6, 1)), len(study))
        found = est.spread_ratio(human, human * np.exp(log), by=study)
        return _inside(found.overall[quantity], 0.7)

    return Case("spread_ratio", f"{quantity}, over studies", f"{len(sizes)} studies, {what}",
                repetition, promise=promise, why=why)  # fmt: skip


def _below(outcomes: int, share: float) -> Case:
    """Each outcome's ratio is 0.7 or 1.4, 0.7 with this probability, and hardly noisy."""

    def repetition(rng: np.random.Generator) -> bool | None:
        ratio = np.where(rng.random(outcomes) < share, 0.7, 1.4)
        human = np.tile(rng.normal(size=(6, 1)), outcomes)
        return _inside(est.spread_ratio(human, human * ratio).overall["share_below"], share)

    design = f"{outcomes} outcomes, {share:g} of them below"
    return Case("spread_ratio", "share_below, over outcomes", design, repetition,
                promise=(0.93, 1.0), why="a share of few outcomes is discrete")  # fmt: skip


# --- dose and response ----------------------------------------------------------------------------


def _left(items: int, cv: float, promise=None, why="") -> Case:
    """The baseline of an item is gamma with this coefficient of variation; half of it is left."""

    def repetition(rng: np.random.Generator) -> bool | None:
        base = rng.gamma(cv**-2, cv**2, items)
        left = base * rng.uniform(0.2, 0.8, items)
        return _inside(est.dose_response([base, left], [0, 1])["left, dose=1"], 0.5)

    return Case("dose_response", "left, over items", f"{items} items, baseline's sd/mean {cv:g}",
                repetition, promise=promise, why=why)  # fmt: skip


def _step(items: int) -> Case:
    def repetition(rng: np.random.Generator) -> bool:
        x = 10 + 4 * rng.normal(size=items)
        row = est.dose_response([x, x - rng.normal(size=items)], [0, 1])["step, dose=1"]
        return bool(row["high"] < 0 or row["low"] > 0)

    return Case("dose_response", "step against 0", f"{items} items, no step", repetition, "size")


def _half(items: int, spread: float) -> Case:
    doses = np.array([0, 5, 10, 20, 40, 80])
    # left = 1 - 0.9 rate log(1 + dose)/log(81), mean rate exp(spread^2 / 2): 1/2 at this dose
    truth = float(np.expm1(np.log(81) * 0.5 / (0.9 * np.exp(spread**2 / 2))))

    def repetition(rng: np.random.Generator) -> bool | None:
        rate = np.exp(spread * rng.normal(size=items))
        fall = 0.9 * np.log1p(doses)[:, None] / np.log(81) * rate
        row = est.half_dose(rng.gamma(4, 1, items) * (1 - fall), doses)["half_dose"]
        return _inside(row, truth)

    return Case("half_dose", "dose, over items", f"{items} items, rates spread {spread:g}",
                repetition)  # fmt: skip


# --- agreement and clusters -----------------------------------------------------------------------


def _agreement(people: int, probability: Callable[[], np.ndarray], what: str, promise=None,
               why="") -> Case:  # fmt: skip
    p = probability()  # (kinds, questions): kinds of people, equally many
    mean = p.mean(0)
    truth = float((mean**2 + (1 - mean) ** 2).mean())

    def repetition(rng: np.random.Generator) -> bool | None:
        kind = rng.integers(0, len(p), people)
        answers = (rng.random((people, p.shape[1])) < p[kind]).astype(float)
        return _inside(est.pairwise_agreement(answers)["agreement"], truth)

    return Case("pairwise_agreement", "agreement, over people", f"{people} people, {what}",
                repetition, promise=promise, why=why)  # fmt: skip


def _concepts(people: int, shares: Sequence[float], promise=None, why="", these=False) -> Case:
    """Concepts differ in half of 36 questions; a person says his concept's answer in 0.95."""
    population = 1 - float(np.square(shares).sum())
    quantity = "p_multiple" if these else "p_multiple_population"

    def repetition(rng: np.random.Generator) -> bool | None:
        p = rng.choice([0.05, 0.95], (len(shares), 36))
        kind = rng.choice(len(shares), people, p=list(shares))
        answers = (rng.random((people, 36)) < p[kind]).astype(float)
        found = est.crp_clusters(answers, agreement=0.905, sweeps=80, chains=2, rng=rng)
        held = 1 - float(np.square(np.bincount(kind) / people).sum())
        return _inside(found[quantity], held if these else population)

    design = f"{people} people, concepts' shares {', '.join(f'{s:.2g}' for s in shares)}"
    return Case("crp_clusters", quantity, design, repetition, promise=promise, why=why,
                repetitions=300)  # fmt: skip


def _no_concepts(people: int, agreement: float) -> Case:
    """One concept: permuted answers are no different."""
    p = (1 + np.sqrt(2 * agreement - 1)) / 2

    def repetition(rng: np.random.Generator) -> bool:
        answers = (rng.random((people, 20)) < rng.choice([1 - p, p], 20)).astype(float)
        found = est.crp_clusters(answers, agreement=agreement, sweeps=20, chains=1,
                                 permutations=19, rng=rng)  # fmt: skip
        return bool(found["p_multiple"]["p"] <= 0.05)

    return Case("crp_clusters", "p of p_multiple", f"{people} people, one concept, agreement "
                f"{agreement:g}", repetition, "size", (0.0, 0.07),
                "where hardly any shuffle parts the people, many tie with the answers",
                repetitions=200)  # fmt: skip


WIDE = "near 0.5 people add nothing to first order: the jackknife is too wide"
NARROW = "answers near 1: a dozen people hold hardly a rare answer"
CERTAIN = "clear concepts: mostly one division is left, and it is the right one"
UNEQUAL = "very unequal items, and few: the ratio is skewed"

CASES = [
    *[case for n in (12, 60) for case in _unity_people(n, 12.0)],
    *_unity_people(60, 12.0, seen=0.5),
    *[case for n in (12, 30) for case in _unity_words(n)],
    *[_unity_null(n) for n in (8, 40)],
    *[_expected(n) for n in (6, 12, 30)],
    *[_spread(n, "sd", likert) for n in (30, 200) for likert in (False, True)],
    _spread(30, "sd", True, paired=False),
    _spread(200, "variance", False),
    _spread(200, "entropy", True),
    *[_studies([4] * n, "mean", "4 outcomes each") for n in (6, 12, 30)],
    *[_studies([1, 2, 12] * n, "mean", "1:2:12 outcomes") for n in (2, 4, 10)],
    *[_studies([1, 2, 12] * n, "mean_of_studies", "1:2:12 outcomes") for n in (2, 4, 10)],
    *[_below(n, p) for n in (4, 12, 30) for p in (0.6, 0.95)],
    *[_left(n, 0.4) for n in (6, 12, 30)],
    _left(12, 1.0, (0.90, 0.96), UNEQUAL),
    *[_step(n) for n in (6, 12)],
    *[_half(n, 0.3) for n in (6, 12, 30)],
    *[
        _agreement(n, lambda: np.random.default_rng(5).beta(0.5, 0.5, (1, 36)), "one concept")
        for n in (12, 100)
    ],
    *[
        _agreement(n, lambda: np.random.default_rng(5).choice([0.1, 0.9], (3, 36)), "3 concepts")
        for n in (12, 100)
    ],
    _agreement(12, lambda: np.full((1, 36), 0.02), "all near 1", (0.90, 0.97), NARROW),
    _agreement(30, lambda: np.full((1, 36), 0.5), "coins", (0.97, 1.0), WIDE),
    *[_concepts(n, (1 / 2, 1 / 3, 1 / 6)) for n in (25, 80)],
    _concepts(25, (1 / 2, 1 / 3, 1 / 6), (0.93, 1.0), CERTAIN, these=True),
    _concepts(40, (0.5, 0.5), (0.95, 1.0), "no two shares are more diverse than equal ones"),
    _no_concepts(20, 0.9),
    _no_concepts(20, 0.65),
]
