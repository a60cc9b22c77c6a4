"""Study 06: registers, samples, coverage, what predictions are worth, recorded tables."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit import estimators as est
from simkit.studies.mixed_subjects import people, recorded

DATA = os.environ.get("SIMKIT_DATA") or str(Path(__file__).parents[2].parent / "shared" / "data")
has_data = pytest.mark.skipif(not Path(DATA, "twin2k").is_dir(), reason="no human data here")


def register(n: int = 4_000, seed: int = 1) -> people.Register:
    """Answers 0 or 1 whose chance is the belief of half the people; of the others it is 0.5."""
    rng = np.random.default_rng(seed)
    p = np.where(np.arange(n) % 2, 0.5, rng.choice([0.1, 0.9], n))
    answers = (rng.random(n) < p).astype(float)
    told = pd.DataFrame({"known": np.arange(n) % 2})
    belief = np.column_stack([1 - p, p])
    ones = np.ones(n)
    return people.Register(answers, belief, np.array([0.0, 1.0]), ones, told, ones / n)


def test_a_model_is_asked_about_everybody_who_answered() -> None:
    survey = people.voters("party")
    lm = sk.load(lambda prompt: {"Bob Dole": 0.9 if "party: Republican" in prompt else 0.1,
                                 "Bill Clinton": 0.1})  # fmt: skip
    found = people.asked_of(lm, survey, "vote")
    republican = (survey.people["party"] == "Republican").to_numpy()
    assert len(found.answers) == 944
    # 0.9 / (0.9 + 0.1) and 0.1 / (0.1 + 0.1), with Clinton 0 and Dole 1.
    assert found.expected == pytest.approx(np.where(republican, 0.9, 0.5))
    assert found.truth == pytest.approx((survey.people["vote"] == "Bob Dole").mean())
    assert list(found.told) == ["educ", "income", "age", "party"]


def test_weights_say_who_is_drawn() -> None:
    r = register(6)
    heavy = people.Register(r.answers, r.belief, r.values, r.valid_mass, r.told,
                            np.array([0, 0, 0, 0, 0, 1.0]))  # fmt: skip
    rows, answers = next(people.samples(heavy, 3, 4, 1))
    assert set(rows) == {5} and answers.notna().tolist() == [True] * 3 + [False] * 4
    assert heavy.truth == r.answers[5]


def test_coverage_by_hand() -> None:
    found = pd.DataFrame({
        "method": ["people alone"] * 4 + ["mixed"] * 4,
        "estimate": [0.0, 1, 2, 3, 1, 1, 1, 2], "low": [-1.0, 0, 1, 2, 0, 0, 0, 1.5],
        "high": [1.0, 2, 3, 4, 2, 2, 2, 2.5],
    })  # fmt: skip
    table = people.coverage(found, 1.0)
    # Of the people's four intervals [-1, 1], [0, 2] and [1, 3] hold 1; of the mixed three do.
    assert table["estimate"].tolist() == [0.75, 0.75]
    # Off by -1, 0, 1, 2: bias 0.5, rmse sqrt(6 / 4); widths 2 and (3 * 2 + 1) / 4 = 1.75.
    assert table.loc["people alone", "bias"] == 0.5
    assert table.loc["people alone", "rmse"] == pytest.approx(1.5**0.5)
    assert table.loc["mixed", "relative_width"] == 0.875


def test_what_is_gained_is_what_the_formula_says() -> None:
    r = register()
    by = people.worth(r, 100, 900)
    rho = np.corrcoef(r.expected, r.answers)[0, 1]
    assert by.loc["belief", "rho"] == pytest.approx(rho)
    assert by.loc["belief", "gain"] == pytest.approx(1 / (1 - rho**2 * 0.9))
    # A belief with a tenth of the spread would need a λ of ten times as much: it is held at 1.
    timid = people.gain_of(r.answers, r.expected / 10, None, 0.1)
    variance = np.var(r.answers - r.expected / 10) + np.var(r.expected / 10) / 9  # n = 1, N = 9
    assert timid["lam"] == 1 and timid["gain"] == pytest.approx(np.var(r.answers) / variance)
    # A drawn answer has the belief's covariance and more variance: rho * sd(belief) / sd(answer).
    drawn = rho * r.expected.std() / r.chosen(1).std()
    assert by.loc["one answer", "rho"] == pytest.approx(drawn, abs=0.04)
    nothing = people.gain_of(r.answers, np.full(len(r.answers), 0.5), None, 0.1)
    assert np.isnan(nothing["rho"]) and nothing["gain"] == 1
    # Against the answers λ is 0, and nothing is lost.
    assert people.gain_of(r.answers, -r.expected, None, 0.1)["gain"] == 1


def test_a_model_tuned_on_the_people_asked_is_too_sure() -> None:
    r = register()
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(len(r.answers), 15))  # features that say nothing

    def tuned(folds):
        def way(rows, answers):
            models = people.regressed(noise[rows], answers, folds)
            fold = pd.Series(np.arange(len(rows)) % folds).where(answers.notna())
            guess = est.cross_fitted(models, fold) if folds > 1 else models[0]
            return est.mixed_mean(answers, guess)

        return way

    found = people.repeated(r, {"in": tuned(1), "out": tuned(5)}, 40, 200, 150)
    shares = people.coverage(found, r.truth)["estimate"]
    # Fifteen coefficients of forty people: in the sample they take 15 / 40 of the variance away.
    assert shares["in"] < 0.89 < 0.9 < shares["out"]


def test_a_sample_of_one_register_is_the_study_of_the_recorded_people() -> None:
    r = register(500)
    got = recorded._repeated(r.answers, r.expected, np.arange(500), 100, 1, "x")
    drawn = recorded.generator(recorded.SEED, "x", 100).integers(0, 500, 500)
    y = pd.Series(r.answers[drawn])
    one = est.mixed_mean(y.where(np.arange(500) < 100), r.expected[drawn])
    assert got["width_mixed"] == pytest.approx(one["mixed"]["high"] - one["mixed"]["low"])
    assert got["seen"] == pytest.approx(one["mixed"]["n_effective"] / 100)
    assert got["seen_lam"] == pytest.approx(one["mixed"]["lam"])


def test_a_persons_answers_stay_together() -> None:
    r = register(300)
    person = np.repeat(np.arange(100), 3)
    got = recorded._repeated(r.answers, r.expected, person, 40, 1, "x")
    drawn = recorded.generator(recorded.SEED, "x", 40).integers(0, 100, 100)
    rows = (3 * drawn[:, None] + np.arange(3)).ravel()
    code = np.repeat(np.arange(100), 3)
    one = est.mixed_mean(
        pd.Series(r.answers[rows]).where(code < 40), r.expected[rows], cluster=code
    )
    assert got["width_mixed"] == pytest.approx(one["mixed"]["high"] - one["mixed"]["low"])


def test_the_tables_that_ship() -> None:
    twins, origin = recorded.results("twin2k")
    assert "SHA-256" in origin and len(twins[twins["n"] == 100]) == 163
    overall = recorded.summary(twins, "study")
    # What the samples show is what the formula says of the correlation.
    assert (overall["seen"] / overall["estimate"]).between(0.99, 1.03).all()
    assert overall["coverage_mixed"].between(0.94, 0.955).all()
    gained = (twins["error_people"] / twins["error_mixed"]) ** 2
    assert np.corrcoef(np.log(gained), np.log(twins["gain"]))[0, 1] > 0.8
    machine, _ = recorded.results("moralmachine")
    assert set(machine["prediction"]) == {"told", "blank", "three draws", "one of them"}


@has_data
def test_a_row_of_the_twins_is_made_again(monkeypatch) -> None:
    monkeypatch.setenv("SIMKIT_DATA", DATA)
    monkeypatch.setattr(recorded, "ASKED", (400,))
    monkeypatch.setitem(recorded.REPETITIONS, "twin2k", 1)
    made = recorded.twin_results().set_index("outcome")
    ships = recorded.results("twin2k")[0].query("n == 400").set_index("outcome")
    assert (made[["people", "rho", "gain", "bias"]] - ships[["people", "rho", "gain", "bias"]]
            ).abs().max().max() < 1e-4  # fmt: skip
