"""What is asked: the text, the options and how they are laid out in a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter, ascii_uppercase

import pandas as pd

__all__ = ["LAYOUTS", "Question", "check_options", "fill"]

LAYOUTS = ("text", "letters", "numbers")
# No label may begin another ("1" and "10" may share their first token), so numbers end at 9.
_LABELS = {"letters": tuple(ascii_uppercase), "numbers": tuple("123456789")}
_PLAIN = "{context}\nQuestion: {question}\nAnswer:"
_LISTED = "{context}\nQuestion: {question}\n{options}\nAnswer:"


@dataclass(frozen=True)
class Question:
    """One question with a closed set of options.

    Parameters
    ----------
    text : the question; may hold `{column}` fields that the design fills.
    options : the K alternatives, in order; may hold `{column}` fields too.
    values : K numbers, for questions whose options lie on a scale (their unit is the option's).
    template : the whole prompt, with the fields `{question}`, optionally `{options}` (the options,
        one per line) and `{context}`, and any column of the design; "{{" is a brace. If the
        design has no `context`, the lines that are only `{context}` are dropped. None: question
        and "Answer:", with the list between them where the layout needs one.
    separator : put between prompt and option ("Answer:" + " " + "yes").
    forms : further strings that count as an option: {"yes": ["Yes", "YES"]}. Each is scored by
        itself, after the same separator, and its probability is added to the option's. The keys
        are what is scored: the options, or with labels the labels ({"A": ["(A)"]}). Spellings
        that differ in their leading blank need separator="": {"A": [" A"]}.
    layout : "text" scores the options' own words. "letters" and "numbers" list them in the prompt
        ("A. yes", "1. yes") and score the label; up to 26 letters, 9 numbers.

    Raises ValueError for fewer than two options, for repeated or empty options or forms, where
    `values` and `options` differ in length, for an unknown layout or key of `forms`, for too many
    options to label, and for labels without `{options}` in the template or text.
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
        check_options(options)
        if values is not None and len(values) != len(options):
            raise ValueError(f"{len(values)} values for {len(options)} options")
        if layout not in LAYOUTS:
            raise ValueError(f"no layout {layout!r}; legal are {', '.join(LAYOUTS)}")
        if template is None:
            template = _PLAIN if layout == "text" else _LISTED
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "options", tuple(options))
        object.__setattr__(self, "values", None if values is None else tuple(map(float, values)))
        object.__setattr__(self, "template", template)
        object.__setattr__(self, "separator", separator)
        object.__setattr__(self, "layout", layout)
        self._check_labels()
        scored = self.options if self.labels is None else self.labels
        object.__setattr__(self, "forms", _checked_forms(forms or {}, scored))

    def _check_labels(self) -> None:
        listed = self.lists_options  # reads template and text, so that a bad one is named here
        if self.labels is None:
            return
        if len(self.labels) < len(self.options):
            raise ValueError(
                f"{len(self.options)} options for layout {self.layout!r}; "
                f"legal are up to {len(self.labels)}"
            )
        if not listed:
            raise ValueError(
                f"layout {self.layout!r} scores labels, but neither template {self.template!r} "
                "nor text has the field {options} where the labelled list goes"
            )

    @property
    def labels(self) -> tuple[str, ...] | None:
        """What stands before the options, by place in the list; None if they are not labelled."""
        if self.layout == "text":
            return None
        return _LABELS[self.layout][: len(self.options)]

    @property
    def lists_options(self) -> bool:
        """Whether the prompt lists the options, so that their order is part of it."""
        return "options" in (_roots(self.template) | _roots(self.text))

    def prompts(self, design: pd.DataFrame, order: Sequence[int] | None = None) -> list[str]:
        """One prompt per design row.

        order : which option is listed first, second, ... (a permutation of 0 … K-1); None as
            given. ValueError names a field that the design does not fill, a bad order, and any
            order where the prompt does not list the options.
        """
        if order is not None and not self.lists_options:
            raise ValueError(f"template {self.template!r} lists no options, so order moves nothing")
        template = self.template
        if "context" not in design:
            template = "\n".join(x for x in template.split("\n") if x.strip() != "{context}")
        given = {}
        if self.lists_options:
            if "options" in design:
                raise ValueError(
                    "the design has a column 'options', which is what {options} stands for; "
                    "rename it"
                )
            given["options"] = self._lists(design, order)
        given["question"] = fill(self.text, design, given)
        return fill(template, design, given)

    def options_for(self, design: pd.DataFrame) -> list[list[str]]:
        """The K options of each design row, filled in, without the separator."""
        columns = [fill(option, design) for option in self.options]
        rows = [list(row) for row in zip(*columns, strict=True)]
        if any(_roots(option) for option in self.options):
            for row, options in enumerate(rows):
                check_options(options, f"row {row}: ")
        return rows

    def answers_for(
        self, design: pd.DataFrame, order: Sequence[int] | None = None
    ) -> list[tuple[tuple[str, ...], ...]]:
        """What is scored in each design row: K tuples, in the order of `options`.

        A tuple holds the option's own string (or the label it has under `order`) and its forms,
        filled in, without the separator. Raises ValueError where two strings of a row are equal.
        """
        if self.labels is not None:
            place = _places(order, len(self.options))
            scored = [self.labels[p] for p in place]
            return [tuple((s, *self.forms.get(s, ())) for s in scored)] * len(design)
        spelled = [(o, *self.forms.get(o, ())) for o in self.options]
        if not any(_roots(s) for some in spelled for s in some):
            return [tuple(tuple(s.format() for s in some) for some in spelled)] * len(design)
        columns = [zip(*[fill(s, design) for s in some], strict=True) for some in spelled]
        rows = list(zip(*columns, strict=True))
        for row, answers in enumerate(rows):
            check_options([s for some in answers for s in some], f"row {row}: ")
        return rows

    def _lists(self, design: pd.DataFrame, order: Sequence[int] | None) -> list[str]:
        """The text that `{options}` stands for in each design row."""
        _places(order, len(self.options))
        order = range(len(self.options)) if order is None else order
        marks = [f"{label}. " for label in self.labels] if self.labels else [""] * len(order)
        return [
            "\n".join(mark + options[k] for mark, k in zip(marks, order, strict=True))
            for options in self.options_for(design)
        ]


