"""Low valid mass: one warning a call, with what the model would rather say."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import torch

import simkit as sk
from simkit.scoring import LowMassWarning, MockModel
from simkit.scoring.local import LocalModel
from simkit.scoring.mass import warn_of_mass

TEXT = (
    "A store sells ice cream. The price is ${price:.2f}.\nQuestion: Does the customer buy it?"
    "\nAnswer:"
)
DESIGN = pd.DataFrame({"price": [1.0, 4.0, 2.5]})


@pytest.fixture(scope="module")
def glassbox() -> LocalModel:
    return sk.load("glassbox")


def ask(*options: str, **more: object) -> sk.Question:
    return sk.Question(TEXT, options, template="{question}", **more)  # type: ignore[arg-type]


def by_price(prompt: str) -> dict[str, float]:
    """Mass 0.9, 0.3 and 0.6 at the three prices."""
    mass = {"$1.00": 0.9, "$4.00": 0.3, "$2.50": 0.6}
    total = next(m for price, m in mass.items() if price in prompt)
    return {"yes": total / 3, "no": 2 * total / 3}


def said(*call: object, **how: object) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        sk.believe(*call, **how)  # type: ignore[arg-type]
    assert all(issubclass(w.category, LowMassWarning) for w in caught)
    assert all(w.filename == __file__ for w in caught)  # it points at the user's own line
    return [str(w.message) for w in caught]


def test_it_says_how_many_and_which() -> None:
    (text,) = said(MockModel(by_price), ask("yes", "no"), DESIGN)
    assert "below 0.5 in 1 of 3 prompts (mean 0.6, lowest 0.3 in row 1)" in text
    (text,) = said(MockModel(by_price), ask("yes", "no"), DESIGN, least_mass=0.7)
    assert "below 0.7 in 2 of 3 prompts" in text
    assert said(MockModel(by_price), ask("yes", "no"), DESIGN, least_mass=0.25) == []
    assert said(MockModel(by_price), ask("yes", "no"), DESIGN, least_mass=0) == []


def test_every_call_warns_and_no_call_twice() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")  # Python shows an equal warning once per line
        for _ in range(3):
            sk.believe(MockModel(by_price), ask("yes", "no"), DESIGN)
    assert len(caught) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error", LowMassWarning)
        with pytest.raises(LowMassWarning, match="not to be trusted"):
            sk.believe(MockModel(by_price), ask("yes", "no"), DESIGN)


def test_the_mass_that_counts_is_the_tables() -> None:
    def rule(prompt: str) -> dict[str, float]:
        return {"A": 0.9} if "A. yes" in prompt else {"B": 0.3}

    lettered = sk.Question("${price}: buy?", ["yes", "no"], layout="letters")
    # The mean over the two orders is 0.6; the second order by itself has 0.3.
    assert said(MockModel(rule), lettered, DESIGN[:2]) == []
    (text,) = said(MockModel(rule), lettered, DESIGN[:2], average=False)
    assert "in 2 of 4 prompts (mean 0.6, lowest 0.3 in row 0, order 1)" in text


@pytest.mark.parametrize("least", [-0.1, 1.5, float("nan"), "half"])
def test_a_threshold_is_checked_before_the_model_is_asked(least: object) -> None:
    def never(prompt: str) -> dict[str, float]:
        raise AssertionError("asked")

    with pytest.raises(ValueError, match=r"least_mass is .* from 0 to 1"):
        sk.believe(MockModel(never), ask("yes", "no"), DESIGN, least_mass=least)  # type: ignore[arg-type]


def test_it_names_the_spelling_that_has_the_mass(glassbox: LocalModel) -> None:
    wrong = ask("Yes", "No")
    (text,) = said(glassbox, wrong, DESIGN)
    masses = [np.exp(sk.score(glassbox, [p], [" Yes", " No"])).sum() for p in wrong.prompts(DESIGN)]
    row = int(np.argmin(masses))
    assert f"in row {row})" in text
    # What the warning says of the next token is what the network itself says there.
    ids = glassbox.tokenizer(wrong.prompts(DESIGN)[row], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        p = glassbox.network(ids).logits[0, -1].softmax(-1)
    for word in (" yes", " no"):
        (token,) = glassbox.tokenizer(word, add_special_tokens=False)["input_ids"]
        assert f"{word!r} {p[token].item():.2g}" in text
    # Following the advice brings the mass back.
    assert "forms={'Yes': ['yes'], 'No': ['no']}" in text or (
        "forms={'No': ['no'], 'Yes': ['yes']}" in text
    )
    right = ask("Yes", "No", forms={"Yes": ["yes"], "No": ["no"]})
    assert said(glassbox, right, DESIGN) == []


def test_a_missing_blank_and_options_that_nothing_spells(glassbox: LocalModel) -> None:
    (text,) = said(glassbox, ask("yes", "no", separator=""), DESIGN[:1])
    assert "forms={'yes': [' yes'], 'no': [' no']}" in text or (
        "forms={'no': [' no'], 'yes': [' yes']}" in text
    )
    (text,) = said(glassbox, ask("yes", "no", separator="  "), DESIGN[:1])
    assert "' yes' ('yes')" in text and "spell options without the separator '  '" in text
    (text,) = said(glassbox, ask("zebra", "quagga"), DESIGN[:1])
    assert "none of these is an option in another spelling" in text


def test_the_network_is_asked_only_where_a_warning_is_due(
    glassbox: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("read")

    monkeypatch.setattr(LocalModel, "next_tokens", never)
    assert said(glassbox, ask("yes", "no"), DESIGN) == []
    with pytest.raises(AssertionError, match="read"):
        said(glassbox, ask("Yes", "No"), DESIGN)


def test_nan_is_low() -> None:
    with pytest.warns(LowMassWarning, match="in 1 of 2 prompts"):
        warn_of_mass(
            MockModel(by_price), np.array([0.9, np.nan]), 0.5, lambda i: (f"row {i}", "", "", ())
        )


def test_runs_warn_of_the_mean_mass_of_their_prompts(glassbox: LocalModel) -> None:
    """ "Yes" is one token that the glass box never writes here, "yes" is what it writes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for options in (("Yes", "No"), ("yes", "no")):
            table = sk.sample_runs(
                glassbox, ask(*options), DESIGN, runs=3, max_tokens=4, forced=True
            )
    assert len(caught) == 1 and caught[0].category is LowMassWarning
    assert caught[0].filename == __file__
    text = str(caught[0].message)
    assert "below 0.5 in 3 of 3 prompts" in text and "forms={'Yes': ['yes']" in text
    assert table["valid_mass"].groupby(table["prompt_id"]).mean().min() > 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sk.sample_runs(
            glassbox, ask("Yes", "No"), DESIGN, runs=2, max_tokens=4, forced=True, least_mass=0
        )
    with pytest.raises(ValueError, match="least_mass is 2; it must be a number from 0 to 1"):
        sk.sample_runs(glassbox, ask("yes", "no"), DESIGN, runs=2, least_mass=2)
