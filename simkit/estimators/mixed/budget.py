"""What to buy with a budget: people's answers or a model's; and the power that it buys."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.shared.arguments import checked, number
from simkit.result import Result
from simkit.types import column, invalid, several

__all__ = ["budget_split", "power_curve"]

SOURCE = "Broska, Howes & van Loon 2025; Neyman 1938 (double sampling)"


@checked()
def budget_split(
    rho: Any,
    budget: float,
    *,
    cost_person: float,
    cost_answer: float,
    sd: float = 1.0,
    alpha: float = 0.05,
) -> Result:
    """How many people to ask, and for how many to let a model answer, for the shortest interval.

    Parameters
    ----------
    rho : float, Result or Series
        The correlation of answers and predictions; or what :func:`mixed_mean` found in a pilot,
        or one row of another mixed result (``found["yes, mixed"]``), whose interval goes through.
    budget : float
        What may be spent.
    cost_person, cost_answer : float
        Of asking one person, and of one answer of the model. The model answers for those who are
        asked too.
    sd : float
        Standard deviation of the answers; 1 gives widths in standard deviations.
    alpha : float
        1 - confidence of the intervals to come.

    Returns
    -------
    Result
        Rows "people" and "answers", what to buy; "width", of the interval this buys; "width of
        people alone", which the same money buys without the model; and "saving", the share of the
        cost of people alone, for the same width, that is saved. low and high: the best numbers, and
        the width of this purchase, were rho at the ends of its interval; NaN if rho is a number.
        Where people alone do better, "answers" is 0.

    Raises
    ------
    ValueError
        For costs that are not above 0, a budget for fewer than two people, rho outside -1 to 1.

    Notes
    -----
    Variance sd^2 ((1 - rho^2) / n + rho^2 / M) for n people and M answers. It is least for
    n : M = sqrt((1 - rho^2) / cost_person) : sqrt(rho^2 / cost_answer), which is of use only where
    M is above n. A rho below 0 counts as 0.

    References
    ----------
    Broska, Howes & van Loon 2025, Sociological Methods & Research. Neyman 1938, Journal of the
    American Statistical Association 33 (double sampling).

    Examples
    --------
    >>> plan = budget_split(0.7, 1000, cost_person=5, cost_answer=0.01)
    >>> plan.frame["estimate"].round(2).to_dict()  # doctest: +NORMALIZE_WHITESPACE
    {'people': 191.0, 'answers': 4500.0, 'width': 0.21, 'width of people alone': 0.28,
     'saving': 0.44}
    """
    rhos = _rhos(rho)
    plan = _Plan(cost_person, cost_answer, number(budget, "budget"), sd, alpha)
    bought = plan.best(rhos[0])
    alone = plan.width(plan.most, plan.most, 0.0)
    width = plan.width(*bought, rhos[0])
    choices = np.array([plan.best(r) for r in rhos])
    rows = {
        "people": [choices[0, 0], choices[:, 0].min(), choices[:, 0].max()],
        "answers": [choices[0, 1], choices[:, 1].min(), choices[:, 1].max()],
        "width": [width, plan.width(*bought, rhos[2]), plan.width(*bought, rhos[1])],
        "width of people alone": [alone, alone, alone],
        "saving": [1 - (plan.width(*bought, r) / alone) ** 2 for r in rhos],
    }
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "low", "high"])
    if not isinstance(rho, Result | pd.Series):
        frame[["low", "high"]] = np.nan
    frame.insert(1, "std_error", np.nan)
    notes: tuple[str, ...] = ()
    if not bought[1]:
        notes = ("people alone do as well or better: the model is too dear, or knows too little",)
    over = rho.over if isinstance(rho, Result) else ""
    return Result("Budget split", frame, int(bought[0]), alpha, SOURCE, notes, over)


@checked()
def power_curve(
    rho: Any,
    budgets: npt.ArrayLike,
    *,
    effect: float,
    cost_person: float,
    cost_answer: float,
    sd: float = 1.0,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Power of the t test of a mean against what is spent, with a model and without.

    Parameters
    ----------
    rho, cost_person, cost_answer, sd, alpha
        As in :func:`budget_split`.
    budgets : array_like
        (B,) what may be spent. With cost_person=1 these are numbers of people.
    effect : float
        How far the mean lies from the value that is tested, in the answers' unit (standard
        deviations if `sd` is 1).

    Returns
    -------
    DataFrame
        A row per budget: budget, people, answers (0 where people alone do better), power, with
        power_low and power_high at the ends of rho's interval (NaN if rho is a number), and
        power_people, of people alone for the same money.

    Raises
    ------
    ValueError
        As :func:`budget_split`.

    Examples
    --------
    >>> curve = power_curve(0.7, [100, 500], effect=0.3, cost_person=5, cost_answer=0.01)
    >>> curve[["people", "answers", "power", "power_people"]].round(2).values.tolist()
    [[19.0, 500.0, 0.4, 0.25], [95.0, 2500.0, 0.98, 0.84]]
    """
    rhos, rows = _rhos(rho), []
    shift = number(effect, "effect")
    for budget in column(several(budgets), "budgets"):
        plan = _Plan(cost_person, cost_answer, budget, sd, alpha)
        bought = plan.best(rhos[0])
        power, low, high = (plan.power(*bought, r, shift) for r in rhos)
        if not isinstance(rho, Result | pd.Series):
            low = high = np.nan
        rows.append((budget, *bought, power, low, high, plan.power(plan.most, 0.0, 0.0, shift)))
    columns = ["budget", "people", "answers", "power", "power_low", "power_high", "power_people"]
    return pd.DataFrame(rows, columns=columns)


