"""How well n runs explain and predict the true shares, read as belief and as choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from simkit.estimators.efficiency.error_curves import constant_rows, subset_means
from simkit.estimators.shared.arguments import checked, sizes_of
from simkit.estimators.shared.means import SUN_ZHANG
from simkit.estimators.shared.newton import newton
from simkit.estimators.shared.rows import paired_runs, run_matrix, run_sizes
from simkit.result import Result, jackknife, t_frame
from simkit.types import FloatArray, IntArray, SeedLike, generator, integer

__all__ = ["share_prediction"]

KINDS = ("choice", "belief")


@checked("choice belief truth condition", columns="choice belief truth", sizes=sizes_of)
def share_prediction(
    choice: Any = "choice",
    belief: Any = "belief",
    truth: Any = "truth",
    *,
    condition: Any = None,
    sizes: Sequence[int] | None = None,
    repetitions: int = 50,
    folds: int = 6,
    alpha: float = 0.05,
    rng: SeedLike = 0,
    data: pd.DataFrame | None = None,
) -> Result:
    """R2 and out-of-sample log loss of the true shares on the mean of n runs, choice and belief.

    Of each condition's pool n runs are drawn without replacement, `repetitions` times, the same for
    choice and belief; their means x (C, K) are set against the truth T (C, K).

    Parameters
    ----------
    choice, belief, condition
        As in :func:`rmse_curve`.
    truth : DataFrame or array_like
        As belief, the shares of the run's condition, the same in all its rows; K = 1 stands for an
        option and its complement. Shares from runs must come from other runs than the pool's.
    sizes : sequence of int, optional
        The n; None takes 1, 2, 5, 10, ... up to half of the smallest pool.
    repetitions : int
        Draws of the n runs.
    folds : int
        Random parts of the conditions: 2 or more, at most one per condition.
    alpha : float
        1 - confidence of the intervals.
    rng : int or Generator
        Of draws and folds.
    data : DataFrame, optional
        As in :func:`mean_belief`.

    Returns
    -------
    Result
        Means over repetitions; rows "r2_choice, n=5" and so on:

        - r2_choice, r2_belief: of the least-squares line of T_k on x_k, an intercept and a slope
          per option, pooled over options: 1 - residual / total sum of squares. 0 if x does not
          vary.
        - logloss_choice, logloss_belief: -sum_k T_k log Q_k in nats, over conditions that the fit
          of Q has not seen. Q is calibrated: a logit with Q_k proportional to
          exp(a_k + g log(x_k + 1 / 2n)), so that few runs are shrunk as the data wish (g < 1), and
          choices of 0 or n runs have a logarithm. Its least value is the entropy of T.
        - r2_gain = r2_belief - r2_choice; logloss_gain = logloss_choice - logloss_belief (both:
          above 0 if belief is better).

    Raises
    ------
    ValueError
        For fewer than 4 conditions, folds out of range, and a truth that is the same everywhere.

    Notes
    -----
    Intervals are over conditions: the delete-one-condition jackknife, t on conditions - 1 (of the
    logit for r2; of the conditions' own losses for log loss, which leaves out that folds share
    their training data). They answer: how would it be for other conditions of this kind? With 12
    conditions those of log loss and of gains cover 0.89 to 0.94, with 36 0.92 to 0.96.

    References
    ----------
    Sun & Zhang, arXiv 2512.23184; calibration and intervals: our formulation.

    Examples
    --------
    >>> import numpy as np
    >>> from simkit import estimators as est
    >>> rng, truth = np.random.default_rng(0), np.repeat(np.linspace(0.2, 0.8, 10), 40)
    >>> belief = rng.beta(10 * truth, 10 * (1 - truth))
    >>> code = np.repeat(np.arange(10), 40)
    >>> scores = est.share_prediction(
    ...     rng.binomial(1, belief), belief, truth, condition=code, sizes=[5]
    ... )
    >>> scores.frame["estimate"].round(2).head(3).to_dict()
    {'r2_choice, n=5': 0.49, 'r2_belief, n=5': 0.93, 'r2_gain, n=5': 0.44}
    """
    runs = paired_runs(choice, belief, condition)
    if np.shape(truth) != np.shape(belief):
        raise ValueError(
            f"truth has shape {np.shape(truth)}; it must be {np.shape(belief)}, as belief"
        )
    true = constant_rows(runs, run_matrix(truth, "truth")[0][runs.kept], "truth")
    members, stream, n_c = runs.members(), generator(rng), len(runs.conditions)
    if n_c < 4:
        raise ValueError(f"there are {n_c} conditions; there must be 4 or more")
    integer(folds, "folds", 2, n_c)
    integer(repetitions, "repetitions", 1)
    if not true.std(axis=0).any():
        raise ValueError("truth is the same in all conditions; there is nothing to explain")
    least, k = min(map(len, members)), true.shape[1]
    n = run_sizes(sizes, least // 2, least)
    both = [np.concatenate([runs.choice[i], runs.belief[i]], axis=1) for i in members]
    means = np.stack([subset_means(x, n, repetitions, stream) for x in both], axis=2)
    parts = np.stack([stream.permutation(n_c) % folds for _ in range(repetitions)])
    tables = []
    for s, size in enumerate(n):
        x = means[:, s].reshape(repetitions, n_c, 2, k)
        r2 = np.stack([_explained(x[:, :, e], true) for e in range(2)], axis=1)
        losses = np.stack([_losses(x[:, :, e], true, parts, size) for e in range(2)], axis=1)
        tables.append(_table(r2, losses, int(size), alpha))
    method = f"Predicting shares of {n_c} conditions, {repetitions} repetitions, {folds} folds"
    source = f"{SUN_ZHANG}; calibration and intervals: our formulation"
    frame, rows = pd.concat(tables), len(runs.code)
    return Result(method, frame, rows, alpha, source, runs.notes, over="conditions")


def _explained(x: FloatArray, true: FloatArray) -> FloatArray:
    """(1 + C,): mean R2 over repetitions, of all conditions and without each of them.

    x : (R, C, K). Sums without a condition are the sums less its part.
    """

    # Centred first: the sums of squares would else be differences of large numbers.
    x = x - x.mean(axis=1, keepdims=True)
    t = np.broadcast_to(true - true.mean(axis=0), x.shape)
    rows = np.stack([np.ones_like(x), x, t, x * x, x * t, t * t])
    whole = rows.sum(axis=2, keepdims=True)
    size, sx, st, xx, xt, tt = np.concatenate([whole, whole - rows], axis=2)  # (R, 1 + C, K) each
    xx, xt, tt = xx - sx**2 / size, xt - sx * st / size, tt - st**2 / size
    explained = np.divide(xt**2, xx, out=np.zeros_like(xx), where=xx > 1e-12)
    return np.asarray((explained.sum(axis=2) / tt.sum(axis=2)).mean(axis=0))


def _losses(x: FloatArray, true: FloatArray, parts: IntArray, size: int) -> FloatArray:
    """(C,): mean log loss over repetitions of each condition, predicted from the other folds."""
    if x.shape[2] == 1:
        x, true = np.concatenate([x, 1 - x], axis=2), np.column_stack([true, 1 - true])
    (r, n_c, k), folds = x.shape, int(parts.max()) + 1
    design = np.zeros((r, n_c, k, k))
    design[..., np.arange(k - 1), np.arange(k - 1)] = 1
    design[..., -1] = np.log(x + 0.5 / size)
    design[..., -1] -= design[..., -1].mean(axis=2, keepdims=True)
    out = np.zeros((r, n_c))
    total = true / true.sum(axis=1, keepdims=True)
    for fold in range(folds):
        seen = (parts != fold).astype(float)
        beta = newton(design, seen, seen[..., None] * total)
        utility = (design @ beta[:, None, :, None])[..., 0]
        loss = -(total * special.log_softmax(utility, axis=2)).sum(axis=2)
        out += np.where(seen == 0, loss, 0)
    return np.asarray(out.mean(axis=0))


def _table(r2: FloatArray, losses: FloatArray, size: int, alpha: float) -> pd.DataFrame:
    """The six rows of one number of runs, from (1 + C, 2) and (C, 2)."""
    free, ends = len(losses) - 1, ["estimate", "low", "high"]

    def errors(replicates: FloatArray) -> FloatArray:
        return np.sqrt(np.diag(jackknife(replicates[1:], replicates[0])))

    scale = special.logit(np.clip(r2, 1e-12, 1 - 1e-12))
    explain = t_frame([f"r2_{kind}" for kind in KINDS], scale[0], errors(scale), free, alpha)
    explain[ends] = special.expit(explain[ends])
    explain["std_error"] = errors(r2)
    explain[["statistic", "p"]] = np.nan
    gain = r2[:, 1:] - r2[:, :1]
    loss = np.column_stack([losses, losses[:, 0] - losses[:, 1]])
    error = loss.std(axis=0, ddof=1) / np.sqrt(len(loss))
    names = [*(f"logloss_{kind}" for kind in KINDS), "logloss_gain"]
    gained = t_frame(["r2_gain"], gain[0], errors(gain), free, alpha)
    frame = pd.concat([explain, gained, t_frame(names, loss.mean(axis=0), error, free, alpha)])
    frame.insert(0, "quantity", frame.index)
    frame.insert(1, "runs", size)
    return frame.set_axis(frame.index + f", n={size}")
