"""What a fine-tuned model has to beat: predictions of held-out answers without any language model.

Each function gives one row of probabilities per new respondent, a column per option: what the
fits (`marginal_fit`, `individual_fit`, `temperature_curve`) take for a belief. The more a
baseline uses, the harder it is to beat: nothing (`uniform_belief`), the answers of the training
respondents (`marginal_belief`), those of the respondents most alike (`neighbour_belief`), a
regression on what is known of them (`logit_belief`). The regressions are statsmodels': scikit-learn
has no ordered logit, and its neighbours know neither missing features nor ties.
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
from simkit.types import FloatArray, IntArray, column, counted, integer, labels, scalar

__all__ = ["logit_belief", "marginal_belief", "neighbour_belief", "uniform_belief"]

SEPARATED = 20.0  # a coefficient above this, on a standardised column, is separation, no estimate


@checked(new=rows_of)
def uniform_belief(new: int | pd.DataFrame, options: Sequence[Any]) -> pd.DataFrame:
    """Equal probabilities for every new respondent.

    Parameters
    ----------
    new : int or DataFrame
        The number n of new respondents, or a frame with a row each.
    options : sequence
        The K possible answers.

    Returns
    -------
    DataFrame
        (n, K), a column per option.

    Raises
    ------
    ValueError
        For options that repeat, and fewer than one respondent.

    Examples
    --------
    >>> from simkit import estimators as est
    >>> est.uniform_belief(2, ["no", "yes"])
        no  yes
    0  0.5  0.5
    1  0.5  0.5
    """
    numeric_scale(options, None)
    return _table(np.full(len(options), 1 / len(options)), options, new)


@checked("answers weights", new=rows_of)
def marginal_belief(
    answers: Any,
    new: int | pd.DataFrame,
    options: Sequence[Any],
    *,
    weights: npt.ArrayLike | None = None,
    pseudo: float = 0.0,
) -> pd.DataFrame:
    """The shares of the training answers, the same for every new respondent.

    Parameters
    ----------
    answers : array_like
        (m,) of the training respondents, each one of `options`; missing ones are left out and
        counted in `attrs["notes"]`.
    new, options
        As in :func:`uniform_belief`.
    weights : array_like, optional
        (m,) survey weights, brought to a mean of 1 so that `pseudo` is in answers.
    pseudo : float
        Answers added to every option, so that none has probability 0; 0 gives the shares.

    Returns
    -------
    DataFrame
        (n, K), a column per option.

    Raises
    ------
    ValueError
        For an answer that is no option (naming the row), a negative pseudo, and where no answer is
        left.

    Examples
    --------
    >>> from simkit import estimators as est
    >>> est.marginal_belief(["yes", "yes", "no", "yes"], 2, ["no", "yes"])
         no   yes
    0  0.25  0.75
    1  0.25  0.75
    """
    _, code, weight, notes = _training(answers, options, weights)
    share = np.bincount(code, weight, minlength=len(options)) + scalar(pseudo, "pseudo", 0)
    return _table(share / share.sum(), options, new, notes)


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
    """Shares of the answers of the training respondents most like each new one.

    Parameters
    ----------
    answers : array_like
        (m,) as in :func:`marginal_belief`.
    features : DataFrame
        (m, F), a row per training respondent.
    new : DataFrame
        (n, F), a row per new respondent, the same columns.
    options : sequence
        The K possible answers.
    neighbours : int
        How many of the nearest count. All that lie as near as the last of them count too, so that
        no draw decides. As many as there are respondents gives :func:`marginal_belief`.
    weights, pseudo
        As in :func:`marginal_belief`.

    Returns
    -------
    DataFrame
        (n, K), a column per option.

    Raises
    ------
    ValueError
        As :func:`marginal_belief`, and for columns that differ and a number of neighbours out of
        range.

    Notes
    -----
    Numbers differ by the absolute difference over the range of the training column (1 at most),
    other values by 0 or 1. The distance is the mean over columns in which both are known, and 1
    where none is.

    References
    ----------
    Gower 1971, Biometrics 27.

    Examples
    --------
    >>> import pandas as pd
    >>> from simkit import estimators as est
    >>> known = pd.DataFrame({"age": [20, 30, 60], "town": ["a", "b", "a"]})
    >>> new = pd.DataFrame({"age": [58], "town": ["a"]})
    >>> est.neighbour_belief(["no", "no", "yes"], known, new, ["no", "yes"])
        no  yes
    0  0.0  1.0
    """
    kept, code, weight, notes = _training(answers, options, weights)
    _check_features(features, new, len(answers))
    integer(neighbours, "neighbours", 1, len(kept))
    distance = _gower(features.iloc[kept], new)  # (n, m)
    last = np.partition(distance, neighbours - 1, axis=1)[:, neighbours - 1, None]
    near = (distance <= last + 1e-12) * weight
    rows = near @ np.eye(len(options))[code] + scalar(pseudo, "pseudo", 0)
    return _table(rows / rows.sum(1, keepdims=True), options, new, notes)


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
    """Predictions of a logit of the answers on the features: what a survey analyst would do.

    Parameters
    ----------
    answers, features, new, options
        As in :func:`neighbour_belief`. Numbers enter as they are, other values as a dummy each (the
        first is the base). A missing feature, in training or new, is at its mean (numbers) or at a
        level of its own (others).
    ordered : bool
        Whether to fit cumulative logits over `options` in their order (statsmodels' `OrderedModel`)
        or else a multinomial logit (`MNLogit`). With two options they are the same model.
    pseudo : float
        Mixed into each prediction p as so many answers per option beside the m training ones:
        (m p + pseudo) / (m + K pseudo). 0 gives the fit's own predictions.

    Returns
    -------
    DataFrame
        (n, K), a column per option. An option that no training respondent chose has probability 0
        (before `pseudo`), which `attrs["notes"]` say, as they do where the maximum was not found or
        a coefficient runs away (separation).

    Raises
    ------
    ValueError
        As :func:`neighbour_belief`, and for fewer than two chosen options and a level that the
        training respondents do not have (naming column and row).

    References
    ----------
    McCullagh 1980, J. Royal Statistical Society B 42.

    Examples
    --------
    >>> import pandas as pd
    >>> from simkit import estimators as est
    >>> known = pd.DataFrame({"age": [20, 25, 30, 40, 50, 60]})
    >>> answers = ["no", "yes", "no", "yes", "no", "yes"]
    >>> est.logit_belief(answers, known, pd.DataFrame({"age": [40]}), ["no", "yes"]).round(2)
         no   yes
    0  0.47  0.53
    """
    kept, code, _, notes = _training(answers, options, None)
    _check_features(features, new, len(answers))
    x, z = _design(features.iloc[kept], new)
    chosen, place = np.unique(code, return_inverse=True)
    if len(chosen) < 2:
        raise ValueError(f"all answers are {options[int(chosen[0])]!r}; there must be two kinds")
    problems: tuple[str, ...] = ()
    if x.shape[1]:
        predicted, problems = _predicted(place, x, z, ordered)
    else:  # nothing to regress on: the training shares
        predicted = np.tile(np.bincount(place) / len(place), (len(new), 1))
    m, k = len(code), len(options)
    rows = np.zeros((len(new), k))
    rows[:, chosen] = predicted
    rows = (m * rows + scalar(pseudo, "pseudo", 0)) / (m + k * pseudo)
    lost = counted(k - len(chosen), k, "options that no training respondent chose: probability 0")
    return _table(rows / rows.sum(1, keepdims=True), options, new, notes + lost + problems)


def _predicted(
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
            rows, slopes = model.predict(fit.params, exog=z), fit.params[: x.shape[1]]
        else:
            x, z = (add_constant(a, has_constant="add") for a in (x, z))
            fit = MNLogit(place, x).fit(method="bfgs", maxiter=2_000, disp=0)
            rows, slopes = fit.predict(z), fit.params[1:]
    notes: tuple[str, ...] = ()
    if not fit.mle_retvals["converged"]:
        notes += ("the maximum of the likelihood was not found to full accuracy",)
    if np.abs(slopes).max() > SEPARATED:
        notes += ("a coefficient runs away: some feature separates the answers",)
    return np.asarray(rows, dtype=np.float64), notes


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


def _design(known: pd.DataFrame, new: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Columns (m, P) and (n, P) of the regression; those that are constant in training drop out."""
    columns, m = [], len(known)
    for name in known:
        a, b = known[name], new[name]
        if _is_number(a):
            scale = a.std(ddof=0)
            if scale > 0:
                standard = (pd.concat([a, b]) - a.mean()) / scale
                columns.append(standard.fillna(0.0).to_numpy(float))
            continue
        a, b = _named(a), _named(b)
        levels, strange = list(dict.fromkeys(a)), ~b.isin(a)
        if strange.any():
            row, value = b.index[strange][0], b[strange].iloc[0]
            raise ValueError(f"{name}: row {row!r} holds {value!r}; it must be one of {levels}, "
                             "as in training")  # fmt: skip
        columns += [(pd.concat([a, b]) == level).to_numpy(float) for level in levels[1:]]
    table = np.reshape(columns, (-1, m + len(new))).T
    return table[:m], table[m:]


def _named(values: pd.Series) -> pd.Series:
    """The values as objects, "(missing)" where there is none."""
    return values.astype(object).where(values.notna(), "(missing)")


def _gower(known: pd.DataFrame, new: pd.DataFrame) -> FloatArray:
    """Distances (n, m), 0 to 1."""
    total, columns = np.zeros((2, len(new), len(known)))
    for name in known:
        a, b = known[name], new[name]
        both = np.outer(b.notna(), a.notna())
        if _is_number(a):
            x, y = (v.to_numpy(dtype=float, na_value=np.nan) for v in (a, b))
            off = np.abs(y[:, None] - x) / (float(a.max() - a.min()) or 1.0)
            off = np.minimum(off, 1.0)  # beyond the range of the training respondents
        else:
            off = _named(b).to_numpy()[:, None] != _named(a).to_numpy()
        total += np.where(both, off, 0.0)
        columns += both
    return np.asarray(np.divide(total, columns, out=np.ones_like(total), where=columns > 0))


def _is_number(values: pd.Series) -> bool:
    return values.dtype.kind in "iuf"


def _check_features(features: pd.DataFrame, new: pd.DataFrame, rows: int) -> None:
    if list(features) != list(new):
        raise ValueError(
            f"new has the columns {list(new)}; they must be {list(features)}, in order"
        )
    if len(features) != rows:
        raise ValueError(f"features have {len(features)} rows; they must have {rows}, as answers")
    if not len(new):
        raise ValueError("new has no rows; it must have one per new respondent")
    for name in features:
        number = _is_number(features[name])
        if number and not _is_number(new[name]):
            raise ValueError(f"new[{name}] holds {new[name].dtype} values; they must be numbers, "
                             "as in features")  # fmt: skip
        for what, frame in (("features", features), ("new", new)):
            if number:
                column(frame[name], f"{what}[{name}]", missing=True)
            else:
                labels(_named(frame[name]), f"{what}[{name}]", len(frame))


def _training(
    answers: Any, options: Sequence[Any], weights: npt.ArrayLike | None
) -> tuple[IntArray, IntArray, FloatArray, tuple[str, ...]]:
    """The rows with an answer and a weight, their codes and weights; how many have none."""
    numeric_scale(options, None)
    code = answer_codes(answers, options, "answers")
    n = len(code)
    weight = np.ones(n) if weights is None else column(weights, "weights", low=0, rows=n)
    kept = np.flatnonzero((code >= 0) & (weight > 0))
    if not len(kept):
        raise ValueError("no training answer is left; there must be one or more")
    notes = counted(n - len(kept), n, "training answers missing, or of weight 0")
    weight = weight[kept] / weight[kept].max()
    return kept, code[kept], weight / weight.mean(), notes


def _table(
    rows: FloatArray,
    options: Sequence[Any],
    new: int | pd.DataFrame,
    notes: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Probabilities (n, K), or (K,) for all, of the new respondents."""
    index = pd.RangeIndex(new) if isinstance(new, int) else new.index
    if not len(index):
        raise ValueError(f"{len(index)} new respondents; there must be one or more")
    rows = np.array(np.broadcast_to(rows, (len(index), len(options))))
    table = pd.DataFrame(rows, index=index, columns=list(options))
    table.attrs["notes"] = notes
    return table
