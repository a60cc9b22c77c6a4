"""The ways to score: each takes a network, a tokenizer and a workload, and returns (n, options).

Every method gets whole texts and does its own tokenization, as its users would have it.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.workloads import Workload
from simkit.scoring.engine import kernels
from simkit.scoring.local import LocalModel

__all__ = ["METHODS", "applies"]

Scores = npt.NDArray[np.float64]
Method = Callable[[Any, Any, Workload, int], Scores]

TOKENS = 4_096  # padded tokens per forward pass of the plain loop


def simkit(network: Any, tokenizer: Any, workload: Workload, batch: int) -> Scores:
    """simkit as it comes."""
    model = LocalModel("model", network, tokenizer, asked="tree")
    return model.scores(workload.prompts, workload.options).logprob


def simkit_mkl(network: Any, tokenizer: Any, workload: Workload, batch: int) -> Scores:
    """simkit with torch's own matrix products, which are the peers' too."""
    kernels._amd = lambda: False  # type: ignore[assignment]
    return simkit(network, tokenizer, workload, batch)


@torch.inference_mode()
def padded(network: Any, tokenizer: Any, workload: Workload, batch: int) -> Scores:
    """A plain loop, done well: a padded row per prompt and option, vocabulary head where needed.

    Sorted by length, padded on the right, the head only on the positions that predict an option's
    tokens. It shares nothing, like all the others.
    """
    k = len(workload.options[0])
    texts = [p + o for p, row in zip(workload.prompts, workload.options, strict=True) for o in row]
    full = tokenizer(texts, return_attention_mask=False)["input_ids"]
    starts = np.repeat([len(ids) for ids in tokenizer(workload.prompts)["input_ids"]], k)
    out = np.empty(len(texts))
    for rows in _by_length(full):
        width = max(len(full[i]) for i in rows) - 1
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        row, at, token = [], [], []
        for r, i in enumerate(rows):
            ids[r, : len(full[i]) - 1] = torch.tensor(full[i][:-1])
            mask[r, : len(full[i]) - 1] = 1
            for t in range(starts[i], len(full[i])):
                row.append(r)
                at.append(t - 1)
                token.append(full[i][t])
        states = network.base_model(
            input_ids=ids, attention_mask=mask, use_cache=False
        ).last_hidden_state
        logits = network.get_output_embeddings()(states[row, at]).float()
        logp = logits.log_softmax(-1)[range(len(token)), token]
        total = torch.zeros(len(rows)).index_add_(0, torch.tensor(row), logp)
        out[rows] = total.numpy()
    return out.reshape(-1, k)


def _by_length(sequences: list[list[int]]) -> Iterator[list[int]]:
    batch: list[int] = []
    for i in sorted(range(len(sequences)), key=lambda i: len(sequences[i])):
        if batch and (len(batch) + 1) * len(sequences[i]) > TOKENS:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def lm_eval(network: Any, tokenizer: Any, workload: Workload, batch: int) -> Scores:
    """lm-evaluation-harness: HFLM.loglikelihood, its cache of one-token continuations on."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=network, tokenizer=tokenizer, device="cpu", batch_size=batch)
    requests = [
        Instance("loglikelihood", {}, (prompt, option), i)
        for i, (prompt, options) in enumerate(zip(workload.prompts, workload.options, strict=True))
        for option in options
    ]
    found = [logp for logp, _ in model.loglikelihood(requests, disable_tqdm=True)]
    return np.array(found).reshape(len(workload.prompts), -1)


def minicons(network: Any, tokenizer: Any, workload: Workload, batch: int) -> Scores:
    """minicons: conditional_score with the tokens' sum and no separator."""
    from minicons.scorer import IncrementalLMScorer

    scorer = IncrementalLMScorer(network, "cpu", tokenizer=tokenizer)
    pairs = [(p, o) for p, row in zip(workload.prompts, workload.options, strict=True) for o in row]
    found: list[float] = []
    for start in range(0, len(pairs), batch):
        prompts, options = zip(*pairs[start : start + batch], strict=True)
        found += scorer.conditional_score(
            list(prompts), list(options), separator="", reduction=lambda x: x.sum(0).item()
        )
    return np.array(found).reshape(len(workload.prompts), -1)


