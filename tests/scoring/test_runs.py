"""Runs of reasoning and answer: the table, its numbers, and what they must not depend on."""

from __future__ import annotations

import logging
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import simkit as sk
from simkit.scoring.engine.tree import Limits
from simkit.scoring.local import LocalModel
from simkit.scoring.runs import local as module
from simkit.scoring.runs.sampling import COLUMNS, sample_runs
from simkit.worlds.market import brands
from tests.scoring.conftest import make_network, make_tokenizer
from tests.scoring.test_generate import TOKENS, characters, toy

NUMBERS = ["logprob", "belief", "valid_mass", "choice", "reached", "tokens"]


def toy_model(architecture: str = "llama", **kwargs: Any) -> LocalModel:
    return LocalModel("toy", toy(architecture), characters(), **kwargs)


# Options of one, two and three tokens, one of which begins another.
QUESTION = sk.Question("a", ["x", "y", "xy", "y b"], template="{who}{question}b ", separator="")
DESIGN = pd.DataFrame({"who": ["a", "ba", "bb"], "age": [30, 40, 50]})


def sample(model: Any = None, question: Any = QUESTION, design: Any = DESIGN, **kwargs: Any) -> Any:
    kwargs = {"runs": 7, "max_tokens": 10, "marker": "=>", **kwargs}
    return sample_runs(model or toy_model(), question, design, **kwargs)


def runs_of(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["option_id"] == 0].reset_index(drop=True)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return sample(runs=60)


@pytest.fixture(scope="module")
def glassbox() -> LocalModel:
    return sk.load("glassbox")


def test_one_row_per_prompt_run_and_option(table: pd.DataFrame) -> None:
    assert list(table) == ["who", "age", *[c for c in COLUMNS if c != "value"]]
    assert len(table) == 3 * 60 * 4
    assert table["prompt_id"].tolist() == np.repeat([0, 1, 2], 240).tolist()
    assert table["run"].tolist() == np.tile(np.repeat(np.arange(60), 4), 3).tolist()
    assert table["option"].tolist() == ["x", "y", "xy", "y b"] * 180
    assert table["who"].tolist() == np.repeat(["a", "ba", "bb"], 240).tolist()
    assert set(table["model"]) == {"toy"} and set(table["seed"]) == {0}
    reached = table[table["reached"]]
    assert 0.1 < len(reached) / len(table) < 0.9
    sums = reached.groupby(["prompt_id", "run"])[["belief", "choice"]].sum()
    np.testing.assert_allclose(sums, 1)
    assert set(reached["choice"]) == {0, 1}


def test_values_and_filled_options() -> None:
    question = sk.Question("a", ["x{who}", "y"], [2.5, 1], template="{who}{question} ")
    found = sample(question=question, design=DESIGN[["who"]], runs=2)
    assert list(found) == ["who", *COLUMNS]
    assert found["option"].tolist() == ["xa", "y"] * 2 + ["xba", "y"] * 2 + ["xbb", "y"] * 2
    assert found["value"].tolist() == [2.5, 1] * 6


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2"])
@pytest.mark.parametrize("asked", ["tree", "padded"])
def test_belief_is_that_of_the_very_text(architecture: str, asked: str) -> None:
    model = toy_model(architecture, asked=asked)
    found = sample(model, runs=25)
    reached = runs_of(found)[lambda t: t["reached"]]
    assert len(reached) > 10
    prompts = QUESTION.prompts(DESIGN)
    texts = [
        prompts[i] + r + "=>" for i, r in zip(reached.prompt_id, reached.reasoning, strict=True)
    ]
    # These tokenizers read a text character by character; a run may have written "=>" as one
    # token, which score() cannot know. Those ending in two tokens have the text's own tokens.
    expected = model.scores(texts, [QUESTION.options] * len(texts))
    mine = found[found["reached"]]["logprob"].to_numpy().reshape(-1, 4)
    own = reached["tokens"].to_numpy() == [len(r) + 2 for r in reached["reasoning"]]
    assert 0 < own.sum() < len(own)
    np.testing.assert_allclose(mine[own], expected.logprob[own], atol=1e-5)
    np.testing.assert_allclose(reached["valid_mass"][own], expected.valid_mass[own], atol=1e-5)
    assert np.abs(mine[~own] - expected.logprob[~own]).max() > 1e-3


