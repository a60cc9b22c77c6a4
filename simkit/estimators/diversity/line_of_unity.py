"""Diversity of colour associations: is a population more than noise?

People answer the same words twice. If an answer differs from the same person's other answer by as
much as from another person's, the population is one person with noise; if it differs less, there
are individuals. On the plane of mean distance within (internal) and between (population), the
first lies on the line of unity, and the distance from that line measures how much of the diversity
is between individuals (Murthy, Ullman & Hu, NAACL 2025, arXiv 2411.04427).

The source reports the absolute distance, and from the pairs i < j only. An absolute value is above
zero in an exchangeable population too, so here the signed distance leads, a permutation null says
what exchangeable answers would give, and all pairs i != j count unless the source's are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.diversity.colour import delta_e
from simkit.estimators.diversity.items import ByItem
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.means import mean_choice
from simkit.estimators.shared.respondents import percentiles
from simkit.result import Result, t_frame
from simkit.types import LARGEST, FloatArray, SeedLike, counted, generator, numbers

__all__ = ["MURTHY", "Cell", "line_of_unity", "means_over_items", "over_people"]

MURTHY = "Murthy, Ullman & Hu, arXiv 2411.04427"
PAIRS = ("all", "source")


@checked("lab_1 lab_2")
def line_of_unity(
    lab_1: npt.ArrayLike,
    lab_2: npt.ArrayLike,
    *,
    words: Sequence[str] | None = None,
    pairs: str = "all",
    permutations: int = 200,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> ByItem:
    """Distance of each word, and of their mean, to the line where people are no individuals.

    With L1_i and L2_i the colours that person i gives to a word in two blocks: internal = mean_i
    |L1_i - L2_i|, population = mean over pairs of |L1_i - L2_j|, signed = (population - internal)
    / sqrt(2), positive where people agree with themselves more than with others; absolute = its
    absolute value. All in ΔE.

    Parameters
    ----------
    lab_1, lab_2 : (people, words, 3) CIELAB, NaN where a person did not see a word. Who saw a word
        in one block only is left out there, and counted.
    words : W names; numbers by default.
    pairs : "all" takes i != j; "source" takes i < j, as the source does, which depends on the
        order of the people.
    permutations : shuffles of block 2 across the people of a word, after which nobody is an
        individual: the null.

    Returns
    -------
    `ByItem`. Its frame has a row per word: internal, population, signed (also as estimate, with
    an interval over people: delete-one-person jackknife, t), absolute, null (mean absolute
    distance when shuffled), p (share of shuffles with a signed distance at least as large,
    one-sided), people. `overall` has the means over words: absolute, signed, null_absolute,
    internal, population, correlation (of internal and population over words), share_negative
    (words on the wrong side of the line). Its low and high are over words as a sample of words,
    for these people (t; Fisher's z for the correlation, Wilson's for the share); low_people and
    high_people over people, for these words (jackknife, t). The latter are NaN for absolute,
    correlation and share_negative, which people's noise shifts: of other people they would not
    be right on average. The null's low and high are the quantiles of the shuffles.

    Undefined: a word that fewer than 2 people saw twice is NaN, and has no interval for 2. Raises
    ValueError for other shapes, fewer than 2 words with numbers, an unknown `pairs`, infinite
    values, and fewer than 2 permutations. Source: arXiv 2411.04427; null and intervals: our
    formulation.
    """
    one, two = _blocks(lab_1, lab_2)
    names = list(range(one.shape[1])) if words is None else list(words)
    if len(names) != one.shape[1]:
        raise ValueError(f"{len(names)} words for {one.shape[1]} columns; legal is one each")
    if pairs not in PAIRS:
        raise ValueError(f"no pairs {pairs!r}; legal are {', '.join(PAIRS)}")
    if permutations < 2:
        raise ValueError(f"permutations is {permutations}; it must be 2 or more")
    stream = generator(rng)
    people = len(one)
    cells = [_word(one[:, w], two[:, w], pairs, permutations, stream) for w in range(len(names))]
    frame = pd.DataFrame([_row(cell, alpha) for cell in cells], index=pd.Index(names))
    half = int((np.isnan(one).any(-1) ^ np.isnan(two).any(-1)).sum())
    notes = counted(half, people * len(names), "answers left out: the other block has none")
    undefined = int(frame["estimate"].isna().sum())
    notes += counted(undefined, len(names), "words undefined: fewer than 2 people answered twice")
    if len(names) - undefined < 2:
        raise ValueError("fewer than 2 words were answered twice by 2 people or more")
    method = f"Line of unity, pairs {'i < j' if pairs == 'source' else 'i != j'}"
    table = means_over_items(frame, alpha)
    shuffled = np.abs(np.stack([c.null for c in cells if c.people > 1])).mean(0)
    table.loc["null_absolute"] = [shuffled.mean(), *percentiles(shuffled, alpha)]
    table = table.join(over_people(cells, alpha))
    over = "words (low, high), people (low_people, high_people)"
    overall = Result(f"{method}: means over words", table, people, alpha, MURTHY, notes, over=over)
    return ByItem(method, frame, people, alpha, MURTHY, notes, over="people", overall=overall)


@dataclass(frozen=True)
class Cell:
    """One word: who saw it twice; all (2,) internal and population; without (people, 2), the same
    without each person (as all, where he did not see it); null (P,) signed."""

    who: frozenset[int]
    all: FloatArray
    without: FloatArray
    null: FloatArray

    @property
    def people(self) -> int:
        return len(self.who)


def _blocks(lab_1: npt.ArrayLike, lab_2: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    shape = "(people, words, 3)"
    one, two = (
        numbers(x, n, shape, dims=(3,), infinite=True)
        for n, x in (("lab_1", lab_1), ("lab_2", lab_2))
    )
    if one.shape[-1] != 3 or one.shape != two.shape:
        raise ValueError(f"blocks have shapes {one.shape} and {two.shape}; "
                         "legal is (people, words, 3) for both")  # fmt: skip
    for name, block in (("lab_1", one), ("lab_2", two)):
        bad = np.argwhere(np.abs(block) > LARGEST)
        if len(bad):
            at = bad[0].tolist()
            raise ValueError(f"{name}: person {at[0]}, word {at[1]} is infinite; legal are finite "
                             "numbers (NaN where not seen)")  # fmt: skip
    return one, two


def _word(
    one: FloatArray, two: FloatArray, pairs: str, permutations: int, stream: np.random.Generator
) -> Cell:
    seen = ~np.isnan(one + two).any(-1)
    n, who = int(seen.sum()), frozenset(np.flatnonzero(seen).tolist())
    if n < 2:
        none = np.full((len(one), 2), np.nan)
        return Cell(who, none[0], none, np.full(permutations, np.nan))
    d = delta_e(one[seen][:, None], two[seen][None])
    others = np.triu(np.ones((n, n)), 1) if pairs == "source" else 1 - np.eye(n)
    own, far = d.diagonal(), d * others
    every = np.array([own.mean(), far.sum() / others.sum()])
    without = np.tile(every, (len(one), 1))
    left = far.sum() - far.sum(0) - far.sum(1), others.sum() - others.sum(0) - others.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):  # of 2 people no pair is left
        without[seen] = np.stack([(own.sum() - own) / (n - 1), left[0] / left[1]], axis=1)
    mixed = stream.permuted(np.tile(np.arange(n), (permutations, 1)), axis=1)
    own = d[np.arange(n), mixed]
    if pairs == "source":
        rest = np.einsum("ipj,ij->p", d[:, mixed], others) / others.sum()
    else:
        rest = (d.sum() - own.sum(1)) / others.sum()
    null = (rest - own.mean(1)) / np.sqrt(2)
    return Cell(who, every, without, null)


def _signed(both: FloatArray) -> FloatArray:
    return np.asarray((both[..., 1] - both[..., 0]) / np.sqrt(2))


def _over_person(without: FloatArray, people: int, alpha: float) -> list[float]:
    """Jackknife standard error and t interval of a mean that all people make, around 0."""
    moves = without[~np.isnan(without)]
    if len(moves) < len(without) or people < 3:
        return [np.nan] * 3
    error = np.sqrt((people - 1) / people * (moves**2).sum())
    row = t_frame(["x"], 0.0, error, people - 1, alpha).iloc[0]
    return [float(error), float(row["low"]), float(row["high"])]


def _row(cell: Cell, alpha: float) -> dict[str, Any]:
    signed = float(_signed(cell.all))
    error, below, above = _over_person(_signed(cell.without) - signed, cell.people, alpha)
    beyond = (1 + (cell.null >= signed - 1e-9).sum()) / (1 + len(cell.null))
    return {
        "estimate": signed, "std_error": error, "low": signed + below, "high": signed + above,
        "internal": cell.all[0], "population": cell.all[1], "signed": signed,
        "absolute": abs(signed), "null": np.abs(cell.null).mean(),
        "p": np.nan if np.isnan(signed) else beyond, "people": cell.people,
    }  # fmt: skip


def means_over_items(frame: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """The means over words, with intervals over words, from the words' frame."""
    there = frame["estimate"].notna().to_numpy()
    words = frame[there]
    w = len(words)
    means = [words[name].to_numpy() for name in ("absolute", "signed", "internal", "population")]
    table = t_frame(
        ["absolute", "signed", "internal", "population"],
        [m.mean() for m in means], [m.std(ddof=1) / np.sqrt(w) for m in means], w - 1, alpha,
    )[["estimate", "std_error", "low", "high"]]  # fmt: skip
    table.loc["correlation"] = _correlation(words["internal"], words["population"], alpha)
    table.loc["share_negative"] = _share(words["signed"].to_numpy() < 0, alpha)
    return table


