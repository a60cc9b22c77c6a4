"""Designs that do not fit in memory: the same table as in memory, whole or not there."""

from __future__ import annotations

import datetime
import errno
import json
import os
import subprocess
import sys
import time
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import simkit as sk
from simkit.scoring.cache import cached
from simkit.scoring.local import LocalModel
from simkit.scoring.parquet.design import ParquetDesign
from simkit.scoring.parquet.score import score_parquet
from simkit.scoring.parquet.stream import Streamed
from simkit.store import Store
from tests.scoring import slow_model
from tests.scoring.conftest import make_network, make_tokenizer

TEMPLATE = "The price is ${price:.2f}. Does {who} buy it?"
pytestmark = pytest.mark.filterwarnings("ignore::simkit.scoring.LowMassWarning")
MOCK = sk.MockModel(lambda prompt: {"yes": 0.5, "no": 0.25, "maybe": 0.125})


@pytest.fixture(scope="module")
def model() -> LocalModel:
    tokenizer = make_tokenizer(bos=True)
    return LocalModel("m", make_network("llama", len(tokenizer)).eval(), tokenizer)


def save(path: Path, table: pa.Table | dict[str, Any], **how: Any) -> Path:
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, **how)
    return path


@pytest.fixture
def design(tmp_path: Path) -> Path:
    """Seven rows in three row groups."""
    prices = [1.0, 2.5, 1.0, 3.0, 12.0, 2.5, 0.5]
    who = ["Ann", "Bo", "Ann", "Cy", "Di", "Bo", "Ed"]
    columns = {"price": prices, "who": who, "prompt": [f"It is {w}." for w in who]}
    return save(tmp_path / "in.parquet", columns, row_group_size=3)


def scored(
    model: Any, table: pa.Table | dict[str, Any], out: Path, options: Any, **how: Any
) -> Any:
    """The table that comes of one, through files in a folder."""
    source = save(out / "made.parquet", table)
    score_parquet(model, source, out / "scored.parquet", options, **how)
    return pq.read_table(out / "scored.parquet")


