"""The command line: what it runs, what it says, how it exits."""

import json
import sys
import types
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from simkit import MockModel
from simkit.cli import TRAINED, app
from tests import small_notebooks as small

LAST = ["--out", "out"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two studies, one of which fails, in a working folder of their own."""
    light = (small.markdown("# Tea"), small.code("1 + 1"), small.PARAMETERS, small.code("seed"))
    small.write(tmp_path / "notebooks" / "01_tea.ipynb", *light)
    small.write(tmp_path / "notebooks" / "02_spilt.ipynb", *small.BAD)
    monkeypatch.setattr("simkit.resources.root", lambda name: tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words):
    return CliRunner().invoke(app, [*words])


def test_list_names_studies_and_parameters(folder):
    result = call("list")
    assert result.exit_code == 0
    assert "01_tea  Tea" in result.output
    assert "02_spilt  Spilt" in result.output
    assert "model: str = 'glassbox'  a name = a model" in result.output


def test_run_one_study_with_parameters(folder):
    words = ["-p", "seed", "5", "-p", "share", "-0.5", "-p", "grid", "[1, 2]", "--model", "7"]
    result = call("run", "tea", *words, *LAST)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(Path("out") / "index.html")
    record = json.loads((folder / "out" / "tea.json").read_text())
    expected = {"model": "7", "seed": 5, "share": -0.5, "grid": [1, 2]}
    assert record["provenance"]["parameters"] == expected


def test_run_all_goes_on_after_a_failure_and_exits_1(folder):
    result = call("run", *LAST)
    assert result.exit_code == 1
    assert "NameError: name 'spilt_milk' is not defined" in result.stderr
    assert "failed: 02_spilt" in result.stderr
    assert result.stdout.splitlines()[-1] == str(Path("out") / "index.html")
    assert (folder / "out" / "01_tea.html").is_file()
    assert "This run failed" in (folder / "out" / "02_spilt.html").read_text()
    assert "This run failed" in (folder / "out" / "index.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["taste"], "no study 'taste'; there are 01_tea, 02_spilt"),
        (["tea", "-p", "sede", "1"], "no parameter 'sede'; there are model, seed, share, grid"),
        (["tea", "--profile", "full"], "no parameter 'profile'"),
        (["tea", "--profile", "huge"], "huge"),
        (["tea", "-p", "seed", "one"], "'seed' takes int, not 'one'"),
        (["tea", "-p", "model", "cr\udcc3me"], r"'model' is 'cr\udcc3me', which holds half a"),
        (["tea", "-p", "seed"], "-p takes NAME VALUE, got 'seed'"),
    ],
)
def test_bad_words_exit_2_and_name_the_legal_ones(folder, words, said):
    result = call("run", *words, *LAST)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert not (folder / "out").exists()


def test_a_folder_that_cannot_be_written_is_said_without_a_traceback(folder):
    (folder / "taken").write_text("a file")
    result = call("run", "tea", "--out", "taken")
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert "taken" in result.stderr and "failed: 01_tea" in result.stderr


def test_what_came_on_top_of_an_error_is_said_too(folder, monkeypatch):
    def fail(*_, **__):
        error = ValueError("the first")
        error.add_note("and the second")
        raise error

    monkeypatch.setattr("simkit.reports.run", fail, raising=False)
    result = call("run", "tea", *LAST)
    assert result.exit_code == 1
    assert "the first\nand the second" in result.stderr


def test_train_world_hands_its_options_to_the_trainer(folder, monkeypatch):
    asked = []

    carded = []

    def train(size, out, **options):
        if size == "huge":
            raise ValueError("no size 'huge'; legal are small")
        asked.append((size, out, options))
        return out

    monkeypatch.setitem(
        sys.modules,
        "simkit.training",
        types.SimpleNamespace(pretrain=train, write_card=carded.append),
    )
    monkeypatch.setattr("simkit.training", sys.modules["simkit.training"], raising=False)
    result = call("train-world", "--seed", "3", "--steps", "20", "--device", "cpu")
    assert result.exit_code == 0, result.output
    options = {"seed": 3, "steps": 20, "init": None, "threads": None, "device": "cpu"}
    assert asked == [("small", Path("glassbox-small"), options)]
    assert result.stdout.strip() == "glassbox-small"
    assert carded == [Path("glassbox-small")]
    refused = call("train-world", "--size", "huge")
    assert refused.exit_code == 2 and "legal are small" in refused.stderr


@pytest.mark.parametrize("study", ["population", "alignment"])
def test_train_adapters_hands_its_options_to_the_study(study, monkeypatch):
    asked = []

    def train(out, **options):
        if options["seed"] < 0:
            raise ValueError("seed is -1")
        asked.append((out, options))
        return [out / "one", out / "two"]

    module = f"simkit.studies.{TRAINED[study]}"
    monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(train_adapters=train))
    words = ["--out", "mine", "--seed", "4", "--profile", "fast", "--model", "gpt2"]
    result = call("train-adapters", study, *words)
    assert result.exit_code == 0, result.output
    options = {"model": "gpt2", "seed": 4, "profile": "fast"}
    assert asked == [(Path("mine"), options)]
    assert result.stdout.split() == [str(Path("mine") / "one"), str(Path("mine") / "two")]
    call("train-adapters", study)
    assert asked[1][0].parts[-3:] == ("data", "adapters", study)
    assert asked[1][1] == {"model": "glassbox", "seed": 1, "profile": "full"}
    refused = call("train-adapters", study, "--seed", "-1")
    assert refused.exit_code == 2 and "seed is -1" in refused.stderr
    assert call("train-adapters", "poetry").exit_code == 2


@pytest.fixture
def design(tmp_path, monkeypatch):
    """A working folder with a design of three rows."""
    monkeypatch.chdir(tmp_path)
    rows = {
        "prompt": ["It is hot.", "It is cold.", "It is hot."],
        "price": [1.5, 2.0, 1.5],
        "choices": [["yes", "no"], ["no", "maybe"], ["yes", "no", "maybe"]],
    }
    pd.DataFrame(rows).to_parquet("in.parquet")
    return tmp_path


FILES = ("--prompts", "in.parquet", "--out", "out.parquet")


def test_score_from_the_shell_and_again_from_the_store(design):
    words = ["--model", "glassbox", *FILES, "--options", "yes", "no", "--cache", "kept.sqlite"]
    result = call("score", *words)
    assert result.exit_code == 0, result.output
    assert result.stdout == "out.parquet\n"
    assert "3 prompts in " in result.stderr and "prompts per second" in result.stderr
    assert "% saved" in result.stderr and "store" not in result.stderr
    first = pd.read_parquet("out.parquet")
    assert first["option"].tolist() == ["yes", "no"] * 3
    assert first["price"].tolist() == [1.5, 1.5, 2.0, 2.0, 1.5, 1.5]
    assert first.groupby("prompt_id")["belief"].sum().tolist() == pytest.approx([1, 1, 1])
    result = call("score", *words)
    assert "3 prompts came from the store" in result.stderr
    assert "\nwarning: valid mass, the prob" in f"\n{result.stderr}"
    assert ".py:" not in result.stderr
    pd.testing.assert_frame_equal(pd.read_parquet("out.parquet"), first)


@pytest.fixture
def asked(monkeypatch):
    """What a model in the place of the loaded one was asked, and how it was loaded."""
    import simkit.scoring

    seen = {"prompts": [], "options": []}

    class Spy:
        name = "spy"

        def scores(self, prompts, options):
            seen["prompts"] += prompts
            seen["options"] += map(list, options)
            return MockModel(lambda prompt: {"yes": 0.5, "no": 0.5}).scores(prompts, options)

    def load(name, **how):
        seen["load"] = (name, how)
        return Spy()

    monkeypatch.setattr(simkit.scoring, "load", load)
    return seen


def test_score_hands_its_options_on(design, asked):
    where = ["--device", "cpu", "--dtype", "bfloat16", "--revision", "abc", "--cache", "c.sqlite"]
    template = ["--template", r"At {price:.2f}?\nAnswer:", "--separator", r"\n", "--batch", "2"]
    result = call("score", "--model", "m", *FILES, "--options", "-1", "no", *template, *where)
    assert result.exit_code == 0, result.output
    how = {"device": "cpu", "dtype": "bfloat16", "revision": "abc", "cache": Path("c.sqlite")}
    assert asked["load"] == ("m", how)
    assert asked["prompts"][:2] == ["At 1.50?\nAnswer:", "At 2.00?\nAnswer:"]
    assert asked["options"][0] == ["\n-1", "\nno"]
    assert pq.ParquetFile("out.parquet").num_row_groups == 2
    assert "saved" not in result.stderr  # this model does not count tokens


def test_score_takes_prompts_and_options_from_columns(design, asked):
    pd.read_parquet("in.parquet").rename(columns={"prompt": "text"}).to_parquet("in.parquet")
    columns = ["--prompt-column", "text", "--options-from", "choices", "--bare"]
    result = call("score", "--model", "m", *FILES, *columns)
    assert result.exit_code == 0, result.output
    assert asked["prompts"] == ["It is hot.", "It is cold.", "It is hot."]
    assert asked["options"] == [[" yes", " no"], [" no", " maybe"], [" yes", " no", " maybe"]]
    found = pd.read_parquet("out.parquet")
    assert found.columns[0] == "prompt_id" and len(found) == 7


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give --options TEXT... or --options-from COLUMN"),
        (["--options", "yes", "no", "--options-from", "choices"], "one of the two"),
        (["--options", "--bare"], "--options takes one word or more"),
        (["--options", "yes"], "at least two options"),
        (["--options", "yes", "no", "--prompt-column", "text"], "no column 'text'"),
        (["--options", "yes", "no", "--prompts", "no.parquet"], "no file 'no.parquet'"),
        (["--options", "yes", "no", "--batch", "0"], "rows is 0"),
    ],
)
def test_score_refuses_before_it_loads_a_model(design, asked, words, said):
    result = call("score", "--model", "m", *FILES, *words)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert "load" not in asked and not Path("out.parquet").exists()


def test_score_names_the_row_and_the_file_that_is_no_store(design):
    frame = pd.read_parquet("in.parquet")
    frame.loc[2, "prompt"] = "It is hot. " * 300
    frame.to_parquet("in.parquet")
    words = ["--model", "glassbox", *FILES, "--options", "yes", "no"]
    result = call("score", *words, "--batch", "2")
    assert result.exit_code == 2 and "row 2: " in result.stderr and "256" in result.stderr
    result = call("score", *words, "--cache", "in.parquet")
    assert result.exit_code == 2 and "in.parquet is not a store of simkit" in result.stderr
    assert [p.name for p in design.iterdir()] == ["in.parquet"]


def test_data_lists_checks_and_says_what_is_missing(tmp_path, monkeypatch):
    from simkit.datasets import files

    monkeypatch.delenv("SIMKIT_DATA", raising=False)
    monkeypatch.setattr(files, "cache_folder", lambda: tmp_path / "cache")
    listed = call("data", "list").stdout
    assert "onefish_colors" in listed and "38,000 x 7" in listed and "Apache-2.0" in listed
    checked = call("data", "check")
    assert checked.exit_code == 0 and checked.stdout.count("missing") == 9
    fetched = call("data", "fetch", "car")  # it has no address of its own
    assert fetched.exit_code == 1
    assert "write.csv" in fetched.output
    assert call("data", "fetch", "nothing").exit_code == 1
    spoilt = tmp_path / "mine" / "mlogit" / "Car.csv.gz"
    spoilt.parent.mkdir(parents=True)
    spoilt.write_bytes(b"no data")
    monkeypatch.setenv("SIMKIT_DATA", str(tmp_path / "mine"))
    again = call("data", "check")
    assert again.exit_code == 1 and "altered" in again.stdout


def test_the_index_is_written_anew(folder):
    assert call("run", "tea", *LAST).exit_code == 0
    (folder / "out" / "index.html").unlink()
    result = call("index", "out")
    assert result.exit_code == 0 and result.stdout.strip() == str(Path("out") / "index.html")
    assert "Tea" in (folder / "out" / "index.html").read_text()
    missing = call("index", "nowhere")
    assert missing.exit_code == 2 and "there is no folder 'nowhere'" in missing.stderr
    assert not (folder / "nowhere").exists()


def test_a_real_model_that_is_not_here_is_named_before_anything_runs(folder, monkeypatch):
    monkeypatch.setattr("simkit.scoring.catalogue.place_of", lambda digest: folder / "none")
    for words in (["--model", "smollm2"], ["-p", "model", "smollm2"]):
        result = call("run", "tea", *words, *LAST)
        assert result.exit_code == 2
        assert "run `simkit models add smollm2`" in result.stderr
    assert not (folder / "out").exists()
