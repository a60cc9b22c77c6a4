"""The studies that can be run: notebooks found by name, their titles and their parameters."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import tokenize
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simkit import resources
from simkit.files import as_path

__all__ = [
    "PROFILES", "Parameter", "Study", "check", "find", "legal", "parameters_of", "studies",
    "title_of",
]  # fmt: skip

PROFILES = ("fast", "full")

_TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "list": (list,),
    "dict": (dict,),
    "None": (type(None),),
}


@dataclass(frozen=True)
class Parameter:
    """One knob of a notebook: `type` is its annotation, or the type of its default."""

    name: str
    default: Any
    type: str
    help: str


@dataclass(frozen=True)
class Study:
    """One notebook. `name` is its file name without number: "demand_endogeneity"."""

    path: Path
    title: str
    parameters: dict[str, Parameter]

    @property
    def number(self) -> str:
        return match[1] if (match := re.match(r"(\d+)_", self.path.stem)) else ""

    @property
    def name(self) -> str:
        return re.sub(r"^\d+_", "", self.path.stem)


def studies() -> list[Study]:
    """Every notebook that travels with simkit, in the order of their numbers."""
    return [_read(path) for path in sorted(resources.root("notebooks").glob("*.ipynb"))]


def find(study: str | os.PathLike[str]) -> Study:
    """The study called `study`: "01_demand_endogeneity", "demand_endogeneity", "01", or a path.

    Raises ValueError naming the studies there are.
    """
    path = as_path(study, "study")
    if path.suffix == ".ipynb" and path.is_file():
        return _read(path)
    known = {p.stem: p for p in sorted(resources.root("notebooks").glob("*.ipynb"))}
    for stem, place in known.items():
        number, _, name = stem.partition("_")
        if str(study) in (stem, number, name):
            return _read(place)
    raise ValueError(
        f"no study {os.fspath(study)!r}; there are {', '.join(known)} "
        "(number and name alone work too), or give the path of a notebook"
    )


def legal(study: Study, values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` as the study's parameters take them; text is read as Python (or JSON) would be.

    A parameter whose type is str keeps text as it is, so a model called "7" stays a name.
    Raises ValueError for a name the notebook does not have, naming those it has; for a value of
    another type than the parameter's (bool, int, float, str, list, dict, None, and unions and
    lists of these are checked), a `profile` that is not one of PROFILES, and a value that a
    notebook cannot be given: what JSON cannot hold, and text that is no Unicode. UTF-8 that Python
    took for single bytes, as it does with a shell's words where the locale is ASCII, is put right.
    """
    if not isinstance(study, Study):
        raise ValueError(f"study is {study!r:.80}; it must be from reports.find")
    if not isinstance(values, Mapping):
        raise ValueError(f"parameters is {values!r}; it must be a mapping of names and values")
    unknown = [name for name in values if name not in study.parameters]
    if unknown:
        raise ValueError(
            f"{study.path.stem} has no parameter {', '.join(map(repr, unknown))}; "
            f"there are {', '.join(study.parameters) or 'none'}"
        )
    return {name: _typed(study.parameters[name], value) for name, value in values.items()}


