"""Options with several spellings: their probabilities added up, nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from simkit.scoring.types import Model, Scores
from simkit.types import FloatArray

__all__ = [
    "Spelled",
    "add_forms",
    "flat",
    "refuse_same",
    "refuse_same_tokens",
    "respelled",
    "separated",
    "sum_forms",
]

Spelled = tuple[tuple[str, ...], ...]  # the K options of a prompt, each with its spellings


def separated(separator: str, answers: Sequence[Spelled]) -> list[Spelled]:
    """Each prompt's spellings with the separator before them; equal ones as one object."""
    spelled = {
        row: tuple(tuple(separator + form for form in forms) for forms in row)
        for row in dict.fromkeys(answers)
    }
    return [spelled[row] for row in answers]


def respelled(answers: Sequence[Spelled]) -> list[Spelled]:
    """The options of each prompt, each with its spellings in other capital letters.

    A spelling that another option of the prompt has, or could have, is left out.
    """
    wider = {row: _respelled(row) for row in dict.fromkeys(answers)}
    return [wider[row] for row in answers]


def _respelled(answers: Spelled) -> Spelled:
    forms = [
        {form: None for text in row for form in (text, text.lower(), text.capitalize(),
                                                 text.title(), text.upper())}
        for row in answers
    ]  # fmt: skip
    count = Counter(form for row in forms for form in row)
    own = {text for row in answers for text in row}
    return tuple(
        tuple(form for form in row if form in given or (count[form] == 1 and form not in own))
        for row, given in zip(forms, answers, strict=True)
    )


def flat(spelled: Spelled) -> tuple[str, ...]:
    """All spellings of all options, end to end."""
    return tuple(form for forms in spelled for form in forms)


def refuse_same(
    model: Model, prompts: Sequence[str], spelled: Sequence[Spelled], scores: Scores
) -> None:
    """ValueError where two options of a prompt are the same tokens; spellings of one may be.

    The arguments are those of `sum_forms`. A tokenizer that lowercases, or knows neither word,
    cannot tell such options apart, and their probability would be counted for both.
    """
    tokens = getattr(model, "tokens", None)
    if tokens is None:
        return
    owner = np.repeat(np.arange(len(spelled[0])), [len(spellings) for spellings in spelled[0]])
    for k in np.flatnonzero(scores.nested.any(0)):
        others = np.flatnonzero(owner[:k] != owner[k])
        equal = (scores.logprob[:, others] == scores.logprob[:, [k]]).any(1)
        # As likely and nested: all but certainly the same. Their tokens tell.
        for row in np.flatnonzero(scores.nested[:, k] & equal).tolist():
            words = tokens(prompts[row], flat(spelled[row]))
            refuse_same_tokens(row, spelled[row], words, model.name)


def refuse_same_tokens(
    row: int, spelled: Spelled, tokens: Sequence[Sequence[str]], name: str
) -> None:
    """`refuse_same` for one row, whose spellings, end to end, have these tokens."""
    seen: dict[tuple[str, ...], tuple[int, str]] = {}
    forms = ((k, form) for k, spellings in enumerate(spelled) for form in spellings)
    for (k, form), words in zip(forms, tokens, strict=True):
        other, text = seen.setdefault(tuple(words), (k, form))
        if other != k:
            raise ValueError(
                f"row {row}: the options {text!r} and {form!r} are the same tokens, {list(words)}, "
                f"to the tokenizer of {name}, so it cannot tell them apart; word one otherwise"
            )


def sum_forms(
    model: Model, prompts: Sequence[str], spelled: Sequence[Spelled], scores: Scores
) -> FloatArray:
    """Log-probability (N, K) of each option as a sum over its spellings.

    Parameters
    ----------
    prompts, spelled : N prompts and, for each, the K options' spellings, separators included; the
        numbers of spellings are the same for all prompts.
    scores : of all spellings laid end to end, (N, spellings).

    A spelling whose tokens begin with another spelling of the same option ("Yes." beside "Yes")
    is part of that one and adds nothing. One that begins with a spelling of another option does
    count for its own option; it is only the valid mass that leaves it out.
    """
    start = np.cumsum([0, *map(len, spelled[0])]).tolist() if spelled else [0]
    if start[-1] == len(start) - 1:
        return scores.logprob
    inside = scores.nested.copy()
    for k, part in enumerate(map(slice, start, start[1:])):
        # Nested, but in what? Asked with its own spellings alone, the model tells.
        ask = np.flatnonzero(inside[:, part].any(1))
        if len(spelled[0][k]) == 1:
            inside[:, part] = False
        elif len(ask):
            spellings = [spelled[i][k] for i in ask.tolist()]
            inside[ask, part] = model.scores([prompts[i] for i in ask.tolist()], spellings).nested
    return add_forms(scores.logprob, inside, spelled[0])


def add_forms(logprob: FloatArray, inside: npt.NDArray[np.bool_], spelled: Spelled) -> FloatArray:
    """Log-probability (N, K) of the options from that of all spellings, but for those `inside`."""
    start = np.cumsum([0, *map(len, spelled)])[:-1]
    return np.logaddexp.reduceat(np.where(inside, -np.inf, logprob), start, axis=1)
