"""How many choices one belief is worth: efficiency factor, RMSE against runs, runs needed.

Choice and belief have the same mean, so what counts is their variance between runs. By the law of
total variance Var(choice) = E[b (1 - b)] + Var(b): the factor Var(choice) / Var(belief) is
p (1 - p) / Var(b), at least 1, and 1 where the thought settles the choice (beliefs 0 or 1).

Several options and conditions are pooled by the ratio of summed variances: the variance of each
option's share in each condition, summed over options and averaged over conditions, equally
weighted. Summed squared error is what n runs per condition leave in the whole table of shares, so
this ratio, and no average of ratios, is the factor by which its number of runs can be cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse, special

from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.copies import believed, merge_copies
from simkit.estimators.shared.means import SUN_ZHANG
from simkit.estimators.shared.rows import (
    Runs,
    group_moments,
    number_texts,
    optional_labels,
    paired_runs,
)
from simkit.result import REQUIRED, Result
from simkit.types import FloatArray, IntArray, Rows, column, counted, several

__all__ = ["efficiency_factor", "runs_needed"]

DUST = 1e-10  # a variance of beliefs this small against that of choices is rounding: zero
ALIKE = 1e-12  # an error of a logarithm this small is rounding: nothing was seen to vary
SMALLEST = 1e-8  # of a target: it takes 1e16 runs, near the last whole number that floats count
BOUNDS = {"theoretical": (1.0, np.inf), "between_share": (0.0, 1.0)}
SAME = "choices do not vary between runs: there are too few to say how much they do"


@checked("choice belief condition cluster tokens extra_tokens", columns="choice belief")
def efficiency_factor(
    choice: Any = "choice",
    belief: Any = "belief",
    *,
    condition: Any = None,
    over: str = "runs",
    cluster: Any = None,
    tokens: npt.ArrayLike | None = None,
    extra_tokens: npt.ArrayLike | None = None,
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """How many runs of choice are worth one run of belief: Var(choice) / Var(belief).

    Parameters
    ----------
    choice, belief : DataFrame or array_like
        (n, K) one-hot choices and beliefs of the same n runs over K options, or (n,) for one
        option. Runs with a missing value are skipped and counted.
    condition : array_like or DataFrame, optional
        (n,) labels; runs of one condition are independent draws of the same prompt. Where personas
        or wordings differ, make them part of the condition: what differs between them is no
        variance between runs. None is one condition.
    over : {"runs", "conditions"}
        What the intervals generalise to: other runs of these conditions, or other conditions of
        this kind, of which these are a sample (3 or more). One says nothing of the other: factors
        differ between conditions, and many runs make the first interval as narrow as one likes.
    cluster : array_like or DataFrame, optional
        (n,) labels of what was drawn as a whole. With "runs": personas or conversations that gave
        several runs each. With "conditions": conditions that belong together (the same persona,
        say); each condition must lie in one cluster.
    tokens, extra_tokens : array_like, optional
        (n,) tokens computed in a run, and on top to read its belief; None is 0, as where it is read
        off the pass that makes the choice.
    alpha : float
        1 - confidence of the intervals.
    data : DataFrame, optional
        As in :func:`mean_belief`.

    Returns
    -------
    Result
        Pooled as the module says (sample variances, ddof 1):

        - measured: from the choices and the beliefs.
        - theoretical: 1 + E[b (1 - b)] / Var(b), from the beliefs alone; the two agree if choices
          are drawn from the beliefs.
        - between_share: 1 / theoretical, the part of a choice's variance that lies between runs
          (settled by the thought), 0 to 1.
        - variance_choice, variance_belief: of one run, summed over options.
        - per_token (with `tokens`): measured, times tokens of a run / (those + `extra_tokens`).

        Beliefs that do not vary make the factor inf, without interval, and between_share 0. Choices
        that do not vary leave the factor NaN: they are too few, for no share is 0 for sure. A
        condition with 2 runs has no interval over runs, nor have conditions that do not differ one
        over conditions. Notes say so.

    Raises
    ------
    ValueError
        For a condition with one run, one that lies in several clusters where it must not, and
        extra_tokens without tokens.

    Notes
    -----
    Intervals are the delete-one jackknife of the logarithm, with t quantiles. "runs" leaves out one
    run (or cluster) of one condition at a time, with degrees of freedom by Welch. "conditions"
    leaves out a whole condition (or cluster), as "runs" does a cluster that lies in several;
    degrees of freedom are their effective number, by their shares of the beliefs' variance, less 1.
    Below a hundred runs, or where choice and belief differ in few of them, no interval is to be
    trusted. Conditions (or clusters of them) with the same runs are copies, and count as one.

    Of the variances over runs: p (1 - p) is flat at 1/2, where the jackknife sees nothing. For two
    options the interval is a score interval, by what a variance of choices says of its own error
    (cautious at the lower end, and near 1/2 with fewer than 40 runs of a condition). For more
    options, beliefs and clusters it is the wider of a score interval and the jackknife's: cautious
    (up to 1) where options are equally often chosen.

    References
    ----------
    Sun & Zhang, arXiv 2512.23184; pooling and interval: our formulation.

    Examples
    --------
    >>> import numpy as np
    >>> from simkit import estimators as est
    >>> rng = np.random.default_rng(0)
    >>> belief = rng.beta(6, 4, 500)
    >>> factor = est.efficiency_factor(rng.binomial(1, belief), belief)
    >>> factor.frame.loc[["measured", "theoretical"], ["estimate", "low", "high"]].round(1)
                 estimate   low  high
    measured         11.1  10.0  12.4
    theoretical      11.0   9.9  12.2
    """
    if not isinstance(over, str) or over not in ("runs", "conditions"):
        raise ValueError(f"over is {over!r:.60}; it must be 'runs' or 'conditions'")
    runs = paired_runs(choice, belief, condition)
    units = _units(runs, cluster, over)
    parts, share, bends = _replicates(runs, _tokens(runs, tokens, extra_tokens), units)
    chosen, believed, within = parts[:, 0], parts[:, 1], parts[:, 2]
    flat, same = bool(believed[0] <= DUST * chosen[0]), chosen[0] == 0
    if flat:
        believed = np.zeros_like(believed)
    with np.errstate(divide="ignore", invalid="ignore"):
        measured = chosen / believed if not same else np.full_like(chosen, np.nan)
        values = {
            "measured": measured,
            "theoretical": (within + believed) / believed,
            "between_share": believed / (within + believed),
            "variance_choice": chosen,
            "variance_belief": believed,
        }
        if tokens is not None:
            values["per_token"] = measured * parts[:, 3] / (parts[:, 3] + parts[:, 4])
    frame, lost = _log_frame(values, units, share, alpha, bends)
    notes = runs.notes + units.notes + lost
    if flat:
        notes += ("beliefs do not vary between runs: one run gives the whole share",)
    if same:
        notes += (SAME,)
    method = f"Efficiency factor of belief, {len(runs.conditions)} conditions"
    source = f"{SUN_ZHANG}; pooling and interval: our formulation"
    return Result(method, frame, len(runs.code), alpha, source, notes, over=units.over)


@checked("choice belief condition", columns="choice belief")
def runs_needed(
    choice: Any = "choice",
    belief: Any = "belief",
    target: npt.ArrayLike = (0.05, 0.02, 0.01),
    *,
    condition: Any = None,
    alpha: float = 0.05,
    data: pd.DataFrame | None = None,
) -> Result:
    """Runs per condition at which the shares have a root mean squared error of `target`.

    n = V / target^2, with V the variance of one run, averaged over options and conditions. The RMSE
    of :func:`rmse_curve`, root of the same average, is sqrt(V / n) for means without bias.

    Parameters
    ----------
    choice, belief, condition
        As in :func:`efficiency_factor`.
    target : float or array_like
        (m,) errors to reach, above 0, as probabilities.
    alpha : float
        1 - confidence of the intervals, over runs of these conditions.
    data : DataFrame, optional
        As in :func:`mean_belief`.

    Returns
    -------
    Result
        Rows "choice, rmse=0.02", "belief, rmse=0.02" and so on; column `runs` is the whole number,
        at least 1. Beliefs that do not vary need one run (estimate 0, interval of width 0).
        Choices that do not vary tell nothing of the runs needed (NaN, with a note).

    Raises
    ------
    ValueError
        For targets that are not above 0 or repeat, and as :func:`efficiency_factor`.

    Examples
    --------
    >>> import numpy as np
    >>> from simkit import estimators as est
    >>> rng = np.random.default_rng(0)
    >>> belief = rng.beta(6, 4, 500)
    >>> need = est.runs_needed(rng.binomial(1, belief), belief, 0.02)
    >>> need.frame["runs"].astype(int).to_dict()
    {'choice, rmse=0.02': 612, 'belief, rmse=0.02': 56}
    """
    aims = column(several(target), "target", low=0)
    if (aims < SMALLEST).any():
        raise ValueError(f"target: {aims.min():g} needs more runs than can be counted; it must be "
                         f"{SMALLEST:g} or more")  # fmt: skip
    if len(np.unique(aims)) < len(aims) or not len(aims):
        raise ValueError(f"targets are {aims.tolist()}; they must be one or more that differ")
    runs = paired_runs(choice, belief, condition)
    units = _units(runs, None, "runs")
    parts, share, bends = _replicates(runs, _tokens(runs, None, None), units)
    parts[:, 1] *= parts[0, 1] > DUST * parts[0, 0]
    notes = runs.notes + units.notes
    if parts[0, 0] == 0:
        parts[:, 0], notes = np.nan, (*notes, SAME)
    values, curves = {}, {}
    for variance, name in zip(parts.T, ("choice", "belief"), strict=False):
        for aim, said in zip(aims, number_texts(aims), strict=True):
            values[f"{name}, rmse={said}"] = variance / len(runs.options) / aim**2
            curves[f"{name}, rmse={said}"] = bends[f"variance_{name}"]
    frame, lost = _log_frame(values, units, share, alpha, curves)
    frame.insert(0, "method", np.repeat(["choice", "belief"], len(aims)))
    frame.insert(1, "rmse", np.tile(aims, 2))
    frame["runs"] = np.maximum(np.ceil(frame["estimate"] - 1e-9), 1)
    method = f"Runs needed per condition, {len(runs.conditions)} conditions"
    return Result(method, frame, len(runs.code), alpha, SUN_ZHANG, notes + lost, over=units.over)


def _tokens(runs: Runs, tokens: Any, extra: Any) -> FloatArray:
    """(n, 2): tokens of each run, and those on top."""
    if tokens is None and extra is not None:
        raise ValueError("extra_tokens are given without tokens; give both, or tokens alone")
    out = np.zeros((len(runs.kept), 2))
    for column_of, (name, values) in zip(
        out.T, (("tokens", tokens), ("extra_tokens", extra)), strict=True
    ):
        if values is not None:
            column_of[:] = column(values, name, low=0, rows=runs.given)[runs.kept]
    return out


@dataclass(frozen=True)
class _Units:
    """What the jackknife leaves out: `code` (n,) of each run's unit, 0, 1, ...

    stratum : (U,) the condition that the unit was drawn in; zeros where units span conditions.
    sampled : whether the units are conditions, or clusters of them.
    """

    code: IntArray
    stratum: IntArray
    spans: bool
    sampled: bool
    over: str
    notes: tuple[str, ...]


def _units(runs: Runs, cluster: Any, over: str) -> _Units:
    sampled = over == "conditions"
    code, name = runs.code if sampled else np.arange(len(runs.code)), over
    if cluster is not None:
        code, keys = optional_labels(cluster, "cluster", runs.given)
        code = np.unique(code[runs.kept], return_inverse=True)[1]
        name = ", ".join(map(str, keys.columns)) if list(keys) != ["cluster"] else "clusters"
    pairs = np.unique(np.column_stack([code, runs.code]), axis=0)
    notes: tuple[str, ...] = ()
    if sampled:
        if len(pairs) > len(runs.conditions):
            split = int(pairs[np.flatnonzero(np.bincount(pairs[:, 1])[pairs[:, 1]] > 1)[0], 1])
            raise ValueError(
                f"cluster: condition {runs.conditions[split]!r} lies in several clusters; with "
                "over='conditions' each must lie in one"
            )
        rows = Rows(np.arange(len(code)), np.ones(len(code)), (code,), (name,), ())
        exact = np.asarray(believed(runs.belief).any(axis=1))
        rows = merge_copies(rows, exact, runs.choice, runs.belief)
        code, notes = rows.cluster, rows.notes
    number = int(code.max()) + 1
    over = name if cluster is None else f"{name} ({number})"
    if over != "conditions":
        over += " and their conditions" if sampled else " of these conditions"
    spans = sampled or len(pairs) > number  # clusters that span conditions: drawn for all
    stratum = np.zeros(number, dtype=np.int64) if spans else pairs[:, 1]
    small, word = int((np.bincount(stratum) < 3).sum()), "runs" if cluster is None else "clusters"
    if spans:
        notes += (f"{number} {name}: no interval",) if small else ()
    else:
        what = f"conditions have 2 {word} or fewer: no interval"
        notes = counted(small, len(runs.conditions), what)
    return _Units(code, stratum, spans, sampled, over, notes)


def _replicates(
    runs: Runs, spent: FloatArray, units: _Units
) -> tuple[FloatArray, FloatArray, dict[str, _Bend]]:
    """(1 + U, 5): Var(choice), Var(belief), E[b (1 - b)], tokens, extra tokens of one run.

    And each unit's share (U,) of the beliefs' variance; and how both variances bend.

    The first row is the data's, the others those without each unit. Sums over options, means over
    conditions. Values are centred within conditions first, so that small variances stay exact. A
    condition that is left out whole is none of the mean; one with a single run left makes NaN.
    """
    values, k = np.column_stack([runs.choice, runs.belief]), len(runs.options)
    size, mean, _ = group_moments(values, runs.code, len(runs.conditions))
    off = values - mean[runs.code]
    squares = (off**2).reshape(-1, 2, k).sum(axis=2)
    inside = (runs.belief * (1 - runs.belief)).sum(axis=1)
    rows = np.column_stack([np.ones(len(off)), off, squares, inside, spent])
    pairs, pair = np.unique(np.column_stack([units.code, runs.code]), axis=0, return_inverse=True)
    unit, condition = pairs.T
    parted, whole = _summed(rows, pair.ravel()), _summed(rows, runs.code)
    every, left = _moments(whole, k), whole[condition] - parted
    gone = left[:, 0] < 0.5
    moved = np.where(gone[:, None], 0, _moments(left, k)) - every[condition]
    count = len(size) - np.bincount(unit, gone)
    with np.errstate(invalid="ignore", divide="ignore"):  # the only condition left out
        without = (every.sum(axis=0) + _summed(moved, unit)) / count[:, None]
    share = np.bincount(unit, parted[:, 2 + 2 * k] / (size[condition] - 1))
    parts = np.concatenate([every.mean(axis=0)[None], without])
    sums = runs.choice.sum(axis=1)  # of two options, all 1 unless some chose neither
    binary = (k == 1 or (k == 2 and bool((sums == 1).all()))) and len(share) == len(sums)
    curve = 4 * float((1 / size).mean()) / len(size) if binary else None
    place = np.repeat(unit, k), (condition[:, None] * k + np.arange(k)).ravel()
    shrunk = np.sqrt(1 - 1 / np.bincount(units.stratum))[units.stratum]
    root = np.sqrt(size * (size - 1) * len(size))[condition, None]
    bends = {}
    for j, name in enumerate(("variance_choice", "variance_belief")):
        means = parted[:, 1 + j * k : 1 + (j + 1) * k] / root
        linear = sparse.csr_array((means.ravel(), place), shape=(len(share), k * len(size)))
        moves = shrunk * (parts[0, j] - without[:, j])
        bends[name] = _bend(float(parts[0, j]), moves, linear, None if j else curve)
    return parts, share / max(share.sum(), 1e-300), bends


@dataclass(frozen=True)
class _Bend:
    """How the variance of an estimated variance V depends on the true one, v = (1 + x) V.

    It is V^2 (first + second + slope x - curve x^2). second : what is left where V is flat, at
    shares of 1/2. curve : None where V does not say how well it is known.
    """

    first: float
    second: float
    slope: float
    curve: float | None

    def ends(self, z: float) -> FloatArray:
        """The x (2,) that lie z standard errors, of the variance at x, from 0."""
        half, bend = z**2 * self.slope / 2, 1 + z**2 * (self.curve or 0.0)
        root = np.sqrt(max(half**2 + bend * z**2 * (self.first + self.second), 0))
        least = z * np.sqrt(self.second)
        return np.array([-max((root - half) / bend, least), max((root + half) / bend, least)])


def _bend(v: float, moves: FloatArray, linear: Any, curve: float | None) -> _Bend:
    """From the jackknife's `moves` (U,) of V and what units add to the conditions' means (U, m).

    V is a quadratic form, so its variance is that of its units' influences, and 2 tr(M^2), M the
    covariance of the means. The sum of squared moves exceeds the first by twice the second (Efron
    & Stein 1981). The slope is that along the distributions nearest to the data, tilted by the
    influence; where nothing has influence, along the means. Of choices between two options it is
    that of p (1 - p) (1 - 2p)^2 / n = v (1 - 4v) / n, with curve 4 / n.
    """
    if v <= 0:
        return _Bend(np.nan, np.nan, np.nan, curve)
    gram, tilt, square = linear.T @ linear, linear.T @ moves, moves @ moves
    second, tiny = 2 * float(gram.data @ gram.data), 1e-9 * v
    top = (moves**3).sum() - 4 * (tilt @ tilt + tiny * second / 2)
    slope = float(top / (square + tiny * gram.trace()))
    return _Bend(float(square - 2 * second) / v**2, second / v**2, slope / v, curve)


def _summed(rows: FloatArray, code: IntArray) -> FloatArray:
    sums = [np.bincount(code, column) for column in rows.T]
    return np.asarray(np.stack(sums, axis=1), dtype=np.float64)


def _moments(sums: FloatArray, k: int) -> FloatArray:
    """The five numbers (m, 5) of conditions with these sums of rows; NaN for one run."""
    n = sums[:, :1]
    with np.errstate(invalid="ignore", divide="ignore"):
        drift = (sums[:, 1 : 1 + 2 * k] ** 2).reshape(-1, 2, k).sum(axis=2)
        squares = np.maximum(sums[:, 1 + 2 * k : 3 + 2 * k] - drift / n, 0)
        return np.column_stack([squares / (n - 1), sums[:, 3 + 2 * k :] / n])


def _log_frame(
    values: dict[str, FloatArray],
    units: _Units,
    share: FloatArray,
    alpha: float,
    bends: dict[str, _Bend],
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Rows of estimate x exp(-+ t s), s the jackknife's error of the log; and a note of failures.

    Estimates of 0 are exact (beliefs that do not vary), but for a variance of choices. Variances
    over runs have the interval of their `_Bend`, or the wider of both.
    """
    rows, lost, alike, stratum = [], 0, 0, units.stratum
    size = np.bincount(stratum)
    for name, series in values.items():
        estimate = series[0]
        if estimate == 0 and name != "variance_choice":
            rows.append((0.0, 0.0, 0.0, 0.0))
            continue
        if not 0 < estimate < np.inf or size.min() < 3:
            rows.append((estimate, *[np.nan] * 3))
            continue
        bend = None if units.sampled else bends.get(name)
        bent = 0.0 if bend is None else np.sqrt(max(bend.first, 0) + bend.second)
        if bend is not None and bend.curve is not None:
            ends = estimate * np.maximum(1 + bend.ends(special.ndtri(1 - alpha / 2)), 0)
            rows.append((estimate, estimate * bent, *ends))
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = series[1:] / estimate
            square = np.log(np.where(ratio > DUST, ratio, np.nan)) ** 2
        lost += int(np.isnan(square).any())
        each = np.bincount(stratum, square) * (1 - 1 / size)
        s = float(np.sqrt(each.sum()))
        if units.sampled and s < ALIKE:
            alike += 1
            s = np.nan
        if units.spans and share.any():
            df = 1 / float((share**2).sum()) - 1
        else:  # Welch 1947
            df = each.sum() ** 2 / (each**2 / (size + 1)).sum() - 2 if s > 0 else np.inf
        t = special.stdtrit(max(df, 1.0), 1 - alpha / 2)
        ends = estimate * np.exp(np.array([-t * s, t * s]))
        if bend is not None:
            wider = estimate * (1 + bend.ends(t))
            ends = np.array([min(ends[0], wider[0]), max(ends[1], wider[1])]) + 0 * s
            s = bent + 0 * s
        least, most = BOUNDS.get(name, (0.0, np.inf))
        rows.append((estimate, estimate * s, max(ends[0], least), min(ends[1], most)))
    note: tuple[str, ...] = ()
    if lost:
        note = ("without some unit a quantity is undefined: no interval",)
    note += counted(alike, len(values), "quantities do not differ between conditions: no interval")
    return pd.DataFrame(rows, columns=list(REQUIRED), index=pd.Index(list(values))), note
