"""Mixed means and differences: cases of other code, SciPy, statsmodels; what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from simkit import estimators as est

NAN = float("nan")
# Two groups: answers, predictions for the people asked, and for the others.
A = ([4.0, 7, 5, 6, 8, 3], [4.5, 6, 5.5, 6.5, 7, 4], [5.0, 6, 4, 7, 5.5, 6.5, 3.5, 6, 5, 7.5])
B = ([2.0, 5, 3, 4, 6, 1], [4.0, 5, 4.5, 5, 5.5, 4],
     [4.2, 5.1, 4.4, 3.9, 5.6, 4.8, 5.0, 4.1, 4.7, 5.2])  # fmt: skip
# Weights, and clusters of which 1 to 4 are on both sides.
W = ([3.0, 5, 4, 6, 2, 7, 5, 4], [3.5, 4.5, 4, 5.5, 3, 6, 5.5, 3.5],
     [4.0, 5, 3, 6, 4.5, 5.5, 3.5, 5, 4, 6.5, 4.2, 5.8])  # fmt: skip
WEIGHT = [1.0, 2, 1, 3, 0.5, 2, 1, 1.5, 1, 1, 2, 0.5, 1.5, 1, 1, 2, 1, 0.5, 1, 1]
CLUSTER = [1, 1, 2, 2, 3, 3, 4, 4, 1, 2, 3, 4, 5, 5, 6, 6, 7, 7, 8, 8]
# A model that did not answer for 3 of 12 people asked and 6 of 20 others.
SILENT = (
    [8.0, 7, 9, 6, 2, 1, 8, 7, 3, 2, 9, 6],
    [7.5, 7, 8.5, 6.5, NAN, NAN, 7.5, 7, 3.5, NAN, 8.5, 6],
    [7.0, 8, 6.5, NAN, 7.5, 3, NAN, 8.5, 6, NAN, 7, 8, 6.5, NAN, 7.2, 3.2, NAN, 6.8, 7.4, NAN],
)


def table(group: tuple[list[float], list[float], list[float]]) -> tuple[list[float], list[float]]:
    y, seen, others = group
    return [*y, *[NAN] * len(others)], [*seen, *others]


def numbers(found: est.Result, row: str = "mixed", more: str = "lam") -> tuple[float, ...]:
    return tuple(found[row][["estimate", "std_error", more]])


@pytest.mark.parametrize(
    ("group", "given", "expected"),
    [
        (A, {}, (5.5148443157, 0.5282280390, 0.8906589428)),
        (A, {"lam": 0.9104367135}, (5.5151739452, 0.5283700546, 0.9104367135)),
        (A, {"lam": 1}, (5.5166666667, 0.5325515103, 1)),
        (B, {}, (3.5333333333, 0.5543765267, 1)),  # 1.4 without the end at 1
        (W, {"weights": WEIGHT}, (4.8896099456, 0.3432566246, 0.7677844358)),
        (W, {"weights": WEIGHT, "lam": 1}, (4.8310185185, 0.3617682741, 1)),
        (W, {"weights": WEIGHT, "cluster": CLUSTER}, (4.9034798295, 0.1862825398, 0.7128138867)),
        (SILENT, {"missing": "constant"}, (5.4929192108, 0.7329116327, 0.8436292657)),
        (SILENT, {"missing": "constant", "lam": 0.8496642701},
         (5.4916762872, 0.7329173882, 0.8496642701)),
        (SILENT, {"missing": "constant", "lam": 0}, (5.6666666667, 0.8378664583, 0)),
    ],
)  # fmt: skip
def test_cases_of_other_code(group, given, expected):
    """Their z intervals have n - 1 in the variances; the standard errors are the same."""
    found = est.mixed_mean(*table(group), **given)
    assert numbers(found) == pytest.approx(expected, abs=2e-10)


def test_silence_as_a_second_prediction():
    y, f = table(SILENT)
    found = est.mixed_mean(y, f, missing="indicator", lam=[0.8083206514, -3.1806003652])
    expected = (5.3411610857, 0.5171764534, -3.1806003652)
    assert numbers(found, more="lam: no prediction") == pytest.approx(expected, abs=2e-9)
    assert "3 of 12 people asked and 6 of 20 others" in found.notes[0]
    assert found.n == 12
    assert found["mixed"]["others"] == 20


def test_effective_number_of_people():
    # n (SE of people / SE mixed)^2 = 6 (0.7637626158 / 0.5283700546)^2
    found = est.mixed_mean(*table(A), lam=0.9104367135)["mixed"]
    assert found["n_effective"] == pytest.approx(12.5369430302, abs=1e-8)
    assert found["worth"] == pytest.approx((12.5369430302 - 6) / 16, abs=1e-9)


def test_no_trust_is_the_people_alone():
    found = est.mixed_mean(*table(A), lam=0).frame
    rows = found[["estimate", "std_error", "low", "high", "n_effective"]]
    assert rows.loc["mixed"].tolist() == rows.loc["people"].tolist()
    # mean 5.5, squares 2.25 + 2.25 + .25 + .25 + 6.25 + 6.25 = 17.5, / 5 / 6
    assert rows.loc["people"].tolist()[:2] == pytest.approx([5.5, np.sqrt(17.5 / 30)])


def test_the_origin_and_the_unit_of_the_scale_do_not_matter():
    y, f = (np.array(v) for v in table(W))
    one = est.mixed_mean(y, f, weights=WEIGHT).frame
    other = est.mixed_mean(100 + 3 * y, 100 + 3 * f, weights=WEIGHT).frame
    assert (other["estimate"] - 100).tolist() == pytest.approx((3 * one["estimate"]).tolist())
    for same, times in (("std_error", 3), ("lam", 1), ("n_effective", 1)):
        assert other[same].tolist() == pytest.approx((times * one[same]).tolist())


def test_people_alone_against_statsmodels():
    y, f = (np.array(v) for v in table(W))
    w, c = np.array(WEIGHT), np.array(CLUSTER)
    found = est.mixed_mean(y, f, weights=w, cluster=c)
    asked = ~np.isnan(y)
    fit = sm.WLS(y[asked], np.ones(8), weights=w[asked]).fit(
        cov_type="cluster", cov_kwds={"groups": c[asked], "use_correction": False}
    )
    assert found["people"]["estimate"] == pytest.approx(fit.params[0], abs=1e-12)
    assert found["people"]["std_error"] == pytest.approx(fit.bse[0] * np.sqrt(4 / 3), abs=1e-10)


def test_estimate_and_error_against_ppi_py():
    ppi = pytest.importorskip("ppi_py")
    y, seen, others = (np.array(v) for v in A)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimate = ppi.ppi_mean_pointestimate(y, seen, others, lam=0.7)[0]
        low, high = (v[0] for v in ppi.ppi_mean_ci(y, seen, others, alpha=0.05, lam=0.7))
    found = est.mixed_mean(*table(A), lam=0.7)["mixed"]
    assert found["estimate"] == pytest.approx(estimate, abs=1e-12)
    # it divides by n: the two parts of the variance are those of n - 1 times 5/6 and 9/10
    parts = np.var(y - 0.7 * seen, ddof=1) / 6, np.var(0.7 * others, ddof=1) / 10
    assert found["std_error"] ** 2 == pytest.approx(sum(parts), abs=1e-12)
    z = stats.norm.ppf(0.975)
    assert ((high - low) / 2 / z) ** 2 == pytest.approx(
        parts[0] * 5 / 6 + parts[1] * 9 / 10, abs=1e-10
    )


def test_one_sided_bounds():
    both = est.mixed_mean(*table(A), alpha=0.1)["mixed"]
    above = est.mixed_mean(*table(A), alternative="larger")["mixed"]
    below = est.mixed_mean(*table(A), alternative="smaller")["mixed"]
    assert (above["low"], above["high"]) == (pytest.approx(both["low"]), np.inf)
    assert (below["low"], below["high"]) == (-np.inf, pytest.approx(both["high"]))
    assert above["p"] == pytest.approx(both["p"] / 2)
    assert below["p"] == pytest.approx(1 - both["p"] / 2)
    assert above["relative_width"] == pytest.approx(both["relative_width"])


def test_columns_of_a_table_and_answers_kept_back():
    y, f = table(A)
    frame = pd.DataFrame({"answer": y, "prediction": f})
    known = frame.assign(answer=[*y[:6], *range(10)], asked=[True] * 6 + [False] * 10)
    one = est.mixed_mean(data=frame)
    other = est.mixed_mean(data=known, labelled="asked")
    pd.testing.assert_frame_equal(one.frame, other.frame)


def test_a_belief_with_values_is_its_expected_value():
    y, f = (np.array(v) for v in table(A))
    belief = pd.DataFrame({"low": 1 - f / 10, "high": f / 10})
    one, other = est.mixed_mean(y, f), est.mixed_mean(y, belief, values=[0, 10])
    pd.testing.assert_frame_equal(one.frame, other.frame)
    with pytest.raises(ValueError, match=r"values is \[10.0, 0.0\]"):
        est.mixed_mean(y, belief.set_axis([0.0, 10.0], axis=1), values=[10, 0])


def world(n: int, others: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Answers 1, 2, 3 of n people, NaN of others, drawn from beliefs."""
    rng = np.random.default_rng(seed)
    belief = rng.dirichlet([0.7, 1, 0.5], n + others)
    y = drawn(belief, rng)
    return np.where(np.arange(n + others) < n, y, np.nan), belief, rng


