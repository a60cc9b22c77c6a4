"""What is measured of a survey: a model's beliefs and written answers, baselines, errors.

Each function takes a `Survey`; whatever is measured is measured on the people held out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from simkit import estimators
from simkit.audit import direct_shares
from simkit.personas import read_answers
from simkit.scoring import LocalModel, write
from simkit.scoring import believe as ask
from simkit.scoring.chat import lay_out, talk
from simkit.scoring.mass import LEAST_MASS
from simkit.scoring.types import Model
from simkit.survey import Survey
from simkit.training import data
from simkit.types import generator

__all__ = ["NAMES", "SMOOTHING", "baselines", "belief", "believe", "compared", "direct",
           "examples", "fit", "kl", "prompts", "sample", "shares", "true_shares", "wide", "worth",
           "written"]  # fmt: skip

SMOOTHING = 1e-3  # of KL: mass added to every answer
NAMES = {"kl": "KL", "log_loss": "Log loss", "rmse_mean": "RMSE of the mean",
         "rmse": "RMSE of a draw"}  # fmt: skip


def examples(
    survey: Survey,
    part: str = "train",
    respondents: int | None = None,
    seed: int = 0,
    *,
    model: Model | None = None,
) -> pd.DataFrame:
    """Examples to learn from; with `respondents`, those of so many, drawn by `seed`.

    model : whose chat lays the prompts out; None for plain text.
    """
    people, w = survey.part(part), survey.weights
    weighed = {w: people[w]} if w else {}
    tables = [
        data.examples(
            survey.designs[name].loc[people.index].assign(**weighed), {name: asked}, people,
            weights=w, orders=None, model=model,
        )
        for name, asked in survey.questions.items()
    ]  # fmt: skip
    table = pd.concat(tables, ignore_index=True)
    return table if respondents is None else data.subset(table, respondents, seed)


def believe(
    survey: Survey,
    model: Model,
    question: str,
    *,
    orders: Sequence[Sequence[int]] | None = None,
    least_mass: float = LEAST_MASS,
) -> pd.DataFrame:
    """What `simkit.believe` gives for the people held out, in their order.

    orders : as there; None for the options as given.
    least_mass : as there; 0 where the valid mass is shown, as a study's success rate is.
    """
    people, asked = survey.part("test"), survey.questions[question]
    design = survey.designs[question].loc[people.index].reset_index(drop=True)
    return ask(model, asked, design, orders=orders, least_mass=least_mass)


def wide(survey: Survey, table: pd.DataFrame, question: str) -> pd.DataFrame:
    """Belief (n, K) of a table from `believe`, a row per respondent, a column per value."""
    rows = table.pivot(index="prompt_id", columns="option_id", values="belief")
    return rows.set_axis(survey.scale(question), axis=1).set_axis(survey.part("test").index, axis=0)


def belief(survey: Survey, model: Model, question: str) -> pd.DataFrame:
    """Belief (n, K) of a model, see `believe` and `wide`."""
    return wide(survey, believe(survey, model, question), question)


def prompts(survey: Survey, model: Model, question: str) -> list[str]:
    """The prompts of the people held out, as the model gets them."""
    asked, design = survey.questions[question], survey.designs[question]
    design = design.loc[survey.part("test").index]
    texts, way = asked.prompts(design), talk(None, model)
    if way is None:
        return texts
    answers = asked.answers_for(design)
    return lay_out(model, texts, way, design, separator=asked.separator, answers=answers)[0]


def sample(
    survey: Survey, model: LocalModel, question: str, temperature: float, *, seed: int
) -> pd.DataFrame:
    """One answer per respondent held out that the model writes itself, token by token.

    Columns as `read_answers` gives them: `text`, `answer`, `value` (NaN where the text is no
    valid answer), `valid`; its mean is the success rate. The index is the respondents'.
    """
    people, asked = survey.part("test"), survey.questions[question]
    rng = generator(seed, "answers", question, f"{temperature:g}")
    seeds = rng.integers(2**31, size=len(people)).tolist()
    scored = asked.labels or asked.options
    longest = max(len(model.tokenizer.tokenize(" " + o)) for o in scored)
    texts = prompts(survey, model, question)
    texts = write(model, texts, seeds, max_tokens=longest + 2, temperature=temperature)
    return read_answers(asked, texts).set_axis(people.index, axis=0)


def baselines(survey: Survey, question: str) -> dict[str, pd.DataFrame]:
    """Predictions (n, K) of the people held out by each baseline, learnt from all others.

    Ordered questions have an ordered logit, others a multinomial one; ten nearest neighbours
    count. All that an adapter has seen counts: the training answers, and those of the validation
    part, by which its best step is chosen.
    """
    seen = ("train", "validation")
    known, new = pd.concat([survey.part(name) for name in seen]), survey.part("test")
    attributes = list(survey.told[question])
    y = pd.concat([survey.answers(question, name) for name in seen])
    scale, ordered = survey.scale(question), survey.ordered(question)
    logit = "ordered logit" if ordered else "multinomial logit"
    pair = known[attributes], new[attributes]
    how: dict[str, Any] = {"pseudo": 0.05, "weights": known[survey.weights] if survey.weights else
                           None}  # fmt: skip
    return {
        "uniform": estimators.uniform_belief(new, scale),
        "training marginal": estimators.marginal_belief(y, new, scale, **how),
        "nearest neighbours": estimators.neighbour_belief(y, *pair, scale, neighbours=10, **how),
        logit: estimators.logit_belief(y, *pair, scale, ordered=ordered, pseudo=0.05),
    }


def direct(
    survey: Survey, model: Model, question: str, population: str, *, step: int = 5
) -> tuple[pd.DataFrame, float]:
    """The population's shares, asked for directly, as everybody's belief; and the valid mass.

    Parameters
    ----------
    survey, question : the people held out have a row each.
    model : asked without any persona, see `simkit.audit.direct_shares`.
    population : as there, in words.
    step : as there.

    Returns
    -------
    The belief (n, K), all rows alike, and the mean valid mass of the answers.
    """
    found = direct_shares(model, survey.questions[question], population, step=step)
    people, scale = survey.part("test").index, survey.scale(question)
    rows = np.tile(found["share"].to_numpy(), (len(people), 1))
    return pd.DataFrame(rows, people, scale), float(found["valid_mass"].mean())


def worth(survey: Survey, question: str, kl: float, *, seed: int, repetitions: int = 200) -> float:
    """How many people asked at random would be as far from the population as a KL says.

    Parameters
    ----------
    survey, question : the people held out stand for the population.
    kl : in nats, smoothed by `SMOOTHING`.
    seed, repetitions : of the samples drawn from them, with replacement.

    Returns
    -------
    The size of the sample whose mean KL is nearest to `kl` among 2, 4, 8 … 1,024 and what lies
    between them (log-linear); infinity for a KL below that of 1,024, 0 above that of 2.
    """
    scale = survey.scale(question)
    shares = _shares(survey, question).to_numpy()
    sizes, rng = 2 ** np.arange(1, 11), generator(seed, "worth", question)
    drawn = (rng.multinomial(n, shares, size=repetitions) / n for n in sizes)
    smooth = [(np.vstack([x, shares]) + SMOOTHING) / (1 + SMOOTHING * len(scale)) for x in drawn]
    mean = np.array([(x[-1] * np.log(x[-1] / x[:-1])).sum(1).mean() for x in smooth])
    if not mean[-1] <= kl <= mean[0]:
        return float("inf") if kl < mean[-1] else 0.0
    return float(np.exp(np.interp(-np.log(kl), -np.log(mean), np.log(sizes))))


def fit(survey: Survey, question: str, belief: pd.DataFrame, **how: Any) -> pd.DataFrame:
    """Distances and errors of a belief (n, K), one row per metric with its interval.

    Parameters
    ----------
    survey, question : the people held out are those to be met.
    belief : (n, K), a row per person held out.
    how : n_boot and rng of the floor. Weights and clusters are the survey's own.

    Returns
    -------
    Columns metric, estimate, std_error, low, high, floor (sampling noise; the truth's own error
    where it is known), ceiling (uniform answers). Metrics: "kl" (smoothed by `SMOOTHING`) and "tv"
    of the population; "log_loss". On a scale also "wasserstein", "rmse" and "mae" of answers drawn
    from the belief, and "rmse_mean", the error of the mean of the belief; unlike that of a draw it
    does not fall only because beliefs are sharper.
    """
    y, scale = survey.answers(question), survey.scale(question)
    ordered, exact, of = survey.ordered(question), survey.exact(question), survey.sampling()
    metrics = ["kl", "tv", "wasserstein"] if ordered else ["kl", "tv"]
    crowd = estimators.marginal_fit(
        y, belief, scale, metrics=metrics, smoothing=SMOOTHING, **of, **how
    ).to_frame()
    each, point = (
        estimators.individual_fit(
            y, belief, scale, statistic=statistic, truth=exact, **of
        ).to_frame()
        for statistic in ("draw", "mean")
    )
    point = point[point["metric"] == "rmse"].assign(metric="rmse_mean")
    each = pd.concat([each, point]) if ordered else each[each["metric"] == "log_loss"]
    columns = ["metric", "estimate", "std_error", "low", "high", "floor", "ceiling"]
    return pd.concat([crowd[columns], each[columns]], ignore_index=True)


def kl(
    answers: pd.Series,
    simulated: pd.DataFrame | pd.Series,
    scale: list[float],
    alpha: float = 0.05,
    **sampling: Any,
) -> pd.Series:
    """KL of a belief (n, K), or of simulated answers, from the respondents', with its interval.

    sampling : weights and clusters, see `Survey.sampling`.
    """
    how: dict[str, Any] = {"metrics": ["kl"], "smoothing": SMOOTHING, "n_boot": 2, "alpha": alpha}
    how |= sampling
    return estimators.marginal_fit(answers, simulated, scale, **how)["kl"]


def shares(survey: Survey, question: str, beliefs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Share of each answer among the people held out and in each belief: method, value, share."""
    w = survey.sampling().get("weights")
    columns = {"respondents": _shares(survey, question)}
    means = {m: b.mean() if w is None else b.mul(w, axis=0).sum() / w.sum()
             for m, b in beliefs.items()}  # fmt: skip
    wide = pd.DataFrame(columns | means)
    return wide.rename_axis("value").reset_index().melt(
        "value", var_name="method", value_name="share"
    )  # fmt: skip


