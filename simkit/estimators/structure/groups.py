"""Structure between groups: correlations of group means, the measure of Williams et al.

The items' means in a few overlapping groups (liberals, men, the old, ...) are correlated across
the groups. It is told here exactly as the source's public code computes it (revision 5025a90), and
once more with the bounds that belong to it. Either way it says nothing of how one person's answers
go together: the groups' means are all it sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from simkit.estimators.shared.arguments import checked, groups_of
from simkit.estimators.structure.compare import WILLIAMS
from simkit.estimators.structure.correlations import off_diagonal
from simkit.estimators.structure.intervals import apart, pattern, undefined
from simkit.estimators.structure.measures import correlation_of_correlations, mean_of, rmsd
from simkit.result import Result
from simkit.types import FloatArray, SeedLike, column, counted, generator

__all__ = ["Groups", "by_groups", "group_means", "subgroup_structure", "topic_means"]

Groups = Mapping[str, pd.DataFrame]
Ends = tuple[float, float]
FEW = 200  # members of a group, below which intervals cover too seldom
AS_PUBLISHED = (0.25, 0.975)  # the quantiles that the source's code takes for a 95 % interval


@checked("frame groups", frames="frame groups")
def by_groups(frame: pd.DataFrame, groups: pd.DataFrame, items: Sequence[str]) -> dict[str, Any]:
    """The answers of each group's members: {group: frame of the items}, index labels kept.

    groups : one column of True and False per group, on the rows of `frame`; groups may overlap,
    and a label that stands in two groups is one respondent. Raises ValueError for other rows, for
    a group without members, and for an index that repeats.
    """
    if not frame.index.is_unique or not frame.index.equals(groups.index):
        raise ValueError(
            "frame and groups need the same index, without repeats: it says who is who"
        )
    lost = [name for name in items if name not in frame]
    if lost:
        raise ValueError(f"frame has no column {lost[0]!r}; it has {list(frame)}")
    flags = [name for name in groups if groups[name].dtype.kind != "b"]
    if flags:
        raise ValueError(f"groups[{flags[0]!r}] holds {groups[flags[0]].dtype} values; must be "
                         "True and False")  # fmt: skip
    out = {str(g): frame.loc[groups[g].to_numpy(dtype=bool), list(items)] for g in groups}
    empty = [g for g, part in out.items() if part.empty]
    if empty:
        raise ValueError(f"group {empty[0]!r} has no members among {len(frame)} respondents")
    return out


@checked(groups=groups_of)
def group_means(
    groups: Groups, scales: Mapping[str, Ends], *, digits: int | None = None
) -> pd.DataFrame:
    """Means of the items in each group, as a share of the scale: (items, groups), 0 to 1.

    scales : item -> lowest and highest answer. digits : the means are rounded to so many digits
    before they are scaled (the source: 2); None not at all. Answers that are NaN are left out; NaN
    where a group has none. Raises ValueError for an item that a group lacks, and a scale without
    range.
    """
    for item, (low, high) in scales.items():
        if not low < high:
            raise ValueError(f"{item}: the scale is {low:g} to {high:g}; low must be below high")
        lost = [g for g, part in groups.items() if item not in part]
        if lost:
            raise ValueError(f"group {lost[0]!r} has no item {item!r}")
    items = list(scales)
    low, high = np.array(list(scales.values()), dtype=float).T
    means = pd.DataFrame({
        g: {i: _mean(column(part[i], f"{g}[{i}]", missing=True)) for i in items}
        for g, part in groups.items()
    })  # fmt: skip
    means = means if digits is None else means.round(digits)
    return means.sub(low, axis=0).div(high - low, axis=0)


def _mean(x: FloatArray) -> float:
    return float(mean_of(x))


def topic_means(
    means: pd.DataFrame, topics: Mapping[str, str], *, digits: int | None = None
) -> pd.DataFrame:
    """Means over the items of each topic: (topics, groups). topics : item -> topic.

    digits : rounded to so many (the source: 2). Raises ValueError for an item without a topic.
    """
    lost = [i for i in means.index if i not in topics]
    if lost:
        raise ValueError(f"item {lost[0]!r} has no topic")
    found = means.groupby([topics[i] for i in means.index], sort=False).mean()
    return found if digits is None else found.round(digits)


@checked(humans=groups_of, simulated=groups_of)
def subgroup_structure(
    humans: Groups,
    simulated: Groups,
    scales: Mapping[str, Ends],
    *,
    topics: Mapping[str, str] | None = None,
    as_published: bool = False,
    n_boot: int = 200,
    splits: int = 200,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """Correlations of the items' group means, simulated against human, as Williams et al.

    humans, simulated : {group: answers}, the same groups, see `by_groups`; index labels say who is
        who. scales : the ordinal items, and the ends of each one's scale.
    topics : item -> topic, to compare topics (means over their items) instead of items.
    as_published : exactly as the source's code. Means are rounded to 2 digits, correlations to
        3; a missing mean leaves pairs out; the interval is the 25 % to 97.5 % quantile of resamples
        in which every column of every group of the simulation is drawn by itself and the humans
        stay; `lower_bound` (each group's means in random order) and `upper_bound` (halves drawn
        group by group) are of the matrix *group x group*. False: nothing rounded; resamples
        of respondents on both sides, with all their answers and groups; the alpha/2 quantiles;
        and both bounds of the matrix *item x item*, which is what is compared: halves by
        respondent, and each item's means in random order over the groups.

    Rows: pearson_r and rmse. Columns: estimate, std_error, low, high : of the populations' group
    means, sampling noise taken out (as `compare_structure`; as_published: of the samples, and no
    confidence interval); raw : of the samples as they are, to compare with lower_bound and
    upper_bound (means over `splits`). Simulated (ten overlapping groups, six items) 95 % intervals
    of rmse cover in 0.79 of cases with 300 people and in 0.90 to 0.98 with 1,000 and more, of
    pearson_r in 0.93 to 0.98: means of few members have noise in them that draws correlations to
    0, which a note says where a group has fewer than 200.
    An item whose means do not vary over the groups has no correlation and is left out; the notes
    count it. Raises ValueError for different or fewer than 3 groups, and what `group_means` raises.
    Source: Williams et al., arXiv 2601.15755, and its code.
    """
    if list(humans) != list(simulated) or len(humans) < 3:
        raise ValueError(
            f"humans have the groups {list(humans)}, simulated {list(simulated)}; must be the "
            "same, three or more"
        )
    if n_boot < 2 or splits < 1:
        raise ValueError(f"n_boot is {n_boot}, splits {splits}; must be 2 or more, and 1 or more")
    group_means(humans, scales), group_means(simulated, scales)  # raise what there is to raise
    tables = [_Table(groups, list(scales)) for groups in (humans, simulated)]
    low, high = np.array(list(scales.values()), dtype=float).T
    places = 2 if as_published else None

    def means(parts: list[FloatArray]) -> FloatArray:
        raw = np.column_stack([_column_means(x) for x in parts])
        raw = raw if places is None else raw.round(places)
        scaled = (raw - low[:, None]) / (high - low)[:, None]
        if topics is None:
            return np.asarray(scaled)
        named = pd.DataFrame(scaled, index=list(scales))
        return np.asarray(topic_means(named, topics, digits=places), dtype=np.float64)

    digits = 3 if as_published else None

    def listed(table: FloatArray) -> FloatArray:
        return _row_correlations(table, digits)

    def compared(first: FloatArray, second: FloatArray) -> list[float]:
        one, two = listed(first), listed(second)
        found = [float(correlation_of_correlations(one, two)), float(rmsd(one, two))]
        return found if digits is None else [round(v, digits) for v in found]

    stream = generator(rng)
    true, model = (means(t.parts) for t in tables)
    again = []
    for _ in range(n_boot):
        first = true if as_published else means(tables[0].respondents(stream))
        drawn = tables[1].columns(stream) if as_published else tables[1].respondents(stream)
        again.append((first, means(drawn)))
    raw = compared(true, model)
    if as_published:
        rows = _as_published(raw, np.array([compared(*pair) for pair in again]))
    else:
        pairs = [(true, model), *again]
        h, s = (np.stack([listed(pair[side]) for pair in pairs]) for side in (0, 1))
        people = min(t.n for t in tables)
        rows = [pattern(h, s, people, alpha, False), apart(h, s, people, alpha)]
    turn: Callable[[FloatArray], FloatArray] = np.transpose if as_published else np.asarray
    base = turn(true)
    lower = [compared(base, stream.permuted(base, axis=1)) for _ in range(splits)]
    upper = []
    for _ in range(splits):
        halves = tables[0].halves(stream, apart=as_published)
        upper.append(compared(*(turn(means(half)) for half in halves)))
    frame = pd.DataFrame(rows, index=pd.Index(["pearson_r", "rmse"])).assign(raw=raw)
    bounds = {"lower_bound": lower, "upper_bound": upper}
    frame = frame.assign(**{k: mean_of(np.array(v, dtype=float).T) for k, v in bounds.items()})
    what = "topics" if topics is not None else "items"
    how = "as published" if as_published else "bounds on its own matrix"
    method = f"Structure of group means, {len(true)} {what}, {len(humans)} groups, {how}"
    flat = int((_spread(true) < 1e-12).sum() + (_spread(model) < 1e-12).sum())
    notes = counted(flat, 2 * len(true), f"{what} (both sides) have the same mean in all groups")
    if not as_published:
        measured = ((0, "pearson_r", correlation_of_correlations), (1, "rmse", rmsd))
        notes += tuple(
            undefined(name, f(h[1:], s[1:])) for i, name, f in measured
            if np.isnan(rows[i]["low"]) and not np.isnan(raw[i])
        )  # fmt: skip
    if as_published:
        notes += (
            "no confidence interval: from the 25 % to the 97.5 % quantile, as the source's code",
            "both bounds are of the group x group matrix, which is not the one compared",
        )
    smallest = min(len(part) for t in tables for part in t.parts)
    if smallest < FEW and not as_published:
        notes += (f"the smallest group has {smallest} members; below {FEW} trust no interval",)
    over = "" if as_published else "respondents of both sides, for these groups"
    n = sum(len(g) for g in humans.values())
    return Result(method, frame.astype(float), n, alpha, WILLIAMS, notes, over)


def _as_published(at: list[float], found: FloatArray) -> list[dict[str, float]]:
    """The source's columns, its quantiles for an interval."""
    rows = []
    for value, column_ in zip(at, found.T, strict=True):
        there = column_[~np.isnan(column_)]
        low, high = np.quantile(there, AS_PUBLISHED) if len(there) else (np.nan, np.nan)
        error = float(there.std(ddof=1)) if len(there) > 1 else np.nan
        rows.append({"estimate": value, "std_error": error, "low": low, "high": high})
    return rows


