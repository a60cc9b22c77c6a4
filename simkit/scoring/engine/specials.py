"""What a tokenizer does beside cutting text: special tokens, text that it cannot read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["Unreadable", "ids_of", "refuse_surrogates", "specials", "vocabulary"]


class Unreadable(ValueError):
    """A text, or a piece of one, that the tokenizer makes no ids of."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"the tokenizer makes no token ids of {text!r} ({why})")
        self.text = text


def refuse_surrogates(text: str) -> None:
    """`Unreadable` for a text that UTF-8 cannot write."""
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        at = slice(max(0, error.start - 10), error.end + 10)
        raise Unreadable(
            text[at], "half of a surrogate pair is no character; read the file that it comes from "
            "as what it is, UTF-8 or UTF-16, or take it out"
        ) from error  # fmt: skip


def ids_of(tokenizer: Any, texts: Sequence[str], special: bool) -> list[list[int]]:
    """Ids of each text, with or without the special tokens that go around it."""
    found: list[list[int]] = tokenizer(
        list(texts),
        add_special_tokens=special,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )["input_ids"]
    return found


def specials(tokenizer: Any) -> tuple[list[int], list[int]] | None:
    """The special tokens that go before and behind every text; None if it is not as simple.

    Texts of which a tokenizer makes nothing tell nothing.
    """
    texts = []
    for text in ("a", "b c", "The", "1", "I", "."):
        try:
            bare, full = (ids_of(tokenizer, [text], special)[0] for special in (False, True))
        except Exception:  # a character that it does not know: others tell
            continue
        if bare:
            texts.append((bare, full))
    if not texts:
        return None
    for size in range(len(texts[0][1]) - len(texts[0][0]) + 1):
        front, tail = texts[0][1][:size], texts[0][1][size + len(texts[0][0]) :]
        if all(front + bare + tail == full for bare, full in texts):
            return front, tail
    return None


def vocabulary(network: Any) -> tuple[int, int]:
    """How many tokens a network can read, and how many it can write."""
    if not hasattr(network, "get_input_embeddings"):
        return 2**32, 2**32  # it does not say
    table, head = network.get_input_embeddings(), network.get_output_embeddings()
    read = int(getattr(table, "num_embeddings", None) or table.weight.shape[0])
    return read, min(read, int(getattr(head, "out_features", None) or read))
