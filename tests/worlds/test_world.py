"""Every world through one gate: what `World` promises, its text, its truth in a model's place."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.personas import Battery, Item, interview
from simkit.personas.answers import belief_table
from simkit.questions import Question
from simkit.types import generator
from simkit.worlds import exact_beliefs, survey
from simkit.worlds.corpus import HELD_OUT, MIXTURE, WORLDS, corpus, prompts
from simkit.worlds.kinds import WORDINGS

LEAST = {"market": 0.0, "survey": 1e-300, "concepts": 0.005}  # of any answer's probability
KINDS = [(name, kind) for name, (_, world) in WORLDS.items() for kind in world.KINDS]


def test_shares_are_shares() -> None:
    assert sum(share for share, _ in WORLDS.values()) == pytest.approx(1)
    for _, world in WORLDS.values():
        assert sum(kind.share for kind in world.KINDS.values()) == pytest.approx(1)
        assert all(kind.share > 0 or kind.held_out for kind in world.KINDS.values())
    assert sum(kind.share for kind in MIXTURE.values()) == pytest.approx(1)
    with pytest.raises(ValueError, match="no kind 'blind'; there are: purchase, blind"):
        prompts("blind", 1, 1)
    chunk = next(corpus(6, answers=1))
    assert {d.kind for d in chunk} == set(MIXTURE)
    assert {d.kind for d in chunk if not d.ends} == {"brand thought"}
    assert set(MIXTURE) - set(HELD_OUT) >= {"covariate, blind", "likert, interview"}


@pytest.mark.parametrize("name", WORLDS)
def test_questions_have_names(name: str) -> None:
    world = WORLDS[name][1]
    assert len(set(map(world.question, world.QUESTIONS))) == len(world.QUESTIONS)
    for ask in ("smell", 3):
        with pytest.raises(ValueError, match=f"no question {ask!r}; there are: "):
            world.question(ask)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'Why' is no question of this world"):
        exact_beliefs(world, Question("Why", ["so", "not"]), pd.DataFrame({"x": [1]}))


@given(st.sampled_from(KINDS), st.integers(0, 10_000), st.booleans())
def test_every_kind_of_prompt_has_a_proper_truth(
    which: tuple[str, str], seed: int, held_out: bool
) -> None:
    name, kind = which
    world = WORLDS[name][1]
    design, question, truth = world.KINDS[kind].build(7, generator(seed, kind), held_out)
    assert truth.shape == (7, len(question.options))
    np.testing.assert_allclose(truth.sum(1), 1)
    assert truth.min() >= LEAST.get(name, 0.0)
    if "wording" in design:
        assert ((design["wording"] >= WORDINGS) == held_out).all()
    for prompt, options in zip(question.prompts(design), question.options_for(design), strict=True):
        assert prompt.endswith(("Answer:", "Thought:"))
        assert not re.search(r"None|\bnan\b|[{}]", prompt)
        assert len(prompt.split()) <= 100
        assert len(set(options)) == len(options)
    asked = [ask for ask in world.QUESTIONS if world.question(ask) == question]
    if asked:  # the row says all that the truth was computed from
        np.testing.assert_allclose(world.exact(design, asked[0]), truth)
        table = belief_table(partial(exact_beliefs, world), question, kind, design)
        np.testing.assert_allclose(table["belief"].to_numpy().reshape(truth.shape), truth)
        assert table["valid_mass"].eq(1).all()


def test_the_truth_can_be_interviewed() -> None:
    people = survey.design(survey.respondents(3, 1)).drop(columns="answered")
    battery = Battery([Item(ask, survey.question(ask)) for ask in ("climate", "vehicle")])
    truth = partial(exact_beliefs, survey)
    found = interview(truth, battery, people.assign(person=range(3)))
    assert set(found.answers["climate"]) <= set(survey.AGREEMENT)
    assert found.report["valid_mass"].eq(1).all()
    assert set(found.beliefs["model"]) == {"exact"}
