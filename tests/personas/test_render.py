"""Attributes to text: what is missing is left out, wordings are stable."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import simkit as sk

BOOK = {
    "name": ("This is {name}.", "Meet {name}."),
    "age": ("The age is {age:.0f}.",),
    "city": ("Home is {city}.", "{city} is home."),
}


def test_missing_attributes_are_left_out() -> None:
    people = pd.DataFrame({"name": ["Ann", "Bo"], "age": [40.0, None], "city": [None, "Rome"]})
    assert sk.describe(people, BOOK).tolist() == [
        "This is Ann. The age is 40.",
        "This is Bo. Home is Rome.",
    ]


def test_a_wording_is_the_same_for_all_rows_and_calls() -> None:
    people = pd.DataFrame({"name": "Ann", "age": 40, "city": ["Rome", "Oslo"] * 10})
    people["wording"] = [i // 2 for i in range(20)]
    texts = sk.describe(people, BOOK)
    rome, oslo = texts[::2].reset_index(drop=True), texts[1::2].reset_index(drop=True)
    assert (rome.str.replace("Rome", "Oslo") == oslo).all()
    assert rome.nunique() > 3
    assert (sk.describe(people.iloc[4:6], BOOK) == texts.iloc[4:6]).all()


def test_a_design_without_any_known_column_is_refused() -> None:
    with pytest.raises(ValueError, match="name, age, city"):
        sk.describe(pd.DataFrame({"height": [1.8]}), BOOK)


@pytest.mark.parametrize(
    ("book", "message"),
    [
        (
            {"age": ["{zz}"]},
            r"age, '\{zz\}': no column 'zz'; there are: age, name, city",
        ),
        ({"age": []}, "age: there are no phrasings"),
        ({"age": 3}, "age: phrasings is 3; it must be a list"),
        ({"age": [None]}, "the template is None; it must be text"),
        (["age"], r"code_book is \['age'\]; it must be"),
        (
            {"city": ["{name} of {city}."]},
            "row 1: 'name' is nan, and '{name} of {city}.' needs it",
        ),
    ],
)
def test_what_cannot_be_described_is_named(book: Any, message: str) -> None:
    people = pd.DataFrame({"age": [40, 41], "name": ["Ann", None], "city": ["Rome", "Oslo"]})
    with pytest.raises(ValueError, match=message):
        sk.describe(people, book)


def test_one_phrasing_may_stand_without_a_list() -> None:
    # Not letter by letter: a string is a sequence of strings, too.
    assert sk.describe(pd.DataFrame({"age": [40]}), {"age": "Aged {age}."}).tolist() == ["Aged 40."]


@pytest.mark.parametrize("wording", [0.5, None, "1", float("inf")])
def test_a_wording_is_a_whole_number(wording: Any) -> None:
    people = pd.DataFrame({"age": [40, 41], "wording": pd.Series([0, wording], dtype=object)})
    with pytest.raises(ValueError, match="wording: row 1 holds"):
        sk.describe(people, {"age": "Aged {age}."})
    same = people.assign(wording=[0.0, 3.0])  # as a gap elsewhere in the column leaves it
    assert (
        sk.describe(same, BOOK).tolist()
        == sk.describe(same.astype({"wording": int}), BOOK).tolist()
    )
