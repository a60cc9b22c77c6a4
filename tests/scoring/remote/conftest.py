"""A small server of known truth that speaks as llama.cpp does, and a proxy that breaks it."""

from __future__ import annotations

import json
import math
import random
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

WORDS = ["The", " capital", " of", " France", " is", " Paris", " the", " yes", " no", " maybe",
         " Yes", " No", " buy", " it", "?", " at", " $", "1", "2", "3", "\n", "Answer", ":",
         " a", " b", " c", " d"]  # fmt: skip


def tokenize(text: str) -> list[int]:
    """Longest word first; single characters have ids of their own."""
    ids = []
    while text:
        word = max((w for w in WORDS if text.startswith(w)), key=len, default=None)
        ids.append(WORDS.index(word) if word else 1000 + ord(text[0]))
        text = text[len(word) if word else 1 :]
    return ids


def distribution(context: tuple[int, ...]) -> dict[int, float]:
    """Of the next token: by a generator of the context, so the same for everybody."""
    draw = random.Random(repr(context))
    weights = [draw.expovariate(1) ** 2 for _ in WORDS]
    total = sum(weights) / 0.97  # 0.03 is on tokens that no list has
    return {i: w / total for i, w in enumerate(weights)}


def truth(prompt: str, option: str) -> float:
    """Log-probability of an option, by the definition."""
    context, total = tokenize(prompt), 0.0
    for token in tokenize(option):
        total += math.log(distribution(tuple(context))[token])
        context.append(token)
    return total


class Refused(Exception):
    """A parameter that is not taken."""


def laid(messages: list[dict[str, str]]) -> str:
    """The prompt that a chat's template makes."""
    return "".join(f"[{turn['role']}]{turn['content']}" for turn in messages) + "[assistant]"


