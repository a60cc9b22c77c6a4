"""An executed notebook as one HTML file that is whole without network, scripts or code shown."""

from __future__ import annotations

import datetime
import re
from copy import deepcopy
from os import PathLike
from pathlib import Path
from typing import Any

from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

from simkit import __version__
from simkit.files import as_path, write_text
from simkit.reports.markdown import Heading, clean, render
from simkit.reports.pages import TEMPLATES, encodable, template
from simkit.reports.records import named
from simkit.reports.study import IMAGES, Study, plain
from simkit.types import typed

__all__ = ["export_html"]

# What an output is shown as, best first. Scripts and widgets are not in it: they do not travel.
PRIORITY = ["text/html", "text/markdown", *IMAGES, "text/latex", "text/plain"]


def export_html(
    study: Study | str | PathLike[str], out: str | PathLike[str], *, failure: str = ""
) -> Path:
    """Write a notebook as one HTML page.

    The page loads nothing: figures are inlined, mathematics is MathML, and HTML in outputs is
    cleaned. Code is folded away, with a button to show it. The title is the first heading; model,
    parameters and run time are those that the run left in the notebook.

    Parameters
    ----------
    study : Study, str or path
        A notebook, or one that was read.
    out : str or path
        The page to write.
    failure : str
        An error in words. It, or a cell that ended in an error, marks the page as a failed,
        partial run.

    Returns
    -------
    Path
        `out`.
    """
    out = as_path(out, "out")
    typed(failure, "failure", str, "text")
    study = study if isinstance(study, Study) else Study.read(study)
    headings: list[Heading] = []
    resources = {"metadata": {"path": str(study.path.parent)}}
    body, _ = _exporter(headings).from_notebook_node(_without_title(study.notebook), resources)
    title = study.title
    page = template("report.html.j2").render(
        title=plain(title),
        heading=render(title, headings=[]).removeprefix("<p>").rstrip().removesuffix("</p>"),
        body=body,
        toc=[h for h in headings if h[0] in (2, 3)],
        failure=study.failure or failure,
        stopped=render(study.stopped) if study.stopped else "",  # it quotes the model
        pygments=_code_colours(),
        version=__version__,
        **_facts(study),
    )
    return write_text(out, encodable(page))


def _exporter(headings: list[Heading]) -> HTMLExporter:
    exporter = HTMLExporter(
        extra_template_basedirs=[str(TEMPLATES)],
        template_name="notebook",
        config=Config({"NbConvertBase": {"display_data_priority": PRIORITY}}),
    )
    for url in ("mathjax_url", "require_js_url", "jquery_url", "mermaid_js_url"):
        setattr(exporter, url, "")

    def authored(cell: NotebookNode) -> str:
        return render(cell.source, headings=headings, attachments=cell.get("attachments", {}))

    exporter.register_filter("authored", authored)
    exporter.register_filter("rendered", render)
    exporter.register_filter("clean", clean)
    return exporter


def _without_title(notebook: NotebookNode) -> NotebookNode:
    """A copy without the first heading: the page's header shows it."""
    notebook = deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source, removed = re.subn(r"(?m)^#\s+.+$", "", cell.source, count=1)
            if removed:
                break
    return notebook


def _facts(study: Study) -> dict[str, Any]:
    """Model, parameters, run time and date of the run."""
    arguments = study.run.get("parameters", {})
    values = {name: named(arguments.get(name, p.default)) for name, p in study.parameters.items()}
    provenance = (study.record or {}).get("provenance", {})
    used = {name: named(value) for name, value in provenance.get("parameters", {}).items()}
    rows = [
        {"name": name, "value": values[name], "used": used.get(name, values[name]), "help": p.help,
         "given": name in arguments}
        for name, p in study.parameters.items()
    ]  # fmt: skip
    ended = study.run.get("end_time")
    return {
        "parameters": rows,
        "changed": [row for row in rows if row["used"] != row["value"]],  # to fit a budget, say
        "model": provenance.get("model") or values.get("model"),
        "hash": provenance.get("model_hash"),
        "seconds": study.run.get("duration"),
        "finished": datetime.datetime.fromisoformat(ended) if ended else None,
    }


def _code_colours() -> str:
    light = HtmlFormatter(style="friendly").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    return f"{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}"
