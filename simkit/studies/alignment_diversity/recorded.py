"""Diversity of people, of recorded models and of language-model twins, as small tables.

    python -m simkit.studies.alignment_diversity.recorded

with the data in reach (see `simkit.datasets`) writes data/results/alignment_humans.csv and
alignment_models.csv.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit

from simkit import datasets
from simkit.estimators import (
    crp_clusters,
    line_of_unity,
    pairwise_agreement,
    split_rhat,
    spread_ratio,
    srgb_to_lab,
)
from simkit.estimators.diversity.clusters import MIXED
from simkit.studies.claims import holm, mean_ends
from simkit.studies.tables import Table, twins
from simkit.types import FloatArray, generator, one_of

__all__ = ["PAIRS", "SMALL", "TABLES", "colour_blocks", "human_results", "model_results",
           "pair_table", "position_logit", "results"]  # fmt: skip

PAIRS = {
    "openchat": "starling",
    "mistral-instruct": "zephyr-mistral",
    "gemma-instruct": "zephyr-gemma",
    "tulu": "tulu-dpo",
    "llama2": "llama2-chat",
}
SAME_N = 75  # people per concept in the better way: every model has as many
CAPS = (25, 50, 75, 100)  # people per concept as published: the first with all 36 answers
BURN_IN = 100  # of the 499 sweeps of the human chains, which begin with everybody alone
SMALL = 0.05  # a change of P(multiple concepts) that would not matter
QUESTIONS = [f"q{i:02d}" for i in range(1, 37)]


def colour_blocks() -> tuple[FloatArray, FloatArray, list[str]]:
    """The human colour associations: two (people, words, 3) CIELAB blocks, and the words.

    People in the order of their numbers, which the published pairs i < j depend on. Raises
    `DataError` without the data.
    """
    frame = datasets.load("onefish_colors")
    lab = srgb_to_lab(frame[["red", "green", "blue"]].to_numpy(dtype=float))
    person, people = pd.factorize(frame["person"], sort=True)
    word, words = pd.factorize(frame["word"])
    blocks = np.full((2, len(people), len(words), 3), np.nan)
    blocks[frame["block"] - 1, person, word] = lab
    return blocks[0], blocks[1], [str(w) for w in words]


def human_results(*, seed: int = 1) -> pd.DataFrame:
    """People's diversity: colours, concepts, and twins. Columns section, quantity, estimate, low,
    high, low_people, high_people, n.

    Sections "colour, i < j" and "colour, i != j": the means over words of `line_of_unity`.
    "concepts": P(multiple concepts) of each concept from the published chains (3 chains without
    their first 100 sweeps; low and high are quantiles of the posterior, NaN where R-hat is above
    1.05; n people), with its R-hat as another quantity, and the means over animals, politicians
    and all. The answers behind these chains are not published: they have no permutation null, and
    nobody was asked twice, so alpha is 0.16, as published. "twins, sd", "twins,
    entropy": `spread_ratio` of the language-model twins of Twin-2K-500 over studies, and "twins,
    sd, study: ..." its geometric mean within each study.
    """
    one, two, words = colour_blocks()
    parts = []
    for pairs, label in (("source", "colour, i < j"), ("all", "colour, i != j")):
        unity = line_of_unity(one, two, words=words, pairs=pairs, permutations=200, rng=seed)
        parts.append(_rows(unity.overall, label, len(words)))
    parts += [_human_concepts(), _twins()]
    return pd.concat(parts, ignore_index=True)


def _rows(result: object, section: str, n: int) -> pd.DataFrame:
    frame = result.to_frame()  # type: ignore[attr-defined]
    columns = ["estimate", "low", "high", "low_people", "high_people"]
    rows = frame.reindex(columns=columns).rename_axis("quantity").reset_index()
    return rows.assign(section=section, n=n)[["section", "quantity", *columns, "n"]]


def _human_concepts() -> pd.DataFrame:
    chains = datasets.load("onefish_chains")
    chains = chains[chains["Iteration"] > BURN_IN]
    rows, means = [], {}
    for concept, part in chains.groupby("Concept"):
        multiple = 1 - part["ProbabilityOfSameTable"]
        draws = [c.to_numpy() for _, c in multiple.groupby(part["Chain"])]
        least = min(map(len, draws))
        rhat = split_rhat(np.stack([d[:least] for d in draws]))
        low, high = np.quantile(multiple, [0.025, 0.975]) if rhat <= MIXED else (np.nan, np.nan)
        n = int(part["NumberOfPeople"].iloc[0])
        means[str(concept)] = multiple.mean()
        rows.append([f"p_multiple, {concept}", multiple.mean(), low, high, n])
        rows.append([f"rhat, {concept}", rhat, np.nan, np.nan, n])
    every = pd.Series(means)
    animals = every.index.str.islower()  # politicians have capitals
    kinds = {"animals": every[animals], "politicians": every[~animals], "all": every}
    groups = pd.concat(kinds).groupby(level=0, sort=False)
    for (kind, row), n in zip(mean_ends(groups).iterrows(), groups.size(), strict=True):
        rows.append([f"p_multiple, mean of {kind}", *row[["estimate", "low", "high"]], n])
    frame = pd.DataFrame(rows, columns=["quantity", "estimate", "low", "high", "n"])
    return frame.assign(section="concepts")


def _twins() -> pd.DataFrame:
    people, of_people, scales = twins()
    study = scales.set_index("outcome")["study"]
    by = list(study.reindex(people.columns, fill_value="unnamed"))
    parts = []
    for kind in ("sd", "entropy"):
        ratio = spread_ratio(people, of_people, kind=kind, by=by)
        parts.append(_rows(ratio.overall, f"twins, {kind}", people.shape[1]))
        if kind == "sd":
            within = np.log(ratio.to_frame()["estimate"]).groupby(by).agg(["mean", "size"])
            parts.append(pd.DataFrame({
                "section": "twins, sd, study", "quantity": within.index,
                "estimate": np.exp(within["mean"]).to_numpy(), "n": within["size"].to_numpy(),
            }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def model_results(*, seed: int = 1) -> pd.DataFrame:
    """P(multiple concepts) of the ten recorded models, as published and in a better way.

    One row per model, concept and way (prompt "none", the default temperature). "source": people
    with all 36 answers, the first 25, 50, 75 and 100 of them, one chain each from everybody alone,
    the last of 500 sweeps, averaged over the four. "better": 75 people of each concept, drawn
    anew, missing answers and all; 4 chains from different seatings, all sweeps after the first
    fifth, R-hat; alpha from the agreement of two answers; and a permutation null. Columns model,
    way, concept, people, estimate (p_multiple), low, high (posterior; NaN where R-hat is above
    1.05, and for one sweep), rhat, null, above (estimate - null), p, power and alpha (see
    `crp_clusters`), agreement, second (share of answers for the option named second), position
    (see `position_logit`), missing.

    All "people" of a model read one prompt: two of them are one person asked twice, and their
    agreement is that of a retest. So there is nobody to tell apart, and above is 0 but for noise.

    What no way can undo: of the two orders in which every pair was asked, the record keeps the
    first only, so content and position are one in it, and a model that takes what is named first
    looks like a model of one mind. `second` and `position` say where that is so.
    """
    data = datasets.load("onefish_concepts")
    data = data[(data["prompt"] == "none") & (data["temperature"] == "default")]
    models = [_model(part, str(name), seed) for name, part in data.groupby("model")]
    return pd.concat(models, ignore_index=True)


def _model(answers: pd.DataFrame, model: str, seed: int) -> pd.DataFrame:
    answers = answers.sort_values("subject", kind="stable")
    rng = generator(seed, "people", model)
    drawn = [
        part.iloc[np.sort(rng.permutation(len(part))[:SAME_N])]
        for _, part in answers.groupby("concept")
    ]
    whole = answers.dropna(subset=QUESTIONS)
    parts = [_source(whole, seed)] if len(whole) else []
    parts.append(_better(pd.concat(drawn), seed))
    return pd.concat(parts, ignore_index=True).assign(model=model)


def _source(whole: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Mean over the caps of the end of one chain; where fewer answered, all of them each time."""
    how: dict[str, Any] = {"chains": 1, "sweeps": 500, "burn_in": 498, "start": "alone"}
    capped = {cap: whole.groupby("concept", sort=False).head(cap) for cap in CAPS}
    parts = [_clusters(p, rng=generator(seed, cap), **how) for cap, p in capped.items()]
    table = parts[-1].assign(estimate=np.mean([p["estimate"] for p in parts], axis=0))
    table[["low", "high", "rhat"]] = np.nan  # one sweep: nothing to take an interval from
    return _described(table, capped[CAPS[-1]]).assign(way="source")


