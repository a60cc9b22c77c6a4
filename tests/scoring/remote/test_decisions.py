"""Decision interfaces: the same beliefs within their rounding, or an error that names the rows."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simkit as sk
from simkit import audit, reports
from simkit.scoring.inquiries import inquiries
from simkit.scoring.remote import ServerError
from simkit.scoring.remote.client import Garbled
from simkit.scoring.remote.decisions import Decisions, RefusedWarning
from simkit.scoring.remote.systemone import SystemOne
from simkit.scoring.remote.typed import Asked, bounds, decimals_of
from simkit.scoring.types import Scores
from simkit.worlds import market
from tests.scoring.remote.decision_server import Decider, deciding

RECORDED = Path(__file__).with_name("decisions.jsonl.gz")
PATHS = ["/v1/decisions", "/v1/systemone"]
BUYS = sk.Question("Does {who} buy it at ${price}?", ["yes", "no"])
DESIGN = pd.DataFrame({
    "context": ["A store.", "A store.", "A shop.", "A store."],
    "who": ["Ann", "Bo", "Ann", "Ann"], "price": [1, 2, 3, 1],
})  # fmt: skip


class Truth:
    """A belief that depends on every letter of prompt and option; 0.9 of the mass is on them."""

    name = "truth"

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        weights = np.array([
            [0.05 + crc32((prompt + option.strip()).encode()) / 2**32 for option in row]
            for prompt, row in zip(prompts, options, strict=True)
        ])  # fmt: skip
        p = 0.9 * weights / weights.sum(1, keepdims=True)
        return Scores(np.log(p), np.zeros(p.shape, dtype=bool))


TRUTH: Any = Truth()


@pytest.fixture(params=PATHS)
def met(request: Any) -> Iterator[tuple[Decider, str]]:
    decider = Decider(TRUTH)
    decider.paths = [request.param]
    with deciding(decider) as address:
        yield decider, address


def asked_of(question: sk.Question, design: pd.DataFrame, **more: Any) -> list[Asked]:
    return [Asked.of(inquiry) for inquiry in inquiries(question, design, None, **more)]


# What is asked


def test_all_of_the_prompt_goes_along_and_the_question_apart() -> None:
    chat = sk.Chat(system="You shop.")
    ask = Asked.of(inquiries(BUYS, DESIGN, chat)[0])
    assert (ask.input, ask.instructions) == ("You shop.\n\nA store.", "Does Ann buy it at $1?")
    few = "Q: 1+1? A: 2\nThis is {who}.\n{question} Think of {price}.\nAnswer:"
    odd = sk.Question("Buy?", ["yes", "no"], template=few)
    assert asked_of(odd, DESIGN)[1].input == "Q: 1+1? A: 2\nThis is Bo."
    assert asked_of(odd, DESIGN)[1].instructions == "Buy? Think of 2."
    own = sk.Question("A {who} shop.\nQuestion: Buy it?\nAnswer:", ["yes", "no"],
                      template="{question}")  # fmt: skip
    (ask, *_) = asked_of(own, DESIGN)
    assert (ask.input, ask.instructions) == ("A Ann shop.", "Buy it?")
    (ask, *_) = asked_of(sk.Question("Buy at {price}?", ["yes", "no"]), DESIGN[["price"]])
    assert (ask.input, ask.instructions) == ("Answer the question.", "Buy at 1?")


@pytest.mark.parametrize(
    ("options", "values", "kind", "sent"),
    [
        (["yes", "no"], [1, 0], "predicate", ("yes", "no")),
        (["No", "Yes"], None, "predicate", ("Yes", "No")),
        (["true", "false"], None, "predicate", ("true", "false")),
        (["buy", "no"], None, "choice", ("buy", "no")),  # "no" does not deny "buy" in so many words
        (["cold", "mild", "hot"], [-1, 0, 1], "score", ("cold", "mild", "hot")),
        (["hot", "mild", "cold"], [1, 0, -1], "score", ("cold", "mild", "hot")),
        (["a", "b", "c"], [1, 3, 2], "choice", ("a", "b", "c")),
        ([str(i) for i in range(11)], range(11), "choice", tuple(map(str, range(11)))),
    ],
)
def test_the_type_of_a_question(options: Any, values: Any, kind: str, sent: Any) -> None:
    (ask,) = asked_of(sk.Question("Which?", options, values=values), pd.DataFrame({"x": [1]}))
    assert (ask.kind, ask.options) == (kind, sent)
    assert [options[k] for k in ask.order] == list(sent)


def test_listed_options_are_choices_in_the_order_listed_and_are_not_said_twice() -> None:
    question = sk.Question("Cold?", ["yes", "no"], layout="letters")
    first, second = asked_of(question, pd.DataFrame({"x": [1]}), orders=[(0, 1), (1, 0)])
    assert (first.kind, first.options, second.options) == ("choice", ("yes", "no"), ("no", "yes"))
    assert first.instructions == second.instructions == "Cold?"


# Beliefs


@pytest.mark.parametrize(("decimals", "clip"), [(None, False), (2, True), (2, False), (4, False)])
def test_beliefs_are_the_models_within_their_bounds(met: Any, decimals: Any, clip: bool) -> None:
    decider, address = met
    decider.decimals, decider.clip = decimals, clip
    model = sk.load(address)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # a hidden mass is not a low one
        found = sk.believe(model, BUYS, DESIGN)
    truth = sk.believe(TRUTH, BUYS, DESIGN)["belief"]
    half = 1e-6 if decimals is None else 0.5 * 10.0**-decimals
    assert (found["belief"] - truth).abs().max() <= half + 1e-9
    assert ((found["low"] <= truth + 1e-9) & (truth <= found["high"] + 1e-9)).all()
    assert (found["high"] - found["low"]).max() <= 2 * half + 1e-9 + 0.005 * clip
    assert set(found["basis"]) == {"decision"} and found["valid_mass"].isna().all()
    said = "unrounded" if decimals is None else f"rounded to {decimals} decimals"
    assert f"of the options against each other, {said}" in repr(model)


def test_scores_and_choices_too(met: Any) -> None:
    _, address = met
    for options, values, layout in (
        (["hot", "mild", "cold"], [1, 0, -1], "text"), (["tea", "milk"], None, "letters"),
    ):  # fmt: skip
        question = sk.Question("Which?", options, values=values, layout=layout)
        plain = sk.Question("Which?", options, values=values)
        found = sk.believe(sk.load(address), question, DESIGN)
        truth = sk.believe(TRUTH, plain, DESIGN, least_mass=0)
        assert found["belief"].to_numpy() == pytest.approx(truth["belief"].to_numpy(), abs=1e-6)


def test_the_same_input_shares_a_request_and_the_same_question_is_asked_once(met: Any) -> None:
    decider, address = met
    model = sk.load(address)
    decider.asked.clear()
    sk.believe(model, BUYS, DESIGN)
    assert sorted(len(body["questions"]) for _, body in decider.asked) == [1, 2]
    alone = sk.load(address, batch=1)
    decider.asked.clear()
    sk.believe(alone, BUYS, DESIGN)
    assert [len(body["questions"]) for _, body in decider.asked] == [1, 1, 1]
    assert alone.identity["batch"] == 1
    with pytest.raises(ValueError, match="batch"):
        sk.load(address, batch=0)


def test_a_refusal_is_a_row_of_nan_and_one_warning_counts_them(met: Any) -> None:
    decider, address = met
    model = sk.load(address)
    decider.refuses = "store"
    with pytest.warns(RefusedWarning, match="refused 3 of 4 questions") as caught:
        table = sk.believe(model, BUYS, DESIGN)
    assert [w.category for w in caught].count(RefusedWarning) == 1
    assert table.groupby("prompt_id")["basis"].first().tolist() == [
        "refused", "refused", "decision", "refused"]  # fmt: skip
    assert table["belief"].isna().tolist() == [True] * 4 + [False] * 2 + [True] * 2
    with pytest.warns(RefusedWarning):
        works = audit.measure(model, {"buys": (BUYS, DESIGN)})
    # 2 of the 3 distinct prompts are declined, so the study ends
    assert works.failing == ["buys"] and "declined the question “buys” in 67%" in works.end


def test_what_is_more_than_the_interface_takes_or_can_is_an_error(met: Any) -> None:
    _, address = met
    model = sk.load(address)
    many = sk.Question("Which?", [f"o{i}" for i in range(256)])
    with pytest.raises(ValueError, match="row 0: 256 options"):
        sk.believe(model, many, DESIGN)
    with pytest.raises(TypeError, match="decision interface, which scores no text"):
        sk.score(model, ["Buy?"], [" yes", " no"])
    with pytest.raises(TypeError, match="no `write`"):
        sk.scoring.write(model, ["Buy?"], [1])


# Faults


def entries(whole: dict[str, Any]) -> list[dict[str, Any]]:
    answers = whole["answers"]
    return list(answers.values()) if isinstance(answers, dict) else answers


def drop(whole: dict[str, Any]) -> None:
    answers = whole["answers"]
    answers.pop(next(iter(answers)) if isinstance(answers, dict) else -1)


def extra(whole: dict[str, Any]) -> None:
    answers, one = whole["answers"], entries(whole)[0]
    if isinstance(answers, dict):
        answers["q99"] = one
    else:
        answers.append(one)


def swap(whole: dict[str, Any]) -> None:
    """Answers under each other's names or, of a single one, under another name."""
    answers = whole["answers"]
    if isinstance(answers, dict):
        whole["answers"] = {f"{name}x": answer for name, answer in answers.items()}
    else:
        answers[0]["name"] = "q1"


