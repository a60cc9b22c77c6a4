"""Rendering: every word from the code book, nothing invented, nothing silently dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit import datasets
from simkit.personas import ANES96, Attribute, CodeBook, Numbers, question_of, render

BOOK = CodeBook(
    {
        "age": Attribute(
            Numbers(18, 99, "{:.0f}".format), "How old are you?",
            ("The respondent is {text}.", "Age: {text}."), "You are {text}.", "I am {text}.",
        ),
        "sex": Attribute(
            {1: "man", 2: "woman"}, "Are you a man or a woman?",
            "The respondent is a {text}.", "You are a {text}.", "I am a {text}.",
        ),
        "town size": Attribute({"s": "small", "l": "large {sic}"}, third="The town is {text}."),
    },
    {"third": "A survey {x}."},
)  # fmt: skip
PEOPLE = pd.DataFrame(
    {"town size": ["s", "l", None], "sex": [1, None, 2], "age": [40.0, 23, np.nan], "id": range(3)},
    index=["u", "v", "w"],
)


def test_profiles_in_three_voices() -> None:
    two = ["age", "sex"]
    third = render(PEOPLE, BOOK)
    assert third.tolist() == [
        "A survey {x}. The respondent is 40. The respondent is a man. The town is small.",
        "A survey {x}. The respondent is 23. The town is large {sic}.",
        "A survey {x}. The respondent is a woman.",
    ]
    assert list(third.index) == ["u", "v", "w"]
    assert render(PEOPLE, BOOK, voice="second", attributes=two)["u"] == "You are 40. You are a man."
    assert render(PEOPLE, BOOK, voice="first", attributes=two[::-1])["u"] == "I am a man. I am 40."


def test_interviews_and_own_lines() -> None:
    two = ["age", "sex"]
    assert render(PEOPLE, BOOK, form="interview", attributes=two)["u"] == (
        "A survey {x}.\nInterviewer: How old are you?\nRespondent: I am 40."
        "\nInterviewer: Are you a man or a woman?\nRespondent: I am a man."
    )
    for voice, who in (("second", "You"), ("first", "Me")):
        told = render(PEOPLE, BOOK, form="interview", voice=voice, attributes=["sex"])
        assert told["w"] == f"Interviewer: Are you a man or a woman?\n{who}: I am a woman."
    own = render(PEOPLE, BOOK, form="{ask} {text} ({say}/{first})", voice="second", attributes=two)
    assert own["v"] == "How old are you? 23 (You are 23./I am 23.)"
    braces = render(PEOPLE, BOOK, form="{{{text}}}", attributes=["town size"])
    assert braces["v"] == "A survey {x}.\n{large {sic}}"


def test_who_is_unknown_is_not_described() -> None:
    nobody = pd.DataFrame({"age": [None], "sex": [pd.NA]}, dtype=object)
    assert render(nobody, BOOK).tolist() == ["A survey {x}."]
    assert render(nobody, BOOK, voice="first").tolist() == [""]


def test_wordings_pick_phrasing_and_order() -> None:
    people = pd.concat([PEOPLE.loc[["u"]]] * 40).assign(wording=range(40))
    told = render(people, BOOK)
    assert told.iloc[0] == render(PEOPLE, BOOK)["u"]
    assert told.nunique() > 6  # 2 phrasings of the age × 6 orders
    assert told.str.startswith("A survey {x}.").all()
    assert told.str.contains("Age: 40.").any()
    assert told.str.contains("The respondent is 40.").any()


def test_unknown_values_are_named() -> None:
    with pytest.raises(ValueError, match="sex: row 'v' holds 3; it must be one of 1, 2"):
        render(PEOPLE.assign(sex=[1, 3, 2]), BOOK)
    with pytest.raises(ValueError, match="sex: row 'u' holds True; it must be one of 1, 2"):
        render(PEOPLE.assign(sex=True), BOOK)  # equal to 1, and no code
    with pytest.raises(
        ValueError, match="age: row 'u' holds 17; it must be a number from 18 to 99"
    ):
        render(PEOPLE.assign(age=[17, 30, 40]), BOOK)
    with pytest.raises(ValueError, match="age: row 'w' holds '40'; it must be a number"):
        render(PEOPLE.assign(age=[20, 30, "40"]), BOOK)
    with pytest.raises(ValueError, match="sex: row 'u' holds 'man'"):
        BOOK.texts(PEOPLE.assign(sex="man"))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"voice": "fourth"}, "no voice 'fourth'; there are: third, second, first"),
        ({"form": "essay"}, "no form 'essay'; there are: profile, interview"),
        ({"form": "{age}"}, "no form"),
        ({"attributes": ["height"]}, "no attribute 'height'; there are: age, sex, town size"),
        ({"voice": "first"}, "town size: the code book has no sentence in the first person"),
        ({"form": "interview"}, "town size: the code book has no question"),
    ],
)
def test_what_the_book_cannot_say_is_refused(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render(PEOPLE, BOOK, **how)


def test_people_without_the_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="none of the code book's attributes: age, sex"):
        render(PEOPLE[["id"]], BOOK)
    with pytest.raises(ValueError, match="no column 'sex'; there are: age"):
        render(PEOPLE[["age"]], BOOK, attributes=["sex"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Attribute({}), "values is {}; it must be {value: text} with one value or more"),
        (lambda: Attribute({1: " "}), "text of 1 is ' '"),
        (lambda: Attribute({1: "a", 2: "a"}), "1 and 2 are both called 'a'"),
        (lambda: Attribute({1: "a"}, third="He is {age}."), "the one field {text}"),
        (lambda: Attribute({1: "a"}, third="He is."), "the one field {text}"),
        (lambda: CodeBook({}, {"fourth": "x"}), "no voice 'fourth'; there are: third"),
    ],
)
def test_bad_books_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


VALUES: dict[str, list[Any]] = {
    "age": [18, 44.0, 99, None, np.nan, pd.NA],
    "sex": [1, 2.0, None, pd.NaT],
    "town size": ["s", "l", None, float("nan")],
}


@given(
    st.lists(st.tuples(*(st.sampled_from(v) for v in VALUES.values())), min_size=1, max_size=5),
    st.sampled_from(["profile", "{text}"]),
    st.integers(0, 5),
)
def test_nothing_is_ever_invented(rows: list[tuple[Any, ...]], form: str, wording: int) -> None:
    people = pd.DataFrame(rows, columns=list(VALUES), dtype=object).assign(wording=wording)
    texts = BOOK.texts(people)
    for row, told in enumerate(render(people, BOOK, form=form)):
        assert not any(word in told for word in ("nan", "None", "NA", "NaT"))
        said = [t for t in texts.iloc[row, :3] if t is not None]
        assert all(text in told for text in said)
        lines = told.removeprefix("A survey {x}.").strip()
        assert (lines.count("\n") + 1 if lines else 0) == len(said) or form == "profile"
        assert bool(lines) == bool(said)
        if form == "profile":
            assert lines.count(".") == len(said)


# --- the book that ships


def test_anes96_covers_every_answer_there_is() -> None:
    people = datasets.load("anes96")
    texts = ANES96.texts(people)
    assert set(ANES96) == set(people) - {"logpopul"}
    assert texts[list(ANES96)].notna().all(axis=None)
    # A few by hand, from the data set's own description.
    assert ANES96["income"].say(11) == "$15,000 to $16,999"
    assert ANES96["income"].say(22) == "$75,000 to $89,999"
    assert ANES96["income"].say(24) == "$105,000 or more"
    assert len(ANES96["income"].values) == 24
    assert ANES96["PID"].say(0.0) == "strong Democrat"
    assert ANES96["PID"].say(5) == "weak Republican"
    assert ANES96["selfLR"].say(6) == ANES96["DoleLR"].say(6) == "conservative"
    assert ANES96["vote"].say(1) == "Bob Dole"
    assert ANES96["educ"].say(7) == "a PhD"
    assert ANES96["popul"].say(0) == "fewer than 1,000"
    assert ANES96["popul"].say(190) == "about 190,000"
    assert ANES96["TVnews"].say(1) == "one day"
    assert ANES96["PID"].say(7) is None


@pytest.mark.parametrize("form", ["profile", "interview"])
@pytest.mark.parametrize("voice", ["third", "second", "first"])
def test_anes96_is_told_in_every_voice_and_form(voice: str, form: str) -> None:
    people = datasets.load("anes96").head(12)
    told = render(people.assign(wording=range(12)), ANES96, voice=voice, form=form)
    assert not told.str.contains("nan|None").any()
    assert (told.str.count("\n") == (20 if form == "interview" else 0)).all()
    assert told.nunique() == 12
    if form == "profile":
        others = {"third": "You |I ", "second": "respondent|I ", "first": "respondent|You "}
        assert not told.str.contains(others[voice]).any()


def test_questions_come_from_the_book() -> None:
    party = question_of(ANES96, "PID")
    assert party.values == (0, 1, 2, 3, 4, 5, 6)
    assert party.options[3] == "independent"
    assert question_of(ANES96, "vote").values is None
    days = question_of(ANES96, "TVnews", end=".")
    assert (days.text, days.options[:2], days.values[-1]) == (ANES96["TVnews"].ask, ("0.", "1."), 7)
    for name in ANES96:
        if name == "popul":
            continue
        options = question_of(ANES96, name).options
        # An option that begins another would hold the other's probability too.
        if name not in ("age", "TVnews"):
            assert not any(a != b and b.startswith(a) for a in options for b in options)
    with pytest.raises(ValueError, match="popul: its numbers have no step"):
        question_of(ANES96, "popul")
    with pytest.raises(ValueError, match="town size: the code book has no question"):
        question_of(BOOK, "town size")
    with pytest.raises(ValueError, match="no attribute 'height'"):
        question_of(BOOK, "height")
