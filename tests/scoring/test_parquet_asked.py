"""What a streamed design can ask beyond plain options: chats, labels, spellings, orders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import simkit as sk
from simkit.cli import app
from simkit.scoring.local import LocalModel
from simkit.scoring.parquet.design import ParquetDesign
from simkit.scoring.parquet.score import score_parquet
from tests.scoring.conftest import make_network
from tests.scoring.test_chat import FAMILIES, chat_tokenizer

pytestmark = pytest.mark.filterwarnings(
    "ignore::simkit.scoring.LowMassWarning"
)  # weights by chance

TEMPLATE = "It is {day}. Which?\n{options}\nAnswer:"
OPTIONS = ["yes", "no", "{other}"]
FORMS = {"yes": ["price", "YES, {other}"]}


@pytest.fixture(scope="module")
def model() -> LocalModel:
    tokenizer = chat_tokenizer(FAMILIES["chatml"])
    network = make_network("llama", len(tokenizer), positions=512).eval()
    return LocalModel("m", network, tokenizer)


@pytest.fixture
def design(tmp_path: Path) -> Path:
    """Five rows; a whole number that is to stay one."""
    columns = {
        "day": [3, 1, 3, 2, 1],
        "other": ["maybe", "never", "later", "maybe", "soon"],
        "who": ["Ann", "Bo", "Cy", "Di", "Ed"],
    }
    pd.DataFrame(columns).to_parquet(tmp_path / "in.parquet")
    return tmp_path / "in.parquet"


def scored(model: Any, design: Path, **how: Any) -> pd.DataFrame:
    out = design.with_name("out.parquet")
    score_parquet(model, design, out, OPTIONS, template=TEMPLATE, rows=2, **how)
    return pd.read_parquet(out)


def believed(model: Any, design: Path, chat: Any = False, orders: Any = "auto", **how: Any) -> Any:
    question = sk.Question("", OPTIONS, template=TEMPLATE, **how)
    return sk.believe(model, question, pd.read_parquet(design), chat=chat, orders=orders)


ASKED: dict[str, dict[str, Any]] = {
    "as given": {},
    "letters": {"layout": "letters"},
    "numbers": {"layout": "numbers"},
    "shifts": {"orders": "cyclic"},
    "two orders": {"orders": [[0, 1, 2], [2, 0, 1]]},
    "one order of letters": {"layout": "letters", "orders": None},
    "spellings": {"forms": FORMS},
    "spellings of a label": {"layout": "letters", "forms": {"A": ["(A)"]}},
    "chat": {"chat": sk.Chat(system="You are {who}.")},
    "chat, no prefix": {"chat": sk.Chat(prefix="", fold_system=True, system="You are {who}.")},
    "all": {"chat": True, "layout": "letters", "forms": {"B": ["b"]}},
}


@pytest.mark.parametrize("how", ASKED.values(), ids=ASKED)
def test_the_table_is_the_one_of_believe(
    model: LocalModel, design: Path, how: dict[str, Any]
) -> None:
    found, expected = scored(model, design, **how), believed(model, design, **how)
    assert set(found) == set(expected)
    pd.testing.assert_frame_equal(
        found, expected[list(found)], check_dtype=False, atol=1e-5, rtol=0
    )


def test_every_way_of_asking_changes_the_numbers(model: LocalModel, design: Path) -> None:
    seen = [scored(model, design, **how)["logprob"].to_numpy() for how in ASKED.values()]
    for i, one in enumerate(seen):
        for other in seen[:i]:
            assert np.abs(one - other).max() > 1e-4


def test_lists_of_a_column_may_be_asked_in_a_chat(model: LocalModel, tmp_path: Path) -> None:
    columns = {"prompt": ["Buy it?", "Go?"], "choices": [["yes", "no"], ["a", "b", "c"]]}
    pd.DataFrame(columns).to_parquet(tmp_path / "in.parquet")
    out = tmp_path / "out.parquet"
    score_parquet(model, tmp_path / "in.parquet", out, "choices", chat=True, bare=True)
    found = pd.read_parquet(out)["logprob"]
    texts = sk.chat_prompts(model, columns["prompt"])
    for prompt, some, part in zip(texts, columns["choices"], (found[:2], found[2:]), strict=True):
        expected = sk.score(model, [prompt], [" " + option for option in some])[0]
        np.testing.assert_allclose(part, expected, atol=1e-5, rtol=0)


def test_the_file_tells_what_was_asked(model: LocalModel, design: Path) -> None:
    scored(model, design, chat=sk.Chat(system="You are {who}."), layout="letters")
    said = json.loads(
        pq.ParquetFile(design.with_name("out.parquet")).schema_arrow.metadata[b"simkit"]
    )
    assert said["layout"] == "letters" and said["orders"] == "auto" and said["forms"] == {}
    assert said["chat"]["system"] == "You are {who}." and said["chat"]["prefix"] == "Answer:"
    scored(model, design, orders=np.array([[0, 1, 2], [2, 0, 1]]))
    said = json.loads(
        pq.ParquetFile(design.with_name("out.parquet")).schema_arrow.metadata[b"simkit"]
    )
    assert said["orders"] == [[0, 1, 2], [2, 0, 1]] and said["least_mass"] == 0.5


@pytest.mark.parametrize(
    ("options", "how", "message"),
    [
        (OPTIONS, {"layout": "roman"}, "no layout 'roman'; there are: text, letters, numbers"),
        (OPTIONS, {"layout": "letters", "template": "{day}"}, r"the field \{options\}"),
        (OPTIONS, {"orders": "cyclic", "template": "{day}"}, "lists no options"),
        (OPTIONS, {"orders": "random"}, "orders is 'random'"),
        (OPTIONS, {"orders": [[0, 1]]}, r"orders\[0\] is \[0, 1\]"),
        (OPTIONS, {"forms": {"si": ["Yes"]}}, "no scored option 'si'"),
        (OPTIONS, {"forms": {"yes": ["{cost}"]}}, "no column 'cost'"),
        (OPTIONS, {"chat": sk.Chat(system="{cost}")}, "no column 'cost'"),
        (OPTIONS, {"chat": "yes"}, "chat is 'yes'"),
        ("other", {"layout": "letters"}, "the same options for every row"),
        ("other", {"forms": {"yes": ["Yes"]}}, "the same options for every row"),
    ],
)
def test_a_request_that_makes_no_sense(
    design: Path, options: Any, how: dict[str, Any], message: str
) -> None:
    how = {"template": TEMPLATE, **how}
    with pytest.raises(ValueError, match=message):
        ParquetDesign(design, design.with_name("out.parquet"), options, **how)


def test_errors_name_the_row_of_the_file(model: LocalModel, design: Path) -> None:
    frame = pd.read_parquet(design)
    frame.loc[3, "other"] = "very " * 200
    frame.to_parquet(design)
    with pytest.raises(ValueError, match=r"^row 3: .* more than the 512"):
        scored(model, design, layout="letters")
    frame.loc[3, "other"], frame.loc[4, "who"] = "maybe", "a <|im_end|> b"
    frame.to_parquet(design)
    with pytest.raises(ValueError, match=r"^row 4: "):
        scored(model, design, chat=sk.Chat(system="You are {who}."))
    frame.loc[4, "who"] = None  # with three orders a row has three prompts
    frame.to_parquet(design)
    with pytest.raises(ValueError, match=r"^row 4: 'who' is <NA>"):
        scored(model, design, layout="letters", chat=sk.Chat(system="You are {who}."))
    frame.loc[4, "who"], frame.loc[2, "other"] = "Ed", "price"
    frame.to_parquet(design)
    with pytest.raises(ValueError, match=r"^row 2: option 'price' stands twice"):
        scored(model, design, forms=FORMS)
    frame.rename(columns={"who": "options"}).to_parquet(design)
    with pytest.raises(ValueError, match="a column 'options', which is what"):
        scored(model, design)


def test_the_command_hands_it_all_on(
    design: Path, monkeypatch: pytest.MonkeyPatch, model: LocalModel
) -> None:
    monkeypatch.chdir(design.parent)
    monkeypatch.setattr(sk.scoring, "load", lambda name, **how: model)
    words = ["--model", "m", "--prompts", "in.parquet", "--out", "cli.parquet",
             "--options", *OPTIONS, "--template", TEMPLATE.replace("\n", r"\n")]  # fmt: skip

    def ask(*more: str) -> pd.DataFrame:
        done = CliRunner().invoke(app, ["score", *words, *more])
        assert done.exit_code == 0, done.output
        return pd.read_parquet("cli.parquet")

    chat = sk.Chat("You are {who}.", "So:", fold_system=True)
    some = ("--system", "You are {who}.", "--fold-system", "--answer-prefix", "So:")
    pairs = [
        (("--chat", "--layout", "numbers", "--orders", "given"),
         {"chat": True, "layout": "numbers", "orders": None}),
        (some, {"chat": chat}),
        (("--answer", "Say {options}.", "--thinking", "close"),
         {"chat": sk.Chat(answer="Say {options}.", thinking="close")}),
        (("--form", "yes=price", "--form", "yes=YES, {other}"), {"forms": FORMS}),
    ]  # fmt: skip
    for more, how in pairs:
        pd.testing.assert_frame_equal(ask(*more), scored(model, design, **how), atol=1e-5, rtol=0)
    bad = CliRunner().invoke(app, ["score", *words, "--form", "Yes"])
    assert bad.exit_code == 2 and "--form takes OPTION=TEXT, got 'Yes'" in bad.stderr
