"""Answers as servers write them: batch files, flat and stripped and thoughtful ones, odd tokens."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from simkit.scoring.pivot.censored import belief_recorded
from simkit.scoring.pivot.find import count_pivots, find_pivots
from simkit.scoring.pivot.recorded import Recorded, read_recorded

Pairs = list[tuple[str, float]]  # token, probability
ASKED: Pairs = [("Yes", 0.6), ("No", 0.3)]
SPACED: Pairs = [(" Yes", 0.6), (" No", 0.3)]


def item(token: str, top: Pairs, **more: Any) -> dict[str, Any]:
    """A token of a chat's log-probabilities; written with its probability in `top`, else 0.9."""
    listed = [{"token": t, "bytes": list(t.encode()), "logprob": math.log(p)} for t, p in top]
    own = {"token": token, "bytes": list(token.encode())}
    p = math.log(dict(top).get(token, 0.9))
    return {**own, "logprob": p, "top_logprobs": listed, **more}


def plain(token: str) -> dict[str, Any]:
    return item(token, [(token, 0.9)])


def chat(text: Any, content: Any, finish: str = "stop", **message: Any) -> dict[str, Any]:
    choice = {"message": {"content": text, **message}, "finish_reason": finish,
              "logprobs": None if content is None else {"content": content}}  # fmt: skip
    return {"model": "m", "choices": [choice]}


def line(number: int, body: Any, status: int = 200, error: Any = None) -> dict[str, Any]:
    """A line of a batch's output file."""
    response = {"status_code": status, "request_id": "r", "body": body}
    return {"id": f"b{number}", "custom_id": f"p{number}", "response": response, "error": error}


ANSWER = chat("Yes", [item("Yes", ASKED)])


def belief(payload: Any) -> list[float]:
    """Of Yes and No, by the usual way from a payload; 0.6 : 0.3 is 2/3 : 1/3."""
    runs = read_recorded(payload)
    pivots = find_pivots([r.text for r in runs], ["Yes", "No"])
    return belief_recorded(runs, pivots, ["Yes", "No"])["belief"].tolist()


TWO_THIRDS = pytest.approx([2 / 3, 1 / 3])


# ---- batch files -----------------------------------------------------------------------------


def test_lines_of_a_batch_file_hold_responses(tmp_path: Path) -> None:
    lines = [line(2, chat("No", [item("No", ASKED)])), line(1, ANSWER)]  # they come in any order
    text = "\n".join(json.dumps(x) for x in lines) + "\n\n"
    file = tmp_path / "out.jsonl"
    file.write_text("\ufeff" + text, encoding="utf-8")
    for given in (lines, text, text.encode(), file, text.splitlines(), json.dumps(lines)):
        runs = read_recorded(given)
        assert [(r.custom_id, r.text) for r in runs] == [("p2", "No"), ("p1", "Yes")]
    table = belief_recorded(runs, find_pivots([r.text for r in runs], ["Yes", "No"]), ["Yes", "No"])
    assert table["custom_id"].tolist() == ["p2", "p2", "p1", "p1"]
    assert table["choice"].tolist() == [0, 1, 1, 0]
    assert "custom_id" not in belief_recorded(
        read_recorded(ANSWER), find_pivots(["Yes"], ["Yes", "No"]), ["Yes", "No"]
    )
    # Some servers leave the status out, and the body's own wrapping.
    assert read_recorded({"custom_id": "p", "response": ANSWER})[0].custom_id == "p"


def test_lines_end_at_line_feeds_only() -> None:
    odd = "Yes\u2028\x85"  # line breaks to Python, but not to JSON
    answer = chat(odd, [item("Yes", ASKED), plain(odd[3:])])
    text = "\n".join(json.dumps(x, ensure_ascii=False) for x in (answer, ANSWER))
    assert [r.text for r in read_recorded(text)] == [odd, "Yes"]


