"""A study is a notebook, read once: its title and parameters and, once run, what it shows."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from simkit import resources
from simkit.files import as_path
from simkit.reports.parameters import Parameter, declared
from simkit.types import typed

__all__ = ["IMAGES", "Study", "find", "plain", "studies"]

IMAGES = ("image/svg+xml", "image/png", "image/jpeg")  # best first


@dataclass(frozen=True)
class Study:
    """One notebook. `name` is its file name without number: "demand_endogeneity"."""

    path: Path
    notebook: NotebookNode = field(repr=False, compare=False)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Study:
        """The notebook at `path`, each figure with its caption; ValueError for what is none."""
        path = as_path(path, "notebook")
        try:
            notebook = nbformat.read(path, as_version=4)
        except (ValueError, nbformat.ValidationError) as error:  # bytes, or JSON of another kind
            raise ValueError(f"{path} cannot be read as a notebook: {error!s:.200}") from error
        mark = "papermill-error-cell-tag"  # of cells that papermill adds
        notebook.cells = [c for c in notebook.cells if mark not in c.metadata.get("tags", [])]
        _cut_at_stop(notebook.cells)
        _attach_captions(notebook.cells)
        _mark_failure(notebook.cells)
        _drop_places(notebook.cells)
        return cls(path, notebook)

    @property
    def name(self) -> str:
        return re.sub(r"^\d+_", "", self.path.stem)

    @cached_property
    def title(self) -> str:
        """The first heading, else the file's name."""
        texts = (c.source for c in self.notebook.cells if c.cell_type == "markdown")
        headings = (re.search(r"^#\s+(.+?)\s*#*$", text, flags=re.MULTILINE) for text in texts)
        return next((heading[1] for heading in headings if heading), self.path.stem)

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """What the cell tagged `parameters` declares."""
        cells = self.notebook.cells
        tagged = (c.source for c in cells if "parameters" in c.metadata.get("tags", []))
        return declared(next(tagged, ""))

    def values(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`arguments` as the parameters take them; text is read as Python (or JSON) would be.

        A parameter whose type is str keeps text as it is, so a model called "7" stays a name.
        Raises ValueError for a name the notebook does not have, naming those it has; for a value
        of another type than the parameter's (bool, int, float, str, list, dict, None, and unions
        and lists of these are checked), a `profile` that there is not, and a value that a notebook
        cannot be given: what JSON cannot hold, and text that is no Unicode. UTF-8 that Python took
        for single bytes, as it does with a shell's words where the locale is ASCII, is put right.
        """
        typed(arguments, "parameters", Mapping, "a mapping of names and values")
        unknown = [name for name in arguments if name not in self.parameters]
        if unknown:
            raise ValueError(
                f"{self.path.stem} has no parameter {', '.join(map(repr, unknown))}; "
                f"there are {', '.join(self.parameters) or 'none'}"
            )
        return {name: self.parameters[name].take(value) for name, value in arguments.items()}

    @property
    def run(self) -> dict[str, Any]:
        """What papermill wrote of the run: parameters, duration, end_time; empty without one."""
        return dict(self.notebook.metadata.get("papermill", {}))

    @property
    def record(self) -> dict[str, Any] | None:
        """What the notebook recorded: study, numbers and provenance."""
        records = [o.get("metadata", {}).get("simkit", {}).get("record") for o in self._outputs()]
        return next(filter(None, reversed(records)), None)

    @property
    def stopped(self) -> str:
        """Why the study ended itself before its end (Markdown), or ""."""
        marks = (o.get("metadata", {}).get("simkit", {}).get("stopped") for o in self._outputs())
        return next(filter(None, marks), "")

    @property
    def failure(self) -> str:
        """The error that a cell ended in, or ""."""
        marks = (cell.metadata.get("simkit_failed", "") for cell in self.notebook.cells)
        return next(filter(None, marks), "")

    @property
    def figures(self) -> list[dict[str, str]]:
        """`src` and `alt` of every figure, in order."""
        shown = (o for o in self._outputs() if "alt" in o.get("metadata", {}))
        return [{"src": _source(o.data), "alt": o.metadata["alt"]} for o in shown]

    def _outputs(self) -> list[NotebookNode]:
        return [o for cell in self.notebook.cells for o in cell.get("outputs", [])]


def studies() -> list[Study]:
    """Every notebook that ships with simkit, in the order of their numbers.

    Returns
    -------
    list of Study
    """
    return [Study.read(path) for path in _notebooks()]


def _notebooks() -> list[Path]:
    return sorted(resources.root("notebooks").glob("*.ipynb"))


def find(study: str | os.PathLike[str]) -> Study:
    """The study of a name.

    Parameters
    ----------
    study : str or path
        "01_demand_endogeneity", "demand_endogeneity", "01", or the path of a notebook.

    Returns
    -------
    Study

    Raises
    ------
    ValueError
        For an unknown name, naming the studies there are.

    Examples
    --------
    >>> find("02").name
    'belief_efficiency'
    """
    path = as_path(study, "study")
    if path.suffix == ".ipynb" and path.is_file():
        return Study.read(path)
    notebooks = _notebooks()
    for place in notebooks:
        number, _, name = place.stem.partition("_")
        if str(study) in (place.stem, number, name):
            return Study.read(place)
    raise ValueError(
        f"no study {os.fspath(study)!r}; there are {', '.join(p.stem for p in notebooks)} "
        "(number and name alone work too), or give the path of a notebook"
    )


def plain(markdown: str) -> str:
    """Markdown without its marks, for titles and alternative texts."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", markdown)
    return re.sub(r"\s+", " ", re.sub(r"[*`$]|\\(?=[^\w\s])", "", text)).strip()


