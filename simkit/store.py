"""A store of finished work: one SQLite file that maps keys to values, both bytes.

A key says what was computed, not when or where: it is the SHA-256 of the JSON of named fields
(`key`), so that nothing runs together that should stand apart. Rows are never changed: the first
value written under a key stays, as long as its checksum holds.

It is plain SQLite, used by its own rules:

- Each piece of work has a connection of its own, in one thread, and nothing else in this package
  opens the file. (A process that closes a file loses all its locks on it, SQLite's too.)
- The threads of one process take turns, and a fork waits for the piece of work that runs: so a
  child inherits no connection, no lock that it does not hold and no mutex that nobody frees.
- Writing is one immediate transaction with a rollback journal, down to the disk: what `put_many`
  has returned from survives a killed process and a power cut. Not the write-ahead log: it is not
  read on read-only media, and up to SQLite 3.51.2 it may lose what was committed while another
  connection moved the log into the file (sqlite.org/wal.html, "WAL-reset bug").

Any number of processes of one machine may use one file. Keep it on a local disk: on network shares
(NFS, SMB) locks often do not hold, which SQLite cannot see; there let one machine use it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from simkit.files import as_path

__all__ = ["Store", "key"]

APPLICATION = 0x53494D4B  # "SIMK": SQLite keeps it in the file's header
FORMAT = 2  # 1 had no checksums
WAIT = 60.0  # seconds that a process waits for another one's transaction
PER_QUERY = 500  # SQLite before 3.32 takes at most 999

_PUT = """
    INSERT INTO kept VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE
    SET value = excluded.value, sum = excluded.sum WHERE NOT sound(key, value, sum)