def p_of(value: Any) -> Callable[[dict[str, Any]], None]:
    def spoil(whole: dict[str, Any]) -> None:
        for one in entries(whole):
            one.update(dict.fromkeys({"probability", "noul"} & one.keys(), value))

    return spoil


def another(whole: dict[str, Any]) -> None:
    entries(whole)[0]["type"] = "choice"


FAULTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "missing": drop, "extra": extra, "misnamed": swap, "NaN": p_of(float("nan")),
    "above 1": p_of(1.2), "text": p_of("0.5"), "true": p_of(True), "null": p_of(None),
    "another type": another, "no answers": lambda whole: whole.pop("answers"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_asked_again_and_one_that_stays_names_the_rows(met: Any, fault: str) -> None:
    decider, address = met
    model = sk.load(address, tries=3)
    times = [0]

    def spoil(whole: dict[str, Any]) -> dict[str, Any]:
        times[0] += 1
        if times[0] % 2:
            whole = copy.deepcopy(whole)
            FAULTS[fault](whole)
        return whole

    model.dialect.client.workers = 1  # so that every other answer to a request is spoilt
    decider.spoil = spoil
    found = sk.believe(model, BUYS, DESIGN)
    truth = sk.believe(TRUTH, BUYS, DESIGN)
    assert found["belief"].to_numpy() == pytest.approx(truth["belief"].to_numpy(), abs=1e-6)
    assert model.spent.failed >= 2

    def always(whole: dict[str, Any]) -> dict[str, Any]:
        FAULTS[fault](whole)
        return whole

    decider.spoil = always
    with pytest.raises(ServerError, match=r"row(s 0, 1, 3| 0| 2|s 0, 3)\b.*3 tries"):
        sk.believe(model, BUYS, DESIGN)


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ([("tea", 0.5), ("milk", 0.3)], "sum to 0.8"),
        ([("tea", 0.5), ("tea", 0.5)], "twice"),
        ([("tea", 1.0)], "without a probability of 'milk'"),
        ([("tea", 0.5), ("milk", 0.5), ("beer", 0.0)], "'beer'"),
        ([("tea", 0.5), (True, 0.5)], "True"),
    ],
)
def test_probabilities_that_are_none_of_the_question(listed: Any, said: str) -> None:
    ask = Asked("Here.", "choice", "Which?", ("tea", "milk"), (0, 1))
    each = [{"value": v, "probability": p} for v, p in listed]
    answer = {"type": "choice", "choice": "tea", "confidence": 1.0, "probabilities": each}
    with pytest.raises(Garbled, match=said):
        bounds(Decisions(None, "m")._values(ask, answer), 2)  # type: ignore[arg-type]


