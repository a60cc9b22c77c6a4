"""The brand choice: shares by enumeration, and the pull of a place in a lettered list."""

import numpy as np
import pandas as pd
import pytest

from simkit.worlds.market import brands


def listed(*order: str) -> pd.DataFrame:
    row = {"cuddles_price": 30, "snugly_price": 30, "style": "thinks aloud"}
    return pd.DataFrame([row | dict(zip(brands.LISTED, order, strict=True))])


def test_the_pull_tilts_the_shares_by_place():
    order = ["neither", "Cuddles", "Snugly"]
    share = brands.exact(listed(*order))[0]  # Cuddles, Snugly, neither
    # Places hold neither, Cuddles, Snugly; they are worth e^0.8, e^0.2 and 1.
    weight = share[[2, 0, 1]] * np.exp([0.8, 0.2, 0.0])
    found = brands.exact(listed(*order), "letters")[0]
    np.testing.assert_allclose(found, weight / weight.sum())


def test_first_place_helps_every_brand():
    for brand in brands.BRANDS:
        others = [b for b in brands.BRANDS if b != brand]
        first = brands.exact(listed(brand, *others), "letters")[0, 0]
        last = brands.exact(listed(*others, brand), "letters")[0, 2]
        assert first > last + 0.1


def test_an_order_that_is_none_is_an_error():
    with pytest.raises(ValueError, match=r"row 0: \['Cuddles', 'Cuddles', 'neither'\] is no order"):
        brands.exact(listed("Cuddles", "Cuddles", "neither"), "letters")
    with pytest.raises(ValueError, match="no question 'letter'; there are: share, thought"):
        brands.exact(listed(*brands.BRANDS), "letter")


def test_the_prompt_lists_the_brands_of_its_own_row():
    frame = pd.concat([listed("neither", "Cuddles", "Snugly"), listed(*brands.BRANDS)])
    first, second = brands.QUESTIONS["letters"].prompts(brands.with_context(frame))
    assert "A. neither\nB. Cuddles\nC. Snugly\nAnswer:" in first
    assert "A. Cuddles\nB. Snugly\nC. neither\nAnswer:" in second


def test_efficiency_is_the_ratio_of_the_two_variances() -> None:
    one = listed(*brands.BRANDS).assign(style="thinks aloud")
    weight, share = brands.exact(one, "thought")[0], brands.exact(one)[0]
    each = pd.concat([one] * 13, ignore_index=True).assign(thought=brands.THOUGHTS)
    belief = np.nan_to_num(brands.exact(each, "choice"))
    # Var(choice) = p (1 - p), Var(belief) = sum_t P(t) (b_t - p)^2, both summed over the brands
    ratio = (share * (1 - share)).sum() / (weight[:, None] * (belief - share) ** 2).sum()
    assert brands.efficiency(one) == pytest.approx(ratio)
    assert brands.efficiency(one.assign(style="decides first")) == pytest.approx(1.07, abs=0.02)


def test_a_price_twice_is_a_copy_and_an_error():
    with pytest.raises(ValueError, match="snugly: 30 is there twice"):
        brands.design([24], [30, 33, 30])
