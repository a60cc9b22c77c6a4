"""Pace, budget, estimate and cache: what a client sends, and what it does not send again."""

from __future__ import annotations

import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from types import SimpleNamespace

import httpx
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import simkit as sk
from simkit.cli import app
from simkit.scoring.remote import BudgetError, Client, ServerError, Spent, load_remote
from simkit.scoring.remote import client as client_module
from simkit.scoring.remote.costs import expected, usage
from simkit.scoring.remote.pace import Pace
from simkit.store import Store
from tests.scoring.remote.conftest import tokenize, truth

PAUSE = client_module._pause  # the fixture of all these tests takes its place

PROMPTS = [f"The capital of France is Paris? buy it at ${i}\nAnswer:" for i in (1, 2, 3)]
OPTIONS = (" yes", " no")


def completions(state) -> int:
    return sum(path in ("/completion", "/v1/completions") for path, _ in state.asked)


# Pace


def test_too_many_halves_once_for_all_under_way_and_answers_add_one_a_round():
    pace, stop = Pace(8, None, None), threading.Event()
    with pace.turn(0, stop) as first, pace.turn(0, stop) as second:
        pass
    pace.slower(first, 0)
    pace.slower(second, 0)  # was under way when the first was slowed down
    assert pace.allowed == 4
    for _ in range(4):  # 4 + 1/4 + 1/4.25 + 1/4.485 + 1/4.708 = 4.92
        pace.faster()
    assert pace.allowed == pytest.approx(4.92, abs=0.01)
    for _ in range(200):
        pace.faster()
    assert pace.allowed == 8
    for _ in range(9):
        with pace.turn(0, stop) as began:
            pass
        pace.slower(began, 0)
    assert pace.allowed == 1


def test_no_more_are_under_way_than_allowed(served):
    state, address = served
    under_way, most, lock = 0, 0, threading.Lock()

    def fault(path, payload):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.01)
        with lock:
            under_way -= 1

    client = Client(address, workers=6)
    state.fault = fault
    client.pace.allowed = 2.0
    client.pace.faster = lambda: None
    client.map("/tokenize", [{"content": str(i)} for i in range(12)], lambda i, a: a)
    assert most == 2


@pytest.mark.parametrize(
    ("limit", "tokens"), [({"requests_per_minute": 1200}, 1), ({"tokens_per_minute": 12_000}, 10)]
)
def test_limits_a_minute_are_kept(limit, tokens):
    pace, stop = Pace(8, limit.get("requests_per_minute"), limit.get("tokens_per_minute")), None
    stop, began = threading.Event(), []
    for _ in range(5):
        with pace.turn(tokens, stop) as now:
            began.append(now)
    assert min(np.diff(began)) >= 0.05  # 60 s / 1,200 requests, or 60 s × 10 / 12,000 tokens


def test_the_server_says_when_to_come_back(served, monkeypatch):
    state, address = served
    waits = []
    monkeypatch.setattr(client_module, "_pause", lambda s: waits.append(s.outcome.exception()) or 0)
    assert client_module._wait_of("2.5") == 2.5
    assert client_module._wait_of(formatdate(time.time() + 50, usegmt=True)) == pytest.approx(
        50, 0.1
    )
    for nothing in (None, "", "soon", "-3", "nan", formatdate(time.time() - 50)):
        assert client_module._wait_of(nothing) == 0
    answers = iter([(429, {"Retry-After": "0.02"}, b"later")])
    state.fault = lambda path, payload: next(answers, None)
    client = Client(address)
    client.get("/props")
    assert waits[0].wait == 0.02 and client.pace.allowed == 4 + 1 / 4
    state.fault = lambda path, payload: (429, {"Retry-After": "86400"}, b"tomorrow")
    with pytest.raises(ServerError, match="come back in 86,400 s"):
        client.get("/props")
    assert client.spent.requests == 3  # no second try after the last


def test_pauses_grow_and_leave_the_random_state_as_it_is():
    """0.1 s, doubled with each try, up to 30, and up to 0.2 more by chance."""
    before = random.getstate()
    waits = [PAUSE(SimpleNamespace(outcome=None, attempt_number=n)) for n in (1, 4, 40)]
    assert random.getstate() == before
    assert [low <= wait <= low + 0.2 for wait, low in zip(waits, (0.1, 0.8, 30), strict=True)] == [
        True, True, True
    ]  # fmt: skip


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(served, status):
    state, address = served
    answers = iter([(status, {}, b"later")] * 2)
    state.fault = lambda path, payload: next(answers, None)
    client = Client(address)
    client.get("/props")
    assert (client.spent.requests, client.spent.failed) == (3, 2)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 501])
