"""A real llama.cpp server: the same beliefs as transformers has on the same weights."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import simkit as sk
from simkit import audit, cli, reports
from simkit.scoring import LocalModel
from simkit.scoring.remote import load_remote
from simkit.worlds import market

LONG = [" the store is near", " a person like this", " no one"]  # of three tokens and more


def study_prompts(n: int = 20) -> pd.DataFrame:
    """Of study 01: blind and stated rows, of all products."""
    base = market.design()
    rows = pd.concat([base, market.stated(base, profiles=2, seed=1)], ignore_index=True)
    return rows.sample(n, random_state=1).reset_index(drop=True)


def test_beliefs_are_those_of_transformers_on_the_same_weights(glassbox_server):
    """One token an option; both in 32 bits, and llama.cpp keeps keys and values in 16."""
    there, here = sk.load(glassbox_server), sk.load("glassbox", dtype="float32")
    question, rows = market.question("buys"), study_prompts()
    both = [sk.believe(lm, question, rows, least_mass=0) for lm in (there, here)]
    assert both[0]["belief"].std() > 0.1  # they say something
    np.testing.assert_allclose(both[0]["belief"], both[1]["belief"], atol=1e-3)
    np.testing.assert_allclose(both[0]["valid_mass"], both[1]["valid_mass"], atol=1e-3)


def test_options_of_three_tokens_are_as_exact(glassbox_server):
    there, here = sk.load(glassbox_server), sk.load("glassbox", dtype="float32")
    prompts = market.question("buys").prompts(study_prompts())
    assert all(len(ids) >= 3 for ids in here.tokens(prompts[0], LONG))
    found, exact = (sk.score(lm, prompts, LONG) for lm in (there, here))
    np.testing.assert_allclose(found, exact, rtol=1e-3)  # -86.527 and -86.493: improbable texts


def test_the_exported_tokenizer_reads_as_the_glass_box_does(glassbox_server):
    there, here = load_remote(glassbox_server), sk.load("glassbox")
    texts = market.question("buys").prompts(study_prompts(40))
    texts += ["Q: é ü 10 % of 3.00, 1,000; $7.25?\n\nNo", "<s>opened"]
    own = [here.tokenizer(t, add_special_tokens=False)["input_ids"] for t in texts]
    assert [list(ids) for ids in there.dialect.ids(texts)] == own
    assert there.dialect.contexts(["<s>The"]) == there.dialect.contexts(["The"])  # BOS once


def test_a_model_without_a_chat_template_has_none_there_either(glassbox_server):
    """llama.cpp names ChatML for it."""
    assert sk.load(glassbox_server).tokenizer is None


def test_runs_are_written_and_repeat(glassbox_server):
    lm, rows = sk.load(glassbox_server), study_prompts(2)
    how = {"runs": 3, "max_tokens": 12, "seed": 4, "forced": True, "least_mass": 0}
    first, again = (sk.sample_runs(lm, market.question("buys"), rows, **how) for _ in range(2))
    assert first.groupby(["prompt_id", "run"])["belief"].sum().tolist() == pytest.approx([1] * 6)
    assert first["reasoning"].tolist() == again["reasoning"].tolist()


def test_a_prompt_longer_than_the_slot_is_refused(glassbox_server):
    with pytest.raises(ValueError, match=r"row 1: prompt and option are \d+ tokens long, more"):
        sk.score(sk.load(glassbox_server), ["The", "The price " * 200], [" yes", " no"])


def test_only_glass_boxes_are_exported(tmp_path):
    with pytest.raises(ValueError, match=r"must end with \.gguf"):
        sk.export_gguf(sk.load("glassbox"), tmp_path / "box.bin")
    box = sk.load("glassbox", dtype="float32")
    box.network.config.model_type = "gpt2"
    with pytest.raises(ValueError, match=r"glassbox is no glass box .*convert_hf_to_gguf"):
        sk.export_gguf(LocalModel("glassbox", box.network, box.tokenizer), tmp_path / "box.gguf")
    done = CliRunner().invoke(cli.app, ["export", "glassbox", "--gguf", str(tmp_path / "b.gguf")])
    assert done.exit_code == 0 and (tmp_path / "b.gguf").read_bytes()[:4] == b"GGUF"


@pytest.mark.slow
def test_a_real_model_with_its_chat_template(smollm2_server):
    """4-bit weights: llama.cpp computes with 8-bit activations, transformers in 32 bits."""
    there, here = sk.load(smollm2_server), sk.load("smollm2")
    chat = sk.Chat(answer="Answer with one word: Yes or No.")
    ask = sk.Question("Would you buy ice cream at ${price:.2f}?", ["Yes", "No"])
    rows = pd.DataFrame({"price": [1.0, 5.5, 20.0]})
    both = [sk.believe(lm, ask, rows, chat=chat, least_mass=0) for lm in (there, here)]
    np.testing.assert_allclose(both[0]["belief"], both[1]["belief"], atol=0.08)
    np.testing.assert_allclose(both[0]["valid_mass"], both[1]["valid_mass"], atol=0.15)


def test_a_study_measures_it_as_a_model_of_unknown_truth(glassbox_server):
    """No card, no chat template; prompts are asked as plain text, and the mass is measured."""
    lm = audit.asked(sk.load(glassbox_server), chat="auto", system="", answer="auto")
    assert sk.worlds_of(lm) == () and lm.tokenizer is None
    works = audit.measure(lm, {"buys": (market.question("buys"), market.design().head(6))})
    assert works.failing == []
    assert lm.next_tokens("The price is $3.00.")[0][1] > 0.05


@pytest.mark.slow
def test_the_quickstart_runs_on_an_address(smollm2_server, tmp_path):
    made = reports.run("quickstart", {"model": smollm2_server}, out=tmp_path)
    record = json.loads((tmp_path / "quickstart.json").read_text())
    assert record["status"] == "complete" and made.is_file()
    assert record["provenance"]["model"] == "SmolLM2-135M-Instruct.Q4_1"
    numbers = {number["name"]: number["value"] for number in record["numbers"]}
    assert numbers["Valid mass"] > 0.7  # 0.90 in its chat template, 0.04 as plain text


@pytest.mark.slow
def test_study_01_ends_in_words_where_no_covariate_can_be_asked(glassbox_server, tmp_path):
    """Behind an address the glass box is any model: it knows purchases, not the other questions.

    Its token for "$1" cannot be parted, so prices are no error: they are left out.
    """
    reports.run("demand_endogeneity", {"model": glassbox_server}, out=tmp_path)
    record = json.loads((tmp_path / "demand_endogeneity.json").read_text())
    assert record["status"] == "stopped"
    mass = {number["name"]: number["value"] for number in record["numbers"]}
    assert mass["Valid mass, buys"] > 0.5
    assert all((mass[name] or 0) < 0.5 for name in mass if name != "Valid mass, buys")
    assert mass["Valid mass, rival_price"] is None  # its options cannot be parted from the prompt
