"""Shares asked for directly: the arithmetic, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import simkit as sk
from simkit import audit
from simkit.audit import shares

DRINK = sk.Question("What do you drink?", ["tea", "coffee", "milk"], values=[1, 2, 3])


def states(numbers, mass=0.8):
    """A model that states one number for each option, with a part of its probability."""

    def rule(prompt):
        asked = prompt.rsplit("“", 1)[1].split("”")[0]
        return {numbers[asked]: mass}

    return sk.load(rule)


def test_stated_numbers_are_divided_by_their_sum():
    found = audit.direct_shares(
        states({"tea": "60", "coffee": "40", "milk": "20"}), DRINK, "Adults"
    )
    # They add up to 120: 60 / 120, 40 / 120, 20 / 120.
    assert found["share"].to_numpy() == pytest.approx([1 / 2, 1 / 3, 1 / 6])
    assert found["stated"].tolist() == [60, 40, 20] and found["value"].tolist() == [1, 2, 3]
    assert found["valid_mass"].to_numpy() == pytest.approx([0.8] * 3)


def test_a_belief_over_numbers_counts_by_its_mean():
    # Half 50, half 100 for tea: 75 stated. The others state 25 and 0.
    rules = {"tea": {"50": 0.4, "100": 0.4}, "coffee": {"25": 0.3}, "milk": {"0": 0.1}}
    lm = sk.load(lambda prompt: rules[prompt.rsplit("“", 1)[1].split("”")[0]])
    found = audit.direct_shares(lm, DRINK, "Adults", step=25)
    assert found["share"].to_numpy() == pytest.approx([0.75, 0.25, 0])


def test_a_model_that_states_nothing_has_no_shares():
    zero = audit.direct_shares(states(dict.fromkeys(DRINK.options, "0")), DRINK, "Adults")
    assert zero["stated"].tolist() == [0, 0, 0] and zero["share"].isna().all()
    mute = audit.direct_shares(states(dict.fromkeys(DRINK.options, "0"), 0), DRINK, "Adults")
    assert np.isnan(mute["share"]).all()


def test_what_is_refused():
    lm = states(dict.fromkeys(DRINK.options, "0"))
    with pytest.raises(ValueError, match="step is 30; it must divide 100"):
        audit.direct_shares(lm, DRINK, "Adults", step=30)
    with pytest.raises(ValueError, match="the field 'place'"):
        audit.direct_shares(lm, sk.Question("In {place}?", ["yes", "no"]), "Adults")


def test_a_real_model_states_numbers():
    found = audit.direct_shares(audit.asked(sk.load("smollm2")), DRINK, "Adults in Wales")
    assert found["valid_mass"].min() > 0.5 and found["share"].sum() == pytest.approx(1)


def test_a_number_does_not_hold_those_that_begin_with_it():
    # As tokens of one digit have it: "2" begins "25". Of 0.8 that begins with 2, 0.6 goes on to 25:
    # 2 has 0.2, 25 has 0.6, so (0.2 x 2 + 0.6 x 25) / 0.8 = 19.25.
    p, options = np.zeros((1, 101)), [str(n) for n in range(101)]
    p[0, [2, 25]] = 0.8, 0.6
    belief = shares._apart(p, options, np.array([0.8]))
    assert belief[0] @ np.arange(101) == pytest.approx(19.25)
    # A model of whole answers has no such tokens: its probabilities are kept, 1.4 in all.
    assert shares._apart(p, options, np.array([1.4]))[0, 2] == pytest.approx(0.8 / 1.4)
