"""What a fine-tuned model has to beat: predictions of held-out answers without any language model.

Each function gives one row of probabilities per new respondent, a column per option: what the
fits (`marginal_fit`, `individual_fit`, `temperature_curve`) take for a belief. The more a
baseline uses, the harder it is to beat: nothing (`uniform_belief`), the answers of the training
respondents (`marginal_belief`), those of the respondents most alike (`neighbour_belief`), a
regression on what is known of them (`logit_belief`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.estimators.shared.arguments import checked, rows_of
from simkit.estimators.shared.respondents import answer_codes, numeric_scale
from simkit.types import FloatArray, IntArray, column, counted, labels

__all__ = ["logit_belief", "marginal_belief", "neighbour_belief", "uniform_belief"]

SEPARATED = 20.0  # a coefficient above this, on a standardised column, is separation, no estimate


@checked(new=rows_of)
def uniform_belief(new: int | pd.DataFrame, options: Sequence[Any]) -> pd.DataFrame:
    """Equal probabilities (n, K) for every new respondent.

    new : the number n of new respondents, or a frame with a row each. options : the K legal
    answers. Raises ValueError for options that repeat and fewer than one respondent.
    """
    index = _index(new)
    numeric_scale(options, None)
    return _table(np.full((len(index), len(options)), 1 / len(options)), options, index)


@checked("answers weights", new=rows_of)
def marginal_belief(
    answers: Any,
    new: int | pd.DataFrame,
    options: Sequence[Any],
    *,
    weights: npt.ArrayLike | None = None,
    pseudo: float = 0.0,
) -> pd.DataFrame:
    """The shares of the training answers, the same for every new respondent: (n, K).

    answers : (m,) of the training respondents, each one of `options`; missing ones are left out
        and counted in `attrs["notes"]`. weights : (m,) survey weights. new, options : as in
        `uniform_belief`.
    pseudo : answers added to every option, so that none has probability 0; 0 gives the shares.
    Raises ValueError for an answer that is no option (naming the row), a negative pseudo, and
    where nothing is left to count.
    """
    code, weight, notes = _training(answers, options, weights)
    share = np.bincount(code, weight, minlength=len(options)) + _pseudo(pseudo)
    index = _index(new)
    rows = np.tile(share / share.sum(), (len(index), 1))
    return _table(rows, options, index, notes)


@checked("answers features weights", frames="features new")
def neighbour_belief(
    answers: Any,
    features: pd.DataFrame,
    new: pd.DataFrame,
    options: Sequence[Any],
    *,
    neighbours: int = 1,
    weights: npt.ArrayLike | None = None,
    pseudo: float = 0.0,
) -> pd.DataFrame:
    """Shares of the answers of the training respondents most like each new one: (n, K).

    answers : (m,) as in `marginal_belief`. features : (m, F), a row per training respondent.
    new : (n, F), the same columns. Numbers differ by |a - b| over the range of the training
    column, other values by 0 or 1; the distance is the mean over columns in which both are known
    (Gower 1971), and 1 where none is.
    neighbours : how many of the nearest count; all that lie as near as the last of them count
        too, so that no draw decides. As many as there are respondents gives `marginal_belief`.
    weights, pseudo : as in `marginal_belief`.
    Raises ValueError for columns that differ, a number of neighbours out of range, and as there.
    """
    code, weight, notes = _training(answers, options, weights)
    known = _features(features, new, answers)
    kept = _kept(answers, options, weights)
    if not 1 <= neighbours <= len(kept):
        raise ValueError(f"neighbours is {neighbours!r}; legal are 1 to {len(kept)}")
    apart = _gower(known.iloc[kept], new)  # (n, m)
    last = np.partition(apart, neighbours - 1, axis=1)[:, neighbours - 1, None]
    near = (apart <= last + 1e-12) * weight
    rows = near @ np.eye(len(options))[code] + _pseudo(pseudo)
    return _table(rows / rows.sum(1, keepdims=True), options, new.index, notes)


@checked("answers features", frames="features new")
def logit_belief(
    answers: Any,
    features: pd.DataFrame,
    new: pd.DataFrame,
    options: Sequence[Any],
    *,
    ordered: bool = True,
    pseudo: float = 0.0,
) -> pd.DataFrame:
    """Predictions (n, K) of a logit of the answers on the features: what a survey analyst would do.

    answers, features, new : as in `neighbour_belief`. Numbers enter as they are, other values as a
    dummy each (the first is the base); numbers are standardised, which changes no prediction.
    ordered : cumulative logits over `options` in their order (statsmodels `OrderedModel`; McCullagh
        1980); False: a multinomial logit (`MNLogit`). With two options they are the same model.
    pseudo : mixed into each prediction as so many answers per option beside the m training ones:
        (m p + pseudo) / (m + K pseudo). 0 gives the fit's own predictions.

    An option that no training respondent chose has probability 0 (before `pseudo`), which the
    attrs["notes"] say, as they do where the maximum was not found or a coefficient runs away
    (separation). A respondent with a missing feature, training or new, has it at its mean (numbers)
    or at a level of its own (others).
    Raises ValueError for fewer than two chosen options, columns that differ, a new level that the
    training respondents do not have (naming column, row and the legal ones), and as there.
    Source: McCullagh (1980), J. Royal Statistical Society B 42; the fits are those of statsmodels.
    """
    code, _, notes = _training(answers, options, None)
    _features(features, new, answers)
    kept = _kept(answers, options, None)
    x, z = _design(features.iloc[kept], new)
    seen = np.unique(code)
    if len(seen) < 2:
        raise ValueError(f"all answers are {options[int(seen[0])]!r}; legal are two or more kinds")
    place = np.searchsorted(seen, code)
    said: tuple[str, ...] = ()
    if x.shape[1] == 0:  # nothing to regress on: the training shares
        found = np.tile(np.bincount(place) / len(place), (len(new), 1))
    else:
        found, said = _fitted(place, x, z, ordered)
    rows = np.zeros((len(new), len(options)))
    rows[:, seen] = found
    m, k = len(code), len(options)
    rows = (m * rows + _pseudo(pseudo)) / (m + k * pseudo)
    lost = counted(k - len(seen), k, "options that no training respondent chose: probability 0")
    return _table(rows / rows.sum(1, keepdims=True), options, new.index, notes + lost + said)


def _fitted(
    place: IntArray, x: FloatArray, z: FloatArray, ordered: bool
) -> tuple[FloatArray, tuple[str, ...]]:
    """Predicted probabilities of the kinds of answer that occur, and what went wrong."""
    from statsmodels.discrete.discrete_model import MNLogit
    from statsmodels.miscmodels.ordinal_model import OrderedModel
    from statsmodels.tools import add_constant

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say stands in the notes
        if ordered:
            kinds = pd.Series(pd.Categorical(place, ordered=True))
            model = _with_gradient(OrderedModel)(kinds, x, distr="logit")
            fit = model.fit(method="bfgs", maxiter=500, disp=0, skip_hessian=True)
            found, slopes = model.predict(fit.params, exog=z), fit.params[: x.shape[1]]
        else:
            x, z = (add_constant(a, has_constant="add") for a in (x, z))
            fit = MNLogit(place, x).fit(method="bfgs", maxiter=2_000, disp=0)
            found, slopes = fit.predict(z), fit.params[1:]
    notes: tuple[str, ...] = ()
    if not fit.mle_retvals["converged"]:
        notes += ("the maximum of the likelihood was not found to full accuracy",)
    if np.abs(slopes).max() > SEPARATED:
        notes += ("a coefficient runs away: some feature separates the answers",)
    return np.asarray(found, dtype=np.float64), notes


def _with_gradient(model: Any) -> Any:
    """`OrderedModel` with its gradient in closed form.

    statsmodels takes differences instead: two likelihoods per parameter, 50 times slower on a
    scale of 11 answers. Its parameters are the slopes, the first threshold t_0, and log
    increments a_j = ln(t_j - t_{j-1}), so dt_j / da_k = exp(a_k) for k <= j.
    """

    class Ordered(model):  # type: ignore[misc]
        def score(self, params: FloatArray) -> FloatArray:
            low, high = self._bounds(params)
            below, above = self.pdf(low), self.pdf(high)
            mass = self.prob(low, high) + 1e-20
            slopes = -((above - below) / mass) @ self.exog
            last = self.k_levels - 1
            # answer y lies between t_{y-1} and t_y; the ends, at infinity, have density 0
            thresholds = np.bincount(self.endog, above / mass, minlength=last + 1)[:last]
            thresholds -= np.bincount(self.endog, below / mass, minlength=last + 1)[1:]
            tail = thresholds[::-1].cumsum()[::-1]
            tail[1:] *= np.exp(params[-last:][1:])
            return np.concatenate([slopes, tail])

    return Ordered


def _design(features: pd.DataFrame, new: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Columns (m, P) and (n, P) of the regression; those that are constant in training drop out."""
    left, right = [], []
    for name in features:
        a, b = features[name], new[name]
        if _is_number(a):
            centre, scale = float(a.mean()), float(a.std(ddof=0))
            if scale > 0:
                left.append(((a - centre) / scale).fillna(0.0).to_numpy(float)[:, None])
                right.append(((b - centre) / scale).fillna(0.0).to_numpy(float)[:, None])
            continue
        levels = _levels(name, a, b)
        for level in levels[1:]:
            left.append((_named(a) == level).to_numpy(float)[:, None])
            right.append((_named(b) == level).to_numpy(float)[:, None])
    if not left:
        return np.zeros((len(features), 0)), np.zeros((len(new), 0))
    return np.hstack(left), np.hstack(right)


