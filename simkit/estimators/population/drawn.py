"""What a study sees that draws one answer per respondent instead of reading the belief."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.population.errors import belief_at_temperature, metrics_of, respondents
from simkit.estimators.population.margins import NAMIKOSHI
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.metrics import DISTANCES
from simkit.result import REQUIRED, Result
from simkit.types import SeedLike, generator, integer

__all__ = ["drawn_fit"]


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

    The study is repeated so many times on the same respondents, with new draws.

    Parameters
    ----------
    human, belief, values
        As in :func:`individual_fit`.
    temperature : float
        At which answers are drawn; the belief is that at temperature 1.
    metrics : sequence of str
        Of "kl", "js", "tv", "wasserstein", "nemd" (the drawn answers' shares from the humans') and
        "rmse", "mae" (each drawn answer against its respondent's).
    smoothing : float, optional
        For "kl", which needs one: mass added to every answer (see :func:`kl_divergence`).
    repetitions : int
        2 or more.
    alpha : float
        An answer sampled in another way from the same belief falls between low and high in
        1 - alpha of cases.
    rng : int or Generator
        Of the draws.

    Returns
    -------
    Result
        A row per metric: estimate (mean), std_error (standard deviation) and low, high
        (percentiles) of the repetitions, and `exact`: the value without sampling, of the averaged
        belief, or the root of the expected square. A mean distance lies above the exact one, for a
        sample never matches exactly.

    Raises
    ------
    ValueError
        As :func:`marginal_fit` and :func:`individual_fit` do, and for fewer than 2 repetitions.

    References
    ----------
    Namikoshi et al., arXiv 2403.20252, who sample; the distribution is our formulation.

    Examples
    --------
    >>> from simkit import estimators as est
    >>> fit = est.drawn_fit([1, 3], [[0.5, 0.5], [0.2, 0.8]], [1, 3], metrics=["rmse"])
    >>> fit["rmse"][["estimate", "exact"]].round(2).to_dict()
    {'estimate': 0.82, 'exact': 1.18}
    """
    integer(repetitions, "repetitions", low=2)
    people = respondents(human, {"belief": belief}, values, None, None)
    scale, place = people.scale, people.place
    chosen = metrics_of(metrics, DISTANCES, ("rmse", "mae"), scale, smoothing)
    b = belief_at_temperature(people.beliefs[0], temperature)
    n, k = b.shape
    u = generator(rng).random((repetitions, n, 1))
    picked = np.minimum((b.cumsum(axis=1) < u).sum(axis=2), k - 1)  # (repetitions, n)
    code = picked + k * np.arange(repetitions)[:, None]
    shares = np.bincount(code.ravel(), minlength=repetitions * k).reshape(repetitions, k) / n
    truth = np.bincount(place, minlength=k) / n
    off = scale[picked] - scale[place]
    every = scale[None, :] - scale[place][:, None]
    drawn = {"rmse": np.sqrt((off**2).mean(axis=1)), "mae": np.abs(off).mean(axis=1)}
    exact = {
        "rmse": float(np.sqrt((b * every**2).sum(axis=1).mean())),
        "mae": float((b * np.abs(every)).sum(axis=1).mean()),
    }
    for m in chosen:
        drawn[m.name], exact[m.name] = m(truth, shares), float(m(truth, b.mean(axis=0)))
    table = {}
    for name in metrics:
        x = drawn[name]
        row = (np.inf, *[np.nan] * 3)
        if np.isfinite(x).all():
            row = (x.mean(), x.std(ddof=1), *np.quantile(x, [alpha / 2, 1 - alpha / 2]))
        table[name] = dict(zip(REQUIRED, map(float, row), strict=True)) | {"exact": exact[name]}
    frame = pd.DataFrame.from_dict(table, orient="index")
    method = f"One drawn answer each (temperature {temperature:g}), {repetitions} repetitions"
    over = "draws of one answer each, for these respondents"
    return Result(method, frame, n, alpha, NAMIKOSHI, people.notes, over)