def test_several_choices_are_several_runs() -> None:
    twice = {**ANSWER, "choices": ANSWER["choices"] * 3}
    assert [r.custom_id for r in read_recorded([line(1, twice), line(2, ANSWER)])] == [
        "p1", "p1", "p1", "p2",
    ]  # fmt: skip


def test_failed_lines_are_counted_and_named() -> None:
    limit = line(3, {"error": {"message": "rate limit"}}, status=429)
    expired = {"custom_id": "p4", "response": None, "error": {"code": "batch_expired"}}
    bad = [line(1, ANSWER), limit, expired, line(5, ANSWER), {"object": "error", "message": "gone"},
           {"status": "in_progress", "output": []}]  # fmt: skip
    with pytest.raises(ValueError, match="4 of 6 responses failed; ask them again") as caught:
        read_recorded(bad)
    said = str(caught.value)
    assert "response 1 (custom_id 'p3'): status 429: {'message': 'rate limit'}" in said
    assert (
        "response 2 (custom_id 'p4'): the response is an error: {'code': 'batch_expired'}" in said
    )
    assert "response 4: the response is an error" in said and "gone" in said
    with pytest.raises(ValueError, match=r"9 of 9 responses failed.* and 4 more"):
        read_recorded([limit] * 9)
    with pytest.raises(ValueError, match=r"response 1 \(line 2, custom_id 'p3'\)"):
        read_recorded("\n".join(map(json.dumps, (line(1, ANSWER), limit))))


def test_errors_name_the_line() -> None:
    cut = chat("Yes, please", [item("Yes", ASKED)])
    text = "\n\n".join(map(json.dumps, (line(1, ANSWER), line(2, cut))))
    with pytest.raises(ValueError, match=r"^run 1 \(line 3, custom_id 'p2'\): .*truncated"):
        read_recorded(text)
    whole = json.dumps(ANSWER)
    with pytest.raises(ValueError, match=r"^run 0 \(line 2\): its JSON is broken"):
        read_recorded(f"{whole}\n{whole[:-9]}")
    with pytest.raises(ValueError, match=r"broken.*nested too deeply"):
        read_recorded("[" * 100_000)
    with pytest.raises(ValueError, match=r"broken.*give its pathlib\.Path"):
        read_recorded("answers.jsonl")
    with pytest.raises(ValueError, match=r"no file '.*answers\.jsonl' with responses"):
        read_recorded(Path("answers.jsonl"))
    with pytest.raises(ValueError, match="it is a stream: ask with stream=False"):
        read_recorded('data: {"choices": []}\n\ndata: [DONE]')
    with pytest.raises(ValueError, match="a part of a stream; ask with stream=False"):
        read_recorded({"choices": [{"delta": {"content": "Yes"}}]})
    with pytest.raises(
        ValueError, match=r"candidates is missing or empty; ask for responseLogprobs"
    ):
        read_recorded({"candidates": []})
    with pytest.raises(ValueError, match=r"response\.body is 'Yes'; it must be a mapping"):
        read_recorded({"response": {"status_code": 200, "body": "Yes"}})
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for odd in (
        pd.NA,
        {"model": pd.NA, "choices": [{"text": ""}]},
        deep,
        {"choices": deep},
        {"choices": [deep]},
        {"error": deep},
    ):
        with pytest.raises(ValueError, match=r"^(run 0: |1 of 1 responses failed)"):
            read_recorded([odd])


# ---- text and tokens that differ -------------------------------------------------------------


def flat(top: Pairs, **more: Any) -> dict[str, Any]:
    record = {"tokens": [top[0][0]], "token_logprobs": [math.log(top[0][1])],
              "top_logprobs": [{t: math.log(p) for t, p in top}], **more}  # fmt: skip
    return {"choices": [{"message": {"content": "Yes"}, "logprobs": record}]}


