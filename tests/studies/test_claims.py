"""Claims by hand: differences of intervals, families of p values, verdicts."""

import numpy as np
import pandas as pd
import pytest

from simkit.studies import claims


def test_a_difference_holds_all_that_two_intervals_allow():
    before = {"estimate": 4.0, "low": 3.0, "high": 6.0}
    after = {"estimate": 1.0, "low": 0.5, "high": 2.0}
    # 1 - 4, from 0.5 - 6 to 2 - 3; of half of before: 1 - 2, from 0.5 - 3 to 2 - 1.5
    assert claims.difference(after, before) == {"estimate": -3.0, "low": -5.5, "high": -1.0}
    assert claims.difference(after, before, 0.5) == {"estimate": -1.0, "low": -2.5, "high": 0.5}
    row = pd.Series({"kept": 0.2, "kept_low": 0.1, "kept_high": 0.3})
    assert claims.ends(row, "kept") == {"estimate": 0.2, "low": 0.1, "high": 0.3}


def test_means_have_t_intervals():
    values = pd.Series([1.0, 3.0, 5.0], index=["two", "two", "one"])
    found = claims.mean_ends(values.groupby(level=0))
    # 1 and 3: mean 2, standard error 1, t(1) 12.706; p = 1 - 2 atan(2)/pi = 0.2952
    assert found.loc["two"].tolist() == pytest.approx([2, 2 - 12.706, 2 + 12.706, 0.2952], abs=1e-3)
    assert found.loc["one", "estimate"] == 5 and np.isnan(found.loc["one", "low"])


def test_holm_by_hand():
    # sorted 0.01, 0.02, 0.04: times 3, 2, 1 = 0.03, 0.04, 0.04; NaN is no member of the family
    found = claims.holm(pd.Series([0.04, np.nan, 0.01, 0.02]))
    assert found.dropna().tolist() == pytest.approx([0.04, 0.03, 0.04]) and np.isnan(found[1])


def test_claims_of_one_family_are_judged_together():
    table = pd.DataFrame({
        "measure": ["a", "a", "b", "b"], "estimate": [-1.0, 0.2, 0.3, -2.0],
        "low": -3.0, "high": 3.0,
        "margin": [0.0, 0.0, 0.5, 0.0], "p": [0.001, 0.004, np.nan, 0.001],
        "mass": [1.0, 1.0, 1.0, 0.4],
    })  # fmt: skip
    found = claims.judged(table.iloc[:2], table.iloc[2:])
    # sorted 0.001, 0.001, 0.004, 1: times 4, 3, 2, 1; the last claim rests on too little mass
    assert found["p_holm"].tolist() == pytest.approx([0.004, 0.008, 1.0, 0.004])
    assert found["verdict"].tolist() == [True, False, None, None]
    assert found["shown"][0] == "-1 [-3, +3]"
    counts = claims.tally(found)
    assert counts.loc["a"].tolist() == [1, 1, 0] and counts.loc["b"].tolist() == [0, 0, 2]


def test_within_a_margin_by_tests_against_its_end():
    table = pd.DataFrame({"estimate": [0.0, 3.1, -9.0], "std_error": 1.0, "df": 50})
    # |t| = 3, 0.1 and 6 from the margin 3
    assert claims.within_margin(table, 3) == [True, None, False]
