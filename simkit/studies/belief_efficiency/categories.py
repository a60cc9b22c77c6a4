"""Brand choice in six product categories: a thought, then the choice; and the choice at once.

For models whose world is not known: real brands, each pair at two prices, once this one and once
that one being the dearer, listed under letters. The order of the list goes round from category to
category, so that over the design each answer stands equally often in each place. Diapers and their
prices are those of Sun & Zhang (arXiv 2512.23184); the other categories, with round prices of the
usual size, are ours.

In a chat the thought is the model's first turn; the choice is asked for in a second one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from simkit.estimators.efficiency import efficiency_factor
from simkit.questions import Question
from simkit.scoring import Model, believe, sample_runs, with_chat, write
from simkit.scoring.chat import open_turns
from simkit.scoring.mass import LEAST_MASS
from simkit.scoring.runs.sampling import MARKER
from simkit.types import one_of

__all__ = ["CATEGORIES", "OPTIONS", "STYLES", "at_once", "by_category", "design", "marker",
           "price_response", "question", "reasoner", "runs_of", "written"]  # fmt: skip

# Category -> the two brands, and the higher and the lower price.
CATEGORIES: dict[str, tuple[str, str, str, str]] = {
    "diapers": ("Pampers", "Huggies", "35.6 cents each", "30.0 cents each"),
    "cola": ("Coke", "Pepsi", "$7.99 a pack", "$6.49 a pack"),
    "coffee": ("Folgers", "Starbucks", "$11.99 a bag", "$9.99 a bag"),
    "toothpaste": ("Colgate", "Crest", "$4.49 a tube", "$3.49 a tube"),
    "detergent": ("Tide", "Persil", "$12.99 a bottle", "$9.99 a bottle"),
    "cereal": ("Cheerios", "Wheaties", "$5.29 a box", "$3.99 a box"),
}
OPTIONS = ("first brand", "second brand", "neither")
LISTED = ("listed_first", "listed_second", "listed_third")
# Style -> what the model is told of its first turn.
STYLES = {
    "thinks aloud": "You are a shopper. First write one short sentence of thought.",
    "decides first": "You are a shopper. First say in one short sentence which one you buy.",
}
AGAIN = "Answer with one letter: A, B or C."
_ASKED = (
    "You are shopping for {category}. {first} costs {first_price}. {second} costs {second_price}. "
    "Which do you buy?"
)
_MARK = "thoughtstandshere"


def design() -> pd.DataFrame:
    """A row per category and price pair.

    Returns
    -------
    DataFrame
        `category`, `first` and `second` (the brands), their prices in words, `dearer` (1 or 2),
        and `listed_first`, `listed_second`, `listed_third`: what stands in each place.

    Examples
    --------
    >>> design()[["category", "first", "first_price", "dearer", "listed_first"]].iloc[[0, 3]]
      category    first      first_price  dearer listed_first
    0  diapers  Pampers  35.6 cents each       1      Pampers
    3     cola     Coke     $6.49 a pack       2        Pepsi
    """
    rows = []
    for number, (category, (first, second, high, low)) in enumerate(CATEGORIES.items()):
        names = np.roll([first, second, "neither"], -number)
        for dearer, prices in ((1, (high, low)), (2, (low, high))):
            rows.append((category, first, second, *prices, dearer, *names))
    named = ("category", "first", "second", "first_price", "second_price", "dearer")
    return pd.DataFrame(rows, columns=[*named, *LISTED])


def question(model: Model, style: str | None = None) -> Question:
    """The choice of a brand by its letter.

    Parameters
    ----------
    model : asked in its own `chat`, if it has one.
    style : of `STYLES`, the prompt ending where the thought begins; None for the choice at once.

    Returns
    -------
    Question

    Examples
    --------
    >>> import simkit as sk
    >>> print(question(sk.load("glassbox")).prompts(design().head(1))[0])
    You are shopping for diapers. Pampers costs 35.6 cents each. Huggies costs 30.0 cents each. \
