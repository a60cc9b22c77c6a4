"""What is asked: the text, the options and how they are laid out in a prompt."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase

import pandas as pd

from simkit.templates import check_text, field_names, fill_rows, is_missing, values_of
from simkit.types import aligned, column, framed, invalid, listed, one_of, shown, typed

__all__ = ["LAYOUTS", "Question", "check_options", "fill"]

# No label may begin another ("1" and "10" may share their first token), so numbers end at 9.
_LABELS = {"letters": tuple(ascii_uppercase), "numbers": tuple("123456789")}
LAYOUTS = ("text", *_LABELS)
# What str.strip takes away, and blanks without width, which pasted texts bring along.
_BLANKS = "".join(c for c in map(chr, range(0x3001)) if c.isspace()) + "\u200b\u2060\ufeff"
_PLAIN = "{context}\nQuestion: {question}\nAnswer:"
_LISTED = "{context}\nQuestion: {question}\n{options}\nAnswer:"


@dataclass(frozen=True)
class Question:
    """One question with a closed set of options.

    Parameters
    ----------
    text : str
        The question; may hold `{column}` fields that the design fills (see :func:`fill`).
    options : sequence of str
        The K alternatives, in order; may hold `{column}` fields too. Where they are scored (layout
        "text") they have no blanks at their ends, which belong into the separator.
    values : sequence of float, optional
        K numbers, for questions whose options lie on a scale (their unit is the option's).
    template : str, optional
        The whole prompt, with the fields `{question}`, optionally `{options}` (the options, one per
        line) and `{context}`, and any column of the design; "{{" is a brace. If the design has no
        `context`, the lines that are only `{context}` are dropped. None: question and "Answer:",
        with the list between them where the layout needs one.
    separator : str
        Put between prompt and option ("Answer:" + " " + "yes"). With separator="" the options
        bring their own.
    forms : mapping, optional
        Further strings that count as an option: {"yes": ["Yes", "YES"]}. Each is scored by itself,
        after the same separator, and its probability is added to the option's. The keys are what
        is scored: the options, or with labels the labels ({"A": ["(A)"]}). Spellings that differ
        in their leading blank need separator="": {"A": [" A"]}.
    layout : str
        "text" scores the options' own words. "letters" and "numbers" list them in the prompt
        ("A. yes", "1. yes") and score the label; up to 26 letters, 9 numbers.

    Raises
    ------
    ValueError
        For fewer than two options, for options or forms that are not text, empty, repeated or have
        a blank at an end, for values that are not finite numbers or of another length, for an
        unknown layout or key of `forms`, for too many options to label, for labels without
        `{options}` in the template or text, and for fields that are not plain names.

    Examples
    --------
    >>> import pandas as pd
    >>> buys = Question("Do you buy {product} at ${price:.2f}?", ["yes", "no"])
    >>> print(buys.prompts(pd.DataFrame({"product": ["tea"], "price": [3]}))[0])
    Question: Do you buy tea at $3.00?
    Answer:
    """

    text: str
    options: tuple[str, ...]
    values: tuple[float, ...] | None = None
    template: str = _PLAIN
    separator: str = " "
    forms: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    layout: str = "text"

    def __init__(
        self,
        text: str,
        options: Sequence[str],
        values: Sequence[float] | None = None,
        template: str | None = None,
        separator: str = " ",
        forms: Mapping[str, Sequence[str]] | None = None,
        layout: str = "text",
    ) -> None:
        one_of(layout, "layout", LAYOUTS)
        if template is None:
            template = _PLAIN if layout == "text" else _LISTED
        for name, string in {"text": text, "template": template, "separator": separator}.items():
            check_text(typed(string, name, str, "text"))
        values = aligned({"options": options, "values": values})["values"]
        options = check_options(options, separator=separator if layout == "text" else "")
        if values is not None:
            values = tuple(column(listed(values, "values"), "values").tolist())
            if len(values) != len(options):
                raise ValueError(f"{len(values)} values for {len(options)} options")
        vars(self).update(
            text=text, options=tuple(options), values=values, template=template,
            separator=separator, layout=layout,
        )  # fmt: skip
        if self.labels is not None:
            k, most = len(options), len(self.labels)
            if k > most:
                raise ValueError(f"{k} options for layout {layout!r}; there may be up to {most}")
            if not self.lists_options:
                raise ValueError(
                    f"layout {layout!r} scores labels, but neither template {template!r} nor text "
                    "has the field {options} where the labelled list goes"
                )
        scored = self.options if self.labels is None else self.labels
        vars(self)["forms"] = _checked_forms({} if forms is None else forms, scored, separator)
        self.fields  # noqa: B018  (reads every text, so that a bad field is named here)

    @property
    def labels(self) -> tuple[str, ...] | None:
        """What stands before the options, by place in the list; None if they are not labelled."""
        if self.layout == "text":
            return None
        return _LABELS[self.layout][: len(self.options)]

    @property
    def lists_options(self) -> bool:
        """Whether the prompt lists the options, so that their order is part of it."""
        return "options" in (field_names(self.template) | field_names(self.text))

    @property
    def fields(self) -> set[str]:
        """The columns that template, text, options and forms name."""
        spelled = [*self.options, *(form for forms in self.forms.values() for form in forms)]
        asked = field_names(self.template) - {"question"} | field_names(self.text)
        return (asked - {"options"}).union(*map(field_names, spelled))

    def prompts(
        self, design: pd.DataFrame, order: Sequence[int] | None = None, *, warn: bool = True
    ) -> list[str]:
        """One prompt per design row.

        Parameters
        ----------
        design : DataFrame
            One row per prompt.
        order : sequence of int, optional
            Which option is listed first, second, ... (a permutation of 0 … K-1); None as given.
        warn : bool
            Whether to warn of columns that no prompt says, see :meth:`warn_unsaid`.

        Returns
        -------
        list of str

        Raises
        ------
        ValueError
            As :func:`fill` does, for a bad order, and for any order where the prompt does not list
            the options.
        """
        framed(design, "the design")
        if warn:
            self.warn_unsaid(design, stacklevel=3)
        if order is not None and not self.lists_options:
            raise ValueError(f"template {self.template!r} lists no options that order could move")
        template = self.template
        if "context" not in design:
            template = "\n".join(x for x in template.split("\n") if x.strip() != "{context}")
        texts = {}
        if self.lists_options:
            if "options" in design:
                raise ValueError("the design has a column 'options', as the field {options} is "
                                 "called; rename it")  # fmt: skip
            texts["options"] = self.listing(design, order)
        texts["question"] = fill(self.text, design, texts)
        return fill(template, design, texts)

    def warn_unsaid(self, design: pd.DataFrame, *texts: str | None, stacklevel: int = 2) -> None:
        """Warn if a design of several rows has columns and none of them is named by a field.

        All its prompts are then alike. A column `context` must be named even if others are:
        `describe` and `render` write it to be said. Other columns need no field (who a person is,
        a wording, a weight). texts : what else the design fills, such as a system text.
        """
        fields = self.fields.union(*(field_names(text) for text in texts if text is not None))
        unsaid = [name for name in framed(design, "the design").columns if name not in fields]
        if "question" in unsaid and "question" in field_names(self.template):
            warnings.warn(
                "the design has a column 'question', and {question} in the template stands for "
                "the question's text; rename the column if it is to be said",
                stacklevel=stacklevel,
            )
        what = ""
        if len(unsaid) == design.shape[1]:
            names = ", ".join(map(str, unsaid[:8])) + (", …" if len(unsaid) > 8 else "")
            what = f"no field names any column of the design ({names}), so all {len(design)} "
            what += "prompts are alike"
        elif "context" in unsaid:
            what = "the design has a column 'context', and no field names it"
        if what and unsaid and len(design) > 1:
            what += f"; put the columns that are to be said into {self.template!r}, in braces"
            warnings.warn(what, stacklevel=stacklevel)

    def options_for(self, design: pd.DataFrame) -> list[list[str]]:
        """The K options of each design row, filled in, without the separator."""
        columns = [fill(option, design) for option in self.options]
        rows = [list(row) for row in zip(*columns, strict=True)]
        if any(field_names(option) for option in self.options):
            _check_rows(rows, design, "" if self.labels else self.separator)
        return rows

    def answers_for(
        self, design: pd.DataFrame, order: Sequence[int] | None = None
    ) -> list[tuple[tuple[str, ...], ...]]:
        """What is scored in each design row: K tuples, in the order of `options`.

        A tuple holds the option's own string (or the label it has under `order`) and its forms,
        filled in, without the separator. Raises ValueError where two strings of a row are equal.
        """
        framed(design, "the design")
        if self.labels is not None:
            place = _places(order, len(self.options))
            scored = [self.labels[p] for p in place]
            return [tuple((s, *self.forms.get(s, ())) for s in scored)] * len(design)
        spelled = [(o, *self.forms.get(o, ())) for o in self.options]
        if not any(field_names(form) for forms in spelled for form in forms):
            alike = tuple(tuple(fill_rows(form, {}, [0])[0] for form in forms) for forms in spelled)
            return [alike] * len(design)
        columns = [zip(*[fill(form, design) for form in forms], strict=True) for forms in spelled]
        rows = list(zip(*columns, strict=True))
        _check_rows(
            [[form for forms in row for form in forms] for row in rows], design, self.separator
        )
        return rows

    def listing(self, design: pd.DataFrame, order: Sequence[int] | None) -> list[str]:
        """The text that `{options}` stands for in each design row."""
        place = _places(order, len(self.options))
        order = [place.index(i) for i in range(len(place))]
        marks = [f"{label}. " for label in self.labels] if self.labels else [""] * len(order)
        return [
            "\n".join(mark + options[k] for mark, k in zip(marks, order, strict=True))
            for options in self.options_for(design)
        ]


def check_options(options: Sequence[str], where: str = "", separator: str = "") -> list[str]:
    """The options, two or more strings, none empty, none twice; ValueError otherwise.

    separator : what will stand before them. With one, a blank of an option's own at either end (a
        line break may end it) is an error too: the model would be asked for "yes " and not "yes".
    """
    options = listed(options, f"{where}options")
    if len(options) < 2:
        raise ValueError(f"{where}at least two options are needed, not {options}")
    seen: set[str] = set()
    for option in options:
        if not isinstance(option, str) or not option.strip():
            number = isinstance(option, int | float) and not is_missing(option)
            hint = f'; write "{option}"' if number else ""
            raise ValueError(f"{where}option {shown(option)} is empty or not text{hint}")
        check_text(option)
        bare = option.strip(_BLANKS)
        if separator and option.rstrip("\r\n") != bare:
            raise ValueError(
                f"{where}option {option!r} has a blank at an end; write {bare!r}, after "
                f'the separator {separator!r} (with separator="" options bring their own blanks)'
            )
        if option in seen:
            raise ValueError(f"{where}option {option!r} stands twice in {options}")
        seen.add(option)
    return options


def fill(
    template: str, design: pd.DataFrame, texts: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """The template with its `{column}` fields filled from each design row.

    A field is a column's name, without attributes or indices; "{{" is a brace. Text that is filled
    in is never read as a template itself.

    Parameters
    ----------
    template : str
        Text with `{column}` fields.
    design : DataFrame
        One row per text.
    texts : mapping, optional
        {field: one text per row}, which goes before a column of that name.

    Returns
    -------
    list of str
        One text per row.

    Raises
    ------
    ValueError
        For a design that is not a frame, a column that stands twice, a field that nothing fills,
        and a value that is missing or has no text (a list), naming row, field and template.

    Notes
    -----
    The rule by which a value becomes text is that of `simkit.templates`: 34 reads "34" in an int,
    float, nullable or Arrow column, a float32 0.1 reads "0.1", midnight is a date, and a format
    ({price:.2f}) is Python's.

    Examples
    --------
    >>> import pandas as pd
    >>> fill("{who} is {age}.", pd.DataFrame({"who": ["Ann", "Bo"], "age": [34.0, 35.0]}))
    ['Ann is 34.', 'Bo is 35.']
    """
    framed(design, "the design")
    texts = typed({} if texts is None else texts, "texts", Mapping, "{field: one text per row}")
    columns = sorted(field_names(template) - texts.keys())
    missing = [name for name in columns if name not in design]
    if missing:
        raise ValueError(
            f"the design has no column for {{{missing[0]}}} in {template!r}; "
            f"its columns are: {', '.join(map(str, design.columns))}"
        )
    lists = {name: listed(column, f"texts[{name!r}]") for name, column in texts.items()}
    return fill_rows(template, lists | {c: values_of(design[c]) for c in columns}, design.index)


def _check_rows(rows: Sequence[Sequence[str]], design: pd.DataFrame, separator: str) -> None:
    for options, row in zip(rows, design.index.tolist(), strict=True):
        check_options(options, f"row {row!r}: ", separator)


def _places(order: Sequence[int] | None, k: int) -> list[int]:
    """The place at which each option is listed."""
    places = list(range(k)) if order is None else listed(order, "order")
    if len(places) != k or any(i not in places for i in range(k)):
        raise invalid("order", places, f"each of 0 to {k - 1} once")
    return [places.index(i) for i in range(k)]


def _checked_forms(
    forms: Mapping[str, Sequence[str]], scored: Sequence[str], separator: str
) -> dict[str, tuple[str, ...]]:
    typed(forms, "forms", Mapping, "{option: list of strings}")
    for key in forms:
        one_of(key, "scored option", scored)
    spelled = {key: tuple(listed(some, f"forms: {key!r}")) for key, some in forms.items()}
    every = [form for some in spelled.values() for form in some]
    check_options([*scored, *every], "forms: ", separator)
    return {key: some for key, some in spelled.items() if some}
