"""Every fault between a server and us: `python -m tests.scoring.remote.faults --faults 2000`.

Each trial scores 3 prompts × 5 options, tokens asked for anew, while answers are spoilt, now
and then or from one on. It must end with the numbers of the clean run, with no request beyond the
clean run's but those whose answers were spoilt, or with an error that names the row. Faults of
transport meet all requests; those in an answer meet answers that hold scores.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np

import simkit as sk
from simkit.scoring.remote import ServerError, client, load_remote
from simkit.scoring.remote.ids import PROBE
from simkit.scoring.remote.pace import Pace
from tests.scoring.remote.conftest import Served, serve

PROMPTS = [f"The capital of France is Paris? buy it at ${i}\nAnswer:" for i in (1, 2, 3)]
OPTIONS = (" yes", " no", " maybe the", " yes it is", " a b c d")
SPEAK = ["llama.cpp", "vllm", "sglang", "echo"]
SCORING = ("/completion", "/v1/completions", "/generate")
TRANSPORT = {
    "too late": "late", "reset in mid-body": "reset", "429": (429, {}, b"later"),
    "429 with Retry-After": (429, {"Retry-After": "0.001"}, b"later"),
    "500": (500, {}, b"oh"), "503": (503, {}, b"later"),
    "a gateway's page": (200, {}, b"<html>gateway</html>"),
}  # fmt: skip
INSIDE = ["truncated JSON", "malformed JSON", "NaN", "a probability", "positive", "null",
          "missing token", "doubled token", "other token", "another's answer",
          "a model that changed"]  # fmt: skip
FAULTS = [*TRANSPORT, *INSIDE]


def leaves(part: Any, kind: type) -> list[tuple[Any, Any]]:
    """Where in an answer there are values of a kind: holder and key, log-probabilities only."""
    items = part.items() if isinstance(part, dict) else enumerate(part)
    found = []
    for at, value in [*items]:
        if isinstance(value, kind) and (kind is not float or value < 0):
            found.append((part, at))
        if isinstance(value, dict | list):
            found += leaves(value, kind)
    return found


class Spoiler:
    """Spoils answers: `share` of them, by chance, or all from a chosen one on."""

    def __init__(self, state: Served, kind: str, seed: int) -> None:
        self.state, self.kind, self.draw = state, kind, random.Random(f"{kind} {seed}")
        self.stays = self.draw.random() < 0.25 or kind == "a model that changed"
        self.first, self.seen, self.made = self.draw.randrange(8), 0, 0
        self.earlier: dict[str, bytes] = {}
        self.lock = threading.Lock()

    def __call__(self, path: str, payload: bytes) -> Any:
        with self.lock:
            if self.kind in INSIDE and path not in SCORING:
                return None
            self.seen += 1
            hit = self.seen > self.first and (self.stays or self.draw.random() < 0.3)
            spoilt = self.spoil(path, payload) if hit else None
            self.earlier[path] = payload
            self.made += spoilt is not None
            return spoilt

    def spoil(self, path: str, payload: bytes) -> Any:
        if self.kind in TRANSPORT:
            return TRANSPORT[self.kind]
        if self.kind == "another's answer":
            other = self.earlier.get(path, payload)
            return (200, {}, other) if other != payload else None
        if self.kind == "truncated JSON":
            return 200, {}, payload[: self.draw.randrange(1, len(payload))]
        if self.kind == "malformed JSON":
            at = self.draw.choice([i for i, c in enumerate(payload) if c in b"{}[]:"])
            return 200, {}, payload[:at] + payload[at + 1 :]
        answer = json.loads(payload)
        if not self.change(answer):
            return None
        return 200, {}, json.dumps(answer).encode()

    def change(self, answer: dict[str, Any]) -> bool:
        """One change of an answer, False where there is nothing to change."""
        if self.kind == "a model that changed":
            part = answer.get("meta_info", answer)
            part["weight_version" if "meta_info" in answer else "model"] = "other"
            return True
        if self.kind in ("missing token", "doubled token"):
            lists = [(p, k) for p, k in leaves(answer, list) if p[k] and k not in ("tokens",)]
            part, at = self.draw.choice(lists)
            if self.kind == "missing token":
                part[at].pop(self.draw.randrange(len(part[at])))
            else:
                part[at].append(part[at][-1])
            return True
        if self.kind == "other token":
            return self.other(answer)
        numbers = leaves(answer, float)
        if not numbers:
            return False
        part, at = self.draw.choice(numbers)
        changed = {"NaN": math.nan, "a probability": math.exp(part[at]), "positive": -part[at],
                   "null": None}  # fmt: skip
        part[at] = changed[self.kind]
        return True

    def other(self, answer: dict[str, Any]) -> bool:
        """Another token in the place of one that was asked for."""
        if "completion_probabilities" in answer:
            self.draw.choice(answer["completion_probabilities"])["id"] += 1
        elif "meta_info" in answer:
            meta = answer["meta_info"]
            rows = meta["input_token_logprobs"] or meta["output_token_ids_logprobs"][0]
            self.draw.choice(rows)[1] += 1
        elif answer["choices"][0].get("prompt_logprobs"):
            places = answer["choices"][0]["prompt_logprobs"]
            places[-1] = {str(int(t) + 1): v for t, v in places[-1].items()}
        elif "prompt_token_ids" in answer["choices"][0]:
            answer["choices"][0]["prompt_token_ids"][-1] += 1
        else:
            tokens = answer["choices"][0]["logprobs"]["tokens"]
            tokens[-2] = "x" * len(tokens[-2])
        return True


class Behind(Served):
    """In front of a real server: what it answers is passed on, unless it is spoilt."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.real = httpx.Client(base_url=address, timeout=60)

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        found = self.real.post(path, json=body) if body else self.real.get(path)
        return found.json() if found.status_code == 200 else None


