"""Choices drawn from beliefs, and what users hand to score, believe and a mock model by mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simkit as sk
from simkit.scoring import MockModel, Scores
from simkit.scoring.temperature import at_temperature

ABC = sk.Question("Which? {x}", ["a", "b", "c"], template="{question}")
DESIGN = pd.DataFrame({"x": ["first", "second", "third"]})
MODEL = MockModel(lambda prompt: {"a": 0.5, "b": 0.1, "c": 0.4}, name="one")


def table() -> pd.DataFrame:
    return sk.believe(MODEL, ABC, DESIGN)


# --- draws ------------------------------------------------------------------------------------


def test_shares_of_the_draws_are_the_beliefs() -> None:
    drawn = sk.sample_choices(table(), runs=4_000, seed=3)
    share = drawn.groupby(["prompt_id", "option"]).size().unstack() / 4_000
    # standard error at most 0.008
    assert np.abs(share.to_numpy() - [0.5, 0.1, 0.4]).max() < 0.032
    assert not share.loc[0].equals(share.loc[1])  # prompts draw apart


def test_draws_do_not_depend_on_the_rows() -> None:
    whole = table()
    drawn = sk.sample_choices(whole, runs=40, seed=1)
    mixed = whole.sample(frac=1, random_state=2)
    mixed.index = pd.Index(np.zeros(len(mixed), dtype=int))  # labels that all repeat
    pd.testing.assert_frame_equal(sk.sample_choices(mixed, runs=40, seed=1), drawn)
    backwards = whole.iloc[::-1]
    pd.testing.assert_frame_equal(sk.sample_choices(backwards, runs=40, seed=1), drawn)
    one = sk.sample_choices(whole[whole["prompt_id"] == 1], runs=40, seed=1)
    pd.testing.assert_frame_equal(one, drawn[drawn["prompt_id"] == 1].reset_index(drop=True))
    fewer = sk.sample_choices(whole, runs=7, seed=1)
    pd.testing.assert_frame_equal(fewer, drawn[drawn["run"] < 7].reset_index(drop=True))
    # However a column holds the numbers: a merge with missing rows makes floats of them.
    floats = sk.sample_choices(whole.astype({"prompt_id": float}), runs=40, seed=1)
    assert floats["option"].tolist() == drawn["option"].tolist()


def test_tables_of_two_models_end_to_end() -> None:
    other = sk.believe(MockModel(lambda prompt: {"b": 1.0}, name="two"), ABC, DESIGN)
    both = sk.sample_choices(pd.concat([other, table()]), runs=30, seed=1)
    assert set(both.loc[both["model"] == "two", "option"]) == {"b"}
    mine = both[both["model"] == "one"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, sk.sample_choices(table(), runs=30, seed=1))


def test_an_option_of_no_belief_is_never_drawn() -> None:
    empty = MockModel(lambda prompt: {"b": 0.3})
    drawn = sk.sample_choices(sk.believe(empty, ABC, DESIGN, least_mass=0), runs=500)
    assert set(drawn["option"]) == {"b"}


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=9).filter(lambda w: sum(w) > 1e-3))
def test_any_belief_that_sums_to_one_is_drawn_from(weights: list[float]) -> None:
    p = np.array(weights) / sum(weights)
    frame = pd.DataFrame({"prompt_id": 0, "option_id": np.arange(len(p)), "belief": p})
    drawn = sk.sample_choices(frame.astype({"belief": "float32"}), runs=50)
    assert len(drawn) == 50 and (drawn["belief"] > 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t[t["option"] != "c"],
            r"prompt_id 0: .* 2 options sum to 0\.6, .*3 of 3 .*rows",
        ),
        (
            lambda t: t.drop(index=4),
            r"prompt_id 1: .* 2 options sum to 0\.9.* 1 of 3 prompts.*rows",
        ),
        (
            lambda t: t.assign(belief=[1.2, -0.3, 0.1] * 3),
            "smallest is -0.3.*must be probabilities",
        ),
        (lambda t: t.assign(belief=[np.nan, 0.5, 0.5] * 3), "sum to nan.*must be probabilities"),
        (lambda t: t.assign(belief=np.nan), "nothing to draw from; leave such prompts out"),
        (lambda t: t.assign(belief=0.4), r"sum to 1\.2, .*beliefs were changed"),
        (lambda t: t.assign(belief="x"), "belief: row 0 holds 'x'"),
        (lambda t: pd.concat([t, t]), "option_id 0 stands twice in one prompt"),
        (lambda t: t.assign(run=1), "already has a column 'run'.*a choice for each run already"),
        (lambda t: t.assign(prompt_id=np.repeat([0, 1, np.nan], 3)), "row 6 has no label"),
        (lambda t: t.assign(prompt_id=[[0]] * 9), "a list, which cannot be a label"),
        (lambda t: t.assign(option_id=[[0]] * 9), "a list, which cannot be a label"),
        (
            lambda t: t.assign(option_id=[0, 1j, "x"] * 3),
            "a complex, which cannot be a label",
        ),
        (lambda t: t.drop(columns="option_id"), "no column 'option_id'"),
        (lambda t: pd.concat([t, t[["belief"]]], axis=1), "column 'belief' stands twice"),
        (lambda t: t["belief"], "the table is a Series"),
        (lambda t: t.to_dict("records"), "the table is .* must be a DataFrame"),
    ],
)
def test_what_cannot_be_drawn_from_is_named(change: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sk.sample_choices(change(table()))  # type: ignore[operator]


def test_undefined_prompts_left_out_as_the_error_says() -> None:
    silent = MockModel(lambda prompt: {} if "second" in prompt else {"a": 1.0})
    some = sk.believe(silent, ABC, DESIGN, least_mass=0)
    with pytest.raises(ValueError, match=r"prompt_id 1: .*table\[table\['belief'\]\.notna\(\)\]"):
        sk.sample_choices(some)
    assert sk.sample_choices(some[some["belief"].notna()])["prompt_id"].tolist() == [0, 2]
    none = sk.sample_choices(some.iloc[:0], runs=2)
    assert len(none) == 0 and none.columns.tolist() == [*some.columns, "run"]


@pytest.mark.parametrize("runs", [0, -1, 1.5, True, "2", 10**60])
def test_bad_numbers_of_runs(runs: object) -> None:
    with pytest.raises(ValueError, match=r"runs is .*must be a whole number from 1 to"):
        sk.sample_choices(table(), runs=runs)  # type: ignore[arg-type]


# --- what is handed over by mistake -----------------------------------------------------------


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        ("one", [" a", " b"], "prompts is 'one'; it must be a list"),
        (pd.DataFrame({"p": ["x"]}), [" a", " b"], "prompts is a DataFrame of shape"),
        (["x", 3], [" a", " b"], "row 1: prompt 3 is empty or not text"),
        (["x", None], [" a", " b"], "row 1: prompt None is empty or not text"),
        (["x"], " a", "options is ' a'; it must be a list"),
        (["x"], {" a", " b"}, "options is {.*it must be a list"),
        (["x"], [1, 2], "row 0: options is 1|2 lists of options for 1 prompts"),
        (["x"], ["a", 2], "option 2 is empty or not text"),
        (["x", "y"], [["a", "b"], "no"], "row 1: options is 'no'; it must be a list"),
        (["x", "y"], [["a", "b"], [["a"], ["b"]]], r"row 1: option \['a'\] is empty or not text"),
        (["x", "y"], [["a", "b"]], "1 lists of options for 2 prompts; give one list for each"),
        (["x", "y"], [["a", "b"], ["a", "b", "c"]], "row 1: 3 options where row 0 has 2"),
    ],
)
def test_score_names_what_it_cannot_score(prompts: object, options: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sk.score(MODEL, prompts, options)  # type: ignore[arg-type]


def test_series_arrays_and_tuples_are_lists() -> None:
    prompts = pd.Series(["x", "y"], index=[7, 3])
    wanted = np.log([[0.5, 0.1]] * 2)
    for options in (pd.Series(["a", "b"], index=[1, 0]), np.array(["a", "b"]), ("a", "b")):
        np.testing.assert_allclose(sk.score(MODEL, prompts, options), wanted)  # type: ignore[arg-type]
    # Lists of options in a Series belong to the prompts of the same label, wherever they stand.
    turned = pd.Series([["b", "c"], ["a", "b"]], index=[3, 7])
    found = np.exp(sk.score(MODEL, prompts, turned))  # type: ignore[arg-type]
    np.testing.assert_allclose(found, [[0.5, 0.1], [0.1, 0.4]])
    with pytest.raises(ValueError, match="prompts has a row 7 and options has none"):
        sk.score(MODEL, prompts, turned.set_axis([0, 1]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("glassbox", r"model is 'glassbox'; load it first: simkit\.load\('glassbox'\)"),
        (Path("models/mine"), r"load it first: simkit\.load\('models/mine'\)"),
        (MockModel, "model is <class .*an object with `name` and `scores`"),
        (None, "model is None; it must be from simkit.load"),
    ],
)
def test_a_name_is_no_model(model: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sk.believe(model, ABC, DESIGN)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        sk.score(model, ["x"], ["a", "b"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("design", "message"),
    [
        (["x"], r"the design is \['x'\]; it must be a DataFrame"),
        (DESIGN["x"], "the design is a Series"),
        (DESIGN.iloc[:0], "the design has no rows"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), "column 'x' stands twice"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("x", "y")])), "in 2 levels"),
    ],
)
def test_a_design_is_a_frame(design: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sk.believe(MODEL, ABC, design)  # type: ignore[arg-type]


def test_a_text_is_no_question() -> None:
    with pytest.raises(ValueError, match=r"question is 'Which\?'; it must be a Question"):
        sk.believe(MODEL, "Which?", DESIGN)  # type: ignore[arg-type]


def test_a_design_whose_labels_repeat_is_asked_row_by_row() -> None:
    repeated = DESIGN.set_axis([5, 5, 5])
    pd.testing.assert_frame_equal(sk.believe(MODEL, ABC, repeated), table())


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.5])
def test_a_model_that_gives_no_log_probability_is_refused_by_row(bad: float) -> None:
    class Broken:
        name = "broken"

        def scores(self, prompts: list[str], options: list[tuple[str, ...]]) -> Scores:
            logprob = np.full((len(prompts), len(options[0])), -1.0)
            logprob[["third" in p for p in prompts], 1] = bad
            return Scores(logprob, np.zeros(logprob.shape, dtype=bool))

    with pytest.raises(ValueError, match=r"row 2: broken gave option ' b' the log-probability"):
        sk.believe(Broken(), ABC, DESIGN)

    class Narrow(Broken):
        def scores(self, prompts: list[str], options: list[tuple[str, ...]]) -> Scores:
            return Scores(np.zeros((1, 1)), np.zeros((1, 1), dtype=bool))

    with pytest.raises(ValueError, match=r"scores of shape \(1, 1\) for 3 prompts and 3 options"):
        sk.believe(Narrow(), ABC, DESIGN)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": np.nan}, "row 0: the rule's probabilities: row 0 holds nan"),
        ({"a": -0.1}, "holds -0.1; it must be a finite number from 0 to 1"),
        ({"a": "0.5"}, "holds '0.5'"),
        ({"a": 0.8, "b": 0.7}, "row 0: the rule's probabilities sum to 1.5"),
        ([0.5, 0.5], r"row 0: the rule gave \[0.5, 0.5\]; it must give {option: probability}"),
        (None, "row 0: the rule gave None"),
    ],
)
def test_a_rule_must_give_probabilities(given: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sk.believe(MockModel(lambda prompt: given), ABC, DESIGN)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("function", [at_temperature, sk.average_orders])
def test_tables_that_hold_no_numbers_are_named(function: object) -> None:
    call = (lambda t: at_temperature(t, 2)) if function is at_temperature else sk.average_orders
    ordered = table().assign(order=0)
    with pytest.raises(ValueError, match=r"belief(\[0\] is|: row 0 holds) 'x'|belief holds"):
        call(ordered.assign(belief="x"))
    with pytest.raises(ValueError, match="must be a DataFrame"):
        call([1, 2])
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match=f"logprob: row 0 holds {bad}; it must be up to 0"):
            call(ordered.assign(logprob=bad))
    with pytest.raises(ValueError, match="temperature is 'hot'"):
        at_temperature(ordered, "hot")  # type: ignore[arg-type]
