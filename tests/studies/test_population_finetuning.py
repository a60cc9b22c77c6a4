"""The study's surveys and adapters: who is held out, what is trained, what ships."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit import datasets
from simkit.resources import adapters
from simkit.scoring import LocalModel, MockModel
from simkit.studies.population_finetuning import evaluation, recipes, surveys
from simkit.survey import PARTS, Survey
from simkit.training.adapters import RECORD, read_record
from simkit.training.base import fingerprint
from simkit.training.data import digest
from simkit.worlds import survey as world
from tests.training.conftest import tiny_model

pytest.importorskip("peft")


@pytest.fixture(scope="module")
def model() -> LocalModel:
    return tiny_model()


@pytest.fixture(scope="module")
def ev() -> Survey:
    return surveys.ev_survey(n=300)


@pytest.fixture(scope="module")
def anes() -> Survey:
    return surveys.anes_survey()


def test_nobody_is_in_two_parts_and_the_plan_holds(ev: Survey) -> None:
    parts = [set(evaluation.examples(ev, p)["respondent"]) for p in PARTS]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert sum(map(len, parts)) == 300
    assert ev.plan is not None and ev.plan.largest < 0.02
    assert ev.people["source"].is_unique  # drawn without replacement
    assert repr(ev).startswith("Survey('ev': 300 respondents")
    other = surveys.ev_survey(n=300, seed=2)
    assert set(other.people["source"]) != set(ev.people["source"])


def test_prompts_tell_what_the_baselines_use(ev: Survey) -> None:
    design = ev.designs["ev_after"]
    context, person = design["context"].iloc[5], ev.people.iloc[5]
    for name in ev.told["ev_after"]:
        said = "read" if name == "information" else str(person[name])
        assert said in context, name
    assert "Electric car next" not in ev.designs["ev_before"]["context"].iloc[5]
    table = evaluation.examples(ev, "train", 40, seed=3)
    assert table["respondent"].nunique() == 40
    assert set(table["respondent"]) <= set(ev.part("train").index)


def test_truth_is_the_worlds(ev: Survey) -> None:
    exact = ev.exact("ev_before")
    assert exact is not None and list(exact.index) == list(ev.part("test").index)
    town = world.POPULATIONS["target"]
    again = world.exact(ev.designs["ev_before"].loc[exact.index], "ev_before", town)
    assert exact.to_numpy() == pytest.approx(again)
    # answers were drawn from it: their mean lies within four standard errors
    values = np.array(ev.scale("ev_before"))
    gap = ev.answers("ev_before") - exact.to_numpy() @ values
    assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(len(gap))


def test_voters_and_their_answers(anes: Survey) -> None:
    assert len(anes.people) == 944
    vote = anes.answers("vote")
    assert set(vote) == {0.0, 1.0}
    frame = datasets.load("anes96")
    assert vote.tolist() == frame.loc[vote.index, "vote"].tolist()
    assert anes.exact("vote") is None
    assert not anes.ordered("vote") and anes.ordered("selfLR")
    assert "1 = extremely liberal" in anes.questions["selfLR"].text
    assert anes.questions["vote"].text.endswith("(1 = Bill Clinton, 2 = Bob Dole)")
    person = anes.people.iloc[0]
    said = anes.designs["vote"]["context"].iloc[0]
    assert said.endswith(f"Party, from 0 (strong Democrat) to 6 (strong Republican): {person.PID}.")
    margins = anes.margins("educ")
    assert margins["target"].sum() == pytest.approx(1)
    assert margins["achieved"].sum() == pytest.approx(1)


def test_beliefs_and_baselines_are_laid_out_alike(anes: Survey) -> None:
    mock = MockModel(lambda prompt: {"1": 0.75, "2": 0.25})
    belief = evaluation.belief(anes, mock, "vote")
    assert belief.iloc[0].tolist() == pytest.approx([0.75, 0.25])
    base = evaluation.baselines(anes, "vote")
    assert list(base) == [
        "uniform", "training marginal", "nearest neighbours", "multinomial logit"
    ]  # fmt: skip
    for table in (belief, *base.values()):
        assert list(table) == [0.0, 1.0] and table.index.equals(anes.part("test").index)
    # the share of all answers that an adapter has seen: training and validation
    seen = anes.people.loc[anes.people["part"] != "test", "vote"]
    dole = ((seen == "2").sum() + 0.05) / (seen.notna().sum() + 0.1)
    assert base["training marginal"].iloc[0, 1] == pytest.approx(dole)


def test_fits_have_the_metrics_that_the_scale_allows(ev: Survey, anes: Survey) -> None:
    exact = ev.exact("ev_before")
    assert exact is not None
    rows = evaluation.fit(ev, "ev_before", exact, n_boot=20).set_index("metric")
    assert list(rows.index) == ["kl", "tv", "wasserstein", "rmse", "mae", "log_loss", "rmse_mean"]
    assert rows.loc["rmse_mean", "estimate"] < rows.loc["rmse", "estimate"]  # no spread of its own
    assert rows.loc["rmse", "floor"] == pytest.approx(rows.loc["rmse", "estimate"])
    vote = evaluation.fit(
        anes, "vote", evaluation.baselines(anes, "vote")["uniform"], n_boot=20
    ).set_index("metric")
    assert list(vote.index) == ["kl", "tv", "log_loss"]
    assert vote.loc["log_loss", "estimate"] == pytest.approx(np.log(2))
    with pytest.raises(ValueError, match="no part 'all'; there are: train, validation, test"):
        ev.part("all")


def test_recipes_are_named_once_and_make_the_grid() -> None:
    names = [r.name for r in recipes.recipes()]
    assert len(set(names)) == len(names)
    for slope in recipes.SLOPES:
        for width in recipes.WIDTHS:
            assert recipes.cell(slope, width) in names
    assert {f"{s}-{k}" for s in ("ev", "anes96") for k in recipes.METHODS} <= set(names)
    with pytest.raises(ValueError, match="no profile 'huge'; there are: fast, full"):
        recipes.recipes("huge")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One adapter of one step on a small survey."""
    one = recipes.Recipe("ev-lora", "ev", {"steps": 1, "every": 1}, respondents=8)
    monkeypatch.setattr(recipes, "recipes", lambda profile="full": (one,))
    monkeypatch.setitem(recipes.SURVEYS, "ev", lambda seed: surveys.ev_survey(n=40, seed=seed))


