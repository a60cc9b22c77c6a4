"""Raking: weights that meet cited margins, by iterative proportional fitting.

Of all joint distributions with the given margins it finds the one closest (in Kullback–Leibler
divergence) to the start: the microdata's own pattern of association, or independence (Deming &
Stephan 1940, Annals of Mathematical Statistics 11; Csiszár 1975, Annals of Probability 3).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from math import prod
from typing import Any

import numpy as np
import pandas as pd

from simkit.personas.margins import (
    Compared,
    Margin,
    columns_of,
    comparison,
    value_text,
    weights_of,
)
from simkit.templates import is_missing
from simkit.types import (
    FloatArray,
    IntArray,
    framed,
    hashable,
    integer,
    invalid_row,
    listed,
    scalar,
    typed,
)

__all__ = ["Raking", "rake"]

MOST_CELLS = 2_000_000


@dataclass(frozen=True, repr=False, eq=False)
class Raking(Compared):
    """A raked population and the report of the fit.

    Attributes
    ----------
    frame : DataFrame
        The rows (people, or cells) with `weight`, their share (sum 1).
    report : DataFrame
        One row per margin and value: `margin`, `value`, `target`, `achieved`, `deviation`
        (achieved - target, in shares), `start` (the share before) and `source`.
    margins : tuple of Margin
        The targets.
    history : tuple of float
        The largest absolute deviation after each iteration.
    tolerance : float
        The deviation that counts as met.
    """

    frame: pd.DataFrame
    report: pd.DataFrame
    margins: tuple[Margin, ...]
    history: tuple[float, ...]
    tolerance: float

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables of the margins, in order."""
        return tuple(dict.fromkeys(v for margin in self.margins for v in margin.variables))

    @property
    def iterations(self) -> int:
        return len(self.history)

    @property
    def largest(self) -> float:
        """The largest remaining deviation, in shares."""
        return self.history[-1]

    @property
    def converged(self) -> bool:
        return self.largest <= self.tolerance

    @cached_property
    def effective_n(self) -> float:
        """Kish's effective number of rows: (sum w)^2 / sum w^2 (1965, Survey Sampling)."""
        w = self.frame["weight"].to_numpy()
        return float(w.sum() ** 2 / (w**2).sum())

    def _shown(self) -> tuple[str, pd.DataFrame]:
        state = "converged" if self.converged else "DID NOT CONVERGE"
        head = (
            f"Raking: {state} in {self.iterations} iterations, largest remaining deviation "
            f"{self.largest:.2g} (tolerance {self.tolerance:g}); {len(self.frame)} rows, "
            f"effective {self.effective_n:.1f}"
        )
        return head, self.report


def rake(
    margins: Iterable[Margin],
    table: pd.DataFrame | None = None,
    *,
    weight: str | None = "weight",
    tolerance: float = 1e-6,
    max_iterations: int = 1_000,
) -> Raking:
    """Weights that meet all margins and are otherwise as close to the start as possible.

    Parameters
    ----------
    margins : iterable of Margin
        One or more; they may share variables.
    table : DataFrame, optional
        The start: microdata or a joint table with the margins' columns (further columns stay); its
        associations beyond the margins are kept. None: all combinations of the margins' values,
        independent beyond the margins.
    weight : str or None
        The table's column of weights before raking (any unit, from 0); None where all rows weigh
        the same.
    tolerance : float
        The largest deviation of any share that counts as met, and the most by which two margins
        may contradict each other (cited shares are rounded).
    max_iterations : int
        Each goes through all margins once.

    Returns
    -------
    Raking
        If the fit does not converge (no joint distribution has these margins, given the table's
        empty cells), `converged` is False, and a warning names the margin and the value that are
        furthest off.

    Raises
    ------
    ValueError
        For margins that contradict each other, a value of a margin that no row with weight has, a
        value of the table that a margin does not know, and a missing one: naming margin, value and
        row.

    References
    ----------
    Deming & Stephan (1940), Annals of Mathematical Statistics 11; Csiszár (1975), Annals of
    Probability 3.

    Examples
    --------
    >>> people = pd.DataFrame({"gender": ["woman", "man", "man"], "vote": ["A", "A", "B"]})
    >>> gender = Margin("gender", {"woman": 0.52, "man": 0.48}, source="a census")
    >>> rake([gender], people, weight=None).frame["weight"].round(2).tolist()
    [0.52, 0.24, 0.24]
    """
    margins = tuple([margins] if isinstance(margins, Margin) else listed(margins, "margins"))
    integer(max_iterations, "max_iterations", 1)
    tolerance = scalar(tolerance, "tolerance", 0)
    _check_margins(margins, tolerance)
    frame = _cells(margins) if table is None else framed(table, "the table")
    start = _start(frame, margins, None if table is None else weight)
    fits = [_fit(margin, frame) for margin in margins]
    for code, target in fits:  # what a margin rules out counts for no other
        start = start * (target[code] > 0)
    for margin, (code, target) in zip(margins, fits, strict=True):
        lost = (target > 0) & ~(np.bincount(code, start, len(target)) > 0)
        for key in [key for key, is_lost in zip(margin.shares, lost, strict=True) if is_lost][:1]:
            raise ValueError(
                f"margin {margin.name}: value {value_text(key)!r} has share "
                f"{margin.shares[key]:g}, but no row of the table has it (with a weight, and not "
                "ruled out by another margin); merge it with another value, or add rows"
            )
    start /= start.sum()
    weights, history = _fitted(start, fits, tolerance, max_iterations)
    report = _report(margins, fits, start, weights)
    out = frame.drop(columns=[weight] if weight in frame else []).assign(weight=weights)
    raking = Raking(out, report, margins, history, tolerance)
    if not raking.converged:
        worst = report.loc[report["deviation"].abs().idxmax()]
        warnings.warn(
            f"raking did not converge in {raking.iterations} iterations: margin "
            f"{worst['margin']}, value {worst['value']}, has {worst['achieved']:.4f} where "
            f"{worst['target']:.4f} is the target. No distribution over these rows may have "
            "all the margins",
            stacklevel=2,
        )
    return raking


