"""The pages' templates, and the index page made of the studies' JSON files."""

from __future__ import annotations

import html
import json
import math
import re
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

import jinja2

import simkit
from simkit.reports.records import rounded

__all__ = ["TEMPLATES", "index", "template", "version"]

TEMPLATES = Path(__file__).parent / "templates"


def index(out: str | PathLike[str]) -> Path:
    """Write `out`/index.html: a card for every `<study>.json` that `run` left in the folder.

    Returns the path of the page. Files that are no record of a study are passed over.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    cards = [card for path in sorted(folder.glob("*.json")) if (card := _card(path)) is not None]
    cards.sort(key=lambda card: card["page"])
    page = template("index.html.j2").render(title="simkit reports", cards=cards, version=version())
    target = folder / "index.html"
    target.write_text(page, encoding="utf-8")
    return target


def template(name: str) -> jinja2.Template:
    """A page template of this package; what it is given is escaped unless marked `safe`."""
    return _environment().get_template(name)


def version() -> str:
    return str(getattr(simkit, "__version__", "unknown"))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    environment.filters["duration"] = duration
    return environment


def shown(value: float | None) -> str:
    """A number as the pages print it: three significant digits and a true minus sign."""
    if value is None or not math.isfinite(value):
        return "undefined"
    return f"{rounded(value):.12g}".replace("-", "\N{MINUS SIGN}")


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "not timed"
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def _card(path: Path) -> dict[str, Any] | None:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not {"study", "numbers", "page"} <= set(content):
        return None
    page = path.parent / content["page"]
    thumbnail = _first_figure(page.read_text(encoding="utf-8")) if page.is_file() else None
    headline = content["numbers"][0] if content["numbers"] else None
    return {**content, "headline": headline, "thumbnail": thumbnail, "linked": page.is_file()}


def _first_figure(page: str) -> dict[str, str] | None:
    tag = re.search(r"<figure\b[^>]*>\s*(<img\b[^>]*>)", page)
    if tag is None:
        return None
    pairs = re.findall(r"""\b(src|alt)=(["'])(.*?)\2""", tag[1])
    return {"src": "", "alt": "", **{name: html.unescape(value) for name, _, value in pairs}}
