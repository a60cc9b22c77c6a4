"""The reference path against scoring by hand, and the traps that silently score other text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import normalizers

import simkit as sk
from simkit.scoring import local
from simkit.scoring.engine import padded
from tests.scoring.conftest import make_network, make_tokenizer

PROMPTS = [
    "The price is $3.50. Does the customer buy it?",
    "It is hot.",
    "The price is $12.00 today and the store sells ice cream. Does the customer buy it?",
    "Hm,",
]
OPTIONS = [" yes", " definitely not", " maybe later, or never"]


def by_hand(model: local.LocalModel, prompt: str, option: str) -> float:
    """One sequence, one forward pass, no padding, softmax in float64."""
    start = model.tokenizer(prompt)["input_ids"]
    ids = model.tokenizer(prompt + option)["input_ids"]
    with torch.inference_mode():
        logits = model.network(torch.tensor([ids])).logits[0].double()
    logp = torch.log_softmax(logits, -1)
    return sum(logp[i - 1, ids[i]].item() for i in range(len(start), len(ids)))


@pytest.fixture(params=["tree", "padded"])
def model(folder: Path, request: pytest.FixtureRequest) -> local.LocalModel:
    return sk.load(folder, path=request.param)


def test_equals_scoring_by_hand(model: local.LocalModel) -> None:
    expected = [[by_hand(model, p, o) for o in OPTIONS] for p in PROMPTS]
    found = sk.score(model, PROMPTS, OPTIONS)
    assert found.shape == (4, 3)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


def test_batches_and_order_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = sk.load(folder, path="padded")
    whole = sk.score(model, PROMPTS, OPTIONS)
    monkeypatch.setattr(padded, "BUDGET", 40)  # a few sequences at a time
    order = [2, 0, 3, 1]
    parts = sk.score(model, [PROMPTS[i] for i in order], OPTIONS)
    np.testing.assert_allclose(parts, whole[order], atol=1e-5, rtol=0)


def test_options_may_differ_by_prompt(model: local.LocalModel) -> None:
    lists = [[" yes", " no"], [" hot", " yes"]]
    found = sk.score(model, PROMPTS[:2], lists)
    expected = [[by_hand(model, p, o) for o in row] for p, row in zip(PROMPTS, lists, strict=False)]
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


def test_columns_of_a_frame_are_prompts_and_options(model: local.LocalModel) -> None:
    lists = [[" yes", " no"], [" hot", " yes"]]
    frame = pd.DataFrame({"text": PROMPTS[:2], "options": lists}, index=[7, 3])
    expected = sk.score(model, PROMPTS[:2], lists)
    np.testing.assert_array_equal(sk.score(model, frame["text"], frame["options"]), expected)
    same = pd.Series([" yes", " no"], index=[1, 2])
    expected = sk.score(model, PROMPTS[:2], [" yes", " no"])
    np.testing.assert_array_equal(sk.score(model, frame["text"], same), expected)
    assert sk.score(model, frame["text"][:0], same).shape == (0, 2)


def test_merge_at_the_boundary_is_refused(model: local.LocalModel) -> None:
    # "price" is one token of this tokenizer, "pri" + "ce" is not how it reads the text.
    with pytest.raises(sk.BoundaryError, match=r"row 1: .*'…?.*pri'.*'ce'"):
        sk.score(model, ["The", "The pri"], ["ce", "x"])


def test_options_are_scored_as_they_stand(model: local.LocalModel) -> None:
    # Nothing is stripped, folded or completed: each of these is another text.
    options = ["yes", " yes", " yes ", "  yes", " YES", " yes.", "\nyes"]
    found = sk.score(model, PROMPTS[:1], options)[0]
    expected = [by_hand(model, PROMPTS[0], option) for option in options]
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    assert len(set(found.round(3))) == len(options)


def test_prompt_over_the_context_length_names_the_row(model: local.LocalModel) -> None:
    with pytest.raises(ValueError, match=r"row 1: .* more than the 128"):
        sk.score(model, ["It is hot.", "It is hot. " * 60 + "So"], [" yes", " no"])


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        (["It is hot."], [" yes"], "at least two options"),
        (["It is hot."], [" yes", " yes"], "stands twice"),
        (["It is hot."], [" yes", " "], "empty"),
        (["It is hot."], " yes", "options is ' yes'; it must be a list"),
        (["It is hot.", ""], [" yes", " no"], "row 1: prompt '' is empty"),
        (["It is hot.", "Hm"], [[" yes", " no"]], "1 lists of options for 2 prompts"),
        (["It is hot.", "Hm"], [[" a", " b"], [" a", " b", " c"]], "row 1: 3 options"),
        ("It is hot.", [" yes", " no"], "prompts is 'It is hot.'; it must be a list"),
    ],
)
def test_bad_input_is_named(
    model: local.LocalModel, prompts: object, options: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        sk.score(model, prompts, options)  # type: ignore[arg-type]


def test_a_bos_in_the_prompt_is_not_doubled(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(bos=True)
    network = make_network("llama", len(tokenizer)).eval()
    model = local.LocalModel("m", network, tokenizer)
    plain = sk.score(model, ["It is hot."], [" yes", " no"])
    with_bos = sk.score(model, ["<s>It is hot."], [" yes", " no"])
    np.testing.assert_allclose(with_bos, plain, atol=1e-6)


@pytest.mark.parametrize("path", ["tree", "padded"])
def test_pad_that_equals_eos_does_not_mask_text(path: str) -> None:
    tokenizer = make_tokenizer(bos=False, pad_is_eos=True)
    network = make_network("gpt2", len(tokenizer)).eval()
    model = local.LocalModel("m", network, tokenizer, asked=path)
    prompts = ["It is hot.</s>The price is", "The price is $3.50. Does the customer buy it?"]
    expected = [[by_hand(model, p, o) for o in (" yes", " no")] for p in prompts]
    np.testing.assert_allclose(sk.score(model, prompts, [" yes", " no"]), expected, atol=1e-5)


@pytest.mark.parametrize("path", ["tree", "padded"])
def test_softmax_is_taken_in_float32_for_bf16_weights(path: str) -> None:
    tokenizer = make_tokenizer(bos=False)
    network = make_network("llama", len(tokenizer)).eval().to(torch.bfloat16)
    model = local.LocalModel("m", network, tokenizer, asked=path)
    prompts = [f"The price is ${i}." for i in range(60)]
    found = sk.score(model, prompts, [" yes", " no"])
    # In bf16 a log-probability near -6 has steps of 1/32; float32 keeps the values apart.
    assert len(np.unique(found)) > 100


def test_an_option_that_begins_another_is_not_counted_twice(model: local.LocalModel) -> None:
    design = pd.DataFrame({"context": ["It is hot."]})
    question = sk.Question("Well?", ["yes", "yes, definitely"])
    table = sk.believe(model, question, design)
    # All of "yes, …" is part of "yes": the mass of the two is the mass of "yes" alone.
    assert table["valid_mass"].iloc[0] == pytest.approx(np.exp(table["logprob"].iloc[0]))
    assert table["belief"].sum() == pytest.approx(1.0)


def test_believe_is_one_row_per_design_row_and_option(model: local.LocalModel) -> None:
    design = pd.DataFrame({"price": [1.0, 2.5, 1.0], "who": ["Ann", "Bo", "Ann"]}, index=[7, 3, 7])
    question = sk.Question(
        "At ${price:.2f}, does {who} buy?", ["yes", "no", "{who} waits"], values=[1, 0, 0.5]
    )
    table = sk.believe(model, question, design)
    assert len(table) == 9
    assert table["prompt_id"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert table["option"].tolist()[:6] == ["yes", "no", "Ann waits", "yes", "no", "Bo waits"]
    assert table["who"].tolist()[3] == "Bo"
    np.testing.assert_allclose(table.groupby("prompt_id")["belief"].sum(), 1.0)
    assert (table["valid_mass"] <= 1).all()
    # Equal prompts get equal answers.
    first, last = (table[table["prompt_id"] == i]["logprob"].to_numpy() for i in (0, 2))
    np.testing.assert_array_equal(first, last)


def test_mock_model_and_undefined_beliefs() -> None:
    rule = {"A": {"yes": 0.6, "no": 0.2}, "B": {}}
    mock = sk.MockModel(lambda prompt: rule[prompt.split("\n")[0]])
    table = sk.believe(
        mock, sk.Question("Buy?", ["yes", "no"]), pd.DataFrame({"context": ["A", "B"]})
    )
    # 0.6 / (0.6 + 0.2) = 0.75; nothing on the options of B: belief undefined, mass 0
    assert table["belief"].iloc[0] == pytest.approx(0.75)
    assert table["valid_mass"].tolist() == pytest.approx([0.8, 0.8, 0.0, 0.0])
    assert table["belief"].iloc[2:].isna().all()


def test_unfilled_field_and_taken_column_are_named(model: local.LocalModel) -> None:
    question = sk.Question("At {price}?", ["yes", "no"])
    with pytest.raises(ValueError, match=r"no column for \{price\}.*cost"):
        sk.believe(model, question, pd.DataFrame({"cost": [1.0]}))
    with pytest.raises(ValueError, match="already has a column 'belief'"):
        sk.believe(model, question, pd.DataFrame({"price": [1.0], "belief": [0.5]}))


def test_loading_something_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"without config\.json"):
        sk.load(tmp_path)
    with pytest.raises(ValueError, match="bundled: "):
        sk.load("glassbox-huge")


def test_the_callers_random_state_is_left_alone(model: local.LocalModel) -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    sk.score(model, PROMPTS, OPTIONS)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])


def test_choices_are_drawn_from_the_belief_whatever_the_order() -> None:
    mock = sk.MockModel(
        lambda prompt: {"yes": 0.2, "no": 0.2, "maybe": 0.6} if prompt.startswith("A") else {}
    )
    design = pd.DataFrame({"context": ["A", "A again", "B"]})
    table = sk.believe(mock, sk.Question("Buy?", ["yes", "no", "maybe"]), design)
    with pytest.raises(ValueError, match=r"prompt_id 2: .*no probability at all"):
        sk.sample_choices(table)  # the belief of "B" is undefined
    table = table[table["belief"].notna()]
    drawn = sk.sample_choices(table, runs=4_000, seed=3)
    assert len(drawn) == 2 * 4_000
    shares = drawn.groupby("prompt_id")["option"].value_counts(normalize=True)
    assert shares[0, "maybe"] == pytest.approx(0.6, abs=4 * np.sqrt(0.6 * 0.4 / 4_000))
    turned = sk.sample_choices(table[table["prompt_id"] == 1], runs=4_000, seed=3)
    assert turned["option"].tolist() == drawn[drawn["prompt_id"] == 1]["option"].tolist()
    assert sk.sample_choices(table, seed=4)["option"].notna().all()
    with pytest.raises(ValueError, match="runs is 0"):
        sk.sample_choices(table, runs=0)


def test_spellings_equal_under_the_tokenizer_count_once() -> None:
    tokenizer = make_tokenizer(bos=True)
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    lm = local.LocalModel("lower", make_network("llama", len(tokenizer)).eval(), tokenizer)
    design = pd.DataFrame({"context": ["It is hot.", "The price is $3.50."]})
    plain = sk.believe(lm, sk.Question("Buy?", ["yes", "no"]), design)
    spelled = sk.believe(
        lm, sk.Question("Buy?", ["yes", "no"], forms={"yes": ["Yes", "YES"]}), design
    )
    np.testing.assert_allclose(spelled["belief"], plain["belief"], atol=1e-6)
    np.testing.assert_allclose(spelled["valid_mass"], plain["valid_mass"], atol=1e-6)
