"""Workers and drivers of a cluster killed at random moments: no row may be lost or there twice.

`python -m tests.scoring.kills --workers 50 --drivers 20` scores 200 prompts with the glass box, in
parts of 5, again and again, until so many have been killed, and compares each table with the one of
a single process, bit by bit.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import simkit as sk

PROMPTS, ROWS = 200, 5
OPTIONS = ["buys", "leaves"]
ASKED = {
    "template": "{who} sees a price of ${price}. The customer", "rows": ROWS, "least_mass": 0,
}  # fmt: skip


@dataclass
class Slow:
    """A model that takes `seconds` longer over each call."""

    model: Any
    seconds: float

    @property
    def name(self) -> str:
        return str(self.model.name)

    @property
    def identity(self) -> Any:
        return self.model.identity

    def scores(self, prompts: Any, options: Any) -> Any:
        time.sleep(self.seconds)
        return self.model.scores(prompts, options)


def slow(pids: str, seconds: float) -> Slow:
    """The glass box, in a process that writes its number down before it loads."""
    Path(pids, str(os.getpid())).touch()
    return Slow(sk.load("glassbox"), seconds)


@dataclass
class Trial:
    """One table to be scored, in a folder."""

    folder: Path
    seconds: float = 0.05

    def __post_init__(self) -> None:
        self.pids, self.out = self.folder / "pids", self.folder / "many"
        self.pids.mkdir(parents=True, exist_ok=True)
        self.source = self.folder / "in.parquet"
        if not self.source.exists():
            price = np.linspace(0.5, 9, PROMPTS).round(2)
            design = pd.DataFrame({"price": price, "who": [f"P{i % 7}" for i in range(PROMPTS)]})
            design.to_parquet(self.source, row_group_size=33)
            sk.score_parquet(
                sk.load("glassbox"), self.source, self.folder / "one.parquet", OPTIONS, **ASKED
            )

    def score(self, cluster: str) -> Any:
        opens = partial(slow, str(self.pids), self.seconds)
        return sk.score_parquet(
            opens, self.source, self.out, OPTIONS, cluster=cluster, workers=2, **ASKED
        )

    def parts(self) -> dict[str, int]:
        """Parts that are done: name -> when it was written, in ns."""
        folder = self.out if self.out.exists() else self.folder / "many.unfinished"
        return {p.name: p.stat().st_mtime_ns for p in folder.glob("part-*.parquet")}

    def living(self) -> list[int]:
        """Workers that are there."""
        return [int(p.name) for p in self.pids.iterdir() if alive(int(p.name))]

    def check(self) -> None:
        """The table is the one of one process, bit by bit."""
        one, many = pd.read_parquet(self.folder / "one.parquet"), pd.read_parquet(self.out)
        pd.testing.assert_frame_equal(many, one, check_exact=True)
        names = {p.name for p in self.out.iterdir()}
        assert len(names) == PROMPTS // ROWS + 1, names  # parts and what was asked; no other file


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@contextmanager
def killing(trial: Trial, most: int, dice: random.Random) -> Iterator[list[int]]:
    """Kills workers, up to `most`, at random moments while it is open; the list is of those."""
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while len(killed) < most and not over.wait(dice.uniform(0.05, 1.5)):
            if there := trial.living():
                pid = dice.choice(there)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def kill_workers(folder: Path, most: int, dice: random.Random, cluster: str) -> int:
    """Scores a table while workers are killed; how many were."""
    trial = Trial(folder)
    with killing(trial, most, dice) as killed:
        trial.score(cluster)
    trial.check()
    return len(killed)


def kill_drivers(folder: Path, times: int, dice: random.Random, cluster: str) -> int:
    """Starts a driver and kills it, so many times, and lets the last one end; parts kept."""
    trial, kept = Trial(folder), 0
    command = [sys.executable, "-m", "tests.scoring.kills", "--drive", str(folder), cluster]
    for left in range(times, -1, -1):
        before = trial.parts()
        driver = subprocess.Popen(command, stderr=subprocess.PIPE)
        if left:
            more = dice.choice([0, 1, 2, 4])  # new parts that it may write; 0: killed on its way
            until = time.monotonic() + (60 if more else dice.uniform(0, 6))
            while time.monotonic() < until and driver.poll() is None:
                if more and len(trial.parts()) >= len(before) + more:
                    break
                time.sleep(0.01)
            time.sleep(dice.uniform(0, 0.2))
            driver.kill()
        said = driver.communicate()[1].decode()
        assert driver.returncode == (-signal.SIGKILL if left else 0), said
        until = time.monotonic() + 30
        while trial.living() and time.monotonic() < until:
            time.sleep(0.05)
        assert not trial.living(), "workers outlive their driver"
        after = trial.parts()
        assert before.items() <= after.items(), "a part that was done was computed again"
        kept += len(before)
    trial.check()
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--drivers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--drive", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.drive:
        Trial(Path(asked.drive[0])).score(asked.drive[1])
        return
    import ray

    dice, began = random.Random(asked.seed), time.monotonic()
    with tempfile.TemporaryDirectory() as place, local(ray) as address:
        killed = tables = kept = drivers = 0
        while killed < asked.workers:
            folder = Path(place, f"workers-{tables}")
            killed += kill_workers(folder, min(10, asked.workers - killed), dice, address)
            tables += 1
            print(f"{killed} workers killed, {tables} tables equal", flush=True)
        while drivers < asked.drivers:
            times = min(4, asked.drivers - drivers)
            kept += kill_drivers(Path(place, f"drivers-{drivers}"), times, dice, address)
            drivers, tables = drivers + times, tables + 1
            print(f"{drivers} drivers killed, {tables} tables equal", flush=True)
    seconds = time.monotonic() - began
    print(
        f"seed {asked.seed}: {killed} workers and {drivers} drivers killed in {seconds:.0f} s; "
        f"{tables} tables of {PROMPTS} prompts equal to one process; {kept} parts found done by "
        "a later driver and kept"
    )


@contextmanager
def local(ray: Any) -> Iterator[str]:
    """A Ray instance with two processors, and its address."""
    os.environ |= {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False,
        object_store_memory=10**8, logging_level="ERROR",
    )  # fmt: skip
    try:
        yield str(ray.get_runtime_context().gcs_address)
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