Which do you buy?
    A. Pampers
    B. Huggies
    C. neither
    Answer:
    """
    template = "{question}\n{options}\nAnswer:"
    if style is not None:
        told = STYLES[one_of(style, "style", STYLES)]
        template = "{question}\n{options}"
        if getattr(model, "chat", None) is None:
            template = f"{told}\n{template}\nThought:"
    options = [f"{{{place}}}" for place in LISTED]
    return Question(_ASKED, options, template=template, layout="letters")


def reasoner(model: Model, style: str, answer: str = "auto") -> Model:
    """The model, told to think first.

    Parameters
    ----------
    model : asked in its own `chat`; one without is told in the prompt, see :func:`question`.
    style : of `STYLES`.
    answer : the instruction of the first turn; "auto" for that of the style.

    Returns
    -------
    Model
    """
    told = STYLES[one_of(style, "style", STYLES)]
    chat = getattr(model, "chat", None)
    if chat is None:
        return model
    told = told if answer == "auto" else answer
    if chat.system is not None and answer == "auto":
        told = told.removeprefix("You are a shopper. ")  # the caller says who it is
    thinking: Model = with_chat(model, replace(chat, answer=told))
    return thinking


def marker(model: Any) -> str:
    """What ends a thought: in a chat the end of the turn, and a second one that asks for a letter.

    Parameters
    ----------
    model : with a `chat` and its tokenizer's template, or without.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        For a template that leaves out what the model said before.

    Examples
    --------
    >>> import simkit as sk
    >>> marker(sk.load("glassbox"))
    '\\nAnswer:'
    """
    chat = getattr(model, "chat", None)
    if chat is None:
        return MARKER
    turns = [("user", "Which?"), ("assistant", _MARK), ("user", AGAIN)]
    text = model.tokenizer.apply_chat_template(
        [{"role": role, "content": said} for role, said in turns],
        add_generation_prompt=True, tokenize=False, **chat.template_args,
    )  # fmt: skip
    _, found, after = text.rpartition(_MARK)
    if not found:
        raise ValueError(
            f"{model.name}'s chat template leaves out the model's earlier turn; ask with chat='no'"
        )
    return str(after + chat.prefix)


def runs_of(
    model: Model, rows: pd.DataFrame, style: str, *, answer: str = "auto", **how: Any
) -> pd.DataFrame:
    """Runs: a thought each, then belief and choice, by brand.

    Parameters
    ----------
    model : as for :func:`reasoner`.
    rows : of :func:`design`.
    style : of `STYLES`.
    answer : as for :func:`reasoner`.
    **how : `runs`, `seed`, `max_tokens`, ... of :func:`simkit.sample_runs`.

    Returns
    -------
    DataFrame
        As of :func:`simkit.sample_runs`, with the roles of `OPTIONS` as options, in their order,
        and the name in the column `named`.
    """
    thinking = reasoner(model, style, answer)
    table = sample_runs(thinking, question(model, style), rows, marker=marker(model), forced=True,
                        **how)  # fmt: skip
    return _by_role(table)


def at_once(model: Model) -> pd.DataFrame:
    """The belief without a thought, for each order of the list.

    Parameters
    ----------
    model : asked in its own `chat`.

    Returns
    -------
    DataFrame
        As of :func:`simkit.believe` with `average=False` for the rows of :func:`design`, by brand
        as in :func:`runs_of`; `order` 0 is the design's own.
    """
    return _by_role(believe(model, question(model), design(), average=False, least_mass=0))


def written(
    model: Any, pool: pd.DataFrame, style: str, *, answer: str = "auto", most: int = 36
) -> pd.DataFrame:
    """What the model writes where some runs' answers begin.

    Parameters
    ----------
    model, style, answer : those of :func:`runs_of`.
    pool : what it returned.
    most : runs that are taken, evenly.

    Returns
    -------
    DataFrame
        A row per run: `prompt` and `text` (thought, second question and up to 8 tokens after it),
        which together are what the model read and wrote, and the run's beliefs in the letters: `A`,
        `B` and `C`.
    """
    rows, thinking = design(), reasoner(model, style, answer)
    asked, chat = question(model, style), getattr(thinking, "chat", None)
    heads, end = asked.prompts(rows), marker(model)
    if chat is not None:
        heads = open_turns(thinking, heads, chat, rows, asked.answers_for(rows))
    first = pool[pool["option_id"] == 0]
    some = first.iloc[np.unique(np.linspace(0, len(first) - 1, most).round().astype(int))]
    before = [heads[i] + text + end for i, text in zip(some["prompt_id"], some["reasoning"],
                                                       strict=True)]  # fmt: skip
    after = write(model, before, list(range(len(before))), max_tokens=8)
    taken = some[["prompt_id", "run"]].reset_index(drop=True)
    whole = pool.merge(taken.assign(number=taken.index), on=["prompt_id", "run"])
    place = (whole[list(LISTED)].to_numpy() == whole[["named"]].to_numpy()).argmax(axis=1)
    letters = whole.assign(letter=np.array(list("ABC"))[place])
    belief = letters.pivot(index="number", columns="letter", values="belief")
    prompt = [heads[i] for i in taken["prompt_id"]]
    text = [whole.removeprefix(head) + said for whole, head, said in
            zip(before, prompt, after, strict=True)]  # fmt: skip
    return pd.DataFrame({"prompt": prompt, "text": text}).join(belief.rename_axis(columns=None))


def _by_role(table: pd.DataFrame) -> pd.DataFrame:
    named = table["option"]
    role = np.select([named == table["first"], named == table["second"]], [0, 1], 2)
    table = table.assign(named=named, option=np.array(OPTIONS)[role], option_id=role)
    keys = [name for name in ("prompt_id", "run", "order") if name in table]
    return table.sort_values([*keys, "option_id"], kind="stable", ignore_index=True)


def by_category(pool: pd.DataFrame) -> pd.DataFrame:
    """The efficiency factor of each category, from the beliefs of its runs.

    Parameters
    ----------
    pool : of :func:`runs_of`.

    Returns
    -------
    DataFrame
        A row per category: `estimate`, `low`, `high` (the theoretical factor, over runs),
        `measured`, `between_share`, `runs` and `valid_mass`. Factors are NaN where the mean valid
        mass is below 0.5.
    """
    found = {}
    for category, part in pool.groupby("category", sort=False):
        mass = float(part["valid_mass"].mean())
        factor = efficiency_factor(data=part)
        line = {**factor["theoretical"][["estimate", "low", "high"]],
                "measured": factor["measured"]["estimate"],
                "between_share": factor["between_share"]["estimate"]}  # fmt: skip
        if not mass >= LEAST_MASS:
            line = dict.fromkeys(line, np.nan)
        found[category] = {**line, "runs": len(part) // len(OPTIONS), "valid_mass": mass}
    return pd.DataFrame(found).T.rename_axis("category")


def price_response(pool: pd.DataFrame, alpha: float = 0.05) -> pd.DataFrame:
    """How much the first brand's share rises when it is the cheaper one, not the dearer.

    Parameters
    ----------
    pool : of :func:`runs_of`, two runs or more of each row of the design.
    alpha : 1 - confidence of the intervals.

    Returns
    -------
    DataFrame
        Index `category`, `method` ("choice" or "belief"); `estimate`, `low`, `high`: a difference
        of probabilities. Intervals are over runs.
    """
    first = pool[pool["option_id"] == 0]
    z, found = float(ndtri(1 - alpha / 2)), {}
    for method in ("choice", "belief"):
        cells = first.groupby(["category", "dearer"], sort=False)[method].agg(["mean", "sem"])
        mean, error = cells["mean"].unstack(), (cells["sem"] ** 2).unstack().sum(axis=1) ** 0.5
        for category, rise in (mean[2] - mean[1]).items():
            half = z * error[category]
            found[category, method] = {"estimate": rise, "low": rise - half, "high": rise + half}
    return pd.DataFrame(found).T.rename_axis(["category", "method"])
