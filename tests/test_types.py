"""Seeds and column checks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.types import (
    check_labels,
    column,
    generator,
    integer,
    labels,
    one_of,
    scalar,
    usable_rows,
)  # fmt: skip


def draw(*args):
    return generator(*args).integers(2**60)


def test_streams_are_fixed_and_apart():
    assert draw(7, "price", 3) == draw(7, "price", 3)
    streams = [(7,), (8,), (7, "price"), (7, "price", 3), (7, "price", "3"), (7, "price", 4)]
    assert len({draw(*s) for s in streams}) == len(streams)
    assert draw(np.int64(7), "price") == draw(7, "price")


def test_no_string_joining_and_no_global_state():
    assert draw(1, "ab", "c") != draw(1, "a", "bc")
    before = np.random.get_state()[1].copy()
    generator(1, "x").random(5)
    assert (np.random.get_state()[1] == before).all()


def test_a_generator_is_itself_and_other_seeds_are_refused():
    own = np.random.default_rng(0)
    assert generator(own) is own
    with pytest.raises(TypeError, match="no reproducible children"):
        generator(own, "x")
    for bad in (1.5, True, "1", None):
        with pytest.raises(TypeError):
            generator(bad)


@pytest.mark.parametrize(
    "values",
    [[1, 2.5], np.array([1, 2.5]), pd.Series([1, 2.5]), (np.float32(1), 2.5),
     pd.Series([1, 2.5], dtype="Float64"), pd.Series([1, 2.5], dtype=object),
     pd.Categorical([1, 2.5])],
)  # fmt: skip
def test_column_reads_numbers_however_they_are_kept(values):
    out = column(values, "x")
    assert out.dtype == np.float64
    np.testing.assert_array_equal(out, [1, 2.5])


def test_column_missing():
    out = column([True, None, np.nan, pd.NA, 0], "x", missing=True)
    np.testing.assert_array_equal(out, [1, np.nan, np.nan, np.nan, 0])
    with pytest.raises(ValueError, match=r"x: row 1 holds None; it must be a finite number"):
        column([1, None], "x")


good = st.floats(0, 1)
bad = st.one_of(
    st.floats(allow_nan=False).filter(lambda v: not 0 <= v <= 1),
    st.text(max_size=5),
    st.just(float("nan")),
    st.none(),
    st.datetimes(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(good, max_size=6), bad, st.lists(good, max_size=6))
def test_column_names_the_first_bad_row_and_value(before, value, after):
    series = pd.Series([*before, value, *after], dtype=object)
    series.index = [f"r{i}" for i in range(len(series))]
    with pytest.raises(ValueError) as caught:
        column(series, "buys", low=0, high=1)
    text = str(caught.value)
    assert text.startswith(f"buys: row 'r{len(before)}' holds {series.iloc[len(before)]!r};")
    assert "from 0 to 1" in text


def test_column_shape_errors():
    with pytest.raises(ValueError, match="2 dimensions; it must have one"):
        column(np.ones((2, 3)), "x")
    with pytest.raises(ValueError, match="x has 2 rows; it must have 3"):
        column([1, 2], "x", rows=3)


def test_labels():
    codes, keys = labels(["b", "a", "b"], "group", 3)
    assert codes.tolist() == [0, 1, 0]
    assert keys["group"].tolist() == ["b", "a"]
    frame = pd.DataFrame({"product": ["x", "x", "y"], "wording": [1, 2, 1]}, index=[9, 9, 9])
    codes, keys = labels(frame, "cluster", 3)
    assert codes.tolist() == [0, 1, 2]
    assert keys.columns.tolist() == ["product", "wording"]
    assert labels(pd.Series(["q"], name="wording"), "cluster", 1)[1].columns.tolist() == ["wording"]
    with pytest.raises(ValueError, match="cluster: row 1 has no label"):
        labels(["a", None], "cluster", 2)
    with pytest.raises(ValueError, match="cluster has 2 rows; it must have 4"):
        labels(["a", "b"], "cluster", 4)


def test_usable_rows_counts_what_it_leaves_out():
    rows = usable_rows(np.array([0.1, np.nan, 0.3, 0.4]), [1, 1, 0, 2], ["a", "b", "c", "d"])
    assert rows.kept.tolist() == [0, 3]
    assert rows.cluster[rows.kept].tolist() == [0, 1]
    assert rows.notes == ("1 of 4 rows skipped: no outcome", "1 of 4 rows weigh 0")
    with pytest.raises(ValueError, match="no row to use: all 1"):
        usable_rows(np.array([0.5]), [0], None)
    with pytest.raises(ValueError, match="weights: row 0 holds -1"):
        usable_rows(np.array([0.5]), [-1], None)


@pytest.mark.parametrize("value", [[1], {"a": 1}, ([1],), object(), "half \ud800", 1j])
def test_what_cannot_be_a_label_is_named_with_its_row(value):
    frame = pd.DataFrame({"sex": pd.Series(["m", value], index=["p", "q"], dtype=object)})
    with pytest.raises(ValueError, match="the people, column 'sex': row 'q' holds"):
        check_labels(frame, "the people")
    kept = ["m", 2, None, pd.NaT, (1, "a"), pd.Interval(0, 1), pd.Timestamp("2026-03-01")]
    check_labels(pd.DataFrame({"sex": pd.Series(kept, dtype=object)}), "the people")


@pytest.mark.parametrize(
    "value", [None, pd.NA, np.nan, np.inf, 10**400, "1", True, [1], np.array(1.0), pd.Series([1.0])]
)
def test_one_number_is_one_number(value):
    with pytest.raises(ValueError, match=r"width is .*; it must be a number from 0 to 2"):
        scalar(value, "width", 0, 2)
    with pytest.raises(ValueError, match=r"steps is .*; it must be a whole number from 1 to 9"):
        integer(value, "steps", 1, 9)
    with pytest.raises(ValueError, match=r"no level .*; there are: low, high"):
        one_of(value, "level", ("low", "high"))


def test_numbers_and_names_pass():
    assert (scalar(np.float32(0.5), "width", 0, 2), scalar(2, "width", 0, 2)) == (0.5, 2.0)
    assert integer(np.int64(3), "steps", 1, 9) == 3
    assert one_of("high", "level", ("low", "high")) == "high"
    with pytest.raises(ValueError, match=r"steps is 2\.0"):
        integer(2.0, "steps")