def test_what_will_not_pass_is_not(served, status):
    state, address = served
    state.fault = lambda path, payload: (status, {}, b"never, for a reason")
    client = Client(address)
    with pytest.raises(ServerError, match=f"status {status}: 'never, for a reason'"):
        client.get("/props")
    assert client.spent.requests == 1


# Budget


def test_tokens_of_a_request_and_of_an_answer():
    assert expected({"prompt": [1, 2, 3], "n_predict": 5}) == (3, 5, False)
    assert expected({"prompt": "12345", "max_tokens": 7, "n": 3}) == (2, 21, True)  # 5 / 4, up
    assert expected({"content": "not read by the model"}) == (0, 0, False)
    nested = {"input_ids": [[1, 2], [3]], "sampling_params": {"max_new_tokens": 4}}
    assert expected(nested) == (3, 4, False)
    assert usage({"tokens_evaluated": 12, "tokens_predicted": 2}) == (12, 2)
    assert usage({"usage": {"input_tokens": 3, "output_tokens": 4}}) == (3, 4)
    assert usage([{"meta_info": {"prompt_tokens": 2, "completion_tokens": 1}}] * 2) == (4, 2)
    assert usage({"usage": {"prompt_tokens": None}}) is None
    spent = Spent(read=2_000_000, written=500_000, price=(0.5, 2.0))
    assert spent.cost == 2.0  # 2 × 0.5 + 0.5 × 2
    assert math.isnan(Spent(read=5).cost)


@pytest.mark.parametrize(
    ("budget", "sent"),
    [({"most_requests": 3}, 3), ({"most_tokens": 25}, 4), ({"most_cost": 20e-6}, 3)],
)
def test_nothing_is_sent_after_the_budget(served, budget, sent):
    # A request reads 5 ids and writes 1: four are 24 tokens, a fifth would make 30. It costs
    # 5 × 1 + 1 × 1 = 6 millionths: three are 18, a fourth would make 24.
    state, address = served
    client = Client(address, price=(1, 1), **budget)
    bodies = [{"prompt": [1, 2, 3, 4, i], "n_predict": 1} for i in range(9)]
    with pytest.raises(BudgetError, match=f"{next(iter(budget))}=.*So far: {sent} requests"):
        client.map("/completion", bodies, lambda i, answer: answer)
    assert completions(state) == sent == client.spent.requests
    with pytest.raises(BudgetError):
        client.post("/completion", bodies[0], lambda answer: answer)
    assert completions(state) == sent


def test_a_budget_of_money_needs_a_price():
    with pytest.raises(ValueError, match="most_cost needs price"):
        Client("http://127.0.0.1:1", most_cost=1)
    with pytest.raises(ValueError, match="for a million tokens"):
        Client("http://127.0.0.1:1", price=(1,))


# Cache


def test_nothing_is_paid_twice(served, tmp_path):
    state, address = served
    cache = tmp_path / "answers.sqlite"
    first = sk.load(address, cache=cache)
    state.asked.clear()
    found = sk.score(first, PROMPTS, OPTIONS)
    assert completions(state) == len(PROMPTS)
    second = sk.load(address, cache=cache)
    state.asked.clear()
    assert (sk.score(second, PROMPTS, OPTIONS) == found).all()
    assert state.asked == [] and second.stored >= len(PROMPTS)
    sk.score(second, [*PROMPTS, "The capital of France is Paris? a\nAnswer:"], OPTIONS)
    assert completions(state) == 1
    state.model = "other.gguf"  # of other weights, at the same address
    third = sk.load(address, cache=cache)
    state.asked.clear()
    sk.score(third, PROMPTS, OPTIONS)
    assert completions(state) == len(PROMPTS)


def test_equal_bodies_are_draws_of_their_own(served, tmp_path):
    state, address = served
    bodies = [{"prompt": [1], "n_predict": 1}] * 3

    def asked() -> int:
        client = Client(address, store=Store(tmp_path / "s.sqlite"), identity={"model": "m"})
        before = completions(state)
        client.map("/completion", bodies, lambda i, answer: answer)
        return completions(state) - before

    assert asked() == 3
    assert asked() == 0
    bodies.append(bodies[0])
    assert asked() == 1


