"""A file is written whole or not at all."""

import os
import threading

import pytest

from simkit.files import as_path, write_text


def test_text_is_written_with_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    made = write_text(tmp_path / "page.html", "ΔE ≤ 2\n")
    assert made.read_bytes() == "ΔE ≤ 2\n".encode()
    assert made.stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert {p.name for p in tmp_path.iterdir()} == {"plain", "page.html"}


@pytest.mark.parametrize("failing", ["replace", "fsync"])
def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch, failing):
    page = write_text(tmp_path / "page.html", "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(OSError, match="No space left"):
        write_text(page, "new")
    assert page.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_text_that_utf8_cannot_hold_touches_nothing(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "page.html", "\udcc3")
    assert list(tmp_path.iterdir()) == []


def test_a_link_goes_on_pointing_at_its_file(tmp_path):
    (tmp_path / "link").symlink_to(write_text(tmp_path / "file", "old"))
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "new"


def test_a_reader_never_finds_a_part(tmp_path):
    page = write_text(tmp_path / "page", "a" * 200_000)
    done = threading.Event()

    def write():
        for k in range(60):
            write_text(page, "ab"[k % 2] * 200_000)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    found = set()
    while not done.is_set():
        text = page.read_text()
        found.add((len(text), len(set(text))))
    writer.join()
    assert found <= {(200_000, 1)}


@pytest.mark.parametrize("value", ["a\0b", "half \ud800", b"bytes", 3, None, ["a"]])
def test_what_no_file_can_be_called_is_named(value):
    with pytest.raises(ValueError, match="out is "):
        as_path(value, "out")
    assert as_path("caf\u00e9/x", "out").name == "x"
