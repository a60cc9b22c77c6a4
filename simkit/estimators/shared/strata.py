"""Strata of a sampling plan: what varies is which clusters were drawn from each of them.

The variance is that of the delete-one-cluster jackknife by stratum (JKn): cluster i of the n
clusters of a stratum is left out, the others of its stratum weigh n / (n - 1) times as much, and
the squared changes of a statistic count (n - 1) / n times. All clusters of the call belong to the
plan, also those without a row that is used: people outside a subgroup, without an answer or of
weight 0. A subgroup is a part of the sample whose size in each stratum is chance, no sample of its
own. A stratum with one cluster shows no variation: statistics that use it have no interval.

Degrees of freedom are at most clusters - strata, clusters being counted by their share of the
weight (1 / sum of squared shares) in the subgroup. They are fewer where strata differ:
Satterthwaite's, were all clusters equally variable.

Sources: Rust & Rao 1996, Statistical Methods in Medical Research 5 (JKn, degrees of freedom);
Rao, Wu & Yue 1992, Survey Methodology 18 (bootstrap of n - 1 clusters); Wolter 2007, Introduction
to Variance Estimation, 2nd edition, 4.5; Kish 1965 (design effect).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from simkit.estimators.shared.rows import distinct, optional_labels, sums_by, texts
from simkit.types import FloatArray, IntArray, Rows

__all__ = ["WITHIN", "Strata", "kish", "strata_of", "weight_note"]

WITHIN = ", within these strata"


@dataclass(frozen=True)
class Strata:
    """The strata of G clusters that have a row in use.

    Attributes
    ----------
    of : (G,) the stratum of each cluster.
    size : (H,) the clusters of each stratum, also those without a row in use.
    names : the H strata.
    """

    of: IntArray
    size: IntArray
    names: list[str]

    @cached_property
    def absent(self) -> IntArray:
        """(H,) the clusters without a row in use."""
        return np.asarray(self.size - np.bincount(self.of, minlength=len(self.size)))

    @cached_property
    def scale(self) -> FloatArray:
        """(G + H,) how much the squared change of each replicate of `without` counts."""
        one = 1 - 1 / self.size
        return np.concatenate([one[self.of], one * self.absent])

    def without(self, sums: FloatArray) -> FloatArray:
        """Sums (1 + G + H, M) of those of the clusters (G, M): of all, then without each.

        The last H are without an absent cluster of each stratum. NaN where a stratum with one
        cluster is in the sums.
        """
        total, part = sums.sum(axis=0), sums_by(sums, self.of, len(self.size))
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = (self.size / (self.size - 1.0))[:, None]
            one = total - part[self.of] + factor[self.of] * (part[self.of] - sums)
            none = total + (factor - 1) * part
        lonely = (self.size < 2)[:, None]
        one = np.where(lonely[self.of], np.where(part[self.of] == 0, total, np.nan), one)
        none = np.where(lonely, total, none)
        return np.concatenate([total[None], one, none])

    def effective(self, weight: FloatArray) -> float:
        """Degrees of freedom + 1 of clusters that weigh so much (G,), 0 outside a subgroup.

        NaN where one of a stratum with one cluster weighs anything.
        """
        total = np.bincount(self.of, weight, minlength=len(self.size))
        square = np.bincount(self.of, weight**2, minlength=len(self.size))
        used = total > 0
        if not used.any() or (self.size[used] < 2).any():
            return np.nan
        worth, variance = total[used] ** 2 / square[used], square[used]
        alike = variance.sum() ** 2 / (variance**2 / np.maximum(worth - 1, 1)).sum()
        return float(1 + min(alike, (worth - 1).sum()))

    def resamples(self, n_boot: int, stream: np.random.Generator) -> FloatArray:
        """Weights (n_boot, G) of the clusters in resamples: n - 1 of the n of each stratum."""
        out = np.ones((n_boot, len(self.of)))
        for h in np.flatnonzero(self.size > 1):
            n, mine = int(self.size[h]), np.flatnonzero(self.of == h)
            chance = np.append(np.full(len(mine), 1 / n), self.absent[h] / n)
            drawn = stream.multinomial(n - 1, chance / chance.sum(), n_boot)[:, :-1]
            out[:, mine] = drawn * (n / (n - 1))
        return out

    def merged(self, code: IntArray) -> Strata:
        """With clusters of one code (G,), 0, 1, ..., in one stratum, as one."""
        of = np.zeros(int(code.max()) + 1, dtype=np.int64)
        of[code] = self.of
        size = self.absent + np.bincount(of, minlength=len(self.size))
        return replace(self, of=of, size=size)

    @property
    def notes(self) -> tuple[str, ...]:
        """The strata with one cluster, if that has rows in use."""
        lonely = np.flatnonzero((self.size < 2) & (self.absent < 1))
        if not len(lonely):
            return ()
        name = self.names[lonely[0]]
        return (f"{len(lonely)} of {len(self.size)} strata have one cluster (the first is "
                f"{name!r}): no interval of what they are part of; join each with a stratum that "
                "is like it",)  # fmt: skip


def strata_of(strata: Any, cluster: Any, rows: Rows, n: int) -> Strata | None:
    """The strata (n,) of the clusters (n,) of a call whose `rows` are in use; None without.

    Raises ValueError for a cluster in two strata, naming all three.
    """
    if strata is None:
        return None
    stratum, names = optional_labels(strata, "strata", n)
    code, labels = np.arange(n), None
    if cluster is not None:
        code, labels = optional_labels(cluster, "cluster", n)
    pairs, _ = distinct(code, stratum)
    twice = np.flatnonzero(np.diff(pairs[:, 0]) == 0)
    if len(twice) and labels is not None:
        one, two = (texts(names)[h] for h in pairs[twice[0] + np.arange(2), 1])
        which = texts(labels)[pairs[twice[0], 0]]
        raise ValueError(
            f"cluster: one lies in several strata, {which!r} in {one!r} and {two!r}; it must lie "
            "in one. Where numbers of clusters begin anew in each stratum, join stratum and number "
            "to one label"
        )
    of = np.zeros(int(rows.cluster[rows.kept].max()) + 1, dtype=np.int64)
    of[rows.cluster[rows.kept]] = stratum[rows.kept]
    return Strata(of, np.bincount(pairs[:, 1], minlength=len(names)), texts(names))


def kish(weight: FloatArray) -> float:
    """How many people of equal weight people of such weights are worth: (sum w)^2 / sum w^2."""
    w = weight / weight.max(initial=0) if len(weight) else weight
    return float(w.sum() ** 2 / (w**2).sum()) if len(w) else np.nan


def weight_note(weight: npt.NDArray[Any], where: str = "") -> tuple[str, ...]:
    """How many equal rows rows of unequal weights (m,) are worth; none where all are equal."""
    n, worth = len(weight), kish(weight)
    if not worth < n * (1 - 1e-9):
        return ()
    return (f"{where}{n} rows, worth {worth:.4g} of equal weight (Kish)",)
