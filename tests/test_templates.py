"""The one rule by which a value becomes text, whatever column it stands in."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simkit as sk
from simkit.questions import fill
from simkit.templates import check_text, fill_one, is_missing, text_of
from simkit.training import examples

WHOLE = [34, 5, 0, -7]
IN_COLUMNS = {
    "int64": pd.Series(WHOLE),
    "int8": pd.Series(WHOLE, dtype="int8"),
    "float64": pd.Series(WHOLE, dtype=float),
    "float32": pd.Series(WHOLE, dtype="float32"),
    "a missing value dropped": pd.Series([*WHOLE, None]).dropna(),
    "nullable": pd.Series(WHOLE, dtype="Int64"),
    "nullable float": pd.Series(WHOLE, dtype="Float32"),
    "objects": pd.Series([34, np.int16(5), np.float32(0), Decimal("-7.00")], dtype=object),
    "categorical": pd.Series(pd.Categorical(WHOLE)),
    "categorical of floats": pd.Series(pd.Categorical([float(x) for x in WHOLE])),
    "sparse": pd.Series(pd.arrays.SparseArray(WHOLE)),
    "arrow": pd.Series(WHOLE, dtype=pd.ArrowDtype(pa.int32())),
    "arrow float": pd.Series(WHOLE, dtype=pd.ArrowDtype(pa.float32())),
    "arrow decimal": pd.Series(
        [Decimal(x) for x in WHOLE], dtype=pd.ArrowDtype(pa.decimal128(9, 2))
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", IN_COLUMNS)
def test_a_whole_number_reads_the_same_in_every_column(kind: str) -> None:
    design = pd.DataFrame({"n": IN_COLUMNS[kind]})
    assert fill("{n}", design) == ["34", "5", "0", "-7"]
    assert fill("{n:d} {n:.2f} {n:,}", design)[0] == "34 34.00 34"
    assert sk.describe(design, {"n": "It is {n}."}).iloc[0] == "It is 34."


TENTHS = {
    **{name: pd.Series([0.1, 2.5], dtype=name) for name in ("float64", "float32", "Float32")},
    "float16": pd.Series(np.array([0.1, 2.5], dtype="float16")),
    "arrow": pd.Series([0.1, 2.5], dtype=pd.ArrowDtype(pa.float32())),
    "categorical": pd.Series(pd.Categorical(np.array([0.1, 2.5], dtype="float32"))),
    "objects": pd.Series([np.float32(0.1), Decimal("2.50")], dtype=object),
    "arrow dictionary": pd.Series(
        pd.arrays.ArrowExtensionArray(
            pa.chunked_array([pa.array([0.1, 2.5], pa.float32()).dictionary_encode()])
        )
    ),
}


@pytest.mark.parametrize("kind", TENTHS)
def test_a_number_is_the_shortest_at_its_own_precision(kind: str) -> None:
    assert fill("{x}", pd.DataFrame({"x": TENTHS[kind]})) == ["0.1", "2.5"]
    assert fill("{x:.9f}", pd.DataFrame({"x": TENTHS[kind]})) == ["0.100000000", "2.500000000"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is ", "as it is "), ("nan", "nan"), ("None", "None"), ("{a}", "{a}"),
        (True, "True"), (np.bool_(False), "False"),
        (1e6, "1000000"), (1e16, "10000000000000000"), (1e23, "1" + "0" * 23), (1e-7, "0.0000001"),
        (2**70, str(2**70)), (-0.0, "0"), (123456789.25, "123456789.25"),
        (dt.date(2026, 3, 1), "2026-03-01"), (dt.datetime(2026, 3, 1), "2026-03-01"),
        (pd.Timestamp("2026-03-01"), "2026-03-01"), (np.datetime64("2026-03-01"), "2026-03-01"),
        (pd.Timestamp("2026-03-01 14:30"), "2026-03-01 14:30:00"),
        (pd.Timestamp("2026-03-01", tz="UTC"), "2026-03-01 00:00:00+00:00"),
        (dt.time(14, 30), "14:30:00"), (pd.Period("2026-03"), "2026-03"),
    ],
)  # fmt: skip
def test_what_a_value_reads(value: Any, text: str) -> None:
    assert text_of(value) == text
    assert fill("<{v}>", pd.DataFrame({"v": pd.Series([value], dtype=object)})) == [f"<{text}>"]


def test_dates_read_alike_in_date_and_time_columns() -> None:
    day = dt.date(2026, 3, 1)
    for column in (
        pd.Series([day], dtype=object),
        pd.Series([day], dtype="datetime64[ns]"),
        pd.Series([day], dtype=pd.ArrowDtype(pa.date32())),
        pd.Series([day], dtype=pd.ArrowDtype(pa.timestamp("us"))),
        pd.Series(pd.Categorical([pd.Timestamp(day)])),
    ):
        assert fill("{d}", pd.DataFrame({"d": column})) == ["2026-03-01"]
        assert fill("{d:%d.%m.%y}", pd.DataFrame({"d": column})) == ["01.03.26"]


@pytest.mark.parametrize(
    ("template", "value", "text"),
    [
        ("{v:.2f}", 3, "3.00"), ("{v:.0%}", 0.25, "25%"), ("{v:>6}", "ab", "    ab"),
        ("{v:>6}", True, "  True"), ("{v:d}", True, "1"), ("{v:+}", 2.0, "+2"),
        ("{v:.3}", 2.0, "2.0"),
        ("{v!r}", "a'b", '"a\'b"'), ("{v!r}", 2.5, "2.5"), ("{v!s:>4}", 2.0, "   2"),
        ("{{{v}}}", 1.0, "{1}"),
    ],
)  # fmt: skip
def test_formats_and_conversions(template: str, value: Any, text: str) -> None:
    assert fill(template, pd.DataFrame({"v": [value]})) == [text]


MISSING = {
    "float": pd.Series([1.5, None]),
    "objects": pd.Series(["a", None], dtype=object),
    "text": pd.Series(["a", None], dtype="str"),
    "categorical": pd.Series(pd.Categorical(["a", None])),
    "nullable": pd.Series([1, None], dtype="Int64"),
    "bool": pd.Series([True, None], dtype="boolean"),
    "dates": pd.Series(pd.to_datetime(["2026-03-01", None])),
    "arrow": pd.Series(["a", None], dtype=pd.ArrowDtype(pa.string())),
    "arrow float": pd.Series([1.5, None], dtype=pd.ArrowDtype(pa.float32())),
    "decimal": pd.Series([Decimal(1), Decimal("NaN")], dtype=object),
}


@pytest.mark.parametrize("kind", MISSING)
def test_what_is_missing_is_named_wherever_a_field_is_filled(kind: str) -> None:
    column = MISSING[kind].set_axis(["r1", "r2"])
    design = pd.DataFrame({"age": column, "survey": "A survey."})
    yes = {"options": ["yes", "no"]}
    named = "row 'r2': 'age' is .*; drop the row, or describe the column with simkit.describe"
    for call in (
        lambda: fill("Aged {age}", design),
        lambda: sk.Question("Aged {age}?", **yes).prompts(design),
        lambda: sk.Question("?", **yes, template="{age}{question}").prompts(design),
        lambda: sk.Question("?", ["{age}", "no"]).options_for(design),
        lambda: sk.Question("?", ["{age}", "no"], layout="letters").prompts(design),
        lambda: sk.Question("?", **yes, forms={"yes": ["{age}"]}).answers_for(design),
        lambda: sk.describe(design, {"survey": ["A man of {age}."]}),
    ):
        with pytest.raises(ValueError, match=named):
            call()
    # With the row dropped it is asked; `describe` leaves the attribute out.
    assert len(fill("Aged {age}", design.dropna())) == 1
    told = sk.describe(design, {"survey": "S.", "age": "Age {age}."})
    assert told["r2"] == "S." and told["r1"].startswith("S. Age ")


@pytest.mark.parametrize(
    "value",
    [
        [1, 2], {"a": 1}, b"x", (1,), np.inf, -np.inf, object(), 1 + 2j, Fraction(1, 3),
        np.timedelta64(86_400_000_000_000, "ns"),
    ],
)  # fmt: skip
def test_what_has_no_text_is_refused(value: Any) -> None:
    design = pd.DataFrame({"v": pd.Series(["fine", value], dtype=object)})
    with pytest.raises(ValueError, match=r"row 1: 'It is \{v\}\.' cannot be filled: 'v': "):
        fill("It is {v}.", design)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{price.real}", "a field is the name of a column"),
        ("{price[3]}", "a field is the name of a column"),
        ("{price.__class__.__mro__}", "a field is the name of a column, without"),
        ("{price:{width}}", "its format must not hold a field"),
        ("{price:.{places}f}", "its format must not hold a field"),
        ("{}", "it has no name"),
        ("{price!x}", "there is no conversion !x"),
        ("{price:>1000000000}", "1,000 places or more"),
        ("{price", "cannot be read as a template"),
        ("\ud800 {price}", "half of a surrogate pair"),
    ],
)
def test_a_field_is_a_name_and_not_a_program(template: str, why: str) -> None:
    design = pd.DataFrame({"price": [2.5], "width": [9], "places": [1]})
    for call in (
        lambda: fill(template, design),
        lambda: sk.Question(template, ["yes", "no"]),
        lambda: sk.Question("?", ["yes", "no"], template=template),
        lambda: sk.Question("?", [f"a{template}", "no"]),
        lambda: sk.Question("?", ["yes", "no"], forms={"yes": [f"a{template}"]}),
        lambda: sk.describe(design, {"price": ["fine {price}", template]}),
        lambda: sk.personas.Item("q", None, template),
    ):
        with pytest.raises(ValueError, match=why):
            call()


def test_a_column_named_with_a_dot_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"field \{a\.b\} in '\{a\.b\}': a field is the name"):
        fill("{a.b}", pd.DataFrame({"a.b": [1]}))


def test_surrogates_are_named_by_row() -> None:
    design = pd.DataFrame({"who": pd.Series(["Ann", "B\udc80"], dtype=object)})
    with pytest.raises(ValueError, match=r"row 1: .*'who'.*'\\udc80', half of a surrogate pair"):
        fill("{who}", design)
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        sk.Question("?", ["a\ud800", "b"])
    assert check_text("𝔊") == "𝔊"


# --- anything at all

VALUES = st.one_of(
    st.text(max_size=6), st.integers(), st.floats(), st.booleans(), st.none(), st.dates(),
    st.datetimes(), st.times(), st.decimals(allow_nan=True), st.binary(max_size=3),
    st.sampled_from([pd.NA, pd.NaT, np.float32("nan"), np.float32(0.1), np.datetime64("NaT")]),
    st.lists(st.none(), max_size=2),
)  # fmt: skip
TEMPLATES = st.one_of(
    st.text(max_size=12),
    st.lists(
        st.sampled_from(["{v}", "{v:.2f}", "{v!r}", "{v:>5}", "{{", "}}", "{", "}", "{w}", "{v.x}",
                         "{v[0]}", "{v:{w}}", "text ", ":", "!"]),
        max_size=5,
    ).map("".join),
)  # fmt: skip


@given(TEMPLATES, st.lists(VALUES, max_size=4))
def test_anything_is_filled_or_refused_and_nothing_missing_is_said(
    template: str, values: list[Any]
) -> None:
    design = pd.DataFrame({"v": pd.Series(values, dtype=object)})
    try:
        texts = fill(template, design)
    except ValueError:
        return
    assert len(texts) == len(values)
    bare = template.replace("{{", "").replace("}}", "")
    for value, text in zip(values, texts, strict=True):
        assert text == text.encode().decode()
        if "{v" in bare:
            assert not is_missing(value)
            if not isinstance(value, str):
                left = text.replace("text ", "")
                assert not any(word in left for word in ("nan", "None", "NaT", "<NA>", "inf"))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_number_reads_back_as_the_number(x: float) -> None:
    text = text_of(x)
    assert float(text) == x
    assert set(text) <= set("-.0123456789")
    assert not text.endswith((".0", "."))
    # The same number in any wider type, and no shorter text of it by a digit.
    assert text_of(np.float64(x)) == text == fill_one("{x}", {"x": x}, 0)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_text_of_a_float32_reads_back_as_the_float32(x: float) -> None:
    assert np.float32(text_of(np.float32(x))) == np.float32(x)
    assert len(text_of(np.float32(x))) <= len(text_of(x))


# --- the places that fill a template besides those above


class Talker:
    """A tokenizer with the plainest chat template, and the model that has it."""

    name, chat_template, added_tokens_decoder = "talker", "{{ messages }}", {}

    @property
    def tokenizer(self) -> Talker:
        return self

    def scores(self, prompts: Any, options: Any) -> Any:
        raise NotImplementedError

    def get_chat_template(self) -> str:
        return self.chat_template

    def apply_chat_template(self, talks: Any, **_: Any) -> Any:
        many = isinstance(talks[0], list)
        texts = [
            "\n".join(turn["content"] for turn in talk) for talk in (talks if many else [talks])
        ]
        return texts if many else texts[0]


def test_system_texts_are_filled_by_the_rule() -> None:
    chat = sk.Chat("You are {age}.", prefix="")
    design = pd.DataFrame({"age": [34.0, None]}, index=["r1", "r2"])
    talker: Any = Talker()
    (told,) = sk.scoring.chat_prompts(talker, ["Well?"], chat, design[:1])
    assert told.rstrip() == "You are 34.\nWell?"
    with pytest.raises(ValueError, match=r"row 'r2': 'age' is nan, and 'You are \{age\}\.' needs"):
        sk.scoring.chat_prompts(talker, ["Well?", "Well?"], chat, design)


def test_training_examples_are_filled_by_the_rule() -> None:
    ask = {"buys": sk.Question("Aged {age}, buys?", ["34", "0.1"])}
    design = pd.DataFrame({"age": [34.0, 0.1], "buys": [34.0, 0.1]})
    for dtype in ("float64", "float32", "Float32"):
        table = examples(design.astype(dtype), ask)
        assert table["prompt"].tolist() == [
            f"Question: Aged {age}, buys?\nAnswer:" for age in ("34", "0.1")
        ]
        assert table["option"].tolist() == ["34", "0.1"]
    with pytest.raises(ValueError, match="row 1: 'age' is nan"):
        examples(design.assign(age=[34, None]), ask)