"""
_REMEDY = {
    sqlite3.SQLITE_BUSY: "another process is writing; try again when it is done",
    sqlite3.SQLITE_FULL: "make room on its disk and start again: what was kept before is there",
    sqlite3.SQLITE_IOERR: "see to its disk (full, a quota, damaged?) and start again",
    sqlite3.SQLITE_READONLY: "name a file that can be written, or copy it to such a place, with "
    "the -journal that a killed process may have left beside it",
    sqlite3.SQLITE_CANTOPEN: "see that the file and its folder can be read and written",
}
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_log = logging.getLogger(__name__)
_turn = threading.RLock()
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(
        before=_turn.acquire, after_in_parent=_turn.release, after_in_child=_turn.release
    )


def key(**fields: Any) -> bytes:
    """SHA-256, 32 bytes, of the JSON of named fields; their order does not matter.

    Raises TypeError for a field that JSON cannot hold and ValueError for NaN or infinity.

    Examples
    --------
    >>> key(prompt="Buy?", model="mock").hex()[:8]
    'ef90db4c'
    """
    return hashlib.sha256(_encode(fields).encode()).digest()


@dataclass(frozen=True)
class Store:
    """Keys and values in the SQLite file at `path`, which is made if it is not there.

    It holds no connection between calls, so it may be copied, forked and shared by threads. A
    store that cannot be written (read-only media, file or folder) is read, and what would be
    written to it is left out, which the log says once.

    Attributes
    ----------
    path : Path
        The file.

    Raises
    ------
    ValueError
        For a file that is not a store, has an old format or is damaged; the file stays as it is.
    OSError
        (FileNotFoundError, PermissionError, …) Where it cannot be read, made or locked, and where
        its disk is full.
    """

    path: Path

    def __init__(self, path: str | Path) -> None:
        # Absolute, so that it stays the same file when the process changes its folder.
        place = Path(os.path.expanduser(as_path(path, "the store"))).absolute()
        object.__setattr__(self, "path", place)
        with self._open():
            pass

    def __len__(self) -> int:
        """The number of rows, sound or not; every page of the file is read."""
        with self._open() as db:
            return int(db.execute("SELECT count(*) FROM kept").fetchone()[0])

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The values of those keys that are there, with a checksum that holds."""
        wanted = sorted(_bytes(set(keys)))  # neighbours in the file lie on one page
        rows: list[tuple[bytes, Any, Any]] = []
        with self._open() as db:
            for start in range(0, len(wanted), PER_QUERY):
                some = wanted[start : start + PER_QUERY]
                marks = ",".join("?" * len(some))
                rows += db.execute(f"SELECT * FROM kept WHERE key IN ({marks})", some)
        sound = {row[0]: row[1] for row in rows if _sound(*row)}
        if len(sound) < len(rows):
            _say_once(
                f"the store {self.path} holds values whose checksum fails: its disk or another "
                "program changed them. They count as absent, so that they are computed anew."
            )
        return sound

    def put_many(self, rows: Mapping[bytes, bytes]) -> int:
        """Add rows in one transaction, all or none; the number that were not there before.

        A row that is there is left, unless its checksum fails. Raises TypeError for what is not
        bytes.
        """
        new = sorted(zip(_bytes(rows), _bytes(rows.values()), strict=True))
        try:
            with self._open() as db:
                db.create_function("sound", 3, _sound, deterministic=True)
                db.execute("BEGIN IMMEDIATE")
                before = db.total_changes
                db.executemany(_PUT, [(name, value, _sum(name, value)) for name, value in new])
                added = db.total_changes - before
                db.execute("COMMIT")
        except PermissionError:
            _say_once(
                f"the store {self.path} cannot be written, so that nothing new is kept in it; "
                f"{_REMEDY[sqlite3.SQLITE_READONLY]}"
            )
            return 0
        return added

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection for one piece of work; SQLite's errors come out naming file and remedy."""
        folder = self.path.parent
        if not folder.is_dir():
            raise FileNotFoundError(f"no folder {str(folder)!r} for {self.path}; make it first")
        if self.path.exists() and not self.path.is_file():
            raise ValueError(f"the store {self.path} is not a file; name a file, new or a store")
        try:
            with _turn, closing(sqlite3.connect(self.path, WAIT, isolation_level=None)) as db:
                self._prepare(db)
                yield db
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the higher bits are details
            # SQLITE_ERROR: a table or column that is not there.
            if isinstance(error, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR:
                kind = PermissionError if code == sqlite3.SQLITE_READONLY else OSError
                remedy = _REMEDY.get(code, _REMEDY[sqlite3.SQLITE_CANTOPEN])
                raise kind(f"the store {self.path} cannot be used: {error}; {remedy}") from error
            if code == sqlite3.SQLITE_NOTADB:
                raise self._foreign() from error
            raise ValueError(
                f"the store {self.path} is damaged ({error}) and was left as it is; move it away "
                f"to start a new one, or try `sqlite3 {self.path} .recover` on a copy"
            ) from error

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Refuse what is not a store; make the table and the marks in an empty file."""
        # With EXTRA the folder is synchronised too, so that no old journal undoes a commit.
        db.execute("PRAGMA synchronous=EXTRA")
        # The pages first: table and marks come in one transaction, so no page is without marks.
        pages, application, version = (
            db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "application_id", "user_version")
        )
        if not pages:
            if self.path.stat().st_size == 1:  # SQLite takes such a file for an empty one
                raise self._foreign()
            db.execute("BEGIN IMMEDIATE")
            db.execute(
                "CREATE TABLE IF NOT EXISTS kept "
                "(key BLOB PRIMARY KEY, value BLOB NOT NULL, sum BLOB NOT NULL) WITHOUT ROWID"
            )
            db.execute(f"PRAGMA application_id={APPLICATION}")
            db.execute(f"PRAGMA user_version={FORMAT}")
            db.execute("COMMIT")
        elif application != APPLICATION:
            raise self._foreign()
        elif version != FORMAT:
            raise ValueError(
                f"the store {self.path} has format {version}, this simkit reads {FORMAT}, and it "
                "was left as it is; name another file, to be filled anew, or use the simkit that "
                "wrote it"
            )

    def _foreign(self) -> ValueError:
        return ValueError(
            f"{self.path} is not a store of simkit and was left as it is; "
            "name another file, or move this one away"
        )


def _sum(name: bytes, value: bytes) -> bytes:
    """The checksum, 8 bytes; of the key too, so that no value passes for another one's."""
    return hashlib.blake2b(name + value, digest_size=8).digest()


def _sound(name: bytes, value: Any, kept: Any) -> bool:
    return isinstance(value, bytes) and _sum(name, value) == kept


def _bytes(items: Iterable[bytes]) -> Iterable[bytes]:
    for item in items:
        if not isinstance(item, bytes):
            raise TypeError(f"keys and values of a store must be bytes, not {item!r}")
        yield item


@cache
def _say_once(text: str) -> None:
    _log.warning(text)
