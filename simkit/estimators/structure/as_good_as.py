"""A distance told as a number of people: how small a survey would do as well?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.respondents import normalised
from simkit.estimators.structure.correlations import Answers, matrices_of, mean_of, two_sides
from simkit.estimators.structure.measures import rmsd
from simkit.estimators.structure.samples import resampled_counts, uncorrelated
from simkit.result import Result
from simkit.types import FloatArray, SeedLike, framed, generator, integer, invalid, one_of

__all__ = ["as_good_as"]

FEWEST = {"tv": 2, "rmsd": 4}  # people of the smallest survey; of 3 many items do not vary
SIZES = 24  # of surveys, from the smallest to all
ENDS = ["estimate", "low", "high"]


@checked("humans weights", frames="humans errors")
def as_good_as(
    humans: pd.DataFrame,
    errors: pd.DataFrame,
    *,
    distance: str = "tv",
    weights: npt.ArrayLike | None = None,
    n_boot: int = 1_000,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """A simulation's error as the size of the human survey that errs as much.

    Parameters
    ----------
    humans : DataFrame
        (n, k) numbers, one column per item, NaN where not answered. They stand for the population.
    errors : DataFrame
        A row per simulation (the index is its name); `estimate`, `low` and `high` of its distance
        from the population, without the samples' noise: "corrected" of :func:`compare_marginals`,
        "estimate" of :func:`compare_structure`.
    distance : str
        "tv" for the mean total variation of the items, "rmsd" for the root mean squared difference
        of their Pearson correlations.
    weights : array_like, optional
        (n,) survey weights: the population has the weighted shares, and surveys draw from it.
    n_boot : int
        Surveys drawn of each size.
    alpha : float
        The level at which `low` and `high` were made.
    rng : int or Generator
        Seed of the draws.

    Returns
    -------
    Result
        The rows of `errors`, in people: the size at which surveys of the humans, drawn at random
        with replacement, have this distance from all of them on average. Few people is a large
        error, so `low` comes from the error's `high`. Sizes end at 2 (4 for "rmsd") and at n: a
        value there reads "2 or fewer" and "n or more". NaN where the error is.

    Raises
    ------
    ValueError
        For an unknown distance, errors without these columns, a negative one, n_boot below 2, and
        as :func:`compare_marginals` for the humans.

    Notes
    -----
    Our formulation. The interval is that of the error; how well n people know the population
    limits it where it comes near n.

    Examples
    --------
    Half of the people are of each opinion: n people miss the share by 0.4 / root(n).

    >>> humans = pd.DataFrame({"vote": [0, 1] * 500, "trust": [0, 0, 1, 1] * 250})
    >>> errors = pd.DataFrame({"estimate": [0.04], "low": [0.02], "high": [0.1]}, ["personas"])
    >>> as_good_as(humans, errors).frame[["estimate", "low", "high"]].round(-1)
              estimate   low   high
    personas     100.0  20.0  380.0
    """
    fewest = FEWEST[one_of(distance, "distance", FEWEST)]
    integer(n_boot, "n_boot", 2)
    framed(errors, "errors")
    missing = [name for name in ENDS if name not in errors]
    if missing:
        raise ValueError(f"errors have no column {missing[0]!r}; they need {ENDS}")
    values = errors[ENDS].to_numpy(dtype=float)
    if (values < 0).any():
        raise invalid("an error", float(values[values < 0][0]), "0 or more")
    side, _ = two_sides(humans, humans, weights, weights, paired=False)
    sizes = np.unique(np.geomspace(min(fewest, side.n), side.n, SIZES).round().astype(int))
    stream = generator(rng)
    means = [_mean_distance(side, int(size), distance, n_boot, stream) for size in sizes]
    # Means of draws may rise by luck: between the lowest so far and the highest to come.
    lowest, highest = np.minimum.accumulate(means), np.maximum.accumulate(means[::-1])[::-1]
    falling = (lowest + highest) / 2
    if not falling[-1] > 0:
        raise ValueError("the humans all answer alike, so no survey of them errs")
    place = np.interp(-np.log(np.maximum(values, 1e-12)), -np.log(falling), np.log(sizes))
    people = np.where(np.isnan(values), np.nan, np.exp(place))
    frame = pd.DataFrame(
        {"estimate": people[:, 0], "std_error": np.nan, "low": people[:, 2], "high": people[:, 1]},
        index=errors.index,
    )
    most = frame.index[frame["estimate"] >= side.n * (1 - 1e-9)]
    notes = tuple(f"{name}: {side.n} people or more" for name in most)
    least = frame.index[frame["estimate"] <= fewest * (1 + 1e-9)]
    notes += tuple(f"{name}: {fewest} people or fewer" for name in least)
    what = f"People of a survey with the same {distance}, {n_boot} surveys of each size"
    return Result(what, frame, side.n, alpha, "our formulation", notes, "respondents")


def _mean_distance(
    a: Answers, size: int, distance: str, n_boot: int, stream: np.random.Generator
) -> float:
    """Mean distance of surveys of `size` people from all people."""
    found: list[FloatArray] = []
    pairs = np.triu_indices(len(a.items), 1)
    for count in resampled_counts(a.n, size, n_boot, stream, chance=a.weight):
        weights: list[FloatArray] = [count.astype(float), a.weight[None]]
        if distance == "rmsd":
            some, whole = (matrices_of(a, "pearson", w) for w in weights)
            uncorrelated(some)
            found.append(rmsd(some[:, *pairs], whole[:, *pairs]))
            continue
        items = []
        for item in range(len(a.items)):
            hits = np.eye(len(a.levels[item]))[np.where(a.mask[:, item], a.codes[:, item], 0)]
            hits = hits * a.mask[:, [item]]
            some, whole = (normalised(w @ hits) for w in weights)
            items.append(np.abs(some - whole).sum(axis=-1) / 2)
        found.append(mean_of(np.stack(items, axis=-1)))
    return float(mean_of(np.concatenate(found)))
