"""Token trees: the loss is that of one sequence per answer, and packing loses nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from simkit.training.documents import (
    PROMPT_EVERY,
    PROMPT_WEIGHT,
    DocumentTree,
    collate,
    pack,
    plant,
    trees,
)
from simkit.training.pretraining import Size, loss_of, new_model
from simkit.training.tokenizer import build_tokenizer
from simkit.worlds.corpus import Document

DOCUMENTS = [
    Document("a", "A store sells ice cream.\nAnswer:", {" yes": 2, " no": 1, " $3.00 now": 1}),
    Document("b", "The day is hot.", {" neither": 1, " no": 1}),
    Document("c", "Thought:", {" It is better to wait.\nAnswer:": 3}, ends=False),
]


def test_plant_by_hand() -> None:
    tree = plant([1, 7], {(8, 9): 3, (5,): 1}, eos=2)
    assert tree.token == [1, 7, 8, 9, 5]
    assert tree.depth == [0, 1, 2, 3, 2]
    assert tree.exit == [5, 5, 4, 4, 5]
    predicted = list(zip(tree.source, tree.target, tree.weight, strict=True))
    assert predicted == [
        (0, 7, PROMPT_WEIGHT),
        *[(1, 8, 0.75), (2, 9, 0.75), (3, 2, 0.75)],
        *[(1, 5, 0.25), (4, 2, 0.25)],
    ]
    assert 2 not in plant([1, 7], {(8,): 1}, eos=None).target


def test_packed_loss_equals_one_sequence_per_answer() -> None:
    tokenizer = build_tokenizer(1, 2_000)
    model = new_model(Size(32, 2, 2, 64, 1, 1e-3), tokenizer, 1)
    packed = loss_of(model, collate(pack(trees(tokenizer, DOCUMENTS)))).item()
    total = weights = 0.0
    for number, document in enumerate(DOCUMENTS):
        prompt_weight = 0.0 if number % PROMPT_EVERY else PROMPT_WEIGHT
        start = tokenizer(document.prompt)["input_ids"]
        for answer, count in document.answers.items():
            ids = start + tokenizer(answer, add_special_tokens=False)["input_ids"]
            ids += [tokenizer.eos_token_id] * document.ends
            logp = torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)
            for i in range(len(ids) - 1):
                weight = prompt_weight if i < len(start) - 1 else 1.0
                weight *= count / sum(document.answers.values())
                total -= weight * logp[i, ids[i + 1]].item()
                weights += weight
    assert packed == pytest.approx(total / weights, abs=1e-5)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=40))
def test_packing_keeps_every_document_and_the_limit(sizes: list[int]) -> None:
    forest = [DocumentTree([n] * n, list(range(n)), [0] * n, [0], [1], [1.0]) for n in sizes]
    rows = pack(forest, row=12)
    assert sorted(t.token[0] for r in rows for t in r) == sorted(sizes)
    assert all(sum(len(t.token) for t in r) <= 12 for r in rows)


def test_a_document_longer_than_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match="13 tokens does not fit a row of 12"):
        pack([DocumentTree([1] * 13, list(range(13)), [0] * 13, [], [], [])], row=12)


def test_prices_and_words_are_single_tokens_and_any_text_can_be_read() -> None:
    tokenizer = build_tokenizer(1, 2_000)
    assert tokenizer.tokenize(" $3.50") == ["Ġ$3.50"]
    assert tokenizer.tokenize(" customer") == ["Ġcustomer"]
    text = "Ünïcode, $7.13 & 中文\n"
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text