def _attach_captions(cells: list[NotebookNode]) -> None:
    """Move each caption to its figure, the last one before it.

    A caption that finds no figure stays where it is, as text.
    """
    section, waiting = "", None
    for cell in cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"(?m)^#{2,6}\s+(.+)$", cell.source)
            section = plain(headings[-1]) if headings else section
        for output in list(cell.get("outputs", [])):
            caption = output.get("metadata", {}).get("simkit", {}).get("caption")
            if caption and waiting is not None:
                text = output.data["text/markdown"]
                waiting.metadata.update(caption=text, alt=plain(text))
                waiting = None
                cell.outputs.remove(output)
            elif not caption and any(k.startswith("image/") for k in output.get("data", {})):
                output.metadata["alt"] = f"Figure in the section “{section}”"
                waiting = output


def _cut_at_stop(cells: list[NotebookNode]) -> None:
    """Of a study that ended itself, leave out what was not run, and the marks of the end."""
    for i, cell in enumerate(cells):
        outputs = cell.get("outputs", [])
        if any(o.get("metadata", {}).get("simkit", {}).get("stopped") for o in outputs):
            cell.outputs = [o for o in outputs if o.output_type not in ("error", "stream")]
            del cells[i + 1 :]
            return


def _mark_failure(cells: list[NotebookNode]) -> None:
    """Flag the cell that ended in an error, with what happened."""
    for cell in cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error" and output.ename != "SystemExit":
                cell.metadata["simkit_failed"] = f"{output.ename}: {output.evalue}"
                return


def _drop_places(cells: list[NotebookNode]) -> None:
    """Of warnings, leave out where in the kernel's memory the code was, and the line of code."""
    for output in (o for cell in cells for o in cell.get("outputs", [])):
        if output.output_type == "stream" and output.name == "stderr":
            place = r"(?m)^\S*ipykernel_\d+\S*\.py:\d+: (.*)\n(?:  .*\n?)?"
            output.text = re.sub(place, r"\1\n", output.text)


def _source(data: Mapping[str, Any]) -> str:
    """An image as an address that holds it; "" for one of a kind that no page shows."""
    kind = next((kind for kind in IMAGES if kind in data), None)
    if kind is None:
        return ""
    code = data[kind].replace("\n", "")
    if kind == "image/svg+xml":
        code = base64.b64encode(data[kind].encode()).decode()
    return f"data:{kind};base64,{code}"
