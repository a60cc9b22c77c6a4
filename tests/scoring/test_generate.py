"""Sampling on the growing tree against sampling one by one, what it computes and how it ends."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from simkit.scoring.engine.tokens import Ids, pack, unpack
from simkit.scoring.engine.tree import Limits, Work
from simkit.scoring.runs import frontier
from simkit.scoring.runs.generate import Written, draw, end_ids, grow

# Tokens are characters, but a model may also write "=>" and ">x" as one token.
TOKENS = ("</s>", "a", "b", " ", "=", ">", "x", "y", "=>", ">x")
MARKER = "=>"


def characters() -> PreTrainedTokenizerFast:
    vocabulary = {token: i for i, token in enumerate(TOKENS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>")


def toy(architecture: str, scale: float = 0.3) -> Any:
    """A network over TOKENS with weights large enough for lively distributions."""
    llama = {
        "vocab_size": len(TOKENS), "max_position_embeddings": 64, "hidden_size": 32,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 48, "eos_token_id": 0, "bos_token_id": None,
        "initializer_range": scale,
    }  # fmt: skip
    gpt2 = {
        "vocab_size": len(TOKENS), "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4,
        "eos_token_id": 0, "bos_token_id": None, "initializer_range": scale,
    }  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(11)
        if architecture == "gpt2":
            return GPT2LMHeadModel(GPT2Config(**gpt2)).eval()
        if architecture == "qwen2":
            return Qwen2ForCausalLM(Qwen2Config(**llama)).eval()
        if architecture == "mistral":
            return MistralForCausalLM(MistralConfig(**llama, sliding_window=4)).eval()
        return LlamaForCausalLM(LlamaConfig(**llama)).eval()


def next_p(network: Any, ids: list[int], temperature: float = 1.0) -> np.ndarray:
    with torch.inference_mode():
        logits = network(torch.tensor([ids])).logits[0, -1].double()
    return torch.softmax(logits / temperature, -1).numpy()


def write_alone(network: Any, context: list[int], u: np.ndarray) -> tuple[list[int], str, int]:
    """One run by a plain loop: tokens, text, where the marker is."""
    ids: list[int] = []
    for t in range(len(u)):
        p = next_p(network, context + ids)
        ids.append(int(np.searchsorted(p.cumsum() / p.sum(), u[t], side="right")))
        said = "".join(TOKENS[i] for i in ids if i)
        if MARKER in said or ids[-1] == 0:
            break
    return ids, said, said.find(MARKER)


CONTEXTS = [[1], [1, 2, 1], [1, 2], [2, 3, 4, 1, 1, 3], [1, 2, 2, 2]]


def spread(written: list[Written]) -> dict[int, Written]:
    """run -> what it wrote."""
    who = np.concatenate([w.runs for w in written])
    assert len(who) == len(set(who))
    return {int(r): w for w in written for r in w.runs}


def run_all(network: Any, uniforms: np.ndarray, **kwargs: Any) -> dict[int, Written]:
    parts = np.array_split(np.arange(len(uniforms)), len(CONTEXTS))
    kwargs = {"marker": MARKER, **kwargs}
    written = grow(network, characters(), [pack(c) for c in CONTEXTS], parts, uniforms, **kwargs)
    return spread(written)


def texts(runs: dict[int, Written]) -> list[tuple[int, Ids, str, int]]:
    return [(w.context, w.ids, w.text, w.found) for _, w in sorted(runs.items())]


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2"])
@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"limits": Limits(budget=1)},
        {"limits": Limits(budget=16, kept=128 * 24)},  # room for few nodes: most are put off
        {"limits": Limits(kept=1)},  # room for one path
        {"kept": False},
    ],
    ids=["whole", "one a pass", "put off", "least", "plain"],
)
def test_every_run_writes_what_it_writes_alone(architecture: str, kwargs: dict[str, Any]) -> None:
    network, uniforms = toy(architecture), np.random.default_rng(3).random((32, 9))
    found = texts(run_all(network, uniforms, **kwargs))
    assert found == one_by_one(architecture)
    assert len({w[-1] >= 0 for w in found}) == 2  # some reach the marker, some do not


@cache
def one_by_one(architecture: str) -> list[tuple[int, Ids, str, int]]:
    network, uniforms = toy(architecture), np.random.default_rng(3).random((32, 9))
    out = []
    for i, part in enumerate(np.array_split(np.arange(32), len(CONTEXTS))):
        for r in part:
            ids, text, found = write_alone(network, CONTEXTS[i], uniforms[r])
            out.append((i, pack(ids), text, found))
    return out


def test_sliding_windows_are_read_in_full() -> None:
    network = toy("mistral")
    uniforms = np.random.default_rng(4).random((20, 8))
    runs = run_all(network, uniforms, kept=False)
    for r in range(4):
        assert unpack(runs[r].ids).tolist() == write_alone(network, CONTEXTS[0], uniforms[r])[0]


def test_frequencies_are_the_models_probabilities() -> None:
    network = toy("llama")
    n, steps = 4_000, 3
    uniforms = np.random.default_rng(5).random((n, steps))
    written = grow(network, characters(), [pack([1, 2])], [np.arange(n)], uniforms, marker=MARKER)
    found = {tuple(unpack(w.ids).tolist()): len(w.runs) for w in written}
    # Every sequence of up to three tokens that ends as runs end, with its exact probability.
    exact: dict[tuple[int, ...], float] = {}
    open_ones = {(): 1.0}
    for depth in range(1, steps + 1):
        following = {}
        for ids, p in open_ones.items():
            for token, q in enumerate(next_p(network, [1, 2, *ids])):
                longer = (*ids, token)
                said = "".join(TOKENS[i] for i in longer if i)
                over = MARKER in said or token == 0 or depth == steps
                (exact if over else following)[longer] = p * q
        open_ones = following
    assert sum(exact.values()) == pytest.approx(1)
    assert found.keys() <= exact.keys()
    common = [ids for ids, p in exact.items() if n * p >= 5]
    observed = np.array([found.get(ids, 0) for ids in common])
    expected = n * np.array([exact[ids] for ids in common])
    observed, expected = (np.append(a, n - a.sum()) for a in (observed, expected))
    assert len(common) > 20
    assert stats.chisquare(observed, expected).pvalue > 0.01


def test_each_distinct_prefix_is_computed_once() -> None:
    network = toy("gpt2")
    uniforms = np.random.default_rng(6).random((300, 6))
    work = Work()
    runs = run_all(network, uniforms, work=work)
    # Read are: each context and all its beginnings; and what was written, but for last tokens.
    prefixes = {tuple(c[:i]) for c in CONTEXTS for i in range(1, len(c))}
    prefilled = len(prefixes)
    nodes = set()
    for w in runs.values():
        ids = unpack(w.ids).tolist()
        nodes |= {(w.context, *ids[:i]) for i in range(len(ids))}
    assert work.nodes == prefilled + len(nodes)
    assert work.heads == len(nodes)
    assert work.positions < 1.1 * work.nodes + 30  # padding of the few prompts
    naive = sum(len(CONTEXTS[w.context]) + len(w.ids) // 4 - 1 for w in runs.values())
    assert work.nodes < naive / 2


def test_limits_bound_what_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    true = frontier.Pool.grow
    monkeypatch.setattr(frontier, "FIRST", 8)
    monkeypatch.setattr(
        frontier.Pool, "grow", lambda self, size: (sizes.append(size), true(self, size))[1]
    )
    network = toy("llama")
    uniforms = np.random.default_rng(7).random((100, 8))
    per_node = 2 * 2 * 2 * 8  # keys and values × layers × heads × size
    small = run_all(network, uniforms, limits=Limits(budget=64, kept=50 * per_node))
    assert max(sizes) == 50
    sizes.clear()
    assert texts(small) == texts(run_all(network, uniforms))
    assert len(sizes) > 1 and sizes == sorted(sizes) and max(sizes) > 50  # grew as it had to


def test_a_draw_on_a_border_is_read_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    network = toy("llama")
    alone: list[Ids] = []
    true = frontier.AgainReader.logits

    def counted(reader: Any, context: int, sequences: list[Ids]) -> torch.Tensor:
        alone.extend(sequences)
        return true(reader, context, sequences)

    monkeypatch.setattr(frontier.AgainReader, "logits", counted)
    uniforms = np.random.default_rng(8).random((50, 4))
    work = Work()
    run_all(network, uniforms)
    assert alone == []
    borders = next_p(network, CONTEXTS[0]).cumsum()
    uniforms[2, 0] = borders[3]
    around = run_all(network, uniforms, work=work)
    assert alone == [pack(CONTEXTS[0])]
    assert work.positions >= work.nodes + len(CONTEXTS[0])
    by_itself = grow(
        network, characters(), [pack(CONTEXTS[0])], [np.arange(1)], uniforms[2:3], marker=MARKER
    )
    assert by_itself[0].ids == around[2].ids


def test_half_precision_gives_the_same_bits_again() -> None:
    network = toy("llama").to(torch.bfloat16)
    uniforms = np.random.default_rng(9).random((60, 8))
    assert texts(run_all(network, uniforms)) == texts(run_all(network, uniforms))


def test_end_tokens_of_the_generation_settings() -> None:
    network, tokenizer = toy("llama"), characters()
    assert end_ids(network, tokenizer) == {pack([0])}
    network.generation_config.eos_token_id = [3, 5]
    assert end_ids(network, tokenizer) == {pack([0]), pack([3]), pack([5])}
    runs = run_all(network, np.random.default_rng(10).random((100, 10)))
    assert any(w.ids.endswith(pack([3])) and w.found < 0 for w in runs.values())
    for w in runs.values():
        ids = unpack(w.ids)
        assert not np.isin(ids[:-1], [0, 3, 5]).any()
        assert not w.text.endswith((" ", ">")) or w.found >= 0  # its text is left out


# --- drawing


def drawn(temperature: float, p: list[float], u: list[float]) -> list[int]:
    logits = torch.tensor([p, p[::-1]]).log()
    token, _ = draw(logits, np.zeros(len(u), dtype=np.int64), np.array(u), temperature)
    mirrored, _ = draw(logits, np.ones(len(u), dtype=np.int64), 1 - np.array(u), temperature)
    assert (mirrored == len(p) - 1 - token).all()
    return token.tolist()


@pytest.mark.parametrize(
    ("temperature", "borders"),
    [
        (1.0, [0.5, 0.8]),
        (0.5, [0.25 / 0.38, 0.34 / 0.38]),  # squares .25 .09 .04, in all .38
        (0, [None, None]),
    ],
    ids=str,
)
def test_borders_between_tokens(temperature: float, borders: list[float | None]) -> None:
    first, second = borders
    p = [0.5, 0.3, 0.2]
    for border, tokens in ((first, [0, 1]), (second, [1, 2])):
        if border is not None:
            assert drawn(temperature, p, [border - 1e-6, border + 1e-6]) == tokens
    last = 0 if first is None else 1 if second is None else 2
    assert drawn(temperature, p, [0.0, 1 - 1e-12]) == [0, last]


def test_distance_to_the_nearest_border() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log()
    unit = 2.0**-23 * -np.log(0.2)  # of the largest logit
    u = np.array([0.49, 0.51, 0.65, 0.79])
    _, distance = draw(logits, np.zeros(4, dtype=np.int64), u, 1.0)
    np.testing.assert_allclose(distance * unit, [0.01, 0.01, 0.15, 0.01], atol=1e-6)
    _, distance = draw(logits, np.zeros(1, dtype=np.int64), u[:1], 0)
    np.testing.assert_allclose(distance * unit, np.log(0.5 / 0.3), rtol=1e-5)


def test_no_token_of_probability_zero_is_drawn() -> None:
    logits = torch.tensor([[-np.inf, 1.0, -np.inf, 1.0, -np.inf]] * 3)
    row = np.repeat(np.arange(3), 4)
    u = np.tile([0.0, 0.5, 0.75, np.nextafter(1, 0)], 3)
    token, distance = draw(logits, row, u, 1.0)
    assert token.tolist() == [1, 3, 3, 3] * 3
    np.testing.assert_allclose(distance[2] * 2.0**-23, 0.25)  # the largest finite logit counts


@pytest.mark.parametrize("temperature", [0, 1])
def test_logits_that_are_no_numbers(temperature: float) -> None:
    logits = torch.tensor([[0.0, np.nan]])
    with pytest.raises(ValueError, match="logits are not numbers"):
        draw(logits, np.zeros(1, dtype=np.int64), np.zeros(1), temperature)


# --- text


class Decoded:
    """Texts of tokens as a Metaspace tokenizer has them: the first one's blank goes."""

    eos_token_id = None

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = pieces

    def batch_decode(self, ids: list[list[int]], **_: Any) -> list[str]:
        return ["".join(self.pieces[i] for i in row).removeprefix(" ") for row in ids]


