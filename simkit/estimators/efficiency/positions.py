"""Does the place at which an option is listed draw belief, whatever stands there?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

from simkit.estimators.shared.arguments import checked, names_in
from simkit.estimators.shared.clustering import effective, few_note, mean_over
from simkit.estimators.shared.copies import merge_copies
from simkit.result import Result, t_frame
from simkit.types import FloatArray, IntArray, Rows, column, counted, labels

__all__ = ["positional_effect"]

SOURCE = "our formulation; the bias: Zheng et al. 2024, arXiv 2309.03882"
DUST = 1e-9  # an effect below this is rounding error of exact beliefs: zero
NEEDED = ("prompt_id", "order", "position", "option_id", "option", "belief")


@checked(frames="table", cluster=names_in)
def positional_effect(
    table: pd.DataFrame, *, cluster: str | Sequence[str] | None = None, alpha: float = 0.05
) -> Result:
    """Mean belief in whatever stands at each place of the list, minus 1/K.

    Parameters
    ----------
    table : from `believe(..., average=False)`, one row per prompt × order × option, with the
        columns prompt_id, order, position (0 to K-1), option_id, option, belief. Within a prompt
        each option must stand equally often at each place, as over all cyclic shifts; then what
        the options say cancels, and a model that goes by content alone has effect 0 everywhere.
    cluster : column(s) whose values mark prompts that belong together (wording, persona); None
        makes each prompt its own cluster.
    alpha : 1 minus the level of the intervals.

    Quantities, in units of belief (0 to 1):
    - position[j]: mean over prompts of (mean over the orders of the belief at place j) - 1/K.
      They sum to 0. Pointwise jackknife t intervals; degrees of freedom are the effective number
      of clusters (1 / sum of their squared shares of the prompts) less 1.
    - largest_effect: max_j |position[j]|. A maximum of absolute values is never 0 in a sample, so
      its interval is what the simultaneous (Bonferroni) intervals of the places allow: low is 0
      exactly if none of them differs from 0, and it covers with at least 1 - alpha. p is the
      smallest Bonferroni p.
    - order_range[option]: mean over prompts of (largest - smallest belief in that option over the
      orders), with a pointwise interval cut at 0. Named by option_id if texts vary by prompt.

    Prompts whose beliefs are the same throughout are copies and count as one cluster, with a note.
    With few prompts or clusters an interval rests on normality; a note says so below 5 clusters.
    Undefined: prompts with a belief of NaN are left out and counted; one cluster has NaN
    intervals. Raises ValueError for a missing column, a bad belief or position (naming the row),
    unbalanced orders (naming the prompt), and if no prompt is left.

    Source: our formulation. That places and letters draw answers: Zheng et al. 2024, arXiv
    2309.03882.
    """
    missing = [name for name in NEEDED if name not in table]
    if missing:
        raise ValueError(
            f"no column {missing[0]!r}; legal is a table that believe(..., average=False) returns "
            "for a question that lists its options"
        )
    if table.empty:
        raise ValueError("table has no rows; legal is one per prompt, order and option")
    belief = column(table["belief"], "belief", low=0, high=1 + 1e-6, missing=True)
    prompt, names = _prompts(table)
    option, _ = labels(table["option_id"], "option_id", len(table))
    place = _whole(table["position"])
    _check_balance(prompt, option, place, names)
    first = np.unique(prompt, return_index=True)[1]
    group = prompt[first] if cluster is None else _clusters(table, cluster, prompt)[first]
    kept = ~np.isnan(np.bincount(prompt, belief))
    if not kept.any():
        raise ValueError(f"no prompt to use: the belief of all {len(kept)} is undefined")
    at_place = _cells(prompt, place, belief)[kept]
    effect = at_place - 1 / at_place.shape[1]
    effect[np.abs(effect) < DUST] = 0
    spread = _ranges(prompt, option, belief)[kept]
    group[kept] = np.unique(group[kept], return_inverse=True)[1]
    told = _by_order(prompt, option, place, belief)
    exact = np.asarray(((told != 0) & (told != 1)).any(axis=1))
    name = ("prompts" if cluster is None else ", ".join(names_in(cluster, "cluster")),)
    rows = Rows(np.flatnonzero(kept), np.ones(len(kept)), (group,), name, ())
    whole, rows = rows, merge_copies(rows, exact, told)
    group = rows.cluster
    frame = _places(effect, group[kept], alpha)
    frame = pd.concat([frame, _spreads(spread, group[kept], _titles(table, option), alpha)])
    notes = counted(int((~kept).sum()), len(kept), "prompts skipped: belief undefined")
    notes += rows.notes
    if cluster is not None:
        notes += few_note(np.array([effective(np.bincount(group[kept]).astype(float))]))
    over = "prompts" if cluster is None else whole.over
    n = int(kept.sum())
    return Result("Positional effect", frame, n, alpha, SOURCE, notes, over=over)


def _prompts(table: pd.DataFrame) -> tuple[IntArray, pd.DataFrame]:
    keys = [name for name in ("model", "run", "prompt_id") if name in table]
    return labels(table[keys], "prompt_id", len(table))


def _whole(position: pd.Series) -> IntArray:
    values = column(position, "position", low=0)
    bad = np.flatnonzero(values != np.floor(values))
    if len(bad):
        row, value = position.index[bad[0]], values[bad[0]]
        raise ValueError(f"position: row {row!r} holds {value:g}; legal are whole numbers from 0")
    return values.astype(np.int64)


def _clusters(table: pd.DataFrame, cluster: str | Sequence[str], prompt: IntArray) -> IntArray:
    names = [cluster] if isinstance(cluster, str) else list(cluster)
    lost = [name for name in names if name not in table]
    if lost:
        raise ValueError(f"no column {lost[0]!r}; the table has {list(table.columns)}")
    code, _ = labels(table[names], "cluster", len(table))
    first = np.unique(prompt, return_index=True)[1]
    mixed = np.flatnonzero(code != code[first][prompt])
    if len(mixed):
        raise ValueError(
            f"cluster: row {table.index[mixed[0]]!r} differs in {names} from other rows of its "
            "prompt; legal are columns that are the same within a prompt"
        )
    return code


def _check_balance(
    prompt: IntArray, option: IntArray, place: IntArray, names: pd.DataFrame
) -> None:
    k = int(option.max()) + 1
    if place.max() >= k:
        raise ValueError(f"position is {place.max()}; legal are 0 to {k - 1} for {k} options")
    size = (len(names), k, k)
    count = np.bincount(
        np.ravel_multi_index((prompt, option, place), size), minlength=np.prod(size)
    )
    count = count.reshape(size)
    uneven = (count != count[:, :1, :1]).any(axis=(1, 2)) | (count[:, 0, 0] == 0)
    if uneven.any():
        row = names.iloc[int(np.flatnonzero(uneven)[0])].to_dict()
        raise ValueError(
            f"prompt {row}: its {k} options do not stand equally often at each place, so place and "
            'content cannot be told apart; legal are balanced orders, such as orders="cyclic"'
        )


def _cells(prompt: IntArray, place: IntArray, belief: FloatArray) -> FloatArray:
    """Mean belief (prompts, K) at each place."""
    shape = (int(prompt.max()) + 1, int(place.max()) + 1)
    cell = np.ravel_multi_index((prompt, place), shape)
    return np.asarray((np.bincount(cell, belief) / np.bincount(cell)).reshape(shape))


def _by_order(
    prompt: IntArray, option: IntArray, place: IntArray, belief: FloatArray
) -> FloatArray:
    """Beliefs (prompts, most) of a prompt, by option, place and size; NaN where it has fewer."""
    order = np.lexsort((belief, place, option, prompt))
    size = np.bincount(prompt)
    at = np.arange(len(prompt)) - np.repeat(size.cumsum() - size, size)
    out = np.full((len(size), int(size.max())), np.nan)
    out[prompt[order], at] = belief[order]
    return out


def _ranges(prompt: IntArray, option: IntArray, belief: FloatArray) -> FloatArray:
    """Largest minus smallest belief (prompts, K) of each option over the orders."""
    shape = (int(prompt.max()) + 1, int(option.max()) + 1)
    ends = np.full((2, *shape), -np.inf)
    with np.errstate(invalid="ignore"):  # NaN stays NaN
        for end, values in zip(ends, (belief, -belief), strict=True):
            np.maximum.at(end, (prompt, option), values)
    return np.asarray(ends.sum(axis=0))


def _places(effect: FloatArray, group: IntArray, alpha: float) -> pd.DataFrame:
    """Rows position[0] … position[K-1] and largest_effect."""
    table = _means([f"position[{j}]" for j in range(effect.shape[1])], effect, group, alpha)
    table["quantity"] = "position"
    table["position"] = np.arange(len(table), dtype=float)
    # Two effects are one number and its negative: a single comparison.
    several = 1 if len(table) == 2 else len(table)
    mean, error, df = table["estimate"], table["std_error"], table["df"]
    half = error * special.stdtrit(df, 1 - alpha / (2 * several))
    worst = {
        "estimate": mean.abs().max(),
        "low": max((mean - half).max(skipna=False), (-mean - half).max(skipna=False), 0.0),
        "high": max((mean + half).max(skipna=False), (half - mean).max(skipna=False)),
        "statistic": table["statistic"].abs().max(),
        "df": df.iloc[0],
        "p": min(1.0, several * table["p"].min()),
        "quantity": "largest_effect",
        "position": float(mean.abs().argmax()),
    }
    if error.isna().any():
        worst |= dict.fromkeys(("low", "high", "statistic", "p"), np.nan)
    return pd.concat([table, pd.DataFrame([worst], index=["largest_effect"])])


def _spreads(spread: FloatArray, group: IntArray, titles: list[str], alpha: float) -> pd.DataFrame:
    table = _means([f"order_range[{title}]" for title in titles], spread, group, alpha)
    # That a range is not 0 is no finding: no test, and no interval below 0.
    table = table.drop(columns=["statistic", "p"]).assign(quantity="order_range")
    return table.assign(low=table["low"].clip(lower=0))


def _means(names: list[str], values: FloatArray, group: IntArray, alpha: float) -> pd.DataFrame:
    means = [mean_over(column, np.ones(len(values)), [group]) for column in values.T]
    estimate, error, df = zip(*[(m.estimate, m.error, m.df) for m in means], strict=True)
    return t_frame(names, estimate, error, df, alpha)


def _titles(table: pd.DataFrame, option: IntArray) -> list[str]:
    """Option texts, or option_ids where a text varies by prompt or stands for two options."""
    labels(table["option"], "option", len(table))  # raises for what is no label
    seen = pd.DataFrame({"code": option, "text": table["option"].to_numpy()}).drop_duplicates()
    if not (seen["code"].is_unique and seen["text"].is_unique):
        first = np.unique(option, return_index=True)[1]
        return [str(name) for name in table["option_id"].iloc[first]]
    return [str(text) for text in seen.sort_values("code")["text"]]
