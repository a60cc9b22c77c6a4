"""What a response holds of a run: its text, its tokens, and what is known of each place."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simkit.types import shown

__all__ = ["KINDS", "LOSSY", "Draft", "Listed", "drafts", "kind_of", "utf8"]

KINDS = ("chat", "responses", "completions")
LOSSY = "\N{REPLACEMENT CHARACTER}".encode()  # stands where an interface lost a part of a character
_UNLISTED = -9998.0  # interfaces write -9999 for "so unlikely that it is not said how"
_ROUNDING = 1e-3  # by which listed probabilities may exceed 1
_ASK = {
    "logprobs.content": "ask for logprobs=True and top_logprobs=20",
    "output[].content[].logprobs": (
        "ask for include=['message.output_text.logprobs'] and top_logprobs=20"
    ),
    "logprobs.tokens": "ask for logprobs=20",
}
# Ends of runs that leave no answer: they are runs all the same, and counted as such.
_NO_ANSWER = {"content_filter", "function_call", "length", "max_output_tokens", "tool_calls"}
# Marks between tokens and text: of a chat's turns, and the ends of a thought.
_MARK = re.compile(rb"(\s|<[^<>\s]*>|\[/?[A-Z_]+\])*")
_THOUGHT = (
    b"</think",
    b"</thought",
    b"</reasoning>",
    b"[/THINK]",
    b"<|message|>",
    b"</seed:think>",
)
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")  # a token that is one byte, as SentencePiece writes it
_ESCAPED = re.compile(r"bytes:((?:\\x[0-9a-f]{2}|[ -~])+)")  # and as OpenAI's completions write it
_NATIVE = {
    "candidates": "Gemini's own",
    "completion_probabilities": "llama.cpp's own",
    "generated_text": "Text Generation Inference's own",
    "message": "a server's own (Ollama's or Anthropic's)",
}
_AROUND = 200  # bytes of marks that may stand behind an answer; of a thought that are compared
Listed = tuple[tuple[bytes, float], ...]


@dataclass
class Draft:
    """What was found of a run, and under which field (`source`)."""

    text: str
    finish: str
    source: str
    tokens: list[bytes] = field(default_factory=list)
    top: list[Listed] = field(default_factory=list)
    listed: bool = False  # whether any place lists tokens beside the one written

    def add(self, items: Any, where: str) -> None:
        """Take a list of {token, bytes, logprob, top_logprobs}."""
        items = list(items or [])
        named = any(item.get("bytes") for item in items)  # some servers write [] for "not said"
        for t, item in enumerate(items):
            here = f"{where}[{t}]"
            others = item.get("top_logprobs") or []
            pairs = [(_bytes(other, here, named), other.get("logprob")) for other in others]
            self._place(_bytes(item, here, named), item.get("logprob"), pairs, here)

    def add_flat(self, record: Mapping[str, Any], where: str) -> None:
        """Take {tokens, token_logprobs, top_logprobs}, lists of one item per token."""
        words, own = record.get("tokens") or [], record.get("token_logprobs") or []
        tops = record.get("top_logprobs") or [None] * len(words)
        if len({len(words), len(own), len(tops)}) > 1:
            raise ValueError(f"{where}: tokens, token_logprobs, top_logprobs differ in length")
        for t, (word, logprob, others) in enumerate(zip(words, own, tops, strict=True)):
            here = f"{where}[{t}]"
            pairs = [(_bytes({"token": k}, here), value) for k, value in (others or {}).items()]
            self._place(_bytes({"token": word}, here), logprob, pairs, here)

    def _place(
        self, token: bytes, logprob: Any, pairs: list[tuple[bytes, Any]], where: str
    ) -> None:
        self.tokens.append(token)
        self.top.append(_listed(token, logprob, pairs, where))
        self.listed |= bool(pairs)

    def settle(self, run: str, thought: str = "") -> Draft:
        """The draft, its text and tokens made to fit; ValueError where they say too little."""
        if not self.text:
            silent = self.finish and _MARK.fullmatch(b"".join(self.tokens))
            if self.finish not in _NO_ANSWER and not silent:
                raise ValueError(f"{run}: the response holds no text")
            return Draft("", self.finish, self.source)
        if not self.tokens:
            raise ValueError(f"{run}: {self.source} is missing or empty; {_ASK[self.source]}")
        if not self.listed:
            raise ValueError(f"{run}: top_logprobs is missing or empty; {_ASK[self.source]}")
        self._drop_thought(run, thought)
        lead = _blanks(b"".join(self.tokens)).decode()
        own = self.text[: len(self.text) - len(self.text.lstrip())]
        if lead != own and lead.endswith(own):  # the server stripped the text
            self.text = lead + self.text[len(own) :]
        return self

    def _drop_thought(self, run: str, thought: str) -> None:
        """Leave the tokens of the answer, where those of the reasoning stand before them."""
        raw, whole = utf8(self.text), b"".join(self.tokens)
        marked = any(mark in whole and mark not in raw for mark in _THOUGHT)
        begins = utf8(thought.strip()[:_AROUND])
        if not marked and not (begins and whole.lstrip().startswith(begins)):
            return
        wanted, tail = raw.strip(), b""
        for t in range(len(self.tokens) - 1, -1, -1):
            tail = self.tokens[t] + tail
            own = tail.lstrip()
            if own.startswith(wanted) and _MARK.fullmatch(own[len(wanted) :]):
                self.tokens, self.top = self.tokens[t:], self.top[t:]
                return
            if len(tail) > len(raw) + _AROUND:
                break
        raise ValueError(
            f"{run}: {self.source} holds the tokens of the reasoning too, and where the answer "
            f"{shown(self.text)} begins among them is not certain; ask with the reasoning switched "
            "off, or for the log-probabilities of the answer alone"
        )


def kind_of(body: Mapping[str, Any], run: str) -> str:
    """Which of `KINDS` a response is, by what is there."""
    if "output" in body:
        return "responses"
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    for kind, mark in (("chat", "message"), ("completions", "text")):
        if isinstance(first, Mapping) and mark in first:
            return kind
    found = f"{run}: neither output nor choices with message or text in {shown(list(body))}"
    if isinstance(first, Mapping) and "delta" in first:
        raise ValueError(f"{found}: it is a part of a stream; ask with stream=False")
    for mark, whose in _NATIVE.items():
        if mark in body:
            raise ValueError(
                f"{found}: it is of {whose} interface; ask through /v1/chat/completions or "
                "/v1/completions, which most servers have"
            )
    raise ValueError(found)


def drafts(body: Mapping[str, Any], kind: str, first: int, place: str) -> list[tuple[str, Draft]]:
    """What a response holds of each of its runs, with what errors call the run.

    first : the number of its first run. place : where the response stands, as " (line 3)".
    """
    choices = body.get("choices") if kind != "responses" else [body]
    if not isinstance(choices, list) or not choices:
        raise ValueError(f"run {first}{place}: choices is missing or empty")
    found = []
    for number, choice in enumerate(choices, first):
        run = f"run {number}{place}"
        try:
            found.append((run, _DRAFTS[kind](choice, run)))
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError) as error:
            raise ValueError(f"{run}: it is not laid out as {kind}: {error}") from error
    return found


def _chat(choice: Mapping[str, Any], run: str) -> Draft:
    message, finish = choice.get("message") or {}, str(choice.get("finish_reason") or "")
    text, thought = _content(message)
    if not text and message.get("refusal"):
        return Draft("", "refusal", "")
    if not text and (message.get("tool_calls") or message.get("function_call")):
        return Draft("", finish if finish in _NO_ANSWER else "tool_calls", "")
    record = choice.get("logprobs") or {}
    if isinstance(record, Mapping) and record.get("tokens") and not record.get("content"):
        draft = Draft(text, finish, "logprobs.tokens")
        draft.add_flat(record, f"{run}: logprobs")
    else:
        draft = Draft(text, finish, "logprobs.content")
        items = record.get("content") if isinstance(record, Mapping) else record
        draft.add(items, f"{run}: logprobs.content")
    return draft.settle(f"{run}: message.content is missing or empty" if not text else run, thought)


def _content(message: Mapping[str, Any]) -> tuple[str, str]:
    """The answer and the reasoning of a message, each "" where there is none."""
    content = message.get("content")
    thought = message.get("reasoning_content") or message.get("reasoning") or ""
    if isinstance(content, list):  # parts: {"type": "text", "text": ...} or "thinking"
        thought = thought or "".join(str(p) for p in content if p.get("type") != "text")
        content = "".join(part["text"] for part in content if part.get("type") == "text")
    if content is not None and not isinstance(content, str):
        raise TypeError(f"message.content is {shown(content)}")
    return content or "", str(thought)


def _responses(body: Mapping[str, Any], run: str) -> Draft:
    cut = body.get("incomplete_details") or {}
    draft = Draft(
        "", str(cut.get("reason") or body.get("status") or ""), "output[].content[].logprobs"
    )
    refused = called = False
    for i, part in enumerate(body.get("output") or []):
        called |= str(part.get("type")).endswith("_call")
        said = (part.get("content") or []) if part.get("type", "message") == "message" else []
        for j, content in enumerate(said):
            refused |= content.get("type") == "refusal"
            if content.get("type") == "output_text":
                draft.text += content.get("text") or ""
                draft.add(content.get("logprobs"), f"{run}: output[{i}].content[{j}].logprobs")
    if not draft.text and (refused or called):
        return Draft("", "refusal" if refused else "tool_calls", draft.source)
    missing = f"{run}: output[].content[].text is missing or empty"
    return draft.settle(run if draft.text else missing)


def _completions(choice: Mapping[str, Any], run: str) -> Draft:
    text = choice.get("text")
    if text is not None and not isinstance(text, str):
        raise TypeError(f"text is {shown(text)}")
    draft = Draft(text or "", str(choice.get("finish_reason") or ""), "logprobs.tokens")
    draft.add_flat(choice.get("logprobs") or {}, f"{run}: logprobs")
    return draft.settle(run if text else f"{run}: text is missing or empty")


_DRAFTS: dict[str, Callable[[Mapping[str, Any], str], Draft]] = {
    "chat": _chat,
    "responses": _responses,
    "completions": _completions,
}


def _blanks(raw: bytes) -> bytes:
    return raw[: len(raw) - len(raw.lstrip())]


def _bytes(item: Mapping[str, Any], where: str, named: bool = True) -> bytes:
    """What a token writes. named : whether its field `bytes` says so."""
    token, spelt = item.get("token"), item.get("bytes")
    if spelt is None or not named:
        if not isinstance(token, str):
            found = "missing" if token is None else f"{shown(token)}; ask for tokens as text"
            raise ValueError(f"{where}: token is {found}")
        if token.startswith("token_id:"):
            raise ValueError(f"{where}: {token!r} is an id; ask the server for tokens as text")
        if one := _BYTE.fullmatch(token):
            return bytes([int(one[1], 16)])
        if r"\x" in token and (some := _ESCAPED.fullmatch(token)):
            return some[1].encode("ascii").decode("unicode_escape").encode("latin-1")
        return utf8(token)
    if not isinstance(spelt, Sequence) or not all(
        isinstance(b, int) and b in range(256) for b in spelt
    ):
        raise ValueError(
            f"{where}: bytes is {shown(spelt)}; it must be a list of numbers from 0 to 255"
        )
    return bytes(spelt)


def utf8(text: str) -> bytes:
    """UTF-8; JSON can hold half a character, which passes as three bytes."""
    return text.encode("utf-8", "surrogatepass")


def _listed(token: bytes, logprob: Any, pairs: list[tuple[bytes, Any]], where: str) -> Listed:
    """What is known of a place: the pairs listed, and the token written if it is not among them.

    None stands for what JSON cannot say, -inf: such a token counts as not listed.
    """
    said = [(spelt, _number(value, spelt, where)) for spelt, value in pairs]
    known = [(spelt, value) for spelt, value in said if value is not None and value > _UNLISTED]
    own = _number(logprob, token, where)
    if own is not None and own > _UNLISTED and token not in dict(known):
        known.append((token, own))
    known = list(dict.fromkeys(known))  # a token named twice, with the very same number
    total = sum(math.exp(min(value, 1.0)) for _, value in known)
    if total > 1 + _ROUNDING:
        raise ValueError(
            f"{where}: the listed probabilities sum to {total:.4g}, more than 1; ask for "
            "log-probabilities (natural logarithms), not logits or probabilities"
        )
    return tuple(known)


def _number(value: Any, spelt: bytes, where: str) -> float | None:
    """A log-probability, however it is written; None where there is none."""
    if value is None:
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise ValueError(
            f"{where}: logprob of {spelt!r} is {shown(value)}; it must be a number up to 0"
        )
    return number
