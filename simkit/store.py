"""A store of finished work: one SQLite file that maps keys to values, both bytes.

A key says what was computed, not when or where: it is the SHA-256 of the JSON of named fields
(`key`), so that nothing runs together that should stand apart. Rows are never changed: the first
value written under a key stays.

The file is in write-ahead mode. What `put_many` has returned from survives a process that is
killed, and several processes may use one file at a time. (SQLite's write-ahead mode needs shared
memory: keep the file on a local disk, not on a network share.)
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Store", "key"]

APPLICATION = 0x53494D4B  # "SIMK": SQLite keeps it in the file's header
FORMAT = 1
WAIT = 60.0  # seconds that a process waits for another one's transaction
PER_QUERY = 500  # SQLite before 3.32 takes at most 999

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def key(**fields: Any) -> bytes:
    """SHA-256, 32 bytes, of the JSON of named fields; their order does not matter.

    Raises TypeError for a field that JSON cannot hold and ValueError for NaN or infinity.
    """
    return hashlib.sha256(_encode(fields).encode()).digest()


@dataclass(frozen=True)
class Store:
    """Keys and values in the SQLite file at `path`, which is made if it is not there.

    It holds no connection between calls, so it may be copied, forked and shared by threads.

    Raises ValueError for a file that is not a store, or is damaged, and leaves that file as it
    is; OSError (FileNotFoundError, …) where it cannot be read, written or locked.
    """

    path: Path

    def __init__(self, path: str | Path) -> None:
        object.__setattr__(self, "path", Path(path))
        with self._open():
            pass

    def __len__(self) -> int:
        """The number of rows; it takes a walk through the file."""
        with self._open() as db:
            return int(db.execute("SELECT count(*) FROM kept").fetchone()[0])

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The values of those keys that are there."""
        wanted = sorted(set(keys))  # neighbours in the file lie on one page
        found: dict[bytes, bytes] = {}
        with self._open() as db:
            for start in range(0, len(wanted), PER_QUERY):
                some = wanted[start : start + PER_QUERY]
                marks = ",".join("?" * len(some))
                found.update(
                    db.execute(f"SELECT key, value FROM kept WHERE key IN ({marks})", some)
                )
        return found

    def put_many(self, rows: Mapping[bytes, bytes]) -> int:
        """Add rows in one transaction, all or none; the number that were not there before."""
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            before = db.total_changes
            db.executemany("INSERT OR IGNORE INTO kept VALUES (?, ?)", sorted(rows.items()))
            added = db.total_changes - before
            db.execute("COMMIT")
        return added

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection for one piece of work; SQLite's errors come out naming the file."""
        self._look()
        try:
            link = sqlite3.connect(self.path, timeout=WAIT, isolation_level=None)
            with closing(link) as db:
                _prepare(db)
                yield db
        except sqlite3.OperationalError as error:  # locked, full, not writable
            raise OSError(f"the store {self.path} cannot be used: {error}") from error
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:  # a subclass: not about the file
                raise
            raise ValueError(
                f"the store {self.path} is damaged ({error}) and was left as it is; move it away "
                f"to start a new one, or try `sqlite3 {self.path} .recover` on a copy"
            ) from error

    def _look(self) -> None:
        """Refuse what is not a store before SQLite touches it: it may rewrite what it opens."""
        if not self.path.exists():
            if not self.path.absolute().parent.is_dir():
                raise FileNotFoundError(
                    f"no folder {str(self.path.parent)!r} for the store {self.path}; make it first"
                )
            return
        if not self.path.is_file():
            raise ValueError(f"the store {self.path} is not a file; name a file, new or a store")
        with self.path.open("rb") as file:
            head = file.read(100)
        if not head:  # what a process leaves that was killed before it wrote anything
            return
        # Offsets 60 and 68: "user version" and "application id" of the SQLite file format.
        version, application = (int.from_bytes(head[at : at + 4], "big") for at in (60, 68))
        if not head.startswith(b"SQLite format 3\0") or application != APPLICATION:
            raise ValueError(
                f"{self.path} is not a store of simkit and was left as it is; "
                "name another file, or move this one away"
            )
        if version != FORMAT:
            raise ValueError(
                f"the store {self.path} has format {version}, this simkit reads {FORMAT}, and it "
                "was left as it is; name another file, or use the simkit that wrote it"
            )


def _prepare(db: sqlite3.Connection) -> None:
    # What is committed survives a killed process; only a power cut may take the last commits.
    db.execute("PRAGMA synchronous=NORMAL")
    if not db.execute("PRAGMA user_version").fetchone()[0]:
        # One transaction, and before the change to write-ahead mode: so the header that `_look`
        # reads is never there without the marks.
        db.execute("BEGIN IMMEDIATE")
        db.execute(
            "CREATE TABLE IF NOT EXISTS kept "
            "(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
        )
        db.execute(f"PRAGMA application_id={APPLICATION}")
        db.execute(f"PRAGMA user_version={FORMAT}")
        db.execute("COMMIT")
    # No work if the file is in this mode. Where another process is at it just now, this one goes
    # on in the mode that it finds: slower, and as safe.
    with suppress(sqlite3.OperationalError):
        db.execute("PRAGMA journal_mode=WAL")
