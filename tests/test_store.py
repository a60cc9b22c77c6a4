"""The store: what goes in comes out, whoever else is at the file and whatever dies meanwhile."""

import copy
import hashlib
import logging
import os
import pickle
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import store_stress
from simkit import store as module
from simkit.store import Store, key

unix = pytest.mark.skipif(sys.platform == "win32", reason="forks, kills, limits")


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
    with closing(sqlite3.connect(path)) as db:  # one row that the file refuses
        db.execute("CREATE TRIGGER no BEFORE INSERT ON kept WHEN new.key = x'62' "
                   "BEGIN SELECT RAISE(ABORT, 'no'); END")  # fmt: skip
    with pytest.raises(ValueError, match="damaged"):
        store.put_many({b"a": b"kept?", b"b": b"refused"})
    assert len(store) == 0
    assert store.put_many({b"a": b"yes"}) == 1  # and nothing stays locked


def test_keys_and_values_are_bytes(path):
    store = Store(path)
    for rows in ({b"a": b"v", b"b": "text"}, {"a": b"v"}, {b"a": None}):
        with pytest.raises(TypeError, match="must be bytes, not"):
            store.put_many(rows)
    with pytest.raises(TypeError, match="must be bytes, not 'a'"):
        store.get_many(["a"])
    assert len(store) == 0


def test_copies_and_threads_share_the_file(path):
    store = Store(path)
    others = [pickle.loads(pickle.dumps(store)), copy.deepcopy(store)]
    others[0].put_many({b"k": b"v"})
    assert others[1].get_many([b"k"]) == {b"k": b"v"}
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda i: store.put_many(numbered(i * 10, i * 10 + 20)), range(8)))
    assert sum(added) == 90  # 0 … 89: each counted by one thread only
    assert len(store) == 91


def test_a_store_at_rest_is_one_file_without_a_log(path, tmp_path):
    Store(path).put_many({b"k": b"v"})
    assert path.read_bytes()[18:20] == b"\x01\x01"  # the header's marks of the rollback journal
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_path_is_a_file_whatever_it_is_called_and_stays_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "other").mkdir()
    for name in (":memory:", "file:a?mode=memory", "~/b", "c"):
        monkeypatch.chdir(tmp_path)
        store = Store(name)
        store.put_many({b"k": b"v"})
        monkeypatch.chdir(tmp_path / "other")
        assert store.get_many([b"k"]) == {b"k": b"v"}
        assert (tmp_path / name.removeprefix("~/")).is_file()


def test_a_store_that_is_deleted_between_calls_begins_anew(path):
    store = Store(path)
    store.put_many({b"k": b"v"})
    path.unlink()
    assert store.get_many([b"k"]) == {}
    assert store.put_many({b"k": b"w"}) == 1


LOCKED = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    db.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error)
"""


def test_using_a_store_leaves_the_locks_of_its_process(path):
    # POSIX drops all of them when the process closes any descriptor of the file by itself.
    store = Store(path)
    store.put_many({b"k": b"v"})
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert len(Store(path)) == 1 and store.get_many([b"k"])
        other = subprocess.run(
            [sys.executable, "-c", LOCKED, path], capture_output=True, text=True, check=True
        )
    assert other.stdout == "database is locked\n"


FORKING = """
import os, sys, threading, time
from simkit.store import Store
store, inside, done = Store(sys.argv[1]), threading.Event(), []

def work():
    with store._open() as db:
        db.execute("BEGIN IMMEDIATE")
        inside.set()
        time.sleep(0.2)
        db.execute("INSERT INTO kept VALUES (x'00', x'00', x'00')")
        done.append(True)
        db.execute("COMMIT")

