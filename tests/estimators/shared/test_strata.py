"""Weights, strata and clusters: svy's numbers, jackknives by hand, subgroups, what is undefined."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from simkit import estimators as est
from simkit.estimators.shared.strata import Strata
from simkit.estimators.structure.samples import sampled
from tests.fuzz_calls import estimator_calls

ROW = np.arange(60)
HOME = ROW // 12  # 5 strata of 3, 4, 6, 4 and 3 clusters
UNIT = HOME * 100 + (ROW % 12) // np.array([4, 3, 2, 3, 4])[HOME]
SURVEY = pd.DataFrame({
    "stratum": HOME, "psu": UNIT, "w": 1.0 + (ROW * 7 % 11) + 3 * HOME,
    "y": ((ROW * ROW + 3 * UNIT) % 7 < 3).astype(float), "v": (ROW * 13 % 17) / 17,
    "gap": ((ROW * 3) % 7 - ROW * ROW % 5).astype(float),
    "d": np.where((ROW * 5 % 9 < 4) & (UNIT != 101), "a", "b"),
})  # fmt: skip
PLAN = {"weights": "w", "cluster": "psu", "strata": "stratum"}
ARRAYS = {name: SURVEY[column] for name, column in PLAN.items()}
# svy 0.35.0 (import polars, svy), with the frame above:
#   design = svy.Design(stratum="stratum", psu="psu", wgt="w")
#   sample = svy.Sample(polars.from_pandas(SURVEY), design)
#   jk = sample.weighting.create_jk_wgts(rep_prefix="r")
#   jk.estimation.mean(name, by=by, method="replication", variance_center="estimate")
#   sample.estimation.mean(name, by=by, method="taylor")    # the last number of each line
SVY = {
    ("y", "all"): (0.42718446601941745, 0.06813273195578881, 0.06827257297082129),
    ("y", "a"): (0.3782051282051282, 0.0699356916872241, 0.06930035231090377),
    ("y", "b"): (0.46454767726161367, 0.12804149317568211, 0.12657746302394962),
    ("v", "all"): (0.45631067961165056, 0.032105537871873556, 0.032040014629245946),
    ("v", "a"): (0.4662518853695325, 0.06288831200853587, 0.06135324970525877),
    ("v", "b"): (0.44872716812886515, 0.04360895235696606, 0.04352542154047332),
    ("gap", "all"): (0.9389736477115118, 0.32428336003973157, 0.3238487511820755),
    ("gap", "a"): (0.7371794871794872, 0.3941911497433175, 0.3959201389152104),
    ("gap", "b"): (1.0929095354523228, 0.4081666204417458, 0.40598809597279184),
}


def left_out(statistic: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Variances of a statistic of weights, by a loop over the clusters of each stratum."""
    w = SURVEY["w"].to_numpy()
    at, variance = statistic(w), 0.0
    for h in np.unique(HOME):
        clusters = np.unique(UNIT[h == HOME])
        n = len(clusters)
        for c in clusters:
            again = np.where(h == HOME, w * n / (n - 1), w) * (c != UNIT)
            variance = variance + (n - 1) / n * (statistic(again) - at) ** 2
    return variance


# --- known values ---------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "mean"), [("y", est.mean_choice), ("v", est.mean_belief)])
def test_means_shares_and_subgroups_are_svys(name, mean):
    whole = mean(name, data=SURVEY, **PLAN).frame.iloc[0]
    parts = mean(name, data=SURVEY, by="d", **PLAN)
    rows = {"all": whole, **{row["d"]: row for _, row in parts.frame.iterrows()}}
    for group, row in rows.items():
        estimate, jackknife, taylor = SVY[name, group]
        assert row["estimate"] == pytest.approx(estimate, rel=1e-10)
        assert row["std_error"] == pytest.approx(jackknife, rel=1e-10)
        assert row["std_error"] == pytest.approx(taylor, rel=0.03)
    assert any("they are subgroups" in note for note in parts.notes)


