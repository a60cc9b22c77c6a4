"""A table shared out to processes: the one of a single process, whoever is killed on the way."""

from __future__ import annotations

import json
import os
import pickle
import random
import sys
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit import cluster
from simkit.scoring.parquet import clustered
from simkit.scoring.parquet.score import score_parquet
from simkit.scoring.parquet.stream import Streamed
from tests.scoring import kills

TEMPLATE = "The price is ${price:.2f}. Does {who} buy it?"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Ray instance of which nothing stays."""
    ray = pytest.importorskip("ray")
    with kills.local(ray) as place:
        session = ray._private.worker._global_node.session_name
        yield place
    until = time.monotonic() + 20
    while (left := with_session(session)) and time.monotonic() < until:
        time.sleep(0.1)
    assert left == []


def with_session(session: str) -> list[str]:
    """Commands of processes that name a session of Ray."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        found += [text] if session in text else []
    return found


def test_killed_workers_lose_and_double_nothing(address: str, tmp_path: Path) -> None:
    assert kills.kill_workers(tmp_path, 2, random.Random(1), address) == 2


def test_killed_drivers_compute_nothing_twice(address: str, tmp_path: Path) -> None:
    assert kills.kill_drivers(tmp_path, 2, random.Random(2), address) >= 1


def dies() -> Any:
    return lambda part: os.kill(os.getpid(), 9) if part == 3 else part


def refuses() -> Any:
    def refuse(part: int) -> int:
        if part == 1:
            error = sk.scoring.BoundaryError("row 1: no")
            error.add_note("in a file")
            raise error
        return part

    return refuse


@pytest.mark.slow
def test_a_part_that_kills_its_workers_is_not_begun_for_ever(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "RETRIES", 1)
    with pytest.raises(RuntimeError, match="A part that kills 1 workers ends so too"):
        list(cluster.share_out(dies, [3], cluster=address, workers=1))


def test_errors_of_a_worker_are_handed_on_as_they_are() -> None:
    work = cluster._Worker(pickle.dumps(refuses))
    results = [work({"number": [i], "part": [pickle.dumps(i)]})["result"] for i in range(2)]
    assert pickle.loads(results[0][0]) == 0
    error = pickle.loads(results[1][0])
    assert isinstance(error, sk.scoring.BoundaryError) and str(error) == "row 1: no"
    assert error.__notes__ == ["in a file"]