def test_true_is_not_the_text_true() -> None:
    ask = Asked("Here.", "choice", "Which?", ("true", "maybe"), (0, 1))
    each = [{"value": "true", "probability": 0.5}, {"value": "maybe", "probability": 0.5}]
    answer = {"type": "choice", "choice": True, "confidence": 1.0, "probabilities": each}
    with pytest.raises(Garbled, match="chose True"):
        Decisions(None, "m")._values(ask, answer)  # type: ignore[arg-type]


def test_a_server_without_decisions_is_not_met_and_one_that_forbids_is_an_error() -> None:
    decider = Decider(TRUTH)
    decider.paths = []
    with deciding(decider) as address:
        client = sk.scoring.remote.Client(address)
        assert Decisions.meet(client, None) is None  # 404
        assert SystemOne.meet(client, None) is None  # 501
        decider.answer = lambda path, body: (401, {"error": "key"})  # type: ignore[method-assign]
        with pytest.raises(ServerError, match="status 401"):
            Decisions.meet(client, "m")


# Rounding


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.floats(0.0, 1.0), min_size=2, max_size=12).filter(lambda w: sum(w) > 1e-3),
    st.sampled_from([2, 3, 4, 7]), st.booleans(),
)  # fmt: skip
def test_the_truth_is_always_within_the_bounds(weights: Any, decimals: int, clip: bool) -> None:
    truth = np.array(weights) / sum(weights)
    rounded = truth.round(decimals) if decimals < 7 else truth.astype(np.float32).astype(float)
    if clip:
        rounded = rounded.clip(0.01, 0.99)
    belief, low, high = bounds(rounded.tolist(), max(2, decimals_of(rounded.tolist())))
    assert np.all(low <= truth + 1e-9) and np.all(truth <= high + 1e-9)
    assert belief.sum() == pytest.approx(1, abs=1e-9)
    assert np.all(low <= belief + 1e-12) and np.all(belief <= high + 1e-12)


