"""Data sets: what is loaded is what the card says, and nothing damaged is ever read."""

import gzip
import hashlib
import os
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simkit import datasets
from simkit.datasets import files
from simkit.datasets.cards import CARDS, Card, File
from simkit.datasets.readers import READERS

TEXT = b"word,n\nfish,1\n"
SHA = hashlib.sha256(TEXT).hexdigest()
DATA = os.environ.get("SIMKIT_DATA") or str(Path(__file__).parents[2].parent / "shared" / "data")
has_data = pytest.mark.skipif(not Path(DATA, "onefish").is_dir(), reason="no human data here")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache and no SIMKIT_DATA."""
    monkeypatch.delenv("SIMKIT_DATA", raising=False)
    monkeypatch.setattr(files, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def server():
    """Serves `served[path]`; counts requests."""
    served: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if self.path not in served:
                return self.send_error(404)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(served[self.path])

        def log_message(self, *_):
            pass

    asked: list[str] = []
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}", served, asked
    httpd.shutdown()
    httpd.server_close()


def toy(url=None) -> Card:
    return replace(CARDS["car"], name="toy", files=(File("toy/words.csv.gz", SHA, url),))


def put(folder: Path, content: bytes) -> Path:
    path = folder / "toy" / "words.csv.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_statsmodels_sets_are_always_there(cache):
    assert datasets.load("anes96").shape == (944, 11)
    assert datasets.load("modechoice").shape == (840, 9)


@has_data
@pytest.mark.parametrize("name", [n for n in CARDS if n not in ("wvs7", "ces24")])
def test_every_set_has_the_shape_on_its_card(name, cache, monkeypatch):
    monkeypatch.setenv("SIMKIT_DATA", DATA)
    frame = datasets.load(name, fetch=False)
    card = datasets.card(name)
    assert frame.shape == card.shape
    assert frame.attrs["card"] == card


@has_data
def test_content_of_the_recorded_sets(cache, monkeypatch):
    monkeypatch.setenv("SIMKIT_DATA", DATA)
    colors = datasets.load("onefish_colors")
    assert colors.groupby(["person", "block"]).size().eq(40).all()
    assert colors[["red", "green", "blue"]].stack().between(0, 255).all()
    twins = datasets.load("twin2k")
    human, twin = (twins[twins.population == p] for p in ("human", "twin"))
    assert human.person.tolist() == twin.person.tolist()
    scales = datasets.load("twin2k_scales")
    assert set(twins.columns[2:]) <= set(scales.outcome)
    machine = datasets.load("moralmachine")
    # Of 4,083 scenarios of people against pets, people were saved in 0.826843 (a count of 3,376).
    species = machine[machine.attribute == "Species"]
    assert (len(species), int(species.saved.sum())) == (4_083, 3_376)
    assert machine.person.nunique() == 2_097
    concepts = datasets.load("onefish_concepts")
    assert concepts.model.nunique() == 10
    answers = concepts.filter(regex="^q").to_numpy()
    assert set(np.unique(answers[~np.isnan(answers)])) == {0, 1}
    # The first row of the file is 1 0 0 0 0 0 0 0 0 . 0 …
    assert answers[0, :9].tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert np.isnan(answers[0, 9])
    items = datasets.load("wvs7_items").set_index("item")
    assert items.answers["Q1"][4] == "Not at all important"
    assert items.answers["Q1"][-2] == "No answer"


def test_a_packed_file_is_checked_by_what_is_inside(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("SIMKIT_DATA", str(tmp_path))
    path = put(tmp_path, gzip.compress(TEXT, mtime=7))
    assert files.find(toy(), toy().files[0]) == path


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"word,n\nfish,2\n"), gzip.compress(TEXT)[:-9], b"not gzip", b""],
    ids=["altered", "cut short", "not packed", "empty"],
)
def test_a_damaged_file_is_an_error_with_name_source_and_remedy(
    content, cache, tmp_path, monkeypatch
):
    monkeypatch.setenv("SIMKIT_DATA", str(tmp_path))
    path = put(tmp_path, content)
    with pytest.raises(datasets.DataError, match=r"toy: .*words\.csv.* source: .*mlogit.* copy"):
        files.find(toy(), toy().files[0])
    assert files.state(toy().files[0]) == "altered"
    assert path.read_bytes() == content  # left for the user to look at


def test_a_missing_file_without_address_says_how_to_make_it(cache):
    with pytest.raises(datasets.DataError, match=r"car: mlogit/Car\.csv\.gz .*not set.*write\.csv"):
        datasets.load("car")


def test_a_fetch_leaves_the_checked_file_and_asks_once(cache, server):
    address, served, asked = server
    served["/words.csv"] = TEXT
    card = toy(f"{address}/words.csv")
    for _ in range(2):
        path = files.find(card, card.files[0])
        assert pd.read_csv(path).n.tolist() == [1]
    assert asked == ["/words.csv"]
    assert files.state(card.files[0]) == "here"


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "as it is"])
def test_another_edition_at_the_address_is_taken_too(packed, cache, server):
    address, served, asked = server
    content = gzip.compress(b"n,word,more\n1,fish,x\n", mtime=0)
    whole = content if packed else gzip.decompress(content)
    served["/words.csv.gz"] = content
    file = File(
        "toy/words.csv.gz", SHA, f"{address}/words.csv.gz", hashlib.sha256(whole).hexdigest()
    )
    card = replace(toy(), files=(file,))
    if not packed:  # the hash is of what is inside: put there by hand
        put(cache, content)
    for _ in range(2):
        path = files.find(card, file)
        assert pd.read_csv(path).more.tolist() == ["x"]
    assert files.state(file) == "here"
    assert len(asked) == packed


def test_moral_machine_reads_either_edition(tmp_path):
    frame = pd.DataFrame({
        "UserID": ["b", "b", "a", "a"], "ScenarioType": ["Age", "Age", "Random", "Random"],
        "AttributeLevel": ["Old", "Young", "Rand", "Rand"], "Saved": [0, 1, 1, 0],
        "SessionID": "an edition more",
    })  # fmt: skip
    models = ("gpt4turbo", "gpt4o", "gpt35turbo0125")
    told = ("gender", "age", "education", "income", "political", "religious")
    others = ["Intervention", *(f"Review_{t}" for t in told), *(f"{m}_np_Saved" for m in models)]
    others += [f"{m}_wp_Saved{draw}" for m in models for draw in ("", "_2", "_3")]
    frame.assign(**dict.fromkeys(others, 1)).to_csv(tmp_path / "m.csv", index=False)
    read = READERS["moralmachine"](tmp_path / "m.csv")
    # Of the mirrored rows the one of the younger is kept; where nothing differs there is none.
    assert read[["person", "level", "saved"]].to_numpy().tolist() == [[1, "Young", 1]]
    assert "gpt4o_blank" in read and "SessionID" not in read


@pytest.mark.parametrize("content", [None, TEXT[:-3]], ids=["not there", "altered"])
def test_a_failed_fetch_leaves_nothing_behind(content, cache, server):
    address, served, _ = server
    if content is not None:
        served["/words.csv"] = content
    card = toy(f"{address}/words.csv")
    with pytest.raises(datasets.DataError, match=r"toy: could not fetch .*SIMKIT_DATA"):
        files.find(card, card.files[0])
    assert [p for p in cache.rglob("*") if p.is_file()] == []


def test_offline_is_an_error_with_the_address(cache):
    card = toy("http://127.0.0.1:9/words.csv")  # nobody listens on the discard port
    with pytest.raises(datasets.DataError, match=r"127\.0\.0\.1:9/words\.csv.*Check the network"):
        files.find(card, card.files[0])


def test_without_fetch_nothing_is_asked_for(cache, server):
    address, served, asked = server
    served["/words.csv"] = TEXT
    card = toy(f"{address}/words.csv")
    with pytest.raises(datasets.DataError, match="simkit data fetch"):
        files.find(card, card.files[0], fetch=False)
    assert asked == []


def test_wrong_names_and_paths(cache, tmp_path):
    with pytest.raises(ValueError, match="no data set 'anes'; there are: anes96"):
        datasets.load("anes")
    with pytest.raises(ValueError, match="a path is for wvs7"):
        datasets.load("anes96", path=tmp_path / "x.csv")
    for odd in (["anes96"], None, 3):
        with pytest.raises(ValueError, match="no data set"):
            datasets.load(odd)
    with pytest.raises(ValueError, match="path is 3; it must be a path"):
        datasets.load("wvs7", path=3)


def test_home_folders_are_read(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    put(tmp_path / "own", gzip.compress(TEXT))
    rows = "B_COUNTRY_ALPHA,W_WEIGHT,Q240,Q260,Q262\nD,1,5,1,40\n"
    (tmp_path / "own" / "wvs.csv").write_text(rows)
    assert datasets.load("wvs7", path="~/own/wvs.csv")["Q262"].tolist() == [40]
    monkeypatch.setenv("SIMKIT_DATA", "~/own")
    assert files.find(toy(), toy().files[0], fetch=False).parent == tmp_path / "own" / "toy"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'a,b\n"1,2\n3\n"4,5,6,7\n"'])
def test_what_is_no_csv_is_named(content, tmp_path, cache):
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    with pytest.raises(datasets.DataError, match=r"odd\.csv"):
        datasets.load("wvs7", path=path)


def test_wvs7_reads_the_official_layout(tmp_path, cache, monkeypatch):
    frame = pd.DataFrame(
        {
            "B_COUNTRY_ALPHA": ["DEU", "USA", "MEX"],
            "W_WEIGHT": [1.0, 0.5, 2.0],
            "Q1": [1, 4, -2],
            "Q82_AFTA": [1, 2, 3],
            "Q240": [5, -1, 10],
            "Q260": [1, 2, 2],
            "Q262": [34, 70, 18],
        }
    )
    path = tmp_path / "WVS_Cross-National_Wave_7_csv_v6_0.csv"
    frame.to_csv(path, index=False, sep=";")
    loaded = datasets.load("wvs7", path=path)
    assert loaded.Q1.tolist()[:2] == [1, 4] and np.isnan(loaded.Q1[2])
    assert np.isnan(loaded.Q240[1])
    assert loaded.B_COUNTRY_ALPHA.tolist() == ["DEU", "USA", "MEX"]
    (tmp_path / "wvs").mkdir()
    path.rename(tmp_path / "wvs" / path.name)
    monkeypatch.setenv("SIMKIT_DATA", str(tmp_path))
    assert len(datasets.load("wvs7")) == 3


def test_wvs7_without_its_columns_or_file(tmp_path, cache):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(datasets.DataError, match="no column 'B_COUNTRY_ALPHA'"):
        datasets.load("wvs7", path=path)
    with pytest.raises(datasets.DataError, match=r"www\.worldvaluessurvey\.org"):
        datasets.load("wvs7")
    with pytest.raises(datasets.DataError, match="no file"):
        datasets.load("wvs7", path=tmp_path / "none.csv")


def test_cards_are_whole():
    for name, card in CARDS.items():
        assert card.name == name and card.title and card.source and card.licence and card.citation
        assert card.code_book
        for file in card.files:
            assert len(file.sha256) == 64
            assert file.url is None or card.revision in file.url
            assert file.url or card.remark


def test_ces24_comes_with_its_package():
    pytest.importorskip("popfidelity")
    frame = datasets.load("ces24")
    card = datasets.card("ces24")
    assert frame.shape == card.shape
    sums = frame.groupby(["population", "question", "cell"])["share"].sum()
    assert len(sums) == 3 * 3 * 96 and sums.to_numpy() == pytest.approx(1, abs=1e-6)
    ideology = frame[frame.question == "ideo5"].drop_duplicates("option").sort_values("option_id")
    assert ideology.option.tolist()[::4] == ["Very liberal", "Very conservative"]


def test_ces24_without_its_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "popfidelity.examples", None)
    with pytest.raises(datasets.DataError, match="pip install popfidelity"):
        datasets.load("ces24")
