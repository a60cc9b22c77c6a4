"""Parameters of a notebook: what its cell declares, and whether a value is what one takes."""

from __future__ import annotations

import ast
import inspect
import io
import json
import os
import tokenize
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simkit.types import invalid, typed

__all__ = ["PROFILES", "Parameter", "check", "declared"]

PROFILES = ("fast", "full")

_TYPES: dict[str, tuple[type, ...]] = {
    **{kind.__name__: (kind,) for kind in (bool, int, str, list, dict)},
    "float": (float, int),
    "None": (type(None),),
}


@dataclass(frozen=True)
class Parameter:
    """One knob of a notebook: `type` is its annotation, or the type of its default."""

    name: str
    default: Any
    type: str
    help: str

    def take(self, argument: Any) -> Any:
        """`argument` as the notebook takes it; ValueError, which names it, if it cannot."""
        name, value = self.name, argument
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        elif isinstance(value, np.generic | np.ndarray):
            value = value.tolist()
        kind = _annotation(self.type)
        if isinstance(value, str) and self.type != "str" and _fits(kind, _literal(value)):
            value = _literal(value)
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False)
            value = json.loads(text.encode("utf-8", "surrogateescape"))
        except UnicodeError:
            raise ValueError(
                f"parameter {name!r} is {argument!r}, which holds half a character (a lone "
                "surrogate); give it as UTF-8 text (in a shell: check LANG)"
            ) from None
        except (TypeError, ValueError, RecursionError):
            kinds = "text, finite numbers, True, False, None, and lists and dictionaries of these"
            raise invalid(f"parameter {name!r}", argument, f"what JSON can hold: {kinds}") from None
        if not _fits(kind, value):
            raise ValueError(f"parameter {name!r} takes {self.type}, not {value!r}")
        if name == "profile" and value not in PROFILES:
            raise invalid("parameter 'profile'", value, _in_words(PROFILES))
        return float(value) if self.type == "float" else value


def declared(source: str) -> dict[str, Parameter]:
    """The assignments of a parameters cell; help is the comment on the line.

    Read from the syntax tree: papermill's own reading takes line by line and drops a line with a
    second "=" (in a comment, say) or a union in its annotation.
    """
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    knobs = {}
    for node in ast.parse(source).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and value is not None:
            default = _literal(ast.unparse(value))
            kind = "" if default is None else type(default).__name__
            kind = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else kind
            comment = comments.get(node.end_lineno or 0, "")
            knobs[target.id] = Parameter(target.id, default, kind, comment)
    return knobs


def check(values: Mapping[str, Any], /, **allowed: Sequence[Any] | pd.Interval) -> None:
    """Refuse parameters that a later cell could not work with; call it right after they are set.

    Parameters
    ----------
    values : mapping
        ``globals()``. All parameters with an annotation must be of its type, and `profile` one of
        PROFILES.
    **allowed
        Of each parameter named here, the value, or each element of a list (one or more), must be
        in what is given: ``range(2, 21)`` for whole numbers from 2 to 20, a list of choices,
        ``pd.Interval(0, 1, closed="right")`` for numbers above 0 up to 1.

    Raises
    ------
    ValueError
        Naming the parameter, its value and what it must be.

    Examples
    --------
    >>> products, wordings = 12, [2, 5]
    >>> check(globals(), products=range(1, 41), wordings=range(2, 21))
    """
    typed(values, "the first argument of check", Mapping, "globals()")
    kinds = values.get("__annotations__", {})
    typed(kinds, "__annotations__", Mapping, "those of globals()")
    for name, kind in kinds.items():
        words = kind if isinstance(kind, str) else inspect.formatannotation(kind)
        if name in values and not _fits(_annotation(words), values[name]):
            raise invalid(name, values[name], words)
    if "profile" in values:
        allowed = {"profile": PROFILES, **allowed}
    for name, choices in allowed.items():
        if name not in values:
            raise ValueError(f"check was given {name!r}, which is not a parameter here")
        value = values[name]
        parts = value if isinstance(value, list) else [value]
        if not parts or not all(_among(one, choices) for one in parts):
            raise invalid(name, value, _in_words(choices))


def _among(value: Any, choices: Any) -> bool:
    if isinstance(choices, range):  # which would take 8.0 for 8, where a slice does not
        return isinstance(value, int | np.integer) and type(value) is not bool and value in choices
    if isinstance(choices, pd.Interval):
        number = isinstance(value, int | float | np.number) and type(value) is not bool
        return number and value in choices
    if not isinstance(choices, list | tuple):
        raise invalid("an argument of check", choices, "a range, a list or an interval")
    return isinstance(value, str | int | float) and value in choices


def _literal(text: str) -> Any:
    """`text` as a Python or JSON value; anything else is text."""
    words = {"true": True, "false": False, "null": None}
    try:
        return words[text] if text in words else ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _annotation(text: str) -> ast.expr:
    try:
        return ast.parse(text or "Any", mode="eval").body
    except (SyntaxError, ValueError):  # ValueError: a null character, half a surrogate pair
        raise ValueError(f"{text!r:.80} is no annotation, such as int or list[str]") from None


def _fits(kind: ast.expr, value: Any) -> bool:
    """Whether `value` is of the type annotated; annotations of other kinds say nothing of it."""
    if isinstance(kind, ast.BinOp) and isinstance(kind.op, ast.BitOr):
        return _fits(kind.left, value) or _fits(kind.right, value)
    if isinstance(kind, ast.Subscript) and ast.unparse(kind.value) == "list":
        return isinstance(value, list) and all(_fits(kind.slice, v) for v in value)
    if isinstance(kind, ast.Subscript):
        return _fits(kind.value, value)
    wanted = _TYPES.get(ast.unparse(kind), (object,))
    return isinstance(value, wanted) and (
        not isinstance(value, bool) or wanted[0] in (bool, object)
    )


def _in_words(choices: Any) -> str:
    if isinstance(choices, range):
        return f"a whole number from {choices[0]:,} to {choices[-1]:,}"
    if isinstance(choices, pd.Interval):
        low, high = (("from", "above")[choices.open_left], ("to", "below")[choices.open_right])
        return f"a number {low} {choices.left:g} {high} {choices.right:g}"
    return f"one of {', '.join(map(repr, choices))}"
