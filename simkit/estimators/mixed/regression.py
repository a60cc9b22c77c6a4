"""Regression coefficients from a few people's answers and a model's predictions of everybody's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.mixed.gains import SOURCE, adds_nothing, known_answers, rows_of
from simkit.estimators.mixed.people import (
    People,
    asked_of,
    given,
    one_of_each,
    predictions,
    read_people,
)
from simkit.estimators.mixed.rectified import rectify
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.clustering import ALONE, effective
from simkit.result import Result
from simkit.types import FloatArray, column, invalid, numbers, one_of

__all__ = ["mixed_regression"]

STEPS, REACH = 100, 4.0  # Newton steps at most, and how far one may move a linear predictor
FAMILIES: dict[str, tuple[Callable[[FloatArray], FloatArray], Callable[[FloatArray], FloatArray]]]
FAMILIES = {  # mean, and its derivative in terms of the mean
    "linear": (lambda u: u, np.ones_like),
    "logit": (special.expit, lambda mean: mean * (1 - mean)),
}


@checked("y prediction x weights cluster labelled", columns="prediction")
def mixed_regression(
    y: Any = "answer",
    prediction: Any = "prediction",
    x: Any = None,
    *,
    family: str = "linear",
    values: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    labelled: Any = None,
    lam: float | None = None,
    missing: str | None = None,
    alternative: str = "two-sided",
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """Coefficients of a linear or logit regression, with predictions for people not asked.

    Parameters
    ----------
    y, prediction, values
        As in :func:`mixed_mean`, with one prediction per person. For a logit y is 0 or 1, and the
        prediction the belief in 1, never an answer drawn from it.
    x : DataFrame, array_like, str or list of str
        (n, p) what explains the answers, numbers that are known of everybody. An intercept is
        added.
    family : str
        "linear" or "logit".
    weights, cluster, labelled, lam, missing, alternative, alpha, data
        As in :func:`mixed_mean`; of `missing` only "constant".

    Returns
    -------
    Result
        Rows "age, mixed" and "age, people" for each coefficient "age", "intercept" first, with the
        columns of :func:`mixed_mean`; rho is that of the influence values of answers and
        predictions on the coefficient. Each coefficient has its own λ, and with it a fit of its
        own; with one `lam` all come from one fit.

    Raises
    ------
    ValueError
        As :func:`mixed_mean`; for x that is missing or collinear, and a logit without a maximum
        (answers that x separates).

    Notes
    -----
    Solves mean[s(y)] - λ (mean[s(ŷ)] of those asked - mean[s(ŷ)] of the others) = 0 for the score
    s(y) = x (y - mean(x'b)), by Newton: one rectified fit. The standard error is the sandwich of
    the influence values; that of the people alone is HC0 times sqrt(n / (n - 1)). Its curvature is
    that of the equation, 1 - λ of the people asked and λ of the others; with a given `lam` that of
    all people, as published (and in ppi_py), which in small samples is a little too sure.

    Degrees of freedom are the effective number of clusters that a coefficient is made from,
    1 / sum(s^2) - 1, s being a cluster's share of the variation of its column: far fewer than n
    where x is skewed. A tuned λ costs one of them, and is 0 where the people's own error is no
    larger.

    References
    ----------
    As :func:`mixed_mean`.

    Examples
    --------
    >>> dose = np.arange(60) % 5
    >>> answers = 1 + 0.5 * dose + np.sin(np.arange(60) * 3)
    >>> y = np.where(np.arange(60) < 20, answers, np.nan)
    >>> found = mixed_regression(y, answers + np.cos(np.arange(60)) / 2, dose)
    >>> found.text("x, people", ".2f"), found.text("x, mixed", ".2f")
    ('0.48 [0.21, 0.74]', '0.47 [0.28, 0.65]')
    """
    one_of(family, "family", FAMILIES)
    answers = column(y, "y", missing=True)
    design, names = _design(x, len(answers))
    asked = asked_of(~np.isnan(answers), labelled)
    people = read_people(asked, predictions(prediction, values), weights, cluster, missing)
    one_of_each(missing, people)
    if family == "logit":
        _shares(answers, asked, people)
    fit = _Fit(people, answers[people.rows], design[people.rows], family)
    tables, more = [], []
    for j, name in enumerate(names):
        table, notes = fit.coefficient(j, given(lam, people.names), alternative, alpha)
        tables.append(table.rename(lambda kind, name=name: f"{name}, {kind}"))
        more += [f"{name}: {note}" for note in notes]
    frame = pd.concat(tables)
    notes = (*people.notes, *known_answers(people, answers[people.rows]), *more)
    method = f"Mixed regression, {family}"
    return Result(method, frame, people.n, alpha, SOURCE, notes, people.over)


class _Fit:
    """A regression of y (m,), where asked, on x (m, p), for the people of a call."""

    def __init__(self, people: People, y: FloatArray, x: FloatArray, family: str) -> None:
        self.people, self.y, self.x = people, y, x
        self.mean, self.slope = FAMILIES[family]
        self.asked, self.f = people.sides.asked, people.f[:, 0]
        self.alone = self.solve(0.0)

    def curvature(self, b: FloatArray, asked: bool) -> FloatArray:
        """Weighted mean of x x' times the slope at b, on one side."""
        rows = self.asked == asked
        x, w = self.x[rows], self.people.sides.weight[rows]
        return np.asarray((x.T * (w * self.slope(self.mean(x @ b)))) @ x)

    def solve(self, lam: float) -> FloatArray:
        """The coefficients (p,) at which the rectified score is 0."""
        b, w, on, off = np.zeros(self.x.shape[1]), self.people.sides.weight, self.asked, ~self.asked
        for _ in range(STEPS):
            mu = self.mean(self.x @ b)
            score = self.x[on].T @ (w[on] * (self.y[on] - mu[on] - lam * (self.f[on] - mu[on])))
            score += lam * self.x[off].T @ (w[off] * (self.f[off] - mu[off]))
            curve = (1 - lam) * self.curvature(b, True) + lam * self.curvature(b, False)
            step = np.linalg.lstsq(curve, score, rcond=1e-12)[0]
            reach = float(np.abs(self.x @ step).max())
            if self.slope is np.ones_like or reach < 1e-10 * max(1.0, np.abs(self.x @ b).max()):
                return np.asarray(b + step)
            b = b + step * min(1.0, REACH / reach)
        raise ValueError(
            f"the logit at λ = {lam:.3g} has no maximum: x separates the answers, or nearly; ask "
            "more people, or leave columns of x out"
        )

    def influence(self, b: FloatArray, j: int, share: float) -> tuple[FloatArray, FloatArray]:
        """Influence values (m,) of y and of the prediction on coefficient j.

        share : of the people asked in the curvature; the rest is that of the others.
        """
        curve = share * self.curvature(b, True) + (1 - share) * self.curvature(b, False)
        row = self.x @ np.linalg.pinv(curve)[j]
        mu = self.mean(self.x @ b)
        return row * (self.y - mu), row * (self.f - mu)

    def coefficient(
        self, j: int, lam: FloatArray | None, alternative: str, alpha: float
    ) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """The rows "mixed" and "people" of coefficient j, and notes."""
        sides = self.people.sides
        own, guess = self.influence(self.alone, j, 1.0)
        alone = rectify(sides, own, np.zeros((len(own), 1)), np.zeros(1))
        df = self.units(j) - 1
        alone = replace(alone, estimate=float(self.alone[j]), df=df, alone=float(self.alone[j]),
                        alone_df=df)  # fmt: skip
        best = rectify(sides, own, guess[:, None], None).lam if lam is None else lam
        b = self.solve(float(best[0])) if best[0] else self.alone
        share = 1 - float(best[0]) if lam is None or not best[0] else self.asked.mean()
        psi, seen = self.influence(b, j, share)
        found = rectify(sides, psi, seen[:, None], best)
        charged = np.sqrt(df / max(df - 1, 0.5)) if lam is None and 0 < best[0] < 1 else 1.0
        found = replace(
            found, estimate=float(b[j]), error=found.error * charged, df=min(df, found.df),
            alone=alone.alone, alone_error=alone.alone_error, alone_df=df,
        )  # fmt: skip
        if lam is None and found.error >= alone.error:
            found = alone
        people = replace(self.people, f=seen[:, None])
        return rows_of(people, found, psi, alpha, alternative), adds_nothing(people, found)

    def units(self, j: int) -> float:
        """The effective number of clusters asked that coefficient j is made from."""
        sides = self.people.sides
        row = self.x @ np.linalg.pinv(self.curvature(self.alone, True))[j]
        share = sides.weight * row**2 * self.slope(self.mean(self.x @ self.alone))
        sums = np.bincount(sides.code[self.asked], share[self.asked])
        return max(float(effective(sums.astype(np.float64))), ALONE)


def _design(x: Any, n: int) -> tuple[FloatArray, list[str]]:
    """(n, p + 1) with an intercept in front, and the names of its columns."""
    if x is None:
        raise ValueError("x is None; it must be what explains the answers, (n,) or (n, p)")
    values = numbers(x, "x", "(n,) or (n, p)", dims=(1, 2)).reshape(n, -1)
    if np.isnan(values).any():
        row = int(np.flatnonzero(np.isnan(values).any(axis=1))[0])
        raise ValueError(f"x: row {row} has a missing value; x must be known of everybody")
    framed = isinstance(x, pd.DataFrame)
    single = "x" if values.shape[1] == 1 else None
    names = [str(c) for c in x] if framed else [single or f"x{k}" for k in range(values.shape[1])]
    if isinstance(x, pd.Series) and x.name is not None:
        names = [str(x.name)]
    design = np.column_stack([np.ones(n), values])
    scale = np.abs(design).max(axis=0)
    if "intercept" in names or len(set(names)) < len(names):
        raise invalid("the columns of x", names, "names that differ, none of them 'intercept'")
    if not scale.all() or np.linalg.matrix_rank(design / scale, rtol=1e-10) < design.shape[1]:
        raise ValueError(f"x: the columns {names} and the intercept are collinear; leave one out")
    return design, ["intercept", *names]


def _shares(y: FloatArray, asked: npt.NDArray[np.bool_], people: People) -> None:
    """ValueError where y is not 0 or 1, or a prediction not between."""
    odd = np.flatnonzero(asked & ~np.isin(y, (0, 1)))
    if len(odd):
        raise invalid(f"y[{odd[0]}]", y[odd[0]], "0 or 1 for a logit")
    beyond = np.flatnonzero((people.f[:, 0] < 0) | (people.f[:, 0] > 1))
    if len(beyond):
        row = people.rows[beyond[0]]
        raise invalid(f"prediction[{row}]", people.f[beyond[0], 0], "from 0 to 1 for a logit")
