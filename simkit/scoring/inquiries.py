"""Models that do not score strings: an interface that is asked, and says what it lets know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from simkit.questions import Question, fill
from simkit.scoring.chat import Chat, system_texts, without_prefix
from simkit.scoring.forms import Spelled, respelled
from simkit.types import FloatArray

__all__ = ["Beliefs", "Inquiry", "inquiries", "sound_beliefs"]

ROUNDING = 1e-6  # by which a belief may lie outside its bounds: interfaces round


@dataclass(frozen=True)
class Inquiry:
    """What one prompt asks, in the parts that an interface may take apart.

    Attributes
    ----------
    prompt : the user's turn: the whole text, but for the chat's prefix at its end.
    system : text before it, how to answer included; "" for none.
    context, question : the parts of the prompt that say what is so and what is asked.
    options : (K,) what can be answered, in the table's order.
    spelled : (K,) the strings by which each is written: its own (or its label) and its forms.
    listed : (K,) the options' numbers in the order that the prompt lists them; () if it does not.
    values : (K,) numbers of options on a scale; () for none.
    """

    prompt: str
    system: str
    context: str
    question: str
    options: tuple[str, ...]
    spelled: Spelled
    listed: tuple[int, ...] = ()
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class Beliefs:
    """What an interface says of N prompts with K options each.

    Attributes
    ----------
    belief : (N, K) sums to 1 in each row; NaN where nothing can be said.
    low, high : (N, K) the belief lies between them: what is not listed, rounded or drawn leaves
        so much open. Equal to the belief where it is exact.
    valid_mass : (N,) in 0-1; NaN where the interface hides it.
    basis : (N,) what the row rests on: "decision", "top 20", "24 answers", "refused", ...
    repeats_range : (N, K) largest minus smallest belief over repeats of the request; None where
        it was made once.
    """

    belief: FloatArray
    low: FloatArray
    high: FloatArray
    valid_mass: FloatArray
    basis: Sequence[str]
    repeats_range: FloatArray | None = None

    @property
    def logprob(self) -> FloatArray:
        """(N, K) natural, of belief × valid mass; NaN where the mass is hidden."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.belief * self.valid_mass[:, None]))


def inquiries(
    question: Question,
    design: pd.DataFrame,
    chat: Chat | None,
    orders: Sequence[tuple[int, ...] | None] = (None,),
) -> list[Inquiry]:
    """What each row of a design asks, in each order of the options: row after row."""
    chat = chat or Chat(prefix="")
    by_order = []
    context = [""] * len(design)
    if "context" in question.fields and "context" in design:
        context = fill("{context}", design)
    options = [tuple(row) for row in question.options_for(design)]
    for order in orders:
        answers = question.answers_for(design, order)
        systems = system_texts(chat, design, answers, len(design))
        spelled = respelled(answers) if chat.spellings else answers
        texts = {"options": question.listing(design, order)} if question.lists_options else {}
        asked = fill(question.text, design, texts)
        prompts = [
            user if not sign else text
            for text in question.prompts(design, order, warn=False)
            for user, sign in (without_prefix(text, chat.prefix),)
        ]
        listed = tuple(order or range(len(question.options))) if question.lists_options else ()
        by_order.append([
            Inquiry(p, s or "", c, q, o, forms, listed, question.values or ())
            for p, s, c, q, o, forms in zip(
                prompts, systems, context, asked, options, spelled, strict=True
            )
        ])  # fmt: skip
    return [*chain(*zip(*by_order, strict=True))]


def sound_beliefs(model: Any, found: Beliefs, n: int, k: int) -> Beliefs:
    """The beliefs; ValueError naming the row where they are none."""
    shapes = {name: np.shape(getattr(found, name)) for name in ("belief", "low", "high")}
    wrong = [name for name, shape in shapes.items() if shape != (n, k)]
    if wrong or np.shape(found.valid_mass) != (n,) or len(found.basis) != n:
        raise ValueError(
            f"{model.name} gave beliefs of shapes {shapes} for {n} prompts and {k} options"
        )
    total = found.belief.sum(1)
    off = ~np.isnan(total) & (np.abs(total - 1) > ROUNDING)
    outside = (found.belief < found.low - ROUNDING) | (found.belief > found.high + ROUNDING)
    bad = np.flatnonzero(off | outside.any(1))
    if len(bad):
        i = int(bad[0])
        raise ValueError(
            f"row {i}: {model.name} gave the beliefs {found.belief[i].tolist()} with bounds "
            f"{found.low[i].tolist()} and {found.high[i].tolist()}; they must sum to 1 and lie "
            "between their bounds"
        )
    return found
