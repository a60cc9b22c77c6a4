"""Populations of the mixed-subjects study: people whose answers are known, and beliefs of each.

A *register* stands for the population: its mean answer is known exactly, and samples are drawn from
it with replacement, each draw a person of its own. So coverage can be counted, for the people of a
world as for those of a survey.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from simkit.audit import affordable
from simkit.result import Result
from simkit.scoring import Model, believe
from simkit.studies.representativeness import populations
from simkit.survey import Survey
from simkit.types import FloatArray, IntArray, generator
from simkit.worlds import survey as world
from simkit.worlds.scm import draw

__all__ = ["Register", "asked_of", "coverage", "fitted", "gain_of", "model_alone", "regressed",
           "repeated", "same", "samples", "setting", "side_by_side", "voters", "world_people",
           "worth"]  # fmt: skip

REGISTER = 20_000  # people of the world's town
FEWEST = 200  # people, of whom a population can be made


def world_people(n: int, *told: str, seed: int = 1) -> Survey:
    """n people of the survey world's other town, about which the glass box has read nothing.

    The prompt tells demographics and earlier answers (`told`).
    """
    people = world.respondents(n, seed, world.POPULATIONS["target"])
    design = world.design(people, answered=told)
    questions = {item: world.question(item) for item in world.ITEMS if item not in told}
    return Survey(
        "survey world, other town",
        people,
        questions,
        dict.fromkeys(questions, design),
        dict.fromkeys(questions, (*world.DEMOGRAPHICS, *told)),
    )


def voters(*told: str) -> Survey:
    """The 944 voters of 1996 in words: the prompt tells demographics and earlier answers."""
    survey = populations.voters_in_words()
    design = survey.designs["vote"].copy()
    for name in told:
        lines = survey.people[name].map(
            lambda answer, n=name: survey.tells[n].format(answer=answer)
        )
        design["context"] += "\n" + lines
    questions = {name: asked for name, asked in survey.questions.items() if name not in told}
    told = (*populations.ANES_TOLD, *told)
    designs = dict.fromkeys(questions, design)
    return replace(survey, questions=questions, designs=designs,
                   told=dict.fromkeys(questions, told), simulated=design)  # fmt: skip


def setting(
    read: bool, path: str, ask: list[str], tell: list[str], *, seed: int = 1
) -> tuple[Survey, Survey, list[str]]:
    """The survey, the same told less of each person, and the questions, the main one first.

    read : whether the model has read about the survey world. path : of a survey file, with the
    items that are asked and told; "" for the world, or for voters where it is not read.
    """
    if path:
        return (populations.file_survey(path, ask, tell, seed=seed),
                populations.file_survey(path, ask, tell[:1], seed=seed), list(ask))  # fmt: skip
    if read:
        names = ["climate", "fuel_tax", "fewer_cars", "gadgets"]
        return (
            world_people(REGISTER, "pay_more", seed=seed),
            world_people(REGISTER, seed=seed),
            names,
        )
    return voters("party"), voters(), ["politics", "vote", "news"]


@dataclass(frozen=True)
class Register:
    """People of a population, their answers to one question, and a model's belief of each.

    Attributes
    ----------
    answers : (n,) values of the options.
    belief : (n, K).
    values : the K values.
    valid_mass : (n,) of the prompts.
    told : what the prompts tell of each person.
    weight : (n,) chances of being drawn; they sum to 1.
    """

    answers: FloatArray
    belief: FloatArray
    values: FloatArray
    valid_mass: FloatArray
    told: pd.DataFrame
    weight: FloatArray

    @property
    def truth(self) -> float:
        """The population's mean answer."""
        return float(self.weight @ self.answers)

    @property
    def expected(self) -> FloatArray:
        """The belief's mean, of each person."""
        return self.belief @ self.values

    @property
    def features(self) -> FloatArray:
        """What is told, as numbers: 0 or 1 for each value of what is no number."""
        return np.asarray(pd.get_dummies(self.told), dtype=float)

    def chosen(self, seed: int) -> FloatArray:
        """One answer of each person, drawn from the belief."""
        return np.asarray(self.values[draw(self.belief, generator(seed, "answers"))])


