"""How near a simulated population is to a human one, in its distribution of answers.

`simkit.estimators.metrics` says how the intervals are made and why; individual answers are
compared in `simkit.estimators.individual`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.arguments import checked
from simkit.estimators.metrics import Metric, chosen_metrics, noise_floor, spread
from simkit.estimators.respondents import answer_rows, grouped, numeric_scale, resampled
from simkit.result import Result
from simkit.types import FloatArray, IntArray, SeedLike, counted, generator, usable_rows

__all__ = ["NAMIKOSHI", "marginal_fit", "normalised", "stated", "uniform"]

NAMIKOSHI = "Namikoshi et al., arXiv 2403.20252"
SOURCE = f"{NAMIKOSHI}; floor and interval: our formulation"


@dataclass(frozen=True)
class Side:
    """The usable rows of one side: (n, M), weight and cluster and group of each (n,)."""

    rows: FloatArray
    weight: FloatArray
    cluster: IntArray
    group: IntArray
    notes: tuple[str, ...]

    def draws(self, n_groups: int, n_boot: int, stream: np.random.Generator) -> list[FloatArray]:
        rows = self.rows * self.weight[:, None]
        return resampled(self.cluster, self.group, rows, n_groups, n_boot, stream)

    def clusters(self, group: int) -> int:
        return len(np.unique(self.cluster[self.group == group]))

    def effective(self, group: int) -> int:
        """Kish's effective number of rows, (sum w)^2 / sum w^2, rounded; 0 if there are none."""
        w = self.weight[self.group == group]
        return round(float(w.sum() ** 2 / (w**2).sum())) if len(w) else 0


