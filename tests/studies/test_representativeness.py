"""Helpers of study 05: settings, errors, subgroups, intervals, recorded tables, WVS."""

import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit import audit, datasets, resources
from simkit.scoring import MockModel
from simkit.studies.population_finetuning import recipes
from simkit.studies.representativeness import populations as rep
from simkit.studies.representativeness import recorded, subgroups, techniques
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
        list(setting.humans) == ["PID", "selfLR", "vote", "TVnews"] and len(setting.simulated) == 7
    )
    assert 200 < len(setting.humans) < 400
    assert not rep.anes_survey(seed=2).humans.equals(setting.humans)
    mixed, told = rep.mixture(rep.anes_survey(seed=1), seed=1), list(rep.ANES_TOLD)
    said = rep.anes_survey(seed=1).simulated.set_index(told)["context"]
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


def test_voters_in_words_answer_with_what_is_offered():
    setting = rep.voters_in_words(seed=1, simulated=30)
    voters = datasets.load("anes96")
    assert len(setting.humans) == 944 and len(setting.simulated) == 30
    # By the codes of anes96: PID 0 to 2 Democratic, 3 independent, 4 to 6 Republican; places
    # 1 to 3 liberal, 4 moderate, 5 to 7 conservative; the vote 1 for Dole; TV news 0 to 7 days.
    assert (setting.humans["party"] == 0).sum() == (voters["PID"] < 3).sum()
    assert (setting.humans["party"] == 1).sum() == (voters["PID"] == 3).sum()
    assert (setting.humans["Dole"] == 2).sum() == (voters["DoleLR"] > 4).sum()
    assert setting.humans["vote"].tolist() == voters["vote"].tolist()
    assert setting.humans["news"].mean() == pytest.approx((voters["TVnews"] == 7).mean())
    assert not rep.voters_in_words(seed=2, simulated=30).simulated.equals(setting.simulated)
    line = rep.battery(setting)["politics"].line({}, answer="moderate")
    assert line == "The respondent's politics are moderate."
    assert set(rep.mixture(setting, seed=1)) >= {"person", "context", *rep.ANES_TOLD}


def test_what_a_time_affords_and_what_fails_is_left_out():
    setting = rep.voters_in_words(seed=1, simulated=60)

    says = {"party:": "Democratic", "'s politics:": "liberal", "vote for": "Bill Clinton",
            "of Bill Clinton:": "moderate", "of Bob Dole:": "nothing", "TV news": "no"}  # fmt: skip

    def rule(prompt):
        asked = prompt.rsplit("Question:", 1)[1]
        return {word: 0.9 for about, word in says.items() if about in asked}

    lm = sk.load(rule)
    asked = {name: (q, setting.simulated) for name, q in setting.questions.items()}
    works = audit.measure(lm, asked, prompts=3)
    fitted, said = rep.fitted(setting, works, 60)
    assert list(fitted.questions) == ["party", "politics", "vote", "Clinton", "news"]
    assert said == ["Left out: Dole, as 0.00 of the probability is on its options."]
    assert list(fitted.humans) == list(fitted.questions) and len(fitted.simulated) == 60
    small, said = rep.fitted(setting, works, 1e-6)
    assert len(small.simulated) == rep.MOST_REDUCED and "not 60" in said[-1]
    says.update({"vote for": "nothing", "TV news": "nothing", "of Bill Clinton:": "nothing"})
    with pytest.raises(ValueError, match="only 2 questions work on mock, of 3"):
        rep.fitted(setting, audit.measure(lm, asked, prompts=3), 60)


def test_stated_shares_are_drawn_apart():
    stated = pd.DataFrame({
        "question": ["a", "a", "b", "b"], "value": [0, 1, 0, 1], "share": [0.25, 0.75, 0.5, 0.5],
        "valid_mass": [0.8, 0.9, 1, 0.9],
    })  # fmt: skip
    drawn = techniques.share_answers(stated, 20_000, seed=1)
    # Standard errors: root(0.25 x 0.75 / 20,000) = 0.003, of a correlation of 0 1 / root(20,000).
    assert drawn.mean().to_numpy() == pytest.approx([0.75, 0.5], abs=0.012)
    assert abs(drawn.corr().loc["a", "b"]) < 0.03
    assert drawn.attrs["valid_mass"] == pytest.approx(0.9)
    with pytest.raises(ValueError, match="b: the model states no shares"):
        techniques.share_answers(stated.assign(share=[0.25, 0.75, np.nan, np.nan]), 10)


def test_stated_shares_ask_the_voters_themselves():
    setting = rep.voters_in_words(simulated=20)
    seen = []

    def rule(prompt):
        seen.append(prompt)
        return {"50": 1.0}

    stated = rep.stated_shares(sk.load(rule), setting)
    assert list(stated["question"].unique()) == list(setting.questions)
    assert stated.groupby("question")["share"].sum().to_numpy() == pytest.approx(np.ones(6))
    assert all(rep.VOTERS in p and "respondent" not in p for p in seen)
    assert any("Whom do you vote for" in p for p in seen)


def test_people_held_against_the_others_are_a_perfect_simulation():
    setting = rep.world_survey(600, 20, seed=1)
    others, some = rep.people_of(setting, 200, seed=1)
    assert len(some) == 200 and len(others.humans) == 400
    together = pd.concat([others.humans, some])
    assert together.sum().to_numpy() == pytest.approx(setting.humans.sum().to_numpy())
    assert len(rep.people_of(setting, 5_000)[1]) == 300  # at most half
    floor, _ = rep.errors(others, {"other people": some}, n_boot=40)
    assert floor.structural_low[0] == 0 and floor.marginal_low[0] == 0
    people = rep.worth(others, floor.assign(structural=0.3, structural_low=0.1, structural_high=1))
    assert (
        4 <= people.structure_low.iloc[0] < people.structure.iloc[0] < people.structure_high.iloc[0]
    )


def test_voters_in_words_work_on_a_real_model():
    try:
        lm = audit.asked(sk.load("smollm2"))
    except (ImportError, OSError, ValueError):
        pytest.skip("simkit models add smollm2")
    setting = rep.voters_in_words(simulated=4)
    asked = {name: (q, setting.simulated) for name, q in setting.questions.items()}
    mass = audit.measure(lm, asked, prompts=3, written=False).mass
    assert mass["party"] > 0.8 and mass.mean() > 0.8 and mass.min() > 0.7
    assert rep.stated_shares(lm, setting)["valid_mass"].min() > 0.8
