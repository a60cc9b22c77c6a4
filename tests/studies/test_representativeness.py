"""Helpers of study 05: settings, errors, subgroups, intervals, recorded tables, WVS."""

import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit import datasets, resources
from simkit.scoring import MockModel
from simkit.studies.population_finetuning import recipes
from simkit.studies.representativeness import populations as rep
from simkit.studies.representativeness import recorded, subgroups
from simkit.studies.tables import Table
from simkit.worlds import exact_beliefs, survey

TRUE = partial(exact_beliefs, survey)
BESIDE = Path(__file__).parents[2].parent / "shared" / "data"
DATA = os.environ.get("SIMKIT_DATA") or str(BESIDE)
has_twins = pytest.mark.skipif(
    not (Path(DATA) / "twin2k" / "combined_dv_human.csv.gz").exists(), reason="data not here"
)


@pytest.fixture(scope="module")
def world():
    setting = rep.world_survey(700, 600, seed=1)
    found = rep.simulate(TRUE, setting, seed=1)
    return setting, found, *rep.errors(setting, found, n_boot=40, seed=1)


def test_on_the_worlds_own_beliefs_the_techniques_come_out_as_they_must(world):
    _, found, table, details = world
    assert list(found) == ["independent margins", "personas", "mixture", "joint interview"]
    at = table.set_index("technique")
    control, personas, joint = (
        at.loc[t] for t in ("independent margins", "personas", "joint interview")
    )
    assert control.marginal_raw < 1.6 * control.marginal_raw_floor
    assert joint.structural_raw < 1.6 * joint.structural_raw_floor
    assert (table.structural_low <= table.structural).all()
    assert (table.structural <= table.structural_high).all()
    assert joint.structural_high < personas.structural_low
    assert personas.structural_high < control.structural_low
    assert at.kept["personas"] == pytest.approx(0.3, abs=0.1) and joint.kept > 0.85
    assert details["personas"]["rmsd"]["estimate"] == personas.structural
    assert details["personas"]["rmsd"]["raw"] == personas.structural_raw
    assert np.isnan(control.valid_mass) and (table.valid_mass[1:] == 1).all()


def test_interviews_are_asked_in_an_order_of_each_persons_own():
    # So the spread of orders is in intervals over respondents: 8 items, all but no order twice.
    for setting in (rep.world_survey(20, 20, seed=1), rep.anes_survey(seed=1, simulated=20)):
        orders = rep.battery(setting).orders(range(20), 1)
        assert len(set(orders)) > 10 and len({order[0] for order in orders}) > 2


def test_valid_mass_is_that_of_the_questions_asked():
    setting = rep.world_survey(100, 20, seed=1)

    def half(question, design):  # as a model would that says something else in every other prompt
        table = TRUE(question, design)
        return table.assign(valid_mass=np.where(table["prompt_id"] % 2, 0.2, 0.6))

    found = rep.simulate(half, setting, seed=1)
    assert "valid_mass" not in found["independent margins"].attrs
    for name in ("personas", "mixture", "joint interview"):
        # Every other prompt of a call, of which in a random order some calls have one more.
        assert found[name].attrs["valid_mass"] == pytest.approx(0.4, abs=0.06)


def test_anes_is_the_held_out_part_and_asks_four_items():
    setting = rep.anes_survey(seed=1, simulated=7)
    assert (
        list(setting.humans) == ["PID", "selfLR", "vote", "TVnews"] and len(setting.personas) == 7
    )
    assert 200 < len(setting.humans) < 400
    assert not rep.anes_survey(seed=2).humans.equals(setting.humans)
    mixed, told = rep.mixture(rep.anes_survey(seed=1), seed=1), list(rep.ANES_TOLD)
    said = rep.anes_survey(seed=1).personas.set_index(told)["context"]
    both = [(k, text) for *k, text in mixed[[*told, "context"]].to_numpy() if tuple(k) in said]
    assert both and all((said.loc[[tuple(k)]] == text).all() for k, text in both)  # the same words
    line = rep.battery(setting)["vote"].line({}, answer="2")
    assert line == "Vote (1 Clinton, 2 Dole): 2"
    for item, (low, high) in setting.scales.items():
        assert setting.humans[item].min() == low and setting.humans[item].max() == high


def test_adapters_that_are_not_there_are_no_error():
    lm = sk.load("glassbox")
    assert recipes.loaded(lm, "no-such-adapter", seed=1) == {}
    assert list(recipes.loaded(lm, "anes96-lora", seed=1)) == ["anes96-lora"]
    # Another seed holds out other people, some of whom have taught these adapters.
    assert recipes.loaded(lm, "anes96-lora", seed=2) == {}


