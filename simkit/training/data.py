"""Question/answer examples of respondents, and the split by respondent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from simkit.questions import Question
from simkit.scoring.chat import Chat, lay_out, talk
from simkit.scoring.orders import orders_for
from simkit.scoring.types import Model
from simkit.templates import is_missing, text_of, values_of
from simkit.types import (
    IntArray,
    aligned,
    column,
    framed,
    generator,
    hashable,
    integer,
    listed,
    shown,
)

__all__ = ["COLUMNS", "SPLIT", "check_examples", "digest", "examples", "split_respondents",
           "subset"]  # fmt: skip

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
    chat: Chat | bool | None = None,
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
    seed : of the orders.
    model, chat : as in `believe`, to lay prompts out by the model's chat template.

    Returns
    -------
    DataFrame
        Columns `respondent`, `question`, `prompt`, `options` (tuple: the K strings scored after the
        prompt, separator included), `option` (the answer), `option_id`, `value` and `values` (of
        the answer and of all K options, NaN and None for questions without values) and `weight`.
        `attrs["unanswered"]` counts what was left out.

    Raises
    ------
    ValueError
        For an answer that is no option (naming respondent, question, the answer and the options),
        a missing column, answers for other index labels than the design's, or no answer at all.

    Examples
    --------
    >>> design = pd.DataFrame({"context": ["A nurse.", "A clerk."], "coffee": ["yes", "no"]})
    >>> table = examples(design, {"coffee": Question("Is there coffee?", ["yes", "no"])})
    >>> table[["respondent", "options", "option_id"]].values.tolist()
    [[0, (' yes', ' no'), 0], [1, (' yes', ' no'), 1]]
    """
    generator(seed)  # raises for what is no seed
    answers = design if answers is None else answers
    _check_frames(design, questions, answers, [n for n in (respondent, weights) if n is not None])
    answers = aligned({"design": design, "answers": answers})["answers"]
    ids = _ids(design.index if respondent is None else design[respondent])
    weight = np.ones(len(design))
    if weights is not None:
        weight = column(design[weights], weights, low=np.nextafter(0, 1))
    talker = talk(chat, model)
    for question in questions.values():
        question.warn_unsaid(design, None if talker is None else talker.system, stacklevel=3)
    parts = []
    for name, question in questions.items():
        answered = np.flatnonzero(answers[name].notna().to_numpy())
        if not len(answered):
            continue
        rows, who = design.iloc[answered], [ids[i] for i in answered]
        texts, values, separator = question.options_for(rows), question.values, question.separator
        option_ids = [
            _option_id(answer, options, question, person, name)
            for answer, options, person in zip(
                values_of(answers[name].iloc[answered]), texts, who, strict=True
            )
        ]
        # A large random number per row that other rows do not change.
        draws = [int(_share(seed, "order", i, name) * 2**40) for i in who]
        prompts, spelled = _prompts(question, rows, orders, np.array(draws, dtype=np.int64))
        if talker is not None:
            if model is None:
                raise ValueError("chat needs a model, whose chat template lays the prompts out")
            if talker.thinking == "sample":
                raise ValueError(
                    "thinking='sample' would train the answer behind one drawn thought; take "
                    "thinking='close'"
                )
            asked = [tuple((option,) for option in row) for row in spelled]
            prompts, separator = lay_out(
                model, prompts, talker, rows, separator=separator, answers=asked
            )
        parts.append(pd.DataFrame({
            "respondent": pd.Series(who, dtype=object),
            "question": name,
            "prompt": prompts,
            "options": pd.Series([tuple(separator + o for o in row) for row in spelled]),
            "option": [row[k] for row, k in zip(texts, option_ids, strict=True)],
            "option_id": np.array(option_ids, dtype=int),
            "value": [np.nan if values is None else values[k] for k in option_ids],
            "values": pd.Series([values] * len(rows), dtype=object),
            "weight": weight[answered],
        }))  # fmt: skip
    if not parts:
        raise ValueError(f"nobody answered any of the questions {', '.join(questions)}")
    table = pd.concat(parts, ignore_index=True)
    table.attrs["unanswered"] = len(design) * len(questions) - len(table)
    return table


