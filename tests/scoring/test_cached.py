"""Scores through a store: the same numbers, found again only for the same model and text."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import simkit as sk
from simkit.scoring.cache import cached
from simkit.scoring.cache.cached import Cached
from simkit.scoring.cache.fingerprint import Fingerprint
from simkit.scoring.engine.tally import blocks
from simkit.scoring.local import LocalModel
from simkit.scoring.types import Scores
from simkit.store import Store
from tests.scoring.conftest import make_network, make_tokenizer

PROMPTS = ["The price is $3.50.", "It is hot.", "The price is $12.00.", "It is hot."]
OPTIONS = [" yes", " no", " yes, definitely"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "scores.sqlite")


@pytest.fixture
def model() -> LocalModel:
    tokenizer = make_tokenizer(bos=True)
    return LocalModel("m", make_network("llama", len(tokenizer)).eval(), tokenizer)


class Computer:
    """Answers by a rule and remembers what it was asked."""

    def __init__(self, identity: Any = "m") -> None:
        self.name, self.identity = "computer", {"model": identity} if identity else {}
        self.asked: list[list[str]] = []

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        self.asked.append(list(prompts))
        each = zip(prompts, options, strict=True)
        logprob = np.array([[-len(prompt + o) / 7 for o in row] for prompt, row in each])
        return Scores(logprob, logprob < -1)


def through(store: Store, prompts: Sequence[str], identity: str = "m") -> tuple[Scores, Computer]:
    computer = Computer(identity)
    found = Cached(computer, store).scores(prompts, [(" a", " bc")] * len(prompts))
    return found, computer


def test_a_model_finds_its_scores_again_bit_for_bit(model: Any, store: Store) -> None:
    bare, model = model, Cached(model, store)
    fresh = model.scores(PROMPTS, [OPTIONS] * 4)
    assert len(store) == 3  # two prompts are equal
    plain, work = model.tally.plain, model.tally.work.positions
    again = model.scores(PROMPTS[::-1], [OPTIONS] * 4)
    np.testing.assert_array_equal(again.logprob, fresh.logprob[::-1])
    np.testing.assert_array_equal(again.nested, fresh.nested[::-1])
    assert fresh.nested[:, 2].all() and again.nested.dtype == bool
    assert (model.tally.plain, model.tally.work.positions) == (plain, work)  # nothing computed
    assert model.stored == 4
    np.testing.assert_allclose(
        bare.scores(PROMPTS, [OPTIONS] * 4).logprob, fresh.logprob, atol=1e-5
    )


def test_load_takes_the_file(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "scores.sqlite"
    first = sk.score(sk.load(folder, cache=file), PROMPTS, OPTIONS)
    # The same model in another place, loaded anew, has nothing left to compute.
    moved = shutil.copytree(folder, tmp_path / "moved")
    later = sk.load(moved, cache=str(file))
    monkeypatch.setattr(LocalModel, "scores", None)
    np.testing.assert_array_equal(sk.score(later, PROMPTS, OPTIONS), first)
    (tmp_path / "letter.txt").write_text("Dear Ann")
    with pytest.raises(ValueError, match=r"letter\.txt is not a store"):
        sk.load(folder, cache=tmp_path / "letter.txt")


def test_every_number_is_kept_exactly(store: Store) -> None:
    values = np.array([[-np.inf, -0.1], [np.nan, -1e-300], [-5e-324, 0.0]])
    nested = np.array([[True, False], [False, False], [True, True]])
    exact = Computer()
    exact.scores = lambda prompts, options: Scores(values, nested)  # type: ignore[method-assign]
    for computer in (exact, Computer()):
        model = Cached(computer, store)
        found = model.scores(["x", "y", "z"], [(" a", " b")] * 3)
        assert found.logprob.tobytes() == values.tobytes()
        np.testing.assert_array_equal(found.nested, nested)
    assert model.stored == 3


def test_only_what_is_missing_is_computed_and_once(store: Store) -> None:
    through(store, ["b", "d"])
    found, compute = through(store, ["d", "c", "a", "b", "c"])
    assert compute.asked == [["a", "c"]]
    # -len(prompt + option) / 7 with options of 2 and 3 characters
    np.testing.assert_array_equal(found.logprob, [[-3 / 7, -4 / 7]] * 5)
    assert through(store, [])[0].logprob.shape == (0, 0)


def test_options_and_their_order_are_part_of_the_key(store: Store) -> None:
    asked = []
    for row in [(" a", " b"), (" b", " a"), (" a", " b", " c"), (" a b", ""), (" a", " b")]:
        computer = Computer()
        Cached(computer, store).scores(["x"], [row])
        asked.append(bool(computer.asked))
    assert asked == [True, True, True, True, False]
    # The same text, cut at another place.
    assert through(store, ["x a"])[1].asked and through(store, ["x"])[1].asked


def test_models_do_not_mix(store: Store) -> None:
    through(store, ["a"], "m")
    assert through(store, ["a"], "n")[1].asked == [["a"]]
    assert through(store, ["a"], "m")[1].asked == []
    with pytest.raises(ValueError, match="no identity"):
        Cached(Computer(None), store).scores(["a"], [(" a", " b")])


def test_what_is_done_is_kept_block_by_block(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "BLOCK", 3)
    prompts = [f"{i:02}" for i in range(10)]
    computer = Computer()
    plain = computer.scores

    def failing(prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        if len(computer.asked) == 2:
            raise MemoryError
        return plain(prompts, options)

    computer.scores = failing  # type: ignore[method-assign]
    with pytest.raises(MemoryError):
        Cached(computer, store).scores(prompts, [(" a", " bc")] * 10)
    assert len(store) == 6
    assert through(store, prompts)[1].asked == [["06", "07", "08"], ["09"]]


def test_blocks_are_bounded_by_prompts_and_by_characters() -> None:
    texts = ["aaaa", "b", "c", "d", "eeee", "f"]
    assert list(blocks([5, 3, 2, 1, 0, 4], texts, 2, 100)) == [[5, 3], [2, 1], [0, 4]]
    assert list(blocks(range(6), texts, 100, 4)) == [[0], [1, 2, 3, 4], [5]]
    assert list(blocks([], texts, 2, 4)) == []


def test_an_error_names_the_row_of_the_call(model: Any, store: Store) -> None:
    model = Cached(model, store)
    model.scores(["It is hot."], [OPTIONS])
    with pytest.raises(ValueError, match=r"row 2: .* more than the 128"):
        model.scores(["The", "It is hot.", "It is hot. " * 60 + "So"], [OPTIONS] * 3)


def damage(store: Store, where: str) -> None:
    """Flip a bit in the values of the store."""
    with closing(sqlite3.connect(store.path)) as db:
        db.create_function("flip", 1, lambda v: v[:3] + bytes([v[3] ^ 16]) + v[4:])
        db.execute(f"UPDATE kept SET value = flip(value) WHERE {where}")
        db.commit()


def test_damaged_rows_are_computed_anew_and_only_they(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    prompts = [f"{i:02}" for i in range(20)]
    fresh, _ = through(store, prompts)
    damage(store, "key > x'80'")  # about half of them
    with caplog.at_level(logging.WARNING):
        again, compute = through(store, prompts)
    assert len([r for r in caplog.records if "checksum fails" in r.message]) == 1
    assert 0 < sum(map(len, compute.asked)) < 20
    np.testing.assert_array_equal(again.logprob, fresh.logprob)
    found, compute = through(store, prompts)
    assert compute.asked == []
    np.testing.assert_array_equal(found.logprob, fresh.logprob)


def test_a_store_that_cannot_be_written_is_used_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    through(store, ["a", "b"])
    plain = sqlite3.connect
    monkeypatch.setattr(  # as SQLite opens it on a read-only medium
        sqlite3,
        "connect",
        lambda path, *a, **how: plain(f"file:{path}?mode=ro", *a, uri=True, **how),
    )
    for _ in range(2):
        found, compute = through(store, ["a", "b", "c"])
        assert compute.asked == [["c"]]
        np.testing.assert_array_equal(found.logprob, [[-3 / 7, -4 / 7]] * 3)
    assert len([r for r in caplog.records if "cannot be written" in r.message]) == 1


def test_a_row_of_another_length_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "get_many", lambda self, keys: dict.fromkeys(keys, b"12345678"))
    with pytest.raises(ValueError, match="another length"):
        through(store, ["a"])


def add_in_place(network: torch.nn.Module) -> None:
    with torch.no_grad():
        network.lm_head.weight[0, 0] += 1.0


def add_past_autograd(network: torch.nn.Module) -> None:
    network.model.norm.weight.data.mul_(1.5)


def replace_a_row(network: torch.nn.Module) -> None:
    table = network.model.embed_tokens.weight.detach().clone()
    table[7] += 1.0
    network.model.embed_tokens.weight = torch.nn.Parameter(table.clone())


def step_of(kind: Callable[..., torch.optim.Optimizer], **how: object) -> Callable[..., None]:
    def step(network: torch.nn.Module) -> None:
        weights = list(network.parameters())
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        kind(weights, lr=1e-3, **how).step()

    return step


CHANGES: dict[str, Callable[[torch.nn.Module], object]] = {
    "one number, in place": add_in_place,
    "a tensor, through .data": add_past_autograd,
    "a row of a table, replaced": replace_a_row,
    "training": step_of(torch.optim.SGD),
    "training, fused": step_of(torch.optim.AdamW, fused=True),
    "another head": lambda n: setattr(
        n.lm_head, "weight", torch.nn.Parameter(n.lm_head.weight * 2)
    ),
    "other numbers of the same kind": lambda n: n.to(torch.bfloat16),
    "a setting": lambda n: setattr(n.config, "rms_norm_eps", 0.1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_network_never_finds_the_old_rows(
    model: LocalModel, change: Callable[[torch.nn.Module], object]
) -> None:
    seen = [model.identity]
    assert model.identity == seen[0]
    change(model.network)
    seen.append(model.identity)
    assert seen[0] != seen[1]
    # The hash that was kept is the one that a new look takes.
    assert Fingerprint(model.network, model.tokenizer).fields().items() <= seen[1].items()


def test_the_hash_is_taken_once_while_nothing_changes(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = model.identity
    monkeypatch.setattr("simkit.scoring.cache.fingerprint._hash", None)
    model.scores(PROMPTS, [OPTIONS] * 4)  # scoring changes nothing
    model.tokenizer(["a", "b c"], padding=True, truncation=True, max_length=8)  # nor does this
    assert model.identity == first


def test_every_part_of_a_model_is_in_its_identity(model: LocalModel) -> None:
    other = {
        "path": dataclasses.replace(model, asked="padded"),
        "revision": dataclasses.replace(model, revision="abc"),
        "tokenizer": dataclasses.replace(model, tokenizer=make_tokenizer(bos=False)),
    }
    for part, changed in other.items():
        differ = {k for k, v in changed.identity.items() if model.identity[k] != v}
        assert differ == {part}
    assert dataclasses.replace(model, name="n").identity == model.identity


def test_names_of_the_same_weights_matter(model: LocalModel) -> None:
    first, second = (layer.input_layernorm for layer in model.network.model.layers)
    first.weight.data.fill_(2.0)
    before = model.identity["weights"]
    first.weight, second.weight = second.weight, first.weight
    assert model.identity["weights"] != before


def test_weights_that_are_not_in_memory_cannot_be_named(model: LocalModel) -> None:
    Fingerprint(model.network, model.tokenizer).fields()
    with pytest.raises(ValueError, match="not in memory"):
        Fingerprint(model.network.to("meta"), model.tokenizer).fields()


def test_a_tokenizer_written_in_python_has_a_fingerprint(model: LocalModel) -> None:
    transformers = pytest.importorskip("transformers")
    found = [
        Fingerprint(model.network, transformers.ByT5Tokenizer(extra_ids=n)).fields()["tokenizer"]
        for n in (0, 0, 5)
    ]
    assert found[0] == found[1] != found[2]


def test_an_adapter_is_part_of_the_model(model: LocalModel) -> None:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    plain = sk.score(model, PROMPTS, OPTIONS)
    seen = [model.identity]
    network = peft.get_peft_model(model.network, config, "one")
    adapted = dataclasses.replace(model, network=network)
    assert not np.allclose(sk.score(adapted, PROMPTS, OPTIONS), plain, atol=1e-4)

    def take() -> None:
        assert adapted.identity not in seen
        seen.append(adapted.identity)

    take()
    network.add_adapter("two", config)
    network.set_adapter("two")  # two lie there, one acts
    take()
    with network.disable_adapter():
        take()
    network.set_adapter("one")
    take()
    one = seen[-1]
    network.base_model.model.model.layers[0].self_attn.q_proj.set_scale("one", 3.0)
    take()
    network.base_model.model.model.layers[0].self_attn.q_proj.set_scale("one", 1.0)
    assert adapted.identity == one
    network.merge_adapter()
    take()


def test_learnt_prompts_switched_off_are_another_model(model: LocalModel) -> None:
    peft = pytest.importorskip("peft")
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    network = peft.get_peft_model(model.network, config)
    fingerprint = Fingerprint(network, model.tokenizer)
    on = fingerprint.fields()
    with network.disable_adapter():
        off = fingerprint.fields()
    assert on != off
    assert fingerprint.fields() == on
