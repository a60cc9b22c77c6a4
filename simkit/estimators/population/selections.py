"""Answers to "check all that apply": shares of options, how many are checked, which go together.

A row is a person's answer: 0 or 1 for each option, or P(checked) where options were asked apart,
which are then independent given the person. Where they were asked jointly, a person has a row per
set, with the probability of the set as weight and the person as cluster. All quantities are means
of functions of a row, or of such means, so one computation serves the three.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.clustering import Mean, few_note, share_interval
from simkit.estimators.shared.respondents import (
    Moved,
    effective_clusters,
    left_out,
    left_out_of,
)
from simkit.estimators.shared.strata import WITHIN, Strata, strata_of
from simkit.result import Result
from simkit.types import (
    FloatArray,
    IntArray,
    column,
    counted,
    invalid,
    invalid_row,
    labels,
    typed,
    usable_rows,
)

__all__ = ["compare_selections", "selection_shares"]

NEWCOMBE = "Newcombe 1998 (differences of shares, from their intervals); the rest: our formulation"
APART = "numbers between 0 and 1 are taken as P(checked), independent of each other within a row"
SLACK = 1e-6  # how far P(none) may be from the product that it must be


@checked("answers weights cluster strata", frames="answers")
def selection_shares(
    answers: pd.DataFrame,
    *,
    none: str | None = None,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    strata: Any = None,
    alpha: float = 0.05,
) -> Result:
    """What people check of a list of options: shares, how many, and which together.

    Parameters
    ----------
    answers : DataFrame
        (n, K), a column per option: 1 checked, 0 not checked, NaN not asked. Or P(checked) of
        people who were asked each option apart. Or, asked jointly, a row of 0 and 1 for each
        person and set (see :class:`simkit.personas.Selections`): then `weights` are the sets'
        probabilities, and `cluster` the persons.
    none : str, optional
        The column of the option that excludes all others. It follows from them (1 where all are
        0; the product of 1 - P(checked)), so it may be missing, and a row that contradicts it is
        refused.
    weights : array_like, optional
        (n,) from 0.
    cluster : array_like, optional
        (n,) what is drawn independently; None is the row.
    strata : array_like, optional
        (n,) of the clusters, as in :func:`marginal_fit`: all is then within them.
    alpha : float
        1 - confidence of the intervals.

    Returns
    -------
    Result
        Rows, by `kind`:

        - "share": of each option.
        - "number": "number checked", the mean, without the exclusive option.
        - "exactly": "exactly 0 checked", …, the distribution of the number.
        - "both": "a & b", the share who check both, for all pairs.
        - "phi": "phi, a & b", the correlation of two options over people; NaN where one does not
          vary.

        Columns estimate, std_error, low, high, n (rows used), clusters. Each row uses the answers
        that have all options it is about. NaN where undefined: one cluster (interval), no answers.

    Raises
    ------
    ValueError
        For numbers outside [0, 1], fewer than two options, and a row whose exclusive option is
        checked with others, or in which nothing is checked though that option is there.

    Notes
    -----
    std_error is the delete-one-cluster jackknife's (CV3). Intervals of shares are those of
    `simkit.estimators.shared.clustering.share_interval`, all others t intervals on the effective
    number of clusters - 1. By simulation (50 and 200 people, 40 households of 3) they cover in
    0.94 to 0.97 of cases, those of shares near 0 in 0.97 to 0.98: few people check such an option,
    and no interval that is a function of the counts has the same coverage at every share.

    Examples
    --------
    >>> answers = pd.DataFrame({"car": [1, 1, 0, 0, 1, 0], "bicycle": [1, 0, 1, 0, 1, 0]})
    >>> found = selection_shares(answers)
    >>> found.frame["estimate"].round(2).to_dict()  # doctest: +NORMALIZE_WHITESPACE
    {'car': 0.5, 'bicycle': 0.5, 'number checked': 1.0, 'exactly 0 checked': 0.33,
     'exactly 1 checked': 0.33, 'exactly 2 checked': 0.33, 'car & bicycle': 0.33,
     'phi, car & bicycle': 0.33}
    """
    side = _side(answers, none, weights, cluster, "answers", strata)
    rows, worth = {}, []
    for one in side.quantities():
        error = one.error
        ends = one.share_ends(alpha) if one.is_share else one.t_ends(alpha)
        rows[one.name] = {
            "kind": one.kind, "estimate": one.value, "std_error": error, "low": ends[0],
            "high": ends[1], "n": one.n, "clusters": one.clusters,
        }  # fmt: skip
        worth.append(one.worth)
    frame = pd.DataFrame.from_dict(rows, orient="index")
    notes = side.notes + few_note(np.array(worth))
    what = f"Selections of {len(side.options)} options"
    return Result(what, frame, len(side.p), alpha, "our formulation", notes, side.over)


@checked(
    "humans weights cluster strata",
    "simulated simulated_weights simulated_cluster",
    frames="humans simulated",
    same_people=lambda value, name: typed(value, name, bool, "True or False"),
)
def compare_selections(
    humans: pd.DataFrame,
    simulated: pd.DataFrame,
    *,
    none: str | None = None,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    strata: Any = None,
    simulated_weights: npt.ArrayLike | None = None,
    simulated_cluster: Any = None,
    same_people: bool = False,
    alpha: float = 0.05,
) -> Result:
    """Simulated less human: shares of options, how many are checked, which are checked together.

    Parameters
    ----------
    humans, simulated : DataFrame
        (n, K) and (m, K), the same options, in any order; see :func:`selection_shares`.
    none : str, optional
        The option that excludes the others; a side that lacks its column gets it.
    weights, cluster, simulated_weights, simulated_cluster : array_like, optional
        (n,) and (m,), as in :func:`selection_shares`.
    strata : array_like, optional
        (n,) of the humans' clusters, and of both sides' where they are the same people.
    same_people : bool
        Whether the clusters of both sides are the same people (or households), told by their
        labels; without clusters, by the labels of the rows. False: two independent samples.
    alpha : float
        1 - confidence of the intervals.

    Returns
    -------
    Result
        Rows as in :func:`selection_shares`. Columns kind, estimate (simulated - humans),
        std_error, low, high, human, simulated (their values), n_human and n_simulated (rows used).
        NaN where one side is undefined.

    Raises
    ------
    ValueError
        As :func:`selection_shares`; for options of one side only, and, with `same_people`, for a
        cluster of one side only.

    Notes
    -----
    std_error is the delete-one-cluster jackknife's (CV3). The interval of a difference of shares
    is made from those of both shares (Newcombe 1998), with the correlation of the two estimates
    where the people are the same; of the others it is t, with Satterthwaite's degrees of freedom.
    By simulation (50 and 200 people) they cover in 0.93 to 0.97 of cases, in up to 0.98 near 0.
    Whether options hang together as among people, over all pairs at once and with a floor, is for
    :func:`compare_structure`, of drawn answers.

    References
    ----------
    Newcombe (1998), Statistics in Medicine 17, 873-890 and 2635-2650; the rest is ours.

    Examples
    --------
    The model checks the options with the right shares, and apart: nothing goes together.

    >>> humans = pd.DataFrame({"car": [1, 1, 0, 0] * 25, "bicycle": [1, 1, 0, 0] * 25})
    >>> model = pd.DataFrame({"car": [0.5] * 100, "bicycle": [0.4, 0.6] * 50})
    >>> found = compare_selections(humans, model).frame.loc[["car", "car & bicycle"]]
    >>> found[["human", "simulated", "estimate"]].round(2)
                   human  simulated  estimate
    car              0.5       0.50      0.00
    car & bicycle    0.5       0.25     -0.25
    """
    theirs = [str(c) for c in simulated if c != none]
    h = _side(humans, none, weights, cluster, "humans", strata)
    if set(theirs) != set(h.options):
        odd = sorted(set(theirs) ^ set(h.options))
        raise ValueError(f"option {odd[0]!r} is on one side only; both must have it")
    order = [*h.options, *([none] if none in simulated else [])]
    s = _side(simulated[order], none, simulated_weights, simulated_cluster, "simulated")
    if same_people:
        _joined(h, s)
    rows, worth = {}, []
    for a, b in zip(h.quantities(), s.quantities(), strict=True):
        correlation, moves = 0.0, [b.moves, -a.moves]
        if same_people:
            moves = [b.moves - a.moves]
            size = np.sqrt((a.moves @ a.moves) * (b.moves @ b.moves))
            correlation = float(a.moves @ b.moves / size) if size > 0 else 0.0
        units = [(a.worth + b.worth) / 2] if same_people else [b.worth, a.worth]
        error, *ends = Moved(b.value - a.value, moves, 0.0).interval(units, alpha)[1:]
        if a.is_share:
            ends = _newcombe(a, b, correlation, alpha)
        rows[a.name] = {
            "kind": a.kind, "estimate": b.value - a.value, "std_error": error, "low": ends[0],
            "high": ends[1], "human": a.value, "simulated": b.value, "n_human": a.n,
            "n_simulated": b.n,
        }  # fmt: skip
        worth += units
    frame = pd.DataFrame.from_dict(rows, orient="index")
    notes = tuple(f"humans: {note}" for note in h.notes)
    notes += tuple(f"simulated: {note}" for note in s.notes) + few_note(np.array(worth))
    over = h.over if same_people else f"{h.over} and {s.over}"
    what = f"Selections of {len(h.options)} options, simulated less human"
    return Result(what, frame, len(h.p), alpha, NEWCOMBE, notes, over)


@dataclass(frozen=True)
class _Quantity:
    """One number, and what it moves by without each cluster.

    Attributes
    ----------
    y, w, code : (m,) of the rows used: the values whose mean it is, weights, clusters 0, 1, ...
    moves : (G,) of all clusters of the side, as of `Moved`.
    """

    name: str
    kind: str
    value: float
    y: FloatArray
    w: FloatArray
    code: IntArray
    moves: FloatArray
    worth: float
    within: bool = False  # strata

    @property
    def n(self) -> int:
        return len(self.y)

    @property
    def clusters(self) -> int:
        return int(self.code.max(initial=-1)) + 1

    @property
    def is_share(self) -> bool:
        return self.kind in ("share", "exactly", "both")

    @property
    def error(self) -> float:
        """NaN for one cluster, and where all that the mean is of is the same by chance (phi)."""
        return float(np.sqrt(self.moves @ self.moves)) if self.worth > 1 + 1e-9 else np.nan

    def t_ends(self, alpha: float) -> list[float]:
        return list(Moved(self.value, [self.moves], 0.0).interval([self.worth], alpha)[2:])

    def share_ends(self, alpha: float) -> list[float]:
        """The ends for a share; those of beliefs that are all equal are the share itself."""
        if not self.n or np.isnan(self.error):
            return [np.nan, np.nan]
        if np.ptp(self.y) <= 1e-12 and 1e-12 < self.value < 1 - 1e-12:
            return [self.value, self.value]
        df = max(self.worth - 1, 1.0)
        mean = Mean(self.value, self.error, df, self.worth, self.clusters)
        codes = [] if self.within else [self.code]  # clusters differ by their strata too
        return list(share_interval(self.y, self.w, codes, mean, alpha))


@dataclass
class _Side:
    """The usable rows of one side: p (m, K) of the options beside the exclusive one.

    label : (m,) of each row's cluster. people : (n,) the same of all rows of the call.
    """

    options: list[str]
    none: str | None
    p: FloatArray
    w: FloatArray
    code: IntArray
    label: pd.Series
    people: pd.Series
    notes: tuple[str, ...]
    over: str
    strata: Strata | None = None

    def quantities(self) -> Iterator[_Quantity]:
        """Shares, number, its distribution, pairs, in an order that is that of both sides."""
        for option, y in zip(self.options, self.p.T, strict=True):
            yield self._quantity(option, "share", y)
        if self.none is not None:
            yield self._quantity(self.none, "share", (1 - self.p).prod(axis=1))
        yield self._quantity("number checked", "number", self.p.sum(axis=1))
        for number, y in enumerate(_number_of(self.p).T):
            yield self._quantity(f"exactly {number} checked", "exactly", y)
        pairs = list(combinations(range(len(self.options)), 2))
        for kind, prefix in (("both", ""), ("phi", "phi, ")):
            for i, j in pairs:
                name = f"{prefix}{self.options[i]} & {self.options[j]}"
                yield self._quantity(name, kind, self.p[:, i] * self.p[:, j], i, j)

    def _quantity(self, name: str, kind: str, y: FloatArray, *pair: int) -> _Quantity:
        parts = np.column_stack([y, *(self.p[:, list(pair)].T if kind == "phi" else ())])
        used = ~np.isnan(parts).any(axis=1)
        parts, w = parts[used], self.w[used]
        present, code = np.unique(self.code[used], return_inverse=True)
        moves = np.zeros(int(self.code.max()) + 1)
        if not len(parts):
            return _Quantity(name, kind, np.nan, parts[:, 0], w, code, moves * np.nan, np.nan)
        one, plan = np.zeros(len(w), dtype=np.int64), self.strata
        of = code if plan is None else self.code[used]
        sums = left_out(of, one, np.column_stack([w, w[:, None] * parts]), 1, plan)[0]
        with np.errstate(invalid="ignore", divide="ignore"):
            means = sums[:, 1:] / sums[:, :1]
            values = _phi(means) if kind == "phi" else means[:, 0]
        moved = left_out_of(values, strata=[plan])
        if plan is None:
            moves[present] = moved.moves[0]
        else:
            moves = moved.moves[0]
        worth = effective_clusters(of, w, plan)
        within = plan is not None
        return _Quantity(name, kind, moved.at, parts[:, 0], w, code, moves, worth, within)


def _side(
    frame: pd.DataFrame,
    none: str | None,
    weights: Any,
    cluster: Any,
    name: str,
    strata: Any = None,
) -> _Side:
    typed(none, "none", str | None, "the name of a column")
    options = [c for c in frame if c != none]
    if len(options) < 2:
        raise ValueError(f"{name} has the options {options}; there must be two or more")
    for option in options:
        if not isinstance(option, str):
            raise invalid(f"a column of {name}", option, "text, the name of an option")
    x = {c: column(frame[c], f"{name}[{c}]", low=0, high=1, missing=True) for c in frame}
    p = np.column_stack([x[c] for c in options])
    if none is not None and none in x:
        _check_none(frame.index, p, x[none], none, name)
    used = usable_rows(np.where(np.isnan(p).all(axis=1), np.nan, 0.0), weights, cluster)
    k = used.kept
    people = pd.Series(frame.index) if cluster is None else _labels(cluster, len(frame))
    plan = strata_of(strata, cluster, used, len(frame))
    notes = used.notes + (() if plan is None else plan.notes)
    missing = int(np.isnan(p[k]).any(axis=1).sum())
    notes += counted(missing, len(k), "rows miss an option; they count where it is not needed")
    notes += (APART,) if ((p[k] > 0) & (p[k] < 1)).any() else ()
    over = ("people" if cluster is None else used.over) + ("" if plan is None else WITHIN)
    return _Side(options, none, p[k], used.weight[k], used.cluster[k], people.iloc[k], people,
                 notes, over, plan)  # fmt: skip


def _labels(cluster: Any, n: int) -> pd.Series:
    code, keys = labels(cluster, "cluster", n)
    return keys.iloc[code, 0].reset_index(drop=True)


def _check_none(index: pd.Index, p: FloatArray, y: FloatArray, none: str, name: str) -> None:
    """ValueError for a row whose exclusive option is not what the others leave."""
    left, most = (1 - p).prod(axis=1), 1 - np.where(np.isnan(p), 0, p).max(axis=1)
    off = np.where(np.isnan(left), y > most + SLACK, np.abs(y - left) > SLACK)
    left = np.where(np.isnan(left), most, left)  # at most, where an option is not known
    for row in np.flatnonzero(off)[:1]:
        if {y[row], left[row]} <= {0.0, 1.0} and y[row] < left[row]:
            raise ValueError(
                f"{name}: row {index[row]!r} has nothing checked, nor {none!r}; if that is no "
                "answer, its options must be NaN"
            )
        raise invalid_row(
            f"{name}[{none}]", index[row], float(y[row]),
            f"{left[row]:.6g}, what its other options leave: it excludes them; mend the row, or "
            "leave out the column, which follows from the others",
        )  # fmt: skip


def _joined(h: _Side, s: _Side) -> None:
    """Gives clusters of both sides the same codes, and keeps those with answers on both.

    ValueError for one that only one side has.
    """
    ours, theirs = set(h.people), set(s.people)
    for label in [x for x in [*h.people, *s.people] if x not in ours & theirs][:1]:
        where = "humans" if label in ours else "simulated"
        raise ValueError(
            f"same_people: {label!r} is among the {where} only; both sides must have the same "
            "people, or give same_people=False"
        )
    both = [label for label in dict.fromkeys(h.label) if label in set(s.label)]
    if not both:
        raise ValueError("same_people: nobody has answers on both sides")
    code = {label: g for g, label in enumerate(both)}
    if h.strata is not None:  # people left out are of the plan, and absent
        home = pd.Series(h.strata.of[h.code], index=pd.Index(h.label)).groupby(level=0).first()
        h.strata = s.strata = replace(h.strata, of=home.loc[both].to_numpy(dtype=np.int64))
    for side in (h, s):
        kept = side.label.isin(code).to_numpy()
        dropped = len(set(side.label)) - len(code)
        side.notes += counted(dropped, len(ours), "left out: no answer on the other side")
        side.p, side.w, side.label = side.p[kept], side.w[kept], side.label[kept]
        side.code = side.label.map(code).to_numpy(dtype=np.int64)


def _number_of(p: FloatArray) -> FloatArray:
    """P(exactly 0, 1, …, K checked) (m, K + 1) of independent options: Poisson's binomial."""
    out = np.ones((len(p), 1))
    for y in p.T[:, :, None]:
        nothing = np.zeros((len(p), 1))
        out = np.hstack([out * (1 - y), nothing]) + np.hstack([nothing, out * y])
    return out


def _phi(means: FloatArray) -> FloatArray:
    """Correlation from the means (B, 3) of both, the first and the second; NaN for a constant."""
    both, a, b = means.T
    spread = a * (1 - a) * b * (1 - b)
    return np.asarray((both - a * b) / np.sqrt(np.where(spread > 1e-15, spread, np.nan)))


def _newcombe(a: _Quantity, b: _Quantity, correlation: float, alpha: float) -> list[float]:
    """Ends for b - a from the intervals of both (Newcombe 1998)."""
    (low_a, high_a), (low_b, high_b) = a.share_ends(alpha), b.share_ends(alpha)

    def away(x: float, y: float) -> float:
        return float(np.sqrt(max(x * x + y * y - 2 * correlation * x * y, 0.0)))

    difference = b.value - a.value
    if np.isnan([low_a, low_b]).any():
        return [np.nan, np.nan]
    low = difference - away(b.value - low_b, high_a - a.value)
    return [low, difference + away(high_b - b.value, a.value - low_a)]
