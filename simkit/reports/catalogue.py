"""The studies that can be run: notebooks found by name, their titles and their parameters."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simkit import resources

__all__ = ["Parameter", "Study", "find", "legal", "parameters_of", "studies", "title_of"]

_TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "str": (str,),
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
    path = Path(study)
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
    Raises ValueError for a name the notebook does not have, naming those it has, and for a value
    of another type than the parameter's (bool, int, float, str are checked).
    """
    unknown = sorted(set(values) - set(study.parameters))
    if unknown:
        raise ValueError(
            f"{study.path.stem} has no parameter {', '.join(map(repr, unknown))}; "
            f"legal are {', '.join(study.parameters) or 'none'}"
        )
    return {name: _typed(study.parameters[name], value) for name, value in values.items()}


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
    value: Any = os.fspath(given) if isinstance(given, os.PathLike) else given
    if isinstance(value, str) and parameter.type != "str":
        value = _literal(value)
    wanted = _TYPES.get(parameter.type)
    if wanted is None:
        return value
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise ValueError(f"parameter {parameter.name!r} takes {parameter.type}, not {value!r}")
    return wanted[0](value)