thread = threading.Thread(target=work)
thread.start()
inside.wait()
child = os.fork()
if not child:
    assert done and store.put_many({b"child": b"1"}) == 1
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
thread.join()
assert store.put_many({b"parent": b"1"}) == 1
"""


@unix
def test_a_fork_waits_for_work_in_other_threads(path):
    subprocess.run([sys.executable, "-c", FORKING, path], check=True, timeout=60)
    assert Store(path).get_many([b"child", b"parent"]) == {b"child": b"1", b"parent": b"1"}


@unix
def test_nothing_is_lost_between_processes_threads_forks_and_kills(tmp_path):
    found = store_stress.run(tmp_path, 3, 2, rows=2_000, size=20, pause=0.3, seed=0)
    assert found["workers killed"] > 0 and found["forks that wrote"] > 0
    assert found["rows in the file"] >= found["different ones"] >= 2_000
    bad = ("lost", "doubled", "wrong", "parts of a batch", "misread", "flipped values believed")
    assert [found[name] for name in bad] == [0] * 6
    assert found["errors"] == 0 and found["integrity"] == "ok"
    assert found["bits flipped"] == found["put anew"] == found["right then"]


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
    db.execute("PRAGMA cache_size=1")  # so that pages go to the file before the commit
    db.execute("BEGIN IMMEDIATE")
    rows = [(b"%d" % i, bytes(9_000)) for i in range(99)]
    db.executemany("INSERT INTO kept VALUES (?, ?, x'00')", rows)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@unix
def test_a_process_killed_in_a_transaction_leaves_the_earlier_ones(path):
    done = subprocess.run([sys.executable, "-c", DYING, path], check=False)
    assert done.returncode == -9
    assert path.stat().st_size > 100_000 and path.with_name(path.name + "-journal").exists()
    store = Store(path)
    assert len(store) == 1 and store.get_many([b"done", b"5"]) == {b"done": b"1"}
    assert store.put_many({b"5": b"3"}) == 1  # the dead hold no lock


FILLING = """
import resource, sys
from simkit.store import Store, key
store = Store(sys.argv[1])
if len(sys.argv) > 2:
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
rows = lambda i: {key(i=j): b"value %d" % j * 20 for j in range(i, i + 50)}
start = 0
try:
    while True:
        store.put_many(rows(start))
        start += 50
except OSError as error:
    print(start, error)
