"""Alignment and diversity (study 04): the two tasks on any model, and what the notebook measures.

Colours: each simulated person names the colour of each word, out of the world's palette. Animals:
each says which of two animals is more like a third, asked in both orders and coded by content.
The prompts are the concepts world's own; any causal model can be asked them.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from simkit.estimators import crp_clusters, delta_e, dose_response, expected_delta_e, srgb_to_lab
from simkit.questions import Question
from simkit.scoring import at_temperature, believe, worlds_of
from simkit.scoring.types import Model
from simkit.studies.claims import mean_ends
from simkit.types import FloatArray, generator, one_of
from simkit.worlds import concepts
from simkit.worlds.concepts import people as population

__all__ = ["CONTEXTS", "LAB", "UNRELATED", "animal_answers", "animal_design", "colour_answers",
           "colour_design", "concept_means", "concept_table", "context_table", "cube", "exact_cube",
           "exact_multiple", "measures", "person_values", "personas"]  # fmt: skip

LAB: FloatArray = srgb_to_lab(list(concepts.PALETTE.values()))
CONTEXTS = ("persona", "none", "unrelated")
_HAPPENED = (
    "It rained", "The shop was closed", "A train left from the north", "The door was painted",
    "The bell rang", "A letter came", "The lamp was lit", "The bridge was mended",
    "The market was quiet", "A window stood open", "The bus was late", "The clock stopped",
)  # fmt: skip
_WHEN = (
    "in the morning", "at noon", "in the evening", "at night", "on Tuesday", "on Wednesday",
    "on Thursday", "on Friday", "on Saturday", "on Sunday", "last week", "last month", "last year",
)  # fmt: skip
# One sentence a person, no two of them the same: two people who read the same text are one prompt.
UNRELATED = tuple(
    f"{_HAPPENED[i % len(_HAPPENED)]} {_WHEN[i % len(_WHEN)]}."
    for i in range(len(_HAPPENED) * len(_WHEN))  # 12 and 13 have no common factor
)


def personas(n: int, seed: int, *, distinct: bool = False) -> pd.DataFrame:
    """n people drawn by their shares in the world's population: person, home, work, hobby.

    distinct : leave out who is alike in all three to an earlier one: on a model whose people are
    their prompts, copies of a prompt are one person. The first n of more are the same. Raises
    ValueError for more than there are.
    """
    columns = ["person", *concepts.ATTRIBUTES]
    if not distinct:
        return concepts.individuals(n, generator(seed, "study 4"))[columns]
    kinds = int(np.prod([len(values) for values in concepts.ATTRIBUTES.values()]))
    if n > kinds:
        raise ValueError(f"{n} people: there are {kinds} that differ; ask fewer people")
    drawn = concepts.individuals(100 * kinds, generator(seed, "study 4"))[columns]
    one = drawn.drop_duplicates(subset=columns[1:]).head(n)
    return one.assign(person=np.arange(len(one))).reset_index(drop=True)


def colour_design(people: pd.DataFrame, *, context: str = "persona") -> pd.DataFrame:
    """One row per person × word with its prompt's text.

    Parameters
    ----------
    people : DataFrame
        A row per person.
    context : str
        "persona" says who the person is, "none" says nothing (all people are asked the same),
        "unrelated" says a sentence that has nothing to do with it, to each person another one.

    Returns
    -------
    DataFrame
        The design, with the column `context`.

    Raises
    ------
    ValueError
        For another context, and for more people than there are such sentences.
    """
    design = concepts.design("colour", people)
    if one_of(context, "context", CONTEXTS) == "persona":
        return design
    opening = design["context"].str.extract(r"^(.*?\.)", expand=False).iloc[0]
    if context == "none":
        return design.assign(context=opening)
    if len(people) > len(UNRELATED):
        raise ValueError(
            f"{len(people)} people: there are {len(UNRELATED)} unrelated sentences, and each "
            "person must read another one; ask fewer people"
        )
    sentences = design["person"].map(dict(zip(people["person"], UNRELATED, strict=False)))
    return design.assign(context=[f"{opening} {text}" for text in sentences])


def animal_design(people: pd.DataFrame, target: str) -> pd.DataFrame:
    """One row per person × pair of the nine other animals × order (72 per person)."""
    return concepts.design("animal", people, about=[target])


def cube(table: pd.DataFrame, temperature: float = 1.0, *, column: str = "belief") -> FloatArray:
    """The table of `believe` on a colour design as (people, words, options), at a temperature."""
    table = table if temperature == 1 else at_temperature(table, temperature)
    people, options = table["person"].nunique(), table["option_id"].nunique()
    values: FloatArray = table[column].to_numpy(dtype=float)
    return values.reshape(people, -1, options)


def exact_cube(design: pd.DataFrame, model: Any) -> FloatArray | None:
    """What the world says to a colour design, (people, words, options).

    None where `model` has not read the world: the truth about its people is not known.
    """
    if "concepts" not in worlds_of(model):
        return None
    people = design["person"].nunique()
    return concepts.exact(design, "colour").reshape(people, -1, len(concepts.PALETTE))


def measures(
    belief: FloatArray,
    exact: FloatArray | None = None,
    mass: FloatArray | None = None,
    *,
    lab: FloatArray = LAB,
    majority: FloatArray | None = None,
) -> pd.DataFrame:
    """Per word: internal, population and signed ΔE, expected from the beliefs; and their quality.

    Parameters
    ----------
    belief : (people, words, options), two people or more; pairs are of different people, as with
        sampled answers.
    exact : the world's own, of the same shape; None where it is not known.
    mass : valid mass, of the same shape.
    lab : CIELAB of the options.
    majority : beliefs whose mean says what most answer, of the same shape; None for the world's
        own population.

    Returns
    -------
    Columns internal, population, signed; `consensus`, the belief in the answer that most of the
    population (or of `majority`) give, and `share`, how many do; `error`, the mean absolute
    distance from exact, NaN without; `valid_mass`, NaN without.
    """
    distances = expected_delta_e(belief, lab, words=concepts.WORDS).to_frame()
    frame = distances[["internal", "population", "signed"]].copy()
    frame["signed"] = frame["signed"].where(frame["signed"].abs() > 1e-9, 0.0)  # rounding dust
    if majority is None:
        top = [concepts.consensus(word) for word in concepts.WORDS]
        place = [list(concepts.PALETTE).index(colour) for colour, _ in top]
        share = [share for _, share in top]
    else:
        place = majority.mean(0).argmax(1).tolist()
        share = majority.mean(0).max(1).tolist()
    frame["consensus"] = belief.mean(0)[np.arange(len(place)), place]
    frame["share"] = share
    frame["error"] = np.nan if exact is None else np.abs(belief - exact).mean((0, 2))
    frame["valid_mass"] = np.nan if mass is None else mass.mean((0, 2))
    return frame.rename_axis("word")


def person_values(belief: FloatArray, lab: FloatArray = LAB) -> FloatArray:
    """What each person adds to the mean signed distance, (people,): their mean is that distance.

    Jackknife pseudo-values, N all - (N - 1) without the person, from which `dose_response` gets
    intervals over people as it does over words. belief as in `measures`, 3 people or more.
    """
    n, apart = len(belief), delta_e(lab[:, None], lab[None])
    own = np.einsum("iwk,kl,iwl->iw", belief, apart, belief)
    total = belief.sum(0)
    far = np.einsum("wk,kl,wl->w", total, apart, total) - own.sum(0)  # all pairs i != j
    less = far - 2 * (np.einsum("iwk,kl,wl->iw", belief, apart, total) - own)
    every = (far / n / (n - 1) - own.mean(0)).mean() / np.sqrt(2)
    without = less / (n - 1) / (n - 2) - (own.sum(0) - own) / (n - 1)
    return np.asarray(n * every - (n - 1) * without.mean(1) / np.sqrt(2))


def context_table(cubes: Mapping[str, FloatArray], lab: FloatArray = LAB) -> pd.DataFrame:
    """What the persona adds to the spread: ratios and a difference, with intervals over words.

    Parameters
    ----------
    cubes : context -> beliefs (people, words, options), of all three `CONTEXTS`.
    lab : CIELAB of the options.

    Returns
    -------
    Rows "persona / none" and "unrelated / none" of the distance between two answers of two people
    (1: no more varied than the model without a persona), and "persona − unrelated" of the signed
    distance in ΔE (0: who somebody is moves an answer no more than any other sentence does).
    """
    found = {name: expected_delta_e(cube, lab).to_frame() for name, cube in cubes.items()}
    apart = [found[name]["population"] for name in ("persona", "unrelated")]
    ratio = dose_response(apart, [0, 1], baseline=found["none"]["population"]).frame
    signed = [found[name]["signed"] for name in ("unrelated", "persona")]
    step = dose_response(signed, [0, 1])["step, dose=1"]
    rows = {
        "persona / none": ratio.loc["left, dose=0"], "unrelated / none": ratio.loc["left, dose=1"],
        "persona − unrelated": step,
    }  # fmt: skip
    return pd.DataFrame(rows).T[["estimate", "low", "high"]].astype(float)


def exact_multiple() -> float:
    """P(multiple concepts) of the world: two people draw different ways to see what is alike."""
    share = population.conditional("way", {})[0]
    return float(1 - share @ share)


def colour_answers(
    belief: FloatArray, seed: int, lab: FloatArray = LAB
) -> tuple[FloatArray, FloatArray]:
    """Two blocks of answers drawn from the beliefs, as CIELAB (people, words, 3) each."""
    u = generator(seed, "colour answers").random((2, *belief.shape[:2], 1))
    drawn = np.minimum((u >= belief.cumsum(-1)).sum(-1), belief.shape[-1] - 1)
    return lab[drawn[0]], lab[drawn[1]]


def concept_table(
    animals: Mapping[tuple[str, str], tuple[FloatArray, float, float, float]],
    *,
    sweeps: int,
    seed: int,
) -> pd.DataFrame:
    """P(multiple concepts) of each target and model beside its null, at two values of alpha.

    Parameters
    ----------
    animals : (target, model) -> what `animal_answers` returns.
    sweeps, seed : of `crp_clusters`.

    Returns
    -------
    Columns target, model, alpha ("source's", 0.16 as published, or "own", from the agreement of
    two answers), estimate, null, above, p, power, rhat, agreement, second, valid_mass.
    """
    rows = []
    for (target, model), (answers, agreement, second, mass) in animals.items():
        for alpha, assumed in (("source's", None), ("own", agreement)):
            row = crp_clusters(
                answers, agreement=assumed, sweeps=sweeps, permutations=39, rng=seed
            )["p_multiple"]  # fmt: skip
            rows.append({
                "target": target, "model": model, "alpha": alpha,
                **row[["estimate", "null", "above", "p", "power", "rhat"]],
                "agreement": agreement, "second": second, "valid_mass": mass,
            })  # fmt: skip
    return pd.DataFrame(rows)


def concept_means(table: pd.DataFrame) -> pd.DataFrame:
    """Means over targets of what `crp_clusters` says per model and alpha.

    table : columns target, model, alpha, above, p and others that are averaged. low and high are t
    intervals of `above` over targets, and p tests it against 0; with one target there is no such
    interval, and p is that of its shuffles.
    """
    groups = table.drop(columns="target").groupby(["model", "alpha"], sort=False)
    means, ends = groups.mean(), mean_ends(groups["above"])
    means["p"] = means["p"].where(groups.size() == 1, ends["p"])
    return means.join(ends[["low", "high"]])


def animal_answers(
    model: Model, design: pd.DataFrame, seed: int, question: Question | None = None
) -> tuple[FloatArray, float, float, float]:
    """One answer per person and pair, (people, 36) of 0 and 1, drawn from beliefs in content.

    The belief that the animal earlier in the world's list is chosen is averaged over the two
    orders in which the pair is named; 1 is the later animal. Also returns the agreement of two
    answers that one person gives to a pair (mean of p^2 + (1 - p)^2), the mean belief in
    whatever is named second (0.5 without a lean to a position), and the mean valid mass, which is
    to be shown: no warning says that it is low. question : None for the world's own.
    """
    question = concepts.question("animal") if question is None else question
    table = believe(model, question, design, least_mass=0.0)
    second = table.loc[table["option_id"] == 1, "belief"].to_numpy(dtype=float)
    both = second.reshape(-1, len(list(combinations(range(9), 2))), 2)
    later = (both[..., 0] + 1 - both[..., 1]) / 2
    drawn = generator(seed, "animal answers").random(later.shape) < later
    agreement = float((later**2 + (1 - later) ** 2).mean())
    mass = float(table["valid_mass"].mean())
    return drawn.astype(float), agreement, float(second.mean()), mass