def test_the_table_is_the_one_of_believe(model: LocalModel, design: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    done = score_parquet(model, design, out, ["yes", "no", "{who}"], template=TEMPLATE, rows=2)
    found = pd.read_parquet(out)
    question = sk.Question("", ["yes", "no", "{who}"], template=TEMPLATE)
    expected = sk.believe(model, question, pd.read_parquet(design))
    pd.testing.assert_frame_equal(
        found, expected[list(found.columns)], check_dtype=False, atol=1e-5, rtol=0
    )
    assert found.columns.tolist()[:4] == ["price", "who", "prompt", "prompt_id"]
    assert (done.prompts, done.of, done.rows, done.stored) == (7, 7, 21, 0)
    assert pq.ParquetFile(out).num_row_groups == 4  # 2 + 2 + 2 + 1 prompts


def test_each_keyword_changes_what_is_asked(design: Path, tmp_path: Path) -> None:
    asked: list[tuple[str, list[str]]] = []

    class Spy:
        name = "spy"

        def scores(self, prompts: Any, options: Any) -> Any:
            asked.append((prompts[0], list(options[0])))
            return MOCK.scores(prompts, options)

    def first(options: Any, **how: Any) -> tuple[str, list[str]]:
        asked.clear()
        score_parquet(Spy(), design, tmp_path / "out.parquet", options, **how)
        return asked[0]

    assert first(["yes", "no"]) == ("It is Ann.", [" yes", " no"])
    assert first(["yes", "no"], prompt="who") == ("Ann", [" yes", " no"])
    assert first(["yes", "no"], separator="\n")[1] == ["\nyes", "\nno"]
    assert first([" a{price}", " b"], separator="")[1] == [" a1", " b"]
    assert first(["yes", "no"], template="{{{who}}}")[0] == "{Ann}"
    assert len(asked) == 1
    first(["yes", "no"], rows=3)
    assert len(asked) == 3  # batches of 3, 3 and 1
    first(["yes", "no"], bare=True)
    columns = ["prompt_id", "option", "option_id", "logprob", "belief", "valid_mass", "model"]
    assert pd.read_parquet(tmp_path / "out.parquet").columns.tolist() == columns


def test_a_column_may_hold_each_rows_own_options(tmp_path: Path) -> None:
    lists = [["yes", "no"], ["maybe", "no", "yes"], ["no", "maybe"]]
    source = save(tmp_path / "in.parquet", {"prompt": ["a", "b", "c"], "choices": lists})
    score_parquet(MOCK, source, tmp_path / "out.parquet", "choices", bare=True)
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert found["option"].tolist() == [o for some in lists for o in some]
    assert found["option_id"].tolist() == [0, 1, 0, 1, 2, 0, 1]
    assert found["prompt_id"].tolist() == [0, 0, 1, 1, 1, 2, 2]
    # belief of "yes" beside "no": 0.5 / 0.75; of "no" beside "maybe": 0.25 / 0.375
    expected = [2 / 3, 1 / 3, 1 / 7, 2 / 7, 4 / 7, 2 / 3, 1 / 3]
    assert found["belief"].tolist() == pytest.approx(expected)
    assert found["valid_mass"].tolist() == pytest.approx([0.75] * 2 + [0.875] * 3 + [0.375] * 2)


def test_a_belief_that_is_undefined_is_nan(tmp_path: Path) -> None:
    source = save(tmp_path / "in.parquet", {"prompt": ["a"]})
    score_parquet(MOCK, source, tmp_path / "out.parquet", ["never", "ever"])
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert found["belief"].isna().all() and (found["valid_mass"] == 0).all()
    assert (found["logprob"] == -np.inf).all()


def test_the_designs_columns_keep_their_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "prompt": pa.array(["a", "b", "a"]).dictionary_encode(),
            "day": pa.array([datetime.date(2024, 1, 2)] * 3),
            "cost": pa.array([Decimal("1.10"), None, Decimal("3.00")]),
            "tags": [["x"], [], ["y", "z"]],
            "n": pa.array([1, None, 3], pa.int16()),
        }
    )
    source = save(tmp_path / "in.parquet", table)
    score_parquet(MOCK, source, tmp_path / "out.parquet", ["yes", "no"], rows=2)
    found = pq.read_table(tmp_path / "out.parquet")
    for name in table.column_names:
        assert found.schema.field(name).type == table.schema.field(name).type
        twice = [value for value in table[name].to_pylist() for _ in range(2)]
        assert found[name].to_pylist() == twice


def test_a_frame_with_an_index_comes_through(tmp_path: Path) -> None:
    frame = pd.DataFrame({"prompt": ["a", "b"]}, index=pd.Index([7, 5], name="id"))
    frame.to_parquet(tmp_path / "in.parquet")
    score_parquet(MOCK, tmp_path / "in.parquet", tmp_path / "out.parquet", ["yes", "no"])
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert found["id"].tolist() == [7, 7, 5, 5] and found.index.tolist() == [0, 1, 2, 3]


def test_whole_numbers_and_dates_are_filled_in_as_they_are(tmp_path: Path) -> None:
    columns = {"n": pa.array([3, None], pa.int64()), "day": [datetime.date(2024, 1, 2)] * 2}
    table = pa.table(columns)
    seen: list[str] = []
    spy = sk.MockModel(lambda prompt: seen.append(prompt) or {"yes": 1.0})  # type: ignore[func-returns-value]
    scored(spy, table[:1], tmp_path, ["yes", "no"], template="{n} on {day:%d %B}")
    assert seen == ["3 on 02 January"]
    with pytest.raises(ValueError, match=r"row 1: 'n' is <NA>, and '\{n\}' needs it"):
        scored(spy, table, tmp_path, ["yes", "no"], template="{n}", rows=1)


