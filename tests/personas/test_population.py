"""Draws: chances, margins, strata, and the sampling plan."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.personas import Margin, draw, rake, sampling_plan
from simkit.worlds import survey

PEOPLE = survey.profiles()  # 216 cells, axes of 4, 2, 3, 3 and 3 values
FIVE = pd.DataFrame({"who": list("abcde"), "weight": [8.0, 4.0, 2.0, 1.0, 1.0]})


def test_systematic_draws_are_floor_or_ceiling_of_the_expectation() -> None:
    # 8 of 16: expected 4, 2, 1, .5, .5.
    for seed in range(20):
        count = draw(FIVE, 8, seed=seed)["who"].value_counts()
        assert (count["a"], count["b"], count["c"]) == (4, 2, 1)
        assert count.get("d", 0) + count.get("e", 0) == 1


@pytest.mark.parametrize("replace", [True, False])
def test_chances_are_proportional_to_weight(replace: bool) -> None:
    # Without replacement, 2 of 16: a has 2 × 8/16 = 1 and is certain; the others share one place
    # by 4 : 2 : 1 : 1. With replacement the expected numbers are the same: 1, .5, .25, .125, .125.
    total = pd.Series(0.0, list("abcde"))
    for seed in range(200):
        people = draw(FIVE, 2, replace=replace, seed=seed)
        total = total.add(people["who"].value_counts(), fill_value=0)
        assert people["weight"].tolist() == pytest.approx([1, 1])
    se = np.sqrt(0.25 * 2 / 200)
    np.testing.assert_allclose(total / 200, [1, 0.5, 0.25, 0.125, 0.125], atol=4 * se)


def test_certain_rows_weigh_more() -> None:
    # 3 of 16 without replacement: a would have 1.5, is certain; then b has 2 × 4/8 = 1, certain;
    # one place is left for c, d, e (2, 1, 1). Weights w / chance: 8, 4, and 2 / .5 = 1 / .25 = 4:
    # 16 over 3 people, so in units of mean 1: 1.5, .75, .75.
    people = draw(FIVE, 3, replace=False, seed=4).sort_values("weight")
    assert people["who"].iloc[-1] == "a"
    assert people["weight"].tolist() == pytest.approx([0.75, 0.75, 1.5])
    everybody = draw(FIVE, 5, replace=False).set_index("who")["weight"]
    np.testing.assert_allclose(everybody[list("abcde")], FIVE["weight"] * 5 / 16)


@given(st.integers(1, 90), st.integers(0, 10_000))
def test_the_first_margin_is_within_one_person(n: int, seed: int) -> None:
    people = draw(PEOPLE, n, by=["education", "age"], seed=seed)
    target = PEOPLE.groupby("education")["weight"].sum()
    count = people["education"].value_counts().reindex(target.index, fill_value=0)
    assert (abs(count - n * target) < 1 + 1e-6).all()
    assert people["weight"].tolist() == pytest.approx([1.0] * n)
    assert people["person"].tolist() == list(range(n))


def test_systematic_beats_independent_draws_on_every_margin() -> None:
    plans = [sampling_plan(PEOPLE, 120, seed=s).frame for s in range(12)]
    squares = [f.assign(d=f["deviation"] ** 2).groupby("margin")["d"].sum() for f in plans]
    line = pd.concat(squares, axis=1).mean(axis=1)
    chance = plans[0].assign(d=plans[0]["by_chance"] ** 2).groupby("margin")["d"].sum()
    # Columns of `PEOPLE` stand in line in their order: the first gain most, the last the least.
    assert (line < 0.8 * chance).all()
    for name in ("age", "gender", "education"):
        assert line[name] < 0.1 * chance[name]


def test_order_in_line_decides_which_margins_are_closest() -> None:
    first = sampling_plan(PEOPLE, 60, by=["income", "age"], margins=["income"], seed=3)
    last = sampling_plan(PEOPLE, 60, by=["age", "gender"], margins=["income"], seed=3)
    assert first.largest <= 1 / 60 < last.largest


def test_seeds_and_row_order() -> None:
    one, two = draw(PEOPLE, 30, seed=1), draw(PEOPLE, 30, seed=1)
    pd.testing.assert_frame_equal(one, two)
    assert not one.equals(draw(PEOPLE, 30, seed=2))
    assert not one["age"].is_monotonic_increasing  # shuffled, so the first ten are no one group
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    draw(PEOPLE, 5)
    assert (np.random.get_state()[1] == before).all()


def test_the_source_is_kept() -> None:
    people = draw(FIVE.set_index(pd.Index(list("vwxyz"))), 8)
    assert set(people["source"]) <= set("vwxyz")
    ids = draw(FIVE.assign(person=[11, 12, 13, 14, 15]), 8)
    assert (ids["who"] == ids["source"].map(dict(zip(range(11, 16), "abcde", strict=True)))).all()
    assert list(ids) == ["person", "source", "who", "weight"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"n": 0}, "n is 0"),
        ({"n": 6, "replace": False}, "6 of 5 rows without replacement"),
        ({"weight": "heft"}, "column 'weight', which draw writes"),
        ({"by": ["town"]}, "no column 'town'; there are: who, weight"),
        ({"by": "town"}, "no column 'town'"),
    ],
)
def test_bad_draws_are_refused(how: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(FIVE, **{"n": 3, **how})


def test_bad_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="weight: row 1 holds nan"):
        draw(FIVE.assign(weight=[1, np.nan, 1, 1, 1]), 2)
    with pytest.raises(ValueError, match="all of weight 0"):
        draw(FIVE.assign(weight=0.0), 2)
    with pytest.raises(ValueError, match="weight=None for equal weights"):
        draw(FIVE[["who"]], 2)
    assert len(draw(FIVE[["who"]], 2, weight=None)) == 2
    with pytest.raises(ValueError, match="'source', which draw writes"):
        draw(FIVE.assign(source=1), 2)
    zero = draw(FIVE.assign(weight=[0, 0, 0, 3, 1]), 40)
    assert zero["who"].value_counts().to_dict() == {"d": 30, "e": 10}


def test_the_plan_compares_targets_with_what_was_drawn() -> None:
    people = pd.DataFrame({"g": ["p", "q", None], "z": range(3), "weight": [0.5, 0.3, 0.2]})
    plan = sampling_plan(people.drop(columns="z"), 10)
    frame = plan.frame.set_index("value")
    # 10 people: 5, 3, 2 of them, exactly as wanted; by chance sqrt(.5 × .5 / 10).
    assert frame["count"].to_dict() == {"p": 5, "q": 3, "(missing)": 2}
    assert frame["deviation"].tolist() == [0, 0, 0]
    assert frame.loc["p", "by_chance"] == pytest.approx(np.sqrt(0.025))
    assert len(plan.people) == 10
    assert "10 respondents from 3 rows" in repr(plan)
    seven = sampling_plan(people, 7, margins=["g", ("g", "z")])
    assert seven.frame["margin"].unique().tolist() == ["g", "g × z"]
    assert 0 < seven.largest < 1 / 7
    assert "&lt;b&gt;" in sampling_plan(people.assign(g="<b>"), 3)._repr_html_()


def test_the_plan_shows_cited_targets_and_their_sources() -> None:
    asked = [
        Margin("age", {"18 to 34": 0.4, "35 to 49": 0.2, "50 to 64": 0.3, "65 or older": 0.1},
               source="a census"),
        Margin("gender", {"man": 0.45, "woman": 0.55}, source="a register"),
    ]  # fmt: skip
    raked = rake(asked, PEOPLE)
    plan = sampling_plan(raked, 40, seed=1)
    assert plan.frame["margin"].unique().tolist() == ["age", "gender"]
    assert plan.frame["target"].tolist() == pytest.approx([0.4, 0.2, 0.3, 0.1, 0.45, 0.55])
    assert plan.largest <= 1 / 40 + 1e-9
    assert "Source of age: a census" in plan.summary()
    against = sampling_plan(PEOPLE, 40, margins=asked, seed=1)  # not raked: far from the citation
    assert against.largest > 0.05


def test_what_the_plan_leaves_out_is_said() -> None:
    ages = pd.DataFrame({"age": range(40), "sex": ["f", "m"] * 20})
    plan = sampling_plan(ages, 10, weight=None, by=["sex"])
    assert plan.frame["margin"].unique().tolist() == ["sex"]
    assert plan.notes == ("not shown, more than 12 values: age",)
    with pytest.raises(ValueError, match="no margin to compare"):
        sampling_plan(ages[["age"]], 10, weight=None)
    with pytest.raises(ValueError, match="no column 'town'"):
        sampling_plan(ages, 10, weight=None, margins=["town"])


def test_raked_microdata_recover_the_truth() -> None:
    # 4 × 3 cells; the sample over-represents the old and the poor, the cited margins undo that:
    # the mean answer, linear in the two margins, comes out right.
    rng = np.random.default_rng(5)
    age, rich = rng.integers(4, size=4_000), rng.integers(3, size=4_000)
    kept = rng.random(4_000) < (0.1 + 0.25 * age + 0.05 * (2 - rich))
    sample = pd.DataFrame({"age": age, "rich": rich, "y": 1.0 * age - 2.0 * rich})[kept]
    margins = [
        Margin("age", dict.fromkeys(range(4), 0.25), source="truth"),
        Margin("rich", dict.fromkeys(range(3), 1.0), source="truth", unit="count"),
    ]
    raked = rake(margins, sample, weight=None).frame
    assert abs(sample["y"].mean() - (1.5 - 2.0)) > 0.1
    assert (raked["weight"] * raked["y"]).sum() == pytest.approx(1.5 - 2.0, abs=1e-5)


def test_weights_are_a_column_and_not_a_series():
    people = pd.DataFrame({"age": [20, 30], "weight": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"weight .*must be the name of a column, or None"):
        draw(people, 2, weight=people["weight"])
