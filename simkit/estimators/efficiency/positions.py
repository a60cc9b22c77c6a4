"""Does the place at which an option is listed draw belief, whatever stands there?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

from simkit.estimators.shared.arguments import checked, names_in
from simkit.estimators.shared.clustering import effective, few_note, mean_over
from simkit.estimators.shared.copies import believed, merge_copies
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
    table : DataFrame
        From `believe(..., average=False)`, one row per prompt, order and option, with the columns
        prompt_id, order, position (0 to K-1), option_id, option, belief. Within a prompt each
        option must stand equally often at each place, as over all cyclic shifts. Then what the
        options say cancels, and a model that goes by content alone has effect 0 everywhere.
        Prompts with a belief of NaN are left out and counted.
    cluster : str or sequence of str, optional
        Columns whose values mark prompts that belong together (wording, persona); None makes each
        prompt its own cluster.
    alpha : float
        1 - confidence of the intervals.

    Returns
    -------
    Result
        In units of belief (0 to 1):

        - position[j]: mean over prompts of (mean over the orders of the belief at place j) - 1/K.
          They sum to 0. Pointwise jackknife t intervals; degrees of freedom are the effective
          number of clusters (1 / sum of their squared shares of the prompts) less 1.
        - largest_effect: max_j abs(position[j]). A maximum of absolute values is never 0 in a
          sample, so its interval is what the simultaneous (Bonferroni) intervals of the places
          allow: low is 0 exactly if none of them differs from 0, and it covers with at least
          1 - alpha. p is the smallest Bonferroni p.
        - order_range[option]: mean over prompts of (largest - smallest belief in that option over
          the orders), with a pointwise interval cut at 0. Named by option_id if texts vary by
          prompt.

        One cluster has NaN intervals.

    Raises
    ------
    ValueError
        For a missing column, a bad belief or position (naming the row), unbalanced orders (naming
        the prompt), and if no prompt is left.

    Notes
    -----
    Prompts whose beliefs are the same throughout are copies and count as one cluster, with a note.
    With few prompts or clusters an interval rests on normality; a note says so below 5 clusters.

    References
    ----------
    Our formulation. That places and letters draw answers: Zheng et al. 2024, arXiv 2309.03882.

    Examples
    --------
    A model that gives 0.1 more to whatever is listed first:

    >>> import pandas as pd
    >>> from simkit import estimators as est
    >>> columns = ["prompt_id", "order", "position", "option_id", "option", "belief"]
    >>> rows = [(0, 0, 0, 0, "tea", 0.8), (0, 0, 1, 1, "coffee", 0.2)]
    >>> rows += [(0, 1, 0, 1, "coffee", 0.4), (0, 1, 1, 0, "tea", 0.6)]
    >>> result = est.positional_effect(pd.DataFrame(rows, columns=columns))
    >>> result.frame.loc[["position[0]", "largest_effect"], "estimate"].round(2).to_dict()
    {'position[0]': 0.1, 'largest_effect': 0.1}
    """
    missing = [name for name in (*NEEDED, *names_in(cluster, "cluster")) if name not in table]
    if missing:
        raise ValueError(
            f"no column {missing[0]!r}; the table has {list(table)}; it must be one that "
            "believe(..., average=False) returns for a question that lists its options"
        )
    if table.empty:
        raise ValueError("table has no rows; it must have one per prompt, order and option")
    belief = column(table["belief"], "belief", low=0, high=1 + 1e-6, missing=True)
    keys = [name for name in ("model", "run", "prompt_id") if name in table]
    prompt, prompts = labels(table[keys], "prompt_id", len(table))
    option, _ = labels(table["option_id"], "option_id", len(table))
    place = column(table["position"], "position", low=0)
    _check_balance(prompt, option, place, prompts, table.index)
    group = prompt if cluster is None else _clusters(table, cluster, prompt)
    lost = np.bincount(prompt, np.isnan(belief)) > 0
    if lost.all():
        raise ValueError(f"no prompt to use: the belief of all {len(lost)} is undefined")
    columns = {"prompt": prompt, "option": option, "place": place, "belief": belief}
    rows = pd.DataFrame(columns)[~lost[prompt]]
    by_place = rows.pivot_table(index="prompt", columns="place", values="belief").to_numpy()
    effect = by_place - 1 / by_place.shape[1]
    effect[np.abs(effect) < DUST] = 0
    each = rows.groupby(["prompt", "option"])["belief"]
    ranges = (each.max() - each.min()).unstack().to_numpy()
    rows = rows.sort_values(list(columns))  # what a prompt holds, by option, place and size
    rows["number"] = rows.groupby("prompt").cumcount()
    content = rows.pivot(index="prompt", columns="number", values="belief").to_numpy()
    first = np.unique(prompt, return_index=True)[1]
    code = np.unique(group[first][~lost], return_inverse=True)[1]
    name = "prompts" if cluster is None else ", ".join(names_in(cluster, "cluster"))
    used = Rows(np.arange(len(code)), np.ones(len(code)), (code,), (name,), ())
    merged = merge_copies(used, np.asarray(believed(content).any(axis=1)), content)
    frame = _places(effect, merged.cluster, alpha)
    frame = pd.concat([frame, _ranges(ranges, merged.cluster, _titles(table, option), alpha)])
    notes = counted(int(lost.sum()), len(lost), "prompts skipped: belief undefined") + merged.notes
    if cluster is not None:
        notes += few_note(np.array([effective(np.bincount(merged.cluster).astype(float))]))
    over = "prompts" if cluster is None else used.over
    return Result("Positional effect", frame, len(code), alpha, SOURCE, notes, over=over)


