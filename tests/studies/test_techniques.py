"""Techniques: on the survey world's own beliefs, where what must come out is known exactly."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from simkit.estimators.structure.measures import compare_matrices
from simkit.studies.representativeness.populations import battery, world_people, world_survey
from simkit.studies.representativeness.techniques import (
    answer_numbers,
    independent_answers,
    joint_answers,
    persona_answers,
)
from simkit.worlds import exact_beliefs, survey

TRUE = partial(exact_beliefs, survey)
BATTERY = battery(world_survey(1, 1))
PEOPLE = world_people(1_500, 3)
TRUTH = survey.item_correlation()
FLOOR = 0.035  # RMSD of 1,500 people's correlations from the exact ones: about 1 / root(1500)


@pytest.fixture(scope="module")
def joint():
    return joint_answers(TRUE, BATTERY, PEOPLE, seed=1)


@pytest.fixture(scope="module")
def personas():
    return persona_answers(TRUE, BATTERY, PEOPLE, seed=1)


def test_joint_interviews_of_a_perfect_model_are_the_population(joint):
    assert compare_matrices(TRUTH, joint.corr())["rmsd"] < 1.6 * FLOOR
    for name in BATTERY.names:
        share = joint[name].value_counts(normalize=True).reindex(range(1, 6), fill_value=0)
        assert np.abs(share - survey.marginal(name)).max() < 0.05


def test_personas_of_a_perfect_model_carry_the_demographic_part(personas):
    expected = survey.item_correlation(level="demographic")
    assert compare_matrices(expected, personas.corr())["rmsd"] < 1.6 * FLOOR
    assert compare_matrices(TRUTH, personas.corr())["structure_kept"] < 0.5


def test_answers_do_not_depend_on_who_else_is_asked(joint):
    few = joint_answers(TRUE, BATTERY, PEOPLE.tail(20), seed=1)
    pd.testing.assert_frame_equal(few, joint.tail(20))
    other = joint_answers(TRUE, BATTERY, PEOPLE.tail(20), seed=2)
    assert not other.equals(few)
    turned = [BATTERY.names[::-1]] * 20
    last = joint_answers(TRUE, BATTERY, PEOPLE.tail(20), seed=1, orders=turned)
    assert not last.equals(few)


def test_independent_answers_have_margins_and_no_structure(joint):
    made = independent_answers(joint, 4_000, seed=1)
    assert np.abs(made.mean() - joint.mean()).max() < 0.1
    assert compare_matrices(TRUTH, made.corr())["structure_kept"] == pytest.approx(0, abs=0.1)
    assert not independent_answers(joint, 9, seed=2).equals(independent_answers(joint, 9, seed=1))
    for n in (0, 2.5, True):
        with pytest.raises(ValueError, match=f"n is {n}; it must be a whole number"):
            independent_answers(joint, n)
    with pytest.raises(ValueError, match="the answers is"):
        independent_answers(joint["climate"], 5)
    with pytest.raises(ValueError, match="nobody answered 'climate'"):
        independent_answers(joint.assign(climate=np.nan), 5)


def test_answer_numbers():
    words = pd.DataFrame({n: ["agree", None, "strongly disagree"] for n in BATTERY.names})
    found = answer_numbers(words, BATTERY)
    assert found["climate"].tolist()[::2] == [4.0, 1.0] and np.isnan(found["climate"][1])
    for dtype in ("category", "string"):
        same = answer_numbers(words.astype(dtype), BATTERY)
        pd.testing.assert_frame_equal(same, found)
    numbers = pd.DataFrame({n: [4, None, 1] for n in BATTERY.names})
    for dtype in ("float32", "Int64", object):
        pd.testing.assert_frame_equal(answer_numbers(numbers.astype(dtype), BATTERY), found)
    for wrong in ("Agree", 99, 2.5, ["agree"]):
        odd = words.astype(object).assign(climate=[wrong, "agree", None])
        with pytest.raises(ValueError, match=r"climate: row 0 holds .* must be one of \['strongly"):
            answer_numbers(odd, BATTERY)
    with pytest.raises(ValueError, match="no column 'climate'"):
        answer_numbers(words.drop(columns="climate"), BATTERY)
