"""Notebooks run by papermill, their HTML pages, their headline numbers, and the index page.

What runs notebooks and makes pages is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from simkit.reports.numbers import number, within
from simkit.reports.parameters import check
from simkit.reports.records import caption, go_on, record
from simkit.reports.study import Study, find, studies
from simkit.result import estimate_text

if TYPE_CHECKING:
    from simkit.reports.execute import run
    from simkit.reports.export import export_html
    from simkit.reports.grid import sweep
    from simkit.reports.pages import index

__all__ = [
    "Study", "caption", "check", "estimate_text", "export_html", "find", "go_on", "index",
    "number", "record", "run", "studies", "sweep", "within",
]  # fmt: skip

_HEAVY = {"export_html": "export", "index": "pages", "run": "execute", "sweep": "grid"}


def __getattr__(name: str) -> Any:
    if name not in _HEAVY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HEAVY[name]}"), name)
