"""The parquet files of a streamed design: what is read and what is written, checked and whole."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from simkit.files import as_path
from simkit.scoring.bulk.request import Request
from simkit.types import shown

__all__ = ["checked", "path_of", "readable", "writing"]


def path_of(path: str | Path) -> Path:
    """A path as it was given, the home folder filled in; ValueError for what is no path."""
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"{shown(path)} is no path; name a parquet file")
    return Path(os.path.expanduser(as_path(path, "the path")))


def checked(request: Request, source: Path, out: Path, rows: int) -> int:
    """The number of rows of `source`; raises what `score_parquet` raises before it scores."""
    if not isinstance(rows, int) or rows < 1:
        raise ValueError(f"rows is {shown(rows)}; a batch needs at least one")
    if not source.is_file():
        raise ValueError(f"no file {str(source)!r} with the design")
    if not out.absolute().parent.is_dir():
        raise ValueError(f"no folder {str(out.parent)!r} for {out.name}; make it first")
    if out.exists() and (not out.is_file() or out.samefile(source)):
        raise ValueError(f"cannot write to {str(out)!r}: it is no plain file or the design itself")
    if not os.access(os.path.dirname(os.path.realpath(out)), os.W_OK):
        raise PermissionError(f"cannot write to the folder of {str(out)!r}; name another one")
    try:
        with pq.ParquetFile(source) as file:
            schema, count = file.schema_arrow, int(file.metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{source} is not a parquet file ({error}); from a table that pandas can read, "
            "DataFrame.to_parquet makes one"
        ) from error
    request.columns(schema)
    request.schema(schema)
    if not count:
        raise ValueError(f"{source} has no rows")
    return count


def readable(source: Path, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches of a file; damage in it is named."""
    row = 0
    try:
        for batch in batches:
            yield batch
            row += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{source} cannot be read from row {row} on ({error}); it is damaged: write it anew"
        ) from error


@contextmanager
def writing(out: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """Writes tables to a file that takes the place of `out` at the end, whole and on the disk.

    Until then it lies beside `out`; after an error nothing is left of it.
    """
    target = Path(os.path.realpath(out))  # a link goes on pointing where it did
    part = target.with_name(f".{out.name}.{secrets.token_hex(4)}.part")

    def write(table: pa.Table) -> None:
        with _named(out):
            writer.write_table(table)

    try:
        with _named(out):
            writer = pq.ParquetWriter(part, schema, write_page_checksum=True)
        try:
            yield write
            with _named(out):
                writer.close()
                with part.open("rb+") as file:
                    os.fsync(file.fileno())
                part.replace(target)
        finally:
            with suppress(OSError):  # after an error it is thrown away
                writer.close()
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _named(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(
            f"{out} cannot be written: {error}; make room or name another place (what a model "
            "with a cache has scored is kept there)"
        ) from error
