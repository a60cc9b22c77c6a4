"""Records made of a local model read back as that model's own probabilities."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
from tokenizers import processors

import simkit as sk
from simkit.scoring.pivot.recorded import as_recorded

PROMPT = "A parent buys diapers. Cuddles cost 30 cents each. Snugly cost 30 cents each."
PROMPT += "\nQuestion: Which diapers does the parent take?\nAnswer:"
OPTIONS = ["Cuddles", "Snugly", "neither"]


@pytest.fixture(scope="module")
def lm():
    return sk.load("glassbox")


def read(lm, top):
    recorded = sk.read_recorded(as_recorded(lm, PROMPT, " Snugly", top=top))
    pivots = sk.find_pivots([r.text for r in recorded], OPTIONS)
    return recorded, sk.belief_recorded(recorded, pivots, OPTIONS)


def test_with_many_tokens_listed_belief_is_the_models_own(lm):
    recorded, table = read(lm, 100)
    assert recorded[0].text == " Snugly"
    whole = np.exp(sk.score(lm, [PROMPT], [" " + o for o in OPTIONS])[0])
    np.testing.assert_allclose(table["belief"], whole / whole.sum(), atol=1e-4)
    np.testing.assert_allclose(table["unlisted"], 0, atol=1e-3)


def test_fewer_tokens_give_bounds_that_hold(lm):
    whole = np.exp(sk.score(lm, [PROMPT], [" " + o for o in OPTIONS])[0])
    exact = whole / whole.sum()
    _, table = read(lm, 1)
    assert (table["unlisted"] > 0.05).all()
    assert (table["low"] <= exact + 1e-6).all() and (exact <= table["high"] + 1e-6).all()
    assert (table["high"] - table["low"]).max() > 0.05


def test_refusals(lm):
    with pytest.raises(ValueError, match="top is 0"):
        as_recorded(lm, PROMPT, " Snugly", top=0)
    with pytest.raises(ValueError, match="no tokens after prompt"):
        as_recorded(lm, PROMPT, "")


def test_an_end_that_the_tokenizer_appends_is_no_part_of_the_text(lm):
    whole = as_recorded(lm, PROMPT, " Snugly", top=3)
    appending = copy.deepcopy(lm.tokenizer)
    first = appending("a")["input_ids"][0]
    front, end = appending.convert_ids_to_tokens(first), appending.eos_token
    appending.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{front} $A {end}", special_tokens=[(front, first), (end, appending.eos_token_id)]
    )
    assert appending("a")["input_ids"] == [*lm.tokenizer("a")["input_ids"], appending.eos_token_id]
    other = replace(lm, tokenizer=appending)
    assert as_recorded(other, PROMPT, " Snugly", top=3) == whole
