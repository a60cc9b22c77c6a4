"""Are simulated people as different from one another as people are? Spread, outcome by outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.diversity.items import ByItem
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.clustering import Mean, few_note, mean_over, share_interval
from simkit.estimators.shared.rows import optional_labels, texts
from simkit.result import Result, t_frame
from simkit.types import FloatArray, counted, numbers

__all__ = ["spread_ratio"]

KINDS = ("sd", "variance", "entropy")


@checked("human", "simulated")
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
    human, simulated : (people, outcomes) numbers, NaN where not asked. DataFrames name the
        outcomes, and must have the same columns.
    kind : "sd" (standard deviations), "variance", or "entropy" (of the answers as categories, by
        their shares; biased down by about (categories - 1) / 2n nats in both).
    by : (outcomes,) the study that each outcome belongs to: outcomes of one study are not
        independent. None: every outcome by itself.
    paired : row i of both is one person and that person's twin, who are left out together.

    Returns
    -------
    `ByItem`: a row per outcome: estimate (the ratio, with an interval over people: t of its
    logarithm, delete-one-person jackknife), human and simulated (the two spreads), study.
    `overall` has mean (geometric, over outcomes), mean_of_studies (geometric, of the studies'
    geometric means), share_below (outcomes with a ratio below 1) and share_clearly_below (the
    whole interval below 1), with t intervals over studies (delete-one-study jackknife, degrees of
    freedom from the effective number of studies; below 5 of them a note). Those of the shares are
    formed as in `demand_curve`: on the logit scale, and Clopper-Pearson's of as many draws as there
    are (effective) studies where these all agree. They are cautious: 1.00 with 4 outcomes, 0.98
    with 30.

    Undefined: a human spread of 0, or fewer than 2 answers (NaN, counted); an interval where a
    spread is 0 or would be without one person. Raises ValueError for other shapes or columns, an
    unknown kind, infinite values. Our formulation; used on the twins of Peng et al., arXiv
    2509.19088.
    """
    one, two, names = _tables(human, simulated, paired)
    if kind not in KINDS:
        raise ValueError(f"no kind {kind!r}; legal are {', '.join(KINDS)}")
    study, keys = optional_labels(range(len(names)) if by is None else by, "by", len(names))
    rows, titles = [], texts(keys)
    for q in range(len(names)):
        row = _ratio(_spread(one[:, q], kind), _spread(two[:, q], kind), paired, alpha)
        rows.append([*row, titles[study[q]]])
    columns = ["estimate", "std_error", "low", "high", "human", "simulated", "study"]
    frame = pd.DataFrame(rows, columns=columns, index=pd.Index(names))
    there = frame["estimate"].notna()
    lost = counted(int((~there).sum()), len(frame), "outcomes undefined (NaN)")
    bare = int((there & frame["low"].isna()).sum())
    bare_note = counted(bare, len(frame), "outcomes without an interval: a spread is 0, or is "
                        "without one person")  # fmt: skip
    notes, source = (*lost, *bare_note, f"{len(keys)} studies"), "our formulation"
    method, n = f"Ratio of {kind}, simulated over human", len(one)
    over = "outcomes" if by is None else "studies"
    table, few = _overall(frame, study, alpha)
    overall = Result(method, table, n, alpha, source, (*notes, *few), over=over)
    return ByItem(method, frame, n, alpha, source, notes, over="people", overall=overall)


@dataclass(frozen=True)
class _Spread:
    """Spread of one outcome; without each person (people,); and who answered (people,)."""

    value: float
    without: FloatArray
    there: npt.NDArray[np.bool_]


def _ratio(human: _Spread, simulated: _Spread, paired: bool, alpha: float) -> list[float]:
    """Estimate, std_error, low, high of simulated / human, and the two spreads."""
    h, s = human.value, simulated.value
    if not h > 0 or np.isnan(s):
        return [np.nan] * 4 + [h, s]
    with np.errstate(divide="ignore", invalid="ignore"):
        moves = [np.log(x.without / x.value) for x in (simulated, human)]
    told = [int(x.there.sum()) for x in (simulated, human)]
    if paired:
        moves, told = [moves[0] - moves[1]], [int((simulated.there | human.there).sum())]
    parts = np.array([(n - 1) / n * (m**2).sum() for m, n in zip(moves, told, strict=True)])
    variance, df = parts.sum(), float(told[0] - 1)
    if not np.isfinite(variance):
        return [s / h, np.nan, np.nan, np.nan, h, s]
    if not paired and variance > 0:  # Satterthwaite
        df = variance**2 / (parts**2 / (np.array(told) - 1)).sum()
    row = t_frame(["x"], np.log(s / h), np.sqrt(variance), df, alpha).iloc[0]
    low, high = np.exp(row[["low", "high"]].to_numpy(dtype=float))
    return [s / h, np.sqrt(variance) * s / h, float(low), float(high), h, s]


