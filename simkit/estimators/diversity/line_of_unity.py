"""Diversity of colour associations: is a population more than noise?

People answer the same words twice. If an answer differs from the same person's other answer by as
much as from another person's, the population is one person with noise; if it differs less, there
are individuals. On the plane of mean distance within (internal) and between (population), the
first lies on the line of unity, and the distance from that line measures how much of the diversity
is between individuals (Murthy, Ullman & Hu, NAACL 2025, arXiv 2411.04427).

Murthy et al. report the absolute distance, from the pairs i < j only. An absolute value is above
zero in an exchangeable population too. So here the signed distance leads, a permutation null shows
what exchangeable answers would give, and by default all pairs i != j count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.diversity.colour import delta_e
from simkit.estimators.diversity.items import (
    ByItem,
    Cell,
    by_item,
    item_names,
    people_interval,
    signed,
)
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.respondents import percentiles
from simkit.types import FloatArray, SeedLike, counted, generator, integer, numbers, one_of

__all__ = ["line_of_unity"]


@checked("lab_1 lab_2")
def line_of_unity(
    lab_1: npt.ArrayLike,
    lab_2: npt.ArrayLike,
    *,
    words: Sequence[str] | None = None,
    pairs: str = "all",
    permutations: int = 200,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> ByItem:
    """Distance of each word, and of their mean, to the line of a population without individuals.

    Parameters
    ----------
    lab_1, lab_2 : array_like
        (people, words, 3) CIELAB colours of two blocks of answers, NaN where a person did not see
        a word. An answer without its counterpart in the other block is left out, and counted.
    words : sequence of str, optional
        Names of the words; 0, 1, ... by default.
    pairs : {"all", "source"}
        "all" takes the pairs i != j. "source" takes i < j, as Murthy et al. do; that depends on
        the order of the people.
    permutations : int
        Shuffles of the second block across the people of a word, 2 or more. After a shuffle nobody
        is an individual: the null.
    alpha : float
        Significance level of the intervals.
    rng : int or Generator
        Seed of the shuffles.

    Returns
    -------
    ByItem
        The frame has a row per word: internal, population, signed (also as estimate, with its
        interval over people), absolute, null (mean absolute distance when shuffled), p (share of
        shuffles with a signed distance at least as large, one-sided) and people. `overall` has the
        means over words: absolute, signed, null_absolute, internal, population, correlation (of
        internal and population over words) and share_negative (words on the other side of the
        line). Its low and high are over words as a sample of words, for these people; low_people
        and high_people are over people, for these words.

    Raises
    ------
    ValueError
        For blocks of other or different shapes, infinite values, a wrong number of names, an
        unknown `pairs`, fewer than 2 permutations, and fewer than 2 words that two people or more
        answered twice.

    Notes
    -----
    With L1_i and L2_i the colours that person i gives to a word, internal = mean_i |L1_i - L2_i|,
    population = mean over pairs of |L1_i - L2_j|, signed = (population - internal) / sqrt(2), all
    in ΔE. signed is positive where people agree with themselves more than with others.

    Intervals over people are t intervals by the delete-one-person jackknife. Intervals over words
    are t intervals, Fisher's for the correlation and Wilson's for the share; those of the null are
    quantiles of the shuffles. low_people and high_people are NaN for absolute, correlation and
    share_negative: noise in the answers of people shifts these. A word that fewer than 2 people
    saw twice is NaN; with 2 people it has no interval. Null and intervals are our formulation.

    References
    ----------
    Murthy, Ullman & Hu (2025), arXiv 2411.04427.

    Examples
    --------
    >>> people = np.random.default_rng(0).normal(50, 20, (30, 4, 3))
    >>> noise = np.random.default_rng(1).normal(0, 5, (30, 4, 3))
    >>> result = line_of_unity(people, people + noise, words=["sea", "sun", "war", "joy"])
    >>> result.frame[["internal", "population", "signed", "p"]].round(2)
         internal  population  signed    p
    sea      7.20       43.35   25.57  0.0
    sun      6.92       47.18   28.47  0.0
    war      6.97       47.39   28.58  0.0
    joy      7.78       41.61   23.92  0.0
    """
    one, two = (
        numbers(x, name, "(people, words, 3)", dims=(3,))
        for name, x in (("lab_1", lab_1), ("lab_2", lab_2))
    )
    if one.shape[-1] != 3 or one.shape != two.shape:
        raise ValueError(f"blocks have shapes {one.shape} and {two.shape}; "
                         "both must be (people, words, 3)")  # fmt: skip
    names = item_names(words, one.shape[1], "words")
    one_of(pairs, "pairs", ("all", "source"))
    integer(permutations, "permutations", 2)
    stream = generator(rng)
    cells, nulls = zip(
        *[_word(one[:, w], two[:, w], pairs, permutations, stream) for w in range(len(names))],
        strict=True,
    )
    rows = [_row(cell, null, alpha) for cell, null in zip(cells, nulls, strict=True)]
    frame = pd.DataFrame(rows, index=pd.Index(names))
    unmatched = int((np.isnan(one).any(-1) ^ np.isnan(two).any(-1)).sum())
    notes = counted(unmatched, one[..., 0].size, "answers left out: the other block has none")
    undefined = int(frame["estimate"].isna().sum())
    notes += counted(undefined, len(names), "words undefined: fewer than 2 people answered twice")
    if len(names) - undefined < 2:
        raise ValueError("fewer than 2 words were answered twice by 2 people or more")
    method = f"Line of unity, pairs {'i < j' if pairs == 'source' else 'i != j'}"
    shuffled = np.abs(nulls)[frame["estimate"].notna()].mean(0)
    null = [shuffled.mean(), *percentiles(shuffled, alpha)]
    return by_item(method, frame, cells, alpha, notes, what="words", who="people", null=null)


def _word(
    one: FloatArray, two: FloatArray, pairs: str, permutations: int, stream: np.random.Generator
) -> tuple[Cell, FloatArray]:
    """One word, and its signed distances (permutations,) when shuffled."""
    seen = np.asarray(~np.isnan(one + two).any(-1))
    n = int(seen.sum())
    if n < 2:
        undefined = np.full((len(one), 2), np.nan)
        return Cell(seen, undefined[0], undefined), np.full(permutations, np.nan)
    d = delta_e(one[seen][:, None], two[seen][None])
    counts = np.triu(np.ones((n, n)), 1) if pairs == "source" else 1 - np.eye(n)
    within, between = d.diagonal(), d * counts
    means = np.array([within.mean(), between.sum() / counts.sum()])
    without = np.tile(means, (len(one), 1))
    rest, left = (x.sum() - x.sum(0) - x.sum(1) for x in (between, counts))
    with np.errstate(invalid="ignore", divide="ignore"):  # of 2 people no pair is left
        without[seen] = np.stack([(within.sum() - within) / (n - 1), rest / left], axis=1)
    mixed = stream.permuted(np.tile(np.arange(n), (permutations, 1)), axis=1)
    within = d[np.arange(n), mixed]
    if pairs == "source":
        population = np.einsum("ipj,ij->p", d[:, mixed], counts) / counts.sum()
    else:
        population = (d.sum() - within.sum(1)) / counts.sum()
    return Cell(seen, means, without), signed(np.stack([within.mean(1), population], axis=-1))


def _row(cell: Cell, null: FloatArray, alpha: float) -> dict[str, float]:
    value = float(signed(cell.all))
    error, low, high = people_interval(value, signed(cell.without), cell.people, alpha)
    p = (1 + (null >= value - 1e-9).sum()) / (1 + len(null))
    return {
        "estimate": value, "std_error": error, "low": low, "high": high,
        "internal": cell.all[0], "population": cell.all[1], "signed": value,
        "absolute": abs(value), "null": np.abs(null).mean(),
        "p": np.nan if np.isnan(value) else p, "people": cell.people,
    }  # fmt: skip
