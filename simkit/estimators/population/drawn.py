"""What a study sees that draws one answer per respondent instead of reading the belief."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.population.errors import belief_at_temperature, placed
from simkit.estimators.population.margins import NAMIKOSHI
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.metrics import DISTANCES, chosen_metrics
from simkit.result import REQUIRED, Result
from simkit.types import SeedLike, generator, usable_rows

__all__ = ["drawn_fit"]

ERRORS = ("rmse", "mae")


@checked("human belief")
def drawn_fit(
    human: Any,
    belief: Any,
    values: npt.ArrayLike,
    *,
    temperature: float = 1.0,
    metrics: Sequence[str] = ("kl", "rmse"),
    smoothing: float | None = None,
    repetitions: int = 400,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """Distances when each respondent gives one answer, drawn from the belief at a temperature.

    human : (n,) answers among `values` (K,). belief : (n, K) at temperature 1, row i about
    respondent i; rows that miss either are skipped and counted.
    metrics : of "kl", "js", "tv", "wasserstein", "nemd" (the drawn answers' shares from the
    humans') and "rmse", "mae" (each drawn answer against its respondent's). smoothing : for "kl".

    The study is repeated so many times on the same respondents, with new draws. One row per
    metric: estimate (mean), std_error (standard deviation) and low, high (percentiles) of the
    repetitions, and exact: the value without sampling, of the averaged belief, or the root of the
    expected square. A mean distance lies above the exact one, for a sample never matches exactly.
    An answer sampled in another way from the same belief falls between low and high in 1 - alpha
    of cases. Raises ValueError as `marginal_fit` and `individual_fit` do, and for fewer than two
    repetitions.
    Source: Namikoshi et al., arXiv 2403.20252, who sample; the distribution is our formulation.
    """
    legal = (*DISTANCES, *ERRORS)
    if isinstance(metrics, str) or not len(metrics) or not set(metrics) <= set(legal):
        raise ValueError(f"metrics are {metrics!r}; legal is a list of some of {list(legal)}")
    if repetitions < 2:
        raise ValueError(f"repetitions is {repetitions}; legal are whole numbers from 2")
    place, rows, scale = placed(human, belief, values)
    chosen = chosen_metrics([m for m in metrics if m not in ERRORS], scale, smoothing)
    used = usable_rows(np.where(place < 0, np.nan, 0.0) + rows.sum(axis=1), None, None)
    b, y = belief_at_temperature(rows[used.kept], temperature), place[used.kept]
    n, k = b.shape
    u = generator(rng).random((repetitions, n, 1))
    picked = np.minimum((b.cumsum(axis=1) < u).sum(axis=2), k - 1)  # (repetitions, n)
    code = picked + k * np.arange(repetitions)[:, None]
    shares = np.bincount(code.ravel(), minlength=repetitions * k).reshape(repetitions, k) / n
    truth = np.bincount(y, minlength=k) / n
    off = scale[picked] - scale[y]
    wide = scale[None, :] - scale[y][:, None]
    drawn = {"rmse": np.sqrt((off**2).mean(axis=1)), "mae": np.abs(off).mean(axis=1)}
    exact = {
        "rmse": float(np.sqrt((b * wide**2).sum(axis=1).mean())),
        "mae": float((b * np.abs(wide)).sum(axis=1).mean()),
    }
    for m in chosen:
        drawn[m.name], exact[m.name] = m(truth, shares), float(m(truth, b.mean(axis=0)))
    table = {}
    for name in metrics:
        found = drawn[name]
        ends = np.quantile(found, [alpha / 2, 1 - alpha / 2]) if np.isfinite(found).all() else ()
        row = (found.mean(), found.std(ddof=1), *ends) if len(ends) else (np.inf, *[np.nan] * 3)
        table[name] = dict(zip(REQUIRED, map(float, row), strict=True)) | {"exact": exact[name]}
    frame = pd.DataFrame.from_dict(table, orient="index")
    method = f"One drawn answer each (temperature {temperature:g}), {repetitions} repetitions"
    over = "draws of one answer each, for these respondents"
    return Result(method, frame, n, alpha, NAMIKOSHI, used.notes, over)