def asked_of(model: Model, survey: Survey, question: str) -> Register:
    """Ask a model one question in the name of everybody who answered it.

    Raises ValueError where nobody did, and for a person of whom the model has no belief, naming how
    many there are.
    """
    answers = survey.answers(question).dropna()
    if answers.empty:
        raise ValueError(f"nobody answered {question!r}, so there is nothing to compare with")
    design = survey.designs[question].loc[answers.index]
    table = believe(model, survey.questions[question], design, least_mass=0)
    k = len(survey.scale(question))
    belief = table["belief"].to_numpy(dtype=float).reshape(-1, k)
    silent = np.isnan(belief).any(axis=1)
    if silent.any():
        raise ValueError(
            f"{question!r}: the model has no belief of {silent.sum()} of {len(belief)} people; see "
            "`missing=` of `est.mixed_mean` for what can be done"
        )
    mass = table["valid_mass"].to_numpy(dtype=float).reshape(-1, k)[:, 0]
    told = survey.people.loc[answers.index, list(survey.told[question])].reset_index(drop=True)
    weight = np.ones(len(answers))
    if survey.weights:
        weight = survey.people.loc[answers.index, survey.weights].to_numpy(dtype=float)
    values, weight = np.array(survey.scale(question)), weight / weight.sum()
    return Register(answers.to_numpy(), belief, values, mass, told, weight)


def samples(
    register: Register, n: int, others: int, repetitions: int, *, seed: int = 1
) -> Iterator[tuple[IntArray, pd.Series]]:
    """Samples of n people who are asked, and of others who are not.

    Yields the rows of the register, those asked first, and their answers, NaN of the others.
    """
    rng = generator(seed, "samples")
    for _ in range(repetitions):
        rows = rng.choice(len(register.answers), n + others, p=register.weight)
        answers = register.answers[rows]
        answers[n:] = np.nan
        yield rows, pd.Series(answers, name="answer")


def gain_of(
    y: FloatArray, f: FloatArray, person: IntArray | None, share: float
) -> dict[str, float]:
    """What predictions f of answers y are worth where a share of all people is asked.

    rho is the correlation of the people's sums (of the answers, where `person` is None), with its
    interval by Fisher's z over people. lam is the λ of least variance, from 0 to 1, and gain the
    effective people per person asked that it makes, with the interval that follows from rho's:
    1 / (1 - rho^2 (1 - share)) where λ is not at an end.
    """
    each = np.arange(len(y)) if person is None else person
    t, d = (np.bincount(each, x - x.mean()) for x in (y, f))
    rho, spread = np.full(3, np.nan), 1.0
    if np.ptp(t) > 0 and np.ptp(d) > 1e-12:
        test = stats.pearsonr(t, d)
        ends = test.confidence_interval()
        rho, spread = np.array([test.statistic, ends.low, ends.high]), d.std() / t.std()
    known = np.nan_to_num(rho)
    lam = np.clip(known * (1 - share) / spread, 0, 1)
    step = lam * spread
    gain = 1 / (1 - 2 * step * known + step**2 / (1 - share))
    names = [f"{name}{end}" for name in ("rho", "gain") for end in ("", "_low", "_high")]
    found = dict(zip(names, map(float, [*rho, *gain]), strict=True))
    return found | {"lam": float(lam[0])}


def worth(register: Register, n: int, others: int, *, seed: int = 1) -> pd.DataFrame:
    """What the belief's expected value is worth, and one answer drawn from it: see `gain_of`."""
    kinds = {"belief": register.expected, "one answer": register.chosen(seed)}
    share = n / (n + others)
    rows = {name: gain_of(register.answers, f, None, share) for name, f in kinds.items()}
    return pd.DataFrame(rows).T.assign(valid_mass=register.valid_mass.mean())


def regressed(x: FloatArray, answers: pd.Series, folds: int) -> pd.DataFrame:
    """Predictions (m, folds) of models tuned on the people asked: least squares on features x.

    Model k has not seen fold k, that is the people asked whose number is k modulo folds; with one
    fold it has seen all.
    """
    x = np.column_stack([np.ones(len(x)), x])
    n = int(answers.notna().sum())
    out = {}
    for k in range(folds):
        seen = np.arange(n)[np.arange(n) % folds != k] if folds > 1 else np.arange(n)
        out[k] = x @ np.linalg.lstsq(x[seen], answers.to_numpy()[seen], rcond=None)[0]
    return pd.DataFrame(out)


