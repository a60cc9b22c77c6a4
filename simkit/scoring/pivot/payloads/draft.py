"""A run as a response has it, in one form whatever the interface, and its tokens made to fit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from simkit.scoring.pivot.payloads.spelling import SPELLINGS, marked, token_bytes, utf8
from simkit.types import shown

__all__ = ["Draft", "Listed", "Written"]

_UNLISTED = -9998.0  # interfaces write -9999 (or -3.4e38) for a token too unlikely for a number
_ROUNDING = 1e-3  # by which listed probabilities may exceed 1
# Ends of runs that leave no answer: they are runs all the same, and counted as such.
_NO_ANSWER = {"content_filter", "function_call", "length", "max_output_tokens", "tool_calls"}
# Marks between tokens and text: of a chat's turns, and the ends of a thought.
_MARK = re.compile(rb"(\s|<[^<>\s]*>|\[/?[A-Z_]+\])*")
_THOUGHT = (
    b"</think", b"</thought", b"</reasoning>", b"[/THINK]", b"<|message|>", b"</seed:think>",
)  # fmt: skip
_AROUND = 200  # bytes of marks that may stand behind an answer; of a thought that are compared
Listed = tuple[tuple[bytes, float], ...]


class Written(NamedTuple):
    """A token that was written, or one that is listed for its place.

    token, bytes, logprob : as the response has them. top : those listed for the place; None where
    the response has no such list.
    """

    token: Any
    logprob: Any
    top: list[Written] | None = None
    bytes: Any = None


@dataclass
class Draft:
    """A run as a response has it.

    Attributes
    ----------
    text, finish : the text, and why it ended.
    name : the field of the text, for errors.
    source : the field of the log-probabilities, for errors.
    ask : what to ask the server for where they are missing.
    others : the field of the tokens that are listed, for errors.
    tokens : the bytes of each token.
    top : of each token's place, the tokens that are listed with their log-probabilities.
    has_top : whether any place lists tokens besides the one written.
    """

    text: str
    finish: str
    name: str = ""
    source: str = ""
    ask: str = ""
    others: str = "top_logprobs"
    tokens: list[bytes] = field(default_factory=list)
    top: list[Listed] = field(default_factory=list)
    has_top: bool = False

    def add(self, items: Iterable[Written], where: str) -> None:
        """Append tokens. where : what errors call their list."""
        items = list(items)
        use_bytes = any(item.bytes for item in items)  # some servers write [] for "none"
        some = any(item.top for item in items)
        for t, item in enumerate(items):
            place = f"{where}[{t}]"
            if some and item.top is None and item.logprob is not None:
                raise ValueError(
                    f"{place}: {self.others} is missing, which others have; {self.ask}"
                )
            token = token_bytes(item.token, item.bytes, place, use_bytes)
            pairs = [
                (token_bytes(other.token, other.bytes, place, use_bytes), other.logprob)
                for other in item.top or []
            ]
            self.tokens.append(token)
            self.top.append(_listed(token, item.logprob, pairs, place))
            self.has_top |= bool(pairs)

    def fitted(self, run: str, thought: str = "") -> Draft:
        """The draft, its text and tokens made to fit; ValueError where something is missing.

        thought : the reasoning, whose tokens may come before the text's.
        """
        if not self.text:
            silent = self.finish and _MARK.fullmatch(b"".join(self.tokens))
            if self.finish not in _NO_ANSWER and not silent:
                raise ValueError(
                    f"{run}: {self.name} is missing or empty, so the response holds no text"
                )
            return Draft("", self.finish)
        for missing, what in ((not self.tokens, self.source), (not self.has_top, self.others)):
            if missing:
                raise ValueError(f"{run}: {what} is missing or empty; {self.ask}")
        self._respell()
        self._drop_thought(run, thought)
        written = b"".join(self.tokens)
        blanks = written[: len(written) - len(written.lstrip())].decode()
        known = self.text[: len(self.text) - len(self.text.lstrip())]
        if blanks != known and blanks.endswith(known):  # the server stripped the text
            self.text = blanks + self.text[len(known) :]
        return self

    def _respell(self) -> None:
        """Tokens as a vocabulary holds them become what they write, where that is certain.

        It is where no token holds a blank, the text is found among the tokens so spelt, and either
        it is not found among them as they are, or one holds what stands for a blank there, which
        the text does not.
        """
        text, every = utf8(self.text.strip()), [name for top in self.top for name, _ in top]
        if text in b"".join(self.tokens) and not marked(every, text):
            return
        if any(b" " in token for token in (*self.tokens, *every)):
            return
        for spelt in SPELLINGS:
            tokens = [spelt(token) for token in self.tokens]
            changed = any(spelt(name) != name for name in (*self.tokens, *every))
            if changed and text in b"".join(tokens):
                self.tokens = tokens
                self.top = [tuple((spelt(name), v) for name, v in top) for top in self.top]
                return

    def _drop_thought(self, run: str, thought: str) -> None:
        """Remove the tokens of the reasoning, where they come before those of the answer."""
        raw, whole = utf8(self.text), b"".join(self.tokens)
        marks = any(mark in whole and mark not in raw for mark in _THOUGHT)
        begins = utf8(thought.strip()[:_AROUND])
        if not marks and not (begins and whole.lstrip().startswith(begins)):
            return
        answer, tail = raw.strip(), b""
        for t in range(len(self.tokens) - 1, -1, -1):
            tail = self.tokens[t] + tail
            rest = tail.lstrip()
            if rest.startswith(answer) and _MARK.fullmatch(rest[len(answer) :]):
                self.tokens, self.top = self.tokens[t:], self.top[t:]
                return
            if len(tail) > len(raw) + _AROUND:
                break
        raise ValueError(
            f"{run}: {self.source} holds the tokens of the reasoning too, and where the answer "
            f"{shown(self.text)} begins among them is not certain; ask with the reasoning switched "
            "off, or for the log-probabilities of the answer alone"
        )


def _listed(token: bytes, logprob: Any, pairs: list[tuple[bytes, Any]], where: str) -> Listed:
    """What is known of a place: the pairs listed, and the token written if it is not among them."""
    numbers = [(name, _number(value, name, where)) for name, value in pairs]
    known = [(name, value) for name, value in numbers if value > _UNLISTED]
    value = _number(logprob, token, where)
    if value > _UNLISTED and token not in dict(known):
        known.append((token, value))
    known = list(dict.fromkeys(known))  # a token named twice, with the very same number
    total = sum(math.exp(min(value, 1.0)) for _, value in known)
    if total > 1 + _ROUNDING:
        raise ValueError(
            f"{where}: the listed probabilities sum to {total:.4g}, more than 1; ask for "
            "log-probabilities (natural logarithms), not logits or probabilities"
        )
    return tuple(known)


def _number(value: Any, token: bytes, where: str) -> float:
    """A log-probability, however it is written; None stands for -inf, which JSON cannot say."""
    try:
        number = (
            math.nan if isinstance(value, bool) else float(-math.inf if value is None else value)
        )
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        name = f"{where}: logprob of {token!r}"
        raise ValueError(f"{name} is {shown(value)}; it must be a number up to 0")
    return number
