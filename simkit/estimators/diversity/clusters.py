"""How many concepts does a population have? Clusters of people by their yes-or-no answers.

People who answer alike share a concept. A Chinese-restaurant process decides how many there are:
a table (cluster) t of n_t people has, for each question q, its own probability of answer 1, with a
Beta(a, a) prior that is integrated out. With y_tq ones among m_tq answers,

    log posterior = K log c + lnΓ(c) - lnΓ(N + c) + sum_t lnΓ(n_t)
                    + sum_t sum_q [lnB(y_tq + a, m_tq - y_tq + a) - lnB(a, a)].

(Martí, Wu, Piantadosi & Kidd, Open Mind 2023; Murthy, Ullman & Hu, arXiv 2411.04427, with c = 1 and
a = 0.16, at which two people of one cluster agree on 88 % of the questions a priori.) Murthy et al.
take the last of 500 sweeps of one chain, populations of several sizes together, and only people
without a missing answer. Here sweeps and chains are averaged, R-hat shows whether the chains agree,
and a missing answer is left out of the products.

A prior that takes answers to be steadier than they are splits noise: coins score 0.96 at a = 0.16.
So the prior should follow from how often one person answers alike when asked again (`agreement`),
and the estimate be compared with that of the same answers without individuals (`permutations`).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.diversity.gibbs import START, sweeps_of
from simkit.estimators.shared.arguments import checked, number
from simkit.estimators.shared.respondents import grouped, percentiles
from simkit.result import REQUIRED, Result, jackknife, t_frame
from simkit.types import (
    FloatArray,
    IntArray,
    SeedLike,
    column,
    counted,
    generator,
    numbers,
    one_of,
)

__all__ = ["chao1", "crp_clusters", "pairwise_agreement", "split_rhat"]

SOURCE = "Martí et al., Open Mind 2023; Murthy, Ullman & Hu, arXiv 2411.04427"
MIXED = 1.05  # chains with a larger R-hat have not mixed: no interval
POWER = 0.8  # of two planted concepts that the test must find before it can say anything
QUANTITIES = ("p_multiple", "p_multiple_population", "clusters", "chao1", "ichao1")
MEAN = "mean of groups"


@checked("answers by", prior=number)
def crp_clusters(
    answers: npt.ArrayLike,
    *,
    prior: float = 0.16,
    agreement: float | Mapping[Any, float] | None = None,
    concentration: float = 1.0,
    by: Any = None,
    permutations: int = 0,
    sweeps: int = 1000,
    burn_in: int | None = None,
    chains: int = 4,
    start: str = "in turn",
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """Clusters of people by collapsed Gibbs sampling, averaged over sweeps and chains.

    Parameters
    ----------
    answers : array_like
        (people, questions) of 0 and 1, NaN where missing.
    prior : float
        a of the Beta(a, a) prior of a cluster's probabilities; a larger one lets the people of a
        cluster differ more. Not used where `agreement` is given.
    agreement : float or mapping, optional
        How often one person gives the same answer to a question when asked twice, a number or one
        for each population. It sets the prior to a = (1 - r) / (2 r - 1), at which two people of
        one cluster agree as often. r is held between 0.505 and 0.99.
    concentration : float
        c of the process; a larger one makes more clusters.
    by : array_like, optional
        (people,) labels of populations (target concepts, models), each clustered by itself. By
        default all people are one population.
    permutations : int
        0, or 19 or more shuffles of the answers to each question across the people who gave one,
        after which nobody is an individual: the null. As many populations with two concepts of
        equal size, with these people and missing answers and with answers from the prior, are put
        to the same test: its power. One chain each.
    sweeps, burn_in, chains : int
        Of the sampler. The first `burn_in` sweeps (a fifth by default) are left out.
    start : {"in turn", "alone", "together"}
        Where a chain begins: each person is seated given those before, everybody has a table, or
        all share one. One person moves at a time, so chains that begin with all together may never
        part two clusters; their R-hat shows it.
    alpha : float
        Significance level of the intervals.
    rng : int or Generator
        Seed of the sampler.

    Returns
    -------
    Result
        Five rows (with `by`: of each group, then "mean of groups"; the groups' posteriors are
        independent). p_multiple = 1 - sum_t (n_t / N)^2, "P(multiple concepts)" of Murthy et al.:
        two draws with replacement from these N people are of different clusters; at most 1 - 1/N,
        so compare populations of one size. p_multiple_population: the same of two people of the
        population that these were drawn from. clusters: of these people. chao1 and ichao1: number
        of concepts in the population, see :func:`chao1`.

        estimate is the posterior mean, std_error the posterior standard deviation, low and high
        are quantiles; rhat is the split R-hat over chains, missing the share of the answers. With
        permutations, the rows p_multiple have alpha (a of the prior), null (mean over the
        shuffles), above (estimate - null), p (share of shuffles with as much, one-sided) and
        power.

    Raises
    ------
    ValueError
        For other shapes or answers (naming the row), parameters out of range, an agreement that
        lacks a population, and fewer than 2 sweeps after the burn-in.

    Notes
    -----
    Given a division, the shares of the clusters in the population are Dirichlet(n_1, ..., n_K, c),
    and the part that is not seen yet divides like the process itself. So the interval of
    p_multiple_population includes the sampling of people.

    Where R-hat is above 1.05, std_error and interval are NaN, with a note: take more sweeps. Where
    the power is below 0.8, a note says that the answers are too unreliable to tell how many
    concepts there are. p_multiple_population, null and power are our formulation.

    References
    ----------
    Martí, Wu, Piantadosi & Kidd (2023), Open Mind; Murthy, Ullman & Hu (2025), arXiv 2411.04427.

    Examples
    --------
    Twenty people, two concepts that give opposite answers to each of twelve questions.

    >>> answers = np.repeat([[0, 1], [1, 0]], 10, axis=0).repeat(6, axis=1)
    >>> crp_clusters(answers, sweeps=50).frame["estimate"].round(1).to_dict()
    {'p_multiple': 0.5, 'p_multiple_population': 0.5, 'clusters': 2.0, 'chao1': 2.0, 'ichao1': 2.0}
    """
    x = _answers(answers)
    for name, value in (("prior", prior), ("concentration", concentration)):
        if not 0 < value < np.inf:
            raise ValueError(f"{name} is {value!r}; it must be a finite number above 0")
    burn = sweeps // 5 if burn_in is None else burn_in
    if chains < 1 or burn < 0 or sweeps - burn < 2:
        raise ValueError(f"sweeps {sweeps}, burn_in {burn}, chains {chains}: there must be 2 or "
                         "more sweeps after the burn-in, and 1 or more chains")  # fmt: skip
    one_of(start, "start", START)
    if permutations and permutations < 19:
        raise ValueError(f"permutations is {permutations}; it must be 0, or 19 or more")
    code, names = grouped(by, len(x))
    a = _prior(prior, agreement, names)
    stack, real = _stacked(x, code, len(names))
    size, stream = real.sum(1), generator(rng)

    def sampled(stack: FloatArray, real: npt.NDArray[np.bool_], a: FloatArray, chains: int) -> Any:
        every = sweeps_of(stack, real, chains=chains, sweeps=sweeps, alpha=a, start=start,
                          concentration=concentration, stream=stream)  # fmt: skip
        return islice(every, burn, None)

    draws = np.stack([_measures(tables, size[:, None], concentration, stream)
                      for tables in sampled(stack, real, a, chains)])  # fmt: skip
    rows, index = [], []
    for g, group in enumerate([*names, MEAN] if by is not None else names):
        one = g < len(names)
        people, values = x[code == g] if one else x, draws[:, :, g] if one else draws.mean(2)
        for quantity, d in zip(QUANTITIES, values.swapaxes(0, 1), strict=True):
            index.append(f"{group}, {quantity}" if by is not None else quantity)
            rows.append([d.mean(), *percentiles(d.ravel(), alpha), group, quantity,
                         split_rhat(d.T), len(people), np.isnan(people).mean()])  # fmt: skip
    columns = [*REQUIRED, "group", "quantity", "rhat", "people", "missing"]
    table = pd.DataFrame(rows, index=pd.Index(index), columns=columns)
    if by is None:
        table = table.drop(columns=["group", "quantity"])
    else:
        rhat = table["rhat"].to_numpy().reshape(-1, len(QUANTITIES)).copy()
        rhat[-1] = rhat[:-1].max(axis=0)
        table["rhat"] = rhat.ravel()
    notes = counted(int(np.isnan(x).sum()), x.size, "answers are missing (left out)")
    unmixed = (table["rhat"] > MIXED).to_numpy()
    table.loc[unmixed, ["std_error", "low", "high"]] = np.nan
    notes += counted(int(unmixed.sum()), len(table), f"quantities have an R-hat above {MIXED}: the "
                     "chains do not agree, no interval; take more sweeps")  # fmt: skip
    if permutations:
        # Shuffles of the answers, populations with two planted concepts, and shuffles of these.
        planted = np.concatenate([_planted(stack, real, a, stream) for _ in range(permutations)])
        copies = [_shuffled(stack, stream) for _ in range(permutations)]
        copies += [planted, _shuffled(planted, stream)]
        seats, priors = np.tile(real, (3 * permutations, 1)), np.tile(a, 3 * permutations)
        scores: Any = sum(
            1 - ((tables[:, 0] / seats.sum(1)[:, None]) ** 2).sum(1)
            for tables in sampled(np.concatenate(copies), seats, priors, 1)
        )
        null, two, without = (scores / (sweeps - burn)).reshape(3, permutations, -1)
        estimate, power = draws[:, 0].mean((0, 2)), (_p(two, without) <= 0.05).mean(0)
        rows_of = np.arange(len(names)) * len(QUANTITIES)
        table.loc[table.index[rows_of], ["alpha", "null", "above", "p", "power"]] = np.column_stack(
            [a, null.mean(0), estimate - null.mean(0), _p(estimate, null), power]
        )
        notes += counted(
            int((power < POWER).sum()), len(names), "populations are too unreliable to "
            f"say: the test would find two planted concepts in fewer than {POWER:.0%}",
        )  # fmt: skip
    method = f"CRP clusters, {chains} chains, {sweeps - burn} of {sweeps} sweeps"
    over = "divisions of these people (p_multiple_population: people)"
    return Result(method, table, len(x), alpha, SOURCE, notes, over=over)


def _prior(
    prior: float, agreement: float | Mapping[Any, float] | None, names: list[str]
) -> FloatArray:
    """a of the Beta(a, a) prior of each population (G,)."""
    if agreement is None:
        return np.full(len(names), float(prior))
    values: list[Any] = [agreement] * len(names)
    if isinstance(agreement, Mapping):
        rates = {str(name): rate for name, rate in agreement.items()}
        absent = [name for name in names if name not in rates]
        if absent:
            raise ValueError(f"agreement has no {absent[0]!r}; it must have one of each population")
        values = [rates[name] for name in names]
    r = np.clip(column(values, "agreement", low=0, high=1), 0.505, 0.99)
    return np.asarray((1 - r) / (2 * r - 1))


def _p(value: FloatArray, shuffles: FloatArray) -> FloatArray:
    """Share of the shuffles (B, G) with as much as the value (..., G), itself counted in."""
    beyond = (shuffles >= value[..., None, :] - 1e-9).sum(-2)
    return np.asarray((1 + beyond) / (1 + len(shuffles)))


def _shuffled(stack: FloatArray, stream: np.random.Generator) -> FloatArray:
    """Each question's answers (G, P, Q) dealt anew to the people who gave one."""
    # Sorted by (missing, random): the answers that are there come first, in a random order.
    missing = np.isnan(stack)
    order = np.argsort(np.where(missing, 2.0, stream.random(stack.shape)), axis=1, kind="stable")
    place = np.argsort(missing, axis=1, kind="stable")
    out = np.full(stack.shape, np.nan)
    np.put_along_axis(out, place, np.take_along_axis(stack, order, axis=1), axis=1)
    return out


