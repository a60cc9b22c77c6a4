"""What a budget buys: against a search over all purchases, and statsmodels' power."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from simkit import estimators as est

COSTS = {"cost_person": 5.0, "cost_answer": 0.05}


@pytest.mark.parametrize("rho", [0.2, 0.5, 0.9])
def test_no_other_purchase_gives_a_shorter_interval(rho):
    plan = est.budget_split(rho, 1000, **COSTS)["people"]["estimate"]
    found = est.budget_split(rho, 1000, **COSTS).frame["estimate"]
    n = np.arange(10, 201)
    answers = (1000 - 5 * n) / 0.05
    variance = np.where(answers > n, (1 - rho**2) / n + rho**2 / np.maximum(answers, 1), 1 / n)
    width = 2 * stats.t.ppf(0.975, n - 1) * np.sqrt(variance)
    assert plan == pytest.approx(n[width.argmin()], abs=5)
    assert found["width"] == pytest.approx(width.min(), rel=2e-3)
    assert found["people"] * 5 + found["answers"] * 0.05 <= 1000


def test_the_split_by_hand():
    # n : M = sqrt(.75 / 5) : sqrt(.25 / .05) = 0.3873 : 2.2361
    # 1000 / (5 * 0.3873 + .05 * 2.2361) = 488.3: 189 people and 1100 answers for the rest, 55
    found = est.budget_split(0.5, 1000, **COSTS, sd=2).frame["estimate"]
    assert (found["people"], found["answers"]) == (189, 1100)
    error = 2 * np.sqrt(0.75 / 189 + 0.25 / 1100)
    assert found["width"] == pytest.approx(2 * stats.t.ppf(0.975, 188) * error)
    alone = 2 * stats.t.ppf(0.975, 199) * 2 / np.sqrt(200)
    assert found["width of people alone"] == pytest.approx(alone)
    assert found["saving"] == pytest.approx(1 - (found["width"] / alone) ** 2)


@pytest.mark.parametrize(("rho", "answer"), [(0, 0.05), (-0.8, 0.05), (0.5, 5.0), (0.1, 1.0)])
def test_people_alone_where_that_is_better(rho, answer):
    found = est.budget_split(rho, 1000, cost_person=5, cost_answer=answer)
    assert found.frame["estimate"].tolist()[:2] == [200, 0]
    assert found.frame.loc["width", "estimate"] == found.frame.loc["width of people alone", "low"] \
        or np.isnan(found.frame.loc["width of people alone", "low"])  # fmt: skip
    assert "people alone do as well" in found.notes[0]


def test_the_interval_of_a_pilot_goes_through():
    rng = np.random.default_rng(0)
    z = rng.normal(size=300)
    y = np.where(np.arange(300) < 60, z + rng.normal(size=300), np.nan)
    pilot = est.mixed_mean(y, z)
    low, high = pilot["mixed"][["rho_low", "rho_high"]]
    plan = est.budget_split(pilot, 1000, **COSTS)
    one = est.budget_split(float(pilot["mixed"]["rho"]), 1000, **COSTS)
    assert plan.frame["estimate"].tolist() == one.frame["estimate"].tolist()
    assert one.frame["low"].isna().all()
    ends = [est.budget_split(r, 1000, **COSTS).frame.loc["people", "estimate"] for r in (high, low)]
    assert list(plan.interval("people")) == ends
    people, answers = plan.frame["estimate"].iloc[:2]
    widths = [2 * stats.t.ppf(0.975, people - 1) * np.sqrt((1 - r**2) / people + r**2 / answers)
              for r in (high, low)]  # fmt: skip
    assert list(plan.interval("width")) == pytest.approx(widths)
    row = est.budget_split(pilot["mixed"], 1000, **COSTS)
    assert row.frame.equals(plan.frame)
    curve = est.power_curve(pilot, [500], effect=0.2, **COSTS).iloc[0]
    assert curve["power_low"] < curve["power"] < curve["power_high"]


def test_power_of_people_alone_is_that_of_the_t_test():
    curve = est.power_curve(0.0, [100, 250, 1000], effect=0.3, **COSTS)
    power = [TTestPower().power(0.3, n, 0.05) for n in (20, 50, 200)]
    assert curve["power_people"].tolist() == pytest.approx(power, abs=1e-9)
    assert curve["power"].tolist() == pytest.approx(power, abs=1e-9)
    assert curve["answers"].tolist() == [0, 0, 0]


def test_power_of_a_mixed_study_by_simulation():
    curve = est.power_curve(0.8, [400], effect=0.25, **COSTS).iloc[0]
    n, total = int(curve["people"]), int(curve["answers"])
    rng = np.random.default_rng(0)
    rejected = []
    for _ in range(250):
        f = rng.normal(size=total)
        y = 0.25 + 0.8 * f + 0.6 * rng.normal(size=total)
        y[n:] = np.nan
        rejected.append(est.mixed_mean(y, f)["mixed"]["p"] < 0.05)
    assert np.mean(rejected) == pytest.approx(curve["power"], abs=0.075)  # 2.6 errors of 0.029
    assert curve["power"] > curve["power_people"] + 0.1


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"budget": 9}, "enough for 2 people, 10"),
        ({"cost_answer": 0}, "cost_answer is 0"),
        ({"rho": 1.5}, "from -1 to 1"),
        ({"rho": est.mean_belief([0.2, 0.4])}, "mixed_mean or mixed_quantile"),
    ],
)
def test_what_is_refused(given, error):
    with pytest.raises(ValueError, match=error):
        est.budget_split(**{"rho": 0.5, "budget": 1000, **COSTS, **given})