def drawn(belief: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (rng.random((len(belief), 1)) > belief.cumsum(axis=1)).sum(axis=1) + 1.0


def test_a_belief_is_never_worse_than_a_draw_from_it():
    y, belief, rng = world(40_000, 40_000, 3)
    draw, mean = drawn(belief, rng), belief @ [1, 2, 3]
    a = est.mixed_mean(y, belief, values=[1, 2, 3])["mixed"]
    b = est.mixed_mean(y, draw)["mixed"]
    # the draw's correlation is that of the belief times sd(belief) / sd(draw): 0.57 for 0.76
    assert b["rho"] / a["rho"] == pytest.approx(mean.std() / draw.std(), abs=0.01)
    assert a["n_effective"] > 1.1 * b["n_effective"]
    # and n / (1 - rho^2 N / (n + N)) people are there in effect
    assert a["n_effective"] == pytest.approx(40_000 / (1 - a["rho"] ** 2 / 2), rel=0.01)
    assert a["rho_low"] < a["rho"] < a["rho_high"] < a["rho_low"] + 0.02


def test_the_best_combination_of_a_belief():
    y, belief, _ = world(400, 1600, 5)
    odd = np.where(np.isnan(y), y, [0, 9, 1, 4][0] + np.nan_to_num(np.choose(
        np.nan_to_num(y, nan=1).astype(int) - 1, [9.0, 0.0, 4.0])))  # fmt: skip
    one = est.mixed_mean(odd, belief, values=[1, 2, 3])["mixed"]
    best = est.mixed_mean(odd, belief)["mixed"]
    right = est.mixed_mean(odd, belief, values=[9, 0, 4])["mixed"]
    assert best["n_effective"] > 1.3 * one["n_effective"]  # the order of values says nothing here
    assert best["n_effective"] == pytest.approx(right["n_effective"], rel=0.03)
    lam = best[["lam: 0", "lam: 1", "lam: 2"]].to_numpy(dtype=float)
    assert np.corrcoef(lam, [9, 0, 4])[0, 1] > 0.99


def test_useless_predictions_do_not_widen_the_interval():
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(100):
        y = np.where(np.arange(150) < 50, rng.normal(size=150), np.nan)
        for f in (rng.normal(size=150), rng.normal(size=(150, 4))):
            ratios.append(est.mixed_mean(y, f)["mixed"]["relative_width"])
    assert np.mean(ratios) < 1
    assert max(ratios) < 1.01


def test_the_model_adds_nothing():
    y, f = table(A)
    same = est.mixed_mean(y, [2.0] * 16)
    assert same["mixed"]["lam"] == 0
    assert "all predictions are equal" in same.notes[-1]
    wrong = est.mixed_mean(y, [-v for v in f])
    assert wrong["mixed"]["lam"] == 0
    assert "λ is 0" in wrong.notes[-1]


def test_complete_cases_are_refused():
    y, f = table(SILENT)
    with pytest.raises(ValueError, match="3 of 12 people asked and 6 of 20 others"):
        est.mixed_mean(y, f)
    there = [True] * 12 + [not np.isnan(v) for v in f[12:]]
    with pytest.raises(ValueError, match="removed on one side"):
        est.mixed_mean(np.array(y)[there], np.array(f)[there], missing="constant")


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"labelled": [True] * 7 + [False] * 9}, "y: 1 of 7 labelled people have no answer"),
        ({"labelled": [True] + [False] * 15}, "1 people of positive weight among the people with"),
        ({"y": [1.0] * 16}, "0 people of positive weight among the others"),
        ({"weights": [0.0] * 6 + [1.0] * 10}, "0 people of positive weight among the people with"),
        ({"cluster": [1] * 6 + [2, 3] * 5}, "1 clusters of positive weight among the people"),
        ({"lam": [0.5, 0.5]}, "1 numbers"),
        ({"lam": "all"}, "lam"),
        ({"missing": "drop"}, "missing"),
        ({"alternative": "greater"}, "alternative"),
        ({"weights": [1.0, *[1e-9] * 5, *[1.0] * 10]}, "99.5 %"),
    ],
)
def test_what_is_refused(given, error):
    y, f = table(A)
    with pytest.raises(ValueError, match=error):
        est.mixed_mean(**{"y": y, "prediction": f, **given})