def _planted(
    stack: FloatArray, real: npt.NDArray[np.bool_], prior: FloatArray, stream: np.random.Generator
) -> FloatArray:
    """Two concepts of equal size, answers from the prior, missing where they are missing."""
    g, people, questions = stack.shape
    a = np.broadcast_to(prior[:, None, None], (g, 2, questions))
    p = stream.beta(a, a)
    concept = np.arange(people) % 2
    drawn = (stream.random(stack.shape) < p[:, concept]).astype(float)
    return np.where(np.isnan(stack) | ~real[..., None], np.nan, drawn)


def _answers(answers: npt.ArrayLike) -> FloatArray:
    x = numbers(answers, "answers", "(people, questions)", infinite=True)
    wrong = np.argwhere(~(np.isnan(x) | (x == 0) | (x == 1)))
    if len(wrong):
        i, q = wrong[0]
        raise ValueError(f"answers: row {i}, question {q} is {x[i, q]:g}; it must be 0, 1 or NaN")
    return x


def _stacked(x: FloatArray, code: IntArray, n: int) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """The groups' answers (G, P, Q), filled up with NaN, and which people are real (G, P)."""
    size = np.bincount(code, minlength=n)
    stack = np.full((n, size.max(), x.shape[1]), np.nan)
    real = np.arange(size.max())[None, :] < size[:, None]
    stack[real] = x[np.argsort(code, kind="stable")]
    return stack, real


