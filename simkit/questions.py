"""What is asked: the text, the options and how they are laid out in a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter

import pandas as pd

__all__ = ["Question"]


@dataclass(frozen=True)
class Question:
    """One question with a closed set of options.

    Parameters
    ----------
    text : the question; may hold `{column}` fields that the design fills.
    options : the K alternatives, in order; may hold `{column}` fields too.
    values : K numbers, for questions whose options lie on a scale (their unit is the option's).
    template : the whole prompt, with the fields `{question}`, optionally `{context}`, and any
        column of the design. If the design has no `context`, the lines that are only `{context}`
        are dropped.
    separator : put between prompt and option ("Answer:" + " " + "yes").

    Raises ValueError for fewer than two options, for repeated or empty options, and where
    `values` and `options` differ in length.
    """

    text: str
    options: tuple[str, ...]
    values: tuple[float, ...] | None = None
    template: str = "{context}\nQuestion: {question}\nAnswer:"
    separator: str = " "

    def __init__(
        self,
        text: str,
        options: Sequence[str],
        values: Sequence[float] | None = None,
        template: str = "{context}\nQuestion: {question}\nAnswer:",
        separator: str = " ",
    ) -> None:
        check_options(options)
        if values is not None and len(values) != len(options):
            raise ValueError(f"{len(values)} values for {len(options)} options")
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "options", tuple(options))
        object.__setattr__(self, "values", None if values is None else tuple(map(float, values)))
        object.__setattr__(self, "template", template)
        object.__setattr__(self, "separator", separator)

    def prompts(self, design: pd.DataFrame) -> list[str]:
        """One prompt per design row; ValueError names a field that the design does not fill."""
        template = self.template
        if "context" not in design:
            template = "\n".join(x for x in template.split("\n") if x.strip() != "{context}")
        template = template.replace("{question}", self.text)
        return _fill(template, design)

    def options_for(self, design: pd.DataFrame) -> list[list[str]]:
        """The K options of each design row, filled in, without the separator."""
        columns = [_fill(option, design) for option in self.options]
        rows = [list(row) for row in zip(*columns, strict=True)]
        if any(_fields(option) for option in self.options):
            for row, options in enumerate(rows):
                check_options(options, f"row {row}: ")
        return rows


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


def _fields(template: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(template) if name is not None]


def _fill(template: str, design: pd.DataFrame) -> list[str]:
    fields = _fields(template)
    if not fields:
        return [template] * len(design)
    missing = [f for f in fields if f.split(".")[0].split("[")[0] not in design]
    if missing:
        raise ValueError(
            f"the design has no column for {{{missing[0]}}} in {template!r}; "
            f"its columns are: {', '.join(map(str, design.columns))}"
        )
    return [template.format_map(r) for r in design[sorted(set(fields))].to_dict("records")]