def test_differences_are_svys():
    # gap = predicted - true; as a difference of margins too, of respondents with themselves
    zero = pd.Series(np.zeros(60))
    simulated, human = pd.Series(ROW * 3 % 7), pd.Series(ROW * ROW % 5)
    shift = est.shift_fit(zero, human, zero, simulated, by=SURVEY["d"], **ARRAYS)
    belief = pd.DataFrame(np.eye(7)[simulated])
    margin = est.marginal_fit(
        human, belief, range(7), metrics=["mean_difference"], n_boot=2, **ARRAYS
    )
    for group in "ab":
        row = shift[f"{group}, difference"]
        assert row[["estimate", "std_error"]].tolist() == pytest.approx(
            list(SVY["gap", group][:2]), rel=1e-10
        )
    assert margin["mean_difference"][["estimate", "std_error"]].tolist() == pytest.approx(
        list(SVY["gap", "all"][:2]), rel=1e-10
    )


def test_selections_are_svys_and_the_loops():
    answers = pd.DataFrame({"y": SURVEY["y"], "z": (ROW % 3 == 0).astype(float)})
    found = est.selection_shares(answers, **ARRAYS)
    assert found["y"][["estimate", "std_error"]].tolist() == pytest.approx(
        list(SVY["y", "all"][:2])
    )

    def correlation(w: np.ndarray) -> np.ndarray:
        c = np.cov(answers.to_numpy().T, aweights=w)
        return c[0, 1] / np.sqrt(c[0, 0] * c[1, 1])

    phi = left_out(correlation)
    assert found["phi, y & z"]["std_error"] == pytest.approx(float(np.sqrt(phi)))
    model = answers.iloc[::-1].reset_index(drop=True)  # of the same people, with their weights
    more = {"simulated_weights": SURVEY["w"], "simulated_cluster": SURVEY["psu"]}
    gap = est.compare_selections(answers, model, same_people=True, **ARRAYS, **more)
    shift = est.shift_fit(np.zeros(60), answers["y"], np.zeros(60), model["y"], **ARRAYS)
    assert gap["y"]["std_error"] == pytest.approx(shift["difference"]["std_error"])
    alone = est.compare_selections(answers, model, **ARRAYS, **more)
    assert alone["y"]["std_error"] > found["y"]["std_error"]


def test_two_samples_have_a_plan_each():
    # independent: the variances add; without a plan the simulation is exact only as one row
    human, simulated = pd.Series(ROW * ROW % 5), pd.Series(ROW * 3 % 7)
    theirs = {f"simulated_{name}": column for name, column in ARRAYS.items()}
    given = {"metrics": ["mean_difference"], "n_boot": 2, "paired": False}
    found = est.marginal_fit(human, simulated, range(7), **given, **ARRAYS, **theirs)
    one = est.marginal_fit(human, np.full((1, 7), 1 / 7), range(7), **given, **ARRAYS)
    zero = np.zeros(60)
    means = est.shift_fit(zero, human, zero, simulated, **ARRAYS).frame["std_error"]
    whole = found["mean_difference"]["std_error"]
    assert whole == pytest.approx(np.hypot(means["true_shift"], means["predicted_shift"]))
    assert one["mean_difference"]["std_error"] == pytest.approx(means["true_shift"])
    plan = "psu (20), within these strata"
    assert found.over == f"{plan}, simulated: {plan}"


def test_of_equal_clusters_it_is_the_textbook_formula():
    # Strata of 3, 4, 6, 4, 3 clusters with the weight of their rows equal: the linearised variance
    # sum_h W_h^2 s_h^2 / n_h of cluster means (Cochran 1977, 5.9) is that of the jackknife
    w = 1.0 + HOME
    x = SURVEY["v"].to_numpy()
    cluster = HOME * 100 + ROW % 12 // np.array([4, 3, 2, 3, 4])[HOME]
    variance = 0.0
    for h in range(5):
        means = pd.Series(x[h == HOME]).groupby(cluster[h == HOME]).mean()
        variance += (w[h == HOME].sum() / w.sum()) ** 2 * means.var() / len(means)
    row = est.mean_belief(x, weights=w, cluster=cluster, strata=HOME)["belief"]
    assert row["std_error"] == pytest.approx(np.sqrt(variance), rel=1e-10)