ZOO: dict[str, Any] = {
    "float32": pd.Series([0.1, 2.0, 1e-7], dtype="float32"),
    "float64": [34.0, 2.5, 1e16],
    "nullable": pd.Series([3, 4, 2**60], dtype="Int64"),
    "small": pd.Series([3, 0, 255], dtype="uint8"),
    "bool": [True, False, True],
    "category": pd.Categorical(["b", "a", "b"]),
    "day": [datetime.date(2024, 1, 2), datetime.date(2024, 12, 31), datetime.date(1969, 7, 20)],
    "moment": pd.to_datetime(
        ["2024-01-02", "2024-01-02 03:04:05", "2024-01-02 03:04:05.25"], format="ISO8601"
    ),
    "zone": pd.to_datetime(["2024-01-02 00:00", "2024-01-03 01:00", "2024-01-04 00:00"], utc=True),
    "decimal": [Decimal("1.10"), Decimal("2"), Decimal("0.05")],
}


@pytest.mark.parametrize("name", ZOO)
def test_values_are_told_as_they_are_in_memory(name: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({name: ZOO[name]})
    seen: list[str] = []
    spy = sk.MockModel(lambda prompt: seen.append(prompt) or {"yes": 1.0})  # type: ignore[func-returns-value]
    table = pa.Table.from_pandas(frame)
    scored(spy, table, tmp_path, ["yes", "no"], template=f"{{{name}}}!")
    question = sk.Question("", ["yes", "no"], template=f"{{{name}}}!")
    assert list(dict.fromkeys(seen)) == list(dict.fromkeys(question.prompts(frame)))
    if name == "float32":
        assert seen[0] == "0.1!"


def test_columns_that_cannot_be_repeated_are_named(tmp_path: Path) -> None:
    table = pa.table({"prompt": ["a"], "x": pa.array(["b"], pa.string_view())})
    with pytest.raises(ValueError, match=r"'x' holds string_view, .* cast it"):
        scored(MOCK, table, tmp_path, ["yes", "no"])
    assert len(scored(MOCK, table, tmp_path, ["yes", "no"], bare=True)) == 2


def by_row(prompt: str) -> dict[str, float]:
    """Valid mass 0.9, in the prompts "low ..." 0.2."""
    mass = 0.2 if prompt.startswith("low") else 0.9
    return {"yes": mass / 2, "no": mass / 2}


def test_low_valid_mass_is_warned_of_once_and_counted(tmp_path: Path) -> None:
    prompts = ["a", "b", "c", "low d", "e", "low f", "low g"]
    source, out = save(tmp_path / "in.parquet", {"prompt": prompts}), tmp_path / "out.parquet"
    with pytest.warns(sk.scoring.LowMassWarning) as told:
        done = score_parquet(sk.MockModel(by_row), source, out, ["yes", "no"], rows=2)
    (text,) = [str(w.message) for w in told]
    assert "below 0.5 in 1 of 2 prompts" in text
    assert "lowest 0.2 in row 3" in text and told[0].filename == __file__
    assert done.low == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        how: dict[str, Any] = {"least_mass": 0.1}
        assert score_parquet(sk.MockModel(by_row), source, out, ["yes", "no"], **how).low == 0
    with pytest.raises(ValueError, match="least_mass is 2"):
        ParquetDesign(source, out, ["yes", "no"], least_mass=2)


def test_a_template_that_says_nothing_of_the_design_is_warned_of(
    design: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    with pytest.warns(UserWarning, match="no field names any column .* alike.*'Buy it?") as told:
        score_parquet(MOCK, design, out, ["yes", "no"], template="Buy it?")
    assert [w.filename for w in told] == [__file__]
    columns = {"context": ["I am 34.", "I am 35."], "price": [1, 2]}
    with pytest.warns(UserWarning, match="column 'context', and no field names it") as told:
        scored(MOCK, columns, tmp_path, ["yes", "no"], template="{price}", rows=1)
    assert [w.filename for w in told] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scored(MOCK, columns, tmp_path, ["yes", "no"], template="{context} {price}")
        scored(MOCK, columns, tmp_path, ["yes", "no"], prompt="context")


def test_tokens_are_counted(model: LocalModel, tmp_path: Path) -> None:
    source = save(tmp_path / "in.parquet", {"prompt": ["It is hot.", "It is hot today."]})
    told: list[Streamed] = []
    done = score_parquet(
        model, source, tmp_path / "out.parquet", ["yes", "no"], rows=1, progress=told.append
    )
    ids = [len(model.tokenizer(p)["input_ids"]) for p in ("It is hot.", "It is hot today.")]
    ends = [len(model.tokenizer(o, add_special_tokens=False)["input_ids"]) for o in (" yes", " no")]
    # Each prompt with each option, the option's last token unread.
    assert done.plain == 2 * sum(ids) + 2 * (sum(ends) - 2)
    assert sum(ids) <= done.positions < done.plain
    assert done.saved == 1 - done.positions / done.plain
    assert [(t.prompts, t.of, t.rows) for t in told] == [(1, 2, 2), (2, 2, 4)]
    assert told[-1] == done and told[0].seconds <= told[1].seconds
    uncounted = score_parquet(MOCK, source, tmp_path / "out.parquet", ["yes", "no"])
    assert np.isnan(uncounted.plain) and np.isnan(uncounted.saved)
    padded = LocalModel("p", model.network, model.tokenizer, asked="padded")
    plainly = score_parquet(padded, source, tmp_path / "out.parquet", ["yes", "no"])
    assert np.isnan(plainly.saved)


def test_the_file_tells_how_it_was_made(model: LocalModel, design: Path, tmp_path: Path) -> None:
    score_parquet(model, design, tmp_path / "out.parquet", ["yes", "no"])
    said = json.loads(pq.ParquetFile(tmp_path / "out.parquet").schema_arrow.metadata[b"simkit"])
    assert said["model"] == "m" and said["path"] == "tree"
    assert said["options"] == ["yes", "no"] and said["source"] == "in.parquet"
    assert said["weights"] == model.identity["weights"] and len(said["weights"]) == 64
    score_parquet(MOCK, design, tmp_path / "out.parquet", ["yes", "no"])
    said = json.loads(pq.ParquetFile(tmp_path / "out.parquet").schema_arrow.metadata[b"simkit"])
    assert said["weights"] is None


GOOD = ["It is hot.", "It is Ann."]


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        ([*GOOD * 3, "", "The"], ["yes", "no"], "row 6: prompt '' is empty"),
        ([*GOOD * 3, None, "The"], ["yes", "no"], "row 6: prompt None is empty"),
        ([*GOOD * 3, "The", "The pri"], ["ce", "x"], r"row 7: .*'…?.*pri'.*'ce'"),
        ([*GOOD * 2, "It is hot. " * 60 + "So"], ["yes", "no"], "row 4: .* more than the 128"),
    ],
)
def test_a_bad_row_is_named_by_its_number_in_the_file(
    model: LocalModel, tmp_path: Path, prompts: list[str], options: list[str], message: str
) -> None:
    source, out = save(tmp_path / "in.parquet", {"prompt": prompts}), tmp_path / "out.parquet"
    out.write_text("of an earlier run")
    separator = "" if "ce" in options else " "
    kind = sk.BoundaryError if "ce" in options else ValueError
    with pytest.raises(kind, match=f"^{message}"):
        score_parquet(model, source, out, options, rows=2, separator=separator)
    assert out.read_text() == "of an earlier run"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.parquet", "out.parquet"]