def over_people(cells: list[Cell], alpha: float) -> pd.DataFrame:
    """Columns low_people and high_people of the means over items."""
    used = [cell for cell in cells if cell.people > 1]
    every = np.stack([cell.all for cell in used]).mean(0)
    moves = np.stack([cell.without for cell in used])  # (words, people, 2)
    gone = np.isnan(moves)  # a word of 2 people is no word without one of them
    moves = np.where(gone, 0, moves).sum(0) / np.maximum((~gone).sum(0), 1) - every
    people = len({i for cell in cells for i in cell.who})
    rows = {}
    for name, value, move in (
        ("internal", every[0], moves[:, 0]), ("population", every[1], moves[:, 1]),
        ("signed", float(_signed(every)), _signed(moves)),
    ):  # fmt: skip
        _, below, above = _over_person(move, people, alpha)
        rows[name] = [value + below, value + above]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["low_people", "high_people"])


def _correlation(x: pd.Series, y: pd.Series, alpha: float) -> list[float]:
    """Pearson's r with Fisher's (1915) interval; NaN where one does not vary."""
    n = len(x)
    if n < 4 or x.std() == 0 or y.std() == 0:
        return [np.nan] * 4
    r = float(np.corrcoef(x, y)[0, 1])
    z, error = np.arctanh(min(max(r, -1 + 1e-15), 1 - 1e-15)), 1 / np.sqrt(n - 3)
    half = t_frame(["z"], z, error, np.inf, alpha)[["low", "high"]].to_numpy()[0]
    return [r, (1 - r**2) * error, *np.tanh(half)]


def _share(hits: npt.NDArray[np.bool_], alpha: float) -> list[float]:
    row = mean_choice(hits.astype(float), alpha=alpha).frame.iloc[0]
    return [float(row[name]) for name in ("estimate", "std_error", "low", "high")]
