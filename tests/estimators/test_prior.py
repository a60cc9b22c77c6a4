"""Contextual calibration and PMI: known values, what they undo, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.estimators import contextual_calibration, pointwise_mutual_information

pytestmark = pytest.mark.filterwarnings("error")
BOTH = (contextual_calibration, pointwise_mutual_information)


def table_of(probability, options=None, **design):
    """A table as `believe` gives it, from the options' probabilities (prompts, K)."""
    p = np.asarray(probability, dtype=float)
    n, k = p.shape
    options = [f"o{i}" for i in range(k)] if options is None else options
    with np.errstate(divide="ignore", invalid="ignore"):
        belief = p / p.sum(axis=1, keepdims=True)
        logprob = np.log(p)
    table = pd.DataFrame(
        {
            "prompt_id": np.repeat(np.arange(n), k),
            "option": np.tile(options, n),
            "option_id": np.tile(np.arange(k), n),
            "logprob": logprob.ravel(),
            "belief": belief.ravel(),
        }
    )
    return table.assign(**{name: np.repeat(values, k) for name, values in design.items()})


# --- contextual calibration -------------------------------------------------------------------


def test_calibration_known_values():
    # Null beliefs 0.8, 0.2 and 0.6, 0.4: mean 0.7, 0.3. Beliefs 0.7, 0.3 -> 1 : 1; 0.35, 0.65 ->
    # 0.5 : 2.1667, which is 0.1875 and 0.8125
    null = table_of([[0.8, 0.2], [0.3, 0.2]])
    out = contextual_calibration(table_of([[0.7, 0.3], [0.07, 0.13]]), null)
    assert out["belief"].tolist() == pytest.approx([0.5, 0.5, 0.1875, 0.8125])
    assert out["belief_before"].tolist() == pytest.approx([0.7, 0.3, 0.35, 0.65])
    assert out["null_belief"].tolist() == pytest.approx([0.7, 0.3] * 2)
    assert out.attrs["notes"] == []


def test_a_null_belief_without_a_lean_changes_nothing():
    table = table_of([[0.2, 0.5, 0.1], [0.3, 0.3, 0.3]])
    out = contextual_calibration(table, table_of([[0.1, 0.1, 0.1]]))
    np.testing.assert_allclose(out["belief"], table["belief"])
    assert "belief_before" not in table  # the table itself is left alone


def test_a_null_belief_of_zero_is_undefined_and_counted():
    table = table_of([[0.5, 0.5], [0.0, 0.4], [0.0, 0.0]], wording=["a", "b", "b"])
    null = table_of([[1.0, 0.0], [0.5, 0.5]], wording=["a", "b"])
    out = contextual_calibration(table, null, by="wording")
    # wording a: null belief 0 for o1. Third prompt: no belief to start with.
    assert out["belief"].isna().tolist() == [True, True, False, False, True, True]
    assert out["belief"].tolist()[2:4] == [0, 1]
    assert out.attrs["notes"] == ["2 of 3 prompts have no belief"]
    # Zero against zero stays undefined: nothing is known about that option.
    none = contextual_calibration(table_of([[0.5, 0.0]]), table_of([[0.5, 0.0]]))
    assert none["belief"].isna().all()


def test_null_prompts_without_belief_are_left_out_and_counted():
    null = table_of([[0.8, 0.2], [0.0, 0.0]])
    out = contextual_calibration(table_of([[0.8, 0.2]]), null)
    assert out["belief"].tolist() == pytest.approx([0.5, 0.5])
    assert out.attrs["notes"] == ["2 of 4 null rows skipped: no belief"]
    lost = contextual_calibration(table_of([[0.8, 0.2]]), null[null["prompt_id"] == 1])
    assert lost["belief"].isna().all()
    assert lost.attrs["notes"] == [
        "2 of 2 null rows skipped: no belief", "1 of 1 prompts have no belief"
    ]  # fmt: skip


# --- PMI --------------------------------------------------------------------------------------


def test_pmi_known_values():
    # Null probabilities 0.4, 0.1 and 0.2, 0.1: means 0.3 and 0.1. log(0.3 / 0.3) = 0 and
    # log(0.2 / 0.1) = log 2: beliefs 1/3 and 2/3
    null = table_of([[0.4, 0.1], [0.2, 0.1]])
    out = pointwise_mutual_information(table_of([[0.3, 0.2]]), null)
    assert out["pmi"].tolist() == pytest.approx([0, np.log(2)], abs=1e-12)
    assert np.exp(out["null_logprob"]).tolist() == pytest.approx([0.3, 0.1])
    assert out["belief"].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert out["belief_before"].tolist() == pytest.approx([0.6, 0.4])


