"""A model that only has a rule goes through all that asks a model, or is told what it lacks."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit.scoring import Cached, LocalModel, MockModel
from simkit.scoring.load import BACKENDS, Backend
from simkit.scoring.types import Scores, ability, identity_of, worlds_of

DESIGN = pd.DataFrame({"price": [1, 2, 3]}, index=[7, 3, 5])
QUESTION = sk.Question("Buy it?", ["yes", "no"], template="It costs {price}. {question}")
TEXTS = [" I say yes.", " I say no.", " I wait."]


def rule(prompt: str) -> dict[str, float]:
    return {"yes": 0.6, "no": 0.2} if "costs 1" in prompt else {"yes": 0.1, "no": 0.8}


@pytest.fixture
def mock() -> MockModel:
    return MockModel(rule, identity={"rule": "cheap"})


def parquet(model: Any, folder: Path) -> pd.DataFrame:
    source, out = folder / "in.parquet", folder / "out.parquet"
    DESIGN.assign(prompt=["costs 1", "costs 2", "costs 3"]).to_parquet(source)
    sk.score_parquet(model, source, out, ["yes", "no"])
    return pd.read_parquet(out)


def at_pivot(model: Any) -> pd.DataFrame:
    pivots = sk.find_pivots(TEXTS, ["yes", "no"])
    return sk.belief_at_pivot(model, "costs 1", TEXTS, pivots, ["yes", "no"])


SCORED = {
    "score": lambda model, _: sk.score(model, ["costs 1"], [" yes", " no"]),
    "believe": lambda model, _: sk.believe(model, QUESTION, DESIGN),
    "sample_choices": lambda model, _: sk.sample_choices(sk.believe(model, QUESTION, DESIGN)),
    "at_temperature": lambda model, _: sk.at_temperature(sk.believe(model, QUESTION, DESIGN), 2),
    "belief_at_pivot": lambda model, _: at_pivot(model),
    "score_parquet": parquet,
}
REFUSED = {
    "sample_runs": (lambda model: sk.sample_runs(model, QUESTION, DESIGN, runs=1), "runs"),
    "write": (lambda model: sk.scoring.write(model, ["a"], [1]), "write"),
    "as_recorded": (lambda model: sk.scoring.as_recorded(model, "a", " yes"), "recorded"),
}
CHATS = {
    "believe": lambda model: sk.believe(model, QUESTION, DESIGN, chat=True),
    "chat_prompts": lambda model: sk.chat_prompts(model, ["a"]),
}


@pytest.mark.parametrize("call", SCORED.values(), ids=SCORED)
def test_a_rule_is_scored_and_kept(call: Any, mock: MockModel, tmp_path: Path) -> None:
    plain = call(mock, tmp_path)
    cached = Cached(mock, tmp_path / "scores.sqlite")
    for _ in range(2):
        again = call(cached, tmp_path)
        if isinstance(plain, pd.DataFrame):
            pd.testing.assert_frame_equal(again, plain, check_exact=True)
        else:
            np.testing.assert_array_equal(again, plain)
    assert cached.stored


@pytest.mark.parametrize(("call", "member"), REFUSED.values(), ids=REFUSED)
def test_what_a_rule_cannot_do_is_named(
    call: Any, member: str, mock: MockModel, tmp_path: Path
) -> None:
    with pytest.raises(TypeError, match=rf"mock \(MockModel\) has no `{member}`, which \w+ needs"):
        call(mock)
    with pytest.raises(TypeError, match=f"has no `{member}`"):
        call(Cached(mock, tmp_path / "scores.sqlite"))


@pytest.mark.parametrize("call", CHATS.values(), ids=CHATS)
def test_a_model_without_a_tokenizer_has_no_chat(call: Any, mock: MockModel) -> None:
    with pytest.raises(ValueError, match="mock has no chat template"):
        call(mock)


def test_every_function_that_takes_a_model_is_tried_here() -> None:
    public = {name: getattr(sk.scoring, name) for name in sk.scoring.__all__}
    takes = {n for n, f in public.items() if inspect.isfunction(f)
             and "model" in inspect.signature(f).parameters}  # fmt: skip
    assert takes <= {*SCORED, *REFUSED, *CHATS, "with_chat", "worlds_of"}


def test_rows_are_named_by_the_designs_labels() -> None:
    sour = MockModel(lambda prompt: {"yes": 0.5} if "costs 1" in prompt else {"yes": 2.0})
    with pytest.raises(ValueError, match=r"^row 3: the rule's probabilities"):
        sk.believe(sour, QUESTION, DESIGN)


def test_a_model_without_an_identity_is_not_kept(tmp_path: Path) -> None:
    kept = Cached(MockModel(rule), tmp_path / "scores.sqlite")
    with pytest.raises(ValueError, match=r"mock \(MockModel\) has no identity, so a store cannot"):
        sk.believe(kept, QUESTION, DESIGN)


def test_a_cache_is_the_model_in_all_else(tmp_path: Path) -> None:
    mock = MockModel(rule, "r", card={"worlds": ["market"]}, identity={"rule": 1})
    cached = Cached(mock, tmp_path / "scores.sqlite")
    assert (cached.name, cached.identity, worlds_of(cached)) == ("r", {"rule": 1}, ("market",))
    assert not hasattr(cached, "tokenizer") and "MockModel" in repr(cached)
    assert sk.believe(cached, QUESTION, DESIGN)["model"].unique().tolist() == ["r"]


class Bare:
    """What a model must have, and nothing else."""

    name = "bare"

    def scores(self, prompts: Any, options: Any) -> Scores:
        shape = len(prompts), len(options[0])
        return Scores(np.full(shape, np.log(0.4)), np.zeros(shape, dtype=bool))


def test_absent_members_mean_what_they_say(recwarn: pytest.WarningsRecorder) -> None:
    assert worlds_of(Bare()) == () and identity_of(Bare()) == {}
    assert (sk.believe(Bare(), QUESTION, DESIGN)["belief"] == 0.5).all()
    with pytest.warns(sk.scoring.LowMassWarning) as told:
        sk.believe(Bare(), QUESTION, DESIGN, least_mass=0.9)
    assert "would rather write" not in str(told[0].message)
    with pytest.raises(TypeError, match=r"bare \(Bare\) has no `write`, which interviews needs"):
        ability(Bare(), "write", "interviews")


def test_load_takes_what_its_table_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = sk.load(rule)
    assert isinstance(made, MockModel) and sk.load(made) is made
    assert isinstance(sk.load("glassbox"), LocalModel)
    cached = sk.load(MockModel(rule, identity={"rule": 1}), cache=tmp_path / "scores.sqlite")
    assert isinstance(cached, Cached) and isinstance(cached.model, MockModel)
    for wrong in (3, None, ["glassbox"]):
        with pytest.raises(ValueError, match="is no model; it must be a loaded model; or a rule"):
            sk.load(wrong)
    # A backend is one line.
    line = Backend("a server", lambda source: str(source).startswith("bare:"), lambda _: Bare())
    monkeypatch.setattr(sys.modules["simkit.scoring.load"], "BACKENDS", [line, *BACKENDS])
    assert sk.load("bare:1").name == "bare"
