"""Results on human data that is not always at hand: computed here, shown from a small table.

    python -m simkit.studies.representativeness.recorded

with the data in reach (see `simkit.datasets`) writes data/results/representativeness_*.csv.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from simkit import datasets
from simkit.estimators.shared.distances import normalised_emd, total_variation
from simkit.estimators.structure.compare import compare_structure
from simkit.estimators.structure.fidelity import population_fidelity
from simkit.estimators.structure.groups import by_groups, subgroup_structure
from simkit.estimators.structure.intervals import kept
from simkit.estimators.structure.margins import compare_marginals
from simkit.estimators.structure.measures import structure_kept
from simkit.estimators.structure.samples import sampled
from simkit.result import Result
from simkit.studies import tables
from simkit.studies.tables import Table

__all__ = ["TABLES", "ces24_results", "results", "twin2k_results", "wvs7_groups", "wvs7_results"]

RESAMPLES = {"twin2k": 100, "ces24": 200}  # behind the intervals of the tables that ship
SEED = 1
LEAST_PAIR = 100  # people who answered both items of a pair, over all studies
OVERALL = "all studies"
LATIN_AMERICA = ("ARG", "BOL", "BRA", "CHL", "COL", "ECU", "GTM", "MEX", "NIC", "PER", "PRI",
                 "URY", "VEN")  # fmt: skip
MIDDLE_EAST = ("CYP", "EGY", "IRN", "IRQ", "JOR", "LBN", "LBY", "MAR", "TUN", "TUR")
_ENDS = ("estimate", "low", "high", "floor")
_SAMPLES = ("raw", "split_half")


def twin2k_results() -> pd.DataFrame:
    """People and their language-model twins (Twin-2K-500): both errors per study, and overall.

    One row per study with three outcomes or more and per measure: study, measure, items, people,
    estimate, low, high, floor (what nothing but the sampling error of as many people makes of
    raw), raw, split_half. Measures: marginal (mean normalised Wasserstein-1 on the outcomes'
    scales), structural (RMSD of their correlations), kept (share of the people's structure),
    pattern (correlation of correlations) and own (mean over outcomes of the correlation between a
    person and that person's twin). Of structural, kept and pattern the estimate has sampling error
    taken out and raw has not: see `compare_structure`. Persons are resampled together with their
    twins. Overall: all 163 outcomes, pairs that fewer than 100 people answered left out; kept also
    of the pairs within a study (kept within) and of two studies (kept across). Raises `DataError`
    without the data.
    """
    people, twins, scales = tables.twins()
    rows: list[dict[str, object]] = []
    for study, about in scales.groupby("study"):
        items = [name for name in about["outcome"] if name in people]
        asked = people[items].notna().any(axis=1)
        if len(items) >= 3:
            ends = _ends(about)
            sides = people.loc[asked, items], twins.loc[asked, items]
            rows += _both_errors(str(study), *sides, ends)
    rows += _both_errors(OVERALL, people, twins, _ends(scales), LEAST_PAIR)
    rows += _kept_by_study(people, twins, scales.set_index("outcome")["study"])
    return pd.DataFrame(rows)


def _kept_by_study(
    people: pd.DataFrame, twins: pd.DataFrame, study: pd.Series
) -> list[dict[str, object]]:
    """Structure kept of the pairs of outcomes of one study, and of the pairs of two studies."""
    n_boot = RESAMPLES["twin2k"]
    draws = sampled(people, twins, "pearson", None, None, True, n_boot, 2, SEED, LEAST_PAIR)
    human, twin = draws.pairs[:2]
    of = study.reindex(draws.items).to_numpy()
    i, j = np.triu_indices(len(of), 1)
    rows: list[dict[str, object]] = []
    for name, pairs in (("kept within", of[i] == of[j]), ("kept across", of[i] != of[j])):
        h, s = human[:, pairs], twin[:, pairs]
        share = kept(h, s, 0.05, True)
        row = {end: share[end] for end in ("estimate", "low", "high")}
        head = {"study": OVERALL, "items": len(of), "people": len(people), "measure": name}
        rows.append({**head, **row, "raw": float(structure_kept(h[0], s[0]))})
    return rows


def _ends(about: pd.DataFrame) -> dict[str, tuple[float, float]]:
    known = about.dropna(subset=["low", "high"])
    return {o: (lo, hi) for o, lo, hi in zip(known.outcome, known.low, known.high, strict=True)}


def _both_errors(
    study: str,
    people: pd.DataFrame,
    twins: pd.DataFrame,
    scales: dict[str, tuple[float, float]],
    least: int = 3,
) -> list[dict[str, object]]:
    inside = {  # an outcome outside its stated scale takes the scale that occurs
        c: ends for c, ends in scales.items()
        if c in people and min(people[c].min(), twins[c].min()) >= ends[0]
        and max(people[c].max(), twins[c].max()) <= ends[1]
    }  # fmt: skip
    how: dict[str, Any] = {"paired": True, "n_boot": RESAMPLES["twin2k"], "rng": SEED}
    margin = compare_marginals(people, twins, scales=inside or None, metrics=["nemd"], **how)
    structure = compare_structure(people, twins, splits=20, permutations=199, least=least, **how)
    head = {"study": study, "items": people.shape[1], "people": len(people)}
    rows = [{**head, "measure": "marginal", **{e: margin["nemd"][e] for e in _ENDS}}]
    names = {
        "structural": "rmsd",
        "kept": "structure_kept",
        "pattern": "correlation_of_correlations",
    }
    for name, row in names.items():
        part = structure[row]
        rows.append({**head, "measure": name, **{e: part[e] for e in (*_ENDS, *_SAMPLES)}})
    return [*rows, {**head, "measure": "own", **_own(people, twins)}]


def _own(people: pd.DataFrame, twins: pd.DataFrame) -> dict[str, float]:
    """Mean person-twin correlation; 95 % interval: persons are resampled with their twins."""
    rng = np.random.default_rng(SEED)
    x, y = people.to_numpy(dtype=float), twins.to_numpy(dtype=float)
    there = ~np.isnan(x + y)
    x, y = (np.where(there, m, 0.0) for m in (x, y))
    means = []
    for _ in range(RESAMPLES["twin2k"]):
        w = np.bincount(rng.integers(0, len(x), len(x)), minlength=len(x)).astype(float)
        n, sx, sy, sxx, syy, sxy = (w @ m for m in (there, x, y, x * x, y * y, x * y))
        with np.errstate(invalid="ignore", divide="ignore"):
            r = (sxy - sx * sy / n) / np.sqrt((sxx - sx**2 / n) * (syy - sy**2 / n))
        means.append(float(np.nanmean(np.where(np.isfinite(r), r, np.nan))))
    low, high = np.quantile(means, [0.025, 0.975])
    mean = people.corrwith(twins).mean()
    return {"estimate": float(mean), "low": float(low), "high": float(high)}


def ces24_results() -> pd.DataFrame:
    """Cells of the Cooperative Election Study 2024 against a language model's beliefs and answers.

    One row per question, way (ntp: next-token beliefs; fa: 25 free answers) and measure: the parts
    of the Population Fidelity Score with intervals over cells, tv and nemd (means over cells
    weighted by respondents). Raises `DataError` without the package popfidelity.
    """
    frame = datasets.load("ces24")
    rows = []
    for question, part in frame.groupby("question", sort=False):
        tables = {
            who: of.pivot(index="cell", columns="option_id", values="share")
            for who, of in part.groupby("population", sort=False)
        }
        size = part[part["population"] == "survey"].groupby("cell")["n"].first()
        human = tables.pop("survey")
        for way, model in tables.items():
            p, q = human.to_numpy(), model.loc[human.index].to_numpy()
            head = {"question": question, "way": way, "cells": len(p)}
            score = population_fidelity(p, q, n_boot=RESAMPLES["ces24"], rng=SEED).frame
            for name, row in score.iterrows():
                ends = {e: row[e] for e in ("estimate", "low", "high")}
                rows.append({**head, "measure": name, **ends})
            each = {
                "tv": total_variation(p, q),
                "nemd": normalised_emd(p, q, np.arange(p.shape[1])),
            }
            for name, values in each.items():
                mean = float(np.average(values, weights=size.loc[human.index]))
                rows.append({**head, "measure": name, "estimate": mean})
    return pd.DataFrame(rows)


def wvs7_groups(frame: pd.DataFrame) -> pd.DataFrame:
    """The ten subgroups of Williams et al. in World Values Survey wave 7, as bools; they overlap.

    liberal (Q240, own place from left to right, 1 to 4), conservative (7 to 10), german, american,
    latin_america, middle_east (by B_COUNTRY_ALPHA), men, women (Q260), people_over_30 (Q262
    over 30), old_people (60 or more). Williams et al. name the groups; the cuts and lists of
    countries here are ours, for their public code does not hold them. Somebody without an answer is
    in neither.
    """
    place, country, age = frame["Q240"], frame["B_COUNTRY_ALPHA"], frame["Q262"]
    return pd.DataFrame({
        "liberal": place.between(1, 4),
        "conservative": place.between(7, 10),
        "german": country == "DEU",
        "american": country == "USA",
        "latin_america": country.isin(LATIN_AMERICA),
        "middle_east": country.isin(MIDDLE_EAST),
        "men": frame["Q260"] == 1,
        "women": frame["Q260"] == 2,
        "people_over_30": age > 30,
        "old_people": age >= 60,
    })  # fmt: skip


def wvs7_results(
    humans: pd.DataFrame,
    simulated: pd.DataFrame,
    items: pd.DataFrame,
    *,
    n_boot: int = 200,
    seed: int = 1,
) -> Result:
    """The measure of Williams et al. on World Values Survey answers: see `subgroup_structure`.

    humans, simulated : as `load("wvs7")` gives them (a simulation needs the columns that define
    the groups too). items : as `load("wvs7_items")`; those that both sides have, with an ordered
    scale of 3 codes or more, are compared. Raises ValueError for fewer than two items, and what
    `wvs7_groups` and `subgroup_structure` raise.
    """
    about = items.set_index("item")
    codes = about["answers"].map(lambda a: sorted(code for code in a if code >= 0))
    shared = [
        i for i in about.index
        if i in humans and i in simulated and len(codes[i]) > 2 and i not in ("Q260", "Q262")
    ]  # fmt: skip
    if len(shared) < 2:
        raise ValueError(f"the two sides share the items {shared}; they must be two or more")
    scales = {i: (float(codes[i][0]), float(codes[i][-1])) for i in shared}
    ours, theirs = (
        by_groups(frame, wvs7_groups(frame), shared)
        for frame in (side.reset_index(drop=True) for side in (humans, simulated))
    )
    return subgroup_structure(ours, theirs, scales, n_boot=n_boot, splits=n_boot, rng=seed)


TABLES = {
    "twin2k": Table("representativeness_twin2k.csv", ("twin2k",), twin2k_results),
    "ces24": Table("representativeness_ces24.csv", ("ces24",), ces24_results),
}


def results(name: str) -> tuple[pd.DataFrame, str]:
    """A table of `TABLES`, and a sentence that says where it is from: computed now, or recorded.

    Where the data are in reach they are used; else the table that ships, made from the same data.
    """
    table = TABLES[name]
    data = ", ".join(table.sources)
    if table.here():
        return table.make(), f"Computed now from {data}."
    return table.read(), (
        f"The data are not here (`simkit data fetch {data}`), so this is the recorded table: "
        f"{table.origin()}"
    )


if __name__ == "__main__":
    for table in TABLES.values():
        print(table.write().name)
