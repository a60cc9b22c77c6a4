"""What a token writes: from its bytes, its text, or its spelling in a vocabulary."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from simkit.types import shown

__all__ = ["LOSSY", "SPELLINGS", "marked", "token_bytes", "utf8"]

LOSSY = "\N{REPLACEMENT CHARACTER}".encode()  # stands where an interface lost a part of a character
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")  # a token that is one byte, as SentencePiece writes it
# And as OpenAI's completions ("bytes:\xc3") and llama.cpp's first interface ("byte: \xc3") do.
_ESCAPED = re.compile(r"bytes:((?:\\x[0-9a-f]{2}|[ -~])+)|byte: (\\x[0-9a-f]{2})")
_BLANKS = ("\u0120".encode(), "\u2581".encode())  # "Ġ" and "▁": a blank in a vocabulary


def utf8(text: str) -> bytes:
    """UTF-8; JSON can hold half a character, which passes as three bytes."""
    return text.encode("utf-8", "surrogatepass")


def token_bytes(token: Any, values: Any, where: str, use_bytes: bool) -> bytes:
    """What a token writes, by its field `bytes` if that is in use and there, else by its text."""
    if values is not None and use_bytes:
        if not isinstance(values, list | tuple):
            raise ValueError(f"{where}: bytes is {shown(values)}; it must be a list of numbers")
        try:
            return bytes(values)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: bytes is {shown(values)}: {error}") from error
    if not isinstance(token, str):
        fault = "missing" if token is None else f"{shown(token)}; ask for tokens as text"
        raise ValueError(f"{where}: token is {fault}")
    if token.startswith("token_id:"):
        raise ValueError(f"{where}: {token!r} is an id; ask the server for tokens as text")
    if match := _BYTE.fullmatch(token):
        return bytes([int(match[1], 16)])
    if r"\x" in token and (match := _ESCAPED.fullmatch(token)):
        escaped = match[1] or match[2]
        return escaped.encode("ascii").decode("unicode_escape").encode("latin-1")
    return utf8(token)


def marked(tokens: Sequence[bytes], text: bytes) -> bool:
    """Whether a token holds a vocabulary's blank, and the text holds none."""
    return any(mark in token and mark not in text for mark in _BLANKS for token in tokens)


@cache
def _alphabet() -> dict[str, int]:
    """GPT-2's alphabet: the byte that each of 256 characters stands for.

    Bytes that can be printed stand for themselves; the others are, in order, U+0100, U+0101, …
    """
    printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printed]
    return {chr(b): b for b in printed} | {chr(256 + n): b for n, b in enumerate(others)}


def _byte_level(token: bytes) -> bytes:
    """A token of a byte-level vocabulary (GPT-2); one with other characters is a mark as it is."""
    text, letters = token.decode("utf-8", "replace"), _alphabet()
    return bytes(letters[c] for c in text) if all(c in letters for c in text) else token


def _sentence_piece(token: bytes) -> bytes:
    return token.replace(_BLANKS[1], b" ")


SPELLINGS: tuple[Callable[[bytes], bytes], ...] = (_byte_level, _sentence_piece)
