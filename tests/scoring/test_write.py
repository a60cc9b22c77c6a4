"""Text by seed: a text depends on its own prompt and seed, and ends at the stop."""

from __future__ import annotations

import pytest

import simkit as sk
from simkit.scoring import write

PROMPT = "A parent buys diapers. Cuddles cost {} cents each. Snugly cost 30 cents each. "
PROMPT += "The parent thinks aloud.\nQuestion: Which diapers does the parent take?\nThought:"


@pytest.fixture(scope="module")
def lm():
    return sk.load("glassbox")


def test_each_text_depends_on_its_own_prompt_and_seed(lm):
    prompts = [PROMPT.format(24), PROMPT.format(36), PROMPT.format(24)]
    texts = write(lm, prompts, [1, 2, 3])
    assert write(lm, prompts[::-1], [3, 2, 1]) == texts[::-1]
    assert write(lm, prompts[:1], [1]) == texts[:1]
    many = write(lm, prompts[:1] * 40, range(40))
    assert len(set(many)) > 3
    assert all("\n" not in text for text in many)


def test_keywords_change_the_text(lm):
    many = [PROMPT.format(30)] * 30
    base = write(lm, many, range(30))
    assert len(set(write(lm, many, range(30), temperature=0))) == 1
    assert max(map(len, write(lm, many, range(30), max_tokens=2))) < min(map(len, base)) + 9
    assert all(" " not in text.strip() for text in write(lm, many, range(30), stop=" "))


def test_refusals(lm):
    with pytest.raises(ValueError, match="1 seeds for 2 prompts"):
        write(lm, ["a", "b"], [1])
    with pytest.raises(ValueError, match="max_tokens is 0"):
        write(lm, ["a"], [1], max_tokens=0)
