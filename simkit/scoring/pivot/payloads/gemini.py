"""Gemini's own interface, `generateContent`, with names in camel case or, as its clients, snake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import AliasChoices, AliasGenerator, ConfigDict
from pydantic.alias_generators import to_camel

from simkit.scoring.pivot.payloads.draft import Draft, Written
from simkit.scoring.pivot.payloads.layout import Body, Family, Layout, checked
from simkit.types import shown

__all__ = ["FAMILIES"]

_ASK = "ask for responseLogprobs=true and logprobs=20 in generationConfig"
_OTHERS = "logprobsResult.topCandidates"
_FINISH = {"STOP": "stop", "MAX_TOKENS": "length", "MALFORMED_FUNCTION_CALL": "tool_calls"}
_FILTERED = ("BLOCKLIST", "LANGUAGE", "PROHIBITED_CONTENT", "RECITATION", "SAFETY", "SPII")


class Named(Layout):
    model_config = ConfigDict(
        alias_generator=AliasGenerator(
            validation_alias=lambda name: AliasChoices(to_camel(name), name)
        )
    )


class Part(Named):
    text: str | None = None
    thought: bool | None = None
    function_call: Any = None


class Content(Named):
    parts: list[Part] | None = None


class Token(Named):
    token: str
    log_probability: Any

    def written(self, top: list[Written] | None = None) -> Written:
        return Written(self.token, self.log_probability, top)


class Top(Named):
    candidates: list[Token] | None = None


class Result(Named):
    chosen_candidates: list[Token] | None = None
    top_candidates: list[Top] | None = None


class Candidate(Named):
    content: Content | None = None
    finish_reason: Any = None
    logprobs_result: Result | None = None


def _runs(body: Body) -> Sequence[Any]:
    candidates = body["candidates"] or []
    if not isinstance(candidates, list):
        raise ValueError(f"candidates is {shown(candidates)}; it must be a list")
    feedback = body.get("promptFeedback") or body.get("prompt_feedback")
    if not candidates and feedback:  # the prompt was blocked: a run without an answer
        return [{"content": None, "finishReason": "SAFETY"}]
    if not candidates:
        raise ValueError(f"candidates is missing or empty; {_ASK}")
    return candidates


def _draft(value: Any, run: str) -> Draft:
    candidate = checked(Candidate, value, run, "Gemini's candidates")
    reason = candidate.finish_reason
    said = str(getattr(reason, "value", reason) or "")
    if not said:
        raise ValueError(
            f"{run}: finishReason is missing, so it is a part of a stream; ask generateContent, "
            "not streamGenerateContent"
        )
    finish = "content_filter" if said in _FILTERED else _FINISH.get(said, said.lower())
    parts = (candidate.content.parts if candidate.content else None) or []
    text = "".join(part.text or "" for part in parts if not part.thought)
    thought = "".join(part.text or "" for part in parts if part.thought)
    if not text and any(part.function_call for part in parts):
        return Draft("", "tool_calls")
    source = "logprobsResult.chosenCandidates"
    draft = Draft(text, finish, "content.parts[].text", source, _ASK, _OTHERS)
    result = candidate.logprobs_result or Result()
    chosen, tops = result.chosen_candidates or [], result.top_candidates or []
    if tops and len(tops) != len(chosen):
        raise ValueError(
            f"{run}: logprobsResult: {len(chosen)} chosenCandidates and {len(tops)} topCandidates "
            f"differ in length; {_ASK}"
        )
    listed = [
        None if top.candidates is None else [token.written() for token in top.candidates]
        for top in tops
    ] or [None] * len(chosen)
    draft.add([t.written(top) for t, top in zip(chosen, listed, strict=True)], f"{run}: {source}")
    return draft.fitted(run, thought)


FAMILIES = (
    Family(
        "Gemini",
        "Gemini and Vertex AI `generateContent`",
        "`candidates[].logprobsResult`: `chosenCandidates[]`, `topCandidates[].candidates[]`",
        _ASK.removeprefix("ask for "),
        lambda body: "candidates" in body,
        _draft,
        _runs,
        hides="streams are not read: a part does not say where it belongs",
    ),
)
