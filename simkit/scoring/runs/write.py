"""Text written on from prompts, each by a seed of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simkit.scoring.engine.tokens import Reader
from simkit.scoring.engine.tree import Limits
from simkit.scoring.local import LocalModel, _evaluating
from simkit.scoring.runs.generate import Sampling, grow
from simkit.types import generator

__all__ = ["write"]


def write(
    model: LocalModel,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    max_tokens: int = 64,
    stop: str = "\n",
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> list[str]:
    """What a model writes after each prompt, up to `stop` (left out) or `max_tokens`.

    Text i depends on prompt i and seed i alone. With the model filled in
    (functools.partial(write, model)) it is the `write` of `personas.interview` and `back_stories`.
    Raises ValueError for prompts and seeds of different number, and numbers out of range.
    """
    if len(prompts) != len(seeds):
        raise ValueError(f"{len(seeds)} seeds for {len(prompts)} prompts")
    if max_tokens < 1 or not stop:
        raise ValueError(f"max_tokens is {max_tokens}, stop {stop!r}; legal are 1 or more, text")
    contexts = Reader(model.tokenizer).encode(list(prompts))
    first = {context: i for i, context in enumerate(dict.fromkeys(contexts))}
    runs: list[list[int]] = [[] for _ in first]
    for run, context in enumerate(contexts):
        runs[first[context]].append(run)
    uniforms = np.stack([generator(int(seed), "write").random(max_tokens) for seed in seeds])
    with _evaluating(model.network):
        written = grow(
            model.network, model.tokenizer, list(first), [np.array(r) for r in runs], uniforms,
            marker=stop, kept=model.path == "tree",
            sampling=Sampling(temperature, top_k, top_p),
            limits=Limits.of(model.network, model.budget),
        )  # fmt: skip
    texts = [""] * len(prompts)
    for some in written:
        for run in some.runs.tolist():
            texts[run] = some.text if some.found < 0 else some.text[: some.found]
    return texts
