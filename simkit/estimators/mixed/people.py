"""People who were asked and people who were not, and what a model predicts for all of them.

What would make a mixed estimate wrong is refused here, or noted: predictions that are missing,
people asked who differ from the others, predictions that know the answers, too few people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.mixed.rectified import Sides
from simkit.estimators.shared.clustering import ALONE, few_note
from simkit.estimators.shared.respondents import belief_rows
from simkit.types import FloatArray, column, invalid, numbers, one_of, several, usable_rows

__all__ = [
    "People", "asked_of", "belief_of", "given", "one_of_each", "predictions", "read_people",
]  # fmt: skip

MISSING = ("constant", "indicator")
FEW_ASKED = 30
APART = 3.0  # standard errors at which the asked and the others are not one population
UNEQUAL = 5.0  # how far the mean weights of both sides may lie apart


@dataclass(frozen=True)
class People:
    """m people with a positive weight.

    Attributes
    ----------
    rows : (m,) their numbers among the rows of the call. f : (m, k) predictions, none missing.
    names : of the k predictions. sides : who was asked, weights, clusters. notes, over : of the
    result.
    """

    rows: npt.NDArray[np.int64]
    f: FloatArray
    names: list[str]
    sides: Sides
    notes: tuple[str, ...]
    over: str

    @property
    def n(self) -> int:
        """How many were asked."""
        return int(self.sides.asked.sum())

    @property
    def others(self) -> int:
        """How many were not."""
        return len(self.rows) - self.n


def asked_of(answered: npt.NDArray[np.bool_], labelled: Any) -> npt.NDArray[np.bool_]:
    """Who was asked (n,): `labelled`, or those who answered."""
    if labelled is None:
        return answered
    flags = column(labelled, "labelled", rows=len(answered))
    if not np.isin(flags, (0, 1)).all():
        row = int(np.flatnonzero(~np.isin(flags, (0, 1)))[0])
        raise invalid(f"labelled[{row}]", flags[row], "True or False")
    asked = np.asarray(flags == 1)
    silent = np.flatnonzero(asked & ~answered)
    if len(silent):
        label = labelled.index[silent[0]] if isinstance(labelled, pd.Series) else int(silent[0])
        raise ValueError(
            f"y: {len(silent)} of {int(asked.sum())} labelled people have no answer, the first in "
            f"row {label!r}; impute it, or weight for non-response and leave them out: to take "
            "them as others, not asked, would be biased where silence goes with the answer"
        )
    return asked


def belief_of(prediction: Any, values: FloatArray) -> FloatArray:
    """A belief (n, K) over options with these values (K,); rows that are missing are NaN."""
    framed = isinstance(prediction, pd.DataFrame)
    options = list(prediction) if framed else list(range(len(values)))
    try:
        named = [float(o) for o in options]  # files name columns by text: "0", "1"
    except (TypeError, ValueError):
        named = []
    turned = set(named) == set(values.tolist()) and named != values.tolist()
    if len(options) != len(values) or (framed and turned):
        raise invalid("values", values.tolist(), f"those of the prediction's columns, {options}")
    return belief_rows(prediction, options, "prediction")


def predictions(prediction: Any, values: Any) -> tuple[FloatArray, list[str]]:
    """Predictions (n, k), NaN where missing, and their names.

    A belief (n, K) with `values` is its expected value; without, K predictions.
    """
    if values is not None:
        scale = column(values, "values")
        return (belief_of(prediction, scale) @ scale)[:, None], ["prediction"]
    shape = "(n,), or (n, K) with a column an option"
    f = numbers(prediction, "prediction", shape, dims=(1, 2))
    if f.ndim == 1:
        return f[:, None], ["prediction"]
    named = [str(c) for c in prediction] if isinstance(prediction, pd.DataFrame) else None
    f[np.isnan(f).any(axis=1)] = np.nan
    return f, named or [str(k) for k in range(f.shape[1])]


def given(lam: Any, names: list[str]) -> FloatArray | None:
    """λ (k,) as the caller gave it, a number for each of the k predictions; None is None."""
    if lam is None:
        return None
    found = column(several(lam), "lam")
    if len(found) != len(names):
        raise invalid("lam", lam, f"{len(names)} numbers, one for each of {names}, or None")
    return found


def one_of_each(missing: str | None, people: People) -> None:
    """ValueError where there are several predictions and the estimate takes one."""
    if missing == "indicator" or people.f.shape[1] > 1:
        raise ValueError(
            f"there are {people.f.shape[1]} predictions, {people.names[:5]}, and one is needed: "
            "give values= with a belief, and missing='constant' where some are missing"
        )


def read_people(
    asked: npt.NDArray[np.bool_],
    prediction: tuple[FloatArray, list[str]],
    weights: Any,
    cluster: Any,
    missing: str | None,
    within: npt.NDArray[np.bool_] | None = None,
) -> People:
    """The people of a call, checked. asked : (n,). within : (n,) those that count."""
    f, names = prediction
    if len(f) != len(asked):
        raise ValueError(f"prediction has {len(f)} rows; it must have {len(asked)}, as y has")
    used = usable_rows(np.zeros(len(asked)), weights, cluster)
    k = used.kept if within is None else used.kept[within[used.kept]]
    asked, f, weight, code = asked[k], f[k], used.weight[k].copy(), used.cluster[k]
    for side, who in ((asked, "people with an answer"), (~asked, "others, without an answer")):
        count = len(np.unique(code[side]))
        if count < 2:
            what = "people" if cluster is None else "clusters"
            raise ValueError(
                f"{count} {what} of positive weight among the {who}; there must be 2 or more"
            )
    notes = used.notes + _weight_notes(asked, weight)
    for side in (asked, ~asked):
        weight[side] /= weight[side].sum()
    sides = Sides(asked, weight, code)
    if min(sides.units(True), sides.units(False)) < ALONE:
        raise ValueError(
            "one of the people (or clusters) has 99.5 % of the weight on one side or more: how "
            "others would differ is unknown"
        )
    f, names, more = _filled(f, names, sides, missing)
    notes += more + _apart(f, names, sides)
    if asked.sum() < FEW_ASKED:
        notes += (f"{asked.sum()} people were asked: below {FEW_ASKED} an interval rests on "
                  "answers that are near to normal",)  # fmt: skip
    notes += few_note(np.array([sides.units(True), sides.units(False)]))
    over = f"{used.names[0]} ({len(np.unique(code[asked]))} asked)"
    over = "people" if cluster is None else over
    return People(k, f, names, sides, notes, over)


def _filled(
    f: FloatArray, names: list[str], sides: Sides, missing: str | None
) -> tuple[FloatArray, list[str], tuple[str, ...]]:
    """Missing predictions as one constant on both sides, the others' mean."""
    if missing is not None:
        one_of(missing, "missing", MISSING)
    none, asked = np.isnan(f[:, 0]), sides.asked
    if not none.any():
        return f, names, ()
    inside, outside = int((none & asked).sum()), int((none & ~asked).sum())
    text = (
        f"the model did not answer for {inside} of {asked.sum()} people asked and {outside} of "
        f"{(~asked).sum()} others"
    )
    if missing is None:
        raise ValueError(
            f"prediction: {text}; give missing='constant' (they get the mean of the others' "
            "predictions, on both sides) or 'indicator' (silence is a second prediction); to leave "
            "these people out is biased where silence goes with the answer"
        )
    if outside == 0 or none[~asked].all() or none[asked].all():
        raise ValueError(
            f"prediction: {text}; such people seem to have been removed on one side before. Keep "
            "them on both sides; if the model did answer for all others, give the people asked "
            "one constant prediction where there is none"
        )
    there = ~none & ~asked
    constant = sides.weight[there] @ f[there] / sides.weight[there].sum()
    out = np.where(none[:, None], constant, f)
    notes = (f"{text}: they have one constant prediction, the others' mean",)
    if missing == "indicator":
        return np.column_stack([out, none]), [*names, "no prediction"], notes
    return out, names, notes