def _clusters(table: pd.DataFrame, cluster: str | Sequence[str], prompt: IntArray) -> IntArray:
    names = names_in(cluster, "cluster")
    code, _ = labels(table[names], "cluster", len(table))
    first = np.unique(prompt, return_index=True)[1]
    mixed = np.flatnonzero(code != code[first][prompt])
    if len(mixed):
        raise ValueError(
            f"cluster: row {table.index[mixed[0]]!r} differs in {names} from other rows of its "
            "prompt; it must be the same within a prompt"
        )
    return code


def _check_balance(
    prompt: IntArray, option: IntArray, place: FloatArray, prompts: pd.DataFrame, index: pd.Index
) -> None:
    """ValueError unless each option of a prompt stands equally often at each place 0 to K-1."""
    k = int(option.max()) + 1
    bad = np.flatnonzero((place != np.floor(place)) | (place >= k))
    if len(bad):
        raise ValueError(
            f"position: row {index[bad[0]]!r} holds {place[bad[0]]:g}; it must be a whole number "
            f"from 0 to {k - 1} for {k} options"
        )
    count = np.zeros((len(prompts), k, k))
    np.add.at(count, (prompt, option, place.astype(np.int64)), 1)
    uneven = (count != count[:, :1, :1]).any(axis=(1, 2))
    if uneven.any():
        row = prompts.iloc[int(np.flatnonzero(uneven)[0])].to_dict()
        raise ValueError(
            f"prompt {row}: its {k} options do not stand equally often at each place, so place and "
            'content cannot be told apart; orders must be balanced, such as orders="cyclic"'
        )


def _places(effect: FloatArray, group: IntArray, alpha: float) -> pd.DataFrame:
    """Rows position[0] … position[K-1] and largest_effect."""
    table = _means([f"position[{j}]" for j in range(effect.shape[1])], effect, group, alpha)
    table["quantity"] = "position"
    table["position"] = np.arange(len(table), dtype=float)
    # Two effects are one number and its negative: a single comparison.
    several = 1 if len(table) == 2 else len(table)
    mean, error, df = table["estimate"], table["std_error"], table["df"]
    half = error * special.stdtrit(df, 1 - alpha / (2 * several))
    largest = {
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
        largest |= dict.fromkeys(("low", "high", "statistic", "p"), np.nan)
    return pd.concat([table, pd.DataFrame([largest], index=["largest_effect"])])


def _ranges(ranges: FloatArray, group: IntArray, titles: list[str], alpha: float) -> pd.DataFrame:
    table = _means([f"order_range[{title}]" for title in titles], ranges, group, alpha)
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
    texts = pd.DataFrame({"code": option, "option": table["option"].to_numpy()})
    texts = texts.assign(option_id=table["option_id"].to_numpy()).drop_duplicates()
    alike = texts["code"].is_unique and texts["option"].is_unique
    names = texts.drop_duplicates("code").sort_values("code")
    return [str(name) for name in names["option" if alike else "option_id"]]
