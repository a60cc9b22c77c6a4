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
    """What a model writes after each prompt.

    Parameters
    ----------
    model : Model
        A language model from `simkit.load`.
    prompts : sequence of str
    seeds : sequence of int
        One per prompt. Text i depends on prompt i and seed i alone.
    max_tokens : int
        A text ends after so many tokens at the latest.
    stop : str
        A text ends where this is written; it is left out.
    temperature : float
        0 takes the likeliest token.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        For prompts and seeds of different number, and numbers out of range.
    TypeError
        For a model that cannot write.

    Examples
    --------
    >>> import simkit as sk
    >>> model = sk.load("glassbox")
    >>> texts = sk.scoring.write(model, ["Question: At $3.00, do you buy milk?\\nAnswer:"], [1])
    >>> len(texts)
    1
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
