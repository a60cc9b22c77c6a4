"""The store: what goes in comes out, whoever else is at the file and whatever dies meanwhile."""

import copy
import hashlib
import pickle
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit import store as module
from simkit.store import Store, key


def numbered(start, stop):
    return {key(i=i): b"value %d" % i for i in range(start, stop)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scores.sqlite"


def test_a_key_is_the_hash_of_the_json_of_its_fields():
    text = b'{"model":"m","options":[" yes"," no"],"prompt":"Buy?"}'
    assert key(prompt="Buy?", model="m", options=(" yes", " no")) == hashlib.sha256(text).digest()


@pytest.mark.parametrize(
    "other",
    [
        {"model": "n", "prompt": "ab", "options": ["c"]},
        {"model": "m", "prompt": "a", "options": ["bc"]},  # the same when strung together
        {"model": "m", "prompt": "ab", "options": ["c", ""]},
        {"model": "m", "prompt": 'ab","options":["c"]', "options": []},
        {"prompt": "ab", "options": ["c"]},
        {"model": "m", "prompt": "ab", "options": ["c"], "seed": None},
        {"model": "m", "prompt": "a\ud800b", "options": ["c"]},  # half a character is text too
    ],
)
def test_other_fields_give_another_key(other):
    assert key(**other) != key(model="m", prompt="ab", options=["c"])


scalars = st.none() | st.booleans() | st.integers() | st.text()
fields = st.dictionaries(st.text(min_size=1, max_size=3), scalars | st.lists(scalars, max_size=3))


@given(fields, fields)
def test_keys_are_equal_only_if_the_fields_are(one, other):
    def typed(value):  # in Python 1 == True, in JSON it is not
        if isinstance(value, dict):
            return {name: typed(v) for name, v in value.items()}
        return [typed(v) for v in value] if isinstance(value, list) else (type(value), value)

    assert (key(**one) == key(**other)) == (typed(one) == typed(other))
    assert key(**dict(reversed(one.items()))) == key(**one)


def test_what_json_cannot_hold_is_no_field():
    with pytest.raises(ValueError, match="JSON"):
        key(temperature=float("nan"))
    with pytest.raises(TypeError, match="bytes"):
        key(prompt=b"Buy?")


def test_what_goes_in_comes_out_of_the_file(path):
    rows = numbered(0, 1_200)  # more than one query takes
    assert Store(path).put_many(rows) == 1_200
    store = Store(path)
    assert len(store) == 1_200
    asked = [*rows, *numbered(1_200, 1_300), *list(rows)[:5]]
    assert store.get_many(asked) == rows
    assert store.get_many([]) == {}
    assert store.put_many({}) == 0


def test_the_first_value_stays(path):
    store = Store(path)
    store.put_many({b"k": b"first"})
    assert store.put_many({b"k": b"second", b"l": b"new"}) == 1
    assert store.get_many([b"k", b"l"]) == {b"k": b"first", b"l": b"new"}


def test_a_transaction_is_all_or_nothing(path):
    store = Store(path)
    with pytest.raises(sqlite3.ProgrammingError):
        store.put_many({b"a": b"kept?", b"b": object()})
    assert len(store) == 0
    assert store.put_many({b"a": b"yes"}) == 1  # and nothing stays locked


def test_copies_and_threads_share_the_file(path):
    store = Store(path)
    others = [pickle.loads(pickle.dumps(store)), copy.deepcopy(store)]
    others[0].put_many({b"k": b"v"})
    assert others[1].get_many([b"k"]) == {b"k": b"v"}
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda i: store.put_many(numbered(i * 10, i * 10 + 20)), range(8)))
    assert sum(added) == 90  # 0 … 89: each counted by one thread only
    assert len(store) == 91


def test_the_file_is_in_write_ahead_mode_and_leaves_no_others(path, tmp_path):
    Store(path).put_many({b"k": b"v"})
    assert path.read_bytes()[18:20] == b"\x02\x02"  # the header's marks of that mode
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