def test_too_many_predictions_for_few_people():
    y, _ = table(A)
    with pytest.raises(ValueError, match="5 predictions to weigh and 6 people"):
        est.mixed_mean(y, np.random.default_rng(0).normal(size=(16, 5)))


def noted(text: str, **given: object) -> bool:
    return any(text in note for note in est.mixed_mean(**given).notes)


def test_what_is_noted():
    rng = np.random.default_rng(1)
    z = rng.normal(size=400)
    y = np.where(np.arange(400) < 40, z + rng.normal(size=400), np.nan)
    good: dict[str, object] = {"y": y, "prediction": z}
    assert est.mixed_mean(**good).notes == ()
    assert noted("30 an interval", y=np.where(np.arange(400) < 25, y, np.nan), prediction=z)
    assert noted("equal to the answers", y=y, prediction=np.where(np.isnan(y), z, y))
    assert noted("differ in the mean", y=y, prediction=z + (np.arange(400) < 40))
    assert noted("differ in the spread", y=y, prediction=z * np.where(np.isnan(y), 0.3, 1))
    assert noted("vary on one side only", weights=np.r_[np.ones(40), rng.random(360) + 1], **good)
    assert noted("100 times as large", weights=np.r_[np.ones(40), [100.0] * 360], **good)
    assert noted("effective clusters", cluster=np.arange(400) % 4, **good)


