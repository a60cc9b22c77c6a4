"""The market world: the two readings of a price, its text, its brand choices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit.personas.render import describe
from simkit.worlds import market
from simkit.worlds.corpus import MIXTURE, corpus, prompts
from simkit.worlds.market import brands

DRAWN = " The price was drawn at random in an experiment."
TRAINED = [
    f"A store sells hot soup. The price is $2.50.{DRAWN} It is winter. "
    "The customer has a high income.",
    f"A store sells hot soup. The customer has a high income. It is winter.{DRAWN} "
    "It costs $2.50 today.",
    f"A customer looks at hot soup.{DRAWN} The price is $2.50. It is winter. "
    "The customer has a high income.",
    f"A store sells hot soup. It is winter.{DRAWN} The customer has a high income. "
    "The price is $2.50.",
    "A store sells hot soup. The price is $2.50. The customer has a high income. "
    f"It is winter.{DRAWN}",
]


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
    orders = market.design(["hot soup"], [2.5], wordings=10, income="low", season="winter")
    assert orders["context"].nunique() == 10
    assert orders["context"].str.contains("winter").all()


def in_every_kind(base: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Blind, with covariates stated, and with each experiment announced."""
    announced = {e: market.with_context(base.assign(experiment=e)) for e in market.EXPERIMENTS}
    named = {"rival only": market.stated(base, ["rival_price"], profiles=2)}
    return {"blind": base, "stated": market.stated(base, profiles=2), **named, **announced}


@pytest.mark.parametrize(("known", "there"), [(True, 10), (False, 20)])
def test_k_wordings_are_k_texts_in_every_kind_of_prompt(known: bool, there: int) -> None:
    for asked in (1, 8, None):
        if known:
            base = market.design(prices=(1.0, 4.0), wordings=asked)
        else:
            base = market.groceries((0.4, 1.2), first=2, wordings=asked)
        assert len(base) == 2 * base["product"].nunique() * (asked or there)
        for kind, frame in in_every_kind(base).items():
            # No two wordings share a text, so wordings can be clusters.
            worded = frame.groupby("context")["wording"].nunique()
            assert worded.max() == 1, (kind, asked)
            texts = frame.groupby(["product", "price"])["context"].nunique()
            assert (texts >= (asked or there)).all(), (kind, asked)


@pytest.mark.parametrize("asked", [0, 11, 21])
def test_more_wordings_than_there_are_is_an_error_that_counts_them(asked: int) -> None:
    with pytest.raises(ValueError, match=rf"wordings={asked}: a prompt has 10 distinct"):
        market.design(wordings=asked)
    if asked != 11:
        with pytest.raises(ValueError, match=rf"wordings={asked}: a prompt has 20 distinct"):
            market.groceries(wordings=asked)


def test_copies_of_a_prompt_are_no_wordings() -> None:
    base = market.design(["hot soup"], [2.0, 3.0])
    twice = pd.concat([base.assign(wording=w) for w in (4, 14)])
    with pytest.raises(ValueError, match=r"row 0: wordings 4 and 14 are one text, 'A store sells"):
        market.with_context(twice)
    with pytest.raises(ValueError, match="wording=-1; wordings are counted from 0"):
        market.with_context(base.assign(wording=-1))
    same = pd.concat([base, base])  # two rows of one wording are a weight, and say so
    assert market.with_context(same)["context"].tolist() == base["context"].tolist() * 2


def test_all_wordings_use_each_sentence_equally_often() -> None:
    for known, columns in ((True, ("product", "price")), (False, tuple(market.OTHER))):
        table = market.KNOWN if known else market.OTHER
        for column in columns:
            first = [s.split("{")[0] for s in table[column]]
            assert len(set(table[column])) == len(first)
            assert market.distinct(known) % len(first) == 0  # so round and round comes out even
            assert all(s.count("{") == 1 and f"{{{column}" in s for s in table[column])


def test_prices_of_real_products_follow_what_they_are_of() -> None:
    rows = market.stated(market.groceries([1.0], first=1, wordings=None), profiles=1)
    price = rows["price"].map("${:.2f}".format)
    for text, paid, item in zip(rows["context"], price, rows["product"], strict=True):
        after = text.split(item)[1]
        assert 0 <= after.index(paid) < 60  # "it costs" refers to the product, right before


def test_training_text_keeps_its_own_draws() -> None:
    # The glass box has learned from these; designs count wordings in another way.
    rows = pd.DataFrame({"wording": [0, 1, 2, 7, 400]}).assign(
        product="hot soup", price=2.5, season="winter", income="high", experiment="all days"
    )
    told = describe(market.announce(rows), market.SENTENCES).tolist()
    assert told == TRAINED
    blind = prompts("purchase, blind", 300, 3)[0]
    assert blind.groupby(["product", "price"])["context"].nunique().max() == 4
    assert blind["wording"].nunique() > 100  # numbers there are draws, not phrasings


def test_the_glass_box_is_calibrated_on_every_phrasing() -> None:
    # Four of the ten were trained on; the bar is that of the model card.
    model, base = sk.load("glassbox"), market.design(prices=(1.5, 3.0, 4.5), wordings=None)
    for frame in (base, market.with_context(base.assign(experiment="all days"))):
        for ask in ("buys", "temperature"):
            truth = market.exact(frame, ask)
            belief = sk.believe(model, market.question(ask), frame)["belief"].to_numpy()
            error = np.abs(belief.reshape(truth.shape) - truth).mean(axis=1)
            assert pd.Series(error).groupby(frame["wording"]).mean().max() < 0.02


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
    with pytest.raises(ValueError, match="row 0: experiment='x' is not one of: all days"):
        market.design(experiment="x")
    with pytest.raises(ValueError, match=r"products: 'hot soup' is there twice"):
        market.design(["hot soup", "ice cream", "hot soup"])
    with pytest.raises(ValueError, match=r"multiples: 1.0 is there twice"):
        market.groceries([1.0, 1.0])
    for first in (0, 41):
        with pytest.raises(ValueError, match=f"first is {first}; .* from 1 to 40"):
            market.groceries(first=first)
    with pytest.raises(ValueError, match="profiles is 0; it must be a whole number from 1"):
        market.stated(market.design(["hot soup"], [2.0]), profiles=0)
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


def test_a_model_of_other_text_is_asked_yes_or_no_and_fills_in_dollars() -> None:
    dollars = market.question("rival_price", 9.0, known=False)
    assert dollars.options[:2] == ("0.", "1.") and dollars.values[-1] == 69.5
    assert dollars.prompts(market.shelf(3).head(1))[0].endswith("Answer: $")
    weather = market.question("temperature", known=False)
    assert weather.options == ("yes", "no") and weather.values == (1, 0)
    assert market.question("buys", known=False) == market.question("buys")


def test_a_shelf_gives_each_product_a_phrasing_of_its_own() -> None:
    rows = market.shelf(25)
    own = rows.groupby("product", sort=False)["wording"].agg(["nunique", "first"])
    assert len(rows) == 25 * 11 and (own["nunique"] == 1).all()
    assert own["first"].tolist() == [*range(20), *range(5)]  # after 20 the first comes again
    crossed = market.shelf(3, 4)
    assert len(crossed) == 3 * 11 * 4 and crossed["context"].is_unique
    with pytest.raises(ValueError, match="products"):
        market.shelf(41)
