"""How near a simulated population is to a human one, in its distribution of answers.

`simkit.estimators.shared.metrics` says how the intervals are made and why; individual answers are
compared in `simkit.estimators.population.individuals`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.population.errors import group_notes
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.metrics import Metric, chosen_metrics, noise_floor, spread
from simkit.estimators.shared.respondents import (
    Moved,
    answer_rows,
    effective_clusters,
    grouped,
    left_out,
    mean_moved,
    normalised,
    numeric_scale,
    resampled,
)
from simkit.estimators.shared.strata import WITHIN, Strata, strata_of
from simkit.result import Result
from simkit.types import FloatArray, IntArray, SeedLike, counted, generator, usable_rows

__all__ = ["NAMIKOSHI", "marginal_fit", "stated", "uniform"]

NAMIKOSHI = "Namikoshi et al., arXiv 2403.20252"
SOURCE = f"{NAMIKOSHI}; floor and interval: our formulation"


@dataclass(frozen=True)
class Side:
    """The usable rows of one side: (n, M), weight and cluster and group of each (n,)."""

    rows: FloatArray
    weight: FloatArray
    cluster: IntArray
    group: IntArray
    strata: Strata | None
    notes: tuple[str, ...]
    over: str

    def effective(self, groups: int) -> FloatArray:
        """Effective number of clusters of each group, and of their mean, (groups + 1,).

        In the mean, a cluster has the mean of its shares in the groups. With strata the degrees
        of freedom + 1.
        """
        shares = np.zeros((groups, int(self.cluster.max()) + 1))
        np.add.at(shares, (self.group, self.cluster), self.weight / self.weight.max())
        total = shares.sum(axis=1, keepdims=True)
        shares = np.divide(shares, total, out=np.full_like(shares, np.nan), where=total > 0)
        if (plan := self.strata) is not None:
            return np.array([plan.effective(s) for s in (*shares, shares.mean(axis=0))])
        mean = shares[:, (shares > 0).any(axis=0)].mean(axis=0)
        return np.array([1 / (s**2).sum() for s in (*shares, mean)])


@checked(
    "human weights cluster strata by",
    "simulated simulated_weights simulated_cluster simulated_strata simulated_by",
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
    strata: Any = None,
    by: Any = None,
    simulated_weights: npt.ArrayLike | None = None,
    simulated_cluster: Any = None,
    simulated_strata: Any = None,
    simulated_by: Any = None,
    n_boot: int = 500,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """Distances between the humans' distribution of answers P and the simulated one, Q.

    Parameters
    ----------
    human : array_like or DataFrame
        (n,) answers, each one of `options`, or (n, K) probabilities of each respondent.
    simulated : array_like or DataFrame
        The same, (m,) or (m, K). Beliefs are averaged (exact: no answer is drawn). One row (1, K)
        with paired=False is a distribution known without error. Several simulated answers per
        respondent: average them to one row (K,) first.
    options : sequence
        The K possible answers, in the order of the belief's columns.
    values : array_like, optional
        (K,) their places on a scale; None takes the options, if they are numbers.
    metrics : sequence of str, optional
        Of "kl" (of Q from P, nats, both smoothed: see :func:`kl_divergence`), "js" (divergence,
        bits), "tv", "wasserstein" (units of values), "nemd" (0 to 1), "mean_difference" (Q - P),
        "variance_ratio" (Q / P; NaN if P does not vary). None: the first four, without wasserstein
        where there is no scale.
    smoothing : float, optional
        For "kl", which needs one.
    paired : bool
        Whether row i of both is the same respondent; rows that miss either are then skipped and
        counted, and respondents are resampled with both their rows. False: two independent samples.
    weights : array_like, optional
        (n,) survey weights.
    cluster : array_like, optional
        (n,) what is drawn independently (respondents, where each has several rows; sampling
        points); None is the row.
    strata : array_like, optional
        (n,) of the clusters, from each of which the survey drew some: intervals and floor are
        within them, and groups are subgroups whose clusters all count
        (`simkit.estimators.shared.strata`). A stratum with one cluster has no interval.
    by : array_like, optional
        (n,) groups, compared one by one.
    simulated_weights, simulated_cluster, simulated_strata, simulated_by : array_like, optional
        (m,) those of the second sample, with paired=False.
    n_boot : int
        Resamples, for the floor; 2 or more.
    alpha : float
        1 - confidence of the intervals.
    rng : int or Generator
        Of the resamples.

    Returns
    -------
    Result
        A row per group and metric; with several groups also their unweighted mean. Columns:

        - estimate: plug-in distance, biased upwards. corrected: freed of that bias by the
          delete-one-cluster jackknife, at least 0 for distances. std_error: CV3.
        - low, high: of the populations' distance, t on effective clusters - 1 degrees of freedom,
          down from `corrected` and up from the larger of the two (the variance ratio on the log
          scale); with strata clusters are left out by stratum (JKn), on at most clusters - strata
          degrees of freedom: see `simkit.estimators.shared.metrics` and `.respondents`.
        - floor: what a perfect simulation would score, by bootstrap: mean distance of resampled
          humans from all (KL: about (K - 1) / 2n). Where `simulated` are answers, the humans' P is
          replaced by as many answers drawn from it (Kish's effective number of their weights).
          mean_difference: mean absolute value; variance_ratio: NaN. Compare it with `estimate`. A
          simulation that knows more of these very respondents than their P may come out below it.
        - ceiling: uniform answers against P, plug-in. A simulation can be worse than that.

        Interval NaN: fewer than 2 effective clusters in a group, a distance that is the same
        whichever cluster is left out, or that is then infinite (KL with smoothing 0). A group with
        no simulated or human row is NaN.

    Raises
    ------
    ValueError
        For answers that are no option (naming the row), rows that do not sum to 1, unknown metrics,
        ordinal ones without a scale, KL without a smoothing, a simulated group that the humans
        lack, and simulated_* arguments with paired=True.

    Notes
    -----
    By simulation the intervals contain the populations' distance in 0.93 to 0.97 of cases, and in
    more where the distance is near 0 or, of "tv", "wasserstein" and "nemd", where shares nearly
    agree.

    References
    ----------
    Namikoshi et al., arXiv 2403.20252; floor and interval: our formulation.

    Examples
    --------
    >>> from simkit import estimators as est
    >>> human = ["no", "yes", "yes", "no", "yes", "yes"]
    >>> belief = [[0.5, 0.5], [0.3, 0.7]] * 3
    >>> fit = est.marginal_fit(human, belief, ["no", "yes"], metrics=["tv"])
    >>> fit["tv"][["estimate", "floor", "ceiling"]].astype(float).round(3).to_dict()
    {'estimate': 0.067, 'floor': 0.152, 'ceiling': 0.167}
    """
    scale = numeric_scale(options, values)
    chosen = chosen_metrics(metrics, scale, smoothing)
    h, s = answer_rows(human, options, "human"), answer_rows(simulated, options, "simulated")
    code, names = grouped(by, len(h))
    second = (simulated_weights, simulated_cluster, simulated_strata, simulated_by)
    if paired and (len(h) != len(s) or any(x is not None for x in second)):
        raise ValueError(
            f"paired: human has {len(h)} rows, simulated {len(s)}; they must be the same "
            "respondents, without simulated_weights, _cluster, _strata and _by; or give "
            "paired=False"
        )
    if paired:
        both = np.concatenate([h, s], axis=1)
        sides = [_side(both, weights, cluster, strata, code, names, "")]
    else:
        codes = _same_groups(simulated_by, len(s), by, names)
        sides = [_side(h, weights, cluster, strata, code, names, "human: ")]
        sides += [_side(s, simulated_weights, simulated_cluster, simulated_strata, codes, names,
                        "simulated: ")]  # fmt: skip
    k, stream = len(options), generator(rng)
    weighed = [side.rows * side.weight[:, None] for side in sides]
    first, plans = sides[0], [side.strata for side in sides]
    resamples = resampled(first.cluster, first.group, weighed[0], len(names), n_boot, stream,
                          first.strata)  # fmt: skip
    sums = [left_out(side.cluster, side.group, rows, len(names), side.strata)
            for side, rows in zip(sides, weighed, strict=True)]  # fmt: skip
    units = np.stack([side.effective(len(names)) for side in sides])
    distances: list[list[Moved]] = []
    bounds = np.full((len(names), len(chosen), 2), np.nan)
    for g in range(len(names)):
        of_all = normalised(resamples[g][:, :k])
        mine, of = sides[-1].group == g, list(plans)
        if paired:
            samples = [(normalised(sums[0][g][:, :k]), normalised(sums[0][g][:, k:]))]
        else:
            p, q = (normalised(part[g]) for part in sums)
            samples = [(p, q[:1]), (p[:1], q)]
            if np.ndim(simulated) == 2 and mine.sum() == 1:
                samples[1], units[1, g] = (p[:1], q[[0, 0]]), np.inf  # known without error
                of[1] = None
        moved = [m.moved(*samples, strata=of) for m in chosen]
        distances.append([_placed(x, sides, g) for x in moved])
        again = None  # as many answers as were simulated (Kish's number), drawn from the humans' P
        if np.ndim(simulated) == 1 and mine.any() and not np.isnan(of_all[0]).any():
            drawn = round(effective_clusters(np.flatnonzero(mine), sides[-1].weight[mine]))
            again = stream.multinomial(drawn, of_all[0], n_boot) / drawn
        if len(moved[0].moves[0]) < 2:
            of_all[1:] = np.nan
        ends = [(noise_floor(m, of_all, again), m(of_all[0], uniform(k))) for m in chosen]
        bounds[g] = np.array(ends)
    frame = _frame(chosen, distances, bounds, names, units, alpha)
    method = f"Marginal fit, floor from {n_boot} resamples"
    notes = tuple(note for side in sides for note in side.notes) + stated(chosen, frame)
    over = first.over
    theirs = simulated_cluster is not None or simulated_strata is not None
    over += f", simulated: {sides[-1].over}" if theirs else ""
    return Result(method, frame, len(first.rows), alpha, SOURCE, notes, over)


def _placed(moved: Moved, sides: list[Side], g: int) -> Moved:
    """With a place for every cluster of each side, 0 for those that are not in group g."""
    moves = []
    for side, values in zip(sides, moved.moves, strict=True):
        if side.strata is not None and len(values) > 1:  # has them already
            moves.append(values)
            continue
        moves.append(np.zeros(int(side.cluster.max()) + 1))
        moves[-1][np.unique(side.cluster[side.group == g])] = values
    return replace(moved, moves=moves)


def uniform(k: int) -> FloatArray:
    """(k,) equal probabilities."""
    return np.full(k, 1 / k)


def _side(
    rows: FloatArray,
    weights: Any,
    cluster: Any,
    strata: Any,
    group: IntArray,
    names: list[str],
    whose: str,
) -> Side:
    used = usable_rows(rows.sum(axis=1), weights, cluster)
    i = used.kept
    codes, weight, group = used.cluster[i], used.weight[i], group[i]
    plan = strata_of(strata, cluster, used, len(rows))
    notes = used.notes + (() if plan is None else plan.notes)
    notes += group_notes(codes, weight, group, names, plan)
    over = "respondents" if cluster is None else used.over
    over += "" if plan is None else WITHIN
    notes = tuple(whose + note for note in notes)
    return Side(rows[i], weight, codes, group, plan, notes, over)


def _same_groups(simulated_by: Any, n: int, by: Any, names: list[str]) -> IntArray:
    """Codes (n,) of the simulated rows in the humans' numbering; both sides have all groups."""
    code, theirs = grouped(simulated_by, n)
    if (by is None) != (simulated_by is None) or set(theirs) != set(names):
        raise ValueError(f"simulated_by has the groups {theirs}; they must be those of by: {names}")
    return np.array([names.index(name) for name in theirs])[code]


def _frame(
    chosen: list[Metric],
    distances: list[list[Moved]],
    bounds: FloatArray,
    names: list[str],
    units: FloatArray,
    alpha: float,
) -> pd.DataFrame:
    """A row per group and metric, and with several groups one of their mean per metric."""
    labelled: list[tuple[str, str | None]] = [(f"{name}, " if name else "", name) for name in names]
    if len(names) > 1:
        distances = [*distances, [mean_moved(x) for x in zip(*distances, strict=True)]]
        bounds = np.concatenate([bounds, bounds.mean(axis=0)[None]])
        labelled.append(("mean of groups, ", None))
    rows, index = [], []
    for g, (prefix, name) in enumerate(labelled):
        for m, metric in enumerate(chosen):
            ends = {"floor": bounds[g, m, 0], "ceiling": bounds[g, m, 1]}
            row = spread(metric, distances[g][m], units[:, g].tolist(), alpha) | ends
            rows.append({"group": name, "metric": metric.name} | row)
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
        lost,
        len(frame),
        "intervals are undefined: no spread, an infinite distance, or below 2 effective clusters",
    )
    return tuple(notes)