def test_flat_log_probabilities_in_a_chat() -> None:
    assert belief(flat(ASKED)) == TWO_THIRDS
    assert belief(flat(SPACED, content=None)) == TWO_THIRDS
    with pytest.raises(ValueError, match=r"run 0: logprobs: .* differ in length"):
        belief(flat(ASKED, token_logprobs=[]))
    with pytest.raises(ValueError, match="top_logprobs is missing or empty; ask for logprobs=20"):
        belief(flat(ASKED, top_logprobs=None))


def test_a_text_that_the_server_stripped() -> None:
    (run,) = read_recorded(chat("Yes", [item(" Yes", SPACED), plain("\n")]))
    assert (run.text, run.tokens, run.spans) == (" Yes", (b" Yes", b"\n"), ((0, 4), (4, 4)))
    assert belief(chat("Yes", [item(" Yes", SPACED)])) == TWO_THIRDS
    (run,) = read_recorded(chat("Yes", [plain("\n\n"), item(" Yes", SPACED)]))
    assert run.text == "\n\n Yes"
    # A part of the blanks may be left; and what was not stripped stays as it is.
    assert read_recorded(chat(" Yes", [plain("\n"), item(" Yes", SPACED)]))[0].text == "\n Yes"
    assert read_recorded(chat(" Yes", [item(" Yes", SPACED)]))[0].text == " Yes"
    with pytest.raises(ValueError, match="does not go on with the text"):
        read_recorded(chat(" Yes", [item("Yes", ASKED)]))  # a blank that no token wrote


THOUGHTS = {
    "marks": ["<think>", "Yes", " or", " No", "</think>", "\n\n"],
    "marks in parts": ["<th", "ink>", "hm Yes", "</", "think>", "\n"],
    "channels": ["<|channel|>", "analysis", "<|message|>", "Yes?", "<|end|>", "<|channel|>",
                 "final", "<|message|>"],
    "bare": ["Yes", " or", " No", "\n\n"],
}  # fmt: skip


@pytest.mark.parametrize("kind", THOUGHTS)
@pytest.mark.parametrize("end", [[], ["<|im_end|>"], ["\n", "</s>"]])
def test_reasoning_before_the_answer_is_left_out(kind: str, end: list[str]) -> None:
    said = {"bare": "Yes or No"}.get(kind)
    tokens = [*map(plain, THOUGHTS[kind]), item("Yes", ASKED), *map(plain, end)]
    payload = chat("Yes", tokens, reasoning_content=said)
    (run,) = read_recorded(payload)
    # The answer's own token counts, not the same word among the thoughts.
    assert run.text == "Yes" and run.tokens[0] == b"Yes" and len(run.tokens) == 1 + len(end)
    assert belief(payload) == TWO_THIRDS


def test_reasoning_that_is_not_among_the_tokens_changes_nothing() -> None:
    for name in ("reasoning_content", "reasoning"):
        payload = chat("Yes", [item("Yes", ASKED), plain(".")], **{name: "Well. Yes"})
        assert read_recorded(payload)[0].tokens == (b"Yes", b".")  # cut by a stop string
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Yes"}]
    assert belief(chat(parts, [item("Yes", ASKED)])) == TWO_THIRDS
    # A text that holds its thoughts keeps them.
    words = ["<think>", "No", "</think>", " ", "Yes"]
    (run,) = read_recorded(chat("".join(words), [plain(w) for w in words]))
    assert run.text == "<think>No</think> Yes" and len(run.tokens) == 5


def test_reasoning_that_cannot_be_told_from_the_answer_is_refused() -> None:
    tokens = [plain("<think>"), plain("Yes"), plain("</think>"), plain("Maybe")]
    with pytest.raises(ValueError, match=r"holds the tokens of the reasoning too.*switched off"):
        read_recorded(chat("Yes", tokens))
    half = [plain("hm"), plain("</think>"), plain("xYes")]  # the answer begins within a token
    with pytest.raises(ValueError, match="tokens of the reasoning too"):
        read_recorded(chat("Yes", half))


