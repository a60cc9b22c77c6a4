"""Brand choice in six categories: the design, how a chat is laid out, and what runs show."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit import audit
from simkit.studies.belief_efficiency import categories

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def chatting() -> Any:
    """The glass box, laid out as a chat."""
    lm = copy.copy(sk.load("glassbox"))
    tokenizer = copy.deepcopy(lm.tokenizer)
    tokenizer.chat_template = CHATML
    object.__setattr__(lm, "tokenizer", tokenizer)
    return audit.asked(lm)


def test_each_answer_stands_equally_often_in_each_place() -> None:
    rows = categories.design()
    assert len(rows) == 2 * len(categories.CATEGORIES) == 12
    neither = (rows[list(categories.LISTED)] == "neither").sum()
    assert neither.tolist() == [4, 4, 4]
    assert (rows["listed_first"] == rows["first"]).sum() == 4
    # Within a category the list stays, and only the prices change places.
    pairs = rows.groupby("category")
    assert (pairs["listed_first"].nunique() == 1).all()
    assert (pairs["first_price"].nunique() == 2).all()


def test_the_choice_is_asked_for_in_a_second_turn(chatting: Any) -> None:
    assert categories.marker(chatting) == (
        "<|im_end|>\n<|im_start|>user\nAnswer with one letter: A, B or C.<|im_end|>\n"
        "<|im_start|>assistant\nAnswer:"
    )
    assert categories.marker(sk.load("glassbox")) == "\nAnswer:"


def test_a_template_without_the_earlier_turn_is_refused(chatting: Any) -> None:
    chatting = copy.copy(chatting)
    tokenizer = copy.deepcopy(chatting.tokenizer)
    tokenizer.chat_template = "{{ messages[-1]['content'] }}"
    object.__setattr__(chatting, "tokenizer", tokenizer)
    with pytest.raises(ValueError, match="leaves out the model's earlier turn; ask with chat='no'"):
        categories.marker(chatting)


@pytest.mark.parametrize("style", categories.STYLES)
def test_how_to_think_is_said(style: str, chatting: Any) -> None:
    told = categories.STYLES[style]
    assert categories.reasoner(chatting, style).chat.answer == told
    assert categories.reasoner(chatting, style, "Think.").chat.answer == "Think."
    ours = audit.asked(chatting, system="You are a parent.")
    assert categories.reasoner(ours, style).chat.answer == told.removeprefix("You are a shopper. ")
    plain = categories.question(sk.load("glassbox"), style).prompts(categories.design())[0]
    assert plain.startswith(told) and plain.endswith("C. neither\nThought:")


def test_runs_by_brand(chatting: Any) -> None:
    rows = categories.design()
    how = {"runs": 2, "max_tokens": 3, "least_mass": 0}  # it has not read of these brands
    table = categories.runs_of(chatting, rows, "thinks aloud", **how)
    assert table["option"].tolist() == list(categories.OPTIONS) * 24
    first = table[table["option_id"] == 0]
    assert (first["named"] == first["first"]).all()
    assert table.groupby(["prompt_id", "run"])["belief"].sum().to_numpy() == pytest.approx(1)
    again = categories.written(chatting, table, "thinks aloud", most=5)
    whole = categories.marker(chatting)
    assert len(again) == 5 and again["text"].str.contains(whole, regex=False).all()
    # The first run's row lists Pampers, Huggies, neither: its letters are in that order.
    belief = table["belief"].to_numpy()[:3]
    assert again.loc[0, ["A", "B", "C"]].to_numpy(dtype=float) == pytest.approx(belief)


def made(belief: dict[tuple[str, int], tuple[float, float]], mass: float = 0.9) -> pd.DataFrame:
    """Runs whose first-brand beliefs are half one number, half the other; four of each."""
    rows, rng = [], np.random.default_rng(0)
    for place, ((category, dearer), pair) in enumerate(belief.items()):
        for run, p in enumerate(pair * 4):
            drawn = rng.random() < p
            for k, (b, y) in enumerate([(p, drawn), (1 - p, not drawn), (0.0, False)]):
                rows.append((place, run, category, dearer, categories.OPTIONS[k], k, b, float(y)))
    columns = ["prompt_id", "run", "category", "dearer", "option", "option_id", "belief", "choice"]
    return pd.DataFrame(rows, columns=columns).assign(valid_mass=mass)


def test_a_factor_for_each_category() -> None:
    """Beliefs 0.4 and 0.6, 4 each: Var(b) = 8/7 x 0.01, E[b(1-b)] = 0.24, factor 1 + 21 = 22."""
    table = made({("tea", 1): (0.4, 0.6), ("tea", 2): (0.4, 0.6), ("jam", 1): (0.0, 1.0)})
    found = categories.by_category(table)
    assert found.index.tolist() == ["tea", "jam"]
    assert found.loc["tea", "estimate"] == pytest.approx(22)
    assert found.loc["jam", "estimate"] == pytest.approx(1)  # the thought settles it
    assert found["runs"].tolist() == [16, 8]


def test_no_factor_where_the_options_hold_too_little() -> None:
    found = categories.by_category(made({("tea", 1): (0.4, 0.6)}, mass=0.3))
    assert found[["estimate", "low", "high", "measured"]].isna().all(axis=None)
    assert found["valid_mass"].tolist() == [0.3]


def test_the_rise_of_a_share_with_its_error() -> None:
    """0.5 when dearer, 0.7 when cheaper: 0.2. Each mean of 8 has s = 0.1 sqrt(8/7), so the error
    of the difference is sqrt(2 x 0.01 / 7) = 0.05345 and the interval 0.2 -+ 1.96 x that."""
    table = made({("tea", 1): (0.4, 0.6), ("tea", 2): (0.6, 0.8)})
    line = categories.price_response(table).loc[("tea", "belief")]
    assert line["estimate"] == pytest.approx(0.2)
    half = 1.959964 * np.sqrt(2 * 0.01 / 7)
    assert [line["low"], line["high"]] == pytest.approx([0.2 - half, 0.2 + half])