def test_a_bad_list_of_options_is_named_by_its_row(tmp_path: Path) -> None:
    bad = {"b": ["yes", "yes"], "c": ["yes"], "d": None, "e": ["yes", None]}
    for prompt, some in bad.items():
        columns = {"prompt": ["a"] * 4 + [prompt], "opts": [["yes", "no", "maybe"]] * 4 + [some]}
        source = save(tmp_path / "in.parquet", columns)
        with pytest.raises(ValueError, match=r"^row 4: "):
            score_parquet(MOCK, source, tmp_path / "out.parquet", "opts", rows=3)
    # The row of a group of equal length, in the middle of a batch, by the model itself.
    lists = [["yes", "no"], ["yes", "no", "maybe"], ["yes", "no"], ["yes", "no", "maybe"]]
    source = save(tmp_path / "in.parquet", {"prompt": ["a"] * 4, "opts": lists})

    class Sour:
        name = "sour"

        def scores(self, prompts: Any, options: Any) -> Any:
            raise ValueError(f"row {len(prompts) - 1}: sour")

    with pytest.raises(ValueError, match=r"^row 2: sour"):
        score_parquet(Sour(), source, tmp_path / "out.parquet", "opts")


@pytest.mark.parametrize(
    ("options", "how", "message"),
    [
        (["yes", "no"], {"prompt": "text"}, "no column 'text'.*: price, who, prompt"),
        (["yes", "no"], {"prompt": "price"}, "'price' holds double; prompts must be text"),
        (["yes", "no"], {"template": "{cost}"}, "no column 'cost'"),
        (["yes", "{cost}"], {}, "no column 'cost'"),
        (["yes", "no"], {"template": "{who"}, "'{who' cannot be read as a template"),
        (["yes", "no"], {"template": "{who:d}"}, "row 0: '{who:d}' cannot be filled"),
        (["yes", "no"], {"rows": 0}, "rows is 0"),
        (["yes", "no"], {"rows": "2"}, "rows is '2'"),
        (["yes", "no"], {"template": ["{who}"]}, "template is \\['{who}'\\]; it must be text"),
        (["yes", "no"], {"template": "{who[0]}"}, "a field is the name of a column, without"),
        (["yes", "{who.__class__}"], {}, "a field is the name of a column, without"),
        (["yes", "no"], {"template": 3}, "template is 3; it must be text"),
        (["yes", "no"], {"separator": None}, "separator is None; it must be text"),
        (["yes", "no"], {"prompt": 3}, "prompt is 3; it must be text"),
        (["yes ", "no"], {}, "'yes ' has a blank at an end; write 'yes'"),
        (["yes", 3], {}, "option 3 is empty or not text"),
        (None, {}, "options is None; it must be a list"),
        ({"yes": 1}, {}, "must be a list"),
        (["yes", "no"], {"forms": ["Yes"]}, "forms is .* must be {option: list"),
        (["yes", "no"], {"orders": 3, "template": "{options} {who}"}, "orders is 3"),
        (["yes", "no"], {"orders": 3}, "lists no options"),
        (["yes"], {}, "at least two options"),
        ("choices", {}, "no column 'choices'"),
        ("who", {}, "'who' holds string; options must be lists of text"),
    ],
)
def test_a_request_that_makes_no_sense(
    design: Path, tmp_path: Path, options: Any, how: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message.replace("{", r"\{")):
        score_parquet(MOCK, design, tmp_path / "out.parquet", options, **how)
    assert [p.name for p in tmp_path.iterdir()] == ["in.parquet"]


