"""What the worlds are given: frames whose columns each have a name of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simkit.worlds import concepts, market, survey
from simkit.worlds.market import brands

CALLS: dict[str, Callable[[Any], Any]] = {
    "market.exact": market.exact,
    "market.with_context": market.with_context,
    "market.stated": market.stated,
    "survey.exact": lambda frame: survey.exact(frame, "climate"),
    "survey.design": survey.design,
    "survey.with_context": survey.with_context,
    "concepts.exact": lambda frame: concepts.exact(frame, "colour"),
    "concepts.with_context": lambda frame: concepts.with_context(frame, "colour"),
    "concepts.design": lambda frame: concepts.design("colour", frame),
    "brands.exact": brands.exact,
    "brands.with_context": brands.with_context,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_no_column_stands_twice_or_on_levels(call: Callable[[Any], Any]) -> None:
    twice = pd.DataFrame([[1, 2]], columns=["price", "price"])
    with pytest.raises(ValueError, match="column 'price' stands twice"):
        call(twice)
    levels = pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("price", "a")]))
    with pytest.raises(ValueError, match=r"in 2 levels, the first is \('price', 'a'\)"):
        call(levels)
    with pytest.raises(ValueError, match="it must be a DataFrame"):
        call([{"price": 1}])


def test_no_text_of_the_market_holds_a_missing_price() -> None:
    row = pd.DataFrame({"product": ["coffee"], "price": [np.nan], "usual_price": [np.nan]})
    assert market.with_context(row)["context"].tolist() == ["A store sells coffee."]
    with pytest.raises(ValueError, match="row 0: usual_price is nan"):
        market.with_context(row.assign(experiment="low prices"))
    with pytest.raises(ValueError, match="no column 'usual_price', or a row without it"):
        market.stated(row.assign(wording=0))


def test_earlier_answers_are_told_part_by_part() -> None:
    legal = [(w, c) for w in concepts.WORDS[:1] for c in list(concepts.PALETTE)[:1]]
    frame = pd.DataFrame({"earlier": pd.Series([legal, None], dtype=object)})
    told = concepts.with_context(frame, "colour")["context"].tolist()
    (word, colour), nothing = legal[0], "A person talks about colours."
    assert told == [f"{nothing} For {word} this person said {colour}.", nothing]
