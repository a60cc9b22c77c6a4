"""Copies of a prompt count as one prompt, not as independent ones.

A belief is exact, so a second prompt with the same text gives the same numbers, and a design that
repeats its prompts would narrow every interval without any new information. Choices are drawn:
two clusters of choices may agree by chance, and are left alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from simkit.estimators.shared.rows import distinct
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

    Two clusters are copies if they hold the same rows, to 12 decimals, in any order, and at least
    one of these is exact. Estimates do not change: each row keeps its weight.

    exact : (n,) which rows hold a belief, and no choice.
    seen : (n,) or (n, m) arrays of all that the estimator uses of each row.
    within : (n,) codes of groups that are never pooled: a cluster's rows in one of them are
        compared with those of other clusters in the same group.
    strata : (n,) codes that distinguish a cluster's rows, unless each cluster lies in one stratum
        (a product whose stratum is itself, say): its name alone does not make another prompt.
    """
    k = rows.kept
    groups = () if within is None else (within,)
    table = np.column_stack([rows.weight, *seen, *groups])[k].astype(np.float64)
    content = np.unique(table.round(DIGITS), axis=0, return_inverse=True)[1].ravel()
    factors, notes = list(rows.factors), list(rows.notes)
    for f, (name, factor) in enumerate(zip(rows.names, rows.factors, strict=True)):
        code = factor[k] if within is None else distinct(factor[k], within[k])[1]
        kind = content
        if strata is not None and len(distinct(factor[k], strata[k])[0]) > factor[k].max() + 1:
            kind = distinct(content, strata[k])[1]
        merged = _merged(code, kind, exact[k])
        before, after = int(code.max()) + 1, int(merged.max()) + 1
        if after < before:
            factors[f] = factor.copy()
            factors[f][k] = merged
            notes.append(
                f"{name}: {before} clusters, {after} of them distinct: the others "
                "repeat their rows and count as one with them"
            )
    return replace(rows, factors=tuple(factors), notes=tuple(notes))


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
