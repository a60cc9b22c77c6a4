"""Real people and recorded models: what a mixed sample is worth, outcome by outcome.

    python -m simkit.studies.mixed_subjects.recorded

with the data in reach (see `simkit.datasets`) writes data/results/mixed_*.csv.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from simkit import datasets
from simkit.estimators.mixed.rectified import Sides, interval, rectify
from simkit.studies import tables
from simkit.studies.mixed_subjects.people import gain_of
from simkit.studies.tables import Table
from simkit.types import FloatArray, IntArray, generator

__all__ = ["ASKED", "TABLES", "judged", "machine_results", "results", "summary", "twin_results"]

ASKED = (100, 200, 400)  # people asked
REPETITIONS = {"twin2k": 1_000, "moralmachine": 400}  # samples behind each coverage
SEED = 1
VALID = (0.93, 0.97)  # a coverage in here counts as right
KINDS = ("no gain seen", "less than 10 % gained", "10 % or more")
MODELS = ("gpt4o", "gpt4turbo", "gpt35turbo0125")


def twin_results() -> pd.DataFrame:
    """Twin-2K-500: each outcome's mean from n people alone, and mixed with everybody's twins.

    The population are the people who answered an outcome; n of them and as many others as are left
    are drawn from it, with replacement, again and again. A row per outcome and n (where more than n
    answered): study, outcome, n, people; rho, the correlation of people and twins, with its
    interval; gain, the mean effective number of people per person asked, with the interval that
    follows from that of rho; coverage and width (mean) of the intervals of the people alone and of
    the mixed one, the mean λ, bias (of the twins alone, in standard deviations of the answers).
    Raises `DataError` without the data.
    """
    people, twins, scales = tables.twins()
    study = scales.set_index("outcome")["study"]
    rows = []
    for outcome in (name for name in people if name in study):
        asked = people[outcome].notna()
        y, f = (side.loc[asked, outcome].to_numpy(dtype=float) for side in (people, twins))
        f = np.where(np.isnan(f), np.nanmean(f), f)  # a twin without an answer: one constant
        for n in (n for n in ASKED if n < len(y) - 1):
            head = {"study": study[outcome], "outcome": outcome, "n": n, "people": len(y)}
            one = np.arange(len(y))
            rows.append(head | _repeated(y, f, one, n, REPETITIONS["twin2k"], outcome))
    return pd.DataFrame(rows)


def machine_results() -> pd.DataFrame:
    """Moral Machine: the share of scenarios in which people save a group, by three models.

    A row per attribute, model, prediction and n people asked, as `twin_results`; people are drawn
    with all their scenarios of the attribute. prediction: "told" who the person is, "blank" told
    nothing, "three draws" the mean of three answers of the told model, and "one of them", on the
    scenarios that have three.
    """
    table = datasets.load("moralmachine")
    rows = []
    for (attribute, level), part in table.groupby(["attribute", "level"]):
        for model in MODELS:
            draws = part[[model, f"{model}_2", f"{model}_3"]]
            kinds = {"told": part[model], "blank": part[f"{model}_blank"],
                     "three draws": draws.mean(axis=1, skipna=False),
                     "one of them": part[model].where(draws.notna().all(axis=1))}  # fmt: skip
            for kind, f in kinds.items():
                use = f.notna() & part["saved"].notna()
                y, of = part.loc[use, "saved"].to_numpy(float), part.loc[use, "person"]
                code = pd.factorize(of)[0]
                head = {"attribute": attribute, "level": level, "model": model, "prediction": kind}
                for n in (n for n in ASKED if 2 * n < code.max() + 1):
                    head |= {"n": n, "people": code.max() + 1}
                    more = _repeated(y, f[use].to_numpy(float), code, n,
                                     REPETITIONS["moralmachine"], attribute)  # fmt: skip
                    rows.append(head | more)
    return pd.DataFrame(rows)


def _repeated(
    y: FloatArray, f: FloatArray, person: IntArray, n: int, repetitions: int, name: str
) -> dict[str, Any]:
    """What came of n people asked, in samples from a register with the mean of y as its truth."""
    rng, truth, count = generator(SEED, name, n), y.mean(), int(person.max()) + 1
    by = np.split(np.argsort(person, kind="stable"), np.cumsum(np.bincount(person))[:-1])
    found = []
    for _ in range(repetitions):
        drawn = rng.integers(0, count, count)
        rows = np.concatenate([by[p] for p in drawn]) if len(y) > count else drawn
        code = np.repeat(np.arange(count), [len(by[p]) for p in drawn])
        asked = code < n
        weight = np.where(asked, 1 / asked.sum(), 1 / (~asked).sum())
        r = rectify(Sides(asked, weight, code), y[rows], f[rows][:, None], None)
        both = ((r.alone, r.alone_error, r.alone_df), (r.estimate, r.error, r.df))
        ends = [interval(*part, 0.05, "two-sided") for part in both]
        covers = [end["low"] <= truth <= end["high"] for end in ends]
        widths = [end["high"] - end["low"] for end in ends]
        found.append([*covers, *widths, (r.alone_error / r.error) ** 2 if r.error else 1, r.lam[0],
                      r.alone, r.estimate])  # fmt: skip
    each = np.array(found, dtype=float)
    names = ["coverage_people", "coverage_mixed", "width_people", "width_mixed", "seen", "seen_lam"]
    error = np.sqrt(np.mean((each[:, -2:] - truth) ** 2, axis=0))
    out = dict(zip(names, each.mean(axis=0), strict=False))
    more = {"error_people": error[0], "error_mixed": error[1], "bias": (f.mean() - truth) / y.std()}
    return gain_of(y, f, person, n / count) | out | more


def judged(table: pd.DataFrame) -> pd.Series:
    """What an outcome's predictions are worth: by the gain, and the interval of its ρ."""
    words = np.select([table["gain_low"] <= 1, table["gain"] < 1.1], KINDS[:2], default=KINDS[2])
    return pd.Series(words, index=table.index, name="kind")