@pytest.mark.usefixtures("short")
def test_adapters_are_trained_found_and_made_anew(tmp_path: Path, model: LocalModel) -> None:
    long = replace(model, network=_longer(model))
    made = recipes.train_adapters(tmp_path, model=long, progress=False)
    assert made == [tmp_path / "ev-lora"]
    record = read_record(made[0])
    assert record is not None and record["counts"]["respondents"] == 8
    weights = (made[0] / "adapter_model.safetensors").read_bytes()
    stamp = (made[0] / RECORD).stat().st_mtime_ns
    recipes.train_adapters(tmp_path, model=long, progress=False)
    assert (made[0] / RECORD).stat().st_mtime_ns == stamp  # finished: nothing is done again
    found, told = recipes.tuned(long, tmp_path)
    assert list(found) == ["ev-lora"] and "trained before" in told
    other = replace(model, network=_longer(model, shift=0.5))
    recipes.train_adapters(tmp_path, model=other, progress=False)  # other weights: anew
    assert (made[0] / "adapter_model.safetensors").read_bytes() != weights
    found, told = recipes.tuned(long, tmp_path / "empty")
    assert list(found) == ["ev-lora"] and "trained in this run, a few steps" in told
    _, told = recipes.tuned(long, tmp_path / "whole", profile="full")
    assert told.endswith("trained in this run")
    again, _ = recipes.tuned(long, tmp_path / "whole", seed=2)  # of seed 1: not taken
    assert read_record(tmp_path / "whole" / "ev-lora")["settings"]["seed"] == 2  # type: ignore[index]
    assert list(again) == ["ev-lora"]


