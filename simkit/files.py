"""Files that are written whole: whoever reads one finds the old text or the new, never a part."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["as_path", "replacing", "write_text"]


def as_path(value: Any, name: str) -> Path:
    """`value` as a Path; ValueError, which calls it `name`, for what is neither text nor a path.

    And for text that no file can be called by: with a null character, or half a surrogate pair.
    """
    if not isinstance(value, str | os.PathLike):
        raise ValueError(f"{name} is {value!r:.80}; it must be a path, or text")
    try:
        bad = b"\0" in os.fsencode(value)
    except UnicodeEncodeError:
        bad = True
    if bad:
        raise ValueError(f"{name} is {value!r:.80}, which no file can be called")
    return Path(os.fsdecode(value))


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path to write to, beside the file at `path`, whose place it takes at the end in one step.

    Its name begins with ".simkit-". Where writing fails the file stays as it was, and nothing is
    left beside it.
    """
    target = Path(os.path.realpath(path))  # a link goes on pointing where it did
    part = target.with_name(f".simkit-{secrets.token_hex(8)}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write `text` as UTF-8 to the file at `path`, in one step, see `replacing`; returns the path.

    Raises UnicodeEncodeError for text that UTF-8 cannot hold, and OSError.
    """
    data = text.encode("utf-8")
    with replacing(path) as part:
        part.write_bytes(data)
    return Path(path)
