"""Reading runs: shapes, names, what is skipped, what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from simkit.estimators.shared.rows import (
    group_moments,
    number_texts,
    paired_runs,
    run_matrix,
    run_sizes,
)


def test_shapes_and_names():
    assert run_matrix([0.5, None], "belief")[0].shape == (2, 1)
    values, names = run_matrix(pd.DataFrame({"a": [0.2], "b": [0.8]}), "belief")
    assert names == ["a", "b"]
    assert values.tolist() == [[0.2, 0.8]]
    assert run_matrix([[1.0000001, 0]], "belief")[0].max() == 1  # rounding, not an error


@pytest.mark.parametrize(
    ("values", "binary", "message"),
    [
        ([0.2, 1.5], False, "belief: row 1 holds 1.5; it must be a finite number from 0 to"),
        ([[0.2, "x"]], False, r"belief\[1\]: row 0 holds 'x'"),
        (
            [[0.5, 0.5], [0.7, 0.4]],
            False,
            "row 1 holds .*; it must be a row that sums to at most 1",
        ),
        ([[0, 1], [0.5, 0.5]], True, "row 1 holds .*; it must be a row of 0 and 1"),
        ([[0, 1], [1, 1]], True, "row 1 holds .*; it must be a row that sums to at most 1"),
        (np.zeros((2, 2, 2)), False, r"shape \(2, 2, 2\)"),
        (pd.DataFrame([[0.1, 0.2]], columns=["a", "a"]), False, "they must differ"),
    ],
)
def test_bad_values(values, binary, message):
    with pytest.raises(ValueError, match=message):
        run_matrix(values, "belief", binary=binary)


def test_paired_runs_skip_and_count():
    choice = [[1, 0], [np.nan, np.nan], [0, 1], [0, 1]]
    belief = [[0.6, 0.4], [0.5, 0.5], [0.1, 0.9], [0.3, np.nan]]
    runs = paired_runs(choice, belief, pd.DataFrame({"p": [1, 1, 1, 1], "q": list("xxxx")}))
    assert runs.kept.tolist() == [0, 2]
    assert runs.notes == ("2 of 4 runs skipped: no choice or no belief",)
    assert runs.conditions == ["p=1, q=x"]


def test_paired_runs_refuse():
    with pytest.raises(
        ValueError, match="condition 'b' has 1 complete runs; it must have 2 or more"
    ):
        paired_runs([1, 0, 1], [0.5, 0.5, 0.5], ["a", "a", "b"])
    with pytest.raises(ValueError, match=r"choice has 2 runs .* belief 3"):
        paired_runs([1, 0], [0.5, 0.5, 0.5], None)
    a, b = (
        pd.DataFrame([[1, 0]], columns=["a", "b"]),
        pd.DataFrame([[0.5, 0.5]], columns=["b", "a"]),
    )
    with pytest.raises(ValueError, match=r"options \['a', 'b'\], belief 1 of \['b', 'a'\]"):
        paired_runs(a, b, None)


def test_group_moments():
    # group 0: 1, 3 -> mean 2, variance 2; group 1: 4, 4, 7 -> mean 5, variance (1 + 1 + 4) / 2 = 3
    size, mean, variance = group_moments(
        np.array([[1.0], [4], [3], [4], [7]]), np.array([0, 1, 0, 1, 1]), 2
    )
    assert size.tolist() == [2, 3]
    assert mean.ravel().tolist() == [2, 5]
    assert variance.ravel().tolist() == [2, 3]


def test_run_sizes():
    assert run_sizes(None, 60, 240).tolist() == [1, 2, 5, 10, 20, 50]
    assert run_sizes(None, 0, 3).tolist() == [1]
    assert run_sizes([9, 4], 1, 9).tolist() == [4, 9]
    for sizes in ([], [3, 3], [0, 2], [10]):
        with pytest.raises(ValueError, match="sizes"):
            run_sizes(sizes, 1, 9)


def test_numbers_that_differ_read_differently() -> None:
    assert number_texts([1.0, 2.5, 0.1]) == ["1", "2.5", "0.1"]
    # 1.2004166 and 1.2004194 are both 1.20042 in six digits; seven tell them apart
    assert number_texts([1.2004166, 1.2004194]) == ["1.200417", "1.200419"]
    assert len(set(number_texts([0.1, np.nextafter(0.1, 1)]))) == 2
    assert number_texts([3.0, 3.0]) == ["3", "3"] and number_texts([]) == []
