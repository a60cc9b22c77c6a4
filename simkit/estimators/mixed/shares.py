"""Shares of answers from a few people's answers and a model's beliefs about everybody's."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.mixed.gains import SOURCE, adds_nothing, framed_rows, gains, known_answers
from simkit.estimators.mixed.people import People, asked_of, given, predictions, read_people
from simkit.estimators.mixed.rectified import ALTERNATIVES, rectify
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.intervals import score_interval
from simkit.estimators.shared.respondents import answer_codes, belief_rows
from simkit.result import REQUIRED, Result
from simkit.types import FloatArray, listed, one_of

__all__ = ["mixed_shares"]


@checked("y belief weights cluster labelled", columns="belief")
def mixed_shares(
    y: Any = "answer",
    belief: Any = "belief",
    *,
    options: Any = None,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    labelled: Any = None,
    lam: float | None = None,
    missing: str | None = None,
    alternative: str = "two-sided",
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """Share of each answer, from the answers of a few and beliefs about everybody's.

    Parameters
    ----------
    y : array_like or str
        (n,) answers, one of the options; missing for people who were not asked.
    belief : DataFrame, array_like, str or list of str
        (n, K) the probabilities of the options for each person, asked or not.
    options : sequence, optional
        (K,) the options in the order of the belief's columns, if these do not have their names.
    weights, cluster, labelled, lam, missing, alternative, alpha, data
        As in :func:`mixed_mean`.

    Returns
    -------
    Result
        Rows "yes, mixed" and "yes, people" for each option "yes", with the columns of
        :func:`mixed_mean` but those of the test. Each option has its own λ, which makes each
        interval as short as it can be, and the shares then need not sum to 1; with one `lam` they
        do. A share below 0 or above 1, which the correction can make, is set to that end.

    Raises
    ------
    ValueError
        As :func:`mixed_mean`; for answers that are no option, and beliefs that do not sum to 1.

    Notes
    -----
    Each is the mixed mean of 0 and 1 with the belief as its prediction. The interval is Wilson's
    (1927), of as many draws as would have the standard error found, which does not leave 0 to 1 and
    holds for rare answers too; with weights or clusters by t quantiles. Where all people asked
    agree on an option, their interval is that of as many draws as there were people, and the model
    adds nothing.

    References
    ----------
    As :func:`mixed_mean`; Wilson 1927; Korn & Graubard 1998.

    Examples
    --------
    >>> y = ["yes", "yes", "no", "no", "yes", None, None, None, None, None]
    >>> yes = [0.9, 0.6, 0.3, 0.1, 0.7, 0.8, 0.7, 0.2, 0.8, 0.9]
    >>> belief = pd.DataFrame({"yes": yes}).assign(no=lambda t: 1 - t["yes"])
    >>> mixed_shares(y, belief).text("yes, mixed", ".0%")
    '74% [40%, 93%]'
    """
    one_of(alternative, "alternative", ALTERNATIVES)
    named = options is None
    chosen = list(belief) if named and isinstance(belief, pd.DataFrame) else options
    if chosen is None:
        raise ValueError("options is None; it must be the options of the belief's columns, or the "
                         "belief a DataFrame whose columns have their names")  # fmt: skip
    choices = listed(chosen, "options")
    rows = belief if named else np.asarray(belief)
    b = belief_rows(rows, choices, "belief")
    code = answer_codes(y, choices, "y")
    asked = asked_of(code >= 0, labelled)
    tables: list[pd.DataFrame] = []
    notes: list[str] = []
    for k, option in enumerate(choices):
        read = predictions(b[:, k], None)
        people = read_people(asked, read, weights, cluster, missing)
        chose = (code[people.rows] == k).astype(np.float64)
        table, more = _share(people, chose, lam, alternative, alpha)
        tables.append(table.rename(lambda kind, name=option: f"{name}, {kind}"))
        notes += people.notes + tuple(f"{option}: {note}" for note in more)
    frame = pd.concat(tables)
    unique = tuple(dict.fromkeys(notes))
    return Result("Mixed shares", frame, people.n, alpha, SOURCE, unique, people.over)


def _share(
    people: People, y: FloatArray, lam: float | None, alternative: str, alpha: float
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows "mixed" and "people" of one option, y (m,) being 1 for it; and notes."""
    found = rectify(people.sides, y, people.f, given(lam, people.names))
    units, room = people.sides.units(True), found.alone * (1 - found.alone)
    unequal = units < people.n - 1e-6
    tail = alpha / 2 if alternative == "two-sided" else alpha
    table = {}
    for kind, share, error, df in (
        ("mixed", float(np.clip(found.estimate, 0, 1)), found.error, found.df),
        ("people", found.alone, found.alone_error, found.alone_df),
    ):
        # As many draws as would have this error: the error is the larger, the nearer to a half
        # the share of those asked is, whatever the mixed share.
        draws = room / error**2 if error > 0 and room > 0 else units
        if error > 0 and room <= 0 and 0 < share < 1:
            draws = min(units, share * (1 - share) / error**2)
        df = df if unequal else np.inf
        quantile = float(special.stdtrit(df, 1 - tail))
        low, high = score_interval(np.array(share), draws, quantile)
        ends = (0.0 if alternative == "smaller" else float(low),
                1.0 if alternative == "larger" else float(high))  # fmt: skip
        table[kind] = {**dict(zip(REQUIRED, (share, error, *ends), strict=True)), "df": df}
    frame = framed_rows(table, gains(people, found, y, alpha), alternative)
    return frame, known_answers(people, y) + adds_nothing(people, found)