Way = Callable[[IntArray, pd.Series], Result]


def repeated(
    register: Register, ways: Mapping[str, Way], n: int, others: int, repetitions: int, *,
    seed: int = 1,
) -> pd.DataFrame:  # fmt: skip
    """What each way of estimating the mean gives, sample by sample.

    Parameters
    ----------
    ways : name -> function of a sample's rows and answers (see `samples`) that returns a mixed
        estimate.
    n, others, repetitions, seed : as in `samples`.

    Returns
    -------
    A row per sample and method: method, estimate, low, high. The methods are the ways, with the
    row "mixed" of their results, and "people alone", the row "people" of the first.
    """
    found: list[dict[str, Any]] = []
    for rows, answers in samples(register, n, others, repetitions, seed=seed):
        results = {name: way(rows, answers) for name, way in ways.items()}
        first = next(iter(results.values()))
        each = {"people alone": first["people"], **{k: r["mixed"] for k, r in results.items()}}
        found += [{"method": k, **r[["estimate", "low", "high"]]} for k, r in each.items()]
    return pd.DataFrame(found)


def coverage(found: pd.DataFrame, truth: float) -> pd.DataFrame:
    """How often intervals of `repeated` hold the truth, and how wide they are.

    A row per method: estimate, low and high of the coverage (Wilson's interval over samples), the
    mean width (and relative to that of the people alone), rmse and bias of the estimates.
    """
    rows = {}
    for name, part in found.groupby("method", sort=False):
        inside = part["low"].le(truth) & part["high"].ge(truth)
        low, high = proportion_confint(inside.sum(), len(part), method="wilson")
        low = low if inside.any() else 0.0  # not what rounding leaves of it
        off = part["estimate"] - truth
        rows[name] = {"estimate": inside.mean(), "low": low, "high": high,
                      "width": (part["high"] - part["low"]).mean(),
                      "rmse": np.sqrt((off**2).mean()), "bias": off.mean()}  # fmt: skip
    table = pd.DataFrame(rows).T
    return table.assign(relative_width=table["width"] / table.loc["people alone", "width"])


def side_by_side(results: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Mixed estimates of several quantities beside those of the people alone.

    results : name -> the two rows of a mixed result, mixed and people.
    """
    rows = {
        name: {"people alone": two["estimate"].iloc[1], "mixed": two["estimate"].iloc[0],
               **two[["low", "high", "relative_width"]].iloc[0]}
        for name, two in results.items()
    }  # fmt: skip
    return pd.DataFrame(rows).T


def model_alone(register: Register, n: int, repetitions: int, *, seed: int = 1) -> pd.DataFrame:
    """The mean of n predictions with its t interval, as if they were answers: see `repeated`."""
    found = []
    for rows, _ in samples(register, n, 0, repetitions, seed=seed):
        mean = DescrStatsW(register.expected[rows])
        found.append(dict(zip(("estimate", "low", "high"), (mean.mean, *mean.tconfint_mean()),
                              strict=True)))  # fmt: skip
    return pd.DataFrame(found).assign(method="model alone")


def fitted(
    model: Model, survey: Survey, question: str, times: int, minutes: float, *, seed: int = 1
) -> tuple[Survey, str]:
    """The survey with as many people as a model can be asked about in a time; what was left out.

    question : whose prompts say how fast the model is. times : how often each person is asked.
    """
    some = affordable(model, survey.questions[question], survey.designs[question], minutes) // times
    if some >= len(survey.people):
        return survey, ""
    drawn = generator(seed, "people").permutation(len(survey.people))[: max(some, FEWEST)]
    said = (
        f"{len(drawn)} of {len(survey.people)} people stand for the population: what "
        f"{minutes:.1f} minutes pay for. More with -p budget_minutes."
    )
    return _some(survey, survey.people.index[np.sort(drawn)]), said


def same(survey: Survey, other: Survey) -> Survey:
    """The survey with the people of another one."""
    return _some(survey, other.people.index)


def _some(survey: Survey, rows: pd.Index) -> Survey:
    designs = {name: design.loc[rows] for name, design in survey.designs.items()}
    return replace(survey, people=survey.people.loc[rows], designs=designs)
