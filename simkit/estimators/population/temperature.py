"""Fit at every sampling temperature at once, from one belief: nothing is sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.population.errors import (
    ERRORS,
    belief_at_temperature,
    individual_errors,
    mean_errors,
    placed,
)
from simkit.estimators.population.margins import NAMIKOSHI, stated, uniform
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.metrics import (
    MARGINAL_METRICS,
    Metric,
    chosen_metrics,
    noise_floor,
    spread,
)
from simkit.estimators.shared.respondents import (
    cluster_notes,
    effective_clusters,
    left_out,
    left_out_of,
    normalised,
    percentiles,
    resampled,
    stretch,
)
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
    `temperatures` where it is smallest, and percentiles of that over n_boot resamples of clusters
    that all temperatures share, stretched as those functions' are and put on the nearest of
    `temperatures`. weights, cluster : (n,). Undefined: fewer than 2 effective clusters, or an
    infinite metric in some resample: interval NaN. Raises ValueError as the two functions do, and
    for temperatures that repeat.
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
    kept = _Kept(place, rows, scale, used, n_boot, int(generator(rng).integers(2**63)), alpha)
    found = kept.population(chosen, t) if chosen else {}
    if len(wanted) < len(metrics):
        found |= kept.individual(t)
    table, index = [], []
    for name in metrics:
        for value, row in zip(t, found[name].rows, strict=True):
            table.append({"metric": name, "temperature": value} | row)
            index.append(f"{name}, T={value:g}")
    for name in metrics:
        if name not in ("mean_difference", "variance_ratio"):
            table.append({"metric": f"best_{name}"} | kept.best(found[name].plain, t))
            index.append(f"best temperature, {name}")
    frame = pd.DataFrame(table, index=pd.Index(index))
    i = used.kept
    notes = used.notes + stated(chosen, frame) + cluster_notes(used.cluster[i], used.weight[i])
    over = "respondents" if cluster is None else used.over
    return Result(
        f"Fit by temperature, {n_boot} resamples", frame, len(i), alpha, SOURCE, notes, over
    )


@dataclass(frozen=True)
class _Curve:
    """A row per temperature, and resampled values (T, 1 + B), in which the best is looked for."""

    rows: list[dict[str, float]]
    plain: FloatArray


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
    alpha: float

    @property
    def effective(self) -> float:
        i = self.used.kept
        return effective_clusters(self.used.cluster[i], self.used.weight[i])

    def sums(
        self, cluster: IntArray, group: IntArray, rows: FloatArray, groups: int
    ) -> list[FloatArray]:
        stream = np.random.default_rng(self.seed)
        return resampled(cluster, group, rows, groups, self.n_boot, stream)

    def population(self, chosen: list[Metric], t: FloatArray) -> dict[str, _Curve]:
        i, k = self.used.kept, len(self.scale)
        human, one = np.eye(k)[self.place[i]], np.zeros(len(i), dtype=np.int64)
        rows: dict[str, list[dict[str, float]]] = {m.name: [] for m in chosen}
        plain: dict[str, list[FloatArray]] = {m.name: [] for m in chosen}
        p = np.empty((0, k))
        for value in t:
            both = np.concatenate([human, belief_at_temperature(self.rows[i], value)], axis=1)
            both *= self.used.weight[i, None]
            p, q, p_out, q_out = (
                normalised(sums[:, part])
                for sums in (
                    self.sums(self.used.cluster[i], one, both, 1)[0],
                    left_out(self.used.cluster[i], one, both, 1)[0],
                )
                for part in (slice(k), slice(k, None))
            )
            for m in chosen:
                moved = m.moved((p_out, q_out))
                rows[m.name].append(spread(m, moved, [self.effective], self.alpha))
                plain[m.name].append(m(p, q))
        out = {}
        for m in chosen:
            ends = {"floor": noise_floor(m, p), "ceiling": float(m(p[0], uniform(k)))}
            out[m.name] = _Curve([row | ends for row in rows[m.name]], np.array(plain[m.name]))
        return out

    def individual(self, t: FloatArray) -> dict[str, _Curve]:
        i, k = self.used.kept, len(self.scale)
        one, errors, plain = np.zeros(len(self.rows), dtype=np.int64), [], []
        flat = np.full((len(i), k), 1 / k)
        for b in [*(belief_at_temperature(self.rows[i], value) for value in t), flat]:
            part = [individual_errors(self.place[i], b, self.scale, "draw")]
            errors.append(mean_errors(part, self.used, one, 1)[0][:, 0])
            plain.append(mean_errors(part, self.used, one, 1, self.sums)[0][:, 0])
        out = {}
        for e, name in enumerate(ERRORS):
            ends = {"floor": np.nan, "ceiling": float(errors[-1][e, 0])}
            rows = []
            for drawn in errors[:-1]:
                own = left_out_of(drawn[e]).interval([self.effective], self.alpha, log=True)
                row = dict(zip(REQUIRED, (float(drawn[e, 0]), *own[1:]), strict=True))
                rows.append(row | ends)
            out[name] = _Curve(rows, np.stack(plain[:-1])[:, e])
        return out

    def best(self, plain: FloatArray, t: FloatArray) -> dict[str, float]:
        """The temperature of the smallest value, and where it lies in resamples, stretched."""
        lost = np.isnan(plain).any(axis=0) | np.isinf(plain).all(axis=0)
        found = np.where(lost, np.nan, t[np.argmin(plain, axis=0)])
        at, wider = float(found[0]), stretch(self.effective, self.alpha)
        error, *ends = percentiles(found[1:], self.alpha)
        if not np.isfinite(error * wider):
            return dict(zip(REQUIRED, (at, *[np.nan] * 3), strict=True))
        nearest = [float(t[np.argmin(np.abs(t - at - wider * (x - at)))]) for x in ends]
        return dict(zip(REQUIRED, (at, error * wider, *nearest), strict=True))


def _softmax(logprob: Any) -> Any:
    belief = belief_at_temperature(logprob, 1.0, logprob=True)
    if isinstance(logprob, pd.DataFrame):
        return pd.DataFrame(belief, index=logprob.index, columns=logprob.columns)
    return belief
