"""Rankings by sequential choice: what is chosen first, then among the rest, and so on.

With one belief over all options the later choices follow from it, each among what is left
(Plackett-Luce: Luce 1959, Plackett 1975). Or each is asked anew, after the choices before it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb, perm

import numpy as np
import pandas as pd

from simkit.personas.answers import Believe, belief_table, question_texts
from simkit.personas.interview import checked_people
from simkit.questions import Question
from simkit.types import FloatArray, integer, one_of, typed

__all__ = ["rankings"]

MOST = {"once": 4_096, "again": 1_000}  # sets of earlier choices; prompts a person


def rankings(
    believe: Believe,
    question: Question,
    people: pd.DataFrame,
    *,
    places: int | None = None,
    ask: str = "once",
    then: str = "And next, of what is left?",
) -> pd.DataFrame:
    """P(option at each place of a person's ranking); exact, nothing is drawn.

    Parameters
    ----------
    believe : callable
        (question, design) -> the table of `simkit.believe`, as for :func:`interview`.
    question : Question
        Asks for the first choice ("Which of these do you like most?").
    people : DataFrame
        One row per person, with `context` and `person`, as for :func:`interview`.
    places : int, optional
        How many places of the ranking; all K by default.
    ask : {"once", "again"}
        "once": one prompt a person; the later places follow from the belief, each among what is
        left. "again": every choice is asked, with the options that are left and the choices before
        told, for every order in which they can be: 1 + K + K (K - 1) + … prompts a person.
    then : str
        What is asked for the second place and later ones, where each is asked.

    Returns
    -------
    DataFrame
        One row per person × place × option: `prompt_id` (of each person and place), `person`,
        `place` (from 1), `option` (by its text in the question), `option_id`, `belief`. Beliefs at
        a place sum to 1: `mean_belief("belief", by="place", data=...)` gives the shares of all
        places. They are NaN where a belief is undefined, and at a place before which everything
        that has any probability has been chosen.

    Raises
    ------
    ValueError
        For people as :func:`interview`, more places than options, and too many ways to come to the
        last place: above 4,096 sets of earlier choices, or 1,000 prompts a person.

    References
    ----------
    Luce (1959), Individual Choice Behavior. Plackett (1975), Applied Statistics 24.

    Examples
    --------
    >>> from functools import partial
    >>> import simkit as sk
    >>> model = sk.MockModel(lambda prompt: {"tea": 0.5, "milk": 0.3, "juice": 0.2})
    >>> likes = sk.Question("Which do you like most?", ["tea", "milk", "juice"])
    >>> people = pd.DataFrame({"person": [1], "context": ["You are a farmer."]})
    >>> table = rankings(partial(sk.believe, model), likes, people, places=2)
    >>> table.pivot(index="place", columns="option", values="belief")[["tea", "milk"]].round(3)
    option    tea   milk
    place
    1       0.500  0.300
    2       0.339  0.375
    """
    question = typed(question, "question", Question, "a Question")
    typed(believe, "believe", Callable, "a function"), typed(then, "then", str, "text")
    frame, k = checked_people(people, ()), len(question.options)
    places = k if places is None else integer(places, "places", 1, k)
    ways = comb if one_of(ask, "ask", MOST) == "once" else perm
    if (count := sum(ways(k, place) for place in range(places))) > MOST[ask]:
        what = "prompts a person" if ask == "again" else "sets of earlier choices"
        raise ValueError(f"{places} places of {k} options take {count} {what}; there may be up to "
                         f"{MOST[ask]}: rank fewer places")  # fmt: skip
    first = _beliefs(believe, question, frame)
    out = np.zeros((len(frame), places, k))
    reached: dict[tuple[int, ...], FloatArray] = {(): np.ones(len(frame))}
    for place in range(places):
        after: dict[tuple[int, ...], FloatArray] = {}
        for chosen, p in reached.items():
            if not p.any():  # NaN counts: what is undefined stays so
                continue
            left = [option for option in range(k) if option not in chosen]
            if ask == "again" and chosen:
                chance = _again(believe, question, frame, chosen, left, then)
            else:
                with np.errstate(invalid="ignore"):
                    chance = first[:, left] / first[:, left].sum(axis=1, keepdims=True)
            for option, part in zip(left, chance.T, strict=True):
                share = np.where(p == 0, 0.0, p * part)
                out[:, place, option] += share
                then_chosen = (*chosen, option)
                key = then_chosen if ask == "again" else tuple(sorted(then_chosen))
                after[key] = after.get(key, 0.0) + share
        reached = after
    return _table(question, frame, out)


def _beliefs(believe: Believe, question: Question, design: pd.DataFrame) -> FloatArray:
    """(n, K)."""
    table = belief_table(believe, question, "the ranking", design)
    return np.asarray(table["belief"], dtype=np.float64).reshape(len(design), -1)


def _again(
    believe: Believe,
    question: Question,
    frame: pd.DataFrame,
    chosen: tuple[int, ...],
    left: list[int],
    then: str,
) -> FloatArray:
    """P(each option that is left) (n, K - chosen), after these choices have been told."""
    if len(left) == 1:
        return np.ones((len(frame), 1))
    told = question_texts(question, frame), question.options_for(frame)
    contexts = []
    for text, listed, context in zip(*told, frame["context"], strict=True):
        asked = [text, *[then] * (len(chosen) - 1)]
        lines = [f"Question: {q}\nAnswer: {listed[c]}" for q, c in zip(asked, chosen, strict=True)]
        contexts.append("\n".join([context, *lines]))
    options = [question.options[option] for option in left]
    scored = options if question.labels is None else question.labels[: len(left)]
    rest = Question(
        then, options, template=question.template, separator=question.separator,
        forms={key: forms for key, forms in question.forms.items() if key in scored},
        layout=question.layout,
    )  # fmt: skip
    return _beliefs(believe, rest, frame.assign(context=contexts))


def _table(question: Question, frame: pd.DataFrame, p: FloatArray) -> pd.DataFrame:
    n, places, k = p.shape
    return pd.DataFrame({
        "prompt_id": np.repeat(np.arange(n * places), k),
        "person": frame["person"].repeat(places * k).reset_index(drop=True),
        "place": np.tile(np.repeat(np.arange(1, places + 1), k), n),
        "option": [*question.options] * (n * places),
        "option_id": np.tile(np.arange(k), n * places),
        "belief": p.ravel(),
    })  # fmt: skip
