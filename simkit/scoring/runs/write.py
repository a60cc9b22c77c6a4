"""Text written on from prompts, each by a seed of its own."""

from __future__ import annotations

from collections.abc import Sequence

from simkit.scoring.temperature import HOTTEST
from simkit.scoring.types import Model, ability
from simkit.types import integer, listed, scalar, shown

__all__ = ["write"]


def write(
    model: Model,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    max_tokens: int = 64,
    stop: str = "\n",
    temperature: float = 1.0,
) -> list[str]:
    """What a model writes after each prompt, up to `stop` (left out) or `max_tokens`.

    Text i depends on prompt i and seed i alone. Raises ValueError for prompts and seeds of
    different number, and numbers out of range; TypeError for a model that cannot write.
    """
    writes = ability(model, "write", "write")
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
    temperature = scalar(temperature, "temperature", 0, HOTTEST)
    return list(writes(prompts, seeds, max_tokens, stop, temperature)) if prompts else []