def here(make: Any, parts: Any, **how: Any) -> Iterator[tuple[int, Any]]:
    """`share_out` in this process, last part first; all goes through pickle."""
    from ray import cloudpickle

    work = pickle.loads(cloudpickle.dumps(make))()
    for i in reversed(range(len(parts))):
        yield i, pickle.loads(pickle.dumps(work(pickle.loads(pickle.dumps(parts[i])))))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustered, "share_out", here)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Seven rows in two files."""
    table = pd.DataFrame({
        "price": [1.0, 2.5, 1.0, 3.0, 12.0, 2.5, 0.5],
        "who": ["Ann", "Bo", "Ann", "Cy", "Di", "Bo", "Ed"],
        "own": [["yes", "no"], ["a", "b", "c"], ["no", "yes"]] * 2 + [["yes", "no"]],
    })  # fmt: skip
    folder = tmp_path / "in"
    folder.mkdir()
    table[:4].to_parquet(folder / "a.parquet", row_group_size=3, index=False)
    table[4:].to_parquet(folder / "b.parquet", index=False)
    table.to_parquet(tmp_path / "whole.parquet")
    (folder / "_notes.parquet").write_text("passed over")
    return folder


def rule(prompt: str) -> dict[str, float]:
    share = 0.3 + 0.01 * (len(prompt) % 17)
    return {"yes": share, "no": 0.6 - share, "a": 0.3, "b": 0.2, "c": 0.1}


MOCK = sk.MockModel(rule, name="rule", identity={"rule": "1"})


@pytest.mark.parametrize("options", [["yes", "no"], "own"])
def test_a_folder_gives_what_one_file_gives(
    alone: None, source: Path, tmp_path: Path, options: Any
) -> None:
    seen: list[Streamed] = []
    how: dict[str, Any] = {"template": TEMPLATE, "rows": 3}
    one = score_parquet(MOCK, tmp_path / "whole.parquet", tmp_path / "one.parquet", options, **how)
    done = score_parquet(
        MOCK, source, tmp_path / "many", options, cluster="local", progress=seen.append, **how
    )
    found, expected = (pd.read_parquet(tmp_path / name) for name in ("many", "one.parquet"))
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    parts = sorted(p.name for p in (tmp_path / "many").iterdir())
    # 4 rows are 3 + 1, 3 rows are 3
    assert parts == ["_simkit.json", *(f"part-00000{i}.parquet" for i in range(3))]
    assert (done.of, done.prompts, done.rows) == (7, 7, one.rows)
    assert [s.prompts for s in seen] == [3, 4, 7]  # last part first
    assert not (tmp_path / "many.unfinished").exists()


def test_parts_that_are_done_are_kept_and_damaged_ones_are_not(
    alone: None, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, on_way = tmp_path / "many", tmp_path / "many.unfinished"
    ask = partial(
        score_parquet, MOCK, source, out, ["yes", "no"], cluster="local", template=TEMPLATE, rows=2
    )

    def stopped(make: Any, parts: Any, **how: Any) -> Any:
        for i, result in here(make, parts):
            yield i, result
            if i <= 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(clustered, "share_out", stopped)
    with pytest.raises(KeyboardInterrupt):
        ask()
    done = sorted(p.name for p in on_way.glob("part-*"))  # of four, the last two
    assert done == ["part-000002.parquet", "part-000003.parquet"] and not out.exists()
    kept = (on_way / done[1]).stat().st_mtime_ns
    bad = bytearray((on_way / done[0]).read_bytes())
    bad[:60] = b"x" * 60
    (on_way / done[0]).write_bytes(bad)
    (on_way / ".simkit-0.part").write_text("of a killed worker")
    begun: list[str] = []

    def noted(make: Any, parts: Any, **how: Any) -> Any:
        begun.extend(part.out.name for part in parts)
        return here(make, parts)

    monkeypatch.setattr(clustered, "share_out", noted)
    assert ask().stored == 1  # prompts of the part that was kept
    assert begun == [f"part-00000{i}.parquet" for i in range(3)]
    assert (out / done[1]).stat().st_mtime_ns == kept
    assert len(list(out.iterdir())) == 5
    begun.clear()
    again = ask()  # all is there
    assert (again.stored, again.prompts, again.rows, begun) == (7, 7, 14, [])


def test_another_run_s_folder_is_refused(alone: None, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "many"
    ask = partial(score_parquet, cluster="local", template=TEMPLATE)
    ask(MOCK, source, out, ["yes", "no"])
    other = sk.MockModel(rule, name="rule", identity={"rule": "2"})
    with pytest.raises(ValueError, match=r"of another run: options was \['yes', 'no'\] and is"):
        ask(MOCK, source, out, ["no", "yes"])
    with pytest.raises(ValueError, match="of another run: model was"):
        ask(other, source, out, ["yes", "no"])
    os.utime(source / "b.parquet", (1, 1))
    with pytest.raises(ValueError, match="of another run: files was"):
        ask(MOCK, source, out, ["yes", "no"])
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="mine is there already and no result of such a run"):
        ask(MOCK, source, tmp_path / "mine", ["yes", "no"])
    for place in (source, source / "a.parquet"):
        with pytest.raises(ValueError, match="which is the design itself"):
            ask(MOCK, source, place, ["yes", "no"])


def test_workers_that_hold_other_weights_are_found_out(
    alone: None, source: Path, tmp_path: Path
) -> None:
    which = iter("112")

    class Changing(kills.Slow):
        @property
        def identity(self) -> Any:
            return {"weights": next(which)}

    opens = partial(Changing, MOCK, 0.0)
    with pytest.raises(ValueError, match=r"differ in weights: '2' and '1'\. All workers must load"):
        score_parquet(
            opens, source, tmp_path / "many", ["yes", "no"], cluster="local", template=TEMPLATE,
            rows=3,
        )  # fmt: skip
    assert not (tmp_path / "many").exists()


def test_files_of_other_columns_are_refused(alone: None, source: Path, tmp_path: Path) -> None:
    pd.DataFrame({"price": [1], "who": ["Flo"], "own": [["yes", "no"]]}).to_parquet(
        source / "c.parquet"
    )
    with pytest.raises(ValueError, match=r"c\.parquet has the columns price \(int64\)"):
        score_parquet(
            MOCK, source, tmp_path / "x", ["yes", "no"], cluster="local", template="{who}"
        )
    assert not list(tmp_path.glob("x*"))


def test_errors_name_row_and_file_and_warnings_come_once(
    alone: None, source: Path, tmp_path: Path
) -> None:
    ask = partial(score_parquet, MOCK, source, cluster="local", rows=2)
    with pytest.warns(sk.scoring.LowMassWarning) as said:
        done = ask(tmp_path / "low", ["yes", "no"], template=TEMPLATE, least_mass=0.9)
    assert (len(said), done.low) == (1, 7)
    with warnings.catch_warnings():
        warnings.simplefilter("error", sk.scoring.LowMassWarning)
        again = ask(tmp_path / "low", ["yes", "no"], template=TEMPLATE, least_mass=0.9)
    assert again.low == 7
    table = pd.read_parquet(source / "b.parquet")
    table.loc[1, "who"] = None
    table.to_parquet(source / "b.parquet", index=False)
    with pytest.raises(ValueError, match="row 5: ") as error:  # 4 rows of a.parquet come before
        ask(tmp_path / "bad", ["yes", "no"], template=TEMPLATE)
    assert error.value.__notes__ == [f"in {source / 'b.parquet'}"]


def test_what_is_no_cluster_is_said(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = partial(score_parquet, MOCK, source, tmp_path / "x", ["yes", "no"], template=TEMPLATE)
    for how, said in [
        ({"cluster": ""}, "cluster is ''; it must be 'local' or an address"),
        ({"cluster": "local", "workers": 0}, "workers is 0; it must be a whole number from 1"),
        ({"workers": 2}, "workers=2 needs a cluster"),
    ]:
        with pytest.raises(ValueError, match=said):
            ask(**how)
    lock = sk.MockModel(rule, identity={"path": "1"})
    object.__setattr__(lock, "card", (i for i in "cannot be pickled"))
    with pytest.raises(ValueError, match="cannot be sent to other processes"):
        score_parquet(
            lock, source, tmp_path / "y", ["yes", "no"], template=TEMPLATE, cluster="local"
        )
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r'pip install "simkit\[scale\]"'):
        ask(cluster="local")


def test_the_request_is_readable(alone: None, source: Path, tmp_path: Path) -> None:
    score_parquet(MOCK, source, tmp_path / "x", ["yes", "no"], cluster="local", template=TEMPLATE)
    asked = json.loads((tmp_path / "x" / "_simkit.json").read_text())
    assert asked["template"] == TEMPLATE and asked["model"] == ["rule", {"rule": "1"}]
    assert [name for name, *_ in asked["files"]] == ["a.parquet", "b.parquet"]
    assert np.isfinite(asked["files"][0][1])