def test_runs_without_an_answer_are_runs() -> None:
    call = [{"id": "c", "function": {"name": "buy"}}]
    thought = [plain("<think>"), plain("hm")]
    answers = [
        chat(None, None, "length", reasoning_content="hm"),
        chat(None, thought, "length", reasoning_content="hm"),
        chat(None, None, "tool_calls", tool_calls=call),
        chat(None, None, "content_filter"),
        chat(None, None, "stop", refusal="No."),
        chat("", [plain("<|im_end|>")]),
        {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"},
         "output": [{"type": "reasoning", "summary": []}]},
        {"status": "completed", "output": [{"type": "function_call", "name": "buy"}]},
        {"choices": [{"text": "", "finish_reason": "stop", "logprobs": None}]},
    ]  # fmt: skip
    runs = read_recorded(answers)
    assert [r.text for r in runs] == [""] * 9
    assert [r.finish for r in runs] == [
        "length", "length", "tool_calls", "content_filter", "refusal", "stop", "max_output_tokens",
        "tool_calls", "stop",
    ]  # fmt: skip
    found = find_pivots([r.text for r in runs], ["Yes", "No"])
    assert count_pivots(found)["runs"].tolist() == [0, 0, 0, 9]
    assert belief_recorded(runs, found, ["Yes", "No"])["belief"].isna().all()
    # But a text that is missing beside tokens that wrote one is an error.
    with pytest.raises(ValueError, match=r"run 0: message\.content is missing or empty"):
        read_recorded(chat(None, [item("Yes", ASKED)]))
    with pytest.raises(ValueError, match=r"run 0: message\.content is missing or empty"):
        read_recorded(chat(None, None, ""))


# ---- numbers ---------------------------------------------------------------------------------


def with_top(*others: Any) -> dict[str, Any]:
    """A chat that wrote "Yes" with probability 0.6 and lists `others`, as (token, logprob)."""
    listed = [{"token": t, "logprob": v} for t, v in others]
    return chat("Yes", [{"token": "Yes", "logprob": math.log(0.6), "top_logprobs": listed}])


YES, NO = ("Yes", math.log(0.6)), ("No", math.log(0.3))


def top_of(payload: Any) -> dict[bytes, float]:
    (run,) = read_recorded(payload)
    assert isinstance(run, Recorded)
    return {token: round(math.exp(value), 6) for token, value in run.top[0]}


@pytest.mark.parametrize("nothing", [None, -9999.0, -9999, -math.inf, "-Infinity"])
def test_what_is_not_said_is_not_listed(nothing: Any) -> None:
    assert top_of(with_top(YES, ("No", nothing))) == {b"Yes": 0.6}
    assert belief(json.dumps(with_top(YES, ("No", nothing)))) == [1.0, 0.0]
    # The token written keeps its own number, whatever the list says of it.
    assert top_of(with_top(("Yes", nothing), NO)) == {b"Yes": 0.6, b"No": 0.3}


def test_nothing_known_of_a_token_gives_bounds_only() -> None:
    record = {"tokens": ["Yes", "."], "token_logprobs": [None, -0.1],
              "top_logprobs": [None, {".": -0.1}]}  # fmt: skip
    (run,) = read_recorded({"choices": [{"text": "Yes.", "logprobs": record}]})
    table = belief_recorded(run, find_pivots(["Yes."], ["Yes", "No"]), ["Yes", "No"])
    assert table["belief"].isna().all()
    assert (table["low"].tolist(), table["high"].tolist()) == ([0, 0], [1, 1])


def test_numbers_as_text_are_numbers() -> None:
    texts = [(t, str(v)) for t, v in (YES, NO)]
    assert top_of(with_top(*texts)) == {b"Yes": 0.6, b"No": 0.3}


