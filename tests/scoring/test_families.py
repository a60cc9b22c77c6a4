"""Each interface's layout is read to the same belief; what cannot be used says what to ask for."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import sys
from typing import Any

import pytest

from docs import tables
from simkit.scoring.pivot.censored import belief_recorded
from simkit.scoring.pivot.find import find_pivots
from simkit.scoring.pivot.payloads import families
from simkit.scoring.pivot.payloads.spelling import SPELLINGS
from simkit.scoring.pivot.recorded import read_recorded
from tests.scoring import payload_samples as samples
from tests.scoring.payload_samples import RUN, SAMPLES, TEXT


def beliefs(payload: Any) -> Any:
    runs = read_recorded(payload)
    table = belief_recorded(runs, find_pivots([r.text for r in runs], ["Yes", "No"]), ["Yes", "No"])
    return table[["belief", "low", "high"]].to_numpy()


# 0.6 / 0.9 and 0.3 / 0.9; the 0.1 that is not listed may be Yes, No or neither.
KNOWN = pytest.approx([2 / 3, 0.6, 0.7, 1 / 3, 0.3, 0.4])


@pytest.mark.parametrize("name", SAMPLES)
def test_every_interface_gives_the_same_run(name: str) -> None:
    payload = SAMPLES[name](RUN)
    for given in (payload, json.dumps(payload), [payload]):
        (run,) = read_recorded(given)
        assert run.text == TEXT and run.model == "toy"
        assert run.tokens == tuple(token.encode() for token, _ in RUN)
        assert run.finish == {"vllm_prompt": "prompt", "responses": "completed"}.get(name, "stop")
        for listed, (_, top) in zip(run.top, RUN, strict=True):
            want = {t.encode(): math.log(p) for t, p in top.items()}
            assert dict(listed) == pytest.approx(want)
    assert beliefs(payload).ravel() == KNOWN


@pytest.mark.parametrize("name", SAMPLES)
def test_several_runs_and_lines_of_a_batch_file(name: str) -> None:
    other = [(" No" if t == " Yes" else t, top) for t, top in RUN]
    if name == "llamacpp_old":
        other[2] = (" No", RUN[2][1])
    line = {"custom_id": "p7", "response": {"status_code": 200, "body": SAMPLES[name](other)}}
    text = "\n".join(map(json.dumps, (SAMPLES[name](RUN), line)))
    runs = read_recorded(text)
    assert [r.text for r in runs] == [TEXT, "I say No."]
    assert [r.custom_id for r in runs] == ["", "p7"]


def changed(name: str, *path: Any, value: Any = ...) -> Any:
    """A sample with the field at the path set to the value, or taken out."""
    payload = copy.deepcopy(SAMPLES[name](RUN))
    at = payload
    for step in path[:-1]:
        at = at[step]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return payload


CANDIDATE = ("candidates", 0)
PROBS = "completion_probabilities"


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (changed("ollama_chat", "logprobs"),
         "logprobs is missing or empty; ask for logprobs=true and top_logprobs=20"),
        (changed("ollama_chat", "logprobs", 2, "top_logprobs"),
         r"logprobs\[2\]: top_logprobs is missing, which others have; ask for logprobs=true"),
        (changed("ollama_generate", "logprobs", 2, "logprob"),
         r"Ollama's answer: logprobs\[2\]\.logprob: it is missing"),
        (changed("ollama_generate", "done", value="yes please"), "done: input should be a valid"),
        (changed("llamacpp", PROBS), "completion_probabilities is missing .* n_probs=20"),
        (changed("llamacpp", PROBS, 2, "top_logprobs", value=None), "top_logprobs is missing"),
        (changed("gemini", *CANDIDATE, "logprobsResult"),
         "chosenCandidates is missing .*responseLogprobs=true and logprobs=20"),
        (changed("gemini", *CANDIDATE, "logprobsResult", "topCandidates"),
         "topCandidates is missing .*responseLogprobs=true"),
        (changed("gemini", *CANDIDATE, "logprobsResult", "topCandidates", 3),
         "4 chosenCandidates and 3 topCandidates differ in length"),
        (changed("gemini", *CANDIDATE, "finishReason"), "ask generateContent, not stream"),
        (changed("sglang", "meta_info", "output_token_logprobs"), "ask for return_logprob=true"),
        (changed("sglang", "meta_info", "output_top_logprobs"), "top_logprobs_num=20"),
        (changed("sglang", "meta_info", "output_token_logprobs", 1, 2, value=None),
         r"output_token_logprobs\[1\]: the text of token 3 is None; .*return_text_in_logprobs"),
        (changed("sglang", "meta_info", "finish_reason", value=None), "stream=false"),
        (changed("tgi", "details", value=None), "ask for details=true and top_n_tokens=5"),
        (changed("tgi", "details", "top_tokens"), "top_n_tokens=5"),
        (changed("tgi", "details", "top_tokens", 2, 1, "logprob", value=None),
         "' No' is null, so top_k, top_p or a grammar cut it off"),
        (changed("tgi", "details", "top_tokens", 2, 0, "text", value="Yes"),
         "token 5 is 'Yes' here and ' Yes' among the tokens, so the server left blanks out"),
        (changed("vllm_prompt", "choices", 0, "prompt_logprobs", 3, "5", "rank", value=9),
         r"prompt_logprobs\[3\]: which token .*|prompt_logprobs\[3\]: 2 tokens are listed"),
        ({"decision": "d", "answers": [{"type": "predicate", "probability": 0.6}]},
         "it is of a decision interface, which has beliefs and no text"),
        ({"type": "message", "content": [], "stop_reason": "end_turn"},
         "Anthropic's interface, which gives no log-probabilities"),
        ({"hello": 1}, "interfaces that are read: .*SGLang.*Gemini"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_says_what_to_ask_for(payload: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^run 0: .*({message})"):
        read_recorded(payload)


# ---- one by one ------------------------------------------------------------------------------


def test_probabilities_after_sampling_are_refused() -> None:
    place = {"id": 5, "token": "Yes", "bytes": [], "prob": 1.0,
             "top_probs": [{"id": 5, "token": "Yes", "prob": 1.0}]}  # fmt: skip
    answer = {"content": "Yes", "stop": True, PROBS: [place]}
    with pytest.raises(ValueError, match=r"\[0\]: .*after sampling .*post_sampling_probs=false"):
        read_recorded(answer)


NEUTRAL = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repeat_penalty": 1.0}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (NEUTRAL, ""),
        ({"temperature": -1.0, "top_p": 0.9}, ""),  # then the samplers are left out
        (None, "generation_settings is missing"),
        ({}, "temperature is None"),
        ({**NEUTRAL, "temperature": 0.8}, "temperature is 0.8"),
        ({**NEUTRAL, "top_k": 40}, "top_k is 40"),
        ({**NEUTRAL, "top_p": 0.95}, "top_p is 0.95"),
        ({**NEUTRAL, "repeat_penalty": 1.1}, "repeat_penalty is 1.1"),
        ({**NEUTRAL, "temperature": math.nan}, "temperature is nan"),
        ({**NEUTRAL, "grammar": "root ::= x"}, "grammar is set"),
    ],
)
def test_the_old_llamacpp_is_read_where_its_samplers_changed_nothing(
    settings: Any, message: str
) -> None:
    payload = changed("llamacpp_old", "generation_settings", value=settings)
    if not message:
        assert beliefs(payload).ravel() == KNOWN
        return
    with pytest.raises(ValueError, match=f"{message}.*ask with temperature=-1, or a newer version"):
        read_recorded(payload)


@pytest.mark.parametrize("value", [1.5, -0.1, "0.6", None, True, math.nan])
def test_old_probabilities_are_probabilities(value: Any) -> None:
    payload = changed("llamacpp_old", PROBS, 2, "probs", 0, "prob", value=value)
    with pytest.raises(ValueError, match=r"\[2\]: prob of ' Yes' is .*from 0 to 1"):
        read_recorded(payload)
    # Nothing is left for a token of probability 0: it is not listed.
    payload = changed("llamacpp_old", PROBS, 2, "probs", 1, "prob", value=0)
    assert beliefs(payload)[:, 0].tolist() == [1.0, 0.0]


def test_least_numbers_are_not_listed() -> None:
    # llama.cpp writes the least float32 for the logarithm of 0.
    lowest = -3.4028234663852886e38
    payload = changed("llamacpp", PROBS, 2, "top_logprobs", 1, "logprob", value=lowest)
    assert [t for t, _ in read_recorded(payload)[0].top[2]] == [b" Yes"]


def test_ollama_thinking_among_the_tokens() -> None:
    thought = [("<think>", {"<think>": 0.9}), ("hm", {"hm": 0.9}), ("</think>", {"</think>": 0.9})]
    payload = samples.ollama_chat([*thought, *RUN])
    payload["message"] = {"content": TEXT, "thinking": "hm"}
    assert beliefs(payload).ravel() == KNOWN
    called = {"model": "m", "message": {"content": "", "tool_calls": [{"function": {}}]},
              "done": True}  # fmt: skip
    assert read_recorded(called)[0].finish == "tool_calls"


def test_gemini_ends() -> None:
    blocked = {"candidates": [], "promptFeedback": {"blockReason": "SAFETY"}}
    cut = {"candidates": [{"finishReason": "MAX_TOKENS"}]}
    called = {
        "candidates": [
            {"finishReason": "STOP", "content": {"parts": [{"functionCall": {"name": "buy"}}]}}
        ]
    }
    runs = read_recorded([blocked, cut, called])
    assert [(r.text, r.finish) for r in runs] == [
        ("", "content_filter"), ("", "length"), ("", "tool_calls"),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="candidates is missing or empty; ask for responseLog"):
        read_recorded({"candidates": []})
    payload = samples.gemini(RUN)
    payload["candidates"][0]["content"]["parts"] = [
        {"text": "Well.", "thought": True}, {"text": "I say"}, {"text": " Yes."},
    ]  # fmt: skip
    assert beliefs(payload).ravel() == KNOWN


def test_a_vllm_prompt_is_the_run() -> None:
    question = [("Q", {"Q": 0.5}), (" buy", {" buy": 0.5}), ("?", {"?": 0.5})]
    single = [(t, {t: p[t]}) for t, p in RUN]
    (run,) = read_recorded(samples.vllm_prompt([*question, *single]))
    assert run.text == "Q buy?I say Yes."  # what was generated has no numbers and is left out
    # In a chat it stands beside the choices; ids of the prompt make the order needless.
    payload = samples.vllm_prompt(RUN)
    places = payload["choices"][0].pop("prompt_logprobs")
    turned = [None, *(dict(reversed(list(place.items()))) for place in places[1:])]
    body = {"model": "toy", "choices": [{"message": {"content": "Thanks"}, "logprobs": None}]}
    assert beliefs({**body, "prompt_logprobs": places}).ravel() == KNOWN
    three = samples.vllm_prompt([(t, {**top, "x": 0.01}) for t, top in RUN])["choices"][0]
    mixed = [place and dict(reversed(place.items())) for place in three["prompt_logprobs"]]
    with pytest.raises(ValueError, match=r"\[1\]: which token .* the ranks are \[3, 2, 1\]"):
        read_recorded({**body, "prompt_logprobs": mixed})
    known = [0, *(samples.IDS[t] for t, _ in RUN)]
    payload = {**body, "prompt_logprobs": turned, "prompt_token_ids": known}
    assert beliefs(payload).ravel() == KNOWN
    with pytest.raises(ValueError, match="the prompt's token 99 is not listed"):
        read_recorded({**payload, "prompt_token_ids": [0, 99, *known[2:]]})
    with pytest.raises(ValueError, match="differ in length"):
        read_recorded({**payload, "prompt_token_ids": [0]})


def test_a_vllm_prompt_beyond_the_listed_tokens() -> None:
    # The prompt's own token may be none of the likeliest: then it is one more, and comes first.
    rare = [(t, top) for t, top in RUN]
    payload = samples.vllm_prompt(rare)
    places = payload["choices"][0]["prompt_logprobs"]
    places[1] = {"9": {"logprob": math.log(0.01), "rank": 40, "decoded_token": "So"}, **places[1]}
    (run,) = read_recorded(payload)
    assert run.text == "So say Yes." and dict(run.top[0])[b"So"] == pytest.approx(math.log(0.01))


def test_a_vllm_prompt_without_blanks_is_refused() -> None:
    bare = [(t.strip(), {o.strip(): p for o, p in top.items()}) for t, top in RUN]
    with pytest.raises(ValueError, match=r"left them out; ask for logprobs=20 with echo=true"):
        read_recorded(samples.vllm_prompt(bare))


def test_a_vllm_answer_with_its_own_log_probabilities_is_read_as_such() -> None:
    payload = samples.completions(RUN)
    payload["choices"][0]["prompt_logprobs"] = [None, {}]
    assert beliefs(payload).ravel() == KNOWN


# ---- spelt as a vocabulary holds them --------------------------------------------------------


def respelt(run: samples.Run, spell: Any) -> samples.Run:
    return [(spell(t), {spell(o): p for o, p in top.items()}) for t, top in run]


GPT2 = {" ": "\u0120", "\n": "\u010a", "é": "\u00c3\u00a9"}  # é is C3 A9, which print as Ã and ©


def gpt2(token: str) -> str:
    return "".join(GPT2.get(c, c) for c in token)


def sentencepiece(token: str) -> str:
    return token.replace(" ", "\u2581")


@pytest.mark.parametrize("spell", [gpt2, sentencepiece])
@pytest.mark.parametrize("with_bytes", [True, False])
def test_tokens_as_a_vocabulary_holds_them(spell: Any, with_bytes: bool) -> None:
    content = samples.entries(respelt(RUN, spell))
    payload = samples.chat(RUN)
    if not with_bytes:
        content = json.loads(json.dumps(content), object_hook=lambda o: {
            k: v for k, v in o.items() if k != "bytes"})  # fmt: skip
    payload["choices"][0]["logprobs"]["content"] = content
    assert beliefs(payload).ravel() == KNOWN
    (run,) = read_recorded(payload)
    assert run.tokens == tuple(t.encode() for t, _ in RUN)
    # Where no blank was written, those that are listed say it: " No" may be No.
    short = [("Yes", {"Yes": 0.6, " No": 0.3})]
    payload = samples.completions(short)
    payload["choices"][0]["logprobs"] = samples.flat(respelt(short, spell))
    assert dict(read_recorded(payload)[0].top[0]).keys() == {b"Yes", b" No"}


def test_the_byte_alphabet_is_exact() -> None:
    run = [("caf", {"caf": 0.9}), ("é", {"é": 0.9}), (" au", {" au": 0.9}), ("\n", {"\n": 0.9})]
    payload = samples.completions(run)
    payload["choices"][0]["logprobs"] = samples.flat(respelt(run, gpt2))
    assert b"".join(read_recorded(payload)[0].tokens).decode() == "café au\n"
    # A mark with other characters is no word of the alphabet, and stays as it is.
    mark = "<\uff5cend\u2581of\u2581sentence\uff5c>".encode()
    assert SPELLINGS[0](mark) == mark
    # All 256 bytes have a character each; the 68 that cannot be printed follow U+0100 in order.
    letters = {SPELLINGS[0](chr(c).encode()) for c in [*range(0x21, 0x7F), *range(0xA1, 0x144)]}
    assert {bytes([b]) for b in range(256)} <= letters
    assert SPELLINGS[0]("\u0143".encode()) == b"\xad"


def test_the_byte_alphabet_is_the_tokenizers_own() -> None:
    from tokenizers.pre_tokenizers import ByteLevel

    split = ByteLevel(add_prefix_space=False, use_regex=False)
    for text in (" Yes", "é\n", "👶 ß", "\t\x00ÿ", "日本"):
        ((spelt, _),) = split.pre_tokenize_str(text)
        assert SPELLINGS[0](spelt.encode()) == text.encode()


def test_a_spelling_that_is_not_certain_is_left_or_refused() -> None:
    # A text with the letter Ġ is a text with the letter Ġ.
    run = [("\u0120unju", {"\u0120unju": 0.6, " No": 0.3})]
    assert read_recorded(samples.completions(run))[0].tokens == ("\u0120unju".encode(),)
    # Tokens with blanks are no vocabulary's: these do not spell the text, and nothing is guessed.
    mixed = [(sentencepiece(t) if t == " Yes" else t, top) for t, top in RUN]
    payload = samples.completions([(t, {**top, t: 0.1}) for t, top in mixed])
    payload["choices"][0]["text"] = TEXT
    with pytest.raises(ValueError, match="ask the server for tokens as written, not as its"):
        read_recorded(payload)


def test_a_byte_as_the_first_llamacpp_named_it() -> None:
    run = [("caf", {"caf": 0.9}), (r"byte: \xc3", {r"byte: \xc3": 0.9}),
           (r"byte: \xa9", {r"byte: \xa9": 0.9})]  # fmt: skip
    payload = samples.llamacpp_old(run) | {"content": "café"}
    assert b"".join(read_recorded(payload)[0].tokens).decode() == "café"


def test_the_page_has_the_table_of_the_code() -> None:
    text = (tables.HERE / "docs/how-to/recorded.md").read_text(encoding="utf-8")
    assert tables.regenerated(text, {}, {}) == text
    for family in families():
        assert family.calls in text and f"`{family.ask}`" in text


def test_pydantic_is_imported_when_an_answer_is_read() -> None:
    code = (
        "import sys, simkit as sk; sk.read_recorded; before = 'pydantic' in sys.modules\n"
        "assert sk.read_recorded([]) == []; print(before, 'pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_the_table_of_families_is_whole() -> None:
    named = [family.name for family in families()]
    assert len(set(named)) == len(named) == 9
    for family in families():
        assert family.calls and family.fields and "ask" not in family.ask
