"""Run a study: papermill in this process, then its HTML page and its record."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import papermill
from papermill.exceptions import PapermillExecutionError

from simkit.files import as_path
from simkit.reports.export import export_html
from simkit.reports.pages import encodable
from simkit.reports.records import write
from simkit.reports.study import Study, find

__all__ = ["run"]


def run(
    study: str | PathLike[str],
    parameters: Mapping[str, Any] | None = None,
    *,
    out: str | PathLike[str] = "simkit-reports",
) -> Path:
    """Execute a study's notebook and write its page, its record and its notebook.

    Parameters
    ----------
    study : str or path
        A name as :func:`find` takes it, or a notebook.
    parameters : mapping, optional
        Replace those of the notebook's parameters cell. Relative paths in them hold from the
        current folder.
    out : str or path
        The folder to write to. In a terminal a bar is shown.

    Returns
    -------
    Path
        The HTML page.

    Raises
    ------
    ValueError
        For an unknown study or parameter, naming those there are, and for a value that the
        parameter cannot take, before anything runs.
    PapermillExecutionError
        Where a cell fails (with `ename`, `evalue` and `traceback`): page and record are written as
        far as the run got, marked as failed. If there is not even a notebook, there is a record
        without a page.
    """
    source = find(study)
    values = source.values({} if parameters is None else parameters)
    folder = as_path(out, "out").resolve()
    executed, page = folder / source.path.name, folder / f"{source.path.stem}.html"
    if executed == source.path.resolve():
        raise ValueError(f"out={os.fspath(out)!r} is the notebook's own folder; choose another")
    folder.mkdir(parents=True, exist_ok=True)
    for stale in (folder / f"{source.name}.json", executed, page):  # not to outlive a failure
        stale.unlink(missing_ok=True)
    logging.getLogger("papermill").setLevel(logging.ERROR)  # its check of names misreads unions
    try:
        papermill.execute_notebook(
            str(source.path),
            str(executed),
            parameters=values,
            kernel_name="python3",
            progress_bar={"desc": source.path.stem, "disable": None},  # none but in a terminal
            extra_arguments=["--log-level=ERROR"],  # else a warning about sockets at every start
        )
        _publish(source, executed, page, values)
    except BaseException as error:  # an interrupted run is a failed one too
        try:
            _publish(source, executed, page, values, failure=_in_words(error))
        except Exception as second:  # which must not hide the first
            error.add_note(f"and the report of this failure was not written: {_in_words(second)}")
        raise
    return page


def _publish(
    source: Study, executed: Path, page: Path, values: Mapping[str, Any], failure: str = ""
) -> None:
    """Write record and page; of a failed run that left no notebook, the record alone."""
    try:
        done = Study.read(executed)
    except Exception:
        if not failure:
            raise
        done = None
        executed.unlink(missing_ok=True)  # it is empty, or breaks off
    write(page, source, values, done, failure)
    if done is not None:
        export_html(done, page, failure=failure)


def _in_words(error: BaseException) -> str:
    if isinstance(error, PapermillExecutionError):
        return encodable(f"{error.ename}: {error.evalue}")
    return encodable(f"{type(error).__name__}: {error}")
