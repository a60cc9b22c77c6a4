"""Baselines: known values, truth recovery, and what bad input says."""

import numpy as np
import pandas as pd
import pytest

from simkit import estimators as est

OPTIONS = ["no", "maybe", "yes"]
ANSWERS = ["yes", "yes", "no", None, "maybe"]
FEATURES = pd.DataFrame({"age": [20, 30, 60, 40, 40], "sex": ["m", "f", "m", "f", "f"]})
NEW = pd.DataFrame({"age": [25, 60], "sex": ["f", "m"]}, index=["p", "q"])


def test_uniform_by_hand():
    table = est.uniform_belief(NEW, OPTIONS)
    assert list(table.index) == ["p", "q"] and list(table) == OPTIONS
    assert table.to_numpy() == pytest.approx(np.full((2, 3), 1 / 3))
    assert len(est.uniform_belief(4, OPTIONS)) == 4


def test_marginal_by_hand():
    table = est.marginal_belief(ANSWERS, 2, OPTIONS)
    assert table.iloc[1].tolist() == [0.25, 0.25, 0.5]  # 1, 1 and 2 of the 4 answers
    assert table.attrs["notes"] == ("1 of 5 training answers missing, or of weight 0",)
    heavy = est.marginal_belief(ANSWERS, 1, OPTIONS, weights=[3, 1, 2, 9, 2])
    assert heavy.iloc[0].tolist() == [0.25, 0.25, 0.5]  # 2, 2 and 4 of 8
    some = est.marginal_belief(ANSWERS, 1, OPTIONS, pseudo=2)
    assert some.iloc[0].tolist() == pytest.approx([0.3, 0.3, 0.4])  # (1+2, 1+2, 2+2) / 10


def test_neighbours_by_hand():
    # Range of age 40. p (25, f) against rows 0 1 2 4: (5/40+1)/2, 5/80, (35/40+1)/2, 15/80.
    one = est.neighbour_belief(ANSWERS, FEATURES, NEW, OPTIONS)
    assert one.loc["p"].tolist() == [0, 0, 1]  # row 1
    assert one.loc["q"].tolist() == [1, 0, 0]  # row 2: the same age and sex
    two = est.neighbour_belief(ANSWERS, FEATURES, NEW, OPTIONS, neighbours=2)
    assert two.loc["p"].tolist() == [0, 0.5, 0.5]  # rows 1 and 4
    heavy = est.neighbour_belief(
        ANSWERS, FEATURES, NEW, OPTIONS, neighbours=2, weights=[1, 3, 1, 1, 1]
    )
    assert heavy.loc["p"].tolist() == pytest.approx([0, 0.25, 0.75])
    soft = est.neighbour_belief(ANSWERS, FEATURES, NEW, OPTIONS, pseudo=1)
    assert soft.loc["p"].tolist() == [0.25, 0.25, 0.5]


def test_all_who_are_as_near_count():
    features = pd.DataFrame({"sex": ["m", "m", "f"]})
    table = est.neighbour_belief(
        ["no", "yes", "maybe"], features, pd.DataFrame({"sex": ["m"]}), OPTIONS
    )
    assert table.iloc[0].tolist() == [0.5, 0, 0.5]


def test_as_many_neighbours_as_people_is_the_marginal():
    every = est.neighbour_belief(ANSWERS, FEATURES, NEW, OPTIONS, neighbours=4)
    share = est.marginal_belief(ANSWERS, NEW, OPTIONS)
    pd.testing.assert_frame_equal(every, share)


def test_missing_features_take_no_part_in_the_distance():
    features = pd.DataFrame({"age": [np.nan, 30.0, 50.0], "sex": ["f", None, "m"]})
    new = pd.DataFrame({"age": [50.0], "sex": ["f"]})
    # distances: sex alone 0; age alone 20/20 = 1; (0 + 1)/2
    table = est.neighbour_belief(["no", "yes", "maybe"], features, new, OPTIONS)
    assert table.iloc[0].tolist() == [1, 0, 0]


def population(n, rng, k=4):
    """Ordered answers by cumulative logits of a number and a group; their exact chances."""
    frame = pd.DataFrame({"x": rng.normal(3, 2, n), "group": rng.choice(["a", "b", "c"], n)})
    lean = 0.6 * frame["x"] + frame["group"].map({"a": 0.0, "b": 1.0, "c": -1.5})
    cuts = np.array([0.0, 1.5, 3.0])[: k - 1]
    above = 1 / (1 + np.exp(cuts - lean.to_numpy()[:, None]))
    edges = np.concatenate([np.ones((n, 1)), above, np.zeros((n, 1))], axis=1)
    chance = -np.diff(edges, axis=1)
    drawn = (chance.cumsum(1) < rng.random((n, 1))).sum(1)
    return frame, chance, drawn


def test_ordered_logit_recovers_the_truth():
    rng = np.random.default_rng(4)
    known, _, drawn = population(2_000, rng)
    new, chance, _ = population(70, rng)
    table = est.logit_belief(drawn, known, new, [0, 1, 2, 3])
    # standard errors of a chance are near sqrt(0.25 / 2000) = 0.011 times a few parameters
    assert np.abs(table.to_numpy() - chance).mean() < 0.02
    assert table.attrs["notes"] == ()
    shuffled = est.logit_belief(drawn, known, new, [2, 0, 3, 1])  # the order is part of the model
    assert np.abs(shuffled[[0, 1, 2, 3]].to_numpy() - chance).mean() > 0.05


