"""What people give to the functions of this wing and cannot be used: named, never a bare error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simkit.personas import (
    Attribute,
    Battery,
    CodeBook,
    Item,
    Margin,
    Numbers,
    car_vehicles,
    describe,
    draw,
    interview,
    likert,
    margin_of,
    numeric,
    question_of,
    rake,
    read_answers,
    render,
    sampling_plan,
    show,
)
from simkit.questions import Question

BOOK = CodeBook({"age": Attribute({1: "young", 2: "old"}, "Age?", "The respondent is {text}.")})
MARGIN = Margin("age", {1: 0.5, 2: 0.5}, source="a census")
YES = Question("Do you drive?", ["yes", "no"])
ONE = Battery([Item("drives", YES)])


def believe(question: Question, design: pd.DataFrame) -> pd.DataFrame:
    n, k = len(design), len(question.options)
    return pd.DataFrame({
        "prompt_id": np.repeat(np.arange(n), k), "option": [*question.options] * n,
        "option_id": np.tile(np.arange(k), n), "belief": 1 / k,
    })  # fmt: skip


FRAMES: dict[str, Callable[[Any], Any]] = {
    "describe": lambda frame: describe(frame, {"age": "Aged {age}."}),
    "render": lambda frame: render(frame, BOOK),
    "CodeBook.texts": lambda frame: BOOK.texts(frame),
    "draw": lambda frame: draw(frame, 1, weight=None),
    "sampling_plan": lambda frame: sampling_plan(frame, 1, weight=None),
    "rake": lambda frame: rake([MARGIN], frame, weight=None),
    "margin_of": lambda frame: margin_of(frame, "age", weight=None, source="s"),
    "interview": lambda frame: interview(believe, ONE, frame),
    "car_vehicles": car_vehicles,
}


@pytest.mark.parametrize("call", FRAMES.values(), ids=FRAMES)
def test_a_frame_has_each_column_once_and_on_one_level(call: Callable[[Any], Any]) -> None:
    twice = pd.DataFrame([[1, 2]], columns=["age", "age"])
    with pytest.raises(ValueError, match="column 'age' stands twice; drop or rename one of them"):
        call(twice)
    levels = pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("age", "w1")]))
    with pytest.raises(ValueError, match=r"levels, the first is \('age', 'w1'\)|'age', 'w1'"):
        call(levels)
    for other in ([{"age": 1}], {"age": [1]}, "age"):
        with pytest.raises(ValueError, match="it must be a DataFrame"):
            call(other)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: margin_of(PEOPLE, "zz", weight=None, source="s"), "no column 'zz'; there are"),
        (lambda: margin_of(PEOPLE, "age", weight="w8", source="s"), "no column 'w8'"),
        (lambda: margin_of(PEOPLE, [], weight=None, source="s"), r"variables are \[\]"),
        (lambda: margin_of(PEOPLE, "list", weight=None, source="s"), "row 0 holds a list, which"),
        (lambda: Margin("age", [1, 2], source="s"), "shares is .*; it must be {value: share}"),
        (
            lambda: Margin("age", {1: 0.5, np.nan: 0.5}, source="s"),
            r"a key is \(nan,\); it must be one value, none of them missing",
        ),
        (lambda: Margin(["a", "a"], {(1, 1): 1.0}, source="s"), "one or more that differ"),
        (lambda: rake([MARGIN, "age"]), "a margin is 'age'; it must be a Margin"),
        (lambda: rake([MARGIN], max_iterations=0), "max_iterations is 0; it must"),
        (lambda: rake([MARGIN], tolerance="x"), "tolerance is 'x'; it must be a number"),
        (lambda: rake([MARGIN], PEOPLE.assign(age=[[1], [2]]), weight=None), "row 0 holds '"),
        (lambda: draw(PEOPLE, "3"), "n is '3'; it must be a whole number from 1"),
        (lambda: draw(PEOPLE, 2.5), "n is 2.5"),
        (lambda: draw(PEOPLE, 1, weight=None), "column 'list' holds values without an order"),
        (lambda: draw(PEOPLE, 1, weight=None, by=[["age"]]), r"no column \['age'\]"),
        (lambda: numeric("x", 0, 1e300, 2.02), "values from 0 to 1e.300; there may be up to 10000"),
        (lambda: numeric("x", 0, "many"), "low 0, high many, step 1; they must be numbers"),
        (lambda: numeric("x", 0, 9, end=None), "end is None; it must be text"),
        (lambda: likert("x", "5"), "points is '5'; it must be a whole number from 2"),
        (lambda: likert("x", 10**9), "points is 1000000000; it must be a whole number"),
        (lambda: likert("x", 5, labels=7), "labels is 7; it must be a list"),
        (lambda: read_answers(YES, "yes"), "texts is 'yes'; it must be a list"),
        (lambda: read_answers("yes", ["yes"]), "question is 'yes'; it must be a Question"),
        (lambda: question_of(BOOK, ["age"]), r"no attribute \['age'\]"),
        (lambda: question_of({"age": 1}, "age"), "code_book is .*; it must be a CodeBook"),
        (lambda: question_of(BOOK_OF_LETTERS, "size"), "values: row 0 holds 's'"),
        (lambda: Attribute(["x"]), r"values is \['x'\]; it must be {value: text}, or Numbers"),
        (lambda: Attribute({1: "a"}, third=3), "third is 3; it must be a list"),
        (lambda: Attribute({1: "a"}, third="It is {text:.2f}."), "cannot be filled"),
        (lambda: Attribute({1: "a"}, ask=3), "ask is 3; it must be text"),
        (lambda: CodeBook({"age": "x"}), "age is 'x'; it must be an Attribute"),
        (lambda: CodeBook(["age"]), r"attributes is \['age'\]; it must be a mapping"),
        (lambda: CodeBook({}, {"third": 3}), "opening: the text of 'third' is 3"),
        (lambda: Numbers(5, 1), "low 5, high 1"),
        (lambda: Numbers(0, 9, step=0), "step 0"),
        (lambda: Numbers("0", 9), "low is '0'; it must be a number"),
        (lambda: Numbers(0, 9, "{:.0f}"), "text is '{:.0f}'; it must be a function"),
        (lambda: render(PEOPLE, {"age": "x"}), "it must be a CodeBook"),
        (lambda: render(PEOPLE, BOOK, form="{ask}: {text:.1f}"), "row 0: .* cannot be filled"),
        (lambda: Item("q", "Do you?"), "q: question is 'Do you.'; it must be a Question"),
        (lambda: Item("", YES), "name is ''; it must be text"),
        (lambda: Item("q", YES, ask_if="car"), "ask_if is 'car'; it must be a mapping"),
        (lambda: show("q", 3), "tell is 3; it must be text"),
        (lambda: Battery(["q"]), "an item is 'q'; it must be Item"),
        (lambda: ONE.orders(3), "people is 3; it must be a list"),
        (lambda: interview(None, ONE, SMALL), "believe is None; it must be a function"),
        (lambda: interview(believe, [YES], SMALL), "it must be a Battery"),
        (lambda: interview(believe, ONE, SMALL.assign(person=[0, None])), "person: row 1 holds"),
        (lambda: interview(lambda q, d: [1], ONE, SMALL), "what believe returned is"),
        (lambda: car_vehicles(pd.DataFrame({"fuel1": ["gasoline"]})), "no column 'type1'"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


PEOPLE = pd.DataFrame({"age": [1, 2], "list": [["x"], ["y"]]})
SMALL = pd.DataFrame({"context": ["A survey.", "A survey."], "person": [0, 1]})
BOOK_OF_LETTERS = CodeBook({"size": Attribute({"s": "small", "l": "large"}, "Size?", ordered=True)})


# --- numbers read the same whatever their column


def test_code_books_write_numbers_by_the_rule() -> None:
    book = CodeBook({"people": Attribute(Numbers(0, 10**9), third="It has {text} people.")})
    counts = [1234567, 40]
    for dtype in ("int64", "float64", "Int64", "float32"):
        people = pd.DataFrame({"people": pd.Series(counts, dtype=dtype)})
        assert render(people, book).tolist() == ["It has 1234567 people.", "It has 40 people."]
    small = pd.DataFrame({"people": np.array([0.1], dtype="float32")})
    assert render(small, book).tolist() == ["It has 0.1 people."]


def test_interviews_tell_numbers_by_the_rule_and_draw_by_the_person_not_its_dtype() -> None:
    items = [Item("drives", YES, tell="Aged {age}: {answer}."), Item("again", YES)]
    people = SMALL.assign(age=[34, 40])
    found = interview(believe, Battery(items), people, seed=4)
    assert found.turns["context"].iloc[-1].startswith("A survey.\nAged 40: ")
    floats = people.astype({"age": float, "person": float})
    again = interview(believe, Battery(items), floats, seed=4)
    assert again.turns["context"].tolist() == found.turns["context"].tolist()
    assert again.answers["again"].tolist() == found.answers["again"].tolist()


def test_no_vehicle_has_the_price_nan() -> None:
    columns = {"fuel": "gasoline", "type": "van", "price": 4.25, "range": 250}
    frame = pd.DataFrame({f"{name}{k}": [v, v] for k in range(1, 7) for name, v in columns.items()})
    assert car_vehicles(frame)["vehicle6"][1] == "gasoline van, price 4.2, range 250"
    frame.loc[1, "price3"] = np.nan
    with pytest.raises(ValueError, match="row 1: 'price' is nan"):
        car_vehicles(frame)


def test_margins_call_large_values_by_all_their_digits() -> None:
    people = pd.DataFrame({"income": [1234567.0, 1234568.0]})
    plan = sampling_plan(people, 2, weight=None)
    assert plan.frame["value"].tolist() == ["1234567", "1234568"]


def test_columns_may_be_numbered() -> None:
    plan = sampling_plan(pd.DataFrame({0: ["x", "y"], "b": ["u", "v"]}), 2, weight=None)
    assert set(plan.frame["margin"]) == {"0", "b"}
