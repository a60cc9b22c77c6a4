"""Where a data set's files are: the folder that `SIMKIT_DATA` names, else the cache, else a fetch.

Every file is checked against its SHA-256 each time it is read. A download goes to a temporary name
and takes its place only when the hash is right, so nothing half-written is ever left.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import warnings
import zlib
from pathlib import Path

from tqdm import TqdmWarning

with warnings.catch_warnings():
    # In a notebook its progress bars complain on stderr where ipywidgets is missing; none is shown.
    warnings.simplefilter("ignore", TqdmWarning)
    import pooch

from simkit.datasets.cards import Card, File

__all__ = ["DataError", "cache_folder", "find", "state"]


class DataError(OSError):
    """A data set cannot be read; the message names it, its source and the remedy."""


def cache_folder() -> Path:
    """The folder into which data sets are fetched.

    Returns
    -------
    Path
        pooch's place for this system.
    """
    return Path(pooch.os_cache("simkit"))


def find(card: Card, file: File, *, fetch: bool = True) -> Path:
    """Path of a checked file, fetched if it is nowhere and `fetch` allows it.

    Raises `DataError` for a file that is altered, missing, or cannot be fetched.
    """
    for path in _existing(file):
        if _right(path, file):
            return path
        digest = _digest(path)
        remedy = "delete it and fetch again" if file.url else f"copy it anew. {card.remark}"
        raise DataError(
            f"{card.name}: {path} is not the file it should be (SHA-256 of its content is "
            f"{digest[:12] or 'unreadable'}…, expected {file.sha256[:12]}…; source: "
            f"{card.source}). It may be damaged, cut short or another version: {remedy}"
        )
    if fetch and file.url is not None:
        return _fetch(card, file)
    remedy = f"it has no public address in this form. {card.remark}"
    remedy = "run `simkit data fetch`, or put it there yourself" if file.url else remedy
    raise DataError(
        f"{card.name}: {file.path} is neither below SIMKIT_DATA "
        f"({os.environ.get('SIMKIT_DATA') or 'not set'}) nor fetched (source: {card.source}); "
        f"{remedy}"
    )


def state(file: File) -> str:
    """ "here", "altered" or "missing", without fetching."""
    for path in _existing(file):
        return "here" if _right(path, file) else "altered"
    return "missing"


def _existing(file: File) -> list[Path]:
    folder = os.environ.get("SIMKIT_DATA")
    own = [Path(folder).expanduser() / file.path] if folder else []
    return [path for path in (*own, _cached(file)) if path.exists()]


def _cached(file: File) -> Path:
    """Its place in the cache; what the address gives, which is fetched, may not be packed."""
    path = cache_folder() / file.path
    packed = (file.url or "").endswith(".gz")
    return path if packed else path.with_name(path.name.removesuffix(".gz"))


def _right(path: Path, file: File) -> bool:
    """Whether a file has the content it should have, in one edition or the other."""
    if _digest(path) == file.sha256:
        return True
    return bool(file.edition) and file.edition in (_digest(path), _packed_digest(path))


def _packed_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest(path: Path) -> str:
    """SHA-256 of the content, "" if it cannot be unpacked."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, EOFError, zlib.error):
        return ""


def _fetch(card: Card, file: File) -> Path:
    target = _cached(file)
    try:
        path = pooch.retrieve(
            file.url, f"sha256:{file.edition or file.sha256}", target.name, target.parent,
            downloader=pooch.HTTPDownloader(timeout=30),
        )  # fmt: skip
    except Exception as error:  # requests and pooch raise many kinds; all mean: not fetched
        raise DataError(
            f"{card.name}: could not fetch {file.url} ({type(error).__name__}: {error}). "
            f"Check the network, or put the file at {file.path} below a folder and name that "
            "folder in the environment variable SIMKIT_DATA"
        ) from error
    return Path(path)
