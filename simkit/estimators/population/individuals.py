"""How near a belief is to the answer of the very respondent, and how near a shift is to theirs.

Errors are in units of the scale, and all intervals are over respondents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.population.errors import (
    ERRORS,
    belief_at_temperature,
    individual_errors,
    mean_errors,
    placed,
)
from simkit.estimators.population.margins import NAMIKOSHI, uniform
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.clustering import Mean, mean_over
from simkit.estimators.shared.means import mean_belief, mean_choice
from simkit.estimators.shared.respondents import (
    belief_rows,
    cluster_notes,
    effective_clusters,
    grouped,
    left_out_of,
)
from simkit.result import REQUIRED, Result, t_frame
from simkit.types import FloatArray, IntArray, Rows, column, counted, usable_rows

__all__ = ["STATISTICS", "individual_fit", "shift_fit", "success_rate"]

STATISTICS = ("draw", "mean", "median", "mode")
SHIFTS = ("true_shift", "predicted_shift", "difference")
NOTHING = Mean(np.nan, np.nan, np.nan, np.nan, 0)
SOURCE = f"{NAMIKOSHI}; exact expectations: our formulation"


@checked("human belief truth weights cluster by")
def individual_fit(
    human: Any,
    belief: Any,
    values: npt.ArrayLike,
    *,
    statistic: str = "draw",
    temperature: float = 1.0,
    truth: Any = None,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    by: Any = None,
    alpha: float = 0.05,
) -> Result:
    """RMSE, MAE and log loss of each respondent's own answer under the belief about it.

    human : (n,) answers y, numbers among `values`. belief : (n, K), row i about respondent i.
    values : (K,) the scale, in the order of the belief's columns. Rows without an answer or a
    belief are skipped and counted.
    statistic : what is set against y. "draw": an answer drawn from the belief, by its exact
        expectation: rmse = root of mean_i sum_k b_ik (v_k - y_i)^2, mae likewise with |v_k - y_i|.
        Point predictions: "mean" sum_k b_k v_k; "median" (the midpoint where half the belief is
        on either side); "mode" (ties shared, so it equals a draw at temperature 0).
    temperature : of the belief before all else (`belief_at_temperature`).
    log_loss = mean of -ln b_i(y_i), nats; inf if any answer had belief 0 (interval NaN, counted).

    Columns: estimate, std_error (delete-one-cluster jackknife, CV3), low, high (t on effective
    clusters - 1 degrees of freedom, on the log scale; see `simkit.estimators.shared.respondents`);
    - ceiling : the same with uniform beliefs. A belief can be worse.
    - floor : the same with `truth` (n, K), the exact distribution of each answer given what the
      prompt says, at temperature 1 (a world knows it); NaN without. No belief that knows as
      little has less log loss, in expectation; nor, for "mean", a smaller rmse, nor, for "median",
      a smaller mae. A draw pays for its own spread, so sharper beliefs have a smaller error than
      the true one: that is no fault of this floor but of sampling.
    weights, cluster : (n,) as in `marginal_fit`. by : (n,) groups. One row per group and error.
    Undefined (interval NaN): fewer than 2 effective clusters in a group, and an error that is the
    same whichever cluster is left out, for then the sample shows no spread (but the log loss of
    uniform beliefs is known: ln K, width 0). Raises ValueError for an answer that is not among the
    values (naming the row), beliefs that do not sum to 1, an unknown statistic.
    Source: Namikoshi et al., arXiv 2403.20252; the exact expectation is our formulation.
    """
    if statistic not in STATISTICS:
        raise ValueError(f"statistic is {statistic!r}; legal are {list(STATISTICS)}")
    place, rows, scale = placed(human, belief, values)
    true = rows if truth is None else belief_rows(truth, list(scale), "truth")
    if len(true) != len(rows):
        raise ValueError(f"truth has {len(true)} rows; legal is {len(rows)}, as the belief")
    code, names = grouped(by, len(rows))
    there = np.where(place < 0, np.nan, 0.0) + (rows + true).sum(axis=1)
    used = usable_rows(there, weights, cluster)
    i = used.kept
    flat = np.tile(uniform(len(scale)), (len(i), 1))
    beliefs = (belief_at_temperature(rows[i], temperature), true[i], flat)
    parts = [individual_errors(place[i], b, scale, statistic) for b in beliefs]
    known = np.allclose(beliefs[0], flat, rtol=1e-12)  # their log loss is ln K whatever is answered
    table, index = [], []
    for g, errors in enumerate(mean_errors(parts, used, code, len(names))):
        worth = effective_clusters(*_of(used, code, g))
        for e, error in enumerate(ERRORS):
            own, (floor, ceiling) = errors[e, 0], errors[e, 1:, 0]
            spread = left_out_of(own).interval([worth], alpha, log=True)[1:]
            if known and error == "log_loss" and worth >= 2:
                spread = (0.0, own[0], own[0])
            floor = floor if truth is not None else np.nan
            table.append((names[g], error, own[0], *spread, floor, ceiling))
            index.append(f"{names[g]}, {error}" if names[g] else error)
    columns = ["group", "metric", *REQUIRED, "floor", "ceiling"]
    frame = pd.DataFrame(table, index=pd.Index(index), columns=columns)
    frame = frame if len(names) > 1 else frame.drop(columns="group")
    zero = int(np.isinf(parts[0][:, 2]).sum())
    notes = used.notes + counted(zero, len(i), "answers had belief 0: their log loss is infinite")
    notes += _worths(used, code, names)
    method = f"Individual fit ({statistic}, temperature {temperature:g})"
    over = "respondents" if cluster is None else used.over
    return Result(method, frame, len(i), alpha, SOURCE, notes, over)


def _of(used: Rows, code: IntArray, g: int) -> tuple[IntArray, FloatArray]:
    """Clusters and weights of the rows of a group."""
    i = used.kept[code[used.kept] == g]
    return used.cluster[i], used.weight[i]


def _worths(used: Rows, code: IntArray, names: list[str]) -> tuple[str, ...]:
    parts = [cluster_notes(*_of(used, code, g), f"{n}: " if n else "") for g, n in enumerate(names)]
    return tuple(note for part in parts for note in part)


@checked("valid_mass answers by weights cluster")
def success_rate(
    valid_mass: npt.ArrayLike | None = None,
    *,
    answers: Any = None,
    options: Sequence[Any] | None = None,
    by: Any = None,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    alpha: float = 0.05,
) -> Result:
    """Share of answers in a valid format: mean valid mass, or the share of answers among `options`.

    valid_mass : (n,) the probability of each prompt that the model answers with one of the options
        at all (exact; interval as in `mean_belief`); NaN is skipped and counted. Or else
    answers : (n,) as they were generated, with `options`, the legal ones; anything else is a
        failure, and so is None or NaN, for no answer is no success (Wilson's interval, as in
        `mean_choice`).
    by, weights, cluster : (n,), as in those. One row "success_rate", or one per group. Raises
    ValueError unless exactly one of the two is given, and for a mass outside 0 to 1.
    """
    if (valid_mass is None) == (answers is None) or (answers is None) != (options is None):
        raise ValueError("legal are valid_mass alone, or answers together with options")
    shared: dict[str, Any] = {"by": by, "weights": weights, "cluster": cluster, "alpha": alpha}
    if valid_mass is not None:
        if np.ndim(valid_mass) != 1:
            raise ValueError(f"valid_mass has shape {np.shape(valid_mass)}; legal is (n,)")
        found = mean_belief(valid_mass, **shared)
    else:
        legal = set(options or ())
        found = mean_choice(np.array([float(a in legal) for a in answers]), **shared)
    frame = found.frame.drop(columns="option")
    old = "belief" if answers is None else "choice"
    frame.index = pd.Index([name.removesuffix(old) + "success_rate" for name in frame.index])
    method, notes = f"Success rate ({found.method})", found.notes
    over = "prompts" if cluster is None else found.over
    return Result(method, frame, found.n, alpha, NAMIKOSHI, notes, over)


@checked("before after simulated_before simulated_after weights cluster by")
def shift_fit(
    before: npt.ArrayLike,
    after: npt.ArrayLike,
    simulated_before: Any,
    simulated_after: Any,
    *,
    values: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    by: Any = None,
    alpha: float = 0.05,
) -> Result:
    """Mean shift of an answer (after - before) of people and of their simulations, and the gap.

    before, after : (n,) the humans' answers, numbers. simulated_before, simulated_after : the
    same respondents', as numbers (n,) or as beliefs (n, K) over `values` (K,), whose means are
    taken. Rows that miss any of the four are skipped and counted.
    Rows true_shift, predicted_shift and difference (predicted - true, taken respondent by
    respondent), per group of `by` (n,), in units of the scale: weighted means with the
    delete-one-cluster jackknife's standard error (CV3), t intervals and two-sided p on effective
    clusters - 1 degrees of freedom (see `simkit.estimators.shared.respondents`). NaN for fewer than
    2 effective clusters, and where all rows are the same: that is no proof that there is no spread.
    weights, cluster : (n,). Raises ValueError for numbers of
    rows that differ, beliefs without values (or values without beliefs), and bad rows, by name.
    """
    y = [column(x, name, missing=True) for x, name in ((before, "before"), (after, "after"))]
    beliefs = [np.ndim(x) == 2 for x in (simulated_before, simulated_after)]
    if any(beliefs) != (values is not None):
        raise ValueError(
            "values: legal are one number per column of the beliefs (n, K), or None "
            "where the simulated answers are numbers (n,)"
        )
    y.append(_expected(simulated_before, values, "simulated_before"))
    y.append(_expected(simulated_after, values, "simulated_after"))
    if len({len(x) for x in y}) > 1:
        raise ValueError(f"the columns have {[len(x) for x in y]} rows; legal is the same number")
    true, predicted = y[1] - y[0], y[3] - y[2]
    used = usable_rows(true + predicted, weights, cluster)
    code, names = grouped(by, len(true))
    d = np.stack([true, predicted, predicted - true])
    rows, index = [], []
    for g, name in enumerate(names):
        i = used.kept[code[used.kept] == g]
        worth = effective_clusters(*_of(used, code, g))
        for what, x in zip(SHIFTS, d[:, i], strict=True):
            mean = mean_over(x, used.weight[i], used.codes(i)) if len(i) else NOTHING
            flat = not len(i) or np.ptp(x) <= 1e-12 * np.abs(x).max()
            error = np.nan if flat else mean.error
            rows.append((name, what, len(i), mean.estimate, error, mean.clusters, worth))
            index.append(f"{name}, {what}" if name else what)
    columns = ["group", "quantity", "n", "mean", "error", "clusters", "worth"]
    table = pd.DataFrame(rows, index=pd.Index(index), columns=columns)
    free = np.round(table["worth"] - 1, 9)  # rounding must not take 2 clusters for fewer
    stats = t_frame(index, table["mean"], table["error"], free, alpha)
    frame = pd.concat([table[["group", "quantity", "n", "clusters"]], stats], axis=1)
    frame = frame if len(names) > 1 else frame.drop(columns="group")
    notes = used.notes + _worths(used, code, names)
    over = "respondents" if cluster is None else used.over
    return Result("Shift of answers", frame, len(used.kept), alpha, NAMIKOSHI, notes, over)


def _expected(answers: Any, values: npt.ArrayLike | None, name: str) -> FloatArray:
    if np.ndim(answers) != 2:
        return column(answers, name, missing=True)
    scale = column([] if values is None else values, "values")
    return np.asarray(belief_rows(answers, [float(v) for v in scale], name) @ scale)
