"""A server that speaks both decision interfaces over any model that `simkit.believe` takes."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import simkit as sk

TEMPLATE = "{context}\nQuestion: {question}\nAnswer:"


class Decider:
    """What the server answers, and what stands in its way."""

    def __init__(self, model: Any, decimals: int | None = None, clip: bool = False) -> None:
        self.model, self.decimals, self.clip = model, decimals, clip
        self.paths = ["/v1/decisions", "/v1/systemone"]
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.pairs: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.spoil: Callable[[dict[str, Any]], Any] = lambda answer: answer
        self.refuses, self.mass = "", False
        self._lock = threading.Lock()

    def probabilities(self, about: str, instructions: str, options: list[str]) -> tuple[Any, float]:
        """The model's belief as it would be in one prompt of both, and the valid mass."""
        design = pd.DataFrame({"context": [about], "asked": [instructions]})
        question = sk.Question("{asked}", options, template=TEMPLATE)
        with self._lock:
            table = sk.believe(self.model, question, design, least_mass=0)
        p = table["belief"].to_numpy()
        if self.decimals is not None:
            p = p.round(self.decimals)
        return np.clip(p, 0.01, 0.99) if self.clip else p, float(table["valid_mass"][0])

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/v1/models":
            return 200, {"data": [{"id": "glassbox"}]}
        if path not in self.paths:
            return (501 if path == "/v1/systemone" else 404), {"error": "no such path"}
        self.asked.append((path, body))
        mapped = path == "/v1/systemone"
        questions = body["questions"] if mapped else dict(enumerate(body["questions"]))
        found, told = {}, {}
        for name, question in questions.items():
            about = body["state" if mapped else "input"]
            found[name], told[name] = self.one(about, question, mapped)
        whole: dict[str, Any] = {"model": "glassbox", "answers": found}
        if not mapped:
            whole["answers"] = list(found.values())
            self.pairs.append((body, whole))
        elif self.mass:
            whole["diagnostics"] = {name: {"label_mass": mass} for name, mass in told.items()}
        return 200, self.spoil(whole)

    def record(self, file: Path) -> None:
        """All that was asked of the first interface and answered, a line for each input."""
        lines: dict[str, dict[str, Any]] = {}
        for body, whole in self.pairs:
            line = lines.setdefault(body["input"], {"request": {"model": body["model"], "input":
                body["input"], "questions": []}, "response": {"answers": []}})  # fmt: skip
            asked, answers = line["request"]["questions"], line["response"]["answers"]
            for question, answer in zip(body["questions"], whole["answers"], strict=True):
                bare = {k: v for k, v in question.items() if k != "name"}
                if bare not in asked:
                    asked.append(bare)
                    answers.append({k: v for k, v in answer.items() if k != "name"})
        text = [json.dumps(line, separators=(",", ":")) + "\n" for line in lines.values()]
        file.write_bytes(gzip.compress("".join(text).encode(), mtime=0))

    def one(self, about: str, question: dict[str, Any], mapped: bool) -> tuple[dict[str, Any], Any]:
        kind, name = question["type"], {} if mapped else {"name": question.get("name")}
        if self.refuses and self.refuses in about:
            return {"type": "refusal", **name}, None
        if kind in ("predicate", "noul"):
            p, mass = self.probabilities(about, question["instructions"], ["yes", "no"])
            return {"type": kind, **name, "noul" if mapped else "probability": float(p[0])}, mass
        listed = question["criteria"] if mapped else question[
            "choices" if kind == "choice" else "levels"]  # fmt: skip
        options = list(listed) if mapped else [o.get("value", o.get("label")) for o in listed]
        p, mass = self.probabilities(about, question["instructions"], options)
        best, p = int(p.argmax()), [float(v) for v in p]
        top = {"type": kind, "confidence": p[best], **name}
        top |= (
            {"choice": options[best]}
            if kind == "choice"
            else {"score": float(np.dot(p, np.arange(len(p))))}
        )
        if mapped:
            keys = options if kind == "choice" else map(str, range(len(p)))
            return {**top, "probabilities": dict(zip(keys, p, strict=True))}, mass
        each = [{"value": o, "probability": v} for o, v in zip(options, p, strict=True)]
        if kind == "score":
            each = [{"label": e["value"], "value": j, "probability": e["probability"]}
                    for j, e in enumerate(each)]  # fmt: skip
        return {**top, "probabilities": each}, mass


@contextmanager
def deciding(decider: Decider) -> Iterator[str]:
    """The server's address, while it runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, answer = decider.answer(self.path, json.loads(raw) if raw else {})
            payload = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