class Served:
    """The server's state: what was asked, and what stands in the way."""

    def __init__(self) -> None:
        self.fault: Callable[[str, bytes], Any] | None = None
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.model = "tiny.gguf"
        self.speaks = "llama.cpp"
        self.ignores_echo = self.off_by_one = False
        self.models, self.longest = ["tiny"], 99
        self.lists, self.refuses, self.tempered = 20, {}, False
        self.next: Callable[[tuple[int, ...]], dict[int, float]] = distribution

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """None for a path that this server does not have."""
        if self.speaks in ("chat", "router"):
            return self.chatted(path, body)
        if self.speaks == "echo":
            return self.echoed(path, body)
        if path == "/props":
            return {"default_generation_settings": {"n_ctx": 4096}, "model_path": self.model,
                    "chat_template": "", "bos_token": "", "eos_token": ""}  # fmt: skip
        if path == "/tokenize":
            return {"tokens": tokenize(body["content"])}
        if path != "/completion":
            return None
        context, places = list(body["prompt"]), []
        forced = [int(t) for t in re.findall(r"<\[(\d+)\]>", body.get("grammar", ""))]
        for j in range(body["n_predict"]):
            found = distribution(tuple(context))
            best = sorted(found, key=lambda t: -found[t])
            token = forced[j] if forced else best[0]
            listed = [self.entry(t, found[t]) for t in best[: body.get("n_probs", 0)]]
            places.append(self.entry(token, found.get(token, 1e-9)) | {"top_logprobs": listed})
            context.append(token)
        text = "".join(WORDS[p["id"]] for p in places)
        return {"content": text, "tokens": [p["id"] for p in places], "truncated": False,
                "completion_probabilities": places, "stop_type": "limit", "model": self.model,
                "tokens_predicted": len(places), }  # fmt: skip

    def echoed(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """As vLLM's completions do it."""
        if path == "/v1/models":
            return {"data": [{"id": "tiny"}]}
        if path != "/v1/completions":
            return None
        ids = tokenize(body["prompt"])
        found = [distribution(tuple(ids[:j])) for j in range(len(ids) + 1)]
        best = max(found[-1], key=lambda t: found[-1][t])
        tokens = [*ids, best]
        shift = 1 if self.off_by_one else 0
        values: list[float | None] = [
            math.log(found[min(j + shift, len(ids))].get(t, 1e-9)) for j, t in enumerate(tokens)
        ]
        values[0] = None
        texts = [WORDS[t] if t < 1000 else chr(t - 1000) for t in tokens]
        starts = [sum(map(len, texts[:j])) for j in range(len(texts))]
        if self.ignores_echo or not body.get("echo"):
            texts, values, starts = texts[-1:], [math.log(found[-1][best])], [0]
        top = sorted(found[-1].items(), key=lambda pair: -pair[1])[: body.get("logprobs") or 0]
        listed: list[Any] = [None] * (len(texts) - 1)
        logprobs = {"tokens": texts, "token_logprobs": values, "text_offset": starts,
                    "top_logprobs": [*listed, {WORDS[t]: math.log(p) for t, p in top}]}  # fmt: skip
        choice = {"text": "".join(texts), "logprobs": logprobs, "finish_reason": "length"}
        return {"model": "tiny", "choices": [choice], "usage": {"completion_tokens": 1}}

    def chatted(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """As chat completions do it; a router makes a chat of completions, too."""
        if path == "/v1/models":
            return {"data": [{"id": name} for name in self.models]}
        if path == "/v1/completions" and self.speaks == "router":
            body = {**body, "messages": [{"role": "user", "content": body["prompt"]}]}
            text = self.chatted("/v1/chat/completions", body)["choices"][0]["message"]["content"]
            return {"model": "tiny", "choices": [{"text": text, "logprobs": None}]}
        if path != "/v1/chat/completions":
            return None
        for name, why in self.refuses.items():
            if name in body and (name, body[name]) != ("temperature", 1):
                raise Refused(why)
        context, places = tokenize(laid(body["messages"])), []
        draw = random.Random(f"{context}{body.get('seed')}{body.get('user')}")
        heat = body.get("temperature", 1)
        for _ in range(min(body.get("max_tokens") or body["max_completion_tokens"], self.longest)):
            found = self.next(tuple(context))
            if self.tempered:
                heated = {t: p ** (1 / max(heat, 1e-2)) for t, p in found.items()}
                found = {t: p / sum(heated.values()) for t, p in heated.items()}
            best = sorted(found, key=lambda t: -found[t])
            token = draw.choices([*found], [*found.values()])[0] if heat else best[0]
            listed = [self.entry(t, max(found[t], 1e-300)) for t in best[: self.lists]]
            listed = listed[: body.get("top_logprobs") or 0]
            places.append(self.entry(token, found[token]) | {"top_logprobs": listed})
            context.append(token)
        text = "".join(place["token"] for place in places)
        logprobs = {"content": places} if body.get("logprobs") and self.lists else None
        choice = {"message": {"role": "assistant", "content": text}, "logprobs": logprobs,
                  "finish_reason": "stop" if len(places) == self.longest else "length"}  # fmt: skip
        return {"model": "tiny-1", "choices": [choice], "usage": {"completion_tokens": 1}}

    @staticmethod
    def entry(token: int, p: float) -> dict[str, Any]:
        return {
            "id": token,
            "token": WORDS[token] if token < 1000 else chr(token - 1000),
            "logprob": math.log(p),
        }


def serve(served: Served) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer waits 40 ms for the client's system

        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            body = json.loads(raw) if raw else {}
            served.asked.append((self.path, body))
            served.headers.append(dict(self.headers))
            try:
                answer = served.answer(self.path, body)
                status, headers = (404 if answer is None else 200), {}
            except Refused as why:
                answer, status, headers = {"error": {"message": str(why)}}, 400, {}
            payload = json.dumps(answer).encode()
            if served.fault is not None:
                spoilt = served.fault(self.path, payload)
                if spoilt == "reset":
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(payload)))
                    self.end_headers()
                    self.wfile.write(payload[: len(payload) // 2])
                    self.wfile.flush()
                    self.connection.close()
                    self.close_connection = True
                    return
                if spoilt is not None:
                    status, headers, payload = spoilt
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(payload))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


@pytest.fixture
def served() -> Iterator[tuple[Served, str]]:
    state = Served()
    server = serve(state)
    yield state, f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
