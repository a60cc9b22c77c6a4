"""Studies 03, 05 and 06 on a survey file: what is told and asked, and whose weights count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit import estimators as est
from simkit.scoring import MockModel
from simkit.studies.mixed_subjects import people
from simkit.studies.population_finetuning import evaluation, surveys
from simkit.studies.representativeness import populations as rep
from simkit.studies.representativeness import techniques

pyreadstat = pytest.importorskip("pyreadstat")

N = 120
FIVE = {1: "never", 2: "rarely", 3: "at times", 4: "often", 5: "always"}
ASK, TELL = ["walks", "reads", "votes"], ["sex", "region", "age"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .sav file: women walk often and weigh three times as much as men; households of two."""
    place, rng = tmp_path_factory.mktemp("surveys"), np.random.default_rng(1)
    sex = np.repeat([1.0, 2.0], N // 2)
    frame = pd.DataFrame(
        {
            "sex": sex,
            "region": [3.0, *rng.choice([1.0, 2.0], N - 1)],  # one person lives in the west
            "age": rng.integers(18, 80, N).astype(float),
            "walks": np.where(sex == 2, 5.0, 1.0),
            "reads": rng.integers(1, 6, N).astype(float),
            "votes": rng.choice([1.0, 2.0], N),
            "w": np.where(sex == 2, 3.0, 1.0),
            "home": np.arange(N) // 2 + 1.0,
        }
    )
    frame.loc[[1, 2], "reads"] = 9
    pyreadstat.write_sav(
        frame, str(place / "town.sav"),
        column_labels=["Sex", "", "Age", "Do you walk?", "Do you read?", "Do you vote?", "", ""],
        variable_value_labels={
            "sex": {1: "male", 2: "female"}, "region": {1: "north", 2: "south", 3: "west"},
            "walks": FIVE, "reads": {**FIVE, 9: "refused"}, "votes": {1: "yes", 2: "no"},
        },
        missing_ranges={"reads": [9]},
        variable_measure=dict.fromkeys(["walks", "reads"], "ordinal"),
    )  # fmt: skip
    sk.read_survey(place / "town.sav", weights="w", clusters="home").to_parquet(
        place / "town.parquet"
    )
    return place


@pytest.fixture(scope="module")
def town(folder: Path) -> sk.Survey:
    return surveys.file_survey(folder / "town.parquet", ASK, TELL)


def test_who_is_held_out_shares_no_household_with_who_teaches(town: sk.Survey) -> None:
    parts = town.people.groupby("home")["part"].nunique()
    assert parts.max() == 1 and set(town.people["part"]) == {"train", "validation", "test"}
    # nobody held out is told a value that no baseline has seen
    assert town.people.loc[town.people["region"] == "west", "part"].tolist() != ["test"]
    assert town.name == "town"
    told = surveys.margins(town)
    assert set(told["margin"]) == {"sex", "region"}  # ages are too many for a margin
    women = told[told["value"] == "female"]["target"].item()
    assert women == pytest.approx(3 * 60 / (3 * 60 + 60))


def test_weights_reach_every_error(town: sk.Survey) -> None:
    test = town.part("test")
    w, women = test["w"], test["sex"] == "female"
    share = w[women].sum() / w.sum()
    uniform = pd.DataFrame(0.2, test.index, town.scale("walks"))
    shown = evaluation.shares(town, "walks", {"uniform": uniform})
    people = shown[shown["method"] == "respondents"].set_index("value")["share"]
    assert people[5.0] == pytest.approx(share) and people[1.0] == pytest.approx(1 - share)
    # total variation from uniform: (|s - 0.2| + |1 - s - 0.2| + 3 x 0.2) / 2
    tv = (abs(share - 0.2) + abs(0.8 - share) + 0.6) / 2
    fit = evaluation.fit(town, "walks", uniform, n_boot=2).set_index("metric")["estimate"]
    assert fit["tv"] == pytest.approx(tv)
    marginal = evaluation.baselines(town, "walks")["training marginal"]
    known = pd.concat([town.part("train"), town.part("validation")])
    weighed = known.groupby("walks")["w"].sum()
    # pseudo counts of 0.05 move the ratio of 3 to 1 a little
    assert (marginal[5.0] / marginal[1.0]).iloc[0] == pytest.approx(
        weighed["always"] / weighed["never"], rel=0.01
    )
    kl = evaluation.kl(town.answers("walks"), uniform, town.scale("walks"), **town.sampling())
    assert kl["estimate"] == pytest.approx(fit["kl"])


def test_examples_to_learn_from(town: sk.Survey) -> None:
    table = evaluation.examples(town, "train")
    assert set(table["weight"]) == {1.0, 3.0}
    assert len(table) == len(town.part("train")) * 3 - town.part("train")["reads"].isna().sum()
    first = table.iloc[0]
    assert first["prompt"].startswith("Do you walk?\nA. never\nB. rarely")


def test_files_that_the_studies_cannot_take(folder: Path) -> None:
    path = folder / "town.sav"
    with pytest.raises(ValueError, match="first item of ask is 'votes', which is nominal"):
        surveys.file_survey(path, ["votes", "walks"], TELL)
    with pytest.raises(ValueError, match="tell is empty; name items: sex, region"):
        surveys.file_survey(path, ASK, [])
    with pytest.raises(ValueError, match="item 'region' is nominal with 3 answers"):
        rep.file_survey(path, ["walks", "region"], ["sex"])


def test_representativeness_of_a_file(folder: Path) -> None:
    setting = rep.file_survey(folder / "town.parquet", ASK, TELL, simulated=40)
    assert setting.simulated is not None and setting.plan is not None
    told = setting.simulated["context"].str.contains("Sex: female").mean()
    assert told == pytest.approx(0.75, abs=0.03)  # three quarters of the weights
    assert setting.humans["votes"].dropna().isin([0, 1]).all()  # two answers: numbered
    weights = setting.sampling()["weights"]
    apart = techniques.independent_answers(setting.humans, 2_000, weights=weights)
    assert (apart["walks"] == 5).mean() == pytest.approx(0.75, abs=0.04)
    table, details = rep.errors(setting, {"independent margins": apart}, n_boot=8)
    # margins are those of the weighted people, for which a sample of 2,000 errs little
    assert table["marginal"].item() < 0.05
    unweighted = est.compare_marginals(setting.humans, apart, scales=setting.scales, n_boot=8)
    assert unweighted["tv"]["corrected"] > 0.08
    assert list(details) == ["independent margins"]
    others, some = rep.people_of(setting, 30)
    assert len(some.attrs["weights"]) == 30 and len(others.people) == N - 30
    worth = rep.worth(setting, table)
    assert worth["margins"].item() > 20


def test_a_model_is_asked_the_items_of_the_file(folder: Path) -> None:
    setting = rep.file_survey(folder / "town.sav", ASK, TELL, simulated=10)

    def says(prompt: str) -> dict[str, float]:
        word = "always" if "Sex: female" in prompt else "never"
        letters = [line[0] for line in prompt.splitlines() if line.endswith(f". {word}")]
        return {letters[0] if letters else "A": 0.9}

    model = MockModel(says)
    found = rep.simulate(model, setting)
    assert list(found) == ["independent margins", "personas", "joint interview"]
    told = setting.simulated["context"].str.contains("female").to_numpy()
    assert found["personas"]["walks"].tolist() == np.where(told, 5.0, 1.0).tolist()
    assert "Do you walk?" in setting.tells["walks"]
    stated = rep.stated_shares(MockModel(lambda prompt: {"50": 0.9}), setting)
    assert rep.who(setting) == "People who answered the survey town"
    assert set(stated["question"]) == set(ASK)


def test_study_06_on_a_survey_file(folder: Path) -> None:
    path = str(folder / "town.parquet")
    study, less, names = people.setting(False, path, ASK, TELL)
    assert names == ASK and less.told["walks"] == ("sex",)
    lm = sk.load(lambda prompt: {"E": 0.8, "A": 0.2} if "female" in prompt else {"A": 1.0})
    register = people.asked_of(lm, study, "walks")
    # Women (weight 3) walk always (5), men (weight 1) never (1): (3 * 5 + 1) / 4.
    assert register.truth == pytest.approx(4.0)
    assert list(register.told) == TELL and register.answers.tolist() == [1.0] * 60 + [5.0] * 60
    rows, _ = next(people.samples(register, 4_000, 1, 1))
    assert (rows >= 60).mean() == pytest.approx(0.75, abs=0.03)
    refused = people.asked_of(lm, study, "reads")
    assert len(refused.answers) == N - 2  # who refused is no one's truth