def _weight_notes(asked: npt.NDArray[np.bool_], weight: FloatArray) -> tuple[str, ...]:
    """Weights that differ in kind between both sides."""
    a, b = weight[asked], weight[~asked]
    flat = [np.ptp(w) <= 1e-9 * w.max() for w in (a, b)]
    if flat[0] == flat[1] and 1 / UNEQUAL <= a.mean() / b.mean() <= UNEQUAL:
        return ()
    what = (
        "vary on one side only"
        if flat[0] != flat[1]
        else f"are {max(a.mean() / b.mean(), b.mean() / a.mean()):.3g} times as large on one side"
    )
    return (
        f"weights {what}: each side is weighted by itself, and both must stand for one population",
    )


def _apart(f: FloatArray, names: list[str], sides: Sides) -> tuple[str, ...]:
    """Are both sides one population? Their predictions must have one mean and one spread."""
    (seen, a), (rest, b) = sides.side(f, True), sides.side(f, False)
    centre = (seen + rest) / 2
    squares = (f - centre) ** 2
    (seen2, a2), (rest2, b2) = sides.side(squares, True), sides.side(squares, False)
    for what, gap, moves in (("mean", seen - rest, a - b), ("spread", seen2 - rest2, a2 - b2)):
        error = np.sqrt(np.sum(moves**2, axis=0))
        ratio = np.divide(gap, error, out=np.zeros_like(gap), where=error > 1e-12)
        worst = int(np.argmax(np.abs(ratio)))
        if abs(ratio[worst]) > APART:
            return (
                f"{names[worst]}: people asked and others differ in the {what} of their "
                f"predictions by {abs(ratio[worst]):.1f} standard errors; either they are not "
                "drawn from one population, or the model knew who was asked",
            )
    return ()