def test_answers_given_away_are_noted_everywhere():
    y = np.where(np.arange(160) < 40, np.arange(160) % 2, np.nan)
    f = np.where(np.isnan(y), 0.5, y)
    belief = np.column_stack([1 - f, f])
    for found in (
        est.mixed_shares(pd.Series(y), belief, options=[0.0, 1.0]),
        est.mixed_quantile(y, f),
        est.mixed_regression(y, f, np.arange(160) % 7),
        est.mixed_difference(y, f, np.arange(160) // 2 % 2),
    ):
        assert any("equal to the answers" in note for note in found.notes)


def test_difference_of_two_groups():
    (a, f), (b, g) = table(A), table(B)
    found = est.mixed_difference([*b, *a], [*g, *f], ["b"] * 16 + ["a z"] * 16)
    expected = (3.5333333333 - 5.5148443157, np.hypot(0.5282280390, 0.5543765267))
    assert tuple(found["b - a z, mixed"][["estimate", "std_error"]]) == pytest.approx(
        expected, abs=1e-9
    )
    given = est.mixed_difference([*b, *a], [*g, *f], [0] * 16 + [1] * 16, lam=1)
    assert given["1 - 0, mixed"]["estimate"] == pytest.approx(5.5166666667 - 3.5333333333)
    welch = stats.ttest_ind(a[:6], b[:6], equal_var=False)
    people = given["1 - 0, people"]
    assert people["p"] == pytest.approx(welch.pvalue)
    assert people["df"] == pytest.approx(welch.df)
    for kind in ("mixed", "people"):
        one = est.mixed_mean(a, f, lam=1)[kind]
        assert given[f"1, {kind}"][one.index].tolist() == pytest.approx(one.tolist(), nan_ok=True)


def test_difference_within_the_same_people():
    rng = np.random.default_rng(2)
    person, by = np.repeat(np.arange(60), 2), np.tile(["after", "before"], 60)
    y = rng.normal(size=60)[person] + rng.normal(size=120) / 2 - (by == "after")
    f = y + rng.normal(size=120)
    asked = person < 20
    y = np.where(asked, y, np.nan)
    found = est.mixed_difference(y, f, by, cluster=person)
    paired = stats.ttest_rel(y[asked & (by == "before")], y[asked & (by == "after")])
    people = found["before - after, people"]
    assert people["statistic"] == pytest.approx(paired.statistic)
    assert people["p"] == pytest.approx(paired.pvalue)
    # the mixed one is the mean of the paired differences, with a λ on either side
    apart = est.mixed_difference(y, f, by)
    assert apart["before - after, people"]["std_error"] > 1.5 * people["std_error"]
    gap, guess = (v[1::2] - v[::2] for v in (y, f))
    same = est.mixed_difference(y, f, by, cluster=person, lam=0.6)["before - after, mixed"]
    other = est.mixed_mean(gap, guess, lam=0.6)["mixed"]
    assert same[other.index[:5]].tolist() == pytest.approx(other.iloc[:5].tolist())


def test_difference_names_the_group_at_fault():
    (a, f), (b, g) = table(A), table(B)
    with pytest.raises(ValueError, match=r"group 'b': 1 people"):
        est.mixed_difference([*a, 1.0, *[NAN] * 15], [*f, *g], ["a"] * 16 + ["b"] * 16)
    with pytest.raises(ValueError, match="there must be two"):
        est.mixed_difference([*a, *b], [*f, *g], np.arange(32) % 3)


def test_predictions_out_of_fold():
    models = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [5.0, 6, 7, 8]}, index=list("wxyz"))
    found = est.cross_fitted(models, ["a", "b", "b", None])
    # the last: 1/3 of model a's 4, as one of three people is in its fold, and 2/3 of b's 8
    assert found.to_dict() == pytest.approx({"w": 1, "x": 6, "y": 7, "z": 4 / 3 + 16 / 3})
    for fold, error in (
        (["a", "a", None, None], "must be the same"),
        ([None] * 4, "nobody"),
        (["a", "b", "c", None], "must be the same"),
        (["a", "b"], "2 rows"),
    ):
        with pytest.raises(ValueError, match=error):
            est.cross_fitted(models, fold)


def test_answers_far_from_0_are_not_taken_for_known() -> None:
    # seconds since 1970: they differ by little, relative to their size
    y, f = table(A)
    found = est.mixed_mean(np.array(y) + 1.7e9, np.array(f) + 1.7e9)
    assert not any("equal to the answers" in note for note in found.notes)
    expected = est.mixed_mean(y, f)["mixed"]["estimate"]
    assert found["mixed"]["estimate"] - 1.7e9 == pytest.approx(expected, abs=1e-5)


def test_columns_of_a_belief_named_by_text() -> None:
    y, p = [1.0, 0, 1, NAN, NAN, NAN], np.array([0.9, 0.2, 0.7, 0.6, 0.3, 0.8])
    belief = pd.DataFrame({"1": p, "0": 1 - p})
    found = est.mixed_mean(y, belief, values=[1, 0])
    assert found["mixed"]["estimate"] == est.mixed_mean(y, p)["mixed"]["estimate"]
    with pytest.raises(ValueError, match="those of the prediction"):
        est.mixed_mean(y, belief, values=[0, 1])