def test_errors_and_distances_are_the_loops():
    human = pd.Series(1.0 + ROW * 7 % 3)
    belief = np.random.default_rng(0).dirichlet([2, 1, 2], 60)
    other = np.random.default_rng(1).dirichlet([1, 1, 1], 60)
    scale, code = np.array([1.0, 2, 3]), (human - 1).to_numpy(int)
    mine = (SURVEY["d"] == "a").to_numpy()

    def rmse(w: np.ndarray, b: np.ndarray = belief) -> np.ndarray:
        square = (b * (scale - human.to_numpy()[:, None]) ** 2).sum(axis=1)
        return np.sqrt(w @ square / w.sum())

    def shares(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        w = w * mine
        return w @ np.eye(3)[code] / w.sum(), w @ belief / w.sum()

    p, q = shares(SURVEY["w"].to_numpy())
    signs = np.sign(p - q), np.sign(np.cumsum(p - q))[:2]  # held fixed: distances have a kink

    def distances(w: np.ndarray) -> np.ndarray:
        p, q = shares(w)
        middle = (p + q) / 2
        js = ((p * np.log2(p / middle)) + (q * np.log2(q / middle))).sum() / 2
        variances = [x @ scale**2 - (x @ scale) ** 2 for x in (p, q)]
        return np.array([signs[0] @ (p - q) / 2, signs[1] @ np.cumsum(p - q)[:2], js,
                         variances[1] / variances[0]])  # fmt: skip

    fit = est.individual_fit(human, belief, scale, **ARRAYS)["rmse"]
    assert fit["estimate"] == pytest.approx(float(rmse(SURVEY["w"].to_numpy())))
    assert fit["std_error"] == pytest.approx(float(np.sqrt(left_out(rmse))), rel=1e-10)
    gap = est.fit_difference(human, belief, other, scale, metrics=["rmse"], **ARRAYS)["rmse"]
    move = left_out(lambda w: rmse(w, other) - rmse(w))
    assert gap["std_error"] == pytest.approx(float(np.sqrt(move)), rel=1e-10)
    names = ["tv", "wasserstein", "js", "variance_ratio"]
    found = est.marginal_fit(human, belief, scale, metrics=names, n_boot=2, by=SURVEY["d"],
                             **ARRAYS).frame  # fmt: skip
    of_a = found.loc[[f"a, {name}" for name in names]]
    assert of_a["estimate"].tolist() == pytest.approx(distances(SURVEY["w"].to_numpy()).tolist())
    assert of_a["std_error"].tolist() == pytest.approx(np.sqrt(left_out(distances)).tolist())
    curve = est.temperature_curve(human, belief, scale, [1.0], metrics=["rmse"], n_boot=2, **ARRAYS)
    assert curve["rmse, T=1"]["std_error"] == pytest.approx(fit["std_error"])
    # t on 20 clusters - 5 strata at most: fewer, for weights and strata differ
    half = (np.log(fit["high"]) - np.log(fit["low"])) / 2 / fit["std_error"] * fit["estimate"]
    assert stats.t.ppf(0.975, 15) < half < stats.t.ppf(0.975, 6)


def test_correlations_are_resampled_as_the_loop_says():
    rng = np.random.default_rng(5)
    shared = rng.standard_normal((20, 1))[np.unique(UNIT, return_inverse=True)[1]]
    items = pd.DataFrame(rng.standard_normal((60, 3)) + shared, columns=list("ijk"))
    x = items.to_numpy()

    def correlations(w: np.ndarray) -> np.ndarray:
        r = np.cov(x.T, aweights=w, ddof=0)
        size = np.sqrt(np.diag(r))
        return (r / np.outer(size, size))[np.triu_indices(3, 1)]

    draws = sampled(items, items, "pearson", ARRAYS["weights"], ARRAYS["weights"], True, 4000, 2, 0,
                    cluster=UNIT, strata=HOME)  # fmt: skip
    resampled = draws.pairs[0]
    assert resampled[0] == pytest.approx(correlations(SURVEY["w"].to_numpy()))
    # the two differ by terms of second order; without clusters the error would be far less
    assert resampled[1:].std(axis=0) == pytest.approx(np.sqrt(left_out(correlations)), rel=0.15)
    margins = est.compare_marginals(items.round(), items.round() + 1, metrics=["mean_difference"],
                                    per_item=True, n_boot=2, weights=ARRAYS["weights"],
                                    cluster=UNIT, strata=HOME)  # fmt: skip
    assert margins.over == "respondents, within these strata, for these items"


def test_a_resample_has_the_strata_and_the_variance_of_the_plan():
    plan = Strata(np.array([0, 0, 0, 1, 1]), np.array([4, 2]), ["s", "t"])  # one of s is absent
    weight = plan.resamples(20_000, np.random.default_rng(0))
    assert weight.mean(axis=0) == pytest.approx(np.ones(5), abs=0.03)
    assert weight[:, 3:].sum(axis=1) == pytest.approx(np.full(20_000, 2.0))
    # n / (n - 1) times the binomial variance (n - 1) (1 / n) (1 - 1 / n) (n / (n - 1))^2 = 1
    assert weight.var(axis=0) == pytest.approx(np.ones(5), abs=0.05)


# --- subgroups, weights of 0, missing answers ------------------------------------------------


def test_a_subgroup_a_missing_answer_and_a_weight_of_0_are_one_thing():
    inside = (SURVEY["d"] == "a").to_numpy()
    group = est.mean_choice("y", data=SURVEY, by="d", **PLAN)["a, choice"]
    numbers = ["estimate", "std_error", "low", "high", "n", "clusters", "kish_n", "effective_n"]
    expected = group[numbers].astype(float).tolist()
    missing = SURVEY.assign(y=SURVEY["y"].where(inside))
    weightless = SURVEY.assign(w=SURVEY["w"].where(inside, 0.0))
    for frame in (missing, weightless):
        row = est.mean_choice("y", data=frame, **PLAN)["choice"]
        assert row[numbers].astype(float).tolist() == pytest.approx(expected)
    assert group["n"] == inside.sum()
    # dropping the rows drops the cluster 101 that has none of them: another plan
    dropped = est.mean_choice("y", data=SURVEY[inside], **PLAN)["choice"]
    assert dropped["std_error"] != pytest.approx(group["std_error"], rel=1e-6)


def test_a_group_that_the_design_fixes_is_no_subgroup():
    # 2 arms x 2 cells of 2 runs each. Cells within arms: as if the arm were asked alone
    b = np.array([0.1, 0.3, 0.7, 0.9, 0.2, 0.4, 0.5, 0.9])
    arm, cell = np.repeat(["x", "y"], 4), np.tile(np.repeat(["low", "high"], 2), 2)
    both = est.mean_belief(b, by=arm, strata=pd.DataFrame({"arm": arm, "cell": cell}))
    alone = est.mean_belief(b[:4], strata=cell[:4])["belief"]
    assert both["x, belief"]["std_error"] == pytest.approx(alone["std_error"])
    assert not both.notes
    assert est.mean_belief(b, by=arm, strata=cell)["x, belief"]["std_error"] > alone["std_error"]


def test_people_of_weight_0_are_nobody_in_comparisons():
    rng = np.random.default_rng(3)
    humans, model = (pd.DataFrame(rng.standard_normal((40, 3)), columns=list("ijk"))
                     for _ in range(2))  # fmt: skip
    w = pd.Series(np.arange(40) % 4 + 0.0)
    there = w > 0
    more = {"n_boot": 20, "rng": 0}
    for name in ("compare_structure", "compare_marginals"):
        function = getattr(est, name)
        for paired in (False, True):
            found = function(humans.round(), model.round(), weights=w, paired=paired, **more)
            kept = function(humans[there].round(), model[there if paired else w >= 0].round(),
                            weights=w[there], paired=paired, **more)  # fmt: skip
            pd.testing.assert_frame_equal(found.frame, kept.frame)
            assert found.n == 30
            assert any("10 of 40 rows weigh 0" in note for note in found.notes)


def test_surveys_as_good_as_are_drawn_from_weighted_people():
    # weights 1, 1, 12: as if people stood there so often
    humans = pd.DataFrame({"a": [0, 1, 2] * 20, "b": [0, 0, 1, 1, 2, 2] * 10})
    w = [1, 1, 12] * 20
    errors = pd.DataFrame({"estimate": [0.1], "low": [0.05], "high": [0.2]}, ["model"])
    one = est.as_good_as(humans, errors, weights=w)["model"]
    many = est.as_good_as(humans.loc[np.repeat(np.arange(60), w)], errors)["model"]
    assert one["estimate"] == pytest.approx(many["estimate"], rel=0.1)
    plain = est.as_good_as(humans, errors)["model"]
    assert plain["estimate"] > 1.1 * one["estimate"]  # equal shares vary more


# --- effective numbers ------------------------------------------------------------------------


def test_effective_numbers():
    # weights 1, 1, 2: (1 + 1 + 2)^2 / (1 + 1 + 4) = 16 / 6
    few = est.mean_belief([0.2, 0.4, 0.9], weights=[1, 1, 2])["belief"]
    assert few["kish_n"] == pytest.approx(16 / 6)
    equal = est.mean_belief([0.2, 0.4, 0.9, 0.8], weights=[5, 5, 5, 5])["belief"]
    assert equal[["kish_n", "effective_n"]].tolist() == pytest.approx([4, 4])  # design effect 1
    # pairs of equal answers are worth half: G = n / 2 clusters, s^2 / n by n - 1 and not G - 1
    x = np.array([0.2, 0.4, 0.9, 0.8]).repeat(2)
    twins = est.mean_belief(x, weights=np.ones(8), cluster=np.arange(8) // 2)["belief"]
    assert twins["effective_n"] == pytest.approx(8 * (3 / 7))  # 4 * (4 - 1) / 4 * 8 / 7
    assert "kish_n" not in est.mean_belief([0.2, 0.4]).frame


def test_degrees_of_freedom_are_clusters_less_strata():
    plan = Strata(np.repeat([0, 1, 2], 4), np.array([4, 4, 4]), ["a", "b", "c"])
    assert plan.effective(np.ones(12)) - 1 == pytest.approx(12 - 3)
    # the subgroup lies in two clusters of the first stratum only: 2 - 1
    assert plan.effective(np.eye(12)[0] + np.eye(12)[1]) - 1 == pytest.approx(1)
    # a stratum with most of the weight: sizes 9 and 1, variances 81 and 1 times those of equal
    # clusters: 82^2 / (81^2 / 3 + 1 / 3 ) = 3.07, not 6
    two = Strata(np.repeat([0, 1], 4), np.array([4, 4]), ["a", "b"])
    assert two.effective(np.repeat([9.0, 1.0], 4)) - 1 == pytest.approx(82**2 / (6562 / 3))
    assert np.isnan(Strata(np.array([0, 1, 1]), np.array([1, 2]), ["a", "b"]).effective(np.ones(3)))


def test_fits_say_what_the_weights_are_worth():
    human, belief = pd.Series(1.0 + ROW * 7 % 2), np.tile([0.4, 0.6], (60, 1))
    notes = est.individual_fit(human, belief, [1, 2], **ARRAYS).notes
    w = SURVEY["w"]
    kish = w.sum() ** 2 / (w**2).sum()
    assert f"60 rows, worth {kish:.4g} of equal weight (Kish)" in notes
    assert any("20 clusters in 5 strata" in note for note in notes)
    assert est.individual_fit(human, belief, [1, 2]).notes == ()


# --- what is undefined, what is refused ------------------------------------------------------


def test_a_stratum_with_one_cluster_has_no_interval_and_is_named():
    # the stratum 2 has one cluster; the subgroup "b" has no row in it
    frame = SURVEY[(HOME != 2) | (UNIT == 200)].assign(
        d=np.where(HOME == 2, "a", SURVEY["d"])[(HOME != 2) | (UNIT == 200)]
    )
    found = est.mean_choice("y", data=frame, by="d", **PLAN)
    assert np.isnan(found["a, choice"]["low"]) and found["b, choice"]["low"] > 0
    assert found["a, choice"]["estimate"] > 0
    said = "1 of 5 strata have one cluster (the first is '2')"
    assert any(said in note for note in found.notes)
    human, belief = pd.Series(1.0 + np.arange(len(frame)) % 2), np.tile([0.3, 0.7], (len(frame), 1))
    given = {name: frame[column].reset_index(drop=True) for name, column in PLAN.items()}
    fit = est.individual_fit(human, belief, [1, 2], **given)
    margin = est.marginal_fit(human, belief, [1, 2], metrics=["tv", "js"], n_boot=2, **given)
    for result in (fit, margin):
        assert result.frame[["std_error", "low", "high"]].isna().all(axis=None)
        assert result.frame["estimate"].notna().all()
        assert any(said in note for note in result.notes)
    rng = np.random.default_rng(0)
    factor = rng.standard_normal((len(frame), 1))
    items = pd.DataFrame(rng.standard_normal((len(frame), 4)) + 2 * factor, columns=list("ijkl"))
    for paired in (False, True):
        for function in (est.compare_structure, est.compare_networks, est.compare_marginals):
            result = function(items.round(), items.round() + 1, n_boot=20, paired=paired, **given)
            assert result.frame[["low", "high"]].isna().all(axis=None)
            assert any(said in note for note in result.notes)


def test_a_cluster_in_two_strata_is_named():
    said = r"cluster: one lies in several strata, '0' in '0' and '1'; .* join stratum and number"
    numbered = UNIT % 100  # anew in each stratum
    for call in (
        lambda: est.mean_choice(SURVEY["y"], cluster=numbered, strata=HOME),
        lambda: est.individual_fit(
            [1, 2] * 30, [[0.5, 0.5]] * 60, [1, 2], cluster=numbered, strata=HOME
        ),
        lambda: est.compare_structure(
            SURVEY[["y", "v"]], SURVEY[["y", "v"]], cluster=numbered, strata=HOME
        ),
    ):
        with pytest.raises(ValueError, match=said):
            call()
    with pytest.raises(ValueError, match="strata: row 3 has no label"):
        est.mean_choice(SURVEY["y"], strata=SURVEY["stratum"].astype(object).where(ROW != 3))


# --- every estimator with weights ------------------------------------------------------------


def weighted_calls() -> list[str]:
    return sorted(name for name, call in estimator_calls().items()
                  if isinstance(call().get("weights"), pd.Series | list))  # fmt: skip


def numbers_of(result: object) -> np.ndarray:
    table = getattr(result, "frame", result)
    frame = table.select_dtypes("number") if isinstance(table, pd.DataFrame) else table
    return np.asarray(frame, dtype=float)


@pytest.mark.parametrize("name", weighted_calls())
def test_weights_have_no_unit(name):
    """Weights a millionth or a million times as large, and tiny ones, give the same numbers."""
    given = {k: v for k, v in estimator_calls()[name]().items() if v is not None or k == "features"}
    w = np.random.default_rng(0).integers(1, 4, len(given["weights"])).astype(float)
    index = given["weights"].index if isinstance(given["weights"], pd.Series) else None

    def call(weights: np.ndarray) -> np.ndarray:
        series = list(weights) if index is None else pd.Series(weights, index=index)
        return numbers_of(getattr(est, name)(**{**given, "weights": series}))

    expected = call(w)
    for factor in (1e-300, 1e-6, 1e6):
        np.testing.assert_allclose(call(w * factor), expected, rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match=r"weight|no training answer|no rows"):
        call(0 * w)