def _check_margins(margins: Sequence[Margin], tolerance: float) -> None:
    if not margins:
        raise ValueError("no margins; at least one is needed")
    for margin in margins:
        typed(margin, "a margin", Margin, "a Margin")
    for a, b in combinations(margins, 2):
        if set(a.variables) == set(b.variables):
            raise ValueError(f"margin {a.name} is there twice ({a.source}; {b.source})")
        common = [v for v in a.variables if v in b.variables]
        if not common:
            continue
        one, other = a.collapsed(common), b.collapsed(common)
        gaps = {k: abs(one.get(k, 0.0) - other.get(k, 0.0)) for k in [*one, *other]}
        worst = max(gaps, key=lambda k: gaps[k])
        if gaps[worst] > tolerance:
            shares = [f"{of.get(worst, 0.0):.6g}" for of in (one, other)]
            raise ValueError(
                f"margins {a.name} ({a.source}) and {b.name} ({b.source}) contradict each other: "
                f"{', '.join(common)} = {value_text(worst)} has share {shares[0]} in one and "
                f"{shares[1]} in the other. If that is rounding, tolerance must be "
                f"{gaps[worst]:.2g} or more"
            )


def _cells(margins: Sequence[Margin]) -> pd.DataFrame:
    """All combinations of the values that the margins give a share."""
    values: dict[str, list[Any]] = {}
    for margin in margins:
        for i, name in enumerate(margin.variables):
            seen = list(dict.fromkeys(k[i] for k, share in margin.shares.items() if share > 0))
            values[name] = [v for v in values.get(name, seen) if v in seen]
    count = prod(map(len, values.values()))
    if count > MOST_CELLS:
        raise ValueError(
            f"{count} combinations of {', '.join(values)}; there may be up to {MOST_CELLS}. Rake "
            "microdata instead (table=)"
        )
    return pd.DataFrame(list(product(*values.values())), columns=list(values))


def _start(frame: pd.DataFrame, margins: Sequence[Margin], weight: str | None) -> FloatArray:
    columns_of(frame, [v for m in margins for v in m.variables], "margins", "the table")
    if weight != "weight" and "weight" in frame:
        raise ValueError("the table has a column 'weight', which raking writes; use or rename it")
    return weights_of(frame, weight, "the table")


def _fit(margin: Margin, frame: pd.DataFrame) -> tuple[IntArray, FloatArray]:
    """Which of the margin's values each row has (rows,), and their targets (values,)."""
    number = {key: i for i, key in enumerate(margin.shares)}
    keys = list(zip(*(frame[v].tolist() for v in margin.variables), strict=True))
    codes = [number.get(key, -1) if hashable(key) else -1 for key in keys]
    if -1 in codes:
        row = codes.index(-1)
        values = ", ".join(map(value_text, number))
        remedy = "; drop or fill what is missing" if any(map(is_missing, keys[row])) else ""
        what = f"one of {values}{remedy}"
        raise invalid_row(f"margin {margin.name}", frame.index[row], value_text(keys[row]), what)
    return np.array(codes, dtype=np.int64), np.array([*margin.shares.values()], dtype=float)


def _fitted(
    start: FloatArray,
    fits: Sequence[tuple[IntArray, FloatArray]],
    tolerance: float,
    most: int,
) -> tuple[FloatArray, tuple[float, ...]]:
    weights, history = start.copy(), []
    for _ in range(most):
        for code, target in fits:
            mass = np.bincount(code, weights, len(target))
            factor = np.divide(target, mass, out=np.zeros_like(target), where=mass > 0)
            weights *= factor[code]
        gaps = [np.abs(np.bincount(c, weights, len(t)) - t).max() for c, t in fits]
        history.append(float(max(gaps)))
        if history[-1] <= tolerance:
            break
    return weights / weights.sum(), tuple(history)


def _report(
    margins: Sequence[Margin],
    fits: Sequence[tuple[IntArray, FloatArray]],
    start: FloatArray,
    weights: FloatArray,
) -> pd.DataFrame:
    parts = []
    for margin, (code, target) in zip(margins, fits, strict=True):
        before, after = (np.bincount(code, w, len(target)) for w in (start, weights))
        more = {"start": before, "source": margin.source}
        parts.append(comparison(margin.name, margin.shares, target, after, **more))
    return pd.concat(parts, ignore_index=True)