WORKER = """
import sys, time
from pathlib import Path
from simkit.store import Store, key
path, go, start, stop = sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:])
print("ready", flush=True)
while not go.exists():
    time.sleep(0.001)
store = Store(path)
added = 0
for i in range(start, stop, 10):
    rows = {key(i=j): b"value %d" % j for j in range(i, i + 10)}
    added += store.put_many(rows)
    assert store.get_many(rows) == rows
print(added)
"""


def test_two_processes_share_a_new_file(path, tmp_path):
    go = tmp_path / "go"
    spans = [("0", "600"), ("300", "900")]  # 300 rows are in both
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, path, go, *span],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for span in spans
    ]  # fmt: skip
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    go.touch()
    said = [worker.communicate(timeout=60) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    # 600 + 600 rows were put, 300 of them twice: 900 are there, each added once.
    assert sum(int(out) for out, _ in said) == 900
    assert Store(path).get_many(numbered(0, 1_000)) == numbered(0, 900)
    assert len(Store(path)) == 900


DYING = """
import os, signal, sys
from simkit.store import Store
store = Store(sys.argv[1])
store.put_many({b"done": b"1"})
with store._open() as db:
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO kept VALUES (?, ?)", (b"half", b"2"))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_process_killed_in_a_transaction_leaves_the_earlier_ones(path):
    done = subprocess.run([sys.executable, "-c", DYING, path], check=False)
    assert done.returncode == -9
    store = Store(path)
    assert store.get_many([b"done", b"half"]) == {b"done": b"1"}
    assert store.put_many({b"half": b"3"}) == 1  # the dead hold no lock


def test_a_reader_goes_on_beside_a_writer_and_a_writer_waits(path, monkeypatch):
    store = Store(path)
    store.put_many({b"k": b"v"})
    monkeypatch.setattr(module, "WAIT", 0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO kept VALUES (?, ?)", (b"l", b"w"))
    assert store.get_many([b"k", b"l"]) == {b"k": b"v"}
    with pytest.raises(OSError, match=r"scores\.sqlite cannot be used: database is locked"):
        store.put_many({b"m": b"x"})
    other.execute("COMMIT")
    other.close()
    assert store.put_many({b"m": b"x"}) == 1


def foreign(path):
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE letters (text)")
    db.execute("PRAGMA user_version=1")
    db.commit()
    db.close()


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda p: p.write_text("a letter, " * 50), "is not a store of simkit"),
        (lambda p: p.write_bytes(b"PAR1"), "is not a store of simkit"),
        (foreign, "is not a store of simkit"),
        (lambda p: newer(p), r"has format 2, this simkit reads 1"),
    ],
)
def test_a_file_that_is_not_a_store_is_named_and_left_alone(path, tmp_path, write, said):
    write(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"scores\.sqlite.* {said}.*left as it is; name another"):
        Store(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def newer(path):
    Store(path)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=2")
    db.commit()
    db.close()


@pytest.mark.parametrize("harm", ["garbage", "cut"])
def test_a_damaged_store_is_named_and_left_alone(path, harm):
    rows = numbered(0, 2_000)
    Store(path).put_many(rows)
    data = path.read_bytes()
    assert len(data) > 10 * 4_096  # more than the pages that are kept below
    harmed = data[: 2 * 4_096] + (
        bytes([7]) * (len(data) - 2 * 4_096) if harm == "garbage" else b""
    )
    path.write_bytes(harmed)
    with pytest.raises(ValueError, match=r"the store .*scores\.sqlite is damaged .*move it away"):
        Store(path).get_many(rows)
    assert path.read_bytes() == harmed


def test_an_empty_file_becomes_a_store(path):
    path.touch()
    assert Store(path).put_many({b"k": b"v"}) == 1


def test_a_place_where_no_file_can_be(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere.* make it first"):
        Store(tmp_path / "nowhere" / "scores.sqlite")
    with pytest.raises(ValueError, match="is not a file"):
        Store(tmp_path)


def test_a_hundred_thousand_look_ups_take_little(path):
    rows = numbered(0, 100_000)
    store = Store(path)
    store.put_many(rows)
    before = time.process_time()
    assert store.get_many(rows) == rows
    assert time.process_time() - before < 5  # about 0.3 s of processor time
