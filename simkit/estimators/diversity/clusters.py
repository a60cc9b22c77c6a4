"""How many concepts does a population have? Clusters of people by their yes-or-no answers.

People who answer alike share a concept. A Chinese-restaurant process decides how many there are:
a table (cluster) t of n_t people has, for each question q, its own probability of answer 1, with a
Beta(alpha, alpha) prior that is integrated out. With y_tq ones among m_tq answers,

    log posterior = K log c + lnΓ(c) - lnΓ(N + c) + sum_t lnΓ(n_t)
                    + sum_t sum_q [lnB(y_tq + alpha, m_tq - y_tq + alpha) - lnB(alpha, alpha)].

(Martí, Wu, Piantadosi & Kidd, Open Mind 2023; Murthy, Ullman & Hu, arXiv 2411.04427, with c = 1 and
alpha = 0.16, at which two people of one cluster agree on 88 % of the questions a priori.) The
source takes the last of 500 sweeps of one chain, populations of several sizes together, and only
people without a missing answer; here the sweeps and chains are averaged, R-hat says whether the
chains agree, and a missing answer is left out of the products.

A prior that takes answers to be steadier than they are splits noise: coins score 0.96 at 0.16. So
alpha is to be set to how often one person answers alike when asked again (`agreement`), and the
number stands beside that of the same answers without individuals (`permutations`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.diversity.gibbs import START, sweeps_of
from simkit.estimators.shared.arguments import checked, number
from simkit.estimators.shared.respondents import grouped, percentiles
from simkit.result import Result, jackknife, t_frame
from simkit.types import (
    FloatArray,
    IntArray,
    SeedLike,
    column,
    counted,
    generator,
    labels,
    numbers,
    several,
)

__all__ = ["chao1", "crp_clusters", "crp_log_posterior", "pairwise_agreement", "split_rhat"]

MARTI = "Martí et al., Open Mind 2023; Murthy, Ullman & Hu, arXiv 2411.04427"
MIXED = 1.05  # chains with a larger R-hat have not mixed: no interval
POWER = 0.8  # of two planted concepts that the test must find before it can say anything
QUANTITIES = ("p_multiple", "p_multiple_population", "clusters", "chao1", "ichao1")
MEAN = "mean of groups"


@checked("answers clusters", alpha=number)
def crp_log_posterior(
    answers: npt.ArrayLike,
    clusters: npt.ArrayLike,
    *,
    alpha: float = 0.16,
    concentration: float = 1.0,
) -> float:
    """Log posterior (up to a constant) of a division of people into clusters; see the module.

    answers : (people, questions) of 0 and 1, NaN where missing. clusters : (people,) labels. Raises
    ValueError for other shapes, other answers (naming the row), or parameters not above 0.
    """
    x = _answers(answers)
    _positive(alpha=alpha, concentration=concentration)
    code = labels(clusters, "clusters", len(x))[0]
    one_hot = np.eye(code.max() + 1)[code].T  # (K, people)
    size, told = one_hot.sum(1), one_hot @ ~np.isnan(x)
    ones = one_hot @ np.nan_to_num(x)
    prior = special.gammaln(size).sum() + len(size) * np.log(concentration)
    prior += special.gammaln(concentration) - special.gammaln(len(x) + concentration)
    fit = special.betaln(ones + alpha, told - ones + alpha) - special.betaln(alpha, alpha)
    return float(prior + fit.sum())


@checked("answers by", alpha=number)
def crp_clusters(
    answers: npt.ArrayLike,
    *,
    alpha: float = 0.16,
    agreement: float | Mapping[Any, float] | None = None,
    concentration: float = 1.0,
    by: Any = None,
    permutations: int = 0,
    sweeps: int = 1000,
    burn_in: int | None = None,
    chains: int = 4,
    start: str = "in turn",
    level: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """Clusters of people by collapsed Gibbs sampling, averaged over sweeps and chains.

    Parameters
    ----------
    answers : (people, questions) of 0 and 1, NaN where missing.
    alpha, concentration : of the prior; larger alpha lets a cluster's people differ, larger
        concentration makes more clusters.
    agreement : how often one person gives the same answer to a question when asked twice, a
        number or one for each population; it sets alpha = (1 - r) / (2 r - 1), at which two
        people of one cluster agree as often. (r is taken as 0.505 below and 0.99 above these.)
    permutations : 0, or 19 or more shuffles of the answers to each question across the people
        who gave one, after which nobody is an individual: the null. As many populations of two
        equal concepts, of these people and missing answers, with answers from the prior, are
        planted and put to the same test: its power. One chain each.
    by : (people,) labels of populations (target concepts, models), each clustered alone, all at
        once. None: one population.
    sweeps, burn_in, chains : of the sampler; burn_in (default: a fifth) sweeps are left out.
    start : where a chain begins: people come "in turn" (each seated given those before him), or
        everybody is "alone", or all "together". One person at a time moves, so chains that begin
        with all together may never part two clusters; R-hat of such chains says so.
    level : 1 - probability of the intervals.

    Returns
    -------
    Rows (with `by`: of each group, then "mean of groups"; the groups' posteriors are independent):

    - p_multiple = 1 - sum_t (n_t / N)^2, the source's "P(multiple concepts)": two draws with
      replacement from these N people are of different clusters. At most 1 - 1/N, so compare
      populations of one size.
    - p_multiple_population: two people of the population that these were drawn from. Shares of the
      clusters given a division are Dirichlet(n_1, ..., n_K, c), what is not seen yet divides on
      like the process itself; so its interval has the sampling of people in it. (Ours.)
    - clusters, and chao1 and ichao1: number of concepts in the population, see `chao1`.

    estimate is the posterior mean, std_error the posterior standard deviation, low and high its
    quantiles (NaN, with a note, where rhat, the split R-hat over chains, is above 1.05: take more
    sweeps); people and missing (share of the answers). With permutations the rows p_multiple have
    alpha, null (mean over the shuffles), above (estimate - null), p (share of shuffles with as
    much, one-sided) and power: below 0.8 the answers are too unreliable to say how many concepts
    there are, which the notes say too. Raises ValueError for other shapes or answers (naming the
    row), parameters out of range, fewer than 2 kept sweeps. Null and power: our formulation.
    """
    x = _answers(answers)
    _positive(alpha=alpha, concentration=concentration)
    burn = sweeps // 5 if burn_in is None else burn_in
    if chains < 1 or burn < 0 or sweeps - burn < 2:
        raise ValueError(f"sweeps {sweeps}, burn_in {burn}, chains {chains}: there must be 2 or "
                         "more sweeps after the burn-in, and 1 or more chains")  # fmt: skip
    if start not in START:
        raise ValueError(f"no start {start!r}; there are {', '.join(START)}")
    if permutations and permutations < 19:
        raise ValueError(f"permutations is {permutations}; it must be 0, or 19 or more")
    code, names = grouped(by, len(x))
    prior = _prior(alpha, agreement, names)
    stack, real = _stacked(x, code, len(names))
    size = real.sum(1)
    stream = generator(rng)
    how: dict[str, Any] = {"sweeps": sweeps, "concentration": concentration, "start": start}
    kept = np.empty((sweeps - burn, len(QUANTITIES), len(names), chains))
    for s, tables in enumerate(
        sweeps_of(stack, real, chains=chains, alpha=prior, stream=stream, **how)
    ):
        if s >= burn:
            kept[s - burn] = _measures(tables, size[:, None], concentration, stream)
    missing = [float(np.isnan(x[code == g]).mean()) for g in range(len(names))]
    rows = [_rows(kept[:, :, g], level, int(size[g]), missing[g]) for g in range(len(names))]
    heads = [f"{name}, " for name in names] if by is not None else [""]
    if by is not None:
        rows.append(_rows(kept.mean(2), level, int(size.sum()), float(np.isnan(x).mean())))
        rows[-1]["rhat"] = np.max([r["rhat"] for r in rows[:-1]], axis=0)
        heads.append(f"{MEAN}, ")
    table = pd.concat(rows, ignore_index=True)
    table.index = pd.Index([head + q for head in heads for q in QUANTITIES])
    if by is not None:
        table.insert(4, "group", np.repeat([*names, MEAN], len(QUANTITIES)))
        table.insert(5, "quantity", list(QUANTITIES) * len(heads))
    notes = counted(int(np.isnan(x).sum()), x.size, "answers are missing (left out)")
    apart = (table["rhat"] > MIXED).to_numpy()
    table.loc[apart, ["std_error", "low", "high"]] = np.nan
    notes += counted(int(apart.sum()), len(table), f"quantities have an R-hat above {MIXED}: the "
                     "chains do not agree, no interval; take more sweeps")  # fmt: skip
    if permutations:
        rows_of = [head + QUANTITIES[0] for head in heads[: len(names)]]
        found = _against_null(stack, real, prior, kept[:, 0].mean((0, 2)), permutations, burn,
                              stream, how)  # fmt: skip
        table.loc[rows_of, list(found)] = np.column_stack(list(found.values()))
        notes += counted(
            int((found["power"] < POWER).sum()), len(names), "populations are too unreliable to "
            f"say: two planted concepts would be told from the null in fewer than {POWER:.0%}",
        )  # fmt: skip
    method = f"CRP clusters, {chains} chains, {sweeps - burn} of {sweeps} sweeps"
    over = "divisions of these people (p_multiple_population: people)"
    return Result(method, table, len(x), level, MARTI, notes, over=over)


def _prior(
    alpha: float, agreement: float | Mapping[Any, float] | None, names: list[str]
) -> FloatArray:
    """Alpha of each population (G,)."""
    if agreement is None:
        return np.full(len(names), float(alpha))
    if isinstance(agreement, Mapping):
        given = {str(name): value for name, value in agreement.items()}
        lost = [name for name in names if name not in given]
        if lost:
            raise ValueError(f"agreement has no {lost[0]!r}; it must have one of each population")
        values = [given[name] for name in names]
    else:
        values = [agreement] * len(names)
    r = np.clip(column(values, "agreement", low=0, high=1), 0.505, 0.99)
    return np.asarray((1 - r) / (2 * r - 1))


def _against_null(
    stack: FloatArray, real: npt.NDArray[np.bool_], prior: FloatArray, estimate: FloatArray,
    copies: int, burn: int, stream: np.random.Generator, how: dict[str, Any],
) -> dict[str, FloatArray]:  # fmt: skip
    """Null, p and power of p_multiple of each population, by one chain per copy."""
    planted = np.concatenate([_planted(stack, real, prior, stream) for _ in range(copies)])
    every = [_shuffled(stack, stream) for _ in range(copies)]
    every += [planted, _shuffled(planted, stream)]
    answers = np.concatenate(every)
    seats, alpha = np.tile(real, (3 * copies, 1)), np.tile(prior, 3 * copies)
    total, size = np.zeros(len(answers)), seats.sum(1)
    for s, tables in enumerate(
        sweeps_of(answers, seats, chains=1, alpha=alpha, stream=stream, **how)
    ):
        if s >= burn:
            total += 1 - ((tables[:, 0] / size[:, None]) ** 2).sum(1)
    null, two, without = (total / (how["sweeps"] - burn)).reshape(3, copies, -1)

    def p(value: FloatArray, shuffles: FloatArray) -> FloatArray:
        beyond = (shuffles >= value[..., None, :] - 1e-9).sum(-2)
        return np.asarray((1 + beyond) / (1 + copies))

    mean = null.mean(0)
    power = (p(two, without) <= 0.05).mean(0)
    return {"alpha": prior, "null": mean, "above": estimate - mean, "p": p(estimate, null),
            "power": power}  # fmt: skip


def _shuffled(stack: FloatArray, stream: np.random.Generator) -> FloatArray:
    """Each question's answers (G, P, Q) dealt anew to the people who gave one."""
    # sorted by (missing, random): the answers that are there come first, in a drawn order
    drawn = stream.random(stack.shape)
    gone = np.isnan(stack)
    order = np.argsort(np.where(gone, 2.0, drawn), axis=1, kind="stable")
    place = np.argsort(gone, axis=1, kind="stable")
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
    bad = np.argwhere(~(np.isnan(x) | (x == 0) | (x == 1)))
    if len(bad):
        i, q = (int(v) for v in bad[0])
        raise ValueError(f"answers: row {i}, question {q} is {x[i, q]:g}; legal are 0, 1 and NaN")
    return x


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < np.inf:
            raise ValueError(f"{name} is {value!r}; it must be a finite number above 0")


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
    total = draws.sum(-1) + rest
    alike = (draws**2).sum(-1) + rest**2 / (1 + concentration)
    first, better = _chao1(tables, size)
    found = (tables > 0).sum(-1)
    return np.stack([1 - same, 1 - alike / total**2, found, first, better])


def _rows(kept: FloatArray, level: float, people: int, missing: float) -> pd.DataFrame:
    """A row per quantity from its draws (S, 5, C)."""
    rows = []
    for q in range(kept.shape[1]):
        draws = kept[:, q]
        error, low, high = percentiles(draws.ravel(), level)
        rows.append([draws.mean(), error, low, high, split_rhat(draws.T), people, missing])
    columns = ["estimate", "std_error", "low", "high", "rhat", "people", "missing"]
    return pd.DataFrame(rows, columns=columns).astype({"people": int})


@checked()
def chao1(sizes: npt.ArrayLike, n: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Lower bounds of the number of kinds in a population: Chao1 and its improvement iChao1.

    sizes : (..., K) how many of a sample are of each kind, 0 for none; n : (...) sample size.
    With S kinds seen and f_k kinds seen k times: Chao1 = S + (n - 1)/n f1^2 / (2 f2), or with
    f2 = 0 f1 (f1 - 1) / 2 in the place of the fraction; iChao1 = Chao1 + (n - 3)/(4 n) f3/f4
    max(f1 - (n - 3)/(2 (n - 1)) f2 f3/f4, 0), and Chao1 itself where f4 = 0. The source's
    "S_Chao1" is iChao1. Source: Chao 1984; Chiu, Wang, Walther & Chao 2014.
    """
    x = numbers(sizes, "sizes", "(..., K)", dims=range(1, 9))
    many = numbers(several(n), "n", "(...)", dims=range(1, 9))
    for name, held, least in (("sizes", x, 0), ("n", many, 1)):
        bad = ~(held >= least) | (held != np.floor(held))
        if bad.any():
            raise ValueError(f"{name} holds {held[bad][0]:g}; legal are whole numbers from {least}")
    many = many[0] if many.size == 1 else many
    if any(a not in (1, b) for a, b in zip(np.shape(many), x.shape[:-1], strict=False)):
        raise ValueError(
            f"sizes have shape {x.shape}, n {many.shape}; legal are (..., K) and (...)"
        )
    return _chao1(x, many)


def _chao1(x: npt.NDArray[Any], many: Any) -> tuple[FloatArray, FloatArray]:
    f1, f2, f3, f4 = ((x == k).sum(-1).astype(float) for k in (1, 2, 3, 4))
    unseen = np.where(f2 > 0, f1**2 / (2 * np.maximum(f2, 1)), f1 * (f1 - 1) / 2)
    first = (x > 0).sum(-1) + (many - 1) / many * unseen
    ratio = f3 / np.maximum(f4, 1)
    inner = f1 - (many - 3) / np.maximum(2 * (many - 1), 1) * f2 * ratio
    more = (many - 3) / (4 * many) * ratio * np.maximum(inner, 0)
    return first, first + np.where((f4 > 0) & (many > 3), more, 0.0)


@checked()
def split_rhat(draws: npt.ArrayLike) -> float:
    """Split R-hat of draws (chains, sweeps): 1 if the halves of all chains agree.

    sqrt of the pooled over the within-half variance. Constant draws give 1 if all are equal, inf
    if the chains stand still at different values; fewer than 4 sweeps NaN. Source: Gelman et al.,
    Bayesian Data Analysis, 3rd ed. 2013, section 11.4.
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
def pairwise_agreement(answers: npt.ArrayLike, *, by: Any = None, level: float = 0.05) -> Result:
    """Probability that two people give the same answer to a question, averaged over questions.

    answers : (people, questions) of 0 and 1, NaN where missing; by : (people,) populations.
    Of m answers to a question with y ones, (y (y - 1) + (m - y)(m - y - 1)) / (m (m - 1)) of the
    pairs agree; questions with fewer than 2 answers are left out. std_error is the jackknife's
    over people, the interval t with people - 1 degrees of freedom. Rows as in `crp_clusters`.
    0.5 is what coins give; 1 a population of one mind, or of one habit of answering. Near 0.5 the
    interval is too wide, and with a dozen people near 1 a little too narrow; where all answer
    alike it is NaN. Answers of one prompt, given anew, are retests: then this is the `agreement`
    that `crp_clusters` asks for.
    """
    x = _answers(answers)
    code, names = grouped(by, len(x))
    values, errors, sizes = [], [], []
    for g in range(len(names)):
        own = x[code == g]
        told, ones = (~np.isnan(own)).astype(float), np.nan_to_num(own)
        m, y = told.sum(0), ones.sum(0)
        values.append(_agreement(m, y))
        without = np.array([_agreement(m - told[i], y - ones[i]) for i in range(len(own))])
        errors.append(np.sqrt(jackknife(without[:, None], np.array([values[-1]]))[0, 0]))
        sizes.append(len(own))
    heads = [f"{name}, agreement" if by is not None else "agreement" for name in names]
    still = np.array(errors) < 1e-12  # people who do not differ say nothing of how they would
    frame = t_frame(heads, values, np.where(still, np.nan, errors), np.array(sizes) - 1, level)
    notes = counted(int(still.sum()), len(names), "populations of people who do not differ: "
                    "no interval")  # fmt: skip
    frame = frame.drop(columns=["statistic", "df", "p"]).assign(people=sizes)
    method = "Pairwise agreement"
    return Result(method, frame, len(x), level, MARTI, notes, over="people, these questions")


def _agreement(m: FloatArray, y: FloatArray) -> float:
    use = m > 1
    if not use.any():
        return float("nan")
    m, y = m[use], y[use]
    return float(((y * (y - 1) + (m - y) * (m - y - 1)) / (m * (m - 1))).mean())