@checked(
    "human weights cluster by",
    "simulated simulated_weights simulated_cluster simulated_by",
    apart="options values",
)
def marginal_fit(
    human: Any,
    simulated: Any,
    options: Sequence[Any],
    *,
    values: npt.ArrayLike | None = None,
    metrics: Sequence[str] | None = None,
    smoothing: float | None = None,
    paired: bool = True,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    by: Any = None,
    simulated_weights: npt.ArrayLike | None = None,
    simulated_cluster: Any = None,
    simulated_by: Any = None,
    n_boot: int = 500,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """Distances between the humans' distribution of answers P and the simulated one, Q.

    human : (n,) answers, each one of `options`, or (n, K) probabilities of each respondent.
    simulated : the same, (m,) or (m, K). Beliefs are averaged (exact: no answer is drawn). One row
        (1, K) with paired=False is a distribution known without error.
    options : the K legal answers, in the order of the belief's columns. values : (K,) their places
        on a scale; None takes the options, if they are numbers.
    metrics : of "kl" (of Q from P, nats, both smoothed: see `kl_divergence`), "js" (divergence,
        bits), "tv", "wasserstein" (units of values), "nemd" (0 to 1), "mean_difference" (Q - P),
        "variance_ratio" (Q / P; NaN if P does not vary). None: the first four, without
        wasserstein where there is no scale. smoothing : must be stated for "kl".
    paired : row i of both is the same respondent; rows that miss either are skipped and counted,
        and respondents are resampled with both their rows. False: two independent samples, the
        second with simulated_weights, simulated_cluster and simulated_by.
    weights : (n,) survey weights. cluster : (n,) what is drawn independently (respondents, where
        each has several rows; sampling points); None is the row. Several simulated answers per
        respondent: average them to one row (K,) first. by : (n,) groups, compared one by one.

    One row per group and metric; with several groups also their unweighted mean. Columns:
    - estimate : plug-in distance, biased upwards. low, high : of the populations' distance, see
      `simkit.estimators.metrics` (percentiles for the last two metrics). std_error : standard
      deviation over n_boot resamples.
    - corrected : 2 estimate - mean over resamples, at least 0 for distances: less biased.
    - floor : what a perfect simulation would score, by bootstrap: mean distance of resampled
      humans from all humans (KL: about (K - 1) / 2n). Where `simulated` are answers, the humans'
      P is replaced by as many answers drawn from it (Kish's effective number of their weights).
      mean_difference: mean absolute value; variance_ratio: NaN. Compare it with `estimate`. A
      simulation that knows more of these very respondents than their P may come out below it.
    - ceiling : uniform answers against P, plug-in. A simulation can be worse than that.
    Undefined: fewer than 2 human clusters in a group, or infinite resamples (KL with smoothing 0):
    interval NaN. A group with no simulated or human row is NaN. Raises ValueError for answers that
    are no option (naming the row), rows that do not sum to 1, unknown metrics, ordinal ones
    without a scale, KL without a smoothing, a simulated group that the humans lack, and
    simulated_* arguments with paired=True.
    Source: Namikoshi et al., arXiv 2403.20252; floor and interval: our formulation.
    """
    scale = numeric_scale(options, values)
    chosen = chosen_metrics(metrics, scale, smoothing)
    h, s = answer_rows(human, options, "human"), answer_rows(simulated, options, "simulated")
    code, names = grouped(by, len(h))
    theirs = (simulated_weights, simulated_cluster, simulated_by)
    if paired and (len(h) != len(s) or any(x is not None for x in theirs)):
        raise ValueError(
            f"paired: human has {len(h)} rows, simulated {len(s)}; legal are the same respondents "
            "and no simulated_weights, _cluster or _by, or paired=False"
        )
    if paired:
        sides = [_side(np.concatenate([h, s], axis=1), weights, cluster, code, "")]
    else:
        codes = _same_groups(simulated_by, len(s), by, names)
        other = _side(s, simulated_weights, simulated_cluster, codes, "simulated: ")
        sides = [_side(h, weights, cluster, code, "human: "), other]
    stream, k = generator(rng), len(options)
    sums = [side.draws(len(names), n_boot, stream) for side in sides]
    bounds = np.full((len(names), len(chosen), 2), np.nan)
    draws = np.full((len(names), len(chosen), 3, 1 + n_boot), np.nan)
    for g in range(len(names)):
        both = np.concatenate([part[g] for part in sums], axis=1)
        p, q = normalised(both[:, :k]), normalised(both[:, k:])
        drawn = sides[-1].effective(g) if np.ndim(simulated) == 1 else 0
        drawn *= not np.isnan(p[0]).any()  # no human in this group: nothing to draw from
        second = stream.multinomial(drawn, p[0], n_boot) / drawn if drawn else None
        if sides[0].clusters(g) < 2:
            p[1:] = np.nan
        draws[g] = [m.draws(p, q) for m in chosen]
        bounds[g] = [(noise_floor(m, p, second), m(p[0], uniform(k))) for m in chosen]
    frame = _frame(chosen, draws, bounds, names, alpha)
    method = f"Marginal fit, {n_boot} resamples"
    notes = tuple(note for side in sides for note in side.notes) + stated(chosen, frame)
    return Result(method, frame, len(sides[0].rows), alpha, SOURCE, notes)


def uniform(k: int) -> FloatArray:
    """(k,) equal probabilities."""
    return np.full(k, 1 / k)


def normalised(sums: FloatArray) -> FloatArray:
    """Rows (B, K) divided by their sum; NaN where nothing was drawn."""
    total = sums.sum(axis=1, keepdims=True)
    shares: FloatArray = np.divide(sums, total, out=np.full_like(sums, np.nan), where=total > 0)
    return shares


def _side(rows: FloatArray, weights: Any, cluster: Any, group: IntArray, whose: str) -> Side:
    used = usable_rows(rows.sum(axis=1), weights, cluster)
    i = used.kept
    notes = tuple(f"{whose}{note}" for note in used.notes)
    return Side(rows[i], used.weight[i], used.cluster[i], group[i], notes)


def _same_groups(simulated_by: Any, n: int, by: Any, names: list[str]) -> IntArray:
    """Codes (n,) of the simulated rows in the humans' numbering; both sides have all groups."""
    code, theirs = grouped(simulated_by, n)
    if (by is None) != (simulated_by is None) or set(theirs) != set(names):
        raise ValueError(f"simulated_by has the groups {theirs}; legal are those of by: {names}")
    return np.array([names.index(name) for name in theirs])[code]


def _frame(
    chosen: list[Metric], draws: FloatArray, bounds: FloatArray, names: list[str], alpha: float
) -> pd.DataFrame:
    """A row per group and metric, and with several groups one of their mean per metric."""
    labelled: list[tuple[str, str | None]] = [(f"{name}, " if name else "", name) for name in names]
    if len(names) > 1:
        draws = np.concatenate([draws, draws.mean(axis=0)[None]])
        bounds = np.concatenate([bounds, bounds.mean(axis=0)[None]])
        labelled.append(("mean of groups, ", None))
    rows, index = [], []
    for g, (prefix, name) in enumerate(labelled):
        for m, metric in enumerate(chosen):
            ends = {"floor": bounds[g, m, 0], "ceiling": bounds[g, m, 1]}
            rows.append(
                {"group": name, "metric": metric.name} | spread(metric, draws[g, m], alpha) | ends
            )
            index.append(prefix + metric.name)
    frame = pd.DataFrame(rows, index=pd.Index(index))
    return frame if len(names) > 1 else frame.drop(columns="group")


def stated(chosen: list[Metric], frame: pd.DataFrame) -> tuple[str, ...]:
    """What the numbers depend on: the smoothing of KL, and infinite values."""
    notes = [f"kl: nats, smoothing {m.smoothing:g} per category" for m in chosen if m.name == "kl"]
    lost = int((np.isfinite(frame["estimate"]) & frame["low"].isna()).sum())
    infinite = int(np.isinf(frame["estimate"]).sum())
    notes += counted(infinite, len(frame), "distances are infinite: an answer was never simulated")
    notes += counted(
        lost, len(frame), "intervals are undefined: one cluster, or infinite resamples"
    )
    return tuple(notes)
