"""The glass box's own tokenizer."""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from simkit.worlds.corpus import corpus

__all__ = ["build_tokenizer"]

BOS, EOS, PAD = "<s>", "</s>", "<pad>"
# Words and prices with their leading space are one piece each; everything else falls to bytes.
_PIECES = r" ?\$?\d+(?:\.\d+)?| ?\p{L}+|\n| ?[^\s\p{L}\d]|\s+"
VOCABULARY = 1_024


def build_tokenizer(seed: int = 1, documents: int = 20_000) -> PreTrainedTokenizerFast:
    """Byte-level BPE learnt from world text, with BOS in front, EOS and a PAD of its own."""
    chunk = next(corpus(seed, answers=1))[:documents]
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(_PIECES), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[BOS, EOS, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((d.prompt + next(iter(d.answers)) for d in chunk), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS, pad_token=PAD,
        model_max_length=256,
    )  # fmt: skip
