"""Copies of a prompt are one prompt: they must not count as independent.

A belief is exact, so a second prompt with the same text gives the same numbers, and a design that
repeats its prompts would narrow every interval without having learnt anything. Choices are drawn:
two clusters of choices may agree by chance, and are left alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from simkit.types import FloatArray, IntArray, Rows

__all__ = ["believed", "merge_copies"]

DIGITS = 12  # decimals to which the numbers of copies agree


def merge_copies(
    rows: Rows,
    exact: npt.NDArray[np.bool_],
    *seen: npt.NDArray[Any],
    within: IntArray | None = None,
    strata: IntArray | None = None,
) -> Rows:
    """The rows with clusters that are copies of one another made one, and a note of how many.

    exact : (n,) which rows hold a belief, and no choice. seen : (n,) or (n, m) arrays of all that
    the estimator sees of each row. Two clusters are copies if they hold the same rows, to 12
    decimals, in any order, and at least one of these is exact. Estimates do not change by it:
    each row keeps its weight. within : (n,) codes of groups that are never pooled: what a cluster
    has in one of them is compared with what others have there. strata : (n,) codes that tell a
    cluster's rows apart; where each cluster lies in one of them (a product, say, whose stratum is
    itself), its name alone makes no prompt another one.
    """
    k = rows.kept
    if within is not None:
        seen = (*seen, within)
    table = np.column_stack([rows.weight, *seen])[k].astype(np.float64)
    content = np.unique(table.round(DIGITS), axis=0, return_inverse=True)[1].ravel()
    factors, notes = [], list(rows.notes)
    for name, given in zip(rows.names, rows.factors, strict=True):
        code = given[k]
        if within is not None:
            code = _pairs(code, within[k])[1]
        kind = content
        if strata is not None and len(_pairs(given[k], strata[k])[0]) > given[k].max() + 1:
            kind = _pairs(content, strata[k])[1]
        new = _merged(code, kind, exact[k])
        distinct = int(new.max()) + 1
        factors.append(given)
        if distinct <= code.max():
            factors[-1] = given.copy()
            factors[-1][k] = new
            notes.append(
                f"{name}: {int(code.max()) + 1} clusters, {distinct} of them distinct: the others "
                "repeat their rows and count as one with them"
            )
    return replace(rows, factors=tuple(factors), notes=tuple(notes))


def _pairs(one: IntArray, two: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct pairs of codes (m,), and which of them each row is."""
    found, code = np.unique(np.column_stack([one, two]), axis=0, return_inverse=True)
    return found, code.ravel()


def _merged(code: IntArray, kind: IntArray, exact: npt.NDArray[np.bool_]) -> IntArray:
    """Codes (m,) of the clusters, copies having one; kind : (m,) what each row is."""
    order = np.lexsort((kind, code))
    starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    believed = np.bincount(code, exact) > 0
    first: dict[bytes, int] = {}
    new = np.arange(len(starts))
    for number, part in enumerate(np.split(kind[order], starts[1:])):
        if believed[number]:
            new[number] = first.setdefault(part.tobytes(), number)
    return np.asarray(np.unique(new, return_inverse=True)[1][code])


def believed(values: FloatArray) -> npt.NDArray[np.bool_]:
    """Which probabilities (n,) are beliefs: neither 0 nor 1, which draws are."""
    return np.asarray((values != 0) & (values != 1) & ~np.isnan(values))
