"""Fit at every sampling temperature at once, from one belief: nothing is sampled."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.population.errors import (
    ERRORS,
    belief_at_temperature,
    individual_errors,
    mean_errors,
    metrics_of,
    respondents,
)
from simkit.estimators.population.margins import NAMIKOSHI, stated, uniform
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.metrics import MARGINAL_METRICS, noise_floor, spread
from simkit.estimators.shared.respondents import (
    left_out,
    left_out_of,
    normalised,
    percentiles,
    resampled,
    stretch,
)
from simkit.estimators.shared.rows import number_texts
from simkit.result import REQUIRED, Result
from simkit.types import FloatArray, IntArray, SeedLike, column, generator, several

__all__ = ["temperature_curve"]

SOURCE = f"{NAMIKOSHI} (there by sampling); exact curves: our formulation"
TEMPERATURES = tuple(round(0.1 * step, 1) for step in range(21))


@checked("human belief weights cluster strata")
def temperature_curve(
    human: Any,
    belief: Any,
    values: npt.ArrayLike,
    temperatures: npt.ArrayLike = TEMPERATURES,
    *,
    metrics: Sequence[str] = ("kl", "rmse"),
    smoothing: float | None = None,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    strata: Any = None,
    n_boot: int = 500,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """Fit of the population and of individuals at each temperature, exactly from the belief.

    Parameters
    ----------
    human : array_like
        (n,) answers, numbers among `values`.
    belief : DataFrame or array_like
        (n, K), row i about respondent i, at temperature 1. Rows without an answer or a belief are
        skipped and counted.
    values : array_like
        (K,) the scale, in the order of the belief's columns.
    temperatures : array_like
        (T,) different numbers from 0. :func:`belief_at_temperature` says what each does, and that
        sampling a model at T agrees with it only where each answer is one token.
    metrics : sequence of str
        Of "kl", "js", "tv", "wasserstein", "nemd", "mean_difference", "variance_ratio": of the
        averaged belief from the humans' answers, as in :func:`marginal_fit`; and "rmse", "mae"
        (answers drawn from the belief, exact expectation), "log_loss", as in
        :func:`individual_fit`.
    smoothing : float, optional
        For "kl", which needs one: mass added to every answer. At low temperatures few answers are
        given at all, and their KL depends on it.
    weights : array_like, optional
        (n,) survey weights.
    cluster : array_like, optional
        (n,) what is drawn independently; None is the respondent.
    strata : array_like, optional
        (n,) of the clusters, as in :func:`marginal_fit`.
    n_boot : int
        Resamples, 2 or more.
    alpha : float
        1 - confidence of the intervals.
    rng : int or Generator
        Of the resamples.

    Returns
    -------
    Result
        A row per metric and temperature, "kl, T=0.5", with columns metric, temperature, estimate,
        std_error, low, high, corrected (not of the errors), floor and ceiling as in those two
        functions. Then "best temperature, kl" for every metric that should be small: the one of
        `temperatures` where it is smallest, and percentiles of that over resamples of clusters that
        all temperatures share, stretched as those functions' are and put on the nearest of
        `temperatures`. Interval NaN: fewer than 2 effective clusters, or an infinite metric in some
        resample.

    Raises
    ------
    ValueError
        As the two functions do, and for temperatures that repeat.

    References
    ----------
    Namikoshi et al., arXiv 2403.20252 (there by sampling); exact curves: our formulation.

    Examples
    --------
    >>> from simkit import estimators as est
    >>> belief = [[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.3, 0.6]] * 4
    >>> human, scale = [1, 2, 3] * 4, [1, 2, 3]
    >>> curve = est.temperature_curve(human, belief, scale, [0.5, 1, 2], metrics=["rmse"])
    >>> curve.frame["estimate"].round(2).to_dict()
    {'rmse, T=0.5': 0.55, 'rmse, T=1': 0.8, 'rmse, T=2': 0.97, 'best temperature, rmse': 0.5}
    """
    t = column(several(temperatures), "temperatures", low=0)
    if len(np.unique(t)) < len(t) or not len(t):
        raise ValueError(f"temperatures are {t.tolist()}; they must be one or more that differ")
    people = respondents(human, {"belief": belief}, values, weights, cluster, strata)
    place, scale, k = people.place, people.scale, len(people.scale)
    chosen = metrics_of(metrics, MARGINAL_METRICS, ERRORS, scale, smoothing)
    codes, weight, group = people.cluster, people.weight, np.zeros_like(place)
    plan, rest = people.strata, partial(left_out, strata=people.strata)
    seed = int(generator(rng).integers(2**63))

    def resamples(
        cluster: IntArray, group: IntArray, rows: FloatArray, groups: int
    ) -> list[FloatArray]:
        """The same ones anew at every temperature: cheap, and nobody has to keep them."""
        stream = np.random.default_rng(seed)
        return resampled(cluster, group, rows, groups, n_boot, stream, plan)

    def errors_of(rows: FloatArray, sums_of: Any = rest) -> FloatArray:
        part = individual_errors(place, rows, scale, "draw")
        return mean_errors([part], codes, weight, group, 1, sums_of)[0][:, 0]

    each = len(chosen) < len(metrics)
    flat = errors_of(np.tile(uniform(k), (len(place), 1)))[:, 0]
    table: dict[str, list[dict[str, Any]]] = {name: [] for name in (*metrics, *ERRORS)}
    drawn: dict[str, list[FloatArray]] = {name: [] for name in table}  # resampled values
    for value in t:
        rows = belief_at_temperature(people.beliefs[0], value)
        if chosen:
            both = weight[:, None] * np.concatenate([np.eye(k)[place], rows], axis=1)
            (p, q), without = (
                [normalised(part) for part in np.split(sums(codes, group, both, 1)[0], 2, axis=1)]
                for sums in (resamples, rest)
            )
        for m in chosen:
            moved = m.moved((without[0], without[1]), strata=[plan])
            row = spread(m, moved, [people.effective], alpha)
            row |= {"floor": noise_floor(m, p), "ceiling": float(m(p[0], uniform(k)))}
            table[m.name].append(row)
            drawn[m.name].append(m(p, q))
        if each:
            left, again = errors_of(rows), errors_of(rows, resamples)
        for e, name in enumerate(ERRORS if each else ()):
            ends = left_out_of(left[e], strata=[plan]).interval(
                [people.effective], alpha, log=True
            )[1:]
            row = dict(zip(REQUIRED, (float(left[e, 0]), *ends), strict=True))
            table[name].append(row | {"floor": np.nan, "ceiling": float(flat[e])})
            drawn[name].append(again[e])
    index = [f"{name}, T={value}" for name in metrics for value in number_texts(t)]
    lines = [{"metric": name, "temperature": value} | row
             for name in metrics for value, row in zip(t, table[name], strict=True)]  # fmt: skip
    for name in metrics:
        if name not in ("mean_difference", "variance_ratio"):
            best = _best(np.array(drawn[name]), t, people.effective, alpha)
            lines.append({"metric": f"best_{name}"} | best)
            index.append(f"best temperature, {name}")
    frame = pd.DataFrame(lines, index=pd.Index(index))
    notes = people.notes + stated(chosen, frame) + people.cluster_notes
    method = f"Fit by temperature, {n_boot} resamples"
    return Result(method, frame, len(place), alpha, SOURCE, notes, people.over)


def _best(values: FloatArray, t: FloatArray, effective: float, alpha: float) -> dict[str, float]:
    """The temperature of the smallest value (T, 1 + B), and where it lies in resamples."""
    lost = np.isnan(values).any(axis=0) | np.isinf(values).all(axis=0)
    best = np.where(lost, np.nan, t[np.argmin(values, axis=0)])
    first, wider = float(best[0]), stretch(effective, alpha)
    error, *ends = percentiles(best[1:], alpha)
    if not np.isfinite(error * wider):
        return dict(zip(REQUIRED, (first, *[np.nan] * 3), strict=True))
    nearest = [float(t[np.argmin(np.abs(t - first - wider * (x - first)))]) for x in ends]
    return dict(zip(REQUIRED, (first, error * wider, *nearest), strict=True))
