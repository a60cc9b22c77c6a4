"""A pilot: does a question work on this model? Measured before a study is built on it.

A belief is what the options have of each other. Whether it is the model's answer depends on the
prompt: a model that would rather write a sentence, another spelling or a refusal puts little
probability on the options, and the first token of some models is not what they go on to write
(Wang et al. 2024, arXiv 2402.14499).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from simkit.estimators.shared.arguments import share
from simkit.estimators.shared.means import mean_belief
from simkit.personas.scales import read_answers
from simkit.questions import Question
from simkit.result import REQUIRED, Result
from simkit.scoring.belief import believe, check_asked
from simkit.scoring.chat import Chat, lay_out, open_turns, talk
from simkit.scoring.forms import respelled
from simkit.scoring.runs.write import write
from simkit.scoring.types import Model, check_model
from simkit.templates import field_names
from simkit.types import framed, integer

__all__ = ["pilot"]

REFUSAL = re.compile(
    r"\b(?:i['’]m sorry|i am sorry|as an ai|i (?:can['’]?t|cannot|am unable|won['’]t) )",
    re.IGNORECASE,
)
SHOWN = 6  # tokens outside the options that a note lists
SOURCE = "valid mass: our formulation; agreement: Wang et al. (2024), arXiv 2402.14499"


def pilot(
    model: Model,
    question: Question,
    design: pd.DataFrame,
    *,
    chat: Chat | bool | None = None,
    prompts: int = 24,
    max_tokens: int = 12,
    alpha: float = 0.05,
) -> Result:
    """Whether a question works on a model: valid mass, order, and what the model writes.

    Parameters
    ----------
    model, question, design, chat :
        As in :func:`simkit.believe`.
    prompts :
        How many distinct prompts are tried, taken evenly from the design.
    max_tokens :
        Longest answer that the model writes, in tokens; 0 leaves out what it writes, which takes
        most of the time.
    alpha :
        Level of the intervals.

    Returns
    -------
    Result
        Rows, each over the prompts tried:

        - ``valid mass``: mean probability of answering with one of the options, in 0-1; NaN, with
          a note, where an interface hides it;
        - ``smallest valid mass``: of any prompt, without an interval;
        - ``order range``: mean of the largest difference that the order of the listed options
          makes to a belief; NaN where the question does not list them;
        - ``written as believed``: share of the answers written at temperature 0 that are the
          option with the highest belief, among those that name an option;
        - ``no option written``: share of the written answers that name no option;
        - ``refused``: share of the written answers that decline in so many words ("I'm sorry",
          "As an AI").

        The last three are NaN, with a note, for a model that cannot write, and for
        ``max_tokens`` 0; of an interface that declines questions, ``refused`` is the share of
        these. The notes list the likeliest tokens that are no option.

    Raises
    ------
    ValueError
        For numbers out of range, and as :func:`simkit.believe`.

    Examples
    --------
    >>> import pandas as pd
    >>> import simkit as sk
    >>> lm = sk.load(lambda prompt: {"yes": 0.6, "no": 0.3})
    >>> ask = sk.Question("Buy at ${price}?", ["yes", "no"])
    >>> found = sk.pilot(lm, ask, pd.DataFrame({"price": [1, 2, 3]}))
    >>> found.to_frame().loc["valid mass", ["estimate", "low", "high"]].round(2).to_list()
    [0.9, 0.9, 0.9]
    """
    check_model(model)
    integer(prompts, "prompts", 1)
    integer(max_tokens, "max_tokens", 0)
    alpha = share(alpha, "alpha")
    check_asked(question, design, ())
    rows, asked = _distinct(model, question, framed(design, "the design"), chat, prompts)
    table = believe(model, question, rows, chat=chat, least_mass=0)
    by_prompt = table.groupby("prompt_id")
    mass = by_prompt["valid_mass"].first().to_numpy()
    order = np.nan
    if "order_range" in table:
        order = float(by_prompt["order_range"].max().mean())
    told = mass[~np.isnan(mass)]
    frame: dict[str, Any] = {"valid mass": bare(np.nan)}
    if len(told):
        mean = mean_belief(pd.DataFrame({"valid mass": told}), alpha=alpha)["valid mass"]
        frame["valid mass"] = mean[[*REQUIRED]].to_dict()
    frame["smallest valid mass"] = bare(told.min() if len(told) else np.nan)
    frame["order range"] = bare(order)
    read = table.dropna(subset="belief")  # a prompt whose options have no mass has none
    first = table.loc[read.groupby("prompt_id")["belief"].idxmax()]
    first = first.set_index("prompt_id")["option"]
    way = talk(chat, model)
    if way is not None and way.spellings:
        question = _any_case(question)
    shares, notes = _written(model, question, rows, asked, first, max_tokens, alpha)
    frame |= shares
    if not len(told):
        notes += ("valid mass: hidden by the interface, not judged",)
    if "basis" in table:
        frame["refused"] = wilson((by_prompt["basis"].first() == "refused").tolist(), alpha)
    answers = question.answers_for(rows)
    notes += outside(model, asked, {f.strip() for some in answers for forms in some for f in forms})
    method = f"Pilot of {len(rows)} prompts on {model.name}"
    columns = pd.DataFrame(frame).T
    return Result(method, columns, len(rows), alpha, SOURCE, notes, "prompts")


def bare(value: float) -> dict[str, float]:
    return {"estimate": float(value), "std_error": np.nan, "low": np.nan, "high": np.nan}


def wilson(hits: Sequence[bool], alpha: float) -> dict[str, float]:
    """A share with Wilson's interval."""
    n = len(hits)
    if not n:
        return bare(np.nan)
    p = float(np.mean(hits))
    low, high = proportion_confint(sum(hits), n, alpha, method="wilson")
    return {"estimate": p, "std_error": float(np.sqrt(p * (1 - p) / n)), "low": low, "high": high}