assert store.get_many([key(i=0)])
if len(sys.argv) > 2:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert store.put_many(rows(start)) == 50
"""


def check_filled(path, words, said):
    done = subprocess.run(
        [sys.executable, "-c", FILLING, path, *words], capture_output=True, text=True, check=True
    )
    start, message = done.stdout.split(" ", 1)
    assert message.startswith(f"the store {path} cannot be used: ") and said in message
    start = int(start) + 50 * len(words)
    assert start > 100
    store = Store(path)
    assert len(store) == start
    assert len(store.get_many(key(i=i) for i in range(start))) == start
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@unix
def test_a_limit_on_the_file_keeps_what_was_there_and_names_file_and_remedy(path):
    check_filled(path, ["limit"], "see to its disk (full, a quota, damaged?) and start again")


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own, by mount options; where that is not permitted the test is left."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if (
        not sys.platform.startswith("linux")
        or subprocess.run(mount, capture_output=True).returncode
    ):
        pytest.skip("a disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_what_was_there_and_names_file_and_remedy(disk):
    check_filled(disk / "s.sqlite", [], "make room on its disk and start again")


def check_read_only(path, caplog):
    store = Store(path)
    assert store.get_many([b"k", b"l"]) == {b"k": b"v"} and len(store) == 1
    with caplog.at_level(logging.WARNING, "simkit.store"):
        assert [store.put_many({b"l": b"w"}) for _ in range(3)] == [0, 0, 0]
    (record,) = caplog.records  # said once
    assert record.message.startswith(f"the store {path} cannot be written, so that nothing new")
    assert store.get_many([b"l"]) == {}
    with pytest.raises(OSError, match=r"new\.sqlite cannot be used: .*; see that .*written"):
        Store(path.with_name("new.sqlite"))


def test_a_read_only_disk_is_read_and_what_is_new_left_out(disk, caplog):
    path = disk / "s.sqlite"
    Store(path).put_many({b"k": b"v"})
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    check_read_only(path, caplog)


@pytest.mark.parametrize("sealed", ["file and folder", "folder"])
def test_a_read_only_folder_is_read_and_what_is_new_left_out(tmp_path, sealed, caplog):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "s.sqlite"
    Store(path).put_many({b"k": b"v"})
    path.chmod(0o444 if "file" in sealed else 0o644)
    folder.chmod(0o555)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write everywhere")
        check_read_only(path, caplog)
    finally:
        folder.chmod(0o755)


def harm(path, name, value):
    """Flip one bit of a value, in the file."""
    data = bytearray(path.read_bytes())
    data[data.index(name + value) + len(name)] ^= 1
    path.write_bytes(data)


def replace(how):
    def change(path, name, value):
        with closing(sqlite3.connect(path)) as db:
            db.execute(f"UPDATE kept SET {how} WHERE key = ?", [name])
            db.commit()

    return change


@pytest.mark.parametrize(
    "change",
    [
        harm,
        replace("value = (SELECT value FROM kept ORDER BY key LIMIT 1)"),  # of another row
        replace("(value, sum) = (SELECT value, sum FROM kept ORDER BY key LIMIT 1)"),
        replace("value = 'text'"),
        replace("value = 3"),
        replace("sum = x''"),
    ],
)
def test_a_value_whose_checksum_fails_is_absent_and_put_anew(path, change, caplog):
    rows = numbered(0, 40)
    store = Store(path)
    store.put_many(rows)
    name = sorted(rows)[7]
    change(path, name, rows[name])
    rest = {k: v for k, v in rows.items() if k != name}
    with caplog.at_level(logging.WARNING, "simkit.store"):
        assert [store.get_many(rows) for _ in range(3)] == [rest] * 3
    (record,) = caplog.records  # said once
    assert f"the store {path} holds values whose checksum fails" in record.message
    # Only the one that is wrong is written over.
    assert store.put_many({**dict.fromkeys(rest, b"another"), name: rows[name]}) == 1
    assert store.get_many(rows) == rows


def test_a_reader_goes_on_beside_a_writer_and_a_writer_waits(path, monkeypatch):
    store = Store(path)
    store.put_many({b"k": b"v"})
    monkeypatch.setattr(module, "WAIT", 0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO kept VALUES (?, ?, x'00')", (b"l", b"w"))
    assert store.get_many([b"k", b"l"]) == {b"k": b"v"}
    with pytest.raises(OSError, match=r"scores\.sqlite cannot be used: .* locked; another process"):
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
        (lambda p: p.write_bytes(b"x"), "is not a store of simkit"),  # to SQLite it is empty
        (foreign, "is not a store of simkit"),
        (lambda p: newer(p), r"has format 3, this simkit reads 2"),
        (lambda p: first_format(p), r"has format 1, this simkit reads 2"),
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
    db.execute("PRAGMA user_version=3")
    db.commit()
    db.close()


def first_format(path):
    """As simkit 0.1 made it: no checksums, write-ahead log."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE kept (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
        db.execute(f"PRAGMA application_id={module.APPLICATION}")
        db.execute("PRAGMA user_version=1")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("INSERT INTO kept VALUES (x'00', x'00')")


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
    with pytest.raises(FileNotFoundError, match="make it first"):
        Store("~nobody-of-that-name/scores.sqlite")
    with pytest.raises(ValueError, match="is not a file"):
        Store(tmp_path)


def test_a_store_without_its_table_is_damaged(path):
    Store(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE kept")
    with pytest.raises(ValueError, match=r"is damaged \(no such table: kept\)"):
        Store(path).put_many({b"k": b"v"})


def test_a_hundred_thousand_look_ups_take_little(path):
    rows = numbered(0, 100_000)
    store = Store(path)
    store.put_many(rows)
    before = time.process_time()
    assert store.get_many(rows) == rows
    assert time.process_time() - before < 5  # about 0.3 s of processor time
