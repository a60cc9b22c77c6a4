"""Are simulated people as different from one another as people are? Spread, outcome by outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.diversity.items import ByItem
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.clustering import few_note, mean_over, share_interval
from simkit.estimators.shared.rows import optional_labels, texts
from simkit.result import REQUIRED, Result, t_frame
from simkit.types import FloatArray, IntArray, counted, numbers, one_of

__all__ = ["spread_ratio"]

SOURCE, SHAPE = "our formulation", "(people, outcomes)"


@checked("human", "simulated", columns="human simulated")
def spread_ratio(
    human: pd.DataFrame | npt.ArrayLike,
    simulated: pd.DataFrame | npt.ArrayLike,
    *,
    kind: str = "sd",
    by: Any = None,
    paired: bool = True,
    alpha: float = 0.05,
) -> ByItem:
    """Spread of simulated people over that of people, per outcome: below 1 is under-dispersed.

    Parameters
    ----------
    human, simulated : DataFrame or array_like
        (people, outcomes) numbers, NaN where not asked. DataFrames name the outcomes and are
        matched by these names.
    kind : {"sd", "variance", "entropy"}
        Standard deviation, variance, or entropy of the answers as categories (biased down by
        about (categories - 1) / 2n nats on both sides).
    by : array_like, optional
        (outcomes,) the study that each outcome belongs to: outcomes of one study are not
        independent. By default every outcome stands by itself.
    paired : bool
        True if row i of both is one person and that person's twin; they are left out together.
    alpha : float
        Significance level of the intervals.

    Returns
    -------
    ByItem
        A row per outcome: estimate (the ratio), human and simulated (the two spreads) and study,
        with intervals over people. `overall` has mean (geometric, over outcomes), mean_of_studies
        (geometric, of the studies' geometric means), share_below (outcomes with a ratio below 1)
        and share_clearly_below (with the whole interval below 1), with intervals over studies.

    Raises
    ------
    ValueError
        For different outcomes, people who cannot be paired, an unknown kind, infinite values.

    Notes
    -----
    Intervals over people are t intervals of the ratio's logarithm by the delete-one-person
    jackknife. Those over studies use the delete-one-study jackknife, with degrees of freedom from
    the effective number of studies; below 5 of them a note warns. The shares have intervals on the
    logit scale as in :func:`demand_curve`, and Clopper-Pearson's where all studies agree; these
    are cautious (coverage 1.00 with 4 outcomes, 0.98 with 30).

    A ratio is NaN, and counted, where the human spread is 0 or fewer than 2 people answered. It
    has no interval where a spread is 0, or would be without one person. Our formulation; used on
    the twins of Peng et al., arXiv 2509.19088.

    Examples
    --------
    >>> human = pd.DataFrame({"trust": [1, 2, 4, 6, 7], "age": [20, 30, 40, 50, 60]})
    >>> twins = pd.DataFrame({"trust": [3, 3, 4, 5, 5], "age": [22, 31, 39, 48, 60]})
    >>> spread_ratio(human, twins).frame[["estimate", "low", "high"]].round(2)
           estimate   low  high
    trust      0.39  0.25  0.61
    age        0.93  0.75  1.17
    """
    one, two = numbers(human, "human", SHAPE), numbers(simulated, "simulated", SHAPE)
    if one.shape[1] != two.shape[1]:
        raise ValueError(f"shapes are {one.shape} and {two.shape}; they must be {SHAPE}, with the "
                         "same outcomes")  # fmt: skip
    if paired and len(one) != len(two):
        raise ValueError(f"{len(one)} and {len(two)} people cannot be paired; there must be one "
                         "each, or paired=False")  # fmt: skip
    one_of(kind, "kind", ("sd", "variance", "entropy"))
    frames = [x for x in (human, simulated) if isinstance(x, pd.DataFrame)]
    names = list(frames[0]) if frames else list(range(one.shape[1]))
    study, keys = optional_labels(range(len(names)) if by is None else by, "by", len(names))
    rows = [
        _ratio(_spread(h, kind), _spread(s, kind), paired, alpha)
        for h, s in zip(one.T, two.T, strict=True)
    ]
    frame = pd.DataFrame(rows, columns=[*REQUIRED, "human", "simulated"], index=pd.Index(names))
    frame["study"] = np.array(texts(keys), dtype=object)[study]
    undefined = frame["estimate"].isna()
    bare = int((~undefined & frame["low"].isna()).sum())
    notes = (
        *counted(int(undefined.sum()), len(frame), "outcomes undefined (NaN)"),
        *counted(bare, len(frame), "outcomes without an interval: a spread is 0, or is without "
                 "one person"),
        f"{len(keys)} studies",
    )  # fmt: skip
    method, over = f"Ratio of {kind}, simulated over human", "outcomes" if by is None else "studies"
    table, few = _overall(frame, study, alpha)
    overall = Result(method, table, len(one), alpha, SOURCE, (*notes, *few), over=over)
    return ByItem(method, frame, len(one), alpha, SOURCE, notes, over="people", overall=overall)


@dataclass(frozen=True)
class _Spread:
    """Spread of one outcome; without each person (people,); and who answered (people,)."""

    value: float
    without: FloatArray
    answered: npt.NDArray[np.bool_]


def _ratio(human: _Spread, simulated: _Spread, paired: bool, alpha: float) -> list[float]:
    """Estimate, std_error, low, high of simulated / human, and the two spreads."""
    h, s = human.value, simulated.value
    if not h > 0 or np.isnan(s):
        return [np.nan] * 4 + [h, s]
    with np.errstate(divide="ignore", invalid="ignore"):
        moves = [np.log(x.without / x.value) for x in (simulated, human)]
    people = np.array([x.answered.sum() for x in (simulated, human)])
    if paired:
        moves = [moves[0] - moves[1]]
        people = np.array([(simulated.answered | human.answered).sum()])
    parts = np.array([(m**2).sum() for m in moves]) * (people - 1) / people
    variance, df = parts.sum(), float(people[0] - 1)
    if not np.isfinite(variance):
        return [s / h, np.nan, np.nan, np.nan, h, s]
    if not paired and variance > 0:  # Satterthwaite
        df = variance**2 / (parts**2 / (people - 1)).sum()
    row = t_frame(["x"], np.log(s / h), np.sqrt(variance), df, alpha).iloc[0]
    return [s / h, np.sqrt(variance) * s / h, np.exp(row["low"]), np.exp(row["high"]), h, s]


def _spread(x: FloatArray, kind: str) -> _Spread:
    """Of one outcome's answers (people,); NaN of fewer than 2."""
    answered = ~np.isnan(x)
    y, n = x[answered], int(answered.sum())
    if n < 2:
        return _Spread(np.nan, np.full(len(x), np.nan), answered)
    if kind == "entropy":
        category, count = np.unique(y, return_inverse=True, return_counts=True)[1:]
        fewer = count - np.eye(len(count), dtype=int)  # (categories, categories): one of each less
        value, left = _entropy(count), _entropy(fewer)[category]
    else:
        y = y - y.mean()  # for precision; the spread does not change
        value = (y**2).sum() / (n - 1)
        with np.errstate(invalid="ignore", divide="ignore"):  # of 2 people no spread is left
            left = ((y**2).sum() - y**2 * n / (n - 1)) / (n - 2)
        left[left < 1e-12 * value] = 0  # rounding dust
        if kind == "sd":
            value, left = np.sqrt(value), np.sqrt(left)
    without = np.full(len(x), value)
    without[answered] = left
    return _Spread(float(value), without, answered)


def _entropy(count: IntArray) -> FloatArray:
    share = count / count.sum(-1, keepdims=True)
    return np.asarray(-(share * np.log(np.where(share > 0, share, 1))).sum(-1))


def _overall(
    frame: pd.DataFrame, study: IntArray, alpha: float
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    ratio, high = frame["estimate"].to_numpy(), frame["high"].to_numpy()
    defined, positive = ~np.isnan(ratio), ratio > 0  # a ratio of 0 has no logarithm
    log, size = np.log(ratio[positive]), np.bincount(study[positive])
    equal = np.ones(len(ratio))
    quantities = {
        "mean": (positive, log, equal[positive]),
        "mean_of_studies": (positive, log, 1 / size[study[positive]]),
        "share_below": (defined, (ratio < 1)[defined].astype(float), equal[defined]),
        "share_clearly_below": (defined, (high < 1)[defined].astype(float), equal[defined]),
    }
    rows, units = {}, []
    for name, (used, values, weight) in quantities.items():
        if not used.any():
            rows[name] = [np.nan] * 4
            continue
        clusters = [np.unique(study[used], return_inverse=True)[1]]
        mean = mean_over(values, weight, clusters)
        units.append(mean.units)
        if name.startswith("share"):
            ends = share_interval(values, weight, clusters, mean, alpha)
            rows[name] = [mean.estimate, mean.error, *ends]
            continue
        row = t_frame([name], mean.estimate, mean.error, mean.df, alpha).iloc[0]
        with np.errstate(over="ignore"):  # an end beyond all numbers is inf
            estimate, low, high_end = np.exp(row[["estimate", "low", "high"]].to_numpy(float))
        rows[name] = [estimate, row["std_error"] * estimate, low, high_end]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(REQUIRED), dtype=float)
    return table, few_note(np.array(units))
