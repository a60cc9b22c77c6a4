"""Check all that apply: beliefs apart and jointly, by hand; limits, none of these, yes-men."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import permutations, product
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit import estimators as est
from simkit.personas import Battery, CheckAll, Item, check_all, interview, selections
from simkit.scoring import LowMassWarning

PEOPLE = pd.DataFrame({"person": ["ann", "ben"], "context": ["You are Ann.", "You are Ben."]})
THREE = ["a car", "a bicycle", "a boat"]


def owns(options: list[str] = THREE, **how: Any) -> CheckAll:
    how = {"wording": "Do you own {option}?", "name": "owns", **how}
    return check_all("What do you own?", options, **how)


def asks(rule: Callable[[str], float]) -> Any:
    """Beliefs of a model that says yes to a prompt with this probability."""

    def answer(prompt: str) -> Mapping[str, float]:
        return {"yes": rule(prompt), "no": 1 - rule(prompt)}

    return partial(sk.believe, sk.MockModel(answer))


def last(prompt: str) -> str:
    """The question that a prompt ends with."""
    return prompt.split("Question: ")[-1]


def alone(prompt: str) -> float:
    """A car 0.8 for Ann, 0.4 for Ben; a bicycle 0.5; a boat 0.1."""
    first = 0.8 if "Ann" in prompt else 0.4
    return {"a car": first, "a bicycle": 0.5, "a boat": 0.1}[last(prompt)[11:].split("?")[0]]


def chained(prompt: str) -> float:
    """A bicycle 0.6; a car 0.5, after a bicycle 0.2, after no bicycle 0.9. Yes: 0.6 otherwise."""
    if "a car" not in last(prompt):
        return 0.6
    if "Do you own a bicycle?\nAnswer: yes" in prompt:
        return 0.2
    return 0.9 if "Do you own a bicycle?\nAnswer: no" in prompt else 0.5


def test_apart_each_option_is_its_own_question() -> None:
    listed = ["a car", "none of these", "a bicycle", "a boat"]
    found = selections(asks(alone), owns(listed, none="none of these"), PEOPLE)
    wide = found.beliefs.pivot(index="person", columns="option", values="belief")[listed]
    # none: 0.2 × 0.5 × 0.9 and 0.6 × 0.5 × 0.9; no row sums to 1
    np.testing.assert_allclose(wide, [[0.8, 0.09, 0.5, 0.1], [0.4, 0.27, 0.5, 0.1]])
    assert found.rows.columns.tolist() == ["person", "weight", *(f"owns: {o}" for o in listed)]
    np.testing.assert_allclose(found.rows.iloc[:, 2:].to_numpy(dtype=float), wide)
    # The table is one for estimators: a mean for each option.
    mean = est.mean_belief("belief", by="option", data=found.beliefs).frame["estimate"]
    assert mean.tolist() == pytest.approx([0.6, 0.18, 0.5, 0.1])


def test_jointly_the_sets_follow_by_the_chain_rule() -> None:
    two = owns(["a bicycle", "a car"], order="fixed", none=None)
    found = selections(asks(chained), two, PEOPLE[:1], ask="jointly")
    sets = found.rows.set_index(["owns: a bicycle", "owns: a car"])["weight"]
    # bicycle 0.6, then car 0.2 after it and 0.9 without it
    expected = {(1, 1): 0.12, (1, 0): 0.48, (0, 1): 0.36, (0, 0): 0.04}
    assert sets.to_dict() == pytest.approx(expected)
    assert found.beliefs["belief"].tolist() == pytest.approx([0.6, 0.48])
    assert found.beliefs["order_range"].isna().all()


def test_orders_are_averaged_and_their_range_is_told() -> None:
    check = owns(["a bicycle", "a car"])
    found = selections(asks(chained), check, PEOPLE, ask="jointly", orders=2, seed=1)
    # car last: 0.48; car first: 0.5, whatever the order drawn first. bicycle: 0.6 in both
    assert found.beliefs["belief"].tolist() == pytest.approx([0.6, 0.49] * 2)
    assert found.beliefs["order_range"].tolist() == pytest.approx([0, 0.02] * 2)
    # One order: a person's own, by seed, whoever else is asked.
    crowd = PEOPLE.iloc[[0] * 40].assign(person=range(40))
    one = selections(asks(chained), check, crowd, ask="jointly", seed=3).beliefs
    of_car = one.query("option == 'a car'")["belief"].round(6)
    assert set(of_car) == {0.48, 0.5}
    again = selections(asks(chained), check, crowd[7:8], ask="jointly", seed=3).beliefs
    assert again["belief"].tolist() == one.query("person == 7")["belief"].tolist()


def test_a_limit_stops_the_interview() -> None:
    check = owns(order="fixed", most=1)
    found = selections(asks(alone), check, PEOPLE[:1], ask="jointly")
    # 0.8; else 0.2 × 0.5; else 0.2 × 0.5 × 0.1
    assert found.beliefs["belief"].tolist() == pytest.approx([0.8, 0.1, 0.01])
    assert (found.rows.iloc[:, 2:].sum(axis=1) <= 1).all()
    assert found.rows["weight"].sum() == pytest.approx(1)
    # All three rotations: at most one is checked in each of them, too.
    random = owns(most=1)
    every = selections(asks(alone), random, PEOPLE[:1], ask="jointly", orders=3).beliefs["belief"]
    p = [0.8, 0.5, 0.1]

    def by_hand(order: tuple[int, ...]) -> list[float]:
        return [p[k] * np.prod([1 - p[j] for j in order[: order.index(k)]]) for k in range(3)]

    turned = [
        [by_hand(order[i:] + order[:i]) for i in range(3)] for order in permutations(range(3))
    ]
    means = np.mean(turned, axis=1)
    assert any(np.allclose(every, mean) for mean in means)
    with pytest.raises(ValueError, match="cannot keep a limit"):
        selections(asks(alone), check, PEOPLE)


def test_a_limit_holds_within_a_larger_battery_too() -> None:
    check = owns(most=1)
    sure = Item("sure", sk.Question("Are you sure?", ["yes", "no"]))
    asked = interview(asks(lambda prompt: 1.0), Battery([*check.items, sure]), PEOPLE)
    read = check.checked(asked.answers)
    assert read["owns: a car"].tolist() == [1, 1]
    assert read["owns: a boat"].tolist() == [0, 0]  # not asked because of the limit: not checked
    assert asked.answers["sure"].tolist() == ["yes", "yes"]


def test_answers_of_an_interview_as_numbers() -> None:
    check = owns(["a car", "a bicycle", "none of these"], none="none of these")
    answers = pd.DataFrame({
        "owns: a car": ["yes", "no", None, None], "owns: a bicycle": ["no", "no", "yes", "no"],
        "asked": [("owns: a car", "owns: a bicycle")] * 4,
    }, index=list("wxyz"))  # fmt: skip
    read = check.checked(answers)
    nan = np.nan
    # no valid answer is NaN, not 0; none of these only where all others are known to be 0
    expected = [[1, 0, 0], [0, 0, 1], [nan, 1, 0], [nan, 0, nan]]
    np.testing.assert_array_equal(read.to_numpy(), expected)
    assert read.index.tolist() == list("wxyz")
    with pytest.raises(ValueError, match="owns: a car: row 'w' is 'maybe'"):
        check.checked(answers.replace("yes", "maybe"))


def test_drawn_answers_agree_with_the_exact_beliefs() -> None:
    people = pd.DataFrame({"person": range(3_000), "context": "You are Ann."})
    check = owns(["a bicycle", "a car"], order="fixed")
    drawn = check.checked(interview(asks(chained), check, people, seed=2).answers)
    both = drawn.prod(axis=1).mean()
    assert drawn["owns: a car"].mean() == pytest.approx(0.48, abs=4 * 0.5 / 3_000**0.5)
    assert both == pytest.approx(0.12, abs=4 * 0.33 / 3_000**0.5)


def test_a_model_that_says_yes_to_all_believes_one_half() -> None:
    against = '{text} Would it be wrong to check "{option}"?'
    yes = selections(asks(lambda prompt: 0.9), owns(reverse=against), PEOPLE).beliefs
    # (0.9 + 1 - 0.9) / 2 and 0.9 + 0.9 - 1
    assert yes["belief"].tolist() == pytest.approx([0.5] * 6)
    assert yes["acquiescence"].tolist() == pytest.approx([0.8] * 6)

    def means_it(prompt: str) -> float:
        return 0.1 if "wrong" in last(prompt) else 0.9

    for ask in ("apart", "jointly"):
        honest = selections(asks(means_it), owns(reverse=against), PEOPLE, ask=ask).beliefs
        assert honest["belief"].tolist() == pytest.approx([0.9] * 6)
        assert honest["acquiescence"].tolist() == pytest.approx([0] * 6, abs=1e-9)
    plain = selections(asks(lambda prompt: 0.9), owns(), PEOPLE).beliefs
    assert plain["acquiescence"].isna().all()


def test_other_answers_and_labels() -> None:
    model = sk.MockModel(lambda prompt: {"I have it": 0.3, "I lack it": 0.3})
    check = owns(answers=["I have it", "I lack it"])
    found = selections(partial(sk.believe, model), check, PEOPLE).beliefs
    assert found["belief"].tolist() == pytest.approx([0.5] * 6)
    assert found["valid_mass"].tolist() == pytest.approx([0.6] * 6)
    letters = owns(layout="letters")
    assert letters.questions["owns: a car"].labels == ("A", "B")
    assert check_all("Own?", ["x", "y"]).questions["Own?: x"].text == 'Own? Does "x" apply?'


@pytest.mark.parametrize("ask", ["apart", "jointly"])
def test_an_undefined_belief_is_missing_and_not_unchecked(ask: str) -> None:
    def silent(prompt: str) -> Mapping[str, float]:
        told = "Ann" in prompt and "a boat" in last(prompt)
        return {} if told else {"yes": 0.5, "no": 0.5}

    check = owns([*THREE, "none of these"], none="none of these")
    with pytest.warns(LowMassWarning):
        found = selections(partial(sk.believe, sk.MockModel(silent)), check, PEOPLE, ask=ask)
    ann = found.beliefs.query("person == 'ann'").set_index("option")["belief"]
    assert np.isnan(ann["a boat"]) and np.isnan(ann["none of these"])
    ben = found.rows.query("person == 'ben'")
    assert ben["weight"].sum() == pytest.approx(1) and ben.notna().all(axis=None)
    lost = found.rows.query("person == 'ann'")
    assert len(lost) == 1 and lost["owns: a boat"].isna().all()


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(ValueError, match="no none 'nothing'"):
        owns(none="nothing")
    with pytest.raises(ValueError, match="1 option beside"):
        owns(["a car", "none"], none="none")
    with pytest.raises(ValueError, match="most is 3"):
        owns(most=3)
    with pytest.raises(ValueError, match=r"no \{option\}"):
        owns(wording="Do you own it?")
    with pytest.raises(ValueError, match="answers"):
        owns(answers=["yes", "no", "maybe"])
    with pytest.warns(UserWarning, match="none='None of them'"):
        owns([*THREE, "None of them"])
    many = owns([f"no. {i}" for i in range(11)])
    with pytest.raises(ValueError, match="too many to ask jointly"):
        selections(asks(alone), many, PEOPLE, ask="jointly")
    for how in ({"orders": 2}, {"ask": "jointly", "orders": 4}):
        with pytest.raises(ValueError, match="orders"):
            selections(asks(alone), owns(), PEOPLE, **how)
    with pytest.raises(ValueError, match="ask"):
        selections(asks(alone), owns(), PEOPLE, ask="together")
    with pytest.raises(ValueError, match="check_all"):
        selections(asks(alone), Battery(owns().items), PEOPLE)  # type: ignore[arg-type]


def world(prompt: str) -> float:
    """P(option | what was told), of a known distribution over the sets of three options."""
    *told, asked = prompt.split("Question: Do you own ")[1:]
    known = {line.split("?")[0]: line.strip().endswith("yes") for line in told}
    fits = np.array([all(s[THREE.index(o)] == v for o, v in known.items()) for s in SETS])
    has = SETS[:, THREE.index(asked.split("?")[0])] == 1
    return float(CHANCE[fits & has].sum() / CHANCE[fits].sum())


SETS = np.array(list(product([0.0, 1.0], repeat=3)))
CHANCE = np.random.default_rng(4).dirichlet(np.ones(8))


def test_jointly_a_known_distribution_of_sets_is_recovered_and_apart_only_its_shares() -> None:
    jointly = selections(asks(world), owns(), PEOPLE, ask="jointly", orders=3, seed=5)
    sets = jointly.rows.query("person == 'ben'").set_index([f"owns: {o}" for o in THREE])["weight"]
    np.testing.assert_allclose(sets.reindex(map(tuple, SETS)), CHANCE)
    assert jointly.beliefs["order_range"].max() < 1e-12
    apart = selections(asks(world), owns(), PEOPLE)
    np.testing.assert_allclose(jointly.beliefs["belief"], apart.beliefs["belief"])
    names = [*owns().options]
    pair = "phi, owns: a car & owns: a bicycle"
    a, b, both = CHANCE @ SETS[:, 0], CHANCE @ SETS[:, 1], CHANCE @ (SETS[:, 0] * SETS[:, 1])
    rows = jointly.rows
    found = est.selection_shares(rows[names], weights=rows["weight"], cluster=rows["person"])
    phi = (both - a * b) / np.sqrt(a * (1 - a) * b * (1 - b))
    assert abs(phi) > 0.1
    assert found[pair]["estimate"] == pytest.approx(phi)
    alone = est.selection_shares(apart.rows[names])
    assert alone[pair]["estimate"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("joint", "kept"), [(True, 1.0), (False, 0.0)])
def test_drawn_answers_go_on_to_the_estimators_of_structure(joint: bool, kept: float) -> None:
    rng = np.random.default_rng(6)
    humans = pd.DataFrame(SETS[rng.choice(8, 800, p=CHANCE)], columns=[*owns().options])
    people = pd.DataFrame({"person": range(800), "context": "You are Ann."})
    drawn = owns().checked(interview(asks(world), owns(), people, joint=joint, seed=7).answers)
    found = est.compare_structure(humans, drawn, n_boot=20, splits=2, permutations=9)
    low, high = found.interval("structure_kept")
    assert low < kept < high and high - low < 0.8
