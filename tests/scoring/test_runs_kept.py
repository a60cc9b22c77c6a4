"""Runs in a store: none twice, none lost, and none of another model, prompt, draw or setting."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit.scoring.cache import cached as kept
from simkit.scoring.local import LocalModel
from simkit.scoring.runs import local as module
from simkit.store import Store
from tests.scoring import slow_runs
from tests.scoring.conftest import make_network
from tests.scoring.test_cached import damage
from tests.scoring.test_runs import DESIGN, QUESTION, close, sample, toy_model


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs.sqlite")


@pytest.fixture
def model(store: Store) -> sk.Cached:
    return sk.Cached(toy_model(), store)


def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Gets the number of runs of every block that is written from now on."""
    seen: list[int] = []
    plain = module.grow_each

    def counting(model: Any, contexts: Any, *more: Any) -> Any:
        seen.append(len(contexts))
        return plain(model, contexts, *more)

    monkeypatch.setattr(module, "grow_each", counting)
    return seen


def test_runs_are_found_again_bit_for_bit(
    model: sk.Cached, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = written(monkeypatch)
    fresh = sample(model, forced=True)
    assert len(store) == 3 * 7 and sum(seen) == 21
    again = sample(model, forced=True)
    pd.testing.assert_frame_equal(again, fresh, check_exact=True)
    assert sum(seen) == 21 and model.stored == 21
    pd.testing.assert_frame_equal(fresh, sample(forced=True), check_exact=True)  # without a store


def test_runs_without_an_answer_are_kept_too(model: sk.Cached) -> None:
    fresh = sample(model, runs=30, max_tokens=4)
    assert fresh["belief"].isna().any() and fresh["belief"].notna().any()
    pd.testing.assert_frame_equal(sample(model, runs=30, max_tokens=4), fresh, check_exact=True)


def test_more_runs_and_rows_only_add(model: sk.Cached, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = written(monkeypatch)
    sample(model, runs=5, design=DESIGN[1:])
    sample(model, runs=8)
    assert sum(seen) == 2 * 5 + (2 * 3 + 8)
    close(sample(model, runs=8), sample(runs=8))
    assert sum(seen) == 24 + 24  # the last call has no store
    twice = pd.concat([DESIGN[:1], DESIGN[:1]])  # the second of equal prompts draws anew
    sample(model, runs=8, design=twice)
    assert sum(seen) == 48 + 8


OTHER: dict[str, dict[str, Any]] = {
    "seed": {"seed": 1},
    "temperature": {"temperature": 0.7},
    "marker": {"marker": "="},
    "tokens": {"max_tokens": 9},
    "forced": {"forced": True},
    "options": {"question": dataclasses.replace(QUESTION, options=("x", "y", "xy", "a"))},
    "spellings": {"question": sk.Question(
        "a", QUESTION.options, template=QUESTION.template, separator="", forms={"x": ["ab"]})},
    "separator": {"question": dataclasses.replace(QUESTION, separator=" ")},
    "prompt": {"design": DESIGN.assign(who=["b", "aa", "ab"])},
}  # fmt: skip


@pytest.mark.parametrize("how", OTHER.values(), ids=OTHER)
def test_whatever_a_run_depends_on_is_in_its_key(
    model: sk.Cached, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]
) -> None:
    sample(model)
    seen = written(monkeypatch)
    close(sample(model, **how), sample(**how))
    assert sum(seen) == 2 * 21


def test_another_model_version_or_format_writes_its_own(
    model: sk.Cached, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample(model)
    seen = written(monkeypatch)
    sample(sk.Cached(toy_model(asked="padded"), store))
    sample(sk.Cached(toy_model("gpt2"), store))
    model.network.generation_config.eos_token_id = 5
    sample(model)
    model.network.generation_config.eos_token_id = None
    for name, value in (("__version__", "0"), ("FORMAT", 0)):
        with monkeypatch.context() as changed:
            changed.setattr(kept, name, value)
            sample(model)
    assert seen == [21] * 5
    sample(model)
    assert seen == [21] * 5


def test_scores_and_runs_share_a_file(model: sk.Cached, store: Store) -> None:
    prompts = QUESTION.prompts(DESIGN)
    before = sk.score(model, prompts, ["x", "y"])
    sample(model)
    assert len(store) == 3 + 21
    np.testing.assert_array_equal(sk.score(model, prompts, ["x", "y"]), before)


def test_a_damaged_run_is_drawn_anew(
    model: sk.Cached, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = sample(model)
    damage(store, "key > x'80'")
    seen = written(monkeypatch)
    close(sample(model), fresh)
    assert 0 < sum(seen) < 21
    close(sample(model), fresh)
    assert 0 < sum(seen) < 21  # each once


def test_a_run_that_cannot_be_read_is_said(
    model: sk.Cached, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (b"[]", b"\xff", b'["a", 1, true, false, [-1.0], 0.5]'):
        monkeypatch.setattr(
            Store, "get_many", lambda self, keys, value=value: dict.fromkeys(keys, value)
        )
        with pytest.raises(ValueError, match="a run that cannot be read"):
            sample(model)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_runs_go_on_where_they_were(tmp_path: Path) -> None:
    store, log = tmp_path / "runs.sqlite", tmp_path / "log"
    words = [sys.executable, "-m", slow_runs.__name__, str(store), str(log)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        while not log.exists() or len(log.read_text().splitlines()) < 4:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -9
    blocks, there = len(log.read_text().splitlines()), len(Store(store))
    assert blocks >= 4 and there < 3 * slow_runs.RUNS
    assert blocks * slow_runs.BLOCK - there in (0, slow_runs.BLOCK)  # lost: one block at most

    found = slow_runs.sample(store, log)
    again = len(log.read_text().splitlines()) - blocks
    assert again * slow_runs.BLOCK == 3 * slow_runs.RUNS - there  # what was kept is not written
    assert len(Store(store)) == 3 * slow_runs.RUNS
    close(found, slow_runs.sample(None))


def chat_runs(chat: Any, template: str, **how: Any) -> Any:
    """Runs of the chat model on two customers."""
    from tests.scoring.test_chat import FAMILIES, chat_tokenizer

    tokenizer = chat_tokenizer(FAMILIES["chatml"])
    network = make_network("llama", len(tokenizer), positions=512).eval()
    model = LocalModel("chat", network, tokenizer)
    question = sk.Question("Buy it?", ["yes", "no"], template=template)
    how = {"runs": 5, "max_tokens": 6, "forced": True, **how}
    design = pd.DataFrame({"who": ["Ann", "Bo"]})
    return sk.sample_runs(model, question, design, chat=chat, **how)


TURN = "<|im_start|>user\n{who}: {question}<|im_end|>\n<|im_start|>assistant\n"


def test_a_chat_is_the_text_that_its_template_makes() -> None:
    system = "<|im_start|>system\nYou are {who}.<|im_end|>\n"
    pairs: list[tuple[Any, str, dict[str, Any]]] = [
        (True, TURN, {}),
        (sk.Chat(system="You are {who}."), system + TURN, {}),
        (sk.Chat(prefix="So:"), TURN, {"marker": "\nSo:"}),
        (sk.Chat(prefix=""), TURN, {"marker": "=>"}),
    ]
    seen = []
    for chat, text, how in pairs:
        prefix = "Answer:" if chat is True else chat.prefix
        # The answer's prefix at the end of a prompt belongs to the answer, so it is taken off.
        mine = how if prefix == "" else {}
        found = (
            chat_runs(chat, "{who}: {question}\n" * bool(prefix) + prefix, **mine)
            if prefix
            else chat_runs(chat, "{who}: {question}", **mine)
        )
        expected = chat_runs(False, text, **how)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
        seen.append(found["logprob"].to_numpy())
    assert all(not np.array_equal(seen[0], other) for other in seen[1:])


def test_the_chats_separator_stands_before_the_options() -> None:
    found = chat_runs(sk.Chat(separator="\n"), "{who}: {question}")
    question = sk.Question("Buy it?", ["yes", "no"], template=TURN, separator="\n")
    assert question.separator == "\n"
    plain = chat_runs(True, "{who}: {question}")
    assert (found["reasoning"] == plain["reasoning"]).all()
    assert not np.allclose(found["logprob"], plain["logprob"])


def test_the_shared_prompt_of_a_chat_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    work = []
    plain = module.Work

    def remembered() -> Any:
        work.append(plain())
        return work[-1]

    monkeypatch.setattr(module, "Work", remembered)
    for runs in (1, 20):
        chat_runs(sk.Chat(system="You are one of few words. " * 4), "{who}: {question}", runs=runs,
                  max_tokens=1)  # fmt: skip
    # One token a run, then the marker; the prompts of over 60 tokens are not read again.
    assert work[1].positions - work[0].positions < 19 * 2 * 30 < 19 * 2 * 60


@pytest.mark.parametrize(
    ("chat", "said"),
    [("yes", "chat is 'yes'"), (sk.Chat(prefix=""), "prefix is empty")],
)
def test_refused_chats(chat: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        chat_runs(chat, "{question}")
    with pytest.raises(ValueError, match="no chat template"):
        sample(chat=True, marker=None)
