"""The pilot: what it says of models whose faults are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit.scoring import MockModel

ASK = sk.Question("Buy at {price}?", ["yes", "no"])
DESIGN = pd.DataFrame({"price": [1, 2, 3, 4, 5]})


class Writer(MockModel):
    """A model of a rule that also writes, and says what its next tokens are."""

    def __init__(self, rule: Any, texts: list[str], tokens: list[tuple[str, float]]) -> None:
        super().__init__(rule)
        self.texts, self.tokens = texts, tokens

    def write(self, prompts: list[str], *how: Any) -> list[str]:
        return [self.texts[i % len(self.texts)] for i in range(len(prompts))]

    def next_tokens(self, prompt: str) -> list[tuple[str, float]]:
        return self.tokens


def rule(prompt: str) -> dict[str, float]:
    return {"yes": 0.5, "no": 0.2} if "at 1?" in prompt else {"yes": 0.1, "no": 0.3}


def test_valid_mass_is_that_of_the_prompts() -> None:
    found = sk.pilot(sk.load(rule), ASK, DESIGN)
    # One prompt of 0.7, four of 0.4: mean 0.46, smallest 0.4; standard error 0.134 / sqrt(5).
    assert found["valid mass"]["estimate"] == pytest.approx(0.46)
    assert found["smallest valid mass"]["estimate"] == pytest.approx(0.4)
    assert found["valid mass"]["std_error"] == pytest.approx(0.134164 / np.sqrt(5), rel=1e-5)
    assert 0.3 < found["valid mass"]["low"] < 0.4 < found["valid mass"]["high"] < 0.7
    assert found["written as believed"].isna().all()
    assert any("cannot write" in note for note in found.notes)


def test_what_is_written_is_held_against_the_belief() -> None:
    model = Writer(rule, ["yes", "no", "No.", "Well, I think so", "no, never"], [(" Well", 0.4)])
    found = sk.pilot(model, ASK, DESIGN)
    # Believed most: yes, no, no, no, no. Written: yes, no, (No is another spelling), none, no.
    assert found["written as believed"]["estimate"] == 1.0
    assert found["no option written"]["estimate"] == pytest.approx(2 / 5)
    # Wilson, 2 of 5: (0.4 + z^2/10 -+ z sqrt(0.4 * 0.6 / 5 + z^2/100)) / (1 + z^2/5), z = 1.96
    assert found["no option written"]["low"] == pytest.approx(0.1176, abs=1e-4)
    text = " ".join(found.notes)
    assert "'No.' (1 x)" in text and "' Well' 0.4" in text


def test_the_order_of_listed_options_is_seen() -> None:
    def first(prompt: str) -> dict[str, float]:
        return {"A": 0.9, "B": 0.1}

    listed = sk.Question("Buy at {price}?\n{options}", ["yes", "no"], layout="letters")
    found = sk.pilot(sk.load(first), listed, DESIGN)
    assert found["order range"]["estimate"] == pytest.approx(0.8)  # 0.9 first, 0.1 second
    assert np.isnan(sk.pilot(sk.load(rule), ASK, DESIGN)["order range"]["estimate"])


def test_copies_of_a_prompt_are_one() -> None:
    found = sk.pilot(sk.load(rule), ASK, pd.concat([DESIGN] * 3), prompts=4)
    assert found.n == 4  # evenly: the first, the last, two between
    assert sk.pilot(sk.load(rule), ASK, pd.concat([DESIGN.head(1)] * 3)).n == 1


@pytest.mark.parametrize("wrong", [{"prompts": 0}, {"max_tokens": -1}, {"alpha": 2}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        sk.pilot(sk.load(rule), ASK, DESIGN, **wrong)


def test_a_real_network_writes_and_is_read() -> None:
    ask = sk.Question("Does the customer buy it?", ["yes", "no"])
    rows = pd.DataFrame(
        {"context": [f"A store sells ice cream. The price is ${p}.00." for p in "123"]}
    )
    found = sk.pilot(sk.load("glassbox"), ask, rows)
    assert found["valid mass"]["estimate"] > 0.99
    assert found["no option written"]["estimate"] == 0
    silent = sk.pilot(sk.load("glassbox"), ask, rows, max_tokens=0)  # what it writes left out
    assert silent["valid mass"]["estimate"] == found["valid mass"]["estimate"]
    assert np.isnan(silent["no option written"]["estimate"])
    assert found["written as believed"]["estimate"] == 1


def test_prompts_that_differ_in_their_system_text_alone_are_two(tmp_path: Any) -> None:
    from tests.scoring.conftest import make_network, make_tokenizer

    tokenizer = make_tokenizer(bos=False)
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    network = make_network("llama", len(tokenizer)).eval()
    network.save_pretrained(tmp_path / "m"), tokenizer.save_pretrained(tmp_path / "m")
    lm = sk.load(tmp_path / "m")
    rows = pd.DataFrame({"price": [1, 1], "who": ["a baker", "a judge"]})
    assert sk.pilot(lm, ASK, rows, chat=sk.Chat(system="You are {who}.", prefix="")).n == 2
    assert sk.pilot(lm, ASK, rows, chat=sk.Chat(prefix="")).n == 1
