"""Valid mass: the probability that a model goes on with one of the options at all.

A belief compares the options with each other, however little probability they have together. Where
the model would rather write something else, the belief is a ratio of small numbers, not an answer.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable

import numpy as np

from simkit.scoring.forms import Spelled
from simkit.scoring.types import Model
from simkit.types import FloatArray

__all__ = ["LEAST_MASS", "LowMassWarning", "warn_of_mass"]

LEAST_MASS = 0.5

# Where it stands ("row 3"), the prompt, the separator, and the options' spellings without it.
Place = tuple[str, str, str, Spelled]


class LowMassWarning(UserWarning):
    """A belief rests on little valid mass, so it should not be trusted."""


def warn_of_mass(
    model: Model,
    mass: FloatArray,
    least_mass: float,
    place: Callable[[int], Place],
) -> None:
    """Warn, once per call, if the valid mass of some prompts is below `least_mass`.

    mass : (n,), of each prompt. place : what was asked in the lowest one; a model with
    `next_tokens` is asked there, and the warning names them and those that spell an option in
    another way.
    """
    low = np.flatnonzero(~(mass >= least_mass))
    if not len(low):
        return
    worst = int(low[np.argmin(mass[low])])
    where, prompt, separator, spelled = place(worst)
    text = (
        f"valid mass, the probability that the model goes on with one of the options at all, is "
        f"below {least_mass:g} in {len(low)} of {len(mass)} prompts (mean {mass.mean():.2g}, "
        f"lowest {mass[worst]:.2g} in {where}): these beliefs are not to be trusted"
    )
    next_tokens = getattr(model, "next_tokens", None)
    likely = [] if next_tokens is None else next_tokens(prompt)
    if likely:
        words = ", ".join(f"{token!r} {p:.2g}" for token, p in likely)
        advice = _advice([token for token, _ in likely], separator, spelled)
        text += f". There the model would rather write {words}{advice}"
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("simkit."):
        frame = frame.f_back
    # Python shows an equal warning once per line; without a registry it does so at every call.
    warnings.warn_explicit(text, LowMassWarning, frame.f_code.co_filename, frame.f_lineno)


def _advice(tokens: list[str], separator: str, spelled: Spelled) -> str:
    """Which tokens spell an option in another way, and how they are counted."""
    forms: dict[str, list[str]] = {}
    elsewhere: list[str] = []
    for token in tokens:
        bare = _bare(token)
        owners = {spellings[0] for spellings in spelled if bare and bare in map(_bare, spellings)}
        counted = {separator + form for spellings in spelled for form in spellings}
        if len(owners) != 1 or token in counted:
            continue
        if token.startswith(separator):
            forms.setdefault(owners.pop(), []).append(token.removeprefix(separator))
        else:
            elsewhere.append(f"{token!r} ({owners.pop()!r})")
    advice = ""
    if forms:
        advice += f"; forms={forms} in the question would count other spellings of the options"
    if elsewhere:
        advice += f"; {', '.join(elsewhere)} spell options without the separator {separator!r}: "
        advice += "give separator='' and options or forms with the blanks that they need"
    return advice or "; none of these is an option in another spelling: ask so that one of them is"


def _bare(text: str) -> str:
    """Letters and digits, whatever their case."""
    return re.sub(r"[\W_]+", "", text).casefold()
