"""What becomes of the store's rows when processes, threads, forks and kills all work on one file.

    python -m benchmarks.store_stress                  # 1,000,000 rows, some minutes

Workers put batches of rows from several threads, look rows up in between, and fork children that
put rows too; at random times one of them gets SIGKILL and another one takes its place. Whatever
`put_many` returned from is written down in a journal of that thread, a file of its own, afterwards.
Then bits are flipped in values of the file. The journals are compared with what SQLite itself finds
in the file, not through the store.

Half of the batches belong to one thread; the others are put by several, so that the same rows are
put at the same time and must be added once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from simkit.store import Store, key

SHARED = "s"  # the owner of batches that any thread may put
FLIPS = 100


def batch(owner: str, number: int, size: int) -> dict[bytes, bytes]:
    """The rows of one batch: value and key both tell which row it is."""
    names = [f"{owner} {number} {i}" for i in range(size)]
    return {key(row=name): f"{name} ".encode() * 3 for name in names}


class Journal:
    """One thread's own file: a line for each thing that happened, in it before the next begins."""

    def __init__(self, folder: Path, owner: str) -> None:
        self.file = os.open(folder / f"{owner}.journal", os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def line(self, *fields: object) -> None:
        os.write(self.file, (json.dumps(fields) + "\n").encode())


def work(folder: Path, owner: str, size: int, most: int, stop: threading.Event) -> None:
    """Put batches, at most so many, and look rows up, until told to stop."""
    journal = Journal(folder, owner)
    # A number: for a text Python 3.13 imports here, and a fork in the middle of an import hangs.
    chance = random.Random(int.from_bytes(key(owner=owner)))
    try:
        store = Store(folder / "store.sqlite")
        for number in range(most):
            if stop.is_set():
                break
            shared = chance.random() < 0.5
            name = (SHARED, int(time.time() * 4)) if shared else (owner, number)
            rows = batch(*name, size)
            journal.line("begin", *name)
            journal.line("put", *name, store.put_many(rows))
            asked = (
                rows if chance.random() < 0.5 else batch(owner, chance.randrange(number + 1), size)
            )
            found = store.get_many(asked)
            bad = sum(asked[name] != value for name, value in found.items())
            if bad or (asked is rows and len(found) < size):
                journal.line("misread", *name, bad, size - len(found))
        journal.line("done")
    except Exception as error:
        journal.line("error", repr(error))


def worker(folder: Path, owner: str, threads: int, size: int) -> None:
    """Threads that write, and between them forks that write too; until a file "stop" is there."""
    stop = threading.Event()
    own = [
        threading.Thread(target=work, args=(folder, f"{owner}.{t}", size, 10**9, stop))
        for t in range(threads)
    ]
    for thread in own:
        thread.start()
    forks = 0
    while not (folder / "stop").exists():
        child = os.fork()
        if not child:
            signal.alarm(120)  # a child that hangs is an error, not a benchmark that never ends
            work(folder, f"{owner}.f{forks}", size, 2, threading.Event())
            os._exit(0)
        os.waitpid(child, 0)
        forks += 1
        time.sleep(0.2)
    stop.set()
    for thread in own:
        thread.join()


def run(
    folder: Path, processes: int, threads: int, rows: int, size: int, pause: float, seed: int
) -> dict[str, Any]:
    """Let workers write until so many different rows are kept; what was found, as a dictionary.

    size : rows of a batch. pause : seconds between two kills, on average.
    """
    chance, began, started, kills = random.Random(seed), time.monotonic(), 0, 0
    done, held = os.pipe()  # every process that may write holds one end of it open

    def start() -> subprocess.Popen[bytes]:
        nonlocal started
        started += 1
        words = ["--worker", f"w{started}", "--folder", str(folder)]
        words += ["--threads", str(threads), "--batch", str(size)]
        return subprocess.Popen([sys.executable, __file__, *words], pass_fds=[held])

    running = [start() for _ in range(processes)]
    while len(_done(_journals(folder))) * size < rows:
        time.sleep(chance.expovariate(1 / pause))
        place = chance.randrange(processes)
        assert running[place].poll() is None, "a worker ended by itself"
        running[place].kill()
        running[place].wait()
        kills += 1
        running[place] = start()
    (folder / "stop").touch()
    for process in running:
        process.wait()
    os.close(held)
    os.read(done, 1)  # comes to the end of the file when the last forked child is gone
    os.close(done)
    return {
        "processes": processes,
        "threads": threads,
        "workers killed": kills,
        "forks that wrote": len(list(folder.glob("*.f*.journal"))),
        **verdict(folder, size),
        **flipped(folder, size, chance),
        "seconds": round(time.monotonic() - began),
    }


def _journals(folder: Path) -> list[list[Any]]:
    texts = [path.read_text() for path in sorted(folder.glob("*.journal"))]
    return [[json.loads(line) for line in text.splitlines()] for text in texts]


def _done(journals: list[list[Any]]) -> Counter[tuple[str, int]]:
    """Batches of which `put_many` returned, with the number of rows that it says it added."""
    added: Counter[tuple[str, int]] = Counter()
    for line in (line for lines in journals for line in lines):
        if line[0] == "put":
            added[line[1], line[2]] += line[3]
    return added


def verdict(folder: Path, size: int) -> dict[str, Any]:
    """The journals against what SQLite finds in the file."""
    journals = _journals(folder)
    lines = [line for lines in journals for line in lines]
    there: Counter[tuple[str, int]] = Counter()
    seen: set[bytes] = set()
    wrong = doubled = 0
    with closing(sqlite3.connect(folder / "store.sqlite")) as db:
        sound = db.execute("PRAGMA integrity_check").fetchone()[0]
        for name, value in db.execute("SELECT key, value FROM kept"):
            row = value[: len(value) // 3 - 1].decode()
            wrong += key(row=row) != name or value != f"{row} ".encode() * 3
            doubled += name in seen
            seen.add(name)
            owner, number, _ = row.split()
            there[owner, int(number)] += 1
    begun = {(line[1], line[2]) for line in lines if line[0] == "begin"}
    added = _done(journals)
    errors = [line[1] for line in lines if line[0] == "error"]
    for path in folder.glob(
        "*.f*.journal"
    ):  # nobody kills a forked child, so it must come to its end
        if path.read_text().splitlines()[-1:] != ['["done"]']:
            errors.append(f"{path.stem} hung or died")
    print(*errors, sep="\n", end="\n" if errors else "", file=sys.stderr)
    return {
        "rows put": sum(line[0] == "put" for line in lines) * size,
        "different ones": len(added) * size,
        "rows in the file": len(seen),
        "lost": sum(size - there[name] for name in added),
        "doubled": doubled + sum(max(0, n - size) for n in added.values()),
        "wrong": wrong + sum(name not in begun for name in there),
        "parts of a batch": sum(n != size for n in there.values()),
        "misread": sum(line[0] == "misread" for line in lines),
        "errors": len(errors),
        "integrity": sound,
    }


def flipped(folder: Path, size: int, chance: random.Random) -> dict[str, Any]:
    """Flip a bit in each of some values, in the file itself; look them up and put them anew."""
    path = folder / "store.sqlite"
    with closing(sqlite3.connect(path)) as db:
        some = dict(db.execute(f"SELECT key, value FROM kept LIMIT {FLIPS}"))
    data = bytearray(path.read_bytes())  # no connection is open now
    for name, value in some.items():
        at = data.index(name + value) + len(name)
        data[at + chance.randrange(len(value))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    store = Store(path)
    before = store.get_many(some)
    again = store.put_many(some)
    return {
        "bits flipped": len(some),
        "flipped values believed": len(before),
        "put anew": again,
        "right then": sum(store.get_many(some)[name] == value for name, value in some.items()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--processes", type=int, default=6)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker(given.folder, given.worker, given.threads, given.batch)
        return
    with tempfile.TemporaryDirectory() as folder:
        found = run(
            Path(folder), given.processes, given.threads, given.rows, given.batch, given.pause,
            given.seed,
        )  # fmt: skip
    print("| | |\n|---|---:|")
    for name, value in found.items():
        print(f"| {name} | {value:,} |" if isinstance(value, int) else f"| {name} | {value} |")


if __name__ == "__main__":
    main()
