"""How many choices one belief is worth: efficiency factor, RMSE against runs, runs needed.

Choice and belief have the same mean, so what counts is their variance between runs. By the law of
total variance Var(choice) = E[b (1 - b)] + Var(b): the factor Var(choice) / Var(belief) is
p (1 - p) / Var(b), at least 1, and 1 where the thought settles the choice (beliefs 0 or 1).

Several options and conditions are pooled by the ratio of summed variances: the variance of each
option's share in each condition, summed over options and averaged over conditions, equally
weighted. Summed squared error is what n runs per condition leave in the whole table of shares, so
this ratio, and no average of ratios, is the factor by which its number of runs can be cut.
Runs of one condition are independent draws of the same prompt. Where personas or wordings differ,
make them part of the condition: what differs between them is no variance between runs.
Shared arguments: see `simkit.estimators.belief`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.arguments import checked
from simkit.estimators.belief import SUN_ZHANG
from simkit.estimators.rows import Runs, group_moments, optional_labels, paired_runs
from simkit.result import Result
from simkit.types import FloatArray, IntArray, column, counted, several

__all__ = ["efficiency_factor", "runs_needed"]

DUST = 1e-10  # a variance of beliefs this small against that of choices is rounding: zero
SMALLEST = 1e-8  # of a target: it takes 1e16 runs, near the last whole number that floats count
BOUNDS = {"theoretical": (1.0, np.inf), "between_share": (0.0, 1.0)}
SAME = "choices do not vary between runs: there are too few to say how much they do"


@checked("choice belief condition cluster tokens extra_tokens", columns="choice belief")
def efficiency_factor(
    choice: Any,
    belief: Any,
    *,
    condition: Any = None,
    over: str = "runs",
    cluster: Any = None,
    tokens: npt.ArrayLike | None = None,
    extra_tokens: npt.ArrayLike | None = None,
    alpha: float = 0.05,
) -> Result:
    """Var(choice) / Var(belief): how many runs of choice are worth one run of belief.

    Quantities (pooled as the module says; sample variances, ddof 1):
    - measured: from the choices and the beliefs. theoretical: 1 + E[b (1 - b)] / Var(b), from the
      beliefs alone; the two agree if choices are drawn from the beliefs.
    - between_share: Var(b) / (E[b (1 - b)] + Var(b)) = 1 / theoretical, the part of a choice's
      variance that lies between runs (settled by the thought), 0 to 1.
    - variance_choice, variance_belief: of one run, summed over options.
    - per_token (with `tokens`): measured, times tokens of a run / (those + `extra_tokens`).
    tokens : (n,) computed in the run. extra_tokens : (n,) computed on top to read the belief; None
    is 0, as where it is read off the pass that makes the choice.

    over : what the intervals generalise to. "runs": other runs of these conditions. "conditions":
    other conditions of this kind, of which these are a sample (3 or more). One says nothing of the
    other: factors differ between conditions, and many runs make the first interval as narrow as
    one likes.
    cluster : (n,) labels of what was drawn as a whole. With "runs": personas or conversations that
    gave several runs each. With "conditions": conditions that belong together (the same persona,
    say); each condition must lie in one cluster.

    Intervals: the delete-one jackknife of the logarithm, with t quantiles. "runs" leaves out one
    run (or cluster) of one condition at a time; degrees of freedom by Welch. "conditions" leaves
    out a whole condition (or cluster), as "runs" does a cluster that lies in several; degrees of
    freedom are their effective number, by their shares of the beliefs' variance, less 1. Below a
    hundred runs, or where choice and belief differ in few of them, no interval is to be trusted.
    Undefined: beliefs that do not vary make the factor inf without interval and between_share 0,
    choices that do not vary leave the factor NaN (they are too few: no share is 0 for sure); a
    condition with 2 runs has no interval over runs. Notes say so.
    Raises ValueError for a condition with one run. Shared arguments: see the module.
    """
    if not isinstance(over, str) or over not in ("runs", "conditions"):
        raise ValueError(f"over is {over!r:.60}; it must be 'runs' or 'conditions'")
    runs = paired_runs(choice, belief, condition)
    units = _units(runs, cluster, over)
    parts, share = _replicates(runs, _tokens(runs, tokens, extra_tokens), units)
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
    frame, lost = _log_frame(values, units, share, alpha)
    notes = runs.notes + units.notes + lost
    if flat:
        notes += ("beliefs do not vary between runs: one run gives the whole share",)
    if same:
        notes += (SAME,)
    method = f"Efficiency factor of belief, {len(runs.conditions)} conditions"
    source = f"{SUN_ZHANG}; pooling and interval: our formulation"
    return Result(method, frame, len(runs.code), alpha, source, notes, over=units.over)


@checked("choice belief condition tokens extra_tokens", columns="choice belief")
def runs_needed(
    choice: Any,
    belief: Any,
    target: npt.ArrayLike,
    *,
    condition: Any = None,
    tokens: npt.ArrayLike | None = None,
    extra_tokens: npt.ArrayLike | None = None,
    alpha: float = 0.05,
) -> Result:
    """Runs per condition at which the shares have a root mean squared error of `target`.

    n = V / target^2, V the variance of one run, averaged over options and conditions (the RMSE of
    `rmse_curve`, root of the same average, is sqrt(V / n) for means without bias). Rows "choice,
    rmse=0.02", "belief, rmse=0.02"; columns runs: the whole number, at least 1; with `tokens`,
    tokens: what those runs compute. target : (m,) or a number, above 0, as probability.
    Intervals (over runs of these conditions), `tokens` and `extra_tokens` as in efficiency_factor.
    Beliefs that do not vary need one run (estimate 0, interval of width 0); choices that do not
    vary tell nothing of the runs needed (NaN, with a note).
    """
    aims = column(several(target), "target", low=0)
    if not (aims > 0).all():
        raise ValueError("target: one is 0; legal are numbers above 0")
    if (aims < SMALLEST).any():
        raise ValueError(f"target: {aims.min():g} needs more runs than can be counted; it must be "
                         f"{SMALLEST:g} or more")  # fmt: skip
    if len(np.unique(aims)) < len(aims) or not len(aims):
        raise ValueError(f"targets are {aims.tolist()}; legal are one or more that differ")
    runs = paired_runs(choice, belief, condition)
    units = _units(runs, None, "runs")
    parts, share = _replicates(runs, _tokens(runs, tokens, extra_tokens), units)
    parts[:, 1] *= parts[0, 1] > DUST * parts[0, 0]
    notes = runs.notes + units.notes
    if parts[0, 0] == 0:
        parts[:, 0], notes = np.nan, (*notes, SAME)
    values = {
        f"{name}, rmse={aim:g}": parts[:, at] / len(runs.options) / aim**2
        for at, name in enumerate(("choice", "belief"))
        for aim in aims
    }
    frame, lost = _log_frame(values, units, share, alpha)
    frame.insert(0, "method", np.repeat(["choice", "belief"], len(aims)))
    frame.insert(1, "rmse", np.tile(aims, 2))
    frame["runs"] = np.maximum(np.ceil(frame["estimate"] - 1e-9), 1)
    if tokens is not None:
        per_run = np.repeat([parts[0, 3], parts[0, 3] + parts[0, 4]], len(aims))
        frame["tokens"] = frame["runs"] * per_run
    method = f"Runs needed per condition, {len(runs.conditions)} conditions"
    notes += lost
    return Result(method, frame, len(runs.code), alpha, SUN_ZHANG, notes, over=units.over)


def _tokens(runs: Runs, tokens: Any, extra: Any) -> FloatArray:
    """(n, 2): tokens of each run, and those on top."""
    if tokens is None and extra is not None:
        raise ValueError("extra_tokens are given without tokens; legal are both, or tokens alone")
    out = np.zeros((len(runs.kept), 2))
    for at, (name, values) in enumerate({"tokens": tokens, "extra_tokens": extra}.items()):
        if values is not None:
            out[:, at] = column(values, name, low=0, rows=runs.given)[runs.kept]
    return out


@dataclass(frozen=True)
class _Units:
    """What the jackknife leaves out: `code` (n,) of each run's unit, 0, 1, ...

    stratum : (U,) the condition that the unit was drawn in; None where units are drawn from all.
    """

    code: IntArray
    stratum: IntArray | None
    over: str
    notes: tuple[str, ...] = ()


def _units(runs: Runs, cluster: Any, over: str) -> _Units:
    code, word = runs.code if over == "conditions" else np.arange(len(runs.code)), over
    if cluster is not None:
        code = optional_labels(cluster, "cluster", runs.given)[0][runs.kept]
        code, word = np.unique(code, return_inverse=True)[1], "clusters"
    pairs = np.unique(np.column_stack([code, runs.code]), axis=0)
    number = int(code.max()) + 1
    if over == "conditions":
        if len(pairs) > len(runs.conditions):
            split = int(pairs[np.flatnonzero(np.bincount(pairs[:, 1])[pairs[:, 1]] > 1)[0], 1])
            raise ValueError(
                f"cluster: condition {runs.conditions[split]!r} lies in several clusters; with "
                "over='conditions' each must lie in one"
            )
        few = () if number > 2 else (f"{number} {word}: no interval",)
        return _Units(code, None, word if cluster is None else "clusters of conditions", few)
    said = f"{word} of these conditions"
    if len(pairs) > number:  # clusters that span conditions are drawn once for all
        return _Units(code, None, said)
    stratum = pairs[:, 1]
    small = int((np.bincount(stratum) < 3).sum())
    notes = counted(small, len(runs.conditions), f"conditions have 2 {word} or fewer: no interval")
    return _Units(code, stratum, said, notes)


def _replicates(runs: Runs, spent: FloatArray, units: _Units) -> tuple[FloatArray, FloatArray]:
    """(1 + U, 5): Var(choice), Var(belief), E[b (1 - b)], tokens, extra tokens of one run.

    And each unit's share (U,) of the beliefs' variance.

    The first row is the data's, the others those without each unit. Sums over options, means over
    conditions. Values are centred within conditions first, so that small variances stay exact. A
    condition that is left out whole is none of the mean; one with a single run left makes NaN.
    """
    size, mean, _ = group_moments(
        np.column_stack([runs.choice, runs.belief]), runs.code, len(runs.conditions)
    )
    off = np.column_stack([runs.choice, runs.belief]) - mean[runs.code]
    k = len(runs.options)
    squares = [(off[:, :k] ** 2).sum(axis=1), (off[:, k:] ** 2).sum(axis=1)]
    inside = (runs.belief * (1 - runs.belief)).sum(axis=1)
    rows = np.column_stack([np.ones(len(off)), off, *squares, inside, spent])
    pairs, at = np.unique(np.column_stack([units.code, runs.code]), axis=0, return_inverse=True)
    taken, whole = _summed(rows, at.ravel()), _summed(rows, runs.code)
    every, left = _moments(whole, k), whole[pairs[:, 1]] - taken
    gone = left[:, 0] < 0.5
    moved = np.where(gone[:, None], 0, _moments(left, k)) - every[pairs[:, 1]]
    count = len(size) - np.bincount(pairs[:, 0], gone)
    with np.errstate(invalid="ignore", divide="ignore"):  # the only condition left out
        without = (every.sum(axis=0) + _summed(moved, pairs[:, 0])) / count[:, None]
    varied = taken[:, 2 + 2 * k] / (size[pairs[:, 1]] - 1)
    share = np.bincount(pairs[:, 0], varied)
    return np.concatenate([every.mean(axis=0)[None], without]), share / max(share.sum(), 1e-300)


def _summed(rows: FloatArray, code: IntArray) -> FloatArray:
    sums = [np.bincount(code, column) for column in rows.T]
    return np.asarray(np.stack(sums, axis=1), dtype=np.float64)


def _moments(sums: FloatArray, k: int) -> FloatArray:
    """The five numbers (m, 5) of conditions with these sums of rows."""
    n = sums[:, :1]
    with np.errstate(invalid="ignore", divide="ignore"):
        drift = [
            (sums[:, 1 : 1 + k] ** 2).sum(axis=1), (sums[:, 1 + k : 1 + 2 * k] ** 2).sum(axis=1)
        ]  # fmt: skip
        squares = sums[:, 1 + 2 * k : 3 + 2 * k] - np.transpose(drift) / n
        return np.column_stack(
            [np.maximum(squares, 0) / (n - 1), sums[:, 3 + 2 * k :] / n]
        )  # one run: 0 / 0


def _log_frame(
    values: dict[str, FloatArray], units: _Units, share: FloatArray, alpha: float
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Rows of estimate x exp(-+ t s), s the jackknife's error of the log; and a note of failures.

    Estimates of 0 are exact (beliefs that do not vary), but for a variance of choices.
    """
    rows, lost = [], 0
    stratum = np.zeros(len(share), dtype=np.int64) if units.stratum is None else units.stratum
    size = np.bincount(stratum)
    for name, series in values.items():
        estimate = series[0]
        if estimate == 0 and name != "variance_choice":
            rows.append((0.0, 0.0, 0.0, 0.0))
            continue
        if not 0 < estimate < np.inf or size.min() < 3 or units.notes:
            rows.append((estimate, *[np.nan] * 3))
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = series[1:] / estimate
            square = np.log(np.where(ratio > DUST, ratio, np.nan)) ** 2
        lost += int(not np.isfinite(square).all())
        square[~np.isfinite(square)] = np.nan
        each = np.bincount(stratum, square) * (1 - 1 / size)
        s = float(np.sqrt(each.sum()))
        if units.stratum is None and share.any():
            df = 1 / float((share**2).sum()) - 1
        else:  # Welch 1947
            df = each.sum() ** 2 / (each**2 / (size + 1)).sum() - 2 if s > 0 else np.inf
        t = special.stdtrit(max(df, 1.0), 1 - alpha / 2)
        ends = estimate * np.exp(-t * s), estimate * np.exp(t * s)
        least, most = BOUNDS.get(name, (0.0, np.inf))
        rows.append((estimate, estimate * s, max(ends[0], least), min(ends[1], most)))
    columns = ["estimate", "std_error", "low", "high"]
    note = ("without some unit a quantity is undefined: no interval",) if lost else ()
    return pd.DataFrame(rows, columns=columns, index=pd.Index(list(values))), note
