"""Two simulations of the same respondents: which is nearer to them, and is the gap real?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.arguments import checked
from simkit.estimators.belief_errors import ERRORS, individual_errors, placed
from simkit.estimators.fit import normalised
from simkit.estimators.metrics import DISTANCES, chosen_metrics
from simkit.estimators.respondents import percentiles, resampled
from simkit.result import REQUIRED, Result
from simkit.types import FloatArray, SeedLike, generator, usable_rows

__all__ = ["fit_difference"]


@checked("human first second weights cluster")
def fit_difference(
    human: Any,
    first: Any,
    second: Any,
    values: npt.ArrayLike,
    *,
    metrics: Sequence[str] = ("kl", "rmse"),
    smoothing: float | None = None,
    statistic: str = "draw",
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    n_boot: int = 500,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """How much nearer the second simulation is than the first: distance(second) - distance(first).

    human : (n,) answers among `values` (K,). first, second : beliefs (n, K), row i about
    respondent i. Rows that miss any of the three are skipped and counted.
    metrics : of "kl", "js", "tv", "wasserstein", "nemd" (of the averaged belief, as in
    `marginal_fit`) and "rmse", "mae", "log_loss" (as in `individual_fit`, with `statistic`).
    smoothing : for "kl", must be stated.

    Both are measured on the same resamples of respondents, so what the respondents share drops
    out: the interval is that of the gap, far shorter than those of the two distances allow. One
    row per metric: estimate (negative: the second is nearer), std_error, low, high (percentiles of
    n_boot resamples), first, second (the two distances), and p, twice the smaller share of
    resamples on either side of 0 (at least 1 / n_boot). The distances' own bias is much the same
    for both and nearly drops out; one that is zero for both gives 0.
    Undefined: one cluster, or an infinite metric: NaN. Raises ValueError as those functions do.
    Source: paired bootstrap (Efron & Tibshirani 1993, chapter 8); our formulation.
    """
    place, a, scale = placed(human, first, values)
    _, b, _ = placed(human, second, values)
    legal = (*DISTANCES, *ERRORS)
    if isinstance(metrics, str) or not len(metrics) or not set(metrics) <= set(legal):
        raise ValueError(f"metrics are {metrics!r}; legal is a list of some of {list(legal)}")
    chosen = chosen_metrics([m for m in metrics if m not in ERRORS], scale, smoothing)
    there = np.where(place < 0, np.nan, 0.0) + (a + b).sum(axis=1)
    used = usable_rows(there, weights, cluster)
    i, k = used.kept, len(scale)
    parts = [individual_errors(place[i], x[i], scale, statistic) for x in (a, b)]
    table = np.column_stack([np.eye(k)[place[i]], a[i], b[i], *parts, np.ones(len(i))])
    endless = np.isinf(table).any(axis=0)
    table[np.isinf(table)] = 0.0
    rows, one = used.weight[i, None] * table, np.zeros(len(i), dtype=np.int64)
    sums = resampled(used.cluster[i], one, rows, 1, n_boot, generator(rng))[0]
    sums[:, endless] = np.inf
    if used.cluster[i].max() == 0:
        sums[1:] = np.nan
    crowd = [normalised(sums[:, j * k : (j + 1) * k]) for j in range(3)]
    with np.errstate(invalid="ignore"):
        mean = (sums[:, 3 * k : -1] / sums[:, -1:]).reshape(-1, 2, len(ERRORS))
    mean[:, :, 0] = np.sqrt(mean[:, :, 0])
    found: dict[str, tuple[FloatArray, FloatArray]] = {
        error: (mean[:, 0, e], mean[:, 1, e]) for e, error in enumerate(ERRORS)
    }
    found |= {m.name: (m(crowd[0], crowd[1]), m(crowd[0], crowd[2])) for m in chosen}
    table_rows = {name: _row(*found[name], alpha) for name in metrics}
    frame = pd.DataFrame.from_dict(table_rows, orient="index")
    notes = (*used.notes, *(f"kl: smoothing {m.smoothing:g}" for m in chosen if m.name == "kl"))
    source = "Efron & Tibshirani (1993); our formulation"
    return Result(f"Paired difference, {n_boot} resamples", frame, len(i), alpha, source, notes)


def _row(first: FloatArray, second: FloatArray, alpha: float) -> dict[str, float]:
    """One row from both distances (1 + B,), the data's first."""
    with np.errstate(invalid="ignore"):
        gap = second - first
    error, low, high = percentiles(gap[1:], alpha)
    drawn = gap[1:][np.isfinite(gap[1:])]
    sides = min((drawn <= 0).mean(), (drawn >= 0).mean()) if len(drawn) else np.nan
    p = min(1.0, 2 * max(float(sides), 0.5 / max(len(drawn), 1)))
    values = dict(zip(REQUIRED, (float(gap[0]), error, low, high), strict=True))
    return values | {"first": float(first[0]), "second": float(second[0]), "p": p}
