"""Question/answer examples of respondents, and the split by respondent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from simkit.questions import Question
from simkit.scoring.chat import Chat, lay_out, talk
from simkit.scoring.orders import orders_for
from simkit.scoring.types import Model
from simkit.templates import text_of, values_of
from simkit.types import IntArray, aligned, column, framed, generator, integer, listed, shown

__all__ = [
    "COLUMNS",
    "SPLIT",
    "check_examples",
    "digest",
    "examples",
    "split_respondents",
    "subset",
]

COLUMNS = (
    "respondent", "question", "prompt", "options", "option", "option_id", "value", "values",
    "weight",
)  # fmt: skip
SPLIT = {"train": 0.7, "validation": 0.15, "test": 0.15}


def examples(
    design: pd.DataFrame,
    questions: Mapping[str, Question],
    answers: pd.DataFrame | None = None,
    *,
    respondent: str | None = None,
    weights: str | None = None,
    orders: str | Sequence[Sequence[int]] | None = "auto",
    seed: int = 0,
    model: Model | None = None,
    chat: Chat | bool | None = False,
) -> pd.DataFrame:
    """One row per respondent × question that was answered, with the prompt that scoring builds.

    Parameters
    ----------
    design : one row per respondent: `context` and whatever else the templates name.
    questions : name -> question. The prompt and the options are the question's own, so they are
        those that `believe` scores, character by character.
    answers : on the rows of `design`, by their index labels, one column per question name: the
        option's text, or the number it stands for; None or NaN where there is no answer. None: the
        design itself.
    respondent : the column of `design` that tells who it is; None for its index. It may repeat
        (two interviews with one person).
    weights : the column of `design` with survey weights (positive); None for 1.
    orders : as in `believe`, for questions that list their options: "auto" (labelled options in
        one of their cyclic shifts, others as given), None (as given), "cyclic", or a list of
        permutations. Where there are several, each row gets one, drawn by `seed`, respondent and
        question.
    model, chat : as in `believe`, to lay prompts out by the model's chat template.

    Returns
    -------
    Columns `respondent`, `question`, `prompt`, `options` (tuple: the K strings scored after the
    prompt, separator included), `option` (the answer), `option_id`, `value` and `values` (of the
    answer and of all K options, NaN and None for questions without values) and `weight`.
    `attrs["unanswered"]` counts what was left out.

    Raises ValueError for an answer that is no option (naming respondent, question, the answer and
    the options), a missing column, answers for other index labels than the design's, or no answer
    at all.
    """
    generator(seed)  # raises for what is no seed
    answers = design if answers is None else answers
    _check_frames(design, questions, answers, respondent, weights)
    answers = aligned({"design": design, "answers": answers})["answers"]
    ids = _ids(design.index if respondent is None else design[respondent])
    weight = np.ones(len(design))
    if weights is not None:
        weight = column(design[weights], weights, low=np.nextafter(0, 1))
    said = talk(chat)
    laid_out = None if said is None else (model, said)
    system = None if said is None else said.system
    for question in questions.values():
        question.warn_unsaid(design, system, stacklevel=3)
    parts = [
        _one_question(name, question, design, answers[name], ids, weight, orders, seed, laid_out)
        for name, question in questions.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    if table.empty:
        raise ValueError(f"nobody answered any of the questions {', '.join(questions)}")
    table.attrs["unanswered"] = len(design) * len(questions) - len(table)
    return table


def _check_frames(
    design: pd.DataFrame,
    questions: Mapping[str, Question],
    answers: pd.DataFrame,
    respondent: str | None,
    weights: str | None,
) -> None:
    for what, held in (("design", design), ("answers", answers)):
        framed(held, what)
    if not isinstance(questions, Mapping):
        raise ValueError(f"questions is {shown(questions)}; it must be a mapping, name: question")
    for name, question in questions.items():
        if not isinstance(question, Question):
            raise ValueError(f"questions[{name!r}] is {shown(question)}; it must be a Question")
    if design.empty or not questions:
        raise ValueError(f"{len(design)} respondents and {len(questions)} questions: none to learn")
    if len(answers) != len(design):
        raise ValueError(f"answers have {len(answers)} rows; the design has {len(design)}")
    for frame, what, names in (
        (answers, "answers", questions),
        (design, "design", [n for n in (respondent, weights) if n is not None]),
    ):
        odd = [name for name in names if name.__hash__ is None]
        if odd:
            raise ValueError(f"{shown(odd[0])} is no name of a column of the {what}")
        missing = [name for name in names if name not in frame]
        if missing:
            raise ValueError(
                f"the {what} have no column {missing[0]!r}; there are: "
                f"{', '.join(map(str, frame.columns))}"
            )


def _one_question(
    name: str,
    question: Question,
    design: pd.DataFrame,
    given: pd.Series,
    ids: list[Any],
    weight: np.ndarray,
    orders: str | Sequence[Sequence[int]] | None,
    seed: int,
    laid_out: tuple[Model | None, Chat] | None,
) -> pd.DataFrame:
    kept = np.flatnonzero(given.notna().to_numpy())
    rows, who = design.iloc[kept], [ids[i] for i in kept]
    texts = question.options_for(rows)
    chosen = [
        _option_id(answer, options, question, who[i], name)
        for i, (answer, options) in enumerate(zip(values_of(given.iloc[kept]), texts, strict=True))
    ]
    prompts, spoken = _asked(question, rows, orders, _draws(seed, who, name))
    separator = question.separator
    if laid_out is not None and len(rows):
        if laid_out[0] is None:
            raise ValueError("chat needs a model, whose chat template lays the prompts out")
        prompts, separator = lay_out(laid_out[0], prompts, laid_out[1], rows, separator=separator)
    values = question.values
    return pd.DataFrame({
        "respondent": pd.Series(who, dtype=object),
        "question": name,
        "prompt": prompts,
        "options": pd.Series([tuple(separator + o for o in row) for row in spoken], dtype=object),
        "option": [row[k] for row, k in zip(texts, chosen, strict=True)],
        "option_id": np.array(chosen, dtype=int),
        "value": [np.nan if values is None else values[k] for k in chosen],
        "values": pd.Series([values] * len(rows), dtype=object),
        "weight": weight[kept],
    })  # fmt: skip


def _asked(
    question: Question,
    rows: pd.DataFrame,
    orders: str | Sequence[Sequence[int]] | None,
    draws: IntArray,
) -> tuple[list[str], list[list[str]]]:
    """Prompt and first spelling of the K options of each row, in the order drawn for it."""
    several: Sequence[tuple[int, ...] | None] = orders_for(question, orders) or [None]
    which = draws % len(several)
    prompts, spoken = [""] * len(rows), [[""]] * len(rows)
    for number, order in enumerate(several):
        at = np.flatnonzero(which == number)
        asked = question.prompts(rows.iloc[at], order, warn=False)
        scored = question.answers_for(rows.iloc[at], order)
        for i, prompt, forms in zip(at, asked, scored, strict=True):
            prompts[i], spoken[i] = prompt, [some[0] for some in forms]
    return prompts, spoken


def _draws(seed: int, who: Sequence[Any], name: str) -> IntArray:
    """A large random number per row that other rows do not change."""
    return np.array([int(_share(seed, "order", i, name) * 2**40) for i in who], dtype=np.int64)


def _option_id(answer: Any, options: Sequence[str], question: Question, who: Any, name: str) -> int:
    if isinstance(answer, str):
        if answer in options:
            return options.index(answer)
    elif question.values is not None and answer in question.values:
        return question.values.index(answer)
    elif question.values is None and _text(answer) in options:
        return options.index(_text(answer))
    numbers = None if isinstance(answer, str) else question.values
    choices = ", ".join(options if numbers is None else [f"{v:g}" for v in numbers])
    raise ValueError(f"{name}: respondent {who!r} answered {answer!r}; must be one of {choices}")


def _text(answer: Any) -> str:
    """An answer as an option may have it: 34 is "34" in a column of floats, too."""
    try:
        return text_of(answer)
    except ValueError:
        return str(answer)


def split_respondents(
    ids: Iterable[Any], fractions: Mapping[str, float] | None = None, seed: int = 0
) -> pd.Series:
    """The part that each respondent belongs to; nobody is in two.

    Parameters
    ----------
    ids : one per row; equal ids get equal parts, so a column with repeats may be given:
        `frame[split_respondents(frame["respondent"]) == "train"]`.
    fractions : part -> share, summing to 1; None for 0.7 train, 0.15 validation, 0.15 test.
    seed : of the split.

    Returns
    -------
    Series of part names, on the index of `ids` if it is a Series. A person's part depends on the
    seed and the id alone (SHA-256 of both as a number in [0, 1)), so people who are added move
    nobody; the shares hold in expectation, not exactly. Raises ValueError for shares that are
    negative or do not sum to 1, and for a missing id.
    """
    fractions = SPLIT if fractions is None else fractions
    if not isinstance(fractions, Mapping):
        raise ValueError(f"fractions is {shown(fractions)}; it must be a mapping, part: share")
    generator(seed)  # raises for what is no seed
    shares = column(list(fractions.values()), "fractions")
    if not len(shares) or (shares < 0).any() or not np.isclose(shares.sum(), 1):
        raise ValueError(f"fractions are {dict(fractions)}; must be shares from 0 that sum to 1")
    names = np.array(list(fractions), dtype=object)
    index = ids.index if isinstance(ids, pd.Series) else None
    plain = _ids(ids)
    place = {i: _share(seed, "split", i) for i in dict.fromkeys(plain)}
    ends = shares.cumsum()
    ends[np.flatnonzero(shares)[-1] :] = 1.0  # rounding leaves nobody beyond the last part
    at = np.searchsorted(ends, [place[i] for i in plain], side="right")
    return pd.Series(names[at], index=index, name="part", dtype=object)


def _share(seed: int, *names: Any) -> float:
    """A number in [0, 1) for the seed and names, the same on every machine."""
    digest = hashlib.sha256(json.dumps([int(seed), *names], default=str).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _ids(ids: Iterable[Any]) -> list[Any]:
    """Ids as plain integers or text, so that they are the same whatever column they stand in."""
    out: list[Any] = []
    for row, value in enumerate(ids if isinstance(ids, pd.Index) else listed(ids, "ids")):
        if pd.api.types.is_scalar(value) and pd.isna(value):
            raise ValueError(f"row {row}: {value!r} is no respondent; must be a number or text")
        item = value.item() if isinstance(value, np.generic) else value
        whole = isinstance(item, float) and item.is_integer()
        out.append(int(item) if whole else item if isinstance(item, int) else str(item))
    return out


def check_examples(frame: pd.DataFrame, what: str) -> None:
    """Raise ValueError unless the frame has rows and the columns that `examples` makes."""
    missing = [c for c in COLUMNS if c not in framed(frame, what)]
    if missing:
        raise ValueError(f"{what} have no column {missing[0]!r}; must be a frame from `examples`")
    if frame.empty:
        raise ValueError(f"{what} have no rows")


def digest(frame: pd.DataFrame | None) -> str:
    """SHA-256 of examples: their prompts, options, answers and weights, in order."""
    if frame is None:
        return ""
    total = hashlib.sha256()
    for row in zip(*(frame[name].tolist() for name in COLUMNS), strict=True):
        total.update(json.dumps(row, default=str).encode())
    return total.hexdigest()


def subset(frame: pd.DataFrame, respondents: int, seed: int) -> pd.DataFrame:
    """The examples of so many respondents; a larger number holds all of a smaller one's.

    Raises ValueError where there are not so many.
    """
    integer(respondents, "respondents", 1)
    people = list(dict.fromkeys(frame["respondent"]))
    if not 1 <= respondents <= len(people):
        raise ValueError(f"{respondents} respondents asked for; must be 1 to {len(people)}")
    order = sorted(people, key=lambda who: _share(seed, "subset", who))
    kept = set(order[:respondents])
    return frame[frame["respondent"].isin(kept)]
