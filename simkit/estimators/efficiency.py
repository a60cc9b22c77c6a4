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

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from simkit.estimators.arguments import checked
from simkit.estimators.belief import SUN_ZHANG
from simkit.estimators.rows import Runs, paired_runs
from simkit.result import Result
from simkit.types import FloatArray, SeedLike, column, generator, several

__all__ = ["efficiency_factor", "runs_needed"]

DUST = 1e-10  # a variance of beliefs this small against that of choices is rounding: zero
SMALLEST = 1e-8  # of a target: it takes 1e16 runs, near the last whole number that floats count
CHUNK = 4_000_000  # numbers held at once in a bootstrap


@checked("choice belief condition tokens extra_tokens", columns="choice belief")
def efficiency_factor(
    choice: Any,
    belief: Any,
    *,
    condition: Any = None,
    tokens: npt.ArrayLike | None = None,
    extra_tokens: npt.ArrayLike | None = None,
    n_boot: int = 500,
    alpha: float = 0.05,
    rng: SeedLike = 0,
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

    Intervals: runs are resampled within conditions `n_boot` times; estimate times or by
    exp(z s), s the standard deviation of the log over the resamples (nearer to 1 - alpha than
    percentiles where choice and belief nearly agree, and never below 0). Where they differ in
    few runs only, no interval from them is to be trusted: have a hundred runs or more.
    Undefined: beliefs that do not vary make the factor inf (NaN if choices do not vary either)
    without interval, between_share 0, and a note says so.
    Raises ValueError for a condition with one run. Shared arguments: see the module.
    """
    runs = paired_runs(choice, belief, condition)
    spent = _tokens(runs, tokens, extra_tokens)
    parts = _replicates(runs, spent, n_boot, generator(rng))
    chosen, believed, within = parts[:, 0], parts[:, 1], parts[:, 2]
    flat = bool(believed[0] <= DUST * chosen[0])
    if flat:
        believed = np.zeros_like(believed)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {
            "measured": chosen / believed,
            "theoretical": (within + believed) / believed,
            "between_share": believed / (within + believed),
            "variance_choice": chosen,
            "variance_belief": believed,
        }
        if tokens is not None:
            values["per_token"] = values["measured"] * parts[:, 3] / (parts[:, 3] + parts[:, 4])
    frame = _log_frame(values, alpha)
    notes = runs.notes
    if flat:
        notes += ("beliefs do not vary between runs: one run gives the whole share",)
    method = f"Efficiency factor of belief, {len(runs.conditions)} conditions, {n_boot} resamples"
    source = f"{SUN_ZHANG}; pooling and interval: our formulation"
    return Result(method, frame, len(runs.code), alpha, source, notes)


@checked("choice belief condition tokens extra_tokens", columns="choice belief")
def runs_needed(
    choice: Any,
    belief: Any,
    target: npt.ArrayLike,
    *,
    condition: Any = None,
    tokens: npt.ArrayLike | None = None,
    extra_tokens: npt.ArrayLike | None = None,
    n_boot: int = 500,
    alpha: float = 0.05,
    rng: SeedLike = 0,
) -> Result:
    """Runs per condition at which the shares have a root mean squared error of `target`.

    n = V / target^2, V the variance of one run, averaged over options and conditions (the RMSE of
    `rmse_curve`, root of the same average, is sqrt(V / n) for means without bias). Rows "choice,
    rmse=0.02", "belief, rmse=0.02"; columns runs: the whole number, at least 1; with `tokens`,
    tokens: what those runs compute. target : (m,) or a number, above 0, as probability.
    Intervals, `tokens` and `extra_tokens` as in efficiency_factor. Beliefs that do not vary need
    one run (estimate 0, interval of width 0).
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
    spent = _tokens(runs, tokens, extra_tokens)
    parts = _replicates(runs, spent, n_boot, generator(rng))
    parts[:, 1] *= parts[0, 1] > DUST * parts[0, 0]
    values = {
        f"{name}, rmse={aim:g}": parts[:, at] / len(runs.options) / aim**2
        for at, name in enumerate(("choice", "belief"))
        for aim in aims
    }
    frame = _log_frame(values, alpha)
    frame.insert(0, "method", np.repeat(["choice", "belief"], len(aims)))
    frame.insert(1, "rmse", np.tile(aims, 2))
    frame["runs"] = np.maximum(np.ceil(frame["estimate"] - 1e-9), 1).astype(int)
    if tokens is not None:
        per_run = np.repeat([parts[0, 3], parts[0, 3] + parts[0, 4]], len(aims))
        frame["tokens"] = frame["runs"] * per_run
    method = f"Runs needed per condition, {len(runs.conditions)} conditions, {n_boot} resamples"
    return Result(method, frame, len(runs.code), alpha, SUN_ZHANG, runs.notes)


def _tokens(runs: Runs, tokens: Any, extra: Any) -> FloatArray:
    """(n, 2): tokens of each run, and those on top."""
    if tokens is None and extra is not None:
        raise ValueError("extra_tokens are given without tokens; legal are both, or tokens alone")
    out = np.zeros((len(runs.kept), 2))
    for at, (name, values) in enumerate({"tokens": tokens, "extra_tokens": extra}.items()):
        if values is not None:
            out[:, at] = column(values, name, low=0, rows=runs.given)[runs.kept]
    return out


def _replicates(
    runs: Runs, spent: FloatArray, n_boot: int, stream: np.random.Generator
) -> FloatArray:
    """(1 + n_boot, 5): Var(choice), Var(belief), E[b (1 - b)], tokens, extra tokens of one run.

    The first row is the data's, the others the resamples'. Sums over options, means over
    conditions. Values are centred within conditions first, so that small variances stay exact.
    """
    if n_boot < 2:
        raise ValueError(f"n_boot is {n_boot}; legal are 2 or more")
    total = np.zeros((1 + n_boot, 5))
    k = len(runs.options)
    for i in runs.members():
        y, b, n = runs.choice[i], runs.belief[i], len(i)
        y0, b0 = y - y.mean(axis=0), b - b.mean(axis=0)
        within = (b * (1 - b)).sum(axis=1)
        sums = np.column_stack([y0, b0, (y0**2).sum(1), (b0**2).sum(1), within, spent[i]])
        means = np.concatenate([sums.mean(axis=0)[None], _resampled(sums, n_boot, stream)])
        drift = [(means[:, :k] ** 2).sum(axis=1), (means[:, k : 2 * k] ** 2).sum(axis=1)]
        total[:, :2] += (means[:, 2 * k : 2 * k + 2] - np.transpose(drift)) * n / (n - 1)
        total[:, 2:] += means[:, 2 * k + 2 :]
    return total / len(runs.conditions)


def _resampled(values: FloatArray, n_boot: int, stream: np.random.Generator) -> FloatArray:
    """Means (n_boot, m) of the rows (n, m), drawn n times with replacement."""
    n, out = len(values), []
    step = max(CHUNK // n, 1)
    for start in range(0, n_boot, step):
        size = min(step, n_boot - start)
        drawn = stream.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        out.append(counts @ values / n)
    return np.concatenate(out)


def _log_frame(values: dict[str, FloatArray], alpha: float) -> pd.DataFrame:
    """Rows of estimate x exp(-+ z s), s over the finite, positive logs of the resamples."""
    z, rows = special.ndtri(1 - alpha / 2), []
    for series in values.values():
        estimate, usable = series[0], series[1:][np.isfinite(series[1:]) & (series[1:] > 0)]
        if estimate == 0 and not usable.size:
            rows.append((0.0, 0.0, 0.0, 0.0))
            continue
        known = np.isfinite(estimate) and estimate > 0 and usable.size > 1
        s = np.log(usable).std(ddof=1) if known else np.nan
        rows.append((estimate, estimate * s, estimate * np.exp(-z * s), estimate * np.exp(z * s)))
    columns = ["estimate", "std_error", "low", "high"]
    return pd.DataFrame(rows, columns=columns, index=pd.Index(list(values)))
