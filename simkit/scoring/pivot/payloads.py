"""The layouts of a response: text, tokens and listed log-probabilities of each of its runs.

A response is a chat, a response or a completion (OpenAI's three interfaces, which most servers
copy). Each becomes `Draft` objects, one per run, in which the tokens fit the text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simkit.types import shown

__all__ = ["LOSSY", "Draft", "Listed", "drafts", "utf8"]

LOSSY = "\N{REPLACEMENT CHARACTER}".encode()  # stands where an interface lost a part of a character
_UNLISTED = -9998.0  # interfaces write -9999 for a token too unlikely to have a number
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
    b"</think", b"</thought", b"</reasoning>", b"[/THINK]", b"<|message|>", b"</seed:think>",
)  # fmt: skip
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
    """A run as a response has it.

    Attributes
    ----------
    text, finish : the text, and why it ended.
    source : the field of the log-probabilities, for errors.
    tokens : the bytes of each token.
    top : of each token's place, the tokens that are listed with their log-probabilities.
    has_top : whether any place lists tokens besides the one written.
    """

    text: str
    finish: str
    source: str = ""
    tokens: list[bytes] = field(default_factory=list)
    top: list[Listed] = field(default_factory=list)
    has_top: bool = False

    def add(self, items: Any, where: str) -> None:
        """Append tokens from a list of {token, bytes, logprob, top_logprobs}."""
        items = list(items or [])
        use_bytes = any(item.get("bytes") for item in items)  # some servers write [] for "none"
        for t, item in enumerate(items):
            place, top = f"{where}[{t}]", item.get("top_logprobs") or []
            token = _bytes(item, place, use_bytes)
            pairs = [(_bytes(other, place, use_bytes), other.get("logprob")) for other in top]
            self.tokens.append(token)
            self.top.append(_listed(token, item.get("logprob"), pairs, place))
            self.has_top |= bool(pairs)


def drafts(body: Mapping[str, Any], first: int, place: str) -> list[tuple[str, Draft]]:
    """The runs of a response, each with what errors call it.

    first : the number of its first run. place : where the response stands, as " (line 3)".
    """
    kind = _kind(body, f"run {first}{place}")
    choices = [body] if kind == "responses" else body["choices"]
    runs = []
    for number, choice in enumerate(choices, first):
        run = f"run {number}{place}"
        try:
            runs.append((run, _READERS[kind](choice, run)))
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError) as error:
            raise ValueError(f"{run}: it is not laid out as {kind}: {error}") from error
    return runs


def _kind(body: Mapping[str, Any], run: str) -> str:
    """Which of the three interfaces a response comes from, by the fields that it has."""
    if "output" in body:
        return "responses"
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    for kind, mark in (("chat", "message"), ("completions", "text")):
        if isinstance(first, Mapping) and mark in first:
            return kind
    fault = f"{run}: neither output nor choices with message or text in {shown(list(body))}"
    if isinstance(first, Mapping) and "delta" in first:
        raise ValueError(f"{fault}: it is a part of a stream; ask with stream=False")
    for mark, whose in _NATIVE.items():
        if mark in body:
            raise ValueError(
                f"{fault}: it is of {whose} interface; ask through /v1/chat/completions or "
                "/v1/completions, which most servers have"
            )
    raise ValueError(fault)


def _chat(choice: Mapping[str, Any], run: str) -> Draft:
    message, finish = choice.get("message") or {}, str(choice.get("finish_reason") or "")
    text, thought = _content(message)
    if not text and message.get("refusal"):
        return Draft("", "refusal")
    if not text and (message.get("tool_calls") or message.get("function_call")):
        return Draft("", finish if finish in _NO_ANSWER else "tool_calls")
    record = choice.get("logprobs") or {}
    if isinstance(record, Mapping) and record.get("tokens") and not record.get("content"):
        draft = Draft(text, finish, "logprobs.tokens")
        draft.add(_items(record, f"{run}: logprobs"), f"{run}: logprobs")
    else:
        draft = Draft(text, finish, "logprobs.content")
        items = record.get("content") if isinstance(record, Mapping) else record
        draft.add(items, f"{run}: logprobs.content")
    return _fitted(draft, run, "message.content", thought)


def _content(message: Mapping[str, Any]) -> tuple[str, str]:
    """The answer and the reasoning of a message, each "" where there is none."""
    content = message.get("content")
    thought = message.get("reasoning_content") or message.get("reasoning") or ""
    if isinstance(content, list):  # parts: {"type": "text", "text": ...} or "thinking"
        thought = thought or "".join(str(p) for p in content if p.get("type") != "text")
        content = "".join(part["text"] for part in content if part.get("type") == "text")
    return _text(content, "message.content"), str(thought)


def _responses(body: Mapping[str, Any], run: str) -> Draft:
    finish = (body.get("incomplete_details") or {}).get("reason") or body.get("status") or ""
    draft = Draft("", str(finish), "output[].content[].logprobs")
    refused = called = False
    for i, part in enumerate(body.get("output") or []):
        called |= str(part.get("type")).endswith("_call")
        contents = (part.get("content") or []) if part.get("type", "message") == "message" else []
        for j, content in enumerate(contents):
            refused |= content.get("type") == "refusal"
            if content.get("type") == "output_text":
                draft.text += content.get("text") or ""
                draft.add(content.get("logprobs"), f"{run}: output[{i}].content[{j}].logprobs")
    if not draft.text and (refused or called):
        return Draft("", "refusal" if refused else "tool_calls")
    return _fitted(draft, run, "output[].content[].text")


def _completions(choice: Mapping[str, Any], run: str) -> Draft:
    text, finish = _text(choice.get("text"), "text"), str(choice.get("finish_reason") or "")
    draft = Draft(text, finish, "logprobs.tokens")
    draft.add(_items(choice.get("logprobs") or {}, f"{run}: logprobs"), f"{run}: logprobs")
    return _fitted(draft, run, "text")


_READERS = {"chat": _chat, "responses": _responses, "completions": _completions}


def _text(value: Any, name: str) -> str:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} is {shown(value)}")
    return value or ""


def _items(record: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """{tokens, token_logprobs, top_logprobs}, a list each, as a chat's list of one per token."""
    tokens, values = record.get("tokens") or [], record.get("token_logprobs") or []
    tops = record.get("top_logprobs") or [None] * len(tokens)
    if len({len(tokens), len(values), len(tops)}) > 1:
        raise ValueError(f"{where}: tokens, token_logprobs, top_logprobs differ in length")
    listed = [[{"token": t, "logprob": v} for t, v in (top or {}).items()] for top in tops]
    return [
        {"token": token, "logprob": value, "top_logprobs": top}
        for token, value, top in zip(tokens, values, listed, strict=True)
    ]


