"""A toy model's answer as each interface writes it.

The toy model says "I say Yes." At the choice it lists " Yes" with 0.6 and " No" with 0.3, so the
belief is 0.6 / 0.9 = 2/3 and 0.3 / 0.9 = 1/3, and with the 0.1 that is not listed Yes is between
0.6 and 0.7, No between 0.3 and 0.4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

Top = dict[str, float]  # token -> probability
Run = Sequence[tuple[str, Top]]

RUN: Run = [
    ("I", {"I": 0.9, "We": 0.08}),
    (" say", {" say": 0.7, " take": 0.2}),
    (" Yes", {" Yes": 0.6, " No": 0.3}),
    (".", {".": 0.9, "!": 0.05}),
]
TEXT = "I say Yes."
IDS = {"I": 1, "We": 2, " say": 3, " take": 4, " Yes": 5, " No": 6, ".": 7, "!": 8}


def number(token: str) -> int:
    """The id of a token; of one that the toy model does not have, any other."""
    return IDS.get(token, 100 + int.from_bytes(token.encode()))


def pair(token: str, p: float) -> dict[str, Any]:
    return {"token": token, "bytes": list(token.encode()), "logprob": math.log(p)}


def entry(token: str, top: Top) -> dict[str, Any]:
    return {**pair(token, top[token]), "top_logprobs": [pair(t, p) for t, p in top.items()]}


def entries(run: Run) -> list[dict[str, Any]]:
    return [entry(token, top) for token, top in run]


def text_of(run: Run) -> str:
    return "".join(token for token, _ in run)


def chat(run: Run) -> Any:
    message = {"role": "assistant", "content": text_of(run)}
    choice = {"index": 0, "message": message, "logprobs": {"content": entries(run)},
              "finish_reason": "stop"}  # fmt: skip
    return {"id": "c1", "object": "chat.completion", "model": "toy", "choices": [choice]}


def flat(run: Run) -> dict[str, Any]:
    return {
        "tokens": [token for token, _ in run],
        "token_logprobs": [math.log(top[token]) for token, top in run],
        "top_logprobs": [{t: math.log(p) for t, p in top.items()} for _, top in run],
    }


def completions(run: Run) -> Any:
    choice = {"index": 0, "text": text_of(run), "logprobs": flat(run), "finish_reason": "stop"}
    return {"id": "c1", "object": "text_completion", "model": "toy", "choices": [choice]}


def together(run: Run) -> Any:
    choice = {"index": 0, "message": {"content": text_of(run)}, "logprobs": flat(run),
              "finish_reason": "stop"}  # fmt: skip
    return {"model": "toy", "choices": [choice]}


def responses(run: Run) -> Any:
    content = {"type": "output_text", "text": text_of(run), "logprobs": entries(run)}
    output = [{"type": "reasoning", "summary": []}, {"type": "message", "content": [content]}]
    return {"object": "response", "model": "toy", "status": "completed", "output": output}


def llamacpp(run: Run) -> Any:
    places = [{"id": number(e["token"]), **e} for e in entries(run)]
    return {"content": text_of(run), "model": "toy", "stop": True, "stop_type": "eos",
            "completion_probabilities": places, "tokens_predicted": len(places)}  # fmt: skip


def llamacpp_old(run: Run) -> Any:
    places = [
        {"content": token, "probs": [{"tok_str": t, "prob": p} for t, p in top.items()]}
        for token, top in run
    ]
    return {"content": text_of(run), "model": "toy", "stop": True, "stopped_eos": True,
            "generation_settings": {"temperature": -1.0, "top_k": 40, "n_probs": 2},
            "completion_probabilities": places}  # fmt: skip


def ollama_chat(run: Run) -> Any:
    message = {"role": "assistant", "content": text_of(run)}
    return {"model": "toy", "message": message, "done": True, "done_reason": "stop",
            "logprobs": entries(run)}  # fmt: skip


def ollama_generate(run: Run) -> Any:
    return {"model": "toy", "response": text_of(run), "done": True, "done_reason": "stop",
            "logprobs": entries(run)}  # fmt: skip


def gemini(run: Run, snake: bool = False) -> Any:
    def name(camel: str) -> str:
        return "".join("_" + c.lower() if c.isupper() else c for c in camel) if snake else camel

    def token(text: str, p: float) -> dict[str, Any]:
        return {"token": text, name("tokenId"): number(text),
                name("logProbability"): math.log(p)}  # fmt: skip

    result = {
        name("chosenCandidates"): [token(t, top[t]) for t, top in run],
        name("topCandidates"): [
            {"candidates": [token(t, p) for t, p in top.items()]} for _, top in run
        ],
    }
    candidate = {"content": {"role": "model", "parts": [{"text": text_of(run)}]},
                 name("finishReason"): "STOP", name("logprobsResult"): result}  # fmt: skip
    return {"candidates": [candidate], name("modelVersion"): "toy"}


def gemini_snake(run: Run) -> Any:
    return gemini(run, snake=True)


def sglang(run: Run) -> Any:
    def triple(text: str, p: float) -> list[Any]:
        return [math.log(p), number(text), text]

    meta = {
        "id": "s1",
        "finish_reason": {"type": "stop", "matched": 0},
        "output_token_logprobs": [triple(t, top[t]) for t, top in run],
        "output_top_logprobs": [[triple(t, p) for t, p in top.items()] for _, top in run],
    }
    return {"text": text_of(run), "meta_info": meta, "model": "toy"}


def tgi(run: Run) -> Any:
    details = {
        "finish_reason": "eos_token",
        "tokens": [tgi_token(t, top[t]) for t, top in run],
        "top_tokens": [[tgi_token(t, p) for t, p in top.items()] for _, top in run],
    }
    return {"generated_text": text_of(run), "details": details, "model": "toy"}


def tgi_token(text: str, p: float) -> dict[str, Any]:
    return {"id": number(text), "text": text, "logprob": math.log(p), "special": False}


def vllm_prompt(run: Run) -> Any:
    """The toy's answer in the prompt, behind a first token of which nothing is said."""
    places: list[Any] = [None]
    for token, top in run:
        ranks = {t: n for n, t in enumerate(top, 1)}
        order = [token, *(t for t in top if t != token)]
        places.append({
            str(number(t)): {
                "logprob": math.log(top[t]), "rank": ranks[t], "decoded_token": t,
            }
            for t in order
        })  # fmt: skip
    choice = {"index": 0, "text": " Thanks", "logprobs": None, "prompt_logprobs": places,
              "finish_reason": "length"}  # fmt: skip
    return {"object": "text_completion", "model": "toy", "choices": [choice]}


