"""Rankings by sequential choice, by hand: Plackett-Luce from one belief, and each choice asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit import estimators as est
from simkit.personas import rankings

LIKES = sk.Question("Which do you like most?", ["tea", "milk", "juice", "water"])
P = {"tea": 0.4, "milk": 0.3, "juice": 0.2, "water": 0.1}
PEOPLE = pd.DataFrame({"person": ["ann", "ben"], "context": ["You are Ann.", "You are Ben."]})


def asks(rule: Callable[[str], Mapping[str, float]]) -> Any:
    return partial(sk.believe, sk.MockModel(rule))


def belief(table: pd.DataFrame, person: str) -> pd.DataFrame:
    mine = table[table["person"] == person]
    return mine.pivot(index="place", columns="option", values="belief")[list(LIKES.options)]


def test_the_later_places_follow_from_one_belief() -> None:
    table = rankings(asks(lambda prompt: P), LIKES, PEOPLE)
    # Every ranking has the product of p / (what is left): summed over all 24 of them.
    expected = np.zeros((4, 4))
    p = list(P.values())
    for order in permutations(range(4)):
        left = [sum(p[option] for option in order[place:]) for place in range(4)]
        chance = np.prod([p[option] / rest for option, rest in zip(order, left, strict=True)])
        for place, option in enumerate(order):
            expected[place, option] += chance
    np.testing.assert_allclose(belief(table, "ben"), expected)
    top = rankings(asks(lambda prompt: P), LIKES, PEOPLE, places=2)
    np.testing.assert_allclose(belief(top, "ann"), expected[:2])
    shares = est.mean_belief("belief", by="place", data=table).frame
    assert shares.loc["1, tea", "estimate"] == pytest.approx(0.4)
    assert shares.groupby("place")["estimate"].sum().tolist() == pytest.approx([1] * 4)


def test_each_choice_is_asked_after_those_before() -> None:
    seen = []

    def model(prompt: str) -> Mapping[str, float]:
        seen.append(prompt)
        if prompt.endswith("like most?\nAnswer:"):
            return {"tea": 0.6, "milk": 0.4}
        liked_tea = "like most?\nAnswer: tea" in prompt  # then milk; else juice or water
        return {"milk": 1.0} if liked_tea else {"juice": 0.5, "water": 0.5}

    table = rankings(asks(model), LIKES, PEOPLE, places=2, ask="again")
    # second: 0.6 × milk, 0.4 × (juice or water)
    np.testing.assert_allclose(belief(table, "ann"), [[0.6, 0.4, 0, 0], [0, 0.6, 0.2, 0.2]])
    told = (
        "You are Ann.\nQuestion: Which do you like most?\nAnswer: tea\n"
        "Question: And next, of what is left?\nAnswer:"
    )
    assert told in seen


def test_what_was_chosen_is_no_longer_listed() -> None:
    lettered = sk.Question("Best?", ["tea", "milk", "juice"], layout="letters")
    seen = []

    def model(prompt: str) -> Mapping[str, float]:
        seen.append(prompt)
        return {"A": 0.5, "B": 0.5} if "C." not in prompt else {"A": 0.5, "B": 0.3, "C": 0.2}

    table = rankings(asks(model), lettered, PEOPLE[:1], ask="again")
    assert table.groupby("place")["belief"].sum().tolist() == pytest.approx([1] * 3)
    after_tea = [prompt for prompt in seen if "Answer: tea" in prompt and "A. milk" in prompt]
    assert after_tea and all("A. tea" not in prompt.split("And next")[1] for prompt in after_tea)


def test_nothing_is_known_of_what_is_never_chosen() -> None:
    sure = rankings(asks(lambda prompt: {"tea": 1.0}), LIKES, PEOPLE, places=2)
    assert belief(sure, "ann").loc[1].tolist() == [1, 0, 0, 0]
    later = belief(sure, "ann").loc[2]
    assert later["tea"] == 0 and later[["milk", "juice", "water"]].isna().all()


def test_too_much_is_refused() -> None:
    many = sk.Question("Best?", [f"no. {i}" for i in range(20)])
    with pytest.raises(ValueError, match="6 places of 20 options take 21700 sets"):
        rankings(asks(lambda prompt: P), many, PEOPLE, places=6)
    with pytest.raises(ValueError, match="prompts a person"):
        rankings(asks(lambda prompt: P), many, PEOPLE, places=4, ask="again")
    with pytest.raises(ValueError, match="places"):
        rankings(asks(lambda prompt: P), LIKES, PEOPLE, places=5)
    with pytest.raises(ValueError, match="ask"):
        rankings(asks(lambda prompt: P), LIKES, PEOPLE, ask="twice")
