"""Recorded log-probabilities: what interfaces return with a text, brought into one form.

Read are OpenAI's Chat Completions and Responses, and the Completions of vLLM and others like it.
Such a record holds, for each token written, the few likeliest tokens of its place: it is censored
(`simkit.scoring.pivot.censored` says what belief can be had from it).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["KINDS", "LOSSY", "Recorded", "read_recorded", "utf8"]

KINDS = ("chat", "responses", "completions")
LOSSY = "\N{REPLACEMENT CHARACTER}".encode()  # stands where an interface lost a part of a character
_UNLISTED = -9998.0  # interfaces write -9999 for "so unlikely that it is not said how"
_ROUNDING = 1e-3  # by which listed probabilities may exceed 1
_ASK = {
    "chat": "ask for logprobs=True and top_logprobs=20",
    "responses": "ask for include=['message.output_text.logprobs'] and top_logprobs=20",
    "completions": "ask for logprobs=20",
}
Listed = tuple[tuple[bytes, float], ...]


@dataclass(frozen=True)
class Recorded:
    """One run with the log-probabilities that were recorded of it.

    text : as written, "" where there is none. tokens : (T,) bytes of each token; a token may
    be a part of a character. spans : (T,) the bytes [start, end) of the text that it wrote; empty
    for tokens behind the end of the text. top : (T,) the (token, log-probability) pairs that are
    known of its place, the token written among them. finish : why it ended ("stop", "length",
    "refusal", …). model : as the interface names it.
    """

    text: str
    tokens: tuple[bytes, ...]
    spans: tuple[tuple[int, int], ...]
    top: tuple[Listed, ...]
    finish: str = ""
    model: str = ""

    @cached_property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """Characters [start, end) of each token; a part of a character has all of it."""
        size = [len(utf8(character)) for character in self.text]
        holder = np.repeat(np.arange(len(size)), size).tolist()  # character of each byte
        holder.append(len(size))
        return tuple((holder[a], holder[b - 1] + 1 if b > a else holder[a]) for a, b in self.spans)


def read_recorded(payloads: Any, kind: str = "auto") -> list[Recorded]:
    """Runs from what an interface returned.

    Parameters
    ----------
    payloads : one response or a list of them, each a mapping, its JSON text, or the client
        library's object (anything with `model_dump`). A response with several choices is several
        runs.
    kind : "chat" (`choices[].message` and `logprobs.content[]`), "responses"
        (`output[].content[].logprobs[]`), "completions" (`choices[].text` and `logprobs.tokens[]`,
        …), or "auto": by what is there.

    Returns
    -------
    Runs in order, numbered from 0 in errors. A refusal, or a text that the interface filtered
    out, is a run with an empty text: `find_pivots` counts it under "none".

    Raises ValueError naming run and field: for text without log-probabilities or without text,
    log-probabilities that end before the text does or do not spell it, numbers that are no
    log-probabilities, token ids in the place of tokens, JSON that breaks off, and a failed
    response.
    """
    if kind not in ("auto", *KINDS):
        raise ValueError(f"no kind {kind!r}; there are: auto, {', '.join(KINDS)}")
    one = isinstance(payloads, str | bytes | Mapping) or hasattr(payloads, "model_dump")
    runs: list[Recorded] = []
    for payload in [payloads] if one else payloads:
        body = _body(payload, len(runs))
        form = _kind(body, len(runs)) if kind == "auto" else kind
        runs += _read(body, form, len(runs))
    return runs


def _read(body: Mapping[str, Any], kind: str, first: int) -> list[Recorded]:
    runs: list[Recorded] = []
    choices = body.get("choices") if kind != "responses" else [body]
    if not isinstance(choices, list) or not choices:
        raise ValueError(f"run {first}: choices is missing or empty")
    for run, choice in enumerate(choices, first):
        try:
            draft = _DRAFTS[kind](choice, f"run {run}")
        except (AttributeError, TypeError) as error:
            raise ValueError(f"run {run}: it is not laid out as {kind}: {error}") from error
        if draft.text and not draft.tokens:
            raise ValueError(f"run {run}: {draft.field} is missing or empty; {_ASK[kind]}")
        if draft.text and not draft.listed:
            raise ValueError(f"run {run}: top_logprobs is missing or empty; {_ASK[kind]}")
        spans = _align(draft.text, draft.tokens, f"run {run}: {draft.field}")
        model = str(body.get("model") or "")
        tokens, top = tuple(draft.tokens), tuple(draft.top)
        runs.append(Recorded(draft.text, tokens, spans, top, draft.finish, model))
    return runs


def _body(payload: Any, run: int) -> Mapping[str, Any]:
    if isinstance(payload, str | bytes):
        try:
            payload = json.loads(payload)
        except json.JSONDecodeError as error:
            raise ValueError(f"run {run}: its JSON is broken: {error}") from error
    elif hasattr(payload, "model_dump"):
        payload = payload.model_dump()
    if not isinstance(payload, Mapping):
        raise ValueError(f"run {run}: {type(payload).__name__} is no response; legal is a mapping")
    if payload.get("error"):
        raise ValueError(f"run {run}: the response is an error: {payload['error']}")
    return payload


def _kind(body: Mapping[str, Any], run: int) -> str:
    if "output" in body:
        return "responses"
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    for kind, mark in (("chat", "message"), ("completions", "text")):
        if isinstance(first, Mapping) and mark in first:
            return kind
    raise ValueError(f"run {run}: neither output nor choices with message or text in {list(body)}")


@dataclass
class _Draft:
    """What was found of a run, and under which field."""

    text: str
    finish: str
    field: str
    tokens: list[bytes]
    top: list[Listed]
    listed: bool  # whether any place lists tokens beside the one written

    def add(self, items: Any, field: str) -> None:
        """Take a list of {token, bytes, logprob, top_logprobs}."""
        for t, item in enumerate(items or []):
            where = f"{field}[{t}]"
            others = item.get("top_logprobs") or []
            pairs = [(_bytes(other, where), other.get("logprob")) for other in others]
            self.tokens.append(_bytes(item, where))
            self.top.append(_listed(self.tokens[-1], item.get("logprob"), pairs, where))
            self.listed |= bool(others)


def _chat(choice: Mapping[str, Any], run: str) -> _Draft:
    message, finish = choice.get("message") or {}, str(choice.get("finish_reason") or "")
    if not message.get("content") and (message.get("refusal") or finish == "content_filter"):
        return _Draft("", "refusal" if message.get("refusal") else finish, "", [], [], False)
    text = _text(message.get("content"), f"{run}: message.content")
    draft = _Draft(text, finish, "logprobs.content", [], [], False)
    draft.add((choice.get("logprobs") or {}).get("content"), f"{run}: logprobs.content")
    return draft


def _responses(body: Mapping[str, Any], run: str) -> _Draft:
    draft = _Draft("", str(body.get("status") or ""), "output[].content[].logprobs", [], [], False)
    refused = False
    for i, part in enumerate(body.get("output") or []):
        said = (part.get("content") or []) if part.get("type", "message") == "message" else []
        for j, content in enumerate(said):
            refused |= content.get("type") == "refusal"
            if content.get("type") == "output_text":
                draft.text += content.get("text") or ""
                draft.add(content.get("logprobs"), f"{run}: output[{i}].content[{j}].logprobs")
    if refused and not draft.text:
        draft.finish = "refusal"
    else:
        _text(draft.text, f"{run}: output[].content[].text")
    return draft


def _completions(choice: Mapping[str, Any], run: str) -> _Draft:
    text = _text(choice.get("text"), f"{run}: text")
    draft = _Draft(text, str(choice.get("finish_reason") or ""), "logprobs.tokens", [], [], False)
    record = choice.get("logprobs") or {}
    words, own = record.get("tokens") or [], record.get("token_logprobs") or []
    tops = record.get("top_logprobs") or [None] * len(words)
    if len({len(words), len(own), len(tops)}) > 1:
        raise ValueError(f"{run}: logprobs: tokens, token_logprobs, top_logprobs differ in length")
    for t, (word, logprob, others) in enumerate(zip(words, own, tops, strict=True)):
        where = f"{run}: logprobs[{t}]"
        pairs = [(_bytes({"token": k}, where), value) for k, value in (others or {}).items()]
        draft.tokens.append(_bytes({"token": word}, where))
        draft.top.append(_listed(draft.tokens[-1], logprob, pairs, where))
        draft.listed |= bool(others)
    return draft


_DRAFTS = {"chat": _chat, "responses": _responses, "completions": _completions}


def _text(text: Any, where: str) -> str:
    if not isinstance(text, str) or not text:
        raise ValueError(f"{where} is missing or empty: the response holds no text")
    return text


def _bytes(item: Mapping[str, Any], where: str) -> bytes:
    token, spelt = item.get("token"), item.get("bytes")
    if spelt is None:
        if not isinstance(token, str):
            raise ValueError(f"{where}: token is missing")
        if token.startswith("token_id:"):
            raise ValueError(f"{where}: {token!r} is an id; ask the server for tokens as text")
        return utf8(token)
    if not isinstance(spelt, list) or not all(b in range(256) for b in spelt):
        raise ValueError(f"{where}: bytes is {spelt!r}; legal is a list of numbers from 0 to 255")
    return bytes(spelt)


def utf8(text: str) -> bytes:
    """UTF-8; JSON can hold half a character, which passes as three bytes."""
    return text.encode("utf-8", "surrogatepass")


def _listed(token: bytes, logprob: Any, pairs: list[tuple[bytes, Any]], where: str) -> Listed:
    """What is known of a place: the pairs listed, and the token written if it is not among them."""
    if token not in dict(pairs) and logprob is not None:  # none of the first token of an echo
        pairs = [*pairs, (token, logprob)]
    for spelt, value in pairs:
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise ValueError(f"{where}: logprob of {spelt!r} is {value!r}; legal is a number")
    known = tuple((spelt, float(value)) for spelt, value in pairs if value > _UNLISTED)
    total = sum(math.exp(min(value, 1.0)) for _, value in known)
    if total > 1 + _ROUNDING:
        raise ValueError(f"{where}: the listed probabilities sum to {total:.4g}, more than 1")
    return known


def _align(text: str, tokens: list[bytes], where: str) -> tuple[tuple[int, int], ...]:
    """The bytes of the text that each token wrote."""
    raw, at = utf8(text), 0
    spans: list[tuple[int, int]] = []
    for t, token in enumerate(tokens):
        if raw.startswith(token, at):
            span = at, at + len(token)
        elif len(raw) < at + len(token) and token.startswith(raw[at:]):
            span = at, len(raw)  # a stop string cut the text; or this is the mark of its end
        elif LOSSY in token:
            span = _lost(raw, at, token, spans[-1] if t and LOSSY in tokens[t - 1] else None)
        else:
            span = at, -1
        if span[1] < at:
            raise ValueError(
                f"{where}[{t}]: token {token!r} does not go on with the text, where "
                f"{raw[at : at + 20]!r} stands"
            )
        spans.append(span)
        at = span[1]
    if at < len(raw):
        raise ValueError(f"{where} ends at byte {at} of a text of {len(raw)}: it was truncated")
    return tuple(spans)


def _lost(raw: bytes, at: int, token: bytes, before: tuple[int, int] | None) -> tuple[int, int]:
    """The span of a token with lost bytes: all that is not ASCII from here, for each such token."""
    head = token.split(LOSSY)[0]
    start = at + len(head)
    end = start
    while end < len(raw) and raw[end] >= 0x80:
        end += 1
    if end > start and raw.startswith(head, at):
        return at, end
    return before if before is not None and not head else (at, -1)
