"""Run a study: papermill in this process, then its HTML page and its record."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from simkit.files import as_path
from simkit.reports.catalogue import Study, find, legal
from simkit.reports.export import export_html
from simkit.reports.pages import encodable
from simkit.reports.records import finish

__all__ = ["run"]


def run(
    study: str | PathLike[str],
    parameters: Mapping[str, Any] | None = None,
    *,
    model: str | PathLike[str] | None = None,
    out: str | PathLike[str] = "simkit-reports",
    progress: bool = True,
) -> Path:
    """Execute a study's notebook and write its page, its record and its notebook to `out`.

    `study` is a name as `find` takes it; `parameters` replace those of the notebook's parameters
    cell; `model` is short for the parameter of that name; `progress` shows a bar on stderr.
    Relative paths in parameters hold from the current folder. Returns the path of the HTML page.

    Raises ValueError for an unknown study or parameter, naming those there are, and for a value
    that the parameter cannot take, before anything runs. Where a cell fails, page and record are
    written as far as the run got, marked as failed, and the error (papermill's
    PapermillExecutionError, with `ename`, `evalue` and `traceback`) is raised again; where not
    even a notebook came to be, there is a record without a page.
    """
    found = find(study)
    values = legal(found, {} if parameters is None else parameters)
    values |= legal(found, {} if model is None else {"model": model})
    folder = as_path(out, "out").resolve()
    executed = folder / found.path.name
    if executed == found.path.resolve():
        raise ValueError(f"out={os.fspath(out)!r} is the notebook's own folder; choose another")
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{found.path.stem}.html"
    for stale in (folder / f"{found.name}.json", executed, page):  # not to outlive a failure
        stale.unlink(missing_ok=True)
    try:
        _execute(found, executed, values, progress)
        _publish(found, executed, page, values)
    except BaseException as error:  # an interrupted run is a failed one too
        try:
            _publish(found, executed, page, values, failure=_in_words(error))
        except Exception as second:  # which must not hide the first
            error.add_note(f"and the report of this failure was not written: {_in_words(second)}")
        raise
    return page


def _execute(study: Study, executed: Path, values: dict[str, Any], progress: bool) -> None:
    cells = len(nbformat.read(study.path, as_version=4).cells) + bool(values)  # one injected
    logging.getLogger("papermill").setLevel(logging.ERROR)  # its check of names misreads unions
    names = {"SIMKIT_REPORTS": str(executed.parent), "SIMKIT_STUDY": study.name}
    with _environment(names), _bar(study.path.stem, cells, progress) as advance:
        papermill.execute_notebook(
            str(study.path),
            str(executed),
            parameters=values,
            kernel_name="python3",
            progress_bar=False,
            extra_arguments=["--log-level=ERROR"],  # else a warning about sockets at every start
            on_cell_start=advance,
        )


def _publish(
    study: Study, executed: Path, page: Path, values: Mapping[str, Any], failure: str = ""
) -> None:
    """Write record and page; of a failed run that left no notebook, the record alone."""
    try:
        notebook = nbformat.read(executed, as_version=4)
    except Exception:
        if not failure:
            raise
        notebook = None
        executed.unlink(missing_ok=True)  # it is empty, or breaks off
    timing = {} if notebook is None else notebook.metadata.get("papermill", {})
    provenance = finish(
        page.parent,
        study.name,
        parameters={p.name: values.get(p.name, p.default) for p in study.parameters.values()},
        title=study.title,
        page=page.name,
        status="failed" if failure else "complete",
        error=failure,
        seconds=timing.get("duration"),
        finished=timing.get("end_time"),
    )
    if notebook is not None:
        export_html(executed, page, failure=failure, provenance=provenance)


def _in_words(error: BaseException) -> str:
    if isinstance(error, PapermillExecutionError):
        return encodable(f"{error.ename}: {error.evalue}")
    return encodable(f"{type(error).__name__}: {error}")


@contextmanager
def _environment(names: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that the notebook's kernel inherits, put back afterwards."""
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _bar(title: str, cells: int, progress: bool) -> Iterator[Callable[..., None]]:
    """A progress bar over the cells; yields the function that nbclient calls at each cell."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("cells"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task(title, total=cells)

        def advance(cell: Any, cell_index: int) -> None:
            bar.update(task, completed=cell_index)

        yield advance
        bar.update(task, completed=cells)
