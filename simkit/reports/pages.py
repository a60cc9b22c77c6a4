"""The pages' templates, and the index page made of the studies' JSON files."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from simkit import __version__
from simkit.files import as_path, write_text
from simkit.reports.records import named, read
from simkit.reports.study import Study
from simkit.result import number_text

__all__ = ["TEMPLATES", "encodable", "index", "template"]

TEMPLATES = Path(__file__).parent / "templates"
IN_GRID = 4  # numbers of a sweep that the index shows; its table has all
MADE_BY = '<meta name="generator" content="simkit'  # in the head of every page of this package
FIGURE = re.compile(
    r'<figure>\s*<img alt="([^"]*)" src="(data:image/(?:png|jpeg|svg\+xml);base64,[\w+/=]+)"'
)


def index(out: str | PathLike[str]) -> Path:
    """Write `out`/index.html: a card for every `<study>.json` that `run` left in the folder.

    JSON files of other kinds are passed over; a record that cannot be read, or lacks something,
    has no card, and the page says which file it is and why. Sub-folders that `run` wrote into
    have cards here too, of studies run on another model: each beside that study's own. A folder
    that `sweep` wrote into has a table: the first numbers of each combination, with its page.

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
                cards.append(_card(path, content))
        except ValueError as error:
            left_out.append({"file": path.name, "why": str(error)})
    models = {(card["study"], card["provenance"]["model"]) for card in cards}
    cards += [_card(p, r, within=p.parent.name) for p, r in _below(folder)
              if (r["study"], r["provenance"]["model"]) not in models]  # fmt: skip
    cards.sort(key=lambda card: (card["page"], card["within"]))
    page = template("index.html.j2").render(
        title="simkit reports",
        cards=cards,
        left_out=left_out,
        version=__version__,
        grids=[*_grids(folder, left_out)],
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


def _grids(folder: Path, left_out: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """The tables of sweeps: a row per combination, a column per parameter and leading number."""
    for path in sorted(folder.glob("*-grid/table.csv")):
        try:
            table = pd.read_csv(path, keep_default_na=False, dtype=str)
            names = list(table.columns[: list(table.columns).index("status")])
            leading = [*dict.fromkeys(table["number"])][:IN_GRID]
            groups = table.groupby("page", sort=False)
            rows = [_combination(rows, names, leading, path.parent) for _, rows in groups]
        except (OSError, ValueError, KeyError) as error:
            why = f"it is no table of a sweep ({error})"
            left_out.append({"file": f"{path.parent.name}/{path.name}", "why": why})
            continue
        leading = [name for name in leading if name]
        yield {"name": path.parent.name.removesuffix("-grid"), "names": names, "numbers": leading,
               "rows": rows, "table": f"{path.parent.name}/{path.name}"}  # fmt: skip


def _combination(
    rows: pd.DataFrame, names: list[str], leading: list[str], folder: Path
) -> dict[str, Any]:
    """A row of a sweep's table."""
    first, by_name = rows.iloc[0], rows.set_index("number")
    cells = []
    for name in filter(None, leading):
        told = by_name.loc[name] if name in by_name.index else None
        numbers = [None] * 3 if told is None else [told[end] for end in ("value", "low", "high")]
        value, low, high = (float(text) if text else None for text in numbers)
        verdict = "" if told is None else told["verdict"]
        cells.append({"value": value, "low": low, "high": high, "verdict": verdict})
    there = (folder / first["page"]).is_file()
    return {"values": [first[name] for name in names], "status": first["status"], "cells": cells,
            "error": first["error"],
            "link": f"{folder.name}/{first['page']}" if there else ""}  # fmt: skip


def _below(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Records with a page, of the sub-folders that have an index of this package."""
    for path in sorted(folder.glob("*/*.json")):
        try:
            with (path.parent / "index.html").open(encoding="utf-8") as page:
                ours = MADE_BY in page.read(1_000)
            record = read(path) if ours else None
        except (OSError, ValueError):  # it is said on the index of that folder
            continue
        if record is not None and (path.parent / record["page"]).is_file():
            yield path, record


def _card(path: Path, record: dict[str, Any], within: str = "") -> dict[str, Any]:
    """What the index shows of a study: its record, and its first figure."""
    page = path.parent / record["page"]
    link = f"{within}/{record['page']}" if within else record["page"]
    more = {"thumbnail": _first_figure(page), "within": within, "link": link}
    return {**record, **more, "linked": page.is_file()}


def _first_figure(page: Path) -> dict[str, str] | None:
    """Of the notebook, or of the page where the notebook was not kept."""
    notebook = page.with_suffix(".ipynb")
    try:
        if notebook.exists():
            return next(iter(Study.read(notebook).figures), None)
        found = FIGURE.search(page.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return {"alt": html.unescape(found[1]), "src": found[2]} if found else None