def test_files_that_cannot_be_read_or_written(design: Path, tmp_path: Path) -> None:
    table, out, ask = tmp_path / "in.csv", tmp_path / "out.parquet", ["yes", "no"]
    table.write_text("prompt\na\n")
    with pytest.raises(ValueError, match=r"in\.csv is not a parquet file .*to_parquet"):
        ParquetDesign(table, out, ask)
    with pytest.raises(ValueError, match=r"no file .*gone\.parquet"):
        ParquetDesign(tmp_path / "gone.parquet", out, ask)
    with pytest.raises(ValueError, match=r"no folder .*make it first"):
        ParquetDesign(design, tmp_path / "no" / "out.parquet", ask)
    for place in (design, tmp_path):
        with pytest.raises(ValueError, match="cannot write to"):
            ParquetDesign(design, place, ask)
    with pytest.raises(ValueError, match="has no rows"):
        ParquetDesign(save(tmp_path / "empty.parquet", pq.read_table(design)[:0]), out, ask)
    taken = save(tmp_path / "taken.parquet", {"prompt": ["a"], "belief": [0.5]})
    with pytest.raises(ValueError, match="already has a column 'belief'"):
        ParquetDesign(taken, out, ask)
    assert ParquetDesign(taken, out, ask, bare=True).count == 1
    assert ParquetDesign(design, out, ask).count == 7
    twice = save(tmp_path / "twice.parquet", pa.table([["a"], [1], [2]], ["prompt", "x", "x"]))
    with pytest.raises(ValueError, match="column 'x' stands twice"):
        ParquetDesign(twice, out, ask)
    for wrong in (None, 3):
        with pytest.raises(ValueError, match=r"source is .*; it must be a path"):
            ParquetDesign(wrong, out, ask)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="load it first"):
        score_parquet("gpt2", design, out, ask)  # type: ignore[arg-type]