def _levels(name: Any, a: pd.Series, b: pd.Series) -> list[Any]:
    levels = list(dict.fromkeys(_named(a)))
    strange = ~_named(b).isin(levels)
    if strange.any():
        row, value = b.index[strange][0], b[strange].iloc[0]
        raise ValueError(f"{name}: row {row!r} holds {value!r}; legal are {levels}, as in training")
    return levels


def _named(values: pd.Series) -> pd.Series:
    """The values as objects, "(missing)" where there is none."""
    return values.astype(object).where(values.notna(), "(missing)")


def _gower(known: pd.DataFrame, new: pd.DataFrame) -> FloatArray:
    """Distances (n, m), 0 to 1."""
    total, there = np.zeros((len(new), len(known))), np.zeros((len(new), len(known)))
    for name in known:
        a, b = known[name], new[name]
        both = b.notna().to_numpy()[:, None] & a.notna().to_numpy()
        if _is_number(a):
            wide = float(a.max() - a.min()) or 1.0
            of = [v.to_numpy(dtype=float, na_value=np.nan) for v in (b, a)]
            off = np.abs(of[0][:, None] - of[1]) / wide
            off = np.minimum(off, 1.0)  # beyond the range of the training respondents
        else:
            known_here = [v.astype(object).where(v.notna(), None).to_numpy() for v in (b, a)]
            off = (known_here[0][:, None] != known_here[1]).astype(float)
        total += np.where(both, off, 0.0)
        there += both
    gone = np.ones_like(total)
    return np.asarray(np.divide(total, there, out=gone, where=there > 0))


