"""The loss is that of the answers' tokens alone, and the penalty that of the exact belief."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

import simkit as sk
from simkit.scoring import LocalModel
from simkit.scoring.engine.tokens import WIDTH, unpack
from simkit.training import NumericLoss, examples, packing
from simkit.training.loss import losses
from simkit.training.packing import Example, Order, batches, encode, lay_out
from tests.training.conftest import DAYS, QUESTIONS, survey, tiny_tokenizer

PENALTY = NumericLoss(0.3, slope=2.0, width=1.0)


def exact_model() -> LocalModel:
    """A GPT-2 in float64: unlike Llama, it computes nothing in a lower precision."""
    tokenizer = tiny_tokenizer()
    shape = GPT2Config(vocab_size=len(tokenizer), n_positions=96, n_embd=24, n_layer=2, n_head=2,
                       initializer_range=0.3)  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return LocalModel("exact", GPT2LMHeadModel(shape).eval().double(), tokenizer)


def coded(model: LocalModel, frame: pd.DataFrame) -> list[Example]:
    return encode(frame, model.tokenizer, PENALTY, limit=96)


def test_distance_by_hand() -> None:
    # |0-10| - 4 = 6, |2-10| - 4 = 4, 0 within the width, |25-10| - 4 = 11; times 0.5
    d = NumericLoss(1.0, slope=0.5, width=4.0).distances([0, 2, 10, 25], 10)
    assert d.tolist() == [3.0, 2.0, 0.0, 5.5]
    # shares of the range 25: 0.4, 0.32, 0, 0.6, less 0.1
    d = NumericLoss(1.0, width=0.1, relative=True).distances([0, 2, 10, 25], 10)
    assert d == pytest.approx([0.3, 0.22, 0.0, 0.5])
    # exactly on the edge of the width nothing is due yet
    assert NumericLoss(1.0, width=8.0).distances([0, 2, 10, 25], 10).tolist() == [2, 0, 0, 7]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"weight": -1.0}, "weight"),
     ({"weight": 1.0, "slope": 0.0}, "slope is 0.0; it must be above 0"),
     ({"weight": 1.0, "width": np.nan}, "width is nan"),
     ({"weight": 1.0, "questions": "days"}, "not the text 'days'")],
)  # fmt: skip
def test_numbers_out_of_range_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        NumericLoss(**wrong)


def test_a_scale_without_range_has_no_relative_distance() -> None:
    with pytest.raises(ValueError, match="no range"):
        NumericLoss(1.0, relative=True).distances([3, 3], 3)


def test_penalty_is_the_expected_distance_under_the_belief(model: LocalModel) -> None:
    """Values of one, two and two characters after a blank: strings of several tokens."""
    people = survey(6).dropna()
    frame = examples(people, {"days": DAYS}, weights="weight")
    belief = sk.believe(model, DAYS, people)["belief"].to_numpy().reshape(-1, 4)
    d = 2.0 * np.maximum(0, np.abs(np.array([0, 2, 10, 25]) - people[["days"]].to_numpy()) - 1)
    expected = (people["weight"].to_numpy() * (belief * d).sum(1)).sum()
    with torch.no_grad():
        found = losses(model.network, lay_out(coded(model, frame)))
    assert float(found.penalty) == pytest.approx(expected, rel=1e-5)


def test_scales_of_different_length_share_a_batch(model: LocalModel) -> None:
    short = sk.Question("Few?", ["1", "3"], values=[1, 3])
    people = survey(3).assign(few=[1, 3, 1])
    frame = examples(people, {"days": DAYS, "few": short})
    with torch.no_grad():
        whole, *parts = (
            float(losses(model.network, lay_out(coded(model, part))).penalty)
            for part in (frame, *(part for _, part in frame.groupby("question")))
        )
    assert min(parts) > 0
    assert whole == pytest.approx(sum(parts), rel=1e-5)


def test_cross_entropy_without_the_end_is_what_scoring_gives(
    model: LocalModel, data: pd.DataFrame
) -> None:
    """So training and scoring read the same tokens after the same prompts."""
    scores = np.concatenate([
        sk.score(model, list(part["prompt"]), list(part["options"]))[
            np.arange(len(part)), part["option_id"]
        ]
        for _, part in data.groupby("question", sort=False)
    ])  # fmt: skip
    with torch.no_grad():
        some = [replace(e, answer=e.answer[:-WIDTH]) for e in coded(model, data)]  # without the end
        found = losses(model.network, lay_out(some))
    assert float(found.cross_entropy) == pytest.approx(-scores.sum(), rel=1e-5)


def by_hand(network: Any, some: list[Example], numeric: NumericLoss) -> torch.Tensor:
    """Every text alone, in full; logits shifted by one; prompt tokens left out."""

    def logprob(example: Example, following: bytes) -> torch.Tensor:
        ids = torch.from_numpy(np.append(unpack(example.context), unpack(following)))
        logp = torch.log_softmax(network(ids[None]).logits[0], -1)
        first = len(unpack(example.context))
        return sum(logp[t - 1, ids[t]] for t in range(first, len(ids)))  # type: ignore[return-value]

    total = torch.zeros((), dtype=network.dtype)
    for example in some:
        loss = -logprob(example, example.answer)
        if example.options:
            belief = torch.softmax(torch.stack([logprob(example, o) for o in example.options]), 0)
            loss = loss + numeric.weight * (belief * torch.from_numpy(example.distances)).sum()
        total = total + example.weight * loss
    return total / sum(e.weight for e in some)


@pytest.mark.parametrize("tree", [True, False])
def test_trees_give_the_loss_and_gradient_of_single_texts(
    tree: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "ROW", 40)
    model = exact_model()
    some = coded(model, examples(survey(7), QUESTIONS, weights="weight"))
    weight = sum(e.weight for e in some)
    grads = []
    for loss in (
        by_hand(model.network, some, PENALTY),
        losses(model.network, lay_out(some, tree=tree)).total(0.3, weight),
    ):
        model.network.zero_grad()
        loss.backward()
        grads.append((float(loss.detach()), [p.grad.clone() for p in model.network.parameters()]))
    (one, expected), (other, found) = grads
    assert other == pytest.approx(one, rel=1e-12)  # distances travel in float32, exact here
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_only_answer_tokens_are_predicted(model: LocalModel, data: pd.DataFrame) -> None:
    some = [replace(e, options=(), distances=np.zeros(0)) for e in coded(model, data.iloc[:1])]
    batch = lay_out(some)
    # " no" and the end, after "Answer:" and each character of " no"
    assert model.tokenizer.convert_ids_to_tokens(batch.token.tolist()) == ["Ġ", "n", "o", "</s>"]
    start = len(unpack(some[0].context)) - 1
    assert batch.keep.nonzero()[:, 1].tolist() == [start, start + 1, start + 2, start + 3]


def test_gradient_of_the_penalty_against_differences() -> None:
    """Central differences of the whole loss along random directions, in float64."""
    model = exact_model()
    some = coded(model, examples(survey(4), {"days": DAYS}))
    batch = lay_out(some)
    named = model.network.named_parameters()
    weights = [p for n, p in named if "c_attn.w" in n or "mlp.c_fc.w" in n]
    rng = np.random.default_rng(1)
    model.network.zero_grad()
    losses(model.network, batch).penalty.backward()
    for parameter in weights:
        way = torch.from_numpy(rng.standard_normal(parameter.shape))
        slope = float((parameter.grad * way).sum())
        values = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                parameter += step * way
                values.append(float(losses(model.network, batch).penalty))
                parameter -= step * way
        assert (values[0] - values[1]) / 2e-5 == pytest.approx(slope, rel=1e-5, abs=1e-7)
        assert abs(slope) > 1e-4


def test_shared_text_is_read_once(model: LocalModel, data: pd.DataFrame) -> None:
    some = coded(model, data)
    tree, plain = lay_out(some), lay_out(some, tree=False)
    assert tree.tokens.numel() < 0.5 * plain.tokens.numel()
    sizes = [b.weight.shape[0] for b in batches(some, 10)]
    assert sizes == [10, 10, 10, 10, 7]


def test_every_epoch_takes_every_example_once(model: LocalModel, data: pd.DataFrame) -> None:
    some = coded(model, data)  # 47 of them
    order = Order(some, batch=10, seed=1)
    taken = np.concatenate([order(step) for step in range(47)])
    for epoch in range(10):
        assert sorted(taken_of(order, epoch, 47, 10)) == list(range(47))
    assert len(taken) == 470
    again = Order(some, batch=10, seed=1)
    assert again(33).tolist() == order(33).tolist()  # a step needs none before it
    assert Order(some, 10, seed=2)(0).tolist() != order(0).tolist()


def taken_of(order: Order, epoch: int, n: int, batch: int) -> list[int]:
    """An epoch's examples, whatever steps they fall into."""
    wide = copy.copy(order)
    wide._batch = n
    return wide(epoch).tolist()


def test_examples_together_have_like_prompts(
    model: LocalModel, data: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = coded(model, data)
    distinct = []
    for together in (1, 6):
        monkeypatch.setattr(packing, "TOGETHER", together)
        steps = [Order(some, 12, 0)(step) for step in range(20)]
        distinct.append(np.mean([len({some[i].context for i in step}) for step in steps]))
    assert distinct[1] < distinct[0] - 1