def test_what_is_not_known_is_left_out():
    persons = survey.item_correlation()
    read = SimpleNamespace(card={"worlds": ["survey"]})
    rows = rep.against_truth(read, {"the persons": persons})
    assert rows.loc["the persons", "rmsd"] == pytest.approx(0)
    assert rows.loc["perfect personas", "structure_kept"] == pytest.approx(0.3, abs=0.1)
    assert rep.against_truth(MockModel(lambda prompt: {}), {"the persons": persons}).empty


def test_other_measures_have_a_column_per_technique(world):
    setting, found, *_ = world
    two = {name: found[name] for name in ("independent margins", "joint interview")}
    rows = rep.other_measures(setting.humans, two, seed=1)
    assert list(rows) == [*two, "floor"]
    kinds = [f"rmsd, {method}" for method in ("pearson", "spearman", "polychoric")]
    assert (rows.loc[kinds, "joint interview"] < 0.5 * rows.loc[kinds, "independent margins"]).all()
    assert rows.loc[kinds, "joint interview"].to_numpy() == pytest.approx(
        rows.loc[kinds, "floor"].to_numpy(), abs=0.03
    )
    assert {"tucker_phi", "edges_kept"} <= set(rows.index)


def test_group_means_cannot_tell_personas_from_persons(monkeypatch):
    monkeypatch.setattr(subgroups, "GROUPS", (10, 40))
    grouped, single = subgroups.subgroup_simulation(500, repetitions=30, seed=1)
    ten = grouped[grouped.groups == 10].set_index("population").estimate
    alone = single.set_index("population").estimate
    assert ten["personas"] < 1.6 * ten["second sample"]
    assert alone["personas"] > 2.5 * alone["second sample"]
    assert ten["second sample"] > 2 * alone["second sample"]
    forty = grouped[grouped.groups == 40].set_index("population").estimate
    assert forty["second sample"] < ten["second sample"]
    at_ten = grouped[grouped.groups == 10].set_index("population")
    excess = at_ten.estimate - subgroups.FAR * ten["second sample"]
    assert at_ten.excess.to_numpy() == pytest.approx(excess.to_numpy())
    assert (at_ten.excess_low < at_ten.excess).all() and (at_ten.excess < at_ten.excess_high).all()
    assert at_ten.excess_high["second sample"] < 0 < at_ten.excess["independent margins"]
    # Power: the share above the 95 % quantile of second samples. Of those themselves 2 of 30 are
    # above (the quantile lies between the 28th and 29th); person by person nothing is missed.
    assert at_ten.power["second sample"] == pytest.approx(2 / 30)
    assert at_ten.power_high["personas"] < 0.5 < at_ten.power_low["independent margins"]
    assert single.set_index("population").power["personas"] == 1
    assert (at_ten.power_low < at_ten.power).all() and (at_ten.power <= at_ten.power_high).all()


def test_intervals_as_published_miss():
    check = subgroups.interval_check(repetitions=40, n_boot=60, seed=1)
    assert check.coverage.iloc[0] < check.coverage.iloc[1] <= check.coverage.iloc[2]
    assert check.high.iloc[0] < 0.7 and check.high.iloc[2] >= 0.95


@has_twins
def test_the_recorded_twins_are_what_the_data_give(monkeypatch):
    monkeypatch.setenv("SIMKIT_DATA", DATA)
    place = resources.root("data") / "results" / "representativeness_twin2k.csv"
    table = pd.read_csv(place, comment="#")
    people, scales = datasets.load("twin2k"), datasets.load("twin2k_scales")
    head = place.read_text(encoding="utf-8").splitlines()[0]
    assert datasets.card("twin2k").revision[:12] in head and "SHA-256" in head
    # The distances without any resampling, by other code; and one study with all its resamples.
    human, twin = (people[people.population == p].reset_index(drop=True) for p in ("human", "twin"))
    kept = table.set_index(["study", "measure"])
    for study, about in scales.groupby("study"):
        items = [o for o in about.outcome if o in human]
        if len(items) < 3:
            assert study not in table.study.to_numpy()
            continue
        upper = np.triu_indices(len(items), 1)
        gap = human[items].corr().to_numpy()[upper] - twin[items].corr().to_numpy()[upper]
        assert kept.raw[study, "structural"] == pytest.approx(np.sqrt(np.nanmean(gap**2)), abs=2e-3)
        own = [human[i].corr(twin[i]) for i in items if twin[i].nunique() > 1]
        assert kept.estimate[study, "own"] == pytest.approx(np.mean(own), abs=6e-4)
    only = scales[scales.study == "Story Beliefs"]
    monkeypatch.setattr(datasets, "load", {"twin2k": people, "twin2k_scales": only}.__getitem__)
    monkeypatch.setattr(recorded, "OVERALL", "the same")
    again = recorded.twin2k_results().query("study == 'Story Beliefs'").reset_index(drop=True)
    first = table.query("study == 'Story Beliefs'").reset_index(drop=True)
    pd.testing.assert_frame_equal(again.round(4)[first.columns], first, atol=2e-4)


