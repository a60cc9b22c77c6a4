"""Predictions for people on whom the model was tuned: each by a model that has not seen them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from simkit.estimators.shared.arguments import checked
from simkit.types import check_labels, column, framed, labels, listed, shown

__all__ = ["cross_fitted"]


@checked("predictions fold", frames="predictions")
def cross_fitted(predictions: pd.DataFrame, fold: Any) -> pd.Series:
    """One prediction per person, from K models of which each was tuned without one fold.

    Tune a model K times, each time without the people of one fold, and let each predict everybody.
    Whoever was in a fold gets the prediction of the model that has not seen them; the others, whom
    no model has seen, get the mean of all, by the folds' sizes. With that, :func:`mixed_mean` and
    its kin may be used on the people that the model was tuned on.

    Parameters
    ----------
    predictions : DataFrame
        (n, K), the column named "a" by the model that was tuned without fold "a". Of a belief one
        option, or the expected value, at a time.
    fold : array_like
        (n,) the fold of each person that models were tuned on; missing for the others. Members of
        a cluster must be in one fold, as `simkit.training.split_respondents` puts them by id.

    Returns
    -------
    Series
        (n,) on the index of `predictions`.

    Raises
    ------
    ValueError
        For fewer than two folds, and folds that are not the columns.

    References
    ----------
    Zrnic & Candès 2024, Proceedings of the National Academy of Sciences 121.

    Examples
    --------
    >>> models = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.5, 2.5, 4.0]})
    >>> cross_fitted(models, ["a", "b", None]).tolist()
    [1.0, 2.5, 3.5]
    """
    models = framed(predictions, "predictions")
    items = listed(fold, "fold")
    if len(items) != len(models):
        raise ValueError(f"fold has {len(items)} rows; it must have {len(models)}, as predictions")
    series = pd.Series(items, index=models.index, dtype=object)
    check_labels(series.to_frame("fold"), "fold")
    seen = series.notna().to_numpy()
    known = series[seen]
    if not seen.any():
        raise ValueError("fold: nobody is in a fold")
    labels(known, "fold", int(seen.sum()))
    names = list(models)
    strange = [v for v in known.unique() if v not in names]
    never = [c for c in names if c not in set(known)]
    if strange or never or len(names) < 2:
        raise ValueError(
            f"predictions has the columns {shown(names)} and fold {shown(list(known.unique()))}; "
            "they must be the same, two or more"
        )
    numbers = np.column_stack([column(models[c], f"predictions[{c!r}]", missing=True)
                               for c in names])  # fmt: skip
    place = known.map({c: k for k, c in enumerate(names)}).to_numpy(dtype=np.int64)
    sizes = np.bincount(place, minlength=len(names))
    out = numbers @ (sizes / sizes.sum())
    out[seen] = numbers[seen, place]
    return pd.Series(out, index=models.index)
