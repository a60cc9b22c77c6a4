"""Ollama's own interface: `/api/chat` and `/api/generate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simkit.scoring.pivot.payloads.draft import Draft
from simkit.scoring.pivot.payloads.layout import Body, Entry, Family, Layout, checked

__all__ = ["FAMILIES"]

_ASK = "ask for logprobs=true and top_logprobs=20"
_PART = "a part of a stream; ask with stream=false, or give all its parts in order"


class Message(Layout):
    content: str | None = None
    thinking: str | None = None
    tool_calls: Any = None


class Answer(Layout):
    message: Message | None = None
    response: str | None = None
    thinking: str | None = None
    logprobs: list[Entry] | None = None
    done: bool
    done_reason: Any = None


def _draft(value: Any, run: str) -> Draft:
    answer = checked(Answer, value, run, "Ollama's answer")
    if not answer.done:
        raise ValueError(f"{run}: {_PART}: the part with done=true is missing")
    message, name = answer.message, "message.content"
    if message is None:
        message = Message(content=answer.response, thinking=answer.thinking)
        name = "message.content" if answer.response is None else "response"
    finish = str(answer.done_reason or "")
    if not message.content and message.tool_calls:
        return Draft("", "tool_calls")
    draft = Draft(message.content or "", finish, name, "logprobs", _ASK)
    draft.add([entry.written() for entry in answer.logprobs or []], f"{run}: logprobs")
    return draft.fitted(run, message.thinking or "")


def _knows(body: Body) -> bool:
    return "done" in body and ("message" in body or "response" in body)


def _follows(body: Body, parts: Sequence[Body]) -> bool:
    if not _knows(body) or not isinstance(body["done"], bool):
        return False
    if not parts:
        return not body["done"]
    return parts[-1]["done"] is False and body.get("model") == parts[0].get("model")


def _joined(parts: Sequence[Body], run: str) -> Body:
    answers = [
        checked(Answer, part, run, "a part of Ollama's stream", f"part {n}")
        for n, part in enumerate(parts)
    ]
    messages = [a.message or Message(content=a.response, thinking=a.thinking) for a in answers]
    text = "".join(message.content or "" for message in messages)
    thinking = "".join(message.thinking or "" for message in messages)
    calls = [message.tool_calls for message in messages if message.tool_calls]
    told: Mapping[str, Any] = {"response": text, "thinking": thinking}
    if answers[0].message is not None:
        told = {"message": {"content": text, "thinking": thinking, "tool_calls": calls}}
    logprobs = [entry.model_dump() for answer in answers for entry in answer.logprobs or []]
    return {**parts[-1], **told, "logprobs": logprobs}


FAMILIES = (
    Family(
        "Ollama",
        "Ollama `/api/chat`, `/api/generate`",
        "`logprobs[]`: `logprob`, `top_logprobs[]`",
        _ASK.removeprefix("ask for "),
        _knows,
        _draft,
        follows=_follows,
        join=_joined,
    ),
)
