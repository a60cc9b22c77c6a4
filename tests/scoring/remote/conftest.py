"""A small server of known truth that speaks as several do, and what may stand in its way."""

from __future__ import annotations

import json
import math
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

import simkit as sk
from simkit.scoring.catalogue import gguf_of

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


BOS = 999


def numbers(context: list[int]) -> dict[int, float]:
    """Log-probabilities of all tokens that may come next; BOS says nothing."""
    found = distribution(tuple(t for t in context if t != BOS))
    return {t: math.log(p) for t, p in found.items()}


def text_of(tokens: list[int]) -> str:
    shown = (t for t in tokens if t != BOS)
    return "".join(WORDS[t] if t < len(WORDS) else chr(max(t - 1000, 1)) for t in shown)


class Served:
    """The server's state: what was asked, and what stands in the way."""

    def __init__(self) -> None:
        self.fault: Callable[[str, bytes], Any] | None = None
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self._own = threading.local()  # requests are answered side by side
        self.model = "tiny.gguf"
        self.speaks = "llama.cpp"
        self.ignores_echo = self.off_by_one = False
        self.counts_bos = False  # in an echo's offsets, as vLLM does
        self.forgets_bos = False  # when asked for tokens
        self.takes_ids = True  # vLLM: logprob_token_ids
        self.change: Callable[[float], float] = lambda value: value  # of scored log-probabilities
        self.models, self.longest = ["tiny"], 99
        self.lists, self.refuses, self.tempered = 20, {}, False
        self.next: Callable[[tuple[int, ...]], dict[int, float]] = distribution

    @property
    def body(self) -> dict[str, Any]:
        """What is asked by the request that is being answered in this thread."""
        return dict(self._own.body)

    @body.setter
    def body(self, body: dict[str, Any]) -> None:
        self._own.body = body

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """None for a path that this server does not have."""
        speak = {"llama.cpp": self.llamacpp, "echo": self.echoed, "vllm": self.vllm,
                 "sglang": self.sglang, "chat": self.chatted,
                 "router": self.chatted}[self.speaks]  # fmt: skip
        if path == "/tokenize" and "messages" in body:
            raise Refused("the tokenizer does not define a chat template")
        if path == "/tokenize" and speak not in (self.echoed, self.chatted):
            special = body.get("add_special", body.get("add_special_tokens"))
            ids = self.read(body.get("content", body.get("prompt")), special)
            return {"tokens": ids, "count": len(ids), "max_model_len": 4096}
        return speak(path, body)

    def read(self, text: str, special: bool = True) -> list[int]:
        front = [BOS] if special and not self.forgets_bos else []
        return front + tokenize(text)

    def context(self, prompt: Any) -> list[int]:
        return [BOS, *tokenize(prompt)] if isinstance(prompt, str) else list(prompt)

    def scored(self, tokens: list[int], start: int) -> list[float]:
        """Log-probabilities of tokens[start:]."""
        shift = 1 if self.off_by_one else 0
        return [
            self.change(numbers(tokens[: j + shift]).get(tokens[j], -20.0))
            for j in range(start, len(tokens))
        ]

    def llamacpp(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        if path == "/props":
            return {"default_generation_settings": {"n_ctx": 4096}, "model_path": self.model,
                    "chat_template": "", "bos_token": "", "eos_token": ""}  # fmt: skip
        if path != "/completion":
            return None
        context, places = self.context(body["prompt"]), []
        n = len(context)
        forced = [int(t) for t in re.findall(r"<\[(\d+)\]>", body.get("grammar", ""))]
        for j in range(body["n_predict"]):
            found = numbers(context)
            best = sorted(found, key=lambda t: -found[t])
            token = forced[j] if forced else best[0]
            listed = [self.entry(t, found[t], forced) for t in best[: body.get("n_probs", 0)]]
            place = self.entry(token, found.get(token, -20.0), forced)
            places.append(place | {"top_logprobs": listed})
            context.append(token)
        return {"content": text_of([p["id"] for p in places]), "truncated": False,
                "tokens": [p["id"] for p in places], "prompt": "<s>" + text_of(context[:n]),
                "completion_probabilities": places, "stop_type": "limit", "model": self.model,
                "tokens_predicted": len(places), "tokens_evaluated": n}  # fmt: skip

    def entry(self, token: int, value: float, forced: Any = ()) -> dict[str, Any]:
        value = self.change(value) if forced else value
        return {"id": token, "token": text_of([token]), "logprob": value}

    def echoed(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """As vLLM's completions do it for text."""
        if path == "/v1/models":
            return {"data": [{"id": self.model, "max_model_len": 4096}]}
        if path != "/v1/completions":
            return None
        ids = self.context(body["prompt"])
        found = numbers(ids)
        best = max(found, key=lambda t: found[t])
        shown = [t for t in [*ids, best] if t != BOS]
        values: list[Any] = [None, *self.scored(shown, 1)[:-1], found[best]]
        texts = [text_of([t]) for t in shown]
        if self.counts_bos and body.get("echo"):
            shown, texts = [BOS, *shown], ["<s>", *texts]
            values = [None, *self.scored(ids, 1), found[best]]
        starts = [sum(map(len, texts[:j])) for j in range(len(texts))]
        if self.ignores_echo or not body.get("echo"):
            texts, values, starts = texts[-1:], values[-1:], [0]
        top = sorted(found.items(), key=lambda pair: -pair[1])[: body.get("logprobs") or 0]
        wanted = body.get("logprob_token_ids") if self.takes_ids else None
        if wanted:
            top = [(t, self.change(found.get(t, -20.0))) for t in [best, *wanted]]
        named = body.get("return_tokens_as_token_ids")
        last = {f"token_id:{t}" if named else text_of([t]): value for t, value in top}
        logprobs = {"tokens": texts, "token_logprobs": values, "text_offset": starts,
                    "top_logprobs": [*([None] * (len(texts) - 1)), last]}  # fmt: skip
        choice = {
            "text": "".join(texts).removeprefix("<s>"),
            "logprobs": logprobs,
            "finish_reason": "length",
        }
        return {"model": self.model, "choices": [choice],
                "usage": {"prompt_tokens": len(ids), "completion_tokens": 1}}  # fmt: skip

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
            listed = [self.chat_entry(t, max(found[t], 1e-300)) for t in best[: self.lists]]
            listed = listed[: body.get("top_logprobs") or 0]
            places.append(self.chat_entry(token, found[token]) | {"top_logprobs": listed})
            context.append(token)
        text = "".join(place["token"] for place in places)
        logprobs = {"content": places} if body.get("logprobs") and self.lists else None
        choice = {"message": {"role": "assistant", "content": text}, "logprobs": logprobs,
                  "finish_reason": "stop" if len(places) == self.longest else "length"}  # fmt: skip
        return {"model": "tiny-1", "choices": [choice], "usage": {"completion_tokens": 1}}

    @staticmethod
    def chat_entry(token: int, p: float) -> dict[str, Any]:
        return {
            "id": token,
            "token": WORDS[token] if token < 1000 else chr(token - 1000),
            "logprob": math.log(p),
        }

    def vllm(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        if path == "/version":
            return {"version": "0.21.0"}
        answer = self.echoed(path, body)
        if answer is None or path != "/v1/completions":
            return answer
        ids = self.context(body["prompt"])
        if body.get("prompt_logprobs") is not None:
            answer["choices"][0]["prompt_logprobs"] = [None] + [
                {str(t): {"logprob": value, "rank": 3, "decoded_token": text_of([t])}}
                for t, value in zip(ids[1:], self.scored(ids, 1), strict=True)
            ]
        if body.get("return_token_ids"):
            answer["choices"][0]["prompt_token_ids"] = ids
        return answer

    def sglang(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        if path == "/get_model_info":
            return {"model_path": self.model, "is_generation": True}
        if path != "/generate":
            return None
        ids = self.context(body.get("input_ids") or body["text"])
        found = numbers(ids)
        start = body.get("logprob_start_len", -1)
        start = len(ids) if start < 0 else start
        best = sorted(found, key=lambda t: -found[t])
        rows = zip(self.scored(ids, start), ids[start:], strict=True)
        meta = {
            "prompt_tokens": len(ids), "completion_tokens": 1, "weight_version": self.model,
            "input_token_logprobs": [[None if j == 0 else v, t, None]
                                     for j, (v, t) in enumerate(rows)],
            "output_top_logprobs": [[[found[t], t, text_of([t])] for t in
                                     best[: body.get("top_logprobs_num", 0)]]],
            "output_token_ids_logprobs": [[[self.change(found.get(t, -20.0)), t, None] for t in
                                           body.get("token_ids_logprob") or []]],
            "finish_reason": {"type": "length", "length": 1},
        }  # fmt: skip
        if body.get("return_prompt_token_ids"):
            meta["prompt_token_ids"] = ids
        return {"text": text_of(best[:1]), "meta_info": meta}


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
            served.body = body
            served.headers.append(dict(self.headers))
            try:
                answer = served.answer(self.path, body)
                status, headers = (404 if answer is None else 200), {}
            except Refused as why:
                answer, status, headers = {"error": {"message": str(why)}}, 400, {}
            payload = json.dumps(answer).encode()
            if served.fault is not None:
                spoilt = served.fault(self.path, payload)
                if spoilt == "late":  # nothing comes before the client's time is over
                    threading.Event().wait(0.15)
                    self.close_connection = True
                    return
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


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once."""
    monkeypatch.setattr("simkit.scoring.remote.client._pause", lambda state: 0)


@pytest.fixture
def served() -> Iterator[tuple[Served, str]]:
    state = Served()
    server = serve(state)
    yield state, f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


@contextmanager
def llama(file: Path, context: int) -> Iterator[str]:
    """The address of a real llama.cpp server of a GGUF file, in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    call = [sys.executable, str(Path(__file__).with_name("llama.py")), str(file), str(port)]
    quiet = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*call, str(context)], **quiet) as process:
        try:
            for _ in range(300):
                assert process.poll() is None, f"the server of {file.name} ended"
                try:
                    if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="session")
def glassbox_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server of the glass box, exported in float32."""
    pytest.importorskip("xllamacpp")
    file = sk.export_gguf(sk.load("glassbox"), tmp_path_factory.mktemp("gguf") / "glassbox.gguf")
    with llama(file, 256) as address:
        yield address


@pytest.fixture(scope="session")
def smollm2_server() -> Iterator[str]:
    """A real server of a real model."""
    pytest.importorskip("xllamacpp")
    if not (file := gguf_of("smollm2")).is_file():
        pytest.skip(f"no {file.name}: run `simkit models add smollm2`")
    with llama(file, 2048) as address:
        yield address