def _better(people: pd.DataFrame, seed: int) -> pd.DataFrame:
    how: dict[str, Any] = {"sweeps": 120, "chains": 4, "permutations": 19, "rng": seed}
    table = _clusters(people, agreement=_agreement(people), **how)
    return _described(table, people).assign(way="better")


def _clusters(people: pd.DataFrame, **how: Any) -> pd.DataFrame:
    """What `crp_clusters` says of P(multiple concepts) of each concept."""
    frame = crp_clusters(_array(people), by=people["concept"], **how).frame
    rows = frame[(frame["quantity"] == "p_multiple") & (frame["group"] != "mean of groups")]
    columns = ["people", "estimate", "low", "high", "rhat", "missing"]
    columns += ["null", "above", "p", "power", "alpha"]  # with a null only
    return rows.set_index("group").filter(columns).rename_axis("concept").reset_index()


def _array(people: pd.DataFrame) -> FloatArray:
    return np.asarray(people[QUESTIONS], dtype=float)


def _agreement(people: pd.DataFrame) -> dict[str, float]:
    """Of two answers to one question, per concept; 0.5 where nobody answered one with another."""
    frame = pairwise_agreement(_array(people), by=people["concept"]).frame
    return dict(zip(sorted(set(people["concept"])), frame["estimate"].fillna(0.5), strict=True))