def test_the_first_blank_of_what_is_written_stays() -> None:
    pieces = ["</s>", " a", "b", " c", " =", ">", " x", "y", "z", "w"]
    uniforms = np.random.default_rng(12).random((80, 4))
    written = grow(
        toy("llama"), Decoded(pieces), [pack([1, 3])], [np.arange(80)], uniforms, marker=" =>"
    )
    said = {w.text for w in written}
    assert any(s.startswith(" a") for s in said) and any(s.startswith("b") for s in said)
    for w in written:
        assert w.text == "".join(pieces[i] for i in unpack(w.ids) if i)
    assert {w.found for w in written} > {-1}


def test_a_marker_of_characters_spread_over_tokens() -> None:
    """Byte-level pieces: "é" is two tokens, and the context itself ends in one such."""
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate("ab=Ã©x")}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    bytewise = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    context = bytewise("aé")["input_ids"]
    assert len(context) == 3
    uniforms = np.random.default_rng(13).random((400, 5))
    network = toy("llama")
    with torch.no_grad():  # the tokenizer has six ids: nothing else may be written
        network.lm_head.weight = torch.nn.Parameter(network.lm_head.weight[:6].clone())
    written = grow(network, bytewise, [pack(context)], [np.arange(400)], uniforms, marker="é")
    reached = [w for w in written if w.found >= 0]
    assert reached and len(written) > len(reached)
    for w in reached:
        assert w.text.endswith("é") and unpack(w.ids)[-2:].tolist() == context[-2:]
        assert w.found == len(w.text) - 1
    for w in written:
        if w.found < 0:  # neither both bytes in a row, nor half a character taken for one
            assert all(pair != tuple(context[1:]) for pair in pairwise(unpack(w.ids).tolist()))
