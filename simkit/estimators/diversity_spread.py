"""Are simulated people as different from one another as people are? Spread, outcome by outcome."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.arguments import checked
from simkit.estimators.diversity_items import ByItem
from simkit.estimators.respondents import percentiles
from simkit.estimators.rows import optional_labels, texts
from simkit.result import Result, clustered_mean, t_frame
from simkit.types import FloatArray, SeedLike, counted, generator, numbers

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
    n_boot: int = 200,
    alpha: float = 0.05,
    rng: SeedLike = 0,
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
    paired : row i of both is one person and that person's twin; they are resampled together.
    n_boot : resamples of people.

    Returns
    -------
    `ByItem`: a row per outcome: estimate (the ratio, with a percentile interval over people),
    human and simulated (the two spreads), study. `overall` has mean (geometric, over outcomes),
    mean_of_studies (geometric, of the studies' geometric means), share_below (outcomes with a ratio
    below 1) and share_clearly_below (the whole interval below 1), with t intervals over studies
    (delete-one-study jackknife).

    Undefined: a human spread of 0, or fewer than 2 answers (NaN, counted). Raises ValueError for
    other shapes or columns, an unknown kind, fewer than 2 resamples, infinite values.
    Our formulation; used on the twins of Peng et al., arXiv 2509.19088.
    """
    one, two, names = _tables(human, simulated, paired)
    if kind not in KINDS:
        raise ValueError(f"no kind {kind!r}; legal are {', '.join(KINDS)}")
    if n_boot < 2:
        raise ValueError(f"n_boot is {n_boot}; legal are 2 or more")
    study, keys = optional_labels(range(len(names)) if by is None else by, "by", len(names))
    stream = generator(rng)
    first = _counts(len(one), n_boot, stream)
    second = first if paired else _counts(len(two), n_boot, stream)
    rows, titles = [], texts(keys)
    for q in range(len(names)):
        both = _spread(one[:, q], first, kind), _spread(two[:, q], second, kind)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(both[0] > 0, both[1] / both[0], np.nan)
        error, low, high = percentiles(ratio[1:], alpha)
        rows.append([ratio[0], error, low, high, both[0][0], both[1][0], titles[study[q]]])
    columns = ["estimate", "std_error", "low", "high", "human", "simulated", "study"]
    frame = pd.DataFrame(rows, columns=columns, index=pd.Index(names))
    frame.loc[frame["estimate"].isna(), ["std_error", "low", "high"]] = np.nan
    lost = counted(int(frame["estimate"].isna().sum()), len(frame), "outcomes undefined (NaN)")
    notes = (*lost, f"{len(keys)} studies")
    source = "our formulation"
    overall = Result(
        f"Ratio of {kind}, simulated over human", _overall(frame, study, alpha), len(one), alpha,
        source, notes,
    )  # fmt: skip
    return ByItem(overall.method, frame, len(one), alpha, source, notes, overall=overall)


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


def _counts(people: int, n_boot: int, stream: np.random.Generator) -> FloatArray:
    """How often each person counts (1 + B, people): once each, then resampled."""
    drawn = stream.integers(0, people, (n_boot, people)) + people * np.arange(n_boot)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=n_boot * people).reshape(n_boot, people)
    return np.concatenate([np.ones((1, people)), counts])


def _spread(x: FloatArray, counts: FloatArray, kind: str) -> FloatArray:
    """Spread (1 + B,) of one outcome's answers (people,), NaN where fewer than 2 answered."""
    there = ~np.isnan(x)
    c, x = counts[:, there], x[there]
    n = c.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        if kind == "entropy":
            values = np.unique(x, return_inverse=True)[1]
            share = c @ np.eye(values.max(initial=0) + 1)[values] / n[:, None]
            found = -(share * np.log(np.where(share > 0, share, 1))).sum(1)
        else:
            x = x - x.mean() if len(x) else x  # for precision; the spread does not change
            variance = np.maximum((c @ x**2 - (c @ x) ** 2 / n) / (n - 1), 0)
            found = np.sqrt(variance) if kind == "sd" else variance
    return np.where(n > 1, found, np.nan)


def _overall(frame: pd.DataFrame, study: npt.NDArray[np.int64], alpha: float) -> pd.DataFrame:
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
    found = [clustered_mean(v, w, c) if len(v) else (np.nan, np.nan, 0) for _, v, w, c in columns]
    mean, error, clusters = (np.array(x, dtype=float) for x in zip(*found, strict=True))
    table = t_frame([c[0] for c in columns], mean, error, clusters - 1, alpha)
    table = table[["estimate", "std_error", "low", "high"]]
    shares = ["share_below", "share_clearly_below"]
    table.loc[shares, ["low", "high"]] = table.loc[shares, ["low", "high"]].clip(0, 1)
    logs = ["mean", "mean_of_studies"]
    table.loc[logs, "std_error"] *= np.exp(table.loc[logs, "estimate"])
    ends = ["estimate", "low", "high"]
    with np.errstate(over="ignore"):  # an end beyond all numbers is inf
        table.loc[logs, ends] = np.exp(table.loc[logs, ends])
    return table
