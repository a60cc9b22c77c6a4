"""Means from a few people's answers and a model's predictions of everybody's."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.mixed.gains import (
    SOURCE,
    adds_nothing,
    framed_rows,
    known_answers,
    ratio,
    rows_of,
)
from simkit.estimators.mixed.people import People, asked_of, given, predictions, read_people
from simkit.estimators.mixed.rectified import Rectified, interval, rectify, welch
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.rows import texts
from simkit.result import Result
from simkit.types import column, labels

__all__ = ["mixed_difference", "mixed_mean"]


@checked("y prediction weights cluster labelled", columns="prediction")
def mixed_mean(
    y: Any = "answer",
    prediction: Any = "prediction",
    *,
    values: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    labelled: Any = None,
    lam: npt.ArrayLike | None = None,
    missing: str | None = None,
    alternative: str = "two-sided",
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """Mean of all people's answers, from those of a few and predictions of everybody's.

    The mean of the people asked, moved by how much the predictions of all others differ from
    theirs: valid whatever the predictions are, and the more precise, the better they are.

    Parameters
    ----------
    y : array_like or str
        (n,) answers, NaN for people who were not asked. With `data`, the name of its column.
    prediction : array_like, DataFrame, str or list of str
        (n,) what a model predicts for each person, asked or not; or (n, K) a belief with a column
        an option. An expected value serves better than an answer drawn from the belief.
    values : array_like, optional
        (K,) the options' values: the prediction is then the belief's expected value. Without, a
        belief (or the predictions of K models) gets a λ for each column, the best linear
        combination.
    weights, cluster : array_like or str, optional
        (n,) survey weights, each side being weighted by itself; labels of people who are not
        independent (households), who may be on both sides.
    labelled : array_like or str, optional
        (n,) True for those who were asked, if not all who have an answer count as such. An answer
        of the others is not looked at; one of these that is missing is an error.
    lam : float or array_like, optional
        How far to trust the predictions: 0 is the people alone, 1 the predictions in full; None
        takes the λ from 0 to 1 that makes the estimated variance least. Several predictions have
        (k,) of them, which None tunes without these ends.
    missing : str, optional
        What to do where a prediction is missing: "constant" gives all these people one, the mean
        of the others' predictions; "indicator" adds silence as a second prediction. None refuses.
    alternative : str
        "two-sided", or "larger" (or "smaller") for a lower (or upper) bound and its test against
        0.
    alpha : float
        1 - confidence.
    data : DataFrame, optional
        One row per person; the arguments about people are then names of its columns.

    Returns
    -------
    Result
        The rows "mixed" and "people" (those asked alone). Columns beside the interval and its t
        test: labelled and others, how many people; lam, the λ (with several predictions one column
        each, "lam: name"); rho, the correlation of answers and predictions, with its interval
        rho_low and rho_high; n_effective, how many people asked would alone give this standard
        error; worth, how many people asked one model answer is worth, (n_effective - labelled) /
        (labelled + others); relative_width, of the interval to that of the people alone. `n` is the
        number of people asked.

    Raises
    ------
    ValueError
        For fewer than 2 people (or clusters) on a side, weights of a side that are all 0, labelled
        people without an answer, and predictions that are missing without a rule, or that were
        removed on one side only.

    Notes
    -----
    Estimate ȳ - λ (f̄ of those asked - f̄ of the others), weighted means. The standard error is that
    of its influence values, summed within clusters, each side with C / (C - 1), and a cluster that
    is on both sides jointly; t quantiles on the effective number of clusters asked - 1, fewer where
    the others are fewer still. At the best λ and without weights n_effective is
    n / (1 - rho^2 N / (n + N)). Several tuned λ are charged like regression coefficients, each a
    degree of freedom, and are 0 where the people alone are then as precise.

    The predictions must not depend on the answers of the people asked. Whoever tuned a model on
    them must predict them out of fold (:func:`cross_fitted`), and a survey that is public may have
    been in a model's training text, which no check of these numbers can see. Noted are predictions
    that equal the answers, and sides whose predictions differ in mean or spread by 3 standard
    errors. For answers 0 or 1 :func:`mixed_shares` has the better interval.

    References
    ----------
    Angelopoulos, Bates, Fannjiang, Jordan & Zrnic 2023, Science 382. Angelopoulos, Duchi & Zrnic,
    PPI++, arXiv 2311.01453. Broska, Howes & van Loon 2025, Sociological Methods & Research.

    Examples
    --------
    >>> asked, other = [3.0, 5.0, 4.0, 6.0], [float("nan")] * 6
    >>> found = mixed_mean([*asked, *other], [3.5, 4.5, 4, 6, 4, 5, 3, 5.5, 4.5, 5])
    >>> found.frame[["estimate", "std_error", "lam", "n_effective"]].round(2)
            estimate  std_error   lam  n_effective
    mixed        4.5       0.39  0.78        10.74
    people       4.5       0.65  0.00         4.00
    """
    answers = column(y, "y", missing=True)
    asked = asked_of(~np.isnan(answers), labelled)
    people = read_people(asked, predictions(prediction, values), weights, cluster, missing)
    y = answers[people.rows]
    found = rectify(people.sides, y, people.f, given(lam, people.names))
    frame = rows_of(people, found, y, alpha, alternative)
    notes = people.notes + known_answers(people, y) + adds_nothing(people, found)
    return Result("Mixed mean", frame, people.n, alpha, SOURCE, notes, people.over)


@checked("y prediction by weights cluster labelled", columns="prediction")
def mixed_difference(
    y: Any = "answer",
    prediction: Any = "prediction",
    by: Any = None,
    *,
    values: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    labelled: Any = None,
    lam: npt.ArrayLike | None = None,
    missing: str | None = None,
    alternative: str = "two-sided",
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """Difference of two groups' means, or of two treatments': each a mixed mean with its own λ.

    Parameters
    ----------
    y, prediction, values
        As in :func:`mixed_mean`, a row per person; or one per person and treatment, with
        `cluster` naming the person.
    by : array_like or str
        (n,) the group or treatment, one of two. The difference is the last in order less the
        first (1 - 0, True - False, "b" - "a").
    weights, cluster, labelled, lam, missing, alternative, alpha, data
        As in :func:`mixed_mean`. Groups that share clusters (the same people) are compared within
        these.

    Returns
    -------
    Result
        Rows "b - a, mixed" and "b - a, people", and as in :func:`mixed_mean` those of each group:
        "b, mixed", "b, people", "a, mixed", "a, people". The difference has no lam and no rho of
        its own.

    Raises
    ------
    ValueError
        As :func:`mixed_mean`, in each group; and for other than two groups.

    Notes
    -----
    Influence values of both groups are subtracted within clusters. Groups that share none are
    independent, with Welch's degrees of freedom; else the smaller of the groups' is taken.

    References
    ----------
    As :func:`mixed_mean`; Welch 1947.

    Examples
    --------
    >>> nan = float("nan")
    >>> y = [3.0, 5, 4, 6, nan, nan, nan, 2.0, 3, 1, nan, nan, nan]
    >>> guess = [3.5, 4.5, 4, 6, 4, 5, 3, 2.5, 3, 1.5, 2, 2, 3]
    >>> found = mixed_difference(y, guess, ["ad"] * 7 + ["none"] * 6)
    >>> found.text("none - ad, mixed", ".1f"), found.text("none - ad, people", ".1f")
    ('−2.2 [−3.8, −0.7]', '−2.5 [−4.7, −0.3]')
    """
    answers = column(y, "y", missing=True)
    if by is None:
        raise ValueError("by is None; it must be the group of each row, one of two")
    code, keys = labels(by, "by", len(answers))
    names = texts(keys)
    if len(names) != 2 or keys.shape[1] != 1:
        raise ValueError(f"by has the groups {names[:5]}; there must be two")
    first, second = keys.iloc[:, 0]
    try:
        order = [1, 0] if first < second else [0, 1]
    except TypeError:  # a number and a text
        order = [1, 0] if names[0] < names[1] else [0, 1]
    asked = asked_of(~np.isnan(answers), labelled)
    parts, frames, notes = [], [], []
    for group in order:
        read = predictions(prediction, values)
        try:
            people = read_people(asked, read, weights, cluster, missing, code == group)
        except ValueError as error:
            raise ValueError(f"group {names[group]!r}: {error}") from None
        y = answers[people.rows]
        found = rectify(people.sides, y, people.f, given(lam, people.names))
        parts.append((people, found))
        rows = rows_of(people, found, y, alpha, alternative)
        frames.append(rows.rename(lambda kind, name=names[group]: f"{name}, {kind}"))
        more = people.notes + known_answers(people, y) + adds_nothing(people, found)
        notes += [f"{names[group]}: {note}" for note in more]
    name = f"{names[order[0]]} - {names[order[1]]}"
    gap = _gap(parts, alpha, alternative).rename(lambda kind: f"{name}, {kind}")
    frame = pd.concat([gap, *frames])
    n = parts[0][0].n + parts[1][0].n
    return Result("Mixed difference", frame, n, alpha, SOURCE, tuple(notes), parts[0][0].over)


def _gap(parts: list[tuple[People, Rectified]], alpha: float, alternative: str) -> pd.DataFrame:
    """The rows "mixed" and "people" of the first less the second."""
    (people, a), (others, b) = parts
    shared = np.intersect1d(people.sides.code, others.sides.code).size > 0
    size = max(len(a.moves), len(b.moves))
    n, rest = people.n + others.n, people.others + others.others
    table, errors = {}, {}
    for kind, x, y, moves, df in (
        ("mixed", a.estimate, b.estimate, (a.moves, b.moves), (a.df, b.df)),
        ("people", a.alone, b.alone, (a.alone_moves, b.alone_moves), (a.alone_df, b.alone_df)),
    ):
        first, second = (np.pad(m, (0, size - len(m))) for m in moves)
        errors[kind] = float(np.sqrt(np.sum((first - second) ** 2)))
        squares = [float(np.sum(m * m)) for m in moves]
        free = min(df) if shared else welch(squares, list(df))
        table[kind] = interval(x - y, errors[kind], free, alpha, alternative)
    worth = n * ratio(errors["people"], errors["mixed"]) ** 2
    more = {"labelled": n, "others": rest, "n_effective": [worth, n],
            "worth": [(worth - n) / (n + rest), 0.0]}  # fmt: skip
    return framed_rows(table, more, alternative)