def _described(table: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    each = [_array(people[people["concept"] == concept]) for concept in table["concept"]]
    return table.assign(
        agreement=table["concept"].map(_agreement(people)),
        second=[float(np.nanmean(a)) for a in each],
        position=[position_logit(a) for a in each],
    )


def position_logit(answers: npt.ArrayLike) -> float:
    """How much being named second counts, in logits, beside what the two options are.

    answers : (people, 36), 1 for the second-named of the pairs of nine options in order. Bradley &
    Terry's model with a constant: logit P(second) = u_second - u_first + c. One order per pair
    does not separate c from the utilities by itself; that every option is named first in some
    pairs and second in others does, if the model holds. Ridge 0.1 keeps unanimous answers
    finite. NaN without answers. Source: Bradley & Terry 1952; use: our formulation.
    """
    x = np.asarray(answers, dtype=np.float64)
    pairs = np.array(list(combinations(range(9), 2)))
    design = np.zeros((36, 10))
    design[np.arange(36), pairs[:, 1]], design[np.arange(36), pairs[:, 0]] = 1, -1
    design[:, 9] = 1
    answered, ones = (~np.isnan(x)).sum(0), np.nansum(x, axis=0)
    if not answered.any():
        return float("nan")

    def loss(beta: FloatArray) -> tuple[float, FloatArray]:
        z = design @ beta
        value = answered @ np.logaddexp(0, z) - ones @ z + 0.05 * beta @ beta
        return float(value), design.T @ (answered * expit(z) - ones) + 0.1 * beta

    return float(minimize(loss, np.zeros(10), jac=True, tol=1e-10).x[9])


def pair_table(models: pd.DataFrame) -> pd.DataFrame:
    """Aligned minus unaligned P(multiple concepts) of each pair, paired by concept, per way.

    The better way compares what is above each null, the published way the numbers as they are.
    Columns pair, way, before, after, estimate, low, high (t over concepts), p, p_holm (Holm's,
    over the pairs of a way), small (the whole interval is within 0.05 of none), concepts, and the
    share of answers for the second-named option before and after.
    """
    if "above" in models:
        models = models.assign(
            estimate=models["above"].where(models["way"] == "better", models["estimate"])
        )
    parts = []
    for before, after in PAIRS.items():
        two = models[models["model"].isin([before, after])]
        if two["model"].nunique() < 2:
            continue
        wide = two.pivot(index=["way", "concept"], columns="model", values=["estimate", "second"])
        wide = wide.dropna().sort_index(level="way", ascending=False)  # the published way first
        ways = wide.groupby(level="way", sort=False)
        apart, means = wide["estimate"][after] - wide["estimate"][before], ways.mean()
        parts.append(mean_ends(apart.groupby(level="way", sort=False)).assign(
            pair=f"{before} → {after}", concepts=ways.size(),
            before=means["estimate", before], after=means["estimate", after],
            second_before=means["second", before], second_after=means["second", after],
        ))  # fmt: skip
    table = pd.concat(parts).reset_index()
    return table.assign(
        p_holm=table.groupby("way")["p"].transform(holm),
        small=(table["low"] > -SMALL) & (table["high"] < SMALL),
    )


TABLES = {
    "humans": Table(
        "alignment_humans.csv", ("onefish_colors", "onefish_chains", "twin2k"), human_results
    ),
    "models": Table("alignment_models.csv", ("onefish_concepts",), model_results),  # takes minutes
}


def results(name: str) -> pd.DataFrame:
    """A committed table: "humans" or "models". Its first line says what it was made of."""
    return TABLES[one_of(name, "table", TABLES)].read()


if __name__ == "__main__":
    for table in TABLES.values():
        print(table.write().name)
