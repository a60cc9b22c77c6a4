"""Arguments of one call: paired by label or refused, and refused by name where they are wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from simkit import estimators as est
from simkit.estimators.shared.arguments import checked
from simkit.result import Result
from simkit.types import aligned
from tests.fuzz_calls import estimator_calls

CALLS = estimator_calls()


def numbers(found):
    """All numbers of a result, its quantities in one order."""
    if isinstance(found, Result):
        return found.to_frame().sort_index().select_dtypes("number").to_numpy(float)
    if isinstance(found, dict):
        return np.array([v for v in found.values() if isinstance(v, float)])
    if isinstance(found, pd.DataFrame):
        return found.select_dtypes("number").to_numpy(float)
    return np.asarray(found, dtype=float)


SIDES = {"compare_factors", "compare_marginals", "compare_networks", "compare_selections",
         "compare_structure"}  # fmt: skip


def row_wise():
    """(estimator, argument) where two or more arguments of the call carry an index."""
    pairs = []
    for name, build in CALLS.items():
        indexed = [a for a, v in build().items() if isinstance(v, pd.Series | pd.DataFrame)]
        apart = {"simulated"} if name in SIDES else set()  # other people, in rows of their own
        apart |= {"errors"} if name == "as_good_as" else set()  # of simulations, not of people
        apart |= {"new"}  # respondents who are to be predicted
        pairs += [(name, a) for a in indexed[1:] if a not in apart]
    return pairs


def test_enough_is_tried():
    assert len({name for name, _ in row_wise()}) >= 25


@pytest.mark.parametrize(("name", "argument"), row_wise())
def test_rows_are_paired_by_label(name, argument):
    given = CALLS[name]()
    n = len(given[argument])
    arrays = [a for a, v in given.items() if isinstance(v, list | np.ndarray) and len(v) == n]
    if name in SIDES:  # what is of the simulated is in rows of their own
        arrays = [a for a in arrays if not a.startswith("simulated")]
    given |= {a: pd.Series(given[a]) for a in arrays}
    plain = numbers(getattr(est, name.split(",")[0])(**given))
    turned = given[argument].iloc[np.random.default_rng(0).permutation(n)]
    other = numbers(getattr(est, name.split(",")[0])(**{**given, argument: turned}))
    np.testing.assert_allclose(plain, other, rtol=1e-9)
    strange = given[argument].set_axis([f"r{i}" for i in range(n)])
    with pytest.raises(ValueError, match=r"has a row .* has none.*to_numpy") as refused:
        getattr(est, name.split(",")[0])(**{**given, argument: strange})
    assert argument in str(refused.value)
    for other in arrays:  # an array among them: nothing says whose order is its own
        mixed = {**given, argument: turned, other: given[other].to_numpy()}
        with pytest.raises(ValueError, match=f"{other} has no labels to say whose order"):
            getattr(est, name.split(",")[0])(**mixed)


@pytest.mark.parametrize(
    "name", ["rmse_curve", "efficiency_factor", "share_prediction", "total_variation"]
)
def test_columns_are_paired_by_label(name):
    given = CALLS[name]()
    if name == "total_variation":
        given = {
            a: pd.DataFrame([p], columns=["x", "y", "z"])
            for a, p in {"p": [0.2, 0.3, 0.5], "q": [0.5, 0.25, 0.25]}.items()
        }
    second = list(given)[1]
    plain = numbers(getattr(est, name.split(",")[0])(**given))
    turned = given[second].iloc[:, ::-1]
    np.testing.assert_array_equal(
        plain, numbers(getattr(est, name.split(",")[0])(**{**given, second: turned}))
    )
    strange = given[second].set_axis(["u", "v", "w"], axis=1)
    with pytest.raises(ValueError, match=f"has a column .* and {second} has none"):
        getattr(est, name.split(",")[0])(**{**given, second: strange})


def test_series_of_a_distribution_are_paired_by_category():
    p = pd.Series([0.2, 0.3, 0.5], index=list("abc"))
    q, values = p.iloc[::-1], pd.Series([9.0, 2, 1], index=list("cba"))
    assert est.total_variation(p, q) == 0
    r = pd.Series([0.5, 0.3, 0.2], index=list("abc"))
    # 0.3 of the mass moves from c, at 9, to a, at 1
    assert est.wasserstein(p, r, values) == pytest.approx(0.3 * 8)
    wide = est.wasserstein(p.to_frame().T, r.to_frame().T.to_numpy(), values)
    assert wide == pytest.approx(0.3 * 8)


def test_prices_are_paired_with_their_alternatives():
    given = CALLS["conditional_logit"]()
    plain = est.conditional_logit(**given).frame
    given["price"] = given["price"][["b", "a"]]
    pd.testing.assert_frame_equal(est.conditional_logit(**given).frame, plain)
    given["price"] = given["price"].rename(columns={"b": "c"})
    with pytest.raises(ValueError, match="the last is the one without a price"):
        est.conditional_logit(**given)


def test_repeated_labels_pass_in_one_order_only():
    a = pd.Series([1, 2, 3], index=["x", "x", "y"])
    assert aligned({"a": a, "b": a * 2})["b"].tolist() == [2, 4, 6]
    with pytest.raises(ValueError, match=r"a and b repeat labels.*row 1 is 'x' in one, 'y' in the"):
        aligned({"a": a, "b": a.iloc[[0, 2, 1]]})
    missing = pd.Series([1, 2], index=[0.0, np.nan])
    assert aligned({"a": missing, "b": missing.iloc[::-1]})["b"].tolist() == [1, 2]


def test_paired_and_unpaired_sides():
    given = CALLS["spread_ratio"]()
    given["simulated"] = given["simulated"].iloc[::-1]
    turned = est.spread_ratio(**given).frame
    plain = est.spread_ratio(**CALLS["spread_ratio"]()).frame
    pd.testing.assert_frame_equal(turned, plain)
    given["simulated"] = given["simulated"].set_axis([f"t{i}" for i in range(30)])
    with pytest.raises(ValueError, match="simulated has none"):
        est.spread_ratio(**given)
    est.spread_ratio(**{**given, "paired": False})  # two samples: other people, other labels


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("split_rhat", {"draws": [1.0, 2, 3]}, r"shape \(3,\); it must have shape \(chains, swe"),
        ("split_rhat", {"draws": [[1, 2], [3]]}, "draws has rows of unequal length"),
        ("split_rhat", {"draws": [["a", 2], [3, 4]]}, r"draws\[0, 0\] is 'a'; it must be a fin"),
        ("mean_belief", {"weights": [1e300] * 12}, r"row 0 holds 1e\+300; .* up to 1e\+50"),
        ("mean_belief", {"belief": "yes"}, "belief"),
        ("mean_belief", {"by": [[1]] * 12}, "by"),
        ("mean_belief", {"alpha": "0.05"}, "alpha is '0.05'; it must be a number"),
        ("temperature_curve", {"n_boot": 10**12}, r"n_boot is 1000000000000; .* to 1,000,000"),
        ("demand_curve", {"price": []}, "price has no rows"),
        ("demand_curve", {"price": {"a": 1}}, r"price is \{'a': 1\}; it must be a list"),
        ("compare_structure", {"humans": [[1, 2]]}, "humans is .* must be a DataFrame"),
        ("by_groups", {"items": ["zz"]}, "no column 'zz'; it has"),
        ("balance_audit", {"treatment": "zz"}, "frame has no column 'zz'; it has"),
        ("balance_audit", {"cluster": ["product", "product"]}, "names that differ"),
        ("marginal_fit", {"options": [1.0, None, 3.0]}, "an item of options is None"),
        ("temperature_curve", {"metrics": [3]}, r"metrics is \[3\]; it must be a list"),
        ("compare_marginals", {"scales": {"i": (5, 1)}}, r"scales\[.i.\] is \(5, 1\); it must"),
        ("flatness_ratio", {"truth": "steep"}, "truth is 'steep'; it must be a number"),
        ("chao1", {"sizes": [1.5, 2]}, "sizes holds 1.5; it must hold whole numbers from 0"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(name, change, message):
    with pytest.raises(ValueError, match=message):
        getattr(est, name.split(",")[0])(**{**CALLS[name](), **change})


def test_a_whole_float_counts_and_positions_still_work():
    @checked("a b")
    def both(a, b, n_boot=3):
        """Doc."""
        return a, b, n_boot

    assert both([1], [2], 200.0) == ([1], [2], 200)
    assert both.__doc__ == "Doc."
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'b'"):
        both([1])
