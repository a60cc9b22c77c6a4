"""OpenAI's three interfaces, which most servers copy: chats, completions and responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, field_validator

from simkit.scoring.pivot.payloads.draft import Draft, Written
from simkit.scoring.pivot.payloads.layout import Body, Entry, Family, Layout, checked

__all__ = ["FAMILIES", "first_choice"]

_CHAT, _FLAT = "ask for logprobs=True and top_logprobs=20", "ask for logprobs=20"
_RESPONSES = "ask for include=['message.output_text.logprobs'] and top_logprobs=20"
_PART = "a part of a stream; ask with stream=False, or give all its parts in order"


class Part(Layout):
    """A part of a message's content: a text, a thought, …"""

    type: str | None = None
    text: Any = None


class Message(Layout):
    content: list[Part | str] = Field(default_factory=list)
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None

    @field_validator("content", mode="before")
    @classmethod
    def _parts(cls, value: Any) -> Any:
        """A text is one part. Of a part that is no text all is kept: it may be a thought."""
        if value is None or isinstance(value, str):
            return [Part(type="text", text=value or "")]
        if not isinstance(value, list):
            return value
        return [str(p) if isinstance(p, dict) and p.get("type") != "text" else p for p in value]


class Flat(Layout):
    """Log-probabilities in three lists: of completions, and of Together's chats."""

    tokens: list[Any] | None = None
    token_logprobs: list[Any] | None = None
    top_logprobs: list[dict[str, Any] | None] | None = None


class Listing(Flat):
    """Log-probabilities of a chat: in `content`, or flat."""

    content: list[Entry] | None = None


class Choice(Layout):
    finish_reason: str | None = None
    message: Message | None = None
    text: str | None = None
    logprobs: Listing | None = None

    @field_validator("logprobs", mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        return {"content": value} if isinstance(value, list) else value


class Content(Layout):
    type: str | None = None
    text: str | None = None
    logprobs: list[Entry] | None = None


class Item(Layout):
    """A part of a response's output; contents of other types than messages are not looked at."""

    type: str = "message"
    content: list[Content] | None = None

    @field_validator("content", mode="before")
    @classmethod
    def _of_messages(cls, value: Any, info: Any) -> Any:
        return value if info.data.get("type") == "message" else None


class Response(Layout):
    output: list[Item] | None = None
    status: Any = None
    incomplete_details: dict[str, Any] | None = None


def first_choice(body: Body) -> Mapping[str, Any]:
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, Mapping) else {}


def _choices(body: Body) -> Sequence[Any]:
    return list(body["choices"])


def _chat(value: Any, run: str) -> Draft:
    choice = checked(Choice, value, run, "chat")
    message, finish = choice.message or Message(), str(choice.finish_reason or "")
    texts = [part.text for part in message.content if isinstance(part, Part)]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{run}: message.content has a part of type 'text' without text")
    text = "".join(texts)
    if not text and message.refusal:
        return Draft("", "refusal")
    if not text and (message.tool_calls or message.function_call):
        return Draft("", finish if finish in ("content_filter", "length") else "tool_calls")
    thought = message.reasoning_content or message.reasoning
    thought = thought or "".join(part for part in message.content if isinstance(part, str))
    record = choice.logprobs or Listing()
    if record.tokens and not record.content:
        draft = _flat(text, finish, "message.content", record, run)
    else:
        draft = Draft(text, finish, "message.content", "logprobs.content", _CHAT)
        draft.add([entry.written() for entry in record.content or []], f"{run}: {draft.source}")
    return draft.fitted(run, str(thought))


def _completion(value: Any, run: str) -> Draft:
    choice = checked(Choice, value, run, "completions")
    finish = str(choice.finish_reason or "")
    return _flat(choice.text or "", finish, "text", choice.logprobs or Listing(), run).fitted(run)


def _flat(text: str, finish: str, name: str, record: Flat, run: str) -> Draft:
    draft = Draft(text, finish, name, "logprobs.tokens", _FLAT)
    tokens, values = record.tokens or [], record.token_logprobs or []
    tops = record.top_logprobs or [None] * len(tokens)
    if len({len(tokens), len(values), len(tops)}) > 1:
        raise ValueError(f"{run}: logprobs: tokens, token_logprobs, top_logprobs differ in length")
    listed = [
        None if top is None else [Written(token, value) for token, value in top.items()]
        for top in tops
    ]
    draft.add(map(Written, tokens, values, listed), f"{run}: logprobs")
    return draft


def _response(value: Any, run: str) -> Draft:
    body = checked(Response, value, run, "responses")
    finish = (body.incomplete_details or {}).get("reason") or body.status or ""
    source = "output[].content[].logprobs"
    draft = Draft("", str(finish), "output[].content[].text", source, _RESPONSES)
    refused = called = False
    for i, item in enumerate(body.output or []):
        called |= item.type.endswith("_call")
        for j, content in enumerate(item.content or []):
            refused |= content.type == "refusal"
            if content.type == "output_text":
                draft.text += content.text or ""
                entries = [entry.written() for entry in content.logprobs or []]
                draft.add(entries, f"{run}: output[{i}].content[{j}].logprobs")
    if not draft.text and (refused or called):
        return Draft("", "refusal" if refused else "tool_calls")
    return draft.fitted(run)


