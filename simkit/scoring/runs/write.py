"""Text written on from prompts, each by a seed of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simkit.scoring.engine.tokens import Reader
from simkit.scoring.engine.tree import Limits
from simkit.scoring.local import LocalModel, _evaluating, check_local
from simkit.scoring.runs.generate import Sampling, grow
from simkit.types import generator, integer, listed, shown

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

    Text i depends on prompt i and seed i alone.
    Raises ValueError for prompts and seeds of different number, and numbers out of range.
    """
    check_local(model)
    prompts, seeds = listed(prompts, "prompts"), listed(seeds, "seeds")
    if len(prompts) != len(seeds):
        raise ValueError(f"{len(seeds)} seeds for {len(prompts)} prompts")
    for prompt in prompts:
        if not isinstance(prompt, str):
            raise ValueError(f"prompts hold {shown(prompt)}; they must be text")
    if not isinstance(stop, str) or not stop:
        raise ValueError(f"stop is {shown(stop)}; it must be text of one character or more")
    integer(max_tokens, "max_tokens", 1)
    for seed in seeds:
        integer(seed, "a seed", -(2**128), 2**128)
    if not prompts:
        return []
    contexts = Reader(model.tokenizer).encode(prompts)
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