class _Plan:
    """What a budget buys."""

    def __init__(self, person: Any, answer: Any, budget: float, sd: Any, alpha: float) -> None:
        self.person, self.answer, self.sd = (
            number(value, name)
            for value, name in ((person, "cost_person"), (answer, "cost_answer"), (sd, "sd"))
        )
        for value, name in (
            (self.person, "cost_person"), (self.answer, "cost_answer"), (self.sd, "sd"),
        ):  # fmt: skip
            if value < 1e-50:
                raise invalid(name, value, "a number above 0")
        self.budget, self.alpha = budget, alpha
        self.most = float(np.floor(budget / self.person + 1e-9))
        if self.most < 2:
            raise invalid("budget", budget, f"enough for 2 people, {2 * self.person:g}")

    def best(self, rho: float) -> tuple[float, float]:
        """How many people, and how many answers of the model: 0 where people alone do better."""
        a, b = np.sqrt((1 - rho**2) / self.person), np.sqrt(rho**2 / self.answer)
        if b <= a:
            return self.most, 0.0
        people = np.floor(self.budget * a / (self.person * a + self.answer * b))
        people = max(float(people), 2.0)
        answers = float(np.floor((self.budget - self.person * people) / self.answer + 1e-9))
        if answers < people + 2 or self.error(people, answers, rho) >= self.error(self.most, 0, 0):
            return self.most, 0.0
        return people, answers

    def error(self, people: float, answers: float, rho: float) -> float:
        rho = rho if answers else 0.0
        model = rho**2 / answers if answers else 0.0
        return float(self.sd * np.sqrt((1 - rho**2) / people + model))

    def width(self, people: float, answers: float, rho: float) -> float:
        """Of the interval."""
        t = float(special.stdtrit(people - 1, 1 - self.alpha / 2))
        return 2 * t * self.error(people, answers, rho)

    def power(self, people: float, answers: float, rho: float, effect: float) -> float:
        """Of the two-sided t test, by the noncentral t."""
        df = people - 1
        t = float(special.stdtrit(df, 1 - self.alpha / 2))
        moved = abs(effect) / self.error(people, answers, rho)
        return float(1 - special.nctdtr(df, moved, t) + special.nctdtr(df, moved, -t))


def _rhos(rho: Any) -> tuple[float, float, float]:
    """The correlation and the ends of its interval, from 0 on."""
    row: Any = rho
    if isinstance(rho, Result):
        row = rho["mixed"] if "mixed" in rho.frame.index else pd.Series(dtype=float)
    if isinstance(row, pd.Series):
        if not {"rho", "rho_low", "rho_high"} <= set(row.index):
            raise ValueError(
                "rho has no columns rho, rho_low and rho_high; it must be what mixed_mean or "
                'mixed_quantile returns, a row of a mixed result such as found["yes, mixed"], or a '
                "number"
            )
        found = column(row[["rho", "rho_low", "rho_high"]], "rho", missing=True).tolist()
        if not np.isfinite(found).all():
            raise ValueError("rho: the pilot's correlation is undefined (NaN); give a number")
    else:
        found = [number(rho, "rho")] * 3
    if not all(-1 <= r <= 1 for r in found):
        raise invalid("rho", found[0], "a number from -1 to 1")
    first, low, high = (min(max(r, 0.0), 1 - 1e-9) for r in found)
    return first, low, high
