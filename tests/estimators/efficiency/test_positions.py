"""Positional effect: known values, recovery, coverage, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.estimators import positional_effect

pytestmark = pytest.mark.filterwarnings("error")
NAMES = ("tea", "milk", "rye")


def shifts(k):
    return (np.arange(k) + np.arange(k)[:, None]) % k  # (order, place) -> option


def raw_table(listed, orders=None, **design):
    """A table as `believe(..., average=False)` gives it; listed[i, o, j] is the belief in what
    stands at place j of order o of prompt i."""
    n, o, k = listed.shape
    orders = shifts(k) if orders is None else np.asarray(orders)
    prompt, order, place = (a.ravel() for a in np.indices((n, o, k)))
    option = orders[order, place]
    table = pd.DataFrame(
        {
            "prompt_id": prompt,
            "order": order,
            "position": place,
            "option": [f"o{i}" for i in option],
            "option_id": option,
            "belief": listed.ravel(),
        }
    )
    for name, values in design.items():
        table[name] = np.repeat(values, o * k)
    return table.sort_values(["prompt_id", "order", "option_id"], ignore_index=True)


def simulated(rng, n, pull, *, taste=1.0, noise=0.4):
    """Beliefs by taste for the content, a pull of the place, and a pull that varies by prompt."""
    k = len(pull)
    content = taste * rng.normal(size=(n, 1, k))
    own = noise * rng.normal(size=(n, 1, k))
    weight = np.exp(np.take_along_axis(content, shifts(k)[None], axis=2) + pull + own)
    return weight / weight.sum(axis=2, keepdims=True)


def test_known_values():
    # Prompt 0: 0.6 and 0.5 at place 0 (mean 0.55); prompt 1: 0.7 and 0.8 (0.75).
    listed = np.array([[[0.6, 0.4], [0.5, 0.5]], [[0.7, 0.3], [0.8, 0.2]]])
    result = positional_effect(raw_table(listed))
    # Effects 0.05 and 0.25: mean 0.15, sd 0.2 / sqrt 2, so the standard error is 0.1
    row = result["position[0]"]
    assert row["estimate"] == pytest.approx(0.15)
    assert row["std_error"] == pytest.approx(0.1)
    assert row["df"] == 1
    # t(0.975, 1) = 12.7062
    assert (row["low"], row["high"]) == pytest.approx((0.15 - 1.27062, 0.15 + 1.27062), abs=1e-4)
    assert result["position[1]"]["estimate"] == pytest.approx(-0.15)
    # Two places are one comparison: no Bonferroni factor, p as pointwise.
    worst = result["largest_effect"]
    assert worst["estimate"] == pytest.approx(0.15)
    assert (worst["low"], worst["high"]) == pytest.approx((0, row["high"]), abs=1e-4)
    assert worst["p"] == pytest.approx(row["p"])
    # Order 1 lists o1, o0. o0: 0.6 then 0.5, and 0.7 then 0.2; o1: 0.4 then 0.5, 0.3 then 0.8
    assert result["order_range[o0]"]["estimate"] == pytest.approx((0.1 + 0.5) / 2)
    assert result["order_range[o1]"]["estimate"] == pytest.approx((0.1 + 0.5) / 2)
    assert result["order_range[o0]"]["low"] == 0
    assert result.n == 2
    assert result.to_frame()["quantity"].tolist() == (
        ["position"] * 2 + ["largest_effect"] + ["order_range"] * 2
    )


def test_content_alone_has_no_effect():
    rng = np.random.default_rng(4)
    table = raw_table(simulated(rng, 7, np.zeros(3), taste=2, noise=0))
    result = positional_effect(table)
    places = result.to_frame().query("quantity == 'position'")
    assert places["estimate"].tolist() == [0, 0, 0]
    assert places["p"].tolist() == [1, 1, 1]
    worst = result["largest_effect"]
    assert (worst["estimate"], worst["low"], worst["high"], worst["p"]) == (0, 0, 0, 1)
    ranges = result.to_frame().query("quantity == 'order_range'")["estimate"]
    np.testing.assert_allclose(ranges, 0, atol=1e-9)


def test_bonferroni_by_hand():
    rng = np.random.default_rng(5)
    table = raw_table(simulated(rng, 12, np.array([0.8, 0, -0.3, 0.1])))
    places = positional_effect(table).to_frame().iloc[:4]
    worst = positional_effect(table)["largest_effect"]
    # Simultaneous intervals of 4 places at 5 % are pointwise ones at 1.25 %.
    wide = positional_effect(table, alpha=0.05 / 4).to_frame().iloc[:4]
    ends = np.abs(wide[["low", "high"]])
    crosses = (wide["low"] <= 0) & (wide["high"] >= 0)
    assert worst["high"] == pytest.approx(ends.max(axis=1).max())
    assert worst["low"] == pytest.approx(ends.min(axis=1).where(~crosses, 0).max())
    assert worst["p"] == pytest.approx(4 * places["p"].min())
    assert worst["position"] == places["estimate"].abs().to_numpy().argmax()
    assert places["estimate"].sum() == pytest.approx(0, abs=1e-12)


def test_row_order_and_labels_change_nothing():
    rng = np.random.default_rng(6)
    table = raw_table(simulated(rng, 5, np.array([0.5, 0, 0])))
    mixed = table.sample(frac=1, random_state=2).assign(
        prompt_id=lambda t: "p" + t["prompt_id"].astype(str)
    )
    one, two = (positional_effect(t).to_frame().sort_index() for t in (table, mixed))
    pd.testing.assert_frame_equal(one, two, check_exact=False)


def test_all_permutations_balance_as_well():
    # Every option is at every place in two of the six orders. Place 0 draws 0.1, content the rest.
    orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    content = np.array([0.6, 0.2, 0.1])
    listed = content[np.array(orders)] + np.array([0.1, 0, 0])
    result = positional_effect(raw_table(np.stack([listed] * 4), orders))
    # Content at any place: 0.9 / 3 = 0.3. Effects 0.4 - 1/3 and 0.3 - 1/3
    expected = [0.4 - 1 / 3, 0.3 - 1 / 3, 0.3 - 1 / 3]
    assert result.to_frame()["estimate"].tolist()[:3] == pytest.approx(expected)


def test_cluster_and_alpha_change_the_interval():
    rng = np.random.default_rng(7)
    listed = np.repeat(simulated(rng, 6, np.array([0.5, 0, 0])), 4, axis=0)
    table = raw_table(listed, wording=np.repeat(np.arange(6), 4), who=np.tile([0, 1, 2, 3], 6))
    copied, clustered = positional_effect(table), positional_effect(table, cluster="wording")
    once = positional_effect(raw_table(listed[::4]))
    # Four copies of a prompt are one prompt, whether a cluster says so or not.
    for name in ("std_error", "df", "low", "high"):
        assert clustered["position[0]"][name] == pytest.approx(once["position[0]"][name])
        assert copied["position[0]"][name] == pytest.approx(once["position[0]"][name])
    assert any("24 clusters, 6 of them distinct" in note for note in copied.notes)
    table["belief"] += np.where(table["option_id"] == 0, 1, -0.5) * 1e-10 * table["prompt_id"]
    plain = positional_effect(table)
    assert plain["position[0]"]["df"] == 23
    both = positional_effect(table, cluster=["wording", "who"])
    assert both["position[0]"]["std_error"] == pytest.approx(plain["position[0]"]["std_error"])
    wide = positional_effect(table, alpha=0.01)
    assert wide.interval("position[0]")[1] > plain.interval("position[0]")[1]
    assert wide.interval("largest_effect")[1] > plain.interval("largest_effect")[1]


def test_undefined_prompts_are_counted_and_one_prompt_has_no_interval():
    rng = np.random.default_rng(8)
    listed = simulated(rng, 4, np.array([0.5, 0, 0]))
    gone = listed.copy()
    gone[2, 1] = np.nan
    result = positional_effect(raw_table(gone))
    assert result.n == 3
    assert result.notes == ("1 of 4 prompts skipped: belief undefined",)
    kept = positional_effect(raw_table(listed[[0, 1, 3]])).to_frame()
    pd.testing.assert_frame_equal(result.to_frame(), kept)
    alone = positional_effect(raw_table(listed[:1]))
    assert alone["position[0]"]["estimate"] == pytest.approx(listed[0, :, 0].mean() - 1 / 3)
    for name in ("position[0]", "largest_effect", "order_range[o0]"):
        assert np.isnan(alone.interval(name)).all()
    with pytest.raises(ValueError, match="the belief of all 4 is undefined"):
        positional_effect(raw_table(np.full_like(listed, np.nan)))


def test_options_are_named_by_number_where_their_texts_vary():
    rng = np.random.default_rng(9)
    table = raw_table(simulated(rng, 3, np.zeros(3)))
    table["option"] += table["prompt_id"].astype(str)
    names = positional_effect(table).to_frame().index
    assert list(names[-3:]) == ["order_range[0]", "order_range[1]", "order_range[2]"]


def test_models_in_one_table_are_other_prompts():
    rng = np.random.default_rng(10)
    one, two = (raw_table(simulated(rng, 4, np.zeros(3))).assign(model=m) for m in "ab")
    assert positional_effect(pd.concat([one, two], ignore_index=True)).n == 8


def good():
    return raw_table(simulated(np.random.default_rng(11), 3, np.zeros(3)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="position"), r"no column 'position'.*average=False"),
        (lambda t: t[t["order"] < 2], r"prompt \{'prompt_id': 0\}: its 3 options do not stand"),
        (lambda t: t[t["order"] < 1], "do not stand equally often"),
        (lambda t: t.iloc[:-1], r"prompt \{'prompt_id': 2\}"),
        (lambda t: t.assign(belief=t["belief"] * 9), "belief: row 1 holds 5.9"),
        (
            lambda t: t.assign(position=t["position"] + 1),
            "position: row 2 holds 3; it must be a whole number from 0 to 2",
        ),
        (lambda t: t.assign(position=-1), "position: row 0 holds -1"),
        (lambda t: t.assign(position=t["position"] + 0.5), "position: row 0 holds 0.5"),
        (lambda t: t.assign(option_id=None), "option_id: row 0 has no label"),
    ],
)
def test_bad_tables_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        positional_effect(change(good()))


def test_bad_clusters_are_named():
    with pytest.raises(ValueError, match="no column 'wording'"):
        positional_effect(good(), cluster="wording")
    with pytest.raises(ValueError, match=r"cluster: row 3 differs in \['order'\]"):
        positional_effect(good(), cluster="order")


def test_unequal_clusters_have_fewer_degrees_of_freedom():
    # 1, 2 and 12 prompts: 15^2 / (1 + 4 + 144) = 1.51 effective wordings, 1 degree of freedom; with
    # clusters - 1 = 2 a test of no effect rejected in 0.083
    listed = simulated(np.random.default_rng(3), 15, np.zeros(3))
    wording = np.repeat([0, 1, 2], [1, 2, 12])
    result = positional_effect(raw_table(listed, wording=wording), cluster="wording")
    assert result.frame["df"].tolist() == [1] * 7
    assert result.notes[0].startswith("1.5 effective clusters")
    assert result.over == "wording (3)"
    even = positional_effect(raw_table(listed, wording=np.arange(15) % 5), cluster="wording")
    assert even.frame["df"].tolist() == [4] * 7 and not even.notes
    assert positional_effect(raw_table(listed)).over == "prompts"


@settings(max_examples=25)
@given(st.integers(2, 5), st.integers(1, 6), st.integers(0, 10_000))
def test_effects_sum_to_zero_and_stay_in_range(k, n, seed):
    rng = np.random.default_rng(seed)
    result = positional_effect(raw_table(simulated(rng, n, rng.normal(size=k))))
    effects = result.to_frame()["estimate"].to_numpy()
    assert effects[:k].sum() == pytest.approx(0, abs=1e-7)
    assert (effects[:k] >= -1 / k).all()
    assert effects[k] == pytest.approx(np.abs(effects[:k]).max())
    assert ((effects[k + 1 :] >= 0) & (effects[k + 1 :] <= 1)).all()


def covered(repeats, prompts):
    """How often the intervals hold the truth, and how often a null effect is called one."""
    pull = np.array([0.7, 0.0, -0.2])
    truth = simulated(np.random.default_rng(0), 200_000, pull).mean(axis=(0, 1)) - 1 / 3
    rng = np.random.default_rng(12)
    hits, wrong = np.zeros(4, dtype=int), 0
    for _ in range(repeats):
        result = positional_effect(raw_table(simulated(rng, prompts, pull)))
        ends = result.to_frame()[["low", "high"]].to_numpy()
        aim = np.append(truth, np.abs(truth).max())
        hits += (ends[:4, 0] <= aim) & (aim <= ends[:4, 1])
        null = positional_effect(raw_table(simulated(rng, prompts, np.zeros(3))))
        wrong += null["largest_effect"]["low"] > 0
    return hits, wrong


def test_intervals_cover():
    hits, wrong = covered(60, 14)
    # binomial(60, 0.95): mean 57, sd 1.7; the interval of the largest covers more
    assert (hits[:3] >= 57 - 3.5 * 1.7).all()
    assert hits[3] >= 57 - 3.5 * 1.7
    assert wrong <= 3 + 3.5 * 1.7


@pytest.mark.slow
@pytest.mark.parametrize("prompts", [6, 60])
def test_intervals_cover_at_length(prompts):
    hits, wrong = covered(500, prompts)
    # binomial(500, 0.95): mean 475, sd 4.9
    assert (np.abs(hits[:3] - 475) <= 3.5 * 4.9).all()
    assert hits[3] >= 475 - 3.5 * 4.9
    assert wrong <= 25 + 3.5 * 4.9
