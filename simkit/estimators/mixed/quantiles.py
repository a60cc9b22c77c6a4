"""Quantiles of answers from a few people's answers and a model's predictions of everybody's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.mixed.gains import SOURCE, adds_nothing, framed_rows, gains, known_answers
from simkit.estimators.mixed.people import (
    People,
    asked_of,
    belief_of,
    given,
    one_of_each,
    predictions,
    read_people,
)
from simkit.estimators.mixed.rectified import ALTERNATIVES, rectify
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.arguments import share as share_of
from simkit.result import REQUIRED, Result
from simkit.types import FloatArray, IntArray, column, one_of

__all__ = ["mixed_quantile"]

AT_ONCE = 1_000_000  # people times places: of a longer grid some places are tried, then others


@checked("y prediction weights cluster labelled", columns="prediction")
def mixed_quantile(
    y: Any = "answer",
    prediction: Any = "prediction",
    q: float = 0.5,
    *,
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
    """Median, or another quantile, of answers, with predictions for people not asked.

    Parameters
    ----------
    y, prediction
        As in :func:`mixed_mean`, with one number, or one belief, per person.
    q : float
        Between 0 and 1.
    values : array_like, optional
        (K,) the options' values: the prediction is then the belief's cumulative distribution, which
        says more than its expected value.
    weights, cluster, labelled, lam, missing, alternative, alpha, data
        As in :func:`mixed_mean`; of `missing` only "constant".

    Returns
    -------
    Result
        The rows "mixed" and "people", with the columns of :func:`mixed_mean` but those of the test.
        std_error is the interval's width by that of a t interval; rho and n_effective are those of
        the answers' being at most the people's quantile. An end is infinite where too few were
        asked for it, unless `values` end the scale.

    Raises
    ------
    ValueError
        As :func:`mixed_mean`, and for q outside 0 to 1.

    Notes
    -----
    The share of answers at most t is F(t) = the people's - λ (the predicted one of those asked -
    that of the others); the estimate is the smallest t with F(t) >= q. λ is that of least variance
    at the people's own quantile; 0 where the people's own interval is no wider (shares of few
    people move in steps, which may favour it). The interval holds all t whose F(t) does not differ
    from q, by a score test with t quantiles (after Woodruff 1952).

    References
    ----------
    As :func:`mixed_mean`; Woodruff 1952.

    Examples
    --------
    >>> y = [*range(1, 21), *[float("nan")] * 40]
    >>> guess = [k + 0.5 - k % 2 for k in range(1, 21)] + [k / 2 for k in range(40)]
    >>> mixed_quantile(y, guess).frame[["estimate", "low", "high"]].round(1)
            estimate  low  high
    mixed       10.0  6.0  13.0
    people      10.0  6.0  15.0
    """
    q = share_of(q, "q")
    one_of(alternative, "alternative", ALTERNATIVES)
    answers = column(y, "y", missing=True)
    asked = asked_of(~np.isnan(answers), labelled)
    if values is None:
        scale, read = None, predictions(prediction, None)
    else:
        scale = column(values, "values")
        belief = belief_of(prediction, scale)
        read = (belief, [f"P({v:g})" for v in scale])
    people = read_people(asked, read, weights, cluster, missing)
    if scale is None or missing == "indicator":
        one_of_each(missing, people)
    y = answers[people.rows]
    curve = _Curve(people, y, scale, q, given(lam, ["prediction"]))
    tail = alpha / 2 if alternative == "two-sided" else alpha
    table = {kind: curve.row(kind, tail, alternative) for kind in ("mixed", "people")}
    found, wide = curve.found, {kind: row["std_error"] for kind, row in table.items()}
    if lam is None and not wide["mixed"] <= wide["people"]:
        table["mixed"] = table["people"]
        found = replace(found, error=found.alone_error, lam=np.zeros(1))
    at = [curve.middle]
    share = replace(people, f=curve.predicted(at), names=["prediction"])
    frame = framed_rows(table, gains(share, found, curve.below(at)[:, 0], alpha), alternative)
    notes = people.notes + known_answers(people, y) + adds_nothing(share, found)
    return Result(f"Mixed quantile {q:g}", frame, people.n, alpha, SOURCE, notes, people.over)


class _Curve:
    """The share of answers at most t, for each t that occurs."""

    def __init__(
        self, people: People, y: FloatArray, scale: FloatArray | None, q: float,
        lam: FloatArray | None,
    ) -> None:  # fmt: skip
        self.people, self.y, self.scale, self.q = people, y, scale, q
        seen = people.f[:, 0] if scale is None else scale
        self.grid = np.unique(np.concatenate([y[people.sides.asked], seen]))
        self.known: dict[tuple[str, bytes], tuple[FloatArray, FloatArray]] = {}
        self.middle = self.place(lambda k: self.shares(k, "people")[0] >= q - 1e-12)
        at = [self.middle]
        self.found = rectify(people.sides, self.below(at)[:, 0], self.predicted(at), lam)

    def below(self, places: Any) -> FloatArray:
        """Whether each answer is at most the grid at some places, (m, T)."""
        return np.asarray(self.y[:, None] <= self.grid[places], dtype=np.float64)

    def predicted(self, places: Any) -> FloatArray:
        """The predicted probability of that, (m, T)."""
        if self.scale is None:
            return np.asarray(self.people.f <= self.grid[places], dtype=np.float64)
        below = self.scale[:, None] <= self.grid[places]
        return np.asarray(self.people.f @ below.astype(np.float64))

    def shares(self, places: IntArray, kind: str) -> tuple[FloatArray, FloatArray]:
        """F at some places of the grid, and how many draws would be as precise."""
        key = (kind, places.tobytes())
        if key not in self.known:
            lam = self.found.lam[0] if kind == "mixed" else 0.0
            sides = self.people.sides
            own, t = sides.side(self.below(places), True)
            seen, a = sides.side(self.predicted(places), True)
            others, b = sides.side(self.predicted(places), False)
            square = np.sum((t - lam * (a - b)) ** 2, axis=0)
            room = own * (1 - own)
            draws = np.full(len(places), sides.units(True))
            np.divide(room, square, out=draws, where=(square > 0) & (room > 1e-12))
            self.known[key] = own - lam * (seen - others), draws
        return self.known[key]

    def place(self, true: Callable[[IntArray], Any], last: bool = False) -> int:
        """The first place of the grid where a condition is true (or the last); len(grid) if none.

        Of a long grid some places are looked at, then those between two of them.
        """
        low, high, tried = 0, len(self.grid) - 1, max(AT_ONCE // len(self.y), 100)
        while True:
            looked = np.unique(np.linspace(low, high, tried).astype(int))
            held = np.flatnonzero(true(looked))
            if len(held) == 0:
                return len(self.grid)
            k, end, step = (held[-1], len(looked) - 1, 1) if last else (held[0], 0, -1)
            if k == end or abs(looked[k] - looked[k + step]) == 1:
                return int(looked[k])
            low, high = sorted((int(looked[k]), int(looked[k + step]) - step))

    def row(self, kind: str, tail: float, alternative: str) -> dict[str, float]:
        """estimate, std_error, low, high, df."""
        df = self.found.df if kind == "mixed" else self.found.alone_df
        quantile = float(special.stdtrit(df, 1 - tail))
        size = len(self.grid)

        def gap(places: IntArray, sign: int) -> FloatArray:
            share, draws = self.shares(places, kind)
            return share - self.q + sign * quantile * np.sqrt(self.q * (1 - self.q) / draws)

        at = self.place(lambda k: self.shares(k, kind)[0] >= self.q - 1e-12)
        first = self.place(lambda k: gap(k, 1) >= 0)
        last = self.place(lambda k: gap(k, -1) <= 0, last=True)
        none = quantile * np.sqrt(self.q * (1 - self.q) / self.people.sides.units(True))
        low = -np.inf if self.q <= none and self.scale is None else self.grid[min(first, size - 1)]
        above = 0 if last == size else last + 1  # where even the first share is above q
        high = self.grid[above] if above < size else np.inf
        high = self.grid[-1] if above == size and self.scale is not None else high
        estimate = self.grid[min(at, size - 1)]
        low, high = min(low, estimate), max(high, estimate)
        error = (high - low) / (2 * quantile) if np.isfinite(high - low) else np.nan
        ends = (-np.inf if alternative == "smaller" else low,
                np.inf if alternative == "larger" else high)  # fmt: skip
        values = (float(v) for v in (estimate, error, *ends))
        return {**dict(zip(REQUIRED, values, strict=True)), "df": df}