def test_a_garbled_answer_and_a_key_are_not_kept(served, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789")
    _, address = served
    store = Store(tmp_path / "s.sqlite")
    client = Client(address, store=store, tries=2)

    def read(answer):
        raise client_module.Garbled("never right")

    with pytest.raises(ServerError, match=r"never right \(2 tries\)"):
        client.post("/completion", {"prompt": [1], "n_predict": 1}, read)
    assert len(store) == 0
    client.post("/completion", {"prompt": [1], "n_predict": 1}, lambda answer: answer)
    assert len(store) == 1
    assert b"planted" not in store.path.read_bytes()


def test_an_interrupt_keeps_what_was_answered_and_sends_no_more(served, tmp_path, monkeypatch):
    state, address = served
    bodies = [{"prompt": [i], "n_predict": 1} for i in range(40)]

    def client():
        return Client(address, workers=2, store=Store(tmp_path / "s.sqlite"))

    once = threading.Semaphore(1)

    def fault(path, payload):
        time.sleep(0.01)
        if completions(state) >= 10 and once.acquire(blocking=False):
            os.kill(os.getpid(), signal.SIGINT)

    state.fault = fault
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever ran before this
    try:
        with pytest.raises(KeyboardInterrupt):
            client().map("/completion", bodies, lambda i, answer: answer)
    finally:
        signal.signal(signal.SIGINT, before)
    sent = completions(state)
    assert 10 <= sent <= 20
    state.fault = None
    assert len(client().map("/completion", bodies, lambda i, answer: answer)) == 40
    assert completions(state) == 40  # each was asked once


KILLED = """
import sys
from simkit.scoring.remote.client import Client
from simkit.store import Store
client = Client(sys.argv[1], workers=1, store=Store(sys.argv[2]))
client.map("/completion", [{"prompt": [i], "n_predict": 1} for i in range(40)], lambda i, a: a)
"""


def test_a_killed_process_asks_only_for_the_rest(served, tmp_path):
    state, address = served
    path = tmp_path / "s.sqlite"
    process = subprocess.Popen([sys.executable, "-c", KILLED, address, str(path)])

    def fault(route, payload):
        time.sleep(0.02)  # as long as it takes to write the last one down
        if completions(state) == 12:
            os.kill(process.pid, signal.SIGKILL)

    state.fault = fault
    assert process.wait() == -signal.SIGKILL
    sent, state.fault = completions(state), None
    kept = len(Store(path))
    assert sent - 2 <= kept < sent  # the one under way was not answered
    bodies = [{"prompt": [i], "n_predict": 1} for i in range(40)]
    Client(address, store=Store(path)).map("/completion", bodies, lambda i, answer: answer)
    assert completions(state) == sent + 40 - kept
    assert len(Store(path)) == 40


# Keys and addresses


def test_a_redirect_is_not_followed_so_that_no_key_goes_along(served, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789")
    state, address = served
    state.fault = lambda path, payload: (307, {"Location": "http://localhost:9/elsewhere"}, b"")
    with pytest.raises(ServerError, match="redirects to 'http://localhost:9/elsewhere'"):
        Client(address).post("/tokenize", {"content": "a"}, lambda answer: answer)
    assert len(state.asked) == 1


def test_a_key_that_is_none_is_not_shown(served, monkeypatch):
    for secret in ("sk-planted 1", "sk-plänted"):
        monkeypatch.setenv("OPENAI_API_KEY", secret)
        with pytest.raises(ServerError, match="OPENAI_API_KEY holds no key") as error:
            Client(served[1]).get("/props")
        assert "sk-pl" not in str(error.value)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-good\n")  # as files end
    Client(served[1]).get("/props")
    assert served[0].headers[-1]["Authorization"] == "Bearer sk-good"
    with pytest.raises(ValueError, match="holds a name or password") as refused:
        Client("https://user:secret@example.org/v1")
    assert "secret" not in str(refused.value)


def test_a_certificate_that_nobody_signed_is_refused(monkeypatch):
    client = Client("https://127.0.0.1:1")

    def request(*_, **__):
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")

    monkeypatch.setattr(client._http, "request", request)
    with pytest.raises(ServerError, match="certificate cannot be verified"):
        client.get("/props")
    assert client.spent.requests == 1


# Estimate


@pytest.mark.parametrize("speaks", ["llama.cpp", "echo"])
def test_a_dry_run_counts_what_a_run_then_spends(served, speaks):
    state, address = served
    state.speaks = speaks
    dry = load_remote(address, dry_run=True, price=(1.0, 2.0))
    before = completions(state)
    ask = sk.Question("buy it at ${price}?", ["yes", "no"])
    design = pd.DataFrame({"price": [1, 2, 3]})
    table = sk.believe(dry, ask, design, least_mass=0)
    assert completions(state) == before  # nothing was sent
    would = dry.would_spend
    real = load_remote(address)
    before, read = completions(state), real.spent.read
    found = sk.believe(real, ask, design, least_mass=0)
    assert would.requests == completions(state) - before == (3 if speaks == "llama.cpp" else 6)
    assert not np.allclose(table["belief"], found["belief"])
    if speaks == "llama.cpp":  # ids: counted, not guessed
        assert would.guessed == 0 and would.read == real.spent.read - read
    assert would.cost == pytest.approx((would.read + 2 * would.written) / 1e6)
    with pytest.raises(ValueError, match="not loaded with dry_run"):
        _ = real.would_spend


# Parquet


def test_a_parquet_file_is_scored_from_cache_and_errors_name_its_rows(served, tmp_path):
    state, address = served
    source, out, cache = (tmp_path / n for n in ("in.parquet", "out.parquet", "s.sqlite"))
    pd.DataFrame({"price": [1, 2, 3] * 2}).to_parquet(source)
    how = {"template": "buy it at ${price}?\nAnswer:", "rows": 2, "least_mass": 0.0}

    def fault(path, payload):
        body = json.dumps(state.body)
        if path == "/completion" and str(third) in body:
            return 400, {}, b"not that one"
        return None

    lm = sk.load(address, cache=cache)
    third = list(lm.dialect.contexts(["buy it at $3?\nAnswer:"])[0])
    state.fault = fault
    with pytest.raises(ServerError, match=r"^row 2: .*not that one"):
        sk.score_parquet(lm, source, out, ["yes", "no"], **how)
    assert not out.exists()
    state.fault = None
    state.asked.clear()
    seen = []
    done = sk.score_parquet(
        sk.load(address, cache=cache), source, out, ["yes", "no"], progress=seen.append, **how
    )
    assert done.prompts == 6 and len(seen) == 3 and done.stored > 0
    table = pd.read_parquet(out)
    yes, no = (math.exp(truth("buy it at $3?\nAnswer:", o)) for o in OPTIONS)
    assert table["belief"][4] == table["belief"][10] == pytest.approx(yes / (yes + no))


def test_the_command_estimates_before_it_pays(served, tmp_path):
    _, address = served
    source, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pd.DataFrame({"price": [1, 2, 3]}).to_parquet(source)
    asked = ["score", "--prompts", str(source), "--out", str(out), "--model", address,
             "--template", "buy it at ${price}?\\nAnswer:", "--options", "yes", "no",
             "--price", "1000000", "0", "--setting", "workers", "2"]  # fmt: skip
    done = CliRunner().invoke(app, [*asked, "--dry-run"])
    assert done.exit_code == 0, done.output
    assert not out.exists()
    lines = done.output.splitlines()
    assert lines[0] == "at least 3 requests" and lines[2] == "up to 3 tokens to write"
    read = 3 * (1 + len(tokenize("buy it at $1?\nAnswer:")))  # BOS before each
    assert lines[1] == f"{read} tokens to read" and lines[3] == f"{read} in money"
    asked[asked.index("--price") : asked.index("--price") + 3] = ["--setting", "most_requests", "5"]
    stopped = CliRunner().invoke(app, asked)
    assert stopped.exit_code == 2 and "the budget most_requests=5" in stopped.output
    glassbox = CliRunner().invoke(app, [*asked, "--model", "glassbox", "--dry-run"])
    assert glassbox.exit_code == 2 and "'glassbox' is none" in glassbox.output


def test_a_study_is_counted_before_it_runs(served, tmp_path, monkeypatch):
    state, address = served
    monkeypatch.chdir(tmp_path)
    before = completions(state)
    done = CliRunner().invoke(
        app, ["run", "quickstart", "--model", address, "--dry-run", "--out", str(tmp_path / "out")]
    )
    assert done.exit_code == 0, done.output
    *_, said = done.output.splitlines()
    assert re.match(r"00_quickstart, tiny: \d+ requests, \d[\d,]* tokens read and ", said), said
    assert completions(state) - before <= 12  # what the handshake asks
    assert not (tmp_path / "out").exists() and "SIMKIT_DRY_RUN" not in os.environ
    bundled = CliRunner().invoke(app, ["run", "quickstart", "--dry-run"])
    assert bundled.exit_code == 2 and "'glassbox' is none" in bundled.output