SAMPLES: dict[str, Callable[[Run], Any]] = {
    build.__name__: build
    for build in (
        chat, completions, together, responses, llamacpp, llamacpp_old, ollama_chat,
        ollama_generate, gemini, gemini_snake, sglang, tgi, vllm_prompt,
    )
}  # fmt: skip


# ---- the same in parts -----------------------------------------------------------------------


def chat_parts(run: Run) -> list[Any]:
    def part(delta: Any, logprobs: Any, finish: Any = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return {"id": "c1", "object": "chat.completion.chunk", "model": "toy", "choices": [choice]}

    texts = [part({"content": token}, {"content": [entry(token, top)]}) for token, top in run]
    end = {"id": "c1", "object": "chat.completion.chunk", "model": "toy", "choices": [],
           "usage": {"completion_tokens": len(run)}}  # fmt: skip
    return [part({"role": "assistant", "content": ""}, None), *texts, part({}, None, "stop"), end]


def completions_parts(run: Run) -> list[Any]:
    parts = []
    for n, place in enumerate(run, 1):
        choice = {"index": 0, "text": place[0], "logprobs": flat([place]),
                  "finish_reason": "stop" if n == len(run) else None}  # fmt: skip
        parts.append({"id": "c1", "object": "text_completion", "model": "toy", "choices": [choice]})
    return parts


def responses_parts(run: Run) -> list[Any]:
    deltas = [
        {"type": "response.output_text.delta", "delta": token, "logprobs": []} for token, _ in run
    ]
    begun = {"type": "response.created", "response": {"status": "in_progress", "output": []}}
    return [begun, *deltas, {"type": "response.completed", "response": responses(run)}]


def llamacpp_parts(run: Run) -> list[Any]:
    parts = [{**llamacpp([place]), "stop": False, "index": 0, "id_slot": 0} for place in run]
    last = {"content": "", "model": "toy", "stop": True, "stop_type": "eos", "id_slot": 0}
    return [*parts, last]


def ollama_chat_parts(run: Run) -> list[Any]:
    parts = [{**ollama_chat([place]), "done": False} for place in run]
    last = {"model": "toy", "message": {"content": ""}, "done": True, "done_reason": "stop"}
    return [*parts, last]


def ollama_generate_parts(run: Run) -> list[Any]:
    parts = [{**ollama_generate([place]), "done": False} for place in run]
    return [*parts, {"model": "toy", "response": "", "done": True, "done_reason": "stop"}]


def tgi_parts(run: Run) -> list[Any]:
    parts: list[Any] = [
        {"index": n, "token": tgi_token(t, top[t]), "generated_text": None, "details": None,
         "top_tokens": [tgi_token(o, p) for o, p in top.items()]}
        for n, (t, top) in enumerate(run, 1)
    ]  # fmt: skip
    parts[-1] |= {"generated_text": text_of(run), "details": {"finish_reason": "eos_token"}}
    return parts


PARTS: dict[str, Callable[[Run], list[Any]]] = {
    build.__name__: build
    for build in (
        chat_parts, completions_parts, responses_parts, llamacpp_parts, ollama_chat_parts,
        ollama_generate_parts, tgi_parts,
    )
}  # fmt: skip