def _shares(survey: Survey, question: str) -> pd.Series:
    """Share of each answer among the people held out, weighted where they have weights."""
    answers, w = survey.answers(question), survey.sampling().get("weights")
    if w is None:
        people = answers.value_counts(normalize=True)
    else:
        given = w[answers.notna()]
        people = given.groupby(answers).sum() / given.sum()
    return people.reindex(survey.scale(question), fill_value=0.0)


def true_shares(survey: Survey, question: str) -> pd.DataFrame | None:
    """The world's own share of each answer (value, share) for the same people; None if unknown."""
    exact = survey.exact(question)
    return None if exact is None else exact.mean().rename_axis("value").reset_index(name="share")


def compared(
    asked: Iterable[tuple[Survey, str]],
    beliefs: Mapping[tuple[str, str], Mapping[str, pd.DataFrame]],
    masses: Mapping[tuple[str, str, str], pd.Series],
    first: str,
    second: str,
    measure: str,
    claim: str,
    margin: float = 0.0,
) -> pd.DataFrame:
    """The second method's error less the first's on every question, for `judged`.

    Parameters
    ----------
    asked : surveys and their questions; those that lack one of the two methods, and for an RMSE
        those without a scale, are left out.
    beliefs : (survey, question) -> method -> belief.
    masses : (survey, question, method) -> valid mass.
    first, second : methods; "logit" is the logit that the question has.
    measure : "kl", "log_loss", "rmse_mean" (of the belief's mean) or "rmse" (of a draw).
    claim : in words.
    margin : what the difference must lie below.

    Returns
    -------
    A row per question: survey, question, pair, measure, claim, margin; mass, the lower mean of the
    two; what `fit_difference` gives; p, against the margin.
    """
    rows = []
    name, statistic = measure.removesuffix("_mean"), "mean" if measure == "rmse_mean" else "draw"
    for survey, question in asked:
        of = beliefs[survey.name, question]
        two = [m for n in (first, second) for m in of if m == n or m.endswith(f" {n}")]
        if len(two) < 2 or (name == "rmse" and not survey.ordered(question)):
            continue
        result = estimators.fit_difference(
            survey.answers(question), of[two[0]], of[two[1]], survey.scale(question),
            metrics=[name], smoothing=SMOOTHING, statistic=statistic, **survey.sampling(),
        )  # fmt: skip
        row = result[name]
        clusters = survey.sampling().get("cluster")
        n = result.n if clusters is None else clusters.nunique()
        far = (row["estimate"] - margin) / (row["std_error"] or np.nan)
        keys = [(survey.name, question, m) for m in two]
        rows.append({
            "survey": survey.name, "question": question, "pair": f"{second} − {two[0]}",
            "measure": measure, "claim": claim, "margin": margin,
            "mass": min(masses[key].mean() for key in keys if key in masses), **row,
            "p": 2 * stats.t.sf(abs(far), n - 1),
        })  # fmt: skip
    return pd.DataFrame(rows)