def _is_number(values: pd.Series) -> bool:
    return values.dtype.kind in "iuf"


def _features(features: pd.DataFrame, new: pd.DataFrame, answers: Any) -> pd.DataFrame:
    if list(features) != list(new):
        raise ValueError(f"new has the columns {list(new)}; legal are {list(features)}, in order")
    if len(features) != len(answers):
        raise ValueError(f"features have {len(features)} rows; legal is {len(answers)}, as answers")
    if not len(new):
        raise ValueError("new has no rows; legal is one per new respondent")
    for name in features:
        if _is_number(features[name]):
            column(features[name], f"features[{name}]", missing=True)
            column(new[name], f"new[{name}]", missing=True)
            if not _is_number(new[name]):
                raise ValueError(f"new[{name}] holds {new[name].dtype} values; legal are numbers, "
                                 "as in features")  # fmt: skip
            continue
        for what, frame in (("features", features), ("new", new)):
            labels(_named(frame[name]), f"{what}[{name}]", len(frame))
    return features


def _training(
    answers: Any, options: Sequence[Any], weights: npt.ArrayLike | None
) -> tuple[IntArray, FloatArray, tuple[str, ...]]:
    """Codes and weights of the answers that are there, and a note of how many are not."""
    numeric_scale(options, None)
    kept = _kept(answers, options, weights)
    code = answer_codes(answers, options, "answers")
    weight = _weights(weights, len(code))
    notes = counted(len(code) - len(kept), len(code), "training answers missing, or of weight 0")
    if not len(kept):
        raise ValueError("no training answer is left; legal is one or more")
    return code[kept], weight[kept], notes


def _kept(answers: Any, options: Sequence[Any], weights: npt.ArrayLike | None) -> IntArray:
    code = answer_codes(answers, options, "answers")
    return np.flatnonzero((code >= 0) & (_weights(weights, len(code)) > 0))


def _weights(weights: npt.ArrayLike | None, rows: int) -> FloatArray:
    return np.ones(rows) if weights is None else column(weights, "weights", low=0, rows=rows)


def _pseudo(pseudo: float) -> float:
    if not 0 <= pseudo < np.inf:
        raise ValueError(f"pseudo is {pseudo!r}; legal are finite numbers from 0")
    return float(pseudo)


def _index(new: int | pd.DataFrame) -> pd.Index:
    index = pd.RangeIndex(new) if isinstance(new, int) else new.index
    if not len(index):
        raise ValueError(f"{len(index)} new respondents; legal are one or more")
    return index


def _table(
    rows: FloatArray, options: Sequence[Any], index: pd.Index, notes: tuple[str, ...] = ()
) -> pd.DataFrame:
    table = pd.DataFrame(rows, index=index, columns=list(options))
    table.attrs["notes"] = notes
    return table
