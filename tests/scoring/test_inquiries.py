"""Interfaces that score no text: what they are asked, and the table that comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit.scoring.inquiries import Beliefs, Inquiry, inquiries


class Interface:
    """Believes 0.7 in whatever is listed first, known to 0.01; refuses what mentions "secret"."""

    name = "interface"

    def __init__(self) -> None:
        self.asked: list[Inquiry] = []

    def scores(self, prompts: Any, options: Any) -> Any:
        raise TypeError("scores no text")

    def beliefs(self, asked: Sequence[Inquiry]) -> Beliefs:
        self.asked += asked
        belief = np.full((len(asked), 2), 0.3)
        for row, inquiry in zip(belief, asked, strict=True):
            row[inquiry.listed[0] if inquiry.listed else 0] = 0.7
            if "secret" in inquiry.prompt:
                row[:] = np.nan
        basis = ["refused" if np.isnan(row).any() else "decision" for row in belief]
        hidden = np.full(len(asked), np.nan)
        return Beliefs(belief, belief - 0.01, belief + 0.01, hidden, basis)


DESIGN = pd.DataFrame({"context": ["You are Ann.", "It is secret."], "price": [2, 3]})


def test_the_parts_of_a_prompt_are_told_apart() -> None:
    ask = sk.Question("Buy at ${price}?", ["yes", "no"], forms={"yes": ["Yes"]})
    chat = sk.Chat(system="Price {price}.", answer="auto", spellings=True)
    first, second = inquiries(ask, DESIGN, chat)
    assert first.context == "You are Ann." and first.question == "Buy at $2?"
    assert first.prompt == "You are Ann.\nQuestion: Buy at $2?"  # without "Answer:"
    assert second.system == "Price 3. Answer with one word: yes or no."
    assert first.options == ("yes", "no") and set(first.spelled[1]) == {"no", "No", "NO"}
    assert first.listed == () == first.values
    plain = inquiries(ask, DESIGN, None)[0]
    assert plain.prompt.endswith("Answer:") and plain.system == ""


def test_a_belief_has_bounds_and_a_basis_and_a_refusal_is_no_belief() -> None:
    model = Interface()
    table = sk.believe(model, sk.Question("Buy at ${price}?", ["yes", "no"]), DESIGN)
    yes = table[table["option"] == "yes"].set_index("price")
    assert yes.loc[2, ["belief", "low", "high"]].tolist() == pytest.approx([0.7, 0.69, 0.71])
    assert yes.loc[3, ["belief", "low", "high"]].isna().all()
    assert yes["basis"].tolist() == ["decision", "refused"]
    assert table[["valid_mass", "logprob"]].isna().all().all()
    assert list(table.columns[-2:]) == ["basis", "model"]


def test_orders_are_averaged_with_their_bounds() -> None:
    ask = sk.Question("Which?", ["tea", "milk"], layout="letters")
    table = sk.believe(Interface(), ask, DESIGN.head(1)[["price"]])
    assert table["belief"].tolist() == pytest.approx([0.5, 0.5])  # 0.7 first, 0.3 second
    assert table["low"].tolist() == pytest.approx([0.49, 0.49])
    assert table["order_range"].tolist() == pytest.approx([0.4, 0.4])
    by_order = sk.believe(Interface(), ask, DESIGN.head(1)[["price"]], average=False)
    assert by_order["belief"].tolist() == pytest.approx([0.7, 0.3, 0.3, 0.7])


@pytest.mark.parametrize("wrong", ["sum", "bounds", "shape"])
def test_beliefs_that_are_none_are_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def beliefs(asked: Sequence[Inquiry]) -> Beliefs:
        found = np.array([[0.7, 0.3]] * len(asked))
        low, high, basis = found, found, ["decision"] * len(asked)
        if wrong == "sum":
            found = low = high = found * [1, 1.5]
        elif wrong == "bounds":
            low = found + 0.1
        else:
            basis = basis[1:]
        return Beliefs(found, low, high, np.full(len(asked), np.nan), basis)

    model = Interface()
    monkeypatch.setattr(model, "beliefs", beliefs)
    with pytest.raises(ValueError, match=r"interface gave (the beliefs|beliefs of shapes)"):
        sk.believe(model, sk.Question("Buy?", ["yes", "no"]), DESIGN[["price"]])
