"""Respondents drawn from microdata, or from what `rake` gives.

The draw is systematic: people stand in line, sorted by their attributes, each as long as their
weight, and every n-th part of the line gives one respondent (Madow 1949). So the margins of the
first attributes come out within one person of their targets, where independent draws would miss
them by sqrt(p (1 - p) n).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from simkit.personas.margins import columns_of, weights_of
from simkit.personas.raking import Raking
from simkit.types import FloatArray, IntArray, check_labels, framed, generator, integer, typed

__all__ = ["draw"]

MOST = 10**9  # respondents


def draw(
    population: pd.DataFrame | Raking,
    n: int,
    *,
    weight: str | None = "weight",
    replace: bool = True,
    by: str | Sequence[str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """n respondents, drawn with chances proportional to the weights.

    Parameters
    ----------
    population : DataFrame or Raking
        Microdata (one row per person, answers may stay in it), a table of cells with their shares
        (one row per cell), or the result of :func:`rake`.
    n : int
        Respondents.
    weight : str or None
        The population's column of weights (any unit, from 0); None where all weigh the same.
    replace : bool
        Whether a row may be drawn more than once. False: chances are n × share; rows for which
        that exceeds 1 are taken for certain, and weigh more in the sample.
    by : str or sequence of str, optional
        Columns by which the people are sorted before the draw, so that these margins come out
        closest, the first before the others. None for all columns in their order (of a raking:
        those of its margins).
    seed : int
        Of the draw.

    Returns
    -------
    DataFrame
        Columns `person` (0 … n - 1), `source` (the row drawn: its own column `person`, or else its
        label), the population's columns, and `weight`: design weights of mean 1, all equal where
        the sample is proportional. Rows are in random order.

    Raises
    ------
    ValueError
        For a column that is missing, stands twice or holds lists, a bad weight (naming the row), a
        column called `source`, and n below 1 or above the rows to draw without replacement.

    References
    ----------
    Madow (1949), Annals of Mathematical Statistics 20.

    Examples
    --------
    Draw from a population that was raked to cited margins, and tell each respondent in words:

    >>> from simkit.personas import ANES96, Margin, draw, rake, render
    >>> margins = [
    ...     Margin("age", {25: 0.4, 60: 0.6}, source="a census"),
    ...     Margin("vote", {0: 0.55, 1: 0.45}, source="an election"),
    ... ]
    >>> people = draw(rake(margins), 20, seed=1)
    >>> people["vote"].value_counts().to_dict()
    {0: 11, 1: 9}
    >>> print(render(people, ANES96, form="interview")[0])
    A survey of American adults in 1996.
    Interviewer: How old are you?
    Respondent: I am 60 years old.
    Interviewer: Whom do you expect to vote for as president?
    Respondent: I expect to vote for Bill Clinton.
    """
    frame = population.frame if isinstance(population, Raking) else population
    framed(frame, "the population")
    integer(n, "n", 1, MOST)
    typed(replace, "replace", bool, "True or False")
    typed(weight, "weight", str | None, "the name of a column, or None")
    for name in ("source", *(("weight",) if weight != "weight" else ())):
        if name in frame:
            raise ValueError(f"the population has a column {name!r}, which draw writes; rename it")
    if by is None:
        by = population.variables if isinstance(population, Raking) else list(frame.columns)
    else:
        by = columns_of(frame, by, "by", "the population")
        check_labels(frame.loc[:, list(dict.fromkeys(by))], "the population")
    w = weights_of(frame, weight, "the population")
    if not w.sum() > 0:
        raise ValueError(f"nobody to draw: {len(frame)} rows, all of weight 0")
    share = w / w.sum()
    rows = np.flatnonzero(share > 0)
    rank = _ranks(frame[[c for c in dict.fromkeys(by) if c not in (weight, "person")]])
    rng = generator(seed, "draw")
    places, heavy = _drawn(share[rows], rank[rows], n, replace, rng)
    order = rng.permutation(n)
    heavy = heavy[order]
    drawn = frame.iloc[rows[places][order]]
    source = drawn["person"] if "person" in frame else pd.Series(drawn.index.to_flat_index())
    head = pd.DataFrame({"person": np.arange(n), "source": source.to_numpy()})
    rest = drawn.drop(columns=[c for c in (weight, "person") if c in drawn]).reset_index(drop=True)
    return pd.concat([head, rest], axis=1).assign(weight=heavy * n / heavy.sum())


def _ranks(frame: pd.DataFrame) -> IntArray:
    """Place (rows,) of each row in the sorted line; equal rows have equal places.

    Every other group runs backwards, so that neighbours in the line differ in one step only:

        a1b1 a1b2 a1b3 | a2b3 a2b2 a2b1 | a3b1 …
    """
    place = np.zeros(len(frame), dtype=np.int64)
    for name in frame:
        code = _codes(frame[name])
        top = int(code.max(initial=0))
        code = np.where(place % 2, top - code, code)
        place = np.unique(place * (top + 1) + code, return_inverse=True)[1].astype(np.int64)
    return place


def _codes(values: pd.Series) -> IntArray:
    """Codes (rows,) of the values from 0: in order for numbers and categories, missing last."""
    ordered = values.dtype.kind in "biufM" or isinstance(values.dtype, pd.CategoricalDtype)
    try:
        codes: IntArray = pd.factorize(values, sort=ordered)[0].astype(np.int64)
    except TypeError as error:
        raise ValueError(
            f"column {values.name!r} holds values without an order, such as lists ({error}); "
            "name the columns to sort by in `by`"
        ) from error
    codes[codes < 0] = codes.max(initial=-1) + 1
    return codes


def _drawn(
    share: FloatArray, rank: IntArray, n: int, replace: bool, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Row numbers (n,), and their weights (share / chance)."""
    p = share / share.sum()
    expected = n * p if replace else _chances(p, n)
    order = np.lexsort((rng.random(len(p)), rank))
    edges = expected[order].cumsum()
    points = (rng.random() + np.arange(n)) * (edges[-1] / n)  # rounding must not push one out
    places = order[np.minimum(np.searchsorted(edges, points, side="right"), len(p) - 1)]
    return places, p[places] / expected[places]


def _chances(p: FloatArray, n: int) -> FloatArray:
    """Chances (rows,) up to 1, sum n, proportional to p where they are below 1."""
    if n > len(p):
        raise ValueError(f"{n} of {len(p)} rows without replacement; there are only {len(p)}")
    sure = np.zeros(len(p), dtype=bool)
    while True:
        rest = p * ~sure
        chance = np.where(sure, 1.0, (n - sure.sum()) * rest / max(rest.sum(), 1e-300))
        over = (chance > 1) & ~sure
        if not over.any():
            return np.asarray(chance)
        sure |= over