def _any_case(question: Question) -> Question:
    """The question with the spellings that a chat with `spellings` counts."""
    scored = question.labels or question.options
    if any(map(field_names, scored)):
        return question
    given = tuple((text, *question.forms.get(text, ())) for text in scored)
    forms = {own: more for own, *more in respelled([given])[0]}
    return Question(question.text, question.options, question.values, question.template,
                    question.separator, forms, question.layout)  # fmt: skip


def _distinct(
    model: Model, question: Question, design: pd.DataFrame, chat: Chat | bool | None, n: int
) -> tuple[pd.DataFrame, list[str]]:
    """Up to n rows whose prompts differ as the model gets them, evenly; and these prompts."""
    rows, way = design.reset_index(drop=True), talk(chat, model)
    if getattr(model, "beliefs", None) is not None and getattr(model, "tokenizer", None) is None:
        way = None  # an interface without a template lays out the chat itself
    texts = question.prompts(rows, warn=False)
    if way is not None:
        answers = question.answers_for(rows)
        texts = open_turns(model, texts, way, rows, answers)
    first = pd.Series(texts).drop_duplicates()
    taken = np.unique(np.linspace(0, len(first) - 1, n).round().astype(int))
    some = rows.loc[first.index[taken]].reset_index(drop=True)
    texts = first.iloc[taken].tolist()
    if way is not None:
        asked, answers = question.prompts(some, warn=False), question.answers_for(some)
        texts, _ = lay_out(model, asked, way, some, separator=question.separator, answers=answers)
    return some, texts


def _written(
    model: Model, question: Question, rows: pd.DataFrame, asked: list[str], first: pd.Series,
    max_tokens: int, alpha: float,
) -> tuple[dict[str, dict[str, float]], tuple[str, ...]]:  # fmt: skip
    """Rows: agreement of belief and written answer, none written, refused; and notes."""
    names = ("written as believed", "no option written", "refused")
    if not max_tokens or getattr(model, "write", None) is None:
        why = (f"{model.name} cannot write: not compared",) if max_tokens else ()
        return {name: bare(np.nan) for name in names}, why
    texts = write(model, asked, [0] * len(asked), max_tokens=max_tokens, temperature=0)
    read = read_answers(question, texts, rows)
    named = read.index[read["valid"]]
    same = [read.loc[i, "answer"] == first.get(i) for i in named]
    others = read.loc[~read["valid"], "text"].str.strip()
    notes: tuple[str, ...] = ()
    if len(others):
        most = others.value_counts().head(3)
        shown = ", ".join(f"{text[:60]!r} ({n} x)" for text, n in most.items())
        notes = (f"written instead of an option: {shown}",)
    hits = (same, (~read["valid"]).tolist(), [bool(REFUSAL.search(text)) for text in texts])
    return {n: wilson(hit, alpha) for n, hit in zip(names, hits, strict=True)}, notes


def outside(model: Any, asked: list[str], forms: set[str]) -> tuple[str, ...]:
    """A note on the likeliest tokens that begin no option."""
    if getattr(model, "next_tokens", None) is None:
        return ()
    tokens: dict[str, float] = {}
    for prompt in asked[:SHOWN]:
        for token, p in model.next_tokens(prompt):
            bare = token.strip()
            if not bare or not any(form.startswith(bare) for form in forms):
                tokens[token] = tokens.get(token, 0.0) + p / min(SHOWN, len(asked))
    best = sorted(tokens.items(), key=lambda pair: -pair[1])[:SHOWN]
    if not best:
        return ()
    shown = ", ".join(f"{token!r} {p:.2g}" for token, p in best)
    over = min(SHOWN, len(asked))
    return (f"likeliest tokens that begin no option, over {over} prompts: {shown}",)
