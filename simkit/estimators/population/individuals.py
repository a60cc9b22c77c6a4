"""How near a belief is to the answer of the very respondent, and how near a shift is to theirs.

Errors are in units of the scale, and all intervals are over respondents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.population.errors import (
    ERRORS,
    belief_at_temperature,
    group_notes,
    individual_errors,
    mean_errors,
    respondents,
)
from simkit.estimators.population.margins import NAMIKOSHI, uniform
from simkit.estimators.shared.arguments import checked
from simkit.estimators.shared.clustering import Mean, mean_over
from simkit.estimators.shared.means import mean_belief, mean_choice
from simkit.estimators.shared.respondents import (
    belief_rows,
    effective_clusters,
    grouped,
    left_out,
    left_out_of,
)
from simkit.estimators.shared.strata import WITHIN, strata_of
from simkit.result import REQUIRED, Result, t_frame
from simkit.types import FloatArray, column, counted, usable_rows

__all__ = ["individual_fit", "shift_fit", "success_rate"]

SHIFTS = ("true_shift", "predicted_shift", "difference")
NOTHING = Mean(np.nan, np.nan, np.nan, np.nan, 0)
SOURCE = f"{NAMIKOSHI}; exact expectations: our formulation"


@checked("human belief truth weights cluster strata by")
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
    strata: Any = None,
    by: Any = None,
    alpha: float = 0.05,
) -> Result:
    """RMSE, MAE and log loss of each respondent's own answer under the belief about it.

    Parameters
    ----------
    human : array_like
        (n,) answers y, numbers among `values`.
    belief : DataFrame or array_like
        (n, K), row i about respondent i. Rows without an answer or a belief are skipped and
        counted.
    values : array_like
        (K,) the scale, in the order of the belief's columns.
    statistic : {"draw", "mean", "median", "mode"}
        What is set against y. "draw": an answer drawn from the belief, by its exact expectation:
        rmse = root of mean_i sum_k b_ik (v_k - y_i)^2, mae likewise with abs(v_k - y_i). Point
        predictions: "mean" sum_k b_k v_k; "median" (the midpoint where half the belief is on either
        side); "mode" (ties shared, so it equals a draw at temperature 0).
    temperature : float
        Of the belief, before all else (:func:`belief_at_temperature`).
    truth : DataFrame or array_like, optional
        (n, K) the exact distribution of each answer given what the prompt says (a world knows it):
        gives the floor.
    weights : array_like, optional
        (n,) survey weights.
    cluster : array_like, optional
        (n,) what is drawn independently; None is the respondent.
    strata : array_like, optional
        (n,) of the clusters, as in :func:`marginal_fit`.
    by : array_like, optional
        (n,) groups, a row per group and error.
    alpha : float
        1 - confidence of the intervals.

    Returns
    -------
    Result
        Rows rmse, mae (units of the scale) and log_loss (mean of -ln b_i(y_i), nats; inf if any
        answer had belief 0, counted). Columns beside the usual:

        - ceiling: the same with uniform beliefs. A belief can be worse.
        - floor: the same with `truth`, at temperature 1; NaN without. No belief that knows as
          little has less log loss, in expectation; nor, for "mean", a smaller rmse, nor, for
          "median", a smaller mae. A draw pays for its own spread, so sharper beliefs have a smaller
          error than the true one: that is no fault of this floor but of sampling.

        The interval is NaN for fewer than 2 effective clusters in a group, an infinite log loss,
        and an error that is the same whichever cluster is left out, for then the sample shows no
        spread (but the log loss of uniform beliefs is known: ln K, width 0).

    Raises
    ------
    ValueError
        For an answer that is not among the values (naming the row), beliefs that do not sum to 1,
        and an unknown statistic.

    Notes
    -----
    std_error is the delete-one-cluster jackknife's (CV3); low and high are t on effective clusters
    - 1 degrees of freedom, on the log scale (`simkit.estimators.shared.respondents`).

    References
    ----------
    Namikoshi et al., arXiv 2403.20252; the exact expectation is our formulation.

    Examples
    --------
    >>> from simkit import estimators as est
    >>> belief = [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.2, 0.6, 0.2]]
    >>> fit = est.individual_fit([1, 3, 2], belief, [1, 2, 3], statistic="mean")
    >>> fit.frame["estimate"].round(3).to_dict()
    {'rmse': 0.37, 'mae': 0.3, 'log_loss': 0.459}
    """
    beliefs = {"belief": belief} | ({} if truth is None else {"truth": truth})
    people = respondents(human, beliefs, values, weights, cluster, strata)
    place, scale, n = people.place, people.scale, len(people.place)
    code, names = grouped(by, len(belief))
    code, flat = code[people.rows], np.tile(uniform(len(scale)), (n, 1))
    scored = belief_at_temperature(people.beliefs[0], temperature)
    parts = [
        individual_errors(place, b, scale, statistic) for b in (scored, people.beliefs[-1], flat)
    ]
    known = np.allclose(scored, flat, rtol=1e-12)  # their log loss is ln K whatever is answered
    table, index = [], []
    plan = people.strata
    errors = mean_errors(parts, people.cluster, people.weight, code, len(names),
                         partial(left_out, strata=plan))  # fmt: skip
    for g, name in enumerate(names):
        i = code == g
        units = effective_clusters(people.cluster[i], people.weight[i], plan)
        for error, (values_of, (floor, *_), (ceiling, *_)) in zip(ERRORS, errors[g], strict=True):
            spread = left_out_of(values_of, strata=[plan]).interval([units], alpha, log=True)[1:]
            if known and error == "log_loss" and units >= 2:
                spread = (0.0, values_of[0], values_of[0])
            floor = floor if truth is not None else np.nan
            table.append((name, error, values_of[0], *spread, floor, ceiling))
            index.append(f"{name}, {error}" if name else error)
    columns = ["group", "metric", *REQUIRED, "floor", "ceiling"]
    frame = pd.DataFrame(table, index=pd.Index(index), columns=columns)
    frame = frame if len(names) > 1 else frame.drop(columns="group")
    zero = int(np.isinf(parts[0][:, 2]).sum())
    notes = people.notes + counted(zero, n, "answers had belief 0: their log loss is infinite")
    notes += group_notes(people.cluster, people.weight, code, names, plan)
    method = f"Individual fit ({statistic}, temperature {temperature:g})"
    return Result(method, frame, n, alpha, SOURCE, notes, people.over)


@checked("valid_mass answers by weights cluster strata")
def success_rate(
    valid_mass: npt.ArrayLike | None = None,
    *,
    answers: Any = None,
    options: Sequence[Any] | None = None,
    by: Any = None,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    strata: Any = None,
    alpha: float = 0.05,
) -> Result:
    """Share of answers in a valid format: mean valid mass, or the share of answers among `options`.

    Parameters
    ----------
    valid_mass : array_like, optional
        (n,) the probability of each prompt that the model answers with one of the options at all
        (exact); NaN is skipped and counted.
    answers : array_like, optional
        Instead, (n,) as they were generated. None and NaN are failures, for no answer is no
        success.
    options : sequence, optional
        The valid answers; anything else is a failure.
    by, weights, cluster, strata, alpha
        As in :func:`mean_belief`.

    Returns
    -------
    Result
        A row "success_rate", or one per group. Interval as in :func:`mean_belief` of the mass, and
        Wilson's of answers, as in :func:`mean_choice`.

    Raises
    ------
    ValueError
        Unless exactly one of mass and answers is given, and for a mass outside 0 to 1.

    References
    ----------
    Namikoshi et al., arXiv 2403.20252.

    Examples
    --------
    >>> from simkit import estimators as est
    >>> rate = est.success_rate(answers=["yes", "no", "perhaps", None], options=["yes", "no"])
    >>> rate["success_rate"][["estimate", "low", "high"]].astype(float).round(2).to_dict()
    {'estimate': 0.5, 'low': 0.15, 'high': 0.85}
    """
    if (valid_mass is None) == (answers is None) or (answers is None) != (options is None):
        raise ValueError("give valid_mass alone, or answers together with options")
    shared: dict[str, Any] = {"by": by, "weights": weights, "cluster": cluster, "alpha": alpha}
    shared["strata"] = strata
    if valid_mass is None:
        valid = set(options or ())
        result = mean_choice(np.array([float(a in valid) for a in answers]), **shared)
    else:
        if np.ndim(valid_mass) != 1:
            raise ValueError(f"valid_mass has shape {np.shape(valid_mass)}; it must be (n,)")
        result = mean_belief(valid_mass, **shared)
    kind = "choice" if valid_mass is None else "belief"
    frame = result.frame.drop(columns="option")
    frame.index = pd.Index([name.removesuffix(kind) + "success_rate" for name in frame.index])
    over = result.over if cluster is not None else result.over.replace("runs", "prompts")
    method = f"Success rate ({result.method})"
    return replace(result, method=method, frame=frame, source=NAMIKOSHI, over=over)


@checked("before after simulated_before simulated_after weights cluster strata by")
def shift_fit(
    before: npt.ArrayLike,
    after: npt.ArrayLike,
    simulated_before: Any,
    simulated_after: Any,
    *,
    values: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    cluster: Any = None,
    strata: Any = None,
    by: Any = None,
    alpha: float = 0.05,
) -> Result:
    """Mean shift of an answer (after - before) of people and of their simulations, and the gap.

    Parameters
    ----------
    before, after : array_like
        (n,) the respondents' answers, numbers.
    simulated_before, simulated_after : DataFrame or array_like
        The same respondents', as numbers (n,) or as beliefs (n, K) over `values`, whose means are
        taken. Rows that miss any of the four are skipped and counted.
    values : array_like, optional
        (K,) the scale of the beliefs; None where there are none.
    weights, cluster, strata, by, alpha
        As in :func:`individual_fit`.

    Returns
    -------
    Result
        Rows true_shift, predicted_shift and difference (predicted - true, taken respondent by
        respondent), per group of `by`, in units of the scale: weighted means with the
        delete-one-cluster jackknife's standard error (CV3), t intervals and two-sided p on
        effective clusters - 1 degrees of freedom (`simkit.estimators.shared.respondents`). NaN for
        fewer than 2 effective clusters, and where all rows are the same: that is no proof that
        there is no spread.

    Raises
    ------
    ValueError
        For numbers of rows that differ, beliefs without values (or values without beliefs), and bad
        rows, by name.

    References
    ----------
    Namikoshi et al., arXiv 2403.20252.

    Examples
    --------
    >>> from simkit import estimators as est
    >>> shift = est.shift_fit([1, 2, 3, 2], [2, 3, 3, 4], [1, 2, 2, 2], [2, 2, 3, 3])
    >>> shift.frame["estimate"].to_dict()
    {'true_shift': 1.0, 'predicted_shift': 0.75, 'difference': -0.25}
    """
    y = [column(x, name, missing=True) for x, name in ((before, "before"), (after, "after"))]
    beliefs = [np.ndim(x) == 2 for x in (simulated_before, simulated_after)]
    if any(beliefs) != (values is not None):
        raise ValueError(
            "values: give one number per column of the beliefs (n, K), and none where the "
            "simulated answers are numbers (n,)"
        )
    y.append(_expected(simulated_before, values, "simulated_before"))
    y.append(_expected(simulated_after, values, "simulated_after"))
    if len({len(x) for x in y}) > 1:
        raise ValueError(f"the columns have {[len(x) for x in y]} rows; they must have the same")
    true, predicted = y[1] - y[0], y[3] - y[2]
    used = usable_rows(true + predicted, weights, cluster)
    plan = strata_of(strata, cluster, used, len(true))
    code, names = grouped(by, len(true))
    kept, code = used.kept, code[used.kept]
    clusters, weight = used.cluster[kept], used.weight[kept]
    shifts = np.stack([true, predicted, predicted - true])[:, kept]
    rows, index = [], []
    for g, name in enumerate(names):
        i = code == g
        # 2 clusters stay 2
        free = np.round(effective_clusters(clusters[i], weight[i], plan) - 1, 9)
        for what, x in zip(SHIFTS, shifts[:, i], strict=True):
            codes = used.codes(kept[i]) if plan is None else [clusters[i]]
            mean = mean_over(x, weight[i], codes, plan) if i.any() else NOTHING
            flat = not i.any() or np.ptp(x) <= 1e-12 * np.abs(x).max()
            error = np.nan if flat else mean.error
            rows.append((name, what, i.sum(), mean.clusters, mean.estimate, error, free))
            index.append(f"{name}, {what}" if name else what)
    columns = ["group", "quantity", "n", "clusters", "mean", "error", "df"]
    table = pd.DataFrame(rows, index=pd.Index(index), columns=columns)
    stats = t_frame(index, table["mean"], table["error"], table["df"], alpha)
    frame = pd.concat([table[columns[:4]], stats], axis=1)
    frame = frame if len(names) > 1 else frame.drop(columns="group")
    notes = used.notes + (() if plan is None else plan.notes)
    notes += group_notes(clusters, weight, code, names, plan)
    over = "respondents" if cluster is None else used.over
    over += "" if plan is None else WITHIN
    return Result("Shift of answers", frame, len(kept), alpha, NAMIKOSHI, notes, over)


def _expected(answers: Any, values: npt.ArrayLike | None, name: str) -> FloatArray:
    if np.ndim(answers) != 2:
        return column(answers, name, missing=True)
    scale = column([] if values is None else values, "values")
    return np.asarray(belief_rows(answers, [float(v) for v in scale], name) @ scale)
