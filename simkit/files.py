"""Files that are written whole: whoever reads one finds the old text or the new, never a part."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

__all__ = ["as_path", "write_text"]


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


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write `text` as UTF-8 to the file at `path`, in one step; returns the path.

    It is written beside the file, under a name that begins with ".simkit-", and then takes the
    file's place. Where that fails the file stays as it was, and nothing is left beside it.

    Raises UnicodeEncodeError for text that UTF-8 cannot hold, and OSError.
    """
    data = text.encode("utf-8")
    target = Path(os.path.realpath(path))  # a link goes on pointing where it did
    part = target.with_name(f".simkit-{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return Path(path)