def _row_correlations(means: FloatArray, digits: int | None) -> FloatArray:
    m = means.T
    whole = not np.isnan(m).any()
    centred = m - m.mean(axis=0) if whole else m
    size = np.sqrt((centred**2).sum(axis=0))
    if whole and (size > 1e-12).all():
        r = np.clip((centred / size).T @ (centred / size), -1, 1)
    else:  # a mean is missing, or does not vary
        r = pd.DataFrame(m).corr().to_numpy()
    return off_diagonal(r if digits is None else r.round(digits))


def _spread(means: FloatArray) -> FloatArray:
    centre = mean_of(means)[:, None]
    return np.asarray(np.sqrt(mean_of((means - centre) ** 2)))


class _Table:
    """Each group's answers (members, items) as arrays, and the numbers of its members."""

    def __init__(self, groups: Groups, items: list[str]) -> None:
        self.parts = [g[items].to_numpy(dtype=np.float64) for g in groups.values()]
        labels = pd.Index(np.concatenate([np.asarray(g.index) for g in groups.values()])).unique()
        self.who = [labels.get_indexer(g.index) for g in groups.values()]
        self.n = len(labels)

    def respondents(self, stream: np.random.Generator) -> list[FloatArray]:
        """Respondents drawn anew: one drawn twice counts twice in each group of theirs."""
        count = np.bincount(stream.integers(0, self.n, self.n), minlength=self.n)
        both = zip(self.parts, self.who, strict=True)
        return [np.repeat(x, count[who], axis=0) for x, who in both]

    def columns(self, stream: np.random.Generator) -> list[FloatArray]:
        """Every column of every group drawn by itself, as many as there are."""
        drawn = (stream.integers(0, len(x), x.shape) for x in self.parts)
        return [np.take_along_axis(x, d, axis=0) for x, d in zip(self.parts, drawn, strict=True)]

    def halves(
        self, stream: np.random.Generator, *, apart: bool
    ) -> tuple[list[FloatArray], list[FloatArray]]:
        """Two halves of the respondents; `apart`: of each group, so that one may be in both."""
        if apart:
            orders = [stream.permutation(len(x) - len(x) % 2) for x in self.parts]
            both = [(x, o, len(o) // 2) for x, o in zip(self.parts, orders, strict=True)]
            return [x[o[:half]] for x, o, half in both], [x[o[half:]] for x, o, half in both]
        first = np.zeros(self.n, dtype=bool)
        first[stream.permutation(self.n)[: self.n // 2]] = True
        pairs = list(zip(self.parts, self.who, strict=True))
        return [x[first[w]] for x, w in pairs], [x[~first[w]] for x, w in pairs]


def _column_means(x: FloatArray) -> FloatArray:
    """Mean of each column (items,) over what is not NaN; NaN where nothing is."""
    return mean_of(x.T)