def test_a_token_listed_twice_counts_once() -> None:
    assert top_of(with_top(YES, NO, NO)) == {b"Yes": 0.6, b"No": 0.3}
    assert belief(with_top(YES, NO, YES)) == TWO_THIRDS
    # With two numbers they are two tokens that are spelt alike, and both count: 0.3 + 0.1.
    (run,) = read_recorded(with_top(YES, NO, ("No", math.log(0.1))))
    assert [t for t, _ in run.top[0]] == [b"Yes", b"No", b"No"]
    assert belief(with_top(YES, NO, ("No", math.log(0.1)))) == pytest.approx([0.6, 0.4])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, "logprob of b'No' is nan; it must be a number up to 0"),
        ("nan", "logprob of b'No' is 'nan'"),
        ("", "logprob of b'No' is ''"),
        (True, "logprob of b'No' is True"),
        ([], r"logprob of b'No' is \[\]"),
        (0.3, "probabilities sum to 1.95, more than 1; ask for log-probabilities"),
        (8.25, "not logits or probabilities"),
        (math.inf, "not logits or probabilities"),
        (10**400, "it is not laid out as chat: int too large"),
    ],
)
def test_numbers_that_are_no_log_probabilities(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"run 0: .*{message}"):
        read_recorded(with_top(YES, ("No", value)))


# ---- bytes -----------------------------------------------------------------------------------


def test_tokens_that_are_bytes_by_name() -> None:
    # "é" is C3 A9. SentencePiece names a byte <0xC3>, OpenAI's completions bytes:\xc3.
    for words in (["<0xC3>", "<0xA9>"], [r"bytes:\xc3", r"bytes:\xa9"], [r"bytes:\xc3\xa9"]):
        record = {"tokens": ["caf", *words, r"bytes: \xe2\x80", r"bytes:\xa6"]}
        n = len(record["tokens"])
        record |= {"token_logprobs": [-0.1] * n, "top_logprobs": [{"x": -3.0}] * n}
        (run,) = read_recorded({"choices": [{"text": "café …", "logprobs": record}]})
        assert b"".join(run.tokens).decode() == "café …"


def test_empty_bytes_throughout_say_nothing() -> None:
    top = [{"token": t, "bytes": [], "logprob": v} for t, v in (YES, NO)]
    content = [{**top[0], "top_logprobs": top}]
    assert belief(chat("Yes", content)) == TWO_THIRDS
    # Among tokens that have them they are a mark that writes nothing.
    end = {"token": "</s>", "bytes": [], "logprob": -0.1}
    (run,) = read_recorded(chat("Yes", [item("Yes", ASKED), end | {"top_logprobs": [end]}]))
    assert run.tokens == (b"Yes", b"")


def test_a_character_over_several_tokens_with_bytes_of_its_parts() -> None:
    raw = "👶".encode()
    parts = [{"token": "\ufffd", "bytes": list(raw[i : i + 2]), "logprob": -0.1,
              "top_logprobs": [{"token": "x", "logprob": -3.0}]} for i in (0, 2)]  # fmt: skip
    (run,) = read_recorded(chat("👶", parts))
    assert run.tokens == (raw[:2], raw[2:]) and run.spans == ((0, 2), (2, len(raw)))


@pytest.mark.parametrize(
    ("spelt", "message"),
    [([65.5], "bytes is"), ("WWVz", "bytes is 'WWVz'"), ([-1], "bytes is"), (7, "bytes is 7")],
)
def test_bytes_that_are_none(spelt: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"run 0: logprobs.content.0.: {message}"):
        read_recorded(chat("Yes", [item("Yes", ASKED) | {"bytes": spelt}]))


def test_tokens_by_number_are_refused() -> None:
    with pytest.raises(ValueError, match=r"token is 17; ask for tokens as text"):
        read_recorded(chat("Yes", [{"token": 17, "logprob": -0.1, "top_logprobs": []}]))
