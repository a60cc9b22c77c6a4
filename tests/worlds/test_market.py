"""The market world: the two readings of a price, its text, its brand choices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.worlds import brands, market
from simkit.worlds.corpus import HELD_OUT, MIXTURE, corpus, prompts


def test_blind_is_flatter_than_causal() -> None:
    blind = market.exact(market.design())[:, 0].reshape(3, 10)
    causal = market.exact(market.design(experiment="all days"))[:, 0].reshape(3, 10)
    assert (np.diff(causal, axis=1) < 0).all()  # set the price higher and fewer buy, everywhere
    assert (np.ptp(blind, axis=1) < 0.5 * np.ptp(causal, axis=1)).all()
    assert (np.diff(blind[:2], axis=1) > 0).any(axis=1).all()  # it even rises in between


def test_adjusting_for_all_covariates_gives_the_causal_curve() -> None:
    # Back-door: sum_c P(c) P(buy | price, c) = P(buy | do(price)).
    profiles = market.covariate_profiles(product="hot soup")
    assert profiles["weight"].sum() == pytest.approx(1)
    rows = market.design(["hot soup"], [2.0, 4.5]).merge(profiles, how="cross")
    adjusted = (market.exact(rows)[:, 0] * rows["weight"]).groupby(rows["price"]).sum()
    causal = market.exact(market.design(["hot soup"], [2.0, 4.5], experiment="all days"))[:, 0]
    np.testing.assert_allclose(adjusted, causal)


def test_experiment_makes_covariates_independent_of_the_price() -> None:
    design = market.design(["ice cream"], experiment="all days")
    for name in market.COVARIATES:
        answers = market.exact(design, name)
        np.testing.assert_allclose(answers, np.broadcast_to(answers[0], answers.shape))
    rising = market.exact(market.design(["ice cream"]), "temperature")[:, 2]
    assert (np.diff(rising) > 0).all()  # blind: the dearer the ice cream, the hotter the day


def test_an_experiment_on_hot_days_is_about_hot_days() -> None:
    hot = market.exact(market.design(["ice cream"], [3.0], experiment="hot days"))
    said = market.design(["ice cream"], [3.0], experiment="all days", temperature="hot")
    np.testing.assert_allclose(hot, market.exact(said))
    weather = market.exact(
        market.design(["ice cream"], [3.0], experiment="cold days"), "temperature"
    )
    assert weather[0].tolist() == [1, 0, 0]
    clash = market.design(["ice cream"], [3.0], experiment="hot days", temperature="cold")
    assert np.isnan(market.exact(clash)).all()


def test_ten_customers_are_binomial() -> None:
    design = market.design(["orange juice"], [2.5])
    p = market.exact(design)[0, 0]
    ten = market.exact(design, "buyers")[0]
    assert ten.sum() == pytest.approx(1)
    assert ten @ np.arange(11) == pytest.approx(10 * p)
    assert ten[0] == pytest.approx((1 - p) ** 10)


def test_text_says_what_is_said_and_nothing_else() -> None:
    design = market.design(["hot soup"], [2.5], income="high", experiment="low prices")
    assert design["context"].item() == (
        "A store sells hot soup. The price is $2.50. The price was drawn at random in an "
        "experiment from $1.00 to $3.00. The customer has a high income."
    )
    assert "temperature" not in market.question("buys").prompts(design)[0]
    orders = market.design(["hot soup"], [2.5], wordings=12, income="low", season="winter")
    assert orders["context"].nunique() > 6
    assert orders["context"].str.contains("winter").all()


def test_groceries_are_the_sources_grid() -> None:
    design = market.groceries(wordings=2)
    assert len(design) == 40 * 11 * 2
    assert design.groupby("product")["price"].min().eq(0).all()
    top = design["price"].to_numpy() / design["usual_price"].to_numpy()
    assert top.max() == pytest.approx(2, abs=0.01)
    rival = market.question("rival_price", 9.0)
    assert rival.options == ("$6.00", "$9.00", "$12.00")


def test_stated_profiles_average_to_the_causal_curve() -> None:
    base = market.design(["ice cream"], [1.5, 4.0], wordings=3)
    rows = market.stated(base, profiles=81, seed=4)
    assert len(rows) == 2 * 3 * 81
    found = pd.Series(market.exact(rows)[:, 0]).groupby(rows["price"]).mean()
    causal = market.exact(market.design(["ice cream"], [1.5, 4.0], experiment="all days"))[:, 0]
    np.testing.assert_allclose(found, causal, atol=0.02)  # a systematic sample of 243 draws


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"row 0: price=9.0 is not one of: 1.0"):
        market.exact(pd.DataFrame({"price": [9.0]}))
    with pytest.raises(ValueError, match="no question 'colour'"):
        market.question("colour")
    with pytest.raises(ValueError, match="experiment='x' is not one of: all days"):
        market.design(experiment="x")
    with pytest.raises(ValueError, match="no covariate 'age'"):
        market.covariate_profiles(["age"])


def test_brand_shares_are_the_mean_over_thoughts() -> None:
    design = brands.design([24, 36], [30, 33, 39])
    thoughts = brands.exact(design, "thought")
    shares = brands.exact(design)
    for row in range(len(design)):
        each = pd.concat([design.iloc[[row]]] * 13).assign(thought=brands.THOUGHTS)
        mixed = thoughts[row] @ np.nan_to_num(brands.exact(each, "choice"))
        np.testing.assert_allclose(mixed, shares[row])


def test_thinking_aloud_moves_the_choice_little_and_deciding_first_wholly() -> None:
    # Var(choice) / Var(belief) = s (1 - s) / Var over thoughts of P(choice | thought), per brand
    ratios = {}
    for style in brands.STYLES:
        design = brands.design(style=style)
        weight, share = brands.exact(design, "thought"), brands.exact(design)
        table = brands.shopper["choice"].table.reshape(36, 13, 3)
        between = np.einsum("rt,rtk->rk", weight, (table - share[:, None]) ** 2)
        ratios[style] = (share * (1 - share)).sum() / between.sum()
    assert ratios["thinks aloud"] > 20
    assert 1 < ratios["decides first"] < 1.2


def test_corpus_answers_follow_the_world() -> None:
    # All answers to blind purchase prompts: their share of "yes" is the mean truth.
    chunk = next(corpus(5, answers=4))
    assert {d.kind for d in chunk} == set(MIXTURE)
    yes = {d.prompt: d.answers for d in chunk if d.kind == "purchase, unblinded"}
    share = np.mean([counts.get(" yes", 0) / 4 for counts in yes.values()])
    rows = [prompts("purchase, unblinded", 4_000, seed) for seed in (1, 2)]
    truth = np.mean([truth[:, 0].mean() for _, _, truth in rows])
    assert share == pytest.approx(truth, abs=0.03)
    again = next(corpus(5, answers=4))
    assert chunk == again


@given(st.sampled_from(list(HELD_OUT)), st.integers(0, 10_000))
def test_every_kind_of_prompt_has_a_proper_truth(kind: str, seed: int) -> None:
    design, question, truth = prompts(kind, 7, seed)
    assert truth.shape == (7, len(question.options))
    np.testing.assert_allclose(truth.sum(1), 1)
    assert all(p.endswith(("Answer:", "Thought:")) for p in question.prompts(design))
