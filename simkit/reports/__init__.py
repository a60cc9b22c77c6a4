"""Notebooks run by papermill, their HTML pages, their headline numbers, and the index page.

Nothing heavy is imported until one of the names is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simkit.reports.catalogue import Parameter, Study, check, find, legal, studies
    from simkit.reports.execute import run
    from simkit.reports.export import export_html
    from simkit.reports.pages import index
    from simkit.reports.records import Caption, caption, record

__all__ = [
    "Caption",
    "Parameter",
    "Study",
    "caption",
    "check",
    "export_html",
    "find",
    "index",
    "legal",
    "record",
    "run",
    "studies",
]

_HOME = {
    "Caption": "records",
    "Parameter": "catalogue",
    "Study": "catalogue",
    "caption": "records",
    "check": "catalogue",
    "export_html": "export",
    "find": "catalogue",
    "index": "pages",
    "legal": "catalogue",
    "record": "records",
    "run": "execute",
    "studies": "catalogue",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