# ---- streams -------------------------------------------------------------------------------


class Delta(Layout):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: Any = None


class Piece(Layout):
    index: int | None = None
    delta: Delta | None = None
    text: str | None = None
    logprobs: Listing | None = None
    finish_reason: str | None = None


class Chunk(Layout):
    choices: list[Piece] = Field(default_factory=list)


def _follows_chat(body: Body, parts: Sequence[Body]) -> bool:
    if not parts or body.get("id") != parts[0].get("id"):
        return not parts and "delta" in first_choice(body)
    if body.get("choices") == []:  # the count of tokens, behind the last part
        return "usage" in body
    return "delta" in first_choice(body)


def _follows_completion(body: Body, parts: Sequence[Body]) -> bool:
    choice = first_choice(body)
    if parts:
        same = body.get("id") == parts[0].get("id")
        return same and ("text" in choice or body.get("choices") == [])
    return "text" in choice and choice.get("finish_reason", "") is None


def _joined(parts: Sequence[Body], run: str) -> Body:
    """All parts of a stream as one response."""
    kind = "chat" if "delta" in first_choice(parts[0]) else "completions"
    chunks = [
        checked(Chunk, part, run, f"a part of a stream of {kind}", f"part {n}")
        for n, part in enumerate(parts)
    ]
    pieces = [piece for chunk in chunks for piece in chunk.choices]
    if all(piece.index is None for piece in pieces) and all(len(c.choices) < 2 for c in chunks):
        pieces = [piece.model_copy(update={"index": 0}) for piece in pieces]
    if any(piece.index is None for piece in pieces):
        raise ValueError(f"{run}: choices[].index is missing in {_PART}")
    choices = []
    for index in sorted({piece.index or 0 for piece in pieces}):
        own = [piece for piece in pieces if piece.index == index]
        ends = [piece.finish_reason for piece in own if piece.finish_reason]
        if not ends:
            raise ValueError(
                f"{run}: {_PART}: choices[{index}] has no finish_reason, so its end is missing"
            )
        choice = {"finish_reason": ends[-1], "logprobs": _listing(own)}
        if kind == "chat":
            choice["message"] = _message([piece.delta or Delta() for piece in own])
        else:
            choice["text"] = "".join(piece.text or "" for piece in own)
        choices.append(choice)
    return {"model": parts[0].get("model"), "choices": choices}


def _message(deltas: Sequence[Delta]) -> dict[str, Any]:
    names = ("content", "reasoning_content", "reasoning", "refusal")
    message: dict[str, Any] = {
        name: "".join(getattr(delta, name) or "" for delta in deltas) for name in names
    }
    return message | {"tool_calls": [delta.tool_calls for delta in deltas if delta.tool_calls]}


def _listing(pieces: Sequence[Piece]) -> dict[str, Any]:
    """Their log-probabilities, one after the other."""
    lists: dict[str, list[Any]] = {}
    for piece in pieces:
        for name, values in (piece.logprobs.model_dump() if piece.logprobs else {}).items():
            lists.setdefault(name, []).extend(values or [])
    return lists


def _follows_events(body: Body, parts: Sequence[Body]) -> bool:
    return str(body.get("type", "")).startswith("response.") and (
        not parts or not _ended(parts[-1])
    )


def _ended(event: Body) -> bool:
    return event.get("type") in ("response.completed", "response.incomplete", "response.failed")


def _last_event(parts: Sequence[Body], run: str) -> Body:
    body = parts[-1].get("response")
    if not _ended(parts[-1]) or not isinstance(body, Mapping):
        raise ValueError(f"{run}: {_PART}: the event response.completed is missing")
    return body


FAMILIES = (
    Family(
        "responses",
        "OpenAI `/v1/responses`",
        "`output[].content[].logprobs[]`",
        _RESPONSES.removeprefix("ask for "),
        lambda body: "output" in body,
        _response,
        follows=_follows_events,
        join=_last_event,
    ),
    Family(
        "chat",
        "`/v1/chat/completions` of OpenAI, vLLM, SGLang, llama.cpp, Together, …",
        "`choices[].logprobs.content[]`, or flat: `choices[].logprobs.tokens[]`, …",
        _CHAT.removeprefix("ask for "),
        lambda body: "message" in first_choice(body),
        _chat,
        _choices,
        follows=_follows_chat,
        join=_joined,
    ),
    Family(
        "completions",
        "`/v1/completions` of vLLM, SGLang, llama.cpp, Together, …",
        "`choices[].logprobs.tokens[]`, `token_logprobs[]`, `top_logprobs[]`",
        _FLAT.removeprefix("ask for "),
        lambda body: "text" in first_choice(body),
        _completion,
        _choices,
        follows=_follows_completion,
        join=_joined,
    ),
)
