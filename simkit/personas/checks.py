"""Check all that apply: a question whose answer is a set of options, as a battery of yes or no."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from simkit.personas.battery import Battery, Item
from simkit.personas.margins import columns_of
from simkit.questions import Question, check_options
from simkit.types import framed, integer, invalid, listed, one_of, typed

__all__ = ["CheckAll", "check_all"]

WORDING = '{text} Does "{option}" apply?'


class CheckAll(Battery):
    """The options of one question as a battery of yes-or-no items; made by :func:`check_all`.

    Attributes
    ----------
    options : mapping
        Item ("name: option") -> option, as listed, with the exclusive one.
    none : str or None
        The item of the option that excludes the others. It is not asked: it is checked where
        nothing else is.
    most : int or None
        How many may be checked.
    reverse : mapping
        Item -> the question in the opposite wording, where there is one.
    """

    options: Mapping[str, str]
    none: str | None
    most: int | None
    reverse: Mapping[str, Question]

    def __init__(
        self,
        items: Sequence[Item],
        order: str,
        options: Mapping[str, str],
        none: str | None,
        most: int | None,
        reverse: Mapping[str, Question],
    ) -> None:
        super().__init__(items, order)
        vars(self).update(options=options, none=none, most=most, reverse=reverse)

    def checked(self, answers: pd.DataFrame) -> pd.DataFrame:
        """The answers of an interview as numbers: a column "name: option" each.

        Parameters
        ----------
        answers : DataFrame
            As :func:`interview` gives them: a column per item, and `asked`.

        Returns
        -------
        DataFrame
            1 checked, 0 not checked; NaN where it was not asked or has no valid answer. What was
            not asked because as many as may be were checked before is 0. The exclusive option is
            1 where all others are 0, and 0 where one is 1.

        Raises
        ------
        ValueError
            For answers without these columns, and one that is neither of the two options.
        """
        columns_of(framed(answers, "the answers"), [*self.questions, "asked"], "columns", "answers")
        asked = [{*names} for names in answers["asked"]]
        out = pd.DataFrame(index=answers.index, columns=[*self.options], dtype=float)
        for name, question in self.questions.items():
            known = dict(zip(question.options, (1.0, 0.0), strict=True))
            for row, value in zip(answers.index, answers[name], strict=True):
                if isinstance(value, str) and value not in known:
                    raise ValueError(f"{name}: row {row!r} is {value!r}; it must be one of "
                                     f"{[*known]}")  # fmt: skip
            out[name] = answers[name].map(known).astype(float)
        names = [*self.questions]
        if self.most is not None:
            full = (out[names].sum(axis=1) >= self.most).to_numpy()
            for name in names:
                passed = full & [name not in row for row in asked]
                out[name] = out[name].mask(pd.Series(passed, out.index), 0.0)
        if self.none is not None:
            checked = out[names].max(axis=1) == 1
            out[self.none] = (1 - out[names].max(axis=1, skipna=False)).mask(checked, 0.0)
        return out


def check_all(
    text: str,
    options: Sequence[str],
    *,
    name: str | None = None,
    none: str | None = None,
    most: int | None = None,
    wording: str = WORDING,
    reverse: str | None = None,
    answers: Sequence[str] = ("yes", "no"),
    order: str = "random",
    **how: Any,
) -> CheckAll:
    """A question with a list of options, of which all that apply are to be checked.

    Parameters
    ----------
    text : str
        The question.
    options : sequence of str
        The options as listed; braces are doubled, as in a question's text.
    name : str, optional
        Its items and columns are called "name: option"; the text by default.
    none : str, optional
        The option that excludes all others ("none of these"). It is not asked: it is what is left
        where nothing is checked, so that no belief in it can contradict those in the others. An
        option that stands for no answer ("prefer not to say") is to be left out.
    most : int, optional
        How many may be checked ("up to three"). Once so many are, no more is asked. The text must
        say so to the model.
    wording : str
        How one option is asked: the fields {text} and {option}, and columns of the people.
    reverse : str, optional
        A second wording, to which the second answer means checked ('{text} Would it be wrong to
        check "{option}"?'). :func:`selections` then asks both and averages, so that a model that
        says yes to everything believes 1/2 in everything, and reports how much it does so.
        :func:`interview` asks the first wording only.
    answers : sequence of str
        Two answers, of which the first checks the option. Words of equal appeal ("I have it", "I
        do not have it") leave a model that likes to say yes less to agree with.
    order : {"random", "fixed"}
        Of the options, where they are asked jointly; see :class:`Battery`.
    **how
        Further arguments of :class:`simkit.Question` (template, layout, forms, …).

    Returns
    -------
    CheckAll
        A :class:`Battery`: for :func:`selections`, which returns beliefs, and :func:`interview`,
        which draws answers.

    Raises
    ------
    ValueError
        For fewer than two options beside `none`, options that repeat, a `none` that is no option,
        a `most` that is not below the number of options, a wording without {option}, and answers
        that are not two.

    Examples
    --------
    >>> owns = check_all(
    ...     "What do you own?", ["a car", "a bicycle", "none of these"], name="owns",
    ...     none="none of these", wording="Do you own {option}?",
    ... )
    >>> {name: question.text for name, question in owns.questions.items()}
    {'owns: a car': 'Do you own a car?', 'owns: a bicycle': 'Do you own a bicycle?'}
    """
    typed(text, "text", str, "text"), typed(name, "name", str | None, "text")
    options = check_options(options)
    if len(words := listed(answers, "answers")) != 2:
        raise invalid("answers", words, "two: what checks an option, and what does not")
    if none is not None:
        one_of(none, "none", options)
    asked = [option for option in options if option != none]
    if len(asked) < 2:
        raise ValueError(f"{len(asked)} option beside {none!r}; there must be two or more")
    if most is not None:
        integer(most, "most", 1, len(asked) - 1)
    for option in asked:
        if option.lower().startswith("none of"):
            warnings.warn(
                f"the option {option!r} is asked like any other; if it excludes the others, say so "
                f"by none={option!r}",
                stacklevel=2,
            )
    # Braces are doubled in texts, where they are no fields; a column has them as they are read.
    named = {
        f"{name or text}: {option}".replace("{{", "{").replace("}}", "}"): option
        for option in options
    }

    def question(way: Any, what: str, option: str) -> Question:
        if "{option}" not in typed(way, what, str, "text"):
            raise ValueError(f"{what} {way!r} has no {{option}}, where the option goes")
        said = way.replace("{text}", text).replace("{option}", option)
        return Question(said, words, **how)

    def room(known: Mapping[str, Any]) -> bool:
        return most is None or sum(known.get(item) == words[0] for item in named) < most

    rule: Any = {} if most is None else room
    items = [
        Item(item, question(wording, "wording", option), ask_if=rule)
        for item, option in named.items()
        if option != none
    ]
    against = {} if reverse is None else {
        item.name: question(reverse, "reverse", named[item.name]) for item in items
    }  # fmt: skip
    left = None if none is None else next(item for item in named if named[item] == none)
    return CheckAll(items, order, named, left, most, against)