def test_decimals_and_bounds_by_hand() -> None:
    assert decimals_of([0.5, 0.25]) == 2 and decimals_of([1 / 3]) == 7
    assert decimals_of([float(np.float32(0.9781)), 0.5]) == 4  # 0.97810000181...
    belief, low, high = bounds([0.5, 0.25, 0.24], 2)  # 0.01 is missing: a third of 0.01 each
    assert belief == pytest.approx([0.5 + 0.01 / 3, 0.25 + 0.01 / 3, 0.24 + 0.01 / 3])
    assert low == pytest.approx([0.495, 0.245, 0.235])
    assert high == pytest.approx([0.505, 0.255, 0.245])
    with pytest.raises(Garbled, match=r"sum to 0\.97"):
        bounds([0.5, 0.25, 0.22], 2)  # 3 halves of a step are 0.015, and 0.03 is missing


# The oracle: OpenAI's own types


def test_our_requests_and_our_reading_are_those_of_openais_types() -> None:
    decision = pytest.importorskip("openai.types.decision")
    pydantic = pytest.importorskip("pydantic")
    params = pytest.importorskip("openai.types.decision_create_params")
    adapter = pydantic.TypeAdapter(params.Question)
    asks = [
        Asked("Here.", "predicate", "Buys?", ("yes", "no"), (0, 1)),
        Asked("Here.", "choice", "Which?", ("tea", "milk"), (0, 1)),
        Asked("Here.", "score", "How hot?", ("cold", "mild", "hot"), (0, 1, 2)),
    ]
    spoken = Decisions(None, "m")  # type: ignore[arg-type]
    body = spoken._body(asks)
    for question in body["questions"]:
        assert adapter.validate_python(question)
    decider = Decider(TRUTH, decimals=2)
    found = [decider.one("Here.", question, False)[0] for question in body["questions"]]
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2,
             "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
             "output_tokens_details": {"reasoning_tokens": 0}}  # fmt: skip
    sample = json.loads(json.dumps({"answers": found, "model": "m", "usage": usage}))
    theirs = decision.Decision.model_validate(sample)
    ours = [spoken._values(a, raw) for a, raw in zip(asks, spoken._raw(asks, sample), strict=True)]
    predicate, choice, score = theirs.answers
    assert ours[0] == [predicate.probability, 1 - predicate.probability]
    assert ours[1] == [entry.probability for entry in choice.probabilities]
    assert ours[2] == [entry.probability for entry in score.probabilities]
    assert [entry.label for entry in score.probabilities] == ["cold", "mild", "hot"]