def check(values: Mapping[str, Any], /, **allowed: Sequence[Any] | pd.Interval) -> None:
    """Refuse parameters that a later cell could not work with; call it right after they are set.

    `values` is `globals()`. Of each parameter named in `allowed` the value, or each element of a
    list (one or more), must be in what is given: `range(2, 21)` for whole numbers from 2 to 20, a
    list of choices, `pd.Interval(0, 1, closed="right")` for numbers above 0 up to 1. All that have
    an annotation must be of its type, and `profile` one of PROFILES.

        reports.check(globals(), products=range(1, 41), wordings=range(2, 21), seed=range(2**32))

    Raises ValueError naming the parameter, its value and what it must be.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"check takes globals(), not {values!r}")
    kinds = values.get("__annotations__", {})
    if not isinstance(kinds, Mapping):
        raise ValueError(f"__annotations__ is {kinds!r:.80}; check takes globals()")
    for name, kind in kinds.items():
        words = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
        words = str(kind) if getattr(kind, "__args__", ()) else words
        if name in values and not _fits(_annotation(words), values[name]):
            raise ValueError(f"{name} is {values[name]!r}; it must be {words}")
    if "profile" in values:
        allowed = {"profile": PROFILES, **allowed}
    for name, choices in allowed.items():
        if name not in values:
            raise ValueError(f"check was told of {name!r}, which is no parameter here")
        value = values[name]
        parts = value if isinstance(value, list) else [value]
        if not parts or not all(_among(one, choices) for one in parts):
            raise ValueError(f"{name} is {value!r}; it must be {_told(choices)}")


def _among(value: Any, choices: Any) -> bool:
    if isinstance(choices, range):  # which would take 8.0 for 8, where a slice does not
        return isinstance(value, int | np.integer) and type(value) is not bool and value in choices
    if isinstance(choices, pd.Interval):
        number = isinstance(value, int | float | np.number) and type(value) is not bool
        return number and value in choices
    if not isinstance(choices, list | tuple):
        raise ValueError(f"check was given {choices!r}; it must be a range, a list or an interval")
    return isinstance(value, str | int | float) and value in choices


def title_of(cells: Iterable[Mapping[str, Any]]) -> str:
    """The text of the first heading in the Markdown cells; "" without one."""
    for cell in cells:
        if cell["cell_type"] == "markdown":
            heading = re.search(r"^#\s+(.+?)\s*#*$", _text(cell), flags=re.MULTILINE)
            if heading:
                return heading[1]
    return ""


def parameters_of(cells: Iterable[Mapping[str, Any]]) -> dict[str, Parameter]:
    """The assignments of the cell tagged `parameters`; help is the comment on the line.

    Read from the syntax tree: papermill's own reading takes line by line and drops a line with a
    second "=" (in a comment, say) or a union in its annotation.
    """
    tagged = (c for c in cells if "parameters" in c.get("metadata", {}).get("tags", []))
    source = _text(next(tagged, {}))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    found = {}
    for node in ast.parse(source).body:
        target: ast.expr
        if isinstance(node, ast.AnnAssign):
            target, annotation = node.target, ast.unparse(node.annotation)
        elif isinstance(node, ast.Assign):
            target, annotation = node.targets[0], ""
        else:
            continue
        if not isinstance(target, ast.Name) or node.value is None:
            continue
        name, default = target.id, _literal(ast.unparse(node.value))
        kind = annotation or ("" if default is None else type(default).__name__)
        found[name] = Parameter(name, default, kind, comments.get(node.end_lineno or 0, ""))
    return found


def _read(path: Path) -> Study:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return Study(path, title_of(cells) or path.stem, parameters_of(cells))


def _text(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _literal(text: str) -> Any:
    """`text` as a Python or JSON value; anything else is text."""
    words = {"true": True, "false": False, "null": None}
    try:
        return words[text] if text in words else ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _typed(parameter: Parameter, given: Any) -> Any:
    name, value = parameter.name, given
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    elif isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    kind = _annotation(parameter.type)
    if isinstance(value, str) and parameter.type != "str" and _fits(kind, _literal(value)):
        value = _literal(value)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        value = json.loads(text.encode("utf-8", "surrogateescape"))
    except UnicodeError:
        raise ValueError(
            f"parameter {name!r} is {given!r}, which holds half a character (a lone surrogate); "
            "give it as UTF-8 text (in a shell: check LANG)"
        ) from None
    except (TypeError, ValueError, RecursionError):
        raise ValueError(
            f"parameter {name!r} is {given!r}; it must be what JSON can hold: text, finite "
            "numbers, True, False, None, and lists and dictionaries of these"
        ) from None
    if not _fits(kind, value):
        raise ValueError(f"parameter {name!r} takes {parameter.type}, not {value!r}")
    if name == "profile" and value not in PROFILES:
        raise ValueError(f"parameter 'profile' is {value!r}; it must be {_told(PROFILES)}")
    return float(value) if parameter.type == "float" else value


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


def _told(choices: Any) -> str:
    if isinstance(choices, range):
        return f"a whole number from {choices[0]:,} to {choices[-1]:,}"
    if isinstance(choices, pd.Interval):
        low, high = (("from", "above")[choices.open_left], ("to", "below")[choices.open_right])
        return f"a number {low} {choices.left:g} {high} {choices.right:g}"
    return f"one of {', '.join(map(repr, choices))}"