@contextmanager
def at_once() -> Iterator[None]:
    """Tries that follow each other without a pause."""
    kept, client._pause = client._pause, lambda state: 0  # type: ignore[assignment]
    try:
        yield
    finally:
        client._pause = kept


def anew(lm: Any) -> None:
    """As if just connected: tokens are asked for again, but for the probe's, at full pace."""
    lm.dialect.client.pace = Pace(8, None, None)
    ids = getattr(lm.dialect, "_ids", {})
    for known in [known for known in ids if known[0] != PROBE]:
        del ids[known]


def outcome(state: Served, lm: Any, kind: str, seed: int, exact: Any, needed: int) -> str | None:
    """How one trial ends; None where no answer was spoilt."""
    anew(lm)
    lm.dialect.client._http.timeout = 0.05 if kind == "too late" else 30
    state.fault = spoiler = Spoiler(state, kind, seed)
    before = len(state.asked)
    try:
        found = sk.score(lm, PROMPTS, OPTIONS)
    except (ServerError, ValueError) as error:
        named = re.match(r"row \d+: ", str(error))
        return "error names the row" if named else f"error without a row: {error}"
    finally:
        state.fault = None
    if not spoiler.made:
        return None
    if not np.allclose(found, exact, atol=1e-4, rtol=0):
        return "OTHER NUMBERS"
    asked = len(state.asked) - before
    # A list without a token says nothing wrong; that token is then asked for by itself.
    spare = len(PROMPTS) * len(OPTIONS) if kind == "missing token" else 0
    return "equal" if asked <= needed + spoiler.made + spare else "REQUESTS TOO MANY"


def trials(faults: int, real: str | None = None, seed: int = 0) -> Counter[tuple[str, str, str]]:
    """Counts of (server, fault, outcome): the faults in turn, at each server in turn."""
    counts: Counter[tuple[str, str, str]] = Counter()
    state = Behind(real) if real else Served()
    server = serve(state)
    address = f"http://127.0.0.1:{server.server_port}"
    clean: dict[str, tuple[Any, Any, int]] = {}
    speak = ["real llama.cpp"] if real else SPEAK
    with at_once():
        while counts.total() < faults:
            kind = FAULTS[seed % len(FAULTS)]
            speaks = speak[seed // len(FAULTS) % len(speak)]
            state.speaks = speaks
            if speaks not in clean:
                lm = load_remote(address, tries=8)
                anew(lm)
                before = len(state.asked)
                clean[speaks] = lm, sk.score(lm, PROMPTS, OPTIONS), len(state.asked) - before
            lm, exact, needed = clean[speaks]
            ended = outcome(state, lm, kind, seed, exact, needed)
            if ended is not None:
                counts[speaks, kind, ended] += 1
            seed += 1
    server.shutdown()
    return counts


def table(counts: Counter[tuple[str, str, str]]) -> str:
    """Fault × count × outcome."""
    lines = [f"{'fault':24}{'count':>8}{'equal':>8}{'error names the row':>22}{'else':>8}"]
    rows = [*FAULTS, None]
    for kind in rows:
        some = {e: sum(n for (_, k, o), n in counts.items() if kind in (k, None) and o == e)
                for e in {o for _, _, o in counts}}  # fmt: skip
        n, equal, named = sum(some.values()), some.get("equal", 0), some.get(NAMED, 0)
        lines.append(f"{kind or 'all':24}{n:8}{equal:8}{named:22}{n - equal - named:8}")
    return "\n".join(lines)


NAMED = "error names the row"


def bad(counts: Counter[tuple[str, str, str]]) -> list[str]:
    """What is neither equal nor an error that names the row."""
    return [f"{n} × {' / '.join(c)}" for c, n in counts.items() if c[2] not in ("equal", NAMED)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--faults", type=int, default=2000)
    parser.add_argument("--real", help="address of a llama.cpp server, to stand in front of")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    made = trials(asked.faults, asked.real, asked.seed)
    print(table(made), *bad(made), sep="\n")
    raise SystemExit(bool(bad(made)))
