"""Chat completions: bounds that hold the truth, sampled answers, and every fault in between."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

import simkit as sk
from simkit.audit import asked as asked_so
from simkit.scoring.inquiries import Beliefs, Inquiry
from simkit.scoring.remote import InterfaceModel, ServerError, load_remote
from simkit.scoring.remote.chat import ChatCompletions
from simkit.scoring.remote.repeats import over_repeats
from tests.scoring.remote.conftest import laid, tokenize, truth

ASK = sk.Question("buy it at ${price}?", ["yes", "no"], forms={"yes": ["Yes"], "no": ["No"]})
DESIGN = pd.DataFrame({"price": [1, 2, 3]})
NOT_TAKEN = "Unsupported parameter: '{}' is not supported with this model."


@pytest.fixture
def chat(served):
    state, address = served
    state.speaks = "chat"
    return state, address


def exact(prompt: str, system: str = "") -> tuple[np.ndarray, float]:
    """Belief and valid mass by the definition, of yes and no in both spellings."""
    turns = [{"role": "system", "content": system}] if system else []
    text = laid([*turns, {"role": "user", "content": prompt}])
    mass = [sum(math.exp(truth(text, form)) for form in forms)
            for forms in ((" yes", " Yes"), (" no", " No"))]  # fmt: skip
    return np.array(mass) / sum(mass), sum(mass)


def prompt(price: int) -> str:
    return f"Question: buy it at ${price}?\nAnswer:"


def test_bounds_hold_the_truth(chat):
    _, address = chat
    lm = load_remote(address)
    assert isinstance(lm, InterfaceModel)
    assert lm.abilities["scores"] == "bounds from the 20 likeliest tokens"
    assert lm.abilities["repeats"] == "differ by 0"
    table = sk.believe(lm, ASK, DESIGN, least_mass=0)
    assert set(table["basis"]) == {"top 20"}
    for i, rows in table.groupby("prompt_id"):
        belief, mass = exact(prompt(i + 1))
        assert (rows["low"] <= belief).all() and (belief <= rows["high"]).all()
        assert rows["high"].max() - rows["low"].max() < 0.5  # they say something
        assert rows["valid_mass"].iloc[0] <= mass + 1e-9


def test_a_list_that_holds_every_option_is_exact_but_for_what_is_not_listed(chat):
    state, address = chat
    state.next = lambda context: {8: 0.6, 7: 0.3, 10: 0.06, 0: 0.04}  # no, yes, Yes, The
    state.lists = 3
    lm = load_remote(address)
    rows = sk.believe(lm, ASK, DESIGN.head(1), least_mass=0)
    # Listed are no 0.6, yes 0.3, Yes 0.06; 0.04 is not, and may be yes, no or neither.
    assert rows["belief"].tolist() == pytest.approx([0.36 / 0.96, 0.6 / 0.96])
    assert rows["low"].tolist() == pytest.approx([0.36, 0.6])
    assert rows["high"].tolist() == pytest.approx([0.4, 0.64])
    assert rows["valid_mass"].tolist() == pytest.approx([0.96, 0.96])
    assert np.exp(rows["logprob"]).tolist() == pytest.approx([0.36, 0.6])


SETS = [
    (("yes", "Yes"), ("no",)),
    (("strong agree",), ("strong doubt",)),
    (("1",), ("10",), ("2",)),
    (("A",), ("B",), ("C", "(C)")),
]
PIECES = ["yes", " yes", "Yes", "y", "es", "no", " no", "n", "o", "strong", " strong", " agree",
          " doubt", "1", "0", "10", "2", " ", "\n", "A", "B", "(", "C", ")", "C)", "x", ".",
          "<end>"]  # fmt: skip


def piece_after(seed: int, text: str) -> dict[str, float]:
    """A distribution of the next piece; blanks stand at the start only."""
    draw = random.Random(f"{seed}|{text}")
    pieces = [p for p in PIECES if p.strip() or not text]
    weights = [draw.expovariate(1) ** 3 for _ in pieces]
    return {p: w / sum(weights) for p, w in zip(pieces, weights, strict=True)}


def shares(seed: int, options: Any) -> np.ndarray:
    """The probability that a text begins with each option, by going through all texts."""
    total = np.zeros(len(options))

    def go(text: str, mass: float) -> None:
        bare = text.lstrip()
        done = [(len(f), k) for k, forms in enumerate(options) for f in forms
                if bare.startswith(f) and not bare[len(f) : len(f) + 1].isalnum()]  # fmt: skip
        if text == "" or any(f.startswith(bare) and f != bare for o in options for f in o):
            for piece, p in piece_after(seed, text).items():
                go(text + piece, mass * p)
        elif done:
            total[max(done)[1]] += mass

    go("", 1.0)
    return total


def answered(seed: int, k: int, tokens: int) -> dict[str, Any]:
    """An answer of so many tokens, each place with the k likeliest."""
    draw, text, places = random.Random(seed), "", []
    for _ in range(tokens):
        found = piece_after(seed, text)
        written = draw.choices([*found], [*found.values()])[0]
        best = sorted(found, key=lambda piece: -found[piece])[:k]
        top = [{"token": piece, "logprob": math.log(found[piece])} for piece in best]
        places.append({"token": written, "logprob": math.log(found[written]),
                       "top_logprobs": top})  # fmt: skip
        text += written
    choice = {"message": {"content": text}, "finish_reason": "length",
              "logprobs": {"content": places}}  # fmt: skip
    return {"model": "m", "choices": [choice]}


def asked(options: Any, text: str = "Buy?", system: str = "") -> Inquiry:
    return Inquiry(text, system, "", text, tuple(o[0] for o in options), options)


@settings(max_examples=200)
@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 4), st.sampled_from(SETS))
def test_bounds_hold_whatever_is_listed(seed, k, tokens, options):
    face = ChatCompletions(None, "m", top=k)
    said = face._read(0, answered(seed, k, tokens))
    belief, low, high, mass, _ = face._bounded(asked(options), said)
    real = shares(seed, options)
    assert mass <= 1 + 1e-9
    assert (low <= real / real.sum() + 1e-9).all() and (real / real.sum() <= high + 1e-9).all()
    known = ~np.isnan(belief)
    assert (low[known] <= belief[known] + 1e-9).all() and (belief <= high + 1e-9)[known].all()


@settings(max_examples=50)
@given(st.integers(0, 10**6))
def test_all_tokens_listed_leaves_nothing_open(seed):
    options = (("A",), ("B",))  # of one piece, which begins nothing else
    pieces = {p: v for p, v in piece_after(seed, "").items() if p.strip()}
    top = [{"token": p, "logprob": math.log(v / sum(pieces.values()))} for p, v in pieces.items()]
    choice = {"message": {"content": "A"}, "finish_reason": "stop",
              "logprobs": {"content": [{**top[0], "token": "A", "top_logprobs": top,
                                        "logprob": dict_of(top)["A"]}]}}  # fmt: skip
    face = ChatCompletions(None, "m", top=20)
    belief, low, high, _, _ = face._bounded(
        asked(options), face._read(0, {"model": "m", "choices": [choice]})
    )
    a, b = pieces["A"], pieces["B"]
    for found in (belief, low, high):
        assert found == pytest.approx([a / (a + b), b / (a + b)], abs=1e-9)


def dict_of(top: list[dict[str, Any]]) -> dict[str, float]:
    return {entry["token"]: entry["logprob"] for entry in top}


def test_options_that_share_their_first_token_are_bounded_only_unless_it_was_written():
    face = ChatCompletions(None, "m", top=20)
    first = {"strong": 0.5, "no": 0.3}
    second = {" agree": 0.6, " doubt": 0.2}

    def place(written: str, listed: dict[str, float]) -> dict[str, Any]:
        top = [{"token": t, "logprob": math.log(p)} for t, p in listed.items()]
        return {"token": written, "logprob": math.log(listed[written]), "top_logprobs": top}

    def found(*places: dict[str, Any]) -> Any:
        text = "".join(p["token"] for p in places)
        choice = {"message": {"content": text}, "logprobs": {"content": list(places)}}
        return face._bounded(asked(SETS[1]), face._read(0, {"choices": [choice]}))

    belief, low, high, _, _ = found(place("no", first))
    assert np.isnan(belief).all() and (low == 0).all() and (high == 1).all()
    belief, low, high, mass, _ = found(place("strong", first), place(" agree", second))
    # 0.5 × 0.6 agree, 0.5 × 0.2 doubt; 0.5 × 0.2 and 0.2 are not listed.
    assert belief == pytest.approx([0.75, 0.25])
    assert low == pytest.approx([0.3 / 0.7, 0.1 / 0.7]) and mass == pytest.approx(0.4)
    assert high == pytest.approx([0.6 / 0.7, 0.4 / 0.7])


def test_the_system_text_is_a_turn_and_its_prefix_is_not_sent(chat):
    state, address = chat
    lm = load_remote(address)
    state.asked.clear()
    sk.believe(lm, ASK, DESIGN, chat=sk.Chat(system="Be brief."), least_mass=0)
    assert [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Question: buy it at $1?"},
    ] in [body["messages"] for _, body in state.asked]
    assert state.asked[0][1]["temperature"] == 0 and state.asked[0][1]["top_logprobs"] == 20


def test_equal_prompts_are_asked_once(chat):
    state, address = chat
    lm = load_remote(address)
    state.asked.clear()
    table = sk.believe(lm, ASK, pd.DataFrame({"price": [1, 2, 1, 1]}), least_mass=0)
    assert len(state.asked) == 2
    assert table["low"][0] == table["low"][4] != table["low"][2]


def test_it_scores_no_text_and_says_what_would(chat):
    _, address = chat
    with pytest.raises(TypeError, match=r"lists the 20 likeliest tokens and scores no text; use"):
        sk.score(load_remote(address), ["Buy?"], [" yes", " no"])


@pytest.mark.parametrize("how", ["ignored", "refused", "empty"])
def test_without_lists_answers_are_sampled(chat, how):
    state, address = chat
    state.longest = 1
    state.next = lambda context: {7: 0.7, 8: 0.2, 5: 0.1}  # yes, no, Paris
    if how == "refused":
        state.refuses = {"logprobs": "You are not allowed to request logprobs from this model."}
    if how == "ignored":
        state.lists = 0
    if how == "empty":
        state.fault = emptied
    lm = load_remote(address, answers=60)
    assert lm.abilities["scores"] == "60 sampled answers"
    table = sk.believe(lm, ASK, DESIGN.head(2), least_mass=0)
    assert set(table["basis"]) == {"60 answers"}
    counts = table["valid_mass"] * 60 * table["belief"]
    assert counts.to_numpy() == pytest.approx(counts.round().to_numpy())
    valid = round(table["valid_mass"][0] * 60)
    low, high = proportion_confint(round(counts[0]), valid, method="wilson")
    assert (table["low"][0], table["high"][0]) == (pytest.approx(low), pytest.approx(high))
    assert table["belief"][0] == pytest.approx(7 / 9, abs=0.2)  # 0.7 / (0.7 + 0.2), SD 0.06
    sent = [body for path, body in state.asked if "chat" in path]
    bodies = [body for body in sent if body["messages"][0]["content"] == prompt(1)]
    assert len({body["seed"] for body in bodies}) == 60  # each answer is a draw of its own
    again = sk.believe(lm, ASK, DESIGN.head(2), least_mass=0)
    pd.testing.assert_frame_equal(table, again)
    assert lm.__dict__.get("next_tokens") is None and getattr(lm, "next_tokens", None) is None


def emptied(path: str, payload: bytes) -> Any:
    answer = json.loads(payload)
    if "chat" not in path:
        return None
    answer["choices"][0]["logprobs"] = {"content": []}
    return 200, {}, json.dumps(answer).encode()


def test_sampled_answers_cover_the_truth():
    draw, face = np.random.default_rng(1), ChatCompletions(None, "m")
    one, covered = asked(SETS[0]), []
    for p in draw.uniform(0.05, 0.95, 400):
        answers = [f" {word}" for word in draw.choice(["Yes", "no"], 24, p=[p, 1 - p])]
        runs = [face._read(0, {"choices": [{"message": {"content": a}}]}).run for a in answers]
        belief, low, high, mass, _ = face._shares(one, runs)
        covered.append(low[0] <= p <= high[0])
        assert mass == 1 and belief.sum() == pytest.approx(1)
    assert 0.92 < np.mean(covered) < 0.98  # 95 in 100, SD 1.1


def test_no_answer_that_names_an_option_is_no_belief():
    face = ChatCompletions(None, "m", room=9)
    contents = [{"content": "As an AI"}, {"content": "", "refusal": "no"}, {"content": None}]
    finish = ["stop", "stop", "length"]
    runs = [face._read(0, {"choices": [{"message": m, "finish_reason": f}]}).run
            for m, f in zip(contents, finish, strict=True)]  # fmt: skip
    belief, low, high, mass, basis = face._shares(asked(SETS[0]), runs)
    assert np.isnan(belief).all() and (low == 0).all() and (high == 1).all() and mass == 0
    assert basis == "3 answers, 1 cut short, 1 refused"


def test_a_refusal_is_a_row_without_belief(chat):
    state, address = chat
    lm = load_remote(address)

    def refusing(path: str, payload: bytes) -> Any:
        if state.body["messages"][0]["content"] != prompt(2):
            return None
        choice = {"message": {"content": None, "refusal": "I can't"}, "finish_reason": "stop"}
        return 200, {}, json.dumps({"model": "tiny-1", "choices": [choice]}).encode()

    state.fault, lm.dialect.client.workers = refusing, 1
    table = sk.believe(lm, ASK, DESIGN, least_mass=0)
    assert table["basis"].tolist() == ["top 20"] * 2 + ["refused"] * 2 + ["top 20"] * 2
    assert table["belief"].isna().tolist() == [False, False, True, True, False, False]
    assert table[["low", "high"]].to_numpy()[2].tolist() == [0, 1]


def test_a_model_that_takes_few_parameters(chat):
    state, address = chat
    state.refuses = {name: NOT_TAKEN.format(name) for name in
                     ("max_tokens", "temperature", "top_p", "top_k", "min_p", "seed")}  # fmt: skip
    lm = load_remote(address)
    assert set(lm.dialect.sent) == {"logprobs", "top_logprobs", "temperature",
                                    "max_completion_tokens"}  # fmt: skip
    assert not lm.dialect.cold  # temperature 1 is all that it takes
    table = sk.believe(lm, ASK, DESIGN, least_mass=0)
    belief, _ = exact(prompt(1))
    assert (table["low"][:2] <= belief).all() and (belief <= table["high"][:2]).all()
    with pytest.raises(TypeError, match="does not write at temperature 0; take 1"):
        sk.scoring.write(lm, ["Buy?"], [1], temperature=0)
    sk.scoring.write(lm, ["Buy?"], [1])
    assert state.asked[-1][1]["user"].startswith("simkit-")  # in the place of the seed


def test_shorter_lists_where_the_server_says_so(chat):
    state, address = chat

    class Five(dict):
        def items(self):
            body = state.body
            return [("top_logprobs", "top_logprobs must be at most 5")] * (
                body.get("top_logprobs", 0) > 5
            )

    state.refuses = Five()
    lm = load_remote(address)
    assert lm.abilities["scores"] == "bounds from the 5 likeliest tokens"
    assert set(sk.believe(lm, ASK, DESIGN, least_mass=0)["basis"]) == {"top 5"}


def test_lists_of_the_sampler_are_found_out(chat):
    state, address = chat
    state.tempered = True
    lm = load_remote(address)  # lists after the temperature: so it is asked at 1
    assert not lm.dialect.cold
    rows = sk.believe(lm, ASK, DESIGN, least_mass=0)
    belief, _ = exact(prompt(1))
    assert (rows["low"][:2] <= belief + 1e-9).all() and (belief <= rows["high"][:2] + 1e-9).all()
    state.next = lambda context: {7: 0.7, 8: 0.3}  # top_k = 2
    with pytest.raises(ServerError, match="2 tokens listed have all of the probability"):
        load_remote(address)


def test_lists_of_another_place_are_found_out(chat):
    state, address = chat

    def shifted(path: str, payload: bytes) -> Any:
        answer = json.loads(payload)
        if "chat" in path:
            places = answer["choices"][0]["logprobs"]["content"]
            lists = [p["top_logprobs"] for p in places]
            for place, top in zip(places, lists[1:] + lists[:1], strict=True):
                kept = [e for e in top if e["token"] != place["token"]]
                place["top_logprobs"] = kept
                place["logprob"] = -20.0
        return 200, {}, json.dumps(answer).encode()

    state.next = lambda context: piece(len(context) % 2)
    state.fault = shifted
    with pytest.raises(ServerError, match="not of the places they stand at"):
        load_remote(address)


def piece(odd: int) -> dict[int, float]:
    weights = {i: (40.0 if i == 7 + odd else 1.0) for i in range(24)}
    return {i: w / sum(weights.values()) for i, w in weights.items()}


def broken(payload: bytes, kind: str, n: int) -> Any:
    """One kind of fault, as status, headers and payload."""
    if kind == "reset":
        return "reset"
    if kind in ("429", "500"):
        return int(kind), {}, b"later"
    if kind == "cut":
        return 200, {}, payload[: len(payload) // 2]
    if kind == "not JSON":
        return 200, {}, b"<html>gateway</html>"
    answer = json.loads(payload)
    (choice,) = answer["choices"]
    places = choice["logprobs"]["content"]
    place = places[n % len(places)]
    if kind == "NaN":
        place["top_logprobs"][0]["logprob"] = float("nan")
    elif kind == "positive":
        place["logprob"] = place["top_logprobs"][0]["logprob"] = 0.7
    elif kind == "missing token":
        places.pop()
    elif kind == "doubled token":
        places.insert(0, places[0])
    elif kind == "other token":
        place["token"] += "x"
    elif kind == "null":
        choice["logprobs"] = None
    elif kind == "no choice":
        answer["choices"] = []
    elif kind == "no text":
        choice["message"]["content"] = None
    elif kind == "probabilities for logarithms":
        for entry in place["top_logprobs"]:
            entry["logprob"] = math.exp(entry["logprob"])
    return 200, {}, json.dumps(answer).encode()


FAULTS = ["reset", "429", "500", "cut", "not JSON", "NaN", "positive", "missing token",
          "doubled token", "other token", "null", "no choice", "no text",
          "probabilities for logarithms"]  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_now_and_then_changes_nothing_and_one_that_stays_is_an_error(chat, kind):
    state, address = chat
    lm = load_remote(address, tries=8)
    clean = sk.believe(lm, ASK, DESIGN, least_mass=0)
    draw, spoilt, failed = random.Random(kind), [], lm.spent.failed

    def fault(path: str, payload: bytes) -> Any:
        if draw.random() > 0.3:
            return None
        spoilt.append(path)
        return broken(payload, kind, draw.randrange(9))

    state.fault = fault
    for _ in range(3):
        pd.testing.assert_frame_equal(clean, sk.believe(lm, ASK, DESIGN, least_mass=0))
    assert len(spoilt) == lm.spent.failed - failed > 0
    state.fault = lambda path, payload: broken(payload, kind, 0)
    with pytest.raises(ServerError, match="8 tries"):
        sk.believe(lm, ASK, DESIGN, least_mass=0)


def test_a_model_that_changes_in_between_is_an_error(chat):
    state, address = chat
    lm = load_remote(address)
    state.fault = lambda path, payload: (200, {}, payload.replace(b"tiny-1", b"tiny-2"))
    with pytest.raises(ServerError, match="the model was 'tiny-1' and is 'tiny-2' now"):
        sk.believe(lm, ASK, DESIGN, least_mass=0)


def test_repeats_are_averaged_and_their_spread_is_a_column(chat):
    state, address = chat
    draw = random.Random(1)

    def jitter(context: tuple[int, ...]) -> dict[int, float]:
        p = 0.5 + draw.uniform(-0.1, 0.1)
        return {7: p, 8: 0.9 - p, **dict.fromkeys((9, 10, 11, 12), 0.02)}

    state.next = jitter
    lm = load_remote(address, repeats=3)
    assert float(lm.abilities["repeats"].removeprefix("differ by ")) > 0
    state.asked.clear()
    table = sk.believe(lm, ASK, DESIGN.head(1), least_mass=0)
    assert len(state.asked) == 3 and table["repeats_range"].between(0.001, 0.25).all()
    assert len({json.dumps(body) for _, body in state.asked}) == 3  # none is another's in a cache
    rows = [Beliefs(*(np.array([[a, 1 - a]]) for _ in range(3)), np.array([m]), ["top 5"])
            for a, m in ((0.2, 0.5), (0.4, 0.7))]  # fmt: skip
    mean = over_repeats(rows)
    assert mean.belief == pytest.approx(np.array([[0.3, 0.7]]))
    assert mean.repeats_range == pytest.approx(np.array([[0.2, 0.2]]))
    assert mean.valid_mass == pytest.approx([0.6])


def test_several_models_and_none_named(chat):
    state, address = chat
    state.models = ["gpt-a", "gpt-b"]
    with pytest.raises(ServerError, match="has the models 'gpt-a', 'gpt-b'; say which"):
        load_remote(address)
    assert load_remote(address, model="gpt-b").name == "gpt-b"
    with pytest.raises(ServerError, match="no model 'gpt-c'"):
        load_remote(address, model="gpt-c")


def test_openai_addresses(chat, monkeypatch):
    state, address = chat
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ValueError, match="set the environment variable OPENAI_API_KEY"):
        sk.load("openai:gpt-4.1-mini")
    state.models = ["gpt-4.1-mini", "gpt-4.1"]
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789")
    lm = sk.load("openai:gpt-4.1-mini")
    assert lm.name == "gpt-4.1-mini" and "planted" not in f"{lm!r} {lm.identity} {vars(lm)}"
    assert state.headers[-1]["Authorization"] == "Bearer sk-planted-0123456789"
    state.fault = lambda path, payload: (401, {}, b"no such key") if "chat" in path else None
    with pytest.raises(ServerError, match="environment variable OPENAI_API_KEY"):
        sk.load("openai:gpt-4.1-mini")


def test_a_router_that_makes_a_chat_of_completions_is_asked_as_a_chat(chat):
    state, address = chat
    state.speaks = "router"
    lm = load_remote(address)
    assert isinstance(lm, InterfaceModel)
    assert lm.abilities["scores"] == "bounds from the 20 likeliest tokens"


def test_answers_of_one_that_lists_tokens_are_refused(chat):
    _, address = chat
    with pytest.raises(ValueError, match="answers is 5, and tiny lets know more"):
        load_remote(address, answers=5)


def test_options_that_differ_in_blanks_are_refused(chat):
    _, address = chat
    lm = load_remote(address)
    with pytest.raises(ValueError, match="both 'yes' but for blanks"):
        lm.beliefs([asked((("yes",), (" yes",)))])


def test_runs_are_written_and_read_where_the_answer_stands(chat, tmp_path):
    state, address = chat
    lm = load_remote(address)
    script = [15, 7, 20, 21, 22]  # " at", " yes", a new line, "Answer", ":"
    opening = len(tokenize(laid([{"role": "user", "content": "buy it at $1?"}])))

    def upon(context: tuple[int, ...]) -> dict[int, float]:
        at = len(context) - opening
        if at < len(script):
            return {script[at]: 0.97, 0: 0.03}
        return {8: 0.5, 7: 0.3, 10: 0.1, 5: 0.09}  # no, yes, Yes, Paris; 0.01 is not listed

    state.next, state.longest = upon, len(script) + 1  # with 0.97 ** 3 the marker is written
    question = sk.Question("buy it at ${price}?", ["yes", "no"], template="{question}",
                           forms={"yes": ["Yes"]})  # fmt: skip
    table = sk.sample_runs(lm, question, DESIGN.head(1), runs=120, seed=3, max_tokens=5,
                           least_mass=0)  # fmt: skip
    full = table[table["reached"]]
    assert {" at yes"} < set(full["reasoning"]) and set(full["tokens"]) == {5}
    assert len(full) > 2 * 80
    one = full.iloc[:2]
    assert one["belief"].tolist() == pytest.approx([0.4 / 0.9, 0.5 / 0.9])
    assert one["valid_mass"].tolist() == pytest.approx([0.9, 0.9])
    assert one["low"].tolist() == pytest.approx([0.4 / 0.91, 0.5 / 0.91])
    assert one["high"].tolist() == pytest.approx([0.41 / 0.91, 0.51 / 0.91])
    said = full.dropna(subset="choice")
    assert 0 < len(full) - len(said) < 60  # some wrote " Paris": no choice
    chosen = said.loc[said["option"] == "no", "choice"]
    assert chosen.mean() == pytest.approx(5 / 9, abs=0.2)  # SD 0.07
    lost = table[~table["reached"]]
    assert len(lost) and lost[["choice", "belief", "low"]].isna().all(None)
    with pytest.raises(TypeError, match="cannot be made to go on"):
        sk.sample_runs(lm, question, DESIGN, runs=1, forced=True)
    with pytest.raises(TypeError, match="take temperature=1"):
        sk.sample_runs(lm, question, DESIGN, runs=1, temperature=0.5)
    before = lm.spent.requests
    with pytest.raises(TypeError, match="kept by its requests"):
        sk.sample_runs(sk.Cached(lm, str(tmp_path / "runs")), question, DESIGN, runs=1)
    assert lm.spent.requests == before


def test_runs_without_lists_have_choices_and_no_belief(chat):
    state, address = chat
    state.lists, state.longest = 0, 3
    state.next = lambda context: {21: 0.99} if context[-1] == 1000 + ord("]") else (
        {22: 0.99} if context[-1] == 21 else {7: 0.7, 8: 0.29})  # fmt: skip
    lm = load_remote(address)  # "Answer", ":", then yes or no
    question = sk.Question("buy it?", ["yes", "no"], template="{question}")
    table = sk.sample_runs(lm, question, DESIGN.head(1), runs=50, least_mass=0, temperature=1)
    assert table["belief"].isna().all() and table["reached"].all()
    assert table.loc[table["option"] == "yes", "choice"].mean() == pytest.approx(0.7, abs=0.2)


def test_a_pilot_and_a_chat_of_a_study_work(chat):
    state, address = chat
    state.next = lambda context: {7: 0.6, 8: 0.3, 5: 0.05}
    lm = asked_so(load_remote(address), answer="")
    assert lm.chat.spellings
    found = sk.pilot(lm, ASK, DESIGN, max_tokens=1)
    frame = found.to_frame()["estimate"]
    assert frame["valid mass"] == pytest.approx(0.9)
    assert frame["written as believed"] == 1 and frame["no option written"] == 0
    assert "' Paris' 0.05" in found.notes[-1]
    turns = [body["messages"] for _, body in state.asked[-len(DESIGN) :]]
    assert [{"role": "user", "content": "Question: buy it at $3?"}] in turns
    assert sk.scoring.write(lm, ["Buy?"], [1], max_tokens=3, temperature=0, stop=" no") == [
        "yes yes yes"
    ]