def _fitted(draft: Draft, run: str, name: str, thought: str = "") -> Draft:
    """The draft, its text and tokens made to fit; ValueError where something is missing.

    name : the field of the text. thought : the reasoning, whose tokens may come before the text's.
    """
    if not draft.text:
        silent = draft.finish and _MARK.fullmatch(b"".join(draft.tokens))
        if draft.finish not in _NO_ANSWER and not silent:
            raise ValueError(f"{run}: {name} is missing or empty, so the response holds no text")
        return Draft("", draft.finish)
    for missing, what in ((not draft.tokens, draft.source), (not draft.has_top, "top_logprobs")):
        if missing:
            raise ValueError(f"{run}: {what} is missing or empty; {_ASK[draft.source]}")
    _drop_thought(draft, run, thought)
    written = b"".join(draft.tokens)
    blanks = written[: len(written) - len(written.lstrip())].decode()
    known = draft.text[: len(draft.text) - len(draft.text.lstrip())]
    if blanks != known and blanks.endswith(known):  # the server stripped the text
        draft.text = blanks + draft.text[len(known) :]
    return draft


def _drop_thought(draft: Draft, run: str, thought: str) -> None:
    """Remove the tokens of the reasoning, where they come before those of the answer."""
    raw, whole = utf8(draft.text), b"".join(draft.tokens)
    marked = any(mark in whole and mark not in raw for mark in _THOUGHT)
    begins = utf8(thought.strip()[:_AROUND])
    if not marked and not (begins and whole.lstrip().startswith(begins)):
        return
    answer, tail = raw.strip(), b""
    for t in range(len(draft.tokens) - 1, -1, -1):
        tail = draft.tokens[t] + tail
        rest = tail.lstrip()
        if rest.startswith(answer) and _MARK.fullmatch(rest[len(answer) :]):
            draft.tokens, draft.top = draft.tokens[t:], draft.top[t:]
            return
        if len(tail) > len(raw) + _AROUND:
            break
    raise ValueError(
        f"{run}: {draft.source} holds the tokens of the reasoning too, and where the answer "
        f"{shown(draft.text)} begins among them is not certain; ask with the reasoning switched "
        "off, or for the log-probabilities of the answer alone"
    )


def _bytes(item: Mapping[str, Any], where: str, use_bytes: bool) -> bytes:
    """What a token writes, by its field `bytes` if that is in use and there, else by its text."""
    token, values = item.get("token"), item.get("bytes")
    if values is not None and use_bytes:
        try:
            return bytes(list(values))
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
        return match[1].encode("ascii").decode("unicode_escape").encode("latin-1")
    return utf8(token)


def utf8(text: str) -> bytes:
    """UTF-8; JSON can hold half a character, which passes as three bytes."""
    return text.encode("utf-8", "surrogatepass")


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
