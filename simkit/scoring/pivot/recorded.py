"""Recorded log-probabilities: what interfaces return with a text, brought into one form.

Read are OpenAI's three interfaces, which most servers copy, and several servers' own
(`simkit.scoring.pivot.payloads` has the table): one by one, in a list, as a batch file holds them,
or in the parts of a stream. Such a record has, for each token written, the
few likeliest tokens of its place: it is censored (`simkit.scoring.pivot.censored` says what belief
can be had from it).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from simkit.scoring.pivot.payloads import drafts
from simkit.scoring.pivot.payloads.draft import Listed
from simkit.scoring.pivot.payloads.spelling import LOSSY, utf8
from simkit.scoring.types import Model, ability
from simkit.types import integer, shown

__all__ = ["LOSSY", "Recorded", "as_recorded", "read_recorded", "utf8"]

_NAMED = 5  # failed responses that an error names
_VOCABULARY = ("\u0120".encode(), "\u2581".encode())  # what stands for a blank there
_MODEL = ("model", "modelVersion", "model_version")
_UNFINISHED = ("cancelled", "failed", "in_progress", "queued")


@dataclass(frozen=True)
class Recorded:
    """One run with the log-probabilities that were recorded of it.

    Attributes
    ----------
    text : as written, "" where there is none.
    tokens : (T,) bytes of each token; a token may be a part of a character.
    spans : (T,) the bytes [start, end) of the text that each wrote; empty for tokens behind the
        end of the text.
    top : (T,) the (token, log-probability) pairs that are known of its place, the token written
        among them where it is known.
    finish : why it ended ("stop", "length", "refusal", …).
    model : as the interface names it.
    custom_id : of a batch file's line; such lines come in any order, so this says which prompt was
        asked.
    """

    text: str
    tokens: tuple[bytes, ...]
    spans: tuple[tuple[int, int], ...]
    top: tuple[Listed, ...]
    finish: str = ""
    model: str = ""
    custom_id: str = ""


def as_recorded(model: Model, prompt: str, text: str, *, top: int = 20) -> dict[str, Any]:
    """A chat response with the log-probabilities of the likeliest tokens of each place.

    It shows what is lost where only such records can be had: `read_recorded` reads it.

    Parameters
    ----------
    model : Model
        A language model from `simkit.load`.
    prompt, text : str
        What was asked, and what the model is taken to have written.
    top : int
        Number of tokens that are listed for each place.

    Returns
    -------
    dict
        The response, as JSON would hold it.

    Raises
    ------
    TypeError
        For a model without such records (see `Model`).
    ValueError
        For a `top` below 1, and where prompt and text cannot be tokenized separately.

    Examples
    --------
    >>> import simkit as sk
    >>> model = sk.load("glassbox")
    >>> response = sk.scoring.as_recorded(model, "Question: Do you buy milk?\\nAnswer:", " yes")
    >>> response["choices"][0]["message"]
    {'role': 'assistant', 'content': ' yes'}
    """
    recorded = ability(model, "recorded", "as_recorded")
    if not isinstance(prompt, str) or not isinstance(text, str):
        raise ValueError(f"prompt is {shown(prompt)} and text {shown(text)}; both must be strings")
    return dict(recorded(prompt, text, integer(top, "top", 1)))


def read_recorded(payloads: Any) -> list[Recorded]:
    """Runs from what an interface returned.

    Parameters
    ----------
    payloads : mapping, str, bytes, path, client object, or a list of these
        One response or a list of them, each a mapping, its JSON text, or the client library's
        object (anything with `model_dump`); JSON Lines as one text; or the path of a file of
        either (`pathlib.Path`). A line of a batch file counts as the response in it. A response
        with several choices is several runs. Read are OpenAI's chats, responses and completions,
        and the own interfaces of llama.cpp, Ollama, Gemini, SGLang, Text Generation Inference and
        of vLLM (`prompt_logprobs`), told apart by their fields; the page "Recorded answers" says
        what to ask each for. Parts of a stream, in order, are one response: as a text of
        server-sent events ("data: {…}"), as JSON Lines, or as a list.

    Returns
    -------
    list of Recorded
        Runs in order, numbered from 0 in errors. A refusal, a tool call, a text that the
        interface filtered out and a run that ended in its reasoning are runs with an empty text:
        `find_pivots` counts them under "none", and `finish` says why.

    Raises
    ------
    ValueError
        Naming run, line and field: for text without log-probabilities or without text,
        log-probabilities that end before the text does or do not spell it, numbers that are no
        log-probabilities or come after sampling, token ids in the place of tokens, and JSON or a
        stream that breaks off; and for failed responses, all of which it counts.

    Notes
    -----
    Blanks that the server took off a text's start are put back, and tokens of reasoning that
    stand before the answer's are left out. A log-probability of null or -9999 is one that is not
    listed. Tokens as a vocabulary holds them ("ĠYes", "▁Yes") are decoded where it is certain that
    they are spelt so: they spell the text then, and hold no blank.

    Examples
    --------
    >>> import simkit as sk
    >>> token = {"token": "Yes", "logprob": -0.5}
    >>> choice = {"message": {"content": "Yes"}, "finish_reason": "stop",
    ...           "logprobs": {"content": [{**token, "top_logprobs": [token]}]}}
    >>> sk.read_recorded({"model": "m", "choices": [choice]})[0].text
    'Yes'
    """
    streams = import_module("simkit.scoring.pivot.payloads.streams")  # with pydantic: not before
    runs: list[Recorded] = []
    failed: list[str] = []
    count = 0
    for count, (payload, place) in enumerate(streams.together(_each(payloads)), 1):
        try:
            body, custom_id, failure = _opened(payload, f"run {len(runs)}{place}")
            if custom_id:
                place = (f"{place[:-1]}, " if place else " (") + f"custom_id {custom_id!r})"
            if failure:
                failed.append(f"response {count - 1}{place}: {failure}")
                continue
            model = str(next((body[name] for name in _MODEL if body.get(name)), ""))
            choices = drafts(body, len(runs), place)
        except (AttributeError, TypeError, RecursionError) as error:
            raise ValueError(f"run {len(runs)}{place}: it is no response: {error}") from error
        for run, draft in choices:
            spans = _align(draft.text, draft.tokens, f"{run}: {draft.source}")
            tokens, top = tuple(draft.tokens), tuple(draft.top)
            runs.append(Recorded(draft.text, tokens, spans, top, draft.finish, model, custom_id))
    if failed:
        more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        raise ValueError(
            f"{len(failed)} of {count} responses failed; ask them again, or leave them out and "
            f"count them: {'; '.join(failed[:_NAMED])}{more}"
        )
    return runs


def _each(payloads: Any) -> Iterator[tuple[Any, str]]:
    """The responses, and where each stands: " (line 3)" of a text with several lines."""
    if isinstance(payloads, Path):
        if not payloads.is_file():
            raise ValueError(f"no file {str(payloads)!r} with responses")
        payloads = payloads.read_bytes()
    if isinstance(payloads, str | bytes | Mapping) or hasattr(payloads, "model_dump"):
        payloads = [payloads]
    elif isinstance(payloads, pd.DataFrame) or not isinstance(payloads, Iterable):
        raise ValueError(
            f"run 0: {shown(payloads)} is no response; it must be a mapping, JSON text, a list of "
            "these, or the pathlib.Path of a file"
        )
    for i, payload in enumerate(payloads):
        if isinstance(payload, str | bytes):
            yield from _parsed(payload, f"run {i}")
        else:
            yield payload, ""


def _parsed(text: str | bytes, where: str) -> Iterator[tuple[Any, str]]:
    """The responses of one JSON text, or of one on each line; none of a blank text."""
    if isinstance(text, bytes):
        try:
            text = text.decode(json.detect_encoding(text))
        except UnicodeDecodeError as error:
            raise ValueError(f"{where}: the text is not in UTF-8: {error}") from error
    text = text.removeprefix("\ufeff")
    streams = import_module("simkit.scoring.pivot.payloads.streams")
    if streams.is_events(text):
        yield from _events(streams.events(text), where)
        return
    # Lines end at "\n" only: other line breaks may stand within a JSON string.
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    values: list[tuple[Any, str]] = []
    try:
        values += [(_json(text), "")] if lines else []
    except ValueError as whole:
        for n, line in lines:
            try:
                values.append((_json(line), f" (line {n})"))
            except ValueError as error:
                if values:
                    raise ValueError(f"{where} (line {n}): its JSON is broken: {error}") from error
                hint = "; to read a file, give its pathlib.Path" if len(text) < 300 else ""
                raise ValueError(f"{where}: its JSON is broken: {whole}{hint}") from whole
    for value, place in values:
        yield from ((item, place) for item in (value if isinstance(value, list) else [value]))


def _events(events: Iterable[tuple[str, int]], where: str) -> Iterator[tuple[Any, str]]:
    """The parts of a text of server-sent events."""
    found = []
    for data, n in events:
        try:
            found.append((_json(data), f" (line {n})"))
        except ValueError as error:
            raise ValueError(f"{where} (line {n}): its JSON is broken: {error}") from error
    if not any(isinstance(part, Mapping) and any(part.values()) for part, _ in found):
        raise ValueError(
            f"{where}: it is a stream: ask with stream=False, or give all of it: no part of this "
            "one holds an answer"
        )
    yield from found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _opened(payload: Any, where: str) -> tuple[Mapping[str, Any], str, str]:
    """The body of a response, its custom_id, and why it failed ("" if it did not)."""
    payload = payload.model_dump() if hasattr(payload, "model_dump") else payload
    payload = payload.whole(where) if hasattr(payload, "whole") else payload  # of a stream
    if not isinstance(payload, Mapping):
        raise ValueError(f"{where}: {type(payload).__name__} is no response; it must be a mapping")
    custom_id, body, status = str(payload.get("custom_id") or ""), payload, None
    line = "response" in payload and not {"choices", "done"} & set(payload)
    if line:  # of a batch file; Ollama's answer has a text of this name
        answer = payload["response"] or {}
        if not isinstance(answer, Mapping):
            raise ValueError(f"{where}: response is {shown(answer)}; it must be a mapping")
        status, body = answer.get("status_code"), answer.get("body", answer)
        if not isinstance(body, Mapping):
            raise ValueError(f"{where}: response.body is {shown(body)}; it must be a mapping")
    error = payload.get("error") or body.get("error")
    if status not in (None, 200, "200"):
        return body, custom_id, f"status {shown(status)}: {shown(error or body)}"
    if error or body.get("object") == "error" or body.get("status") in _UNFINISHED:
        return body, custom_id, f"the response is an error: {shown(error or dict(body))}"
    return body, custom_id, ""


def _align(text: str, tokens: list[bytes], where: str) -> tuple[tuple[int, int], ...]:
    """The bytes of the text that each token wrote."""
    raw, place = utf8(text), 0
    spans: list[tuple[int, int]] = []
    for t, token in enumerate(tokens):
        if raw.startswith(token, place):
            span = place, place + len(token)
        elif len(raw) < place + len(token) and token.startswith(raw[place:]):
            span = place, len(raw)  # a stop string cut the text; or this is the mark of its end
        elif LOSSY in token:
            span = _lost(raw, place, token, spans[-1] if t and LOSSY in tokens[t - 1] else None)
        else:
            span = place, -1
        if span[1] < place:
            hint = ""
            if any(mark in token and mark not in raw for mark in _VOCABULARY):
                hint = "; ask the server for tokens as written, not as its vocabulary holds them"
            raise ValueError(
                f"{where}[{t}]: token {shown(token)} does not go on with the text, where "
                f"{raw[place : place + 20]!r} stands{hint}"
            )
        spans.append(span)
        place = span[1]
    if place < len(raw):
        raise ValueError(f"{where} ends at byte {place} of a text of {len(raw)}: it was truncated")
    return tuple(spans)


def _lost(raw: bytes, place: int, token: bytes, before: tuple[int, int] | None) -> tuple[int, int]:
    """The span of a token with lost bytes: all that is not ASCII from here, for each such token."""
    head = token.split(LOSSY)[0]
    start = place + len(head)
    end = start
    while end < len(raw) and raw[end] >= 0x80:
        end += 1
    if end > start and raw.startswith(head, place):
        return place, end
    return before if before is not None and not head else (place, -1)