def _tables(human: Any, simulated: Any, paired: bool) -> tuple[FloatArray, FloatArray, list[Any]]:
    both = (("human", human), ("simulated", simulated))
    one, two = (numbers(x, n, "(people, outcomes)") for n, x in both)
    if one.shape[1] != two.shape[1]:
        raise ValueError(f"shapes are {one.shape} and {two.shape}; "
                         "legal is (people, outcomes), with the same outcomes")  # fmt: skip
    if paired and len(one) != len(two):
        raise ValueError(f"{len(one)} and {len(two)} people cannot be paired; legal is one each, "
                         "or paired=False")  # fmt: skip
    frames = [x for x in (human, simulated) if isinstance(x, pd.DataFrame)]
    if len(frames) == 2 and list(human) != list(simulated):
        apart = next(a for a, b in zip(human, simulated, strict=True) if a != b)
        raise ValueError(f"outcome {apart!r} is not at the same place in both; legal is the same")
    return one, two, list(frames[0]) if frames else list(range(one.shape[1]))


def _spread(x: FloatArray, kind: str) -> _Spread:
    """Of one outcome's answers (people,); NaN of fewer than 2."""
    there = ~np.isnan(x)
    y, n = x[there], int(there.sum())
    if n < 2:
        return _Spread(np.nan, np.full(len(x), np.nan), there)
    if kind == "entropy":
        values = np.unique(y, return_inverse=True)[1]
        count = np.bincount(values)
        fewer = count - np.eye(len(count), dtype=int)  # (values, values): one of each less
        found = np.array([_entropy(count), *_entropy(fewer)[values]])
    else:
        y = y - y.mean()  # for precision; the spread does not change
        rest = n - 1
        with np.errstate(invalid="ignore", divide="ignore"):  # of 2 people no spread is left
            less = ((y**2).sum() - y**2 * n / rest) / (rest - 1)
        found = np.array([(y**2).sum() / rest, *less])
        found[found < 1e-12 * found[0]] = 0  # rounding dust
        found = np.sqrt(found) if kind == "sd" else found
    without = np.full(len(x), found[0])
    without[there] = found[1:]
    return _Spread(float(found[0]), without, there)


def _entropy(count: npt.NDArray[np.int64]) -> FloatArray:
    share = count / count.sum(-1, keepdims=True)
    return np.asarray(-(share * np.log(np.where(share > 0, share, 1))).sum(-1))


def _overall(
    frame: pd.DataFrame, study: npt.NDArray[np.int64], alpha: float
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    there = (frame["estimate"] > 0).to_numpy()  # a ratio of 0 has no logarithm
    log, code = np.log(frame["estimate"].to_numpy()[there]), study[there]
    defined = frame["estimate"].notna().to_numpy()
    below = frame["estimate"].to_numpy()[defined] < 1, frame["high"].to_numpy()[defined] < 1
    size = np.bincount(code)
    columns = [
        ("mean", log, np.ones(len(log)), code),
        ("mean_of_studies", log, 1 / size[code], code),
        ("share_below", below[0].astype(float), np.ones(defined.sum()), study[defined]),
        ("share_clearly_below", below[1].astype(float), np.ones(defined.sum()), study[defined]),
    ]
    none = Mean(np.nan, np.nan, np.nan, np.nan, 0)
    found = [mean_over(v, w, [_codes(c)]) if len(v) else none for _, v, w, c in columns]
    ends = [
        share_interval(v, w, [_codes(c)], m, alpha)
        for m, (_, v, w, c) in zip(found[2:], columns[2:], strict=True)
    ]
    table = t_frame(
        [c[0] for c in columns], [m.estimate for m in found], [m.error for m in found],
        [m.df for m in found], alpha,
    )  # fmt: skip
    table = table[["estimate", "std_error", "low", "high"]]
    table.loc[["share_below", "share_clearly_below"], ["low", "high"]] = ends
    logs = ["mean", "mean_of_studies"]
    table.loc[logs, "std_error"] *= np.exp(table.loc[logs, "estimate"])
    scaled = ["estimate", "low", "high"]
    with np.errstate(over="ignore"):  # an end beyond all numbers is inf
        table.loc[logs, scaled] = np.exp(table.loc[logs, scaled])
    return table, few_note(np.array([m.units for m in found]))


def _codes(study: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    return np.unique(study, return_inverse=True)[1]
