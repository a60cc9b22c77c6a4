"""Human data and recorded models: loaded by name, from checked files, with a card each.

    >>> from simkit import datasets
    >>> datasets.load("anes96").shape
    (944, 11)

Nothing that others made ships with the package. A file is looked for in the folder that the
environment variable `SIMKIT_DATA` names, then in the cache; else it is fetched from its public
source, at a pinned revision, and checked.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from simkit.datasets.cards import CARDS, Card, File
from simkit.datasets.files import DataError, cache_folder, find, state
from simkit.datasets.readers import READERS, read_wvs7

__all__ = ["Card", "DataError", "File", "cache_folder", "card", "check", "fetch", "load", "names"]


def names() -> tuple[str, ...]:
    """The data sets there are."""
    return tuple(CARDS)


def card(name: str) -> Card:
    """Source, licence, revision, hashes, columns and citation of a data set."""
    if not isinstance(name, str) or name not in CARDS:
        raise ValueError(f"no data set {name!r}; there are: {', '.join(CARDS)}")
    return CARDS[name]


def load(name: str, *, path: Path | str | None = None, fetch: bool = True) -> pd.DataFrame:
    """A data set as one tidy frame, its card in `.attrs["card"]`.

    Parameters
    ----------
    name : one of `names()`.
    path : for `wvs7` only, the CSV that the user downloaded.
    fetch : False to read only what is here.

    Raises ValueError for an unknown name and for a path that is none, and `DataError` (an OSError)
    naming the file, the source and the remedy where a file is missing, altered or cannot be
    fetched.
    """
    about = card(name)
    if path is not None and name != "wvs7":
        raise ValueError(f"{name} is read from its own files; a path is for wvs7")
    if name == "wvs7":
        frame = read_wvs7(_wvs7_file(about, path))
    else:
        read = READERS.get(name, pd.read_csv)
        frame = read(*(find(about, file, fetch=fetch) for file in about.files))
    frame.attrs["card"] = about
    return frame


def fetch(name: str) -> list[Path]:
    """Make sure that a data set's files are here; returns their paths."""
    about = card(name)
    return [find(about, file) for file in about.files]


def check() -> pd.DataFrame:
    """One row per file of every data set: `name`, `file` and `state` (here, altered, missing)."""
    rows = [
        {"name": about.name, "file": file.path, "state": state(file)}
        for about in CARDS.values()
        for file in about.files
    ]
    return pd.DataFrame(rows, columns=["name", "file", "state"])


def _wvs7_file(about: Card, path: Path | str | None) -> Path:
    if path is not None:
        if not isinstance(path, Path | str):
            raise ValueError(f"path is {path!r}; it must be a path")
        if not Path(path).expanduser().is_file():
            raise DataError(f"wvs7: no file {path}; source: {about.source}. {about.remark}")
        return Path(path).expanduser()
    folder = Path(os.environ.get("SIMKIT_DATA", "")).expanduser() / "wvs"
    found = sorted(p for p in folder.glob("*.csv") if p.name != "variables.csv")
    if not os.environ.get("SIMKIT_DATA") or not found:
        raise DataError(f"wvs7: no CSV found; source: {about.source}. {about.remark}")
    return found[0]
