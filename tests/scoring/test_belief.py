"""Spellings, layouts, orders and temperature, on a rule whose beliefs are known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simkit as sk
from simkit.scoring import MockModel, Scores
from simkit.scoring.local import LocalModel
from simkit.scoring.orders import average_orders, cyclic_orders
from simkit.scoring.temperature import at_temperature
from tests.scoring.conftest import make_network, make_tokenizer

DESIGN = pd.DataFrame({"context": ["It is hot today.", "The price is $3.50."]})


def fixed(**probability: float) -> MockModel:
    return MockModel(lambda prompt: probability)


def local() -> LocalModel:
    tokenizer = make_tokenizer(bos=False)
    return LocalModel("m", make_network("llama", len(tokenizer)).eval(), tokenizer)


# --- spellings --------------------------------------------------------------------------------


def test_spellings_are_added_up() -> None:
    model = fixed(yes=0.2, Yes=0.25, YES=0.05, no=0.3)
    plain = sk.Question("Buy?", ["yes", "no"])
    spelled = sk.Question("Buy?", ["yes", "no"], forms={"yes": ["Yes", "YES"]})
    # 0.2 + 0.25 + 0.05 = 0.5 against 0.3: 5/8 and 3/8; mass 0.8
    table = sk.believe(model, spelled, DESIGN)
    assert table["belief"].tolist() == pytest.approx([5 / 8, 3 / 8] * 2)
    assert np.exp(table["logprob"]).tolist() == pytest.approx([0.5, 0.3] * 2)
    assert table["valid_mass"].tolist() == pytest.approx([0.8] * 4)
    assert table["option"].tolist() == ["yes", "no"] * 2
    # off by default: 0.2 against 0.3
    assert sk.believe(model, plain, DESIGN)["belief"].tolist() == pytest.approx([0.4, 0.6] * 2)


def test_spellings_equal_scoring_each_of_them() -> None:
    model = local()
    question = sk.Question(
        "Buy?", ["yes", "no, not now"], forms={"yes": ["Yes!", "It does"], "no, not now": ["never"]}
    )
    table = sk.believe(model, question, DESIGN)
    every = [" yes", " Yes!", " It does", " no, not now", " never"]
    p = np.exp(sk.score(model, question.prompts(DESIGN), every))
    expected = np.column_stack([p[:, :3].sum(1), p[:, 3:].sum(1)])
    np.testing.assert_allclose(np.exp(table["logprob"]), expected.ravel(), rtol=1e-5)
    np.testing.assert_allclose(table["valid_mass"], np.repeat(p.sum(1), 2), rtol=1e-5)


def test_spellings_with_and_without_a_blank() -> None:
    model = local()
    question = sk.Question(
        "Buy?", ["yes", "no"], layout="letters", separator="", forms={"A": [" A"], "B": [" B"]}
    )
    table = sk.believe(model, question, DESIGN[:1], orders=None)
    p = np.exp(sk.score(model, question.prompts(DESIGN[:1]), ["A", " A", "B", " B"]))[0]
    assert np.exp(table["logprob"]).tolist() == pytest.approx([p[:2].sum(), p[2:].sum()], rel=1e-5)


def test_a_spelling_within_another_is_not_counted_twice() -> None:
    model = local()
    prompts = sk.Question("Buy?", ["yes", "no"]).prompts(DESIGN)
    yes, please, no, never = np.exp(
        sk.score(model, prompts, [" yes", " yes, please", " no", " no, not at all"])
    ).T
    # Of one option: all of "yes, please" is "yes" already.
    own = sk.Question("Buy?", ["yes", "no"], forms={"yes": ["yes, please"]})
    table = sk.believe(model, own, DESIGN)
    assert np.exp(table["logprob"]).tolist() == pytest.approx(np.column_stack([yes, no]).ravel())
    assert table["valid_mass"].iloc[::2].tolist() == pytest.approx(yes + no)
    # Of another option: it counts for its own one, and only the mass leaves it out.
    other = sk.Question("Buy?", ["yes", "no"], forms={"yes": ["no, not at all"]})
    table = sk.believe(model, other, DESIGN)
    expected = np.column_stack([yes + never, no])
    np.testing.assert_allclose(np.exp(table["logprob"]), expected.ravel(), rtol=1e-5)
    np.testing.assert_allclose(table["valid_mass"].iloc[::2], yes + no, rtol=1e-5)
    # Of both at once: "yes, please" within "yes" goes, "no, not at all" within "no" stays.
    both = sk.Question("Buy?", ["yes", "no"], forms={"yes": ["yes, please", "no, not at all"]})
    table = sk.believe(model, both, DESIGN)
    np.testing.assert_allclose(np.exp(table["logprob"]), expected.ravel(), rtol=1e-5)
    assert please.max() > 0


def test_spellings_of_no_probability() -> None:
    question = sk.Question("Buy?", ["yes", "no"], forms={"yes": ["Yes"]})
    table = sk.believe(fixed(no=0.4), question, DESIGN)
    assert table["logprob"].tolist()[::2] == [-np.inf] * 2
    assert table["belief"].tolist() == [0, 1, 0, 1]
    assert sk.believe(fixed(), question, DESIGN)["belief"].isna().all()


# --- orders -----------------------------------------------------------------------------------

LETTERED = sk.Question("Which?", ["tea", "milk", "rye"], layout="letters")
TASTE = {"tea": 0.5, "milk": 0.3, "rye": 0.2}
PLACE = np.array([0.3, 0.0, 0.0])  # what the first place draws, whatever stands there


def lists(prompt: str) -> list[str]:
    return re.findall(r"^[A-Z]\. (.+)$", prompt, flags=re.M)


def leaning(prompt: str) -> Mapping[str, float]:
    """0.7 by content, 0.3 to the first place; nine tenths of the mass on letters."""
    share = 0.7 * np.array([TASTE[option] for option in lists(prompt)]) + PLACE
    return dict(zip("ABC", 0.9 * share, strict=True))


def test_every_shift_is_a_row() -> None:
    raw = sk.believe(MockModel(leaning), LETTERED, DESIGN, average=False)
    assert len(raw) == 2 * 3 * 3
    first = raw[raw["prompt_id"] == 0]
    assert first["order"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert first["option"].tolist() == ["tea", "milk", "rye"] * 3
    # Shift 1 lists milk, rye, tea; shift 2 lists rye, tea, milk.
    assert first["position"].tolist() == [0, 1, 2, 2, 0, 1, 1, 2, 0]
    # tea: 0.35 + 0.3 where it stands first, else 0.35
    assert first["belief"].tolist() == pytest.approx(
        [0.65, 0.21, 0.14, 0.35, 0.51, 0.14, 0.35, 0.21, 0.44]
    )
    assert raw["valid_mass"].tolist() == pytest.approx([0.9] * 18)
    assert raw["context"].tolist() == [c for c in DESIGN["context"] for _ in range(9)]


def test_the_average_over_shifts_frees_the_belief_of_the_place() -> None:
    model = MockModel(leaning)
    table = sk.believe(model, LETTERED, DESIGN)
    # Each option is first in one of three orders: 0.7 * taste + 0.3 / 3
    mean = [0.7 * share + 0.1 for share in TASTE.values()]
    assert table["belief"].tolist() == pytest.approx(mean * 2)
    assert table["valid_mass"].tolist() == pytest.approx([0.9] * 6)
    assert np.exp(table["logprob"]).tolist() == pytest.approx([0.9 * m for m in mean] * 2)
    assert table["order_range"].tolist() == pytest.approx([0.3] * 6)
    assert table["orders"].tolist() == [3] * 6
    assert not {"order", "position"} & set(table)
    assert table["option"].tolist() == ["tea", "milk", "rye"] * 2
    raw = sk.believe(model, LETTERED, DESIGN, average=False)
    pd.testing.assert_frame_equal(average_orders(raw), table)


def test_belief_is_averaged_not_the_probability() -> None:
    def rule(prompt: str) -> Mapping[str, float]:
        return {"A": 0.6, "B": 0.2} if lists(prompt)[0] == "tea" else {"A": 0.1, "B": 0.1}

    question = sk.Question("Which?", ["tea", "milk"], layout="letters")
    table = sk.believe(MockModel(rule), question, DESIGN[:1])
    # Beliefs in tea 0.75 and 0.5; probabilities 0.6 and 0.1; masses 0.8 and 0.2
    assert table["belief"].tolist() == pytest.approx([0.625, 0.375])
    assert np.exp(table["logprob"]).tolist() == pytest.approx([0.35, 0.15])
    assert table["valid_mass"].tolist() == pytest.approx([0.5, 0.5])


def test_orders_as_asked_for() -> None:
    model = MockModel(leaning)

    def first(**arguments: object) -> list[float]:
        return sk.believe(model, LETTERED, DESIGN[:1], **arguments)["belief"].tolist()  # type: ignore[arg-type]

    assert first() == first(orders="auto") == first(orders="cyclic")
    assert first(orders=None) == pytest.approx([0.65, 0.21, 0.14])
    assert first(orders=[[1, 0, 2]]) == pytest.approx([0.35, 0.51, 0.14])
    assert first(orders=[[0, 1, 2], [1, 0, 2]]) == pytest.approx([0.5, 0.36, 0.14])
    texts = sk.Question("Which?\n{options}", ["tea", "milk"])
    said = MockModel(lambda p: {"tea": 0.6, "milk": 0.2} if "?\ntea" in p else {"milk": 0.5})
    assert sk.believe(said, texts, DESIGN[:1])["belief"].tolist() == pytest.approx([0.75, 0.25])
    both = sk.believe(said, texts, DESIGN[:1], orders="cyclic")
    assert both["belief"].tolist() == pytest.approx([0.375, 0.625])
    assert sk.believe(said, texts, DESIGN[:1])["orders"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        ("random", "orders is 'random'; it must be 'auto', 'cyclic', None or a list"),
        ([], "orders is empty"),
        ([[0, 1, 2], [0, 1, 1]], r"orders\[1\] is \[0, 1, 1\]; it must hold 0 to 2 once each"),
        ([[0, 1, 2], [0, 1, 2]], r"orders\[1\], \[0, 1, 2\], is there twice"),
    ],
)
def test_bad_orders(orders: str | Sequence[Sequence[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sk.believe(MockModel(leaning), LETTERED, DESIGN, orders=orders)


def test_orders_of_what_is_not_listed() -> None:
    plain = sk.Question("Which?", ["tea", "milk"])
    for orders in ("cyclic", [[1, 0]]):
        with pytest.raises(ValueError, match="the prompt lists no options"):
            sk.believe(fixed(tea=1), plain, DESIGN, orders=orders)  # type: ignore[arg-type]
    assert "order_range" not in sk.believe(fixed(tea=1), plain, DESIGN.assign(order=1))
    for name in ("order", "position", "orders", "order_range"):
        with pytest.raises(ValueError, match=f"already has a column '{name}'"):
            sk.believe(MockModel(leaning), LETTERED, DESIGN.assign(**{name: 1}))


def test_an_error_names_the_design_row_whatever_the_orders() -> None:
    long = DESIGN.assign(context=["Hm.", "It is hot. " * 60])
    with pytest.raises(ValueError, match=r"^row 1: "):
        sk.believe(local(), LETTERED, long)
    glued = sk.Question("Which?", ["x", "y"], layout="letters", template="{options}\nThe pri",
                        separator="", forms={"A": ["ce"]})  # fmt: skip
    with pytest.raises(sk.BoundaryError, match=r"^row 0: "):
        sk.believe(local(), glued, DESIGN)


def test_an_order_of_no_mass_leaves_the_average_undefined() -> None:
    model = MockModel(lambda p: {} if lists(p)[0] == "rye" and "hot" in p else leaning(p))
    table = sk.believe(model, LETTERED, DESIGN)
    assert table["belief"].isna().tolist() == [True] * 3 + [False] * 3
    assert table["order_range"].isna().tolist() == [True] * 3 + [False] * 3
    assert table["valid_mass"].tolist() == pytest.approx([0.6] * 3 + [0.9] * 3)


def test_average_orders_refuses_what_it_cannot_average() -> None:
    raw = sk.believe(MockModel(leaning), LETTERED, DESIGN, average=False)
    with pytest.raises(ValueError, match="no column 'order'"):
        average_orders(average_orders(raw))
    with pytest.raises(ValueError, match=r"option_id 0 stands twice .*order 0"):
        average_orders(pd.concat([raw, raw]))
    with pytest.raises(ValueError, match="prompt_id 1: option_id 2 was scored in 2 of its 3"):
        average_orders(raw.iloc[:-1])
    # Two models in one table are told apart, and the order of the rows does not matter.
    two = pd.concat([raw, raw.assign(model="other", belief=1 / 3)])
    table = average_orders(two.sample(frac=1, random_state=1)).sort_values(["model", "prompt_id"])
    assert table.groupby("model", sort=True)["belief"].apply(list)["other"] == [1 / 3] * 6


def test_long_options_do_not_underflow_in_the_average() -> None:
    raw = sk.believe(MockModel(leaning), LETTERED, DESIGN[:1], average=False)
    table = average_orders(raw.assign(logprob=-2000.0))
    assert table["logprob"].tolist() == pytest.approx([-2000.0] * 3)


def test_choices_are_drawn_in_each_order() -> None:
    raw = sk.believe(MockModel(leaning), LETTERED, DESIGN, average=False)
    drawn = sk.sample_choices(raw, runs=3_000, seed=1)
    assert len(drawn) == 2 * 3 * 3_000
    share = drawn.groupby(["prompt_id", "order"])["option"].apply(lambda o: (o == "tea").mean())
    # 0.65 where tea is first, else 0.35; standard error 0.0087
    assert share.tolist() == pytest.approx([0.65, 0.35, 0.35] * 2, abs=0.035)


@given(st.integers(2, 9))
def test_shifts_put_each_option_once_at_each_place(k: int) -> None:
    shifts = np.array(cyclic_orders(k))
    assert shifts.shape == (k, k)
    for lines in (shifts, shifts.T):
        assert (np.sort(lines, axis=1) == np.arange(k)).all()


# --- temperature ------------------------------------------------------------------------------


def asked(*probability: float) -> pd.DataFrame:
    names = [f"o{i}" for i in range(len(probability))]
    model = MockModel(lambda prompt: dict(zip(names, probability, strict=True)))
    return sk.believe(model, sk.Question("?", names), DESIGN)


def test_temperature_known_values() -> None:
    table = asked(0.4, 0.1)
    # p^(1/T): T = 2 gives sqrt(0.4) : sqrt(0.1) = 2 : 1; T = 1/2 gives 0.16 : 0.01
    assert at_temperature(table, 2)["belief"].tolist() == pytest.approx([2 / 3, 1 / 3] * 2)
    assert at_temperature(table, 0.5)["belief"].tolist() == pytest.approx([16 / 17, 1 / 17] * 2)
    assert at_temperature(table, 0)["belief"].tolist() == [1, 0] * 2
    assert at_temperature(table, 1e-300)["belief"].tolist() == [1, 0] * 2
    once = at_temperature(table, 1)
    np.testing.assert_allclose(once["belief"], table["belief"], rtol=1e-14)
    pd.testing.assert_frame_equal(
        once.drop(columns=["belief", "belief_temperature"]), table.drop(columns="belief")
    )
    assert once["belief_temperature"].tolist() == [1.0] * 4
    assert "belief_temperature" not in table


def test_ties_share_and_nothing_stays_undefined() -> None:
    assert at_temperature(asked(0.3, 0.1, 0.3), 0)["belief"].tolist() == [0.5, 0, 0.5] * 2
    assert at_temperature(asked(0.0, 0.0), 0)["belief"].isna().all()
    assert at_temperature(asked(0.0, 0.0), 2)["belief"].isna().all()
    # A probability of 0 stays 0 at any temperature.
    assert at_temperature(asked(0.0, 0.2), 50)["belief"].tolist() == [0, 1] * 2


@settings(max_examples=30)
@given(
    st.lists(st.floats(1e-6, 1), min_size=2, max_size=5),
    st.floats(0, 20),
    st.floats(0, 20),
)
def test_temperature_may_be_set_again(weights: list[float], one: float, other: float) -> None:
    table = asked(*(w / sum(weights) for w in weights))
    twice = at_temperature(at_temperature(table, one), other)
    pd.testing.assert_frame_equal(twice, at_temperature(table, other))
    total = twice.groupby("prompt_id")["belief"].sum()
    np.testing.assert_allclose(total, 1.0)
    best = twice.groupby("prompt_id")["belief"].idxmax()
    np.testing.assert_array_equal(
        table["logprob"][best], table.groupby("prompt_id")["logprob"].max()
    )


def test_temperature_goes_before_averaging() -> None:
    raw = sk.believe(MockModel(leaning), LETTERED, DESIGN, average=False)
    cold = average_orders(at_temperature(raw, 0))
    # Orders 0 to 2 put tea (0.65), milk (0.51) and rye (0.44) first, and each wins there.
    assert cold["belief"].tolist() == pytest.approx([1 / 3] * 6)
    with pytest.raises(ValueError, match=r"averaged over orders.*average=False"):
        at_temperature(average_orders(raw), 0)
    one = sk.believe(MockModel(leaning), LETTERED, DESIGN, orders=None)  # nothing was averaged
    assert at_temperature(one, 0)["belief"].tolist() == [1, 0, 0] * 2
    with pytest.raises(ValueError, match="row 0 is not the softmax of logprob"):
        at_temperature(one.assign(belief=1 / 3), 1)


@pytest.mark.parametrize("temperature", [-0.1, np.nan, np.inf, 10**400])
def test_no_such_temperature(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature is"):
        at_temperature(asked(0.4, 0.1), temperature)


def test_bad_tables_are_named() -> None:
    table = asked(0.4, 0.1)
    with pytest.raises(ValueError, match="no column 'logprob'"):
        at_temperature(table.drop(columns="logprob"), 1)
    with pytest.raises(ValueError, match="logprob: row 0 holds nan"):
        at_temperature(table.assign(logprob=np.nan), 1)
    with pytest.raises(ValueError, match=r"option_id 0 stands twice .*prompt_id 0"):
        at_temperature(pd.concat([table, table]), 1)
    # Rows in another order, and another index, give the same numbers.
    mixed = table.sample(frac=1, random_state=3).set_index(pd.Index(list("wxyz")))
    found = at_temperature(mixed, 2).sort_values(["prompt_id", "option_id"])["belief"]
    np.testing.assert_array_equal(found, at_temperature(table, 2)["belief"])


def test_what_a_backend_calls_nested_within_one_option_is_left_out() -> None:
    """Asked for one option's spellings alone, the backend says which lie in which."""

    class Nesting:
        name = "nesting"

        def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
            p = {"a": 0.2, "a b": 0.05, "c": 0.3, "c d": 0.1}
            rows = [[p[o.strip()] for o in row] for row in options]
            inside = [
                [any(o != x and o.startswith(x) for x in row) and "hot" in prompt for o in row]
                for prompt, row in zip(prompts, options, strict=True)
            ]
            return Scores(np.log(rows), np.array(inside))

    question = sk.Question("?", ["a", "c"], forms={"a": ["a b", "c d"]})
    table = sk.believe(Nesting(), question, DESIGN)
    # hot: "a b" is part of "a", "c d" counts: 0.2 + 0.1 = 0.3; mass 0.2 + 0.3
    # else nothing is nested: 0.2 + 0.05 + 0.1 = 0.35; mass 0.65
    assert np.exp(table["logprob"]).tolist() == pytest.approx([0.3, 0.3, 0.35, 0.3])
    assert table["valid_mass"].tolist() == pytest.approx([0.5, 0.5, 0.65, 0.65])