def written(
    survey: Survey,
    model: LocalModel,
    question: str,
    belief: pd.DataFrame,
    temperatures: Iterable[float],
    *,
    seed: int,
) -> pd.DataFrame:
    """Answers that the model writes itself, against where answers drawn from its belief would lie.

    Parameters
    ----------
    survey, question : the people held out are asked.
    model : a model that writes.
    belief : its belief (n, K).
    temperatures : of the answers.
    seed : of the answers and of the draws from the belief.

    Returns
    -------
    A row per metric (kl, rmse of a draw) and temperature: success rate, `sampled` (of the written
    answers), `exact` (of the belief), low and high (99.9 % of such samples), within. Temperatures
    without one valid answer are left out.
    """
    y, scale, rows = survey.answers(question), survey.scale(question), []
    for t in temperatures:
        answers = sample(survey, model, question, t, seed=seed)
        valid = answers["valid"]
        if not valid.any():
            continue
        value, people = answers.loc[valid, "value"], y[valid]
        ends = estimators.drawn_fit(
            people, belief[valid], scale, smoothing=SMOOTHING, repetitions=4_000, alpha=0.001,
            rng=seed, temperature=t,
        ).to_frame()  # fmt: skip
        errors = {"kl": kl(people, value, scale)["estimate"],
                  "rmse": float(np.sqrt(((value - people) ** 2).mean()))}  # fmt: skip
        rows += [
            {"metric": m, "temperature": t, "success rate": valid.mean(), "sampled": error,
             **ends.loc[m, ["exact", "low", "high"]]}
            for m, error in errors.items()
        ]  # fmt: skip
    names = ["metric", "temperature", "success rate", "sampled", "exact", "low", "high"]
    table = pd.DataFrame(rows, columns=names).astype(dict.fromkeys(names[1:], float))
    inside = table["sampled"].between(table["low"] - 1e-9, table["high"] + 1e-9)
    return table.assign(within=inside)