def _check_frames(
    design: pd.DataFrame, questions: Mapping[str, Question], answers: pd.DataFrame, own: list[str]
) -> None:
    """ValueError for what are no frames or questions, or lack a column; `own`: of the design."""
    framed(design, "design")
    framed(answers, "answers")
    if not isinstance(questions, Mapping):
        raise ValueError(f"questions is {shown(questions)}; it must be a mapping, name: question")
    for name, question in questions.items():
        if not isinstance(question, Question):
            raise ValueError(f"questions[{name!r}] is {shown(question)}; it must be a Question")
    if design.empty or not questions:
        raise ValueError(f"{len(design)} respondents and {len(questions)} questions: none to learn")
    if len(answers) != len(design):
        raise ValueError(f"answers have {len(answers)} rows; the design has {len(design)}")
    for frame, what, names in ((answers, "answers", questions), (design, "design", own)):
        for name in names:
            if not hashable(name) or name not in frame:
                raise ValueError(
                    f"the {what} have no column {shown(name)}; there are: "
                    f"{', '.join(map(str, frame.columns))}"
                )


def _prompts(
    question: Question,
    rows: pd.DataFrame,
    orders: str | Sequence[Sequence[int]] | None,
    draws: IntArray,
) -> tuple[list[str], list[list[str]]]:
    """Prompt and first spelling of the K options of each row, in the order drawn for it."""
    several: Sequence[tuple[int, ...] | None] = orders_for(question, orders) or [None]
    prompts, spelled = [""] * len(rows), [[""]] * len(rows)
    for number, order in enumerate(several):
        drawn = np.flatnonzero(draws % len(several) == number)
        texts = question.prompts(rows.iloc[drawn], order, warn=False)
        answers = question.answers_for(rows.iloc[drawn], order)
        for i, text, forms in zip(drawn, texts, answers, strict=True):
            prompts[i], spelled[i] = text, [form[0] for form in forms]
    return prompts, spelled


def _option_id(answer: Any, options: Sequence[str], question: Question, who: Any, name: str) -> int:
    values, text = question.values, str(answer)
    if isinstance(answer, str):
        values = None
    elif values is not None and answer in values:
        return values.index(answer)
    else:
        with suppress(ValueError):  # 34 is "34" in a column of floats, too
            text = text_of(answer)
    if values is None and text in options:
        return options.index(text)
    choices = ", ".join(options if values is None else [f"{v:g}" for v in values])
    raise ValueError(f"{name}: respondent {who!r} answered {answer!r}; must be one of {choices}")


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
    Series
        Names of parts, on the index of `ids` if it is a Series. A person's part depends on the
        seed and the id alone (SHA-256 of both as a number in [0, 1)), so people who are added move
        nobody; the shares hold in expectation, not exactly.

    Raises
    ------
    ValueError
        For shares that are negative or do not sum to 1, and for a missing id.

    Examples
    --------
    >>> shares = {"train": 0.5, "test": 0.5}
    >>> split_respondents(["ann", "bob", "ann", "eve"], shares, seed=1).tolist()
    ['train', 'test', 'train', 'train']
    """
    fractions = SPLIT if fractions is None else fractions
    if not isinstance(fractions, Mapping):
        raise ValueError(f"fractions is {shown(fractions)}; it must be a mapping, part: share")
    generator(seed)  # raises for what is no seed
    shares = column(list(fractions.values()), "fractions")
    if not len(shares) or (shares < 0).any() or not np.isclose(shares.sum(), 1):
        raise ValueError(f"fractions are {dict(fractions)}; must be shares from 0 that sum to 1")
    ends = shares.cumsum()
    ends[np.flatnonzero(shares)[-1] :] = 1.0  # rounding leaves nobody beyond the last part
    part = np.searchsorted(ends, [_share(seed, "split", i) for i in _ids(ids)], side="right")
    names = np.array(list(fractions), dtype=object)[part]
    index = ids.index if isinstance(ids, pd.Series) else None
    return pd.Series(names, index=index, name="part", dtype=object)


def _share(seed: int, *names: Any) -> float:
    """A number in [0, 1) for the seed and names, the same on every machine."""
    digest = hashlib.sha256(json.dumps([int(seed), *names], default=str).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _ids(ids: Iterable[Any]) -> list[Any]:
    """Ids as plain integers or text, so that they are the same whatever column they stand in."""
    plain: list[Any] = []
    for row, value in enumerate(ids if isinstance(ids, pd.Index) else listed(ids, "ids")):
        if is_missing(value):
            raise ValueError(f"row {row}: {value!r} is no respondent; must be a number or text")
        item = value.item() if isinstance(value, np.generic) else value
        whole = isinstance(item, float) and item.is_integer()
        plain.append(int(item) if whole else item if isinstance(item, int) else str(item))
    return plain


def check_examples(frame: pd.DataFrame, what: str) -> None:
    """ValueError unless the frame has rows and the columns that `examples` makes."""
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
    people = list(dict.fromkeys(frame["respondent"]))
    integer(respondents, "respondents", 1, len(people))
    order = sorted(people, key=lambda who: _share(seed, "subset", who))
    return frame[frame["respondent"].isin(set(order[:respondents]))]