def summary(table: pd.DataFrame, by: str, *, seed: int = 1) -> pd.DataFrame:
    """The table over all outcomes, a row per n: median gain, coverage, and how many are right.

    Parameters
    ----------
    table : of `twin_results`.
    by : column of the units that the interval of the median is over (resampled, 2,000 times).
    """
    rows = []
    for n, part in table.groupby("n"):
        groups = [g["gain"].to_numpy() for _, g in part.groupby(by)]
        rng = generator(seed, "summary", int(n))
        some = rng.integers(0, len(groups), (2_000, len(groups)))
        medians = [np.median(np.concatenate([groups[i] for i in draw])) for draw in some]
        low, high = np.quantile(medians, [0.025, 0.975])
        kind = judged(part)
        right = {who: part[f"coverage_{who}"].between(*VALID).mean() for who in ("people", "mixed")}
        mean = {who: part[f"coverage_{who}"].mean() for who in ("people", "mixed")}
        rows.append({
            "n": n, "outcomes": len(part), "estimate": part["gain"].median(), "low": low,
            "high": high, "seen": part["seen"].median(), "some_gain": (kind != KINDS[0]).mean(),
            "much_gain": (kind == KINDS[2]).mean(),
            "largest": part["gain"].max(), "coverage_people": mean["people"],
            "coverage_mixed": mean["mixed"], "right_people": right["people"],
            "right_mixed": right["mixed"],
            "widest": (part["width_mixed"] / part["width_people"]).max(),
        })  # fmt: skip
    return pd.DataFrame(rows).set_index("n")


TABLES = {
    "twin2k": Table("mixed_twin2k.csv", ("twin2k", "twin2k_scales"), twin_results),
    "moralmachine": Table("mixed_moralmachine.csv", ("moralmachine",), machine_results),
}


def results(name: str) -> tuple[pd.DataFrame, str]:
    """A table that ships, and where it is from. name : of `TABLES`."""
    table = TABLES[name]
    return table.read(), table.origin()


if __name__ == "__main__":
    for made in TABLES.values():
        print(made.write())