def test_the_recorded_cells_are_what_the_package_gives(tmp_path):
    pytest.importorskip("popfidelity")
    place = resources.root("data") / "results" / "representativeness_ces24.csv"
    table = pd.read_csv(place, comment="#")
    pd.testing.assert_frame_equal(
        recorded.ces24_results().round(4), table, atol=2e-4, check_dtype=False
    )


def test_without_the_data_the_recorded_table_is_shown(monkeypatch, tmp_path):
    monkeypatch.setattr(Table, "here", lambda table: False)
    table, text = recorded.results("twin2k")
    assert {"structural", "marginal", "own", "kept"} <= set(table.measure)
    assert "recorded table" in text and "fetch twin2k" in text
    monkeypatch.setattr(Table, "here", lambda table: True)
    toy = Table("toy.csv", ("twin2k",), lambda: pd.DataFrame({"a": [1]}))
    monkeypatch.setitem(recorded.TABLES, "toy", toy)
    assert recorded.results("toy")[1] == "Computed now from twin2k."


def wvs_file(path, n=400, seed=0, lean=1.0):
    """A made-up file in the official column layout."""
    rng = np.random.default_rng(seed)
    place = rng.integers(1, 11, n)
    frame = pd.DataFrame({
        "B_COUNTRY_ALPHA": rng.choice(["DEU", "USA", "MEX", "EGY", "JPN"], n),
        "W_WEIGHT": 1.0,
        "Q1": np.clip(rng.integers(1, 5, n), 1, 4),
        "Q33": np.clip(np.round(3 + lean * (place - 5.5) / 3 + rng.standard_normal(n)), 1, 5),
        "Q106": np.clip(np.round(5 - lean * (place - 5.5) / 2 + rng.standard_normal(n)), 1, 10),
        "Q164": np.clip(np.round(5 + rng.standard_normal(n) * 3), 1, 10),
        "Q240": place,
        "Q260": rng.integers(1, 3, n),
        "Q262": rng.integers(18, 90, n),
    }).astype({"Q33": int, "Q106": int, "Q164": int})  # fmt: skip
    frame.loc[3, "Q33"] = -2
    frame.loc[4, "Q240"] = -1
    frame.to_csv(path, sep=";", index=False)
    return datasets.load("wvs7", path=path)


def test_wvs_groups_and_measure(tmp_path):
    frame = wvs_file(tmp_path / "WVS_Cross-National_Wave_7_csv_v6_0.csv")
    groups = recorded.wvs7_groups(frame)
    assert list(groups) == [
        "liberal", "conservative", "german", "american", "latin_america", "middle_east", "men",
        "women", "people_over_30", "old_people",
    ]  # fmt: skip
    assert groups.loc[4, ["liberal", "conservative"]].tolist() == [False, False]
    assert (groups.men ^ groups.women).all() and groups.latin_america.equals(
        frame.B_COUNTRY_ALPHA == "MEX"
    )
    assert not (groups.liberal & groups.conservative).any()
    items = pd.DataFrame({
        "item": ["Q1", "Q33", "Q106", "Q164", "Q260"],
        "group": ["Important in life", "Work", "Economy", "Religion", "Sex"],
        "answers": [
            dict.fromkeys(codes, "")
            for codes in (range(1, 5), (-2, *range(1, 6)), range(1, 11), range(1, 11), (1, 2))
        ],
    })  # fmt: skip
    twin = wvs_file(tmp_path / "again.csv", seed=1)
    other = wvs_file(tmp_path / "other.csv", seed=2, lean=-1.0)
    near, far = (
        recorded.wvs7_results(frame, s, items, n_boot=10)["rmse"]["estimate"] for s in (twin, other)
    )
    assert "4 items, 10 groups" in recorded.wvs7_results(frame, twin, items, n_boot=3).method
    assert near < far
    with pytest.raises(ValueError, match="must be two or more"):
        recorded.wvs7_results(frame, twin, items.head(1))