def _measures(
    tables: IntArray, size: IntArray, concentration: float, stream: np.random.Generator
) -> FloatArray:
    """QUANTITIES of one sweep, (5, G, C), from the tables' sizes (G, C, K)."""
    same = ((tables / size[..., None]) ** 2).sum(-1)
    draws = stream.standard_gamma(tables.astype(float))
    rest = stream.standard_gamma(concentration, size=same.shape)
    alike = (draws**2).sum(-1) + rest**2 / (1 + concentration)
    population = 1 - alike / (draws.sum(-1) + rest) ** 2
    return np.stack([1 - same, population, (tables > 0).sum(-1), *chao1(tables)])


@checked()
def chao1(sizes: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Lower bounds of the number of kinds in a population: Chao1 and its improvement iChao1.

    Parameters
    ----------
    sizes : array_like
        (..., K) how many of a sample are of each kind, 0 for none.

    Returns
    -------
    tuple of ndarray
        Chao1 (...) and iChao1 (...); NaN for a sample of nobody. iChao1 is "S_Chao1" of Murthy et
        al.

    Raises
    ------
    ValueError
        For numbers that are below 0 or not whole.

    Notes
    -----
    With n in the sample, S kinds seen and f_k kinds seen k times: Chao1 = S + (n - 1)/n f1^2 /
    (2 f2), or with f2 = 0 f1 (f1 - 1) / 2 in place of the fraction; iChao1 = Chao1 + (n - 3)/(4 n)
    f3/f4 max(f1 - (n - 3)/(2 (n - 1)) f2 f3/f4, 0), and Chao1 itself where f4 = 0.

    References
    ----------
    Chao (1984); Chiu, Wang, Walther & Chao (2014).

    Examples
    --------
    >>> [float(bound.round(2)) for bound in chao1([1, 1, 1, 1, 2, 2, 3, 4, 7])]
    [12.82, 13.49]
    """
    x = numbers(sizes, "sizes", "(..., K)", dims=range(1, 9))
    wrong = ~(x >= 0) | (x != np.floor(x))
    if wrong.any():
        raise ValueError(f"sizes holds {x[wrong][0]:g}; it must hold whole numbers from 0")
    n = np.where(x.any(-1), x.sum(-1), np.nan)
    f1, f2, f3, f4 = ((x == k).sum(-1).astype(float) for k in (1, 2, 3, 4))
    unseen = np.where(f2 > 0, f1**2 / (2 * np.maximum(f2, 1)), f1 * (f1 - 1) / 2)
    first = (x > 0).sum(-1) + (n - 1) / n * unseen
    ratio = f3 / np.maximum(f4, 1)
    inner = f1 - (n - 3) / np.maximum(2 * (n - 1), 1) * f2 * ratio
    more = (n - 3) / (4 * n) * ratio * np.maximum(inner, 0)
    return first, first + np.where((f4 > 0) & (n > 3), more, 0.0)


@checked()
def split_rhat(draws: npt.ArrayLike) -> float:
    """Split R-hat: 1 if the halves of all chains agree.

    Parameters
    ----------
    draws : array_like
        (chains, sweeps) draws of one quantity.

    Returns
    -------
    float
        Square root of the pooled over the within-half variance. Constant draws give 1 if all are
        equal, inf if the chains stand still at different values; fewer than 4 sweeps give NaN.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 11.4.

    Examples
    --------
    >>> round(split_rhat([[0, 1, 2, 3], [4, 5, 6, 7]]), 2)
    3.72
    """
    x = numbers(draws, "draws", "(chains, sweeps)")
    half = x.shape[1] // 2
    if half < 2:
        return float("nan")
    parts = np.concatenate([x[:, :half], x[:, -half:]])
    within, between = parts.var(axis=1, ddof=1).mean(), parts.mean(axis=1).var(ddof=1)
    if within < 1e-24:
        return 1.0 if between < 1e-24 else float("inf")
    return float(np.sqrt((half - 1) / half + between / within))


@checked("answers by")
def pairwise_agreement(answers: npt.ArrayLike, *, by: Any = None, alpha: float = 0.05) -> Result:
    """Probability that two people give the same answer to a question, averaged over questions.

    Parameters
    ----------
    answers : array_like
        (people, questions) of 0 and 1, NaN where missing.
    by : array_like, optional
        (people,) labels of populations. By default all people are one.
    alpha : float
        Significance level of the intervals.

    Returns
    -------
    Result
        A row "agreement" (with `by`: "group, agreement"), with the number of people. 0.5 is what
        coins give; 1 a population of one mind, or of one habit of answering. The intervals are
        over people, for these questions.

    Raises
    ------
    ValueError
        For other shapes or answers, naming the row.

    Notes
    -----
    Of m answers to a question with y ones, (y (y - 1) + (m - y)(m - y - 1)) / (m (m - 1)) of the
    pairs agree; questions with fewer than 2 answers are left out. std_error is the jackknife's
    over people, the interval t with people - 1 degrees of freedom. It is too wide near 0.5, a
    little too narrow for a dozen people near 1, and NaN where all answer alike.

    Where the rows are answers of one person, asked again, this is the `agreement` that
    :func:`crp_clusters` needs.

    Examples
    --------
    >>> answers = np.repeat([[1, 0, 1], [1, 1, 0]], [24, 6], axis=0)
    >>> pairwise_agreement(answers).frame.round(2)
               estimate  std_error   low  high  people
    agreement      0.78       0.06  0.65  0.91      30
    """
    x = _answers(answers)
    code, names = grouped(by, len(x))
    estimates, errors = [], []
    for g in range(len(names)):
        group = x[code == g]
        answered, ones = (~np.isnan(group)).astype(float), np.nan_to_num(group)
        m, y = answered.sum(0), ones.sum(0)
        estimates.append(_agreement(m, y))
        without = [[_agreement(m - a, y - o)] for a, o in zip(answered, ones, strict=True)]
        errors.append(np.sqrt(jackknife(np.array(without), np.array(estimates[-1:]))[0, 0]))
    heads = [f"{name}, agreement" if by is not None else "agreement" for name in names]
    alike = np.array(errors) < 1e-12  # people who do not differ do not show how they would
    people = np.bincount(code)
    frame = t_frame(heads, estimates, np.where(alike, np.nan, errors), people - 1, alpha)
    notes = counted(int(alike.sum()), len(names), "populations of people who do not differ: "
                    "no interval")  # fmt: skip
    frame = frame[list(REQUIRED)].assign(people=people)
    over = "people, these questions"
    return Result("Pairwise agreement", frame, len(x), alpha, SOURCE, notes, over=over)


def _agreement(m: FloatArray, y: FloatArray) -> float:
    use = m > 1
    if not use.any():
        return float("nan")
    m, y = m[use], y[use]
    return float(((y * (y - 1) + (m - y) * (m - y - 1)) / (m * (m - 1))).mean())