def test_pmi_of_zero_probabilities():
    table = table_of([[0.3, 0.0], [0.0, 0.0]])
    out = pointwise_mutual_information(table, table_of([[0.5, 0.25]]))
    assert out["pmi"].tolist() == pytest.approx([np.log(0.6), -np.inf, -np.inf, -np.inf])
    assert out["belief"].tolist()[:2] == [1, 0]
    assert out["belief"].isna().tolist() == [False, False, True, True]
    assert out.attrs["notes"] == ["1 of 2 prompts have no belief"]
    none = pointwise_mutual_information(table, table_of([[0.5, 0.0]]))
    assert none["pmi"].isna().tolist() == [False, True, False, True]
    assert none["belief"].isna().all()


def test_long_options_do_not_underflow():
    table = table_of([[0.5, 0.5]]).assign(logprob=[-2000.0, -10.0])
    null = table_of([[0.5, 0.5]]).assign(logprob=[-2001.0, -9.0])
    out = pointwise_mutual_information(table, null)
    assert out["pmi"].tolist() == pytest.approx([1, -1])


# --- both -------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.integers(2, 5), st.integers(1, 4), st.integers(0, 10_000))
def test_one_null_prompt_makes_them_the_same_and_undoes_a_lean(k, n, seed):
    rng = np.random.default_rng(seed)
    truth, lean = rng.dirichlet(np.ones(k), n), rng.dirichlet(np.ones(k))
    leant = truth * lean * rng.uniform(0.1, 1, size=(n, 1))
    for function in BOTH:
        out = function(table_of(leant), table_of(lean[None] * 0.3))
        np.testing.assert_allclose(out["belief"], truth.ravel(), rtol=1e-7)


def test_several_null_prompts_make_them_differ():
    table, null = table_of([[0.3, 0.2]]), table_of([[0.8, 0.2], [0.01, 0.02]])
    one, two = (function(table, null)["belief"].iloc[0] for function in BOTH)
    # Beliefs 0.8 and 1/3: mean 0.5667 to 0.4333; probabilities 0.81 to 0.22
    assert one == pytest.approx((0.6 / 0.56667) / (0.6 / 0.56667 + 0.4 / 0.43333), rel=1e-4)
    assert two == pytest.approx((0.3 / 0.81) / (0.3 / 0.81 + 0.2 / 0.22))


@pytest.mark.parametrize("function", BOTH)
def test_null_prompts_of_their_own(function):
    table = table_of([[0.3, 0.2], [0.3, 0.2], [0.1, 0.2]], wording=["a", "b", "a"], v=[1, 1, 2])
    null = table_of([[0.3, 0.2], [0.2, 0.4]], wording=["a", "b"], v=[1, 1])
    out = function(table, null, by=["wording"])
    # a: (0.3, 0.2) against itself 1/2; (0.1, 0.2) : (0.3, 0.2) = 1 : 3. b: (0.3, 0.2) : (0.2, 0.4)
    # = 3 : 1
    assert out["belief"].tolist() == pytest.approx([0.5, 0.5, 0.75, 0.25, 0.25, 0.75])
    assert not np.allclose(function(table, null)["belief"], out["belief"])
    with pytest.raises(ValueError, match=r"by=\['wording', 'v'\]: no null prompt has .*'v': 2"):
        function(table, null, by=["wording", "v"])
    # The order of the rows does not matter.
    mixed = function(table.sample(frac=1, random_state=1), null.iloc[::-1], by="wording")
    pd.testing.assert_frame_equal(mixed.sort_index(), out)


@pytest.mark.parametrize("function", BOTH)
def test_orders_are_kept_apart(function):
    """A lean to the letter A goes where null and asked tables are compared order by order."""
    rows = [[0.6, 0.2], [0.2, 0.6]]  # 0: o0 has the letter A; 1: o1 has it
    table = table_of(rows, order=[0, 1]).assign(prompt_id=0)
    out = function(table, table_of(rows, order=[0, 1]).assign(prompt_id=0), by="order")
    assert out["belief"].tolist() == pytest.approx([0.5] * 4)
    assert len(out) == 4


@pytest.mark.parametrize("function", BOTH)
def test_bad_tables_are_named(function):
    table, null = table_of([[0.3, 0.2]]), table_of([[0.4, 0.1]])
    cases = [
        (table, null.iloc[:1], "option 'o1' is not in null_table"),
        (table.iloc[:1], null, "option 'o1' is not in table"),
        (table.drop(columns="prompt_id"), null, "table has no column 'prompt_id'"),
        (table, null.drop(columns="option"), "null_table has no column 'option'"),
        (table.drop(columns=["belief", "logprob"]), null, "table has no column 'belief'"),
        (pd.concat([table, table]), null, "option 'o0' stands twice in prompt"),
        (table, null.iloc[:0], "null_table has no rows"),
        (function(table, null), null, "table has a column 'belief_before' already"),
    ]
    for one, other, message in cases:
        with pytest.raises(ValueError, match=message):
            function(one, other)
    with pytest.raises(ValueError, match="table has no column 'wording'"):
        function(table, null, by="wording")