def test_the_gradient_is_that_of_the_likelihood():
    from scipy.optimize import check_grad
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    from simkit.estimators.population.baselines import _with_gradient

    rng = np.random.default_rng(2)
    known, _, drawn = population(90, rng)
    kinds = pd.Series(pd.Categorical(drawn, ordered=True))
    model = _with_gradient(OrderedModel)(kinds, known[["x"]].to_numpy(), distr="logit")
    at = np.array([0.4, -0.2, 0.1, 0.3])
    size = np.abs(model.score(at)).max()
    assert check_grad(model.loglike, model.score, at) < 1e-4 * size


def test_multinomial_logit_recovers_the_truth():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2_060, 1))
    utility = np.hstack([0 * x, 0.5 + x, -0.5 - 2 * x])
    chance = np.exp(utility) / np.exp(utility).sum(1, keepdims=True)
    drawn = (chance.cumsum(1) < rng.random((len(x), 1))).sum(1)
    frame = pd.DataFrame(x, columns=["x"])
    table = est.logit_belief(drawn[60:], frame[60:], frame[:60], [0, 1, 2], ordered=False)
    assert np.abs(table.to_numpy() - chance[:60]).mean() < 0.02
    ordered = est.logit_belief(drawn[60:], frame[60:], frame[:60], [0, 1, 2])
    assert np.abs(ordered.to_numpy() - chance[:60]).mean() > 0.05


def test_two_options_are_one_model():
    rng = np.random.default_rng(6)
    known, _, drawn = population(400, rng, k=2)
    new = known.head(30)
    both = [est.logit_belief(drawn, known, new, [0, 1], ordered=o) for o in (True, False)]
    assert both[0].to_numpy() == pytest.approx(both[1].to_numpy(), abs=1e-3)


def test_logit_pseudo_and_options_that_nobody_chose():
    rng = np.random.default_rng(7)
    known, _, drawn = population(300, rng)
    plain = est.logit_belief(drawn, known, known.head(5), [0, 1, 2, 3, 9])
    assert (plain[9] == 0).all()
    assert plain.attrs["notes"] == ("1 of 5 options that no training respondent chose: "
                                    "probability 0",)  # fmt: skip
    soft = est.logit_belief(drawn, known, known.head(5), [0, 1, 2, 3, 9], pseudo=2)
    assert soft.to_numpy() == pytest.approx((300 * plain.to_numpy() + 2) / 310)


def test_separation_is_said():
    known = pd.DataFrame({"x": np.arange(40.0)})
    table = est.logit_belief([0] * 20 + [1] * 20, known, known, [0, 1])
    assert any("separates" in note or "not found" in note for note in table.attrs["notes"])
    assert table.to_numpy().sum(1) == pytest.approx(1)


def test_without_features_the_logit_is_the_marginal():
    features = pd.DataFrame({"same": ["a"] * 4, "one": [1.0] * 4})
    found = est.logit_belief(["yes", "yes", "no", "maybe"], features, features.head(2), OPTIONS)
    assert found.iloc[0].tolist() == [0.25, 0.25, 0.5]


def test_baselines_go_into_the_fits():
    rng = np.random.default_rng(8)
    known, _, drawn = population(500, rng)
    new, _, held = population(200, rng)
    better = est.logit_belief(drawn, known, new, [0, 1, 2, 3])
    worse = est.marginal_belief(drawn, new, [0, 1, 2, 3])
    scale = [0, 1, 2, 3]
    errors = [est.individual_fit(held, b, scale)["rmse"]["estimate"] for b in (better, worse)]
    assert errors[0] < errors[1]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: est.marginal_belief(["yes", "perhaps"], 1, OPTIONS), "row 1 holds 'perhaps'"),
        (lambda: est.marginal_belief([None], 1, OPTIONS), "no training answer is left"),
        (lambda: est.marginal_belief(ANSWERS, 1, OPTIONS, pseudo=-1), "pseudo is -1"),
        (lambda: est.marginal_belief(ANSWERS, 1, OPTIONS, weights=[1]), "weights has 1 rows"),
        (lambda: est.uniform_belief(0, OPTIONS), "0 new respondents"),
        (lambda: est.uniform_belief(2, ["a", "a"]), "that differ"),
        (lambda: est.neighbour_belief(ANSWERS, FEATURES, NEW[["sex"]], OPTIONS), "they must be"),
        (lambda: est.neighbour_belief(ANSWERS, FEATURES, NEW, OPTIONS, neighbours=5), "1 to 4"),
        (lambda: est.neighbour_belief(ANSWERS, FEATURES[:2], NEW, OPTIONS), "2 rows; .* have 5"),
        (lambda: est.logit_belief(["no"] * 5, FEATURES, NEW, OPTIONS), "all answers are 'no'"),
        (lambda: est.logit_belief(ANSWERS, FEATURES, NEW.assign(sex="x"), OPTIONS), "holds 'x'"),
        (lambda: est.logit_belief(ANSWERS, FEATURES, NEW[:0], OPTIONS), "new has no rows"),
    ],
)
def test_bad_input_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
