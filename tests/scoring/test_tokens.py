"""Reading piece by piece gives the ids of the whole text, and is used only where it must."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from simkit.scoring.engine.tokens import _PATTERNS, Reader, cuts_before_blanks, unpack
from simkit.scoring.types import BoundaryError
from tests.scoring.conftest import TEXT, make_tokenizer


def tokenizer_with(pre_tokenizer: pre_tokenizers.PreTokenizer) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=["<s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def split_by(pattern: str) -> PreTrainedTokenizerFast:
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return tokenizer_with(pre_tokenizers.Sequence([split, byte_level]))


READERS = [
    Reader(make_tokenizer(bos=True)),
    Reader(make_tokenizer(bos=False)),
    *[Reader(split_by(pattern)) for pattern in sorted(_PATTERNS)],
]
# Dense in what splitters care about.
PARTS = st.sampled_from(
    ["the", "price", " ", "  ", "\n", "\t", "'s", "$", "3.50", "12", ".", "</s>", "<s>", "é",
     "\u00a0", "\u0301", "½", "\x1c", "\u2028", "?!", "buy"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, max_size=10).map("".join))
@example("  a  b \n c ")
@example("<s> the<s> price ")
@example(" ")
@example("a \u0301b")
def test_pieces_give_the_ids_of_the_whole_text(text: str) -> None:
    for reader in READERS:
        assert reader.by_pieces
        assert reader.encode([text]) == reader._tokenize_whole([text])


@pytest.mark.parametrize("reader", READERS)
def test_options_apart_equal_options_in_place(reader: Reader) -> None:
    prompts = ["The price is $3.50.", "It is hot.\nWell?", "It is hot", "maybe\n"]
    options = [(" yes", "  no", " maybe later")] * 2 + [("! yes", "\n no"), ("yes", "no")]
    contexts, answers = reader.read(prompts, options, range(4))
    for prompt, choices, context, ids in zip(prompts, options, contexts, answers, strict=True):
        for option, found in zip(choices, ids, strict=True):
            whole = reader._tokenize_whole([prompt + option])[0]
            assert context + found == whole
    assert answers[0] is answers[1]


def test_the_boundary_is_checked_where_pieces_touch() -> None:
    reader = READERS[0]
    with pytest.raises(BoundaryError, match="row 8"):
        reader.read(["It is hot.", "The pri"], [(" yes", "ce")] * 2, [4, 8])


@pytest.mark.parametrize(
    "change",
    ["metaspace", "prefix space", "unknown splitter", "lowercase", "eats blanks", "dropout"],
)
def test_a_tokenizer_that_may_join_across_blanks_is_read_in_full(change: str) -> None:
    if change == "metaspace":
        tokenizer = tokenizer_with(pre_tokenizers.Metaspace())
    elif change == "prefix space":
        tokenizer = tokenizer_with(pre_tokenizers.ByteLevel(add_prefix_space=True))
    elif change == "unknown splitter":
        tokenizer = split_by(r"[^.]+|\.")
    else:
        tokenizer = make_tokenizer(bos=False)
        backend = tokenizer.backend_tokenizer
        if change == "lowercase":
            backend.normalizer = normalizers.Lowercase()
        if change == "eats blanks":
            tokenizer.add_tokens([AddedToken("<cut>", rstrip=True)])
        if change == "dropout":
            backend.model.dropout = 0.1
    assert not cuts_before_blanks(tokenizer)
    if change != "dropout":
        reader = Reader(tokenizer)
        texts = ["The price is $3.50. Does", "a <cut> b"]
        assert [unpack(i).tolist() for i in reader.encode(texts)] == tokenizer(texts)["input_ids"]


def test_a_wrong_proof_would_be_found_on_the_first_text() -> None:
    reader = Reader(split_by(r"[^.]+|\."))
    reader.by_pieces = True
    text = "The price is hot. yes maybe"
    assert reader.encode([text]) == reader._tokenize_whole([text])
    assert not reader.by_pieces


def test_forgetting_pieces_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simkit.scoring.engine.tokens.PIECES_KEPT", 5)
    reader = Reader(make_tokenizer(bos=False))
    for start in range(0, 60, 20):
        texts = [f"The price is ${i}.{i} yes" for i in range(start, start + 20)]
        assert reader.encode(texts) == reader._tokenize_whole(texts)


def test_an_option_without_tokens_is_refused() -> None:
    cleaned = make_tokenizer(bos=True)
    cleaned.backend_tokenizer.normalizer = normalizers.Replace("~", "")
    # What is not in this vocabulary falls away without a word, blanks too.
    letters = Tokenizer(models.BPE({c: i for i, c in enumerate("Iehiosty.")}, []))
    letters.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    few = PreTrainedTokenizerFast(tokenizer_object=letters)
    for tokenizer, nothing in ((cleaned, "~"), (few, " zz")):
        reader = Reader(tokenizer)
        assert reader.by_pieces == (tokenizer is few)
        with pytest.raises(BoundaryError, match=f"row 4: option '{nothing}' has no tokens"):
            reader.read(["It is hot."], [(" yes", nothing)], [4])
