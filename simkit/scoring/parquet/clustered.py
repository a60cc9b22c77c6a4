"""A table scored by many processes: each part is a file of its own, written whole."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simkit import __version__
from simkit.cluster import share_out
from simkit.files import as_path, write_text
from simkit.scoring.load import is_model, is_served, load
from simkit.scoring.parquet.design import ParquetDesign, designed
from simkit.scoring.parquet.stream import Streamed, Stretch, plain, stream
from simkit.scoring.types import Model, identity_of
from simkit.types import shown

__all__ = ["score_clustered"]

REQUEST = "_simkit.json"  # readers of a folder of parquet files pass over names like this one


class Part(NamedTuple):
    """Rows of one file, and the file for their answers."""

    file: Path
    rows: Stretch
    out: Path


@dataclass(frozen=True)
class Report:
    """What is known of a part that is done.

    notes : what its file says of the model and of what was asked.
    said : warnings, category and text.
    """

    done: Streamed
    notes: dict[str, Any]
    said: Sequence[tuple[type[Warning], str]] = ()


def score_clustered(
    model: Any,
    source: str | Path,
    out: str | Path,
    options: Sequence[str] | str,
    *,
    cluster: str,
    workers: int | None = None,
    progress: Callable[[Streamed], None] | None = None,
    **asked: Any,
) -> Streamed:
    """`score_parquet` on a cluster."""
    began = time.monotonic()
    place = Path(os.path.expanduser(as_path(out, "out"))).absolute()
    files = _files(source)
    if place in (files[0], files[0].parent):
        raise ValueError(f"cannot write to {str(place)!r}, which is the design itself")
    hidden = place.with_name(f".simkit-{place.name}")
    designs = [ParquetDesign(file, hidden, options, **asked) for file in files]
    _check_alike(designs)
    opens = partial(_opened, _sent(model))
    folder = _folder(place, _request(opens, designs))
    parts = _parts(designs, folder)
    found = {i: report for i, part in enumerate(parts) if (report := _found(part, designs[0]))}
    designs[0].warn_unsaid()
    tally = _Tally(sum(design.count for design in designs), folder, began, progress)
    for report in found.values():
        tally.add(report)
    todo = [part for i, part in enumerate(parts) if i not in found]
    if todo:
        work = partial(_scorer, opens, options, asked)
        devices = not is_served(_named(opens.args[0]))  # a model behind a server needs none
        for _, report in share_out(work, todo, cluster=cluster, workers=workers, devices=devices):
            tally.add(report)
    if folder != place:
        for left in folder.glob(".simkit-*.part"):  # of workers that were killed
            left.unlink()
        os.rename(folder, place)
    return tally.done


class _Tally:
    """Reports added up; each is held against the first."""

    def __init__(self, of: int, folder: Path, began: float, progress: Any) -> None:
        self.done, self.folder, self.began, self.progress = Streamed(of), folder, began, progress
        self.notes: dict[str, Any] = {}
        self.said: set[type[Warning]] = set()

    def add(self, report: Report) -> None:
        first = self.notes = self.notes or report.notes
        other = [name for name in first if report.notes.get(name) != first[name]]
        if other:
            raise ValueError(
                f"parts in {self.folder} differ in {', '.join(other)}: {report.notes[other[0]]!r} "
                f"and {first[other[0]]!r}. All workers must load the same model: see to that, "
                "delete the folder and begin again"
            )
        for kind, text in report.said:
            if kind not in self.said:  # as one process would, once
                self.said.add(kind)
                warnings.warn(text, kind, stacklevel=4)
        names = ("prompts", "rows", "stored", "low")
        sums = {n: getattr(self.done, n) + getattr(report.done, n) for n in names}
        if report.done.plain == report.done.plain:  # not of a model that counts no tokens
            for n in ("plain", "positions"):
                sums[n] = np.nan_to_num(getattr(self.done, n)) + getattr(report.done, n)
        seconds = time.monotonic() - self.began
        self.done = replace(self.done, **sums, seconds=seconds)
        if self.progress is not None:
            self.progress(self.done)


def _files(source: str | Path) -> list[Path]:
    """The files of a folder by name, or the one file."""
    path = Path(os.path.expanduser(as_path(source, "source"))).absolute()
    if not path.is_dir():
        return [path]
    files = sorted(p for p in path.glob("*.parquet") if not p.name.startswith((".", "_")))
    if not files:
        raise ValueError(f"no file *.parquet in {str(path)!r}")
    return files


def _check_alike(designs: Sequence[ParquetDesign]) -> None:
    for design in designs[1:]:
        if not design.input.equals(designs[0].input):
            raise ValueError(
                f"{design.source.name} has the columns {_in_words(design)}; "
                f"{designs[0].source.name} has {_in_words(designs[0])}. They must be the same, in "
                "type and order: write the files alike (pandas: index=False)"
            )


def _in_words(design: ParquetDesign) -> str:
    schema = design.input
    return ", ".join(f"{n} ({kind})" for n, kind in zip(schema.names, schema.types, strict=True))


def _sent(model: Any) -> Any:
    """The model as a worker gets it: paths hold there from the root."""
    if isinstance(model, str | Path):
        path = Path(os.path.expanduser(model))
        return str(path.absolute()) if path.exists() else str(model)
    if not is_model(model) and not callable(model):
        raise ValueError(f"model is {shown(model)}; it must be what simkit.load takes, or a model")
    return model


def _named(model: Any) -> Any:
    """What is loaded: a name, of a `partial(load, name, ...)` too."""
    return model.args[0] if isinstance(model, partial) and model.args else model


def _opened(model: Any) -> Any:
    """The model, in the process that asks it."""
    if isinstance(model, str):
        return load(model)
    return model if is_model(model) else model()


def _request(opens: partial[Model], designs: Sequence[ParquetDesign]) -> dict[str, Any]:
    """All that the parts depend on, as JSON has it, but for weights that a name stands for."""
    model, first = opens.args[0], designs[0]
    if isinstance(model, partial):
        model = [*map(str, model.args), {n: str(v) for n, v in sorted(model.keywords.items())}]
    elif is_model(model):
        model = [model.name, identity_of(model)]
    names = [f for f in vars(first) if f in ParquetDesign.__dataclass_fields__]
    own = {"source", "out", "channel", "told", "repeated"}
    asked = {n: getattr(first, n) for n in names if n not in own}
    stats = [(design.source, design.source.stat()) for design in designs]
    files = [[file.name, stat.st_size, stat.st_mtime_ns] for file, stat in stats]
    model = model if isinstance(model, str | list) else repr(model)
    content = {"simkit": __version__, "model": model, "files": files, **asked}
    return dict(json.loads(json.dumps(content, default=plain)))


def _folder(place: Path, request: dict[str, Any]) -> Path:
    """Where the parts are: at their place, or on the way there; ValueError where others are."""
    if place.exists() and not (place / REQUEST).is_file():
        raise ValueError(f"{place} is there already and no result of such a run; name another one")
    folder = place if place.exists() else place.with_name(f"{place.name}.unfinished")
    file = folder / REQUEST
    if not file.exists():
        folder.mkdir(exist_ok=True)
        if any(folder.iterdir()):
            raise ValueError(f"{folder} is there already and no result of such a run; remove it")
        write_text(file, json.dumps(request, indent=1) + "\n")
    kept = json.loads(file.read_text(encoding="utf-8"))
    if other := [name for name in request if kept.get(name) != request[name]]:
        raise ValueError(
            f"{folder} is of another run: {other[0]} was {shown(kept.get(other[0]))} and is "
            f"{shown(request[other[0]])}; name another `out`, or delete the folder"
        )
    return folder


def _parts(designs: Sequence[ParquetDesign], folder: Path) -> list[Part]:
    """Files cut into parts of `rows` prompts."""
    parts: list[Part] = []
    before = 0
    for design in designs:
        for start in range(0, design.count, design.rows):
            rows = Stretch(before, start, min(start + design.rows, design.count))
            parts.append(Part(design.source, rows, folder / f"part-{len(parts):06}.parquet"))
        before += design.count
    return parts


def _found(part: Part, design: ParquetDesign) -> Report | None:
    """The report of a part that is there and can be read."""
    if not part.out.is_file():
        return None
    try:
        with pq.ParquetFile(part.out, page_checksum_verification=True) as file:
            notes = _notes(file.schema_arrow)
            read = file.read()  # all of it: pages have checksums
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return None
    table = read.select(["option_id", "valid_mass"]).to_pandas(ignore_metadata=True)
    mass = table["valid_mass"][table["option_id"] == 0]
    prompts = part.rows.stop - part.rows.start
    if len(mass) != prompts:
        return None
    low = int((mass < design.least_mass).sum())
    done = Streamed(prompts, prompts, len(table), stored=prompts, low=low)
    return Report(done, notes)


def _notes(schema: pa.Schema) -> dict[str, Any]:
    """What a part says of the model and the question; not of its own file."""
    notes: dict[str, Any] = json.loads((schema.metadata or {})[b"simkit"])
    return {name: value for name, value in notes.items() if name != "source"}


def _scorer(
    opens: Callable[[], Model], options: Sequence[str] | str, asked: dict[str, Any]
) -> Callable[[Part], Report]:
    """What a worker does: loads the model, and scores part after part."""
    model = opens()

    def score(part: Part) -> Report:
        design = designed(model, part.file, part.out, options, **asked)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                done = stream(model, design, part.rows)
            except Exception as error:
                error.add_note(f"in {part.file}")
                raise
        with pq.ParquetFile(part.out) as file:
            notes = _notes(file.schema_arrow)
        return Report(done, notes, [(one.category, str(one.message)) for one in said])

    return score