def test_the_written_tokens_are_the_context() -> None:
    """Where "=>" was written as one token, the options are scored after that token."""
    model = toy_model()
    found = sample(model, runs=25)
    wrote_one = found[
        found["reached"]
        & (found["tokens"] == found["reasoning"].str.len() + 1)
        & ~found["reasoning"].str.contains(">")  # which ">x" might have brought
    ]
    assert len(wrote_one)
    row = wrote_one.iloc[0]
    text = QUESTION.prompts(DESIGN)[row["prompt_id"]] + row["reasoning"]
    ids = [*model.tokenizer(text)["input_ids"], TOKENS.index("=>")]
    with torch.inference_mode():
        logp = model.network(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
    assert row["option"] == "x"
    assert row["logprob"] == pytest.approx(logp[TOKENS.index("x")].item(), abs=1e-5)


def test_a_token_that_goes_beyond_the_marker() -> None:
    """ "=", ">x" completes the marker and says more: the surplus is dropped."""
    model = toy_model()
    found = sample(model, runs=200)
    prompts = QUESTION.prompts(DESIGN)
    one = runs_of(found)[lambda t: t["reached"]]
    surplus = one["tokens"] == one["reasoning"].str.len() + 2
    ids = {(r.prompt_id, r.reasoning) for r in one[surplus].itertuples()}
    assert not any("=>" in reasoning for _, reasoning in ids)
    # What was written is not in the table; of equal texts those with the surplus differ from no
    # other, for all are scored after the text's own tokens.
    texts = {key: prompts[key[0]] + key[1] + "=>" for key in ids}
    expected = model.scores(list(texts.values()), [QUESTION.options] * len(texts)).logprob
    merged = found[found["reached"]].merge(
        one[surplus][["prompt_id", "run"]], on=["prompt_id", "run"]
    )
    for key, row in zip(texts, expected, strict=True):
        same = merged[(merged["prompt_id"] == key[0]) & (merged["reasoning"] == key[1])]
        np.testing.assert_allclose(same["logprob"], np.tile(row, len(same) // 4), atol=1e-5)


# --- a network that writes what it is told to


class Scripted(torch.nn.Module):
    """Writes `script` token by token, whatever it reads; then all tokens are as likely."""

    def __init__(self, prompt: int, script: list[int], sure: float = 50.0) -> None:
        super().__init__()
        self.prompt, self.script, self.sure = prompt, script, sure
        self.dtype, self.device = torch.float32, torch.device("cpu")
        self.config = SimpleNamespace(max_position_embeddings=None)
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, input_ids: torch.Tensor) -> Any:
        logits = torch.zeros(*input_ids.shape, len(TOKENS))
        for t in range(input_ids.shape[1]):
            step = t + 1 - self.prompt
            if 0 <= step < len(self.script):
                logits[:, t, self.script[step]] = self.sure
        return SimpleNamespace(logits=logits)


def scripted(script: list[str], **kwargs: Any) -> pd.DataFrame:
    network = Scripted(2, [TOKENS.index(token) for token in script])
    model = LocalModel("scripted", network, characters(), asked="padded")
    question = sk.Question("ab", ["x", "y"], template="{question}", separator="")
    design = pd.DataFrame({"n": [1]})
    kwargs = {"runs": 3, "max_tokens": 6, "marker": "=>", **kwargs}
    return sample_runs(model, question, design, **kwargs)


@pytest.mark.parametrize(
    ("script", "reasoning", "tokens"),
    [
        (["a", "=", ">"], "a", 3),
        (["a", "=>"], "a", 2),
        (["a", "b", "=", ">x"], "ab", 4),  # goes beyond it
        (["=>"], "", 1),  # no reasoning
        (["=", "=", ">"], "=", 3),
        (["a", "b", "a", "b", "=", ">"], "abab", 6),  # just in time
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_where_the_marker_stands(script: list[str], reasoning: str, tokens: int) -> None:
    found = scripted(script)
    assert set(found["reasoning"]) == {reasoning} and set(found["tokens"]) == {tokens}
    assert found["reached"].all()
    # After the script, and where a token is predicted that the script does not name, all ten
    # tokens are as likely. After "=" + ">x" the text is read again as "=", ">".
    np.testing.assert_allclose(found["logprob"], np.log(0.1), atol=1e-6)
    np.testing.assert_allclose(found["valid_mass"], 0.2, atol=1e-6)
    np.testing.assert_allclose(found["belief"], 0.5)


@pytest.mark.parametrize(
    ("script", "reasoning", "tokens"),
    [
        (["a", "b", "a", "b", "a", "="], "ababa=", 6),  # too late by one token
        (["a", "</s>", "=", ">"], "a", 2),  # ended before
        (["</s>"], "", 1),
        (["a", "=", "b", ">", "a", "a"], "a=b>aa", 6),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_the_marker_is_not_reached(
    script: list[str], reasoning: str, tokens: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="simkit"):
        found = scripted(script)
    assert "3 of 3 runs did not reach '=>' within 6 tokens" in caplog.text
    assert len(found) == 6 and not found["reached"].any()
    assert found[["logprob", "belief", "valid_mass", "choice"]].isna().all(axis=None)
    assert set(found["reasoning"]) == {reasoning} and set(found["tokens"]) == {tokens}


def test_forced_runs_answer_where_they_stopped(table: pd.DataFrame) -> None:
    found = sample(runs=60, forced=True)
    pd.testing.assert_series_equal(found["reached"], table["reached"])
    assert found[["belief", "choice", "valid_mass"]].notna().all().all()
    kept = table["reached"].to_numpy()
    np.testing.assert_allclose(found["belief"][kept], table["belief"][kept], atol=1e-5)
    stopped = found[~found["reached"]].head(8)
    model, prompts = toy_model(), QUESTION.prompts(DESIGN)
    marked = [
        prompts[i] + r + "=>" for i, r in zip(stopped.prompt_id, stopped.reasoning, strict=True)
    ]
    options = [QUESTION.separator + o for o in QUESTION.options]
    expected = sk.score(model, marked, options)
    mine = stopped["logprob"].to_numpy()
    own = expected[np.arange(8), stopped["option_id"]]
    np.testing.assert_allclose(mine, own, atol=1e-5)


def test_a_run_stops_at_the_marker() -> None:
    steps = []

    class Counting(Scripted):
        def forward(self, input_ids: torch.Tensor) -> Any:
            steps.append(input_ids.shape[1])
            return super().forward(input_ids)

    model = LocalModel("counting", Counting(2, [1, 8]), characters(), asked="padded")
    question = sk.Question("ab", ["x", "y"], template="{question}", separator="")
    asked = pd.DataFrame({"n": [1]})
    # A warning of low mass would read on.
    sample_runs(model, question, asked, runs=50, max_tokens=40, marker="=>", least_mass=0)
    assert max(steps) == 4  # prompt, "a", "=>": of 40 tokens two were written


def test_max_tokens_only_lets_runs_go_on(table: pd.DataFrame) -> None:
    short = sample(runs=60, max_tokens=3)
    before, after = runs_of(short), runs_of(table)
    same = before["reached"]
    assert 0 < same.sum() < after["reached"].sum()
    pd.testing.assert_frame_equal(before[same][["run", "reasoning", "tokens"]],
                                  after[same][["run", "reasoning", "tokens"]])  # fmt: skip
    assert (before["tokens"] <= 3).all()


# --- probabilities


def test_thoughts_come_as_often_as_they_are_likely(glassbox: LocalModel) -> None:
    design = brands.design((24, 39), (30,))
    ask = sk.Question(
        brands.QUESTIONS["thought"].text,
        brands.BRANDS,
        template=brands.QUESTIONS["thought"].template,
    )
    runs = 1_500
    found = sample_runs(glassbox, ask, design, runs=runs, seed=4)
    one = runs_of(found)
    exact = sk.believe(glassbox, brands.QUESTIONS["thought"], design)
    for i in range(2):
        p = np.exp(exact[exact["prompt_id"] == i]["logprob"].to_numpy())
        said = one[(one["prompt_id"] == i) & one["reached"]]["reasoning"]
        counts = np.array([(said == " " + t).sum() for t in brands.THOUGHTS])
        often = runs * p >= 5
        observed = np.append(counts[often], runs - counts[often].sum())
        expected = runs * np.append(p[often], 1 - p[often].sum())
        assert often.sum() == 10 and stats.chisquare(observed, expected).pvalue > 0.01
    # The belief after each thought is the one that is scored after the same words.
    known = one[one["reasoning"].isin([" " + t for t in brands.THOUGHTS])]
    after = sk.believe(
        glassbox,
        brands.QUESTIONS["choice"],
        known[["context", "reasoning"]]
        .assign(thought=known["reasoning"].str[1:])
        .drop_duplicates(),
    )
    merged = found.merge(after, on=["context", "reasoning", "option_id"], suffixes=("", "_alone"))
    assert len(merged) == 3 * len(known) > 0.99 * len(found)
    np.testing.assert_allclose(merged["belief"], merged["belief_alone"], atol=1e-5)
    # Choices are drawn from it: their z over all runs, given the beliefs, is standard normal.
    reached = found[found["reached"]]
    for _, rows in reached.groupby(["prompt_id", "option"]):
        p = rows["belief"]
        z = (rows["choice"] - p).sum() / np.sqrt((p * (1 - p)).sum())
        assert abs(z) < 3


def test_choice_and_token_draws_are_independent(table: pd.DataFrame) -> None:
    """One uniform for the choice, others for the tokens: no option follows from the reasoning
    beyond its belief."""
    found = sample(runs=2_000, design=DESIGN[:1])
    for option, rows in found[found["reached"]].groupby("option"):
        common = rows[rows["reasoning"] == rows["reasoning"].mode()[0]]
        p = common["belief"].mean()
        z = (common["choice"].mean() - p) / np.sqrt(p * (1 - p) / len(common))
        assert len(common) > 50 and abs(z) < 3, option


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_of_reasoning_belief_and_choice(temperature: float) -> None:
    found = sample(runs=400, temperature=temperature)
    reached = found[found["reached"]]
    tempered = np.exp(reached["logprob"] / temperature).to_numpy().reshape(-1, 4)
    expected = tempered / tempered.sum(1, keepdims=True)
    np.testing.assert_allclose(reached["belief"], expected.ravel(), atol=1e-9)
    z = (reached["choice"] - reached["belief"]).to_numpy().reshape(-1, 4).sum(0)
    z /= np.sqrt((expected * (1 - expected)).sum(0))
    assert (np.abs(z) < 3).all()
    # First tokens come as softmax(logits / T) has them.
    model = toy_model()
    ids = model.tokenizer(QUESTION.prompts(DESIGN)[0])["input_ids"]
    with torch.inference_mode():
        logits = model.network(torch.tensor([ids])).logits[0, -1].double()
    p_a = torch.softmax(logits / temperature, -1)[TOKENS.index("a")].item()
    first = runs_of(found)[:400]["reasoning"].str.startswith("a").mean()
    assert abs(first - p_a) < 3 * np.sqrt(p_a * (1 - p_a) / 400)
    assert set(found["belief_temperature"]) == {temperature}


def test_temperature_zero_takes_the_likeliest() -> None:
    network = Scripted(2, [TOKENS.index(t) for t in ("b", "=>", "y")], sure=0.1)
    model = LocalModel("scripted", network, characters(), asked="padded")
    question = sk.Question("ab", ["x", "y"], template="{question}", separator="")
    found = sample_runs(
        model, question, pd.DataFrame({"n": [1]}), runs=5, temperature=0, marker="=>"
    )
    assert set(found["reasoning"]) == {"b"}
    assert found["belief"].tolist() == [0, 1] * 5 == found["choice"].tolist()
    # logits .1 and nine times 0: log(e^.1 / (e^.1 + 9)); it stays that of temperature 1
    assert found["logprob"][1] == pytest.approx(0.1 - np.log(np.exp(0.1) + 9), abs=1e-6)


# --- what runs do not depend on


def test_the_same_call_gives_the_same_bits(table: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(sample(runs=60), table, check_exact=True)


def test_the_order_of_rows_changes_nothing(table: pd.DataFrame) -> None:
    order = [2, 0, 1]
    found = sample(runs=60, design=DESIGN.iloc[order])
    for new, old in enumerate(order):
        a = found[found["prompt_id"] == new].drop(columns="prompt_id").reset_index(drop=True)
        b = table[table["prompt_id"] == old].drop(columns="prompt_id").reset_index(drop=True)
        pd.testing.assert_frame_equal(a, b, check_exact=True)


def test_how_it_is_computed_changes_nothing(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    close(sample(toy_model(asked="padded"), runs=60), table)
    monkeypatch.setattr(Limits, "of", lambda network: Limits(budget=5))
    close(sample(runs=60), table)


def test_one_prompt_alone_and_fewer_runs(table: pd.DataFrame) -> None:
    alone = sample(runs=11, design=DESIGN[1:2])
    same = table[(table["prompt_id"] == 1) & (table["run"] < 11)]
    close(alone, same.assign(prompt_id=0).reset_index(drop=True))


def test_blocks_change_nothing(table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 10 * 13)  # 13 runs at a time
    close(sample(runs=60), table)


def close(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    exact = ["reasoning", "reached", "tokens", "choice", "run", "prompt_id"]
    pd.testing.assert_frame_equal(found[exact], expected[exact], check_exact=True)
    np.testing.assert_allclose(found["logprob"], expected["logprob"], atol=1e-5)
    np.testing.assert_allclose(found["belief"], expected["belief"], atol=1e-5)


def test_seeds_and_global_random_state(table: pd.DataFrame) -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    other = sample(runs=60, seed=1)
    assert (torch.get_rng_state() == state[0]).all()
    assert (np.random.get_state()[1] == state[1]).all()
    assert set(other["seed"]) == {1}
    same = runs_of(other)["reasoning"] == runs_of(table)["reasoning"]
    assert same.mean() < 0.5


def test_equal_prompts_draw_anew() -> None:
    design = pd.DataFrame({"who": ["a", "ba", "a", "a"], "age": [1, 2, 3, 4]})
    found = runs_of(sample(runs=40, design=design))
    texts = [found[found["prompt_id"] == i]["reasoning"].tolist() for i in range(4)]
    assert all(texts[i] != texts[j] for i, j in ((0, 2), (2, 3), (0, 3)))
    assert texts[0] == runs_of(sample(runs=40, design=design[:1]))["reasoning"].tolist()


# --- questions of all kinds, adapters, refusals


def test_spellings_are_added_up_as_in_believe() -> None:
    model = toy_model()
    forms = {"x": ["xa", "b"], "y": ["xy"]}
    question = sk.Question("a", ["x", "y"], template="{who}{question}b ", separator="", forms=forms)
    bare = sk.Question("a", ["x", "y"], template="{who}{question}b ", separator="")
    found, plain = (sample(model, q, runs=40) for q in (question, bare))
    own = found["reached"] & (found["tokens"] == found["reasoning"].str.len() + 2)
    assert own.sum()
    assert (found["logprob"][own] > plain["logprob"][own]).all()
    texts = DESIGN["who"] + "ab "
    design = found[own & (found["option_id"] == 0)]
    design = pd.DataFrame({"text": texts[design["prompt_id"]].array + design["reasoning"] + "=>"})
    expected = sk.believe(
        model,
        sk.Question("-", ["x", "y"], template="{text}", separator="", forms=forms),
        design,
    )
    for name in ("logprob", "belief", "valid_mass"):
        np.testing.assert_allclose(found[name][own], expected[name], atol=1e-5)


def test_options_by_letter(glassbox: LocalModel) -> None:
    question = sk.Question(
        "Which?", ["yes", "no"], layout="letters", template="{question}\n{options}\nThought:"
    )
    design = pd.DataFrame({"n": [1]})
    found = sample_runs(
        glassbox, question, design, runs=3, max_tokens=40, temperature=0, marker="."
    )
    assert found["option"].tolist() == ["yes", "no"] * 3
    one = found[found["reached"]]
    assert len(one)
    text = "Which?\nA. yes\nB. no\nThought:" + one["reasoning"].iloc[0] + "."
    expected = sk.score(glassbox, [text], [" A", " B"])[0]
    np.testing.assert_allclose(one["logprob"][:2], expected, atol=1e-5)


def test_a_prompt_that_brings_its_bos() -> None:
    tokenizer = make_tokenizer(bos=True)
    model = LocalModel("bos", make_network("llama", len(tokenizer)), tokenizer)
    question = sk.Question("buy it?", ["yes", "no"], template="{start}Does he {question}")
    design = pd.DataFrame({"start": ["", "<s>"]})
    found = sample_runs(model, question, design, runs=8, max_tokens=30, marker="e", seed=2)
    bare, brought = (found[found["prompt_id"] == i] for i in range(2))
    # One BOS either way, so the same beliefs after the same texts; greedy writes the same.
    assert bare["reached"].any() and brought["reached"].any()
    greedy = sample_runs(model, question, design, runs=1, max_tokens=12, marker="e", temperature=0)
    assert greedy["reasoning"].nunique() == 1
    np.testing.assert_allclose(greedy["logprob"][:2], greedy["logprob"][2:], atol=1e-6)


def test_adapters() -> None:
    peft = pytest.importorskip("peft")
    base = toy_model()
    adapted = peft.get_peft_model(
        toy("llama"), peft.LoraConfig(target_modules=["q_proj", "v_proj"])
    )
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        for name, p in adapted.named_parameters():
            if "lora_B" in name:
                p.normal_()
    model = LocalModel("adapted", adapted, characters())
    assert model.path == "tree"
    found, plain = sample(model, runs=30), sample(base, runs=30)
    assert (found["reasoning"] != plain["reasoning"]).any()
    own = found["reached"] & (found["tokens"] == found["reasoning"].str.len() + 2)
    one = found[own & (found["option_id"] == 0)]
    texts = (DESIGN["who"] + "ab ")[one["prompt_id"]].array + one["reasoning"] + "=>"
    expected = sk.score(model, texts.tolist(), QUESTION.options)
    np.testing.assert_allclose(found["logprob"][own], expected.ravel(), atol=1e-5)
    with adapted.disable_adapter():
        close(sample(model, runs=30), plain)


def test_training_mode_is_left_as_it_was() -> None:
    model = toy_model()
    model.network.train()
    sample(model, runs=1)
    assert model.network.training


def test_a_model_that_cannot_write() -> None:
    mock = sk.MockModel(lambda prompt: {"x": 0.5, "y": 0.5})
    with pytest.raises(
        TypeError, match=r"mock \(MockModel\) has no `runs`, which sample_runs needs"
    ):
        sample(mock)


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"runs": 0}, "runs is 0"),
        ({"runs": 2.0}, "runs is 2.0"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"marker": ""}, "marker is ''"),
        ({"temperature": -1}, "temperature is -1"),
        ({"design": DESIGN.assign(choice=1)}, "already has a column 'choice'"),
        ({"design": DESIGN[:0]}, "no rows"),
        ({"design": DESIGN.drop(columns="who")}, "no column for {who}"),
        # 5 + 57 + the 3 of "y b"; the first row's prompt has 4 and just fits into 64
        ({"max_tokens": 57}, r"row 1: a prompt of 5 tokens, max_tokens 57 and an option are 65"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_refusals(kwargs: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sample(**kwargs)


def test_what_would_fail_at_the_answer_fails_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "grow", lambda *a, **k: pytest.fail("wrote before it checked"))
    tokenizer = make_tokenizer(bos=False)
    model = LocalModel("merging", make_network("gpt2", len(tokenizer)), tokenizer)
    question = sk.Question("Does the customer", ["es", "o"], template="{question}", separator="")
    with pytest.raises(sk.BoundaryError, match="row 0"):
        sample_runs(model, question, DESIGN, runs=2, marker=" y")


def test_what_it_took_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="simkit"):
        found = sample(runs=60)
    (line,) = [r.getMessage() for r in caplog.records if "positions computed" in r.getMessage()]
    one = runs_of(found)
    length = one["prompt_id"].map({0: 4, 1: 5, 2: 5})
    said = re.fullmatch(
        r"180 runs wrote (\d+) distinct texts: (\d+) positions computed, one by one (\d+)", line
    )
    assert said
    texts, computed, naive = map(int, said.groups())
    # Texts may agree in letters and differ in tokens, which the table does not show.
    assert one.groupby(["prompt_id", "reasoning", "tokens"]).ngroups <= texts < 180
    assert naive == (length + one["tokens"] - 1).sum() > computed