def test_homes_and_links_are_followed(
    design: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "link.parquet").symlink_to(tmp_path / "file.parquet")
    score_parquet(MOCK, "~/in.parquet", "~/link.parquet", ["yes", "no"], rows=10**30)
    assert (tmp_path / "link.parquet").is_symlink()
    assert len(pd.read_parquet(tmp_path / "file.parquet")) == 14


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pipe among the files")
def test_only_a_plain_file_is_written_over(design: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="no plain file"):
        ParquetDesign(design, tmp_path / "pipe", ["yes", "no"])
    assert (tmp_path / "pipe").is_fifo()
    sealed = tmp_path / "sealed"
    sealed.mkdir()
    sealed.chmod(0o555)
    if not os.access(sealed, os.W_OK):  # an administrator may write everywhere
        with pytest.raises(PermissionError, match="cannot write to the folder of"):
            ParquetDesign(design, sealed / "out.parquet", ["yes", "no"])


def test_damage_in_the_file_is_named_and_nothing_left(tmp_path: Path) -> None:
    columns = {"prompt": [f"Prompt {i} " + "so " * 50 for i in range(400)]}
    source, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    save(source, columns, row_group_size=100, compression="none", use_dictionary=False,
         write_page_checksum=True)  # fmt: skip
    data = bytearray(source.read_bytes())
    data[data.index(b"Prompt 250")] ^= 1  # "Qrompt 250": only the checksum tells
    source.write_bytes(data)
    with pytest.raises(ValueError, match=r"in\.parquet cannot be read from row 200 on .* damaged"):
        score_parquet(MOCK, source, out, ["yes", "no"], rows=100)
    assert [p.name for p in tmp_path.iterdir()] == ["in.parquet"]
    source.write_bytes(data[:-100])
    with pytest.raises(ValueError, match=r"in\.parquet is not a parquet file"):
        ParquetDesign(source, out, ["yes", "no"])


@pytest.mark.parametrize("what", ["write_table", "close"])
def test_a_full_disk_names_the_file_and_leaves_the_old_one(
    design: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    plain, calls = getattr(pq.ParquetWriter, what), []

    def full(*given: object) -> object:
        calls.append(given)
        if len(calls) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return plain(*given)

    out = tmp_path / "out.parquet"
    out.write_text("of an earlier run")
    monkeypatch.setattr(pq.ParquetWriter, what, full)
    with pytest.raises(OSError, match=r"out\.parquet cannot be written: .*No space.*; make room"):
        score_parquet(MOCK, design, out, ["yes", "no"])
    assert out.read_text() == "of an earlier run"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.parquet", "out.parquet"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [f"Prompt {i:03}" for i in range(170)]
    source = save(tmp_path / "in.parquet", {"prompt": prompts})
    out, store, log = (tmp_path / name for name in ("out.parquet", "store.sqlite", "log"))
    words = [sys.executable, slow_model.__file__, source, out, store, log]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        while not log.exists() or len(log.read_text().splitlines()) < 70:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -9
    before = log.read_text().splitlines()
    kept = len(Store(store))
    assert 70 <= len(before) < 170 and not out.exists()
    assert len(before) - kept <= slow_model.BLOCK  # lost: one block at most

    monkeypatch.setattr(cached, "BLOCK", slow_model.BLOCK)
    model = sk.Cached(slow_model.SlowModel(log), store)
    score_parquet(model, source, out, slow_model.OPTIONS, rows=slow_model.ROWS)
    again = log.read_text().splitlines()[len(before) :]
    assert len(again) == 170 - kept  # what was kept is not computed again
    assert set(before) | set(again) == set(prompts)
    assert len(Store(store)) == 170
    found = pd.read_parquet(out)
    assert found["prompt"].tolist() == [p for p in prompts for _ in range(3)]
    np.testing.assert_array_equal(
        found["logprob"], np.concatenate([slow_model.answers(p) for p in prompts])
    )
