"""Attributes to text: what is missing is left out, wordings are stable."""

from __future__ import annotations

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
