"""The one table: columns by name give what arrays give, and nothing is read twice."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from simkit import estimators as est

OPTIONS = ["a", "b", "c"]


def runs(prompts=4, per=30, seed=1):
    """A table as `sample_runs` returns it: 4 prompts x 30 runs x 3 options."""
    rng = np.random.default_rng(seed)
    belief = rng.dirichlet([1, 2, 3], size=(prompts, per))
    drawn = [[rng.choice(3, p=b) for b in row] for row in belief]
    index = pd.MultiIndex.from_product([range(prompts), range(per), range(3)])
    table = pd.DataFrame(list(index), columns=["prompt_id", "run", "option_id"])
    return table.assign(
        option=[OPTIONS[k] for k in table["option_id"]],
        belief=belief.ravel(),
        choice=np.eye(3)[np.array(drawn)].ravel(),
        tokens=10 + table["prompt_id"],
        price=2.0 + table["prompt_id"],
        wording=table["run"] % 6,
    )


def test_wide_has_a_row_per_run_and_the_options_in_their_order():
    table = runs()
    shuffled = table.sample(frac=1, random_state=0)
    out = est.wide(shuffled)
    assert list(out) == OPTIONS
    assert out.shape == (120, 3)
    first = shuffled.iloc[0]
    assert out.index[0] == (first["prompt_id"], first["run"])
    np.testing.assert_array_equal(
        out.sort_index().to_numpy(), table["belief"].to_numpy().reshape(-1, 3)
    )


def test_options_whose_text_differs_are_named_by_number():
    table = runs(2, 1).assign(option=["$1", "$2", "$3", "$2", "$4", "$6"])
    assert list(est.wide(table)) == [0, 1, 2]


def test_columns_by_name_give_what_arrays_give():
    table = runs()
    choice, belief = est.wide(table, "choice"), est.wide(table)
    at = belief.index.get_level_values("prompt_id").to_numpy()
    pairs = [
        (
            est.efficiency_factor(data=table, tokens="tokens"),
            est.efficiency_factor(choice, belief, condition=at, tokens=10 + at),
        ),
        (
            est.runs_needed(target=[0.02], data=table),
            est.runs_needed(choice, belief, [0.02], condition=at),
        ),
        (
            est.mean_belief(data=table, by="price", cluster="wording"),
            est.mean_belief(
                belief,
                by=pd.Series(2.0 + at, belief.index, name="price"),
                cluster=belief.index.get_level_values("run").to_numpy() % 6,
            ),
        ),
    ]
    one = table[table["option"] == "a"]
    pairs.append(
        (
            est.demand_curve(cluster="wording", data=one),
            est.demand_curve(one["price"], one["belief"], cluster=one["wording"]),
        )
    )
    for named, arrays in pairs:
        pd.testing.assert_frame_equal(named.to_frame(), arrays.to_frame())


def test_a_column_that_differs_between_options_is_laid_out_too():
    table = runs()
    table["price"] = 2.0 + 0.5 * table["option_id"] * (1 + table["prompt_id"] % 3)
    at = est.wide(table).index.get_level_values("prompt_id").to_numpy()
    named = est.conditional_logit(data=table)
    arrays = est.conditional_logit(est.wide(table), est.wide(table, "price"), condition=at)
    pd.testing.assert_frame_equal(named.to_frame(), arrays.to_frame())


def test_tables_of_one_option_may_be_put_together():
    # prompts 0 to 3 of two strategies: their numbers recur, their rows do not
    one = runs().query("option == 'a'")
    both = pd.concat([one.assign(strategy=s) for s in ("blind", "told")], ignore_index=True)
    named = est.demand_curve(groups="strategy", data=both)
    arrays = est.demand_curve(both["price"], both["belief"], groups=both["strategy"])
    pd.testing.assert_frame_equal(named.to_frame(), arrays.to_frame())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda t: est.demand_curve(data=t), 'keep the rows of one, as by data.query\\("option'),
        (lambda t: est.demand_curve(), "price is 'price', the name of a column: give data="),
        (lambda t: est.mean_belief(data=t, by="colour"), "no column 'colour'; it has prompt_id"),
        (lambda t: est.mean_belief(t["belief"], cluster="wording"), "cluster is 'wording'"),
        (lambda t: est.wide(pd.concat([t, t])), "two rows for {'prompt_id': 0, 'run': 0"),
        (lambda t: est.wide(t.drop(columns=["option", "option_id"])), "must have prompt_id"),
        (lambda t: est.wide(t, "colour"), "no column 'colour'"),
        (lambda t: est.mean_belief(data=t, by=["price", "option_id"]), "'option_id' differs"),
        (lambda t: est.mean_belief(data=3), "data"),
    ],
)
def test_what_is_not_there_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call(runs())
