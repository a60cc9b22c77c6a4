"""A study run for every combination of some parameters: a report each, and one table of all."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from simkit.cluster import share_out
from simkit.files import as_path, replacing
from simkit.reports.execute import run
from simkit.reports.records import read
from simkit.reports.study import Study, find
from simkit.store import key
from simkit.types import listed, typed

__all__ = ["sweep"]

NUMBER = ("value", "low", "high", "unit", "over", "about", "verdict")


def sweep(
    study: str | PathLike[str],
    grid: Mapping[str, Sequence[Any]],
    parameters: Mapping[str, Any] | None = None,
    *,
    out: str | PathLike[str] = "simkit-reports",
    cluster: str | None = None,
    workers: int | None = None,
    progress: Callable[[str, str], None] | None = None,
) -> pd.DataFrame:
    """Run a study once for every combination of some parameters' values.

    A combination that fails is a row that says so, and the others still run. One whose page and
    record are there is not run again: so a sweep that was stopped is taken up by the same call.
    An edited notebook, or other parameters, are other combinations.

    Parameters
    ----------
    study : str or path
        A name as :func:`find` takes it, or a notebook.
    grid : mapping
        Name of a parameter -> its values, the first one varying slowest.
    parameters : mapping, optional
        The same for all combinations, as :func:`run` takes them.
    out : str or path
        Its folder ``<notebook>-grid`` gets a folder for each combination, with what `run` writes,
        and ``table.csv``; :func:`index` of `out` shows the table.
    cluster : str, optional
        None to run one after another here; "local" for processes of this machine, or the address
        of a Ray cluster whose machines see the same folders.
    workers : int, optional
        Notebooks that run at a time on a cluster, each with a GPU where there is one. None for
        one on each free GPU; where there is none, one on each processor core.
    progress : callable, optional
        Is called with the name of a combination and its status as each is done.

    Returns
    -------
    pandas.DataFrame
        A row per combination and number, in the order of the grid: the parameters, `status`
        ("complete", "stopped" by the study itself, or "failed"), `error`, `number` (its name) with
        `value`, `low`, `high`, `unit`, `over`, `about` and `verdict` of the record, and `page`, the
        report's path within the folder of the table. A combination without numbers has one row.

    Raises
    ------
    ValueError
        For an unknown study or parameter, a value that a parameter cannot take, one that is given
        twice, and a parameter without values; before anything runs.
    ImportError
        For a cluster where Ray is not installed.
    """
    source, fixed = find(study), {} if parameters is None else parameters
    typed(fixed, "parameters", Mapping, "a mapping of names and values")
    combinations = _combinations(source, grid, fixed)
    folder = as_path(out, "out").absolute() / f"{source.path.stem}-grid"
    folder.mkdir(parents=True, exist_ok=True)
    places = [folder / _name(source, values, list(grid)) for values in combinations]
    rows = list(zip(combinations, places, strict=True))
    todo = [(values, place) for values, place in rows if not _done(source, place)]
    work = partial(_runner, str(source.path.absolute()), os.getcwd())
    if cluster is None:
        results: Any = ((i, work()(part)) for i, part in enumerate(todo))
    else:
        results = share_out(work, todo, cluster=cluster, workers=workers) if todo else ()
    failures: dict[Path, str] = {}
    for i, failure in results:
        place = todo[i][1]
        failures[place] = failure
        _write(_table(source, rows, list(grid), failures), folder)  # what is done, so far
        if progress is not None:
            progress(place.name, "failed" if failure else "complete")
    table = _table(source, rows, list(grid), failures)
    _write(table, folder)
    return table


def _combinations(
    source: Study, grid: Mapping[str, Sequence[Any]], fixed: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Parameters of each run, as the notebook takes them."""
    typed(grid, "grid", Mapping, "names and lists of values")
    grid = {name: listed(values, f"grid of {name!r}") for name, values in grid.items()}
    if not grid:
        raise ValueError("the grid is empty; run one combination by `run`")
    for name, values in grid.items():
        if not values:
            raise ValueError(f"grid of {name!r} has no values")
        if name in fixed:
            raise ValueError(f"{name!r} is in the grid and among the parameters; take one out")
    made = [
        source.values({**fixed, **dict(zip(grid, values, strict=True))})
        for values in itertools.product(*grid.values())
    ]
    for i, one in enumerate(made):
        if one in made[:i]:
            raise ValueError(f"the grid holds { {n: one[n] for n in grid} } twice")
    return made


def _name(source: Study, values: Mapping[str, Any], names: Sequence[str]) -> str:
    """A folder's name: the values, and a hash of the notebook's code and all parameters."""
    code = [c.source for c in source.notebook.cells if c.cell_type == "code"]
    text = "-".join(f"{name}={values[name]}" for name in names)
    digits = key(code=code, parameters=dict(values)).hex()[:8]
    return f"{re.sub(r'[^A-Za-z0-9._=-]+', '_', text)[:80]}-{digits}"


def _done(source: Study, place: Path) -> bool:
    record = _record(source, place)
    whole = record is not None and record["status"] != "failed"
    return whole and (place / f"{source.path.stem}.html").is_file()


def _record(source: Study, place: Path) -> dict[str, Any] | None:
    try:
        return read(place / f"{source.name}.json")
    except ValueError:  # not there, or broken off
        return None


def _runner(notebook: str, folder: str) -> Callable[[tuple[dict[str, Any], Path]], str]:
    """What a worker does: runs the notebook with some parameters; the error in words, or ""."""

    def work(part: tuple[dict[str, Any], Path]) -> str:
        os.chdir(folder)  # from where relative paths among the parameters hold
        try:
            run(notebook, part[0], out=part[1])
        except Exception as error:  # of any kind: the other combinations still run
            return f"{type(error).__name__}: {error}".strip()
        return ""

    return work


def _table(
    source: Study, rows: Sequence[tuple[dict[str, Any], Path]], names: Sequence[str],
    failures: Mapping[Path, str],
) -> pd.DataFrame:  # fmt: skip
    found = []
    for values, place in rows:
        record = _record(source, place)
        known = {name: str(v) if isinstance(v, list | dict) else v for name, v in values.items()}
        page = f"{place.name}/{source.path.stem}.html"
        failure = failures.get(place, "")
        if record is None and not failure:
            status, error = "not run", ""
        elif record is None:
            status, error = "failed", failure.splitlines()[-1]
        else:
            status, error = record["status"], record["error"]
        one = {**{n: known[n] for n in names}, "status": status, "error": error}
        numbers = [] if record is None else record["numbers"]
        for number in numbers or [dict.fromkeys(("name", *NUMBER))]:
            told = {name: number[name] for name in NUMBER}
            found.append({**one, "number": number["name"], **told, "page": page})
    return pd.DataFrame(found)


def _write(table: pd.DataFrame, folder: Path) -> None:
    with replacing(folder / "table.csv") as part:
        table.to_csv(part, index=False)