def test_vllms_label_mass_is_the_valid_mass() -> None:
    decider = Decider(TRUTH)
    decider.paths, decider.mass = ["/v1/systemone"], True
    with deciding(decider) as address:
        model = sk.load(address)
        table = sk.believe(model, BUYS, DESIGN)
    assert table["valid_mass"].to_numpy() == pytest.approx(0.9)
    assert np.exp(table["logprob"]).to_numpy() == pytest.approx(0.9 * table["belief"].to_numpy())


# Recorded answers


def test_what_is_recorded_answers_in_the_interfaces_place(
    met: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decider, address = met
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789")
    decider.decimals = 2
    file = tmp_path / "answers.jsonl"
    live = sk.believe(sk.load(address, record=file), BUYS, DESIGN)
    assert "planted" not in file.read_text() and len(file.read_text().splitlines()) == 2
    model = sk.load(file)
    again = sk.believe(model, BUYS, DESIGN)
    pd.testing.assert_frame_equal(again, live)
    one = sk.believe(model, BUYS, DESIGN.tail(1))  # apart from what it was asked with
    assert one["belief"].tolist() == live["belief"].tolist()[-2:]
    with pytest.raises(ValueError, match=r"has no answer to 'Does Cy buy it at \$1\?' about"):
        sk.believe(model, BUYS, DESIGN.assign(who="Cy"))
    other = sk.Question(BUYS.text, ["yes", "maybe"])
    with pytest.raises(ValueError, match="has no answer to"):
        sk.believe(model, other, DESIGN)


def test_the_order_of_the_choices_is_part_of_a_recorded_question(met: Any, tmp_path: Path) -> None:
    _, address = met
    question, file = sk.Question("Which?", ["tea", "milk"], layout="letters"), tmp_path / "a.jsonl"
    sk.believe(sk.load(address, record=file), question, DESIGN, orders=[(0, 1)])
    with pytest.raises(ValueError, match="has no answer"):
        sk.believe(sk.load(file), question, DESIGN, orders=[(1, 0)])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "line 1"), ("not JSON", "line 1"), ("", "no answers"),
        ('{"request": {"input": "a", "questions": [{"type": "predicate", "instructions": "b"}]}, '
         '"response": {"answers": []}}', "line 1"),
    ],
)  # fmt: skip
def test_files_that_hold_no_decisions(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(text)
    with pytest.raises(ValueError, match=said):
        sk.load(file)
    with pytest.raises(FileNotFoundError):
        sk.load(tmp_path / "none.jsonl")


def test_recorded_decisions_of_the_glass_box_are_its_beliefs() -> None:
    model = audit.asked(sk.load(RECORDED))
    design, glassbox = market.design(["ice cream"]), sk.load("glassbox")
    found = sk.believe(model, market.question("buys"), design)
    # the chat's word on how to answer stands before the context in what was recorded
    said = design.assign(context="Answer with one word: yes or no.\n\n" + design["context"])
    truth = sk.believe(glassbox, market.question("buys"), said, least_mass=0)["belief"]
    assert ((found["low"] <= truth) & (truth <= found["high"])).all()
    works = audit.measure(model, {"buys": (market.question("buys"), design)})
    assert works.failing == [] and works.end == "" and works.hidden == ["buys"]
    assert "is not judged" in works.unjudged and np.isnan(works.mass["buys"])
    assert "hidden by the interface" in " ".join(works.pilots["buys"].notes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "parameters"),
    [("quickstart", {}), ("demand_endogeneity", {"products": 3, "profiles": 1, "wordings": 1,
                                                 "budget_minutes": 0.05})],
)  # fmt: skip
def test_notebooks_run_on_recorded_decisions(study: str, parameters: Any, tmp_path: Path) -> None:
    page = reports.run(study, {"model": str(RECORDED), **parameters}, out=tmp_path)
    record = json.loads((tmp_path / f"{study}.json").read_text())
    assert record["status"] == "complete" and "is not judged" in page.read_text()
