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
from simkit.types import FloatArray, IntArray, SeedLike, generator

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
    """R2 and out-of-sample log loss of the true shares on the mean of n runs, both ways.

    Of each condition's pool n runs are drawn without replacement, `repetitions` times, the same
    for choice and belief; their means x (C, K) are set against the truth T (C, K). Each
    quantity is the mean over repetitions; rows "r2_choice, n=5" and so on:
    - r2_choice, r2_belief: of the least-squares line of T_k on x_k, an intercept and a slope per
      option, pooled over options: 1 - residual / total sum of squares. 0 if x does not vary.
    - logloss_choice, logloss_belief: -sum_k T_k log Q_k in nats, over conditions that the fit of
      Q has not seen (`folds` random parts). Q is calibrated: a logit with Q_k proportional to
      exp(a_k + g log(x_k + 1 / 2n)), so that few runs are shrunk as the data wish (g < 1), and
      choices of 0 or n runs have a logarithm. Its least value is the entropy of T.
    - r2_gain = r2_belief - r2_choice; logloss_gain = logloss_choice - logloss_belief (both:
      above 0 if belief is better).
    truth : (n, K), the shares of the run's condition, the same in all its rows; K = 1 stands for
    an option and its complement. Shares from runs must come from other runs than the pool's.

    Intervals are over conditions: the delete-one-condition jackknife, t on conditions - 1 (of the
    logit for r2; of the conditions' own losses for log loss, which leaves out that folds share
    their training data). They answer: how would it be for other conditions of this kind? With 12
    conditions those of log loss and of gains cover 0.89 to 0.94, with 36 0.92 to 0.96.
    Undefined: 0 total sum of squares (truth is constant) raises ValueError, as do fewer than 4
    conditions and folds outside 2..C.
    """
    runs = paired_runs(choice, belief, condition)
    if np.shape(truth) != np.shape(belief):
        raise ValueError(
            f"truth has shape {np.shape(truth)}; legal is {np.shape(belief)}, as belief"
        )
    true = constant_rows(runs, run_matrix(truth, "truth")[0][runs.kept], "truth")
    members, stream, n_c = runs.members(), generator(rng), len(runs.conditions)
    if n_c < 4 or not 2 <= folds <= n_c:
        raise ValueError(
            f"there are {n_c} conditions and {folds} folds; legal are 4 conditions or more, and "
            "2 folds or more, at most one per condition"
        )
    if repetitions < 1:
        raise ValueError(f"repetitions is {repetitions}; legal are whole numbers from 1")
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
        pairs = [(_explained(x[:, :, e], true), _losses(x[:, :, e], true, parts, size))
                 for e in range(2)]  # fmt: skip
        tables.append(_table(*zip(*pairs, strict=True), size=int(size), alpha=alpha))
    method = f"Predicting shares of {n_c} conditions, {repetitions} repetitions, {folds} folds"
    source = f"{SUN_ZHANG}; calibration and intervals: our formulation"
    frame, rows = pd.concat(tables), len(runs.code)
    return Result(method, frame, rows, alpha, source, runs.notes, over="conditions")


def _explained(x: FloatArray, true: FloatArray) -> FloatArray:
    """(1 + C,): mean R2 over repetitions, of all conditions and without each of them.

    x : (R, C, K). Sums without a condition are the sums less its part.
    """

    def sums(values: FloatArray) -> FloatArray:  # (R, 1 + C, K)
        whole = values.sum(axis=1, keepdims=True)
        return np.concatenate([whole, whole - values], axis=1)

    # Centred first: the sums of squares would else be differences of large numbers.
    x, t = x - x.mean(axis=1, keepdims=True), np.broadcast_to(true - true.mean(axis=0), x.shape)
    size = sums(np.ones_like(x))
    sx, st = sums(x), sums(t)
    xx, xt, tt = (
        sums(x * x) - sx**2 / size,
        sums(x * t) - sx * st / size,
        sums(t * t) - st**2 / size,
    )
    told = np.divide(xt**2, xx, out=np.zeros_like(xx), where=xx > 1e-12)
    return np.asarray((told.sum(axis=2) / tt.sum(axis=2)).mean(axis=0))


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


def _table(
    explained: tuple[FloatArray, ...], losses: tuple[FloatArray, ...], *, size: int, alpha: float
) -> pd.DataFrame:
    """The six rows of one number of runs."""
    free = len(losses[0]) - 1
    r2 = np.stack(explained, axis=1)  # (1 + C, 2)
    scale = special.logit(np.clip(r2, 1e-12, 1 - 1e-12))
    error = np.sqrt(np.diag(jackknife(scale[1:], scale[0])))
    explain = t_frame([f"r2_{kind}" for kind in KINDS], scale[0], error, free, alpha)
    explain[["estimate", "low", "high"]] = special.expit(explain[["estimate", "low", "high"]])
    explain["std_error"] = np.sqrt(np.diag(jackknife(r2[1:], r2[0])))
    explain[["statistic", "p"]] = np.nan
    gain = r2[:, 1] - r2[:, 0]
    spread = np.sqrt(jackknife(gain[1:, None], gain[:1])[0, 0])
    loss = np.stack([*losses, losses[0] - losses[1]], axis=1)
    error = loss.std(axis=0, ddof=1) / np.sqrt(len(loss))
    names = [*(f"logloss_{kind}" for kind in KINDS), "logloss_gain"]
    frame = pd.concat(
        [
            explain,
            t_frame(["r2_gain"], gain[0], spread, free, alpha),
            t_frame(names, loss.mean(axis=0), error, free, alpha),
        ]
    )
    frame.insert(0, "quantity", frame.index)
    frame.insert(1, "runs", size)
    frame.index = frame.index.map(lambda name: f"{name}, n={size}")
    return frame