def _longer(model: LocalModel, shift: float = 0.0) -> object:
    """The tiny model with room for the survey's prompts, letter by letter."""
    import copy

    import torch
    from transformers import LlamaForCausalLM

    config = copy.deepcopy(model.network.config)
    config.max_position_embeddings = 512
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        network.model.norm.weight += shift
    return network


SHIPPED = sorted(p.parent for p in adapters("population").glob(f"*/{RECORD}"))


@pytest.mark.skipif(not SHIPPED, reason="no adapters ship yet")
def test_what_ships_is_what_the_recipes_make() -> None:
    lm = sk.load("glassbox")
    known = {r.name: r for r in recipes.recipes()}
    told: dict[tuple[str, int | None], str] = {}
    for folder in SHIPPED:
        record = read_record(folder)
        assert record is not None and record["fingerprint"] == fingerprint(lm.network), folder.name
        recipe = known[folder.name]
        key = (recipe.survey, recipe.respondents)
        if key not in told:
            survey = recipes.SURVEYS[recipe.survey]()
            told[key] = digest(evaluation.examples(survey, "train", recipe.respondents, 1))
        assert record["call"]["examples"] == told[key], folder.name
        text = (folder / "README.md").read_text()
        assert "respondents of the survey" in text
    total = sum(p.stat().st_size for f in SHIPPED for p in f.iterdir())
    assert total < 2_000_000


@pytest.mark.skipif(not SHIPPED, reason="no adapters ship yet")
def test_a_shipped_adapter_moves_the_belief_towards_the_population() -> None:
    lm = sk.load("glassbox")
    survey = surveys.ev_survey()
    found, _ = recipes.tuned(lm)
    fits = [
        evaluation.fit(survey, "ev_before", evaluation.belief(survey, m, "ev_before"), n_boot=2)
        for m in (lm, found["ev-lora"])
    ]
    base, after = (f.set_index("metric")["estimate"] for f in fits)
    assert after["kl"] < 0.5 * base["kl"]
    assert after["log_loss"] < base["log_loss"]


def test_the_third_population_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from simkit.datasets import files

    monkeypatch.delenv("SIMKIT_DATA", raising=False)
    monkeypatch.setattr(files, "cache_folder", lambda: Path("nowhere"))
    with pytest.raises(datasets.DataError, match="SIMKIT_DATA"):
        surveys.car_survey()


def test_vehicles_are_told_by_the_code_book(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 60
    frame = pd.DataFrame({"choice": [f"choice{1 + i % 6}" for i in range(rows)]})
    for name in ("college", "hsg2", "coml5"):
        frame[name] = [float(i % 2) for i in range(rows)]
    for k in range(1, 7):
        frame[f"fuel{k}"], frame[f"type{k}"] = "electric", "van"
        frame[f"price{k}"], frame[f"range{k}"] = 2.0 + k / 2, 100.0 + k
    monkeypatch.setattr(datasets, "load", lambda name: frame)
    survey = surveys.car_survey(n=40)
    prompt = survey.questions["pick"].prompts(survey.designs["pick"].head(1))[0]
    assert "1. electric van, price 2.5, range 101\n2. electric van" in prompt
    assert survey.answers("pick", "train").between(0, 5).all()
    picks = survey.people["choice"].str.removeprefix("choice").astype(int) - 1
    assert (survey.answers("pick") == picks[survey.part("test").index]).all()
    assert evaluation.examples(survey)["option"].str.startswith("electric van").all()
    frame.loc[3, "fuel2"] = "steam"
    from simkit.personas import car_vehicles

    with pytest.raises(ValueError, match="row 3 holds 'steam'"):
        car_vehicles(frame)
