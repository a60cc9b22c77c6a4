"""Copies of a prompt count as one: the right interval is that of the distinct prompts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from simkit import estimators as est

DISTINCT, COPIES = 6, 4
SHOWN = ["estimate", "std_error", "low", "high"]


def once(seed=0):
    """Exact beliefs of six phrasings at four prices of two products."""
    rng = np.random.default_rng(seed)
    grid = pd.MultiIndex.from_product(
        [range(DISTINCT), ["tea", "jam"], [1.0, 2, 3, 4]], names=["wording", "product", "price"]
    ).to_frame(index=False)
    eta = 1 - 0.6 * grid["price"] + rng.normal(0, 0.5, DISTINCT)[grid["wording"]]
    heat = rng.normal(0, 0.1, len(grid)) + 0.3 * grid["price"]
    return grid.assign(
        buys=expit(eta), heat=heat, heat_sd=1.0, truth=expit(0.5 - grid["price"] / 2)
    )


def copied(frame, copies=COPIES):
    """The same prompts several times, each time under another phrasing's number."""
    parts = [frame.assign(wording=frame["wording"] + DISTINCT * k) for k in range(copies)]
    return pd.concat(parts, ignore_index=True)


CALLS = {
    "demand_curve": lambda f: est.demand_curve(
        f["price"], f["buys"], groups=f["product"], cluster=f["wording"]
    ),
    "curve_error": lambda f: est.curve_error(
        f["price"], f["buys"], f["truth"], products=f["product"], cluster=f["wording"]
    ),
    "price_coefficient": lambda f: est.price_coefficient(
        f["price"], f["buys"], products=f["product"], cluster=f["wording"]
    ),
    "own_price_elasticity": lambda f: est.own_price_elasticity(
        f["price"], f["buys"], at=[2, 3], cluster=f["wording"]
    ),
    "flatness_ratio": lambda f: est.flatness_ratio(
        est.price_coefficient(f["price"], f["buys"], cluster=f["wording"]), -0.6
    ),
    "step_test": lambda f: est.step_test(f["price"], f["buys"], 2.5, cluster=f["wording"]),
    "balance_audit": lambda f: est.balance_audit(
        f, covariates=["heat"], strata="product", cluster="wording"
    ),
    "elicited_curve": lambda f: est.elicited_curve(
        f, covariates=["heat"], by=["product"], cluster="wording"
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_copies_give_the_interval_of_the_distinct(name):
    first, again = CALLS[name](once()), CALLS[name](copied(once()))
    np.testing.assert_allclose(
        again.frame[SHOWN].astype(float), first.frame[SHOWN].astype(float), atol=1e-9
    )
    if name != "flatness_ratio":  # of a result, whose own notes say it
        assert any(" of them distinct" in note for note in again.notes)
        assert not any(" of them distinct" in note for note in first.notes)
        assert " of them distinct" in again.summary()


@pytest.mark.parametrize("name", CALLS)
def test_copies_of_one_prompt_have_no_interval(name):
    frame = copied(once().query("wording == 0"), copies=8)
    result = CALLS[name](frame)
    table = result.frame.drop(index=["joint_wald"], errors="ignore")[SHOWN].astype(float)
    assert table["estimate"].notna().all()
    assert table[["std_error", "low", "high"]].isna().all(axis=None)
    assert result.notes


def test_copies_in_one_group_only():
    # blind prompts know two texts, the others six: merged where they are copies, not elsewhere
    blind, other = once().query("wording < 2"), once(1)
    frame = pd.concat([copied(blind, 3).assign(s="blind"), other.assign(s="other")])
    found = est.demand_curve(frame["price"], frame["buys"], groups=frame["s"],
                             cluster=frame["wording"]).frame  # fmt: skip
    assert found.loc[found["s"] == "blind", "clusters"].tolist() == [2] * 4
    assert found.loc[found["s"] == "other", "clusters"].tolist() == [6] * 4


def test_choices_are_left_alone():
    # fifty clusters of four draws: most agree with some other by chance, and all are data
    rng = np.random.default_rng(2)
    price, cluster = np.tile([1.0, 2, 3, 4], 50), np.repeat(np.arange(50), 4)
    found = est.demand_curve(price, rng.integers(0, 2, 200), cluster=cluster)
    assert (found.frame["clusters"] == 50).all()
    assert found.notes == ()
    fit = est.price_coefficient(price, rng.integers(0, 2, 200), cluster=cluster)
    assert fit.frame["df"].iloc[0] == pytest.approx(49)
    drawn = pd.DataFrame({"price": price, "w": cluster, "c": rng.integers(0, 2, 200), "c_sd": 0.0})
    audit = est.balance_audit(drawn, covariates=["c"], cluster="w")
    assert audit["slope[c]"]["df"] == pytest.approx(49)


def test_rows_without_a_cluster_are_told_apart_too():
    price, buys = [1.0, 1, 1, 2, 2, 2], [0.61, 0.61, 0.58, 0.4, 0.4, 0.37]
    found = est.demand_curve(price, buys).frame
    assert found["clusters"].tolist() == [2, 2]
    assert found["estimate"].tolist() == pytest.approx([0.6, 0.39])  # every row keeps its weight


def test_weights_and_covariates_tell_prompts_apart():
    price, buys = [1.0, 2, 1, 2], [0.6, 0.4, 0.6, 0.4]
    cluster = [0, 0, 1, 1]
    assert est.demand_curve(price, buys, cluster=cluster).frame["clusters"].tolist() == [1, 1]
    apart = est.demand_curve(price, buys, cluster=cluster, weights=[1, 1, 2, 2])
    assert apart.frame["clusters"].tolist() == [2, 2]


def varied(spread):
    """Two products more, all with answers of their own."""
    rng = np.random.default_rng(3)
    parts = [once().assign(product=lambda d, j=j: d["product"] + str(j)) for j in range(2)]
    frame = pd.concat(parts, ignore_index=True)
    buys = expit(np.log(frame["buys"] / (1 - frame["buys"])) + rng.normal(0, 0.1, len(frame)))
    return frame.assign(heat=rng.normal(frame["price"], 0.1), heat_sd=spread, buys=buys)


AUDITS = {
    "balance_audit": CALLS["balance_audit"],
    "elicited_curve": CALLS["elicited_curve"],
    "crossed": lambda f: est.balance_audit(
        f, covariates=["heat"], strata="product", cluster=["product", "wording"]
    ),
}


@pytest.mark.parametrize("name", AUDITS)
@pytest.mark.parametrize("distinct", [2, 6])
def test_answers_without_a_spread_may_be_copies(name, distinct):
    frame = varied(0.0).query("wording < @distinct")
    copies = copied(frame)
    if name != "elicited_curve" and distinct < 3:
        pairs = AUDITS[name](copies)  # two prompts: no test, and no interval of one factor
        assert any(
            f"wording: {4 * distinct} clusters, {distinct} of them" in n for n in pairs.notes
        )
        return
    first, again = AUDITS[name](frame), AUDITS[name](copies)
    np.testing.assert_allclose(
        again.frame[SHOWN].astype(float), first.frame[SHOWN].astype(float), atol=1e-9
    )


PRODUCTS = {
    "balance_audit": lambda f, unit: est.balance_audit(
        f, covariates=["heat"], strata="product", cluster=unit
    ),
    "curve_error": lambda f, unit: est.curve_error(
        f["price"], f["buys"], f["truth"], products=f["product"], cluster=f[unit]
    ),
    "price_coefficient": lambda f, unit: est.price_coefficient(
        f["price"], f["buys"], products=f["product"], cluster=f[unit]
    ),
}


@pytest.mark.parametrize("unit", [["product"], ["product", "wording"]])
@pytest.mark.parametrize("spread", [0.0, 1.0])
@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_under_three_names_is_one(name, spread, unit):
    # where the products are the strata, a name alone makes no product another one
    frame = varied(spread)
    parts = [frame.assign(product=frame["product"] + "abc"[k]) for k in range(3)]
    first, again = (PRODUCTS[name](f, unit) for f in (frame, pd.concat(parts, ignore_index=True)))
    rows = [i for i in first.frame.index if not i.startswith(("product=", "const"))]
    np.testing.assert_allclose(
        again.frame.loc[rows, SHOWN].astype(float), first.frame.loc[rows, SHOWN].astype(float),
        rtol=2e-3,  # a logit without a product is one Newton step from the whole
    )  # fmt: skip
    assert any("product: 12 clusters, 4 of them distinct" in note for note in again.notes)
