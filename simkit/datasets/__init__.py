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
from simkit.types import one_of, typed

__all__ = ["Card", "DataError", "File", "cache_folder", "card", "check", "fetch", "load", "names"]


def names() -> tuple[str, ...]:
    """The data sets there are.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> names()[:3]
    ('anes96', 'modechoice', 'car')
    """
    return tuple(CARDS)


def card(name: str) -> Card:
    """Source, licence, revision, hashes, columns and citation of a data set.

    Parameters
    ----------
    name : str
        One of :func:`names`.

    Returns
    -------
    Card

    Raises
    ------
    ValueError
        For an unknown name, naming those there are.

    Examples
    --------
    >>> card("anes96").code_book["vote"]
    'expected vote: 0 Clinton, 1 Dole'
    """
    return CARDS[one_of(name, "data set", CARDS)]


def load(name: str, *, path: Path | str | None = None, fetch: bool = True) -> pd.DataFrame:
    """A data set as one tidy frame.

    Parameters
    ----------
    name : str
        One of :func:`names`.
    path : path or str, optional
        For `wvs7` only, the CSV that the user downloaded.
    fetch : bool
        False to read only what is on this machine.

    Returns
    -------
    DataFrame
        Its card is in ``.attrs["card"]``.

    Raises
    ------
    ValueError
        For an unknown name and for a path that is not one.
    DataError
        (An OSError.) Where a file is missing, altered or cannot be fetched, naming the file, the
        source and the remedy.

    Examples
    --------
    >>> load("anes96")[["age", "educ", "vote"]].mean().round(1).to_dict()
    {'age': 47.0, 'educ': 4.6, 'vote': 0.4}
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
    """Fetch those files of a data set that are not on this machine.

    Parameters
    ----------
    name : str
        One of :func:`names`.

    Returns
    -------
    list of Path
        Where the files are.

    Raises
    ------
    ValueError, DataError
        As in :func:`load`.
    """
    about = card(name)
    return [find(about, file) for file in about.files]


def check() -> pd.DataFrame:
    """The state of every file of every data set.

    Returns
    -------
    DataFrame
        One row per file: `name`, `file` and `state` (here, altered, missing).

    Examples
    --------
    >>> check().columns.tolist()
    ['name', 'file', 'state']
    """
    rows = [
        (about.name, file.path, state(file)) for about in CARDS.values() for file in about.files
    ]
    return pd.DataFrame(rows, columns=["name", "file", "state"])


def _wvs7_file(about: Card, path: Path | str | None) -> Path:
    if path is not None:
        typed(path, "path", Path | str, "a path")
        if not Path(path).expanduser().is_file():
            raise DataError(f"wvs7: no file {path}; source: {about.source}. {about.remark}")
        return Path(path).expanduser()
    folder = Path(os.environ.get("SIMKIT_DATA", "")).expanduser() / "wvs"
    files = sorted(p for p in folder.glob("*.csv") if p.name != "variables.csv")
    if not os.environ.get("SIMKIT_DATA") or not files:
        raise DataError(f"wvs7: no CSV found; source: {about.source}. {about.remark}")
    return files[0]
