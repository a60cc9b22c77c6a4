"""Recorded payloads of three kinds, the belief they prove, and bounds that hold the truth."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from simkit.scoring.pivot.censored import belief_recorded
from simkit.scoring.pivot.find import Pivot, count_pivots, find_pivots, pivot_frame
from simkit.scoring.pivot.recorded import Recorded, read_recorded

Top = dict[str, float]  # token -> probability
BRANDS = ["Pampers", "Huggies", "neither"]


def pair(token: str, p: float) -> dict[str, Any]:
    return {"token": token, "bytes": list(token.encode()), "logprob": math.log(p)}


def items(run: list[tuple[str, Top]]) -> list[dict[str, Any]]:
    return [
        {**pair(token, top[token]), "top_logprobs": [pair(t, p) for t, p in top.items()]}
        for token, top in run
    ]


def chat(run: list[tuple[str, Top]], **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "".join(t for t, _ in run), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": {"content": items(run), "refusal": None},
              "finish_reason": "stop"}  # fmt: skip
    return {"object": "chat.completion", "model": "m-1", "choices": [choice], **more}


def responses(run: list[tuple[str, Top]]) -> dict[str, Any]:
    content = {"type": "output_text", "text": "".join(t for t, _ in run), "logprobs": items(run)}
    output = [
        {"type": "reasoning", "content": None, "summary": []},
        {"type": "message", "role": "assistant", "content": [content]},
    ]
    return {"object": "response", "model": "m-1", "status": "stop", "error": None, "output": output}


def completions(run: list[tuple[str, Top]]) -> dict[str, Any]:
    words = [token for token, _ in run]
    record = {
        "tokens": words,
        "token_logprobs": [math.log(top[token]) for token, top in run],
        "top_logprobs": [{t: math.log(p) for t, p in top.items()} for _, top in run],
        "text_offset": np.cumsum([0, *map(len, words)])[:-1].tolist(),
    }
    choice = {"index": 0, "text": "".join(words), "logprobs": record, "finish_reason": "stop"}
    return {"object": "text_completion", "model": "m-1", "choices": [choice]}


BUILD = {"chat": chat, "responses": responses, "completions": completions}

# "I choose Pampers." Pampers and Huggies in two tokens, neither in one; 0.08 is not listed.
RUN: list[tuple[str, Top]] = [
    ("I", {"I": 0.9, "We": 0.1}),
    (" choose", {" choose": 0.7, " take": 0.2}),
    (" Pam", {" Pam": 0.5, " Hug": 0.25, " neither": 0.1, " P": 0.05, " the": 0.02}),
    ("pers", {"pers": 0.98, "pas": 0.01}),
    (".", {".": 0.9, "!": 0.05}),
]


def find(recorded: list[Recorded], names: Any = BRANDS, **rules: Any) -> pd.DataFrame:
    return find_pivots([r.text for r in recorded], names, **rules)


def at(pivot: Pivot) -> pd.DataFrame:
    return pivot_frame([pivot])


def one(run: list[tuple[str, Top]], names: Any = BRANDS, **how: Any) -> pd.DataFrame:
    recorded = read_recorded(chat(run))
    return belief_recorded(recorded, find(recorded, names), names, **how).set_index("option")


# ---- reading ---------------------------------------------------------------------------------


def test_three_kinds_of_payload_are_read_alike() -> None:
    read = {kind: read_recorded(BUILD[kind](RUN)) for kind in BUILD}
    assert read["chat"] == read["responses"] == read["completions"]
    (run,) = read["chat"]
    assert run.text == "I choose Pampers."
    assert run.tokens == (b"I", b" choose", b" Pam", b"pers", b".")
    assert run.spans == ((0, 1), (1, 8), (8, 12), (12, 16), (16, 17))
    assert dict(run.top[1]) == pytest.approx({b" choose": math.log(0.7), b" take": math.log(0.2)})
    assert (run.finish, run.model) == ("stop", "m-1")


def test_text_json_objects_and_several_choices() -> None:
    class Response:
        def model_dump(self) -> dict[str, Any]:
            return chat(RUN)

    twice = chat(RUN)
    twice["choices"] = twice["choices"] * 2
    runs = read_recorded([json.dumps(chat(RUN)), json.dumps(chat(RUN)).encode(), Response(), twice])
    assert len(runs) == 5
    assert len(set(map(id, runs))) == 5 and all(run == runs[0] for run in runs)
    assert read_recorded([]) == []


def test_a_token_written_but_not_listed_is_added() -> None:
    payload = chat([("a", {"a": 0.01, "b": 0.9})])
    payload["choices"][0]["logprobs"]["content"][0]["top_logprobs"].pop(0)
    (run,) = read_recorded(payload)
    assert dict(run.top[0]) == pytest.approx({b"b": math.log(0.9), b"a": math.log(0.01)})


def test_minus_9999_says_unlikely_not_how() -> None:
    payload = chat([("a", {"a": 0.5, "b": 0.4})])
    payload["choices"][0]["logprobs"]["content"][0]["top_logprobs"][1]["logprob"] = -9999.0
    assert read_recorded(payload)[0].top[0] == ((b"a", math.log(0.5)),)


@given(
    st.text(st.characters(), min_size=1, max_size=20),
    st.lists(st.integers(1, 60), max_size=12),
)
@settings(max_examples=50)
def test_tokens_may_be_parts_of_characters(text: str, cuts: list[int]) -> None:
    raw = text.encode()
    ends = sorted({0, len(raw), *(c for c in cuts if c < len(raw))})
    tokens = [raw[a:b] for a, b in pairwise(ends)]
    content = [
        {"token": t.decode(errors="replace"), "bytes": list(t), "logprob": -0.5,
         "top_logprobs": [{"token": "x", "bytes": [120], "logprob": -3.0}]}
        for t in tokens
    ]  # fmt: skip
    choice = {"message": {"content": text}, "logprobs": {"content": content}}
    (run,) = read_recorded(json.dumps({"choices": [choice]}))
    assert b"".join(run.tokens).decode() == run.text == text
    assert run.tokens == tuple(tokens)
    assert [raw[a:b] for a, b in run.spans] == tokens
    assert run.spans[0][0] == 0 and run.spans[-1][1] == len(raw)


def test_characters_lost_by_the_interface() -> None:
    # Without bytes a part of a character comes as U+FFFD: such tokens share what is not ASCII.
    lost = "\N{REPLACEMENT CHARACTER}"
    words = ["Oh", " " + lost, lost, " Pam", "pers"]
    record = {"tokens": words, "token_logprobs": [-0.1] * 5,
              "top_logprobs": [{"x": -3.0, w: -0.1} for w in words]}  # fmt: skip
    (run,) = read_recorded({"choices": [{"text": "Oh 👶 Pampers", "logprobs": record}]})
    assert run.spans == ((0, 2), (2, 7), (2, 7), (7, 11), (11, 15))
    with pytest.raises(ValueError, match=r"run 0: logprobs.tokens\[1\]: token .* does not go on"):
        read_recorded({"choices": [{"text": "Oh, Pampers", "logprobs": record}]})


def test_marks_and_stop_strings_after_the_text() -> None:
    payload = chat([*RUN[:-1], (".\n", {".\n": 0.9, "x": 0.1}), ("<|end|>", {"<|end|>": 0.9})])
    payload["choices"][0]["message"]["content"] = "I choose Pampers."
    (run,) = read_recorded(payload)
    assert run.spans[-2:] == ((16, 17), (17, 17))


def broken(kind: str, where: str) -> Any:
    """A payload with one thing wrong; of a chat unless the name says otherwise."""
    body = BUILD[kind](RUN)
    if kind == "responses":
        content = body["output"][1]["content"][0]
        if where == "no logprobs":
            content["logprobs"] = []
        elif where == "no text":
            content["text"] = ""
        else:
            del body["output"]
        return body
    choice = body["choices"][0]
    record = choice["logprobs"]
    first = record["content"][0] if kind == "chat" else {}
    if where == "no logprobs":
        choice["logprobs"] = None
    elif where == "no text":
        choice["message" if kind == "chat" else "text"] = None
    elif where == "cut":
        record["content"] = record["content"][:2]
    elif where == "no top":
        for item in record["content"]:
            item["top_logprobs"] = []
    elif where == "other text":
        choice["message"]["content"] = "Pampers."
    elif where == "ids":
        record["tokens"][0] = "token_id:17"
    elif where == "lengths":
        record["top_logprobs"].pop()
    elif where == "no token":
        del first["token"], first["bytes"]
    elif where == "bytes":
        first["bytes"] = [300]
    elif where == "number":
        first["top_logprobs"][0]["logprob"] = "likely"
    elif where == "logits":
        first["top_logprobs"][0]["logprob"] = 2.0
    elif where == "layout":
        record["content"][0] = "I"
    elif where == "choices":
        body["choices"] = []
    return body


@pytest.mark.parametrize(
    ("kind", "where", "message"),
    [
        ("chat", "no logprobs", "logprobs.content is missing or empty; ask for logprobs=True"),
        ("responses", "no logprobs", r"content\[\]\.logprobs is missing .*output_text\.logprobs"),
        ("completions", "no logprobs", "logprobs.tokens is missing or empty; ask for logprobs=20"),
        ("chat", "no text", "message.content is missing or empty"),
        ("responses", "no text", r"output\[\].content\[\].text is missing or empty"),
        ("responses", "no output", "neither output nor choices"),
        ("completions", "no text", "text is missing or empty"),
        ("chat", "cut", "logprobs.content ends at byte 8 of a text of 17: it was truncated"),
        ("chat", "no top", "top_logprobs is missing or empty; ask for .* top_logprobs=20"),
        ("chat", "other text", r"logprobs.content\[0\]: token b'I' does not go on with the text"),
        ("completions", "ids", r"logprobs\[0\]: 'token_id:17' is an id"),
        ("completions", "lengths", "top_logprobs differ in length"),
        ("chat", "no token", r"logprobs.content\[0\]: token is missing"),
        ("chat", "bytes", r"logprobs.content\[0\]: bytes is \[300\]"),
        ("chat", "number", r"logprobs.content\[0\]: logprob of b'I' is 'likely'"),
        ("chat", "logits", r"logprobs.content\[0\]: the listed probabilities sum to"),
        ("chat", "layout", "it is not laid out as chat"),
        ("chat", "choices", "neither output nor choices|choices is missing"),
    ],
)
def test_errors_name_the_run_and_the_field(kind: str, where: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"run 2: .*({message})"):
        read_recorded([BUILD[kind](RUN), BUILD[kind](RUN), broken(kind, where)])


def test_other_errors() -> None:
    whole = json.dumps(chat(RUN))
    with pytest.raises(ValueError, match="run 1: its JSON is broken"):
        read_recorded([whole, whole[:-20]])
    with pytest.raises(ValueError, match="run 0: int is no response"):
        read_recorded([3])
    for nothing in (3, None, pd.DataFrame({"a": [1]})):
        with pytest.raises(ValueError, match=r"run 0: .* is no response; it must be a mapping"):
            read_recorded(nothing)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(-3, 0.1) | st.sampled_from(["", "stop", "a"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["choices", "message", "content", "logprobs", "output", "text", "token", "bytes",
             "logprob", "top_logprobs", "tokens", "token_logprobs", "type", "refusal"]
        ), inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


# Whole payloads with one part replaced by anything: what goes wrong deep inside.
SPOILED = st.tuples(
    st.sampled_from([chat, responses, completions]), st.lists(st.integers(0, 9), max_size=9), JSON
)  # fmt: skip


def spoiled(build: Any, path: list[int], value: Any) -> Any:
    body = json.loads(json.dumps(build(RUN)))
    at, last = body, None
    for step in path:
        if not isinstance(at, dict | list) or not at:
            break
        keys = list(at) if isinstance(at, dict) else range(len(at))
        last, key = (at, keys[step % len(keys)]), keys[step % len(keys)]
        at = at[key]
    if last is not None:
        last[0][last[1]] = value
    return body


@given(
    JSON | st.fixed_dictionaries({"choices": st.lists(JSON, max_size=2)}) | SPOILED,
    st.booleans(),
)
@settings(max_examples=150)
@example({"choices": [None]}, False)
@example({"choices": {"a": 1}}, False)
@example({"choices": [{"text": "a", "logprobs": {"tokens": 3}}]}, False)
@example({"choices": [{"text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": [10**400]}}]},
         False)  # fmt: skip
@example({"output": [3]}, False)
@example({"response": {"status_code": 200, "body": [1]}}, True)
def test_whatever_comes_is_read_or_named(payload: Any, as_text: bool) -> None:
    if isinstance(payload, tuple):
        payload = spoiled(*payload)
    try:
        runs = read_recorded(json.dumps(payload) if as_text else [payload])
    except ValueError as error:
        assert re.match(r"(run \d+( \(.*\))?: |1 of 1 responses failed)", str(error))
    else:
        assert all(isinstance(run, Recorded) for run in runs)


@given(st.text(max_size=40) | st.binary(max_size=40))
@settings(max_examples=100)
@example("[" * 100_000)
@example('{"a":' * 100_000)
@example("9" * 10_000)
@example(b"\xff\xfe\x00")
@example('{"choices": []}\n{"choices": [')
def test_any_text_is_read_or_named(text: str | bytes) -> None:
    try:
        assert read_recorded(text) == []
    except ValueError as error:
        assert str(error).startswith("run 0")


# ---- belief ----------------------------------------------------------------------------------


def peers_formula(top: Top, universe: dict[str, str]) -> dict[str, float]:
    """Softmax over the listed tokens of the alternatives, summed by alternative."""
    logits = [(universe[t], math.log(p)) for t, p in top.items() if t in universe]
    peak = max(value for _, value in logits)
    total = sum(math.exp(value - peak) for _, value in logits)
    belief: dict[str, float] = {}
    for name, value in logits:
        belief[name] = belief.get(name, 0.0) + math.exp(value - peak) / total
    return belief


def test_equals_the_softmax_over_first_tokens() -> None:
    table = one(RUN)
    universe = {" Pam": "Pampers", " P": "Pampers", " Hug": "Huggies", " neither": "neither"}
    expected = peers_formula(RUN[2][1], universe)
    for name in BRANDS:
        assert table.loc[name, "belief"] == pytest.approx(expected[name], abs=1e-12, rel=0)
    # (0.5 + 0.05) / (0.5 + 0.05 + 0.25 + 0.1) = 0.55 / 0.9
    assert table.loc["Pampers", "belief"] == pytest.approx(0.55 / 0.9, abs=1e-12)
    assert table["valid_mass"].tolist() == pytest.approx([0.9] * 3)  # " the" is outside
    assert table["unlisted"].tolist() == pytest.approx([0.08] * 3)
    assert np.exp(table["logprob"]).tolist() == pytest.approx([0.55, 0.25, 0.1])
    assert table["choice"].tolist() == [1, 0, 0]


@given(st.lists(st.floats(0.001, 1), min_size=4, max_size=4))
@settings(max_examples=30)
def test_nothing_censored_is_the_peers_belief_and_leaves_no_doubt(weights: list[float]) -> None:
    p = (np.array(weights) / sum(weights)).tolist()
    top = dict(zip([" Pam", " Hug", " neither", " the"], p, strict=True))
    table = one([("I", {"I": 0.9, "We": 0.1}), (" Pam", top), ("pers", {"pers": 1.0})])
    universe = {" Pam": "Pampers", " Hug": "Huggies", " neither": "neither"}
    for name, value in peers_formula(top, universe).items():
        assert table.loc[name, "belief"] == pytest.approx(value, abs=1e-12)
        assert table.loc[name, "low"] == pytest.approx(value, abs=1e-12)
        assert table.loc[name, "high"] == pytest.approx(value, abs=1e-12)


def test_what_is_not_listed_widens_the_bounds() -> None:
    # Pampers 0.55, others 0.35, unlisted 0.08: least all 0.08 to others, most all to Pampers.
    table = one(RUN)
    assert table.loc["Pampers", "low"] == pytest.approx(0.55 / 0.98)
    assert table.loc["Pampers", "high"] == pytest.approx(0.63 / 0.98)
    assert table.loc["neither", "low"] == pytest.approx(0.10 / 0.98)
    assert table.loc["neither", "high"] == pytest.approx(0.18 / 0.98)


def test_an_alternative_that_is_not_listed_is_not_zero() -> None:
    table = one(RUN, [*BRANDS, "Luvs"])
    # The source's formula gives it 0; the record only says: at most 0.08 / (0.9 + 0.08).
    assert table.loc["Luvs", "belief"] == 0
    assert (table.loc["Luvs", "low"], table.loc["Luvs", "high"]) == (0, pytest.approx(0.08 / 0.98))


COLLISION = [" Pam", " H", " neither"]


def collision(written: str) -> pd.DataFrame:
    """ " H" begins Huggies and Hugs."""
    top = {" Pam": 0.5, " H": 0.4, " neither": 0.1}
    behind = {" Pam": ("pers", {"pers": 1.0}), " H": ("ug", {"ug": 0.9, "at": 0.1})}
    run = [("So", {"So": 1.0}), (written, top), behind[written]]
    if written == " H":
        run += [("gies", {"gies": 0.75, "s": 0.2, "ging": 0.05}), (".", {".": 1.0})]
    return one(run, ["Pampers", "Huggies", "Hugs", "neither"])


def test_a_collision_that_was_not_written_is_refused_and_bounded() -> None:
    table = collision(" Pam")
    assert table["belief"].isna().tolist() == [False, True, True, False]
    assert table.loc["Pampers", "belief"] == pytest.approx(0.5)  # 0.4 is Huggies' or Hugs'
    for name in ("Huggies", "Hugs"):
        assert (table.loc[name, "low"], table.loc[name, "high"]) == (0, pytest.approx(0.4))
        assert table.loc[name, "ambiguous"] == pytest.approx(0.4)
    assert table.loc["Pampers", "ambiguous"] == 0
    assert table["valid_mass"].iloc[0] == pytest.approx(1.0)


def test_a_collision_that_was_written_is_divided_by_the_tokens_behind() -> None:
    table = collision(" H")
    # P(Huggies) = .4 * .9 * .75 = .27; P(Hugs) = .4 * .9 * .2 = .072; "Hat", "Hugging" are outside
    mass = np.exp(table["logprob"])
    assert mass.tolist() == pytest.approx([0.5, 0.27, 0.072, 0.1])
    assert table["belief"].tolist() == pytest.approx((mass / mass.sum()).tolist())
    assert table["valid_mass"].iloc[0] == pytest.approx(0.942)
    assert table["ambiguous"].tolist() == [0] * 4
    np.testing.assert_allclose(table["low"], table["belief"])


def test_a_text_that_ends_in_the_collision_is_refused() -> None:
    top = {" Pam": 0.6, " H": 0.4}
    run = [("So", {"So": 1.0}), (" H", top)]
    recorded = read_recorded(chat(run))
    names = ["Pampers", "Huggies", "Hugs"]
    table = belief_recorded(recorded, at(Pivot("outside", 3)), names, read=["outside"])
    assert table["belief"].isna().tolist() == [False, True, True]
    assert table["choice"].tolist() == [0, 0, 0]


def test_an_alternative_that_begins_another() -> None:
    names = ["Pampers", "Pampers Pure", "Huggies"]
    top = {" Pampers": 0.6, " Huggies": 0.4}
    wrote = [("So", {"So": 1.0}), (" Pampers", top), (".", {".": 0.7, " Pure": 0.2, "x": 0.1})]
    table = one(wrote, names)
    # .6 * .7 and .6 * .2; "Pampersx" is another word
    assert np.exp(table["logprob"]).tolist() == pytest.approx([0.42, 0.12, 0.4])
    joined = one(wrote, names, whole_words=False)
    assert np.exp(joined["logprob"]).tolist() == pytest.approx([0.48, 0.12, 0.4])
    other = one([("So", {"So": 1.0}), (" Huggies", top), (".", {".": 1.0})], names)
    assert other["belief"].isna().tolist() == [True, True, False]
    assert other["high"].tolist() == pytest.approx([0.6, 0.6, 0.4])


def test_tokens_that_go_on_beyond_the_alternative() -> None:
    top = {" Luvs": 0.3, " Luvs.": 0.2, " Luvsome": 0.1, " no": 0.4}
    table = one([("I", {"I": 1.0}), (" Luvs", top)], ["Luvs", "no"])
    assert np.exp(table["logprob"]).tolist() == pytest.approx([0.5, 0.4])


def test_a_blank_of_its_own_begins_them_all() -> None:
    top = {" Pam": 0.6, " Hug": 0.2, " neither": 0.1, " ": 0.1}
    table = one([("I", {"I": 1.0}), (" Pam", top), ("pers", {"pers": 1.0})])
    assert table["belief"].isna().all()
    assert table["ambiguous"].tolist() == pytest.approx([0.1] * 3)
    assert (table["low"].tolist(), table["high"].tolist()) == (
        pytest.approx([0.6, 0.2, 0.1]), pytest.approx([0.7, 0.3, 0.2]),
    )  # fmt: skip


def test_a_token_with_a_quote_before_the_choice() -> None:
    top = {' "Pam': 0.5, ' "Hug': 0.3, " Pam": 0.2}
    table = one([("I", {"I": 1.0}), (' "Pam', top), ('pers"', {'pers"': 1.0})])
    assert np.exp(table["logprob"]).tolist() == pytest.approx([0.5, 0.3, 0.0])


def test_whole_strings_only() -> None:
    table = one(RUN, settle="string")
    # Written: " Pam" .5 then "pers" .98 (0.01 unlisted) makes .49. " P" and " Hug" may go on to
    # something else, so belief is refused; " neither" is whole.
    assert table["belief"].isna().all()
    assert np.exp(table["logprob"]).tolist() == pytest.approx([0.49, 0.0, 0.1])
    assert table["ambiguous"].tolist() == pytest.approx([0.05, 0.25, 0.0])
    free = 0.08 + 0.5 * 0.01
    assert table.loc["neither", "high"] == pytest.approx(0.18 / (0.49 + 0.18))
    assert table.loc["neither", "low"] == pytest.approx(0.1 / (0.1 + 0.49 + 0.3 + free))
    assert table["unlisted"].iloc[0] == pytest.approx(free)


def test_one_alternative_or_none() -> None:
    run = [("Pam", {"Pam": 0.4, "x": 0.6}), ("per", {"per": 1.0})]
    (recorded,) = read_recorded(chat(run))
    how = {"read": ["outside"], "settle": "string"}
    table = belief_recorded(recorded, at(Pivot("outside", 0)), BRANDS, **how)
    # "Pamper" may yet become "Pampers": if it becomes an alternative at all, it is that one.
    assert table["belief"].isna().all()
    assert table[["low", "high"]].to_numpy().tolist() == [[1, 1], [0, 0], [0, 0]]


def test_tokens_that_write_nothing() -> None:
    # "" is the mark of the end, or a part of a character: of these alternatives only "Évian"
    # may begin with such a part.
    top = {"Pam": 0.6, "": 0.4}
    run = [("Pam", top), ("pers", {"pers": 1.0})]
    (recorded,) = read_recorded(completions(run))
    pivot = at(Pivot("found", 0, 7, "Pampers", "Pampers"))
    plain = belief_recorded(recorded, pivot, ["Pampers", "Huggies"])
    assert plain["valid_mass"].iloc[0] == pytest.approx(0.6)
    assert plain["belief"].tolist() == [1, 0]
    accent = belief_recorded(recorded, pivot, ["Pampers", "Évian"])
    assert accent["belief"].isna().all()
    assert accent["high"].tolist() == pytest.approx([1.0, 0.4])
    # Behind an alternative the mark of the end leaves it as it is.
    end = [("Pampers", {"Pampers": 0.6, "Huggies": 0.4}), ("", {"": 0.9, " Pure": 0.1})]
    (recorded,) = read_recorded(completions(end))
    nested = belief_recorded(recorded, pivot, ["Pampers", "Pampers Pure", "Huggies"])
    assert nested["belief"].tolist() == pytest.approx([0.54, 0.06, 0.4])


def test_alternatives_in_parts_of_characters() -> None:
    good, bad = "好奇".encode(), "好".encode()
    listed = [(good[:3], 0.5), (good[:2], 0.2), (b"x", 0.3)]
    top = [{"token": "?", "bytes": list(t), "logprob": math.log(p)} for t, p in listed]
    end = {"token": "?", "bytes": list(good[3:]), "logprob": 0.0, "top_logprobs": []}
    content = [{**top[0], "top_logprobs": top}, end]
    choice = {"message": {"content": "好奇"}, "logprobs": {"content": content}}
    (run,) = read_recorded({"choices": [choice]})
    table = belief_recorded(run, at(Pivot("found", 0)), ["好奇", "帮宝适"])
    assert np.exp(table["logprob"]).tolist() == pytest.approx([0.7, 0])
    assert bad == good[:3]


def test_many_runs_with_all_statuses() -> None:
    other = [("We", {"I": 0.9, "We": 0.1}), (" stay", {" stay": 1.0})]
    refusal = {"choices": [{"message": {"content": None, "refusal": "No."}, "logprobs": None}]}
    filtered = {"choices": [{"message": {"content": None}, "finish_reason": "content_filter"}]}
    both = [*RUN, (" Or", {" Or": 1.0}), (" Huggies", {" Huggies": 1.0})]
    payloads = [chat(RUN), chat(other), refusal, chat(both), filtered, responses(RUN)]
    recorded = read_recorded(payloads)
    table = belief_recorded(recorded, find(recorded), BRANDS)
    assert table["run"].tolist() == np.repeat(range(6), 3).tolist()
    assert table["status"].tolist()[::3] == ["found", "none", "none", "several", "none", "found"]
    assert table["finish"].tolist()[::3] == [
        "stop", "stop", "refusal", "stop", "content_filter", "stop",
    ]  # fmt: skip
    assert count_pivots(table)["runs"].tolist() == [2, 1, 0, 3]
    numbers = table[["belief", "low", "high", "valid_mass", "unlisted", "choice"]]
    assert numbers[table["status"] != "found"].isna().all().all()
    several = belief_recorded(recorded, find(recorded), BRANDS, read=["found", "several"])
    assert several.loc[several["run"] == 3, "belief"].notna().all()


def test_bad_calls_are_named() -> None:
    recorded = read_recorded(chat(RUN))
    with pytest.raises(ValueError, match="no settle 'word'; there are: token, string"):
        belief_recorded(recorded, find(recorded), BRANDS, settle="word")
    with pytest.raises(ValueError, match="2 pivots for 1 texts"):
        belief_recorded(recorded, pivot_frame([Pivot("none")] * 2), BRANDS)
    with pytest.raises(ValueError, match="run 0: no token holds character 17"):
        belief_recorded(recorded, at(Pivot("found", 17)), BRANDS)


# ---- bounds hold the truth -------------------------------------------------------------------

VOCABULARY = ["a", "b", "ab", "ba", "aa", ".", "x"]
STRINGS = {"A": ["aba", "bb."], "B": ["abb"], "C": ["a.", "b"]}


def exact_masses(table: dict[str, Top], depth: int) -> np.ndarray:
    """P(option) by enumeration of all token paths; each text counts for the longest form it has."""
    found = dict.fromkeys(STRINGS, 0.0)
    paths = [("", 1.0)]
    for _ in range(depth):
        paths = [(s + t, p * q) for s, p in paths for t, q in table[s[-1:]].items()]
    for text, p in paths:
        done = [(len(f), k) for k, some in STRINGS.items() for f in some if text.startswith(f)]
        if done:
            found[max(done)[1]] += p
    return np.array(list(found.values()))


@given(st.integers(0, 10_000), st.integers(2, 6))
@settings(max_examples=60)
def test_bounds_hold_the_exact_belief_of_whole_strings(seed: int, k: int) -> None:
    # A model over seven tokens that overlap, each drawn given the last character; the record lists
    # the k likeliest of each place. Every text of three tokens or more has three characters.
    rng = np.random.default_rng(seed)
    table = {
        last: dict(zip(VOCABULARY, rng.dirichlet(np.full(7, 0.4)).tolist(), strict=True))
        for last in ["", *"ab.x"]
    }
    exact = exact_masses(table, 3)
    assume(exact.sum() > 1e-9)
    text, run = "", []
    for _ in range(4):
        top = table[text[-1:]]
        token = rng.choice(VOCABULARY, p=list(top.values()))
        listed = sorted(top, key=top.__getitem__, reverse=True)[:k]
        run.append((str(token), {t: max(top[t], 1e-300) for t in dict.fromkeys([*listed, token])}))
        text += token
    (recorded,) = read_recorded(chat(run))
    # The pivot is the start of the text, whatever was written there.
    result = belief_recorded(
        recorded,
        at(Pivot("outside", 0)),
        STRINGS,
        settle="string",
        read=["outside"],
        whole_words=False,
    )
    truth = exact / exact.sum()
    assert (result["low"] <= truth + 1e-9).all()
    assert (truth <= result["high"] + 1e-9).all()
    known = result["belief"].notna()
    assert (result.loc[known, "low"] <= result.loc[known, "belief"] + 1e-12).all()
    assert (result.loc[known, "belief"] <= result.loc[known, "high"] + 1e-12).all()
    listed_mass = result["valid_mass"].iloc[0]
    assert listed_mass <= exact.sum() + 1e-9
    open_mass = result["unlisted"].iloc[0] + result["ambiguous"].sum()
    assert exact.sum() <= listed_mass + open_mass + 1e-9


@given(st.integers(0, 10_000), st.integers(1, 7))
@settings(max_examples=30)
def test_bounds_hold_the_belief_that_the_whole_list_would_give(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    tokens = [" Pam", " P", " Hug", " H", " neither", " none", " the"]
    p = rng.dirichlet(np.full(7, 0.3)).clip(1e-12)
    top = dict(zip(tokens, (p / p.sum()).tolist(), strict=True))
    listed = dict(sorted(top.items(), key=lambda x: -x[1])[:k])
    run = [("I", {"I": 1.0}), (" Pam", top), ("pers", {"pers": 1.0})]
    whole = one(run)
    run[1] = (" Pam", listed | {" Pam": top[" Pam"]})
    part = one(run)
    assert (part["low"] <= whole["belief"] + 1e-9).all()
    assert (whole["belief"] <= part["high"] + 1e-9).all()
    assert (part["unlisted"] >= -1e-12).all()
