"""Questions: fields, templates and bad options."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simkit as sk
from simkit.questions import fill


def test_context_line_is_dropped_where_there_is_none() -> None:
    question = sk.Question("Buy {what}?", ["yes", "no"])
    bare = pd.DataFrame({"what": ["milk"]})
    assert question.prompts(bare) == ["Question: Buy milk?\nAnswer:"]
    assert question.prompts(bare.assign(context="It rains.")) == [
        "It rains.\nQuestion: Buy milk?\nAnswer:"
    ]


def test_options_may_hold_fields() -> None:
    question = sk.Question("How much?", ["${low:.2f}", "${high:.2f}"])
    design = pd.DataFrame({"low": [1.0, 2.0], "high": [3.0, 4.0]})
    assert question.options_for(design) == [["$1.00", "$3.00"], ["$2.00", "$4.00"]]
    with pytest.raises(ValueError, match=r"row 1: option '\$2.00' stands twice"):
        question.options_for(design.assign(high=[3.0, 2.0]))


@pytest.mark.parametrize(
    ("options", "message"),
    [(["yes"], "at least two"), (["a", "a"], "twice"), (["a", " "], "empty"), ("ab", "a list")],
)
def test_bad_options(options: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sk.Question("?", options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([1, 2], 'option 1 is empty or not text; write "1"'),
        (["1", 2.5], 'option 2.5 is empty or not text; write "2.5"'),
        (["a", None], "option None is empty or not text$"),
        (["a", float("nan")], "option nan is empty or not text$"),
        ({"a", "b"}, "options is {.*}; it must be a list"),
        ({"a": 1, "b": 2}, "options is {.*}; it must be a list"),
        (3, "options is 3; it must be a list"),
    ],
)
def test_options_are_a_list_of_text(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sk.Question("?", options)
    assert sk.Question("?", pd.Series(["a", "b"])).options == ("a", "b")
    assert sk.Question("?", (x for x in "ab")).options == ("a", "b")  # type: ignore[arg-type]


@pytest.mark.parametrize("stray", ["yes ", " yes", "yes\t", "\nyes", "\u200byes", "yes\ufeff"])
def test_stray_blanks_at_an_option_are_refused_with_the_remedy(stray: str) -> None:
    named = "has a blank at an end; write 'yes', after the separator ' '"
    with pytest.raises(ValueError, match=named):
        sk.Question("?", [stray, "no"])
    with pytest.raises(ValueError, match=f"forms: option .*{named}"):
        sk.Question("?", ["ja", "no"], forms={"ja": [stray]})
    with pytest.raises(ValueError, match=f"row 1: option .*{named}"):
        sk.Question("?", ["{x}", "no"]).answers_for(pd.DataFrame({"x": ["yes", stray]}))
    # Who says what stands between prompt and option says it all.
    assert sk.Question("?", [stray, "no"], separator="").options == (stray, "no")
    # Listed under labels the words are not scored; a line break may close a number.
    assert sk.Question("?", [stray, "no"], layout="letters").options == (stray, "no")
    assert sk.Question("?", ["1\n", "10\n"]).options == ("1\n", "10\n")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2, 3], "3 values for 2 options"),
        ([1, float("nan")], "values: row 1 holds nan; it must be a finite number"),
        ([1, None], "values: row 1 holds None"),
        (["1", "2"], "values: row 0 holds '1'"),
        ([1, float("inf")], "values: row 1 holds inf"),
        (5, "values is 5; it must be a list"),
    ],
)
def test_values_are_one_number_per_option(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sk.Question("?", ["a", "b"], values=values)
    assert sk.Question("?", ["a", "b"], values=np.array([1, 2])).values == (1.0, 2.0)


@pytest.mark.parametrize("name", ["text", "template", "separator"])
def test_texts_are_text(name: str) -> None:
    arguments: dict[str, Any] = {"text": "?", name: 3}
    with pytest.raises(ValueError, match=f"{name} is 3; it must be text"):
        sk.Question(options=["a", "b"], **arguments)


LEVELS = pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("age", "w1")]))
TWICE = pd.DataFrame([[1, 2]], columns=["age", "age"])
ASKED = sk.Question("{age}?", ["{age}", "no"])


@pytest.mark.parametrize(
    ("design", "message"),
    [
        (TWICE, "the design: column 'age' stands twice"),
        (LEVELS, r"the design: the columns are in 2 levels, the first is \('age', 'w1'\)"),
        ([{"age": 1}], "the design is .*; it must be a DataFrame"),
        ({"age": [1]}, "the design is .*; it must be a DataFrame"),
        (3, "the design is 3"),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        ASKED.prompts,
        ASKED.options_for,
        ASKED.answers_for,
        ASKED.warn_unsaid,
        lambda design: fill("{age}", design),
        lambda design: sk.describe(design, {"age": "Aged {age}."}),
        lambda design: sk.personas.read_answers(ASKED, ["no"], design),
    ],
)
def test_a_design_is_a_frame_of_single_columns(
    design: Any, message: str, call: Callable[[Any], Any]
) -> None:
    with pytest.raises(ValueError, match=message):
        call(design)


TWO = pd.DataFrame({"price": [1, 2], "person": [0, 1]})


@pytest.mark.parametrize(
    ("design", "text", "message"),
    [
        (TWO, "Buy it?", r"no field names any column of the design \(price, person\), so all 2"),
        (TWO.assign(context="Ann."), "Buy at {price}?", "a column 'context', and no field names"),
    ],
)
def test_what_a_design_says_to_nobody_is_warned_of(
    design: pd.DataFrame, text: str, message: str
) -> None:
    question = sk.Question(text, ["yes", "no"], template="{question}\nAnswer:")
    with pytest.warns(UserWarning, match=message) as caught:
        question.prompts(design)
    assert len(caught) == 1 and caught[0].filename == __file__
    model = sk.MockModel(lambda prompt: {"yes": 0.5, "no": 0.5})
    with pytest.warns(UserWarning, match=message) as caught:
        sk.believe(model, replace(question, text=text + "\n{options}"), design, orders="cyclic")
    assert len(caught) == 1 and caught[0].filename == __file__  # once a call, however many orders


def test_a_column_that_the_questions_text_hides_is_warned_of() -> None:
    design = TWO.assign(question=["Buy?", "Sell?"])
    with pytest.warns(UserWarning, match="stands for the question's text; rename the column"):
        sk.Question("Buy at {price}?", ["yes", "no"]).prompts(design)


def test_columns_that_merely_stand_by_are_not_warned_of() -> None:
    options = ["yes", "no"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sk.Question("Buy at {price}?", options).prompts(TWO)
        sk.Question("Buy?", options).prompts(TWO.assign(context="Ann."))
        sk.Question("Which?", ["{price}", "none"]).prompts(TWO)  # said by an option
        sk.Question("{question}", options).prompts(pd.DataFrame({"question": ["Buy?", "Sell?"]}))
        sk.Question("Buy?", options).prompts(TWO[:1])  # one prompt is like no other
        sk.Question("Buy?", options).prompts(pd.DataFrame(index=range(2)))
        sk.Question("Buy?", options).warn_unsaid(TWO, "You have {price}.")  # a system text


def test_errors_name_the_rows_label() -> None:
    design = pd.DataFrame({"x": ["a", "no"]}, index=[7, 9])
    with pytest.raises(ValueError, match="row 9: option 'no' stands twice"):
        sk.Question("?", ["{x}", "no"]).options_for(design)


@pytest.mark.parametrize("order", [3, "01", [0, "1"], [0, None], {0: 1}])
def test_an_order_that_is_none_is_named(order: Any) -> None:
    with pytest.raises(ValueError, match="order is"):
        sk.Question("?", ["a", "b"], template="{options}").prompts(TWO[:1], order)


@given(st.text(st.characters(codec="utf-8", exclude_characters="{}\x00"), max_size=40))
def test_design_text_is_taken_as_it_is(text: str) -> None:
    # Braces and all: what a design holds is filled in, never parsed as a template.
    question = sk.Question("Say {word}", ["a", "b"], template="{question}|{word}")
    design = pd.DataFrame({"word": [text + "{price}"]})
    assert question.prompts(design) == [f"Say {text}{{price}}|{text}{{price}}"]


# --- layouts ----------------------------------------------------------------------------------

ONE = pd.DataFrame({"price": [2.5]})


@pytest.mark.parametrize(
    ("layout", "listed", "scored"),
    [("letters", "A. yes\nB. no", ("A", "B")), ("numbers", "1. yes\n2. no", ("1", "2"))],
)
def test_labelled_options(layout: str, listed: str, scored: tuple[str, ...]) -> None:
    question = sk.Question("Buy?", ["yes", "no"], layout=layout)
    assert question.prompts(ONE) == [f"Question: Buy?\n{listed}\nAnswer:"]
    assert question.labels == scored
    assert question.answers_for(ONE) == [tuple((s,) for s in scored)]


def test_text_options_are_scored_themselves_and_listed_only_where_asked() -> None:
    plain = sk.Question("Buy?", ["yes", "no"])
    assert (plain.labels, plain.lists_options) == (None, False)
    assert plain.answers_for(ONE) == [(("yes",), ("no",))]
    listed = sk.Question("Buy?\n{options}", ["yes", "no"])  # the field may stand in the text too
    assert listed.prompts(ONE) == ["Question: Buy?\nyes\nno\nAnswer:"]
    assert listed.prompts(ONE, [1, 0]) == ["Question: Buy?\nno\nyes\nAnswer:"]
    assert listed.answers_for(ONE, [1, 0]) == [(("yes",), ("no",))]
    with pytest.raises(ValueError, match="lists no options"):
        plain.prompts(ONE, [1, 0])


def test_an_order_moves_contents_and_their_labels() -> None:
    question = sk.Question("?", ["x", "y", "z"], layout="letters", template="{options}|")
    # order[j] is the option at place j: z, x, y. So x has the label B, y has C and z has A.
    assert question.prompts(ONE, [2, 0, 1]) == ["A. z\nB. x\nC. y|"]
    assert question.answers_for(ONE, [2, 0, 1]) == [(("B",), ("C",), ("A",))]
    for bad in ([0, 1], [0, 1, 1], [1, 2, 3]):
        with pytest.raises(ValueError, match="it must be each of 0 to 2 once"):
            question.prompts(ONE, bad)
        with pytest.raises(ValueError, match="it must be each of 0 to 2 once"):
            question.answers_for(ONE, bad)


def test_listed_options_may_hold_fields() -> None:
    design = pd.DataFrame({"low": [1.0, 2.0], "high": [3.0, 4.0]})
    question = sk.Question(
        "?", ["${low:.2f}", "${high:.2f}"], layout="letters", template="{options}"
    )
    assert question.prompts(design) == ["A. $1.00\nB. $3.00", "A. $2.00\nB. $4.00"]
    assert question.prompts(design, [1, 0])[1] == "A. $4.00\nB. $2.00"


@pytest.mark.parametrize(
    ("k", "arguments", "message"),
    [
        (2, {"layout": "roman"}, "no layout 'roman'; there are: text, letters, numbers"),
        (27, {"layout": "letters"}, "27 options for layout 'letters'; there may be up to 26"),
        (10, {"layout": "numbers"}, "10 options for layout 'numbers'; there may be up to 9"),
        (2, {"layout": "letters", "template": "{question}"}, r"has the field \{options\}"),
        (2, {"template": "{question"}, "cannot be read as a template"),
        (2, {"forms": {"c": ["C"]}}, r"no scored option 'c'; there are: a0, a1"),
        (
            2,
            {"forms": {"a0": ["x"]}, "layout": "letters"},
            r"no scored option 'a0'; there are: A, B",
        ),
        (2, {"forms": {"a0": ["a1"]}}, "forms: option 'a1' stands twice"),
        (2, {"forms": {"a0": ["A0", "A0"]}}, "forms: option 'A0' stands twice"),
        (2, {"forms": {"a0": " "}}, "forms: 'a0' is ' '; it must be a list"),
        (2, {"forms": {"a0": [" "]}}, "forms: option ' ' is empty"),
    ],
)
def test_what_is_not_legal_is_named(k: int, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sk.Question("?", [f"a{i}" for i in range(k)], **arguments)  # type: ignore[arg-type]


def test_a_design_column_cannot_stand_in_for_the_list() -> None:
    question = sk.Question("?", ["a", "b"], layout="letters")
    with pytest.raises(ValueError, match="column 'options'"):
        question.prompts(pd.DataFrame({"options": ["x"]}))


def test_forms_are_filled_and_kept_apart() -> None:
    question = sk.Question("?", ["{who}", "nobody"], forms={"{who}": ["{who} does", "yes"]})
    design = pd.DataFrame({"who": ["Ann", "Bo"]})
    assert question.answers_for(design) == [
        (("Ann", "Ann does", "yes"), ("nobody",)),
        (("Bo", "Bo does", "yes"), ("nobody",)),
    ]
    with pytest.raises(ValueError, match="row 1: option 'yes' stands twice"):
        question.answers_for(design.assign(who=["Ann", "yes"]))


def test_a_question_can_be_varied_and_hashed() -> None:
    question = sk.Question("Buy?", ["yes", "no"], forms={"yes": ["Yes"]})
    assert replace(question) == question
    assert hash(replace(question)) == hash(question)
    lettered = replace(question, layout="letters", template=None, forms=None)
    assert lettered == sk.Question("Buy?", ["yes", "no"], layout="letters")
    assert question != replace(question, forms={"yes": ["YES"]})


def test_braces_are_written_twice_with_or_without_fields() -> None:
    question = sk.Question("{{x}}", ["{{a}}", "b"], template="{question}")
    assert question.prompts(ONE) == ["{x}"]
    assert question.options_for(ONE) == [["{a}", "b"]]
    assert question.answers_for(ONE) == [(("{a}",), ("b",))]
    mixed = sk.Question("{{x}} {price}", ["{{a}} {price}", "b"], template="{question}")
    assert mixed.prompts(ONE) == ["{x} 2.5"]
    assert mixed.options_for(ONE) == [["{a} 2.5", "b"]]


PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="{}\x00\n"), min_size=1, max_size=8)
OPTIONS = st.lists(PLAIN.filter(str.strip), min_size=2, max_size=9, unique=True)


@given(OPTIONS, st.data())
def test_every_order_lists_each_option_once_under_its_label(
    options: list[str], data: st.DataObject
) -> None:
    layout = data.draw(st.sampled_from(["letters", "numbers"]))
    order = data.draw(st.permutations(range(len(options))))
    question = sk.Question("?", options, layout=layout, template="{options}")
    assert question.labels is not None
    lines = question.prompts(ONE, order)[0].split("\n")
    assert lines == [f"{question.labels[j]}. {options[k]}" for j, k in enumerate(order)]
    # What is scored for option k is the label of the line that it stands in.
    for k, (label,) in enumerate(question.answers_for(ONE, order)[0]):
        assert f"{label}. {options[k]}" in lines


PARTS = ["{", "}", "{{", "}}", "{price}", "{question}", "{price:.2f}", "{price!r}", "{cost}", "x "]


@given(st.lists(st.sampled_from(PARTS), max_size=6).map("".join))
def test_templates_are_read_as_pythons_format_reads_them(template: str) -> None:
    refused = (ValueError, KeyError, IndexError, AttributeError, TypeError)
    try:
        expected = template.format_map({"price": 2.5, "question": "?"})
    except refused:  # no template, or a field that nothing fills
        with pytest.raises(ValueError):
            sk.Question("?", ["a", "b"], template=template).prompts(ONE)
        return
    assert sk.Question("?", ["a", "b"], template=template).prompts(ONE) == [expected]