def check_options(options: Sequence[str], where: str = "") -> None:
    """Raise ValueError unless there are two or more options, none empty, none twice."""
    if isinstance(options, str):
        raise ValueError(f"{where}options must be a list of strings, not the string {options!r}")
    if len(options) < 2:
        raise ValueError(f"{where}at least two options are needed, not {list(options)}")
    seen: set[str] = set()
    for option in options:
        if not isinstance(option, str) or not option.strip():
            raise ValueError(f"{where}option {option!r} is empty or not text")
        if option in seen:
            raise ValueError(f"{where}option {option!r} stands twice in {list(options)}")
        seen.add(option)


def fill(
    template: str, design: pd.DataFrame, given: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """The template with its `{column}` fields filled from each design row.

    given : {field: one text per row}, which goes before a column of that name. What is filled in
    is never read as a template itself. ValueError names a field that nothing fills.
    """
    given = given or {}
    roots = _roots(template)
    if not roots:
        return [template.format()] * len(design)
    columns = sorted(roots - given.keys())
    missing = [name for name in columns if name not in design]
    if missing:
        raise ValueError(
            f"the design has no column for {{{missing[0]}}} in {template!r}; "
            f"its columns are: {', '.join(map(str, design.columns))}"
        )
    records = design[columns].to_dict("records") if columns else [{} for _ in range(len(design))]
    for name in roots & given.keys():
        for record, text in zip(records, given[name], strict=True):
            record[name] = text
    return [template.format_map(record) for record in records]


def _roots(template: str) -> set[str]:
    """Names of the fields, without what is taken of them: "{price:.2f} {who[0]}" -> price, who."""
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise ValueError(
            f"{template!r} cannot be read as a template: {error}; write {{{{ and }}}} for braces"
        ) from error
    return {name.split(".")[0].split("[")[0] for name in names}


def _places(order: Sequence[int] | None, k: int) -> list[int]:
    """The place at which each option is listed."""
    listed = list(range(k)) if order is None else list(order)
    if sorted(listed) != list(range(k)):
        raise ValueError(f"order is {listed}; legal is each of 0 to {k - 1} once")
    return [listed.index(i) for i in range(k)]


def _checked_forms(
    forms: Mapping[str, Sequence[str]], scored: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    for key, some in forms.items():
        if key not in scored:
            raise ValueError(f"forms: {key!r} is not scored; legal keys are {list(scored)}")
        if isinstance(some, str):
            raise ValueError(f"forms: {key!r} needs a list of strings, not the string {some!r}")
    check_options([*scored, *(form for some in forms.values() for form in some)], "forms: ")
    return {key: tuple(some) for key, some in forms.items() if len(some)}
