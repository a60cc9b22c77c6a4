"""An executed notebook as one HTML file that is whole without network, scripts or code shown."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

from simkit.files import as_path, write_text
from simkit.reports.catalogue import parameters_of, title_of
from simkit.reports.markdown import Heading, clean, render
from simkit.reports.pages import TEMPLATES, encodable, template, version
from simkit.reports.records import named

__all__ = ["export_html"]

# What an output is shown as, best first. Scripts and widgets are not in it: they do not travel.
PRIORITY = [
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/latex",
    "text/plain",
]


def export_html(
    notebook: str | PathLike[str] | NotebookNode,
    out: str | PathLike[str],
    *,
    failure: str = "",
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Write `notebook` (a path, or a notebook in memory) as the HTML page `out`; returns `out`.

    The page loads nothing: figures are inlined, mathematics is MathML, and HTML in outputs is
    cleaned. Code is folded away, with a button to show it. The title is the first heading; model,
    parameters and run time are those that papermill left in the notebook. A cell that ended in an
    error, or a `failure` in words, marks the page as a failed, partial run. `provenance` is that
    of the run's record, from which the model's hash is told.
    """
    folder, out = Path(), as_path(out, "out")
    if not isinstance(failure, str):
        raise ValueError(f"failure is {failure!r:.80}; it must be text")
    if not isinstance(provenance, Mapping | None):
        raise ValueError(f"provenance is {provenance!r:.80}; it must be a mapping, or None")
    if not isinstance(notebook, NotebookNode):
        folder = as_path(notebook, "notebook").parent
        try:
            notebook = nbformat.read(notebook, as_version=4)
        except (ValueError, nbformat.ValidationError) as error:  # bytes, or JSON of another kind
            raise ValueError(f"{notebook} cannot be read as a notebook: {error!s:.200}") from error
    nb = nbformat.from_dict(notebook)
    nb.cells = [c for c in nb.cells if not _made_by_papermill(c)]
    title = title_of(nb.cells) or out.stem
    failed = _mark_failure(nb)
    _drop_title(nb)
    _attach_captions(nb)
    headings: list[Heading] = []
    body, _ = _exporter(headings).from_notebook_node(nb, {"metadata": {"path": str(folder)}})
    page = template("report.html.j2").render(
        title=_plain(title),
        heading=render(title, headings=[]).removeprefix("<p>").rstrip().removesuffix("</p>"),
        body=body,
        toc=[h for h in headings if h[0] in (2, 3)],
        failure=failed or failure,
        pygments=_code_colours(),
        **_facts(nb, provenance or {}),
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


def _made_by_papermill(cell: NotebookNode) -> bool:
    return "papermill-error-cell-tag" in cell.metadata.get("tags", [])


def _mark_failure(nb: NotebookNode) -> str:
    """Flag the cell that ended in an error; returns what happened, or ""."""
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error" and output.ename != "SystemExit":
                cell.metadata["simkit_failed"] = True
                return f"{output.ename}: {output.evalue}"
    return ""


def _drop_title(nb: NotebookNode) -> None:
    """Take the first heading out of the text: the page's header shows it."""
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source, found = re.subn(r"(?m)^#\s+.+$", "", cell.source, count=1)
            if found:
                return


def _attach_captions(nb: NotebookNode) -> None:
    """Move each caption to its figure: the last one before it, else the next in its cell.

    A caption that finds no figure stays where it is, as text.
    """
    section, waiting = "", None
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"(?m)^#{2,6}\s+(.+)$", cell.source)
            section = _plain(headings[-1]) if headings else section
            continue
        unplaced, kept = None, []
        for output in cell.get("outputs", []):
            if output.get("metadata", {}).get("simkit", {}).get("caption"):
                if waiting is None:
                    unplaced = output
                    kept.append(output)
                else:
                    _caption(waiting, output)
                    waiting = None
                continue
            kept.append(output)
            if any(kind.startswith("image/") for kind in output.get("data", {})):
                output.metadata["alt"] = f"Figure in the section “{section}”"
                waiting = output
                if unplaced is not None:
                    _caption(output, unplaced)
                    kept.remove(unplaced)
                    unplaced, waiting = None, None
        if "outputs" in cell:
            cell.outputs = kept


def _caption(figure: NotebookNode, caption: NotebookNode) -> None:
    text = caption.data["text/markdown"]
    figure.metadata["caption"], figure.metadata["alt"] = text, _plain(text)


def _plain(markdown: str) -> str:
    """Markdown without its marks, for titles and alternative texts."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", markdown)
    return re.sub(r"\s+", " ", re.sub(r"[*`$]|\\(?=[^\w\s])", "", text)).strip()


def _facts(nb: NotebookNode, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Model, parameters, run time and date, from what papermill left in the notebook."""
    run = nb.metadata.get("papermill", {})
    given = run.get("parameters", {})
    defaults = parameters_of(nb.cells)
    rows = [
        {
            "name": p.name,
            "value": named(given.get(p.name, p.default)),
            "help": p.help,
            "given": p.name in given,
        }
        for p in defaults.values()
    ]
    ended = run.get("end_time")
    return {
        "parameters": rows,
        "model": provenance.get("model")
        or next((row["value"] for row in rows if row["name"] == "model"), None),
        "hash": provenance.get("model_hash"),
        "seconds": run.get("duration"),
        "finished": datetime.datetime.fromisoformat(ended) if ended else None,
        "version": version(),
    }


def _code_colours() -> str:
    light = HtmlFormatter(style="friendly").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    return f"{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}"