def decision(network: Any, tokenizer: Any, workload: Workload, batch: int) -> Scores:
    """transformers' pipeline("decision"): log of the belief, one-token options only."""
    from transformers import pipeline
    from transformers.decision import DecisionConfig

    options = workload.options[0]
    config = DecisionConfig(
        labels={"choice": list(options)},
        chat_template="{{ bos_token }}{{ state }}" if tokenizer.bos_token else "{{ state }}",
        sanitize_control_tokens=False,
    )
    decide = pipeline(
        "decision", model=network, tokenizer=tokenizer, device="cpu", decision_config=config
    )
    question = {"type": "choice", "criteria": dict.fromkeys(options)}
    found = [decide({"state": p, "questions": {"q": question}})["q"] for p in workload.prompts]
    return np.log([[answer["probabilities"][o] for o in options] for answer in found])


def vllm(network: Any, tokenizer: Any, workload: Workload, batch: int) -> Scores:
    """vLLM's offline engine with prefix caching, the whole workload handed over at once.

    Options of one token: the next token's log-probabilities of just these, a request per prompt.
    Longer ones: `prompt_logprobs` of prompt and option, a request for each of their pairs.
    """
    from vllm import SamplingParams

    engine = _vllm(network, tokenizer)
    prompts = tokenizer(workload.prompts)["input_ids"]
    options = [[tokenizer(o, add_special_tokens=False)["input_ids"] for o in row]
               for row in workload.options]  # fmt: skip
    if all(len(ids) == 1 for row in options for ids in row):
        alone = [[ids[0] for ids in row] for row in options]
        asked = [
            SamplingParams(max_tokens=1, temperature=0.0, logprob_token_ids=row) for row in alone
        ]
        done = engine.generate([{"prompt_token_ids": p} for p in prompts], asked, use_tqdm=False)
        tables = [d.outputs[0].logprobs[0] for d in done]
        return np.array([[t[i].logprob for i in row] for t, row in zip(tables, alone, strict=True)])
    pairs = [(p, ids) for p, row in zip(prompts, options, strict=True) for ids in row]
    done = engine.generate(
        [{"prompt_token_ids": p + ids} for p, ids in pairs],
        SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0), use_tqdm=False,
    )  # fmt: skip
    found = [
        sum(d.prompt_logprobs[len(p) + k][i].logprob for k, i in enumerate(ids))
        for d, (p, ids) in zip(done, pairs, strict=True)
    ]
    return np.array(found).reshape(len(prompts), -1)


@cache
def _vllm(network: Any, tokenizer: Any) -> Any:
    """vLLM's engine in this process, with the network's weights."""
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    from vllm import LLM

    longest = network.config.max_position_embeddings
    with tempfile.TemporaryDirectory(prefix="simkit-vllm-") as folder:
        network.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return LLM(folder, dtype="float32", enable_prefix_caching=True, max_model_len=longest)


METHODS: dict[str, Method] = {
    "simkit": simkit,
    "simkit, torch's products": simkit_mkl,
    "simkit, bf16": simkit,
    "padded loop": padded,
    "lm-eval": lm_eval,
    "minicons": minicons,
    "decision pipeline": decision,
    "vllm": vllm,
}


def applies(method: str, model: str, workload: Workload) -> bool:
    """Whether a method is measured on a workload of a model."""
    if method == "decision pipeline":  # one list of options of one token each
        return workload.name.startswith("market") or "1-token" in workload.name
    return method != "simkit, bf16" or model == "glassbox"


def quiet() -> None:
    """No progress bars and notices from the peers."""
    os.environ["TQDM_DISABLE"] = "1"
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
