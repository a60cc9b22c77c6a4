"""Raking: hand-computed tables, an independent oracle, and what cannot be met."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from simkit.personas import Margin, margin_of, rake

TWO = pd.DataFrame({"a": ["x", "x", "y", "y"], "b": [1, 2, 1, 2], "weight": [4.0, 1.0, 2.0, 2.0]})


def _margins(a: float, b: float) -> list[Margin]:
    return [
        Margin("a", {"x": a, "y": 1 - a}, source="table A"),
        Margin("b", {1: b, 2: 1 - b}, source="table B"),
    ]


def test_one_iteration_by_hand() -> None:
    # Start 4 1 / 2 2, targets rows .5 .5, columns .5 .5.
    # Rows: 4/10 1/10 / 2/8 2/8 = .4 .1 / .25 .25. Columns are .65, .35, so times .5/.65 and .5/.35:
    # .4/1.3, .1/.7 / .25/1.3, .25/.7.
    with pytest.warns(UserWarning, match="did not converge in 1 iterations: margin a, value x"):
        found = rake(_margins(0.5, 0.5), TWO, max_iterations=1)
    by_hand = [0.4 / 1.3, 0.1 / 0.7, 0.25 / 1.3, 0.25 / 0.7]
    np.testing.assert_allclose(found.frame["weight"], by_hand)
    # Left over: the row x has .4/1.3 + .1/.7 = .450549 where .5 is wanted.
    assert found.largest == pytest.approx(0.5 - 0.4 / 1.3 - 0.1 / 0.7)
    assert not found.converged
    assert "DID NOT CONVERGE in 1" in repr(found)


def test_the_fit_by_hand() -> None:
    # Raking keeps the odds ratio: (4 × 2) / (1 × 2) = 4. With all margins .5 the table is
    # p, .5 - p / .5 - p, p with (p / (.5 - p))^2 = 4, so p = 2 (.5 - p) and p = 1/3.
    found = rake(_margins(0.5, 0.5), TWO, tolerance=1e-12)
    np.testing.assert_allclose(found.frame["weight"], [1 / 3, 1 / 6, 1 / 6, 1 / 3], atol=1e-11)
    assert found.converged
    assert found.iterations == len(found.history) > 3
    assert list(found.history) == sorted(found.history, reverse=True)
    # (sum w)^2 / sum w^2 = 1 / (2/9 + 2/36) = 3.6
    assert found.effective_n == pytest.approx(3.6)
    report = found.report.set_index(["margin", "value"])
    assert report.loc[("a", "x"), "start"] == pytest.approx(5 / 9)
    assert report.loc[("a", "x"), "target"] == report.loc[("b", "1"), "achieved"] == 0.5
    assert set(report["source"]) == {"table A", "table B"}
    assert "table A" in found.summary()


def test_from_nothing_the_margins_are_independent() -> None:
    found = rake([
        Margin("a", {"x": 30, "y": 70}, source="s", unit="percent"),
        Margin("b", {1: 10, 2: 20, 3: 70}, source="s", unit="count"),
    ])  # fmt: skip
    assert found.iterations == 1
    table = found.frame.pivot(index="a", columns="b", values="weight").to_numpy()
    np.testing.assert_allclose(table, np.outer([0.3, 0.7], [0.1, 0.2, 0.7]))


def test_the_fit_is_the_log_linear_model_of_statsmodels() -> None:
    # A table with the wanted margins, fitted by log-linear main effects with the start as offset,
    # has those margins and the start's interactions: the raked table. Axes of 2, 3 and 5 values.
    rng = np.random.default_rng(7)
    cells = list(itertools.product("xy", range(3), range(5)))
    frame = pd.DataFrame(cells, columns=["a", "b", "c"])
    frame["start"], truth = rng.gamma(2.0, size=30), rng.gamma(2.0, size=30)
    target = frame.assign(weight=truth / truth.sum())
    asked = [margin_of(target, v, source="truth") for v in ("a", ["b", "c"])]
    found = rake(asked, frame, weight="start", tolerance=1e-12)
    pair = frame["b"].astype(str) + frame["c"].astype(str)
    dummies = pd.get_dummies(pd.DataFrame({"a": frame["a"], "bc": pair}), drop_first=True)
    design = sm.add_constant(dummies.astype(float))
    model = sm.GLM(target["weight"], design, sm.families.Poisson(), offset=np.log(frame["start"]))
    np.testing.assert_allclose(found.frame["weight"], model.fit(tol=1e-14).mu, atol=1e-9)
    assert found.variables == ("a", "b", "c")
    assert list(found.frame) == ["a", "b", "c", "weight"]


@given(
    st.lists(st.floats(0.05, 1), min_size=3, max_size=3),
    st.lists(st.floats(0.05, 1), min_size=4, max_size=4),
    st.integers(0, 99),
)
def test_margins_are_met(rows: list[float], columns: list[float], seed: int) -> None:
    w = np.random.default_rng(seed).uniform(0.1, 1, 12)
    people = pd.DataFrame({"r": np.repeat(range(3), 4), "c": np.tile(range(4), 3), "weight": w})
    found = rake(
        [Margin("r", dict(enumerate(rows)), source="s", unit="count"),
         Margin("c", dict(enumerate(columns)), source="s", unit="count")],
        people,
    )  # fmt: skip
    assert found.converged
    for name, shares in (("r", rows), ("c", columns)):
        met = found.frame.groupby(name)["weight"].sum()
        np.testing.assert_allclose(met, np.array(shares) / sum(shares), atol=2e-6)


def test_weights_and_tolerance_and_further_columns_count() -> None:
    people = TWO.assign(answer=[1, 2, 3, 4])
    weighted = rake(_margins(0.5, 0.5), people)
    plain = rake(_margins(0.5, 0.5), people.drop(columns="weight"), weight=None)
    np.testing.assert_allclose(plain.frame["weight"], 0.25)
    assert abs(weighted.frame["weight"] - 0.25).max() > 0.05
    assert list(weighted.frame["answer"]) == [1, 2, 3, 4]
    assert rake(_margins(0.5, 0.5), TWO, tolerance=0.02).iterations < weighted.iterations


def test_a_value_that_nobody_has_is_named() -> None:
    lost = TWO[TWO["b"] == 1]
    with pytest.raises(ValueError, match=r"margin b: value '2' has share 0\.4, but no row"):
        rake(_margins(0.5, 0.6), lost)
    with pytest.raises(ValueError, match="margin b: value '2'"):
        rake(_margins(0.5, 0.6), TWO.assign(weight=[1, 0, 1, 0]))
    # Only y has b = 2, and y is ruled out.
    with pytest.raises(ValueError, match="margin b: value '2'"):
        rake(_margins(1.0, 0.6), TWO.drop(index=1))


def test_a_share_of_zero_rules_rows_out() -> None:
    found = rake(_margins(1.0, 0.25), TWO)
    np.testing.assert_allclose(found.frame["weight"], [0.25, 0.75, 0, 0], atol=1e-9)


def test_contradictory_margins_are_named() -> None:
    joint = Margin(
        ("a", "b"), {("x", 1): 0.2, ("x", 2): 0.3, ("y", 1): 0.25, ("y", 2): 0.25}, source="J"
    )
    with pytest.raises(ValueError, match=r"a \(table A\) and a × b \(J\).*a = x has share 0.51 in"):
        rake([_margins(0.51, 0.5)[0], joint], TWO)
    rounded = rake([_margins(0.51, 0.5)[0], joint], TWO, tolerance=0.011)
    assert rounded.converged
    assert rounded.largest == pytest.approx(0.01)
    with pytest.raises(ValueError, match="margin a is there twice"):
        rake([_margins(0.5, 0.5)[0], _margins(0.6, 0.5)[0]])


def test_margins_that_no_table_has_do_not_converge() -> None:
    # Only (x, 1) and (y, 2) exist, so the shares of x and 1 must be equal.
    two = TWO[[True, False, False, True]]
    with pytest.warns(UserWarning, match=r"margin a, value x, has 0\.6\d* where 0\.5"):
        found = rake(_margins(0.5, 0.6), two, max_iterations=50)
    assert found.iterations == 50
    assert not found.converged
    assert found.largest == pytest.approx(0.1)
    assert found.frame["weight"].sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": ["x", "z", "y", "y"]}, "margin a: row 1 holds 'z'; it must be one of x, y"),
        (
            {"a": ["x", None, "y", "y"]},
            "margin a: row 1 holds '(nan|None)'; it must be one of x, y; drop or fill",
        ),
        ({"weight": [1, -1, 1, 1]}, "weight: row 1 holds -1"),
    ],
)
def test_bad_rows_are_named(change: dict[str, list[object]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rake(_margins(0.5, 0.5), TWO.assign(**change))


def test_bad_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="no column 'b'; there are: a, weight"):
        rake(_margins(0.5, 0.5), TWO[["a", "weight"]])
    with pytest.raises(ValueError, match="column 'weight', which raking writes"):
        rake(_margins(0.5, 0.5), TWO, weight=None)
    with pytest.raises(ValueError, match="no margins"):
        rake([])
    wide = [Margin(f"v{i}", dict.fromkeys(range(40), 1), source="s", unit="count") for i in "abcd"]
    with pytest.raises(ValueError, match="2560000 combinations of va, vb, vc, vd"):
        rake(wide)


@pytest.mark.parametrize(
    ("variables", "shares", "how", "message"),
    [
        ("a", {"x": 0.5, "y": 0.4}, {}, "margin a: the numbers sum to 0.9; it must be 1 for unit"),
        ("a", {"x": 0.5, "y": 0.5}, {"unit": "percent"}, "sum to 1; it must be 100"),
        ("a", {"x": 0.5, "y": 0.5}, {"unit": "pints"}, "no unit 'pints'"),
        ("a", {"x": 1.5, "y": -0.5}, {}, r"a: row .* holds -0.5"),
        ("a", {"x": 1.0}, {"source": " "}, "margin a: source is ' '; it must be a citation"),
        (
            ("a", "b"),
            {("x",): 1.0},
            {},
            r"margin a × b: a key is \('x',\); it must be 2 values, none of them missing",
        ),
        ("a", {"x": 0.0}, {"unit": "count"}, "sum to 0; it must be more than 0"),
    ],
)
def test_bad_margins_are_refused(
    variables: object, shares: dict[object, float], how: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Margin(variables, shares, **{"source": "s", **how})


def test_rounded_shares_are_made_to_sum_to_one() -> None:
    margin = Margin("a", {"x": 33.3, "y": 33.3, "z": 33.3}, source="s", unit="percent")
    assert margin.total == pytest.approx(99.9)
    assert margin.shares[("x",)] == pytest.approx(1 / 3)


def test_a_source_is_required() -> None:
    with pytest.raises(TypeError, match="source"):
        Margin("a", {"x": 1.0})  # type: ignore[call-arg]


def test_margin_of_is_weighted() -> None:
    assert margin_of(TWO, "a", source="s").shares == {("x",): 5 / 9, ("y",): 4 / 9}
    assert margin_of(TWO, "a", weight=None, source="s").shares[("x",)] == 0.5
    both = margin_of(TWO, ["a", "b"], source="s")
    assert both.shares[("x", 1)] == 4 / 9
    assert both.collapsed(["b"]) == {(1,): pytest.approx(6 / 9), (2,): pytest.approx(3 / 9)}
