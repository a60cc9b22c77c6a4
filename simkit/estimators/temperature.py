"""Fit at every sampling temperature at once, from one belief: nothing is sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.arguments import checked
from simkit.estimators.belief_errors import (
    ERRORS,
    belief_at_temperature,
    individual_errors,
    placed,
    resampled_errors,
)
from simkit.estimators.fit import NAMIKOSHI, normalised, stated, uniform
from simkit.estimators.metrics import MARGINAL_METRICS, Metric, chosen_metrics, noise_floor, spread
from simkit.estimators.respondents import percentiles, resampled
from simkit.result import REQUIRED, Result
from simkit.types import (
    FloatArray,
    IntArray,
    Rows,
    SeedLike,
    column,
    generator,
    several,
    usable_rows,
)

__all__ = ["temperature_curve"]

SOURCE = f"{NAMIKOSHI} (there by sampling); exact curves: our formulation"
TEMPERATURES = tuple(round(0.1 * step, 1) for step in range(21))


@checked("human belief weights cluster")
def temperature_curve(
    human: Any,
    belief: Any,
    values: npt.ArrayLike,
    temperatures: npt.ArrayLike = TEMPERATURES,
    *,
    logprob: bool = False,
    metrics: Sequence[str] = ("kl", "rmse"),
    smoothing: float | None = None,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    n_boot: int = 500,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """Fit of the population and of individuals at each temperature, exactly from the belief.

    human : (n,) answers, numbers among `values` (K,). belief : (n, K), row i about respondent i, at
        temperature 1; with logprob=True their log-probabilities (any constant per row may be
        missing). Rows without an answer or a belief are skipped and counted.
    temperatures : (T,) different numbers >= 0; `belief_at_temperature` says what each does, and
        that sampling a model at T agrees with it only where each answer is one token.
    metrics : of "kl", "js", "tv", "wasserstein", "nemd", "mean_difference", "variance_ratio": of
        the averaged belief from the humans' answers, as in `marginal_fit`; and "rmse", "mae"
        (answers drawn from the belief, exact expectation), "log_loss", as in `individual_fit`.
    smoothing : for "kl", must be stated; at low temperatures few answers are given at all, and
        their KL depends on it.

    One row per metric and temperature, "kl, T=0.5", with columns metric, temperature, estimate,
    std_error, low, high, corrected (not of the errors), floor and ceiling as in those two
    functions. Then "best temperature, kl" for every metric that should be small: the one of
    `temperatures` where it is smallest, and percentiles of that over the resamples. All
    temperatures share the resamples of respondents, so their curves move together.
    weights, cluster : (n,). Undefined: one cluster, or an infinite metric in some resample:
    interval NaN. Raises ValueError as the two functions do, and for temperatures that repeat.
    Source: Namikoshi et al., arXiv 2403.20252 (there by sampling); exact curves: our formulation.
    """
    t = column(several(temperatures), "temperatures", low=0)
    if len(np.unique(t)) < len(t) or not len(t):
        raise ValueError(f"temperatures are {t.tolist()}; legal are one or more that differ")
    place, rows, scale = placed(human, _softmax(belief) if logprob else belief, values)
    legal = (*MARGINAL_METRICS, *ERRORS)
    if isinstance(metrics, str) or not set(metrics) <= set(legal):
        raise ValueError(f"metrics are {metrics!r}; legal is a list of some of {list(legal)}")
    wanted = [name for name in metrics if name not in ERRORS]
    chosen = chosen_metrics(wanted, scale, smoothing)
    used = usable_rows(np.where(place < 0, np.nan, 0.0) + rows.sum(axis=1), weights, cluster)
    kept = _Kept(place, rows, scale, used, n_boot, int(generator(rng).integers(2**63)))
    draws, bounds = kept.population(chosen, t) if chosen else ({}, {})
    if len(wanted) < len(metrics):
        own, limits = kept.individual(t)
        draws, bounds = draws | own, bounds | limits
    table = []
    for name in metrics:
        metric = next((m for m in chosen if m.name == name), None)
        for value, drawn in zip(t, draws[name], strict=True):
            found = spread(metric, drawn, alpha) if metric else _errors(drawn, alpha)
            ends = dict(zip(("floor", "ceiling"), bounds[name], strict=True))
            table.append({"metric": name, "temperature": value} | found | ends)
    index = [f"{row['metric']}, T={row['temperature']:g}" for row in table]
    for name in metrics:
        if name not in ("mean_difference", "variance_ratio"):
            plain = np.array(draws[name]).reshape(len(t), -1, 1 + n_boot)[:, 0]
            table.append({"metric": f"best_{name}"} | _best(plain, t, alpha))
            index.append(f"best temperature, {name}")
    frame = pd.DataFrame(table, index=pd.Index(index))
    method = f"Fit by temperature, {n_boot} resamples"
    notes = used.notes + stated(chosen, frame)
    return Result(method, frame, len(used.kept), alpha, SOURCE, notes)


@dataclass(frozen=True)
class _Kept:
    """The data of a curve. `seed` makes the same resamples anew at every temperature: cheap, and
    nobody has to keep them."""

    place: IntArray
    rows: FloatArray
    scale: FloatArray
    used: Rows
    n_boot: int
    seed: int

    def population(
        self, chosen: list[Metric], t: FloatArray
    ) -> tuple[dict[str, FloatArray], dict[str, tuple[float, float]]]:
        """Draws (T, 3, 1 + B), and floor and ceiling, of each metric."""
        i, k = self.used.kept, len(self.scale)
        human, one = np.eye(k)[self.place[i]], np.zeros(len(i), dtype=np.int64)
        draws, p = np.empty((len(chosen), len(t), 3, 1 + self.n_boot)), np.empty((0, k))
        for at, value in enumerate(t):
            both = np.concatenate([human, belief_at_temperature(self.rows[i], value)], axis=1)
            both *= self.used.weight[i, None]
            stream = np.random.default_rng(self.seed)
            sums = resampled(self.used.cluster[i], one, both, 1, self.n_boot, stream)[0]
            p, q = normalised(sums[:, :k]), normalised(sums[:, k:])
            if self.used.cluster[i].max() == 0:
                p[1:] = np.nan
            draws[:, at] = [m.draws(p, q) for m in chosen]
        ends = {m.name: (noise_floor(m, p), float(m(p[0], uniform(k)))) for m in chosen}
        return {m.name: d for m, d in zip(chosen, draws, strict=True)}, ends

    def individual(
        self, t: FloatArray
    ) -> tuple[dict[str, FloatArray], dict[str, tuple[float, float]]]:
        """Draws (T, 1 + B), and floor (NaN) and ceiling, of each error."""
        i, k = self.used.kept, len(self.scale)
        one, curves = np.zeros(len(self.rows), dtype=np.int64), []
        flat = np.full((len(i), k), 1 / k)
        for b in [*(belief_at_temperature(self.rows[i], value) for value in t), flat]:
            part = individual_errors(self.place[i], b, self.scale, "draw")
            stream = np.random.default_rng(self.seed)
            curves.append(resampled_errors([part], self.used, one, 1, self.n_boot, stream)[0, :, 0])
        draws = np.stack(curves, axis=1)
        ends = {name: (np.nan, float(draws[e, -1, 0])) for e, name in enumerate(ERRORS)}
        return {name: draws[e, :-1] for e, name in enumerate(ERRORS)}, ends


def _errors(drawn: FloatArray, alpha: float) -> dict[str, float]:
    values = (float(drawn[0]), *percentiles(drawn[1:], alpha))
    return dict(zip(REQUIRED, values, strict=True))


def _best(plain: FloatArray, t: FloatArray, alpha: float) -> dict[str, float]:
    """The temperature of the smallest value; plain is (T, 1 + B)."""
    lost = np.isnan(plain).any(axis=0) | np.isinf(plain).all(axis=0)
    best = np.where(lost, np.nan, t[np.argmin(plain, axis=0)])
    return _errors(best, alpha)


def _softmax(logprob: Any) -> Any:
    belief = belief_at_temperature(logprob, 1.0, logprob=True)
    if isinstance(logprob, pd.DataFrame):
        return pd.DataFrame(belief, index=logprob.index, columns=logprob.columns)
    return belief
