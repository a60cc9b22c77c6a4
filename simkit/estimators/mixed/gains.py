"""The table of a mixed estimate: its rows, what the predictions were worth, and its notes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from simkit.estimators.mixed.people import People
from simkit.estimators.mixed.rectified import Rectified, interval
from simkit.estimators.shared.rows import sums_by
from simkit.types import FloatArray

__all__ = ["SOURCE", "adds_nothing", "framed_rows", "gains", "known_answers", "ratio", "rows_of"]

SOURCE = "Angelopoulos et al. 2023; Angelopoulos, Duchi & Zrnic, arXiv 2311.01453"
NOTHING = 1.01  # an effective n below n times this is no gain


def rows_of(
    people: People, found: Rectified, y: FloatArray, alpha: float, alternative: str
) -> pd.DataFrame:
    """The rows "mixed" and "people" of one mean, with all columns."""
    table = {
        "mixed": interval(found.estimate, found.error, found.df, alpha, alternative),
        "people": interval(found.alone, found.alone_error, found.alone_df, alpha, alternative),
    }
    return framed_rows(table, gains(people, found, y, alpha), alternative)


def framed_rows(
    table: dict[str, dict[str, float]], more: dict[str, Any], alternative: str
) -> pd.DataFrame:
    """The rows "mixed" and "people" with the columns of both, and relative_width."""
    rows = list(table.values())
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    sides = {"two-sided": ("high", "low"), "larger": ("estimate", "low"),
             "smaller": ("high", "estimate")}  # fmt: skip
    above, below = sides[alternative]
    width = [row[above] - row[below] for row in rows]
    columns |= {**more, "relative_width": [ratio(*width), 1.0]}
    return pd.DataFrame(columns, index=list(table))


def gains(people: People, found: Rectified, y: FloatArray, alpha: float) -> dict[str, Any]:
    """The columns about what the predictions are worth, for the rows "mixed" and "people"."""
    n, total = people.n, people.n + people.others
    names = ["lam"] if len(found.lam) == 1 else [f"lam: {name}" for name in people.names]
    rho = _correlation(people, y, people.f @ found.lam if len(found.lam) > 1 else people.f, alpha)
    worth = n * ratio(found.alone_error, found.error) ** 2
    return {
        "labelled": n,
        "others": people.others,
        **{name: [value, 0.0] for name, value in zip(names, found.lam, strict=True)},
        **{name: [value, np.nan] for name, value in rho.items()},
        "n_effective": [worth, n],
        "worth": [(worth - n) / total, 0.0],
    }


def known_answers(people: People, y: FloatArray) -> tuple[str, ...]:
    """A note where the predictions of those asked are their answers."""
    asked = people.sides.asked
    for k, name in enumerate(people.names):
        seen = people.f[asked, k]
        if np.ptp(seen) > 0 and np.allclose(seen, y[asked], rtol=0, atol=1e-9 * np.ptp(seen)):
            return (
                f"{name}: equal to the answers of all {people.n} people asked. If they were made "
                "from these answers, neither estimate nor interval is to be believed",
            )
    return ()


def adds_nothing(people: People, found: Rectified) -> tuple[str, ...]:
    """A note where the predictions do not help."""
    if np.ptp(people.f, axis=0).max() == 0:
        return ("all predictions are equal: the model adds nothing",)
    if not found.lam.any():
        return ("λ is 0: the model adds nothing, and this is the people's own estimate",)
    if found.error > 0 and ratio(found.alone_error, found.error) ** 2 < NOTHING:
        return ("the effective number of people grows by less than 1 %: the model adds nothing",)
    return ()


def ratio(above: float, below: float) -> float:
    """above / below; 1 where both are 0, NaN where both are infinite."""
    if np.isinf(above) and np.isinf(below):
        return np.nan
    if below > 0:
        return above / below
    return 1.0 if above == 0 else np.inf


def _correlation(people: People, y: FloatArray, f: FloatArray, alpha: float) -> dict[str, float]:
    """The weighted correlation of answers and predictions, by the jackknife of its Fisher z."""
    sides = people.sides
    rows = np.flatnonzero(sides.asked)
    a, b, w = y[rows], f.reshape(len(f))[rows], sides.weight[rows]
    a, b = a - w @ a, b - w @ b
    code = np.unique(sides.code[rows], return_inverse=True)[1]
    moments = sums_by(w[:, None] * np.stack([a * a, b * b, a * b, a, b, a * 0 + 1], axis=1), code,
                      code.max() + 1)  # fmt: skip
    total = moments.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = _fisher(np.concatenate([total[None], total - moments]).T)
        count = len(moments)
        error = np.sqrt((1 - 1 / count) * np.sum((z[1:] - z[0]) ** 2))
        half = special.stdtrit(sides.units(True) - 1, 1 - alpha / 2) * error
    rho, low, high = (float(np.tanh(x)) for x in (z[0], z[0] - half, z[0] + half))
    return {"rho": rho, "rho_low": low, "rho_high": high}


def _fisher(m: FloatArray) -> FloatArray:
    """Fisher's z of correlations (c,) from the weighted sums (6, c) of aa, bb, ab, a, b, 1."""
    aa, bb, ab = (m[k] / m[5] - m[i] * m[j] / m[5] ** 2
                  for k, i, j in ((0, 3, 3), (1, 4, 4), (2, 3, 4)))  # fmt: skip
    defined = (aa > 1e-12 * m[0] / m[5]) & (bb > 1e-12 * m[1] / m[5])
    root = np.sqrt(np.where(defined, aa * bb, np.nan))
    return np.asarray(np.arctanh(np.clip(ab / root, -1, 1)))
