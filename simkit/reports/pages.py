"""The pages' templates, and the index page made of the studies' JSON files."""

from __future__ import annotations

import math
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

import jinja2

from simkit import __version__
from simkit.files import as_path, write_text
from simkit.reports.records import named, read
from simkit.reports.study import Study
from simkit.result import number_text

__all__ = ["TEMPLATES", "encodable", "index", "template"]

TEMPLATES = Path(__file__).parent / "templates"


def index(out: str | PathLike[str]) -> Path:
    """Write `out`/index.html: a card for every `<study>.json` that `run` left in the folder.

    JSON files of other kinds are passed over; a record that cannot be read, or lacks something,
    has no card, and the page says which file it is and why.

    Parameters
    ----------
    out : str or path
        The folder.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ValueError
        For a path that cannot be one.
    """
    folder = as_path(out, "out")
    if encodable(str(folder)) != str(folder) or "\0" in str(folder):
        raise ValueError(f"out is {str(folder)!r}; it must be a path that a disk can hold")
    folder.mkdir(parents=True, exist_ok=True)
    cards, left_out = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            if (content := read(path)) is not None:
                cards.append(_card(folder, content))
        except ValueError as error:
            left_out.append({"file": path.name, "why": str(error)})
    cards.sort(key=lambda card: card["page"])
    page = template("index.html.j2").render(
        title="simkit reports", cards=cards, left_out=left_out, version=__version__
    )
    return write_text(folder / "index.html", encodable(page))


def template(name: str) -> jinja2.Template:
    """A page template of this package; what it is given is escaped unless marked `safe`."""
    return _environment().get_template(name)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["named"] = named
    environment.filters["shown"] = number_text
    environment.filters["duration"] = duration
    return environment


def duration(seconds: float | None) -> str:
    if seconds is None or not math.isfinite(seconds):
        return "not timed"
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def encodable(text: str) -> str:
    """`text` with halves of characters (surrogates), which no file can hold, as their escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _card(folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    """What the index shows of a study: its record, and the first figure of its notebook."""
    page = folder / record["page"]
    try:
        figures = Study.read(page.with_suffix(".ipynb")).figures
    except (OSError, ValueError):
        figures = []
    return {**record, "thumbnail": next(iter(figures), None), "linked": page.is_file()}
