"""Coverage by simulation: counts, failures, several quantities, seeds."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from simkit.estimators import coverage, interval_coverage, mean_belief
from simkit.types import generator

pytestmark = pytest.mark.filterwarnings("error")


def test_known_values():
    # truth 1; intervals hold it, lie above, lie below, are missing, hold it without end
    low, high = [0, 2, 0, np.nan, -np.inf], [1, 3, 0.5, 2, 5]
    result = interval_coverage(low, high, 1, estimate=[0.5, 2.5, 0, 3, 1])
    row = result["coverage"]
    assert row[["estimate", "repetitions", "failures", "above", "below", "unbounded"]].tolist() == [
        0.5, 4, 1, 0.25, 0.25, 1,
    ]  # fmt: skip
    assert result.interval("coverage") == pytest.approx(proportion_confint(2, 4, method="wilson"))
    assert row["width"] == pytest.approx((1 + 1 + 0.5) / 3)
    # bias: -0.5, 1.5, -1, 2, 0: mean 0.4; s^2 = (0.81 + 1.21 + 1.96 + 2.56 + 0.16) / 4 = 1.675
    assert row[["bias", "bias_error"]].tolist() == pytest.approx([0.4, np.sqrt(1.675 / 5)])
    assert result.notes == ("1 of 5 intervals are missing (not in the share)",)


def test_several_quantities():
    low, high = np.zeros((3, 2)), np.array([[1, 1], [1, 3], [3, 3]])
    result = interval_coverage(low, high, [0.5, 2], names=["a", "b"])
    assert result.frame["estimate"].tolist() == pytest.approx([1, 2 / 3])
    pooled = interval_coverage(low.ravel(), high.ravel(), [0.5, 2] * 3)
    assert pooled["coverage"]["estimate"] == pytest.approx(5 / 6)
    empty = interval_coverage([np.nan], [np.nan], 1)
    assert np.isnan(empty["coverage"]["estimate"])


def test_simulation_of_a_normal_mean():
    # the mean of 9 normals with known standard deviation: exactly 95 %
    def simulate(rng):
        return rng.normal(3, 2, 9)

    def estimate(x):
        return x.mean(), x.mean() - 1.96 * 2 / 3, x.mean() + 1.96 * 2 / 3

    result = coverage(simulate, estimate, 3, repetitions=2000)
    row = result["coverage"]
    assert row["low"] < 0.95 < row["high"]
    assert row["width"] == pytest.approx(4 * 1.96 / 3)
    assert abs(row["bias"]) < 4 * row["bias_error"]
    assert row["bias_error"] == pytest.approx(2 / 3 / np.sqrt(2000), rel=0.1)
    assert row["above"] + row["below"] == pytest.approx(1 - row["estimate"])
    narrow = coverage(simulate, lambda x: estimate(x)[1:] * np.array([1, 0.9]), 3, repetitions=200)
    assert narrow["coverage"]["estimate"] < row["estimate"]
    assert np.isnan(narrow["coverage"]["bias"])


def test_results_and_quantities():
    def simulate(rng):
        return rng.dirichlet([2, 3, 4], 30)

    both = coverage(simulate, mean_belief, {"0": 2 / 9, "2": 4 / 9}, repetitions=40)
    assert both.frame.index.tolist() == ["0", "2"]
    assert both.frame["estimate"].min() > 0.85
    one = coverage(lambda r: r.beta(2, 7, 30), mean_belief, 2 / 9, repetitions=40)
    assert one["coverage"]["estimate"] > 0.85
    for truth in (0.2, {"three": 0.2}):
        with pytest.raises(ValueError, match=r"the result has the quantities \['0', '1', '2'\]"):
            coverage(simulate, mean_belief, truth, repetitions=2)


def test_it_agrees_with_one_call_for_all():
    data = np.stack([generator(5, "coverage", r).beta(2, 7, 15) for r in range(40)])
    frame = mean_belief(data.ravel(), by=np.repeat(range(40), 15)).frame
    quick = interval_coverage(frame["low"], frame["high"], 2 / 9, estimate=frame["estimate"])
    slow = coverage(lambda r: r.beta(2, 7, 15), mean_belief, 2 / 9, repetitions=40, seed=5)
    assert quick.frame.to_numpy(float) == pytest.approx(slow.frame.to_numpy(float))


def test_failures_are_counted_and_programming_errors_are_not_hidden():
    def estimate(x):
        if x > 0.7:
            raise ValueError("no")
        return (np.nan, np.nan) if x < 0.1 else (0.0, 1.0)

    result = coverage(lambda r: r.random(), estimate, 0.5, repetitions=300)
    row = result["coverage"]
    assert row["failures"] + row["repetitions"] == 300
    assert row["failures"] / 300 == pytest.approx(0.4, abs=0.1)
    assert row["estimate"] == 1
    assert any("raised ValueError" in note for note in result.notes)
    with pytest.raises(KeyError):
        coverage(lambda r: {}, lambda d: d["x"], 0.5, repetitions=3)


def test_keywords_and_errors():
    def run(**k):
        return coverage(lambda r: r.normal(size=5), lambda x: (x.min(), x.max()), 0.4,
                        **{"repetitions": 50} | k)["coverage"]  # fmt: skip

    plain = run()
    assert plain.equals(run())
    assert run(seed=1)["width"] != plain["width"]
    assert run(alpha=0.5)["low"] > plain["low"]
    assert run(repetitions=20)["repetitions"] == 20
    with pytest.raises(ValueError, match="repetitions is 1"):
        run(repetitions=1)
    with pytest.raises(ValueError, match="truth holds nan"):
        interval_coverage([0], [1], np.nan)
    with pytest.raises(ValueError, match=r"low has shape \(1, 1\), high \(2, 1\)"):
        interval_coverage([0], [1, 2], 1)
    with pytest.raises(ValueError, match=r"estimate gave shape \(1, 4\)"):
        coverage(lambda r: 1, lambda x: (1, 2, 3, 4), 0.5, repetitions=2)


def test_an_estimate_that_always_raises_is_an_error():
    def broken(data):
        raise ZeroDivisionError(f"nothing in {data}")

    with pytest.raises(ValueError, match="in all 3 repetitions, at last ZeroDivisionError: noth"):
        coverage(lambda rng: "it", broken, 0.0, repetitions=3)
