"""Valid mass: the probability that a model goes on with one of the options at all.

A belief is what the options have of each other, whatever they have together. Where the model would
rather write something else, the belief is a ratio of small numbers and no answer of the model's.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable

import numpy as np
import torch

from simkit.scoring.engine.tokens import Reader, unpack
from simkit.scoring.forms import Spelled
from simkit.scoring.local import LocalModel, _evaluating
from simkit.scoring.types import Model
from simkit.types import FloatArray

__all__ = ["LEAST_MASS", "LowMassWarning", "check_least_mass", "warn_of_mass"]

LEAST_MASS = 0.5
SHOWN, SEEN = 5, 1e-3  # continuations that the warning names, and their least probability

# Where it stands ("row 3"), the prompt, the separator, and the options' spellings without it.
Place = tuple[str, str, str, Spelled]


class LowMassWarning(UserWarning):
    """A belief rests on little valid mass, so that it is not to be trusted."""


def check_least_mass(least_mass: float) -> float:
    """`least_mass` as a float; ValueError unless it is from 0 to 1."""
    if not isinstance(least_mass, int | float | np.number) or not 0 <= least_mass <= 1:
        raise ValueError(f"least_mass is {least_mass!r}; it must be a number from 0 to 1")
    return float(least_mass)


def warn_of_mass(
    model: Model,
    mass: FloatArray,
    least_mass: float,
    place: Callable[[int], Place],
    unit: str = "prompts",
) -> None:
    """Warn, once per call, if the valid mass of some prompts is below `least_mass`.

    mass : (n,), of each prompt. place : what was asked in the lowest one; of a `LocalModel` the
    likeliest next tokens are read there (one forward pass), and the warning names them and those
    that spell an option in another way. unit : "prompts" or "runs".
    """
    low = np.flatnonzero(~(mass >= least_mass))
    if not len(low):
        return
    worst = int(low[np.argmin(mass[low])])
    where, prompt, separator, spelled = place(worst)
    text = (
        f"valid mass, the probability that the model goes on with one of the options at all, is "
        f"below {least_mass:g} in {len(low)} of {len(mass)} {unit} (mean {mass.mean():.2g}, lowest "
        f"{mass[worst]:.2g} in {where}): these beliefs are not to be "
        "trusted"
    )
    if isinstance(model, LocalModel):
        likely = _next_tokens(model, prompt)
        text += ". There the model would rather write "
        text += ", ".join(f"{token!r} {p:.2g}" for token, p in likely)
        text += _advice([token for token, _ in likely], separator, spelled)
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("simkit."):
        frame = frame.f_back
    # Python shows an equal warning once per line; without a registry it does so at every call.
    warnings.warn_explicit(text, LowMassWarning, frame.f_code.co_filename, frame.f_lineno)


@torch.inference_mode()
def _next_tokens(model: LocalModel, prompt: str) -> list[tuple[str, float]]:
    """The likeliest tokens after a prompt, as they would be written, with their probability."""
    ids = unpack(Reader(model.tokenizer).encode([prompt])[0]).tolist()
    with _evaluating(model.network):
        logits = model.network(torch.tensor([ids], device=model.device)).logits[0, -1]
    best = logits.float().softmax(-1).topk(SHOWN)
    tail = ids[-8:]  # a tokenizer may drop the blank that opens a text: so decode behind another
    before = _decode(model, tail)
    found = []
    for token, p in zip(best.indices.tolist(), best.values.tolist(), strict=True):
        whole = _decode(model, [*tail, token])
        own = whole.removeprefix(before) if whole.startswith(before) else _decode(model, [token])
        found.append((own, p))
    return [(own, p) for own, p in found if p >= SEEN] or found[:1]


def _decode(model: LocalModel, ids: list[int]) -> str:
    return str(model.tokenizer.decode(ids, clean_up_tokenization_spaces=False))


def _advice(tokens: list[str], separator: str, spelled: Spelled) -> str:
    """Which tokens spell an option in another way, and how they are counted."""
    forms: dict[str, list[str]] = {}
    elsewhere: list[str] = []
    for token in tokens:
        bare = _bare(token)
        owners = {some[0] for some in spelled if bare and bare in map(_bare, some)}
        counted = {separator + form for some in spelled for form in some}
        if len(owners) != 1 or token in counted:
            continue
        if token.startswith(separator):
            forms.setdefault(owners.pop(), []).append(token.removeprefix(separator))
        else:
            elsewhere.append(f"{token!r} ({owners.pop()!r})")
    said = ""
    if forms:
        said += f"; forms={forms} in the question would count other spellings of the options"
    if elsewhere:
        said += (
            f"; {', '.join(elsewhere)} spell options without the separator {separator!r}: give "
            "separator='' and options or forms with the blanks that they need"
        )
    return said or "; none of these is an option in another spelling: ask so that one of them is"


def _bare(text: str) -> str:
    """Letters and digits, whatever their case."""
    return re.sub(r"[\W_]+", "", text).casefold()
