"""Answers in parts are put together: the same as the whole, or an error for what is missing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simkit.scoring.pivot.recorded import read_recorded
from tests.scoring import payload_samples as samples
from tests.scoring.payload_samples import PARTS, RUN, SAMPLES, TEXT
from tests.scoring.test_families import KNOWN, beliefs


def events(parts: list[Any], end: str = "data: [DONE]\n\n") -> str:
    return "".join(f"data: {json.dumps(part)}\n\n" for part in parts) + end


@pytest.mark.parametrize("name", PARTS)
def test_parts_are_the_whole(name: str) -> None:
    parts = PARTS[name](RUN)
    (whole,) = read_recorded(SAMPLES[name.removesuffix("_parts")](RUN))
    lines = "\n".join(map(json.dumps, parts))
    for given in (parts, list(map(json.dumps, parts)), lines, json.dumps(parts), events(parts),
                  events(parts, "").encode(), "event: x\nid: 3\n" + events(parts)):  # fmt: skip
        (run,) = read_recorded(given)
        assert (run.text, run.tokens, run.top) == (TEXT, whole.tokens, whole.top)
        assert run.finish == whole.finish
    assert beliefs(parts).ravel() == KNOWN


@pytest.mark.parametrize("name", PARTS)
def test_a_stream_among_other_answers(name: str) -> None:
    other = SAMPLES["chat"](RUN[:1])
    parts = PARTS[name](RUN)
    runs = read_recorded([other, *parts, other, *parts])
    assert [run.text for run in runs] == ["I", TEXT, "I", TEXT]
    if name not in ("chat_parts", "completions_parts"):  # those have an id, which is the same here
        assert [run.text for run in read_recorded([*parts, *parts])] == [TEXT, TEXT]


def test_streams_of_chats_are_told_apart_by_their_id() -> None:
    for name in ("chat_parts", "completions_parts"):
        parts = PARTS[name](RUN)
        again = [{**part, "id": "c2"} for part in parts]
        assert [run.text for run in read_recorded([*parts, *again])] == [TEXT, TEXT]


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("kept", [1, 2, 3])
def test_a_stream_that_breaks_off(name: str, kept: int) -> None:
    parts = PARTS[name](RUN)[:kept]
    for given in (parts, events(parts, "")):
        with pytest.raises(ValueError, match=r"^run 0( \(line 1\))?: .*(stream|is missing|trunc)"):
            read_recorded(given)
    # What comes behind it is not taken for its end.
    with pytest.raises(ValueError, match=r"^run 1: "):
        read_recorded([SAMPLES["chat"](RUN), *parts, SAMPLES["chat"](RUN)])


def test_several_choices_in_one_stream() -> None:
    other = [(" No" if t == " Yes" else t, top) for t, top in RUN]
    both: list[Any] = []
    for first, second in zip(samples.chat_parts(RUN)[:-1], samples.chat_parts(other), strict=False):
        second["choices"][0]["index"] = 1
        both += [second, first]  # they come mixed
    assert [run.text for run in read_recorded(both)] == [TEXT, "I say No."]
    del both[3]["choices"][0]["index"]
    with pytest.raises(ValueError, match=r"run 0: choices\[\]\.index is missing"):
        read_recorded(both)
    both[3]["choices"][0]["index"] = 0
    with pytest.raises(ValueError, match=r"choices\[1\] has no finish_reason"):
        read_recorded([part for part in both if part["choices"][0]["finish_reason"] is None
                       or part["choices"][0]["index"] == 0])  # fmt: skip


def test_reasoning_in_a_stream() -> None:
    parts = samples.chat_parts(RUN)
    thought = samples.entries([("hm", {"hm": 0.9}), ("</think>", {"</think>": 0.9})])
    for entry in reversed(thought):
        part = json.loads(json.dumps(parts[0]))
        part["choices"][0] |= {"delta": {"reasoning_content": "hm"},
                               "logprobs": {"content": [entry]}}  # fmt: skip
        parts.insert(1, part)
    assert beliefs(parts).ravel() == KNOWN


def test_events_that_are_broken_or_empty() -> None:
    text = events(samples.chat_parts(RUN))
    with pytest.raises(ValueError, match=r"^run 0 \(line 5\): its JSON is broken"):
        read_recorded(text.replace('" say"', '" say', 1))
    with pytest.raises(ValueError, match="it is a stream: ask with stream=False"):
        read_recorded("data: [DONE]\n\n")
    # An event's data may stand on several lines.
    part = json.dumps(samples.chat(RUN), indent=1)
    text = "".join(f"data: {line}\n" for line in part.splitlines()) + "\n"
    assert read_recorded(text)[0].text == TEXT


def test_an_error_in_a_stream_is_told() -> None:
    failed = {"error": {"message": "overloaded"}}
    with pytest.raises(ValueError, match=r"1 of 1 responses failed.*overloaded"):
        read_recorded(events([failed]))
    with pytest.raises(ValueError, match=r"run 0 \(line 1\): .*finish_reason, so its end is miss"):
        read_recorded(events([*samples.chat_parts(RUN)[:3], failed]))
